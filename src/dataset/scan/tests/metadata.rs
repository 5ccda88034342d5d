//! Extended attributes, ACLs, owners' names, and how many bytes are data.

use super::*;
use crate::dataset::testing::{
    CAPABILITY, acl_of_754, also_as_nobody, as_nobody_in, attributes, scene, scratch_folders,
    set_attribute,
};
use rustix::fs::{AtFlags, FileType, Gid, Timespec, Timestamps, Uid};
use std::os::unix::fs::FileExt;

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// What the entry of `path` should have: what the system says, less labels.
#[track_caller]
fn assert_attributes(dir: &Path, found: &Found, path: &str) {
    let mut entry = found.get(path).entry.clone();
    entry.xattrs.retain(|(name, _)| name != b"security.selinux");
    let mut want = attributes(&dir.join(path));
    want.retain(|(name, _)| is_root() || !name.starts_with(b"security."));
    assert_eq!(entry.xattrs, want, "{path}");
}

#[test]
fn extended_attributes_of_every_kind() {
    also_as_nobody(module_path!(), "extended_attributes_of_every_kind");
    for dir in scratch_folders() {
        let path = |name: &str| dir.path().join(name);
        make(&dir, &["folder/file", "plain"]);
        symlink("folder", path("symlink")).unwrap();
        rustix::fs::mknodat(CWD, path("fifo"), FileType::Fifo, Mode::RUSR, 0).unwrap();
        let mut kinds = vec!["", "folder", "folder/file"];
        for name in &kinds {
            set_attribute(&path(name), "user.z", b"last");
            set_attribute(&path(name), "user.empty", b"");
            set_attribute(&path(name), "user.\u{e9}\n", &[0, 255]);
            set_attribute(&path(name), "user.long", &[7; 2_000]);
            set_attribute(&path(name), "system.posix_acl_access", &acl_of_754());
        }
        for name in ["", "folder"] {
            set_attribute(&path(name), "system.posix_acl_default", &acl_of_754());
        }
        if is_root() {
            kinds.extend(["symlink", "fifo"]);
            for name in &kinds {
                set_attribute(&path(name), "trusted.t", name.as_bytes());
            }
            set_attribute(&path("folder/file"), "security.capability", CAPABILITY);
        }
        let found = scan_all(dir.path());
        for name in kinds.iter().chain(&["plain", "symlink", "fifo"]) {
            assert_attributes(dir.path(), &found, name);
        }
        let file = &found.get("folder/file").entry;
        assert_eq!(file.xattrs.len(), if is_root() { 7 } else { 5 });
        assert!(found.get("plain").entry.xattrs.is_empty());
        assert_eq!(file.mode, 0o754);
    }
}

#[test]
fn long_lists_and_values() {
    let Ok(dir) = tempfile::tempdir_in("/dev/shm") else { return };
    make(&dir, &["many", "large", "too-large", "after"]);
    for number in 0..300 {
        set_attribute(&dir.path().join("many"), &format!("user.attribute-{number}"), b"x");
    }
    set_attribute(&dir.path().join("large"), "user.a", &vec![1; 1 << 16]);
    for number in 0..17 {
        set_attribute(&dir.path().join("too-large"), &format!("user.{number}"), &vec![1; 62_000]);
    }
    let found = scan_unseen(dir.path(), &[]);
    assert_eq!(found.get("many").entry.xattrs.len(), 300);
    for path in ["many", "large", "after"] {
        assert_attributes(dir.path(), &found, path);
    }
    assert!(found.get("too-large").entry.xattrs.is_empty());
    assert_eq!(found.get("too-large").entry.lacks, [Lack::Attributes]);
    let detail = "its extended attributes have more than 1 MiB; they are left out";
    assert_eq!(found.problems, [Problem::new(ProblemKind::Metadata, "too-large", detail)]);
    assert_eq!(found.totals.files, 4);
}

#[test]
fn attributes_in_large_folders_and_at_any_depth() {
    let dir = tempdir().unwrap();
    for number in 0..600 {
        let path = dir.path().join(format!("{number:03}"));
        fs::write(&path, "").unwrap();
        if number % 7 == 0 {
            set_attribute(&path, "user.number", number.to_string().as_bytes());
        }
    }
    let found = scan_all(dir.path());
    for (number, scanned) in found.entries.iter().skip(1).enumerate() {
        let want = (number % 7 == 0).then(|| number.to_string().into_bytes());
        assert_eq!(scanned.entry.xattrs.first().map(|(_, value)| value), want.as_ref());
    }

    let levels = 500;
    let tree = DeepTree::new(levels);
    let path = vec![DEEP_NAME; levels].join("/");
    assert!(path.len() > 8_000);
    let root = fs::File::open(tree.path()).unwrap();
    let lowest = open_beneath(&root, path.as_bytes(), FOLDER_FLAGS).unwrap();
    rustix::fs::fsetxattr(&lowest, "user.deep", b"x", rustix::fs::XattrFlags::empty()).unwrap();
    let found = scan_all(tree.path());
    assert_eq!(found.get(&path).entry.xattrs, [(b"user.deep".to_vec(), b"x".to_vec())]);
}

