//! The list: entries and where their bytes are. The same coding serves the sealed list at the end
//! of every data shard's payload and the frames of the catalog.
//!
//! A list is a run of items in entry order. [`Item::Entry`] opens an entry; [`Item::Extent`] adds
//! a run of bytes to the open file; [`Item::End`] closes it. How they are coded is
//! [`super::list_writer`]'s and [`super::list_reader`]'s. Always holds: a list that begins inside a
//! file opens with that file's entry again, marked continued, so each list is understood alone.

pub use super::entry::{Entry, Kind, Lack, checked_path, names_len, shown_path};
pub use super::entry_coding::entry_len;
use super::ids::StripeId;

/// Bytes of a BLAKE3 value.
pub const HASH_BYTES: usize = 32;
/// A BLAKE3 root or chaining value.
pub type Hash = [u8; HASH_BYTES];

/// Where a chunk's stored bytes lie: from `offset` in the payload of shard `index`, `head` bytes
/// there, the rest from the start of the payloads of the next data shards of the same stripe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    pub stripe: StripeId,
    /// number of the data shard in which the chunk begins
    pub index: u8,
    /// how the bytes are stored
    pub method: Method,
    /// offset of the chunk in that shard's payload
    pub offset: u32,
    /// bytes of it in that shard
    pub head: u32,
    /// stored bytes in all
    pub stored: u32,
    /// plain bytes
    pub plain: u32,
}

/// How a chunk is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    /// as it is
    Plain,
    /// one zstd frame, made at this level
    Zstd(u8),
}

/// A data shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DataShard {
    pub stripe: StripeId,
    /// its number in the stripe
    pub index: u8,
}

/// A run of a file's bytes and where they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    pub file_offset: u64,
    /// bytes
    pub len: u32,
    /// offset of these bytes in the chunk
    pub chunk_offset: u32,
    /// what verifies them: of a whole file, the plain BLAKE3 of the chunk; else the chaining value of
    /// the subtree of these bytes at `file_offset`
    pub id: Hash,
    pub place: Place,
}

/// How a file ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum State {
    /// packed whole
    Whole = 0,
    /// it changed while it was read; the bytes packed are not of one moment
    Changed = 1,
    /// it could not be read, or is packed again later: what came so far is void
    Void = 2,
}

/// The end of a file that is not [`Entry::whole`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    /// how it ended
    pub state: State,
    /// BLAKE3 of the file; none if it was not computed (huge holes, void)
    pub root: Option<Hash>,
    /// bytes the file turned out to have
    pub size: u64,
}

/// One item of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// an entry begins, or (`continued`) the list continues it
    Entry {
        entry: Entry,
        /// it began in an earlier list
        continued: bool,
    },
    /// a run of bytes of the open file
    Extent(Extent),
    /// the open file ends
    End(End),
}

/// Where the bytes of the next whole file are.
pub(super) struct Following {
    pub place: Place,
    pub id: Hash,
    /// offset in the plain chunk
    pub at: u32,
}

/// The codes of items.
pub(super) mod tag {
    pub const ENTRY: u8 = 1;
    pub const EXTENT: u8 = 2;
    pub const END: u8 = 3;
    pub const CHUNK: u8 = 4;
    pub const SHARD: u8 = 5;
    pub const COMPRESSED: u8 = 6;
}

impl Item {
    /// The entry, if it is one.
    pub fn into_entry(self) -> Option<Entry> {
        if let Self::Entry { entry, .. } = self { Some(entry) } else { None }
    }
}
