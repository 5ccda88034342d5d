//! Checking a drive: every block of every shard that the records place on it.

use super::book::Book;
use super::damage::Bad;
use super::open::{FoundDrive, FoundSet, chain};
use crate::drives::{Drive, DriveFile, Level, ReadMode};
use crate::format::ids::{StripeId, shard_path};
use crate::format::record::StripeRecord;
use crate::monitor::{Monitor, Problem, ProblemKind};
use crate::stages::hash::block_hash;

/// What was found on a drive.
#[derive(Clone, Debug)]
pub struct DriveReport {
    /// shards that the records place on it
    pub shards: u64,
    /// bytes read
    pub bytes: u64,
    /// shards that are not there
    pub missing_shards: u64,
    /// blocks that are bad in shards that are there
    pub bad_blocks: u64,
    /// shards with bytes too many, some of whose blocks may be bad besides
    pub long_shards: u64,
    /// which those are
    pub long: Vec<(StripeId, u8)>,
    /// what is bad
    pub bad: Vec<(StripeId, u8, Bad)>,
    /// it stopped answering
    pub vanished: bool,
    /// it was not read to its end
    pub stopped: bool,
    /// files other than shards that are damaged or missing, if those were checked
    pub bad_papers: u64,
    /// how the bytes were read
    pub level: Level,
}

impl DriveReport {
    /// Is everything on the drive as its records say?
    pub fn is_whole(&self) -> bool {
        self.bad.is_empty()
            && self.long_shards == 0
            && self.bad_papers == 0
            && !self.vanished
            && !self.stopped
    }

    fn new() -> Self {
        Self {
            shards: 0,
            bytes: 0,
            missing_shards: 0,
            bad_blocks: 0,
            long_shards: 0,
            long: Vec::new(),
            bad: Vec::new(),
            vanished: false,
            stopped: false,
            bad_papers: 0,
            level: Level::Cached,
        }
    }
}

/// Missing shards of a drive that are told one by one; more of them are told by their number.
const TOLD_SHARDS: u64 = 8;

/// The shards that are not there at all: a few are told each, many together, as when a folder was
/// copied in part.
#[derive(Default)]
struct NotThere {
    count: u64,
    first: Vec<Problem>,
    /// the last shard of the drive is among them
    last: bool,
}

impl NotThere {
    fn add(&mut self, problem: Problem) {
        self.count += 1;
        if self.count <= TOLD_SHARDS {
            self.first.push(problem);
        }
    }

    fn tell(self, drive: &dyn Drive, shards: u64, monitor: &dyn Monitor) {
        let Some(first) = self.first.first() else { return };
        if self.count <= TOLD_SHARDS {
            return self.first.into_iter().for_each(|problem| monitor.problem(problem));
        }
        let cause = match (self.count == shards, self.last) {
            (true, _) => "; was it emptied, or only the other files copied?",
            (false, true) => "; if this is a copy, it was broken off",
            (false, false) => "",
        };
        let path = first.subject.rsplit_once(": ").map_or("", |(_, path)| path);
        let detail =
            format!("{} of {shards} shards are not there, from {path} on{cause}", self.count);
        monitor.problem(Problem::new(ProblemKind::Damage, drive.name(), detail));
    }
}

/// Bytes of shards that the records place in each slot; by slot number, 0 unused.
pub fn shard_bytes(set: &FoundSet, book: &Book, monitor: &dyn Monitor) -> Vec<u64> {
    let mut expected = vec![0; set.drive_count() as usize + 1];
    book.walk(monitor, |record| {
        for shard in &record.shards {
            if let Some(bytes) = expected.get_mut(shard.slot.0 as usize) {
                *bytes += record.blocks.file_bytes() as u64;
            }
        }
        true
    });
    expected
}

/// Reads and checks every shard of a drive. `folder` is the set's folder on it. Every bad shard is
/// reported as a problem with its blocks.
pub fn check_drive(
    found: &FoundDrive,
    folder: &str,
    book: &Book,
    mode: ReadMode,
    monitor: &dyn Monitor,
    progress: &dyn Fn(u64),
) -> DriveReport {
    let drive = found.drive.as_ref();
    let mut report = DriveReport::new();
    let mut not_there = NotThere::default();
    let mut buffer = Vec::new();
    book.walk(monitor, |record| {
        if monitor.should_stop() {
            report.stopped = true;
            return false;
        }
        let here = record.shards.iter().position(|s| s.slot == found.label.slot);
        let Some(index) = here else { return true };
        report.shards += 1;
        not_there.last = false;
        let path = format!("{folder}/{}", shard_path(record.id, index as u8));
        let subject = format!("{}: {path}", drive.name());
        let problem = |detail: String| Problem::new(ProblemKind::Damage, &subject, detail);
        match check_shard(drive, &path, record, index, mode, &mut buffer) {
            Ok(checked) => {
                if checked.extra_bytes > 0 {
                    report.long_shards += 1;
                    report.long.push((record.id, index as u8));
                }
                if let Some(detail) = checked.shown() {
                    monitor.problem(problem(detail));
                }
                if !checked.bad.is_empty() {
                    report.bad_blocks += checked.bad.len() as u64;
                    report.bad.push((record.id, index as u8, Bad::Blocks(checked.bad)));
                }
            }
            Err(_) if has_vanished(drive, monitor) => {
                report.vanished = true;
                return false;
            }
            Err(reason) => {
                report.missing_shards += 1;
                match reason {
                    Some(reason) => monitor.problem(problem(reason)),
                    None => {
                        not_there.add(problem("is missing".into()));
                        not_there.last = true;
                    }
                }
                report.bad.push((record.id, index as u8, Bad::Missing));
            }
        }
        let bytes = record.blocks.file_bytes() as u64;
        report.bytes += bytes;
        progress(bytes);
        true
    });
    not_there.tell(drive, report.shards, monitor);
    // Not before: what a drive refuses, it refuses while it is read.
    if mode == ReadMode::Medium {
        report.level = drive.level();
    }
    report
}

