//! Drives that fail while they are packed, and sources that change.

use crate::common::lab::{Lab, Vanishing};
use crate::common::snapshot::Snapshot;
use crate::common::{random::Random, tree};
use holdall::testing::destination::Destination;
use holdall::testing::drives::{Drive, WriteMode};
use holdall::testing::format::record::Reason;
use holdall::testing::monitor::{Event, Monitor, Phase, Problem, ProblemKind, Recording};
use holdall::testing::opening::unlock as command;
use holdall::testing::packer::PackError;
use holdall::testing::restorer::{self, OpenSet, RestoreOptions};
use holdall::testing::sets::{RecordIndex, open};
use rstest::rstest;
use std::fs;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tempfile::TempDir;

const CAPACITY: u64 = 16 << 20;

fn source(seed: &str) -> (TempDir, Snapshot) {
    let folder = tempfile::tempdir().unwrap();
    tree::plain(folder.path(), seed, 100);
    let snapshot = Snapshot::of(folder.path());
    (folder, snapshot)
}

/// Leaves a drive only `bytes` of room.
fn fill_but(lab: &Lab, drive: usize, bytes: u64) {
    let drive = &lab.drives[drive];
    let free = drive.room().unwrap().free_bytes;
    drive.write("something else", &vec![0; (free - bytes) as usize], WriteMode::New).unwrap();
}

#[test]
fn a_drive_that_fills_up_is_left_out_and_packing_goes_on() {
    let (folder, snapshot) = source("fills up");
    let mut lab = Lab::new(&[1, 1, 1, 1], CAPACITY, 11);
    let monitor = Recording::default();
    let planned = |lab: &Lab| fill_but(lab, 2, 300 << 10);
    let packed = lab.pack_after(folder.path(), "cases=1", planned, &monitor).unwrap();
    assert_eq!(packed.failed, [2]);
    let problems = monitor.problems();
    assert!(problems.iter().any(|p| p.kind == ProblemKind::Drive && p.subject == "drive 3"));
    for lost in [vec![], vec![2]] {
        let to = tempfile::tempdir().unwrap();
        let run = lab.restore(&lost, to.path(), RestoreOptions::default());
        assert!(run.restored.is_complete(), "without {lost:?}: {:?}", run.problems);
        snapshot.assert_equal(&Snapshot::of(to.path()));
    }
}

#[test]
fn a_drive_that_vanishes_is_left_out_and_packing_goes_on() {
    let (folder, snapshot) = source("vanishes");
    let mut lab = Lab::new(&[1, 1, 1, 1], CAPACITY, 12);
    let monitor = Recording::default();
    let planned = |lab: &Lab| lab.drives[0].vanish();
    let packed = lab.pack_after(folder.path(), "cases=1", planned, &monitor).unwrap();
    assert_eq!(packed.failed, [0]);
    let to = tempfile::tempdir().unwrap();
    let run = lab.restore(&[0], to.path(), RestoreOptions::default());
    assert!(run.restored.is_complete(), "{:?}", run.problems);
    snapshot.assert_equal(&Snapshot::of(to.path()));
}

#[test]
fn a_drive_that_vanishes_midway_is_left_out_and_packing_goes_on() {
    let (folder, snapshot) = source("midway");
    for (seed, bytes) in [(21, 200_000), (22, 900_000), (23, 1_500_000)] {
        let mut lab = Lab::new(&[1, 1, 1, 1], CAPACITY, seed);
        let drive = lab.drives[3].clone();
        let monitor = Vanishing::after(bytes, &drive);
        let packed = lab.pack_after(folder.path(), "cases=1", |_| (), &monitor).unwrap();
        assert!(monitor.has_vanished());
        assert_eq!(packed.failed, [3]);
        must_be_planned_anew(&lab, bytes == 200_000);
        let to = tempfile::tempdir().unwrap();
        let run = lab.restore(&[3], to.path(), RestoreOptions::default());
        assert!(run.restored.is_complete(), "{:?}", run.problems);
        snapshot.assert_equal(&Snapshot::of(to.path()));
    }
}

