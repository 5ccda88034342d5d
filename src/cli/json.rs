//! Standard output: results as text, and with `--json` one object a line.
//!
//! - Enters: results, and what a job reports through [`Monitor`].
//! - Leaves: `{"event":"phase"|"drive"|"progress"|"problem"|"note", …}` and the results, each a
//!   line, flushed.
//! - Always holds: (1) lines of several threads never mix; (2) progress comes at most once a
//!   second, and once more when its phase ends; (3) nothing here panics on a closed pipe: a reader
//!   of results who has seen enough (`| head`) is no failure, so the program ends with 0; a job
//!   whose listener is gone ends with 1, because it is not done.
//!
//! The page of `holdall help json` follows.
#![doc = include_str!("json.md")]

use super::exit::Status;
use super::terminal::Problems;
use super::{redacted, say, shown_json, shown_text};
use crate::monitor::{Monitor, Phase, Problem, ProblemKind};
use parking_lot::{Mutex, RwLock};
use serde::Serialize;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Between two progress lines.
const INTERVAL_MILLISECONDS: u64 = 1000;

/// Writes `text` to standard output as it is and flushes. Ends the program quietly with 0 if the
/// reader is gone, and with 1 and an error if it cannot be written.
pub fn out(text: &str) {
    deliver(text, Status::Done);
}

/// Writes a result as one line, the name of its event and its fields, as [`out`] does.
pub fn emit(event: &str, fields: &impl Serialize) {
    #[derive(Serialize)]
    struct Line<'a, T> {
        event: &'a str,
        #[serde(flatten)]
        fields: &'a T,
    }
    match serde_json::to_string(&Line { event, fields }) {
        Ok(line) => out(&format!("{}\n", shown_json(&line))),
        Err(error) => fail(&format!("cannot print the event {event}: {error}")),
    }
}

/// The event of what stopped a command, without the letters of a secret key that was typed.
pub fn emit_error(text: &str, hint: Option<&str>) {
    #[derive(Serialize)]
    struct Error<'a> {
        text: Cow<'a, str>,
        hint: Option<Cow<'a, str>>,
    }
    emit("error", &Error { text: redacted(text), hint: hint.map(redacted) });
}

/// Ends the program, as its results cannot be delivered.
fn fail(text: &str) -> ! {
    say(&format!("error: {}", shown_text(text)));
    std::process::exit(Status::Failed.code().into());
}

/// As [`out`]; `closed` is the status if the reader is gone.
fn deliver(text: &str, closed: Status) {
    if let Err(error) = write_flushed(&mut io::stdout().lock(), text) {
        if error.kind() == io::ErrorKind::BrokenPipe {
            std::process::exit(closed.code().into());
        }
        fail(&format!("cannot write to standard output: {error}"));
    }
}

fn write_flushed(output: &mut impl Write, text: &str) -> io::Result<()> {
    output.write_all(text.as_bytes())?;
    output.flush()
}

/// The monitor of `--json`.
pub struct JsonLines {
    sink: Box<dyn Fn(&str) + Send + Sync>,
    present: RwLock<Present>,
    problems: Mutex<Problems>,
}

/// The phase that runs, if one does.
struct Present {
    phase: Option<Phase>,
    began: Instant,
    done: AtomicU64,
    total: AtomicU64,
    /// when the next progress line is due, in milliseconds since `began`
    due: AtomicU64,
    /// `done` in the last progress line; not this at the end means another line
    said: AtomicU64,
    drives: BTreeMap<usize, DriveCount>,
}

impl Present {
    fn new(phase: Option<Phase>, total: u64) -> Self {
        Self {
            phase,
            began: Instant::now(),
            done: AtomicU64::new(0),
            total: AtomicU64::new(total),
            due: AtomicU64::new(INTERVAL_MILLISECONDS),
            said: AtomicU64::new(u64::MAX),
            drives: BTreeMap::new(),
        }
    }
}

