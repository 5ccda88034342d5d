//! Decodes a whole set to nowhere, to show that everything in it can be restored.
//!
//! - Enters: a set's drives, records and keys.
//! - Leaves: counts, and a problem for all that cannot be had or does not agree.
//! - Always holds: (1) beyond what a restore opens, every block of every data shard is opened, its
//!   padding too; (2) the entries come from the shards' own lists, and the catalog is held against
//!   them item by item, so both are read whole; (3) a data shard is read once, for its list and for
//!   the files, but for chunks that files of later stripes share; (4) memory: that of a restore,
//!   and the data shards of a few stripes.

use super::catalog_items::CatalogItems;
use super::decode::OpenStripe;
use super::error::RestoreError;
use super::items::Items;
use super::ledger::Ledger;
use super::list_items::list_in;
use super::open_set::OpenSet;
use super::options::RestoreOptions;
use super::output::Output;
use super::pass::KEPT_SHARDS;
use super::restored::Restored;
use super::walk::SetWalk;
use super::{not_taken, pass};
use crate::check::drive::ReadBefore;
use crate::drives::buffer::Pool;
use crate::format::ids::{Slot, StripeId};
use crate::format::list::Item;
use crate::memory::Memory;
use crate::monitor::{Monitor, Phase, Problem, ProblemKind};
use crate::shipment::record_reader::RecordReader;
use crate::stripes::fetch::Fetcher;
use crate::stripes::request::Request;
use serde::Serialize;
use std::collections::VecDeque;
use std::sync::Arc;

/// Stripes that are kept open at least: a batch may need the last two.
const KEPT_STRIPES: usize = 2;
/// Of what a batch usually may need, so that those under way need few stripes.
const BATCH_PART: u64 = 8;

/// The result of a check.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Decoded {
    /// what a restore would have brought
    #[serde(skip)]
    pub restored: Restored,
    /// blocks of data shards that were opened
    pub blocks: u64,
    /// blocks that are as recorded, but do not open with the key
    pub unopened_blocks: u64,
    /// does the catalog say what the shards' lists say; none if there was no comparing them whole
    pub catalog_agrees: Option<bool>,
}

impl Decoded {
    /// Was everything decoded that the set has?
    pub fn is_complete(&self) -> bool {
        self.restored.is_complete() && self.unopened_blocks == 0
    }
}

/// Decodes all of a set, and notes the shards that are as recorded on their drives.
pub fn check(
    open: &OpenSet,
    memory: Memory,
    read: &mut ReadBefore,
    monitor: &dyn Monitor,
) -> Result<Decoded, RestoreError> {
    let mut catalog = Comparison::new(open, monitor);
    let total = catalog.items.as_mut().map_or(0, |items| items.data_bytes(open));
    monitor.phase(Phase::Decode, total);
    for d in &open.set.drives {
        let name = d.case_and_name();
        monitor.drive(d.label.slot.0 as usize, &name, 0);
    }
    let mut restored = Restored::default();
    let stripes = open.record_index.stripes().iter().copied().collect();
    let progress = |slot: Slot, bytes: u64| monitor.drive_advance(slot.0 as usize, bytes);
    let mut items = WholeItems {
        open,
        fetcher: Fetcher::new(open.set, open.record_index, &progress)
            .past_caches()
            .reporting_to(monitor),
        read,
        pool: Pool::keeping(KEPT_SHARDS),
        opened: VecDeque::new(),
        batch_bytes: 0,
        monitor,
        stripes,
        reader: RecordReader::new(open.record_index),
        lists: VecDeque::new(),
        catalog,
        decoded: Decoded::default(),
        not_taken: None,
    };
    let options = RestoreOptions { memory, ..RestoreOptions::default() };
    let ledger = &Ledger::Reported(monitor);
    let walk = SetWalk { open, output: Output::Nowhere, options, ledger, total: 0, monitor };
    pass::run(walk, &mut items, &mut restored)?;
    let mut decoded = items.decoded;
    decoded.restored.add(&restored);
    decoded.restored.bounds = restored.bounds;
    // Each has a list at least.
    let waits = !open.set.missing_slots().is_empty();
    let of_unknown = if waits { &mut decoded.restored.waiting } else { &mut decoded.restored.lost };
    *of_unknown += open.record_index.unknown();
    decoded.catalog_agrees = items.catalog.agrees;
    Ok(decoded)
}

