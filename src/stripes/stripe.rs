//! A stripe in memory: the blocks that were read of it, checked and reconstructed column by column.
//!
//! - Enters: a request, and runs of blocks as the drives gave them.
//! - Leaves: the wanted blocks that are as recorded, each handed on while it is hot in the cache.
//! - Always holds: (1) no block counts as good before its hash is as recorded, read or
//!   reconstructed; (2) a column is worked on by one thread from its check to its last
//!   reconstructed block.

use super::budget::HeldBytes;
use crate::drives::buffer::{Pool, Pooled};
use crate::format::record::StripeRecord;
use crate::stages::hash::block_hash;
use crate::stages::parity::Code;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

/// Which blocks of a stripe are wanted: of each of these data shards, a run.
#[derive(Clone)]
pub struct Request {
    pub record: Arc<StripeRecord>,
    /// data shards, and the blocks of each
    pub shards: BTreeMap<u8, Range<usize>>,
}

impl Request {
    /// What to read of the shards that are here: the wanted ones, and where some of those are not,
    /// as much of others as it takes to reconstruct them, or to tell whether they can ever be.
    /// Of the latter `good` are of use.
    pub(super) fn of_those_here(
        &self,
        here: &BTreeSet<u8>,
        good: usize,
    ) -> BTreeMap<u8, Range<usize>> {
        let is_here = |index: u8| here.contains(&index);
        let (here, missing): (Vec<_>, Vec<_>) =
            self.shards.iter().partition(|(index, _)| is_here(**index));
        let mut read: BTreeMap<u8, Range<usize>> =
            here.into_iter().map(|(index, range)| (*index, range.clone())).collect();
        let Some(range) = missing.into_iter().map(|(_, range)| range.clone()).reduce(hull) else {
            return read;
        };
        let others: Vec<u8> = (0..self.record.shards.len() as u8)
            .filter(|index| is_here(*index) && !read.contains_key(index))
            .collect();
        let sources: Vec<u8> = read.keys().copied().chain(others).collect();
        for index in sources.into_iter().take(good) {
            let own = read.get(&index).cloned().unwrap_or(range.clone());
            read.insert(index, hull(own, range.clone()));
        }
        read
    }

    /// How many good blocks of a column are of use where a wanted one is not here: k reconstruct
    /// it; if so many are not here, as many as those that are not could complete.
    pub(super) fn good_wanted(&self, here: usize) -> usize {
        let (k, all) = (self.record.k as usize, self.record.shards.len());
        if here >= k { k } else { k.saturating_sub(all - here) }
    }

    /// Shards to read because there is no having all wanted ones: as many as it takes, with what is
    /// had of each, to reconstruct; none if there are not so many.
    fn substitutes(
        &self,
        tried: &BTreeSet<u8>,
        had: &dyn Fn(u8) -> Option<Range<usize>>,
    ) -> Vec<(u8, Range<usize>)> {
        let missing = self.shards.iter().filter(|(index, _)| had(**index).is_none());
        let range = missing.map(|(_, r)| r.clone()).reduce(hull);
        let Some(range) = range else { return Vec::new() };
        let all = 0..self.record.shards.len() as u8;
        let covers =
            |index: &u8| had(*index).is_some_and(|r| r.start <= range.start && r.end >= range.end);
        let have = all.clone().filter(covers).count();
        let missing_count = (self.record.k as usize).saturating_sub(have);
        let untried: Vec<u8> = all.filter(|i| !tried.contains(i)).collect();
        let enough = untried.get(..missing_count).unwrap_or_default();
        enough.iter().map(|i| (*i, range.clone())).collect()
    }
}

/// The run that reaches over both.
fn hull(a: Range<usize>, b: Range<usize>) -> Range<usize> {
    a.start.min(b.start)..a.end.max(b.end)
}

/// A run of one shard's blocks.
pub(super) struct ShardBlocks {
    pub first: usize,
    pub bytes: Pooled,
    /// read, and (after the check) as recorded or reconstructed
    pub good: Vec<bool>,
}

impl ShardBlocks {
    pub fn empty(range: &Range<usize>, block_bytes: usize, pool: &Pool) -> Self {
        let bytes = pool.take(range.len() * block_bytes);
        Self { first: range.start, bytes, good: vec![false; range.len()] }
    }

    /// Was it read, and is it as recorded?
    pub fn is_good(&self, number: usize) -> bool {
        number.checked_sub(self.first).and_then(|at| self.good.get(at)).is_some_and(|good| *good)
    }

    /// A good block.
    pub fn block(&self, number: usize) -> Option<&[u8]> {
        let block_bytes = self.bytes.len() / self.good.len().max(1);
        let at = number.checked_sub(self.first)? * block_bytes;
        self.bytes.get(at..at + block_bytes).filter(|_| self.is_good(number))
    }

    fn range(&self) -> Range<usize> {
        self.first..self.first + self.good.len()
    }

