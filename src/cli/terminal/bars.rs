//! Progress on a terminal: one line for the phase, one a drive, drawn again five times a second.
//!
//! - Enters: the counts of a phase and its drives.
//! - Leaves: lines at the bottom of the screen, and above them whole lines that stay.
//! - Always holds: (1) the lines fit the terminal, also after its size changed: with more drives
//!   than rows, one line speaks for all of them; (2) drives stand in the order of their numbers;
//!   (3) a terminal that went away does not stop the job.

use super::Ui;
use super::lines::{Reading, Unit, crowd_line};
use crate::cli::say;
use crate::monitor::Phase;
use indicatif::{
    MultiProgress, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle, TermLike,
};
use parking_lot::{Mutex, RwLock};
use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
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

/// The display in mode [`super::Mode::Bars`].
pub(super) struct Bars {
    multi: MultiProgress,
    present: RwLock<Option<Running>>,
}

/// The phase that runs.
struct Running {
    bar: ProgressBar,
    total: Arc<AtomicU64>,
    drives: BTreeMap<usize, Drive>,
    /// the line for all drives, once they are too many for a line each
    crowd: Option<ProgressBar>,
}

#[derive(Clone)]
struct Drive {
    name: String,
    bar: ProgressBar,
    total: Arc<AtomicU64>,
}

impl Drive {
    fn reading(&self) -> Reading {
        let (done, rate) = (self.bar.position(), self.bar.per_sec());
        Reading { unit: Unit::Bytes, done, total: self.total.load(Ordering::Relaxed), rate }
    }
}

impl Bars {
    pub(super) fn new() -> Self {
        let target = ProgressDrawTarget::term_like_with_hz(Box::new(Screen::default()), DRAWS);
        Self { multi: MultiProgress::with_draw_target(target), present: RwLock::default() }
    }

    fn with(&self, count: impl FnOnce(&Running)) {
        let present = self.present.read();
        if let Some(running) = present.as_ref() {
            count(running);
        }
    }

    /// Takes the bar off the screen; the next draw closes the gap.
    fn hide(&self, bar: &ProgressBar) {
        // Waits for the tick that runs, which would draw it again.
        bar.disable_steady_tick();
        self.multi.remove(bar);
    }

    /// Gives every drive a line if there are rows for all, otherwise one line to all.
    fn place(&self, running: &mut Running, drive: usize) {
        let (rows, _) = window();
        let crowded = running.drives.len() > rows.saturating_sub(OTHER_ROWS);
        if let Some(added) = running.drives.get(&drive).filter(|_| !crowded) {
            let above = running.drives.range(..drive).count();
            self.multi.insert(1 + above, added.bar.clone());
            added.bar.enable_steady_tick(TICK);
            return;
        }
        for Drive { bar, .. } in running.drives.values() {
            self.hide(bar);
            bar.enable_steady_tick(TICK); // goes on counting its rate
        }
        let crowd = running.crowd.get_or_insert_with(|| self.multi.add(ProgressBar::no_length()));
        let drives: Vec<Drive> = running.drives.values().cloned().collect();
        crowd.set_style(line_style(move |_, width| {
            let readings = drives.iter().map(|drive| (drive.name.clone(), drive.reading()));
            crowd_line(&readings.collect::<Vec<_>>(), width)
        }));
        crowd.enable_steady_tick(TICK);
    }
}

impl Ui for Bars {
    fn begin(&self, phase: Phase, total: u64) {
        let total = Arc::new(AtomicU64::new(total));
        let bar = self.multi.add(ProgressBar::no_length());
        let shown_total = Arc::clone(&total);
        bar.set_style(line_style(move |state, width| {
            let total = shown_total.load(Ordering::Relaxed);
            let (unit, done, rate) = (Unit::of(phase), state.pos(), state.per_sec());
            Reading { unit, done, total, rate }.total_line(phase, width)
        }));
        bar.enable_steady_tick(TICK);
        let mut present = self.present.write();
        *present = Some(Running { bar, total, drives: BTreeMap::new(), crowd: None });
    }

    fn end(&self) {
        let ended = self.present.write().take();
        let Some(running) = ended else { return };
        let drives = running.drives.values().map(|drive| &drive.bar);
        for bar in running.crowd.iter().chain(drives).chain([&running.bar]) {
            self.hide(bar);
        }
        // Fails only if the terminal is gone.
        let _ = self.multi.clear();
    }

