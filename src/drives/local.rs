//! A drive that is a folder: most often a mount point.
//!
//! - Enters: paths below the folder, whole files, ranges to read.
//! - Leaves: files, durable after [`Drive::sync`] or [`WriteMode::Commit`]; bytes, read past the page
//!   cache where the file system lets us.
//! - Always holds: (1) what is there is never written to, but by [`Drive::rewrite`]: files are made
//!   anew, and a failed write removes its own file only; (2) every path is walked from the open
//!   folder without following links, so a drive cannot lead a reader or writer out of itself, nor can
//!   it change its identity by being mounted elsewhere; (3) [`Level::Direct`] is said only as long as no direct read was
//!   refused; (4) [`Level::Dropped`] is said only if, since the last write, the page cache of the
//!   device was dropped before the first file was opened from the medium. What is in it later was
//!   read from the medium after that, so once is enough.

use parking_lot::{Mutex, MutexGuard};
use std::collections::BTreeSet;
use std::io;
use std::mem;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fd::OwnedFd;
use rustix::fs::{self as kernel, Access, AtFlags};
use rustix::io::retry_on_intr;

use super::device;
use super::drive::{Drive, DriveFile, NextPart, PROBE_BYTES, ReadMode, Room, WriteMode};
use super::error::DriveError;
use super::filesystem::{self, FileSystemKind};
use super::local_file::LocalFile;
use super::lock::{self, FolderLock};
use super::path::{check_file, folder_and_name, parts};
use super::proof::{Level, Proof};
use super::removal::Removal;
use super::watch::Calls;

/// A folder of a mounted file system.
pub struct LocalDrive {
    name: String,
    root: OwnedFd,
    kind: FileSystemKind,
    /// a direct read was refused
    refused: Arc<AtomicBool>,
    /// of a FUSE driver
    device: Mutex<DeviceCache>,
    unsynced: Mutex<Unsynced>,
    calls: Arc<Calls>,
}

/// What is known of the page cache of the device under a FUSE driver.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum DeviceCache {
    /// it may hold what is not, or not any more, on the medium
    #[default]
    Stale,
    /// it was dropped after the last write
    Dropped,
    /// it could not be dropped after the last write
    Unreachable,
}

/// What is not durable yet, where the file system cannot sync as a whole; folders also elsewhere,
/// for a commit makes durable what leads to its file.
#[derive(Default)]
struct Unsynced {
    files: BTreeSet<String>,
    folders: BTreeSet<String>,
}

impl LocalDrive {
    /// Opens a folder as a drive, for reading at least; see also [`LocalDrive::check_writable`].
    pub fn open(path: &Path) -> Result<Self, DriveError> {
        let name = path.to_string_lossy().into_owned();
        let opened = filesystem::open_root(path)
            .and_then(|root| FileSystemKind::of(&root).map(|kind| (root, kind)))
            .map_err(|source| DriveError::new(&name, "open", "", source))?;
        let (root, kind) = opened;
        let calls = Calls::of(&name);
        Ok(Self {
            name,
            root,
            kind,
            refused: Arc::default(),
            device: Mutex::default(),
            unsynced: Mutex::default(),
            calls,
        })
    }

    /// The same; the folder is made if it is missing.
    pub fn make(path: &Path) -> Result<Self, DriveError> {
        let name = path.to_string_lossy();
        std::fs::create_dir_all(path)
            .map_err(|source| DriveError::new(&name, "make folder", "", source))?;
        Self::open(path)
    }

