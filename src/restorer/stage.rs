//! Shards of drives that were here, kept until enough of a stripe's are there to rebuild the rest.
//!
//! - Enters: the stripes that lack shards, and the drives that are here.
//! - Leaves: copies of these drives' shards of those stripes, in a folder, from which later runs
//!   read as from a drive ([`FoundSet::stage`]).
//! - Always holds: what lies there is checked against its record like everything else.

use crate::drives::{Drive, DriveError, ReadMode, on_each};
use crate::format::ids::{Slot, StripeId, shard_path};
use crate::format::record::StripeRecord;
use crate::monitor::{Monitor, Phase, Problem, ProblemKind};
use crate::sets::book::Records;
use crate::sets::open::{HOLDALL, chain};
use crate::sets::{Book, FoundSet, tidy};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Copies the shards that the drives here have of these stripes, each drive by itself.
pub fn keep(set: &FoundSet, book: &Book, stripes: &BTreeSet<StripeId>, monitor: &dyn Monitor) {
    let Some(stage) = &set.stage else { return };
    let missing = |record: &StripeRecord, index: usize| {
        let path = format!("{}/{}", set.folder, shard_path(record.id, index as u8));
        let here = set.drive(record.shards[index].slot).is_some();
        here && stage.open(&path, ReadMode::Cached).is_err()
    };
    let records = Records::of(book);
    let of = |record: Arc<StripeRecord>| {
        let shards = (0..record.shards.len()).filter(|index| missing(&record, *index)).count();
        (shards * record.blocks.file_bytes()) as u64
    };
    let bytes: u64 = stripes.iter().filter_map(|id| records.find(*id)).map(of).sum();
    let free = stage.room().map_or(u64::MAX, |room| room.free_bytes);
    monitor.phase(Phase::Stage, bytes);
    if bytes > 0 {
        monitor.note(&format!(
            "--stage keeps {} MB of these drives in {}, until enough drives were here; it takes least \
             if the drives come set by set",
            bytes.div_ceil(1_000_000),
            stage.name(),
        ));
    }
    if bytes > free {
        let detail = format!("{} MB are free there", free / 1_000_000);
        monitor.problem(Problem::new(ProblemKind::Drive, stage.name(), detail));
    }
    let failed = AtomicBool::new(false);
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
    if let Err(e) = kept.into_iter().collect::<Result<(), _>>().and_then(|()| stage.sync()) {
        monitor.problem(Problem::new(ProblemKind::Drive, stage.name(), chain(&e)));
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
    let len = record.blocks.file_bytes() as u64;
    if stage.open(&path, ReadMode::Cached).is_ok() {
        return Ok(());
    }
    let mut drives = set.all_drives().filter(|d| d.label.slot == slot);
    // One that cannot be read is told where it is restored from.
    let Some(shard) = drives.find_map(|d| d.drive.read(&path, len).ok()) else { return Ok(()) };
    stage.make_folder(path.rsplit_once('/').map_or("", |(folder, _)| folder))?;
    stage.commit(&path, &shard)?;
    monitor.advance(shard.len() as u64);
    Ok(())
}

/// Removes what was kept of a set.
pub fn clear(set: &FoundSet, monitor: &dyn Monitor) {
    let Some(stage) = &set.stage else { return };
    if let Err(e) = remove_below(stage.as_ref(), &set.folder) {
        monitor.problem(Problem::new(ProblemKind::Drive, stage.name(), chain(&e)));
    }
}

fn remove_below(stage: &dyn Drive, folder: &str) -> Result<(), DriveError> {
    let shards = format!("{folder}/shards");
    if stage.list(&shards)?.is_empty() {
        return Ok(());
    }
    let is_ours = |name: &String| tidy::is_group(name);
    for group in stage.list(&shards)?.into_iter().filter(is_ours) {
        let group = format!("{shards}/{group}");
        let names = stage.list(&group)?.into_iter();
        for name in names.filter(|name| tidy::is_shard(name) || tidy::is_temporary(name)) {
            stage.remove(&format!("{group}/{name}"))?;
        }
        remove_empty(stage, &group)?;
    }
    remove_empty(stage, &shards)?;
    remove_empty(stage, folder)?;
    remove_empty(stage, HOLDALL)
}

/// Removes a folder unless something of somebody else's lies in it, such as `.DS_Store`.
fn remove_empty(stage: &dyn Drive, folder: &str) -> Result<(), DriveError> {
    if stage.list(folder)?.is_empty() { stage.remove_folder(folder) } else { Ok(()) }
}
