//! Counts of what the destination did not keep of the entries, by kind and reason.

use parking_lot::{Mutex, MutexGuard};
use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::format::ids::SetNumber;
use crate::format::list::shown_path;

/// The kind of symlinks that are files.
pub(super) const SYMLINK: &str = "symlink";

/// The kind of names that were kept, and that Windows cannot open.
pub(super) const FOREIGN: &str = "name for Windows";

/// One kind of thing that was not kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unkept {
    /// `owner`, `mode`, `times`, `extended attributes`, `hard link`, `symlink` …
    pub what: String,
    /// what the system said
    pub reason: String,
    /// of how many entries
    pub count: u64,
    /// the first of them, as it is shown
    pub first: String,
}

/// How an entry is counted of which something was not kept.
#[derive(Clone, Copy)]
pub(super) enum CountedAs {
    /// those that are placed once
    Placed,
    /// what every walk over a set does anew
    Anew,
    /// the same; another set may name it too
    Shared,
    /// a hard link that every walk makes anew as a file, which counts itself
    Copied,
}

/// Counts, by kind and reason.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(super) struct UnkeptCounts {
    pub(super) entries: u64,
    pub(super) kinds: BTreeMap<String, BTreeMap<String, (u64, String)>>,
}

impl UnkeptCounts {
    pub(super) fn add(&mut self, what: &str, reason: &str, count: u64, path: &str) {
        let reasons = self.kinds.entry(what.into()).or_default();
        reasons.entry(reason.into()).or_insert_with(|| (0, path.into())).0 += count;
    }

    pub(super) fn extend(&mut self, other: &Self) {
        self.entries += other.entries;
        for (what, reasons) in &other.kinds {
            reasons.iter().for_each(|(reason, (n, first))| self.add(what, reason, *n, first));
        }
    }
}

/// What was not kept of a set.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(super) struct UnkeptOfSet {
    pub(super) placed: UnkeptCounts,
    pub(super) anew: UnkeptCounts,
    /// path, kind and reason
    pub(super) shared: BTreeSet<(String, String, String)>,
}

/// What was not kept of the set that is being restored.
pub(super) struct UnkeptTally(Mutex<(SetNumber, UnkeptOfSet)>);

impl Default for UnkeptTally {
    fn default() -> Self {
        Self(Mutex::new((SetNumber(0), UnkeptOfSet::default())))
    }
}

impl UnkeptTally {
    pub(super) fn lock(&self) -> MutexGuard<'_, (SetNumber, UnkeptOfSet)> {
        self.0.lock()
    }

    /// Notes kinds and reasons for an entry.
    pub(super) fn note(&self, path: &[u8], kinds: &[(&str, String)], of: CountedAs) {
        let (path, tally) = (shown_path(path), &mut self.lock().1);
        let counted = match of {
            CountedAs::Shared => {
                let one = |(what, reason): &(&str, String)| {
                    (path.clone(), (*what).to_owned(), reason.clone())
                };
                tally.shared.extend(kinds.iter().map(one));
                return;
            }
            CountedAs::Placed => &mut tally.placed,
            CountedAs::Anew | CountedAs::Copied => &mut tally.anew,
        };
        let is_lacking = kinds.iter().any(|(what, _)| *what != FOREIGN);
        counted.entries += u64::from(is_lacking && !matches!(of, CountedAs::Copied));
        kinds.iter().for_each(|(what, reason)| counted.add(what, reason, 1, &path));
    }
}

impl std::fmt::Display for Unkept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.what.as_str(), self.count) {
            ("hard link", _) => write!(f, "a separate file instead of a hard link")?,
            (SYMLINK, _) => write!(f, "a small file with the target's path instead of a symlink")?,
            (what, 1) => write!(f, "{what} not kept")?,
            (what, _) => write!(f, "{what} not kept, first of {}", self.first)?,
        }
        write!(f, ": {}", self.reason)
    }
}
