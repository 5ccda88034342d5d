//! The shards: bad blocks are rebuilt from the sound ones of their columns, checked against the
//! record, and written; shards that are not there, or not of their length, are written whole.
//!
//! - Enters: what is bad, by stripe.
//! - Leaves: what was written, and what could not be had.
//! - Always holds: (1) a block is written only if it matches its record, and only where the present
//!   one does not; (2) a shard that is written whole is so under its name, or not at all; (3) at
//!   most [`WORKERS`] stripes are in memory, fewer if memory is little.

use super::papers::put;
use super::target::{Target, count};
use crate::drives::{self, ReadMode};
use crate::format::ids::{StripeId, StripeNumber, shard_path};
use crate::format::record::{StripeKind, StripeRecord};
use crate::memory::Memory;
use crate::monitor::{Monitor, Problem, ProblemKind};
use crate::sets::book::BookReader;
use crate::sets::damage::Bad;
use crate::sets::fetch::Fetcher;
use crate::sets::shard::check_shard;
use crate::sets::stripe::{Request, Stripe};
use crate::sets::{Book, FoundSet};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

/// Stripes that are worked on at the same time.
const WORKERS: usize = 3;

/// One shard that is not as it should be.
#[derive(Clone)]
pub struct Hurt {
    /// number of the target
    pub target: usize,
    /// index in the stripe
    pub index: u8,
    /// what is bad; no blocks: it is too long
    pub bad: Bad,
}

/// What is bad, by stripe.
pub type Hurts = BTreeMap<StripeId, Vec<Hurt>>;

/// What became of it.
#[derive(Default)]
pub struct Healed {
    /// shards that were written to: target, stripe and index
    written: Vec<(usize, StripeId, u8)>,
    /// the targets of shards that could not be healed whole
    pub left: Vec<usize>,
    /// stripes that lack too much, whatever is attached
    pub beyond: BTreeSet<StripeId>,
    /// stripes that lack too much, but for drives that are not here
    pub waiting: BTreeSet<StripeId>,
    /// it was stopped
    pub stopped: bool,
}

/// Heals shards of one set.
pub struct Shards<'a> {
    /// the set
    pub set: &'a FoundSet,
    /// its records
    pub book: &'a Book,
    /// its drives
    pub targets: &'a [Target<'a>],
    /// what it may take
    pub memory: Memory,
    /// listens
    pub monitor: &'a dyn Monitor,
}

/// How a shard is written.
enum Way {
    Whole,
    Blocks(Vec<u32>),
}

/// The stripes that are still to be done, and their records.
struct Queue<'a> {
    stripes: VecDeque<(StripeId, &'a [Hurt])>,
    reader: BookReader<'a>,
}

