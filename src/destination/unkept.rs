//! What of the entries the destination did not keep, counted by kind: a file system that has no
//! owners says so of every file.
//!
//! - Enters: metadata that was refused, or taken and not kept; links that are files of their own.
//! - Leaves: a line a kind and reason, with a count and the first entry of it.
//! - Always holds: memory is bounded by the kinds and the reasons that a system gives.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use super::Destination;
use super::metadata::MetadataProblem;
use crate::format::list::shown_path;

/// One kind of thing that was not kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unkept {
    /// `owner`, `mode`, `times`, `extended attributes`, `hard link` …
    pub what: String,
    /// what the system said
    pub reason: String,
    /// of how many entries
    pub count: u64,
    /// the first of them, as it is shown
    pub first: String,
}

/// Counts, by kind and reason.
#[derive(Default)]
pub(super) struct Tally(Mutex<BTreeMap<(String, String), (u64, String)>>);

impl Tally {
    fn note(&self, what: &str, reason: &str, path: &[u8]) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (what.to_owned(), reason.to_owned());
        counts.entry(key).or_insert_with(|| (0, shown_path(path))).0 += 1;
    }
}

impl Destination {
    /// Counts what could not be set of an entry, and passes it on.
    pub(super) fn noted(&self, problems: Vec<MetadataProblem>) -> Vec<MetadataProblem> {
        for problem in &problems {
            // A kind has no names in it, of which there is no end.
            let what = problem.what.split(" attribute ").next().unwrap_or_default();
            let what = if what == "extended" { "extended attributes" } else { what };
            self.unkept.note(what, &problem.source.to_string(), &problem.path);
        }
        problems
    }

    /// Counts a hard link that is a file of its own.
    pub(super) fn note_copy(&self, path: &[u8], reason: &std::io::Error) {
        self.unkept.note("hard link", &reason.to_string(), path);
    }

    /// What was not kept so far.
    pub fn unkept(&self) -> Vec<Unkept> {
        let counts = self.unkept.0.lock().unwrap_or_else(PoisonError::into_inner);
        let unkept =
            |((what, reason), (count, first)): (&(String, String), &(u64, String))| Unkept {
                what: what.clone(),
                reason: reason.clone(),
                count: *count,
                first: first.clone(),
            };
        counts.iter().map(unkept).collect()
    }
}

impl std::fmt::Display for Unkept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.what.as_str(), self.count) {
            ("hard link", _) => write!(f, "a file of its own, for want of a hard link")?,
            (what, 1) => write!(f, "{what} not kept")?,
            (what, _) => write!(f, "{what} not kept, first of {}", self.first)?,
        }
        write!(f, ": {}", self.reason)
    }
}
