//! Blocks that one request has read and later ones of the same stripe want: those that a lost shard
//! is reconstructed from hold other files, and where one batch ends within a block the next begins.
//!
//! - Enters: requests in the order in which they are completed; of each, once it is complete, its
//!   blocks.
//! - Leaves: what each has to read yet; the sound blocks that those before it have read.
//! - Always holds: (1) nothing is carried that was not found to be as recorded; (2) a stripe of which
//!   a data shard is not here is reconstructed whole as far as one is wanted, so that no block of it
//!   is read again for another; (3) what is carried is bounded, and is given back once the requests
//!   have left the stripe; (4) a stripe that they come back to is read anew, and only what is wanted.

use super::request::{Request, ShardBlocks, ShardRanges, hull};
use crate::format::ids::StripeId;
use crate::format::record::StripeKind;
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};
use std::ops::Range;
use std::sync::Arc;

/// Stripes that are carried at most: that of the last request, and a few that it may share a batch
/// with.
const MOST_STRIPES: usize = 4;

/// Blocks, by shard.
type BlockNumbers = BTreeMap<u8, BTreeSet<usize>>;

/// The blocks of a stripe that were read.
#[derive(Default)]
pub(super) struct CarriedBlocks {
    runs: Mutex<Vec<(u8, ShardBlocks)>>,
    /// single ones: shard, number, bytes
    edges: Mutex<Vec<(u8, usize, Vec<u8>)>>,
}

impl CarriedBlocks {
    /// Fills in a block, if it is here.
    fn fill(&self, index: u8, number: usize, to: &mut [u8]) -> bool {
        let runs = self.runs.lock();
        let run = runs.iter().filter(|(of, _)| *of == index);
        if let Some(block) = { run }.find_map(|(_, run)| run.block(number)) {
            to.copy_from_slice(block);
            return true;
        }
        let edges = self.edges.lock();
        let edge = edges.iter().find(|(of, at, _)| (*of, *at) == (index, number));
        edge.is_some_and(|(.., block)| {
            to.copy_from_slice(block);
            true
        })
    }
}

/// What a request takes from those before it, and leaves to those after it.
pub(super) struct Carry {
    blocks: Arc<CarriedBlocks>,
    /// what it takes
    take: BlockNumbers,
    /// what is reconstructed for later ones, too
    pub more: ShardRanges,
}

impl Carry {
    /// Fills in what those before it have read of a shard; returns a run that holds all that was
    /// expected and is not there.
    pub fn fill(&self, index: u8, shard: &mut ShardBlocks) -> Option<Range<usize>> {
        let bytes = shard.bytes.len() / shard.good.len().max(1);
        let mut lacking: Option<Range<usize>> = None;
        for number in self.take.get(&index).into_iter().flatten().copied() {
            let at = number - shard.first;
            let block = &mut shard.bytes[at * bytes..(at + 1) * bytes];
            if self.blocks.fill(index, number, block) {
                (shard.good[at], shard.known[at]) = (true, true);
            } else {
                let one = number..number + 1;
                lacking = Some(lacking.map_or(one.clone(), |run| hull(run, one)));
            }
        }
        lacking
    }

    /// The shards of which it takes any.
    pub fn taken(&self) -> impl Iterator<Item = u8> + '_ {
        self.take.keys().copied()
    }

    /// Takes the blocks of a request that is complete.
    fn put(self, request: &Request, shards: BTreeMap<u8, ShardBlocks>) {
        let count = request.record.blocks.count();
        for (index, run) in shards {
            let wanted = request.shards.get(&index);
            if self.more.get(&index).is_some_and(|more| wanted != Some(more)) {
                self.blocks.runs.lock().push((index, run));
                continue;
            }
            let last = wanted.filter(|range| range.end < count).map(|range| range.end - 1);
            if let Some((last, block)) = last.and_then(|last| Some((last, run.block(last)?))) {
                self.blocks.edges.lock().push((index, last, block.to_vec()));
            }
        }
    }
}

/// The blocks of a request; when they are dropped, they are carried.
pub(super) struct RequestBlocks {
    pub shards: BTreeMap<u8, ShardBlocks>,
    pub carry: Option<(Carry, Request)>,
}

impl Drop for RequestBlocks {
    fn drop(&mut self) {
        if let Some((carry, request)) = self.carry.take() {
            carry.put(&request, std::mem::take(&mut self.shards));
        }
    }
}

