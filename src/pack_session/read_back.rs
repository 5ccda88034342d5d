//! The read-back: every shard and metadata file of a closed set from the medium, drives in
//! parallel.

use crate::check::damage::{Damage, Verdict};
use crate::check::drive::Depth;
use crate::check::report::DriveReport;
use crate::check::set::{DriveToCheck, SetCheck};
use crate::drives::{Drive, Level, WriteMode};
use crate::entropy::Entropy;
use crate::format::ids::RunId;
use crate::format::label::Label;
use crate::metadata_files::expected::MetadataFiles;
use crate::metadata_files::inspect::keyless;
use crate::metadata_files::key_files::{key_files, report_different};
use crate::monitor::{Monitor, Phase, Problem, ProblemKind, Recording};
use crate::packer::{Packed, SetDrive, SetJob, close};
use crate::shipment::FoundDrive;
use crate::shipment::{FoundSet, RecordIndex};
use crate::verification::{SetOutcome, verify_set};
use serde_json::Value;

/// Reads every shard back from the medium, and notes on each drive how that went.
pub(super) fn read_back(
    job: &SetJob,
    packed: &Packed,
    monitor: &dyn Monitor,
) -> (Vec<Option<DriveReport>>, Verdict) {
    let set = as_found(job, packed);
    let bytes = |found: &FoundDrive| packed.drive_bytes[found.label.slot.0 as usize - 1];
    monitor.phase(Phase::ReadBack, set.drives.iter().map(bytes).sum());
    let record_index = RecordIndex::open(&set, None, monitor);
    let text = set.set_text(monitor);
    let keys = key_files(&set, &record_index);
    report_different(&set, &keys, monitor);
    let to_check = |found| {
        let found: &FoundDrive = found;
        let number = found.label.slot.0 as usize - 1;
        DriveToCheck { found, number, bytes: bytes(found), depth: Depth::all(usize::MAX) }
    };
    let to_check: Vec<DriveToCheck> = set.drives.iter().map(to_check).collect();
    let (set, record_index) = (&set, &record_index);
    let files = MetadataFiles { set, record_index, text: text.as_ref(), keys: &keys };
    let check = SetCheck { set, record_index, metadata_files: Some(files), monitor };
    let reports = check.run(&to_check).into_iter().map(|checked| checked.report);
    let mut by_slot: Vec<Option<DriveReport>> = vec![None; job.drives.len()];
    let mut damage =
        Damage { lost: set.missing_slots().into_iter().collect(), ..Damage::default() };
    let note = ReadBackNote { folder: &set.folder, run: job.run, time: job.entropy.now() };
    for (found, report) in set.drives.iter().zip(reports) {
        report.bad.iter().for_each(|bad| damage.add(bad));
        if report.vanished {
            damage.lost.insert(found.label.slot);
        }
        report_cached(found.drive.as_ref(), &report, monitor);
        note.write(found.drive.as_ref(), &report, monitor);
        by_slot[found.label.slot.0 as usize - 1] = Some(report);
    }
    let judged = damage.judge(record_index, monitor);
    let mut verdict = judged.without_keys(record_index, keyless(set, record_index, &keys));
    // What was packed is known here, whatever the drives still say.
    let known = verdict.stripes + verdict.unknown;
    verdict.unknown += packed.stripes.saturating_sub(known);
    (by_slot, verdict)
}

fn as_found(job: &SetJob, packed: &Packed) -> FoundSet {
    let failed: Vec<bool> = (0..job.drives.len()).map(|i| packed.failed.contains(&i)).collect();
    let path = format!("{}/label.json", job.folder());
    let read = |d: &SetDrive| d.drive.read(&path, crate::format::label::MAX_LABEL_BYTES);
    let made = job.labels();
    let labels: Vec<Vec<u8>> = job
        .drives
        .iter()
        .enumerate()
        .map(|(i, d)| {
            let on_drive = read(d).ok().filter(|bytes| Label::decode(bytes).is_ok());
            on_drive.unwrap_or_else(|| made[i].encode())
        })
        .collect();
    close::found_set(job, &labels, &failed)
}

/// Whose note it is: the set's folder, its last run, the time.
pub(super) struct ReadBackNote<'a> {
    pub folder: &'a str,
    pub run: RunId,
    pub time: String,
}

impl ReadBackNote<'_> {
    /// Beside the set, outside its checklist and root: how its read-back went. One that was there
    /// is replaced.
    pub(super) fn write(&self, drive: &dyn Drive, report: &DriveReport, monitor: &dyn Monitor) {
        let note = serde_json::json!({
            "what": "read-back",
            "time": self.time,
            "level": report.level.name(),
            "shards": report.shards,
            "bytes": report.bytes,
            "bad_blocks": report.bad_blocks,
            "missing_shards": report.missing_shards,
            "bad_metadata_files": report.bad_metadata_files,
            "stopped": report.stopped,
            "whole": report.is_whole(),
        });
        let folder = format!("{}/custody", self.folder);
        let path = format!("{folder}/{}{}.json", NOTE, self.run);
        let made = drive.make_folder(&folder);
        if let Err(e) = made
            .and_then(|()| drive.write(&path, format!("{note}\n").as_bytes(), WriteMode::Replace))
        {
            let detail = crate::format::shown::error_chain(&e);
            monitor.problem(Problem::new(ProblemKind::Drive, drive.name(), detail));
        }
    }
}

/// How the names of these notes begin.
const NOTE: &str = "read-back-";

/// Is this a closed set whose read-back was stopped before its end?
pub(super) fn is_unproven(set: &FoundSet) -> bool {
    let folder = format!("{}/custody", set.folder);
    let stopped = |found: &FoundDrive| {
        let names = found.drive.list(&folder).unwrap_or_default();
        names.iter().filter(|name| name.starts_with(NOTE)).any(|name| {
            let note = found.drive.read(&format!("{folder}/{name}"), MAX_NOTE_BYTES).ok();
            let note = note.and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok());
            note.is_some_and(|note| note["stopped"] == true)
        })
    };
    set.set_text(&Recording::default()).is_some() && set.drives.iter().any(stopped)
}

/// The longest note that is read.
const MAX_NOTE_BYTES: u64 = 64 << 10;

/// Reads a closed set back, every block and metadata file, and notes on each drive how that went.
pub(super) fn prove(set: &FoundSet, entropy: &dyn Entropy, monitor: &dyn Monitor) -> SetOutcome {
    let outcome = verify_set(set, &RecordIndex::open(set, None, monitor), monitor);
    let text = set.set_text(&Recording::default());
    let Some(run) = text.and_then(|text| text.runs.last().map(|run| run.run)) else {
        return outcome;
    };
    let note = ReadBackNote { folder: &set.folder, run, time: entropy.now() };
    for (found, drive) in set.all_drives().zip(&outcome.drives) {
        report_cached(found.drive.as_ref(), &drive.report, monitor);
        note.write(found.drive.as_ref(), &drive.report, monitor);
    }
    outcome
}

/// Says so of a drive that could only be read back from a cache.
fn report_cached(drive: &dyn Drive, report: &DriveReport, monitor: &dyn Monitor) {
    if report.is_whole() && report.level < Level::Dropped {
        let advice = report.proof.advice();
        let detail = format!("the read-back may have come from a cache: {advice}");
        monitor.problem(Problem::new(ProblemKind::ReadBack, drive.name(), detail));
    }
}
