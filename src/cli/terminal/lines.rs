//! The text of bars and plain lines, from numbers alone.
//!
//! - Enters: a [`Reading`] of a counter, a name, the terminal's width.
//! - Leaves: one line of text.
//! - Always holds: (1) a bar line is never wider than the terminal (down to 24 columns), so bars
//!   never wrap; (2) columns stand where they stood, whatever the numbers; (3) a share is rounded
//!   down: 100 % is said when all is done.

use crate::cli::sizes::{shown_bytes, shown_count, shown_duration};
use crate::cli::{columns, fitted, shortened};
use crate::monitor::Phase;
use std::time::Duration;

/// Longer than this is not told: it comes from a rate that says nothing yet.
const LONGEST_SECONDS: f64 = 100.0 * 86_400.0;
/// Columns of share, amount, rate and rest, with the gaps before them.
const SHARE: usize = 6;
const AMOUNT: usize = 21;
const RATE: usize = 11;
const REST: usize = 17;
const FULL: usize = SHARE + AMOUNT + RATE + REST;
/// A name gets no wider than this.
const WIDEST_NAME: usize = 48;

/// What a phase counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
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
            | Phase::Restore
            | Phase::Stage
            | Phase::Bench => Self::Bytes,
        }
    }

    fn shown(self, amount: u64) -> String {
        match self {
            Self::Bytes => shown_bytes(amount),
            Self::Entries => shown_count(amount),
        }
    }
}

/// A counter at one moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reading {
    pub(super) unit: Unit,
    pub(super) done: u64,
    /// 0 if unknown
    pub(super) total: u64,
    /// a second
    pub(super) rate: f64,
}

impl Reading {
    fn share(&self) -> Option<u64> {
        let share = (u128::from(self.done) * 100).checked_div(u128::from(self.total))?;
        Some(share.min(100) as u64)
    }

    /// `1.23 TB of 2.95 TB`, `12,345 entries`.
    fn amount(&self) -> String {
        match (self.unit, self.total) {
            (Unit::Entries, _) => format!("{} entries", shown_count(self.done)),
            (Unit::Bytes, 0) => shown_bytes(self.done),
            (Unit::Bytes, total) => format!("{} of {}", shown_bytes(self.done), shown_bytes(total)),
        }
    }

    /// `512 MB/s`, `83,000/s`.
    fn rate(&self) -> String {
        // Before the first tick the rate is not a number; `as` makes it 0.
        format!("{}/s", self.unit.shown(self.rate as u64))
    }

    /// The time that is left, if that can be said.
    fn left(&self) -> Option<String> {
        let left = self.total.checked_sub(self.done).filter(|&left| left > 0)?;
        let seconds = left as f64 / self.rate;
        (seconds <= LONGEST_SECONDS).then(|| shown_duration(Duration::from_secs_f64(seconds)))
    }

    /// The line of the phase as a whole. On a narrow terminal the rest that is to come outlasts the
    /// amount and the rate.
    pub(super) fn total_line(&self, phase: Phase, width: usize) -> String {
        let eta = self.left().map_or(String::new(), |left| format!("ETA {left}"));
        if eta.is_empty() || width > FULL + 16 {
            return self.bar_line(phase.name(), &eta, width);
        }
        let share = self.share().map_or(String::new(), |share| format!("{share} %"));
        let rate = if width > SHARE + RATE + REST + 10 { self.rate() } else { String::new() };
        let fixed = SHARE + if rate.is_empty() { 0 } else { RATE } + REST;
        let name = fitted(phase.name(), width.saturating_sub(1 + fixed).min(WIDEST_NAME));
        let rate = if rate.is_empty() { rate } else { format!("  {rate:>9}") };
        let line = format!("{name} {share:>5}{rate}  {eta}");
        if columns(&line) <= width { line } else { shortened(&eta, width) }
    }

    /// The line of one drive under it.
    pub(super) fn drive_line(&self, name: &str, width: usize) -> String {
        let drawn = match self.total {
            0 => String::new(),
            _ => drawn_bar(self.done as f64 / self.total as f64),
        };
        self.bar_line(&format!("  {name}"), &drawn, width)
    }

