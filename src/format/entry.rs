//! An entry: one path of the dataset with its metadata, and its coding as an item of a list.

use super::error::FormatError;
use super::wire::{Fields, Put};
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;
use std::ops::Range;

/// The longest name in a path. Most file systems take 255 bytes; exFAT and NTFS take 255 units of
/// UTF-16, which are up to 765 bytes of UTF-8.
pub const NAME_BYTES: usize = 1_020;
/// The most extended attributes of an entry. Linux lists less: 64 KiB of names.
const MAX_XATTRS: usize = 32_768;
/// With more bytes of holes than this a writer gives a file no root, and no reader hashes its
/// zeros: that would take as long as the file is long, not as its data is.
pub const HASHED_HOLE_BYTES: u64 = 16 << 30;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[repr(u8)]
pub enum Kind {
    Folder = 1,
    File = 2,
    /// a symbolic link; [`Entry::target`] is its text
    Symlink = 3,
    /// one more name of a file that came before; [`Entry::target`] is that file's path
    HardLink = 4,
    /// a named pipe
    Fifo = 5,
    CharDevice = 6,
    BlockDevice = 7,
    Socket = 8,
    /// a name in a folder that the packer could not look at: nothing more is known of it
    Unknown = 9,
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
            Self::Unknown,
        ]
        .into_iter()
        .find(|k| *k as u8 == byte)
    }
}

/// What the packer could not take of an entry, and what is therefore in no set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[repr(u8)]
pub enum Lack {
    /// what lies in a folder: it could not be listed; says also that an [`Kind::Unknown`] is one
    Names = 1,
    /// some of what lies in a folder: not all of it could be listed
    SomeNames = 2,
    /// extended attributes or ACLs, some or all
    Attributes = 3,
    /// those of all entries of the dataset; stands with its own folder
    AllAttributes = 4,
}

impl Lack {
    fn from_byte(byte: u8) -> Option<Self> {
        [Self::Names, Self::SomeNames, Self::Attributes, Self::AllAttributes]
            .into_iter()
            .find(|lack| *lack as u8 == byte)
    }

    /// Whether an entry of this kind can have it.
    fn is_of(self, kind: Kind, path: &[u8]) -> bool {
        match self {
            Self::Names => matches!(kind, Kind::Folder | Kind::Unknown),
            Self::SomeNames => kind == Kind::Folder,
            Self::Attributes => !matches!(kind, Kind::HardLink | Kind::Unknown),
            Self::AllAttributes => path.is_empty(),
        }
    }
}

/// One path of the dataset with its metadata.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// relative to SOURCE, `/` between names, no leading or trailing `/`; empty for SOURCE itself
    pub path: Vec<u8>,
    pub kind: Kind,
    /// a file that is complete with exactly one extent (none when it is empty) and has no
    /// [`super::list::Item::End`]; the extent's id is the file's root
    pub whole: bool,
    /// of a whole file: it changed while it was read
    pub changed: bool,
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
    /// holes of a file: offset and length in bytes, ascending, not adjacent
    pub holes: Vec<(u64, u64)>,
    /// what the packer could not take of it, ascending, each once
    #[serde(default)]
    pub lacks: Vec<Lack>,
}

impl Entry {
    /// A plain entry with empty metadata, for tests and as a base.
    pub fn new(path: impl Into<Vec<u8>>, kind: Kind) -> Self {
        Self {
            path: path.into(),
            kind,
            whole: false,
            changed: false,
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
            lacks: Vec::new(),
        }
    }

    /// Notes that some part of it could not be taken.
    pub fn lack(&mut self, lack: Lack) {
        if let Err(at) = self.lacks.binary_search(&lack) {
            self.lacks.insert(at, lack);
        }
    }

    /// Whether it sorts as a folder.
    pub fn is_listed_as_folder(&self) -> bool {
        let is_unknown = self.kind == Kind::Unknown && self.lacks.contains(&Lack::Names);
        self.kind == Kind::Folder || is_unknown
    }

    /// Whether its holes are small enough for their zeros to be hashed; if not, it has no root.
    pub fn hashes_holes(&self) -> bool {
        self.holes.iter().map(|(_, len)| len).sum::<u64>() <= HASHED_HOLE_BYTES
    }

    /// The hole that `offset` lies in, if there is one.
    pub fn hole_at(&self, offset: u64) -> Option<Range<u64>> {
        let next = self.holes.partition_point(|(start, _)| *start <= offset);
        let (start, len) = *self.holes.get(next.checked_sub(1)?)?;
        Some(start..start + len).filter(|hole| hole.contains(&offset))
    }

