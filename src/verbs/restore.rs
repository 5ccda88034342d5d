//! `restore`: from whatever drives are here to a folder, all of it or what was selected.

use super::open::{self, OpenError};
use super::own_disks::is_unmounted;
use super::restoring::Seen;
use crate::destination::{self, Destination, DestinationError, Opened};
use crate::drives::{Drive, DriveError, LocalDrive};
use crate::format::catalog::KeySpan;
use crate::format::ids::{RunId, SetNumber};
use crate::format::list::shown_path;
use crate::format::set::SlotLine;
use crate::keys::RunKey;
use crate::keys::recipients::Identities;
use crate::memory::Memory;
use crate::monitor::{Monitor, Phase, Problem, ProblemKind, Recording};
use crate::patterns::Selection;
use crate::restorer::selected::{self, Survey};
use crate::restorer::{self, OpenSet, RestoreError, RestoreOptions, Restored};
use crate::restorer::{room, stage};
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
    /// what to restore; none: everything
    pub selection: Option<Selection>,
}

/// Why a restore could not be begun, or stopped.
#[derive(Debug, thiserror::Error)]
pub enum RestoreJobError {
    /// No set, or no key.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// No set has anything that was selected.
    #[error("nothing in this dataset is selected by {selection}")]
    NothingSelected {
        /// the options
        selection: String,
    },
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
    /// the options that said what to restore; none: everything
    pub selection: Option<String>,
    /// with them: the entries of the sets that are here, if their catalogs say how many
    pub of_entries: Option<u64>,
}

/// What is kept of a set that is restored.
#[derive(Serialize, Deserialize)]
pub(super) struct Done {
    /// it is the shipment's last
    pub last: bool,
    pub entries: u64,
    /// sets before it, and after it, can hold what was selected
    #[serde(default = "both")]
    pub others: (bool, bool),
}

fn both() -> (bool, bool) {
    (true, true)
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

/// The sets that are not restored yet and may hold what is asked for. None after the last that is
/// known, if that is not the shipment's last: then there are more.
fn awaited(done: &BTreeMap<u32, Done>, here: &[Chosen]) -> Vec<String> {
    let here = || here.iter().map(|chosen| (chosen.set.set.0, chosen.others));
    let others: Vec<_> = done.iter().map(|(set, done)| (*set, done.others)).chain(here()).collect();
    let matters = |number: u32| {
        let ruled_out = |(set, (before, after)): &(u32, (bool, bool))| {
            number < *set && !before || number > *set && !after
        };
        !others.iter().any(ruled_out)
    };
    let known = others.iter().map(|(set, _)| *set).max().unwrap_or(0);
    let mut awaited: Vec<String> = (1..=known)
        .filter(|set| !done.contains_key(set) && matters(*set))
        .map(|set| set.to_string())
        .collect();
    if done.get(&known).is_some_and(|set| !set.last) && matters(known + 1) {
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
            let named = job.selection.as_ref().is_some_and(Selection::is_named);
            let book =
                if named { open::glance(set, &keys) } else { open::book(set, &keys, monitor) };
            Ok((set, keys, book))
        })
        .collect::<Result<_, OpenError>>()?;
    let chosen: Vec<Chosen> =
        opened.iter().map(|(set, keys, book)| Chosen::new(set, keys, book, job, monitor)).collect();
    refuse_nothing(job, &chosen)?;
    note_idle_patterns(job, &chosen, monitor);
    let destination_error = |source| RestoreJobError::Destination { path: job.to.clone(), source };
    let shipment = sets[0].shipment.to_string();
    let selection = job.selection.as_ref().map(Selection::text);
    let is_taken = has_work_name(job, &chosen);
    let (destination, how) = Destination::open_for(&job.to, &shipment, selection, is_taken)
        .map_err(destination_error)?;
    if how != Opened::Resumed && is_unmounted(&job.to) {
        monitor.note(&format!(
            "{} is on the system's disk (/): no drive is mounted there",
            job.to.display()
        ));
    }
    note_room(job, &destination, &chosen, monitor);
    let mut outcome = RestoreOutcome {
        owners_left: !destination.sets_owners(),
        resumed: how == Opened::Resumed,
        given_up: job.give_up,
        selection: selection.map(Into::into),
        of_entries: chosen.iter().map(|chosen| chosen.survey.as_ref()?.of_entries).sum(),
        ..Default::default()
    };
    let restored = restore_chosen(job, &destination, &chosen, &mut outcome, monitor);
    let completed =
        restored.and_then(|()| complete(job, &destination, &chosen, &mut outcome, monitor));
    for unkept in destination.unkept() {
        let subject = match unkept.count {
            1 => unkept.first.clone(),
            count => format!("{count} entries"),
        };
        monitor.problem(Problem::new(ProblemKind::Metadata, subject, unkept));
    }
    match completed {
        Err(RestoreJobError::NothingSelected { selection }) => {
            return Err(RestoreJobError::NothingSelected { selection });
        }
        Err(_) if destination.was_completed() => outcome.awaited.clear(),
        result => result?,
    }
    Ok(outcome)
}

