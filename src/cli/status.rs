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
use crate::verbs::progress::Seen;
use crate::verbs::restoring::{Restoring, RestoringError, SetProgress, SetState};
use crate::verbs::shipments::InProgress;
use crate::verbs::status::End;
use serde_json::{Value, json};
use std::collections::BTreeSet;
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
            SetState::Begun(seen) => begun(set, seen),
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
    t.push_str("After each step run the same holdall restore again.\n");
    t
}

/// What a set that was begun waits for.
fn begun(set: &SetProgress, seen: &Seen) -> String {
    let mut words = Vec::new();
    if !seen.ended {
        words.push("its restore was stopped, or goes on now".into());
    }
    if seen.waiting > 0 {
        words.push(format!("waits with {}", some(seen.waiting, "file")));
    }
    if seen.lost > 0 {
        let lost = some(seen.lost, "entry").replace("entrys", "entries");
        words.push(format!(
            "{lost} cannot be restored from any drive: --salvage keeps what there is of incomplete \
             files, --give-up ends the restore without them"
        ));
    }
    let slots = |wanted: &BTreeSet<u16>| {
        let drives = seen.drives.iter().filter(|(slot, _)| wanted.contains(slot));
        drives.map(show::drive_name).collect::<Vec<_>>().join(", ")
    };
    if !seen.been.is_empty() {
        words.push(format!("here before were {}", slots(&seen.been)));
    }
    if !seen.kept().is_empty() {
        words.push(format!("shards are kept of {}", slots(&seen.kept())));
    }
    let attached = set.here.iter().map(|(slot, _, _)| slot.0).collect();
    match seen.next(&attached) {
        Some(next) => words.push(format!("next: {}", show::next_step(&seen.drives, &next))),
        None if seen.waiting > 0 && !attached.is_empty() => {
            words.push("next: run the same restore again with what is attached".into());
        }
        None => {}
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
    let attached = set.here.iter().map(|(slot, _, _)| slot.0).collect();
    let next = facts.next(&attached);
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
        "absent": facts.absent().map(|(slot, case)| json!({
            "slot": slot, "case": case,
        })).collect::<Vec<_>>(),
        "been": facts.been,
        "kept": facts.kept(),
        "needed": next.as_ref().map_or(&Vec::new(), |next| &next.of),
        "at_least": next.as_ref().map_or(0, |next| next.count),
        "one_by_one": next.as_ref().map(|next| next.one_by_one),
        "here": set.here.iter().map(|(slot, case, path)| json!({
            "slot": slot.0, "case": case, "drive": path,
        })).collect::<Vec<_>>(),
        "more_sets": found.more_sets,
    })
}
