//! Which drives of a set have to be attached together to rebuild what is lost. With nothing lost, one at
//! a time is enough.
//!
//! - Enters: the records, and the slots that are lost.
//! - Leaves: groups of slots, and how many of each group are needed at once.
//! - Always holds: every stripe that can be restored is counted in one group; a stripe gives back its
//!   data from any k of its shards, so with that many drives of every group attached nothing waits.

use super::book::Book;
use crate::format::ids::Slot;
use crate::format::record::StripeKind;
use crate::monitor::Monitor;
use std::collections::{BTreeMap, BTreeSet};

/// Groups that are told apart; drives of unequal size make a few.
const MOST_GROUPS: usize = 32;

/// Drives of which some have to be attached at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Together {
    /// those that are left of the stripes' drives
    pub slots: Vec<Slot>,
    /// how many of them
    pub at_once: usize,
    /// stripes that lie on them
    pub stripes: u64,
}

/// The groups of a set without the slots that are lost; those with the most stripes first.
pub fn together(book: &Book, lost: &BTreeSet<Slot>, monitor: &dyn Monitor) -> Vec<Together> {
    let mut groups: BTreeMap<(Vec<Slot>, usize), u64> = BTreeMap::new();
    let mut others = Together { slots: Vec::new(), at_once: 0, stripes: 0 };
    book.walk(monitor, |record| {
        if record.kind == StripeKind::Along {
            return true;
        }
        let slots = record.shards.iter().map(|shard| shard.slot);
        let mut slots: Vec<Slot> = slots.filter(|slot| !lost.contains(slot)).collect();
        let at_once = record.k as usize;
        if slots.len() < at_once {
            return true; // not restorable, whatever is attached
        }
        slots.sort_unstable();
        let key = (slots, at_once);
        if groups.len() < MOST_GROUPS || groups.contains_key(&key) {
            *groups.entry(key).or_default() += 1;
        } else {
            // Too many to be told apart: all of their drives.
            others.slots.extend(key.0);
            others.stripes += 1;
        }
        true
    });
    let group = |((slots, at_once), stripes)| Together { slots, at_once, stripes };
    let mut groups: Vec<Together> = groups.into_iter().map(group).collect();
    if others.stripes > 0 {
        others.slots.sort_unstable();
        others.slots.dedup();
        others.at_once = others.slots.len();
        groups.push(others);
    }
    groups.sort_by_key(|group| std::cmp::Reverse(group.stripes));
    groups
}