    fn advance(&self, amount: u64) {
        self.with(|running| running.bar.inc(amount));
    }

    fn retotal(&self, total: u64) {
        self.with(|running| running.total.store(total, Ordering::Relaxed));
    }

    fn drive(&self, drive: usize, name: &str, total: u64) {
        let mut present = self.present.write();
        let Some(running) = present.as_mut() else { return };
        if let Some(known) = running.drives.get(&drive).filter(|known| known.name == name) {
            known.total.store(total, Ordering::Relaxed);
            return;
        }
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
        let total = Arc::new(AtomicU64::new(total));
        let (shown_name, shown_total) = (name.to_owned(), Arc::clone(&total));
        bar.set_style(line_style(move |state, width| {
            let total = shown_total.load(Ordering::Relaxed);
            let (done, rate) = (state.pos(), state.per_sec());
            Reading { unit: Unit::Bytes, done, total, rate }.drive_line(&shown_name, width)
        }));
        let added = Drive { name: name.to_owned(), bar, total };
        if let Some(replaced) = running.drives.insert(drive, added) {
            self.hide(&replaced.bar);
        }
        self.place(running, drive);
    }

    fn drive_advance(&self, drive: usize, bytes: u64) {
        self.with(|running| {
            if let Some(drive) = running.drives.get(&drive) {
                drive.bar.inc(bytes);
            }
        });
    }

    fn say(&self, line: &str) {
        self.multi.suspend(|| say(line));
    }
}

/// A style that is one line of text, made anew for each draw at the width of that moment.
fn line_style(
    line: impl Fn(&ProgressState, usize) -> String + Clone + Send + Sync + 'static,
) -> ProgressStyle {
    ProgressStyle::with_template("{line}").expect("a template of one key parses").with_key(
        "line",
        move |state: &ProgressState, text: &mut dyn fmt::Write| {
            let (_, width) = window();
            let _ = text.write_str(&line(state, width.saturating_sub(ECHO)));
        },
    )
}

/// The rows and columns of the terminal; 24 and 80 if it does not say.
fn window() -> (usize, usize) {
    match rustix::termios::tcgetwinsize(io::stderr()) {
        Ok(size) if size.ws_row > 0 && size.ws_col > 0 => (size.ws_row.into(), size.ws_col.into()),
        _ => (24, 80),
    }
}

/// Standard error as indicatif wants it, but for two things. indicatif's own fails when the terminal
/// goes away, and then panics; with this one the job goes on, as nobody is there to look. And
/// indicatif gets to the next line by filling each one up with spaces, so that a terminal takes all
/// of them for one long line and, when it gets wider, moves them into each other and over the text
/// above; here lines end where their text does.
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

    /// The names of the drives that have a line, from top to bottom.
    fn shown(bars: &Bars) -> Vec<String> {
        let present = bars.present.read();
        let drives = &present.as_ref().unwrap().drives;
        drives.values().map(|drive| drive.name.clone()).collect()
    }

    #[test]
    fn drives_are_registered_again_in_each_phase() {
        let hidden = MultiProgress::with_draw_target(ProgressDrawTarget::hidden());
        let bars = Bars { multi: hidden, present: RwLock::default() };
        bars.drive(0, "before any phase", 1);
        bars.drive_advance(0, 1);
        bars.begin(Phase::Pack, 100);
        bars.drive(2, "c", 10);
        bars.drive(0, "a", 10);
        bars.drive(2, "c", 20);
        bars.drive_advance(2, 7);
        bars.drive_advance(9, 7);
        bars.with(|running| {
            let reading = running.drives[&2].reading();
            assert_eq!((reading.done, reading.total), (7, 20));
        });
        assert_eq!(shown(&bars), ["a", "c"]);
        bars.drive(2, "another", 10);
        assert_eq!(shown(&bars), ["a", "another"]);
        bars.end();
        bars.begin(Phase::Verify, 100);
        assert!(shown(&bars).is_empty());
        for drive in 0..100 {
            bars.drive(drive, "one of many", 0);
        }
        bars.with(|running| assert!(running.crowd.is_some()));
        bars.end();
        bars.end();
    }
}