/// Stripes go over the drives that have room left: if one of them fails, its shards go to the one
/// that the stripe leaves out, as far as that keeps the rule.
#[test]
fn the_shards_of_a_drive_that_failed_go_to_one_that_is_free() {
    let (folder, snapshot) = source("anew");
    let mut lab = Lab::new(&[1, 1, 1, 1, 1], CAPACITY, 29);
    for (drive, room) in [(2, 900_000), (3, 900_000), (4, 600_000)] {
        lab.drives[drive].take_room(CAPACITY - room);
    }
    lab.left_out = vec![3];
    let packed = lab.pack_after(folder.path(), "drives=1", |_| (), &Recording::default()).unwrap();
    assert_eq!(packed.failed, [3]);
    let monitor = Recording::default();
    let sets = open::find(&lab.drives_but(&[3]), &monitor);
    let (mut anew, mut lacking) = (0, 0);
    RecordIndex::open(&sets[0], None, &monitor).walk(&monitor, |record| {
        anew += u32::from(record.reason == Reason::DriveLost);
        lacking += u32::from(record.shards.iter().any(|shard| shard.slot.0 == 4));
        true
    });
    assert!(anew > 0 && lacking > 0, "{anew} stripes were placed anew, {lacking} lack a shard");
    let to = tempfile::tempdir().unwrap();
    let run = lab.restore(&[3], to.path(), RestoreOptions::default());
    assert!(run.restored.is_complete(), "{:?}", run.problems);
    snapshot.assert_equal(&Snapshot::of(to.path()));
}

/// Stripes that were placed after the loss keep the rule without the drive, and say why.
fn must_be_planned_anew(lab: &Lab, early: bool) {
    let monitor = Recording::default();
    let sets = open::find(&lab.drives_but(&[3]), &monitor);
    let mut anew = 0;
    RecordIndex::open(&sets[0], None, &monitor).walk(&monitor, |record| {
        let names_it = record.shards.iter().any(|shard| shard.slot.0 == 4);
        if record.reason == Reason::DriveLost {
            assert!(!names_it && record.m == 1 && record.k == 2, "{record:?}");
            anew += 1;
        } else {
            assert!(anew == 0 && names_it, "nothing is placed on it later");
        }
        true
    });
    assert!(anew > 0 || !early);
}

#[test]
fn a_drive_that_vanishes_while_it_is_read_is_lost_and_no_more() {
    let (folder, snapshot) = source("read");
    let mut lab = Lab::new(&[1, 1, 1, 1], CAPACITY, 24);
    lab.pack(folder.path(), "cases=1");
    let drive = lab.drives[2].clone();
    let monitor = Vanishing::after(400_000, &drive);
    let to = tempfile::tempdir().unwrap();
    let drives = lab.drives_but(&[]);
    let restored = lab.restore_from(&drives, to.path(), RestoreOptions::default(), &monitor);
    assert!(monitor.has_vanished());
    assert!(restored.is_complete(), "{:?}", monitor.told.problems());
    assert!(restored.reconstructed.all > 0);
    snapshot.assert_equal(&Snapshot::of(to.path()));
}

/// The records were read from it first; the others have them too.
#[test]
fn the_drive_that_the_records_were_read_from_may_vanish() {
    let (folder, snapshot) = source("records");
    let mut lab = Lab::new(&[1, 1, 1], CAPACITY, 26);
    lab.pack(folder.path(), "cases=1");
    let monitor = Recording::default();
    let mut sets = open::find(&lab.drives_but(&[]), &monitor);
    let keys = command::unlock(&mut sets, &lab.identities(), &[], &monitor).unwrap().remove(0);
    let record_index = command::record_index(&sets[0], &keys, &monitor);
    lab.drives[0].vanish();
    let to = tempfile::tempdir().unwrap();
    let (destination, _) = Destination::open(to.path(), &sets[0].shipment.to_string()).unwrap();
    let opened = OpenSet { set: &sets[0], record_index: &record_index, keys: &keys };
    let options = RestoreOptions::default();
    let restored = restorer::restore(&opened, &destination, options, &monitor).unwrap();
    assert!(restored.is_complete(), "{restored:?}");
    destination.complete().unwrap();
    snapshot.assert_equal(&Snapshot::of(to.path()));
}

