//! The plan of a set, and what was packed.

use super::verdict::{share, verdict};
use crate::check::damage::Verdict;
use crate::check::report::DriveReport;
use crate::cli::next::{command, to_prove, typed_value};
use crate::cli::progress::problems::KEPT;
use crate::cli::sizes::shown_bytes;
use crate::cli::table::{DriveRow, bytes_table};
use crate::cli::text::{level_words, lines, some};
use crate::commands::pack::{PackOutcome, Prepared};
use crate::drives::Level;
use crate::format::Suite;
use crate::format::ids::{SetNumber, ShipmentId};
use crate::format::shown::{hex, typed};
use crate::plan::survive::Survive;
use serde::Serialize;
use std::fmt::Write as _;

/// Where so many files are listed that could not be packed.
fn named(count: u64) -> String {
    if count <= KEPT as u64 {
        return "listed above".into();
    }
    format!("the first {KEPT} listed above, all with --json, or by restore with --missing FILE")
}

/// The guarantee of a set of so many drives as a sentence.
pub fn guarantee(survive: Survive, drive_count: usize) -> String {
    let (cases, drives) = (u64::from(survive.cases), u64::from(survive.drives));
    let lost = match (cases, drives) {
        (0, 0) if survive.blocks > 0 && drive_count == 1 => {
            return format!(
                "Bad sectors can be repaired ({} % of parity on the drive). If the drive is lost, \
                 everything is.",
                survive.blocks,
            );
        }
        (0, 0) if survive.blocks > 0 => "You cannot lose any drive.".into(),
        (0, 0) => "You cannot lose anything: there is no parity.".into(),
        (c, 0) => format!("You can lose any {}.", some(c, "case")),
        (0, d) => format!("You can lose any {}.", some(d, "drive")),
        (c, d) => {
            format!("You can lose any {} and any {}.", some(c, "case"), some(d, "more drive"))
        }
    };
    let others = if cases + drives == 0 { "the drives" } else { "the other drives" };
    match survive.blocks {
        0 => lost,
        percent => format!(
            "{lost} Bad sectors on {others} can be repaired ({percent} % of parity on each)."
        ),
    }
}

/// The plan of a set, which is shown before anything is written; parts of it are told after it was
/// carried out.
#[derive(Serialize)]
pub struct Plan {
    shipment: ShipmentId,
    set: SetNumber,
    survive: Survive,
    survive_is_default: bool,
    cipher: &'static str,
    /// of the dataset
    entries: u64,
    files: u64,
    data_bytes: u64,
    /// of the dataset, what no set holds yet
    left_entries: u64,
    left_bytes: u64,
    holds_bytes: u64,
    missing_bytes: u64,
    parity_bytes: u64,
    drives: Vec<DriveOfPlan>,
    #[serde(skip)]
    suite: Suite,
    #[serde(skip)]
    folder_drives: &'static str,
    /// drives that are not here, from 0
    #[serde(skip)]
    absent: Vec<usize>,
    /// its drives carry sets of other shipments, too
    #[serde(skip)]
    has_others: bool,
}

/// One of its drives.
#[derive(Serialize)]
struct DriveOfPlan {
    slot: usize,
    case: String,
    drive: String,
    /// of shards, at most
    bytes: u64,
    free_bytes: u64,
    /// what earlier runs of the set have put on it
    #[serde(skip)]
    before: u64,
}

