//! What a restore keeps in its destination of each set that it has seen, and what follows from that.
//!
//! - Enters: how a run on a set began and ended.
//! - Leaves: for later runs, and for `status --to`: what is complete, what waits for drives.
//! - Always holds: a set waits only if drives that are not here would bring it on.

use super::identity::Identity;
use super::next::{self, Next};
use super::slots::AbsentDrive;
use crate::destination::{Destination, DestinationError};
use crate::format::ids::{SetNumber, Slot};
use crate::monitor::Recording;
use crate::restorer::Restored;
use crate::restorer::needed::NeededDrives;
use crate::restorer::packing_faults::Bounds;
use crate::shards::bad_blocks::BadBlockNumbers;
use crate::shipment::FoundSet;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// How the names of these states begin.
pub(super) const SEEN: &str = "seen-";

/// The name of the state that says how the last run on all sets ended; what a run begins with is none.
pub(super) const ENDED: &str = "ended";
/// The name of the one that says that the destination was full then.
pub(super) const FULL: &str = "full";
/// And what it is called else: to rename it takes no room.
const ROOM: &str = "room";

/// How a run ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Ended {
    /// files that waited, of all sets, each counted once
    pub waiting: u64,
}

impl Ended {
    /// Keeps it in DIR. What cannot be kept is not said later.
    pub fn save(self, to: &Destination) {
        let _ = to.save_state(ENDED, &serde_json::to_vec(&self).unwrap_or_default());
    }

    /// A run begins: how the one before ended no longer counts.
    pub fn forget(to: &Destination) -> Result<(), DestinationError> {
        to.remove_state(ENDED)?;
        if !to.rename_state(FULL, ROOM)? && to.load_state(ROOM)?.is_none() {
            let _ = to.save_state(ROOM, b"");
        }
        Ok(())
    }

    /// The run ends as the destination is full.
    pub fn full(to: &Destination) {
        let _ = to.rename_state(ROOM, FULL);
    }
}

/// What is kept of a set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(clippy::struct_excessive_bools, reason = "each is a matter of its own")]
#[serde(default)]
pub struct Seen {
    /// what tells it from another set of its number
    pub identity: Identity,
    /// slot and case (if set.txt tells it) of its drives
    pub drives: Vec<(u16, Option<String>)>,
    /// those that were here in the last run
    pub here: BTreeSet<u16>,
    /// those that were here in any run that came to its end
    pub been: BTreeSet<u16>,
    /// what its files wait for
    pub wants: BTreeSet<NeededDrives>,
    /// blocks that its drives could not give while they were here
    pub bad: BadBlockNumbers,
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
    /// files that could not be had then
    pub lost: u64,
    /// entries that the destination refused then
    pub refused: u64,
    /// hard links besides that waited, were lost, or refused, with the files that they name
    pub links: (u64, u64, u64),
    /// lists of files that could not be had
    pub unlisted: u64,
    /// drives that are not here may have some of those lists, or of the records
    pub lists_wait: bool,
    /// records were missing
    pub gaps: bool,
    /// nothing tells whether more of the dataset was to follow
    pub end_unknown: bool,
    /// slots whose drives were here when no sound copy of some record or list was: alone they do not do
    pub blind: BTreeSet<u16>,
    /// `wants` are those of a run that had every record and list
    pub known: bool,
    /// the last run had every list of its files that it came to
    pub listed: bool,
    /// where it meets the sets before and after it
    pub bounds: Bounds,
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

    /// Those that were not here in the last run.
    pub fn absent(&self) -> impl Iterator<Item = AbsentDrive> {
        let absent = self.drives.iter().filter(|(slot, _)| !self.here.contains(slot));
        absent.map(|(slot, case)| AbsentDrive { slot: Slot(*slot), case: case.clone() })
    }

    /// Slots of which shards are kept.
    pub fn kept(&self) -> BTreeSet<u16> {
        self.wants.iter().flat_map(|want| &want.hope.kept).copied().collect()
    }

    /// What waits, is lost, or was refused, as the restore tells it.
    pub fn told(&self) -> (u64, u64, u64) {
        let (waiting, lost, refused) = self.links;
        (self.waiting + waiting, self.lost + lost, self.refused + refused)
    }

