//! Extended attributes, as the scan finds them. ACLs are attributes too, by the names
//! `system.posix_acl_access` and `system.posix_acl_default`.
//!
//! - Enters: where an inode is reached.
//! - Leaves: names and values, sorted by name, or what could not be read.
//! - Always holds: (1) a symlink is looked at, not through; (2) an inode without attributes costs
//!   one call to the system, and none where the file system has said that it knows no attributes;
//!   (3) the attributes of one inode are at most [`MAX_BYTES`].
//!
//! No call of every kernel takes a folder handle and a name. So an inode is reached from the thread's
//! own current folder, or where a thread has none by the kernel's name for the handle,
//! `/proc/self/fd/…`, which costs four times as much. The rest of the path may have any length.
//!
//! All namespaces are kept, but `trusted.` and `security.` by root only: nobody else may set them
//! again, and others do not see them all. What they see and do not keep is counted. The label
//! `security.selinux` is kept by root like any other, since a restore by root can set it, but is
//! not counted as left out: where there are labels every file has one, and restored files get
//! theirs from the system they are restored on.

use std::borrow::Cow;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::Access;
use rustix::io::Errno;

use crate::format::list::{Kind, shown_path};

/// The most bytes that the names and values of one entry's attributes may have.
const MAX_BYTES: usize = 1 << 20;
/// Bytes in which the names, and those in which a value, should fit at first.
const SMALL_BYTES: usize = 512;
/// Bytes in which all the names of an inode fit, and any value, as the kernel bounds them.
const LARGE_BYTES: usize = 64 << 10;
/// Only root may set what begins so.
const ROOT_ONLY: [&[u8]; 2] = [b"security.", b"trusted."];
/// Not counted when it is left out.
const LABEL: &[u8] = b"security.selinux";
/// Where the kernel names this process's handles.
const HANDLES: &str = "/proc/self/fd";

/// Names and values.
pub type List = Vec<(Vec<u8>, Vec<u8>)>;

/// What could be had of an inode's attributes.
#[derive(Default)]
pub struct Had {
    /// those that are kept
    pub list: List,
    /// there are more: they could not be read, or only root could restore them
    pub lacks_some: bool,
    /// how many only root could restore
    pub left_out: u64,
    /// what could not be read, in words
    pub problem: Option<String>,
}

impl Had {
    fn nothing(problem: String) -> Self {
        Self { lacks_some: true, problem: Some(problem), ..Self::default() }
    }
}

/// Where an inode is reached.
pub struct InodePath<'a> {
    path: Cow<'a, [u8]>,
    follow: bool,
}

impl<'a> InodePath<'a> {
    /// A name in the thread's current folder.
    pub fn in_current(name: &'a [u8]) -> Self {
        Self { path: name.into(), follow: false }
    }

    /// A name in a folder; `.` for the folder.
    pub fn in_folder(folder: impl AsFd, name: &[u8]) -> Self {
        let mut path = format!("{HANDLES}/{}/", folder.as_fd().as_raw_fd()).into_bytes();
        path.extend_from_slice(name);
        Self { path: path.into(), follow: false }
    }

    /// SOURCE, if it is a single file or leads to one.
    pub fn source(path: &'a Path) -> Self {
        Self { path: path.as_os_str().as_bytes().into(), follow: true }
    }

    /// A file that is open.
    pub fn of_file(file: impl AsFd) -> Self {
        let path = format!("{HANDLES}/{}", file.as_fd().as_raw_fd()).into_bytes();
        Self { path: path.into(), follow: true }
    }

    fn list(&self, buffer: &mut [u8]) -> Result<Vec<u8>, Errno> {
        let path = &*self.path;
        let len = if self.follow {
            rustix::fs::listxattr(path, &mut *buffer)?
        } else {
            rustix::fs::llistxattr(path, &mut *buffer)?
        };
        Ok(buffer[..len].to_vec())
    }

