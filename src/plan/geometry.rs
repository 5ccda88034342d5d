//! How large things are: chunks, blocks, shards.
//!
//! - Enters: how many drives a set has, the largest one's room, the rule, the memory.
//! - Leaves: the sizes, and what follows from them alone.
//! - Always holds: the stripes in flight take no more memory than is given; a chunk fits a shard twice.

use super::survive::Survive;
use crate::format::FormatError;
use crate::format::label::MOST_CHUNK_BYTES;
use crate::format::shard::Blocks;

/// How large things are; numbers in the records, so a reader needs none of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    /// C: files are cut at multiples of it
    pub chunk_bytes: u32,
    /// B and the most blocks of a shard
    pub blocks: Blocks,
}

/// What the sizes of a set depend on.
#[derive(Clone, Copy, Debug)]
pub struct SetSizes {
    pub drives: usize,
    pub survive: Survive,
    /// bytes of memory that shards may use
    pub memory: u64,
    /// bytes that the largest drive has free
    pub largest: u64,
    /// C, if earlier sets of the shipment have it
    pub chunk_bytes: Option<u32>,
}

/// Not even small shards of so many drives fit into memory.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("so many drives at once take more memory")]
pub struct MemoryError {
    /// bytes that shards take at least
    pub least: u64,
}

/// Stripes in memory: being filled, filled, being sealed, queued, written.
const STRIPES_IN_FLIGHT: u64 = 5;
/// With parity along drives, further shards per drive: its sum, and one being written.
const SUMS_IN_FLIGHT: u64 = 2;
/// The most shards that wait for one drive: 100 MB, a second or two of a hard disk.
const MOST_QUEUED: u64 = 6;
/// A chunk, the largest that the shards have room for: a longer one compresses better, one file in it
/// is read no faster.
const CHUNK_SIZES: [u32; 2] = [4 << 20, LEAST_CHUNK_BYTES];
const LEAST_CHUNK_BYTES: u32 = 1 << 20;
/// The bytes of a shard if there is enough memory.
const SHARD_BYTES: u64 = 16 << 20;
/// Blocks are larger the more drives there are, since each holds the hashes of all: B of a set of up to
/// so many drives. Where there is not enough memory, the smaller ones serve.
const BLOCK_BYTES: [(usize, u32); 3] = [(4, 64 << 10), (24, 256 << 10), (usize::MAX, 1 << 20)];
/// B of catalog files.
const CATALOG_BLOCK_BYTES: u32 = 8 << 10;
/// A drive has room for at least so many shards, or they are made smaller.
const LEAST_SHARDS: u64 = 16;
/// Where there is parity along the drives, no shard is shorter: so many bytes of bad sectors in a row
/// then hit no column twice, even if they reach over the end of a shard.
const BURST_BYTES: usize = 1 << 20;
/// And none has fewer blocks.
const BURST_BLOCKS: usize = 4;

impl Geometry {
    /// The sizes that fit a set: B = 64 KiB, 256 KiB above 4 drives, 1 MiB above 24; shards of 16 MiB,
    /// smaller where more drives would need too much memory, or the largest has room for few of
    /// these; C = 4 MiB, or 1 MiB where shards are small.
    pub fn for_set(set: &SetSizes) -> Result<Self, MemoryError> {
        let along = if set.survive.members().is_some() { SUMS_IN_FLIGHT } else { 0 };
        let in_flight = (STRIPES_IN_FLIGHT + along) * set.drives.max(1) as u64;
        let most = (set.memory / in_flight).min(SHARD_BYTES);
        let wanted = most.min(set.largest / LEAST_SHARDS);
        let block_sizes = || {
            let usual = BLOCK_BYTES.partition_point(|(drives, _)| *drives < set.drives);
            BLOCK_BYTES[usual.min(1)..=usual].iter().rev().map(|(_, bytes)| *bytes)
        };
        let of = |chunk: u32, shard: u64| {
            let sized = |block: u32| {
                let count = shard.div_ceil(u64::from(block)).min(most / u64::from(block));
                Self::new(chunk, block, count as u32).ok()
            };
            block_sizes().find_map(sized)
        };
        let chunks = set.chunk_bytes.as_ref().map_or(&CHUNK_SIZES[..], std::slice::from_ref);
        let least = chunks.last().map_or(0, |chunk| least_shard_bytes(*chunk));
        let fitting = chunks.iter().find_map(|chunk| of(*chunk, wanted));
        // Where no chunk fits the shards that are wanted, the smallest that the shards may be fits.
        let fitting = fitting.or_else(|| of(*chunks.last()?, wanted.max(least)));
        fitting.ok_or(MemoryError { least: in_flight * least })
    }

