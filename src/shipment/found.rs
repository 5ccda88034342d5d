//! A set as it was found: its drives, what their labels say of it, and which set.txt counts.

use crate::drives::Drive;
use crate::format::ids::{SetNumber, ShipmentId, Slot, set_folder};
use crate::format::label::{Label, MOST_CHUNK_BYTES};
use crate::format::layout::COPY;
use crate::format::set::SetText;
use crate::format::shown::typed;
use crate::shards::bad_blocks::BadBlocks;
use std::collections::BTreeSet;
use std::sync::Arc;

/// A drive with one set's folder on it.
#[derive(Clone)]
pub struct FoundDrive {
    pub drive: Arc<dyn Drive>,
    /// its label in this set; slot 0 if nothing tells its slot
    pub label: Label,
}

impl FoundDrive {
    /// How progress names it: `case path`.
    pub fn case_and_name(&self) -> String {
        format!("{} {}", self.label.case, self.drive.name())
    }
}

/// The drives found of one set.
#[derive(Clone)]
pub struct FoundSet {
    pub shipment: ShipmentId,
    pub set: SetNumber,
    /// the set's folder on every drive
    pub folder: String,
    /// one of each slot found, by slot
    pub drives: Vec<FoundDrive>,
    /// further drives of a slot that was found already: an alternate source
    pub duplicates: Vec<FoundDrive>,
    /// where shards of drives that were here before are kept
    pub stage: Option<Arc<dyn Drive>>,
    /// what drives could not give, these and those that were here before
    pub bad_blocks: Option<Arc<BadBlocks>>,
    /// which set.txt counts
    pub settled: Settled,
}

/// Which set.txt of a set counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Settled {
    /// nothing but the drives can tell: the one that most of them vouch for
    #[default]
    ByDrives,
    /// this one: by the key, or by a root that the user has from elsewhere
    Text(Arc<SetText>),
    /// none: with the key, what lies on the drives is not authentic
    Nothing,
}

/// The slots of these drives, as far as they are known.
pub(super) fn slots<'a>(drives: impl IntoIterator<Item = &'a FoundDrive>) -> BTreeSet<Slot> {
    drives.into_iter().map(|found| found.label.slot).filter(|slot| *slot != Slot(0)).collect()
}

impl FoundSet {
    /// What the labels say of the whole set.
    pub fn label(&self) -> &Label {
        &self.drives[0].label
    }

    /// The most plain bytes that a chunk may have: twice the largest C that a label names.
    pub fn most_plain(&self) -> u32 {
        let named = self.all_drives().map(|found| found.label.chunk_bytes).max();
        2 * named.filter(|bytes| *bytes > 0).unwrap_or(MOST_CHUNK_BYTES)
    }

    /// How many drives the set has.
    pub fn drive_count(&self) -> u16 {
        self.label().drives
    }

    /// The drive in a slot, if it is here.
    pub fn drive(&self, slot: Slot) -> Option<&FoundDrive> {
        self.drives.iter().find(|d| d.label.slot == slot)
    }

    /// Slots of the set that are not here.
    pub fn missing_slots(&self) -> Vec<Slot> {
        (1..=self.drive_count()).map(Slot).filter(|s| self.drive(*s).is_none()).collect()
    }

    /// `1234…-001`, as its folder is called.
    pub fn name(&self) -> String {
        set_folder(self.shipment, self.set)
    }

    /// All drives, the duplicates last.
    pub fn all_drives(&self) -> impl Iterator<Item = &FoundDrive> {
        self.drives.iter().chain(&self.duplicates)
    }

    /// The names of all drives, quoted for a shell.
    pub fn quoted_drives(&self) -> Vec<String> {
        self.all_drives().map(|found| typed(found.drive.name())).collect()
    }

    /// What to type to remove the set from the drives that are here.
    pub fn erase_command(&self) -> String {
        format!("holdall erase {} --set {}", self.quoted_drives().join(" "), self.name())
    }

    /// The paths on a drive where a file of the set may lie: itself and its second copy.
    pub fn paths(&self, path: &str) -> [String; 2] {
        let join = |folder: &str| match path {
            "" => folder.to_string(),
            _ => format!("{folder}/{path}"),
        };
        [join(&self.folder), join(&format!("{}/{COPY}", self.folder))]
    }
}
