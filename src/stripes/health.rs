//! How the drives of a set fare while stripes are fetched from them: which are read sparingly,
//! which are skipped for a while, and which are gone.
//!
//! - Enters: how the reading of each shard went.
//! - Leaves: whether and how to read the next one.
//! - Always holds: (1) a drive that no longer answers is reported once and not asked again; (2)
//!   what is skipped here is only not read first: see [`crate::shards::reading`].

use crate::format::ids::Slot;
use crate::shards::answers::answers;
use crate::shards::reading::SkipPolicy;
use crate::shipment::FoundSet;
use parking_lot::{Mutex, MutexGuard};
use std::collections::HashMap;

#[derive(Default)]
struct DriveHealth {
    policy: SkipPolicy,
    skip: u64,
    gone: bool,
    /// the last shard that could be read whole
    read_before: Option<String>,
    /// of blocks that there is no doing without
    last_resort: Option<SkipPolicy>,
}

/// The drives' health, by slot.
#[derive(Default)]
pub(super) struct HealthTable(Mutex<HashMap<Slot, DriveHealth>>);

impl HealthTable {
    fn lock(&self) -> MutexGuard<'_, HashMap<Slot, DriveHealth>> {
        self.0.lock()
    }

    /// How to read a shard of this slot; none: not now.
    pub fn begin(&self, slot: Slot) -> Option<SkipPolicy> {
        let mut health = self.lock();
        let health = health.entry(slot).or_default();
        if health.gone || health.skip > 0 {
            health.skip = health.skip.saturating_sub(1);
            return None;
        }
        Some(health.policy)
    }

    /// How to read blocks of this slot that there is no doing without.
    pub fn begin_last_resort(&self, slot: Slot) -> SkipPolicy {
        self.lock().entry(slot).or_default().last_resort.unwrap_or(SkipPolicy::never())
    }

    /// How that went.
    pub fn end_last_resort(&self, slot: Slot, policy: SkipPolicy) {
        self.lock().entry(slot).or_default().last_resort = Some(policy);
    }

    /// Is the slot's drive gone?
    pub fn is_gone(&self, slot: Slot) -> bool {
        self.lock().get(&slot).is_some_and(|health| health.gone)
    }

    /// A shard of this slot was read well enough, and whole if its path is said.
    pub fn end_read(&self, slot: Slot, policy: SkipPolicy, whole: Option<String>) {
        let mut health = self.lock();
        let health = health.entry(slot).or_default();
        health.policy = policy;
        health.policy.skip(true);
        if whole.is_some() {
            health.read_before = whole;
        }
    }

    /// Nothing of a shard of this slot could be read: says whether the drive is found to be gone.
    pub fn end_unread(&self, set: &FoundSet, slot: Slot, policy: SkipPolicy) -> bool {
        let before = self.lock().get(&slot).and_then(|health| health.read_before.clone());
        let mut here = set.all_drives().filter(|found| found.label.slot == slot);
        let gone = !here.any(|found| answers(found.drive.as_ref(), &set.folder, before.as_deref()));
        let mut health = self.lock();
        let health = health.entry(slot).or_default();
        health.policy = policy;
        health.skip = health.policy.skip(false);
        let known = health.gone;
        health.gone |= gone;
        gone && !known
    }
}