/// Does what is restored have the working folder's name at its top?
fn has_work_name(job: &RestoreJob, chosen: &[Chosen]) -> bool {
    let name = destination::WORK.as_bytes();
    let (file, folder) = (name, [name, b"/"].concat());
    let can_hold = |span: &KeySpan| span.holds(file) || span.holds(&folder);
    let looked_for = job.selection.as_ref().is_none_or(|s| s.spans().iter().any(can_hold));
    looked_for && chosen.iter().any(|chosen| room::has_entry(&chosen.open(), name))
}

/// Restores the sets that are not restored yet.
fn restore_chosen(
    job: &RestoreJob,
    destination: &Destination,
    chosen: &[Chosen],
    outcome: &mut RestoreOutcome,
    monitor: &dyn Monitor,
) -> Result<(), RestoreJobError> {
    let destination_error = |source| RestoreJobError::Destination { path: job.to.clone(), source };
    for one in chosen {
        let before = done(destination).map_err(destination_error)?;
        if let Some(before) = before.get(&one.set.set.0) {
            outcome.restored.already += before.entries;
            continue;
        }
        let restored = restore_one(one, (job, destination), &before, chosen, outcome, monitor)?;
        outcome.restored.add(&restored);
        if restored.stopped {
            break;
        }
    }
    Ok(())
}

/// Says so if what is to be written is more than the destination has room for. What fits is restored
/// all the same.
fn note_room(
    job: &RestoreJob,
    destination: &Destination,
    chosen: &[Chosen],
    monitor: &dyn Monitor,
) {
    let (Ok(free), Ok(done)) = (destination.free_bytes(), done(destination)) else { return };
    let left = || chosen.iter().filter(|one| !done.contains_key(&one.set.set.0));
    let unit = destination.unit_bytes();
    let most_of = |one: &Chosen| match &one.survey {
        Some(survey) => {
            let units = survey.counts.entries.saturating_mul(unit);
            Some(survey.counts.data_bytes.saturating_add(units))
        }
        None => room::most_bytes(&one.open(), unit),
    };
    let most: Option<u64> = left().map(most_of).sum();
    if most.is_some_and(|most| most <= free) {
        return;
    }
    let selection = job.selection.as_ref();
    let exact = |one| room::bytes_to_write(&Chosen::open(one), destination, selection, monitor);
    let Some(all) = left().map(exact).sum::<Option<u64>>() else { return };
    let bytes = all.saturating_sub(destination.begun_bytes());
    if bytes <= free {
        return;
    }
    let size = |bytes| bytesize::ByteSize(bytes).display().si();
    monitor.note(&format!(
        "{} are to be written to {}, which has room for {}: what fits is restored, and the same \
         command goes on once there is more room",
        size(bytes),
        job.to.display(),
        size(free),
    ));
}

/// A set that is here, and what of it is asked for.
struct Chosen<'a> {
    set: &'a FoundSet,
    keys: &'a BTreeMap<RunId, RunKey>,
    book: &'a Book,
    /// the shipment's last set
    last: bool,
    /// with a selection: what it has of it, unless it was stopped
    survey: Option<Survey>,
    /// sets before it, and after it, can hold what is asked for
    others: (bool, bool),
}

impl<'a> Chosen<'a> {
    /// Looks the selection up.
    fn new(
        set: &'a FoundSet,
        keys: &'a BTreeMap<RunId, RunKey>,
        book: &'a Book,
        job: &RestoreJob,
        monitor: &dyn Monitor,
    ) -> Self {
        let text = set.set_text(&Recording::default());
        let last = text.and_then(|text| text.further_sets()) != Some(true);
        let mut chosen = Self { set, keys, book, last, survey: None, others: both() };
        if let Some(selection) = &job.selection {
            let open = chosen.open();
            let survey = selected::survey(&open, selection, monitor);
            let alone = last && set.set.0 == 1;
            if !alone && selection.spans() != [KeySpan::all()] {
                chosen.others = selected::others_matter(&open, selection);
            }
            chosen.survey = survey;
        }
        chosen
    }

