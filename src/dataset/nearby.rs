//! Files opened in the folder of the file before.
//!
//! - Enters: SOURCE's handle and the paths of files, in whatever order the threads come to them.
//! - Leaves: open files.
//! - Always holds: (1) a folder is opened beneath SOURCE, and a file by its one name in there, so
//!   that no symlink is followed; (2) no more folders are open than threads are opening files; (3) a
//!   folder that is moved while files in it are read is read on until another one is: whoever opens a
//!   file here has to see by its identity that it is the one that is meant.
//!
//! Resolving a deep path takes the kernel longer than reading a small file.

use parking_lot::Mutex;
use std::mem;
use std::os::fd::OwnedFd;

use rustix::fs::{Mode, OFlags};
use rustix::io::{Errno, retry_on_intr};

use super::beneath::{open_beneath, open_quietly};

/// A folder, open, and its path.
#[derive(Debug)]
struct NearbyFolder {
    path: Vec<u8>,
    handle: OwnedFd,
}

/// The folders that the threads opened their last files in.
#[derive(Debug, Default)]
pub struct Nearby(Mutex<Vec<NearbyFolder>>);

impl Nearby {
    /// Opens a file by its path from SOURCE.
    pub fn open(&self, source: &OwnedFd, path: &[u8]) -> Result<OwnedFd, Errno> {
        let Some(slash) = path.iter().rposition(|byte| *byte == b'/') else {
            return open_in(source, path);
        };
        let folder = self.folder(source, &path[..slash])?;
        let file = open_in(&folder.handle, &path[slash + 1..]);
        self.0.lock().push(folder);
        file
    }

    /// Takes a folder that is open; or opens it, and lets go of those of other paths.
    fn folder(&self, source: &OwnedFd, path: &[u8]) -> Result<NearbyFolder, Errno> {
        let others = {
            let mut open = self.0.lock();
            match open.iter().position(|folder| folder.path == path) {
                Some(number) => return Ok(open.swap_remove(number)),
                None => mem::take(&mut *open),
            }
        };
        drop(others);
        let handle = open_beneath(source, path, OFlags::PATH | OFlags::DIRECTORY)?;
        Ok(NearbyFolder { path: path.into(), handle })
    }
}

fn open_in(folder: &OwnedFd, name: &[u8]) -> Result<OwnedFd, Errno> {
    open_quietly(|flags| retry_on_intr(|| rustix::fs::openat(folder, name, flags, Mode::empty())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn neighbours_share_a_folder_and_no_more_are_kept_than_are_used_at_once() {
        let dir = tempfile::tempdir().unwrap();
        for folder in ["a", "b/c"] {
            fs::create_dir_all(dir.path().join(folder)).unwrap();
            fs::write(dir.path().join(folder).join("file"), folder).unwrap();
        }
        std::os::unix::fs::symlink("a", dir.path().join("link")).unwrap();
        std::os::unix::fs::symlink("file", dir.path().join("a/last")).unwrap();
        let (source, nearby) = (fs::File::open(dir.path()).unwrap().into(), Nearby::default());
        let read = |path: &str| {
            let file = nearby.open(&source, path.as_bytes())?;
            Ok::<_, Errno>(std::io::read_to_string(fs::File::from(file)).unwrap())
        };
        for _ in 0..2 {
            assert_eq!(read("a/file"), Ok("a".into()));
            assert_eq!(read("b/c/file"), Ok("b/c".into()));
            assert_eq!(read("a/none"), Err(Errno::NOENT));
            assert_eq!(read("none/file"), Err(Errno::NOENT));
            assert_eq!(read("a/last"), Err(Errno::LOOP));
            assert!(read("link/file").is_err());
            assert!(nearby.0.lock().len() <= 1);
        }
    }
}
