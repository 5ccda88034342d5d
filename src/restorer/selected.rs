//! The items of what was selected, and the folders that lead to it.
//!
//! - Enters: items in order, from the frames that can hold what is selected, or all of them.
//! - Leaves: the items of selected entries; before the first of them in a folder, the entries of
//!   the folders that it lies in; and what was counted on the way.
//! - Always holds: (1) without a selection everything passes as it is; (2) a folder that is neither
//!   selected nor leads to something selected does not pass; (3) memory is the folders that the
//!   walk is in, and one path for each file of which only further names are selected.

use super::catalog_items::CatalogItems;
use super::items::{Items, extent_bytes};
use super::list_items::ListItems;
use super::open_set::OpenSet;
use crate::format::list::{Entry, Item, Kind, State};
use crate::monitor::{Monitor, Recording};
use crate::patterns::Selection;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// A folder that the walk is in.
struct Above {
    path: Vec<u8>,
    /// none if it could not be had
    entry: Option<Entry>,
    given: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SelectionCounts {
    /// selected entries below SOURCE
    pub entries: u64,
    /// bytes of the files among them that are no holes
    pub data_bytes: u64,
}

/// Passes on what is selected.
pub struct Selected<'a, I> {
    /// where the items come from
    pub items: I,
    selection: Option<&'a Selection>,
    above: Vec<Above>,
    /// the present entry passes
    passes: bool,
    /// a file is open and counted
    open: bool,
    counts: SelectionCounts,
    /// files that are not selected, and the first selected name of each
    promotions: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl<'a, I: Items> Selected<'a, I> {
    /// Of these items.
    pub fn new(items: I, selection: Option<&'a Selection>) -> Self {
        Self {
            items,
            selection,
            above: Vec::new(),
            passes: false,
            open: false,
            counts: SelectionCounts::default(),
            promotions: BTreeMap::new(),
        }
    }

    /// The files that are not selected themselves while further names of theirs are, and the first
    /// of these names that came by.
    pub fn take_promotions(&mut self) -> BTreeMap<Vec<u8>, Vec<u8>> {
        std::mem::take(&mut self.promotions)
    }

    fn sift(&mut self, list: Vec<Item>, selection: &Selection) -> Vec<Item> {
        let mut passed = Vec::new();
        for item in list {
            match item {
                Item::Entry { entry, continued } => {
                    let is_folder = entry.kind == Kind::Folder;
                    self.passes = selection.selects(&entry.path, entry.is_listed_as_folder());
                    self.leave(&entry.path);
                    if self.passes {
                        self.note(&entry, continued, selection);
                        self.give_above(&entry.path, &mut passed);
                    }
                    if is_folder {
                        let (path, given) = (entry.path.clone(), self.passes);
                        let entry = Some(entry.clone());
                        self.above.push(Above { path, entry, given });
                    }
                    if self.passes {
                        passed.push(Item::Entry { entry, continued });
                    }
                }
                item if self.passes => {
                    self.counts.data_bytes += extent_bytes(&item);
                    if let Item::End(end) = &item
                        && std::mem::take(&mut self.open)
                        && end.state == State::Void
                    {
                        self.counts.entries -= 1;
                    }
                    passed.push(item);
                }
                _ => {}
            }
        }
        passed
    }

    /// Counts an entry that is selected, and notes a file that it links to and that is not.
    fn note(&mut self, entry: &Entry, continued: bool, selection: &Selection) {
        // SOURCE itself is never left out: it says nothing of what was asked for.
        if continued || entry.path.is_empty() {
            return;
        }
        self.counts.entries += 1;
        self.open = entry.kind == Kind::File && !entry.whole;
        if entry.kind == Kind::HardLink && !selection.selects(&entry.target, false) {
            let promote = self.promotions.entry(entry.target.clone());
            promote.or_insert_with(|| entry.path.clone());
        }
    }

    /// Leaves the folders that this path does not lie in.
    fn leave(&mut self, path: &[u8]) {
        while self.above.last().is_some_and(|above| !is_below(path, &above.path)) {
            self.above.pop();
        }
    }

    /// Passes on the folders that the path lies in, each once. Those that the walk did not come
    /// through are looked up.
    fn give_above(&mut self, path: &[u8], passed: &mut Vec<Item>) {
        let slashes = path.iter().enumerate().filter(|(_, byte)| **byte == b'/');
        let ends = (!path.is_empty()).then_some(0).into_iter().chain(slashes.map(|(at, _)| at));
        let paths: Vec<Vec<u8>> = ends.map(|end| path[..end].to_vec()).collect();
        if self.above.len() < paths.len() {
            let known = std::mem::take(&mut self.above);
            let is_missing = |path: &&Vec<u8>| !known.iter().any(|above| above.path == **path);
            let missing: Vec<Vec<u8>> = paths.iter().filter(is_missing).cloned().collect();
            let looked_up = self.items.folders(&missing).into_iter().map(|entry| Above {
                path: entry.path.clone(),
                entry: Some(entry),
                given: false,
            });
            let mut found: BTreeMap<Vec<u8>, Above> =
                known.into_iter().chain(looked_up).map(|a| (a.path.clone(), a)).collect();
            let above = paths.into_iter().map(|path| {
                let none = |path| Above { path, entry: None, given: true };
                found.remove(&path).unwrap_or_else(|| none(path))
            });
            self.above = above.collect();
        }
        for above in self.above.iter_mut().filter(|above| !above.given) {
            above.given = true;
            let entry = above.entry.clone();
            passed.extend(entry.map(|entry| Item::Entry { entry, continued: false }));
        }
    }
}

impl<I: Items> Items for Selected<'_, I> {
    fn next_list(&mut self) -> Option<Vec<Item>> {
        loop {
            let list = self.items.next_list()?;
            let Some(selection) = self.selection else { return Some(list) };
            let passed = self.sift(list, selection);
            if !passed.is_empty() {
                return Some(passed);
            }
        }
    }

