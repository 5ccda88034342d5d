//! The serial part of packing: in entry order, drops what was packed before, follows large files
//! to their roots, and fills stripe after stripe.

use super::PackError;
use crate::dataset::work::{Done, Outcome, PieceOutcome};
use crate::format::ids::{RunId, StripeId, StripeNumber};
use crate::format::list::{End, Entry, Hash, State, shown_path};
use crate::monitor::{Monitor, Problem, ProblemKind};
use crate::plan::place::{Placement, StripePlace};
use crate::plan::room::Geometry;
use crate::sets::open::chain;
use crate::stages::dedup::{Dedup, Known};
use crate::stages::fill::{Bundle, Draft, DraftItem, Filled, NewChunk};
use crate::stages::hash::Merge;
use crossbeam_channel::Sender;
use std::sync::Arc;

/// A filled stripe and where it goes.
pub struct FilledStripe {
    /// its content
    pub filled: Filled,
    /// its drives
    pub place: StripePlace,
}

/// What the filling leaves.
#[derive(Clone, Copy, Debug, Default)]
pub struct FillOutcome {
    /// plain bytes that were not stored again
    pub duplicate_bytes: u64,
    /// extents the dedup table forgot
    pub forgotten: u64,
    /// files that are named but could not be read
    pub left_out: u64,
    /// bytes of these files, as the scan saw them
    pub left_out_bytes: u64,
    /// the dataset did not come to its end
    pub stopped: bool,
}

/// A large file in progress.
struct OpenFile {
    entry: Arc<Entry>,
    merge: Merge,
    has_root: bool,
    void: bool,
}

/// Fills stripes.
pub struct Filler<'a> {
    run: RunId,
    geometry: Geometry,
    placement: Placement,
    next_number: u32,
    draft: Option<(Draft, StripePlace)>,
    dedup: Dedup,
    open: Option<OpenFile>,
    out: Sender<FilledStripe>,
    outcome: FillOutcome,
    monitor: &'a dyn Monitor,
}

impl<'a> Filler<'a> {
    /// Fills stripes of `run` and sends them to `out`.
    pub fn new(
        run: RunId,
        geometry: Geometry,
        placement: Placement,
        dedup: Dedup,
        out: Sender<FilledStripe>,
        monitor: &'a dyn Monitor,
    ) -> Self {
        Self {
            run,
            geometry,
            placement,
            next_number: 0,
            draft: None,
            dedup,
            open: None,
            out,
            outcome: FillOutcome::default(),
            monitor,
        }
    }

    /// Takes the next piece of work.
    pub fn take(&mut self, done: Done) -> Result<(), PackError> {
        match done {
            Done::Group { entries, chunk } => self.group(&entries, chunk),
            Done::Piece { entry, number, last, outcome, changed } => {
                self.piece(&entry, number, last, outcome, changed)
            }
            Done::Unreadable(entry, e) => {
                self.problem(ProblemKind::SourceUnreadable, &entry, chain(&e));
                let items = void_items(&entry);
                self.leave_out(&entry);
                self.add(None, None, &entry, |_, _| (items.clone(), false)).map(|_| ())
            }
        }
    }

    /// Ends the last stripe.
    pub fn finish(mut self, stopped: bool) -> Result<FillOutcome, PackError> {
        self.close_stripe()?;
        self.outcome.stopped = stopped;
        self.outcome.forgotten = self.dedup.forgotten();
        Ok(self.outcome)
    }

    fn leave_out(&mut self, entry: &Entry) {
        self.outcome.left_out += 1;
        self.outcome.left_out_bytes += entry.size;
    }

    fn problem(&self, kind: ProblemKind, entry: &Entry, detail: impl std::fmt::Display) {
        self.monitor.problem(Problem::new(kind, shown_path(&entry.path), detail));
    }

