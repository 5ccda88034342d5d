//! The shards: bad blocks are reconstructed from the sound ones of their columns, checked against
//! the record, and written; shards that are not there, or not of their length, are written whole.
//!
//! - Enters: what is bad, by stripe.
//! - Leaves: what was written, and what could not be had.
//! - Always holds: (1) a block is written only if it matches its record, and only where the present
//!   one does not; (2) a shard that is written whole is so under its name, or not at all; (3) at
//!   most [`WORKERS`] stripes are in memory, fewer if memory is little; of a stripe that is more
//!   than that, as many columns at once as there is room for.

use super::metadata_files::{put, put_parts};
use super::target::{Target, count};
use crate::drives::{self, ReadMode};
use crate::format::ids::{StripeId, StripeNumber, shard_path};
use crate::format::record::{StripeKind, StripeRecord};
use crate::memory::Memory;
use crate::monitor::{Monitor, Problem, ProblemKind};
use crate::shards::bad_blocks::ShardDamage;
use crate::shards::shard::check_shard;
use crate::shipment::record_reader::RecordReader;
use crate::shipment::{FoundSet, RecordIndex};
use crate::stripes::fetch::Fetcher;
use crate::stripes::stripe::{Request, Stripe};
use parking_lot::Mutex;
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::ops::Range;
use std::sync::Arc;

/// Stripes that are worked on at the same time.
const WORKERS: usize = 3;

/// Bytes of a shard that are held at once at most, if a block is not more.
const HELD_BYTES: usize = 16 << 20;

/// One shard that is not as it should be.
#[derive(Clone)]
pub struct Hurt {
    /// number of the target
    pub target: usize,
    /// index in the stripe
    pub index: u8,
    /// what is bad; no blocks: it is too long
    pub bad: ShardDamage,
}

/// What is bad, by stripe.
pub type Hurts = BTreeMap<StripeId, Vec<Hurt>>;

/// What became of it.
#[derive(Default)]
pub struct RepairedShards {
    /// shards that were written to: target, stripe and index
    written: Vec<(usize, StripeId, u8)>,
    /// the targets of shards that could not be repaired completely
    pub left: Vec<usize>,
    /// stripes of which too much is missing, whatever is attached
    pub beyond: BTreeSet<StripeId>,
    /// stripes of which too much is missing, but for drives that are not here
    pub waiting: BTreeSet<StripeId>,
    pub stopped: bool,
}

/// Repairs shards of one set.
pub struct Shards<'a> {
    pub set: &'a FoundSet,
    pub record_index: &'a RecordIndex,
    /// its drives
    pub targets: &'a [Target<'a>],
    /// what it may take
    pub memory: Memory,
    pub monitor: &'a dyn Monitor,
}

/// How a shard is written.
enum Way {
    Whole,
    Blocks(Vec<u32>),
}

impl Way {
    /// The blocks that it takes, from the first to the last.
    fn range(&self, record: &StripeRecord) -> Range<usize> {
        match self {
            Self::Whole => 0..record.blocks.count(),
            Self::Blocks(blocks) => {
                let first = blocks.first().copied().unwrap_or(0) as usize;
                first..blocks.last().map_or(first + 1, |last| *last as usize + 1)
            }
        }
    }
}

/// What repairing a stripe takes.
struct StripeRepair<'h> {
    fetcher: &'h Fetcher<'h>,
    /// whose turn it is to read
    reading: &'h Mutex<()>,
    repaired: &'h Mutex<RepairedShards>,
    /// bytes that it may take
    bytes: u64,
}

/// The stripes that are still to be done, and their records.
struct Queue<'a> {
    stripes: VecDeque<(StripeId, &'a [Hurt])>,
    reader: RecordReader<'a>,
}

