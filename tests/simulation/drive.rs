//! Drives in memory that all lose their power at one call, and what the power loss leaves on them.

use super::random::Random;
use holdall::testing::drives::Level;
use holdall::testing::drives::{Drive, DriveError, DriveFile, MemoryDrive, ReadMode, Room};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, RwLock};

/// What a panic that stands for a crash says.
pub const POWER_OFF: &str = "power off";

/// Counts the calls on all drives; from one call on, each fails.
pub struct Fuse {
    calls: AtomicU64,
    blows_at: u64,
    /// or at the first file that is committed under such a name
    blows_on: Option<&'static str>,
    /// a call that is at work is not cut by the blowing
    at_work: RwLock<()>,
    blown: AtomicBool,
    /// it panics instead of failing
    panics: bool,
    /// the host's folder, copied at the moment of the crash
    host: Option<(PathBuf, PathBuf)>,
}

impl Fuse {
    /// Never blows.
    pub fn never() -> Arc<Self> {
        Self::new(u64::MAX, false, None)
    }

    /// Blows at this call; what `host.0` then holds is copied to `host.1`.
    pub fn at(call: u64, host: (&Path, &Path)) -> Arc<Self> {
        Self::new(call, false, Some((host.0.into(), host.1.into())))
    }

    /// Blows when a file is committed whose path ends so.
    pub fn on(name: &'static str, host: (&Path, &Path)) -> Arc<Self> {
        let host = Some((host.0.into(), host.1.into()));
        Arc::new(Self { blows_on: Some(name), ..Self::of(u64::MAX, false, host) })
    }

    /// Panics at this call.
    pub fn panicking_at(call: u64) -> Arc<Self> {
        Self::new(call, true, None)
    }

    fn new(blows_at: u64, panics: bool, host: Option<(PathBuf, PathBuf)>) -> Arc<Self> {
        Arc::new(Self::of(blows_at, panics, host))
    }

    fn of(blows_at: u64, panics: bool, host: Option<(PathBuf, PathBuf)>) -> Self {
        let (calls, blown) = (AtomicU64::new(0), AtomicBool::new(false));
        let at_work = RwLock::new(());
        Self { calls, blows_at, blows_on: None, at_work, blown, panics, host }
    }

    /// The next call's number; the one that blows if the name says so.
    fn number(&self, path: &str) -> u64 {
        let number = self.calls.fetch_add(1, Ordering::SeqCst);
        let named = self.blows_on.is_some_and(|name| path.ends_with(name));
        if named && !self.is_blown() { self.blows_at } else { number }
    }

    /// Has it blown?
    pub fn is_blown(&self) -> bool {
        self.blown.load(Ordering::SeqCst)
    }

    /// Calls so far.
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::SeqCst)
    }

    /// Does a call if there is power. `last` does what the call that is cut leaves.
    fn call<R>(
        &self,
        job: impl FnOnce() -> Result<R, DriveError>,
        last: impl FnOnce(),
    ) -> Result<R, DriveError> {
        self.numbered(self.number(""), job, last)
    }

    fn numbered<R>(
        &self,
        number: u64,
        job: impl FnOnce() -> Result<R, DriveError>,
        last: impl FnOnce(),
    ) -> Result<R, DriveError> {
        let alone = self.at_work.write().unwrap();
        if number == self.blows_at && !self.is_blown() {
            self.blown.store(true, Ordering::SeqCst);
            if let Some((from, to)) = &self.host {
                copy_folder(from, to);
            }
            last();
        }
        drop(alone);
        let at_work = self.at_work.read().unwrap();
        if !self.is_blown() {
            return job();
        }
        if self.panics {
            // The others must be able to go on to their own panic.
            drop(at_work);
            std::panic::resume_unwind(Box::new(POWER_OFF));
        }
        let (drive, path) = (String::new(), String::new());
        let source = std::io::Error::from_raw_os_error(19);
        Err(DriveError { drive, action: "use", path, source })
    }
}

/// Copies the files of a folder, one level of folders deep.
pub fn copy_folder(from: &Path, to: &Path) {
    let _ = fs::remove_dir_all(to);
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).into_iter().flatten() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// A drive that hangs on a fuse.
pub struct Fused {
    inner: MemoryDrive,
    fuse: Arc<Fuse>,
    /// written since the last sync
    unsynced: Mutex<BTreeSet<String>>,
}

