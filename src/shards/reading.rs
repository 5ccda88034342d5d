//! Reading shards from a drive that has bad places, without waiting for each of them for ever.
//!
//! A disk tries a bad sector for seconds before it gives up, so a bad gigabyte read block by block
//! takes hours. As long as failing is quick, or rare, every block is tried: what is reported is
//! then exact. Once failed reads on one drive have taken [`ALLOWANCE`], it is read sparingly:
//!
//! 1. within a shard, after each block that fails the next one tried lies twice as far; after one
//!    that succeeds all following are tried again, and those before it from the last to the first
//!    until one fails, so that a bad place costs few failures and its end is known to the block;
//! 2. after a shard of which nothing could be read, shards are skipped, twice as many each time;
//!    after one that could be read, the skipped ones are read from the last to the first until one
//!    fails. (That is the part of who checks it.)
//!
//! - Always holds: (1) what was skipped is said to be unread, never sound and never damaged;
//!   whoever cannot do without such a block reads it alone, after all else; (2) while none is
//!   skipped no block is said to be unreadable or damaged before it was read once more, alone and
//!   past the caches, as long as that helps now and then.

use crate::drives::{DriveError, DriveFile};
use std::time::{Duration, Instant};

/// What failed reads on one drive may take before it is read sparingly.
const ALLOWANCE: Duration = Duration::from_secs(30);
/// Blocks are read once more only until so many in a row were no better.
const MOST_IN_VAIN: u32 = 100;
/// Shards that are skipped at once are at most two to this power.
const LARGEST_SKIP_BITS: u32 = 16;

/// What became of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tried {
    Read,
    /// the file ends before it does
    Short,
    /// the drive could not read it
    Failed,
    /// it was not tried
    Skipped,
}

/// How one drive's reads went so far.
#[derive(Clone, Copy, Debug)]
pub struct SkipPolicy {
    allowance: Option<Duration>,
    lost: Duration,
    unreadable_in_a_row: u32,
    /// blocks that were read once more and were no better
    in_vain: u32,
}

impl Default for SkipPolicy {
    fn default() -> Self {
        Self::after(ALLOWANCE)
    }
}

impl SkipPolicy {
    /// Skips once failed reads have taken so long.
    pub fn after(allowance: Duration) -> Self {
        let (lost, unreadable_in_a_row, in_vain) = (Duration::ZERO, 0, 0);
        Self { allowance: Some(allowance), lost, unreadable_in_a_row, in_vain }
    }

    /// Every block is tried, whatever it takes.
    pub fn never() -> Self {
        Self { allowance: None, ..Self::default() }
    }

    /// Is the drive read sparingly by now?
    pub fn is_on(&self) -> bool {
        self.allowance.is_some_and(|allowance| self.lost >= allowance)
    }

    /// A shard was tried: how many of the next are to be skipped.
    pub fn skip(&mut self, readable: bool) -> u64 {
        if readable || !self.is_on() {
            self.unreadable_in_a_row = 0;
            return 0;
        }
        self.unreadable_in_a_row += 1;
        1 << (self.unreadable_in_a_row - 1).min(LARGEST_SKIP_BITS)
    }

    /// Reads, and counts the time if that fails.
    pub fn read(&mut self, file: &mut dyn DriveFile, at: u64, buffer: &mut [u8]) -> Tried {
        self.timed(buffer.len(), || file.read_at(at, buffer))
    }

    /// Reads a block once more, alone and past the caches, and says whether it is now as it should
    /// be.
    pub fn read_again(
        &mut self,
        file: &mut dyn DriveFile,
        at: u64,
        block: &mut [u8],
        is_sound: impl FnOnce(&[u8]) -> bool,
    ) -> bool {
        if self.is_on() || self.in_vain >= MOST_IN_VAIN {
            return false;
        }
        let read = self.timed(block.len(), || file.read_again(at, block));
        let helped = read == Tried::Read && is_sound(block);
        self.in_vain = if helped { 0 } else { self.in_vain + 1 };
        helped
    }

    /// What was read of the drive was sound.
    pub fn was_sound(&mut self) {
        self.in_vain = 0;
    }

    fn timed(&mut self, len: usize, read: impl FnOnce() -> Result<usize, DriveError>) -> Tried {
        let began = Instant::now();
        match read() {
            Ok(read) if read == len => Tried::Read,
            Ok(_) => Tried::Short,
            Err(_) => {
                self.lost += began.elapsed();
                Tried::Failed
            }
        }
    }
}

