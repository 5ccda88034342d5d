//! The serial part of packing: in entry order, drops what was packed before, follows large files
//! to their roots, and fills stripe after stripe.

use super::error::PackError;
use super::items::{Ending, MIXTURE, RESTLESS, group_items, void_items};
use super::watch::Watch;
use crate::dataset::Source;
use crate::dataset::cursor::{Cursor, OpenFile};
use crate::dataset::work::{Done, EntryOutcome, PieceOutcome};
use crate::format::ids::{RunId, StripeId, StripeNumber};
use crate::format::list::{End, Entry, Hash, State, shown_path};
use crate::format::record::Reason;
use crate::format::shown::error_chain;
use crate::local_state::state::SetTotals;
use crate::monitor::{Monitor, Problem, ProblemKind};
use crate::plan::place::{Placement, StripePlace};
use crate::plan::room::BURST_BLOCKS;
use crate::plan::room::Geometry;
use crate::stages::dedup::{Dedup, Known};
use crate::stages::fill::{Bundle, Draft, DraftItem, Filled, NewChunk};
use crossbeam_channel::Sender;
use std::sync::Arc;

/// How often a file that changed is packed again.
pub const TRIES: u32 = 3;

/// A filled stripe and where it goes.
pub struct FilledStripe {
    pub filled: Filled,
    /// its drives
    pub place: StripePlace,
    /// what made the place differ from the plan
    pub reason: Reason,
    /// what is packed with it
    pub cursor: Cursor,
    /// what was counted up to it
    pub outcome: FillOutcome,
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
    pub stopped: bool,
    /// the drives were full before the dataset came to its end
    pub full: bool,
    /// the dataset came to its end
    pub ended: bool,
}

/// Where filling begins.
pub struct Start {
    pub run: RunId,
    pub geometry: Geometry,
    /// on which drives
    pub placement: Placement,
    /// what is packed already
    pub cursor: Cursor,
    /// by an earlier set, so that folders and files are named again
    pub new_set: bool,
    /// what earlier runs of this set have counted
    pub tally: SetTotals,
}

/// A stripe that is being filled.
struct Drafted {
    draft: Draft,
    place: StripePlace,
    reason: Reason,
}

pub struct Filler<'a> {
    run: RunId,
    geometry: Geometry,
    placement: Placement,
    next_number: u32,
    draft: Option<Drafted>,
    /// of the places to come
    reason: Reason,
    dedup: Dedup,
    /// the large file in progress
    open: Option<OpenFile>,
    /// the set's lists do not name it yet
    unnamed: bool,
    /// what was placed so far
    cursor: Cursor,
    out: Sender<FilledStripe>,
    outcome: FillOutcome,
    /// extents that earlier runs forgot
    forgotten_before: u64,
    watch: Watch<'a>,
    monitor: &'a dyn Monitor,
}

impl<'a> Filler<'a> {
    /// Fills stripes and sends them to `out`.
    pub fn new(
        start: Start,
        dedup: Dedup,
        out: Sender<FilledStripe>,
        source: &'a Source,
        monitor: &'a dyn Monitor,
    ) -> Self {
        Self {
            run: start.run,
            geometry: start.geometry,
            placement: start.placement,
            next_number: 0,
            draft: None,
            reason: Reason::Planned,
            dedup,
            open: start.cursor.open.clone(),
            unnamed: start.new_set,
            cursor: start.cursor,
            out,
            outcome: FillOutcome {
                duplicate_bytes: start.tally.duplicate_bytes,
                left_out: start.tally.left_out,
                ..FillOutcome::default()
            },
            forgotten_before: start.tally.forgotten,
            watch: Watch::new(source),
            monitor,
        }
    }

    /// Names the folders that the next entry lies in, if this is a new set.
    pub fn name_folders(&mut self) -> Result<(), PackError> {
        let folders = self.cursor.folders.clone();
        let Some(first) = folders.first().filter(|_| self.unnamed) else { return Ok(()) };
        let build = |_: &Dedup, _| (folders.iter().cloned().map(DraftItem::Entry).collect(), false);
        self.add(None, None, first, build).map(|_| ())
    }

    /// The large file in progress is not as it was, or could not be read: ends it as void. Says
    /// which file is to be packed again.
    pub fn void_open_file(&mut self) -> Result<Option<Arc<Entry>>, PackError> {
        let Some(open) = self.open.take() else { return Ok(None) };
        let end = End { state: State::Void, root: None, size: open.entry.size };
        let mut items = vec![DraftItem::End(end)];
        let named = !std::mem::replace(&mut self.unnamed, false);
        if !named {
            items.insert(0, DraftItem::Entry(open.entry.clone()));
        }
        let entry = open.entry.clone();
        self.add(named.then_some(&entry), None, &entry, |_, _| (items.clone(), false))?;
        if open.void {
            self.outcome.left_out += 1;
            self.cursor.pass(&entry);
            return Ok(None);
        }
        self.cursor.begin_again();
        Ok(Some(entry))
    }

