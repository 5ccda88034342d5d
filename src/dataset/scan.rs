//! The scan: SOURCE's tree as entries in one total order.
//!
//! - Enters: SOURCE, a folder or a single file, and what to leave out.
//! - Leaves: one [`ScannedEntry`] a path, a [`Problem`] for each path that cannot be had or whose
//!   metadata cannot all be read, and [`ScanTotals`].
//! - Always holds:
//!   1. Entries come in the order of [`Entry::sort_key`]: bytewise by path, a folder's path taken
//!      as ending in `/`. The walk goes depth first; the names of a folder are read whole and
//!      sorted so. Then all that lies in a folder follows it and comes before its next sibling,
//!      for it begins with the folder's key, and the sibling's key, which does not, decides by a
//!      byte within that key.
//!   2. A folder's entry comes before what lies in it; the first path of a hard-linked file before
//!      the others.
//!   3. Memory is one folder's names for each depth, and one path for each hard-linked file of
//!      which some path has not been seen. No more than 256 folder handles are open, and the
//!      thread's stack does not grow with the depth.
//!   4. A path that cannot be read, or changes between listing and looking, is one problem and no
//!      more; the scan goes on. One whose extended attributes cannot all be read is an entry with
//!      those that can, and one problem.
//!   5. What a file has allocated is not believed, for it says too little on a file system that
//!      compresses, and nothing on some FUSE drivers. It is a reason to look: only large holes
//!      that the file system shows make [`ScanTotals::data_bytes`] less than the files' sizes.

use std::collections::HashMap;
use std::collections::hash_map::Entry as MapEntry;
use std::error::Error;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use super::attributes::{Attributes, Listed, Place};
use super::beneath::open_beneath;
use super::folder::{Folder, Looked, Named};
use super::holes::holes;
use super::inode::{Identity, Inode};
use super::names::Names;
use super::root::Root;
use super::source::{open_quietly, open_single};
use crate::format::entry::NAME_BYTES;
use crate::format::list::{Entry, Kind, shown_path};
use crate::monitor::{Monitor, Problem, ProblemKind};
use crate::patterns::Filter;

/// Folder handles that are open at once; those of folders further up are closed and opened again.
const OPEN_FOLDERS: usize = 256;
/// Entries between two calls of [`Monitor::advance`].
const ADVANCE_ENTRIES: u64 = 256;
/// Holes of a file that the scan looks for: bounds the time that one file takes.
const COUNTED_HOLES: usize = 4_096;
/// What a hole must cover to count: a chunk of the usual size. The zeros of smaller ones, and of
/// files that are no larger, are packed.
const HOLE_UNIT_BYTES: u64 = 1 << 20;
/// How a folder is opened.
const FOLDER_FLAGS: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

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

/// What to leave out.
#[derive(Clone, Debug)]
pub struct ScanOptions {
    /// paths that are left out
    pub filter: Filter,
    /// folders on another device than SOURCE are entries, but are not entered
    pub one_file_system: bool,
}

/// What a scan found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScanTotals {
    /// all entries
    pub entries: u64,
    /// regular files
    pub files: u64,
    /// folders
    pub folders: u64,
    /// symlinks and hard links
    pub links: u64,
    /// named pipes and devices
    pub other: u64,
    /// bytes of all files
    pub file_bytes: u64,
    /// the same, less their large holes
    pub data_bytes: u64,
}

/// Why there is no scan.
#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    /// There is nothing at SOURCE.
    #[error("{} does not exist", path.display())]
    Missing {
        /// SOURCE
        path: PathBuf,
    },
    /// SOURCE is there, but is nothing that can be packed.
    #[error("{} is {found}, neither a folder nor a file", path.display())]
    Unsuitable {
        /// SOURCE
        path: PathBuf,
        /// what it is
        found: &'static str,
    },
    /// SOURCE cannot be opened.
    #[error("cannot open {}", path.display())]
    Unreadable {
        /// SOURCE
        path: PathBuf,
        /// what the system said
        #[source]
        source: io::Error,
    },
    /// The receiver of the entries failed.
    #[error("the entries found could not be kept")]
    Sink {
        /// what the receiver said
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
}

impl ScanError {
    /// For a sink that fails.
    pub fn sink(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Sink { source: source.into() }
    }
}

