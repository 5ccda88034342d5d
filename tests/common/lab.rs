//! Sets on drives in memory, packed and restored through the library: for what needs many losses,
//! fixed randomness or drives that fail.

use super::tree::CHUNK;
use holdall::testing::dataset::{self, Filter, ScanOptions, Source};
use holdall::testing::destination::Destination;
use holdall::testing::drives::{Drive, DriveError};
use holdall::testing::entropy::{Entropy, Fixed, random_id};
use holdall::testing::faulty::FaultyDrive;
use holdall::testing::format::Suite;
use holdall::testing::format::entry::entry_len;
use holdall::testing::format::ids::{RunId, SetNumber, ShipmentId};
use holdall::testing::keys::RunKey;
use holdall::testing::keys::recipients::Identities;
use holdall::testing::local_state::{LocalStateError, SnapshotWriter};
use holdall::testing::monitor::{Event, Monitor, Problem, ProblemKind, Recording};
use holdall::testing::opening::unlock as command;
use holdall::testing::packer::{
    self, Checkpoint, PackError, Packed, ResumePoint, SetDrive, SetJob,
};
use holdall::testing::plan::effort::Effort;
use holdall::testing::plan::geometry::Geometry;
use holdall::testing::plan::room::{self, DriveRoom, Need};
use holdall::testing::proxy::{Call, CallKind, FileRead, Proxy};
use holdall::testing::restorer::end::{self, EndOfRun};
use holdall::testing::restorer::{self, OpenSet, RestoreOptions, Restored};
use holdall::testing::sets::open;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

/// Drives in memory, and who may open them.
pub struct Lab {
    /// by slot from 1
    pub drives: Vec<FaultyDrive>,
    cases: Vec<usize>,
    identity: age::x25519::Identity,
    /// its wrapped run key; made by the first pack if it is empty
    pub key_file: Vec<u8>,
    /// drives that fail before the first byte, from 0
    pub left_out: Vec<usize>,
    seed: u64,
    /// the number of the set that it packs, and the root of the one before
    pub set: u32,
    pub before: Option<[u8; 32]>,
    /// with which it packs; the seed chooses
    pub suite: Suite,
    /// how hard it compresses
    pub effort: Effort,
    /// bytes on a drive after which it commits
    pub checkpoint: u64,
    /// the packing machine's own disk no longer takes its state
    pub state_fails: Arc<AtomicBool>,
    /// where shards are kept for rebuilding
    pub stage: Option<Arc<dyn Drive>>,
}

/// The small geometry.
pub fn small_geometry() -> Geometry {
    Geometry::new(CHUNK as u32, 4096, 16).unwrap()
}

/// What was restored from a lab's drives.
pub struct LabRestore {
    /// counts
    pub restored: Restored,
    /// what was told
    pub problems: Vec<Problem>,
}

impl LabRestore {
    /// Subjects of the problems of a kind, sorted.
    pub fn subjects(&self, kind: ProblemKind) -> Vec<String> {
        let of_kind = self.problems.iter().filter(|p| p.kind == kind);
        let mut subjects: Vec<String> = of_kind.map(|p| p.subject.clone()).collect();
        subjects.sort();
        subjects
    }
}

impl Lab {
    /// Empty drives of `capacity` bytes, as many as `cases` says in each case.
    pub fn new(cases: &[usize], capacity: u64, seed: u64) -> Self {
        let mut numbers = Vec::new();
        for (case, count) in cases.iter().enumerate() {
            numbers.extend(std::iter::repeat_n(case, *count));
        }
        let name = |slot: usize| format!("drive {slot}");
        let drives = (1..=numbers.len()).map(|s| FaultyDrive::new(name(s), capacity)).collect();
        let identity = age::x25519::Identity::generate();
        let suite = Suite::ALL[seed as usize % Suite::ALL.len()];
        let (key_file, left_out) = (Vec::new(), Vec::new());
        Self {
            drives,
            cases: numbers,
            identity,
            key_file,
            left_out,
            seed,
            set: 1,
            before: None,
            suite,
            effort: Effort::Level(3),
            checkpoint: 256 << 10,
            state_fails: Arc::default(),
            stage: None,
        }
    }

