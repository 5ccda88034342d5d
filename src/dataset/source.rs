//! The files of SOURCE, read again by path after the scan, from any thread.
//!
//! - Enters: SOURCE, and paths of entries of kind file.
//! - Leaves: their bytes, holes and present identity, or an error that names path and action.
//! - Always holds: (1) nothing outside SOURCE is opened and no symlink below it is followed; (2) a
//!   [`SourceFile`] is a regular file: what took its place since the scan, a named pipe say, is an
//!   error and does not block; (3) access times are left alone where the system allows it; (4) a
//!   small file that is as it was scanned costs four calls: it is opened in its folder, read, looked
//!   at and closed.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Advice, CWD, Mode, OFlags};
use rustix::io::{Errno, retry_on_intr};

use super::anchor::Anchor;
use super::attributes::{Attributes, InodePath};
use super::beneath::{open_beneath, open_quietly};
use super::holes::{MAX_HOLES, holes};
use super::inode::{Inode, ScannedEntry};
use super::names::Names;
use super::nearby::Nearby;
use super::root::Root;
use super::sizes::Sizes;
use crate::format::list::{Entry, Kind, Lack, checked_path, shown_path};

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

    /// Of a hard link whose file could not be read.
    pub fn void_link(link: &Entry) -> Self {
        let text =
            format!("it is a hard link to {}, which cannot be read", shown_path(&link.target));
        Self::new("read", &link.path, io::Error::other(text))
    }

    /// Of the first files of a source, none of which could be read.
    #[must_use]
    pub fn all_fail(&self) -> Self {
        let text = format!("none of its files can be read: {}", self.source);
        Self { action: self.action, path: self.path.clone(), source: io::Error::other(text) }
    }

    /// Is it the medium that fails, not this path?
    pub fn is_of_medium(&self) -> bool {
        const OF_MEDIUM: [Errno; 11] = [
            Errno::IO,
            Errno::NODEV,
            Errno::NXIO,
            Errno::STALE,
            Errno::NOTCONN,
            Errno::REMOTEIO,
            Errno::TIMEDOUT,
            Errno::HOSTDOWN,
            Errno::HOSTUNREACH,
            Errno::CONNABORTED,
            Errno::SHUTDOWN,
        ];
        Errno::from_io_error(&self.source).is_some_and(|errno| OF_MEDIUM.contains(&errno))
    }

    /// The path is no longer there.
    #[cfg(test)]
    fn is_missing(&self) -> bool {
        self.source.kind() == io::ErrorKind::NotFound
    }
}

