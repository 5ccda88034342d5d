//! `ls`: the entries of a shipment, from any one drive of each set; of its catalog only what can
//! hold what is asked for.

use crate::format::catalog::KeySpan;
use crate::format::list::{Entry, Item, Kind, State};
use crate::keys::recipients::Identities;
use crate::monitor::Monitor;
use crate::opening::open::{self, OpenError};
use crate::opening::unlock;
use crate::restorer::{CatalogItems, Items, ListItems, OpenSet, note_end};
use crate::shipment::FoundSet;
use std::path::PathBuf;

pub struct LsOptions {
    pub paths: Vec<PathBuf>,
    pub identities: Identities,
    /// only what lies in this folder; the empty path is all
    pub folder: Option<Vec<u8>>,
}

/// Is the listing complete?
pub struct LsOutcome {
    /// entries that were given
    pub entries: u64,
    /// of these, those that the packer could not take, or not all of
    pub not_taken: u64,
    /// false if a part of the catalog could not be read
    pub complete: bool,
}

/// Gives every entry, in order, to `each`, and whether it is a file that could not be read when it
/// was to be packed.
pub fn ls(
    options: &LsOptions,
    monitor: &dyn Monitor,
    each: &mut dyn FnMut(&Entry, bool),
) -> Result<LsOutcome, OpenError> {
    let sets = open::one_shipment(&options.paths, monitor)?;
    ls_sets(sets, &options.identities, options.folder.as_deref(), monitor, each)
}

/// The same of sets that were found.
pub fn ls_sets(
    mut sets: Vec<FoundSet>,
    identities: &Identities,
    folder: Option<&[u8]>,
    monitor: &dyn Monitor,
    each: &mut dyn FnMut(&Entry, bool),
) -> Result<LsOutcome, OpenError> {
    let folder = folder.filter(|folder| !folder.is_empty());
    let wanted = |entry: &Entry| match folder {
        None => true,
        Some(f) => {
            let rest = entry.path.strip_prefix(f);
            rest.is_some_and(|rest| rest.is_empty() || rest.first() == Some(&b'/'))
        }
    };
    let mut outcome = LsOutcome { entries: 0, not_taken: 0, complete: true };
    let all = sets.len();
    let keys = unlock::unlock_and_report(&mut sets, identities, &[], monitor)?;
    outcome.complete = sets.len() == all;
    for (set, keys) in sets.iter().zip(&keys) {
        let record_index = unlock::lazy(set, keys);
        let opened = OpenSet { set, record_index: &record_index, keys };
        let mut give = |last: Option<(Entry, bool)>, next: Option<&Entry>| {
            // A file that is void counts for nothing if it was packed again.
            let counts = |(entry, void): &(Entry, bool)| {
                wanted(entry) && !(*void && next.is_some_and(|next| next.path == entry.path))
            };
            if let Some((entry, void)) = last.filter(counts) {
                outcome.entries += 1;
                let lacks = void || entry.kind == Kind::Unknown || !entry.lacks.is_empty();
                outcome.not_taken += u64::from(lacks);
                each(&entry, void);
            }
        };
        let mut take = |items: &mut dyn Items| {
            let mut last: Option<(Entry, bool)> = None;
            while !monitor.should_stop()
                && let Some(list) = items.next_list()
            {
                for item in list {
                    match item {
                        Item::Entry { entry, continued: false } => {
                            give(last.take(), Some(&entry));
                            last = Some((entry, false));
                        }
                        Item::End(end) if end.state == State::Void => {
                            last.iter_mut().for_each(|(_, void)| *void = true);
                        }
                        _ => {}
                    }
                }
            }
            give(last, None);
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
        if note_end(&opened, monitor) {
            outcome.complete &= !record_index.whole().gaps;
        }
        if monitor.should_stop() {
            return Err(OpenError::Stopped);
        }
    }
    Ok(outcome)
}
