//! Parity along each drive: the sums of its last shards.
//!
//! - Enters: the blocks of each sealed shard, as [`seal_stripe`] adds them to the sums.
//! - Leaves: after every K shards of a drive, and at the end, one parity shard over them: a stripe
//!   along, whose members they are.
//! - Always holds: (1) a shard that counts is a member of one stripe along, as soon as its set is
//!   closed; what a run before has left without is read again; (2) members of one stripe follow
//!   each other on the drive, so a burst that is shorter than a shard hits a column once; (3)
//!   memory: one shard a drive, and one more while it is written.
//!
//! [`seal_stripe`]: crate::stages::seal::seal_stripe

use crate::drives::buffer::{Pool, Pooled};
use crate::format::ids::StripeNumber;
use crate::format::record::Member;
use crate::format::shard::Blocks;
use crate::plan::geometry::Geometry;
use std::collections::BTreeMap;

/// The sums of all drives.
pub struct Along {
    /// K; none if the rule asks for no parity along
    most: Option<usize>,
    geometry: Geometry,
    /// by drive
    groups: Vec<PendingSum>,
    pool: Pool,
    next_number: u32,
}

/// The shards of one drive that wait for their parity.
struct PendingSum {
    sum: Pooled,
    members: Vec<Member>,
    /// blocks of the longest member
    count: usize,
}

/// A parity shard along a drive.
pub struct Sum {
    /// its stripe's number
    pub number: StripeNumber,
    /// its blocks, and what may lie behind them
    pub bytes: Pooled,
    /// what it is the parity of
    pub members: Vec<Member>,
    /// B and n
    pub blocks: Blocks,
}

impl Along {
    /// No sums yet; `most` shards make one.
    pub fn new(most: Option<usize>, drives: usize, geometry: Geometry) -> Self {
        let pool = Pool::keeping(drives);
        let groups = 0..if most.is_some() { drives } else { 0 };
        let groups = groups.map(|_| PendingSum::new(&pool, geometry)).collect();
        Self { most, geometry, groups, pool, next_number: StripeNumber::FIRST_ALONG }
    }

    /// The sums to which the shards of a stripe on these slots are added; none for a drive that
    /// has failed.
    pub fn sums(&mut self, slots: &[u16], failed: &[bool]) -> Vec<Option<&mut [u8]>> {
        let mut sums: BTreeMap<usize, &mut [u8]> = BTreeMap::new();
        for (drive, group) in self.groups.iter_mut().enumerate().filter(|(i, _)| !failed[*i]) {
            sums.insert(drive, &mut group.sum);
        }
        slots.iter().map(|slot| sums.remove(&(*slot as usize - 1))).collect()
    }

    /// Notes that a shard was added to its drive's sum; gives the sum if it is full.
    pub fn add(&mut self, drive: usize, member: Member, blocks: Blocks) -> Option<Sum> {
        let group = self.groups.get_mut(drive)?;
        group.members.push(member);
        group.count = group.count.max(blocks.count());
        let full = Some(group.members.len()) >= self.most;
        if full { self.take(drive) } else { None }
    }

    /// The sum of a drive, if anything was added to it.
    pub fn take(&mut self, drive: usize) -> Option<Sum> {
        let group = self.groups.get_mut(drive).filter(|group| !group.members.is_empty())?;
        let PendingSum { sum, members, count } =
            std::mem::replace(group, PendingSum::new(&self.pool, self.geometry));
        let number = StripeNumber(self.next_number);
        self.next_number += 1;
        let block_bytes = self.geometry.blocks.bytes() as u32;
        let blocks = Blocks::new(block_bytes, count as u32).expect("a member has these blocks");
        Some(Sum { number, bytes: sum, members, blocks })
    }

    /// Bytes of the sum of a drive that is not full.
    pub fn waiting_bytes(&self, drive: usize) -> u64 {
        let group = self.groups.get(drive).filter(|group| !group.members.is_empty());
        group.map_or(0, |group| (group.count * self.geometry.blocks.bytes()) as u64)
    }

    /// Forgets what was added for a drive.
    pub fn forget(&mut self, drive: usize) {
        drop(self.take(drive));
    }
}

impl PendingSum {
    fn new(pool: &Pool, geometry: Geometry) -> Self {
        let mut sum = pool.take(geometry.blocks.file_bytes());
        sum.fill(0);
        Self { sum, members: Vec::new(), count: 0 }
    }
}