    fn bar_line(&self, name: &str, rest: &str, width: usize) -> String {
        let share = self.share().map_or(String::new(), |share| format!("{share} %"));
        let rate = self.rate();
        // On a narrow terminal the name, the share and the rate matter most.
        let line = if width > FULL + 16 {
            let name = fitted(name, (width - 1 - FULL).min(WIDEST_NAME));
            format!("{name} {share:>5}  {:>19}  {rate:>9}  {rest}", self.amount())
        } else {
            let name = fitted(name, width.saturating_sub(1 + SHARE + RATE).min(WIDEST_NAME));
            format!("{name} {share:>5}  {rate:>9}")
        };
        shortened(line.trim_end(), width)
    }

    /// A line of a log while the phase runs.
    pub(super) fn running_line(&self, phase: Phase) -> String {
        let share = self.share().map_or(String::new(), |share| format!("{share} %, "));
        let left = self.left().map_or(String::new(), |left| format!(", ETA {left}"));
        format!("{}: {share}{}, {}{left}", phase.name(), self.amount(), self.rate())
    }

    /// The line of a log when the phase begins.
    pub(super) fn begin_line(&self, phase: Phase) -> String {
        let name = phase.name();
        match (self.total, self.unit) {
            (0, _) => format!("{name}: begins"),
            (total, Unit::Bytes) => format!("{name}: begins, {}", shown_bytes(total)),
            (total, Unit::Entries) => format!("{name}: begins, {} entries", shown_count(total)),
        }
    }

    /// The line of a log when the phase is over; the rate is that of the whole phase.
    pub(super) fn end_line(&self, phase: Phase, took: Duration) -> String {
        let whole = Self { total: 0, rate: self.done as f64 / took.as_secs_f64(), ..*self };
        let took = shown_duration(took);
        format!("{}: ended after {took}, {}, {}", phase.name(), whole.amount(), whole.rate())
    }
}

/// `[#####........]`
fn drawn_bar(share: f64) -> String {
    const CELLS: usize = REST - 4;
    let filled = ((share * CELLS as f64) as usize).min(CELLS);
    format!("[{}{}]", "#".repeat(filled), ".".repeat(CELLS - filled))
}

