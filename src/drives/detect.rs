//! Where drives may be mounted, for the user who names none.
//!
//! - Enters: `/proc/self/mountinfo`, or the paths that the user gave.
//! - Leaves: mount points of file systems that can be drives; which paths share a device or lie in
//!   each other, and on which file system a path lies.
//! - Always holds: (1) nothing is mounted, and nothing is read but the kernel's list and what
//!   `stat` says; (2) file systems on the network are left out, for a dead server would block the
//!   search: the user can name them.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs as kernel;

/// File systems that are no drive: the kernel's own, memory, images of the system, the network.
#[rustfmt::skip]
const NO_DRIVES: [&str; 43] = [
    "9p", "afs", "aufs", "autofs", "bdev", "binder", "binfmt_misc", "bpf", "ceph", "cgroup",
    "cgroup2", "cifs", "configfs", "cpuset", "debugfs", "devpts", "devtmpfs", "efivarfs", "erofs",
    "fusectl", "hugetlbfs", "mqueue", "nfs", "nfs4", "nfsd", "nsfs", "overlay", "pipefs", "proc",
    "pstore", "ramfs", "resctrl", "rootfs", "rpc_pipefs", "securityfs", "selinuxfs", "smackfs",
    "smb3", "sockfs", "squashfs", "sysfs", "tmpfs", "tracefs",
];

/// FUSE drivers that show something else than a device, or ask a server.
const NO_FUSE_DRIVES: [&str; 8] = [
    "fuse.gvfsd-fuse",
    "fuse.lxcfs",
    "fuse.portal",
    "fuse.rclone",
    "fuse.s3fs",
    "fuse.snapfuse",
    "fuse.squashfuse",
    "fuse.sshfs",
];

/// One line of the kernel's list.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Mount {
    /// its number in this list
    id: u64,
    /// its number, as `8:17`
    device: Vec<u8>,
    /// the folder of that device's file system that is shown; not `/` for a bind mount
    root: Vec<u8>,
    point: PathBuf,
    pub(super) file_system: String,
    /// what was mounted: a device's path, if it has one
    pub(super) source: Vec<u8>,
}

/// A file system that can be a drive, where it is mounted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MountedDrive {
    pub point: PathBuf,
    /// number of the mount and of the device: another drive at the same place may have the same
    pub numbers: (u64, Vec<u8>),
    /// number that the kernel gives to no other mount (from Linux 6.8 on), and id of the file system:
    /// what tells two drives at one place apart; none of what a dying drive does not answer
    pub identity: (Option<u64>, Option<u64>),
    /// as the kernel calls it: `ext4`, `fuseblk`
    pub file_system: String,
    /// what was mounted: a device's path, if it has one
    pub source: Vec<u8>,
}

/// The mount points of the file systems that can be drives, sorted; empty if the list cannot be
/// read.
pub fn mounted() -> Vec<PathBuf> {
    let mut points: Vec<_> = mounted_drives().into_iter().map(|drive| drive.point).collect();
    points.retain(|point| fs::metadata(point).is_ok_and(|found| found.is_dir()));
    points
}

/// The same with what tells them apart, and with those that cannot be read at the moment.
pub fn mounted_drives() -> Vec<MountedDrive> {
    drives_of(&fs::read("/proc/self/mountinfo").unwrap_or_default())
}

/// Those in a list of the kernel's.
pub(super) fn drives_of(list: &[u8]) -> Vec<MountedDrive> {
    let mut drives = can_be_drives(parse(list));
    drives.iter_mut().for_each(|drive| drive.identity = identity(&drive.point));
    drives.sort_by_cached_key(|drive| by_number(&drive.point));
    drives
}

