//! Chunks to measure with: of a source, or made.

use crate::dataset::{ScannedEntry, Source};
use crate::format::list::Kind;
use std::fmt::Write as _;

/// Bytes of a chunk.
pub const CHUNK_BYTES: usize = 1 << 20;
/// Chunks of a sample.
const CHUNKS: usize = 64;

/// Some plain bytes in chunks.
pub struct Sample {
    /// at most [`CHUNK_BYTES`] each
    pub chunks: Vec<Vec<u8>>,
}

impl Sample {
    /// Bytes that do not compress.
    pub fn noise() -> Self {
        let chunk = |seed: usize| {
            let mut bytes = vec![0; CHUNK_BYTES];
            blake3::Hasher::new_derive_key("holdall bench noise")
                .update(&seed.to_le_bytes())
                .finalize_xof()
                .fill(&mut bytes);
            bytes
        };
        Self { chunks: (0..8).map(chunk).collect() }
    }

    /// Lines of a table: times, names, numbers.
    pub fn table() -> Self {
        let noise = Self::noise();
        let chunk = |noise: &Vec<u8>| {
            let mut text = String::with_capacity(CHUNK_BYTES + 100);
            for (row, word) in noise.chunks_exact(8).enumerate() {
                let number = u64::from_le_bytes([
                    word[0], word[1], word[2], word[3], word[4], word[5], word[6], word[7],
                ]);
                let (hour, name) = (row / 3600, ["north", "south", "east", "west"][row % 4]);
                let value = number % 10_000_000;
                let part = value / 7;
                // Writing to a String cannot fail.
                let _ = writeln!(text, "2026-11-{hour:02},{row},{name},{value},0.{part}");
                if text.len() >= CHUNK_BYTES {
                    break;
                }
            }
            text.truncate(CHUNK_BYTES);
            text.into_bytes()
        };
        Self { chunks: noise.chunks.iter().map(chunk).collect() }
    }

    /// Chunks spread over the files of a source; none if nothing of it can be read.
    pub fn of(source: &Source, entries: &[ScannedEntry]) -> Option<Self> {
        let files: Vec<_> =
            entries.iter().filter(|e| e.entry.kind == Kind::File && e.entry.size > 0).collect();
        let step = files.len().div_ceil(CHUNKS).max(1);
        let mut chunks: Vec<Vec<u8>> = Vec::new();
        let mut small = Vec::new();
        for file in files.iter().step_by(step) {
            let mut bytes = vec![0; CHUNK_BYTES.min(file.entry.size as usize)];
            let opened = source.open_file(&file.entry.path);
            let Ok(len) = opened.and_then(|opened| opened.read_at(0, &mut bytes)) else { continue };
            bytes.truncate(len);
            if bytes.len() >= CHUNK_BYTES / 4 {
                chunks.push(bytes);
                continue;
            }
            // As in packing: small files share a chunk.
            small.extend_from_slice(&bytes);
            if small.len() >= CHUNK_BYTES {
                small.truncate(CHUNK_BYTES);
                chunks.push(std::mem::take(&mut small));
            }
        }
        if !small.is_empty() {
            chunks.push(small);
        }
        (!chunks.is_empty()).then_some(Self { chunks })
    }

    pub fn bytes(&self) -> usize {
        self.chunks.iter().map(Vec::len).sum()
    }
}
