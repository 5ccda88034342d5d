//! Progress in a log: few whole lines, no control characters.
//!
//! - Enters: the counts of a phase.
//! - Leaves: a line when the phase has run for a second, one every ten seconds, after ten minutes
//!   every minute, after two hours every ten; one at its end.
//! - Always holds: phases under a second leave nothing, but for the end of big ones.

use super::Ui;
use super::lines::{Reading, Unit};
use crate::cli::say;
use crate::monitor::Phase;
use indicatif::style::ProgressTracker;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use parking_lot::RwLock;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How often the clock looks.
const TICK: Duration = Duration::from_millis(500);
/// A phase shorter than this is not worth a line.
const WORTH_A_LINE: Duration = Duration::from_secs(1);
/// Between the lines of a phase that runs.
const INTERVAL: Duration = Duration::from_secs(10);
/// A phase that did this many bytes is worth its end line, however fast it was.
const BIG_BYTES: u64 = 1_000_000_000;

/// The display in mode [`super::Mode::Plain`].
#[derive(Default)]
pub(super) struct Plain {
    present: RwLock<Option<Running>>,
}

/// The phase that runs. The bar is hidden: it counts, keeps the rate, and its tick is the clock.
struct Running {
    phase: Phase,
    bar: ProgressBar,
    total: Arc<AtomicU64>,
}

impl Plain {
    fn with(&self, count: impl FnOnce(&Running)) {
        let present = self.present.read();
        if let Some(running) = present.as_ref() {
            count(running);
        }
    }
}

impl Ui for Plain {
    fn begin(&self, phase: Phase, total: u64) {
        let total = Arc::new(AtomicU64::new(total));
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
        let log = Log { phase, total: Arc::clone(&total), schedule: Schedule::default() };
        bar.set_style(ProgressStyle::default_bar().with_key("log", log));
        bar.enable_steady_tick(TICK);
        let mut present = self.present.write();
        *present = Some(Running { phase, bar, total });
    }

    fn end(&self) {
        let ended = self.present.write().take();
        let Some(Running { phase, bar, .. }) = ended else { return };
        // Waits for the tick that runs, so the end line comes last.
        bar.disable_steady_tick();
        let (unit, took, done) = (Unit::of(phase), bar.elapsed(), bar.position());
        let big = unit == Unit::Bytes && done >= BIG_BYTES;
        if took >= WORTH_A_LINE || big {
            say(&Reading { unit, done, total: 0, rate: 0.0 }.end_line(phase, took));
        }
    }

    fn advance(&self, amount: u64) {
        self.with(|running| running.bar.inc(amount));
    }

    fn retotal(&self, total: u64) {
        self.with(|running| running.total.store(total, Ordering::Relaxed));
    }

    fn drive(&self, _: usize, _: &str, _: u64) {}

    fn drive_advance(&self, _: usize, _: u64) {}

    fn say(&self, line: &str) {
        say(line);
    }
}

/// Rides on the hidden bar and writes when a line is due.
#[derive(Clone)]
struct Log {
    phase: Phase,
    total: Arc<AtomicU64>,
    schedule: Schedule,
}

impl ProgressTracker for Log {
    fn clone_box(&self) -> Box<dyn ProgressTracker> {
        Box::new(self.clone())
    }

    fn tick(&mut self, state: &ProgressState, _: Instant) {
        let reading = Reading {
            unit: Unit::of(self.phase),
            done: state.pos(),
            total: self.total.load(Ordering::Relaxed),
            rate: state.per_sec(),
        };
        match self.schedule.due(state.elapsed()) {
            Some(Line::Begin) => say(&reading.begin_line(self.phase)),
            Some(Line::Running) => say(&reading.running_line(self.phase)),
            None => {}
        }
    }

    fn reset(&mut self, _: &ProgressState, _: Instant) {}

    fn write(&self, _: &ProgressState, _: &mut dyn std::fmt::Write) {}
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line {
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
#[derive(Clone, Default)]
struct Schedule {
    /// lines after the first; none before the first
    said: Option<u32>,
}

impl Schedule {
    fn due(&mut self, elapsed: Duration) -> Option<Line> {
        let intervals = intervals(elapsed);
        match self.said {
            None if elapsed >= WORTH_A_LINE => {
                self.said = Some(intervals);
                Some(Line::Begin)
            }
            Some(said) if intervals > said => {
                self.said = Some(intervals);
                Some(Line::Running)
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
        let said: Vec<(u64, Line)> = (0..=62)
            .map(|half| half * 500)
            .filter_map(|ms| schedule.due(Duration::from_millis(ms)).map(|line| (ms, line)))
            .collect();
        assert_eq!(
            said,
            [
                (1000, Line::Begin),
                (10_000, Line::Running),
                (20_000, Line::Running),
                (30_000, Line::Running)
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
        assert_eq!(schedule.due(Duration::from_secs(35)), Some(Line::Begin));
        assert_eq!(schedule.due(Duration::from_secs(39)), None);
        assert_eq!(schedule.due(Duration::from_secs(75)), Some(Line::Running));
        assert_eq!(schedule.due(Duration::from_secs(76)), None);
    }

    #[test]
    fn counts_outside_a_phase_are_nobodys() {
        let plain = Plain::default();
        plain.advance(1);
        plain.retotal(2);
        plain.end();
        plain.begin(Phase::Pack, 10);
        plain.advance(3);
        plain.with(|running| assert_eq!(running.bar.position(), 3));
        plain.end();
        plain.end();
    }
}
