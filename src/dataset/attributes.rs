//! Extended attributes, as the scan finds them. ACLs are attributes too, by the names
//! `system.posix_acl_access` and `system.posix_acl_default`.
//!
//! - Enters: a folder handle and a name in it.
//! - Leaves: names and values, sorted by name, or what could not be read.
//! - Always holds: (1) a symlink is looked at, not through; (2) an inode without attributes costs
//!   one call to the system, and none where the file system has said that it knows no attributes;
//!   (3) the attributes of one inode are at most [`MAX_BYTES`].
//!
//! There is no call that takes a folder handle and a name, so an inode is reached by the kernel's
//! name for the handle, `/proc/self/fd/…`, and the rest of the path may have any length.
//!
//! All namespaces are kept, but `trusted.` and `security.` by root only: nobody else may set them
//! again, and others do not see them all. What they see and do not keep is counted. The label
//! `security.selinux` is kept by root like any other, since a restore by root can set it, but is
//! not counted as left out: where there are labels every file has one, and restored files get
//! theirs from the system they are restored on.

use parking_lot::RwLock;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::Access;
use rustix::io::Errno;

use super::inode::Inode;
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

/// The names of an inode's attributes, each ended by a zero byte; [`Errno::RANGE`] if they are
/// many, and [`Attributes::read`] has to list them again.
pub type AttributeNames = Result<Vec<u8>, Errno>;

/// What could be had of an inode's attributes.
#[derive(Default)]
pub struct Had {
    /// those that are kept
    pub list: List,
    /// there are more: they could not be read, or only root could restore them
    pub lacks_some: bool,
    /// what could not be read, in words
    pub problem: Option<String>,
}

impl Had {
    fn nothing(problem: String) -> Self {
        Self { list: List::new(), lacks_some: true, problem: Some(problem) }
    }
}

/// Where an inode is reached.
pub struct InodePath {
    path: Vec<u8>,
    follow: bool,
}

impl InodePath {
    /// A name in a folder; `.` for the folder.
    pub fn in_folder(folder: impl AsFd, name: &[u8]) -> Self {
        let mut path = format!("{HANDLES}/{}/", folder.as_fd().as_raw_fd()).into_bytes();
        path.extend_from_slice(name);
        Self { path, follow: false }
    }

    /// SOURCE, if it is a single file or leads to one.
    pub fn source(path: &Path) -> Self {
        Self { path: path.as_os_str().as_bytes().to_vec(), follow: true }
    }

    /// A file that is open.
    pub fn of_file(file: impl AsFd) -> Self {
        let path = format!("{HANDLES}/{}", file.as_fd().as_raw_fd()).into_bytes();
        Self { path, follow: true }
    }

    fn list(&self, buffer: &mut [u8]) -> AttributeNames {
        let path = self.path.as_slice();
        let len = if self.follow {
            rustix::fs::listxattr(path, &mut *buffer)?
        } else {
            rustix::fs::llistxattr(path, &mut *buffer)?
        };
        Ok(buffer[..len].to_vec())
    }

    fn value(&self, name: &[u8], buffer: &mut [u8]) -> Result<Vec<u8>, Errno> {
        let path = self.path.as_slice();
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
    without: RwLock<Vec<u64>>,
    /// attributes that only root could restore
    left_out: AtomicU64,
}

impl Attributes {
    /// For this process and its rights.
    pub fn new() -> Self {
        Self {
            is_root: rustix::process::geteuid().is_root(),
            reachable: rustix::fs::access(HANDLES, Access::EXEC_OK).is_ok(),
            without: RwLock::default(),
            left_out: AtomicU64::new(0),
        }
    }

    /// Whether attributes can be read at all: not where `/proc` is not there.
    pub fn are_reachable(&self) -> bool {
        self.reachable
    }

    /// How many attributes were left out because this user is not root.
    pub fn left_out(&self) -> u64 {
        self.left_out.load(Ordering::Relaxed)
    }

    /// The names of the attributes of `name` in a folder. Any thread may ask.
    pub fn list(&self, folder: impl AsFd, name: &[u8], inode: &Inode) -> AttributeNames {
        let Some(kind) = inode.kind() else {
            return Ok(Vec::new());
        };
        self.list_at(&InodePath::in_folder(folder, name), inode.identity.device, kind)
    }

    /// The same for an inode of this kind at a place on a device.
    pub fn list_at(&self, place: &InodePath, device: u64, kind: Kind) -> AttributeNames {
        let without = || self.without.read();
        if !self.reachable || without().contains(&device) {
            return Ok(Vec::new());
        }
        match place.list(&mut [0; SMALL_BYTES]) {
            Err(Errno::NOTSUP | Errno::NOSYS) => {
                // Of other kinds some say so whose files do have attributes.
                if matches!(kind, Kind::File | Kind::Folder) && !without().contains(&device) {
                    self.without.write().push(device);
                }
                Ok(Vec::new())
            }
            // What is gone has no attributes; that it is gone shows when it is opened.
            Err(Errno::NOENT) => Ok(Vec::new()),
            listed => listed,
        }
    }

    /// Reads the attributes that were listed, and says what could not be read.
    pub fn read(&self, place: &InodePath, listed: AttributeNames) -> Had {
        let listed = match listed {
            Err(Errno::RANGE) => place.list(&mut vec![0; LARGE_BYTES]),
            listed => listed,
        };
        let names = match listed {
            Ok(names) => names,
            Err(errno) => return Had::nothing(failed("its extended attributes", errno)),
        };
        let mut had = Had::default();
        let mut names: Vec<&[u8]> = names
            .split(|byte| *byte == 0)
            .filter(|name| self.is_kept(name, &mut had.lacks_some))
            .collect();
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
                return Had::nothing(detail.into());
            }
        }
        had
    }

    fn is_kept(&self, name: &[u8], lacks_some: &mut bool) -> bool {
        if self.is_root || !ROOT_ONLY.iter().any(|prefix| name.starts_with(prefix)) {
            return !name.is_empty();
        }
        let counts = name != LABEL;
        *lacks_some |= counts;
        self.left_out.fetch_add(counts.into(), Ordering::Relaxed);
        false
    }
}

fn failed(what: &str, errno: Errno) -> String {
    format!("cannot read {what}: {}", std::io::Error::from(errno))
}
