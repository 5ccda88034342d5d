//! Sealing, writing and committing: each filled stripe becomes shards on the drives and a record;
//! at checkpoints the catalog so far and the records are written to every drive.

use super::along::{Along, Sum};
use super::error::PackError;
use super::filled::FilledStripe;
use super::job::{CommitPoint, SetJob};
use super::packed::Packed;
use super::progress::PackProgress;
use super::reassign::{drives_per_case, reassigned};
use crate::catalog::CatalogWriter;
use crate::catalog::writer::PART_BYTES;
use crate::dataset::cursor::Cursor;
use crate::drives::buffer::{Pool, Pooled};
use crate::drives::writer::{NewFile, Shared, WriteOutcome, Writers};
use crate::format::ids::INDEX_PART;
use crate::format::ids::{Slot, StripeId, key_path, part_path, record_path, shard_path};
use crate::format::list::Hash;
use crate::format::record::{
    self, Member, PartRecord, Reason, RecordFileHeader, ShardRecord, StripeKind, StripeRecord,
};
use crate::format::set::{PartLine, RunLine};
use crate::format::shard::{Blocks, SALT_BYTES, Salt};
use crate::format::shown::error_chain;
use crate::keys::run::StripeShape;
use crate::local_state::state::SetTotals;
use crate::metadata_files::checklist::checklist_line;
use crate::metadata_files::key_files::key_line_path;
use crate::monitor::{Monitor, Problem, ProblemKind, Spent};
use crate::plan::place::StripePlace;
use crate::stages::hash::block_hashes;
use crate::stages::parity::Code;
use crate::stages::seal::{Payload, seal_content, seal_stripe};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Stripe buffers that are kept for reuse, besides those that may wait.
const FREE_BUFFERS: usize = 2;

/// Bytes of records after which they are committed at the latest: well below what a reader takes,
/// [`record::MAX_RECORD_FILE_BYTES`].
const MOST_RECORD_BYTES: usize = 8 << 20;
/// The same of their number, [`record::MAX_RECORDS`].
const MOST_RECORDS: usize = 1 << 15;

/// Seals stripes and commits them.
pub struct Committer<'a> {
    pub(super) job: &'a SetJob<'a>,
    pub(super) writers: &'a Writers<'a>,
    pub(super) catalog: CatalogWriter,
    monitor: &'a dyn Monitor,
    pool: Pool,
    codes: HashMap<(usize, usize), Code>,
    pub(super) along: Along,
    commitment: Hash,
    /// BLAKE3 of the last record file
    previous: Hash,
    /// records that no file holds yet
    waiting: Vec<Vec<u8>>,
    /// bytes of them
    record_bytes: usize,
    /// bytes a drive since the last record file
    waiting_bytes: u64,
    /// the clock's seconds at the last record file
    last_commit: u64,
    record_files: u32,
    pub(super) tally: SetTotals,
    progress: &'a PackProgress<'a>,
    /// how long drives were waited for
    awaited: Duration,
    /// what the drives had when this run began
    begun_bytes: Vec<u64>,
    /// of stripes along, too
    records: u32,
    /// record and catalog files so far: path and BLAKE3
    pub(super) files: Vec<(String, Hash)>,
    pub(super) parts: Vec<PartLine>,
    /// the runs before
    prior_runs: Vec<RunLine>,
    /// what the stripes so far have packed
    cursor: Cursor,
    /// drives whose failure was reported
    pub(super) failed: Vec<bool>,
}

/// A stripe's buffer, shared by the writers.
struct StripeBuffer(Pooled);

