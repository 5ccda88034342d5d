//! `restore`: from whatever drives are here to a folder, all of it or what was selected.
//!
//! Always holds: a set is complete, and the restore ended, only if the key or an expected root
//! vouches for the set's end. Where drives alone tell it, DIR/.holdall stays, and others resume it,
//! until `--give-up`.

mod checks;
mod error;
mod in_place;
mod job;
mod outcome;
mod selected_set;

pub use error::RestoreJobError;
pub use in_place::report_absent;
pub use job::RestoreJob;
pub use outcome::{MissingDrive, RestoreOutcome};

use checks::{
    has_work_name, is_for_windows, note_destination, note_idle_patterns, note_unkept,
    refuse_others, report_unkept, walk_again,
};
use selected_set::{SelectedSet, others_matter};

use crate::destination::{Destination, DestinationError, DirState, Owners, RestoreOf};
use crate::format::set::SlotLine;
use crate::monitor::{Monitor, Phase, Problem, ProblemKind};
use crate::opening::open;
use crate::opening::own_disks::holdall_around;
use crate::opening::unlock::{self, Keys};
use crate::patterns::Selection;
use crate::restore_journal::last_run::LastRun;
use crate::restore_journal::next_step::NextStep;
use crate::restore_journal::set_journal::SetJournal;
use crate::restore_journal::{awaited, set_journal};
use crate::restorer::end::{self, EndOfRun};
use crate::restorer::stage;
use crate::restorer::{self, METADATA, Output, RestoreOptions, Restored};
use crate::shipment::slots::MissingSlot;
use crate::shipment::{FoundSet, RecordIndex};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

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
    if let Some(folder) = holdall_around(&job.to) {
        return Err(RestoreJobError::InDrive { path: job.to.clone(), folder });
    }
    let mut sets = sets.to_vec();
    let keys = unlock::unlock_and_report(&mut sets, &job.identities, &job.expect, monitor)?;
    let roots = unlock::roots(&sets);
    let expected = !job.expect.is_empty();
    Ok(RestoreOutcome { expected, roots, ..restore_unlocked(sets, keys, job, monitor)? })
}

fn restore_unlocked(
    mut sets: Vec<FoundSet>,
    keys: Vec<Keys>,
    job: &RestoreJob,
    monitor: &dyn Monitor,
) -> Result<RestoreOutcome, RestoreJobError> {
    if let Some(path) = &job.stage {
        let failed = |source| RestoreJobError::Stage { path: path.clone(), source };
        let stage = stage::open(path, &job.to).map_err(failed)?;
        sets.iter_mut().for_each(|set| set.stage = Some(stage.clone()));
    }
    sets.iter_mut().for_each(|set| set.bad_blocks = Some(Arc::default()));
    let named = job.selection.as_ref().is_some_and(Selection::is_named);
    let record_index = |(set, keys): (&FoundSet, &Keys)| {
        if named { unlock::lazy(set, keys) } else { unlock::record_index(set, keys, monitor) }
    };
    let record_indexes: Vec<RecordIndex> = sets.iter().zip(&keys).map(record_index).collect();
    let opened: Vec<_> = sets.iter().zip(keys).zip(record_indexes).collect();
    let chosen: Vec<SelectedSet> = opened
        .iter()
        .map(|((set, keys), record_index)| {
            SelectedSet::new((set, &sets), keys, record_index, job, monitor)
        })
        .collect();
    refuse_nothing(job, &chosen)?;
    note_idle_patterns(job, &chosen, monitor);
    let destination_error = |source| job.destination_error(source);
    let shipment = sets[0].shipment.to_string();
    let claim = job.claim();
    let map_names = job.map_names;
    let has_work_name = !map_names && has_work_name(job, &chosen);
    let owners = job.owners.unwrap_or_default();
    let selection = claim.as_deref();
    let is_for_windows = is_for_windows(&job.to);
    let shipment = &*shipment;
    let of = RestoreOf { shipment, selection, has_work_name, owners, map_names, is_for_windows };
    let opened = Destination::open_for(&job.to, of);
    let (destination, how) = match opened {
        Err(e @ DestinationError::NotEmpty { .. }) => {
            return in_place::again(job, &chosen, monitor).ok_or(destination_error(e));
        }
        opened => opened.map_err(destination_error)?,
    };
    refuse_others(job, &destination, &chosen)?;
    LastRun::forget(&destination).map_err(destination_error)?;
    note_destination(job, (&destination, how), &chosen, monitor);
    let mut outcome = RestoreOutcome {
        owners_left: !destination.is_root() && owners != Owners::Nobody,
        resumed: how == DirState::Resumed,
        given_up: job.give_up,
        selection: job.selection.as_ref().map(|selection| selection.text().into()),
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
                "another holdall has ended this restore meanwhile, and reported what is missing",
            );
            outcome.awaited.clear();
            outcome.in_use.clear();
        }
        Err(error) if job.give_up && error.is_full() => {
            // What is there stays, and to say so takes no room.
            let Some(outcome) = in_place::in_place(job, &chosen, monitor) else {
                return Err(error);
            };
            destination.complete().map_err(destination_error)?;
            chosen.iter().for_each(|one| stage::clear(one.set, monitor));
            monitor.note(&format!(
                "{} is full: the restore is given up with what is there, as --give-up says",
                job.to.display()
            ));
            return Ok(outcome);
        }
        Err(error) => {
            if error.is_full() {
                LastRun::full(&destination);
            }
            return Err(error);
        }
        Ok(()) => {}
    }
    if is_shared {
        note_unkept(&destination, &mut outcome).map_err(destination_error)?;
    }
    report_unkept(&outcome, monitor);
    Ok(outcome)
}

