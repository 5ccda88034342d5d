//! The drives: the few calls that holdall makes on a mounted file system.
//!
//! - Enters: whole files under relative paths; reads of any range.
//! - Leaves: bytes, or an error that names drive, path and action.
//! - Always holds: (1) a file is written once and never changed, but by `repair`, which calls
//!   [`Drive::rewrite`] and [`Drive::replace`] where bytes are not what they should be; (2) only this folder touches the
//!   drives' files; (3) paths are made of `[0-9a-z.-]` names and `/`, relative to the folder that
//!   the drive was given as, so a drive may be a mount point or any directory.
//!
//! The page of `holdall help drives` follows.
#![doc = include_str!("drives.md")]

mod absent;
pub mod buffer;
pub mod detect;
mod device;
pub mod filesystem;
pub mod local;
mod local_file;
pub mod lock;
pub mod memory;
mod removal;
pub mod watch;
pub mod writer;

#[cfg(test)]
mod tests;

pub use absent::AbsentDrive;
pub use local::LocalDrive;
pub use memory::MemoryDrive;

use serde::{Serialize, Serializer};
use std::io;

/// What a drive did not do.
#[derive(Debug, thiserror::Error)]
#[error("{action} {}{drive}", if path.is_empty() { String::new() } else { format!("{path} on ") })]
pub struct DriveError {
    /// the drive's name for people: its path as it was given
    pub drive: String,
    /// what was tried: `read`, `write`, `sync`, …
    pub action: &'static str,
    /// the file, relative to the drive; empty for the drive itself
    pub path: String,
    /// what the system said
    #[source]
    pub source: io::Error,
}

impl DriveError {
    fn new(drive: &str, action: &'static str, path: &str, source: impl Into<io::Error>) -> Self {
        Self { drive: drive.into(), action, path: path.into(), source: source.into() }
    }

    /// No such file or folder.
    pub fn is_missing(&self) -> bool {
        self.source.kind() == io::ErrorKind::NotFound
    }

    /// No room left on the drive.
    pub fn is_full(&self) -> bool {
        matches!(
            self.source.kind(),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
        )
    }
}

/// What a drive can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// bytes that can still be written by this user (`f_bavail`)
    pub free_bytes: u64,
    /// bytes in all
    pub total_bytes: u64,
    /// bytes that one file takes at least; file sizes are rounded up to it
    pub unit_bytes: u64,
    /// the device; two drives with the same one share their room
    pub device: u64,
}

/// How bytes are read back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadMode {
    /// any way, the page cache included
    Cached,
    /// from the medium as well as the drive can: see [`Level`]
    Medium,
}

/// How a read-back was proven; DESIGN's rule 7.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// not read back
    None,
    /// the bytes may have come from a cache
    Cached,
    /// the caches were dropped first
    Dropped,
    /// past the caches (`O_DIRECT`), or there is no medium but memory
    Direct,
}

impl Level {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::None, Self::Cached, Self::Dropped, Self::Direct];

    /// The word that is printed and recorded.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Cached => "cached",
            Self::Dropped => "dropped",
            Self::Direct => "direct",
        }
    }
}

impl Serialize for Level {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// What it takes to prove what lies on a drive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// to read it
    Read,
    /// to read it after it was unplugged, or as a user who may open its device
    Replug,
    /// a cache lies in between that nothing here gets past: only where the drive itself is attached
    Elsewhere,
}

impl Proof {
    /// What is to be done about a drive that was read back through a cache.
    pub fn advice(self) -> &'static str {
        match self {
            Self::Read | Self::Replug => "re-plug the drive and run holdall verify",
            Self::Elsewhere => {
                "nothing read here can prove it (a network or cloud mount): verify it on the \
                 machine that the drive is attached to"
            }
        }
    }
}

/// What [`Drive::probe`] reads.
const PROBE_BYTES: u64 = 4096;

/// An open file of a drive.
pub trait DriveFile: Send {
    /// Fills `buf` from `offset`; fewer bytes only where the file ends.
    fn read_at(&mut self, offset: u64, buf: &mut [u8]) -> Result<usize, DriveError>;
    /// The same for a place that could not be read, or not as it should be: past all caches, some of
    /// which fail as a whole where one sector of them is bad.
    fn read_again(&mut self, offset: u64, buf: &mut [u8]) -> Result<usize, DriveError> {
        self.read_at(offset, buf)
    }
    /// The file's length in bytes.
    fn len(&self) -> u64;
}

/// Gives the next bytes of a file, none behind the last.
pub type NextPart<'a> = &'a mut dyn FnMut() -> io::Result<Option<Vec<u8>>>;

