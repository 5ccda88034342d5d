//! The CPU part of a batch before anything is written: blocks are checked, reconstructed and
//! opened, each while it is in the cache; chunks are decompressed when they are asked for.

use super::chunk_runs::runs;
use super::open_set::OpenSet;
use super::output::Output;
use super::pieces;
use crate::drives::ReadMode;
use crate::drives::buffer::{Pool, Pooled};
use crate::format::frame::is_frame;
use crate::format::ids::{StripeId, shard_path};
use crate::format::list::{Method, Place};
use crate::format::record::StripeRecord;
use crate::format::shard::Blocks;
use crate::keys::RunKey;
use crate::keys::run::StripeShape;
use crate::shipment::FoundSet;
use crate::stages::compress::Decompressor;
use crate::stages::seal::Cipher;
use crate::stripes::fetch::Fetcher;
use crate::stripes::stripe::{MissingBlocks, NeededShards, RawStripe, Reconstructed};
use parking_lot::Mutex;
use rayon::prelude::*;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::ops::Range;
use std::sync::Arc;

/// Why a chunk is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Absent {
    /// drives that are not here may have it
    Waits,
    /// no drive of the set has enough of it
    Lost,
}

/// The plain bytes of a run of a shard's blocks.
pub struct OpenShard {
    /// payload offset of the first byte
    origin: usize,
    /// the payload from there on; only what is good means anything
    pub bytes: Pooled,
    /// runs of payload bytes that are good
    good: Vec<Range<usize>>,
    /// blocks that are as recorded, but do not open with the key
    pub unopened: u64,
}

impl OpenShard {
    /// These payload bytes, if they are good.
    pub fn get(&self, range: Range<usize>) -> Option<&[u8]> {
        let within = |good: &Range<usize>| good.start <= range.start && range.end <= good.end;
        self.good
            .iter()
            .any(within)
            .then(|| &self.bytes[range.start - self.origin..range.end - self.origin])
    }
}

/// The opened stripes of a batch.
pub struct OpenedBatch {
    stripes: HashMap<StripeId, Arc<OpenStripe>>,
    /// why a stripe is not there of which no record was found
    unknown: Absent,
    /// plain bytes that a chunk may have
    most_plain: u32,
    /// blocks that were reconstructed
    pub reconstructed: Reconstructed,
}

impl OpenedBatch {
    /// Checks, reconstructs and opens what was read for a batch, and adds what was opened before.
    pub fn new(
        open: &OpenSet,
        raw: Vec<RawStripe>,
        before: Vec<Arc<OpenStripe>>,
        fetcher: &Fetcher,
        pool: &Pool,
    ) -> Self {
        let opened: Vec<(OpenStripe, Reconstructed)> =
            raw.into_par_iter().map(|raw| OpenStripe::new(open, raw, fetcher, pool)).collect();
        let mut reconstructed = Reconstructed::default();
        opened.iter().for_each(|(_, of)| reconstructed.add(*of));
        let opened = opened.into_iter().map(|(stripe, _)| Arc::new(stripe)).chain(before);
        let stripes = opened.map(|stripe| (stripe.record.id, stripe)).collect();
        let may_come = open.record_index.gaps && !open.set.missing_slots().is_empty();
        let unknown = if may_come { Absent::Waits } else { Absent::Lost };
        Self { stripes, unknown, most_plain: open.set.most_plain(), reconstructed }
    }

    /// What a chunk waits for that is not there: who can give its stripe's columns, and the slots
    /// of the shards that hold what is missing of it.
    pub fn needed(
        &self,
        place: &Place,
        output: Output,
    ) -> Option<(&[NeededShards], BTreeSet<u16>)> {
        let stripe = self.stripes.get(&place.stripe)?;
        let is_there = |(index, run): &(u8, Range<usize>)| {
            let open =
                stripe.shards.get(index).is_some_and(|shard| shard.get(run.clone()).is_some());
            open || pieces::find(output, place, *index, run).is_some()
        };
        let slot = |(index, _): &(u8, Range<usize>)| stripe.record.shards[*index as usize].slot.0;
        let runs = runs(place, &stripe.record)?;
        let own = runs.iter().filter(|run| !is_there(run)).map(slot).collect();
        Some((&stripe.missing.needed, own))
    }

