//! Shards on the drives of a set: from whichever drive has them, or from where those of drives that
//! are not here were kept.
//!
//! - Enters: a record, the index of a shard, a range of its blocks.
//! - Leaves: the blocks as a drive gave them, checked where that is said.
//! - Always holds: (1) a drive that no longer answers is reported once and not asked again; (2)
//!   what cannot be read is an erasure.

use super::carried::Carry;
use super::health::HealthTable;
use super::judged::JudgedBlocks;
use super::request::{Request, ShardBlocks};
use super::stripe::RawStripe;
use crate::drives::buffer::Pool;
use crate::drives::{DriveFile, ReadMode};
use crate::format::ids::{Slot, shard_path};
use crate::format::record::StripeRecord;
use crate::monitor::{Monitor, Problem, ProblemKind};
use crate::shards::answers::GONE;
use crate::shards::reading::{Tried, read_blocks, try_blocks};
use crate::shipment::record_reader::Records;
use crate::shipment::{FoundSet, RecordIndex};
use crate::stages::hash::block_hash;
use crate::stages::parity::Code;
use parking_lot::Mutex;
use std::collections::{BTreeSet, HashMap};
use std::ops::Range;
use std::sync::Arc;

/// Buffers that are kept for reuse, for each drive: several shards of it are read ahead.
const KEPT_SHARDS: usize = 8;

/// Reads shards of one set.
pub(super) struct ShardReader<'a> {
    pub(super) set: &'a FoundSet,
    pub(super) record_index: &'a RecordIndex,
    /// for whatever stripes are looked at beyond those that are asked for
    pub(super) records: Records<'a>,
    codes: Mutex<HashMap<(u8, u8), Arc<Code>>>,
    progress: &'a (dyn Fn(Slot, u64) + Sync),
    pub(super) pool: Pool,
    pub(super) health: HealthTable,
    pub(super) judged: JudgedBlocks,
    pub(super) mode: ReadMode,
    pub(super) monitor: Option<&'a dyn Monitor>,
}

impl<'a> ShardReader<'a> {
    /// Reads from the drives of `set` that are here, whose records are in `record_index`;
    /// `progress` hears of every read.
    pub fn new(
        set: &'a FoundSet,
        record_index: &'a RecordIndex,
        progress: &'a (dyn Fn(Slot, u64) + Sync),
    ) -> Self {
        let pool = Pool::keeping(KEPT_SHARDS * set.drive_count() as usize);
        let (codes, health, judged) =
            (Mutex::default(), HealthTable::default(), JudgedBlocks::default());
        let (records, mode) = (Records::of(record_index), ReadMode::Cached);
        Self {
            set,
            record_index,
            records,
            codes,
            progress,
            pool,
            health,
            judged,
            mode,
            monitor: None,
        }
    }

    /// Reads a shard's blocks from the first drive that has any of them; none if none has.
    pub(super) fn read_shard(
        &self,
        record: &StripeRecord,
        index: u8,
        range: &Range<usize>,
    ) -> Option<ShardBlocks> {
        self.read_part(record, index, range, range)
    }

    /// The same of a part of the range, with room for the rest.
    pub(super) fn read_part(
        &self,
        record: &StripeRecord,
        index: u8,
        range: &Range<usize>,
        part: &Range<usize>,
    ) -> Option<ShardBlocks> {
        let slot = record.shards[index as usize].slot;
        let here = self.set.drive(slot).and_then(|_| self.health.begin(slot));
        let Some(mut policy) = here else { return self.read_kept(record, index, range) };
        let mut blocks = ShardBlocks::empty(range, record.blocks.bytes(), &self.pool);
        let mut readable = false;
        for mut file in self.sources(record, index) {
            let bytes = record.blocks.bytes();
            let (from, to) = (part.start - range.start, part.end - range.start);
            let buffer = &mut blocks.bytes[from * bytes..to * bytes];
            let tried = try_blocks(file.as_mut(), buffer, bytes, part.start, &mut policy);
            for (good, tried) in blocks.good[from..to].iter_mut().zip(tried) {
                *good = tried == Tried::Read;
            }
            readable = blocks.good.contains(&true);
            if readable {
                (self.progress)(slot, buffer.len() as u64);
                break;
            }
        }
        if readable {
            let of_part = part.start - range.start..part.end - range.start;
            let whole = !blocks.good[of_part].contains(&false);
            let path = || format!("{}/{}", self.set.folder, shard_path(record.id, index));
            self.health.end_read(slot, policy, whole.then(path));
        } else if self.health.end_unread(self.set, slot, policy) {
            self.report_gone(slot);
        }
        readable.then_some(blocks)
    }

