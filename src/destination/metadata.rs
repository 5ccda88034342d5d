//! Owner, extended attributes, mode and times of what was restored.
//!
//! - Enters: an entry, and what is restored of it: an open file or folder, or a name in the parts
//!   folder, where nobody else can put something in its place.
//! - Leaves: a list of what could not be set, or was not kept; that is never a reason to give the
//!   entry up.
//! - Always holds: (1) the order is owner, attributes, ACLs, mode, times, for the reasons below;
//!   (2) a file gets a set-user-id or set-group-id bit only if it has the owner or group that the
//!   bit was meant for; (3) owners, and attributes in `trusted.` and `security.`, are tried by root
//!   only; (4) nothing has an ACL that its entry does not have.
//!
//! The order follows from what one of them does to another. Bytes come before all: a write takes
//! set-id bits and `security.capability` away. So does a change of owner, which is first. An ACL
//! sets the mode's permission bits to its own and may clear set-group-id, while a mode sets the
//! ACL's owner, mask and others to its own. `st_mode` and the ACL of one inode agree about these,
//! so a mode that comes after the ACL changes nothing of it, and brings the set-id bits back.
//! Nobody but root may set `user.` attributes without permission to write, which the ACL and the
//! mode may take: the attributes come before both. All of these may change the times, which are
//! last.

use std::borrow::Cow;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use cap_std::fs::Dir;
use rustix::fs::{AtFlags, Gid, Mode, Stat, Timespec, Timestamps, UTIME_OMIT, Uid, XattrFlags};
use rustix::io::Errno;

use super::owners::{OwnerNames, Owners, WantedOwner};
use crate::format::list::{Entry, Kind, shown_path};

const PERMISSIONS: u32 = 0o777;
/// Some file systems keep times in steps of that.
pub(super) const TIME_STEP_SECONDS: i64 = 2;
const SET_USER_ID: u32 = 0o4000;
const SET_GROUP_ID: u32 = 0o2000;
/// Only root may set what begins so.
const ROOT_ONLY: [&[u8]; 2] = [b"security.", b"trusted."];
/// What the destination's system gives its files by a policy or key of its own, and may refuse to
/// take from others: no problem then.
const ITS_OWN: [&[u8]; 2] = [b"security.evm", b"security.selinux"];
/// Lends rights to whoever runs the file.
const CAPABILITY: &[u8] = b"security.capability";
/// The ACL of a file or folder.
const ACL: &[u8] = b"system.posix_acl_access";
/// What a folder gives to what is made in it.
const DEFAULT_ACL: &[u8] = b"system.posix_acl_default";

/// What an extended attribute is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttributeKind {
    /// anybody's, ACLs too
    User,
    /// lends rights to whoever runs the file
    Capability,
    /// the destination's system gives its own
    Policy,
    /// another that only root may set
    System,
}

/// The kind of an extended attribute of this name.
pub fn attribute_kind(name: &[u8]) -> AttributeKind {
    match name {
        CAPABILITY => AttributeKind::Capability,
        _ if ITS_OWN.contains(&name) => AttributeKind::Policy,
        _ if ROOT_ONLY.iter().any(|prefix| name.starts_with(prefix)) => AttributeKind::System,
        _ => AttributeKind::User,
    }
}

/// Stands for: it was taken, and what is read back is something else.
const NOT_KEPT: Errno = Errno::NODATA;

/// What this process may set, and what it left out for that reason.
pub(super) struct Rights {
    pub(super) is_root: bool,
    /// who has what it makes
    owner: (u32, u32),
    /// who is to have it
    names: OwnerNames,
    /// bits of modes that what it makes was seen not to get
    masked: AtomicU32,
    /// extended attributes that only root may set
    left_out: AtomicU64,
}

impl Rights {
    pub(super) fn of_process(owners: Owners) -> Self {
        let (user, group) = (rustix::process::geteuid(), rustix::process::getegid());
        Self {
            is_root: user.is_root(),
            owner: (user.as_raw(), group.as_raw()),
            names: OwnerNames::new(owners),
            masked: AtomicU32::new(0),
            left_out: AtomicU64::new(0),
        }
    }

    /// Are owners set?
    pub(super) fn sets_owners(&self) -> bool {
        self.is_root && self.names.sets_any()
    }