/// Gives every entry of `source` to `sink`, in order.
pub fn scan(
    source: &Path,
    options: &ScanOptions,
    monitor: &dyn Monitor,
    sink: &mut dyn FnMut(ScannedEntry) -> Result<(), ScanError>,
) -> Result<ScanTotals, ScanError> {
    let path = || source.to_path_buf();
    let root = Root::open(source).map_err(|errno| match errno {
        Errno::NOENT => ScanError::Missing { path: path() },
        errno => ScanError::Unreadable { path: path(), source: errno.into() },
    })?;
    let mut walk = Walk::new(source, options, monitor, sink);
    match root {
        Root::Folder(handle, inode) => {
            walk.device = inode.identity.device;
            let place = Place::in_folder(&handle, b".");
            let mut entry = inode.entry(b"", Kind::Folder);
            let listed = walk.attributes.list_at(&place, walk.device, Kind::Folder);
            walk.add_attributes(&mut entry, &place, listed);
            walk.emit(entry, &inode)?;
            walk.enter(handle, &inode);
            walk.tree()?;
        }
        Root::File(name, inode) => {
            walk.path = name;
            let device = inode.identity.device;
            let attributes = walk.attributes.list_at(&Place::source(source), device, Kind::File);
            walk.visit(false, Looked { inode: Ok(inode), attributes })?;
        }
        Root::Other(found) => return Err(ScanError::Unsuitable { path: path(), found }),
    }
    walk.report_attributes();
    monitor.advance(walk.totals.entries % ADVANCE_ENTRIES);
    Ok(walk.totals)
}

struct Walk<'a> {
    source: &'a Path,
    options: &'a ScanOptions,
    monitor: &'a dyn Monitor,
    sink: &'a mut dyn FnMut(ScannedEntry) -> Result<(), ScanError>,
    totals: ScanTotals,
    /// SOURCE's device
    device: u64,
    /// where the walk is
    path: Vec<u8>,
    /// the folders that the walk is in, SOURCE first; SOURCE's handle is never closed
    folders: Vec<Folder>,
    hard_links: HashMap<(u64, u64), FirstPath>,
    attributes: Attributes,
    names: Names,
}

/// The first path of a file with several.
struct FirstPath {
    identity: Identity,
    path: Vec<u8>,
    /// paths that have not been seen
    left: u32,
}

impl<'a> Walk<'a> {
    fn new(
        source: &'a Path,
        options: &'a ScanOptions,
        monitor: &'a dyn Monitor,
        sink: &'a mut dyn FnMut(ScannedEntry) -> Result<(), ScanError>,
    ) -> Self {
        Self {
            source,
            options,
            monitor,
            sink,
            totals: ScanTotals::default(),
            device: 0,
            path: Vec::new(),
            folders: Vec::new(),
            hard_links: HashMap::new(),
            attributes: Attributes::new(),
            names: Names::default(),
        }
    }

    /// Walks on until the folder entered first has been left.
    fn tree(&mut self) -> Result<(), ScanError> {
        while let Some(folder) = self.folders.last_mut() {
            self.path.truncate(folder.path_len);
            let Some(Named { name, is_folder, looked }) = folder.next_name(&self.attributes) else {
                self.leave();
                continue;
            };
            append_name(&mut self.path, name);
            self.visit(is_folder, looked)?;
        }
        Ok(())
    }

    /// Reports what is at the present path, and enters it if it is a folder.
    fn visit(&mut self, listed_as_folder: bool, looked: Looked) -> Result<(), ScanError> {
        let found = looked
            .inode
            .map_err(|errno| said("cannot read its metadata", errno))
            .and_then(|inode| Ok((self.entry(&inode, listed_as_folder)?, inode)));
        let (mut entry, inode) = match found {
            Ok(found) => found,
            Err(detail) => {
                self.problem(detail);
                return Ok(());
            }
        };
        let is_folder = entry.kind == Kind::Folder;
        // A hard link is the same inode, which has its attributes from its first path.
        if entry.kind != Kind::HardLink {
            self.add_attributes(&mut entry, &self.place(), looked.attributes);
        }
        self.emit(entry, &inode)?;
        let elsewhere = inode.identity.device != self.device;
        if is_folder && !(self.options.one_file_system && elsewhere) {
            match self.open_folder() {
                Ok(handle) => self.enter(handle, &inode),
                Err(errno) => self.problem(said("cannot open the folder", errno)),
            }
        }
        Ok(())
    }