/// What paths are sorted by so that `usb2` comes before `usb10`: each number takes as many digits.
fn by_number(path: &Path) -> Vec<u8> {
    let (mut key, mut digits) = (Vec::new(), Vec::new());
    for byte in path.as_os_str().as_bytes().iter().chain([&0]) {
        if byte.is_ascii_digit() {
            digits.push(*byte);
            continue;
        }
        if !digits.is_empty() {
            key.resize(key.len() + 20usize.saturating_sub(digits.len()), b'0');
            key.append(&mut digits);
        }
        key.push(*byte);
    }
    key
}

/// Every mount in a list of the kernel's, whatever it is; what tells them apart was not asked.
pub(super) fn all_mounts(list: &[u8]) -> Vec<MountedDrive> {
    parse(list).into_iter().map(MountedDrive::of).collect()
}

/// The mount on which a path lies, if it is there.
pub fn mount_at(path: &Path) -> Option<MountedDrive> {
    let flags = kernel::StatxFlags::MNT_ID;
    let found = kernel::statx(kernel::CWD, path, kernel::AtFlags::empty(), flags).ok()?;
    let list = fs::read("/proc/self/mountinfo").ok()?;
    let mount = parse(&list).into_iter().find(|mount| mount.id == found.stx_mnt_id)?;
    let drive = MountedDrive::of(mount);
    Some(MountedDrive { identity: identity(&drive.point), ..drive })
}

impl MountedDrive {
    /// Not asked yet what tells it apart.
    fn of(mount: Mount) -> Self {
        let Mount { id, device, point, file_system, source, .. } = mount;
        Self { point, numbers: (id, device), identity: (None, None), file_system, source }
    }

    /// Is it the same drive at the same place, as far as both could be asked?
    pub fn is_same(&self, other: &Self) -> bool {
        let agree = |a: Option<u64>, b: Option<u64>| a.is_none() || b.is_none() || a == b;
        (&self.point, &self.numbers) == (&other.point, &other.numbers)
            && agree(self.identity.0, other.identity.0)
            && agree(self.identity.1, other.identity.1)
    }
}

/// What tells the file system that is mounted here from any other.
fn identity(point: &Path) -> (Option<u64>, Option<u64>) {
    const UNIQUE: u32 = 0x4000; // STATX_MNT_ID_UNIQUE
    let flags = kernel::StatxFlags::from_bits_retain(UNIQUE);
    let found = kernel::statx(kernel::CWD, point, kernel::AtFlags::empty(), flags).ok();
    let unique = found.filter(|found| found.stx_mask & UNIQUE != 0).map(|found| found.stx_mnt_id);
    (unique, kernel::statvfs(point).ok().map(|found| found.f_fsid))
}

/// A mount of the file system with this device number, as `stat` gives it.
pub(super) fn mount_of(number: u64) -> Option<Mount> {
    let list = fs::read("/proc/self/mountinfo").ok()?;
    let device = format!("{}:{}", kernel::major(number), kernel::minor(number));
    parse(&list).into_iter().find(|mount| mount.device == device.as_bytes())
}

/// The file system that a path lies on, or would lie on if it were made. Equal for all subvolumes and
/// bind mounts of one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FileSystem {
    /// its device's number, as `8:17`
    device: String,
}

