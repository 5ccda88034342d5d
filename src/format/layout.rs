//! Where the files of a set lie on a drive, and how long they may be.

use super::key::MAX_KEY_BYTES;
use super::label::MAX_LABEL_BYTES;
use super::record::MAX_RECORD_FILE_BYTES;
use super::set::MAX_SET_BYTES;

/// The folder on a drive under which everything lies.
pub const HOLDALL: &str = "holdall";
/// The folder of second copies within a set's folder.
pub const COPY: &str = "copy";
/// Sets of fewer drives than this carry second copies of records and catalog.
pub const SECOND_COPY_DRIVES: usize = 3;
/// The longest catalog file: its blocks are less than this.
const MAX_CATALOG_BYTES: u64 = 1 << 32;

/// The longest that a file of a set may be, but for shards and the checklist.
pub fn most_bytes(path: &str) -> u64 {
    let path = path.strip_prefix(COPY).and_then(|rest| rest.strip_prefix('/')).unwrap_or(path);
    match path.split_once('/') {
        Some(("records", _)) => MAX_RECORD_FILE_BYTES,
        Some(("catalog", _)) => MAX_CATALOG_BYTES,
        _ => match path {
            "set.txt" => MAX_SET_BYTES,
            _ => MAX_KEY_BYTES.max(MAX_LABEL_BYTES),
        },
    }
}
