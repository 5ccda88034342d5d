//! From bytes to shards: the shape of blocks, what a drive holds besides shards, and whether the
//! dataset fits even if nothing compresses.

use super::place::{PlaceError, Placement, ShardRoom, StripePlace};
use super::survive::Survive;
use crate::format::FormatError;
use crate::format::label::MOST_CHUNK_BYTES;
use crate::format::list::HASH_BYTES;
use crate::format::shard::{Blocks, MAX_SHARDS, TRAILER_BYTES};

/// How large things are; numbers in the records, so a reader needs none of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    /// C: the most plain bytes of a chunk
    pub chunk_bytes: u32,
    /// B and the most blocks of a shard
    pub blocks: Blocks,
}

/// Stripes in memory: being filled, filled, being sealed, queued, written.
const STRIPES_IN_FLIGHT: u64 = 5;
/// With parity along drives, further shards per drive: its sum, and one being written.
const SUMS_IN_FLIGHT: u64 = 2;
/// The most shards that wait for one drive: 100 MB, a second or two of a hard disk.
const MOST_QUEUED: u64 = 6;
/// The most bytes of a stripe's record: a record file, which readers take up to 32 MiB of, holds one,
/// what was not enough for a file before it, and as much again of those along the drives.
const MOST_RECORD_BYTES: u64 = 8 << 20;
/// A chunk: larger ones fall out of the caches.
const CHUNK_BYTES: u32 = 1 << 20;
/// The smallest shard that a chunk fits twice, in blocks of 256 KiB.
const LEAST_SHARD_BYTES: u64 = 9 << 18;
/// The bytes of a shard if there is enough memory.
const SHARD_BYTES: u64 = 16 << 20;
/// From so many drives on, blocks are larger, if there is enough memory: records stay small.
const MANY_DRIVES: usize = 25;
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
/// A drive has room for at least so many shards, or they are made smaller.
const LEAST_SHARDS: u64 = 16;
/// What the lists of a shard may leave free where they meet.
const LIST_GAP_BYTES: u64 = 64 << 10;
/// Where there is parity along the drives, no shard is shorter: 1 MiB of bad sectors in a row, in
/// blocks of 256 KiB, then hits no column twice, even if it reaches over the end of a shard.
pub const BURST_BLOCKS: usize = 4;

impl Geometry {
    /// The sizes that fit a set of so many drives, and the bytes of memory that shards may use: B =
    /// 256 KiB, 1 MiB above 24 drives; shards of 16 MiB, smaller where more drives would need too
    /// much memory.
    pub fn for_drives(drives: usize, survive: Survive, memory: u64) -> Result<Self, RoomError> {
        let along = if survive.members().is_some() { SUMS_IN_FLIGHT } else { 0 };
        let in_flight = (STRIPES_IN_FLIGHT + along) * drives.max(1) as u64;
        let most = (memory / in_flight).min(SHARD_BYTES);
        let sizes: &[u32] = if drives < MANY_DRIVES { &[256 << 10] } else { &[1 << 20, 256 << 10] };
        let of = |bytes: &u32| Self::new(CHUNK_BYTES, *bytes, (most / u64::from(*bytes)) as u32);
        let fitting = sizes.iter().find_map(|bytes| of(bytes).ok());
        fitting.ok_or(RoomError::Memory { least: in_flight * LEAST_SHARD_BYTES })
    }

    /// The same with smaller shards, if the largest drive has room for few of these.
    #[must_use]
    pub fn on_small_drives(self, largest: u64) -> Self {
        let bytes = (largest / LEAST_SHARDS).max(LEAST_SHARD_BYTES);
        let count = bytes.div_ceil(self.blocks.bytes() as u64).min(self.blocks.count() as u64);
        let small = Self::new(self.chunk_bytes, self.blocks.bytes() as u32, count as u32);
        small.unwrap_or(self)
    }