    /// Takes the next piece of work; gives back the entry of a file that is to be packed again,
    /// next. `as_it_is` keeps what was read of one that changed meanwhile.
    pub fn take(
        &mut self,
        mut done: Done,
        as_it_is: bool,
    ) -> Result<Option<Arc<Entry>>, PackError> {
        self.watch.look(&mut done)?;
        match done {
            Done::Group { entries, chunk } => self.group(&entries, chunk).map(|()| None),
            Done::Piece { entry, number, last, outcome, changed } => {
                if number == 0 {
                    self.open = Some(OpenFile::new(entry.clone()));
                    self.unnamed = true;
                }
                let again = last && changed && !as_it_is && self.may_try_again();
                if let Some(open) = &mut self.open {
                    open.changed |= changed;
                }
                let end = last.then_some(if again {
                    Ending::Again
                } else if changed {
                    Ending::Changed
                } else {
                    Ending::Whole
                });
                self.piece(&entry, number, outcome, end)?;
                Ok(again.then_some(entry))
            }
            Done::Unreadable(entry, e) => self.unreadable(&entry, error_chain(&e)),
            Done::Again(entry) if as_it_is => self.unreadable(&entry, RESTLESS),
            Done::Again(entry) => {
                self.cursor.begin_again();
                Ok(Some(entry))
            }
        }
    }

    /// Names a file of which nothing can be packed.
    fn unreadable(
        &mut self,
        entry: &Entry,
        detail: impl std::fmt::Display,
    ) -> Result<Option<Arc<Entry>>, PackError> {
        self.problem(ProblemKind::SourceUnreadable, entry, detail);
        self.outcome.left_out += 1;
        let items = void_items(entry);
        self.add(None, None, entry, |_, _| (items.clone(), false))?;
        self.cursor.pass(&Arc::new(entry.clone()));
        Ok(None)
    }

    /// How often the present file was begun and given up.
    pub fn tries(&self) -> u32 {
        self.cursor.tries
    }

    /// May the file in progress, of an earlier run or set, be begun anew if it is no longer what it
    /// was? Once, and only if all of it fits: else every set might be filled with a beginning.
    pub fn may_begin_anew(&self, open: &OpenFile) -> bool {
        self.cursor.tries == 0 && !open.changed && self.has_room_for(open.entry.size)
    }

    /// May the file in progress be packed again?
    fn may_try_again(&self) -> bool {
        self.cursor.tries < TRIES
            && self.open.as_ref().is_some_and(|open| {
                !open.void && !open.changed && self.has_room_for(open.entry.size)
            })
    }

    /// Is there room for so many bytes, if they do not compress?
    fn has_room_for(&self, bytes: u64) -> bool {
        let (left, survive) = (self.placement.room_left(), self.placement.survive());
        let shards = Placement::plan(&left, survive, None).map_or(0, |plan| plan.data_shards());
        bytes + bytes / 64 <= shards * self.geometry.blocks.payload_bytes() as u64
    }

    /// Ends the last stripe. `result` is how filling ended: full drives are no failure.
    pub fn finish(
        mut self,
        result: Result<(), PackError>,
        mut stopped: bool,
    ) -> Result<FillOutcome, PackError> {
        match result {
            Err(PackError::Full) => self.outcome.full = true,
            Err(PackError::Asked) => stopped = true,
            result => result?,
        }
        self.close_stripe()?;
        self.outcome.stopped = stopped;
        self.outcome.ended = !stopped && !self.outcome.full;
        Ok(self.counted())
    }

    /// What was counted so far.
    fn counted(&self) -> FillOutcome {
        let forgotten = self.forgotten_before + self.dedup.forgotten();
        FillOutcome { forgotten, ..self.outcome }
    }

    fn problem(&self, kind: ProblemKind, entry: &Entry, detail: impl std::fmt::Display) {
        self.monitor.problem(Problem::new(kind, shown_path(&entry.path), detail));
    }

