//! What is done with one name relative to an open folder; a symlink is never followed.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use cap_std::fs::{Dir, DirBuilder, DirBuilderExt};
use rustix::fs::{AtFlags, Gid, Mode, OFlags, Uid};

use super::error::DestinationError;

/// The mode of a folder until it is finished: nobody else looks in.
pub(super) const MODE_FOR_NOW: u32 = 0o700;

/// Who has the file with which [`takes_nameless`] tries it.
const OTHER_OWNER: u32 = 1;

/// Which file or folder this is: device and inode.
pub(super) type FileId = (u64, u64);

/// The identity of an open file or folder.
pub(super) fn file_id(fd: impl AsFd) -> io::Result<FileId> {
    let stat = rustix::fs::fstat(fd)?;
    Ok((stat.st_dev, stat.st_ino))
}

/// A name as cap-std takes it.
pub(super) fn as_path(name: &[u8]) -> &Path {
    Path::new(std::ffi::OsStr::from_bytes(name))
}

/// Opens one name in `folder`; a symlink is not followed.
pub(super) fn open_at(folder: &Dir, name: &[u8], flags: OFlags, mode: u32) -> io::Result<File> {
    let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(File::from(rustix::fs::openat(folder, name, flags, Mode::from_raw_mode(mode))?))
}

/// Opens the folder `name` in `folder`; a symlink is not followed.
pub(super) fn open_folder_at(folder: &Dir, name: &[u8]) -> io::Result<Dir> {
    open_at(folder, name, OFlags::RDONLY | OFlags::DIRECTORY, 0).map(Dir::from_std_file)
}

/// Makes the folder `name` in `folder`, for its owner alone; one that is there is fine.
pub(super) fn make_folder_at(folder: &Dir, name: &[u8]) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.mode(MODE_FOR_NOW);
    match folder.create_dir_with(as_path(name), &builder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        done => done,
    }
}

/// Removes everything in `folder`, except `keep`.
pub(super) fn empty_folder(folder: &Dir, keep: Option<&str>) -> io::Result<()> {
    // All names first: some file systems skip names when others are removed in between.
    let found: Vec<_> = folder.entries()?.collect::<io::Result<_>>()?;
    for entry in found {
        let name = entry.file_name();
        if keep.is_some_and(|keep| name == keep) {
            continue;
        }
        let is_folder = entry.file_type()?.is_dir();
        let removed =
            if is_folder { folder.remove_dir_all(&name) } else { folder.remove_file(&name) };
        match removed {
            // FUSE keeps an open file under a hidden name, which goes by itself.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            done => done?,
        }
    }
    Ok(())
}

/// The first name in `folder` that `allowed` does not know.
pub(super) fn holds_only(
    folder: &Dir,
    mut allowed: impl FnMut(&[u8]) -> bool,
) -> io::Result<Option<Vec<u8>>> {
    for entry in folder.entries()? {
        let name = entry?.file_name();
        if !allowed(name.as_bytes()) {
            return Ok(Some(name.as_bytes().to_vec()));
        }
    }
    Ok(None)
}

/// Whether opening a folder failed because something else has its name.
pub(super) fn is_not_a_folder(error: &io::Error) -> bool {
    let is = |errno: rustix::io::Errno| error.raw_os_error() == Some(errno.raw_os_error());
    is(rustix::io::Errno::NOTDIR) || is(rustix::io::Errno::LOOP)
}

/// For `map_err`: the folder `path` could not be opened.
pub(super) fn not_opened(path: &[u8]) -> impl FnOnce(io::Error) -> DestinationError {
    move |error| {
        if is_not_a_folder(&error) {
            DestinationError::NotAFolder { path: path.to_vec() }
        } else {
            DestinationError::io("open folder", path)(error)
        }
    }
}

/// A file without a name, that is gone when it is closed.
pub(super) fn open_nameless(parts: &Dir, mode: u32) -> io::Result<File> {
    open_at(parts, b".", OFlags::RDWR | OFlags::TMPFILE, mode)
}

/// Gives a file that has no name its first; never replaces.
pub(super) fn name_file(file: &File, folder: &Dir, name: &[u8]) -> io::Result<()> {
    Ok(rustix::fs::linkat(file, "", folder, name, AtFlags::EMPTY_PATH)?)
}

/// Are there files without a name here, which this process can give one, whoever owns them? It may
/// not where it lacks capabilities, on older systems.
pub(super) fn takes_nameless(parts: &Dir) -> bool {
    const NAME: &[u8] = b"named";
    let named = || {
        let file = open_nameless(parts, 0o600)?;
        // Only root can do that; others never have to.
        let (user, group) = (Uid::from_raw(OTHER_OWNER), Gid::from_raw(OTHER_OWNER));
        let _ = rustix::fs::fchown(&file, Some(user), Some(group));
        name_file(&file, parts, NAME)?;
        parts.remove_file(as_path(NAME))
    };
    named().is_ok()
}

/// The parent folder's path and the last name of a path that is not empty.
pub(super) fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|byte| *byte == b'/') {
        Some(slash) => (&path[..slash], &path[slash + 1..]),
        None => (&[], path),
    }
}