    fn group(
        &mut self,
        entries: &[(Arc<Entry>, Outcome)],
        chunk: Option<NewChunk>,
    ) -> Result<(), PackError> {
        for (entry, outcome) in entries {
            match outcome {
                Outcome::Unreadable(e) => {
                    self.problem(ProblemKind::SourceUnreadable, entry, chain(e));
                    self.leave_out(entry);
                }
                Outcome::Changed => {
                    self.leave_out(entry);
                    let detail = "it changes faster than it can be read; it was left out";
                    self.problem(ProblemKind::SourceChanged, entry, detail);
                }
                Outcome::NoBytes | Outcome::Bytes { .. } => {}
            }
        }
        let Some((first, _)) = entries.first() else { return Ok(()) };
        let build = |dedup: &Dedup, bundle| group_items(entries, dedup, bundle);
        if !self.add(None, chunk, first, build)? {
            return Ok(());
        }
        let bundle = self.draft.as_ref().map_or(0, |(d, _)| d.next_bundle().saturating_sub(1));
        let mut bytes = 0;
        for (_, outcome) in entries {
            let Outcome::Bytes { chunk_offset, len, id } = *outcome else { continue };
            bytes += len as u64;
            self.learn(id, len, bundle, chunk_offset);
        }
        self.monitor.advance(bytes);
        Ok(())
    }

    /// Counts an extent as a duplicate, or remembers where it now is.
    fn learn(&mut self, id: Hash, len: u32, bundle: usize, chunk_offset: u32) {
        if self.dedup.find(&id, len).is_some() {
            self.outcome.duplicate_bytes += len as u64;
        } else {
            self.dedup.remember(id, len, Known::Here { bundle, chunk_offset });
        }
    }

    fn piece(
        &mut self,
        entry: &Arc<Entry>,
        number: u64,
        last: bool,
        outcome: PieceOutcome,
        changed: bool,
    ) -> Result<(), PackError> {
        if number == 0 {
            let (merge, has_root) = (Merge::default(), true);
            self.open = Some(OpenFile { entry: entry.clone(), merge, has_root, void: false });
        }
        let mut items = Vec::new();
        if number == 0 {
            items.push(DraftItem::Entry(entry.clone()));
        }
        let file_offset = number * self.geometry.chunk_bytes as u64;
        let (extent, chunk) = self.follow(entry, outcome);
        let end = if last { self.end_of(entry, changed) } else { None };
        let open = (number > 0).then_some(entry);
        if items.is_empty() && extent.is_none() && end.is_none() {
            return Ok(());
        }
        let added = self.add(open, chunk, entry, |dedup, bundle| {
            let mut items = items.clone();
            let mut new = false;
            if let Some((id, len)) = extent {
                let known = dedup.find(&id, len);
                new = known.is_none();
                let source = known.unwrap_or(Known::Here { bundle, chunk_offset: 0 });
                items.push(DraftItem::Extent { file_offset, len, id, source });
            }
            items.extend(end.map(DraftItem::End));
            (items, new)
        })?;
        if let Some((id, len)) = extent.filter(|_| added) {
            let bundle = self.draft.as_ref().map_or(0, |(d, _)| d.next_bundle().saturating_sub(1));
            self.learn(id, len, bundle, 0);
        }
        Ok(())
    }

    /// Follows the open file over one piece: the extent and chunk to store.
    fn follow(
        &mut self,
        entry: &Entry,
        outcome: PieceOutcome,
    ) -> (Option<(Hash, u32)>, Option<NewChunk>) {
        let Some(open) = &mut self.open else { return (None, None) };
        match outcome {
            PieceOutcome::Hole { id } => {
                match id {
                    Some(id) => open.merge.push(id),
                    None => open.has_root = false,
                }
                (None, None)
            }
            PieceOutcome::Bytes { len, id, chunk } if !open.void => {
                open.merge.push(id);
                self.monitor.advance(len as u64);
                (Some((id, len)), Some(chunk))
            }
            PieceOutcome::Bytes { .. } => (None, None),
            PieceOutcome::Unreadable(e) => {
                if !std::mem::replace(&mut open.void, true) {
                    self.problem(ProblemKind::SourceUnreadable, entry, chain(&e));
                }
                (None, None)
            }
        }
    }

