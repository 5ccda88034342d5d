//! A random sample of a drive's blocks, for a check that takes minutes and not hours.
//!
//! Of blocks of which one in a hundred is bad, 688 drawn at random are all sound with a probability
//! of 0.99^688 < 1/1000. The blocks are drawn without repeating any, so the true figure is smaller.

use std::collections::BTreeSet;

/// Blocks that are read of a drive, if it has as many.
const SAMPLE_BLOCKS: u64 = 688;

/// Which of a drive's blocks are read, counted over all its shards in the order of the records.
#[derive(Clone, Debug)]
pub struct BlockSample {
    picks: Vec<u64>,
    /// picks that were given out
    given: usize,
    /// blocks of the shards so far
    seen: u64,
}

impl BlockSample {
    /// Draws from so many blocks; the seed decides which.
    pub fn draw(blocks: u64, seed: &[u8; 32]) -> Self {
        let mut picks: BTreeSet<u64> = BTreeSet::new();
        if blocks <= SAMPLE_BLOCKS {
            picks.extend(0..blocks);
        }
        let mut stream = blake3::Hasher::new_keyed(seed).finalize_xof();
        while (picks.len() as u64) < SAMPLE_BLOCKS.min(blocks) {
            let mut bytes = [0; 8];
            stream.fill(&mut bytes);
            // The remainder is even enough: 2^64 is far more than any drive's blocks.
            picks.insert(u64::from_le_bytes(bytes) % blocks);
        }
        Self { picks: picks.into_iter().collect(), given: 0, seen: 0 }
    }

    /// How many blocks are drawn.
    pub fn len(&self) -> u64 {
        self.picks.len() as u64
    }

    /// Those of the next shard, which has so many blocks.
    pub fn next(&mut self, blocks: usize) -> Vec<u32> {
        let (first, end) = (self.seen, self.seen + blocks as u64);
        self.seen = end;
        let here = self.picks[self.given..].iter().take_while(|pick| **pick < end);
        let picks: Vec<u32> = here.map(|pick| (pick - first) as u32).collect();
        self.given += picks.len();
        picks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_spread_over_all_shards_and_repeats_nothing() {
        let mut sample = BlockSample::draw(64 * 1000, &[1; 32]);
        assert_eq!(sample.len(), SAMPLE_BLOCKS);
        let shards: Vec<Vec<u32>> = (0..1000).map(|_| sample.next(64)).collect();
        let count: usize = shards.iter().map(Vec::len).sum();
        assert_eq!(count as u64, SAMPLE_BLOCKS, "each is given once");
        assert!(shards.iter().flatten().all(|block| *block < 64));
        let early = shards[..500].iter().flatten().count();
        assert!((250..440).contains(&early), "{early} of the first half");
        let mut other = BlockSample::draw(64 * 1000, &[2; 32]);
        assert!((0..1000).any(|i| other.next(64) != shards[i]), "the seed decides");
    }

    #[test]
    fn of_a_small_drive_every_block_is_read() {
        let mut sample = BlockSample::draw(100, &[1; 32]);
        assert_eq!((sample.next(64).len(), sample.next(36).len()), (64, 36));
        assert!(BlockSample::draw(0, &[1; 32]).len() == 0);
    }

    /// One in a hundred is missed once in a thousand times.
    #[test]
    fn the_sample_is_as_large_as_it_must_be() {
        assert!(0.99_f64.powi(SAMPLE_BLOCKS as i32) < 0.001);
        assert!(0.99_f64.powi(SAMPLE_BLOCKS as i32 - 1) > 0.001);
    }
}
