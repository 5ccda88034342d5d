//! Room that stripes were given and did not need, because the next chunk did not fit.
//!
//! - Enters: the drives of each stripe, and the blocks that it left.
//! - Leaves: whole shards more, where there is room for them.
//! - Always holds: what a shard costs besides its blocks is kept for each that is given.

use crate::plan::geometry::Geometry;
use crate::plan::place::ShardRoom;
use crate::plan::room::blocks_beside;
use crate::plan::survive::Survive;
use std::collections::BTreeMap;

pub struct Spare {
    /// blocks left, by slot
    left: BTreeMap<u16, usize>,
    /// blocks that a shard costs in all
    shard: usize,
}

impl Spare {
    /// Nothing yet, in a set of so many drives.
    pub fn new(drives: usize, survive: Survive, geometry: Geometry) -> Self {
        let shard = geometry.blocks.count() + blocks_beside(drives, survive, geometry);
        Self { left: BTreeMap::new(), shard }
    }

    /// A stripe on these drives left so many blocks of each.
    pub fn leave(&mut self, slots: &[u16], blocks: usize) {
        for slot in slots {
            *self.left.entry(*slot).or_default() += blocks;
        }
    }

    /// Adds the shards that there is room for.
    pub fn give(&mut self, rooms: &mut [ShardRoom]) {
        for room in rooms {
            let Some(left) = self.left.get_mut(&room.slot) else { continue };
            room.shards += (*left / self.shard) as u64;
            *left %= self.shard;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_that_are_left_become_shards() {
        let geometry = Geometry::new(1024, 4096, 4).unwrap();
        let mut spare = Spare::new(2, Survive::NONE, geometry);
        assert_eq!(spare.shard, 5, "a record costs less than a block");
        spare.leave(&[1, 2], 3);
        spare.leave(&[2], 3);
        let room = |slot, shards| ShardRoom { slot, case: 0, shards };
        let mut rooms = [room(1, 0), room(2, 7), room(3, 1)];
        spare.give(&mut rooms);
        assert_eq!(rooms.map(|room| room.shards), [0, 8, 1]);
        spare.leave(&[2], 4);
        spare.give(&mut rooms);
        assert_eq!(rooms[1].shards, 9);
    }
}
