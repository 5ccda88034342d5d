//! `restore` on the command line.

use super::args::restore::{OwnerArg, RestoreArgs};
use super::exit::Status;
use super::missing::{self, MissingList};
use super::next::{command, typed_value};
use super::output::{emit, out};
use super::refusal::{Refusal, open_refusal};
use super::ui::Ui;
use super::{keys, show};
use crate::commands::restore::{self as restoring, RestoreJob, RestoreJobError, RestoreOutcome};
use crate::destination::{DestinationError, Owners};
use crate::format::shown::typed;
use crate::monitor::{ProblemKind, Unreported};
use crate::patterns::Selection;
use crate::restorer::RestoreError;
use crate::restorer::stage::StageError;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

pub fn restore(args: &RestoreArgs, ui: &Ui) -> Result<Status, Refusal> {
    let identities = keys::identities(&args.identities, ui)?;
    let selection = Selection::new(&args.include, &args.exclude)
        .map_err(|e| Refusal::failed(e).status(Status::Usage).hint(PATTERNS))?;
    let job = RestoreJob {
        selection,
        identities,
        to: args.to.clone(),
        give_up: args.give_up,
        salvage: args.salvage,
        no_special: args.no_special,
        owners: args.owner.map(owners),
        map_names: args.map_names,
        stage: args.stage.clone(),
        memory: args.memory.memory,
        expect: args.expect.expect.clone(),
    };
    let outcome = match &args.missing {
        None => restoring::restore(&args.paths, &job, ui.monitor()).map_err(refusal)?,
        Some(path) => listing(args, path, &job, ui)?,
    };
    ui.finish();
    ui.print_problems();
    if ui.is_json() {
        emit("restored", &show::RestoredEvent::from(&outcome));
    } else {
        out(&show::restored(&outcome, &args.to, &verify_against(args)));
    }
    // A drive whose metadata files are damaged, for one, takes nothing from what was restored. What
    // waits or is lost is counted in the outcome: a file that waited for the next set may be whole
    // by now.
    let counted = [ProblemKind::Waiting, ProblemKind::Lost, ProblemKind::Refused];
    let is_other = |kind| !counted.contains(&kind);
    let others = ui.problems().kinds().any(|(kind, _)| is_other(kind));
    Ok(status(&outcome).merge(if others { Status::Problems } else { Status::Done }))
}

/// The command that compares every byte of what was restored with the drives.
fn verify_against(args: &RestoreArgs) -> String {
    let shown = |path: &PathBuf| path.display().to_string();
    let paths: Vec<String> = args.paths.iter().map(shown).collect();
    let mut text = command("verify", paths.iter().map(String::as_str));
    for identity in &args.identities {
        let _ = write!(text, " -i {}", typed(&shown(identity)));
    }
    if let Some(id) = typed_value("--shipment") {
        let _ = write!(text, " --shipment {}", typed(&id));
    } else if args.which.latest {
        text.push_str(" --latest");
    }
    let _ = write!(text, " --against {}", typed(&shown(&args.to)));
    text
}

fn owners(how: OwnerArg) -> Owners {
    match how {
        OwnerArg::Numbers => Owners::Numbers,
        OwnerArg::Names => Owners::Names,
        OwnerArg::None => Owners::Nobody,
    }
}

/// Restores, and lists in a file what is not there.
fn listing(
    args: &RestoreArgs,
    path: &Path,
    job: &RestoreJob,
    ui: &Ui,
) -> Result<RestoreOutcome, Refusal> {
    let full = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.into());
    if full(path).starts_with(full(&args.to)) {
        let text =
            format!("--missing {}: it lies in the folder that is restored to", path.display());
        return Err(Refusal::usage(text, "name a file outside of it"));
    }
    if let Some(why) = missing::why_not(path, &args.identities) {
        let text = format!("--missing {}: it {why}, and would be replaced", path.display());
        return Err(Refusal::usage(text, "name a new file, or an earlier list"));
    }
    let failed = |error: std::io::Error| {
        let text = format!("--missing {}: {error}", path.display());
        Refusal::usage(text, "name a file that can be written").status(Status::Failed)
    };
    let list = MissingList::create(path, ui.monitor()).map_err(failed)?;
    match restoring::restore(&args.paths, job, &list) {
        Ok(outcome) => {
            list.finish().map_err(failed)?;
            Ok(outcome)
        }
        Err(error) => {
            drop(list);
            if is_broken_off(&error) {
                list_absent(args, path, job, ui);
            }
            Err(refusal(error))
        }
    }
}

