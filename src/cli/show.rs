//! Results in words and in JSON.

mod restored;
mod status;

pub use restored::{drive_name, next_step, restored, restored_json};
pub use status::{status, status_json};

use super::next::{command, to_prove};
use super::sizes::{shown_bytes, shown_count};
use super::table::{DriveRow, bytes_table};
use super::terminal::KEPT;
use crate::drives::Level;
use crate::format::ids::{ShipmentId, Slot};
use crate::plan::survive::Survive;
use crate::sets::check::DriveReport;
use crate::sets::damage::Verdict;
use crate::verbs::pack::{PackOutcome, Prepared};
use serde_json::{Value, json};
use std::fmt::Write as _;

/// Counts with the right ending: `1 drive`, `2 drives`, `3 entries`.
pub fn some(count: u64, noun: &str) -> String {
    let shown = shown_count(count);
    match noun.strip_suffix('y') {
        _ if count == 1 => format!("{shown} {noun}"),
        Some(stem) => format!("{shown} {stem}ies"),
        None => format!("{shown} {noun}s"),
    }
}

/// Where so many files are listed that could not be packed.
fn named(count: u64) -> String {
    if count <= KEPT as u64 {
        return "listed above".into();
    }
    format!("the first {KEPT} listed above, all with --json, or by restore with --missing FILE")
}

/// The guarantee of a set of so many drives as a sentence.
fn guarantee(survive: Survive, drive_count: usize) -> String {
    let (cases, drives) = (u64::from(survive.cases), u64::from(survive.drives));
    let lost = match (cases, drives) {
        (0, 0) if survive.blocks > 0 && drive_count == 1 => {
            return format!(
                "Bad sectors are healed from {} % of parity along the drive; the drive itself must \
                 not be lost.",
                survive.blocks,
            );
        }
        (0, 0) if survive.blocks > 0 => "No drive may be lost.".into(),
        (0, 0) => "Nothing may be lost: there is no parity.".into(),
        (c, 0) => format!("Any {} may be lost.", some(c, "case")),
        (0, d) => format!("Any {} may be lost.", some(d, "drive")),
        (c, d) => format!("Any {} and any {} more may be lost.", some(c, "case"), some(d, "drive")),
    };
    match survive.blocks {
        0 => lost,
        percent => format!(
            "{lost} Bad sectors on the drives that are left are healed from {percent} % of parity \
             along each drive."
        ),
    }
}

/// What stays to be said after the plan was carried out.
pub struct PlanFacts {
    survive: Survive,
    names: Vec<(String, String)>,
    free_bytes: Vec<u64>,
    folder_drives: &'static str,
    shipment: ShipmentId,
    /// drives that are not here, from 0
    absent: Vec<usize>,
}

impl PlanFacts {
    /// Of a plan.
    pub fn of(prepared: &Prepared) -> Self {
        Self {
            survive: prepared.plan.survive,
            names: prepared.drive_names(),
            shipment: prepared.shipment(),
            absent: prepared.absent().to_vec(),
            free_bytes: prepared.free_bytes.clone(),
            folder_drives: if prepared.has_folder_drives() { " --folder-drives" } else { "" },
        }
    }

    /// What to type to go on: with the same drives, or with others.
    pub fn go_on_command(&self, same: bool) -> String {
        let mut text = format!("holdall pack --continue {}", self.shipment);
        let absent = |number: &usize| same && self.absent.contains(number);
        for (_, (case, drive)) in self.names.iter().enumerate().filter(|(n, _)| !absent(n)) {
            let drive =
                if same { shlex::try_quote(drive).unwrap_or_default() } else { "PATH".into() };
            let _ = write!(text, " --drive {case}={drive}");
        }
        text + self.folder_drives
    }

    /// What to type to put new drives in the place of those that failed; none if none did.
    fn repair_command(&self, outcome: &PackOutcome) -> Option<String> {
        let failed = &outcome.packed.failed;
        if failed.is_empty() || outcome.packed.stopped {
            return None;
        }
        let mut text = String::from("holdall repair");
        for (number, (_, drive)) in self.names.iter().enumerate() {
            if !failed.contains(&number) {
                let _ = write!(text, " {}", shlex::try_quote(drive).unwrap_or_default());
            }
        }
        for number in failed {
            let case = &self.names[*number].0;
            let _ = write!(text, " --onto {}", shlex::try_quote(&format!("{case}=PATH")).ok()?);
        }
        Some(text + self.folder_drives)
    }

