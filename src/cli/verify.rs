//! `verify` on the command line.

mod logged;
mod next_step;

use super::against::against;
use super::args::inspect::VerifyArgs;
use super::exit::Status;
use super::keys::identities;
use super::output::{emit, out};
use super::refusal::{Refusal, open_refusal};
use super::show::{FURTHER, JudgedSet, losses, never_closed, not_taken, to_close, verdict_of_set};
use super::sizes::{shown_bytes, shown_count};
use super::text::{level_words, slot_name, some, verb};
use super::ui::Ui;
use crate::check::custody::Remark;
use crate::check::report::DriveReport;
use crate::check::spare::Losses;
use crate::commands;
use crate::drives::Level;
use crate::entropy::{Entropy, System};
use crate::format::shown::shown_text;
use crate::restorer::check::Decoded;
use crate::verification::{DriveOutcome, SetOutcome};
use next_step::{erase_command, repair_command};
use serde::Serialize;
use std::fmt::Write as _;

pub use next_step::next_step;

pub fn verify(args: &VerifyArgs, ui: &Ui) -> Result<Status, Refusal> {
    if let Some(dir) = &args.against {
        return against(args, dir, ui);
    }
    let expect = &args.expect.expect[..];
    let remark = Remark { by: args.by.clone(), text: args.note.clone() };
    let sets = match &args.identities[..] {
        [] if args.quick => {
            let mut seed = [0; 32];
            System.fill(&mut seed).map_err(Refusal::failed)?;
            commands::verify::verify_quickly(&args.paths, expect, seed, ui.monitor())
        }
        [] => commands::verify::verify(&args.paths, expect, args.memory, ui.monitor()),
        files => {
            let (identities, memory) = (identities(files, ui)?, args.memory);
            commands::decode::decode(&args.paths, &identities, expect, memory, ui.monitor())
        }
    };
    let sets = sets.map_err(open_refusal)?;
    let log = |set| commands::custody::log(set, args.quick, &remark, &System, ui.monitor());
    let logged: Vec<_> = sets.iter().filter(|_| args.log).map(log).collect();
    ui.finish();
    ui.print_problems();
    let mut status = Status::Done;
    for (number, set) in sets.iter().enumerate() {
        say(set, ui);
        if let Some(notes) = logged.get(number) {
            logged::say(notes, ui);
        }
        status = status.merge(if set.has_lost() && set.is_sound_in_part() {
            Status::Waiting
        } else if set.has_lost() {
            Status::Failed
        } else if !set.is_whole() {
            Status::Problems
        } else {
            Status::Done
        });
    }
    Ok(if ui.problems().is_empty() { status } else { status.merge(Status::Problems) })
}

/// Says what was found of a set.
pub fn say(set: &SetOutcome, ui: &Ui) {
    if !ui.is_json() {
        return out(&verified(set));
    }
    emit("verified", &Verified::new(set));
    if let Some(decoded) = &set.decoded {
        emit("decoded", &DecodedSet::new(&set.name, decoded));
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
        words.push(format!("{} missing", some(r.missing_shards, "file")));
    }
    if r.bad_blocks > r.unreadable_blocks {
        words.push(format!("{} damaged", some(r.bad_blocks - r.unreadable_blocks, "block")));
    }
    if r.unreadable_blocks > 0 {
        words.push(format!("{} unreadable", some(r.unreadable_blocks, "block")));
    }
    if r.unread_blocks > 0 {
        words.push(format!("{} not tried", some(r.unread_blocks, "block")));
    }
    if r.long_shards > 0 {
        words.push(format!("{} too long", some(r.long_shards, "file")));
    }
    if r.bad_metadata_files > 0 {
        words.push(format!("{} damaged or missing", some(r.bad_metadata_files, "small file")));
    }
    match &words[..] {
        [] if r.sampled_blocks.is_some() => "no damage in the sample".into(),
        [] if r.level < Level::Dropped => "no damage seen".into(),
        [] => "whole".into(),
        words => words.join(", "),
    }
}