    /// The smallest next step with these drives attached; none if they bring all that may come.
    pub fn next(&self, attached: &BTreeSet<u16>) -> Option<Next> {
        if !self.waits() {
            return None;
        }
        if !self.ended {
            // It goes on with what it had; what it would wait for then nobody knows yet.
            let of: Vec<u16> = self.here.difference(attached).copied().collect();
            let count = of.len();
            return (count > 0).then_some(Next { of, count, one_by_one: false });
        }
        let absent = self.drives.iter().map(|(slot, _)| *slot).filter(|s| !attached.contains(s));
        let absent: Vec<u16> = absent.collect();
        if self.lists_wait && self.wants.is_empty() {
            // Any of them has the catalog and the records, unless it is known not to.
            let fresh = !attached.is_subset(&self.here);
            let clear = |slot: &&u16| !self.blind.contains(slot);
            let clear: Vec<u16> = absent.iter().filter(clear).copied().collect();
            let (of, count) = match clear.len() {
                0 => (absent.clone(), absent.len()),
                _ => (clear, 1),
            };
            let one_by_one = count == 1;
            return (!fresh && count > 0).then_some(Next { of, count, one_by_one });
        }
        if self.many_wants {
            return Some(Next { count: absent.len(), of: absent, one_by_one: true });
        }
        // Those that see nothing bring nothing either.
        let nobody = BTreeSet::new();
        let attached = if attached.is_subset(&self.blind) { &nobody } else { attached };
        let next = next::next(&self.wants, attached)?;
        Some(next::seeing(next, self, attached))
    }

    /// The run has come to its end, or was stopped.
    pub fn end(&mut self, restored: &Restored, is_complete: bool, gaps: bool) {
        self.ended = !restored.stopped;
        if self.ended {
            self.been.extend(&self.here);
        }
        let sees = restored.listed && !gaps;
        if self.ended && !sees {
            self.blind.extend(&self.here);
        } else if self.ended && self.here.len() == 1 {
            self.blind.retain(|slot| !self.here.contains(slot));
        }
        // One that does not see all knows less than the one before.
        if !(self.ended && self.known && !sees) {
            (self.wants, self.many_wants) = (restored.needed.clone(), restored.more_needed);
            self.known = self.ended && sees;
        }
        self.complete = is_complete;
        self.entries = restored.entries + restored.already + restored.known;
        (self.waiting, self.lost) = (restored.waiting, restored.lost);
        self.refused = restored.refused;
        (self.unlisted, self.gaps) = (restored.unlisted, gaps);
        self.lists_wait = restored.lists_wait || gaps && self.absent().next().is_some();
        self.end_unknown = restored.end_unknown;
        self.listed = restored.listed && !gaps;
        if self.ended {
            self.bounds = restored.bounds.clone();
        }
    }

    /// Would drives that were not here bring it on? So would the same ones if it was stopped.
    pub fn waits(&self) -> bool {
        !self.complete && (!self.ended || self.waiting > 0 || self.lists_wait)
    }

    /// Is all in place that was told of, and nothing vouches for the set's end?
    pub fn is_open(&self) -> bool {
        self.end_unknown
            && self.ended
            && !self.complete
            && !self.waits()
            && self.told() == (0, 0, 0)
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

/// The sets that wait for drives, by number; one after the last that is known stands for all that
/// follow.
pub fn awaited(seen: &BTreeMap<u32, Seen>) -> Vec<u32> {
    let waiting = seen.iter().filter(|(_, seen)| seen.waits()).map(|(set, _)| *set);
    let mut awaited: Vec<u32> = waiting.chain(unseen(seen)).collect();
    awaited.sort_unstable();
    awaited
}

/// Have the drives of a set said all that they can of its files? Nothing comes from one that there is
/// not.
pub fn is_settled(seen: &BTreeMap<u32, Seen>, set: u32) -> bool {
    let beyond = seen.iter().any(|(number, seen)| *number < set && !seen.further);
    seen.get(&set).map_or(beyond, |seen| seen.ended && !seen.lists_wait)
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
