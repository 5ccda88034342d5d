//! What a restore says at its end.

use crate::cli::progress::problems::KEPT;
use crate::cli::sizes::shown_bytes;
use crate::cli::text::{some, verb};
use crate::commands::restore::RestoreOutcome;
use crate::destination::NAMES;
use crate::format::shown::{shown_text, typed};
use crate::opening::unlock::SetRoot;
use crate::restore_journal::choice::DriveChoice;
use crate::restore_journal::next_step::{Alternative, NextStep};
use crate::restorer::{Restored, Specials};
use crate::stripes::stripe::Reconstructed;
use serde::Serialize;
use std::fmt::Write as _;
use std::path::Path;

/// Where entries are listed that are not there.
const LISTED: &str = "listed above, or in full with --missing FILE";

/// Of a set that was never closed, or closed without a key.
const END_UNKNOWN: &str =
    "Whether the dataset continues beyond this is not known: see the note above.\n";

/// Where nothing vouches for the end, the restore is not ended.
const STAYS_OPEN: &str = "DIR/.holdall is kept: run the same command again with other drives, or \
                          with --give-up to end the restore.\n";

/// What may be said of the files when none is lost and none waits.
fn complete(outcome: &RestoreOutcome) -> String {
    let r = &outcome.restored;
    if r.end_unknown && r.entries + r.already + r.known == 0 {
        return "Nothing was committed to these drives: there is nothing to restore.\n".into();
    }
    let file = match (&outcome.selection, r.not_taken) {
        (None, _) if r.end_unknown => "file that these drives name",
        (Some(_), _) if r.end_unknown => "selected file that these drives name",
        (Some(_), 0) => "selected file",
        (Some(_), _) => "selected file that was packed",
        (None, 0) => "file",
        (None, _) => "file that was packed",
    };
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

/// What is in no set.
pub fn not_taken(r: &Restored) -> String {
    if r.not_taken == 0 {
        return String::new();
    }
    let listed = match r.not_taken {
        few if few <= KEPT as u64 => "listed above",
        _ => "the first listed above, all with --json",
    };
    let entries = some(r.not_taken, "entry");
    format!("{entries} could not be packed in full: {listed}. The missing parts are in no set.\n")
}

/// `slot 4 (case b)`
pub fn drive_name((slot, case): &(u16, Option<String>)) -> String {
    format!("slot {slot} (case {})", shown_text(case.as_deref().unwrap_or("?")))
}

/// Which drives to attach.
pub fn next_step(step: &NextStep) -> String {
    let mut text = attach(step, &step.next);
    if let Some(Alternative { next, part }) = &step.instead {
        let those = if step.next.of.len() > 1 { "the ones not seen yet" } else { "it" };
        let part = if *part { " to get what the other drives hold," } else { "" };
        let _ = write!(text, "; or, if you cannot get {those},{part} {}", attach(step, next));
    }
    text
}

/// How to attach these drives of a step.
fn attach(step: &NextStep, next: &DriveChoice) -> String {
    let of = step.drives.iter().filter(|(slot, _)| next.of.contains(slot)).map(drive_name);
    let of = of.collect::<Vec<_>>().join(", ");
    let some = if next.count < next.of.len() {
        format!("attach at least {} of {of}", next.count)
    } else {
        format!("attach {of}")
    };
    let enough = if next.count > 1 { "; one at a time is enough" } else { "" };
    if !next.one_by_one && next.of.iter().any(|slot| step.blind.contains(slot)) {
        let with = match (next.of.len(), step.attached.is_empty()) {
            (_, false) => " together with those that are attached now",
            (1, true) => "",
            (_, true) => " together",
        };
        return format!("{some}{with}: one that is needed has damaged records or lists");
    }
    match (next.one_by_one, step.staged, step.attached.is_empty()) {
        (true, _, _) => some + enough,
        (_, true, true) => format!("with the same --stage FOLDER {some}{enough}"),
        (_, true, false) => format!(
            "run it with the same --stage FOLDER on what is attached now, then {some}{enough}"
        ),
        (_, _, true) if next.of.len() == 1 => some,
        (_, _, true) => format!("{some} together, or one at a time with --stage FOLDER"),
        (_, _, false) => format!(
            "{some} together with those that are attached now; or, with --stage FOLDER, run it \
             with those first, and then with one at a time"
        ),
    }
}

/// What is not there, and what brings it.
fn missing(outcome: &RestoreOutcome, to: &Path) -> String {
    let r = &outcome.restored;
    let mut t = String::new();
    if !outcome.in_use.is_empty() {
        let numbers: Vec<_> = outcome.in_use.iter().map(ToString::to_string).collect();
        let sets = verb(numbers.len() as u64, "set", "sets");
        let _ = writeln!(
            t,
            "Another holdall is restoring {sets} {} to the same folder: once it has ended, run this \
             command again.",
            numbers.join(", "),
        );
    } else if !outcome.awaited.is_empty() {
        let several = outcome.awaited.len() > 1 || outcome.awaited_more;
        let what = match (outcome.given_up, several) {
            (true, false) => "was given up",
            (true, true) => "were given up",
            (false, false) => "is still missing: attach its drives and run this command again",
            (false, true) => "are still missing: attach their drives and run this command again",
        };
        let sets = if outcome.awaited.len() > 1 { "Sets" } else { "Set" };
        let numbers: Vec<_> = outcome.awaited.iter().map(ToString::to_string).collect();
        let more = if outcome.awaited_more { " and perhaps more" } else { "" };
        let _ = writeln!(t, "{sets} {}{more} of this shipment {what}.", numbers.join(", "));
    }
    if r.waiting > 0 {
        let _ = writeln!(
            t,
            "{} {} for drives that are not attached. Attach them and run the same command again, \
             or add --give-up.",
            some(r.waiting, "file"),
            verb(r.waiting, "waits", "wait"),
        );
    }
    for step in &outcome.next {
        let _ = writeln!(t, "Next, for set {}: {}.", step.set, next_step(step));
    }
    if !r.stopped && !outcome.given_up && (r.waiting > 0 || !outcome.awaited.is_empty()) {
        let to = typed(&to.display().to_string());
        let _ = writeln!(t, "holdall status --to {to} shows at any time what still waits.");
    }
    if r.lost > 0 {
        let _ = writeln!(t, "{} cannot be restored; {LISTED}.", some(r.lost, "file"));
    }
    if r.refused + r.unsupported > 0 {
        let entries = some(r.refused + r.unsupported, "entry");
        let _ = writeln!(
            t,
            "The destination cannot hold {entries}; {LISTED}. Restore what is missing to another \
             file system, with --include."
        );
        if r.refused_names > 0 {
            let names = some(r.refused_names, "name");
            let _ = writeln!(
                t,
                "Of these, {names} cannot be held here: with --map-names, into another folder, they are \
                 restored under names that can (holdall help restore)."
            );
        }
    }
    if r.refused > 0 && !outcome.given_up {
        t.push_str("Run it again to retry what was refused, or add --give-up to end without it.\n");
    }
    let hopeless = r.lost + r.unlisted > 0 && outcome.awaited.is_empty();
    if hopeless && !outcome.given_up && !r.stopped {
        t.push_str(
            "No missing drive would help: --salvage keeps what there is of incomplete files, and \
             --give-up ends the restore without the rest.\n",
        );
    }
    if !outcome.is_list_complete() {
        let why = if r.stopped {
            "it was stopped"
        } else if r.unlisted > 0 {
            "lists of files could not be read"
        } else if outcome.gaps {
            "records are missing"
        } else if !outcome.in_use.is_empty() {
            "another holdall is still restoring some of it"
        } else if outcome.given_up {
            "what lies in the sets that were given up is not known"
        } else {
            "some sets have not been restored to the end yet"
        };
        let _ = writeln!(t, "The list of missing files is not complete: {why}.");
    }
    t
}

/// A restore that was finished before.
fn in_place(outcome: &RestoreOutcome, to: &Path, against: &str) -> String {
    let r = &outcome.restored;
    let unsure = r.unlisted > 0 || outcome.gaps;
    let (to, there) = (to.display().to_string(), some(r.already, "entry"));
    let to = shown_text(&to);
    let by = if outcome.untimed {
        "names, types and sizes alone (no times are kept there)"
    } else {
        "names, types, sizes and times alone"
    };
    let all = if unsure { "What can be listed" } else { "What the attached sets hold" };
    let mut t = match r.lost {
        0 => format!("Nothing was restored. {all} is in {to} already: {there}, judged by {by}.\n"),
        lost => format!(
            "No restore is in progress in {to}: {there} {} in place, judged by {by}, and {} {} \
             missing; {LISTED}. To restore what is missing, run the same command with its drives \
             attached and with a new folder after --to: for everything, or with --include and a \
             listed path for that one.\n",
            verb(r.already, "is", "are"),
            some(lost, "entry"),
            verb(lost, "is", "are"),
        ),
    };
    t.push_str("No file was read, and owners and modes were not looked at. ");
    if outcome.mapped_names > 0 {
        // It goes by the dataset's own names.
        let names = some(outcome.mapped_names, "name");
        let is = verb(outcome.mapped_names, "is", "are");
        let _ = writeln!(t, "{names} {is} mapped: see holdall help restore.");
    } else {
        let _ = writeln!(t, "To compare every byte, run {against}");
    }
    if r.metadata_problems > 0 {
        let links = some(r.metadata_problems, "symlink");
        let is = verb(r.metadata_problems, "is a small file", "are small files");
        let _ = writeln!(t, "{links} {is} with the target's path: symlinks cannot be made.");
    }
    if r.packed_badly > 0 {
        let files = some(r.packed_badly, "file");
        let _ = writeln!(t, "{files} could not be read, or changed, while the dataset was packed.");
    }
    t.push_str(&not_taken(r));
    if r.unsupported > 0 {
        let entries = some(r.unsupported, "entry");
        let _ = writeln!(
            t,
            "{entries} (pipes, devices or sockets) {} missing; {LISTED}.",
            verb(r.unsupported, "is", "are"),
        );
    }
    if unsure {
        t.push_str(
            "Lists or records could not be read, so there may be files that nothing names.\n",
        );
    }
    if !outcome.awaited.is_empty() {
        let sets: Vec<_> = outcome.awaited.iter().map(ToString::to_string).collect();
        let _ = writeln!(
            t,
            "Other drives of set {} can name them: attach one and run the same command again.",
            sets.join(", "),
        );
    }
    if outcome.unseen {
        t.push_str("Nothing is known about sets of the shipment that are not attached.\n");
    }
    if r.end_unknown {
        t.push_str(END_UNKNOWN);
    }
    t
}

fn were(count: u64) -> &'static str {
    verb(count, "was", "were")
}