    /// Empty drives for another set of the same shipment, to the same recipient.
    pub fn beside(&self, cases: &[usize], set: u32) -> Self {
        let (seed, identity) = (self.seed, self.identity.clone());
        Self { identity, set, ..Self::new(cases, 64 << 20, seed) }
    }

    /// The identity that opens the set.
    pub fn identities(&self) -> Identities {
        Identities::of(self.identity.clone())
    }

    /// The recipient of the set.
    pub fn recipient(&self) -> String {
        self.identity.to_public().to_string()
    }

    /// The drives that are kept, as the program sees drives.
    pub fn drives_but(&self, lost: &[usize]) -> Vec<Arc<dyn Drive>> {
        let kept = self.drives.iter().enumerate().filter(|(i, _)| !lost.contains(i));
        kept.map(|(_, d)| Arc::new(d.clone()) as Arc<dyn Drive>).collect()
    }

    /// Packs `source`; `planned` runs between planning and the first byte.
    pub fn pack_after(
        &mut self,
        source: &Path,
        survive: &str,
        planned: impl FnOnce(&Self),
        monitor: &dyn Monitor,
    ) -> Result<Packed, PackError> {
        let entropy = Fixed::new(self.seed);
        let host = tempfile::tempdir().unwrap();
        let mut writer = SnapshotWriter::create(&host.path().join("list")).unwrap();
        let options = ScanOptions::new(Filter::new(&[]).unwrap());
        let mut entry_bytes = 0;
        let totals = dataset::scan(source, &options, monitor, &mut |scanned| {
            entry_bytes += entry_len(&scanned.entry) as u64;
            writer.push(&scanned).map_err(dataset::ScanError::sink)
        });
        let (totals, list) = (totals.unwrap(), writer.finish().unwrap());
        let (data_bytes, entries) = (totals.data_bytes, totals.entries);
        let need = Need { data_bytes, entries, entry_bytes };
        let rooms: Vec<DriveRoom> = self.rooms();
        let survive = survive.parse().unwrap();
        let plan = room::plan(&rooms, survive, small_geometry(), &need).unwrap();
        planned(self);
        let shipment = ShipmentId(random_id(&entropy).unwrap());
        let (set, run) = (SetNumber(self.set), RunId(random_id(&entropy).unwrap()));
        let mut secret = [0; 32];
        entropy.fill(&mut secret).unwrap();
        let key = RunKey::new(secret, shipment, set, run);
        if self.key_file.is_empty() {
            self.key_file = self.wrap(&key);
        }
        let drives = self.drives.iter().zip(&self.cases);
        let drives = drives.map(|(drive, case)| SetDrive {
            drive: Arc::new(drive.clone()),
            case: format!("case-{case}"),
        });
        let job = SetJob {
            queue_depth: 2,
            shipment,
            set,
            run,
            key: &key,
            key_file: self.key_file.clone(),
            plan: &plan,
            drives: drives.collect(),
            suite: self.suite,
            level: self.effort,
            checkpoint: Checkpoint { bytes: self.checkpoint, seconds: 0 },
            name: "lab".into(),
            contact: String::new(),
            resume: ResumePoint {
                left_out: self.left_out.clone(),
                before: self.before,
                ..ResumePoint::default()
            },
            journal: &|_| {
                let source = std::io::ErrorKind::StorageFull.into();
                let full =
                    LocalStateError::Full { action: "write", path: "state.json".into(), source };
                if self.state_fails.load(Ordering::SeqCst) { Err(full) } else { Ok(()) }
            },
            entropy: &entropy,
        };
        packer::pack(&job, &list, &Source::open(source).unwrap(), monitor)
    }

