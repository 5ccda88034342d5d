//! The road out: a scanned dataset onto the drives of one set.
//!
//! - Enters: the scan snapshot, the source, a plan, the drives, recipients' wrapped key.
//! - Leaves: a closed set on every drive, and what was written.
//! - Resumes where an earlier run, or the set before, has left off ([`Begin`]).
//! - Always holds: (1) a stripe counts when a record file that names it is whole on one drive, and
//!   record files are written only after all their shards are synced; (2) no file is changed once
//!   written; (3) places are given out in entry order by one thread ([`fill`]), so the bytes do not
//!   depend on the number of threads; (4) bytes in flight: one stripe being filled, one being
//!   sealed, and as many as the writers' queues hold.
//!
//! What is serial, cutting the work and filling, touches no byte of a chunk and costs about 2 µs a small
//! file (AVX2 server core): half a million a second.

pub mod again;
mod along;
pub mod close;
pub mod commit;
pub mod fill;
mod items;
mod progress;
mod watch;

use crate::catalog::CatalogWriter;
use crate::dataset::cursor::Cursor;
use crate::dataset::cut::Cutter;
use crate::dataset::work::Worker;
use crate::dataset::{Source, SourceError};
use crate::drives::Drive;
use crate::drives::writer::Writers;
use crate::entropy::Entropy;
use crate::format::Suite;
use crate::format::catalog::Index;
use crate::format::ids::{RunId, SetNumber, ShipmentId, set_folder};
use crate::format::layout::HOLDALL;
use crate::format::list::Hash;
use crate::format::record::Reason;
use crate::format::set::{PartLine, RunLine};
use crate::keys::RunKey;
use crate::local_state::state::Tally;
use crate::local_state::{LocalStateError, ScanSnapshot};
use crate::monitor::Monitor;
use crate::pipeline;
use crate::plan::room::SetPlan;
use crate::stages::dedup::{DEFAULT_ENTRIES, Dedup};
use crossbeam_channel::bounded;
use progress::Progress;
use serde::Serialize;
use std::io;
use std::sync::Arc;
use std::thread;

/// One drive of the set that is packed.
#[derive(Clone)]
pub struct SetDrive {
    /// the drive; its slot is its position, from 1
    pub drive: Arc<dyn Drive>,
    /// the case it belongs to
    pub case: String,
}

/// When a record file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// after so many bytes a drive
    pub bytes: u64,
    /// and so many seconds
    pub seconds: u64,
}

impl Default for Checkpoint {
    fn default() -> Self {
        Self { bytes: 256 << 20, seconds: 30 }
    }
}

/// What there is of the set and the shipment already.
#[derive(Clone, Debug, Default)]
pub struct Begin {
    /// what is packed
    pub cursor: Cursor,
    /// what earlier runs have put on the set's drives; none for a set that is begun
    pub earlier: Option<Earlier>,
    /// root of the set before
    pub before: Option<Hash>,
    /// drives of the set that are left out, by slot from 0
    pub left_out: Vec<usize>,
    /// nothing more is packed: the set is closed as it is
    pub close: bool,
}

/// What earlier runs have put on the drives of an unclosed set.
#[derive(Clone, Debug, Default)]
pub struct Earlier {
    /// the runs, in order
    pub runs: Vec<RunLine>,
    /// their catalog parts
    pub parts: Vec<PartLine>,
    /// the index over these
    pub index: Index,
    /// record and catalog files: path and BLAKE3
    pub files: Vec<(String, Hash)>,
    /// what they have counted
    pub tally: Tally,
}

/// What a commit makes count, reported to the journal before.
#[derive(Debug)]
pub struct Step<'a> {
    /// what is packed
    pub cursor: &'a Cursor,
    /// the run so far
    pub run: RunLine,
    /// the catalog's index so far
    pub index: &'a Index,
    /// what was counted so far
    pub tally: &'a Tally,
}

/// Keeps a [`Step`] where a crash does not reach it.
pub type Journal<'a> = &'a (dyn Fn(&Step) -> Result<(), LocalStateError> + Sync);

