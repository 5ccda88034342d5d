//! What the packing machine remembers of a shipment in progress: enough to resume with other drives,
//! or after a crash.
//!
//! - Enters: what was asked for; each commit, before it is made; each set that is closed.
//! - Leaves: the same, read again.
//! - Always holds: (1) `state.json` is replaced whole, and synced before a commit that it tells of
//!   is made, so one of its two marks is what the drives have; (2) the index lies beside it and is
//!   at least as long as the marks say; (3) everything is removed when the shipment is complete;
//!   (4) a process that uses the folder holds a lock on it, so a folder without `state.json` and
//!   without a lock is what a process left that was killed before it packed: the next removes it;
//!   (5) a file that is not what was written is an error.
//!
//! One folder a shipment: `list` (see [`super::snapshot`]), and `state.json` and `index`, each followed
//! by a line end and the BLAKE3 of what is before, in 64 hexadecimal digits.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use super::error::LocalStateError;
use super::folder::state_folder;
use super::snapshot::{ScanSnapshot, sync_folder_of};
use crate::dataset::ScanTotals;
use crate::dataset::cursor::Cursor;
use crate::format::Suite;
use crate::format::catalog::Index;
use crate::format::ids::{RunId, SetNumber, ShipmentId};
use crate::format::list::Hash;
use crate::format::set::RunLine;

const STATE: &str = "state.json";
const INDEX: &str = "index";
const LIST: &str = "list";
/// Bytes of a line end and a checksum in hexadecimal digits.
const CHECK_BYTES: usize = 65;
/// The version of `state.json`.
const VERSION: u32 = 2;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackRequest {
    /// the dataset, an absolute path
    pub source: OsString,
    /// recipients, as text
    pub recipients: Vec<String>,
    /// the rule; none: the default that the drives can keep
    pub survive: Option<String>,
    /// the cipher of the whole shipment; a state of before there was a choice does not name it
    #[serde(default)]
    pub suite: Suite,
    /// zstd level, or what it follows
    pub level: String,
    /// the dataset's name
    pub name: String,
    /// whom to ask about a drive
    pub contact: String,
    /// bytes and seconds of a checkpoint
    pub checkpoint: (u64, u64),
    /// read everything back at the end
    pub read_back: bool,
    /// C, B and n, if they were given
    pub geometry: Option<(u32, u32, u32)>,
    /// folders on this machine's own disks may be drives
    #[serde(default)]
    pub folder_drives: bool,
}

/// How far a set is: what a commit has made count.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// what is packed
    pub cursor: Cursor,
    /// the run as far as it is committed; none before its first commit
    pub run: Option<RunLine>,
    /// rows of the index
    pub rows: usize,
    /// entries, files and their bytes in the set
    pub counts: (u64, u64, u64),
    /// what else was counted in the set
    #[serde(default)]
    pub tally: SetTotals,
}

/// What is counted while a set is packed, over all of its runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetTotals {
    pub stripes: u64,
    /// stored bytes of chunks
    pub stored_bytes: u64,
    /// bytes that were not stored because they were packed before
    pub duplicate_bytes: u64,
    /// extents the dedup table forgot
    pub forgotten: u64,
    /// files that are only named, since they could not be read
    pub left_out: u64,
    /// bytes of shards on each drive, by slot from 1
    pub drive_bytes: Vec<u64>,
}

impl Mark {
    /// What a commit makes count.
    pub fn new(cursor: &Cursor, run: RunLine, index: &Index, tally: &SetTotals) -> Self {
        let counts = (index.entries, index.files, index.file_bytes);
        let (cursor, tally, rows) = (cursor.clone(), tally.clone(), index.frames.len());
        Self { cursor, run: Some(run), rows, counts, tally }
    }
}

/// A set that is not closed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnclosedSet {
    pub number: SetNumber,
    pub survive: String,
    /// B and n
    pub blocks: (u32, u32),
    /// the cases of its drives, by slot from 1
    pub cases: Vec<String>,
    /// runs that ended before the present one
    pub runs: Vec<RunLine>,
    /// all runs that were begun, the present one last: what they left and no record names is litter
    pub begun: Vec<RunId>,
    pub committed: Mark,
    /// what the next commit makes count, if it was made
    pub pending: Option<Mark>,
}

