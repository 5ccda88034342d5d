//! The road back: the items of a set, stripe by stripe, to files at the destination.
//!
//! - Enters: a set's drives, records and keys; a destination.
//! - Leaves: files under their final names, complete and verified; and exactly what is not there.
//! - Always holds: (1) nothing is used before its record's hash and its tag match; (2) an extent
//!   is hashed before it is written, a file's root is compared before it gets its name; (3) what
//!   cannot be had is listed by file, and the rest is restored; (4) memory: what is read ahead, two
//!   batches that are opened, and a chunk for each core.
//!
//! [`items`] gives the items in order (from the catalog, or from the shards' own lists);
//! [`batch`] cuts them where enough stripes are named; the drives read the batches' blocks ahead;
//! [`decode`] checks, rebuilds and opens; [`write`] verifies and writes in parallel; [`files`]
//! follows large files to their roots, in order; [`crossing`] those that run on into other sets;
//! [`finish`] makes hard links and sets the folders' metadata; the [`ledger`] of each set keeps what
//! is not there, and the [`end`] of a run tells it;
//! [`finished`] is for a restore that is asked for once more. [`check`] goes the same way with an
//! [`output`] that forgets everything. With `--include` or `--exclude` [`selected`] lets pass what is
//! asked for, and [`lift`] restores a file of which only a further name is. [`pieces`] and [`stage`]
//! keep what one run with few drives leaves to the next. [`room`] says before what it will take.

pub mod batch;
pub mod check;
pub mod crossing;
pub mod decode;
pub mod end;
pub mod files;
pub mod finish;
pub mod finished;
pub mod items;
pub mod lacking;
pub mod ledger;
mod lift;
mod open_file;
pub mod output;
mod pieces;
pub mod room;
pub mod selected;
pub mod stage;
pub mod write;

use crate::destination::{Destination, DestinationError};
use crate::drives::buffer::Pool;
use crate::format::catalog::KeySpan;
use crate::format::ids::{RunId, Slot};
use crate::format::list::{Entry, Kind};
use crate::keys::RunKey;
use crate::memory::Memory;
use crate::monitor::{Monitor, Recording};
use crate::patterns::Selection;
use crate::sets::ahead::{Ahead, Reading};
use crate::sets::fetch::Fetcher;
use crate::sets::{Book, FoundSet};
use batch::{Batch, Batcher};
use crossbeam_channel::bounded;
use decode::{OpenStripe, Opened};
use files::Files;
use lacking::{Lacking, Want};
use ledger::{Fate, Ledger};
use lift::Lifted;
use output::Output;
use selected::Selected;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::thread;

/// A set that is opened with its keys.
pub struct OpenSet<'a> {
    /// its drives
    pub set: &'a FoundSet,
    /// its records, authenticated
    pub book: &'a Book,
    /// its run keys
    pub keys: &'a BTreeMap<RunId, RunKey>,
}

/// How to restore.
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
    /// this goes on with an earlier restore
    pub resumed: bool,
    /// sets after this one are known, whatever its set.txt says
    pub later_sets: bool,
    /// what it may take
    pub memory: Memory,
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

/// What was restored.
#[allow(clippy::struct_excessive_bools, reason = "each is a matter of its own")]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Restored {
    /// entries now in place
    pub entries: u64,
    /// files among them
    pub files: u64,
    /// bytes of these files
    pub file_bytes: u64,
    /// files that were there already, from the run before
    pub already: u64,
    /// blocks rebuilt from parity
    pub rebuilt_blocks: u64,
    /// files that cannot be had from any drive, or were given up
    pub lost: u64,
    /// files that wait for drives that are not here
    pub waiting: u64,
    /// files, folders and hard links that the destination does not take
    pub refused: u64,
    /// symlinks, pipes, devices and sockets that it does not take
    pub unsupported: u64,
    /// folders and hard links that were there already
    pub known: u64,
    /// what the files wait for
    pub wants: BTreeSet<Want>,
    /// they wait for more than that
    pub many_wants: bool,
    /// lists of files that could not be had: there may be more that nothing names
    pub unlisted: u64,
    /// some of those lists lie on drives that are not here
    pub lists_wait: bool,
    /// entries whose metadata could not all be set
    pub metadata_problems: u64,
    /// files that were packed while they changed, or could not be packed
    pub packed_badly: u64,
    /// the catalog could not be read; the lists in the shards were used
    pub from_lists: bool,
    /// a set was never closed, or closed from its drives alone: nobody knows if more was to follow
    pub end_unknown: bool,
    /// it was stopped before its end
    pub stopped: bool,
}