    /// The mode with which a file is made that nobody else can open: its own, if that stands in the
    /// way of nothing that is to be done.
    pub(super) fn first_mode(&self, entry: &Entry) -> u32 {
        if self.may_begin_with_mode(entry) { entry.mode & PERMISSIONS } else { 0o600 }
    }

    /// Attributes need permission to write, and set-id bits the owner.
    fn may_begin_with_mode(&self, entry: &Entry) -> bool {
        let plain = entry.mode & 0o7777 & !PERMISSIONS == 0;
        plain && entry.xattrs.is_empty() && entry.mode & self.masked.load(Ordering::Relaxed) == 0
    }

    /// How many attributes were left out.
    pub(super) fn left_out(&self) -> u64 {
        self.left_out.load(Ordering::Relaxed)
    }

    /// Whether an attribute is to be set; counts it if not.
    fn allow(&self, name: &[u8]) -> bool {
        let kind = attribute_kind(name);
        let allowed = self.is_root || kind == AttributeKind::User;
        if !allowed && kind != AttributeKind::Policy {
            self.left_out.fetch_add(1, Ordering::Relaxed);
        }
        allowed
    }
}

/// Metadata of an entry that could not be set.
#[derive(Debug, thiserror::Error)]
#[error("{what} of {} not set", shown_path(.path))]
pub struct MetadataProblem {
    /// the entry's path
    pub path: Vec<u8>,
    /// `owner`, `mode`, `set-id bits`, `times` or `extended attribute NAME`
    pub what: Cow<'static, str>,
    /// what the system said
    #[source]
    pub source: io::Error,
}

/// Collects what could not be set.
struct MetadataProblems<'a> {
    entry: &'a Entry,
    list: Vec<MetadataProblem>,
}

impl<'a> MetadataProblems<'a> {
    fn new(entry: &'a Entry) -> Self {
        Self { entry, list: Vec::new() }
    }

    fn note(&mut self, what: impl Into<Cow<'static, str>>, result: Result<(), Errno>) {
        if let Err(errno) = result {
            let source = match errno {
                NOT_KEPT => io::Error::other("the destination takes it and does not keep it"),
                errno => errno.into(),
            };
            self.add(what, source);
        }
    }

    fn add(&mut self, what: impl Into<Cow<'static, str>>, source: io::Error) {
        let path = self.entry.path.clone();
        self.list.push(MetadataProblem { path, what: what.into(), source });
    }

    /// Notes which names of its owner this machine does not know.
    fn note_guesses(&mut self, wanted: WantedOwner) {
        wanted.guesses().for_each(|(what, source)| self.add(what, source));
    }

    /// Notes what was taken and not kept: file systems without owners, modes or exact times agree
    /// to all of them. The owner is compared if there is one that was set.
    fn compare(&mut self, found: &Stat, mode: u32, owner: Option<WantedOwner>) {
        let plain = 0o1777;
        let is_owner = |owner: WantedOwner| (found.st_uid, found.st_gid) == (owner.uid, owner.gid);
        let compared = [
            ("owner", owner.is_none_or(is_owner)),
            ("mode", found.st_mode & plain == mode & plain),
        ];
        for (what, is_kept) in compared {
            // What was refused was noted then.
            if !is_kept && !self.has(what) {
                self.note(what, Err(NOT_KEPT));
            }
        }
        if !self.has("times") {
            self.compare_times(found);
        }
    }

    fn compare_times(&mut self, found: &Stat) {
        const SECOND: i128 = 1_000_000_000;
        let nanos = |seconds: i64, nanos: i128| i128::from(seconds) * SECOND + nanos;
        let kept = nanos(found.st_mtime, found.st_mtime_nsec.into());
        let off = (kept - nanos(self.entry.mtime, self.entry.mtime_nanos.into())).abs();
        if off == 0 {
            return;
        }
        if off > 2 * SECOND {
            return self.note("times", Err(NOT_KEPT));
        }
        let step = if off < SECOND { "a second" } else { "two seconds" };
        self.add("times", io::Error::other(format!("the destination keeps them within {step}")));
    }

    fn has(&self, what: &str) -> bool {
        self.list.iter().any(|problem| problem.what == what)
    }

