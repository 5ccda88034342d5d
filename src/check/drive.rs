//! Checking a drive: every block of every shard that the records place on it.
//!
//! - Enters: the records, and which shards were read already.
//! - Leaves: a report of the whole drive, and a problem for every bad shard.
//! - Always holds: (1) what counts as read already was read in full from this drive, the only one
//!   of its slot, past the caches, and was as recorded; that it is still there, and no longer than
//!   it should be, is looked at here; (2) a block that could not be read is tried once more when
//!   the drive was read to its end, before it is reported and counted.

use super::report::DriveReport;
use crate::drives::buffer::Buffer;
use crate::drives::{Drive, ReadMode, on_each};
use crate::format::ids::{Slot, StripeId, shard_path};
use crate::format::record::StripeRecord;
use crate::monitor::{Monitor, Problem, ProblemKind};
use crate::shards::answers::{GONE, answers};
use crate::shards::bad_blocks::ShardDamage;
use crate::shards::reading::SkipPolicy;
use crate::shards::sample::BlockSample;
use crate::shards::shard::{CheckedShard, RecordedShard, StoredShard};
use crate::shipment::RecordIndex;
use crate::shipment::record_reader::RecordReader;
use crate::shipment::{FoundDrive, FoundSet};
use std::collections::BTreeMap;

/// Missing shards of a drive that are reported one by one; of more only the number is.
const REPORTED_SHARDS: u64 = 8;

/// The shards that are not there at all: a few are reported each, many together, as when a folder
/// was copied in part.
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
        if self.count <= REPORTED_SHARDS {
            self.first.push(problem);
        }
    }

    fn report(self, drive: &dyn Drive, shards: u64, monitor: &dyn Monitor) {
        let Some(first) = self.first.first() else { return };
        if self.count <= REPORTED_SHARDS {
            return self.first.into_iter().for_each(|problem| monitor.problem(problem));
        }
        let cause = match (self.count == shards, self.last) {
            (true, _) => "; was it emptied, or only the other files copied?",
            (false, true) => "; if this is a copy, it is incomplete",
            (false, false) => "",
        };
        let path = first.subject.rsplit_once(": ").map_or("", |(_, path)| path);
        let detail =
            format!("{} of {shards} shards are not there, from {path} on{cause}", self.count);
        monitor.problem(Problem::new(ProblemKind::Damage, drive.name(), detail));
    }
}

/// Bytes of shards that the records place in each slot; by slot number, 0 unused.
pub fn shard_bytes(set: &FoundSet, record_index: &RecordIndex, monitor: &dyn Monitor) -> Vec<u64> {
    let mut expected = vec![0; set.drive_count() as usize + 1];
    record_index.walk(monitor, |record| {
        for shard in &record.shards {
            if let Some(bytes) = expected.get_mut(shard.slot.0 as usize) {
                *bytes += record.blocks.file_bytes() as u64;
            }
        }
        true
    });
    expected
}

/// Shards that were read and are as recorded.
#[derive(Default)]
pub struct ReadBefore {
    /// a bit for each shard of a stripe; those from number 64 on are read again
    stripes: BTreeMap<StripeId, u64>,
    /// shards and bytes
    slots: BTreeMap<Slot, (u64, u64)>,
}

impl ReadBefore {
    /// These shards of a stripe.
    pub fn add(&mut self, record: &StripeRecord, indexes: &[u8]) {
        for index in indexes.iter().filter(|index| **index < 64) {
            *self.stripes.entry(record.id).or_default() |= 1 << index;
            let shard = &record.shards[*index as usize];
            let (shards, bytes) = self.slots.entry(shard.slot).or_default();
            (*shards, *bytes) = (*shards + 1, *bytes + record.blocks.file_bytes() as u64);
        }
    }

    /// Bytes of those on a drive.
    pub fn bytes(&self, slot: Slot) -> u64 {
        self.slots.get(&slot).map_or(0, |(_, bytes)| *bytes)
    }

    fn has(&self, record: &StripeRecord, index: usize) -> bool {
        index < 64 && self.stripes.get(&record.id).is_some_and(|bits| bits >> index & 1 == 1)
    }
}

/// Nothing was read before.
static NOTHING: ReadBefore = ReadBefore { stripes: BTreeMap::new(), slots: BTreeMap::new() };

/// How much of a drive is read.
#[derive(Clone)]
pub enum Depth<'a> {
    /// every block
    All {
        /// as far as this lets it be, see [`crate::shards::reading`]
        policy: SkipPolicy,
        /// but those that were read before
        before: &'a ReadBefore,
        /// bytes of a shard that may be held at once; one block is in any case
        held: usize,
    },
    /// the presence and length of every shard, and these blocks
    Sample(BlockSample),
}

impl Depth<'_> {
    /// Every block, with so many bytes of a shard held at once.
    pub fn all(held: usize) -> Self {
        Self::All { policy: SkipPolicy::default(), before: &NOTHING, held }
    }
}

