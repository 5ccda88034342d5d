//! What was found of a set and its drives.

use crate::check::damage::Verdict;
use crate::check::report::DriveReport;
use crate::drives::{Drive, Level};
use crate::format::ids::{RunId, SetNumber, ShipmentId, Slot};
use crate::restorer::check::Decoded;
use serde::Serialize;
use std::collections::BTreeSet;
use std::sync::Arc;

/// What was found on one drive.
#[derive(Serialize)]
pub struct DriveOutcome {
    pub slot: Slot,
    pub case: String,
    /// its path
    #[serde(rename = "drive")]
    pub name: String,
    /// itself
    #[serde(skip)]
    pub drive: Arc<dyn Drive>,
    /// was all of it read, and is it as it was written?
    pub sound: bool,
    /// another drive of its slot is here: both are sources of the same shards
    pub double: bool,
    #[serde(flatten)]
    pub report: DriveReport,
    /// bytes to be read of its shards
    #[serde(skip)]
    pub expected_bytes: u64,
    /// damaged or missing files that no drive here has, and nobody can make again
    #[serde(skip)]
    pub lost_keys: u64,
    /// files without which nothing is restored, of which it has no sound copy
    #[serde(skip)]
    pub lacking: BTreeSet<String>,
}

impl DriveOutcome {
    /// Is everything on it as it was written?
    pub fn is_whole(&self) -> bool {
        self.report.is_whole()
    }

    /// Was it read to its end, and is something on it not as it was written?
    pub fn is_damaged(&self) -> bool {
        !self.is_whole() && !self.report.vanished && !self.report.stopped
    }
}

/// What was found of one set.
#[allow(clippy::struct_excessive_bools, reason = "each is a matter of its own")]
#[derive(Serialize)]
pub struct SetOutcome {
    #[serde(rename = "set")]
    pub name: String,
    /// its shipment and number
    #[serde(skip)]
    pub id: (ShipmentId, SetNumber),
    /// the rule it was packed under
    pub survive: String,
    /// drives of the set in all
    #[serde(skip)]
    pub drive_count: u16,
    /// drives that are here
    pub drives: Vec<DriveOutcome>,
    /// slots that are not here
    pub missing: Vec<Slot>,
    /// what it means
    #[serde(skip)]
    pub verdict: Verdict,
    /// BLAKE3 of set.txt in hexadecimal, if the set was closed
    pub root: Option<String>,
    /// the program that is at work on it now, if it is not closed
    pub in_use: Option<String>,
    /// runs of which the drives have different key files
    pub keys_differ: Vec<RunId>,
    /// what decoding everything showed, if there was a key
    #[serde(skip)]
    pub decoded: Option<Decoded>,
    /// another set of its shipment says that it is none: nothing of it can be lost
    #[serde(rename = "foreign")]
    pub is_foreign: bool,
    /// it was closed from its drives alone: nobody vouches for its end
    pub end_unknown: bool,
    /// its shipment has further sets
    #[serde(skip)]
    pub has_further: bool,
    /// records or copies of set.txt contradict each other: repair writes nothing until it is told
    /// the root
    #[serde(skip)]
    pub needs_root: bool,
    /// so it is, and not only because records are missing
    #[serde(skip)]
    pub disagrees: bool,
    /// copies of a wrapped key are here, and none is what the line beside it names
    #[serde(skip)]
    pub key_denied: bool,
    /// it is not closed, and records contradict each other, or one drive alone says of some that
    /// they are there: repair leaves them, and only the key tells which are the packer's
    pub needs_key: bool,
    /// drives that carry what was begun of the set and is no part of it, and nothing else of it
    #[serde(skip)]
    pub leftovers: Vec<String>,
}

impl SetOutcome {
    /// Is everything here and as it was written? A set that was never closed is not: nobody can
    /// tell it from a shortened one. Nor is, with the key, one that was closed from its drives
    /// alone.
    pub fn is_whole(&self) -> bool {
        let decoded =
            |d: &Decoded| d.is_complete() && d.catalog_agrees == Some(true) && !self.end_unknown;
        self.root.is_some()
            && !self.is_foreign
            && self.missing.is_empty()
            && self.keys_differ.is_empty()
            && self.is_restorable()
            && self.drives.iter().all(DriveOutcome::is_whole)
            && self.decoded.as_ref().is_none_or(decoded)
    }

    /// Was everything that is here read past the caches, and is it as it was written?
    pub fn is_proven(&self) -> bool {
        let good = |d: &DriveOutcome| {
            d.is_whole() && d.report.level >= Level::Dropped && d.report.sampled_blocks.is_none()
        };
        self.root.is_some() && self.drives.iter().all(good)
    }

    /// Was the reading stopped before its end?
    pub fn is_stopped(&self) -> bool {
        self.drives.iter().any(|d| d.report.stopped)
    }

    /// Is all that was read as it was written?
    pub fn is_sound_so_far(&self) -> bool {
        let sound =
            |d: &DriveOutcome| DriveReport { stopped: false, ..d.report.clone() }.is_whole();
        self.drives.iter().all(sound)
    }

    /// Was everything that is here read to its end, and is it as it was written?
    pub fn is_sound(&self) -> bool {
        self.drives.iter().all(DriveOutcome::is_whole)
            && self.keys_differ.is_empty()
            && !self.verdict.is_blank()
            && self.decoded.as_ref().is_none_or(|d| d.restored.lost == 0)
    }

    /// The same, and are drives missing?
    pub fn is_sound_in_part(&self) -> bool {
        self.is_sound() && !self.missing.is_empty() && !self.is_foreign
    }

    /// Can everything be restored from the drives that are here? Not known, and so no, if it was
    /// stopped.
    pub fn is_restorable(&self) -> bool {
        self.verdict.restorable()
            && !self.is_stopped()
            && self.decoded.as_ref().is_none_or(Decoded::is_complete)
    }

    /// Is something of it lost, as far as the drives here tell?
    pub fn has_lost(&self) -> bool {
        !self.is_restorable() && !self.is_foreign
    }
}
