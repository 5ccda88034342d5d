//! How outcomes name the drives of a set.

use super::found::FoundDrive;
use crate::format::ids::Slot;
use serde::Serialize;

/// A drive that is here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AttachedDrive {
    /// 0 if its label does not say
    pub slot: Slot,
    pub case: String,
    /// its path
    pub drive: String,
}

impl From<&FoundDrive> for AttachedDrive {
    fn from(found: &FoundDrive) -> Self {
        let (label, drive) = (&found.label, found.drive.name().to_owned());
        Self { slot: label.slot, case: label.case.clone(), drive }
    }
}

/// A drive that is not here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MissingSlot {
    pub slot: Slot,
    /// if set.txt tells it
    pub case: Option<String>,
}
