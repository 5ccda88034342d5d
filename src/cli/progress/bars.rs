//! Progress on a terminal: one line for the phase, one a drive, drawn again five times a second.
//!
//! - Enters: the counts of a phase and its drives.
//! - Leaves: lines at the bottom of the screen, and above them whole lines that stay.
//! - Always holds: (1) the lines fit the terminal, also after its size changed: with more drives
//!   than rows, one line speaks for all of them; (2) drives stand in the order of their numbers;
//!   (3) a terminal that went away does not stop the job.

use super::lines::{crowd_line, drive_line, phase_line};
use super::model::{DriveProgress, PhaseProgress};
use super::renderer::Renderer;
use crate::cli::output::say;
use indicatif::{
    MultiProgress, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle, TermLike,
};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

/// How often a line looks at its counter.
const TICK: Duration = Duration::from_millis(200);
/// How often the screen is drawn at most, a second.
const DRAWS: u8 = 10;
/// Rows kept free of drives: the total, and room for what stands above.
const OTHER_ROWS: usize = 4;
/// Columns kept free: the terminal echoes Ctrl-C as `^C` where the cursor stands, and a line that
/// it makes wrap would stay on the screen.
const ECHO: usize = 3;

/// Progress of a command whose standard error is a terminal.
pub struct Bars {
    multi: MultiProgress,
    shown: Mutex<Shown>,
}

/// The lines of the phase that runs.
#[derive(Default)]
struct Shown {
    phase: Option<ProgressBar>,
    /// by number; none once they are too many for a line each
    drives: BTreeMap<usize, ProgressBar>,
    /// the line for all drives then
    crowd: Option<ProgressBar>,
}

impl Bars {
    pub fn new() -> Self {
        let target = ProgressDrawTarget::term_like_with_hz(Box::new(Screen::default()), DRAWS);
        Self { multi: MultiProgress::with_draw_target(target), shown: Mutex::default() }
    }

    /// Takes the line off the screen; the next draw closes the gap.
    fn hide(&self, bar: &ProgressBar) {
        // Waits for the tick that runs, which would draw it again.
        bar.disable_steady_tick();
        self.multi.remove(bar);
    }

    /// Adds a line that is made anew for each draw, at the width of that moment; the first is 0.
    fn add(
        &self,
        at: usize,
        line: impl Fn(usize) -> String + Clone + Send + Sync + 'static,
    ) -> ProgressBar {
        let bar = self.multi.insert(at, ProgressBar::no_length());
        let draw = move |_: &ProgressState, text: &mut dyn fmt::Write| {
            let (_, width) = window();
            let _ = text.write_str(&line(width.saturating_sub(ECHO)));
        };
        let style = ProgressStyle::with_template("{line}").expect("a template of one key parses");
        bar.set_style(style.with_key("line", draw));
        bar.enable_steady_tick(TICK);
        bar
    }
}

impl Default for Bars {
    fn default() -> Self {
        Self::new()
    }
}

impl Renderer for Bars {
    fn begin(&self, phase: &Arc<PhaseProgress>) {
        let phase = Arc::clone(phase);
        let bar = self.add(0, move |width| phase_line(&phase.reading(), phase.phase, width));
        self.shown.lock().phase = Some(bar);
    }

    /// Gives it a line if there are rows for all drives, otherwise one line to all.
    fn drive(&self, phase: &Arc<PhaseProgress>, drive: &Arc<DriveProgress>) {
        let mut shown = self.shown.lock();
        if let Some(replaced) = shown.drives.remove(&drive.number) {
            self.hide(&replaced);
        }
        if shown.phase.is_none() || shown.crowd.is_some() {
            return;
        }
        let (rows, _) = window();
        if shown.drives.len() < rows.saturating_sub(OTHER_ROWS) {
            let above = shown.drives.range(..drive.number).count();
            let of_line = Arc::clone(drive);
            let line = move |width| drive_line(&of_line.reading(), &of_line.name, width);
            shown.drives.insert(drive.number, self.add(1 + above, line));
            return;
        }
        std::mem::take(&mut shown.drives).values().for_each(|bar| self.hide(bar));
        let phase = Arc::clone(phase);
        shown.crowd = Some(self.add(1, move |width| {
            let drives = phase.drives();
            let readings = drives.iter().map(|drive| (drive.name.as_str(), drive.reading()));
            crowd_line(&readings.collect::<Vec<_>>(), width)
        }));
    }

    fn end(&self, _: &PhaseProgress) {
        let Shown { phase, drives, crowd } = std::mem::take(&mut *self.shown.lock());
        for bar in crowd.iter().chain(drives.values()).chain(&phase) {
            self.hide(bar);
        }
        // Fails only if the terminal is gone.
        let _ = self.multi.clear();
    }

