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

use super::dedup::{Known, PlacedChunk};
use super::listing::{Counts, Listing};
use super::seal::Payload;
use crate::format::ids::StripeId;
use crate::format::list::{
    self, DataShard, Entry, Extent, Hash, Item, Method, Place, entry_len, names_len,
};
use crate::format::list_reader::{MOST_FRAME_BYTES, MOST_ITEMS};
use crate::format::list_writer::{
    CHUNK_ITEM_BYTES, COMPRESSED_HEAD_BYTES, END_BYTES, EXTENT_BYTES, ListWriter, SHARD_ITEM_BYTES,
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
    /// of a piece of a file its value; of a group's chunk the plain BLAKE3 of its plain bytes
    pub id: Hash,
}

/// A list item whose place may not be known yet.
#[derive(Clone, Debug)]
pub enum DraftItem {
    /// an entry begins
    Entry(Arc<Entry>),
    /// a whole file that has bytes
    Whole { entry: Arc<Entry>, source: Known },
    /// a piece of the open file
    Extent {
        file_offset: u64,
        /// bytes
        len: u32,
        /// the piece's value
        id: Hash,
        source: Known,
    },
    /// the open file ends
    End(list::End),
}

impl DraftItem {
    /// The most bytes that it takes in a list.
    fn list_bytes(&self) -> usize {
        match self {
            Self::Entry(entry) => 1 + entry_len(entry),
            Self::Whole { entry, .. } => CHUNK_ITEM_BYTES + 1 + entry_len(entry),
            Self::Extent { .. } => EXTENT_BYTES,
            Self::End(_) => END_BYTES,
        }
    }

    /// Bytes of paths and names.
    fn names(&self) -> usize {
        match self {
            Self::Entry(entry) | Self::Whole { entry, .. } => names_len(entry),
            Self::Extent { .. } | Self::End(_) => 0,
        }
    }

    /// Items and extended attributes that it becomes, at most.
    fn weight(&self) -> usize {
        match self {
            Self::Entry(entry) | Self::Whole { entry, .. } => 2 + entry.xattrs.len(),
            Self::Extent { .. } | Self::End(_) => 1,
        }
    }
}

/// What the lists say of a bundle.
pub enum Listed {
    /// entries that were listed where they were read; their bytes are the bundle's chunk
    Group {
        listing: Listing,
        /// ids of the files that have bytes, and the offset of each in the chunk
        files: Vec<(Hash, u32)>,
    },
    /// anything else
    Items(Vec<DraftItem>),
}

/// Items that belong together, and the chunk they begin with.
pub struct Bundle {
    /// the file that is open when the bundle begins, if it does not begin with an entry
    pub open: Option<Arc<Entry>>,
    /// what its lists name
    pub listed: Listed,
    /// the bytes, if they are new
    pub chunk: Option<NewChunk>,
}

impl Bundle {
    fn stored(&self) -> usize {
        self.chunk.as_ref().map_or(0, |c| (*c.bytes).as_ref().len())
    }

    fn needs(&self) -> Needs {
        let (list, plain, weight) = match &self.listed {
            Listed::Group { listing, .. } => {
                let plain = listing.plain.len();
                let coded =
                    listing.frame.as_ref().map_or(plain, |f| COMPRESSED_HEAD_BYTES + f.len());
                (CHUNK_ITEM_BYTES + coded, plain.max(listing.names), 2 + listing.weight)
            }
            Listed::Items(items) => {
                let bytes = items.iter().map(DraftItem::list_bytes).sum();
                let names = items.iter().map(DraftItem::names).sum();
                (bytes, names, items.iter().map(DraftItem::weight).sum())
            }
        };
        let reopen = self.open.as_ref().map_or(0, |e| 1 + entry_len(e));
        let reopen_weight = self.open.as_ref().map_or(0, |e| 1 + e.xattrs.len());
        Needs { stored: self.stored(), list, plain, weight, reopen, reopen_weight }
    }
}

