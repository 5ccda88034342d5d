//! A restore that is finished, asked for again: is all of a set in place?
//!
//! - Enters: a set's catalog, and a tree that no restore is in progress in.
//! - Leaves: how many entries are there as the catalog says, by name, kind, size and time, if all are.
//! - Always holds: no file is read, and nothing is promised of bytes.
//!
//! A finished restore leaves nothing of its own in DIR, so there is no mark to go by; the tree itself
//! says that it is done, whichever drives of the set ask, on whichever machine.

use super::OpenSet;
use super::items::{CatalogItems, Items};
use super::selected::Selected;
use crate::destination::Tree;
use crate::format::list::{Entry, Item, Kind, State};
use crate::monitor::Recording;
use crate::patterns::Selection;

/// The entries of a set that are in place; none if one is not, or the catalog cannot be read. What a
/// restore left that was cut short at its very end is removed.
pub fn in_place(open: &OpenSet, tree: &Tree, selection: Option<&Selection>) -> Option<u64> {
    let silent = Recording::default();
    let mut items = CatalogItems::open(open, &silent)?;
    if let Some(selection) = selection {
        items.seek(selection.spans());
    }
    let mut items = Selected::new(items, selection);
    let (mut count, mut file, mut dir): (u64, Option<Entry>, Option<Entry>) = (0, None, None);
    while let Some(list) = items.next_list() {
        for item in list {
            match item {
                Item::Entry { continued: true, .. } | Item::Extent(_) => {}
                Item::Entry { entry, .. } => {
                    // One without an end runs on into another set.
                    if file.take().is_some_and(|file| !tree.has(&file, None)) {
                        return None;
                    }
                    count += 1;
                    if entry.path.is_empty() {
                        dir = Some(entry);
                    } else if entry.kind == Kind::File && !entry.whole {
                        file = Some(entry);
                    } else if !tree.has(&entry, Some(entry.size)) {
                        return None;
                    }
                }
                Item::End(end) => {
                    let file = file.take();
                    let is_there = |file: &Entry| tree.has(file, Some(end.size));
                    if end.state != State::Void && !file.as_ref().is_none_or(is_there) {
                        return None;
                    }
                }
            }
        }
    }
    let all = file.is_none_or(|file| tree.has(&file, None)) && !items.items.is_damaged();
    if all {
        dir.iter().for_each(|dir| tree.tidy(dir));
    }
    all.then_some(count)
}