    fn group(
        &mut self,
        entries: &[(Arc<Entry>, EntryOutcome)],
        chunk: Option<NewChunk>,
    ) -> Result<(), PackError> {
        let mut unreadable = 0;
        for (entry, outcome) in entries {
            match outcome {
                EntryOutcome::Unreadable(e) => {
                    self.problem(ProblemKind::SourceUnreadable, entry, error_chain(e));
                    unreadable += 1;
                }
                EntryOutcome::NoBytes | EntryOutcome::Bytes { .. } if entry.changed => {
                    self.problem(ProblemKind::SourceChanged, entry, MIXTURE);
                }
                EntryOutcome::NoBytes | EntryOutcome::Bytes { .. } => {}
            }
        }
        let Some((first, _)) = entries.first() else { return Ok(()) };
        let build = |dedup: &Dedup, bundle| group_items(entries, dedup, bundle);
        let added = self.add(None, chunk, first, build)?;
        self.outcome.left_out += unreadable;
        entries.iter().for_each(|(entry, _)| self.cursor.pass(entry));
        if !added {
            return Ok(());
        }
        let bundle = self.draft.as_ref().map_or(0, |d| d.draft.next_bundle().saturating_sub(1));
        for (_, outcome) in entries {
            let EntryOutcome::Bytes { chunk_offset, len, id } = *outcome else { continue };
            self.learn(id, len, bundle, chunk_offset);
        }
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
        outcome: PieceOutcome,
        ending: Option<Ending>,
    ) -> Result<(), PackError> {
        let mut items = Vec::new();
        let named = !self.unnamed;
        if !named {
            items.push(DraftItem::Entry(entry.clone()));
        }
        let file_offset = number * self.geometry.chunk_bytes as u64;
        let (extent, chunk) = self.follow(entry, outcome);
        let end = ending.and_then(|ending| self.end_of(entry, ending));
        let unreadable = end.is_some_and(|end| end.state == State::Void);
        let left_out = u64::from(unreadable && ending != Some(Ending::Again));
        let open = named.then_some(entry);
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
        self.unnamed = false;
        if let Some((id, len)) = extent.filter(|_| added) {
            let bundle = self.draft.as_ref().map_or(0, |d| d.draft.next_bundle().saturating_sub(1));
            self.learn(id, len, bundle, 0);
        }
        self.outcome.left_out += left_out;
        self.advance_in(entry, number, ending);
        Ok(())
    }

    /// Moves the cursor past a piece.
    fn advance_in(&mut self, entry: &Arc<Entry>, number: u64, ending: Option<Ending>) {
        match ending {
            None => {
                if let Some(open) = self.open.clone() {
                    self.cursor.advance(OpenFile { pieces: number + 1, ..open });
                }
            }
            Some(Ending::Again) => self.cursor.begin_again(),
            Some(_) => self.cursor.pass(entry),
        }
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
                open.bytes += len as u64;
                (Some((id, len)), Some(chunk))
            }
            PieceOutcome::Bytes { .. } => (None, None),
            PieceOutcome::Unreadable(e) => {
                if !std::mem::replace(&mut open.void, true) {
                    self.problem(ProblemKind::SourceUnreadable, entry, error_chain(&e));
                }
                (None, None)
            }
        }
    }

    fn end_of(&mut self, entry: &Entry, ending: Ending) -> Option<End> {
        let open = self.open.take()?;
        debug_assert!(open.entry.path == entry.path, "pieces of one file follow each other");
        if open.void || ending == Ending::Again {
            return Some(End { state: State::Void, root: None, size: entry.size });
        }
        let state = if ending == Ending::Changed {
            self.problem(ProblemKind::SourceChanged, entry, MIXTURE);
            State::Changed
        } else {
            State::Whole
        };
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
            let Drafted { draft, .. } = match &mut self.draft {
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

    /// Leaves drives out of all stripes to come. If the rule cannot be kept without them, they
    /// keep their places, which `repair` can fill.
    pub fn leave_out(&mut self, lost: &dyn Fn(u16) -> bool, reason: Reason) {
        let left: Vec<_> =
            self.placement.room_left().into_iter().filter(|room| !lost(room.slot)).collect();
        if let Ok(placement) = Placement::plan(&left, self.placement.survive(), None) {
            self.placement = placement;
            self.reason = reason;
        }
    }

    fn next_draft(&mut self) -> Result<Drafted, PackError> {
        let place = self.next_place().ok_or(PackError::Full)?;
        let id = StripeId { run: self.run, number: StripeNumber(self.next_number) };
        self.next_number += 1;
        let along = self.placement.survive().members().is_some();
        let least = if along { BURST_BLOCKS } else { 1 };
        let draft = Draft::new(id, place.k, self.geometry.blocks).with_least(least);
        Ok(Drafted { draft, place, reason: self.reason })
    }

    /// The next place; of a dataset that is larger than planned, on what room is left.
    fn next_place(&mut self) -> Option<StripePlace> {
        if let Some(place) = self.placement.next_stripe() {
            return Some(place);
        }
        let (left, survive) = (self.placement.room_left(), self.placement.survive());
        self.placement = Placement::plan(&left, survive, None).ok()?;
        self.reason = Reason::MoreData;
        self.placement.next_stripe()
    }

    fn close_stripe(&mut self) -> Result<(), PackError> {
        let drafted = self.draft.take().filter(|d| !d.draft.is_empty());
        let Some(Drafted { draft, place, reason }) = drafted else {
            return Ok(());
        };
        let filled = draft.close();
        for (id, known) in &filled.learned {
            self.dedup.update(id, *known);
        }
        let (cursor, outcome) = (self.cursor.clone(), self.counted());
        self.out
            .send(FilledStripe { filled, place, reason, cursor, outcome })
            .map_err(|_| PackError::Stopped)
    }
}
