//! Repair: the drives of a set made whole again, with no key.
//!
//! - Enters: a set as it was found, new drives for lost ones, and a root where copies disagree.
//! - Leaves: drives on which everything is as set.txt and the records say; what is left, told.
//! - Always holds: (1) nothing is written but what matches its record, and only where the present
//!   bytes do not; (2) whole files appear under their names whole; a repair that was broken off, at
//!   any point, goes on when it is run again; (3) what is written is read back from the medium after
//!   the last write; (4) copies that are sound and differ are never chosen between without a root;
//!   (5) memory: a few stripes, and what verify remembers too, some bytes for each damaged shard.

pub mod closing;
pub mod onto;
pub mod origin;
mod papers;
pub mod quiet;
mod shards;
mod target;

use crate::drives::{self, Level, ReadMode};
use crate::format::ids::{RunId, Slot, StripeId};
use crate::format::set::SetText;
use crate::memory::Memory;
use crate::monitor::{Monitor, Phase, Problem, ProblemKind};
use crate::sets::check::{DriveReport, check_drive, shard_bytes};
use crate::sets::damage::Bad;
use crate::sets::papers::{KeyFiles, check_papers, key_files, keyless};
use crate::sets::{Book, FoundSet};
use onto::{OntoError, REBUILDING};
use papers::Papers;
use quiet::Quiet;
use shards::{Healed, Hurt, Hurts, Shards};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;
use target::Target;

/// A set, and what it should be.
pub struct RepairJob<'a> {
    /// the set; its new drives are among its drives
    pub set: &'a FoundSet,
    /// its records
    pub book: &'a Book,
    /// its set.txt, if it was closed
    pub text: Option<&'a SetText>,
    /// slots that are rebuilt on new drives
    pub new: Vec<Slot>,
    /// what it may take
    pub memory: Memory,
}

