//! From bytes to shards: what a drive holds besides shards, and whether the dataset fits even if
//! nothing compresses.

use super::geometry::{Geometry, MemoryError};
use super::place::{PlaceError, Placement, ShardRoom, StripePlace};
use super::survive::Survive;
use crate::format::list::HASH_BYTES;
use crate::format::shard::{Blocks, MAX_SHARDS, TRAILER_BYTES};

/// The most bytes of a stripe's record: a record file, which readers take up to 32 MiB of, holds one,
/// what was not enough for a file before it, and as much again of those along the drives.
const MOST_RECORD_BYTES: u64 = 8 << 20;
/// Bytes of a stripe along in its record besides its hashes and members.
const ALONG_RECORD_BYTES: u64 = 200;
/// Bytes of a record besides its shards, and of a slot and a salt in it.
const RECORD_BYTES: u64 = 48;
const SLOT_BYTES: u64 = 34;
/// Bytes of a member there.
const MEMBER_BYTES: u64 = 16;
/// README, specification, reader, label, keys, folders, second copies: what a drive needs at least.
const FIXED_BYTES: u64 = 2 << 20;
/// Bytes of a shard's line in the checklist and of its folder's share.
const CHECKLIST_BYTES: u64 = 256;
/// List bytes of an entry's share in the chunks; the entry itself is counted separately.
const SHARE_BYTES: u64 = 85;
/// List bytes of a further chunk.
const EXTENT_BYTES: u64 = 80;
/// What the lists of a shard may leave free where they meet.
const LIST_GAP_BYTES: u64 = 64 << 10;
/// What a dataset needs, as its scan says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Need {
    /// bytes that are not holes
    pub data_bytes: u64,
    pub entries: u64,
    /// bytes of all entries, as lists hold them
    pub entry_bytes: u64,
}

impl Need {
    /// Bytes of its lists, at most.
    fn list_bytes(&self, geometry: Geometry) -> u64 {
        self.entry_bytes
            + self.entries * SHARE_BYTES
            + self.data_bytes / geometry.chunk_bytes as u64 * EXTENT_BYTES
    }

    /// Bytes of its payloads, at most.
    pub fn payload_bytes(&self, geometry: Geometry) -> u64 {
        self.data_bytes + self.list_bytes(geometry)
    }
}

/// A drive, as far as the plan is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DriveRoom {
    pub slot: u16,
    /// its case's number
    pub case: usize,
    /// bytes it has free for us
    pub free_bytes: u64,
    /// it rounds file sizes up to this
    pub unit_bytes: u64,
}

/// Why a dataset does not fit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RoomError {
    /// The rule cannot be kept, or the like.
    #[error(transparent)]
    Place(#[from] PlaceError),
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// The record of a stripe over all drives would be too long.
    #[error(
        "so many blocks on so many drives make records of {bytes} bytes, and {MOST_RECORD_BYTES} are \
         the most"
    )]
    Record {
        /// bytes of one
        bytes: u64,
    },
    /// There is too little room.
    #[error("the dataset may need more room than the drives have under the rule")]
    TooLittle {
        /// bytes the dataset may need if nothing compresses
        needed: u64,
        /// bytes the drives hold besides parity
        holds: u64,
        /// the difference
        missing: u64,
    },
}

/// A plan for what fits.
#[derive(Clone, Debug)]
pub struct SetPlan {
    pub geometry: Geometry,
    pub survive: Survive,
    /// where each stripe goes
    pub placement: Placement,
    /// plain bytes that are to be packed, if they fit
    pub data_bytes: u64,
    /// bytes of data the set could hold in all, besides parity and lists
    pub holds_bytes: u64,
    /// bytes that may need further sets; 0 if all of the dataset fits
    pub missing_bytes: u64,
    /// bytes on each drive if nothing compresses, by slot from 1
    pub drive_bytes: Vec<u64>,
    /// of these, bytes of parity, across the drives and along each
    pub parity_bytes: u64,
    /// of these, along
    pub along_bytes: u64,
    /// bytes of shards that have room and that no placement under the rule can use
    pub unusable_bytes: u64,
    /// what lies on each drive besides
    pub beside: Beside,
}

