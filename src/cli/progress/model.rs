//! The state of a job's progress.
//!
//! - Enters: counts, from any thread of the job.
//! - Leaves: the present phase, and of it and each drive a [`Reading`]: how much of how much, how
//!   fast, how long still.
//! - Always holds: (1) to count is an atomic addition behind an atomic pointer: who counts waits for
//!   nobody, however often a line is drawn; (2) counts outside a phase, and of drives that did not
//!   join, are nobody's; (3) a share is rounded down: 100 % means all.

use crate::monitor::Phase;
use arc_swap::{ArcSwap, ArcSwapOption};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// What was done longer ago than this counts for a tenth of the rate.
const RATE_SECONDS: f64 = 15.0;
/// A longer time left is not told: it comes from a rate that says nothing yet.
const LONGEST_SECONDS: f64 = 100.0 * 86_400.0;

/// The phase that runs, if one does.
#[derive(Default)]
pub struct Progress {
    present: ArcSwapOption<PhaseProgress>,
}

impl Progress {
    /// Begins a phase; the one before has ended.
    pub fn begin(&self, phase: Phase, total: u64) -> Arc<PhaseProgress> {
        let begun = Arc::new(PhaseProgress::new(phase, total));
        self.present.store(Some(Arc::clone(&begun)));
        begun
    }

    /// Ends the phase that runs, and returns it.
    pub fn end(&self) -> Option<Arc<PhaseProgress>> {
        self.present.swap(None)
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
    began: Instant,
    counter: Counter,
    drives: ArcSwap<BTreeMap<usize, Arc<DriveProgress>>>,
}

/// A drive of the phase.
pub struct DriveProgress {
    pub number: usize,
    pub name: String,
    counter: Counter,
}

impl PhaseProgress {
    fn new(phase: Phase, total: u64) -> Self {
        let (began, drives) = (Instant::now(), ArcSwap::default());
        Self { phase, began, counter: Counter::new(Unit::of(phase), total), drives }
    }

    /// So much more is done.
    pub fn advance(&self, amount: u64) {
        self.counter.done.fetch_add(amount, Ordering::Relaxed);
    }

    /// Corrects the total.
    pub fn retotal(&self, total: u64) {
        self.counter.total.store(total, Ordering::Relaxed);
    }

    /// A drive did so many bytes more.
    pub fn drive_advance(&self, drive: usize, bytes: u64) {
        if let Some(drive) = self.drives.load().get(&drive) {
            drive.counter.done.fetch_add(bytes, Ordering::Relaxed);
        }
    }

    fn join(&self, drive: usize, name: &str, total: u64) -> Option<Arc<DriveProgress>> {
        if let Some(known) = self.drives.load().get(&drive).filter(|known| known.name == name) {
            known.counter.total.store(total, Ordering::Relaxed);
            return None;
        }
        let counter = Counter::new(Unit::Bytes, total);
        let joined = Arc::new(DriveProgress { number: drive, name: name.into(), counter });
        self.drives.rcu(|drives| {
            let mut drives = BTreeMap::clone(drives);
            drives.insert(drive, Arc::clone(&joined));
            drives
        });
        Some(joined)
    }

    /// How far it is.
    pub fn reading(&self) -> Reading {
        self.counter.reading()
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
        self.counter.reading()
    }
}

/// What a phase counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    Bytes,
    /// entries of the dataset
    Entries,
}

impl Unit {
    fn of(phase: Phase) -> Self {
        match phase {
            Phase::Scan | Phase::Finish => Self::Entries,
            Phase::Pack
            | Phase::ReadBack
            | Phase::Verify
            | Phase::Repair
            | Phase::Decode
            | Phase::Restore
            | Phase::Stage
            | Phase::Bench => Self::Bytes,
        }
    }
}

/// What is done, out of what, and how fast it has been growing.
struct Counter {
    unit: Unit,
    done: AtomicU64,
    total: AtomicU64,
    /// only those who look lock it
    rate: Mutex<Rate>,
}

impl Counter {
    fn new(unit: Unit, total: u64) -> Self {
        let rate = Mutex::new(Rate::new(Instant::now()));
        Self { unit, done: AtomicU64::new(0), total: AtomicU64::new(total), rate }
    }

