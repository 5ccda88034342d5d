//! Folders that are tagged as caches, by the Cache Directory Tagging Specification.
//!
//! - Enters: the handle of a folder.
//! - Leaves: whether its tag says that what lies in it can be made again.
//! - Always holds: a file of that name counts only if it is a plain one and begins with the signature.

use super::beneath::open_quietly;
use super::inode::Inode;
use crate::format::list::Kind;
use rustix::fs::Mode;
use std::fs::File;
use std::io::Read;
use std::os::fd::AsFd;

/// The name of the tag.
pub const CACHE_TAG: &[u8] = b"CACHEDIR.TAG";
/// What it begins with.
const SIGNATURE: &[u8] = b"Signature: 8a477f597d28d172789f06886806bc55";

/// Is this folder tagged as a cache?
pub fn is_cache(folder: impl AsFd) -> bool {
    let open = |flags| rustix::fs::openat(&folder, CACHE_TAG, flags, Mode::empty());
    let Ok(tag) = open_quietly(open) else { return false };
    let is_file = Inode::of_handle(&tag).is_ok_and(|inode| inode.kind() == Some(Kind::File));
    let mut beginning = [0; SIGNATURE.len()];
    is_file && File::from(tag).read_exact(&mut beginning).is_ok() && beginning == SIGNATURE
}
