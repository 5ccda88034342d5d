//! Restores batches: whole files in parallel, larger ones extent by extent, in order.

use super::account::Account;
use super::batch::{Batch, RestoreStep};
use super::decode::{Absent, OpenedBatch};
use super::error::RestoreError;
use super::fate::Fate;
use super::followed_file::FollowedFile;
use super::needed::Needed;
use super::open_set::OpenSet;
use super::output::{CURSOR, Output};
use super::packing_faults::UNREAD;
use super::restored::Restored;
use super::walk::SetWalk;
use super::write::{StepOutcome, WriteTarget, do_steps, entry_of};
use super::{file_end, spanning};
use crate::destination::DestinationError;
use crate::format::list::{End, Entry, Extent, Kind, Place, State};
use crate::monitor::Recording;
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How often the destination is synced and the cursor saved.
const CHECKPOINT: Duration = Duration::from_secs(10);

/// Takes batches in order.
pub struct Files<'a> {
    walk: SetWalk<'a>,
    account: Account<'a>,
    file: Option<FollowedFile>,
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
    /// what is wanted and missing
    needed: Needed,
    /// drives that are not here may have lists: what no list names waits with them
    lists_wait: Arc<AtomicBool>,
}

impl<'a> Files<'a> {
    /// Begins, or resumes after the entry that an earlier walk had settled durably.
    pub fn new(
        walk: SetWalk<'a>,
        restored: &'a mut Restored,
        lists_wait: Arc<AtomicBool>,
    ) -> Result<Self, RestoreError> {
        let SetWalk { open, output, options, .. } = walk;
        let further = open.set.set_text(&Recording::default()).and_then(|t| t.further_sets());
        Ok(Self {
            walk,
            account: Account::new(walk, restored),
            file: None,
            already: Arc::default(),
            settled: Vec::new(),
            cursor: output.to(|folder| folder.load_state(&cursor_name(open)))?,
            earlier: output.reached_before(open.set.set)?,
            last_checkpoint: Instant::now(),
            runs_on: further.unwrap_or(options.later_sets),
            void: None,
            needed: Needed::default(),
            lists_wait,
        })
    }

