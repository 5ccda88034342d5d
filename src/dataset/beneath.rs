//! Opening what lies beneath a folder.
//!
//! - Enters: a folder handle and a path relative to it, of any length.
//! - Leaves: a handle, or what the system said.
//! - Always holds: no symlink on the way or at the end is followed, and nothing outside the folder
//!   is opened.
//!
//! One `openat2` does the whole path and makes sure of that. The kernel takes at most 4,095 bytes,
//! so a longer path is opened in pieces. Where there is no `openat2`, a piece is one name.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

/// How a file is opened. NONBLOCK means nothing to a regular file.
const FILE_FLAGS: OFlags = OFlags::RDONLY
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC)
    .union(OFlags::NOATIME)
    .union(OFlags::NONBLOCK);

/// Bytes of a path that the kernel surely takes at once.
const PIECE_BYTES: usize = 4_000;

/// How a piece of the path is opened.
#[derive(Clone, Copy)]
enum How {
    /// many names at once, by `openat2`
    Pieces,
    /// name by name, by `openat`
    Names,
}

/// Opens `path` beneath `folder`; `path` has no empty name, no `.` and no `..`.
pub fn open_beneath(folder: impl AsFd, path: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
    let folder = folder.as_fd();
    match open_by(folder, path, flags, How::Pieces) {
        Err(Errno::NOSYS) => open_by(folder, path, flags, How::Names),
        // Some sandboxes refuse `openat2` with this error; NOATIME has it as a meaning of its own.
        Err(Errno::PERM) if !flags.contains(OFlags::NOATIME) => {
            open_by(folder, path, flags, How::Names)
        }
        result => result,
    }
}

/// Opens a file for reading by `open`, with as little trace and waiting as the system allows.
pub fn open_quietly(open: impl Fn(OFlags) -> Result<OwnedFd, Errno>) -> Result<OwnedFd, Errno> {
    let mut flags = FILE_FLAGS;
    loop {
        match open(flags) {
            // Only a file's owner may spare its access time.
            Err(Errno::PERM) if flags.contains(OFlags::NOATIME) => flags -= OFlags::NOATIME,
            // Someone holds a lease on the file (a file server may) and is told to give it up.
            Err(Errno::AGAIN) if flags.contains(OFlags::NONBLOCK) => flags -= OFlags::NONBLOCK,
            result => return result,
        }
    }
}

fn open_by(folder: BorrowedFd<'_>, path: &[u8], flags: OFlags, how: How) -> Result<OwnedFd, Errno> {
    let mut reached: Option<OwnedFd> = None;
    let mut rest = path;
    loop {
        let (piece, after) = split_piece(rest, how);
        let at = reached.as_ref().map_or(folder, AsFd::as_fd);
        if after.is_empty() {
            return open_piece(at, piece, flags, how);
        }
        reached = Some(open_piece(at, piece, OFlags::PATH | OFlags::DIRECTORY, how)?);
        rest = after;
    }
}

fn open_piece(
    folder: BorrowedFd<'_>,
    piece: &[u8],
    flags: OFlags,
    how: How,
) -> Result<OwnedFd, Errno> {
    let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::io::retry_on_intr(|| match how {
        How::Pieces => {
            let within =
                ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
            rustix::fs::openat2(folder, piece, flags, Mode::empty(), within)
        }
        How::Names => rustix::fs::openat(folder, piece, flags, Mode::empty()),
    })
}

/// Splits off as many whole names as are opened at once, at least one.
fn split_piece(path: &[u8], how: How) -> (&[u8], &[u8]) {
    let is_slash = |byte: &u8| *byte == b'/';
    let cut = match how {
        How::Pieces if path.len() <= PIECE_BYTES => None,
        How::Pieces => path[..=PIECE_BYTES].iter().rposition(is_slash),
        How::Names => path.iter().position(is_slash),
    };
    match cut {
        Some(at) => (&path[..at], &path[at + 1..]),
        None => (path, &[]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const READ: OFlags = OFlags::RDONLY;

    #[test]
    fn pieces_are_whole_names() {
        let path = vec![b"0123456789".as_slice(); 1_000].join(&b'/');
        for how in [How::Pieces, How::Names] {
            let mut again = Vec::new();
            let mut rest = path.as_slice();
            while !rest.is_empty() {
                let (piece, after) = split_piece(rest, how);
                assert!(!piece.is_empty() && piece.len() <= PIECE_BYTES);
                again.extend(piece.split(|byte| *byte == b'/').map(<[u8]>::to_vec));
                rest = after;
            }
            assert_eq!(again.join(&b'/'), path);
        }
    }

    #[test]
    fn both_ways_open_files_and_refuse_symlinks() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("a/b")).unwrap();
        std::fs::write(dir.path().join("a/b/file"), "x").unwrap();
        std::os::unix::fs::symlink("a", dir.path().join("link")).unwrap();
        std::os::unix::fs::symlink("b/file", dir.path().join("a/last")).unwrap();
        let folder = std::fs::File::open(dir.path()).unwrap();
        for how in [How::Pieces, How::Names] {
            let open = |path: &[u8]| open_by(folder.as_fd(), path, READ, how).map(drop);
            assert_eq!(open(b"a/b/file"), Ok(()));
            assert_eq!(open(b"a/b"), Ok(()));
            assert_eq!(open(b"a/none"), Err(Errno::NOENT));
            assert!(matches!(open(b"link/b/file"), Err(Errno::LOOP | Errno::NOTDIR)));
            assert_eq!(open(b"a/last"), Err(Errno::LOOP));
        }
    }
}
