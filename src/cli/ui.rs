//! The monitor of a command: counts and problems, and how they are shown, chosen once.
//!
//! - Enters: what a job reports, from any thread.
//! - Leaves: standard error, or with `--json` lines on standard output; the plain lines of it in the
//!   file of `--log-file`; the problems, by kind; how long it took; a call for a person.
//! - Always holds: counting waits for no terminal and no lock.

use super::awake::Awake;
use super::hook::{Call, Hook};
use super::output::{emit, log, out, say, show};
use super::progress::bars::Bars;
use super::progress::json_lines::JsonLines;
use super::progress::model::Progress;
use super::progress::plain::Plain;
use super::progress::problems::Problems;
use super::progress::renderer::{Renderer, Silence};
use super::progress::took::Phases;
use super::stop;
use crate::format::ids::ShipmentId;
use crate::format::shown::shown_text;
use crate::monitor::{Event, Monitor, Phase};
use parking_lot::{Mutex, MutexGuard};
use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How a job is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// standard error is a terminal: lines that are drawn again and again
    Bars,
    /// it is not: a line at the start and end of a phase and every ten seconds
    Plain,
    /// errors and the final summary only
    Quiet,
    /// to a program
    Json,
}

impl Mode {
    /// As the global options say; without any, the mode that fits standard error.
    fn of(json: bool, quiet: bool) -> Self {
        // TERM=dumb (and no TERM at all) is how a terminal says that it cannot move its cursor.
        let dumb = || std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
        if json {
            Self::Json
        } else if quiet {
            Self::Quiet
        } else if io::stderr().is_terminal() && !dumb() {
            Self::Bars
        } else {
            Self::Plain
        }
    }
}

/// How a command talks.
pub struct Ui {
    mode: Mode,
    view: Arc<View>,
    problems: Mutex<Problems>,
    hook: Hook,
    /// while phases run
    awake: Mutex<Option<Awake>>,
    lap: Mutex<Lap>,
}

/// What a job does, and what shows it.
struct View {
    progress: Progress,
    renderer: Box<dyn Renderer>,
    /// writes to the file of `--log-file`
    log: Option<Plain>,
    /// that the job comes to its end was said
    stopping: AtomicBool,
}

impl View {
    /// What shows the job, and then what writes it down.
    fn render(&self, what: impl Fn(&dyn Renderer)) {
        what(self.renderer.as_ref());
        if let Some(log) = &self.log {
            what(log);
        }
    }

    /// Says, once, that the job was asked to stop.
    fn stopping(&self) {
        if !self.stopping.swap(true, Ordering::Relaxed) {
            let text = stopping_text(self.progress.phase().filter(|_| stop::has_costs()));
            self.render(|renderer| renderer.stopping(text));
        }
    }
}

/// What comes now that the job was asked to stop, and what it costs not to wait for that; in a phase of
/// pack's if it is pack that stops.
fn stopping_text(of_pack: Option<Phase>) -> &'static str {
    match of_pack {
        Some(Phase::Pack) => {
            "stopping once what is in memory lies on the drives: the time left is of that; Ctrl-C again \
             stops at once, and what is not committed is packed again"
        }
        Some(Phase::ReadBack) => {
            "stopping the read-back; the set is closed, and not proven. Ctrl-C again stops at once"
        }
        _ => "stopping once the work under way is safe; Ctrl-C again stops at once",
    }
}

/// The work since the last summary.
struct Lap {
    began: Instant,
    /// what persons had been given to answer until then
    asked: Duration,
    phases: Phases,
}

impl Lap {
    fn begin() -> Self {
        Self { began: Instant::now(), asked: stop::waited(), phases: Phases::default() }
    }
}

/// What the command line says of how a command talks.
#[derive(Default)]
pub struct UiOptions {
    pub json: bool,
    pub quiet: bool,
    /// the file of `--log-file` was opened
    pub has_log: bool,
    pub on_event: Option<String>,
}