/// Did it stop on the way?
fn is_broken_off(error: &RestoreJobError) -> bool {
    let in_folder = |e: &DestinationError| matches!(e, DestinationError::Io { .. });
    match error {
        RestoreJobError::Restore { .. } => true,
        RestoreJobError::Destination { source, .. } => in_folder(source),
        _ => false,
    }
}

/// Lists what a restore that stopped on the way has not brought, going by the lists of the sets
/// that are here; what cannot be said leaves the file as it was, which is told.
fn list_absent(args: &RestoreArgs, path: &Path, job: &RestoreJob, ui: &Ui) {
    let untold = Unreported(ui.monitor());
    let listed = MissingList::create(path, &untold).is_ok_and(|list| {
        restoring::report_absent(&args.paths, job, &list).is_some() && list.finish().is_ok()
    });
    let what = if listed {
        "lists what is still missing from the attached sets"
    } else if path.exists() {
        "was left as it was: what is missing is not known"
    } else {
        return;
    };
    ui.monitor().note(&format!("{} {what}", path.display()));
}

/// 0 all there; 3 all there but healed, or lacking metadata or links; 4 files wait; 1 files are
/// lost or not taken by the destination.
pub fn status(outcome: &RestoreOutcome) -> Status {
    let r = &outcome.restored;
    let awaited = !outcome.awaited.is_empty();
    let unlisted = r.unlisted > 0 || outcome.gaps;
    let given_up = outcome.given_up && (awaited || unlisted);
    let waits = r.waiting > 0 || awaited;
    if r.lost + r.refused > 0 || r.stopped || given_up || unlisted && !waits {
        Status::Failed
    } else if waits {
        Status::Waiting
    } else if r.reconstructed.all + r.metadata_problems + r.unsupported > 0
        || r.packed_badly + r.not_taken > 0
        || r.from_lists
        || r.end_unknown
        || outcome.metadata_before
        || outcome.untimed
    {
        Status::Problems
    } else {
        Status::Done
    }
}

/// How patterns are meant.
pub(super) const PATTERNS: &str = "a pattern without / matches names at any depth, one with / paths from the \
                        dataset's top, such as 2026/march or 2026/**/*.mov; holdall ls lists them";
/// What to do about a destination that is full.
const FULL: &str = "make room there, then run the same command again to resume";
/// What to do about one that fails as a whole.
const BROKEN: &str = "see that the drive or folder is still there and takes files, then run the same \
                      command again to resume";

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
                None => {
                    "without --include, --exclude, --no-special, --owner and --map-names".into()
                }
            };
            let hint = format!("to resume that one, run it {same}; or restore into another folder");
            return Refusal::failed(error).hint(hint);
        }
        RestoreJobError::Destination { source: DestinationError::NotEmpty { .. }, .. } => {
            "restore into a folder that is missing or empty, such as a new one in it"
        }
        RestoreJobError::InDrive { .. } => {
            let hint = "restore into a folder outside of it, best on another disk";
            return Refusal::failed(error).status(Status::Usage).hint(hint);
        }
        RestoreJobError::OtherSet { .. } => {
            "only one of them is what was packed: compare the roots with the one that pack printed, and \
             restore that set with --expect ROOT into a new folder"
        }
        RestoreJobError::Stage { source: StageError::Drive(_), .. } => {
            "--stage names a folder that can be written"
        }
        RestoreJobError::Stage { .. } => {
            let hint = "--stage names a folder of its own, on a disk that has room";
            return Refusal::failed(error).status(Status::Usage).hint(hint);
        }
        RestoreJobError::Destination { source: DestinationError::Claim { .. }, .. } => {
            "the file is damaged, so that restore cannot be resumed: restore into another folder"
        }
        RestoreJobError::Destination { source: DestinationError::NewerClaim { .. }, .. } => {
            "resume with the newer holdall, or restore into another folder"
        }
        RestoreJobError::Destination { source: DestinationError::OtherShipment { .. }, .. } => {
            "attach that shipment's drives to resume it, or restore into another folder"
        }
        RestoreJobError::Destination { ref source, .. } if source.is_full() => FULL,
        RestoreJobError::Destination { .. } => "name a folder that can be written",
        RestoreJobError::Restore { source: RestoreError::Destination(ref e), .. }
            if e.is_full() =>
        {
            FULL
        }
        RestoreJobError::Restore { source: RestoreError::Destination(_), .. } => BROKEN,
        RestoreJobError::Restore { .. } => "run the same command again to resume",
    };
    Refusal::failed(error).hint(hint)
}
