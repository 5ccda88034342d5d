//! What the lists of a stripe say of entries that are packed at once.
//!
//! - Enters: entries, and what became of each.
//! - Leaves: their items.

use crate::dataset::work::EntryOutcome;
use crate::format::list::{End, Entry, Kind, State};
use crate::stages::dedup::{Dedup, Known};
use crate::stages::fill::DraftItem;
use std::sync::Arc;

/// What is said of a file that would not hold still.
pub const MIXTURE: &str = "it changed while it was read; what was packed is a mixture";
/// What is said of a file that takes no form to be packed in.
pub const RESTLESS: &str = "it changes faster than it can be read";

/// How a large file ends.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// as it was when it was begun
    Whole,
    /// it changed, and is taken as it is
    Changed,
    /// it changed, so this is void and it is packed again
    Again,
}

/// Of a file that could not be read.
pub fn void_items(entry: &Entry) -> Vec<DraftItem> {
    let mut entry = entry.clone();
    entry.whole = false;
    if entry.kind == Kind::HardLink {
        entry.kind = Kind::File;
        entry.target.clear();
    }
    let end = End { state: State::Void, root: None, size: entry.size };
    vec![DraftItem::Entry(Arc::new(entry)), DraftItem::End(end)]
}

/// The items of a group, and whether any of its bytes are new.
pub fn group_items(
    entries: &[(Arc<Entry>, EntryOutcome)],
    dedup: &Dedup,
    bundle: usize,
) -> (Vec<DraftItem>, bool) {
    let mut items = Vec::with_capacity(entries.len() * 2);
    let mut new = false;
    for (entry, outcome) in entries {
        match outcome {
            EntryOutcome::NoBytes => items.push(DraftItem::Entry(entry.clone())),
            EntryOutcome::Bytes { chunk_offset, len, id } => {
                let known = dedup.find(id, *len);
                new |= known.is_none();
                let here = Known::Here { bundle, chunk_offset: *chunk_offset };
                let source = known.unwrap_or(here);
                items.push(DraftItem::Entry(entry.clone()));
                items.push(DraftItem::Extent { file_offset: 0, len: *len, id: *id, source });
            }
            EntryOutcome::Unreadable(_) => items.extend(void_items(entry)),
        }
    }
    (items, new)
}
