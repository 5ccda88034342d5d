//! Checking a drive: every block of every shard that the records place on it.
//!
//! - Enters: the records, and which shards were read already.
//! - Leaves: a report of the whole drive, and a problem for every bad shard.
//! - Always holds: (1) what counts as read already was read in full from this drive, the only one
//!   of its slot, past the caches, and was as recorded; that it is still there, and no longer than
//!   it should be, is looked at here; (2) a block that could not be read is tried once more when
//!   the drive was read to its end, before it is reported and counted.

use crate::drives::{Drive, Level, Proof, ReadMode, on_each};
use crate::format::ids::{Slot, StripeId, shard_path};
use crate::format::record::StripeRecord;
use crate::monitor::{Monitor, Problem, ProblemKind};
use crate::shards::answers::{GONE, answers};
use crate::shards::bad_blocks::ShardDamage;
use crate::shards::reading::SkipPolicy;
use crate::shards::sample::Sample;
use crate::shards::shard::{CheckedShard, check_blocks, check_by_parts, held_blocks};
use crate::shipment::RecordIndex;
use crate::shipment::record_reader::RecordReader;
use crate::shipment::{FoundDrive, FoundSet};
use serde::Serialize;
use std::collections::BTreeMap;

/// What was found on a drive.
#[derive(Clone, Debug, Serialize)]
pub struct DriveReport {
    /// shards that the records place on it
    pub shards: u64,
    /// bytes read
    pub bytes: u64,
    /// shards that are not there
    pub missing_shards: u64,
    /// blocks that are bad in shards that are there
    pub bad_blocks: u64,
    /// of these, blocks that the drive could not read
    pub unreadable_blocks: u64,
    /// blocks that were not tried: see [`crate::shards::reading`]
    pub unread_blocks: u64,
    /// shards of which no block was tried, counted with their blocks above
    pub unread_shards: u64,
    /// only so many blocks were drawn and read; none: all
    pub sampled_blocks: Option<u64>,
    /// shards with bytes too many, some of whose blocks may be bad besides
    pub long_shards: u64,
    /// which those are
    #[serde(skip)]
    pub long: Vec<(StripeId, u8)>,
    #[serde(skip)]
    pub bad: Vec<(StripeId, u8, ShardDamage)>,
    /// it stopped answering
    pub vanished: bool,
    /// it was not read to its end
    #[serde(skip)]
    pub stopped: bool,
    /// files other than shards that are damaged or missing, if those were checked
    #[serde(rename = "bad_files")]
    pub bad_metadata_files: u64,
    /// how the bytes were read
    pub level: Level,
    /// what it takes to prove them
    #[serde(skip)]
    pub proof: Proof,
}

impl DriveReport {
    /// Is everything on the drive as its records say?
    pub fn is_whole(&self) -> bool {
        self.bad.is_empty()
            && self.long_shards == 0
            && self.bad_metadata_files == 0
            && !self.vanished
            && !self.stopped
    }

    fn new() -> Self {
        Self {
            shards: 0,
            bytes: 0,
            missing_shards: 0,
            bad_blocks: 0,
            unreadable_blocks: 0,
            unread_blocks: 0,
            unread_shards: 0,
            sampled_blocks: None,
            long_shards: 0,
            long: Vec::new(),
            bad: Vec::new(),
            vanished: false,
            stopped: false,
            bad_metadata_files: 0,
            level: Level::Cached,
            proof: Proof::Read,
        }
    }
}

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

/// Reads and checks every shard of a drive. `folder` is the set's folder on it. Every bad shard is
/// reported as a problem with its blocks. So many bytes of a shard may be held at once; one block is in
/// any case.
pub fn check_drive(
    found: &FoundDrive,
    folder: &str,
    record_index: &RecordIndex,
    (mode, held): (ReadMode, usize),
    monitor: &dyn Monitor,
    progress: &dyn Fn(u64),
) -> DriveReport {
    check_drive_by(found, folder, record_index, Depth::all(held), mode, monitor, progress)
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
    Sample(Sample),
}

