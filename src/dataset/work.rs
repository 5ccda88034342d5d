//! The one hot task done on each piece of work: read, hash, compress.
//!
//! - Enters: pieces of work ([`super::cut`]); their bytes.
//! - Leaves: for each piece of work its chunk, ready to be stored, and the ids of what is in it.
//! - Always holds: (1) every byte is read once and hashed and compressed while it is hot; (2) a file
//!   whose content changes while it is read is noticed, and is to be packed again, looked at anew;
//!   if it never holds still it is taken as it is; (3) a file of which the system knows no size is
//!   read to its end; (4) a hard link whose file is no longer where it came first is to be packed
//!   as a file.

use super::cut::{LargeFile, Work};
use super::inode::ScannedEntry;
use super::source::{Source, SourceError, SourceFile};
use crate::drives::buffer::{Pool, Pooled};
use crate::format::list::{Entry, Hash, Kind, Method};
use crate::stages::compress::Compressor;
use crate::stages::fill::{ChunkBytes, NewChunk};
use crate::stages::hash::{Piece, piece};
use crate::stages::listing::{Listing, voided};
use parking_lot::Mutex;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Bytes of a large file that are read at once, and hashed while they are in the cache.
const HOT_BYTES: usize = 1 << 20;

/// Files that do not compress share a chunk until it has so many bytes.
const PLAIN_BYTES: usize = 1 << 20;

/// What became of one entry of a group.
pub enum EntryOutcome {
    /// it has no bytes: a folder, a link, an empty file
    NoBytes,
    /// its bytes lie in the group's chunk
    Bytes {
        /// offset in the chunk
        chunk_offset: u32,
        /// bytes
        len: u32,
        /// BLAKE3 root of the file
        id: Hash,
    },
    /// it could not be read
    Unreadable(SourceError),
}

/// What became of one piece of a large file.
pub enum PieceOutcome {
    /// all zeros by its holes: nothing to store
    Hole {
        /// its value, unless holes are not hashed
        id: Option<Hash>,
    },
    Bytes {
        /// bytes
        len: u32,
        /// its value
        id: Hash,
        /// to be stored if it is new
        chunk: NewChunk,
    },
    /// it could not be read
    Unreadable(SourceError),
}

/// What became of a small entry.
enum Small {
    Kept(Entry, EntryOutcome),
    Changed(Entry),
}

/// A piece of work, done.
pub enum Done {
    Group {
        /// each entry and what became of it
        entries: Vec<(Arc<Entry>, EntryOutcome)>,
        /// what the lists say of them
        listing: Listing,
        /// the bytes of its files, if there are any
        chunk: Option<NewChunk>,
    },
    /// a piece of a large file
    Piece {
        /// the file
        entry: Arc<Entry>,
        /// the piece's number
        number: u64,
        /// is it the last
        last: bool,
        /// what became of it
        outcome: PieceOutcome,
        /// the file is not as it was when it was begun; looked at with the last piece
        changed: bool,
    },
    /// a file that cannot be opened
    Unreadable(Arc<Entry>, SourceError),
    /// a file that changed while it was read: nothing of it is kept, it is to be packed again
    Again(Arc<Entry>),
}

/// Does the hot task; shared by all threads.
pub struct Worker<'a> {
    source: &'a Source,
    chunk_bytes: u64,
    /// of the next chunk
    level: AtomicI32,
    pool: Pool,
    compressors: Mutex<Vec<Compressor>>,
    zeros: Vec<u8>,
    /// nanoseconds that threads were at work, since they were last asked for
    worked: AtomicU64,
    /// of these, reading
    read: AtomicU64,
}

/// A chunk's plain bytes, where they were read.
struct PlainChunk {
    buffer: Arc<dyn AsRef<[u8]> + Send + Sync>,
    range: Range<usize>,
}

impl AsRef<[u8]> for PlainChunk {
    fn as_ref(&self) -> &[u8] {
        &(*self.buffer).as_ref()[self.range.clone()]
    }
}

/// The first `len` bytes of a buffer, which a short chunk does not keep from the pool.
fn kept(buffer: Pooled, len: usize) -> Arc<dyn AsRef<[u8]> + Send + Sync> {
    if len < buffer.len() / 2 { Arc::new(buffer[..len].to_vec()) } else { Arc::new(buffer) }
}

impl<'a> Worker<'a> {
    /// For `source`, chunks of `chunk_bytes` (C) and zstd at `level`; `free_buffers` buffers of C
    /// bytes are kept for reuse.
    pub fn new(source: &'a Source, chunk_bytes: u32, level: i32, free_buffers: usize) -> Self {
        Self {
            source,
            chunk_bytes: chunk_bytes.into(),
            level: AtomicI32::new(level),
            pool: Pool::keeping(free_buffers),
            compressors: Mutex::new(Vec::new()),
            zeros: vec![0; chunk_bytes as usize],
            worked: AtomicU64::new(0),
            read: AtomicU64::new(0),
        }
    }