impl Plan {
    pub fn of(prepared: &Prepared) -> Self {
        let (plan, totals, before) = (&prepared.plan, prepared.totals(), prepared.bytes_before());
        let drive = |(i, (case, drive))| DriveOfPlan {
            slot: i + 1,
            case,
            drive,
            bytes: plan.drive_bytes[i],
            free_bytes: prepared.free_bytes[i],
            before: before[i],
        };
        Self {
            shipment: prepared.shipment(),
            set: prepared.set,
            survive: plan.survive,
            survive_is_default: prepared.survive_is_default,
            cipher: prepared.suite().word(),
            entries: totals.entries,
            files: totals.files,
            data_bytes: totals.data_bytes,
            left_entries: prepared.left_entries(),
            left_bytes: plan.data_bytes,
            holds_bytes: plan.holds_bytes,
            missing_bytes: plan.missing_bytes,
            parity_bytes: plan.parity_bytes,
            drives: prepared.drive_names().into_iter().enumerate().map(drive).collect(),
            suite: prepared.suite(),
            folder_drives: if prepared.has_folder_drives() { " --folder-drives" } else { "" },
            absent: prepared.absent().to_vec(),
            has_others: prepared.has_other_shipments(),
        }
    }

    /// What to type to resume: with the same drives, or with others.
    pub fn resume_command(&self, same: bool) -> String {
        let mut text = format!("holdall resume {}", self.shipment);
        // The plan names the drives of the next round, if they were not named with it.
        if !same && let Some(plan) = typed_value("--plan") {
            let _ = write!(text, " --plan {}", typed(&plan));
            if typed_value("--drive").is_none() {
                return text + self.folder_drives;
            }
        }
        let absent = |number: &usize| same && self.absent.contains(number);
        for (_, planned) in self.drives.iter().enumerate().filter(|(n, _)| !absent(n)) {
            let DriveOfPlan { case, drive, .. } = planned;
            let drive = if same { typed(drive) } else { "PATH".into() };
            let _ = write!(text, " --drive {case}={drive}");
        }
        text + self.folder_drives
    }

    /// What to type to restore the set.
    fn restore_command(&self, outcome: &PackOutcome) -> String {
        let is_there = |(n, _): &(usize, &DriveOfPlan)| {
            !outcome.packed.failed.contains(n) && !self.absent.contains(n)
        };
        let drives = self.drives.iter().enumerate().filter(is_there);
        let mut text = command("restore", drives.map(|(_, planned)| planned.drive.as_str()));
        if self.has_others {
            let _ = write!(text, " --shipment {}", self.shipment);
        }
        text + " -i IDENTITY --to FOLDER"
    }

    /// What to type to put new drives in the place of those that failed; none if none did.
    fn repair_command(&self, outcome: &PackOutcome) -> Option<String> {
        let failed = &outcome.packed.failed;
        if failed.is_empty() || outcome.packed.stopped {
            return None;
        }
        let mut text = String::from("holdall repair");
        for (number, planned) in self.drives.iter().enumerate() {
            if !failed.contains(&number) {
                let _ = write!(text, " {}", typed(&planned.drive));
            }
        }
        for number in failed {
            let case = &self.drives[*number].case;
            let _ = write!(text, " --onto {}", typed(&format!("{case}=PATH")));
        }
        Some(text + self.folder_drives)
    }

