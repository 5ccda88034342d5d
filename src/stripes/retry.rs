//! Further reads for columns that lack good blocks: of other shards, and of single blocks that were
//! skipped or could not be read.
//!
//! - Enters: what was read of a stripe, and the columns that lack blocks.
//! - Leaves: the same with more good blocks, each as its record says.
//! - Always holds: nothing that was read and is as recorded is read again.

use super::request::ShardBlocks;
use super::shard_reader::ShardReader;
use super::stripe::RawStripe;
use crate::shards::reading::Tried;
use crate::shards::shard::RecordedShard;
use crate::stages::hash::block_hash;
use std::collections::BTreeSet;

impl ShardReader<'_> {
    /// Learns which blocks that are here are as recorded, in these columns, unless that is known.
    pub(super) fn judge(&self, raw: &mut RawStripe, columns: &[usize], here: &BTreeSet<u8>) {
        let record = raw.request().record.clone();
        let was_better = |index: &u8, column: usize| {
            raw.is_bad(*index, column)
                && self.judged.is_good(record.id, *index, column) == Some(true)
        };
        let is_new = |column: &usize| {
            let known = self.judged.is_good(record.id, 0, *column).is_some();
            !known || here.iter().any(|index| was_better(index, *column))
        };
        let new: Vec<usize> = columns.iter().copied().filter(is_new).collect();
        if new.is_empty() {
            return;
        }
        self.read_more(raw, &new, usize::MAX);
        if self.should_stop() {
            return;
        }
        let is_left = |column: &usize| here.iter().any(|index| !raw.is_good(*index, *column));
        let left: Vec<usize> = new.iter().copied().filter(is_left).collect();
        if !left.is_empty() {
            self.read_singly(raw, &left, true);
        }
        if !self.should_stop() {
            let good = |column: usize| {
                here.iter().copied().filter(|index| raw.is_good(*index, column)).collect::<Vec<_>>()
            };
            new.iter().for_each(|column| self.judged.learn(record.id, *column, &good(*column)));
        }
    }

    /// Reads further shards while some bad column has fewer good blocks than are wanted.
    pub(super) fn read_more(&self, raw: &mut RawStripe, columns: &[usize], wanted: usize) {
        let record = raw.request().record.clone();
        for index in 0..record.shards.len() as u8 {
            let lacks = |c: &&usize| raw.good_in(**c) < wanted;
            let (Some(first), Some(last)) =
                (columns.iter().find(lacks), columns.iter().rev().find(lacks))
            else {
                return;
            };
            let mut range = *first..*last + 1;
            if let Some(read) = raw.shards.get(&index) {
                let end = read.first + read.good.len();
                if read.first <= range.start && end >= range.end {
                    continue;
                }
                range = range.start.min(read.first)..range.end.max(end);
            }
            if let Some(wanted) = raw.request().shards.get(&index) {
                range = range.start.min(wanted.start)..range.end.max(wanted.end);
            }
            if let Some(read) = self.read_checked(&record, index, &range) {
                raw.shards.insert(index, read);
            }
        }
    }

    /// Reads each block of these columns that is still lacking by itself: some were skipped, and
    /// some may be well the next time. Of wanted shards only, unless all count.
    pub(super) fn read_singly(&self, raw: &mut RawStripe, columns: &[usize], all: bool) {
        let record = raw.request().record.clone();
        let (bytes, count) = (record.blocks.bytes(), record.blocks.count());
        let gone = |index: &u8| self.health.is_gone(record.shards[*index as usize].slot);
        for index in self.here(&record).into_iter().filter(|index| !gone(index)) {
            let wanted = raw.request().shards.get(&index).cloned();
            if wanted.is_none() && !all {
                continue;
            }
            let range = wanted.unwrap_or(columns[0]..columns[columns.len() - 1] + 1);
            let empty = || ShardBlocks::empty(&range, bytes, &self.pool);
            let shard = raw.shards.entry(index).or_insert_with(empty);
            let hashes = record.shard_hashes(index.into());
            let slot = record.shards[index as usize].slot;
            let recorded = RecordedShard { record: &record, index: index.into() };
            let mut policy = self.health.begin_last_resort(slot);
            for mut file in self.sources(&record, index) {
                for number in columns.iter().take_while(|_| !self.should_stop()) {
                    let Some(at) = number.checked_sub(shard.first) else { continue };
                    if shard.good.get(at) != Some(&false) {
                        continue;
                    }
                    let block = &mut shard.bytes[at * bytes..(at + 1) * bytes];
                    let file = file.as_mut();
                    let place = (*number * bytes) as u64;
                    let read = policy.read(file, place, block) == Tried::Read;
                    shard.good[at] = read && block_hash(block, *number, count) == hashes[*number]
                        || recorded.read_again(file, *number, block, &mut policy);
                }
            }
            self.health.end_last_resort(slot, policy);
        }
    }
}