/// What lies on each drive of a set besides its shards, at most, with second copies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Beside {
    /// bytes of the records of the whole set, and of checklists
    pub records: u64,
    /// bytes of the catalog of the whole set
    pub catalog: u64,
    /// bytes of label, keys, README, specification and reader
    pub fixed: u64,
}

impl Beside {
    pub fn bytes(&self) -> u64 {
        self.records + self.catalog + self.fixed
    }
}

/// Plans a set, for the whole dataset or as much as fits.
pub fn plan(
    drives: &[DriveRoom],
    survive: Survive,
    geometry: Geometry,
    need: &Need,
) -> Result<SetPlan, RoomError> {
    let plan = plan_rest(drives, survive, geometry, need)?;
    if plan.placement.stripes() == 0 {
        let (needed, holds) = (need.payload_bytes(geometry), plan.holds_bytes);
        let missing = needed.max(1).saturating_sub(holds).max(1);
        return Err(RoomError::TooLittle { needed, holds, missing });
    }
    Ok(plan)
}

/// The same for a set that is begun: if nothing more fits, it can still be closed.
pub fn plan_rest(
    drives: &[DriveRoom],
    survive: Survive,
    geometry: Geometry,
    need: &Need,
) -> Result<SetPlan, RoomError> {
    let bytes = record_bytes(geometry, drives.len());
    if bytes > MOST_RECORD_BYTES {
        return Err(RoomError::Record { bytes });
    }
    let lists = list_bytes(drives, geometry, need);
    let others =
        BesideShards { drives: drives.len(), members: survive.members(), list_bytes: lists };
    let rooms: Vec<ShardRoom> = drives.iter().map(|d| room(d, &others, geometry)).collect();
    let most = Placement::plan(&rooms, survive, None)?;
    let shard_bytes = useful_bytes(geometry);
    let holds_bytes = holds_bytes(&most, geometry);
    let needed = need.payload_bytes(geometry);
    // One stripe more, since its last one may hold little.
    let shards = needed.div_ceil(shard_bytes.max(1)) + 1;
    let missing_bytes = needed.saturating_sub(holds_bytes);
    let placement = Placement::plan(&rooms, survive, Some(shards.min(most.data_shards())))?;
    // Slots may be left out.
    let slots = drives.iter().map(|d| d.slot as usize).max().unwrap_or(0);
    let (mut drive_bytes, mut along) = (vec![0; slots], 0);
    let shape = Shape::of(&placement, geometry, needed);
    for (slot, shards) in &shape.shares {
        let sums = survive.members().map_or(0, |members| shards.div_ceil(members as u64));
        drive_bytes[*slot as usize - 1] = (shards + sums) * shape.file_bytes;
        along += sums;
    }
    let stripes = placement.stripes();
    let beside = Beside {
        records: others.records_bytes(geometry, &shape, stripes, along),
        catalog: others.copies() * part_of(need.list_bytes(geometry), holds_bytes, needed),
        fixed: FIXED_BYTES,
    };
    let (data_shards, file_bytes) = (shape.data_shards, shape.file_bytes);
    let in_room: u64 = rooms.iter().map(|room| room.shards).sum();
    let in_use: u64 = most.shares().iter().map(|(_, shards)| shards).sum();
    let shard_bytes = data_shards * file_bytes;
    let parity_bytes = drive_bytes.iter().sum::<u64>().saturating_sub(shard_bytes);
    let data_bytes = need.data_bytes;
    Ok(SetPlan {
        geometry,
        survive,
        placement,
        data_bytes,
        holds_bytes,
        missing_bytes,
        drive_bytes,
        parity_bytes,
        along_bytes: along * file_bytes,
        unusable_bytes: (in_room - in_use) * geometry.blocks.file_bytes() as u64,
        beside,
    })
}