impl Ui {
    /// As the global options say; shows nothing until the first phase.
    pub fn new(options: UiOptions) -> Self {
        let mode = Mode::of(options.json, options.quiet);
        let renderer: Box<dyn Renderer> = match mode {
            Mode::Bars => Box::new(Bars::new()),
            Mode::Plain => Box::new(Plain::new(show)),
            Mode::Quiet => Box::new(Silence),
            Mode::Json => Box::new(JsonLines::new()),
        };
        let log = options.has_log.then(|| Plain::new(log));
        let mut ui = Self::with(mode, renderer, log);
        let view = Arc::clone(&ui.view);
        // A job may be long in looking whether it should stop.
        stop::when_asked(move || {
            if view.progress.phase().is_some() {
                view.stopping();
            }
        });
        ui.hook = Hook::new(options.on_event, !options.json && !options.quiet);
        ui
    }

    fn with(mode: Mode, renderer: Box<dyn Renderer>, log: Option<Plain>) -> Self {
        let (progress, stopping) = (Progress::default(), AtomicBool::new(false));
        Self {
            mode,
            view: Arc::new(View { progress, renderer, log, stopping }),
            problems: Mutex::default(),
            hook: Hook::new(None, false),
            awake: Mutex::default(),
            lap: Mutex::new(Lap::begin()),
        }
    }

    /// For the library.
    pub fn monitor(&self) -> &dyn Monitor {
        self
    }

    /// Does a program listen?
    pub fn is_json(&self) -> bool {
        self.mode == Mode::Json
    }

    /// Shall only errors and the final summary be said?
    pub fn is_quiet(&self) -> bool {
        self.mode == Mode::Quiet
    }

    /// Ends the phase that runs; call it before anything else is printed.
    pub fn finish(&self) {
        self.end_phase();
        let awake = self.awake.lock().take();
        drop(awake);
    }

    fn end_phase(&self) {
        if let Some(ended) = self.view.progress.end() {
            self.lap.lock().phases.add(&ended);
            self.view.render(|renderer| renderer.end(&ended));
        }
    }

    /// Ends a summary: how long the work took since the one before, and how fast it was. Nothing if
    /// no bytes were worked on.
    pub fn say_time(&self) {
        self.finish();
        let lap = self.lap_ends();
        let worked = lap.began.elapsed().saturating_sub(stop::waited().saturating_sub(lap.asked));
        match lap.phases.summary(worked) {
            Some(took) if self.is_json() => emit("took", &took),
            Some(took) => out(&format!("{}\n", took.line())),
            None => {}
        }
    }

    /// The next summary is of what is done from now on: drives were awaited.
    pub fn new_lap(&self) {
        self.lap_ends();
    }

    fn lap_ends(&self) -> Lap {
        std::mem::replace(&mut *self.lap.lock(), Lap::begin())
    }

    /// The shipment that the command is about.
    pub fn about(&self, shipment: ShipmentId) {
        self.hook.about(shipment);
        stop::set_costs(format!("what is committed stays; to resume: holdall resume {shipment}"));
    }

    /// Is what is packed from now on read back then?
    pub fn reads_back(&self, reads_back: bool) {
        self.view.progress.set_reads_back(reads_back);
    }

    /// Calls a person, with a message of its own if there is one.
    pub fn call(&self, call: Call, message: Option<&str>) {
        self.hook.call(call, message);
    }

    /// The drives of a set are full: calls a person who is asked for others, or at the end.
    pub fn call_for_drives(&self, somebody_is_asked: bool) {
        if somebody_is_asked {
            self.call(Call::DrivesFull, None);
        } else {
            self.hook.at_end(Call::DrivesFull);
        }
    }

    /// Waits for what was called to end; says what went wrong with it.
    pub fn end_calls(&self) {
        self.hook.finish(&|text| self.monitor().note(text));
    }

