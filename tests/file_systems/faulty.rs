//! Faults of the medium below a mounted file system: reads and writes that fail, from one place on,
//! of one region, of everything at once; writes that are answered and not done; a medium that ends
//! early; one that takes its time.

use crate::common::faulty::FaultyImage;
use crate::common::mounted::FileSystem::{self, Btrfs, Exfat, Ext4, Ntfs};
use crate::common::mounted::Mounted;
use crate::common::random::Random;
use crate::common::shipment::Shipment;
use crate::common::snapshot::Snapshot;
use crate::common::{Run, tree};
use holdall::testing::drives::{Drive, LocalDrive, ReadMode};
use holdall::testing::monitor::Recording;
use holdall::testing::sets::check::{Depth, DriveCheck, ReadBefore};
use holdall::testing::sets::reading::SkipPolicy;
use holdall::testing::sets::{RecordIndex, open};
use rstest::rstest;
use serde_json::Value;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

const PAGE: usize = 4096;
/// Chunk, block, and blocks a shard, unless a test needs more of them.
const LARGE: &str = "262144,65536,16";
const BLOCK: usize = 64 << 10;

/// Three drives, of which the first lies on an image that fails at will; dropped from top to bottom.
struct Lab {
    drive: Mounted,
    image: FaultyImage,
    shipment: Shipment,
    source: Snapshot,
}

impl Lab {
    #[track_caller]
    fn new(file_system: FileSystem, mib: usize) -> Option<Self> {
        Self::of(&[1, 1, 1], file_system, mib)
    }

    #[track_caller]
    fn of(cases: &[usize], file_system: FileSystem, mib: usize) -> Option<Self> {
        let memory = Path::new("/dev/shm");
        let place = if memory.is_dir() { memory.into() } else { std::env::temp_dir() };
        let shipment = Shipment::within(&place, cases);
        let size = file_system.least_mib().max(64);
        let image = FaultyImage::new(&shipment.path().join("below"), size)?;
        let point = &shipment.drives[0].1;
        let drive = Mounted::on_image(image.path(), point, file_system)?;
        let mut random = Random::new("faulty");
        tree::write(&shipment.source.join("noise"), &random.bytes(mib << 20));
        tree::plain(&shipment.source.join("plain"), "faulty", 20);
        let source = Snapshot::of(&shipment.source);
        Some(Self { drive, image, shipment, source })
    }

    fn pack(&self, geometry: &str) -> Run {
        self.pack_with(geometry, &["--json"])
    }

    fn pack_with(&self, geometry: &str, more: &[&str]) -> Run {
        let more = [&["--checkpoint", "1MiB"], more].concat();
        let mut pack = self.shipment.pack_arguments("cases=1", &more);
        let at = pack.iter().position(|word| word == tree::GEOMETRY).unwrap();
        pack[at] = geometry.into();
        self.shipment.run(pack)
    }

    fn verify(&self) -> Run {
        self.shipment.verify(&self.shipment.paths())
    }

    /// Restores from these drives, and fails unless all is there.
    #[track_caller]
    fn restore(&self, paths: &[PathBuf], status: i32) -> Run {
        let to = self.shipment.new_destination();
        let run = self.shipment.restore(paths, &to, &[]).expect(status);
        self.source.assert_equal(&Snapshot::of(&to));
        run
    }

    /// Repairs in place.
    #[track_caller]
    fn repair(&self) -> Value {
        let mut words: Vec<OsString> = vec!["repair".into(), "--json".into()];
        words.extend(self.shipment.paths().into_iter().map(OsString::from));
        self.shipment.run(words).expect(0).event("repaired")
    }

    /// What was told of the first drive itself.
    fn told(&self, run: &Run) -> Vec<String> {
        let name = self.shipment.drives[0].1.to_str().unwrap();
        let of_drive = run.problems().into_iter().filter(|(subject, _)| subject == name);
        of_drive.map(|(_, detail)| detail).collect()
    }

    /// Where pages of files of the first drive lie on the medium.
    fn places(&self, pages: &[(PathBuf, Range<usize>)]) -> Vec<Range<u64>> {
        let mut runs = Vec::new();
        for (path, range) in pages {
            let bytes = fs::read(path).unwrap();
            runs.extend(bytes[range.clone()].chunks(PAGE).map(<[u8]>::to_vec));
        }
        let places = self.drive.places(&runs).into_iter();
        places.map(|at| at..at + PAGE as u64).collect()
    }
}

