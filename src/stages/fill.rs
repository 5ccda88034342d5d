//! Filling a stripe: chunks and the list of what they hold, laid into k payloads.
//!
//! - Enters: bundles in entry order: a chunk (or none) and the list items that begin with it.
//! - Leaves: k payloads, the same items with their final places (for the catalog), and where each
//!   new extent lies (for [`super::dedup`]).
//! - Always holds: (1) chunks lie one after the other, in one shard or running over into the next
//!   of the same stripe, never into another stripe; (2) a chunk's items stand in the list of the
//!   shard in which it begins; (3) each list stands alone: one that begins inside a file opens
//!   with that file's entry, continued; (4) a stripe has as few blocks as hold its content.
//!
//! The layout is a fold over the bundles ([`Fold`]) and depends on the number of blocks. While
//! bundles come it runs for the largest number, to know when the stripe is full; at the end it is
//! run again for the smallest number that holds them all.

use super::dedup::Known;
use super::seal::Payload;
use crate::format::ids::StripeId;
use crate::format::list::{
    self, END_BYTES, EXTENT_BYTES, Entry, Extent, Hash, Item, Method, Place, entry_len,
};
use crate::format::shard::{Blocks, TRAILER_BYTES};
use std::ops::Range;
use std::sync::Arc;

/// The stored bytes of a chunk, wherever they lie.
pub type ChunkBytes = Box<dyn AsRef<[u8]> + Send + Sync>;

/// A chunk that is to be stored.
pub struct NewChunk {
    /// stored bytes, at least one
    pub bytes: ChunkBytes,
    pub method: Method,
    /// plain bytes
    pub plain: u32,
}

/// A list item whose place may not be known yet.
#[derive(Clone, Debug)]
pub enum DraftItem {
    /// an entry begins
    Entry(Arc<Entry>),
    /// bytes of the open file
    Extent {
        file_offset: u64,
        /// bytes
        len: u32,
        /// their BLAKE3
        id: Hash,
        source: Known,
    },
    /// the open file ends
    End(list::End),
}

impl DraftItem {
    fn list_bytes(&self) -> usize {
        match self {
            Self::Entry(entry) => entry_len(entry),
            Self::Extent { .. } => EXTENT_BYTES,
            Self::End(_) => END_BYTES,
        }
    }
}

/// Items that belong together, and the chunk they begin with.
pub struct Bundle {
    /// the file that is open when the bundle begins, if it does not begin with an entry
    pub open: Option<Arc<Entry>>,
    /// what its lists name
    pub items: Vec<DraftItem>,
    /// the bytes, if they are new
    pub chunk: Option<NewChunk>,
}

impl Bundle {
    fn stored(&self) -> usize {
        self.chunk.as_ref().map_or(0, |c| (*c.bytes).as_ref().len())
    }

    fn needs(&self) -> Needs {
        Needs {
            stored: self.stored(),
            list: self.items.iter().map(DraftItem::list_bytes).sum(),
            reopen: self.open.as_ref().map_or(0, |e| entry_len(e)),
        }
    }
}

/// The bytes that a bundle takes of a payload.
#[derive(Clone, Copy)]
struct Needs {
    stored: usize,
    list: usize,
    /// further list bytes if it is the first in its shard's list
    reopen: usize,
}

/// Where a bundle's chunk begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Spot {
    shard: usize,
    offset: usize,
    head: usize,
    first_in_list: bool,
}

/// The state of the layout between two bundles.
#[derive(Clone, Copy)]
struct Fold {
    shards: usize,
    capacity: usize,
    shard: usize,
    chunk_bytes: usize,
    list_bytes: usize,
}

impl Fold {
    fn new(shards: usize, blocks: Blocks) -> Self {
        let capacity = blocks.payload_bytes().saturating_sub(TRAILER_BYTES);
        Self { shards, capacity, shard: 0, chunk_bytes: 0, list_bytes: 0 }
    }

    /// Begins the next shard, if there is one.
    fn next_shard(&mut self, chunk_bytes: usize) -> Option<()> {
        self.shard += 1;
        self.chunk_bytes = chunk_bytes;
        self.list_bytes = 0;
        (self.shard < self.shards).then_some(())
    }

