//! The CPU part of a batch: blocks are checked and rebuilt, opened, and chunks decompressed.

use super::batch::{Batch, runs};
use super::output::Output;
use super::{OpenSet, RestoreError, pieces};
use crate::drives::buffer::{Pool, Pooled};
use crate::format::ids::StripeId;
use crate::format::list::{Extent, Place};
use crate::format::record::StripeRecord;
use crate::keys::run::StripeShape;
use crate::sets::fetch::{Fetcher, RawStripe, Stripe};
use crate::stages::compress::Decompressor;
use crate::stages::seal::Cipher;
use rayon::prelude::*;
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::Arc;

/// Buffers that one batch after the other uses.
pub struct Pools {
    shards: Pool,
    chunks: Pool,
}

impl Default for Pools {
    fn default() -> Self {
        Self { shards: Pool::keeping(FREE_SHARDS), chunks: Pool::keeping(FREE_CHUNKS) }
    }
}

/// Why a chunk is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Absent {
    /// drives that are not here may have it
    Waits,
    /// no drive of the set has enough of it
    Lost,
}

/// Buffers of opened shards that are kept for reuse.
const FREE_SHARDS: usize = 4;
/// Chunk buffers that are kept for reuse: those of one batch.
const FREE_CHUNKS: usize = 64;

/// The plain bytes of a run of a shard's blocks.
struct OpenShard {
    /// payload offset of the first byte
    origin: usize,
    bytes: Pooled,
    /// runs of payload bytes that are good
    good: Vec<Range<usize>>,
}

impl OpenShard {
    fn get(&self, range: Range<usize>) -> Option<&[u8]> {
        let within = |good: &Range<usize>| good.start <= range.start && range.end <= good.end;
        self.good
            .iter()
            .any(within)
            .then(|| &self.bytes[range.start - self.origin..range.end - self.origin])
    }
}

/// The chunks of a batch.
pub struct Chunks {
    plain: HashMap<Place, Result<Pooled, Absent>>,
    /// blocks that were rebuilt
    pub rebuilt_blocks: u64,
}

impl Chunks {
    /// The bytes of an extent.
    pub fn extent(&self, extent: &Extent) -> Result<&[u8], Absent> {
        let chunk = self.plain.get(&extent.place).ok_or(Absent::Lost)?;
        let from = extent.chunk_offset as usize;
        let chunk = chunk.as_ref().map_err(|a| *a)?;
        chunk.get(from..from + extent.len as usize).ok_or(Absent::Lost)
    }

    /// Decodes all chunks of a batch.
    pub fn decode(
        open: &OpenSet,
        batch: &Batch,
        raw: Vec<RawStripe>,
        fetcher: &Fetcher,
        pools: &Pools,
        output: Output,
    ) -> Result<Self, RestoreError> {
        let mut rebuilt_blocks = 0;
        let mut stripes = HashMap::new();
        for raw in raw {
            let stripe = fetcher.complete(raw);
            rebuilt_blocks += stripe.rebuilt_blocks;
            let opened = OpenStripe::new(open, &stripe, &pools.shards);
            stripes.insert(stripe.request.record.id, opened);
        }
        let places: Vec<&Place> = batch.places().collect();
        let plain = places
            .par_iter()
            .map_init(Decompressor::new, |decompressor, place| {
                let decompressor = match decompressor {
                    Ok(d) => d,
                    Err(e) => return Err(std::io::Error::new(e.kind(), e.to_string())),
                };
                let stored = stored(&stripes, place, output);
                let plain = stored.and_then(|s| plain(&s, place, decompressor, &pools.chunks));
                Ok((**place, plain))
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { plain, rebuilt_blocks })
    }
}

/// The opened blocks of a stripe.
struct OpenStripe {
    record: Arc<StripeRecord>,
    shards: BTreeMap<u8, OpenShard>,
    waits: bool,
}

impl OpenStripe {
    fn new(open: &OpenSet, stripe: &Stripe, pool: &Pool) -> Self {
        let record = stripe.request.record.clone();
        let key = open.keys.get(&record.id.run);
        let shape = StripeShape::from(&*record);
        let shards = stripe.request.shards.iter().filter_map(|(index, range)| {
            let salt = record.shards[*index as usize].salt;
            let cipher = Cipher::new(key?.shard_key(&salt, &shape, *index));
            Some((*index, open_shard(stripe, &cipher, *index, range.clone(), pool)))
        });
        Self { shards: shards.collect(), waits: stripe.waits, record: record.clone() }
    }
}

fn open_shard(
    stripe: &Stripe,
    cipher: &Cipher,
    index: u8,
    range: Range<usize>,
    pool: &Pool,
) -> OpenShard {
    let blocks = stripe.request.record.blocks;
    let origin = blocks.payload_range(range.start).start;
    let end = blocks.payload_range(range.end - 1).end;
    let mut bytes = pool.take(end - origin);
    let mut pieces = Vec::with_capacity(range.len());
    let mut rest = &mut bytes[..];
    for number in range {
        let (piece, after) = rest.split_at_mut(blocks.payload_range(number).len());
        pieces.push((number, piece));
        rest = after;
    }
    let opened: Vec<bool> = pieces
        .into_par_iter()
        .map(|(number, plain)| {
            stripe.block(index, number).is_some_and(|b| cipher.open(number, b, plain).is_ok())
        })
        .collect();
    let first = blocks.block_of(origin);
    let mut good: Vec<Range<usize>> = Vec::new();
    for (i, _) in opened.iter().enumerate().filter(|(_, good)| **good) {
        let run = blocks.payload_range(first + i);
        match good.last_mut() {
            Some(last) if last.end == run.start => last.end = run.end,
            _ => good.push(run),
        }
    }
    OpenShard { origin, bytes, good }
}

/// The stored bytes of a chunk: those of a shard that is not here from the run that had it. If they
/// are not all there, and may still come, what there is of them is kept for a later run.
fn stored<'a>(
    stripes: &'a HashMap<StripeId, OpenStripe>,
    place: &Place,
    output: Output,
) -> Result<Cow<'a, [u8]>, Absent> {
    let stripe = stripes.get(&place.stripe).ok_or(Absent::Lost)?;
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
        None if stripe.waits => {
            for ((index, _), part) in runs.iter().zip(&parts) {
                part.iter().for_each(|part| pieces::keep(output, place, *index, part));
            }
            Err(Absent::Waits)
        }
        None => Err(Absent::Lost),
    }
}

/// The plain bytes of a chunk.
fn plain(
    stored: &[u8],
    place: &Place,
    decompressor: &mut Decompressor,
    pool: &Pool,
) -> Result<Pooled, Absent> {
    let mut plain = pool.take(place.plain as usize);
    decompressor.decompress(place.method, stored, &mut plain).map_err(|_| Absent::Lost)?;
    Ok(plain)
}
