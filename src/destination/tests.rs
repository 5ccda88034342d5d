//! Real folders, every kind of entry, as root and as anybody. What tries to get out is in
//! attack.rs, extended attributes and rights are in metadata.rs.

mod attack;
mod mapped;
mod metadata;

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::at::{as_path, file_id, open_folder_at};
use super::dir::checked;
use super::folders::Folders;
use super::*;
use crate::format::list::{Entry, Kind};

const SHIPMENT: &str = "00112233445566aa";

/// A scratch folder with DIR, claimed, in it.
fn fresh() -> (TempDir, PathBuf, Destination) {
    fresh_in(tempfile::tempdir().unwrap())
}

/// The same in memory, if there is a place for it: for what makes or syncs much.
fn fresh_in_memory() -> (TempDir, PathBuf, Destination) {
    let in_memory = tempfile::tempdir_in("/dev/shm");
    fresh_in(in_memory.unwrap_or_else(|_| tempfile::tempdir().unwrap()))
}

fn fresh_in(scratch: TempDir) -> (TempDir, PathBuf, Destination) {
    let dir = scratch.path().join("out");
    let (destination, opened) = Destination::open(&dir, SHIPMENT).unwrap();
    assert_eq!(opened, DirState::Fresh);
    (scratch, dir, destination)
}

/// DIR with names that are mapped.
fn open_mapping(dir: &Path) -> Destination {
    let (owners, shipment) = (Owners::Numbers, SHIPMENT);
    let of = RestoreOf {
        shipment,
        selection: None,
        has_work_name: false,
        owners,
        map_names: true,
        is_for_windows: false,
    };
    Destination::open_for(dir, of).unwrap().0
}

