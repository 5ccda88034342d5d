//! Handles of the folders in DIR, reached one name at a time.
//!
//! - Enters: checked paths relative to DIR.
//! - Leaves: open handles; what is done next is done relative to one of them, with one name.
//! - Always holds: (1) no symlink is walked through: every step is `openat` of one name with
//!   `O_NOFOLLOW`, so a path may be of any length; (2) at most [`HELD_FOLDERS`] handles are kept,
//!   however deep or wide the tree is, and a step holds two more; (3) the working folder is never
//!   reached, under whatever spelling the file system takes for its name; (4) a folder is reached
//!   under its name to the letter: where case does not count, one that differs in it is another's;
//!   (5) an entry has the same name in every run and for every process: its own, or with
//!   `--map-names` [`mapped`], or, if another has that but for the case of letters,
//!   [`mapped_apart`]; which of the two it is, DIR itself shows.

use parking_lot::{Mutex, MutexGuard};
use std::borrow::Cow;
use std::collections::HashMap;
use std::io;
use std::os::fd::AsRawFd;
use std::sync::Arc;

use cap_std::fs::Dir;
use rustix::fs::{AtFlags, CWD, Mode, OFlags};

use super::at::{
    FileId, MODE_FOR_NOW, as_path, file_id, is_not_a_folder, make_folder_at, not_opened, open_at,
    open_folder_at, split,
};
use super::error::DestinationError;
use super::layout::work_path;
use super::mapping::{mapped, mapped_apart};
use super::name_map::{NameMap, encoded};
use super::spelling::{Spellings, has_another};

/// Handles kept open: enough for many threads in many folders, far below the 1,024 files that a
/// process may usually have open.
const HELD_FOLDERS: usize = 256;

/// The way to the folders of the tree.
pub(super) struct Folders {
    root: Arc<Dir>,
    work: FileId,
    /// root may enter and write in any folder
    is_root: bool,
    /// the file system takes `README` and `readme` for one name; none: that is not known
    pub(super) ignores_case: Option<bool>,
    spellings: Spellings,
    /// with `--map-names`
    pub(super) map: Option<NameMap>,
    /// where case does not count, one entry at a time gets its name: two may have one
    naming: Mutex<()>,
    held: Mutex<OpenFolders>,
}

impl Folders {
    /// The folders below `root`; `work` is the one that no path may reach.
    pub(super) fn new(root: Dir, work: FileId, is_root: bool) -> Self {
        Self {
            root: Arc::new(root),
            work,
            is_root,
            ignores_case: None,
            spellings: Spellings::default(),
            map: None,
            naming: Mutex::default(),
            held: Mutex::default(),
        }
    }

    /// The same, where it is known if names differ by the case of letters.
    #[must_use]
    pub(super) fn ignoring_case(self, ignores_case: bool) -> Self {
        Self { ignores_case: Some(ignores_case), ..self }
    }

    /// The same, with names that are mapped.
    #[must_use]
    pub(super) fn mapping(self, map: Option<NameMap>) -> Self {
        Self { map, ..self }
    }

