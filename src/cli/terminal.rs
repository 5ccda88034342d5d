//! The monitor for people: bars on a terminal, plain lines in a log, or nothing.
//!
//! - Enters: what a job reports, from any thread.
//! - Leaves: standard error; the problems, kept by kind for the end.
//! - Always holds: (1) nothing here goes to standard output; (2) counting is atomic additions under
//!   a shared lock, and who counts never waits for the terminal; (3) problems and notes stand above
//!   the bars, which stay whole; (4) of each kind the first ten problems are shown as they come and
//!   the rest counted, so a failing source does not bury the screen.
//!
//! No thread is started here: indicatif's steady tick is the clock of bars and plain lines, so that
//! a job that stands still is seen to stand still.

mod bars;
mod lines;
mod plain;
mod problems;

pub use problems::{KEPT, Problems};

use super::{say, shown_text};
use crate::monitor::{Monitor, Phase, Problem};
use parking_lot::Mutex;
use std::io::IsTerminal;
use std::sync::atomic::{AtomicBool, Ordering};

/// Problems of one kind shown as they come.
const LIVE_PROBLEMS: u64 = 10;

/// How much is shown while a job runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// standard error is a terminal: lines that are drawn again and again
    Bars,
    /// it is not: a line at the start and end of a phase and every ten seconds
    Plain,
    /// errors and the final summary only
    Quiet,
}

impl Mode {
    /// The mode that fits standard error.
    pub fn detect(quiet: bool) -> Self {
        // TERM=dumb (and no TERM at all) is how a terminal says that it cannot move its cursor.
        let dumb = std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
        match (quiet, std::io::stderr().is_terminal() && !dumb) {
            (true, _) => Self::Quiet,
            (false, true) => Self::Bars,
            (false, false) => Self::Plain,
        }
    }
}

/// What draws: one implementation a mode. The calls mean what [`Monitor`] says.
trait Ui: Send + Sync {
    fn begin(&self, phase: Phase, total: u64);
    fn end(&self);
    fn advance(&self, amount: u64);
    fn retotal(&self, total: u64);
    fn drive(&self, drive: usize, name: &str, total: u64);
    fn drive_advance(&self, drive: usize, bytes: u64);
    /// A whole line that stays.
    fn say(&self, line: &str);
}

/// Shows a job on standard error.
pub struct Terminal {
    mode: Mode,
    ui: Box<dyn Ui>,
    problems: Mutex<Problems>,
    /// that the job comes to its end was said
    stopping: AtomicBool,
}

impl Terminal {
    /// Shows nothing until the first phase.
    pub fn new(mode: Mode) -> Self {
        let ui: Box<dyn Ui> = match mode {
            Mode::Bars => Box::new(bars::Bars::new()),
            Mode::Plain => Box::new(plain::Plain::default()),
            Mode::Quiet => Box::new(Silence),
        };
        Self { mode, ui, problems: Mutex::default(), stopping: AtomicBool::new(false) }
    }

    /// Whether only errors and the final summary are to be said.
    pub fn is_quiet(&self) -> bool {
        self.mode == Mode::Quiet
    }

    /// Ends the present phase and clears the bars; call it before anything else is printed.
    pub fn finish(&self) {
        self.ui.end();
    }

    pub fn problems(&self) -> Problems {
        self.problems.lock().clone()
    }

    /// Clears the bars and prints the problems by kind, in every mode; nothing if there are none.
    pub fn print_problems(&self) {
        self.finish();
        let listing = self.problems.lock().listing();
        if !listing.is_empty() {
            say(&listing);
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.finish();
    }
}

impl Monitor for Terminal {
    fn phase(&self, phase: Phase, total: u64) {
        self.ui.end();
        self.ui.begin(phase, total);
    }

    fn advance(&self, amount: u64) {
        self.ui.advance(amount);
    }

    fn retotal(&self, total: u64) {
        self.ui.retotal(total);
    }

    fn drive(&self, drive: usize, name: &str, total: u64) {
        self.ui.drive(drive, &shown_text(name), total);
    }

    fn drive_advance(&self, drive: usize, bytes: u64) {
        self.ui.drive_advance(drive, bytes);
    }

