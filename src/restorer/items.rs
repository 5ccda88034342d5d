//! The items of a set in order: from the catalog, or, where it cannot be read, from the list at
//! the end of every data shard.

use super::OpenSet;
use super::decode::OpenStripe;
use crate::catalog::CatalogReader;
use crate::catalog::reader::CatalogError;
use crate::format::catalog::KeySpan;
use crate::format::ids::{Slot, StripeId};
use crate::format::list::{self, Entry, Item, Kind};
use crate::format::record::StripeRecord;
use crate::format::set::SetText;
use crate::format::shard::{Blocks, TRAILER_BYTES, Trailer};
use crate::format::shown::error_chain;
use crate::keys::run::StripeShape;
use crate::monitor::{Monitor, Problem, ProblemKind, Recording};
use crate::shipment::record_reader::RecordReader;
use crate::stages::seal::Cipher;
use crate::stripes::fetch::Fetcher;
use crate::stripes::stripe::{Request, Stripe};
use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Plain bytes of an extent; of another item none.
pub fn extent_bytes(item: &Item) -> u64 {
    if let Item::Extent(extent) = item { extent.len.into() } else { 0 }
}

/// Gives lists of items, in order.
pub trait Items {
    /// The next list; none at the end.
    fn next_list(&mut self) -> Option<Vec<Item>>;

    /// A stripe that was opened to give the last items, which so need not be read again.
    fn opened(&self, _stripe: StripeId) -> Option<Arc<OpenStripe>> {
        None
    }

    /// Set once drives that are not here may have lists between those that were given.
    fn lists_wait(&self) -> Arc<AtomicBool> {
        Arc::default()
    }

    /// How many bytes a batch may need, if it usually may need so many.
    fn batch_bytes(&mut self, usual: u64) -> u64 {
        usual
    }

    /// The entries of these folders, wherever the walk is, as far as there is a way to them.
    fn folders(&mut self, _paths: &[Vec<u8>]) -> Vec<Entry> {
        Vec::new()
    }
}

/// Ends when the job should stop: what follows is then neither restored nor judged.
pub struct UntilStopped<'a> {
    /// where the items come from
    pub items: &'a mut (dyn Items + Send),
    pub monitor: &'a dyn Monitor,
}

impl Items for UntilStopped<'_> {
    fn next_list(&mut self) -> Option<Vec<Item>> {
        if self.monitor.should_stop() { None } else { self.items.next_list() }
    }

    fn opened(&self, stripe: StripeId) -> Option<Arc<OpenStripe>> {
        self.items.opened(stripe)
    }

    fn lists_wait(&self) -> Arc<AtomicBool> {
        self.items.lists_wait()
    }

    fn batch_bytes(&mut self, usual: u64) -> u64 {
        self.items.batch_bytes(usual)
    }

    fn folders(&mut self, paths: &[Vec<u8>]) -> Vec<Entry> {
        self.items.folders(paths)
    }
}

/// Items from the catalog.
pub struct CatalogItems<'a> {
    reader: CatalogReader<'a>,
    /// frames that are still to come
    frames: VecDeque<Range<usize>>,
    damaged: bool,
    monitor: &'a dyn Monitor,
}

impl<'a> CatalogItems<'a> {
    /// Opens the catalog: its index, or, in a set that was closed without one or is not closed, the
    /// parts that its records name. None if no copy of one of these is sound, or they do not hold the
    /// lists of all stripes.
    pub fn open(open: &'a OpenSet, monitor: &'a dyn Monitor) -> Option<Self> {
        let text = open.set.set_text(monitor);
        let reader = match text.as_ref().and_then(SetText::index) {
            Some(index) => CatalogReader::open(open.set, open.keys, index.run),
            None if !open.record_index.is_catalogued() => return None,
            None => {
                let parts = open.record_index.whole().parts().map(|(run, part)| (run, part.number));
                CatalogReader::without_index(open.set, open.keys, parts)
            }
        };
        match reader {
            Ok(reader) => {
                let frames = std::iter::once(0..reader.index().frames.len()).collect();
                Some(Self { reader, frames, damaged: false, monitor })
            }
            Err(e) => {
                let subject = format!("set {}", open.set.name());
                monitor.problem(Problem::new(ProblemKind::Damage, subject, error_chain(&e)));
                None
            }
        }
    }

    /// From the beginning, only the frames that can hold entries of these spans, which ascend.
    pub fn seek(&mut self, spans: &[KeySpan]) {
        self.frames.clear();
        for span in spans {
            let mut frames = self.reader.index().frames_within(span);
            frames.start = frames.start.max(self.frames.back().map_or(0, |last| last.end));
            if !frames.is_empty() {
                self.frames.push_back(frames);
            }
        }
    }

