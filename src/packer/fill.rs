//! The serial part of packing: in entry order, drops what was packed before, follows large files
//! to their roots, and fills stripe after stripe.

use super::error::PackError;
use super::filled::{FillOutcome, FilledStripe, Start};
use super::items::{Ending, MIXTURE, RESTLESS, known_items, void_items};
use super::spare::Spare;
use super::watch::Watch;
use crate::dataset::Source;
use crate::dataset::cursor::{Cursor, OpenFile};
use crate::dataset::work::{Done, EntryOutcome, PieceOutcome};
use crate::format::ids::{RunId, StripeId, StripeNumber};
use crate::format::list::{End, Entry, Hash, State, shown_path};
use crate::format::record::Reason;
use crate::format::shown::error_chain;
use crate::monitor::{Monitor, Problem, ProblemKind};
use crate::plan::geometry::Geometry;
use crate::plan::place::{Placement, StripePlace};
use crate::stages::dedup::{Dedup, Known};
use crate::stages::fill::{Bundle, Draft, DraftItem, Listed, NewChunk};
use crate::stages::listing::Listing;
use crossbeam_channel::Sender;
use std::sync::Arc;

/// How often a file that changed is packed again.
pub const TRIES: u32 = 3;

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
    spare: Spare,
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
            spare: Spare::new(start.drives, start.placement.survive(), start.geometry),
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
        let items = folders.iter().cloned().map(DraftItem::Entry).collect();
        self.add_items(None, first, items)
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
        self.add_items(named.then_some(&entry), &entry, items)?;
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
            Done::Group { entries, listing, chunk } => {
                self.group(&entries, listing, chunk).map(|()| None)
            }
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
        self.add_items(None, entry, void_items(entry))?;
        self.cursor.pass(&Arc::new(entry.clone()));
        Ok(None)
    }

    /// How many stripes were begun.
    pub fn stripes(&self) -> u32 {
        self.next_number
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
        listing: Listing,
        chunk: Option<NewChunk>,
    ) -> Result<(), PackError> {
        let (mut unreadable, mut files) = (0, Vec::new());
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
            if let EntryOutcome::Bytes { id, chunk_offset, .. } = outcome {
                files.push((*id, *chunk_offset));
            }
        }
        let Some((first, _)) = entries.first() else { return Ok(()) };
        let listed = Listed::Group { listing, files };
        let build = |dedup: &Dedup, _, listed| match known_items(entries, dedup) {
            Some(items) => (Listed::Items(items), false),
            None => (listed, true),
        };
        let added = self.add(None, chunk, first, listed, build)?;
        self.outcome.left_out += unreadable;
        entries.iter().for_each(|(entry, _)| self.cursor.pass(entry));
        let Some(stored) = added else { return Ok(()) };
        for (_, outcome) in entries {
            let EntryOutcome::Bytes { chunk_offset, len, id } = *outcome else { continue };
            self.learn(id, len, chunk_offset, stored);
        }
        Ok(())
    }

    /// Remembers where the bytes of an extent are that the last bundle has `stored`, or counts them
    /// as a duplicate.
    fn learn(&mut self, id: Hash, len: u32, chunk_offset: u32, stored: bool) {
        if !stored {
            self.outcome.duplicate_bytes += u64::from(len);
        } else if self.dedup.find(&id, len).is_none() {
            let next = self.draft.as_ref().map_or(0, |d| d.draft.next_bundle());
            let here = Known::Here { bundle: next.saturating_sub(1), chunk_offset };
            self.dedup.remember(id, len, here);
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
        let none = Listed::Items(Vec::new());
        let added = self.add(open, chunk, entry, none, |dedup, bundle, _| {
            let mut items = items.clone();
            let mut new = false;
            if let Some((id, len)) = extent {
                let known = dedup.find(&id, len);
                new = known.is_none();
                let source = known.unwrap_or(Known::Here { bundle, chunk_offset: 0 });
                items.push(DraftItem::Extent { file_offset, len, id, source });
            }
            items.extend(end.map(DraftItem::End));
            (Listed::Items(items), new)
        })?;
        self.unnamed = false;
        if let Some(((id, len), stored)) = extent.zip(added) {
            self.learn(id, len, 0, stored);
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

    /// Adds a bundle without bytes.
    fn add_items(
        &mut self,
        open: Option<&Arc<Entry>>,
        entry: &Entry,
        items: Vec<DraftItem>,
    ) -> Result<(), PackError> {
        self.add(open, None, entry, Listed::Items(items), |_, _, items| (items, false)).map(|_| ())
    }

    /// Adds a bundle, beginning new stripes until it fits; says whether its chunk is stored, or none
    /// if no stripe can hold it. `build` makes what is listed for the bundle number it would get, of
    /// what it made before, and says whether the chunk is new.
    fn add(
        &mut self,
        open: Option<&Arc<Entry>>,
        mut chunk: Option<NewChunk>,
        entry: &Entry,
        mut listed: Listed,
        build: impl Fn(&Dedup, usize, Listed) -> (Listed, bool),
    ) -> Result<Option<bool>, PackError> {
        loop {
            let Drafted { draft, .. } = match &mut self.draft {
                Some(draft) => draft,
                None => {
                    let draft = self.next_draft()?;
                    self.draft.insert(draft)
                }
            };
            let (made, new) = build(&self.dedup, draft.next_bundle(), listed);
            let used = if new { chunk.take() } else { None };
            match draft.add(Bundle { open: open.cloned(), listed: made, chunk: used }) {
                Ok(()) => return Ok(Some(new)),
                Err(refused) if refused.never => {
                    let detail = "its metadata is larger than a shard; it was left out";
                    self.problem(ProblemKind::Metadata, entry, detail);
                    return Ok(None);
                }
                Err(refused) => {
                    (listed, chunk) = (refused.bundle.listed, refused.bundle.chunk.or(chunk));
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
        let least = self.geometry.least_blocks(self.placement.survive());
        let draft = Draft::new(id, place.k, self.geometry.blocks).with_least(least);
        Ok(Drafted { draft, place, reason: self.reason })
    }

    /// The next place; after those that were planned, on what room is left.
    fn next_place(&mut self) -> Option<StripePlace> {
        if let Some(place) = self.placement.next_stripe() {
            return Some(place);
        }
        let (mut left, survive) = (self.placement.room_left(), self.placement.survive());
        self.spare.give(&mut left);
        self.placement = Placement::plan(&left, survive, None).ok()?;
        self.reason = Reason::MoreData;
        self.placement.next_stripe()
    }

    fn close_stripe(&mut self) -> Result<(), PackError> {
        let drafted = self.draft.take().filter(|d| !d.draft.is_empty());
        let Some(Drafted { draft, place, reason }) = drafted else {
            return Ok(());
        };
        let mut filled = draft.close();
        self.spare.leave(&place.slots, self.geometry.blocks.count() - filled.blocks.count());
        for (id, known) in filled.learned.drain(..) {
            self.dedup.update(&id, known);
        }
        let (cursor, outcome) = (self.cursor.clone(), self.counted());
        self.out
            .send(FilledStripe { filled, place, reason, cursor, outcome })
            .map_err(|_| PackError::Stopped)
    }
}