/// Does the drive no longer answer? Then it is told.
fn has_vanished(drive: &dyn Drive, monitor: &dyn Monitor) -> bool {
    let vanished = drive.list("").is_err();
    if vanished {
        let detail = "it no longer answers";
        monitor.problem(Problem::new(ProblemKind::Drive, drive.name(), detail));
    }
    vanished
}

/// `blocks 3, 5-9 are damaged`
fn shown_blocks(blocks: &[u32]) -> String {
    let mut runs: Vec<(u32, u32)> = Vec::new();
    for b in blocks {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == *b => *last = *b,
            _ => runs.push((*b, *b)),
        }
    }
    let shown = |(a, b): &(u32, u32)| if a == b { a.to_string() } else { format!("{a}-{b}") };
    let words: Vec<_> = runs.iter().map(shown).collect();
    let (noun, verb) = if blocks.len() == 1 { ("block", "is") } else { ("blocks", "are") };
    format!("{noun} {} {verb} damaged", words.join(", "))
}

/// A shard that could be opened.
pub struct CheckedShard {
    /// blocks that are bad; ascending
    pub bad: Vec<u32>,
    /// bytes behind the last block
    pub extra_bytes: u64,
}

impl CheckedShard {
    /// Is it as its record says?
    pub fn is_whole(&self) -> bool {
        self.bad.is_empty() && self.extra_bytes == 0
    }

    fn shown(&self) -> Option<String> {
        let extra = (self.extra_bytes > 0)
            .then(|| format!("has {} bytes too many behind its blocks", self.extra_bytes));
        let bad = (!self.bad.is_empty()).then(|| shown_blocks(&self.bad));
        let words: Vec<_> = bad.into_iter().chain(extra).collect();
        (!words.is_empty()).then(|| words.join("; "))
    }
}

/// Checks the blocks of a shard; what lies behind them does them no harm. Fails with the reason if
/// there is no reading it at all, with none if it is not there.
pub fn check_shard(
    drive: &dyn Drive,
    path: &str,
    record: &StripeRecord,
    index: usize,
    mode: ReadMode,
    buffer: &mut Vec<u8>,
) -> Result<CheckedShard, Option<String>> {
    let mut file = drive.open(path, mode).map_err(|e| (!e.is_missing()).then(|| chain(&e)))?;
    let blocks = record.blocks;
    buffer.resize(blocks.file_bytes(), 0);
    let read = read_blocks(file.as_mut(), buffer, blocks.bytes(), 0);
    let hashes = record.shard_hashes(index);
    let good = |(number, block): (usize, &[u8])| {
        read[number] && block_hash(block, number, blocks.count()) == hashes[number]
    };
    let bad: Vec<u32> = buffer
        .chunks_exact(blocks.bytes())
        .enumerate()
        .filter(|b| !good(*b))
        .map(|(number, _)| number as u32)
        .collect();
    Ok(CheckedShard { bad, extra_bytes: file.len().saturating_sub(blocks.file_bytes() as u64) })
}

/// Fills `buffer` with blocks from number `first` on, in one read if all goes well, else block by
/// block; says which blocks could be read.
pub fn read_blocks(
    file: &mut dyn DriveFile,
    buffer: &mut [u8],
    block_bytes: usize,
    first: usize,
) -> Vec<bool> {
    let start = (first * block_bytes) as u64;
    if matches!(file.read_at(start, buffer), Ok(len) if len == buffer.len()) {
        return vec![true; buffer.len() / block_bytes];
    }
    buffer
        .chunks_exact_mut(block_bytes)
        .enumerate()
        .map(|(i, block)| {
            let at = start + (i * block_bytes) as u64;
            matches!(file.read_at(at, block), Ok(len) if len == block.len())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn blocks_are_shown_in_runs() {
        assert_eq!(super::shown_blocks(&[3]), "block 3 is damaged");
        assert_eq!(super::shown_blocks(&[1, 3, 4, 5, 9]), "blocks 1, 3-5, 9 are damaged");
    }
}
