//! Drives in memory that all lose their power at one call, and what the power loss leaves on them.

use super::random::Random;
use holdall::testing::drives::{Drive, DriveError, WriteMode};
use holdall::testing::faulty::FaultyDrive;
use holdall::testing::proxy::{Call, CallKind, FileRead, Proxy};
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
#[derive(Clone)]
pub struct Fused {
    inner: FaultyDrive,
    fuse: Arc<Fuse>,
    /// written since the last sync
    unsynced: Arc<Mutex<BTreeSet<String>>>,
}

impl Fused {
    /// The drive, on this fuse.
    pub fn new(inner: &FaultyDrive, fuse: &Arc<Fuse>) -> Arc<Self> {
        Arc::new(Self { inner: inner.clone(), fuse: fuse.clone(), unsynced: Arc::default() })
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
            (1, _) => self.inner.write(path, bytes, WriteMode::New),
            (_, false) => self.inner.write(path, half, WriteMode::New),
            (_, true) => self.inner.write(&format!("{path}.tmp"), half, WriteMode::New),
        };
    }
}

impl Proxy for Fused {
    fn below(&self) -> &dyn Drive {
        &self.inner
    }

    fn call(
        &self,
        call: &Call,
        run: &mut dyn FnMut() -> Result<(), DriveError>,
    ) -> Result<(), DriveError> {
        let path = call.path;
        match call.kind {
            CallKind::Write { bytes, mode: WriteMode::New } => {
                let write = || {
                    self.unsynced.lock().unwrap().insert(path.to_owned());
                    run()
                };
                self.fuse.call(write, || self.half(path, bytes, false))
            }
            CallKind::Write { bytes, mode: WriteMode::Commit } => {
                let commit = || {
                    self.inner.remove(&format!("{path}.tmp"));
                    run()
                };
                let number = self.fuse.number(path);
                self.fuse.numbered(number, commit, || self.half(path, bytes, true))
            }
            CallKind::Sync => {
                let sync = || {
                    self.unsynced.lock().unwrap().clear();
                    run()
                };
                self.fuse.call(sync, || ())
            }
            _ => self.fuse.call(run, || ()),
        }
    }

    fn read_file(&self, mut reading: FileRead) -> Result<usize, DriveError> {
        self.fuse.call(|| reading.run(), || ())
    }
}