    /// The plain bytes of a chunk; those that were compressed are laid into `buffer`, by a
    /// decompressor that is made for the first of them. Fails if the system has no memory for it.
    pub fn chunk<'b>(
        &'b self,
        place: &Place,
        output: Output,
        decompressor: &mut Option<Decompressor>,
        buffer: &'b mut Vec<u8>,
    ) -> io::Result<Result<Cow<'b, [u8]>, Absent>> {
        let stripe = self.stripes.get(&place.stripe).ok_or(self.unknown);
        let stored = match stripe.and_then(|stripe| stored(stripe, place, output)) {
            Ok(stored) if place.method == Method::Plain => {
                let is_whole = stored.len() == place.plain as usize;
                return Ok(is_whole.then_some(stored).ok_or(Absent::Lost));
            }
            Ok(stored) => stored,
            Err(absent) => return Ok(Err(absent)),
        };
        if place.plain > self.most_plain || !is_frame(&stored, place.plain as usize) {
            return Ok(Err(Absent::Lost));
        }
        buffer.resize(place.plain as usize, 0);
        let decompressor = match decompressor {
            Some(decompressor) => decompressor,
            None => decompressor.insert(Decompressor::new()?),
        };
        let plain = decompressor.decompress(place.method, &stored, buffer);
        Ok(plain.map(|()| Cow::Borrowed(&buffer[..])).map_err(|_| Absent::Lost))
    }
}

/// The opened blocks of a stripe.
pub struct OpenStripe {
    pub record: Arc<StripeRecord>,
    /// the wanted shards; none if the key of the run is not at hand
    pub shards: BTreeMap<u8, OpenShard>,
    missing: MissingBlocks,
    /// as [`Stripe::as_read`](crate::stripes::stripe::Stripe::as_read)
    pub as_read: Vec<u8>,
}

/// A wanted shard while its blocks are opened.
struct Opening<'b> {
    cipher: Cipher,
    first: usize,
    /// of each block where its plain bytes go, and, once it was tried, whether they are there
    blocks: Vec<Mutex<(&'b mut [u8], Option<bool>)>>,
}

impl<'b> Opening<'b> {
    fn new(cipher: Cipher, blocks: Blocks, range: &Range<usize>, mut rest: &'b mut [u8]) -> Self {
        let mut pieces = Vec::with_capacity(range.len());
        for number in range.clone() {
            let (piece, after) = rest.split_at_mut(blocks.payload_range(number).len());
            pieces.push(Mutex::new((piece, None)));
            rest = after;
        }
        Self { cipher, first: range.start, blocks: pieces }
    }

    /// Opens a block, unless it is open.
    fn open(&self, number: usize, sealed: &[u8]) {
        let at = number.checked_sub(self.first);
        let Some(block) = at.and_then(|at| self.blocks.get(at)) else { return };
        let mut block = block.lock();
        if block.1 != Some(true) {
            block.1 = Some(self.cipher.open(number, sealed, block.0).is_ok());
        }
    }

    /// The runs of payload bytes that are there, and how many blocks did not open.
    fn good(self, blocks: Blocks) -> (Vec<Range<usize>>, u64) {
        let (mut good, mut unopened): (Vec<Range<usize>>, u64) = (Vec::new(), 0);
        for (block, number) in self.blocks.into_iter().zip(self.first..) {
            let opened = block.into_inner().1;
            unopened += u64::from(opened == Some(false));
            if opened != Some(true) {
                continue;
            }
            let run = blocks.payload_range(number);
            match good.last_mut() {
                Some(last) if last.end == run.start => last.end = run.end,
                _ => good.push(run),
            }
        }
        (good, unopened)
    }
}

impl OpenStripe {
    /// May drives that are not here have all that is missing of these runs?
    pub fn may_come(&self, runs: &[(u8, Range<usize>)]) -> bool {
        let blocks = self.record.blocks;
        let is_lost = |(index, run): &(u8, Range<usize>)| {
            self.missing.lost.iter().any(|(of, column)| {
                let payload = blocks.payload_range(*column);
                let (start, end) = (payload.start.max(run.start), payload.end.min(run.end));
                let shard = self.shards.get(index);
                of == index
                    && start < end
                    && shard.is_none_or(|shard| shard.get(start..end).is_none())
            })
        };
        !self.missing.needed.is_empty() && !runs.iter().any(is_lost)
    }

