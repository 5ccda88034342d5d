//! What of the entries the destination did not keep, counted by kind: a file system that has no
//! owners says so of every file.
//!
//! - Enters: metadata that was refused, or taken and not kept; links that are files of their own.
//! - Leaves: a line a kind and reason, with a count and the first entry of it; of all runs of a restore.
//! - Always holds: (1) memory is bounded by the kinds and the reasons that a system gives, and how deep
//!   folders lie in each other; (2) what was placed counts once, when it is placed; what every walk over a
//!   set does anew counts for the last; (3) a folder that two sets name counts once.

use super::metadata::MetadataProblem;
use super::{Destination, DestinationError};
use crate::format::ids::SetNumber;
use crate::format::list::shown_path;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How the states are called that keep it, set by set.
const UNKEPT: &str = "unkept-";

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

/// Which entries a thing was not kept of.
#[derive(Clone, Copy)]
pub(super) enum Of {
    /// those that are placed once
    Placed,
    /// what every walk over a set does anew
    Anew,
    /// the same; another set may name it too
    Shared,
}

/// Counts, by kind and reason.
#[derive(Clone, Default, Serialize, Deserialize)]
struct Counts {
    entries: u64,
    kinds: BTreeMap<String, BTreeMap<String, (u64, String)>>,
}

impl Counts {
    fn add(&mut self, what: &str, reason: &str, count: u64, path: &str) {
        let reasons = self.kinds.entry(what.into()).or_default();
        reasons.entry(reason.into()).or_insert_with(|| (0, path.into())).0 += count;
    }

    fn extend(&mut self, other: &Self) {
        self.entries += other.entries;
        for (what, reasons) in &other.kinds {
            reasons.iter().for_each(|(reason, (n, first))| self.add(what, reason, *n, first));
        }
    }
}

/// What was not kept of a set.
#[derive(Clone, Default, Serialize, Deserialize)]
struct OfSet {
    placed: Counts,
    anew: Counts,
    /// path, kind and reason
    shared: BTreeSet<(String, String, String)>,
}

/// What was not kept of the set that is being restored.
pub(super) struct Tally(Mutex<(SetNumber, OfSet)>);

impl Default for Tally {
    fn default() -> Self {
        Self(Mutex::new((SetNumber(0), OfSet::default())))
    }
}

impl Tally {
    fn lock(&self) -> MutexGuard<'_, (SetNumber, OfSet)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes kinds and reasons for an entry, which counts as one more if `counts`.
    fn note(&self, path: &[u8], kinds: &[(&str, String)], (of, counts): (Of, bool)) {
        let (path, tally) = (shown_path(path), &mut self.lock().1);
        let counted = match of {
            Of::Shared => {
                let one = |(what, reason): &(&str, String)| {
                    (path.clone(), (*what).to_owned(), reason.clone())
                };
                tally.shared.extend(kinds.iter().map(one));
                return;
            }
            Of::Placed => &mut tally.placed,
            Of::Anew => &mut tally.anew,
        };
        counted.entries += u64::from(counts);
        kinds.iter().for_each(|(what, reason)| counted.add(what, reason, 1, &path));
    }
}

impl Destination {
    /// Counts what could not be set of an entry, and passes it on.
    pub(super) fn noted(&self, problems: Vec<MetadataProblem>, of: Of) -> Vec<MetadataProblem> {
        let kind = |problem: &MetadataProblem| {
            // A kind has no names in it, of which there is no end.
            let what = problem.what.split(" attribute ").next().unwrap_or_default();
            let what = if what == "extended" { "extended attributes" } else { what };
            (what.to_owned(), problem.source.to_string())
        };
        let kinds: Vec<(String, String)> = problems.iter().map(kind).collect();
        if let Some(first) = problems.first() {
            let kinds: Vec<_> = kinds.iter().map(|(w, r)| (w.as_str(), r.clone())).collect();
            self.unkept.note(&first.path, &kinds, (of, true));
        }
        problems
    }

    /// Counts a hard link that is a file of its own.
    pub(super) fn note_copy(&self, path: &[u8], reason: &std::io::Error) {
        self.unkept.note(path, &[("hard link", reason.to_string())], (Of::Anew, false));
    }

