//! Goal: memory is a constant, set by buffer sizes and the number of drives, never by the size of
//! the dataset or the number of its files.
//!
//! What is measured is the largest resident size that the kernel saw of the program as a process of
//! its own, with four drives: at default settings, where buffers decide, and with the least that
//! `--memory` takes. Everything lies in memory where there is room:
//! what is measured is the program, not the disk.
#![allow(clippy::unwrap_used, clippy::type_complexity, clippy::format_push_string)]

mod common;

use common::random::Random;
use common::shipment::Shipment;
use common::{has_programs, program, skip};
use holdall::testing::format::ids::{RunId, StripeId, StripeNumber, record_path, shard_path};
use holdall::testing::format::record::{self, RecordFileHeader, StripeRecord};
use holdall::testing::format::shard::Blocks;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;

/// What no command may reach with four drives if nothing is said: what does not depend on buffers, and
/// ten stripes of 64 MiB, of which six wait for drives.
const MOST_MIB: u64 = 160 + 10 * 64;
/// The least that `--memory` takes.
const LEAST_MIB: u64 = 256;
/// What each core takes besides.
const CORE_MIB: u64 = 16;
/// The largest dataset once as the source or the destination, and once with parity on the drives.
const ROOM_BYTES: u64 = 8_000_000_000;
/// One at a time: they need the room.
static ALONE: Mutex<()> = Mutex::new(());

/// The largest resident sizes, in KiB.
struct Peaks {
    pack: u64,
    /// with all drives; left out where the one with a loss, which takes more, says enough
    restore: Option<u64>,
    /// with one drive lost
    rebuild: u64,
}

impl Peaks {
    #[track_caller]
    fn assert_below(&self, mib: u64) {
        let cores = std::thread::available_parallelism().unwrap().get() as u64;
        for (name, peak) in self.named() {
            println!("{name}: {} MiB", peak >> 10);
            assert!(peak >> 10 < mib + CORE_MIB * cores, "{name} took {} MiB", peak >> 10);
        }
    }

    fn named(&self) -> Vec<(&'static str, u64)> {
        let always = [("pack", self.pack), ("restore after a loss", self.rebuild)];
        always.into_iter().chain(self.restore.map(|peak| ("restore", peak))).collect()
    }
}

/// Runs the program to its end under `time`; the largest resident size in KiB.
#[track_caller]
fn peak_of(shipment: &Shipment, arguments: &[OsString], status: i32) -> u64 {
    let program = program(&shipment.state());
    let report = shipment.path().join("time");
    let mut timed = Command::new("/usr/bin/time");
    timed.args(["-f", "%M", "-o"]).arg(&report);
    timed.arg(program.get_program()).args(program.get_args()).args(arguments);
    timed.env("XDG_STATE_HOME", shipment.state()).stdin(Stdio::null());
    let output = timed.output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(status), "{stderr}");
    // With another status than 0, time says so in a line before.
    let text = fs::read_to_string(report).unwrap();
    text.lines().last().unwrap().trim().parse().unwrap()
}