    fn value(&self, name: &[u8], buffer: &mut [u8]) -> Result<Vec<u8>, Errno> {
        let path = &*self.path;
        let len = if self.follow {
            rustix::fs::getxattr(path, name, &mut *buffer)?
        } else {
            rustix::fs::lgetxattr(path, name, &mut *buffer)?
        };
        Ok(buffer[..len].to_vec())
    }
}

/// Reads attributes, and remembers where there are none to be read.
pub struct Attributes {
    is_root: bool,
    reachable: bool,
    /// devices that know no attributes
    without: Vec<u64>,
}

impl Attributes {
    /// For this process and its rights.
    pub fn new() -> Self {
        Self {
            is_root: rustix::process::geteuid().is_root(),
            reachable: rustix::fs::access(HANDLES, Access::EXEC_OK).is_ok(),
            without: Vec::new(),
        }
    }

    /// Whether attributes can be read at all: not where `/proc` is not there.
    pub fn are_reachable(&self) -> bool {
        self.reachable
    }

    /// Reads the attributes of an inode of this kind at a place on a device, and says what could not
    /// be read.
    pub fn read(&mut self, place: &InodePath, device: u64, kind: Kind) -> Had {
        if !self.reachable || self.without.contains(&device) {
            return Had::default();
        }
        let listed = match place.list(&mut [0; SMALL_BYTES]) {
            Err(Errno::RANGE) => place.list(&mut vec![0; LARGE_BYTES]),
            listed => listed,
        };
        match listed {
            Ok(names) if names.is_empty() => Had::default(),
            Ok(names) => self.values(place, &names),
            Err(Errno::NOTSUP | Errno::NOSYS) => {
                // Of other kinds some say so whose files do have attributes.
                if matches!(kind, Kind::File | Kind::Folder) {
                    self.without.push(device);
                }
                Had::default()
            }
            // What is gone has no attributes; that it is gone shows when it is opened.
            Err(Errno::NOENT) => Had::default(),
            Err(errno) => Had::nothing(failed("its extended attributes", errno)),
        }
    }

    /// The values of the attributes of these names, each ended by a zero byte.
    fn values(&self, place: &InodePath, names: &[u8]) -> Had {
        let mut had = Had::default();
        let mut names: Vec<&[u8]> =
            names.split(|byte| *byte == 0).filter(|name| self.is_kept(name, &mut had)).collect();
        names.sort_unstable();
        names.dedup();
        let mut bytes = 0;
        for name in names {
            let value = match place.value(name, &mut [0; SMALL_BYTES]) {
                Err(Errno::RANGE) => place.value(name, &mut vec![0; LARGE_BYTES]),
                value => value,
            };
            match value {
                Ok(value) => {
                    bytes += name.len() + value.len();
                    had.list.push((name.to_vec(), value));
                }
                // It was removed since, or is only listed: there is nothing to keep.
                Err(Errno::NODATA | Errno::NOTSUP | Errno::NOENT) => {}
                Err(errno) => {
                    let what = format!("its extended attribute {}", shown_path(name));
                    had.lacks_some = true;
                    had.problem.get_or_insert_with(|| failed(&what, errno));
                }
            }
            if bytes > MAX_BYTES {
                let detail = "its extended attributes have more than 1 MiB; they are left out";
                return Had { left_out: had.left_out, ..Had::nothing(detail.into()) };
            }
        }
        had
    }

    fn is_kept(&self, name: &[u8], had: &mut Had) -> bool {
        if self.is_root || !ROOT_ONLY.iter().any(|prefix| name.starts_with(prefix)) {
            return !name.is_empty();
        }
        let counts = name != LABEL;
        had.lacks_some |= counts;
        had.left_out += u64::from(counts);
        false
    }
}

fn failed(what: &str, errno: Errno) -> String {
    format!("cannot read {what}: {}", std::io::Error::from(errno))
}
