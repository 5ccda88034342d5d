//! The scan snapshot: the entries of a scan, in order, as a file on the host's disk.
//!
//! - Enters: scanned entries, in the order of the scan.
//! - Leaves: the same, in the same order, as often as they are asked for.
//! - Always holds: (1) under its final name a list is complete and synced; until then it lies
//!   beside, with `.part` added; (2) memory is one page and one record; (3) a page that is not what
//!   was written is an error before any record of it is given, a list that was cut short at the
//!   latest at its end.
//!
//! The file, all integers little-endian:
//!
//! ```text
//! 16  "holdall frozen 4"
//!     the pages, each:
//!  4    n, the bytes of its records
//!       the records, each:
//!  4      bytes that follow
//!  8      device      8  inode      8  change time, seconds      4  nanoseconds
//!  1      1 if sparse, else 0
//!  …      the entry, as in a list (crate::format::list)
//!  8    the first of the BLAKE3 of: where the page begins in the file (8), and the page up to here
//!  4  2^32 − 1
//!  8  how many records
//! ```
//!
//! A checksum for each record cost more than all else that is done for it here.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::error::LocalStateError;
use crate::dataset::{Identity, ScannedEntry};
use crate::format::FormatError;
use crate::format::entry_coding::entry_len;
use crate::format::list::Item;
use crate::format::{list_reader, list_writer};

const MAGIC: [u8; 16] = *b"holdall frozen 4";
/// Stands where the length of a page would.
const END: u32 = u32::MAX;
/// Bytes of a page's or a record's length.
const LEN_BYTES: usize = 4;
/// Bytes of the end mark and the count after it.
const END_BYTES: u64 = LEN_BYTES as u64 + 8;
/// Bytes of a record before the entry.
const HEAD_BYTES: usize = 29;
/// Bytes of a page's checksum, after its records.
const CHECK_BYTES: usize = 8;
/// The largest record, so that a damaged length cannot claim any memory.
const MAX_RECORD_BYTES: usize = 64 << 20;
/// A page is closed with the record that brings it to this.
const PAGE_BYTES: usize = 128 << 10;

/// Writes a list.
#[derive(Debug)]
pub struct SnapshotWriter {
    /// the list's final name
    path: PathBuf,
    part: SnapshotPart,
    /// the page that is being filled, from its length on
    page: Vec<u8>,
    /// bytes that were written
    written: u64,
    count: u64,
}

/// A file that is removed unless it got its final name.
#[derive(Debug)]
struct SnapshotPart {
    file: File,
    path: PathBuf,
    kept: bool,
}