    /// Packs `source`, which must go well.
    pub fn pack(&mut self, source: &Path, survive: &str) -> Packed {
        let monitor = Recording::default();
        let packed = self.pack_after(source, survive, |_| (), &monitor).unwrap();
        assert_eq!(monitor.problems(), []);
        packed
    }

    fn rooms(&self) -> Vec<DriveRoom> {
        let room = |(i, (drive, case)): (usize, (&FaultyDrive, &usize))| {
            let room = drive.room().unwrap();
            DriveRoom {
                slot: i as u16 + 1,
                case: *case,
                free_bytes: room.free_bytes,
                unit_bytes: room.unit_bytes,
            }
        };
        self.drives.iter().zip(&self.cases).enumerate().map(room).collect()
    }

    fn wrap(&self, key: &RunKey) -> Vec<u8> {
        let word = self.identity.to_public().to_string();
        holdall::testing::keys::recipients::Recipients::read(&[word], &[])
            .unwrap()
            .wrap(key)
            .unwrap()
    }

    /// Restores to `to` from all drives but the lost ones.
    pub fn restore(&self, lost: &[usize], to: &Path, options: RestoreOptions) -> LabRestore {
        let monitor = Recording::default();
        let restored = self.restore_from(&self.drives_but(lost), to, options, &monitor);
        LabRestore { restored, problems: monitor.problems() }
    }

    /// Restores to `to` from these drives.
    pub fn restore_from(
        &self,
        drives: &[Arc<dyn Drive>],
        to: &Path,
        options: RestoreOptions,
        monitor: &dyn Monitor,
    ) -> Restored {
        let mut sets = open::find(drives, monitor);
        assert_eq!(sets.len(), 1, "one set");
        sets[0].stage.clone_from(&self.stage);
        let keys = command::unlock(&mut sets, &self.identities(), &[], monitor).unwrap().remove(0);
        let record_index = command::record_index(&sets[0], &keys, monitor);
        let shipment = sets[0].shipment.to_string();
        let (destination, _) = Destination::open(to, &shipment).unwrap();
        let opened = OpenSet { set: &sets[0], record_index: &record_index, keys: &keys };
        let mut restored = restorer::restore(&opened, &destination, options, monitor).unwrap();
        let end = EndOfRun {
            destination: &destination,
            sets: &[(sets[0].set.0, restored.bounds.clone())].into(),
            is_settled: &|_| true,
            nothing_comes: options.give_up,
            salvage: options.salvage,
        };
        end::report(&end, &mut restored, monitor).unwrap();
        let done = restored.waiting == 0 && (restored.lost == 0 || options.give_up);
        if done && !restored.stopped {
            destination.complete().unwrap();
        }
        restored
    }
}

/// Makes a drive vanish once so many bytes went to or came from all drives.
pub struct Vanishing<'a> {
    /// what was told
    pub told: Recording,
    drive: &'a FaultyDrive,
    left: AtomicI64,
}

impl<'a> Vanishing<'a> {
    /// After `bytes`.
    pub fn after(bytes: i64, drive: &'a FaultyDrive) -> Self {
        Self { told: Recording::default(), drive, left: bytes.into() }
    }

    /// Did it come to that?
    pub fn has_vanished(&self) -> bool {
        self.left.load(Ordering::SeqCst) <= 0
    }
}

impl Monitor for Vanishing<'_> {
    fn event(&self, event: Event<'_>) {
        if let Event::DriveAdvance { bytes, .. } = event {
            let bytes = bytes.cast_signed();
            if self.left.fetch_sub(bytes, Ordering::SeqCst) <= bytes {
                self.drive.vanish();
            }
        }
        self.told.event(event);
    }
}

/// How reading shards goes wrong for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// the first read of a place fails, as with a bad cable
    FirstFails,
    /// the first read of a place gives a bit that is not there
    FirstFlips,
    /// a bad place spoils so many bytes on each side of it, but for who reads past the caches
    Spoils(u64),
    /// the shard that is read first fails at its beginning until another was read
    FirstShard,
}

