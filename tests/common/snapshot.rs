//! A tree as a map that can be compared: read with the standard library alone.

use super::tree::walk;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Paths below the root, as bytes; the root is the empty one.
pub type Paths = BTreeSet<Vec<u8>>;

/// What is compared of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    mode: u32,
    owner: (u32, u32),
    mtime: (i64, i64),
    device: u64,
    links: u64,
    /// BLAKE3 of a file's bytes, a symlink's text
    content: Vec<u8>,
    is_folder: bool,
}

/// A tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot(pub BTreeMap<Vec<u8>, Seen>);

impl Snapshot {
    /// Reads a tree.
    pub fn of(root: &Path) -> Self {
        let entries = walk(root).into_iter().map(|path| {
            let found = path.symlink_metadata().unwrap();
            let content = match () {
                () if found.is_file() => {
                    blake3::hash(&fs::read(&path).unwrap()).as_bytes().to_vec()
                }
                () if found.is_symlink() => {
                    fs::read_link(&path).unwrap().as_os_str().as_bytes().to_vec()
                }
                () => Vec::new(),
            };
            let seen = Seen {
                mode: found.mode(),
                owner: (found.uid(), found.gid()),
                mtime: (found.mtime(), found.mtime_nsec()),
                device: found.rdev(),
                links: if found.is_dir() { 0 } else { found.nlink() },
                content,
                is_folder: found.is_dir(),
            };
            (path.strip_prefix(root).unwrap().as_os_str().as_bytes().to_vec(), seen)
        });
        Self(entries.collect())
    }

    /// The paths that are not folders.
    pub fn files(&self) -> Paths {
        self.0.iter().filter(|(_, seen)| !seen.is_folder).map(|(path, _)| path.clone()).collect()
    }

    /// Fails unless `other` equals this; names the first difference.
    #[track_caller]
    pub fn assert_equal(&self, other: &Self) {
        self.assert_equal_but(&Paths::new(), other);
    }

    /// Fails unless `other` is this tree without the entries of `lost`. Link counts are left out
    /// if something is lost.
    #[track_caller]
    pub fn assert_equal_but(&self, lost: &Paths, other: &Self) {
        let keys = |s: &Self| s.0.keys().cloned().collect::<Paths>();
        let (wanted, found) = (&keys(self) - lost, keys(other));
        let shown = |paths: Paths| -> Vec<String> {
            paths.iter().take(5).map(|p| String::from_utf8_lossy(p).into_owned()).collect()
        };
        assert_eq!(shown(&wanted - &found), Vec::<String>::new(), "missing");
        assert_eq!(shown(&found - &wanted), Vec::<String>::new(), "too much");
        for path in &wanted {
            let (mut left, mut right) = (self.0[path].clone(), other.0[path].clone());
            if !lost.is_empty() {
                (left.links, right.links) = (0, 0);
            }
            assert_eq!(left, right, "{} differs", String::from_utf8_lossy(path));
        }
    }

    /// The same without what only a finished restore sets: folders' metadata.
    #[must_use]
    pub fn without_folder_metadata(mut self) -> Self {
        for seen in self.0.values_mut().filter(|seen| seen.is_folder) {
            (seen.mode, seen.owner, seen.mtime) = (0, (0, 0), (0, 0));
        }
        self
    }

    /// What is kept of it, and the folders that lead there. Link counts are left out: further names
    /// of a file may not be kept.
    #[must_use]
    pub fn kept(mut self, keep: impl Fn(&[u8]) -> bool) -> Self {
        let kept: Paths = self.0.keys().filter(|path| keep(path)).cloned().collect();
        let leads = |path: &[u8]| {
            let below = [path, b"/"].concat();
            path.is_empty() && !kept.is_empty() || kept.iter().any(|p| p.starts_with(&below))
        };
        self.0.retain(|path, _| kept.contains(path) || leads(path));
        self.0.values_mut().for_each(|seen| seen.links = 0);
        self
    }

    /// The same without one entry and all below it.
    #[must_use]
    pub fn without(mut self, path: &[u8]) -> Self {
        let below = [path, b"/"].concat();
        self.0.retain(|p, _| p != path && !p.starts_with(&below));
        self
    }
}

/// Fails unless every file takes as many bytes on its device in both trees.
#[track_caller]
pub fn assert_same_blocks(left: &Path, right: &Path) {
    for path in walk(left) {
        let below = path.strip_prefix(left).unwrap();
        let (a, b) = (path.symlink_metadata().unwrap(), right.join(below));
        let b = b.symlink_metadata().unwrap();
        if a.is_file() {
            assert_eq!(a.blocks(), b.blocks(), "blocks of {}", below.display());
        }
    }
}
