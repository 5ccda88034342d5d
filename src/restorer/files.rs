//! Writing a batch: whole files in parallel, larger ones extent by extent, in order.

use super::batch::{Batch, Step};
use super::decode::{Absent, Chunks, Pools};
use super::output::Output;
use super::write::{Outcome, Target, do_step};
use super::{OpenSet, RestoreError, RestoreOptions, Restored};
use crate::destination::{DestinationError, MetadataProblem};
use crate::format::list::{End, Entry, Extent, Hash, Kind, State, shown_path};
use crate::monitor::{Monitor, Problem, ProblemKind};
use crate::sets::fetch::{Fetcher, RawStripe};
use crate::sets::open::chain;
use crate::stages::hash::{Merge, piece};
use rayon::prelude::*;
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How often the destination is synced and the cursor saved.
const CHECKPOINT: Duration = Duration::from_secs(10);
/// A longer hole is not hashed on the way; if its file has a root, the file is read again.
const HASHED_HOLE_BYTES: u64 = 1 << 30;

/// A larger file in progress, as the serial part sees it.
struct OpenFile {
    target: Arc<Target>,
    merge: Merge,
    /// where the next extent should begin
    next: u64,
    /// runs of bytes that are not there
    missing: Vec<(u64, u64)>,
    absent: Option<Absent>,
    /// the zeros of its holes were too many to be hashed on the way
    unhashed: bool,
}

/// Restores batches, in order.
pub struct Files<'a> {
    open: &'a OpenSet<'a>,
    output: Output<'a>,
    options: RestoreOptions,
    restored: &'a mut Restored,
    monitor: &'a dyn Monitor,
    file: Option<OpenFile>,
    already: Arc<AtomicU64>,
    /// sort key of the last entry that needs nothing more
    settled: Vec<u8>,
    /// the same from the run before
    cursor: Option<Vec<u8>>,
    last_checkpoint: Instant,
    pools: Pools,
}

impl<'a> Files<'a> {
    /// Begins, or goes on after the entry that an earlier run had settled durably.
    pub fn new(
        open: &'a OpenSet<'a>,
        output: Output<'a>,
        options: RestoreOptions,
        restored: &'a mut Restored,
        monitor: &'a dyn Monitor,
    ) -> Result<Self, RestoreError> {
        let cursor = output.load_state(&cursor_name(open))?.filter(|_| options.resumed);
        output.clear_parts()?;
        Ok(Self {
            open,
            output,
            options,
            restored,
            monitor,
            file: None,
            already: Arc::default(),
            settled: Vec::new(),
            cursor,
            last_checkpoint: Instant::now(),
            pools: Pools::default(),
        })
    }

