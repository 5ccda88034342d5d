//! The dataset cut into pieces of work.
//!
//! - Enters: entries in order, and a large file in progress.
//! - Leaves: groups of small entries, and one piece of a large file after the other.
//! - Always holds: (1) the cut depends on the entries alone, so it is the same at any number of
//!   threads; (2) a file of at most C bytes lies in one group with its neighbours, a larger one is
//!   cut at multiples of C; (3) a hole too long to be hashed costs two pieces, whatever its length.
//!
//! Neighbours in the order of paths compress together better than files sorted by kind (kernel source:
//! by 0.3 %), and the more of them the better: groups are longer than C.

use super::cursor::OpenFile;
use super::inode::ScannedEntry;
use super::source::{Source, SourceError, SourceFile};
use crate::format::list::{Entry, Kind, entry_len};
use crate::format::list_writer::END_BYTES;
use std::sync::Arc;

/// The most list bytes that one group of entries may need, if each were listed alone.
const GROUP_LIST_BYTES: usize = 512 << 10;
/// The most entries of a group: its threads and the filling hold them in memory.
const GROUP_ENTRIES: usize = 4096;
/// List bytes an entry needs besides itself, if nothing of it can be read.
const EXTRA_LIST_BYTES: usize = END_BYTES;

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

/// How large work may be, in bytes.
#[derive(Clone, Copy, Debug)]
pub struct CutSizes {
    /// C
    pub chunk: u64,
    /// a group, at most: at least C
    pub group: u64,
    /// what a group needs in a list, at most, if its entries allow it
    pub list: usize,
}

/// Cuts entries into work.
pub struct Cutter<'a, I: Iterator> {
    entries: std::iter::Peekable<I>,
    source: &'a Source,
    chunk_bytes: u64,
    /// the most bytes of a group
    group_bytes: u64,
    list_bytes: usize,
    /// a large file, and the number of its next piece
    large: Option<(Arc<LargeFile>, u64)>,
}

impl<'a, E, I: Iterator<Item = Result<ScannedEntry, E>>> Cutter<'a, I> {
    /// Cuts to these sizes.
    pub fn new(entries: I, source: &'a Source, sizes: CutSizes) -> Self {
        let CutSizes { chunk: chunk_bytes, group: group_bytes, list } = sizes;
        let list_bytes = list.min(GROUP_LIST_BYTES);
        let entries = entries.peekable();
        Self { entries, source, chunk_bytes, group_bytes, list_bytes, large: None }
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
                            || group.len() < GROUP_ENTRIES
                                && bytes + e.entry.size <= self.group_bytes
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
