//! `erase` on the command line.

use super::args::EraseArgs;
use super::exit::Status;
use super::face::Face;
use super::json::{emit, out};
use super::run::Refusal;
use super::show::some;
use super::{pack, rounds};
use crate::verbs::erase::{EraseError, Erasure};
use serde_json::json;

/// Erases.
pub fn erase(args: &EraseArgs, face: &Face) -> Result<Status, Refusal> {
    let erasure = Erasure::find(&args.paths, &args.set, face.monitor()).map_err(refusal)?;
    let carriers: Vec<String> =
        erasure.carriers().map(|(drive, set)| format!("set {set} on {drive}")).collect();
    if !args.yes {
        let what = format!("to be erased for good: {}", carriers.join(", "));
        rounds::confirm(&what, "Erase it?", "add --yes to erase it", face)?;
    }
    let erased = erasure.run(face.monitor());
    let all = erased.iter().all(|drive| drive.done);
    let stopped = !all && face.monitor().should_stop();
    face.finish();
    face.print_problems();
    for drive in &erased {
        if face.is_json() {
            emit(&json!({
                "event": "erased",
                "set": drive.set,
                "drive": drive.drive,
                "files": drive.files,
                "done": drive.done,
                "stopped": stopped && !drive.done,
            }));
        } else if drive.done {
            let files = some(drive.files, "file");
            out(&format!("{}: set {} is erased, {files}.\n", drive.drive, drive.set));
        } else {
            let to_its_end = if stopped && drive.files == 0 { "" } else { " to its end" };
            out(&format!("{}: set {} is not erased{to_its_end}.\n", drive.drive, drive.set));
        }
    }
    if stopped {
        face.monitor().note("stopped as asked: the same command again erases the rest");
    }
    Ok(match () {
        () if !all => Status::Failed,
        () if !face.problems().is_empty() => Status::Problems,
        () => Status::Done,
    })
}

fn refusal(error: EraseError) -> Refusal {
    let (hint, status) = match error {
        EraseError::Drive { .. } => ("name folders where drives are mounted", Status::Usage),
        EraseError::Name { .. } => {
            ("a set is called as its folder in DRIVE/holdall: SHIPMENT-001", Status::Usage)
        }
        EraseError::InUse(_) => (pack::WAIT, Status::Failed),
        EraseError::Several { .. } => ("name one of them with --set", Status::Usage),
        EraseError::NotHere { .. } => ("holdall status says which sets are here", Status::Failed),
    };
    Refusal::failed(error).hint(hint).status(status)
}
