//! The frozen list: the entries of a scan, in order, as a file on the host's disk.
//!
//! - Enters: scanned entries, in the order of the scan.
//! - Leaves: the same, in the same order, as often as they are asked for.
//! - Always holds: (1) under its final name a list is complete and synced; until then it lies
//!   beside, with `.part` added; (2) memory is one buffer and one record; (3) a list that was cut
//!   short or damaged in its framing is an error, at the latest at its end.
//!
//! The file, all integers little-endian:
//!
//! ```text
//! 16  "holdall frozen 1"
//!     the records, each:
//!  4    n, the bytes that follow
//!  8    device      8  inode      8  change time, seconds      4  nanoseconds
//!  1    1 if sparse, else 0
//!  …    the entry, as in a list (crate::format::list)
//!  4  2^32 − 1
//!  8  how many records
//! ```

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::HostError;
use crate::dataset::{Identity, ScannedEntry};
use crate::format::FormatError;
use crate::format::list::{self, Item};

const MAGIC: [u8; 16] = *b"holdall frozen 1";
/// Stands where the length of a record would.
const END: u32 = u32::MAX;
/// Bytes of a record's length.
const LEN_BYTES: usize = 4;
/// Bytes of the end mark and the count after it.
const END_BYTES: u64 = LEN_BYTES as u64 + 8;
/// Bytes of a record before the entry.
const HEAD_BYTES: usize = 29;
/// The largest record, so that a damaged length cannot claim any memory.
const MAX_RECORD_BYTES: usize = 64 << 20;
/// Bytes of the buffers for writing and reading.
const BUFFER_BYTES: usize = 256 << 10;

/// Writes a list.
#[derive(Debug)]
pub struct FrozenWriter {
    /// the list's final name
    path: PathBuf,
    part: PartFile,
    /// what has not been written
    buffer: Vec<u8>,
    count: u64,
}

/// A file that is removed unless it got its final name.
#[derive(Debug)]
struct PartFile {
    file: File,
    path: PathBuf,
    kept: bool,
}

