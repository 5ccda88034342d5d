//! The files of SOURCE, read again by path after the scan, from any thread.
//!
//! - Enters: SOURCE, and paths of entries of kind file.
//! - Leaves: their bytes, holes and present identity, or an error that names path and action.
//! - Always holds: (1) nothing outside SOURCE is opened and no symlink below it is followed; (2) a
//!   [`SourceFile`] is a regular file: what took its place since the scan, a named pipe say, is an
//!   error and does not block; (3) access times are left alone where the system allows it.

use std::io;
use std::num::NonZeroU64;
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Advice, CWD, Mode, OFlags};
use rustix::io::{Errno, retry_on_intr};

use super::ScannedEntry;
use super::attributes::{Attributes, Place};
use super::beneath::open_beneath;
use super::holes::holes;
use super::inode::{Identity, Inode};
use super::names::Names;
use super::root::Root;
use crate::format::list::{Entry, Kind, checked_path, shown_path};

/// The most holes of a file that are told apart: bounds memory, and the entry that lists them.
pub const MAX_HOLES: usize = 65_536;

/// How a file is opened. NONBLOCK means nothing to a regular file.
const FILE_FLAGS: OFlags = OFlags::RDONLY
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC)
    .union(OFlags::NOATIME)
    .union(OFlags::NONBLOCK);

/// What could not be done with a file of the source.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {path}")]
pub struct SourceError {
    /// what was tried: `open`, `read`, …
    pub action: &'static str,
    /// the path from SOURCE, for people; of SOURCE itself as it was given
    pub path: String,
    /// what the system said
    #[source]
    pub source: io::Error,
}

impl SourceError {
    fn new(action: &'static str, path: &[u8], source: impl Into<io::Error>) -> Self {
        Self { action, path: shown_path(path), source: source.into() }
    }

    /// The path is no longer there.
    pub fn is_missing(&self) -> bool {
        self.source.kind() == io::ErrorKind::NotFound
    }
}

/// SOURCE, open.
#[derive(Debug)]
pub struct Source {
    opened: Opened,
}

#[derive(Debug)]
enum Opened {
    Folder(OwnedFd),
    /// the one file and its name
    File(PathBuf, Vec<u8>),
}

impl Source {
    /// Opens SOURCE, a folder or a single file; if it is a symlink, what that leads to.
    pub fn open(source: &Path) -> Result<Self, SourceError> {
        let error =
            |cause: io::Error| SourceError::new("open", source.as_os_str().as_bytes(), cause);
        match Root::open(source).map_err(|errno| error(errno.into()))? {
            Root::Folder(handle, _) => Ok(Self { opened: Opened::Folder(handle) }),
            Root::File(name, _) => Ok(Self { opened: Opened::File(source.to_path_buf(), name) }),
            Root::Other(found) => {
                let text = format!("it is {found}, neither a folder nor a file");
                Err(error(io::Error::new(io::ErrorKind::InvalidInput, text)))
            }
        }
    }

    /// Opens a file by its entry's path; of a single file, its name.
    pub fn open_file(&self, path: &[u8]) -> Result<SourceFile, SourceError> {
        let error = |cause: io::Error| SourceError::new("open", path, cause);
        let invalid = |text: String| error(io::Error::new(io::ErrorKind::InvalidInput, text));
        checked_path(path).map_err(|format| invalid(format.to_string()))?;
        if path.is_empty() {
            return Err(invalid("the path of SOURCE itself is not a file's".into()));
        }
        let handle = open_quietly(|flags| self.open_with(path, flags))
            .map_err(|errno| error(errno.into()))?;
        let inode = Inode::of_handle(&handle)
            .map_err(|errno| SourceError::new("read the metadata of", path, errno))?;
        if inode.kind() != Some(Kind::File) {
            return Err(invalid("it is no longer a file".into()));
        }
        Ok(SourceFile { handle, path: path.into(), opened: inode.identity })
    }