/// The lists of all data shards, of which every block is opened on the way.
struct WholeItems<'a> {
    open: &'a OpenSet<'a>,
    fetcher: Fetcher<'a>,
    read: &'a mut ReadBefore,
    pool: Pool,
    /// the last stripes first: those that a batch may need
    opened: VecDeque<Arc<OpenStripe>>,
    batch_bytes: u64,
    monitor: &'a dyn Monitor,
    stripes: VecDeque<StripeId>,
    reader: RecordReader<'a>,
    lists: VecDeque<Vec<Item>>,
    catalog: Comparison<'a>,
    decoded: Decoded,
    /// the last entry of which not all could be taken
    not_taken: Option<Vec<u8>>,
}

impl Items for WholeItems<'_> {
    fn next_list(&mut self) -> Option<Vec<Item>> {
        while self.lists.is_empty() {
            if self.monitor.should_stop() {
                return None; // what could not be had may only not have been waited for
            }
            let Some(id) = self.stripes.pop_front() else {
                self.catalog.end();
                return None;
            };
            self.read_stripe(id);
        }
        self.lists.pop_front()
    }

    fn opened(&self, stripe: StripeId) -> Option<Arc<OpenStripe>> {
        self.opened.iter().find(|opened| opened.record.id == stripe).cloned()
    }

    fn batch_bytes(&mut self, usual: u64) -> u64 {
        self.batch_bytes = usual / BATCH_PART;
        self.batch_bytes
    }
}

impl WholeItems<'_> {
    fn read_stripe(&mut self, id: StripeId) {
        let Some(record) = self.reader.find(id) else {
            let subject = format!("stripe {id}");
            let detail = "its record can no longer be read";
            return self.lost(&subject, detail, false);
        };
        let shards = (0..record.k).map(|index| (index, 0..record.blocks.count())).collect();
        let raw = self.fetcher.read(Request { record, shards });
        let (stripe, reconstructed) = OpenStripe::new(self.open, raw, &self.fetcher, &self.pool);
        self.decoded.restored.reconstructed.add(reconstructed);
        if self.monitor.should_stop() {
            return;
        }
        self.read.add(&stripe.record, &stripe.as_read);
        for index in 0..stripe.record.k {
            self.read_shard(&stripe, index);
        }
        self.opened.push_front(Arc::new(stripe));
        // Of the stripes that a batch needs, most bytes are in it.
        let bytes = |opened: &VecDeque<Arc<OpenStripe>>| -> u64 {
            let shards = opened.iter().flat_map(|stripe| stripe.shards.values());
            shards.map(|shard| shard.bytes.len() as u64).sum()
        };
        while self.opened.len() > KEPT_STRIPES && bytes(&self.opened) > 2 * self.batch_bytes {
            self.opened.pop_back();
        }
    }

    /// Counts the blocks of a data shard that are open, and decodes its list.
    fn read_shard(&mut self, stripe: &OpenStripe, index: u8) {
        let (id, blocks) = (stripe.record.id, stripe.record.blocks);
        let subject = format!("shard {id}-{index:02x}");
        let Some(shard) = stripe.shards.get(&index) else {
            return self.lost(&subject, "the key of its run is not at hand", false);
        };
        let is_open = |number: usize| shard.get(blocks.payload_range(number)).is_some();
        self.decoded.blocks += (0..blocks.count()).filter(|number| is_open(*number)).count() as u64;
        if shard.unopened > 0 {
            self.decoded.unopened_blocks += shard.unopened;
            let detail =
                format!("{} of its blocks are as recorded, but do not open", shard.unopened);
            self.monitor.problem(Problem::new(ProblemKind::Damage, &subject, detail));
        }
        match list_in(blocks, &shard.bytes, is_open) {
            Some(items) => {
                self.catalog.compare(&items);
                items.iter().for_each(|item| self.report_not_taken(item));
                self.lists.push_back(items);
            }
            None => {
                let waits = stripe.may_come(&[(index, 0..blocks.payload_bytes())]);
                self.lost(
                    &format!("list of {subject}"),
                    "it cannot be read or reconstructed",
                    waits,
                );
            }
        }
    }

    /// Counts and reports what the packer could not take; of a file that is packed again, once.
    fn report_not_taken(&mut self, item: &Item) {
        let Item::Entry { entry, continued: false } = item else { return };
        let Some((fate, detail)) = not_taken::of(entry) else { return };
        if self.not_taken.as_ref() != Some(&entry.path) {
            self.not_taken = Some(entry.path.clone());
            self.decoded.restored.not_taken += 1;
            self.monitor.problem(Problem::new(fate.kind(), entry.shown(), detail));
        }
    }

    /// Counts and reports a list that is not there; files may be missing that nothing else names.
    fn lost(&mut self, subject: &str, detail: &str, waits: bool) {
        let restored = &mut self.decoded.restored;
        let (count, kind) = if waits {
            (&mut restored.waiting, ProblemKind::Waiting)
        } else {
            (&mut restored.lost, ProblemKind::Lost)
        };
        *count += 1;
        self.monitor.problem(Problem::new(kind, subject, detail));
        self.catalog.give_up();
    }
}

