//! Checking one shard against its record: all of its blocks, or some.

use super::reading::{SkipPolicy, Tried, try_blocks};
use crate::drives::buffer::Buffer;
use crate::drives::{Drive, DriveFile, ReadMode};
use crate::format::record::StripeRecord;
use crate::format::shown::error_chain;
use crate::stages::hash::block_hash;
use parking_lot::Mutex;
use std::ops::Range;

/// Bytes that are read at once.
const RUN_BYTES: usize = 1 << 20;
/// Bytes that are read while others are hashed: few drives' fit the cache, from which hashing costs two
/// thirds of what it does from memory.
const WINDOW_BYTES: usize = 4 << 20;
/// Bytes that are hashed in one go.
const HASHED_BYTES: usize = 512 << 10;
/// Bytes of a shard that are held at once at most where something is bad, if a block is not more.
const HELD_BYTES: usize = 16 << 20;

/// `blocks 3, 5-9 are damaged`
fn shown_blocks(blocks: &[u32], one: &str, many: &str) -> String {
    let mut runs: Vec<(u32, u32)> = Vec::new();
    for b in blocks {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == *b => *last = *b,
            _ => runs.push((*b, *b)),
        }
    }
    let shown = |(a, b): &(u32, u32)| if a == b { a.to_string() } else { format!("{a}-{b}") };
    let words: Vec<_> = runs.iter().map(shown).collect();
    let noun = if blocks.len() == 1 { "block" } else { "blocks" };
    format!("{noun} {} {}", words.join(", "), if blocks.len() == 1 { one } else { many })
}

/// A shard as its record says.
#[derive(Clone, Copy)]
pub struct RecordedShard<'a> {
    pub record: &'a StripeRecord,
    /// in the stripe
    pub index: usize,
}

impl RecordedShard<'_> {
    /// Is this the block of this number?
    fn is_block(&self, number: usize, block: &[u8]) -> bool {
        let hash = self.record.shard_hashes(self.index)[number];
        block_hash(block, number, self.record.blocks.count()) == hash
    }

    /// Reads a block once more that is not as recorded: one that flipped on the way is so now. Says
    /// whether it is.
    pub fn read_again(
        &self,
        file: &mut dyn DriveFile,
        number: usize,
        block: &mut [u8],
        policy: &mut SkipPolicy,
    ) -> bool {
        let at = (number * self.record.blocks.bytes()) as u64;
        policy.read_again(file, at, block, |block| self.is_block(number, block))
    }
}

/// A shard that could be opened.
#[derive(Default)]
pub struct CheckedShard {
    /// blocks that are bad, or not known to be sound; ascending
    pub bad: Vec<u32>,
    /// of these, blocks that the drive could not read
    pub unreadable: Vec<u32>,
    /// of these, blocks that were not tried
    pub unread: Vec<u32>,
    /// bytes behind the last block
    pub extra_bytes: u64,
}

impl CheckedShard {
    /// Is it as its record says?
    pub fn is_whole(&self) -> bool {
        self.bad.is_empty() && self.extra_bytes == 0
    }

    /// Takes the blocks from number `first` on, and what became of reading each.
    fn take(
        &mut self,
        shard: RecordedShard,
        first: usize,
        bytes: &[u8],
        tried: impl Iterator<Item = Tried>,
    ) {
        let block_bytes = shard.record.blocks.bytes();
        for ((block, number), tried) in bytes.chunks_exact(block_bytes).zip(first..).zip(tried) {
            match tried {
                Tried::Read if shard.is_block(number, block) => continue,
                Tried::Read | Tried::Short => {}
                Tried::Failed => self.unreadable.push(number as u32),
                Tried::Skipped => self.unread.push(number as u32),
            }
            self.bad.push(number as u32);
        }
    }

    /// Adds what was found of further blocks.
    fn add(&mut self, other: Self) {
        self.bad.extend(other.bad);
        self.unreadable.extend(other.unreadable);
        self.unread.extend(other.unread);
    }