    fn open_with(&self, path: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
        match &self.opened {
            Opened::Folder(handle) => open_beneath(handle, path, flags),
            Opened::File(source, name) if path == name => open_single(source, flags),
            Opened::File(..) => Err(Errno::NOENT),
        }
    }
}

/// Opens SOURCE if it is a single file, or leads to one.
pub(super) fn open_single(source: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
    retry_on_intr(|| rustix::fs::openat(CWD, source, flags - OFlags::NOFOLLOW, Mode::empty()))
}

/// Opens a file for reading by `open`, with as little trace and waiting as the system allows.
pub(super) fn open_quietly(
    open: impl Fn(OFlags) -> Result<OwnedFd, Errno>,
) -> Result<OwnedFd, Errno> {
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

/// A regular file of SOURCE, open for reading. Positions are given with each call, so threads may
/// share it.
#[derive(Debug)]
pub struct SourceFile {
    handle: OwnedFd,
    path: Box<[u8]>,
    opened: Identity,
}

impl SourceFile {
    fn error(&self, action: &'static str, errno: Errno) -> SourceError {
        SourceError::new(action, &self.path, errno)
    }

    fn inode(&self) -> Result<Inode, SourceError> {
        Inode::of_handle(&self.handle).map_err(|errno| self.error("read the metadata of", errno))
    }

    /// Fills `buffer` from `offset` on. Fewer bytes than asked for means that the file ends there.
    pub fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, SourceError> {
        let mut filled = 0;
        while filled < buffer.len() {
            let at = offset + filled as u64;
            match retry_on_intr(|| rustix::io::pread(&self.handle, &mut buffer[filled..], at)) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(errno) => return Err(self.error("read", errno)),
            }
        }
        Ok(filled)
    }

    /// What it was when it was opened.
    pub fn opened(&self) -> Identity {
        self.opened
    }

    /// Tells whether the file is as it was.
    pub fn identity(&self) -> Result<Identity, SourceError> {
        Ok(self.inode()?.identity)
    }

    /// Looks at a file of `before`, an entry of the same path, anew.
    pub fn look(&self, before: &Entry) -> Result<ScannedEntry, SourceError> {
        let inode = self.inode()?;
        let mut entry = inode.entry(&self.path, Kind::File);
        let same = (entry.uid, entry.gid) == (before.uid, before.gid);
        (entry.user, entry.group) = if same {
            (before.user.clone(), before.group.clone())
        } else {
            let mut names = Names::default();
            (names.user(entry.uid), names.group(entry.gid))
        };
        let attributes = Attributes::new();
        let place = Place::of_file(&self.handle);
        let listed = attributes.list_at(&place, inode.identity.device, Kind::File);
        let (xattrs, problem) = attributes.read(&place, listed);
        entry.xattrs = if problem.is_some() { before.xattrs.clone() } else { xattrs };
        Ok(ScannedEntry { entry, identity: inode.identity, sparse: inode.looks_sparse() })
    }

    /// The holes below `size`: offset and length, ascending, apart, none empty. After
    /// [`MAX_HOLES`] the rest counts as data; so does all of a file on a file system that cannot
    /// say.
    pub fn holes(&self, size: u64) -> Result<Vec<(u64, u64)>, SourceError> {
        self.first_holes(size, MAX_HOLES)
    }

    fn first_holes(&self, size: u64, most: usize) -> Result<Vec<(u64, u64)>, SourceError> {
        holes(&self.handle, size, most).map_err(|errno| self.error("find the holes of", errno))
    }

    /// The file will be read from front to back. Advice only: errors do not matter.
    pub fn advise_sequential(&self) {
        let _ = rustix::fs::fadvise(&self.handle, 0, None, Advice::Sequential);
    }

    /// These bytes will not be read again. Advice only: errors do not matter.
    pub fn advise_done(&self, range: Range<u64>) {
        if let Some(len) = range.end.checked_sub(range.start).and_then(NonZeroU64::new) {
            let _ = rustix::fs::fadvise(&self.handle, range.start, Some(len), Advice::DontNeed);
        }
    }
}

#[cfg(test)]
mod tests;