impl AsRef<[u8]> for StripeBuffer {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl<'a> Committer<'a> {
    /// Begins a set: label and keys go to every drive before the first shard.
    pub fn new(
        job: &'a SetJob<'a>,
        writers: &'a Writers<'a>,
        catalog: CatalogWriter,
        progress: &'a PackProgress<'a>,
        monitor: &'a dyn Monitor,
    ) -> Result<Self, PackError> {
        let prior = job.resume.prior.clone().unwrap_or_default();
        let mut tally = prior.tally;
        tally.drive_bytes.resize(job.drives.len(), 0);
        let mut failed = vec![false; job.drives.len()];
        job.resume.left_out.iter().for_each(|drive| failed[*drive] = true);
        let mut committer = Self {
            job,
            writers,
            catalog,
            monitor,
            pool: Pool::keeping(FREE_BUFFERS + job.queue_depth),
            codes: HashMap::new(),
            along: Along::new(job.plan.survive.members(), job.drives.len(), job.plan.geometry),
            commitment: job.key.commitment(),
            previous: prior.runs.last().map_or([0; 32], |run| run.last),
            waiting: Vec::new(),
            record_bytes: 0,
            waiting_bytes: 0,
            last_commit: job.entropy.seconds(),
            record_files: 0,
            begun_bytes: tally.drive_bytes.clone(),
            tally,
            progress,
            awaited: Duration::ZERO,
            records: 0,
            files: prior.files,
            parts: prior.parts,
            prior_runs: prior.runs,
            cursor: job.resume.cursor.clone(),
            failed,
        };
        let begun = job.resume.prior.is_some();
        let labels = if begun { Vec::new() } else { job.labels() };
        let path = format!("{}/label.json", job.folder());
        let label = |drive: usize| Some(labels.get(drive)?.encode().into());
        // A drive that fails here is noted with the next file.
        let _ = committer.writers.commit_each(&path, label);
        let line = checklist_line(blake3::hash(&job.key_file).as_bytes(), &key_path(job.run));
        committer.commit_file(&key_path(job.run), job.key_file.clone().into())?;
        committer.commit_file(&key_line_path(job.run), line.into_bytes().into())?;
        Ok(committer)
    }

    /// Writes a file of the set to every drive.
    pub(super) fn commit_file(&mut self, path: &str, bytes: Arc<[u8]>) -> Result<(), PackError> {
        let path = format!("{}/{path}", self.job.folder());
        let outcomes = self.awaiting(|writers| writers.commit(&path, bytes));
        self.note_failures(&outcomes)
    }

    /// Reports drives that failed; an error once the rule no longer holds.
    pub(super) fn note_failures(&mut self, outcomes: &[WriteOutcome]) -> Result<(), PackError> {
        for (i, outcome) in outcomes.iter().enumerate() {
            let Err(e) = outcome else { continue };
            if !std::mem::replace(&mut self.failed[i], true) {
                let detail = format!("{}; it is left out from here on", error_chain(&**e));
                let name = self.job.drives[i].drive.name();
                self.monitor.problem(Problem::new(ProblemKind::Drive, name, detail));
            }
        }
        let failed = self.failed.iter().filter(|f| **f).count();
        if failed == outcomes.len() {
            let first = outcomes.iter().find_map(|o| o.as_ref().err().cloned());
            return Err(PackError::NoDriveLeft(first));
        }
        let lost = (0..outcomes.len()).filter(|i| self.failed[*i]);
        if !self.job.plan.survive.allows(&drives_per_case(self.job, lost)) {
            let rule = self.job.plan.survive.to_string();
            return Err(PackError::TooManyFailed { failed, rule });
        }
        Ok(())
    }

    /// Seals a stripe, hands its shards to the drives and keeps its record.
    pub fn stripe(&mut self, stripe: FilledStripe) -> Result<(), PackError> {
        let (began, awaited) = (Instant::now(), self.awaited);
        self.seal_and_keep(stripe)?;
        let spent = (began.elapsed() + awaited).saturating_sub(self.awaited);
        self.monitor.spent(Spent::Feeding, spent);
        Ok(())
    }