    /// How long threads have read and how long they have computed since this was last asked.
    pub fn times(&self) -> (Duration, Duration) {
        let read = Duration::from_nanos(self.read.swap(0, Ordering::Relaxed));
        let worked = Duration::from_nanos(self.worked.swap(0, Ordering::Relaxed));
        (read, worked.saturating_sub(read))
    }

    /// Reads, and notes how long it took.
    fn reading<T>(&self, read: impl FnOnce() -> T) -> T {
        timed(&self.read, read)
    }

    /// The level at which the next chunks are compressed.
    pub fn level(&self) -> i32 {
        self.level.load(Ordering::Relaxed)
    }

    /// Compresses the next chunks at this level.
    pub fn set_level(&self, level: i32) {
        self.level.store(level, Ordering::Relaxed);
    }

    /// Reads, hashes and compresses one piece of work. `as_it_is` takes files that change
    /// meanwhile, too.
    pub fn work(&self, work: Work, as_it_is: bool) -> Vec<Done> {
        timed(&self.worked, || match work {
            Work::Group(entries) => self.group(entries, as_it_is),
            Work::Piece { file, number } => vec![self.piece(&file, number)],
            Work::Unreadable(scanned, e) => vec![Done::Unreadable(Arc::new(scanned.entry), e)],
        })
    }

    /// One group; or several, between which files are to be packed again.
    fn group(&self, entries: Vec<ScannedEntry>, as_it_is: bool) -> Vec<Done> {
        let mut done = Vec::with_capacity(1);
        let mut rest = entries.into_iter();
        while rest.len() > 0 {
            let (groups, again) = self.group_until_change(&mut rest, as_it_is);
            done.extend(groups);
            done.extend(again.map(Done::Again));
        }
        done
    }

    fn group_until_change(
        &self,
        rest: &mut std::vec::IntoIter<ScannedEntry>,
        as_it_is: bool,
    ) -> (Vec<Done>, Option<Arc<Entry>>) {
        let is_file = |e: &ScannedEntry| e.entry.kind == Kind::File && !self.is_empty(e);
        // A file that grew may take only room that no file after it was promised.
        let mut promised: usize = rest.as_slice().iter().map(|e| e.entry.size as usize).sum();
        let chunk_bytes = self.chunk_bytes as usize;
        let mut buffer = if rest.as_slice().iter().any(is_file) {
            // Of two lengths, so that free buffers fit.
            self.pool.take(if promised > chunk_bytes { 2 * chunk_bytes } else { chunk_bytes })
        } else {
            Pool::keeping(0).take(0)
        };
        let mut used = 0;
        let mut entries = Vec::with_capacity(rest.len());
        let mut again = None;
        for scanned in rest {
            promised -= scanned.entry.size as usize;
            let end = buffer.len().saturating_sub(promised).clamp(used, used + chunk_bytes);
            match self.small(scanned, &mut buffer[used..end], used, as_it_is) {
                Small::Kept(entry, outcome) => {
                    if let EntryOutcome::Bytes { len, .. } = outcome {
                        used += len as usize;
                    }
                    entries.push((Arc::new(entry), outcome));
                }
                Small::Changed(entry) => {
                    again = Some(Arc::new(entry));
                    break;
                }
            }
        }
        (self.store_group(entries, buffer, used), again)
    }

    /// Compresses a group's bytes as one chunk; those that do not compress are cut into shorter ones, so
    /// that one file is read without many others.
    fn store_group(
        &self,
        entries: Vec<(Arc<Entry>, EntryOutcome)>,
        buffer: Pooled,
        used: usize,
    ) -> Vec<Done> {
        let group = |entries: Vec<_>, chunk| {
            let listing = self.with_compressor(|compressor| list_entries(&entries, compressor));
            Done::Group { entries, listing, chunk }
        };
        if entries.is_empty() {
            return Vec::new();
        }
        let mut stored = Vec::new();
        let method = match used {
            0 => return vec![group(entries, None)],
            _ => self.compress(&buffer[..used], &mut stored),
        };
        if method != Method::Plain {
            let id = piece(&buffer[..used], 0, true);
            let chunk = NewChunk { bytes: shrunk(stored), method, plain: used as u32, id };
            return vec![group(entries, Some(chunk))];
        }
        let buffer = kept(buffer, used);
        let chunk = |range: Range<usize>| {
            let bytes = PlainChunk { buffer: buffer.clone(), range };
            let (plain, id) = (bytes.range.len() as u32, piece(bytes.as_ref(), 0, true));
            (plain > 0).then_some(NewChunk { bytes: Box::new(bytes), method, plain, id })
        };
        let (mut done, mut part, mut range) = (Vec::new(), Vec::new(), 0..0);
        for (entry, mut outcome) in entries {
            if let EntryOutcome::Bytes { chunk_offset, len, .. } = &mut outcome {
                if range.len() >= PLAIN_BYTES {
                    done.push(group(std::mem::take(&mut part), chunk(range.clone())));
                    range.start = range.end;
                }
                *chunk_offset -= range.start as u32;
                range.end += *len as usize;
            }
            part.push((entry, outcome));
        }
        done.push(group(part, chunk(range)));
        done
    }