/// What a sample is worth.
const SAMPLED: &str = "\
Only a random sample was read: damage to 1 % or more of a drive goes unnoticed once in 1,000 times.
holdall verify without --quick reads everything.
";

/// How much of a drive was read.
fn amount(r: &DriveReport) -> String {
    match r.sampled_blocks {
        None => shown_bytes(r.bytes),
        Some(blocks) => format!("a sample of {}", some(blocks, "block")),
    }
}

/// What verify found of a set.
pub fn verified(set: &SetOutcome) -> String {
    let mut t = String::new();
    let here = u64::from(set.drive_count) - set.missing.len() as u64;
    let _ = writeln!(
        t,
        "Set {} ({}): {} of {} attached.",
        set.name,
        shown_text(&set.survive),
        some(here, "drive"),
        set.drive_count
    );
    for d in &set.drives {
        let r = &d.report;
        let _ = writeln!(
            t,
            "  slot {:>3}  case {}  {}{}: {} read {}: {}",
            slot_name(d.slot),
            d.case,
            shown_text(&d.name),
            if d.double { " (one of several copies)" } else { "" },
            amount(r),
            level_words(r.level),
            if set.verdict.is_blank() && d.is_whole() {
                "no record to check it against".into()
            } else {
                drive_state(d)
            },
        );
    }
    if !set.missing.is_empty() {
        let slots: Vec<_> = set.missing.iter().map(ToString::to_string).collect();
        let _ = writeln!(t, "  not attached: slot {}", slots.join(", "));
    }
    match (&set.root, &set.in_use) {
        (Some(root), _) => {
            let _ = writeln!(t, "Root (b3sum set.txt): {root}");
            if set.has_further {
                t.push_str(FURTHER);
            }
            if set.end_unknown {
                t.push_str(
                    "The set was closed from its drives alone: whether more was packed is not known.\n",
                );
            }
        }
        (None, Some(program)) => {
            let _ = writeln!(t, "The set is not closed yet: {program} is at work on it.");
        }
        (None, None) => {
            t.push_str(&never_closed("The set", !set.missing.is_empty()));
        }
    }
    if set.is_sound_in_part() {
        let (is, here) =
            if here == 1 { ("is", "The drive that is") } else { ("are", "The drives that are") };
        let _ = writeln!(t, "{here} attached {is} sound: no damage was found.");
    }
    t.push_str(&found(set));
    if !set.is_foreign {
        let is_open = set.root.is_none() && set.in_use.is_none() && !set.needs_key;
        if is_open && set.missing.is_empty() && !set.is_stopped() {
            t.push_str(&to_close(&set.verdict, set.drives.iter().map(|d| d.name.as_str())));
        }
        t.push_str(&next_step(set));
    }
    if let Some(decoded) = &set.decoded {
        t.push_str(&decoded_text(decoded));
    }
    t
}