/// What a bundle takes of a payload, at most.
#[derive(Clone, Copy)]
struct Needs {
    stored: usize,
    list: usize,
    /// plain bytes of its run, or of the paths and names in it if these are more
    plain: usize,
    /// items and extended attributes
    weight: usize,
    /// further list bytes if it is the first in its shard's list
    reopen: usize,
    /// and further items
    reopen_weight: usize,
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
#[derive(Clone, Copy, Default)]
struct Fold {
    shards: usize,
    capacity: usize,
    shard: usize,
    chunk_bytes: usize,
    list_bytes: usize,
    list_plain: usize,
    list_weight: usize,
}

impl Fold {
    fn new(shards: usize, blocks: Blocks) -> Self {
        let capacity = blocks.payload_bytes().saturating_sub(TRAILER_BYTES);
        Self { shards, capacity, ..Self::default() }
    }

    /// Begins the next shard, if there is one.
    fn next_shard(&mut self, chunk_bytes: usize) -> Option<()> {
        self.shard += 1;
        self.chunk_bytes = chunk_bytes;
        (self.list_bytes, self.list_plain, self.list_weight) = (0, 0, 0);
        (self.shard < self.shards).then_some(())
    }

    /// Returns the place of the next bundle; none if it does not fit.
    fn place(&mut self, needs: Needs) -> Option<Spot> {
        loop {
            let first_in_list = self.list_bytes == 0;
            let (list, plain, weight) = if first_in_list {
                (SHARD_ITEM_BYTES + needs.reopen, needs.reopen, 1 + needs.reopen_weight)
            } else {
                (self.list_bytes, self.list_plain, self.list_weight)
            };
            let (list, plain) = (list + needs.list, plain + needs.plain);
            let weight = weight + needs.weight;
            let least = self.chunk_bytes + list + usize::from(needs.stored > 0);
            let is_readable = plain <= MOST_FRAME_BYTES as usize && weight <= MOST_ITEMS;
            if least <= self.capacity && is_readable {
                let offset = self.chunk_bytes;
                let head = needs.stored.min(self.capacity - offset - list);
                let spot = Spot { shard: self.shard, offset, head, first_in_list };
                (self.list_bytes, self.list_plain, self.list_weight) = (list, plain, weight);
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
    pub bundle: Box<Bundle>,
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
            let bundle = Box::new(bundle);
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
            listed: Vec::with_capacity(self.bundles.len()),
            learned: Vec::new(),
        };
        for (number, (bundle, spot)) in self.bundles.iter().zip(&spots).enumerate() {
            let shard = DataShard { stripe: self.id, index: spot.shard as u8 };
            let (in_shard, listed) =
                list_bundle(bundle, number, shard, &places, &mut filled.learned);
            let list = &mut filled.shards[spot.shard].list;
            if spot.first_in_list {
                let mut start = ListWriter::default();
                start.shard(shard);
                bundle.open.iter().for_each(|entry| start.entry(entry, true));
                *list = start.into_bytes();
            }
            list.extend_from_slice(in_shard.as_ref().unwrap_or(&listed.items));
            filled.listed.push(listed);
        }
        for (bundle, spot) in self.bundles.into_iter().zip(spots) {
            filled.take_chunk(bundle, spot);
        }
        filled
    }

    fn places(&self, spots: &[Spot]) -> Vec<Option<Arc<PlacedChunk>>> {
        let place = |(bundle, spot): (&Bundle, &Spot)| {
            bundle.chunk.as_ref().map(|chunk| {
                let place = Place {
                    stripe: self.id,
                    index: spot.shard as u8,
                    method: chunk.method,
                    offset: spot.offset as u32,
                    head: spot.head as u32,
                    stored: bundle.stored() as u32,
                    plain: chunk.plain,
                };
                Arc::new(PlacedChunk { place, id: chunk.id })
            })
        };
        self.bundles.iter().zip(spots).map(place).collect()
    }
}

/// A bundle's items as the catalog takes them, with their final places.
pub struct ListedBundle {
    /// the shard whose list names them
    pub shard: DataShard,
    /// the file that is open when they begin, if they do not begin with an entry
    pub open: Option<Arc<Entry>>,
    /// sort key of the entry that they begin with
    pub first: Option<Vec<u8>>,
    /// the items, which build on nothing before them
    pub items: Vec<u8>,
    pub counts: Counts,
}

/// Lists a bundle for the catalog, and for its shard if that has it in another form; notes for the
/// dedup table what is new.
fn list_bundle(
    bundle: &Bundle,
    number: usize,
    shard: DataShard,
    places: &[Option<Arc<PlacedChunk>>],
    learned: &mut Vec<(Hash, Known)>,
) -> (Option<Vec<u8>>, ListedBundle) {
    let mut list = ListWriter::of(shard);
    let open = bundle.open.clone();
    match &bundle.listed {
        Listed::Group { listing, files } => {
            if let Some(chunk) = &places[number] {
                list.chunk(&chunk.place, &chunk.id, 0);
                learned.extend(files.iter().map(|(id, chunk_offset)| {
                    (*id, Known::Placed { chunk: chunk.clone(), chunk_offset: *chunk_offset })
                }));
            }
            let head = list.into_bytes();
            let in_shard = listing.frame.as_ref().map(|frame| {
                let mut run = ListWriter::default();
                run.written(&head);
                run.run(frame, listing.plain.len());
                run.into_bytes()
            });
            let items = [&head[..], &listing.plain].concat();
            let (first, counts) = (Some(listing.first.clone()), listing.counts);
            (in_shard, ListedBundle { shard, open, first, items, counts })
        }
        Listed::Items(drafts) => {
            let items: Vec<Item> =
                drafts.iter().flat_map(|item| resolve(item, number, places, learned)).collect();
            list.items(&items);
            let first = match items.first() {
                Some(Item::Entry { entry, .. }) => Some(entry.sort_key()),
                _ => None,
            };
            let (items, counts) = (list.into_bytes(), Counts::of(&items));
            (None, ListedBundle { shard, open, first, items, counts })
        }
    }
}

/// Gives an item its final place, and notes it for the dedup table if its bytes are new.
fn resolve(
    item: &DraftItem,
    bundle: usize,
    places: &[Option<Arc<PlacedChunk>>],
    learned: &mut Vec<(Hash, Known)>,
) -> impl Iterator<Item = Item> + use<> {
    let placed = |source: &Known| match source {
        Known::Placed { chunk, chunk_offset } => (chunk.clone(), *chunk_offset),
        Known::Here { bundle, chunk_offset } => {
            let chunk = places[*bundle].clone();
            (chunk.expect("only bundles with a chunk are named by extents"), *chunk_offset)
        }
    };
    let begin = |entry: &Entry| Item::Entry { entry: entry.clone(), continued: false };
    let (first, second) = match item {
        DraftItem::Entry(entry) => (begin(entry), None),
        DraftItem::End(end) => (Item::End(*end), None),
        DraftItem::Whole { entry, source } => {
            let (chunk, chunk_offset) = placed(source);
            let PlacedChunk { place, id } = *chunk;
            let len = entry.size as u32;
            let extent = Extent { file_offset: 0, len, chunk_offset, id, place };
            (begin(entry), Some(Item::Extent(extent)))
        }
        DraftItem::Extent { file_offset, len, id, source } => {
            let (chunk, chunk_offset) = placed(source);
            let (file_offset, len, id, place) = (*file_offset, *len, *id, chunk.place);
            if matches!(source, Known::Here { bundle: at, .. } if *at == bundle) {
                learned.push((id, Known::Placed { chunk, chunk_offset }));
            }
            (Item::Extent(Extent { file_offset, len, chunk_offset, id, place }), None)
        }
    };
    std::iter::once(first).chain(second)
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
    /// what its lists name, in order
    pub listed: Vec<ListedBundle>,
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
