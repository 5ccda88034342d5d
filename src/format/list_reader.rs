//! The bytes of a list to its items, checked to stand alone.

use super::entry::{Entry, names_len};
use super::entry_coding::decode_entry;
use super::error::FormatError;
use super::frame;
use super::ids::{RunId, StripeId, StripeNumber};
use super::label::MOST_CHUNK_BYTES;
use super::list::{
    DataShard, End, Extent, Following, HASH_BYTES, Item, Kind, Method, Place, State, tag,
};
use super::wire::Fields;

/// The most items and extended attributes of a list: decoded, each takes a multiple of its bytes.
pub const MOST_ITEMS: usize = 1 << 17;
/// The most plain bytes of a run, or of a frame of the catalog: one entry may be large.
pub const MOST_FRAME_BYTES: u32 = 64 << 20;
/// The most bytes of the paths and names of all entries of a list, which need not be written out.
pub const MOST_NAME_BYTES: usize = 64 << 20;
/// The highest level of zstd.
const MOST_LEVEL: u8 = 22;

const WHAT: &str = "list";

/// Decodes a whole list and checks that it stands alone.
pub fn decode(bytes: &[u8]) -> Result<Vec<Item>, FormatError> {
    let mut reader = ListReader::default();
    reader.read(bytes, false)?;
    Ok(reader.items)
}

#[derive(Default)]
struct ListReader {
    items: Vec<Item>,
    /// items and extended attributes so far
    weight: usize,
    /// plain bytes of runs so far
    run_bytes: u32,
    /// bytes of paths and names so far
    name_bytes: usize,
    /// which of the items is the last entry
    before: Option<usize>,
    shard: Option<DataShard>,
    following: Option<Following>,
    /// a file that is not whole may go on
    is_open: bool,
}

impl ListReader {
    fn read(&mut self, bytes: &[u8], in_run: bool) -> Result<(), FormatError> {
        let mut fields = Fields::new(WHAT, bytes);
        while fields.left() > 0 {
            match fields.u8()? {
                tag::ENTRY => self.entry(&mut fields)?,
                tag::EXTENT => {
                    let extent = self.extent(&mut fields)?;
                    if !self.is_open || !is_piece(&extent) {
                        return Err(fields.invalid("extent", "no piece of an open file"));
                    }
                    self.items.push(Item::Extent(extent));
                }
                tag::END => {
                    let end = decode_end(&mut fields)?;
                    if !std::mem::take(&mut self.is_open) {
                        return Err(fields.invalid("end", "outside a file, or of a whole one"));
                    }
                    self.items.push(Item::End(end));
                }
                tag::CHUNK => self.following = Some(self.chunk(&mut fields)?),
                tag::SHARD => self.shard = Some(decode_shard(&mut fields)?),
                tag::COMPRESSED if !in_run => self.run(&mut fields)?,
                tag => return Err(fields.invalid("tag", tag)),
            }
            self.weight += 1;
            if self.weight > MOST_ITEMS {
                return Err(fields.invalid("items", format!("more than {MOST_ITEMS}")));
            }
        }
        Ok(())
    }

    fn run(&mut self, fields: &mut Fields) -> Result<(), FormatError> {
        let plain = fields.varint_u32()?;
        let stored = fields.counted()?;
        self.run_bytes = self.run_bytes.saturating_add(plain);
        if plain == 0 || self.run_bytes > MOST_FRAME_BYTES {
            return Err(fields.invalid("run", plain));
        }
        self.read(&frame::decompress(WHAT, stored, plain as usize)?, true)
    }

    fn entry(&mut self, fields: &mut Fields) -> Result<(), FormatError> {
        let before = self.before.and_then(|at| match self.items.get(at) {
            Some(Item::Entry { entry, .. }) => Some(entry),
            _ => None,
        });
        let (entry, continued) = decode_entry(fields, before)?;
        if continued && !self.items.is_empty() {
            return Err(fields.invalid("continued", "not at the start"));
        }
        self.weight += entry.xattrs.len();
        self.name_bytes += names_len(&entry);
        if self.name_bytes > MOST_NAME_BYTES {
            return Err(fields.invalid("names", self.name_bytes));
        }
        self.is_open = entry.kind == Kind::File && !entry.whole;
        let extent = self.whole_extent(&entry, fields)?;
        self.before = Some(self.items.len());
        self.items.push(Item::Entry { entry, continued });
        self.items.extend(extent.map(Item::Extent));
        Ok(())
    }