    /// What to type to mend what the read-back found damaged, or to prove what it could not. Drives
    /// that do not answer are in no command.
    fn next_step(&self, outcome: &PackOutcome) -> String {
        if outcome.is_lost() {
            return lost_text(outcome);
        }
        let reports = self.names.iter().zip(&outcome.reports);
        let live: Vec<(&str, &DriveReport)> = reports
            .filter_map(|((_, drive), report)| Some((drive.as_str(), report.as_ref()?)))
            .filter(|(_, report)| !report.vanished)
            .collect();
        let is_damaged = |report: &DriveReport| !report.is_whole() && !report.stopped;
        if live.iter().any(|(_, report)| is_damaged(report)) {
            let command = command("repair", live.iter().map(|(drive, _)| *drive));
            return format!("To mend it: {command}\n");
        }
        let proven = |r: &DriveReport| r.is_whole() && r.level >= Level::Dropped;
        if live.iter().all(|(_, report)| proven(report)) {
            return String::new();
        }
        to_prove(&live.iter().map(|(drive, report)| (*drive, report.proof)).collect::<Vec<_>>())
    }

    fn table(&self, bytes: &[u64]) -> String {
        let row = |(i, (case, drive)): (usize, &(String, String))| DriveRow {
            case: case.clone(),
            drive: drive.clone(),
            slot: i + 1,
            bytes: bytes[i],
            capacity: self.free_bytes[i],
        };
        bytes_table(&self.names.iter().enumerate().map(row).collect::<Vec<_>>())
    }
}

/// The drives do not hold what was packed.
fn lost_text(outcome: &PackOutcome) -> String {
    let verdict = outcome.verdict.clone().unwrap_or_default();
    let (lost, stripes) = verdict.lost_of();
    let files = some(outcome.packed.files, "file");
    let what = match lost {
        all if all == stripes => format!("{files} cannot be restored: no stripe reads back"),
        _ => format!(
            "Some of {files} cannot be restored: {} of {} do not read back",
            shown_count(lost),
            some(stripes, "stripe")
        ),
    };
    format!(
        "{what}. The drives did not keep what was written: pack again, onto others.\n\
         (holdall pack --continue {} closes and reads these back once more.)\n",
        outcome.shipment
    )
}

/// The plan, before anything is written.
pub fn plan(prepared: &Prepared) -> String {
    let facts = PlanFacts::of(prepared);
    let (plan, totals) = (&prepared.plan, prepared.totals());
    let mut cases: Vec<&str> = facts.names.iter().map(|(case, _)| case.as_str()).collect();
    cases.sort_unstable();
    cases.dedup();
    let mut t = String::new();
    let _ = writeln!(
        t,
        "Plan for set {} of shipment {}: {} in {}.\n{}{}",
        prepared.set,
        prepared.shipment(),
        some(facts.names.len() as u64, "drive"),
        some(cases.len() as u64, "case"),
        guarantee(plan.survive, facts.names.len()),
        if prepared.survive_is_default {
            " (The default for these drives; --survive changes it.)"
        } else {
            ""
        },
    );
    let _ = writeln!(
        t,
        "{}: {}, {}. The drives hold {} under this rule.",
        if prepared.left_entries() < totals.entries {
            "Left of the dataset"
        } else {
            "The dataset"
        },
        some(prepared.left_entries(), "entry"),
        shown_bytes(plan.data_bytes),
        shown_bytes(plan.holds_bytes),
    );
    if plan.missing_bytes > 0 {
        let _ = writeln!(
            t,
            "They cannot hold all of it: {} may be left for further sets.",
            shown_bytes(plan.missing_bytes),
        );
    }
    let _ = writeln!(t, "Sealed with {}.", prepared.suite());
    let _ = writeln!(
        t,
        "The cost: {} of data, {} of parity. At most, if nothing compresses:\n",
        shown_bytes(plan.data_bytes.min(plan.holds_bytes)),
        shown_bytes(plan.parity_bytes()),
    );
    t.push_str(&facts.table(&plan.drive_bytes));
    t
}

