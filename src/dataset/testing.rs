//! Trees for tests.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Mode, OFlags};
use tempfile::TempDir;

/// Folders in folders, too deep for paths. The lowest, and every tenth on the way, holds the files
/// `a` and `z`, which lie before and after the next folder in order.
pub struct DeepTree {
    dir: TempDir,
    levels: usize,
}

/// The name of every folder.
pub const DEEP_NAME: &str = "level-of-a-deep-tree";

impl DeepTree {
    pub fn new(levels: usize) -> Self {
        let tree = Self { dir: tempfile::tempdir().unwrap(), levels };
        let mut at = open_folder(CWD, tree.path());
        for level in 0..=levels {
            let has_files = level % 10 == 0 || level == levels;
            for name in ["a", "z"].into_iter().filter(|_| has_files) {
                let flags = OFlags::CREATE | OFlags::WRONLY;
                let file = rustix::fs::openat(&at, name, flags, Mode::RUSR).unwrap();
                rustix::io::write(file, name.as_bytes()).unwrap();
            }
            if level < levels {
                rustix::fs::mkdirat(&at, DEEP_NAME, Mode::RWXU).unwrap();
                at = open_folder(&at, DEEP_NAME);
            }
        }
        tree
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }
}

impl Drop for DeepTree {
    /// The standard library would need a handle for every level.
    fn drop(&mut self) {
        let mut at = open_folder(CWD, self.path());
        for _ in 0..self.levels {
            at = open_folder(&at, DEEP_NAME);
        }
        for _ in 0..self.levels {
            // Most folders have no files; what else is left shows when the folder is removed.
            let _ = rustix::fs::unlinkat(&at, "a", AtFlags::empty());
            let _ = rustix::fs::unlinkat(&at, "z", AtFlags::empty());
            at = open_folder(&at, "..");
            rustix::fs::unlinkat(&at, DEEP_NAME, AtFlags::REMOVEDIR).unwrap();
        }
    }
}

fn open_folder(at: impl AsFd, name: impl rustix::path::Arg) -> OwnedFd {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::openat(at, name, flags, Mode::empty()).unwrap()
}
