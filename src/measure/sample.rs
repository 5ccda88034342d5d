//! Made data to measure with.

use std::fmt::Write as _;

/// Bytes of a chunk.
const CHUNK_BYTES: usize = 1 << 20;

/// Some plain bytes in chunks.
pub struct SampleData {
    /// at most [`CHUNK_BYTES`] each
    pub chunks: Vec<Vec<u8>>,
}

impl SampleData {
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

    pub fn bytes(&self) -> usize {
        self.chunks.iter().map(Vec::len).sum()
    }
}
