//! `status --to`: how far a restore is, from what it keeps in its destination, and which of its
//! drives are here.
//!
//! - Enters: DIR, and drives, perhaps none.
//! - Leaves: of each set of the shipment what is known: complete, or which drives it waits for.
//! - Always holds: nothing is written, neither to DIR nor to a drive.

use crate::destination::{DestinationError, Peek};
use crate::format::ids::{SetNumber, ShipmentId, set_folder};
use crate::monitor::Monitor;
use crate::opening::open::{self, OpenError};
use crate::restore_journal::last_run::{ENDED, FULL, LastRun};
use crate::restore_journal::set_journal::{self, SetJournal};
use crate::shipment::FoundSet;
use crate::shipment::slots::AttachedDrive;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// What is known of a set.
pub enum SetState {
    /// all of it is in place
    Complete {
        entries: u64,
    },
    Begun(Box<SetJournal>),
    /// nothing of it was begun
    Unseen,
}

impl SetState {
    /// For programs.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Complete { .. } => "complete",
            Self::Begun(_) => "begun",
            Self::Unseen => "unseen",
        }
    }
}

/// One set of the shipment.
#[derive(Serialize)]
pub struct SetProgress {
    #[serde(skip)]
    pub number: u32,
    #[serde(rename = "set")]
    pub name: String,
    /// what is known of it
    #[serde(skip)]
    pub state: SetState,
    /// its drives that are here
    pub here: Vec<AttachedDrive>,
}

/// A restore in progress.
#[derive(Serialize)]
pub struct RestoreStatus {
    pub shipment: String,
    /// the options that say what of it; none: everything
    pub selection: Option<String>,
    /// its sets, as far as they are known
    #[serde(skip)]
    pub sets: Vec<SetProgress>,
    /// the shipment has sets beyond these
    pub more_sets: bool,
    /// the last run ended since the destination was full
    pub full: bool,
    /// files that waited when the last run ended, of all sets, each counted once; none if that is
    /// not known
    #[serde(rename = "waiting_in_all")]
    pub waiting: Option<u64>,
}

/// Why there is no saying how far a restore is.
#[derive(Debug, thiserror::Error)]
pub enum RestoreStatusError {
    /// The drives cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// DIR cannot be looked at.
    #[error("look at the restore in {}", path.display())]
    Destination {
        /// DIR
        path: PathBuf,
        #[source]
        source: DestinationError,
    },
}

/// How far the restore in DIR is; none if none is in progress there.
pub fn restore_status(
    to: &Path,
    paths: &[PathBuf],
    monitor: &dyn Monitor,
) -> Result<Option<RestoreStatus>, RestoreStatusError> {
    let failed = |source| RestoreStatusError::Destination { path: to.into(), source };
    let Some(peek) = Peek::open(to).map_err(failed)? else { return Ok(None) };
    let mut found = open::found(paths, monitor)?;
    found.retain(|set| set.shipment.to_string() == peek.shipment());
    let mut seen = set_journal::decode(peek.states(set_journal::SEEN).map_err(failed)?);
    let here = found.iter().map(|set| set.set.0);
    // A run that was cut short at its very beginning knows of no set; there is at least one.
    let known = seen.keys().copied().chain(here).max().unwrap_or(1);
    let more_sets = seen.get(&known).is_some_and(|seen| seen.further);
    let full = !peek.states(FULL).map_err(failed)?.is_empty();
    let ended = peek.states(ENDED).map_err(failed)?.pop();
    let ended = ended.and_then(|(_, bytes)| serde_json::from_slice::<LastRun>(&bytes).ok());
    let waiting = ended.map(|ended| ended.waiting);
    let name = |number: u32| match peek.shipment().parse::<ShipmentId>() {
        Ok(id) => set_folder(id, SetNumber(number)),
        Err(_) => number.to_string(),
    };
    let one = |number: u32| SetProgress {
        number,
        name: name(number),
        state: match seen.remove(&number) {
            Some(seen) if seen.complete => SetState::Complete { entries: seen.entries },
            Some(seen) => SetState::Begun(Box::new(seen)),
            None => SetState::Unseen,
        },
        here: found
            .iter()
            .filter(|set| set.set.0 == number)
            .flat_map(FoundSet::all_drives)
            .map(AttachedDrive::from)
            .collect(),
    };
    let sets = (1..=known).map(one).collect();
    let (shipment, selection) = (peek.shipment().into(), peek.selection().map(Into::into));
    Ok(Some(RestoreStatus { shipment, selection, sets, more_sets, full, waiting }))
}
