//! What the records say of the drives that they lie on: whose shards are where, and as much of the
//! labels as can be told without them.

use super::found::FoundSet;
use crate::drives::Drive;
use crate::format::FORMAT_VERSION;
use crate::format::ids::{SetNumber, ShipmentId, Slot, shard_path};
use crate::format::label::{Label, WHAT};
use crate::format::list::Hash;
use crate::format::record::{self, MAX_RECORD_FILE_BYTES, RecordFileHeader, StripeRecord};
use std::collections::{BTreeMap, BTreeSet};

/// What the records say of the drives.
pub(super) struct SlotTally {
    /// of each drive, how many shards of which slot lie on it
    pub votes: Vec<BTreeMap<Slot, usize>>,
    /// suite, B of the catalog, and the highest slot seen
    pub seen: Option<(u8, u32, Slot)>,
    /// what is said by the record files that most drives have
    pub borne: Option<BorneOut>,
    /// the suites of all records that were heard
    pub suites: BTreeSet<u8>,
}

/// What the record files say of which as many copies as of any are here: what one drive alone has
/// decides nothing against the others.
pub(super) struct BorneOut {
    copies: usize,
    suite: u8,
    /// B of the catalog, if one of them has a part of it
    block_bytes: Option<u32>,
    highest: Slot,
}

impl SlotTally {
    /// How far the records bear out what a label says of the whole set.
    pub fn bears_out(&self, label: &Label) -> (usize, bool, bool) {
        let Some(borne) = &self.borne else { return (0, false, false) };
        let is_right = |b: u32| b == label.block_bytes;
        let right = [label.suite == borne.suite, borne.block_bytes.is_some_and(is_right)];
        let right = right.into_iter().filter(|right| *right).count();
        (right, label.drives >= borne.highest.0, label.drives == borne.highest.0)
    }

    /// Sets a label right whose suite no record has.
    pub fn correct(&self, label: &mut Label) {
        if let Some(borne) = self.borne.as_ref().filter(|_| !self.suites.contains(&label.suite)) {
            label.suite = borne.suite;
        }
    }

    /// Hears a record file.
    pub fn note(&mut self, file: &SoundRecords) {
        let SoundRecords { header, records, copies } = file;
        let copies = *copies;
        for r in records {
            self.suites.insert(r.suite.number());
            let part = header.part.as_ref().map(|part| part.blocks);
            let first = (r.suite.number(), part.unwrap_or(r.blocks).bytes() as u32, Slot(0));
            let (_, _, highest) = self.seen.get_or_insert(first);
            let slots = || r.shards.iter().map(|s| s.slot);
            *highest = slots().fold(*highest, Slot::max);
            if self.borne.as_ref().is_none_or(|borne| copies > borne.copies) {
                let (suite, highest) = (r.suite.number(), Slot(0));
                self.borne = Some(BorneOut { copies, suite, block_bytes: None, highest });
            }
            let Some(borne) = self.borne.as_mut().filter(|borne| copies == borne.copies) else {
                continue;
            };
            borne.highest = slots().fold(borne.highest, Slot::max);
            borne.block_bytes = borne.block_bytes.or(part.map(|blocks| blocks.bytes() as u32));
        }
    }

    /// As much of a label as the records and set.txt give; C is not among it, and 0.
    pub fn label(&self, set: &FoundSet) -> Option<Label> {
        let (suite, block_bytes, highest) = self.seen?;
        let label = blank_label(set.shipment, set.set);
        Some(Label { suite, block_bytes, drives: highest.0, ..label })
    }
}

/// The names in the folder of shards that was asked for last.
#[derive(Default)]
pub(super) struct ListedShards {
    folder: String,
    names: BTreeSet<String>,
}

impl ListedShards {
    /// How many of the shards in these records, by slot, lie on the drive.
    pub fn votes(
        &mut self,
        drive: &dyn Drive,
        set_folder: &str,
        records: &[StripeRecord],
    ) -> BTreeMap<Slot, usize> {
        let mut votes = BTreeMap::new();
        for record in records {
            for (index, shard) in record.shards.iter().enumerate() {
                if self.has(drive, set_folder, &shard_path(record.id, index as u8)) {
                    *votes.entry(shard.slot).or_default() += 1;
                }
            }
        }
        votes
    }

    fn has(&mut self, drive: &dyn Drive, set_folder: &str, path: &str) -> bool {
        let Some((folder, name)) = path.rsplit_once('/') else { return false };
        if self.folder != folder {
            let names = drive.list(&format!("{set_folder}/{folder}")).unwrap_or_default();
            self.names = names.into_iter().collect();
            folder.clone_into(&mut self.folder);
        }
        self.names.contains(name)
    }
}

/// The records of a file that is sound.
pub(super) struct SoundRecords {
    pub header: RecordFileHeader,
    pub records: Vec<StripeRecord>,
    /// how many copies are alike
    pub copies: usize,
}

/// The records in the different sound copies of a record file, and how many copies each has; those
/// that end alike are taken to be alike.
pub(super) fn sound_records(set: &FoundSet, path: &str, places: &[u16]) -> Vec<SoundRecords> {
    let mut ends: BTreeMap<Hash, usize> = BTreeMap::new();
    let mut found: Vec<SoundRecords> = Vec::new();
    for mut file in set.open_at(path, places) {
        let len = file.len();
        let Some(at) = len.checked_sub(32).filter(|_| len <= MAX_RECORD_FILE_BYTES) else {
            continue;
        };
        let mut end = [0; 32];
        if !matches!(file.read_at(at, &mut end), Ok(32)) {
            continue;
        }
        if let Some(known) = ends.get(&end) {
            found[*known].copies += 1;
            continue;
        }
        let mut bytes = vec![0; len as usize];
        if !matches!(file.read_at(0, &mut bytes), Ok(read) if read == bytes.len()) {
            continue;
        }
        let Ok(header) = record::decode_file(&bytes) else { continue };
        if (header.shipment, header.set) == (set.shipment, set.set) {
            ends.insert(end, found.len());
            let records = record::records(&header, &bytes).flatten().collect();
            found.push(SoundRecords { header, records, copies: 1 });
        }
    }
    found
}

pub(super) fn blank_label(shipment: ShipmentId, set: SetNumber) -> Label {
    Label {
        what: WHAT.into(),
        format: FORMAT_VERSION.into(),
        program: String::new(),
        shipment,
        set,
        slot: Slot(0),
        drives: 0,
        case: "?".into(),
        survive: "?".into(),
        suite: 0,
        chunk_bytes: 0,
        block_bytes: 0,
        created: String::new(),
        name: String::new(),
        contact: String::new(),
    }
}
