//! The damage map of a set: what is missing or bad, and whether the rest is enough.

use super::report::{BadShard, DriveReport};
use super::spare::{Cases, Losses, Spare};
use crate::format::ids::{RunId, Slot, StripeId};
use crate::format::record::{StripeKind, StripeRecord};
use crate::format::set::{SetText, UNKNOWN_CASE};
use crate::monitor::Monitor;
use crate::shards::bad_blocks::ShardDamage;
use crate::shipment::FoundSet;
use crate::shipment::RecordIndex;
use crate::shipment::record_reader::Records;
use crate::stripes::peel::{Node, is_given_along, steps};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Everything wrong in a set, by stripe and shard index.
#[derive(Clone, Debug, Default)]
pub struct Damage {
    /// slots whose drive is not here or vanished
    pub lost: BTreeSet<Slot>,
    /// bad shards on drives that are here, by stripe and index
    pub shards: BTreeMap<(StripeId, u8), ShardDamage>,
    /// of each file without which nothing is restored, and of which a drive here has no sound copy:
    /// the slots whose drives have one
    pub holders: Vec<BTreeSet<Slot>>,
    /// which drives lie in which case
    pub cases: Cases,
}

impl Damage {
    /// Of a set whose drives were not read: only what is not here.
    pub fn absent(set: &FoundSet, text: Option<&SetText>) -> Self {
        let mut known: BTreeMap<Slot, String> = BTreeMap::new();
        for found in set.drives.iter().filter(|found| found.label.case != UNKNOWN_CASE) {
            known.insert(found.label.slot, found.label.case.clone());
        }
        for line in text.iter().flat_map(|text| &text.slots) {
            known.extend(line.known_case().map(|case| (line.slot, case)));
        }
        let slots = known.into_iter().map(|(slot, case)| (slot, Some(case)));
        let here = set.drives.iter().map(|found| found.label.slot);
        let lost = set.missing_slots().into_iter().collect();
        Self { lost, cases: Cases::new(slots, here), ..Self::default() }
    }

    /// Notes a bad shard.
    pub fn add(&mut self, bad: &BadShard) {
        self.shards.insert((bad.stripe, bad.index), bad.damage.clone());
    }

    /// Notes what was found on the drives of one slot, which are sources of the same shards: what
    /// is bad on all of them is bad. A drive that vanished is no source.
    pub fn add_slot<'a>(&mut self, slot: Slot, reports: impl IntoIterator<Item = &'a DriveReport>) {
        let sources: Vec<_> = reports.into_iter().filter(|report| !report.vanished).collect();
        let mut sources = sources.into_iter();
        let Some(first) = sources.next() else {
            self.lost.insert(slot);
            return;
        };
        let shards =
            |report: &'a DriveReport| report.bad.iter().map(|b| ((b.stripe, b.index), &b.damage));
        let others: Vec<BTreeMap<_, &ShardDamage>> =
            sources.map(|other| shards(other).collect()).collect();
        for ((stripe, index), bad) in shards(first) {
            let mut others = others.iter();
            let bad = others.try_fold(bad.clone(), |bad, o| bad.and(o.get(&(stripe, index))?));
            if let Some(bad) = bad {
                self.shards.insert((stripe, index), bad);
            }
        }
    }

    /// Notes the files without which nothing is restored, of each drive those of which it has no
    /// sound copy.
    pub fn add_lacking(&mut self, drives: &[(Slot, &BTreeSet<String>)]) {
        let all: BTreeSet<&String> = drives.iter().flat_map(|(_, lacking)| *lacking).collect();
        let holders = |path: &String| {
            let have = drives.iter().filter(|(_, lacking)| !lacking.contains(path));
            have.map(|(slot, _)| *slot).collect()
        };
        self.holders.extend(all.into_iter().map(holders));
    }

    /// What `record`'s stripe lacks.
    fn lacks(&self, record: &StripeRecord) -> Lacks {
        let mut lacks = Lacks::default();
        for (index, shard) in record.shards.iter().enumerate() {
            if self.lost.contains(&shard.slot) {
                lacks.absent += 1;
                continue;
            }
            match self.shards.get(&(record.id, index as u8)) {
                None => {}
                Some(ShardDamage::Missing | ShardDamage::Unread) => lacks.missing += 1,
                Some(ShardDamage::Blocks(blocks)) => {
                    blocks.iter().for_each(|b| *lacks.columns.entry(*b).or_default() += 1);
                }
            }
        }
        lacks
    }

    /// Is the block of this number bad?
    fn is_bad(&self, record: &StripeRecord, index: u8, column: usize) -> bool {
        let slot = record.shards[index as usize].slot;
        let bad = self.shards.get(&(record.id, index));
        self.lost.contains(&slot)
            || match bad {
                None => false,
                Some(ShardDamage::Missing | ShardDamage::Unread) => true,
                Some(ShardDamage::Blocks(blocks)) => blocks.binary_search(&(column as u32)).is_ok(),
            }
    }

    /// Does the drive of a bad block give it by parity along itself?
    fn is_given_along(
        &self,
        record_index: &RecordIndex,
        records: &Records,
        node: Node,
        column: usize,
    ) -> bool {
        let is_good = &mut |r: &Arc<StripeRecord>, node: Node| !self.is_bad(r, node.index, column);
        is_given_along(record_index, records, column, node, is_good)
    }

    /// Do both codes in turn give what the stripe alone cannot?
    fn can_be_reconstructed(
        &self,
        record_index: &RecordIndex,
        records: &Records,
        record: &StripeRecord,
    ) -> bool {
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
            let steps = steps(record_index, records, column, &bad, is_good);
            let given: usize = steps
                .iter()
                .flat_map(|step| &step.gives)
                .filter(|node| node.stripe == record.id)
                .count();
            given == bad.len()
        })
    }

    /// Holds the map against the records: can every stripe be restored?
    pub fn judge(&self, record_index: &RecordIndex, monitor: &dyn Monitor) -> Verdict {
        let mut judge = Judge::new(self, record_index);
        record_index.walk(monitor, |record| {
            judge.add(record);
            true
        });
        judge.end()
    }
}

