//! The whole of packing, checking and decoding, memory to memory, as the program does it.
//!
//! The source should lie in the page cache; drives are in memory, so the bottleneck is the CPU.

use super::null::NullDrive;
use crate::check::drive::Depth;
use crate::check::set::{DriveToCheck, SetCheck};
use crate::dataset::{Filter, FilterError, ScanError, ScanOptions, ScannedEntry, Source, scan};
use crate::drives::{Drive, MemoryDrive};
use crate::entropy::{Entropy, System};
use crate::format::Suite;
use crate::format::entry_coding::entry_len;
use crate::format::ids::{RunId, SetNumber, ShipmentId};
use crate::keys::RunKey;
use crate::local_state::{LocalStateError, ScanSnapshot, SnapshotWriter};
use crate::memory::Memory;
use crate::monitor::{Monitor, Recording, Unreported};
use crate::packer::{self, Checkpoint, PackError, ResumePoint, SetDrive, SetJob};
use crate::plan::effort::Effort;
use crate::plan::geometry::{Geometry, SetSizes};
use crate::plan::room::{DriveRoom, Need, RoomError, plan};
use crate::plan::survive::Survive;
use crate::restorer::{self, OpenSet, RestoreError};
use crate::shipment::{FoundSet, RecordIndex, find};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What kept the whole from being measured.
#[derive(Debug, thiserror::Error)]
pub enum WholeError {
    /// The source cannot be walked.
    #[error(transparent)]
    Scan(#[from] ScanError),
    /// There is no pattern, so this does not come up.
    #[error(transparent)]
    Filter(#[from] FilterError),
    /// The host's disk.
    #[error(transparent)]
    LocalState(#[from] LocalStateError),
    #[error(transparent)]
    Room(#[from] RoomError),
    #[error(transparent)]
    Pack(#[from] PackError),
    #[error(transparent)]
    Restore(#[from] RestoreError),
    #[error(transparent)]
    Source(#[from] crate::dataset::SourceError),
}

/// A part of a source that is spread over all of it.
pub struct SourcePart {
    /// as the scan gave them; of large files only the beginnings
    pub entries: Vec<ScannedEntry>,
    /// bytes of their files
    pub bytes: u64,
    /// entries that were scanned for it
    pub scanned: u64,
    /// seconds that the scan took
    pub seconds: f64,
}

impl SourcePart {
    /// A part of it, of so many bytes at most.
    #[must_use]
    pub fn thinned(&self, bytes: u64) -> Self {
        let mut thinning = Thinning::default();
        let entries = self.entries.iter().cloned();
        (0..).zip(entries).for_each(|(number, scanned)| thinning.add(number, scanned, bytes));
        thinning.part(self.scanned, self.seconds)
    }
}

/// The scan has taken long enough, or should stop.
#[derive(Debug, thiserror::Error)]
#[error("that is enough")]
struct Enough;

/// The most entries of a part.
const MOST_ENTRIES: usize = 200_000;
/// The least that is taken of a large file.
const LEAST_BYTES: u64 = 1 << 20;
/// The most time that is spent on scanning.
const MOST_SCAN: Duration = Duration::from_secs(60);

/// One entry in so many, and of a file that is large enough one byte in so many.
struct Thinning {
    one_in: u64,
    /// with their numbers and sizes in the scan
    kept: Vec<(u64, u64, ScannedEntry)>,
    bytes: u64,
}

impl Default for Thinning {
    fn default() -> Self {
        Self { one_in: 1, kept: Vec::new(), bytes: 0 }
    }
}

impl Thinning {
    fn add(&mut self, number: u64, scanned: ScannedEntry, most_bytes: u64) {
        let size = scanned.entry.size;
        self.keep((number, size, scanned));
        while self.bytes > most_bytes || self.kept.len() > MOST_ENTRIES {
            self.one_in *= 2;
            self.bytes = 0;
            std::mem::take(&mut self.kept).into_iter().for_each(|entry| self.keep(entry));
        }
    }

    fn part(self, scanned: u64, seconds: f64) -> SourcePart {
        let entries = self.kept.into_iter().map(|(_, _, scanned)| scanned).collect();
        SourcePart { entries, bytes: self.bytes, scanned, seconds }
    }

    fn keep(&mut self, (number, size, mut scanned): (u64, u64, ScannedEntry)) {
        let share = size / self.one_in;
        let is_large = share >= LEAST_BYTES;
        if is_large || number.is_multiple_of(self.one_in) {
            scanned.entry.size = if is_large { share } else { size };
            self.bytes += scanned.entry.size;
            self.kept.push((number, size, scanned));
        }
    }
}

/// Scans, and takes so many bytes at most.
pub fn part(source: &Path, bytes: u64, monitor: &dyn Monitor) -> Result<SourcePart, WholeError> {
    let options = ScanOptions::new(Filter::new(&[])?);
    let mut thinning = Thinning::default();
    let (mut number, began) = (0, Instant::now());
    let is_late = || began.elapsed() >= MOST_SCAN;
    let scanned = scan(source, &options, monitor, &mut |scanned| {
        thinning.add(number, scanned, bytes);
        number += 1;
        let late = number.is_multiple_of(1024) && is_late();
        if late || monitor.should_stop() { Err(ScanError::sink(Enough)) } else { Ok(()) }
    });
    let seconds = began.elapsed().as_secs_f64();
    match scanned {
        Err(ScanError::Sink { .. }) if is_late() || monitor.should_stop() => {}
        other => drop(other?),
    }
    Ok(thinning.part(number, seconds))
}

/// Freezes a part's list in a file.
pub fn write_snapshot(part: &SourcePart, path: &Path) -> Result<ScanSnapshot, WholeError> {
    let mut writer = SnapshotWriter::create(path)?;
    part.entries.iter().try_for_each(|entry| writer.push(entry))?;
    Ok(writer.finish()?)
}

/// How a part is packed.
#[derive(Clone, Copy, Debug)]
pub struct PackSetup {
    /// drives, each in a case of its own
    pub drives: u16,
    pub survive: Survive,
    /// of zstd
    pub level: i32,
    pub suite: Suite,
}

/// Drives that hold a packed set.
pub struct PackedSet {
    /// by slot from 1
    pub drives: Vec<Arc<dyn Drive>>,
    key: RunKey,
    /// plain bytes of files per second
    pub speed: f64,
    /// bytes that the chunks were compressed to
    pub stored_bytes: u64,
    /// bytes of shards on all drives
    pub shard_bytes: u64,
}

fn key() -> RunKey {
    RunKey::new([1; 32], ShipmentId(1), SetNumber(1), RunId(1))
}

/// Packs a part; onto drives that forget, or that keep it all in memory.
pub fn pack(
    source: &Path,
    part: &SourcePart,
    list: &ScanSnapshot,
    how: PackSetup,
    keep: bool,
    monitor: &dyn Monitor,
) -> Result<PackedSet, WholeError> {
    let drive = |i: u16| -> Arc<dyn Drive> {
        let name = format!("memory {}", i + 1);
        if keep {
            Arc::new(MemoryDrive::new(name, 1 << 50))
        } else {
            Arc::new(NullDrive::new(name))
        }
    };
    pack_onto((0..how.drives).map(drive).collect(), source, part, list, how, monitor)
}

/// Packs a part onto these drives, which have room for it.
pub fn pack_onto(
    drives: Vec<Arc<dyn Drive>>,
    source: &Path,
    part: &SourcePart,
    list: &ScanSnapshot,
    how: PackSetup,
    monitor: &dyn Monitor,
) -> Result<PackedSet, WholeError> {
    let room =
        |i: u16| DriveRoom { slot: i + 1, case: i.into(), free_bytes: 1 << 50, unit_bytes: 4096 };
    let rooms: Vec<_> = (0..how.drives).map(room).collect();
    let entry_bytes = part.entries.iter().map(|e| entry_len(&e.entry) as u64).sum();
    let need = Need { data_bytes: part.bytes, entries: part.entries.len() as u64, entry_bytes };
    let memory = Memory::default().for_shards();
    let geometry = Geometry::for_set(&SetSizes {
        drives: how.drives.into(),
        survive: how.survive,
        memory,
        largest: 1 << 50,
        chunk_bytes: None,
    })
    .map_err(RoomError::from)?;
    let plan = plan(&rooms, how.survive, geometry, &need)?;
    let of_set = |(i, drive): (usize, &Arc<dyn Drive>)| SetDrive {
        drive: drive.clone(),
        case: format!("{i}"),
    };
    let key = key();
    let job = SetJob {
        queue_depth: geometry.queue_depth(how.drives.into(), how.survive, memory),
        shipment: ShipmentId(1),
        set: SetNumber(1),
        run: RunId(1),
        key: &key,
        suite: how.suite,
        key_file: vec![0; 100],
        plan: &plan,
        drives: drives.iter().enumerate().map(of_set).collect(),
        level: Effort::Level(how.level),
        checkpoint: Checkpoint::default(),
        name: String::new(),
        contact: String::new(),
        resume: ResumePoint::default(),
        journal: &|_| Ok(()),
        entropy: &System as &dyn Entropy,
    };
    let opened = Source::open_sample(source)?;
    let began = Instant::now();
    let packed = packer::pack(&job, list, &opened, &Unreported(monitor))?;
    let speed = part.bytes as f64 / began.elapsed().as_secs_f64();
    let shard_bytes = packed.drive_bytes.iter().sum();
    Ok(PackedSet { drives, key, speed, stored_bytes: packed.stored_bytes, shard_bytes })
}

impl PackedSet {
    fn found(&self, lost: usize) -> Option<(FoundSet, RecordIndex)> {
        let unheard = Recording::default();
        let set = find::find(&self.drives[lost..], &unheard).into_iter().next()?;
        let record_index = RecordIndex::open(&set, None, &unheard);
        Some((set, record_index))
    }

    /// Plain bytes of files per second that are decoded, to nowhere, with so many drives lost.
    pub fn decode(
        &self,
        part: &SourcePart,
        lost: usize,
        monitor: &dyn Monitor,
    ) -> Result<f64, WholeError> {
        let Some((set, record_index)) = self.found(lost) else { return Ok(0.0) };
        let keys = BTreeMap::from([(RunId(1), self.key.clone())]);
        let open = OpenSet { set: &set, record_index: &record_index, keys: &keys };
        let began = Instant::now();
        restorer::decode(&open, &Unreported(monitor))?;
        Ok(part.bytes as f64 / began.elapsed().as_secs_f64())
    }

    /// Bytes of shards per second that are checked without a key, drive after drive on threads of
    /// their own.
    pub fn verify(&self, monitor: &dyn Monitor) -> f64 {
        let Some((set, record_index)) = self.found(0) else { return 0.0 };
        let began = Instant::now();
        let to_check = |(number, found)| {
            let depth = Depth::all(usize::MAX);
            DriveToCheck { found, number, bytes: 0, depth }
        };
        let to_check: Vec<DriveToCheck> = set.drives.iter().enumerate().map(to_check).collect();
        let (set, record_index, monitor) = (&set, &record_index, &Unreported(monitor));
        SetCheck { set, record_index, metadata_files: None, monitor }.run(&to_check);
        self.shard_bytes as f64 / began.elapsed().as_secs_f64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOW: PackSetup = PackSetup {
        drives: 4,
        survive: Survive { cases: 1, drives: 0, blocks: 0 },
        level: 1,
        suite: Suite::ChaCha20,
    };

    /// What is read of a large file is what is taken of it: rates and ratios go by that.
    #[test]
    fn of_a_large_file_no_more_is_packed_than_is_taken() {
        let dir = tempfile::tempdir().unwrap();
        let mut noise = vec![0; 8 << 20];
        blake3::Hasher::new().finalize_xof().fill(&mut noise);
        let source = dir.path().join("source");
        std::fs::create_dir(&source).unwrap();
        std::fs::write(source.join("film"), &noise).unwrap();
        let part = part(&source, 2 << 20, &Recording::default()).unwrap();
        assert_eq!(part.bytes, 2 << 20);
        let list = write_snapshot(&part, &dir.path().join("list")).unwrap();
        let packed = pack(&source, &part, &list, HOW, true, &Recording::default()).unwrap();
        assert!(
            (2 << 20..=(2 << 20) + 4096).contains(&packed.stored_bytes),
            "{}",
            packed.stored_bytes
        );
    }

    /// Review scale 6: images must not hide the tables that come after them.
    #[test]
    fn a_part_is_spread_over_the_tree_and_takes_of_each_its_share() {
        let dir = tempfile::tempdir().unwrap();
        for number in 0..200 {
            for (folder, bytes) in [("a-images", 30_000), ("z-tables", 10_000)] {
                let path = dir.path().join(folder).join(format!("{number:03}"));
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(path, vec![1; bytes]).unwrap();
            }
        }
        let large = std::fs::File::create(dir.path().join("m-large")).unwrap();
        large.set_len(64 << 20).unwrap();
        let most = 12 << 20;
        let part = part(dir.path(), most, &Recording::default()).unwrap();
        assert!(part.bytes > most / 3 && part.bytes <= most, "{}", part.bytes);
        assert_eq!(part.scanned, 404);
        let of = |folder: &str| {
            let of = part.entries.iter().filter(|e| e.entry.path.starts_with(folder.as_bytes()));
            of.map(|e| e.entry.size).sum::<u64>()
        };
        let (images, tables, large) = (of("a-images/"), of("z-tables/"), of("m-large"));
        assert!(large >= 4 << 20, "{large} of the large file");
        assert!(
            images > 2 * tables && images < 4 * tables,
            "{images} of images, {tables} of tables"
        );
        let list = dir.path().join("list");
        let list = write_snapshot(&part, &list).unwrap();
        let packed = pack(dir.path(), &part, &list, HOW, true, &Recording::default()).unwrap();
        assert!(
            packed.decode(&part, 0, &Recording::default()).unwrap() > 0.0,
            "what is taken is packed and decoded"
        );
    }
}
