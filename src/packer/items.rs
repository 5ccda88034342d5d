//! What the lists of a stripe say of files that are not packed as a group is.
//!
//! - Enters: entries, and what became of each.
//! - Leaves: their items.

use crate::dataset::work::EntryOutcome;
use crate::format::list::{End, Entry, State};
use crate::stages::dedup::Dedup;
use crate::stages::fill::DraftItem;
use crate::stages::listing::voided;
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
    let entry = voided(entry.clone());
    let end = End { state: State::Void, root: None, size: entry.size };
    vec![DraftItem::Entry(Arc::new(entry)), DraftItem::End(end)]
}

/// The items of a group whose files were all packed before; none if one was not.
pub fn known_items(
    entries: &[(Arc<Entry>, EntryOutcome)],
    dedup: &Dedup,
) -> Option<Vec<DraftItem>> {
    let has_bytes =
        |(_, outcome): &(_, EntryOutcome)| matches!(outcome, EntryOutcome::Bytes { .. });
    if !entries.iter().any(has_bytes) {
        return None;
    }
    let mut items = Vec::with_capacity(entries.len());
    for (entry, outcome) in entries {
        match outcome {
            EntryOutcome::NoBytes => items.push(DraftItem::Entry(entry.clone())),
            EntryOutcome::Bytes { len, id, .. } => {
                let source = dedup.find(id, *len)?;
                items.push(DraftItem::Whole { entry: entry.clone(), source });
            }
            EntryOutcome::Unreadable(_) => items.extend(void_items(entry)),
        }
    }
    Some(items)
}
