use super::*;
use crate::dataset::testing::{DEEP_NAME, DeepTree};
use std::fs;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, symlink};
use tempfile::tempdir;

#[test]
fn reads_at_any_place_to_the_end() {
    let dir = tempdir().unwrap();
    fs::create_dir(dir.path().join("a")).unwrap();
    fs::write(dir.path().join("a/file"), b"0123456789").unwrap();
    let source = Source::open(dir.path()).unwrap();
    let file = source.open_file(b"a/file").unwrap();
    file.advise_sequential();
    let mut buffer = [0; 4];
    for (offset, want) in [(0, "0123"), (3, "3456"), (6, "6789"), (8, "89"), (10, ""), (99, "")] {
        let read = file.read_at(offset, &mut buffer).unwrap();
        assert_eq!(&buffer[..read], want.as_bytes());
    }
    let system = fs::metadata(dir.path().join("a/file")).unwrap();
    let before = Entry { uid: u32::MAX, ..Entry::new("a/file", Kind::File) };
    let looked = file.look(&before).unwrap();
    let (identity, entry) = (looked.identity, looked.entry);
    assert_eq!((identity.device, identity.inode, entry.size), (system.dev(), system.ino(), 10));
    assert_eq!((entry.mtime, i64::from(entry.mtime_nanos)), (system.mtime(), system.mtime_nsec()));
    assert_eq!((entry.uid, entry.gid), (system.uid(), system.gid()));
    assert_eq!((entry.path, entry.mode), (b"a/file".to_vec(), system.mode() & 0o7777));
}

/// Review R2: what changes the content is a change; a new mode or another name is none.
#[test]
fn only_a_change_of_content_is_one() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("file");
    fs::write(&path, "x").unwrap();
    let source = Source::open(dir.path()).unwrap();
    let file = source.open_file(b"file").unwrap();
    let before = file.look(&Entry::new("file", Kind::File)).unwrap().entry;
    // Change times have the grain of the kernel's tick.
    std::thread::sleep(std::time::Duration::from_millis(20));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    fs::hard_link(&path, dir.path().join("other")).unwrap();
    assert!(file.has_content_of(&before).unwrap());
    fs::OpenOptions::new().write(true).open(&path).unwrap().write_all_at(b"y", 0).unwrap();
    assert!(!file.has_content_of(&before).unwrap());
    fs::remove_file(&path).unwrap();
    fs::write(&path, "x").unwrap();
    assert!(!source.open_file(b"file").unwrap().has_content_of(&before).unwrap());
}

#[test]
fn nothing_but_files_beneath_the_source() {
    let dir = tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    fs::create_dir_all(path("source/folder")).unwrap();
    fs::write(path("outside"), "x").unwrap();
    fs::write(path("source/folder/file"), "x").unwrap();
    symlink("folder", path("source/link")).unwrap();
    symlink("../outside", path("source/out")).unwrap();
    let fifo = rustix::fs::FileType::Fifo;
    rustix::fs::mknodat(CWD, path("source/fifo"), fifo, Mode::RUSR, 0).unwrap();
    let source = Source::open(&path("source")).unwrap();
    assert!(source.open_file(b"folder/file").is_ok());
    for refused in [
        "",
        "folder",
        "link/file",
        "out",
        "fifo",
        "../outside",
        "folder/../folder/file",
        "/etc/passwd",
        "folder//file",
        "./folder/file",
        "folder/file/",
        "folder/file/x",
    ] {
        let error = source.open_file(refused.as_bytes()).unwrap_err();
        assert!(!error.is_missing(), "{refused}: {error}");
    }
    let error = source.open_file(b"fifo").unwrap_err();
    assert_eq!(error.to_string(), "cannot open fifo");
    assert_eq!(error.source.to_string(), "it is no longer a file");
    assert!(source.open_file(b"folder/none").unwrap_err().is_missing());
}

#[test]
fn paths_of_any_length() {
    let levels = 500;
    let tree = DeepTree::new(levels);
    let source = Source::open(tree.path()).unwrap();
    let mut path = format!("{DEEP_NAME}/").repeat(levels).into_bytes();
    path.push(b'z');
    assert!(path.len() > 2 * 4_096);
    let mut buffer = [0; 2];
    assert_eq!(source.open_file(&path).unwrap().read_at(0, &mut buffer).unwrap(), 1);
    assert_eq!(buffer[0], b'z');
    path.push(b'-');
    assert!(source.open_file(&path).unwrap_err().is_missing());
}

#[test]
fn a_single_file() {
    let dir = tempdir().unwrap();
    fs::write(dir.path().join("file"), "x").unwrap();
    symlink("file", dir.path().join("alias")).unwrap();
    for name in ["file", "alias"] {
        let source = Source::open(&dir.path().join(name)).unwrap();
        assert_eq!(
            source
                .open_file(name.as_bytes())
                .unwrap()
                .look(&Entry::new("", Kind::File))
                .unwrap()
                .entry
                .size,
            1
        );
        assert!(source.open_file(b"other").unwrap_err().is_missing());
    }
    let error = Source::open(&dir.path().join("none")).unwrap_err();
    assert!(error.is_missing() && error.to_string().ends_with("/none"), "{error}");
    assert!(Source::open(Path::new("/dev/null")).is_err());
}