impl Drop for SnapshotPart {
    fn drop(&mut self) {
        if !self.kept {
            // What stays is litter that the next list of this name replaces.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

impl SnapshotWriter {
    /// Begins a list that will be at `path`. A list that is there stays until
    /// [`SnapshotWriter::finish`].
    pub fn create(path: &Path) -> Result<Self, LocalStateError> {
        let mut part = path.as_os_str().to_owned();
        part.push(".part");
        let part = PathBuf::from(part);
        let error = |source| LocalStateError::io("create", &part, source);
        match std::fs::remove_file(&part) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => return Err(error(source)),
            _ => {}
        }
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&part)
            .map_err(error)?;
        file.write_all(&MAGIC).map_err(error)?;
        let part = SnapshotPart { file, path: part, kept: false };
        let (page, written) = (vec![0; LEN_BYTES], MAGIC.len() as u64);
        Ok(Self { path: path.to_path_buf(), part, page, written, count: 0 })
    }

    pub fn push(&mut self, scanned: &ScannedEntry) -> Result<(), LocalStateError> {
        let bytes = HEAD_BYTES + 1 + entry_len(&scanned.entry);
        if bytes > MAX_RECORD_BYTES {
            return Err(LocalStateError::TooLarge { path: self.path.clone(), bytes });
        }
        encode(scanned, &mut self.page);
        self.count += 1;
        if self.page.len() >= PAGE_BYTES { self.end_page() } else { Ok(()) }
    }

    fn end_page(&mut self) -> Result<(), LocalStateError> {
        let len = self.page.len() - LEN_BYTES;
        if len > 0 {
            self.page[..LEN_BYTES].copy_from_slice(&(len as u32).to_le_bytes());
            let check = check_of(self.written, &self.page);
            self.page.extend_from_slice(&check);
            self.flush()?;
            self.page.resize(LEN_BYTES, 0);
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), LocalStateError> {
        self.part.file.write_all(&self.page).map_err(|source| self.error("write", source))?;
        self.written += self.page.len() as u64;
        self.page.clear();
        Ok(())
    }

    fn error(&self, action: &'static str, source: io::Error) -> LocalStateError {
        LocalStateError::io(action, &self.path, source)
    }

    /// Ends the list, syncs it and gives it its name.
    pub fn finish(mut self) -> Result<ScanSnapshot, LocalStateError> {
        self.end_page()?;
        self.page.clear();
        self.page.extend_from_slice(&END.to_le_bytes());
        self.page.extend_from_slice(&self.count.to_le_bytes());
        self.flush()?;
        self.part.file.sync_all().map_err(|source| self.error("sync", source))?;
        std::fs::rename(&self.part.path, &self.path)
            .map_err(|source| self.error("rename", source))?;
        self.part.kept = true;
        sync_folder_of(&self.path)?;
        ScanSnapshot::open(&self.path)
    }
}

pub(super) fn sync_folder_of(path: &Path) -> Result<(), LocalStateError> {
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    File::open(folder)
        .and_then(|handle| handle.sync_all())
        .map_err(|source| LocalStateError::io("sync", folder, source))
}

/// A list that is complete.
#[derive(Debug)]
pub struct ScanSnapshot {
    file: File,
    path: PathBuf,
    file_bytes: u64,
    count: u64,
}

impl ScanSnapshot {
    /// Opens a list and checks that it begins and ends as it should.
    pub fn open(path: &Path) -> Result<Self, LocalStateError> {
        let error = |action, source| LocalStateError::io(action, path, source);
        let file = File::open(path).map_err(|source| error("open", source))?;
        let file_bytes = file.metadata().map_err(|source| error("open", source))?.len();
        let damaged = |at, what| LocalStateError::Damaged { path: path.to_path_buf(), at, what };
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
            return Err(damaged(0, "it is not a scan snapshot of this version"));
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

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Fails unless every page is what was written.
    pub fn check(&self) -> Result<(), LocalStateError> {
        let mut entries = self.iter();
        while let Some(len) = entries.begin_record()? {
            entries.pass(len);
        }
        Ok(())
    }

    /// The entries, from the first on. After an error there are no more.
    pub fn iter(&self) -> Entries<'_> {
        let (begin, next) = (0, MAGIC.len() as u64);
        Entries { list: self, page: Vec::new(), used: 0, begin, next, seen: 0, ended: false }
    }

    /// The entries after the first `count`.
    pub fn iter_from(&self, count: u64) -> Result<Entries<'_>, LocalStateError> {
        let mut entries = self.iter();
        while entries.seen < count {
            entries.skip_next()?;
        }
        Ok(entries)
    }

    pub fn remove(self) -> Result<(), LocalStateError> {
        std::fs::remove_file(&self.path)
            .map_err(|source| LocalStateError::io("remove", &self.path, source))
    }
}

impl<'a> IntoIterator for &'a ScanSnapshot {
    type Item = Result<ScannedEntry, LocalStateError>;
    type IntoIter = Entries<'a>;

    fn into_iter(self) -> Entries<'a> {
        self.iter()
    }
}

/// The entries of a [`ScanSnapshot`], in order.
#[derive(Debug)]
pub struct Entries<'a> {
    list: &'a ScanSnapshot,
    /// a page without its checksum; what lies before `used` has been passed
    page: Vec<u8>,
    used: usize,
    /// where the page begins in the file, and the next
    begin: u64,
    next: u64,
    seen: u64,
    ended: bool,
}