    /// The extent of a whole file that has bytes: those that come next in the chunk.
    fn whole_extent(
        &mut self,
        entry: &Entry,
        fields: &Fields,
    ) -> Result<Option<Extent>, FormatError> {
        if !entry.whole || entry.size == 0 {
            return Ok(None);
        }
        let Some(Following { place, id, at }) = &mut self.following else {
            return Err(fields.invalid("whole file", "no chunk was named"));
        };
        let chunk_offset = *at;
        let len = u32::try_from(entry.size).ok();
        let end = len.and_then(|len| at.checked_add(len)).filter(|end| *end <= place.plain);
        let (Some(len), Some(end)) = (len, end) else {
            return Err(fields.invalid("whole file", "it ends behind its chunk"));
        };
        *at = end;
        Ok(Some(Extent { file_offset: 0, len, chunk_offset, id: *id, place: *place }))
    }

    fn chunk(&self, fields: &mut Fields) -> Result<Following, FormatError> {
        let id = fields.array()?;
        let place = self.place(fields)?;
        let at = fields.varint_u32()?;
        if at >= place.plain {
            return Err(fields.invalid("start in the chunk", at));
        }
        Ok(Following { place, id, at })
    }

    fn extent(&self, fields: &mut Fields) -> Result<Extent, FormatError> {
        let file_offset = fields.varint()?;
        let (len, chunk_offset) = (fields.varint_u32()?, fields.varint_u32()?);
        let id = fields.array()?;
        let place = self.place(fields)?;
        if len == 0 || chunk_offset.checked_add(len).is_none_or(|end| end > place.plain) {
            return Err(fields.invalid("extent length", len));
        }
        if file_offset.checked_add(u64::from(len)).is_none() {
            return Err(fields.invalid("file offset", file_offset));
        }
        Ok(Extent { file_offset, len, chunk_offset, id, place })
    }

    fn place(&self, fields: &mut Fields) -> Result<Place, FormatError> {
        let method = match fields.u8()? {
            0 => Method::Plain,
            level @ 1..=MOST_LEVEL => Method::Zstd(level),
            other => return Err(fields.invalid("method", other)),
        };
        let shard = match fields.u8()? {
            0 => self.shard.ok_or_else(|| fields.invalid("shard", "none was named"))?,
            1 => decode_shard(fields)?,
            other => return Err(fields.invalid("shard", other)),
        };
        let (offset, head) = (fields.varint_u32()?, fields.varint_u32()?);
        let (stored, plain) = (fields.varint_u32()?, fields.varint_u32()?);
        if head == 0 || head > stored {
            return Err(fields.invalid("head", head));
        }
        let is_short = plain <= 2 * MOST_CHUNK_BYTES;
        if plain == 0 || !is_short || method == Method::Plain && stored != plain {
            return Err(fields.invalid("plain", plain));
        }
        let DataShard { stripe, index } = shard;
        Ok(Place { stripe, index, method, offset, head, stored, plain })
    }
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

fn decode_shard(fields: &mut Fields) -> Result<DataShard, FormatError> {
    let stripe = StripeId { run: RunId(fields.u64()?), number: StripeNumber(fields.u32()?) };
    Ok(DataShard { stripe, index: fields.u8()? })
}

fn decode_end(fields: &mut Fields) -> Result<End, FormatError> {
    let byte = fields.u8()?;
    let state = match byte & 0x7f {
        0 => State::Whole,
        1 => State::Changed,
        2 => State::Void,
        _ => return Err(fields.invalid("state", byte)),
    };
    let size = fields.varint()?;
    let root = if byte & 0x80 == 0 { None } else { Some(fields.array::<HASH_BYTES>()?) };
    Ok(End { state, root, size })
}