    /// The entry of the present path, or why there is none. What the inode alone does not say (a
    /// symlink's text, the first path of a hard link) is added here.
    fn entry(&mut self, inode: &Inode, listed_as_folder: bool) -> Result<Entry, String> {
        let kind = inode.kind().ok_or("the system does not say what it is")?;
        if kind == Kind::Socket {
            return Err("sockets are not packed".into());
        }
        if (kind == Kind::Folder) != listed_as_folder {
            return Err("it was replaced while its folder was scanned".into());
        }
        let name = last_name(&self.path);
        if name.len() > NAME_BYTES {
            let len = name.len();
            return Err(format!("its name has {len} bytes; at most {NAME_BYTES} can be packed"));
        }
        let mut entry = inode.entry(&self.path, kind);
        if kind == Kind::Symlink {
            entry.target =
                self.read_link().map_err(|errno| said("cannot read the symlink", errno))?;
        }
        if kind != Kind::Folder
            && let Some(first) = self.first_path(inode)
        {
            entry.kind = Kind::HardLink;
            entry.size = 0;
            entry.device = None;
            entry.target = first;
        }
        Ok(entry)
    }

    /// Where the present path's attributes are; without a folder it is SOURCE, a single file.
    fn place(&self) -> Place {
        match self.folders.last().and_then(Folder::handle) {
            Some(folder) => Place::in_folder(folder, last_name(&self.path)),
            None => Place::source(self.source),
        }
    }

    fn add_attributes(&self, entry: &mut Entry, place: &Place, listed: Listed) {
        if matches!(&listed, Ok(names) if names.is_empty()) {
            return;
        }
        let (list, problem) = self.attributes.read(place, listed);
        entry.xattrs = list;
        if let Some(detail) = problem {
            let problem = Problem::new(ProblemKind::Metadata, shown_path(&entry.path), detail);
            self.monitor.problem(problem);
        }
    }

    /// Says what holds for the attributes of the whole dataset.
    fn report_attributes(&self) {
        if !self.attributes.are_reachable() {
            let detail = "extended attributes and ACLs are not packed: /proc is not there";
            let subject = self.source.display();
            self.monitor.problem(Problem::new(ProblemKind::Metadata, subject, detail));
        }
        let left_out = self.attributes.left_out();
        if left_out > 0 {
            self.monitor.note(&format!(
                "extended attributes that only root can restore are not packed: {left_out}"
            ));
        }
    }

    /// The first holes of the file at the present path; none if it cannot be found out.
    fn first_holes(&self, inode: &Inode) -> Option<Vec<(u64, u64)>> {
        let file = open_quietly(|flags| match self.folders.last().and_then(Folder::handle) {
            Some(folder) => rustix::fs::openat(folder, last_name(&self.path), flags, Mode::empty()),
            None => open_single(self.source, flags),
        });
        let file = file.ok()?;
        if Inode::of_handle(&file).ok()?.identity.inode != inode.identity.inode {
            return None;
        }
        holes(&file, inode.size, COUNTED_HOLES).ok()
    }

    fn read_link(&self) -> Result<Vec<u8>, Errno> {
        let folder = self.folders.last().and_then(Folder::handle).ok_or(Errno::BADF)?;
        let text = rustix::fs::readlinkat(folder, last_name(&self.path), Vec::new())?;
        Ok(text.into_bytes())
    }

    /// The path under which this file came before; none if this is the first. A file that changed
    /// since then counts as another: its inode's number may have been given to a new one.
    fn first_path(&mut self, inode: &Inode) -> Option<Vec<u8>> {
        if inode.links < 2 {
            return None;
        }
        let identity = inode.identity;
        let new = || FirstPath { identity, path: self.path.clone(), left: inode.links - 1 };
        match self.hard_links.entry((identity.device, identity.inode)) {
            MapEntry::Vacant(known) => {
                known.insert(new());
                None
            }
            MapEntry::Occupied(mut known) if known.get().identity != identity => {
                known.insert(new());
                None
            }
            MapEntry::Occupied(mut known) if known.get().left > 1 => {
                known.get_mut().left -= 1;
                Some(known.get().path.clone())
            }
            MapEntry::Occupied(known) => Some(known.remove().path),
        }
    }

