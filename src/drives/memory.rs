//! A drive in memory, for measuring everything but drives.
//!
//! - Enters: what enters any drive.
//! - Leaves: what was written, or the error that a real drive would give.
//! - Always holds: (1) the rules of [`Drive`], with the errors that Linux gives: a folder must be
//!   made first, a file is written once; (2) clones are the same drive.

use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::io::Errno;

use super::drive::{Drive, DriveFile, ReadMode, Room, WriteMode};
use super::error::DriveError;
use super::path::{check_file, folder_and_name, parts};
use super::proof::Level;

/// What a file's length is rounded up to.
const UNIT_BYTES: u64 = 4096;
/// Far above the numbers that Linux gives to devices.
static NEXT_DEVICE: AtomicU64 = AtomicU64::new(1 << 63);

/// A map from paths to bytes; see the module.
#[derive(Clone)]
pub struct MemoryDrive(Arc<Medium>);

struct Medium {
    name: String,
    capacity_bytes: u64,
    device: u64,
    state: Mutex<MemoryState>,
}

#[derive(Default)]
struct MemoryState {
    /// behind an `Arc`, so that no copying is done under the lock
    files: BTreeMap<String, Arc<Vec<u8>>>,
    folders: BTreeSet<String>,
    used_bytes: u64,
}

impl MemoryDrive {
    /// An empty drive.
    pub fn new(name: impl Into<String>, capacity_bytes: u64) -> Self {
        let device = NEXT_DEVICE.fetch_add(1, Ordering::Relaxed);
        Self(Arc::new(Medium {
            name: name.into(),
            capacity_bytes,
            device,
            state: Mutex::default(),
        }))
    }

    /// The room that a file takes.
    pub fn room_of(len: usize) -> u64 {
        (len as u64).div_ceil(UNIT_BYTES).max(1) * UNIT_BYTES
    }

    /// Changes a file behind everyone's back; `None` if there is none. Its length may change too.
    pub fn with_file<R>(&self, path: &str, change: impl FnOnce(&mut Vec<u8>) -> R) -> Option<R> {
        self.0.state(|state| {
            let file = state.files.get_mut(path)?;
            state.used_bytes -= MemoryDrive::room_of(file.len());
            let changed = change(Arc::make_mut(file));
            state.used_bytes += MemoryDrive::room_of(file.len());
            Some(changed)
        })
    }

    /// All files, sorted.
    pub fn paths(&self) -> Vec<String> {
        self.0.state(|state| state.files.keys().cloned().collect())
    }

    /// Takes room away, as a file of somebody else would.
    pub fn take_room(&self, bytes: u64) {
        self.0.state(|state| state.used_bytes += bytes);
    }
}

impl Medium {
    fn state<R>(&self, job: impl FnOnce(&mut MemoryState) -> R) -> R {
        job(&mut self.state.lock())
    }

    fn attempt<R>(
        &self,
        action: &'static str,
        path: &str,
        job: impl FnOnce(&mut MemoryState) -> io::Result<R>,
    ) -> Result<R, DriveError> {
        self.state(job).map_err(|source| DriveError::new(&self.name, action, path, source))
    }

    fn put(&self, path: &str, bytes: &[u8], mode: WriteMode) -> Result<(), DriveError> {
        let file = Arc::new(bytes.to_vec());
        self.attempt(mode.action(), path, |state| {
            check_file(path)?;
            state.find_folder(folder_and_name(path).0)?;
            let there = state.files.contains_key(path) || state.folders.contains(path);
            if there && mode != WriteMode::Replace {
                return Err(Errno::EXIST.into());
            }
            // Old and new lie there together for a moment.
            if state.used_bytes + MemoryDrive::room_of(file.len()) > self.capacity_bytes {
                return Err(Errno::NOSPC.into());
            }
            if there {
                state.remove_folder(path)?;
                state.used_bytes -=
                    state.files.get(path).map_or(0, |old| MemoryDrive::room_of(old.len()));
            }
            state.used_bytes += MemoryDrive::room_of(file.len());
            state.files.insert(path.to_owned(), file);
            Ok(())
        })
    }
}

impl MemoryState {
    /// Fails as opening a folder does.
    fn find_folder(&self, path: &str) -> io::Result<()> {
        let mut walked = String::new();
        for part in parts(path)? {
            walked = if walked.is_empty() { part.into() } else { format!("{walked}/{part}") };
            if self.files.contains_key(&walked) {
                return Err(Errno::NOTDIR.into());
            }
            if !self.folders.contains(&walked) {
                return Err(Errno::NOENT.into());
            }
        }
        Ok(())
    }

