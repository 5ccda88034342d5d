//! Progress in a log: few whole lines, no control characters.
//!
//! - Enters: the counts of a phase.
//! - Leaves: a line when the phase has run for a second, one every ten seconds, after ten minutes
//!   every minute, after two hours every ten; one at its end.
//! - Always holds: phases under a second leave nothing, but for the end of big ones.

use super::bottleneck::Bottleneck;
use super::clock::Clock;
use super::counter::Unit;
use super::lines;
use super::model::PhaseProgress;
use super::renderer::Renderer;
use crate::cli::stop;
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;

/// A phase shorter than this is not worth a line.
const WORTH_A_LINE: Duration = Duration::from_secs(1);
/// How often it is looked whether a line is due.
const TICK: Duration = Duration::from_millis(500);
/// Between the lines of a phase that runs.
const INTERVAL: Duration = Duration::from_secs(10);
/// A phase that did this many bytes is worth its end line, however fast it was.
const BIG_BYTES: u64 = 1_000_000_000;

/// Progress of a command whose standard error is no terminal; or in a file.
pub struct Plain {
    sink: fn(&str),
    clock: Mutex<Option<Clock>>,
}

impl Plain {
    /// Gives its lines to `sink`.
    pub fn new(sink: fn(&str)) -> Self {
        Self { sink, clock: Mutex::default() }
    }

    fn set(&self, clock: Option<Clock>) {
        *self.clock.lock() = clock;
    }
}

impl Renderer for Plain {
    fn begin(&self, phase: &Arc<PhaseProgress>) {
        let (phase, schedule) = (Arc::clone(phase), Mutex::new(Schedule::default()));
        let sink = self.sink;
        let tick = move || {
            // At each tick, for their rates.
            let (reading, bottleneck) = (phase.reading(), phase.bottleneck());
            let due = schedule.lock().due(phase.elapsed());
            match due {
                Some(DueLine::Begin) => sink(&lines::begin_line(&reading, phase.phase)),
                Some(DueLine::Running) => {
                    let limit = bottleneck.as_ref().map(Bottleneck::word);
                    let limit = limit.filter(|_| !stop::asked());
                    let line = lines::running_line(&reading, phase.phase, limit);
                    sink(&match phase.then {
                        _ if stop::asked() => line + ", stopping",
                        Some(then) => format!("{line}, then {}", then.name()),
                        None => line,
                    });
                }
                None => {}
            }
        };
        self.set(Some(Clock::start(TICK, tick)));
    }

    fn end(&self, phase: &PhaseProgress) {
        self.set(None); // so the end line comes last
        let (took, reading) = (phase.elapsed(), phase.reading());
        let is_big = reading.unit == Unit::Bytes && reading.done >= BIG_BYTES;
        if took >= WORTH_A_LINE || is_big {
            (self.sink)(&lines::end_line(&reading, phase.phase, took));
        }
    }

    fn say(&self, line: &str) {
        (self.sink)(line);
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum DueLine {
    Begin,
    Running,
}

/// Which of the running lines is due: fewer the longer a phase runs.
fn intervals(elapsed: Duration) -> u32 {
    let (minute, hour) = (60, 3600);
    let seconds = elapsed.as_secs();
    let early = seconds.min(10 * minute) / INTERVAL.as_secs();
    let later = seconds.clamp(10 * minute, 2 * hour) / minute - 10;
    let late = seconds.max(2 * hour) / (10 * minute) - 12;
    (early + later + late) as u32
}

/// Which line comes next, and when.
#[derive(Default)]
struct Schedule {
    /// lines after the first; none before the first
    said: Option<u32>,
}

impl Schedule {
    fn due(&mut self, elapsed: Duration) -> Option<DueLine> {
        let intervals = intervals(elapsed);
        match self.said {
            None if elapsed >= WORTH_A_LINE => {
                self.said = Some(intervals);
                Some(DueLine::Begin)
            }
            Some(said) if intervals > said => {
                self.said = Some(intervals);
                Some(DueLine::Running)
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_after_one_second_and_every_ten() {
        let mut schedule = Schedule::default();
        let said: Vec<(u64, DueLine)> = (0..=62)
            .map(|half| half * 500)
            .filter_map(|ms| schedule.due(Duration::from_millis(ms)).map(|line| (ms, line)))
            .collect();
        assert_eq!(
            said,
            [
                (1000, DueLine::Begin),
                (10_000, DueLine::Running),
                (20_000, DueLine::Running),
                (30_000, DueLine::Running)
            ]
        );
    }

    /// Review newcomer B: no line each ten seconds for ever.
    #[test]
    fn lines_get_fewer_over_the_hours() {
        let mut schedule = Schedule::default();
        let seconds = 1..=20 * 3600;
        let said: Vec<u64> =
            seconds.filter(|s| schedule.due(Duration::from_secs(*s)).is_some()).collect();
        assert_eq!(said[59..62], [590, 600, 660]);
        assert_eq!(said[said.len() - 2..], [20 * 3600 - 600, 20 * 3600]);
        assert!(said.len() < 300, "{} lines in 20 hours", said.len());
    }

    #[test]
    fn after_a_long_silence_one_line_comes_and_not_all_that_were_missed() {
        let mut schedule = Schedule::default();
        assert_eq!(schedule.due(Duration::from_secs(35)), Some(DueLine::Begin));
        assert_eq!(schedule.due(Duration::from_secs(39)), None);
        assert_eq!(schedule.due(Duration::from_secs(75)), Some(DueLine::Running));
        assert_eq!(schedule.due(Duration::from_secs(76)), None);
    }
}
