//! Numbers that are told are those of what lies on the drives: what waits, totals, progress.

use crate::common::lab::Lab;
use crate::common::random::Random;
use crate::common::tree;
use holdall::testing::commands::pack::{self, PackOptions, PackOutcome, Prepared, ResumeOptions};
use holdall::testing::dataset::Contents;
use holdall::testing::entropy::Fixed;
use holdall::testing::faulty::FaultyDrive;
use holdall::testing::format::Suite;
use holdall::testing::format::ids::ShipmentId;
use holdall::testing::keys::recipients::Recipients;
use holdall::testing::local_state::state::StateFolder;
use holdall::testing::memory::Memory;
use holdall::testing::monitor::{Event, Monitor, Phase, Recording};
use holdall::testing::packer::{Checkpoint, SetDrive};
use holdall::testing::plan::cipher::CipherChoice;
use holdall::testing::plan::effort::Effort;
use holdall::testing::plan::geometry::Geometry;
use holdall::testing::restorer::RestoreOptions;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

const SHIPMENT: ShipmentId = ShipmentId(7);
const MIB: u64 = 1 << 20;

/// A dataset's way onto drives in memory, set by set.
struct Packing {
    folder: tempfile::TempDir,
    entropy: Fixed,
    checkpoint: Checkpoint,
}

impl Packing {
    fn new(make: impl FnOnce(&Path)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("source")).unwrap();
        make(&folder.path().join("source"));
        let checkpoint = Checkpoint { bytes: 256 << 10, seconds: 0 };
        Self { folder, entropy: Fixed::new(7), checkpoint }
    }

    /// Packs a set onto these drives: the first, the next, or the rest of one that was stopped.
    fn pack(&self, drives: &[FaultyDrive], survive: &str, monitor: &dyn Monitor) -> PackOutcome {
        self.prepare(drives, survive, monitor).run(monitor).unwrap()
    }

    /// Its plan.
    fn prepare(
        &self,
        drives: &[FaultyDrive],
        survive: &str,
        monitor: &dyn Monitor,
    ) -> Prepared<'_> {
        let set_drive = |(i, drive): (usize, &FaultyDrive)| SetDrive {
            drive: Arc::new(drive.clone()),
            case: format!("case-{i}"),
        };
        let opened: Vec<_> = drives.iter().enumerate().map(set_drive).collect();
        let host = self.folder.path().join("local_state");
        let survive = Some(survive.parse().unwrap());
        let begun = host.join(SHIPMENT.to_string()).exists();
        let state = StateFolder::within(&host, SHIPMENT).unwrap();
        if begun {
            let options =
                ResumeOptions { survive, folder_drives: true, ..ResumeOptions::default() };
            pack::resume_on(opened, state, options, &self.entropy, monitor).unwrap().unwrap()
        } else {
            let recipient = age::x25519::Identity::generate().to_public().to_string();
            let options = PackOptions {
                source: self.folder.path().join("source"),
                recipients: Recipients::read(&[recipient], &[]).unwrap(),
                survive,
                cipher: CipherChoice::Given(Suite::ALL[0]),
                level: Effort::Level(3),
                contents: Contents::default(),
                name: String::new(),
                contact: String::new(),
                checkpoint: self.checkpoint,
                read_back: false,
                geometry: Some(Geometry::new(16 << 10, 4096, 16).unwrap()),
                memory: Memory::default(),
                folder_drives: true,
            };
            pack::prepare_on(opened, state, options, &self.entropy, monitor).unwrap()
        }
    }
}

fn drives(count: usize, capacity: u64) -> Vec<FaultyDrive> {
    (1..=count).map(|slot| FaultyDrive::new(format!("drive {slot}"), capacity)).collect()
}

/// Bytes of the shards on a drive.
fn shard_bytes(drive: &FaultyDrive) -> u64 {
    let shards = drive.paths().into_iter().filter(|path| path.contains("/shards/"));
    shards.map(|path| drive.with_file(&path, |bytes| bytes.len() as u64).unwrap_or(0)).sum()
}

/// Stops once the drives were given so much.
struct StopAfter(AtomicU64);

impl Monitor for StopAfter {
    fn event(&self, event: Event<'_>) {
        match event {
            Event::DriveAdvance { bytes, .. } => {
                let left = self.0.load(Ordering::Relaxed);
                self.0.store(left.saturating_sub(bytes), Ordering::Relaxed);
            }
            Event::Problem(problem) => panic!("{problem}"),
            _ => {}
        }
    }

