//! The list: entries and where their bytes are. The same coding serves the sealed list at the end
//! of every data shard's payload and the frames of the catalog.
//!
//! A list is a run of items in entry order. [`Item::Entry`] opens an entry; [`Item::Extent`] adds
//! a run of bytes to the open file; [`Item::End`] closes it. Always holds: a list that begins
//! inside a file opens with that file's entry again, marked continued, so each list is understood
//! alone.

use super::wire::{Fields, Put};
use super::{FormatError, RunId, StripeNumber, ids::StripeId};
use std::fmt::Write as _;

/// Bytes of a BLAKE3 value.
pub const HASH_BYTES: usize = 32;
/// A BLAKE3 root or chaining value.
pub type Hash = [u8; HASH_BYTES];

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// a directory
    Folder = 1,
    /// a regular file
    File = 2,
    /// a symbolic link; [`Entry::target`] is its text
    Symlink = 3,
    /// one more name of a file that came before; [`Entry::target`] is that file's path
    HardLink = 4,
    /// a named pipe
    Fifo = 5,
    /// a character device
    CharDevice = 6,
    /// a block device
    BlockDevice = 7,
    /// a socket
    Socket = 8,
}

impl Kind {
    fn from_byte(byte: u8) -> Option<Self> {
        [
            Self::Folder,
            Self::File,
            Self::Symlink,
            Self::HardLink,
            Self::Fifo,
            Self::CharDevice,
            Self::BlockDevice,
            Self::Socket,
        ]
        .into_iter()
        .find(|k| *k as u8 == byte)
    }
}

/// One path of the dataset with its metadata.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// relative to SOURCE, `/` between names, no leading or trailing `/`; empty for SOURCE itself
    pub path: Vec<u8>,
    /// what it is
    pub kind: Kind,
    /// a file that is complete with exactly one extent (none when it is empty) and has no
    /// [`Item::End`]; the extent's id is the file's root
    pub whole: bool,
    /// permission bits with setuid, setgid and sticky: `st_mode & 0o7777`
    pub mode: u32,
    /// owner
    pub uid: u32,
    /// group
    pub gid: u32,
    /// modification time, seconds since 1970, may be negative
    pub mtime: i64,
    /// nanoseconds to add, below 10^9
    pub mtime_nanos: u32,
    /// bytes of a file; 0 for everything else
    pub size: u64,
    /// a symlink's text or a hard link's first path; empty otherwise
    pub target: Vec<u8>,
    /// the owner's name, empty if unknown
    pub user: Vec<u8>,
    /// the group's name, empty if unknown
    pub group: Vec<u8>,
    /// extended attributes (ACLs among them): name and value
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    /// major and minor number of a device
    pub device: Option<(u32, u32)>,
    /// holes of a file: offset and length in bytes, ascending, apart
    pub holes: Vec<(u64, u64)>,
}

impl Entry {
    /// A plain entry with empty metadata, for tests and as a base.
    pub fn new(path: impl Into<Vec<u8>>, kind: Kind) -> Self {
        Self {
            path: path.into(),
            kind,
            whole: false,
            mode: 0,
            uid: 0,
            gid: 0,
            mtime: 0,
            mtime_nanos: 0,
            size: 0,
            target: Vec::new(),
            user: Vec::new(),
            group: Vec::new(),
            xattrs: Vec::new(),
            device: None,
            holes: Vec::new(),
        }
    }

    /// The path as the total order sees it: a folder's ends in `/` (the root's is empty).
    pub fn sort_key(&self) -> Vec<u8> {
        let mut key = self.path.clone();
        if self.kind == Kind::Folder && !key.is_empty() {
            key.push(b'/');
        }
        key
    }

    /// The path for people: what is not UTF-8 or not printable is escaped.
    pub fn shown(&self) -> String {
        shown_path(&self.path)
    }
}

/// A path for people: `.` for the root; bytes that are not UTF-8, and control characters, are
/// escaped so that a terminal is safe.
pub fn shown_path(path: &[u8]) -> String {
    if path.is_empty() {
        return ".".into();
    }
    let mut out = String::new();
    for chunk in path.utf8_chunks() {
        for c in chunk.valid().chars() {
            if c.is_control() {
                out.extend(c.escape_default());
            } else {
                out.push(c);
            }
        }
        for b in chunk.invalid() {
            let _ = write!(out, "\\x{b:02x}");
        }
    }
    out
}