/// What the check of a drive takes.
pub struct DriveCheck<'a> {
    pub found: &'a FoundDrive,
    /// the set's folder on it
    pub folder: &'a str,
    pub record_index: &'a RecordIndex,
    pub mode: ReadMode,
    pub monitor: &'a dyn Monitor,
    /// hears of the bytes that are done
    pub progress: &'a dyn Fn(u64),
}

impl DriveCheck<'_> {
    /// Reads and checks every shard of the drive; each bad one is a problem with its blocks.
    pub fn run(&self, depth: Depth<'_>) -> DriveReport {
        let mut report = DriveReport::new();
        match &depth {
            Depth::Sample(sample) => report.sampled_blocks = Some(sample.len()),
            Depth::All { before, .. } => {
                let of_slot = before.slots.get(&self.found.label.slot).copied();
                (report.shards, report.bytes) = of_slot.unwrap_or_default();
            }
        }
        let mut survey = Survey {
            check: self,
            depth,
            report,
            not_there: NotThere::default(),
            buffer: Buffer::default(),
            skip: 0,
            skipped: Vec::new(),
            unreadable: Vec::new(),
            read_before: None,
        };
        self.record_index.walk(self.monitor, |record| survey.take(record));
        survey.come_back();
        survey.try_again();
        survey.finish()
    }
}

/// A drive while it is read.
struct Survey<'a> {
    check: &'a DriveCheck<'a>,
    depth: Depth<'a>,
    report: DriveReport,
    not_there: NotThere,
    buffer: Buffer,
    /// shards to be skipped
    skip: u64,
    /// those that were, since one that could be read
    skipped: Vec<(StripeId, u8)>,
    /// those of which blocks could not be read
    unreadable: Vec<(StripeId, u8, CheckedShard)>,
    /// the last shard that is sound
    read_before: Option<String>,
}

