//! Finding single records: in a record index that is open, or in one that nobody has opened.
//!
//! - Enters: the number of a stripe.
//! - Leaves: its record.
//! - Always holds: (1) what leaves an open record index is from a file that reads as it did; (2)
//!   where lazy lookup leads nowhere the record index is opened after all; (3) memory is one record
//!   file, or several small ones, and the beginnings of those that were looked at.

use super::lazy::LazyIndex;
use super::record_index::RecordIndex;
use crate::format::ids::{RunId, StripeId, StripeNumber};
use crate::format::record::{self, StripeRecord};
use parking_lot::Mutex;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// The records of a file.
struct KeptRecords {
    /// its number in the opened record index
    file: usize,
    records: Vec<Arc<StripeRecord>>,
}

impl KeptRecords {
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
    kept: VecDeque<KeptRecords>,
    firsts: HashMap<(RunId, u32), Option<StripeNumber>>,
    /// of the opened record index, where looking up a record was not enough
    whole: Option<Box<RecordReader<'a>>>,
}

impl<'a> RecordReader<'a> {
    /// Nothing is read yet.
    pub fn new(record_index: &'a RecordIndex) -> Self {
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
                self.keep(KeptRecords { file: spot.file as usize, records });
            }
        }
        self.kept.front()?.records.get(spot.position as usize).cloned()
    }

    fn keep(&mut self, kept: KeptRecords) {
        self.kept.push_front(kept);
        while self.kept.len() > 1
            && self.kept.iter().map(KeptRecords::bytes).sum::<usize>() > KEPT_BYTES
        {
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
            self.keep(KeptRecords { file: usize::MAX, records });
            return Some(found);
        }
        let opened = self.record_index.whole();
        let whole = self.whole.get_or_insert_with(|| Box::new(RecordReader::new(opened)));
        whole.find(stripe)
    }
}

/// A reader for several threads: what one of them has read serves the others.
pub struct Records<'a>(Mutex<RecordReader<'a>>);

impl<'a> Records<'a> {
    /// Nothing is read yet.
    pub fn of(record_index: &'a RecordIndex) -> Self {
        Self(Mutex::new(RecordReader::new(record_index)))
    }

    pub fn find(&self, stripe: StripeId) -> Option<Arc<StripeRecord>> {
        self.0.lock().find(stripe)
    }
}
