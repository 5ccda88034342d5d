//! What the system says of one inode.
//!
//! - Enters: a folder handle and a name, or an open handle.
//! - Leaves: an [`Inode`], and from it the [`Entry`] of a path.
//! - Always holds: (1) a symlink is looked at, not through; (2) a stat by name and one by handle
//!   of the same inode give the same [`Identity`] as long as it does not change.

use std::os::fd::AsFd;

use rustix::fs::{AtFlags, FileType, StatxFlags};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use crate::format::list::{Entry, Kind};

/// Bytes of a block of `st_blocks`, whatever the file system's own blocks are.
const STAT_BLOCK_BYTES: u64 = 512;

/// Tells one state of one inode from every other: a write, a rename or a change of metadata moves
/// the change time on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Identity {
    /// the device's number
    pub device: u64,
    /// the inode's number on it
    pub inode: u64,
    /// change time, seconds since 1970
    pub ctime: i64,
    /// nanoseconds to add, below 10^9
    pub ctime_nanos: u32,
}

/// An entry, and what the packing host needs to know when it reads it again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScannedEntry {
    /// the entry as it is packed; the holes of a file are not yet known
    pub entry: Entry,
    /// tells whether the path still stands for the same thing
    pub identity: Identity,
    /// a file that has holes, or may have: looking for them is worth while
    pub sparse: bool,
}

/// An inode's metadata.
#[derive(Clone, Copy, Debug)]
pub struct Inode {
    pub identity: Identity,
    pub size: u64,
    pub mtime: i64,
    pub mtime_nanos: u32,
    /// how many names it has
    pub links: u32,
    /// bytes that it takes on its device
    allocated: u64,
    mode: u32,
    uid: u32,
    gid: u32,
    special: (u32, u32),
}

impl Inode {
    /// Of a name in a folder.
    pub fn of_name(folder: impl AsFd, name: &[u8]) -> Result<Self, Errno> {
        Self::stat(folder, name, AtFlags::SYMLINK_NOFOLLOW)
    }

    /// Of an open handle.
    pub fn of_handle(handle: impl AsFd) -> Result<Self, Errno> {
        Self::stat(handle, b"", AtFlags::EMPTY_PATH)
    }

    /// Of a name, or of what the symlink of that name leads to.
    pub fn followed(folder: impl AsFd, name: &[u8]) -> Result<Self, Errno> {
        Self::stat(folder, name, AtFlags::empty())
    }

    fn stat(folder: impl AsFd, name: &[u8], flags: AtFlags) -> Result<Self, Errno> {
        let wanted = StatxFlags::BASIC_STATS.difference(StatxFlags::ATIME);
        let stat = rustix::fs::statx(folder, name, flags, wanted)?;
        Ok(Self {
            identity: Identity {
                device: rustix::fs::makedev(stat.stx_dev_major, stat.stx_dev_minor),
                inode: stat.stx_ino,
                ctime: stat.stx_ctime.tv_sec,
                ctime_nanos: stat.stx_ctime.tv_nsec,
            },
            size: stat.stx_size,
            mtime: stat.stx_mtime.tv_sec,
            mtime_nanos: stat.stx_mtime.tv_nsec,
            links: stat.stx_nlink,
            allocated: stat.stx_blocks.saturating_mul(STAT_BLOCK_BYTES),
            mode: stat.stx_mode.into(),
            uid: stat.stx_uid,
            gid: stat.stx_gid,
            special: (stat.stx_rdev_major, stat.stx_rdev_minor),
        })
    }

    /// Has a file the content that this entry tells of, by all that the system says of it? The change
    /// time counts for nothing: a new mode or name moves it on, and some network file systems do by
    /// themselves.
    pub fn has_content_of(&self, entry: &Entry) -> bool {
        (self.size, self.mtime, self.mtime_nanos) == (entry.size, entry.mtime, entry.mtime_nanos)
    }

    /// Is it still the inode of this identity, whatever became of it?
    pub fn is_inode_of(&self, other: &Identity) -> bool {
        (self.identity.device, self.identity.inode) == (other.device, other.inode)
    }

    /// What it is; none if the system does not say.
    pub fn kind(&self) -> Option<Kind> {
        match FileType::from_raw_mode(self.mode) {
            FileType::Directory => Some(Kind::Folder),
            FileType::RegularFile => Some(Kind::File),
            FileType::Symlink => Some(Kind::Symlink),
            FileType::Fifo => Some(Kind::Fifo),
            FileType::CharacterDevice => Some(Kind::CharDevice),
            FileType::BlockDevice => Some(Kind::BlockDevice),
            FileType::Socket => Some(Kind::Socket),
            FileType::Unknown => None,
        }
    }

    /// Fewer bytes are allocated than the file has: it may have holes. But a file system that
    /// compresses says so of every file, and some FUSE drivers say 0.
    pub fn looks_sparse(&self) -> bool {
        self.kind() == Some(Kind::File) && self.allocated < self.size
    }

    /// The entry of `path`, with all that this inode alone says.
    pub fn entry(&self, path: impl Into<Vec<u8>>, kind: Kind) -> Entry {
        let is_device = matches!(kind, Kind::CharDevice | Kind::BlockDevice);
        Entry {
            mode: self.mode & 0o7777,
            uid: self.uid,
            gid: self.gid,
            mtime: self.mtime,
            mtime_nanos: self.mtime_nanos,
            size: if kind == Kind::File { self.size } else { 0 },
            device: is_device.then_some(self.special),
            ..Entry::new(path, kind)
        }
    }
}
