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
//!   3. Memory is one folder's names for each depth, and 64 MiB at most for the first paths of
//!      hard-linked files ([`links`]). No more than 256 folder handles are open, and the
//!      thread's stack does not grow with the depth.
//!   4. A path that cannot be read, or changes between listing and looking, is one problem and no
//!      more; the scan goes on. One whose extended attributes cannot all be read is an entry with
//!      those that can, and one problem.
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
use super::attributes::{Attributes, Listed, Place};
use super::beneath::open_beneath;
use super::folder::{Folder, Looked, Named};
use super::holes::{MAX_HOLES, hole_bytes, holes};
use super::inode::{Identity, Inode};
use super::names::Names;
use super::root::Root;
use super::source::{open_quietly, open_single};
use crate::format::entry::NAME_BYTES;
use crate::format::list::{Entry, Kind, shown_path};
use crate::monitor::{Monitor, Problem, ProblemKind};
use crate::patterns::Filter;
use links::HardLinks;

pub use error::ScanError;

mod error;
mod links;

/// Folder handles that are open at once; those of folders further up are closed and opened again.
const OPEN_FOLDERS: usize = 256;
/// Entries between two calls of [`Monitor::advance`].
const ADVANCE_ENTRIES: u64 = 256;
/// Folders that are left out, of which each is named.
const NAMED_FOLDERS: u64 = 5;
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
            let place = Place::in_folder(&handle, b".");
            let mut entry = inode.entry(b"", Kind::Folder);
            let listed = walk.attributes.list_at(&place, walk.device, Kind::Folder);
            walk.add_attributes(&mut entry, &place, listed);
            walk.emit(entry, &inode)?;
            walk.enter(handle, &inode)?;
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
            let Some(Named { name, is_folder, looked }) = folder.next_name(&self.attributes) else {
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
            .map_err(|errno| said("cannot read its metadata", errno))
            .and_then(|inode| Ok((self.entry(&inode, listed_as_folder)?, inode)));
        let (mut entry, inode) = match found {
            Ok(found) => found,
            Err(detail) => return self.problem(detail),
        };
        let is_folder = entry.kind == Kind::Folder;
        if is_folder && self.is_own(&inode) {
            return Ok(());
        }
        // A hard link is the same inode, which has its attributes from its first path.
        if entry.kind != Kind::HardLink {
            self.add_attributes(&mut entry, &self.place(), looked.attributes);
        }
        self.emit(entry, &inode)?;
        let elsewhere = inode.identity.device != self.device;
        if is_folder && self.options.one_file_system && elsewhere {
            self.left_out("another file system is mounted there, or a subvolume");
        } else if is_folder {
            match self.open_folder() {
                Ok(handle) => self.enter(handle, &inode)?,
                Err(errno) => self.problem(said("cannot open the folder", errno))?,
            }
        }
        Ok(())
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

    /// Says of the first folders that are not entered which they are.
    fn left_out(&mut self, why: &str) {
        self.other_file_systems += 1;
        if self.other_file_systems <= NAMED_FOLDERS {
            let path = shown_path(&self.path);
            self.monitor.note(&format!("what lies in {path} is left out: {why}"));
        }
    }

    fn report_left_out(&self) {
        let more = self.other_file_systems.saturating_sub(NAMED_FOLDERS);
        if more > 0 {
            self.monitor.note(&format!(
                "other file systems that are left out: {more} more, {} in all",
                self.other_file_systems
            ));
        }
        let forgotten = self.hard_links.forgotten;
        if forgotten > 0 {
            self.monitor.note(&format!(
                "files with names that were too many or too far apart to be remembered: {forgotten}; \
                 further names of theirs are packed as files of their own"
            ));
        }
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
    fn enter(&mut self, handle: OwnedFd, inode: &Inode) -> Result<(), ScanError> {
        let path_len = self.path.len();
        let path = &mut self.path;
        let (folder, result) = Folder::read(handle, inode, path_len, |name, is_folder| {
            append_name(path, name);
            let keep = !self.options.filter.matches(path, is_folder);
            path.truncate(path_len);
            keep
        });
        if let Err(errno) = result {
            self.problem(said("cannot list the whole folder", errno))?;
        }
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
            folder.give_up();
            self.problem(format!("it was moved while it was scanned: {left} names not read"))?;
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
