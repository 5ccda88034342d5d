//! Trees for tests, and what tests of metadata need.

use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

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

/// What root made for a test that runs as nobody.
const SCENE: &str = "HOLDALL_TEST_SCENE";

/// Runs a test of `module` again as a user without rights, if this process is root's. Nothing is
/// run if that user may not reach this program.
pub fn also_as_nobody(module: &str, test: &str) {
    as_nobody_in(module, test, Path::new(""));
}

/// The same; that run gets `scene` from [`scene`].
pub fn as_nobody_in(module: &str, test: &str, scene: &Path) {
    const NOBODY: u32 = 65_534;
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let name = format!("{}::{test}", module.split_once("::").unwrap().1);
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([name.as_str(), "--exact", "--nocapture"]).env(SCENE, scene);
    command.uid(NOBODY).gid(NOBODY);
    if let Ok(done) = command.output() {
        let output = String::from_utf8_lossy(&done.stdout);
        let warned = String::from_utf8_lossy(&done.stderr);
        assert!(
            done.status.success() && output.contains("1 passed"),
            "as nobody: {output}{warned}"
        );
    }
}

/// The scene, in a run that was given one.
pub fn scene() -> Option<PathBuf> {
    std::env::var_os(SCENE).filter(|scene| !scene.is_empty()).map(PathBuf::from)
}

/// The raw bytes of an ACL: tag, permissions and number of each entry.
pub fn acl(entries: &[(u16, u16, u32)]) -> Vec<u8> {
    let mut bytes = 2_u32.to_le_bytes().to_vec();
    for (tag, permissions, id) in entries {
        bytes.extend_from_slice(&tag.to_le_bytes());
        bytes.extend_from_slice(&permissions.to_le_bytes());
        bytes.extend_from_slice(&id.to_le_bytes());
    }
    bytes
}

/// An ACL for one more user, which goes with the mode `0o754`.
pub fn acl_of_754() -> Vec<u8> {
    let none = u32::MAX;
    acl(&[(1, 7, none), (2, 5, 1_234), (4, 4, none), (16, 5, none), (32, 4, none)])
}

/// A `security.capability`: may open raw sockets.
pub const CAPABILITY: &[u8] = b"\x01\0\0\x02\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0";

/// Scratch folders on a disk and in memory, which differ in what attributes they take.
pub fn scratch_folders() -> Vec<TempDir> {
    let in_memory = tempfile::tempdir_in("/dev/shm");
    [tempfile::tempdir(), in_memory].into_iter().flatten().collect()
}

/// Sets an attribute of a path that is not followed.
#[track_caller]
pub fn set_attribute(path: &Path, name: &str, value: &[u8]) {
    rustix::fs::lsetxattr(path, name, value, rustix::fs::XattrFlags::empty()).unwrap();
}

/// All attributes of a path that is not followed, sorted, as the system gives them now. What only
/// root sees is left out for others, labels for all.
#[track_caller]
pub fn attributes(path: &Path) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut names = vec![0; 1 << 16];
    let len = rustix::fs::llistxattr(path, &mut names[..]).unwrap();
    let mut list: Vec<_> = names[..len]
        .split_inclusive(|byte| *byte == 0)
        .map(|name| name[..name.len() - 1].to_vec())
        .filter(|name| name != b"security.selinux")
        .map(|name| {
            let mut value = vec![0; 1 << 16];
            let len = rustix::fs::lgetxattr(path, name.as_slice(), &mut value[..]).unwrap();
            value.truncate(len);
            (name, value)
        })
        .collect();
    list.sort();
    list
}