    fn find_file(&self, path: &str) -> io::Result<&Arc<Vec<u8>>> {
        let missing = if self.folders.contains(path) { Errno::ISDIR } else { Errno::NOENT };
        Ok(self.files.get(path).ok_or(missing)?)
    }

    fn make_folder(&mut self, path: &str) -> io::Result<()> {
        let mut walked = String::new();
        for part in parts(path)? {
            walked = if walked.is_empty() { part.into() } else { format!("{walked}/{part}") };
            if self.files.contains_key(&walked) {
                return Err(Errno::NOTDIR.into());
            }
            self.folders.insert(walked.clone());
        }
        Ok(())
    }

    fn remove_folder(&mut self, path: &str) -> io::Result<()> {
        if !self.list(path).unwrap_or_default().is_empty() {
            return Err(Errno::NOTEMPTY.into());
        }
        self.folders.remove(path);
        Ok(())
    }

    fn rewrite(&mut self, path: &str, pieces: &[(u64, &[u8])]) -> io::Result<()> {
        self.find_file(path)?;
        let file = Arc::make_mut(self.files.get_mut(path).ok_or(Errno::NOENT)?);
        for (offset, piece) in pieces {
            let range = *offset as usize..*offset as usize + piece.len();
            file.get_mut(range).ok_or(Errno::INVAL)?.copy_from_slice(piece);
        }
        Ok(())
    }

    fn list(&self, path: &str) -> io::Result<Vec<String>> {
        match self.find_folder(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            result => result?,
        }
        let all = self.files.keys().chain(&self.folders);
        let inside = all.filter(|other| folder_and_name(other).0 == path);
        let mut names: Vec<_> = inside.map(|other| folder_and_name(other).1.to_owned()).collect();
        names.sort_unstable();
        Ok(names)
    }
}

impl Drive for MemoryDrive {
    fn name(&self) -> &str {
        &self.0.name
    }

    fn room(&self) -> Result<Room, DriveError> {
        let used_bytes = self.0.attempt("measure", "", |state| Ok(state.used_bytes))?;
        let free_bytes = self.0.capacity_bytes.saturating_sub(used_bytes);
        Ok(Room {
            free_bytes: free_bytes - free_bytes % UNIT_BYTES,
            total_bytes: self.0.capacity_bytes,
            unit_bytes: UNIT_BYTES,
            device: self.0.device,
        })
    }

    fn make_folder(&self, path: &str) -> Result<(), DriveError> {
        self.0.attempt("make folder", path, |state| state.make_folder(path))
    }

    fn list(&self, path: &str) -> Result<Vec<String>, DriveError> {
        self.0.attempt("list", path, |state| state.list(path))
    }

    fn write(&self, path: &str, bytes: &[u8], mode: WriteMode) -> Result<(), DriveError> {
        self.0.put(path, bytes, mode)
    }

    fn sync(&self) -> Result<(), DriveError> {
        self.0.attempt("sync", "", |_| Ok(()))
    }

    fn rewrite(&self, path: &str, pieces: &[(u64, &[u8])]) -> Result<(), DriveError> {
        self.0.attempt("rewrite", path, |state| state.rewrite(path, pieces))
    }

    fn remove_folder(&self, path: &str) -> Result<(), DriveError> {
        self.0.attempt("remove folder", path, |state| state.remove_folder(path))
    }

    fn remove(&self, path: &str) -> Result<(), DriveError> {
        self.0.attempt("remove", path, |state| {
            check_file(path)?;
            if let Some(file) = state.files.remove(path) {
                state.used_bytes -= MemoryDrive::room_of(file.len());
            }
            Ok(())
        })
    }

    fn open(&self, path: &str, _mode: ReadMode) -> Result<Box<dyn DriveFile>, DriveError> {
        let len = self.0.attempt("open", path, |state| {
            check_file(path)?;
            Ok(state.find_file(path)?.len() as u64)
        })?;
        Ok(Box::new(MemoryFile { drive: Arc::clone(&self.0), path: path.to_owned(), len }))
    }

    fn level(&self) -> Level {
        Level::Direct
    }
}

/// A file that is open for reading, by its name.
struct MemoryFile {
    drive: Arc<Medium>,
    path: String,
    len: u64,
}

impl DriveFile for MemoryFile {
    fn read_at(&mut self, offset: u64, buf: &mut [u8]) -> Result<usize, DriveError> {
        let file = self
            .drive
            .attempt("read", &self.path, |state| state.find_file(&self.path).map(Arc::clone))?;
        let found = file.get(offset as usize..).unwrap_or_default();
        let read = found.len().min(buf.len());
        buf[..read].copy_from_slice(&found[..read]);
        Ok(read)
    }

    fn len(&self) -> u64 {
        self.len
    }
}
