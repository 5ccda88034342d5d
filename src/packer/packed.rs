//! What was packed.

use crate::dataset::cursor::Cursor;
use crate::format::list::Hash;
use serde::Serialize;

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Packed {
    /// entries in the catalog
    pub entries: u64,
    /// files among them whose bytes were packed
    pub files: u64,
    /// files that are only named, since they could not be read
    pub left_out: u64,
    /// bytes of these files
    pub file_bytes: u64,
    /// bytes that were not stored because they were packed before
    pub duplicate_bytes: u64,
    /// stored bytes of chunks
    pub stored_bytes: u64,
    /// extents the dedup table forgot
    #[serde(skip)]
    pub forgotten: u64,
    pub stripes: u64,
    /// bytes of shards on each drive, by slot from 1
    pub drive_bytes: Vec<u64>,
    /// drives that failed, by slot from 0
    #[serde(skip)]
    pub failed: Vec<usize>,
    /// BLAKE3 of set.txt; zeros if the set was not closed
    #[serde(skip)]
    pub root: Hash,
    /// it was stopped before its end: what was committed is an unclosed set
    pub stopped: bool,
    /// the drives were full before the dataset came to its end
    #[serde(skip)]
    pub full: bool,
    /// what is packed, in this set and those before
    #[serde(skip)]
    pub cursor: Cursor,
}