    /// The drives that answered when they were read back.
    fn live<'a>(&'a self, outcome: &'a PackOutcome) -> Vec<(&'a str, &'a DriveReport)> {
        let reports = self.drives.iter().zip(&outcome.reports);
        reports
            .filter_map(|(planned, report)| Some((planned.drive.as_str(), report.as_ref()?)))
            .filter(|(_, report)| !report.vanished)
            .collect()
    }

    /// What to type to repair what the read-back found damaged; none if nothing is, or none can.
    fn in_place_command(&self, outcome: &PackOutcome) -> Option<String> {
        let live = self.live(outcome);
        let is_damaged = |report: &DriveReport| !report.is_whole() && !report.stopped;
        let is_any = live.iter().any(|(_, report)| is_damaged(report));
        (is_any && !outcome.is_lost())
            .then(|| command("repair", live.iter().map(|(drive, _)| *drive)))
    }

    /// What to type to repair what the read-back found damaged, or to prove what it could not. Drives
    /// that do not answer are in no command.
    fn next_step(&self, outcome: &PackOutcome) -> String {
        if outcome.is_lost() {
            return lost_text(outcome);
        }
        if let Some(command) = self.in_place_command(outcome) {
            return format!("To repair it: {command}\n");
        }
        let live = self.live(outcome);
        let proven = |r: &DriveReport| r.is_whole() && r.level >= Level::Dropped;
        if live.iter().all(|(_, report)| proven(report)) {
            return String::new();
        }
        to_prove(&live.iter().map(|(drive, report)| (*drive, report.proof)).collect::<Vec<_>>())
    }

    /// How full the drives are with so many bytes of shards, once all is packed.
    fn filled(&self, bytes: &[u64]) -> String {
        let full = |(planned, bytes): (&DriveOfPlan, &u64)| {
            let room = u128::from((planned.free_bytes + planned.before).max(1));
            u128::from(*bytes) * 100 / room
        };
        let full = || self.drives.iter().zip(bytes).map(full);
        let (least, most) = (full().min().unwrap_or(0), full().max().unwrap_or(0));
        let range = if least == most { most.to_string() } else { format!("{least} to {most}") };
        let all = shown_bytes(bytes.iter().sum());
        format!("The drives have {all} of shards, with parity: they are {range} % full.")
    }

    /// `bytes` are those of all runs of the set.
    fn table(&self, bytes: &[u64]) -> String {
        let row = |(planned, bytes): (&DriveOfPlan, &u64)| DriveRow {
            case: planned.case.clone(),
            drive: planned.drive.clone(),
            slot: planned.slot,
            bytes: *bytes,
            capacity: planned.free_bytes + planned.before,
        };
        bytes_table(&self.drives.iter().zip(bytes).map(row).collect::<Vec<_>>())
    }
}

/// The drives do not hold what was packed.
fn lost_text(outcome: &PackOutcome) -> String {
    let verdict = outcome.verdict.clone().unwrap_or_default();
    let (parts, all) = verdict.lost_parts();
    let files = some(outcome.packed.files, "file");
    let what = match parts {
        parts if parts == all => format!("{files} cannot be restored: nothing reads back"),
        _ => format!(
            "Some of {files} cannot be restored: {} of the data does not read back",
            share(parts, all)
        ),
    };
    format!(
        "{what}. The drives did not keep what was written: pack again, onto other drives.\n\
         (holdall resume {} closes the set and reads it back once more.)\n",
        outcome.shipment
    )
}

/// The plan, before anything is written.
pub fn plan(plan: &Plan) -> String {
    if let [only] = &plan.drives[..]
        && plan.missing_bytes == 0
    {
        let text = format!(
            "To pack: {}, onto {} (case {}). Of its {}, at most: {}. {}",
            some(plan.left_entries, "entry"),
            only.drive,
            only.case,
            shown_bytes(only.free_bytes + only.before),
            cost(plan),
            guarantee(plan.survive, 1),
        );
        return lines(&text);
    }
    let mut cases: Vec<&str> = plan.drives.iter().map(|planned| planned.case.as_str()).collect();
    cases.sort_unstable();
    cases.dedup();
    let mut t = format!(
        "Plan for set {} of shipment {}: {} in {}.\n",
        plan.set,
        plan.shipment,
        some(plan.drives.len() as u64, "drive"),
        some(cases.len() as u64, "case"),
    );
    let default = if plan.survive_is_default {
        " (The default for these drives; --survive changes it.)"
    } else {
        ""
    };
    t += &lines(&format!("{}{default}", guarantee(plan.survive, plan.drives.len())));
    let text = format!(
        "{}: {}, {}. The drives hold at least {} under this rule.",
        if plan.left_entries < plan.entries { "Left of the dataset" } else { "The dataset" },
        some(plan.left_entries, "entry"),
        shown_bytes(plan.left_bytes),
        shown_bytes(plan.holds_bytes),
    );
    t += &lines(&text);
    if plan.missing_bytes > 0 {
        let _ = writeln!(
            t,
            "They may not hold all of it: {} may be left for further sets.",
            shown_bytes(plan.missing_bytes),
        );
    }
    let _ = writeln!(t, "Sealed with {}.", plan.suite);
    t += &lines(&format!("The cost at most, if nothing compresses: {}.", cost(plan)));
    t.push('\n');
    let bytes = plan.drives.iter().map(|planned| planned.bytes + planned.before);
    t.push_str(&plan.table(&bytes.collect::<Vec<_>>()));
    t
}

