//! A restore that is finished, or was given up, asked for again; and what one that stopped on the
//! way has not brought.
//!
//! - Enters: the sets that are here, and DIR, in which no restore is in progress.
//! - Leaves: how much of them is there, and what is not, reported again; nothing if it is another
//!   tree.
//! - Always holds: nothing is restored.

use super::job::RestoreJob;
use super::outcome::RestoreOutcome;
use super::selected_set::{SelectedSet, others_matter};
use crate::destination::{NAMES, Tree};
use crate::monitor::{Monitor, Problem, ProblemKind, Unreported};
use crate::opening::{open, unlock};
use crate::restorer::finished::{self, Differs, InPlace, Reached, WantedEntries};
use crate::restorer::{self, EntryFate, OpenSet};
use std::path::PathBuf;

/// The outcome if what the sets here hold was restored before, as far as it is there: what is not
/// is reported again.
pub(super) fn in_place(
    job: &RestoreJob,
    chosen: &[SelectedSet],
    monitor: &dyn Monitor,
) -> Option<RestoreOutcome> {
    let tree = opened(job)?;
    let asked = WantedEntries { selection: job.selection.as_ref(), no_special: job.no_special };
    let (mut found, mut reached) = (InPlace::default(), Reached::default());
    let look = |one: &SelectedSet| finished::look(&one.open(), &tree, asked, &mut reached);
    let each = match chosen.iter().map(look).collect::<Result<Vec<InPlace>, Differs>>() {
        Ok(each) => each,
        Err(Differs { path }) => {
            note_no_restore(
                job,
                &format!("{path} in it has another type, size or target"),
                monitor,
            );
            return None;
        }
    };
    each.iter().for_each(|one| found.add(*one));
    if !found.is_restored(&tree) {
        if found.files > 0 {
            let (untimed, files) = (found.untimed, found.files);
            let have = if untimed == 1 { "has" } else { "have" };
            let why = format!("{untimed} of its {files} files {have} another time than was packed");
            note_no_restore(job, &why, monitor);
        }
        return None;
    }
    let mapped_names = found.renamed;
    let mut outcome = RestoreOutcome { in_place: true, mapped_names, ..Default::default() };
    let mut reached = Reached::default();
    let mut tell = |line: EntryFate| {
        monitor.problem(Problem::new(line.fate.kind(), line.path, line.detail));
    };
    for (one, found) in chosen.iter().zip(&each) {
        finished::report(&one.open(), &tree, asked, found, &mut reached, &mut tell);
        if found.lists_wait {
            outcome.awaited.push(one.set.set.0);
        }
        // A catalog that is whole names all there is.
        outcome.gaps |= found.from_lists && one.record_index.gaps;
        outcome.restored.end_unknown |= restorer::note_end(&one.open(), monitor);
    }
    found.packed_badly += reached.end(&tree, &mut tell);
    outcome.untimed = found.untimed > 0;
    outcome.restored.from_lists = found.from_lists;
    outcome.restored.unsupported = found.unsupported;
    outcome.restored.metadata_problems = found.written_links;
    if found.written_links > 0 {
        let detail = "a small file with the target's path instead of a symlink";
        let subject = match found.written_links {
            1 => "1 entry".into(),
            count => format!("{count} entries"),
        };
        monitor.problem(Problem::new(ProblemKind::Metadata, subject, detail));
    }
    outcome.restored.unlisted = found.unlisted;
    (outcome.restored.already, outcome.restored.lost) = (found.there, found.absent);
    outcome.restored.packed_badly = found.packed_badly;
    outcome.restored.not_taken = found.not_taken;
    outcome.unseen = found.absent > 0 && others_matter(chosen);
    outcome.given_up = found.absent > 0;
    outcome.selection = job.selection.as_ref().map(|selection| selection.text().into());
    Some(outcome)
}

/// The same for a restore that has ended; notes what was not looked at, or is gone.
pub(super) fn again(
    job: &RestoreJob,
    chosen: &[SelectedSet],
    monitor: &dyn Monitor,
) -> Option<RestoreOutcome> {
    let outcome = in_place(job, chosen, monitor)?;
    if job.owners.is_some() {
        monitor.note(
            "--owner has no effect on a finished restore: owners and modes were not looked at",
        );
    }
    if outcome.mapped_names > 0 && opened(job).is_some_and(|tree| !tree.has_name_list()) {
        let detail = "the list of mapped names is gone or damaged: to have it again, restore with \
                      --map-names into an empty folder";
        monitor.problem(Problem::new(ProblemKind::Metadata, NAMES, detail));
    }
    Some(outcome)
}

/// DIR, in which names may have been mapped.
fn opened(job: &RestoreJob) -> Option<Tree> {
    let open = if job.map_names { Tree::open_mapped } else { Tree::open };
    open(&job.to).ok()
}

/// Says why DIR is no finished restore of this dataset.
fn note_no_restore(job: &RestoreJob, why: &str, monitor: &dyn Monitor) {
    let to = job.to.display();
    monitor.note(&format!("{to} is not a finished restore of this dataset: {why}"));
}

/// Reports what is not there after a restore that stopped on the way, going by the sets that are
/// here; none if that cannot be said.
pub fn report_absent(paths: &[PathBuf], job: &RestoreJob, monitor: &dyn Monitor) -> Option<()> {
    let silent = Unreported(monitor);
    let mut sets = open::one_shipment(paths, &silent).ok()?;
    let all = sets.len();
    let keys = unlock::unlock(&mut sets, &job.identities, &job.expect, &silent).ok()?;
    if sets.len() < all {
        return None;
    }
    let tree = opened(job)?;
    let asked = WantedEntries { selection: job.selection.as_ref(), no_special: job.no_special };
    let (mut reached, mut looked) = (Reached::default(), Reached::default());
    let mut tell = |line: EntryFate| {
        monitor.problem(Problem::new(line.fate.kind(), line.path, line.detail));
    };
    for (set, keys) in sets.iter().zip(&keys) {
        let record_index = unlock::record_index(set, keys, &silent);
        let open = OpenSet { set, record_index: &record_index, keys };
        let found = finished::look(&open, &tree, asked, &mut looked).ok()?;
        if found.unlisted > 0 || monitor.should_stop() {
            return None;
        }
        finished::report(&open, &tree, asked, &found, &mut reached, &mut tell);
    }
    reached.end(&tree, &mut tell);
    Some(())
}
