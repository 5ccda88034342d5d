//! `pack` and `resume` on the command line.

use super::args::pack::{PackArgs, ResumeArgs, SetArgs};
use super::exit::Status;
use super::forget::OfShipment;
use super::output::{emit, out};
use super::pack_set::{one_set, refusal};
use super::refusal::Refusal;
use super::rounds::{LeftOut, Round};
use super::sizes::{parse_size, shown_bytes};
use super::ui::Ui;
use super::{chosen, keys, lists, plan_file, rounds, show, stop};
use crate::commands::drives::{remember, warnings_of};
use crate::commands::pack::{
    self as command, PackJobError, PackOptions, Prepared, Remaining, ResumeOptions, UnprovenSet,
};
use crate::entropy::{Entropy, System};
use crate::format::ids::ShipmentId;
use crate::opening::open::found;
use crate::packer::Checkpoint;
use crate::plan::case_path::CasePath;
use crate::plan::geometry::Geometry;
use crate::plan::room::RoomError;
use crate::plan::survive::Survive;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Begins a shipment: packs its first set, and those that follow as drives are attached.
pub fn pack(mut args: PackArgs, ui: &Ui) -> Result<Status, Refusal> {
    let by = plan_file::apply(&mut args.set, 1)?;
    let (yes, named) = (args.yes, args.set.drives.clone());
    let options = pack_options(args, ui)?;
    let source = options.source.clone();
    let mut left_out = LeftOut::default();
    let prepare = |drives: &[CasePath]| {
        let prepared = command::prepare(drives, options.clone(), None, &System, ui.monitor());
        prepared.map_err(|e| refusal_on(e, drives))
    };
    let (prepared, drives) = if named.is_empty() && source.exists() {
        offered(&Round::first(&source), &mut left_out, yes, ui, prepare)?
    } else {
        note_warnings(&named, Some(&source), ui);
        (prepare(&named)?, named)
    };
    // What this round does not hold goes onto the later rounds of the plan.
    let totals = prepared.totals();
    let all_fits = by.is_some_and(|plan| plan.holds(totals.data_bytes, totals.entries));
    if prepared.plan.missing_bytes > 0 && !yes && !all_fits {
        return ask_for_more(prepared, &drives, left_out, ui);
    }
    let prepared = unless_empty(prepared, yes, ui)?;
    show_plan(&prepared, ui);
    sets(prepared, left_out, ui)
}

/// The drives that are attached are offered, as none was named; refused if there is nobody to ask.
pub(super) fn offered<T>(
    round: &Round,
    left_out: &mut LeftOut,
    yes: bool,
    ui: &Ui,
    plan: impl FnMut(&[CasePath]) -> Result<T, Refusal>,
) -> Result<(T, Vec<CasePath>), Refusal> {
    if yes || ui.is_json() || !rounds::can_ask() {
        let hint = "name each with --drive CASE=PATH (holdall drives lists what is attached); at a \
                    terminal, without --yes, they are offered";
        return Err(Refusal::usage("no drive is named, and there is nobody to ask", hint));
    }
    rounds::with_drives(round, left_out, ui, plan)?.ok_or_else(|| {
        if stop::asked() { Refusal::failed(PackJobError::Stopped) } else { Refusal::declined() }
    })
}

/// Says what should be known of the drives that were named.
fn note_warnings(drives: &[CasePath], source: Option<&Path>, ui: &Ui) {
    warnings_of(drives, source).iter().for_each(|text| ui.monitor().note(text));
}

/// Packs the next set of a shipment in progress, or the rest of one after a crash.
pub fn resume(mut args: ResumeArgs, ui: &Ui) -> Result<Status, Refusal> {
    let shipment = args.shipment.as_deref().map(chosen::in_progress).transpose()?;
    if args.set.plan.is_some() {
        plan_file::apply(&mut args.set, plan_file::next_round(shipment))?;
    }
    let named = args.set.drives.clone();
    let mut left_out = LeftOut::default();
    let options = resume_options(&args.set, args.anew, ui)?;
    let plan = |drives: &[CasePath]| {
        let rest = command::resume(shipment, drives, options.clone(), &System, ui.monitor());
        rest.map_err(|e| refusal_on(e, drives))
    };
    let known = if named.is_empty() { command::resumable(shipment) } else { None };
    let rest = if let Some(known) = known {
        let mut round = Round::from(known);
        round.resumed = round.resumed.filter(|_| !args.anew);
        offered(&round, &mut left_out, false, ui, plan)?.0
    } else {
        note_warnings(&named, None, ui);
        plan(&named)?
    };
    match rest {
        Remaining::Pack(prepared) => {
            show_plan(&prepared, ui);
            sets(*prepared, left_out, ui)
        }
        Remaining::Prove(unproven) => Ok(prove(*unproven, ui)),
        Remaining::Nothing => Ok(nothing_left(shipment, ui)),
    }
}

