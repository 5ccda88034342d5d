//! A count: what is done, out of what, how fast, and how long still.
//!
//! - Enters: additions, from any thread; the total, whenever it is known better.
//! - Leaves: a [`Reading`].
//! - Always holds: (1) to count is an atomic addition; (2) a share is rounded down: 100 % means all;
//!   (3) it never goes back while there is more to do, also where the total turns out to be more than
//!   was expected.

use crate::monitor::Phase;
use parking_lot::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// What was done longer ago than this counts for a tenth of the rate.
const RATE_SECONDS: f64 = 15.0;
/// A longer time left is not told: it comes from a rate that says nothing yet.
const LONGEST_SECONDS: f64 = 100.0 * 86_400.0;

/// What a phase counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    Bytes,
    /// entries of the dataset
    Entries,
}

impl Unit {
    pub(super) fn of(phase: Phase) -> Self {
        match phase {
            Phase::Scan | Phase::Finish => Self::Entries,
            Phase::Pack
            | Phase::ReadBack
            | Phase::Verify
            | Phase::Repair
            | Phase::Decode
            | Phase::Compare
            | Phase::Restore
            | Phase::Stage
            | Phase::Bench => Self::Bytes,
        }
    }
}

/// What is done, out of what, and how fast it has been growing.
pub(super) struct Counter {
    unit: Unit,
    done: AtomicU64,
    total: AtomicU64,
    /// the highest share that was told
    reached: AtomicU64,
    /// only those who look lock it
    rate: Mutex<Rate>,
}

impl Counter {
    pub(super) fn new(unit: Unit, total: u64) -> Self {
        let rate = Mutex::new(Rate::new(Instant::now()));
        let (done, reached) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { unit, done, total: AtomicU64::new(total), reached, rate }
    }

    pub(super) fn add(&self, amount: u64) {
        self.done.fetch_add(amount, Ordering::Relaxed);
    }

    pub(super) fn retotal(&self, total: u64) {
        self.total.store(total, Ordering::Relaxed);
    }

    pub(super) fn reading_at(&self, now: Instant) -> Reading {
        let mut rate = self.rate.lock();
        let done = self.done.load(Ordering::Relaxed);
        let rate = rate.after(done, now);
        let total = match self.total.load(Ordering::Relaxed) {
            0 => 0,
            total => total.max(done),
        };
        let mut reading = Reading { unit: self.unit, done, total, rate, reached: 0 };
        if let Some(share) = reading.share() {
            reading.reached = self.reached.fetch_max(share, Ordering::Relaxed);
        }
        reading
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
    /// the share that was told before
    pub reached: u64,
}

impl Reading {
    /// In per cent; none if the total is unknown.
    pub fn share(&self) -> Option<u64> {
        let share = (u128::from(self.done) * 100).checked_div(u128::from(self.total))?;
        let most = if self.done < self.total { 99 } else { 100 };
        Some((share.min(100) as u64).max(self.reached).min(most))
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
        Reading { unit: Unit::Bytes, done, total, rate, reached: 0 }
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
}
