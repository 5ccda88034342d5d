//! The dataset cut into pieces of work.
//!
//! - Enters: entries in order, and a large file in progress.
//! - Leaves: groups of small entries, and one piece of a large file after the other.
//! - Always holds: (1) the cut depends on the entries alone, so it is the same at any number of
//!   threads; (2) a file of at most C bytes lies in one group with its neighbours, a larger one is
//!   cut at multiples of C; (3) a hole too long to be hashed costs two pieces, whatever its length.

use super::cursor::OpenFile;
use super::inode::ScannedEntry;
use super::source::{Source, SourceError, SourceFile};
use crate::format::list::{Entry, Kind, entry_len};
use std::sync::Arc;

/// The most list bytes that one group of entries may need.
const GROUP_LIST_BYTES: usize = 64 << 10;
/// List bytes an entry needs besides itself: an extent, or an end.
const EXTRA_LIST_BYTES: usize = 80;

/// A file larger than C, open for its pieces.
pub struct LargeFile {
    /// the entry, its holes filled in
    pub entry: Arc<Entry>,
    pub(super) file: SourceFile,
    /// the zeros of its holes are hashed
    pub(super) hash_holes: bool,
    /// it is not what it was when its first piece was packed
    pub(super) changed: bool,
}

/// One piece of work.
pub enum Work {
    /// entries that follow each other; the bytes of the files among them make one chunk
    Group(Vec<ScannedEntry>),
    /// one piece of a large file
    Piece {
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
    /// a large file, and the number of its next piece
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

    /// Begins with the rest of a large file; false if it is not the file any more that it was,
    /// unless it is taken `as_it_is`.
    pub fn resume(&mut self, open: &OpenFile, as_it_is: bool) -> Result<bool, SourceError> {
        let entry = open.entry.clone();
        let file = self.source.open_file(&entry.path)?;
        let changed = open.changed || !file.has_content_of(&entry)?;
        if changed && !as_it_is {
            return Ok(false);
        }
        let hash_holes = entry.hashes_holes();
        let large = LargeFile { entry, file, hash_holes, changed };
        self.large = Some((Arc::new(large), open.pieces));
        Ok(true)
    }

    /// The next piece of work; none at the end.
    pub fn next_work(&mut self) -> Result<Option<Work>, E> {
        if let Some((file, number)) = self.large.take()
            && number * self.chunk_bytes < file.entry.size
        {
            let number = self.after_hole(&file, number);
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

    /// The next piece that is there to be read or hashed, at the latest the last.
    fn after_hole(&self, file: &LargeFile, number: u64) -> u64 {
        let offset = number * self.chunk_bytes;
        match file.entry.hole_at(offset) {
            Some(hole) if !file.hash_holes => {
                let last = (file.entry.size - 1) / self.chunk_bytes;
                (hole.end / self.chunk_bytes).clamp(number, last)
            }
            _ => number,
        }
    }

    fn begin_large(&mut self, scanned: ScannedEntry) -> Work {
        match self.open_large(&scanned) {
            Ok(Ok(large)) => {
                let file = Arc::new(large);
                self.large = Some((file.clone(), 1));
                Work::Piece { file, number: 0 }
            }
            Ok(Err(shrunk)) => Work::Group(vec![shrunk]),
            Err(e) => Work::Unreadable(Box::new(scanned), e),
        }
    }

    /// Opens a large file; or gives back what it is now, if it is small.
    fn open_large(
        &self,
        scanned: &ScannedEntry,
    ) -> Result<Result<LargeFile, ScannedEntry>, SourceError> {
        let file = self.source.open_file(&scanned.entry.path)?;
        let now = file.now(scanned)?;
        if now.entry.size <= self.chunk_bytes {
            return Ok(Err(now));
        }
        let mut entry = now.entry;
        if now.sparse {
            entry.holes = file.holes(entry.size)?;
        }
        file.advise_sequential();
        let hash_holes = entry.hashes_holes();
        Ok(Ok(LargeFile { entry: Arc::new(entry), file, hash_holes, changed: false }))
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