/// Bytes of the record of a stripe over so many drives.
fn record_bytes(geometry: Geometry, drives: usize) -> u64 {
    let hashes = geometry.blocks.count() as u64 * HASH_BYTES as u64;
    RECORD_BYTES + drives.min(MAX_SHARDS) as u64 * (SLOT_BYTES + hashes)
}

/// The part of `bytes` that `of` is of `all`, at most all of it.
fn part_of(bytes: u64, of: u64, all: u64) -> u64 {
    let part = u128::from(bytes) * u128::from(of.min(all)) / u128::from(all.max(1));
    part as u64 // at most what it is a part of
}

/// The shards of a plan, at most.
struct Shape {
    /// of each slot
    shares: Vec<(u16, u64)>,
    data_shards: u64,
    file_bytes: u64,
}

impl Shape {
    /// Whole shards; or one stripe of shorter ones, if they hold what is needed.
    fn of(placement: &Placement, geometry: Geometry, needed: u64) -> Self {
        let short = placement.clone().next_stripe().and_then(|place| {
            let file_bytes = short_shard_bytes(&place, placement.survive(), geometry, needed)?;
            let shares = place.slots.iter().map(|slot| (*slot, 1)).collect();
            Some(Self { shares, data_shards: place.k as u64, file_bytes })
        });
        short.unwrap_or_else(|| Self {
            shares: placement.shares(),
            data_shards: placement.data_shards(),
            file_bytes: geometry.blocks.file_bytes() as u64,
        })
    }
}

/// Bytes of a shard, at most, if one stripe has just enough blocks to hold so much; none if it takes
/// more than one.
fn short_shard_bytes(
    place: &StripePlace,
    survive: Survive,
    geometry: Geometry,
    needed: u64,
) -> Option<u64> {
    let bytes = geometry.blocks.bytes() as u64;
    let plain = Blocks::new(bytes as u32, 1).ok()?.payload_bytes() as u64;
    let last_chunk = needed.min(geometry.most_chunk_bytes() as u64);
    let each = (needed + last_chunk).div_ceil(place.k as u64) + LIST_GAP_BYTES;
    let least = geometry.least_blocks(survive) as u64;
    // The first block has the salt as well.
    let count = (each.div_ceil(plain) + 1).max(least);
    (count < geometry.blocks.count() as u64).then_some(count * bytes)
}

/// Payload bytes that a data shard's room holds: what a stripe leaves when the next chunk does not fit,
/// is given to further stripes, but for less than a block.
fn useful_bytes(geometry: Geometry) -> u64 {
    let payload = (geometry.blocks.payload_bytes() - TRAILER_BYTES) as u64;
    payload - (geometry.blocks.bytes() as u64 + LIST_GAP_BYTES).min(payload / 2)
}

/// Payload bytes that a set is sure to hold: at the end, two stripes may have no room; or all have what
/// is left beside the next chunk, and nothing is given to others.
fn holds_bytes(placement: &Placement, geometry: Geometry) -> u64 {
    let (shards, stripes) = (placement.data_shards(), placement.stripes().max(1));
    let width = shards.div_ceil(stripes).max(1);
    let payload = (geometry.blocks.payload_bytes() - TRAILER_BYTES) as u64;
    let left = (geometry.most_chunk_bytes() as u64 + LIST_GAP_BYTES).min(payload / 2);
    let given_on = shards.saturating_sub(2 * width) * useful_bytes(geometry);
    given_on.max(shards * (payload - left / (shards / stripes).max(1)))
}

/// What a shard costs a drive besides its own bytes, in blocks: its part of records and checklists, and
/// of the parity along the drive.
pub fn blocks_beside(drives: usize, survive: Survive, geometry: Geometry) -> usize {
    let others = BesideShards { drives, members: survive.members(), list_bytes: 0 };
    let file = geometry.blocks.file_bytes() as u64;
    others.shard_bytes(geometry, file).div_ceil(geometry.blocks.bytes() as u64) as usize
}

