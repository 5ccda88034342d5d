//! `status` on the command line: of drives, and of a restore in progress.

use super::args::StatusArgs;
use super::exit::Status;
use super::face::Face;
use super::forget;
use super::json::{emit, out};
use super::run::{Refusal, open_refusal};
use super::show::{self, slot_name, some};
use super::shown_text;
use crate::verbs;
use crate::verbs::open::OpenError;
use crate::verbs::restoring::{Restoring, RestoringError, Seen, SetProgress, SetState};
use crate::verbs::shipments::InProgress;
use crate::verbs::status::End;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::path::Path;

/// Says what is here.
pub fn status(args: &StatusArgs, face: &Face) -> Result<Status, Refusal> {
    if let Some(to) = &args.to {
        return restoring(to, args, face);
    }
    // Of shipments in progress here, those on the drives that were named; without names, all.
    let mut shipments = verbs::shipments::in_progress().unwrap_or_default();
    let sets = match verbs::status::status(&args.paths, face.monitor()) {
        Err(OpenError::NoSet { .. }) if args.paths.is_empty() && !shipments.is_empty() => {
            Vec::new()
        }
        sets => sets.map_err(open_refusal)?,
    };
    if !args.paths.is_empty() {
        let is_here = |one: &InProgress| {
            let of_it = format!("{}-", one.shipment);
            sets.iter().any(|set| set.name.starts_with(&of_it))
        };
        shipments.retain(is_here);
    }
    face.finish();
    face.print_problems();
    let mut status = if sets.is_empty() { Status::Waiting } else { Status::Done };
    for set in &sets {
        if face.is_json() {
            emit(&show::status_json(set));
        } else {
            out(&show::status(set));
        }
        status = status.merge(match () {
            () if !set.verdict.restorable() => Status::Failed,
            () if !set.missing.is_empty() || set.end == End::Open => Status::Problems,
            () => Status::Done,
        });
    }
    if face.is_json() {
        shipments.iter().for_each(|one| emit(&forget::in_progress_json(one)));
    } else if !shipments.is_empty() {
        out(&forget::in_progress(&shipments));
    }
    Ok(if face.problems().is_empty() { status } else { status.merge(Status::Problems) })
}

/// Says how far a restore is: 0 nothing is left, 4 something waits, 1 something is lost.
fn restoring(to: &Path, args: &StatusArgs, face: &Face) -> Result<Status, Refusal> {
    let found =
        verbs::restoring::restoring(to, &args.paths, face.monitor()).map_err(|e| match e {
            RestoringError::Open(e) => open_refusal(e),
            e @ RestoringError::Destination { .. } => {
                Refusal::failed(e).hint("--to names the folder that holdall restore was given")
            }
        })?;
    face.finish();
    face.print_problems();
    let Some(found) = found else {
        let to = to.display();
        let text = format!("no restore is in progress in {to}: it is complete, or was never begun");
        face.monitor().note(&text);
        return Ok(Status::Done);
    };
    if face.is_json() {
        found.sets.iter().for_each(|set| emit(&restoring_json(&found, set)));
    } else {
        out(&restoring_text(&found, to));
    }
    let state = |set: &SetProgress| match &set.state {
        SetState::Complete { .. } => Status::Done,
        SetState::Begun(seen) if seen.lost > 0 => Status::Failed,
        SetState::Begun(_) | SetState::Unseen => Status::Waiting,
    };
    let more = if found.more_sets { Status::Waiting } else { Status::Done };
    let status = found.sets.iter().map(state).fold(more, Status::merge);
    Ok(if face.problems().is_empty() { status } else { status.merge(Status::Problems) })
}

/// How far a restore is.
fn restoring_text(found: &Restoring, to: &Path) -> String {
    let to = to.display().to_string();
    let to = shown_text(&to);
    let mut t = format!("Restore of shipment {} to {to}:\n", found.shipment);
    if let Some(selection) = &found.selection {
        let _ = writeln!(t, "Of it what {} selects.", shown_text(selection));
    }
    for set in &found.sets {
        let state = match &set.state {
            SetState::Complete { entries } => {
                format!("complete, {}", some(*entries, "entry"))
            }
            SetState::Unseen => "waits: none of its drives has been here yet".into(),
            SetState::Begun(seen) => begun(seen),
        };
        let _ = writeln!(t, "Set {}: {state}.", set.name);
        for (slot, case, path) in &set.here {
            let slot = slot_name(*slot);
            let _ = writeln!(t, "  slot {slot:>3}  case {case}  {} is here", shown_text(path));
        }
    }
    if found.more_sets {
        t.push_str("The shipment has further sets, of which no drive has been here yet.\n");
    }
    t.push_str("What waits: attach it, and run the same holdall restore again.\n");
    t
}

/// What a set that was begun waits for.
fn begun(seen: &Seen) -> String {
    let mut words = Vec::new();
    if !seen.ended {
        words.push("its restore was stopped, or goes on now".into());
    }
    if seen.waiting > 0 {
        words.push(format!("waits with {}", some(seen.waiting, "file")));
    }
    if seen.lost > 0 {
        words.push(format!("{} cannot be had from any drive", some(seen.lost, "file")));
    }
    let drive = |(slot, case): &(u16, Option<String>)| {
        format!("slot {slot} (case {})", case.as_deref().unwrap_or("?"))
    };
    let of = |wanted: &dyn Fn(u16) -> bool| {
        let drives = seen.absent.iter().filter(|(slot, _)| wanted(*slot)).map(drive);
        drives.collect::<Vec<_>>().join(", ")
    };
    if !seen.needed.is_empty() {
        let needed = of(&|slot| seen.needed.contains(&slot));
        words.push(format!("needs at least {} of: {needed}", seen.at_least));
    } else if !seen.absent.is_empty() {
        words.push(format!("not here were {}", of(&|_| true)));
    }
    if words.is_empty() { "begun".into() } else { words.join("; ") }
}

/// The same for programs.
fn restoring_json(found: &Restoring, set: &SetProgress) -> Value {
    let (entries, seen) = match &set.state {
        SetState::Complete { entries } => (Some(*entries), None),
        SetState::Begun(seen) => (None, Some(seen)),
        SetState::Unseen => (None, None),
    };
    let default = Seen::default();
    let facts = seen.unwrap_or(&default);
    json!({
        "event": "restoring",
        "shipment": found.shipment,
        "selection": found.selection,
        "set": set.name,
        "state": match &set.state {
            SetState::Complete { .. } => "complete",
            SetState::Begun(_) => "begun",
            SetState::Unseen => "unseen",
        },
        "entries": entries,
        "ended": facts.ended,
        "waiting": facts.waiting,
        "lost": facts.lost,
        "absent": facts.absent.iter().map(|(slot, case)| json!({
            "slot": slot, "case": case,
        })).collect::<Vec<_>>(),
        "needed": facts.needed,
        "at_least": facts.at_least,
        "here": set.here.iter().map(|(slot, case, path)| json!({
            "slot": slot.0, "case": case, "drive": path,
        })).collect::<Vec<_>>(),
        "more_sets": found.more_sets,
    })
}
