//! How a job reports: a phase and its counters, those of each drive, problems and notes.
//!
//! - Enters: an [`Event`], from any thread.
//! - Leaves: the event, to whoever listens (a terminal, a log, JSON lines, a test), and whether the
//!   job should stop.
//! - Always holds: (1) the library never prints; (2) a [`Problem`] is counted, kept and listed
//!   again at the end of the job, and the job goes on; (3) a call is cheap enough for once a block.

use parking_lot::Mutex;
use serde::Serialize;
use std::fmt;
use std::time::Duration;

/// What a job is doing now, in the user's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// walking the source
    Scan,
    /// reading, sealing, writing
    Pack,
    /// reading back what was written
    ReadBack,
    /// checking every block
    Verify,
    /// making damaged and lost files whole again
    Repair,
    /// opening and decoding everything, to nowhere
    Decode,
    /// holding a tree against the dataset
    Compare,
    /// putting files back
    Restore,
    /// keeping shards for a later run with other drives
    Stage,
    /// measuring
    Bench,
    /// setting what only the end can set: hard links, folder times
    Finish,
}

impl Phase {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Scan,
        Self::Pack,
        Self::ReadBack,
        Self::Verify,
        Self::Repair,
        Self::Decode,
        Self::Compare,
        Self::Restore,
        Self::Stage,
        Self::Bench,
        Self::Finish,
    ];

    /// One lower-case word or two.
    pub fn name(self) -> &'static str {
        match self {
            Self::Scan => "scan",
            Self::Pack => "pack",
            Self::ReadBack => "read back",
            Self::Verify => "verify",
            Self::Repair => "repair",
            Self::Decode => "decode",
            Self::Compare => "compare",
            Self::Restore => "restore",
            Self::Stage => "stage",
            Self::Bench => "bench",
            Self::Finish => "finish",
        }
    }
}

/// What kind of thing went wrong, for grouping in the final list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProblemKind {
    /// an entry of the source could not be read, or vanished
    SourceUnreadable,
    /// a file changed while it was read
    SourceChanged,
    /// metadata that could not be packed or restored
    Metadata,
    /// a drive that failed
    Drive,
    /// blocks or structures on a drive that do not match their records
    Damage,
    /// a drive whose read-back is not proven
    ReadBack,
    /// a file that cannot be restored from what is there
    Lost,
    /// a file that waits for a drive
    Waiting,
    /// an entry that the destination of a restore does not take
    Refused,
    /// an entry of the dataset that a tree lacks
    Missing,
    /// an entry of a tree that is not in the dataset
    Extra,
    /// an entry of a tree that is not as in the dataset
    Differs,
}

impl ProblemKind {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::SourceUnreadable,
        Self::SourceChanged,
        Self::Metadata,
        Self::Drive,
        Self::Damage,
        Self::ReadBack,
        Self::Lost,
        Self::Waiting,
        Self::Refused,
        Self::Missing,
        Self::Extra,
        Self::Differs,
    ];

    /// The kind in words, for a heading.
    pub fn name(self) -> &'static str {
        match self {
            Self::SourceUnreadable => "could not be read",
            Self::SourceChanged => "changed while it was read",
            Self::Metadata => "metadata",
            Self::Drive => "drive failed",
            Self::Damage => "damaged",
            Self::ReadBack => "not proven by reading back",
            Self::Lost => "cannot be restored",
            Self::Waiting => "waits for a drive",
            Self::Refused => "not taken by the destination",
            Self::Missing => "missing",
            Self::Extra => "not in the dataset",
            Self::Differs => "differs from the dataset",
        }
    }
}

/// One thing that went wrong while the job went on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// for grouping
    pub kind: ProblemKind,
    /// the thing and the place: a path, a drive and shard
    pub subject: String,
    /// what happened, lower case, no period
    pub detail: String,
}

impl Problem {
    pub fn new(kind: ProblemKind, subject: impl fmt::Display, detail: impl fmt::Display) -> Self {
        Self { kind, subject: subject.to_string(), detail: detail.to_string() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.subject, self.detail)
    }
}

/// What the time of a job goes into. One thread feeds the drives: it prepares what they get, waits for
/// them, or waits for data, which other threads read and prepare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spent {
    /// the feeding thread waited for drives
    AwaitingDrives,
    /// it waited for data
    AwaitingData,
    /// it prepared what the drives get
    Feeding,
    /// other threads read the source
    Reading,
    /// they worked on what they had read
    Computing,
    /// the drive of this number was at work
    Drive(usize),
}