    /// Shards that may wait for each drive, so that it can pause without the others waiting: as many
    /// as memory allows, 1 to 6.
    pub fn queue_depth(self, drives: usize, survive: Survive, memory: u64) -> usize {
        let along = if survive.members().is_some() { SUMS_IN_FLIGHT } else { 0 };
        let stripe = (drives.max(1) * self.blocks.file_bytes()) as u64;
        let others = STRIPES_IN_FLIGHT - 1 + along;
        (memory / stripe).saturating_sub(others).clamp(1, MOST_QUEUED) as usize
    }

    /// B of the catalog's files, which are padded to whole blocks.
    pub fn catalog_block_bytes(self) -> u32 {
        CATALOG_BLOCK_BYTES.min(self.blocks.bytes() as u32)
    }

    /// The fewest blocks of a shard under this rule.
    pub fn least_blocks(self, survive: Survive) -> usize {
        let burst = (BURST_BYTES / self.blocks.bytes()).max(BURST_BLOCKS);
        if survive.members().is_some() { burst } else { 1 }
    }

    /// The most list bytes that are added at once.
    pub fn most_list_bytes(self) -> usize {
        self.blocks.payload_bytes() / 4
    }

    /// The most plain bytes of a chunk: of small files, up to twice C.
    pub fn most_chunk_bytes(self) -> usize {
        let half = self.blocks.payload_bytes() / 2;
        let room = half.saturating_sub(self.most_list_bytes().min(512 << 10));
        room.clamp(self.chunk_bytes as usize, 2 * self.chunk_bytes as usize)
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

/// The smallest shard that a chunk fits twice, in blocks of 256 KiB.
fn least_shard_bytes(chunk: u32) -> u64 {
    u64::from(chunk) / 4 * 9
}

#[cfg(test)]
mod tests {
    use super::*;

    const LARGEST: u64 = 2_000_000_000_000;

    fn sizes(drives: usize, survive: Survive, memory: u64) -> Result<Geometry, MemoryError> {
        let set = SetSizes { drives, survive, memory, largest: LARGEST, chunk_bytes: None };
        Geometry::for_set(&set)
    }

    #[test]
    fn shards_shrink_where_drives_are_many_or_memory_is_little() {
        for memory in [1392 << 20, 512 << 20, 96 << 20] {
            for (count, (blocks, in_flight)) in
                (1..=255).flat_map(|count| [(count, (0, 5)), (count, (1, 7))])
            {
                let survive = Survive { blocks, ..Survive::NONE };
                let sized = sizes(count as usize, survive, memory);
                let least = in_flight * count * least_shard_bytes(LEAST_CHUNK_BYTES);
                let Ok(g) = sized else {
                    assert_eq!(sized, Err(MemoryError { least }));
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
        let of = |drives| {
            let g = sizes(drives, Survive::NONE, 1392 << 20).unwrap();
            (g.chunk_bytes >> 20, g.blocks.bytes() >> 10, g.blocks.count())
        };
        assert_eq!(of(4), (4, 64, 256));
        assert_eq!(of(5), (4, 256, 64));
        assert_eq!(of(60), (1, 1024, 4));
    }
}
