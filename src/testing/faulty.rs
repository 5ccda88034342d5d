//! A drive in memory that can be made to fail.
//!
//! - Enters: what enters any drive, and faults.
//! - Leaves: what a [`MemoryDrive`] gives, or the error that a real drive would give.
//! - Always holds: a fault is seen by files that are open already.

use super::proxy::{Call, CallKind, FileRead, Proxy};
use crate::drives::{Drive, DriveError, MemoryDrive, ReadMode, WriteMode};
use parking_lot::{Mutex, MutexGuard};
use rustix::io::Errno;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

/// A [`MemoryDrive`] with faults; clones are the same drive.
#[derive(Clone)]
pub struct FaultyDrive {
    below: MemoryDrive,
    faults: Arc<Mutex<Faults>>,
}

#[derive(Default)]
struct Faults {
    bad: Vec<(String, Range<u64>)>,
    /// bytes that it takes before it dies, and how
    dies: Option<(u64, Death)>,
    /// the medium of a fake; the drive below is its cache then
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

/// How a drive ends; see [`FaultyDrive::die_after`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Death {
    /// as if pulled out, with `ENODEV` for everything
    Vanishes,
    /// with `EIO` for every write; what lies on it can be read
    RefusesWrites,
}

impl FaultyDrive {
    /// An empty drive without faults.
    pub fn new(name: impl Into<String>, capacity_bytes: u64) -> Self {
        Self { below: MemoryDrive::new(name, capacity_bytes), faults: Arc::default() }
    }

    /// Changes a file behind everyone's back; `None` if there is none. Its length may change too.
    pub fn with_file<R>(&self, path: &str, change: impl FnOnce(&mut Vec<u8>) -> R) -> Option<R> {
        self.below.with_file(path, change)
    }

    /// Changes one byte of a file; `false` if it has none there.
    pub fn corrupt(&self, path: &str, offset: u64, change: &mut dyn FnMut(&mut u8)) -> bool {
        let changed = self.with_file(path, |bytes| bytes.get_mut(offset as usize).map(change));
        changed.flatten().is_some()
    }

    /// Removes a file and its faults; `false` if there is none.
    pub fn remove(&self, path: &str) -> bool {
        self.faults().bad.retain(|(bad, _)| bad != path);
        let there = self.has(path);
        self.below.remove(path).is_ok() && there
    }

    /// All files, sorted.
    pub fn paths(&self) -> Vec<String> {
        self.below.paths()
    }

    /// From now on, reads that touch this range of the file fail as on bad sectors, with `EIO`.
    pub fn fail_reads(&self, path: &str, range: Range<u64>) {
        self.faults().bad.push((path.to_owned(), range));
    }

    /// From now on it takes so many bytes more, and dies of the file that would exceed them.
    pub fn die_after(&self, bytes: u64, death: Death) {
        self.faults().dies = Some((bytes, death));
    }

    /// From now on it is a fake: the medium holds `bytes`, and what is written after so much
    /// destroys what was written first. [`ReadMode::Cached`] does not see it.
    pub fn wrap_after(&self, bytes: usize) {
        let fake = Fake { bytes: vec![0; bytes], end: 0, starts: BTreeMap::new() };
        self.faults().fake = Some(fake);
    }

    /// Takes room away, as a file of somebody else would.
    pub fn take_room(&self, bytes: u64) {
        self.below.take_room(bytes);
    }

    /// From now on every call fails as on a drive that was pulled out, with `ENODEV`.
    pub fn vanish(&self) {
        self.faults().gone = true;
    }

    fn faults(&self) -> MutexGuard<'_, Faults> {
        self.faults.lock()
    }

    fn has(&self, path: &str) -> bool {
        self.below.open(path, ReadMode::Cached).is_ok()
    }

    fn error(&self, action: &'static str, path: &str, errno: Errno) -> DriveError {
        let (drive, path) = (self.below.name().to_owned(), path.to_owned());
        DriveError { drive, action, path, source: errno.into() }
    }
}

impl Proxy for FaultyDrive {
    fn below(&self) -> &dyn Drive {
        &self.below
    }

    fn call(
        &self,
        call: &Call,
        run: &mut dyn FnMut() -> Result<(), DriveError>,
    ) -> Result<(), DriveError> {
        let mut faults = self.faults();
        let failed = |errno| self.error(call.action(), call.path, errno);
        if faults.gone {
            return Err(failed(Errno::NODEV));
        }
        match call.kind {
            CallKind::Write { bytes, mode } => {
                faults.wear(bytes.len() as u64).map_err(failed)?;
                let was_there = mode == WriteMode::Replace && self.has(call.path);
                run()?;
                if was_there {
                    faults.bad.retain(|(bad, _)| bad != call.path);
                }
                if let Some(fake) = &mut faults.fake {
                    fake.put(call.path, bytes);
                }
            }
            CallKind::Rewrite(pieces) => {
                let bytes = pieces.iter().map(|(_, piece)| piece.len() as u64).sum();
                faults.wear(bytes).map_err(failed)?;
                run()?;
                for (from, piece) in pieces {
                    // A drive gives a bad sector that is written another place.
                    let to = from + piece.len() as u64;
                    faults.bad.retain(|(bad, r)| bad != call.path || r.start < *from || r.end > to);
                }
            }
            _ => {
                drop(faults);
                run()?;
            }
        }
        Ok(())
    }

    fn read_file(&self, mut reading: FileRead) -> Result<usize, DriveError> {
        let path = reading.path;
        let failed = |errno| self.error("read", path, errno);
        if self.faults().gone {
            return Err(failed(Errno::NODEV));
        }
        let read = reading.run()?;
        let (from, to) = (reading.offset, reading.offset + read as u64);
        let faults = self.faults();
        let mut bad = faults.bad.iter().filter(|(bad, _)| bad == path);
        if bad.any(|(_, range)| from.max(range.start) < to.min(range.end)) {
            return Err(failed(Errno::IO));
        }
        if let Some(fake) = faults.fake.as_ref().filter(|_| reading.mode == ReadMode::Medium) {
            fake.read(path, from, &mut reading.buf[..read]);
        }
        Ok(read)
    }
}

impl Faults {
    /// Counts what is written until the drive dies.
    fn wear(&mut self, bytes: u64) -> Result<(), Errno> {
        let Some((left, death)) = &mut self.dies else { return Ok(()) };
        let needed = bytes.max(1); // so that a dead drive takes no empty file either
        if let Some(rest) = left.checked_sub(needed) {
            *left = rest;
            return Ok(());
        }
        *left = 0;
        self.gone = *death == Death::Vanishes;
        Err(if self.gone { Errno::NODEV } else { Errno::IO })
    }
}

impl Fake {
    fn put(&mut self, path: &str, file: &[u8]) {
        let len = self.bytes.len();
        for (number, byte) in file.iter().enumerate() {
            self.bytes[(self.end as usize + number) % len] = *byte;
        }
        self.starts.insert(path.to_owned(), self.end);
        self.end += MemoryDrive::room_of(file.len());
    }

    /// Gives a file's bytes as the medium does; leaves those of one that was written before.
    fn read(&self, path: &str, offset: u64, buf: &mut [u8]) {
        let Some(start) = self.starts.get(path) else { return };
        for (at, byte) in buf.iter_mut().enumerate() {
            *byte = self.bytes[((start + offset) as usize + at) % self.bytes.len()];
        }
    }
}