/// A stripe that requests have come to.
struct Begun {
    id: StripeId,
    blocks: Arc<CarriedBlocks>,
    /// what will be there for the next request
    there: BlockNumbers,
    bytes: u64,
}

impl Begun {
    /// What a request wants and will not be there, and what will.
    fn lacking(&self, request: &Request) -> (ShardRanges, BlockNumbers) {
        let (mut need, mut take) = (ShardRanges::new(), BlockNumbers::new());
        for (index, range) in &request.shards {
            let there = self.there.get(index);
            let is_there = |number: &usize| there.is_some_and(|there| there.contains(number));
            let (taken, lacking): (BTreeSet<usize>, BTreeSet<usize>) =
                range.clone().partition(is_there);
            if let (Some(first), Some(last)) = (lacking.first(), lacking.last()) {
                need.insert(*index, *first..*last + 1);
            }
            if !taken.is_empty() {
                take.insert(*index, taken);
            }
        }
        (need, take)
    }
}

/// The stripes that requests have come to last.
pub(super) struct CarryTable {
    /// bytes that may be carried for the sake of shards that are not here
    most: u64,
    /// the last come last
    begun: VecDeque<Begun>,
    /// those that were reconstructed and left
    left: HashSet<StripeId>,
}

impl CarryTable {
    /// Nothing is carried yet; later so many bytes at most, but for single blocks.
    pub fn new(most: u64) -> Self {
        Self { most, begun: VecDeque::new(), left: HashSet::new() }
    }

    /// What a request has to read yet, and what it takes and leaves; `here` are the shards that can
    /// be read.
    pub fn next(&mut self, request: &Request, here: &BTreeSet<u8>) -> (ShardRanges, Carry) {
        let (record, id) = (&request.record, request.record.id);
        let begun = match self.begun.iter().position(|begun| begun.id == id) {
            Some(at) => self.begun.remove(at),
            None => None,
        };
        let (blocks, there) = (Arc::default(), BTreeMap::new());
        let mut begun = begun.unwrap_or(Begun { id, blocks, there, bytes: 0 });
        let (mut need, mut take) = begun.lacking(request);
        let more = self.more(request, here, &need);
        for (index, columns) in &more {
            let known = need.get(index).unwrap_or(columns);
            need.insert(*index, hull(known.clone(), columns.clone()));
            if request.shards.get(index) != Some(columns) {
                begun.there.entry(*index).or_default().extend(columns.clone());
            }
            begun.bytes += (columns.len() * record.blocks.bytes()) as u64;
        }
        let here = request.shards.iter().filter(|(index, _)| here.contains(index));
        for (index, range) in here.filter(|(_, range)| range.end < record.blocks.count()) {
            begun.there.entry(*index).or_default().insert(range.end - 1);
        }
        // What is read again in between, where blocks lie apart, is not taken.
        for (index, taken) in &mut take {
            let read = need.get(index).cloned().unwrap_or_default();
            taken.retain(|number| !read.contains(number));
        }
        let carry = Carry { blocks: begun.blocks.clone(), take, more };
        self.begun.push_back(begun);
        self.leave();
        (need, carry)
    }

    /// What is reconstructed besides: the columns of what a request has to read, where a data shard
    /// of the stripe is not here and there are enough others.
    fn more(&self, request: &Request, here: &BTreeSet<u8>, need: &ShardRanges) -> ShardRanges {
        let record = &request.record;
        let data_bytes = record.k as usize * record.blocks.file_bytes();
        let is_reconstructed = record.kind == StripeKind::Across
            && here.len() >= record.k.into()
            && !(0..record.k).all(|index| here.contains(&index))
            && data_bytes as u64 <= self.most
            && !self.left.contains(&record.id);
        let columns = need.values().cloned().reduce(hull).filter(|_| is_reconstructed);
        columns
            .map(|columns| (0..record.k).map(|index| (index, columns.clone())).collect())
            .unwrap_or_default()
    }

    /// Leaves the stripes that are carried longest, until the others are few enough.
    fn leave(&mut self) {
        let bytes = |begun: &VecDeque<Begun>| begun.iter().map(|of| of.bytes).sum::<u64>();
        while self.begun.len() > 1
            && (self.begun.len() > MOST_STRIPES || bytes(&self.begun) > self.most)
        {
            let left = self.begun.pop_front().filter(|left| left.bytes > 0);
            self.left.extend(left.map(|left| left.id));
        }
    }
}
