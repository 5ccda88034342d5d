//! A shard's blocks: how big, and how a data shard's payload is laid out in them.
//!
//! A shard has no header. Block i of n lies at i·B. In a data shard a block is ciphertext and a
//! 16-byte tag; block 0 begins with the shard's 32-byte salt in clear. The plain bytes of all
//! blocks, joined, are the payload:
//! chunk bytes, zeros, the list, and a trailer of 16 bytes.

use super::error::FormatError;
use super::wire::{Fields, Put};

/// Bytes of a block's tag.
pub const TAG_BYTES: usize = 16;
/// Bytes of a shard's salt.
pub const SALT_BYTES: usize = 32;
/// A shard's salt.
pub type Salt = [u8; SALT_BYTES];
/// Bytes of the trailer that ends a payload.
pub const TRAILER_BYTES: usize = 16;
/// The smallest block.
pub const MIN_BLOCK_BYTES: u32 = 4096;
/// The largest block.
pub const MAX_BLOCK_BYTES: u32 = 4 << 20;
/// The most blocks a shard may have.
pub const MAX_BLOCKS: u32 = 1 << 16;
/// The most shards a stripe may have (GF(2^8)).
pub const MAX_SHARDS: usize = 255;

/// The shape of sealed blocks: how many, and how big. Both are checked when made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Blocks {
    bytes: u32,
    count: u32,
}

impl Blocks {
    /// `bytes` a power of two from 4 KiB to 4 MiB, `count` from 1 to 65,536.
    pub fn new(bytes: u32, count: u32) -> Result<Self, FormatError> {
        if !bytes.is_power_of_two() || !(MIN_BLOCK_BYTES..=MAX_BLOCK_BYTES).contains(&bytes) {
            return Err(FormatError::invalid("blocks", "block bytes", bytes));
        }
        // Offsets within a payload have 32 bits.
        if count == 0 || count > MAX_BLOCKS || u32::try_from(bytes as u64 * count as u64).is_err() {
            return Err(FormatError::invalid("blocks", "block count", count));
        }
        Ok(Self { bytes, count })
    }

    /// B.
    pub fn bytes(self) -> usize {
        self.bytes as usize
    }

    /// n.
    pub fn count(self) -> usize {
        self.count as usize
    }

    /// Bytes of the file: n·B.
    pub fn file_bytes(self) -> usize {
        self.bytes() * self.count()
    }

    /// Plain bytes in all blocks.
    pub fn payload_bytes(self) -> usize {
        self.count() * (self.bytes() - TAG_BYTES) - SALT_BYTES
    }

    /// The payload range that block `number` holds.
    pub fn payload_range(self, number: usize) -> std::ops::Range<usize> {
        let plain = self.bytes() - TAG_BYTES;
        let end = (number + 1) * plain - SALT_BYTES;
        if number == 0 { 0..end } else { end - plain..end }
    }

    /// The block that holds payload byte `offset`.
    pub fn block_of(self, offset: usize) -> usize {
        (offset + SALT_BYTES) / (self.bytes() - TAG_BYTES)
    }
}

/// The last 16 bytes of a data shard's payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trailer {
    /// bytes of chunks from the payload's start
    pub chunk_bytes: u32,
    /// bytes of the list that ends where the trailer begins
    pub list_bytes: u32,
}

impl Trailer {
    /// The 16 bytes.
    pub fn encode(self) -> [u8; TRAILER_BYTES] {
        let mut out = Vec::with_capacity(TRAILER_BYTES);
        out.put_u32(self.chunk_bytes);
        out.put_u32(self.list_bytes);
        out.put_u64(0);
        let mut bytes = [0; TRAILER_BYTES];
        bytes.copy_from_slice(&out);
        bytes
    }

    /// Reads the trailer of a payload of `payload_bytes`.
    pub fn decode(bytes: &[u8; TRAILER_BYTES], payload_bytes: usize) -> Result<Self, FormatError> {
        let mut fields = Fields::new("shard trailer", bytes);
        let trailer = Self { chunk_bytes: fields.u32()?, list_bytes: fields.u32()? };
        fields.zeros(8)?;
        let used = trailer.chunk_bytes as u64 + trailer.list_bytes as u64 + TRAILER_BYTES as u64;
        if used > payload_bytes as u64 {
            return Err(fields.invalid("lengths", used));
        }
        Ok(trailer)
    }
}
