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
//!   3. Memory is one folder's names for each depth, and 64 MiB at most for the first paths of
//!      hard-linked files ([`links`]). No more than 256 folder handles are open, and the
//!      thread's stack does not grow with the depth.
//!   4. A path that cannot be looked at, or changes between listing and looking, is one problem and
//!      an entry of [`Kind::Unknown`]; the scan goes on. A folder that cannot be listed, or an inode
//!      whose extended attributes cannot all be read, is an entry that says so, and one problem.
//!   5. What a file has allocated is not believed, for it says too little on a file system that
//!      compresses, and nothing on some FUSE drivers. It is a reason to look: only large holes
//!      that the file system shows make [`ScanTotals::data_bytes`] less than the files' sizes.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use super::anchor::Anchor;
use super::attributes::{AttributeNames, Attributes, InodePath};
use super::beneath::open_beneath;
use super::folder::{Folder, FolderName, Looked};
use super::holes::{MAX_HOLES, hole_bytes, holes};
use super::inode::{Identity, Inode, ScannedEntry};
use super::names::Names;
use super::root::Root;
use super::source::{open_quietly, open_single};
use crate::format::entry::NAME_BYTES;
use crate::format::list::{Entry, Kind, Lack, shown_path};
use crate::monitor::{Monitor, Problem, ProblemKind};
use crate::patterns::Filter;
use links::HardLinks;

pub use error::ScanError;

mod error;
mod links;
mod notes;