    /// Shards that may wait for each drive, so that it can pause without the others waiting: as many
    /// as memory allows, 1 to 6.
    pub fn queue_depth(self, drives: usize, survive: Survive, memory: u64) -> usize {
        let along = if survive.members().is_some() { SUMS_IN_FLIGHT } else { 0 };
        let stripe = (drives.max(1) * self.blocks.file_bytes()) as u64;
        let others = STRIPES_IN_FLIGHT - 1 + along;
        (memory / stripe).saturating_sub(others).clamp(1, MOST_QUEUED) as usize
    }

    /// Bytes of the record of a stripe over so many drives.
    fn record_bytes(self, drives: usize) -> u64 {
        let hashes = self.blocks.count() as u64 * HASH_BYTES as u64;
        RECORD_BYTES + drives.min(MAX_SHARDS) as u64 * (SLOT_BYTES + hashes)
    }

    /// Sizes as asked for; a chunk must fit a shard twice.
    pub fn new(chunk_bytes: u32, block_bytes: u32, count: u32) -> Result<Self, FormatError> {
        let blocks = Blocks::new(block_bytes, count)?;
        let good =
            chunk_bytes.is_power_of_two() && (1024..=MOST_CHUNK_BYTES).contains(&chunk_bytes);
        if !good || chunk_bytes as usize * 2 > blocks.payload_bytes() {
            return Err(FormatError::invalid("geometry", "chunk size", chunk_bytes));
        }
        Ok(Self { chunk_bytes, blocks })
    }
}

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
    /// Not even small shards of so many drives fit into memory.
    #[error("so many drives at once take more memory")]
    Memory {
        /// bytes that shards take at least
        least: u64,
    },
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
    let bytes = geometry.record_bytes(drives.len());
    if bytes > MOST_RECORD_BYTES {
        return Err(RoomError::Record { bytes });
    }
    let lists = list_bytes(drives, geometry, need);
    let others =
        BesideShards { drives: drives.len(), members: survive.members(), list_bytes: lists };
    let rooms: Vec<ShardRoom> = drives.iter().map(|d| room(d, &others, geometry)).collect();
    let most = Placement::plan(&rooms, survive, None)?;
    let shard_bytes = useful_bytes(&most, geometry);
    let holds_bytes = most.data_shards() * shard_bytes;
    let needed = need.payload_bytes(geometry);
    // One stripe more, since its last one may hold little.
    let shards = needed.div_ceil(shard_bytes.max(1)) + 1;
    let missing_bytes = needed.saturating_sub(holds_bytes);
    let placement = Placement::plan(&rooms, survive, Some(shards.min(most.data_shards())))?;
    // Slots may be left out.
    let slots = drives.iter().map(|d| d.slot as usize).max().unwrap_or(0);
    let mut drive_bytes = vec![0; slots];
    let Shape { shares, data_shards, file_bytes } = Shape::of(&placement, geometry, needed);
    for (slot, shards) in shares {
        let sums = survive.members().map_or(0, |members| shards.div_ceil(members as u64));
        drive_bytes[slot as usize - 1] = (shards + sums) * file_bytes;
    }
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
    })
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
    let each = (needed + u64::from(geometry.chunk_bytes)).div_ceil(place.k as u64) + LIST_GAP_BYTES;
    let least = if survive.members().is_some() { BURST_BLOCKS as u64 } else { 1 };
    // The first block has the salt as well.
    let count = (each.div_ceil(plain) + 1).max(least);
    (count < geometry.blocks.count() as u64).then_some(count * bytes)
}

