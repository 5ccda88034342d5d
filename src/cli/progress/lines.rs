//! The text of bars and plain lines, from numbers alone.
//!
//! - Enters: a [`Reading`] of a counter, a name, the terminal's width.
//! - Leaves: one line of text.
//! - Always holds: (1) a bar line is never wider than the terminal (down to 24 columns), so bars
//!   never wrap; (2) columns stand where they stood, whatever the numbers.

use super::counter::{Reading, Unit};
use crate::cli::sizes::{shown_bytes, shown_count, shown_duration};
use crate::cli::text::{self, fitted, shortened};
use crate::monitor::Phase;
use std::time::Duration;

/// Columns of share, amount and rate, with the gaps before them.
const SHARE: usize = 6;
const AMOUNT: usize = 21;
const RATE: usize = 11;
/// The same of what comes behind, at least.
const REST: usize = 17;
/// A name is given so many, if there are.
const NAME: usize = 16;
const FULL: usize = SHARE + AMOUNT + RATE + REST;
/// A bar gets no longer than this.
const LONGEST_BAR: usize = 60;

/// How the width of the terminal is given to the columns.
#[derive(Clone, Copy, Debug)]
pub(super) struct Columns {
    width: usize,
    /// are there columns for all
    is_full: bool,
    name: usize,
    /// what comes behind, with the gap before it
    rest: usize,
}

impl Columns {
    /// For a terminal of this width, and names of up to so many columns: no more is given to these than
    /// they need.
    pub(super) fn new(width: usize, longest_name: usize) -> Self {
        let is_full = width > FULL + NAME;
        let most = width.saturating_sub(1 + FULL).max(NAME);
        let name = (longest_name + INDENT.len()).clamp(NAME, most);
        let rest = width.saturating_sub(1 + name + FULL - REST);
        Self { width, is_full, name, rest }
    }
}

/// Before the name of a drive.
const INDENT: &str = "  ";

fn share(reading: &Reading) -> String {
    reading.share().map_or(String::new(), |share| format!("{share} %"))
}

/// `1.23 TB of 2.95 TB`, `12,345 entries`.
fn amount(reading: &Reading) -> String {
    let Reading { unit, done, total, .. } = *reading;
    match (unit, total) {
        (Unit::Entries, _) => format!("{} entries", shown_count(done)),
        (Unit::Bytes, 0) => shown_bytes(done),
        (Unit::Bytes, total) => format!("{} of {}", shown_bytes(done), shown_bytes(total)),
    }
}

/// `512 MB/s`, `83,000/s`.
fn rate(reading: &Reading) -> String {
    // At the first look the rate is not a number; `as` makes it 0.
    let rate = reading.rate as u64;
    match reading.unit {
        Unit::Bytes => shown_bytes(rate) + "/s",
        Unit::Entries => shown_count(rate) + "/s",
    }
}

fn eta(reading: &Reading) -> Option<String> {
    reading.left().map(|left| format!("ETA {}", shown_duration(left)))
}

/// The line of the phase as a whole, with what it is limited by. On a narrow terminal the time left
/// outlasts the amount and the rate.
pub(super) fn phase_line(
    reading: &Reading,
    phase: Phase,
    limit: Option<&str>,
    columns: &Columns,
) -> String {
    let eta = eta(reading).unwrap_or_default();
    let Columns { width, is_full, rest, .. } = *columns;
    // Where a limit stands does not depend on how long the time left is.
    if let Some(limit) = limit
        && is_full
        && REST + 2 + text::columns(limit) <= rest
    {
        let rest = format!("{eta:<width$}  {limit}", width = REST - 2);
        return bar_line(reading, phase.name(), &rest, columns);
    }
    if eta.is_empty() || is_full {
        let room = if is_full { columns.name } else { width.saturating_sub(1 + SHARE + RATE) };
        return bar_line(reading, &with_limit(phase, limit, room), &eta, columns);
    }
    let share = share(reading);
    let rate = if width > SHARE + RATE + REST + 10 {
        format!("  {:>9}", rate(reading))
    } else {
        String::new()
    };
    let fixed = 1 + SHARE + rate.len() + REST;
    let room = width.saturating_sub(fixed).min(NAME);
    let name = fitted(&with_limit(phase, limit, room), room);
    let line = format!("{name} {share:>5}{rate}  {eta}");
    if text::columns(&line) <= width { line } else { shortened(&eta, width) }
}

