//! What is wrong with a shard; and blocks that drives could not give while they were here, for when
//! they are not.
//!
//! - Enters: each block that was tried without skipping and is not as recorded, or is at last.
//! - Leaves: which blocks of a shard its drive does not have, whether it is here or not.
//! - Always holds: what a drive gave in the end is not among them; no more than [`MOST_BLOCKS`] are
//!   kept, and of those beyond it is not said that they are bad.

use crate::format::ids::StripeId;
use parking_lot::{Mutex, MutexGuard};
use std::collections::{BTreeMap, BTreeSet};

/// What is wrong with one shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ShardDamage {
    /// there is no such file, or none of it can be read
    Missing,
    /// these blocks do not match the record or cannot be read; ascending
    Blocks(Vec<u32>),
    /// it was not read, since what lies about it could not be: see [`super::reading`]
    Unread,
}

impl ShardDamage {
    /// What is bad in two copies of a shard alike; none if they have every block between them.
    pub fn and(self, other: &Self) -> Option<Self> {
        match (self, other) {
            (Self::Missing | Self::Unread, other) => Some(other.clone()),
            (bad, Self::Missing | Self::Unread) => Some(bad),
            (Self::Blocks(a), Self::Blocks(b)) => {
                let both: Vec<u32> = a.into_iter().filter(|n| b.contains(n)).collect();
                (!both.is_empty()).then_some(Self::Blocks(both))
            }
        }
    }
}

/// Blocks that are kept.
const MOST_BLOCKS: usize = 1 << 20;

/// The numbers of bad blocks, by the names of their shards.
pub type BadBlockNumbers = BTreeMap<String, BTreeSet<u32>>;

/// What was found bad on the drives of a set.
#[derive(Default)]
pub struct BadBlocks(Mutex<(BadBlockNumbers, usize)>);

fn name(stripe: StripeId, index: u8) -> String {
    format!("{stripe}-{index:02x}")
}

impl BadBlocks {
    fn lock(&self) -> MutexGuard<'_, (BadBlockNumbers, usize)> {
        self.0.lock()
    }

    /// Begins with these.
    pub fn begin(&self, blocks: BadBlockNumbers) {
        let count = blocks.values().map(BTreeSet::len).sum();
        *self.lock() = (blocks, count);
    }

    /// All of them.
    pub fn all(&self) -> BadBlockNumbers {
        self.lock().0.clone()
    }

    /// Notes that a block is bad on its drive, or is not.
    pub fn note(&self, stripe: StripeId, index: u8, block: usize, bad: bool) {
        let (blocks, count) = &mut *self.lock();
        let (name, block) = (name(stripe, index), block as u32);
        if bad && *count < MOST_BLOCKS {
            *count += usize::from(blocks.entry(name).or_default().insert(block));
        } else if !bad && blocks.get_mut(&name).is_some_and(|of| of.remove(&block)) {
            *count -= 1;
            blocks.retain(|_, of| !of.is_empty());
        }
    }

    /// Is it known to be bad?
    pub fn has(&self, stripe: StripeId, index: u8, block: usize) -> bool {
        let found = self.lock();
        found.0.get(&name(stripe, index)).is_some_and(|of| of.contains(&(block as u32)))
    }
}
