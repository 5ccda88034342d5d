//! How much memory a command may use.
//!
//! - Enters: what `--memory` says, or nothing.
//! - Leaves: the bytes that shards may use, which decides how large shards are when packing, and how
//!   far ahead is read when restoring.
//! - Always holds: what does not depend on this (the program, the dedup table, the part of the catalog
//!   that is written, lists) is [`FIXED_BYTES`], and some MiB for each core: a constant of the machine,
//!   never of the dataset. A stripe is read whole where a drive is lost, so a set of large shards may
//!   take a few of them more than the limit.

/// Memory for all but shards.
pub const FIXED_BYTES: u64 = 160 << 20;
/// The least that `--memory` may be.
pub const LEAST_BYTES: u64 = 256 << 20;
/// The memory that a command may use, at least [`LEAST_BYTES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory(u64);

impl Default for Memory {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl Memory {
    /// The default; only sets of many drives use so much.
    pub const DEFAULT: Self = Self(1536 << 20);

    /// A limit of so many bytes; none if that is too little.
    pub fn new(bytes: u64) -> Option<Self> {
        (bytes >= LEAST_BYTES).then_some(Self(bytes))
    }

    /// Bytes of the buffers that each of so many drives is read into.
    pub fn for_each(self, drives: usize) -> usize {
        (self.for_shards() / drives.max(1) as u64) as usize
    }

    /// Bytes for shards.
    pub fn for_shards(self) -> u64 {
        self.0 - FIXED_BYTES
    }
}