    /// Marks as bad what does not match the record.
    pub fn check(&mut self, record: &StripeRecord, index: u8) {
        let (hashes, count) = (record.shard_hashes(index as usize), record.blocks.count());
        let blocks = self.bytes.par_chunks_exact(record.blocks.bytes());
        self.good.par_iter_mut().zip(blocks).zip(&hashes[self.first..]).enumerate().for_each(
            |(at, ((good, block), hash))| {
                *good = *good && block_hash(block, self.first + at, count) == *hash;
            },
        );
    }
}

/// Takes a sound block: index of its shard, its number, its bytes. It may be given one twice.
pub type Sound<'s> = &'s (dyn Fn(u8, usize, &[u8]) + Sync);

/// A block in its column.
struct Cell<'b> {
    index: u8,
    bytes: &'b mut [u8],
    good: &'b mut bool,
}

/// What is done with the columns of a stripe.
#[derive(Clone, Copy)]
pub(super) struct ColumnWork<'w> {
    /// the blocks are not checked yet
    pub check: bool,
    /// what is bad is reconstructed by this, where there is enough
    pub code: Option<&'w Code>,
    /// hears of the good blocks
    pub sound: Sound<'w>,
    /// whether a shard's drive is here, so that it is damage if a block has to be reconstructed
    pub on_drive: &'w (dyn Fn(u8) -> bool + Sync),
}

/// How many blocks were reconstructed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Reconstructed {
    /// all of them
    #[serde(rename = "rebuilt_blocks")]
    pub all: u64,
    /// of drives that are here: what they gave, if anything, was not as recorded
    #[serde(rename = "damaged_blocks")]
    pub damaged: u64,
}

impl Reconstructed {
    /// One more.
    pub(super) fn count(&mut self, is_damage: bool) {
        self.all += 1;
        self.damaged += u64::from(is_damage);
    }

    /// Adds those of other blocks.
    pub fn add(&mut self, other: Self) {
        self.all += other.all;
        self.damaged += other.damaged;
    }

    fn sum(mut self, other: Self) -> Self {
        self.add(other);
        self
    }
}

/// What was read for a request.
pub struct RawStripe {
    request: Request,
    pub(super) shards: BTreeMap<u8, ShardBlocks>,
    /// what it takes of a budget
    pub(super) held: Option<HeldBytes>,
}

impl RawStripe {
    /// Nothing is read yet.
    pub(super) fn of(request: Request) -> Self {
        Self { request, shards: BTreeMap::new(), held: None }
    }

    pub fn request(&self) -> &Request {
        &self.request
    }

    /// Shards to read: the wanted ones, and then others because some could not be read at all.
    pub(super) fn untried(&self, tried: &BTreeSet<u8>) -> Vec<(u8, Range<usize>)> {
        let wanted = self.request.shards.iter().filter(|(index, _)| !tried.contains(index));
        let wanted: Vec<_> = wanted.map(|(index, range)| (*index, range.clone())).collect();
        if !wanted.is_empty() {
            return wanted;
        }
        self.request.substitutes(tried, &|index| self.shards.get(&index).map(ShardBlocks::range))
    }

    /// Makes room for the wanted shards of which nothing could be read.
    pub(super) fn make_room(&mut self, pool: &Pool) {
        let block_bytes = self.request.record.blocks.bytes();
        for (index, range) in &self.request.shards {
            let empty = || ShardBlocks::empty(range, block_bytes, pool);
            self.shards.entry(*index).or_insert_with(empty);
        }
    }

    /// Checks and reconstructs, each column by itself; says how many blocks were reconstructed.
    pub(super) fn work(&mut self, work: &ColumnWork) -> Reconstructed {
        let block_bytes = self.request.record.blocks.bytes();
        let mut columns: BTreeMap<usize, Vec<Cell>> = BTreeMap::new();
        for (index, shard) in &mut self.shards {
            let blocks = shard.bytes.chunks_exact_mut(block_bytes).zip(&mut shard.good);
            for (column, (bytes, good)) in (shard.first..).zip(blocks) {
                columns.entry(column).or_default().push(Cell { index: *index, bytes, good });
            }
        }
        let columns: Vec<_> = columns.into_iter().collect();
        let request = &self.request;
        let of = columns.into_par_iter().map(|(column, cells)| work.column(request, column, cells));
        of.reduce(Reconstructed::default, Reconstructed::sum)
    }

    /// Was it read, or tried?
    pub(super) fn is_tried(&self, index: u8, column: usize) -> bool {
        self.shards.get(&index).is_some_and(|shard| shard.range().contains(&column))
    }

    /// Was it read, or tried, and is not as recorded?
    pub(super) fn is_bad(&self, index: u8, column: usize) -> bool {
        self.is_tried(index, column) && !self.is_good(index, column)
    }

    /// Was it read, and is it as recorded, or reconstructed?
    pub(super) fn is_good(&self, index: u8, column: usize) -> bool {
        self.shards.get(&index).is_some_and(|shard| shard.is_good(column))
    }

    pub(super) fn good_in(&self, column: usize) -> usize {
        self.shards.values().filter(|s| s.is_good(column)).count()
    }

