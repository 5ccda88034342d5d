//! One writer thread a drive, so that a slow or dying drive keeps no other from its work.
//!
//! - Enters: files for one drive, in order; commits and syncs for all.
//! - Leaves: files on the drives; for each drive, whether it failed and how first.
//! - Always holds: (1) a drive does its jobs in the order given; (2) the first error of a drive
//!   stays its result for ever, and nothing more is asked of it: it is failed; (3) no drive waits
//!   for another's failure; (4) at most `depth` jobs and one in work hold bytes, per drive.

use std::collections::HashSet;
use std::io;
use std::ops::Range;
use std::panic;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::{Scope, ScopedJoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Select, Sender, bounded};

use super::drive::{Drive, WriteMode};
use super::error::DriveError;
use super::path::folder_and_name;

#[cfg(test)]
mod tests;

/// What became of a job: the drive's first error, if it has one.
pub type WriteOutcome = Result<(), Arc<DriveError>>;

/// A run of bytes shared with others, such as one shard inside a stripe's buffer.
#[derive(Clone)]
pub struct Shared {
    buffer: Arc<dyn AsRef<[u8]> + Send + Sync>,
    range: Range<usize>,
}

/// A file for one drive.
pub struct NewFile {
    /// the drive's place among those that are written to
    pub drive: usize,
    pub path: String,
    pub bytes: Shared,
}

impl Shared {
    /// A part of a buffer, which must have it.
    pub fn new(buffer: Arc<dyn AsRef<[u8]> + Send + Sync>, range: Range<usize>) -> Self {
        assert!((*buffer).as_ref().get(range.clone()).is_some(), "the range is in the buffer");
        Self { buffer, range }
    }
}

impl AsRef<[u8]> for Shared {
    fn as_ref(&self) -> &[u8] {
        &(*self.buffer).as_ref()[self.range.clone()]
    }
}

enum WriteJob {
    Write { path: String, bytes: Shared },
    Commit { path: Arc<str>, bytes: Arc<[u8]>, reply: Reply },
    Sync { reply: Reply },
}

/// Is given a drive's number, bytes that it has written, and how long that took.
type Progress<'env> = &'env (dyn Fn(usize, u64, Duration) + Sync);

/// Takes the drive's number and its outcome.
type Reply = Sender<(usize, WriteOutcome)>;

/// What the threads and their owner share.
struct WriterState {
    /// one a drive
    failures: Vec<OnceLock<Arc<DriveError>>>,
    /// one a drive: it is at a job
    at_work: Vec<AtomicBool>,
    abandoned: AtomicBool,
}

/// The writer threads of some drives.
///
/// Dropped without [`Writers::finish`], it lets go of what is still queued and waits for nothing;
/// the scope then waits for the threads, each of which ends after the job that it is at.
pub struct Writers<'scope> {
    queues: Vec<Sender<WriteJob>>,
    threads: Vec<ScopedJoinHandle<'scope, ()>>,
    names: Vec<String>,
    state: Arc<WriterState>,
}

