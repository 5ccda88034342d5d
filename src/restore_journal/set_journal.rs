//! What a restore notes in its destination about each set that it has seen.
//!
//! - Enters: how a run on a set began and ended.
//! - Leaves: for later runs, and for `status --to`: what is complete, what waits for drives.
//! - Always holds: a set waits only if drives that are not here would bring it on.

use super::identity::SetIdentity;
use crate::destination::{Destination, DestinationError};
use crate::format::ids::{SetNumber, Slot};
use crate::monitor::Recording;
use crate::restorer::end::FateCounts;
use crate::restorer::selected::OtherSets;
use crate::restorer::{Bounds, NeededDrives, Restored};
use crate::shards::bad_blocks::BadBlockNumbers;
use crate::shipment::FoundSet;
use crate::shipment::slots::MissingSlot;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// How the names of these states begin.
pub const SEEN: &str = "seen-";

/// What is kept of a set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(clippy::struct_excessive_bools, reason = "each is a matter of its own")]
#[serde(default)]
pub struct SetJournal {
    /// what tells it from another set of its number
    pub identity: SetIdentity,
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
    pub others: OtherSets,
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
    pub links: FateCounts,
    /// lists of files that could not be had
    pub unlisted: u64,
    /// drives that are not here may have some of those lists, or of the records
    pub lists_wait: bool,
    /// records were missing
    pub gaps: bool,
    /// nothing shows whether more of the dataset was to follow
    pub end_unknown: bool,
    /// slots whose drives were here when no sound copy of some record or list was: alone they do
    /// not do
    pub blind: BTreeSet<u16>,
    /// `wants` are those of a run that had every record and list
    pub known: bool,
    /// the last run had every list of its files that it came to
    pub listed: bool,
    /// where it meets the sets before and after it
    pub bounds: Bounds,
}

impl SetJournal {
    /// Of a set whose restore begins; `before` is what was kept of it.
    pub fn begin(set: &FoundSet, before: Option<&Self>) -> Self {
        let text = set.set_text(&Recording::default());
        let lines = text.map(|text| text.slots).unwrap_or_default();
        let case = |slot: Slot| lines.iter().find(|s| s.slot == slot)?.known_case();
        Self {
            drives: (1..=set.drive_count()).map(|slot| (slot, case(Slot(slot)))).collect(),
            here: set.all_drives().map(|found| found.label.slot.0).collect(),
            others: OtherSets::ALL,
            ..before.cloned().unwrap_or_default()
        }
    }

    /// Those that were not here in the last run.
    pub fn absent(&self) -> impl Iterator<Item = MissingSlot> {
        let absent = self.drives.iter().filter(|(slot, _)| !self.here.contains(slot));
        absent.map(|(slot, case)| MissingSlot { slot: Slot(*slot), case: case.clone() })
    }

    /// Slots of which shards are kept.
    pub fn kept(&self) -> BTreeSet<u16> {
        self.wants.iter().flat_map(|want| &want.hope.kept).copied().collect()
    }

    /// The entries that are not in place, hard links too.
    pub fn not_in_place(&self) -> FateCounts {
        FateCounts {
            waiting: self.waiting + self.links.waiting,
            lost: self.lost + self.links.lost,
            refused: self.refused + self.links.refused,
        }
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

    /// Is all in place that is known of, and nothing vouches for the set's end?
    pub fn is_open(&self) -> bool {
        self.end_unknown
            && self.ended
            && !self.complete
            && !self.waits()
            && self.not_in_place() == FateCounts::default()
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
pub fn load(destination: &Destination) -> Result<BTreeMap<u32, SetJournal>, DestinationError> {
    let mut states = Vec::new();
    for name in destination.state_names(SEEN)? {
        let bytes = destination.load_state(&name)?;
        states.extend(bytes.map(|bytes| (name, bytes)));
    }
    Ok(decode(states))
}

/// The same from names and bytes of the states.
pub fn decode(states: Vec<(String, Vec<u8>)>) -> BTreeMap<u32, SetJournal> {
    let one = |(name, bytes): (String, Vec<u8>)| {
        let number = name.strip_prefix(SEEN)?.parse().ok()?;
        Some((number, serde_json::from_slice(&bytes).ok()?))
    };
    states.into_iter().filter_map(one).collect()
}
