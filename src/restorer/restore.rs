//! The top of the pipeline: restores a set by its catalog, or by the lists in its shards.

use super::catalog_items::CatalogItems;
use super::error::RestoreError;
use super::finish::finish;
use super::items::Items;
use super::ledger::Ledger;
use super::list_items::ListItems;
use super::open_set::{OpenSet, note_end};
use super::options::RestoreOptions;
use super::output::Output;
use super::promotion::{self, Promoted};
use super::restored::Restored;
use super::selected::Selected;
use super::special::Harmless;
use super::walk::SetWalk;
use super::{pass, room, spanning, stage};
use crate::destination::Destination;
use crate::format::catalog::KeySpan;
use crate::monitor::{Monitor, Recording};
use crate::patterns::Selection;
use std::collections::BTreeSet;

/// Restores all entries of a set, or those that are selected.
pub fn restore(
    open: &OpenSet,
    destination: &Destination,
    options: RestoreOptions,
    monitor: &dyn Monitor,
) -> Result<Restored, RestoreError> {
    let end_unknown = note_end(open, monitor);
    destination.begin_unkept(open.set.set)?;
    let mut job = SetRestore { open, destination, options, monitor };
    let empty = Restored { end_unknown, ..Restored::default() };
    let Some(items) = CatalogItems::selected(open, options.selection, monitor) else {
        return job.by_lists(empty);
    };
    let begun = job.by_catalog(items, empty.clone())?;
    if begun.listed || begun.stopped {
        return Ok(begun);
    }
    // What was restored so far stays; the lists say the same and more, also of where this set's
    // parts of files begin and end.
    spanning::forget_set(destination, open.set.set)?;
    job.options.resumed = true;
    let mut restored = job.by_lists(empty)?;
    restored.count_begun(&begun, !options.resumed);
    Ok(restored)
}

/// Decodes all files of a set and forgets them: everything but the destination.
pub fn decode(open: &OpenSet, monitor: &dyn Monitor) -> Result<Restored, RestoreError> {
    let mut restored = Restored::default();
    if let Some(mut items) = CatalogItems::open(open, monitor) {
        let (options, ledger) = (RestoreOptions::default(), &Ledger::Reported(monitor));
        let walk = SetWalk { open, output: Output::Nowhere, options, ledger, total: 0, monitor };
        pass::run(walk, &mut items, &mut restored)?;
    }
    Ok(restored)
}

/// The restore of one set.
struct SetRestore<'a> {
    open: &'a OpenSet<'a>,
    destination: &'a Destination,
    options: RestoreOptions<'a>,
    monitor: &'a dyn Monitor,
}

impl SetRestore<'_> {
    fn walk<'w>(&'w self, ledger: &'w Ledger<'w>, total: u64) -> SetWalk<'w> {
        let Self { open, destination, options, monitor } = *self;
        SetWalk { open, output: Output::Folder(destination), options, ledger, total, monitor }
    }

    /// Goes by the catalog; the result has `listed` unset if that is damaged.
    fn by_catalog(
        &self,
        mut items: CatalogItems,
        mut restored: Restored,
    ) -> Result<Restored, RestoreError> {
        let (open, selection) = (self.open, self.options.selection);
        let everything = [KeySpan::all()];
        let spans = selection.map_or(&everything[..], Selection::spans);
        // What waits for drives is not restored by this run; how much that is nobody knows
        // before.
        let total = match selection {
            _ if !room::can_restore_all(open, selection) => 0,
            Some(_) => self.options.selected_bytes,
            None => items.data_bytes(open),
        };
        self.monitor.retotal(total);
        let ledger = &Ledger::begin(self.destination, open.set.set)?;
        let walk = self.walk(ledger, total);
        let again = |spans: &[KeySpan]| {
            let mut items = CatalogItems::open(open, self.monitor)?;
            items.seek(spans);
            Some(items)
        };
        let (mut items, promoted) = self.restore_bytes(walk, items, &again, &mut restored)?;
        restored.listed = !items.is_damaged();
        if restored.listed && !restored.stopped {
            items.seek(spans);
            self.finish(walk, items, &promoted, &mut restored)?;
        }
        if restored.listed || restored.stopped {
            ledger.end()?;
        }
        Ok(restored)
    }

    /// Goes by the lists in the shards.
    fn by_lists(&self, mut restored: Restored) -> Result<Restored, RestoreError> {
        let (open, monitor) = (self.open, self.monitor);
        restored.from_lists = true;
        monitor.note("the catalog is not readable; going by the lists in the shards");
        let ledger = &Ledger::begin(self.destination, open.set.set)?;
        let walk = self.walk(ledger, 0);
        let again = |_: &[KeySpan]| Some(ListItems::new(open, monitor));
        let items = ListItems::new(open, monitor);
        let (items, promoted) = self.restore_bytes(walk, items, &again, &mut restored)?;
        (restored.unlisted, restored.lists_wait) = items.unlisted();
        restored.listed = restored.unlisted == 0;
        if !restored.stopped {
            let silent = Recording::default();
            self.finish(walk, ListItems::new(open, &silent), &promoted, &mut restored)?;
        }
        ledger.end()?;
        Ok(restored)
    }

    /// Restores what has bytes; `again` gives the items in some spans once more. Returns the items,
    /// and what was restored under another name than its first.
    fn restore_bytes<I: Items + Send>(
        &self,
        walk: SetWalk,
        items: I,
        again: &dyn Fn(&[KeySpan]) -> Option<I>,
        restored: &mut Restored,
    ) -> Result<(I, Promoted), RestoreError> {
        let (set, options) = (self.open.set, self.options);
        let items = Selected::new(items, options.selection);
        let mut items = Harmless::new(items, options.no_special);
        let mut needed = pass::run(walk, &mut items, restored)?;
        restored.left.add(items.left());
        let names = items.items.take_promotions();
        let mut promoted = Promoted::default();
        if !names.is_empty()
            && !restored.stopped
            && let Some(again) = again(&promotion::spans(&names))
        {
            let more;
            (more, promoted) = promotion::promote(walk, self.destination, again, names, restored)?;
            needed.extend(more);
        }
        if !restored.stopped {
            stage::keep(set, self.open.record_index, &needed.stripes, self.monitor);
            if set.stage.is_some() {
                let here: BTreeSet<u16> =
                    set.all_drives().map(|found| found.label.slot.0).collect();
                needed.drives =
                    needed.drives.into_iter().map(|drives| drives.keeping(&here)).collect();
            }
        }
        restored.needed = needed.drives;
        restored.more_needed = needed.more;
        Ok((items.items.items, promoted))
    }

    /// Does what only the end can do.
    fn finish(
        &self,
        walk: SetWalk,
        items: impl Items,
        promoted: &Promoted,
        restored: &mut Restored,
    ) -> Result<(), RestoreError> {
        let items = Selected::new(items, self.options.selection);
        let mut items = Harmless::new(items, self.options.no_special);
        finish(&mut items, walk, self.destination, promoted, restored)
    }
}
