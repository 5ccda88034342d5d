//! What the check of a drive found, as a custody note.
//!
//! - Enters: whose drive it is, when and by whom it was checked, and what was found.
//! - Leaves: a note.
//! - Always holds: what was not read has no result, and what was damaged is not called whole.

use super::report::DriveReport;
use crate::format::custody::{
    CustodyDepth, CustodyEvent, CustodyNote, CustodyResult, VERSION, WHAT,
};
use crate::format::ids::{SetNumber, ShipmentId, Slot};
use crate::format::label::PROGRAM;

/// What is said of a check besides what was found.
#[derive(Clone, Debug, Default)]
pub struct Remark {
    /// who checks, as typed
    pub by: String,
    /// anything else, as typed
    pub text: String,
}

/// A check of the drives of a set.
pub struct SetChecked<'a> {
    pub event: CustodyEvent,
    pub time: String,
    pub remark: &'a Remark,
    pub shipment: ShipmentId,
    pub set: SetNumber,
    /// of the set.txt that was believed, in hexadecimal
    pub root: Option<String>,
    pub depth: CustodyDepth,
    /// no record was at hand
    pub is_blank: bool,
}

impl SetChecked<'_> {
    /// The note of one of the drives.
    pub fn note(&self, slot: Slot, case: &str, report: &DriveReport) -> CustodyNote {
        CustodyNote {
            what: WHAT.into(),
            version: VERSION,
            event: self.event,
            time: self.time.clone(),
            by: self.remark.by.clone(),
            text: self.remark.text.clone(),
            program: PROGRAM.into(),
            shipment: self.shipment,
            set: self.set,
            slot,
            case: case.into(),
            root: self.root.clone(),
            depth: self.depth,
            level: report.level.name().into(),
            bytes: report.bytes,
            result: self.result(report),
            missing_shards: report.missing_shards,
            bad_blocks: report.bad_blocks,
            bad_files: report.bad_metadata_files + report.long_shards,
        }
    }

    fn result(&self, report: &DriveReport) -> CustodyResult {
        match report {
            DriveReport { vanished: true, .. } => CustodyResult::Gone,
            DriveReport { stopped: true, bytes: 0, .. } => CustodyResult::NotRead,
            DriveReport { stopped: true, .. } => CustodyResult::Stopped,
            report if !report.is_whole() => CustodyResult::Damaged,
            _ if self.is_blank => CustodyResult::Unknown,
            _ => CustodyResult::Whole,
        }
    }
}
