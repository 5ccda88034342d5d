//! What holdall asks of a drive, and of a file that is open on it.

use super::error::DriveError;
use super::lock::FolderLock;
use super::proof::{Level, Proof};
use std::io;

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

/// How a file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteMode {
    /// a new file, which must not exist; durable after [`Drive::sync`]
    New,
    /// a new file, written under a temporary name, synced, renamed, and its folder synced: after a
    /// crash it is there whole or not at all
    Commit,
    /// as `Commit`, in the place of a file of that name or of an empty folder: after a crash the old
    /// file is there or the new one whole
    Replace,
}

impl WriteMode {
    /// The action that a [`DriveError`] names.
    pub fn action(self) -> &'static str {
        match self {
            Self::New => "write",
            Self::Commit => "commit",
            Self::Replace => "replace",
        }
    }
}

/// What [`Drive::probe`] reads.
pub(super) const PROBE_BYTES: u64 = 4096;

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
    /// Writes a file whole.
    fn write(&self, path: &str, bytes: &[u8], mode: WriteMode) -> Result<(), DriveError>;
    /// Makes all that was written durable.
    fn sync(&self) -> Result<(), DriveError>;
    /// Writes a file as [`WriteMode::Replace`] does, with bytes that come part by part, `len` in all;
    /// where `next` fails, all is as it was.
    fn replace_parts(&self, path: &str, len: u64, next: NextPart) -> Result<(), DriveError> {
        let mut bytes = Vec::with_capacity(len.min(PART_BYTES) as usize);
        let failed = |source: io::Error| DriveError::new(self.name(), "replace", path, source);
        while let Some(part) = next().map_err(failed)? {
            bytes.extend(part);
        }
        self.write(path, &bytes, WriteMode::Replace)
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
    fn lock(&self, path: &str) -> Result<FolderLock, DriveError> {
        let _ = path;
        Ok(FolderLock::default())
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
const TOO_LONG: &str =
    "longer than it can be, so it is not the file that was written (holdall repair replaces it)";

fn not_its_length(drive: &str, path: &str, text: &str) -> DriveError {
    let source = io::Error::new(io::ErrorKind::InvalidData, text);
    DriveError { drive: drive.into(), action: "read", path: path.into(), source }
}