    /// Counts a folder of which nothing could be set.
    pub fn note_folder(&self, path: &[u8], reason: String) {
        self.unkept.note(path, &[("metadata", reason)], (Of::Anew, true));
    }

    /// From here on it is this set that is restored; earlier runs may have begun it.
    pub fn begin_unkept(&self, set: SetNumber) -> Result<(), DestinationError> {
        let before = self.load_state(&format!("{UNKEPT}{set}"))?;
        let before = before.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        *self.unkept.lock() = (set, before.unwrap_or_default());
        Ok(())
    }

    /// A walk begins that does anew what every walk over a set does.
    pub fn begin_anew(&self) {
        let tally = &mut self.unkept.lock().1;
        (tally.anew, tally.shared) = Default::default();
    }

    /// Keeps what was not kept of the set so far.
    pub fn save_unkept(&self) -> Result<(), DestinationError> {
        let (set, tally) = &*self.unkept.lock();
        if tally.placed.kinds.is_empty() && tally.anew.kinds.is_empty() && tally.shared.is_empty() {
            return self.remove_state(&format!("{UNKEPT}{set}"));
        }
        let bytes = serde_json::to_vec(tally).unwrap_or_default();
        self.save_state(&format!("{UNKEPT}{set}"), &bytes)
    }

    /// What was not kept so far, of all sets, and of how many entries.
    pub fn unkept(&self) -> Result<(Vec<Unkept>, u64), DestinationError> {
        let (mut all, mut shared) = (Counts::default(), BTreeSet::new());
        self.save_unkept()?;
        let mut names = self.state_names(UNKEPT)?;
        names.sort_unstable();
        for name in names {
            let state = self.load_state(&name)?;
            let tally = state.and_then(|bytes| serde_json::from_slice::<OfSet>(&bytes).ok());
            if let Some(mut tally) = tally {
                all.extend(&tally.placed);
                all.extend(&tally.anew);
                shared.append(&mut tally.shared);
            }
        }
        shared.iter().for_each(|(path, what, reason)| all.add(what, reason, 1, path));
        let paths: BTreeSet<&String> = shared.iter().map(|(path, _, _)| path).collect();
        let entries = all.entries + paths.len() as u64;
        let unkept = all.kinds.into_iter().flat_map(|(what, reasons)| {
            reasons.into_iter().map(move |(reason, (count, first))| Unkept {
                what: what.clone(),
                reason,
                count,
                first,
            })
        });
        Ok((unkept.collect(), entries))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::list::{Entry, Kind};

    /// Issue 10, kind 6: what runs before this one could not keep counts, a folder of two sets once, and
    /// what a walk does anew once.
    #[test]
    fn what_all_runs_did_not_keep_is_known_at_the_end() {
        let dir = tempfile::tempdir().unwrap();
        let open = || Destination::open(&dir.path().join("to"), "0000000000000007").unwrap().0;
        let entry = |path: &str, kind| {
            let xattrs = vec![(b"no such kind".to_vec(), b"x".to_vec())];
            Entry { xattrs, mode: 0o755, ..Entry::new(path, kind) }
        };
        let run = |set: u32, file: Option<&str>| {
            let to = open();
            to.begin_unkept(SetNumber(set)).unwrap();
            to.make_folder(b"folder").unwrap();
            if let Some(path) = file {
                let part = to.begin_file().unwrap();
                to.finish_file(part, &entry(path, Kind::File), false).unwrap();
            }
            to.begin_anew();
            to.finish_shared_folder(&entry("folder", Kind::Folder)).unwrap();
            to.save_unkept().unwrap();
            to.unkept().unwrap()
        };
        run(1, Some("folder/a"));
        run(2, Some("folder/b"));
        let (unkept, entries) = run(1, None);
        let attributes = unkept.iter().find(|one| one.what == "extended attributes").unwrap();
        assert_eq!((attributes.count, entries), (3, 3), "{unkept:?}");
        assert_eq!(attributes.first, "folder/a");
    }
}
