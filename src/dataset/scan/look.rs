//! What a thread of the scan finds out: the names in a folder, and all that there is to know of each.
//!
//! - Enters: the handle of a folder, and names in it.
//! - Leaves: [`FolderNames`], and a [`Found`] for each name.
//! - Always holds: (1) nothing is written, and access times are left alone; (2) a thread that could
//!   be given a current folder of its own makes the folder it looks into that one. A name is then
//!   reached by itself: its attributes at a quarter of the cost of the way through `/proc`, and no
//!   counter of the handle or of `/proc` is moved, for which all threads would wait in turn.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use nix::sched::{CloneFlags, unshare};
use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;

use super::bounds::ScanOptions;
use crate::dataset::attributes::{Attributes, Had, InodePath};
use crate::dataset::beneath::open_quietly;
use crate::dataset::caches::{CACHE_TAG, is_cache};
use crate::dataset::folder::{FolderListing, ListedName};
use crate::dataset::holes::{MAX_HOLES, hole_bytes, holes};
use crate::dataset::inode::Inode;
use crate::dataset::names::Names;
use crate::dataset::source::open_single;
use crate::format::entry::NAME_BYTES;
use crate::format::list::{Entry, Kind, Lack};
use crate::patterns::{Filter, ListedPaths};

/// The names of a folder, in order.
pub struct FolderNames {
    /// the folder's path
    pub path: Vec<u8>,
    pub listing: FolderListing,
    /// what the system said when it failed to list them all
    pub result: Result<(), Errno>,
    /// names that no list can hold
    pub too_long: u64,
    /// it is tagged as a cache, of which only the tag is given
    pub is_cache: bool,
}

impl FolderNames {
    /// Where the entry of a name sorts.
    pub fn sort_key(&self, (name, is_folder): ListedName) -> Vec<u8> {
        let mut key = self.path_of(name);
        if is_folder {
            key.push(b'/');
        }
        key
    }

    /// The path of a name.
    pub fn path_of(&self, name: &[u8]) -> Vec<u8> {
        let mut path = Vec::with_capacity(self.path.len() + name.len() + 2);
        path.extend_from_slice(&self.path);
        append_name(&mut path, name);
        path
    }
}

/// All that there is to know of a name.
pub struct Found {
    /// without attributes
    pub entry: Entry,
    /// or why there is nothing to know
    pub inode: Result<Inode, String>,
    pub attributes: Had,
    /// bytes of its large holes
    pub hole_bytes: u64,
    /// a file with holes, or that may have some
    pub sparse: bool,
}

impl Found {
    /// A name of which nothing is known, and why.
    pub fn unknown(path: Vec<u8>, is_folder: bool, why: String) -> Self {
        let mut entry = Entry::new(path, Kind::Unknown);
        if is_folder {
            entry.lack(Lack::Names);
        }
        let attributes = Had::default();
        Self { entry, inode: Err(why), attributes, hole_bytes: 0, sparse: false }
    }

    /// Bytes that it takes besides itself, about.
    pub fn bytes(&self) -> usize {
        let attributes = self.attributes.list.iter();
        let attributes = attributes.map(|(name, value)| name.len() + value.len() + 64);
        self.entry.path.len() + self.entry.target.len() + attributes.sum::<usize>()
    }
}

/// Where a name is.
struct NameInFolder<'a> {
    /// the folder, or the thread's current one
    folder: BorrowedFd<'a>,
    is_current: bool,
    name: &'a [u8],
}

impl NameInFolder<'_> {
    fn attributes(&self) -> InodePath<'_> {
        if self.is_current {
            InodePath::in_current(self.name)
        } else {
            InodePath::in_folder(self.folder, self.name)
        }
    }
}

/// What a thread looks with.
pub struct Looker {
    filter: Filter,
    files: Option<Arc<ListedPaths>>,
    exclude_caches: bool,
    attributes: Attributes,
    names: Names,
    has_own_current: bool,
}

impl Looker {
    /// For a thread that ends with the scan: it gets a current folder of its own, if the system
    /// grants one.
    pub fn of_thread(options: &ScanOptions) -> Self {
        let has_own_current = unshare(CloneFlags::CLONE_FS).is_ok();
        Self { has_own_current, ..Self::new(options) }
    }

    /// For any thread.
    pub fn new(options: &ScanOptions) -> Self {
        Self {
            filter: options.filter.clone(),
            files: options.files.clone(),
            exclude_caches: options.exclude_caches,
            attributes: Attributes::new(),
            names: Names::default(),
            has_own_current: false,
        }
    }

    /// Lists a folder: the names after this one, and of these the first that take `window` bytes.
    pub fn list(
        &self,
        folder: &OwnedFd,
        path: Vec<u8>,
        after: Option<ListedName>,
        window: usize,
    ) -> FolderNames {
        let mut child = path.clone();
        let mut too_long = 0;
        let is_cache = self.exclude_caches && is_cache(folder);
        let files = self.files.as_ref().map(|files| (files, files.has_all_of(&path)));
        let (listing, result) = FolderListing::read(folder, after, window, |(name, is_folder)| {
            child.truncate(path.len());
            append_name(&mut child, name);
            let is_wanted = files
                .is_none_or(|(files, all)| files.leads_to(&child, is_folder) || all)
                && (!is_cache || name == CACHE_TAG);
            let keep = is_wanted && !self.filter.matches(&child, is_folder);
            let is_too_long = keep && name.len() > NAME_BYTES;
            too_long += u64::from(is_too_long);
            keep && !is_too_long
        });
        FolderNames { path, listing, result, too_long, is_cache }
    }