/// The same for programs.
pub fn plan_json(prepared: &Prepared) -> Value {
    json!({
        "event": "plan",
        "set": prepared.set,
        "missing_bytes": prepared.plan.missing_bytes,
        "shipment": prepared.shipment().to_string(),
        "survive": prepared.plan.survive.to_string(),
        "survive_is_default": prepared.survive_is_default,
        "cipher": prepared.suite().word(),
        "entries": prepared.totals().entries,
        "files": prepared.totals().files,
        "data_bytes": prepared.totals().data_bytes,
        "left_entries": prepared.left_entries(),
        "left_bytes": prepared.plan.data_bytes,
        "holds_bytes": prepared.plan.holds_bytes,
        "parity_bytes": prepared.plan.parity_bytes(),
        "drives": prepared.drive_names().iter().enumerate().map(|(i, (case, drive))| json!({
            "slot": i + 1,
            "case": case,
            "drive": drive,
            "bytes": prepared.plan.drive_bytes[i],
            "free_bytes": prepared.free_bytes[i],
        })).collect::<Vec<_>>(),
    })
}

/// What was packed; the table is left out if little is to be said.
pub fn packed(facts: &PlanFacts, outcome: &PackOutcome, quiet: bool) -> String {
    let p = &outcome.packed;
    let mut t = String::new();
    if !quiet {
        let _ = write!(t, "\n{}\n", facts.table(&p.drive_bytes));
    }
    if p.stopped {
        let _ = writeln!(
            t,
            "Stopped as asked: {} with {} are committed, set {} is not closed.\n\
             To go on: {}",
            some(p.stripes, "stripe"),
            some(p.entries, "entry"),
            outcome.set,
            facts.go_on_command(true),
        );
        return t;
    }
    let _ = writeln!(
        t,
        "Packed {}: {} in {}, stored as {} in {}.",
        some(p.entries, "entry"),
        shown_bytes(p.file_bytes),
        some(p.files, "file"),
        shown_bytes(p.stored_bytes),
        some(p.stripes, "stripe"),
    );
    if p.left_out > 0 {
        let left_out = some(p.left_out, "file");
        let named = named(p.left_out);
        let _ = writeln!(t, "Packed without their bytes, unreadable: {left_out}, {named}.");
    }
    if p.duplicate_bytes > 0 {
        let _ = writeln!(t, "{} were there already and lie once.", shown_bytes(p.duplicate_bytes));
    }
    if p.forgotten > 0 {
        let forgotten = shown_count(p.forgotten);
        let _ = writeln!(t, "The table of duplicates was full: {forgotten} pieces were forgotten.");
    }
    if outcome.reports.is_empty() {
        t.push_str(
            "Nothing was read back (--no-read-back): run holdall verify before you trust it.\n",
        );
    } else {
        let levels = outcome.reports.iter().flatten().map(|r| r.level);
        let level = levels.min().unwrap_or(Level::None);
        let proven = outcome.is_proven();
        let _ = writeln!(
            t,
            "Read back from the medium ({}): {}.",
            level.name(),
            match () {
                () if proven => "every block is as it was written",
                () if outcome.read_back_stopped() => "stopped before its end, so not proven",
                () => "not proven, see above",
            },
        );
        t.push_str(&facts.next_step(outcome));
        if outcome.read_back_stopped() {
            let _ = writeln!(t, "or: {}", facts.go_on_command(true));
        }
    }
    let degraded = outcome.verdict.as_ref().is_some_and(|v| v.degraded > 0 || !v.restorable());
    let _ = writeln!(
        t,
        "{}{}",
        guarantee(facts.survive, facts.names.len()),
        if degraded { " This does not hold for all stripes: see the problems above." } else { "" },
    );
    let root = blake3::Hash::from_bytes(p.root).to_hex();
    let _ = writeln!(t, "The set's root (b3sum set.txt): {root}");
    if !outcome.is_lost() {
        t.push_str("The drives are synced: unmount them, and they are safe to unplug.\n");
    }
    t.push_str(&failed_drives(facts, outcome).unwrap_or_default());
    if outcome.left_entries > 0 {
        let _ = writeln!(
            t,
            "\nSet {} is {}. Waiting for further sets: {}, {}. Take its drives out, attach others, \
             then:\n{}",
            outcome.set,
            if outcome.early { "closed early" } else { "full" },
            some(outcome.left_entries, "entry"),
            shown_bytes(outcome.left_bytes),
            facts.go_on_command(false),
        );
    }
    t
}

