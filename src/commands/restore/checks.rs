//! What a restore looks at and notes around its walks over the sets.

use super::error::RestoreJobError;
use super::job::RestoreJob;
use super::outcome::RestoreOutcome;
use super::selected_set::SelectedSet;
use crate::destination::{self, Destination, DestinationError, DirState, Owners, UnkeptSoFar};
use crate::drives::detect::{MountedDrive, mount_at};
use crate::format::catalog::KeySpan;
use crate::format::ids::SetNumber;
use crate::monitor::{Monitor, Problem, ProblemKind, shown_bytes};
use crate::opening::own_disks::is_unmounted;
use crate::restore_journal::identity::SetIdentity;
use crate::restore_journal::set_journal::{self, SetJournal};
use crate::restorer::room;
use std::collections::BTreeMap;
use std::path::Path;

/// As the kernel calls what Windows reads; `fuseblk` are the drivers of exFAT and NTFS.
const OF_WINDOWS: [&str; 6] = ["exfat", "fuseblk", "msdos", "ntfs", "ntfs3", "vfat"];

/// Goes on with no set that cannot be the one that was begun.
pub(super) fn refuse_others(
    job: &RestoreJob,
    destination: &Destination,
    chosen: &[SelectedSet],
) -> Result<(), RestoreJobError> {
    let seen = set_journal::load(destination).map_err(|source| job.destination_error(source))?;
    for one in chosen {
        let (set, now) = (one.set.set.0, one.identity());
        let Some(before) = seen.get(&set).filter(|seen| !seen.identity.agrees(&now)) else {
            continue;
        };
        let root = |identity: &SetIdentity| identity.root.clone().unwrap_or("unknown".into());
        return Err(RestoreJobError::OtherSet {
            path: job.to.clone(),
            set,
            before: root(&before.identity),
            now: root(&now),
        });
    }
    Ok(())
}

/// Does what is restored have the working folder's name at its top?
pub(super) fn has_work_name(job: &RestoreJob, chosen: &[SelectedSet]) -> bool {
    let name = destination::WORK.as_bytes();
    let (file, folder) = (name, [name, b"/"].concat());
    let can_hold = |span: &KeySpan| span.holds(file) || span.holds(&folder);
    let looked_for = job.selection.as_ref().is_none_or(|s| s.spans().iter().any(can_hold));
    looked_for && chosen.iter().any(|chosen| room::has_entry(&chosen.open(), name))
}

/// Says which patterns have no effect on the sets that are here.
pub(super) fn note_idle_patterns(job: &RestoreJob, chosen: &[SelectedSet], monitor: &dyn Monitor) {
    let Some(selection) = &job.selection else { return };
    // One that was not looked at to its end may have them yet.
    if chosen.iter().all(|chosen| chosen.survey.is_some()) {
        for option in selection.without_effect() {
            monitor.note(&format!("{option} matches nothing in the attached sets"));
        }
    }
}

/// Says what is to be known of the place that is restored to.
pub(super) fn note_destination(
    job: &RestoreJob,
    (destination, how): (&Destination, DirState),
    chosen: &[SelectedSet],
    monitor: &dyn Monitor,
) {
    if how != DirState::Resumed {
        note_unmounted(job, monitor);
        for place in job.stage.iter().chain([&job.to]) {
            note_on_drive(place, chosen, monitor);
        }
    }
    note_room(job, destination, chosen, monitor);
    note_owners(job, destination, monitor);
}

/// Says so if a mount point is meant at which nothing is mounted.
fn note_unmounted(job: &RestoreJob, monitor: &dyn Monitor) {
    if is_unmounted(&job.to) {
        let to = job.to.display();
        monitor.note(&format!("{to} is on the system's disk (/): no drive is mounted there"));
    }
}

/// Where a path lies, or would lie.
fn mount_of(path: &Path) -> Option<MountedDrive> {
    let full = std::path::absolute(path).ok()?;
    mount_at(full.ancestors().find(|above| above.exists())?)
}

/// Does Windows read the file system on which this lies?
pub(super) fn is_for_windows(to: &Path) -> bool {
    mount_of(to).is_some_and(|mount| OF_WINDOWS.contains(&mount.file_system.as_str()))
}

