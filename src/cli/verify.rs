//! `verify` on the command line.

use super::args::VerifyArgs;
use super::exit::Status;
use super::face::Face;
use super::json::{emit, out};
use super::keys::identities;
use super::next::{command, to_prove};
use super::run::{Refusal, open_refusal};
use super::show::{slot_name, some, verdict, verdict_json};
use super::sizes::{shown_bytes, shown_count};
use crate::drives::{Level, Proof};
use crate::entropy::{Entropy, System};
use crate::format::ids::Slot;
use crate::restorer::check::Decoded;
use crate::sets::check::DriveReport;
use crate::verbs;
use crate::verbs::verify::{DriveOutcome, SetOutcome};
use serde_json::{Value, json};
use std::fmt::Write as _;

/// Verifies.
pub fn verify(args: &VerifyArgs, face: &Face) -> Result<Status, Refusal> {
    let sets = match &args.identities[..] {
        [] if args.quick => {
            let mut seed = [0; 32];
            System.fill(&mut seed).map_err(Refusal::failed)?;
            verbs::verify::verify_quickly(&args.paths, seed, face.monitor())
        }
        [] => verbs::verify::verify(&args.paths, face.monitor()),
        files => {
            let (identities, memory) = (identities(files)?, args.memory);
            verbs::decode::decode(&args.paths, &identities, memory, face.monitor())
        }
    };
    let sets = sets.map_err(open_refusal)?;
    face.finish();
    face.print_problems();
    let mut status = Status::Done;
    for set in &sets {
        say(set, face);
        status = status.merge(match () {
            () if !set.is_restorable() => Status::Failed,
            () if !set.is_whole() => Status::Problems,
            () => Status::Done,
        });
    }
    Ok(if face.problems().is_empty() { status } else { status.merge(Status::Problems) })
}

/// Says what was found of a set.
pub fn say(set: &SetOutcome, face: &Face) {
    if !face.is_json() {
        return out(&verified(set));
    }
    emit(&verify_json(set));
    if let Some(decoded) = &set.decoded {
        emit(&decoded_json(set, decoded));
    }
}

/// A drive's state in a few words.
fn drive_state(d: &DriveOutcome) -> String {
    let r = &d.report;
    if r.vanished {
        return "it stopped answering".into();
    }
    let mut words = Vec::new();
    if r.stopped {
        words.push("not read to its end".into());
    }
    if r.missing_shards > 0 {
        words.push(format!("{} missing", some(r.missing_shards, "shard")));
    }
    if r.bad_blocks > r.unreadable_blocks {
        words.push(format!("{} damaged", some(r.bad_blocks - r.unreadable_blocks, "block")));
    }
    if r.unreadable_blocks > 0 {
        words.push(format!("{} cannot be read", some(r.unreadable_blocks, "block")));
    }
    if r.unread_blocks > 0 {
        words.push(format!("{} not tried", some(r.unread_blocks, "block")));
    }
    if r.long_shards > 0 {
        words.push(format!("{} too long", some(r.long_shards, "shard")));
    }
    if d.bad_papers > 0 {
        words.push(format!("{} damaged", some(d.bad_papers, "other file")));
    }
    if words.is_empty() { "whole".into() } else { words.join(", ") }
}

/// What a sample is worth.
const SAMPLED: &str = "\
Only a random sample of blocks was read: damage of 1 % or more of the blocks of a drive would
have been missed with a probability of 1 in 1,000. holdall verify reads every block.
";

/// How much of a drive was read.
fn amount(r: &DriveReport) -> String {
    match r.sampled_blocks {
        None => format!("{} in {}", shown_bytes(r.bytes), some(r.shards, "shard")),
        Some(blocks) => format!("{} of {}", some(blocks, "block"), some(r.shards, "shard")),
    }
}

/// What verify found of a set.
pub fn verified(set: &SetOutcome) -> String {
    let mut t = String::new();
    let here = u64::from(set.drive_count) - set.missing.len() as u64;
    let _ = writeln!(
        t,
        "Set {} ({}): {} of {} here.",
        set.name,
        set.survive,
        some(here, "drive"),
        set.drive_count
    );
    for d in &set.drives {
        let r = &d.report;
        let _ = writeln!(
            t,
            "  slot {:>3}  case {}  {}{}: {}, read {}: {}",
            slot_name(d.slot),
            d.case,
            d.name,
            if d.double { " (one of several copies)" } else { "" },
            amount(r),
            r.level.name(),
            drive_state(d),
        );
    }
    if !set.missing.is_empty() {
        let slots: Vec<_> = set.missing.iter().map(ToString::to_string).collect();
        let _ = writeln!(t, "  not here: slot {}", slots.join(", "));
    }
    match &set.root {
        Some(root) => {
            let _ = writeln!(t, "Root (b3sum set.txt): {root}");
        }
        None => t.push_str("The set was never closed: it cannot be told from a shortened one.\n"),
    }
    t.push_str(&found(set));
    t.push_str(&next_step(set));
    if let Some(decoded) = &set.decoded {
        t.push_str(&decoded_text(decoded));
    }
    t
}