    /// Says which entries are in place already: up to the cursor, if they have their final name.
    pub fn skipper(&self) -> impl Fn(&Entry) -> bool + Send + use<'a> {
        let (cursor, output) = (self.cursor.clone(), self.output);
        let already = self.already.clone();
        move |entry: &Entry| {
            let before = cursor.as_ref().is_some_and(|c| entry.sort_key() <= *c);
            let there = before
                && !matches!(entry.kind, Kind::Folder | Kind::HardLink)
                && matches!(output.exists(&entry.path), Ok(Some(_)));
            already.fetch_add(there.into(), Ordering::Relaxed);
            there
        }
    }

    /// Restores a batch whose blocks were read.
    pub fn batch(
        &mut self,
        batch: Batch,
        raw: Vec<RawStripe>,
        fetcher: &Fetcher,
    ) -> Result<(), RestoreError> {
        let chunks = Chunks::decode(self.open, &batch, raw, fetcher, &self.pools)?;
        self.restored.rebuilt_blocks += chunks.rebuilt_blocks;
        let targets = self.targets(&batch)?;
        let (output, replace) = (self.output, self.options.resumed);
        let outcomes: Vec<Outcome> = batch
            .steps
            .par_iter()
            .zip(&targets)
            .map(|(step, target)| do_step(output, step, target.as_deref(), &chunks, replace))
            .collect();
        for ((step, outcome), target) in batch.steps.into_iter().zip(outcomes).zip(targets) {
            self.settle(step, outcome, target)?;
        }
        if self.last_checkpoint.elapsed() >= CHECKPOINT {
            self.checkpoint()?;
        }
        Ok(())
    }

    /// Begins the larger files of a batch, and says for each step which one it is about.
    fn targets(&mut self, batch: &Batch) -> Result<Vec<Option<Arc<Target>>>, RestoreError> {
        let mut current = self.file.as_ref().map(|f| f.target.clone());
        let mut targets = Vec::with_capacity(batch.steps.len());
        for step in &batch.steps {
            match step {
                Step::Begin(entry) => {
                    let part = self.output.begin_file()?;
                    current = Some(Arc::new(Target { entry: entry.clone(), part }));
                    targets.push(current.clone());
                }
                Step::Extent(_) => targets.push(current.clone()),
                Step::End(_) => {
                    targets.push(None);
                    current = None;
                }
                _ => targets.push(None),
            }
        }
        Ok(targets)
    }

    /// The serial part of a step.
    fn settle(
        &mut self,
        step: Step,
        outcome: Outcome,
        target: Option<Arc<Target>>,
    ) -> Result<(), RestoreError> {
        if let Outcome::Failed(e) = outcome {
            return self.failed(&step, e);
        }
        match step {
            Step::Folder(entry) => {
                self.close_unended()?;
                self.restored.entries += 1;
                self.settled = entry.sort_key();
            }
            Step::Bare(entry) | Step::Whole(entry, _) => {
                self.close_unended()?;
                self.settled = entry.sort_key();
                match outcome {
                    Outcome::Absent(absent) => {
                        self.report_absent(&entry, "all of it is missing", absent);
                    }
                    Outcome::Placed(problems) => self.placed(&entry, &problems),
                    _ => {}
                }
            }
            Step::Begin(..) => {
                self.close_unended()?;
                self.file = target.map(OpenFile::new);
            }
            Step::Extent(extent) => {
                drop(target);
                self.settle_extent(&extent, &outcome);
            }
            Step::End(end) => self.end_file(Some(end))?,
        }
        Ok(())
    }

    fn settle_extent(&mut self, extent: &Extent, outcome: &Outcome) {
        let chunk_bytes = self.open.set.label().chunk_bytes as u64;
        let Some(file) = &mut self.file else { return };
        file.skip_to(extent.file_offset, chunk_bytes);
        file.next = extent.file_offset + extent.len as u64;
        match outcome {
            Outcome::Wrote(id) => {
                file.merge.push(*id);
                self.monitor.advance(extent.len as u64);
            }
            Outcome::Absent(absent) => {
                file.absent = file.absent.max(Some(*absent));
                file.miss(extent.file_offset, extent.len as u64);
            }
            _ => {}
        }
    }

    /// A file whose end never came: the items after it are of other entries.
    fn close_unended(&mut self) -> Result<(), RestoreError> {
        if self.file.is_some() { self.end_file(None) } else { Ok(()) }
    }

    fn end_file(&mut self, end: Option<End>) -> Result<(), RestoreError> {
        let chunk_bytes = self.open.set.label().chunk_bytes as u64;
        let Some(mut file) = self.file.take() else { return Ok(()) };
        let entry = file.target.entry.clone();
        self.settled = entry.sort_key();
        if end.is_some_and(|e| e.state == State::Void) {
            let detail = "it could not be read when the dataset was packed";
            self.packed_badly(&entry, ProblemKind::SourceUnreadable, detail);
            return Ok(());
        }
        let size = end.map_or(entry.size, |e| e.size);
        file.skip_to(size, chunk_bytes);
        file.target.part.set_len(size)?;
        if file.missing.is_empty()
            && let Some(root) = end.and_then(|e| e.root)
            && file.root(size)?.is_some_and(|found| found != root)
        {
            file.missing.push((0, size));
            file.absent = Some(Absent::Lost);
        }
        let Some(Target { part, .. }) = Arc::into_inner(file.target) else { return Ok(()) };
        if file.missing.is_empty() && end.is_some() {
            if end.is_some_and(|e| e.state == State::Changed) {
                let detail = "it changed while it was packed; its bytes are a mixture";
                self.packed_badly(&entry, ProblemKind::SourceChanged, detail);
            }
            return match self.output.finish_file(part, &entry, self.options.resumed) {
                Ok(problems) => {
                    self.placed(&entry, &problems);
                    Ok(())
                }
                Err(e) => self.not_placed(&entry, e),
            };
        }
        let absent = file.absent.unwrap_or(Absent::Lost);
        let mut detail = shown_ranges(&file.missing);
        if self.options.salvage
            && (self.options.give_up || absent == Absent::Lost)
            && let Some(path) = self.output.finish_incomplete(part, &entry)?
        {
            let _ = write!(detail, "; what there is lies in {}", shown_path(&path));
        }
        self.report_absent(&entry, &detail, absent);
        Ok(())
    }

    fn placed(&mut self, entry: &Entry, problems: &[MetadataProblem]) {
        self.restored.entries += 1;
        if entry.kind == Kind::File {
            self.restored.files += 1;
            self.restored.file_bytes += entry.size;
            if entry.whole {
                self.monitor.advance(entry.size);
            }
        }
        report_metadata(self.restored, self.monitor, problems);
    }

    fn packed_badly(&mut self, entry: &Entry, kind: ProblemKind, detail: &str) {
        self.restored.packed_badly += 1;
        self.monitor.problem(Problem::new(kind, entry.shown(), detail));
    }

    /// Counts and lists a file that is not there.
    fn report_absent(&mut self, entry: &Entry, detail: &str, absent: Absent) {
        let waits = absent == Absent::Waits && !self.options.give_up;
        let kind = if waits {
            self.restored.waiting += 1;
            ProblemKind::Waiting
        } else {
            self.restored.lost += 1;
            ProblemKind::Lost
        };
        self.monitor.problem(Problem::new(kind, entry.shown(), detail));
    }

    /// The destination refused a step: a full disk ends the restore, all else is one file's matter.
    fn failed(&mut self, step: &Step, error: DestinationError) -> Result<(), RestoreError> {
        let entry = match step {
            Step::Folder(e) | Step::Bare(e) | Step::Whole(e, _) => e.clone(),
            Step::Begin(e) => (**e).clone(),
            Step::Extent(_) | Step::End(_) => return Err(error.into()),
        };
        self.not_placed(&entry, error)
    }

    fn not_placed(&mut self, entry: &Entry, error: DestinationError) -> Result<(), RestoreError> {
        if error.is_full() {
            return Err(error.into());
        }
        self.restored.lost += 1;
        self.monitor.problem(Problem::new(ProblemKind::Lost, entry.shown(), chain(&error)));
        Ok(())
    }

    fn checkpoint(&mut self) -> Result<(), RestoreError> {
        self.output.checkpoint(&cursor_name(self.open), &self.settled)?;
        self.last_checkpoint = Instant::now();
        Ok(())
    }

    /// Ends the walk.
    pub fn end(mut self, stopped: bool) -> Result<(), RestoreError> {
        self.restored.stopped = stopped;
        if stopped {
            // The file that is open is begun anew next time.
            self.file = None;
        }
        self.close_unended()?;
        self.checkpoint()?;
        self.restored.already = self.already.load(Ordering::Relaxed);
        Ok(())
    }
}