/// What the bytes of the plan's table are for.
fn cost(plan: &Plan) -> String {
    let data = plan.left_bytes.min(plan.holds_bytes);
    let all: u64 = plan.drives.iter().map(|planned| planned.bytes).sum();
    let others = all.saturating_sub(data + plan.parity_bytes);
    let [data, parity, others] = [data, plan.parity_bytes, others].map(shown_bytes);
    let there = match plan.drives.iter().map(|planned| planned.before).sum() {
        0 => String::new(),
        there => format!("; {} are there already", shown_bytes(there)),
    };
    format!("{data} of data, {parity} of parity, {others} of lists and padding{there}")
}

/// What was packed.
pub fn packed(plan: &Plan, outcome: &PackOutcome, quiet: bool) -> String {
    let p = &outcome.packed;
    let mut t = String::new();
    if !quiet && plan.drives.len() > 1 {
        let _ = writeln!(t, "{}", plan.filled(&p.drive_bytes));
    }
    if p.stopped {
        let _ = writeln!(
            t,
            "Stopped as asked: {} committed so far; set {} is not closed.\nTo resume: {}",
            some(p.entries, "entry"),
            outcome.set,
            plan.resume_command(true),
        );
        return t;
    }
    t.push_str(&counts(outcome));
    if plan.drives.len() == 1 && outcome.is_proven() && p.duplicate_bytes + p.left_out == 0 {
        t.truncate(t.trim_end().len());
        t.push(' ');
    }
    t.push_str(&read_back(plan, outcome));
    let degraded = outcome.verdict.as_ref().filter(|v| v.degraded > 0 || !v.restorable());
    t.push_str(&match degraded {
        Some(v) => verdict(v),
        // Of a single drive, the plan said it.
        None if plan.drives.len() == 1 && !quiet => String::new(),
        None => guarantee(plan.survive, plan.drives.len()) + "\n",
    });
    let _ = writeln!(t, "The set's root (b3sum set.txt): {}", hex(&p.root));
    if !outcome.is_lost() && plan.drives.len() == 1 {
        t.push_str("The drive is synced: unmount it, and it is safe to unplug.\n");
    } else if !outcome.is_lost() {
        t.push_str("The drives are synced: unmount them, and they are safe to unplug.\n");
    }
    t.push_str(&failed_drives(plan, outcome).unwrap_or_default());
    if outcome.left_entries > 0 {
        let _ = writeln!(
            t,
            "\nSet {} is {}. Left for further sets: {}, {}. Unmount and unplug its drives, attach \
             others, then run:\n{}",
            outcome.set,
            if outcome.early { "closed early" } else { "full" },
            some(outcome.left_entries, "entry"),
            shown_bytes(outcome.left_bytes),
            plan.resume_command(false),
        );
    } else if !outcome.is_lost() {
        let with = if outcome.set.0 > 1 { ", with the drives of each set" } else { "" };
        let _ = writeln!(t, "To restore{with}: {}", plan.restore_command(outcome));
    }
    t
}

