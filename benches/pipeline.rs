//! The whole of `pack` and `restore`, memory to memory, against the sum of what the same steps
//! cost alone on one core in the same run (the roofline).
//!
//! The source and the destination lie in /dev/shm, the drives in memory that has been touched
//! before, so that no page is new to the machine. Printed: core-seconds per GB of each primitive,
//! their sum, and the share of the roofline that the pipeline reaches.
#![allow(missing_docs)]

use holdall::dataset::work::{Cutter, Worker};
use holdall::dataset::{Filter, ScanOptions, ScannedEntry, Source, scan};
use holdall::drives::{Drive, DriveError, DriveFile, Level, MemoryDrive, ReadMode, Room};
use holdall::entropy::{Entropy, System};
use holdall::format::Suite;
use holdall::format::ids::{RunId, SetNumber, ShipmentId, StripeId, StripeNumber};
use holdall::host::{FrozenList, FrozenWriter};
use holdall::keys::RunKey;
use holdall::keys::run::StripeShape;
use holdall::monitor::Recording;
use holdall::packer::{self, Begin, Checkpoint, SetDrive, SetJob};
use holdall::plan::room::{DriveRoom, Geometry, Need, plan};
use holdall::plan::survive::Survive;
use holdall::stages::hash::block_hash;
use holdall::stages::parity::Code;
use holdall::stages::seal::{Payload, seal_stripe};
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

const GB: f64 = 1e9;
const BYTES: usize = 1 << 30;

/// Takes writes and keeps nothing but the small files.
struct NullDrive(MemoryDrive);

impl Drive for NullDrive {
    fn name(&self) -> &str {
        self.0.name()
    }
    fn room(&self) -> Result<Room, DriveError> {
        self.0.room()
    }
    fn make_folder(&self, path: &str) -> Result<(), DriveError> {
        self.0.make_folder(path)
    }
    fn list(&self, path: &str) -> Result<Vec<String>, DriveError> {
        self.0.list(path)
    }
    fn write(&self, _: &str, bytes: &[u8]) -> Result<(), DriveError> {
        black_box(bytes);
        Ok(())
    }
    fn sync(&self) -> Result<(), DriveError> {
        Ok(())
    }
    fn commit(&self, path: &str, bytes: &[u8]) -> Result<(), DriveError> {
        self.0.commit(path, bytes)
    }
    fn replace(&self, path: &str, bytes: &[u8]) -> Result<(), DriveError> {
        self.0.replace(path, bytes)
    }
    fn rewrite(&self, path: &str, pieces: &[(u64, &[u8])]) -> Result<(), DriveError> {
        self.0.rewrite(path, pieces)
    }
    fn remove_folder(&self, path: &str) -> Result<(), DriveError> {
        self.0.remove_folder(path)
    }
    fn remove(&self, path: &str) -> Result<(), DriveError> {
        Drive::remove(&self.0, path)
    }
    fn open(&self, path: &str, mode: ReadMode) -> Result<Box<dyn DriveFile>, DriveError> {
        self.0.open(path, mode)
    }
    fn level(&self) -> Level {
        self.0.level()
    }
}

/// Core-seconds per GB of plain bytes.
fn cost(bytes: usize, mut job: impl FnMut()) -> f64 {
    let best = (0..3)
        .map(|_| {
            let began = Instant::now();
            job();
            began.elapsed().as_secs_f64()
        })
        .fold(f64::MAX, f64::min);
    best / (bytes as f64 / GB)
}

fn entries(source: &Path) -> Vec<ScannedEntry> {
    let options =
        ScanOptions { filter: Filter::new(&[]).expect("no pattern"), one_file_system: false };
    let mut out = Vec::new();
    scan(source, &options, &Recording::default(), &mut |e| {
        out.push(e);
        Ok(())
    })
    .expect("the source is there");
    out
}

/// What read, hash and probe cost on one thread: the hot task as it is.
fn reading(source: &Path, geometry: Geometry, list: &[ScannedEntry]) -> f64 {
    let opened = Source::open(source).expect("the source is there");
    let worker = Worker::new(&opened, geometry.chunk_bytes, 3, 4);
    cost(BYTES, || {
        let items = list.iter().cloned().map(Ok::<_, std::convert::Infallible>);
        let mut cutter = Cutter::new(items, &opened, geometry.chunk_bytes, 1 << 16);
        while let Ok(Some(work)) = cutter.next_work() {
            black_box(worker.work(work, false));
        }
    })
}