impl<'scope> Writers<'scope> {
    /// Starts a thread for each drive, with a queue of `depth` jobs; `progress` is given the drive's
    /// number after each job, the bytes if it was a [`Writers::write`] that succeeded, and how long it
    /// took.
    pub fn start<'env>(
        scope: &'scope Scope<'scope, 'env>,
        drives: &'env [Arc<dyn Drive>],
        depth: usize,
        progress: Progress<'env>,
    ) -> Self {
        let state = Arc::new(WriterState {
            failures: drives.iter().map(|_| OnceLock::new()).collect(),
            at_work: drives.iter().map(|_| AtomicBool::new(false)).collect(),
            abandoned: AtomicBool::new(false),
        });
        let names = drives.iter().map(|drive| drive.name().to_owned()).collect();
        let start = |(number, drive): (usize, &'env Arc<dyn Drive>)| {
            let (queue, jobs) = bounded(depth);
            let state = Arc::clone(&state);
            let made = HashSet::new();
            let writer = Writer { number, drive: drive.as_ref(), progress, state, made };
            (queue, scope.spawn(move || run(writer, &jobs)))
        };
        let (queues, threads) = drives.iter().enumerate().map(start).unzip();
        Self { queues, threads, names, state }
    }

    /// Queues a new file for one drive, and makes its folders; waits while the queue is full.
    ///
    /// A drive that has failed takes nothing any more, and nothing is said here: see
    /// [`Writers::sync`].
    pub fn write(&self, drive: usize, path: String, bytes: Shared) {
        if self.state.failures[drive].get().is_none() {
            self.send(drive, WriteJob::Write { path, bytes });
        }
    }

    /// Queues a new file for each of several drives, as [`Writers::write`] does, in whatever order
    /// their queues have room: no drive waits for its file because another's queue is full.
    pub fn write_each(&self, mut files: Vec<NewFile>) {
        files.retain(|file| self.state.failures[file.drive].get().is_none());
        while !files.is_empty() {
            let mut room = Select::new();
            for file in &files {
                room.send(&self.queues[file.drive]);
            }
            let first = room.select();
            let NewFile { drive, path, bytes } = files.remove(first.index());
            // The threads end after the queues do, so this cannot fail.
            first.send(&self.queues[drive], WriteJob::Write { path, bytes }).ok();
        }
    }

    /// Waits for everything queued, then makes it durable on all drives at once; one result a
    /// drive.
    pub fn sync(&self) -> Vec<WriteOutcome> {
        self.ask(|_, reply| Some(WriteJob::Sync { reply }))
    }

    /// Commits the same file on all drives at once, after what they have queued, and waits; one
    /// result a drive.
    pub fn commit(&self, path: &str, bytes: Arc<[u8]>) -> Vec<WriteOutcome> {
        self.commit_each(path, move |_| Some(Arc::clone(&bytes)))
    }

    /// The same with a file for each drive, or none, in which case nothing is asked of it.
    pub fn commit_each(
        &self,
        path: &str,
        bytes_for: impl Fn(usize) -> Option<Arc<[u8]>>,
    ) -> Vec<WriteOutcome> {
        let path: Arc<str> = path.into();
        self.ask(|drive, reply| {
            let (path, bytes) = (Arc::clone(&path), bytes_for(drive)?);
            Some(WriteJob::Commit { path, bytes, reply })
        })
    }

    /// The jobs of the drive that has most, of those that have not failed: the one that it is at, and
    /// those that wait for it.
    pub fn pending(&self) -> usize {
        let jobs = |(drive, queue): (usize, &Sender<WriteJob>)| {
            let is_at_one = self.state.at_work[drive].load(Ordering::Relaxed);
            let works = self.state.failures[drive].get().is_none();
            works.then(|| queue.len() + usize::from(is_at_one))
        };
        self.queues.iter().enumerate().filter_map(jobs).max().unwrap_or(0)
    }

    /// The drives that have failed so far, and how first; one entry a drive.
    pub fn failed(&self) -> Vec<Option<Arc<DriveError>>> {
        self.state.failures.iter().map(|failure| failure.get().cloned()).collect()
    }

    /// Leaves a drive out from the start, as if it had failed.
    pub fn leave_out(&self, drive: usize) {
        let source = io::Error::other("the drive is left out");
        fail(&self.state.failures[drive], DriveError::new(&self.names[drive], "use", "", source));
    }

    /// How many drives have failed so far.
    pub fn failures(&self) -> usize {
        self.state.failures.iter().filter(|failure| failure.get().is_some()).count()
    }

    /// Waits for everything queued and ends the threads; returns what [`Writers::failed`] does.
    /// Nothing is synced.
    pub fn finish(mut self) -> Vec<Option<Arc<DriveError>>> {
        self.queues.clear();
        for thread in self.threads.drain(..) {
            if let Err(cause) = thread.join() {
                panic::resume_unwind(cause);
            }
        }
        self.failed()
    }

    /// Gives each drive its job, if it has one, and waits for all answers. No drive waits for
    /// another's job, but for room in its queue.
    fn ask(&self, job_for: impl Fn(usize, Reply) -> Option<WriteJob>) -> Vec<WriteOutcome> {
        let count = self.queues.len();
        let (reply, answers) = bounded(count);
        let ask = |drive| match job_for(drive, reply.clone()) {
            Some(job) => {
                self.send(drive, job);
                None
            }
            None => Some(Ok(())),
        };
        let mut outcomes: Vec<Option<WriteOutcome>> = (0..count).map(ask).collect();
        drop(reply); // so that the answers end when the last thread has answered
        for (drive, outcome) in answers {
            outcomes[drive] = Some(outcome);
        }
        let or_stopped =
            |(drive, outcome): (usize, Option<_>)| outcome.unwrap_or_else(|| self.stopped(drive));
        outcomes.into_iter().enumerate().map(or_stopped).collect()
    }

    fn send(&self, drive: usize, job: WriteJob) {
        // The threads end after the queues do, so this cannot fail.
        self.queues[drive].send(job).ok();
    }

    /// What to say of a thread that does not answer, because it has panicked.
    fn stopped(&self, drive: usize) -> WriteOutcome {
        let source = io::Error::other("the drive's writer has stopped");
        let failure = &self.state.failures[drive];
        Err(fail(failure, DriveError::new(&self.names[drive], "write", "", source)))
    }
}

