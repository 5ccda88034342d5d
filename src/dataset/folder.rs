//! One folder of the walk: its names in order, and what the system says of each.
//!
//! - Enters: the handle of a folder.
//! - Leaves: its names, folders taken as ending in `/`, sorted bytewise, each once.
//! - Always holds: (1) memory is the names of the folder and at most [`AHEAD`] inodes with short
//!   lists of attributes; (2) the handle may be closed and given back between two names.

use std::cmp::Ordering;
use std::collections::VecDeque;
use std::os::fd::{AsFd, OwnedFd};

use rayon::prelude::*;
use rustix::fs::{FileType, RawDir};
use rustix::io::Errno;

use super::attributes::{AttributeNames, Attributes};
use super::inode::Inode;
use crate::format::list::Kind;

/// Names of which the inodes are read at once.
const AHEAD: usize = 2_048;
/// A folder with more names than this has their inodes read by several threads.
const SERIAL_NAMES: usize = 512;
/// Names that a thread takes at least, so that handing out costs little.
const NAMES_PER_TASK: usize = 64;
/// Bytes of the buffer that names are listed through.
const LISTING_BYTES: usize = 64 << 10;

/// A name and what it stands for.
pub struct FolderName<'a> {
    pub name: &'a [u8],
    /// it was a folder when the folder was listed
    pub is_folder: bool,
    /// what the system says of it
    pub looked: Looked,
}

/// What the system says of a name.
pub struct Looked {
    pub inode: Result<Inode, Errno>,
    /// its extended attributes' names; none without an inode
    pub attributes: AttributeNames,
}

impl Looked {
    fn at(folder: &OwnedFd, name: &[u8], attributes: &Attributes) -> Self {
        let inode = Inode::of_name(folder, name);
        let attributes =
            inode.as_ref().map_or(Ok(Vec::new()), |inode| attributes.list(folder, name, inode));
        Self { inode, attributes }
    }
}

/// A folder that the walk is in.
pub struct Folder {
    handle: Option<OwnedFd>,
    device: u64,
    inode: u64,
    /// bytes of its path
    pub path_len: usize,
    listing: Listing,
    next: usize,
    /// of the names from `next` on
    ahead: VecDeque<Looked>,
}

impl Folder {
    /// Lists a folder, of the names only what `keep` says; whether a name is a folder is its
    /// second argument. If listing fails, the names up to there are kept.
    pub fn read(
        handle: OwnedFd,
        inode: &Inode,
        path_len: usize,
        keep: impl FnMut(&[u8], bool) -> bool,
    ) -> (Self, Result<(), Errno>) {
        let (listing, result) = Listing::read(&handle, keep);
        let folder = Self {
            handle: Some(handle),
            device: inode.identity.device,
            inode: inode.identity.inode,
            path_len,
            listing,
            next: 0,
            ahead: VecDeque::new(),
        };
        (folder, result)
    }

    /// The next name in order. Without a handle there is none.
    pub fn next_name(&mut self, attributes: &Attributes) -> Option<FolderName<'_>> {
        if self.ahead.is_empty() {
            self.ahead = self.look_ahead(attributes)?.into();
        }
        let looked = self.ahead.pop_front()?;
        let at = self.next;
        self.next += 1;
        let Name { is_folder, .. } = self.listing.index[at];
        Some(FolderName { name: self.listing.name(at), is_folder, looked })
    }

    fn look_ahead(&self, attributes: &Attributes) -> Option<Vec<Looked>> {
        let handle = self.handle.as_ref()?;
        let count = self.listing.index.len();
        let names = self.next..count.min(self.next + AHEAD);
        let look = |at: usize| Looked::at(handle, self.listing.name(at), attributes);
        Some(if count > SERIAL_NAMES {
            names.into_par_iter().with_min_len(NAMES_PER_TASK).map(look).collect()
        } else {
            names.map(look).collect()
        })
    }

    /// The handle, while it is open.
    pub fn handle(&self) -> Option<&OwnedFd> {
        self.handle.as_ref()
    }

    /// Takes the handle out, to close it or to climb up from it.
    pub fn take_handle(&mut self) -> Option<OwnedFd> {
        self.handle.take()
    }

    /// Gives a handle back. False if it is not this folder's.
    pub fn restore_handle(&mut self, handle: OwnedFd) -> bool {
        let same = Inode::of_handle(&handle).is_ok_and(|inode| {
            (inode.identity.device, inode.identity.inode) == (self.device, self.inode)
        });
        if same {
            self.handle = Some(handle);
        }
        same
    }

    /// How many names have not been read.
    pub fn left(&self) -> usize {
        self.listing.index.len() - self.next
    }

    /// Takes out the names that have not been read, each with whether it was a folder.
    pub fn give_up(&mut self) -> Vec<(Vec<u8>, bool)> {
        let unread = self.next..self.listing.index.len();
        self.next = unread.end;
        self.ahead.clear();
        let name = |at: usize| (self.listing.name(at).to_vec(), self.listing.index[at].is_folder);
        unread.map(name).collect()
    }
}

