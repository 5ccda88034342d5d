//! The threads of the scan: folders are listed, and their names looked at, ahead of the walk.
//!
//! - Enters: what the walk needs next.
//! - Leaves: that.
//! - Always holds: (1) what is found does not depend on the threads: a task reads names of one
//!   folder, and the walk takes what it needs in its own order; (2) of what is not begun the first in
//!   that order is begun next, and what the walk waits for before all else, so the walk always goes
//!   on; (3) memory is [`AHEAD_NAMES`] names and what each thread works on, and open are
//!   [`AHEAD_FOLDERS`] handles and two for each thread; (4) a lock is taken three times a folder, or
//!   for [`BATCH_NAMES`] names of a large one, and never for a name.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Weak};

use parking_lot::{Condvar, Mutex, MutexGuard};
use rustix::fs::Mode;
use rustix::io::Errno;

use super::bounds::{FOLDER_FLAGS, ScanBounds};
use super::look::{FolderNames, Found, Looker, last_name};

/// Names that were looked at and that the walk has not come to; beyond this nothing new is begun.
const AHEAD_NAMES: usize = 8_192;
/// The same for folders that are open.
const AHEAD_FOLDERS: usize = 64;
/// Names that a thread looks at in one go.
const BATCH_NAMES: usize = 256;
/// What is found in one go takes no more than this and one name.
const BATCH_BYTES: usize = 256 << 10;
/// What the names of a folder take that is listed ahead; a larger one is listed when its turn has
/// come, so that only one is in memory.
const AHEAD_WINDOW: usize = 256 << 10;

/// Where something comes in the walk.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Turn {
    /// the path, a folder's ending in `/`
    path: Vec<u8>,
    step: Step,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Step {
    /// look at names from this one on
    Look,
    /// list the folder of this path
    List,
    /// list its folder from this name on
    ListOn,
}

impl Turn {
    /// Looking at the names from `at` on.
    pub fn look(names: &FolderNames, at: usize) -> Self {
        Self { path: names.sort_key(names.listing.name(at)), step: Step::Look }
    }

    /// Listing a folder.
    pub fn list(path: &[u8]) -> Self {
        let mut path = path.to_vec();
        if !path.is_empty() {
            path.push(b'/');
        }
        Self { path, step: Step::List }
    }

    /// Listing a folder from the last name of these on.
    pub fn list_on(names: &FolderNames, last: (&[u8], bool)) -> Self {
        Self { path: names.sort_key(last), step: Step::ListOn }
    }
}

/// What is to be done.
pub enum Task {
    /// open a folder in its folder, list it and look at its first names
    Open { parent: Weak<OwnedFd>, path: Vec<u8> },
    /// the same of a folder that is open, from behind this name on
    List { folder: Arc<OwnedFd>, path: Vec<u8>, after: Option<(Vec<u8>, bool)> },
    /// look at these names
    Look { folder: Weak<OwnedFd>, names: Arc<FolderNames>, from: usize, to: usize },
}

/// What was done.
pub struct TaskOutcome {
    /// the folder, if there is more to be done in it
    pub folder: Option<Arc<OwnedFd>>,
    pub names: Arc<FolderNames>,
    /// of the names that it begins with, or that were to be looked at, as many as were
    pub found: Vec<Found>,
}

/// What was done, or why it cannot be.
pub type Outcome = Result<TaskOutcome, Errno>;

/// What the threads and the walk share.
pub struct Ahead<'a> {
    bounds: ScanBounds<'a>,
    queue: Mutex<TaskQueue>,
    /// there is something to do
    work: Condvar,
    /// what the walk waits for is done
    done: Condvar,
}

#[derive(Default)]
struct TaskQueue {
    todo: BTreeMap<Turn, Task>,
    doing: HashSet<Turn>,
    done: HashMap<Turn, Outcome>,
    /// names and open folders in `done`
    names: usize,
    folders: usize,
    /// what the walk waits for
    wanted: Option<Turn>,
    /// threads that wait
    idle: usize,
    ended: bool,
}

impl TaskQueue {
    /// What a thread does next, and whether the walk waits for it.
    fn begin(&mut self) -> Option<(Turn, Task, bool)> {
        let wanted = self.wanted.as_ref().and_then(|turn| self.todo.remove_entry(turn));
        let is_wanted = wanted.is_some();
        let is_full = self.names >= AHEAD_NAMES || self.folders >= AHEAD_FOLDERS;
        let next = wanted.or_else(|| if is_full { None } else { self.todo.pop_first() });
        let (turn, task) = next?;
        self.doing.insert(turn.clone());
        Some((turn, task, is_wanted))
    }

    fn finish(&mut self, turn: Turn, outcome: Outcome) {
        let (names, folders) = size(&outcome);
        self.names += names;
        self.folders += folders;
        self.done.insert(turn, outcome);
    }

    fn take(&mut self, turn: &Turn) -> Option<Outcome> {
        let outcome = self.done.remove(turn)?;
        let (names, folders) = size(&outcome);
        self.names -= names;
        self.folders -= folders;
        Some(outcome)
    }
}

/// Names, and open folders.
fn size(outcome: &Outcome) -> (usize, usize) {
    outcome.as_ref().map_or((0, 0), |done| (done.found.len(), usize::from(done.folder.is_some())))
}

impl<'a> Ahead<'a> {
    pub fn new(bounds: ScanBounds<'a>) -> Self {
        let (queue, work, done) = (Mutex::default(), Condvar::new(), Condvar::new());
        Self { bounds, queue, work, done }
    }