/// One mounted file system, or a directory, or memory.
pub trait Drive: Send + Sync {
    /// The drive's name for people: its path as it was given.
    fn name(&self) -> &str;
    /// What it can hold now.
    fn room(&self) -> Result<Room, DriveError>;
    /// Makes a folder and those above it; one that is there is fine.
    fn make_folder(&self, path: &str) -> Result<(), DriveError>;
    /// The names in a folder, sorted; empty if there is no such folder.
    fn list(&self, path: &str) -> Result<Vec<String>, DriveError>;
    /// Writes a new file whole; fails if it exists. Not yet durable: see [`Drive::sync`].
    fn write(&self, path: &str, bytes: &[u8]) -> Result<(), DriveError>;
    /// Makes all that was written durable.
    fn sync(&self) -> Result<(), DriveError>;
    /// Writes a file under a temporary name, syncs it, renames it and syncs its folder: after a
    /// crash it is there whole or not at all.
    fn commit(&self, path: &str, bytes: &[u8]) -> Result<(), DriveError>;
    /// As [`Drive::commit`], but takes the place of a file of that name, or of an empty folder:
    /// after a crash the old file is there or the new one whole.
    fn replace(&self, path: &str, bytes: &[u8]) -> Result<(), DriveError>;
    /// As [`Drive::replace`], with bytes that come part by part, `len` in all; where `next` fails, all is
    /// as it was.
    fn replace_parts(&self, path: &str, len: u64, next: NextPart) -> Result<(), DriveError> {
        let mut bytes = Vec::with_capacity(len.min(PART_BYTES) as usize);
        let failed = |source: io::Error| DriveError::new(self.name(), "replace", path, source);
        while let Some(part) = next().map_err(failed)? {
            bytes.extend(part);
        }
        self.replace(path, &bytes)
    }
    /// Writes pieces of an existing file over what is there, each at its offset and inside the
    /// file, and makes them durable.
    fn rewrite(&self, path: &str, pieces: &[(u64, &[u8])]) -> Result<(), DriveError>;
    /// Removes an empty folder; one that is not there is fine.
    fn remove_folder(&self, path: &str) -> Result<(), DriveError>;
    /// Removes a file; one that is not there is fine.
    fn remove(&self, path: &str) -> Result<(), DriveError>;
    /// Opens a file for reading.
    fn open(&self, path: &str, mode: ReadMode) -> Result<Box<dyn DriveFile>, DriveError>;
    /// Locks a folder against other programs, if the drive knows locks; fails with
    /// [`io::ErrorKind::ResourceBusy`] if another has it.
    fn lock(&self, path: &str) -> Result<lock::FolderLock, DriveError> {
        let _ = path;
        Ok(lock::FolderLock::default())
    }
    /// The other program that has locked a folder, as far as that can be told without locking it.
    fn user_of(&self, path: &str) -> Option<String> {
        let _ = path;
        None
    }
    /// How far [`ReadMode::Medium`] can be trusted on this drive.
    fn level(&self) -> Level;
    /// What proves what lies on it.
    fn proof(&self) -> Proof {
        if self.level() == Level::Cached { Proof::Replug } else { Proof::Read }
    }
    /// Reads the beginning of a file from the medium, whatever was read before: does the drive still
    /// answer?
    fn probe(&self, path: &str) -> Result<(), DriveError> {
        let mut file = self.open(path, ReadMode::Medium)?;
        let mut first = vec![0; file.len().min(PROBE_BYTES) as usize];
        file.read_at(0, &mut first).map(drop)
    }
    /// Reads a file whole, any way; fails on one longer than `limit` bytes.
    fn read(&self, path: &str, limit: u64) -> Result<Vec<u8>, DriveError> {
        self.read_whole(path, limit, ReadMode::Cached)
    }
    /// As [`Drive::read`], in the mode that is asked for.
    fn read_whole(&self, path: &str, limit: u64, mode: ReadMode) -> Result<Vec<u8>, DriveError> {
        let mut file = self.open(path, mode)?;
        if file.len() > limit {
            return Err(not_its_length(self.name(), path, TOO_LONG));
        }
        let mut bytes = vec![0; file.len() as usize];
        if file.read_at(0, &mut bytes)? < bytes.len() {
            return Err(not_its_length(self.name(), path, "shorter than its length"));
        }
        Ok(bytes)
    }
    /// The same, part by part: the file is never held whole.
    fn read_parts(
        &self,
        path: &str,
        limit: u64,
        mode: ReadMode,
        each: &mut dyn FnMut(&[u8]),
    ) -> Result<(), DriveError> {
        let mut file = self.open(path, mode)?;
        let len = file.len();
        if len > limit {
            return Err(not_its_length(self.name(), path, TOO_LONG));
        }
        let mut buffer = vec![0; len.min(PART_BYTES) as usize];
        let mut at = 0;
        while at < len {
            let part = &mut buffer[..(len - at).min(PART_BYTES) as usize];
            if file.read_at(at, part)? < part.len() {
                return Err(not_its_length(self.name(), path, "shorter than its length"));
            }
            each(part);
            at += part.len() as u64;
        }
        Ok(())
    }
}

/// Bytes of a part of a file that is not held whole.
const PART_BYTES: u64 = 1 << 20;

/// Whatever it is, it is not the file that belongs there.
const TOO_LONG: &str = "longer than it can be, so it is not the file that was written (holdall repair makes that anew)";

fn not_its_length(drive: &str, path: &str, text: &str) -> DriveError {
    let source = io::Error::new(io::ErrorKind::InvalidData, text);
    DriveError { drive: drive.into(), action: "read", path: path.into(), source }
}

/// The names that a path is made of, none for the drive's own folder; fails on a path that is not
/// relative or could lead out of the drive.
fn parts(path: &str) -> io::Result<Vec<&str>> {
    let parts: Vec<_> = if path.is_empty() { Vec::new() } else { path.split('/').collect() };
    if parts.iter().any(|part| matches!(*part, "" | "." | "..")) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a path inside a drive"));
    }
    Ok(parts)
}

/// Fails on a path that cannot be a file's.
fn check_file(path: &str) -> io::Result<()> {
    if parts(path)?.is_empty() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    Ok(())
}

/// A file's folder, empty for the drive's own, and its name in there.
fn folder_and_name(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

/// Runs `job` for 0..count, each on a thread of its own, and gives back the results in order.
pub fn on_each<T: Send>(count: usize, job: impl Fn(usize) -> T + Sync) -> Vec<T> {
    if count == 1 {
        return vec![job(0)];
    }
    std::thread::scope(|scope| {
        let job = &job;
        let threads: Vec<_> = (0..count).map(|i| scope.spawn(move || job(i))).collect();
        let join = |t: std::thread::ScopedJoinHandle<T>| {
            t.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        threads.into_iter().map(join).collect()
    })
}