impl Restored {
    /// Adds what was restored of another set.
    pub fn add(&mut self, other: &Self) {
        self.entries += other.entries;
        self.files += other.files;
        self.file_bytes += other.file_bytes;
        self.already += other.already;
        self.rebuilt_blocks += other.rebuilt_blocks;
        self.lost += other.lost;
        self.waiting += other.waiting;
        self.refused += other.refused;
        self.unsupported += other.unsupported;
        self.known += other.known;
        self.unlisted += other.unlisted;
        self.lists_wait |= other.lists_wait;
        self.metadata_problems += other.metadata_problems;
        self.packed_badly += other.packed_badly;
        self.from_lists |= other.from_lists;
        self.end_unknown |= other.end_unknown;
        self.stopped |= other.stopped;
    }

    /// Counts an entry that the destination does not take: no drive is at fault.
    fn refuse(&mut self, entry: &Entry) -> Fate {
        if matches!(entry.kind, Kind::File | Kind::Folder | Kind::HardLink) {
            self.refused += 1;
            return Fate::Refused;
        }
        self.unsupported += 1;
        Fate::Unsupported
    }

    /// Is every entry in place, as far as the destination takes it?
    pub fn is_complete(&self) -> bool {
        self.lost + self.waiting + self.unlisted == 0 && !self.stopped
    }
}

/// Restores all entries of a set, or those that are selected.
pub fn restore(
    open: &OpenSet,
    destination: &Destination,
    options: RestoreOptions,
    monitor: &dyn Monitor,
) -> Result<Restored, RestoreError> {
    let end_unknown = note_end(open, monitor);
    let mut restored = Restored { end_unknown, ..Restored::default() };
    let (mut options, selection) = (options, options.selection);
    let everything = [KeySpan::all()];
    let spans = selection.map_or(&everything[..], Selection::spans);
    let from_catalog = |spans: &[KeySpan]| {
        let mut items = items::CatalogItems::open(open, monitor)?;
        items.seek(spans);
        Some(items)
    };
    if let Some(mut items) = from_catalog(spans) {
        monitor
            .retotal(selection.map_or_else(|| items.data_bytes(open), |_| options.selected_bytes));
        let ledger = &Ledger::begin(destination, open.set.set)?;
        let walk = Walk { open, destination, options, ledger, monitor };
        let (mut items, lifted) = walk.restore(items, &from_catalog, &mut restored)?;
        let is_damaged = items.is_damaged();
        if !is_damaged && !restored.stopped {
            items.seek(spans);
            walk.finish(items, &lifted, &mut restored)?;
        }
        if !is_damaged || restored.stopped {
            ledger.end()?;
            return Ok(restored);
        }
        // What was restored so far stays; the lists say the same and more.
        options.resumed = true;
        restored = Restored { end_unknown, ..Restored::default() };
    }
    restored.from_lists = true;
    monitor.note("the catalog is not readable; going by the lists in the shards");
    let lists = |_: &[KeySpan]| Some(items::ListItems::new(open, monitor));
    let ledger = &Ledger::begin(destination, open.set.set)?;
    let walk = Walk { open, destination, options, ledger, monitor };
    let from_lists = items::ListItems::new(open, monitor);
    let (from_lists, lifted) = walk.restore(from_lists, &lists, &mut restored)?;
    (restored.unlisted, restored.lists_wait) = from_lists.unlisted();
    if !restored.stopped {
        let silent = Recording::default();
        walk.finish(items::ListItems::new(open, &silent), &lifted, &mut restored)?;
    }
    ledger.end()?;
    Ok(restored)
}

