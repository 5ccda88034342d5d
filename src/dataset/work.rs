//! The dataset cut into pieces of work, and the one hot task done on each: read, hash, compress.
//!
//! - Enters: entries in order; their bytes.
//! - Leaves: for each piece of work its chunk, ready to be stored, and the ids of what is in it.
//! - Always holds: (1) the cut depends on the entries alone, so it is the same at any number of
//!   threads; (2) every byte is read once and hashed and compressed while it is hot; (3) a file
//!   of at most C bytes lies in one chunk with its neighbours, a larger one is cut at multiples of
//!   C; (4) a file that changes while it is read is noticed, and is to be packed again, looked at
//!   anew; if it never holds still it is taken as it is.

use super::cursor::OpenFile;
use super::{Identity, ScannedEntry, Source, SourceError, SourceFile};
use crate::drives::buffer::{Pool, Pooled};
use crate::format::list::{Entry, Hash, Kind, Method, entry_len};
use crate::stages::compress::Compressor;
use crate::stages::fill::{ChunkBytes, NewChunk};
use crate::stages::hash::piece;
use std::sync::{Arc, Mutex, PoisonError};

/// The most list bytes that one group of entries may need.
const GROUP_LIST_BYTES: usize = 64 << 10;
/// List bytes an entry needs besides itself: an extent, or an end.
const EXTRA_LIST_BYTES: usize = 80;
/// With more bytes of holes than this a file gets no root, since hashing its zeros takes too long.
pub const HASHED_HOLE_BYTES: u64 = 16 << 30;

/// A file larger than C, open for its pieces.
pub struct LargeFile {
    /// the entry, its holes filled in
    pub entry: Arc<Entry>,
    pub(super) scanned: ScannedEntry,
    file: SourceFile,
    hash_holes: bool,
}

/// One piece of work.
pub enum Work {
    /// entries that follow each other; the bytes of the files among them make one chunk
    Group(Vec<ScannedEntry>),
    /// one piece of a large file
    Piece {
        /// the file
        file: Arc<LargeFile>,
        /// its number: it begins at number · C
        number: u64,
    },
    /// a large file that cannot be opened
    Unreadable(Box<ScannedEntry>, SourceError),
}

/// Cuts entries into work.
pub struct Cutter<'a, I: Iterator> {
    entries: std::iter::Peekable<I>,
    source: &'a Source,
    chunk_bytes: u64,
    list_bytes: usize,
    large: Option<(Arc<LargeFile>, u64)>,
}

impl<'a, E, I: Iterator<Item = Result<ScannedEntry, E>>> Cutter<'a, I> {
    /// Cuts at `chunk_bytes` (C). A group needs at most `list_bytes` in a list, if its entries
    /// allow it.
    pub fn new(entries: I, source: &'a Source, chunk_bytes: u32, list_bytes: usize) -> Self {
        let list_bytes = list_bytes.min(GROUP_LIST_BYTES);
        let chunk_bytes = chunk_bytes.into();
        Self { entries: entries.peekable(), source, chunk_bytes, list_bytes, large: None }
    }

    /// Begins with the rest of a large file; false if it is not the file any more that it was.
    pub fn resume(&mut self, open: &OpenFile) -> bool {
        let Ok(file) = self.source.open_file(&open.entry.path) else { return false };
        if !matches!(file.identity(), Ok(identity) if identity == open.identity) {
            return false;
        }
        let entry = open.entry.clone();
        let scanned =
            ScannedEntry { entry: (*entry).clone(), identity: open.identity, sparse: false };
        let hash_holes = hashes_holes(&entry);
        let large = LargeFile { entry, scanned, file, hash_holes };
        self.large = Some((Arc::new(large), open.pieces));
        true
    }

    /// The next piece of work; none at the end.
    pub fn next_work(&mut self) -> Result<Option<Work>, E> {
        if let Some((file, number)) = self.large.take()
            && number * self.chunk_bytes < file.entry.size
        {
            self.large = Some((file.clone(), number + 1));
            return Ok(Some(Work::Piece { file, number }));
        }
        let chunk_bytes = self.chunk_bytes;
        let is_large = |e: &ScannedEntry| e.entry.kind == Kind::File && e.entry.size > chunk_bytes;
        let large = |next: &Result<ScannedEntry, E>| next.as_ref().is_ok_and(is_large);
        if let Some(scanned) = self.entries.next_if(large) {
            return Ok(Some(self.begin_large(scanned?)));
        }
        self.next_group(is_large)
    }

    fn begin_large(&mut self, scanned: ScannedEntry) -> Work {
        match open_large(self.source, &scanned) {
            Ok(file) if file.entry.size > self.chunk_bytes => {
                let file = Arc::new(file);
                self.large = Some((file.clone(), 1));
                Work::Piece { file, number: 0 }
            }
            Ok(shrunk) => Work::Group(vec![shrunk.scanned]),
            Err(e) => Work::Unreadable(Box::new(scanned), e),
        }
    }