#[test]
fn holes_are_where_nothing_was_written() {
    let dir = tempdir().unwrap();
    let size = 8 << 20;
    let file = fs::File::create(dir.path().join("file")).unwrap();
    file.set_len(size).unwrap();
    for offset in [1 << 20, 3 << 20, 5 << 20] {
        file.write_all_at(&[1; 1 << 12], offset).unwrap();
    }
    file.sync_all().unwrap();
    let is_sparse = file.metadata().unwrap().blocks() * 512 < size;
    let source = Source::open(dir.path()).unwrap();
    let file = source.open_file(b"file").unwrap();
    let holes = file.holes(size).unwrap();
    assert_eq!(holes.is_empty(), !is_sparse);
    check_holes(&file, &holes, size);
    if is_sparse {
        assert_eq!(holes.len(), 4);
        assert_eq!(holes[3].0 + holes[3].1, size, "the last reaches the end");
        assert_eq!(file.first_holes(size, 3).unwrap(), holes[3..], "the largest is kept");
    }
    // A size that the file no longer has, or not yet.
    check_holes(&file, &file.holes(4 << 20).unwrap(), 4 << 20);
    check_holes(&file, &file.holes(16 << 20).unwrap(), 16 << 20);
    assert_eq!(file.holes(0).unwrap(), []);

    fs::write(dir.path().join("full"), vec![1; 100_000]).unwrap();
    assert_eq!(source.open_file(b"full").unwrap().holes(100_000).unwrap(), []);
    fs::File::create(dir.path().join("nothing")).unwrap().set_len(1 << 20).unwrap();
    let holes = source.open_file(b"nothing").unwrap().holes(1 << 20).unwrap();
    assert!(holes.is_empty() || holes == [(0, 1 << 20)]);
}

fn check_holes(file: &SourceFile, holes: &[(u64, u64)], size: u64) {
    let mut end = 0;
    for (offset, len) in holes {
        assert!(*len > 0 && *offset >= end && offset + len <= size, "{holes:?}");
        assert!(*offset == 0 || *offset > end, "not apart: {holes:?}");
        end = offset + len;
        let mut bytes = vec![9; *len as usize];
        let read = file.read_at(*offset, &mut bytes).unwrap();
        assert!(bytes[..read].iter().all(|byte| *byte == 0));
    }
}

fn scanned(source: &Source, path: &str) -> ScannedEntry {
    source.open_file(path.as_bytes()).unwrap().look(&Entry::new(path, Kind::File)).unwrap()
}

#[test]
fn what_is_read_at_once_is_what_was_scanned() {
    let dir = tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    fs::create_dir_all(path("a")).unwrap();
    for name in ["a/same", "a/other", "a/longer", "a/moved", "a/pipe"] {
        fs::write(path(name), "0123456789").unwrap();
    }
    let source = Source::open(dir.path()).unwrap();
    let entries = ["same", "other", "longer", "moved", "pipe"]
        .map(|name| (name, scanned(&source, &format!("a/{name}"))));
    let read = |entry: &ScannedEntry| {
        let mut bytes = [0; 10];
        let read = source.read_unchanged(entry, &mut bytes);
        assert!(!read || bytes == *b"0123456789");
        read
    };
    assert!(entries.iter().all(|(_, entry)| read(entry)));
    std::thread::sleep(std::time::Duration::from_millis(20));
    fs::write(path("a/other"), "9876543210").unwrap();
    fs::write(path("a/longer"), "0123456789a").unwrap();
    fs::rename(path("a/moved"), path("a/away")).unwrap();
    fs::write(path("a/moved"), "0123456789").unwrap();
    fs::remove_file(path("a/pipe")).unwrap();
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    let fifo = rustix::fs::FileType::Fifo;
    rustix::fs::mknodat(rustix::fs::CWD, path("a/pipe"), fifo, mode, 0).unwrap();
    let held = fs::OpenOptions::new().read(true).write(true).open(path("a/pipe")).unwrap();
    std::io::Write::write_all(&mut &held, b"0123456789").unwrap();
    for (name, entry) in &entries {
        assert_eq!(read(entry), *name == "same", "{name}");
    }
    let mut still = [0; 10];
    std::io::Read::read_exact(&mut &held, &mut still).unwrap();
    assert_eq!(&still, b"0123456789", "nothing was taken from the pipe");
    // Another folder took its place.
    fs::rename(path("a"), path("b")).unwrap();
    fs::create_dir(path("a")).unwrap();
    fs::write(path("a/other"), "0123456789").unwrap();
    assert!(!read(&entries[1].1));
}

/// The kernel counts the reads of a thread, if it was built to.
#[test]
fn a_small_file_is_one_read() {
    let reads = || -> Option<u64> {
        let text = fs::read_to_string("/proc/thread-self/io").ok()?;
        text.lines().find_map(|line| line.strip_prefix("syscr: ")?.parse().ok())
    };
    let dir = tempdir().unwrap();
    fs::write(dir.path().join("file"), "0123456789").unwrap();
    let source = Source::open(dir.path()).unwrap();
    let entry = scanned(&source, "file");
    let (Some(first), Some(begin)) = (reads(), reads()) else { return };
    for _ in 0..100 {
        assert!(source.read_unchanged(&entry, &mut [0; 10]));
    }
    assert_eq!(reads().unwrap() - begin, 100 + begin - first);
}
