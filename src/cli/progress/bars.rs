//! Progress on a terminal: one line for the phase, one a drive, drawn again five times a second.
//!
//! - Enters: the counts of a phase and its drives.
//! - Leaves: lines at the bottom of the screen, and above them whole lines that stay.
//! - Always holds: (1) the lines fit the terminal, also after its size changed: with more drives
//!   than rows, one line speaks for all of them; (2) what was drawn is taken off the screen again, also
//!   where a terminal that became narrower has broken its lines; (3) a frame is one write, so nothing
//!   flickers; (4) a terminal that went away does not stop the job.
//!
//! indicatif's own bars do not: they count the lines that they drew, and not the rows that a terminal
//! makes of them; and they end lines by spaces, which a terminal that gets wider moves into each other.

use super::bottleneck::Bottleneck;
use super::clock::Clock;
use super::lines::{Columns, crowd_line, drive_line, phase_line, then_line};
use super::model::{DriveProgress, PhaseProgress};
use super::renderer::Renderer;
use crate::cli::output::show;
use crate::cli::stop;
use crate::cli::text::columns;
use parking_lot::Mutex;
use std::fmt::Write as _;
use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

/// How often the lines are drawn.
const TICK: Duration = Duration::from_millis(200);
/// Rows kept free of drives: the total, what follows, and room for what stands above.
const OTHER_ROWS: usize = 4;
/// Columns kept free: the terminal echoes Ctrl-C as `^C` where the cursor stands, and a line that
/// it makes wrap would stay on the screen.
const ECHO: usize = 3;

/// Progress of a command whose standard error is a terminal.
#[derive(Default)]
pub struct Bars {
    screen: Arc<Mutex<Screen>>,
    clock: Mutex<Option<Clock>>,
}

/// What stands at the bottom of the terminal.
#[derive(Default)]
struct Screen {
    phase: Option<Arc<PhaseProgress>>,
    /// columns of each line that was drawn last; the cursor stands behind the last
    drawn: Vec<usize>,
}

impl Bars {
    pub fn new() -> Self {
        Self::default()
    }

    /// The clock is never replaced while the screen is locked: its last tick may wait for that.
    fn set_clock(&self, clock: Option<Clock>) {
        let before = std::mem::replace(&mut *self.clock.lock(), clock);
        drop(before);
    }
}

impl Renderer for Bars {
    fn begin(&self, phase: &Arc<PhaseProgress>) {
        self.screen.lock().phase = Some(Arc::clone(phase));
        let screen = Arc::clone(&self.screen);
        self.set_clock(Some(Clock::start(TICK, move || {
            let mut screen = screen.lock();
            put(&screen.frame(window()));
        })));
    }

    fn end(&self, _: &PhaseProgress) {
        self.set_clock(None);
        let mut screen = self.screen.lock();
        screen.phase = None;
        put(&screen.frame(window()));
    }

    fn say(&self, line: &str) {
        let mut screen = self.screen.lock();
        put(&screen.erase(window().1));
        show(line);
        put(&screen.frame(window()));
    }
}

impl Screen {
    /// Draws the lines as they are now over those that were drawn last.
    fn frame(&mut self, (rows, width): (usize, usize)) -> String {
        let lines = self.lines(rows, width.saturating_sub(ECHO));
        let mut text = self.to_top(width);
        self.drawn = lines.iter().map(|line| columns(line)).collect();
        for (number, line) in lines.iter().enumerate() {
            let between = if number > 0 { "\r\n" } else { "" };
            let _ = write!(text, "{between}{line}\x1b[K");
        }
        // What stood below goes, too.
        if !text.is_empty() {
            text.push_str("\x1b[J");
        }
        text
    }

    /// Takes the lines off the screen.
    fn erase(&mut self, width: usize) -> String {
        let text = self.to_top(width);
        self.drawn.clear();
        if text.is_empty() { text } else { text + "\x1b[J" }
    }

