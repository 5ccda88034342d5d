//! SOURCE itself, opened.
//!
//! - Enters: the path that the user gave.
//! - Leaves: the handle of a folder, or the name of a single file.
//! - Always holds: only here is a symlink followed, and only SOURCE's own.

use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;

use super::inode::Inode;
use crate::format::list::Kind;

/// What SOURCE is.
pub enum Root {
    Folder(OwnedFd, Inode),
    /// a single file: its name and inode
    File(Vec<u8>, Inode),
    /// nothing that can be packed: what it is, in words
    Other(&'static str),
}

impl Root {
    /// Looks what `source` is and opens it if it is a folder.
    pub fn open(source: &Path) -> Result<Self, Errno> {
        let path = source.as_os_str().as_bytes();
        let inode = Inode::followed(CWD, path)?;
        Ok(match (inode.kind(), source.file_name()) {
            (Some(Kind::Folder), _) => {
                let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
                let handle = rustix::fs::openat(CWD, path, flags, Mode::empty())?;
                let inode = Inode::of_handle(&handle)?;
                Self::Folder(handle, inode)
            }
            (Some(Kind::File), Some(name)) => Self::File(name.as_bytes().to_vec(), inode),
            (Some(Kind::Fifo), _) => Self::Other("a named pipe"),
            (Some(Kind::Socket), _) => Self::Other("a socket"),
            (Some(Kind::CharDevice | Kind::BlockDevice), _) => Self::Other("a device"),
            _ => Self::Other("of an unknown type"),
        })
    }
}