/// Compares the catalog with the lists.
struct Comparison<'a> {
    items: Option<CatalogItems<'a>>,
    next: VecDeque<Item>,
    /// the path of the entry compared last
    path: String,
    agrees: Option<bool>,
    monitor: &'a dyn Monitor,
}

impl<'a> Comparison<'a> {
    fn new(open: &'a OpenSet<'a>, monitor: &'a dyn Monitor) -> Self {
        // Where stripes are missing it cannot be compared with their lists.
        let items = (!open.record_index.gaps).then(|| CatalogItems::open(open, monitor)).flatten();
        Self { items, next: VecDeque::new(), path: String::new(), agrees: None, monitor }
    }

    fn give_up(&mut self) {
        self.items = None;
    }

    /// Entries are repeated where a list or a frame begins within a file.
    fn is_repeated(item: &Item) -> bool {
        matches!(item, Item::Entry { continued: true, .. })
    }

    fn next(&mut self) -> Option<Item> {
        let items = self.items.as_mut()?;
        loop {
            match self.next.pop_front() {
                Some(item) if Self::is_repeated(&item) => {}
                Some(item) => return Some(item),
                None => self.next.extend(items.next_list()?),
            }
        }
    }

    fn compare(&mut self, list: &[Item]) {
        for item in list.iter().filter(|item| !Self::is_repeated(item)) {
            if self.items.is_none() {
                return;
            }
            if let Item::Entry { entry, .. } = item {
                self.path = entry.shown();
            }
            if self.next().as_ref() != Some(item) {
                self.differ("it does not say what the lists in the shards say");
            }
        }
    }

    fn differ(&mut self, detail: &str) {
        // A frame that cannot be read was reported already.
        let damaged = self.items.take().is_none_or(|items| items.is_damaged());
        self.agrees = Some(false);
        if !damaged {
            let subject = format!("catalog: at {}", self.path);
            self.monitor.problem(Problem::new(ProblemKind::Damage, subject, detail));
        }
    }

    /// The lists are at their end.
    fn end(&mut self) {
        if self.items.is_none() {
            return;
        }
        let more = self.next().is_some();
        if more || self.items.as_ref().is_some_and(CatalogItems::is_damaged) {
            self.differ("it says more than the lists in the shards");
        } else {
            self.agrees = Some(true);
        }
    }
}
