//! Closing a set: index, set.txt, checklist, second copies, and what explains a drive to whoever
//! finds it.

use super::commit::Committer;
use super::error::PackError;
use super::job::{SetDrive, SetJob};
use super::packed::Packed;
use crate::drives::{self, WriteMode};
use crate::format::ids::{Slot, key_path};
use crate::format::key::MAX_KEY_BYTES;
use crate::format::label::{Label, MAX_LABEL_BYTES};
use crate::format::list::Hash;
use crate::format::metadata_file::{MetadataKind, most_bytes, second_copy};
use crate::format::set::{SetText, SlotLine};
use crate::metadata_files::checklist::checklists;
use crate::metadata_files::drive_readme::{explanation, kept_text};
use crate::monitor::Monitor;
use crate::shipment::RecordIndex;
use crate::shipment::found::{FoundDrive, FoundSet, Settled};
use std::sync::Arc;

pub fn close(
    job: &SetJob,
    mut committer: Committer,
    last: bool,
    monitor: &dyn Monitor,
) -> Result<Packed, PackError> {
    committer.end_sums()?;
    committer.commit_index()?;
    let labels = written_labels(job, &committer);
    let slot = |(i, drive): (usize, &SetDrive)| SlotLine {
        slot: Slot(i as u16 + 1),
        case: drive.case.clone(),
        label: Some(*blake3::hash(&labels[i]).as_bytes()),
    };
    let mut text = SetText {
        shipment: job.shipment,
        set: job.set,
        closed: job.entropy.now(),
        survive: job.plan.survive.to_string(),
        slots: job.drives.iter().enumerate().map(slot).collect(),
        runs: committer.run_lines(),
        parts: committer.parts.clone(),
        before: job.resume.before,
        base: None,
        last,
        mac: None,
    };
    text.mac = Some(job.key.set_mac(&text.lines()));
    let set_txt: Arc<[u8]> = text.encode().into();
    committer.commit_file("set.txt", set_txt.clone())?;
    committer.files.push(("set.txt".into(), text.root()));
    write_checklists(job, &mut committer, &labels, monitor)?;
    write_copies(job, &mut committer, &labels, &set_txt)?;
    write_metadata_files(job, &mut committer, monitor)?;
    let outcomes = committer.writers.sync();
    committer.note_failures(&outcomes)?;
    Ok(committer.packed(text.root()))
}

/// The labels as they were written at the start; a failed drive's is made again from another, and
/// so is one that says of the set what is not so.
fn written_labels(job: &SetJob, committer: &Committer) -> Vec<Vec<u8>> {
    let path = format!("{}/label.json", job.folder());
    let labels = job.labels();
    let facts = |l: &Label| (l.slot, l.drives, l.suite, l.chunk_bytes, l.block_bytes);
    let read = |i: usize| {
        let on_drive = job.drives[i].drive.read(&path, MAX_LABEL_BYTES);
        let bytes = on_drive.ok().filter(|_| !committer.failed[i])?;
        let label = Label::decode(&bytes).ok()?;
        (facts(&label) == facts(&labels[i])).then_some(bytes)
    };
    let read: Vec<Option<Vec<u8>>> = (0..job.drives.len()).map(read).collect();
    let written = read.iter().flatten().find_map(|bytes| Label::decode(bytes).ok());
    let made = labels.iter().cloned().map(|own| match &written {
        Some(other) => Label { slot: own.slot, case: own.case, ..other.clone() }.encode(),
        None => own.encode(),
    });
    read.into_iter().zip(made).map(|(read, made)| read.unwrap_or(made)).collect()
}

/// The set as the drives show it before it is closed.
pub fn set_so_far(job: &SetJob, committer: &Committer) -> FoundSet {
    found_set(job, &written_labels(job, committer), &committer.failed)
}

/// The set as the drives now show it, for walking its records.
pub fn found_set(job: &SetJob, labels: &[Vec<u8>], failed: &[bool]) -> FoundSet {
    let found = |(i, d): (usize, &SetDrive)| {
        let label = Label::decode(&labels[i]).ok().filter(|_| !failed[i])?;
        Some(FoundDrive { drive: d.drive.clone(), label })
    };
    FoundSet {
        shipment: job.shipment,
        set: job.set,
        folder: job.folder(),
        drives: job.drives.iter().enumerate().filter_map(found).collect(),
        duplicates: Vec::new(),
        stage: None,
        bad_blocks: None,
        settled: Settled::ByDrives,
    }
}

