//! What a restore says at its end.

use super::some;
use crate::cli::shown_text;
use crate::cli::sizes::shown_bytes;
use crate::verbs::next::Next;
use crate::verbs::restore::RestoreOutcome;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::path::Path;

/// What may be said of the files when none is lost and none waits.
fn complete(outcome: &RestoreOutcome) -> String {
    let r = &outcome.restored;
    if r.end_unknown && r.entries + r.already + r.known == 0 {
        return "Nothing was committed to these drives: there is nothing to restore.\n".into();
    }
    let file = if outcome.selection.is_some() { "selected file" } else { "file" };
    let mut t = String::new();
    if r.refused > 0 {
        let _ = writeln!(t, "Every other {file} is complete and verified.");
    } else if r.packed_badly > 0 {
        let _ = writeln!(
            t,
            "{} could not be read, or changed, while the dataset was packed: listed above.\n\
             Every other {file} is complete and verified.",
            some(r.packed_badly, "file")
        );
    } else {
        let _ = writeln!(t, "Every {file} is complete and verified.");
    }
    if r.metadata_problems > 0 {
        let count = some(r.metadata_problems, "entry");
        let _ = writeln!(t, "Not all metadata was kept: {count}, listed by kind above.");
    } else if outcome.metadata_before {
        t.push_str("Not all metadata was kept: an earlier run of this restore listed what.\n");
    }
    t
}

/// `slot 4 (case b)`
pub fn drive_name((slot, case): &(u16, Option<String>)) -> String {
    format!("slot {slot} (case {})", shown_text(case.as_deref().unwrap_or("?")))
}

/// Which drives to attach.
pub fn next_step(drives: &[(u16, Option<String>)], next: &Next) -> String {
    let of = drives.iter().filter(|(slot, _)| next.of.contains(slot)).map(drive_name);
    let of = of.collect::<Vec<_>>().join(", ");
    let some = if next.count < next.of.len() {
        format!("attach at least {} of {of}", next.count)
    } else {
        format!("attach {of}")
    };
    match next.one_by_one {
        true if next.of.len() > 1 => format!("{some}; one after the other is enough"),
        true => some,
        false => format!(
            "{some} together with those that are attached now, or one after the other with --stage \
             FOLDER"
        ),
    }
}

/// What is not there, and what brings it.
fn missing(outcome: &RestoreOutcome, to: &Path) -> String {
    let r = &outcome.restored;
    let mut t = String::new();
    if !outcome.awaited.is_empty() {
        let several = outcome.awaited.len() > 1;
        let what = match (outcome.given_up, several) {
            (true, false) => "was given up",
            (true, true) => "were given up",
            (false, false) => "waits: attach its drives and run the same command again",
            (false, true) => "wait: attach their drives and run the same command again",
        };
        let sets = if several { "sets" } else { "set" };
        let _ = writeln!(t, "Of this shipment {sets} {} {what}.", outcome.awaited.join(", "));
    }
    if r.waiting > 0 {
        let _ = writeln!(
            t,
            "{} wait for drives that are not here. Attach them and run the same command again, or \
             add --give-up.",
            some(r.waiting, "file")
        );
    }
    for (set, drives, next) in &outcome.next {
        let _ = writeln!(t, "Next, of set {set}: {}.", next_step(drives, next));
    }
    if !r.stopped && !outcome.given_up && (r.waiting > 0 || !outcome.awaited.is_empty()) {
        let to = to.display().to_string();
        let quoted = shlex::try_quote(&to).unwrap_or_default();
        let to = shown_text(&quoted);
        let _ = writeln!(t, "holdall status --to {to} says at any time what waits for what.");
    }
    let listed = "the first are listed above, all with --missing FILE";
    if r.lost > 0 {
        let _ = writeln!(t, "{} cannot be restored; {listed}.", some(r.lost, "file"));
    }
    if r.refused + r.unsupported > 0 {
        let entries = some(r.refused + r.unsupported, "entry");
        let _ = writeln!(
            t,
            "The destination does not take {entries}; {listed}. Restore what is missed to another file \
             system, with --include."
        );
    }
    let hopeless = r.lost + r.unlisted > 0 && outcome.awaited.is_empty();
    if hopeless && !outcome.given_up && !r.stopped {
        t.push_str(
            "No drive that is not here would help: --salvage keeps what there is of incomplete files, \
             and --give-up ends the restore without the rest.\n",
        );
    }
    if outcome.unseen || r.unlisted > 0 || outcome.gaps || r.stopped {
        let why = match () {
            () if r.stopped => "it was stopped",
            () if r.unlisted > 0 => "lists of files could not be read",
            () if outcome.gaps => "records are missing",
            () => "of some sets no restore has come to its end yet",
        };
        let _ = writeln!(t, "The list of missing files is not complete: {why}.");
    }
    t
}