    /// Sets the entry's extended attributes, ACLs last.
    fn set_attributes(&mut self, on: &On, rights: &Rights) {
        let all = &self.entry.xattrs;
        let is_acl = |name: &[u8]| name == ACL || name == DEFAULT_ACL;
        let others = all.iter().filter(|(name, _)| !is_acl(name));
        for (name, value) in others.chain(all.iter().filter(|(name, _)| is_acl(name))) {
            if !rights.allow(name) {
                continue;
            }
            let mut set = on.set(name, value);
            let kept =
                || if is_acl(name) { on.keeps_acl(name, value) } else { on.has(name, value) };
            if set.is_ok() && !kept() {
                set = Err(NOT_KEPT);
            }
            if set.is_err() && !ITS_OWN.contains(&name.as_slice()) {
                self.note(format!("extended attribute {}", shown_path(name)), set);
            }
        }
    }
}

/// What attributes are set on.
enum On<'a> {
    /// an open file or folder
    Handle(BorrowedFd<'a>),
    /// a path, not followed if it is a symlink
    Path(String),
}

impl On<'_> {
    fn set(&self, name: &[u8], value: &[u8]) -> Result<(), Errno> {
        match self {
            Self::Handle(fd) => rustix::fs::fsetxattr(fd, name, value, XattrFlags::empty()),
            Self::Path(path) => {
                rustix::fs::lsetxattr(path.as_str(), name, value, XattrFlags::empty())
            }
        }
    }

    fn get(&self, name: &[u8], found: &mut [u8]) -> Result<usize, Errno> {
        match self {
            Self::Handle(fd) => rustix::fs::fgetxattr(fd, name, found),
            Self::Path(path) => rustix::fs::lgetxattr(path.as_str(), name, found),
        }
    }

    fn has(&self, name: &[u8], value: &[u8]) -> bool {
        let mut found = vec![0; value.len() + 1];
        self.get(name, &mut found).is_ok_and(|len| found[..len] == *value)
    }

    /// The system may write an ACL in its own way, so that it is there is all that is looked at.
    fn keeps_acl(&self, name: &[u8], value: &[u8]) -> bool {
        let there = self.get(name, &mut vec![0; value.len() + 1]);
        !is_lost_acl(value, there.err())
    }
}

/// Is an ACL that was taken not there? One that says no more than a mode is none: it becomes the
/// mode.
fn is_lost_acl(value: &[u8], error: Option<Errno>) -> bool {
    const OF_MODE_BYTES: usize = 4 + 3 * 8;
    value.len() > OF_MODE_BYTES && matches!(error, Some(Errno::NODATA | Errno::NOTSUP))
}

/// Sets what an open file or folder should have.
pub(super) fn set_on_handle(fd: impl AsFd, entry: &Entry, rights: &Rights) -> Vec<MetadataProblem> {
    let fd = fd.as_fd();
    let mut problems = MetadataProblems::new(entry);
    let wanted = rights.names.wanted(entry);
    if rights.sets_owners() {
        let set = owner(wanted).and_then(|(user, group)| rustix::fs::fchown(fd, user, group));
        problems.note("owner", set);
        problems.note_guesses(wanted);
    }
    if entry.kind == Kind::Folder {
        prepare_folder(fd, entry, rights);
    }
    problems.set_attributes(&On::Handle(fd), rights);
    let asked = entry.mode & 0o7777;
    let mode =
        if entry.kind == Kind::Folder { asked } else { asked & !misplaced_bits(fd, asked, wanted) };
    let set = rustix::fs::fchmod(fd, Mode::from_raw_mode(mode));
    problems.note("mode", set);
    if mode != asked || (set.is_ok() && lost_bits(fd, mode)) {
        problems.note("set-id bits", Err(Errno::PERM));
    }
    problems.note("times", set_times(fd, &times(entry)));
    if let Ok(found) = rustix::fs::fstat(fd) {
        problems.compare(&found, mode, rights.sets_owners().then_some(wanted));
    }
    problems.list
}

