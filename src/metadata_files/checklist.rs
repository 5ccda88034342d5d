//! `checklist.b3`: a line for each file that `b3sum --check` shall check on a drive.
//!
//! - Enters: the listed metadata files, each with its BLAKE3, and the records.
//! - Leaves: the checklists, in each the lines of the metadata files first.

use crate::format::ids::{Slot, shard_path};
use crate::format::list::Hash;
use crate::format::shown::hex;
use crate::monitor::Monitor;
use crate::shipment::RecordIndex;
use crate::stages::hash::root_of;
use std::collections::BTreeMap;

/// A line as `b3sum` writes it.
pub fn checklist_line(root: &Hash, path: &str) -> String {
    format!("{}  {path}\n", hex(root))
}

/// The checklists of the drives of these slots: of these files, and of the shards.
pub fn checklists(
    files: BTreeMap<Slot, Vec<(String, Hash)>>,
    record_index: &RecordIndex,
    monitor: &dyn Monitor,
) -> BTreeMap<Slot, String> {
    let lines = |files: Vec<(String, Hash)>| -> String {
        files.iter().map(|(path, root)| checklist_line(root, path)).collect()
    };
    let mut lists: BTreeMap<Slot, String> =
        files.into_iter().map(|(slot, files)| (slot, lines(files))).collect();
    record_index.walk(monitor, |record| {
        for (index, shard) in record.shards.iter().enumerate() {
            if let Some(list) = lists.get_mut(&shard.slot) {
                let root = root_of(record.shard_hashes(index));
                list.push_str(&checklist_line(&root, &shard_path(record.id, index as u8)));
            }
        }
        true
    });
    lists
}

/// Has a checklist the same lines as this one, in any order?
pub fn has_lines_of(bytes: &[u8], checklist: &str) -> bool {
    let found = String::from_utf8_lossy(bytes);
    sorted_lines(&found) == sorted_lines(checklist)
}

fn sorted_lines(text: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = text.split_inclusive('\n').collect();
    lines.sort_unstable();
    lines
}