/// What seal, block hashes and parity cost on one thread, hot in cache.
fn sealing(suite: Suite, geometry: Geometry, k: usize, m: usize) -> f64 {
    let plain = vec![7; 1 << 20];
    let key = RunKey::new([1; 32], ShipmentId(1), SetNumber(1), RunId(1));
    let id = StripeId { run: RunId(1), number: StripeNumber(0) };
    let blocks = geometry.blocks;
    let code = Code::new(k, m).expect("a small code");
    let shape = StripeShape { id, suite, k: k as u8, m: m as u8, blocks };
    let salts = vec![[0; 32]; k];
    let payload = Payload::new(std::iter::repeat_n(&plain[..], 15), Vec::new());
    let payloads = vec![payload; k];
    let mut buffer = vec![0; (k + m) * blocks.file_bytes()];
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("one thread");
    pool.install(|| {
        cost(k * blocks.file_bytes(), || {
            black_box(seal_stripe(&key, &shape, &salts, &payloads, &code, &mut buffer, Vec::new()));
        })
    })
}

fn blake3_alone() -> f64 {
    let block = vec![9; 256 << 10];
    cost(BYTES, || {
        for number in 0..BYTES / block.len() {
            black_box(block_hash(&block, number % 64, 64));
        }
    })
}

fn pack_once(suite: Suite, source: &Path, list: &FrozenList, geometry: Geometry) -> f64 {
    let room =
        |i: u16| DriveRoom { slot: i + 1, case: i.into(), free_bytes: 1 << 40, unit_bytes: 4096 };
    let rooms: Vec<_> = (0..4).map(room).collect();
    let need = Need { data_bytes: BYTES as u64, entries: 2, entry_bytes: 200 };
    let survive = Survive { cases: 1, drives: 0, blocks: 0 };
    let plan = plan(&rooms, survive, geometry, &need).expect("there is room");
    let drive = |i: usize| SetDrive {
        drive: Arc::new(NullDrive(MemoryDrive::new(format!("memory {i}"), 1 << 40)))
            as Arc<dyn Drive>,
        case: format!("{i}"),
    };
    let key = RunKey::new([1; 32], ShipmentId(1), SetNumber(1), RunId(1));
    let job = SetJob {
        shipment: ShipmentId(1),
        set: SetNumber(1),
        run: RunId(1),
        key: &key,
        key_file: vec![0; 100],
        plan: &plan,
        drives: (0..4).map(drive).collect(),
        suite,
        level: 3,
        checkpoint: Checkpoint::default(),
        name: String::new(),
        contact: String::new(),
        begin: Begin::default(),
        journal: &|_| Ok(()),
        entropy: &System as &dyn Entropy,
    };
    let opened = Source::open(source).expect("the source is there");
    let began = Instant::now();
    packer::pack(&job, list, &opened, &Recording::default()).expect("null drives do not fail");
    began.elapsed().as_secs_f64()
}

fn main() {
    let folder = Path::new("/dev/shm").join(format!("holdall-bench-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("/dev/shm can be written");
    let mut bytes = vec![0; BYTES];
    blake3::Hasher::new().finalize_xof().fill(&mut bytes);
    std::fs::write(folder.join("noise"), &bytes).expect("there is room in /dev/shm");
    drop(bytes);
    let list = entries(&folder);
    let mut writer = FrozenWriter::create(&folder.with_extension("list")).expect("it can be made");
    list.iter().for_each(|entry| writer.push(entry).expect("there is room"));
    let frozen = writer.finish().expect("there is room");
    let geometry = Geometry::for_drives(4, Survive::NONE);
    let cores = rayon::current_num_threads() as f64;
    println!("pack, incompressible, 3+1, {cores} cores, {BYTES} bytes");
    let (read, hash) = (reading(&folder, geometry, &list), blake3_alone());
    println!("  read + hash + probe          {read:.3} core-s/GB");
    println!("  (BLAKE3 alone, hot           {hash:.3} core-s/GB)");
    for suite in Suite::ALL {
        println!("sealed with {suite}");
        let seal = sealing(suite, geometry, 3, 1);
        println!("  seal + block hashes + parity {seal:.3} core-s/GB");
        let roofline = cores / (read + seal);
        let mut shares: Vec<f64> = (0..5)
            .map(|_| BYTES as f64 / GB / pack_once(suite, &folder, &frozen, geometry) / roofline)
            .collect();
        shares.sort_by(f64::total_cmp);
        println!(
            "  roofline {roofline:.2} GB/s; the pipeline reaches {:.0} % of it (of 5 runs {:.0} to {:.0} %)",
            shares[2] * 100.0,
            shares[0] * 100.0,
            shares[4] * 100.0
        );
    }
    // Both are ours and lie in memory.
    let _ = std::fs::remove_dir_all(&folder);
    let _ = frozen.remove();
}
