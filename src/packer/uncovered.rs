//! Parity along the drives for shards that earlier runs of the set have left without.
//!
//! - Enters: the set as its drives show it when it is resumed.
//! - Leaves: each such shard, read again, in its drive's sum; sums that are full are written.
//! - Always holds: a shard that does not read as it was written stays without.

use super::commit::Committer;
use crate::drives::ReadMode;
use crate::drives::buffer::Buffer;
use crate::format::ids::{Slot, shard_path};
use crate::format::record::{Member, StripeKind};
use crate::monitor::{Monitor, Recording};
use crate::shards::shard::{RecordedShard, StoredShard};
use crate::shipment::FoundSet;
use crate::shipment::RecordIndex;
use crate::shipment::record_reader::RecordReader;
use crate::stages::parity::add_to;
use std::collections::{BTreeMap, BTreeSet};

impl Committer<'_> {
    /// Adds the shards that earlier runs have put on the drives without parity along, from the
    /// drives. One that does not read as it was written stays without.
    pub fn cover_prior_shards(&mut self, set: &FoundSet, monitor: &dyn Monitor) {
        let job = self.job;
        if job.plan.survive.members().is_none() {
            return;
        }
        let record_index = RecordIndex::open(set, None, &Recording::default());
        let (mut reader, mut buffer) = (RecordReader::new(&record_index), Buffer::default());
        for (slot, members) in uncovered(&record_index) {
            let drive = slot.0 as usize - 1;
            for member in members {
                if monitor.should_stop() || self.failed.get(drive) != Some(&false) {
                    break;
                }
                let Some(record) = reader.find(member.stripe) else { continue };
                let shard = shard_path(member.stripe, member.index);
                let path = format!("{}/{shard}", job.folder());
                let shard = RecordedShard { record: &record, index: member.index.into() };
                let (from, mode) = (job.drives[drive].drive.as_ref(), ReadMode::Cached);
                let stored = StoredShard { drive: from, path: &path, shard, mode };
                if !stored.read(&mut buffer).is_ok_and(|shard| shard.bad.is_empty()) {
                    continue;
                }
                for sum in self.along.sums(&[slot.0], &self.failed).into_iter().flatten() {
                    add_to(sum, &buffer);
                }
                if let Some(sum) = self.along.add(drive, member, record.blocks) {
                    self.write_sum(drive, sum);
                }
            }
        }
    }
}

/// Shards that are no member of a stripe along, by slot, in order.
fn uncovered(record_index: &RecordIndex) -> BTreeMap<Slot, Vec<Member>> {
    let mut uncovered: BTreeMap<Slot, Vec<Member>> = BTreeMap::new();
    record_index.walk(&Recording::default(), |record| {
        match record.kind {
            StripeKind::Across => {
                for (index, shard) in record.shards.iter().enumerate() {
                    let member = Member { stripe: record.id, index: index as u8 };
                    uncovered.entry(shard.slot).or_default().push(member);
                }
            }
            StripeKind::Along => {
                let covered: BTreeSet<Member> = record.members.iter().copied().collect();
                for shard in &record.shards {
                    let of_slot = uncovered.entry(shard.slot).or_default();
                    of_slot.retain(|member| !covered.contains(member));
                }
            }
        }
        true
    });
    uncovered
}
