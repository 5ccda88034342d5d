//! Finding single records: in a record index that is open, or in one that nobody has opened.
//!
//! - Enters: the number of a stripe.
//! - Leaves: its record.
//! - Always holds: (1) what leaves an open record index is from a file that reads as it did; (2) what leaves
//!   one that is not open is from a file with a right digest of which every record is authentic;
//!   (3) memory is one record file, or several small ones, and the beginnings of those that were
//!   looked at.
//!
//! The files of a run hold its stripes across in ascending order, so the file that holds one is
//! found by the first numbers of a few. Where that leads nowhere the record index is opened after all.

use super::open::FoundSet;
use super::record_index::RecordIndex;
use crate::format::ids::{RunId, StripeId, StripeNumber, parse_record_name, record_path};
use crate::format::record::{self, MAX_RECORD_FILE_BYTES, RecordFileHeader, StripeRecord};
use crate::monitor::Recording;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// Says whether a record is authentic, for as long as the record index lasts.
pub type OwnedAuthentic = Box<dyn Fn(&RecordFileHeader, &[u8]) -> Option<bool> + Send + Sync>;

/// A set of which no record was read yet.
pub struct LazyIndex {
    set: FoundSet,
    authentic: OwnedAuthentic,
    /// numbers of the record files by run, ascending
    files: BTreeMap<RunId, Vec<u32>>,
    whole: OnceLock<Box<RecordIndex>>,
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
        Self { set: set.clone(), authentic, files, whole: OnceLock::new() }
    }

    /// The record index, opened when it is asked for first.
    pub fn whole(&self) -> &RecordIndex {
        let open =
            || Box::new(RecordIndex::open(&self.set, Some(&self.authentic), &Recording::default()));
        self.whole.get_or_init(open)
    }

    /// The records of the file that should have this stripe's.
    fn file_of(
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
            let header = record::decode_file(&bytes).ok()?;
            let (shipment, set) = (self.set.shipment, self.set.set);
            let own = (header.shipment, header.set, header.run, header.number)
                == (shipment, set, run, number);
            if !own || (self.authentic)(&header, &bytes) != Some(true) {
                return None;
            }
            record::records(&header, &bytes).map(|record| record.ok().map(Arc::new)).collect()
        };
        self.set.copies(&path, MAX_RECORD_FILE_BYTES).find_map(|(_, _, bytes)| sound(bytes.ok()?))
    }
}

/// The records of a file.
struct Kept {
    /// its number in the opened record index
    file: usize,
    records: Vec<Arc<StripeRecord>>,
}

impl Kept {
    fn bytes(&self) -> usize {
        let held = |record: &Arc<StripeRecord>| {
            size_of::<StripeRecord>()
                + size_of_val(&record.shards[..])
                + size_of_val(&record.members[..])
                + size_of_val(&record.hashes[..])
        };
        self.records.iter().map(held).sum()
    }
}

/// Bytes of records that a reader keeps of files besides the last: a stripe along a drive and its
/// members may lie in several small ones.
const KEPT_BYTES: usize = 8 << 20;

/// Finds records by stripe; stripes asked for in order cost one read a file.
pub struct RecordReader<'a> {
    record_index: &'a RecordIndex,
    /// the last used first
    kept: VecDeque<Kept>,
    firsts: HashMap<(RunId, u32), Option<StripeNumber>>,
    /// of the opened record index, where looking up a record was not enough
    whole: Option<Box<RecordReader<'a>>>,
}

impl<'a> RecordReader<'a> {
    /// Nothing is read yet.
    pub(super) fn new(record_index: &'a RecordIndex) -> Self {
        Self { record_index, kept: VecDeque::new(), firsts: HashMap::new(), whole: None }
    }

    pub fn find(&mut self, stripe: StripeId) -> Option<Arc<StripeRecord>> {
        if let Some(lazy) = &self.record_index.lazy {
            return self.find_unopened(lazy, stripe);
        }
        let spot = *self.record_index.spot(stripe)?;
        match self.kept.iter().position(|kept| kept.file == spot.file as usize) {
            Some(at) => self.kept.swap(0, at),
            None => {
                let file = &self.record_index.files[spot.file as usize];
                let bytes = file.read().ok()?;
                let records = record::records(&file.header, &bytes);
                let records = records.flatten().map(Arc::new).collect();
                self.keep(Kept { file: spot.file as usize, records });
            }
        }
        self.kept.front()?.records.get(spot.position as usize).cloned()
    }

    fn keep(&mut self, kept: Kept) {
        self.kept.push_front(kept);
        while self.kept.len() > 1 && self.kept.iter().map(Kept::bytes).sum::<usize>() > KEPT_BYTES {
            self.kept.pop_back();
        }
    }

    fn find_unopened(
        &mut self,
        lazy: &'a LazyIndex,
        stripe: StripeId,
    ) -> Option<Arc<StripeRecord>> {
        let is_it = |record: &&Arc<StripeRecord>| record.id == stripe;
        if let Some(record) = self.kept.iter().flat_map(|kept| &kept.records).find(is_it) {
            return Some(record.clone());
        }
        if self.whole.is_none()
            && let Some(records) = lazy.file_of(stripe, &mut self.firsts)
            && let Some(found) = records.iter().find(is_it).cloned()
        {
            self.keep(Kept { file: usize::MAX, records });
            return Some(found);
        }
        let whole = self.whole.get_or_insert_with(|| Box::new(lazy.whole().reader()));
        whole.find(stripe)
    }
}

/// A reader for several threads: what one of them has read serves the others.
pub struct Records<'a>(Mutex<RecordReader<'a>>);

impl<'a> Records<'a> {
    /// Nothing is read yet.
    pub fn of(record_index: &'a RecordIndex) -> Self {
        Self(Mutex::new(record_index.reader()))
    }

    pub fn find(&self, stripe: StripeId) -> Option<Arc<StripeRecord>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).find(stripe)
    }
}