    fn next_group(&mut self, is_large: impl Fn(&ScannedEntry) -> bool) -> Result<Option<Work>, E> {
        let mut group = Vec::new();
        let (mut bytes, mut list) = (0, 0);
        loop {
            let fits = |next: &Result<ScannedEntry, E>| match next {
                Ok(e) => {
                    let list_after = list + entry_len(&e.entry) + EXTRA_LIST_BYTES;
                    !is_large(e)
                        && (group.is_empty()
                            || bytes + e.entry.size <= self.chunk_bytes
                                && list_after <= self.list_bytes)
                }
                Err(_) => group.is_empty(),
            };
            let Some(next) = self.entries.next_if(fits) else { break };
            let next = next?;
            bytes += next.entry.size;
            list += entry_len(&next.entry) + EXTRA_LIST_BYTES;
            group.push(next);
        }
        Ok((!group.is_empty()).then_some(Work::Group(group)))
    }
}

fn open_large(source: &Source, scanned: &ScannedEntry) -> Result<LargeFile, SourceError> {
    let file = source.open_file(&scanned.entry.path)?;
    let scanned = as_it_is_now(&file, scanned)?;
    let mut entry = scanned.entry.clone();
    if scanned.sparse {
        entry.holes = file.holes(entry.size)?;
    }
    file.advise_sequential();
    let hash_holes = hashes_holes(&entry);
    Ok(LargeFile { entry: Arc::new(entry), scanned, file, hash_holes })
}

/// Are the zeros of its holes few enough to be hashed?
fn hashes_holes(entry: &Entry) -> bool {
    entry.holes.iter().map(|(_, len)| len).sum::<u64>() <= HASHED_HOLE_BYTES
}

/// What was scanned, or if the file has changed since then, what it is now.
fn as_it_is_now(file: &SourceFile, scanned: &ScannedEntry) -> Result<ScannedEntry, SourceError> {
    if file.opened() == scanned.identity { Ok(scanned.clone()) } else { file.look(&scanned.entry) }
}

/// What became of one entry of a group.
pub enum Outcome {
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
    /// bytes
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
    Kept(Entry, Outcome),
    Changed(Entry),
}

/// A piece of work, done.
pub enum Done {
    /// a group
    Group {
        /// each entry and what became of it
        entries: Vec<(Arc<Entry>, Outcome)>,
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
        /// tells whether the file is the same when packing goes on
        identity: Identity,
        /// the file is not as it was when it was opened; said with the last piece
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
    level: i32,
    pool: Pool,
    compressors: Mutex<Vec<Compressor>>,
    zeros: Vec<u8>,
}

/// A chunk's plain bytes in a pooled buffer, of which the first `len` count.
struct PlainChunk {
    buffer: Pooled,
    len: usize,
}

impl AsRef<[u8]> for PlainChunk {
    fn as_ref(&self) -> &[u8] {
        &self.buffer[..self.len]
    }
}

impl<'a> Worker<'a> {
    /// For `source`, chunks of `chunk_bytes` (C) and zstd at `level`; `free_buffers` buffers of C
    /// bytes are kept for reuse.
    pub fn new(source: &'a Source, chunk_bytes: u32, level: i32, free_buffers: usize) -> Self {
        Self {
            source,
            chunk_bytes: chunk_bytes.into(),
            level,
            pool: Pool::keeping(free_buffers),
            compressors: Mutex::new(Vec::new()),
            zeros: vec![0; chunk_bytes as usize],
        }
    }

    /// Reads, hashes and compresses one piece of work. `as_it_is` takes files that change
    /// meanwhile, too.
    pub fn work(&self, work: Work, as_it_is: bool) -> Vec<Done> {
        match work {
            Work::Group(entries) => self.group(entries, as_it_is),
            Work::Piece { file, number } => vec![self.piece(&file, number)],
            Work::Unreadable(scanned, e) => vec![Done::Unreadable(Arc::new(scanned.entry), e)],
        }
    }

    /// One group; or several, between which files are to be packed again.
    fn group(&self, entries: Vec<ScannedEntry>, as_it_is: bool) -> Vec<Done> {
        let mut done = Vec::with_capacity(1);
        let mut rest = entries.into_iter();
        while rest.len() > 0 {
            let (group, again) = self.group_until_change(&mut rest, as_it_is);
            done.extend(group);
            done.extend(again.map(Done::Again));
        }
        done
    }

