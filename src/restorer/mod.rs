//! The road back: the items of a set, stripe by stripe, to files at the destination.
//!
//! - Enters: a set's drives, records and keys; a destination.
//! - Leaves: files under their final names, complete and verified; and exactly what is not there.
//! - Always holds: (1) nothing is used before its record's hash and its tag match; (2) an extent
//!   is hashed before it is written, a file's root is compared before it gets its name; (3) what
//!   cannot be had is listed by file, and the rest is restored; (4) memory: what is read ahead, two
//!   batches that are opened, and a chunk for each core.
//!
//! [`items`] gives the items in order (from the catalog, or from the shards' own lists); [`batch`]
//! cuts them where enough stripes are named; the drives read the batches' blocks ahead; [`decode`]
//! checks, reconstructs and opens; [`write`] verifies and writes in parallel; [`files`] follows
//! large files to their roots, in order; [`spanning`] those that run on into other sets; [`finish`]
//! makes hard links and sets the folders' metadata; the [`ledger`] of each set keeps what is not
//! there, [`not_taken`] and [`packing_faults`] what never was as it should be, and the [`end`] of a run
//! reports it; [`finished`] is for a restore that is asked for once more. [`check`] goes the same
//! way with an [`output`] that forgets everything. What is [`special`] is counted, or left out.
//! With `--include` or `--exclude` [`selected`] lets pass what is asked for, and [`promotion`]
//! restores a file of which only a further name is. [`pieces`] and [`stage`] keep what one run with
//! few drives leaves to the next. [`room`] says before what it will take.
//!
//! The page of `holdall help restore` follows.
#![doc = include_str!("restore.md")]

pub mod batch;
pub mod check;
pub mod decode;
pub mod end;
pub mod files;
pub mod finish;
pub mod finished;
pub mod items;
pub mod ledger;
pub mod needed;
pub mod not_taken;
mod open_file;
pub mod output;
pub mod packing_faults;
mod pieces;
mod promotion;
mod restored;
pub mod room;
pub mod selected;
pub mod spanning;
pub mod special;
pub mod stage;
pub mod write;

pub use restored::Restored;

use crate::destination::{Destination, DestinationError, OnConflict};
use crate::drives::buffer::Pool;
use crate::format::catalog::KeySpan;
use crate::format::ids::{RunId, Slot};
use crate::keys::RunKey;
use crate::memory::Memory;
use crate::monitor::{Monitor, Recording};
use crate::patterns::Selection;
use crate::shipment::{FoundSet, RecordIndex};
use crate::stripes::fetch::Fetcher;
use crate::stripes::readahead::{Readahead, Reading};
use batch::{Batch, Batcher};
use crossbeam_channel::bounded;
use decode::{OpenStripe, Opened};
use files::Files;
use ledger::Ledger;
use needed::Needed;
use output::Output;
use promotion::Promoted;
use selected::Selected;
use special::Harmless;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::thread;

/// A set that is opened with its keys.
pub struct OpenSet<'a> {
    pub set: &'a FoundSet,
    /// its records, authenticated
    pub record_index: &'a RecordIndex,
    pub keys: &'a BTreeMap<RunId, RunKey>,
}

#[allow(clippy::struct_excessive_bools, reason = "each is a matter of its own")]
#[derive(Clone, Copy, Debug, Default)]
pub struct RestoreOptions<'a> {
    /// what to restore; none: everything
    pub selection: Option<&'a Selection>,
    /// bytes of the files that are selected, without holes
    pub selected_bytes: u64,
    /// drives that are not here never come: what they hold is lost
    pub give_up: bool,
    /// leave incomplete files as NAME.incomplete
    pub salvage: bool,
    /// without devices, set-id bits, capabilities and other attributes of the system
    pub no_special: bool,
    /// this resumes an earlier restore
    pub resumed: bool,
    /// sets after this one are known, whatever its set.txt says
    pub later_sets: bool,
    /// what it may take
    pub memory: Memory,
}

impl RestoreOptions<'_> {
    /// What an earlier run left under an entry's name is made anew.
    pub fn on_conflict(&self) -> OnConflict {
        if self.resumed { OnConflict::Replace } else { OnConflict::Fail }
    }
}

