//! The items of a set from the list at the end of every data shard, where the catalog cannot be
//! read.

use super::items::Items;
use super::open_set::OpenSet;
use crate::format::ids::{Slot, StripeId};
use crate::format::list::Item;
use crate::format::list_reader;
use crate::format::record::StripeRecord;
use crate::format::shard::{Blocks, TRAILER_BYTES, Trailer};
use crate::keys::run::StripeShape;
use crate::monitor::{Monitor, Problem, ProblemKind};
use crate::shipment::record_reader::RecordReader;
use crate::stages::seal::Cipher;
use crate::stripes::fetch::Fetcher;
use crate::stripes::request::Request;
use crate::stripes::stripe::Stripe;
use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Items from the shards' own lists.
pub struct ListItems<'a> {
    open: &'a OpenSet<'a>,
    stripes: VecDeque<StripeId>,
    reader: RecordReader<'a>,
    fetcher: Fetcher<'a>,
    lists: VecDeque<Vec<Item>>,
    lost: u64,
    /// some of them lie on drives that are not here
    waits: Arc<AtomicBool>,
    monitor: &'a dyn Monitor,
}

fn silent(_: Slot, _: u64) {}

impl<'a> ListItems<'a> {
    /// From the stripes in the record index's order.
    pub fn new(open: &'a OpenSet<'a>, monitor: &'a dyn Monitor) -> Self {
        let record_index = open.record_index.whole();
        let stripes = record_index.stripes().iter().copied().collect();
        let reader = RecordReader::new(record_index);
        let fetcher = Fetcher::new(open.set, record_index, &silent);
        Self {
            open,
            stripes,
            reader,
            fetcher,
            lists: VecDeque::new(),
            lost: 0,
            waits: Arc::default(),
            monitor,
        }
    }

    /// Lists that could not be had, so that files may be missing that nothing names; and whether
    /// drives that are not here have some of them.
    pub fn unlisted(&self) -> (u64, bool) {
        (self.lost, self.waits.load(Ordering::Relaxed))
    }

    fn read_stripe(&mut self, id: StripeId) {
        let Some(record) = self.reader.find(id) else {
            self.lost += 1;
            self.waits.fetch_or(!self.open.set.missing_slots().is_empty(), Ordering::Relaxed);
            return;
        };
        for index in 0..record.k {
            match read_list(self.open, &self.fetcher, &record, index) {
                Ok(items) => self.lists.push_back(items),
                Err(waits) => {
                    self.lost += 1;
                    self.waits.fetch_or(waits, Ordering::Relaxed);
                    let subject = format!("list of shard {id}-{index:02x}");
                    let detail = "it cannot be read; files that only it names are missing";
                    self.monitor.problem(Problem::new(ProblemKind::Damage, subject, detail));
                }
            }
        }
    }
}

impl Items for ListItems<'_> {
    fn next_list(&mut self) -> Option<Vec<Item>> {
        while self.lists.is_empty() {
            let id = self.stripes.pop_front()?;
            self.read_stripe(id);
        }
        self.lists.pop_front()
    }

    fn lists_wait(&self) -> Arc<AtomicBool> {
        self.waits.clone()
    }
}

/// The list of one data shard: the last block has the trailer, which says how far back it begins.
/// If it cannot be had, whether it may be with drives that are not here.
fn read_list(
    open: &OpenSet,
    fetcher: &Fetcher,
    record: &Arc<StripeRecord>,
    index: u8,
) -> Result<Vec<Item>, bool> {
    let blocks = record.blocks;
    let last = blocks.count() - 1;
    let fetch = |first: usize| {
        let shards = BTreeMap::from([(index, first..last + 1)]);
        let request = Request { record: record.clone(), shards };
        fetcher.complete(fetcher.read(request))
    };
    let plain = |first: usize| {
        let stripe = fetch(first);
        plain_from(open, &stripe, index, first).ok_or_else(|| stripe.waits())
    };
    let list = list_range(&plain(last)?, blocks).ok_or(false)?;
    let first = blocks.block_of(list.start);
    let origin = blocks.payload_range(first).start;
    list_reader::decode(&plain(first)?[list.start - origin..list.end - origin]).map_err(|_| false)
}

/// The list in a shard's payload, if the blocks that hold it are open.
pub fn list_in(
    blocks: Blocks,
    payload: &[u8],
    is_open: impl Fn(usize) -> bool,
) -> Option<Vec<Item>> {
    let last = blocks.count() - 1;
    let list = list_range(payload, blocks).filter(|_| is_open(last))?;
    let all_open = (blocks.block_of(list.start)..=last).all(is_open);
    if all_open { list_reader::decode(&payload[list]).ok() } else { None }
}

/// Where in a payload that ends with these bytes the list lies, as its trailer says.
fn list_range(tail: &[u8], blocks: Blocks) -> Option<Range<usize>> {
    let trailer = tail.last_chunk::<TRAILER_BYTES>()?;
    let trailer = Trailer::decode(trailer, blocks.payload_bytes()).ok()?;
    let end = blocks.payload_bytes() - TRAILER_BYTES;
    Some(end - trailer.list_bytes as usize..end)
}

/// The payload bytes of a shard from block `first` to its end.
fn plain_from(open: &OpenSet, stripe: &Stripe, index: u8, first: usize) -> Option<Vec<u8>> {
    let record = &stripe.request.record;
    let key = open.keys.get(&record.id.run)?;
    let salt = record.shards[index as usize].salt;
    let cipher = Cipher::new(key.shard_key(&salt, &StripeShape::from(&**record), index));
    let origin = record.blocks.payload_range(first).start;
    let mut plain = vec![0; record.blocks.payload_bytes() - origin];
    for number in first..record.blocks.count() {
        let range = record.blocks.payload_range(number);
        let out = &mut plain[range.start - origin..range.end - origin];
        cipher.open(number, stripe.block(index, number)?, out).ok()?;
    }
    Some(plain)
}
