//! Locks on folders of drives, so that two programs never change one set at a time.
//!
//! - Enters: an open folder of a drive.
//! - Leaves: the lock, or who holds it; to be told only, who holds it, without taking it.
//! - Always holds: (1) a lock is the kernel's (`flock`), on the folder itself: whoever reaches the
//!   folder sees it, whatever his user, container or state folder, and it ends with the process that
//!   holds it, however that ends; nothing is written to the drive; (2) a file system that knows no
//!   locks gives a lock that keeps nobody out.

use std::fs;
use std::io;
use std::path::Path;

use rustix::fd::OwnedFd;
use rustix::fs::{FlockOperation, flock, fstat};
use rustix::io::{Errno, retry_on_intr};

use super::detect;

/// A lock that is held until this goes.
#[derive(Default)]
pub struct FolderLock {
    _folder: Option<OwnedFd>,
}

/// Locks a folder; fails with [`io::ErrorKind::ResourceBusy`], and says who holds it, if it is locked.
pub(super) fn lock(folder: OwnedFd) -> io::Result<FolderLock> {
    match retry_on_intr(|| flock(&folder, FlockOperation::NonBlockingLockExclusive)) {
        Ok(()) => Ok(FolderLock { _folder: Some(folder) }),
        Err(Errno::WOULDBLOCK) => {
            let holder = holder(&folder).map_or_else(|| "another holdall".into(), |(_, name)| name);
            Err(io::Error::new(io::ErrorKind::ResourceBusy, holder))
        }
        Err(_) => Ok(FolderLock::default()),
    }
}

/// The other process that holds the lock on a folder, if one does and this one may see it.
pub(super) fn user_of(folder: &OwnedFd) -> Option<String> {
    holder(folder).filter(|(process, _)| *process != std::process::id()).map(|(_, name)| name)
}

/// The same of any folder.
pub fn user_of_folder(path: &Path) -> Option<String> {
    user_of(&fs::File::open(path).ok()?.into())
}

/// The process that holds the lock on a folder, if this one may see it: its id, and what it is.
fn holder(folder: &OwnedFd) -> Option<(u32, String)> {
    let stat = fstat(folder).ok()?;
    let (major, minor) = detect::device_of(folder)?;
    let place = format!("{major:02x}:{minor:02x}:{}", stat.st_ino);
    let locks = fs::read_to_string("/proc/locks").ok()?;
    // `1: FLOCK  ADVISORY  WRITE 2743 fe:00:10027089 0 EOF`
    let held = |line: &&str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        words.get(1) == Some(&"FLOCK") && words.get(5) == Some(&&place[..])
    };
    let line = locks.lines().find(held)?;
    let process: u32 = line.split_whitespace().nth(4)?.parse().ok().filter(|id| *id > 0)?;
    let command = fs::read(format!("/proc/{process}/cmdline")).unwrap_or_default();
    let mut words = command.split(|byte| *byte == 0).map(String::from_utf8_lossy);
    let program = words.next().unwrap_or_default();
    let Some(program) = program.rsplit('/').next().filter(|name| !name.is_empty()) else {
        return Some((process, format!("process {process}"))); // it is ending
    };
    // Options may come before the verb.
    let verb = words.find(|word| !word.starts_with('-')).filter(|_| program == "holdall");
    let verb = verb.map(|verb| format!(" {verb}")).unwrap_or_default();
    Some((process, format!("{program}{verb} (process {process})")))
}