/// Sets what a file should have that was made with [`Rights::first_mode`]: most need no more than
/// their time.
pub(super) fn set_on_new_file(
    fd: impl AsFd,
    entry: &Entry,
    rights: &Rights,
) -> Vec<MetadataProblem> {
    let fd = fd.as_fd();
    if rights.may_begin_with_mode(entry) {
        let wanted = rights.sets_owners().then(|| rights.names.wanted(entry));
        if let Some(wanted) = wanted.filter(|wanted| rights.owner != (wanted.uid, wanted.gid)) {
            let _ = owner(wanted).and_then(|(user, group)| rustix::fs::fchown(fd, user, group));
        }
        let _ = set_times(fd, &times(entry));
        if let Ok(found) = rustix::fs::fstat(fd) {
            let mut problems = MetadataProblems::new(entry);
            wanted.iter().for_each(|wanted| problems.note_guesses(*wanted));
            problems.compare(&found, entry.mode, wanted);
            if problems.list.is_empty() {
                return problems.list;
            }
            let masked = entry.mode & PERMISSIONS & !found.st_mode;
            rights.masked.fetch_or(masked, Ordering::Relaxed);
        }
    }
    set_on_handle(fd, entry, rights)
}

/// Makes a folder, which may be as an earlier run has finished it, ready for its attributes. An ACL
/// that the entry does not have was inherited from a folder above.
fn prepare_folder(fd: BorrowedFd<'_>, entry: &Entry, rights: &Rights) {
    for acl in [ACL, DEFAULT_ACL] {
        if !entry.xattrs.iter().any(|(name, _)| name == acl) {
            remove_acl(fd, acl);
        }
    }
    if !entry.xattrs.is_empty() && !rights.is_root {
        // If that fails, so does setting the mode, which is reported.
        let _ = rustix::fs::fchmod(fd, Mode::RWXU);
    }
}

/// Gives a folder in which something was changed its mode and times again. Refused only where it
/// was refused before, and reported then.
pub(super) fn put_back(folder: &Dir, mode: u32, times: &Timestamps) {
    let _ = rustix::fs::fchmod(folder, Mode::from_raw_mode(mode & 0o7777));
    let _ = set_times(folder, times);
}

/// What is made in this folder from now on inherits no ACL.
pub(super) fn end_inheritance(folder: &Dir) {
    remove_acl(folder.as_fd(), DEFAULT_ACL);
}

/// An error says that there is no such ACL, or that the file system knows none. It is looked for
/// first, which costs no write.
fn remove_acl(fd: BorrowedFd<'_>, acl: &[u8]) {
    if rustix::fs::fgetxattr(fd, acl, &mut [0_u8; 0]) != Err(Errno::NODATA) {
        let _ = rustix::fs::fremovexattr(fd, acl);
    }
}

/// Sets what a symlink, pipe, device or socket named `name` in the parts folder should have.
pub(super) fn set_on_part(
    parts: &Dir,
    name: &str,
    entry: &Entry,
    rights: &Rights,
) -> Vec<MetadataProblem> {
    let mut problems = MetadataProblems::new(entry);
    let wanted = rights.sets_owners().then(|| rights.names.wanted(entry));
    if let Some(wanted) = wanted {
        let set = owner(wanted).and_then(|(user, group)| {
            rustix::fs::chownat(parts, name, user, group, AtFlags::SYMLINK_NOFOLLOW)
        });
        problems.note("owner", set);
        problems.note_guesses(wanted);
    }
    let path = format!("/proc/self/fd/{}/{name}", parts.as_raw_fd());
    problems.set_attributes(&On::Path(path), rights);
    if entry.kind != Kind::Symlink {
        let mode = Mode::from_raw_mode(entry.mode & 0o7777);
        problems.note("mode", rustix::fs::chmodat(parts, name, mode, AtFlags::empty()));
    }
    let set = set_times_by(
        &times(entry),
        |times| rustix::fs::utimensat(parts, name, times, AtFlags::SYMLINK_NOFOLLOW),
        || rustix::fs::statat(parts, name, AtFlags::SYMLINK_NOFOLLOW),
    );
    problems.note("times", set);
    if let Ok(found) = rustix::fs::statat(parts, name, AtFlags::SYMLINK_NOFOLLOW) {
        let is_symlink = entry.kind == Kind::Symlink;
        let mode = if is_symlink { found.st_mode } else { entry.mode } & 0o7777;
        problems.compare(&found, mode, wanted);
    }
    problems.list
}

