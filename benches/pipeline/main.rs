//! The whole of packing, checking, decoding and reconstructing, memory to memory, against the sum of
//! what the same steps cost alone on all cores in the same run (the roofline).
//!
//! The source lies in /dev/shm, the drives in memory, so that reading is copying, which is a stage, too;
//! then the drives are folders in /dev/shm, so that writing is one.
//! Printed: what each stage does, the share of the roofline that each way reaches (the middle one of
//! five runs, and the range), and how much faster all cores are than one, for the stages and for the
//! whole.

use holdall::testing::dataset::Source;
use holdall::testing::drives::{Drive, LocalDrive};
use holdall::testing::format::Suite;
use holdall::testing::measure::sample::SampleData;
use holdall::testing::measure::whole::{self, PackSetup, PackedSet, SourcePart};
use holdall::testing::monitor::Recording;
use holdall::testing::plan::survive::Survive;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

mod stages;
use stages::{Compression, GB, Rate};

/// Bytes of a source: noise goes so fast that less would measure how buffers are first touched.
const NOISE_BYTES: usize = 3 << 30;
const TABLE_BYTES: usize = 1 << 30;
const RUNS: usize = 5;
/// Set in the process that measures one core alone.
const ALONE: &str = "HOLDALL_BENCH_ALONE";

/// Drives that are new folders in memory.
fn folders(root: &Path, count: u16) -> Vec<Arc<dyn Drive>> {
    let _ = fs::remove_dir_all(root.join("drives"));
    let folder = |number: u16| root.join("drives").join(number.to_string());
    let drive = |number| LocalDrive::make(&folder(number)).expect("/dev/shm can be written");
    (0..count).map(|number| Arc::new(drive(number)) as Arc<dyn Drive>).collect()
}

/// A source of one kind in a folder, and its sample.
struct Kind {
    name: &'static str,
    folder: PathBuf,
    part: SourcePart,
    sample: SampleData,
}

fn kind(root: &Path, name: &'static str, sample: &SampleData, bytes: usize) -> Kind {
    let folder = root.join(name);
    fs::create_dir_all(&folder).expect("/dev/shm can be written");
    let mut file = fs::File::create(folder.join("file")).expect("it can be made");
    for number in 0..bytes / (1 << 20) {
        // Each chunk is another, or it would be packed once.
        let mut chunk = sample.chunks[number % sample.chunks.len()].clone();
        chunk[..8].copy_from_slice(&(number as u64).to_le_bytes());
        file.write_all(&chunk).expect("there is room in /dev/shm");
    }
    drop(file);
    let part = whole::part(&folder, bytes as u64, &Recording::default()).expect("it is there");
    Kind { name, folder, part, sample: SampleData { chunks: sample.chunks.clone() } }
}

/// Bytes a second that stages one after the other allow on all cores.
fn roofline(parts: &[(&Rate, f64)]) -> f64 {
    1.0 / parts.iter().map(|(rate, share)| share / rate.all_cores).sum::<f64>()
}

fn middle(mut of: Vec<f64>) -> (f64, f64, f64) {
    of.sort_by(f64::total_cmp);
    (of[of.len() / 2], of[0], of[of.len() - 1])
}

fn print(name: &str, roofline: f64, speeds: Vec<f64>) {
    let (speed, least, most) = middle(speeds);
    println!(
        "  {name:<34} {:>6.2} GB/s  {:>3.0} % of {:.2} ({:.0} to {:.0} %)",
        speed / GB,
        speed / roofline * 100.0,
        roofline / GB,
        least / roofline * 100.0,
        most / roofline * 100.0
    );
}

fn show(name: &str, rate: &Rate) {
    println!(
        "  {name:<34} {:>6.2} GB/s  {:.3} core-s/GB, all cores {:.2} GB/s",
        rate.one_core / GB,
        rate.core_seconds(),
        rate.all_cores / GB
    );
}

struct Stages {
    hash: Rate,
    seal: Rate,
    open: Rate,
    block_hashes: Rate,
    reconstruct: Rate,
}

impl Stages {
    fn of(suite: Suite, sample: &SampleData) -> Self {
        Self {
            hash: stages::hash(sample),
            seal: stages::seal(suite, 3, 1),
            open: stages::open(suite),
            block_hashes: stages::block_hashes(),
            reconstruct: stages::reconstruct(3, 1),
        }
    }
}