/// Fills `buffer` with blocks from number `first` on, in one read if all goes well, else block by
/// block; says what became of each.
pub fn try_blocks(
    file: &mut dyn DriveFile,
    buffer: &mut [u8],
    block_bytes: usize,
    first: usize,
    policy: &mut SkipPolicy,
) -> Vec<Tried> {
    let start = (first * block_bytes) as u64;
    let count = buffer.len() / block_bytes;
    if policy.read(file, start, buffer) == Tried::Read {
        return vec![Tried::Read; count];
    }
    let mut tried = vec![Tried::Skipped; count];
    let mut read = |number: usize, policy: &mut SkipPolicy| {
        let block = &mut buffer[number * block_bytes..(number + 1) * block_bytes];
        let at = start + (number * block_bytes) as u64;
        match policy.read(file, at, block) {
            Tried::Failed if policy.read_again(file, at, block, |_| true) => Tried::Read,
            tried => tried,
        }
    };
    let (mut next, mut step) = (0, 1);
    while next < count {
        tried[next] = read(next, policy);
        let failed = tried[next] == Tried::Failed;
        if failed {
            step = if policy.is_on() { step * 2 } else { 1 };
            // The last one is always tried.
            next = if next + 1 < count { (next + step).min(count - 1) } else { count };
            continue;
        }
        let mut back = next;
        while back > 0 && tried[back - 1] == Tried::Skipped {
            back -= 1;
            tried[back] = read(back, policy);
            if tried[back] == Tried::Failed {
                break;
            }
        }
        (next, step) = (next + 1, 1);
    }
    tried
}

/// The same with every block tried; says which could be read.
pub fn read_blocks(
    file: &mut dyn DriveFile,
    buffer: &mut [u8],
    block_bytes: usize,
    first: usize,
) -> Vec<bool> {
    let tried = try_blocks(file, buffer, block_bytes, first, &mut SkipPolicy::never());
    tried.into_iter().map(|block| block == Tried::Read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drives::{Drive, ReadMode, WriteMode};
    use crate::testing::faulty::FaultyDrive;
    use Tried::{Failed, Read, Skipped};

    /// A file that counts how often it fails.
    struct Counted(Box<dyn DriveFile>, usize);

    impl DriveFile for Counted {
        fn read_at(&mut self, offset: u64, buf: &mut [u8]) -> Result<usize, DriveError> {
            let read = self.0.read_at(offset, buf);
            self.1 += usize::from(read.is_err());
            read
        }

        fn len(&self) -> u64 {
            self.0.len()
        }
    }

    /// Tries 64 blocks of 10 bytes, of which some are bad.
    fn tried(bad: impl IntoIterator<Item = u64>, policy: &mut SkipPolicy) -> (Vec<Tried>, usize) {
        let drive = FaultyDrive::new("bad", 1 << 20);
        drive.write("shard", &[7; 640], WriteMode::New).unwrap();
        for block in bad {
            drive.fail_reads("shard", block * 10..block * 10 + 10);
        }
        let mut file = Counted(drive.open("shard", ReadMode::Cached).unwrap(), 0);
        let mut buffer = vec![0; 640];
        let tried = try_blocks(&mut file, &mut buffer, 10, 0, policy);
        for (number, block) in tried.iter().enumerate() {
            let bytes = &buffer[number * 10..][..10];
            assert!(*block != Read || bytes == [7; 10], "block {number}");
        }
        (tried, file.1)
    }

    fn of(tried: &[Tried], what: Tried) -> Vec<usize> {
        (0..tried.len()).filter(|i| tried[*i] == what).collect()
    }

    #[test]
    fn without_haste_every_block_is_tried() {
        let (tried, _) = tried((5..9).chain([30]), &mut SkipPolicy::default());
        assert_eq!((of(&tried, Failed), of(&tried, Skipped)), (vec![5, 6, 7, 8, 30], vec![]));
    }

    #[test]
    fn in_haste_the_ends_of_a_bad_place_are_found_with_few_failures() {
        let policy = || SkipPolicy::after(Duration::ZERO);
        let (blocks, failures) = tried(10..50, &mut policy());
        let failed = of(&blocks, Failed);
        assert_eq!((failed[0], *failed.last().unwrap()), (10, 49), "{failed:?}");
        assert_eq!(of(&blocks, Read), (0..10).chain(50..64).collect::<Vec<_>>());
        assert!(failures <= 8, "{failures}");
        let (blocks, failures) = tried(0..64, &mut policy());
        assert_eq!(of(&blocks, Read), Vec::<usize>::new());
        assert!(failures <= 9 && of(&blocks, Failed).len() == failures - 1, "{failures}");
        // A single one costs nothing else.
        let (blocks, _) = tried([20], &mut policy());
        assert_eq!((of(&blocks, Failed), of(&blocks, Skipped)), (vec![20], vec![]));
        let (blocks, _) = tried([63], &mut policy());
        assert_eq!((of(&blocks, Failed), of(&blocks, Skipped)), (vec![63], vec![]));
    }

    #[test]
    fn shards_are_skipped_in_growing_steps_only_in_haste() {
        let mut policy = SkipPolicy::after(Duration::ZERO);
        let skips: Vec<u64> = (0..4).map(|_| policy.skip(false)).collect();
        assert_eq!(skips, [1, 2, 4, 8]);
        assert_eq!((policy.skip(true), policy.skip(false)), (0, 1));
        assert_eq!(SkipPolicy::never().skip(false) + SkipPolicy::default().skip(false), 0);
    }
}