    fn lists_wait(&self) -> Arc<AtomicBool> {
        self.items.lists_wait()
    }
}

/// Does a path lie in a folder?
pub(super) fn is_below(path: &[u8], folder: &[u8]) -> bool {
    let rest = path.strip_prefix(folder);
    folder.is_empty() && !path.is_empty() || rest.is_some_and(|r| r.first() == Some(&b'/'))
}

/// What a set has of a selection.
#[derive(Clone, Debug, Default)]
pub struct SelectionSurvey {
    /// what is selected
    pub counts: SelectionCounts,
    /// entries of the set, if its catalog says how many
    pub of_entries: Option<u64>,
}

/// Walks where selected entries can be, and counts them; none if it was stopped, or lists cannot be
/// had. What cannot be read is reported by whoever restores it.
pub fn survey(
    open: &OpenSet,
    selection: &Selection,
    monitor: &dyn Monitor,
) -> Option<SelectionSurvey> {
    let quiet = Recording::default();
    if let Some(items) = CatalogItems::selected(open, Some(selection), &quiet) {
        let of_entries = items.entries();
        let (items, counts) = count(items, selection, monitor)?;
        if !items.is_damaged() {
            return Some(SelectionSurvey { counts, of_entries });
        }
    }
    let (items, counts) = count(ListItems::new(open, &quiet), selection, monitor)?;
    let (unlisted, _) = items.unlisted();
    (unlisted == 0).then_some(SelectionSurvey { counts, of_entries: None })
}

/// Counts what is selected of items, and returns them; none if it was stopped.
fn count<I: Items>(
    items: I,
    selection: &Selection,
    monitor: &dyn Monitor,
) -> Option<(I, SelectionCounts)> {
    let mut selected = Selected::new(items, Some(selection));
    while selected.next_list().is_some() {
        if monitor.should_stop() {
            return None;
        }
    }
    Some((selected.items, selected.counts))
}

/// Which other sets can hold what is selected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
// On disk it is a pair.
#[serde(into = "(bool, bool)")]
pub struct OtherSets {
    pub before: bool,
    pub after: bool,
}

impl OtherSets {
    /// Any set can.
    pub const ALL: Self = Self { before: true, after: true };
}

impl From<OtherSets> for (bool, bool) {
    fn from(sets: OtherSets) -> Self {
        (sets.before, sets.after)
    }
}

/// Which sets besides this one can hold what is selected. The sets of a shipment follow each other
/// in the order of their entries.
pub fn others_matter(open: &OpenSet, selection: &Selection) -> OtherSets {
    let quiet = Recording::default();
    let reach = CatalogItems::open(open, &quiet).and_then(|mut items| items.reach());
    let Some((first, last)) = reach else { return OtherSets::ALL };
    let spans = selection.spans();
    // A file that stands at either end may run on.
    let before = spans.iter().any(|span| span.from <= first);
    let after = spans.iter().any(|span| span.to.as_ref().is_none_or(|to| *to > last));
    OtherSets { before, after }
}

#[cfg(test)]
mod tests;