/// Why a restore stopped.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The destination cannot be written.
    #[error("write to the destination")]
    Destination(#[from] DestinationError),
    /// zstd has no memory.
    #[error("the system gives no memory")]
    System(#[from] std::io::Error),
}

/// Restores all entries of a set, or those that are selected.
pub fn restore(
    open: &OpenSet,
    destination: &Destination,
    options: RestoreOptions,
    monitor: &dyn Monitor,
) -> Result<Restored, RestoreError> {
    let end_unknown = note_end(open, monitor);
    destination.begin_unkept(open.set.set)?;
    let mut restored = Restored { end_unknown, ..Restored::default() };
    let mut begun = None;
    let (is_first, selection) = (!options.resumed, options.selection);
    let mut options = options;
    let everything = [KeySpan::all()];
    let spans = selection.map_or(&everything[..], Selection::spans);
    let from_catalog = |spans: &[KeySpan]| {
        let mut items = items::CatalogItems::open(open, monitor)?;
        items.seek(spans);
        Some(items)
    };
    if let Some(mut items) = from_catalog(spans) {
        // What waits for drives is not given back by this run; how much that is nobody knows
        // before.
        let total = match selection {
            _ if !room::gives_all(open, selection.is_some()) => 0,
            Some(_) => options.selected_bytes,
            None => items.data_bytes(open),
        };
        monitor.retotal(total);
        let ledger = &Ledger::begin(destination, open.set.set)?;
        let walk = Walk { open, destination, options, ledger, total, monitor };
        let (mut items, promoted) = walk.restore(items, &from_catalog, &mut restored)?;
        let is_damaged = items.is_damaged();
        if !is_damaged && !restored.stopped {
            items.seek(spans);
            walk.finish(items, &promoted, &mut restored)?;
        }
        if !is_damaged || restored.stopped {
            restored.listed = !is_damaged;
            ledger.end()?;
            return Ok(restored);
        }
        // What was restored so far stays; the lists say the same and more, also of where this set's
        // parts of files begin and end.
        spanning::forget_set(destination, open.set.set)?;
        options.resumed = true;
        let anew = Restored { end_unknown, ..Restored::default() };
        begun = Some(std::mem::replace(&mut restored, anew));
    }
    restored.from_lists = true;
    monitor.note("the catalog is not readable; going by the lists in the shards");
    let lists = |_: &[KeySpan]| Some(items::ListItems::new(open, monitor));
    let ledger = &Ledger::begin(destination, open.set.set)?;
    let walk = Walk { open, destination, options, ledger, total: 0, monitor };
    let from_lists = items::ListItems::new(open, monitor);
    let (from_lists, promoted) = walk.restore(from_lists, &lists, &mut restored)?;
    (restored.unlisted, restored.lists_wait) = from_lists.unlisted();
    restored.listed = restored.unlisted == 0;
    if !restored.stopped {
        let silent = Recording::default();
        walk.finish(items::ListItems::new(open, &silent), &promoted, &mut restored)?;
    }
    begun.iter().for_each(|begun| restored.count_begun(begun, is_first));
    ledger.end()?;
    Ok(restored)
}

/// What walks over the items of a set have in common.
struct Walk<'a> {
    open: &'a OpenSet<'a>,
    destination: &'a Destination,
    options: RestoreOptions<'a>,
    ledger: &'a Ledger<'a>,
    /// bytes that are given back, with those that are there already; 0 if unknown
    total: u64,
    monitor: &'a dyn Monitor,
}

impl Walk<'_> {
    /// Restores what has bytes; `again` gives the items in some spans anew. Gives the items back,
    /// and what was restored under another name than its first.
    fn restore<I: items::Items + Send>(
        &self,
        items: I,
        again: &dyn Fn(&[KeySpan]) -> Option<I>,
        restored: &mut Restored,
    ) -> Result<(I, Promoted), RestoreError> {
        let Self { open, destination, options, ledger, total, monitor } = *self;
        let output = Output::Folder(destination);
        let items = Selected::new(items, options.selection);
        let mut items = Harmless::new(items, options.no_special);
        let mut needed =
            pass(open, &mut items, output, options, restored, (ledger, monitor, total))?;
        restored.left.add(items.left());
        let names = items.items.take_promotions();
        let mut promoted = Promoted::default();
        if !names.is_empty()
            && !restored.stopped
            && let Some(again) = again(&promotion::spans(&names))
        {
            let (more, found) = promotion::promote(self, again, names, restored)?;
            needed.extend(more);
            promoted = found;
        }
        if !restored.stopped {
            stage::keep(open.set, open.record_index, &needed.stripes, monitor);
            if open.set.stage.is_some() {
                let here: BTreeSet<u16> =
                    open.set.all_drives().map(|found| found.label.slot.0).collect();
                needed.drives =
                    needed.drives.into_iter().map(|drives| drives.keeping(&here)).collect();
            }
        }
        restored.needed = needed.drives;
        restored.more_needed = needed.more;
        Ok((items.items.items, promoted))
    }

    /// Does what only the end can do.
    fn finish(
        &self,
        items: impl items::Items,
        promoted: &Promoted,
        restored: &mut Restored,
    ) -> Result<(), RestoreError> {
        let items = Selected::new(items, self.options.selection);
        let mut items = Harmless::new(items, self.options.no_special);
        let set = self.open.set.set;
        let (to, options, reporting) =
            (self.destination, self.options, (self.ledger, self.monitor));
        finish::finish(&mut items, set, to, options, promoted, restored, reporting)
    }
}

/// Reports, and returns true, if nothing shows whether more of the dataset was to follow.
pub fn note_end(open: &OpenSet, monitor: &dyn Monitor) -> bool {
    let text = open.set.set_text(&Recording::default());
    match text.map(|text| text.further_sets()) {
        None => match open.set.in_use_by() {
            Some(program) => monitor.note(&format!(
                "the set is not closed yet: {program} is at work on it, and there may be more"
            )),
            None if open.set.missing_slots().is_empty() => {
                monitor.note("the set was never closed, so there may have been more");
            }
            None => monitor.note(
                "as far as the drives here show, the set was never closed: there may be more of it",
            ),
        },
        Some(None) => monitor.note(
            "the set was closed from its drives alone: it cannot tell whether more of the dataset \
             was to follow",
        ),
        Some(Some(_)) => return false,
    }
    true
}

