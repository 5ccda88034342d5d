//! Checking a drive: every block of every shard that the records place on it.

use super::book::Book;
use super::damage::Bad;
use super::open::{FoundDrive, chain};
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
        self.bad.is_empty() && self.bad_papers == 0 && !self.vanished && !self.stopped
    }
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
    let mut report = DriveReport {
        shards: 0,
        bytes: 0,
        missing_shards: 0,
        bad_blocks: 0,
        bad: Vec::new(),
        vanished: false,
        stopped: false,
        bad_papers: 0,
        level: Level::Cached,
    };
    let mut buffer = Vec::new();
    book.walk(monitor, |record| {
        if monitor.should_stop() {
            report.stopped = true;
            return false;
        }
        let here = record.shards.iter().position(|s| s.slot == found.label.slot);
        let Some(index) = here else { return true };
        report.shards += 1;
        let path = format!("{folder}/{}", shard_path(record.id, index as u8));
        match check_shard(drive, &path, record, index, mode, &mut buffer) {
            Ok(bad_blocks) if bad_blocks.is_empty() => {}
            Ok(bad_blocks) => {
                report.bad_blocks += bad_blocks.len() as u64;
                let subject = format!("{}: {path}", drive.name());
                let problem = Problem::new(ProblemKind::Damage, subject, shown_blocks(&bad_blocks));
                monitor.problem(problem);
                report.bad.push((record.id, index as u8, Bad::Blocks(bad_blocks)));
            }
            Err(reason) => {
                if drive.list("").is_err() {
                    report.vanished = true;
                    let problem =
                        Problem::new(ProblemKind::Drive, drive.name(), "it no longer answers");
                    monitor.problem(problem);
                    return false;
                }
                report.missing_shards += 1;
                let subject = format!("{}: {path}", drive.name());
                monitor.problem(Problem::new(ProblemKind::Damage, subject, reason));
                report.bad.push((record.id, index as u8, Bad::Missing));
            }
        }
        let bytes = record.blocks.file_bytes() as u64;
        report.bytes += bytes;
        progress(bytes);
        true
    });
    // Not before: what a drive refuses, it refuses while it is read.
    if mode == ReadMode::Medium {
        report.level = drive.level();
    }
    report
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

/// The bad blocks of a shard; an error in words if there is no reading it at all.
fn check_shard(
    drive: &dyn Drive,
    path: &str,
    record: &StripeRecord,
    index: usize,
    mode: ReadMode,
    buffer: &mut Vec<u8>,
) -> Result<Vec<u32>, String> {
    let mut file = drive
        .open(path, mode)
        .map_err(|e| if e.is_missing() { "is missing".to_string() } else { chain(&e) })?;
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
    if bad.is_empty() && file.len() != blocks.file_bytes() as u64 {
        return Err(format!("has {} bytes too many", file.len() - blocks.file_bytes() as u64));
    }
    Ok(bad)
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
