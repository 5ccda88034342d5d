//! `plan --save` and `--plan` on the command line: a plan file is written, and drives are taken from
//! it.

use super::args::pack::SetArgs;
use super::exit::Status;
use super::refusal::Refusal;
use crate::commands::plan::{Candidate, PlanDrive, PlanFile, PlanFileError, Planned};
use crate::entropy::{Entropy, System};
use crate::format::ids::ShipmentId;
use crate::format::shown::typed;
use crate::pack_session::shipments::in_progress;
use std::fs;
use std::io::{self, Write};
use std::path::Path;

/// The longest plan file that is read: of some hundred thousand drives.
const MAX_FILE_BYTES: u64 = 64 << 20;

/// A plan file that cannot be used.
#[derive(Debug, thiserror::Error)]
enum FileRefusal {
    #[error("{action} {path}")]
    Io { action: &'static str, path: String, source: io::Error },
    #[error("{path}")]
    Plan { path: String, source: PlanFileError },
}

/// Writes the plan into a file that is not there yet.
pub fn save(planned: &Planned, path: &Path) -> Result<(), Refusal> {
    let plan = PlanFile::of(&planned.drives, &planned.plan, planned.entries, System.now());
    let write = || {
        let mut file = fs::File::create_new(path)?;
        serde_json::to_writer_pretty(&file, &plan)?;
        writeln!(file)
    };
    write().map_err(|source: io::Error| {
        let hint = match source.kind() {
            io::ErrorKind::AlreadyExists => "name another file, or remove it: none is overwritten",
            _ => "name a file in a folder that you may write to",
        };
        Refusal::failed(FileRefusal::Io { action: "write", path: shown(path), source }).hint(hint)
    })
}

/// What to type to pack by a plan that was saved; nothing if the dataset does not fit.
pub fn next_step(
    planned: &Planned,
    source: Option<&Path>,
    path: &Path,
    folder_drives: bool,
) -> String {
    if planned.plan.missing_bytes > 0 {
        return String::new();
    }

    let source = source.map_or("SOURCE".into(), |source| typed(&source.display().to_string()));
    let plan = typed(&path.display().to_string());
    let mut text = format!("To pack by it: holdall pack {source} --plan {plan} -r RECIPIENT");
    // Which drives the imagined ones are is said when they are there.
    let first = planned.plan.rounds.first().into_iter().flatten();
    let first: Vec<&PlanDrive> = first.map(|number| &planned.drives[*number]).collect();
    if first.iter().all(|drive| drive.name.is_none()) {
        let named = |drive: &&PlanDrive| format!(" --drive {}=PATH", drive.case);
        text.extend(first.iter().map(named));
    }
    text + if folder_drives { " --folder-drives\n" } else { "\n" }
}

/// Takes drives and rule of a round, from 1, from the plan that was named, if one was: it is left.
pub fn apply(set: &mut SetArgs, round: usize) -> Result<Option<PlanFile>, Refusal> {
    let Some(path) = set.plan.clone() else { return Ok(None) };
    let plan = read(&path)?;
    let refused = |source: PlanFileError| {
        let hint = hint(&source);
        let path = shown(&path);
        Refusal::failed(FileRefusal::Plan { path, source }).hint(hint).status(Status::Usage)
    };
    let named: Vec<Candidate> = set.drives.iter().map(Candidate::of).collect();
    let mounted = if named.is_empty() { Candidate::mounted(&plan) } else { Vec::new() };
    set.drives = plan.drives(round, &named, &mounted).map_err(refused)?;
    match &set.survive {
        Some(rule) if *rule != plan.survive => Err(Refusal::usage(
            format!("{} has the rule {}, and --survive says {rule}", shown(&path), plan.survive),
            "leave --survive out, or plan again with it",
        )),
        _ => {
            set.survive = Some(plan.survive.clone());
            Ok(Some(plan))
        }
    }
}

/// The round that a shipment in progress comes to next.
pub fn next_round(shipment: Option<ShipmentId>) -> usize {
    let all = in_progress().unwrap_or_default();
    let mut these = all.iter().filter(|one| shipment.is_none_or(|id| id == one.shipment));
    let sets = these.next().and_then(|one| one.sets).unwrap_or(0);
    sets as usize + 1
}

fn read(path: &Path) -> Result<PlanFile, Refusal> {
    let long = |bytes: &fs::Metadata| bytes.len() > MAX_FILE_BYTES;
    let read = || match fs::metadata(path)? {
        found if long(&found) => Err(io::ErrorKind::FileTooLarge.into()),
        _ => fs::read(path),
    };
    let bytes = read().map_err(|source| {
        let refusal = FileRefusal::Io { action: "read", path: shown(path), source };
        Refusal::failed(refusal).hint("name the file that holdall plan --save has written")
    })?;
    PlanFile::read(&bytes).map_err(|source| {
        let hint = hint(&source);
        let refusal = FileRefusal::Plan { path: shown(path), source };
        Refusal::failed(refusal).hint(hint).status(Status::Usage)
    })
}

fn hint(error: &PlanFileError) -> &'static str {
    match error {
        PlanFileError::NoPlan { .. } | PlanFileError::Rule { .. } => {
            "name the file that holdall plan --save has written"
        }
        PlanFileError::Newer { .. } => "plan again with this holdall",
        PlanFileError::NoRound { .. } => "plan again for what is left, or go on without --plan",
        PlanFileError::Away { .. } => "attach them, or plan again with the drives that are here",
        PlanFileError::Unnamed { .. } => "add --drive CASE=PATH for each of them",
        PlanFileError::Other { .. } => "attach the drives of this round, or go on without --plan",
        PlanFileError::Case { .. } => "put it into that case, or plan again",
        PlanFileError::Room { .. } => "make room on it, or plan again",
    }
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}
