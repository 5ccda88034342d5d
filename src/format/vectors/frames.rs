//! zstd frames written by hand, so that no version of the zstd library can change a byte.

const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// The most plain bytes of a block.
const BLOCK_BYTES: usize = 128 << 10;

/// A frame of one raw block: magic, single segment with a 1- or 2-byte content size, the block.
pub(super) fn raw_zstd(plain: &[u8]) -> Vec<u8> {
    let head = match u8::try_from(plain.len()) {
        Ok(size) => vec![0x20, size],
        Err(_) => {
            let size = u16::try_from(plain.len() - 256).unwrap();
            [&[0x60], &size.to_le_bytes()[..]].concat()
        }
    };
    let mut frame = [&MAGIC[..], &head].concat();
    block(&mut frame, 0, plain.len(), plain);
    *last_header(&mut frame, plain.len()) |= 1;
    frame
}

/// A frame of `head`, then `byte` as often as `count` says, then `tail`.
pub(super) fn one_byte(head: &[u8], byte: u8, count: usize, tail: &[u8]) -> Vec<u8> {
    let mut frame = long_head(head.len() + count + tail.len());
    block(&mut frame, 0, head.len(), head);
    let mut left = count;
    while left > 0 {
        let size = left.min(BLOCK_BYTES);
        block(&mut frame, 1, size, &[byte]);
        left -= size;
    }
    block(&mut frame, 0, tail.len(), tail);
    *last_header(&mut frame, tail.len()) |= 1;
    frame
}

/// A frame of 7 bytes that are repeated; of its last block, `less` bytes are missing.
pub(super) fn repeated(pattern: [u8; 7], blocks: usize, less: usize) -> Vec<u8> {
    let mut frame = long_head(blocks * BLOCK_BYTES - less);
    for number in 0..blocks {
        let literals = if number == 0 { &pattern[..] } else { &[] };
        let less = if number + 1 == blocks { less } else { 0 };
        let content = one_match(literals, BLOCK_BYTES - literals.len() - less);
        block(&mut frame, 2, content.len(), &content);
        if number + 1 == blocks {
            *last_header(&mut frame, content.len()) |= 1;
        }
    }
    frame
}

/// A compressed block of raw literals and one match, of so many bytes from 7 bytes before.
fn one_match(literals: &[u8], len: usize) -> Vec<u8> {
    // One sequence, each code by itself: literals (code is length), offset 8 + 2 - 3, length 65,539 + x.
    let (offset_code, match_code) = (3, 52);
    let codes = [1, 0b01_01_01_00, literals.len() as u8, offset_code, match_code];
    // Read from the end: a 1 that marks the end, 3 bits of offset, 16 bits of length.
    let bits = 1 << 19 | 2 << 16 | (len - 65_539) as u32;
    [&[(literals.len() as u8) << 3], literals, &codes, &bits.to_le_bytes()[..3]].concat()
}

/// The head of a single segment with a 4-byte content size.
fn long_head(plain: usize) -> Vec<u8> {
    [&MAGIC[..], &[0xa0], &(plain as u32).to_le_bytes()].concat()
}

fn block(frame: &mut Vec<u8>, kind: u32, size: usize, content: &[u8]) {
    frame.extend(&((size as u32) << 3 | kind << 1).to_le_bytes()[..3]);
    frame.extend(content);
}

/// The first byte of the last block, whose content has so many bytes.
fn last_header(frame: &mut [u8], content: usize) -> &mut u8 {
    let at = frame.len() - content - 3;
    &mut frame[at]
}
