//! Is a set that a restore resumes the one that it began with? Whoever has the recipient's public
//! key can make another of the same number.
//!
//! Always holds: what is kept of a set counts only for a set that can be the same; two cannot if
//! their ends are vouched for and their roots differ, if one run has two keys, or if no run is in
//! both.

use crate::format::ids::RunId;
use crate::format::shown::hex;
use crate::keys::RunKey;
use crate::shipment::FoundSet;
use crate::shipment::found::Settled;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What tells a set from others of its number, in hexadecimal.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SetIdentity {
    /// BLAKE3 of its set.txt, if somebody vouches for its end
    pub root: Option<String>,
    /// what commits to the keys of its runs, by run
    runs: BTreeMap<String, String>,
}

impl SetIdentity {
    /// Of a set that is settled; `vouched`: not by its drives alone.
    pub fn of(set: &FoundSet, keys: &BTreeMap<RunId, RunKey>, vouched: bool) -> Self {
        let root = match &set.settled {
            Settled::Text(text) if vouched => Some(hex(&text.root())),
            _ => None,
        };
        let key = |(run, key): (_, &RunKey)| (format!("{run}"), hex(&key.commitment()));
        Self { root, runs: keys.iter().map(key).collect() }
    }

    /// Can both be of one set?
    pub fn agrees(&self, now: &Self) -> bool {
        let roots = self.root.as_ref().zip(now.root.as_ref()).is_none_or(|(a, b)| a == b);
        let is_known = |run: &&String| self.runs.contains_key(*run);
        let has_common = now.runs.keys().any(|run| self.runs.contains_key(run));
        let keys = now.runs.keys().filter(is_known).all(|run| self.runs[run] == now.runs[run]);
        roots && keys && (has_common || self.runs.is_empty() || now.runs.is_empty())
    }

    /// With what is known of it now.
    pub fn join(&mut self, now: Self) {
        self.root = now.root.or(self.root.take());
        self.runs.extend(now.runs);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn identity(root: &str, runs: &[(&str, &str)]) -> SetIdentity {
        let runs = runs.iter().map(|(run, key)| (run.to_string(), key.to_string())).collect();
        SetIdentity { root: (!root.is_empty()).then(|| root.into()), runs }
    }

    #[rstest]
    #[case::the_same("a", &[("1", "k")], "a", &[("1", "k")], true)]
    #[case::roots_differ("a", &[("1", "k")], "b", &[("1", "k")], false)]
    #[case::closed_since("", &[("1", "k")], "b", &[("1", "k"), ("2", "l")], true)]
    #[case::another_key("", &[("1", "k")], "b", &[("1", "m"), ("2", "l")], false)]
    #[case::no_run_in_both("", &[("1", "k")], "", &[("2", "l")], false)]
    #[case::nothing_is_known("", &[], "b", &[("2", "l")], true)]
    fn two_sets_of_a_number_are_told_apart(
        #[case] root: &str,
        #[case] runs: &[(&str, &str)],
        #[case] now_root: &str,
        #[case] now_runs: &[(&str, &str)],
        #[case] agrees: bool,
    ) {
        let (before, now) = (identity(root, runs), identity(now_root, now_runs));
        assert_eq!((before.agrees(&now), now.agrees(&before)), (agrees, agrees));
    }
}