impl Survey<'_> {
    /// Checks the drive's shard of a stripe; says whether to go on.
    fn take(&mut self, record: &StripeRecord) -> bool {
        if self.check.monitor.should_stop() {
            self.report.stopped = true;
            return false;
        }
        let here = record.shards.iter().position(|s| s.slot == self.check.found.label.slot);
        let Some(index) = here else { return true };
        if self.was_read(record, index) {
            self.shard(record, index);
            return !self.report.vanished;
        }
        self.report.shards += 1;
        if self.skip > 0 {
            self.skip -= 1;
            self.skipped.push((record.id, index as u8));
            (self.check.progress)(record.blocks.file_bytes() as u64);
            return true;
        }
        let readable = self.shard(record, index);
        if self.report.vanished {
            return false;
        }
        if readable {
            self.come_back();
        }
        self.skip = match &mut self.depth {
            Depth::All { policy, .. } => policy.skip(readable),
            Depth::Sample(_) => 0,
        };
        let bytes = match &self.depth {
            Depth::All { .. } => record.blocks.file_bytes() as u64,
            Depth::Sample(_) => 0, // counted by block
        };
        (self.check.progress)(bytes);
        true
    }

    fn was_read(&self, record: &StripeRecord, index: usize) -> bool {
        matches!(&self.depth, Depth::All { before, .. } if before.has(record, index))
    }

    /// Reads the shards that were skipped, from the last to the first, until one cannot be read: it
    /// and those before it are unread.
    fn come_back(&mut self) {
        if self.skipped.is_empty() || self.report.vanished {
            return;
        }
        let mut reader = RecordReader::new(self.check.record_index);
        while let Some((id, index)) = self.skipped.pop() {
            let Some(record) = reader.find(id) else { continue };
            if self.report.stopped || !self.shard(&record, index.into()) {
                if self.report.stopped {
                    self.skipped.push((id, index));
                }
                break;
            }
        }
        let unread = std::mem::take(&mut self.skipped);
        let (Some(first), Some(last)) = (unread.first(), unread.last()) else { return };
        let path = |shard: &(StripeId, u8)| shard_path(shard.0, shard.1);
        let detail = format!(
            "{} shards from {} to {} were not read: those before and behind could not be",
            unread.len(),
            path(first),
            path(last)
        );
        let name = self.check.found.drive.name();
        self.check.monitor.problem(Problem::new(ProblemKind::Damage, name, detail));
        self.report.unread_shards += unread.len() as u64;
        for (id, index) in unread {
            let blocks = reader.find(id).map_or(0, |record| record.blocks.count());
            self.report.unread_blocks += blocks as u64;
            self.report.note_bad(id, index, ShardDamage::Unread);
        }
    }

    /// Checks a shard; says whether any of it could be read, which is also so if it is not there.
    fn shard(&mut self, record: &StripeRecord, index: usize) -> bool {
        let drive = self.check.found.drive.as_ref();
        let path = format!("{}/{}", self.check.folder, shard_path(record.id, index as u8));
        let subject = format!("{}: {path}", drive.name());
        let problem = |detail: String| Problem::new(ProblemKind::Damage, &subject, detail);
        self.not_there.last = false;
        let (shard, mode) = (RecordedShard { record, index }, self.check.mode);
        let stored = StoredShard { drive, path: &path, shard, mode };
        let checked = match &mut self.depth {
            Depth::All { before, .. } if before.has(record, index) => stored.check_blocks(&[]),
            Depth::All { policy, held, .. } => {
                self.report.bytes += record.blocks.file_bytes() as u64;
                stored.check_by(policy, *held, &mut self.buffer)
            }
            Depth::Sample(sample) => {
                let picks = sample.next(record.blocks.count());
                let bytes = (picks.len() * record.blocks.bytes()) as u64;
                (self.check.progress)(bytes);
                self.report.bytes += bytes;
                stored.check_blocks(&picks)
            }
        };
        let readable = match &checked {
            Ok(checked) => checked.unreadable.len() + checked.unread.len() < record.blocks.count(),
            Err(reason) => reason.is_none(),
        };
        let before = self.read_before.as_deref();
        if (!readable || checked.is_err()) && !answers(drive, self.check.folder, before) {
            let problem = Problem::new(ProblemKind::Drive, drive.name(), GONE);
            self.check.monitor.problem(problem);
            self.report.vanished = true;
            return false;
        }
        match checked {
            Ok(checked) => {
                if checked.bad.is_empty() {
                    self.read_before = Some(path.clone());
                }
                if checked.unreadable.is_empty() {
                    self.count(record.id, index as u8, checked);
                } else {
                    self.unreadable.push((record.id, index as u8, checked));
                }
            }
            Err(reason) => {
                self.report.missing_shards += 1;
                match reason {
                    Some(reason) => self.check.monitor.problem(problem(reason)),
                    None => {
                        self.not_there.add(problem("is missing".into()));
                        self.not_there.last = true;
                    }
                }
                self.report.note_bad(record.id, index as u8, ShardDamage::Missing);
            }
        }
        readable
    }

    /// Counts and reports what is wrong with a shard that is there.
    fn count(&mut self, id: StripeId, index: u8, checked: CheckedShard) {
        if checked.extra_bytes > 0 {
            self.report.long_shards += 1;
            self.report.long.push((id, index));
        }
        if let Some(detail) = checked.shown() {
            let path = format!("{}/{}", self.check.folder, shard_path(id, index));
            let subject = format!("{}: {path}", self.check.found.drive.name());
            self.check.monitor.problem(Problem::new(ProblemKind::Damage, subject, detail));
        }
        if !checked.bad.is_empty() {
            self.report.bad_blocks += (checked.bad.len() - checked.unread.len()) as u64;
            self.report.unreadable_blocks += checked.unreadable.len() as u64;
            self.report.unread_blocks += checked.unread.len() as u64;
            self.report.note_bad(id, index, ShardDamage::Blocks(checked.bad));
        }
    }

    /// Tries the blocks that could not be read once more, as long as the drive's failures leave
    /// time for it; then they are counted.
    fn try_again(&mut self) {
        let ended = self.report.vanished || self.report.stopped;
        let mut policy = match &self.depth {
            Depth::All { policy, .. } => *policy,
            Depth::Sample(_) => SkipPolicy::default(),
        };
        policy.was_sound(); // what was in vain then may not be now
        let mut reader = RecordReader::new(self.check.record_index);
        for (id, index, mut checked) in std::mem::take(&mut self.unreadable) {
            let record =
                if ended || self.check.monitor.should_stop() { None } else { reader.find(id) };
            if let Some(record) = record {
                let path = format!("{}/{}", self.check.folder, shard_path(id, index));
                let stored = StoredShard {
                    drive: self.check.found.drive.as_ref(),
                    path: &path,
                    shard: RecordedShard { record: &record, index: index.into() },
                    mode: self.check.mode,
                };
                stored.retry_unreadable(&mut checked, &mut policy);
            }
            self.count(id, index, checked);
        }
    }

    fn finish(self) -> DriveReport {
        let (drive, mut report) = (self.check.found.drive.as_ref(), self.report);
        self.not_there.report(drive, report.shards, self.check.monitor);
        // Not before: what a drive refuses, it refuses while it is read.
        if self.check.mode == ReadMode::Medium {
            report.level = drive.level();
            report.proof = drive.proof();
        }
        report
    }
}

/// The drives of a set that no longer answer; each is reported.
pub fn silent<'a>(set: &'a FoundSet, monitor: &dyn Monitor) -> Vec<&'a FoundDrive> {
    let all: Vec<&FoundDrive> = set.all_drives().collect();
    let answering = on_each(all.len(), |i| answers(all[i].drive.as_ref(), &set.folder, None));
    let silent = all.into_iter().zip(answering).filter(|(_, answers)| !answers);
    let report = |(found, _): (&'a FoundDrive, bool)| {
        monitor.problem(Problem::new(ProblemKind::Drive, found.drive.name(), GONE));
        found
    };
    silent.map(report).collect()
}