/// `pack (drives)`, if there is room for it.
fn with_limit(phase: Phase, limit: Option<&str>, room: usize) -> String {
    let name = phase.name();
    let both = limit.map(|limit| format!("{name} ({limit})"));
    both.filter(|both| text::columns(both) <= room).unwrap_or_else(|| name.to_owned())
}

/// The line of the phase that follows, of which the time left does not tell.
pub(super) fn then_line(reading: &Reading, then: Phase, width: usize) -> String {
    let short = format!("then {}", then.name());
    let time = Reading { done: 0, ..*reading }.left().map(shown_duration);
    let long = time.map_or(String::new(), |time| format!("{short}: about {time} at this rate"));
    let fits = |line: &String| !line.is_empty() && text::columns(line) <= width;
    Some(long).filter(fits).unwrap_or_else(|| shortened(&short, width))
}

/// The line of one drive under it.
pub(super) fn drive_line(reading: &Reading, name: &str, columns: &Columns) -> String {
    let drawn = match reading.total {
        0 => String::new(),
        total => drawn_bar(reading.done as f64 / total as f64, columns.rest),
    };
    bar_line(reading, &format!("{INDENT}{name}"), &drawn, columns)
}

fn bar_line(reading: &Reading, name: &str, rest: &str, columns: &Columns) -> String {
    let (share, rate) = (share(reading), rate(reading));
    let width = columns.width;
    // On a narrow terminal the name, the share and the rate matter most.
    let line = if columns.is_full {
        let name = fitted(name, columns.name);
        format!("{name} {share:>5}  {:>19}  {rate:>9}  {rest}", amount(reading))
    } else {
        let name = fitted(name, width.saturating_sub(1 + SHARE + RATE));
        format!("{name} {share:>5}  {rate:>9}")
    };
    shortened(line.trim_end(), width)
}

/// A line of a log while the phase runs.
pub(super) fn running_line(reading: &Reading, phase: Phase, limit: Option<&str>) -> String {
    let share = reading.share().map_or(String::new(), |share| format!("{share} %, "));
    let eta = eta(reading).map_or(String::new(), |eta| format!(", {eta}"));
    let limit = limit.map_or(String::new(), |limit| format!(", limited by {limit}"));
    format!("{}: {share}{}, {}{eta}{limit}", phase.name(), amount(reading), rate(reading))
}

/// The line of a log when the phase begins.
pub(super) fn begin_line(reading: &Reading, phase: Phase) -> String {
    let name = phase.name();
    match (reading.total, reading.unit) {
        (0, _) => format!("{name}: begins"),
        (total, Unit::Bytes) => format!("{name}: begins, {}", shown_bytes(total)),
        (total, Unit::Entries) => format!("{name}: begins, {} entries", shown_count(total)),
    }
}

/// The line of a log when the phase is over; the rate is that of the whole phase.
pub(super) fn end_line(reading: &Reading, phase: Phase, took: Duration) -> String {
    let whole = Reading { total: 0, rate: reading.done as f64 / took.as_secs_f64(), ..*reading };
    let took = shown_duration(took);
    format!("{}: ended after {took}, {}, {}", phase.name(), amount(&whole), rate(&whole))
}

/// `[#####........]`, with the gap before it in so many columns.
fn drawn_bar(share: f64, columns: usize) -> String {
    let cells = columns.saturating_sub(4).min(LONGEST_BAR);
    let filled = ((share * cells as f64) as usize).min(cells);
    format!("[{}{}]", "#".repeat(filled), ".".repeat(cells - filled))
}

