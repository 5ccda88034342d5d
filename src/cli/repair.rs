//! `repair` on the command line.

use super::args::repair::RepairArgs;
use super::exit::Status;
use super::next::command;
use super::output::{emit, out};
use super::refusal::{NO_DRIVE, Refusal, WAIT, drive_hint, open_refusal};
use super::sizes::shown_bytes;
use super::text::{level_words, slot_name, some};
use super::ui::Ui;
use crate::commands::repair::{self as command, RepairError, RepairOptions, SetRepair};
use crate::drives::Level;
use crate::format::ids::Slot;
use crate::format::shown::{shown_text, typed};
use crate::repairer::onto::OntoError;
use crate::repairer::origin::OriginError;
use crate::repairer::{DriveRepair, Refused};
use serde::Serialize;
use std::fmt::Write as _;

pub fn repair(args: &RepairArgs, ui: &Ui) -> Result<Status, Refusal> {
    let options = repair_options(args)?;
    let sets = command::repair(&options, ui.monitor()).map_err(refusal)?;
    ui.finish();
    ui.print_problems();
    let mut status = Status::Done;
    for set in &sets {
        if ui.is_json() {
            emit("repaired", &RepairedEvent::from(set));
        } else {
            out(&repaired(set));
        }
        status = status.merge(set_status(set));
    }
    Ok(if ui.problems().is_empty() { status } else { status.merge(Status::Problems) })
}

/// 0 all that was given is whole; 3 some damage waits for drives; 1 beyond repair, or refused.
fn set_status(set: &SetRepair) -> Status {
    if set.conflict.is_some() || set.repaired.stopped || set.is_beyond() {
        Status::Failed
    } else if !set.is_whole() {
        Status::Problems
    } else {
        Status::Done
    }
}

/// What the arguments mean.
fn repair_options(args: &RepairArgs) -> Result<RepairOptions, Refusal> {
    if args.slot.is_some() && args.onto.len() != 1 {
        let hint = "name one new drive with --onto, and its slot with --slot";
        return Err(Refusal::usage("--slot belongs to one new drive", hint));
    }
    Ok(RepairOptions {
        paths: args.paths.clone(),
        onto: args.onto.clone(),
        folder_drives: args.folder_drives,
        slot: args.slot.map(Slot),
        expect: args.expect,
        memory: args.memory.memory,
    })
}

/// What to do when nothing was repaired.
fn refusal(error: RepairError) -> Refusal {
    let (hint, status) = match error {
        RepairError::Open(error) => return open_refusal(error),
        RepairError::Drive(ref drive) => {
            let hint = drive_hint(&drive.source);
            return Refusal::failed(error).hint(hint).status(Status::Usage);
        }
        RepairError::InUse(_) => (WAIT, Status::Failed),
        RepairError::NoDrive(_) => (NO_DRIVE, Status::Usage),
        RepairError::Case { .. } => ("write --onto CASE=PATH", Status::Usage),
        RepairError::SeveralSets { .. } => {
            ("name the drives of one set (holdall status says which is which)", Status::Usage)
        }
        RepairError::Root(_) => (
            "compare it with the root that pack printed: these may be other drives",
            Status::Failed,
        ),
        RepairError::Onto(OntoError::Carries { .. }) => (
            "name it as a drive of the set, without --onto: it is repaired in place",
            Status::Usage,
        ),
        RepairError::Onto(OntoError::Room { drive, free, needed }) => {
            let [free, needed] = [free, needed].map(shown_bytes);
            let text = format!("{drive} has room for {free}, but {needed} is needed");
            let hint = "make room on it, or use a larger drive";
            return Refusal::usage(text, hint).status(Status::Failed);
        }
        RepairError::Onto(OntoError::Drive(_)) => ("", Status::Failed),
        RepairError::Onto(_) => ("holdall status says which slots are missing", Status::Usage),
    };
    let refusal = Refusal::failed(error).status(status);
    if hint.is_empty() { refusal } else { refusal.hint(hint) }
}