fn cursor_name(open: &OpenSet) -> String {
    format!("cursor-{}", open.set.name())
}

/// Counts and lists metadata that could not be set.
pub fn report_metadata(
    restored: &mut Restored,
    monitor: &dyn Monitor,
    problems: &[MetadataProblem],
) {
    restored.metadata_problems += u64::from(!problems.is_empty());
    for p in problems {
        let problem = Problem::new(ProblemKind::Metadata, shown_path(&p.path), chain(p));
        monitor.problem(problem);
    }
}

impl OpenFile {
    fn new(target: Arc<Target>) -> Self {
        Self {
            target,
            merge: Merge::default(),
            next: 0,
            missing: Vec::new(),
            absent: None,
            unhashed: false,
        }
    }

    /// Goes on to `offset`: what lies between is a hole, or missing.
    fn skip_to(&mut self, offset: u64, chunk_bytes: u64) {
        if offset <= self.next {
            return;
        }
        let (from, to) = (self.next, offset);
        self.next = offset;
        let holes = &self.target.entry.holes;
        if !holes.iter().any(|(start, len)| *start <= from && start + len >= to) {
            self.miss(from, to - from);
            return;
        }
        // The zeros of a hole are part of the root.
        // C is unknown where no label could be read.
        if to - from > HASHED_HOLE_BYTES || chunk_bytes == 0 {
            self.unhashed = true;
            return;
        }
        let zeros = vec![0; chunk_bytes.min(to - from) as usize];
        let mut at = from;
        while at < to {
            let len = chunk_bytes.min(to - at);
            self.merge.push(piece(&zeros[..len as usize], at, false));
            at += len;
        }
    }

    /// The root of what was written: from the pieces, or by reading it again; none if it went
    /// nowhere and has holes too long to be hashed.
    fn root(&self, size: u64) -> Result<Option<Hash>, DestinationError> {
        if !self.unhashed {
            return Ok(Some(self.merge.root()));
        }
        let mut hasher = blake3::Hasher::new();
        let mut buffer = vec![0; 1 << 20];
        let mut at = 0;
        while at < size {
            let len = (size - at).min(buffer.len() as u64) as usize;
            if !self.target.part.read_at(at, &mut buffer[..len])? {
                return Ok(None);
            }
            hasher.update(&buffer[..len]);
            at += len as u64;
        }
        Ok(Some(*hasher.finalize().as_bytes()))
    }

    fn miss(&mut self, offset: u64, len: u64) {
        match self.missing.last_mut() {
            Some((start, known)) if *start + *known == offset => *known += len,
            _ => self.missing.push((offset, len)),
        }
    }
}

/// `bytes 0-99, 500-599 are missing`
fn shown_ranges(ranges: &[(u64, u64)]) -> String {
    let shown = |(offset, len): &(u64, u64)| format!("{offset}-{}", offset + len - 1);
    let words: Vec<_> = ranges.iter().map(shown).collect();
    if words.is_empty() {
        return "its end is missing".into();
    }
    format!("bytes {} are missing", words.join(", "))
}
