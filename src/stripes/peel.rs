//! Which bad blocks can be had from the good ones, across the drives and along them.
//!
//! - Enters: bad blocks of one column, and a way to learn whether another block is good.
//! - Leaves: steps in order, each of which gives blocks from good ones and those of earlier steps.
//! - Always holds: a block that any alternation of the two codes gives is among the steps, unless
//!   more than [`MOST_SUMS`] sums hang together.
//!
//! Both codes work on blocks of one number, so columns do not mix. A stripe across gives its bad
//! blocks if they are at most m; one along if only one of its members and its parity is bad. What
//! one gives, the other can use: this goes on until nothing more changes (the peeling decoder of
//! product codes; Elias, Error-free Coding, 1954).

use crate::format::ids::StripeId;
use crate::format::record::{StripeKind, StripeRecord};
use crate::shipment::RecordIndex;
use crate::shipment::record_reader::Records;
use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

/// The most stripes, of both kinds, that are looked at for some bad blocks.
const MOST_SUMS: usize = 4096;

/// The shard that a block lies in; its number is that of the column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Node {
    pub stripe: StripeId,
    /// the shard's index there
    pub index: u8,
}

/// Says whether a block is good.
pub type IsGood<'a> = &'a mut dyn FnMut(&Arc<StripeRecord>, Node) -> bool;

/// Gives the bad blocks of one stripe.
pub struct PeelStep {
    /// across or along
    pub record: Arc<StripeRecord>,
    /// the blocks that it gives
    pub gives: Vec<Node>,
    /// all its blocks: by index across; along, its members and then its parity
    pub blocks: Vec<Node>,
}

/// A stripe as far as one column goes.
struct ColumnEquation {
    record: Arc<StripeRecord>,
    blocks: Vec<Node>,
    bad: BTreeSet<Node>,
}

impl ColumnEquation {
    /// Bad blocks that it can give at once.
    fn spare(&self) -> usize {
        self.record.m.into()
    }
}

/// The way to as many of the `wanted` blocks of a column as can be had.
pub fn steps(
    record_index: &RecordIndex,
    records: &Records,
    column: usize,
    wanted: &[Node],
    is_good: IsGood,
) -> Vec<PeelStep> {
    let mut sums = reach(record_index, records, column, wanted, is_good);
    let mut left: BTreeSet<Node> = wanted.iter().copied().collect();
    let mut steps = Vec::new();
    while !left.is_empty()
        && let Some(at) =
            sums.iter().position(|sum| !sum.bad.is_empty() && sum.bad.len() <= sum.spare())
    {
        let sum = sums.swap_remove(at);
        for node in &sum.bad {
            left.remove(node);
            for other in &mut sums {
                other.bad.remove(node);
            }
        }
        let gives = sum.bad.into_iter().collect();
        steps.push(PeelStep { record: sum.record, gives, blocks: sum.blocks });
    }
    steps
}

/// Does parity along its own drive give a bad block, with nothing of other drives?
pub fn is_given_along(
    record_index: &RecordIndex,
    records: &Records,
    column: usize,
    node: Node,
    is_good: IsGood,
) -> bool {
    let record = along(record_index, records, node).and_then(|id| records.find(id));
    let sum = record.and_then(|record| sum(records, record, column, &[node], is_good));
    sum.is_some_and(|sum| sum.bad.len() <= sum.spare())
}

/// All stripes that hang together with these blocks by bad ones.
fn reach(
    record_index: &RecordIndex,
    records: &Records,
    column: usize,
    wanted: &[Node],
    is_good: IsGood,
) -> Vec<ColumnEquation> {
    let mut sums: Vec<ColumnEquation> = Vec::new();
    let mut seen: HashSet<StripeId> = HashSet::new();
    let mut bad: Vec<Node> = wanted.to_vec();
    while let Some(node) = bad.pop() {
        for id in [Some(node.stripe), along(record_index, records, node)].into_iter().flatten() {
            if sums.len() == MOST_SUMS || !seen.insert(id) {
                continue;
            }
            let record = records.find(id);
            if let Some(sum) =
                record.and_then(|record| sum(records, record, column, wanted, is_good))
            {
                bad.extend(&sum.bad);
                sums.push(sum);
            }
        }
    }
    sums
}

/// The stripe along in which a shard is a member.
fn along(record_index: &RecordIndex, records: &Records, node: Node) -> Option<StripeId> {
    let record = records.find(node.stripe).filter(|record| record.kind == StripeKind::Across)?;
    let slot = record.shards.get(node.index as usize)?.slot;
    record_index.along(node.stripe, slot)
}

/// A stripe's blocks in a column; none if it can be of no use.
fn sum(
    records: &Records,
    record: Arc<StripeRecord>,
    column: usize,
    wanted: &[Node],
    is_good: IsGood,
) -> Option<ColumnEquation> {
    let own = |index: usize| Node { stripe: record.id, index: index as u8 };
    let (mut blocks, mut bad) = (Vec::new(), BTreeSet::new());
    let own_blocks: Vec<Node> = (0..record.shards.len()).map(own).collect();
    bad.extend(own_blocks.iter().filter(|node| !is_good(&record, **node)));
    if record.kind == StripeKind::Along {
        // Nothing else gives a parity that is bad: without it, the members cannot be had here.
        if bad.iter().any(|node| !wanted.contains(node)) {
            return None;
        }
        for member in &record.members {
            let node = Node { stripe: member.stripe, index: member.index };
            let of_member = records.find(member.stripe)?;
            // A shorter member counts as zeros behind its end; what is no member by its shape makes
            // the stripe useless.
            if node.index as usize >= of_member.shards.len()
                || of_member.kind != StripeKind::Across
                || of_member.blocks.bytes() != record.blocks.bytes()
                || of_member.blocks.count() > record.blocks.count()
            {
                return None;
            }
            if column < of_member.blocks.count() {
                blocks.push(node);
                if !is_good(&of_member, node) {
                    bad.insert(node);
                }
            }
        }
    }
    blocks.extend(own_blocks);
    Some(ColumnEquation { record, blocks, bad })
}