/// Where a chunk's stored bytes lie: from `offset` in the payload of shard `index`, `head` bytes
/// there, the rest from the start of the payloads of the next data shards of the same stripe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    /// the stripe
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
    /// offset in the file
    pub file_offset: u64,
    /// bytes
    pub len: u32,
    /// offset of these bytes in the chunk
    pub chunk_offset: u32,
    /// BLAKE3 of these bytes: the root if they are the whole file, else the chaining value of
    /// the subtree at `file_offset`
    pub id: Hash,
    /// the chunk
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
    /// an entry begins, or (`continued`) the list goes on with it
    Entry {
        /// its metadata
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
const FLAG_CONTINUED: u8 = 1;
const FLAG_WHOLE: u8 = 2;
/// Bytes of a coded extent.
pub const EXTENT_BYTES: usize = 79;
/// Bytes of a coded end.
pub const END_BYTES: usize = 42;

const FIELD_TARGET: u8 = 1;
const FIELD_USER: u8 = 2;
const FIELD_GROUP: u8 = 3;
const FIELD_XATTR: u8 = 4;
const FIELD_DEVICE: u8 = 5;
const FIELD_HOLES: u8 = 6;
/// A field with a tag from here on must be understood.
const FIELD_CRITICAL: u8 = 128;

const WHAT: &str = "list";

impl Item {
    /// Appends the item's bytes.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Entry { entry, continued } => encode_entry(entry, *continued, out),
            Self::Extent(extent) => encode_extent(extent, out),
            Self::End(end) => {
                out.put_u8(TAG_END);
                out.put_u8(end.state as u8 | if end.root.is_some() { 0x80 } else { 0 });
                out.put_u64(end.size);
                out.put(&end.root.unwrap_or_default());
            }
        }
    }

    /// How many bytes [`Item::encode`] appends.
    pub fn encoded_len(&self) -> usize {
        match self {
            Self::Entry { entry, .. } => entry_len(entry),
            Self::Extent(_) => EXTENT_BYTES,
            Self::End(_) => END_BYTES,
        }
    }
}

/// How many bytes a coded entry takes.
pub fn entry_len(entry: &Entry) -> usize {
    let field = |len: usize| if len == 0 { 0 } else { 5 + len };
    1 + 4
        + 40
        + entry.path.len()
        + field(entry.target.len())
        + field(entry.user.len())
        + field(entry.group.len())
        + entry.xattrs.iter().map(|(n, v)| field(2 + n.len() + v.len())).sum::<usize>()
        + field(if entry.device.is_some() { 8 } else { 0 })
        + field(entry.holes.len() * 16)
}

