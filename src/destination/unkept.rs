//! What of the entries the destination did not keep, counted by kind: a file system that has no
//! owners says so of every file.
//!
//! - Enters: metadata that was refused, or taken and not kept; links that are files of their own.
//! - Leaves: one line per kind and reason, with a count and the first entry of it; of all runs of a
//!   restore.
//! - Always holds: (1) memory is bounded by the kinds and the reasons that a system gives, and how
//!   deep folders lie in each other; (2) what was placed counts once, when it is placed; what every
//!   walk over a set does anew counts for the last; (3) a folder that two sets name counts once.

use std::collections::BTreeSet;

use super::at::split;
use super::dir::Destination;
use super::error::DestinationError;
use super::mapping::opens_on_windows;
use super::metadata::MetadataProblem;
use super::tally::{CountedAs, FOREIGN, Unkept, UnkeptCounts, UnkeptOfSet};
use crate::format::ids::SetNumber;

/// The prefix of the states that keep it, set by set.
const UNKEPT: &str = "unkept-";

/// What the destination did not keep in all runs of a restore.
pub struct UnkeptSoFar {
    pub kinds: Vec<Unkept>,
    /// of how many entries
    pub entries: u64,
    /// names that it took and that Windows cannot open
    pub foreign: Option<Unkept>,
}

impl Destination {
    /// Counts what could not be set of an entry, and returns it.
    pub(super) fn noted(
        &self,
        path: &[u8],
        problems: Vec<MetadataProblem>,
        of: CountedAs,
    ) -> Vec<MetadataProblem> {
        fn kind(problem: &MetadataProblem) -> (&str, String) {
            // A kind has no names in it, of which there is no end.
            let what = problem.what.split(" attribute ").next().unwrap_or_default();
            let what = if what == "extended" { "extended attributes" } else { what };
            (what, problem.source.to_string())
        }
        if !problems.is_empty() {
            let kinds: Vec<_> = problems.iter().map(kind).collect();
            self.unkept.note(path, &kinds, of);
        }
        self.note_foreign(path, of);
        problems
    }

    /// Counts a name that Windows cannot open, on a file system that Windows is to read.
    pub(super) fn note_foreign(&self, path: &[u8], of: CountedAs) {
        let is_own = self.folders.map.is_none();
        if self.is_for_windows && is_own && !opens_on_windows(split(path).1) {
            self.unkept.note(path, &[(FOREIGN, String::new())], of);
        }
    }

    /// Counts a hard link that is a file of its own.
    pub(super) fn note_copy(&self, path: &[u8], reason: &std::io::Error) {
        self.unkept.note(path, &[("hard link", reason.to_string())], CountedAs::Copied);
    }

    /// Counts a folder of which nothing could be set.
    pub fn note_folder(&self, path: &[u8], reason: String) {
        self.unkept.note(path, &[("metadata", reason)], CountedAs::Anew);
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
        tally.anew = UnkeptCounts::default();
        tally.shared.clear();
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
    pub fn unkept(&self) -> Result<UnkeptSoFar, DestinationError> {
        let (mut all, mut shared) = (UnkeptCounts::default(), BTreeSet::new());
        self.save_unkept()?;
        let mut names = self.state_names(UNKEPT)?;
        names.sort_unstable();
        for name in names {
            let state = self.load_state(&name)?;
            let tally = state.and_then(|bytes| serde_json::from_slice::<UnkeptOfSet>(&bytes).ok());
            if let Some(mut tally) = tally {
                all.extend(&tally.placed);
                all.extend(&tally.anew);
                shared.append(&mut tally.shared);
            }
        }
        shared.iter().for_each(|(path, what, reason)| all.add(what, reason, 1, path));
        let lacking = shared.iter().filter(|(_, what, _)| what != FOREIGN);
        let paths: BTreeSet<&String> = lacking.map(|(path, _, _)| path).collect();
        let entries = all.entries + paths.len() as u64;
        let unkept = all.kinds.into_iter().flat_map(|(what, reasons)| {
            reasons.into_iter().map(move |(reason, (count, first))| Unkept {
                what: what.clone(),
                reason,
                count,
                first,
            })
        });
        let is_foreign = |one: &Unkept| one.what == FOREIGN;
        let (foreign, kinds) = unkept.partition(is_foreign);
        Ok(UnkeptSoFar { kinds, entries, foreign: Vec::into_iter(foreign).next() })
    }
}

#[cfg(test)]
mod tests {
    use super::super::place::OnConflict;
    use super::*;
    use crate::format::list::{Entry, Kind};

    /// Issue 10, kind 6: what runs before this one could not keep counts, a folder of two sets
    /// once, and what a walk does anew once.
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
                let file = entry(path, Kind::File);
                let part = to.begin_file(&file).unwrap();
                to.finish_file(part, &file, OnConflict::Fail).unwrap();
            }
            to.begin_anew();
            to.finish_shared_folder(&entry("folder", Kind::Folder)).unwrap();
            to.save_unkept().unwrap();
            to.unkept().unwrap()
        };
        run(1, Some("folder/a"));
        run(2, Some("folder/b"));
        let UnkeptSoFar { kinds: unkept, entries, .. } = run(1, None);
        let attributes = unkept.iter().find(|one| one.what == "extended attributes").unwrap();
        assert_eq!((attributes.count, entries), (3, 3), "{unkept:?}");
        assert_eq!(attributes.first, "folder/a");
    }
}
