//! `bench`: how fast this machine and these drives are, and how long a shipment will take.

use crate::drives::{DriveError, LocalDrive, UnusableDrive};
use crate::entropy::{Entropy, System};
use crate::format::Suite;
use crate::format::shown::error_chain;
use crate::measure::devices::{self, ASSUMED_DRIVE, DriveRate, DriveSpeed};
use crate::measure::figures::Figures;
use crate::measure::predict::{self, LevelRate, Prediction, Shipment};
use crate::measure::whole::{self, PackSetup, PackedSet, SourcePart, WholeError};
use crate::monitor::{Monitor, Phase};
use crate::plan::survive::{Survive, parity_needed};
use serde::Serialize;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Levels of zstd that are measured.
const LEVELS: [i32; 4] = [1, 3, 9, 15];
/// The level that packing has if nothing is said.
const USUAL_LEVEL: i32 = 3;
/// Bytes of a source that it is measured with.
const PART_BYTES: u64 = 512 << 20;
/// The same for higher levels, which take so much longer that little else matters.
const HIGH_LEVEL_BYTES: u64 = 64 << 20;
/// How long each measurement is repeated, at least once: small samples say little at one look.
const LEAST_TIME: Duration = Duration::from_secs(1);

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
    Unusable(#[from] UnusableDrive),
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
    #[error("stopped as asked: nothing was measured to its end")]
    Stopped,
}

#[derive(Serialize)]
pub struct Bench {
    pub cores: usize,
    /// bytes of the sample
    pub sample_bytes: u64,
    /// entries per second of the scan
    #[serde(rename = "entries_per_second")]
    pub entries: f64,
    /// packing, by level
    pub packing: Vec<LevelRate>,
    /// bytes of shards per second
    #[serde(rename = "verify_bytes_per_second")]
    pub verify: f64,
    /// uncompressed bytes per second
    #[serde(rename = "decode_bytes_per_second")]
    pub decode: f64,
    /// each alone
    pub drives: Vec<DriveRate>,
    /// all at once
    #[serde(rename = "at_once")]
    pub together: Option<DriveSpeed>,
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
    pub drive: DriveSpeed,
    /// by level
    pub predictions: Vec<Prediction>,
    /// the level to be chosen
    pub best: Option<Prediction>,
}

pub fn bench(job: &BenchJob, monitor: &dyn Monitor) -> Result<Bench, BenchError> {
    if let Some(path) = job.drives.iter().find(|path| devices::is_taken(path)) {
        return Err(BenchError::Taken { path: path.clone() });
    }
    for path in &job.drives {
        let drive = LocalDrive::open(path).and_then(|drive| drive.check_writable(&[]));
        drive.map_err(UnusableDrive::at(path))?;
    }
    let rule = stripe_rule(&job.wanted)?;
    let measured = measure(job, rule, monitor);
    // What a stopped measurement gives is worth nothing, be it a rate or an error.
    let bench = if monitor.should_stop() { Err(BenchError::Stopped) } else { measured }?;
    keep(&bench, monitor);
    Ok(bench)
}

/// Keeps the figures for `plan`. That they cannot be kept is no failure of what was measured.
fn keep(bench: &Bench, monitor: &dyn Monitor) {
    let usual = bench.packing.iter().find(|level| level.level == USUAL_LEVEL);
    let Some(packing) = usual.copied() else { return };
    let (verify, decode) = (bench.verify, bench.decode);
    let drive = bench.together.is_some().then_some(bench.drive);
    let figures = Figures { time: System.now(), packing, verify, decode, drive, drive_time: None };
    if let Err(e) = figures.keep() {
        monitor.note(&format!("the figures are not kept for plan: {}", error_chain(&e)));
    }
}

