//! `erase` on the command line.

use super::args::remove::EraseArgs;
use super::exit::Status;
use super::output::{emit, out};
use super::refusal::{Refusal, WAIT};
use super::rounds;
use super::text::some;
use super::ui::Ui;
use crate::commands::erase::{EraseError, Erasure};

pub fn erase(args: &EraseArgs, ui: &Ui) -> Result<Status, Refusal> {
    let erasure = Erasure::find(&args.paths, &args.set, ui.monitor()).map_err(refusal)?;
    let carriers: Vec<String> =
        erasure.carriers().map(|(drive, set)| format!("set {set} on {drive}")).collect();
    if !args.yes {
        let what = format!("to be erased for good: {}", carriers.join(", "));
        rounds::confirm(&what, "Erase it?", "add --yes to erase it", ui)?;
    }
    let erased = erasure.run(ui.monitor());
    let all = erased.iter().all(|drive| drive.done);
    let stopped = erased.iter().any(|drive| drive.stopped);
    ui.finish();
    ui.print_problems();
    for drive in &erased {
        if ui.is_json() {
            emit("erased", drive);
        } else if drive.done {
            let files = some(drive.files, "file");
            out(&format!("{}: set {} is erased, {files}.\n", drive.drive, drive.set));
        } else {
            let to_its_end = if drive.stopped && drive.files == 0 { "" } else { " completely" };
            out(&format!("{}: set {} is not erased{to_its_end}.\n", drive.drive, drive.set));
        }
    }
    if stopped {
        ui.monitor().note("stopped as asked: run the same command again to erase the rest");
    }
    Ok(if !all {
        Status::Failed
    } else if !ui.problems().is_empty() {
        Status::Problems
    } else {
        Status::Done
    })
}

fn refusal(error: EraseError) -> Refusal {
    let (hint, status) = match error {
        EraseError::Drive(_) => ("name folders where drives are mounted", Status::Usage),
        EraseError::Name { .. } => {
            ("a set has the name of its folder in DRIVE/holdall: SHIPMENT-001", Status::Usage)
        }
        EraseError::InUse(_) => (WAIT, Status::Failed),
        EraseError::Several { .. } => ("name one of them with --set", Status::Usage),
        EraseError::NotHere { .. } => ("holdall status says which sets are here", Status::Failed),
    };
    Refusal::failed(error).hint(hint).status(status)
}
