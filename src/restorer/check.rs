//! Decoding a whole set to nowhere, to show that everything in it can be had.
//!
//! - Enters: a set's drives, records and keys.
//! - Leaves: counts, and a problem for all that cannot be had or does not agree.
//! - Always holds: (1) beyond what a restore opens, every block of every data shard is opened, its
//!   padding too; (2) the entries come from the shards' own lists, and the catalog is held against
//!   them item by item, so both are read whole; (3) memory: that of a restore, and the data shards
//!   of one stripe.

use super::items::{CatalogItems, Items, list_in};
use super::output::Output;
use super::{OpenSet, RestoreError, RestoreOptions, Restored, pass};
use crate::format::ids::{Slot, StripeId};
use crate::format::list::Item;
use crate::keys::run::StripeShape;
use crate::memory::Memory;
use crate::monitor::{Monitor, Phase, Problem, ProblemKind};
use crate::sets::book::BookReader;
use crate::sets::fetch::Fetcher;
use crate::sets::stripe::{Request, Stripe};
use crate::stages::seal::Cipher;
use rayon::prelude::*;
use std::collections::VecDeque;

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Decoded {
    /// what a restore would have brought
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

/// Decodes all of a set.
pub fn check(
    open: &OpenSet,
    memory: Memory,
    monitor: &dyn Monitor,
) -> Result<Decoded, RestoreError> {
    let mut catalog = Comparison::new(open, monitor);
    let total = catalog.items.as_mut().map_or(0, |items| items.data_bytes(open));
    monitor.phase(Phase::Decode, total);
    for d in &open.set.drives {
        let name = format!("{} {}", d.label.case, d.drive.name());
        monitor.drive(d.label.slot.0 as usize, &name, 0);
    }
    let mut restored = Restored::default();
    let stripes = open.book.stripes().iter().copied().collect();
    let mut items = WholeItems {
        open,
        monitor,
        stripes,
        reader: open.book.reader(),
        lists: VecDeque::new(),
        catalog,
        decoded: Decoded::default(),
    };
    let options = RestoreOptions { memory, ..RestoreOptions::default() };
    pass(open, &mut items, Output::Nowhere, options, &mut restored, monitor)?;
    let mut decoded = items.decoded;
    decoded.restored.add(&restored);
    decoded.catalog_agrees = items.catalog.agrees;
    Ok(decoded)
}

/// The lists of all data shards, of which every block is opened on the way.
struct WholeItems<'a> {
    open: &'a OpenSet<'a>,
    monitor: &'a dyn Monitor,
    stripes: VecDeque<StripeId>,
    reader: BookReader<'a>,
    lists: VecDeque<Vec<Item>>,
    catalog: Comparison<'a>,
    decoded: Decoded,
}

impl Items for WholeItems<'_> {
    fn next_list(&mut self) -> Option<Vec<Item>> {
        while self.lists.is_empty() {
            let Some(id) = self.stripes.pop_front() else {
                self.catalog.end();
                return None;
            };
            self.read_stripe(id);
        }
        self.lists.pop_front()
    }
}

impl WholeItems<'_> {
    fn read_stripe(&mut self, id: StripeId) {
        let Some(record) = self.reader.find(id) else {
            let subject = format!("stripe {id}");
            let detail = "its record can no longer be read";
            return self.lost(&subject, detail, false);
        };
        let monitor = self.monitor;
        let progress = |slot: Slot, bytes: u64| monitor.drive_advance(slot.0 as usize, bytes);
        let fetcher = Fetcher::new(self.open.set, self.open.book, &progress);
        let shards = (0..record.k).map(|index| (index, 0..record.blocks.count())).collect();
        let stripe = fetcher.complete(fetcher.read(Request { record, shards }));
        for index in 0..stripe.request.record.k {
            self.read_shard(&stripe, index);
        }
    }

    /// Opens every block of a data shard and decodes its list.
    fn read_shard(&mut self, stripe: &Stripe, index: u8) {
        let record = &stripe.request.record;
        let subject = format!("shard {}-{index:02x}", record.id);
        let Some(key) = self.open.keys.get(&record.id.run) else {
            return self.lost(&subject, "the key of its run is not at hand", false);
        };
        let salt = record.shards[index as usize].salt;
        let cipher = Cipher::new(key.shard_key(&salt, &StripeShape::from(&**record), index));
        let mut plain = vec![0; record.blocks.payload_bytes()];
        let mut pieces = Vec::with_capacity(record.blocks.count());
        let mut rest = &mut plain[..];
        for number in 0..record.blocks.count() {
            let (piece, after) = rest.split_at_mut(record.blocks.payload_range(number).len());
            pieces.push((number, piece));
            rest = after;
        }
        let opened: Vec<Option<bool>> = pieces
            .into_par_iter()
            .map(|(number, out)| {
                stripe.block(index, number).map(|b| cipher.open(number, b, out).is_ok())
            })
            .collect();
        let count = |state: Option<bool>| opened.iter().filter(|o| **o == state).count() as u64;
        self.decoded.blocks += count(Some(true));
        let unopened = count(Some(false));
        if unopened > 0 {
            self.decoded.unopened_blocks += unopened;
            let detail = format!("{unopened} of its blocks are as recorded, but do not open");
            self.monitor.problem(Problem::new(ProblemKind::Damage, &subject, detail));
        }
        let is_open = |number: usize| opened[number] == Some(true);
        match list_in(record.blocks, &plain, is_open) {
            Some(items) => {
                self.catalog.compare(&items);
                self.lists.push_back(items);
            }
            None => self.lost(&format!("list of {subject}"), "it cannot be had", stripe.waits),
        }
    }

    /// Counts and tells a list that is not there; files may be missing that nothing else names.
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

/// Holds the catalog against the lists.
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
        let items = CatalogItems::open(open, monitor);
        Self { items, next: VecDeque::new(), path: String::new(), agrees: None, monitor }
    }

    fn give_up(&mut self) {
        self.items = None;
    }

    /// Entries are said once more where a list or a frame begins within a file.
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
        // A frame that cannot be read was told already.
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
