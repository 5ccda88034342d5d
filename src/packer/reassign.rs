//! Stripes that were filled before a drive failed: another drive for the shard that it was to get.

use super::job::SetJob;
use crate::drives::writer::Writers;
use crate::format::record::Reason;
use crate::plan::place::StripePlace;
use crate::plan::survive::parity_needed;
use std::collections::BTreeMap;

/// The place of a stripe, with another drive for each that has failed: one that the stripe does not
/// lie on, if the rule is kept there too. Otherwise the stripe lacks that shard until `repair`.
pub fn reassigned(
    job: &SetJob,
    writers: &Writers,
    place: StripePlace,
    reason: Reason,
) -> (StripePlace, Reason) {
    if writers.failures() == 0 {
        return (place, reason);
    }
    let failed = writers.failed();
    let has_failed = |slot: u16| failed[slot as usize - 1].is_some();
    let mut anew = place.clone();
    for index in 0..place.slots.len() {
        if !has_failed(place.slots[index]) {
            continue;
        }
        let others = (1..=job.drives.len() as u16)
            .filter(|slot| !has_failed(*slot) && !anew.slots.contains(slot));
        let mut fitting = others.filter(|slot| {
            let mut slots = anew.slots.clone();
            slots[index] = *slot;
            keeps_rule(job, &slots, place.m)
        });
        if let Some(slot) = fitting.next() {
            anew.slots[index] = slot;
        }
    }
    let reason = if anew.slots == place.slots { reason } else { Reason::DriveLost };
    (anew, reason)
}

/// Can a stripe on these slots lose what the rule says?
fn keeps_rule(job: &SetJob, slots: &[u16], m: usize) -> bool {
    let per_case = drives_per_case(job, slots.iter().map(|slot| *slot as usize - 1));
    parity_needed(&per_case, job.plan.survive) <= m
}

/// How many of these drives, by slot from 0, each case has.
pub fn drives_per_case(job: &SetJob, drives: impl Iterator<Item = usize>) -> Vec<usize> {
    let mut per_case: BTreeMap<&str, usize> = BTreeMap::new();
    for drive in drives {
        *per_case.entry(&job.drives[drive].case).or_default() += 1;
    }
    per_case.into_values().collect()
}
