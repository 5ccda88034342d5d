//! Real folders, on the machine's file system and in memory, and the drive of tests: all keep the
//! same rules.

use std::fs;
use std::os::unix::fs::{FileExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::buffer::Buffer;
use super::*;
use crate::testing::faulty::{Death, FaultyDrive};
use std::io;

const MIB: usize = 1 << 20;
const LENGTHS: [usize; 8] = [0, 1, 4095, 4096, 4097, MIB, MIB + 1, 16 * MIB];
const EIO: i32 = 5;
const ENODEV: i32 = 19;

/// Bytes that differ from offset to offset and from one seed to the next.
fn noise(len: usize, seed: u64) -> Buffer {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Buffer::zeroed(len);
    for part in bytes.chunks_mut(8) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        part.copy_from_slice(&state.to_le_bytes()[..part.len()]);
    }
    bytes
}

/// The folders that tests run in: on a device, most often, and in memory.
fn folders() -> Vec<TempDir> {
    let bases = ["/var/tmp", "/dev/shm"];
    bases.iter().map(|base| tempfile::tempdir_in(base).unwrap()).collect()
}

/// Every kind of drive, empty, with what keeps it there.
fn drives() -> Vec<(Box<dyn Drive>, Option<TempDir>)> {
    let mut drives: Vec<(Box<dyn Drive>, _)> =
        vec![(Box::new(FaultyDrive::new("memory", 1 << 30)), None)];
    for folder in folders() {
        drives.push((Box::new(LocalDrive::open(folder.path()).unwrap()), Some(folder)));
    }
    drives
}

fn read_all(drive: &dyn Drive, path: &str, mode: ReadMode) -> Vec<u8> {
    let mut file = drive.open(path, mode).unwrap();
    let mut bytes = vec![0; file.len() as usize];
    assert_eq!(file.read_at(0, &mut bytes).unwrap(), bytes.len());
    bytes
}

/// Removes what a test mounted, also when it panics.
struct Mounted(TempDir);

impl Mounted {
    /// A small tmpfs; `None` if this user may not mount.
    fn new(options: &str) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(folder.path());
        let done = mount.output().is_ok_and(|output| output.status.success());
        done.then(|| Self(folder))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        Command::new("umount").arg("-l").arg(self.path()).status().ok();
    }
}

#[test]
fn every_length_comes_back_aligned_or_not() {
    for (drive, _kept) in drives() {
        drive.make_folder("a/b").unwrap();
        for len in LENGTHS {
            let bytes = noise(len + 1, len as u64);
            for shift in [0, 1] {
                let path = format!("a/b/{len}-{shift}");
                drive.write(&path, &bytes[shift..shift + len], WriteMode::New).unwrap();
            }
            let path = format!("a/b/{len}-c");
            drive.write(&path, &bytes[..len], WriteMode::Commit).unwrap();
        }
        drive.sync().unwrap();
        for len in LENGTHS {
            let bytes = noise(len + 1, len as u64);
            for (name, shift) in [("0", 0), ("1", 1), ("c", 0)] {
                for mode in [ReadMode::Cached, ReadMode::Medium] {
                    let read = read_all(&*drive, &format!("a/b/{len}-{name}"), mode);
                    assert!(read == bytes[shift..shift + len], "{len}-{name} on {}", drive.name());
                }
            }
        }
        assert_eq!(drive.level(), Level::Direct, "{}", drive.name());
    }
}

#[test]
fn any_range_is_the_same_in_both_modes() {
    for (drive, _kept) in drives() {
        let len = 3 * MIB + 4097;
        let bytes = noise(len, 3);
        drive.write("file", &bytes, WriteMode::New).unwrap();
        let offsets = [0, 1, 511, 4095, 4096, 4097, MIB, 2 * MIB + 3, len - 4097, len - 1, len];
        for mode in [ReadMode::Cached, ReadMode::Medium] {
            let mut file = drive.open("file", mode).unwrap();
            assert_eq!(file.len(), len as u64);
            let mut buffer = Buffer::zeroed(4 * MIB + 1);
            for offset in offsets.into_iter().chain([len + 1, len + 10_000]) {
                let there = bytes.get(offset..).unwrap_or_default();
                for wanted in [0, 1, 4096, 5000, 8192, MIB, 4 * MIB] {
                    for shift in [0, 1] {
                        let buf = &mut buffer[shift..shift + wanted];
                        buf.fill(0);
                        let read = file.read_at(offset as u64, buf).unwrap();
                        assert_eq!(read, wanted.min(there.len()), "{wanted} at {offset}");
                        assert!(buf[..read] == there[..read], "{wanted} at {offset}");
                    }
                }
            }
        }
    }
}