/// The verdict, of what was read and no more.
fn found(set: &SetOutcome) -> String {
    if set.is_foreign {
        return "Another set is the last of this shipment, so this one is ignored.\n".into();
    }
    if set.is_stopped() {
        let sum = |bytes: &dyn Fn(&DriveOutcome) -> u64| {
            shown_bytes(set.drives.iter().map(bytes).sum::<u64>())
        };
        if set.drives.iter().all(|d| d.report.bytes == 0) {
            return "Stopped before anything was read: nothing is known about the set.\n".into();
        }
        let (read, all) = (sum(&|d| d.report.bytes), sum(&|d| d.expected_bytes));
        let sound = if set.is_sound_so_far() {
            ", and these were sound"
        } else {
            "; the damage in them is listed above"
        };
        return format!(
            "Stopped: {read} of {all} were read{sound}. Nothing is known about the rest.\n"
        );
    }
    if set.needs_key && set.verdict.gaps {
        return "Records contradict each other, and the set is not closed: only its key shows what can be \
                restored.\n"
            .into();
    }
    let mut t = verdict_of_set(&set.verdict, set.id.1, set.has_further);
    if set.drives.iter().any(|d| d.report.sampled_blocks.is_some()) {
        t = t.replacen("Everything ", "As far as the sample shows, everything ", 1);
        t.push_str(SAMPLED);
    }
    let unread: u64 = set.drives.iter().map(|d| d.report.unread_blocks).sum();
    if unread > 0 {
        let _ = writeln!(
            t,
            "{} next to unreadable ones {} not read, and {} as lost.",
            some(unread, "block"),
            verb(unread, "was", "were"),
            verb(unread, "counts", "count"),
        );
    }
    t
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
    t.push_str(if r.stopped {
        "; stopped before the end.\n"
    } else if d.is_complete() {
        ": every one matches its root.\n"
    } else {
        "; not all: see the problems above.\n"
    });
    if r.lost > 0 {
        let _ = writeln!(t, "{} cannot be restored.", files_or_lists(r.lost));
    }
    if r.waiting > 0 {
        let waiting = files_or_lists(r.waiting);
        let _ = writeln!(t, "{waiting} could not be checked: more drives are needed.");
    }
    if r.packed_badly > 0 {
        let files = some(r.packed_badly, "file");
        let _ = writeln!(t, "{files} could not be read, or changed, while the dataset was packed.");
    }
    t.push_str(&not_taken(r));
    t.push_str(match d.catalog_agrees {
        Some(true) => "The catalog agrees with the lists in the shards.\n",
        Some(false) => "The catalog is damaged, or differs from the lists in the shards.\n",
        None => "The catalog was not compared with the lists in the shards.\n",
    });
    t
}

fn files_or_lists(count: u64) -> String {
    let noun = if count == 1 { "file or list" } else { "files or lists" };
    format!("{} {noun}", shown_count(count))
}

/// What was found of a set, for programs.
#[allow(clippy::struct_excessive_bools, reason = "each is a field of the event")]
#[derive(Serialize)]
struct Verified<'a> {
    #[serde(flatten)]
    set: &'a SetOutcome,
    stopped: bool,
    whole: bool,
    proven: bool,
    sound: bool,
    last: Option<bool>,
    repair: Option<String>,
    erase: Option<String>,
    may_be_lost: &'a [Losses],
    verdict: JudgedSet<'a>,
}

impl<'a> Verified<'a> {
    fn new(set: &'a SetOutcome) -> Self {
        Self {
            set,
            stopped: set.is_stopped(),
            whole: set.is_whole(),
            proven: set.is_proven(),
            sound: set.is_sound(),
            last: (set.root.is_some() && !set.end_unknown).then_some(!set.has_further),
            repair: repair_command(set),
            erase: erase_command(set),
            may_be_lost: losses(&set.verdict, !set.is_stopped()),
            verdict: JudgedSet::new(&set.verdict, !set.is_stopped()),
        }
    }
}

/// What decoding everything showed, for programs.
#[derive(Serialize)]
struct DecodedSet<'a> {
    set: &'a str,
    stopped: bool,
    files: u64,
    file_bytes: u64,
    entries: u64,
    lost: u64,
    waiting: u64,
    packed_badly: u64,
    not_taken: u64,
    #[serde(flatten)]
    decoded: &'a Decoded,
    complete: bool,
}

impl<'a> DecodedSet<'a> {
    fn new(set: &'a str, decoded: &'a Decoded) -> Self {
        let r = &decoded.restored;
        Self {
            set,
            stopped: r.stopped,
            files: r.files,
            file_bytes: r.file_bytes,
            entries: r.entries,
            lost: r.lost,
            waiting: r.waiting,
            packed_badly: r.packed_badly,
            not_taken: r.not_taken,
            decoded,
            complete: decoded.is_complete(),
        }
    }
}