impl Drop for Writers<'_> {
    fn drop(&mut self) {
        // Too late for `finish`, whose threads have ended; the queues close after this.
        self.state.abandoned.store(true, Ordering::Relaxed);
    }
}

/// Notes a drive's error unless it has one; returns the first.
fn fail(failure: &OnceLock<Arc<DriveError>>, error: DriveError) -> Arc<DriveError> {
    Arc::clone(failure.get_or_init(|| Arc::new(error)))
}

/// A drive's thread. If it panics, the panic is kept until the owner has ended its queue: until then
/// jobs are taken and dropped, so that nobody waits for room in the queue or for an answer.
fn run(mut writer: Writer, jobs: &Receiver<WriteJob>) {
    let work = panic::AssertUnwindSafe(|| writer.work(jobs));
    if let Err(cause) = panic::catch_unwind(work) {
        jobs.iter().for_each(drop);
        panic::resume_unwind(cause);
    }
}

/// What a drive's thread works with.
struct Writer<'env> {
    number: usize,
    drive: &'env dyn Drive,
    progress: Progress<'env>,
    state: Arc<WriterState>,
    /// the folders that are known to be there
    made: HashSet<String>,
}

impl Writer<'_> {
    fn work(&mut self, jobs: &Receiver<WriteJob>) {
        for job in jobs {
            if self.state.abandoned.load(Ordering::Relaxed) {
                return;
            }
            match job {
                WriteJob::Write { path, bytes } => {
                    let len = bytes.as_ref().len() as u64;
                    // The buffer goes back before anything else is done.
                    let _ = self.attempt(len, move |writer| {
                        writer.make_folder_of(&path)?;
                        writer.drive.write(&path, bytes.as_ref(), WriteMode::New)
                    });
                }
                WriteJob::Commit { path, bytes, reply } => {
                    let outcome = self.attempt(0, |writer| {
                        writer.make_folder_of(&path)?;
                        writer.drive.write(&path, &bytes, WriteMode::Commit)
                    });
                    reply.send((self.number, outcome)).ok();
                }
                WriteJob::Sync { reply } => {
                    let outcome = self.attempt(0, |writer| writer.drive.sync());
                    reply.send((self.number, outcome)).ok();
                }
            }
        }
    }

    /// Does a job of so many bytes, unless the drive has failed; notes its error.
    fn attempt(
        &mut self,
        bytes: u64,
        job: impl FnOnce(&mut Self) -> Result<(), DriveError>,
    ) -> WriteOutcome {
        if let Some(error) = self.state.failures[self.number].get() {
            return Err(Arc::clone(error));
        }
        self.state.at_work[self.number].store(true, Ordering::Relaxed);
        let began = Instant::now();
        let done = job(self);
        self.state.at_work[self.number].store(false, Ordering::Relaxed);
        (self.progress)(self.number, if done.is_ok() { bytes } else { 0 }, began.elapsed());
        done.map_err(|error| fail(&self.state.failures[self.number], error))
    }

    fn make_folder_of(&mut self, path: &str) -> Result<(), DriveError> {
        let folder = folder_and_name(path).0;
        if !folder.is_empty() && !self.made.contains(folder) {
            self.drive.make_folder(folder)?;
            self.made.insert(folder.to_owned());
        }
        Ok(())
    }
}
