//! The damaged shards of one stripe: reconstructed from the sound ones, checked against the record,
//! and written.
//!
//! - Enters: a record, and what is damaged of its stripe.
//! - Leaves: what was written, and what could not be had.
//! - Always holds: (1) a block is written only if it matches its record, and only where the present
//!   one does not; (2) a shard that is written whole is so under its name, or not at all; (3) of a
//!   stripe that is more than may be held, as many columns at once as there is room for.

use super::damaged::{DamagedShard, Rewrite};
use super::metadata_files::{put, put_parts};
use super::target::{RepairTarget, count};
use crate::drives::ReadMode;
use crate::drives::buffer::Buffer;
use crate::format::ids::{StripeId, shard_path};
use crate::format::record::{StripeKind, StripeRecord};
use crate::memory::Memory;
use crate::monitor::{Monitor, Problem, ProblemKind};
use crate::shards::bad_blocks::ShardDamage;
use crate::shards::shard::{RecordedShard, StoredShard};
use crate::shipment::FoundSet;
use crate::stripes::fetch::Fetcher;
use crate::stripes::request::Request;
use crate::stripes::stripe::Stripe;
use parking_lot::Mutex;
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::ops::Range;
use std::sync::Arc;

/// Bytes of a shard that are held at once at most, if a block is not more.
const HELD_BYTES: usize = 16 << 20;

/// A shard that was written to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct WrittenShard {
    /// number of the target
    pub target: usize,
    pub stripe: StripeId,
    /// index in the stripe
    pub index: u8,
}

/// What became of the damaged shards.
#[derive(Default)]
pub struct RepairedShards {
    pub written: Vec<WrittenShard>,
    /// the targets of shards that could not be repaired completely
    pub left: Vec<usize>,
    /// stripes of which too much is missing, whatever is attached
    pub beyond: BTreeSet<StripeId>,
    /// stripes of which too much is missing, but for drives that are not here
    pub waiting: BTreeSet<StripeId>,
    pub stopped: bool,
}

/// Why a shard could not be repaired completely.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Missing {
    /// no drive has more of its stripe
    Lost,
    /// drives that are not here may have more of its stripe
    Waiting,
}

impl Missing {
    fn of(stripe: &Stripe) -> Self {
        if stripe.waits() { Self::Waiting } else { Self::Lost }
    }
}

/// Repairs stripes, several at the same time.
pub struct StripeRepair<'a> {
    pub set: &'a FoundSet,
    pub targets: &'a [RepairTarget<'a>],
    pub memory: Memory,
    pub monitor: &'a dyn Monitor,
    pub fetcher: &'a Fetcher<'a>,
    /// bytes that a stripe may take
    pub bytes: u64,
    /// whose turn it is to read
    pub reading: Mutex<()>,
    pub repaired: Mutex<RepairedShards>,
}