    /// The wanted blocks that are bad, by index and number.
    pub(super) fn bad_blocks(&self) -> Vec<(u8, usize)> {
        let mut bad = Vec::new();
        for (index, range) in &self.request.shards {
            let shard = self.shards.get(index);
            let columns = range.clone().filter(|c| !shard.is_some_and(|s| s.is_good(*c)));
            bad.extend(columns.map(|column| (*index, column)));
        }
        bad
    }

    /// Columns in which a wanted block is bad; ascending.
    pub(super) fn bad_columns(&self) -> Vec<usize> {
        let columns: BTreeSet<usize> = self.bad_blocks().into_iter().map(|(_, c)| c).collect();
        columns.into_iter().collect()
    }

    /// Takes a wanted block that was reconstructed if it matches its record.
    pub(super) fn put(&mut self, index: u8, column: usize, block: &[u8]) -> bool {
        let record = &self.request.record;
        let hash = record.shard_hashes(index as usize)[column];
        let Some(shard) = self.shards.get_mut(&index) else { return false };
        if block.len() != record.blocks.bytes()
            || block_hash(block, column, record.blocks.count()) != hash
        {
            return false;
        }
        let at = column - shard.first;
        shard.bytes[at * block.len()..(at + 1) * block.len()].copy_from_slice(block);
        shard.good[at] = true;
        true
    }

    /// It is as whole as it will be.
    pub(super) fn end(self, reconstructed: Reconstructed, missing: MissingBlocks) -> Stripe {
        let Self { request, shards, held } = self;
        Stripe { request, shards, reconstructed, missing, as_read: Vec::new(), _held: held }
    }

    /// The shards of which every block is good.
    pub(super) fn whole(&self) -> Vec<u8> {
        let count = self.request.record.blocks.count();
        let whole =
            |shard: &ShardBlocks| shard.range() == (0..count) && !shard.good.contains(&false);
        self.shards.iter().filter(|(_, shard)| whole(shard)).map(|(index, _)| *index).collect()
    }
}

impl ColumnWork<'_> {
    /// Does a column; says how many of its blocks were reconstructed.
    fn column(&self, request: &Request, column: usize, mut cells: Vec<Cell>) -> Reconstructed {
        let record = &request.record;
        let is_sound = |cell: &Cell| {
            let hash = record.shard_hashes(cell.index as usize)[column];
            block_hash(cell.bytes, column, record.blocks.count()) == hash
        };
        if self.check {
            for cell in &mut cells {
                *cell.good = *cell.good && is_sound(cell);
                if *cell.good {
                    (self.sound)(cell.index, column, cell.bytes);
                }
            }
        }
        let mut reconstructed = Reconstructed::default();
        let Some(code) = self.code else { return reconstructed };
        let is_wanted = |cell: &Cell| {
            request.shards.get(&cell.index).is_some_and(|range| range.contains(&column))
        };
        let (good, mut bad_cells): (Vec<Cell>, Vec<Cell>) =
            cells.into_iter().partition(|c| *c.good);
        bad_cells.retain(is_wanted);
        let mut all: Vec<Option<&[u8]>> = vec![None; record.shards.len()];
        for cell in &good {
            all[cell.index as usize] = Some(&*cell.bytes);
        }
        let bad: Vec<usize> = bad_cells.iter().map(|cell| cell.index.into()).collect();
        let mut outs: Vec<&mut [u8]> = bad_cells.iter_mut().map(|cell| &mut *cell.bytes).collect();
        if bad.is_empty() || code.reconstruct(&all, &bad, &mut outs).is_err() {
            return reconstructed;
        }
        for cell in bad_cells {
            *cell.good = is_sound(&cell);
            if *cell.good {
                (self.sound)(cell.index, column, cell.bytes);
                reconstructed.count((self.on_drive)(cell.index));
            }
        }
        reconstructed
    }
}

/// The wanted blocks of a stripe that are missing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MissingBlocks {
    /// who can give the columns of those blocks that drives which are not here would give, each
    /// case once
    pub needed: Vec<NeededShards>,
    /// index and number of the blocks that they would not give
    pub lost: Vec<(u8, usize)>,
}

/// The shards that a column needs: any k of these slots.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct NeededShards {
    /// so many give it
    pub k: u8,
    /// those that have a good block of it, and those that are not here
    pub sound: Vec<u16>,
    /// those of them whose shard is kept
    pub kept: Vec<u16>,
}

/// Blocks of the wanted shards that match their records.
pub struct Stripe {
    /// what was asked for
    pub request: Request,
    shards: BTreeMap<u8, ShardBlocks>,
    /// blocks that had to be reconstructed
    pub reconstructed: Reconstructed,
    pub missing: MissingBlocks,
    /// shards, wanted or not, of which every block is as the one drive of its slot gave it; none
    /// where something that was read was not as recorded
    pub as_read: Vec<u8>,
    _held: Option<HeldBytes>,
}

impl Stripe {
    /// Would drives that are not here give all that is missing?
    pub fn waits(&self) -> bool {
        !self.missing.needed.is_empty() && self.missing.lost.is_empty()
    }

    /// A block of a wanted shard, if it could be had.
    pub fn block(&self, shard: u8, number: usize) -> Option<&[u8]> {
        self.shards.get(&shard)?.block(number)
    }
}
