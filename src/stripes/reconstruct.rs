//! Reconstruction of bad blocks that their own stripe cannot give, by both codes in turn.
//!
//! - Enters: a stripe's record and the numbers of its bad blocks.
//! - Leaves: those that could be had, each as its record says.
//! - Always holds: every block is hashed against its record before it leaves or serves another.
//!
//! The drives are read twice: once to learn which blocks are good, which is all that is kept of
//! them, and again for those that the steps need; mostly from the page cache.

use super::peel::{self, Node, PeelStep};
use super::request::ShardBlocks;
use super::shard_reader::ShardReader;
use crate::format::record::{StripeKind, StripeRecord};
use crate::stages::hash::block_hash;
use crate::stages::parity::add_to;
use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::Arc;

/// Blocks by index in the stripe and number.
pub(super) type ReconstructedBlocks = BTreeMap<(u8, usize), Vec<u8>>;

/// Which blocks are good, as far as they were looked at.
struct KnownGood<'f, 'a> {
    shards: &'f ShardReader<'a>,
    /// columns that will be asked for
    columns: Range<usize>,
    good: HashMap<Node, Vec<bool>>,
}

impl KnownGood<'_, '_> {
    /// Reads all columns of a shard when the first is asked for: drives like long reads.
    fn is_good(&mut self, record: &Arc<StripeRecord>, node: Node, column: usize) -> bool {
        let end = self.columns.end.min(record.blocks.count());
        let range = self.columns.start.min(end)..end;
        let shards = self.shards;
        let good = self.good.entry(node).or_insert_with(|| {
            let read = shards.read_every_block(record, node.index, &range);
            range.clone().map(|number| read.as_ref().is_some_and(|b| b.is_good(number))).collect()
        });
        good.get(column - range.start).is_some_and(|good| *good)
    }
}

/// Reconstructs what it can of the `bad` blocks of a stripe, by index and number.
pub(super) fn reconstruct(
    shards: &ShardReader,
    record: &StripeRecord,
    bad: &[(u8, usize)],
) -> ReconstructedBlocks {
    let mut by_column: BTreeMap<usize, Vec<Node>> = BTreeMap::new();
    for (index, column) in bad {
        let node = Node { stripe: record.id, index: *index };
        by_column.entry(*column).or_default().push(node);
    }
    let (Some((first, _)), Some((last, _))) =
        (by_column.first_key_value(), by_column.last_key_value())
    else {
        return ReconstructedBlocks::new();
    };
    let mut seen = KnownGood { shards, columns: *first..*last + 1, good: HashMap::new() };
    let mut reconstructed = ReconstructedBlocks::new();
    for (column, wanted) in &by_column {
        let is_good = &mut |record: &Arc<_>, node| seen.is_good(record, node, *column);
        let steps = peel::steps(shards.record_index, &shards.records, *column, wanted, is_good);
        let mut given = carry_out(shards, *column, &steps);
        for node in wanted {
            reconstructed.extend(given.remove(node).map(|block| ((node.index, *column), block)));
        }
    }
    reconstructed
}

/// Carries the steps out, as far as the drives still give what they gave before.
fn carry_out(shards: &ShardReader, column: usize, steps: &[PeelStep]) -> HashMap<Node, Vec<u8>> {
    let mut given = HashMap::new();
    for step in steps {
        let blocks = match step.record.kind {
            StripeKind::Along => along(shards, column, step, &given),
            StripeKind::Across => across(shards, column, step, &given),
        };
        let blocks = blocks.unwrap_or_default();
        for (node, block) in step.gives.iter().zip(blocks) {
            if is_as_recorded(shards, *node, column, &block) {
                given.insert(*node, block);
            }
        }
    }
    given
}

fn is_as_recorded(shards: &ShardReader, node: Node, column: usize, block: &[u8]) -> bool {
    shards.records.find(node.stripe).is_some_and(|record| {
        let hash = record.shard_hashes(node.index as usize)[column];
        block_hash(block, column, record.blocks.count()) == hash
    })
}

/// The one bad block of a stripe along: the sum of all others.
fn along(
    shards: &ShardReader,
    column: usize,
    step: &PeelStep,
    given: &HashMap<Node, Vec<u8>>,
) -> Option<Vec<Vec<u8>>> {
    let mut sum = vec![0; step.record.blocks.bytes()];
    for node in step.blocks.iter().filter(|node| !step.gives.contains(node)) {
        if let Some(block) = given.get(node) {
            add_to(&mut sum, block);
            continue;
        }
        let record = shards.records.find(node.stripe)?;
        let read = shards.read_every_block(&record, node.index, &(column..column + 1))?;
        add_to(&mut sum, read.block(column)?);
    }
    Some(vec![sum])
}

/// The bad blocks of a stripe across.
fn across(
    shards: &ShardReader,
    column: usize,
    step: &PeelStep,
    given: &HashMap<Node, Vec<u8>>,
) -> Option<Vec<Vec<u8>>> {
    let record = &step.record;
    let is_bad = |node: &Node| step.gives.contains(node);
    let read = |node: &Node| {
        let is_needed = !is_bad(node) && !given.contains_key(node);
        is_needed
            .then(|| shards.read_every_block(record, node.index, &(column..column + 1)))
            .flatten()
    };
    let read: Vec<_> = step.blocks.iter().map(read).collect();
    let block = |(node, read): (&Node, &'_ Option<_>)| match given.get(node) {
        Some(block) => Some(block.clone()),
        None => read.as_ref().and_then(|read: &ShardBlocks| Some(read.block(column)?.to_vec())),
    };
    let blocks: Vec<Option<Vec<u8>>> = step.blocks.iter().zip(&read).map(block).collect();
    let all: Vec<Option<&[u8]>> = blocks.iter().map(Option::as_deref).collect();
    let wanted: Vec<usize> = step.gives.iter().map(|node| node.index.into()).collect();
    let mut out = vec![vec![0; record.blocks.bytes()]; wanted.len()];
    let mut outs: Vec<&mut [u8]> = out.iter_mut().map(|block| &mut block[..]).collect();
    shards.code(record.k, record.m).reconstruct(&all, &wanted, &mut outs).ok()?;
    Some(out)
}
