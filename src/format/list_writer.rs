//! Items to the bytes of a list.
//!
//! - Enters: items in order, and the data shard whose list names them.
//! - Leaves: their bytes, each entry as what differs from the one before it.
//! - Always holds: what was written since [`ListWriter::begin_bundle`] can be moved to another list
//!   as it is, behind an item that names the same shard.

use super::entry::Entry;
use super::entry_coding::encode_entry;
use super::list::{DataShard, End, Extent, Following, Hash, Item, Method, Place, tag};
use super::wire::Put;

/// Bytes of an item that names a shard.
pub const SHARD_ITEM_BYTES: usize = 14;
/// The most bytes of a coded place.
const PLACE_BYTES: usize = 2 + 13 + 4 * 5;
/// The most bytes of an item that names a chunk.
pub const CHUNK_ITEM_BYTES: usize = 1 + 32 + PLACE_BYTES + 5;
/// The most bytes of a coded extent.
pub const EXTENT_BYTES: usize = 1 + 10 + 2 * 5 + 32 + PLACE_BYTES;
/// The most bytes of a coded end.
pub const END_BYTES: usize = 2 + 10 + 32;
/// The most bytes of a run besides its frame.
pub const COMPRESSED_HEAD_BYTES: usize = 1 + 2 * 5;

/// Writes a list, or a part of one.
#[derive(Default)]
pub struct ListWriter<'e> {
    bytes: Vec<u8>,
    shard: Option<DataShard>,
    before: Option<&'e Entry>,
    following: Option<Following>,
}

impl<'e> ListWriter<'e> {
    /// Part of a list of `shard`, which is not named in it.
    pub fn of(shard: DataShard) -> Self {
        Self { shard: Some(shard), ..Self::default() }
    }

    /// Names the shard in which chunks begin from here on.
    pub fn shard(&mut self, shard: DataShard) {
        self.shard = Some(shard);
        self.bytes.put_u8(tag::SHARD);
        put_shard(&mut self.bytes, shard);
    }

    /// What follows builds on nothing that was written before.
    pub fn begin_bundle(&mut self) {
        self.before = None;
        self.following = None;
    }

    /// An entry begins; of a whole file that has bytes, these follow those of the file before.
    pub fn entry(&mut self, entry: &'e Entry, continued: bool) {
        self.bytes.put_u8(tag::ENTRY);
        encode_entry(entry, continued, self.before, &mut self.bytes);
        self.before = Some(entry);
        if let Some(following) = self.following.as_mut().filter(|_| entry.whole) {
            following.at = following.at.wrapping_add(entry.size as u32);
        }
    }

    /// Names the chunk with this `id` in which the whole files that follow have their bytes, from
    /// `start` in its plain bytes on.
    pub fn chunk(&mut self, place: &Place, id: &Hash, start: u32) {
        self.bytes.put_u8(tag::CHUNK);
        self.bytes.put(id);
        self.place(place);
        self.bytes.put_varint(start.into());
        self.following = Some(Following { place: *place, id: *id, at: start });
    }

    /// A piece of the open file.
    pub fn extent(&mut self, extent: &Extent) {
        self.bytes.put_u8(tag::EXTENT);
        self.bytes.put_varint(extent.file_offset);
        self.bytes.put_varint(extent.len.into());
        self.bytes.put_varint(extent.chunk_offset.into());
        self.bytes.put(&extent.id);
        self.place(&extent.place);
    }

    /// The open file ends.
    pub fn end(&mut self, end: &End) {
        self.bytes.put_u8(tag::END);
        self.bytes.put_u8(end.state as u8 | if end.root.is_some() { 0x80 } else { 0 });
        self.bytes.put_varint(end.size);
        if let Some(root) = &end.root {
            self.bytes.put(root);
        }
    }

    /// Items that a zstd `frame` holds, `plain` bytes of them.
    pub fn run(&mut self, frame: &[u8], plain: usize) {
        self.bytes.put_u8(tag::COMPRESSED);
        self.bytes.put_varint(plain as u64);
        self.bytes.put_counted(frame);
        self.begin_bundle();
    }

    /// Items as they were written before.
    pub fn written(&mut self, items: &[u8]) {
        self.bytes.put(items);
        self.begin_bundle();
    }

    /// Items, with chunks named where the bytes of whole files do not follow each other.
    pub fn items(&mut self, items: &'e [Item]) {
        for (number, item) in items.iter().enumerate() {
            match item {
                Item::Entry { entry, continued } => {
                    if let (true, Some(Item::Extent(extent))) =
                        (entry.whole && entry.size > 0, items.get(number + 1))
                    {
                        self.follow(extent);
                    }
                    self.entry(entry, *continued);
                }
                // Its chunk was named before its entry.
                Item::Extent(_) if self.before.is_some_and(|entry| entry.whole) => {}
                Item::Extent(extent) => self.extent(extent),
                Item::End(end) => self.end(end),
            }
        }
    }

    fn follow(&mut self, extent: &Extent) {
        let Extent { place, id, chunk_offset, .. } = extent;
        let is_next = |f: &Following| (&f.place, &f.id, f.at) == (place, id, *chunk_offset);
        if !self.following.as_ref().is_some_and(is_next) {
            self.chunk(place, id, *chunk_offset);
        }
    }

    fn place(&mut self, place: &Place) {
        let shard = DataShard { stripe: place.stripe, index: place.index };
        self.bytes.put_u8(match place.method {
            Method::Plain => 0,
            Method::Zstd(level) => level,
        });
        if self.shard == Some(shard) {
            self.bytes.put_u8(0);
        } else {
            self.bytes.put_u8(1);
            put_shard(&mut self.bytes, shard);
        }
        for number in [place.offset, place.head, place.stored, place.plain] {
            self.bytes.put_varint(number.into());
        }
    }

    /// The bytes.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

fn put_shard(out: &mut Vec<u8>, shard: DataShard) {
    out.put_u64(shard.stripe.run.0);
    out.put_u32(shard.stripe.number.0);
    out.put_u8(shard.index);
}

/// A list of these items in `shard`.
pub fn encode(shard: DataShard, items: &[Item]) -> Vec<u8> {
    let mut list = ListWriter::default();
    list.shard(shard);
    list.items(items);
    list.into_bytes()
}

/// Appends an entry alone, which is a list that names no shard.
pub fn encode_alone(entry: &Entry, out: &mut Vec<u8>) {
    out.put_u8(tag::ENTRY);
    encode_entry(entry, false, None, out);
}