/// Memory if there is enough of it, or else the temporary folder; none, and a skip, if neither has
/// the room.
fn roomy_folder() -> Option<PathBuf> {
    let has_room = |folder: &PathBuf| {
        rustix::fs::statvfs(folder).is_ok_and(|free| free.f_bavail * free.f_frsize >= ROOM_BYTES)
    };
    // A file system in memory may say that it has more room than there is memory.
    let facts = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let available = facts.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    let kib = available.and_then(|rest| rest.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    let memory = kib.is_some_and(|kib| kib << 10 >= ROOM_BYTES + (1 << 30));
    let memory = memory.then(|| PathBuf::from("/dev/shm"));
    let found = memory.into_iter().chain([std::env::temp_dir()]).find(has_room);
    if found.is_none() {
        skip("neither memory nor the temporary folder has 8 GB of room");
    }
    found
}

/// Packs and restores what `fill` makes: at most one copy of the dataset lies beside the drives.
fn peaks(fill: impl FnOnce(&Path), with_all_drives: bool, options: &[&str]) -> Option<Peaks> {
    if !has_programs(&["time"]) {
        return None;
    }
    let _alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let shipment = Shipment::within(&roomy_folder()?, &[2, 2]);
    fill(&shipment.source);
    let mut pack: Vec<OsString> = vec!["pack".into(), shipment.source.clone().into()];
    pack.push("--folder-drives".into());
    for (case, path) in &shipment.drives {
        pack.extend(["--drive".into(), format!("{case}={}", path.display()).into()]);
    }
    pack.extend(
        ["--survive", "drives=1", "--no-read-back", "-r", &shipment.recipient].map(OsString::from),
    );
    pack.extend(options.iter().map(OsString::from));
    let pack = peak_of(&shipment, &pack, 0);
    fs::remove_dir_all(&shipment.source).unwrap();
    let restore = |drives: &[std::path::PathBuf], status| {
        let to = shipment.new_destination();
        let peak = peak_of(&shipment, &shipment.restore_arguments(drives, &to, options), status);
        fs::remove_dir_all(to).unwrap();
        peak
    };
    let drives = shipment.paths();
    let whole = with_all_drives.then(|| restore(&drives, 0));
    Some(Peaks { pack, restore: whole, rebuild: restore(&drives[1..], 3) })
}

/// Files of 64 MiB, each unlike every other: noise, and one in eight that compresses.
fn large_files(root: &Path, bytes: usize) {
    const FILE: usize = 64 << 20;
    let noise = Random::new("memory").bytes(FILE);
    for number in 0..bytes / FILE {
        let change = (number as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mask = if number % 8 == 7 { 0x0707_0707_0707_0707 } else { u64::MAX };
        let mut file = File::create(root.join(format!("{number:03}"))).unwrap();
        for piece in noise.chunks(1 << 20) {
            let mut piece = piece.to_vec();
            for bytes in piece.as_chunks_mut().0 {
                *bytes = ((u64::from_le_bytes(*bytes) ^ change) & mask).to_le_bytes();
            }
            file.write_all(&piece).unwrap();
        }
    }
}

#[test]
fn does_not_grow_with_the_bytes() {
    // How many buffers are in use depends on how fast the drives are at that moment.
    let Some(small) = peaks(|root| large_files(root, 1_000_000_000), true, &[]) else { return };
    small.assert_below(MOST_MIB);
    // With the least of them there is no room for what grows.
    let least = format!("{LEAST_MIB}MiB");
    let fill = |root: &Path| large_files(root, 3_000_000_000);
    let Some(large) = peaks(fill, false, &["--memory", &least]) else { return };
    large.assert_below(LEAST_MIB);
}

#[test]
fn does_not_grow_with_the_files() {
    const FILES: usize = 200_000;
    let fill = |root: &Path| {
        let mut random = Random::new("tiny");
        let noise = random.bytes(1 << 20);
        for number in 0..FILES {
            let folder = root.join(format!("{:03}", number / 500));
            if number % 500 == 0 {
                fs::create_dir(&folder).unwrap();
            }
            let from = random.below((1 << 20) - 2000);
            let len = random.below(2000);
            fs::write(folder.join(number.to_string()), &noise[from..from + len]).unwrap();
        }
    };
    let least = format!("{LEAST_MIB}MiB");
    let Some(peaks) = peaks(fill, false, &["--memory", &least]) else { return };
    peaks.assert_below(LEAST_MIB);
}

/// Review S7: of 20 drives with shards of 16 MiB, verify without a key holds what it is given.
#[test]
fn verify_without_a_key_takes_no_more_than_it_may() {
    if !has_programs(&["time"]) {
        return;
    }
    let _alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let Some(folder) = roomy_folder() else { return };
    let shipment = Shipment::within(&folder, &[20]);
    large_files(&shipment.source, 5 * (64 << 20));
    let mut pack = shipment.pack_arguments("drives=1", &["--no-read-back"]);
    let geometry = pack.iter().position(|word| word == "--geometry").unwrap();
    pack.drain(geometry..geometry + 2);
    pack.extend(["--memory", "2GiB"].map(OsString::from));
    peak_of(&shipment, &pack, 0);
    // What reads one shard of each drive as a whole takes this.
    let largest = |drive| {
        let shards = shipment.files(drive, "shards/").into_iter();
        shards.map(|path| path.metadata().unwrap().len()).max().unwrap()
    };
    let shards = (0..20).map(largest).sum::<u64>() >> 20;
    assert!(shards > LEAST_MIB, "{shards} MiB: the shards are too small to tell");
    let verify = |options: &[&str]| {
        let words = ["verify"].iter().chain(options).map(OsString::from);
        let all: Vec<_> = words.chain(shipment.paths().into_iter().map(Into::into)).collect();
        peak_of(&shipment, &all, 0) >> 10
    };
    let cores = std::thread::available_parallelism().unwrap().get() as u64;
    let least = verify(&["--memory", "256MiB"]);
    println!("verify: {least} MiB");
    assert!(least < LEAST_MIB + CORE_MIB * cores, "{least} MiB");
}

/// Review S7: repair holds what it is given of stripes that are more than that, of blocks here and there
/// and of whole shards.
#[test]
fn repair_takes_no_more_than_it_may() {
    if !has_programs(&["time"]) {
        return;
    }
    let _alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let Some(folder) = roomy_folder() else { return };
    let shipment = Shipment::within(&folder, &[1, 1, 1]);
    large_files(&shipment.source, 3 * (64 << 20));
    let mut pack = shipment.pack_arguments("drives=1", &["--no-read-back"]);
    let geometry = pack.iter().position(|word| word == "--geometry").unwrap();
    pack[geometry + 1] = "1048576,262144,512".into();
    peak_of(&shipment, &pack, 0);
    let shard = |drive: usize| shipment.files(drive, "shards/").remove(0);
    let (lost, hurt) = (shard(0), shard(1));
    let (before, len) = (fs::read(&lost).unwrap(), hurt.metadata().unwrap().len());
    assert!(len > 90 << 20, "{len} bytes are too few to tell");
    fs::remove_file(&lost).unwrap();
    // In columns apart: each is to be had from two of three.
    let repair = || {
        let words = ["repair", "--memory", "256MiB"].iter().map(OsString::from);
        let all: Vec<_> = words.chain(shipment.paths().into_iter().map(Into::into)).collect();
        peak_of(&shipment, &all, 0) >> 10
    };
    let cores = std::thread::available_parallelism().unwrap().get() as u64;
    let whole = repair();
    assert!(fs::read(&lost).unwrap() == before, "the shard is another");
    let sound = fs::read(&hurt).unwrap();
    let file = fs::OpenOptions::new().write(true).open(&hurt).unwrap();
    for at in [5, len / 2, len - 5] {
        std::os::unix::fs::FileExt::write_all_at(&file, b"!?!", at).unwrap();
    }
    let blocks = repair();
    assert!(fs::read(&hurt).unwrap() == sound, "the blocks are others");
    println!("repair: {whole} MiB, {blocks} MiB");
    assert!(whole.max(blocks) < LEAST_MIB + CORE_MIB * cores, "{whole} MiB, {blocks} MiB");
}

/// Review S6, S7: none of these may take more, whatever lies on the drives.
const HOSTILE_MIB: u64 = 300;

/// Runs what reads drives, each in turn: it comes to its end, and takes little.
#[track_caller]
fn assert_little(shipment: &Shipment, what: &str) {
    let drives = shipment.paths();
    let command = |words: &[&str]| {
        let words = words.iter().map(OsString::from);
        words.chain(drives.iter().map(OsString::from)).collect::<Vec<_>>()
    };
    let key = shipment.key.to_str().unwrap();
    let to = shipment.new_destination();
    let all = [
        ("verify", command(&["verify"])),
        ("verify -i", command(&["verify", "-i", key])),
        ("status", command(&["status"])),
        ("ls", command(&["ls", "-i", key])),
        ("restore", shipment.restore_arguments(&drives, &to, &[])),
        ("repair", command(&["repair"])),
    ];
    for (name, arguments) in all {
        let program = program(&shipment.state());
        let report = shipment.path().join("time");
        let mut timed = Command::new("/usr/bin/time");
        timed.args(["-f", "%M", "-o"]).arg(&report);
        timed.arg(program.get_program()).args(program.get_args()).args(arguments);
        timed.env("XDG_STATE_HOME", shipment.state()).stdin(Stdio::null());
        let output = timed.output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(matches!(output.status.code(), Some(0..=4)), "{what}: {name}: {stderr}");
        let text = fs::read_to_string(report).unwrap();
        let peak = text.lines().last().unwrap().trim().parse::<u64>().unwrap() >> 10;
        assert!(peak < HOSTILE_MIB, "{what}: {name} took {peak} MiB");
    }
}

#[test]
fn files_of_100_gb_in_any_place_take_little() {
    if !has_programs(&["time"]) {
        return;
    }
    let _alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let shipment = Shipment::new(&[1, 1]);
    fs::write(shipment.source.join("file"), Random::new("sparse").bytes(100_000)).unwrap();
    shipment.pack("drives=1").expect(0);
    let places = [
        "label.json",
        "set.txt",
        "checklist.b3",
        "key-",
        "records/",
        "catalog/",
        "copy/label.json",
        "copy/set.txt",
        "copy/key-",
        "copy/records/",
        "copy/catalog/",
        "shards/",
    ];
    let mut files: Vec<PathBuf> =
        places.iter().flat_map(|place| shipment.files(0, place)).collect();
    files.push(shipment.set_folder(0).join("key-00000000000000aa.age"));
    files.push(shipment.set_folder(0).join("records/00000000000000aa-00000000.rec"));
    for path in files {
        let before = fs::read(&path).ok();
        File::create(&path).unwrap().set_len(100_000_000_000).unwrap();
        assert_little(&shipment, &path.display().to_string());
        match before {
            Some(bytes) => fs::write(&path, bytes).unwrap(),
            None => drop(fs::remove_file(&path)),
        }
    }
}

#[test]
fn a_record_of_large_shards_that_are_not_there_takes_little() {
    if !has_programs(&["time"]) {
        return;
    }
    let _alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let shipment = Shipment::new(&[1, 1]);
    fs::write(shipment.source.join("file"), Random::new("promise").bytes(100_000)).unwrap();
    shipment.pack("drives=1").expect(0);
    let own = fs::read(&shipment.files(0, "records/")[0]).unwrap();
    let head = record::decode_file(&own).unwrap();
    let first = record::records(&head, &own).next().unwrap().unwrap();
    let (run, blocks) = (RunId(0xaa), Blocks::new(4 << 20, 1023).unwrap());
    let id = StripeId { run, number: first.id.number };
    let hashes = vec![[1; 32]; first.shards.len() * blocks.count()];
    let promise = StripeRecord { id, blocks, hashes, ..first };
    let head = RecordFileHeader { run, number: 0, stripes: 1, part: None, ..head };
    let forged = record::encode_file(&head, &[promise.encode()], |_| [0; 32]);
    for drive in 0..2 {
        for path in
            shipment.files(drive, "copy/").into_iter().chain(shipment.files(drive, "set.txt"))
        {
            fs::remove_file(path).unwrap();
        }
        let folder = shipment.set_folder(drive);
        for index in 0..promise.shards.len() as u8 {
            let shard = folder.join(shard_path(id, index));
            fs::create_dir_all(shard.parent().unwrap()).unwrap();
            File::create(shard).unwrap();
        }
        fs::write(folder.join(record_path(run, 0)), &forged).unwrap();
    }
    assert_little(&shipment, "shards of 4 GiB");
}

/// Files of as many tiny records as may be, and one of more.
#[test]
fn tiny_records_take_little() {
    if !has_programs(&["time"]) {
        return;
    }
    let _alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let shipment = Shipment::new(&[1, 1]);
    fs::write(shipment.source.join("file"), Random::new("tiny").bytes(100_000)).unwrap();
    shipment.pack("drives=1").expect(0);
    let own = fs::read(&shipment.files(0, "records/")[0]).unwrap();
    let head = record::decode_file(&own).unwrap();
    let first = record::records(&head, &own).next().unwrap().unwrap();
    let (run, blocks) = (RunId(0xaa), Blocks::new(4096, 1).unwrap());
    let tiny = |number: u32| {
        let id = StripeId { run, number: StripeNumber(number) };
        let shards = first.shards[..1].to_vec();
        let (k, m, hashes) = (1, 0, vec![[1; 32]]);
        StripeRecord { id, blocks, k, m, shards, hashes, ..first.clone() }.encode()
    };
    let mut previous = [0; 32];
    for (number, count) in [1 << 16, 1 << 16, 900_000].into_iter().enumerate() {
        let number = number as u32;
        let records: Vec<Vec<u8>> = (0..count).map(|i| tiny(number << 20 | i)).collect();
        let head = RecordFileHeader { run, number, stripes: count, part: None, previous, ..head };
        let forged = record::encode_file(&head, &records, |_| [0; 32]);
        previous = *blake3::hash(&forged).as_bytes();
        for drive in 0..2 {
            fs::write(shipment.set_folder(drive).join(record_path(run, number)), &forged).unwrap();
        }
    }
    for drive in 0..2 {
        let closed = ["copy/", "set.txt"].iter().flat_map(|b| shipment.files(drive, b));
        closed.for_each(|path| fs::remove_file(path).unwrap());
    }
    assert_little(&shipment, "tiny records");
}