/// The number of the device that an open folder lies on, as the kernel's own lists have it.
pub(super) fn device_of(folder: &rustix::fd::OwnedFd) -> Option<(u32, u32)> {
    let found = kernel::statx(folder, "", kernel::AtFlags::EMPTY_PATH, kernel::StatxFlags::MNT_ID);
    let device = device_at(&found.ok()?);
    let (major, minor) = device.split_once(':')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// The device of what `statx` found. A subvolume of btrfs has a number of its own for `stat`; its
/// mount tells the real one.
fn device_at(found: &kernel::Statx) -> String {
    let list = fs::read("/proc/self/mountinfo").unwrap_or_default();
    let mount = parse(&list).into_iter().find(|mount| mount.id == found.stx_mnt_id);
    let device = mount.and_then(|mount| String::from_utf8(mount.device).ok());
    device.unwrap_or_else(|| format!("{}:{}", found.stx_dev_major, found.stx_dev_minor))
}

/// The file system of a path, or of the nearest folder above it that is there.
pub fn file_system(path: &Path) -> Option<FileSystem> {
    let path = std::path::absolute(path).ok()?;
    let there = path.ancestors().find(|above| above.exists())?;
    let flags = kernel::StatxFlags::MNT_ID;
    let found = kernel::statx(kernel::CWD, there, kernel::AtFlags::empty(), flags).ok()?;
    Some(FileSystem { device: device_at(&found) })
}

/// Device and number of a folder, the same by whatever path, link or mount it is reached.
pub fn folder_id(path: &Path) -> Option<(u64, u64)> {
    fs::metadata(path).ok().map(|found| (found.dev(), found.ino()))
}

/// Is `inner` the folder `outer`, or anywhere inside it? Links are followed; neither must exist.
pub fn inside(inner: &Path, outer: &Path) -> io::Result<bool> {
    Ok(canonical(inner)?.starts_with(canonical(outer)?))
}

/// The folder called `name` in which a path lies, or would lie, if a folder in that has `file`.
pub fn around(path: &Path, name: &str, file: &str) -> Option<PathBuf> {
    let full = canonical(path).ok()?;
    let has_file = |folder: &Path| {
        let inner = fs::read_dir(folder).into_iter().flatten().flatten();
        inner.map(|inner| inner.path().join(file)).any(|file| file.is_file())
    };
    let is_it = |folder: &&Path| folder.ends_with(name) && has_file(folder);
    full.ancestors().find(is_it).map(Path::to_path_buf)
}

/// The real path of what is there, with the names that are not there yet put after it.
fn canonical(path: &Path) -> io::Result<PathBuf> {
    match (fs::canonicalize(path), path.parent(), path.file_name()) {
        (Err(error), Some(parent), Some(name)) if error.kind() == io::ErrorKind::NotFound => {
            let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
            Ok(canonical(parent)?.join(name))
        }
        (result, ..) => result,
    }
}

fn can_be_drives(mounts: Vec<Mount>) -> Vec<MountedDrive> {
    // Of several mounts on one point, the last is what a path there reaches.
    let on_top: BTreeMap<_, _> =
        mounts.into_iter().map(|mount| (mount.point.clone(), mount)).collect();
    let mut seen = BTreeSet::new();
    let mut drives = Vec::new();
    for (point, mount) in on_top {
        let name = mount.file_system.as_str();
        let can_be = !NO_DRIVES.contains(&name) && !NO_FUSE_DRIVES.contains(&name);
        // The same folder of the same device at a second place is not a second drive.
        if can_be && seen.insert((mount.device.clone(), mount.root.clone())) {
            drives.push(MountedDrive { point, ..MountedDrive::of(mount) });
        }
    }
    drives
}

/// Reads lines such as `36 35 98:0 /root /point rw,noatime master:1 - ext3 /dev/x rw`.
fn parse(list: &[u8]) -> Vec<Mount> {
    list.split(|&byte| byte == b'\n').filter_map(parse_line).collect()
}

fn parse_line(line: &[u8]) -> Option<Mount> {
    let mut fields = line.split(|&byte| byte == b' ');
    let id = std::str::from_utf8(fields.next()?).ok()?.parse().ok()?;
    let device = fields.nth(1)?.to_vec();
    let root = unescape(fields.next()?);
    let point = PathBuf::from(OsString::from_vec(unescape(fields.next()?)));
    // Any number of optional fields, then a hyphen.
    fields.find(|&field| field == b"-")?;
    let file_system = String::from_utf8(unescape(fields.next()?)).ok()?;
    let source = unescape(fields.next().unwrap_or_default());
    Some(Mount { id, device, root, point, file_system, source })
}

/// Turns `\040` and the like, three octal digits, back into bytes.
fn unescape(field: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&first, after)) = rest.split_first() {
        let code = match rest {
            [b'\\', a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', ..] => {
                Some((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'))
            }
            _ => None,
        };
        bytes.push(code.unwrap_or(first));
        rest = if code.is_some() { &rest[4..] } else { after };
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    const LIST: &str = r"22 27 0:21 / /proc rw,relatime - proc proc rw
27 1 254:0 / / rw,relatime - ext4 /dev/vda rw
28 27 8:17 / /media/ann/Case\040A rw,nosuid shared:3 master:1 - exfat /dev/sdb1 rw
29 27 8:33 / /media/ann/b\134c rw - fuseblk /dev/sdc1 rw,user_id=0
30 27 0:40 / /run/user/1/gvfs rw - fuse.gvfsd-fuse gvfsd-fuse rw
31 27 8:17 / /mnt/again rw - exfat /dev/sdb1 rw
32 27 8:49 / /mnt/hidden rw - ext4 /dev/sdd1 rw
33 32 0:50 / /mnt/hidden rw - tmpfs tmpfs rw
34 27 254:0 /srv /mnt/srv rw - ext4 /dev/vda rw
a line that is none
";

    #[test]
    fn drives_are_told_from_the_rest() {
        let mounts = parse(LIST.as_bytes());
        assert_eq!(mounts.len(), 9);
        let case = Mount {
            id: 28,
            device: b"8:17".into(),
            root: b"/".into(),
            point: "/media/ann/Case A".into(),
            file_system: "exfat".into(),
            source: b"/dev/sdb1".into(),
        };
        assert_eq!(mounts[2], case);
        let points: Vec<PathBuf> = can_be_drives(mounts).into_iter().map(|d| d.point).collect();
        let expected = ["/", "/media/ann/Case A", "/media/ann/b\\c", "/mnt/srv"];
        assert_eq!(points, expected.map(PathBuf::from));
    }

    #[test]
    fn escapes_are_octal_and_anything_else_is_kept() {
        assert_eq!(unescape(br"a\040b\011\012\134"), b"a b\t\n\\");
        assert_eq!(unescape(br"\04 \0x0 \777 \"), br"\04 \0x0 \777 \");
    }

    #[test]
    fn the_second_drive_comes_before_the_tenth() {
        let keys = ["/m/usb", "/m/usb1", "/m/usb2/x", "/m/usb10", "/m/usb10a", "/n"];
        assert!(keys.map(|path| by_number(Path::new(path))).is_sorted());
    }

    #[test]
    fn a_device_is_found_by_its_number() {
        let number = fs::metadata("/proc").unwrap().dev();
        assert_eq!(mount_of(number).unwrap().file_system, "proc");
        assert_eq!(mount_of(u64::MAX), None);
    }

    #[test]
    fn this_machine_has_mounted_something() {
        let points = mounted();
        assert!(!points.is_empty());
        assert!(!points.iter().any(|point| point.starts_with("/proc")), "{points:?}");
    }

    #[test]
    fn a_path_lies_on_the_file_system_of_what_is_above_it() {
        let base = tempfile::tempdir().unwrap();
        let here = file_system(base.path());
        assert!(here.is_some());
        assert_eq!(file_system(&base.path().join("not/yet/there")), here);
        assert_ne!(file_system(Path::new("/proc/self")), here);
    }

    #[test]
    fn folders_inside_folders() {
        let base = tempfile::tempdir().unwrap();
        let [a, ab, link] = ["a", "ab", "link"].map(|name| base.path().join(name));
        fs::create_dir(&a).unwrap();
        fs::create_dir(&ab).unwrap();
        symlink(&a, &link).unwrap();
        assert!(inside(&a, &a).unwrap());
        assert!(inside(&link.join("new/newer"), &a).unwrap());
        assert!(inside(&a.join("../a/x"), &link).unwrap());
        assert!(!inside(&ab, &a).unwrap());
        assert!(!inside(&a, &a.join("x")).unwrap());
        assert!(inside(Path::new("not-there"), Path::new(".")).unwrap());
    }
}
