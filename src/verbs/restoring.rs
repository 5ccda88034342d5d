//! `status --to`: how far a restore is, from what it keeps in its destination, and which of its
//! drives are here.
//!
//! - Enters: DIR, and drives, perhaps none.
//! - Leaves: of each set of the shipment what is known: complete, or which drives it waits for.
//! - Always holds: nothing is written, neither to DIR nor to a drive.

use super::open::{self, OpenError};
use super::progress::{self, Seen};
use crate::destination::{DestinationError, Peek};
use crate::format::ids::{SetNumber, ShipmentId, Slot, set_folder};
use crate::monitor::Monitor;
use crate::sets::FoundSet;
use std::path::{Path, PathBuf};

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
    let mut seen = progress::decode(peek.states(progress::SEEN).map_err(failed)?);
    let here = found.iter().map(|set| set.set.0);
    let known = seen.keys().copied().chain(here).max().unwrap_or(0);
    let more_sets = seen.get(&known).is_some_and(|seen| seen.further);
    let name = |number: u32| match peek.shipment().parse::<ShipmentId>() {
        Ok(id) => set_folder(id, SetNumber(number)),
        Err(_) => number.to_string(),
    };
    let one = |number: u32| SetProgress {
        name: name(number),
        state: match seen.remove(&number) {
            Some(seen) if seen.complete => SetState::Complete { entries: seen.entries },
            Some(seen) => SetState::Begun(seen),
            None => SetState::Unseen,
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
