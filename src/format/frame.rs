//! One zstd frame of which everything is known before room is made for what it holds.

use super::error::FormatError;

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

/// The `plain` bytes that a frame holds; `what` names it in errors. The caller bounds `plain`.
pub fn decompress(what: &'static str, stored: &[u8], plain: usize) -> Result<Vec<u8>, FormatError> {
    if !is_frame(stored, plain) {
        let detail = "not one frame of these bytes with a window that may be";
        return Err(FormatError::invalid(what, "zstd", detail));
    }
    let bytes =
        zstd::bulk::decompress(stored, plain).map_err(|e| FormatError::invalid(what, "zstd", e))?;
    if bytes.len() != plain {
        return Err(FormatError::invalid(what, "length", bytes.len()));
    }
    Ok(bytes)
}