    /// Fills in what requests before this one have read; what of that is not there is read anew.
    pub(super) fn take_carried(&self, raw: &mut RawStripe, carry: Carry) {
        let Request { record, shards } = raw.request().clone();
        let bytes = record.blocks.bytes();
        for index in carry.taken() {
            let Some(range) = shards.get(&index) else { continue };
            let empty = || ShardBlocks::empty(range, bytes, &self.pool);
            let shard = raw.shards.entry(index).or_insert_with(empty);
            let lacking = carry.fill(index, shard);
            let Some(read) = lacking.and_then(|run| self.read_shard(&record, index, &run)) else {
                continue;
            };
            let from = read.first - shard.first;
            for (at, good) in read.good.iter().enumerate().filter(|(_, good)| **good) {
                let to = (from + at) * bytes;
                shard.bytes[to..to + bytes].copy_from_slice(&read.bytes[at * bytes..][..bytes]);
                (shard.good[from + at], shard.known[from + at]) = (*good, false);
            }
        }
        raw.carry = Some(carry);
    }

    /// Reads a shard's blocks from where those of drives that were here before are kept.
    fn read_kept(
        &self,
        record: &StripeRecord,
        index: u8,
        range: &Range<usize>,
    ) -> Option<ShardBlocks> {
        let path = format!("{}/{}", self.set.folder, shard_path(record.id, index));
        let file = self.set.stage.as_ref()?.open(&path, ReadMode::Cached).ok()?;
        self.read_plainly(record, range, std::iter::once(file))
    }

    /// Reads a run of a shard's blocks one by one if it has to be, however long that takes, and
    /// marks as bad what does not match the record.
    pub(super) fn read_every_block(
        &self,
        record: &StripeRecord,
        index: u8,
        range: &Range<usize>,
    ) -> Option<ShardBlocks> {
        let mut read = if self.health.is_gone(record.shards[index as usize].slot) {
            self.read_kept(record, index, range)
        } else {
            self.read_plainly(record, range, self.sources(record, index))
        }?;
        self.check(record, index, &mut read);
        Some(read)
    }

    fn read_plainly(
        &self,
        record: &StripeRecord,
        range: &Range<usize>,
        sources: impl Iterator<Item = Box<dyn DriveFile>>,
    ) -> Option<ShardBlocks> {
        let mut blocks = ShardBlocks::empty(range, record.blocks.bytes(), &self.pool);
        for mut file in sources {
            let bytes = record.blocks.bytes();
            blocks.good = read_blocks(file.as_mut(), &mut blocks.bytes, bytes, range.start);
            if blocks.good.contains(&true) {
                return Some(blocks);
            }
        }
        None
    }

    /// Reads a run of a shard's blocks and marks as bad what does not match the record.
    pub(super) fn read_checked(
        &self,
        record: &StripeRecord,
        index: u8,
        range: &Range<usize>,
    ) -> Option<ShardBlocks> {
        let mut read = self.read_shard(record, index, range)?;
        self.check(record, index, &mut read);
        Some(read)
    }

