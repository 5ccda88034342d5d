//! What a restore keeps in its destination of each set that it has seen, and what follows from that.
//!
//! - Enters: how a run on a set began and ended.
//! - Leaves: for later runs, and for `status --to`: what is complete, what waits for drives.
//! - Always holds: a set waits only if drives that are not here would bring it on.

use super::next::{self, Next};
use crate::destination::{Destination, DestinationError};
use crate::format::ids::{SetNumber, Slot};
use crate::monitor::Recording;
use crate::restorer::Restored;
use crate::restorer::lacking::Want;
use crate::sets::FoundSet;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// How the names of these states begin.
pub(super) const SEEN: &str = "seen-";

/// What is kept of a set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(clippy::struct_excessive_bools, reason = "each is a matter of its own")]
#[serde(default)]
pub struct Seen {
    /// slot and case (if set.txt tells it) of its drives
    pub drives: Vec<(u16, Option<String>)>,
    /// those that were here in the last run
    pub here: BTreeSet<u16>,
    /// those that were here in any run that came to its end
    pub been: BTreeSet<u16>,
    /// what its files wait for
    pub wants: BTreeSet<Want>,
    /// they wait for more than that
    pub many_wants: bool,
    /// the shipment has further sets, says its set.txt
    pub further: bool,
    /// sets before it, and after it, can hold what was selected
    pub others: (bool, bool),
    /// the last run on it has come to its end; else it was stopped, or goes on
    pub ended: bool,
    /// all of it is in place
    pub complete: bool,
    /// its entries that are in place
    pub entries: u64,
    /// files that waited then
    pub waiting: u64,
    /// files that could not be had then, or that the destination refused
    pub lost: u64,
    /// lists of files that could not be had
    pub unlisted: u64,
    /// drives that are not here may have some of those lists, or of the records
    pub lists_wait: bool,
    /// records were missing
    pub gaps: bool,
    /// nothing tells whether more of the dataset was to follow
    pub end_unknown: bool,
}

impl Seen {
    /// Of a set whose restore begins; `before` is what was kept of it.
    pub fn begin(set: &FoundSet, before: Option<&Self>) -> Self {
        let text = set.set_text(&Recording::default());
        let lines = text.map(|text| text.slots).unwrap_or_default();
        let case = |slot: Slot| lines.iter().find(|s| s.slot == slot)?.known_case();
        Self {
            drives: (1..=set.drive_count()).map(|slot| (slot, case(Slot(slot)))).collect(),
            here: set.all_drives().map(|found| found.label.slot.0).collect(),
            others: (true, true),
            ..before.cloned().unwrap_or_default()
        }
    }

    /// Slot and case of those that were not here in the last run.
    pub fn absent(&self) -> impl Iterator<Item = &(u16, Option<String>)> {
        self.drives.iter().filter(|(slot, _)| !self.here.contains(slot))
    }

    /// Slots of which shards are kept.
    pub fn kept(&self) -> BTreeSet<u16> {
        self.wants.iter().flat_map(|want| &want.hope.kept).copied().collect()
    }

    /// The smallest next step with these drives attached; none if they bring all that may come.
    pub fn next(&self, attached: &BTreeSet<u16>) -> Option<Next> {
        if !self.ended || !self.waits() {
            return None;
        }
        let absent = self.drives.iter().map(|(slot, _)| *slot).filter(|s| !attached.contains(s));
        let absent: Vec<u16> = absent.collect();
        if self.lists_wait && self.wants.is_empty() {
            // Any of them has the catalog and the records.
            let fresh = !attached.is_subset(&self.here);
            return (!fresh).then_some(Next { of: absent, count: 1, one_by_one: true });
        }
        if self.many_wants {
            return Some(Next { count: absent.len(), of: absent, one_by_one: true });
        }
        next::next(&self.wants, attached)
    }