#[test]
fn hard_links_leave_attributes_to_the_first_path() {
    let dir = tempdir().unwrap();
    make(&dir, &["a"]);
    fs::hard_link(dir.path().join("a"), dir.path().join("b")).unwrap();
    set_attribute(&dir.path().join("b"), "user.a", b"x");
    let found = scan_all(dir.path());
    assert_eq!(found.get("a").entry.xattrs.len(), 1);
    assert_eq!(found.get("b").entry.kind, Kind::HardLink);
    assert!(found.get("b").entry.xattrs.is_empty());
}

#[test]
fn a_single_file_has_its_attributes() {
    let dir = tempdir().unwrap();
    make(&dir, &["file"]);
    symlink("file", dir.path().join("alias")).unwrap();
    set_attribute(&dir.path().join("file"), "user.a", b"x");
    for name in ["file", "alias"] {
        let found = scan_all(&dir.path().join(name));
        assert_eq!(found.get(name).entry.xattrs, [(b"user.a".to_vec(), b"x".to_vec())]);
    }
}

/// Root makes files that nobody sees differently.
#[test]
fn what_others_than_root_cannot_have_is_reported() {
    if let Some(scene) = scene() {
        let monitor = Recording::default();
        let options = ScanOptions::new(Filter::new(&[]).unwrap());
        let mut entries = Vec::new();
        scan(&scene, &options, &monitor, &mut |scanned| {
            entries.push(scanned.entry);
            Ok(())
        })
        .unwrap();
        let names = |entry: &Entry| entry.xattrs.len();
        assert_eq!(entries.iter().map(names).collect::<Vec<_>>(), [0, 1, 0, 1]);
        assert_eq!(entries[3].xattrs, [(b"user.a".to_vec(), b"x".to_vec())]);
        let detail = "cannot read its extended attribute user.a: Permission denied (os error 13)";
        let want = Problem::new(ProblemKind::Metadata, "closed", detail);
        assert_eq!(monitor.problems(), [want]);
        let lacks = |entry: &Entry| entry.lacks.clone();
        let all: Vec<_> = entries.iter().map(lacks).collect();
        let some = || vec![Lack::Attributes];
        assert_eq!(all, [vec![], some(), some(), some()]);
        let note = "extended attributes that only root can restore are not packed: 2";
        assert_eq!(monitor.notes(), [note]);
    } else if is_root() {
        let dir = tempdir().unwrap();
        make(&dir, &["capable", "closed", "open"]);
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        for name in ["closed", "open"] {
            let path = dir.path().join(name);
            set_attribute(&path, "user.a", b"x");
            set_attribute(&path, "trusted.unseen", b"x");
        }
        set_attribute(&dir.path().join("capable"), "system.posix_acl_access", &acl_of_754());
        set_attribute(&dir.path().join("capable"), "security.capability", CAPABILITY);
        set_attribute(&dir.path().join("open"), "security.other", b"x");
        let closed = fs::Permissions::from_mode(0o600);
        fs::set_permissions(dir.path().join("closed"), closed).unwrap();
        as_nobody_in(module_path!(), "what_others_than_root_cannot_have_is_reported", dir.path());
        let found = scan_all(dir.path());
        for name in ["capable", "closed", "open"] {
            assert_attributes(dir.path(), &found, name);
        }
    }
}

#[test]
fn owners_have_names() {
    let dir = tempdir().unwrap();
    make(&dir, &["mine", "unknown"]);
    if is_root() {
        let (user, group) = (Uid::from_raw(4_000_000_007), Gid::from_raw(4_000_000_009));
        rustix::fs::chownat(
            CWD,
            dir.path().join("unknown"),
            Some(user),
            Some(group),
            AtFlags::empty(),
        )
        .unwrap();
    }
    let found = scan_all(dir.path());
    let id = |flag| {
        let output = std::process::Command::new("id").arg(flag).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned().into_bytes()
    };
    for path in ["", "mine"] {
        let entry = &found.get(path).entry;
        assert_eq!((&entry.user, &entry.group), (&id("-nu"), &id("-ng")));
    }
    if is_root() {
        let entry = &found.get("unknown").entry;
        assert_eq!((entry.uid, entry.gid), (4_000_000_007, 4_000_000_009));
        assert!(entry.user.is_empty() && entry.group.is_empty());
    }
}