/// `checklist.b3` of each drive: every file that `b3sum --check` shall check.
fn write_checklists(
    job: &SetJob,
    committer: &mut Committer,
    labels: &[Vec<u8>],
    monitor: &dyn Monitor,
) -> Result<(), PackError> {
    let listed = |label: &[u8]| -> Vec<(String, Hash)> {
        let label = ("label.json".to_owned(), *blake3::hash(label).as_bytes());
        let files = std::iter::once(label).chain(committer.files.iter().cloned());
        files
            .filter(|(path, _)| MetadataKind::at(path).is_some_and(MetadataKind::is_listed))
            .collect()
    };
    let files = (1..).map(Slot).zip(labels.iter().map(|label| listed(label))).collect();
    let set = found_set(job, labels, &committer.failed);
    let lists = checklists(files, &RecordIndex::open(&set, None, monitor), monitor);
    let path = format!("{}/checklist.b3", job.folder());
    let list = |drive: usize| Some(lists.get(&Slot(drive as u16 + 1))?.as_bytes().into());
    let outcomes = committer.writers.commit_each(&path, list);
    committer.note_failures(&outcomes)
}

/// Second copies, far from the first because they are written last.
fn write_copies(
    job: &SetJob,
    committer: &mut Committer,
    labels: &[Vec<u8>],
    set_txt: &Arc<[u8]>,
) -> Result<(), PackError> {
    let is_copied = |path: &str| {
        MetadataKind::at(path).is_some_and(|kind| kind.has_second_copy(job.drives.len()))
    };
    let path = format!("{}/{}", job.folder(), second_copy("label.json"));
    let label = |drive: usize| Some(labels.get(drive)?.as_slice().into());
    // A drive that fails here is noted with the next file.
    let _ = committer.writers.commit_each(&path, label);
    for run in committer.run_lines() {
        let path = key_path(run.run);
        let from = format!("{}/{path}", job.folder());
        let own = (run.run == job.run).then(|| job.key_file.clone());
        let read = || job.drives.iter().find_map(|d| d.drive.read(&from, MAX_KEY_BYTES).ok());
        if let Some(key) = own.or_else(read) {
            committer.commit_file(&second_copy(&path), key.into())?;
        }
    }
    committer.commit_file(&second_copy("set.txt"), set_txt.clone())?;
    let committed = committer.files.iter().filter(|(path, _)| path != "set.txt");
    let committed: Vec<(String, Hash)> =
        committed.filter(|(path, _)| is_copied(path)).cloned().collect();
    for (path, root) in committed {
        let from = format!("{}/{path}", job.folder());
        let is_it = |bytes: &Vec<u8>| *blake3::hash(bytes).as_bytes() == root;
        let read = |d: &SetDrive| d.drive.read(&from, most_bytes(&path)).ok().filter(is_it);
        if let Some(bytes) = job.drives.iter().find_map(read) {
            committer.commit_file(&second_copy(&path), bytes.into())?;
        }
    }
    Ok(())
}

/// README.txt, the specification and the Python reader, where they are missing.
fn write_metadata_files(
    job: &SetJob,
    committer: &mut Committer,
    monitor: &dyn Monitor,
) -> Result<(), PackError> {
    let failed = &committer.failed;
    let outcomes = drives::on_each(job.drives.len(), |number| {
        let drive = job.drives[number].drive.as_ref();
        if failed[number] {
            return Ok(());
        }
        let explanation = explanation(drive, job.shipment, job.set).map_err(Arc::new)?;
        if !explanation.kept.is_empty() {
            monitor.note(&kept_text(drive, &explanation.kept));
        }
        explanation.writes.iter().try_for_each(|(path, text)| {
            drive.write(path, text, WriteMode::Replace).map_err(Arc::new)
        })
    });
    committer.note_failures(&outcomes)
}
