//! What is known of a shipment.
//!
//! - Enters: what labels, records, set.txt and custody notes say, as it is there.
//! - Leaves: the same by set, drive and case.
//! - Always holds: what is not known is none, and has no value that stands for it.

use super::dataset::DatasetSummary;
use crate::format::custody::{CustodyNote, CustodyResult};
use crate::format::ids::{SetNumber, ShipmentId, Slot};
use crate::format::list::Hash;
use std::collections::{BTreeMap, BTreeSet};

/// What is known of a shipment.
#[derive(Debug)]
pub struct ShipmentPage {
    /// the program that made the page, and when, RFC 3339
    pub program: String,
    pub made: String,
    pub shipment: ShipmentId,
    /// the dataset's name and whom to ask, as labels say; each that differs
    pub names: Vec<String>,
    pub contacts: Vec<String>,
    /// those of which a drive was seen, in order
    pub sets: Vec<SetPage>,
    /// what a key tells of the dataset
    pub dataset: Option<DatasetSummary>,
    /// what was wrong when the drives were looked at
    pub noticed: Vec<String>,
}

/// What is known of a set.
#[derive(Debug)]
pub struct SetPage {
    pub number: SetNumber,
    /// as its folder is called
    pub name: String,
    /// RFC 3339, as its labels have it
    pub begun: String,
    /// none if it is not closed, as far as the drives seen tell
    pub closed: Option<Closed>,
    /// the program that is at work on it
    pub in_use: Option<String>,
    /// another set of the shipment says that it is none of it
    pub is_foreign: bool,
    /// the rule, as it is written
    pub survive: String,
    /// what may be lost, in a sentence
    pub guarantee: String,
    /// what can be restored with the drives that were seen
    pub verdict: String,
    /// bytes of shards
    pub bytes: u64,
    /// there may be more, of which no record is here
    pub may_be_more: bool,
    /// how many drives it has
    pub drive_count: u16,
    /// those of which at least the case is known, by slot
    pub drives: Vec<DrivePage>,
    /// what was noted of it on the way
    pub history: CustodyHistory,
}

/// What set.txt says.
#[derive(Debug)]
pub struct Closed {
    /// when, RFC 3339
    pub at: String,
    pub root: Hash,
    /// the drives vouch for another text as well, and only the root that pack printed decides
    pub is_disputed: bool,
    /// whether the shipment has further sets, if anybody knew
    pub further: Option<bool>,
}

/// What is known of a drive.
#[derive(Debug)]
pub struct DrivePage {
    pub slot: Slot,
    pub case: String,
    /// bytes of shards that records place on it; none if no record is here
    pub bytes: Option<u64>,
    /// none if it was not seen
    pub seen: Option<Seen>,
}

/// What a drive that was seen said.
#[derive(Debug)]
pub struct Seen {
    /// bytes in all and bytes free, if its file system tells
    pub room: Option<(u64, u64)>,
}

/// What was noted of a set, on its drives that were seen and on this machine.
#[derive(Debug, Default)]
pub struct CustodyHistory {
    /// the oldest first
    pub notes: Vec<CustodyNote>,
    /// files that are called like notes and are none
    pub rejected: u64,
    /// files that are called like notes and are too many to be read
    pub left_out: u64,
}

impl ShipmentPage {
    /// Numbers of sets that there must be and of which no drive was seen.
    pub fn unseen_sets(&self) -> Vec<u32> {
        let last = self.sets.last().map_or(0, |set| set.number.0);
        let seen = |number: &u32| self.sets.iter().any(|set| set.number.0 == *number);
        // A number is only what a drive claims: many are not listed.
        (1..last).filter(|number| !seen(number)).take(1000).collect()
    }

    /// Whether there are sets after the last one that was seen, if that is known.
    pub fn further(&self) -> Option<bool> {
        self.sets.last()?.closed.as_ref()?.further
    }

    /// Was of every set of the shipment at least a drive seen?
    pub fn is_whole(&self) -> bool {
        self.unseen_sets().is_empty() && self.further() == Some(false)
    }

    pub fn several_sets(&self) -> bool {
        self.sets.last().is_some_and(|set| set.number.0 > 1) || self.further() == Some(true)
    }

    /// All drives of which at least the case is known, with their sets; none of a set that is foreign.
    pub fn drives(&self) -> impl Iterator<Item = (&SetPage, &DrivePage)> {
        let sets = self.sets.iter().filter(|set| !set.is_foreign);
        sets.flat_map(|set| set.drives.iter().map(move |drive| (set, drive)))
    }

    /// The cases by name, each with its drives by set and slot.
    pub fn cases(&self) -> BTreeMap<&str, Vec<(&SetPage, &DrivePage)>> {
        let mut cases = BTreeMap::new();
        for (set, drive) in self.drives() {
            cases.entry(drive.case.as_str()).or_insert_with(Vec::new).push((set, drive));
        }
        cases
    }
}

impl SetPage {
    /// How many drives there are of which not even the case is known.
    pub fn unknown_drives(&self) -> u64 {
        u64::from(self.drive_count).saturating_sub(self.drives.len() as u64)
    }

    pub fn seen_drives(&self) -> u64 {
        self.drives.iter().filter(|drive| drive.seen.is_some()).count() as u64
    }

    /// The last check of a drive that was noted.
    pub fn last_check(&self, slot: Slot) -> Option<&CustodyNote> {
        self.history.notes.iter().rev().find(|note| note.slot == slot)
    }

    /// Drives of which the last check that was noted found damage, or got no answer.
    pub fn unsound_drives(&self) -> BTreeSet<Slot> {
        let slots: BTreeSet<Slot> = self.history.notes.iter().map(|note| note.slot).collect();
        let is_unsound = |result| matches!(result, CustodyResult::Damaged | CustodyResult::Gone);
        slots
            .into_iter()
            .filter(|s| self.last_check(*s).is_some_and(|n| is_unsound(n.result)))
            .collect()
    }
}
