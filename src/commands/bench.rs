//! `bench`: how fast this machine and these drives are, stage by stage and as a whole, and how long a
//! shipment will take.

use crate::dataset::Source;
use crate::drives::DriveError;
use crate::format::Suite;
use crate::measure::devices::{self, DriveRate, Together};
use crate::measure::predict::{self, Prediction, Rates, Shipment};
use crate::measure::sample::Sample;
use crate::measure::stages::{self, Compression};
use crate::measure::whole::{self, How, WholeError};
use crate::measure::{GB, Rate, busy_cost};
use crate::monitor::{Monitor, Phase};
use crate::plan::survive::{Survive, parity_needed};
use serde::Serialize;
use std::io;
use std::path::PathBuf;

/// Levels of zstd that are measured.
const LEVELS: [i32; 4] = [1, 3, 9, 15];
/// The level that packing has if nothing is said.
const USUAL_LEVEL: i32 = 3;
/// Sealing, block hashes and parity with the usual cipher.
const SEAL: &str = "seal-chacha20";
/// Opening with it.
const OPEN: &str = "open-chacha20";
/// Bytes of a source that the whole is measured with.
const PART_BYTES: u64 = 512 << 20;
/// What a drive is taken to do if none was given to be measured: a USB hard disk.
const ASSUMED_DRIVE: Together = Together { write: 120e6, read: 120e6 };

pub struct BenchJob {
    /// what is to be packed
    pub source: PathBuf,
    /// an empty folder of ours for a list
    pub work: PathBuf,
    /// drives to be measured
    pub drives: Vec<PathBuf>,
    /// bytes that are written to each
    pub drive_bytes: u64,
    /// what the prediction is for
    pub wanted: Wanted,
}

/// A shipment to be predicted.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// plain bytes
    pub bytes: u64,
    /// drives in all
    pub drives: u32,
    /// drives that are attached at once
    pub ports: u32,
    /// cases that they are carried in
    pub cases: u32,
    /// the rule; none: the default
    pub survive: Option<Survive>,
}