/// What a stripe lacks.
#[derive(Default)]
struct Lacks {
    /// shards on drives that are not here
    absent: usize,
    /// shards missing whole on drives that are here
    missing: usize,
    /// by column, bad blocks besides
    columns: BTreeMap<u32, usize>,
}

impl Lacks {
    /// Shards and blocks that are lacking in the worst column.
    fn worst(&self) -> usize {
        self.absent + self.missing + self.columns.values().max().unwrap_or(&0)
    }

    /// How many of `count` columns lack more than `m`.
    fn lost_columns(&self, count: usize, m: usize) -> usize {
        match self.absent + self.missing {
            whole if whole > m => count,
            whole => self.columns.values().filter(|bad| whole + **bad > m).count(),
        }
    }

    /// Would the absent shards give a column that lacks too much?
    fn would_be_helped(&self, count: usize, m: usize) -> bool {
        let here = |bad: usize| self.missing + bad;
        let is_helped = |bad: usize| here(bad) <= m && here(bad) + self.absent > m;
        is_helped(0) && self.columns.len() < count || self.columns.values().any(|b| is_helped(*b))
    }
}

/// Holds the map against one record after the other.
pub struct Judge<'a> {
    damage: &'a Damage,
    record_index: &'a RecordIndex,
    records: Records<'a>,
    /// stripes that are still to come
    expected: std::slice::Iter<'a, StripeId>,
    /// those that did not come
    unread: Vec<StripeId>,
    spare: Spare,
    /// bad blocks of which it is still asked whether their own drive gives them
    tries: usize,
    verdict: Verdict,
}

/// Bad blocks of which that is asked: each costs some records.
const MOST_TRIES: usize = 1024;

impl<'a> Judge<'a> {
    /// Of no record yet.
    pub fn new(damage: &'a Damage, record_index: &'a RecordIndex) -> Self {
        let verdict = Verdict {
            gaps: record_index.gaps,
            unknown: record_index.unknown(),
            ..Verdict::default()
        };
        let (records, expected) = (Records::of(record_index), record_index.stripes().iter());
        let (unread, spare, tries) = (Vec::new(), Spare::default(), MOST_TRIES);
        Self { damage, record_index, records, expected, unread, spare, tries, verdict }
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
        let (lacks, m, columns) =
            (self.damage.lacks(record), record.m as usize, record.blocks.count());
        let worst = lacks.worst();
        if worst > m && !self.damage.can_be_reconstructed(self.record_index, &self.records, record)
        {
            verdict.beyond.push(record.id);
            let sound = columns - lacks.lost_columns(columns, m).min(columns);
            verdict.sound_parts += PARTS * sound as u64 / columns.max(1) as u64;
            if lacks.would_be_helped(columns, m) {
                let lost = record.shards.iter().filter(|s| self.damage.lost.contains(&s.slot));
                verdict.would_help.extend(lost.map(|shard| shard.slot));
            }
        } else if worst > 0 {
            verdict.degraded += 1;
        }
        self.note_spare(record);
        let verdict = &mut self.verdict;
        verdict.least_spare = Some(m.saturating_sub(worst)).min_some(verdict.least_spare);
    }