/// What was restored.
pub fn restored(outcome: &RestoreOutcome, to: &Path) -> String {
    let r = &outcome.restored;
    let mut t = String::new();
    if outcome.in_place {
        let entries = some(r.already, "entry").replace("entrys", "entries");
        return format!(
            "Everything that the sets here hold is in place already in {}: {entries}, going by names, \
             sizes and times.\n",
            shown_text(&to.display().to_string()),
        );
    }
    let _ = writeln!(
        t,
        "Restored {} to {}: {}, {}.",
        some(r.entries, "entry"),
        shown_text(&to.display().to_string()),
        some(r.files, "file"),
        shown_bytes(r.file_bytes),
    );
    if let Some(selection) = &outcome.selection {
        let of = outcome.of_entries.map(|all| some(all, "entry"));
        let of = of.map(|all| format!(" of {all}")).unwrap_or_default();
        let _ = writeln!(t, "The rest{of} was left out: {}.", shown_text(selection));
    }
    if r.already > 0 {
        let _ = writeln!(t, "{} were in place already.", some(r.already, "entry"));
    }
    if r.rebuilt_blocks > 0 {
        let _ = writeln!(
            t,
            "{} were rebuilt from parity: holdall verify names what is damaged, holdall repair heals it.",
            some(r.rebuilt_blocks, "block")
        );
    }
    if outcome.owners_left {
        t.push_str("Owners were not set: only root may.\n");
    }
    if outcome.attributes_left > 0 {
        let left = some(outcome.attributes_left, "extended attribute");
        let _ = writeln!(t, "{left} of the system were not set: only root may.");
    }
    t.push_str(&missing(outcome, to));
    if r.end_unknown {
        t.push_str(
            "Nothing tells whether more of the dataset was to follow: see the note above.\n",
        );
    }
    if r.stopped {
        t.push_str("Stopped as asked: run the same command again to go on from here.\n");
    } else if outcome.is_complete() {
        t.push_str(&complete(outcome));
    }
    t
}

/// The same for programs.
pub fn restored_json(outcome: &RestoreOutcome) -> Value {
    let r = &outcome.restored;
    json!({
        "event": "restored",
        "selection": outcome.selection,
        "of_entries": outcome.of_entries,
        "entries": r.entries,
        "files": r.files,
        "file_bytes": r.file_bytes,
        "already": r.already,
        "rebuilt_blocks": r.rebuilt_blocks,
        "lost": r.lost,
        "list_complete": !(outcome.unseen || r.unlisted > 0 || outcome.gaps || r.stopped),
        "waiting": r.waiting,
        "refused": r.refused,
        "unsupported": r.unsupported,
        "metadata_problems": r.metadata_problems,
        "packed_badly": r.packed_badly,
        "from_lists": r.from_lists,
        "end_unknown": r.end_unknown,
        "missing": outcome.missing.iter().map(|(set, slot, case)| json!({
            "set": set, "slot": slot, "case": case,
        })).collect::<Vec<_>>(),
        "next": outcome.next.iter().map(|(set, _, next)| json!({
            "set": set, "slots": next.of, "count": next.count, "one_by_one": next.one_by_one,
        })).collect::<Vec<_>>(),
        "stopped": r.stopped,
        "awaited_sets": outcome.awaited,
        "in_place": outcome.in_place,
        "complete": outcome.is_complete() && r.refused == 0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::restorer::Restored;

    #[test]
    fn of_a_set_that_committed_nothing_no_file_is_called_complete() {
        let text = |entries| {
            let restored = Restored { end_unknown: true, entries, ..Restored::default() };
            super::restored(&RestoreOutcome { restored, ..Default::default() }, Path::new("to"))
        };
        assert!(text(0).contains("Nothing was committed to these drives"), "{}", text(0));
        assert!(text(1).contains("Every file is complete and verified"), "{}", text(1));
    }
}