/// The one line for drives that have no room for a line each; those that have not begun, or are
/// done, are not the slowest. On a narrow terminal the slowest rate outlasts its drive's name.
pub(super) fn crowd_line(drives: &[(&str, Reading)], width: usize) -> String {
    let runs = |r: &Reading| r.done > 0 && (r.total == 0 || r.done < r.total);
    let running: Vec<_> = drives.iter().filter(|(_, reading)| runs(reading)).collect();
    let of: Vec<_> = if running.is_empty() { drives.iter().collect() } else { running };
    let by_rate = |a: &&&(&str, Reading), b: &&&(&str, Reading)| a.1.rate.total_cmp(&b.1.rate);
    let (Some((_, fastest)), Some((name, slowest))) =
        (of.iter().max_by(by_rate), of.iter().min_by(by_rate))
    else {
        return String::new();
    };
    let (count, fastest, slowest) = (drives.len(), rate(fastest), rate(slowest));
    let lines = [
        format!("  {count} drives, fastest {fastest}, slowest {slowest}: {name}"),
        format!("  {count} drives, fastest {fastest}, slowest {slowest}"),
        format!("  {count} drives, slowest {slowest}"),
    ];
    let fits = lines.iter().find(|line| text::columns(line) <= width);
    fits.map_or_else(|| shortened(&lines[2], width), Clone::clone)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn bytes(done: u64, total: u64, rate: f64) -> Reading {
        Reading { unit: Unit::Bytes, done, total, rate, reached: 0 }
    }

    #[test]
    fn the_lines_of_a_phase_stand_in_columns() {
        let total = bytes(1_230_000_000_000, 2_950_000_000_000, 512e6);
        let drive = bytes(308_000_000_000, 737_000_000_000, 128e6);
        let lines = |width: usize, name: &str, limit: Option<&str>| {
            let columns = Columns::new(width, name.len());
            [phase_line(&total, Phase::Pack, limit, &columns), drive_line(&drive, name, &columns)]
        };
        assert_eq!(
            lines(80, "north /media/usb-a", Some("drives")),
            [
                "pack (drives)         41 %   1.23 TB of 2.95 TB   512 MB/s  ETA 55 min 59 s",
                "  north /media/usb-a  41 %     308 GB of 737 GB   128 MB/s  [#######..........]",
            ]
        );
        // What names do not need goes to the bars, and to what limits it.
        assert_eq!(
            lines(100, "north d0", Some("south d4")),
            [
                "pack              41 %   1.23 TB of 2.95 TB   512 MB/s  ETA 55 min 59 s  south d4",
                "  north d0        41 %     308 GB of 737 GB   128 MB/s  [#################........................]",
            ]
        );
        let wide = lines(200, "north d0", None);
        assert!(wide[1].contains(&format!("[{}{}]", "#".repeat(25), ".".repeat(35))), "{wide:?}");
        assert_eq!(
            lines(40, "north /media/usb-a", Some("drives")),
            ["pack (drives)     41 %  ETA 55 min 59 s", "  north /media/usb-a    41 %   128 MB/s"]
        );
    }

    /// Review A24: at narrow widths the ETA is the last thing that is dropped.
    #[test]
    fn a_narrow_terminal_keeps_the_eta() {
        let total = bytes(1_230_000_000_000, 2_950_000_000_000, 512e6);
        let line = |width| phase_line(&total, Phase::Pack, None, &Columns::new(width, 20));
        assert_eq!(line(60), "pack              41 %   512 MB/s  ETA 55 min 59 s");
        assert_eq!(line(30), "pack    41 %  ETA 55 min 59 s");
        for width in 15..200 {
            assert!(line(width).contains("ETA 55 min 59 s"), "{width}");
        }
    }

    #[rstest]
    #[case::nothing_known(bytes(0, 0, f64::NAN))]
    #[case::nothing_done(bytes(0, 1_000_000, 0.0))]
    #[case::wide(bytes(999_499_999_999, 999_499_999_999_999, 1e6))]
    #[case::more_than_all(bytes(u64::MAX, 1, f64::INFINITY))]
    #[case::many_entries(Reading { unit: Unit::Entries, ..bytes(123_456_789, 0, 123_456.0) })]
    fn no_line_is_wider_than_the_terminal(#[case] reading: Reading) {
        let name = "a suitcase /media/somebody/a very long volume name/日本語";
        for width in 1..200 {
            let crowd = [(name, reading), ("b", reading)];
            assert!(text::columns(&crowd_line(&crowd, width)) <= width);
            assert!(text::columns(&then_line(&reading, Phase::ReadBack, width)) <= width);
            for longest in [1, 10, text::columns(name)] {
                let columns = Columns::new(width, longest);
                for limit in [None, Some("drives"), Some(name)] {
                    let line = phase_line(&reading, Phase::ReadBack, limit, &columns);
                    assert!(text::columns(&line) <= width, "{line}");
                }
                assert!(text::columns(&drive_line(&reading, name, &columns)) <= width);
            }
        }
    }

    /// The time left of pack is of writing alone.
    #[test]
    fn what_follows_has_a_line() {
        let pack = bytes(1_230_000_000_000, 2_950_000_000_000, 512e6);
        let line = |reading, width| then_line(&reading, Phase::ReadBack, width);
        assert_eq!(line(pack, 77), "then read back: about 1 h 36 min at this rate");
        assert_eq!(line(pack, 27), "then read back");
        assert_eq!(line(Reading { rate: f64::NAN, ..pack }, 77), "then read back");
    }

    #[test]
    fn log_lines_read_as_sentences() {
        let pack = bytes(1_230_000_000_000, 2_950_000_000_000, 512e6);
        let scan = Reading { unit: Unit::Entries, ..bytes(1_204_331, 0, 83_000.4) };
        assert_eq!(begin_line(&pack, Phase::Pack), "pack: begins, 2.95 TB");
        assert_eq!(
            running_line(&pack, Phase::Pack, Some("drives")),
            "pack: 41 %, 1.23 TB of 2.95 TB, 512 MB/s, ETA 55 min 59 s, limited by drives"
        );
        assert_eq!(
            end_line(&pack, Phase::Pack, Duration::from_secs(3000)),
            "pack: ended after 50 min 00 s, 1.23 TB, 410 MB/s"
        );
        assert_eq!(begin_line(&scan, Phase::Scan), "scan: begins");
        assert_eq!(running_line(&scan, Phase::Scan, None), "scan: 1,204,331 entries, 83,000/s");
        assert_eq!(
            end_line(&scan, Phase::Scan, Duration::from_secs(10)),
            "scan: ended after 10 s, 1,204,331 entries, 120,433/s"
        );
    }

    #[test]
    fn the_crowd_names_its_slowest_drive() {
        let drives = [
            ("north /media/usb-a", bytes(1, 0, 150e6)),
            ("south /media/usb-b", bytes(1, 0, 61e6)),
            ("south /media/usb-c", bytes(1, 0, 149e6)),
        ];
        assert_eq!(
            crowd_line(&drives, 80),
            "  3 drives, fastest 150 MB/s, slowest 61 MB/s: south /media/usb-b"
        );
        assert_eq!(crowd_line(&drives, 50), "  3 drives, fastest 150 MB/s, slowest 61 MB/s");
        assert_eq!(crowd_line(&drives, 30), "  3 drives, slowest 61 MB/s");
        let waits = ("east", bytes(0, 10, 0.0));
        assert_eq!(crowd_line(&[drives[0], waits], 30), "  2 drives, slowest 150 MB/s");
        assert_eq!(crowd_line(&[], 80), "");
    }
}
