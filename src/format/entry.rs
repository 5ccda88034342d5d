//! An entry: one path of the dataset with its metadata.

use super::error::FormatError;
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;
use std::ops::Range;

/// The longest name in a path. Most file systems take 255 bytes; exFAT and NTFS take 255 units of
/// UTF-16, which are up to 765 bytes of UTF-8.
pub const NAME_BYTES: usize = 1_020;
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
    pub(super) fn from_byte(byte: u8) -> Option<Self> {
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
    pub(super) fn from_byte(byte: u8) -> Option<Self> {
        [Self::Names, Self::SomeNames, Self::Attributes, Self::AllAttributes]
            .into_iter()
            .find(|lack| *lack as u8 == byte)
    }

    /// Whether an entry of this kind can have it.
    pub(super) fn is_of(self, kind: Kind, path: &[u8]) -> bool {
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
    /// [`super::list::Item::End`]; the extent's id is the plain BLAKE3 of its chunk
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

/// Bytes of the path and the names of an entry that need not be written out.
pub fn names_len(entry: &Entry) -> usize {
    entry.path.len() + entry.user.len() + entry.group.len()
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