    fn reading(&self) -> Reading {
        let mut rate = self.rate.lock();
        let done = self.done.load(Ordering::Relaxed);
        let rate = rate.after(done, Instant::now());
        Reading { unit: self.unit, done, total: self.total.load(Ordering::Relaxed), rate }
    }
}

/// A counter at one moment.
#[derive(Clone, Copy, Debug)]
pub struct Reading {
    pub unit: Unit,
    pub done: u64,
    /// 0 if unknown
    pub total: u64,
    /// per second; not a number at the first look
    pub rate: f64,
}

impl Reading {
    /// In per cent; none if the total is unknown.
    pub fn share(&self) -> Option<u64> {
        let share = (u128::from(self.done) * 100).checked_div(u128::from(self.total))?;
        Some(share.min(100) as u64)
    }

    /// The time that is left, if it is known.
    pub fn left(&self) -> Option<Duration> {
        let left = self.total.checked_sub(self.done).filter(|&left| left > 0)?;
        let seconds = left as f64 / self.rate;
        (seconds <= LONGEST_SECONDS).then(|| Duration::from_secs_f64(seconds))
    }
}

/// The rate of a counter: an average in which what is past fades, taken twice so that a burst does
/// not jump into the time left.
struct Rate {
    began: Instant,
    seen: Instant,
    done: u64,
    average: f64,
    smoothed: f64,
}

impl Rate {
    fn new(now: Instant) -> Self {
        Self { began: now, seen: now, done: 0, average: 0.0, smoothed: 0.0 }
    }

    /// The rate per second, now that so much is done.
    fn after(&mut self, done: u64, now: Instant) -> f64 {
        let faded = |since: Instant| 0.1f64.powf((now - since).as_secs_f64() / RATE_SECONDS);
        let (kept, seconds) = (faded(self.seen), (now - self.seen).as_secs_f64());
        // An average over less than its span is too small by what is missing of the span.
        let known = 1.0 - faded(self.began);
        if seconds > 0.0 {
            let rate = done.saturating_sub(self.done) as f64 / seconds;
            self.average = self.average * kept + rate * (1.0 - kept);
            self.smoothed = self.smoothed * kept + self.average / known * (1.0 - kept);
            (self.seen, self.done) = (now, done);
        }
        self.smoothed / known
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn bytes(done: u64, total: u64, rate: f64) -> Reading {
        Reading { unit: Unit::Bytes, done, total, rate }
    }

    #[rstest]
    #[case(bytes(0, 0, 1.0), None)]
    #[case(bytes(5, 0, 1.0), None)]
    #[case(bytes(5, 5, 1.0), None)]
    #[case(bytes(6, 5, 1.0), None)]
    #[case(bytes(0, 10, f64::NAN), None)]
    #[case(bytes(0, 10, 0.0), None)]
    #[case(bytes(0, u64::MAX, 1.0), None)]
    #[case(bytes(4, 10, 2.0), Some(3))]
    fn the_time_left_is_told_when_it_is_known(#[case] reading: Reading, #[case] left: Option<u64>) {
        assert_eq!(reading.left(), left.map(Duration::from_secs));
    }

    #[test]
    fn a_hundred_per_cent_means_all() {
        assert_eq!(bytes(999, 1000, 1.0).share(), Some(99));
        assert_eq!(bytes(1000, 1000, 1.0).share(), Some(100));
        assert_eq!(bytes(1001, 1000, 1.0).share(), Some(100));
        assert_eq!(bytes(1001, 0, 1.0).share(), None);
    }

    #[test]
    fn a_steady_rate_is_told_from_the_first_look_and_a_new_one_within_a_minute() {
        let began = Instant::now();
        let mut rate = Rate::new(began);
        assert!(rate.after(0, began).is_nan());
        let mut done = 0;
        let mut after = |tick: u64, step: u64| {
            done += step;
            rate.after(done, began + Duration::from_millis(200 * tick))
        };
        for tick in 1..=100 {
            let rate = after(tick, 20);
            assert!((99.0..101.0).contains(&rate), "{rate} at {tick}");
        }
        assert!((50.0..99.9).contains(&after(101, 0)), "one pause is no standstill");
        for tick in 102..401 {
            after(tick, 200);
        }
        assert!((990.0..1010.0).contains(&after(401, 200)));
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
