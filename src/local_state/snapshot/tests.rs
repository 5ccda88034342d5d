use super::*;
use crate::format::list::{Entry, Kind, Lack};
use std::os::unix::fs::PermissionsExt;
use tempfile::{TempDir, tempdir};

fn sample(number: u64) -> ScannedEntry {
    let kinds = [Kind::Folder, Kind::File, Kind::Symlink, Kind::HardLink, Kind::CharDevice];
    let kind = kinds[number as usize % kinds.len()];
    let mut entry = Entry::new(format!("f/\n{number}").into_bytes(), kind);
    entry.path.extend_from_slice(b"\xff");
    entry.mode = 0o4755;
    entry.mtime = -number.cast_signed();
    entry.mtime_nanos = 999_999_999;
    entry.uid = u32::MAX;
    match kind {
        Kind::File => entry.size = number << 30,
        Kind::Symlink => entry.target = b"\xfe/..".to_vec(),
        Kind::HardLink => entry.target = b"f/other".to_vec(),
        Kind::CharDevice => entry.device = Some((number as u32, 255)),
        _ => entry.lack(Lack::SomeNames),
    }
    let identity = Identity { device: number, inode: !number, ctime: -7, ctime_nanos: 8 };
    ScannedEntry { entry, identity, sparse: number % 2 == 1 }
}

fn written(dir: &TempDir, entries: &[ScannedEntry]) -> ScanSnapshot {
    let mut writer = SnapshotWriter::create(&dir.path().join("list")).unwrap();
    for entry in entries {
        writer.push(entry).unwrap();
    }
    writer.finish().unwrap()
}

fn read(path: &Path) -> Result<Vec<ScannedEntry>, LocalStateError> {
    ScanSnapshot::open(path)?.iter().collect()
}

#[test]
fn gives_back_what_was_pushed() {
    let dir = tempdir().unwrap();
    for count in [0, 1, 2, 20_000] {
        let entries: Vec<_> = (0..count).map(sample).collect();
        let list = written(&dir, &entries);
        assert_eq!(list.count(), count);
        for _ in 0..2 {
            let again: Vec<_> = list.iter().collect::<Result<_, _>>().unwrap();
            assert!(again == entries);
        }
        assert!(read(list.path()).unwrap() == entries);
    }
}

#[test]
fn records_larger_than_a_page() {
    let dir = tempdir().unwrap();
    let mut entries: Vec<_> = (0..5).map(sample).collect();
    entries[2].entry.path = vec![b"0123456789".as_slice(); 100_000].join(&b'/');
    let list = written(&dir, &entries);
    assert!(list.iter().map(Result::unwrap).eq(entries));

    let mut writer = SnapshotWriter::create(&dir.path().join("other")).unwrap();
    let mut entry = sample(0);
    entry.entry.path = vec![b'x'; MAX_RECORD_BYTES];
    assert!(matches!(writer.push(&entry), Err(LocalStateError::TooLarge { .. })));
}

#[test]
fn is_private_and_whole_under_its_name() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("list");
    let names = || std::fs::read_dir(dir.path()).unwrap().count();
    let old = written(&dir, &[sample(1)]);
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);

    std::fs::write(dir.path().join("list.part"), "litter of a crash").unwrap();
    let mut writer = SnapshotWriter::create(&path).unwrap();
    for number in 0..10_000 {
        writer.push(&sample(number)).unwrap();
    }
    let part = dir.path().join("list.part").metadata().unwrap();
    assert_eq!(part.permissions().mode() & 0o777, 0o600);
    drop(writer);
    assert_eq!(names(), 1, "an unfinished list leaves nothing");
    assert_eq!(read(&path).unwrap(), [sample(1)]);
    old.remove().unwrap();
    assert_eq!(names(), 0);
}

#[test]
fn every_truncation_is_noticed() {
    let dir = tempdir().unwrap();
    let list = written(&dir, &(0..4).map(sample).collect::<Vec<_>>());
    let bytes = std::fs::read(list.path()).unwrap();
    let cut = dir.path().join("cut");
    for len in 0..bytes.len() {
        std::fs::write(&cut, &bytes[..len]).unwrap();
        let error = read(&cut).unwrap_err();
        assert!(matches!(error, LocalStateError::Damaged { .. }), "{len}: {error}");
    }
    // A page that is missing although the end is there.
    let first = LEN_BYTES + number(&bytes[16..20]) as usize + CHECK_BYTES;
    std::fs::write(&cut, [&bytes[..16], &bytes[16 + first..]].concat()).unwrap();
    assert!(matches!(read(&cut), Err(LocalStateError::Damaged { .. })));
    // Bytes after the end; zeros, as after a power cut.
    std::fs::write(&cut, [&bytes[..], &[0]].concat()).unwrap();
    assert!(matches!(read(&cut), Err(LocalStateError::Damaged { .. })));
    let mut zeros = bytes.clone();
    let half = bytes.len() / 2;
    zeros[half..bytes.len() - END_BYTES as usize].fill(0);
    std::fs::write(&cut, zeros).unwrap();
    assert!(read(&cut).is_err());
}

/// A flipped bit must not change what is packed.
#[test]
fn every_flipped_byte_is_noticed_and_what_is_before_it_is_right() {
    let dir = tempdir().unwrap();
    let entries: Vec<_> = (0..4).map(sample).collect();
    let list = written(&dir, &entries);
    let bytes = std::fs::read(list.path()).unwrap();
    let path = dir.path().join("damaged");
    for at in 0..bytes.len() {
        for change in [0x01, 0x80, 0xff] {
            let mut damaged = bytes.clone();
            damaged[at] ^= change;
            std::fs::write(&path, damaged).unwrap();
            let Ok(list) = ScanSnapshot::open(&path) else { continue };
            assert!(list.check().is_err(), "byte {at}");
            let items: Vec<_> = list.iter().collect();
            let (last, before) = items.split_last().unwrap();
            assert!(matches!(last, Err(LocalStateError::Damaged { .. })), "byte {at}: {last:?}");
            assert!(before.iter().map(|item| item.as_ref().unwrap()).eq(&entries[..before.len()]));
        }
    }
    assert!(list.check().is_ok());
}

#[test]
fn errors_name_the_file_and_the_action() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("none/list");
    let error = SnapshotWriter::create(&path).unwrap_err();
    assert_eq!(error.to_string(), format!("cannot create {}.part", path.display()));
    let error = ScanSnapshot::open(&path).unwrap_err();
    assert_eq!(error.to_string(), format!("cannot open {}", path.display()));
    let full = LocalStateError::io("write", &path, io::Error::from_raw_os_error(28));
    let text = format!("no room left on this machine's disk to write {}", path.display());
    assert_eq!(full.to_string(), text);
}
