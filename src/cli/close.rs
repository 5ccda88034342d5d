//! `close` on the command line.

use super::args::pack::CloseArgs;
use super::exit::Status;
use super::keys::identities;
use super::output::{emit, out};
use super::pack_set::{self, one_set};
use super::refusal::{Refusal, open_refusal};
use super::text::{some, verb};
use super::ui::Ui;
use super::{rounds, verify};
use crate::commands::pack::{CloseError, ClosedSet, Closing, set_to_close};
use crate::entropy::System;
use crate::repairer::origin::OriginError;
use crate::verification::SetOutcome;
use serde::Serialize;
use std::fmt::Write as _;

/// Closes a set early. A person is asked; for a program, the drives that are named say which set is
/// meant.
pub fn close(args: &CloseArgs, ui: &Ui) -> Result<Status, Refusal> {
    let paths = &args.paths;
    let identities = match &args.identities[..] {
        [] => None,
        files => Some(identities(files, ui)?),
    };
    let set = set_to_close(paths, ui.monitor()).map_err(refusal)?;
    let named = !paths.is_empty() && !args.which.latest;
    let unasked = named && (ui.is_json() || !rounds::can_ask());
    if !args.yes && !unasked {
        let drives: Vec<&str> = set.all_drives().map(|found| found.drive.name()).collect();
        let what = format!("to be closed: set {} on {}", set.name(), drives.join(", "));
        let hint = "name its drives: holdall close PATH...; or add --yes";
        rounds::confirm(&what, "Close it?", hint, ui)?;
    }
    let closing =
        crate::commands::pack::close(&set, args.yes, identities.as_ref(), &System, ui.monitor());
    match closing.map_err(refusal)? {
        Closing::Pack(prepared) => Ok(one_set(*prepared, ui)?.0),
        Closing::Done(closed) => {
            ui.finish();
            ui.print_problems();
            if ui.is_json() {
                emit("closed", &ClosedEvent::from(&*closed));
            }
            verify::say(&closed.proof, ui);
            if !ui.is_json() {
                out(&closed_text(&closed));
            }
            Ok(proof_status(&closed.proof, ui))
        }
    }
}

/// 0 read back and whole; 3 not all of it; 1 what is there is not enough.
pub fn proof_status(proof: &SetOutcome, ui: &Ui) -> Status {
    if proof.root.is_none() || !proof.is_restorable() {
        Status::Failed
    } else if !ui.problems().is_empty() || !proof.is_proven() {
        Status::Problems
    } else {
        Status::Done
    }
}

/// What was done, after what verify says.
fn closed_text(closed: &ClosedSet) -> String {
    let mut t = String::from("\n");
    let stripes = some(closed.stripes, "stripe");
    let _ = if closed.proof.root.is_none() {
        writeln!(t, "Set {} is not closed.", closed.set)
    } else if closed.again && closed.drives.iter().all(|d| d.files == 0 && !d.failed) {
        writeln!(t, "Set {} was closed before: there was nothing to do.", closed.set)
    } else if closed.again {
        writeln!(t, "Set {} was closed before; what was missing on drives was written.", closed.set)
    } else {
        writeln!(t, "Set {} is closed with the {stripes} that its records name.", closed.set)
    };
    for d in &closed.drives {
        let failed = if d.failed { "; it failed" } else { "" };
        let _ = writeln!(t, "  {}: {} written{failed}", d.name, some(d.files, "file"));
    }
    if !closed.absent.is_empty() {
        let slots: Vec<_> = closed.absent.iter().map(ToString::to_string).collect();
        let (them, slots) = (if slots.len() == 1 { "it" } else { "them" }, slots.join(", "));
        let _ = writeln!(t, "Closed without slot {slots}: holdall repair completes {them} later.");
    }
    if closed.litter > 0 {
        let _ = writeln!(
            t,
            "{} that no record names {} left: without the packing machine's state nothing proves \
             that such files are not needed. They do no harm.",
            some(closed.litter, "file"),
            verb(closed.litter, "was", "were"),
        );
    }
    if closed.last.is_none() {
        if closed.proof.is_restorable() {
            t.push_str("What is in the set can be restored. ");
        }
        t.push_str("Whether more of the dataset was to follow is not known.\n");
    }
    if closed.proof.is_proven() {
        t.push_str("Every block was read back. Unmount the drives, and they are safe to unplug.\n");
    } else {
        t.push_str("It is not proven. ");
        t.push_str(&super::verify::next_step(&closed.proof));
    }
    t
}

/// The same for programs.
#[derive(Serialize)]
struct ClosedEvent<'a> {
    #[serde(flatten)]
    closed: &'a ClosedSet,
    root: Option<&'a str>,
    proven: bool,
    stopped: bool,
}

impl<'a> From<&'a ClosedSet> for ClosedEvent<'a> {
    fn from(closed: &'a ClosedSet) -> Self {
        let proof = &closed.proof;
        let (proven, stopped) = (proof.is_proven(), proof.is_stopped());
        Self { closed, root: proof.root.as_deref(), proven, stopped }
    }
}

/// What to do when a set is not closed.
fn refusal(error: CloseError) -> Refusal {
    let (hint, status) = match error {
        CloseError::Open(error) => return open_refusal(error),
        CloseError::Pack(error) => return pack_set::refusal(error),
        CloseError::Several { .. } => {
            ("name the drives of one set (holdall status says which is which)", Status::Usage)
        }
        CloseError::Unready { ref hint, .. } => {
            let hint = hint.clone();
            return Refusal::failed(error).hint(hint);
        }
        CloseError::Absent { .. } => (
            "attach it; or, if it is lost, add --yes: what was committed on it alone is then left \
             out for good",
            Status::Usage,
        ),
        CloseError::Alone { ref without, ref alone, .. } => {
            let hint = format!(
                "add -i IDENTITY: what its runs made counts; or, without the key, close it by what the \
                 other drives say: {without}; or, if that drive was in good hands, by what it says: \
                 {alone}, and repair the others"
            );
            return Refusal::failed(error).hint(hint);
        }
        CloseError::Conflict { source: OriginError::Gaps { .. }, .. } => (
            "attach the other drives of the set; if records contradict each other, add -i IDENTITY; \
             holdall restore --give-up restores what is left",
            Status::Failed,
        ),
        CloseError::Nothing { .. } => ("holdall erase removes it", Status::Failed),
        CloseError::Conflict { .. } => (
            "if the set was closed, holdall repair PATH... --expect ROOT decides which is right; if not, \
             add -i IDENTITY",
            Status::Failed,
        ),
    };
    Refusal::failed(error).hint(hint).status(status)
}
