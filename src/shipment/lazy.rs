//! Lazy lookup: single records of a set whose record files were not read.
//!
//! - Enters: a set, what tells an authentic record, and the number of a stripe.
//! - Leaves: the records of the file that should hold it.
//! - Always holds: records leave only from a file whose digest is valid and of which every record
//!   is authentic.
//!
//! The files of a run hold its stripes across in ascending order, so the file that holds one is
//! found by the first numbers of a few.

use super::found::FoundSet;
use crate::format::ids::{RunId, StripeId, StripeNumber, parse_record_name, record_path};
use crate::format::record::{
    self, FileHashes, MAX_RECORD_FILE_BYTES, RecordFileHeader, StripeRecord,
};
use crate::monitor::Recording;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// Says whether a record is authentic, for as long as the record index lasts.
pub type OwnedAuthentic = Box<dyn Fn(&RecordFileHeader, &FileHashes) -> Option<bool> + Send + Sync>;

/// A set of which no record was read yet.
pub struct LazyIndex {
    set: FoundSet,
    authentic: OwnedAuthentic,
    /// numbers of the record files by run, ascending
    files: BTreeMap<RunId, Vec<u32>>,
}

impl LazyIndex {
    /// Lists the record files.
    pub fn new(set: &FoundSet, authentic: OwnedAuthentic) -> Self {
        let text = set.set_text(&Recording::default()).filter(|text| text.mac.is_some());
        let mut files: BTreeMap<RunId, Vec<u32>> = BTreeMap::new();
        for (run, number) in set.names("records").iter().filter_map(|name| parse_record_name(name))
        {
            if text.as_ref().is_none_or(|text| text.names_records(run, number)) {
                files.entry(run).or_default().push(number);
            }
        }
        files.values_mut().for_each(|numbers| numbers.sort_unstable());
        Self { set: set.clone(), authentic, files }
    }

    pub fn set(&self) -> &FoundSet {
        &self.set
    }

    /// Says whether a record file is authentic.
    pub fn authentic(&self) -> &OwnedAuthentic {
        &self.authentic
    }

    /// The records of the file that should have this stripe's.
    pub(super) fn file_of(
        &self,
        stripe: StripeId,
        firsts: &mut HashMap<(RunId, u32), Option<StripeNumber>>,
    ) -> Option<Vec<Arc<StripeRecord>>> {
        let numbers = self.files.get(&stripe.run)?;
        let mut first = |number: u32| {
            *firsts.entry((stripe.run, number)).or_insert_with(|| self.first(stripe.run, number))
        };
        let (mut from, mut to) = (0, numbers.len());
        while from < to {
            let middle = usize::midpoint(from, to);
            if first(numbers[middle])? <= stripe.number {
                from = middle + 1;
            } else {
                to = middle;
            }
        }
        self.read(stripe.run, numbers[from.checked_sub(1)?])
    }

    /// The number of the first stripe across in a record file; of one along if there is no other.
    fn first(&self, run: RunId, number: u32) -> Option<StripeNumber> {
        let copies = self.set.open_copies(&record_path(run, number));
        copies.into_iter().find_map(|mut file| {
            record::first_number(|offset, buffer| {
                matches!(file.read_at(offset, buffer), Ok(len) if len == buffer.len())
            })
        })
    }

    /// The records of a file, from the first copy that is sound and authentic.
    fn read(&self, run: RunId, number: u32) -> Option<Vec<Arc<StripeRecord>>> {
        let path = record_path(run, number);
        let sound = |bytes: Vec<u8>| {
            let hashes = FileHashes::of(&bytes)?;
            let header = record::decode_hashed(&bytes, Some(&hashes)).ok()?;
            let (shipment, set) = (self.set.shipment, self.set.set);
            let own = (header.shipment, header.set, header.run, header.number)
                == (shipment, set, run, number);
            if !own || (self.authentic)(&header, &hashes) != Some(true) {
                return None;
            }
            record::records(&header, &bytes).map(|record| record.ok().map(Arc::new)).collect()
        };
        self.set.copies(&path, MAX_RECORD_FILE_BYTES).find_map(|copy| sound(copy.read.ok()?))
    }
}
