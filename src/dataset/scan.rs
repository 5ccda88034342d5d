//! The scan: SOURCE's tree as entries in one total order.
//!
//! - Enters: SOURCE, a folder or a single file, and what to leave out.
//! - Leaves: one [`ScannedEntry`] a path, a [`Problem`] for each path that cannot be had or whose
//!   metadata cannot all be read, which its entry says too, and [`ScanTotals`].
//! - Always holds:
//!   1. Entries come in the order of [`Entry::sort_key`]: bytewise by path, a folder's path taken
//!      as ending in `/`. The walk goes depth first; the names of a folder are read whole and
//!      sorted so. Then all that lies in a folder follows it and comes before its next sibling,
//!      for it begins with the folder's key, and the sibling's key, which does not, decides by a
//!      byte within that key.
//!   2. A folder's entry comes before what lies in it; the first path of a hard-linked file before
//!      the others.
//!   3. Several threads list folders and look at names ahead of the walk ([`ahead`]); what is found
//!      and its order do not depend on how many.
//!   4. Memory is a window of a folder's names for each depth, what lies ahead, and 64 MiB at most
//!      for the first paths of hard-linked files ([`links`]). No more than 256 folder handles are
//!      open, and the thread's stack does not grow with the depth.
//!   5. A path that cannot be looked at, or changes between listing and looking, is one problem and
//!      an entry of [`Kind::Unknown`]; the scan goes on. A folder that cannot be listed, or an inode
//!      whose extended attributes cannot all be read, is an entry that says so, and one problem.
//!   6. What a file has allocated is not believed, for it says too little on a file system that
//!      compresses, and nothing on some FUSE drivers. It is a reason to look: only large holes
//!      that the file system shows make [`ScanTotals::data_bytes`] less than the files' sizes.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::{thread, vec};

use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use super::anchor::Anchor;
use super::attributes::Had;
use super::beneath::open_beneath;
use super::holes::hole_bytes;
use super::inode::{Identity, Inode, ScannedEntry};
use super::root::Root;
use crate::format::entry::NAME_BYTES;
use crate::format::list::{Entry, Kind, Lack, shown_path};
use crate::monitor::{Monitor, Problem, ProblemKind};
use ahead::{Ahead, EndOnDrop, Outcome, Task, TaskOutcome, Turn, look_later};
use bounds::{FOLDER_FLAGS, ScanBounds};
use links::HardLinks;
use look::{FolderNames, Found, Looker, with_cause};

pub use bounds::ScanOptions;
pub use error::ScanError;

mod ahead;
mod bounds;
mod error;
mod links;
mod listed;
mod look;
mod notes;

/// Folder handles that the walk has open at once; those of folders further up are closed and opened
/// again.
const OPEN_FOLDERS: usize = 128;
/// The fewest and the most threads: they wait for disks, and one walk takes what they find.
const THREADS: (usize, usize) = (4, 32);
/// What the names of a folder take that are in memory at once: some 500,000.
const WINDOW_BYTES: usize = 16 << 20;
/// Entries between two calls of [`Monitor::advance`].
const ADVANCE_ENTRIES: u64 = 256;
/// What a scan found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScanTotals {
    /// all entries
    pub entries: u64,
    /// regular files
    pub files: u64,
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

/// Gives every entry of `source` to `sink`, in order.
pub fn scan(
    source: &Path,
    options: &ScanOptions,
    monitor: &dyn Monitor,
    sink: &mut dyn FnMut(ScannedEntry) -> Result<(), ScanError>,
) -> Result<ScanTotals, ScanError> {
    let threads = rayon::current_num_threads().clamp(THREADS.0, THREADS.1);
    scan_by(Means { threads, window: WINDOW_BYTES }, source, options, monitor, sink)
}

/// What a scan may take; it makes no difference to what is found.
#[derive(Clone, Copy, Debug)]
struct Means {
    threads: usize,
    /// bytes of a folder's names at once
    window: usize,
}

