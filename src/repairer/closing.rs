//! Closing a set from its drives alone: with no key and nothing of the packing machine.
//!
//! - Enters: a set that was not closed, or whose closing was broken off, and its records.
//! - Leaves: set.txt, checklists and second copies on every drive, and the metadata files that a
//!   drive lacked; shards are left as they are.
//! - Always holds: (1) what set.txt says follows from the records and labels that are here; it
//!   names no index of the catalog, which only a key can seal, and `last no`, since nobody knows;
//!   (2) a set.txt that lies on any drive is taken as it is, so a closing that is broken off and
//!   done again ends in the same root; (3) nothing is removed; (4) a label is written where there
//!   is none of the drive's slot, or one that the records belie, never over one that may be right.

use super::metadata_files::MetadataRepair;
use super::quiet::Quiet;
use super::target::RepairTarget;
use crate::drives;
use crate::format::ids::{RunId, Slot};
use crate::format::label::{Label, MAX_LABEL_BYTES, checked_case};
use crate::format::record::PartRecord;
use crate::format::set::{PartLine, RunLine, SetText, SlotLine, UNKNOWN_CASE};
use crate::format::shown::shown_text;
use crate::metadata_files::content::made_labels;
use crate::metadata_files::expected::MetadataFiles;
use crate::metadata_files::key_files::key_files;
use crate::monitor::Monitor;
use crate::shipment::{FoundDrive, FoundSet, RecordIndex};
use serde::Serialize;
use std::sync::atomic::Ordering;

/// What closing wrote on a drive.
#[derive(Serialize)]
pub struct DriveClosing {
    /// its path
    #[serde(rename = "drive")]
    pub name: String,
    /// files that were written
    pub files: u64,
    /// it refused one, or vanished
    pub failed: bool,
}

/// The set.txt that the records and labels of a set amount to.
pub fn text_of(set: &FoundSet, record_index: &RecordIndex, closed: String) -> SetText {
    let run = |r: &crate::shipment::record_index::RunFacts| RunLine {
        run: r.run,
        commitment: r.commitment,
        files: r.files,
        stripes: r.stripes,
        last: r.last,
    };
    SetText {
        shipment: set.shipment,
        set: set.set,
        closed,
        survive: survive_of(set),
        slots: (1..=set.drive_count()).map(|slot| slot_line(set, Slot(slot))).collect(),
        runs: record_index.runs().iter().map(run).collect(),
        parts: record_index.parts().map(part_line).collect(),
        before: None,
        base: None,
        last: false,
        mac: None,
    }
}

/// What a label says may be lost, in one line.
fn survive_of(set: &FoundSet) -> String {
    let shown = shown_text(set.label().survive.trim_start());
    if shown.is_empty() { UNKNOWN_CASE.into() } else { shown.into_owned() }
}

/// A drive's line. It names the label that the drive carries, which nobody else's word replaces:
/// one that is lost, or that the records belie, is made again from another. What is not known of a
/// drive that is not here stays unknown.
fn slot_line(set: &FoundSet, slot: Slot) -> SlotLine {
    let found = set.drive(slot);
    if let Some((bytes, label)) = found.and_then(|found| carried(set, found))
        && is_borne_out(set, &label)
    {
        let hash = *blake3::hash(&bytes).as_bytes();
        return SlotLine { slot, case: label.case, label: Some(hash) };
    }
    let case = found.map(|found| found.label.case.clone());
    let case = case.filter(|case| checked_case(case).is_ok());
    let made = |case: &str| made_labels(set, slot, case, None).into_iter();
    let label = case.as_deref().and_then(|case| made(case).find(|l| is_borne_out(set, l)));
    let Some((case, label)) = case.zip(label) else {
        return SlotLine { slot, case: UNKNOWN_CASE.into(), label: None };
    };
    SlotLine { slot, case, label: Some(*blake3::hash(&label.encode()).as_bytes()) }
}

/// The label of its set and slot that a drive carries.
fn carried(set: &FoundSet, found: &FoundDrive) -> Option<(Vec<u8>, Label)> {
    let bytes = found.drive.read(&format!("{}/label.json", set.folder), MAX_LABEL_BYTES).ok()?;
    let label = Label::decode(&bytes).ok()?;
    let id = (label.shipment, label.set, label.slot);
    (id == (set.shipment, set.set, found.label.slot)).then_some((bytes, label))
}

/// Does it say of the set what was found to be so? Its texts, and C, are whatever they are.
fn is_borne_out(set: &FoundSet, label: &Label) -> bool {
    let facts = |l: &Label| (l.drives, l.suite, l.block_bytes);
    facts(label) == facts(set.label())
}

/// Reports which labels are made anew since they cannot be right.
pub fn report_belied(set: &FoundSet, monitor: &dyn Monitor) {
    for found in &set.drives {
        let Some((_, label)) = carried(set, found) else { continue };
        if !is_borne_out(set, &label) {
            let facts =
                |l: &Label| format!("{} drives, suite {}, B {}", l.drives, l.suite, l.block_bytes);
            monitor.note(&format!(
                "{}: {}/label.json is replaced: it said {}, but the set has {}",
                found.drive.name(),
                set.folder,
                facts(&label),
                facts(set.label())
            ));
        }
    }
}

/// The line of a catalog part that the records name.
pub fn part_line((run, part): (RunId, &PartRecord)) -> PartLine {
    PartLine { run, part: part.number, bytes: part.blocks.file_bytes() as u64, root: part.root }
}

/// Writes what each drive lacks of a set that is closed with this set.txt, set.txt with it.
pub fn close(
    set: &FoundSet,
    record_index: &RecordIndex,
    text: &SetText,
    monitor: &dyn Monitor,
) -> Vec<DriveClosing> {
    let found = set.all_drives().cloned().enumerate();
    let targets: Vec<RepairTarget> =
        found.map(|(i, found)| RepairTarget::new(found, i, monitor)).collect();
    let (quiet, keys) = (Quiet(monitor), key_files(set, record_index));
    let files = MetadataFiles { set, record_index, text: Some(text), keys: &keys };
    let metadata_files = MetadataRepair { files, monitor: &quiet };
    let each = |job: &(dyn Fn(&RepairTarget) + Sync)| {
        drives::on_each(targets.len(), |i| job(&targets[i]));
    };
    each(&|target| metadata_files.repair_first(target, false));
    each(&|target| metadata_files.repair_last(target));
    each(&|target| {
        target.write(|drive| drive.sync());
        target.probe();
    });
    let done = |target: &RepairTarget| DriveClosing {
        name: target.drive().name().into(),
        files: target.metadata_files.load(Ordering::SeqCst),
        failed: target.has_failed(),
    };
    targets.iter().map(done).collect()
}
