//! The damaged shards of a set: stripes are repaired in order, several at a time, and read back.
//!
//! - Enters: what is damaged, by stripe.
//! - Leaves: what was written, what could not be had, and what does not read back as it was
//!   written.
//! - Always holds: (1) parity along a drive is had from its members, once these are whole; (2) at
//!   most [`WORKERS`] stripes are in memory, fewer if memory is little.

use super::damaged::{DamagedShard, DamagedShards};
use super::stripe::{RepairedShards, StripeRepair, WrittenShard, place};
use super::target::RepairTarget;
use crate::drives::buffer::Buffer;
use crate::drives::{self, ReadMode};
use crate::format::ids::{StripeId, StripeNumber};
use crate::format::record::StripeRecord;
use crate::memory::Memory;
use crate::monitor::Monitor;
use crate::shards::bad_blocks::ShardDamage;
use crate::shards::shard::{RecordedShard, StoredShard};
use crate::shipment::record_reader::RecordReader;
use crate::shipment::{FoundSet, RecordIndex};
use crate::stripes::fetch::Fetcher;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;

/// Stripes that are worked on at the same time.
const WORKERS: usize = 3;

/// Repairs shards of one set.
pub struct Shards<'a> {
    pub set: &'a FoundSet,
    pub record_index: &'a RecordIndex,
    /// its drives
    pub targets: &'a [RepairTarget<'a>],
    /// what it may take
    pub memory: Memory,
    pub monitor: &'a dyn Monitor,
}

/// The stripes that are still to be done, and their records.
struct Queue<'a> {
    stripes: VecDeque<(StripeId, &'a [DamagedShard])>,
    reader: RecordReader<'a>,
}

impl Shards<'_> {
    /// Bytes that will be written, to each target.
    pub fn bytes(&self, damaged: &DamagedShards) -> Vec<u64> {
        let mut bytes = vec![0; self.targets.len()];
        self.record_index.walk(self.monitor, |record| {
            for shard in damaged.get(&record.id).into_iter().flatten() {
                bytes[shard.target] += shard.bytes(record);
            }
            true
        });
        bytes
    }

    /// Repairs what can be repaired. Not yet read back.
    pub fn repair(&self, damaged: &DamagedShards) -> RepairedShards {
        let mut stripes: Vec<(StripeId, &[DamagedShard])> =
            damaged.iter().map(|(id, damaged)| (*id, &damaged[..])).collect();
        // Parity along a drive is had from its members, once these are whole.
        stripes.sort_by_key(|(id, _)| id.number.0 >= StripeNumber::FIRST_ALONG);
        let reader = RecordReader::new(self.record_index);
        let queue = Mutex::new(Queue { stripes: stripes.into(), reader });
        let workers = self.workers(damaged);
        let stripes = StripeRepair {
            set: self.set,
            targets: self.targets,
            memory: self.memory,
            monitor: self.monitor,
            fetcher: &Fetcher::new(self.set, self.record_index, &|_, _| ()),
            bytes: self.memory.for_shards() / workers as u64,
            reading: Mutex::default(),
            repaired: Mutex::default(),
        };
        drives::on_each(workers, |_| {
            loop {
                let Some(Next { stripe, damaged, record }) = next(&queue) else { return };
                if self.monitor.should_stop() {
                    stripes.repaired.lock().stopped = true;
                    return;
                }
                match record {
                    Some(record) => stripes.repair(&record, damaged),
                    // Its record was there a moment ago.
                    None => drop(stripes.repaired.lock().beyond.insert(stripe)),
                }
            }
        });
        let mut repaired = stripes.repaired.into_inner();
        repaired.written.sort_unstable();
        repaired
    }

    /// As many as memory allows, where a stripe and the shard that is written take theirs.
    fn workers(&self, damaged: &DamagedShards) -> usize {
        let mut reader = RecordReader::new(self.record_index);
        let first = damaged.keys().find_map(|id| reader.find(*id));
        let stripe = first.map_or(1, |r| (r.shards.len() + 1) * r.blocks.file_bytes()) as u64;
        let most = (self.memory.for_shards() / stripe).min(WORKERS as u64) as usize;
        most.min(damaged.len()).max(1)
    }

    /// Reads back from the medium what was written; what is not as it should be is left to be
    /// written whole.
    pub fn read_back(&self, repaired: &RepairedShards) -> DamagedShards {
        let failed = drives::on_each(self.targets.len(), |number| {
            let target = &self.targets[number];
            let written = repaired.written.iter().filter(|shard| shard.target == number);
            let (mut reader, mut buffer) =
                (RecordReader::new(self.record_index), Buffer::default());
            let mut failed = Vec::new();
            for WrittenShard { stripe, index, .. } in written {
                if target.is_out() || self.monitor.should_stop() {
                    break;
                }
                let Some(record) = reader.find(*stripe) else { continue };
                let stored = StoredShard {
                    drive: target.drive(),
                    path: &place(self.set, &record, *index),
                    shard: RecordedShard { record: &record, index: usize::from(*index) },
                    mode: ReadMode::Medium,
                };
                let held = self.memory.for_each(self.targets.len());
                if !stored.check(held, &mut buffer).is_ok_and(|shard| shard.is_whole()) {
                    let bad = ShardDamage::Missing;
                    failed.push((*stripe, DamagedShard { target: number, index: *index, bad }));
                }
                let bytes = record.blocks.file_bytes() as u64;
                self.monitor.advance(bytes);
                self.monitor.drive_advance(number, bytes);
            }
            failed
        });
        let mut damaged = DamagedShards::new();
        failed.into_iter().flatten().for_each(|(id, shard)| {
            damaged.entry(id).or_default().push(shard);
        });
        // Blocks that were never to be had are reported already.
        damaged.retain(|id, _| !repaired.beyond.contains(id) && !repaired.waiting.contains(id));
        damaged
    }

    /// Bytes to be read back, from each target.
    pub fn written_bytes(&self, repaired: &RepairedShards) -> Vec<u64> {
        let mut bytes = vec![0; self.targets.len()];
        let mut reader = RecordReader::new(self.record_index);
        for shard in &repaired.written {
            bytes[shard.target] +=
                reader.find(shard.stripe).map_or(0, |r| r.blocks.file_bytes() as u64);
        }
        bytes
    }
}

/// The next stripe to be repaired.
struct Next<'a> {
    stripe: StripeId,
    damaged: &'a [DamagedShard],
    record: Option<Arc<StripeRecord>>,
}

fn next<'a>(queue: &Mutex<Queue<'a>>) -> Option<Next<'a>> {
    let mut queue = queue.lock();
    let (stripe, damaged) = queue.stripes.pop_front()?;
    Some(Next { stripe, damaged, record: queue.reader.find(stripe) })
}