    /// Looks at the names from `from` to `to`, or to where what was found takes `most` bytes.
    pub fn look(
        &mut self,
        folder: &OwnedFd,
        names: &FolderNames,
        (from, to): (usize, usize),
        most: usize,
    ) -> Vec<Found> {
        let is_current = self.has_own_current && rustix::process::fchdir(folder).is_ok();
        let at = if is_current { CWD } else { folder.as_fd() };
        let mut found = Vec::with_capacity(to - from);
        let mut bytes = 0;
        for (name, is_folder) in (from..to).map(|number| names.listing.name(number)) {
            let place = NameInFolder { folder: at, is_current, name };
            let one = self.look_at(&place, names.path_of(name), is_folder);
            bytes += one.bytes();
            found.push(one);
            if bytes > most {
                break;
            }
        }
        found
    }

    fn look_at(&mut self, place: &NameInFolder, path: Vec<u8>, listed_as_folder: bool) -> Found {
        let inode = Inode::of_name(place.folder, place.name)
            .map_err(|errno| with_cause("cannot read its metadata", errno));
        let known = inode.and_then(|inode| {
            let kind = inode.kind().ok_or("the system does not say what it is")?;
            if (kind == Kind::Folder) != listed_as_folder {
                return Err("it was replaced while its folder was scanned".into());
            }
            let target = if kind == Kind::Symlink {
                rustix::fs::readlinkat(place.folder, place.name, Vec::new())
                    .map_err(|errno| with_cause("cannot read the symlink", errno))?
                    .into_bytes()
            } else {
                Vec::new()
            };
            Ok((inode, kind, target))
        });
        let (inode, kind, target) = match known {
            Ok(known) => known,
            Err(why) => return Found::unknown(path, listed_as_folder, why),
        };
        let entry = Entry { target, ..inode.entry(path, kind) };
        let open = |flags| rustix::fs::openat(place.folder, place.name, flags, Mode::empty());
        self.found(entry, inode, &place.attributes(), open)
    }

    /// SOURCE, a folder.
    pub fn source_folder(&mut self, folder: &OwnedFd, inode: Inode) -> Found {
        let entry = inode.entry(Vec::new(), Kind::Folder);
        let place = InodePath::in_folder(folder, b".");
        self.found(entry, inode, &place, |_| Err(Errno::ISDIR))
    }

    /// SOURCE, a single file of this name.
    pub fn source_file(&mut self, source: &Path, name: &[u8], inode: Inode) -> Found {
        let entry = inode.entry(name, Kind::File);
        self.found(entry, inode, &InodePath::source(source), |flags| open_single(source, flags))
    }

    /// Completes an entry by what lies beside the inode.
    fn found(
        &mut self,
        mut entry: Entry,
        inode: Inode,
        place: &InodePath,
        open: impl Fn(OFlags) -> Result<OwnedFd, Errno>,
    ) -> Found {
        entry.user = self.names.user(entry.uid);
        entry.group = self.names.group(entry.gid);
        let attributes = self.attributes.read(place, inode.identity.device, entry.kind);
        let holes = if inode.looks_sparse() { first_holes(&inode, open) } else { Some(Vec::new()) };
        let sparse = holes.as_ref().is_none_or(|holes| !holes.is_empty());
        let hole_bytes = hole_bytes(&holes.unwrap_or_default(), inode.size);
        Found { entry, inode: Ok(inode), attributes, hole_bytes, sparse }
    }

    /// Whether attributes can be read at all.
    pub fn reads_attributes(&self) -> bool {
        self.attributes.are_reachable()
    }
}

/// The first holes of a file; none if it cannot be found out.
fn first_holes(
    inode: &Inode,
    open: impl Fn(OFlags) -> Result<OwnedFd, Errno>,
) -> Option<Vec<(u64, u64)>> {
    let file = open_quietly(open).ok()?;
    if Inode::of_handle(&file).ok()?.identity.inode != inode.identity.inode {
        return None;
    }
    holes(&file, inode.size, MAX_HOLES).ok()
}

/// Appends a name to the path of its folder.
pub fn append_name(path: &mut Vec<u8>, name: &[u8]) {
    if !path.is_empty() {
        path.push(b'/');
    }
    path.extend_from_slice(name);
}

/// The last name of a path.
pub fn last_name(path: &[u8]) -> &[u8] {
    path.rsplit(|byte| *byte == b'/').next().unwrap_or(path)
}

/// What failed, and what the system said.
pub fn with_cause(what: &str, errno: Errno) -> String {
    format!("{what}: {}", std::io::Error::from(errno))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where a thread gets no current folder of its own, the same is found.
    #[test]
    fn both_ways_find_the_same() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["a", "b"] {
            std::fs::write(dir.path().join(name), name).unwrap();
            crate::dataset::testing::set_attribute(&dir.path().join(name), "user.a", b"x");
        }
        std::os::unix::fs::symlink("b", dir.path().join("c")).unwrap();
        let filter = Filter::new(&[]).unwrap();
        let options = ScanOptions::new(filter);
        let folder: OwnedFd = std::fs::File::open(dir.path()).unwrap().into();
        let here = std::env::current_dir().unwrap();
        let look = |mut looker: Looker| {
            let names = looker.list(&folder, Vec::new(), None, 1_000);
            let found = looker.look(&folder, &names, (0, 3), 1_000).into_iter();
            found.map(|f| (f.entry, f.attributes.list)).collect::<Vec<_>>()
        };
        let other = std::thread::scope(|scope| {
            scope.spawn(|| look(Looker::of_thread(&options))).join().unwrap()
        });
        assert_eq!(look(Looker::new(&options)), other);
        assert_eq!(std::env::current_dir().unwrap(), here);
        assert!(other.len() == 3 && other.iter().filter(|(_, list)| !list.is_empty()).count() == 2);
    }
}