/// Restores the sets that are not restored yet.
fn restore_chosen(
    job: &RestoreJob,
    destination: &Destination,
    chosen: &[SelectedSet],
    outcome: &mut RestoreOutcome,
    monitor: &dyn Monitor,
) -> Result<(), RestoreJobError> {
    let destination_error = |source| job.destination_error(source);
    for one in chosen {
        let Some(_lock) = destination.lock_set(one.set.set.0).map_err(destination_error)? else {
            let detail = "another holdall is restoring it to the same folder: when that has ended, \
                          run this again";
            let subject = format!("set {}", one.set.name());
            monitor.problem(Problem::new(ProblemKind::Waiting, subject, detail));
            outcome.awaited.push(one.set.set.0);
            outcome.in_use.push(one.set.set.0);
            continue;
        };
        let before = set_journal::load(destination).map_err(destination_error)?;
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

/// Nothing is begun for a selection of nothing. While other sets may hold some of it, it can be.
fn refuse_nothing(job: &RestoreJob, chosen: &[SelectedSet]) -> Result<(), RestoreJobError> {
    let Some(selection) = &job.selection else { return Ok(()) };
    if chosen.iter().any(SelectedSet::has_any) || others_matter(chosen) {
        return Ok(());
    }
    Err(RestoreJobError::NothingSelected { selection: selection.text().into() })
}

/// Restores one set, and notes how far that went.
fn restore_one(
    one: &SelectedSet,
    (job, destination): (&RestoreJob, &Destination),
    before: &BTreeMap<u32, SetJournal>,
    chosen: &[SelectedSet],
    outcome: &mut RestoreOutcome,
    monitor: &dyn Monitor,
) -> Result<Restored, RestoreJobError> {
    let destination_error = |source| job.destination_error(source);
    let set = one.set;
    note_missing(one, outcome, monitor);
    let here = chosen.iter().map(|chosen| chosen.set.set.0);
    let options = RestoreOptions {
        selection: job.selection.as_ref(),
        selected_bytes: one.survey.as_ref().map_or(0, |survey| survey.counts.data_bytes),
        give_up: job.give_up,
        salvage: job.salvage,
        no_special: job.no_special,
        resumed: outcome.resumed,
        later_sets: before.keys().copied().chain(here).any(|number| number > set.set.0),
        memory: job.memory,
    };
    let earlier = before.get(&set.set.0);
    let mut seen = SetJournal::begin(set, earlier);
    seen.identity.join(one.identity());
    set.bad_blocks.iter().for_each(|bad| bad.begin(seen.bad.clone()));
    (seen.further, seen.others) = (!one.last, one.others);
    (seen.ended, seen.listed) = (false, false);
    seen.save(destination, set.set).map_err(destination_error)?;
    if earlier.is_some_and(|earlier| !earlier.listed) {
        restorer::forget_set(destination, set.set).map_err(destination_error)?;
    }
    let restored = restorer::restore(&one.open(), destination, options, monitor)
        .map_err(|source| RestoreJobError::Restore { path: job.to.clone(), source })?;
    let gaps = one.has_gaps();
    let is_complete = restored.is_complete() && restored.refused == 0 && !gaps && one.vouched;
    seen.end(&restored, is_complete, gaps);
    seen.links = end::links(destination, set.set)
        .map_err(|source| RestoreJobError::Restore { path: job.to.clone(), source })?;
    seen.bad = set
        .bad_blocks
        .iter()
        .filter(|_| !is_complete)
        .map(|bad| bad.all())
        .next()
        .unwrap_or_default();
    if restored.metadata_problems > 0 {
        Output::Folder(destination).note_metadata(set.set).map_err(destination_error)?;
    }
    seen.save(destination, set.set).map_err(destination_error)?;
    if restored.refused_parts {
        walk_again(destination, set.set.0, before).map_err(destination_error)?;
    }
    if is_complete {
        stage::clear(set, monitor);
    }
    Ok(restored)
}

/// Notes what of a set is not here.
fn note_missing(one: &SelectedSet, outcome: &mut RestoreOutcome, monitor: &dyn Monitor) {
    let set = one.set;
    let cases = set.set_text(monitor).map(|t| t.slots).unwrap_or_default();
    let missing = if one.has_any() { set.missing_slots() } else { Vec::new() };
    for slot in missing {
        let case = cases.iter().find(|s| s.slot == slot).and_then(SlotLine::known_case);
        let drive = MissingSlot { slot, case };
        outcome.missing.push(MissingDrive { set: set.set, drive });
    }
    outcome.gaps |= one.has_gaps();
    monitor.phase(Phase::Restore, 0);
    for d in &set.drives {
        let name = d.case_and_name();
        monitor.drive(d.label.slot.0 as usize, &name, 0);
    }
}

/// Tells what is not there, and ends the restore if nothing more is to come.
fn complete(
    job: &RestoreJob,
    destination: &Destination,
    chosen: &[SelectedSet],
    outcome: &mut RestoreOutcome,
    monitor: &dyn Monitor,
) -> Result<(), RestoreJobError> {
    let destination_error = |source| job.destination_error(source);
    outcome.attributes_left = destination.attributes_left_out();
    let seen = set_journal::load(destination).map_err(destination_error)?;
    outcome.awaited = awaited::awaited(&seen);
    outcome.awaited_more = outcome.awaited.last() > seen.keys().last();
    if outcome.restored.stopped {
        // What is here and was not come to is not awaited.
        let is_here = |set: &u32| chosen.iter().any(|chosen| chosen.set.set.0 == *set);
        let ended = |set: &u32| seen.get(set).is_some_and(|seen| seen.ended);
        outcome.awaited.retain(|set| !is_here(set) || ended(set));
    }
    outcome.unseen = awaited::has_unlisted(&seen);
    // What is given up needs no drive more.
    for (number, seen) in seen.iter().filter(|_| !job.give_up) {
        let here = chosen.iter().any(|chosen| chosen.set.set.0 == *number);
        let attached = if here { seen.here.clone() } else { BTreeSet::new() };
        outcome.next.extend(NextStep::of(*number, seen, &attached));
    }
    let sets = seen.iter().map(|(set, seen)| (*set, seen.bounds.clone())).collect();
    let stopped = outcome.restored.stopped;
    let end = EndOfRun {
        destination,
        sets: &sets,
        is_settled: &|set| awaited::is_settled(&seen, set),
        nothing_comes: !stopped && (job.give_up || outcome.awaited.is_empty()),
        salvage: job.salvage,
    };
    end::report(&end, &mut outcome.restored, monitor)
        .map_err(|source| RestoreJobError::Restore { path: job.to.clone(), source })?;
    note_unkept(destination, outcome).map_err(destination_error)?;
    outcome.mapped_names = destination.mapped_names().map_err(destination_error)?;
    let metadata = destination.state_names(METADATA).map_err(destination_error)?;
    let r = &mut outcome.restored;
    LastRun { waiting: r.waiting }.save(destination);
    r.end_unknown |= seen.values().any(|seen| seen.end_unknown);
    r.unlisted = seen.values().map(|seen| seen.unlisted).sum();
    outcome.gaps |= seen.values().any(|seen| seen.gaps);
    outcome.metadata_before = r.metadata_problems == 0 && !metadata.is_empty();
    // What the destination refused it may take once more: the same command tries it again.
    outcome.stays_open = !job.give_up && seen.values().any(SetJournal::is_open);
    let all = outcome.is_complete() && outcome.restored.refused == 0 && !outcome.stays_open;
    if !stopped && (all || job.give_up) {
        destination.complete().map_err(destination_error)?;
        outcome.has_ended = true;
        chosen.iter().for_each(|one| stage::clear(one.set, monitor));
        if all
            && let Some(selection) = &job.selection
            && outcome.restored.not_taken == 0
            && seen.values().all(|set| set.entries == 0)
            && outcome.restored.left.is_none()
        {
            return Err(RestoreJobError::NothingSelected { selection: selection.text().into() });
        }
    }
    Ok(())
}