/// Bytes of the set's lists: of the whole dataset, or of the part that can fit.
fn list_bytes(drives: &[DriveRoom], geometry: Geometry, need: &Need) -> u64 {
    let free: u128 = drives.iter().map(|d| u128::from(d.free_bytes)).sum();
    let payload = u128::from(need.payload_bytes(geometry)).max(1);
    let part = u128::from(need.list_bytes(geometry)) * free.min(payload) / payload;
    part as u64 // at most what it is a part of
}

/// What lies on a drive besides its shards.
struct BesideShards {
    /// drives of the set, whose records it holds
    drives: usize,
    /// shards to one of parity along a drive
    members: Option<usize>,
    /// bytes of the set's lists
    list_bytes: u64,
}

impl BesideShards {
    fn copies(&self) -> u64 {
        if self.drives < crate::format::SECOND_COPY_DRIVES { 2 } else { 1 }
    }

    /// Bytes of a parity shard along a drive, where every drive holds the records of all, and how many
    /// members it has; none without such parity.
    fn along(&self, geometry: Geometry, file: u64) -> Option<(u64, u64)> {
        let members = self.members? as u64;
        let hashes = (geometry.blocks.count() * HASH_BYTES) as u64;
        let record = hashes + ALONG_RECORD_BYTES + members * MEMBER_BYTES;
        Some((file + CHECKLIST_BYTES + self.copies() * self.drives as u64 * record, members))
    }

    /// The records of all stripes, across and along, and the checklist of a drive that has a shard of
    /// each.
    fn records_bytes(&self, geometry: Geometry, shape: &Shape, stripes: u64, along: u64) -> u64 {
        let blocks = shape.file_bytes / geometry.blocks.bytes() as u64;
        let hashes = blocks * HASH_BYTES as u64;
        let members = self.members.unwrap_or(0) as u64 * MEMBER_BYTES;
        let shards: u64 = shape.shares.iter().map(|(_, shards)| shards).sum();
        let across = stripes * RECORD_BYTES + shards * (SLOT_BYTES + hashes);
        let records = across + along * (hashes + ALONG_RECORD_BYTES + members);
        let most = shape.shares.iter().map(|(_, shards)| *shards).max().unwrap_or(0);
        let sums = along.div_ceil(shape.shares.len().max(1) as u64);
        self.copies() * records + (most + sums) * CHECKLIST_BYTES
    }

    /// What a shard of `file` bytes costs besides.
    fn shard_bytes(&self, geometry: Geometry, file: u64) -> u64 {
        let hashes = (geometry.blocks.count() * HASH_BYTES) as u64;
        let record = self.copies() * (self.drives as u64 * (hashes + SLOT_BYTES) + 160);
        let along = self.along(geometry, file);
        record + CHECKLIST_BYTES + along.map_or(0, |(bytes, members)| bytes.div_ceil(members))
    }
}