    /// Held while an entry gets its name, where two may have one.
    pub(super) fn alone(&self) -> Option<MutexGuard<'_, ()>> {
        (self.ignores_case == Some(true)).then(|| self.naming.lock())
    }

    /// Is what was found as `name` in the folder of this path called so, letter by letter?
    pub(super) fn is_called(&self, folder: &Dir, path: &[u8], name: &[u8]) -> bool {
        let may_differ = self.ignores_case.unwrap_or_else(|| has_another(folder, name));
        !may_differ || self.spellings.has(folder, path, name)
    }

    /// DIR itself.
    pub(super) fn root(&self) -> &Arc<Dir> {
        &self.root
    }

    /// The folder at `path`; it is made, with its parents, if it is missing.
    pub(super) fn open_or_make(&self, path: &[u8]) -> Result<Arc<Dir>, DestinationError> {
        self.walk(path, true)
    }

    /// The folder at `path`; none if it, or a parent, is missing.
    pub(super) fn find(&self, path: &[u8]) -> Result<Option<Arc<Dir>>, DestinationError> {
        match self.walk(path, false) {
            Ok(folder) => Ok(Some(folder)),
            Err(DestinationError::Io { source, .. })
                if source.kind() == io::ErrorKind::NotFound =>
            {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// A handle of what has this path now, not of what had it when it was last opened.
    pub(super) fn open_anew(&self, path: &[u8]) -> Result<Arc<Dir>, DestinationError> {
        if path.is_empty() {
            return Ok(Arc::clone(&self.root));
        }
        let (parent, name) = split(path);
        let parent = self.walk(parent, false)?;
        Ok(Arc::new(self.step(&parent, name, path, false)?))
    }

    /// Runs `call`, which changes something in `folder`. A folder that an earlier run has finished
    /// may have a mode that keeps its owner out; then it is opened to its owner, until it is
    /// finished again, and `call` is run once more.
    pub(super) fn within<T>(
        &self,
        folder: &Dir,
        call: impl Fn() -> io::Result<T>,
    ) -> io::Result<T> {
        match call() {
            Err(error) if self.is_shut(&error) && widen(folder) => call(),
            done => done,
        }
    }

    fn is_shut(&self, error: &io::Error) -> bool {
        !self.is_root && error.kind() == io::ErrorKind::PermissionDenied
    }

    fn walk(&self, path: &[u8], make: bool) -> Result<Arc<Dir>, DestinationError> {
        if path.is_empty() {
            return Ok(Arc::clone(&self.root));
        }
        // Most of what is placed follows something in the same folder.
        if let Some(folder) = self.held().get(blake3::hash(path).as_bytes()) {
            return Ok(folder);
        }
        let steps = steps(path);
        let (done, mut folder) = self.nearest(&steps);
        let mut start = if done == 0 { 0 } else { steps[done - 1].end + 1 };
        for PathStep { end, key } in &steps[done..] {
            folder = Arc::new(self.step(&folder, &path[start..*end], &path[..*end], make)?);
            self.held().put(*key, Arc::clone(&folder));
            start = end + 1;
        }
        Ok(folder)
    }

    /// The deepest folder on the way that is open, and how many steps lead to it.
    fn nearest(&self, steps: &[PathStep]) -> (usize, Arc<Dir>) {
        let mut held = self.held();
        for (before, step) in steps.iter().enumerate().rev() {
            if let Some(folder) = held.get(&step.key) {
                return (before + 1, folder);
            }
        }
        (0, Arc::clone(&self.root))
    }

    /// One step from `parent` to its folder `name`, which is `path` from DIR.
    fn step(
        &self,
        parent: &Dir,
        name: &[u8],
        path: &[u8],
        make: bool,
    ) -> Result<Dir, DestinationError> {
        let at = split(path).0;
        let mut here = self.name_in(parent, at, name);
        let mut opened = self.open_child(parent, &here);
        let is_missing = |opened: &io::Result<Dir>| matches!(opened, Err(error) if error.kind() == io::ErrorKind::NotFound);
        let mut is_new = false;
        if make && is_missing(&opened) {
            let alone = self.alone();
            if alone.is_some() {
                // Another may have taken the name meanwhile.
                here = self.name_in(parent, at, name);
                opened = self.open_child(parent, &here);
            }
            is_new = is_missing(&opened);
            if is_new {
                self.within(parent, || make_folder_at(parent, &here))
                    .map_err(DestinationError::io("make folder", path))?;
                opened = self.open_child(parent, &here);
            }
        }
        let is_there = opened.as_ref().map_or_else(is_not_a_folder, |_| true);
        if !is_new && is_there && !self.is_called(parent, at, &here) {
            return Err(DestinationError::Exists { path: path.to_vec() });
        }
        let folder = opened.map_err(not_opened(path))?;
        self.note_name(at, name, &here)?;
        // The working folder may have a short name too, or one that only looks different.
        let at_top = !path.contains(&b'/');
        if at_top && file_id(&folder).map_err(DestinationError::io("look at", path))? == self.work {
            return Err(DestinationError::Reserved { path: path.to_vec() });
        }
        Ok(folder)
    }

    fn open_child(&self, parent: &Dir, name: &[u8]) -> io::Result<Dir> {
        match self.within(parent, || open_folder_at(parent, name)) {
            Err(error) if self.is_shut(&error) && widen_unreadable(parent, name).is_ok() => {
                open_folder_at(parent, name)
            }
            done => done,
        }
    }

    fn held(&self) -> MutexGuard<'_, OpenFolders> {
        self.held.lock()
    }
}

impl Folders {
    /// What an entry of this name is called in this folder, which has this path.
    pub(super) fn name_in<'n>(&self, folder: &Dir, path: &[u8], name: &'n [u8]) -> Cow<'n, [u8]> {
        let Some(map) = &self.map else { return Cow::Borrowed(name) };
        let usual = mapped(name, map.most);
        if self.ignores_case == Some(false) {
            return usual;
        }
        let is_there =
            |name: &[u8]| self.within(folder, || folder.symlink_metadata(as_path(name))).is_ok();
        let is_taken = is_there(&usual);
        if is_taken && self.is_called(folder, path, &usual) {
            return usual;
        }
        let apart = mapped_apart(name, map.most);
        let is_apart = is_taken || is_there(&apart) && self.is_called(folder, path, &apart);
        if is_apart { Cow::Owned(apart) } else { usual }
    }

    /// Notes what an entry, which is there, is called, unless that is its own name.
    pub(super) fn note_name(
        &self,
        path: &[u8],
        name: &[u8],
        here: &[u8],
    ) -> Result<(), DestinationError> {
        let list = self.map.as_ref().and_then(|map| map.list.as_ref());
        let Some(list) = list.filter(|_| name != here) else { return Ok(()) };
        let folder = self.path_here(path)?;
        let slash: &[u8] = if folder.is_empty() { b"" } else { b"/" };
        let line = [&folder, slash, here, b"\t", encoded(name).as_bytes()].concat();
        list.add(&line).map_err(DestinationError::io("save", &work_path(&list.state)))
    }

    /// The path in DIR of an entry, name by name: it may be of any depth.
    pub(super) fn path_here(&self, path: &[u8]) -> Result<Vec<u8>, DestinationError> {
        let (mut here, mut at) = (Vec::new(), 0);
        while at < path.len() {
            let end = path[at..].iter().position(|b| *b == b'/').map_or(path.len(), |len| at + len);
            let parent = &path[..at.saturating_sub(1)];
            if at > 0 {
                here.push(b'/');
            }
            match self.find(parent)? {
                Some(folder) => {
                    here.extend_from_slice(&self.name_in(&folder, parent, &path[at..end]));
                }
                None => here.extend_from_slice(&path[at..end]),
            }
            at = end + 1;
        }
        Ok(here)
    }
}

