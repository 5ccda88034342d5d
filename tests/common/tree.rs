//! Datasets made from a seed.

use super::random::Random;
use rustix::fs::{AtFlags, CWD, FileType, Mode, Timespec, Timestamps, UTIME_OMIT};
use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

/// C of the small geometry.
pub const CHUNK: usize = 16 << 10;
/// The small geometry: C = 16 KiB, B = 4 KiB, 16 blocks a shard.
pub const GEOMETRY: &str = "16384,4096,16";

/// Makes a tree at `root` in which everything occurs that a dataset may hold: every edge of a
/// file's size, odd names, links, holes, times and modes. About a megabyte.
pub fn rich(root: &Path, seed: &str) {
    let mut random = Random::new(seed);
    fs::create_dir_all(root).unwrap();
    sizes(&root.join("sizes"), &mut random);
    names(&root.join("names"), &mut random);
    links(&root.join("links"), &mut random);
    sparse(&root.join("sparse"), &mut random);
    nested(&root.join("nested"), &mut random);
    special(&root.join("special"), &mut random);
    fs::create_dir_all(root.join("empty folder/and another")).unwrap();
    repeated(&root.join("repeated"), &mut random);
    metadata(root, &mut random);
}

/// Makes a tree of plain files at `root`: `files` small ones and some that cross chunks and stripes.
pub fn plain(root: &Path, seed: &str, files: usize) {
    let mut random = Random::new(seed);
    for i in 0..files {
        let len = random.below(6000);
        let bytes = if i % 2 == 0 { random.bytes(len) } else { random.text(len) };
        write(&root.join(format!("folder {:02}/file {i:04}", i % 13)), &bytes);
    }
    write(&root.join("large/noise"), &random.bytes(9 * CHUNK + 77));
    write(&root.join("large/text"), &random.text(40 * CHUNK));
    write(&root.join("large/more noise"), &random.bytes(21 * CHUNK));
    write(&root.join("large/noise upon noise"), &random.bytes(70 * CHUNK + 1));
    fs::create_dir_all(root.join("nothing here")).unwrap();
    symlink("large/noise", root.join("a link")).unwrap();
    fs::hard_link(root.join("large/noise"), root.join("large/second name")).unwrap();
}

/// Writes a file and makes its folders.
pub fn write(path: &Path, bytes: &[u8]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

fn sizes(root: &Path, random: &mut Random) {
    for size in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 3 * CHUNK + 5] {
        write(&root.join(format!("noise-{size}")), &random.bytes(size));
        write(&root.join(format!("text-{size}")), &random.text(size));
    }
    write(&root.join("several stripes"), &random.bytes(23 * CHUNK + 1));
}

fn names(root: &Path, random: &mut Random) {
    let long = "n".repeat(255);
    let names: [&[u8]; 11] = [
        b"not UTF-8 \xff\xfe",
        b"two\nlines",
        long.as_bytes(),
        "été 日本 🧳".as_bytes(),
        b" space before and after ",
        b"-dash",
        b"back\\slash",
        b"\x1b[31mred",
        b"*?[a]{b}",
        b".hidden",
        b"..double",
    ];
    for name in names {
        let folder = root.join(OsStr::from_bytes(name));
        let len = random.below(300);
        write(&folder.join(OsStr::from_bytes(name)), &random.text(len));
    }
}

fn links(root: &Path, random: &mut Random) {
    write(&root.join("a"), &random.bytes(500));
    write(&root.join("folder/large"), &random.bytes(2 * CHUNK + 9));
    fs::hard_link(root.join("a"), root.join("folder/a again")).unwrap();
    fs::hard_link(root.join("a"), root.join("z")).unwrap();
    fs::hard_link(root.join("folder/large"), root.join("0 before its folder")).unwrap();
    for (name, target) in [
        ("to a file", "a"),
        ("to a folder", "folder"),
        ("dangling", "not/there"),
        ("itself", "itself"),
        ("loop 1", "loop 2"),
        ("loop 2", "loop 1"),
        ("above", "../.."),
        ("absolute", "/etc/hostname"),
    ] {
        symlink(target, root.join(name)).unwrap();
    }
    symlink(OsStr::from_bytes(b"\xff\n"), root.join("to an odd name")).unwrap();
}

/// Files with holes at the start, in the middle, at the end, everywhere.
fn sparse(root: &Path, random: &mut Random) {
    const PAGE: u64 = 4096;
    fs::create_dir_all(root).unwrap();
    let data: [(&str, u64, &[(u64, u64)]); 6] = [
        ("small, hole first", 3 * PAGE, &[(2 * PAGE, PAGE)]),
        ("small, hole last", 3 * PAGE, &[(0, 100)]),
        ("nothing but a hole", 50 * PAGE, &[]),
        ("large", 900 * PAGE, &[(0, 5), (300 * PAGE, 2 * PAGE + 1), (899 * PAGE, PAGE)]),
        ("large, hole last", 101 * PAGE + 3, &[(10 * PAGE, PAGE), (12 * PAGE, PAGE)]),
        ("many holes", 64 * PAGE, &[(PAGE, PAGE), (9 * PAGE, PAGE), (17 * PAGE, 3 * PAGE)]),
    ];
    for (name, size, runs) in data {
        let file = File::create(root.join(name)).unwrap();
        file.set_len(size).unwrap();
        for (offset, len) in runs {
            file.write_all_at(&random.bytes(*len as usize), *offset).unwrap();
        }
    }
}