/// What was done to a drive, in a few words.
fn done(d: &DriveRepair) -> String {
    let mut words = Vec::new();
    let mut add = |count: u64, noun: &str, verb: &str| {
        if count > 0 {
            words.push(format!("{} {verb}", some(count, noun)));
        }
    };
    add(d.blocks, "block", "rewritten");
    add(d.shards, "file", "written");
    add(d.files, "small file", "written");
    add(d.left_shards, "file", "still bad");
    add(d.left_files, "small file", "still bad");
    if d.failed {
        words.push("it failed".into());
    }
    match &words[..] {
        [] => "nothing written".into(),
        _ if d.level == Level::None => words.join(", "),
        _ => format!("{}; read back {}", words.join(", "), level_words(d.level)),
    }
}

/// Why a set was not touched, and what helps.
fn refused(set: &SetRepair, conflict: &OriginError) -> String {
    let mut t = String::new();
    let _ = writeln!(t, "Set {}: {conflict}. Nothing was written.", set.name);
    let sides = match conflict {
        OriginError::Conflict { sides, .. } | OriginError::Gaps { sides } => sides,
        OriginError::NoSuchRoot => "",
    };
    let typed = |verb: &str| command(verb, set.here.iter().map(String::as_str));
    let others = if set.missing.is_empty() { "" } else { " PATH..." };
    let _ = if sides.is_empty() {
        writeln!(
            t,
            "The set was not closed, so no root decides. Attach all of its drives; its key decides, and \
                 closes it:\n{}{others} -i IDENTITY",
            typed("close")
        )
    } else if !matches!(conflict, OriginError::Gaps { .. }) {
        writeln!(
            t,
            "The drives vouch for: {sides}\nAttach the set's other drives, or say which root pack \
                 printed:\n{} --expect ROOT",
            typed("repair")
        )
    } else if !set.missing.is_empty() {
        writeln!(t, "Attach the set's other drives, too:\n{}{others}", typed("repair"))
    } else {
        writeln!(
            t,
            "No drive of the set has them, so nothing brings them back. Pack the dataset again; if that \
                 is impossible, restore what is left:\n{} -i IDENTITY --to FOLDER --give-up",
            typed("restore")
        )
    };
    t
}

/// What was done to a set.
fn repaired(set: &SetRepair) -> String {
    let mut t = String::new();
    if let Some(conflict) = &set.conflict {
        return refused(set, conflict);
    }
    let here = u64::from(set.drive_count) - set.missing.len() as u64;
    let _ =
        writeln!(t, "Set {}: {} of {} attached.", set.name, some(here, "drive"), set.drive_count);
    for d in &set.repaired.drives {
        let new = if d.new && d.is_whole() && !set.repaired.stopped {
            " (reconstructed)"
        } else if d.new {
            " (new)"
        } else {
            ""
        };
        let (slot, case, name) = (slot_name(d.slot), &d.case, shown_text(&d.name));
        let _ = writeln!(t, "  slot {slot:>3}  case {case}  {name}{new}: {}", done(d));
    }
    if !set.missing.is_empty() {
        let slots: Vec<_> = set.missing.iter().map(ToString::to_string).collect();
        let _ = writeln!(t, "  not attached: slot {}", slots.join(", "));
    }
    let r = &set.repaired;
    if !r.waiting.is_empty() {
        let all = r.drives.iter().filter(|d| !d.new).map(|d| d.name.as_str());
        let again = command("repair", all);
        let _ = writeln!(
            t,
            "The drives that are attached are not enough to repair all of it. Attach more of the set, and \
             run: {again} PATH..."
        );
    }
    if !r.beyond.is_empty() {
        let all = r.drives.iter().filter(|d| !d.new).map(|d| d.name.as_str());
        let restore = command("restore", all);
        let _ = writeln!(
            t,
            "Some of it cannot be reconstructed from any drive. To restore what is left: {restore} \
             -i IDENTITY --to FOLDER --give-up"
        );
    }
    if set.gaps {
        t.push_str(
            "Records are missing on all these drives: some data cannot be found. Attach another drive of \
             the set; if there is none, pack the dataset again.\n",
        );
    }
    if !r.keyless.is_empty() {
        t.push_str(
            "None of these drives is known to have a sound copy of one of the wrapped keys: without it, \
             what it sealed cannot be opened.\n",
        );
    }
    if !set.alone.is_empty() {
        let names = set.alone.join(", ");
        let close = command("close", r.drives.iter().map(|d| d.name.as_str()));
        let _ = writeln!(
            t,
            "Only {names} says that some of it was packed, so that was not copied to the others. The key \
             shows whether the packer made it:\n{close} -i IDENTITY"
        );
    }
    r.drives.iter().for_each(|drive| t.push_str(&why_not(set, drive)));
    t.push_str(if r.stopped {
        "Stopped before the end: run it again to resume.\n"
    } else if !set.is_whole() {
        "Some damage remains: see the problems above.\n"
    } else if set.strangers.is_empty() {
        "Every drive that was named is whole.\n"
    } else {
        "Every drive of the set that was named is whole.\n"
    });
    t.push_str(&to_close(set).unwrap_or_default());
    set.strangers.iter().for_each(|stranger| t.push_str(&stranger_text(set, stranger)));
    t
}

