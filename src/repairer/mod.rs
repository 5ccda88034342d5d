//! Repair: the drives of a set made whole again, with no key.
//!
//! - Enters: a set as it was found, new drives for lost ones, and a root where copies disagree.
//! - Leaves: drives on which everything is as set.txt and the records say; what is left, reported.
//! - Always holds: (1) nothing is written but what matches its record, and only where the present
//!   bytes do not; (2) whole files appear under their names whole; a repair that was broken off, at
//!   any point, resumes when it is run again; (3) what is written is read back from the medium
//!   after the last write; (4) copies that are sound and differ are never chosen between without a
//!   root; (5) memory: what the job may take, and what verify remembers too, some bytes for each
//!   damaged shard; (6) of a set that is not closed, what one drive alone says is spread to no
//!   other.

pub mod closing;
mod damaged;
mod metadata_files;
pub mod onto;
pub mod origin;
pub mod quiet;
mod shards;
mod stripe;
mod target;

use crate::check::drive::{Depth, shard_bytes};
use crate::check::report::DriveReport;
use crate::check::set::{DriveToCheck, SetCheck};
use crate::drives::{self, Level, ReadMode};
use crate::format::ids::{RunId, Slot, StripeId};
use crate::format::set::SetText;
use crate::memory::Memory;
use crate::metadata_files::expected::MetadataFiles;
use crate::metadata_files::inspect::keyless;
use crate::metadata_files::key_files::{key_files, report_different};
use crate::monitor::{Monitor, Phase, Problem, ProblemKind};
use crate::shipment::{FoundSet, RecordIndex};
use damaged::{DamagedShards, damaged_shards};
use metadata_files::{MetadataRepair, REPAIR_MARK};
use onto::OntoError;
use quiet::Quiet;
use serde::Serialize;
use shards::Shards;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;
pub use target::Refused;
use target::RepairTarget;

/// A set, and what it should be.
pub struct RepairJob<'a> {
    /// the set; its new drives are among its drives
    pub set: &'a FoundSet,
    pub record_index: &'a RecordIndex,
    /// its set.txt, if it was closed
    pub text: Option<&'a SetText>,
    /// slots that are reconstructed on new drives
    pub new: Vec<Slot>,
    /// what it may take
    pub memory: Memory,
}

/// What was done to a drive.
#[derive(Clone, Debug, Serialize)]
pub struct DriveRepair {
    pub slot: Slot,
    pub case: String,
    /// its path
    #[serde(rename = "drive")]
    pub name: String,
    /// a lost drive was reconstructed on it
    pub new: bool,
    /// blocks that were rewritten in place
    pub blocks: u64,
    /// shards that were written whole
    pub shards: u64,
    /// other files that were written
    pub files: u64,
    /// shards that are not whole yet
    pub left_shards: u64,
    /// other files that are not what they should be yet
    pub left_files: u64,
    /// it refused to be written to, or vanished
    pub failed: bool,
    /// why, if it did
    #[serde(skip)]
    pub refusal: Refused,
    /// how what was written was read back; none if nothing was
    pub level: Level,
}

impl DriveRepair {
    /// Is everything on it as it should be now?
    pub fn is_whole(&self) -> bool {
        self.left_shards == 0 && self.left_files == 0 && !self.failed
    }
}

/// What was done to a set.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Repaired {
    pub drives: Vec<DriveRepair>,
    /// stripes that no drive has enough of
    pub beyond: BTreeSet<StripeId>,
    /// stripes that wait for drives that are not here
    pub waiting: BTreeSet<StripeId>,
    /// runs of which no drive has the wrapped key any more
    pub keyless: Vec<RunId>,
    /// runs of which the drives have different key files: none was written
    pub keys_differ: Vec<RunId>,
    /// shards that are not whole yet, by number of the drive
    #[serde(skip)]
    left: BTreeMap<usize, u64>,
    pub stopped: bool,
}