    fn group_until_change(
        &self,
        rest: &mut std::vec::IntoIter<ScannedEntry>,
        as_it_is: bool,
    ) -> (Option<Done>, Option<Arc<Entry>>) {
        let is_file = |e: &ScannedEntry| e.entry.kind == Kind::File && e.entry.size > 0;
        let mut buffer = if rest.as_slice().iter().any(is_file) {
            self.pool.take(self.chunk_bytes as usize)
        } else {
            Pool::keeping(0).take(0)
        };
        let mut used = 0;
        // A file that grew may take only room that no file after it was promised.
        let mut promised: usize = rest.as_slice().iter().map(|e| e.entry.size as usize).sum();
        let mut entries = Vec::with_capacity(rest.len());
        let mut again = None;
        for scanned in rest {
            promised -= scanned.entry.size as usize;
            let end = buffer.len().saturating_sub(promised).max(used);
            match self.small(scanned, &mut buffer[used..end], used, as_it_is) {
                Small::Kept(entry, outcome) => {
                    if let Outcome::Bytes { len, .. } = outcome {
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
        let chunk = (used > 0).then(|| self.store(PlainChunk { buffer, len: used }));
        let group = (!entries.is_empty()).then_some(Done::Group { entries, chunk });
        (group, again)
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
        if kind != Kind::File || scanned.entry.size == 0 {
            let mut entry = scanned.entry;
            entry.whole = kind == Kind::File;
            return Small::Kept(entry, Outcome::NoBytes);
        }
        match self.read_small(&scanned, room, as_it_is) {
            Ok(Some((entry, _))) if entry.size == 0 => Small::Kept(entry, Outcome::NoBytes),
            Ok(Some((entry, id))) => {
                let (chunk_offset, len) = (chunk_offset as u32, entry.size as u32);
                Small::Kept(entry, Outcome::Bytes { chunk_offset, len, id })
            }
            Ok(None) => Small::Changed(scanned.entry),
            Err(e) => Small::Kept(scanned.entry, Outcome::Unreadable(e)),
        }
    }

    /// The entry as it is now, and its file's root; none if the file changed meanwhile or no longer
    /// fits.
    fn read_small(
        &self,
        scanned: &ScannedEntry,
        room: &mut [u8],
        as_it_is: bool,
    ) -> Result<Option<(Entry, Hash)>, SourceError> {
        let file = self.source.open_file(&scanned.entry.path)?;
        let ScannedEntry { mut entry, identity, sparse } = as_it_is_now(&file, scanned)?;
        if entry.size > room.len() as u64 {
            return Ok(None);
        }
        let bytes = &mut room[..entry.size as usize];
        let read = file.read_at(0, bytes)?;
        if sparse {
            entry.holes = file.holes(entry.size)?;
        }
        entry.whole = true;
        entry.changed = read < bytes.len() || file.identity()? != identity;
        if entry.changed && !as_it_is {
            return Ok(None);
        }
        if read < bytes.len() {
            entry.size = read as u64;
            entry.holes.clear();
        }
        Ok(Some((entry, piece(&bytes[..read], 0, true))))
    }

    fn piece(&self, file: &LargeFile, number: u64) -> Done {
        let entry = &file.entry;
        let offset = number * self.chunk_bytes;
        let len = (entry.size - offset).min(self.chunk_bytes) as usize;
        let last = offset + len as u64 == entry.size;
        let mut outcome = self.piece_bytes(file, offset, len);
        let mut changed = false;
        if last {
            match file.file.identity() {
                Ok(now) => changed = now != file.scanned.identity,
                Err(e) => outcome = PieceOutcome::Unreadable(e),
            }
        }
        let identity = file.scanned.identity;
        Done::Piece { entry: entry.clone(), number, last, outcome, identity, changed }
    }

    fn piece_bytes(&self, file: &LargeFile, offset: u64, len: usize) -> PieceOutcome {
        if within_hole(&file.entry.holes, offset, len as u64) {
            let id = file.hash_holes.then(|| piece(&self.zeros[..len], offset, false));
            return PieceOutcome::Hole { id };
        }
        let mut buffer = self.pool.take(self.chunk_bytes as usize);
        match file.file.read_at(offset, &mut buffer[..len]) {
            // What a file that shrank no longer has reads as zeros; the change is noticed.
            Ok(read) => buffer[read..len].fill(0),
            Err(e) => return PieceOutcome::Unreadable(e),
        }
        let id = piece(&buffer[..len], offset, false);
        let chunk = self.store(PlainChunk { buffer, len });
        PieceOutcome::Bytes { len: len as u32, id, chunk }
    }

    /// Compresses a chunk, or leaves it as it is.
    fn store(&self, chunk: PlainChunk) -> NewChunk {
        let plain = chunk.len as u32;
        let mut stored = Vec::new();
        let method = match self.compressor() {
            Some(mut compressor) => {
                let method = compressor.compress(chunk.as_ref(), &mut stored);
                self.compressors.lock().unwrap_or_else(PoisonError::into_inner).push(compressor);
                method
            }
            None => Method::Plain,
        };
        let bytes: ChunkBytes = match method {
            // A short chunk does not keep a long buffer from the pool.
            Method::Plain if chunk.len < self.zeros.len() / 2 => Box::new(chunk.as_ref().to_vec()),
            Method::Plain => Box::new(chunk),
            Method::Zstd => {
                stored.shrink_to_fit();
                Box::new(stored)
            }
        };
        NewChunk { bytes, method, plain }
    }

    fn compressor(&self) -> Option<Compressor> {
        let free = self.compressors.lock().unwrap_or_else(PoisonError::into_inner).pop();
        free.or_else(|| Compressor::new(self.level).ok())
    }
}

/// Does one hole cover the whole run?
fn within_hole(holes: &[(u64, u64)], offset: u64, len: u64) -> bool {
    let next = holes.partition_point(|(start, _)| *start <= offset);
    next > 0 && holes[next - 1].0 + holes[next - 1].1 >= offset + len
}