    fn seal_and_keep(&mut self, stripe: FilledStripe) -> Result<(), PackError> {
        let FilledStripe { filled, place, reason, cursor, outcome } = stripe;
        let (place, reason) = reassigned(self.job, self.writers, place, reason);
        let blocks = filled.blocks;
        let (k, m) = (place.k as u8, place.m as u8);
        let shape = StripeShape { id: filled.id, suite: self.job.suite, k, m, blocks };
        let payloads = filled.payloads();
        let salts = self.salts(filled.id, &payloads)?;
        let buffer_bytes = place.slots.len() * blocks.file_bytes();
        let mut buffer = self.pool.take(buffer_bytes);
        let code = self.codes.entry((place.k, place.m)).or_insert_with(|| {
            Code::new(place.k, place.m).expect("the plan gives at most 255 shards a stripe")
        });
        let sums = self.along.sums(&place.slots, &self.failed);
        let hashes = seal_stripe(self.job.key, &shape, &salts, &payloads, code, &mut buffer, sums);
        drop(payloads);
        self.write_shards(&shape, &place, buffer);
        let shard = |(i, slot): (usize, &u16)| ShardRecord {
            slot: Slot(*slot),
            salt: salts.get(i).copied().unwrap_or_default(),
        };
        let shards = place.slots.iter().enumerate().map(shard).collect();
        let record = self.record(&shape, StripeKind::Across, shards, hashes);
        self.keep_record(&StripeRecord { reason, ..record });
        self.note_added(shape.id, &place.slots, blocks);
        self.cursor = cursor;
        self.tally.stripes += 1;
        self.tally.stored_bytes += filled.stored_bytes();
        self.tally.duplicate_bytes = outcome.duplicate_bytes;
        self.tally.forgotten = outcome.forgotten;
        self.tally.left_out = outcome.left_out;
        self.estimate();
        self.waiting_bytes += blocks.file_bytes() as u64;
        self.catalog.push(filled.listed)?;
        if self.is_due() {
            self.commit()?;
        }
        Ok(())
    }

    /// Salts of a stripe's data shards. The lists of all of them stand for what they hold: these
    /// have the ids of all chunk bytes, and a chunk that runs over stands in the list before.
    fn salts(&self, id: StripeId, payloads: &[Payload]) -> Result<Vec<Salt>, PackError> {
        let mut content = blake3::Hasher::new();
        for payload in payloads {
            content.update(&(payload.list().len() as u64).to_le_bytes());
            content.update(payload.list());
        }
        let content = *content.finalize().as_bytes();
        let salt = |index| {
            let random = self.random()?;
            Ok(self.job.key.shard_salt(&random, id, index as u8, &content))
        };
        (0..payloads.len()).map(salt).collect()
    }

    /// Bytes for a salt, from the operating system.
    fn random(&self) -> Result<Salt, PackError> {
        let mut random = [0; SALT_BYTES];
        self.job.entropy.fill(&mut random)?;
        Ok(random)
    }

    /// What this run has given each drive; none if it has failed.
    fn given(&self) -> Vec<Option<u64>> {
        let given = |i: usize| {
            let this_run = self.tally.drive_bytes[i] - self.begun_bytes[i];
            (!self.failed[i]).then(|| this_run + self.along.waiting_bytes(i))
        };
        (0..self.failed.len()).map(given).collect()
    }

    /// Reports what all of it will come to, as far as that can be said.
    fn estimate(&self) {
        let packed = self.cursor.bytes.saturating_sub(self.job.resume.cursor.bytes);
        self.progress.estimate(&self.given(), packed);
    }

    fn write_shards(&mut self, shape: &StripeShape, place: &StripePlace, buffer: Pooled) {
        let buffer: Arc<dyn AsRef<[u8]> + Send + Sync> = Arc::new(StripeBuffer(buffer));
        let bytes = shape.blocks.file_bytes();
        let file = |(index, slot): (usize, &u16)| {
            let path = format!("{}/{}", self.job.folder(), shard_path(shape.id, index as u8));
            let shard = Shared::new(buffer.clone(), index * bytes..(index + 1) * bytes);
            NewFile { drive: *slot as usize - 1, path, bytes: shard }
        };
        let files: Vec<_> = place.slots.iter().enumerate().map(file).collect();
        files.iter().for_each(|file| self.tally.drive_bytes[file.drive] += bytes as u64);
        self.awaiting(|writers| writers.write_each(files));
    }