/// Why nothing could be measured.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    #[error(transparent)]
    Whole(#[from] WholeError),
    /// The source has no bytes.
    #[error("{} has no files with bytes that could be read", path.display())]
    Empty { path: PathBuf },
    #[error(transparent)]
    Drive(#[from] DriveError),
    /// Something of this name is there already.
    #[error("{} has a folder holdall-bench, which is not this program's to remove", path.display())]
    Taken { path: PathBuf },
    /// The rule cannot be kept with so many drives at once.
    #[error("{drives} drives at once in {cases} cases cannot survive {survive}")]
    Rule {
        /// attached at once
        drives: u32,
        cases: u32,
        survive: Survive,
    },
    #[error("the system gives no memory")]
    System(#[from] io::Error),
    #[error("stopped as asked: nothing was measured to its end")]
    Stopped,
}

#[derive(Serialize)]
pub struct Stage {
    pub name: &'static str,
    /// in bytes of what it is given
    #[serde(flatten)]
    pub rate: Rate,
}

/// A whole way, memory to memory.
#[derive(Serialize)]
pub struct Whole {
    pub name: &'static str,
    /// bytes a second
    #[serde(rename = "bytes_per_second")]
    pub speed: f64,
    /// the share of what the sum of its stages would allow
    pub of_its_stages: f64,
}

impl Whole {
    fn new(name: &'static str, speed: f64, roofline: f64) -> Self {
        Self { name, speed, of_its_stages: speed / roofline }
    }
}

#[derive(Serialize)]
pub struct Bench {
    pub cores: usize,
    /// bytes of the sample
    pub sample_bytes: u64,
    /// entries a second of the scan
    #[serde(rename = "entries_per_second")]
    pub entries: f64,
    /// one after the other
    pub stages: Vec<Stage>,
    /// by level
    pub compression: Vec<Compression>,
    /// packing, checking, decoding
    pub whole: Vec<Whole>,
    /// each alone
    pub drives: Vec<DriveRate>,
    /// all at once
    #[serde(rename = "at_once")]
    pub together: Option<Together>,
    /// the rule of the prediction
    pub survive: Survive,
    /// data shards of a stripe
    pub k: u32,
    /// parity shards of a stripe
    pub m: u32,
    /// what the prediction is for
    #[serde(skip)]
    pub wanted: Wanted,
    /// what one drive is taken to do
    #[serde(skip)]
    pub drive: Together,
    /// by level
    pub predictions: Vec<Prediction>,
    /// the level to be chosen
    pub best: Option<Prediction>,
}

pub fn bench(job: &BenchJob, monitor: &dyn Monitor) -> Result<Bench, BenchError> {
    if let Some(path) = job.drives.iter().find(|path| devices::is_taken(path)) {
        return Err(BenchError::Taken { path: path.clone() });
    }
    let (survive, k, m) = stripe(&job.wanted)?;
    let measured = measure(job, (survive, k, m), monitor);
    // What a stopped measurement gives is worth nothing, be it a rate or an error.
    if monitor.should_stop() { Err(BenchError::Stopped) } else { measured }
}

fn measure(
    job: &BenchJob,
    (survive, k, m): (Survive, u32, u32),
    monitor: &dyn Monitor,
) -> Result<Bench, BenchError> {
    monitor.phase(Phase::Scan, 0);
    let part = whole::part(&job.source, PART_BYTES, monitor)?;
    // How often each stage is tried in its time nobody knows before.
    monitor.phase(Phase::Bench, 0);
    let source = Source::open(&job.source).map_err(WholeError::from)?;
    let empty = || BenchError::Empty { path: job.source.clone() };
    let sample = Sample::of(&source, &part.entries).ok_or_else(empty)?;
    let compression = LEVELS
        .iter()
        .map(|level| stages::compress(&sample, *level, monitor))
        .collect::<io::Result<Vec<_>>>()?;
    let usual = *compression.iter().find(|c| c.level == USUAL_LEVEL).unwrap_or(&compression[0]);
    let given = Given { source: &source, part: &part, sample: &sample };
    let stages = stages_of(&given, &usual, (k as usize, m as usize), monitor);
    let whole = whole_of(job, &part, &stages, &usual, monitor)?;
    let (drives, together) = match job.drives.len() {
        0 => (Vec::new(), None),
        count => {
            monitor.phase(Phase::Bench, devices::moved_bytes(count, job.drive_bytes));
            devices::measure(&job.drives, job.drive_bytes, monitor)
                .map(|(drives, together)| (drives, Some(together)))?
        }
    };
    let cores = rayon::current_num_threads();
    let drive = together.map_or(ASSUMED_DRIVE, |together| {
        let count = drives.len() as f64;
        Together { write: together.write / count, read: together.read / count }
    });
    let cost = |name: &str| {
        let stage = stages.iter().find(|stage| stage.name == name);
        stage.map_or(0.0, |stage| busy_cost(&stage.rate, cores as f64) / GB)
    };
    let rates = Rates {
        source: all_cores(&stages, "read"),
        hash_cost: cost("read") + cost("hash"),
        seal_cost: cost(SEAL),
        cores: cores as f64,
        share: whole.first().map_or(1.0, |w| w.of_its_stages).clamp(0.1, 1.0),
        write: drive.write,
        read: drive.read,
    };
    let shipment = Shipment {
        bytes: job.wanted.bytes as f64,
        drives: job.wanted.drives,
        ports: job.wanted.ports,
        k,
        m,
        along: survive.members(),
    };
    let predictions: Vec<Prediction> =
        compression.iter().map(|c| predict::predict(&shipment, &rates, c)).collect();
    Ok(Bench {
        cores,
        sample_bytes: part.bytes,
        entries: part.scanned as f64 / part.seconds.max(1e-9),
        stages,
        compression,
        whole,
        drives,
        together,
        survive,
        k,
        m,
        wanted: job.wanted,
        drive,
        best: predict::best(&predictions),
        predictions,
    })
}

/// The rule, and the stripes of a round in which every case has its part of the ports.
fn stripe(wanted: &Wanted) -> Result<(Survive, u32, u32), BenchError> {
    let at_once = wanted.ports.min(wanted.drives).max(1);
    let cases = wanted.cases.clamp(1, at_once);
    let per_case: Vec<usize> =
        (0..cases).map(|case| ((at_once + cases - 1 - case) / cases) as usize).collect();
    let survive = wanted.survive.unwrap_or_else(|| Survive::default_for(&per_case));
    let m = parity_needed(&per_case, survive) as u32;
    if m >= at_once || at_once > 255 {
        return Err(BenchError::Rule { drives: at_once, cases, survive });
    }
    Ok((survive, at_once - m, m))
}

/// What stages are measured with.
struct Given<'a> {
    source: &'a Source,
    part: &'a whole::Part,
    sample: &'a Sample,
}

fn stages_of(
    given: &Given,
    usual: &Compression,
    (k, m): (usize, usize),
    monitor: &dyn Monitor,
) -> Vec<Stage> {
    let stage = |name, rate| Stage { name, rate };
    let mut all = vec![
        stage("read", stages::read(given.source, given.part, monitor)),
        stage("hash", stages::hash(given.sample, monitor)),
        stage("probe-and-compress", usual.rate),
        stage(SEAL, stages::seal(Suite::ChaCha20, k, m, monitor)),
        stage("seal-aes256", stages::seal(Suite::Aes256, k, m, monitor)),
        stage("block-hashes", stages::block_hashes(monitor)),
        stage(OPEN, stages::open(Suite::ChaCha20, monitor)),
        stage("open-aes256", stages::open(Suite::Aes256, monitor)),
        stage("decompress", usual.back),
    ];
    if m > 0 {
        all.push(stage("parity", stages::encode(k, m, monitor)));
        all.push(stage("rebuild", stages::rebuild(k, m, monitor)));
    }
    all
}

fn all_cores(stages: &[Stage], name: &str) -> f64 {
    stages.iter().find(|stage| stage.name == name).map_or(f64::MAX, |stage| stage.rate.all_cores)
}

/// What stages one after the other allow, with a factor for the bytes that each is given.
fn roofline(stages: &[Stage], parts: &[(&str, f64)]) -> f64 {
    let seconds: f64 = parts.iter().map(|(name, share)| share / all_cores(stages, name)).sum();
    1.0 / seconds
}

/// Packing, checking and decoding on four drives in memory.
fn whole_of(
    job: &BenchJob,
    part: &whole::Part,
    stages: &[Stage],
    usual: &Compression,
    monitor: &dyn Monitor,
) -> Result<Vec<Whole>, BenchError> {
    let survive = Survive { cases: 1, drives: 0, blocks: 0 };
    let how = How { drives: 4, survive, level: USUAL_LEVEL, suite: Suite::ChaCha20 };
    let list = whole::write_snapshot(part, &job.work.join("list"))?;
    let packed = whole::pack(&job.source, part, &list, how, false, monitor)?;
    let parts = [("read", 1.0), ("hash", 1.0), ("probe-and-compress", 1.0), (SEAL, usual.ratio)];
    let packing = Whole::new("pack", packed.speed, roofline(stages, &parts));
    let kept = whole::pack(&job.source, part, &list, how, true, monitor)?;
    let checks = roofline(stages, &[("block-hashes", 1.0)]);
    let verifying = Whole::new("verify", kept.verify(monitor), checks);
    let parts =
        [("block-hashes", usual.ratio), (OPEN, usual.ratio), ("decompress", 1.0), ("hash", 1.0)];
    let decoding = Whole::new("decode", kept.decode(part, 0, monitor)?, roofline(stages, &parts));
    list.remove().map_err(WholeError::from)?;
    Ok(vec![packing, verifying, decoding])
}