/// Payload bytes that a data shard is sure to hold: a stripe ends when the next chunk does not fit.
fn useful_bytes(placement: &Placement, geometry: Geometry) -> u64 {
    let payload = (geometry.blocks.payload_bytes() - TRAILER_BYTES) as u64;
    let width = (placement.data_shards() / placement.stripes().max(1)).max(1);
    payload - (geometry.chunk_bytes as u64 + (64 << 10)).min(payload / 2) / width
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

/// How many shards a drive can hold besides everything else.
fn room(drive: &DriveRoom, others: &BesideShards, geometry: Geometry) -> ShardRoom {
    let file = (geometry.blocks.file_bytes() as u64).next_multiple_of(drive.unit_bytes.max(1));
    let drives = others.drives as u64;
    let copies = if others.drives < crate::format::SECOND_COPY_DRIVES { 2 } else { 1 };
    let hashes = (geometry.blocks.count() * HASH_BYTES) as u64;
    let record = copies * (drives * (hashes + 34) + 160);
    // Of each drive's parity along, every drive holds the records.
    let along = |members: u64| {
        file + CHECKLIST_BYTES
            + copies * drives * (hashes + ALONG_RECORD_BYTES + members * MEMBER_BYTES)
    };
    let along = others.members.map(|members| (members as u64, along(members as u64)));
    let lists = copies * others.list_bytes;
    let kept = FIXED_BYTES.min(drive.free_bytes / 4) + lists + drive.free_bytes / 100;
    let last_sum = along.map_or(0, |(_, bytes)| bytes);
    let share = along.map_or(0, |(members, bytes)| bytes.div_ceil(members));
    let shards = drive.free_bytes.saturating_sub(kept + last_sum)
        / (file + record + CHECKLIST_BYTES + share);
    ShardRoom { slot: drive.slot, case: drive.case, shards }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GB: u64 = 1_000_000_000;
    const NO_BLOCKS: Survive = Survive::NONE;

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
        let geometry = Geometry::for_drives(4, NO_BLOCKS, 1 << 30).unwrap();
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
        let geometry = Geometry::for_drives(3, survive, 1 << 30).unwrap();
        let large = super::plan(&drives(&[2000 * GB; 3]), survive, geometry, &need).unwrap();
        assert!(large.drive_bytes.iter().all(|bytes| *bytes <= 4 << 20), "{large:?}");
        assert!(large.parity_bytes > 0 && large.parity_bytes < 10 << 20, "{large:?}");
        assert_eq!(geometry.on_small_drives(2000 * GB), geometry);
        let small = geometry.on_small_drives(33 << 20);
        let plan = super::plan(&drives(&[33 << 20; 3]), survive, small, &need).unwrap();
        assert!(plan.holds_bytes > 40 << 20, "{plan:?}");
    }

    #[test]
    fn too_little_room_says_how_much_is_missing() {
        let need = Need { data_bytes: 7 * GB, entries: 10, entry_bytes: 500 };
        let survive = Survive { cases: 1, drives: 0, blocks: 0 };
        let plan = |free: u64| {
            super::plan(
                &drives(&[free; 4]),
                survive,
                Geometry::for_drives(4, NO_BLOCKS, 1 << 30).unwrap(),
                &need,
            )
        };
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
        let geometry = Geometry::for_drives(4, NO_BLOCKS, 1 << 30).unwrap();
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

    #[test]
    fn shards_shrink_where_drives_are_many_or_memory_is_little() {
        for memory in [1392 << 20, 512 << 20, 96 << 20] {
            for (count, (blocks, in_flight)) in
                (1..=255).flat_map(|count| [(count, (0, 5)), (count, (1, 7))])
            {
                let survive = Survive { blocks, ..Survive::NONE };
                let sizes = Geometry::for_drives(count as usize, survive, memory);
                let least = in_flight * count * LEAST_SHARD_BYTES;
                let Ok(g) = sizes else {
                    assert_eq!(sizes, Err(RoomError::Memory { least }));
                    assert!(least > memory, "{count}");
                    continue;
                };
                let flight = in_flight * count * g.blocks.file_bytes() as u64;
                assert!(flight <= memory && least <= memory, "{count}");
                let queued = g.queue_depth(count as usize, survive, memory) as u64;
                let stripe = count * g.blocks.file_bytes() as u64;
                assert!((in_flight - 1 + queued) * stripe <= memory, "{count}");
                assert!(g.chunk_bytes as usize * 2 <= g.blocks.payload_bytes(), "{count}");
            }
        }
        let of = |drives| Geometry::for_drives(drives, NO_BLOCKS, 1392 << 20).unwrap().blocks;
        assert_eq!((of(4).bytes(), of(4).count()), (256 << 10, 64));
        assert_eq!((of(60).bytes(), of(60).count()), (1 << 20, 4));
    }
}
