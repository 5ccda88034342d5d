//! What was packed of a set, and what its read-back says.

use crate::check::damage::Verdict;
use crate::check::report::DriveReport;
use crate::drives::Level;
use crate::format::ids::{SetNumber, ShipmentId};
use crate::packer::Packed;
use serde::Serialize;

/// What was packed, and what the read-back says.
#[derive(Serialize)]
pub struct PackOutcome {
    pub shipment: ShipmentId,
    #[serde(flatten)]
    pub packed: Packed,
    /// bytes of the dataset that are in the set, without holes; none if every file of the set lies
    /// in it whole
    pub part_bytes: Option<u64>,
    /// what was read back from each drive; empty if that was not asked for
    #[serde(skip)]
    pub reports: Vec<Option<DriveReport>>,
    /// does every stripe keep what it needs
    #[serde(skip)]
    pub verdict: Option<Verdict>,
    pub set: SetNumber,
    /// bytes of the dataset that wait for further sets, or for the rest of one that was stopped
    pub left_bytes: u64,
    /// entries that wait for them
    pub left_entries: u64,
    /// entries that this set has and none before; one that runs on counts where it ends
    #[serde(skip)]
    pub new_entries: u64,
    /// it was closed before its drives were full
    pub early: bool,
}

impl PackOutcome {
    /// Was the read-back stopped before its end? The set is closed all the same.
    pub fn read_back_stopped(&self) -> bool {
        self.reports.iter().flatten().any(|r| r.stopped)
    }

    /// Is everything written, and read back from the medium?
    pub fn is_proven(&self) -> bool {
        let good = |r: &Option<DriveReport>| {
            r.as_ref().is_some_and(|r| r.is_whole() && r.level >= Level::Dropped)
        };
        !self.reports.is_empty() && self.reports.iter().all(good)
    }

    /// Did the read-back find less than can be restored from?
    pub fn is_lost(&self) -> bool {
        self.verdict.as_ref().is_some_and(|verdict| !verdict.restorable())
    }
}