#[test]
fn a_file_is_written_once() {
    for (drive, _kept) in drives() {
        drive.make_folder("d").unwrap();
        for path in ["d/0", "d/1"] {
            let first = if path == "d/0" {
                drive.write(path, b"first", WriteMode::New)
            } else {
                drive.write(path, b"first", WriteMode::Commit)
            };
            first.unwrap();
            let second = noise(2 * MIB, 1);
            for again in [
                drive.write(path, &second, WriteMode::New),
                drive.write(path, &second, WriteMode::Commit),
            ] {
                let error = again.unwrap_err();
                assert_eq!(error.source.kind(), io::ErrorKind::AlreadyExists, "{error}");
            }
            assert_eq!(drive.read(path, 5).unwrap(), b"first");
        }
        assert_eq!(drive.list("d").unwrap(), ["0", "1"], "no litter");
        let error = drive.read("d/0", 4).unwrap_err();
        assert_eq!(error.source.kind(), io::ErrorKind::InvalidData);
    }
}

#[test]
fn commit_replaces_litter() {
    for folder in folders() {
        let drive = LocalDrive::open(folder.path()).unwrap();
        drive.make_folder("new/newer").unwrap();
        fs::write(folder.path().join("new/newer/rec.tmp"), b"litter, and longer").unwrap();
        drive.write("new/newer/rec", b"whole", WriteMode::Commit).unwrap();
        assert_eq!(drive.read("new/newer/rec", 100).unwrap(), b"whole");
        assert_eq!(drive.list("new/newer").unwrap(), ["rec"]);
    }
}

#[test]
fn repair_alone_changes_what_is_there() {
    for (drive, _kept) in drives() {
        drive.make_folder("a/full").unwrap();
        drive.make_folder("a/empty").unwrap();
        drive.write("a/full/file", b"x", WriteMode::New).unwrap();
        drive.write("a/file", &noise(3 * 4096, 1), WriteMode::New).unwrap();
        let other = noise(4096, 2);
        drive.rewrite("a/file", &[(4096, &other), (0, b"first")]).unwrap();
        let mut expected = noise(3 * 4096, 1).to_vec();
        expected[..5].copy_from_slice(b"first");
        expected[4096..8192].copy_from_slice(&other);
        assert!(read_all(&*drive, "a/file", ReadMode::Medium) == expected);
        // Never longer than it was, and never a new file.
        assert!(drive.rewrite("a/file", &[(3 * 4096 - 1, b"ab")]).is_err());
        assert!(drive.rewrite("a/none", &[(0, b"")]).unwrap_err().is_missing());
        assert!(read_all(&*drive, "a/file", ReadMode::Cached) == expected);
        for path in ["a/file", "a/new", "a/empty"] {
            drive.write(path, b"whole", WriteMode::Replace).unwrap();
            assert_eq!(read_all(&*drive, path, ReadMode::Medium), b"whole", "{path}");
        }
        assert!(drive.write("a/full", b"whole", WriteMode::Replace).is_err());
        assert_eq!(drive.list("a").unwrap(), ["empty", "file", "full", "new"]);
        assert!(drive.remove_folder("a/full").is_err());
        drive.remove("a/full/file").unwrap();
        drive.remove_folder("a/full").unwrap();
        drive.remove_folder("a/full").unwrap();
        drive.remove_folder("b/none").unwrap();
        assert_eq!(drive.list("a").unwrap(), ["empty", "file", "new"]);
    }
}

#[test]
fn folders_are_made_and_listed() {
    for (drive, _kept) in drives() {
        drive.make_folder("x/y/z").unwrap();
        drive.make_folder("x/y/z").unwrap();
        drive.make_folder("").unwrap();
        for name in ["b", "a", "c.tmp"] {
            drive.write(&format!("x/{name}"), b"", WriteMode::New).unwrap();
        }
        assert_eq!(drive.list("x").unwrap(), ["a", "b", "c.tmp", "y"]);
        assert_eq!(drive.list("").unwrap(), ["x"]);
        assert!(drive.list("x/y/z").unwrap().is_empty());
        assert!(drive.list("no/such").unwrap().is_empty());
        assert!(drive.list("x/a").is_err() && drive.make_folder("x/a/b").is_err());
        assert!(drive.write("no/file", b"", WriteMode::New).unwrap_err().is_missing());
        let error = drive.open("x/none", ReadMode::Cached).err().unwrap();
        assert!(error.is_missing() && !error.is_full());
        assert_eq!(error.to_string(), format!("open x/none on {}", drive.name()));
        assert!(drive.open("x/y", ReadMode::Medium).is_err());
    }
}