/// What to type to close a set that is whole and was never closed.
fn to_close(set: &SetRepair) -> Option<String> {
    let is_open = set.root.is_none() && set.missing.is_empty() && set.is_whole();
    let close = command("close", set.repaired.drives.iter().map(|d| d.name.as_str()));
    is_open.then(|| {
        format!(
            "The set was never closed. If nothing more is to be packed onto it, close it: {close}\n"
        )
    })
}

/// Why a drive is not whole, and what helps; nothing of one that is.
fn why_not(set: &SetRepair, drive: &DriveRepair) -> String {
    let r = &set.repaired;
    if drive.is_whole() || r.stopped {
        return String::new();
    }
    let is_gone = |d: &DriveRepair| d.failed && d.refusal == Refused::Gone;
    let others = r.drives.iter().filter(|d| d.slot != drive.slot && !is_gone(d));
    let others = command("repair", others.map(|d| d.name.as_str()));
    let onto = typed(&format!("{}=PATH", drive.case));
    let (name, slot) = (shown_text(&drive.name), slot_name(drive.slot));
    if drive.failed && drive.refusal == Refused::ReadOnly {
        format!(
            "{name} (slot {slot}) is mounted read-only: mount it writable, and run the same command \
             again.\n"
        )
    } else if drive.failed && drive.refusal == Refused::Full {
        format!("{name} (slot {slot}) is full: make room on it, and run the same command again.\n")
    } else if drive.failed {
        format!(
            "{name} (slot {slot}) vanished or refused what was written to it. Attach it again and \
             run the same command again, or put another in its place:\n{others} --onto {onto}\n"
        )
    } else if drive.left_shards > 0 && !r.waiting.is_empty() {
        format!("{name} (slot {slot}) needs more drives of the set.\n")
    } else if drive.left_shards > 0 && !r.beyond.is_empty() {
        format!("{name} (slot {slot}): what is left of the set is not enough for it.\n")
    } else if drive.left_shards > 0 {
        format!(
            "{name} (slot {slot}) does not keep what is written to it. To put another in its \
             place:\n{others} --onto {onto}\n"
        )
    } else {
        format!(
            "{name} (slot {slot}): {} could not be repaired: no attached drive has a sound copy, or this \
             one does not keep it.\n",
            some(drive.left_files, "small file")
        )
    }
}

/// A drive was named that carries nothing.
fn stranger_text(set: &SetRepair, stranger: &str) -> String {
    if set.missing.is_empty() {
        return format!("{stranger} carries no set, and no drive of this set is missing.\n");
    }
    let names = set.repaired.drives.iter().map(|d| d.name.as_str());
    let case = set.missing_case.as_deref().unwrap_or("CASE");
    let onto = format!("{case}={stranger}");
    format!(
        "{stranger} carries no set. To reconstruct a lost drive on it:\n{} --onto {}\n",
        command("repair", names),
        typed(&onto),
    )
}