/// Packs a set whose plan was shown, and those that follow as drives are attached.
fn sets(prepared: Prepared, left_out: LeftOut, ui: &Ui) -> Result<Status, Refusal> {
    let (mut prepared, mut left_out) = (prepared, left_out);
    let mut status = Status::Done;
    ui.about(prepared.shipment());
    loop {
        let (memory, folder_drives) = (prepared.memory, prepared.folder_drives());
        let (shipment, cases) = (prepared.shipment(), prepared.cases());
        let source = prepared.source_path();
        let drives = prepared.drive_names();
        remember(&drives, &System.now());
        let (packed, outcome) = one_set(prepared, ui)?;
        ui.say_time();
        status = status.merge(packed);
        if outcome.left_entries == 0 || outcome.packed.stopped || outcome.is_lost() {
            return Ok(status);
        }
        ui.call_for_drives(!ui.is_json() && rounds::can_ask());
        let (last_cases, packed) = drives.into_iter().unzip();
        let shipment = Some(shipment);
        let round = Round { shipment, source, packed, last_cases, cases, resumed: None };
        let resume = |drives: &[CasePath]| {
            ui.new_lap(); // drives were awaited
            let options = ResumeOptions { memory, folder_drives, ..ResumeOptions::default() };
            command::resume(shipment, drives, options, &System, ui.monitor()).map_err(refusal)
        };
        let Some((rest, _)) = rounds::with_drives(&round, &mut left_out, ui, resume)? else {
            return Ok(status.merge(Status::Waiting));
        };
        prepared = match rest {
            Remaining::Pack(prepared) => *prepared,
            Remaining::Prove(unproven) => return Ok(status.merge(prove(*unproven, ui))),
            Remaining::Nothing => return Ok(status),
        };
        show_plan(&prepared, ui);
    }
}

/// Reads a closed set back whose read-back was stopped.
fn prove(unproven: UnprovenSet, ui: &Ui) -> Status {
    let name = unproven.name();
    ui.monitor().note(&format!("set {name} is closed, and its read-back was stopped: once more"));
    let proof = unproven.run(ui.monitor());
    ui.finish();
    ui.print_problems();
    super::verify::say(&proof, ui);
    super::close::proof_status(&proof, ui)
}

fn show_plan(prepared: &Prepared, ui: &Ui) {
    ui.finish();
    if ui.is_json() {
        emit("plan", &show::Plan::of(prepared));
    } else if !ui.is_quiet() {
        out(&show::plan(&show::Plan::of(prepared)));
    }
}

fn nothing_left(shipment: Option<ShipmentId>, ui: &Ui) -> Status {
    ui.finish();
    if ui.is_json() {
        emit("nothing-left", &OfShipment { shipment });
    } else {
        out(&match shipment {
            Some(id) => format!("Nothing is left to do: shipment {id} is complete.\n"),
            None => "Nothing is left to do: no shipment is in progress on this machine.\n".into(),
        });
    }
    Status::Done
}

/// The drives cannot hold the dataset: goes on with a part of it if a person agrees.
fn ask_for_more(
    prepared: Prepared,
    drives: &[CasePath],
    left_out: LeftOut,
    ui: &Ui,
) -> Result<Status, Refusal> {
    ui.finish();
    let (missing, holds) = (prepared.plan.missing_bytes, prepared.plan.holds_bytes);
    if !ui.is_json() && rounds::can_ask() {
        show_plan(&prepared, ui);
        if rounds::agrees("Pack what fits, and the rest on further sets?") {
            return sets(prepared, left_out, ui);
        }
        prepared.discard().map_err(refusal)?;
        return Err(Refusal::declined());
    }
    if ui.is_json() {
        show_plan(&prepared, ui); // the numbers, for programs
    }
    let survive = prepared.plan.survive;
    prepared.discard().map_err(refusal)?;
    Err(Refusal::usage(
        format!(
            "the dataset may need more room than there is: under the rule {survive} the drives hold \
             {}, and {} are missing",
            shown_bytes(holds),
            shown_bytes(missing),
        ),
        erase_first(drives)
            + "add drives or larger ones, pack less (--exclude), ask for less with --survive, or add \
               --yes: what fits is packed now, and the rest on further sets",
    ))
}

/// A dataset with nothing in it is most often a disk that is not mounted, or a pattern that matches
/// everything: that is said, and a person is asked. Refused if it is not to be packed.
fn unless_empty<'a>(prepared: Prepared<'a>, yes: bool, ui: &Ui) -> Result<Prepared<'a>, Refusal> {
    let totals = prepared.totals();
    if totals.entries > totals.folders {
        return Ok(prepared);
    }
    let text = "there is nothing but folders in the dataset: is its disk mounted, and do --exclude \
                and --files-from leave anything?";
    ui.monitor().note(text);
    ui.finish();
    if yes || ui.is_json() || !rounds::can_ask() || rounds::agrees("Pack it all the same?") {
        return Ok(prepared);
    }
    prepared.discard().map_err(refusal)?;
    Err(Refusal::declined())
}

