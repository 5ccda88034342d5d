//! On which file systems the size of a file is what can be read of it.
//!
//! - Enters: a device's number, and a way to open one of its files.
//! - Leaves: whether a file of size 0 there is empty, or has to be read to know.
//! - Always holds: a device is looked at once, so empty files on a disk cost nothing.

use parking_lot::Mutex;
use std::os::fd::OwnedFd;

/// File systems that keep files on a disk, or in memory, of their own: their magic numbers. What is
/// not listed (FUSE, network file systems, `/proc`, `/sys`) may learn a size late, or make it up.
const KEPT: [u64; 19] = [
    0xef53,      // ext2, ext3, ext4
    0x5846_5342, // XFS
    0x9123_683e, // btrfs
    0xf2f5_2010, // F2FS
    0xca45_1a4e, // bcachefs
    0x2fc1_2fc1, // ZFS
    0x3153_464a, // JFS
    0x5265_4973, // ReiserFS
    0x3434,      // NILFS
    0x4d44,      // FAT
    0x2011_bab0, // exFAT
    0x7366_746e, // NTFS, the kernel's
    0x482b,      // HFS+
    0x1501_3346, // UDF
    0x9660,      // ISO 9660
    0x7371_7368, // SquashFS
    0xe0f5_e1e2, // EROFS
    0x0102_1994, // tmpfs
    0x794c_7630, // overlayfs
];

/// What is known of the devices met so far.
#[derive(Debug, Default)]
pub struct Sizes(Mutex<Vec<(u64, bool)>>);

impl Sizes {
    /// Are the sizes of files on this device known? `open` opens one of them; if it cannot, what the
    /// system says is believed this once.
    pub fn are_known(&self, device: u64, open: impl FnOnce() -> Option<OwnedFd>) -> bool {
        let known = || self.0.lock();
        if let Some((_, kept)) = known().iter().find(|(number, _)| *number == device) {
            return *kept;
        }
        let Some(found) = open().and_then(|file| rustix::fs::fstatfs(file).ok()) else {
            return true;
        };
        let kept = KEPT.contains(&(found.f_type as u64));
        known().push((device, kept));
        kept
    }
}
