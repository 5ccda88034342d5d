//! Cuts the items into batches: as many as need stored and plain bytes up to a limit, with the
//! blocks that hold those.

use super::chunk_runs::{in_blocks, runs};
use super::decode::OpenStripe;
use super::items::Items;
use crate::format::ids::StripeId;
use crate::format::list::{End, Entry, Extent, Item, Kind, Place, State};
use crate::monitor::Monitor;
use crate::shipment::RecordIndex;
use crate::shipment::record_reader::RecordReader;
use crate::stripes::request::Request;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// The most plain bytes of a batch, as a multiple of the stored ones: they are never in memory all
/// at once.
const PLAIN_TIMES: u64 = 4;
/// The most steps of a batch.
const BATCH_STEPS: usize = 8192;

/// One thing to do; steps are settled in order.
pub enum RestoreStep {
    /// a folder begins
    Folder(Entry),
    /// a symlink or special file
    Bare(Entry),
    /// a file that is complete with this extent, or empty
    Whole(Entry, Option<Extent>),
    /// a larger file begins
    Begin(Arc<Entry>),
    /// bytes of the open file
    Extent(Extent),
    /// the open file ends
    End(End),
}

impl RestoreStep {
    /// The extent that it restores.
    pub fn extent(&self) -> Option<&Extent> {
        match self {
            Self::Whole(_, extent) => extent.as_ref(),
            Self::Extent(extent) => Some(extent),
            _ => None,
        }
    }
}

/// Steps and the blocks they need.
#[derive(Default)]
pub struct Batch {
    /// in order
    pub steps: Vec<RestoreStep>,
    needs: BTreeMap<StripeId, Request>,
    /// the chunks that its extents lie in, and the steps that each serves
    pub places: HashMap<Place, Vec<usize>>,
    stored: u64,
    plain: u64,
    /// a file that is void was ended: it may be packed again under the same name
    ends_void: bool,
    /// the next item needs blocks that lie apart from these
    ends: bool,
}

impl Batch {
    /// The stripes that it needs and that were opened already to give its items.
    pub fn opened(&self, items: &dyn Items) -> Vec<Arc<OpenStripe>> {
        self.needs.keys().filter_map(|id| items.opened(*id)).collect()
    }

    /// What is to be read, but for stripes that are opened.
    pub fn requests_but<'a>(
        &'a self,
        opened: &'a [Arc<OpenStripe>],
    ) -> impl Iterator<Item = Request> + 'a {
        let is_opened = |id| opened.iter().any(|stripe| stripe.record.id == id);
        self.needs.values().filter(move |request| !is_opened(request.record.id)).cloned()
    }

    fn is_full(&self, bytes: u64) -> bool {
        let full = self.stored >= bytes || self.plain >= PLAIN_TIMES * bytes;
        full || self.steps.len() >= BATCH_STEPS || self.ends_void || self.ends
    }

    /// Do the blocks that an extent needs lie apart from those of the same shard that are wanted
    /// already? What lies between would be read in vain.
    fn lies_apart(&self, extent: &Extent) -> bool {
        let Some(request) = self.needs.get(&extent.place.stripe) else { return false };
        let runs = runs(&extent.place, &request.record).unwrap_or_default();
        runs.iter().any(|(index, bytes)| {
            let range = in_blocks(request.record.blocks, bytes);
            let known = request.shards.get(index);
            known.is_some_and(|known| range.end < known.start || known.end < range.start)
        })
    }

    /// Notes the blocks that the chunk of the next step's extent lies in.
    fn need(&mut self, extent: &Extent, reader: &mut RecordReader) {
        let place = &extent.place;
        let step = self.steps.len();
        let steps = self.places.entry(*place).or_default();
        steps.push(step);
        if steps.len() > 1 {
            return;
        }
        let record = match self.needs.get(&place.stripe) {
            Some(request) => request.record.clone(),
            None => match reader.find(place.stripe) {
                Some(record) => record,
                None => return,
            },
        };
        let Some(runs) = runs(place, &record) else { return };
        self.stored += place.stored as u64;
        self.plain += place.plain as u64;
        let request = Request { record: record.clone(), shards: BTreeMap::new() };
        let shards = &mut self.needs.entry(place.stripe).or_insert(request).shards;
        for (index, bytes) in runs {
            let blocks = record.blocks;
            let range = in_blocks(blocks, &bytes);
            let known = shards.entry(index).or_insert(range.clone());
            *known = known.start.min(range.start)..known.end.max(range.end);
        }
    }
}

/// Cuts items into batches, until the job should stop: what follows is then neither restored nor
/// judged.
pub struct Batcher<'a> {
    reader: RecordReader<'a>,
    /// the most stored bytes that a batch needs (one chunk may exceed it)
    bytes: u64,
    /// items of a list that was begun
    rest: std::vec::IntoIter<Item>,
    /// path of the file that is open
    open: Option<Vec<u8>>,
    /// the open file is there already
    skipping: bool,
    /// bytes of files that are
    in_place: u64,
    /// a batch ends where blocks lie apart: only what is wanted may be read
    sparing: bool,
    monitor: &'a dyn Monitor,
}