fn measure(job: &BenchJob, rule: StripeRule, monitor: &dyn Monitor) -> Result<Bench, BenchError> {
    monitor.phase(Phase::Scan, 0);
    let part = whole::part(&job.source, PART_BYTES, monitor)?;
    // How often each way is tried in its time nobody knows before.
    monitor.phase(Phase::Bench, 0);
    // The first pass finds cold caches, and counts for no level.
    pack(job, &part, USUAL_LEVEL, false, monitor)?;
    let packing = packing(job, &part, monitor)?;
    if packing.iter().all(|level| level.ratio == 0.0) {
        return Err(BenchError::Empty { path: job.source.clone() });
    }
    let kept = pack(job, &part, USUAL_LEVEL, true, monitor)?;
    let verify = best_of(monitor, || Ok(kept.verify(monitor)))?;
    let decode = best_of(monitor, || Ok(kept.decode(&part, 0, monitor)?))?;
    let (drives, together) = match job.drives.len() {
        0 => (Vec::new(), None),
        count => {
            monitor.phase(Phase::Bench, devices::moved_bytes(count, job.drive_bytes));
            devices::measure(&job.drives, job.drive_bytes, monitor)
                .map(|(drives, together)| (drives, Some(together)))?
        }
    };
    let drive = together.map_or(ASSUMED_DRIVE, |together| {
        let count = drives.len() as f64;
        DriveSpeed { write: together.write / count, read: together.read / count }
    });
    let StripeRule { survive, k, m } = rule;
    let shipment = Shipment {
        bytes: job.wanted.bytes as f64,
        drives: job.wanted.drives,
        ports: job.wanted.ports,
        k,
        m,
        along: survive.members(),
    };
    let predictions: Vec<Prediction> =
        packing.iter().map(|level| predict::predict(&shipment, level, &drive)).collect();
    Ok(Bench {
        cores: rayon::current_num_threads(),
        sample_bytes: part.bytes,
        entries: part.scanned as f64 / part.seconds.max(1e-9),
        packing,
        verify,
        decode,
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

/// The rule of a shipment, and the shards of a stripe under it.
#[derive(Clone, Copy)]
struct StripeRule {
    survive: Survive,
    k: u32,
    m: u32,
}

/// The rule, and the stripes of a round in which every case has its part of the ports.
fn stripe_rule(wanted: &Wanted) -> Result<StripeRule, BenchError> {
    let at_once = wanted.ports.min(wanted.drives).max(1);
    let cases = wanted.cases.clamp(1, at_once);
    let per_case: Vec<usize> =
        (0..cases).map(|case| ((at_once + cases - 1 - case) / cases) as usize).collect();
    let survive = wanted.survive.unwrap_or_else(|| Survive::default_for(&per_case));
    let m = parity_needed(&per_case, survive) as u32;
    if m >= at_once || at_once > 255 {
        return Err(BenchError::Rule { drives: at_once, cases, survive });
    }
    Ok(StripeRule { survive, k: at_once - m, m })
}

/// The best of what a way reaches, repeated for [`LEAST_TIME`].
fn best_of(
    monitor: &dyn Monitor,
    mut speed: impl FnMut() -> Result<f64, BenchError>,
) -> Result<f64, BenchError> {
    let (began, mut best) = (Instant::now(), speed()?);
    while began.elapsed() < LEAST_TIME && !monitor.should_stop() {
        best = best.max(speed()?);
    }
    Ok(best)
}

/// Packing onto drives that forget, at each level.
fn packing(
    job: &BenchJob,
    part: &SourcePart,
    monitor: &dyn Monitor,
) -> Result<Vec<LevelRate>, BenchError> {
    let small = part.thinned(HIGH_LEVEL_BYTES);
    let rate = |level: i32| {
        let part = if level > USUAL_LEVEL { &small } else { part };
        let mut stored_bytes = 0;
        let speed = best_of(monitor, || {
            let packed = pack(job, part, level, false, monitor)?;
            monitor.advance(part.bytes);
            stored_bytes = packed.stored_bytes;
            Ok(packed.speed)
        })?;
        let ratio = stored_bytes as f64 / part.bytes.max(1) as f64;
        Ok(LevelRate { level, speed, ratio })
    };
    LEVELS.into_iter().map(rate).collect()
}

/// Packs a part onto four drives in memory.
fn pack(
    job: &BenchJob,
    part: &SourcePart,
    level: i32,
    keep: bool,
    monitor: &dyn Monitor,
) -> Result<PackedSet, BenchError> {
    let survive = Survive { cases: 1, drives: 0, blocks: 0 };
    let setup = PackSetup { drives: 4, survive, level, suite: Suite::ChaCha20 };
    let list = whole::write_snapshot(part, &job.work.join("list"))?;
    let packed = whole::pack(&job.source, part, &list, setup, keep, monitor);
    list.remove().map_err(WholeError::from)?;
    Ok(packed?)
}