/// How much was packed.
fn counts(outcome: &PackOutcome) -> String {
    let p = &outcome.packed;
    let mut t = String::new();
    let _ = writeln!(
        t,
        "Packed {}: {} in {}, stored as {}.",
        some(outcome.new_entries, "entry"),
        shown_bytes(outcome.part_bytes.unwrap_or(p.file_bytes)),
        match outcome.part_bytes {
            Some(_) => some(p.files, "file") + ", or parts of them",
            None => some(p.files, "file"),
        },
        shown_bytes(p.stored_bytes),
    );
    if p.left_out > 0 {
        let (left_out, named) = (some(p.left_out, "file"), named(p.left_out));
        let _ = writeln!(t, "Packed without content because unreadable: {left_out}, {named}.");
    }
    if p.duplicate_bytes > 0 {
        let _ = writeln!(t, "{} of duplicates are stored once.", shown_bytes(p.duplicate_bytes));
    }
    if p.forgotten > 0 {
        let forgotten = some(p.forgotten, "piece");
        let _ = writeln!(t, "The duplicate table was full: {forgotten} may be stored twice.");
    }
    t
}

/// How it was read back, and what to do where that proves nothing.
fn read_back(plan: &Plan, outcome: &PackOutcome) -> String {
    if outcome.reports.is_empty() {
        let verify = command("verify", plan.drives.iter().map(|d| d.drive.as_str()));
        return format!("Nothing was read back (--no-read-back). To check it: {verify}\n");
    }
    let levels = outcome.reports.iter().flatten().map(|r| r.level);
    let level = levels.min().unwrap_or(Level::None);
    let mut t = if outcome.is_proven() {
        format!("Read back {}: every block is as it was written.\n", level_words(level))
    } else if outcome.read_back_stopped() {
        "The read-back was stopped before its end, so it is not proven.\n".into()
    } else if level == Level::Cached {
        format!("Read back {}.\n", level_words(level))
    } else {
        "Read back, and not everything is as it was written: see above.\n".into()
    };
    t.push_str(&plan.next_step(outcome));
    if outcome.read_back_stopped() {
        let _ = writeln!(t, "or: {}", plan.resume_command(true));
    }
    t
}

/// The drives that were left out, and what to type for them; none if none were.
fn failed_drives(plan: &Plan, outcome: &PackOutcome) -> Option<String> {
    let command = plan.repair_command(outcome)?;
    let failed = &outcome.packed.failed;
    let absent = failed.iter().filter(|number| plan.absent.contains(number)).count();
    let (absent, failed) = (absent as u64, (failed.len() - absent) as u64);
    let told = match (failed, absent) {
        (failed, 0) => format!("{} failed.", some(failed, "drive")),
        (0, absent) => format!(
            "{} left out: run holdall repair with all drives of the set to complete it.",
            some(absent, "drive"),
        ),
        (failed, absent) => format!("{} failed, {absent} left out.", some(failed, "drive")),
    };
    Some(format!("\n{told} To reconstruct on new drives:\n{command}\n"))
}

/// The same for programs.
#[derive(Serialize)]
pub struct PackedEvent<'a> {
    #[serde(flatten)]
    outcome: &'a PackOutcome,
    root: Option<String>,
    failed_drives: Vec<usize>,
    repair: Option<String>,
    read_back: Vec<Option<ReadBack>>,
    proven: bool,
    restorable: Option<bool>,
}

/// How one drive was read back.
#[derive(Serialize)]
struct ReadBack {
    level: Level,
    whole: bool,
    bytes: u64,
    stopped: bool,
}

impl<'a> PackedEvent<'a> {
    pub fn new(plan: &Plan, outcome: &'a PackOutcome) -> Self {
        let packed = &outcome.packed;
        let read_back = |report: &DriveReport| ReadBack {
            level: report.level,
            whole: report.is_whole(),
            bytes: report.bytes,
            stopped: report.stopped,
        };
        Self {
            outcome,
            root: (!packed.stopped).then(|| hex(&packed.root)),
            failed_drives: packed.failed.iter().map(|number| number + 1).collect(),
            repair: plan.repair_command(outcome).or_else(|| plan.in_place_command(outcome)),
            read_back: outcome.reports.iter().map(|r| r.as_ref().map(read_back)).collect(),
            proven: outcome.is_proven(),
            restorable: outcome.verdict.as_ref().map(Verdict::restorable),
        }
    }
}
