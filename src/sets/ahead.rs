//! Reading ahead: each drive reads what it has of the coming requests, on a thread of its own, and
//! waits neither for the other drives nor for the CPU.
//!
//! - Enters: requests by the batch, in the order in which they will be wanted.
//! - Leaves: what [`Fetcher::read`] would give for each.
//! - Always holds: (1) a drive reads one shard at a time, in the order of the requests; (2) what is
//!   read and not dropped is at most what may be held, or one batch; (3) once this is dropped, no
//!   further shard is begun.

use super::fetch::Fetcher;
use super::stripe::{RawStripe, Request, ShardBlocks};
use crate::format::ids::Slot;
use crate::format::record::StripeRecord;
use crossbeam_channel::{Receiver, Sender, unbounded};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::Scope;

/// A shard to be read.
struct Job {
    record: Arc<StripeRecord>,
    index: u8,
    range: Range<usize>,
    reply: Sender<(u8, Option<ShardBlocks>)>,
}

/// Bytes that may be held.
struct Budget {
    most: u64,
    held: Mutex<u64>,
    freed: Condvar,
}

/// A part of the budget, given back when dropped.
pub(super) struct Held {
    budget: Arc<Budget>,
    bytes: u64,
}

impl Budget {
    /// Waits until so many bytes more may be held, or nothing is.
    fn take(&self, bytes: u64) {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let too_many = |held: &mut u64| *held > 0 && *held + bytes > self.most;
        let mut held =
            self.freed.wait_while(held, too_many).unwrap_or_else(PoisonError::into_inner);
        *held += bytes;
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        *self.budget.held.lock().unwrap_or_else(PoisonError::into_inner) -= self.bytes;
        self.budget.freed.notify_all();
    }
}

/// The reading threads.
pub struct Ahead<'env> {
    fetcher: &'env Fetcher<'env>,
    /// one a drive that is here
    drives: HashMap<Slot, Sender<Job>>,
    /// for shards that were kept of other drives, if any were
    kept: Option<Sender<Job>>,
    dropped: Arc<AtomicBool>,
    budget: Arc<Budget>,
}

/// A request that is being read.
pub struct Reading {
    request: Request,
    held: Held,
    tried: BTreeSet<u8>,
    answers: Receiver<(u8, Option<ShardBlocks>)>,
}

impl<'env> Ahead<'env> {
    /// Starts a thread for each drive; so many bytes may be held.
    pub fn start<'scope>(
        scope: &'scope Scope<'scope, 'env>,
        fetcher: &'env Fetcher<'env>,
        most: u64,
    ) -> Self {
        let dropped = Arc::new(AtomicBool::new(false));
        let thread = || {
            let (sender, jobs) = unbounded::<Job>();
            let dropped = dropped.clone();
            scope.spawn(move || {
                for job in jobs {
                    if dropped.load(Ordering::Relaxed) {
                        return;
                    }
                    let read = fetcher.read_shard(&job.record, job.index, &job.range);
                    // Nobody may want it any more.
                    job.reply.send((job.index, read)).ok();
                }
            });
            sender
        };
        let drives = fetcher.slots_here().map(|slot| (slot, thread())).collect();
        let kept = fetcher.has_kept().then(thread);
        let budget = Budget { most, held: Mutex::new(0), freed: Condvar::new() };
        Self { fetcher, drives, kept, dropped, budget: Arc::new(budget) }
    }

    /// Begins to read the requests of a batch, when they may be held together.
    pub fn begin(&self, requests: impl Iterator<Item = Request>) -> Vec<Reading> {
        let requests: Vec<_> = requests.map(|request| self.shards_of(request)).collect();
        self.budget.take(requests.iter().map(|(request, shards)| bytes(request, shards)).sum());
        requests.into_iter().map(|(request, shards)| self.read(request, shards)).collect()
    }

    fn queue(&self, record: &StripeRecord, index: u8) -> Option<&Sender<Job>> {
        let slot = record.shards[index as usize].slot;
        self.drives.get(&slot).filter(|_| !self.fetcher.is_gone(slot)).or(self.kept.as_ref())
    }

    fn shards_of(&self, request: Request) -> (Request, Shards) {
        let shards = request.of_those_here(&self.fetcher.here(&request.record));
        (request, shards)
    }

    fn read(&self, request: Request, shards: Shards) -> Reading {
        let held = Held { budget: self.budget.clone(), bytes: bytes(&request, &shards) };
        let record = &request.record;
        let tried = self.fetcher.absent(record).chain(shards.keys().copied()).collect();
        let (reply, answers) = unbounded();
        for (index, range) in shards {
            let job = Job { record: record.clone(), index, range, reply: reply.clone() };
            // A thread that has panicked answers nothing; that is seen when the scope ends.
            self.queue(record, index).map(|queue| queue.send(job).ok());
        }
        Reading { request, held, tried, answers }
    }
}

/// Which blocks of which shards are read.
type Shards = BTreeMap<u8, Range<usize>>;

fn bytes(request: &Request, shards: &Shards) -> u64 {
    shards.values().map(|range| range.len() * request.record.blocks.bytes()).sum::<usize>() as u64
}

impl Drop for Ahead<'_> {
    fn drop(&mut self) {
        self.dropped.store(true, Ordering::Relaxed);
    }
}

impl Reading {
    /// Waits for what was begun; where some shards could not be read at all, reads others.
    pub fn wait(self, fetcher: &Fetcher) -> RawStripe {
        let mut raw = RawStripe::of(self.request);
        raw.held = Some(self.held);
        for (index, blocks) in self.answers {
            if let Some(blocks) = blocks {
                raw.shards.insert(index, blocks);
            }
        }
        fetcher.read_rest(raw, self.tried)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn what_is_held_is_bounded_and_what_is_too_large_goes_alone() {
        let budget = Arc::new(Budget { most: 10, held: Mutex::new(0), freed: Condvar::new() });
        let hold = |bytes| {
            budget.take(bytes);
            Held { budget: budget.clone(), bytes }
        };
        let (first, second) = (hold(4), hold(6));
        let (sender, taken) = unbounded();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let large = hold(30);
                sender.send(()).unwrap();
                large
            });
            drop(first);
            assert!(taken.recv_timeout(Duration::from_millis(20)).is_err(), "6 are held still");
            drop(second);
            taken.recv().unwrap();
        });
        assert_eq!(*budget.held.lock().unwrap(), 0);
    }
}