/// What walks over the items of a set have in common.
struct Walk<'a> {
    open: &'a OpenSet<'a>,
    destination: &'a Destination,
    options: RestoreOptions<'a>,
    ledger: &'a Ledger<'a>,
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
    ) -> Result<(I, Lifted), RestoreError> {
        let Self { open, destination, options, ledger, monitor } = *self;
        let output = Output::Folder(destination);
        let mut items = Selected::new(items, options.selection);
        let mut lacking = pass(open, &mut items, output, options, restored, (ledger, monitor))?;
        let names = items.take_lifts();
        let mut lifted = Lifted::default();
        if !names.is_empty()
            && !restored.stopped
            && let Some(again) = again(&lift::spans(&names))
        {
            let (more, found) = lift::lift(self, again, names, restored)?;
            lacking.extend(more);
            lifted = found;
        }
        if !restored.stopped {
            stage::keep(open.set, open.book, &lacking.stripes, monitor);
            if open.set.stage.is_some() {
                let here: BTreeSet<u16> =
                    open.set.all_drives().map(|found| found.label.slot.0).collect();
                lacking.wants = lacking.wants.into_iter().map(|want| want.keeping(&here)).collect();
            }
        }
        restored.wants = lacking.wants;
        restored.many_wants = lacking.more;
        Ok((items.items, lifted))
    }

    /// Does what only the end can do.
    fn finish(
        &self,
        items: impl items::Items,
        lifted: &Lifted,
        restored: &mut Restored,
    ) -> Result<(), RestoreError> {
        let mut items = Selected::new(items, self.options.selection);
        let set = self.open.set.set;
        let (to, options, told) = (self.destination, self.options, (self.ledger, self.monitor));
        finish::finish(&mut items, set, to, options, lifted, restored, told)
    }
}

/// Says so, and gives true, if nothing tells whether more of the dataset was to follow.
fn note_end(open: &OpenSet, monitor: &dyn Monitor) -> bool {
    let text = open.set.set_text(&Recording::default());
    match text.map(|text| text.further_sets()) {
        None => monitor.note("the set was never closed, so there may have been more"),
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
        let told = (&Ledger::Told(monitor), monitor);
        pass(open, &mut items, Output::Nowhere, options, &mut restored, told)?;
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
        open.book.walk(&Recording::default(), |record| {
            shard_bytes = shard_bytes.max(record.blocks.file_bytes() as u64);
            false // the first is as large as any, or the set is small
        });
    }
    let drives = open.set.drives.len().max(1) as u64;
    let most = (options.memory.for_shards() / 6 * 4).min(SHARDS_AHEAD * drives * shard_bytes);
    (most, most / 4)
}

/// One walk over the items: files, symlinks, special files and folders to be finished later.
///
/// Three steps, each a batch ahead of the next: the drives read, the CPU opens, and what was opened is
/// decompressed, verified and written.
fn pass(
    open: &OpenSet,
    items: &mut (dyn items::Items + Send),
    output: Output,
    options: RestoreOptions,
    restored: &mut Restored,
    (ledger, monitor): (&Ledger, &dyn Monitor),
) -> Result<Lacking, RestoreError> {
    let progress = |slot: Slot, bytes: u64| monitor.drive_advance(slot.0 as usize, bytes);
    let fetcher = Fetcher::new(open.set, open.book, &progress).telling(monitor);
    let (most, batch_bytes) = sizes(open, options);
    let mut files = Files::new(open, output, options, restored, ledger, monitor)?;
    thread::scope(|scope| {
        let fetcher = &fetcher;
        let ahead = Ahead::start(scope, fetcher, most);
        let (to_open, being_read) =
            bounded::<(Batch, Vec<Reading>, Vec<Arc<OpenStripe>>)>(BATCHES_AHEAD);
        let (to_write, opened) = bounded::<(Batch, Opened)>(0);
        let skip = files.skipper();
        // Whichever of the later steps ends first, in whatever way, the reading ends with it.
        let (opener, writer) = (ahead.taker(), ahead.taker());
        let reading = scope.spawn(move || {
            let sparing = options.selection.is_some();
            let mut batcher = Batcher::new(open.book, items.batch_bytes(batch_bytes), sparing);
            let mut items = items::UntilStopped { items, monitor };
            while let Some(batch) = batcher.next_batch(&mut items, &skip)
                && let before = batch.opened(&items)
                && let Some(read) = ahead.begin(batch.requests_but(&before))
                && to_open.send((batch, read, before)).is_ok()
            {}
            ahead // until all that was begun is read
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
