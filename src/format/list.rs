//! The list: entries and where their bytes are. The same coding serves the sealed list at the end
//! of every data shard's payload and the frames of the catalog.
//!
//! A list is a run of items in entry order. [`Item::Entry`] opens an entry; [`Item::Extent`] adds
//! a run of bytes to the open file; [`Item::End`] closes it. Always holds: a list that begins
//! inside a file opens with that file's entry again, marked continued, so each list is understood
//! alone.

pub use super::entry::{Entry, Kind, Lack, checked_path, entry_len, shown_path};
use super::entry::{decode_entry, encode_entry};
use super::error::FormatError;
use super::ids::{RunId, StripeId, StripeNumber};
use super::label::MOST_CHUNK_BYTES;
use super::wire::{Fields, Put};

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
#[repr(u8)]
pub enum Method {
    /// as it is
    Plain = 0,
    /// one zstd frame
    Zstd = 1,
}

/// A run of a file's bytes and where they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    pub file_offset: u64,
    /// bytes
    pub len: u32,
    /// offset of these bytes in the chunk
    pub chunk_offset: u32,
    /// BLAKE3 of these bytes: the root if they are the whole file, else the chaining value of
    /// the subtree at `file_offset`
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

const TAG_ENTRY: u8 = 1;
const TAG_EXTENT: u8 = 2;
const TAG_END: u8 = 3;
/// Bytes of a coded extent.
pub const EXTENT_BYTES: usize = 79;
/// Bytes of a coded end.
pub const END_BYTES: usize = 42;

const WHAT: &str = "list";

impl Item {
    /// The entry, if it is one.
    pub fn into_entry(self) -> Option<Entry> {
        if let Self::Entry { entry, .. } = self { Some(entry) } else { None }
    }

    /// Appends the item's bytes.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Entry { entry, continued } => {
                out.put_u8(TAG_ENTRY);
                encode_entry(entry, *continued, out);
            }
            Self::Extent(extent) => encode_extent(extent, out),
            Self::End(end) => {
                out.put_u8(TAG_END);
                out.put_u8(end.state as u8 | if end.root.is_some() { 0x80 } else { 0 });
                out.put_u64(end.size);
                out.put(&end.root.unwrap_or_default());
            }
        }
    }
}

fn encode_extent(extent: &Extent, out: &mut Vec<u8>) {
    let place = &extent.place;
    out.put_u8(TAG_EXTENT);
    out.put_u64(extent.file_offset);
    out.put_u32(extent.len);
    out.put_u32(extent.chunk_offset);
    out.put(&extent.id);
    out.put_u64(place.stripe.run.0);
    out.put_u32(place.stripe.number.0);
    out.put_u8(place.index);
    out.put_u8(place.method as u8);
    out.put_u32(place.offset);
    out.put_u32(place.head);
    out.put_u32(place.stored);
    out.put_u32(place.plain);
}

/// Encodes a whole list.
pub fn encode(items: &[Item]) -> Vec<u8> {
    let mut out = Vec::new();
    items.iter().for_each(|item| item.encode(&mut out));
    out
}

/// Decodes a whole list and checks that it stands alone.
pub fn decode(bytes: &[u8]) -> Result<Vec<Item>, FormatError> {
    decode_at_most(bytes, usize::MAX)
}

/// The same, for a list of at most so many items and extended attributes: decoded, each takes a
/// multiple of its bytes.
pub fn decode_at_most(bytes: &[u8], most: usize) -> Result<Vec<Item>, FormatError> {
    let mut fields = Fields::new(WHAT, bytes);
    let (mut items, mut weight) = (Vec::new(), 0_usize);
    // Of the open file: is it whole, and with how many bytes?
    let mut open: Option<Option<u64>> = None;
    while fields.left() > 0 {
        let item = match fields.u8()? {
            TAG_ENTRY => {
                let (entry, continued) = decode_entry(&mut fields)?;
                Item::Entry { entry, continued }
            }
            TAG_EXTENT => Item::Extent(decode_extent(&mut fields)?),
            TAG_END => decode_end(&mut fields)?,
            tag => return Err(fields.invalid("tag", tag)),
        };
        match &item {
            Item::Entry { entry, continued } => {
                weight += entry.xattrs.len();
                if *continued && !items.is_empty() {
                    return Err(fields.invalid("continued", "not at the start"));
                }
                open = (entry.kind == Kind::File).then(|| entry.whole.then_some(entry.size));
            }
            Item::Extent(extent) => match open {
                None => return Err(fields.invalid("extent or end", "outside a file")),
                Some(None) if is_piece(extent) => {}
                Some(None) => return Err(fields.invalid("extent", "no piece of a file")),
                Some(Some(size)) if (extent.file_offset, u64::from(extent.len)) == (0, size) => {
                    open = None;
                }
                Some(Some(_)) => return Err(fields.invalid("extent", "not all of a whole file")),
            },
            Item::End(_) if open != Some(None) => {
                return Err(fields.invalid("extent or end", "outside a file, or of a whole one"));
            }
            Item::End(_) => open = None,
        }
        weight += 1;
        if weight > most {
            return Err(fields.invalid("items", format!("more than {most}")));
        }
        items.push(item);
    }
    Ok(items)
}

/// Whether this can be a piece of a file that is not whole: it begins at a multiple of some C of at
/// least 1,024, and is no longer than C.
fn is_piece(extent: &Extent) -> bool {
    let most = match extent.file_offset {
        0 => return true,
        offset => 1 << offset.trailing_zeros(),
    };
    most >= 1024 && u64::from(extent.len) <= most
}

fn decode_extent(fields: &mut Fields) -> Result<Extent, FormatError> {
    let file_offset = fields.u64()?;
    let len = fields.u32()?;
    let chunk_offset = fields.u32()?;
    let id = fields.array()?;
    let stripe = StripeId { run: RunId(fields.u64()?), number: StripeNumber(fields.u32()?) };
    let index = fields.u8()?;
    let method = match fields.u8()? {
        0 => Method::Plain,
        1 => Method::Zstd,
        other => return Err(fields.invalid("method", other)),
    };
    let offset = fields.u32()?;
    let head = fields.u32()?;
    let stored = fields.u32()?;
    let plain = fields.u32()?;
    if head == 0 || head > stored {
        return Err(fields.invalid("head", head));
    }
    if plain > MOST_CHUNK_BYTES || method == Method::Plain && stored != plain {
        return Err(fields.invalid("plain", plain));
    }
    if len == 0 || chunk_offset.checked_add(len).is_none_or(|end| end > plain) {
        return Err(fields.invalid("extent length", len));
    }
    if file_offset.checked_add(len as u64).is_none() {
        return Err(fields.invalid("file offset", file_offset));
    }
    let place = Place { stripe, index, method, offset, head, stored, plain };
    Ok(Extent { file_offset, len, chunk_offset, id, place })
}

fn decode_end(fields: &mut Fields) -> Result<Item, FormatError> {
    let byte = fields.u8()?;
    let state = match byte & 0x7f {
        0 => State::Whole,
        1 => State::Changed,
        2 => State::Void,
        _ => return Err(fields.invalid("state", byte)),
    };
    let size = fields.u64()?;
    let hash: Hash = fields.array()?;
    if byte & 0x80 == 0 && hash != [0; HASH_BYTES] {
        return Err(fields.invalid("root", "absent but not zero"));
    }
    Ok(Item::End(End { state, root: (byte & 0x80 != 0).then_some(hash), size }))
}