pub fn repair(job: &RepairJob, monitor: &dyn Monitor) -> Result<Repaired, OntoError> {
    let all = job.set.all_drives().cloned().enumerate();
    let targets: Vec<RepairTarget> =
        all.map(|(i, found)| RepairTarget::new(found, i, monitor)).collect();
    let quiet = Quiet(monitor);
    let keys = key_files(job.set, job.record_index);
    let (set, record_index, text) = (job.set, job.record_index, job.text);
    let files = MetadataFiles { set, record_index, text, keys: &keys };
    let metadata_files = MetadataRepair { files, monitor: &quiet };
    let shards = Shards {
        set: job.set,
        record_index: job.record_index,
        targets: &targets,
        memory: job.memory,
        monitor,
    };
    let reports = survey(job, &targets, &quiet);
    let mut repaired = Repaired { stopped: reports.iter().any(|r| r.stopped), ..<_>::default() };
    let damaged = damaged_shards(&reports);
    let bytes = shards.bytes(&damaged);
    check_room(job, &targets, &metadata_files, &bytes)?;
    if !repaired.stopped {
        begin_phase(monitor, Phase::Repair, &targets, &bytes);
        let each = |repair: &(dyn Fn(&RepairTarget) + Sync)| {
            drives::on_each(targets.len(), |i| repair(&targets[i]));
        };
        each(&|target| metadata_files.repair_first(target, is_new(job, target)));
        repair_shards(&shards, damaged, &mut repaired);
        each(&|target| metadata_files.repair_last(target));
    }
    finish(job, &targets, &files, &mut repaired, monitor);
    repaired.keyless = keyless(job.set, job.record_index, &keys);
    repaired.keys_differ = report_different(job.set, &keys, monitor);
    Ok(repaired)
}

fn is_new(job: &RepairJob, target: &RepairTarget) -> bool {
    job.new.contains(&target.found.label.slot)
}

/// Names the drives for progress.
fn begin_phase(monitor: &dyn Monitor, phase: Phase, targets: &[RepairTarget], bytes: &[u64]) {
    monitor.phase(phase, bytes.iter().sum());
    for (target, bytes) in targets.iter().zip(bytes).filter(|(_, bytes)| **bytes > 0) {
        let name = target.found.case_and_name();
        monitor.drive(target.number, &name, *bytes);
    }
}

/// Reads all drives at the same time.
fn survey(job: &RepairJob, targets: &[RepairTarget], monitor: &dyn Monitor) -> Vec<DriveReport> {
    let (set, record_index) = (job.set, job.record_index);
    let expected = shard_bytes(set, record_index, monitor);
    let depth = Depth::all(job.memory.for_each(targets.len()));
    let mut to_check = Vec::new();
    for target in targets {
        let bytes = expected.get(target.found.label.slot.0 as usize).copied().unwrap_or(0);
        let (found, number, depth) = (&target.found, target.number, depth.clone());
        to_check.push(DriveToCheck { found, number, bytes, depth });
    }
    monitor.phase(Phase::Verify, to_check.iter().map(|drive| drive.bytes).sum());
    let check = SetCheck { set, record_index, metadata_files: None, monitor };
    let reports = check.run(&to_check).into_iter().map(|checked| checked.report);
    let reports: Vec<DriveReport> = reports.collect();
    for (target, _) in targets.iter().zip(&reports).filter(|(_, report)| report.vanished) {
        target.leave_out();
    }
    reports
}