    /// Notes what a stripe leaves to be lost.
    fn note_spare(&mut self, record: &StripeRecord) {
        let (damage, cases, k) = (self.damage, &self.damage.cases, record.k as usize);
        let mut here: Vec<(u8, Slot)> = Vec::with_capacity(record.shards.len());
        let mut columns: BTreeMap<u32, BTreeSet<u8>> = BTreeMap::new();
        // The shards first: a stripe may have 255, and no number follows the last.
        for (shard, index) in record.shards.iter().zip(0..) {
            match damage.shards.get(&(record.id, index)) {
                _ if damage.lost.contains(&shard.slot) => continue,
                Some(ShardDamage::Missing | ShardDamage::Unread) => continue,
                Some(ShardDamage::Blocks(blocks)) => blocks.iter().for_each(|column| {
                    columns.entry(*column).or_default().insert(index);
                }),
                None => {}
            }
            here.push((index, shard.slot));
        }
        self.spare.note(cases, here.iter().map(|(_, slot)| *slot), k);
        for (column, mut bad) in columns {
            let good = |bad: &BTreeSet<u8>| {
                let good = here.iter().filter(|(index, _)| !bad.contains(index));
                good.map(|(_, slot)| *slot).collect::<Vec<_>>()
            };
            if !self.spare.lessens(cases, good(&bad), k) {
                continue;
            }
            bad.retain(|index| {
                self.tries = self.tries.saturating_sub(1);
                let node = Node { stripe: record.id, index: *index };
                self.tries == 0
                    || !damage.is_given_along(
                        self.record_index,
                        &self.records,
                        node,
                        column as usize,
                    )
            });
            self.spare.note(cases, good(&bad), k);
        }
    }

    /// The verdict, once all records that can be read again were.
    pub fn end(self) -> Verdict {
        let Self { damage, record_index, mut verdict, mut unread, mut spare, expected, .. } = self;
        // The record index was read once, so these stripes are there; what they hold cannot be
        // found.
        unread.extend(expected);
        verdict.stripes += unread.len() as u64;
        verdict.beyond.extend(unread);
        verdict.cases = damage.cases.without(&damage.lost);
        if verdict.stripes > 0 {
            // One drive must be left, and of each such file one that has it.
            let here: BTreeSet<Slot> = verdict.cases.here().collect();
            for holders in damage.holders.iter().chain([&here]) {
                spare.note(&verdict.cases, holders.intersection(&here).copied(), 1);
            }
        }
        verdict.losses = spare.losses();
        verdict.may_be_more = record_index.may_miss_records(&damage.lost);
        // Every drive has all records.
        if verdict.gaps || verdict.unknown > 0 || verdict.is_blank() {
            verdict.would_help.extend(&damage.lost);
        }
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
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// stripes in the set of which there is a record
    #[serde(skip)]
    pub stripes: u64,
    /// of these, restorable but not whole
    pub degraded: u64,
    /// not restorable from the drives that are here
    pub beyond: Vec<StripeId>,
    /// drives not here that hold shards of those, or perhaps records that are missing
    pub would_help: BTreeSet<Slot>,
    /// how many more shards any stripe can lose and still be restored
    #[serde(skip)]
    pub least_spare: Option<usize>,
    /// what may still be lost: each of these
    #[serde(skip)]
    pub losses: Vec<Losses>,
    /// which drives are here, and the cases of all
    #[serde(skip)]
    pub cases: Cases,
    /// records are missing
    #[serde(skip)]
    pub gaps: bool,
    /// stripes of which no record was found, though it is known that there are so many more
    pub unknown: u64,
    /// nothing here says how many stripes there are, and drives that are not here may
    #[serde(skip)]
    pub may_be_more: bool,
    /// runs of which no drive has the wrapped key any more: nobody can open them
    pub keyless: Vec<RunId>,
    /// of the stripes that could be restored, those that these runs sealed
    #[serde(skip)]
    sealed: u64,
    /// of the stripes beyond, what can be restored all the same, in parts of a stripe
    #[serde(skip)]
    sound_parts: u64,
}

/// So many parts are a stripe.
const PARTS: u64 = 1 << 16;

impl Verdict {
    /// Can everything still be restored?
    pub fn restorable(&self) -> bool {
        let all_there = self.beyond.is_empty() && !self.gaps && self.unknown == 0;
        all_there && self.keyless.is_empty() && !self.is_blank()
    }

    /// Is nothing known of the set, as what tells of it may lie on drives that are not here?
    pub fn is_blank(&self) -> bool {
        self.may_be_more && self.stripes == 0
    }

    /// The same, if of these runs of the record index nobody can open anything.
    #[must_use]
    pub fn without_keys(mut self, record_index: &RecordIndex, keyless: Vec<RunId>) -> Self {
        let beyond: BTreeSet<&StripeId> = self.beyond.iter().collect();
        let is_sealed = |id: &&StripeId| keyless.contains(&id.run) && !beyond.contains(id);
        self.sealed = record_index.stripes().iter().filter(is_sealed).count() as u64;
        self.keyless = keyless;
        self
    }

    /// The same, if all of them were opened.
    #[must_use]
    pub fn opened(self) -> Self {
        Self { keyless: Vec::new(), sealed: 0, ..self }
    }

    /// Stripes that cannot be restored, and stripes in all, as far as that is known.
    pub fn lost_of(&self) -> (u64, u64) {
        let lost = self.beyond.len() as u64 + self.sealed + self.unknown;
        (lost, self.stripes + self.unknown)
    }

    /// How much that is: what is lost of them, and all, in parts of a stripe.
    pub fn lost_parts(&self) -> (u64, u64) {
        let (lost, all) = self.lost_of();
        ((lost * PARTS).saturating_sub(self.sound_parts).max(lost.min(1)), all * PARTS)
    }
}