#[rstest]
fn a_drive_that_is_pulled_while_it_is_packed_is_left_out(
    #[values(Btrfs, Exfat, Ntfs)] file_system: FileSystem,
) {
    let Some(lab) = Lab::new(file_system, 30) else { return };
    lab.image.faults().writes_left = Some(6 << 20);
    let run = lab.pack(LARGE).expect(3);
    assert!(lab.image.faults().dead, "it was written to");
    let packed = run.event("packed");
    assert_eq!((&packed["failed_drives"], &packed["proven"]), (&[1].into(), &false.into()));
    let told = lab.told(&run);
    assert!(told.len() == 1 && told[0].contains("left out"), "{}", run.shown());
    let left = &lab.shipment.paths()[1..];
    let verified = lab.shipment.verify(left).expect(3).event("verified");
    assert_eq!(verified["missing"], serde_json::json!([1]));
    lab.restore(left, 3);
}

/// Review F14: and it is named.
#[rstest]
fn a_drive_that_is_pulled_while_it_is_restored_is_told_once(
    #[values(Btrfs, Exfat, Ntfs)] file_system: FileSystem,
) {
    let Some(lab) = Lab::new(file_system, 30) else { return };
    lab.pack(LARGE).expect(0);
    lab.drive.remount();
    lab.image.faults().reads_left = Some(5 << 20);
    let run = lab.restore(&lab.shipment.paths(), 3);
    assert!(lab.image.faults().dead, "it was read from");
    assert_eq!(lab.told(&run), ["it no longer answers"], "{}", run.shown());
    let rebuilt = run.event("restored")["rebuilt_blocks"].as_u64().unwrap();
    assert!(rebuilt > 50, "{}", run.shown());
}

/// Review F2: what the caches spoil beside it is read once more.
#[rstest]
fn what_cannot_be_read_is_told_exactly_and_healed(
    #[values(Ext4, Btrfs, Exfat, Ntfs)] file_system: FileSystem,
) {
    let Some(lab) = Lab::new(file_system, 16) else { return };
    lab.pack(LARGE).expect(0);
    let shards = lab.shipment.files(0, "shards/");
    let whole = fs::metadata(&shards[2]).unwrap().len() as usize;
    let pages = [(shards[1].clone(), 3 * BLOCK..6 * BLOCK), (shards[2].clone(), 0..whole)];
    let places = lab.places(&pages);
    lab.drive.remount();
    lab.image.faults().unreadable = places;
    let run = lab.verify().expect(3);
    let drive = &run.event("verified")["drives"][0];
    let bad = (3 + whole / BLOCK) as u64;
    let unreadable = drive["unreadable_blocks"].as_u64().unwrap();
    // Review F2: a driver that is a process reads through the device's cache, where a bad page spoils
    // those that were to be read with it; those are read once more.
    assert_eq!(unreadable, bad, "{}", run.shown());
    let expected = (&unreadable.into(), &false.into());
    assert_eq!((&drive["bad_blocks"], &drive["vanished"]), expected);
    assert_eq!((&drive["unread_blocks"], &drive["missing_shards"]), (&0.into(), &0.into()));
    let told = run.problems();
    let of = |shard: &Path| {
        let name = shard.file_name().unwrap().to_str().unwrap();
        let told: Vec<_> = told.iter().filter(|(subject, _)| subject.ends_with(name)).collect();
        assert_eq!(told.len(), 1, "{}", run.shown());
        told[0].1.clone()
    };
    let cut = of(&shards[1]);
    assert_eq!(cut, "blocks 3-5 cannot be read");
    assert_eq!(of(&shards[2]), format!("blocks 0-{} cannot be read", whole / BLOCK - 1));
    let restored = lab.restore(&lab.shipment.paths(), 3).event("restored");
    assert!(restored["rebuilt_blocks"].as_u64().unwrap() >= 3, "{restored}");
    lab.repair();
    let left = lab.image.faults().unreadable.len();
    // Btrfs writes to another place.
    assert!(left == 0 || file_system == Btrfs, "{left} bad places were not written to");
    lab.verify().expect(0);
    lab.restore(&lab.shipment.paths(), 0);
}

