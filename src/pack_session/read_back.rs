//! The read-back: every shard and metadata file of a closed set from the medium, drives in
//! parallel.

use crate::check::custody::{Remark, SetChecked};
use crate::check::damage::{Damage, Verdict};
use crate::check::drive::Depth;
use crate::check::report::DriveReport;
use crate::check::set::{DriveToCheck, SetCheck};
use crate::drives::{Drive, Level};
use crate::entropy::Entropy;
use crate::format::custody::{
    CustodyDepth, CustodyEvent, CustodyNote, CustodyResult, read_back_name,
};
use crate::format::ids::RunId;
use crate::format::label::Label;
use crate::format::shown::{error_chain, hex};
use crate::metadata_files::custody;
use crate::metadata_files::expected::MetadataFiles;
use crate::metadata_files::inspect::keyless;
use crate::metadata_files::key_files::{key_files, report_different};
use crate::monitor::{Monitor, Phase, Problem, ProblemKind, Recording};
use crate::packer::{Packed, SetDrive, SetJob, close};
use crate::shipment::FoundDrive;
use crate::shipment::{FoundSet, RecordIndex};
use crate::verification::{SetOutcome, verify_set};

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
    let checked_drives = check.run(&to_check);
    let mut by_slot: Vec<Option<DriveReport>> = vec![None; job.drives.len()];
    let mut damage = Damage::absent(set, text.as_ref());
    let (root, remark) = (text.as_ref().map(|text| hex(&text.root())), Remark::default());
    let checked = SetChecked { root, ..checked(set, &remark, job.entropy) };
    let slots = set.drives.iter().map(|found| found.label.slot);
    let there = slots.zip(&checked_drives).filter(|(_, checked)| !checked.report.vanished);
    let lacking: Vec<_> = there.map(|(slot, checked)| (slot, &checked.lacking)).collect();
    damage.add_lacking(&lacking);
    let reports = checked_drives.into_iter().map(|checked| checked.report);
    for (found, report) in set.drives.iter().zip(reports) {
        report.bad.iter().for_each(|bad| damage.add(bad));
        if report.vanished {
            damage.lost.insert(found.label.slot);
        }
        report_cached(found.drive.as_ref(), &report, monitor);
        let note = checked.note(found.label.slot, &found.label.case, &report);
        write_note(found.drive.as_ref(), &set.folder, job.run, &note, monitor);
        by_slot[found.label.slot.0 as usize - 1] = Some(report);
    }
    let judged = damage.judge(record_index, monitor);
    let mut verdict = judged.without_keys(record_index, keyless(set, record_index, &keys));
    // What was packed is known here, whatever the drives still say.
    let known = verdict.stripes + verdict.unknown;
    verdict.unknown += packed.stripes.saturating_sub(known);
    (by_slot, verdict)
}

/// That a set is read back now.
fn checked<'a>(set: &FoundSet, remark: &'a Remark, entropy: &dyn Entropy) -> SetChecked<'a> {
    SetChecked {
        event: CustodyEvent::ReadBack,
        time: entropy.now(),
        remark,
        shipment: set.shipment,
        set: set.set,
        root: None,
        depth: CustodyDepth::All,
        is_blank: false,
    }
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

/// Notes on a drive, beside its set, how its read-back went; a note of an earlier one is replaced.
fn write_note(
    drive: &dyn Drive,
    set_folder: &str,
    run: RunId,
    note: &CustodyNote,
    monitor: &dyn Monitor,
) {
    if let Err(e) = custody::add(drive, set_folder, &read_back_name(run), note) {
        monitor.problem(Problem::new(ProblemKind::Drive, drive.name(), error_chain(&e)));
    }
}

/// Is this a closed set whose read-back was stopped before its end?
pub(super) fn is_unproven(set: &FoundSet) -> bool {
    let was_stopped = |note: &CustodyNote| {
        let stopped = [CustodyResult::Stopped, CustodyResult::NotRead];
        note.event == CustodyEvent::ReadBack && stopped.contains(&note.result)
    };
    let stopped = |found: &FoundDrive| {
        let notes = custody::notes(found.drive.as_ref(), &set.folder);
        notes.is_ok_and(|found| found.notes.iter().any(was_stopped))
    };
    set.set_text(&Recording::default()).is_some() && set.drives.iter().any(stopped)
}

/// Reads a closed set back, every block and metadata file, and notes on each drive how that went.
pub(super) fn prove(set: &FoundSet, entropy: &dyn Entropy, monitor: &dyn Monitor) -> SetOutcome {
    let outcome = verify_set(set, &RecordIndex::open(set, None, monitor), monitor);
    let text = set.set_text(&Recording::default());
    let Some(run) = text.and_then(|text| text.runs.last().map(|run| run.run)) else {
        return outcome;
    };
    let remark = Remark::default();
    let checked = SetChecked { root: outcome.root.clone(), ..checked(set, &remark, entropy) };
    for (found, drive) in set.all_drives().zip(&outcome.drives) {
        report_cached(found.drive.as_ref(), &drive.report, monitor);
        let note = checked.note(drive.slot, &drive.case, &drive.report);
        write_note(found.drive.as_ref(), &set.folder, run, &note, monitor);
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
