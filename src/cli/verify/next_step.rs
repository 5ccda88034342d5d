//! What `verify` says is to be done next.

use crate::cli::next::{command, to_prove};
use crate::drives::{Level, Proof};
use crate::format::ids::StripeId;
use crate::restorer::check::Decoded;
use crate::verification::{DriveOutcome, SetOutcome};
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// What to type to repair what is damaged, or to prove what was read through a cache.
pub fn next_step(set: &SetOutcome) -> String {
    let mut t = String::new();
    if let Some(command) = erase_command(set) {
        let names = set.leftovers.join(", ");
        let _ = writeln!(
            t,
            "{names}: remains of an earlier attempt, not part of the set. To remove them: {command}"
        );
    }
    let _ = match remedy(set) {
        None => Ok(()),
        Some(Remedy::Root(command)) => writeln!(
            t,
            "Copies contradict each other: give repair the root that pack printed: {command}"
        ),
        Some(Remedy::Decide(command)) => writeln!(
            t,
            "The set is not closed, and its drives disagree on what was packed. Let its key decide \
             and close it, then run repair: {command}"
        ),
        Some(Remedy::Repair(command)) => writeln!(t, "To repair it: {command}"),
        Some(Remedy::Attach) => writeln!(
            t,
            "To repair it, attach {} and run: {}",
            if set.verdict.would_help.len() == 1 { "that drive too" } else { "those drives too" },
            again(set),
        ),
        Some(Remedy::Differ) => writeln!(
            t,
            "Repair cannot tell which of the different wrapped keys is right, and leaves them. Restoring \
             tries each."
        ),
        Some(Remedy::Key) => writeln!(
            t,
            "Repair cannot remake a wrapped key, but the set's other drives may have it. Attach them too \
             and run: {}",
            again(set),
        ),
        Some(Remedy::Identity) => writeln!(
            t,
            "Either that key or the .b3 file beside it is damaged, and repair cannot tell which; an \
             identity that opens the key can: {} -i IDENTITY",
            command("verify", set.drives.iter().map(|d| d.name.as_str())),
        ),
        Some(Remedy::Line) => writeln!(
            t,
            "The identity opens the key, so the .b3 file beside it is what is damaged. Delete that file \
             on each drive, then run: {}",
            command("repair", set.drives.iter().map(|d| d.name.as_str())),
        ),
        Some(Remedy::Never) if is_all_lost(set) => writeln!(
            t,
            "Repair cannot bring that back, and nothing is left to restore: pack the dataset again."
        ),
        Some(Remedy::Never) => writeln!(
            t,
            "Repair cannot bring that back. Pack the dataset again; if that is impossible, restore what is \
             left: {} -i IDENTITY --to FOLDER --give-up",
            command("restore", set.drives.iter().map(|d| d.name.as_str())),
        ),
    };
    let unproven = set.drives.iter().filter(|d| {
        let cached = d.report.level < Level::Dropped;
        !d.report.vanished && (d.report.stopped || cached && d.is_whole())
    });
    let unproven: Vec<(&str, Proof)> =
        unproven.map(|d| (d.name.as_str(), d.report.proof)).collect();
    if unproven.iter().any(|(_, proof)| *proof != Proof::Read) {
        t.push_str("What was read from a cache may not be on the drive.\n");
    }
    if !unproven.is_empty() {
        t.push_str(&to_prove(&unproven));
    }
    t
}

/// Can nothing of it be restored any more?
fn is_all_lost(set: &SetOutcome) -> bool {
    let (lost, all) = set.verdict.lost_parts();
    lost == all && all > 0
}

/// The verify that looks at more drives than those that are attached.
fn again(set: &SetOutcome) -> String {
    command("verify", set.drives.iter().map(|d| d.name.as_str())) + " PATH..."
}

/// What helps against what is damaged on the drives that are here.
enum Remedy {
    /// the drives that are not here
    Attach,
    /// this command, with the root of the set
    Root(String),
    /// this command, with the key
    Decide(String),
    /// this command
    Repair(String),
    /// drives that are not here, if they have a wrapped key that none here has
    Key,
    /// nothing, and nothing need: the right one of different keys opens the set
    Differ,
    /// the identity, which tells if a wrapped key is damaged, or what names it
    Identity,
    /// that what names a key is deleted, and made again
    Line,
    /// nothing: too much is lost
    Never,
}

/// None if nothing that is a part of the set is damaged.
fn remedy(set: &SetOutcome) -> Option<Remedy> {
    let is_own = |d: &&DriveOutcome| !d.report.vanished && !set.leftovers.contains(&d.name);
    let damaged = || set.drives.iter().filter(is_own).filter(|d| d.is_damaged());
    let verdict = &set.verdict;
    let may_come = !verdict.would_help.is_empty();
    if set.needs_key && set.missing.is_empty() && !set.is_stopped() {
        let names = set.drives.iter().map(|d| d.name.as_str());
        return Some(Remedy::Decide(command("close", names) + " -i IDENTITY"));
    }
    if verdict.gaps && may_come && !set.is_stopped() {
        return Some(Remedy::Attach);
    }
    // What the records were that no drive has, nothing tells.
    if verdict.gaps && !set.disagrees && !set.is_stopped() {
        return Some(Remedy::Never);
    }
    damaged().next()?;
    let beyond: BTreeSet<&StripeId> = verdict.beyond.iter().collect();
    let can_be_repaired = |d: &DriveOutcome| {
        let r = &d.report;
        r.bad_metadata_files + r.long_shards > d.lost_keys
            || r.bad.iter().any(|bad| !beyond.contains(&bad.stripe))
    };
    let names = set.drives.iter().filter(is_own).map(|d| d.name.as_str());
    let repair = command("repair", names);
    Some(if set.needs_root {
        Remedy::Root(repair + " --expect ROOT")
    } else if damaged().any(can_be_repaired) {
        Remedy::Repair(repair)
    } else if may_come {
        Remedy::Attach
    } else if !set.keys_differ.is_empty() && verdict.restorable() {
        Remedy::Differ
    } else if !set.missing.is_empty() && damaged().any(|d| d.lost_keys > 0) {
        Remedy::Key
    } else if set.key_denied && set.decoded.as_ref().is_some_and(Decoded::is_complete) {
        Remedy::Line
    } else if set.key_denied && set.decoded.is_none() {
        Remedy::Identity
    } else {
        Remedy::Never
    })
}

/// The command that repairs what is damaged on the drives that are here; none if nothing is, or none
/// does.
pub fn repair_command(set: &SetOutcome) -> Option<String> {
    match remedy(set)? {
        Remedy::Repair(command) | Remedy::Root(command) => Some(command),
        Remedy::Decide(_)
        | Remedy::Attach
        | Remedy::Key
        | Remedy::Differ
        | Remedy::Identity
        | Remedy::Line
        | Remedy::Never => None,
    }
}

/// The command that removes what is no part of the set.
pub fn erase_command(set: &SetOutcome) -> Option<String> {
    let erase = command("erase", set.leftovers.iter().map(String::as_str));
    (!set.leftovers.is_empty()).then(|| format!("{erase} --set {}", set.name))
}