#[test]
fn nothing_outside_a_drive_is_reached() {
    for (drive, kept) in drives() {
        for path in ["/etc/x", "../x", "a/../../x", "a//x", "a/", "."] {
            let error = drive.make_folder(path).unwrap_err();
            assert_eq!(error.source.kind(), io::ErrorKind::InvalidInput, "{error}");
            assert!(drive.open(path, ReadMode::Cached).is_err(), "{path}");
            assert!(
                drive.write(path, b"", WriteMode::New).is_err()
                    && drive.write(path, b"", WriteMode::Commit).is_err()
            );
        }
        assert!(
            drive.write("", b"", WriteMode::New).is_err()
                && drive.write("", b"", WriteMode::Commit).is_err()
        );
        let Some(folder) = kept else { continue };
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("file"), b"secret").unwrap();
        symlink(outside.path(), folder.path().join("way")).unwrap();
        symlink(outside.path().join("file"), folder.path().join("link")).unwrap();
        symlink(outside.path().join("new"), folder.path().join("new")).unwrap();
        assert!(drive.open("way/file", ReadMode::Cached).is_err());
        assert!(drive.open("link", ReadMode::Cached).is_err());
        assert!(
            drive.write("way/new", b"", WriteMode::New).is_err()
                && drive.write("way/new", b"", WriteMode::Commit).is_err()
        );
        assert!(
            drive.write("new", b"", WriteMode::New).is_err()
                && drive.write("new", b"", WriteMode::Commit).is_err()
        );
        assert!(drive.make_folder("way/new").is_err() && drive.list("way").is_err());
        assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 1);
    }
}

#[test]
fn a_pipe_does_not_block() {
    let folder = tempfile::tempdir().unwrap();
    Command::new("mkfifo").arg(folder.path().join("pipe")).status().unwrap();
    let drive = LocalDrive::open(folder.path()).unwrap();
    let error = drive.open("pipe", ReadMode::Medium).err().unwrap();
    assert_eq!(error.source.kind(), io::ErrorKind::InvalidInput);
}

// Security S12: opening a device may start it. A watched folder shows what is opened in it.
#[test]
fn what_is_no_regular_file_is_never_opened() {
    use rustix::fs::{FileType, Mode, inotify, makedev, mknodat};
    let folder = tempfile::tempdir().unwrap();
    let handle = fs::File::open(folder.path()).unwrap();
    let kinds = [("pipe", FileType::Fifo), ("device", FileType::CharacterDevice)];
    for (name, kind) in kinds {
        // Only root makes devices.
        let _ = mknodat(&handle, name, kind, Mode::RUSR | Mode::WUSR, makedev(1, 3));
    }
    fs::write(folder.path().join("file"), b"paper").unwrap();
    symlink("file", folder.path().join("link")).unwrap();
    let drive = LocalDrive::open(folder.path()).unwrap();
    let watch = inotify::init(inotify::CreateFlags::NONBLOCK).unwrap();
    let flags = inotify::WatchFlags::OPEN;
    for name in ["pipe", "device", "link", "file"] {
        inotify::add_watch(&watch, folder.path().join(name), flags).ok();
    }
    let mut watch = fs::File::from(watch);
    let mut opened = || io::Read::read(&mut watch, &mut [0; 4096]).is_ok();
    for name in ["pipe", "device", "link", "file"] {
        for mode in [ReadMode::Cached, ReadMode::Medium] {
            assert_eq!(drive.open(name, mode).is_ok(), name == "file");
            assert_eq!(opened(), name == "file", "{name}");
        }
        assert_eq!(drive.rewrite(name, &[(0, b"P")]).is_ok(), name == "file");
        assert_eq!(opened(), name == "file", "{name}");
    }
    assert_eq!(fs::read(folder.path().join("file")).unwrap(), b"Paper");
}

