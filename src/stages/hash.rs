//! BLAKE3 by subtrees: one pass over the bytes serves chunk ids, block hashes and whole-file
//! roots.
//!
//! A file cut at multiples of a power of two is a tree whose leaves are those pieces. A piece that
//! is the whole file hashes to its root; any other to the chaining value of the subtree at its
//! offset. [`Merge`] joins the values of all pieces in order to the root that `b3sum` prints.

use crate::format::list::Hash;
use blake3::hazmat::{HasherExt, Mode, merge_subtrees_non_root, merge_subtrees_root};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// The value of a piece of a file: its root if it is `whole`, else its chaining value at
/// `offset`, which must be a multiple of the piece size (a power of two, at least 1,024): lists in
/// which it is not are rejected.
pub fn piece(bytes: &[u8], offset: u64, whole: bool) -> Hash {
    if whole || bytes.is_empty() {
        return *blake3::hash(bytes).as_bytes();
    }
    let mut hasher = Piece::new(offset);
    hasher.update(bytes);
    hasher.value()
}

/// The value of a piece of a file that is not the whole file, from its bytes as they come.
pub struct Piece(blake3::Hasher);

impl Piece {
    /// Of the piece at `offset`, as [`piece`] takes it.
    pub fn new(offset: u64) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.set_input_offset(offset);
        Self(hasher)
    }

    /// The next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The value of all of them, at least one.
    pub fn value(&self) -> Hash {
        self.0.finalize_non_root()
    }
}

/// The hash of block `number` of a shard of `count` blocks: its chaining value in the shard, or
/// the shard's root if it is the only one.
pub fn block_hash(block: &[u8], number: usize, count: usize) -> Hash {
    piece(block, (number * block.len()) as u64, count == 1)
}

pub fn block_hashes(shard: &[u8], block_bytes: usize) -> Vec<Hash> {
    let blocks = shard.par_chunks_exact(block_bytes);
    let count = shard.len() / block_bytes;
    blocks.enumerate().map(|(number, block)| block_hash(block, number, count)).collect()
}

/// A run of pieces that is a subtree: how many, a power of two but for the last, and its value.
pub type Subtree = (u64, Hash);

/// Joins the values of a file's pieces, in order, to its root; or those of a run of pieces, to
/// few values that are then joined with those around them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Merge {
    /// the number of the first piece
    start: u64,
    /// complete subtrees to the left
    stack: Vec<Subtree>,
    /// pieces joined into the stack
    joined: u64,
    /// the newest, kept apart because the last one decides the root
    newest: Option<Subtree>,
}

impl Merge {
    /// A merge of the pieces from number `start` on.
    pub fn from(start: u64) -> Self {
        Self { start, ..Self::default() }
    }

    /// Adds the next piece. All but the last are of the same size.
    pub fn push(&mut self, value: Hash) {
        self.push_subtree((1, value));
    }

    /// Adds what [`Merge::subtrees`] gave for the next pieces.
    pub fn push_subtree(&mut self, next: Subtree) {
        let Some((mut size, mut value)) = self.newest.replace(next) else { return };
        let mut at = self.start + self.joined;
        self.joined += size;
        while let Some((left_size, left)) = self.stack.last()
            && *left_size == size
            && (at - size).is_multiple_of(2 * size)
        {
            value = merge_subtrees_non_root(left, &value, Mode::Hash);
            self.stack.pop();
            at -= size;
            size *= 2;
        }
        self.stack.push((size, value));
    }

    /// The number of the piece after the last.
    pub fn end(&self) -> u64 {
        self.start + self.joined + self.newest.map_or(0, |(size, _)| size)
    }

    /// The pieces so far as the fewest subtrees, in order.
    pub fn subtrees(&self) -> impl Iterator<Item = Subtree> + '_ {
        self.stack.iter().copied().chain(self.newest)
    }

    /// The root of a file that was joined from its beginning; of no pieces, the root of the empty
    /// file. A single piece's value must have been its root already.
    pub fn root(&self) -> Hash {
        let Some((_, mut value)) = self.newest else {
            return *blake3::hash(b"").as_bytes();
        };
        for (i, (_, left)) in self.stack.iter().enumerate().rev() {
            value = if i == 0 {
                *merge_subtrees_root(left, &value, Mode::Hash).as_bytes()
            } else {
                merge_subtrees_non_root(left, &value, Mode::Hash)
            };
        }
        value
    }
}

/// The root of a file from the values of all its pieces.
pub fn root_of(pieces: &[Hash]) -> Hash {
    let mut merge = Merge::default();
    pieces.iter().for_each(|p| merge.push(*p));
    merge.root()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(len: usize) -> Vec<u8> {
        let mut out = vec![0; len];
        blake3::Hasher::new().update(b"seed").finalize_xof().fill(&mut out);
        out
    }

    fn by_pieces(data: &[u8], size: usize) -> Hash {
        let whole = data.len() <= size;
        let pieces: Vec<_> = data
            .chunks(size)
            .enumerate()
            .map(|(i, c)| piece(c, (i * size) as u64, whole))
            .collect();
        root_of(&pieces)
    }

    #[test]
    fn merged_root_is_the_plain_hash_at_every_edge() {
        for size in [1024, 4096, 65536] {
            let mut lens = vec![0, 1];
            for n in [1, 2, 3, 4, 5, 7, 8, 9, 63, 64, 65] {
                lens.extend([n * size - 1, n * size, n * size + 1]);
            }
            for len in lens {
                let data = bytes(len);
                assert_eq!(by_pieces(&data, size), *blake3::hash(&data).as_bytes(), "{len}/{size}");
            }
        }
    }

    #[test]
    fn runs_of_pieces_join_to_the_same_root() {
        let data = bytes(37 * 1024 + 5);
        let pieces: Vec<Hash> =
            data.chunks(1024).enumerate().map(|(i, c)| piece(c, i as u64 * 1024, false)).collect();
        for (a, b) in
            [(0, 0), (1, 1), (1, 2), (3, 9), (16, 32), (31, 33), (5, 38), (37, 38), (38, 38)]
        {
            let mut whole = Merge::default();
            for (from, to) in [(0, a), (a, b), (b, pieces.len())] {
                let mut run = Merge::from(from as u64);
                pieces[from..to].iter().for_each(|value| run.push(*value));
                assert_eq!(run.end(), to as u64);
                assert!(run.subtrees().count() <= 12);
                run.subtrees().for_each(|subtree| whole.push_subtree(subtree));
            }
            assert_eq!(whole.root(), *blake3::hash(&data).as_bytes(), "cut at {a} and {b}");
        }
    }

    #[test]
    fn shards_of_1_2_3_64_blocks() {
        for n in [1usize, 2, 3, 64] {
            let data = bytes(n * 4096);
            assert_eq!(by_pieces(&data, 4096), *blake3::hash(&data).as_bytes(), "{n} blocks");
        }
    }
}