/// What a job reports.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// a phase begins, and the one before has ended
    Phase {
        phase: Phase,
        /// bytes (of scan and finish, entries) that it will do; 0 if unknown
        total: u64,
    },
    /// the phase did so much more
    Advance(u64),
    /// the total of the phase is not what it was said to be (compression, duplicates)
    Retotal(u64),
    /// a drive takes part in the phase, or what was said of it changes
    Drive {
        drive: usize,
        /// for people
        name: &'a str,
        /// bytes expected of it; 0 if unknown
        total: u64,
    },
    /// a drive did so many bytes more
    DriveAdvance { drive: usize, bytes: u64 },
    /// so much time went into something, as those saw it who were at it or waited for it
    Spent { on: Spent, time: Duration },
    /// something went wrong with one thing, and the job goes on
    Problem(&'a Problem),
    /// something to know that changes no status
    Note(&'a str),
}

/// Listens to a job, from any of its threads. The methods that an implementation need not write are
/// short ways to report an event.
pub trait Monitor: Send + Sync {
    /// Takes note of an event.
    fn event(&self, event: Event<'_>);

    /// Does the user want the job to come to a safe end before its time?
    fn should_stop(&self) -> bool {
        false
    }

    fn phase(&self, phase: Phase, total: u64) {
        self.event(Event::Phase { phase, total });
    }

    fn advance(&self, amount: u64) {
        self.event(Event::Advance(amount));
    }

    fn retotal(&self, total: u64) {
        self.event(Event::Retotal(total));
    }

    fn drive(&self, drive: usize, name: &str, total: u64) {
        self.event(Event::Drive { drive, name, total });
    }

    fn drive_advance(&self, drive: usize, bytes: u64) {
        self.event(Event::DriveAdvance { drive, bytes });
    }

    fn spent(&self, on: Spent, time: Duration) {
        self.event(Event::Spent { on, time });
    }

    #[allow(clippy::needless_pass_by_value, reason = "it is made for this call")]
    fn problem(&self, problem: Problem) {
        self.event(Event::Problem(&problem));
    }

    fn note(&self, text: &str) {
        self.event(Event::Note(text));
    }
}

/// Reports nothing: for a part of a job whose progress and problems are not the job's. It stops with it.
pub struct Unreported<'a>(pub &'a dyn Monitor);

impl Monitor for Unreported<'_> {
    fn event(&self, _: Event<'_>) {}

    fn should_stop(&self) -> bool {
        self.0.should_stop()
    }
}

/// Keeps problems and notes, for callers that want only the outcome, and for tests.
#[derive(Default)]
pub struct Recording {
    problems: Mutex<Vec<Problem>>,
    notes: Mutex<Vec<String>>,
}

impl Recording {
    pub fn problems(&self) -> Vec<Problem> {
        self.problems.lock().clone()
    }

    pub fn notes(&self) -> Vec<String> {
        self.notes.lock().clone()
    }
}

impl Monitor for Recording {
    fn event(&self, event: Event<'_>) {
        match event {
            Event::Problem(problem) => {
                let mut problems = self.problems.lock();
                problems.push(problem.clone());
            }
            Event::Note(text) => {
                self.notes.lock().push(text.into());
            }
            _ => {}
        }
    }
}

/// A count with separated thousands: `1,204,331`.
pub fn shown_count(count: u64) -> String {
    indicatif::HumanCount(count).to_string()
}

/// Counts with the right ending: `1 drive`, `2 drives`, `3 entries`.
pub fn some(count: u64, noun: &str) -> String {
    let shown = shown_count(count);
    match noun.strip_suffix('y') {
        _ if count == 1 => format!("{shown} {noun}"),
        Some(stem) => format!("{shown} {stem}ies"),
        None => format!("{shown} {noun}s"),
    }
}

const UNITS: [&str; 6] = ["kB", "MB", "GB", "TB", "PB", "EB"];

/// `bytes` in decimal units: `812 B`, `16.8 MB`, `1.5 GB`.
pub fn shown_bytes(bytes: u64) -> String {
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64;
    for unit in UNITS {
        value /= 1000.0;
        if value < 999.5 {
            return format!("{} {unit}", three_digits(value));
        }
    }
    unreachable!("u64::MAX is 18.4 EB")
}

/// A value below 999.5 with three significant digits, without zeros at the end.
fn three_digits(value: f64) -> String {
    let decimals = match value {
        v if v < 9.995 => 2,
        v if v < 99.95 => 1,
        _ => return format!("{value:.0}"),
    };
    let text = format!("{value:.decimals$}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