    fn should_stop(&self) -> bool {
        self.0.load(Ordering::Relaxed) == 0
    }
}

/// Review R2, scale 2, shape C: holes do not wait, nor what is packed of the file in progress.
/// Review shape D: what is told of a set that was stopped and resumed is of the whole set.
#[test]
fn what_waits_is_what_is_not_packed_and_a_resumed_set_is_counted_whole() {
    let mut random = Random::new("what waits");
    let packing = Packing::new(|source| {
        let sparse = fs::File::create(source.join("a-hole")).unwrap();
        sparse.set_len(64 * MIB).unwrap();
        sparse.write_all_at(&random.bytes(MIB as usize), 32 * MIB).unwrap();
        sparse.sync_all().unwrap();
        tree::write(&source.join("large"), &random.bytes(9 << 20));
        for number in 0..20 {
            tree::write(&source.join(format!("small/{number}")), &random.bytes(50_000));
        }
        let twice = fs::read(source.join("large")).unwrap();
        tree::write(&source.join("twice"), &twice[..1 << 20]);
    });
    let (mut sets, mut left, mut stored) = (0, 11 * MIB + 20 * 50_000, 0);
    while sets == 0 || left > 0 {
        sets += 1;
        assert!(sets < 10, "too many sets");
        let drives = drives(2, 5 * MIB);
        let stopped = packing.pack(&drives, "none", &StopAfter((1_500_000).into()));
        assert!(stopped.packed.stopped && stopped.packed.stored_bytes > 0);
        let so_far = stored + stopped.packed.stored_bytes + stopped.packed.duplicate_bytes;
        assert_eq!(so_far + stopped.left_bytes, 11 * MIB + 20 * 50_000, "set {sets}: stopped");
        assert!(stopped.left_entries > 0);
        // What a drive can hold is what is free and what the set has put there.
        let prepared = packing.prepare(&drives, "none", &Recording::default());
        let lie: Vec<u64> = drives.iter().map(shard_bytes).collect();
        assert_eq!(prepared.bytes_before(), lie);
        let outcome = prepared.run(&Recording::default()).unwrap();
        let packed = &outcome.packed;
        // Nothing compresses; what is there twice is stored twice if it was forgotten meanwhile.
        stored += packed.stored_bytes + packed.duplicate_bytes;
        let lie: Vec<u64> = drives.iter().map(shard_bytes).collect();
        assert_eq!(packed.drive_bytes, lie, "set {sets}: bytes of shards");
        assert!(packed.stripes > stopped.packed.stripes, "the whole set's stripes");
        left = outcome.left_bytes;
        assert_eq!(stored + left, 11 * MIB + 20 * 50_000, "set {sets}: what waits");
        assert_eq!(outcome.left_entries > 0, left > 0);
    }
    assert!(sets >= 2, "{sets} sets");
}

/// Holds progress against what lies on the drives, at every step.
struct Held<'a> {
    drives: &'a [FaultyDrive],
    packing: AtomicBool,
    first_total: AtomicU64,
    total: AtomicU64,
    done: AtomicU64,
    drive_totals: Mutex<BTreeMap<usize, u64>>,
    /// totals that were told, and how much was done then
    totals: Mutex<Vec<(u64, u64)>>,
}

impl<'a> Held<'a> {
    fn over(drives: &'a [FaultyDrive]) -> Self {
        let zero = || AtomicU64::new(0);
        let (first_total, total, done) = (zero(), zero(), zero());
        let (drive_totals, totals) = (Mutex::default(), Mutex::default());
        Self { drives, packing: false.into(), first_total, total, done, drive_totals, totals }
    }

    fn lie(&self) -> u64 {
        self.drives.iter().map(shard_bytes).sum()
    }

    /// All is said to be done only if it is.
    fn check(&self) {
        let (done, total) = (self.done.load(Ordering::SeqCst), self.total.load(Ordering::SeqCst));
        let closed = |drive: &FaultyDrive| drive.paths().iter().any(|p| p.ends_with("set.txt"));
        let closed = self.drives.iter().all(closed);
        assert!(done < total || closed, "{done} of {total}, and the set is not closed");
    }
}

