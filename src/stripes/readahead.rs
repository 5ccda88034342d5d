//! Readahead: each drive reads what it has of the coming requests, on a thread of its own, and
//! waits neither for the other drives nor for the CPU.
//!
//! - Enters: requests by the batch, in the order in which they will be wanted.
//! - Leaves: what [`Fetcher::read`] would give for each.
//! - Always holds: (1) a drive reads one shard at a time, in the order of the requests; (2) what is
//!   read and not dropped is at most what may be held, or one batch; (3) once either end has let
//!   go, by an error or a panic too, or the job should stop, no further shard is begun and nobody
//!   waits.

use super::budget::{Budget, HeldBytes, Taker};
use super::fetch::Fetcher;
use super::stripe::{RawStripe, Request, ShardBlocks};
use crate::format::ids::Slot;
use crate::format::record::StripeRecord;
use crossbeam_channel::{Receiver, Sender, unbounded};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;
use std::sync::Arc;
use std::thread::Scope;

/// A shard to be read.
struct ReadJob {
    record: Arc<StripeRecord>,
    index: u8,
    range: Range<usize>,
    reply: Sender<(u8, Option<ShardBlocks>)>,
}

/// The reading threads.
pub struct Readahead<'env> {
    fetcher: &'env Fetcher<'env>,
    /// one a drive that is here
    drives: HashMap<Slot, Sender<ReadJob>>,
    /// for shards that were kept of other drives, if any were
    kept: Option<Sender<ReadJob>>,
    budget: Arc<Budget>,
}

/// A request that is being read.
pub struct StripeRead {
    request: Request,
    held: HeldBytes,
    tried: BTreeSet<u8>,
    answers: Receiver<(u8, Option<ShardBlocks>)>,
}

impl<'env> Readahead<'env> {
    /// Starts a thread for each drive; so many bytes may be held.
    pub fn start<'scope>(
        scope: &'scope Scope<'scope, 'env>,
        fetcher: &'env Fetcher<'env>,
        most: u64,
    ) -> Self {
        let budget = Budget::new(most);
        let thread = || {
            let (sender, jobs) = unbounded::<ReadJob>();
            let budget = budget.clone();
            scope.spawn(move || {
                for job in jobs {
                    if fetcher.shards.should_stop() {
                        budget.close();
                    }
                    if budget.is_closed() {
                        continue; // dropped, so that nobody waits for an answer
                    }
                    let read = fetcher.shards.read_shard(&job.record, job.index, &job.range);
                    // Nobody may want it any more.
                    job.reply.send((job.index, read)).ok();
                }
            });
            sender
        };
        let drives = fetcher.shards.slots_here().map(|slot| (slot, thread())).collect();
        let kept = fetcher.shards.has_kept().then(thread);
        Self { fetcher, drives, kept, budget }
    }

    /// For whoever takes what is read.
    pub fn taker(&self) -> Taker {
        Taker(self.budget.clone())
    }

    /// Begins to read the requests of a batch, when they may be held together; none once nobody
    /// takes what is read.
    pub fn begin(&self, requests: impl Iterator<Item = Request>) -> Option<Vec<StripeRead>> {
        let requests: Vec<_> = requests.map(|request| self.shards_of(request)).collect();
        let sum = requests.iter().map(|(request, shards)| bytes(request, shards)).sum();
        let taken = self.budget.take(sum);
        let read = |(request, shards)| self.read(request, shards);
        taken.then(|| requests.into_iter().map(read).collect())
    }

    fn queue(&self, record: &StripeRecord, index: u8) -> Option<&Sender<ReadJob>> {
        let slot = record.shards[index as usize].slot;
        self.drives.get(&slot).filter(|_| !self.fetcher.shards.is_gone(slot)).or(self.kept.as_ref())
    }

    fn shards_of(&self, request: Request) -> (Request, ShardRanges) {
        let here = self.fetcher.shards.here(&request.record);
        // Where shards are kept, what is here of others is looked at once, and not in each request.
        let enough = here.len() >= request.record.k as usize;
        let looked_at = self.fetcher.shards.has_kept() && !enough;
        let good = if looked_at { 0 } else { request.good_wanted(here.len()) };
        let shards = request.of_those_here(&here, good);
        (request, shards)
    }

    fn read(&self, request: Request, shards: ShardRanges) -> StripeRead {
        let held = HeldBytes { budget: self.budget.clone(), bytes: bytes(&request, &shards) };
        let record = &request.record;
        let tried = self.fetcher.shards.absent(record).chain(shards.keys().copied()).collect();
        let (reply, answers) = unbounded();
        for (index, range) in shards {
            let job = ReadJob { record: record.clone(), index, range, reply: reply.clone() };
            // A thread that has panicked answers nothing; that is seen when the scope ends.
            self.queue(record, index).map(|queue| queue.send(job).ok());
        }
        StripeRead { request, held, tried, answers }
    }
}

/// Which blocks of which shards are read.
type ShardRanges = BTreeMap<u8, Range<usize>>;

fn bytes(request: &Request, shards: &ShardRanges) -> u64 {
    shards.values().map(|range| range.len() * request.record.blocks.bytes()).sum::<usize>() as u64
}

impl Drop for Readahead<'_> {
    fn drop(&mut self) {
        self.budget.close();
    }
}

impl StripeRead {
    /// Waits for what was begun; where some shards could not be read at all, reads others. None if
    /// it is read no more.
    pub fn wait(self, fetcher: &Fetcher) -> Option<RawStripe> {
        let budget = self.held.budget.clone();
        let mut raw = RawStripe::of(self.request);
        raw.held = Some(self.held);
        for (index, blocks) in self.answers {
            if let Some(blocks) = blocks {
                raw.shards.insert(index, blocks);
            }
        }
        (!budget.is_closed()).then(|| fetcher.read_rest(raw, self.tried))
    }
}