    fn say(&self, line: &str) {
        self.multi.suspend(|| say(line));
    }
}

/// The rows and columns of the terminal; 24 and 80 if it does not say.
fn window() -> (usize, usize) {
    match rustix::termios::tcgetwinsize(io::stderr()) {
        Ok(size) if size.ws_row > 0 && size.ws_col > 0 => (size.ws_row.into(), size.ws_col.into()),
        _ => (24, 80),
    }
}

/// Standard error as indicatif wants it, but for two things. indicatif's own fails when the
/// terminal goes away, and then panics; with this one the job goes on, as nobody is there to look.
/// And indicatif gets to the next line by filling each one up with spaces, so that a terminal takes
/// all of them for one long line and, when it gets wider, moves them into each other and over the
/// text above; here lines end where their text does.
#[derive(Debug, Default)]
struct Screen {
    frame: Mutex<Frame>,
}

/// What is written with the next flush: a frame is one write, so nothing flickers.
#[derive(Debug, Default)]
struct Frame {
    text: String,
    /// the last line is complete, the next text begins a new one
    line_ended: bool,
}

impl Frame {
    /// A line's text, or the spaces (perhaps none) with which indicatif ends it; none of our lines
    /// is blank.
    fn add(&mut self, text: &str) {
        if text.bytes().all(|byte| byte == b' ') {
            self.line_ended = true;
            return;
        }
        if std::mem::take(&mut self.line_ended) {
            self.text.push_str("\r\n");
        }
        self.text.push_str(text);
    }

    /// A sequence that moves the cursor.
    fn control(&mut self, sequence: &str) {
        self.line_ended = false;
        self.text.push_str(sequence);
    }
}

impl Screen {
    fn control(&self, sequence: &str) {
        self.frame.lock().control(sequence);
    }

    /// Moves the cursor; a count of 0 would mean 1 to the terminal.
    fn moved(&self, count: usize, direction: char) {
        if count > 0 {
            self.control(&format!("\x1b[{count}{direction}"));
        }
    }
}

impl TermLike for Screen {
    fn width(&self) -> u16 {
        window().1 as u16
    }

    fn height(&self) -> u16 {
        window().0 as u16
    }

    fn move_cursor_up(&self, n: usize) -> io::Result<()> {
        self.moved(n, 'A');
        Ok(())
    }

    fn move_cursor_down(&self, n: usize) -> io::Result<()> {
        self.moved(n, 'B');
        Ok(())
    }

    fn move_cursor_right(&self, n: usize) -> io::Result<()> {
        self.moved(n, 'C');
        Ok(())
    }

    fn move_cursor_left(&self, n: usize) -> io::Result<()> {
        self.moved(n, 'D');
        Ok(())
    }

    fn write_line(&self, text: &str) -> io::Result<()> {
        self.write_str(text)?;
        self.control("\r\n");
        Ok(())
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        self.frame.lock().add(text);
        Ok(())
    }

    fn clear_line(&self) -> io::Result<()> {
        self.control("\r\x1b[2K");
        Ok(())
    }

    fn flush(&self) -> io::Result<()> {
        let text = std::mem::take(&mut self.frame.lock().text);
        let _ = io::stderr().write_all(text.as_bytes());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::progress::model::Progress;
    use crate::monitor::Phase;

    #[test]
    fn a_frame_has_lines_and_no_filling() {
        let mut frame = Frame::default();
        for text in ["pack", "    ", "  north", " ", "  south", ""] {
            frame.add(text);
        }
        assert_eq!(frame.text, "pack\r\n  north\r\n  south");
        frame.control("\x1b[2A");
        frame.add("pack");
        assert_eq!(frame.text, "pack\r\n  north\r\n  south\x1b[2Apack");
    }

    #[test]
    fn drives_have_a_line_each_until_they_are_too_many() {
        let hidden = MultiProgress::with_draw_target(ProgressDrawTarget::hidden());
        let bars = Bars { multi: hidden, shown: Mutex::default() };
        let progress = Progress::default();
        let join = |drive, name| {
            let (phase, drive) = progress.join(drive, name, 0).unwrap();
            bars.drive(&phase, &drive);
        };
        let lines = || bars.shown.lock().drives.keys().copied().collect::<Vec<_>>();
        for _ in 0..2 {
            let phase = progress.begin(Phase::Pack, 100);
            bars.begin(&phase);
            join(2, "c");
            join(0, "a");
            join(2, "another");
            assert_eq!(lines(), [0, 2]);
            (3..100).for_each(|drive| join(drive, "one of many"));
            assert!(lines().is_empty() && bars.shown.lock().crowd.is_some());
            bars.end(&phase);
            bars.end(&phase);
            assert!(bars.shown.lock().phase.is_none());
        }
    }
}
