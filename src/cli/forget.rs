//! `forget` on the command line, and how shipments in progress are told.

use super::args::ForgetArgs;
use super::exit::Status;
use super::face::Face;
use super::json::{emit, out};
use super::rounds;
use super::run::Refusal;
use super::shown_text;
use crate::verbs::shipments::{self, InProgress, StateError};
use serde_json::{Value, json};
use std::fmt::Write as _;

/// Forgets a shipment in progress.
pub fn forget(args: &ForgetArgs, face: &Face) -> Result<Status, Refusal> {
    let all = shipments::in_progress().map_err(refusal)?;
    let Some(found) = all.iter().find(|one| one.shipment.to_string() == args.shipment) else {
        let text = format!("no shipment {} is in progress on this machine", args.shipment);
        return Err(Refusal::usage(text, "holdall status lists those that are"));
    };
    if !args.yes {
        let what = format!("to be forgotten: {found}: {}", found.lost_by_forgetting());
        rounds::confirm(&what, "Forget it?", "add --yes to forget it", face)?;
    }
    shipments::forget(found.shipment).map_err(refusal)?;
    face.finish();
    if face.is_json() {
        emit(&json!({"event": "forgotten", "shipment": found.shipment}));
    } else {
        out(&format!("Shipment {} is forgotten.\n", found.shipment));
    }
    Ok(Status::Done)
}

/// The shipments in progress, and what to type.
pub fn in_progress(all: &[InProgress]) -> String {
    let mut text = String::from("In progress on this machine:\n");
    for one in all {
        let next = one.next_command();
        let _ = writeln!(text, "  {}\n    next: {next}", shown_text(&one.to_string()));
    }
    text + "(holdall forget SHIPMENT drops one.)\n"
}

/// The same for programs.
pub fn in_progress_json(one: &InProgress) -> Value {
    let facts = one.facts.as_ref();
    json!({
        "event": "in-progress",
        "shipment": one.shipment,
        "name": facts.map(|f| &f.name),
        "source": facts.map(|f| f.source.to_string_lossy()),
        "begun": facts.map(|f| &f.begun),
        "sets": facts.map(|f| f.sets),
        "unclosed": facts.and_then(|f| f.unclosed.as_ref()).map(|(set, _)| set),
        "next": one.next_command(),
    })
}

fn refusal(error: StateError) -> Refusal {
    let hint = match error {
        StateError::Busy { .. } => super::pack::WAIT,
        _ => "holdall keeps its state in XDG_STATE_HOME, or in .local/state of your home",
    };
    Refusal::failed(error).hint(hint)
}