impl Monitor for Held<'_> {
    fn event(&self, event: Event<'_>) {
        let is_packing = self.packing.load(Ordering::SeqCst);
        match event {
            Event::Phase { phase, total } => {
                self.packing.store(phase == Phase::Pack, Ordering::SeqCst);
                self.first_total.store(total, Ordering::SeqCst);
                self.total.store(total, Ordering::SeqCst);
            }
            Event::Advance(bytes) if is_packing => {
                let done = self.done.fetch_add(bytes, Ordering::SeqCst) + bytes;
                assert!(done <= self.lie(), "{done} done, {} on the drives", self.lie());
                self.check();
            }
            Event::Retotal(total) if is_packing => {
                self.total.store(total, Ordering::SeqCst);
                self.totals.lock().unwrap().push((self.done.load(Ordering::SeqCst), total));
                self.check();
            }
            Event::Drive { drive, total, .. } => {
                self.drive_totals.lock().unwrap().insert(drive, total);
            }
            Event::Problem(problem) => panic!("{problem}"),
            _ => {}
        }
    }
}

/// Review A7, scale 12: progress of pack is by bytes on drives, its total no more than the set
/// holds, corrected as data compresses, and there is no 100 % while work remains.
#[test]
fn progress_of_pack_is_what_lies_on_the_drives() {
    let mut random = Random::new("progress");
    let packing = Packing::new(|source| {
        for number in 0..60 {
            let bytes = random.text(200_000);
            tree::write(&source.join(format!("text {number:02}")), bytes.as_ref());
        }
    });
    let mut left = u64::MAX;
    for set in 1..5 {
        let drives = drives(3, 2 * MIB);
        let monitor = Held::over(&drives);
        let outcome = packing.pack(&drives, "cases=1,blocks=10%", &monitor);
        let first = monitor.first_total.load(Ordering::SeqCst);
        let capacity: u64 = 3 * 2 * MIB;
        assert!(first <= capacity, "set {set}: {first} is more than the drives hold");
        let totals = monitor.totals.lock().unwrap();
        let (done, last) = *totals.last().unwrap();
        assert_eq!((done, last), (monitor.lie(), monitor.lie()), "set {set}: in the end");
        let shards: Vec<u64> = drives.iter().map(shard_bytes).collect();
        let told: Vec<u64> = monitor.drive_totals.lock().unwrap().values().copied().collect();
        assert_eq!(told, shards, "set {set}: of each drive");
        // From the middle on the total is nearly what it comes to, though the text compresses.
        let late = totals.iter().filter(|(done, _)| *done > last / 2).map(|(_, total)| *total);
        for total in late {
            assert!(total.abs_diff(last) < last / 5, "set {set}: {total}, it came to {last}");
        }
        left = outcome.left_bytes;
        if left == 0 {
            break;
        }
    }
    assert_eq!(left, 0, "all of it was packed");
}

/// Hears the total of a restore, and what is done of it.
#[derive(Default)]
struct Totals {
    total: AtomicU64,
    done: AtomicU64,
}

impl Monitor for Totals {
    fn event(&self, event: Event<'_>) {
        match event {
            Event::Phase { phase: Phase::Restore, total } | Event::Retotal(total) => {
                self.total.store(total, Ordering::SeqCst);
            }
            Event::Advance(bytes) => {
                self.done.fetch_add(bytes, Ordering::SeqCst);
            }
            _ => {}
        }
    }
}

/// The total was of everything, so that a run that could give little back ended at 11 %, in
/// days by its own words.
#[test]
fn the_total_of_a_restore_is_what_it_can_give_back_or_unknown() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("source");
    tree::plain(&source, "totals", 60);
    let mut lab = Lab::new(&[1, 1, 1, 1], 64 << 20, 12);
    lab.pack(&source, "cases=1");
    let restore = |lost: &[usize], to: &str, resumed: bool| {
        let (told, drives) = (Totals::default(), lab.drives_but(lost));
        let options = RestoreOptions { resumed, ..RestoreOptions::default() };
        let restored = lab.restore_from(&drives, &folder.path().join(to), options, &told);
        let done = told.done.load(Ordering::SeqCst);
        assert!(done > 0, "{restored:?}");
        (told.total.load(Ordering::SeqCst), done, restored.is_complete())
    };
    let (all, done, is_complete) = restore(&[1], "k", false);
    assert!(all == done && is_complete, "{done} of {all}");
    let fewer = [[0, 1], [2, 3]].map(|lost| {
        let to = format!("to-{}", lost[0]);
        let (total, _, is_complete) = restore(&lost, &to, false);
        assert!(total == 0 && !is_complete, "{total}");
        let (total, done, is_complete) = restore(&[3], &to, true);
        assert!(total == done && is_complete, "{done} of {total}");
        done < all
    });
    assert!(fewer.contains(&true), "what was in place is not of the total");
}
