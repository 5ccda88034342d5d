//! A look at a restored tree.
//!
//! - Enters: DIR, and entries with any path whatever.
//! - Leaves: whether each is there as its entry says, by name (to the letter), kind and size;
//!   whether it has its time; or whether nothing is there.
//! - Always holds: nothing is changed, but for the working folder of a restore whose completion was
//!   cut short, and a file that is made and removed to see whether times are kept; no symlink is
//!   followed.

use std::borrow::Cow;
use std::io::{ErrorKind, Read as _};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use cap_std::fs::{Dir, Metadata, MetadataExt};
use rustix::fs::OFlags;
use rustix::io::Errno;

use super::at::{as_path, open_at, open_nameless, split};
use super::claim::open_there;
use super::error::DestinationError;
use super::folders::Folders;
use super::layout::WORK;
use super::metadata::{TIME_STEP_SECONDS, keeps_times, mtime, put_back, times};
use super::name_map::{self, NameMap};
use crate::format::list::{Entry, Kind, checked_path};

/// DIR, whatever it holds.
pub struct Tree {
    folders: Folders,
    /// the list of mapped names is in it
    has_name_list: bool,
}

impl Tree {
    /// Opens DIR, which must be there.
    pub fn open(dir: &Path) -> Result<Self, DestinationError> {
        Self::of(open_there(dir)?, false)
    }

    /// The same; names were mapped in it, also if the list of them is not there.
    pub fn open_mapped(dir: &Path) -> Result<Self, DestinationError> {
        Self::of(open_there(dir)?, true)
    }

    /// Is the list of the names that were mapped in it?
    pub fn has_name_list(&self) -> bool {
        self.has_name_list
    }

    fn of(root: Dir, maps: bool) -> Result<Self, DestinationError> {
        let has_name_list = name_map::is_mapped(&root);
        let map = (maps || has_name_list).then(|| NameMap::new(&root, None)).transpose();
        let map = map.map_err(DestinationError::io("look at", b""))?;
        let folders = Folders::new(root, (0, 0), false).mapping(map);
        Ok(Self { folders, has_name_list })
    }

    /// Is the entry there as it says, but for its time? `size` is that of a file, if it is known.
    pub fn has(&self, entry: &Entry, size: Option<u64>) -> bool {
        if entry.path.is_empty() {
            return true;
        }
        let Some((folder, here, found)) = self.find(entry) else { return false };
        match entry.kind {
            Kind::Folder => found.is_dir(),
            Kind::File => found.is_file() && size.is_none_or(|size| found.len() == size),
            Kind::HardLink => found.is_file(),
            Kind::Symlink if found.is_file() => self.is_written_link(entry),
            Kind::Symlink => {
                let target = folder.read_link_contents(as_path(&here));
                target.is_ok_and(|target| target.as_os_str().as_bytes() == entry.target)
            }
            _ => !found.is_dir() && !found.is_file() && !found.is_symlink(),
        }
    }

    /// Is there a file that stands for a symlink that could not be made?
    pub fn is_written_link(&self, entry: &Entry) -> bool {
        let Some((folder, here, found)) = self.find(entry) else { return false };
        if entry.kind != Kind::Symlink
            || !found.is_file()
            || found.len() != entry.target.len() as u64
        {
            return false;
        }
        let file = open_at(&folder, &here, OFlags::RDONLY | OFlags::NONBLOCK, 0);
        let mut text = vec![0; entry.target.len()];
        let read = file.and_then(|mut file| file.read_exact(&mut text));
        read.is_ok() && text == entry.target
    }

    /// Has the entry, which is there, its time?
    pub fn has_time(&self, entry: &Entry) -> bool {
        let is_close = |found: Metadata| (found.mtime() - entry.mtime).abs() <= TIME_STEP_SECONDS;
        self.find(entry).is_some_and(|(_, _, found)| is_close(found))
    }

    /// Has the entry, which is there, another name than its own, as `--map-names` gives?
    pub fn is_renamed(&self, entry: &Entry) -> bool {
        let is_other = |here: &[u8]| *here != *split(&entry.path).1;
        self.folders.map.is_some() && self.find(entry).is_some_and(|(_, here, _)| is_other(&here))
    }

    /// Does the file system keep a time that a file is given? None if that cannot be tried.
    pub fn keeps_times(&self) -> Option<bool> {
        let root = self.folders.root();
        if let Ok(file) = open_nameless(root, 0o600) {
            return Some(keeps_times(&file));
        }
        let before = rustix::fs::fstat(root).ok()?;
        let name = format!("{WORK}-{:016x}", getrandom::u64().ok()?);
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL;
        let file = open_at(root, name.as_bytes(), flags, 0o600).ok()?;
        let kept = keeps_times(&file);
        // FUSE would keep an open file under another name.
        drop(file);
        let _ = root.remove_file(&name);
        put_back(root, before.st_mode, &mtime(before.st_mtime, before.st_mtime_nsec));
        Some(kept)
    }

    /// What lies where the entry belongs and is called so to the letter: its folder, and its name in
    /// it.
    fn find<'e>(&self, entry: &'e Entry) -> Option<(Arc<Dir>, Cow<'e, [u8]>, Metadata)> {
        checked_path(&entry.path).ok()?;
        let (parent, name) = split(&entry.path);
        let folder = self.folders.find(parent).ok()??;
        let here = self.folders.name_in(&folder, parent, name);
        let found = folder.symlink_metadata(as_path(&here)).ok()?;
        self.folders.is_called(&folder, parent, &here).then_some((folder, here, found))
    }

    /// Is there nothing where the entry belongs?
    pub fn is_missing(&self, entry: &Entry) -> bool {
        let (parent, name) = split(&entry.path);
        if checked_path(&entry.path).is_err() {
            return true; // it can be nowhere
        }
        let folder = match self.folders.find(parent) {
            Ok(Some(folder)) => folder,
            // What is there may be another's, whose name differs in the case of letters only.
            Ok(None) | Err(DestinationError::Exists { .. }) => return true,
            Err(DestinationError::Io { source, .. }) => return is_no_name(&source),
            Err(_) => return false,
        };
        let here = self.folders.name_in(&folder, parent, name);
        match folder.symlink_metadata(as_path(&here)) {
            Ok(_) => !self.folders.is_called(&folder, parent, &here),
            Err(error) => error.kind() == ErrorKind::NotFound || is_no_name(&error),
        }
    }

    /// Removes the working folder of a restore that was completed all but for that, and gives DIR
    /// the time of its entry.
    pub fn cleanup(&self, dir: &Entry) {
        let root = self.folders.root();
        let Ok(before) = rustix::fs::fstat(root) else { return };
        // One that is not empty, or not there, stays as it is.
        if root.remove_dir(WORK).is_ok() {
            put_back(root, before.st_mode, &times(dir));
        }
    }
}

/// Does the file system know no such names, so that nothing can be called so?
fn is_no_name(error: &std::io::Error) -> bool {
    const NO_NAME: [Errno; 3] = [Errno::ILSEQ, Errno::INVAL, Errno::NAMETOOLONG];
    NO_NAME.iter().any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}