    /// Returns the place of the next bundle; none if it does not fit.
    fn place(&mut self, needs: Needs) -> Option<Spot> {
        loop {
            let first_in_list = self.list_bytes == 0;
            let list = self.list_bytes + needs.list + if first_in_list { needs.reopen } else { 0 };
            let least = self.chunk_bytes + list + usize::from(needs.stored > 0);
            if least <= self.capacity {
                let offset = self.chunk_bytes;
                let head = needs.stored.min(self.capacity - offset - list);
                let spot = Spot { shard: self.shard, offset, head, first_in_list };
                self.list_bytes = list;
                self.chunk_bytes += head;
                let mut rest = needs.stored - head;
                while rest > 0 {
                    let here = rest.min(self.capacity);
                    self.next_shard(here)?;
                    rest -= here;
                }
                return Some(spot);
            }
            self.next_shard(0)?;
        }
    }
}

/// A stripe that is being filled.
pub struct Draft {
    id: StripeId,
    max_blocks: Blocks,
    least: usize,
    k: usize,
    bundles: Vec<Bundle>,
    fold: Fold,
}

/// A bundle that the stripe has no room for.
pub struct DoesNotFit {
    /// the bundle, given back
    pub bundle: Bundle,
    /// not even an empty stripe would hold it
    pub never: bool,
}

impl Draft {
    /// An empty stripe of `k` data shards with at most `max_blocks`.
    pub fn new(id: StripeId, k: usize, max_blocks: Blocks) -> Self {
        Self { id, max_blocks, least: 1, k, bundles: Vec::new(), fold: Fold::new(k, max_blocks) }
    }

    /// The same, with at least so many blocks per shard, or `max_blocks` if that is less.
    #[must_use]
    pub fn with_least(self, blocks: usize) -> Self {
        Self { least: blocks.min(self.max_blocks.count()), ..self }
    }

    /// The number that the next bundle gets, for [`Known::Here`].
    pub fn next_bundle(&self) -> usize {
        self.bundles.len()
    }

    /// Whether no bundle was added.
    pub fn is_empty(&self) -> bool {
        self.bundles.is_empty()
    }

    /// Adds a bundle, or gives it back if the stripe has no room for it.
    pub fn add(&mut self, bundle: Bundle) -> Result<(), DoesNotFit> {
        let mut fold = self.fold;
        if fold.place(bundle.needs()).is_none() {
            return Err(DoesNotFit { bundle, never: self.is_empty() });
        }
        self.fold = fold;
        self.bundles.push(bundle);
        Ok(())
    }

    fn layout(&self, blocks: Blocks) -> Option<Vec<Spot>> {
        let mut fold = Fold::new(self.k, blocks);
        self.bundles.iter().map(|b| fold.place(b.needs())).collect()
    }

    /// The layout with the fewest blocks that are allowed.
    fn smallest(&self) -> (Blocks, Vec<Spot>) {
        let blocks = |count: usize| {
            Blocks::new(self.max_blocks.bytes() as u32, count as u32)
                .expect("a count from 1 to the largest is a valid count")
        };
        let (mut low, mut high) = (self.least, self.max_blocks.count());
        while low < high {
            let middle = usize::midpoint(low, high);
            if self.layout(blocks(middle)).is_some() { high = middle } else { low = middle + 1 }
        }
        let spots = self.layout(blocks(low)).expect("add() took only what the largest holds");
        (blocks(low), spots)
    }

