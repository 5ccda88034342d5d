//! Fetching a stripe: the blocks that are wanted, from wherever they are, rebuilt where they are
//! not.
//!
//! Two steps, so that the first can run ahead on the drives while the second uses the CPU:
//! [`Fetcher::read`] reads; [`Fetcher::complete`] checks each block against its record, rebuilds
//! what is bad column by column, and reads more only if a column still lacks blocks.

use super::book::Book;
use super::check::GONE;
use super::mend::mend;
use super::open::FoundSet;
use super::pace::Paces;
use super::reading::{Tried, read_blocks, try_blocks};
use crate::drives::buffer::{Pool, Pooled};
use crate::drives::{DriveFile, ReadMode};
use crate::format::ids::{Slot, shard_path};
use crate::format::record::{StripeKind, StripeRecord};
use crate::monitor::{Monitor, Problem, ProblemKind};
use crate::stages::hash::block_hash;
use crate::stages::parity::Code;
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

/// Which blocks of a stripe are wanted: of each of these data shards, a run.
#[derive(Clone)]
pub struct Request {
    /// the stripe
    pub record: Arc<StripeRecord>,
    /// data shards, and the blocks of each
    pub shards: BTreeMap<u8, Range<usize>>,
}

/// A run of one shard's blocks.
pub(super) struct ShardBlocks {
    first: usize,
    bytes: Pooled,
    /// read, and (after the check) as recorded or rebuilt
    good: Vec<bool>,
}

impl ShardBlocks {
    fn empty(range: &Range<usize>, block_bytes: usize, pool: &Pool) -> Self {
        let bytes = pool.take(range.len() * block_bytes);
        Self { first: range.start, bytes, good: vec![false; range.len()] }
    }

    /// Was it read, and is it as recorded?
    pub(super) fn is_good(&self, number: usize) -> bool {
        number.checked_sub(self.first).and_then(|at| self.good.get(at)).is_some_and(|good| *good)
    }

    /// A good block.
    pub(super) fn block(&self, number: usize) -> Option<&[u8]> {
        let block_bytes = self.bytes.len() / self.good.len().max(1);
        let at = number.checked_sub(self.first)? * block_bytes;
        self.bytes.get(at..at + block_bytes).filter(|_| self.is_good(number))
    }

    /// Marks as bad what does not match the record.
    fn check(&mut self, record: &StripeRecord, index: u8) {
        let hashes = record.shard_hashes(index as usize);
        let count = record.blocks.count();
        let first = self.first;
        let blocks = self.bytes.par_chunks_exact(record.blocks.bytes());
        self.good.par_iter_mut().zip(blocks).enumerate().for_each(|(i, (good, block))| {
            let number = first + i;
            *good = *good && block_hash(block, number, count) == hashes[number];
        });
    }
}

/// What was read for a request.
pub struct RawStripe {
    request: Request,
    shards: BTreeMap<u8, ShardBlocks>,
}

/// Blocks of the wanted shards that match their records.
pub struct Stripe {
    /// what was asked for
    pub request: Request,
    shards: BTreeMap<u8, ShardBlocks>,
    /// blocks that had to be rebuilt
    pub rebuilt_blocks: u64,
    /// blocks that could not be had, but might with the drives that are not here
    pub waits: bool,
}

impl Stripe {
    /// A block of a wanted shard, if it could be had.
    pub fn block(&self, shard: u8, number: usize) -> Option<&[u8]> {
        self.shards.get(&shard)?.block(number)
    }
}

/// Reads stripes of one set.
pub struct Fetcher<'a> {
    set: &'a FoundSet,
    pub(super) book: &'a Book,
    codes: Mutex<HashMap<(u8, u8), Arc<Code>>>,
    progress: &'a (dyn Fn(Slot, u64) + Sync),
    pool: Pool,
    paces: Paces,
    monitor: Option<&'a dyn Monitor>,
}

impl<'a> Fetcher<'a> {
    /// Reads from the drives of `set` that are here, whose records are in `book`; `progress` hears
    /// of every read.
    pub fn new(
        set: &'a FoundSet,
        book: &'a Book,
        progress: &'a (dyn Fn(Slot, u64) + Sync),
    ) -> Self {
        // One batch is read while another is worked on: a shard of each drive, twice.
        let pool = Pool::keeping(2 * set.drive_count() as usize);
        let (codes, paces) = (Mutex::default(), Paces::default());
        Self { set, book, codes, progress, pool, paces, monitor: None }
    }

    /// Tells of drives that no longer answer.
    #[must_use]
    pub fn telling(self, monitor: &'a dyn Monitor) -> Self {
        Self { monitor: Some(monitor), ..self }
    }

