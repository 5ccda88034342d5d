//! How far a dataset is packed, so that packing can resume there, on other drives or after a
//! crash.
//!
//! - Enters: each entry, when it is packed.
//! - Leaves: where to begin again, in the scan snapshot and within a large file.
//! - Always holds: memory is the folders that the next entry lies in, and one file's state.

use super::scan::data_bytes;
use crate::format::list::{Entry, Kind};
use crate::stages::hash::Merge;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Everything before it is packed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// entries of the scan snapshot that are packed
    pub entries: u64,
    /// their plain bytes without holes, as the scan counts them, and those of the file in progress
    pub bytes: u64,
    /// the folders that the last entry lies in, or is, outermost first
    pub folders: Vec<Arc<Entry>>,
    /// the entry after those, if a part of it is packed
    pub open: Option<OpenFile>,
    /// how often the entry after those was begun, changed meanwhile, and is to be begun again
    #[serde(default)]
    pub tries: u32,
}

/// A large file in progress.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenFile {
    /// its entry, as it is packed
    pub entry: Arc<Entry>,
    /// pieces of C bytes that are packed
    pub pieces: u64,
    /// plain bytes of these without holes, which [`Cursor::bytes`] holds too
    #[serde(default)]
    pub bytes: u64,
    /// their values
    pub merge: Merge,
    /// false if a hole was too long to be hashed
    pub has_root: bool,
    /// it could not be read
    pub void: bool,
    /// it is not the file any more that was begun, and is packed on as it is
    #[serde(default)]
    pub changed: bool,
}

impl OpenFile {
    /// Before its first piece.
    pub fn new(entry: Arc<Entry>) -> Self {
        let (merge, has_root) = (Merge::default(), entry.hashes_holes());
        Self { entry, pieces: 0, bytes: 0, merge, has_root, void: false, changed: false }
    }
}

impl Cursor {
    /// The next entry is packed, or left out for good.
    pub fn pass(&mut self, entry: &Arc<Entry>) {
        self.give_up();
        self.entries += 1;
        self.tries = 0;
        self.bytes += data_bytes(entry);
        while self.folders.last().is_some_and(|f| !is_below(&entry.path, &f.path)) {
            self.folders.pop();
        }
        if entry.kind == Kind::Folder {
            self.folders.push(entry.clone());
        }
    }

    /// So much of the file in progress is packed.
    pub fn advance(&mut self, open: OpenFile) {
        self.give_up();
        self.bytes += open.bytes;
        self.open = Some(open);
    }

    /// The file in progress is to be begun again.
    pub fn begin_again(&mut self) {
        self.give_up();
        self.tries += 1;
    }

    /// What is packed of the file in progress does not count: it is packed again.
    pub fn give_up(&mut self) {
        let void = self.open.take().map_or(0, |open| open.bytes);
        self.bytes = self.bytes.saturating_sub(void);
    }
}

/// Does `path` lie in a folder?
fn is_below(path: &[u8], folder: &[u8]) -> bool {
    folder.is_empty() || path.strip_prefix(folder).is_some_and(|rest| rest.first() == Some(&b'/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folders_of_the_next_entry_are_known() {
        let mut cursor = Cursor::default();
        let folders =
            |cursor: &Cursor| -> Vec<String> { cursor.folders.iter().map(|f| f.shown()).collect() };
        let steps: [(&str, Kind, &[&str]); 6] = [
            ("", Kind::Folder, &["."]),
            ("a", Kind::Folder, &[".", "a"]),
            ("a/b", Kind::Folder, &[".", "a", "a/b"]),
            ("a/b/file", Kind::File, &[".", "a", "a/b"]),
            ("a/bc", Kind::File, &[".", "a"]),
            ("b", Kind::Folder, &[".", "b"]),
        ];
        for (number, (path, kind, want)) in steps.into_iter().enumerate() {
            cursor.pass(&Arc::new(Entry::new(path, kind)));
            assert_eq!(
                (cursor.entries, folders(&cursor)),
                (number as u64 + 1, want.iter().map(ToString::to_string).collect())
            );
        }
        let text = serde_json::to_string(&cursor).unwrap();
        assert_eq!(serde_json::from_str::<Cursor>(&text).unwrap(), cursor);
    }
}