/// Gives the owner all of an open folder; false if that changes nothing or is not allowed.
fn widen(folder: &Dir) -> bool {
    let Ok(stat) = rustix::fs::fstat(folder) else { return false };
    let mode = stat.st_mode & 0o7777;
    mode & MODE_FOR_NOW != MODE_FOR_NOW
        && rustix::fs::fchmod(folder, Mode::from_raw_mode(mode | MODE_FOR_NOW)).is_ok()
}

/// The same for a folder that cannot be opened for reading. The handle says that it is a folder,
/// and the kernel's name for the handle leads to nothing else.
fn widen_unreadable(parent: &Dir, name: &[u8]) -> io::Result<()> {
    let folder = open_at(parent, name, OFlags::PATH | OFlags::DIRECTORY, 0)?;
    let mode = rustix::fs::fstat(&folder)?.st_mode & 0o7777;
    let handle = format!("/proc/self/fd/{}", folder.as_raw_fd());
    let mode = Mode::from_raw_mode(mode | MODE_FOR_NOW);
    Ok(rustix::fs::chmodat(CWD, handle, mode, AtFlags::empty())?)
}

/// A folder on the way: where its path ends, and what stands for its path.
struct PathStep {
    end: usize,
    key: Key,
}

/// Stands for a path, so that what is kept for a handle does not grow with the path: its hash.
type Key = [u8; blake3::OUT_LEN];

/// The steps from DIR to `path`.
fn steps(path: &[u8]) -> Vec<PathStep> {
    let slashes = path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at);
    let last = (!path.is_empty()).then_some(path.len());
    let (mut hashed, mut hasher) = (0, blake3::Hasher::new());
    slashes
        .chain(last)
        .map(|end| {
            hasher.update(&path[hashed..end]);
            hashed = end;
            PathStep { end, key: *hasher.finalize().as_bytes() }
        })
        .collect()
}

/// The handles used last.
#[derive(Default)]
struct OpenFolders {
    folders: HashMap<Key, (u64, Arc<Dir>)>,
    /// counts uses; a folder's number says when it was used last
    clock: u64,
}

impl OpenFolders {
    fn get(&mut self, key: &Key) -> Option<Arc<Dir>> {
        self.clock += 1;
        let (used, folder) = self.folders.get_mut(key)?;
        *used = self.clock;
        Some(Arc::clone(folder))
    }

    fn put(&mut self, key: Key, folder: Arc<Dir>) {
        if self.folders.len() >= HELD_FOLDERS
            && let Some(oldest) =
                self.folders.iter().min_by_key(|(_, (used, _))| *used).map(|(key, _)| *key)
        {
            self.folders.remove(&oldest);
        }
        self.clock += 1;
        self.folders.insert(key, (self.clock, folder));
    }
}
