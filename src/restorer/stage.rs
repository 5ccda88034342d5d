//! Shards of drives that were here, kept until enough of a stripe's are there to reconstruct the
//! rest.
//!
//! - Enters: the stripes with missing shards, and the drives that are here.
//! - Leaves: copies of these drives' shards of those stripes, in a folder, from which later runs
//!   read as from a drive ([`FoundSet::stage`]).
//! - Always holds: (1) what lies there is checked against its record like everything else; (2) a
//!   set's folder there carries a [`MARK`]: one without it is a drive's, and is neither written to
//!   nor removed from.

use crate::drives::detect::inside;
use crate::drives::{Drive, DriveError, LocalDrive, ReadMode, WriteMode, on_each};
use crate::format::ids::{Slot, StripeId, shard_path};
use crate::format::layout::{COPY, HOLDALL};
use crate::format::record::StripeRecord;
use crate::format::shown::error_chain;
use crate::monitor::{Monitor, Phase, Problem, ProblemKind, shown_bytes};
use crate::shards::reading::read_blocks;
use crate::shipment::record_reader::Records;
use crate::shipment::{FoundDrive, FoundSet, RecordIndex, cleanup};
use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// In a set's folder: what lies there was kept, and is removed once the set is restored.
const MARK: &str = "stage.txt";
const MARK_TEXT: &[u8] =
    b"holdall restore --stage keeps shards here until their set is restored.\n";
/// What only a drive has in a set's folder.
const OF_DRIVES: [&str; 5] = ["label.json", "set.txt", "records", "catalog", COPY];
const SHARDS: &str = "shards";