/// The verdict, of what was read and no more.
fn found(set: &SetOutcome) -> String {
    if set.is_stopped() {
        let sum = |bytes: &dyn Fn(&DriveOutcome) -> u64| {
            shown_bytes(set.drives.iter().map(bytes).sum::<u64>())
        };
        let (read, all) = (sum(&|d| d.report.bytes), sum(&|d| d.expected_bytes));
        let sound = if set.is_sound_so_far() {
            ", and these were sound"
        } else {
            "; what is damaged in them is listed above"
        };
        return format!(
            "Stopped: {read} of {all} were read{sound}. Nothing is said of the rest.\n"
        );
    }
    let mut t = verdict(&set.verdict);
    if set.drives.iter().any(|d| d.report.sampled_blocks.is_some()) {
        t = t.replace("Everything can be restored", "By the sample, everything can be restored");
        t.push_str(SAMPLED);
    }
    let unread: u64 = set.drives.iter().map(|d| d.report.unread_blocks).sum();
    if unread > 0 {
        let unread = some(unread, "block");
        let _ = writeln!(
            t,
            "{unread} were not read, between others that cannot be: they count as lost."
        );
    }
    t
}

/// What to type to mend what is damaged, or to prove what was read through a cache.
pub fn next_step(set: &SetOutcome) -> String {
    let mut t = repair_command(set).map(|c| format!("To mend it: {c}\n")).unwrap_or_default();
    let unproven = set.drives.iter().filter(|d| {
        let cached = d.report.level < Level::Dropped;
        !d.report.vanished && (d.report.stopped || cached && d.is_whole())
    });
    let unproven: Vec<(&str, Proof)> =
        unproven.map(|d| (d.name.as_str(), d.report.proof)).collect();
    if unproven.iter().any(|(_, proof)| *proof != Proof::Read) {
        t.push_str("What was read through a cache is not proven to be on the drive.\n");
    }
    if !unproven.is_empty() {
        t.push_str(&to_prove(&unproven));
    }
    t
}

/// The command that mends what is damaged on the drives that are here; none if nothing is.
fn repair_command(set: &SetOutcome) -> Option<String> {
    let here = || set.drives.iter().filter(|d| !d.report.vanished);
    let names = || here().map(|d| d.name.as_str());
    here().any(DriveOutcome::is_damaged).then(|| command("repair", names()))
}

/// What decoding everything showed.
fn decoded_text(d: &Decoded) -> String {
    let r = &d.restored;
    let mut t = format!(
        "Opened {} and decoded {}, {}",
        some(d.blocks, "block"),
        some(r.files, "file"),
        shown_bytes(r.file_bytes),
    );
    t.push_str(match () {
        () if r.stopped => "; stopped before the end.\n",
        () if d.is_complete() => ": every one matches its root.\n",
        () => "; not all: see the problems above.\n",
    });
    if r.lost > 0 {
        let _ = writeln!(t, "{} cannot be had.", files_or_lists(r.lost));
    }
    if r.waiting > 0 {
        let waiting = files_or_lists(r.waiting);
        let _ = writeln!(t, "{waiting} could not be checked without the drives not here.");
    }
    t.push_str(match d.catalog_agrees {
        Some(true) => "The catalog says the same as the lists in the shards.\n",
        Some(false) => "The catalog is damaged, or says other than the lists in the shards.\n",
        None => "The catalog was not compared with the lists in the shards.\n",
    });
    t
}

fn files_or_lists(count: u64) -> String {
    let noun = if count == 1 { "file or list" } else { "files or lists" };
    format!("{} {noun}", shown_count(count))
}

fn decoded_json(set: &SetOutcome, d: &Decoded) -> Value {
    json!({
        "event": "decoded",
        "set": set.name,
        "stopped": d.restored.stopped,
        "files": d.restored.files,
        "file_bytes": d.restored.file_bytes,
        "entries": d.restored.entries,
        "blocks": d.blocks,
        "unopened_blocks": d.unopened_blocks,
        "lost": d.restored.lost,
        "waiting": d.restored.waiting,
        "catalog_agrees": d.catalog_agrees,
        "complete": d.is_complete(),
    })
}

/// The same for programs.
fn verify_json(set: &SetOutcome) -> Value {
    json!({
        "event": "verified",
        "set": set.name,
        "stopped": set.is_stopped(),
        "survive": set.survive,
        "root": set.root,
        "whole": set.is_whole(),
        "proven": set.is_proven(),
        "repair": repair_command(set),
        "missing": slots_json(&set.missing),
        "drives": set.drives.iter().map(|d| json!({
            "slot": d.slot.0,
            "case": d.case,
            "drive": d.name,
            "shards": d.report.shards,
            "bytes": d.report.bytes,
            "level": d.report.level.name(),
            "missing_shards": d.report.missing_shards,
            "bad_blocks": d.report.bad_blocks,
            "unreadable_blocks": d.report.unreadable_blocks,
            "unread_blocks": d.report.unread_blocks,
            "unread_shards": d.report.unread_shards,
            "sampled_blocks": d.report.sampled_blocks,
            "long_shards": d.report.long_shards,
            "double": d.double,
            "bad_files": d.bad_papers,
            "vanished": d.report.vanished,
        })).collect::<Vec<_>>(),
        "verdict": verdict_json(&set.verdict, !set.is_stopped()),
    })
}

fn slots_json(slots: &[Slot]) -> Vec<u16> {
    slots.iter().map(|s| s.0).collect()
}
