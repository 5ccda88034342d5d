//! Extended attributes, ACLs, owners, modes and times, read again by path and by other programs.

use std::collections::BTreeMap;

use super::*;
use crate::dataset::testing::{
    CAPABILITY, acl_of_754, also_as_nobody, attributes, scratch_folders, set_attribute,
};

type Attributes<'a> = &'a [(&'a str, &'a [u8])];

fn with(mut entry: Entry, attributes: Attributes) -> Entry {
    let own = |(name, value): &(&str, &[u8])| (name.as_bytes().to_vec(), value.to_vec());
    entry.xattrs = attributes.iter().map(own).collect();
    entry
}

/// Restores an entry of any kind but a hard link.
fn restore(destination: &Destination, entry: &Entry) -> Vec<MetadataProblem> {
    match entry.kind {
        Kind::Folder => {
            destination.make_folder(&entry.path).unwrap();
            destination.finish_folder(entry).unwrap()
        }
        Kind::File => {
            let part = destination.begin_file(entry).unwrap();
            part.write_at(0, b"some").unwrap();
            destination.finish_file(part, entry, OnConflict::Fail).unwrap()
        }
        Kind::Symlink => destination.make_symlink(entry, OnConflict::Fail).unwrap(),
        _ => destination.make_special(entry, OnConflict::Fail).unwrap(),
    }
}

/// Also what a mask takes off, or keeps the owner from writing; made with a name or without.
#[test]
fn files_have_any_mode_and_owner() {
    also_as_nobody(module_path!(), "files_have_any_mode_and_owner");
    let (_scratch, dir, destination) = fresh();
    for mode in [0, 0o400, 0o444, 0o600, 0o644, 0o666, 0o777, 0o1644, 0o2755, 0o4755] {
        for owner in [None, Some((12345, 54321))].into_iter().take(1 + usize::from(is_root())) {
            let mut file = entry(format!("{mode:o} {owner:?}"), Kind::File);
            file.mode = mode;
            (file.uid, file.gid) = owner.unwrap_or((file.uid, file.gid));
            assert!(restore(&destination, &file).is_empty(), "{}", file.shown());
            assert_metadata(&at(&dir, &file.path), &file);
            file.path.extend(b" named");
            let part = destination.begin_named_file().unwrap();
            assert!(destination.finish_file(part, &file, OnConflict::Fail).unwrap().is_empty());
            assert_metadata(&at(&dir, &file.path), &file);
        }
    }
}

/// What a program says of a path; none if it is not installed.
fn output(program: &str, arguments: &[&str], path: &Path) -> Option<String> {
    let done = Command::new(program).args(arguments).arg(path).output().ok()?;
    assert!(done.status.success(), "{program}: {done:?}");
    Some(String::from_utf8(done.stdout).unwrap())
}

#[test]
fn attributes_and_acls_round_trip_on_every_kind() {
    also_as_nobody(module_path!(), "attributes_and_acls_round_trip_on_every_kind");
    for scratch in scratch_folders() {
        let (_scratch, dir, destination) = fresh_in(scratch);
        let acl = acl_of_754();
        let user: Attributes =
            &[("system.posix_acl_access", &acl), ("user.a\n\u{e9}", &[0, 255]), ("user.b", b"")];
        let mut entries = vec![
            with(entry("file", Kind::File), user),
            with(entry("folder", Kind::Folder), user),
            with(entry("fifo", Kind::Fifo), &user[..1]),
        ];
        let defaults = [("system.posix_acl_default", acl.as_slice()), user[1]];
        entries.push(with(entry("folder/default", Kind::Folder), &defaults));
        for entry in &mut entries[..3] {
            entry.mode = 0o754;
        }
        if is_root() {
            let root: Attributes = &[("security.x", b"x"), ("trusted.t", b"y")];
            let mut symlink = with(entry("symlink", Kind::Symlink), root);
            symlink.target = b"nowhere".to_vec();
            let mut device = with(entry("device", Kind::CharDevice), root);
            device.device = Some((1, 5));
            entries.extend([symlink, device, with(entry("of root", Kind::File), root)]);
        }
        for entry in entries.iter().rev() {
            assert!(restore(&destination, entry).is_empty(), "{}", entry.shown());
        }
        for entry in &entries {
            let path = at(&dir, &entry.path);
            assert_eq!(attributes(&path), entry.xattrs, "{}", entry.shown());
            assert_metadata(&path, entry);
        }
        if let Some(output) = output("getfacl", &["-n", "-c", "-p"], &dir.join("file")) {
            let want = "user::rwx\nuser:1234:r-x\ngroup::r--\nmask::r-x\nother::r--\n\n";
            assert_eq!(output, want);
        }
        assert_eq!(destination.attributes_left_out(), 0);
    }
}

