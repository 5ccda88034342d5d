//! What the lists say of a group of entries, coded once, by the thread that read them.
//!
//! - Enters: the entries of a group in order; the bytes of the files among them follow each other in
//!   one chunk.
//! - Leaves: their items, as the catalog takes them and as a shard's list does.
//! - Always holds: nothing in it depends on where the chunk will lie.

use super::compress::Compressor;
use crate::format::list::{End, Entry, Item, Kind, State, names_len};
use crate::format::list_writer::ListWriter;
use std::sync::Arc;

/// Items of fewer bytes are not compressed.
const UNCOMPRESSED_BYTES: usize = 128;

/// What items add to the counts of a set; a file that is void takes back what it added.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub entries: i64,
    pub files: i64,
    /// sum of the files' sizes
    pub file_bytes: i64,
}

impl Counts {
    /// Counts an entry that begins.
    pub fn entry(&mut self, entry: &Entry) {
        self.entries += 1;
        if entry.kind == Kind::File {
            self.files += 1;
            self.file_bytes = self.file_bytes.saturating_add_unsigned(entry.size);
        }
    }

    /// Counts a file that ends.
    pub fn end(&mut self, end: &End) {
        if end.state == State::Void {
            self.entries -= 1;
            self.files -= 1;
            self.file_bytes = self.file_bytes.saturating_sub_unsigned(end.size);
        }
    }

    /// Counts items.
    pub fn of(items: &[Item]) -> Self {
        let mut counts = Self::default();
        for item in items {
            match item {
                Item::Entry { continued: true, .. } | Item::Extent(_) => {}
                Item::Entry { entry, .. } => counts.entry(entry),
                Item::End(end) => counts.end(end),
            }
        }
        counts
    }
}

/// A group's items.
#[derive(Clone, Debug)]
pub struct Listing {
    /// sort key of the first entry
    pub first: Vec<u8>,
    /// the items
    pub plain: Vec<u8>,
    /// the same as one zstd frame, if that is shorter
    pub frame: Option<Vec<u8>>,
    /// how many items and extended attributes there are
    pub weight: usize,
    /// bytes of their paths and names, written out
    pub names: usize,
    pub counts: Counts,
}

impl Listing {
    /// Lists entries; those of which nothing could be read end as void.
    pub fn new<'e>(
        entries: impl Iterator<Item = (&'e Arc<Entry>, bool)>,
        compressor: Option<&mut Compressor>,
    ) -> Self {
        let mut list = ListWriter::default();
        let (mut first, mut weight, mut names, mut counts) = (None, 0, 0, Counts::default());
        for (entry, is_void) in entries {
            first.get_or_insert_with(|| entry.sort_key());
            list.entry(entry, false);
            counts.entry(entry);
            weight += 1 + entry.xattrs.len();
            names += names_len(entry);
            if is_void {
                let end = End { state: State::Void, root: None, size: entry.size };
                list.end(&end);
                counts.end(&end);
                weight += 1;
            }
        }
        let plain = list.into_bytes();
        let compressor = compressor.filter(|_| plain.len() >= UNCOMPRESSED_BYTES);
        let frame = compressor.and_then(|compressor| compressor.frame(&plain));
        Self { first: first.unwrap_or_default(), plain, frame, weight, names, counts }
    }
}

/// The form in which a file is named of which nothing could be read.
#[must_use]
pub fn voided(mut entry: Entry) -> Entry {
    (entry.whole, entry.changed) = (false, false);
    if entry.kind == Kind::HardLink {
        entry.kind = Kind::File;
        entry.target.clear();
    }
    entry
}