#[rstest]
fn what_was_written_and_is_not_there_is_caught_by_the_read_back(
    #[values(Ext4, Exfat)] file_system: FileSystem,
) {
    let Some(lab) = Lab::new(file_system, 24) else { return };
    let written = lab.image.faults().written;
    lab.image.faults().loses = written + (4 << 20)..written + (6 << 20);
    let run = lab.pack(LARGE).expect(3);
    let lost = lab.image.faults().lost_bytes;
    assert!(lost > 1 << 20, "{lost} bytes were lost");
    let packed = run.event("packed");
    assert_eq!(
        (&packed["proven"], &packed["read_back"][0]["whole"]),
        (&false.into(), &false.into())
    );
    assert_eq!(packed["failed_drives"], serde_json::json!([]), "it never refused");
    // Review F14: to programs too.
    assert!(packed["repair"].as_str().unwrap().starts_with("holdall repair "), "{packed}");
    assert!(run.problems().iter().any(|(_, detail)| detail.contains("damaged")), "{}", run.shown());
    lab.drive.remount();
    let verified = lab.verify().expect(3).event("verified");
    assert!(verified["drives"][0]["bad_blocks"].as_u64().unwrap() as usize * BLOCK >= 1 << 20);
    lab.restore(&lab.shipment.paths(), 3);
    lab.repair();
    lab.drive.remount();
    lab.verify().expect(0);
}

/// Review F14: in words, pack prints what mends the drive, and it works when typed.
#[test]
fn a_drive_that_the_read_back_convicts_is_followed_by_what_mends_it() {
    let Some(lab) = Lab::new(Ext4, 24) else { return };
    let written = lab.image.faults().written;
    lab.image.faults().loses = written + (4 << 20)..written + (6 << 20);
    let text = lab.pack_with(LARGE, &[]).expect(3).stdout;
    let command = text.lines().find_map(|line| line.strip_prefix("To repair it: holdall "));
    let command = command.unwrap_or_else(|| panic!("{text}"));
    lab.drive.remount();
    lab.shipment.run(shlex::split(command).unwrap()).expect(0);
    lab.drive.remount();
    lab.verify().expect(0);
}

#[test]
fn a_medium_that_ends_under_its_file_system_is_told() {
    let shipment = Shipment::new(&[1, 1, 1]);
    let Some(drive) = Mounted::over(&shipment.drives[0].1, Ext4, 64) else { return };
    tree::write(&shipment.source.join("noise"), &Random::new("ends").bytes(48 << 20));
    let source = Snapshot::of(&shipment.source);
    shipment.pack("cases=1").expect(0);
    drive.remount();
    let image = fs::File::options().write(true).open(drive.image()).unwrap();
    image.set_len(20 << 20).unwrap();
    let verified = shipment.verify(&shipment.paths()).expect(3).event("verified");
    assert_eq!(verified["verdict"]["restorable"], true);
    let hurt = &verified["drives"][0];
    let bad = hurt["bad_blocks"].as_u64().unwrap() + hurt["unread_blocks"].as_u64().unwrap();
    assert!(hurt["vanished"] == true || bad > 0, "{hurt}");
    let to = shipment.new_destination();
    shipment.restore(&shipment.paths(), &to, &[]).expect(3);
    source.assert_equal(&Snapshot::of(&to));
}

#[test]
fn a_drive_that_takes_its_time_is_waited_for_and_told() {
    let Some(lab) = Lab::new(Ext4, 8) else { return };
    lab.image.faults().next_write_takes = Duration::from_secs(12);
    let run = lab.pack(LARGE).expect(0);
    let name = lab.shipment.drives[0].1.to_str().unwrap();
    let notes: Vec<Value> = run.events_of("note").into_iter().map(|n| n["text"].clone()).collect();
    let waits = |note: &&Value| note.as_str().unwrap().contains("has not answered for 1");
    let told: Vec<_> = notes.iter().filter(waits).collect();
    assert_eq!(told.len(), 1, "{notes:?}");
    let told = told[0].as_str().unwrap();
    assert!(told.starts_with(name) && told.ends_with("waiting for it"), "{told}");
    lab.verify().expect(0);
}