    fn problem(&self, problem: Problem) {
        let kind = problem.kind;
        let line = format!("problem: {}", shown_text(&problem.to_string()));
        let count = self.problems.lock().add(problem);
        if count <= LIVE_PROBLEMS {
            self.ui.say(&line);
        } else if count == LIVE_PROBLEMS + 1 {
            self.ui.say(&format!("note: more like it ({}) are only counted", kind.name()));
        }
    }

    fn note(&self, text: &str) {
        self.ui.say(&format!("note: {}", shown_text(text)));
    }

    fn should_stop(&self) -> bool {
        let asked = super::stop::asked();
        if asked && !self.stopping.swap(true, Ordering::Relaxed) {
            self.note("stopping: what is begun comes to a safe end; Ctrl-C again stops at once");
        }
        asked
    }
}

/// The display in mode [`Mode::Quiet`].
struct Silence;

impl Ui for Silence {
    fn begin(&self, _: Phase, _: u64) {}
    fn end(&self) {}
    fn advance(&self, _: u64) {}
    fn retotal(&self, _: u64) {}
    fn drive(&self, _: usize, _: &str, _: u64) {}
    fn drive_advance(&self, _: usize, _: u64) {}
    fn say(&self, _: &str) {}
}

/// Locks what stays usable even if another thread panicked.
#[cfg(test)]
mod tests {
    use super::*;
    use crate::monitor::ProblemKind;
    use std::sync::Arc;

    /// Keeps what would stay on the screen.
    struct Kept(Arc<Mutex<Vec<String>>>);

    impl Ui for Kept {
        fn begin(&self, phase: Phase, _: u64) {
            self.say(&format!("begin {}", phase.name()));
        }
        fn end(&self) {
            self.say("end");
        }
        fn advance(&self, _: u64) {}
        fn retotal(&self, _: u64) {}
        fn drive(&self, _: usize, name: &str, _: u64) {
            self.say(name);
        }
        fn drive_advance(&self, _: usize, _: u64) {}
        fn say(&self, line: &str) {
            self.0.lock().push(line.to_owned());
        }
    }

    fn kept() -> (Terminal, Arc<Mutex<Vec<String>>>) {
        let lines = Arc::default();
        let ui = Box::new(Kept(Arc::clone(&lines)));
        let stopping = AtomicBool::default();
        (Terminal { mode: Mode::Plain, ui, problems: Mutex::default(), stopping }, lines)
    }

    #[test]
    fn the_first_ten_of_a_kind_are_shown_and_all_are_counted() {
        let (terminal, lines) = kept();
        for i in 0..1000 {
            terminal.problem(Problem::new(ProblemKind::Metadata, i, "no owner"));
        }
        terminal.problem(Problem::new(ProblemKind::Drive, "usb-a", "vanished"));
        let lines = lines.lock();
        assert_eq!(lines.len(), 12);
        assert_eq!(lines[0], "problem: 0: no owner");
        assert_eq!(lines[9], "problem: 9: no owner");
        assert_eq!(lines[10], "note: more like it (metadata) are only counted");
        assert_eq!(lines[11], "problem: usb-a: vanished");
        assert_eq!(terminal.problems().count(), 1001);
    }

    #[test]
    fn text_from_outside_cannot_steer_the_terminal() {
        let (terminal, lines) = kept();
        terminal.problem(Problem::new(ProblemKind::Lost, "a\x1b[2J\nerror: b", "x\ry"));
        terminal.note("on \x07");
        terminal.drive(0, "usb\t\x1b]0;", 0);
        assert_eq!(
            *lines.lock(),
            ["problem: a\\u{1b}[2J\\nerror: b: x\\ry", "note: on \\u{7}", "usb\\t\\u{1b}]0;"]
        );
    }

    #[test]
    fn a_phase_ends_the_one_before_and_dropping_ends_the_last() {
        let (terminal, lines) = kept();
        terminal.phase(Phase::Scan, 0);
        terminal.phase(Phase::Pack, 0);
        drop(terminal);
        assert_eq!(*lines.lock(), ["end", "begin scan", "end", "begin pack", "end"]);
    }
}
