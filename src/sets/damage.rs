//! The damage map of a set: what is missing or bad, and whether the rest is enough.

use super::book::{Book, Records};
use super::check::DriveReport;
use super::open::FoundSet;
use super::peel::{Node, steps};
use crate::format::ids::{RunId, Slot, StripeId};
use crate::format::record::{StripeKind, StripeRecord};
use crate::monitor::Monitor;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What is wrong with one shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bad {
    /// there is no such file, or none of it can be read
    Missing,
    /// these blocks do not match the record or cannot be read; ascending
    Blocks(Vec<u32>),
    /// it was not read, since what lies about it could not be: see [`super::reading`]
    Unread,
}

impl Bad {
    /// What is bad in two copies of a shard alike; none if they have every block between them.
    fn and(self, other: &Self) -> Option<Self> {
        match (self, other) {
            (Self::Missing | Self::Unread, other) => Some(other.clone()),
            (bad, Self::Missing | Self::Unread) => Some(bad),
            (Self::Blocks(a), Self::Blocks(b)) => {
                let both: Vec<u32> = a.into_iter().filter(|n| b.contains(n)).collect();
                (!both.is_empty()).then_some(Self::Blocks(both))
            }
        }
    }
}

/// Everything wrong in a set, by stripe and shard index.
#[derive(Clone, Debug, Default)]
pub struct Damage {
    /// slots whose drive is not here or vanished
    pub lost: BTreeSet<Slot>,
    /// bad shards on drives that are here
    pub shards: BTreeMap<StripeId, BTreeMap<u8, Bad>>,
}

impl Damage {
    /// Notes a bad shard.
    pub fn add(&mut self, stripe: StripeId, index: u8, bad: Bad) {
        self.shards.entry(stripe).or_default().insert(index, bad);
    }

    /// Notes what was found on the drives of one slot, which are sources of the same shards: what
    /// is bad on all of them is bad. A drive that vanished is no source.
    pub fn add_slot<'a>(&mut self, slot: Slot, reports: impl IntoIterator<Item = &'a DriveReport>) {
        let mut sources = reports.into_iter().filter(|report| !report.vanished);
        let Some(first) = sources.next() else {
            self.lost.insert(slot);
            return;
        };
        let shards = |report: &'a DriveReport| {
            report.bad.iter().map(|(stripe, index, bad)| ((*stripe, *index), bad))
        };
        let mut bad: BTreeMap<_, Bad> = shards(first).map(|(s, bad)| (s, bad.clone())).collect();
        for other in sources {
            let other: BTreeMap<_, &Bad> = shards(other).collect();
            bad = bad
                .into_iter()
                .filter_map(|(s, bad)| Some((s, bad.and(other.get(&s)?)?)))
                .collect();
        }
        for ((stripe, index), bad) in bad {
            self.add(stripe, index, bad);
        }
    }

    /// Is nothing wrong?
    pub fn is_empty(&self) -> bool {
        self.lost.is_empty() && self.shards.is_empty()
    }

    /// How many shards of `record`'s stripe are missing whole, and how many blocks are bad in its
    /// worst column besides.
    fn worst_column(&self, record: &StripeRecord) -> usize {
        let bad = self.shards.get(&record.id);
        let mut missing = 0;
        let mut columns: BTreeMap<u32, usize> = BTreeMap::new();
        for (index, shard) in record.shards.iter().enumerate() {
            if self.lost.contains(&shard.slot) {
                missing += 1;
                continue;
            }
            match bad.and_then(|b| b.get(&(index as u8))) {
                None => {}
                Some(Bad::Missing | Bad::Unread) => missing += 1,
                Some(Bad::Blocks(blocks)) => {
                    blocks.iter().for_each(|b| *columns.entry(*b).or_default() += 1);
                }
            }
        }
        missing + columns.into_values().max().unwrap_or(0)
    }

    /// Is the block of this number bad?
    fn is_bad(&self, record: &StripeRecord, index: u8, column: usize) -> bool {
        let slot = record.shards[index as usize].slot;
        let bad = self.shards.get(&record.id).and_then(|bad| bad.get(&index));
        self.lost.contains(&slot)
            || match bad {
                None => false,
                Some(Bad::Missing | Bad::Unread) => true,
                Some(Bad::Blocks(blocks)) => blocks.binary_search(&(column as u32)).is_ok(),
            }
    }

    /// Do both codes in turn give what the stripe alone cannot?
    fn can_be_mended(&self, book: &Book, records: &Records, record: &StripeRecord) -> bool {
        let here = record.shards.iter().filter(|shard| !self.lost.contains(&shard.slot)).count();
        if here < record.k as usize {
            return false; // parity along a drive gives nothing of those that are lost
        }
        let all_lost = |column: usize| {
            let mut bad =
                (0..record.shards.len()).filter(|i| self.is_bad(record, *i as u8, column));
            bad.all(|i| self.lost.contains(&record.shards[i].slot))
        };
        (0..record.blocks.count()).all(|column| {
            let shards = 0..record.shards.len() as u8;
            let bad: Vec<Node> = shards
                .filter(|index| self.is_bad(record, *index, column))
                .map(|index| Node { stripe: record.id, index })
                .collect();
            if bad.len() <= record.m as usize {
                return true;
            }
            if all_lost(column) {
                return false;
            }
            let is_good =
                &mut |r: &Arc<StripeRecord>, node: Node| !self.is_bad(r, node.index, column);
            let steps = steps(book, records, column, &bad, is_good);
            let given: usize = steps
                .iter()
                .flat_map(|step| &step.gives)
                .filter(|node| node.stripe == record.id)
                .count();
            given == bad.len()
        })
    }

    /// Holds the map against the records: can every stripe be restored?
    pub fn judge(&self, book: &Book, monitor: &dyn Monitor) -> Verdict {
        let mut judge = Judge::new(self, book);
        book.walk(monitor, |record| {
            judge.add(record);
            true
        });
        judge.end()
    }
}

