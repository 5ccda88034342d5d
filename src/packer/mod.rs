//! The road out: a scanned dataset onto the drives of one set.
//!
//! - Enters: the scan snapshot, the source, a plan, the drives, recipients' wrapped key.
//! - Leaves: a closed set on every drive, and what was written.
//! - Resumes where an earlier run, or the set before, has left off ([`ResumePoint`]).
//! - Always holds: (1) a stripe counts when a record file that names it is whole on one drive, and
//!   record files are written only after all their shards are synced; (2) no file is changed once
//!   written; (3) places are given out in entry order by one thread ([`mod@fill`]), so the bytes do
//!   not depend on the number of threads; (4) bytes in flight: one stripe being filled, one being
//!   sealed, and as many as the writers' queues hold.
//!
//! The serial part, cutting the work and filling, never touches chunk data and costs about 2 µs per
//! small file (AVX2 server core): half a million per second.

mod along;
pub mod close;
mod commit;
mod error;
mod fill;
mod filled;
mod items;
mod job;
mod packed;
mod progress;
mod reassign;
mod retry;
mod spare;
mod uncovered;
mod watch;

pub use error::PackError;
pub use job::{Checkpoint, CommitPoint, PriorRuns, ResumePoint, SetDrive, SetJob};
pub use packed::Packed;

use crate::catalog::CatalogWriter;
use crate::dataset::Source;
use crate::dataset::cut::{CutSizes, Cutter};
use crate::dataset::work::Worker;
use crate::drives::Drive;
use crate::drives::writer::Writers;
use crate::format::list::Hash;
use crate::format::record::Reason;
use crate::local_state::ScanSnapshot;
use crate::local_state::state::SetTotals;
use crate::monitor::{Monitor, Spent};
use crate::pipeline;
use crate::stages::dedup::{DEFAULT_ENTRIES, Dedup};
use commit::Committer;
use crossbeam_channel::bounded;
use fill::Filler;
use filled::{FillOutcome, FilledStripe, Start};
use progress::PackProgress;
use retry::Retry;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

/// Before so many stripes were begun, no drive can have got one.
const FIRST_STRIPES: u32 = 2;

/// Packs the entries after the cursor onto the drives and closes the set.
pub fn pack(
    job: &SetJob,
    list: &ScanSnapshot,
    source: &Source,
    monitor: &dyn Monitor,
) -> Result<Packed, PackError> {
    let drives: Vec<Arc<dyn Drive>> = job.drives.iter().map(|d| d.drive.clone()).collect();
    let progress = PackProgress::new(job, monitor);
    let written = |drive, bytes, took| progress.written(drive, bytes, took);
    thread::scope(|scope| {
        let writers = Writers::start(scope, &drives, job.queue_depth, &written);
        job.resume.left_out.iter().for_each(|drive| writers.leave_out(*drive));
        let prior = job.resume.prior.clone().unwrap_or_default();
        let catalog = CatalogWriter::create(job.run, prior.index)?;
        let mut committer = Committer::new(job, &writers, catalog, &progress, monitor)?;
        if job.resume.prior.is_some() {
            committer.cover_prior_shards(&close::set_so_far(job, &committer), monitor);
        }
        let (committer, filled) = run_pipeline(job, committer, &writers, list, source, monitor)?;
        if filled.full && committer.tally.stripes == 0 && job.resume.prior.is_none() {
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
    mut committer: Committer<'a>,
    writers: &Writers,
    list: &ScanSnapshot,
    source: &Source,
    monitor: &dyn Monitor,
) -> Result<(Committer<'a>, FillOutcome), PackError> {
    thread::scope(|scope| {
        // No stripe waits between filling and sealing: memory is counted in stripes.
        let (sender, receiver) = bounded::<FilledStripe>(0);
        let sealing = scope.spawn(move || -> Result<Committer<'a>, PackError> {
            let mut awaiting = Instant::now();
            while let Ok(stripe) = receiver.recv() {
                monitor.spent(Spent::AwaitingData, awaiting.elapsed());
                committer.stripe(stripe)?;
                awaiting = Instant::now();
            }
            committer.end_of_data();
            committer.commit()?;
            Ok(committer)
        });
        let start = Start {
            run: job.run,
            geometry: job.plan.geometry,
            drives: job.drives.len(),
            placement: job.plan.placement.clone(),
            cursor: job.resume.cursor.clone(),
            new_set: job.resume.prior.is_none(),
            tally: job
                .resume
                .prior
                .as_ref()
                .map_or_else(SetTotals::default, |prior| prior.tally.clone()),
        };
        let mut filler = Filler::new(start, Dedup::new(DEFAULT_ENTRIES), sender, source, monitor);
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
    filler: &mut Filler,
    writers: &Writers,
    list: &ScanSnapshot,
    source: &Source,
    stopped: &mut bool,
    monitor: &dyn Monitor,
) -> Result<(), PackError> {
    let (geometry, cursor) = (job.plan.geometry, &job.resume.cursor);
    let chunk_bytes = geometry.chunk_bytes;
    if job.resume.close {
        let is_all = cursor.entries == list.count() && cursor.open.is_none();
        return if is_all { Ok(()) } else { Err(PackError::Full) };
    }
    // Each may hold a chunk, so there are few more than threads.
    let threads = rayon::current_num_threads();
    let depth = threads + threads / 4 + 3;
    // While a stripe is filled, the one before it gives its chunks back.
    let stripe_bytes = job.drives.len() * geometry.blocks.payload_bytes();
    let stripe_chunks = stripe_bytes / geometry.most_chunk_bytes();
    let worker = Worker::new(source, chunk_bytes, job.level.first(), depth + stripe_chunks);
    let sizes = CutSizes {
        chunk: chunk_bytes.into(),
        group: geometry.most_chunk_bytes() as u64,
        list: geometry.most_list_bytes(),
    };
    let retry = Retry { source, worker: &worker, sizes, depth, monitor };
    let entries = list.iter_from(cursor.entries + u64::from(cursor.open.is_some()))?;
    let mut cutter = Cutter::new(entries, source, sizes);
    filler.name_folders()?;
    if let Some(open) = &cursor.open
        && (open.void || !cutter.resume(open, !filler.may_begin_anew(open)).unwrap_or(false))
        && let Some(entry) = filler.void_open_file()?
    {
        retry.pack(filler, &entry)?;
    }
    let (mut failures, mut pending_before) = (job.resume.left_out.len(), 0);
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
            let (read, computed) = worker.times();
            monitor.spent(Spent::Reading, read);
            monitor.spent(Spent::Computing, computed);
            let stripes = filler.stripes();
            for done in done {
                if let Some(entry) = filler.take(done, false)? {
                    retry.pack(filler, &entry)?;
                }
            }
            if filler.stripes() > stripes.max(FIRST_STRIPES) {
                let pending = writers.pending();
                worker.set_level(job.level.next(worker.level(), pending, pending_before));
                pending_before = pending;
            }
            Ok(())
        },
    )
}
