//! The state of a job's progress.
//!
//! - Enters: counts, from any thread of the job.
//! - Leaves: the present phase, and of it and each drive a [`Reading`]: how much of how much, how
//!   fast, how long still.
//! - Always holds: (1) to count is an atomic addition behind an atomic pointer: who counts waits for
//!   nobody, however often a line is drawn; (2) counts outside a phase, and of drives that did not
//!   join, are nobody's.

use super::bottleneck::{Bottleneck, TimeSpent, Times};
use super::counter::{Counter, Reading, Unit};
use crate::cli::text::columns;
use crate::monitor::{Phase, Spent};
use arc_swap::{ArcSwap, ArcSwapOption};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// The phase that runs, if one does.
#[derive(Default)]
pub struct Progress {
    present: ArcSwapOption<PhaseProgress>,
    /// what is packed is read back then
    reads_back: AtomicBool,
}

impl Progress {
    /// Begins a phase; the one before has ended.
    pub fn begin(&self, phase: Phase, total: u64) -> Arc<PhaseProgress> {
        let reads_back = phase == Phase::Pack && self.reads_back.load(Ordering::Relaxed);
        let then = reads_back.then_some(Phase::ReadBack);
        let begun = Arc::new(PhaseProgress { then, ..PhaseProgress::new(phase, total) });
        self.present.store(Some(Arc::clone(&begun)));
        begun
    }

    /// Is what will be packed read back then?
    pub fn set_reads_back(&self, reads_back: bool) {
        self.reads_back.store(reads_back, Ordering::Relaxed);
    }

    /// Ends the phase that runs, and returns it.
    pub fn end(&self) -> Option<Arc<PhaseProgress>> {
        self.present.swap(None)
    }

    /// The phase that runs, if one does.
    pub fn phase(&self) -> Option<Phase> {
        self.present.load().as_ref().map(|present| present.phase)
    }

    /// Counts in the phase that runs.
    pub fn count(&self, count: impl FnOnce(&PhaseProgress)) {
        if let Some(present) = self.present.load().as_deref() {
            count(present);
        }
    }

    /// A drive joins the phase that runs, or its total is corrected. Returns both if it is new.
    pub fn join(
        &self,
        drive: usize,
        name: &str,
        total: u64,
    ) -> Option<(Arc<PhaseProgress>, Arc<DriveProgress>)> {
        let present = self.present.load_full()?;
        let joined = present.join(drive, name, total)?;
        Some((present, joined))
    }
}

/// A phase and its drives.
pub struct PhaseProgress {
    pub phase: Phase,
    /// a phase that works on the same bytes and follows, if it is known
    pub then: Option<Phase>,
    began: Instant,
    counter: Counter,
    times: Times,
    /// of the longest name of a drive
    name_columns: AtomicUsize,
    drives: ArcSwap<BTreeMap<usize, Arc<DriveProgress>>>,
}

/// A drive of the phase.
pub struct DriveProgress {
    pub number: usize,
    pub name: String,
    counter: Counter,
    at_work: TimeSpent,
}

impl PhaseProgress {
    fn new(phase: Phase, total: u64) -> Self {
        Self {
            phase,
            then: None,
            began: Instant::now(),
            counter: Counter::new(Unit::of(phase), total),
            times: Times::new(),
            name_columns: AtomicUsize::new(0),
            drives: ArcSwap::default(),
        }
    }

    /// So much more is done.
    pub fn advance(&self, amount: u64) {
        self.counter.add(amount);
    }

    /// So much time went into something.
    pub fn spent(&self, on: Spent, time: Duration) {
        match on {
            Spent::Drive(drive) => {
                if let Some(drive) = self.drives.load().get(&drive) {
                    drive.at_work.add(time);
                }
            }
            on => self.times.add(on, time),
        }
    }

    /// Corrects the total.
    pub fn retotal(&self, total: u64) {
        self.counter.retotal(total);
    }