impl Entries<'_> {
    /// Reads the next page; false at the end.
    fn next_page(&mut self) -> Result<bool, LocalStateError> {
        let at = self.next;
        (self.begin, self.used) = (at, 0);
        self.page.clear();
        self.read_to(LEN_BYTES)?;
        let len = number(&self.page);
        if len == u64::from(END) {
            let is_last = at + END_BYTES == self.list.file_bytes;
            if is_last && self.seen == self.list.count {
                return Ok(false);
            }
            return Err(self.damaged("its end does not match its records"));
        }
        if len as usize > PAGE_BYTES + MAX_RECORD_BYTES {
            return Err(self.damaged("a page has an impossible length"));
        }
        self.read_to(LEN_BYTES + len as usize + CHECK_BYTES)?;
        let (content, check) = self.page.split_at(self.page.len() - CHECK_BYTES);
        if check_of(at, content) != check {
            return Err(self.damaged("a page is not what was written"));
        }
        self.next = at + self.page.len() as u64;
        self.page.truncate(self.page.len() - CHECK_BYTES);
        self.used = LEN_BYTES;
        Ok(true)
    }

    /// Reads the page that begins at `begin` up to so many bytes of it.
    fn read_to(&mut self, bytes: usize) -> Result<(), LocalStateError> {
        if self.begin + bytes as u64 > self.list.file_bytes {
            return Err(self.damaged("it is cut short"));
        }
        let have = self.page.len();
        self.page.resize(bytes, 0);
        let at = self.begin + have as u64;
        let read = self.list.file.read_exact_at(&mut self.page[have..], at);
        read.map_err(|source| LocalStateError::io("read", &self.list.path, source))
    }

    /// Passes a record that lies at `used`.
    fn pass(&mut self, len: usize) {
        self.used += LEN_BYTES + len;
        self.seen += 1;
    }

    fn damaged(&self, what: &'static str) -> LocalStateError {
        let at = self.begin + self.used as u64;
        LocalStateError::Damaged { path: self.list.path.clone(), at, what }
    }

    /// Makes the next record lie at `used`, from its length on; the bytes that follow that, none at
    /// the end.
    fn begin_record(&mut self) -> Result<Option<usize>, LocalStateError> {
        while self.used == self.page.len() {
            if !self.next_page()? {
                return Ok(None);
            }
        }
        let rest = &self.page[self.used..];
        let len = number(&rest[..LEN_BYTES.min(rest.len())]) as usize;
        if !(HEAD_BYTES..=rest.len().saturating_sub(LEN_BYTES)).contains(&len) {
            return Err(self.damaged("a record has an impossible length"));
        }
        Ok(Some(len))
    }

    fn skip_next(&mut self) -> Result<(), LocalStateError> {
        match self.begin_record()? {
            Some(len) => {
                self.pass(len);
                Ok(())
            }
            None => Err(self.damaged("it has fewer records than were packed")),
        }
    }

    fn read_next(&mut self) -> Result<Option<ScannedEntry>, LocalStateError> {
        let Some(len) = self.begin_record()? else { return Ok(None) };
        let record = &self.page[self.used + LEN_BYTES..][..len];
        let scanned = decode(record).map_err(|source| LocalStateError::Record {
            path: self.list.path.clone(),
            at: self.begin + self.used as u64,
            source,
        })?;
        self.pass(len);
        Ok(Some(scanned))
    }
}

impl Iterator for Entries<'_> {
    type Item = Result<ScannedEntry, LocalStateError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let next = self.read_next().transpose();
        self.ended = !matches!(next, Some(Ok(_)));
        next
    }
}

fn encode(scanned: &ScannedEntry, out: &mut Vec<u8>) {
    let Identity { device, inode, ctime, ctime_nanos } = scanned.identity;
    let begin = out.len();
    out.extend_from_slice(&[0; LEN_BYTES]);
    out.extend_from_slice(&device.to_le_bytes());
    out.extend_from_slice(&inode.to_le_bytes());
    out.extend_from_slice(&ctime.to_le_bytes());
    out.extend_from_slice(&ctime_nanos.to_le_bytes());
    out.push(scanned.sparse.into());
    list_writer::encode_alone(&scanned.entry, out);
    let bytes = (out.len() - begin - LEN_BYTES) as u32;
    out[begin..begin + LEN_BYTES].copy_from_slice(&bytes.to_le_bytes());
}

/// The checksum of a page that begins at this offset.
fn check_of(at: u64, page: &[u8]) -> [u8; CHECK_BYTES] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&at.to_le_bytes()).update(page);
    let mut check = [0; CHECK_BYTES];
    hasher.finalize_xof().fill(&mut check);
    check
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
        other => return Err(FormatError::invalid("snapshot record", "sparse", other)),
    };
    let mut items = list_reader::decode(coded)?;
    match (items.pop(), items.pop()) {
        (Some(Item::Entry { entry, continued: false }), None) => {
            Ok(ScannedEntry { entry, identity, sparse })
        }
        _ => Err(FormatError::invalid("snapshot record", "entry", "not one entry")),
    }
}

/// The number that up to eight little-endian bytes stand for.
fn number(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests;