/// The largest value that the kernel takes.
#[test]
fn large_values() {
    let (_scratch, dir, destination) = fresh_in_memory();
    let large = vec![7; 1 << 16];
    let entry = with(entry("file", Kind::File), &[("user.large", &large)]);
    let problems = restore(&destination, &entry);
    // Some file systems take less.
    if problems.is_empty() {
        assert_eq!(attributes(&dir.join("file")), entry.xattrs);
    }
}

/// A change of owner takes set-id bits and capabilities away, and an ACL changes the mode.
#[test]
fn rights_outlast_owner_acl_and_mode() {
    if !is_root() {
        return;
    }
    for scratch in scratch_folders() {
        let (_scratch, dir, destination) = fresh_in(scratch);
        let acl = acl_of_754();
        let both: Attributes =
            &[("security.capability", CAPABILITY), ("system.posix_acl_access", &acl)];
        let mut entries = Vec::new();
        for (number, mode) in [0o6754, 0o4754, 0o2754, 0o7754, 0o0754].into_iter().enumerate() {
            for (kind, attributes) in [
                (Kind::File, both),
                (Kind::File, &both[..1]),
                (Kind::File, &[]),
                (Kind::Folder, &both[1..]),
                (Kind::Folder, &[]),
                (Kind::Fifo, &both[1..]),
            ] {
                let path = format!("{kind:?}-{}-{number}", attributes.len());
                let mut entry = with(entry(path, kind), attributes);
                (entry.mode, entry.uid, entry.gid) = (mode, 12_345, 54_321);
                entries.push(entry);
            }
        }
        for entry in &entries {
            assert!(restore(&destination, entry).is_empty(), "{}", entry.shown());
            let path = at(&dir, &entry.path);
            assert_eq!(attributes(&path), entry.xattrs, "{}", entry.shown());
            assert_metadata(&path, entry);
        }
        let file = dir.join("File-2-0");
        if let Some(output) = output("getcap", &[], &file) {
            assert!(output.ends_with("cap_net_raw=ep\n"), "{output}");
        }
        if let Some(output) = output("getfacl", &["-n", "-p"], &file) {
            assert!(output.contains("# owner: 12345\n# group: 54321\n# flags: ss-\n"), "{output}");
            assert!(output.contains("\nuser:1234:r-x\n"), "{output}");
        }
    }
}

#[test]
fn owner_and_times_of_every_kind() {
    if !is_root() {
        return;
    }
    let (_scratch, dir, destination) = fresh();
    for (seconds, id) in [(-2_147_000_000, 0), (-1, 1), (7_258_118_400, 4_000_000_000)] {
        for (kind, device) in [
            (Kind::Symlink, None),
            (Kind::Fifo, None),
            (Kind::CharDevice, Some((0xabc, 0xa_bcde))),
            (Kind::BlockDevice, Some((0xabc, 0xa_bcde))),
            (Kind::Folder, None),
            (Kind::File, None),
        ] {
            let mut entry = entry(format!("{kind:?} {seconds}"), kind);
            (entry.uid, entry.gid, entry.device) = (id, id + 7, device);
            (entry.mtime, entry.mtime_nanos) = (seconds, 999_999_999);
            entry.target = b"x".to_vec();
            assert!(restore(&destination, &entry).is_empty());
            let path = at(&dir, &entry.path);
            assert_metadata(&path, &entry);
            if let Some((major, minor)) = device {
                let number = fs::metadata(path).unwrap().rdev();
                assert_eq!(number, rustix::fs::makedev(major, minor));
            }
        }
    }
}