    /// Checks, reconstructs and opens, each block while it is in the cache; returns how many were
    /// reconstructed, too.
    pub fn new(
        open: &OpenSet,
        raw: RawStripe,
        fetcher: &Fetcher,
        pool: &Pool,
    ) -> (Self, Reconstructed) {
        let request = raw.request().clone();
        let record = &request.record;
        let (blocks, shape) = (record.blocks, StripeShape::from(&**record));
        let key = open.keys.get(&record.id.run);
        let payload = |range: &Range<usize>| {
            blocks.payload_range(range.start).start..blocks.payload_range(range.end - 1).end
        };
        let wanted = request.shards.iter().filter(|_| key.is_some());
        let mut buffers: Vec<(u8, &Range<usize>, Pooled)> =
            wanted.map(|(index, range)| (*index, range, pool.take(payload(range).len()))).collect();
        let opening: BTreeMap<u8, Opening> = buffers
            .iter_mut()
            .filter_map(|(index, range, bytes)| {
                let salt = record.shards[*index as usize].salt;
                let cipher = Cipher::new(key?.shard_key(&salt, &shape, *index));
                Some((*index, Opening::new(cipher, blocks, range, bytes)))
            })
            .collect();
        let stripe = fetcher.complete_with(raw, &|index, number, sealed| {
            if let Some(shard) = opening.get(&index) {
                shard.open(number, sealed);
            }
        });
        for (index, shard) in &opening {
            // Those that were reconstructed in another way than from their own stripe.
            let rest = (shard.first..).take(shard.blocks.len());
            rest.filter_map(|number| Some((number, stripe.block(*index, number)?)))
                .for_each(|(number, sealed)| shard.open(number, sealed));
        }
        let good: BTreeMap<u8, (Vec<Range<usize>>, u64)> =
            opening.into_iter().map(|(index, shard)| (index, shard.good(blocks))).collect();
        let shard = |(index, range, bytes): (u8, &Range<usize>, Pooled)| {
            let (good, unopened) = good.get(&index).cloned().unwrap_or_default();
            (index, OpenShard { origin: payload(range).start, bytes, good, unopened })
        };
        let shards = buffers.into_iter().map(shard).collect();
        let (reconstructed, as_read, missing) =
            (stripe.reconstructed, stripe.as_read, stripe.missing);
        (Self { record: record.clone(), shards, missing, as_read }, reconstructed)
    }
}

/// The stored bytes of a chunk: those of a shard that is not here from the run that had it. If they
/// are not all there, and may still come, what there is of them is kept for a later run.
fn stored<'a>(
    stripe: &'a OpenStripe,
    place: &Place,
    output: Output,
) -> Result<Cow<'a, [u8]>, Absent> {
    let runs = runs(place, &stripe.record).ok_or(Absent::Lost)?;
    let here = |(index, run): &(u8, Range<usize>)| stripe.shards.get(index)?.get(run.clone());
    let parts: Vec<Option<&[u8]>> = runs.iter().map(here).collect();
    if let [Some(one)] = parts[..] {
        return Ok(one.into());
    }
    let found = |((index, run), part): (&(u8, Range<usize>), Option<&'a [u8]>)| match part {
        Some(part) => Some(Cow::Borrowed(part)),
        None => pieces::find(output, place, *index, run).map(Cow::Owned),
    };
    let all: Option<Vec<Cow<[u8]>>> = match runs.len() {
        1 => None,
        _ => runs.iter().zip(parts.iter().copied()).map(found).collect(),
    };
    match all {
        Some(all) => Ok(all.concat().into()),
        None if stripe.may_come(&runs) => {
            for ((index, _), part) in runs.iter().zip(&parts) {
                part.iter().for_each(|part| pieces::keep(output, place, *index, part));
            }
            Err(Absent::Waits)
        }
        None => Err(Absent::Lost),
    }
}

/// Does the first block of a data shard of this stripe open?
pub fn opens_one(set: &FoundSet, key: &RunKey, record: &StripeRecord) -> bool {
    let shape = StripeShape::from(record);
    let mut block = vec![0; record.blocks.bytes()];
    let mut plain = vec![0; record.blocks.payload_range(0).len()];
    (0..record.k).any(|index| {
        let path = format!("{}/{}", set.folder, shard_path(record.id, index));
        let salt = &record.shards[index as usize].salt;
        let cipher = Cipher::new(key.shard_key(salt, &shape, index));
        set.all_drives().any(|found| {
            let read = found.drive.open(&path, ReadMode::Cached);
            let read = read.and_then(|mut file| file.read_at(0, &mut block));
            read.is_ok_and(|len| len == block.len()) && cipher.open(0, &block, &mut plain).is_ok()
        })
    })
}
