//! `status` on the command line: of drives, and of a restore in progress.

use super::args::inspect::StatusArgs;
use super::exit::Status;
use super::forget;
use super::output::{emit, out};
use super::refusal::{Refusal, open_refusal};
use super::show;
use super::text::{slot_name, some, verb};
use super::ui::Ui;
use crate::commands;
use crate::commands::restore_status::{RestoreStatus, RestoreStatusError, SetProgress, SetState};
use crate::commands::status::SetEnd;
use crate::format::shown::shown_text;
use crate::opening::open::OpenError;
use crate::pack_session::shipments::InProgress;
use crate::restore_journal::next_step::{Alternative, NextStep};
use crate::restore_journal::set_journal::SetJournal;
use crate::restorer::end::FateCounts;
use crate::shipment::slots::{AttachedDrive, MissingSlot};
use serde::Serialize;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

/// Says what is here.
pub fn status(args: &StatusArgs, ui: &Ui) -> Result<Status, Refusal> {
    if let Some(to) = &args.to {
        return restoring(to, args, ui);
    }
    // Of shipments in progress here, those on the drives that were named; without names, all.
    let mut shipments = crate::pack_session::shipments::in_progress().unwrap_or_default();
    let sets = match commands::status::status(&args.paths, ui.monitor()) {
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
    ui.finish();
    ui.print_problems();
    let mut status = if sets.is_empty() { Status::Waiting } else { Status::Done };
    for set in &sets {
        if ui.is_json() {
            emit("status", &show::StatusEvent::from(set));
        } else {
            out(&show::status(set));
        }
        let v = &set.verdict;
        let may_come = !v.would_help.is_empty() && !v.is_blank() && ui.problems().is_empty();
        status = status.merge(if !set.verdict.restorable() && !set.is_foreign {
            if may_come { Status::Waiting } else { Status::Failed }
        } else if !set.missing.is_empty() || set.end == SetEnd::Open {
            Status::Problems
        } else {
            Status::Done
        });
    }
    if ui.is_json() {
        shipments.iter().for_each(|one| emit("in-progress", one));
    } else if !shipments.is_empty() {
        out(&forget::in_progress(&shipments));
    }
    Ok(if ui.problems().is_empty() { status } else { status.merge(Status::Problems) })
}

/// Says how far a restore is: 0 nothing is left, 4 something waits, 1 something is lost.
fn restoring(to: &Path, args: &StatusArgs, ui: &Ui) -> Result<Status, Refusal> {
    let found = commands::restore_status::restore_status(to, &args.paths, ui.monitor()).map_err(
        |e| match e {
            RestoreStatusError::Open(e) => open_refusal(e),
            e @ RestoreStatusError::Destination { .. } => {
                Refusal::failed(e).hint("--to names the folder that holdall restore was given")
            }
        },
    )?;
    ui.finish();
    ui.print_problems();
    let Some(found) = found else {
        let to = to.display();
        let text = format!(
            "no restore is in progress in {to}: it has ended, or was never begun; what lies there was \
             not looked at"
        );
        ui.monitor().note(&text);
        return Ok(Status::Done);
    };
    if ui.is_json() {
        found.sets.iter().for_each(|set| emit("restoring", &RestoringEvent::new(&found, set)));
    } else {
        out(&restoring_text(&found, to));
    }
    let state = |set: &SetProgress| match &set.state {
        SetState::Complete { .. } => Status::Done,
        SetState::Begun(seen) if seen.not_in_place().lost + seen.not_in_place().refused > 0 => {
            Status::Failed
        }
        SetState::Begun(seen) if seen.is_open() => Status::Problems,
        SetState::Begun(_) | SetState::Unseen => Status::Waiting,
    };
    let more = if found.more_sets { Status::Waiting } else { Status::Done };
    let status = found.sets.iter().map(state).fold(more, Status::merge);
    Ok(if ui.problems().is_empty() { status } else { status.merge(Status::Problems) })
}

/// How far a restore is.
fn restoring_text(found: &RestoreStatus, to: &Path) -> String {
    let to = to.display().to_string();
    let to = shown_text(&to);
    let mut t = format!("Restore of shipment {} to {to}:\n", found.shipment);
    if let Some(selection) = &found.selection {
        let _ = writeln!(t, "Begun with {}.", shown_text(selection));
    }
    for set in &found.sets {
        let state = match &set.state {
            SetState::Complete { entries } => {
                format!("complete, {}", some(*entries, "entry"))
            }
            SetState::Unseen => unseen(set),
            SetState::Begun(seen) => begun(set, seen, found.full),
        };
        let _ = writeln!(t, "Set {}: {state}.", set.name);
        for AttachedDrive { slot, case, drive } in &set.here {
            let slot = slot_name(*slot);
            let _ = writeln!(t, "  slot {slot:>3}  case {case}  {} is attached", shown_text(drive));
        }
    }
    let of_sets: u64 = found.sets.iter().map(waiting).sum();
    if let Some(all) = found.waiting.filter(|all| *all != of_sets) {
        let _ = writeln!(
            t,
            "In total, {} {}; those that are in several sets count once.",
            some(all, "file"),
            verb(all, "waits", "wait"),
        );
    }
    if found.more_sets {
        t.push_str("The shipment has further sets; no drive of those has been attached yet.\n");
    }
    let waits = |set: &SetProgress| match &set.state {
        SetState::Complete { .. } => false,
        SetState::Begun(seen) => seen.waits(),
        SetState::Unseen => true,
    };
    if found.more_sets || found.sets.iter().any(waits) {
        t.push_str("After each step run the same holdall restore again.\n");
    }
    t
}

/// How many files of a set wait, as it knows.
fn waiting(set: &SetProgress) -> u64 {
    if let SetState::Begun(seen) = &set.state { seen.not_in_place().waiting } else { 0 }
}

/// The step that needs no drive more.
const AGAIN: &str = "next: run the same restore again with what is attached";

/// Of a set that was never closed, as far as its drives tell.
const OPEN: &str = "everything its drives list is in place, but there may be more: run the \
                    same restore with its other drives, or end it with --give-up";

/// What a set waits for of which nothing was begun.
fn unseen(set: &SetProgress) -> String {
    let next = if set.here.is_empty() { "next: attach its drives" } else { AGAIN };
    format!("waits: its restore has not begun; {next}")
}

/// What a set that was begun waits for.
fn begun(set: &SetProgress, seen: &SetJournal, full: bool) -> String {
    let mut words = Vec::new();
    let FateCounts { waiting, lost, refused } = seen.not_in_place();
    if !seen.ended && full {
        words.push("its restore was stopped, as the destination was full: make room there".into());
    } else if !seen.ended {
        words.push("its restore was stopped, or is running now".into());
    }
    if waiting > 0 {
        words.push(format!("waits with {}", some(waiting, "file")));
    }
    if lost > 0 {
        let lost = some(lost, "entry");
        words.push(format!(
            "{lost} cannot be restored from any drive: --salvage keeps what there is of incomplete \
             files, --give-up ends the restore without them"
        ));
    }
    if refused > 0 {
        let refused = some(refused, "entry");
        words.push(format!(
            "the destination refused {refused}: the same restore tries again, --give-up ends it without \
             them"
        ));
    }
    let slots = |wanted: &BTreeSet<u16>| {
        let drives = seen.drives.iter().filter(|(slot, _)| wanted.contains(slot));
        drives.map(show::drive_name).collect::<Vec<_>>().join(", ")
    };
    if !seen.been.is_empty() {
        words.push(format!("attached before: {}", slots(&seen.been)));
    }
    if !seen.kept().is_empty() {
        words.push(format!("shards are kept from {}", slots(&seen.kept())));
    }
    match next_step(set, seen) {
        Some(step) => words.push(format!("next: {}", show::next_step(&step))),
        None if seen.waits() && !set.here.is_empty() => words.push(AGAIN.into()),
        None => {}
    }
    if seen.is_open() {
        words.push(OPEN.into());
    }
    if words.is_empty() { "begun".into() } else { words.join("; ") }
}

/// The same for programs.
#[derive(Serialize)]
struct RestoringEvent<'a> {
    #[serde(flatten)]
    restore: &'a RestoreStatus,
    #[serde(flatten)]
    set: &'a SetProgress,
    state: &'static str,
    entries: Option<u64>,
    ended: bool,
    waiting: u64,
    lost: u64,
    refused: u64,
    absent: Vec<MissingSlot>,
    been: BTreeSet<u16>,
    end_unknown: bool,
    kept: BTreeSet<u16>,
    needed: Vec<u16>,
    at_least: usize,
    one_by_one: Option<bool>,
    instead: Option<Alternative>,
}