    /// Lays out the payloads; nothing more can be added.
    pub fn close(self) -> Filled {
        let (blocks, spots) = self.smallest();
        let places = self.places(&spots);
        let mut filled = Filled {
            id: self.id,
            blocks,
            shards: vec![FilledShard::default(); self.k],
            chunks: Vec::new(),
            items: Vec::new(),
            learned: Vec::new(),
        };
        for (number, (bundle, spot)) in self.bundles.iter().zip(&spots).enumerate() {
            let list = &mut filled.shards[spot.shard].list;
            if let Some(entry) = bundle.open.as_ref().filter(|_| spot.first_in_list) {
                Item::Entry { entry: (**entry).clone(), continued: true }.encode(list);
            }
            for item in &bundle.items {
                let item = resolve(item, number, &places, &mut filled.learned);
                item.encode(list);
                filled.items.push(item);
            }
        }
        for (bundle, spot) in self.bundles.into_iter().zip(spots) {
            filled.take_chunk(bundle, spot);
        }
        filled
    }

    fn places(&self, spots: &[Spot]) -> Vec<Option<Place>> {
        let place = |(bundle, spot): (&Bundle, &Spot)| {
            bundle.chunk.as_ref().map(|chunk| Place {
                stripe: self.id,
                index: spot.shard as u8,
                method: chunk.method,
                offset: spot.offset as u32,
                head: spot.head as u32,
                stored: bundle.stored() as u32,
                plain: chunk.plain,
            })
        };
        self.bundles.iter().zip(spots).map(place).collect()
    }
}

/// Gives an item its final place, and notes it for the dedup table if its bytes are new.
fn resolve(
    item: &DraftItem,
    bundle: usize,
    places: &[Option<Place>],
    learned: &mut Vec<(Hash, Known)>,
) -> Item {
    match item {
        DraftItem::Entry(entry) => Item::Entry { entry: (**entry).clone(), continued: false },
        DraftItem::End(end) => Item::End(*end),
        DraftItem::Extent { file_offset, len, id, source } => {
            let (place, chunk_offset) = match *source {
                Known::Placed { place, chunk_offset } => (place, chunk_offset),
                Known::Here { bundle: at, chunk_offset } => {
                    let place = places[at].expect("only bundles with a chunk are named by extents");
                    if at == bundle {
                        learned.push((*id, Known::Placed { place, chunk_offset }));
                    }
                    (place, chunk_offset)
                }
            };
            let (file_offset, len, id) = (*file_offset, *len, *id);
            Item::Extent(Extent { file_offset, len, chunk_offset, id, place })
        }
    }
}

/// One data shard of a filled stripe.
#[derive(Clone, Default)]
struct FilledShard {
    /// runs of chunks, in payload order
    pieces: Vec<(usize, Range<usize>)>,
    list: Vec<u8>,
}

/// A stripe that is ready to be sealed.
pub struct Filled {
    /// its run and number
    pub id: StripeId,
    /// B and n
    pub blocks: Blocks,
    /// its items with their places, without continued entries
    pub items: Vec<Item>,
    /// where the new extents lie
    pub learned: Vec<(Hash, Known)>,
    shards: Vec<FilledShard>,
    chunks: Vec<ChunkBytes>,
}

impl Filled {
    fn take_chunk(&mut self, bundle: Bundle, spot: Spot) {
        let Some(chunk) = bundle.chunk else { return };
        let len = (*chunk.bytes).as_ref().len();
        let number = self.chunks.len();
        let capacity = self.blocks.payload_bytes() - TRAILER_BYTES;
        let (mut shard, mut from, mut to) = (spot.shard, 0, spot.head);
        while from < len {
            self.shards[shard].pieces.push((number, from..to));
            shard += 1;
            from = to;
            to = len.min(from + capacity);
        }
        self.chunks.push(chunk.bytes);
    }

    /// The payloads of its data shards.
    pub fn payloads(&self) -> Vec<Payload<'_>> {
        let payload = |shard: &FilledShard| {
            let piece = |(chunk, range): &(usize, Range<usize>)| {
                &(*self.chunks[*chunk]).as_ref()[range.clone()]
            };
            Payload::new(shard.pieces.iter().map(piece), shard.list.clone())
        };
        self.shards.iter().map(payload).collect()
    }

    /// Stored bytes of all its chunks.
    pub fn stored_bytes(&self) -> u64 {
        self.chunks.iter().map(|c| (**c).as_ref().len() as u64).sum()
    }
}

#[cfg(test)]
#[path = "fill/tests.rs"]
mod tests;
