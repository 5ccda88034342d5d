//! Shards of the drives that are not as they should be, and how each is written.

use crate::check::report::DriveReport;
use crate::format::ids::StripeId;
use crate::format::record::StripeRecord;
use crate::shards::bad_blocks::ShardDamage;
use std::collections::BTreeMap;
use std::ops::Range;

/// One shard that is not as it should be.
#[derive(Clone)]
pub struct DamagedShard {
    /// number of the target
    pub target: usize,
    /// index in the stripe
    pub index: u8,
    /// what is bad; no blocks: it is too long
    pub bad: ShardDamage,
}

/// What is bad, by stripe.
pub type DamagedShards = BTreeMap<StripeId, Vec<DamagedShard>>;

impl DamagedShard {
    /// Bytes that are written to it.
    pub fn bytes(&self, record: &StripeRecord) -> u64 {
        let blocks = match &self.bad {
            ShardDamage::Blocks(blocks) if !blocks.is_empty() => blocks.len(),
            _ => record.blocks.count(),
        };
        (blocks * record.blocks.bytes()) as u64
    }
}

/// What these reports, by target, say is bad.
pub fn damaged_shards(reports: &[DriveReport]) -> DamagedShards {
    let mut damaged = DamagedShards::new();
    for (target, report) in reports.iter().enumerate() {
        let mut bad: BTreeMap<(StripeId, u8), ShardDamage> = BTreeMap::new();
        for (id, index) in &report.long {
            bad.insert((*id, *index), ShardDamage::Blocks(Vec::new()));
        }
        bad.extend(report.bad.iter().map(|b| ((b.stripe, b.index), b.damage.clone())));
        for ((id, index), bad) in bad {
            damaged.entry(id).or_default().push(DamagedShard { target, index, bad });
        }
    }
    damaged
}

/// How a shard is written.
pub enum Rewrite {
    Whole,
    Blocks(Vec<u32>),
}

impl Rewrite {
    /// The blocks that it takes, from the first to the last.
    pub fn range(&self, record: &StripeRecord) -> Range<usize> {
        match self {
            Self::Whole => 0..record.blocks.count(),
            Self::Blocks(blocks) => {
                let first = blocks.first().copied().unwrap_or(0) as usize;
                first..blocks.last().map_or(first + 1, |last| *last as usize + 1)
            }
        }
    }
}
