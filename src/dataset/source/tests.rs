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
