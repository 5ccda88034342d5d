//! A drive in memory, for tests and for measuring everything but drives; it can be made to fail.
//!
//! - Enters: what enters any drive, and faults.
//! - Leaves: what was written, or the error that a real drive would give.
//! - Always holds: (1) the rules of [`Drive`], with the errors that Linux gives: a folder must be
//!   made first, a file is written once; (2) clones are the same drive; (3) a fault is seen by
//!   files that are open already.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::io::Errno;

use super::drive::{Drive, DriveFile, ReadMode, Room};
use super::error::DriveError;
use super::path::{check_file, folder_and_name, parts};
use super::proof::Level;

/// What a file's length is rounded up to.
const UNIT_BYTES: u64 = 4096;
/// Far above the numbers that Linux gives to devices.
static NEXT_DEVICE: AtomicU64 = AtomicU64::new(1 << 63);

/// A map from paths to bytes; see the module.
#[derive(Clone)]
pub struct MemoryDrive(Arc<Shared>);

struct Shared {
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
    bad: Vec<(String, Range<u64>)>,
    /// bytes that it takes before it dies, and how
    dies: Option<(u64, Death)>,
    /// the medium of a fake; the files above are its cache then
    fake: Option<Fake>,
    gone: bool,
}

/// A medium that holds less than it says, and starts from its beginning again when it is full.
struct Fake {
    bytes: Vec<u8>,
    /// how far it was written, had it no end
    end: u64,
    /// where files begin
    starts: BTreeMap<String, u64>,
}

/// How a drive ends; see [`MemoryDrive::die_after`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Death {
    /// as if pulled out, with `ENODEV` for everything
    Vanishes,
    /// with `EIO` for every write; what lies on it can be read
    RefusesWrites,
}

/// The room that a file takes.
fn room_of(len: usize) -> u64 {
    (len as u64).div_ceil(UNIT_BYTES).max(1) * UNIT_BYTES
}

impl MemoryDrive {
    /// An empty drive.
    pub fn new(name: impl Into<String>, capacity_bytes: u64) -> Self {
        let device = NEXT_DEVICE.fetch_add(1, Ordering::Relaxed);
        Self(Arc::new(Shared {
            name: name.into(),
            capacity_bytes,
            device,
            state: Mutex::default(),
        }))
    }

    /// Changes a file behind everyone's back; `None` if there is none. Its length may change too.
    pub fn with_file<R>(&self, path: &str, change: impl FnOnce(&mut Vec<u8>) -> R) -> Option<R> {
        self.0.state(|state| {
            let file = state.files.get_mut(path)?;
            state.used_bytes -= room_of(file.len());
            let changed = change(Arc::make_mut(file));
            state.used_bytes += room_of(file.len());
            Some(changed)
        })
    }

    /// Changes one byte of a file; `false` if it has none there.
    pub fn corrupt(&self, path: &str, offset: u64, change: &mut dyn FnMut(&mut u8)) -> bool {
        let changed = self.with_file(path, |bytes| bytes.get_mut(offset as usize).map(change));
        changed.flatten().is_some()
    }

    /// Removes a file and its faults; `false` if there is none.
    pub fn remove(&self, path: &str) -> bool {
        self.0.state(|state| {
            state.bad.retain(|(bad, _)| bad != path);
            let removed = state.files.remove(path);
            state.used_bytes -= removed.as_ref().map_or(0, |file| room_of(file.len()));
            removed.is_some()
        })
    }

    /// All files, sorted.
    pub fn paths(&self) -> Vec<String> {
        self.0.state(|state| state.files.keys().cloned().collect())
    }

    /// From now on, reads that touch this range of the file fail as on bad sectors, with `EIO`.
    pub fn fail_reads(&self, path: &str, range: Range<u64>) {
        self.0.state(|state| state.bad.push((path.to_owned(), range)));
    }

    /// From now on it takes so many bytes more, and dies of the file that would exceed them.
    pub fn die_after(&self, bytes: u64, death: Death) {
        self.0.state(|state| state.dies = Some((bytes, death)));
    }

    /// From now on it is a fake: the medium holds `bytes`, and what is written after so much
    /// destroys what was written first. [`ReadMode::Cached`] does not see it.
    pub fn wrap_after(&self, bytes: usize) {
        let fake = Fake { bytes: vec![0; bytes], end: 0, starts: BTreeMap::new() };
        self.0.state(|state| state.fake = Some(fake));
    }

    /// Takes room away, as a file of somebody else would.
    pub fn take_room(&self, bytes: u64) {
        self.0.state(|state| state.used_bytes += bytes);
    }

    /// From now on every call fails as on a drive that was pulled out, with `ENODEV`.
    pub fn vanish(&self) {
        self.0.state(|state| state.gone = true);
    }
}

