//! How much memory a command may take.
//!
//! - Enters: what `--memory` says, or nothing.
//! - Leaves: the bytes that shards may take, which decides how large shards are when packing, and how
//!   far ahead is read when restoring.
//! - Always holds: what does not depend on this (the program, the dedup table, the part of the catalog
//!   that is written, lists) is [`FIXED_BYTES`], and some MiB for each core: a constant of the machine,
//!   never of the dataset. A stripe is read whole where a drive is lost, so a set of large shards may
//!   take a few of them more than was said.

/// Memory for all but shards.
pub const FIXED_BYTES: u64 = 160 << 20;
/// What `--memory` may be at least.
pub const LEAST_BYTES: u64 = 256 << 20;
/// The memory a command may take, at least [`LEAST_BYTES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory(u64);

impl Default for Memory {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl Memory {
    /// What it is if nothing is said; only sets of many drives take so much.
    pub const DEFAULT: Self = Self(1536 << 20);

    /// So many bytes; none if that is too little.
    pub fn new(bytes: u64) -> Option<Self> {
        (bytes >= LEAST_BYTES).then_some(Self(bytes))
    }

    /// Bytes for what each of so many drives is read into.
    pub fn for_each(self, drives: usize) -> usize {
        (self.for_shards() / drives.max(1) as u64) as usize
    }

    /// Bytes for shards.
    pub fn for_shards(self) -> u64 {
        self.0 - FIXED_BYTES
    }
}