/// DIR lies in a folder that gives an ACL to all that is made in it.
#[test]
fn acls_are_not_inherited() {
    also_as_nobody(module_path!(), "acls_are_not_inherited");
    for scratch in scratch_folders() {
        set_attribute(scratch.path(), "system.posix_acl_default", &acl_of_754());
        let (_scratch, dir, destination) = fresh_in(scratch);
        assert_eq!(attributes(&dir).len(), 2);
        let defaults = acl_of_754();
        let attributes_of_top = [("system.posix_acl_default", defaults.as_slice())];
        let entries = [
            entry("top/folder", Kind::Folder),
            entry("top/file", Kind::File),
            entry("top/fifo", Kind::Fifo),
            with(entry("top", Kind::Folder), &attributes_of_top),
            entry("", Kind::Folder),
        ];
        destination.make_folder(b"top/folder").unwrap();
        for entry in &entries {
            assert!(restore(&destination, entry).is_empty());
        }
        // A resumed restore puts more into folders that have their ACLs by now.
        let late = [entry("top/late", Kind::Folder), entry("top/late/file", Kind::File)];
        for entry in late.iter().rev() {
            assert!(restore(&destination, entry).is_empty());
        }
        for entry in entries.iter().chain(&late) {
            assert_eq!(attributes(&at(&dir, &entry.path)), entry.xattrs, "{}", entry.shown());
            assert_eq!(
                fs::symlink_metadata(at(&dir, &entry.path)).unwrap().mode() & 0o7777,
                entry.mode
            );
        }
    }
}

/// A folder that an earlier run has finished may not be written by its owner.
#[test]
fn folders_are_finished_again() {
    also_as_nobody(module_path!(), "folders_are_finished_again");
    let (_scratch, dir, destination) = fresh();
    let acl = acl_of_754();
    for mode in [0o000, 0o555, 0o754] {
        let name = format!("{mode:o}");
        for value in [b"1", b"2"] {
            let mut folder = with(
                entry(&name, Kind::Folder),
                &[("system.posix_acl_access", &acl), ("user.a", value)],
            );
            folder.mode = mode;
            // The ACL that goes with the mode.
            let permissions = [mode >> 6, 5, 4, mode >> 3, mode];
            for (entry, bits) in folder.xattrs[0].1[4..].chunks_mut(8).zip(permissions) {
                entry[2] = (bits & 7) as u8;
            }
            assert!(restore(&destination, &folder).is_empty());
            assert_metadata(&dir.join(&name), &folder);
            if is_root() || mode & 0o400 != 0 {
                assert_eq!(attributes(&dir.join(&name)), folder.xattrs);
            }
        }
        fs::set_permissions(dir.join(&name), fs::Permissions::from_mode(0o755)).unwrap();
    }
}

#[test]
fn what_only_root_may_set_is_counted_for_others() {
    also_as_nobody(module_path!(), "what_only_root_may_set_is_counted_for_others");
    if is_root() {
        return;
    }
    let (_scratch, dir, destination) = fresh();
    let all: Attributes = &[
        ("security.capability", CAPABILITY),
        ("security.selinux", b"label"),
        ("trusted.t", b"x"),
        ("user.a", b"x"),
    ];
    for name in ["a", "b"] {
        let file = with(entry(name, Kind::File), all);
        assert!(restore(&destination, &file).is_empty());
        assert_eq!(attributes(&dir.join(name)), [(b"user.a".to_vec(), b"x".to_vec())]);
    }
    assert_eq!(destination.attributes_left_out(), 4);
}

#[test]
fn attributes_that_are_refused_are_problems_of_their_entry() {
    let (_scratch, dir, destination) = fresh();
    let mut symlink = with(entry("symlink", Kind::Symlink), &[("user.a", b"x")]);
    symlink.target = b"x".to_vec();
    let acl = ("system.posix_acl_default", acl_of_754());
    let cases = [
        (symlink, "extended attribute user.a"),
        (with(entry("fifo", Kind::Fifo), &[("user.a", b"x")]), "extended attribute user.a"),
        (with(entry("file", Kind::File), &[("nonsense", b"x")]), "extended attribute nonsense"),
        (with(entry("zero", Kind::File), &[("user.\0", b"x")]), "extended attribute user.\\u{0}"),
        (with(entry("empty", Kind::File), &[("", b"x")]), "extended attribute ."),
        (
            with(entry("no folder", Kind::File), &[(acl.0, &acl.1)]),
            "extended attribute system.posix_acl_default",
        ),
    ];
    for (entry, what) in cases {
        let problems = restore(&destination, &entry);
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert_eq!(problems[0].what, what);
        assert_metadata(&at(&dir, &entry.path), &entry);
        assert!(attributes(&at(&dir, &entry.path)).is_empty());
    }
}

#[test]
fn incomplete_files_lend_no_rights() {
    let (_scratch, dir, destination) = fresh();
    let all: Attributes = &[("security.capability", CAPABILITY), ("user.a", b"x")];
    let mut file = with(entry("file", Kind::File), all);
    file.mode = 0o6755;
    let part = destination.begin_file(&file).unwrap();
    let path = at(&dir, destination.finish_incomplete(part, &file).unwrap());
    assert_eq!(attributes(&path), [(b"user.a".to_vec(), b"x".to_vec())]);
    assert_eq!(fs::metadata(path).unwrap().mode() & 0o7777, 0o755);
}

