//! `pack --close` on the command line.

use super::exit::Status;
use super::face::Face;
use super::json::{emit, out};
use super::run::{Refusal, open_refusal};
use super::show::some;
use super::{pack, rounds, verify};
use crate::entropy::System;
use crate::verbs::pack::{CloseError, Closed, Closing, to_close};
use crate::verbs::verify::SetOutcome;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::path::PathBuf;

/// Closes a set early.
pub fn close(paths: &[PathBuf], yes: bool, face: &Face) -> Result<Status, Refusal> {
    let set = to_close(paths, face.monitor()).map_err(refusal)?;
    if paths.is_empty() && !yes {
        let drives: Vec<&str> = set.all_drives().map(|found| found.drive.name()).collect();
        let what = format!("to be closed: set {} on {}", set.name(), drives.join(", "));
        let hint = "name its drives: holdall pack --close PATH...; or add --yes";
        rounds::confirm(&what, "Close it?", hint, face)?;
    }
    let closing = crate::verbs::pack::close(&set, yes, &System, face.monitor());
    match closing.map_err(refusal)? {
        Closing::Pack(prepared) => Ok(pack::one_set(*prepared, face)?.0),
        Closing::Done(closed) => {
            face.finish();
            face.print_problems();
            if face.is_json() {
                emit(&closed_json(&closed));
            }
            verify::say(&closed.proof, face);
            if !face.is_json() {
                out(&closed_text(&closed));
            }
            Ok(proof_status(&closed.proof, face))
        }
    }
}

/// 0 read back and whole; 3 not all of it; 1 what is there is not enough.
pub fn proof_status(proof: &SetOutcome, face: &Face) -> Status {
    match () {
        () if proof.root.is_none() || !proof.is_restorable() => Status::Failed,
        () if !face.problems().is_empty() || !proof.is_proven() => Status::Problems,
        () => Status::Done,
    }
}

/// What was done, after what verify says.
fn closed_text(closed: &Closed) -> String {
    let mut t = String::from("\n");
    let stripes = some(closed.stripes, "stripe");
    let _ = match () {
        () if closed.proof.root.is_none() => writeln!(t, "Set {} is not closed.", closed.set),
        () if closed.again && closed.drives.iter().all(|d| d.files == 0 && !d.failed) => {
            writeln!(t, "Set {} was closed before: nothing was to be done.", closed.set)
        }
        () if closed.again => {
            writeln!(t, "Set {} was closed before; what drives lacked was written.", closed.set)
        }
        () => writeln!(t, "Set {} is closed with the {stripes} that its records name.", closed.set),
    };
    for d in &closed.drives {
        let failed = if d.failed { "; it failed" } else { "" };
        let _ = writeln!(t, "  {}: {} written{failed}", d.name, some(d.files, "file"));
    }
    if !closed.absent.is_empty() {
        let slots: Vec<_> = closed.absent.iter().map(ToString::to_string).collect();
        let slots = slots.join(", ");
        let _ = writeln!(t, "Closed without slot {slots}: holdall repair completes them later.");
    }
    if closed.litter > 0 {
        let _ = writeln!(
            t,
            "{} that no record names were left: without the packing machine's state nothing \
             proves that they are not needed. They do no harm.",
            some(closed.litter, "file"),
        );
    }
    if closed.further_sets.is_none() {
        t.push_str(
            "What is in the set can be restored. The set cannot tell whether more of the dataset \
             was to follow.\n",
        );
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
fn closed_json(closed: &Closed) -> Value {
    json!({
        "event": "closed",
        "set": closed.set,
        "root": closed.proof.root,
        "stripes": closed.stripes,
        "again": closed.again,
        "last": closed.further_sets.map(|further| !further),
        "absent": closed.absent.iter().map(|slot| slot.0).collect::<Vec<_>>(),
        "drives": closed.drives.iter().map(|d| json!({
            "drive": d.name, "files": d.files, "failed": d.failed,
        })).collect::<Vec<_>>(),
        "litter": closed.litter,
        "proven": closed.proof.is_proven(),
        "stopped": closed.proof.is_stopped(),
    })
}

/// What to do when a set is not closed.
fn refusal(error: CloseError) -> Refusal {
    let (hint, status) = match error {
        CloseError::Open(error) => return open_refusal(error),
        CloseError::Pack(error) => return pack::refusal(error),
        CloseError::Several { .. } => {
            ("name the drives of one set (holdall status says which is which)", Status::Usage)
        }
        CloseError::Absent { .. } => (
            "attach it; or, if it is lost, add --yes: what was committed on it alone is then left \
             out for good",
            Status::Usage,
        ),
        CloseError::Gaps { .. } => (
            "attach the other drives of the set; holdall restore --give-up has what can be had",
            Status::Failed,
        ),
        CloseError::Nothing { .. } => ("holdall erase removes it", Status::Failed),
        CloseError::Conflict { .. } => (
            "holdall repair --expect ROOT decides which is right, if the set was closed; see \
             holdall verify",
            Status::Failed,
        ),
    };
    Refusal::failed(error).hint(hint).status(status)
}