#[test]
fn what_is_no_drive_is_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("file"), b"").unwrap();
    let kind = |name: &str| {
        let error = LocalDrive::open(&folder.path().join(name)).err().unwrap();
        error.source.kind()
    };
    assert_eq!(kind("none"), io::ErrorKind::NotFound);
    assert_eq!(kind("file"), io::ErrorKind::NotADirectory);
    let drive = LocalDrive::open(folder.path()).unwrap();
    drive.check_writable(&["holdall"]).unwrap();
    let in_its_place = drive.check_writable(&["file"]).unwrap_err();
    assert_eq!(
        (in_its_place.source.kind(), &in_its_place.path[..]),
        (io::ErrorKind::NotADirectory, "file")
    );
    if let Some(mounted) = Mounted::new("ro,size=1m") {
        let drive = LocalDrive::open(mounted.path()).unwrap();
        for error in [
            drive.check_writable(&["holdall"]).unwrap_err(),
            drive.write("x", b"", WriteMode::New).unwrap_err(),
        ] {
            assert_eq!(error.source.kind(), io::ErrorKind::ReadOnlyFilesystem);
        }
    } else if !rustix::process::geteuid().is_root() {
        // Packed onto by root before: only the folder in it is another's.
        let theirs = folder.path().join("holdall");
        fs::create_dir(&theirs).unwrap();
        for closed in [&theirs, folder.path()] {
            fs::set_permissions(closed, fs::Permissions::from_mode(0o500)).unwrap();
            let error = drive.check_writable(&["holdall"]).unwrap_err();
            assert_eq!(error.source.kind(), io::ErrorKind::PermissionDenied);
            fs::set_permissions(closed, fs::Permissions::from_mode(0o700)).unwrap();
        }
    }
}

#[test]
fn room_is_what_the_system_says() {
    for folder in folders() {
        let drive = LocalDrive::open(folder.path()).unwrap();
        let room = drive.room().unwrap();
        assert!(room.free_bytes <= room.total_bytes && room.unit_bytes >= 512, "{room:?}");
        let again = LocalDrive::open(&folder.path().join(".")).unwrap().room().unwrap();
        assert_eq!(room.device, again.device);
        assert_eq!(drive.name(), folder.path().to_str().unwrap());
    }
}

#[test]
fn a_full_drive_says_so_and_keeps_no_part() {
    let mut drives: Vec<Box<dyn Drive>> = vec![Box::new(FaultyDrive::new("memory", 4 << 20))];
    let mounted = Mounted::new("size=4m");
    if let Some(mounted) = &mounted {
        drives.push(Box::new(LocalDrive::open(mounted.path()).unwrap()));
    }
    for drive in drives {
        let free_bytes = drive.room().unwrap().free_bytes;
        assert_eq!((free_bytes, drive.room().unwrap().total_bytes), (4 << 20, 4 << 20));
        for bytes in [noise(5 * MIB, 1), noise(5 * MIB + 1, 2)] {
            assert!(drive.write("big", &bytes, WriteMode::New).unwrap_err().is_full());
            assert!(drive.write("big", &bytes, WriteMode::Commit).unwrap_err().is_full());
        }
        assert!(drive.list("").unwrap().is_empty());
        assert_eq!(drive.room().unwrap().free_bytes, free_bytes);
        drive.write("fits", &noise(3 * MIB + 1, 3), WriteMode::New).unwrap();
        assert_eq!(drive.room().unwrap().free_bytes, free_bytes - (3 << 20) - 4096);
        assert!(drive.write("more", &noise(MIB, 1), WriteMode::New).unwrap_err().is_full());
        assert_eq!(drive.list("").unwrap(), ["fits"]);
    }
}

#[test]
fn a_memory_drive_shows_its_faults() {
    let drive = FaultyDrive::new("m", 1 << 20);
    let same = drive.clone();
    drive.write("a", &[1; 10_000], WriteMode::New).unwrap();
    let mut file = drive.open("a", ReadMode::Medium).unwrap();
    assert!(same.corrupt("a", 9000, &mut |byte| *byte ^= 0xff));
    assert!(!same.corrupt("a", 10_000, &mut |byte| *byte = 0));
    assert!(!same.corrupt("b", 0, &mut |byte| *byte = 0));
    assert_eq!(drive.read("a", 10_000).unwrap()[8999..9002], [1, 0xfe, 1]);

    same.fail_reads("a", 4096..8192);
    let mut read = |offset, len| file.read_at(offset, &mut vec![0; len]);
    assert_eq!(read(0, 4096).unwrap(), 4096);
    assert_eq!(read(8192, 4096).unwrap(), 10_000 - 8192);
    for (offset, len) in [(0, 4097), (8191, 1), (5000, 100)] {
        assert_eq!(read(offset, len).unwrap_err().source.raw_os_error(), Some(EIO));
    }

    assert_eq!(same.room().unwrap().free_bytes, (1 << 20) - 12_288);
    same.with_file("a", |bytes| bytes.truncate(4096)).unwrap();
    assert_eq!(same.room().unwrap().free_bytes, (1 << 20) - 4096);
    assert_eq!(same.paths(), ["a"]);
    assert!(same.remove("a") && !same.remove("a") && drive.paths().is_empty());
    assert!(read(0, 1).unwrap_err().is_missing());
    drive.write("a", &[2; 5000], WriteMode::New).unwrap();
    assert_eq!(read(4096, 100).unwrap(), 100, "a new file has no old faults");

    same.vanish();
    let gone = |result: Result<(), DriveError>| {
        assert_eq!(result.unwrap_err().source.raw_os_error(), Some(ENODEV));
    };
    gone(read(0, 1).map(drop));
    gone(drive.open("a", ReadMode::Cached).map(drop));
    gone(drive.room().map(drop));
    gone(drive.list("").map(drop));
    gone(drive.make_folder("d"));
    gone(drive.write("c", b"", WriteMode::New));
    gone(drive.write("c", b"", WriteMode::Commit));
    gone(drive.sync());
}