impl Depth<'_> {
    /// Every block, with so many bytes of a shard held at once.
    pub fn all(held: usize) -> Self {
        Self::All { policy: SkipPolicy::default(), before: &NOTHING, held }
    }
}

/// As [`check_drive`], as deep as is said.
#[allow(clippy::too_many_arguments, reason = "the six of check_drive, and how deep")]
pub fn check_drive_by(
    found: &FoundDrive,
    folder: &str,
    record_index: &RecordIndex,
    depth: Depth<'_>,
    mode: ReadMode,
    monitor: &dyn Monitor,
    progress: &dyn Fn(u64),
) -> DriveReport {
    let mut report = DriveReport::new();
    match &depth {
        Depth::Sample(sample) => report.sampled_blocks = Some(sample.len()),
        Depth::All { before, .. } => {
            let of_slot = before.slots.get(&found.label.slot).copied();
            (report.shards, report.bytes) = of_slot.unwrap_or_default();
        }
    }
    let (not_there, skipped) = (NotThere::default(), Vec::new());
    let buffer = Vec::new();
    let mut survey = Survey {
        found,
        folder,
        depth,
        mode,
        monitor,
        progress,
        report,
        not_there,
        buffer,
        skip: 0,
        skipped,
        unreadable: Vec::new(),
        read_before: None,
    };
    record_index.walk(monitor, |record| survey.take(record, record_index));
    survey.come_back(record_index);
    survey.try_again(record_index);
    survey.finish()
}