/// Owner and group for chown, which takes the highest number for "leave it".
fn owner(wanted: WantedOwner) -> Result<(Option<Uid>, Option<Gid>), Errno> {
    if wanted.uid == u32::MAX || wanted.gid == u32::MAX {
        return Err(Errno::INVAL);
    }
    Ok((Some(Uid::from_raw(wanted.uid)), Some(Gid::from_raw(wanted.gid))))
}

/// The set-id bits of a file's mode that would lend the rights of somebody they were not meant for.
fn misplaced_bits(fd: impl AsFd, mode: u32, wanted: WantedOwner) -> u32 {
    let asked = mode & (SET_USER_ID | SET_GROUP_ID);
    if asked == 0 {
        return 0;
    }
    let Ok(stat) = rustix::fs::fstat(fd) else { return asked };
    let is_user = stat.st_uid == wanted.uid && !wanted.guessed_user;
    let is_group = stat.st_gid == wanted.gid && !wanted.guessed_group;
    let user = if is_user { 0 } else { SET_USER_ID };
    let group = if is_group { 0 } else { SET_GROUP_ID };
    asked & (user | group)
}

/// Whether the system dropped set-id bits of a mode without a word, as it does if the user is not
/// in the group.
fn lost_bits(fd: impl AsFd, mode: u32) -> bool {
    let asked = mode & (SET_USER_ID | SET_GROUP_ID);
    asked != 0 && rustix::fs::fstat(fd).is_ok_and(|stat| stat.st_mode & asked != asked)
}

/// Takes off the entry what lends somebody's rights to whoever runs the file.
pub(super) fn disarm(entry: &mut Entry) {
    entry.mode &= 0o777;
    entry.xattrs.retain(|(name, _)| name != CAPABILITY);
}

/// Sets the times of an open file or folder.
fn set_times(fd: impl AsFd, times: &Timestamps) -> Result<(), Errno> {
    let fd = fd.as_fd();
    set_times_by(times, |times| rustix::fs::futimens(fd, times), || rustix::fs::fstat(fd))
}

/// Sets the modification time. Some file systems in FUSE ignore a call that leaves the time of
/// access alone: they are told it, too.
fn set_times_by(
    times: &Timestamps,
    set: impl Fn(&Timestamps) -> Result<(), Errno>,
    look: impl Fn() -> Result<Stat, Errno>,
) -> Result<(), Errno> {
    set(times)?;
    let wanted = times.last_modification;
    if let Ok(found) = look()
        && (found.st_mtime, found.st_mtime_nsec.cast_signed()) != (wanted.tv_sec, wanted.tv_nsec)
    {
        let nanos = found.st_atime_nsec.cast_signed();
        let last_access = Timespec { tv_sec: found.st_atime, tv_nsec: nanos };
        // What was kept is read back.
        let _ = set(&Timestamps { last_access, last_modification: wanted });
    }
    Ok(())
}

/// Does a new file keep a time that it is given?
pub(super) fn keeps_times(file: &File) -> bool {
    const LONG_AGO: i64 = 1_000_000_000;
    let set = set_times(file, &mtime(LONG_AGO, 0));
    let found = set.and_then(|()| rustix::fs::fstat(file));
    found.is_ok_and(|found| (found.st_mtime - LONG_AGO).abs() <= TIME_STEP_SECONDS)
}

/// The modification time of an entry, to be set.
pub(super) fn times(entry: &Entry) -> Timestamps {
    mtime(entry.mtime, entry.mtime_nanos.into())
}

/// A modification time to be set; the time of access is left alone.
pub(super) fn mtime(seconds: i64, nanos: u64) -> Timestamps {
    Timestamps {
        last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
        last_modification: Timespec { tv_sec: seconds, tv_nsec: nanos.cast_signed() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::testing::acl_of_754;

    /// As on a file system that agrees to an ACL and forgets it.
    #[test]
    fn an_acl_that_is_taken_and_not_kept_is_noticed() {
        let acl = acl_of_754();
        assert!(is_lost_acl(&acl, Some(Errno::NODATA)) && is_lost_acl(&acl, Some(Errno::NOTSUP)));
        assert!(!is_lost_acl(&acl, None) && !is_lost_acl(&acl, Some(Errno::RANGE)));
        assert!(!is_lost_acl(&acl[..28], Some(Errno::NODATA)), "it is in the mode");
    }
}