#[test]
fn more_failed_drives_than_the_rule_allows_end_the_packing() {
    let (folder, _) = source("too many");
    let mut lab = Lab::new(&[1, 1, 1, 1], CAPACITY, 13);
    let planned = |lab: &Lab| {
        fill_but(lab, 1, 200 << 10);
        fill_but(lab, 3, 200 << 10);
    };
    let result = lab.pack_after(folder.path(), "cases=1", planned, &Recording::default());
    assert!(matches!(result, Err(PackError::TooManyFailed { failed: 2, .. })), "{result:?}");
}

#[test]
fn reads_that_fail_are_erasures() {
    let (folder, snapshot) = source("reads");
    let mut lab = Lab::new(&[1, 1, 1, 1], CAPACITY, 14);
    lab.pack(folder.path(), "cases=1");
    let mut random = Random::new("reads");
    let drive = &lab.drives[1];
    for path in drive.paths() {
        let len = drive.with_file(&path, |bytes| bytes.len() as u64).unwrap();
        let at = random.below(len.max(1) as usize) as u64;
        drive.fail_reads(&path, at..at + 1);
    }
    let to = tempfile::tempdir().unwrap();
    let run = lab.restore(&[], to.path(), RestoreOptions::default());
    assert!(run.restored.is_complete(), "{:?}", run.problems);
    assert!(run.restored.reconstructed.all > 0);
    snapshot.assert_equal(&Snapshot::of(to.path()));
}

/// What changes between the scan and its turn is packed as it then is; only what is gone is listed.
#[test]
fn a_source_that_changes_after_the_scan_is_packed_as_it_is_then() {
    let (folder, _) = source("changes");
    let root = folder.path().to_path_buf();
    let mut random = Random::new("changes");
    let chunk = tree::CHUNK;
    let sizes = [(chunk - 700, 600), (600, chunk - 100), (300, chunk * 9), (chunk * 7, 90)];
    for (number, (then, _)) in sizes.iter().enumerate() {
        tree::write(&root.join(format!("sizes/{number}")), &random.bytes(*then));
    }
    let mut lab = Lab::new(&[2], CAPACITY, 15);
    let monitor = Recording::default();
    let planned = |_: &Lab| {
        fs::remove_file(root.join("large/text")).unwrap();
        fs::remove_file(root.join("folder 02/file 0002")).unwrap();
        let mut bytes = fs::read(root.join("large/more noise")).unwrap();
        bytes[100_000] ^= 1;
        fs::write(root.join("large/more noise"), bytes).unwrap();
        for (number, (_, now)) in sizes.iter().enumerate() {
            fs::write(root.join(format!("sizes/{number}")), random.bytes(*now)).unwrap();
        }
    };
    lab.pack_after(&root, "drives=1", planned, &monitor).unwrap();
    let told = |problems: Vec<Problem>| {
        let mut told: Vec<String> = problems.into_iter().map(|p| p.subject).collect();
        told.sort();
        told
    };
    assert_eq!(told(monitor.problems()), ["folder 02/file 0002", "large/text"]);
    let to = tempfile::tempdir().unwrap();
    let run = lab.restore(&[], to.path(), RestoreOptions::default());
    // The receiver is told as well.
    assert_eq!(told(run.problems), ["folder 02/file 0002", "large/text"]);
    let now = Snapshot::of(&root).without_folder_metadata();
    now.assert_equal(&Snapshot::of(to.path()).without_folder_metadata());
}