fn nested(root: &Path, random: &mut Random) {
    let mut folder = root.to_path_buf();
    for depth in 0..30 {
        folder.push(format!("{depth}"));
        let len = random.below(2000);
        write(&folder.join("file"), &random.text(len));
    }
    for i in 0..60 {
        let len = random.below(3000);
        write(&root.join(format!("many/{}/{i}", i % 7)), &random.bytes(len));
    }
    // Order matters where a folder's name begins as a file's does.
    for name in ["x", "x!", "x0", "xy/file", "x-dir/file", "x.dir/file"] {
        write(&root.join("order").join(name), name.as_bytes());
    }
}

/// A pipe always, devices for root.
fn special(root: &Path, random: &mut Random) {
    fs::create_dir_all(root).unwrap();
    let make = |name: &str, kind, device| {
        rustix::fs::mknodat(CWD, root.join(name), kind, Mode::RUSR | Mode::WUSR, device).unwrap();
    };
    make("pipe", FileType::Fifo, 0);
    if super::is_root() {
        make("null", FileType::CharacterDevice, rustix::fs::makedev(1, 3));
        make("block", FileType::BlockDevice, rustix::fs::makedev(7, 250));
        write(&root.join("of somebody"), &random.bytes(10));
        std::os::unix::fs::lchown(root.join("of somebody"), Some(12345), Some(54321)).unwrap();
        symlink("x", root.join("link of somebody")).unwrap();
        std::os::unix::fs::lchown(root.join("link of somebody"), Some(7), Some(8)).unwrap();
    }
}

/// The same bytes again: whole files, and chunks of files at the same offset.
fn repeated(root: &Path, random: &mut Random) {
    let (small, large) = (random.bytes(5000), random.bytes(6 * CHUNK));
    let mut other = large.clone();
    other[3 * CHUNK + 1] ^= 1;
    for i in 0..3 {
        write(&root.join(format!("small {i}")), &small);
        write(&root.join(format!("large {i}")), &large);
    }
    write(&root.join("nearly large"), &other);
    write(&root.join("zeros"), &vec![0; 4 * CHUNK]);
}

/// Gives entries modes and times; folders last, since filling them changes theirs.
fn metadata(root: &Path, random: &mut Random) {
    let all = walk(root);
    let modes = [0o644, 0o600, 0o755, 0o400, 0o4755, 0o2750, 0o666, 0o640];
    for path in &all {
        let found = path.symlink_metadata().unwrap();
        if found.is_file() && found.nlink() == 1 && random.below(3) == 0 {
            fs::set_permissions(path, fs::Permissions::from_mode(*random.pick(&modes))).unwrap();
        }
        if !found.is_dir() {
            set_time(path, random);
        }
    }
    let folder_modes = [0o755, 0o700, 0o1777, 0o2755, 0o550];
    for path in all.iter().rev().filter(|p| p.symlink_metadata().unwrap().is_dir()) {
        let mode = *random.pick(&folder_modes);
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        set_time(path, random);
    }
}

/// Before 1970, now and later, with nanoseconds.
fn set_time(path: &Path, random: &mut Random) {
    let seconds = [-2_000_000_000, -1, 0, 1, 1_234_567_890, 1_700_000_000, 4_200_000_000];
    let nanos = [0, 1, 999_999_999, 123_456_789];
    let times = Timestamps {
        last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
        last_modification: Timespec {
            tv_sec: *random.pick(&seconds),
            tv_nsec: *random.pick(&nanos),
        },
    };
    rustix::fs::utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
}

/// Every path under `root` and `root` itself, folders before what lies in them.
pub fn walk(root: &Path) -> Vec<PathBuf> {
    let mut all = vec![root.to_path_buf()];
    let mut next = 0;
    while next < all.len() {
        let path = all[next].clone();
        next += 1;
        if path.symlink_metadata().unwrap().is_dir() {
            let mut names: Vec<PathBuf> =
                fs::read_dir(&path).unwrap().map(|e| e.unwrap().path()).collect();
            names.sort();
            all.extend(names);
        }
    }
    all
}

/// Lets the owner into every folder again, so that a tree can be removed by who is not root.
pub fn unlock(root: &Path) {
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        let _ = fs::set_permissions(&folder, fs::Permissions::from_mode(0o700));
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|t| t.is_dir()) {
                folders.push(entry.path());
            }
        }
    }
}
