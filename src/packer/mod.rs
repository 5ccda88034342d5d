//! The road out: a scanned dataset onto the drives of one set.
//!
//! - Enters: the frozen list, the source, a plan, the drives, recipients' wrapped key.
//! - Leaves: a closed set on every drive, and what was written.
//! - Always holds: (1) a stripe counts when a record file that names it is whole on one drive, and
//!   record files are written only after all their shards are synced; (2) no file is changed once
//!   written; (3) places are given out in entry order by one thread ([`fill`]), so the bytes do not
//!   depend on the number of threads; (4) bytes in flight: one stripe being filled, one being
//!   sealed, and as many as the writers' queues hold.

pub mod close;
pub mod commit;
pub mod fill;

use crate::catalog::CatalogWriter;
use crate::dataset::ScannedEntry;
use crate::dataset::work::{Cutter, Worker};
use crate::drives::Drive;
use crate::drives::writer::Writers;
use crate::entropy::Entropy;
use crate::format::ids::{RunId, SetNumber, ShipmentId, set_folder};
use crate::format::list::Hash;
use crate::host::HostError;
use crate::keys::RunKey;
use crate::monitor::Monitor;
use crate::pipeline;
use crate::plan::room::SetPlan;
use crate::sets::open::HOLDALL;
use crate::stages::dedup::{DEFAULT_ENTRIES, Dedup};
use crossbeam_channel::bounded;
use std::io;
use std::sync::Arc;
use std::thread;

/// The only suite so far.
pub const SUITE: u8 = crate::format::SUITE_CHACHA20;

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

/// Everything about the set but its content.
pub struct SetJob<'a> {
    /// the shipment
    pub shipment: ShipmentId,
    /// the set
    pub set: SetNumber,
    /// this run
    pub run: RunId,
    /// its key
    pub key: &'a RunKey,
    /// the bytes of its `key-<run>.age`
    pub key_file: Vec<u8>,
    /// sizes, rule and placement
    pub plan: &'a SetPlan,
    /// the drives by slot
    pub drives: Vec<SetDrive>,
    /// zstd level
    pub level: i32,
    /// when record files are written
    pub checkpoint: Checkpoint,
    /// the dataset's name
    pub name: String,
    /// whom to ask
    pub contact: String,
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
    /// The frozen list cannot be read.
    #[error("read the list of entries")]
    Host(#[from] HostError),
    /// Every drive has failed.
    #[error("no drive is left that can be written to")]
    NoDriveLeft(#[source] Option<Arc<crate::drives::DriveError>>),
    /// More drives failed than the rule allows for.
    #[error("drives that failed: {failed}, more than the rule {rule} allows for")]
    TooManyFailed {
        /// drives that failed
        failed: usize,
        /// the rule
        rule: String,
    },
    /// The drives are full before the dataset ends: it grew since it was scanned.
    #[error("the drives are full: the dataset is larger than it was when it was scanned")]
    Full,
    /// Sealing ended early; its own error says why.
    #[error("sealing has stopped")]
    Stopped,
    /// The operating system gives no random bytes, or zstd fails.
    #[error("the system gives no random bytes or no memory")]
    System(#[from] io::Error),
}

/// What was packed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
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
    pub forgotten: u64,
    /// stripes
    pub stripes: u64,
    /// bytes of shards on each drive, by slot from 1
    pub drive_bytes: Vec<u64>,
    /// drives that failed, by slot from 0
    pub failed: Vec<usize>,
    /// BLAKE3 of set.txt; zeros if the set was not closed
    pub root: Hash,
    /// it was stopped before its end: what was committed is an unclosed set
    pub stopped: bool,
}

/// Packs the entries onto the drives and closes the set.
pub fn pack(
    job: &SetJob,
    entries: impl Iterator<Item = Result<ScannedEntry, HostError>>,
    source: &crate::dataset::Source,
    monitor: &dyn Monitor,
) -> Result<Packed, PackError> {
    let drives: Vec<Arc<dyn Drive>> = job.drives.iter().map(|d| d.drive.clone()).collect();
    let progress = |drive: usize, bytes: u64| monitor.drive_advance(drive, bytes);
    for (i, d) in job.drives.iter().enumerate() {
        monitor.drive(i, &format!("{} {}", d.case, d.drive.name()), job.plan.drive_bytes[i]);
    }
    thread::scope(|scope| {
        let writers = Writers::start(scope, &drives, 1, &progress);
        let committer =
            commit::Committer::new(job, &writers, CatalogWriter::create(job.run)?, monitor)?;
        let (committer, filled) = run_pipeline(job, committer, entries, source, monitor)?;
        let mut packed = if filled.stopped {
            committer.packed(Hash::default(), true)
        } else {
            close::close(job, committer, monitor)?
        };
        packed.duplicate_bytes = filled.duplicate_bytes;
        packed.forgotten = filled.forgotten;
        packed.left_out = filled.left_out;
        packed.files = packed.files.saturating_sub(filled.left_out);
        packed.file_bytes = packed.file_bytes.saturating_sub(filled.left_out_bytes);
        writers.finish();
        Ok(packed)
    })
}

/// Fill on this thread, CPU work on the pool, seal and commit on a thread of their own.
fn run_pipeline<'a>(
    job: &'a SetJob,
    mut committer: commit::Committer<'a>,
    entries: impl Iterator<Item = Result<ScannedEntry, HostError>>,
    source: &crate::dataset::Source,
    monitor: &dyn Monitor,
) -> Result<(commit::Committer<'a>, fill::FillOutcome), PackError> {
    let geometry = job.plan.geometry;
    let depth = 2 * rayon::current_num_threads() + 2;
    let worker = Worker::new(source, geometry.chunk_bytes, job.level, depth);
    let list_bytes = geometry.blocks.payload_bytes() / 4;
    let mut cutter = Cutter::new(entries, source, geometry.chunk_bytes, list_bytes);
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
        let placement = job.plan.placement.clone();
        let dedup = Dedup::new(DEFAULT_ENTRIES);
        let mut filler = fill::Filler::new(job.run, geometry, placement, dedup, sender, monitor);
        let mut stopped = false;
        let result = pipeline::ordered(
            depth,
            || {
                if monitor.should_stop() {
                    stopped = true;
                    return Ok(None);
                }
                Ok(cutter.next_work()?)
            },
            |work| worker.work(work),
            |done| filler.take(done),
        );
        let filled = result.and_then(|()| filler.finish(stopped));
        let committer = sealing.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        // What stopped the sealing is the cause; the filler only saw its channel closed.
        match (committer, filled) {
            (Ok(committer), Ok(filled)) => Ok((committer, filled)),
            (Err(e), _) | (Ok(_), Err(e)) => Err(e),
        }
    })
}
