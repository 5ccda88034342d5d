//! Fetching a stripe: the blocks that are wanted, from wherever they are, reconstructed where they
//! are not.
//!
//! Two steps, so that the first can run ahead on the drives while the second uses the CPU:
//! [`Fetcher::read`] reads; [`Fetcher::complete`] checks each block against its record,
//! reconstructs what is bad column by column, and reads more only if a column still lacks blocks.

use super::reconstruct::reconstruct;
use super::request::Request;
use super::shard_reader::ShardReader;
use super::stripe::{ColumnWork, MissingBlocks, RawStripe, Sound, Stripe};
use crate::drives::ReadMode;
use crate::format::ids::Slot;
use crate::format::record::StripeKind;
use crate::monitor::Monitor;
use crate::shipment::{FoundSet, RecordIndex};
use std::collections::BTreeSet;

/// Reads stripes of one set.
pub struct Fetcher<'a> {
    pub(super) shards: ShardReader<'a>,
}

impl<'a> Fetcher<'a> {
    /// Reads from the drives of `set` that are here, whose records are in `record_index`;
    /// `progress` hears of every read.
    pub fn new(
        set: &'a FoundSet,
        record_index: &'a RecordIndex,
        progress: &'a (dyn Fn(Slot, u64) + Sync),
    ) -> Self {
        Self { shards: ShardReader::new(set, record_index, progress) }
    }

    /// Reads what the drives hold past the caches.
    #[must_use]
    pub fn past_caches(mut self) -> Self {
        self.shards.mode = ReadMode::Medium;
        self
    }

    /// Reports drives that no longer answer.
    #[must_use]
    pub fn reporting_to(mut self, monitor: &'a dyn Monitor) -> Self {
        self.shards.monitor = Some(monitor);
        self
    }

    /// Reads the wanted shards, each from its drive at the same time; where some cannot be read at
    /// all, other shards of the stripe in their place.
    pub fn read(&self, request: Request) -> RawStripe {
        let absent = self.shards.absent(&request.record).collect();
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
            let read = |i: usize| self.shards.read_shard(record, next[i].0, &next[i].1);
            let blocks = crate::drives::on_each(next.len(), read);
            let read = next.iter().zip(blocks).filter_map(|((i, _), b)| Some((*i, b?)));
            raw.shards.extend(read);
        }
    }

    /// Checks what was read and reconstructs what is bad.
    pub fn complete(&self, raw: RawStripe) -> Stripe {
        self.complete_with(raw, &|_, _, _| ())
    }

    /// The same, and hands on most sound blocks while they are hot; the stripe has them all.
    pub fn complete_with(&self, mut raw: RawStripe, sound: Sound) -> Stripe {
        let (shards, record) = (&self.shards, raw.request().record.clone());
        let across = record.kind == StripeKind::Across;
        let code = across.then(|| shards.code(record.k, record.m));
        let code = code.as_deref();
        raw.make_room(&shards.pool);
        let one_source = shards.set.duplicates.is_empty() && shards.set.stage.is_none();
        let first = code.filter(|_| one_source);
        let on_drive = &|index: u8| shards.has_drive(record.shards[index as usize].slot);
        let again = ColumnWork { check: false, code, sound, on_drive };
        let (mut as_read, unread) = (raw.whole(), raw.bad_blocks().len() as u64);
        let mut reconstructed = raw.work(&ColumnWork { check: true, code: first, ..again });
        let here = shards.here(&record);
        if !one_source {
            let read = raw.shards.iter_mut().filter(|(index, _)| here.contains(index));
            read.for_each(|(index, shard)| shards.check_others(&record, *index, shard));
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
        if across && !enough && shards.has_kept() {
            // What is kept of the drives that are here counts for later runs, if it is good.
            shards.judge(&mut raw, &columns, &here);
        } else if across
            && let columns = if enough { columns } else { shards.doubtful(&raw, columns) }
            && !columns.is_empty()
        {
            let wanted = raw.request().good_wanted(here.len());
            shards.read_more(&mut raw, &columns, wanted);
            reconstructed.add(raw.work(&again));
            let left = raw.bad_columns();
            if !left.is_empty() && !shards.should_stop() {
                shards.read_singly(&mut raw, &left, enough);
                reconstructed.add(raw.work(&again));
            }
        }
        let mut bad = raw.bad_blocks();
        if across && !enough {
            // Not even with every shard that is here; only what is bad on a drive may be had along
            // it.
            bad.retain(|(index, _)| shards.has_along(&record, *index));
        }
        if !bad.is_empty() {
            let blocks = reconstruct(shards, &record, &bad).into_iter();
            let blocks = blocks.filter(|((index, column), block)| raw.put(*index, *column, block));
            blocks.for_each(|((index, _), _)| reconstructed.count(on_drive(index)));
        }
        let missing = shards.missing(&raw, &here);
        shards.report_damage(&raw, &here);
        raw.end(reconstructed, missing)
    }
}