    /// Entries in the set, if an index says how many.
    pub fn entries(&self) -> Option<u64> {
        let index = self.reader.index();
        (index.entries > 0).then_some(index.entries)
    }

    /// The sort keys of the first entry that is no folder, and of the last entry.
    pub fn reach(&mut self) -> Option<(Vec<u8>, Vec<u8>)> {
        let frames = self.reader.index().frames.len();
        let last = self.entries_of(frames.checked_sub(1)?)?.pop()?;
        let is_file = |entry: &Entry| entry.kind != Kind::Folder;
        for number in 0..frames {
            let first = self.entries_of(number)?.into_iter().find(is_file);
            if let Some(first) = first {
                return Some((first.sort_key(), last.sort_key()));
            }
        }
        None
    }

    fn entries_of(&mut self, frame: usize) -> Option<Vec<Entry>> {
        let row = self.reader.index().frames.get(frame)?.clone();
        let items = self.reader.frame(&row).ok()?.into_iter();
        let entry = |item| match item {
            Item::Entry { entry, .. } => Some(entry),
            _ => None,
        };
        Some(items.filter_map(entry).collect())
    }

    /// Plain bytes that the set holds: without holes, and of a file that crosses sets only its part.
    /// The catalog is walked for it only if the files' sizes add up to more than the stripes hold.
    pub fn data_bytes(&mut self, open: &OpenSet) -> u64 {
        let file_bytes = self.reader.index().file_bytes;
        let mut stripe_bytes = 0;
        open.record_index.walk(&Recording::default(), |record| {
            stripe_bytes = u64::from(record.k) * record.blocks.payload_bytes() as u64;
            false // the first is as large as any, or the set is small
        });
        if file_bytes <= stripe_bytes.saturating_mul(open.record_index.stripes().len() as u64) {
            return file_bytes;
        }
        let rows = self.reader.index().frames.clone();
        let lists = rows.iter().map(|row| self.reader.frame(row).unwrap_or_default());
        lists.flatten().map(|item| extent_bytes(&item)).sum()
    }

    /// Was a part of it unreadable?
    pub fn is_damaged(&self) -> bool {
        self.damaged
    }

    fn note_damage(&mut self, error: &CatalogError) {
        if !std::mem::replace(&mut self.damaged, true) {
            let problem = Problem::new(ProblemKind::Damage, "catalog", error_chain(error));
            self.monitor.problem(problem);
        }
    }
}

impl Items for CatalogItems<'_> {
    fn next_list(&mut self) -> Option<Vec<Item>> {
        loop {
            let frames = self.frames.front_mut()?;
            let Some(number) = frames.next() else {
                self.frames.pop_front();
                continue;
            };
            let row = self.reader.index().frames[number].clone();
            match self.reader.frame(&row) {
                Ok(items) => return Some(items),
                Err(e) => self.note_damage(&e),
            }
        }
    }

    fn folders(&mut self, paths: &[Vec<u8>]) -> Vec<Entry> {
        match self.reader.folders(paths) {
            Ok(found) => found,
            Err(e) => {
                self.note_damage(&e);
                Vec::new()
            }
        }
    }
}

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

/// The list of one data shard: the last block has the trailer, which says how far back it begins. If it
/// cannot be had, whether it may be with drives that are not here.
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
    let tail = plain(last)?;
    let list = |tail: &[u8]| {
        let trailer_bytes = tail[tail.len() - TRAILER_BYTES..].try_into().ok()?;
        let trailer = Trailer::decode(trailer_bytes, blocks.payload_bytes()).ok()?;
        let end = blocks.payload_bytes() - TRAILER_BYTES;
        Some(end - trailer.list_bytes as usize..end)
    };
    let list = list(&tail).ok_or(false)?;
    let first = blocks.block_of(list.start);
    let origin = blocks.payload_range(first).start;
    list::decode(&plain(first)?[list.start - origin..list.end - origin]).map_err(|_| false)
}

/// The list in a shard's payload, if the blocks that hold it are open.
pub fn list_in(
    blocks: Blocks,
    payload: &[u8],
    is_open: impl Fn(usize) -> bool,
) -> Option<Vec<Item>> {
    let last = blocks.count() - 1;
    let end = payload.len().checked_sub(TRAILER_BYTES).filter(|_| is_open(last))?;
    let trailer = Trailer::decode(payload[end..].try_into().ok()?, payload.len()).ok()?;
    let start = end - trailer.list_bytes as usize;
    let all_open = (blocks.block_of(start)..=last).all(is_open);
    if all_open { list::decode(&payload[start..end]).ok() } else { None }
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
