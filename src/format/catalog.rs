//! Catalog files: the lists of a set again, in frames that one lookup can find.
//!
//! A part's content is a run of frames; the index's content says which path each frame begins
//! with. Both are sealed like a shard ([`super::shard`]), with the content's length in front and
//! zeros behind.

use super::FormatError;
use super::ids::RunId;
use super::wire::{Fields, Put};

/// The part number that means: the index.
pub const INDEX_PART: u32 = u32::MAX;
/// Bytes before a frame's stored bytes.
pub const FRAME_HEAD_BYTES: usize = 8;
/// Plain bytes after which a frame is closed.
pub const FRAME_BYTES: usize = 256 << 10;
/// The most plain bytes of a frame that is read: one entry may be large.
pub const MAX_FRAME_BYTES: u32 = 64 << 20;
/// Bytes of the length in front of a sealed content.
pub const LENGTH_BYTES: usize = 8;

/// Where a frame is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrameRow {
    /// sort key of the entry it begins with
    pub first: Vec<u8>,
    /// the run whose part it is in
    pub run: RunId,
    /// the part
    pub part: u32,
    /// offset of its head in the part's content
    pub offset: u64,
    /// zstd bytes
    pub stored: u32,
    /// list bytes
    pub plain: u32,
}

/// The index of a set's catalog.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Index {
    /// entries in the set
    pub entries: u64,
    /// files among them
    pub files: u64,
    /// sum of the files' sizes
    pub file_bytes: u64,
    /// frames in entry order
    pub frames: Vec<FrameRow>,
}

/// The 8 bytes before a frame's stored bytes.
pub fn encode_frame_head(stored: u32, plain: u32) -> [u8; FRAME_HEAD_BYTES] {
    let mut head = [0; FRAME_HEAD_BYTES];
    head[..4].copy_from_slice(&stored.to_le_bytes());
    head[4..].copy_from_slice(&plain.to_le_bytes());
    head
}

/// Reads a frame's head: stored and plain bytes.
pub fn decode_frame_head(bytes: &[u8]) -> Result<(u32, u32), FormatError> {
    let mut fields = Fields::new("catalog frame", bytes);
    let (stored, plain) = (fields.u32()?, fields.u32()?);
    if stored == 0 || plain == 0 || plain > MAX_FRAME_BYTES {
        return Err(fields.invalid("length", format!("{stored} for {plain}")));
    }
    Ok((stored, plain))
}

impl Index {
    /// The index's content.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        out.put_u64(self.entries);
        out.put_u64(self.files);
        out.put_u64(self.file_bytes);
        out.put_u32(self.frames.len() as u32);
        for row in &self.frames {
            out.put_u64(row.run.0);
            out.put_u32(row.part);
            out.put_u64(row.offset);
            out.put_u32(row.stored);
            out.put_u32(row.plain);
            out.put_u32(row.first.len() as u32);
            out.put(&row.first);
        }
        out
    }

    /// Reads an index's content.
    pub fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        let mut fields = Fields::new("catalog index", bytes);
        let mut index = Self {
            entries: fields.u64()?,
            files: fields.u64()?,
            file_bytes: fields.u64()?,
            frames: Vec::new(),
        };
        for _ in 0..fields.u32()? {
            let run = RunId(fields.u64()?);
            let part = fields.u32()?;
            let offset = fields.u64()?;
            let (stored, plain) = decode_frame_head(fields.take(FRAME_HEAD_BYTES)?)?;
            let len = fields.u32()? as usize;
            let first = fields.take(len)?.to_vec();
            if index.frames.last().is_some_and(|last| last.first > first) {
                return Err(fields.invalid("order", index.frames.len()));
            }
            index.frames.push(FrameRow { first, run, part, offset, stored, plain });
        }
        if fields.left() > 0 {
            return Err(fields.invalid("length", bytes.len()));
        }
        Ok(index)
    }

    /// The frames in which an entry with this sort key can be: those that begin with it, and the
    /// one before them.
    pub fn frames_of(&self, sort_key: &[u8]) -> &[FrameRow] {
        let from = self.frames.partition_point(|row| row.first.as_slice() < sort_key);
        let to = self.frames.partition_point(|row| row.first.as_slice() <= sort_key);
        &self.frames[from.saturating_sub(1)..to]
    }
}