/// How many shards a drive can hold besides everything else.
fn room(drive: &DriveRoom, others: &BesideShards, geometry: Geometry) -> ShardRoom {
    let file = (geometry.blocks.file_bytes() as u64).next_multiple_of(drive.unit_bytes.max(1));
    let lists = others.copies() * others.list_bytes;
    let kept = FIXED_BYTES.min(drive.free_bytes / 4) + lists + drive.free_bytes / 100;
    let last_sum = others.along(geometry, file).map_or(0, |(bytes, _)| bytes);
    let shards = drive.free_bytes.saturating_sub(kept + last_sum)
        / (file + others.shard_bytes(geometry, file));
    ShardRoom { slot: drive.slot, case: drive.case, shards }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::geometry::SetSizes;

    const GB: u64 = 1_000_000_000;
    const NO_BLOCKS: Survive = Survive::NONE;

    fn sizes(drives: usize, survive: Survive, largest: u64) -> Geometry {
        let set = SetSizes { drives, survive, memory: 1 << 30, largest, chunk_bytes: None };
        Geometry::for_set(&set).unwrap()
    }

    fn drives(free: &[u64]) -> Vec<DriveRoom> {
        let drive = |(i, free_bytes): (usize, &u64)| DriveRoom {
            slot: i as u16 + 1,
            case: i,
            free_bytes: *free_bytes,
            unit_bytes: 4096,
        };
        free.iter().enumerate().map(drive).collect()
    }

    #[test]
    fn four_drives_of_two_terabytes_hold_three_quarters() {
        let geometry = sizes(4, NO_BLOCKS, 2000 * GB);
        assert_eq!(geometry.blocks.file_bytes(), 16 << 20);
        let survive = Survive { cases: 1, drives: 0, blocks: 0 };
        let need = Need { data_bytes: 5_700 * GB, entries: 1_000_000, entry_bytes: 105_000_000 };
        let plan = super::plan(&drives(&[2000 * GB; 4]), survive, geometry, &need).unwrap();
        assert!(plan.holds_bytes > 5_750 * GB && plan.holds_bytes < 6_000 * GB);
    }

    /// A shard is no larger than what it holds: small datasets cost little, and small drives suffice.
    #[test]
    fn small_datasets_and_small_drives_are_counted_as_they_are() {
        let survive = Survive { cases: 1, drives: 0, blocks: 1 };
        let need = Need { data_bytes: 1_000_000, entries: 2, entry_bytes: 200 };
        let geometry = sizes(3, survive, 2000 * GB);
        let large = super::plan(&drives(&[2000 * GB; 3]), survive, geometry, &need).unwrap();
        assert!(large.drive_bytes.iter().all(|bytes| *bytes <= 4 << 20), "{large:?}");
        assert!(large.parity_bytes > 0 && large.parity_bytes < 10 << 20, "{large:?}");
        let small = sizes(3, survive, 33 << 20);
        let plan = super::plan(&drives(&[33 << 20; 3]), survive, small, &need).unwrap();
        assert!(plan.holds_bytes > 40 << 20, "{plan:?}");
    }

    #[test]
    fn too_little_room_says_how_much_is_missing() {
        let need = Need { data_bytes: 7 * GB, entries: 10, entry_bytes: 500 };
        let survive = Survive { cases: 1, drives: 0, blocks: 0 };
        let plan =
            |free: u64| super::plan(&drives(&[free; 4]), survive, sizes(4, NO_BLOCKS, free), &need);
        let missing = plan(2 * GB).unwrap().missing_bytes;
        assert!(missing > GB && missing < 2 * GB);
        let Err(RoomError::TooLittle { needed, holds: 0, missing }) = plan(1 << 20) else {
            panic!()
        };
        assert_eq!(missing, needed);
    }

    #[test]
    fn the_rest_of_a_set_may_miss_its_last_slots_and_any_room() {
        let survive = Survive { cases: 1, drives: 0, blocks: 0 };
        let need = Need { data_bytes: GB, entries: 10, entry_bytes: 500 };
        let without_first = &drives(&[50 * GB; 4])[1..];
        let geometry = sizes(4, NO_BLOCKS, 2000 * GB);
        let plan = super::plan_rest(without_first, survive, geometry, &need).unwrap();
        assert!(plan.drive_bytes[0] == 0 && plan.drive_bytes[3] > 0);
        let plan = super::plan_rest(&drives(&[0; 4]), survive, geometry, &need).unwrap();
        assert_eq!(plan.placement.stripes(), 0);
    }

    /// A reader takes record files of 32 MiB.
    #[test]
    fn stripes_whose_record_is_too_long_are_refused() {
        let need = Need { data_bytes: GB, entries: 10, entry_bytes: 500 };
        let plan = |count: usize| {
            let geometry = Geometry::new(1 << 20, 4096, 1 << 16).unwrap();
            super::plan_rest(&drives(&vec![50 * GB; count]), NO_BLOCKS, geometry, &need)
        };
        assert!(plan(3).is_ok());
        let bytes = 48 + 4 * (34 + 32 * 65_536);
        assert_eq!(plan(4).err(), Some(RoomError::Record { bytes }));
    }
}