    /// Fails if files cannot be made in the folder, or in one of these that are in it: it is
    /// read-only, or another user's.
    pub fn check_writable(&self, folders: &[&str]) -> Result<(), DriveError> {
        let access = Access::WRITE_OK | Access::EXEC_OK;
        let check = |path: &str| {
            retry_on_intr(|| kernel::accessat(&self.root, path, access, AtFlags::empty()))
        };
        check(".").map_err(|source| self.error("write", "", source))?;
        for folder in folders {
            match check(&format!("{folder}/.")) {
                Err(source) if source != rustix::io::Errno::NOENT => {
                    return Err(self.error("write", folder, source));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Removes a folder and all that is in it; one that is not there is fine. False if it was stopped.
    /// The files that were removed are counted.
    pub fn remove_tree(
        &self,
        path: &str,
        stop: &dyn Fn() -> bool,
        files: &mut u64,
    ) -> Result<bool, DriveError> {
        let _call = self.calls.begin();
        let (parent, name) = match self.place(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
            place => place.map_err(|source| self.error("remove folder", path, source))?,
        };
        Removal::new(stop, files).run(&parent, name).map_err(|e| {
            let above = folder_and_name(path).0;
            let path = if e.path.is_empty() { path.into() } else { format!("{above}/{}", e.path) };
            self.error("remove folder", &path, e.source)
        })
    }

    fn error(&self, action: &'static str, path: &str, source: impl Into<io::Error>) -> DriveError {
        DriveError::new(&self.name, action, path, source)
    }

    /// Opens a folder as a place for names.
    fn folder(&self, path: &str) -> io::Result<OwnedFd> {
        let mut folder = self.root.try_clone()?;
        for part in parts(path)? {
            folder = filesystem::step(&folder, part)?;
        }
        Ok(folder)
    }

    /// Opens a file's folder; returns the file's name in there too.
    fn place<'a>(&self, path: &'a str) -> io::Result<(OwnedFd, &'a str)> {
        check_file(path)?;
        let (folder, name) = folder_and_name(path);
        Ok((self.folder(folder)?, name))
    }

    fn unsynced<R>(&self, change: impl FnOnce(&mut Unsynced) -> R) -> R {
        change(&mut self.unsynced.lock())
    }

    fn device_cache(&self) -> MutexGuard<'_, DeviceCache> {
        self.device.lock()
    }

    /// The device under the file system, if it is one of FUSE and may be opened.
    fn open_device(&self) -> Option<OwnedFd> {
        let stat = retry_on_intr(|| kernel::fstat(&self.root)).ok()?;
        device::open(stat.st_dev)
    }

    /// Drops the device's page cache, if a FUSE driver wrote to it since that was done last.
    fn reach_medium(&self) -> Result<(), DriveError> {
        // Held throughout, so that nobody reads from the medium before it is reached.
        let mut cache = self.device_cache();
        if self.kind == FileSystemKind::Fuse && *cache == DeviceCache::Stale {
            self.sync()?; // pages that are not written out would stay
            let dropped = self.open_device().is_some_and(|device| device::forget(&device).is_ok());
            *cache = if dropped { DeviceCache::Dropped } else { DeviceCache::Unreachable };
        }
        Ok(())
    }

    fn try_make_folder(&self, path: &str) -> io::Result<()> {
        let mut folder = self.root.try_clone()?;
        let mut walked = String::new();
        for part in parts(path)? {
            folder = match filesystem::step(&folder, part) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    if filesystem::create_folder(&folder, part, self.kind)? {
                        self.unsynced(|unsynced| unsynced.folders.insert(walked.clone()));
                    }
                    filesystem::step(&folder, part)?
                }
                result => result?,
            };
            walked = if walked.is_empty() { part.into() } else { format!("{walked}/{part}") };
        }
        Ok(())
    }

