//! One set is packed on the command line: what came of it, or why it was refused.

use super::exit::Status;
use super::output::{emit, out};
use super::refusal::{NO_DRIVE, Refusal, WAIT, drive_hint};
use super::show;
use super::sizes::shown_bytes;
use super::ui::Ui;
use crate::commands::pack::{PackJobError, PackOutcome, Prepared};
use crate::dataset::ScanError;
use crate::format::ids::set_folder;
use crate::memory::FIXED_BYTES;
use crate::pack_session::shipments::without_state;
use crate::packer::PackError;
use crate::plan::geometry::MemoryError;
use crate::plan::place::PlaceError;
use crate::plan::room::RoomError;

/// Packs one set, and says what came of it.
pub fn one_set(prepared: Prepared, ui: &Ui) -> Result<(Status, PackOutcome), Refusal> {
    let plan = show::Plan::of(&prepared);
    let (shipment, set) = (prepared.shipment(), prepared.set);
    ui.reads_back(prepared.read_back);
    let outcome = prepared.run(ui.monitor()).map_err(|e| match e {
        e if damaged_state(&e).is_some() => refusal(e),
        PackJobError::Pack(PackError::SourceGone(_)) => Refusal::failed(e).hint(format!(
            "what is packed stays packed: attach or mount the source again where it was, then \
             {}",
            plan.resume_command(true),
        )),
        PackJobError::Pack(_) => Refusal::failed(e).hint(format!(
            "set {} was left unfinished; make room, or replace what failed, then: {}",
            set_folder(shipment, set),
            plan.resume_command(true),
        )),
        e => refusal(e),
    })?;
    ui.finish();
    ui.print_problems();
    if ui.is_json() {
        emit("packed", &show::PackedEvent::new(&plan, &outcome));
    } else {
        out(&show::packed(&plan, &outcome, ui.is_quiet()));
    }
    let asked = !outcome.reports.is_empty();
    let status = if outcome.is_lost() || outcome.packed.stopped {
        Status::Failed
    } else if !ui.problems().is_empty() || asked && !outcome.is_proven() {
        Status::Problems
    } else {
        Status::Done
    };
    Ok((status, outcome))
}

/// What to do when what this machine keeps of a shipment is damaged, if it is that.
fn damaged_state(error: &PackJobError) -> Option<String> {
    let (PackJobError::LocalState(host) | PackJobError::Pack(PackError::LocalState(host))) = error
    else {
        return None;
    };
    // Every file of a state lies in a folder with the shipment's name.
    let shipment = host.damaged()?.parent()?.file_name()?.to_string_lossy();
    Some(without_state(shipment))
}

/// What to do when a pack is refused.
pub fn refusal(error: PackJobError) -> Refusal {
    if let PackJobError::Plan { survive, source: RoomError::TooLittle { needed, holds, missing } } =
        error
    {
        let [needed, holds, missing] = [needed, holds, missing].map(shown_bytes);
        let text = format!(
            "there is no plan that keeps the rule {survive}: the dataset may need {needed} of room, \
             and under the rule the drives hold {holds}: {missing} are missing"
        );
        let hint = "add drives or larger ones, or ask for less with --survive";
        return Refusal::usage(text, hint);
    }
    if let PackJobError::Unnamed(unnamed) = &error {
        let hint = unnamed.example();
        return Refusal::failed(error).hint(hint).status(Status::Usage);
    }
    if let PackJobError::Resume { hint, .. } = &error {
        let hint = hint.clone();
        return Refusal::failed(error).hint(hint);
    }
    if let Some(hint) = damaged_state(&error) {
        return Refusal::failed(error).hint(hint);
    }
    if let PackJobError::Drive(drive) = &error {
        let hint = drive_hint(&drive.source);
        return Refusal::failed(error).hint(hint).status(Status::Usage);
    }
    let (hint, status) = match &error {
        PackJobError::NoDrive(_) => (NO_DRIVE, Status::Usage),
        PackJobError::Source(_) | PackJobError::SourceAway { .. } => (
            "attach or mount the source where it was, then run the same command again",
            Status::Failed,
        ),
        PackJobError::DriveTwice { .. } => ("name each drive once", Status::Usage),
        PackJobError::Rule { .. } => ("leave --survive out", Status::Usage),
        PackJobError::Weaker { rule, .. } => {
            let hint = format!("add drives or cases, or add --survive {rule} if that is enough");
            return Refusal::failed(error).hint(hint).status(Status::Usage);
        }
        PackJobError::Inside { .. } => {
            ("pack a folder that lies apart from the drives", Status::Usage)
        }
        PackJobError::Plan {
            source: RoomError::Place(PlaceError::RuleNeedsMore { .. }), ..
        } => (
            "add drives or cases, or ask for less with --survive; --survive none keeps no parity",
            Status::Usage,
        ),
        PackJobError::Plan {
            source: RoomError::Place(PlaceError::TooManyDrives { .. }), ..
        } => ("pack onto fewer drives at once, and the rest on further sets", Status::Usage),
        PackJobError::Plan { source: RoomError::Memory(MemoryError { least }), .. } => {
            let least = (least + FIXED_BYTES).div_ceil(1 << 20);
            let hint = format!("pack with --memory {least}MiB, or onto fewer drives at once");
            return Refusal::failed(error).hint(&hint).status(Status::Usage);
        }
        PackJobError::Case { .. } | PackJobError::Filter(_) | PackJobError::Plan { .. } => {
            ("", Status::Usage)
        }
        PackJobError::Which { count: 0, .. } => (
            "holdall status lists those that are; if it has ended, nothing is left to do: the drives \
                 of its last set say so",
            Status::Usage,
        ),
        PackJobError::NothingBegun { .. } => {
            ("to begin, name the dataset: holdall pack SOURCE --drive CASE=PATH ...", Status::Usage)
        }
        PackJobError::Which { .. } => (
            "write holdall resume SHIPMENT, one of them; holdall forget SHIPMENT drops one",
            Status::Usage,
        ),
        e if e.is_busy() => (WAIT, Status::Failed),
        PackJobError::Scan(ScanError::Sink { .. }) | PackJobError::LocalState(_) => (
            "the list of entries needs about 150 bytes an entry: make room, or set XDG_STATE_HOME \
             to a folder that can be written and has it",
            Status::Failed,
        ),
        PackJobError::Scan(_) => {
            ("name a folder or file that exists and can be read", Status::Failed)
        }
        _ => ("", Status::Failed),
    };
    let refusal = Refusal::failed(error).status(status);
    if hint.is_empty() { refusal } else { refusal.hint(hint) }
}