    /// Reads once more what was read and is damaged. The blocks are those from number `first` on.
    fn try_again(
        &mut self,
        file: &mut dyn DriveFile,
        shard: RecordedShard,
        first: usize,
        buffer: &mut [u8],
        policy: &mut SkipPolicy,
    ) {
        if self.bad.is_empty() {
            return policy.was_sound();
        }
        let unread = [&self.unreadable[..], &self.unread].concat();
        let bytes = shard.record.blocks.bytes();
        self.bad.retain(|number| {
            let (number, at) = (*number as usize, *number as usize - first);
            let block = &mut buffer[at * bytes..(at + 1) * bytes];
            unread.contains(&(number as u32)) || !shard.read_again(file, number, block, policy)
        });
    }

    /// What is wrong with it; none if nothing is.
    pub fn shown(&self) -> Option<String> {
        let known = |b: &&u32| !self.unreadable.contains(b) && !self.unread.contains(b);
        let damaged: Vec<u32> = self.bad.iter().filter(known).copied().collect();
        let lists = [
            (&damaged, "is damaged", "are damaged"),
            (&self.unreadable, "cannot be read", "cannot be read"),
            (&self.unread, "was not read", "were not read"),
        ];
        let blocks = lists.iter().filter(|(blocks, ..)| !blocks.is_empty());
        let extra = (self.extra_bytes > 0)
            .then(|| format!("has {} bytes too many behind its blocks", self.extra_bytes));
        let words: Vec<_> = blocks
            .map(|(blocks, one, many)| shown_blocks(blocks, one, many))
            .chain(extra)
            .collect();
        (!words.is_empty()).then(|| words.join("; "))
    }
}

/// A shard as it lies on a drive.
pub struct StoredShard<'a> {
    pub drive: &'a dyn Drive,
    pub path: &'a str,
    pub shard: RecordedShard<'a>,
    pub mode: ReadMode,
}

/// What the check of a shard gives; the reason if there is no reading it at all, with none if it is
/// not there.
pub type Checked = Result<CheckedShard, Option<String>>;

impl StoredShard<'_> {
    /// Checks all of its blocks, of which so many bytes may be held at once; what lies behind them
    /// does them no harm.
    pub fn check(&self, held: usize, buffer: &mut Buffer) -> Checked {
        self.check_by(&mut SkipPolicy::never(), held, buffer)
    }

    /// The same as far as the policy lets it be.
    pub fn check_by(&self, policy: &mut SkipPolicy, held: usize, buffer: &mut Buffer) -> Checked {
        let blocks = |bytes: usize| (bytes / self.shard.record.blocks.bytes()).max(1);
        let held = held.min(HELD_BYTES);
        self.check_parts(policy, blocks(held), blocks(held.min(WINDOW_BYTES)), buffer)
    }

    /// Checks it; if no block is bad, it is then in the buffer.
    pub fn read(&self, buffer: &mut Buffer) -> Checked {
        let all = self.shard.record.blocks.count();
        self.check_parts(&mut SkipPolicy::never(), all, all, buffer)
    }

    /// Checks so many blocks at a time, `window` of them at once as long as they are sound. Those that
    /// the file is too short for are bad, and take nothing.
    fn check_parts(
        &self,
        policy: &mut SkipPolicy,
        held: usize,
        window: usize,
        buffer: &mut Buffer,
    ) -> Checked {
        let (mut file, mut checked) = self.open(self.mode)?;
        let blocks = self.shard.record.blocks;
        let there = (file.len() / blocks.bytes() as u64).min(blocks.count() as u64) as usize;
        for first in (0..there).step_by(held) {
            let part = first..there.min(first + held);
            checked.add(check_part(file.as_mut(), self.shard, part, window, buffer, policy));
        }
        checked.bad.extend(there as u32..blocks.count() as u32);
        Ok(checked)
    }

    /// Checks its length and some of its blocks; those that the file is too short for are bad.
    pub fn check_blocks(&self, picks: &[u32]) -> Checked {
        // Only what is read need come from the medium.
        let mode = if picks.is_empty() { ReadMode::Cached } else { self.mode };
        let (mut file, mut checked) = self.open(mode)?;
        let bytes = self.shard.record.blocks.bytes();
        let there = (file.len() / bytes as u64) as usize;
        let mut block = Buffer::zeroed(if picks.is_empty() { 0 } else { bytes });
        for number in picks.iter().map(|pick| *pick as usize).filter(|number| *number < there) {
            let (file, one) = (file.as_mut(), &mut SkipPolicy::never());
            match try_blocks(file, &mut block, bytes, number, one)[0] {
                Tried::Read if self.shard.is_block(number, &block) => continue,
                Tried::Failed => checked.unreadable.push(number as u32),
                _ if self.shard.read_again(file, number, &mut block, one) => continue,
                _ => {}
            }
            checked.bad.push(number as u32);
        }
        checked.bad.extend(
            there.min(self.shard.record.blocks.count()) as u32
                ..self.shard.record.blocks.count() as u32,
        );
        Ok(checked)
    }

    /// Reads the blocks that the drive could not read once more, each alone.
    pub fn retry_unreadable(&self, checked: &mut CheckedShard, policy: &mut SkipPolicy) {
        let Ok(mut file) = self.drive.open(self.path, self.mode) else { return };
        let mut block = Buffer::zeroed(self.shard.record.blocks.bytes());
        let mut is_bad = |number: &u32| {
            !self.shard.read_again(file.as_mut(), *number as usize, &mut block, policy)
        };
        let before = std::mem::take(&mut checked.unreadable);
        checked.unreadable = before.iter().copied().filter(|number| is_bad(number)).collect();
        checked.bad.retain(|n| checked.unreadable.contains(n) || !before.contains(n));
    }

    fn open(&self, mode: ReadMode) -> Result<(Box<dyn DriveFile>, CheckedShard), Option<String>> {
        let file = self.drive.open(self.path, mode);
        let file = file.map_err(|e| (!e.is_missing()).then(|| error_chain(&e)))?;
        let extra_bytes = file.len().saturating_sub(self.shard.record.blocks.file_bytes() as u64);
        Ok((file, CheckedShard { extra_bytes, ..CheckedShard::default() }))
    }
}