    fn open(&self) -> OpenSet<'a> {
        OpenSet { set: self.set, book: self.book, keys: self.keys }
    }

    fn has_any(&self) -> bool {
        self.survey.as_ref().is_none_or(|survey| survey.counts.entries > 0)
    }
}

/// Nothing is begun for a selection of nothing. While other sets may hold some of it, it can be.
fn refuse_nothing(job: &RestoreJob, chosen: &[Chosen]) -> Result<(), RestoreJobError> {
    let Some(selection) = &job.selection else { return Ok(()) };
    let restored = |chosen: &Chosen| {
        (chosen.set.set.0, Done { last: chosen.last, entries: 0, others: chosen.others })
    };
    let done = chosen.iter().map(restored).collect();
    if chosen.iter().any(Chosen::has_any) || !awaited(&done, chosen).is_empty() {
        return Ok(());
    }
    Err(RestoreJobError::NothingSelected { selection: selection.text().into() })
}

/// Says which patterns have no effect on the sets that are here.
fn note_idle_patterns(job: &RestoreJob, chosen: &[Chosen], monitor: &dyn Monitor) {
    let Some(selection) = &job.selection else { return };
    // One that was not looked at to its end may have them yet.
    if chosen.iter().all(|chosen| chosen.survey.is_some()) {
        for option in selection.without_effect() {
            monitor.note(&format!("{option} matches nothing in the sets that are here"));
        }
    }
}

/// Restores one set, and notes how far that went.
fn restore_one(
    one: &Chosen,
    (job, destination): (&RestoreJob, &Destination),
    before: &BTreeMap<u32, Done>,
    chosen: &[Chosen],
    outcome: &mut RestoreOutcome,
    monitor: &dyn Monitor,
) -> Result<Restored, RestoreJobError> {
    let destination_error = |source| RestoreJobError::Destination { path: job.to.clone(), source };
    let (set, last) = (one.set, one.last);
    note_missing(one, outcome, monitor);
    let own = set.set.to_string();
    let here = chosen.iter().map(|chosen| chosen.set.set.0);
    let options = RestoreOptions {
        selection: job.selection.as_ref(),
        selected_bytes: one.survey.as_ref().map_or(0, |survey| survey.counts.data_bytes),
        give_up: job.give_up,
        salvage: job.salvage,
        resumed: outcome.resumed,
        more_sets: !last || awaited(before, chosen).iter().any(|awaited| *awaited != own),
        later_sets: before.keys().copied().chain(here).any(|number| number > set.set.0),
        memory: job.memory,
    };
    // What all of the set needs says little of what was selected, and costs reading all records.
    let mut seen = Seen::begin(set, job.selection.is_none().then_some(one.book));
    seen.save(destination, set.set).map_err(destination_error)?;
    let restored = restorer::restore(&one.open(), destination, options, monitor)
        .map_err(|source| RestoreJobError::Restore { path: job.to.clone(), source })?;
    seen =
        Seen { ended: !restored.stopped, waiting: restored.waiting, lost: restored.lost, ..seen };
    seen.save(destination, set.set).map_err(destination_error)?;
    if restored.is_complete() {
        let entries = restored.entries + restored.already;
        let done = Done { last, entries, others: one.others };
        let bytes = serde_json::to_vec(&done).unwrap_or_default();
        destination.save_state(&done_name(set.set), &bytes).map_err(destination_error)?;
        stage::clear(set, monitor);
    }
    Ok(restored)
}

/// Notes what of a set is not here.
fn note_missing(one: &Chosen, outcome: &mut RestoreOutcome, monitor: &dyn Monitor) {
    let set = one.set;
    let cases = set.set_text(monitor).map(|t| t.slots).unwrap_or_default();
    let missing = if one.has_any() { set.missing_slots() } else { Vec::new() };
    for slot in missing {
        let case = cases.iter().find(|s| s.slot == slot).and_then(SlotLine::known_case);
        outcome.missing.push((set.name(), slot.0, case));
    }
    outcome.gaps |= one.book.gaps;
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
    chosen: &[Chosen],
    outcome: &mut RestoreOutcome,
    monitor: &dyn Monitor,
) -> Result<(), RestoreJobError> {
    let destination_error = |source| RestoreJobError::Destination { path: job.to.clone(), source };
    outcome.attributes_left = destination.attributes_left_out();
    let done = done(destination).map_err(destination_error)?;
    outcome.awaited = awaited(&done, chosen);
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
        if all
            && let Some(selection) = &job.selection
            && done.values().all(|set| set.entries == 0)
        {
            return Err(RestoreJobError::NothingSelected { selection: selection.text().into() });
        }
    }
    Ok(())
}