/// What to type where sets that are on the drives already take their room; else nothing.
fn erase_first(drives: &[CasePath]) -> String {
    let paths: Vec<PathBuf> = drives.iter().map(|drive| drive.path.clone()).collect();
    let mut text = String::new();
    for set in found(&paths, &crate::monitor::Recording::default()).unwrap_or_default() {
        let (name, command) = (set.name(), set.erase_command());
        let _ = write!(text, "if set {name} is no longer needed: {command}; or ");
    }
    text
}

/// A refusal that names the sets that take the room.
fn refusal_on(error: PackJobError, drives: &[CasePath]) -> Refusal {
    let lacks_room =
        matches!(error, PackJobError::Plan { source: RoomError::TooLittle { .. }, .. });
    let mut refusal = refusal(error);
    if lacks_room && let Some(hint) = &mut refusal.hint {
        hint.insert_str(0, &erase_first(drives));
    }
    refusal
}

/// What the arguments mean.
fn resume_options(set: &SetArgs, anew: bool, ui: &Ui) -> Result<ResumeOptions, Refusal> {
    let none = set.recipients.is_empty() && set.recipient_files.is_empty();
    let recipients = if none {
        None
    } else {
        Some(keys::recipients(&set.recipients, &set.recipient_files, ui)?)
    };
    Ok(ResumeOptions {
        recipients,
        survive: survive(set.survive.as_deref())?,
        close: false,
        anew,
        memory: set.memory.memory,
        folder_drives: set.folder_drives,
        checkpoint: set.checkpoint.as_deref().map(checkpoint).transpose()?,
        no_read_back: set.no_read_back,
    })
}

/// The one dataset that is packed.
pub(super) fn source(mut paths: Vec<PathBuf>) -> Result<PathBuf, Refusal> {
    if let Some(more) = paths.get(1) {
        let text = format!("unexpected argument {}: pack takes one SOURCE", more.display());
        let hint = "name the folder that holds everything, and leave out parts with --exclude; \
                    name drives with --drive CASE=PATH";
        return Err(Refusal::usage(text, hint));
    }
    Ok(paths.pop().unwrap_or_default())
}

/// What the arguments mean.
fn pack_options(args: PackArgs, ui: &Ui) -> Result<PackOptions, Refusal> {
    let recipients = keys::recipients(&args.set.recipients, &args.set.recipient_files, ui)?;
    let survive = survive(args.set.survive.as_deref())?;
    let checkpoint =
        args.set.checkpoint.as_deref().map(checkpoint).transpose()?.unwrap_or_default();
    let geometry = args.geometry.as_deref().map(geometry).transpose()?;
    for (option, text) in [("--name", &args.name), ("--contact", &args.contact)] {
        if text.chars().any(char::is_control) {
            let text = format!("{option} holds control characters: {text}");
            return Err(Refusal::usage(text, "it is printed on every drive: write it in one line"));
        }
    }
    let source = source(args.paths)?;
    Ok(PackOptions {
        recipients,
        survive,
        cipher: args.cipher,
        level: args.level,
        contents: lists::contents(args.contents, &source, &args.set.recipient_files)?,
        source,
        name: args.name,
        contact: args.contact,
        checkpoint,
        read_back: !args.set.no_read_back,
        geometry,
        memory: args.set.memory.memory,
        folder_drives: args.set.folder_drives,
    })
}

fn checkpoint(text: &str) -> Result<Checkpoint, Refusal> {
    let bytes =
        parse_size(text).map_err(|text| Refusal::usage(text, "write --checkpoint 256MiB"))?;
    Ok(Checkpoint { bytes, seconds: 0 })
}

pub(super) fn survive(text: Option<&str>) -> Result<Option<Survive>, Refusal> {
    text.map(str::parse::<Survive>).transpose().map_err(|e| {
        let hint = "write --survive cases=1, drives=1, blocks=1%, several with commas, or none";
        Refusal::failed(e).hint(hint).status(Status::Usage)
    })
}

fn geometry(text: &str) -> Result<Geometry, Refusal> {
    let hint = "write C,B,N: C and B powers of two in bytes, N blocks a shard, 2·C no more than \
                a shard holds; such as 16384,4096,16";
    let numbers: Vec<u32> = text.split(',').filter_map(|n| n.parse().ok()).collect();
    let [chunk, block, count] = numbers[..] else {
        return Err(Refusal::usage("--geometry needs three numbers", hint));
    };
    Geometry::new(chunk, block, count).map_err(|_| {
        Refusal::usage(format!("--geometry {text} gives no chunk size and shards that fit"), hint)
    })
}
