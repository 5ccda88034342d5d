//! The drives of a set, checked at the same time.
//!
//! - Enters: drives, how deep each is read, and what their metadata files are held against.
//! - Leaves: what was found on each, in the same order; progress, by drive.
//! - Always holds: metadata files are checked only on a drive that was read to its end: of one that
//!   is gone none can be read either, which need not be reported.

use super::drive::{Depth, DriveCheck};
use super::report::DriveReport;
use crate::drives::{ReadMode, on_each};
use crate::metadata_files::expected::MetadataFiles;
use crate::metadata_files::inspect::BadMetadataFiles;
use crate::monitor::Monitor;
use crate::shipment::{FoundDrive, FoundSet, RecordIndex};
use std::collections::BTreeSet;

/// A set whose drives are checked.
pub struct SetCheck<'a> {
    pub set: &'a FoundSet,
    pub record_index: &'a RecordIndex,
    /// what metadata files are held against; none: they are not checked
    pub metadata_files: Option<MetadataFiles<'a>>,
    pub monitor: &'a dyn Monitor,
}

/// A drive to be checked.
pub struct DriveToCheck<'a> {
    pub found: &'a FoundDrive,
    /// its number for the monitor
    pub number: usize,
    /// bytes to be read of its shards
    pub bytes: u64,
    pub depth: Depth<'a>,
}

/// What was found on a drive.
pub struct CheckedDrive {
    pub report: DriveReport,
    /// damaged or missing key files that no drive here has
    pub lost_keys: u64,
    /// files without which nothing is restored, of which it has no sound copy
    pub lacking: BTreeSet<String>,
}

impl SetCheck<'_> {
    /// Reads and checks these drives, each on a thread of its own.
    pub fn run(&self, drives: &[DriveToCheck]) -> Vec<CheckedDrive> {
        for drive in drives {
            self.monitor.drive(drive.number, &drive.found.case_and_name(), drive.bytes);
        }
        on_each(drives.len(), |i| self.check(&drives[i]))
    }

    fn check(&self, drive: &DriveToCheck) -> CheckedDrive {
        let monitor = self.monitor;
        let progress = |bytes: u64| {
            monitor.advance(bytes);
            monitor.drive_advance(drive.number, bytes);
        };
        let check = DriveCheck {
            found: drive.found,
            folder: &self.set.folder,
            record_index: self.record_index,
            mode: ReadMode::Medium,
            monitor,
            progress: &progress,
        };
        let mut report = check.run(drive.depth.clone());
        let Some(metadata_files) = self.metadata_files else {
            return CheckedDrive { report, lost_keys: 0, lacking: BTreeSet::new() };
        };
        let bad = if report.vanished || report.stopped {
            BadMetadataFiles::default()
        } else {
            metadata_files.check(drive.found, monitor)
        };
        report.bad_metadata_files = bad.all;
        let lacking = if bad.all > 0 {
            metadata_files.lacking(drive.found, u64::MAX, monitor)
        } else {
            BTreeSet::new()
        };
        report.stopped |= monitor.should_stop(); // perhaps not all metadata files were checked
        CheckedDrive { report, lost_keys: bad.lost_keys, lacking }
    }
}