impl<'a> Batcher<'a> {
    /// Looks up stripes in `record_index`; a batch needs so many bytes. A sparing one never asks
    /// for blocks that nothing needs; others do where they lie in between, since drives like long
    /// reads.
    pub fn new(
        record_index: &'a RecordIndex,
        bytes: u64,
        sparing: bool,
        monitor: &'a dyn Monitor,
    ) -> Self {
        Self {
            reader: RecordReader::new(record_index),
            bytes,
            rest: Vec::new().into_iter(),
            open: None,
            skipping: false,
            in_place: 0,
            sparing,
            monitor,
        }
    }

    /// The next batch; none at the end. Entries for which `skip` holds are left out.
    pub fn next_batch(
        &mut self,
        items: &mut dyn Items,
        skip: &dyn Fn(&Entry) -> bool,
    ) -> Option<Batch> {
        let mut batch = Batch::default();
        while !batch.is_full(self.bytes) {
            let Some(item) = self.next_item(items) else { break };
            self.take(item, &mut batch, items, skip);
        }
        (!batch.steps.is_empty()).then_some(batch)
    }

    /// Bytes of the files that were left out so far.
    pub fn in_place(&self) -> u64 {
        self.in_place
    }

    fn next_item(&mut self, items: &mut dyn Items) -> Option<Item> {
        loop {
            if let Some(item) = self.rest.next() {
                return Some(item);
            }
            if self.monitor.should_stop() {
                return None;
            }
            self.rest = items.next_list()?.into_iter();
        }
    }

    fn take(
        &mut self,
        item: Item,
        batch: &mut Batch,
        items: &mut dyn Items,
        skip: &dyn Fn(&Entry) -> bool,
    ) {
        match item {
            Item::Entry { entry, continued: true } if self.open.as_ref() == Some(&entry.path) => {}
            Item::Entry { entry, .. } => {
                self.open = None;
                self.skipping = skip(&entry);
                match entry.kind {
                    Kind::Folder => batch.steps.push(RestoreStep::Folder(entry)),
                    Kind::File if entry.whole => {
                        let extent = if entry.size > 0 {
                            self.whole_extent(&entry.path, items)
                        } else {
                            None
                        };
                        if self.skipping {
                            self.in_place += extent.map_or(0, |extent| extent.len.into());
                            return;
                        }
                        if let Some(extent) = extent.filter(|e| self.must_wait(e, batch)) {
                            let entry = Item::Entry { entry, continued: false };
                            return self.put_back([entry, Item::Extent(extent)]);
                        }
                        if let Some(extent) = &extent {
                            batch.need(extent, &mut self.reader);
                        }
                        batch.steps.push(RestoreStep::Whole(entry, extent));
                    }
                    Kind::File => {
                        self.open = Some(entry.path.clone());
                        if !self.skipping {
                            batch.steps.push(RestoreStep::Begin(Arc::new(entry)));
                        }
                    }
                    Kind::HardLink | Kind::Unknown => {}
                    _ if self.skipping => {}
                    _ => batch.steps.push(RestoreStep::Bare(entry)),
                }
            }
            Item::Extent(extent) if self.skipping => self.in_place += u64::from(extent.len),
            Item::End(_) if self.skipping => {}
            Item::Extent(extent) if self.must_wait(&extent, batch) => {
                self.put_back([Item::Extent(extent)]);
            }
            Item::Extent(extent) => {
                batch.need(&extent, &mut self.reader);
                batch.steps.push(RestoreStep::Extent(extent));
            }
            Item::End(end) => {
                self.open = None;
                batch.ends_void |= end.state == State::Void;
                batch.steps.push(RestoreStep::End(end));
            }
        }
    }

    /// The extent that completes a whole file; a list may have ended between the two.
    fn whole_extent(&mut self, path: &[u8], items: &mut dyn Items) -> Option<Extent> {
        let mut item = self.next_item(items)?;
        while matches!(&item, Item::Entry { entry, continued: true } if entry.path == path) {
            item = self.next_item(items)?;
        }
        match item {
            Item::Extent(extent) => Some(extent),
            // A whole file without its extent has lost its bytes, which is judged later.
            other => {
                self.put_back([other]);
                None
            }
        }
    }

    /// Ends the batch if the extent is for the next one; returns whether it is.
    fn must_wait(&self, extent: &Extent, batch: &mut Batch) -> bool {
        batch.ends = self.sparing && batch.lies_apart(extent);
        batch.ends
    }

    fn put_back(&mut self, items: impl IntoIterator<Item = Item>) {
        let mut rest: Vec<Item> = items.into_iter().collect();
        rest.extend(self.rest.by_ref());
        self.rest = rest.into_iter();
    }
}