impl Shards<'_> {
    /// Bytes that will be written, to each target.
    pub fn bytes(&self, hurts: &Hurts) -> Vec<u64> {
        let mut bytes = vec![0; self.targets.len()];
        self.record_index.walk(self.monitor, |record| {
            for hurt in hurts.get(&record.id).into_iter().flatten() {
                bytes[hurt.target] += hurt_bytes(record, hurt);
            }
            true
        });
        bytes
    }

    /// Repairs what can be repaired. Not yet read back.
    pub fn repair(&self, hurts: &Hurts) -> RepairedShards {
        let mut stripes: Vec<(StripeId, &[Hurt])> =
            hurts.iter().map(|(id, hurts)| (*id, &hurts[..])).collect();
        // Parity along a drive is had from its members, once these are whole.
        stripes.sort_by_key(|(id, _)| id.number.0 >= StripeNumber::FIRST_ALONG);
        let queue = Queue { stripes: stripes.into(), reader: RecordReader::new(self.record_index) };
        let queue = Mutex::new(queue);
        let repaired = Mutex::new(RepairedShards::default());
        let fetcher = Fetcher::new(self.set, self.record_index, &|_, _| ());
        let reading = Mutex::new(());
        let workers = self.workers(hurts);
        let bytes = self.memory.for_shards() / workers as u64;
        let repair =
            StripeRepair { fetcher: &fetcher, reading: &reading, repaired: &repaired, bytes };
        drives::on_each(workers, |_| {
            loop {
                let Some((id, hurts, record)) = next(&queue) else { return };
                if self.monitor.should_stop() {
                    repaired.lock().stopped = true;
                    return;
                }
                match record {
                    Some(record) => self.repair_stripe(&record, hurts, &repair),
                    // Its record was there a moment ago.
                    None => drop(repaired.lock().beyond.insert(id)),
                }
            }
        });
        let mut repaired = repaired.into_inner();
        repaired.written.sort_unstable();
        repaired
    }

    /// As many as memory allows, where a stripe and the shard that is written take theirs.
    fn workers(&self, hurts: &Hurts) -> usize {
        let mut reader = RecordReader::new(self.record_index);
        let first = hurts.keys().find_map(|id| reader.find(*id));
        let stripe = first.map_or(1, |r| (r.shards.len() + 1) * r.blocks.file_bytes()) as u64;
        let most = (self.memory.for_shards() / stripe).min(WORKERS as u64) as usize;
        most.min(hurts.len()).max(1)
    }

    fn repair_stripe(&self, record: &Arc<StripeRecord>, hurts: &[Hurt], repair: &StripeRepair) {
        let here = |hurt: &&Hurt| !self.targets[hurt.target].is_out();
        let known: Vec<Hurt> =
            hurts.iter().filter(here).filter_map(|hurt| self.known(record, hurt)).collect();
        let ways: Vec<(&Hurt, Way)> =
            known.iter().map(|hurt| (hurt, self.way(record, hurt))).collect();
        if ways.is_empty() {
            return;
        }
        let columns = self.columns(record, repair);
        let whole = (columns >= record.blocks.count()).then(|| {
            let ranges = ways.iter().map(|(hurt, way)| (hurt.index, way.range(record)));
            self.fetch(record, &ranges.collect::<Vec<_>>(), repair)
        });
        let mut missing = None;
        for (hurt, way) in &ways {
            let had = match &whole {
                Some(stripe) if self.repair_shard(record, hurt, way, stripe, repair.repaired) => {
                    Ok(())
                }
                Some(stripe) => Err(stripe.waits()),
                None => self.repair_by_columns(record, hurt, way, columns, repair),
            };
            if let Err(waits) = had {
                missing = Some(missing.unwrap_or(false) | waits);
                repair.repaired.lock().left.push(hurt.target);
            }
            let bytes = hurt_bytes(record, hurt);
            self.monitor.advance(bytes);
            self.monitor.drive_advance(hurt.target, bytes);
        }
        if let Some(waits) = missing.filter(|_| !repair.repaired.lock().stopped) {
            self.report_missing(record, waits, repair.repaired);
        }
    }

    /// How many columns of a stripe are worked on at once.
    fn columns(&self, record: &StripeRecord, repair: &StripeRepair) -> usize {
        let (block, shards) = (record.blocks.bytes(), record.shards.len().min(self.targets.len()));
        let most = repair.bytes / (block * (shards + 1)) as u64;
        (most as usize).min(HELD_BYTES / block).max(1)
    }

    /// Reads and completes these blocks. One at a time reads: what is read together is there
    /// together and is then written together, so that either reads wait for writes, or the other
    /// way round.
    fn fetch(
        &self,
        record: &Arc<StripeRecord>,
        ranges: &[(u8, Range<usize>)],
        repair: &StripeRepair,
    ) -> Stripe {
        let request = self.request(record, ranges);
        let turn = repair.reading.lock();
        let raw = repair.fetcher.read(request);
        drop(turn);
        repair.fetcher.complete(raw)
    }

    /// The same as [`Self::repair_shard`] for a stripe that is not held whole; if something lacks,
    /// says whether drives that are not here may have it.
    fn repair_by_columns(
        &self,
        record: &Arc<StripeRecord>,
        hurt: &Hurt,
        way: &Way,
        columns: usize,
        repair: &StripeRepair,
    ) -> Result<(), bool> {
        let Way::Blocks(numbers) = way else {
            return self.write_by_columns(record, hurt, columns, repair);
        };
        let mut had = Ok(());
        let mut rest = &numbers[..];
        while let Some(first) = rest.first() {
            if self.monitor.should_stop() {
                repair.repaired.lock().stopped = true;
                return Err(true);
            }
            let some = rest.partition_point(|number| number - first < columns as u32);
            let part = Way::Blocks(rest[..some].to_vec());
            rest = &rest[some..];
            let stripe = self.fetch(record, &[(hurt.index, part.range(record))], repair);
            if !self.repair_shard(record, hurt, &part, &stripe, repair.repaired) {
                had = Err(had.err().unwrap_or(false) | stripe.waits());
            }
        }
        had
    }

    /// Writes a shard whole that is not held whole.
    fn write_by_columns(
        &self,
        record: &Arc<StripeRecord>,
        hurt: &Hurt,
        columns: usize,
        repair: &StripeRepair,
    ) -> Result<(), bool> {
        let (target, place) = (&self.targets[hurt.target], self.place(record, hurt.index));
        let (count_all, mut at) = (record.blocks.count(), 0);
        let missing = Cell::new(None);
        let mut next = || {
            if self.monitor.should_stop() {
                repair.repaired.lock().stopped = true;
                missing.set(Some(true));
                return Err(io::ErrorKind::Interrupted.into());
            }
            let some = at..(at + columns).min(count_all);
            if some.is_empty() {
                return Ok(None);
            }
            at = some.end;
            let stripe = self.fetch(record, &[(hurt.index, some.clone())], repair);
            let blocks: Option<Vec<&[u8]>> =
                some.map(|number| stripe.block(hurt.index, number)).collect();
            if blocks.is_none() {
                missing.set(Some(stripe.waits()));
            }
            blocks.map(|blocks| Some(blocks.concat())).ok_or(io::ErrorKind::NotFound.into())
        };
        let wrote = target.write(|drive| {
            let len = record.blocks.file_bytes() as u64;
            let put = put_parts(drive, &place, len, &mut next);
            // What is missing is no fault of this drive.
            if missing.get().is_some() { Ok(()) } else { put }
        });
        if let Some(waits) = missing.get() {
            return Err(waits);
        }
        if wrote {
            count(&target.shards, 1);
            repair.repaired.lock().written.push((hurt.target, record.id, hurt.index));
        }
        Ok(())
    }

    /// What is wrong with a shard; one that was skipped is read now, and may be sound.
    fn known(&self, record: &StripeRecord, hurt: &Hurt) -> Option<Hurt> {
        if hurt.bad != ShardDamage::Unread {
            return Some(hurt.clone());
        }
        let (drive, place) = (self.targets[hurt.target].drive(), self.place(record, hurt.index));
        let (index, mode) = (hurt.index.into(), ReadMode::Medium);
        let held = self.held();
        let bad = match check_shard(drive, &place, record, index, mode, held, &mut Vec::new()) {
            Ok(shard) if shard.is_whole() => return None,
            Ok(shard) => ShardDamage::Blocks(shard.bad),
            Err(_) => ShardDamage::Missing,
        };
        Some(Hurt { bad, ..hurt.clone() })
    }

    /// Bytes of a shard that each drive may hold while it is read.
    fn held(&self) -> usize {
        self.memory.for_each(self.targets.len())
    }

    fn place(&self, record: &StripeRecord, index: u8) -> String {
        format!("{}/{}", self.set.folder, shard_path(record.id, index))
    }

    /// Only a file of the right length is written to in place.
    fn way(&self, record: &StripeRecord, hurt: &Hurt) -> Way {
        let place = self.place(record, hurt.index);
        let len = self.targets[hurt.target].drive().open(&place, ReadMode::Cached);
        let len = len.ok().map(|file| file.len());
        match &hurt.bad {
            ShardDamage::Blocks(blocks) if len == Some(record.blocks.file_bytes() as u64) => {
                Way::Blocks(blocks.clone())
            }
            _ => Way::Whole,
        }
    }

    /// The hurt shards, and as many others as it takes, so that all are read at the same time.
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

    /// Says whether there was all that it takes.
    fn repair_shard(
        &self,
        record: &StripeRecord,
        hurt: &Hurt,
        way: &Way,
        stripe: &Stripe,
        repaired: &Mutex<RepairedShards>,
    ) -> bool {
        let target = &self.targets[hurt.target];
        let place = self.place(record, hurt.index);
        let bytes = record.blocks.bytes();
        let (had, wrote) = match way {
            Way::Whole => {
                let all = 0..record.blocks.count();
                let blocks: Option<Vec<&[u8]>> =
                    all.map(|number| stripe.block(hurt.index, number)).collect();
                let Some(blocks) = blocks else { return false };
                let whole = blocks.concat();
                let wrote = target.write(|drive| put(drive, &place, &whole));
                count(&target.shards, usize::from(wrote));
                (true, wrote)
            }
            Way::Blocks(numbers) => {
                let piece = |number: &u32| {
                    let number = *number as usize;
                    Some(((number * bytes) as u64, stripe.block(hurt.index, number)?))
                };
                let pieces: Vec<(u64, &[u8])> = numbers.iter().filter_map(piece).collect();
                let wrote = !pieces.is_empty() && target.write(|d| d.rewrite(&place, &pieces));
                count(&target.blocks, if wrote { pieces.len() } else { 0 });
                (pieces.len() == numbers.len(), wrote)
            }
        };
        if wrote {
            repaired.lock().written.push((hurt.target, record.id, hurt.index));
        }
        had
    }

    /// Too little is left of a stripe: it is skipped, and reported.
    fn report_missing(&self, record: &StripeRecord, waits: bool, repaired: &Mutex<RepairedShards>) {
        self.targets.iter().for_each(Target::probe);
        let absent = |slot| !self.targets.iter().any(|t| t.found.label.slot == slot && !t.is_out());
        let would_help: Vec<String> = record
            .shards
            .iter()
            .filter(|shard| absent(shard.slot))
            .map(|shard| shard.slot.to_string())
            .collect();
        let waits = waits || self.targets.iter().any(Target::is_out);
        let subject = format!("set {}: stripe {}", self.set.name(), record.id);
        let needed = match record.kind {
            StripeKind::Across => format!("{} sound shards are needed", record.k),
            StripeKind::Along => "it needs all shards that it is the parity of".into(),
        };
        let (kind, detail) = if waits && would_help.is_empty() {
            (ProblemKind::Waiting, format!("{needed}; the drives that are not here may help"))
        } else if waits {
            let slots = would_help.join(", ");
            (ProblemKind::Waiting, format!("{needed}; slot {slots} would help"))
        } else {
            (ProblemKind::Lost, format!("{needed}, and no drive has more: skipped"))
        };
        self.monitor.problem(Problem::new(kind, subject, detail));
        let mut repaired = repaired.lock();
        let list = if waits { &mut repaired.waiting } else { &mut repaired.beyond };
        list.insert(record.id);
    }

    /// Reads back from the medium what was written; what is not as it should be is left to be
    /// written whole.
    pub fn read_back(&self, repaired: &RepairedShards) -> Hurts {
        let failed = drives::on_each(self.targets.len(), |number| {
            let target = &self.targets[number];
            let written = repaired.written.iter().filter(|(target, ..)| *target == number);
            let (mut reader, mut buffer) = (RecordReader::new(self.record_index), Vec::new());
            let mut failed = Vec::new();
            for (_, id, index) in written {
                if target.is_out() || self.monitor.should_stop() {
                    break;
                }
                let Some(record) = reader.find(*id) else { continue };
                let place = self.place(&record, *index);
                let at = *index as usize;
                let mode = ReadMode::Medium;
                let (drive, held) = (target.drive(), self.held());
                let read = check_shard(drive, &place, &record, at, mode, held, &mut buffer);
                if !read.is_ok_and(|shard| shard.is_whole()) {
                    let bad = ShardDamage::Missing;
                    failed.push((*id, Hurt { target: number, index: *index, bad }));
                }
                let bytes = record.blocks.file_bytes() as u64;
                self.monitor.advance(bytes);
                self.monitor.drive_advance(number, bytes);
            }
            failed
        });
        let mut hurts = Hurts::new();
        failed.into_iter().flatten().for_each(|(id, hurt)| {
            hurts.entry(id).or_default().push(hurt);
        });
        // Blocks that were never to be had are reported already.
        hurts.retain(|id, _| !repaired.beyond.contains(id) && !repaired.waiting.contains(id));
        hurts
    }

    /// Bytes to be read back, from each target.
    pub fn written_bytes(&self, repaired: &RepairedShards) -> Vec<u64> {
        let mut bytes = vec![0; self.targets.len()];
        let mut reader = RecordReader::new(self.record_index);
        for (target, id, _) in &repaired.written {
            bytes[*target] += reader.find(*id).map_or(0, |r| r.blocks.file_bytes() as u64);
        }
        bytes
    }
}

/// A stripe, what is bad in it, and its record.
type Next<'h> = (StripeId, &'h [Hurt], Option<Arc<StripeRecord>>);

fn next<'h>(queue: &Mutex<Queue<'h>>) -> Option<Next<'h>> {
    let mut queue = queue.lock();
    let (id, hurts) = queue.stripes.pop_front()?;
    Some((id, hurts, queue.reader.find(id)))
}

fn hurt_bytes(record: &StripeRecord, hurt: &Hurt) -> u64 {
    let blocks = match &hurt.bad {
        ShardDamage::Blocks(blocks) if !blocks.is_empty() => blocks.len(),
        _ => record.blocks.count(),
    };
    (blocks * record.blocks.bytes()) as u64
}
