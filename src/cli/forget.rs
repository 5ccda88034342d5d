//! `forget` on the command line, and how shipments in progress are told.

use super::args::remove::ForgetArgs;
use super::exit::Status;
use super::output::{emit, out};
use super::refusal::{Refusal, WAIT};
use super::ui::Ui;
use super::{chosen, rounds};
use crate::format::ids::ShipmentId;
use crate::format::shown::shown_text;
use crate::pack_session::shipments::{self, InProgress, StateError};
use serde::Serialize;
use std::fmt::Write as _;

/// Forgets a shipment in progress.
pub fn forget(args: &ForgetArgs, ui: &Ui) -> Result<Status, Refusal> {
    let shipment = chosen::in_progress(&args.shipment)?;
    let all = shipments::in_progress().map_err(refusal)?;
    let Some(found) = all.iter().find(|one| one.shipment == shipment) else {
        let text = format!("no shipment {} is in progress on this machine", args.shipment);
        return Err(Refusal::usage(text, "holdall status lists those that are"));
    };
    if !args.yes {
        let what = format!("to be forgotten: {found}: {}", found.lost_by_forgetting());
        rounds::confirm(&what, "Forget it?", "add --yes to forget it", ui)?;
    }
    shipments::forget(found.shipment).map_err(refusal)?;
    ui.finish();
    if ui.is_json() {
        emit("forgotten", &OfShipment { shipment: Some(found.shipment) });
    } else {
        out(&format!("Shipment {} is forgotten.\n", found.shipment));
    }
    Ok(Status::Done)
}

/// The shipments in progress, and what to type.
pub fn in_progress(all: &[InProgress]) -> String {
    let mut text = String::from("In progress on this machine:\n");
    for one in all {
        let next = match (&one.in_use, &one.next) {
            (Some(program), _) => format!("now: {program} is at work on it"),
            (None, Some(next)) => format!("next: {next}"),
            (None, None) => format!("next: {}", shipments::without_state(one.shipment)),
        };
        let _ = writeln!(text, "  {}\n    {next}", shown_text(&one.to_string()));
    }
    text + "(holdall forget SHIPMENT drops one.)\n"
}

/// A shipment, for programs.
#[derive(Serialize)]
pub struct OfShipment {
    pub shipment: Option<ShipmentId>,
}

fn refusal(error: StateError) -> Refusal {
    let hint = match error {
        StateError::Busy { .. } => WAIT,
        _ => "holdall keeps its state in XDG_STATE_HOME, or in .local/state of your home",
    };
    Refusal::failed(error).hint(hint)
}