/// Says so if a folder that is written to lies on one of the drives that are restored from. A folder
/// that stands for a drive is none.
fn note_on_drive(place: &Path, chosen: &[SelectedSet], monitor: &dyn Monitor) {
    let Some(to) = mount_of(place) else { return };
    let mut drives = chosen.iter().flat_map(|one| &one.set.drives);
    let is_around = |path: &Path| {
        path.canonicalize().is_ok_and(|full| full == to.point)
            && mount_at(path).is_some_and(|drive| drive.numbers == to.numbers)
    };
    if let Some(found) = drives.find(|found| is_around(Path::new(found.drive.name()))) {
        monitor.note(&format!(
            "{} is on {}, one of the drives being restored from: this is slow, takes room that a \
             repair may need, and puts all on one drive; another disk is better",
            place.display(),
            found.drive.name(),
        ));
    }
}

/// Owners that were asked for and cannot be set are a problem.
fn note_owners(job: &RestoreJob, destination: &Destination, monitor: &dyn Monitor) {
    let asked = job.owners.is_some_and(|owners| owners != Owners::Nobody);
    if asked && !destination.is_root() {
        let detail = "not set, as --owner asks: only root may";
        monitor.problem(Problem::new(ProblemKind::Metadata, "owners", detail));
    }
}

/// Says so if what is to be written is more than the destination has room for. It is begun
/// all the same: with more room the next run goes on.
fn note_room(
    job: &RestoreJob,
    destination: &Destination,
    chosen: &[SelectedSet],
    monitor: &dyn Monitor,
) {
    let (Ok(free), Ok(done)) = (destination.free_bytes(), set_journal::load(destination)) else {
        return;
    };
    let left =
        || chosen.iter().filter(|one| !done.get(&one.set.set.0).is_some_and(|seen| seen.complete));
    let (unit, keeps_holes) = (destination.unit_bytes(), destination.keeps_holes());
    let most_of = |one: &SelectedSet| match &one.survey {
        // It counts no holes.
        Some(_) if !keeps_holes => None,
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
    let exact =
        |one| room::bytes_to_write(&SelectedSet::open(one), destination, selection, monitor);
    let Some(all) = left().map(exact).sum::<Option<u64>>() else { return };
    let bytes = all.saturating_sub(destination.begun_bytes());
    if bytes <= free {
        return;
    }
    monitor.note(&format!(
        "{} are to be written to {}, which has room for {}: the restore stops when it is full, and \
         the same command resumes once there is more room",
        shown_bytes(bytes),
        job.to.display(),
        shown_bytes(free),
    ));
}

/// A file that the destination refused needs its parts in other sets once more, to be tried again.
pub(super) fn walk_again(
    destination: &Destination,
    but: u32,
    sets: &BTreeMap<u32, SetJournal>,
) -> Result<(), DestinationError> {
    for (number, seen) in sets.iter().filter(|(number, seen)| **number != but && seen.complete) {
        // One that another process restores now is not complete.
        if let Some(_lock) = destination.lock_set(*number)? {
            let seen = SetJournal { complete: false, ..seen.clone() };
            seen.save(destination, SetNumber(*number))?;
        }
    }
    Ok(())
}

/// Notes what this run and earlier ones could not keep.
pub(super) fn note_unkept(
    destination: &Destination,
    outcome: &mut RestoreOutcome,
) -> Result<(), DestinationError> {
    let UnkeptSoFar { kinds, entries, foreign } = destination.unkept()?;
    (outcome.unkept, outcome.restored.metadata_problems) = (kinds, entries);
    outcome.foreign_names = foreign.as_ref().map_or(0, |names| names.count);
    outcome.first_foreign = foreign.map(|names| names.first);
    Ok(())
}

/// One problem for each kind of what the destination did not keep.
pub(super) fn report_unkept(outcome: &RestoreOutcome, monitor: &dyn Monitor) {
    for unkept in &outcome.unkept {
        let subject = match unkept.count {
            1 => unkept.first.clone(),
            count => format!("{count} entries"),
        };
        monitor.problem(Problem::new(ProblemKind::Metadata, subject, unkept));
    }
}
