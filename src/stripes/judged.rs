//! What is known of stripes that cannot be reconstructed yet, so that a run learns it once.
//!
//! - Enters: which shards of a stripe are kept; of each column that was looked at, the good blocks.
//! - Leaves: the same.
//! - Always holds: a bounded number of columns is known at once; what went is learned again.

use crate::format::ids::StripeId;
use parking_lot::{Mutex, MutexGuard};
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

/// Columns, and stripes, that are known at once.
const MOST_KNOWN: usize = 1 << 16;

/// A bit for each shard of a stripe.
type Bits = [u64; 4];

#[derive(Default)]
struct KnownStripes {
    kept: HashMap<StripeId, Arc<BTreeSet<u8>>>,
    good: HashMap<(StripeId, usize), Bits>,
    /// the columns, the oldest first
    order: VecDeque<(StripeId, usize)>,
}

/// What is known of the stripes of a set.
#[derive(Default)]
pub(super) struct JudgedBlocks(Mutex<KnownStripes>);

impl JudgedBlocks {
    fn lock(&self) -> MutexGuard<'_, KnownStripes> {
        self.0.lock()
    }

    /// The shards of a stripe that are kept, which `find` finds unless it is known.
    pub fn kept(&self, stripe: StripeId, find: impl FnOnce() -> BTreeSet<u8>) -> Arc<BTreeSet<u8>> {
        if let Some(kept) = self.lock().kept.get(&stripe) {
            return kept.clone();
        }
        let found = Arc::new(find());
        let mut known = self.lock();
        if known.kept.len() >= MOST_KNOWN {
            known.kept.clear();
        }
        known.kept.insert(stripe, found.clone());
        found
    }

    /// In this column these blocks of all that are here are good.
    pub fn learn(&self, stripe: StripeId, column: usize, good: &[u8]) {
        let mut bits = Bits::default();
        good.iter().for_each(|index| bits[*index as usize / 64] |= 1 << (index % 64));
        let known = &mut *self.lock();
        if known.good.insert((stripe, column), bits).is_none() {
            known.order.push_back((stripe, column));
        }
        if known.order.len() > MOST_KNOWN
            && let Some(oldest) = known.order.pop_front()
        {
            known.good.remove(&oldest);
        }
    }

    /// Is a block good, if its column is known?
    pub fn is_good(&self, stripe: StripeId, index: u8, column: usize) -> Option<bool> {
        let known = self.lock();
        let bits = known.good.get(&(stripe, column))?;
        Some(bits[index as usize / 64] >> (index % 64) & 1 == 1)
    }
}
