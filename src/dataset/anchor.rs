//! Whether SOURCE is still there.
//!
//! - Enters: SOURCE's path and handle, as they were when it was opened.
//! - Leaves: nothing if it is the same, else what the system says.
//! - Always holds: a folder that lies behind SOURCE's path now, such as a mount point whose drive is
//!   gone, is not taken for it.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;

use super::inode::{Identity, Inode};

/// SOURCE, as it was when it was opened.
#[derive(Debug)]
pub struct Anchor {
    path: PathBuf,
    identity: Identity,
    /// where the system lists the block device that SOURCE lies on, if it lies on one
    block_device: Option<PathBuf>,
}

impl Anchor {
    /// Remembers it.
    pub fn new(path: &Path, inode: &Inode) -> Self {
        let device = inode.identity.device;
        let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
        let listed = PathBuf::from(format!("/sys/dev/block/{major}:{minor}"));
        let block_device = Some(listed).filter(|listed| listed.exists());
        Self { path: path.to_path_buf(), identity: inode.identity, block_device }
    }

    /// SOURCE's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The number of its inode.
    pub fn inode(&self) -> u64 {
        self.identity.inode
    }

    /// Is it still there? `folder` is its handle, if it is a folder.
    pub fn check(&self, folder: Option<&OwnedFd>) -> io::Result<()> {
        let gone = |text: &str| io::Error::new(io::ErrorKind::NotFound, text);
        if let Some(folder) = folder {
            if Inode::of_handle(folder)?.links == 0 {
                return Err(gone("it was removed"));
            }
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
            rustix::fs::openat(folder, ".", flags, Mode::empty())?;
        }
        if self.block_device.as_ref().is_some_and(|listed| !listed.exists()) {
            return Err(Errno::NODEV.into());
        }
        let now = Inode::followed(CWD, self.path.as_os_str().as_bytes())?;
        if now.identity.device != self.identity.device {
            return Err(gone("its file system is no longer mounted there"));
        }
        Ok(())
    }
}