/// Writes to files while the dataset is read, as often as it is told to.
struct Meddling<'a> {
    told: Recording,
    packing: AtomicBool,
    asked: AtomicUsize,
    left: AtomicUsize,
    meddle: &'a (dyn Fn(usize) + Sync),
}

impl Monitor for Meddling<'_> {
    fn event(&self, event: Event<'_>) {
        self.told.event(event);
    }

    /// The packer asks this before it reads more; by the tenth time it is midway.
    fn should_stop(&self) -> bool {
        let midway =
            self.packing.load(Ordering::SeqCst) && self.asked.fetch_add(1, Ordering::SeqCst) > 10;
        if midway && self.left.load(Ordering::SeqCst) > 0 {
            (self.meddle)(self.left.fetch_sub(1, Ordering::SeqCst));
        }
        false
    }
}

/// Wants a restore to stop when all files are in place.
#[derive(Default)]
struct StopsAtTheEnd(AtomicBool);

impl Monitor for StopsAtTheEnd {
    fn event(&self, event: Event<'_>) {
        let is_end = matches!(event, Event::Phase { phase: Phase::Finish, .. });
        self.0.fetch_or(is_end, Ordering::SeqCst);
    }

    fn should_stop(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// One write while a large file is read: it is packed again and whole. One write an extent: it never
/// holds still, and is listed as a mixture.
#[rstest]
#[case::once(1, &[])]
#[case::again_and_again(usize::MAX, &["large"])]
fn a_large_file_that_changes_while_it_is_read(#[case] times: usize, #[case] listed: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let (large, after) = (folder.path().join("large"), folder.path().join("later"));
    let mut random = Random::new("while read");
    tree::write(&large, &random.bytes(tree::CHUNK * 80));
    tree::write(&after, &random.bytes(1000));
    // Change times have the grain of the kernel's tick.
    std::thread::sleep(std::time::Duration::from_millis(20));
    let file = fs::File::options().write(true).open(&large).unwrap();
    let meddle = |left: usize| {
        file.write_all_at(&left.to_le_bytes(), 11).unwrap();
        if times > 1 {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    };
    let monitor = Meddling {
        told: Recording::default(),
        packing: AtomicBool::new(false),
        asked: AtomicUsize::new(0),
        left: times.into(),
        meddle: &meddle,
    };
    let mut lab = Lab::new(&[2], CAPACITY, 16);
    let planned = |_: &Lab| monitor.packing.store(true, Ordering::SeqCst);
    lab.pack_after(folder.path(), "drives=1", planned, &monitor).unwrap();
    let told: Vec<String> = monitor.told.problems().into_iter().map(|p| p.subject).collect();
    assert_eq!(told, listed);
    let to = tempfile::tempdir().unwrap();
    let run = lab.restore(&[], to.path(), RestoreOptions::default());
    let told: Vec<String> = run.problems.into_iter().map(|p| p.subject).collect();
    assert_eq!((told, run.restored.files), (listed.iter().map(ToString::to_string).collect(), 2));
    assert_eq!(fs::read(to.path().join("later")).unwrap(), fs::read(after).unwrap());
    // A restore that is stopped near its end and gone on with finds the file in place, and tells it.
    let to = tempfile::tempdir().unwrap();
    let drives = lab.drives_but(&[]);
    let stopping = StopsAtTheEnd::default();
    let first = lab.restore_from(&drives, to.path(), RestoreOptions::default(), &stopping);
    assert!(first.stopped && first.files == 2, "{first:?}");
    let resumed = RestoreOptions { resumed: true, ..RestoreOptions::default() };
    let run = lab.restore(&[], to.path(), resumed);
    let told: Vec<String> = run.problems.into_iter().map(|p| p.subject).collect();
    assert_eq!(told, listed, "{:?}", run.restored);
    assert_eq!(run.restored.packed_badly, listed.len() as u64);
    if listed.is_empty() {
        let equal = fs::read(to.path().join("large")).unwrap() == fs::read(large).unwrap();
        assert!(equal, "the later version wins");
    }
}