    /// What a thread does until the scan ends.
    pub fn work(&self) {
        let _end = EndOnDrop(self);
        let mut looker = Looker::of_thread(self.bounds.options);
        let mut queue = self.queue.lock();
        while !queue.ended {
            let Some((turn, task, is_wanted)) = queue.begin() else {
                queue.idle += 1;
                self.work.wait(&mut queue);
                queue.idle -= 1;
                continue;
            };
            let run = MutexGuard::unlocked(&mut queue, || self.run(&mut looker, task, is_wanted));
            queue.doing.remove(&turn);
            self.wake_walk(&queue, &turn);
            let Some((outcome, next)) = run else { continue };
            for _ in 0..queue.idle.min(next.len()) {
                self.work.notify_one();
            }
            queue.todo.extend(next);
            queue.finish(turn, outcome);
        }
    }

    fn wake_walk(&self, queue: &TaskQueue, turn: &Turn) {
        if queue.wanted.as_ref() == Some(turn) {
            self.done.notify_one();
        }
    }

    /// Waits for what is done in this turn. None if it is not begun and `task` does not say how it
    /// is done.
    pub fn take(&self, turn: &Turn, mut task: impl FnMut() -> Option<Task>) -> Option<Outcome> {
        let mut queue = self.queue.lock();
        queue.wanted = Some(turn.clone());
        loop {
            if let Some(outcome) = queue.take(turn) {
                queue.wanted = None;
                if queue.idle > 0 && !queue.todo.is_empty() && queue.names < AHEAD_NAMES / 2 {
                    self.work.notify_all();
                }
                return Some(outcome);
            }
            if queue.ended {
                return None;
            }
            if !queue.doing.contains(turn) {
                if !queue.todo.contains_key(turn) {
                    let task = MutexGuard::unlocked(&mut queue, &mut task)?;
                    queue.todo.insert(turn.clone(), task);
                }
                self.work.notify_one();
            }
            self.done.wait(&mut queue);
        }
    }

    /// Does a task. None if it was begun too early: its folder is closed by now, or too large.
    fn run(
        &self,
        looker: &mut Looker,
        task: Task,
        is_wanted: bool,
    ) -> Option<(Outcome, Vec<(Turn, Task)>)> {
        let (folder, path, after) = match task {
            Task::Look { folder, names, from, to } => {
                let folder = folder.upgrade()?;
                return Some(self.look(looker, &folder, names, (from, to)));
            }
            Task::List { folder, path, after } => (folder, path, after),
            Task::Open { parent, path } => {
                let parent = parent.upgrade()?;
                match open_folder(&parent, last_name(&path)) {
                    Ok(folder) => (Arc::new(folder), path, None),
                    Err(errno) => return Some((Err(errno), Vec::new())),
                }
            }
        };
        let window = self.bounds.window;
        let window = if is_wanted { window } else { window.min(AHEAD_WINDOW) };
        let after = after.as_ref().map(|(name, is_folder)| (name.as_slice(), *is_folder));
        let names = looker.list(&folder, path, after, window);
        if !is_wanted && names.listing.last_of_more().is_some() {
            return None;
        }
        let names = Arc::new(names);
        let first = names.listing.len().min(BATCH_NAMES);
        let (mut outcome, mut next) = self.look(looker, &folder, names.clone(), (0, first));
        for from in (first..names.listing.len()).step_by(BATCH_NAMES) {
            next.push(look_later(&folder, &names, from));
        }
        if let Ok(done) = &mut outcome {
            let has_more = names.listing.last_of_more().is_some();
            done.folder = (has_more || !next.is_empty()).then_some(folder);
        }
        Some((outcome, next))
    }

    /// Looks at names, and says what is to be done next: what was not come to, and the folders
    /// among them.
    fn look(
        &self,
        looker: &mut Looker,
        folder: &Arc<OwnedFd>,
        names: Arc<FolderNames>,
        (from, to): (usize, usize),
    ) -> (Outcome, Vec<(Turn, Task)>) {
        let found = looker.look(folder, &names, (from, to), BATCH_BYTES);
        let enters = |found: &&Found| {
            found.inode.as_ref().is_ok_and(|inode| self.bounds.enters(found.entry.kind, inode))
        };
        let folders = found.iter().filter(enters);
        let mut next: Vec<(Turn, Task)> = folders
            .map(|Found { entry, .. }| {
                let task = Task::Open { parent: Arc::downgrade(folder), path: entry.path.clone() };
                (Turn::list(&entry.path), task)
            })
            .collect();
        let from = from + found.len();
        if from < to {
            next.push(look_later(folder, &names, from));
        }
        (Ok(TaskOutcome { folder: None, names, found }), next)
    }
}

/// Looking at the names from `from` on, up to where the next are looked at apart.
pub fn look_later(folder: &Arc<OwnedFd>, names: &Arc<FolderNames>, from: usize) -> (Turn, Task) {
    let to = (from + 1).next_multiple_of(BATCH_NAMES).min(names.listing.len());
    let task = Task::Look { folder: Arc::downgrade(folder), names: names.clone(), from, to };
    (Turn::look(names, from), task)
}

fn open_folder(parent: &OwnedFd, name: &[u8]) -> Result<OwnedFd, Errno> {
    rustix::io::retry_on_intr(|| rustix::fs::openat(parent, name, FOLDER_FLAGS, Mode::empty()))
}

/// Ends the threads, and the walk, when the walk ends or one of them fails.
pub struct EndOnDrop<'a>(pub &'a Ahead<'a>);

impl Drop for EndOnDrop<'_> {
    fn drop(&mut self) {
        self.0.queue.lock().ended = true;
        self.0.work.notify_all();
        self.0.done.notify_all();
    }
}