    fn try_list(&self, path: &str) -> io::Result<Vec<String>> {
        let folder = match self.folder(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            result => result?,
        };
        let mut names = Vec::new();
        for entry in kernel::Dir::new(filesystem::readable(&folder)?)? {
            let entry = entry?;
            // A name that is not UTF-8 is none that holdall gives.
            if let Ok(name) = entry.file_name().to_str()
                && name != "."
                && name != ".."
            {
                names.push(name.to_owned());
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    fn try_write(&self, path: &str, bytes: &[u8]) -> io::Result<()> {
        let (folder, name) = self.place(path)?;
        self.write_file(&folder, name, |file| filesystem::write_new(file, self.kind, bytes))?;
        if self.kind == FileSystemKind::Fuse {
            self.unsynced(|unsynced| {
                unsynced.files.insert(path.to_owned());
                unsynced.folders.insert(folder_and_name(path).0.to_owned());
            });
        }
        Ok(())
    }

    /// Writes a new file, which is left open; removes it again if that fails.
    fn write_file(
        &self,
        folder: &OwnedFd,
        name: &str,
        fill: impl FnOnce(&OwnedFd) -> io::Result<()>,
    ) -> io::Result<OwnedFd> {
        let file = filesystem::create(folder, name, self.kind)?;
        match fill(&file) {
            Ok(()) => Ok(file),
            Err(error) => {
                drop(file);
                filesystem::remove(folder, name).ok(); // the first error is the one to tell
                Err(error)
            }
        }
    }

    fn try_commit(
        &self,
        path: &str,
        fill: impl FnOnce(&OwnedFd) -> io::Result<()>,
        rename: fn(&OwnedFd, &str, &str) -> io::Result<()>,
    ) -> io::Result<()> {
        let (folder, name) = self.place(path)?;
        let temporary = format!("{name}.tmp");
        filesystem::remove(&folder, &temporary)?; // litter of an earlier crash
        let file = self.write_file(&folder, &temporary, fill)?;
        let renamed = filesystem::sync_file(&file).and_then(|()| rename(&folder, &temporary, name));
        if let Err(error) = renamed {
            drop(file);
            filesystem::remove(&folder, &temporary).ok();
            return Err(error);
        }
        self.sync_names(folder_and_name(path).0, &folder)?;
        self.sync_way_to(folder_and_name(path).0)
    }

    /// Makes durable what a folder names, which then need not be done again.
    fn sync_names(&self, path: &str, folder: &OwnedFd) -> io::Result<()> {
        // Not after it: what is named there meanwhile is still to be synced.
        let was_due = self.unsynced(|unsynced| unsynced.folders.remove(path));
        let synced = filesystem::sync_folder(folder);
        if was_due && synced.is_err() {
            self.unsynced(|unsynced| unsynced.folders.insert(path.to_owned()));
        }
        synced
    }

    /// Makes durable the new folders that lead to a folder, outermost last.
    fn sync_way_to(&self, folder: &str) -> io::Result<()> {
        let mut below = folder;
        while !below.is_empty() {
            let above = folder_and_name(below).0;
            if self.unsynced(|unsynced| unsynced.folders.contains(above)) {
                self.sync_names(above, &self.folder(above)?)?;
            }
            below = above;
        }
        Ok(())
    }

    /// Syncs file by file, then folder by folder.
    fn sync_each(&self, unsynced: &Unsynced) -> Result<(), DriveError> {
        for path in &unsynced.files {
            self.place(path)
                .and_then(|(folder, name)| filesystem::open_file(&folder, name))
                .and_then(|(file, _)| filesystem::sync_file(&file))
                .map_err(|source| self.error("sync", path, source))?;
        }
        for path in &unsynced.folders {
            self.folder(path)
                .and_then(filesystem::sync_folder)
                .map_err(|source| self.error("sync", path, source))?;
        }
        Ok(())
    }

    fn try_open(&self, path: &str, mode: ReadMode) -> io::Result<LocalFile> {
        let (folder, name) = self.place(path)?;
        let (file, len) = filesystem::open_file(&folder, name)?;
        let (drive, path) = (self.name.clone(), path.to_owned());
        let (refused, calls) = (Arc::clone(&self.refused), Arc::clone(&self.calls));
        let mut opened = LocalFile::new(drive, path, file, len, refused, calls);
        match (mode, self.kind) {
            (ReadMode::Cached, _) => opened.expect_sequential(),
            (ReadMode::Medium, FileSystemKind::Memory) => {}
            (ReadMode::Medium, _) => opened.go_direct()?,
        }
        Ok(opened)
    }
}

impl Drive for LocalDrive {
    fn name(&self) -> &str {
        &self.name
    }

    fn room(&self) -> Result<Room, DriveError> {
        let room = retry_on_intr(|| kernel::fstatvfs(&self.root))
            .map_err(|source| self.error("measure", "", source))?;
        let stat = retry_on_intr(|| kernel::fstat(&self.root))
            .map_err(|source| self.error("measure", "", source))?;
        let unit_bytes = if room.f_frsize == 0 { room.f_bsize } else { room.f_frsize };
        let total_bytes = room.f_blocks.saturating_mul(unit_bytes);
        let own = filesystem::own_bytes(&self.root, total_bytes)
            .map_err(|source| self.error("measure", "", source))?;
        Ok(Room {
            free_bytes: room.f_bavail.saturating_mul(unit_bytes).saturating_sub(own),
            total_bytes,
            unit_bytes,
            device: stat.st_dev,
        })
    }

    fn make_folder(&self, path: &str) -> Result<(), DriveError> {
        let _call = self.calls.begin();
        self.try_make_folder(path).map_err(|source| self.error("make folder", path, source))
    }

    fn list(&self, path: &str) -> Result<Vec<String>, DriveError> {
        let _call = self.calls.begin();
        self.try_list(path).map_err(|source| self.error("list", path, source))
    }

    fn write(&self, path: &str, bytes: &[u8], mode: WriteMode) -> Result<(), DriveError> {
        let _call = self.calls.begin();
        let fill = |file: &OwnedFd| filesystem::write_new(file, self.kind, bytes);
        let written = match mode {
            WriteMode::New => self.try_write(path, bytes),
            WriteMode::Commit => self.try_commit(path, fill, filesystem::rename),
            WriteMode::Replace => self.try_commit(path, fill, filesystem::rename_over),
        };
        *self.device_cache() = DeviceCache::Stale;
        written.map_err(|source| self.error(mode.action(), path, source))
    }

    fn sync(&self) -> Result<(), DriveError> {
        let _call = self.calls.begin();
        // What is written from here on is the next sync's.
        let unsynced = self.unsynced(mem::take);
        let synced = if self.kind == FileSystemKind::Fuse {
            self.sync_each(&unsynced)
        } else {
            filesystem::sync_all(&self.root).map_err(|source| self.error("sync", "", source))
        };
        if synced.is_err() {
            self.unsynced(|now| {
                now.files.extend(unsynced.files);
                now.folders.extend(unsynced.folders);
            });
        }
        synced
    }

    fn replace_parts(&self, path: &str, len: u64, next: NextPart) -> Result<(), DriveError> {
        let _call = self.calls.begin();
        let fill = |file: &OwnedFd| filesystem::write_parts(file, self.kind, len, next);
        let replaced = self.try_commit(path, fill, filesystem::rename_over);
        *self.device_cache() = DeviceCache::Stale;
        replaced.map_err(|source| self.error(WriteMode::Replace.action(), path, source))
    }

    fn rewrite(&self, path: &str, pieces: &[(u64, &[u8])]) -> Result<(), DriveError> {
        let _call = self.calls.begin();
        let place = self.place(path);
        let written = place.and_then(|(folder, name)| filesystem::rewrite(&folder, name, pieces));
        *self.device_cache() = DeviceCache::Stale;
        written.map_err(|source| self.error("rewrite", path, source))
    }

    fn remove_folder(&self, path: &str) -> Result<(), DriveError> {
        let _call = self.calls.begin();
        let removed = match self.place(path) {
            Ok((folder, name)) => filesystem::remove_folder(folder, name).map(|_| ()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        };
        self.unsynced(|unsynced| unsynced.folders.remove(path));
        removed.map_err(|source| self.error("remove folder", path, source))
    }

    fn remove(&self, path: &str) -> Result<(), DriveError> {
        let _call = self.calls.begin();
        let removed = match self.place(path) {
            Ok((folder, name)) => filesystem::remove(folder, name).map(|_| ()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        };
        self.unsynced(|unsynced| unsynced.files.remove(path));
        removed.map_err(|source| self.error("remove", path, source))
    }

    fn open(&self, path: &str, mode: ReadMode) -> Result<Box<dyn DriveFile>, DriveError> {
        let _call = self.calls.begin();
        if mode == ReadMode::Medium {
            self.reach_medium()?;
        }
        match self.try_open(path, mode) {
            Ok(file) => Ok(Box::new(file)),
            Err(source) => Err(self.error("open", path, source)),
        }
    }

    fn lock(&self, path: &str) -> Result<FolderLock, DriveError> {
        let _call = self.calls.begin();
        self.folder(path)
            .and_then(|folder| lock::lock(filesystem::readable(&folder)?))
            .map_err(|source| self.error("lock", path, source))
    }

    fn user_of(&self, path: &str) -> Option<String> {
        let _call = self.calls.begin();
        let folder = self.folder(path).and_then(|folder| filesystem::readable(&folder));
        lock::user_of(&folder.ok()?)
    }

    fn probe(&self, path: &str) -> Result<(), DriveError> {
        // What a FUSE driver has read since is in the device's cache.
        *self.device_cache() = DeviceCache::Stale;
        let mut file = self.open(path, ReadMode::Medium)?;
        let mut first = vec![0; file.len().min(PROBE_BYTES) as usize];
        file.read_at(0, &mut first).map(drop)
    }

    fn proof(&self) -> Proof {
        let device = retry_on_intr(|| kernel::fstat(&self.root)).map(|stat| stat.st_dev);
        // A driver without a device has a number of the kind that belongs to none.
        let no_device =
            self.kind == FileSystemKind::Fuse && device.is_ok_and(|dev| kernel::major(dev) == 0);
        match self.level() {
            _ if no_device || self.kind == FileSystemKind::Opaque => Proof::Elsewhere,
            Level::Cached => Proof::Replug,
            _ => Proof::Read,
        }
    }

    /// The level of the reads so far; before the first, of those to be expected.
    fn level(&self) -> Level {
        match self.kind {
            FileSystemKind::Memory => Level::Direct,
            FileSystemKind::Kernel | FileSystemKind::Fat
                if !self.refused.load(Ordering::Relaxed) =>
            {
                Level::Direct
            }
            FileSystemKind::Kernel | FileSystemKind::Fat | FileSystemKind::Opaque => Level::Cached,
            FileSystemKind::Fuse => match *self.device_cache() {
                DeviceCache::Dropped => Level::Dropped,
                DeviceCache::Stale if self.open_device().is_some() => Level::Dropped,
                DeviceCache::Stale | DeviceCache::Unreachable => Level::Cached,
            },
        }
    }
}