    pub fn problems(&self) -> Problems {
        self.lock().clone()
    }

    /// Lists the problems again, by kind; a program was told each of them.
    pub fn print_problems(&self) {
        self.finish();
        let listing = self.lock().listing();
        if !listing.is_empty() && !self.is_json() {
            say(&listing);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Problems> {
        self.problems.lock()
    }
}

impl Drop for Ui {
    fn drop(&mut self) {
        self.finish();
    }
}

impl Monitor for Ui {
    fn event(&self, event: Event<'_>) {
        match event {
            Event::Advance(amount) => self.view.progress.count(|phase| phase.advance(amount)),
            Event::DriveAdvance { drive, bytes } => {
                self.view.progress.count(|phase| phase.drive_advance(drive, bytes));
            }
            Event::Retotal(total) => self.view.progress.count(|phase| phase.retotal(total)),
            Event::Spent { on, time } => self.view.progress.count(|phase| phase.spent(on, time)),
            Event::Phase { phase, total } => {
                self.end_phase();
                self.awake.lock().get_or_insert_with(Awake::begin);
                let begun = self.view.progress.begin(phase, total);
                self.view.render(|renderer| renderer.begin(&begun));
            }
            Event::Drive { drive, name, total } => {
                let name = if self.is_json() { name.into() } else { shown_text(name) };
                if let Some((phase, drive)) = self.view.progress.join(drive, &name, total) {
                    self.view.render(|renderer| renderer.drive(&phase, &drive));
                }
            }
            Event::Problem(problem) => {
                let count = self.lock().add(problem.clone());
                self.view.render(|renderer| renderer.problem(problem, count));
            }
            Event::Note(text) => self.view.render(|renderer| renderer.note(text)),
        }
    }

    fn should_stop(&self) -> bool {
        let asked = stop::asked();
        if asked {
            self.view.stopping();
        }
        asked
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::progress::model::{DriveProgress, PhaseProgress};
    use crate::monitor::{Problem, ProblemKind};

    /// Keeps what would stay on the screen.
    struct Kept(Arc<Mutex<Vec<String>>>);

    impl Renderer for Kept {
        fn begin(&self, phase: &Arc<PhaseProgress>) {
            self.say(&format!("begin {}", phase.phase.name()));
        }
        fn drive(&self, _: &Arc<PhaseProgress>, drive: &Arc<DriveProgress>) {
            self.say(&drive.name);
        }
        fn end(&self, phase: &PhaseProgress) {
            self.say(&format!("end {}", phase.phase.name()));
        }
        fn say(&self, line: &str) {
            self.0.lock().push(line.to_owned());
        }
    }

    fn kept() -> (Ui, Arc<Mutex<Vec<String>>>) {
        let lines = Arc::default();
        (Ui::with(Mode::Plain, Box::new(Kept(Arc::clone(&lines))), None), lines)
    }

    #[test]
    fn the_first_ten_of_a_kind_are_shown_and_all_are_counted() {
        let (ui, lines) = kept();
        for i in 0..1000 {
            ui.problem(Problem::new(ProblemKind::Metadata, i, "no owner"));
        }
        ui.problem(Problem::new(ProblemKind::Drive, "usb-a", "vanished"));
        let lines = lines.lock();
        assert_eq!(lines.len(), 12);
        assert_eq!(lines[0], "problem: 0: no owner");
        assert_eq!(lines[9], "problem: 9: no owner");
        assert_eq!(lines[10], "note: further problems of this kind (metadata) are only counted");
        assert_eq!(lines[11], "problem: usb-a: vanished");
        assert_eq!(ui.problems().count(), 1001);
    }

    #[test]
    fn text_from_outside_cannot_steer_the_terminal() {
        let (ui, lines) = kept();
        ui.problem(Problem::new(ProblemKind::Lost, "a\x1b[2J\nerror: b", "x\ry"));
        ui.note("on \x07");
        ui.phase(Phase::Pack, 0);
        ui.drive(0, "usb\t\x1b]0;", 0);
        assert_eq!(
            lines.lock()[..],
            [
                "problem: a\\u{1b}[2J\\nerror: b: x\\ry",
                "note: on \\u{7}",
                "begin pack",
                "usb\\t\\u{1b}]0;"
            ]
        );
    }

    #[test]
    fn a_phase_ends_the_one_before_and_dropping_ends_the_last() {
        let (ui, lines) = kept();
        ui.phase(Phase::Scan, 0);
        ui.phase(Phase::Pack, 0);
        drop(ui);
        let lines = lines.lock();
        assert_eq!(lines[..], ["begin scan", "end scan", "begin pack", "end pack"]);
    }

    /// Whoever hears of the signal first says it, at once and only once.
    #[test]
    fn that_it_stops_is_said_once() {
        let (ui, lines) = kept();
        ui.phase(Phase::Pack, 10);
        ui.view.stopping();
        ui.view.stopping();
        let lines = lines.lock();
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert!(lines[1].starts_with("note: stopping once the work"), "{lines:?}");
    }

    fn json() -> (Ui, Arc<Mutex<Vec<String>>>) {
        let lines: Arc<Mutex<Vec<String>>> = Arc::default();
        let kept = Arc::clone(&lines);
        let sink = move |line: &str| kept.lock().push(line.to_owned());
        (Ui::with(Mode::Json, Box::new(JsonLines::with_sink(sink)), None), lines)
    }

    #[test]
    fn a_job_is_a_line_an_event() {
        let (ui, lines) = json();
        ui.advance(5); // before any phase: nobody's
        ui.phase(Phase::Scan, 0);
        ui.phase(Phase::ReadBack, 100);
        ui.drive(1, "north \"a\"", 50);
        ui.advance(40);
        ui.drive_advance(1, 30);
        ui.drive_advance(7, 30); // nobody's
        ui.retotal(90);
        ui.problem(Problem::new(ProblemKind::Damage, "a\nb", "bad block"));
        ui.note("two drives on one device");
        ui.finish();
        ui.finish();

        let lines = lines.lock();
        let at = lines.iter().position(|line| line.contains("\"done\":40")).unwrap();
        let progress: serde_json::Value = serde_json::from_str(&lines[at]).unwrap();
        assert!(progress["seconds"].as_f64().unwrap() < 5.0);
        let drives =
            serde_json::json!([{"drive": 1, "name": "north \"a\"", "bytes": 30, "total": 50}]);
        assert_eq!(progress["drives"], drives);
        assert_eq!(progress["total"], 90);
        let others: Vec<&str> =
            lines.iter().filter(|line| !line.contains("progress")).map(|l| l.trim_end()).collect();
        assert_eq!(
            others,
            [
                r#"{"event":"phase","phase":"scan","total":0}"#,
                r#"{"event":"phase","phase":"read-back","total":100}"#,
                r#"{"event":"drive","phase":"read-back","drive":1,"name":"north \"a\"","total":50}"#,
                r#"{"event":"problem","kind":"damage","subject":"a\nb","detail":"bad block"}"#,
                r#"{"event":"note","text":"two drives on one device"}"#,
            ]
        );
        assert!(lines.iter().all(|line| line.ends_with('\n') && line.matches('\n').count() == 1));
        assert_eq!(ui.problems().count(), 1);
    }

    #[test]
    fn progress_comes_at_most_once_a_second() {
        let (ui, lines) = json();
        ui.phase(Phase::Pack, 1_000_000);
        let began = Instant::now();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    while began.elapsed().as_millis() < 1200 {
                        ui.advance(1);
                    }
                });
            }
        });
        ui.finish();
        let count = lines.lock().iter().filter(|line| line.contains("progress")).count();
        assert_eq!(count, 2, "one after a second and one at the end");
    }
}