    /// Reads a small entry's bytes to the front of `room`, which lies at `chunk_offset`.
    fn small(
        &self,
        scanned: ScannedEntry,
        room: &mut [u8],
        chunk_offset: usize,
        as_it_is: bool,
    ) -> Small {
        let kind = scanned.entry.kind;
        if kind == Kind::HardLink && !self.source.is_linked(&scanned) {
            return self.astray(scanned.entry);
        }
        if kind != Kind::File || self.is_empty(&scanned) {
            let mut entry = scanned.entry;
            entry.whole = kind == Kind::File;
            return Small::Kept(entry, EntryOutcome::NoBytes);
        }
        match self.read_small(&scanned, room, as_it_is) {
            Ok(Some((entry, _))) if entry.size == 0 => Small::Kept(entry, EntryOutcome::NoBytes),
            Ok(Some((entry, id))) => {
                let (chunk_offset, len) = (chunk_offset as u32, entry.size as u32);
                Small::Kept(entry, EntryOutcome::Bytes { chunk_offset, len, id })
            }
            Ok(None) => Small::Changed(scanned.entry),
            Err(e) => Small::Kept(voided(scanned.entry), EntryOutcome::Unreadable(e)),
        }
    }

    /// A hard link whose file came first under a path that is gone or is another's: it is packed as
    /// what it is itself.
    fn astray(&self, entry: Entry) -> Small {
        match self.source.look_at(&entry.path) {
            Ok(None) | Err(_) => Small::Changed(entry),
            Ok(Some(entry)) => Small::Kept(entry, EntryOutcome::NoBytes),
        }
    }

    /// Is it known without reading that a file has no bytes?
    fn is_empty(&self, scanned: &ScannedEntry) -> bool {
        scanned.entry.size == 0 && self.source.knows_sizes(scanned)
    }

    /// The entry as it is now, and its file's root; none if the file changed meanwhile or no longer
    /// fits.
    fn read_small(
        &self,
        scanned: &ScannedEntry,
        room: &mut [u8],
        as_it_is: bool,
    ) -> Result<Option<(Entry, Hash)>, SourceError> {
        let bytes = room.get_mut(..scanned.entry.size as usize).filter(|bytes| !bytes.is_empty());
        if let Some(bytes) = bytes
            && self.reading(|| self.source.read_unchanged(scanned, bytes))
        {
            let entry = Entry { whole: true, changed: false, ..scanned.entry.clone() };
            return Ok(Some((entry, piece(bytes, 0, true))));
        }
        let file = self.source.open_file(&scanned.entry.path)?;
        let ScannedEntry { mut entry, sparse, .. } = file.now(scanned)?;
        entry.whole = true;
        if entry.size == 0 {
            return self.read_unsized(&file, entry, room);
        }
        if entry.size > room.len() as u64 && !as_it_is {
            return Ok(None);
        }
        let fits = entry.size.min(room.len() as u64) as usize;
        let bytes = &mut room[..fits];
        let read = self.reading(|| file.read_at(0, bytes))?;
        if sparse {
            entry.holes = file.holes(entry.size)?;
        }
        entry.changed = (fits as u64) < entry.size
            || !file.has_content_of(&entry)?
            || read < fits && !reads_again(&file, &bytes[..read])?;
        if entry.changed && !as_it_is {
            return Ok(None);
        }
        if (read as u64) < entry.size {
            entry.size = read as u64;
            entry.holes.clear();
        }
        Ok(Some((entry, piece(&bytes[..read], 0, true))))
    }

