//! Numbers that are told are those of what lies on the drives: what waits, totals, progress.

use crate::common::random::Random;
use crate::common::tree;
use holdall::drives::MemoryDrive;
use holdall::entropy::Fixed;
use holdall::format::Suite;
use holdall::format::ids::ShipmentId;
use holdall::host::state::StateFolder;
use holdall::keys::recipients::Recipients;
use holdall::memory::Memory;
use holdall::monitor::{Monitor, Phase, Problem, Recording};
use holdall::packer::{Checkpoint, SetDrive};
use holdall::plan::cipher::CipherChoice;
use holdall::plan::room::Geometry;
use holdall::verbs::pack::{self, GoOn, PackOptions, PackOutcome};
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
    fn pack(&self, drives: &[MemoryDrive], survive: &str, monitor: &dyn Monitor) -> PackOutcome {
        let set_drive = |(i, drive): (usize, &MemoryDrive)| SetDrive {
            drive: Arc::new(drive.clone()),
            case: format!("case-{i}"),
        };
        let opened: Vec<_> = drives.iter().enumerate().map(set_drive).collect();
        let host = self.folder.path().join("host");
        let survive = Some(survive.parse().unwrap());
        let begun = host.join(SHIPMENT.to_string()).exists();
        let state = StateFolder::within(&host, SHIPMENT).unwrap();
        let prepared = if begun {
            let options = GoOn { survive, folder_drives: true, ..GoOn::default() };
            pack::go_on_with(opened, state, options, &self.entropy, monitor).unwrap().unwrap()
        } else {
            let recipient = age::x25519::Identity::generate().to_public().to_string();
            let options = PackOptions {
                source: self.folder.path().join("source"),
                recipients: Recipients::read(&[recipient], &[]).unwrap(),
                survive,
                cipher: CipherChoice::Given(Suite::ALL[0]),
                level: 3,
                exclude: Vec::new(),
                one_file_system: false,
                name: String::new(),
                contact: String::new(),
                checkpoint: self.checkpoint,
                read_back: false,
                geometry: Some(Geometry::new(16 << 10, 4096, 16).unwrap()),
                memory: Memory::default(),
                folder_drives: true,
            };
            pack::prepare_on(opened, state, options, &self.entropy, monitor).unwrap()
        };
        prepared.run(monitor).unwrap()
    }
}

fn drives(count: usize, capacity: u64) -> Vec<MemoryDrive> {
    (1..=count).map(|slot| MemoryDrive::new(format!("drive {slot}"), capacity)).collect()
}

/// Bytes of the shards on a drive.
fn shard_bytes(drive: &MemoryDrive) -> u64 {
    let shards = drive.paths().into_iter().filter(|path| path.contains("/shards/"));
    shards.map(|path| drive.with_file(&path, |bytes| bytes.len() as u64).unwrap_or(0)).sum()
}

/// Stops once the drives were given so much.
struct StopAfter(AtomicU64);

impl Monitor for StopAfter {
    fn phase(&self, _: Phase, _: u64) {}
    fn advance(&self, _: u64) {}
    fn retotal(&self, _: u64) {}
    fn drive(&self, _: usize, _: &str, _: u64) {}
    fn drive_advance(&self, _: usize, bytes: u64) {
        let left = self.0.load(Ordering::Relaxed);
        self.0.store(left.saturating_sub(bytes), Ordering::Relaxed);
    }
    fn problem(&self, problem: Problem) {
        panic!("{problem}");
    }
    fn note(&self, _: &str) {}
    fn should_stop(&self) -> bool {
        self.0.load(Ordering::Relaxed) == 0
    }
}

// Reports scale 2, shape C, and what stands beside R2: holes, and the file in progress. Shape D:
// what is told of a set that was stopped and resumed is of the whole set.
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
        let outcome = packing.pack(&drives, "none", &Recording::default());
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
    drives: &'a [MemoryDrive],
    packing: AtomicBool,
    first_total: AtomicU64,
    total: AtomicU64,
    done: AtomicU64,
    drive_totals: Mutex<BTreeMap<usize, u64>>,
    /// totals that were told, and how much was done then
    totals: Mutex<Vec<(u64, u64)>>,
}

impl<'a> Held<'a> {
    fn over(drives: &'a [MemoryDrive]) -> Self {
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
        let closed = |drive: &MemoryDrive| drive.paths().iter().any(|p| p.ends_with("set.txt"));
        let closed = self.drives.iter().all(closed);
        assert!(done < total || closed, "{done} of {total}, and the set is not closed");
    }
}

impl Monitor for Held<'_> {
    fn phase(&self, phase: Phase, total: u64) {
        self.packing.store(phase == Phase::Pack, Ordering::SeqCst);
        self.first_total.store(total, Ordering::SeqCst);
        self.total.store(total, Ordering::SeqCst);
    }

    fn advance(&self, bytes: u64) {
        if self.packing.load(Ordering::SeqCst) {
            let done = self.done.fetch_add(bytes, Ordering::SeqCst) + bytes;
            assert!(done <= self.lie(), "{done} done, {} on the drives", self.lie());
            self.check();
        }
    }

    fn retotal(&self, total: u64) {
        if self.packing.load(Ordering::SeqCst) {
            self.total.store(total, Ordering::SeqCst);
            self.totals.lock().unwrap().push((self.done.load(Ordering::SeqCst), total));
            self.check();
        }
    }

    fn drive(&self, drive: usize, _: &str, total: u64) {
        self.drive_totals.lock().unwrap().insert(drive, total);
    }

    fn drive_advance(&self, _: usize, _: u64) {}
    fn problem(&self, problem: Problem) {
        panic!("{problem}");
    }
    fn note(&self, _: &str) {}
}

// Reports newcomer A7, scale 12: progress of pack is by bytes on drives, its total no more than the
// set holds, corrected as data compresses, and there is no 100 % while work remains.
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
