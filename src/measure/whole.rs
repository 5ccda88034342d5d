//! The whole of packing, checking and decoding, memory to memory, as the program does it.
//!
//! The source should lie in the page cache; drives are in memory, so what limits is the CPU.

use super::null::NullDrive;
use crate::dataset::{Filter, FilterError, ScanError, ScanOptions, ScannedEntry, Source, scan};
use crate::drives::{Drive, MemoryDrive, ReadMode};
use crate::entropy::{Entropy, System};
use crate::format::Suite;
use crate::format::entry::entry_len;
use crate::format::ids::{RunId, SetNumber, ShipmentId};
use crate::host::{FrozenList, FrozenWriter, HostError};
use crate::keys::RunKey;
use crate::memory::Memory;
use crate::monitor::{Monitor, Recording};
use crate::packer::{self, Begin, Checkpoint, PackError, SetDrive, SetJob};
use crate::plan::room::{DriveRoom, Geometry, Need, RoomError, plan};
use crate::plan::survive::Survive;
use crate::restorer::{self, OpenSet, RestoreError};
use crate::sets::check::check_drive;
use crate::sets::{Book, FoundSet, open};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

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
    Host(#[from] HostError),
    /// The plan.
    #[error(transparent)]
    Room(#[from] RoomError),
    /// Packing.
    #[error(transparent)]
    Pack(#[from] PackError),
    /// Decoding.
    #[error(transparent)]
    Restore(#[from] RestoreError),
    /// The source.
    #[error(transparent)]
    Source(#[from] crate::dataset::SourceError),
}

/// The first entries of a source, up to some bytes.
pub struct Part {
    /// as the scan gave them
    pub entries: Vec<ScannedEntry>,
    /// bytes of their files
    pub bytes: u64,
    /// seconds that the scan took
    pub seconds: f64,
}

/// The scan has given enough.
#[derive(Debug, thiserror::Error)]
#[error("that is enough")]
struct Enough;

/// The most entries of a part.
const MOST_ENTRIES: usize = 200_000;

/// Scans until there are so many bytes.
pub fn part(source: &Path, bytes: u64, monitor: &dyn Monitor) -> Result<Part, WholeError> {
    let options = ScanOptions { filter: Filter::new(&[])?, one_file_system: false };
    let mut part = Part { entries: Vec::new(), bytes: 0, seconds: 0.0 };
    let began = Instant::now();
    let scanned = scan(source, &options, monitor, &mut |scanned| {
        part.bytes += scanned.entry.size;
        part.entries.push(scanned);
        let enough = part.bytes >= bytes || part.entries.len() >= MOST_ENTRIES;
        if enough { Err(ScanError::sink(Enough)) } else { Ok(()) }
    });
    part.seconds = began.elapsed().as_secs_f64();
    match scanned {
        Err(_) if part.bytes >= bytes || part.entries.len() >= MOST_ENTRIES => {}
        other => drop(other?),
    }
    Ok(part)
}

/// Freezes a part's list in a file.
pub fn freeze(part: &Part, path: &Path) -> Result<FrozenList, WholeError> {
    let mut writer = FrozenWriter::create(path)?;
    part.entries.iter().try_for_each(|entry| writer.push(entry))?;
    Ok(writer.finish()?)
}

/// How to pack.
#[derive(Clone, Copy, Debug)]
pub struct How {
    /// drives, each in a case of its own
    pub drives: u16,
    /// the rule
    pub survive: Survive,
    /// of zstd
    pub level: i32,
    /// the cipher
    pub suite: Suite,
}

/// Drives that hold a packed set.
pub struct PackedSet {
    /// by slot from 1
    pub drives: Vec<Arc<dyn Drive>>,
    key: RunKey,
    /// plain bytes of files a second
    pub speed: f64,
    /// bytes of shards on all drives
    pub shard_bytes: u64,
}

fn key() -> RunKey {
    RunKey::new([1; 32], ShipmentId(1), SetNumber(1), RunId(1))
}

/// Packs a part; onto drives that forget, or that keep it all in memory.
pub fn pack(
    source: &Path,
    part: &Part,
    list: &FrozenList,
    how: How,
    keep: bool,
) -> Result<PackedSet, WholeError> {
    let room =
        |i: u16| DriveRoom { slot: i + 1, case: i.into(), free_bytes: 1 << 50, unit_bytes: 4096 };
    let rooms: Vec<_> = (0..how.drives).map(room).collect();
    let entry_bytes = part.entries.iter().map(|e| entry_len(&e.entry) as u64).sum();
    let need = Need { data_bytes: part.bytes, entries: part.entries.len() as u64, entry_bytes };
    let memory = Memory::default().for_shards();
    let geometry = Geometry::for_drives(how.drives.into(), how.survive, memory)?;
    let plan = plan(&rooms, how.survive, geometry, &need)?;
    let drive = |i: u16| -> Arc<dyn Drive> {
        let name = format!("memory {}", i + 1);
        if keep {
            Arc::new(MemoryDrive::new(name, 1 << 50))
        } else {
            Arc::new(NullDrive::new(name))
        }
    };
    let drives: Vec<Arc<dyn Drive>> = (0..how.drives).map(drive).collect();
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
        level: how.level,
        checkpoint: Checkpoint::default(),
        name: String::new(),
        contact: String::new(),
        begin: Begin::default(),
        journal: &|_| Ok(()),
        entropy: &System as &dyn Entropy,
    };
    let opened = Source::open(source)?;
    let began = Instant::now();
    let packed = packer::pack(&job, list, &opened, &Recording::default())?;
    let speed = part.bytes as f64 / began.elapsed().as_secs_f64();
    let shard_bytes = packed.drive_bytes.iter().sum();
    Ok(PackedSet { drives, key, speed, shard_bytes })
}

impl PackedSet {
    fn found(&self, lost: usize) -> Option<(FoundSet, Book)> {
        let told = Recording::default();
        let set = open::find(&self.drives[lost..], &told).into_iter().next()?;
        let book = Book::open(&set, None, &told);
        Some((set, book))
    }

    /// Plain bytes of files a second that are decoded, to nowhere, with so many drives lost.
    pub fn decode(&self, part: &Part, lost: usize) -> Result<f64, WholeError> {
        let Some((set, book)) = self.found(lost) else { return Ok(0.0) };
        let keys = BTreeMap::from([(RunId(1), self.key.clone())]);
        let open = OpenSet { set: &set, book: &book, keys: &keys };
        let began = Instant::now();
        let told = Recording::default();
        restorer::decode(&open, &told)?;
        debug_assert_eq!(told.problems(), []);
        Ok(part.bytes as f64 / began.elapsed().as_secs_f64())
    }

    /// Bytes of shards a second that are checked without a key, drive after drive on threads of
    /// their own.
    pub fn verify(&self) -> f64 {
        let Some((set, book)) = self.found(0) else { return 0.0 };
        let began = Instant::now();
        crate::drives::on_each(set.drives.len(), |i| {
            let told = Recording::default();
            check_drive(&set.drives[i], &set.folder, &book, ReadMode::Medium, &told, &|_| ())
        });
        self.shard_bytes as f64 / began.elapsed().as_secs_f64()
    }
}