/// Checks some blocks, `window` of them at once as long as they are sound; where one is not, the
/// buffer has room for all of them.
fn check_part(
    file: &mut dyn DriveFile,
    shard: RecordedShard,
    part: Range<usize>,
    window: usize,
    buffer: &mut Buffer,
    policy: &mut SkipPolicy,
) -> CheckedShard {
    let (mut checked, bytes) = (CheckedShard::default(), shard.record.blocks.bytes());
    let mut next = part.start;
    while next < part.end {
        let count = window.min(part.end - next);
        buffer.fit(count * bytes);
        let read = read_and_hash(file, shard, next, buffer, policy, &mut checked.bad);
        next += read;
        if read < count {
            break;
        }
    }
    if next < part.end || !checked.bad.is_empty() {
        buffer.fit(part.len() * bytes);
    }
    // From a bad place on, the rest is read as that demands.
    if next < part.end {
        let rest = &mut buffer[(next - part.start) * bytes..];
        let tried = try_blocks(file, rest, bytes, next, policy);
        checked.take(shard, next, rest, tried.into_iter());
    }
    checked.try_again(file, shard, part.start, buffer, policy);
    checked
}

/// Reads run by run, from block `begin` on, until one cannot be read; meanwhile the pool hashes
/// those before it, so that the drive does not wait for that. Returns how many blocks were read,
/// and notes which of them are bad.
fn read_and_hash(
    file: &mut dyn DriveFile,
    shard: RecordedShard,
    begin: usize,
    buffer: &mut [u8],
    policy: &mut SkipPolicy,
    bad: &mut Vec<u32>,
) -> usize {
    let blocks = shard.record.blocks;
    let (run, hashed) = (RUN_BYTES / blocks.bytes(), HASHED_BYTES / blocks.bytes());
    let found = Mutex::new(Vec::new());
    let mut read = 0;
    rayon::in_place_scope(|scope| {
        for run in buffer.chunks_mut(run.max(1) * blocks.bytes()) {
            let at = ((begin + read) * blocks.bytes()) as u64;
            if policy.read(file, at, run) != Tried::Read {
                break;
            }
            for piece in run.chunks(hashed.max(1) * blocks.bytes()) {
                let (first, found) = (begin + read, &found);
                scope.spawn(move |_| {
                    for (block, number) in piece.chunks_exact(blocks.bytes()).zip(first..) {
                        if !shard.is_block(number, block) {
                            let mut found = found.lock();
                            found.push(number as u32);
                        }
                    }
                });
                read += piece.len() / blocks.bytes();
            }
        }
    });
    bad.extend(found.into_inner());
    bad.sort_unstable();
    read
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drives::buffer::ALIGNMENT;
    use crate::drives::{DriveError, MemoryDrive, WriteMode};
    use crate::format::Suite;
    use crate::format::ids::{RunId, SetNumber, ShipmentId, Slot, StripeId, StripeNumber};
    use crate::format::record::{Reason, ShardRecord, StripeKind};
    use crate::format::shard::{Blocks, Salt};
    use crate::stages::hash::block_hashes;
    use crate::testing::proxy::{FileRead, Proxy};
    use std::sync::Arc;

    const BLOCKS: u32 = 64;
    const BLOCK_BYTES: u32 = 256 << 10;

    /// A drive that counts its reads; the lengths, and whether each is into aligned memory.
    #[derive(Clone)]
    struct Counting(Arc<MemoryDrive>, Arc<Mutex<Vec<(usize, bool)>>>);

    impl Proxy for Counting {
        fn below(&self) -> &dyn Drive {
            &*self.0
        }

        fn read_file(&self, mut reading: FileRead) -> Result<usize, DriveError> {
            let is_aligned = reading.buf.as_ptr().addr().is_multiple_of(ALIGNMENT);
            self.1.lock().push((reading.buf.len(), is_aligned));
            reading.run()
        }
    }

    fn record(shard: &[u8]) -> StripeRecord {
        StripeRecord {
            shipment: ShipmentId(1),
            set: SetNumber(1),
            id: StripeId { run: RunId(1), number: StripeNumber(0) },
            kind: StripeKind::Across,
            reason: Reason::Planned,
            suite: Suite::ChaCha20,
            k: 1,
            m: 0,
            blocks: Blocks::new(BLOCK_BYTES, BLOCKS).unwrap(),
            shards: vec![ShardRecord { slot: Slot(1), salt: Salt::default() }],
            members: Vec::new(),
            hashes: block_hashes(shard, BLOCK_BYTES as usize),
        }
    }

    #[test]
    fn a_sound_shard_takes_few_reads_and_little_memory_and_a_bad_block_is_named() {
        let mut shard = vec![0; (BLOCKS * BLOCK_BYTES) as usize];
        blake3::Hasher::new().finalize_xof().fill(&mut shard);
        let record = record(&shard);
        let drive = Counting(Arc::new(MemoryDrive::new("counting", 1 << 30)), Arc::default());
        drive.write("sound", &shard, WriteMode::New).unwrap();
        shard[40 * BLOCK_BYTES as usize] ^= 1;
        drive.write("bad", &shard, WriteMode::New).unwrap();
        let recorded = RecordedShard { record: &record, index: 0 };
        let (mode, mut buffer) = (ReadMode::Medium, Buffer::default());
        let stored = |path| StoredShard { drive: &drive, path, shard: recorded, mode };
        let checked = stored("sound").check(usize::MAX, &mut buffer).unwrap();
        assert!(checked.is_whole());
        let reads = std::mem::take(&mut *drive.1.lock());
        assert_eq!(reads, vec![(RUN_BYTES, true); shard.len() / RUN_BYTES]);
        assert_eq!(buffer.capacity(), WINDOW_BYTES);
        let checked = stored("bad").check(usize::MAX, &mut buffer).unwrap();
        assert_eq!((checked.bad, checked.unreadable), (vec![40], vec![]));
        let again = drive.1.lock().split_off(reads.len());
        assert_eq!(again, [(BLOCK_BYTES as usize, true)], "the bad block alone");
        assert!(stored("sound").read(&mut buffer).unwrap().bad.is_empty());
        shard[40 * BLOCK_BYTES as usize] ^= 1;
        assert!(buffer[..] == shard[..]);
    }

    #[test]
    fn blocks_are_shown_in_runs() {
        assert_eq!(super::shown_blocks(&[3], "is damaged", "are damaged"), "block 3 is damaged");
        assert_eq!(
            super::shown_blocks(&[1, 3, 4, 5, 9], "is damaged", "are damaged"),
            "blocks 1, 3-5, 9 are damaged"
        );
    }
}