#[test]
fn a_hundred_thousand_entries_in_one_folder() {
    let (scratch, dir, destination) = fresh_in_memory();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let destination = &destination;
            scope.spawn(move || {
                for number in 0..25_000 {
                    put(destination, format!("folder/{thread}-{number}"), b"", OnConflict::Fail)
                        .unwrap();
                }
            });
        }
    });
    restore(&destination, &entry("folder", Kind::Folder));
    assert_eq!(fs::read_dir(dir.join("folder")).unwrap().count(), 100_000);
    drop(scratch);
}

/// All that is compared of a path.
#[derive(Debug, PartialEq)]
struct Seen {
    mode: u32,
    owner: (u32, u32),
    time: (i64, i64),
    device: u64,
    link: Option<PathBuf>,
    attributes: Vec<(Vec<u8>, Vec<u8>)>,
}

fn seen(folder: &Path) -> BTreeMap<PathBuf, Seen> {
    let mut found = BTreeMap::new();
    let mut todo = vec![folder.to_path_buf()];
    while let Some(path) = todo.pop() {
        let stat = fs::symlink_metadata(&path).unwrap();
        if stat.is_dir() {
            todo.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
        let seen = Seen {
            mode: stat.mode(),
            owner: (stat.uid(), stat.gid()),
            time: (stat.mtime(), stat.mtime_nsec()),
            device: stat.rdev(),
            link: fs::read_link(&path).ok(),
            attributes: attributes(&path),
        };
        found.insert(path.strip_prefix(folder).unwrap().to_path_buf(), seen);
    }
    found
}

/// What the scan finds in a folder that other programs made is what other programs find in DIR.
#[test]
fn from_scan_to_restore() {
    also_as_nobody(module_path!(), "from_scan_to_restore");
    for scratch in scratch_folders() {
        let (scratch, dir, destination) = fresh_in(scratch);
        let source = scratch.path().join("source");
        let made = Command::new("sh").arg("-c").arg(SCENE).arg("sh").arg(&source).output().unwrap();
        assert!(made.status.success(), "{made:?}");
        let filter = crate::dataset::Filter::new(&[]).unwrap();
        let options = crate::dataset::ScanOptions::new(filter);
        let monitor = crate::monitor::Recording::default();
        let mut entries = Vec::new();
        crate::dataset::scan(&source, &options, &monitor, &mut |scanned| {
            entries.push(scanned.entry);
            Ok(())
        })
        .unwrap();
        assert_eq!(monitor.problems(), []);
        let is_folder = |entry: &&Entry| entry.kind == Kind::Folder;
        for entry in entries.iter().filter(|entry| !is_folder(entry)) {
            if entry.kind == Kind::HardLink {
                destination.make_hard_link(entry, OnConflict::Fail).unwrap();
            } else {
                assert!(restore(&destination, entry).is_empty(), "{}", entry.shown());
            }
        }
        for entry in entries.iter().filter(is_folder).rev() {
            assert!(restore(&destination, entry).is_empty(), "{}", entry.shown());
        }
        destination.complete().unwrap();
        assert_eq!(seen(&dir), seen(&source));
    }
}

/// Makes a folder with all sorts of metadata. What is not allowed or not installed is left out.
const SCENE: &str = r#"
mkdir -p "$1/folder/deep" "$1/shut" && cd "$1" || exit 1
echo plain > plain; echo file > folder/file; echo x > folder/deep/x; echo s > setid
ln folder/file link; ln -s nowhere symlink; mkfifo fifo
chown 1234:5678 setid folder; chown -h 77:88 symlink
mknod char c 10 200; mknod block b 7 999
setfattr -n user.name -v value plain folder fifo
setfattr -h -n trusted.name -v value plain folder symlink char
setcap cap_net_raw,cap_net_admin+ep setid
setfacl -m u:1234:rw,g:99:r,m:rx folder/file
setfacl -m u:77:rwx -m d:u:77:rwx,d:g:5:r folder
setfacl -m u:55:- fifo
chmod 6755 setid; chmod 3775 folder; chmod 1777 folder/deep; chmod 0400 plain; chmod 0555 shut
touch -h -d '1969-12-31 23:59:58.5 UTC' symlink plain
touch -h -d '2200-01-01 00:00:00.123456789 UTC' shut fifo
true
"#;
