//! Where a scan goes, and where not.
//!
//! - Enters: what to leave out, and inodes.
//! - Leaves: whether a folder is entered.
//! - Always holds: the walk and the threads ahead of it enter the same folders.

use rustix::fs::OFlags;

use crate::dataset::inode::Inode;
use crate::format::list::Kind;
use crate::patterns::{Filter, ListedPaths};
use std::sync::Arc;

/// How a folder is opened.
pub const FOLDER_FLAGS: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// What to leave out.
#[derive(Clone, Debug)]
pub struct ScanOptions {
    /// paths that are left out
    pub filter: Filter,
    /// of all paths only these; none: all
    pub files: Option<Arc<ListedPaths>>,
    /// of folders that are tagged as caches only the tag
    pub exclude_caches: bool,
    /// folders on another device than SOURCE are entries, but are not entered
    pub one_file_system: bool,
    /// device and inode of a folder that is left out with all that lies in it, and what it is: what
    /// this program keeps itself
    pub own_folder: Option<((u64, u64), &'static str)>,
}

impl ScanOptions {
    /// Leaves out what the filter matches, and nothing else.
    pub fn new(filter: Filter) -> Self {
        let (files, own_folder) = (None, None);
        Self { filter, files, exclude_caches: false, one_file_system: false, own_folder }
    }
}

/// Where the walk goes.
#[derive(Clone, Copy)]
pub struct ScanBounds<'a> {
    pub options: &'a ScanOptions,
    /// SOURCE's device
    pub device: u64,
    /// bytes of a folder's names at once
    pub window: usize,
}

impl ScanBounds<'_> {
    /// Is it a folder that the walk enters?
    pub fn enters(&self, kind: Kind, inode: &Inode) -> bool {
        kind == Kind::Folder && !self.is_elsewhere(inode) && self.own_folder(inode).is_none()
    }

    /// Is it on a file system that is left out?
    fn is_elsewhere(&self, inode: &Inode) -> bool {
        self.options.one_file_system && inode.identity.device != self.device
    }

    /// What it is, if it is the folder of what this program keeps itself. That is not packed.
    pub fn own_folder(&self, inode: &Inode) -> Option<&'static str> {
        let id = (inode.identity.device, inode.identity.inode);
        self.options.own_folder.filter(|(own, _)| *own == id).map(|(_, what)| what)
    }
}
