//! Writing a batch: whole files in parallel, larger ones extent by extent, in order.

use super::batch::{Batch, Step};
use super::decode::{Absent, Opened};
use super::ledger::{Fate, Ledger};
use super::needed::Needed;
use super::open_file::{OpenFile, left_as, shown_ranges};
use super::output::{CURSOR, Output, Part};
use super::packing_faults::{MIXTURE, UNREAD};
use super::spanning::Spanning;
use super::write::{Outcome, Target, do_step, entry_of};
use super::{OpenSet, RestoreError, RestoreOptions, Restored};
use crate::destination::DestinationError;
use crate::format::list::{End, Entry, Extent, Kind, State};
use crate::monitor::{Monitor, Recording};
use rayon::prelude::*;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

mod account;

/// How often the destination is synced and the cursor saved.
const CHECKPOINT: Duration = Duration::from_secs(10);

/// Restores batches, in order.
pub struct Files<'a> {
    open: &'a OpenSet<'a>,
    output: Output<'a>,
    options: RestoreOptions<'a>,
    restored: &'a mut Restored,
    ledger: &'a Ledger<'a>,
    monitor: &'a dyn Monitor,
    file: Option<OpenFile>,
    already: Arc<AtomicU64>,
    /// sort key of the last entry that needs nothing more
    settled: Vec<u8>,
    /// the same from the walk before, of this run or another
    cursor: Option<Vec<u8>>,
    /// the same of the sets before this one, where folders stand that it names again
    earlier: Option<Vec<u8>>,
    last_checkpoint: Instant,
    /// the set's last file may run on into another set
    runs_on: bool,
    /// a file that is void, unless an entry of the same path follows
    void: Option<Arc<Entry>>,
    /// what is wanted and lacks
    needed: Needed,
    /// drives that are not here may have lists: what no list names waits with them
    pub lists_wait: Arc<AtomicBool>,
}

impl<'a> Files<'a> {
    /// Begins, or resumes after the entry that an earlier walk had settled durably.
    pub fn new(
        open: &'a OpenSet<'a>,
        output: Output<'a>,
        options: RestoreOptions<'a>,
        restored: &'a mut Restored,
        ledger: &'a Ledger<'a>,
        monitor: &'a dyn Monitor,
    ) -> Result<Self, RestoreError> {
        let cursor = output.load_state(&cursor_name(open))?;
        let further = open.set.set_text(&Recording::default()).and_then(|t| t.further_sets());
        Ok(Self {
            open,
            output,
            options,
            restored,
            ledger,
            monitor,
            file: None,
            already: Arc::default(),
            settled: Vec::new(),
            cursor,
            earlier: output.reached_before(open.set.set)?,
            last_checkpoint: Instant::now(),
            runs_on: further.unwrap_or(options.later_sets),
            void: None,
            needed: Needed::default(),
            lists_wait: Arc::default(),
        })
    }

