//! `restore`: from whatever drives are here to a folder.

use super::open::{self, OpenError};
use super::restoring::Seen;
use crate::destination::{Destination, DestinationError, Opened};
use crate::drives::{Drive, DriveError, LocalDrive};
use crate::format::ids::SetNumber;
use crate::format::list::shown_path;
use crate::format::set::SlotLine;
use crate::keys::recipients::Identities;
use crate::memory::Memory;
use crate::monitor::{Monitor, Phase, Problem, ProblemKind, Recording};
use crate::restorer::stage;
use crate::restorer::{self, OpenSet, RestoreError, RestoreOptions, Restored};
use crate::sets::{Book, FoundSet};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

/// How to restore, and where to.
pub struct RestoreJob {
    /// secret keys
    pub identities: Identities,
    /// the folder
    pub to: PathBuf,
    /// what is not here never comes
    pub give_up: bool,
    /// leave incomplete files as NAME.incomplete
    pub salvage: bool,
    /// where shards are kept for rebuilding with few ports
    pub stage: Option<PathBuf>,
    /// what it may take
    pub memory: Memory,
}

/// Why a restore could not be begun, or stopped.
#[derive(Debug, thiserror::Error)]
pub enum RestoreJobError {
    /// No set, or no key.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The folder for shards cannot be used.
    #[error("keep shards in {}", path.display())]
    Stage {
        /// the folder
        path: PathBuf,
        /// why
        #[source]
        source: DriveError,
    },
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
#[allow(clippy::struct_excessive_bools, reason = "each is a matter of its own")]
#[derive(Default)]
pub struct RestoreOutcome {
    /// all sets together
    pub restored: Restored,
    /// drives that are not here: set, slot and case, if known
    pub missing: Vec<(String, u16, Option<String>)>,
    /// records of some set are missing or contradict each other
    pub gaps: bool,
    /// sets that are not restored yet, by number
    pub awaited: Vec<String>,
    /// they were given up
    pub given_up: bool,
    /// owners were not set, since we are not root
    pub owners_left: bool,
    /// extended attributes that were not set, since we are not root
    pub attributes_left: u64,
    /// it went on with an earlier restore
    pub resumed: bool,
}

/// What is kept of a set that is restored.
#[derive(Serialize, Deserialize)]
pub(super) struct Done {
    /// it is the shipment's last
    pub last: bool,
    pub entries: u64,
}

fn done_name(set: SetNumber) -> String {
    format!("done-{set}")
}

/// The sets that are restored, by number.
fn done(destination: &Destination) -> Result<BTreeMap<u32, Done>, DestinationError> {
    let mut states = Vec::new();
    for name in destination.state_names("done-")? {
        let bytes = destination.load_state(&name)?;
        states.extend(bytes.map(|bytes| (name, bytes)));
    }
    Ok(decode_done(states))
}

/// The same from names and bytes of the states.
pub(super) fn decode_done(states: Vec<(String, Vec<u8>)>) -> BTreeMap<u32, Done> {
    let one = |(name, bytes): (String, Vec<u8>)| {
        let number = name.strip_prefix("done-")?.parse().ok()?;
        Some((number, serde_json::from_slice(&bytes).ok()?))
    };
    states.into_iter().filter_map(one).collect()
}

/// The sets that are not restored yet. None after the last that is known, if that is not the
/// shipment's last: then there are more.
fn awaited(done: &BTreeMap<u32, Done>, here: &[SetNumber]) -> Vec<String> {
    let known = done.keys().copied().chain(here.iter().map(|set| set.0)).max().unwrap_or(0);
    let mut awaited: Vec<String> =
        (1..=known).filter(|set| !done.contains_key(set)).map(|set| set.to_string()).collect();
    if done.get(&known).is_some_and(|set| !set.last) {
        awaited.push(format!("{} and perhaps more", known + 1));
    }
    awaited
}

/// Restores all sets on these drives, one after the other.
pub fn restore(
    paths: &[PathBuf],
    job: &RestoreJob,
    monitor: &dyn Monitor,
) -> Result<RestoreOutcome, RestoreJobError> {
    restore_sets(&open::one_shipment(paths, monitor)?, job, monitor)
}

/// Restores sets that were found, at least one, all of one shipment.
pub fn restore_sets(
    sets: &[FoundSet],
    job: &RestoreJob,
    monitor: &dyn Monitor,
) -> Result<RestoreOutcome, RestoreJobError> {
    let mut sets = sets.to_vec();
    if let Some(path) = &job.stage {
        let failed = |source| RestoreJobError::Stage { path: path.clone(), source };
        let stage: Arc<dyn Drive> = Arc::new(LocalDrive::make(path).map_err(failed)?);
        sets.iter_mut().for_each(|set| set.stage = Some(stage.clone()));
    }
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
    let mut outcome = RestoreOutcome {
        owners_left: !destination.sets_owners(),
        resumed,
        given_up: job.give_up,
        ..Default::default()
    };
    let here: Vec<SetNumber> = sets.iter().map(|set| set.set).collect();
    for (set, keys, book) in &opened {
        let before = done(&destination).map_err(destination_error)?;
        if let Some(before) = before.get(&set.set.0) {
            outcome.restored.already += before.entries;
            continue;
        }
        note_missing(set, book, &mut outcome, monitor);
        let open_set = OpenSet { set, book, keys };
        let text = set.set_text(&Recording::default());
        let last = text.and_then(|text| text.further_sets()) != Some(true);
        let others: Vec<_> = awaited(&before, &here)
            .into_iter()
            .filter(|awaited| *awaited != set.set.to_string())
            .collect();
        let options = RestoreOptions {
            give_up: job.give_up,
            salvage: job.salvage,
            resumed,
            more_sets: !others.is_empty() || !last,
            later_sets: before.keys().chain(here.iter().map(|s| &s.0)).any(|s| *s > set.set.0),
            memory: job.memory,
        };
        let mut seen = Seen::begin(set, book);
        seen.save(&destination, set.set).map_err(destination_error)?;
        let restored = restorer::restore(&open_set, &destination, options, monitor)
            .map_err(|source| RestoreJobError::Restore { path: job.to.clone(), source })?;
        seen = Seen {
            ended: !restored.stopped,
            waiting: restored.waiting,
            lost: restored.lost,
            ..seen
        };
        seen.save(&destination, set.set).map_err(destination_error)?;
        if restored.is_complete() {
            let entries = restored.entries + restored.already;
            let bytes = serde_json::to_vec(&Done { last, entries }).unwrap_or_default();
            destination.save_state(&done_name(set.set), &bytes).map_err(destination_error)?;
            stage::clear(set, monitor);
        }
        outcome.restored.add(&restored);
        if restored.stopped {
            break;
        }
    }
    match complete(job, &destination, &here, &mut outcome, monitor) {
        Err(_) if destination.was_completed() => outcome.awaited.clear(),
        result => result?,
    }
    Ok(outcome)
}

/// Notes what of a set is not here.
fn note_missing(set: &FoundSet, book: &Book, outcome: &mut RestoreOutcome, monitor: &dyn Monitor) {
    let cases = set.set_text(monitor).map(|t| t.slots).unwrap_or_default();
    for slot in set.missing_slots() {
        let case = cases.iter().find(|s| s.slot == slot).and_then(SlotLine::known_case);
        outcome.missing.push((set.name(), slot.0, case));
    }
    outcome.gaps |= book.gaps;
    monitor.phase(Phase::Restore, 0);
    for d in &set.drives {
        let name = format!("{} {}", d.label.case, d.drive.name());
        monitor.drive(d.label.slot.0 as usize, &name, 0);
    }
}

/// What can only be done when all sets are there: links across them, and the end.
fn complete(
    job: &RestoreJob,
    destination: &Destination,
    here: &[SetNumber],
    outcome: &mut RestoreOutcome,
    monitor: &dyn Monitor,
) -> Result<(), RestoreJobError> {
    let destination_error = |source| RestoreJobError::Destination { path: job.to.clone(), source };
    outcome.attributes_left = destination.attributes_left_out();
    let done = done(destination).map_err(destination_error)?;
    outcome.awaited = awaited(&done, here);
    for set in done.keys() {
        for link in restorer::finish::waiting_links(destination, SetNumber(*set))
            .map_err(|source| RestoreJobError::Restore { path: job.to.clone(), source })?
        {
            // While sets are awaited, the file may lie in one of them.
            let kind = if outcome.awaited.is_empty() {
                outcome.restored.lost += 1;
                ProblemKind::Lost
            } else {
                ProblemKind::Waiting
            };
            let detail = format!("it is a hard link to {}", shown_path(&link.target));
            monitor.problem(Problem::new(kind, link.shown(), detail));
        }
    }
    let r = &outcome.restored;
    let all = r.waiting == 0 && r.lost == 0 && outcome.awaited.is_empty();
    if !r.stopped && (all || job.give_up) {
        destination.complete().map_err(destination_error)?;
    }
    Ok(())
}