    /// Reads the wanted shards, each from its drive at the same time; where some cannot be read at
    /// all, other shards of the stripe in their place.
    pub fn read(&self, request: Request) -> RawStripe {
        let mut raw = RawStripe { shards: BTreeMap::new(), request };
        let mut tried = BTreeSet::new();
        let mut next: Vec<(u8, Range<usize>)> =
            raw.request.shards.iter().map(|(i, r)| (*i, r.clone())).collect();
        while !next.is_empty() {
            tried.extend(next.iter().map(|(i, _)| *i));
            let record = &raw.request.record;
            let read = |i: usize| self.read_shard(record, next[i].0, &next[i].1);
            let blocks = crate::drives::on_each(next.len(), read);
            let read = next.iter().zip(blocks).filter_map(|((i, _), b)| Some((*i, b?)));
            raw.shards.extend(read);
            next = raw.substitutes(&tried);
        }
        raw
    }

    /// Reads a shard's blocks from the first drive that has any of them; none if none has.
    fn read_shard(
        &self,
        record: &StripeRecord,
        index: u8,
        range: &Range<usize>,
    ) -> Option<ShardBlocks> {
        let slot = record.shards[index as usize].slot;
        let here = self.set.drive(slot).and_then(|_| self.paces.begin(slot));
        let Some(mut haste) = here else { return self.read_kept(record, index, range) };
        let mut blocks = ShardBlocks::empty(range, record.blocks.bytes(), &self.pool);
        let mut readable = false;
        for mut file in self.sources(record, index) {
            let (bytes, first) = (record.blocks.bytes(), range.start);
            let tried = try_blocks(file.as_mut(), &mut blocks.bytes, bytes, first, &mut haste);
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
            self.paces.end_read(slot, haste, whole.then(path));
        } else if self.paces.end_unread(self.set, slot, haste) {
            self.tell_gone(slot);
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
        let mut read = if self.paces.is_gone(record.shards[index as usize].slot) {
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

    fn tell_gone(&self, slot: Slot) {
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
        sources.filter_map(move |drive| drive.open(&path, ReadMode::Cached).ok())
    }

    /// Marks as bad what does not match the record and is no better on another drive of the slot.
    fn check(&self, record: &StripeRecord, index: u8, shard: &mut ShardBlocks) {
        shard.check(record, index);
        let one_source = self.set.doubles.is_empty() && self.set.stage.is_none();
        if one_source || !shard.good.contains(&false) {
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

    /// Checks what was read and rebuilds what is bad.
    pub fn complete(&self, mut raw: RawStripe) -> Stripe {
        let record = raw.request.record.clone();
        raw.shards.iter_mut().for_each(|(index, shard)| self.check(&record, *index, shard));
        let columns = raw.bad_columns();
        let mut rebuilt_blocks = 0;
        if !columns.is_empty() && record.kind == StripeKind::Across {
            self.read_more(&mut raw, &columns);
            rebuilt_blocks = self.rebuild(&mut raw, &columns);
            let left = raw.bad_columns();
            if !left.is_empty() && self.paces.any_haste() {
                self.read_singly(&mut raw, &left);
                rebuilt_blocks += self.rebuild(&mut raw, &left);
            }
        }
        let bad = raw.bad_blocks();
        if !bad.is_empty() {
            let mended = mend(self, &record, &bad).into_iter();
            rebuilt_blocks += mended
                .filter(|((index, column), block)| raw.put(*index, *column, block, &self.pool))
                .count() as u64;
        }
        let waits = !raw.bad_blocks().is_empty() && self.could_help(&raw, &columns);
        Stripe { request: raw.request, shards: raw.shards, rebuilt_blocks, waits }
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

    /// Reads further shards while some bad column has fewer than k good blocks.
    fn read_more(&self, raw: &mut RawStripe, columns: &[usize]) {
        let record = raw.request.record.clone();
        let k = record.k as usize;
        for index in 0..record.shards.len() as u8 {
            let lacks = |c: &&usize| raw.good_in(**c) < k;
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
            if let Some(wanted) = raw.request.shards.get(&index) {
                range = range.start.min(wanted.start)..range.end.max(wanted.end);
            }
            if let Some(read) = self.read_checked(&record, index, &range) {
                raw.shards.insert(index, read);
            }
        }
    }

    /// Reads each block of these columns that is still lacking by itself: some were skipped.
    fn read_singly(&self, raw: &mut RawStripe, columns: &[usize]) {
        let record = raw.request.record.clone();
        let (bytes, count) = (record.blocks.bytes(), record.blocks.count());
        let gone = |index: &u8| self.paces.is_gone(record.shards[*index as usize].slot);
        for index in (0..record.shards.len() as u8).filter(|index| !gone(index)) {
            let wanted = raw.request.shards.get(&index).cloned();
            let range = wanted.unwrap_or(columns[0]..columns[columns.len() - 1] + 1);
            let empty = || ShardBlocks::empty(&range, bytes, &self.pool);
            let shard = raw.shards.entry(index).or_insert_with(empty);
            let hashes = record.shard_hashes(index.into());
            for mut file in self.sources(&record, index) {
                for number in columns {
                    let Some(at) = number.checked_sub(shard.first) else { continue };
                    if shard.good.get(at) != Some(&false) {
                        continue;
                    }
                    let block = &mut shard.bytes[at * bytes..(at + 1) * bytes];
                    shard.good[at] = read_blocks(file.as_mut(), block, bytes, *number)[0]
                        && block_hash(block, *number, count) == hashes[*number];
                }
            }
        }
    }

    /// Rebuilds the bad blocks of wanted shards; says how many.
    fn rebuild(&self, raw: &mut RawStripe, columns: &[usize]) -> u64 {
        let record = raw.request.record.clone();
        let code = self.code(record.k, record.m);
        let (request, shards) = (&raw.request, &raw.shards);
        let fixed: Vec<(usize, u8, Vec<u8>)> = columns
            .par_iter()
            .flat_map_iter(|column| {
                let block = |i: u8| shards.get(&i).and_then(|s| s.block(*column));
                let all: Vec<_> = (0..record.shards.len() as u8).map(block).collect();
                let wanted = request.shards.iter().filter(|(_, r)| r.contains(column));
                let bad: Vec<usize> =
                    wanted.map(|(i, _)| *i as usize).filter(|i| all[*i].is_none()).collect();
                let mut out = vec![vec![0; record.blocks.bytes()]; bad.len()];
                let mut outs: Vec<&mut [u8]> = out.iter_mut().map(|o| &mut o[..]).collect();
                if code.recover(&all, &bad, &mut outs).is_err() {
                    out.clear();
                }
                bad.into_iter().zip(out).map(|(i, block)| (*column, i as u8, block))
            })
            .collect();
        fixed
            .iter()
            .filter(|(column, index, block)| raw.put(*index, *column, block, &self.pool))
            .count() as u64
    }

    /// Could the shards on drives that are not here complete the columns?
    fn could_help(&self, raw: &RawStripe, columns: &[usize]) -> bool {
        let record = &raw.request.record;
        if record.kind == StripeKind::Along {
            return !self.set.missing_slots().is_empty();
        }
        let is_absent = |slot| self.set.drive(slot).is_none() || self.paces.is_gone(slot);
        let absent = record.shards.iter().filter(|s| is_absent(s.slot)).count();
        let worst = columns.iter().map(|c| raw.good_in(*c)).min().unwrap_or(0);
        worst + absent >= record.k as usize
    }
}

impl RawStripe {
    /// Shards to read because wanted ones could not be read at all.
    fn substitutes(&self, tried: &BTreeSet<u8>) -> Vec<(u8, Range<usize>)> {
        let missing = self.request.shards.iter().filter(|(i, _)| !self.shards.contains_key(i));
        let range =
            missing.map(|(_, r)| r.clone()).reduce(|a, b| a.start.min(b.start)..a.end.max(b.end));
        let Some(range) = range else { return Vec::new() };
        let covers =
            |s: &&ShardBlocks| s.first <= range.start && s.first + s.good.len() >= range.end;
        let have = self.shards.values().filter(covers).count();
        let lacking = (self.request.record.k as usize).saturating_sub(have);
        let all = 0..self.request.record.shards.len() as u8;
        all.filter(|i| !tried.contains(i)).take(lacking).map(|i| (i, range.clone())).collect()
    }

    fn good_in(&self, column: usize) -> usize {
        self.shards.values().filter(|s| s.is_good(column)).count()
    }

    /// The wanted blocks that are bad, by index and number.
    fn bad_blocks(&self) -> Vec<(u8, usize)> {
        let mut bad = Vec::new();
        for (index, range) in &self.request.shards {
            let shard = self.shards.get(index);
            let columns = range.clone().filter(|c| !shard.is_some_and(|s| s.is_good(*c)));
            bad.extend(columns.map(|column| (*index, column)));
        }
        bad
    }

    /// Columns in which a wanted block is bad; ascending.
    fn bad_columns(&self) -> Vec<usize> {
        let columns: BTreeSet<usize> = self.bad_blocks().into_iter().map(|(_, c)| c).collect();
        columns.into_iter().collect()
    }

    /// Takes a rebuilt block if it matches its record.
    fn put(&mut self, index: u8, column: usize, block: &[u8], pool: &Pool) -> bool {
        let record = &self.request.record;
        let hash = record.shard_hashes(index as usize)[column];
        if block_hash(block, column, record.blocks.count()) != hash {
            return false;
        }
        let range = self.request.shards[&index].clone();
        let empty = || ShardBlocks::empty(&range, block.len(), pool);
        let shard = self.shards.entry(index).or_insert_with(empty);
        let at = column - shard.first;
        shard.bytes[at * block.len()..(at + 1) * block.len()].copy_from_slice(block);
        shard.good[at] = true;
        true
    }
}