fn measure(root: &Path, kind: &Kind, level: i32, suite: Suite) {
    let told = &Recording::default();
    let stages = Stages::of(suite, &kind.sample);
    let source = Source::open(&kind.folder).expect("it is there");
    let (read, write) = (stages::read(&source, &kind.part), stages::write(root));
    let c: Compression = stages::compress(&kind.sample, level).expect("zstd works");
    println!("{}, zstd {level}, stored at {:.0} %, {}", kind.name, c.ratio * 100.0, suite.word());
    show("hash", &stages.hash);
    show("seal, block hashes, parity 3+1", &stages.seal);
    show("open", &stages.open);
    show("block hashes", &stages.block_hashes);
    show("reconstruct", &stages.reconstruct);
    show("read", &read);
    show("write", &write);
    show("probe and compress", &c.rate);
    let list = whole::write_snapshot(&kind.part, &root.join("list")).expect("there is room");
    let survive = Survive { cases: 1, drives: 0, blocks: 0 };
    let how = PackSetup { drives: 4, survive, level, suite };
    let pack =
        |keep| whole::pack(&kind.folder, &kind.part, &list, how, keep, told).expect("it packs");
    let mut packing =
        vec![(&read, 1.0), (&stages.hash, 1.0), (&c.rate, 1.0), (&stages.seal, c.ratio)];
    print("pack 3+1", roofline(&packing), (0..RUNS).map(|_| pack(false).speed).collect());
    let pack_files = || -> PackedSet {
        let drives = folders(root, how.drives);
        whole::pack_onto(drives, &kind.folder, &kind.part, &list, how, told).expect("it packs")
    };
    packing.push((&write, c.ratio * 4.0 / 3.0));
    let onto_files: Vec<PackedSet> = (0..RUNS).map(|_| pack_files()).collect();
    print("pack 3+1 onto files", roofline(&packing), onto_files.iter().map(|p| p.speed).collect());
    if std::env::var_os(ALONE).is_some() {
        return;
    }
    let files = onto_files.last().expect("it was packed");
    let checking = [(&read, 1.0), (&stages.block_hashes, 1.0)];
    let speeds = (0..RUNS).map(|_| files.verify(told)).collect();
    print("verify, of shards in files", roofline(&checking), speeds);
    let _ = fs::remove_dir_all(root.join("drives"));
    let kept = pack(true);
    let speeds: Vec<f64> = (0..RUNS).map(|_| kept.verify(told)).collect();
    print("verify, of shards", roofline(&checking), speeds.clone());
    print("the same against BLAKE3 alone", stages.block_hashes.all_cores, speeds);
    let decoding = vec![
        (&read, c.ratio),
        (&stages.block_hashes, c.ratio),
        (&stages.open, c.ratio),
        (&c.back, 1.0),
        (&stages.hash, 1.0),
    ];
    let decode = |lost| {
        (0..RUNS).map(|_| kept.decode(&kind.part, lost, told).expect("it decodes")).collect()
    };
    print("decode", roofline(&decoding), decode(0));
    // A quarter of the stripes lacks parity only; of the others a third is reconstructed, and parity read.
    let mut reconstructing = decoding;
    reconstructing.push((&stages.reconstruct, c.ratio * 0.75));
    reconstructing.push((&stages.block_hashes, c.ratio * 0.25));
    print("decode with one of four lost", roofline(&reconstructing), decode(1));
    list.remove().expect("it is ours");
}

fn main() {
    let root = Path::new("/dev/shm").join(format!("holdall-bench-{}", std::process::id()));
    let noise = kind(&root, "noise", &SampleData::noise(), NOISE_BYTES);
    let cores = rayon::current_num_threads();
    println!("{cores} cores");
    measure(&root, &noise, 3, Suite::ChaCha20);
    if std::env::var_os(ALONE).is_none() {
        let table = kind(&root, "table", &SampleData::table(), TABLE_BYTES);
        measure(&root, &table, 1, Suite::ChaCha20);
        measure(&root, &table, 3, Suite::ChaCha20);
        measure(&root, &noise, 3, Suite::Aes256);
        // Ours, and in memory.
        let _ = fs::remove_dir_all(&root);
        println!("the same on one core:");
        let me = std::env::current_exe().expect("this program is a file");
        let alone = Command::new(me).env(ALONE, "1").env("RAYON_NUM_THREADS", "1").status();
        assert!(alone.expect("it runs").success());
    }
    let _ = fs::remove_dir_all(&root);
}