/// The one line for drives that have no room for a line each.
pub(super) fn crowd_line(drives: &[(String, Reading)], width: usize) -> String {
    let by_rate = |a: &&(String, Reading), b: &&(String, Reading)| a.1.rate.total_cmp(&b.1.rate);
    let Some((name, slowest)) = drives.iter().min_by(by_rate) else { return String::new() };
    let fastest = drives.iter().max_by(by_rate).map_or(String::new(), |(_, r)| r.rate());
    let line =
        format!("  {} drives, fastest {fastest}, slowest {}: {name}", drives.len(), slowest.rate());
    shortened(&line, width)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn bytes(done: u64, total: u64, rate: f64) -> Reading {
        Reading { unit: Unit::Bytes, done, total, rate }
    }

    #[test]
    fn the_lines_of_a_phase_stand_in_columns() {
        let total = bytes(1_230_000_000_000, 2_950_000_000_000, 512e6);
        let drive = bytes(308_000_000_000, 737_000_000_000, 128e6);
        assert_eq!(
            total.total_line(Phase::Pack, 80),
            "pack                      41 %   1.23 TB of 2.95 TB   512 MB/s  ETA 55 min 59 s"
        );
        assert_eq!(
            drive.drive_line("north /media/usb-a", 80),
            "  north /media/usb-a      41 %     308 GB of 737 GB   128 MB/s  [#####........]"
        );
        assert_eq!(
            drive.drive_line("north /media/usb-a", 40),
            "  north /media/usb-a    41 %   128 MB/s"
        );
    }

    /// Review A24: at narrow widths the ETA is the last thing that is dropped.
    #[test]
    fn a_narrow_terminal_keeps_the_eta() {
        let total = bytes(1_230_000_000_000, 2_950_000_000_000, 512e6);
        assert_eq!(
            total.total_line(Phase::Pack, 60),
            "pack                       41 %   512 MB/s  ETA 55 min 59 s"
        );
        assert_eq!(total.total_line(Phase::Pack, 30), "pack    41 %  ETA 55 min 59 s");
        for width in 15..80 {
            assert!(total.total_line(Phase::Pack, width).contains("ETA 55 min 59 s"), "{width}");
        }
    }

    #[rstest]
    #[case::nothing_known(bytes(0, 0, f64::NAN))]
    #[case::nothing_done(bytes(0, 1_000_000, 0.0))]
    #[case::wide(bytes(999_499_999_999, 999_499_999_999_999, 1e6))]
    #[case::more_than_all(bytes(u64::MAX, 1, f64::INFINITY))]
    #[case::many_entries(Reading { unit: Unit::Entries, done: 123_456_789, total: 0, rate: 123_456.0 })]
    fn no_line_is_wider_than_the_terminal(#[case] reading: Reading) {
        let name = "a suitcase /media/somebody/a very long volume name/日本語";
        for width in 1..200 {
            assert!(columns(&reading.total_line(Phase::ReadBack, width)) <= width);
            assert!(columns(&reading.drive_line(name, width)) <= width);
            let crowd = [(name.to_owned(), reading), ("b".to_owned(), reading)];
            assert!(columns(&crowd_line(&crowd, width)) <= width);
        }
    }

    #[rstest]
    #[case(bytes(0, 0, 1.0), None)]
    #[case(bytes(5, 0, 1.0), None)]
    #[case(bytes(5, 5, 1.0), None)]
    #[case(bytes(6, 5, 1.0), None)]
    #[case(bytes(0, 10, f64::NAN), None)]
    #[case(bytes(0, 10, 0.0), None)]
    #[case(bytes(0, u64::MAX, 1.0), None)]
    #[case(bytes(4, 10, 2.0), Some("3 s"))]
    fn the_time_left_is_told_when_it_is_known(
        #[case] reading: Reading,
        #[case] left: Option<&str>,
    ) {
        assert_eq!(reading.left().as_deref(), left);
    }

    #[test]
    fn a_hundred_per_cent_means_all() {
        assert_eq!(bytes(999, 1000, 1.0).share(), Some(99));
        assert_eq!(bytes(1000, 1000, 1.0).share(), Some(100));
        assert_eq!(bytes(1001, 1000, 1.0).share(), Some(100));
        assert_eq!(bytes(1001, 0, 1.0).share(), None);
    }

    #[test]
    fn log_lines_read_as_sentences() {
        let pack = bytes(1_230_000_000_000, 2_950_000_000_000, 512e6);
        let scan = Reading { unit: Unit::Entries, done: 1_204_331, total: 0, rate: 83_000.4 };
        assert_eq!(pack.begin_line(Phase::Pack), "pack: begins, 2.95 TB");
        assert_eq!(
            pack.running_line(Phase::Pack),
            "pack: 41 %, 1.23 TB of 2.95 TB, 512 MB/s, ETA 55 min 59 s"
        );
        assert_eq!(
            pack.end_line(Phase::Pack, Duration::from_secs(3000)),
            "pack: ended after 50 min 00 s, 1.23 TB, 410 MB/s"
        );
        assert_eq!(scan.begin_line(Phase::Scan), "scan: begins");
        assert_eq!(scan.running_line(Phase::Scan), "scan: 1,204,331 entries, 83,000/s");
        assert_eq!(
            scan.end_line(Phase::Scan, Duration::from_secs(10)),
            "scan: ended after 10 s, 1,204,331 entries, 120,433/s"
        );
    }

    #[test]
    fn the_crowd_names_its_slowest_drive() {
        let drives = [
            ("north /media/usb-a".to_owned(), bytes(1, 0, 150e6)),
            ("south /media/usb-b".to_owned(), bytes(1, 0, 61e6)),
            ("south /media/usb-c".to_owned(), bytes(1, 0, 149e6)),
        ];
        assert_eq!(
            crowd_line(&drives, 80),
            "  3 drives, fastest 150 MB/s, slowest 61 MB/s: south /media/usb-b"
        );
        assert_eq!(crowd_line(&[], 80), "");
    }
}
