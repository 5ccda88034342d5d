//! `restore`: from whatever drives are here to a folder, all of it or what was selected.

use super::next::Next;
use super::open::{self, OpenError};
use super::own_disks::is_unmounted;
use super::progress::{self, Seen};
use crate::destination::{self, Destination, DestinationError, Opened, Tree};
use crate::drives::{Drive, DriveError, LocalDrive};
use crate::format::catalog::KeySpan;
use crate::format::ids::RunId;
use crate::format::set::SlotLine;
use crate::keys::RunKey;
use crate::keys::recipients::Identities;
use crate::memory::Memory;
use crate::monitor::{Monitor, Phase, Problem, ProblemKind, Recording};
use crate::patterns::Selection;
use crate::restorer::end::{self, End};
use crate::restorer::finished;
use crate::restorer::output::{METADATA, Output};
use crate::restorer::selected::{self, Survey};
use crate::restorer::{self, OpenSet, RestoreError, RestoreOptions, Restored};
use crate::restorer::{room, stage};
use crate::sets::{Book, FoundSet};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

impl RestoreOutcome {
    /// Is everything in place?
    pub fn is_complete(&self) -> bool {
        self.restored.is_complete() && !self.gaps && self.awaited.is_empty()
    }
}

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

/// Slots of a set, and their cases if they are known.
pub type Drives = Vec<(u16, Option<String>)>;