/// A shipment in progress.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShipmentState {
    version: u32,
    pub shipment: ShipmentId,
    /// what was asked for
    pub asked: PackRequest,
    /// what the scan found
    pub totals: ScanTotals,
    /// bytes of all entries, as lists hold them
    pub entry_bytes: u64,
    /// C, which all sets have
    pub chunk_bytes: u32,
    /// when it was begun; empty in a state of before this was kept
    #[serde(default)]
    pub begun: String,
    /// the cases of the last closed set's drives, by slot
    #[serde(default)]
    pub cases: Vec<String>,
    /// the cases of the sets before it, each once
    #[serde(default)]
    earlier_cases: Vec<String>,
    /// the rule of the last closed set
    #[serde(default)]
    pub survive: Option<String>,
    pub sets: u32,
    /// root of the last of them
    pub before: Option<Hash>,
    /// what they have packed
    pub cursor: Cursor,
    /// the set that is being packed
    pub unclosed: Option<UnclosedSet>,
}

impl ShipmentState {
    /// Of a shipment that is begun.
    pub fn new(
        shipment: ShipmentId,
        asked: PackRequest,
        totals: ScanTotals,
        entry_bytes: u64,
        chunk_bytes: u32,
    ) -> Self {
        Self {
            version: VERSION,
            shipment,
            asked,
            totals,
            entry_bytes,
            chunk_bytes,
            begun: String::new(),
            cases: Vec::new(),
            earlier_cases: Vec::new(),
            survive: None,
            sets: 0,
            before: None,
            cursor: Cursor::default(),
            unclosed: None,
        }
    }

    /// The cases of all sets so far, each once, sorted.
    pub fn known_cases(&self) -> Vec<String> {
        let unclosed = self.unclosed.iter().flat_map(|set| &set.cases);
        let all: BTreeSet<&String> =
            self.earlier_cases.iter().chain(&self.cases).chain(unclosed).collect();
        all.into_iter().cloned().collect()
    }

    /// The set that was packed is closed.
    pub fn closed(&mut self, cursor: &Cursor, root: Hash) {
        self.sets += 1;
        self.before = Some(root);
        self.cursor = cursor.clone();
        if let Some(set) = self.unclosed.take() {
            self.earlier_cases = self.known_cases();
            (self.cases, self.survive) = (set.cases, Some(set.survive));
        }
    }
}

/// The folder of one shipment's state.
#[derive(Clone, Debug)]
pub struct StateFolder {
    shipment: ShipmentId,
    path: PathBuf,
    /// held until the last clone goes; none where the file system knows no locks
    _lock: Option<Arc<File>>,
}

/// How often a folder that another process has just removed is made anew.
const TRIES: usize = 16;

/// How a lock was asked for.
enum Lock {
    Held(File),
    Busy,
    /// the file system knows none
    None,
}

/// Locks a folder against other processes; the lock ends with the process, however that ends.
fn lock(path: &Path) -> std::io::Result<Lock> {
    let folder = File::open(path)?;
    Ok(match flock(&folder, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Lock::Held(folder),
        Err(Errno::WOULDBLOCK) => Lock::Busy,
        Err(_) => Lock::None,
    })
}

/// Is this folder still the one at `path`?
fn is_at(folder: &File, path: &Path) -> bool {
    let id = |found: std::fs::Metadata| (found.dev(), found.ino());
    match (folder.metadata(), std::fs::metadata(path)) {
        (Ok(held), Ok(there)) => id(held) == id(there),
        _ => false,
    }
}

/// The shipments that have a folder here.
fn shipments(folder: &Path) -> Result<Vec<ShipmentId>, LocalStateError> {
    let entries =
        std::fs::read_dir(folder).map_err(|source| LocalStateError::io("list", folder, source))?;
    let id = |entry: std::fs::DirEntry| entry.file_name().to_str()?.parse().ok();
    Ok(entries.filter_map(Result::ok).filter_map(id).collect())
}

/// Says that a scan was killed, until another has come to its end.
const CUT_SHORT: &str = "cut-short";