/// A drive that reads shards badly, and well if asked again.
#[derive(Clone)]
pub struct Flaky {
    inner: Arc<dyn Drive>,
    fault: Fault,
    read: Arc<Mutex<BTreeSet<(String, u64)>>>,
}

impl Flaky {
    /// Over a drive.
    pub fn over(inner: Arc<dyn Drive>, fault: Fault) -> Arc<dyn Drive> {
        Arc::new(Self { inner, fault, read: Arc::default() })
    }
}

impl Flaky {
    fn error(&self, path: &str) -> DriveError {
        let source = std::io::Error::from_raw_os_error(5);
        DriveError { drive: self.inner.name().into(), action: "read", path: path.into(), source }
    }

    /// Is it the only shard that was read so far?
    fn is_alone(&self, path: &str) -> bool {
        let mut read = self.read.lock().unwrap();
        read.insert((path.to_owned(), 0));
        read.len() == 1
    }
}

impl Proxy for Flaky {
    fn below(&self) -> &dyn Drive {
        &*self.inner
    }

    fn read_file(&self, mut reading: FileRead) -> Result<usize, DriveError> {
        let FileRead { path, offset, .. } = reading;
        let is_shard = path.contains("/shards/");
        if self.fault == Fault::FirstShard && (is_shard || reading.again) {
            if self.is_alone(path) && offset == 0 {
                return Err(self.error(path));
            }
            reading.again = true;
        }
        if !is_shard || reading.again {
            return reading.run();
        }
        if let Fault::Spoils(bytes) = self.fault {
            let start = offset.saturating_sub(bytes);
            let end = (offset + reading.buf.len() as u64 + bytes).min(reading.file.len());
            reading.file.read_at(start, &mut vec![0; (end - start) as usize])?;
            return reading.run();
        }
        let is_first = self.read.lock().unwrap().insert((path.to_owned(), offset));
        if is_first && self.fault == Fault::FirstFails {
            return Err(self.error(path));
        }
        let read = reading.run()?;
        reading.buf[read / 2] ^= u8::from(is_first);
        Ok(read)
    }
}

/// A drive that does so many calls more, on all drives that share the count; then it is as if the
/// program had been killed: what is being written over is torn, and nothing more is done.
#[derive(Clone)]
pub struct Crashing {
    inner: Arc<dyn Drive>,
    left: Arc<AtomicI64>,
}

impl Crashing {
    /// Over a drive.
    pub fn over(inner: Arc<dyn Drive>, left: Arc<AtomicI64>) -> Arc<dyn Drive> {
        Arc::new(Self { inner, left })
    }

    fn step(&self, path: &str) -> Result<(), DriveError> {
        if self.left.fetch_sub(1, Ordering::SeqCst) > 0 {
            return Ok(());
        }
        let source = std::io::Error::other("the program was killed");
        Err(DriveError {
            drive: self.inner.name().into(),
            action: "use",
            path: path.into(),
            source,
        })
    }
}

impl Proxy for Crashing {
    fn below(&self) -> &dyn Drive {
        &*self.inner
    }

    fn call(
        &self,
        call: &Call,
        run: &mut dyn FnMut() -> Result<(), DriveError>,
    ) -> Result<(), DriveError> {
        match call.kind {
            CallKind::Room => return run(),
            CallKind::Rewrite(pieces) if self.left.load(Ordering::SeqCst) == 1 => {
                let torn: Vec<(u64, &[u8])> =
                    pieces.iter().map(|(at, piece)| (*at, &piece[..piece.len() / 3])).collect();
                self.inner.rewrite(call.path, &torn)?;
                self.left.store(0, Ordering::SeqCst);
            }
            _ => {}
        }
        self.step(call.path)?;
        run()
    }

    fn read_file(&self, mut reading: FileRead) -> Result<usize, DriveError> {
        self.step("")?;
        reading.run()
    }
}
