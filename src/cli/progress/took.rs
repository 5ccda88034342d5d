//! How long a command has worked, and how fast.
//!
//! - Enters: each phase, as it ends.
//! - Leaves: one line for people, one event for programs.
//! - Always holds: (1) the time is that of the work: none in which a person was asked or drives were
//!   awaited; (2) a rate is what a phase did in the time that it ran, in bytes.

use super::counter::Unit;
use super::model::PhaseProgress;
use crate::cli::sizes::{shown_bytes, shown_time};
use crate::monitor::Phase;
use serde::Serialize;
use std::time::Duration;

/// The phases since the last summary.
#[derive(Default)]
pub struct Phases(Vec<PhaseTook>);

/// What came of phases of one kind.
struct PhaseTook {
    phase: Phase,
    took: Duration,
    bytes: u64,
}

/// A command's time.
#[derive(Serialize)]
pub struct Took {
    seconds: f64,
    phases: Vec<PhaseRate>,
}

/// Of a phase.
#[derive(Serialize)]
struct PhaseRate {
    phase: Phase,
    seconds: f64,
    bytes: u64,
    bytes_per_second: u64,
}

impl Phases {
    /// A phase has ended; those that count no bytes are part of the whole time only.
    pub fn add(&mut self, ended: &PhaseProgress) {
        let reading = ended.reading();
        if reading.unit == Unit::Bytes && reading.done > 0 {
            self.add_bytes(ended.phase, ended.elapsed(), reading.done);
        }
    }

    fn add_bytes(&mut self, phase: Phase, took: Duration, bytes: u64) {
        match self.0.iter_mut().find(|known| known.phase == phase) {
            Some(known) => {
                known.took += took;
                known.bytes += bytes;
            }
            None => self.0.push(PhaseTook { phase, took, bytes }),
        }
    }

    /// The summary of so much time; none if no bytes were worked on.
    pub fn summary(self, worked: Duration) -> Option<Took> {
        let rate = |PhaseTook { phase, took, bytes }| {
            let seconds = took.as_secs_f64();
            let bytes_per_second = (bytes as f64 / seconds.max(1e-3)) as u64;
            PhaseRate { phase, seconds: rounded(seconds), bytes, bytes_per_second }
        };
        let phases: Vec<_> = self.0.into_iter().map(rate).collect();
        let seconds = rounded(worked.as_secs_f64());
        (!phases.is_empty()).then_some(Took { seconds, phases })
    }
}

/// To milliseconds.
fn rounded(seconds: f64) -> f64 {
    (seconds * 1000.0).round() / 1000.0
}

impl Took {
    /// `In 2 min 14 s: written at 36 MB/s, read back at 70 MB/s.`
    pub fn line(&self) -> String {
        let rates: Vec<_> = self.phases.iter().filter_map(PhaseRate::words).collect();
        let time = if self.seconds < 0.1 {
            "less than 0.1 s".into()
        } else {
            shown_time(Duration::from_secs_f64(self.seconds))
        };
        let colon = if rates.is_empty() { "" } else { ": " };
        format!("In {time}{colon}{}.", rates.join(", "))
    }
}

impl PhaseRate {
    fn words(&self) -> Option<String> {
        let done = match self.phase {
            Phase::Pack => "written",
            Phase::ReadBack => "read back",
            Phase::Verify => "checked",
            Phase::Repair => "repaired",
            Phase::Decode => "decoded",
            Phase::Compare => "compared",
            Phase::Restore => "restored",
            Phase::Stage => "kept for later",
            // Its result is rates.
            Phase::Bench | Phase::Scan | Phase::Finish => return None,
        };
        Some(format!("{done} at {}/s", shown_bytes(self.bytes_per_second)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary(phases: &[(Phase, u64, u64)], worked: u64) -> Option<String> {
        let mut all = Phases::default();
        for (phase, seconds, megabytes) in phases {
            all.add_bytes(*phase, Duration::from_secs(*seconds), megabytes * 1_000_000);
        }
        all.summary(Duration::from_secs(worked)).map(|took| took.line())
    }

    #[test]
    fn a_summary_is_the_time_of_all_and_the_rate_of_each_phase() {
        let pack = [(Phase::Pack, 90, 3240), (Phase::ReadBack, 40, 2800)];
        assert_eq!(
            summary(&pack, 134).unwrap(),
            "In 2 min 14 s: written at 36 MB/s, read back at 70 MB/s."
        );
        // Two sets.
        let sets = [(Phase::Verify, 1, 10), (Phase::Verify, 3, 50)];
        assert_eq!(summary(&sets, 5).unwrap(), "In 5.0 s: checked at 15 MB/s.");
        assert_eq!(summary(&[(Phase::Bench, 60, 500)], 63).unwrap(), "In 1 min 03 s.");
        assert_eq!(summary(&[], 5), None);
    }
}