fn scan_by(
    means: Means,
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
    let mut looker = Looker::new(options);
    let (mut found, folder) = match root {
        Root::Folder(handle, inode) => {
            let anchor = Anchor::new(source, &inode);
            let found = looker.source_folder(&handle, inode);
            (found, Some((Arc::new(handle), anchor)))
        }
        Root::File(name, inode) => (looker.source_file(source, &name, inode), None),
        Root::Other(found) => return Err(ScanError::Unsuitable { path: path(), found }),
    };
    if !looker.reads_attributes() {
        let lack = if folder.is_some() { Lack::AllAttributes } else { Lack::Attributes };
        found.entry.lack(lack);
    }
    let device = found.inode.as_ref().map_or(0, |inode| inode.identity.device);
    let bounds = ScanBounds { options, device, window: means.window };
    let threads = if folder.is_some() { means.threads } else { 0 };
    let ahead = Ahead::new(bounds);
    let mut walk = Walk {
        source,
        bounds,
        monitor,
        sink,
        totals: ScanTotals::default(),
        root: folder,
        ahead: &ahead,
        folders: Vec::new(),
        hard_links: HardLinks::default(),
        reads_attributes: looker.reads_attributes(),
        left_out: 0,
        other_file_systems: 0,
        caches: 0,
    };
    thread::scope(|scope| {
        let _end = EndOnDrop(&ahead);
        (0..threads).for_each(|_| drop(scope.spawn(|| ahead.work())));
        walk.visit(found)?;
        walk.tree()
    })?;
    walk.report_attributes();
    walk.report_left_out();
    walk.report_unseen()?;
    monitor.advance(walk.totals.entries % ADVANCE_ENTRIES);
    Ok(walk.totals)
}

/// A folder that the walk is in.
struct Folder {
    names: Arc<FolderNames>,
    device: u64,
    inode: u64,
    /// none if it was closed, or there is nothing to be done in it
    handle: Option<Arc<OwnedFd>>,
    /// what was found of the names before `next`, and the walk has not come to
    found: vec::IntoIter<Found>,
    /// the first name that was not looked at
    next: usize,
}

struct Walk<'a> {
    source: &'a Path,
    bounds: ScanBounds<'a>,
    monitor: &'a dyn Monitor,
    sink: &'a mut dyn FnMut(ScannedEntry) -> Result<(), ScanError>,
    totals: ScanTotals,
    /// SOURCE, if it is a folder
    root: Option<(Arc<OwnedFd>, Anchor)>,
    ahead: &'a Ahead<'a>,
    /// the folders that the walk is in, SOURCE first
    folders: Vec<Folder>,
    hard_links: HardLinks,
    reads_attributes: bool,
    /// attributes that only root could restore
    left_out: u64,
    /// folders of other file systems that were not entered
    other_file_systems: u64,
    /// folders whose tag says that they are caches
    caches: u64,
}

