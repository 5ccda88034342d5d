//! What is not at the destination as it should be, entry by entry, kept in `DIR/.holdall`.
//!
//! - Enters: while a set is restored, each entry that is missing, or was packed badly.
//! - Leaves: the same, set by set, at the end of this run and of later ones, so that the run which
//!   completes a restore knows what those before it knew.
//! - Always holds: (1) a set has the ledger of the last run that walked it, or what that run had of it
//!   when it was stopped; (2) files that cross sets and hard links that wait for their file are not in
//!   it: what becomes of them only the end can tell ([`super::end`]).

use super::RestoreError;
use crate::destination::{Destination, StateLines};
use crate::format::ids::SetNumber;
use crate::monitor::{Monitor, Problem, ProblemKind};
use serde::{Deserialize, Serialize};
use std::sync::{Mutex, PoisonError};

/// What became of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Fate {
    /// it changed while it was packed
    Changed,
    /// it could not be read when the dataset was packed
    Unreadable,
    /// drives that are not here have it
    Waits,
    /// the destination refused it
    Refused,
    /// the destination knows no such kind of entry
    Unsupported,
    /// no drive has it
    Lost,
}

impl Fate {
    /// As a problem.
    pub fn kind(self) -> ProblemKind {
        match self {
            Self::Changed => ProblemKind::SourceChanged,
            Self::Unreadable => ProblemKind::SourceUnreadable,
            Self::Waits => ProblemKind::Waiting,
            Self::Refused | Self::Unsupported => ProblemKind::Refused,
            Self::Lost => ProblemKind::Lost,
        }
    }
}

/// An entry and its fate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// what became of it
    pub fate: Fate,
    /// its path as people see it, which can be undone
    pub path: String,
    /// more about it
    pub detail: String,
}

/// Takes what becomes of entries.
pub enum Ledger<'a> {
    /// keeps it
    Kept(&'a Destination, Mutex<StateLines>),
    /// tells it at once
    Told(&'a dyn Monitor),
}

fn name(set: SetNumber) -> String {
    format!("ledger-{set}")
}

impl<'a> Ledger<'a> {
    /// Begins a set's ledger anew.
    pub fn begin(destination: &'a Destination, set: SetNumber) -> Result<Self, RestoreError> {
        Ok(Self::Kept(destination, Mutex::new(destination.begin_lines(&name(set))?)))
    }

    /// Notes an entry.
    pub fn note(&self, fate: Fate, path: String, detail: &str) -> Result<(), RestoreError> {
        match self {
            Self::Told(monitor) => monitor.problem(Problem::new(fate.kind(), path, detail)),
            Self::Kept(_, lines) => {
                let line = Line { fate, path, detail: detail.into() };
                let bytes = serde_json::to_vec(&line).unwrap_or_default();
                lines.lock().unwrap_or_else(PoisonError::into_inner).add(&bytes)?;
            }
        }
        Ok(())
    }

    /// Ends it; from now on it is the set's.
    pub fn end(&self) -> Result<(), RestoreError> {
        if let Self::Kept(destination, lines) = self {
            let mut lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
            destination.end_lines(&mut lines)?;
        }
        Ok(())
    }
}

/// Gives each line of a set's ledger.
pub fn read(
    destination: &Destination,
    set: SetNumber,
    each: &mut dyn FnMut(Line),
) -> Result<(), RestoreError> {
    destination.each_line(&name(set), &mut |bytes| {
        serde_json::from_slice(bytes).map(&mut *each).unwrap_or_default();
    })?;
    Ok(())
}
