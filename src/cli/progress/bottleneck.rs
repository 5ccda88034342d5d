//! What a job waits for most, in a word.
//!
//! - Enters: the time that the job says went into what ([`Spent`]).
//! - Leaves: `source`, `cpu`, `drives`, or the name of the one drive that is slower than the others.
//! - Always holds: (1) it is measured, and nothing is said where nothing was; (2) nothing is said
//!   unless it is what at least half of the time went into lately; (3) who has waited for long for the
//!   same thing has not told yet for what: then nothing is said, rather than what was.

use super::counter::{Counter, Unit};
use crate::monitor::Spent;
use std::time::{Duration, Instant};

/// Of less of the time, what it went into is not known.
const KNOWN: f64 = 0.25;
/// A drive that is the slowest one is at work for this part of the time at least.
const AT_WORK: f64 = 0.75;
/// The others are at work for no more than this part of its time.
const LESS: f64 = 0.7;

/// What a job waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bottleneck {
    Source,
    Cpu,
    Drives,
    /// one that is slower than the others: its number, and its name
    Drive(usize, String),
}

impl Bottleneck {
    /// For people.
    pub fn word(&self) -> &str {
        match self {
            Self::Source => "source",
            Self::Cpu => "cpu",
            Self::Drives => "drives",
            Self::Drive(_, name) => name,
        }
    }
}

/// The time that went into something; who counts waits for nobody.
pub(super) struct TimeSpent(Counter);

impl TimeSpent {
    pub(super) fn new() -> Self {
        Self(Counter::new(Unit::Bytes, 0))
    }

    pub(super) fn add(&self, time: Duration) {
        self.0.add(time.as_nanos() as u64);
    }

    /// The part of the time that it took lately; of several threads, it may be more than all.
    pub(super) fn part(&self, now: Instant) -> f64 {
        let rate = self.0.reading_at(now).rate / 1e9;
        if rate.is_finite() { rate } else { 0.0 }
    }
}

/// What the time of all threads but those of the drives goes into.
pub(super) struct Times([TimeSpent; 5]);

impl Times {
    pub(super) fn new() -> Self {
        Self(std::array::from_fn(|_| TimeSpent::new()))
    }

    /// That of a drive is not counted here.
    pub(super) fn add(&self, on: Spent, time: Duration) {
        let at = match on {
            Spent::AwaitingDrives => 0,
            Spent::AwaitingData => 1,
            Spent::Feeding => 2,
            Spent::Reading => 3,
            Spent::Computing => 4,
            Spent::Drive(_) => return,
        };
        self.0[at].add(time);
    }

    /// The bottleneck, given of each drive its number, name, and the part of the time it was at work.
    pub(super) fn bottleneck(
        &self,
        drives: &[(usize, &str, f64)],
        now: Instant,
    ) -> Option<Bottleneck> {
        let [on_drives, on_data, feeding, reading, computing] =
            self.0.each_ref().map(|time| time.part(now));
        // Who waits for data waits for those that read it or prepare it.
        let others = reading + computing;
        let of_data = |part: f64| if others < KNOWN { 0.0 } else { on_data * part / others };
        let (source, cpu) = (of_data(reading), feeding + of_data(computing));
        let all = on_drives + on_data + feeding;
        let is_most = |part: f64| all >= KNOWN && part >= all / 2.0;
        // Buffers that have room yet keep others from waiting for drives that never rest.
        let is_at_work = drives.iter().any(|(.., part)| *part >= AT_WORK);
        let is_known = is_most(on_drives) || is_most(source) || is_most(cpu);
        if is_most(on_drives) || (is_known && is_at_work) {
            Some(slowest(drives).unwrap_or(Bottleneck::Drives))
        } else if is_most(source) {
            Some(Bottleneck::Source)
        } else {
            is_most(cpu).then_some(Bottleneck::Cpu)
        }
    }
}

/// The drive that is at work while the others wait for it, if there is one.
fn slowest(drives: &[(usize, &str, f64)]) -> Option<Bottleneck> {
    let (number, name, most) = drives.iter().max_by(|a, b| a.2.total_cmp(&b.2))?;
    let others = drives.iter().filter(|(other, ..)| other != number).map(|(.., part)| *part);
    let next = others.reduce(f64::max)?;
    let is_alone = *most >= AT_WORK && next <= most * LESS;
    is_alone.then(|| Bottleneck::Drive(*number, (*name).to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    /// Of a second, so many tenths.
    fn times(spent: &[(Spent, u64)]) -> Times {
        let times = Times::new();
        for (on, tenths) in spent {
            times.add(*on, Duration::from_millis(100 * tenths));
        }
        times
    }

    #[rstest]
    #[case::nothing_measured(&[], None)]
    #[case::the_feeder_waits_for_drives(
        &[(Spent::AwaitingDrives, 8), (Spent::Feeding, 1), (Spent::Reading, 20)],
        Some("drives")
    )]
    #[case::readers_wait_for_the_source(
        &[(Spent::AwaitingData, 9), (Spent::Feeding, 1), (Spent::Reading, 12), (Spent::Computing, 3)],
        Some("source")
    )]
    #[case::readers_compress(
        &[(Spent::AwaitingData, 9), (Spent::Feeding, 1), (Spent::Reading, 3), (Spent::Computing, 12)],
        Some("cpu")
    )]
    #[case::the_feeder_seals(&[(Spent::AwaitingData, 1), (Spent::Feeding, 8)], Some("cpu"))]
    #[case::readers_have_not_told_yet(&[(Spent::AwaitingData, 9), (Spent::Reading, 1)], None)]
    #[case::the_feeder_has_not_told_yet(&[(Spent::AwaitingData, 1), (Spent::Reading, 9)], None)]
    #[case::everything_keeps_up(
        &[(Spent::AwaitingDrives, 4), (Spent::AwaitingData, 4), (Spent::Feeding, 2),
          (Spent::Reading, 5), (Spent::Computing, 5)],
        None
    )]
    fn who_waits_for_whom(#[case] spent: &[(Spent, u64)], #[case] word: Option<&str>) {
        let began = Instant::now();
        let found = times(spent).bottleneck(&[], began + Duration::from_secs(1));
        assert_eq!(found.as_ref().map(Bottleneck::word), word);
    }

    #[test]
    fn one_slow_drive_is_named_and_drives_alike_are_not() {
        let times = times(&[(Spent::AwaitingDrives, 9)]);
        let now = Instant::now() + Duration::from_secs(1);
        let word = |drives: &[(usize, &str, f64)]| {
            times.bottleneck(drives, now).map(|found| found.word().to_owned()).unwrap()
        };
        assert_eq!(word(&[(0, "a", 0.95), (1, "b", 0.4), (2, "c", 0.5)]), "a");
        assert_eq!(word(&[(0, "a", 0.95), (1, "b", 0.8), (2, "c", 0.4)]), "drives");
        assert_eq!(word(&[(0, "a", 0.5), (1, "b", 0.2)]), "drives");
        assert_eq!(word(&[(0, "a", 0.95)]), "drives");
        // What is sealed has room in the buffers yet.
        let sealing = self::times(&[(Spent::Feeding, 4)]);
        let found = |part| sealing.bottleneck(&[(0, "a", part), (1, "b", part)], now);
        assert_eq!(found(0.9), Some(Bottleneck::Drives));
        assert_eq!(found(0.5), Some(Bottleneck::Cpu));
    }
}