impl Walk<'_> {
    /// Walks on until SOURCE has been left.
    fn tree(&mut self) -> Result<(), ScanError> {
        while let Some(folder) = self.folders.last_mut() {
            if let Some(found) = folder.found.next() {
                self.visit(found)?;
            } else if folder.next < folder.names.listing.len() {
                self.look_on()?;
            } else if folder.names.listing.last_of_more().is_some() {
                self.list_on()?;
            } else {
                self.folders.pop();
            }
        }
        Ok(())
    }

    /// Reports what was found, and enters it if it is a folder.
    fn visit(&mut self, found: Found) -> Result<(), ScanError> {
        let Found { mut entry, inode, attributes, mut hole_bytes, mut sparse } = found;
        let inode = match inode {
            Ok(inode) => inode,
            Err(why) => {
                self.problem(&entry.path, why)?;
                return self.give_unknown(entry);
            }
        };
        if let Some(what) = self.bounds.own_folder(&inode).filter(|_| entry.kind == Kind::Folder) {
            let path = shown_path(&entry.path);
            self.monitor.note(&format!("{path} is left out: it is {what}"));
            return Ok(());
        }
        let enters = self.bounds.enters(entry.kind, &inode);
        // A hard link is the same inode, which has its attributes from its first path.
        let is_folder = entry.kind == Kind::Folder;
        let first = if is_folder { None } else { self.hard_links.first_path(&inode, &entry.path) };
        if let Some(target) = first {
            entry = Entry { kind: Kind::HardLink, size: 0, device: None, target, ..entry };
            (hole_bytes, sparse) = (0, false);
        } else {
            self.add_attributes(&mut entry, attributes);
        }
        if enters {
            return self.enter(entry, &inode);
        }
        if is_folder {
            let why = "another file system is mounted there, or a subvolume";
            Self::note_first(&mut self.other_file_systems, &entry.path, why, self.monitor);
        }
        self.emit(entry, &inode, hole_bytes, sparse)
    }

    fn add_attributes(&mut self, entry: &mut Entry, had: Had) {
        entry.xattrs = had.list;
        self.left_out += had.left_out;
        if had.lacks_some {
            entry.lack(Lack::Attributes);
        }
        if let Some(detail) = had.problem {
            let problem = Problem::new(ProblemKind::Metadata, shown_path(&entry.path), detail);
            self.monitor.problem(problem);
        }
    }

    /// Reports a folder that was listed; from here on the walk is in it.
    fn enter(&mut self, mut entry: Entry, inode: &Inode) -> Result<(), ScanError> {
        let done = match self.listed(&entry.path) {
            Ok(done) => done,
            Err(errno) => {
                self.problem(&entry.path, with_cause("cannot open the folder", errno))?;
                entry.lack(Lack::Names);
                return self.emit(entry, inode, 0, false);
            }
        };
        if let Err(errno) = done.names.result {
            self.problem(&entry.path, with_cause("cannot list the whole folder", errno))?;
            entry.lack(Lack::SomeNames);
        }
        let too_long = done.names.too_long;
        if too_long > 0 {
            let detail = format!("names in it with more than {NAME_BYTES} bytes: {too_long}");
            self.problem(&entry.path, format!("{detail}; they cannot be packed"))?;
            entry.lack(Lack::SomeNames);
        }
        if done.names.is_cache {
            let why = "CACHEDIR.TAG in it says that it is a cache";
            Self::note_first(&mut self.caches, &entry.path, why, self.monitor);
        }
        self.emit(entry, inode, 0, false)?;
        self.folders.push(Folder {
            names: done.names,
            device: inode.identity.device,
            inode: inode.identity.inode,
            handle: done.folder,
            next: done.found.len(),
            found: done.found.into_iter(),
        });
        if let Some(far) = self.folders.len().checked_sub(OPEN_FOLDERS + 1) {
            self.folders[far].handle = None;
        }
        Ok(())
    }

    /// The folder of this path, which lies in the one that the walk is in, or is SOURCE.
    fn listed(&mut self, path: &[u8]) -> Outcome {
        let ahead = self.ahead;
        let mut error = Errno::CANCELED;
        let outcome = ahead.take(&Turn::list(path), || match self.root.as_ref() {
            Some((root, _)) if path.is_empty() => {
                Some(Task::List { folder: root.clone(), path: Vec::new(), after: None })
            }
            _ => match self.handle() {
                Ok(parent) => {
                    Some(Task::Open { parent: Arc::downgrade(&parent), path: path.to_vec() })
                }
                Err(errno) => {
                    error = errno;
                    None
                }
            },
        });
        outcome.unwrap_or(Err(error))
    }

    /// Takes what was found of the next names in the folder that the walk is in.
    fn look_on(&mut self) -> Result<(), ScanError> {
        let Some(folder) = self.folders.last() else { return Ok(()) };
        let (ahead, names, next) = (self.ahead, folder.names.clone(), folder.next);
        let task = || Some(look_later(&self.handle().ok()?, &names, next).1);
        match ahead.take(&Turn::look(&names, next), task) {
            Some(Ok(done)) => {
                self.found(done);
                Ok(())
            }
            _ => self.give_up(),
        }
    }

    /// Lists the folder that the walk is in from its last name on.
    fn list_on(&mut self) -> Result<(), ScanError> {
        let handle = self.handle();
        let Some(folder) = self.folders.last_mut() else { return Ok(()) };
        let (ahead, names) = (self.ahead, folder.names.clone());
        let Some(last) = names.listing.last_of_more() else { return Ok(()) };
        let turn = Turn::list_on(&names, last);
        let task = || {
            let (path, after) = (names.path.clone(), Some((last.0.to_vec(), last.1)));
            Some(Task::List { folder: handle.as_ref().ok()?.clone(), path, after })
        };
        let Some(Ok(done)) = ahead.take(&turn, task) else { return self.give_up() };
        if let Err(errno) = done.names.result {
            self.problem(&names.path, with_cause("cannot list the whole folder", errno))?;
        }
        if let Some(folder) = self.folders.last_mut() {
            (folder.names, folder.next) = (done.names.clone(), 0);
        }
        self.found(done);
        Ok(())
    }

    fn found(&mut self, done: TaskOutcome) {
        if let Some(folder) = self.folders.last_mut() {
            folder.next += done.found.len();
            folder.found = done.found.into_iter();
        }
    }

    /// The handle of the folder that the walk is in. If it was closed, its path must still lead to
    /// it.
    fn handle(&mut self) -> Result<Arc<OwnedFd>, Errno> {
        let (Some((root, _)), Some(folder)) = (&self.root, self.folders.last_mut()) else {
            return Err(Errno::BADF);
        };
        if let Some(handle) = &folder.handle {
            return Ok(handle.clone());
        }
        let handle = open_beneath(root, &folder.names.path, FOLDER_FLAGS)?;
        let Identity { device, inode, .. } = Inode::of_handle(&handle)?.identity;
        if (device, inode) != (folder.device, folder.inode) {
            return Err(Errno::NOENT);
        }
        Ok(folder.handle.insert(Arc::new(handle)).clone())
    }

    /// Gives up the names that were not looked at of the folder that the walk is in.
    fn give_up(&mut self) -> Result<(), ScanError> {
        let Some(folder) = self.folders.pop() else { return Ok(()) };
        let names = folder.names;
        let left = folder.next..names.listing.len();
        let and_more = if names.listing.last_of_more().is_some() { " and more" } else { "" };
        let why =
            format!("it was moved while it was scanned: {} names{and_more} not read", left.len());
        self.problem(&names.path, why)?;
        for (name, is_folder) in left.map(|at| names.listing.name(at)) {
            let Found { entry, .. } = Found::unknown(names.path_of(name), is_folder, String::new());
            self.give_unknown(entry)?;
        }
        Ok(())
    }

    fn emit(
        &mut self,
        entry: Entry,
        inode: &Inode,
        hole_bytes: u64,
        sparse: bool,
    ) -> Result<(), ScanError> {
        let totals = &mut self.totals;
        match entry.kind {
            Kind::Folder => totals.folders += 1,
            Kind::Symlink | Kind::HardLink => totals.links += 1,
            Kind::File => {
                totals.files += 1;
                totals.file_bytes = totals.file_bytes.saturating_add(inode.size);
                totals.data_bytes += inode.size - hole_bytes;
            }
            _ => totals.other += 1,
        }
        self.give(ScannedEntry { entry, identity: inode.identity, sparse })
    }

    /// Reports that there is a name of which nothing more is known.
    fn give_unknown(&mut self, entry: Entry) -> Result<(), ScanError> {
        let identity = Identity { device: 0, inode: 0, ctime: 0, ctime_nanos: 0 };
        self.give(ScannedEntry { entry, identity, sparse: false })
    }

    fn give(&mut self, scanned: ScannedEntry) -> Result<(), ScanError> {
        self.totals.entries += 1;
        if self.totals.entries.is_multiple_of(ADVANCE_ENTRIES) {
            self.monitor.advance(ADVANCE_ENTRIES);
        }
        (self.sink)(scanned)
    }

    /// Reports a problem with a path; an error if it is all of SOURCE that is gone.
    fn problem(&self, path: &[u8], detail: String) -> Result<(), ScanError> {
        if let Some((folder, anchor)) = &self.root {
            let path = || self.source.to_path_buf();
            anchor
                .check(Some(folder))
                .map_err(|source| ScanError::Gone { path: path(), source })?;
        }
        let subject = shown_path(path);
        self.monitor.problem(Problem::new(ProblemKind::SourceUnreadable, subject, detail));
        Ok(())
    }
}

/// Bytes of an entry without holes, counted as [`ScanTotals::data_bytes`] counts them.
pub fn data_bytes(entry: &Entry) -> u64 {
    let holes = hole_bytes(&entry.holes, entry.size);
    if entry.kind == Kind::File { entry.size.saturating_sub(holes) } else { 0 }
}

#[cfg(test)]
mod tests;