/// A drive while it is read.
struct Survey<'a> {
    found: &'a FoundDrive,
    folder: &'a str,
    depth: Depth<'a>,
    mode: ReadMode,
    monitor: &'a dyn Monitor,
    progress: &'a dyn Fn(u64),
    report: DriveReport,
    not_there: NotThere,
    buffer: Vec<u8>,
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
    fn take(&mut self, record: &StripeRecord, record_index: &RecordIndex) -> bool {
        if self.monitor.should_stop() {
            self.report.stopped = true;
            return false;
        }
        let here = record.shards.iter().position(|s| s.slot == self.found.label.slot);
        let Some(index) = here else { return true };
        if self.was_read(record, index) {
            self.shard(record, index);
            return !self.report.vanished;
        }
        self.report.shards += 1;
        if self.skip > 0 {
            self.skip -= 1;
            self.skipped.push((record.id, index as u8));
            (self.progress)(record.blocks.file_bytes() as u64);
            return true;
        }
        let readable = self.shard(record, index);
        if self.report.vanished {
            return false;
        }
        if readable {
            self.come_back(record_index);
        }
        self.skip = match &mut self.depth {
            Depth::All { policy, .. } => policy.skip(readable),
            Depth::Sample(_) => 0,
        };
        let bytes = match &self.depth {
            Depth::All { .. } => record.blocks.file_bytes() as u64,
            Depth::Sample(_) => 0, // counted by block
        };
        (self.progress)(bytes);
        true
    }

    fn was_read(&self, record: &StripeRecord, index: usize) -> bool {
        matches!(&self.depth, Depth::All { before, .. } if before.has(record, index))
    }

    /// Reads the shards that were skipped, from the last to the first, until one cannot be read: it
    /// and those before it are unread.
    fn come_back(&mut self, record_index: &RecordIndex) {
        if self.skipped.is_empty() || self.report.vanished {
            return;
        }
        let mut reader = RecordReader::new(record_index);
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
        let name = self.found.drive.name();
        self.monitor.problem(Problem::new(ProblemKind::Damage, name, detail));
        self.report.unread_shards += unread.len() as u64;
        for (id, index) in unread {
            let blocks = reader.find(id).map_or(0, |record| record.blocks.count());
            self.report.unread_blocks += blocks as u64;
            self.report.bad.push((id, index, ShardDamage::Unread));
        }
    }

    /// Checks a shard; says whether any of it could be read, which is also so if it is not there.
    fn shard(&mut self, record: &StripeRecord, index: usize) -> bool {
        let drive = self.found.drive.as_ref();
        let path = format!("{}/{}", self.folder, shard_path(record.id, index as u8));
        let subject = format!("{}: {path}", drive.name());
        let problem = |detail: String| Problem::new(ProblemKind::Damage, &subject, detail);
        self.not_there.last = false;
        let checked = match &mut self.depth {
            Depth::All { before, .. } if before.has(record, index) => {
                check_blocks(drive, &path, record, index, self.mode, &[])
            }
            Depth::All { policy, held, .. } => {
                self.report.bytes += record.blocks.file_bytes() as u64;
                let shard = (record, index);
                let held = held_blocks(record, *held);
                check_by_parts(drive, &path, shard, self.mode, held, &mut self.buffer, policy)
            }
            Depth::Sample(sample) => {
                let picks = sample.next(record.blocks.count());
                let bytes = (picks.len() * record.blocks.bytes()) as u64;
                (self.progress)(bytes);
                self.report.bytes += bytes;
                check_blocks(drive, &path, record, index, self.mode, &picks)
            }
        };
        let readable = match &checked {
            Ok(checked) => checked.unreadable.len() + checked.unread.len() < record.blocks.count(),
            Err(reason) => reason.is_none(),
        };
        let before = self.read_before.as_deref();
        if (!readable || checked.is_err()) && !answers(drive, self.folder, before) {
            let problem = Problem::new(ProblemKind::Drive, drive.name(), GONE);
            self.monitor.problem(problem);
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
                    Some(reason) => self.monitor.problem(problem(reason)),
                    None => {
                        self.not_there.add(problem("is missing".into()));
                        self.not_there.last = true;
                    }
                }
                self.report.bad.push((record.id, index as u8, ShardDamage::Missing));
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
            let path = format!("{}/{}", self.folder, shard_path(id, index));
            let subject = format!("{}: {path}", self.found.drive.name());
            self.monitor.problem(Problem::new(ProblemKind::Damage, subject, detail));
        }
        if !checked.bad.is_empty() {
            self.report.bad_blocks += (checked.bad.len() - checked.unread.len()) as u64;
            self.report.unreadable_blocks += checked.unreadable.len() as u64;
            self.report.unread_blocks += checked.unread.len() as u64;
            self.report.bad.push((id, index, ShardDamage::Blocks(checked.bad)));
        }
    }

    /// Tries the blocks that could not be read once more, as long as the drive's failures leave time
    /// for it; then they are counted.
    fn try_again(&mut self, record_index: &RecordIndex) {
        let ended = self.report.vanished || self.report.stopped;
        let mut policy = match &self.depth {
            Depth::All { policy, .. } => *policy,
            Depth::Sample(_) => SkipPolicy::default(),
        };
        policy.was_sound(); // what was in vain then may not be now
        let mut reader = RecordReader::new(record_index);
        for (id, index, mut checked) in std::mem::take(&mut self.unreadable) {
            let record = if ended || self.monitor.should_stop() { None } else { reader.find(id) };
            if let Some(record) = record {
                let path = format!("{}/{}", self.folder, shard_path(id, index));
                let drive = self.found.drive.as_ref();
                checked.try_unreadable(drive, &path, &record, index, self.mode, &mut policy);
            }
            self.count(id, index, checked);
        }
    }

    fn finish(self) -> DriveReport {
        let (drive, mut report) = (self.found.drive.as_ref(), self.report);
        self.not_there.report(drive, report.shards, self.monitor);
        // Not before: what a drive refuses, it refuses while it is read.
        if self.mode == ReadMode::Medium {
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