impl Drop for PartFile {
    fn drop(&mut self) {
        if !self.kept {
            // What stays is litter that the next list of this name replaces.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

impl FrozenWriter {
    /// Begins a list that will be at `path`. A list that is there stays until
    /// [`FrozenWriter::finish`].
    pub fn create(path: &Path) -> Result<Self, HostError> {
        let mut part = path.as_os_str().to_owned();
        part.push(".part");
        let part = PathBuf::from(part);
        let error = |source| HostError::io("create", &part, source);
        match std::fs::remove_file(&part) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => return Err(error(source)),
            _ => {}
        }
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&part)
            .map_err(error)?;
        let mut buffer = Vec::with_capacity(BUFFER_BYTES);
        buffer.extend_from_slice(&MAGIC);
        let part = PartFile { file, path: part, kept: false };
        Ok(Self { path: path.to_path_buf(), part, buffer, count: 0 })
    }

    /// Adds an entry.
    pub fn push(&mut self, scanned: &ScannedEntry) -> Result<(), HostError> {
        let bytes = HEAD_BYTES + list::entry_len(&scanned.entry);
        if bytes > MAX_RECORD_BYTES {
            return Err(HostError::TooLarge { path: self.path.clone(), bytes });
        }
        encode(scanned, bytes as u32, &mut self.buffer);
        self.count += 1;
        if self.buffer.len() >= BUFFER_BYTES {
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), HostError> {
        self.part.file.write_all(&self.buffer).map_err(|source| self.error("write", source))?;
        self.buffer.clear();
        Ok(())
    }

    fn error(&self, action: &'static str, source: io::Error) -> HostError {
        HostError::io(action, &self.path, source)
    }

    /// Ends the list, syncs it and gives it its name.
    pub fn finish(mut self) -> Result<FrozenList, HostError> {
        self.buffer.extend_from_slice(&END.to_le_bytes());
        self.buffer.extend_from_slice(&self.count.to_le_bytes());
        self.flush()?;
        self.part.file.sync_all().map_err(|source| self.error("sync", source))?;
        std::fs::rename(&self.part.path, &self.path)
            .map_err(|source| self.error("rename", source))?;
        self.part.kept = true;
        sync_folder_of(&self.path)?;
        FrozenList::open(&self.path)
    }
}

pub(super) fn sync_folder_of(path: &Path) -> Result<(), HostError> {
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    File::open(folder)
        .and_then(|handle| handle.sync_all())
        .map_err(|source| HostError::io("sync", folder, source))
}

/// A list that is complete.
#[derive(Debug)]
pub struct FrozenList {
    file: File,
    path: PathBuf,
    file_bytes: u64,
    count: u64,
}

impl FrozenList {
    /// Opens a list and checks that it begins and ends as it should.
    pub fn open(path: &Path) -> Result<Self, HostError> {
        let error = |action, source| HostError::io(action, path, source);
        let file = File::open(path).map_err(|source| error("open", source))?;
        let file_bytes = file.metadata().map_err(|source| error("open", source))?.len();
        let damaged = |at, what| HostError::Damaged { path: path.to_path_buf(), at, what };
        let shortest = MAGIC.len() as u64 + END_BYTES;
        if file_bytes < shortest {
            return Err(damaged(file_bytes, "it is cut short"));
        }
        let mut magic = [0; MAGIC.len()];
        let mut end = [0; END_BYTES as usize];
        let end_at = file_bytes - END_BYTES;
        file.read_exact_at(&mut magic, 0).map_err(|source| error("read", source))?;
        file.read_exact_at(&mut end, end_at).map_err(|source| error("read", source))?;
        if magic != MAGIC {
            return Err(damaged(0, "it is not a frozen list of this version"));
        }
        let (mark, count) = end.split_at(LEN_BYTES);
        if number(mark) != u64::from(END) {
            return Err(damaged(end_at, "it is cut short"));
        }
        let count = number(count);
        Ok(Self { file, path: path.to_path_buf(), file_bytes, count })
    }

    /// How many entries it has.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The entries, from the first on. After an error there are no more.
    pub fn iter(&self) -> Entries<'_> {
        Entries {
            list: self,
            buffer: Vec::new(),
            used: 0,
            at: MAGIC.len() as u64,
            seen: 0,
            ended: false,
        }
    }

    /// The entries after the first `count`.
    pub fn iter_from(&self, count: u64) -> Result<Entries<'_>, HostError> {
        let mut entries = self.iter();
        while entries.seen < count {
            entries.skip_next()?;
        }
        Ok(entries)
    }

    /// Removes the file.
    pub fn remove(self) -> Result<(), HostError> {
        std::fs::remove_file(&self.path)
            .map_err(|source| HostError::io("remove", &self.path, source))
    }
}

impl<'a> IntoIterator for &'a FrozenList {
    type Item = Result<ScannedEntry, HostError>;
    type IntoIter = Entries<'a>;

    fn into_iter(self) -> Entries<'a> {
        self.iter()
    }
}

/// The entries of a [`FrozenList`], in order.
#[derive(Debug)]
pub struct Entries<'a> {
    list: &'a FrozenList,
    /// read ahead; what lies before `used` has been given out
    buffer: Vec<u8>,
    used: usize,
    /// offset in the file of `buffer[used]`
    at: u64,
    seen: u64,
    ended: bool,
}