/// What was done to a drive.
#[derive(Clone, Debug)]
pub struct DriveRepair {
    /// its slot
    pub slot: Slot,
    /// its case
    pub case: String,
    /// its name
    pub name: String,
    /// a lost drive was rebuilt on it
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
#[derive(Clone, Debug, Default)]
pub struct Repaired {
    /// its drives
    pub drives: Vec<DriveRepair>,
    /// stripes that no drive has enough of
    pub beyond: BTreeSet<StripeId>,
    /// stripes that wait for drives that are not here
    pub waiting: BTreeSet<StripeId>,
    /// runs of which no drive has the wrapped key any more
    pub keyless: Vec<RunId>,
    /// shards that are not whole yet, by number of the drive
    left: BTreeMap<usize, u64>,
    /// it was stopped
    pub stopped: bool,
}

/// Repairs a set.
pub fn repair(job: &RepairJob, monitor: &dyn Monitor) -> Result<Repaired, OntoError> {
    let all = job.set.all_drives().cloned().enumerate();
    let targets: Vec<Target> = all.map(|(i, found)| Target::new(found, i, monitor)).collect();
    let quiet = Quiet(monitor);
    let keys = key_files(job.set);
    let papers =
        Papers { set: job.set, book: job.book, text: job.text, keys: &keys, monitor: &quiet };
    let shards =
        Shards { set: job.set, book: job.book, targets: &targets, memory: job.memory, monitor };
    let reports = survey(job, &targets, &quiet);
    let mut repaired = Repaired { stopped: reports.iter().any(|r| r.stopped), ..<_>::default() };
    let hurts = hurts(&reports);
    let bytes = shards.bytes(&hurts);
    check_room(job, &targets, &papers, &bytes)?;
    if !repaired.stopped {
        begin_phase(monitor, Phase::Repair, &targets, &bytes);
        let each = |heal: &(dyn Fn(&Target) + Sync)| {
            drives::on_each(targets.len(), |i| heal(&targets[i]));
        };
        each(&|target| papers.heal_first(target, is_new(job, target)));
        heal_shards(&shards, hurts, &mut repaired);
        each(&|target| papers.heal_last(target));
    }
    finish(job, &targets, &keys, &mut repaired, monitor);
    repaired.keyless = keyless(job.set, job.book, &keys);
    Ok(repaired)
}

fn is_new(job: &RepairJob, target: &Target) -> bool {
    job.new.contains(&target.found.label.slot)
}

/// Names the drives for progress.
fn begin_phase(monitor: &dyn Monitor, phase: Phase, targets: &[Target], bytes: &[u64]) {
    monitor.phase(phase, bytes.iter().sum());
    for (target, bytes) in targets.iter().zip(bytes).filter(|(_, bytes)| **bytes > 0) {
        let name = format!("{} {}", target.found.label.case, target.drive().name());
        monitor.drive(target.number, &name, *bytes);
    }
}

/// Reads all drives at the same time.
fn survey(job: &RepairJob, targets: &[Target], monitor: &dyn Monitor) -> Vec<DriveReport> {
    let expected = shard_bytes(job.set, job.book, monitor);
    let bytes = |target: &Target| expected.get(target.found.label.slot.0 as usize).copied();
    let bytes: Vec<u64> = targets.iter().map(|t| bytes(t).unwrap_or(0)).collect();
    begin_phase(monitor, Phase::Verify, targets, &bytes);
    drives::on_each(targets.len(), |i| {
        let progress = |bytes: u64| {
            monitor.advance(bytes);
            monitor.drive_advance(i, bytes);
        };
        let (found, folder) = (&targets[i].found, &job.set.folder);
        let report = check_drive(found, folder, job.book, ReadMode::Medium, monitor, &progress);
        if report.vanished {
            targets[i].leave_out();
        }
        report
    })
}

/// What is bad, by stripe.
fn hurts(reports: &[DriveReport]) -> Hurts {
    let mut hurts = Hurts::new();
    for (target, report) in reports.iter().enumerate() {
        let mut bad: BTreeMap<(StripeId, u8), Bad> = BTreeMap::new();
        for (id, index) in &report.long {
            bad.insert((*id, *index), Bad::Blocks(Vec::new()));
        }
        bad.extend(report.bad.iter().map(|(id, index, bad)| ((*id, *index), bad.clone())));
        for ((id, index), bad) in bad {
            hurts.entry(id).or_default().push(Hurt { target, index, bad });
        }
    }
    hurts
}

/// A new drive must have room for all that it gets.
fn check_room(
    job: &RepairJob,
    targets: &[Target],
    papers: &Papers,
    bytes: &[u64],
) -> Result<(), OntoError> {
    let mut needed_on: BTreeMap<u64, u64> = BTreeMap::new();
    for (target, bytes) in targets.iter().zip(bytes).filter(|(t, _)| is_new(job, t)) {
        let room = target.drive().room()?;
        let units = room.unit_bytes.max(1);
        // Shards are whole blocks: what they are rounded up by is little.
        let shards = bytes + bytes / 64;
        let papers = papers.needed_bytes(target.found.label.slot, units);
        // Two new drives on one device share its room.
        let needed = needed_on.entry(room.device).or_default();
        *needed += shards + papers;
        if *needed > room.free_bytes {
            let drive = target.drive().name().into();
            return Err(OntoError::Room { drive, free: room.free_bytes, needed: *needed });
        }
    }
    Ok(())
}

/// Heals, reads back, and once more writes whole what did not come back as it was written.
fn heal_shards(shards: &Shards, hurts: Hurts, repaired: &mut Repaired) {
    let mut unread: BTreeMap<usize, u64> = BTreeMap::new();
    let mut left = hurts;
    for _ in 0..2 {
        if left.is_empty() || repaired.stopped {
            break;
        }
        let healed: Healed = shards.heal(&left);
        let bytes = shards.written_bytes(&healed);
        begin_phase(shards.monitor, Phase::ReadBack, shards.targets, &bytes);
        let failed = shards.read_back(&healed);
        healed.left.iter().for_each(|target| *repaired.left.entry(*target).or_default() += 1);
        repaired.beyond.extend(&healed.beyond);
        repaired.waiting.extend(&healed.waiting);
        repaired.stopped |= healed.stopped || shards.monitor.should_stop();
        left = failed;
    }
    if left.is_empty() || repaired.stopped {
        return;
    }
    for hurt in left.values().flatten() {
        *repaired.left.entry(hurt.target).or_default() += 1;
        *unread.entry(hurt.target).or_default() += 1;
    }
    for (target, count) in unread {
        let detail = format!("{count} shards do not read back as they were written");
        let name = shards.targets[target].drive().name();
        shards.monitor.problem(Problem::new(ProblemKind::Drive, name, detail));
    }
}

/// Holds everything but the shards against what it should be, tells what is left, and takes the
/// mark off new drives that are whole.
fn finish(
    job: &RepairJob,
    targets: &[Target],
    keys: &KeyFiles,
    repaired: &mut Repaired,
    monitor: &dyn Monitor,
) {
    let bad_papers = drives::on_each(targets.len(), |i| {
        let found = &targets[i].found;
        if targets[i].is_out() || repaired.stopped {
            return 0;
        }
        check_papers(found, job.set, job.book, job.text, keys, monitor)
    });
    targets.iter().for_each(Target::probe);
    let skipped = repaired.beyond.len() + repaired.waiting.len();
    for (target, left_files) in targets.iter().zip(bad_papers) {
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
            files: target.papers.load(Ordering::SeqCst),
            left_shards,
            left_files,
            failed: target.has_failed(),
            level,
        };
        if done.is_whole() && skipped == 0 && !repaired.stopped {
            let mark = format!("{}/{REBUILDING}", job.set.folder);
            if drive.open(&mark, ReadMode::Cached).is_ok() {
                target.write(|drive| drive.remove(&mark));
            }
        }
        repaired.drives.push(done);
    }
}