/// Removes what processes left that were killed before they packed; was there any since a shipment was
/// begun?
fn remove_orphans(folder: &Path) -> Result<bool, LocalStateError> {
    let mark = folder.join(CUT_SHORT);
    for shipment in shipments(folder)? {
        let path = folder.join(shipment.to_string());
        let is_orphan = || !path.join(STATE).exists();
        if !is_orphan() {
            continue;
        }
        // Looked at again under the lock: it may just have been begun, or packed and removed.
        let Ok(Lock::Held(held)) = lock(&path) else { continue };
        if is_orphan() && is_at(&held, &path) {
            // One with an index was packed, and removed in part; what is not ours is no scan.
            let is_ours = |name: String| name.starts_with(LIST);
            let names = std::fs::read_dir(&path).into_iter().flatten().flatten();
            let names: Vec<String> =
                names.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
            let is_scan = names.is_empty() || names.iter().cloned().any(is_ours);
            if is_scan && !names.iter().any(|name| name == INDEX) {
                std::fs::write(&mark, "").map_err(|e| LocalStateError::io("write", &mark, e))?;
            }
            for name in [LIST, INDEX, STATE] {
                for name in [name.to_owned(), format!("{name}.part")] {
                    let _ = std::fs::remove_file(path.join(name));
                }
            }
            // Refused if anything else lies in it, which is not ours.
            let _ = std::fs::remove_dir(&path);
        }
    }
    Ok(mark.exists())
}

impl StateFolder {
    /// Of this user's shipment; made if it is not there.
    pub fn of(shipment: ShipmentId) -> Result<Self, LocalStateError> {
        let folder = state_folder()?;
        remove_orphans(&folder)?;
        Self::within(&folder, shipment)
    }