/// The same for programs.
#[derive(Serialize)]
struct RepairedEvent<'a> {
    #[serde(flatten)]
    set: &'a SetRepair,
    whole: bool,
    contradictions: &'a [String],
}

impl<'a> From<&'a SetRepair> for RepairedEvent<'a> {
    fn from(set: &'a SetRepair) -> Self {
        let contradictions = set.conflict.as_ref().map_or(&[][..], OriginError::files);
        Self { set, whole: set.is_whole(), contradictions }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::ids::{RunId, StripeId, StripeNumber};

    fn drive(slot: u16) -> DriveRepair {
        DriveRepair {
            slot: Slot(slot),
            case: "b 2".into(),
            name: format!("/media/my drive {slot}"),
            new: false,
            blocks: 0,
            shards: 0,
            files: 0,
            left_shards: 0,
            left_files: 0,
            failed: false,
            refusal: Refused::Other,
            level: Level::None,
        }
    }

    fn set(second: DriveRepair) -> SetRepair {
        let mut set = SetRepair {
            name: "set".into(),
            drive_count: 3,
            here: Vec::new(),
            root: None,
            missing: vec![Slot(3)],
            missing_case: Some("c".into()),
            strangers: Vec::new(),
            conflict: None,
            gaps: false,
            alone: Vec::new(),
            repaired: crate::repairer::Repaired::default(),
        };
        set.repaired.drives = vec![drive(1), second];
        set
    }

    /// A repair that cannot do what the rule promises says which drive, and why.
    #[test]
    fn a_drive_that_is_not_whole_is_named_with_why() {
        let failed = repaired(&set(DriveRepair { failed: true, ..drive(2) }));
        let command = "holdall repair '/media/my drive 1' --onto 'b 2=PATH'\n";
        assert!(failed.contains("/media/my drive 2 (slot 2) vanished or refused"), "{failed}");
        assert!(failed.contains(command), "{failed}");
        let forgets = repaired(&set(DriveRepair { left_shards: 3, ..drive(2) }));
        assert!(forgets.contains("does not keep what is written to it"), "{forgets}");
        assert!(forgets.contains(command), "{forgets}");
        let refusing = |refusal| DriveRepair { failed: true, refusal, ..drive(2) };
        for (refusal, said) in [
            (Refused::ReadOnly, "is mounted read-only: mount it writable"),
            (Refused::Full, "is full: make room on it"),
        ] {
            let text = repaired(&set(refusing(refusal)));
            assert!(text.contains(said) && !text.contains("--onto"), "{text}");
        }
        // What only refuses to be written to can still be read.
        let mut two = set(DriveRepair { failed: true, ..drive(2) });
        two.repaired.drives[0].failed = true;
        assert!(repaired(&two).contains(command), "{}", repaired(&two));
        let mut waits = set(DriveRepair { left_shards: 3, ..drive(2) });
        let stripe = StripeId { run: RunId(1), number: StripeNumber(1) };
        waits.repaired.waiting.insert(stripe);
        let text = repaired(&waits);
        assert!(text.contains("(slot 2) needs more drives of the set"), "{text}");
        assert!(
            text.contains("run: holdall repair '/media/my drive 1'") && !text.contains("--onto"),
            "{text}"
        );
        assert!(waits.is_whole() == waits.is_beyond(), "neither");
        waits.repaired.waiting.clear();
        waits.repaired.beyond.insert(stripe);
        let text = repaired(&waits);
        assert!(text.contains("what is left of the set is not enough for it"), "{text}");
        assert!(waits.is_beyond());
        let whole = repaired(&set(drive(2)));
        assert!(!whole.contains("(slot 2)") && whole.contains("is whole."), "{whole}");
    }
}