impl Fused {
    /// The drive, on this fuse.
    pub fn new(inner: &MemoryDrive, fuse: &Arc<Fuse>) -> Arc<Self> {
        Arc::new(Self { inner: inner.clone(), fuse: fuse.clone(), unsynced: Mutex::default() })
    }

    /// What the power loss does: each file that was not synced is whole, cut, empty or gone.
    pub fn lose_power(&self, random: &mut Random) {
        for path in std::mem::take(&mut *self.unsynced.lock().unwrap()) {
            match random.below(5) {
                0 | 1 => {}
                2 => drop(self.inner.remove(&path)),
                3 => drop(self.inner.with_file(&path, |bytes| {
                    let len = random.below(bytes.len() + 1);
                    bytes.truncate(len);
                })),
                // As where a file system made the length durable, but not the bytes.
                _ => drop(self.inner.with_file(&path, |bytes| {
                    let from = random.below(bytes.len() + 1);
                    bytes[from..].fill(0);
                })),
            }
        }
    }

    /// How the file that is being written when power fails is left.
    fn half(&self, path: &str, bytes: &[u8], whole: bool) {
        // By the call's own bytes, so that it is the same each time.
        let draw = blake3::hash(path.as_bytes()).as_bytes()[0];
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        let _ = self.inner.make_folder(folder);
        let half = &bytes[..bytes.len() / 2];
        let _ = match (draw % 3, whole) {
            (0, _) => Ok(()),
            (1, _) => self.inner.write(path, bytes),
            (_, false) => self.inner.write(path, half),
            (_, true) => self.inner.write(&format!("{path}.tmp"), half),
        };
    }
}

impl Drive for Fused {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn room(&self) -> Result<Room, DriveError> {
        self.fuse.call(|| self.inner.room(), || ())
    }

    fn make_folder(&self, path: &str) -> Result<(), DriveError> {
        self.fuse.call(|| self.inner.make_folder(path), || ())
    }

    fn list(&self, path: &str) -> Result<Vec<String>, DriveError> {
        self.fuse.call(|| self.inner.list(path), || ())
    }

    fn write(&self, path: &str, bytes: &[u8]) -> Result<(), DriveError> {
        let write = || {
            self.unsynced.lock().unwrap().insert(path.to_owned());
            self.inner.write(path, bytes)
        };
        self.fuse.call(write, || self.half(path, bytes, false))
    }

    fn sync(&self) -> Result<(), DriveError> {
        let sync = || {
            self.unsynced.lock().unwrap().clear();
            self.inner.sync()
        };
        self.fuse.call(sync, || ())
    }

    fn commit(&self, path: &str, bytes: &[u8]) -> Result<(), DriveError> {
        let commit = || {
            self.inner.remove(&format!("{path}.tmp"));
            self.inner.commit(path, bytes)
        };
        let number = self.fuse.number(path);
        self.fuse.numbered(number, commit, || self.half(path, bytes, true))
    }

    fn replace(&self, path: &str, bytes: &[u8]) -> Result<(), DriveError> {
        self.fuse.call(|| self.inner.replace(path, bytes), || ())
    }

    fn rewrite(&self, path: &str, pieces: &[(u64, &[u8])]) -> Result<(), DriveError> {
        self.fuse.call(|| self.inner.rewrite(path, pieces), || ())
    }

    fn remove_folder(&self, path: &str) -> Result<(), DriveError> {
        self.fuse.call(|| self.inner.remove_folder(path), || ())
    }

    fn remove(&self, path: &str) -> Result<(), DriveError> {
        self.fuse.call(|| Drive::remove(&self.inner, path), || ())
    }

    fn open(&self, path: &str, mode: ReadMode) -> Result<Box<dyn DriveFile>, DriveError> {
        let inner = self.fuse.call(|| self.inner.open(path, mode), || ())?;
        Ok(Box::new(FusedFile { inner, fuse: self.fuse.clone() }))
    }

    fn level(&self) -> Level {
        self.inner.level()
    }
}

struct FusedFile {
    inner: Box<dyn DriveFile>,
    fuse: Arc<Fuse>,
}

impl DriveFile for FusedFile {
    fn read_at(&mut self, offset: u64, buf: &mut [u8]) -> Result<usize, DriveError> {
        let Self { inner, fuse } = self;
        fuse.call(|| inner.read_at(offset, buf), || ())
    }

    fn len(&self) -> u64 {
        self.inner.len()
    }
}