    /// The slots whose drives are here.
    pub(super) fn slots_here(&self) -> impl Iterator<Item = Slot> + use<'a> {
        let slots: BTreeSet<Slot> = self.set.all_drives().map(|found| found.label.slot).collect();
        slots.into_iter()
    }

    /// Are there shards that were kept of drives that are not here?
    pub(super) fn has_kept(&self) -> bool {
        self.set.stage.is_some()
    }

    /// The shards of a stripe that are on drives that are here, or were kept.
    pub(super) fn here(&self, record: &StripeRecord) -> BTreeSet<u8> {
        let on_drive = |index: &u8| self.has_drive(record.shards[*index as usize].slot);
        let (mut here, others): (BTreeSet<u8>, BTreeSet<u8>) =
            (0..record.shards.len() as u8).partition(on_drive);
        if let Some(stage) = self.set.stage.as_ref().filter(|_| !others.is_empty()) {
            let is_kept = |index: &u8| {
                let path = format!("{}/{}", self.set.folder, shard_path(record.id, *index));
                stage.open(&path, ReadMode::Cached).is_ok()
            };
            let all = 0..record.shards.len() as u8;
            let kept = self.judged.kept(record.id, || all.filter(is_kept).collect());
            here.extend(others.intersection(&kept));
        }
        here
    }

    /// The others.
    pub(super) fn absent(&self, record: &StripeRecord) -> impl Iterator<Item = u8> + use<> {
        let here = self.here(record);
        (0..record.shards.len() as u8).filter(move |index| !here.contains(index))
    }

    /// Is the slot's drive here, and does it answer?
    pub(super) fn has_drive(&self, slot: Slot) -> bool {
        self.set.drive(slot).is_some() && !self.health.is_gone(slot)
    }

    /// Does the slot's drive no longer answer?
    pub(super) fn is_gone(&self, slot: Slot) -> bool {
        self.health.is_gone(slot)
    }

    /// Is a shard on a drive that is here, with parity along it?
    pub(super) fn has_along(&self, record: &StripeRecord, index: u8) -> bool {
        let slot = record.shards[index as usize].slot;
        self.has_drive(slot) && self.record_index.along(record.id, slot).is_some()
    }

    /// Should the job stop? What is then given may lack blocks.
    pub(super) fn should_stop(&self) -> bool {
        self.monitor.is_some_and(Monitor::should_stop)
    }

    fn report_gone(&self, slot: Slot) {
        let Some(monitor) = self.monitor else { return };
        for found in self.set.all_drives().filter(|found| found.label.slot == slot) {
            monitor.problem(Problem::new(ProblemKind::Drive, found.drive.name(), GONE));
        }
    }

    /// A shard on the drives of its slot that have it, and where it was kept.
    pub(super) fn sources<'b>(
        &'b self,
        record: &StripeRecord,
        index: u8,
    ) -> impl Iterator<Item = Box<dyn DriveFile>> + use<'a, 'b> {
        let slot = record.shards[index as usize].slot;
        let path = format!("{}/{}", self.set.folder, shard_path(record.id, index));
        let drives = self.set.all_drives().filter(move |d| d.label.slot == slot);
        let sources = drives.map(|d| &d.drive).chain(&self.set.stage);
        sources.filter_map(move |drive| drive.open(&path, self.mode).ok())
    }

    /// Marks as bad what does not match the record and is no better on another drive of the slot.
    pub(super) fn check(&self, record: &StripeRecord, index: u8, shard: &mut ShardBlocks) {
        shard.check(record, index);
        if !self.set.duplicates.is_empty() || self.set.stage.is_some() {
            self.check_others(record, index, shard);
        }
    }

    /// Takes bad blocks from another drive of the slot, where they are as recorded.
    pub(super) fn check_others(&self, record: &StripeRecord, index: u8, shard: &mut ShardBlocks) {
        if !shard.good.contains(&false) {
            return;
        }
        let hashes = record.shard_hashes(index as usize);
        let bytes = record.blocks.bytes();
        for mut file in self.sources(record, index) {
            for at in 0..shard.good.len() {
                let number = shard.first + at;
                let block = &mut shard.bytes[at * bytes..(at + 1) * bytes];
                shard.good[at] = shard.good[at]
                    || (read_blocks(file.as_mut(), block, bytes, number)[0]
                        && block_hash(block, number, record.blocks.count()) == hashes[number]);
            }
        }
    }

    /// The code of a stripe.
    pub(super) fn code(&self, k: u8, m: u8) -> Arc<Code> {
        let mut codes = self.codes.lock();
        let make =
            || Arc::new(Code::new(k.into(), m.into()).expect("a record's k and m are valid"));
        codes.entry((k, m)).or_insert_with(make).clone()
    }
}
