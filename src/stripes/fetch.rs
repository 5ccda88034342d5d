//! Fetching a stripe: the blocks that are wanted, from wherever they are, reconstructed where they
//! are not.
//!
//! Two steps, so that the first can run ahead on the drives while the second uses the CPU:
//! [`Fetcher::read`] reads; [`Fetcher::complete`] checks each block against its record,
//! reconstructs what is bad column by column, and reads more only if a column still lacks blocks.

use super::health::HealthTable;
use super::judged::Judged;
use super::reconstruct::reconstruct;
use super::stripe::{ColumnWork, MissingBlocks, RawStripe, Request, ShardBlocks, Sound, Stripe};
use crate::drives::buffer::Pool;
use crate::drives::{DriveFile, ReadMode};
use crate::format::ids::{Slot, shard_path};
use crate::format::record::{StripeKind, StripeRecord};
use crate::monitor::{Monitor, Problem, ProblemKind};
use crate::shards::answers::GONE;
use crate::shards::reading::{Tried, read_blocks, try_blocks};
use crate::shards::shard::read_again;
use crate::shipment::FoundSet;
use crate::shipment::RecordIndex;
use crate::shipment::record_reader::Records;
use crate::stages::hash::block_hash;
use crate::stages::parity::Code;
use std::collections::{BTreeSet, HashMap};
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

/// Buffers that are kept for reuse, for each drive: several shards of it are read ahead.
const KEPT_SHARDS: usize = 8;

/// Reads stripes of one set.
pub struct Fetcher<'a> {
    pub(super) set: &'a FoundSet,
    pub(super) record_index: &'a RecordIndex,
    /// for whatever stripes are looked at beyond those that are asked for
    pub(super) records: Records<'a>,
    codes: Mutex<HashMap<(u8, u8), Arc<Code>>>,
    progress: &'a (dyn Fn(Slot, u64) + Sync),
    pool: Pool,
    health: HealthTable,
    pub(super) judged: Judged,
    mode: ReadMode,
    pub(super) monitor: Option<&'a dyn Monitor>,
}

