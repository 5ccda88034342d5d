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
use super::carried::{Carry, CarryTable};
use super::fetch::Fetcher;
use super::request::{Request, ShardBlocks, ShardRanges, hull};
use super::stripe::RawStripe;
use crate::format::ids::Slot;
use crate::format::record::StripeRecord;
use crossbeam_channel::{Receiver, Sender, unbounded};
use std::collections::{BTreeSet, HashMap};
use std::ops::Range;
use std::sync::Arc;
use std::thread::Scope;

/// A shard to be read.
struct ReadJob {
    record: Arc<StripeRecord>,
    index: u8,
    /// room is made for so much
    range: Range<usize>,
    /// what is read of it
    part: Range<usize>,
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
    carried: CarryTable,
}

/// A request that is being read.
pub struct StripeRead {
    request: Request,
    carry: Carry,
    held: HeldBytes,
    tried: BTreeSet<u8>,
    answers: Receiver<(u8, Option<ShardBlocks>)>,
}

impl<'env> Readahead<'env> {
    /// Starts a thread for each drive; so many bytes may be held, and of stripes that are
    /// reconstructed so many carried from one request to the next.
    pub fn start<'scope>(
        scope: &'scope Scope<'scope, 'env>,
        fetcher: &'env Fetcher<'env>,
        most: u64,
        most_carried: u64,
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
                    let read =
                        fetcher.shards.read_part(&job.record, job.index, &job.range, &job.part);
                    // Nobody may want it any more.
                    job.reply.send((job.index, read)).ok();
                }
            });
            sender
        };
        let drives = fetcher.shards.slots_here().map(|slot| (slot, thread())).collect();
        let kept = fetcher.shards.has_kept().then(thread);
        let carried = CarryTable::new(most_carried);
        Self { fetcher, drives, kept, budget, carried }
    }

    /// For whoever takes what is read.
    pub fn taker(&self) -> Taker {
        Taker(self.budget.clone())
    }

    /// Begins to read the requests of a batch, when they may be held together; none once nobody
    /// takes what is read. The batches are completed in this order.
    pub fn begin(&mut self, requests: impl Iterator<Item = Request>) -> Option<Vec<StripeRead>> {
        let requests: Vec<_> = requests.map(|request| self.shards_of(request)).collect();
        let sum = requests.iter().map(PlannedRead::bytes).sum();
        let taken = self.budget.take(sum);
        taken.then(|| requests.into_iter().map(|planned| self.read(planned)).collect())
    }

    fn queue(&self, record: &StripeRecord, index: u8) -> Option<&Sender<ReadJob>> {
        let slot = record.shards[index as usize].slot;
        self.drives.get(&slot).filter(|_| !self.fetcher.shards.is_gone(slot)).or(self.kept.as_ref())
    }

    fn shards_of(&mut self, request: Request) -> PlannedRead {
        let here = self.fetcher.shards.here(&request.record);
        let (need, carry) = self.carried.next(&request, &here);
        let k = request.record.k as usize;
        // Fewer reconstruct nothing.
        let good = if here.len() >= k { k } else { 0 };
        let shards = Request { shards: need, ..request.clone() }.of_those_here(&here, good);
        PlannedRead { request, shards, carry }
    }

    fn read(&self, planned: PlannedRead) -> StripeRead {
        let held = HeldBytes { budget: self.budget.clone(), bytes: planned.bytes() };
        let PlannedRead { request, shards, carry } = planned;
        let record = &request.record;
        let absent = self.fetcher.shards.absent(record);
        let tried = absent.chain(shards.keys().copied()).chain(carry.taken()).collect();
        let (reply, answers) = unbounded();
        for (index, part) in shards {
            let wanted = request.shards.get(&index).cloned();
            let range = wanted.map_or(part.clone(), |wanted| hull(wanted, part.clone()));
            let record = record.clone();
            let job = ReadJob { record, index, range, part, reply: reply.clone() };
            // A thread that has panicked answers nothing; that is seen when the scope ends.
            self.queue(&request.record, index).map(|queue| queue.send(job).ok());
        }
        StripeRead { request, carry, held, tried, answers }
    }
}

/// What is read for a request.
struct PlannedRead {
    request: Request,
    shards: ShardRanges,
    carry: Carry,
}

impl PlannedRead {
    fn bytes(&self) -> u64 {
        let blocks: usize = self.shards.values().map(ExactSizeIterator::len).sum();
        (blocks * self.request.record.blocks.bytes()) as u64
    }
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
        if budget.is_closed() {
            return None;
        }
        fetcher.shards.take_carried(&mut raw, self.carry);
        Some(fetcher.read_rest(raw, self.tried))
    }
}
