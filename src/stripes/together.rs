//! Which drives of a set have to be attached together to reconstruct what is lost. With nothing
//! lost, one at a time is enough.
//!
//! - Enters: the records, and the slots that are lost.
//! - Leaves: groups of slots, and how many of each group are needed at once.
//! - Always holds: every stripe that can be restored is counted in one group; a stripe gives back
//!   its data from any k of its shards, so with that many drives of every group attached nothing
//!   waits.

use crate::format::ids::Slot;
use crate::format::record::{StripeKind, StripeRecord};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Groups that are told apart; drives of unequal size make a few.
const MOST_GROUPS: usize = 32;

/// Drives of which some have to be attached at once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Together {
    /// those that are left of the stripes' drives
    pub slots: Vec<Slot>,
    /// how many of them
    pub at_once: usize,
    /// stripes that lie on them
    pub stripes: u64,
}

/// The groups of a set without the slots that are lost.
pub struct Groups<'a> {
    lost: &'a BTreeSet<Slot>,
    stripes: BTreeMap<(Vec<Slot>, usize), u64>,
    /// those that are not told apart
    others: Together,
}

impl<'a> Groups<'a> {
    /// Of no record yet.
    pub fn new(lost: &'a BTreeSet<Slot>) -> Self {
        let others = Together { slots: Vec::new(), at_once: 0, stripes: 0 };
        Self { lost, stripes: BTreeMap::new(), others }
    }

    /// Takes the next record.
    pub fn add(&mut self, record: &StripeRecord) {
        if record.kind == StripeKind::Along {
            return;
        }
        let slots = record.shards.iter().map(|shard| shard.slot);
        let mut slots: Vec<Slot> = slots.filter(|slot| !self.lost.contains(slot)).collect();
        let at_once = record.k as usize;
        if slots.len() < at_once {
            return; // not restorable, whatever is attached
        }
        slots.sort_unstable();
        let key = (slots, at_once);
        if self.stripes.len() < MOST_GROUPS || self.stripes.contains_key(&key) {
            *self.stripes.entry(key).or_default() += 1;
        } else {
            // Too many to be told apart: all of their drives.
            self.others.slots.extend(key.0);
            self.others.stripes += 1;
        }
    }

    /// The groups; those with the most stripes first.
    pub fn end(self) -> Vec<Together> {
        let Self { stripes, mut others, .. } = self;
        let group = |((slots, at_once), stripes)| Together { slots, at_once, stripes };
        let mut groups: Vec<Together> = stripes.into_iter().map(group).collect();
        if others.stripes > 0 {
            others.slots.sort_unstable();
            others.slots.dedup();
            others.at_once = others.slots.len();
            groups.push(others);
        }
        groups.sort_by_key(|group| std::cmp::Reverse(group.stripes));
        groups
    }
}