impl<'a> Fetcher<'a> {
    /// Reads from the drives of `set` that are here, whose records are in `record_index`;
    /// `progress` hears of every read.
    pub fn new(
        set: &'a FoundSet,
        record_index: &'a RecordIndex,
        progress: &'a (dyn Fn(Slot, u64) + Sync),
    ) -> Self {
        let pool = Pool::keeping(KEPT_SHARDS * set.drive_count() as usize);
        let (codes, health, judged) = (Mutex::default(), HealthTable::default(), Judged::default());
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

    /// Reads what the drives hold past the caches.
    #[must_use]
    pub fn past_caches(self) -> Self {
        Self { mode: ReadMode::Medium, ..self }
    }

    /// Reports drives that no longer answer.
    #[must_use]
    pub fn reporting_to(self, monitor: &'a dyn Monitor) -> Self {
        Self { monitor: Some(monitor), ..self }
    }

    /// Reads the wanted shards, each from its drive at the same time; where some cannot be read at
    /// all, other shards of the stripe in their place.
    pub fn read(&self, request: Request) -> RawStripe {
        let absent = self.absent(&request.record).collect();
        self.read_rest(RawStripe::of(request), absent)
    }

    /// The same where some shards were tried already.
    pub(super) fn read_rest(&self, mut raw: RawStripe, mut tried: BTreeSet<u8>) -> RawStripe {
        loop {
            let next = raw.untried(&tried);
            if next.is_empty() {
                return raw;
            }
            tried.extend(next.iter().map(|(i, _)| *i));
            let record = &raw.request().record;
            let read = |i: usize| self.read_shard(record, next[i].0, &next[i].1);
            let blocks = crate::drives::on_each(next.len(), read);
            let read = next.iter().zip(blocks).filter_map(|((i, _), b)| Some((*i, b?)));
            raw.shards.extend(read);
        }
    }

    /// Reads a shard's blocks from the first drive that has any of them; none if none has.
    pub(super) fn read_shard(
        &self,
        record: &StripeRecord,
        index: u8,
        range: &Range<usize>,
    ) -> Option<ShardBlocks> {
        let slot = record.shards[index as usize].slot;
        let here = self.set.drive(slot).and_then(|_| self.health.begin(slot));
        let Some(mut policy) = here else { return self.read_kept(record, index, range) };
        let mut blocks = ShardBlocks::empty(range, record.blocks.bytes(), &self.pool);
        let mut readable = false;
        for mut file in self.sources(record, index) {
            let (bytes, first) = (record.blocks.bytes(), range.start);
            let tried = try_blocks(file.as_mut(), &mut blocks.bytes, bytes, first, &mut policy);
            blocks.good = tried.into_iter().map(|block| block == Tried::Read).collect();
            readable = blocks.good.contains(&true);
            if readable {
                (self.progress)(slot, blocks.bytes.len() as u64);
                break;
            }
        }
        if readable {
            let whole = !blocks.good.contains(&false);
            let path = || format!("{}/{}", self.set.folder, shard_path(record.id, index));
            self.health.end_read(slot, policy, whole.then(path));
        } else if self.health.end_unread(self.set, slot, policy) {
            self.report_gone(slot);
        }
        readable.then_some(blocks)
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
    pub(super) fn read_patiently(
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
    fn sources<'b>(
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
    fn check(&self, record: &StripeRecord, index: u8, shard: &mut ShardBlocks) {
        shard.check(record, index);
        if !self.set.duplicates.is_empty() || self.set.stage.is_some() {
            self.check_others(record, index, shard);
        }
    }

    /// Takes bad blocks from another drive of the slot, where they are as recorded.
    fn check_others(&self, record: &StripeRecord, index: u8, shard: &mut ShardBlocks) {
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
        let mut codes = self.codes.lock().unwrap_or_else(PoisonError::into_inner);
        let make =
            || Arc::new(Code::new(k.into(), m.into()).expect("a record's k and m are valid"));
        codes.entry((k, m)).or_insert_with(make).clone()
    }

    /// Checks what was read and reconstructs what is bad.
    pub fn complete(&self, raw: RawStripe) -> Stripe {
        self.complete_with(raw, &|_, _, _| ())
    }

    /// The same, and hands on most sound blocks while they are hot; the stripe has them all.
    pub fn complete_with(&self, mut raw: RawStripe, sound: Sound) -> Stripe {
        let record = raw.request().record.clone();
        let across = record.kind == StripeKind::Across;
        let code = across.then(|| self.code(record.k, record.m));
        let code = code.as_deref();
        raw.make_room(&self.pool);
        let one_source = self.set.duplicates.is_empty() && self.set.stage.is_none();
        let first = code.filter(|_| one_source);
        let on_drive = &|index: u8| self.has_drive(record.shards[index as usize].slot);
        let again = ColumnWork { check: false, code, sound, on_drive };
        let (mut as_read, unread) = (raw.whole(), raw.bad_blocks().len() as u64);
        let mut reconstructed = raw.work(&ColumnWork { check: true, code: first, ..again });
        let here = self.here(&record);
        if !one_source {
            let shards = raw.shards.iter_mut().filter(|(index, _)| here.contains(index));
            shards.for_each(|(index, shard)| self.check_others(&record, *index, shard));
            reconstructed.add(raw.work(&again));
        }
        let columns = raw.bad_columns();
        if columns.is_empty() {
            // If no more was reconstructed than was not read, all that was read is as recorded.
            let is_as_read = one_source && reconstructed.all == unread;
            let sound = raw.whole();
            as_read.retain(|index| is_as_read && sound.contains(index));
            let mut stripe = raw.end(reconstructed, MissingBlocks::default());
            stripe.as_read = as_read;
            return stripe;
        }
        let enough = here.len() >= record.k as usize;
        if across && !enough && self.has_kept() {
            // What is kept of the drives that are here counts for later runs, if it is good.
            self.judge(&mut raw, &columns, &here);
        } else if across {
            let wanted = raw.request().good_wanted(here.len());
            self.read_more(&mut raw, &columns, wanted);
            reconstructed.add(raw.work(&again));
            let left = raw.bad_columns();
            if !left.is_empty() && !self.should_stop() {
                self.read_singly(&mut raw, &left, enough);
                reconstructed.add(raw.work(&again));
            }
        }
        let mut bad = raw.bad_blocks();
        if across && !enough {
            // Not even with every shard that is here; only what is bad on a drive may be had along
            // it.
            bad.retain(|(index, _)| self.has_along(&record, *index));
        }
        if !bad.is_empty() {
            let blocks = reconstruct(self, &record, &bad).into_iter();
            let blocks = blocks.filter(|((index, column), block)| raw.put(*index, *column, block));
            blocks.for_each(|((index, _), _)| reconstructed.count(on_drive(index)));
        }
        let missing = self.missing(&raw, &here);
        self.report_damage(&raw, &here);
        raw.end(reconstructed, missing)
    }

    /// Is a shard on a drive that is here, with parity along it?
    pub(super) fn has_along(&self, record: &StripeRecord, index: u8) -> bool {
        let slot = record.shards[index as usize].slot;
        self.has_drive(slot) && self.record_index.along(record.id, slot).is_some()
    }

    /// Reads a run of a shard's blocks and marks as bad what does not match the record.
    fn read_checked(
        &self,
        record: &StripeRecord,
        index: u8,
        range: &Range<usize>,
    ) -> Option<ShardBlocks> {
        let mut read = self.read_shard(record, index, range)?;
        self.check(record, index, &mut read);
        Some(read)
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
            let mut policy = self.health.patient(slot);
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
                        || read_again(file, (&record, index.into()), *number, block, &mut policy);
                }
            }
            self.health.end_patient(slot, policy);
        }
    }
}
