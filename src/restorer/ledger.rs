//! The ledger of a set: what is not at the destination as it should be, entry by entry, kept in
//! `DIR/.holdall`.
//!
//! - Enters: while a set is restored, each entry that is missing, or was packed badly.
//! - Leaves: the same, set by set, at the end of this run and of later ones, so that the run which
//!   completes a restore knows what those before it knew.
//! - Always holds: (1) a set has the ledger of the last run that walked it, or what that run had of
//!   it when it was stopped; (2) spanning files and hard links that wait for their file are not in
//!   it: what becomes of them is known only at the end ([`super::end`]); (3) what the destination
//!   refused stays known while drives are here that do not have it.

use super::error::RestoreError;
use super::fate::{EntryFate, Fate};
use crate::destination::{Destination, StateLines};
use crate::format::ids::SetNumber;
use crate::format::list::Entry;
use crate::monitor::{Monitor, Problem};
use parking_lot::Mutex;
use std::collections::BTreeMap;

/// How a line ends that another set may have too.
const SHARED: &[u8] = b",\"shared\":true}";

/// Takes what becomes of entries.
pub enum Ledger<'a> {
    /// keeps it; with the paths that the destination refused before, and why
    Kept(&'a Destination, Mutex<StateLines>, BTreeMap<String, String>),
    /// reports it at once
    Reported(&'a dyn Monitor),
}

fn name(set: SetNumber) -> String {
    format!("ledger-{set}")
}

impl<'a> Ledger<'a> {
    /// Begins a set's ledger anew.
    pub fn begin(destination: &'a Destination, set: SetNumber) -> Result<Self, RestoreError> {
        let mut refused = BTreeMap::new();
        read(destination, set, &mut |line| {
            if line.fate == Fate::Refused {
                refused.insert(line.path, line.detail);
            }
        })?;
        let lines = Mutex::new(destination.begin_lines(&name(set))?);
        Ok(Self::Kept(destination, lines, refused))
    }

    /// Why the destination refused an entry in an earlier run; none if it did not.
    pub fn refusal(&self, entry: &Entry) -> Option<&str> {
        match self {
            Self::Kept(_, _, refused) if !refused.is_empty() => {
                refused.get(&entry.shown()).map(String::as_str)
            }
            _ => None,
        }
    }

    /// Did the destination refuse this entry in an earlier run?
    pub fn has_refused(&self, entry: Option<&Entry>) -> bool {
        entry.is_some_and(|entry| self.refusal(entry).is_some())
    }

    pub fn note(&self, fate: Fate, path: String, detail: &str) -> Result<(), RestoreError> {
        self.add(&EntryFate::new(fate, path, detail))
    }

    /// Notes the fate of an entry.
    pub fn add(&self, line: &EntryFate) -> Result<(), RestoreError> {
        match self {
            Self::Reported(monitor) => {
                monitor.problem(Problem::new(line.fate.kind(), &line.path, &line.detail));
            }
            Self::Kept(_, lines, _) => {
                let bytes = serde_json::to_vec(line).unwrap_or_default();
                lines.lock().add(&bytes)?;
            }
        }
        Ok(())
    }

    /// Ends it: from now on it is the set's.
    pub fn end(&self) -> Result<(), RestoreError> {
        if let Self::Kept(destination, lines, _) = self {
            let mut lines = lines.lock();
            destination.end_lines(&mut lines)?;
        }
        Ok(())
    }
}

/// Paths in a set's ledger that another set may have too.
pub fn shared(destination: &Destination, set: SetNumber) -> Result<Vec<String>, RestoreError> {
    let mut paths = Vec::new();
    destination.each_line(&name(set), &mut |bytes| {
        if bytes.ends_with(SHARED) {
            paths.extend(serde_json::from_slice(bytes).map(|line: EntryFate| line.path));
        }
    })?;
    Ok(paths)
}

/// Gives each line of a set's ledger.
pub fn read(
    destination: &Destination,
    set: SetNumber,
    each: &mut dyn FnMut(EntryFate),
) -> Result<(), RestoreError> {
    destination.each_line(&name(set), &mut |bytes| {
        serde_json::from_slice(bytes).map(&mut *each).unwrap_or_default();
    })?;
    Ok(())
}
