//! Owner, mode and times of what was restored.
//!
//! - Enters: an entry, and what is restored of it: an open file or folder, or a name in the parts
//!   folder, where nobody else can put something in its place.
//! - Leaves: a list of what could not be set; that is never a reason to give the entry up.
//! - Always holds: (1) the order is owner, mode, times: setting the owner clears set-id bits, and
//!   everything else may change the times; (2) a file gets a set-user-id or set-group-id bit only
//!   if it has the owner or group that the bit was meant for; (3) owners are tried by root only.

use std::io;
use std::os::fd::AsFd;

use cap_std::fs::Dir;
use rustix::fs::{AtFlags, Gid, Mode, Timespec, Timestamps, UTIME_OMIT, Uid};
use rustix::io::Errno;

use crate::format::list::{Entry, Kind, shown_path};

const SET_USER_ID: u32 = 0o4000;
const SET_GROUP_ID: u32 = 0o2000;

/// Metadata of an entry that could not be set.
#[derive(Debug, thiserror::Error)]
#[error("{what} of {} not set", shown_path(.path))]
pub struct MetadataProblem {
    /// the entry's path
    pub path: Vec<u8>,
    /// `owner`, `mode`, `set-id bits`, `times` or `extended attributes`
    pub what: &'static str,
    /// what the system said
    #[source]
    pub source: io::Error,
}

/// Collects what could not be set.
struct Problems<'a> {
    entry: &'a Entry,
    list: Vec<MetadataProblem>,
}

impl<'a> Problems<'a> {
    /// No problems yet but what this program never sets.
    fn new(entry: &'a Entry) -> Self {
        let mut problems = Self { entry, list: Vec::new() };
        if !entry.xattrs.is_empty() {
            problems.note("extended attributes", Err(Errno::NOTSUP));
        }
        problems
    }

    fn note(&mut self, what: &'static str, result: Result<(), Errno>) {
        if let Err(errno) = result {
            let path = self.entry.path.clone();
            self.list.push(MetadataProblem { path, what, source: errno.into() });
        }
    }
}

/// Sets what an open file or folder should have.
pub(super) fn set_on_handle(fd: impl AsFd, entry: &Entry, owners: bool) -> Vec<MetadataProblem> {
    let fd = fd.as_fd();
    let mut problems = Problems::new(entry);
    if owners {
        let set = owner(entry).and_then(|(user, group)| rustix::fs::fchown(fd, user, group));
        problems.note("owner", set);
    }
    let asked = entry.mode & 0o7777;
    let mode = if entry.kind == Kind::Folder { asked } else { asked & !misplaced_bits(fd, entry) };
    problems.note("mode", rustix::fs::fchmod(fd, Mode::from_raw_mode(mode)));
    if mode != asked {
        problems.note("set-id bits", Err(Errno::PERM));
    }
    problems.note("times", rustix::fs::futimens(fd, &times(entry)));
    problems.list
}

/// Sets what a symlink, pipe, device or socket named `name` in the parts folder should have.
pub(super) fn set_on_part(
    parts: &Dir,
    name: &str,
    entry: &Entry,
    owners: bool,
) -> Vec<MetadataProblem> {
    let mut problems = Problems::new(entry);
    if owners {
        let set = owner(entry).and_then(|(user, group)| {
            rustix::fs::chownat(parts, name, user, group, AtFlags::SYMLINK_NOFOLLOW)
        });
        problems.note("owner", set);
    }
    if entry.kind != Kind::Symlink {
        let mode = Mode::from_raw_mode(entry.mode & 0o7777);
        problems.note("mode", rustix::fs::chmodat(parts, name, mode, AtFlags::empty()));
    }
    let set = rustix::fs::utimensat(parts, name, &times(entry), AtFlags::SYMLINK_NOFOLLOW);
    problems.note("times", set);
    problems.list
}

/// Owner and group for chown, which takes the highest number for "leave it".
fn owner(entry: &Entry) -> Result<(Option<Uid>, Option<Gid>), Errno> {
    if entry.uid == u32::MAX || entry.gid == u32::MAX {
        return Err(Errno::INVAL);
    }
    Ok((Some(Uid::from_raw(entry.uid)), Some(Gid::from_raw(entry.gid))))
}

/// The set-id bits of a file that would lend the rights of somebody they were not meant for.
fn misplaced_bits(fd: impl AsFd, entry: &Entry) -> u32 {
    let asked = entry.mode & (SET_USER_ID | SET_GROUP_ID);
    if asked == 0 {
        return 0;
    }
    let Ok(stat) = rustix::fs::fstat(fd) else { return asked };
    let user = if stat.st_uid == entry.uid { 0 } else { SET_USER_ID };
    let group = if stat.st_gid == entry.gid { 0 } else { SET_GROUP_ID };
    asked & (user | group)
}

/// The entry's modification time; the time of access is left alone.
fn times(entry: &Entry) -> Timestamps {
    Timestamps {
        last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
        last_modification: Timespec { tv_sec: entry.mtime, tv_nsec: i64::from(entry.mtime_nanos) },
    }
}
