//! What a restore says at its end.

use super::some;
use crate::cli::shown_text;
use crate::cli::sizes::shown_bytes;
use crate::restorer::Restored;
use crate::verbs::restore::RestoreOutcome;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::path::Path;

/// What may be said of the files when none is lost and none waits.
fn complete(r: &Restored, is_selection: bool) -> String {
    let file = if is_selection { "selected file" } else { "file" };
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
    }
    t
}

/// What was restored.
pub fn restored(outcome: &RestoreOutcome, to: &Path) -> String {
    let r = &outcome.restored;
    let mut t = String::new();
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
        let _ = writeln!(t, "{} were rebuilt from parity.", some(r.rebuilt_blocks, "block"));
    }
    if outcome.owners_left {
        t.push_str("Owners were not set: only root may.\n");
    }
    if outcome.attributes_left > 0 {
        let left = some(outcome.attributes_left, "extended attribute");
        let _ = writeln!(t, "{left} of the system were not set: only root may.");
    }
    if outcome.gaps {
        t.push_str("Records are missing: there may be more that nothing here names.\n");
    }
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
        for (set, slot, case) in &outcome.missing {
            let case = case.as_deref().unwrap_or("?");
            let _ = writeln!(t, "  set {set}  slot {slot:>3}  case {case}");
        }
    }
    if r.waiting > 0 || !outcome.awaited.is_empty() && !outcome.given_up {
        let to = to.display().to_string();
        let quoted = shlex::try_quote(&to).unwrap_or_default();
        let to = shown_text(&quoted);
        let _ = writeln!(t, "holdall status --to {to} says at any time what waits for what.");
    }
    if r.lost > 0 {
        let _ = writeln!(
            t,
            "{} cannot be restored; the first are listed above, all with --missing FILE.",
            some(r.lost, "file")
        );
    }
    if r.refused + r.unsupported > 0 {
        let count = some(r.refused + r.unsupported, "entry");
        let _ = writeln!(
            t,
            "The destination does not take {count}, listed above: restore what is missed to another \
             file system, with --include."
        );
    }
    if r.end_unknown {
        t.push_str(
            "Nothing tells whether more of the dataset was to follow: see the note above.\n",
        );
    }
    if r.stopped {
        t.push_str("Stopped as asked: run the same command again to go on from here.\n");
    } else if r.is_complete() && !outcome.gaps && outcome.awaited.is_empty() {
        t.push_str(&complete(r, outcome.selection.is_some()));
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
        "stopped": r.stopped,
        "awaited_sets": outcome.awaited,
        "complete": r.is_complete() && r.refused == 0 && !outcome.gaps && outcome.awaited.is_empty(),
    })
}