/// Holds the map against one record after the other.
pub struct Judge<'a> {
    damage: &'a Damage,
    book: &'a Book,
    records: Records<'a>,
    /// stripes that are still to come
    expected: std::slice::Iter<'a, StripeId>,
    /// those that did not come
    unread: Vec<StripeId>,
    verdict: Verdict,
}

impl<'a> Judge<'a> {
    /// Of no record yet.
    pub fn new(damage: &'a Damage, book: &'a Book) -> Self {
        let verdict = Verdict { gaps: book.gaps, unknown: book.unknown(), ..Verdict::default() };
        let (records, expected) = (Records::of(book), book.stripes().iter());
        Self { damage, book, records, expected, unread: Vec::new(), verdict }
    }

    /// Takes the next record.
    pub fn add(&mut self, record: &StripeRecord) {
        // What parity along a drive is good for shows where a stripe across needs it.
        if record.kind == StripeKind::Along {
            return;
        }
        self.unread.extend(self.expected.by_ref().take_while(|id| **id != record.id));
        let verdict = &mut self.verdict;
        verdict.stripes += 1;
        let worst = self.damage.worst_column(record);
        if worst > record.m as usize && !self.damage.can_be_mended(self.book, &self.records, record)
        {
            verdict.beyond.push(record.id);
            verdict.lacking = verdict.lacking.max(worst - record.m as usize);
            let lost = record.shards.iter().filter(|s| self.damage.lost.contains(&s.slot));
            verdict.would_help.extend(lost.map(|shard| shard.slot));
        } else if worst > 0 {
            verdict.degraded += 1;
        }
        verdict.least_spare =
            Some((record.m as usize).saturating_sub(worst)).min_some(verdict.least_spare);
    }

    /// The verdict, once all records that can be read again were.
    pub fn end(self) -> Verdict {
        let Self { mut verdict, mut unread, expected, .. } = self;
        // The book was read once, so these stripes are there; what they hold cannot be found.
        unread.extend(expected);
        verdict.stripes += unread.len() as u64;
        verdict.beyond.extend(unread);
        verdict
    }
}

trait MinSome {
    fn min_some(self, other: Self) -> Self;
}

impl MinSome for Option<usize> {
    fn min_some(self, other: Self) -> Self {
        match (self, other) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }
}

/// What the damage means.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// stripes in the set
    pub stripes: u64,
    /// of these, restorable but not whole
    pub degraded: u64,
    /// not restorable from the drives that are here
    pub beyond: Vec<StripeId>,
    /// drives not here that hold shards of those
    pub would_help: BTreeSet<Slot>,
    /// how many of those at least
    pub lacking: usize,
    /// how many more shards any stripe can lose and still be restored
    pub least_spare: Option<usize>,
    /// records are missing
    pub gaps: bool,
    /// stripes of which no record was found, though it is known that there are so many more
    pub unknown: u64,
    /// runs of which no drive has the wrapped key any more: nobody can open them
    pub keyless: Vec<RunId>,
    /// of the stripes that could be restored, those that these runs sealed
    sealed: u64,
}

impl Verdict {
    /// Can everything still be restored?
    pub fn restorable(&self) -> bool {
        self.beyond.is_empty() && !self.gaps && self.unknown == 0 && self.keyless.is_empty()
    }

    /// The same, if of these runs of the book nobody can open anything.
    #[must_use]
    pub fn without_keys(mut self, book: &Book, keyless: Vec<RunId>) -> Self {
        let beyond: BTreeSet<&StripeId> = self.beyond.iter().collect();
        let is_sealed = |id: &&StripeId| keyless.contains(&id.run) && !beyond.contains(id);
        self.sealed = book.stripes().iter().filter(is_sealed).count() as u64;
        self.keyless = keyless;
        self
    }

    /// Stripes that cannot be restored, and stripes in all, as far as that is known.
    pub fn lost_of(&self) -> (u64, u64) {
        let lost = self.beyond.len() as u64 + self.sealed + self.unknown;
        (lost, self.stripes + self.unknown)
    }
}

/// The map for a set whose drives were not read: only what is not here.
pub fn absent(set: &FoundSet) -> Damage {
    Damage { lost: set.missing_slots().into_iter().collect(), shards: BTreeMap::new() }
}