    /// A file of which the system knows no size: what can be read of it is what it has. None if that
    /// needs a chunk of its own, or if its size is known once it was read.
    fn read_unsized(
        &self,
        file: &SourceFile,
        mut entry: Entry,
        room: &mut [u8],
    ) -> Result<Option<(Entry, Hash)>, SourceError> {
        let mut first = [0];
        let is_empty = file.read_at(0, &mut first)? == 0;
        if !is_empty && ((room.len() as u64) < self.chunk_bytes || !file.has_content_of(&entry)?) {
            return Ok(None);
        }
        let read = if is_empty { 0 } else { file.read_at(0, room)? };
        if read as u64 == self.chunk_bytes {
            let text = format!("the system knows no size of it, and it has {read} bytes or more");
            return Err(file.refuse("read all of", text));
        }
        entry.size = read as u64;
        Ok(Some((entry, piece(&room[..read], 0, true))))
    }

    fn piece(&self, file: &LargeFile, number: u64) -> Done {
        let entry = &file.entry;
        let offset = number * self.chunk_bytes;
        let len = (entry.size - offset).min(self.chunk_bytes) as usize;
        let last = offset + len as u64 == entry.size;
        let mut outcome = self.piece_bytes(file, offset, len);
        let mut changed = file.changed;
        if last {
            match file.file.has_content_of(entry) {
                Ok(same) => changed |= !same,
                Err(e) => outcome = PieceOutcome::Unreadable(e),
            }
        }
        Done::Piece { entry: entry.clone(), number, last, outcome, changed }
    }

    fn piece_bytes(&self, file: &LargeFile, offset: u64, len: usize) -> PieceOutcome {
        if file.entry.hole_at(offset).is_some_and(|hole| hole.end >= offset + len as u64) {
            let id = file.hash_holes.then(|| piece(&self.zeros[..len], offset, false));
            return PieceOutcome::Hole { id };
        }
        let mut buffer = self.pool.take(self.chunk_bytes as usize);
        let mut value = Piece::new(offset);
        for from in (0..len).step_by(HOT_BYTES) {
            let bytes = &mut buffer[from..len.min(from + HOT_BYTES)];
            match self.reading(|| file.file.read_at(offset + from as u64, bytes)) {
                // What a file that shrank no longer has reads as zeros; the change is noticed.
                Ok(read) => bytes[read..].fill(0),
                Err(e) => return PieceOutcome::Unreadable(e),
            }
            value.update(bytes);
        }
        let id = value.value();
        let mut stored = Vec::new();
        let method = self.compress(&buffer[..len], &mut stored);
        let bytes: ChunkBytes = match method {
            Method::Plain => Box::new(PlainChunk { buffer: kept(buffer, len), range: 0..len }),
            Method::Zstd(_) => shrunk(stored),
        };
        let chunk = NewChunk { bytes, method, plain: len as u32, id };
        PieceOutcome::Bytes { len: len as u32, id, chunk }
    }

    /// Compresses a chunk into `stored`, or leaves it as it is.
    fn compress(&self, plain: &[u8], stored: &mut Vec<u8>) -> Method {
        self.with_compressor(|compressor| match compressor {
            Some(compressor) => compressor.compress(plain, stored),
            None => Method::Plain,
        })
    }

    /// Does something with a free compressor; with none if the system has no memory for one.
    fn with_compressor<T>(&self, work: impl FnOnce(Option<&mut Compressor>) -> T) -> T {
        let level = self.level.load(Ordering::Relaxed);
        let free = self.compressors.lock().pop();
        let free = free.and_then(|mut free| free.set_level(level).ok().map(|()| free));
        let mut compressor = free.or_else(|| Compressor::new(level).ok());
        let done = work(compressor.as_mut());
        self.compressors.lock().extend(compressor);
        done
    }
}

/// Does something, and adds the nanoseconds that it took.
fn timed<T>(spent: &AtomicU64, work: impl FnOnce() -> T) -> T {
    let began = Instant::now();
    let done = work();
    spent.fetch_add(began.elapsed().as_nanos() as u64, Ordering::Relaxed);
    done
}

/// Stored bytes that take no more memory than they need.
fn shrunk(mut stored: Vec<u8>) -> ChunkBytes {
    stored.shrink_to_fit();
    Box::new(stored)
}

/// Lists a group, as it turned out.
pub fn list_entries(
    entries: &[(Arc<Entry>, EntryOutcome)],
    compressor: Option<&mut Compressor>,
) -> Listing {
    let is_void = |outcome: &EntryOutcome| matches!(outcome, EntryOutcome::Unreadable(_));
    let listed = entries.iter().map(|(entry, outcome)| (entry, is_void(outcome)));
    Listing::new(listed, compressor)
}

/// Do the same bytes come a second time, and no more? Then they are all there is, whatever the
/// system says of the size.
fn reads_again(file: &SourceFile, bytes: &[u8]) -> Result<bool, SourceError> {
    let mut again = vec![0; bytes.len() + 1];
    let read = file.read_at(0, &mut again)?;
    Ok(again[..read] == *bytes)
}

#[cfg(test)]
mod tests;