    fn emit(&mut self, mut entry: Entry, inode: &Inode) -> Result<(), ScanError> {
        entry.user = self.names.user(entry.uid);
        entry.group = self.names.group(entry.gid);
        let looks_sparse = entry.kind == Kind::File && inode.looks_sparse();
        let holes = if looks_sparse { self.first_holes(inode) } else { Some(Vec::new()) };
        let sparse = holes.as_ref().is_none_or(|holes| !holes.is_empty());
        let totals = &mut self.totals;
        totals.entries += 1;
        match entry.kind {
            Kind::Folder => totals.folders += 1,
            Kind::Symlink | Kind::HardLink => totals.links += 1,
            Kind::File => {
                totals.files += 1;
                totals.file_bytes += inode.size;
                totals.data_bytes +=
                    inode.size - hole_bytes(&holes.unwrap_or_default(), inode.size);
            }
            _ => totals.other += 1,
        }
        if totals.entries.is_multiple_of(ADVANCE_ENTRIES) {
            self.monitor.advance(ADVANCE_ENTRIES);
        }
        (self.sink)(ScannedEntry { entry, identity: inode.identity, sparse })
    }

    /// Opens the folder at the present path, which lies in the folder that the walk is in.
    fn open_folder(&self) -> Result<OwnedFd, Errno> {
        let parent = self.folders.last().and_then(Folder::handle).ok_or(Errno::BADF)?;
        rustix::io::retry_on_intr(|| {
            rustix::fs::openat(parent, last_name(&self.path), FOLDER_FLAGS, Mode::empty())
        })
    }

    /// Lists the folder at the present path; from here on the walk is in it.
    fn enter(&mut self, handle: OwnedFd, inode: &Inode) {
        let path_len = self.path.len();
        let path = &mut self.path;
        let (folder, result) = Folder::read(handle, inode, path_len, |name, is_folder| {
            append_name(path, name);
            let keep = !self.options.filter.matches(path, is_folder);
            path.truncate(path_len);
            keep
        });
        if let Err(errno) = result {
            self.problem(said("cannot list the whole folder", errno));
        }
        self.folders.push(folder);
        // Handle 0 stays open, so that one is taken off the count.
        if let Some(far @ 1..) = self.folders.len().checked_sub(OPEN_FOLDERS) {
            self.folders[far].take_handle();
        }
    }

    /// Goes back to the folder above, whose handle may have been closed: then up from the one
    /// left, or down from SOURCE if that leads elsewhere because something was moved.
    fn leave(&mut self) {
        let Some(mut below) = self.folders.pop() else { return };
        let Some((source, [.., folder])) = self.folders.split_first_mut() else { return };
        if folder.handle().is_some() {
            return;
        }
        self.path.truncate(folder.path_len);
        let up = below.take_handle().is_some_and(|below| {
            rustix::fs::openat(below, "..", FOLDER_FLAGS, Mode::empty())
                .is_ok_and(|handle| folder.restore_handle(handle))
        });
        let back = up
            || source.handle().is_some_and(|source| {
                open_beneath(source, &self.path, FOLDER_FLAGS)
                    .is_ok_and(|handle| folder.restore_handle(handle))
            });
        let left = folder.left();
        if !back && left > 0 {
            folder.give_up();
            self.problem(format!("it was moved while it was scanned: {left} names not read"));
        }
    }

    /// Reports a problem with the present path.
    fn problem(&self, detail: String) {
        let subject = shown_path(&self.path);
        self.monitor.problem(Problem::new(ProblemKind::SourceUnreadable, subject, detail));
    }
}

/// Bytes of an entry without holes, counted as [`ScanTotals::data_bytes`] counts them.
pub fn data_bytes(entry: &Entry) -> u64 {
    let holes = hole_bytes(&entry.holes, entry.size);
    if entry.kind == Kind::File { entry.size.saturating_sub(holes) } else { 0 }
}

/// Bytes of a file's holes that surely are not packed.
fn hole_bytes(holes: &[(u64, u64)], size: u64) -> u64 {
    if size <= HOLE_UNIT_BYTES {
        return 0;
    }
    let counted = |(offset, len): &(u64, u64)| {
        let begin = offset.next_multiple_of(HOLE_UNIT_BYTES);
        let end = offset + len;
        let end = if end == size { end } else { end - end % HOLE_UNIT_BYTES };
        end.saturating_sub(begin)
    };
    holes.iter().map(counted).sum()
}

fn said(what: &str, errno: Errno) -> String {
    format!("{what}: {}", io::Error::from(errno))
}

fn append_name(path: &mut Vec<u8>, name: &[u8]) {
    if !path.is_empty() {
        path.push(b'/');
    }
    path.extend_from_slice(name);
}

fn last_name(path: &[u8]) -> &[u8] {
    path.rsplit(|byte| *byte == b'/').next().unwrap_or(path)
}

#[cfg(test)]
mod tests;