    /// Returns whether an entry is in place already: up to the cursor, if it has its final name.
    pub fn skipper(&self) -> impl Fn(&Entry) -> bool + Send + use<'a> {
        let (cursor, already) = (self.cursor.clone(), self.already.clone());
        let (output, set) = (self.walk.output, self.walk.open.set.set);
        let is_marked = move |entry: &Entry| {
            output.to(|folder| spanning::is_marked(folder, entry, set)).unwrap_or(false)
        };
        move |entry: &Entry| {
            let before = cursor.as_ref().is_some_and(|c| entry.sort_key() <= *c);
            let there = before
                && !matches!(entry.kind, Kind::Folder | Kind::HardLink)
                && (output.has(entry)
                    || entry.kind == Kind::File && !entry.whole && is_marked(entry));
            already.fetch_add(there.into(), Ordering::Relaxed);
            there
        }
    }

    /// Restores a batch whose blocks are open.
    pub fn batch(&mut self, batch: Batch, opened: &OpenedBatch) -> Result<(), RestoreError> {
        self.account.restored.reconstructed.add(opened.reconstructed);
        let targets = self.targets(&batch)?;
        let outcomes = do_steps(self.walk, &batch, opened, &targets)?;
        // What a chunk waits for, all files wait for that share it.
        let mut noted: HashSet<Place> = HashSet::new();
        for ((step, outcome), target) in batch.steps.into_iter().zip(outcomes).zip(targets) {
            // One step may hash the zeros of long holes.
            if self.walk.monitor.should_stop() {
                return Ok(()); // not all was done: the next run does the rest again
            }
            if let (StepOutcome::Absent(Absent::Waits), Some(extent)) = (&outcome, step.extent())
                && !noted.contains(&extent.place)
                && !self.walk.ledger.has_refused(entry_of(&step, target.as_deref()))
                && let Some((shards, own)) = opened.needed(&extent.place, self.walk.output)
            {
                noted.insert(extent.place);
                self.needed.add(extent.place.stripe, shards, &own);
            }
            self.settle(step, outcome, target)?;
        }
        if self.last_checkpoint.elapsed() >= CHECKPOINT {
            self.checkpoint()?;
        }
        Ok(())
    }

    /// Begins the larger files of a batch; returns for each step the one that it writes to.
    fn targets(&mut self, batch: &Batch) -> Result<Vec<Option<Arc<WriteTarget>>>, RestoreError> {
        let mut current = self.file.as_ref().map(|f| f.target.clone());
        let mut targets = Vec::with_capacity(batch.steps.len());
        for step in &batch.steps {
            match step {
                RestoreStep::Begin(entry) => {
                    let file = self.walk.output.share_file(&spanning::shared_name(entry))?;
                    current = Some(Arc::new(WriteTarget { entry: entry.clone(), file }));
                    targets.push(current.clone());
                }
                RestoreStep::Extent(_) => targets.push(current.clone()),
                RestoreStep::End(_) => {
                    targets.push(None);
                    current = None;
                }
                _ => targets.push(None),
            }
        }
        Ok(targets)
    }

    /// Does the serial part of a step.
    fn settle(
        &mut self,
        step: RestoreStep,
        outcome: StepOutcome,
        target: Option<Arc<WriteTarget>>,
    ) -> Result<(), RestoreError> {
        if let StepOutcome::Failed(e) = outcome {
            return self.failed(&step, e);
        }
        match step {
            RestoreStep::Folder(entry) => {
                self.leave(Some(&entry))?;
                self.settled = entry.sort_key();
                let known = self.cursor.as_ref().is_some_and(|c| self.settled <= *c);
                let count = if known {
                    &mut self.account.restored.known
                } else {
                    &mut self.account.restored.entries
                };
                *count += u64::from(self.earlier.as_ref().is_none_or(|e| self.settled > *e));
            }
            RestoreStep::Bare(entry) | RestoreStep::Whole(entry, _) => {
                self.leave(Some(&entry))?;
                self.settled = entry.sort_key();
                match outcome {
                    StepOutcome::Absent(absent) => {
                        self.account.absent(&entry, "all of it is missing", absent)?;
                    }
                    StepOutcome::Placed(problems) => self.account.placed(&entry, &problems)?,
                    _ => {}
                }
            }
            RestoreStep::Begin(entry) => {
                self.leave(Some(&entry))?;
                let chunk_bytes = self.walk.open.set.label().chunk_bytes.into();
                self.file = target.map(|target| FollowedFile::new(target, chunk_bytes));
            }
            RestoreStep::Extent(extent) => {
                drop(target);
                self.settle_extent(&extent, &outcome);
            }
            RestoreStep::End(end) => self.end_file(Some(end))?,
        }
        Ok(())
    }

    fn settle_extent(&mut self, extent: &Extent, outcome: &StepOutcome) {
        let Some(file) = &mut self.file else { return };
        if self.walk.open.set.set.0 > 1 {
            file.begin_at(extent.file_offset);
        }
        file.skip_to(extent.file_offset);
        file.next = extent.file_offset + extent.len as u64;
        match outcome {
            StepOutcome::Wrote(id) => {
                file.merge.push(*id);
                self.walk.monitor.advance(extent.len as u64);
            }
            StepOutcome::Absent(absent) => {
                file.absent = file.absent.max(Some(*absent));
                file.miss(extent.file_offset, extent.len as u64);
            }
            _ => {}
        }
    }

    /// Called where an entry begins, and at the end of the items. A file whose end never came ends
    /// here; a void file is packed again next, or could not be packed.
    fn leave(&mut self, next: Option<&Entry>) -> Result<(), RestoreError> {
        if self.file.is_some() {
            self.end_file(None)?;
        }
        match (self.void.take(), next) {
            (Some(void), Some(next)) if next.path != void.path => {
                self.account.packed_badly(&void, Fate::Unreadable, UNREAD)?;
            }
            // It may be packed again in the next set.
            (Some(void), None) => self.account.restored.bounds.void = Some(void.shown()),
            _ => {}
        }
        if let Some(next) = next.filter(|next| next.kind != Kind::Folder) {
            self.account.restored.bounds.first.get_or_insert_with(|| next.shown());
        }
        Ok(())
    }

    fn end_file(&mut self, end: Option<End>) -> Result<(), RestoreError> {
        let SetWalk { open, output, .. } = self.walk;
        let Some(mut file) = self.file.take() else { return Ok(()) };
        let entry = file.target.entry.clone();
        self.settled = entry.sort_key();
        if self.lists_wait.load(Ordering::Relaxed) {
            file.absent.get_or_insert(Absent::Waits);
        }
        if end.is_some_and(|e| e.state == State::Void) {
            file.target.file.set_len(0)?;
            if open.set.set.0 > 1 {
                file_end::mark(self.walk, &file, end)?;
            }
            self.void = Some(entry);
            return Ok(());
        }
        if let Some(error) = file.refused.take() {
            return file_end::refuse(&mut self.account, file, error);
        }
        if let Some(end) = end.filter(|_| open.set.set.0 > 1)
            && file.ends_in_hole(end.size)
        {
            file.begin_at(end.size);
        }
        let spans = file.begins > 0 || end.is_none() && self.runs_on;
        if spans && (file.missing.is_empty() || matches!(output, Output::Folder(_))) {
            return file_end::end_part(&mut self.account, file, end);
        }
        file_end::end_alone(&mut self.account, file, end)
    }

    /// The destination refused a step. If it fails as a whole, that ends the restore; all else is
    /// one entry's matter.
    fn failed(&mut self, step: &RestoreStep, error: DestinationError) -> Result<(), RestoreError> {
        match step {
            RestoreStep::Folder(e) | RestoreStep::Bare(e) | RestoreStep::Whole(e, _) => {
                self.leave(Some(e))?;
                self.account.refused(e, error)
            }
            RestoreStep::Extent(extent) if !self.walk.output.is_ended_by(&error) => {
                self.settle_extent(extent, &StepOutcome::Absent(Absent::Lost));
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
        self.walk.output.checkpoint(&cursor_name(self.walk.open), settled)?;
        self.last_checkpoint = Instant::now();
        Ok(())
    }

    /// Ends the walk; returns what is needed of drives that are not here.
    pub fn end(mut self) -> Result<Needed, RestoreError> {
        let stopped = self.walk.monitor.should_stop();
        self.account.restored.stopped = stopped;
        if stopped {
            // The file that is open is begun anew next time.
            self.file = None;
            self.void = None;
        }
        self.leave(None)?;
        self.checkpoint()?;
        self.account.restored.already = self.already.load(Ordering::Relaxed);
        Ok(self.needed)
    }
}

fn cursor_name(open: &OpenSet) -> String {
    format!("{CURSOR}{}", open.set.name())
}