/// SOURCE, open.
#[derive(Debug)]
pub struct Source {
    opened: Opened,
    anchor: Anchor,
    sizes: Sizes,
    nearby: Nearby,
    /// of files only the beginnings are read
    is_sample: bool,
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
            Root::Folder(handle, inode) => Ok(Self::of(Opened::Folder(handle), source, &inode)),
            Root::File(name, inode) => {
                Ok(Self::of(Opened::File(source.to_path_buf(), name), source, &inode))
            }
            Root::Other(found) => {
                let text = format!("it is {found}, neither a folder nor a file");
                Err(error(io::Error::new(io::ErrorKind::InvalidInput, text)))
            }
        }
    }

    /// Opens SOURCE to measure with: a file is as long as its entry says, which may be less than
    /// there is of it.
    pub fn open_sample(source: &Path) -> Result<Self, SourceError> {
        Ok(Self { is_sample: true, ..Self::open(source)? })
    }

    fn of(opened: Opened, source: &Path, inode: &Inode) -> Self {
        let (anchor, sizes) = (Anchor::new(source, inode), Sizes::default());
        Self { opened, anchor, sizes, nearby: Nearby::default(), is_sample: false }
    }

    /// After a failure: is SOURCE still there? `read` is a file that could be read before: if the
    /// medium does not give it again, it is not one file that fails.
    pub fn check(&self, failure: &SourceError, read: Option<&[u8]>) -> Result<(), SourceError> {
        let path = self.anchor.path().as_os_str().as_bytes();
        let folder = match &self.opened {
            Opened::Folder(handle) => Some(handle),
            Opened::File(..) => None,
        };
        self.anchor.check(folder).map_err(|e| SourceError::new("find", path, e))?;
        let read = read.filter(|_| failure.is_of_medium());
        match read.map(|read| self.read_anew(read)) {
            Some(Err(e)) if e.is_of_medium() => Err(e),
            _ => Ok(()),
        }
    }

    /// Reads the beginning of a file, past the caches if the system allows it.
    fn read_anew(&self, path: &[u8]) -> Result<usize, SourceError> {
        let file = self.open_file(path)?;
        let _ = rustix::fs::fadvise(&file.handle, 0, None, Advice::DontNeed);
        file.read_at(0, &mut [0; 4096])
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
        Ok(SourceFile { handle, path: path.into(), opened: inode, is_sample: self.is_sample })
    }

    /// Reads a file of at least one byte whole, if it is still what was scanned, as its identity
    /// tells after the read. If not, or if there is anything else about it, that is for
    /// [`Self::open_file`] to tell, and what is in `bytes` means nothing.
    pub fn read_unchanged(&self, scanned: &ScannedEntry, bytes: &mut [u8]) -> bool {
        let (entry, Opened::Folder(root)) = (&scanned.entry, &self.opened) else { return false };
        if scanned.sparse || bytes.len() as u64 != entry.size || checked_path(&entry.path).is_err()
        {
            return false;
        }
        let Ok(file) = self.nearby.open(root, &entry.path) else { return false };
        // Of a pipe that took its place nothing is taken: it cannot be read at an offset.
        let read = retry_on_intr(|| rustix::io::pread(&file, &mut *bytes, 0));
        let is_same = |now: Inode| {
            now.kind() == Some(Kind::File)
                && now.identity == scanned.identity
                && now.has_content_of(entry)
        };
        read == Ok(bytes.len()) && Inode::of_handle(&file).is_ok_and(is_same)
    }

    /// Looks at a path whatever it is, and opens nothing.
    fn inode(&self, path: &[u8]) -> Result<(OwnedFd, Inode), Errno> {
        let handle = self.open_with(path, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC)?;
        let inode = Inode::of_handle(&handle)?;
        Ok((handle, inode))
    }

    /// Is there anything at a path?
    pub fn has(&self, path: &[u8]) -> bool {
        self.inode(path).is_ok()
    }

    /// The name of what lies at this path, if that differs from the path's by the case of letters: a
    /// file system that takes both for one says that it has either.
    pub fn spelled(&self, path: &[u8]) -> Option<Vec<u8>> {
        let Opened::Folder(root) = &self.opened else { return None };
        let (above, name) = match path.iter().rposition(|byte| *byte == b'/') {
            Some(at) => (&path[..at], &path[at + 1..]),
            None => (b".".as_slice(), path),
        };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = open_beneath(root, above, flags).ok()?;
        let lower = |name: &[u8]| String::from_utf8_lossy(name).to_lowercase();
        let (wanted, mut other) = (lower(name), None);
        for found in rustix::fs::Dir::read_from(folder).ok()? {
            let found = found.ok()?;
            let found = found.file_name().to_bytes();
            if found == name {
                return None;
            }
            if lower(found) == wanted {
                other = Some(found.to_vec());
            }
        }
        other
    }

    /// Is this the number of SOURCE's own inode?
    pub fn has_inode(&self, number: u64) -> bool {
        self.anchor.inode() == number
    }

    /// Is a hard link still one more name of what lies at the path that it names?
    pub fn is_linked(&self, link: &ScannedEntry) -> bool {
        let Ok((_, first)) = self.inode(&link.entry.target) else { return false };
        // A device may get another number when it is attached again.
        first.is_inode_of(&link.identity)
            || first.identity.inode == link.identity.inode
                && self
                    .inode(&link.entry.path)
                    .is_ok_and(|(_, link)| first.is_inode_of(&link.identity))
    }

    /// The entry of a path that is no file: a symlink, a named pipe, a device. None if it is a file.
    pub fn look_at(&self, path: &[u8]) -> Result<Option<Entry>, SourceError> {
        let error = |errno: Errno| SourceError::new("read the metadata of", path, errno);
        let (handle, inode) = self.inode(path).map_err(error)?;
        let Some(kind) = inode.kind().filter(|kind| *kind != Kind::File) else { return Ok(None) };
        let mut entry = inode.entry(path, kind);
        if kind == Kind::Symlink {
            let text = rustix::fs::readlinkat(handle, "", Vec::new()).map_err(error)?;
            entry.target = text.into_bytes();
        }
        let mut names = Names::default();
        (entry.user, entry.group) = (names.user(entry.uid), names.group(entry.gid));
        Ok(Some(entry))
    }

    /// Is what the system says of sizes true where this entry lies? Where files are made up as they
    /// are read, a size of 0 says nothing.
    pub fn knows_sizes(&self, scanned: &ScannedEntry) -> bool {
        self.sizes.are_known(scanned.identity.device, || {
            let open = |flags| self.open_with(&scanned.entry.path, flags);
            open_quietly(open).ok()
        })
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

/// A regular file of SOURCE, open for reading. Positions are given with each call, so threads may
/// share it.
#[derive(Debug)]
pub struct SourceFile {
    handle: OwnedFd,
    path: Box<[u8]>,
    opened: Inode,
    is_sample: bool,
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

    /// What was scanned; or if the file is not as it was then, what it is now.
    pub fn now(&self, scanned: &ScannedEntry) -> Result<ScannedEntry, SourceError> {
        let is_one = self.opened.identity == scanned.identity;
        let same = is_one && (self.is_sample || self.opened.has_content_of(&scanned.entry));
        if same { Ok(scanned.clone()) } else { self.look(&scanned.entry) }
    }

    /// Has the file the content that this entry of it tells of?
    pub fn has_content_of(&self, entry: &Entry) -> Result<bool, SourceError> {
        Ok(self.is_sample || self.inode()?.has_content_of(entry))
    }

    /// An error of this file that the system does not know.
    pub fn refuse(&self, action: &'static str, text: String) -> SourceError {
        SourceError::new(action, &self.path, io::Error::new(io::ErrorKind::InvalidData, text))
    }

    /// Looks at a file of `before`, an entry of the same path, anew.
    pub fn look(&self, before: &Entry) -> Result<ScannedEntry, SourceError> {
        let inode = self.inode()?;
        let mut entry = inode.entry(&*self.path, Kind::File);
        let same = (entry.uid, entry.gid) == (before.uid, before.gid);
        (entry.user, entry.group) = if same {
            (before.user.clone(), before.group.clone())
        } else {
            let mut names = Names::default();
            (names.user(entry.uid), names.group(entry.gid))
        };
        let mut attributes = Attributes::new();
        let place = InodePath::of_file(&self.handle);
        let had = attributes.read(&place, inode.identity.device, Kind::File);
        entry.xattrs = if had.problem.is_some() { before.xattrs.clone() } else { had.list };
        if had.lacks_some || !attributes.are_reachable() && before.lacks.contains(&Lack::Attributes)
        {
            entry.lack(Lack::Attributes);
        }
        Ok(ScannedEntry { entry, identity: inode.identity, sparse: inode.looks_sparse() })
    }

    /// The holes below `size`: offset and length, ascending, apart, none empty. Of
    /// more than [`MAX_HOLES`] the smaller ones count as data; so does all of a file on a file
    /// system that cannot say.
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
}

#[cfg(test)]
mod tests;
