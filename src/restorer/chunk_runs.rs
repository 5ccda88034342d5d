//! Where a chunk lies in the shards of its stripe.

use crate::format::list::Place;
use crate::format::record::StripeRecord;
use crate::format::shard::{Blocks, TRAILER_BYTES};
use std::ops::Range;

/// The blocks in which payload bytes lie.
pub fn in_blocks(blocks: Blocks, bytes: &Range<usize>) -> Range<usize> {
    blocks.block_of(bytes.start)..blocks.block_of(bytes.end - 1) + 1
}

/// The runs of payload bytes in which a chunk lies, shard by shard; none if the place is outside
/// its stripe.
pub fn runs(place: &Place, record: &StripeRecord) -> Option<Vec<(u8, Range<usize>)>> {
    let capacity = record.blocks.payload_bytes() - TRAILER_BYTES;
    let offset = place.offset as usize;
    let mut runs = Vec::new();
    let mut index = place.index;
    let mut run = offset..offset + place.head as usize;
    let mut left = place.stored as usize;
    loop {
        if index >= record.k || run.end > capacity || run.is_empty() {
            return None;
        }
        left -= run.len();
        runs.push((index, run));
        if left == 0 {
            return Some(runs);
        }
        index += 1;
        run = 0..left.min(capacity);
    }
}
