//! The block device under a FUSE driver, whose page cache the driver reads through.
//!
//! - Enters: the number of the device that the kernel mounted.
//! - Leaves: the device, open; its page cache dropped.
//! - Always holds: (1) nothing is written, for the device is open for reading only; (2) it is the
//!   very device that the kernel names for the mount, under a driver that keeps no bytes of files
//!   itself; (3) what cannot be opened is none: the reads are [`super::Level::Cached`] then.
//!
//! exfat-fuse and ntfs-3g open the device as they would a file, so whatever they write stays in the
//! device's own page cache, and what they read comes from there, be it `O_DIRECT` on the mounted
//! file or not. Dropping that cache is up to whoever may open the device: `root`, or on many
//! desktops the group `disk`.

use std::io;

use rustix::fd::OwnedFd;
use rustix::fs::{self, FileType, Mode, OFlags};
use rustix::io::retry_on_intr;

use super::{detect, filesystem};

/// What the kernel calls the mounts of drivers whose caches are known.
///
/// The drivers of exFAT and NTFS most often give no name of their own. Others, such as fuse2fs and
/// lklfuse, do, and keep blocks in their own memory, which nobody else can drop.
fn is_known(file_system: &str) -> bool {
    match file_system.strip_prefix("fuseblk") {
        Some("") => true,
        Some(name) => name.starts_with(".exfat") || name.starts_with(".ntfs"),
        None => false,
    }
}

/// Opens the device under a FUSE driver; `None` if there is no such, it may not be opened, or the
/// driver is not known.
///
/// A mount without a device has a number that belongs to none, and is of type `fuse`.
pub(super) fn open(number: u64) -> Option<OwnedFd> {
    let mount = detect::mount_of(number).filter(|mount| is_known(&mount.file_system))?;
    // Without NONBLOCK a pipe that lies there meanwhile would wait for ever.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let device = retry_on_intr(|| fs::open(&*mount.source, flags, Mode::empty())).ok()?;
    let stat = retry_on_intr(|| fs::fstat(&device)).ok()?;
    let is_block = FileType::from_raw_mode(stat.st_mode) == FileType::BlockDevice;
    (is_block && stat.st_rdev == number).then_some(device)
}

/// Drops a device's page cache, so that the next read of the driver asks the medium.
///
/// Only clean pages are dropped, so what the driver has not written out, such as its tables, is
/// written first. A device that is gone cannot be written to, but its clean pages go all the same.
pub(super) fn forget(device: &OwnedFd) -> io::Result<()> {
    let synced = filesystem::sync_file(device);
    filesystem::forget_clean(device)?;
    synced
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drivers_with_caches_of_their_own_are_not_known() {
        for name in ["fuseblk", "fuseblk.exfat", "fuseblk.exfat-fuse", "fuseblk.ntfs-3g"] {
            assert!(is_known(name), "{name}");
        }
        for name in ["fuse", "fuse.ntfs-3g", "fuseblk.ext4", "fuse.lklfuse", "fuseblk2", "ext4"] {
            assert!(!is_known(name), "{name}");
        }
    }

    #[test]
    fn only_fuse_drivers_have_such_a_device() {
        let here = std::os::unix::fs::MetadataExt::dev(&std::fs::metadata("/").unwrap());
        for number in [0, here, u64::MAX] {
            assert!(open(number).is_none(), "{number}");
        }
    }
}
