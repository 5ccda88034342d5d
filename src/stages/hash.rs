//! BLAKE3 by subtrees: one pass over the bytes serves chunk ids, block hashes and whole-file
//! roots.
//!
//! A file cut at multiples of a power of two is a tree whose leaves are those pieces. A piece that
//! is the whole file hashes to its root; any other to the chaining value of the subtree at its
//! offset. [`Merge`] joins the values of all pieces in order to the root that `b3sum` prints.

use crate::format::list::Hash;
use blake3::hazmat::{HasherExt, Mode, merge_subtrees_non_root, merge_subtrees_root};

/// The value of a piece of a file: its root if it is `whole`, else its chaining value at
/// `offset`, which must be a multiple of the piece size (a power of two, at least 1,024).
pub fn piece(bytes: &[u8], offset: u64, whole: bool) -> Hash {
    if whole || bytes.is_empty() {
        return *blake3::hash(bytes).as_bytes();
    }
    let mut hasher = blake3::Hasher::new();
    hasher.set_input_offset(offset);
    hasher.update(bytes);
    hasher.finalize_non_root()
}

/// The hash of block `number` of a shard of `count` blocks: its chaining value in the shard, or
/// the shard's root if it is the only one.
pub fn block_hash(block: &[u8], number: usize, count: usize) -> Hash {
    piece(block, (number * block.len()) as u64, count == 1)
}

/// Joins the values of a file's pieces, given in order, to its root.
#[derive(Clone, Debug, Default)]
pub struct Merge {
    /// values of complete subtrees to the left, largest first
    stack: Vec<Hash>,
    /// pieces joined into the stack
    joined: u64,
    /// the newest piece, kept apart because the last one decides the root
    newest: Option<Hash>,
}

impl Merge {
    /// Adds the next piece. All but the last are of the same size.
    pub fn push(&mut self, value: Hash) {
        if let Some(mut value) = self.newest.replace(value) {
            self.joined += 1;
            let mut count = self.joined;
            while count & 1 == 0 {
                let left = self.stack.pop().expect("an even count has a left sibling on the stack");
                value = merge_subtrees_non_root(&left, &value, Mode::Hash);
                count >>= 1;
            }
            self.stack.push(value);
        }
    }

    /// The root; of no pieces, the root of the empty file. A single piece's value must have been
    /// its root already.
    pub fn root(&self) -> Hash {
        let Some(mut value) = self.newest else {
            return *blake3::hash(b"").as_bytes();
        };
        for (i, left) in self.stack.iter().enumerate().rev() {
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
    fn shards_of_1_2_3_64_blocks() {
        for n in [1usize, 2, 3, 64] {
            let data = bytes(n * 4096);
            assert_eq!(by_pieces(&data, 4096), *blake3::hash(&data).as_bytes(), "{n} blocks");
        }
    }
}
