//! `ls`: the entries of a shipment, from any one drive of each set; of its catalog only what can hold
//! what is asked for.

use super::open::{self, OpenError};
use crate::format::catalog::KeySpan;
use crate::format::list::{Entry, Item, State};
use crate::keys::recipients::Identities;
use crate::monitor::Monitor;
use crate::restorer::OpenSet;
use crate::restorer::items::{CatalogItems, Items, ListItems};
use std::path::PathBuf;

/// What to list.
pub struct LsOptions {
    /// the drives
    pub paths: Vec<PathBuf>,
    /// secret keys
    pub identities: Identities,
    /// only what lies in this folder; the empty path is all
    pub folder: Option<Vec<u8>>,
}

/// Is the listing complete?
pub struct LsOutcome {
    /// entries that were given
    pub entries: u64,
    /// false if a part of the catalog could not be read
    pub complete: bool,
}

/// Gives every entry, in order, to `each`.
pub fn ls(
    options: &LsOptions,
    monitor: &dyn Monitor,
    each: &mut dyn FnMut(&Entry),
) -> Result<LsOutcome, OpenError> {
    let folder = options.folder.as_deref().filter(|folder| !folder.is_empty());
    let wanted = |entry: &Entry| match folder {
        None => true,
        Some(f) => {
            let rest = entry.path.strip_prefix(f);
            rest.is_some_and(|rest| rest.is_empty() || rest.first() == Some(&b'/'))
        }
    };
    let mut outcome = LsOutcome { entries: 0, complete: true };
    let sets = open::one_shipment(&options.paths, monitor)?;
    for set in &sets {
        let keys = open::keys(set, &options.identities, monitor)?;
        let book = open::glance(set, &keys);
        let opened = OpenSet { set, book: &book, keys: &keys };
        let mut give = |entry: Option<Entry>| {
            if let Some(entry) = entry.filter(&wanted) {
                outcome.entries += 1;
                each(&entry);
            }
        };
        let mut take = |items: &mut dyn Items| {
            let mut last = None;
            while !monitor.should_stop()
                && let Some(list) = items.next_list()
            {
                for item in list {
                    match item {
                        Item::Entry { entry, continued: false } => give(last.replace(entry)),
                        // It was packed again, or could not be packed.
                        Item::End(end) if end.state == State::Void => last = None,
                        _ => {}
                    }
                }
            }
            give(last);
        };
        if let Some(mut items) = CatalogItems::open(&opened, monitor) {
            if let Some(folder) = folder {
                items.seek(&KeySpan::path(folder));
            }
            take(&mut items);
            outcome.complete &= !items.is_damaged();
        } else {
            let mut items = ListItems::new(&opened, monitor);
            take(&mut items);
            outcome.complete &= items.unlisted().0 == 0;
        }
        if monitor.should_stop() {
            return Err(OpenError::Stopped);
        }
    }
    Ok(outcome)
}