/// Decodes all files of a set, and forgets them: the road back as far as the destination.
pub fn decode(open: &OpenSet, monitor: &dyn Monitor) -> Result<Restored, RestoreError> {
    let mut restored = Restored::default();
    if let Some(mut items) = items::CatalogItems::open(open, monitor) {
        let options = RestoreOptions::default();
        let reporting = (&Ledger::Reported(monitor), monitor, 0);
        pass(open, &mut items, Output::Nowhere, options, &mut restored, reporting)?;
    }
    Ok(restored)
}

/// Buffers of opened shards that are kept for reuse.
const KEPT_SHARDS: usize = 64;
/// Batches that wait to be opened: they are small if files are.
const BATCHES_AHEAD: usize = 8;
/// Shards that each drive may have read ahead; more serve nobody.
const SHARDS_AHEAD: u64 = 2;
/// No shard is taken to be smaller.
const LEAST_SHARD_BYTES: u64 = 4 << 20;

/// Bytes that may be read and not yet opened, and those of a batch: of memory for six batches four
/// are for what is read, two for what is opened.
fn sizes(open: &OpenSet, options: RestoreOptions) -> (u64, u64) {
    let mut shard_bytes = LEAST_SHARD_BYTES;
    // For a few files not even the first record is worth looking for.
    if options.selection.is_none() {
        open.record_index.walk(&Recording::default(), |record| {
            shard_bytes = shard_bytes.max(record.blocks.file_bytes() as u64);
            false // the first is as large as any, or the set is small
        });
    }
    let drives = open.set.drives.len().max(1) as u64;
    let most = (options.memory.for_shards() / 6 * 4).min(SHARDS_AHEAD * drives * shard_bytes);
    (most, most / 4)
}

/// What is in place already is not of this run's total.
fn leave_out(batcher: &Batcher, known: &mut u64, total: u64, monitor: &dyn Monitor) {
    let in_place = batcher.in_place();
    if total > 0 && in_place > *known {
        *known = in_place;
        monitor.retotal(total.saturating_sub(in_place));
    }
}

/// One walk over the items: files, symlinks, special files and folders to be finished later.
///
/// Three steps, each a batch ahead of the next: the drives read, the CPU opens, and what was opened
/// is decompressed, verified and written.
fn pass(
    open: &OpenSet,
    items: &mut (dyn items::Items + Send),
    output: Output,
    options: RestoreOptions,
    restored: &mut Restored,
    (ledger, monitor, total): (&Ledger, &dyn Monitor, u64),
) -> Result<Needed, RestoreError> {
    let progress = |slot: Slot, bytes: u64| monitor.drive_advance(slot.0 as usize, bytes);
    let fetcher = Fetcher::new(open.set, open.record_index, &progress).reporting_to(monitor);
    let (most, batch_bytes) = sizes(open, options);
    let mut files = Files::new(open, output, options, restored, ledger, monitor)?;
    files.lists_wait = items.lists_wait();
    thread::scope(|scope| {
        let fetcher = &fetcher;
        let readahead = Readahead::start(scope, fetcher, most);
        let (to_open, being_read) =
            bounded::<(Batch, Vec<Reading>, Vec<Arc<OpenStripe>>)>(BATCHES_AHEAD);
        let (to_write, opened) = bounded::<(Batch, Opened)>(0);
        let skip = files.skipper();
        // Whichever of the later steps ends first, in whatever way, the reading ends with it.
        let (opener, writer) = (readahead.taker(), readahead.taker());
        let reading = scope.spawn(move || {
            let sparing = options.selection.is_some();
            let mut batcher =
                Batcher::new(open.record_index, items.batch_bytes(batch_bytes), sparing);
            let mut items = items::UntilStopped { items, monitor };
            let mut in_place = 0;
            while let Some(batch) = batcher.next_batch(&mut items, &skip)
                && let () = leave_out(&batcher, &mut in_place, total, monitor)
                && let before = batch.opened(&items)
                && let Some(read) = readahead.begin(batch.requests_but(&before))
                && to_open.send((batch, read, before)).is_ok()
            {}
            readahead // until all that was begun is read
        });
        let opening = scope.spawn(move || {
            let (_opener, pool) = (opener, Pool::keeping(KEPT_SHARDS));
            for (batch, read, before) in being_read {
                let raw: Option<_> =
                    read.into_iter().map(|reading| reading.wait(fetcher)).collect();
                let Some(raw) = raw else { return };
                let opened = Opened::new(open, raw, before, fetcher, &pool);
                if monitor.should_stop() || to_write.send((batch, opened)).is_err() {
                    return;
                }
            }
        });
        let result = opened.iter().try_for_each(|(batch, opened)| files.batch(batch, &opened));
        drop((opened, writer));
        opening.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        drop(reading.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        result.and_then(|()| files.end(monitor.should_stop()))
    })
}