    fn end_of(&mut self, entry: &Entry, changed: bool) -> Option<End> {
        let open = self.open.take()?;
        debug_assert!(open.entry.path == entry.path, "pieces of one file follow each other");
        if open.void {
            self.leave_out(entry);
            return Some(End { state: State::Void, root: None, size: entry.size });
        }
        if changed {
            self.problem(
                ProblemKind::SourceChanged,
                entry,
                "it changed while it was read; what was packed is a mixture",
            );
        }
        let state = if changed { State::Changed } else { State::Whole };
        let root = open.has_root.then(|| open.merge.root());
        Some(End { state, root, size: entry.size })
    }

    /// Adds a bundle, beginning new stripes until it fits. `build` makes its items for the bundle
    /// number it would get, and says whether its chunk is new. False if no stripe can hold it.
    fn add(
        &mut self,
        open: Option<&Arc<Entry>>,
        mut chunk: Option<NewChunk>,
        entry: &Entry,
        build: impl Fn(&Dedup, usize) -> (Vec<DraftItem>, bool),
    ) -> Result<bool, PackError> {
        loop {
            let (draft, _) = match &mut self.draft {
                Some(draft) => draft,
                None => {
                    let draft = self.next_draft()?;
                    self.draft.insert(draft)
                }
            };
            let (items, new) = build(&self.dedup, draft.next_bundle());
            let used = if new { chunk.take() } else { None };
            match draft.add(Bundle { open: open.cloned(), items, chunk: used }) {
                Ok(()) => return Ok(true),
                Err(refused) if refused.never => {
                    let detail = "its metadata is larger than a shard; it was left out";
                    self.problem(ProblemKind::Metadata, entry, detail);
                    return Ok(false);
                }
                Err(refused) => {
                    chunk = refused.bundle.chunk.or(chunk);
                    self.close_stripe()?;
                }
            }
        }
    }

    fn next_draft(&mut self) -> Result<(Draft, StripePlace), PackError> {
        let place = self.placement.next_stripe().ok_or(PackError::Full)?;
        let id = StripeId { run: self.run, number: StripeNumber(self.next_number) };
        self.next_number += 1;
        Ok((Draft::new(id, place.k, self.geometry.blocks), place))
    }

    fn close_stripe(&mut self) -> Result<(), PackError> {
        let Some((draft, place)) = self.draft.take().filter(|(d, _)| !d.is_empty()) else {
            return Ok(());
        };
        let filled = draft.close();
        for (id, known) in &filled.learned {
            self.dedup.update(id, *known);
        }
        self.out.send(FilledStripe { filled, place }).map_err(|_| PackError::Stopped)
    }
}

fn void_items(entry: &Entry) -> Vec<DraftItem> {
    let mut entry = entry.clone();
    entry.whole = false;
    let end = End { state: State::Void, root: None, size: entry.size };
    vec![DraftItem::Entry(Arc::new(entry)), DraftItem::End(end)]
}

/// The items of a group, and whether any of its bytes are new.
fn group_items(
    entries: &[(Arc<Entry>, Outcome)],
    dedup: &Dedup,
    bundle: usize,
) -> (Vec<DraftItem>, bool) {
    let mut items = Vec::with_capacity(entries.len() * 2);
    let mut new = false;
    for (entry, outcome) in entries {
        match outcome {
            Outcome::NoBytes => items.push(DraftItem::Entry(entry.clone())),
            Outcome::Bytes { chunk_offset, len, id } => {
                let known = dedup.find(id, *len);
                new |= known.is_none();
                let here = Known::Here { bundle, chunk_offset: *chunk_offset };
                let source = known.unwrap_or(here);
                items.push(DraftItem::Entry(entry.clone()));
                items.push(DraftItem::Extent { file_offset: 0, len: *len, id: *id, source });
            }
            Outcome::Unreadable(_) | Outcome::Changed => items.extend(void_items(entry)),
        }
    }
    (items, new)
}
