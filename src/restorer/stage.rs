//! Shards of drives that were here, kept until enough of a stripe's are there to rebuild the rest.
//!
//! - Enters: the stripes that lack shards, and the drives that are here.
//! - Leaves: copies of these drives' shards of those stripes, in a folder, from which later runs
//!   read as from a drive ([`FoundSet::stage`]).
//! - Always holds: what lies there is checked against its record like everything else.

use crate::drives::{Drive, DriveError, ReadMode};
use crate::format::ids::{StripeId, shard_path};
use crate::monitor::{Monitor, Phase, Problem, ProblemKind};
use crate::sets::open::chain;
use crate::sets::{Book, FoundSet, tidy};
use std::collections::BTreeSet;

/// Copies the shards that the drives here have of these stripes.
pub fn keep(set: &FoundSet, book: &Book, stripes: &BTreeSet<StripeId>, monitor: &dyn Monitor) {
    let Some(stage) = &set.stage else { return };
    monitor.phase(Phase::Stage, 0);
    let mut reader = book.reader();
    let kept = stripes.iter().filter_map(|id| reader.find(*id)).try_for_each(|record| {
        for (index, shard) in record.shards.iter().enumerate() {
            let path = format!("{}/{}", set.folder, shard_path(record.id, index as u8));
            let len = record.blocks.file_bytes() as u64;
            let is_here = set.drive(shard.slot).is_some();
            if !is_here || stage.open(&path, ReadMode::Cached).is_ok() {
                continue;
            }
            let mut drives = set.all_drives().filter(|d| d.label.slot == shard.slot);
            // One that cannot be read is told where it is restored from.
            let Some(shard) = drives.find_map(|d| d.drive.read(&path, len).ok()) else {
                continue;
            };
            stage.make_folder(path.rsplit_once('/').map_or("", |(folder, _)| folder))?;
            stage.commit(&path, &shard)?;
            monitor.advance(shard.len() as u64);
            if monitor.should_stop() {
                break;
            }
        }
        Ok::<_, DriveError>(())
    });
    if let Err(e) = kept.and_then(|()| stage.sync()) {
        monitor.problem(Problem::new(ProblemKind::Drive, stage.name(), chain(&e)));
    }
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
    remove_empty(stage, folder)
}

/// Removes a folder unless something of somebody else's lies in it, such as `.DS_Store`.
fn remove_empty(stage: &dyn Drive, folder: &str) -> Result<(), DriveError> {
    if stage.list(folder)?.is_empty() { stage.remove_folder(folder) } else { Ok(()) }
}