    /// A drive did so many bytes more.
    pub fn drive_advance(&self, drive: usize, bytes: u64) {
        if let Some(drive) = self.drives.load().get(&drive) {
            drive.counter.add(bytes);
        }
    }

    fn join(&self, drive: usize, name: &str, total: u64) -> Option<Arc<DriveProgress>> {
        if let Some(known) = self.drives.load().get(&drive).filter(|known| known.name == name) {
            known.counter.retotal(total);
            return None;
        }
        let (counter, at_work) = (Counter::new(Unit::Bytes, total), TimeSpent::new());
        let joined = Arc::new(DriveProgress { number: drive, name: name.into(), counter, at_work });
        self.name_columns.fetch_max(columns(name), Ordering::Relaxed);
        self.drives.rcu(|drives| {
            let mut drives = BTreeMap::clone(drives);
            drives.insert(drive, Arc::clone(&joined));
            drives
        });
        Some(joined)
    }

    /// How far it is.
    pub fn reading(&self) -> Reading {
        self.reading_at(Instant::now())
    }

    pub fn reading_at(&self, now: Instant) -> Reading {
        self.counter.reading_at(now)
    }

    /// What it waits for most, if that was measured.
    pub fn bottleneck(&self) -> Option<Bottleneck> {
        let (now, drives) = (Instant::now(), self.drives.load());
        let part = |d: &Arc<DriveProgress>| d.at_work.part(now);
        let drives: Vec<_> =
            drives.values().map(|d| (d.number, d.name.as_str(), part(d))).collect();
        self.times.bottleneck(&drives, now)
    }

    /// The columns that the longest name of a drive takes.
    pub fn name_columns(&self) -> usize {
        self.name_columns.load(Ordering::Relaxed)
    }

    pub fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// Its drives, in the order of their numbers.
    pub fn drives(&self) -> Vec<Arc<DriveProgress>> {
        self.drives.load().values().cloned().collect()
    }
}

impl DriveProgress {
    /// How far it is.
    pub fn reading(&self) -> Reading {
        self.counter.reading_at(Instant::now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Review A7: as where data that compressed well is followed by data that does not.
    #[test]
    fn a_share_does_not_go_back_and_is_no_hundred_before_the_end() {
        let phase = Progress::default().begin(Phase::Pack, 100);
        let share = || phase.reading().share();
        phase.advance(60);
        assert_eq!(share(), Some(60));
        phase.retotal(200);
        assert_eq!(share(), Some(60));
        phase.advance(100);
        assert_eq!((share(), phase.reading().total), (Some(80), 200));
        phase.advance(50);
        assert_eq!((share(), phase.reading().total), (Some(100), 210));
        phase.retotal(300);
        assert_eq!(share(), Some(99));
    }

    #[test]
    fn counts_outside_a_phase_and_of_strangers_are_nobodys() {
        let progress = Progress::default();
        progress.count(|phase| phase.advance(1));
        assert!(progress.join(0, "before any phase", 1).is_none());
        let phase = progress.begin(Phase::Pack, 100);
        let joins = |drive, name, total| progress.join(drive, name, total).is_some();
        assert!(joins(2, "c", 10) && joins(0, "a", 10) && !joins(2, "c", 20));
        progress.count(|phase| phase.advance(5));
        progress.count(|phase| phase.drive_advance(2, 7));
        progress.count(|phase| phase.drive_advance(9, 7));
        let names = || phase.drives().iter().map(|d| d.name.clone()).collect::<Vec<_>>();
        assert_eq!(names(), ["a", "c"]);
        let reading = phase.drives()[1].reading();
        assert_eq!((reading.done, reading.total), (7, 20));
        assert!(joins(2, "another", 10));
        assert_eq!(names(), ["a", "another"]);
        assert_eq!((phase.reading().done, phase.reading().total), (5, 100));
        assert!(progress.end().is_some() && progress.end().is_none());
        assert!(progress.begin(Phase::Scan, 0).drives().is_empty());
    }
}