impl<'a> RestoringEvent<'a> {
    fn new(restore: &'a RestoreStatus, set: &'a SetProgress) -> Self {
        let (entries, seen) = match &set.state {
            SetState::Complete { entries } => (Some(*entries), SetJournal::default()),
            SetState::Begun(seen) => (None, (**seen).clone()),
            SetState::Unseen => (None, SetJournal::default()),
        };
        let step = next_step(set, &seen);
        let (next, instead) = step.map(|step| (step.next, step.instead)).unzip();
        let FateCounts { waiting, lost, refused } = seen.not_in_place();
        Self {
            restore,
            set,
            state: set.state.word(),
            entries,
            ended: seen.ended,
            waiting,
            lost,
            refused,
            absent: seen.absent().collect(),
            kept: seen.kept(),
            been: seen.been,
            end_unknown: seen.end_unknown,
            at_least: next.as_ref().map_or(0, |next| next.count),
            one_by_one: next.as_ref().map(|next| next.one_by_one),
            needed: next.map(|next| next.of).unwrap_or_default(),
            instead: instead.flatten(),
        }
    }
}

/// The next step of a set that was begun, with the drives that are here.
fn next_step(set: &SetProgress, seen: &SetJournal) -> Option<NextStep> {
    NextStep::of(set.number, seen, &set.here.iter().map(|drive| drive.slot.0).collect())
}
