//! A chunk's plain bytes to stored bytes and back: zstd, or as they are where zstd does not help.

use crate::format::list::Method;

/// Bytes of each sample that the probe compresses.
const SAMPLE_BYTES: usize = 8 << 10;
/// Chunks up to this size are compressed without a probe.
const UNPROBED_BYTES: usize = 64 << 10;
/// A chunk is stored plain unless zstd saves at least this part of it.
const MIN_SAVING: usize = 32;

/// Compresses chunks; one per thread, with reused contexts.
pub struct Compressor {
    real: zstd::bulk::Compressor<'static>,
    probe: zstd::bulk::Compressor<'static>,
    sample: Vec<u8>,
}

impl Compressor {
    /// zstd at `level` (1 to 19).
    pub fn new(level: i32) -> std::io::Result<Self> {
        Ok(Self {
            real: zstd::bulk::Compressor::new(level)?,
            probe: zstd::bulk::Compressor::new(-1)?,
            sample: vec![0; zstd::zstd_safe::compress_bound(SAMPLE_BYTES)],
        })
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
            Ok(len) if len < limit => Method::Zstd,
            _ => {
                stored.clear();
                Method::Plain
            }
        }
    }

    /// Whether any of three samples, spread over the chunk, shrinks.
    fn promising(&mut self, plain: &[u8]) -> bool {
        if plain.len() <= UNPROBED_BYTES {
            return plain.len() >= MIN_SAVING;
        }
        let last = plain.len() - SAMPLE_BYTES;
        [0, last / 2, last].into_iter().any(|at| {
            let sample = &plain[at..at + SAMPLE_BYTES];
            let shrunk = self.probe.compress_to_buffer(sample, &mut self.sample[..]);
            shrunk.is_ok_and(|len| len < SAMPLE_BYTES - SAMPLE_BYTES / MIN_SAVING)
        })
    }
}

/// The largest window of a frame, unless its content is larger.
const WINDOW_BYTES: u64 = 8 << 20;
/// The magic number that a zstd frame begins with.
const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// The bit of a frame's first byte that makes its window as large as its content.
const IS_SINGLE_SEGMENT: u8 = 0x20;

/// Whether this is exactly one zstd frame that does not announce another size than `plain` bytes, and
/// whose window is bounded. Nothing is decompressed to find out.
pub fn is_frame(stored: &[u8], plain: usize) -> bool {
    let content = || zstd::zstd_safe::get_frame_content_size(stored).ok();
    let most = WINDOW_BYTES.max(plain as u64);
    window_bytes(stored, plain as u64).is_some_and(|bytes| bytes <= most)
        && content().is_some_and(|size| size.is_none_or(|size| size == plain as u64))
        && zstd::zstd_safe::find_frame_compressed_size(stored) == Ok(stored.len())
}

/// The window that a frame asks for (RFC 8878, 3.1.1.1.2), which may be its `content`; none if this is
/// not a zstd frame.
fn window_bytes(frame: &[u8], content: u64) -> Option<u64> {
    let [descriptor, window, ..] = *frame.strip_prefix(&MAGIC)? else { return None };
    if descriptor & IS_SINGLE_SEGMENT != 0 {
        return Some(content);
    }
    let base = 1u64 << (10 + (window >> 3));
    Some(base + base / 8 * u64::from(window & 7))
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
            Method::Zstd => {
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
        assert_eq!(round_trip(&vec![b'a'; 1 << 20]), Method::Zstd);
        // Noise with text at its end is found by the last sample.
        noise[900_000..].fill(b'x');
        assert_eq!(round_trip(&noise), Method::Zstd);
        assert_eq!(round_trip(b""), Method::Plain);
        assert_eq!(round_trip(b"a"), Method::Plain);
    }

    #[test]
    fn wrong_lengths_are_refused() {
        let mut stored = Vec::new();
        let plain = vec![7; 100_000];
        assert_eq!(Compressor::new(1).unwrap().compress(&plain, &mut stored), Method::Zstd);
        let mut d = Decompressor::new().unwrap();
        for len in [99_999, 100_001, 0] {
            assert!(d.decompress(Method::Zstd, &stored, &mut vec![0; len]).is_err(), "{len}");
        }
        assert!(d.decompress(Method::Plain, &stored, &mut vec![0; 100_000]).is_err());
    }
}
