//! A set with its records and its keys: what a restore reads from.

use crate::format::ids::RunId;
use crate::keys::RunKey;
use crate::monitor::{Monitor, Recording};
use crate::shipment::{FoundSet, RecordIndex};
use std::collections::BTreeMap;

/// A set whose keys are unlocked.
pub struct OpenSet<'a> {
    pub set: &'a FoundSet,
    /// its records, authenticated
    pub record_index: &'a RecordIndex,
    pub keys: &'a BTreeMap<RunId, RunKey>,
}

/// Notes that nothing shows whether more of the dataset was to follow, and returns true; false if
/// its set.txt tells.
pub fn note_end(open: &OpenSet, monitor: &dyn Monitor) -> bool {
    let text = open.set.set_text(&Recording::default());
    match text.map(|text| text.further_sets()) {
        None => match open.set.in_use_by() {
            Some(program) => monitor.note(&format!(
                "the set is not closed yet: {program} is at work on it, and there may be more"
            )),
            None if open.set.missing_slots().is_empty() => {
                monitor.note("the set was never closed, so there may have been more");
            }
            None => monitor.note(
                "as far as the drives here show, the set was never closed: there may be more of it",
            ),
        },
        Some(None) => monitor.note(
            "the set was closed from its drives alone: it cannot tell whether more of the dataset \
             was to follow",
        ),
        Some(Some(_)) => return false,
    }
    true
}