/// Why a folder cannot keep shards.
#[derive(Debug, thiserror::Error)]
pub enum StageError {
    /// It is the folder that is restored to, or lies in it.
    #[error("it lies in the folder that is restored to")]
    InDestination,
    /// The folder of a set in it is not one that was made to keep shards.
    #[error("it is a drive: it holds set {0}")]
    IsDrive(String),
    /// It cannot be made, or read.
    #[error(transparent)]
    Drive(#[from] DriveError),
}

/// Opens the folder that keeps shards, or makes it. Refused if it is a drive of any
/// set, or would mix with what is restored to `to`.
pub fn open(path: &Path, to: &Path) -> Result<Arc<dyn Drive>, StageError> {
    let mixes = |inner, outer| inside(inner, outer).unwrap_or(false);
    if mixes(path, to) || mixes(to, &path.join(HOLDALL)) {
        return Err(StageError::InDestination);
    }
    let stage = LocalDrive::make(path)?;
    for set in stage.list(HOLDALL)? {
        let names = match stage.list(&format!("{HOLDALL}/{set}")) {
            Err(e) if e.source.kind() == ErrorKind::NotADirectory => continue,
            names => names?,
        };
        let has = |name: &str| names.iter().any(|found| found == name);
        if OF_DRIVES.into_iter().any(has) || has(SHARDS) && !has(MARK) {
            return Err(StageError::IsDrive(set));
        }
    }
    Ok(Arc::new(stage))
}

/// Copies the shards that the drives here have of these stripes, each drive by itself.
pub fn keep(
    set: &FoundSet,
    record_index: &RecordIndex,
    stripes: &BTreeSet<StripeId>,
    monitor: &dyn Monitor,
) {
    let Some(stage) = &set.stage else { return };
    let missing = |record: &StripeRecord, index: usize| {
        let path = format!("{}/{}", set.folder, shard_path(record.id, index as u8));
        let here = set.drive(record.shards[index].slot).is_some();
        here && stage.open(&path, ReadMode::Cached).is_err()
    };
    let records = Records::of(record_index);
    let of = |record: Arc<StripeRecord>| {
        let shards = (0..record.shards.len()).filter(|index| missing(&record, *index)).count();
        (shards * record.blocks.file_bytes()) as u64
    };
    let bytes: u64 = stripes.iter().filter_map(|id| records.find(*id)).map(of).sum();
    let free = stage.room().map_or(u64::MAX, |room| room.free_bytes);
    monitor.phase(Phase::Stage, bytes);
    if bytes > 0 {
        monitor.note(&format!(
            "--stage keeps {} of these drives in {}, until enough drives were here; it takes least \
             if the drives come set by set",
            shown_bytes(bytes),
            stage.name(),
        ));
    }
    if bytes > free {
        let detail =
            format!("only {} are free there: not all of it can be kept", shown_bytes(free));
        monitor.problem(Problem::new(ProblemKind::Drive, stage.name(), detail));
    }
    let failed = AtomicBool::new(false);
    let mark = || {
        stage.make_folder(&set.folder)?;
        stage.write(&format!("{}/{MARK}", set.folder), MARK_TEXT, WriteMode::Replace)
    };
    let marked = if bytes > 0 { mark() } else { Ok(()) };
    failed.store(marked.is_err(), Ordering::Relaxed);
    let kept = on_each(set.drives.len(), |i| {
        let slot = set.drives[i].label.slot;
        for record in stripes.iter().filter_map(|id| records.find(*id)) {
            if monitor.should_stop() || failed.load(Ordering::Relaxed) {
                break;
            }
            let kept = keep_shard(set, stage.as_ref(), &record, slot, monitor);
            failed.fetch_or(kept.is_err(), Ordering::Relaxed);
            kept?;
        }
        Ok::<_, DriveError>(())
    });
    let kept = [marked].into_iter().chain(kept).collect::<Result<(), _>>();
    if let Err(e) = kept.and_then(|()| stage.sync()) {
        monitor.problem(Problem::new(ProblemKind::Drive, stage.name(), error_chain(&e)));
    }
}

/// Copies the shard of a stripe that lies in a slot, unless it is there.
fn keep_shard(
    set: &FoundSet,
    stage: &dyn Drive,
    record: &StripeRecord,
    slot: Slot,
    monitor: &dyn Monitor,
) -> Result<(), DriveError> {
    let Some(index) = record.shards.iter().position(|shard| shard.slot == slot) else {
        return Ok(());
    };
    let path = format!("{}/{}", set.folder, shard_path(record.id, index as u8));
    if stage.open(&path, ReadMode::Cached).is_ok() {
        return Ok(());
    }
    let mut drives = set.all_drives().filter(|d| d.label.slot == slot);
    // What cannot be read is reported where it is restored from.
    let read = |d: &FoundDrive| readable_part(d.drive.as_ref(), &path, record);
    let Some(shard) = drives.find_map(read) else { return Ok(()) };
    stage.make_folder(path.rsplit_once('/').map_or("", |(folder, _)| folder))?;
    stage.write(&path, &shard, WriteMode::Commit)?;
    monitor.advance(shard.len() as u64);
    Ok(())
}

/// A shard with zeros for the blocks that cannot be read, which nobody takes for what they should
/// be; none if no block can.
fn readable_part(drive: &dyn Drive, path: &str, record: &StripeRecord) -> Option<Vec<u8>> {
    let mut file = drive.open(path, ReadMode::Cached).ok()?;
    let (mut bytes, block_bytes) = (vec![0; record.blocks.file_bytes()], record.blocks.bytes());
    let good = read_blocks(file.as_mut(), &mut bytes, block_bytes, 0);
    for (number, _) in good.iter().enumerate().filter(|(_, good)| !**good) {
        bytes[number * block_bytes..][..block_bytes].fill(0);
    }
    good.contains(&true).then_some(bytes)
}

/// Removes what was kept of a set.
pub fn clear(set: &FoundSet, monitor: &dyn Monitor) {
    let Some(stage) = &set.stage else { return };
    if let Err(e) = remove_below(stage.as_ref(), &set.folder) {
        monitor.problem(Problem::new(ProblemKind::Drive, stage.name(), error_chain(&e)));
    }
}

fn remove_below(stage: &dyn Drive, folder: &str) -> Result<(), DriveError> {
    let mark = format!("{folder}/{MARK}");
    if !stage.list(folder)?.iter().any(|name| name == MARK) {
        return Ok(());
    }
    let shards = format!("{folder}/{SHARDS}");
    for group in stage.list(&shards)?.into_iter().filter(|name| cleanup::is_group(name)) {
        let group = format!("{shards}/{group}");
        let names = stage.list(&group)?.into_iter();
        for name in names.filter(|name| cleanup::is_shard(name) || cleanup::is_temporary(name)) {
            stage.remove(&format!("{group}/{name}"))?;
        }
        remove_empty(stage, &group)?;
    }
    remove_empty(stage, &shards)?;
    if stage.list(&shards)?.is_empty() {
        stage.remove(&mark)?;
    }
    remove_empty(stage, folder)?;
    remove_empty(stage, HOLDALL)
}

/// Removes a folder unless something of somebody else's lies in it, such as `.DS_Store`.
fn remove_empty(stage: &dyn Drive, folder: &str) -> Result<(), DriveError> {
    if stage.list(folder)?.is_empty() { stage.remove_folder(folder) } else { Ok(()) }
}
