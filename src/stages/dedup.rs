//! What was packed before: ids of extents and where they lie, in a table of fixed size that
//! forgets the oldest.

use crate::format::list::{Hash, Place};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// Entries in 64 MiB: a key and a value in the map with its spare room, and the key in the queue.
pub const DEFAULT_ENTRIES: usize = (64 << 20) / 200;

/// A chunk of a stripe that is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlacedChunk {
    pub place: Place,
    /// its [`NewChunk::id`](super::fill::NewChunk::id)
    pub id: Hash,
}

/// Where the bytes of an extent already are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Known {
    /// in a stripe that is closed
    Placed {
        chunk: Arc<PlacedChunk>,
        /// offset of the bytes in it
        chunk_offset: u32,
    },
    /// in the stripe that is being filled
    Here {
        /// number of the bundle whose chunk holds them
        bundle: usize,
        /// offset of the bytes in it
        chunk_offset: u32,
    },
}

pub struct Dedup {
    known: HashMap<Hash, (Known, u32)>,
    order: VecDeque<Hash>,
    limit: usize,
    forgotten: u64,
}

impl Dedup {
    /// A table that remembers `limit` extents.
    pub fn new(limit: usize) -> Self {
        Self { known: HashMap::new(), order: VecDeque::new(), limit, forgotten: 0 }
    }

    /// Where `len` bytes with this id are, if they are remembered.
    pub fn find(&self, id: &Hash, len: u32) -> Option<Known> {
        self.known.get(id).filter(|(_, l)| *l == len).map(|(known, _)| known.clone())
    }

    /// Remembers where bytes are, or updates it.
    pub fn remember(&mut self, id: Hash, len: u32, known: Known) {
        if self.known.insert(id, (known, len)).is_some() {
            return;
        }
        self.order.push_back(id);
        if self.order.len() > self.limit
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
            self.forgotten += 1;
        }
    }

    /// Updates a remembered extent; one that was forgotten stays forgotten.
    pub fn update(&mut self, id: &Hash, known: Known) {
        if let Some(entry) = self.known.get_mut(id) {
            entry.0 = known;
        }
    }

    /// How many extents were forgotten.
    pub fn forgotten(&self) -> u64 {
        self.forgotten
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forgets_the_oldest_and_counts_it() {
        let mut dedup = Dedup::new(2);
        let here = |bundle| Known::Here { bundle, chunk_offset: 0 };
        for i in 0..3 {
            dedup.remember([i; 32], 10, here(i as usize));
        }
        assert_eq!(dedup.find(&[0; 32], 10), None);
        assert_eq!(dedup.find(&[1; 32], 10), Some(here(1)));
        assert_eq!(dedup.find(&[1; 32], 11), None, "another length is another extent");
        assert_eq!(dedup.forgotten(), 1);
        dedup.update(&[0; 32], here(9));
        assert_eq!(dedup.find(&[0; 32], 10), None);
        dedup.update(&[2; 32], here(9));
        assert_eq!(dedup.find(&[2; 32], 10), Some(here(9)));
    }
}
