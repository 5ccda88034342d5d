//! `status --to`: how far a restore is, from what it keeps in its destination, and which of its
//! drives are here.
//!
//! - Enters: DIR, and drives, perhaps none.
//! - Leaves: of each set of the shipment what is known: complete, or which drives it waits for.
//! - Always holds: nothing is written, neither to DIR nor to a drive.

use super::open::{self, OpenError};
use super::restore::decode_done;
use crate::destination::{Destination, DestinationError, Peek};
use crate::format::ids::{SetNumber, ShipmentId, Slot, set_folder};
use crate::format::set::SetText;
use crate::monitor::Monitor;
use crate::monitor::Recording;
use crate::sets::{Book, FoundSet, damage};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// How the names of these states begin.
const SEEN: &str = "seen-";

/// What a restore keeps in DIR of a set that it has seen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// slot and case (if set.txt tells it) of the drives that were not here
    pub absent: Vec<(u16, Option<String>)>,
    /// those of them that hold what stripes lack
    pub needed: Vec<u16>,
    /// how many of these at least
    pub at_least: usize,
    /// the shipment has further sets, says its set.txt
    pub further: bool,
    /// the last run on it has come to its end; else it was stopped, or goes on
    pub ended: bool,
    /// files that waited then
    pub waiting: u64,
    /// files that could not be had then
    pub lost: u64,
}

impl Seen {
    /// Of a set whose restore begins; without a book nothing is said of what is needed.
    pub fn begin(set: &FoundSet, book: Option<&Book>) -> Self {
        let text = set.set_text(&Recording::default());
        let further = text.as_ref().and_then(SetText::further_sets) == Some(true);
        let lines = text.map(|text| text.slots).unwrap_or_default();
        let case = |slot: Slot| lines.iter().find(|s| s.slot == slot)?.known_case();
        let judge = |book| damage::absent(set).judge(book, &Recording::default());
        let verdict = book.map(judge).unwrap_or_default();
        Self {
            absent: set.missing_slots().iter().map(|slot| (slot.0, case(*slot))).collect(),
            needed: verdict.would_help.iter().map(|slot| slot.0).collect(),
            at_least: verdict.lacking,
            further,
            ..Self::default()
        }
    }

    /// Keeps it in DIR, unless another process has completed the restore there.
    pub fn save(&self, to: &Destination, set: SetNumber) -> Result<(), DestinationError> {
        let bytes = serde_json::to_vec(self).unwrap_or_default();
        match to.save_state(&format!("{SEEN}{set}"), &bytes) {
            Err(_) if to.was_completed() => Ok(()),
            result => result,
        }
    }
}

/// What is known of a set.
pub enum SetState {
    /// all of it is in place
    Complete {
        /// its entries
        entries: u64,
    },
    /// it was begun
    Begun(Seen),
    /// none of its drives has been here
    Unseen,
}

/// One set of the shipment.
pub struct SetProgress {
    /// its name
    pub name: String,
    /// what is known of it
    pub state: SetState,
    /// slot, case and path of its drives that are here
    pub here: Vec<(Slot, String, String)>,
}

/// A restore in progress.
pub struct Restoring {
    /// the shipment
    pub shipment: String,
    /// the options that say what of it; none: everything
    pub selection: Option<String>,
    /// its sets, as far as they are known
    pub sets: Vec<SetProgress>,
    /// the shipment has sets beyond these
    pub more_sets: bool,
}

/// Why there is no saying how far a restore is.
#[derive(Debug, thiserror::Error)]
pub enum RestoringError {
    /// The drives cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// DIR cannot be looked at.
    #[error("look at the restore in {}", path.display())]
    Destination {
        /// DIR
        path: PathBuf,
        /// why
        #[source]
        source: DestinationError,
    },
}

/// How far the restore in DIR is; none if none is in progress there.
pub fn restoring(
    to: &Path,
    paths: &[PathBuf],
    monitor: &dyn Monitor,
) -> Result<Option<Restoring>, RestoringError> {
    let failed = |source| RestoringError::Destination { path: to.into(), source };
    let Some(peek) = Peek::open(to).map_err(failed)? else { return Ok(None) };
    let mut found = open::found(paths, monitor)?;
    found.retain(|set| set.shipment.to_string() == peek.shipment());
    let mut seen: BTreeMap<u32, Seen> = BTreeMap::new();
    for (name, bytes) in peek.states(SEEN).map_err(failed)? {
        let number = name.strip_prefix(SEEN).and_then(|n| n.parse().ok());
        seen.extend(number.zip(serde_json::from_slice(&bytes).ok()));
    }
    let done = decode_done(peek.states("done-").map_err(failed)?);
    let here = found.iter().map(|set| set.set.0);
    let known = done.keys().copied().chain(seen.keys().copied()).chain(here).max().unwrap_or(0);
    let more_sets = done
        .get(&known)
        .map(|done| !done.last)
        .or_else(|| seen.get(&known).map(|seen| seen.further))
        .unwrap_or(false);
    let name = |number: u32| match peek.shipment().parse::<ShipmentId>() {
        Ok(id) => set_folder(id, SetNumber(number)),
        Err(_) => number.to_string(),
    };
    let one = |number: u32| SetProgress {
        name: name(number),
        state: match (done.get(&number), seen.remove(&number)) {
            (Some(done), _) => SetState::Complete { entries: done.entries },
            (None, Some(seen)) => SetState::Begun(seen),
            (None, None) => SetState::Unseen,
        },
        here: found
            .iter()
            .filter(|set| set.set.0 == number)
            .flat_map(FoundSet::all_drives)
            .map(|d| (d.label.slot, d.label.case.clone(), d.drive.name().to_owned()))
            .collect(),
    };
    let sets = (1..=known).map(one).collect();
    let (shipment, selection) = (peek.shipment().into(), peek.selection().map(Into::into));
    Ok(Some(Restoring { shipment, selection, sets, more_sets }))
}