#[test]
fn times_modes_and_devices_of_every_kind() {
    let dir = tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    make(&dir, &["file", "folder/x"]);
    symlink("x", path("symlink")).unwrap();
    rustix::fs::mknodat(CWD, path("fifo"), FileType::Fifo, Mode::RUSR, 0).unwrap();
    let mut paths = vec!["symlink", "file", "fifo", "folder"];
    let device = (0xabc, 0xa_bcde);
    if is_root() {
        for (name, kind) in [("char", FileType::CharacterDevice), ("block", FileType::BlockDevice)]
        {
            let number = rustix::fs::makedev(device.0, device.1);
            rustix::fs::mknodat(CWD, path(name), kind, Mode::RUSR, number).unwrap();
            paths.push(name);
        }
    }
    for (seconds, mode) in [(-2_147_000_000, 0o6751), (-1, 0o1777), (7_258_118_400, 0o2000)] {
        for name in &paths {
            if *name != "symlink" {
                fs::set_permissions(path(name), fs::Permissions::from_mode(mode)).unwrap();
            }
            let time = Timespec { tv_sec: seconds, tv_nsec: 999_999_999 };
            let times = Timestamps { last_access: time, last_modification: time };
            let no_follow = AtFlags::SYMLINK_NOFOLLOW;
            rustix::fs::utimensat(CWD, path(name), &times, no_follow).unwrap();
        }
        // Whether or not the folder can be listed.
        let found = scan_with(dir.path(), &[], |_| ()).unwrap();
        for name in &paths {
            let entry = &found.get(name).entry;
            assert_eq!((entry.mtime, entry.mtime_nanos), (seconds, 999_999_999), "{name}");
            assert!(*name == "symlink" || entry.mode == mode, "{name}");
            let is_device = matches!(entry.kind, Kind::CharDevice | Kind::BlockDevice);
            assert_eq!(entry.device, is_device.then_some(device), "{name}");
        }
        fs::set_permissions(path("folder"), fs::Permissions::from_mode(0o700)).unwrap();
    }
}

#[test]
fn names_as_long_as_a_list_may_hold() {
    use crate::format::list::checked_path;
    assert!(checked_path(&[b'n'; NAME_BYTES]).is_ok());
    assert!(checked_path(&[b'n'; NAME_BYTES + 1]).is_err());
    assert_eq!(NAME_BYTES, 1_020);
}

#[test]
fn data_is_what_lies_between_holes() {
    for dir in scratch_folders() {
        let make = |name: &str, size: u64, written: &[u64]| {
            let file = fs::File::create(dir.path().join(name)).unwrap();
            for offset in written {
                file.write_all_at(&[1; 4_096], *offset).unwrap();
            }
            file.set_len(size).unwrap();
        };
        let unit = UNIT_BYTES;
        let count = 5_000;
        let many: Vec<u64> = (0..count).map(|n| n * 2 * unit).collect();
        make("empty", 0, &[]);
        make("full", 40_000, &(0..10).map(|n| n * 4_096).collect::<Vec<_>>());
        make("small", unit, &[]);
        make("hole", 5 * unit + 7, &[]);
        make("some", 5 * unit + 7, &[0, 65_536, 3 * unit]);
        make("many", count * 2 * unit, &many);
        let of = |name: &str| {
            let found = scan_all(&dir.path().join(name));
            (found.entries[0].sparse, found.totals.data_bytes)
        };
        assert_eq!(of("empty"), (false, 0));
        assert_eq!(of("full"), (false, 40_000));
        if fs::metadata(dir.path().join("hole")).unwrap().blocks() == 0 {
            assert_eq!(of("small"), (true, unit));
            assert_eq!(of("hole"), (true, 0));
            assert_eq!(of("some"), (true, 2 * unit));
            assert_eq!(of("many"), (true, count * unit));
        }
        let sum: u64 =
            ["full", "small", "hole", "some", "many"].iter().map(|name| of(name).1).sum();
        assert_eq!(scan_all(dir.path()).totals.data_bytes, sum);
    }
}

#[test]
fn a_hundred_thousand_entries_in_one_folder() {
    let dir = tempfile::tempdir_in("/dev/shm").unwrap_or_else(|_| tempdir().unwrap());
    let folder = fs::File::open(dir.path()).unwrap();
    for number in 0..100_000 {
        let name = format!("{:05}", number * 7_919 % 100_000);
        rustix::fs::mknodat(&folder, name, FileType::RegularFile, Mode::RUSR, 0).unwrap();
    }
    let found = scan_all(dir.path());
    assert_eq!(found.totals.files, 100_000);
    assert!(in_order(&found.entries));
}