#[test]
fn a_memory_drive_dies_of_what_it_is_told() {
    let drive = FaultyDrive::new("m", 1 << 20);
    drive.die_after(10_000, Death::RefusesWrites);
    drive.write("a", &[1; 9_999], WriteMode::New).unwrap();
    for (path, bytes) in [("b", &[2; 2][..]), ("c", &[3]), ("d", &[])] {
        assert_eq!(
            drive.write(path, bytes, WriteMode::New).unwrap_err().source.raw_os_error(),
            Some(EIO)
        );
        assert_eq!(
            drive.write(path, bytes, WriteMode::Commit).unwrap_err().source.raw_os_error(),
            Some(EIO)
        );
    }
    assert_eq!((drive.paths(), drive.read("a", 9_999).unwrap().len()), (vec!["a".into()], 9_999));

    drive.die_after(1, Death::Vanishes);
    drive.write("b", b"2", WriteMode::New).unwrap();
    assert_eq!(
        drive.write("c", b"3", WriteMode::New).unwrap_err().source.raw_os_error(),
        Some(ENODEV)
    );
    assert_eq!(drive.read("a", 9_999).unwrap_err().source.raw_os_error(), Some(ENODEV));

    let drive = FaultyDrive::new("m", 1 << 20);
    drive.take_room((1 << 20) - 4096);
    assert_eq!(drive.room().unwrap().free_bytes, 4096);
    assert!(drive.write("large", &[0; 4097], WriteMode::New).unwrap_err().is_full());
    drive.write("small", &[0; 4096], WriteMode::New).unwrap();
}

#[test]
fn a_fake_shows_its_last_bytes_twice() {
    let drive = FaultyDrive::new("fake", 1 << 20);
    drive.write("before", b"before", WriteMode::New).unwrap();
    drive.wrap_after(3 * 4096);
    for (path, byte) in [("a", 1), ("b", 2), ("c", 3), ("d", 4)] {
        let len = if path == "b" { 4097 } else { 4096 };
        drive.write(path, &[byte; 4097][..len], WriteMode::Commit).unwrap();
    }
    let medium = |path: &str| read_all(&drive, path, ReadMode::Medium);
    // a takes a unit, b two, and then the medium is full.
    assert!(medium("a") == [3; 4096], "c lies where a was");
    assert!(medium("b")[..4096] == [4; 4096] && medium("b")[4096] == 2, "d lies where b was");
    assert!(medium("c") == [3; 4096] && medium("d") == [4; 4096]);
    assert_eq!(medium("before"), b"before");
    assert_eq!(drive.read("a", 4096).unwrap(), [1; 4096]);
}

#[test]
fn memory_drives_are_devices_of_their_own() {
    let [a, b] = ["a", "b"].map(|name| FaultyDrive::new(name, 8192).room().unwrap());
    assert_ne!(a.device, b.device);
    let drive = FaultyDrive::new("c", 10_000);
    drive.write("empty", b"", WriteMode::New).unwrap();
    drive.write("one", b"1", WriteMode::New).unwrap();
    assert_eq!(drive.room().unwrap().free_bytes, 0, "1,808 bytes are less than a unit");
    assert!(drive.write("two", b"", WriteMode::New).unwrap_err().is_full());
}

/// Reads as an ordinary file what was committed, and finds what another changed on the medium.
#[test]
fn a_medium_read_sees_what_lies_there() {
    for folder in folders() {
        let drive = LocalDrive::open(folder.path()).unwrap();
        let mut bytes = noise(2 * MIB, 9).to_vec();
        drive.write("file", &bytes, WriteMode::Commit).unwrap();
        let path: PathBuf = folder.path().join("file");
        assert!(fs::read(&path).unwrap() == bytes);
        let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
        file.write_all_at(b"changed", 1_000_000).unwrap();
        bytes[1_000_000..1_000_007].copy_from_slice(b"changed");
        assert!(read_all(&drive, "file", ReadMode::Medium) == bytes);
    }
}