    /// The run has come to its end, or was stopped.
    pub fn end(&mut self, restored: &Restored, is_complete: bool, gaps: bool) {
        self.ended = !restored.stopped;
        if self.ended {
            self.been.extend(&self.here);
        }
        (self.wants, self.many_wants) = (restored.wants.clone(), restored.many_wants);
        self.complete = is_complete;
        self.entries = restored.entries + restored.already + restored.known;
        (self.waiting, self.lost) = (restored.waiting, restored.lost + restored.refused);
        (self.unlisted, self.gaps) = (restored.unlisted, gaps);
        self.lists_wait = restored.lists_wait || gaps && self.absent().next().is_some();
        self.end_unknown = restored.end_unknown;
    }

    /// Would drives that were not here bring it on? So would the same ones if it was stopped.
    fn waits(&self) -> bool {
        !self.complete && (!self.ended || self.waiting > 0 || self.lists_wait)
    }

    /// Keeps it in DIR, unless another process has completed the restore there.
    pub fn save(&self, to: &Destination, set: SetNumber) -> Result<(), DestinationError> {
        let bytes = serde_json::to_vec(self).unwrap_or_default();
        match to.save_state(&format!("{SEEN}{set}"), &bytes) {
            Err(_) if to.was_completed() => Ok(()),
            result => result,
        }
    }
}

/// What is kept of all sets, by number.
pub fn load(destination: &Destination) -> Result<BTreeMap<u32, Seen>, DestinationError> {
    let mut states = Vec::new();
    for name in destination.state_names(SEEN)? {
        let bytes = destination.load_state(&name)?;
        states.extend(bytes.map(|bytes| (name, bytes)));
    }
    Ok(decode(states))
}

/// The same from names and bytes of the states.
pub(super) fn decode(states: Vec<(String, Vec<u8>)>) -> BTreeMap<u32, Seen> {
    let one = |(name, bytes): (String, Vec<u8>)| {
        let number = name.strip_prefix(SEEN)?.parse().ok()?;
        Some((number, serde_json::from_slice(&bytes).ok()?))
    };
    states.into_iter().filter_map(one).collect()
}

/// Sets that may hold what is asked for and have not been seen; one after the last that is known stands
/// for all that follow.
fn unseen(seen: &BTreeMap<u32, Seen>) -> Vec<u32> {
    let matters = |number: u32| {
        seen.iter().all(|(set, seen)| {
            let (before, after) = seen.others;
            number == *set || if number < *set { before } else { after }
        })
    };
    let known = seen.keys().max().copied().unwrap_or(0);
    let more = seen.get(&known).is_some_and(|seen| seen.further);
    (1..=known + u32::from(more)).filter(|set| !seen.contains_key(set) && matters(*set)).collect()
}

/// Is there a set that may hold what is asked for, and of which no run has yet listed what is missing?
/// One that was cut short has listed nothing.
pub fn has_unlisted(seen: &BTreeMap<u32, Seen>) -> bool {
    !unseen(seen).is_empty() || seen.values().any(|seen| !seen.ended)
}

/// The sets that wait for drives; after the last that is known there may be more.
pub fn awaited(seen: &BTreeMap<u32, Seen>) -> Vec<String> {
    let known = seen.keys().max().copied().unwrap_or(0);
    let waiting = seen.iter().filter(|(_, seen)| seen.waits()).map(|(set, _)| *set);
    let mut awaited: Vec<u32> = waiting.chain(unseen(seen)).collect();
    awaited.sort_unstable();
    let shown = |set: u32| {
        if set > known { format!("{set} and perhaps more") } else { set.to_string() }
    };
    awaited.into_iter().map(shown).collect()
}

/// Have the drives of a set given all that they have? Nothing comes from one that there is not.
pub fn is_settled(seen: &BTreeMap<u32, Seen>, set: u32) -> bool {
    let beyond = seen.iter().any(|(number, seen)| *number < set && !seen.further);
    seen.get(&set).map_or(beyond, |seen| seen.ended)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_whose_restore_was_cut_short_has_listed_nothing() {
        let done = Seen { ended: true, complete: true, others: (true, true), ..Seen::default() };
        let first = Seen { further: true, complete: false, ..done.clone() };
        let mut seen = BTreeMap::from([(1, first), (2, done)]);
        assert!(!has_unlisted(&seen));
        seen.entry(1).and_modify(|seen| seen.ended = false);
        assert!(has_unlisted(&seen));
    }
}
