//! One pass over items: files, symlinks and special files; folders are finished later.
//!
//! - Enters: items in order, and a set's drives, records and keys.
//! - Leaves: what the items say, at the output; what is needed of drives that are not here.
//! - Always holds: three steps, each a batch ahead of the next: the drives read, the CPU opens, and
//!   what was opened is decompressed, verified and written.

use super::batch::{Batch, Batcher};
use super::decode::{OpenStripe, OpenedBatch};
use super::error::RestoreError;
use super::files::Files;
use super::items::Items;
use super::needed::Needed;
use super::restored::Restored;
use super::walk::SetWalk;
use crate::drives::buffer::Pool;
use crate::format::ids::Slot;
use crate::monitor::{Monitor, Recording};
use crate::stripes::fetch::Fetcher;
use crate::stripes::readahead::{Readahead, StripeRead};
use crossbeam_channel::bounded;
use std::sync::Arc;
use std::thread;

/// Buffers of opened shards that are kept for reuse.
pub const KEPT_SHARDS: usize = 64;
/// Batches that wait to be opened: they are small if files are.
const BATCHES_AHEAD: usize = 8;
/// Shards that each drive may have read ahead; more serve nobody.
const SHARDS_AHEAD: u64 = 2;
/// Of these bytes as many again are carried where shards are reconstructed: a stripe, usually.
const CARRIED_PART: u64 = 2;
/// No shard is taken to be smaller.
const LEAST_SHARD_BYTES: u64 = 4 << 20;

/// A batch whose blocks are being read.
struct BatchInFlight {
    batch: Batch,
    reading: Vec<StripeRead>,
    /// stripes that were opened before
    opened: Vec<Arc<OpenStripe>>,
}

/// Restores all items, and returns what is needed of drives that are not here.
pub fn run(
    walk: SetWalk,
    items: &mut (dyn Items + Send),
    restored: &mut Restored,
) -> Result<Needed, RestoreError> {
    let SetWalk { open, options, total, monitor, .. } = walk;
    let progress = |slot: Slot, bytes: u64| monitor.drive_advance(slot.0 as usize, bytes);
    let fetcher = Fetcher::new(open.set, open.record_index, &progress).reporting_to(monitor);
    let ahead_bytes = ahead_bytes(walk);
    let mut files = Files::new(walk, restored, items.lists_wait())?;
    thread::scope(|scope| {
        let fetcher = &fetcher;
        let carried = if options.selection.is_some() { 0 } else { ahead_bytes / CARRIED_PART };
        let mut readahead = Readahead::start(scope, fetcher, ahead_bytes, carried);
        let (to_open, being_read) = bounded::<BatchInFlight>(BATCHES_AHEAD);
        let (to_write, opened) = bounded::<(Batch, OpenedBatch)>(0);
        let skip = files.skipper();
        // Whichever of the later steps ends first, in whatever way, the reading ends with it.
        let (opener, writer) = (readahead.taker(), readahead.taker());
        let reading = scope.spawn(move || {
            let sparing = options.selection.is_some();
            let batch_bytes = items.batch_bytes(ahead_bytes / 4);
            let mut batcher = Batcher::new(open.record_index, batch_bytes, sparing, monitor);
            let mut in_place = 0;
            while let Some(batch) = batcher.next_batch(items, &skip) {
                leave_out(&batcher, &mut in_place, total, monitor);
                let opened = batch.opened(items);
                let Some(reading) = readahead.begin(batch.requests_but(&opened)) else { break };
                if to_open.send(BatchInFlight { batch, reading, opened }).is_err() {
                    break;
                }
            }
            readahead // until all that was begun is read
        });
        let opening = scope.spawn(move || {
            let (_opener, pool) = (opener, Pool::keeping(KEPT_SHARDS));
            for BatchInFlight { batch, reading, opened } in being_read {
                let raw: Option<_> = reading.into_iter().map(|read| read.wait(fetcher)).collect();
                let Some(raw) = raw else { return };
                let opened = OpenedBatch::new(open, raw, opened, fetcher, &pool);
                if monitor.should_stop() || to_write.send((batch, opened)).is_err() {
                    return;
                }
            }
        });
        let result = opened.iter().try_for_each(|(batch, opened)| files.batch(batch, &opened));
        drop((opened, writer));
        opening.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        drop(reading.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        result.and_then(|()| files.end())
    })
}

/// Bytes that may be read and not yet opened; a batch has a quarter of them. Of the memory for six
/// batches, four are for what is read and two for what is opened.
fn ahead_bytes(walk: SetWalk) -> u64 {
    let SetWalk { open, options, .. } = walk;
    let mut shard_bytes = LEAST_SHARD_BYTES;
    // For a few files not even the first record is worth looking for.
    if options.selection.is_none() {
        open.record_index.walk(&Recording::default(), |record| {
            shard_bytes = shard_bytes.max(record.blocks.file_bytes() as u64);
            false // the first is as large as any, or the set is small
        });
    }
    let drives = open.set.drives.len().max(1) as u64;
    (options.memory.for_shards() / 6 * 4).min(SHARDS_AHEAD * drives * shard_bytes)
}

/// Takes what is in place already off this run's total.
fn leave_out(batcher: &Batcher, known: &mut u64, total: u64, monitor: &dyn Monitor) {
    let in_place = batcher.in_place();
    if total > 0 && in_place > *known {
        *known = in_place;
        monitor.retotal(total.saturating_sub(in_place));
    }
}