/// What was rebuilt, and why it had to be.
fn reconstructed(reconstructed: Reconstructed) -> String {
    let (absent, damaged) = (reconstructed.all - reconstructed.damaged, reconstructed.damaged);
    let mut t = String::new();
    if absent > 0 {
        let blocks = some(absent, "block");
        let _ =
            writeln!(t, "{blocks} on missing drives {} reconstructed from parity.", were(absent));
    }
    if damaged > 0 {
        let _ = writeln!(
            t,
            "{} {} reconstructed from parity: holdall verify names the damage, and holdall repair \
             repairs it.",
            some(damaged, "damaged block"),
            were(damaged)
        );
    }
    t
}

/// `against` is the command that compares every byte of the tree with the drives.
pub fn restored(outcome: &RestoreOutcome, to: &Path, against: &str) -> String {
    let r = &outcome.restored;
    let mut t = String::new();
    if outcome.in_place {
        return in_place(outcome, to, against);
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
    let already = r.already + r.known;
    if already > 0 {
        let _ = writeln!(t, "{} {} in place already.", some(already, "entry"), were(already));
    }
    t.push_str(&reconstructed(r.reconstructed));
    if outcome.owners_left {
        t.push_str("Owners were not set: only root can set them.\n");
    }
    if outcome.attributes_left > 0 {
        let left = some(outcome.attributes_left, "extended attribute");
        let were = were(outcome.attributes_left);
        let _ = writeln!(t, "{left} of the system {were} not set: only root can set them.");
    }
    if !r.left.is_none() {
        let left = specials(&r.left, ["set-id entry", "system attribute"]);
        let _ = writeln!(t, "Left out, as --no-special asks: {left}.");
    }
    if outcome.mapped_names > 0 {
        t.push_str(&mapped(outcome, to));
    }
    t.push_str(&foreign(outcome));
    t.push_str(&missing(outcome, to));
    t.push_str(&not_taken(r));
    for SetRoot { set, root } in &outcome.roots {
        let _ = writeln!(t, "Root of set {set}: {root}");
    }
    if r.end_unknown {
        t.push_str(END_UNKNOWN);
    }
    if outcome.stays_open {
        t.push_str(STAYS_OPEN);
    }
    if r.stopped {
        t.push_str("Stopped as asked: run the same command again to resume.\n");
    } else if outcome.is_complete() {
        t.push_str(&complete(outcome));
    }
    if !r.made.is_none() && !outcome.expected {
        let made = specials(&r.made, ["setuid or setgid file", "file capability"]);
        let _ = writeln!(
            t,
            "This run created {made}, and no --expect ROOT proves who packed them: --no-special \
             leaves them out."
        );
    }
    t
}

/// What was mapped, and where it is listed: in DIR once the restore has ended.
fn mapped(outcome: &RestoreOutcome, to: &Path) -> String {
    let names = some(outcome.mapped_names, "name");
    let was = were(outcome.mapped_names);
    let has_ended = outcome.has_ended;
    if !has_ended {
        return format!("{names} {was} mapped so far; they are listed in DIR at the end.\n");
    }
    let list = to.join(NAMES).display().to_string();
    format!("{names} {was} mapped: {} lists the original names.\n", shown_text(&list))
}

/// What Windows could not open where it is now.
fn foreign(outcome: &RestoreOutcome) -> String {
    let Some(first) = &outcome.first_foreign else { return String::new() };
    let names = match outcome.foreign_names {
        1 => format!("1 of these names, {first}"),
        count => format!("{count} of these names, such as {first}"),
    };
    format!(
        "Windows cannot open {names}: to get names that it can, restore into another folder with \
         --map-names (holdall help restore).\n"
    )
}

/// How many there are of what is special, kind by kind; `names` are those of set-ids and
/// attributes.
fn specials(s: &Specials, names: [&str; 2]) -> String {
    let kinds = [(s.devices, "device node"), (s.set_ids, names[0]), (s.attributes, names[1])];
    let kinds = kinds.into_iter().filter(|(count, _)| *count > 0);
    kinds.map(|(count, name)| some(count, name)).collect::<Vec<_>>().join(", ")
}

/// The same for programs.
#[derive(Serialize)]
pub struct RestoredEvent<'a> {
    #[serde(flatten)]
    outcome: &'a RestoreOutcome,
    already: u64,
    list_complete: bool,
    left_devices: u64,
    left_set_ids: u64,
    left_attributes: u64,
    made_devices: u64,
    made_set_ids: u64,
    made_capabilities: u64,
    complete: bool,
}

impl<'a> From<&'a RestoreOutcome> for RestoredEvent<'a> {
    fn from(outcome: &'a RestoreOutcome) -> Self {
        let Restored { already, known, left, made, refused, .. } = &outcome.restored;
        Self {
            outcome,
            already: already + known,
            list_complete: outcome.is_list_complete(),
            left_devices: left.devices,
            left_set_ids: left.set_ids,
            left_attributes: left.attributes,
            made_devices: made.devices,
            made_set_ids: made.set_ids,
            made_capabilities: made.attributes,
            complete: outcome.is_complete() && *refused == 0,
        }
    }
}

#[cfg(test)]
mod tests;