/// What a line says; the field order here is the order in the line.
#[derive(Serialize)]
#[serde(tag = "event", rename_all = "lowercase")]
enum Event<'a> {
    Phase { phase: Phase, total: u64 },
    Drive { phase: Phase, drive: usize, name: &'a str, total: u64 },
    Progress { phase: Phase, done: u64, total: u64, seconds: f64, drives: Vec<DriveBytes<'a>> },
    Problem { kind: ProblemKind, subject: &'a str, detail: &'a str },
    Note { text: &'a str },
}

#[derive(Serialize)]
struct DriveBytes<'a> {
    drive: usize,
    name: &'a str,
    bytes: u64,
    total: u64,
}

#[derive(Default)]
struct DriveCount {
    name: String,
    done: AtomicU64,
    total: u64,
}

impl JsonLines {
    /// Writes to standard output.
    pub fn new() -> Self {
        Self::with_sink(|line| deliver(line, Status::Failed))
    }

    fn with_sink(sink: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self {
            sink: Box::new(sink),
            present: RwLock::new(Present::new(None, 0)),
            problems: Mutex::default(),
        }
    }

    /// Ends the present phase with its last progress line.
    pub fn finish(&self) {
        self.replace(Present::new(None, 0));
    }

    pub fn problems(&self) -> Problems {
        self.problems.lock().clone()
    }

    fn event(&self, event: &Event<'_>) {
        // These types always serialise: no maps with odd keys, no floats that are not finite.
        if let Ok(line) = serde_json::to_string(event) {
            (self.sink)(&format!("{}\n", shown_json(&line)));
        }
    }

    fn replace(&self, next: Present) {
        let mut present = self.present.write();
        let done = present.done.load(Ordering::Relaxed);
        if present.phase.is_some() && present.said.load(Ordering::Relaxed) != done {
            self.progress(&present);
        }
        *present = next;
        if let Some(phase) = present.phase {
            let total = present.total.load(Ordering::Relaxed);
            self.event(&Event::Phase { phase, total });
        }
    }

    /// Counts in the present phase and says so when it is time.
    fn count(&self, count: impl FnOnce(&Present)) {
        let present = self.present.read();
        count(&present);
        let now = present.began.elapsed().as_millis() as u64;
        let due = present.due.load(Ordering::Relaxed);
        if now < due {
            return;
        }
        let next = now + INTERVAL_MILLISECONDS;
        // Of several threads that come at once, one speaks.
        if present.due.compare_exchange(due, next, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            self.progress(&present);
        }
    }

    fn progress(&self, present: &Present) {
        let Some(phase) = present.phase else { return };
        let done = present.done.load(Ordering::Relaxed);
        present.said.store(done, Ordering::Relaxed);
        let drives = present.drives.iter().map(|(&drive, count)| DriveBytes {
            drive,
            name: &count.name,
            bytes: count.done.load(Ordering::Relaxed),
            total: count.total,
        });
        self.event(&Event::Progress {
            phase,
            done,
            total: present.total.load(Ordering::Relaxed),
            seconds: present.began.elapsed().as_millis() as f64 / 1000.0,
            drives: drives.collect(),
        });
    }
}

impl Default for JsonLines {
    fn default() -> Self {
        Self::new()
    }
}

impl Monitor for JsonLines {
    fn phase(&self, phase: Phase, total: u64) {
        self.replace(Present::new(Some(phase), total));
    }

    fn advance(&self, amount: u64) {
        self.count(|present| {
            present.done.fetch_add(amount, Ordering::Relaxed);
        });
    }

    fn retotal(&self, total: u64) {
        self.count(|present| present.total.store(total, Ordering::Relaxed));
    }

    fn drive(&self, drive: usize, name: &str, total: u64) {
        let mut present = self.present.write();
        let Some(phase) = present.phase else { return };
        let count = present.drives.entry(drive).or_default();
        count.total = total;
        // A total that was corrected shows in the next progress line.
        if count.name != name {
            name.clone_into(&mut count.name);
            self.event(&Event::Drive { phase, drive, name, total });
        }
    }

    fn drive_advance(&self, drive: usize, bytes: u64) {
        self.count(|present| {
            if let Some(count) = present.drives.get(&drive) {
                count.done.fetch_add(bytes, Ordering::Relaxed);
            }
        });
    }

    fn problem(&self, problem: Problem) {
        let Problem { kind, subject, detail } = &problem;
        self.event(&Event::Problem { kind: *kind, subject, detail });
        self.problems.lock().add(problem);
    }

    fn note(&self, text: &str) {
        self.event(&Event::Note { text });
    }

    fn should_stop(&self) -> bool {
        super::stop::asked()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn recorded() -> (JsonLines, Arc<Mutex<Vec<String>>>) {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&lines);
        (JsonLines::with_sink(move |line| kept.lock().push(line.to_owned())), lines)
    }

    #[test]
    fn a_job_is_a_line_an_event() {
        let (json, lines) = recorded();
        json.advance(5); // before any phase: nobody's
        json.phase(Phase::Scan, 0);
        json.phase(Phase::ReadBack, 100);
        json.drive(1, "north \"a\"", 50);
        json.advance(40);
        json.drive_advance(1, 30);
        json.drive_advance(7, 30); // nobody's
        json.retotal(90);
        json.problem(Problem::new(ProblemKind::Damage, "a\nb", "bad block"));
        json.note("two drives on one device");
        json.finish();
        json.finish();

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
        assert_eq!(json.problems().count(), 1);
    }

    #[test]
    fn progress_comes_at_most_once_a_second() {
        let (json, lines) = recorded();
        json.phase(Phase::Pack, 1_000_000);
        let began = Instant::now();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    while began.elapsed().as_millis() < 1200 {
                        json.advance(1);
                    }
                });
            }
        });
        json.finish();
        let count = lines.lock().iter().filter(|line| line.contains("progress")).count();
        assert_eq!(count, 2, "one after a second and one at the end");
    }

    #[test]
    fn a_write_that_fails_is_an_error_and_no_panic() {
        struct Closed;
        impl Write for Closed {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let error = write_flushed(&mut Closed, "x").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    }
}