impl Shared {
    fn state<R>(&self, job: impl FnOnce(&mut MemoryState) -> R) -> R {
        job(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Does a job on the state, if the drive is still there.
    fn attempt<R>(
        &self,
        action: &'static str,
        path: &str,
        job: impl FnOnce(&mut MemoryState) -> io::Result<R>,
    ) -> Result<R, DriveError> {
        self.state(|state| if state.gone { Err(Errno::NODEV.into()) } else { job(state) })
            .map_err(|source| DriveError::new(&self.name, action, path, source))
    }

    fn put(
        &self,
        action: &'static str,
        path: &str,
        bytes: &[u8],
        replaces: bool,
    ) -> Result<(), DriveError> {
        let file = Arc::new(bytes.to_vec());
        self.attempt(action, path, |state| {
            state.wear(file.len() as u64)?;
            check_file(path)?;
            state.find_folder(folder_and_name(path).0)?;
            let there = state.files.contains_key(path) || state.folders.contains(path);
            if there && !replaces {
                return Err(Errno::EXIST.into());
            }
            // Old and new lie there together for a moment.
            if state.used_bytes + room_of(file.len()) > self.capacity_bytes {
                return Err(Errno::NOSPC.into());
            }
            if there {
                state.remove_folder(path)?;
                state.bad.retain(|(bad, _)| bad != path);
                state.used_bytes -= state.files.get(path).map_or(0, |old| room_of(old.len()));
            }
            state.used_bytes += room_of(file.len());
            if let Some(fake) = &mut state.fake {
                fake.put(path, &file);
            }
            state.files.insert(path.to_owned(), file);
            Ok(())
        })
    }
}

impl Fake {
    fn put(&mut self, path: &str, file: &[u8]) {
        let len = self.bytes.len();
        for (number, byte) in file.iter().enumerate() {
            self.bytes[(self.end as usize + number) % len] = *byte;
        }
        self.starts.insert(path.to_owned(), self.end);
        self.end += room_of(file.len());
    }

    /// A file's bytes as the medium gives them; none if it was written before this was a fake.
    fn find(&self, path: &str, len: usize) -> Option<Vec<u8>> {
        let start = *self.starts.get(path)? as usize;
        Some((start..start + len).map(|at| self.bytes[at % self.bytes.len()]).collect())
    }
}

impl MemoryState {
    /// Counts what is written until the drive dies.
    fn wear(&mut self, bytes: u64) -> io::Result<()> {
        let Some((left, death)) = &mut self.dies else { return Ok(()) };
        let needed = bytes.max(1); // so that a dead drive takes no empty file either
        if let Some(rest) = left.checked_sub(needed) {
            *left = rest;
            return Ok(());
        }
        *left = 0;
        self.gone = *death == Death::Vanishes;
        Err(if self.gone { Errno::NODEV } else { Errno::IO }.into())
    }

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
        self.wear(pieces.iter().map(|(_, piece)| piece.len() as u64).sum())?;
        self.find_file(path)?;
        let file = Arc::make_mut(self.files.get_mut(path).ok_or(Errno::NOENT)?);
        for (offset, piece) in pieces {
            let range = *offset as usize..*offset as usize + piece.len();
            file.get_mut(range.clone()).ok_or(Errno::INVAL)?.copy_from_slice(piece);
            // A drive gives a bad sector that is written another place.
            let (from, to) = (range.start as u64, range.end as u64);
            self.bad.retain(|(bad, r)| bad != path || r.start < from || r.end > to);
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

    fn write(&self, path: &str, bytes: &[u8]) -> Result<(), DriveError> {
        self.0.put("write", path, bytes, false)
    }

    fn sync(&self) -> Result<(), DriveError> {
        self.0.attempt("sync", "", |_| Ok(()))
    }

    fn commit(&self, path: &str, bytes: &[u8]) -> Result<(), DriveError> {
        self.0.put("commit", path, bytes, false)
    }

    fn replace(&self, path: &str, bytes: &[u8]) -> Result<(), DriveError> {
        self.0.put("replace", path, bytes, true)
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
                state.used_bytes -= room_of(file.len());
            }
            Ok(())
        })
    }

    fn open(&self, path: &str, mode: ReadMode) -> Result<Box<dyn DriveFile>, DriveError> {
        let len = self.0.attempt("open", path, |state| {
            check_file(path)?;
            Ok(state.find_file(path)?.len() as u64)
        })?;
        Ok(Box::new(MemoryFile { drive: Arc::clone(&self.0), path: path.to_owned(), len, mode }))
    }

    fn level(&self) -> Level {
        Level::Direct
    }
}

/// A file that is open for reading, by its name.
struct MemoryFile {
    drive: Arc<Shared>,
    path: String,
    len: u64,
    mode: ReadMode,
}

impl DriveFile for MemoryFile {
    fn read_at(&mut self, offset: u64, buf: &mut [u8]) -> Result<usize, DriveError> {
        let file = self.drive.attempt("read", &self.path, |state| {
            let file = state.find_file(&self.path)?;
            let end = (offset + buf.len() as u64).min(file.len() as u64);
            let mut bad = state.bad.iter().filter(|(path, _)| *path == self.path);
            if bad.any(|(_, range)| offset.max(range.start) < end.min(range.end)) {
                return Err(Errno::IO.into());
            }
            let fake = state.fake.as_ref().filter(|_| self.mode == ReadMode::Medium);
            let found = fake.and_then(|fake| fake.find(&self.path, file.len()));
            Ok(found.map_or_else(|| Arc::clone(file), Arc::new))
        })?;
        let found = file.get(offset as usize..).unwrap_or_default();
        let read = found.len().min(buf.len());
        buf[..read].copy_from_slice(&found[..read]);
        Ok(read)
    }

    fn len(&self) -> u64 {
        self.len
    }
}
