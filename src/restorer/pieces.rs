//! Pieces of chunks that run from one shard into the next while only one of the two is here.
//!
//! - Enters: the stored bytes of a chunk that lie in one shard, when the rest waits for drives.
//! - Leaves: the same bytes, in a later run with other drives.
//! - Always holds: what comes out is what went in, by its BLAKE3, or nothing.
//!
//! With nothing lost, one drive at a time is therefore enough: whole chunks go straight to their
//! files, and of each shard one piece at most lies here, in `DIR/.holdall`.

use super::output::Output;
use crate::format::list::Place;
use std::ops::Range;

const HASH_BYTES: usize = 32;

/// The name of a piece: which chunk's, and which part of it.
fn name(place: &Place, index: u8) -> String {
    format!("{}-{:02x}-{:08x}-{index:02x}", place.stripe, place.index, place.offset)
}

/// Keeps a piece. What cannot be kept is read again from its drive.
pub fn keep(output: Output, place: &Place, index: u8, bytes: &[u8]) {
    let kept = [bytes, blake3::hash(bytes).as_bytes()].concat();
    let _ = output.share_file(&name(place, index)).and_then(|file| file.write_at(0, &kept));
}

/// A piece that was kept.
pub fn find(output: Output, place: &Place, index: u8, run: &Range<usize>) -> Option<Vec<u8>> {
    let Output::Folder(folder) = output else { return None };
    let mut bytes = vec![0; run.len() + HASH_BYTES];
    folder.find_shared(&name(place, index))?.read_at(0, &mut bytes).ok()?;
    let hash = bytes.split_off(run.len());
    (blake3::hash(&bytes).as_bytes()[..] == hash).then_some(bytes)
}
