//! How the drives of a set fare while stripes are fetched from them: which are read in haste, which
//! are skipped for a while, and which are gone.
//!
//! - Enters: how the reading of each shard went.
//! - Leaves: whether and how to read the next one.
//! - Always holds: (1) a drive that no longer answers is told once and not asked again; (2) what is
//!   skipped here is only not read first: see [`super::reading`].

use super::check::answers;
use super::open::FoundSet;
use super::reading::Haste;
use crate::format::ids::Slot;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

#[derive(Default)]
struct Pace {
    haste: Haste,
    skip: u64,
    gone: bool,
    /// the last shard that could be read whole
    read_before: Option<String>,
    /// of blocks that there is no doing without
    patient: Option<Haste>,
}

/// The drives' paces, by slot.
#[derive(Default)]
pub(super) struct Paces(Mutex<HashMap<Slot, Pace>>);

impl Paces {
    fn lock(&self) -> MutexGuard<'_, HashMap<Slot, Pace>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How to read a shard of this slot; none: not now.
    pub fn begin(&self, slot: Slot) -> Option<Haste> {
        let mut paces = self.lock();
        let pace = paces.entry(slot).or_default();
        if pace.gone || pace.skip > 0 {
            pace.skip = pace.skip.saturating_sub(1);
            return None;
        }
        Some(pace.haste)
    }

    /// How to read blocks of this slot that there is no doing without.
    pub fn patient(&self, slot: Slot) -> Haste {
        self.lock().entry(slot).or_default().patient.unwrap_or(Haste::never())
    }

    /// How that went.
    pub fn end_patient(&self, slot: Slot, haste: Haste) {
        self.lock().entry(slot).or_default().patient = Some(haste);
    }

    /// Is the slot's drive gone?
    pub fn is_gone(&self, slot: Slot) -> bool {
        self.lock().get(&slot).is_some_and(|pace| pace.gone)
    }

    /// A shard of this slot was read well enough, and whole if its path is said.
    pub fn end_read(&self, slot: Slot, haste: Haste, whole: Option<String>) {
        let mut paces = self.lock();
        let pace = paces.entry(slot).or_default();
        pace.haste = haste;
        pace.haste.skip(true);
        if whole.is_some() {
            pace.read_before = whole;
        }
    }

    /// Nothing of a shard of this slot could be read: says whether the drive is found to be gone.
    pub fn end_unread(&self, set: &FoundSet, slot: Slot, haste: Haste) -> bool {
        let before = self.lock().get(&slot).and_then(|pace| pace.read_before.clone());
        let mut here = set.all_drives().filter(|found| found.label.slot == slot);
        let gone = !here.any(|found| answers(found.drive.as_ref(), &set.folder, before.as_deref()));
        let mut paces = self.lock();
        let pace = paces.entry(slot).or_default();
        pace.haste = haste;
        pace.skip = pace.haste.skip(false);
        let known = pace.gone;
        pace.gone |= gone;
        gone && !known
    }
}