/// Folder handles that are open at once; those of folders further up are closed and opened again.
const OPEN_FOLDERS: usize = 256;
/// Entries between two calls of [`Monitor::advance`].
const ADVANCE_ENTRIES: u64 = 256;
/// How a folder is opened.
const FOLDER_FLAGS: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// What to leave out.
#[derive(Clone, Debug)]
pub struct ScanOptions {
    /// paths that are left out
    pub filter: Filter,
    /// folders on another device than SOURCE are entries, but are not entered
    pub one_file_system: bool,
    /// device and inode of a folder that is left out with all that lies in it, and what it is: what
    /// this program keeps itself
    pub own_folder: Option<((u64, u64), &'static str)>,
}

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
    let path = || source.to_path_buf();
    let root = Root::open(source).map_err(|errno| match errno {
        Errno::NOENT => ScanError::Missing { path: path() },
        errno => ScanError::Unreadable { path: path(), source: errno.into() },
    })?;
    let mut walk = Walk::new(source, options, monitor, sink);
    match root {
        Root::Folder(handle, inode) => {
            walk.device = inode.identity.device;
            walk.anchor = Some(Anchor::new(source, &inode));
            let place = InodePath::in_folder(&handle, b".");
            let mut entry = inode.entry(b"", Kind::Folder);
            let listed = walk.attributes.list_at(&place, walk.device, Kind::Folder);
            walk.add_attributes(&mut entry, &place, listed);
            walk.enter(handle, entry, &inode)?;
            walk.tree()?;
        }
        Root::File(name, inode) => {
            walk.path = name;
            let device = inode.identity.device;
            let attributes =
                walk.attributes.list_at(&InodePath::source(source), device, Kind::File);
            walk.visit(false, Looked { inode: Ok(inode), attributes })?;
        }
        Root::Other(found) => return Err(ScanError::Unsuitable { path: path(), found }),
    }
    walk.report_attributes();
    walk.report_left_out();
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
    hard_links: HardLinks,
    attributes: Attributes,
    names: Names,
    /// SOURCE, if it is a folder
    anchor: Option<Anchor>,
    /// folders of other file systems that were not entered
    other_file_systems: u64,
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
            hard_links: HardLinks::default(),
            attributes: Attributes::new(),
            names: Names::default(),
            anchor: None,
            other_file_systems: 0,
        }
    }

    /// Walks on until the folder entered first has been left.
    fn tree(&mut self) -> Result<(), ScanError> {
        while let Some(folder) = self.folders.last_mut() {
            self.path.truncate(folder.path_len);
            let Some(FolderName { name, is_folder, looked }) = folder.next_name(&self.attributes)
            else {
                self.leave()?;
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
            .map_err(|errno| with_cause("cannot read its metadata", errno))
            .and_then(|inode| Ok((self.entry(&inode, listed_as_folder)?, inode)));
        let (mut entry, inode) = match found {
            Ok(found) => found,
            Err(detail) => {
                self.problem(detail)?;
                return self.unknown(listed_as_folder);
            }
        };
        let is_folder = entry.kind == Kind::Folder;
        if is_folder && self.is_own(&inode) {
            return Ok(());
        }
        // A hard link is the same inode, which has its attributes from its first path.
        if entry.kind != Kind::HardLink {
            self.add_attributes(&mut entry, &self.place(), looked.attributes);
        }
        let elsewhere = inode.identity.device != self.device;
        if !is_folder {
            self.emit(entry, &inode)
        } else if self.options.one_file_system && elsewhere {
            self.left_out("another file system is mounted there, or a subvolume");
            self.emit(entry, &inode)
        } else {
            match self.open_folder() {
                Ok(handle) => self.enter(handle, entry, &inode),
                Err(errno) => {
                    self.problem(with_cause("cannot open the folder", errno))?;
                    entry.lack(Lack::Names);
                    self.emit(entry, &inode)
                }
            }
        }
    }

    /// Is it the folder of what this program keeps itself? That is not packed.
    fn is_own(&self, inode: &Inode) -> bool {
        let id = (inode.identity.device, inode.identity.inode);
        let Some((_, what)) = self.options.own_folder.filter(|(own, _)| *own == id) else {
            return false;
        };
        self.monitor.note(&format!("{} is left out: it is {what}", shown_path(&self.path)));
        true
    }

    /// The entry of the present path, or why there is none. What the inode alone does not say (a
    /// symlink's text, the first path of a hard link) is added here.
    fn entry(&mut self, inode: &Inode, listed_as_folder: bool) -> Result<Entry, String> {
        let kind = inode.kind().ok_or("the system does not say what it is")?;
        if (kind == Kind::Folder) != listed_as_folder {
            return Err("it was replaced while its folder was scanned".into());
        }
        let mut entry = inode.entry(&self.path, kind);
        if kind == Kind::Symlink {
            entry.target =
                self.read_link().map_err(|errno| with_cause("cannot read the symlink", errno))?;
        }
        if kind != Kind::Folder
            && let Some(first) = self.hard_links.first_path(inode, &self.path)
        {
            entry.kind = Kind::HardLink;
            entry.size = 0;
            entry.device = None;
            entry.target = first;
        }
        Ok(entry)
    }

    /// Where the present path's attributes are; without a folder it is SOURCE, a single file.
    fn place(&self) -> InodePath {
        match self.folders.last().and_then(Folder::handle) {
            Some(folder) => InodePath::in_folder(folder, last_name(&self.path)),
            None => InodePath::source(self.source),
        }
    }

    fn add_attributes(&self, entry: &mut Entry, place: &InodePath, listed: AttributeNames) {
        if !self.attributes.are_reachable() && self.folders.is_empty() {
            let is_all = entry.path.is_empty();
            entry.lack(if is_all { Lack::AllAttributes } else { Lack::Attributes });
        }
        if matches!(&listed, Ok(names) if names.is_empty()) {
            return;
        }
        let had = self.attributes.read(place, listed);
        entry.xattrs = had.list;
        if had.lacks_some {
            entry.lack(Lack::Attributes);
        }
        if let Some(detail) = had.problem {
            let problem = Problem::new(ProblemKind::Metadata, shown_path(&entry.path), detail);
            self.monitor.problem(problem);
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
        holes(&file, inode.size, MAX_HOLES).ok()
    }

    fn read_link(&self) -> Result<Vec<u8>, Errno> {
        let folder = self.folders.last().and_then(Folder::handle).ok_or(Errno::BADF)?;
        let text = rustix::fs::readlinkat(folder, last_name(&self.path), Vec::new())?;
        Ok(text.into_bytes())
    }

    fn emit(&mut self, mut entry: Entry, inode: &Inode) -> Result<(), ScanError> {
        entry.user = self.names.user(entry.uid);
        entry.group = self.names.group(entry.gid);
        let looks_sparse = entry.kind == Kind::File && inode.looks_sparse();
        let holes = if looks_sparse { self.first_holes(inode) } else { Some(Vec::new()) };
        let sparse = holes.as_ref().is_none_or(|holes| !holes.is_empty());
        let totals = &mut self.totals;
        match entry.kind {
            Kind::Folder => totals.folders += 1,
            Kind::Symlink | Kind::HardLink => totals.links += 1,
            Kind::File => {
                totals.files += 1;
                totals.file_bytes = totals.file_bytes.saturating_add(inode.size);
                totals.data_bytes +=
                    inode.size - hole_bytes(&holes.unwrap_or_default(), inode.size);
            }
            _ => totals.other += 1,
        }
        self.give(ScannedEntry { entry, identity: inode.identity, sparse })
    }

    /// Reports that there is a name at the present path of which nothing more is known.
    fn unknown(&mut self, listed_as_folder: bool) -> Result<(), ScanError> {
        let mut entry = Entry::new(&self.path[..], Kind::Unknown);
        if listed_as_folder {
            entry.lack(Lack::Names);
        }
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

    /// Opens the folder at the present path, which lies in the folder that the walk is in.
    fn open_folder(&self) -> Result<OwnedFd, Errno> {
        let parent = self.folders.last().and_then(Folder::handle).ok_or(Errno::BADF)?;
        rustix::io::retry_on_intr(|| {
            rustix::fs::openat(parent, last_name(&self.path), FOLDER_FLAGS, Mode::empty())
        })
    }

    /// Lists the folder at the present path and reports it; from here on the walk is in it.
    fn enter(&mut self, handle: OwnedFd, mut entry: Entry, inode: &Inode) -> Result<(), ScanError> {
        let path_len = self.path.len();
        let (path, mut too_long) = (&mut self.path, 0);
        let (folder, result) = Folder::read(handle, inode, path_len, |name, is_folder| {
            append_name(path, name);
            let keep = !self.options.filter.matches(path, is_folder);
            path.truncate(path_len);
            let is_too_long = keep && name.len() > NAME_BYTES;
            too_long += u64::from(is_too_long);
            keep && !is_too_long
        });
        if let Err(errno) = result {
            self.problem(with_cause("cannot list the whole folder", errno))?;
            entry.lack(Lack::SomeNames);
        }
        if too_long > 0 {
            let detail = format!("names in it with more than {NAME_BYTES} bytes: {too_long}");
            self.problem(format!("{detail}; they cannot be packed"))?;
            entry.lack(Lack::SomeNames);
        }
        self.emit(entry, inode)?;
        self.folders.push(folder);
        // Handle 0 stays open, so that one is taken off the count.
        if let Some(far @ 1..) = self.folders.len().checked_sub(OPEN_FOLDERS) {
            self.folders[far].take_handle();
        }
        Ok(())
    }

    /// Goes back to the folder above, whose handle may have been closed: then up from the one
    /// left, or down from SOURCE if that leads elsewhere because something was moved.
    fn leave(&mut self) -> Result<(), ScanError> {
        let Some(mut below) = self.folders.pop() else { return Ok(()) };
        let Some((source, [.., folder])) = self.folders.split_first_mut() else { return Ok(()) };
        if folder.handle().is_some() {
            return Ok(());
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
            let (path_len, unread) = (folder.path_len, folder.give_up());
            self.problem(format!("it was moved while it was scanned: {left} names not read"))?;
            for (name, is_folder) in unread {
                self.path.truncate(path_len);
                append_name(&mut self.path, &name);
                self.unknown(is_folder)?;
            }
        }
        Ok(())
    }

    /// Reports a problem with the present path; an error if it is all of SOURCE that is gone.
    fn problem(&self, detail: String) -> Result<(), ScanError> {
        if let Some(anchor) = &self.anchor {
            let folder = self.folders.first().and_then(Folder::handle);
            let path = || self.source.to_path_buf();
            anchor.check(folder).map_err(|source| ScanError::Gone { path: path(), source })?;
        }
        let subject = shown_path(&self.path);
        self.monitor.problem(Problem::new(ProblemKind::SourceUnreadable, subject, detail));
        Ok(())
    }
}

/// Bytes of an entry without holes, counted as [`ScanTotals::data_bytes`] counts them.
pub fn data_bytes(entry: &Entry) -> u64 {
    let holes = hole_bytes(&entry.holes, entry.size);
    if entry.kind == Kind::File { entry.size.saturating_sub(holes) } else { 0 }
}

fn with_cause(what: &str, errno: Errno) -> String {
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
