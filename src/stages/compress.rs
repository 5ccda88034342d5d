//! A chunk's plain bytes to stored bytes and back: zstd, or as they are where zstd does not help.
//!
//! A chunk is compressed alone, so that one file can be read without its neighbours' chunks. Its window
//! is as long as a chunk can be; at the levels that zstd finds long matches at by one look into a table
//! of hashes (3 and 4), this table is larger than zstd's own, which makes up for the beginning of each
//! chunk, where there is nothing to match.

use crate::format::frame::is_frame;
use crate::format::list::Method;
use zstd::zstd_safe::CParameter;

/// Bytes of each sample that the probe compresses.
const SAMPLE_BYTES: usize = 8 << 10;
/// A sample is taken of so many bytes, and two at least.
const BYTES_PER_SAMPLE: usize = 512 << 10;
/// Chunks up to this size are compressed without a probe.
const UNPROBED_BYTES: usize = 64 << 10;
/// The base-2 logarithm of the largest window that a reader takes.
const WINDOW_LOG: u32 = 23;
/// A chunk is stored plain unless zstd saves at least this part of it.
const MIN_SAVING: usize = 32;

/// Compresses chunks; one per thread, with reused contexts.
pub struct Compressor {
    level: u8,
    real: zstd::bulk::Compressor<'static>,
    probe: zstd::bulk::Compressor<'static>,
    sample: Vec<u8>,
}

impl Compressor {
    /// zstd at `level` (1 to 19).
    pub fn new(level: i32) -> std::io::Result<Self> {
        let mut real = zstd::bulk::Compressor::new(level)?;
        real.set_parameter(CParameter::WindowLog(WINDOW_LOG))?;
        if let Some(log) = hash_log(level) {
            real.set_parameter(CParameter::HashLog(log))?;
        }
        Ok(Self {
            level: level as u8,
            real,
            // The fastest that codes bytes by how frequent they are: base64 has no other gain.
            probe: zstd::bulk::Compressor::new(1)?,
            sample: vec![0; zstd::zstd_safe::compress_bound(SAMPLE_BYTES)],
        })
    }

    /// From here on at this level.
    pub fn set_level(&mut self, level: i32) -> std::io::Result<()> {
        if i32::from(self.level) != level {
            *self = Self::new(level)?;
        }
        Ok(())
    }

    /// Compresses `plain` into `stored` (its contents are replaced) and returns how it is stored; if
    /// [`Method::Plain`], `stored` is left empty and the plain bytes are used.
    pub fn compress(&mut self, plain: &[u8], stored: &mut Vec<u8>) -> Method {
        stored.clear();
        if !self.promising(plain) {
            return Method::Plain;
        }
        stored.reserve(zstd::zstd_safe::compress_bound(plain.len()));
        let limit = plain.len() - plain.len() / MIN_SAVING;
        match self.real.compress_to_buffer(plain, stored) {
            Ok(len) if len < limit => Method::Zstd(self.level),
            _ => {
                stored.clear();
                Method::Plain
            }
        }
    }

    /// One frame of these bytes, if it is shorter than they are.
    pub fn frame(&mut self, plain: &[u8]) -> Option<Vec<u8>> {
        let frame = self.real.compress(plain).ok()?;
        (frame.len() < plain.len()).then_some(frame)
    }

    /// Whether any of some samples, spread over the chunk, shrinks.
    fn promising(&mut self, plain: &[u8]) -> bool {
        if plain.len() <= UNPROBED_BYTES {
            return plain.len() >= MIN_SAVING;
        }
        let last = plain.len() - SAMPLE_BYTES;
        let gaps = plain.len().div_ceil(BYTES_PER_SAMPLE);
        (0..=gaps).map(|number| last * number / gaps).any(|at| {
            let sample = &plain[at..at + SAMPLE_BYTES];
            let shrunk = self.probe.compress_to_buffer(sample, &mut self.sample[..]);
            shrunk.is_ok_and(|len| len < SAMPLE_BYTES - SAMPLE_BYTES / MIN_SAVING)
        })
    }
}

/// The base-2 logarithm of the table of long matches, where it is not zstd's own.
fn hash_log(level: i32) -> Option<u32> {
    match level {
        3 => Some(18),
        4 => Some(19),
        _ => None,
    }
}

/// Stored bytes that do not decompress to what their record says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a chunk does not decompress to the {plain} bytes it should have")]
pub struct CorruptChunk {
    /// bytes it should have
    pub plain: usize,
}

/// Decompresses chunks; one per thread.
pub struct Decompressor {
    context: zstd::bulk::Decompressor<'static>,
}

impl Decompressor {
    pub fn new() -> std::io::Result<Self> {
        Ok(Self { context: zstd::bulk::Decompressor::new()? })
    }

    /// Fills `plain`, whose length is the chunk's, from `stored`.
    pub fn decompress(
        &mut self,
        method: Method,
        stored: &[u8],
        plain: &mut [u8],
    ) -> Result<(), CorruptChunk> {
        let corrupt = CorruptChunk { plain: plain.len() };
        let len = match method {
            Method::Plain if stored.len() == plain.len() => {
                plain.copy_from_slice(stored);
                stored.len()
            }
            Method::Plain => return Err(corrupt),
            Method::Zstd(_) => {
                if !is_frame(stored, plain.len()) {
                    return Err(corrupt);
                }
                self.context.decompress_to_buffer(stored, plain).map_err(|_| corrupt.clone())?
            }
        };
        if len == plain.len() { Ok(()) } else { Err(corrupt) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip(plain: &[u8]) -> Method {
        let mut stored = Vec::new();
        let method = Compressor::new(3).unwrap().compress(plain, &mut stored);
        let stored = if method == Method::Plain { plain } else { &stored[..] };
        let mut back = vec![0; plain.len()];
        Decompressor::new().unwrap().decompress(method, stored, &mut back).unwrap();
        assert_eq!(back, plain);
        method
    }

    #[test]
    fn text_shrinks_and_noise_does_not() {
        let mut noise = vec![0; 1 << 20];
        blake3::Hasher::new().finalize_xof().fill(&mut noise);
        assert_eq!(round_trip(&noise), Method::Plain);
        assert_eq!(round_trip(&noise[..5000]), Method::Plain);
        assert_eq!(round_trip(&vec![b'a'; 1 << 20]), Method::Zstd(3));
        // Noise with text at its end is found by the last sample.
        noise[900_000..].fill(b'x');
        assert_eq!(round_trip(&noise), Method::Zstd(3));
        let letters: Vec<u8> = noise[..900_000].iter().map(|byte| b'0' + (byte & 63)).collect();
        assert_eq!(round_trip(&letters), Method::Zstd(3), "what only has few letters");
        assert_eq!(round_trip(b""), Method::Plain);
        assert_eq!(round_trip(b"a"), Method::Plain);
    }

    #[test]
    fn wrong_lengths_are_refused() {
        let mut stored = Vec::new();
        let plain = vec![7; 100_000];
        assert_eq!(Compressor::new(1).unwrap().compress(&plain, &mut stored), Method::Zstd(1));
        let mut d = Decompressor::new().unwrap();
        for len in [99_999, 100_001, 0] {
            assert!(d.decompress(Method::Zstd(1), &stored, &mut vec![0; len]).is_err(), "{len}");
        }
        assert!(d.decompress(Method::Plain, &stored, &mut vec![0; 100_000]).is_err());
    }
}
