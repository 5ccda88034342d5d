//! Files that could not be read, or changed, when the dataset was packed, as the items of a set say
//! it.
//!
//! - Enters: all items, in order.
//! - Leaves: a line for each such file, whether or not it is in place already.
//! - Always holds: a file that was packed again right after is judged by that; one that is void
//!   where the set ends the next set judges, which begins with it if it was packed again.

use super::fate::{EntryFate, Fate};
use crate::format::list::{Item, Kind, State, shown_path};
use serde::{Deserialize, Serialize};

/// What is said of a file that would not hold still.
pub const MIXTURE: &str = "it changed while it was packed; its bytes are a mixture";
/// What is said of a file that could not be read.
pub const UNREAD: &str = "it could not be read when the dataset was packed";

/// Finds such files in a run of items.
#[derive(Default)]
pub struct PackingFaults {
    /// path of the file whose end has not come
    file: Option<Vec<u8>>,
    /// of one that is void, unless it is packed again next
    void: Option<Vec<u8>>,
    /// the first entry that is no folder
    first: Option<Vec<u8>>,
}

impl PackingFaults {
    /// What an item reveals.
    pub fn see(&mut self, item: &Item) -> Vec<EntryFate> {
        match item {
            Item::Entry { entry, continued: false } => {
                if entry.kind != Kind::Folder && self.first.is_none() {
                    self.first = Some(entry.path.clone());
                }
                let void = self.void.take().filter(|void| *void != entry.path);
                let is_open = entry.kind == Kind::File && !entry.whole;
                self.file = is_open.then(|| entry.path.clone());
                let changed = entry.changed.then(|| line(Fate::Changed, &entry.path));
                void.map(|path| line(Fate::Unreadable, &path)).into_iter().chain(changed).collect()
            }
            Item::End(end) => match (self.file.take(), end.state) {
                (Some(path), State::Changed) => vec![line(Fate::Changed, &path)],
                (void, State::Void) => {
                    self.void = void;
                    Vec::new()
                }
                _ => Vec::new(),
            },
            Item::Entry { .. } | Item::Extent(_) => Vec::new(),
        }
    }

    /// Where the set meets those before and after it.
    pub fn end(self) -> Bounds {
        let shown = |path: Option<Vec<u8>>| path.map(|path| shown_path(&path));
        Bounds { first: shown(self.first), void: shown(self.void) }
    }
}

/// Where a set meets those before and after it: paths as they are shown.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bounds {
    /// its first entry that is no folder
    pub first: Option<String>,
    /// a file of which it has nothing that counts, with which it ends
    pub void: Option<String>,
}

fn line(fate: Fate, path: &[u8]) -> EntryFate {
    let detail = if fate == Fate::Changed { MIXTURE } else { UNREAD };
    EntryFate::new(fate, shown_path(path), detail)
}
