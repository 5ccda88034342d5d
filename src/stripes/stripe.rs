//! A stripe in memory: the blocks that were read of it, checked and reconstructed column by column.
//!
//! - Enters: a request, and runs of blocks as the drives gave them.
//! - Leaves: the wanted blocks that are as recorded, each handed on while it is hot in the cache.
//! - Always holds: (1) no block counts as good before its hash is as recorded, read or
//!   reconstructed; (2) a column is worked on by one thread from its check to its last
//!   reconstructed block.

use super::budget::HeldBytes;
use super::carried::{Carry, RequestBlocks};
use super::request::{Request, ShardBlocks, hull};
use crate::drives::buffer::Pool;
use crate::format::record::StripeRecord;
use crate::stages::hash::block_hash;
use crate::stages::parity::Code;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// Takes a sound block: index of its shard, its number, its bytes. It may be given one twice.
pub type Sound<'s> = &'s (dyn Fn(u8, usize, &[u8]) + Sync);

/// A block in its column.
struct Cell<'b> {
    index: u8,
    bytes: &'b mut [u8],
    good: &'b mut bool,
    known: bool,
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
    /// what it takes from requests before it, and leaves to those after it
    pub(super) carry: Option<Carry>,
}

impl RawStripe {
    /// Nothing is read yet.
    pub(super) fn of(request: Request) -> Self {
        Self { request, shards: BTreeMap::new(), held: None, carry: None }
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
        let more = self.carry.as_ref().map(|carry| &carry.more);
        for (index, more) in more.into_iter().flatten() {
            let wanted = self.request.shards.get(index).cloned().unwrap_or(more.clone());
            let empty = || ShardBlocks::empty(&hull(wanted, more.clone()), block_bytes, pool);
            self.shards.entry(*index).or_insert_with(empty);
        }
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
            let states = shard.good.iter_mut().zip(&shard.known);
            let blocks = shard.bytes.chunks_exact_mut(block_bytes).zip(states);
            for (column, (bytes, (good, known))) in (shard.first..).zip(blocks) {
                let cell = Cell { index: *index, bytes, good, known: *known };
                columns.entry(column).or_default().push(cell);
            }
        }
        let columns: Vec<_> = columns.into_iter().collect();
        let (request, carry) = (&self.request, self.carry.as_ref());
        let is_wanted = |index: u8, column: usize| {
            let runs = [request.shards.get(&index), carry.and_then(|of| of.more.get(&index))];
            runs.into_iter().flatten().any(|range| range.contains(&column))
        };
        let column = |(column, cells)| work.column(&request.record, column, cells, &is_wanted);
        let of = columns.into_par_iter().map(column);
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
        let Self { request, shards, held, carry } = self;
        let carry = carry.map(|carry| (carry, request.clone()));
        let blocks = RequestBlocks { shards, carry };
        Stripe { request, blocks, reconstructed, missing, as_read: Vec::new(), _held: held }
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
    fn column(
        &self,
        record: &StripeRecord,
        column: usize,
        mut cells: Vec<Cell>,
        is_wanted: &(dyn Fn(u8, usize) -> bool + Sync),
    ) -> Reconstructed {
        let is_sound = |cell: &Cell| {
            let hash = record.shard_hashes(cell.index as usize)[column];
            block_hash(cell.bytes, column, record.blocks.count()) == hash
        };
        if self.check {
            for cell in &mut cells {
                *cell.good = *cell.good && (cell.known || is_sound(cell));
                if *cell.good {
                    (self.sound)(cell.index, column, cell.bytes);
                }
            }
        }
        let mut reconstructed = Reconstructed::default();
        let Some(code) = self.code else { return reconstructed };
        let (good, mut bad_cells): (Vec<Cell>, Vec<Cell>) =
            cells.into_iter().partition(|c| *c.good);
        bad_cells.retain(|cell| is_wanted(cell.index, column));
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
    blocks: RequestBlocks,
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
        self.blocks.shards.get(&shard)?.block(number)
    }
}