    /// Says which entries are in place already: up to the cursor, if they have their final name.
    pub fn skipper(&self) -> impl Fn(&Entry) -> bool + Send + use<'a> {
        let (cursor, output) = (self.cursor.clone(), self.output);
        let already = self.already.clone();
        let set = self.open.set.set;
        move |entry: &Entry| {
            let before = cursor.as_ref().is_some_and(|c| entry.sort_key() <= *c);
            let there = before
                && !matches!(entry.kind, Kind::Folder | Kind::HardLink)
                && (output.has(entry)
                    || entry.kind == Kind::File && !entry.whole && output.is_marked(entry, set));
            already.fetch_add(there.into(), Ordering::Relaxed);
            there
        }
    }

    /// Restores a batch whose blocks are open.
    pub fn batch(&mut self, batch: Batch, opened: &Opened) -> Result<(), RestoreError> {
        self.restored.reconstructed.add(opened.reconstructed);
        let targets = self.targets(&batch)?;
        let outcomes = self.outcomes(&batch, opened, &targets)?;
        for ((step, outcome), target) in batch.steps.into_iter().zip(outcomes).zip(targets) {
            // One step may hash the zeros of long holes.
            if self.monitor.should_stop() {
                return Ok(()); // not all was done: the next run does what is left anew
            }
            if let (Outcome::Absent(Absent::Waits), Some(extent)) = (&outcome, step.extent())
                && let Some((shards, own)) = opened.needed(&extent.place, self.output)
                && !self.ledger.has_refused(entry_of(&step, target.as_deref()))
            {
                self.needed.add(extent.place.stripe, shards, &own);
            }
            self.settle(step, outcome, target)?;
        }
        if self.last_checkpoint.elapsed() >= CHECKPOINT {
            self.checkpoint()?;
        }
        Ok(())
    }

    /// Does the steps, those about one chunk together while it is hot.
    fn outcomes(
        &self,
        batch: &Batch,
        opened: &Opened,
        targets: &[Option<Arc<Target>>],
    ) -> Result<Vec<Outcome>, RestoreError> {
        let (output, conflict) = (self.output, self.options.on_conflict());
        let outcome = |number: usize, chunk: Result<&[u8], Absent>| {
            let (step, target) = (&batch.steps[number], targets[number].as_deref());
            (number, do_step(output, step, target, chunk, conflict))
        };
        let mut chunks: Vec<_> = batch.places().iter().collect();
        chunks.sort_unstable_by_key(|(_, steps)| steps[0]);
        let of_chunks = chunks
            .into_par_iter()
            .map_init(
                || (None, Vec::new()),
                |(decompressor, buffer), (place, steps)| {
                    if self.monitor.should_stop() {
                        return Ok(Vec::new());
                    }
                    let chunk = opened.chunk(place, output, decompressor, buffer)?;
                    let chunk = chunk.as_deref().map_err(|absent| *absent);
                    Ok(steps.par_iter().map(|number| outcome(*number, chunk)).collect())
                },
            )
            .collect::<io::Result<Vec<Vec<_>>>>()?;
        let without: Vec<usize> =
            (0..batch.steps.len()).filter(|n| batch.steps[*n].extent().is_none()).collect();
        let of_others: Vec<_> =
            without.into_par_iter().map(|number| outcome(number, Err(Absent::Lost))).collect();
        // One whose chunk cannot be: its place is outside of its stripe.
        let absent = || Outcome::Absent(Absent::Lost);
        let mut outcomes: Vec<Outcome> = batch.steps.iter().map(|_| absent()).collect();
        for (number, outcome) in of_chunks.into_iter().flatten().chain(of_others) {
            outcomes[number] = outcome;
        }
        Ok(outcomes)
    }

    /// Begins the larger files of a batch, and says for each step which one it is about.
    fn targets(&mut self, batch: &Batch) -> Result<Vec<Option<Arc<Target>>>, RestoreError> {
        let mut current = self.file.as_ref().map(|f| f.target.clone());
        let mut targets = Vec::with_capacity(batch.steps.len());
        for step in &batch.steps {
            match step {
                Step::Begin(entry) => {
                    let part = self.output.share_file(entry)?;
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
                self.leave(Some(&entry))?;
                self.settled = entry.sort_key();
                let known = self.cursor.as_ref().is_some_and(|c| self.settled <= *c);
                let count =
                    if known { &mut self.restored.known } else { &mut self.restored.entries };
                *count += u64::from(self.earlier.as_ref().is_none_or(|e| self.settled > *e));
            }
            Step::Bare(entry) | Step::Whole(entry, _) => {
                self.leave(Some(&entry))?;
                self.settled = entry.sort_key();
                match outcome {
                    Outcome::Absent(absent) => {
                        self.report_absent(&entry, "all of it is missing", absent)?;
                    }
                    Outcome::Placed(problems) => self.placed(&entry, &problems)?,
                    _ => {}
                }
            }
            Step::Begin(entry) => {
                self.leave(Some(&entry))?;
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
        if self.open.set.set.0 > 1 {
            file.begin_at(extent.file_offset, chunk_bytes);
        }
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

    /// An entry begins, or the items are at their end. If a file's end never came, there it is; and
    /// a void file was packed again, or could not be packed.
    fn leave(&mut self, next: Option<&Entry>) -> Result<(), RestoreError> {
        if self.file.is_some() {
            self.end_file(None)?;
        }
        match (self.void.take(), next) {
            (Some(void), Some(next)) if next.path != void.path => {
                self.packed_badly(&void, Fate::Unreadable, UNREAD)?;
            }
            // It may be packed again in the next set.
            (Some(void), None) => self.restored.bounds.void = Some(void.shown()),
            _ => {}
        }
        if let Some(next) = next.filter(|next| next.kind != Kind::Folder) {
            self.restored.bounds.first.get_or_insert_with(|| next.shown());
        }
        Ok(())
    }

    fn end_file(&mut self, end: Option<End>) -> Result<(), RestoreError> {
        let chunk_bytes = self.open.set.label().chunk_bytes as u64;
        let Some(mut file) = self.file.take() else { return Ok(()) };
        let entry = file.target.entry.clone();
        self.settled = entry.sort_key();
        if self.lists_wait.load(Ordering::Relaxed) {
            file.absent.get_or_insert(Absent::Waits);
        }
        if end.is_some_and(|e| e.state == State::Void) {
            file.target.part.set_len(0)?;
            if self.open.set.set.0 > 1 {
                self.cross(&file, end)?;
            }
            self.void = Some(entry);
            return Ok(());
        }
        if let Some(error) = file.refused.take() {
            return self.refuse(file, error);
        }
        if let Some(end) = end.filter(|_| self.open.set.set.0 > 1)
            && file.ends_in_hole(end.size)
        {
            file.begin_at(end.size, chunk_bytes);
        }
        let crosses = file.begins > 0 || end.is_none() && self.runs_on;
        if crosses && (file.missing.is_empty() || matches!(self.output, Output::Folder(_))) {
            return self.end_part(file, end, chunk_bytes);
        }
        let size = end.map_or(entry.size, |e| e.size);
        file.skip_to(size, chunk_bytes);
        if let Err(error) = file.target.part.set_len(size) {
            return self.refuse(file, error);
        }
        if file.missing.is_empty()
            && let Some(root) = end.and_then(|e| e.root)
            && !file.has_root(size, &root)?
        {
            file.missing.push((0, size));
            file.absent = Some(Absent::Lost);
        }
        let Some(Target { part, .. }) = Arc::into_inner(file.target) else { return Ok(()) };
        if let Some(end) = end.filter(|_| file.missing.is_empty()) {
            return self.finish_file(part, &entry, end);
        }
        let absent = file.absent.unwrap_or(Absent::Lost);
        let mut detail = shown_ranges(&file.missing);
        if self.options.salvage
            && (self.options.give_up || absent == Absent::Lost)
            && let Some(path) = self.output.finish_incomplete(part, &entry)?
        {
            detail.push_str(&left_as(&path));
        }
        self.report_absent(&entry, &detail, absent)
    }

    /// Ends this set's part of a file that crosses sets. What becomes of one that is not whole
    /// then, the end of the run reports: other sets may have the rest.
    fn end_part(
        &mut self,
        mut file: OpenFile,
        end: Option<End>,
        chunk_bytes: u64,
    ) -> Result<(), RestoreError> {
        match end {
            Some(end) => {
                file.skip_to(end.size, chunk_bytes);
                if let Err(error) = file.target.part.set_len(end.size) {
                    return self.refuse(file, error);
                }
            }
            // It begins with a hole, which counts to the set that has its first bytes.
            None if file.next == 0 => return Ok(()),
            None => {}
        }
        let entry = file.target.entry.clone();
        let spanning = self.cross(&file, end)?;
        let Spanning::Whole { root, end } = spanning else {
            match file.absent.filter(|_| !file.missing.is_empty()) {
                _ if self.output.is_refused(&entry) => self.restored.refused += 1,
                Some(Absent::Waits) if !self.options.give_up => self.restored.waiting += 1,
                _ if !file.missing.is_empty() => self.restored.lost += 1,
                _ => {}
            }
            return Ok(());
        };
        let root = match end.root {
            Some(_) if root.is_none() => file.read_root(end.size)?,
            _ => root,
        };
        self.output.forget_marks(&entry)?;
        if end.root.is_some_and(|wanted| root.is_some_and(|root| wanted != root)) {
            return self.report_absent(&entry, "its sets do not fit together", Absent::Lost);
        }
        let Some(Target { part, .. }) = Arc::into_inner(file.target) else { return Ok(()) };
        match self.output.finish_file(part, &entry, self.options.on_conflict()) {
            Ok(problems) => {
                self.output.forget_refusal(&entry)?;
                if end.state == State::Changed {
                    self.packed_badly(&entry, Fate::Changed, MIXTURE)?;
                }
                self.placed(&entry, &problems)
            }
            Err(e) if self.output.is_ended_by(&e) => Err(e.into()),
            Err(e) => {
                // To be tried again it has to be put together again.
                self.restored.refused_parts = true;
                self.restored.refuse(&entry);
                Ok(self.output.keep_refusal(&entry, &e.reason())?)
            }
        }
    }

    /// Marks what this set holds of a file that crosses sets.
    fn cross(&self, file: &OpenFile, end: Option<End>) -> Result<Spanning, RestoreError> {
        let mark = file.mark(self.open.set.label().chunk_bytes.into(), end);
        Ok(self.output.settle(&file.target.entry, self.open.set.set, &mark)?)
    }

    /// Gives a whole and verified file its final name.
    fn finish_file(&mut self, part: Part, entry: &Entry, end: End) -> Result<(), RestoreError> {
        if end.state == State::Changed {
            self.packed_badly(entry, Fate::Changed, MIXTURE)?;
        }
        match self.output.finish_file(part, entry, self.options.on_conflict()) {
            Ok(problems) => self.placed(entry, &problems),
            Err(e) => self.not_placed(entry, e),
        }
    }

    /// The destination refused a step. If it fails as a whole, that ends the restore; all else is
    /// one entry's matter.
    fn failed(&mut self, step: &Step, error: DestinationError) -> Result<(), RestoreError> {
        match step {
            Step::Folder(e) | Step::Bare(e) | Step::Whole(e, _) => {
                self.leave(Some(e))?;
                self.not_placed(e, error)
            }
            Step::Extent(extent) if !self.output.is_ended_by(&error) => {
                self.settle_extent(extent, &Outcome::Absent(Absent::Lost));
                if let Some(file) = &mut self.file {
                    file.refused.get_or_insert(error);
                }
                Ok(())
            }
            _ => Err(error.into()),
        }
    }

    /// The cursor never goes back: what an earlier run settled, with other drives, stays so.
    fn checkpoint(&mut self) -> Result<(), RestoreError> {
        let settled = self.cursor.as_ref().map_or(&self.settled, |c| c.max(&self.settled));
        self.output.checkpoint(&cursor_name(self.open), settled)?;
        self.last_checkpoint = Instant::now();
        Ok(())
    }

    /// Ends the walk; returns what is needed of drives that are not here.
    pub fn end(mut self, stopped: bool) -> Result<Needed, RestoreError> {
        self.restored.stopped = stopped;
        if stopped {
            // The file that is open is begun anew next time.
            self.file = None;
            self.void = None;
        }
        self.leave(None)?;
        self.checkpoint()?;
        self.restored.already = self.already.load(Ordering::Relaxed);
        Ok(self.needed)
    }
}

fn cursor_name(open: &OpenSet) -> String {
    format!("{CURSOR}{}", open.set.name())
}