/// A new drive must have room for all that it gets.
fn check_room(
    job: &RepairJob,
    targets: &[RepairTarget],
    metadata_files: &MetadataRepair,
    bytes: &[u64],
) -> Result<(), OntoError> {
    let mut needed_on: BTreeMap<u64, u64> = BTreeMap::new();
    for (target, bytes) in targets.iter().zip(bytes).filter(|(t, _)| is_new(job, t)) {
        let room = target.drive().room()?;
        let units = room.unit_bytes.max(1);
        // Shards are whole blocks: what they are rounded up by is little.
        let shards = bytes + bytes / 64;
        let metadata_files = metadata_files.needed_bytes(target.found.label.slot, units);
        // Two new drives on one device share its room.
        let needed = needed_on.entry(room.device).or_default();
        *needed += shards + metadata_files;
        if *needed > room.free_bytes {
            let drive = target.drive().name().into();
            return Err(OntoError::Room { drive, free: room.free_bytes, needed: *needed });
        }
    }
    Ok(())
}

/// Repairs, reads back, and once more writes whole what did not come back as it was written.
fn repair_shards(shards: &Shards, damaged: DamagedShards, repaired: &mut Repaired) {
    let mut unread: BTreeMap<usize, u64> = BTreeMap::new();
    let mut left = damaged;
    for _ in 0..2 {
        if left.is_empty() || repaired.stopped {
            break;
        }
        let round = shards.repair(&left);
        let bytes = shards.written_bytes(&round);
        begin_phase(shards.monitor, Phase::ReadBack, shards.targets, &bytes);
        let failed = shards.read_back(&round);
        round.left.iter().for_each(|target| *repaired.left.entry(*target).or_default() += 1);
        repaired.beyond.extend(&round.beyond);
        repaired.waiting.extend(&round.waiting);
        repaired.stopped |= round.stopped || shards.monitor.should_stop();
        left = failed;
    }
    if left.is_empty() || repaired.stopped {
        return;
    }
    for shard in left.values().flatten() {
        *repaired.left.entry(shard.target).or_default() += 1;
        *unread.entry(shard.target).or_default() += 1;
    }
    for (target, count) in unread {
        let detail = format!("{count} shards do not read back as they were written");
        let name = shards.targets[target].drive().name();
        shards.monitor.problem(Problem::new(ProblemKind::Drive, name, detail));
    }
}

/// Holds everything but the shards against what it should be, reports what is left, and takes the
/// mark off new drives that are whole.
fn finish(
    job: &RepairJob,
    targets: &[RepairTarget],
    files: &MetadataFiles,
    repaired: &mut Repaired,
    monitor: &dyn Monitor,
) {
    let bad_metadata_files = drives::on_each(targets.len(), |i| {
        let found = &targets[i].found;
        if targets[i].is_out() || repaired.stopped {
            return 0;
        }
        files.check(found, monitor).all
    });
    targets.iter().for_each(RepairTarget::probe);
    let skipped = repaired.beyond.len() + repaired.waiting.len();
    for (target, left_files) in targets.iter().zip(bad_metadata_files) {
        let drive = target.drive();
        let left_shards = repaired.left.get(&target.number).copied().unwrap_or(0);
        let level = if target.is_written() { drive.level() } else { Level::None };
        if target.is_written() && level == Level::Cached && !target.is_out() {
            let advice = drive.proof().advice();
            let detail = format!("what was written could only be read back from a cache: {advice}");
            monitor.problem(Problem::new(ProblemKind::ReadBack, drive.name(), detail));
        }
        let done = DriveRepair {
            slot: target.found.label.slot,
            case: target.found.label.case.clone(),
            name: drive.name().into(),
            new: is_new(job, target),
            blocks: target.blocks.load(Ordering::SeqCst),
            shards: target.shards.load(Ordering::SeqCst),
            files: target.metadata_files.load(Ordering::SeqCst),
            left_shards,
            left_files,
            failed: target.has_failed(),
            refusal: target.refusal(),
            level,
        };
        if done.is_whole() && skipped == 0 && !repaired.stopped {
            let mark = format!("{}/{REPAIR_MARK}", job.set.folder);
            if drive.open(&mark, ReadMode::Cached).is_ok() {
                target.write(|drive| drive.remove(&mark));
            }
        }
        repaired.drives.push(done);
    }
}