/// Where a sector takes long to fail, a bad region is skipped, its ends are found, and what is not
/// known to be sound is not said to be.
#[test]
fn a_large_bad_region_is_skipped_and_reported() {
    const TAKES: Duration = Duration::from_millis(20);
    let Some(lab) = Lab::new(Ext4, 12) else { return };
    lab.pack(tree::GEOMETRY).expect(0);
    let shards = lab.shipment.files(0, "shards/");
    let bad = 20..shards.len() - 20;
    assert!(bad.len() > 40, "{} shards", shards.len());
    let all = |path: &PathBuf| (path.clone(), 0..fs::metadata(path).unwrap().len() as usize);
    let places = lab.places(&shards[bad.clone()].iter().map(all).collect::<Vec<_>>());
    lab.drive.remount();
    lab.image.faults().unreadable = places;
    lab.image.faults().failing_takes = TAKES;

    let drives: Vec<Arc<dyn Drive>> = lab
        .shipment
        .paths()
        .iter()
        .map(|path| Arc::new(LocalDrive::open(path).unwrap()) as Arc<dyn Drive>)
        .collect();
    let monitor = Recording::default();
    let sets = open::find(&drives, &monitor);
    let record_index = RecordIndex::open(&sets[0], None, &monitor);
    let found = sets[0].drives.iter().find(|found| found.label.slot.0 == 1).unwrap();
    let began = Instant::now();
    let nothing = ReadBefore::default();
    let depth =
        Depth::All { policy: SkipPolicy::after(5 * TAKES), before: &nothing, held: usize::MAX };
    let check = DriveCheck {
        found,
        folder: &sets[0].folder,
        record_index: &record_index,
        mode: ReadMode::Medium,
        monitor: &monitor,
        progress: &|_| (),
    };
    let report = check.run(depth);
    let failed = lab.image.faults().failed_reads;
    let took = began.elapsed();

    let name = |stripe, index| holdall::testing::format::ids::shard_path(stripe, index);
    let reported: BTreeSet<String> =
        report.bad.iter().map(|bad| name(bad.stripe, bad.index)).collect();
    let set = lab.shipment.set_folder(0);
    let below = |path: &PathBuf| path.strip_prefix(&set).unwrap().to_str().unwrap().to_owned();
    let expected: BTreeSet<String> = shards[bad].iter().map(below).collect();
    assert_eq!(reported, expected, "{:#?}", monitor.problems());
    assert!(!report.vanished && report.unread_shards as usize > expected.len() / 2, "{report:?}");
    assert_eq!(report.bad_blocks, report.unreadable_blocks, "nothing is said to be damaged");
    let blocks = report.bad_blocks + report.unread_blocks;
    let bytes: u64 = shards
        .iter()
        .filter(|s| expected.contains(&below(s)))
        .map(|s| s.metadata().unwrap().len())
        .sum();
    assert_eq!(blocks * PAGE as u64, bytes, "every block is counted once");
    // Two tries of each block would have been the old way.
    assert!(failed < blocks / 4, "{failed} of {blocks} blocks were tried in {took:?}");

    // Restored all the same, and mended although most was not read.
    lab.image.faults().failing_takes = Duration::ZERO;
    lab.restore(&lab.shipment.paths(), 3);
    lab.repair();
    lab.verify().expect(0);
}

/// Review F5: a drive that has swallowed everything is no success, and the shipment is not
/// forgotten.
#[rstest]
fn a_drive_that_keeps_nothing_is_told_so(#[values(Ext4, Exfat)] file_system: FileSystem) {
    let Some(lab) = Lab::of(&[1], file_system, 2) else { return };
    lab.image.faults().swallows = true;
    let run = lab.shipment.run(lab.shipment.pack_arguments("none", &["--json"])).expect(1);
    let packed = run.event("packed");
    assert_eq!((&packed["restorable"], &packed["proven"]), (&false.into(), &false.into()));
    let again = lab.shipment.resume();
    assert_ne!(again.status, 0, "{}", again.shown());
    assert!(again.events_of("nothing-left").is_empty(), "the state is kept");
}
