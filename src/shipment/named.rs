//! The record files on the drives by their names: where each lies, and on which drives it is
//! missing.
//!
//! - Enters: the lists of the folders of records.
//! - Leaves: of each run and number the places that list it, so that nothing is opened where it is
//!   not.
//! - Always holds: a folder that cannot be listed may have every file.

use super::found::{FoundDrive, FoundSet, slots};
use crate::format::ids::{RunId, parse_record_name};
use crate::monitor::{Monitor, Problem, ProblemKind};
use std::collections::{BTreeMap, BTreeSet};

/// Places on the drives of a set, by number: drive by drive, that of the second copy after its own.
pub(super) type CopyPlaces = Vec<u16>;

/// The record files, by run and number.
pub(super) type NamedRecords = BTreeMap<RunId, BTreeMap<u32, CopyPlaces>>;

/// The record files that drives list.
pub(super) fn named(set: &FoundSet) -> NamedRecords {
    let mut named = NamedRecords::new();
    for (name, places) in set.placed("records") {
        if let Some((run, number)) = parse_record_name(&name) {
            named.entry(run).or_default().insert(number, places);
        }
    }
    named
}

/// The drives of these places.
pub(super) fn drives_of<'a>(
    set: &'a FoundSet,
    places: impl IntoIterator<Item = &'a u16>,
) -> Vec<&'a FoundDrive> {
    let at: BTreeSet<usize> = places.into_iter().map(|place| usize::from(place / 2)).collect();
    set.all_drives().enumerate().filter(|(i, _)| at.contains(i)).map(|(_, found)| found).collect()
}

/// How many known slots the drives of these places have.
pub(super) fn slot_count(set: &FoundSet, places: &[u16]) -> usize {
    slots(drives_of(set, places)).len()
}

/// The record files that are missing on drives, by the drive's number: how many, and one of them.
#[derive(Default)]
pub(super) struct MissingFiles(BTreeMap<usize, (u64, String)>);

impl MissingFiles {
    /// Notes a file that lies at these places, by its path in the set's folder.
    pub(super) fn note(&mut self, set: &FoundSet, path: &str, places: &[u16]) {
        for drive in 0..set.all_drives().count() {
            if !places.contains(&(drive as u16 * 2)) {
                self.0.entry(drive).or_insert_with(|| (0, path.into())).0 += 1;
            }
        }
    }

    /// Reports them, each drive once.
    pub(super) fn report(self, set: &FoundSet, monitor: &dyn Monitor) {
        let drives: Vec<&FoundDrive> = set.all_drives().collect();
        for (drive, (count, path)) in self.0 {
            let place = format!("{}: {}", drives[drive].drive.name(), set.folder);
            let (subject, detail) = match count {
                1 => (format!("{place}/{path}"), "is missing".into()),
                _ => (
                    format!("{place}/records"),
                    format!(
                        "{count} record files that other drives have are missing, such as {path}"
                    ),
                ),
            };
            monitor.problem(Problem::new(ProblemKind::Damage, subject, detail));
        }
    }
}
