//! The outside of a wrapped key: how long its file may be, and where its header ends. age says what
//! is in it.

/// The longest key file.
pub const MAX_KEY_BYTES: u64 = 65_536;

const BEGINNING: &[u8] = b"age-encryption.org/v1\n-> ";
const MAC_LINE: &[u8] = b"\n--- ";
const MAC_CHARS: usize = 43;
/// Bytes behind the header: a nonce, the run key with its head, and its tag.
const REST_BYTES: usize = 16 + 72 + 16;

/// Bytes of an age file's header, with the line feed that ends it; none if it has none.
pub fn header_len(bytes: &[u8]) -> Option<usize> {
    if !bytes.starts_with(BEGINNING) {
        return None;
    }
    let mac_at = bytes.windows(MAC_LINE.len()).position(|w| w == MAC_LINE)? + MAC_LINE.len();
    let (mac, rest) = bytes[mac_at..].split_at_checked(MAC_CHARS)?;
    let is_base64 = |c: &u8| c.is_ascii_alphanumeric() || matches!(c, b'+' | b'/');
    (rest.first() == Some(&b'\n') && mac.iter().all(is_base64)).then_some(mac_at + MAC_CHARS + 1)
}

/// Whether this may be the file of a wrapped key: without an identity, no more can be known.
pub fn is_wrapped_key(bytes: &[u8]) -> bool {
    bytes.len() as u64 <= MAX_KEY_BYTES
        && header_len(bytes).is_some_and(|len| bytes.len() >= len + REST_BYTES)
}