    /// The same in another place than the user's.
    pub fn within(folder: &Path, shipment: ShipmentId) -> Result<Self, LocalStateError> {
        let path = folder.join(shipment.to_string());
        let failed = |source| LocalStateError::io("create", &path, source);
        for _ in 0..TRIES {
            std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&path).map_err(failed)?;
            match lock(&path) {
                Ok(Lock::Held(held)) if is_at(&held, &path) => {
                    let lock = Some(Arc::new(held));
                    return Ok(Self { shipment, path, _lock: lock });
                }
                Ok(Lock::None) => return Ok(Self { shipment, path, _lock: None }),
                Ok(Lock::Busy) => break,
                Ok(Lock::Held(_)) => {}
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
                Err(e) => return Err(failed(e)),
            }
        }
        Err(LocalStateError::Busy { path })
    }

    pub fn shipment(&self) -> ShipmentId {
        self.shipment
    }

    /// Removes what processes left that were killed before they packed; was there any since a shipment
    /// was begun?
    pub fn cleanup() -> Result<bool, LocalStateError> {
        remove_orphans(&state_folder()?)
    }

    /// The shipments in progress.
    pub fn all() -> Result<Vec<ShipmentId>, LocalStateError> {
        let folder = state_folder()?;
        remove_orphans(&folder)?;
        let mut found = shipments(&folder)?;
        found.retain(|id| folder.join(id.to_string()).join(STATE).is_file());
        found.sort();
        Ok(found)
    }

    /// Device and inode of the folder that holds those of all shipments.
    pub fn of_all(&self) -> Option<(u64, u64)> {
        let folder = std::fs::metadata(self.path.parent()?).ok()?;
        Some((folder.dev(), folder.ino()))
    }

    /// The state of a shipment in progress, and what is wrong with the files beside it; to be told
    /// only: it is not locked.
    pub fn peek(
        shipment: ShipmentId,
    ) -> Result<(ShipmentState, Result<(), LocalStateError>), LocalStateError> {
        let folder = Self { shipment, path: Self::path_of(shipment)?, _lock: None };
        let state = folder.load()?;
        // Each record is looked at when it is packed: a list may be larger than memory.
        let list = ScanSnapshot::open(&folder.list_path());
        let rest = list.and_then(|_| folder.check_index(&state));
        Ok((state, rest))
    }

    /// Where this user's state of a shipment lies.
    pub fn path_of(shipment: ShipmentId) -> Result<PathBuf, LocalStateError> {
        Ok(state_folder()?.join(shipment.to_string()))
    }

    /// Where the scan snapshot lies.
    pub fn list_path(&self) -> PathBuf {
        self.path.join(LIST)
    }

    /// The scan snapshot, which is what was written.
    pub fn list(&self) -> Result<ScanSnapshot, LocalStateError> {
        let list = ScanSnapshot::open(&self.list_path())?;
        list.check()?;
        Ok(list)
    }

    pub fn save(&self, state: &ShipmentState) -> Result<(), LocalStateError> {
        if !self.path.join(STATE).exists() {
            // This scan has come to its end; where it cannot be said, too much is done again at worst.
            let _ = std::fs::remove_file(self.path.with_file_name(CUT_SHORT));
        }
        let bytes = serde_json::to_vec(state)
            .map_err(|e| LocalStateError::io("write", &self.path.join(STATE), e.into()))?;
        self.replace(STATE, &bytes)
    }

    /// Replaces the index; to be done before a state that tells of its rows is saved.
    pub fn save_index(&self, index: &Index) -> Result<(), LocalStateError> {
        self.replace(INDEX, &index.encode())
    }

    pub fn load(&self) -> Result<ShipmentState, LocalStateError> {
        let path = self.path.join(STATE);
        let bytes = read(&path)?;
        let state: ShipmentState =
            serde_json::from_slice(&bytes).map_err(|_| LocalStateError::Damaged {
                path: path.clone(),
                at: 0,
                what: "it is not what this version writes",
            })?;
        if state.version != VERSION {
            return Err(LocalStateError::Damaged { path, at: 0, what: "it is of another version" });
        }
        Ok(state)
    }

    /// The index as far as a mark says.
    pub fn load_index(&self, mark: &Mark) -> Result<Index, LocalStateError> {
        if mark.rows == 0 {
            return Ok(Index::default());
        }
        let path = self.path.join(INDEX);
        let damaged = |what| LocalStateError::Damaged { path: path.clone(), at: 0, what };
        let mut index = Index::decode(&read(&path)?).map_err(|_| damaged("it is not an index"))?;
        if index.frames.len() < mark.rows {
            return Err(damaged("it is shorter than the state says"));
        }
        index.frames.truncate(mark.rows);
        (index.entries, index.files, index.file_bytes) = mark.counts;
        Ok(index)
    }

    /// Fails if an unclosed set cannot be gone on with: the index is not as long as its marks say.
    pub fn check_index(&self, state: &ShipmentState) -> Result<(), LocalStateError> {
        let marks =
            state.unclosed.iter().flat_map(|set| set.pending.iter().chain([&set.committed]));
        marks.map(|mark| self.load_index(mark)).try_for_each(|index| index.map(|_| ()))
    }

    /// Removes everything: the shipment is complete, or was never begun.
    pub fn remove(self) -> Result<(), LocalStateError> {
        // The state first: what a crash leaves without it is of no shipment in progress.
        match std::fs::remove_file(self.path.join(STATE)) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(e),
            _ => std::fs::remove_dir_all(&self.path),
        }
        .map_err(|source| LocalStateError::io("remove", &self.path, source))
    }

    /// Replaces a file, and adds its checksum.
    fn replace(&self, name: &str, bytes: &[u8]) -> Result<(), LocalStateError> {
        let check = format!("\n{}", blake3::hash(bytes));
        let path = self.path.join(name);
        let part = self.path.join(format!("{name}.part"));
        let write = || {
            let mut options = std::fs::OpenOptions::new();
            let mut file =
                options.write(true).create(true).truncate(true).mode(0o600).open(&part)?;
            file.write_all(bytes)?;
            file.write_all(check.as_bytes())?;
            file.sync_all()?;
            std::fs::rename(&part, &path)
        };
        write().map_err(|source| LocalStateError::io("write", &path, source))?;
        sync_folder_of(&path)
    }
}

/// A file's content, if it is what was written.
fn read(path: &Path) -> Result<Vec<u8>, LocalStateError> {
    let mut bytes =
        std::fs::read(path).map_err(|source| LocalStateError::io("read", path, source))?;
    let end = bytes.len().saturating_sub(CHECK_BYTES);
    let check = bytes.split_off(end);
    if check == format!("\n{}", blake3::hash(&bytes)).as_bytes() {
        return Ok(bytes);
    }
    let what = "it is cut short, or not what was written";
    Err(LocalStateError::Damaged { path: path.to_path_buf(), at: 0, what })
}

#[cfg(test)]
mod tests;