fn encode_entry(entry: &Entry, continued: bool, out: &mut Vec<u8>) {
    out.put_u8(TAG_ENTRY);
    out.put_u32((entry_len(entry) - 5) as u32);
    let flags =
        if continued { FLAG_CONTINUED } else { 0 } | if entry.whole { FLAG_WHOLE } else { 0 };
    out.put_u8(flags);
    out.put_u8(entry.kind as u8);
    out.put_u16(0);
    out.put_u32(entry.mode);
    out.put_u32(entry.uid);
    out.put_u32(entry.gid);
    out.put_i64(entry.mtime);
    out.put_u32(entry.mtime_nanos);
    out.put_u64(entry.size);
    out.put_u32(entry.path.len() as u32);
    out.put(&entry.path);
    let mut field = |tag: u8, parts: &[&[u8]]| {
        let len: usize = parts.iter().map(|p| p.len()).sum();
        if len > 0 {
            out.put_u8(tag);
            out.put_u32(len as u32);
            parts.iter().for_each(|p| out.put(p));
        }
    };
    field(FIELD_TARGET, &[&entry.target]);
    field(FIELD_USER, &[&entry.user]);
    field(FIELD_GROUP, &[&entry.group]);
    for (name, value) in &entry.xattrs {
        field(FIELD_XATTR, &[&(name.len() as u16).to_le_bytes(), name, value]);
    }
    if let Some((major, minor)) = entry.device {
        field(FIELD_DEVICE, &[&major.to_le_bytes(), &minor.to_le_bytes()]);
    }
    let mut holes = Vec::with_capacity(entry.holes.len() * 16);
    for (offset, len) in &entry.holes {
        holes.put_u64(*offset);
        holes.put_u64(*len);
    }
    field(FIELD_HOLES, &[&holes]);
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

/// Codes a whole list.
pub fn encode(items: &[Item]) -> Vec<u8> {
    let mut out = Vec::with_capacity(items.iter().map(Item::encoded_len).sum());
    items.iter().for_each(|item| item.encode(&mut out));
    out
}

/// Decodes a whole list and checks that it stands alone.
pub fn decode(bytes: &[u8]) -> Result<Vec<Item>, FormatError> {
    let mut fields = Fields::new(WHAT, bytes);
    let mut items = Vec::new();
    let mut open = false;
    while fields.left() > 0 {
        let item = match fields.u8()? {
            TAG_ENTRY => decode_entry(&mut fields)?,
            TAG_EXTENT => Item::Extent(decode_extent(&mut fields)?),
            TAG_END => decode_end(&mut fields)?,
            tag => return Err(fields.invalid("tag", tag)),
        };
        match &item {
            Item::Entry { entry, continued } => {
                if *continued && !items.is_empty() {
                    return Err(fields.invalid("continued", "not at the start"));
                }
                open = entry.kind == Kind::File;
            }
            Item::Extent(_) | Item::End(_) if !open => {
                return Err(fields.invalid("extent or end", "outside a file"));
            }
            Item::Extent(_) => {}
            Item::End(_) => open = false,
        }
        items.push(item);
    }
    Ok(items)
}

fn decode_entry(outer: &mut Fields) -> Result<Item, FormatError> {
    let len = outer.u32()? as usize;
    let mut fields = Fields::new("entry", outer.take(len)?);
    let flags = fields.u8()?;
    let kind_byte = fields.u8()?;
    let kind = Kind::from_byte(kind_byte).ok_or_else(|| fields.invalid("kind", kind_byte))?;
    fields.zeros(2)?;
    let mut entry = Entry::new(Vec::new(), kind);
    entry.whole = flags & FLAG_WHOLE != 0;
    if flags & !(FLAG_CONTINUED | FLAG_WHOLE) != 0 || (entry.whole && kind != Kind::File) {
        return Err(fields.invalid("flags", flags));
    }
    entry.mode = fields.u32()?;
    entry.uid = fields.u32()?;
    entry.gid = fields.u32()?;
    entry.mtime = fields.i64()?;
    entry.mtime_nanos = fields.u32()?;
    entry.size = fields.u64()?;
    if entry.mode & !0o7777 != 0 {
        return Err(fields.invalid("mode", entry.mode));
    }
    if entry.mtime_nanos >= 1_000_000_000 {
        return Err(fields.invalid("mtime nanoseconds", entry.mtime_nanos));
    }
    let path_len = fields.u32()? as usize;
    entry.path = checked_path(fields.take(path_len)?)?.to_vec();
    let mut last_tag = 0;
    while fields.left() > 0 {
        let tag = fields.u8()?;
        let len = fields.u32()? as usize;
        if tag < last_tag || (tag == last_tag && tag != FIELD_XATTR) {
            return Err(fields.invalid("tag order", tag));
        }
        last_tag = tag;
        decode_field(&mut entry, tag, fields.take(len)?)?;
    }
    check_entry(&entry)?;
    Ok(Item::Entry { entry, continued: flags & FLAG_CONTINUED != 0 })
}

/// What must hold between an entry's fields.
fn check_entry(entry: &Entry) -> Result<(), FormatError> {
    let invalid =
        |field, value: &dyn std::fmt::Display| FormatError::invalid("entry", field, value);
    if entry.path.is_empty() && entry.kind != Kind::Folder {
        return Err(invalid("path", &"empty"));
    }
    if entry.size > 0 && entry.kind != Kind::File {
        return Err(invalid("size", &entry.size));
    }
    let is_link = matches!(entry.kind, Kind::Symlink | Kind::HardLink);
    if is_link == entry.target.is_empty() {
        return Err(invalid("target", &shown_path(&entry.target)));
    }
    if entry.kind == Kind::HardLink {
        checked_path(&entry.target)?;
    }
    Ok(())
}

/// A path is relative, has no empty name, no `.` or `..`, and no zero byte.
pub fn checked_path(path: &[u8]) -> Result<&[u8], FormatError> {
    let bad = |name: &[u8]| {
        name.is_empty() || name == b"." || name == b".." || name.contains(&0) || name.len() > 255
    };
    if !path.is_empty() && path.split(|b| *b == b'/').any(bad) {
        return Err(FormatError::invalid("entry", "path", shown_path(path)));
    }
    Ok(path)
}

fn decode_field(entry: &mut Entry, tag: u8, bytes: &[u8]) -> Result<(), FormatError> {
    let mut fields = Fields::new("entry field", bytes);
    match tag {
        FIELD_TARGET => entry.target = bytes.to_vec(),
        FIELD_USER => entry.user = bytes.to_vec(),
        FIELD_GROUP => entry.group = bytes.to_vec(),
        FIELD_XATTR => {
            let name_len = fields.u16()? as usize;
            let name = fields.take(name_len)?.to_vec();
            let value = fields.take(fields.left())?.to_vec();
            entry.xattrs.push((name, value));
        }
        FIELD_DEVICE => {
            entry.device = Some((fields.u32()?, fields.u32()?));
            fields.zeros(fields.left()).and_then(|()| match bytes.len() {
                8 => Ok(()),
                len => Err(fields.invalid("device", len)),
            })?;
        }
        FIELD_HOLES => {
            let mut end = 0;
            while fields.left() > 0 {
                let (offset, len) = (fields.u64()?, fields.u64()?);
                let next = offset.checked_add(len);
                match next {
                    Some(next) if len > 0 && offset >= end && next <= entry.size => end = next,
                    _ => return Err(fields.invalid("holes", format!("{offset}+{len}"))),
                }
                entry.holes.push((offset, len));
            }
        }
        tag if tag < FIELD_CRITICAL => {}
        tag => return Err(fields.invalid("tag", tag)),
    }
    Ok(())
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
    if method == Method::Plain && stored != plain {
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
