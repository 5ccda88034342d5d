//! The missing blocks of a stripe: which are lost, and which shards are needed for the others.
//!
//! - Enters: what was read and reconstructed of a stripe, and which of its shards are here.
//! - Leaves: its [`MissingBlocks`]; the damage that costs files, named by drive and block.
//! - Always holds: while shards are kept ([`FoundSet::stage`](crate::shipment::FoundSet::stage))
//!   and there are too few to reconstruct, each block that is here is looked at once a run, however
//!   often it is asked for.

use super::request::Request;
use super::shard_reader::ShardReader;
use super::stripe::{MissingBlocks, NeededShards, RawStripe};
use crate::format::record::StripeKind;
use crate::monitor::{Problem, ProblemKind};
use std::collections::BTreeSet;
use std::ops::Range;

/// Blocks of a shard that are named each.
const MOST_NAMED: usize = 16;

impl ShardReader<'_> {
    /// Was it read, now or before, and is it as recorded?
    fn is_good(&self, raw: &RawStripe, index: u8, column: usize) -> bool {
        let judged = || self.judged.is_good(raw.request().record.id, index, column);
        raw.is_good(index, column) || !raw.is_tried(index, column) && judged() == Some(true)
    }

    /// Was it read, or tried, now or before, and is not as recorded?
    fn is_bad(&self, raw: &RawStripe, index: u8, column: usize) -> bool {
        let judged = || self.judged.is_good(raw.request().record.id, index, column);
        raw.is_bad(index, column) || !raw.is_tried(index, column) && judged() == Some(false)
    }

    /// Names the blocks on drives that are here, or were, which those that are bad still would
    /// need.
    pub(super) fn report_damage(&self, raw: &RawStripe, here: &BTreeSet<u8>) {
        let (Some(monitor), record) = (self.monitor, &raw.request().record) else { return };
        let columns = raw.bad_columns();
        for (index, shard) in record.shards.iter().enumerate() {
            let on_drive = self.set.drive(shard.slot).filter(|_| self.has_drive(shard.slot));
            let is_bad = |column: &&usize| self.is_lost(raw, here, index as u8, **column);
            let bad: Vec<String> = columns.iter().filter(is_bad).map(ToString::to_string).collect();
            if !bad.is_empty() {
                let subject = on_drive.map_or_else(
                    || format!("slot {}, as it was when it was here", shard.slot),
                    |found| found.drive.name().to_owned(),
                );
                let blocks = if bad.len() > 1 { "blocks" } else { "block" };
                let detail = format!(
                    "shard {}-{index:02x}: {blocks} {} cannot be read or reconstructed; \
                     holdall verify names all damage",
                    record.id,
                    if bad.len() > MOST_NAMED { "of many numbers".into() } else { bad.join(", ") },
                );
                monitor.problem(Problem::new(ProblemKind::Damage, subject, detail));
            }
        }
    }

    /// Is a block lost: bad on its drive, which is here, or was? What was tried with some
    /// blocks skipped, or may yet be had along its drive, is not noted.
    fn is_lost(&self, raw: &RawStripe, here: &BTreeSet<u8>, index: u8, column: usize) -> bool {
        let record = &raw.request().record;
        let slot = record.shards[index as usize].slot;
        let bad = self.is_bad(raw, index, column);
        let is_here = bad && self.has_drive(slot);
        let Some(known) = &self.set.bad_blocks else { return is_here };
        if self.has_drive(slot) && self.is_good(raw, index, column) {
            known.note(record.id, index, column, false);
        }
        let is_wanted = raw.request().shards.contains_key(&index);
        let is_exhaustive = is_wanted
            || !self.has_along(record, index)
                && (self.has_kept() || here.len() >= record.k as usize);
        if is_here && is_exhaustive && !self.should_stop() {
            known.note(record.id, index, column, true);
        }
        is_here || !self.is_good(raw, index, column) && known.has(record.id, index, column)
    }

    /// Of columns that cannot be reconstructed those in which it takes the other blocks to tell whether
    /// they ever can: a wanted block is bad on its drive, which is here, or was. All else comes with
    /// its own drive.
    pub(super) fn doubtful(&self, raw: &RawStripe, mut columns: Vec<usize>) -> Vec<usize> {
        let Request { record, shards } = raw.request();
        let is_doubtful = |index: u8, column: usize| {
            let known =
                || self.set.bad_blocks.as_ref().is_some_and(|k| k.has(record.id, index, column));
            self.has_drive(record.shards[index as usize].slot) || known()
        };
        let doubtful = |column: &usize| {
            let of = |(index, range): (&u8, &Range<usize>)| {
                range.contains(column)
                    && !raw.is_good(*index, *column)
                    && is_doubtful(*index, *column)
            };
            shards.iter().any(of)
        };
        columns.retain(doubtful);
        columns
    }

    /// The wanted blocks that are bad still, column by column, and who has them.
    pub(super) fn missing(&self, raw: &RawStripe, here: &BTreeSet<u8>) -> MissingBlocks {
        let record = &raw.request().record;
        let mut missing = MissingBlocks::default();
        if record.kind == StripeKind::Along {
            let needed = || NeededShards { k: 1, ..NeededShards::default() };
            let waits = !raw.bad_blocks().is_empty() && !self.set.missing_slots().is_empty();
            return MissingBlocks { needed: waits.then(needed).into_iter().collect(), ..missing };
        }
        let bad = raw.bad_blocks();
        for column in raw.bad_columns() {
            let mut needed = NeededShards { k: record.k, ..NeededShards::default() };
            for (index, shard) in record.shards.iter().enumerate() {
                let index = index as u8;
                if self.is_lost(raw, here, index, column) {
                    continue;
                }
                needed.sound.push(shard.slot.0);
                if !self.has_drive(shard.slot)
                    && here.contains(&index)
                    && !self.is_bad(raw, index, column)
                {
                    needed.kept.push(shard.slot.0);
                }
            }
            let can_be_reconstructed = needed.sound.len() >= record.k as usize;
            // A block whose own drive is not here comes with it.
            let comes = |index: u8| {
                can_be_reconstructed || needed.sound.contains(&record.shards[index as usize].slot.0)
            };
            let bad = bad.iter().copied().filter(|(_, of)| *of == column);
            let (comes, lost): (Vec<(u8, usize)>, Vec<_>) =
                bad.partition(|(index, _)| comes(*index));
            missing.lost.extend(lost);
            if !comes.is_empty() && !missing.needed.contains(&needed) {
                missing.needed.push(needed);
            }
        }
        missing
    }
}
