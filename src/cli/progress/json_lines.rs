//! Progress for programs: JSON objects, one per line.
//!
//! - Enters: what the model holds, and what happens.
//! - Leaves: `{"event":"phase"|"drive"|"progress"|"problem"|"note", …}`, each in a line.
//! - Always holds: progress comes at most once a second, and once more when its phase ends; one that
//!   stands still is not repeated.

use super::bottleneck::Bottleneck;
use super::clock::Clock;
use super::model::{DriveProgress, PhaseProgress};
use super::renderer::Renderer;
use crate::cli::output::{deliver_progress, shown_json};
use crate::monitor::{Phase, Problem, ProblemKind};
use parking_lot::Mutex;
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;

/// How often it is looked whether a line is due.
const TICK: Duration = Duration::from_millis(500);
/// Between two progress lines.
const INTERVAL: Duration = Duration::from_secs(1);

/// Progress of `--json`.
pub struct JsonLines {
    sink: Arc<Sink>,
    running: Mutex<Option<(Clock, Arc<Log>)>>,
}

type Sink = dyn Fn(&str) + Send + Sync;

/// What a line says; the field order here is the order in the line.
#[derive(Serialize)]
#[serde(tag = "event", rename_all = "lowercase")]
enum JsonLine<'a> {
    Phase {
        phase: Phase,
        total: u64,
    },
    Drive {
        phase: Phase,
        drive: usize,
        name: &'a str,
        total: u64,
    },
    Progress {
        phase: Phase,
        done: u64,
        total: u64,
        seconds: f64,
        /// what it waits for most
        bottleneck: Option<&'a str>,
        /// the drive that is slower than the others
        slowest: Option<usize>,
        drives: Vec<DriveBytes<'a>>,
    },
    Problem {
        kind: ProblemKind,
        subject: &'a str,
        detail: &'a str,
    },
    Note {
        text: &'a str,
    },
}

#[derive(Serialize)]
struct DriveBytes<'a> {
    drive: usize,
    name: &'a str,
    bytes: u64,
    total: u64,
}

/// The progress lines of a phase.
struct Log {
    phase: Arc<PhaseProgress>,
    sink: Arc<Sink>,
    last: Mutex<Last>,
}

/// The last of them.
#[derive(Default)]
struct Last {
    at: Duration,
    counts: Vec<u64>,
}

impl JsonLines {
    /// Writes to standard output.
    pub fn new() -> Self {
        Self::with_sink(deliver_progress)
    }

    pub fn with_sink(sink: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self { sink: Arc::new(sink), running: Mutex::default() }
    }

    fn line(&self, line: &JsonLine<'_>) {
        write_line(&*self.sink, line);
    }

    fn replace(&self, running: Option<(Clock, Arc<Log>)>) -> Option<Arc<Log>> {
        let mut present = self.running.lock();
        std::mem::replace(&mut *present, running).map(|(_, log)| log)
    }
}

impl Default for JsonLines {
    fn default() -> Self {
        Self::new()
    }
}

impl Renderer for JsonLines {
    fn begin(&self, phase: &Arc<PhaseProgress>) {
        self.line(&JsonLine::Phase { phase: phase.phase, total: phase.reading().total });
        let (phase, sink) = (Arc::clone(phase), Arc::clone(&self.sink));
        let log = Arc::new(Log { phase, sink, last: Mutex::default() });
        let of_clock = Arc::clone(&log);
        self.replace(Some((Clock::start(TICK, move || of_clock.tick()), log)));
    }

    fn drive(&self, phase: &Arc<PhaseProgress>, drive: &Arc<DriveProgress>) {
        let (total, phase) = (drive.reading().total, phase.phase);
        self.line(&JsonLine::Drive { phase, drive: drive.number, name: &drive.name, total });
    }

    fn end(&self, _: &PhaseProgress) {
        if let Some(log) = self.replace(None) {
            log.progress();
        }
    }

    fn say(&self, line: &str) {
        (self.sink)(line);
    }

    fn problem(&self, problem: &Problem, _: u64) {
        let Problem { kind, subject, detail } = problem;
        self.line(&JsonLine::Problem { kind: *kind, subject, detail });
    }

    fn note(&self, text: &str) {
        self.line(&JsonLine::Note { text });
    }

    /// The result says so.
    fn stopping(&self, _: &str) {}
}

impl Log {
    fn tick(&self) {
        let last = self.last.lock().at;
        if self.phase.elapsed() >= last + INTERVAL {
            self.progress();
        }
    }

    /// Writes a line unless the last one said the same.
    fn progress(&self) {
        let whole = self.phase.reading();
        let drives = self.phase.drives();
        let drives: Vec<DriveBytes<'_>> = drives
            .iter()
            .map(|drive| {
                let reading = drive.reading();
                let (bytes, total) = (reading.done, reading.total);
                DriveBytes { drive: drive.number, name: &drive.name, bytes, total }
            })
            .collect();
        let mut counts = vec![whole.done, whole.total];
        counts.extend(drives.iter().flat_map(|drive| [drive.bytes, drive.total]));
        let mut last = self.last.lock();
        if last.counts == counts {
            return;
        }
        *last = Last { at: self.phase.elapsed(), counts };
        let (bottleneck, slowest) = match &self.phase.bottleneck() {
            Some(Bottleneck::Drive(number, _)) => (Some("drives"), Some(*number)),
            Some(Bottleneck::Source) => (Some("source"), None),
            Some(Bottleneck::Cpu) => (Some("cpu"), None),
            Some(Bottleneck::Drives) => (Some("drives"), None),
            None => (None, None),
        };
        let line = JsonLine::Progress {
            phase: self.phase.phase,
            done: whole.done,
            total: whole.total,
            seconds: last.at.as_millis() as f64 / 1000.0,
            bottleneck,
            slowest,
            drives,
        };
        write_line(&*self.sink, &line);
    }
}

fn write_line(sink: &Sink, line: &JsonLine<'_>) {
    // These types always serialise: no maps with odd keys, no floats that are not finite.
    if let Ok(line) = serde_json::to_string(line) {
        sink(&format!("{}\n", shown_json(&line)));
    }
}