impl StripeRepair<'_> {
    /// Repairs the damaged shards of a stripe.
    pub fn repair(&self, record: &Arc<StripeRecord>, damaged: &[DamagedShard]) {
        let here = |shard: &&DamagedShard| !self.targets[shard.target].is_out();
        let known: Vec<DamagedShard> =
            damaged.iter().filter(here).filter_map(|shard| self.known(record, shard)).collect();
        let rewrites: Vec<(&DamagedShard, Rewrite)> =
            known.iter().map(|shard| (shard, self.rewrite(record, shard))).collect();
        if rewrites.is_empty() {
            return;
        }
        let columns = self.columns(record);
        let whole = (columns >= record.blocks.count()).then(|| {
            let ranges =
                rewrites.iter().map(|(shard, rewrite)| (shard.index, rewrite.range(record)));
            self.fetch(record, &ranges.collect::<Vec<_>>())
        });
        let mut missing = None;
        for (shard, rewrite) in &rewrites {
            let repaired = match &whole {
                Some(stripe) => self.repair_shard(record, shard, rewrite, stripe),
                None => self.repair_by_columns(record, shard, rewrite, columns),
            };
            if let Err(why) = repaired {
                missing = missing.max(Some(why));
                self.repaired.lock().left.push(shard.target);
            }
            let bytes = shard.bytes(record);
            self.monitor.advance(bytes);
            self.monitor.drive_advance(shard.target, bytes);
        }
        if let Some(why) = missing.filter(|_| !self.repaired.lock().stopped) {
            self.report_missing(record, why);
        }
    }

    /// How many columns of a stripe are worked on at once.
    fn columns(&self, record: &StripeRecord) -> usize {
        let (block, shards) = (record.blocks.bytes(), record.shards.len().min(self.targets.len()));
        let most = self.bytes / (block * (shards + 1)) as u64;
        (most as usize).min(HELD_BYTES / block).max(1)
    }

    /// Reads and completes these blocks. One at a time reads: what is read together is there
    /// together and is then written together, so that either reads wait for writes, or the other
    /// way round.
    fn fetch(&self, record: &Arc<StripeRecord>, ranges: &[(u8, Range<usize>)]) -> Stripe {
        let request = self.request(record, ranges);
        let turn = self.reading.lock();
        let raw = self.fetcher.read(request);
        drop(turn);
        self.fetcher.complete(raw)
    }

    /// What is wrong with a shard; one that was skipped is read now, and may be sound.
    fn known(&self, record: &StripeRecord, shard: &DamagedShard) -> Option<DamagedShard> {
        if shard.bad != ShardDamage::Unread {
            return Some(shard.clone());
        }
        let stored = StoredShard {
            drive: self.targets[shard.target].drive(),
            path: &place(self.set, record, shard.index),
            shard: RecordedShard { record, index: shard.index.into() },
            mode: ReadMode::Medium,
        };
        let held = self.memory.for_each(self.targets.len());
        let bad = match stored.check(held, &mut Buffer::default()) {
            Ok(shard) if shard.is_whole() => return None,
            Ok(shard) => ShardDamage::Blocks(shard.bad),
            Err(_) => ShardDamage::Missing,
        };
        Some(DamagedShard { bad, ..shard.clone() })
    }

    /// Only a file of the right length is written to in place.
    fn rewrite(&self, record: &StripeRecord, shard: &DamagedShard) -> Rewrite {
        let place = place(self.set, record, shard.index);
        let len = self.targets[shard.target].drive().open(&place, ReadMode::Cached);
        let len = len.ok().map(|file| file.len());
        match &shard.bad {
            ShardDamage::Blocks(blocks) if len == Some(record.blocks.file_bytes() as u64) => {
                Rewrite::Blocks(blocks.clone())
            }
            _ => Rewrite::Whole,
        }
    }

    /// The damaged shards, and as many others as it takes, so that all are read at the same time.
    fn request(&self, record: &Arc<StripeRecord>, ranges: &[(u8, Range<usize>)]) -> Request {
        let join = |a: Range<usize>, b: Range<usize>| a.start.min(b.start)..a.end.max(b.end);
        let mut shards: BTreeMap<u8, Range<usize>> = BTreeMap::new();
        for (index, range) in ranges {
            let joined = shards.remove(index).map_or(range.clone(), |r| join(r, range.clone()));
            shards.insert(*index, joined);
        }
        let all = shards.values().cloned().reduce(join).unwrap_or(0..record.blocks.count());
        let is_here = |index: &u8| {
            let slot = record.shards[*index as usize].slot;
            self.targets.iter().any(|t| t.found.label.slot == slot && !t.is_out())
        };
        let others: Vec<u8> = (0..record.shards.len() as u8)
            .filter(|index| !shards.contains_key(index) && is_here(index))
            .take(record.k as usize)
            .collect();
        shards.extend(others.into_iter().map(|index| (index, all.clone())));
        Request { record: record.clone(), shards }
    }

    /// Writes what the stripe has of a shard; an error if that is not all that it takes.
    fn repair_shard(
        &self,
        record: &StripeRecord,
        shard: &DamagedShard,
        rewrite: &Rewrite,
        stripe: &Stripe,
    ) -> Result<(), Missing> {
        let target = &self.targets[shard.target];
        let place = place(self.set, record, shard.index);
        let bytes = record.blocks.bytes();
        let (is_all, wrote) = match rewrite {
            Rewrite::Whole => {
                let all = 0..record.blocks.count();
                let blocks: Option<Vec<&[u8]>> =
                    all.map(|number| stripe.block(shard.index, number)).collect();
                let Some(blocks) = blocks else { return Err(Missing::of(stripe)) };
                let whole = blocks.concat();
                let wrote = target.write(|drive| put(drive, &place, &whole));
                count(&target.shards, usize::from(wrote));
                (true, wrote)
            }
            Rewrite::Blocks(numbers) => {
                let piece = |number: &u32| {
                    let number = *number as usize;
                    Some(((number * bytes) as u64, stripe.block(shard.index, number)?))
                };
                let pieces: Vec<(u64, &[u8])> = numbers.iter().filter_map(piece).collect();
                let wrote = !pieces.is_empty() && target.write(|d| d.rewrite(&place, &pieces));
                count(&target.blocks, if wrote { pieces.len() } else { 0 });
                (pieces.len() == numbers.len(), wrote)
            }
        };
        if wrote {
            self.note_written(record, shard);
        }
        if is_all { Ok(()) } else { Err(Missing::of(stripe)) }
    }

    fn note_written(&self, record: &StripeRecord, shard: &DamagedShard) {
        let (target, stripe, index) = (shard.target, record.id, shard.index);
        self.repaired.lock().written.push(WrittenShard { target, stripe, index });
    }

    /// The same as [`Self::repair_shard`] for a stripe that is not held whole.
    fn repair_by_columns(
        &self,
        record: &Arc<StripeRecord>,
        shard: &DamagedShard,
        rewrite: &Rewrite,
        columns: usize,
    ) -> Result<(), Missing> {
        let Rewrite::Blocks(numbers) = rewrite else {
            return self.write_by_columns(record, shard, columns);
        };
        let mut missing = None;
        let mut rest = &numbers[..];
        while let Some(first) = rest.first() {
            if self.monitor.should_stop() {
                self.repaired.lock().stopped = true;
                return Err(Missing::Waiting);
            }
            let some = rest.partition_point(|number| number - first < columns as u32);
            let part = Rewrite::Blocks(rest[..some].to_vec());
            rest = &rest[some..];
            let stripe = self.fetch(record, &[(shard.index, part.range(record))]);
            missing = missing.max(self.repair_shard(record, shard, &part, &stripe).err());
        }
        missing.map_or(Ok(()), Err)
    }

    /// Writes a shard whole that is not held whole.
    fn write_by_columns(
        &self,
        record: &Arc<StripeRecord>,
        shard: &DamagedShard,
        columns: usize,
    ) -> Result<(), Missing> {
        let (target, place) = (&self.targets[shard.target], place(self.set, record, shard.index));
        let (count_all, mut at) = (record.blocks.count(), 0);
        let missing = Cell::new(None);
        let mut next = || {
            if self.monitor.should_stop() {
                self.repaired.lock().stopped = true;
                missing.set(Some(Missing::Waiting));
                return Err(io::ErrorKind::Interrupted.into());
            }
            let some = at..(at + columns).min(count_all);
            if some.is_empty() {
                return Ok(None);
            }
            at = some.end;
            let stripe = self.fetch(record, &[(shard.index, some.clone())]);
            let blocks: Option<Vec<&[u8]>> =
                some.map(|number| stripe.block(shard.index, number)).collect();
            if blocks.is_none() {
                missing.set(Some(Missing::of(&stripe)));
            }
            blocks.map(|blocks| Some(blocks.concat())).ok_or(io::ErrorKind::NotFound.into())
        };
        let wrote = target.write(|drive| {
            let len = record.blocks.file_bytes() as u64;
            let put = put_parts(drive, &place, len, &mut next);
            // What is missing is no fault of this drive.
            if missing.get().is_some() { Ok(()) } else { put }
        });
        if let Some(why) = missing.get() {
            return Err(why);
        }
        if wrote {
            count(&target.shards, 1);
            self.note_written(record, shard);
        }
        Ok(())
    }

    /// Too little is left of a stripe: it is skipped, and reported.
    fn report_missing(&self, record: &StripeRecord, why: Missing) {
        self.targets.iter().for_each(RepairTarget::probe);
        let absent = |slot| !self.targets.iter().any(|t| t.found.label.slot == slot && !t.is_out());
        let would_help: Vec<String> = record
            .shards
            .iter()
            .filter(|shard| absent(shard.slot))
            .map(|shard| shard.slot.to_string())
            .collect();
        let waits = why == Missing::Waiting || self.targets.iter().any(RepairTarget::is_out);
        let subject = format!("set {}: stripe {}", self.set.name(), record.id);
        let needed = match record.kind {
            StripeKind::Across if record.k == 1 => "1 sound shard is needed".into(),
            StripeKind::Across => format!("{} sound shards are needed", record.k),
            StripeKind::Along => "it needs all shards that it is the parity of".into(),
        };
        let (kind, detail) = if waits && would_help.is_empty() {
            (ProblemKind::Waiting, format!("{needed}; the set's other drives may help"))
        } else if waits {
            let slots = would_help.join(", ");
            (ProblemKind::Waiting, format!("{needed}; attach slot {slots}"))
        } else {
            (ProblemKind::Lost, format!("{needed}, and no drive has more: skipped"))
        };
        self.monitor.problem(Problem::new(kind, subject, detail));
        let mut repaired = self.repaired.lock();
        let list = if waits { &mut repaired.waiting } else { &mut repaired.beyond };
        list.insert(record.id);
    }
}

/// Where a shard lies on its drive.
pub fn place(set: &FoundSet, record: &StripeRecord, index: u8) -> String {
    format!("{}/{}", set.folder, shard_path(record.id, index))
}