    /// Has the drives do something, which waits for them.
    fn awaiting<T>(&mut self, ask: impl FnOnce(&Writers<'a>) -> T) -> T {
        let began = Instant::now();
        let done = ask(self.writers);
        let took = began.elapsed();
        self.awaited += took;
        self.monitor.spent(Spent::AwaitingDrives, took);
        done
    }

    /// No stripe follows: what the drives were given is all that they get.
    pub fn end_of_data(&self) {
        self.progress.end_of_data(&self.given());
    }

    /// Writes a parity shard along a drive and keeps its record.
    pub(super) fn write_sum(&mut self, drive: usize, sum: Sum) {
        let Sum { number, bytes, members, blocks } = sum;
        let id = StripeId { run: self.job.run, number };
        let hashes = block_hashes(&bytes[..blocks.file_bytes()], blocks.bytes());
        let shape = StripeShape { id, suite: self.job.suite, k: 0, m: 1, blocks };
        let shards = vec![ShardRecord { slot: Slot(drive as u16 + 1), salt: Salt::default() }];
        let record = self.record(&shape, StripeKind::Along, shards, hashes);
        self.keep_record(&StripeRecord { members, ..record });
        let bytes: Arc<dyn AsRef<[u8]> + Send + Sync> = Arc::new(StripeBuffer(bytes));
        let path = format!("{}/{}", self.job.folder(), shard_path(id, 0));
        let shard = Shared::new(bytes, 0..blocks.file_bytes());
        self.tally.drive_bytes[drive] += blocks.file_bytes() as u64;
        self.awaiting(|writers| writers.write(drive, path, shard));
    }

    /// Notes the shards of a stripe that were added to the sums, and writes those that are full.
    pub(super) fn note_added(&mut self, stripe: StripeId, slots: &[u16], blocks: Blocks) {
        for (index, slot) in slots.iter().enumerate() {
            let drive = *slot as usize - 1;
            if self.failed[drive] {
                self.along.forget(drive);
                continue;
            }
            let member = Member { stripe, index: index as u8 };
            if let Some(sum) = self.along.add(drive, member, blocks) {
                self.write_sum(drive, sum);
            }
        }
    }

    /// Writes the sums that are not full, and makes them count.
    pub(super) fn end_sums(&mut self) -> Result<(), PackError> {
        for drive in (0..self.failed.len()).filter(|i| !self.failed[*i]).collect::<Vec<_>>() {
            if let Some(sum) = self.along.take(drive) {
                self.write_sum(drive, sum);
            }
        }
        self.commit()
    }

    fn record(
        &self,
        shape: &StripeShape,
        kind: StripeKind,
        shards: Vec<ShardRecord>,
        hashes: Vec<Hash>,
    ) -> StripeRecord {
        StripeRecord {
            shipment: self.job.shipment,
            set: self.job.set,
            id: shape.id,
            kind,
            reason: Reason::Planned,
            suite: shape.suite,
            k: shape.k,
            m: shape.m,
            blocks: shape.blocks,
            shards,
            members: Vec::new(),
            hashes,
        }
    }

    fn keep_record(&mut self, record: &StripeRecord) {
        let record = record.encode();
        self.record_bytes += record.len();
        self.waiting.push(record);
        self.records += 1;
    }

    fn is_due(&self) -> bool {
        let checkpoint = self.job.checkpoint;
        let seconds = self.job.entropy.seconds() - self.last_commit;
        self.waiting_bytes >= checkpoint.bytes && seconds >= checkpoint.seconds
            || self.catalog.waiting_bytes() >= PART_BYTES
            || self.record_bytes >= MOST_RECORD_BYTES
            || self.waiting.len() >= MOST_RECORDS
    }

    /// Seals a catalog file.
    fn seal_part(&self, part: u32, content: &[u8]) -> Result<(Vec<u8>, Blocks), PackError> {
        let hash = blake3::hash(content);
        let salt = self.job.key.part_salt(&self.random()?, part, hash.as_bytes());
        let block_bytes = self.job.plan.geometry.catalog_block_bytes();
        let key = |blocks| self.job.key.part_key(&salt, self.job.suite, part, blocks);
        Ok(seal_content(content, block_bytes, &salt, key))
    }

    /// Seals a catalog file and writes it to every drive; says its shape and root.
    fn commit_part(&mut self, part: u32, content: &[u8]) -> Result<(Blocks, Hash), PackError> {
        let (sealed, blocks) = self.seal_part(part, content)?;
        let root = *blake3::hash(&sealed).as_bytes();
        let path = part_path(self.job.run, part);
        let bytes = sealed.len() as u64;
        self.commit_file(&path, sealed.into())?;
        self.files.push((path, root));
        self.parts.push(PartLine { run: self.job.run, part, bytes, root });
        Ok((blocks, root))
    }

    /// Makes all stripes so far count: syncs their shards, then writes the catalog part and the
    /// record file to every drive.
    pub fn commit(&mut self) -> Result<(), PackError> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let outcomes = self.awaiting(Writers::sync);
        self.note_failures(&outcomes)?;
        let part = match self.catalog.end_part()? {
            Some((number, content)) => {
                let (blocks, root) = self.commit_part(number, &content)?;
                Some(PartRecord { number, blocks, root })
            }
            None => None,
        };
        let header = RecordFileHeader {
            shipment: self.job.shipment,
            set: self.job.set,
            run: self.job.run,
            number: self.record_files,
            stripes: self.waiting.len() as u32,
            part,
            commitment: self.commitment,
            previous: self.previous,
        };
        let mac = |body: &Hash| self.job.key.record_mac(body);
        let file = record::encode_file(&header, &self.waiting, mac);
        self.previous = *blake3::hash(&file).as_bytes();
        let path = record_path(self.job.run, self.record_files);
        self.record_files += 1;
        let (run, index) = (self.run_line(), self.catalog.index());
        let step = CommitPoint { cursor: &self.cursor, run, index, tally: &self.tally };
        (self.job.journal)(&step)?;
        self.files.push((path.clone(), self.previous));
        self.commit_file(&path, file.into())?;
        self.waiting.clear();
        self.record_bytes = 0;
        self.waiting_bytes = 0;
        self.last_commit = self.job.entropy.seconds();
        Ok(())
    }

    /// Writes the catalog's index.
    pub(super) fn commit_index(&mut self) -> Result<(), PackError> {
        let content = self.catalog.index().encode();
        self.commit_part(INDEX_PART, &content).map(|_| ())
    }

    /// What was packed so far.
    pub(super) fn packed(&self, root: Hash) -> Packed {
        let index = self.catalog.index();
        Packed {
            entries: index.entries,
            files: index.files,
            file_bytes: index.file_bytes,
            stored_bytes: self.tally.stored_bytes,
            stripes: self.tally.stripes,
            drive_bytes: self.tally.drive_bytes.clone(),
            failed: (0..self.failed.len()).filter(|i| self.failed[*i]).collect(),
            root,
            cursor: self.cursor.clone(),
            ..Packed::default()
        }
    }

    /// The runs' lines in set.txt.
    pub(super) fn run_lines(&self) -> Vec<RunLine> {
        let mut lines = self.prior_runs.clone();
        lines.push(self.run_line());
        lines
    }

    /// This run's line in set.txt.
    fn run_line(&self) -> RunLine {
        RunLine {
            run: self.job.run,
            commitment: self.commitment,
            files: self.record_files,
            stripes: self.records,
            last: self.previous,
        }
    }
}