impl Shards<'_> {
    /// Bytes that will be written, to each target.
    pub fn bytes(&self, hurts: &Hurts) -> Vec<u64> {
        let mut bytes = vec![0; self.targets.len()];
        self.book.walk(self.monitor, |record| {
            for hurt in hurts.get(&record.id).into_iter().flatten() {
                bytes[hurt.target] += hurt_bytes(record, hurt);
            }
            true
        });
        bytes
    }

    /// Heals what can be healed. Not yet read back.
    pub fn heal(&self, hurts: &Hurts) -> Healed {
        let mut stripes: Vec<(StripeId, &[Hurt])> =
            hurts.iter().map(|(id, hurts)| (*id, &hurts[..])).collect();
        // Parity along a drive is had from its members, once these are whole.
        stripes.sort_by_key(|(id, _)| id.number.0 >= StripeNumber::FIRST_ALONG);
        let queue = Queue { stripes: stripes.into(), reader: self.book.reader() };
        let queue = Mutex::new(queue);
        let healed = Mutex::new(Healed::default());
        let fetcher = Fetcher::new(self.set, self.book, &|_, _| ());
        let reading = Mutex::new(());
        drives::on_each(self.workers(hurts), |_| {
            loop {
                let Some((id, hurts, record)) = next(&queue) else { return };
                if self.monitor.should_stop() {
                    lock(&healed).stopped = true;
                    return;
                }
                match record {
                    Some(record) => self.heal_stripe(&record, hurts, &fetcher, &reading, &healed),
                    // Its record was there a moment ago.
                    None => drop(lock(&healed).beyond.insert(id)),
                }
            }
        });
        let mut healed = healed.into_inner().unwrap_or_else(PoisonError::into_inner);
        healed.written.sort_unstable();
        healed
    }

    /// As many as memory allows, where a stripe and the shard that is written take theirs.
    fn workers(&self, hurts: &Hurts) -> usize {
        let mut reader = self.book.reader();
        let first = hurts.keys().find_map(|id| reader.find(*id));
        let stripe = first.map_or(1, |r| (r.shards.len() + 1) * r.blocks.file_bytes()) as u64;
        let most = (self.memory.for_shards() / stripe).min(WORKERS as u64) as usize;
        most.min(hurts.len()).max(1)
    }

    fn heal_stripe(
        &self,
        record: &Arc<StripeRecord>,
        hurts: &[Hurt],
        fetcher: &Fetcher,
        reading: &Mutex<()>,
        healed: &Mutex<Healed>,
    ) {
        let here = |hurt: &&Hurt| !self.targets[hurt.target].is_out();
        let known: Vec<Hurt> =
            hurts.iter().filter(here).filter_map(|hurt| self.known(record, hurt)).collect();
        let ways: Vec<(&Hurt, Way)> =
            known.iter().map(|hurt| (hurt, self.way(record, hurt))).collect();
        if ways.is_empty() {
            return;
        }
        let request = self.request(record, &ways);
        // One at a time: stripes that are read together are there together and are then written
        // together, so that either what is read waits for what is written, or the other way round.
        let turn = lock(reading);
        let raw = fetcher.read(request);
        drop(turn);
        let stripe = fetcher.complete(raw);
        let mut lacking = false;
        for (hurt, way) in &ways {
            if !self.heal_shard(record, hurt, way, &stripe, healed) {
                lacking = true;
                lock(healed).left.push(hurt.target);
            }
            let bytes = hurt_bytes(record, hurt);
            self.monitor.advance(bytes);
            self.monitor.drive_advance(hurt.target, bytes);
        }
        if lacking {
            self.tell_lacking(record, &stripe, healed);
        }
    }

    /// What is wrong with a shard; one that was skipped is read now, and may be sound.
    fn known(&self, record: &StripeRecord, hurt: &Hurt) -> Option<Hurt> {
        if hurt.bad != Bad::Unread {
            return Some(hurt.clone());
        }
        let (drive, place) = (self.targets[hurt.target].drive(), self.place(record, hurt.index));
        let (index, mode) = (hurt.index.into(), ReadMode::Medium);
        let bad = match check_shard(drive, &place, record, index, mode, &mut Vec::new()) {
            Ok(shard) if shard.is_whole() => return None,
            Ok(shard) => Bad::Blocks(shard.bad),
            Err(_) => Bad::Missing,
        };
        Some(Hurt { bad, ..hurt.clone() })
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
            Bad::Blocks(blocks) if len == Some(record.blocks.file_bytes() as u64) => {
                Way::Blocks(blocks.clone())
            }
            _ => Way::Whole,
        }
    }

    /// The hurt shards, and as many others as it takes, so that all are read at the same time.
    fn request(&self, record: &Arc<StripeRecord>, ways: &[(&Hurt, Way)]) -> Request {
        let join = |a: Range<usize>, b: Range<usize>| a.start.min(b.start)..a.end.max(b.end);
        let mut shards: BTreeMap<u8, Range<usize>> = BTreeMap::new();
        for (hurt, way) in ways {
            let range = match way {
                Way::Whole => 0..record.blocks.count(),
                Way::Blocks(blocks) => {
                    let first = blocks.first().copied().unwrap_or(0) as usize;
                    first..blocks.last().map_or(first + 1, |last| *last as usize + 1)
                }
            };
            let range = shards.remove(&hurt.index).map_or(range.clone(), |r| join(r, range));
            shards.insert(hurt.index, range);
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
    fn heal_shard(
        &self,
        record: &StripeRecord,
        hurt: &Hurt,
        way: &Way,
        stripe: &Stripe,
        healed: &Mutex<Healed>,
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
            lock(healed).written.push((hurt.target, record.id, hurt.index));
        }
        had
    }

    /// Too little is left of a stripe: it is skipped, and told.
    fn tell_lacking(&self, record: &StripeRecord, stripe: &Stripe, healed: &Mutex<Healed>) {
        self.targets.iter().for_each(Target::probe);
        let absent = |slot| !self.targets.iter().any(|t| t.found.label.slot == slot && !t.is_out());
        let would_help: Vec<String> = record
            .shards
            .iter()
            .filter(|shard| absent(shard.slot))
            .map(|shard| shard.slot.to_string())
            .collect();
        let waits = stripe.waits() || self.targets.iter().any(Target::is_out);
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
        let mut healed = lock(healed);
        let list = if waits { &mut healed.waiting } else { &mut healed.beyond };
        list.insert(record.id);
    }

    /// Reads back from the medium what was written; what is not as it should be is left to be
    /// written whole.
    pub fn read_back(&self, healed: &Healed) -> Hurts {
        let failed = drives::on_each(self.targets.len(), |number| {
            let target = &self.targets[number];
            let written = healed.written.iter().filter(|(target, ..)| *target == number);
            let (mut reader, mut buffer) = (self.book.reader(), Vec::new());
            let mut failed = Vec::new();
            for (_, id, index) in written {
                if target.is_out() || self.monitor.should_stop() {
                    break;
                }
                let Some(record) = reader.find(*id) else { continue };
                let place = self.place(&record, *index);
                let at = *index as usize;
                let mode = ReadMode::Medium;
                let read = check_shard(target.drive(), &place, &record, at, mode, &mut buffer);
                if !read.is_ok_and(|shard| shard.is_whole()) {
                    failed.push((*id, Hurt { target: number, index: *index, bad: Bad::Missing }));
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
        // Blocks that were never to be had are told already.
        hurts.retain(|id, _| !healed.beyond.contains(id) && !healed.waiting.contains(id));
        hurts
    }

    /// Bytes to be read back, from each target.
    pub fn written_bytes(&self, healed: &Healed) -> Vec<u64> {
        let mut bytes = vec![0; self.targets.len()];
        let mut reader = self.book.reader();
        for (target, id, _) in &healed.written {
            bytes[*target] += reader.find(*id).map_or(0, |r| r.blocks.file_bytes() as u64);
        }
        bytes
    }
}

/// A stripe, what is bad in it, and its record.
type Next<'h> = (StripeId, &'h [Hurt], Option<Arc<StripeRecord>>);

fn next<'h>(queue: &Mutex<Queue<'h>>) -> Option<Next<'h>> {
    let mut queue = lock(queue);
    let (id, hurts) = queue.stripes.pop_front()?;
    Some((id, hurts, queue.reader.find(id)))
}

fn hurt_bytes(record: &StripeRecord, hurt: &Hurt) -> u64 {
    let blocks = match &hurt.bad {
        Bad::Blocks(blocks) if !blocks.is_empty() => blocks.len(),
        _ => record.blocks.count(),
    };
    (blocks * record.blocks.bytes()) as u64
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