impl Entries<'_> {
    /// Makes the next `wanted` bytes lie at `used`.
    fn fill(&mut self, wanted: usize) -> Result<(), HostError> {
        let have = self.buffer.len() - self.used;
        if have >= wanted {
            return Ok(());
        }
        let left = self.list.file_bytes - self.at;
        if wanted as u64 > left {
            return Err(self.damaged("it is cut short"));
        }
        self.buffer.drain(..self.used);
        self.used = 0;
        let target = left.min(wanted.max(BUFFER_BYTES) as u64) as usize;
        self.buffer.resize(target, 0);
        self.list
            .file
            .read_exact_at(&mut self.buffer[have..], self.at + have as u64)
            .map_err(|source| HostError::io("read", &self.list.path, source))
    }

    fn skip(&mut self, bytes: usize) {
        self.used += bytes;
        self.at += bytes as u64;
    }

    fn damaged(&self, what: &'static str) -> HostError {
        HostError::Damaged { path: self.list.path.clone(), at: self.at, what }
    }

    /// Makes the next record lie at `used`; its bytes, none at the end.
    fn begin_record(&mut self) -> Result<Option<usize>, HostError> {
        let begin = self.at;
        self.fill(LEN_BYTES)?;
        let len = number(&self.buffer[self.used..self.used + LEN_BYTES]);
        self.skip(LEN_BYTES);
        if len == u64::from(END) {
            let is_last = begin + END_BYTES == self.list.file_bytes;
            if is_last && self.seen == self.list.count {
                return Ok(None);
            }
            return Err(self.damaged("its end does not match its records"));
        }
        let len = len as usize;
        if !(HEAD_BYTES..=MAX_RECORD_BYTES).contains(&len) {
            return Err(self.damaged("a record has an impossible length"));
        }
        self.fill(len)?;
        Ok(Some(len))
    }

    fn skip_next(&mut self) -> Result<(), HostError> {
        match self.begin_record()? {
            Some(len) => {
                self.skip(len);
                self.seen += 1;
                Ok(())
            }
            None => Err(self.damaged("it has fewer records than were packed")),
        }
    }

    fn read_next(&mut self) -> Result<Option<ScannedEntry>, HostError> {
        let begin = self.at;
        let Some(len) = self.begin_record()? else { return Ok(None) };
        let scanned = decode(&self.buffer[self.used..self.used + len]).map_err(|source| {
            HostError::Record { path: self.list.path.clone(), at: begin, source }
        })?;
        self.skip(len);
        self.seen += 1;
        Ok(Some(scanned))
    }
}

impl Iterator for Entries<'_> {
    type Item = Result<ScannedEntry, HostError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let next = self.read_next().transpose();
        self.ended = !matches!(next, Some(Ok(_)));
        next
    }
}

fn encode(scanned: &ScannedEntry, bytes: u32, out: &mut Vec<u8>) {
    let Identity { device, inode, ctime, ctime_nanos } = scanned.identity;
    out.extend_from_slice(&bytes.to_le_bytes());
    out.extend_from_slice(&device.to_le_bytes());
    out.extend_from_slice(&inode.to_le_bytes());
    out.extend_from_slice(&ctime.to_le_bytes());
    out.extend_from_slice(&ctime_nanos.to_le_bytes());
    out.push(scanned.sparse.into());
    let item = Item::Entry { entry: scanned.entry.clone(), continued: false };
    item.encode(out);
}

fn decode(record: &[u8]) -> Result<ScannedEntry, FormatError> {
    let (head, coded) = record.split_at(HEAD_BYTES);
    let identity = Identity {
        device: number(&head[..8]),
        inode: number(&head[8..16]),
        ctime: number(&head[16..24]).cast_signed(),
        ctime_nanos: number(&head[24..28]) as u32,
    };
    let sparse = match head[28] {
        0 => false,
        1 => true,
        other => return Err(FormatError::invalid("frozen record", "sparse", other)),
    };
    let mut items = list::decode(coded)?;
    match (items.pop(), items.pop()) {
        (Some(Item::Entry { entry, continued: false }), None) => {
            Ok(ScannedEntry { entry, identity, sparse })
        }
        _ => Err(FormatError::invalid("frozen record", "entry", "not one entry")),
    }
}

/// The number that up to eight little-endian bytes stand for.
fn number(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests;