/// What was restored.
#[allow(clippy::struct_excessive_bools, reason = "each is a matter of its own")]
#[derive(Default)]
pub struct RestoreOutcome {
    /// all sets together
    pub restored: Restored,
    /// drives that are not here: set, slot and case, if known
    pub missing: Vec<(String, u16, Option<String>)>,
    /// of sets that wait: their number, slots and cases, and the smallest next step
    pub next: Vec<(u32, Drives, Next)>,
    /// records of some set are missing or contradict each other
    pub gaps: bool,
    /// sets that drives which are not here would bring on, by number
    pub awaited: Vec<String>,
    /// of some of these no run has come to its end, so that not every missing file is listed
    pub unseen: bool,
    /// what is not here was given up
    pub given_up: bool,
    /// an earlier run could not set all metadata
    pub metadata_before: bool,
    /// it was finished before: all is there, going by names, sizes and times
    pub in_place: bool,
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
    let (destination, how) = match Destination::open_for(&job.to, &shipment, selection, is_taken) {
        Err(e @ DestinationError::NotEmpty { .. }) => {
            return in_place(job, &chosen).ok_or(destination_error(e));
        }
        opened => opened.map_err(destination_error)?,
    };
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
    // While another process is at work, nothing is ended, and its lists are not whole.
    let is_shared = !outcome.awaited.is_empty();
    let completed = restored.and_then(|()| {
        if is_shared { Ok(()) } else { complete(job, &destination, &chosen, &mut outcome, monitor) }
    });
    match completed {
        Err(RestoreJobError::NothingSelected { selection }) => {
            return Err(RestoreJobError::NothingSelected { selection });
        }
        Err(_) if destination.was_completed() => {
            monitor.note(
                "another holdall has ended this restore meanwhile, and said what is not there",
            );
            outcome.awaited.clear();
        }
        result => result?,
    }
    for unkept in destination.unkept() {
        let subject = match unkept.count {
            1 => unkept.first.clone(),
            count => format!("{count} entries"),
        };
        monitor.problem(Problem::new(ProblemKind::Metadata, subject, unkept));
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
        let Some(_lock) = destination.lock_set(one.set.set.0).map_err(destination_error)? else {
            let detail = "another holdall is restoring it to the same folder: when that has ended, \
                          run this again";
            let subject = format!("set {}", one.set.name());
            monitor.problem(Problem::new(ProblemKind::Waiting, subject, detail));
            outcome.awaited.push(one.set.set.0.to_string());
            continue;
        };
        let before = progress::load(destination).map_err(destination_error)?;
        if let Some(before) = before.get(&one.set.set.0).filter(|seen| seen.complete) {
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
    let (Ok(free), Ok(done)) = (destination.free_bytes(), progress::load(destination)) else {
        return;
    };
    let left =
        || chosen.iter().filter(|one| !done.get(&one.set.set.0).is_some_and(|seen| seen.complete));
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

/// The outcome if all that the sets here hold was restored before.
fn in_place(job: &RestoreJob, chosen: &[Chosen]) -> Option<RestoreOutcome> {
    let tree = Tree::open(&job.to).ok()?;
    let mut outcome = RestoreOutcome { in_place: true, ..Default::default() };
    for one in chosen {
        let selection = job.selection.as_ref();
        outcome.restored.already += finished::in_place(&one.open(), &tree, selection)?;
    }
    outcome.selection = job.selection.as_ref().map(|selection| selection.text().into());
    Some(outcome)
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
        let mut chosen = Self { set, keys, book, last, survey: None, others: (true, true) };
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
        let seen = Seen { further: !chosen.last, others: chosen.others, ..Seen::default() };
        (chosen.set.set.0, Seen { ended: true, complete: true, ..seen })
    };
    let seen = chosen.iter().map(restored).collect();
    if chosen.iter().any(Chosen::has_any) || !progress::awaited(&seen).is_empty() {
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
    before: &BTreeMap<u32, Seen>,
    chosen: &[Chosen],
    outcome: &mut RestoreOutcome,
    monitor: &dyn Monitor,
) -> Result<Restored, RestoreJobError> {
    let destination_error = |source| RestoreJobError::Destination { path: job.to.clone(), source };
    let set = one.set;
    note_missing(one, outcome, monitor);
    let here = chosen.iter().map(|chosen| chosen.set.set.0);
    let options = RestoreOptions {
        selection: job.selection.as_ref(),
        selected_bytes: one.survey.as_ref().map_or(0, |survey| survey.counts.data_bytes),
        give_up: job.give_up,
        salvage: job.salvage,
        resumed: outcome.resumed,
        later_sets: before.keys().copied().chain(here).any(|number| number > set.set.0),
        memory: job.memory,
    };
    let mut seen = Seen::begin(set, before.get(&set.set.0));
    (seen.further, seen.others, seen.ended) = (!one.last, one.others, false);
    seen.save(destination, set.set).map_err(destination_error)?;
    let restored = restorer::restore(&one.open(), destination, options, monitor)
        .map_err(|source| RestoreJobError::Restore { path: job.to.clone(), source })?;
    let is_complete = restored.is_complete() && !one.book.gaps;
    seen.end(&restored, is_complete, one.book.gaps);
    if restored.metadata_problems > 0 {
        Output::Folder(destination).note_metadata(set.set).map_err(destination_error)?;
    }
    seen.save(destination, set.set).map_err(destination_error)?;
    if is_complete {
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

/// Tells what is not there, and ends the restore if nothing more is to come.
fn complete(
    job: &RestoreJob,
    destination: &Destination,
    chosen: &[Chosen],
    outcome: &mut RestoreOutcome,
    monitor: &dyn Monitor,
) -> Result<(), RestoreJobError> {
    let destination_error = |source| RestoreJobError::Destination { path: job.to.clone(), source };
    outcome.attributes_left = destination.attributes_left_out();
    let seen = progress::load(destination).map_err(destination_error)?;
    outcome.awaited = progress::awaited(&seen);
    outcome.unseen = progress::has_unlisted(&seen);
    // What is given up needs no drive more.
    for (number, seen) in seen.iter().filter(|_| !job.give_up) {
        let here = chosen.iter().any(|chosen| chosen.set.set.0 == *number);
        let attached = if here { seen.here.clone() } else { BTreeSet::new() };
        outcome.next.extend(seen.next(&attached).map(|next| (*number, seen.drives.clone(), next)));
    }
    let sets: BTreeSet<u32> = seen.keys().copied().collect();
    let stopped = outcome.restored.stopped;
    let end = End {
        destination,
        sets: &sets,
        is_settled: &|set| progress::is_settled(&seen, set),
        nothing_comes: !stopped && (job.give_up || outcome.awaited.is_empty()),
        salvage: job.salvage,
    };
    end::tell(&end, &mut outcome.restored, monitor)
        .map_err(|source| RestoreJobError::Restore { path: job.to.clone(), source })?;
    let metadata = destination.state_names(METADATA).map_err(destination_error)?;
    let r = &mut outcome.restored;
    r.end_unknown |= seen.values().any(|seen| seen.end_unknown);
    r.unlisted = seen.values().map(|seen| seen.unlisted).sum();
    outcome.gaps |= seen.values().any(|seen| seen.gaps);
    outcome.metadata_before = r.metadata_problems == 0 && !metadata.is_empty();
    let all = outcome.is_complete();
    if !stopped && (all || job.give_up) {
        destination.complete().map_err(destination_error)?;
        chosen.iter().for_each(|one| stage::clear(one.set, monitor));
        if all
            && let Some(selection) = &job.selection
            && seen.values().all(|set| set.entries == 0)
        {
            return Err(RestoreJobError::NothingSelected { selection: selection.text().into() });
        }
    }
    Ok(())
}