/// An entry of this process's own user, with a time of its own.
fn entry(path: impl AsRef<[u8]>, kind: Kind) -> Entry {
    let mut entry = Entry::new(path.as_ref(), kind);
    entry.mode = if kind == Kind::Folder { 0o755 } else { 0o644 };
    entry.uid = rustix::process::geteuid().as_raw();
    entry.gid = rustix::process::getegid().as_raw();
    entry.mtime = 1_234_567_890;
    entry.mtime_nanos = 123_456_789;
    entry
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Restores a small file.
fn put(
    destination: &Destination,
    path: impl AsRef<[u8]>,
    bytes: &[u8],
    conflict: OnConflict,
) -> Result<Vec<MetadataProblem>, DestinationError> {
    let entry = entry(path, Kind::File);
    let part = destination.begin_file(&entry)?;
    part.write_at(0, bytes)?;
    destination.finish_file(part, &entry, conflict)
}

fn at(dir: &Path, name: impl AsRef<[u8]>) -> PathBuf {
    dir.join(as_path(name.as_ref()))
}

#[track_caller]
fn assert_metadata(path: &Path, entry: &Entry) {
    let found = fs::symlink_metadata(path).unwrap();
    if entry.kind != Kind::Symlink {
        assert_eq!(found.mode() & 0o7777, entry.mode, "{}", path.display());
    }
    assert_eq!((found.uid(), found.gid()), (entry.uid, entry.gid), "{}", path.display());
    assert_eq!(found.mtime(), entry.mtime, "{}", path.display());
    assert_eq!(found.mtime_nsec(), i64::from(entry.mtime_nanos), "{}", path.display());
}

fn parts_left(dir: &Path) -> usize {
    let parts = |process: fs::DirEntry| fs::read_dir(process.path()).unwrap().count();
    let processes = fs::read_dir(dir.join(".holdall/parts")).unwrap();
    processes.map(|process| parts(process.unwrap())).sum()
}

#[test]
fn shared_by_threads() {
    fn assert_shared<T: Send + Sync>() {}
    assert_shared::<Destination>();
    assert_shared::<PartFile>();
}

#[test]
fn every_kind_round_trips_with_its_metadata() {
    let (_scratch, dir, destination) = fresh();
    let mut root = entry("", Kind::Folder);
    root.mode = 0o2751;
    let mut folder = entry("folder", Kind::Folder);
    folder.mode = 0o1555;
    destination.make_folder(b"folder/empty").unwrap();

    let mut file = entry("folder/file", Kind::File);
    file.mode = 0o6755;
    if is_root() {
        (file.uid, file.gid) = (12345, 54321);
    }
    let part = destination.begin_file(&file).unwrap();
    part.write_at(4, b"data").unwrap();
    part.write_at(0, b"some").unwrap();
    let mut back = [0; 6];
    part.read_at(2, &mut back).unwrap();
    assert_eq!(&back, b"medata");
    assert!(part.read_at(3, &mut back).is_err());
    assert!(destination.finish_file(part, &file, OnConflict::Fail).unwrap().is_empty());

    let mut symlink = entry("folder/symlink", Kind::Symlink);
    symlink.target = b"../../nowhere \xff".to_vec();
    assert!(destination.make_symlink(&symlink, OnConflict::Fail).unwrap().is_empty());
    let mut hard_link = entry("other/hard link", Kind::HardLink);
    hard_link.target = b"folder/file".to_vec();
    destination.make_hard_link(&hard_link, OnConflict::Fail).unwrap();
    let mut specials = vec![entry("fifo", Kind::Fifo), entry("folder/socket", Kind::Socket)];
    for (name, kind) in [("zero", Kind::CharDevice), ("disk", Kind::BlockDevice)] {
        let mut device = entry(name, kind);
        device.device = Some((1, 5));
        specials.push(device);
    }
    if !is_root() {
        let device = specials.pop().unwrap();
        assert!(destination.make_special(&device, OnConflict::Fail).unwrap_err().is_forbidden());
        specials.pop();
    }
    for special in &specials {
        assert!(destination.make_special(special, OnConflict::Fail).unwrap().is_empty());
    }
    for folder in [&entry("folder/empty", Kind::Folder), &folder, &root] {
        assert!(destination.finish_folder(folder).unwrap().is_empty());
    }
    assert_eq!(parts_left(&dir), 0);
    assert_eq!(destination.is_root(), is_root());
    destination.complete().unwrap();

    assert_eq!(fs::read(at(&dir, "folder/file")).unwrap(), b"somedata");
    assert_eq!(
        fs::read_link(at(&dir, "folder/symlink")).unwrap().as_os_str().as_bytes(),
        symlink.target
    );
    let inode = |name| fs::metadata(at(&dir, name)).unwrap().ino();
    assert_eq!(inode("folder/file"), inode("other/hard link"));
    for made in [&root, &folder, &file, &symlink].into_iter().chain(&specials) {
        assert_metadata(&at(&dir, &made.path), made);
    }
    let kind = |name| fs::symlink_metadata(at(&dir, name)).unwrap().file_type();
    assert!(kind("fifo").is_fifo() && kind("folder/socket").is_socket());
    if is_root() {
        assert!(kind("zero").is_char_device() && kind("disk").is_block_device());
        assert_eq!(fs::metadata(at(&dir, "zero")).unwrap().rdev(), rustix::fs::makedev(1, 5));
    }
    assert!(!dir.join(".holdall").exists());
    fs::set_permissions(at(&dir, "folder"), fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn found_kinds() {
    let (_scratch, _dir, destination) = fresh();
    put(&destination, "a/file", b"", OnConflict::Fail).unwrap();
    let mut symlink = entry("a/symlink", Kind::Symlink);
    symlink.target = b"/".to_vec();
    destination.make_symlink(&symlink, OnConflict::Fail).unwrap();
    destination.make_special(&entry("a/fifo", Kind::Fifo), OnConflict::Fail).unwrap();
    for (path, kind) in [
        ("", Some(FoundKind::Folder)),
        ("a", Some(FoundKind::Folder)),
        ("a/file", Some(FoundKind::File)),
        ("a/symlink", Some(FoundKind::Symlink)),
        ("a/fifo", Some(FoundKind::Special)),
        ("a/b", None),
        ("b/c/d", None),
    ] {
        assert_eq!(destination.exists(path.as_bytes()).unwrap(), kind, "{path}");
    }
    assert!(
        matches!(destination.exists(b"a/file/x"), Err(DestinationError::NotAFolder { path }) if path == b"a/file")
    );
}

#[test]
fn times_before_1970_and_after_2106() {
    let (_scratch, dir, destination) = fresh();
    // The least that ext4 holds is in December 1901.
    for (name, mtime) in [("1901", -2_147_000_000), ("1969", -1), ("2200", 7_258_118_400)] {
        for kind in [Kind::File, Kind::Symlink, Kind::Fifo, Kind::Folder] {
            let mut entry = entry(format!("{name} {kind:?}"), kind);
            (entry.mtime, entry.mtime_nanos) = (mtime, 999_999_999);
            entry.target = b"x".to_vec();
            let problems = match kind {
                Kind::File => {
                    let part = destination.begin_file(&entry).unwrap();
                    destination.finish_file(part, &entry, OnConflict::Fail)
                }
                Kind::Symlink => destination.make_symlink(&entry, OnConflict::Fail),
                Kind::Folder => {
                    destination.make_folder(&entry.path).unwrap();
                    destination.finish_folder(&entry)
                }
                _ => destination.make_special(&entry, OnConflict::Fail),
            };
            assert!(problems.unwrap().is_empty());
            assert_metadata(&at(&dir, &entry.path), &entry);
        }
    }
}

#[test]
fn names_of_any_bytes() {
    let (_scratch, dir, destination) = fresh();
    let long = vec![b'n'; 255];
    for name in [long.as_slice(), b"\xff\xfe", b"new\nline", b"-rf", b" ", b"...", b"a\\b"] {
        let path = [name, b"/", name].concat();
        put(&destination, &path, name, OnConflict::Fail).unwrap();
        destination.finish_folder(&entry(name, Kind::Folder)).unwrap();
        assert_eq!(fs::read(at(&dir, &path)).unwrap(), name);
        let file = entry(&path, Kind::File);
        let part = destination.begin_file(&file).unwrap();
        let incomplete = destination.finish_incomplete(part, &file).unwrap();
        assert!(at(&dir, incomplete).exists());
    }
}

/// 2,000 levels of folders, a path of 60,000 bytes: made, filled, found and finished.
#[test]
fn deep_paths() {
    const LEVELS: usize = 2000;
    let (scratch, _dir, destination) = fresh_in_memory();
    let name = [b'd'; 30];
    let path = vec![name.as_slice(); LEVELS].join(&b'/');
    let file = [path.as_slice(), b"/file"].concat();
    destination.make_folder(&path).unwrap();
    put(&destination, &file, b"deep", OnConflict::Fail).unwrap();
    let mut hard_link = entry([&path[..path.len() / 2], b"/again"].concat(), Kind::HardLink);
    hard_link.target.clone_from(&file);
    destination.make_hard_link(&hard_link, OnConflict::Fail).unwrap();
    for level in (1..=LEVELS).rev() {
        let folder = entry(&path[..level * (name.len() + 1) - 1], Kind::Folder);
        assert!(destination.finish_folder(&folder).unwrap().is_empty());
    }
    assert!(fs::read_dir("/proc/self/fd").unwrap().count() < 1000);
    let (again, opened) = Destination::open(&scratch.path().join("out"), SHIPMENT).unwrap();
    assert_eq!(opened, DirState::Resumed);
    assert_eq!(again.exists(&file).unwrap(), Some(FoundKind::File));
    // std's remove_dir_all holds a folder a level.
    assert!(Command::new("rm").arg("-rf").arg(scratch.path()).status().unwrap().success());
}

#[test]
fn holes_stay_holes() {
    let (_scratch, dir, destination) = fresh();
    let sparse = entry("sparse", Kind::File);
    let part = destination.begin_file(&sparse).unwrap();
    part.write_at(32 << 20, &[7; 4096]).unwrap();
    part.set_len(64 << 20).unwrap();
    destination.finish_file(part, &sparse, OnConflict::Fail).unwrap();
    let found = fs::metadata(at(&dir, "sparse")).unwrap();
    assert_eq!(found.len(), 64 << 20);
    assert!(found.blocks() * 512 <= 64 << 10, "{} blocks", found.blocks());
    let bytes = fs::read(at(&dir, "sparse")).unwrap();
    assert_eq!(bytes.iter().filter(|byte| **byte != 0).count(), 4096);
}

#[test]
fn dir_is_claimed_by_one_shipment() {
    let scratch = tempfile::tempdir().unwrap();
    let dir = scratch.path().join("new/parents/out");
    let open = |dir: &Path, shipment| Destination::open(dir, shipment).map(|(_, opened)| opened);
    assert_eq!(open(&dir, "a").unwrap(), DirState::Fresh);
    assert_eq!(fs::metadata(dir.join(".holdall")).unwrap().mode() & 0o777, 0o700);
    fs::write(dir.join("restored"), "").unwrap();
    assert_eq!(open(&dir, "a").unwrap(), DirState::Resumed);
    let other = open(&dir, "b").unwrap_err();
    assert!(
        matches!(&other, DestinationError::OtherShipment { found, wanted, .. } if found == "a" && wanted == "b")
    );

    let empty = scratch.path().join("empty");
    fs::create_dir(&empty).unwrap();
    assert_eq!(open(&empty, "a").unwrap(), DirState::Fresh);

    let full = scratch.path().join("full");
    fs::create_dir(&full).unwrap();
    fs::write(full.join("mine"), "").unwrap();
    assert!(matches!(open(&full, "a"), Err(DestinationError::NotEmpty { .. })));
    fs::create_dir(full.join(".holdall")).unwrap();
    assert!(matches!(open(&full, "a"), Err(DestinationError::NotEmpty { .. })));
    assert_eq!(fs::read_dir(&full).unwrap().count(), 2);
    assert_eq!(fs::read_dir(full.join(".holdall")).unwrap().count(), 0);
    assert!(matches!(open(&full.join("mine"), "a"), Err(DestinationError::NotAFolder { .. })));
    assert!(open(&full.join("mine/below"), "a").is_err());
}

#[test]
fn damaged_newer_and_unfinished_claims() {
    let scratch = tempfile::tempdir().unwrap();
    let dir = scratch.path().join("out");
    let claim = dir.join(".holdall/restore.json");
    fs::create_dir_all(dir.join(".holdall")).unwrap();
    fs::write(dir.join(".holdall/restore.json.new"), "{").unwrap();
    let open = || Destination::open(&dir, "a").map(|(_, opened)| opened);
    assert_eq!(open().unwrap(), DirState::Fresh);
    fs::write(&claim, "{").unwrap();
    assert!(matches!(open(), Err(DestinationError::Claim { .. })));
    fs::write(&claim, r#"{"what":"holdall restore","format":2,"shipment":"a"}"#).unwrap();
    assert!(matches!(open(), Err(DestinationError::NewerClaim { found: 2, .. })));
    fs::write(&claim, r#"{"what":"holdall restore","format":1,"shipment":"a","more":0}"#).unwrap();
    assert_eq!(open().unwrap(), DirState::Resumed);
}

#[test]
fn states_are_replaced_whole() {
    let (_scratch, dir, destination) = fresh();
    assert_eq!(destination.load_state("journal").unwrap(), None);
    destination.save_state("journal", b"one").unwrap();
    destination.save_state("journal", b"2").unwrap();
    assert_eq!(destination.load_state("journal").unwrap().unwrap(), b"2");
    fs::write(dir.join(".holdall/journal.new"), "cut sh").unwrap();
    assert_eq!(destination.load_state("journal").unwrap().unwrap(), b"2");
    assert_eq!(fs::read(dir.join(".holdall/journal")).unwrap(), b"2");
    destination.remove_state("journal").unwrap();
    destination.remove_state("journal").unwrap();
    assert_eq!(destination.load_state("journal").unwrap(), None);
    for name in ["", ".", "..", "a/b", "/etc/x", "restore.json", "parts", "x.new", "a\0"] {
        let saved = destination.save_state(name, b"");
        assert!(matches!(saved, Err(DestinationError::Reserved { .. })), "{name}");
    }
}

#[test]
fn parts_do_not_stay() {
    let (scratch, dir, destination) = fresh();
    drop(destination.begin_named_file().unwrap());
    assert_eq!(parts_left(&dir), 0);
    let lost = destination.begin_named_file().unwrap();
    lost.write_at(0, b"x").unwrap();
    assert_eq!(parts_left(&dir), 1);
    drop(lost);
    // Another process that restores into DIR uses names of its own.
    let (again, _) = Destination::open(&scratch.path().join("out"), SHIPMENT).unwrap();
    let (mine, other) =
        (destination.begin_named_file().unwrap(), again.begin_named_file().unwrap());
    assert_eq!(parts_left(&dir), 2);
    again.finish_file(other, &entry("file", Kind::File), OnConflict::Fail).unwrap();
    drop(mine);
    assert_eq!(parts_left(&dir), 0);
    // A shared file is one for all, and stays until it is whole.
    destination.share_file("a").unwrap().write_at(0, b"x").unwrap();
    let shared = again.share_file("a").unwrap();
    shared.write_at(1, b"y").unwrap();
    again.finish_file(shared, &entry("shared", Kind::File), OnConflict::Fail).unwrap();
    assert_eq!(fs::read(dir.join("shared")).unwrap(), b"xy");
    assert!(again.free_bytes().unwrap() > 0);
    again.sync().unwrap();
}

#[test]
fn complete_leaves_only_the_dataset() {
    let (_scratch, dir, destination) = fresh();
    put(&destination, "file", b"", OnConflict::Fail).unwrap();
    destination.save_state("journal", b"x").unwrap();
    fs::write(dir.join(".holdall/large"), "x").unwrap();
    fs::write(dir.join(".holdall/parts/left"), "x").unwrap();
    fs::create_dir_all(dir.join(".holdall/parts/strange/folder")).unwrap();
    let mut root = entry("", Kind::Folder);
    root.mode = 0o555;
    destination.finish_folder(&root).unwrap();
    destination.complete().unwrap();
    assert_eq!(fs::read_dir(&dir).unwrap().count(), 1);
    assert_metadata(&dir, &root);
    assert!(matches!(Destination::open(&dir, SHIPMENT), Err(DestinationError::NotEmpty { .. })));
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn incomplete_files_find_a_free_name() {
    let (_scratch, dir, destination) = fresh();
    let mut file = entry("a/file", Kind::File);
    file.mode = 0o4755;
    for expected in ["a/file.incomplete", "a/file.incomplete-2", "a/file.incomplete-3"] {
        let part = destination.begin_file(&file).unwrap();
        let path = destination.finish_incomplete(part, &file).unwrap();
        assert_eq!(path, expected.as_bytes());
        let mut expected_entry = file.clone();
        expected_entry.mode = 0o755;
        assert_metadata(&at(&dir, &path), &expected_entry);
    }
    assert_eq!(destination.exists(b"a/file").unwrap(), None);
}

/// A restore is resumed in folders that the run before finished with a mode that shuts its owner
/// out.
#[test]
fn finished_folders_are_opened_again() {
    let (scratch, dir, destination) = fresh();
    for mode in [0o000, 0o100, 0o400, 0o500] {
        let mut folder = entry(format!("{mode:o}"), Kind::Folder);
        folder.mode = mode;
        let inside = format!("{mode:o}/inside");
        destination.make_folder(inside.as_bytes()).unwrap();
        destination.finish_folder(&folder).unwrap();
        let (again, _) = Destination::open(&scratch.path().join("out"), SHIPMENT).unwrap();
        put(&again, format!("{inside}/file"), b"x", OnConflict::Fail).unwrap();
        put(&again, format!("{mode:o}/file"), b"x", OnConflict::Fail).unwrap();
        put(&destination, format!("{mode:o}/file2"), b"x", OnConflict::Fail).unwrap();
        again.finish_folder(&folder).unwrap();
        assert_metadata(&at(&dir, &folder.path), &folder);
        fs::set_permissions(at(&dir, &folder.path), fs::Permissions::from_mode(0o755)).unwrap();
    }
}

#[test]
fn what_cannot_be_set_is_reported() {
    let (_scratch, dir, destination) = fresh();
    let mut file = entry("file", Kind::File);
    file.mode = 0o6755;
    (file.uid, file.gid) = (u32::MAX, u32::MAX);
    file.xattrs = vec![(b"strange.\n\xff".to_vec(), b"b".to_vec())];
    let part = destination.begin_file(&file).unwrap();
    let problems = destination.finish_file(part, &file, OnConflict::Fail).unwrap();
    let mut what: Vec<_> = problems.iter().map(|problem| problem.what.as_ref()).collect();
    what.retain(|what| *what != "owner");
    assert_eq!(what, ["extended attribute strange.\\n\\xff", "set-id bits"]);
    assert_eq!(problems.len(), if is_root() { 3 } else { 2 });
    assert!(problems.iter().all(|problem| problem.path == b"file"));
    let first = problems[problems.len() - 2].to_string();
    assert_eq!(first, "extended attribute strange.\\n\\xff of file not set");
    // Set-id bits without their owner would lend the rights of whoever restores.
    assert_eq!(fs::metadata(at(&dir, "file")).unwrap().mode() & 0o7777, 0o755);
}

/// Many threads make the same folders and fill them, with more folders than handles are kept.
#[test]
fn many_threads_in_the_same_folders() {
    const FOLDERS: usize = 300;
    let (_scratch, dir, destination) = fresh_in_memory();
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let destination = &destination;
            scope.spawn(move || {
                for number in 0..FOLDERS {
                    let folder = format!("top/{}/{number}", number % 7);
                    destination.make_folder(folder.as_bytes()).unwrap();
                    let (path, bytes) = (format!("{folder}/{thread}"), folder.as_bytes());
                    put(destination, path, bytes, OnConflict::Fail).unwrap();
                    // All want this name; one gets it.
                    match put(destination, format!("{folder}/same"), b"same", OnConflict::Fail) {
                        Ok(_) | Err(DestinationError::Exists { .. }) => {}
                        Err(error) => panic!("{error}"),
                    }
                }
            });
        }
    });
    for number in 0..FOLDERS {
        let folder = format!("top/{}/{number}", number % 7);
        assert_eq!(fs::read_dir(at(&dir, &folder)).unwrap().count(), 9);
        assert_eq!(fs::read(at(&dir, format!("{folder}/3"))).unwrap(), folder.as_bytes());
    }
    assert_eq!(parts_left(&dir), 0);
}

/// One part is written from several threads.
#[test]
fn many_threads_write_one_part() {
    let (_scratch, dir, destination) = fresh();
    let file = entry("file", Kind::File);
    let part = destination.begin_file(&file).unwrap();
    std::thread::scope(|scope| {
        for piece in 0..16_u8 {
            let part = &part;
            scope.spawn(move || part.write_at(u64::from(piece) * 1000, &[piece; 1000]).unwrap());
        }
    });
    destination.finish_file(part, &file, OnConflict::Fail).unwrap();
    let bytes = fs::read(at(&dir, "file")).unwrap();
    assert!(bytes.iter().enumerate().all(|(at, byte)| at / 1000 == usize::from(*byte)));
}

#[test]
fn a_full_file_system_is_told_apart() {
    // /dev/full refuses every write as a full file system does.
    let error = fs::File::options().write(true).open("/dev/full").unwrap().write(b"x").unwrap_err();
    assert!(DestinationError::io("write", b"x")(error).is_full());
    let missing = DestinationError::io("write", b"x")(io::Error::from(io::ErrorKind::NotFound));
    assert!(!missing.is_full());
}