/// The names of a folder: one run of bytes and where each name lies in it.
#[derive(Default)]
struct Listing {
    bytes: Vec<u8>,
    index: Vec<Name>,
}

#[derive(Clone, Copy)]
struct Name {
    at: usize,
    len: u32,
    is_folder: bool,
}

impl Listing {
    fn read(
        handle: &OwnedFd,
        mut keep: impl FnMut(&[u8], bool) -> bool,
    ) -> (Self, Result<(), Errno>) {
        let mut listing = Self::default();
        let mut buffer = Vec::with_capacity(LISTING_BYTES);
        let mut names = RawDir::new(handle, buffer.spare_capacity_mut());
        let result = loop {
            match names.next() {
                None => break Ok(()),
                Some(Err(Errno::INTR)) => {}
                Some(Err(errno)) => break Err(errno),
                Some(Ok(found)) => {
                    let name = found.file_name().to_bytes();
                    if name == b"." || name == b".." {
                        continue;
                    }
                    let is_folder = is_folder(handle, name, found.file_type());
                    if keep(name, is_folder) {
                        listing.push(name, is_folder);
                    }
                }
            }
        };
        listing.sort();
        (listing, result)
    }

    fn push(&mut self, name: &[u8], is_folder: bool) {
        self.index.push(Name { at: self.bytes.len(), len: name.len() as u32, is_folder });
        self.bytes.extend_from_slice(name);
    }

    /// Brings the names in order. A folder that changes while it is listed may give a name twice.
    fn sort(&mut self) {
        let Self { bytes, index } = self;
        let key = |name: &Name| (&bytes[name.at..name.at + name.len as usize], name.is_folder);
        index.par_sort_unstable_by(|a, b| order(key(a), key(b)));
        index.dedup_by(|a, b| key(a) == key(b));
        index.shrink_to_fit();
    }

    fn name(&self, at: usize) -> &[u8] {
        let name = &self.index[at];
        &self.bytes[name.at..name.at + name.len as usize]
    }
}

/// Some file systems do not say in a listing what a name is. If it cannot be found out, the walk
/// will see the error again and report it.
fn is_folder(handle: impl AsFd, name: &[u8], listed: FileType) -> bool {
    match listed {
        FileType::Unknown => {
            Inode::of_name(handle, name).is_ok_and(|inode| inode.kind() == Some(Kind::Folder))
        }
        known => known == FileType::Directory,
    }
}

/// Bytewise, a folder's name taken as ending in `/`. After what both names have in common, the
/// next byte decides: of the name that goes on, or that slash, or nothing.
fn order((a, a_is_folder): (&[u8], bool), (b, b_is_folder): (&[u8], bool)) -> Ordering {
    let common = a.len().min(b.len());
    let next =
        |name: &[u8], is_folder: bool| name.get(common).copied().or(is_folder.then_some(b'/'));
    a[..common].cmp(&b[..common]).then_with(|| next(a, a_is_folder).cmp(&next(b, b_is_folder)))
}
