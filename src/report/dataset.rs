//! A dataset in a few numbers.
//!
//! - Enters: entries in the order in which a shipment lists them, set after set.
//! - Leaves: counts by kind, bytes, and the folders with the most bytes.
//! - Always holds: (1) an entry that stands in two sets counts once; (2) it takes the memory of a few
//!   paths, however many entries there are.

use crate::format::list::{Entry, Kind, shown_path};
use std::collections::BTreeMap;
use std::mem;

/// Folders that are named.
const FOLDERS: usize = 10;

/// What a key tells of a dataset.
#[derive(Debug, Default)]
pub struct DatasetSummary {
    /// entries in all, and of these, those that the packer could not take, or not all of
    pub entries: u64,
    pub not_taken: u64,
    /// bytes of files
    pub bytes: u64,
    /// entries of each kind, in words
    pub kinds: BTreeMap<&'static str, u64>,
    /// the largest folders by their shown paths, the largest first
    pub folders: Vec<Folder>,
    /// all sets were here, and their catalogs could be read
    pub is_whole: bool,
}

/// A folder with all that lies in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Folder {
    pub path: String,
    pub files: u64,
    pub bytes: u64,
}

/// Sums up entries.
#[derive(Default)]
pub struct Summing {
    summary: DatasetSummary,
    /// the sort key of the entry before
    last: Option<Vec<u8>>,
    /// folders of the dataset, and those in them
    levels: [Level; 2],
}

/// Folders of one depth: all that lies in one comes before the next.
#[derive(Default)]
struct Level {
    path: Vec<u8>,
    now: Folder,
    largest: Vec<Folder>,
    count: u64,
}

impl Level {
    fn add(&mut self, path: &[u8], bytes: u64) {
        if self.path != path {
            self.end();
            self.path = path.to_vec();
            self.count += 1;
        }
        self.now.files += 1;
        self.now.bytes += bytes;
    }

    fn end(&mut self) {
        let ended = Folder { path: shown_path(&self.path), ..mem::take(&mut self.now) };
        if ended.files > 0 {
            self.largest.push(ended);
            self.largest.sort_by_key(|folder| std::cmp::Reverse(folder.bytes));
            self.largest.truncate(FOLDERS);
        }
    }
}

impl Summing {
    /// Adds the next entry; `is_void` of a file that could not be read when it was packed.
    pub fn add(&mut self, entry: &Entry, is_void: bool) {
        let key = entry.sort_key();
        // A set begins with the folders, and the file, that the one before ended in.
        if self.last.as_ref().is_some_and(|last| key <= *last) {
            return;
        }
        self.last = Some(key);
        self.summary.entries += 1;
        let lacks = is_void || entry.kind == Kind::Unknown || !entry.lacks.is_empty();
        self.summary.not_taken += u64::from(lacks);
        *self.summary.kinds.entry(kind(entry.kind)).or_default() += 1;
        if entry.kind == Kind::File {
            self.summary.bytes += entry.size;
            let mut slashes = (0..entry.path.len()).filter(|at| entry.path[*at] == b'/');
            for level in &mut self.levels {
                let Some(end) = slashes.next() else { break };
                level.add(&entry.path[..end], entry.size);
            }
        }
    }

    /// The sum. Where all lies in one folder, the folders in that are named.
    pub fn end(mut self, is_whole: bool) -> DatasetSummary {
        self.levels.iter_mut().for_each(Level::end);
        let [top, below] = self.levels;
        let folders = if top.count < 2 && below.count > 1 { below } else { top };
        DatasetSummary { folders: folders.largest, is_whole, ..self.summary }
    }
}

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Folder => "folder",
        Kind::File => "file",
        Kind::Symlink => "symbolic link",
        Kind::HardLink => "hard link",
        Kind::Fifo => "named pipe",
        Kind::CharDevice | Kind::BlockDevice => "device",
        Kind::Socket => "socket",
        Kind::Unknown => "unreadable entry",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, size: u64) -> Entry {
        Entry { size, ..Entry::new(path, Kind::File) }
    }

    fn folder(path: &str) -> Entry {
        Entry::new(path, Kind::Folder)
    }

    #[test]
    fn what_stands_in_two_sets_counts_once() {
        let mut summing = Summing::default();
        let first = [folder(""), folder("a"), file("a/1", 10), folder("b"), file("b/1", 5)];
        let second = [folder(""), folder("b"), file("b/1", 5), file("b/2", 50), file("c", 1)];
        first.iter().chain(&second).for_each(|entry| summing.add(entry, false));
        let sum = summing.end(true);
        assert_eq!((sum.entries, sum.bytes), (7, 66));
        assert_eq!(sum.kinds, BTreeMap::from([("file", 4), ("folder", 3)]));
        let largest = |path: &str, files, bytes| Folder { path: path.into(), files, bytes };
        assert_eq!(sum.folders, [largest("b", 2, 55), largest("a", 1, 10)]);
    }

    #[test]
    fn of_a_single_folder_those_in_it_are_named() {
        let mut summing = Summing::default();
        let names = (0..30).map(|i| format!("all/{i:02}"));
        names.for_each(|name| {
            summing.add(&folder(&name), false);
            let size = name[4..].parse().unwrap();
            summing.add(&file(&format!("{name}/x"), size), false);
        });
        let sum = summing.end(true);
        assert_eq!(sum.folders.len(), FOLDERS);
        assert_eq!(sum.folders[0].path, "all/29");
    }
}