/// Everything about the set but its content.
pub struct SetJob<'a> {
    pub shipment: ShipmentId,
    pub set: SetNumber,
    pub run: RunId,
    pub key: &'a RunKey,
    /// the bytes of its `key-<run>.age`
    pub key_file: Vec<u8>,
    /// sizes, rule and placement
    pub plan: &'a SetPlan,
    /// the drives by slot
    pub drives: Vec<SetDrive>,
    pub suite: Suite,
    /// shards that may wait for each drive, at least 1
    pub queue_depth: usize,
    /// zstd level
    pub level: i32,
    /// when record files are written
    pub checkpoint: Checkpoint,
    /// the dataset's name
    pub name: String,
    /// whom to ask
    pub contact: String,
    pub begin: Begin,
    /// is notified of every commit before it is made
    pub journal: Journal<'a>,
    /// randomness and time
    pub entropy: &'a dyn Entropy,
}

impl SetJob<'_> {
    /// The set's folder on a drive.
    pub fn folder(&self) -> String {
        format!("{HOLDALL}/{}", set_folder(self.shipment, self.set))
    }
}

/// Why packing stopped.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// The scan snapshot cannot be read.
    #[error("read the list of entries")]
    LocalState(#[from] LocalStateError),
    /// Not one file of the source fails, but the source.
    #[error("the source can no longer be read")]
    SourceGone(#[from] SourceError),
    /// Every drive has failed.
    #[error("no drive is left that can be written to")]
    NoDriveLeft(#[source] Option<Arc<crate::drives::DriveError>>),
    /// More drives failed than the rule allows for.
    #[error("drives that failed: {failed}, more than the rule {rule} allows for")]
    TooManyFailed {
        /// drives that failed
        failed: usize,
        rule: String,
    },
    /// The drives are full. Filling ends with it, and the set is closed.
    #[error("the drives are full")]
    Full,
    /// The drives cannot hold even the next piece of work.
    #[error("the drives have no room for any of the dataset")]
    NoRoom,
    /// It is to end before its time. What is packed by then stays.
    #[error("stopped as asked")]
    Asked,
    /// Sealing ended early; its own error says why.
    #[error("sealing has stopped")]
    Stopped,
    /// The operating system gives no random bytes, or zstd fails.
    #[error("the system gives no random bytes or no memory")]
    System(#[from] io::Error),
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Packed {
    /// entries in the catalog
    pub entries: u64,
    /// files among them whose bytes were packed
    pub files: u64,
    /// files that are only named, since they could not be read
    pub left_out: u64,
    /// bytes of these files
    pub file_bytes: u64,
    /// bytes that were not stored because they were packed before
    pub duplicate_bytes: u64,
    /// stored bytes of chunks
    pub stored_bytes: u64,
    /// extents the dedup table forgot
    #[serde(skip)]
    pub forgotten: u64,
    pub stripes: u64,
    /// bytes of shards on each drive, by slot from 1
    pub drive_bytes: Vec<u64>,
    /// drives that failed, by slot from 0
    #[serde(skip)]
    pub failed: Vec<usize>,
    /// BLAKE3 of set.txt; zeros if the set was not closed
    #[serde(skip)]
    pub root: Hash,
    /// it was stopped before its end: what was committed is an unclosed set
    pub stopped: bool,
    /// the drives were full before the dataset came to its end
    #[serde(skip)]
    pub full: bool,
    /// what is packed, in this set and those before
    #[serde(skip)]
    pub cursor: Cursor,
}

/// Packs the entries after the cursor onto the drives and closes the set.
pub fn pack(
    job: &SetJob,
    list: &ScanSnapshot,
    source: &Source,
    monitor: &dyn Monitor,
) -> Result<Packed, PackError> {
    let drives: Vec<Arc<dyn Drive>> = job.drives.iter().map(|d| d.drive.clone()).collect();
    let progress = Progress::new(job, monitor);
    let written = |drive: usize, bytes: u64| progress.written(drive, bytes);
    thread::scope(|scope| {
        let writers = Writers::start(scope, &drives, job.queue_depth, &written);
        job.begin.left_out.iter().for_each(|drive| writers.leave_out(*drive));
        let earlier = job.begin.earlier.clone().unwrap_or_default();
        let open = job.begin.cursor.open.as_ref().filter(|_| job.begin.earlier.is_some());
        let open = open.map(|open| (*open.entry).clone());
        let catalog = CatalogWriter::create(job.run, earlier.index, open)?;
        let mut committer = commit::Committer::new(job, &writers, catalog, &progress, monitor)?;
        if job.begin.earlier.is_some() {
            committer.resume(job, &close::set_so_far(job, &committer), monitor);
        }
        let (committer, filled) = run_pipeline(job, committer, &writers, list, source, monitor)?;
        if filled.full && committer.tally.stripes == 0 && job.begin.earlier.is_none() {
            return Err(PackError::NoRoom);
        }
        let mut packed = if filled.stopped {
            committer.packed(Hash::default())
        } else {
            close::close(job, committer, filled.ended, monitor)?
        };
        (packed.stopped, packed.full) = (filled.stopped, filled.full);
        packed.duplicate_bytes = filled.duplicate_bytes;
        packed.forgotten = filled.forgotten;
        packed.left_out = filled.left_out;
        writers.finish();
        if !packed.stopped {
            progress.end();
        }
        Ok(packed)
    })
}

/// Fill on this thread, CPU work on the pool, seal and commit on a thread of their own.
fn run_pipeline<'a>(
    job: &'a SetJob,
    mut committer: commit::Committer<'a>,
    writers: &Writers,
    list: &ScanSnapshot,
    source: &Source,
    monitor: &dyn Monitor,
) -> Result<(commit::Committer<'a>, fill::FillOutcome), PackError> {
    thread::scope(|scope| {
        // No stripe waits between filling and sealing: memory is counted in stripes.
        let (sender, receiver) = bounded::<fill::FilledStripe>(0);
        let sealing = scope.spawn(move || -> Result<commit::Committer<'a>, PackError> {
            for stripe in receiver {
                committer.stripe(stripe)?;
            }
            committer.commit()?;
            Ok(committer)
        });
        let start = fill::Start {
            run: job.run,
            geometry: job.plan.geometry,
            placement: job.plan.placement.clone(),
            cursor: job.begin.cursor.clone(),
            new_set: job.begin.earlier.is_none(),
            tally: job.begin.earlier.as_ref().map_or_else(Tally::default, |e| e.tally.clone()),
        };
        let mut filler =
            fill::Filler::new(start, Dedup::new(DEFAULT_ENTRIES), sender, source, monitor);
        let mut stopped = false;
        let result = fill(job, &mut filler, writers, list, source, &mut stopped, monitor);
        let filled = filler.finish(result, stopped);
        let committer = sealing.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        // What stopped the sealing is the cause; the filler only saw its channel closed.
        match (committer, filled) {
            (Ok(committer), Ok(filled)) => Ok((committer, filled)),
            (Err(e), _) | (Ok(_), Err(e)) => Err(e),
        }
    })
}

/// Reads, hashes and compresses what comes after the cursor, and fills stripes with it.
fn fill(
    job: &SetJob,
    filler: &mut fill::Filler,
    writers: &Writers,
    list: &ScanSnapshot,
    source: &Source,
    stopped: &mut bool,
    monitor: &dyn Monitor,
) -> Result<(), PackError> {
    let (geometry, cursor) = (job.plan.geometry, &job.begin.cursor);
    if job.begin.close {
        let is_all = cursor.entries == list.count() && cursor.open.is_none();
        return if is_all { Ok(()) } else { Err(PackError::Full) };
    }
    let depth = 2 * rayon::current_num_threads() + 2;
    let worker = Worker::new(source, geometry.chunk_bytes, job.level, depth);
    let list_bytes = geometry.blocks.payload_bytes() / 4;
    let again = again::Again { source, worker: &worker, geometry, list_bytes, depth, monitor };
    let entries = list.iter_from(cursor.entries + u64::from(cursor.open.is_some()))?;
    let mut cutter = Cutter::new(entries, source, geometry.chunk_bytes, list_bytes);
    filler.name_folders()?;
    if let Some(open) = &cursor.open
        && (open.void || !cutter.resume(open, !filler.may_begin_anew(open)).unwrap_or(false))
        && let Some(entry) = filler.void_open_file()?
    {
        again.pack(filler, &entry)?;
    }
    let mut failures = job.begin.left_out.len();
    pipeline::ordered(
        depth,
        || {
            if monitor.should_stop() {
                *stopped = true;
                return Ok(None);
            }
            Ok(cutter.next_work()?)
        },
        |work| worker.work(work, false),
        |done| {
            if writers.failures() > failures {
                let failed = writers.failed();
                failures = failed.iter().flatten().count();
                let full = failed.iter().flatten().all(|e| e.is_full());
                let reason = if full { Reason::DriveFull } else { Reason::DriveLost };
                filler.leave_out(&|slot| failed[slot as usize - 1].is_some(), reason);
            }
            for done in done {
                if let Some(entry) = filler.take(done, false)? {
                    again.pack(filler, &entry)?;
                }
            }
            Ok(())
        },
    )
}