/// The drives that were left out, and what to type for them; none if none were.
fn failed_drives(facts: &PlanFacts, outcome: &PackOutcome) -> Option<String> {
    let command = facts.repair_command(outcome)?;
    let failed = &outcome.packed.failed;
    let absent = failed.iter().filter(|number| facts.absent.contains(number)).count();
    let (absent, failed) = (absent as u64, (failed.len() - absent) as u64);
    let told = match (failed, absent) {
        (failed, 0) => format!("{} failed.", some(failed, "drive")),
        (0, absent) => format!(
            "{} left out: holdall repair with all drives of the set completes them.",
            some(absent, "drive"),
        ),
        (failed, absent) => format!("{} failed, {absent} left out.", some(failed, "drive")),
    };
    Some(format!("\n{told} To put new ones in their place:\n{command}\n"))
}

/// The same for programs.
pub fn packed_json(facts: &PlanFacts, outcome: &PackOutcome) -> Value {
    let p = &outcome.packed;
    json!({
        "event": "packed",
        "shipment": outcome.shipment.to_string(),
        "set": outcome.set,
        "left_entries": outcome.left_entries,
        "left_bytes": outcome.left_bytes,
        "early": outcome.early,
        "root": (!p.stopped).then(|| blake3::Hash::from_bytes(p.root).to_hex().to_string()),
        "entries": p.entries,
        "files": p.files,
        "file_bytes": p.file_bytes,
        "left_out": p.left_out,
        "duplicate_bytes": p.duplicate_bytes,
        "stored_bytes": p.stored_bytes,
        "stripes": p.stripes,
        "stopped": p.stopped,
        "drive_bytes": p.drive_bytes,
        "failed_drives": p.failed.iter().map(|i| i + 1).collect::<Vec<_>>(),
        "repair": facts.repair_command(outcome),
        "read_back": outcome.reports.iter().map(|r| r.as_ref().map(|r| json!({
            "level": r.level.name(), "whole": r.is_whole(), "bytes": r.bytes,
            "stopped": r.stopped,
        }))).collect::<Vec<_>>(),
        "proven": outcome.is_proven(),
        "restorable": outcome.verdict.as_ref().map(Verdict::restorable),
    })
}

/// The verdict in a sentence or two.
pub fn verdict(v: &Verdict) -> String {
    let mut t = String::new();
    if v.restorable() && v.stripes == 0 {
        return "Nothing was committed to it: there is nothing to restore.\n".into();
    }
    if v.restorable() {
        let spare = match v.least_spare {
            None | Some(0) if v.degraded == 0 => "no shard more may be lost".into(),
            None | Some(0) => "nothing more may be lost of the stripes hit worst".into(),
            Some(spare) => {
                format!("{} more of any stripe may be lost", some(spare as u64, "shard"))
            }
        };
        let _ = match v.degraded {
            0 => writeln!(t, "Everything can be restored; {spare}."),
            n => writeln!(
                t,
                "Everything can be restored: {} of {} {} parity for it; {spare}.",
                some(n, "stripe"),
                shown_count(v.stripes),
                if n == 1 { "needs" } else { "need" },
            ),
        };
        return t;
    }
    if v.gaps || v.unknown > 0 {
        t.push_str("Records are missing or contradict each other: some stripes cannot be found.\n");
    }
    if !v.keyless.is_empty() {
        t.push_str("No drive here has the wrapped key any more: nobody can open what it sealed.\n");
    }
    let (lost, stripes) = v.lost_of();
    let _ = writeln!(
        t,
        "Not everything can be restored from the drives that are here: {} of {} {} lost.",
        some(lost, "stripe"),
        shown_count(stripes),
        if lost == 1 { "is" } else { "are" },
    );
    if !v.would_help.is_empty() {
        let slots: Vec<_> = v.would_help.iter().map(ToString::to_string).collect();
        let _ = writeln!(t, "Drives that would help: slot {}.", slots.join(", "));
    }
    t
}

/// The same for programs. Only of a set that was looked at to the end is anything sound.
pub fn verdict_json(v: &Verdict, to_the_end: bool) -> Value {
    json!({
        "restorable": (to_the_end || !v.restorable()).then(|| v.restorable()),
        "stripes": v.stripes + v.unknown,
        "unknown": v.unknown,
        "keyless": v.keyless.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "degraded": v.degraded,
        "beyond": v.beyond.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "would_help": v.would_help.iter().map(|s| s.0).collect::<Vec<_>>(),
        "spare_shards": v.least_spare.filter(|_| to_the_end),
    })
}

/// A slot's number, if it is known.
pub fn slot_name(slot: Slot) -> String {
    if slot.0 == 0 { "?".into() } else { slot.to_string() }
}
