//! Which blocks of a stripe are asked for, and the runs of blocks that are read for that.
//!
//! - Enters: a record, and of each of some shards a run of blocks.
//! - Leaves: what to read of the shards that are here; what was read, checked.
//! - Always holds: a block counts as good only once it was read.

use crate::drives::buffer::{Pool, Pooled};
use crate::format::record::StripeRecord;
use crate::stages::hash::block_hash;
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

/// Runs of blocks, by shard.
pub(super) type ShardRanges = BTreeMap<u8, Range<usize>>;

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
    pub(super) fn of_those_here(&self, here: &BTreeSet<u8>, good: usize) -> ShardRanges {
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
    pub(super) fn substitutes(
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
pub(super) fn hull(a: Range<usize>, b: Range<usize>) -> Range<usize> {
    a.start.min(b.start)..a.end.max(b.end)
}

/// A run of one shard's blocks.
pub(super) struct ShardBlocks {
    pub first: usize,
    pub bytes: Pooled,
    /// read, and (after the check) as recorded or reconstructed
    pub good: Vec<bool>,
    /// found to be as recorded before
    pub known: Vec<bool>,
}

impl ShardBlocks {
    pub fn empty(range: &Range<usize>, block_bytes: usize, pool: &Pool) -> Self {
        let bytes = pool.take(range.len() * block_bytes);
        let (good, known) = (vec![false; range.len()], vec![false; range.len()]);
        Self { first: range.start, bytes, good, known }
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

    pub fn range(&self) -> Range<usize> {
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
