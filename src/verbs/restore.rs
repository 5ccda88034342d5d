//! `restore`: from whatever drives are here to a folder.

use super::open::{self, OpenError};
use crate::destination::{Destination, DestinationError, Opened};
use crate::keys::recipients::Identities;
use crate::monitor::{Monitor, Phase};
use crate::restorer::{self, OpenSet, RestoreError, RestoreOptions, Restored};
use std::path::PathBuf;

/// What to restore, from where and how.
pub struct RestoreJob {
    /// the drives
    pub paths: Vec<PathBuf>,
    /// secret keys
    pub identities: Identities,
    /// the folder
    pub to: PathBuf,
    /// what is not here never comes
    pub give_up: bool,
    /// leave incomplete files as NAME.incomplete
    pub salvage: bool,
}

/// Why a restore could not be begun, or stopped.
#[derive(Debug, thiserror::Error)]
pub enum RestoreJobError {
    /// No set, or no key.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The destination cannot be used.
    #[error("restore to {}", path.display())]
    Destination {
        /// the folder
        path: PathBuf,
        /// why
        #[source]
        source: DestinationError,
    },
    /// It stopped on the way.
    #[error("restoring to {} stopped", path.display())]
    Restore {
        /// the folder
        path: PathBuf,
        /// why
        #[source]
        source: RestoreError,
    },
}

/// What was restored.
#[derive(Default)]
pub struct RestoreOutcome {
    /// all sets together
    pub restored: Restored,
    /// drives that are not here: set, slot and case, if known
    pub missing: Vec<(String, u16, Option<String>)>,
    /// records of some set are missing or contradict each other
    pub gaps: bool,
    /// owners were not set, since we are not root
    pub owners_left: bool,
    /// extended attributes that were not set, since we are not root
    pub attributes_left: u64,
    /// it went on with an earlier restore
    pub resumed: bool,
}

/// Restores all sets on the drives, one after the other.
pub fn restore(job: &RestoreJob, monitor: &dyn Monitor) -> Result<RestoreOutcome, RestoreJobError> {
    let sets = open::one_shipment(&job.paths, monitor)?;
    let opened: Vec<_> = sets
        .iter()
        .map(|set| {
            let keys = open::keys(set, &job.identities, monitor)?;
            let book = open::book(set, &keys, monitor);
            Ok((set, keys, book))
        })
        .collect::<Result<_, OpenError>>()?;
    let destination_error = |source| RestoreJobError::Destination { path: job.to.clone(), source };
    let shipment = sets[0].shipment.to_string();
    let (destination, how) = Destination::open(&job.to, &shipment).map_err(destination_error)?;
    let resumed = how == Opened::Resumed;
    let mut outcome =
        RestoreOutcome { owners_left: !destination.sets_owners(), resumed, ..Default::default() };
    let options = RestoreOptions { give_up: job.give_up, salvage: job.salvage, resumed };
    for (set, keys, book) in &opened {
        let cases = set.set_text(monitor).map(|t| t.slots).unwrap_or_default();
        for slot in set.missing_slots() {
            let case = cases.iter().find(|s| s.slot == slot).map(|s| s.case.clone());
            outcome.missing.push((set.name(), slot.0, case));
        }
        outcome.gaps |= book.gaps;
        monitor.phase(Phase::Restore, 0);
        for d in &set.drives {
            let name = format!("{} {}", d.label.case, d.drive.name());
            monitor.drive(d.label.slot.0 as usize, &name, 0);
        }
        let opened = OpenSet { set, book, keys };
        let restored = restorer::restore(&opened, &destination, options, monitor)
            .map_err(|source| RestoreJobError::Restore { path: job.to.clone(), source })?;
        outcome.restored.add(&restored);
    }
    outcome.attributes_left = destination.attributes_left_out();
    let r = &outcome.restored;
    if !r.stopped && r.waiting == 0 && (r.lost == 0 || job.give_up) {
        destination.complete().map_err(destination_error)?;
    }
    Ok(outcome)
}
