//! A drive that is repaired: what is done to it, and what it refuses.

use crate::drives::{Drive, DriveError};
use crate::format::shown::error_chain;
use crate::monitor::{Monitor, Problem, ProblemKind};
use crate::shards::answers::GONE;
use crate::shipment::FoundDrive;
use parking_lot::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// A drive that refuses so many writes is left out.
const MOST_ERRORS: u64 = 8;

/// Why a drive was not written to, as far as that says what helps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Refused {
    #[default]
    Other,
    /// it is mounted read-only
    ReadOnly,
    /// there is no room on it
    Full,
    /// it no longer answers
    Gone,
}

/// A drive that is repaired.
pub struct RepairTarget<'a> {
    /// the drive, and the label by which it is used
    pub found: FoundDrive,
    /// its place among the set's drives
    pub number: usize,
    monitor: &'a dyn Monitor,
    errors: AtomicU64,
    out: AtomicBool,
    refusal: Mutex<Refused>,
    /// blocks that were rewritten in place
    pub blocks: AtomicU64,
    /// shards that were written whole
    pub shards: AtomicU64,
    /// other files that were written
    pub metadata_files: AtomicU64,
}

impl<'a> RepairTarget<'a> {
    /// Nothing is done to it yet.
    pub fn new(found: FoundDrive, number: usize, monitor: &'a dyn Monitor) -> Self {
        let (errors, out, refusal, blocks, shards, metadata_files) = Default::default();
        Self { found, number, monitor, errors, out, refusal, blocks, shards, metadata_files }
    }

    pub fn drive(&self) -> &dyn Drive {
        self.found.drive.as_ref()
    }

    /// Is nothing more asked of it, since it vanished or refuses to be written to?
    pub fn is_out(&self) -> bool {
        self.out.load(Ordering::SeqCst)
    }

    /// Did it refuse a write, or vanish?
    pub fn has_failed(&self) -> bool {
        self.is_out() || self.errors.load(Ordering::SeqCst) > 0
    }

    /// Why it did.
    pub fn refusal(&self) -> Refused {
        *self.refusal.lock()
    }

    /// Asks nothing more of it, since it vanished.
    pub fn leave_out(&self) {
        *self.refusal.lock() = Refused::Gone;
        self.out.store(true, Ordering::SeqCst);
    }

    /// Looks if it still answers; one that does not is reported and left out.
    pub fn probe(&self) {
        if !self.is_out()
            && self.drive().list("").is_err()
            && !self.out.swap(true, Ordering::SeqCst)
        {
            let name = self.drive().name();
            *self.refusal.lock() = Refused::Gone;
            self.monitor.problem(Problem::new(ProblemKind::Drive, name, "it no longer answers"));
        }
    }

    /// Was anything written to it?
    pub fn is_written(&self) -> bool {
        let counts = [&self.blocks, &self.shards, &self.metadata_files];
        counts.iter().any(|count| count.load(Ordering::SeqCst) > 0)
    }

    /// Writes to the drive. An error is reported, and does not end anything but what is done to a
    /// drive that vanished, is full or refuses again and again. Says whether it went well.
    pub fn write(&self, job: impl FnOnce(&dyn Drive) -> Result<(), DriveError>) -> bool {
        if self.is_out() {
            return false;
        }
        let Err(error) = job(self.drive()) else { return true };
        let errors = self.errors.fetch_add(1, Ordering::SeqCst) + 1;
        let vanished = self.drive().list("").is_err();
        *self.refusal.lock() = match &error {
            _ if vanished => Refused::Gone,
            error if error.is_full() => Refused::Full,
            error if error.is_read_only() => Refused::ReadOnly,
            _ => Refused::Other,
        };
        let ends = vanished || error.is_full() || errors >= MOST_ERRORS;
        if ends && self.out.swap(true, Ordering::SeqCst) {
            return false; // said already
        }
        let detail = if vanished {
            GONE.into()
        } else if ends {
            format!("{}; nothing more is written to it", error_chain(&error))
        } else {
            error_chain(&error)
        };
        self.monitor.problem(Problem::new(ProblemKind::Drive, self.drive().name(), detail));
        false
    }
}

/// Adds to a counter.
pub fn count(counter: &AtomicU64, more: usize) {
    counter.fetch_add(more as u64, Ordering::SeqCst);
}