    /// The path as the total order sees it: a folder's ends in `/` (the root's is empty).
    pub fn sort_key(&self) -> Vec<u8> {
        let mut key = self.path.clone();
        if self.is_listed_as_folder() && !key.is_empty() {
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
            if c.is_control() || c == '\\' {
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

const FLAG_CONTINUED: u8 = 1;
const FLAG_WHOLE: u8 = 2;
const FLAG_CHANGED: u8 = 4;

const FIELD_TARGET: u8 = 1;
const FIELD_USER: u8 = 2;
const FIELD_GROUP: u8 = 3;
const FIELD_XATTR: u8 = 4;
const FIELD_DEVICE: u8 = 5;
const FIELD_HOLES: u8 = 6;
const FIELD_LACKS: u8 = 7;
/// A field with a tag from here on must be understood.
const FIELD_CRITICAL: u8 = 128;

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
        + field(entry.lacks.len())
}

/// Appends an entry's bytes, without the item's tag.
pub(super) fn encode_entry(entry: &Entry, continued: bool, out: &mut Vec<u8>) {
    out.put_u32((entry_len(entry) - 5) as u32);
    let flag = |set: bool, bit: u8| if set { bit } else { 0 };
    out.put_u8(
        flag(continued, FLAG_CONTINUED)
            | flag(entry.whole, FLAG_WHOLE)
            | flag(entry.changed, FLAG_CHANGED),
    );
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
    let lacks: Vec<u8> = entry.lacks.iter().map(|lack| *lack as u8).collect();
    field(FIELD_LACKS, &[&lacks]);
}

/// Reads an entry after its item's tag, and whether it is continued.
pub(super) fn decode_entry(outer: &mut Fields) -> Result<(Entry, bool), FormatError> {
    let len = outer.u32()? as usize;
    let mut fields = Fields::new("entry", outer.take(len)?);
    let flags = fields.u8()?;
    let kind_byte = fields.u8()?;
    let kind = Kind::from_byte(kind_byte).ok_or_else(|| fields.invalid("kind", kind_byte))?;
    fields.zeros(2)?;
    let mut entry = Entry::new(Vec::new(), kind);
    entry.whole = flags & FLAG_WHOLE != 0;
    entry.changed = flags & FLAG_CHANGED != 0;
    let known = FLAG_CONTINUED | FLAG_WHOLE | FLAG_CHANGED;
    if flags & !known != 0 || (flags != 0 && kind != Kind::File) || (entry.changed && !entry.whole)
    {
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
    Ok((entry, flags & FLAG_CONTINUED != 0))
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
    let both = entry.lacks.starts_with(&[Lack::Names, Lack::SomeNames]);
    let foreign = |lack: &&Lack| !lack.is_of(entry.kind, &entry.path);
    if let Some(lack) = entry.lacks.iter().find(|lack| both || foreign(lack)) {
        return Err(invalid("lacks", &(*lack as u8)));
    }
    if entry.kind == Kind::Unknown {
        let bare = Entry { lacks: entry.lacks.clone(), ..Entry::new(&entry.path[..], entry.kind) };
        if *entry != bare {
            return Err(invalid("kind", &"unknown, and yet there is metadata"));
        }
    }
    Ok(())
}

/// A path is relative, has no empty name, no `.` or `..`, no zero byte, and no name of more than
/// [`NAME_BYTES`].
pub fn checked_path(path: &[u8]) -> Result<&[u8], FormatError> {
    let bad = |name: &[u8]| {
        name.is_empty()
            || name == b"."
            || name == b".."
            || name.contains(&0)
            || name.len() > NAME_BYTES
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
            let ascends = entry.xattrs.last().is_none_or(|(before, _)| *before < name);
            if name.is_empty() || name.contains(&0) || !ascends {
                return Err(fields.invalid("attribute name", shown_path(&name)));
            }
            entry.xattrs.push((name, value));
            if entry.xattrs.len() > MAX_XATTRS {
                return Err(fields.invalid("extended attributes", entry.xattrs.len()));
            }
        }
        FIELD_DEVICE => {
            entry.device = Some((fields.u32()?, fields.u32()?));
            fields.zeros(fields.left()).and_then(|()| match bytes.len() {
                8 => Ok(()),
                len => Err(fields.invalid("device", len)),
            })?;
        }
        FIELD_HOLES => {
            let mut before = None;
            while fields.left() > 0 {
                let (offset, len) = (fields.u64()?, fields.u64()?);
                let end = offset.checked_add(len).filter(|end| len > 0 && *end <= entry.size);
                if end.is_none() || before.is_some_and(|before| offset <= before) {
                    return Err(fields.invalid("holes", format!("{offset}+{len}")));
                }
                before = end;
                entry.holes.push((offset, len));
            }
        }
        FIELD_LACKS => {
            for byte in bytes {
                let lack = Lack::from_byte(*byte);
                let Some(lack) = lack.filter(|lack| entry.lacks.last() < Some(lack)) else {
                    return Err(fields.invalid("lacks", byte));
                };
                entry.lacks.push(lack);
            }
        }
        tag if tag < FIELD_CRITICAL => {}
        tag => return Err(fields.invalid("tag", tag)),
    }
    Ok(())
}
