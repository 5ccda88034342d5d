//! `restore` on the command line.

use super::args::RestoreArgs;
use super::exit::Status;
use super::face::Face;
use super::json::{emit, out};
use super::missing::MissingList;
use super::run::{Refusal, open_refusal};
use super::{keys, show};
use crate::destination::DestinationError;
use crate::monitor::ProblemKind;
use crate::patterns::Selection;
use crate::restorer::RestoreError;
use crate::verbs::restore::{self as verb, RestoreJob, RestoreJobError, RestoreOutcome};

/// Restores.
pub fn restore(args: &RestoreArgs, face: &Face) -> Result<Status, Refusal> {
    let identities = keys::identities(&args.identities)?;
    let selection = Selection::new(&args.include, &args.exclude)
        .map_err(|e| Refusal::failed(e).status(Status::Usage).hint(PATTERNS))?;
    let job = RestoreJob {
        selection,
        identities,
        to: args.to.clone(),
        give_up: args.give_up,
        salvage: args.salvage,
        stage: args.stage.clone(),
        memory: args.memory.memory,
    };
    let outcome = match &args.missing {
        None => verb::restore(&args.paths, &job, face.monitor()).map_err(refusal)?,
        Some(path) => {
            let failed = |e| Refusal::failed(e).hint("--missing names a file that can be written");
            let list = MissingList::create(path, face.monitor()).map_err(failed)?;
            let outcome = verb::restore(&args.paths, &job, &list).map_err(refusal)?;
            list.finish().map_err(failed)?;
            outcome
        }
    };
    face.finish();
    face.print_problems();
    if face.is_json() {
        emit(&show::restored_json(&outcome));
    } else {
        out(&show::restored(&outcome, &args.to));
    }
    // A drive whose papers are damaged, for one, takes nothing from what was restored. What waits or
    // is lost is counted in the outcome: a file that waited for the next set may be whole by now.
    let counted = [ProblemKind::Waiting, ProblemKind::Lost, ProblemKind::Refused];
    let is_other = |kind| !counted.contains(&kind);
    let others = face.problems().kinds().any(|(kind, _)| is_other(kind));
    Ok(status(&outcome).merge(if others { Status::Problems } else { Status::Done }))
}

/// 0 all there; 3 all there but healed, or lacking metadata or links; 4 files wait; 1 files are lost or
/// not taken by the destination.
pub fn status(outcome: &RestoreOutcome) -> Status {
    let r = &outcome.restored;
    let awaited = !outcome.awaited.is_empty();
    let unlisted = r.unlisted > 0 || outcome.gaps;
    match () {
        () if r.lost + r.refused > 0 || r.stopped => Status::Failed,
        () if outcome.given_up && (awaited || unlisted) => Status::Failed,
        () if r.waiting > 0 || awaited => Status::Waiting,
        () if unlisted => Status::Failed,
        () if r.rebuilt_blocks + r.metadata_problems + r.unsupported + r.packed_badly > 0
            || r.from_lists
            || r.end_unknown
            || outcome.metadata_before =>
        {
            Status::Problems
        }
        () => Status::Done,
    }
}

/// How patterns are meant.
const PATTERNS: &str = "a pattern without / matches names at any depth, one with / paths from the \
                        dataset's top, such as 2026/march or 2026/**/*.mov; holdall ls lists them";
/// What to do about a destination that is full.
const FULL: &str = "make room there, then run the same command again to go on from here";
/// What to do about one that fails as a whole.
const BROKEN: &str = "see that the drive or folder is still there and takes files, then run the same \
                      command again to go on from here";

fn refusal(error: RestoreJobError) -> Refusal {
    let hint = match error {
        RestoreJobError::Open(e) => return open_refusal(e),
        RestoreJobError::NothingSelected { .. } => {
            return Refusal::failed(error).status(Status::Usage).hint(PATTERNS);
        }
        RestoreJobError::Destination {
            source: DestinationError::OtherSelection { ref found, .. },
            ..
        } => {
            let same = match found {
                Some(found) => format!("with {found}"),
                None => "without --include and --exclude".into(),
            };
            let hint =
                format!("to go on with that, type it {same}; or restore into another folder");
            return Refusal::failed(error).hint(hint);
        }
        RestoreJobError::Destination { source: DestinationError::NotEmpty { .. }, .. } => {
            "restore into a folder that is missing or empty, such as a new one in it"
        }
        RestoreJobError::Stage { .. } => "--stage names a folder that can be written",
        RestoreJobError::Destination { ref source, .. } if source.is_full() => FULL,
        RestoreJobError::Destination { .. } => "name a folder that can be written",
        RestoreJobError::Restore { source: RestoreError::Destination(ref e), .. }
            if e.is_full() =>
        {
            FULL
        }
        RestoreJobError::Restore { source: RestoreError::Destination(_), .. } => BROKEN,
        RestoreJobError::Restore { .. } => "run the same command again to go on from here",
    };
    Refusal::failed(error).hint(hint)
}
