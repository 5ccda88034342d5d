//! A lost drive is reconstructed on a new one: which slot it takes.
//!
//! A new drive gets [`REPAIR_MARK`] first and its label next, before anything else: so a repair
//! that was broken off finds it in its slot, also as a plain drive of the set. The mark goes when
//! the drive is whole: the same command then takes it as a drive of the set.

use super::metadata_files::REPAIR_MARK;
use crate::drives::{Drive, DriveError};
use crate::format::ids::Slot;
use crate::format::label::{Label, MAX_LABEL_BYTES};
use crate::format::layout::COPY;
use crate::format::set::{SetText, SlotLine};
use crate::metadata_files::content::made_labels;
use crate::monitor::Monitor;
use crate::shipment::cleanup::is_group;
use crate::shipment::{FoundDrive, FoundSet};
use std::sync::Arc;

/// A new drive, and the case it goes into.
pub struct NewDrive {
    pub case: String,
    pub drive: Arc<dyn Drive>,
}

/// Why a lost drive cannot be reconstructed on this one.
#[derive(Debug, thiserror::Error)]
pub enum OntoError {
    /// It carries the set already, and cannot take a lost drive's place.
    #[error("{drive} carries set {set} already, as slot {slot}")]
    Carries {
        drive: String,
        set: String,
        /// the slot that its label names
        slot: Slot,
    },
    /// Every drive of the set is here.
    #[error("no drive of set {set} is missing: there is nothing to reconstruct on {drive}")]
    NothingMissing { set: String, drive: String },
    /// The slot that was asked for is not free.
    #[error("slot {slot} of set {set} is not missing")]
    NotMissing { set: String, slot: Slot },
    /// The drive cannot be used.
    #[error(transparent)]
    Drive(#[from] DriveError),
    /// It has too little room.
    #[error("{drive} has room for {free} bytes, and {needed} are needed")]
    Room { drive: String, free: u64, needed: u64 },
}

/// A drive in its slot.
pub struct PlacedDrive {
    /// the drive, and the label that it has or gets
    pub found: FoundDrive,
    /// it is not reconstructed yet
    pub new: bool,
}

/// The slots that new drives take, and their labels. One that was reconstructed before stays what
/// it is.
pub fn place(
    set: &FoundSet,
    text: Option<&SetText>,
    new: &[NewDrive],
    asked: Option<Slot>,
    monitor: &dyn Monitor,
) -> Result<Vec<PlacedDrive>, OntoError> {
    let mut missing = set.missing_slots();
    if let Some(slot) = asked.filter(|slot| !missing.contains(slot)) {
        return Err(OntoError::NotMissing { set: set.name(), slot });
    }
    let mut placed = Vec::new();
    for new in new {
        let begun = match begun(set, new)? {
            BegunDrive::Nothing => None,
            BegunDrive::Part(slot) => Some(slot),
            BegunDrive::Whole(label) => {
                let slot = label.slot;
                if !missing.contains(&slot) || asked.is_some_and(|asked| asked != slot) {
                    return Err(carries(set, new, slot));
                }
                missing.retain(|other| *other != slot);
                let drive = new.drive.name();
                monitor.note(&format!(
                    "{drive} is slot {slot} of set {} already: it is repaired in place",
                    set.name()
                ));
                let found = FoundDrive { drive: new.drive.clone(), label: *label };
                placed.push(PlacedDrive { found, new: false });
                continue;
            }
        };
        if let Some(slot) = begun.filter(|slot| !missing.contains(slot)) {
            return Err(OntoError::NotMissing { set: set.name(), slot });
        }
        let case_of = |slot: Slot| {
            let line = text.and_then(|text| text.slots.iter().find(|s| s.slot == slot));
            line.and_then(SlotLine::known_case)
        };
        let same_case = |slot: &&Slot| case_of(**slot).is_none_or(|case| case == new.case);
        let slot =
            begun.or(asked).or_else(|| missing.iter().find(same_case).or(missing.first()).copied());
        let Some(slot) = slot else {
            let drive = new.drive.name().into();
            return Err(OntoError::NothingMissing { set: set.name(), drive });
        };
        missing.retain(|other| *other != slot);
        let case = case_of(slot).unwrap_or_else(|| new.case.clone());
        if case != new.case {
            monitor.note(&format!(
                "{}: slot {slot} belongs to case {case}; in case {} the rule is weakened, as more \
                 of a stripe can be lost with that case",
                new.drive.name(),
                new.case,
            ));
        }
        let own = || Label { slot, case: case.clone(), ..set.label().clone() };
        let label = made_labels(set, slot, &case, text).into_iter().next().unwrap_or_else(own);
        placed
            .push(PlacedDrive { found: FoundDrive { drive: new.drive.clone(), label }, new: true });
    }
    Ok(placed)
}

/// What lies on a new drive of the set already.
enum BegunDrive {
    /// nothing that tells a slot
    Nothing,
    /// what a repair that was broken off has made of this slot
    Part(Slot),
    /// a drive of the set
    Whole(Box<Label>),
}

fn begun(set: &FoundSet, new: &NewDrive) -> Result<BegunDrive, OntoError> {
    let drive = new.drive.as_ref();
    let names = drive.list(&set.folder)?;
    let label = |folder: String| {
        let bytes = drive.read(&format!("{folder}/label.json"), MAX_LABEL_BYTES).ok()?;
        let label = Label::decode(&bytes).ok()?;
        ((label.shipment, label.set) == (set.shipment, set.set)).then_some(label)
    };
    let label = label(set.folder.clone()).or_else(|| label(format!("{}/{COPY}", set.folder)));
    let begun = names.iter().any(|name| name == REPAIR_MARK);
    let shards = drive.list(&format!("{}/shards", set.folder))?;
    let has_shards = shards.iter().any(|name| is_group(name));
    match label {
        Some(label) if begun || !has_shards => Ok(BegunDrive::Part(label.slot)),
        Some(label) => Ok(BegunDrive::Whole(label.into())),
        None if begun || !has_shards => Ok(BegunDrive::Nothing),
        None => Err(carries(set, new, Slot(0))),
    }
}

fn carries(set: &FoundSet, new: &NewDrive, slot: Slot) -> OntoError {
    OntoError::Carries { drive: new.drive.name().into(), set: set.name(), slot }
}