    /// Moves the cursor to the beginning of what was drawn. A terminal that is narrower now has broken
    /// each line into as many rows as it needs.
    fn to_top(&self, width: usize) -> String {
        let rows_of = |columns: &usize| columns.div_ceil(width.max(1)).max(1);
        let rows: usize = self.drawn.iter().map(rows_of).sum();
        match rows {
            0 => String::new(),
            1 => "\r".into(),
            rows => format!("\r\x1b[{}A", rows - 1),
        }
    }

    /// The phase, and each drive if there are rows for all of them, otherwise one line for all.
    fn lines(&self, rows: usize, width: usize) -> Vec<String> {
        let Some(phase) = &self.phase else { return Vec::new() };
        let drives = phase.drives();
        let columns = Columns::new(width, phase.name_columns());
        let bottleneck = phase.bottleneck();
        let limit = if stop::asked() {
            Some("stopping")
        } else {
            bottleneck.as_ref().map(Bottleneck::word)
        };
        let reading = phase.reading();
        let mut lines = vec![phase_line(&reading, phase.phase, limit, &columns)];
        if drives.len() <= rows.saturating_sub(OTHER_ROWS) {
            let line =
                |drive: &Arc<DriveProgress>| drive_line(&drive.reading(), &drive.name, &columns);
            lines.extend(drives.iter().map(line));
        } else {
            let readings = drives.iter().map(|drive| (drive.name.as_str(), drive.reading()));
            lines.push(crowd_line(&readings.collect::<Vec<_>>(), width));
        }
        if let Some(then) = phase.then.filter(|_| !stop::asked()) {
            lines.push(then_line(&reading, then, width));
        }
        lines
    }
}

/// Writes to the terminal. Fails only if it is gone, and then nobody is there to look.
fn put(text: &str) {
    let _ = io::stderr().write_all(text.as_bytes());
}

/// The rows and columns of the terminal; 24 and 80 if it does not say.
fn window() -> (usize, usize) {
    match rustix::termios::tcgetwinsize(io::stderr()) {
        Ok(size) if size.ws_row > 0 && size.ws_col > 0 => (size.ws_row.into(), size.ws_col.into()),
        _ => (24, 80),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::progress::model::Progress;
    use crate::monitor::Phase;

    fn screen(drives: usize) -> Screen {
        let progress = Progress::default();
        let phase = progress.begin(Phase::Pack, 100);
        (0..drives).for_each(|drive| {
            progress.join(drive, &format!("north d{drive}"), 10);
        });
        Screen { phase: Some(phase), drawn: Vec::new() }
    }

    /// Review A24: cut lines of old progress stayed in the scrollback.
    #[test]
    fn a_frame_begins_where_the_one_before_did_also_on_a_narrower_terminal() {
        let mut screen = screen(2);
        let first = screen.frame((24, 80));
        assert!(first.starts_with("pack"), "{first:?}");
        assert_eq!(first.matches("\r\n").count(), 2, "{first:?}");
        assert!(screen.frame((24, 80)).starts_with("\r\x1b[2Apack"));
        // Lines of up to 77 columns now take up to three rows each.
        let rows: usize = screen.drawn.iter().map(|columns| columns.div_ceil(30)).sum();
        assert!(rows > 4, "{:?}", screen.drawn);
        let narrow = screen.frame((24, 30));
        assert!(narrow.starts_with(&format!("\r\x1b[{}Apack", rows - 1)), "{narrow:?}");
        assert!(narrow.ends_with("\x1b[J"), "{narrow:?}");
        assert!(screen.drawn.iter().all(|columns| *columns <= 27));
        screen.phase = None;
        assert_eq!(screen.frame((24, 30)), "\r\x1b[2A\x1b[J");
        assert_eq!(screen.frame((24, 30)), "");
    }

    #[test]
    fn drives_have_a_line_each_until_they_are_too_many() {
        assert_eq!(screen(16).lines(24, 77).len(), 17);
        let crowd = screen(16).lines(12, 77);
        assert_eq!(crowd.len(), 2);
        assert!(crowd[1].starts_with("  16 drives"), "{crowd:?}");
    }
}
