//! `drives` on the command line: what is attached, one drive a block, as a table of 80 columns.

use super::args::inspect::DrivesArgs;
use super::exit::Status;
use super::output::{emit, out};
use super::refusal::Refusal;
use super::sizes::shown_bytes;
use super::table::{Column, Table};
use super::text::{shortened, some, verb, wrapped};
use super::ui::Ui;
use crate::commands::drives::{self as command, Attached, Facts, Listing, SetHere, Warning};
use crate::drives::hardware::{Connection, IdleDisk, USB_2};
use crate::drives::health::State;
use crate::drives::{Level, Proof};
use crate::format::shown::shown_text;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

/// Columns of a line.
const WIDTH: usize = 80;
/// Columns of a drive's path, of its file system and of its connection.
const COLUMNS: [usize; 3] = [24, 12, 13];
/// Sets that are listed of one drive.
const LISTED_SETS: usize = 3;

/// Says what is attached.
pub fn drives(args: &DrivesArgs, ui: &Ui) -> Result<Status, Refusal> {
    if let Some(path) = args.paths.iter().find(|path| !path.exists()) {
        let text = format!("{} is not there", path.display());
        return Err(Refusal::usage(text, "name the folder where the drive is mounted"));
    }
    let listing = command::listing(&args.paths);
    ui.finish();
    if ui.is_json() {
        listing.drives.iter().for_each(|drive| emit("attached", &AttachedEvent::from(drive)));
    } else {
        out(&shown(&listing, !args.paths.is_empty()));
    }
    Ok(Status::Done)
}

/// The whole page. Drives that were named are listed wherever they lie.
fn shown(listing: &Listing, named: bool) -> String {
    let (own, listed): (Vec<&Attached>, Vec<&Attached>) =
        listing.drives.iter().partition(|drive| drive.own.is_some() && !named);
    let mut t = String::new();
    if listed.is_empty() {
        t.push_str("No drive is mounted.\n");
    } else {
        t += &blocks(&listed);
        t += &of_several(&listed);
        t += &proven(&listed);
        t += &unknown_health(&listed);
    }
    t += &not_mounted(&listing.idle);
    if !own.is_empty() {
        let points: Vec<String> = own.iter().map(|drive| shown_path(&drive.path)).collect();
        let disks = verb(own.len() as u64, "it is on a disk", "they are on disks");
        let line = format!("Left out: {} ({disks} of this machine itself).", points.join(", "));
        t += &wrapped(&line, "", WIDTH);
    }
    t
}

/// A line of the table for each drive, and what does not fit in there below it.
fn blocks(drives: &[&Attached]) -> String {
    let mut table = Table::new(&[
        Column::Left("drive"),
        Column::Right("size"),
        Column::Right("free"),
        Column::Left("file system"),
        Column::Left("connection"),
        Column::Left("health"),
    ]);
    for drive in drives {
        let room = |bytes: fn(&Facts) -> u64| {
            drive.facts().map_or("?".into(), |facts| shown_bytes(bytes(facts)))
        };
        table.row([
            shortened(&shown_path(&drive.path), COLUMNS[0]),
            room(|facts| facts.room.total_bytes),
            room(|facts| facts.room.free_bytes),
            shortened(&shown_text(&file_system(drive)), COLUMNS[1]),
            shortened(&connection(drive), COLUMNS[2]),
            health(drive).into(),
        ]);
    }
    let lines = table.shown();
    let mut lines = lines.lines();
    let mut t = String::new();
    for line in lines.by_ref().take(2) {
        let _ = writeln!(t, "{line}");
    }
    let said = said(drives);
    for (line, drive) in lines.zip(drives) {
        let _ = writeln!(t, "{line}");
        for detail in details(drive, &said) {
            t += &wrapped(&shown_text(&detail), "  ", WIDTH);
        }
    }
    t
}

/// What is to be known, in the same words, of which drives.
fn said<'d>(drives: &[&'d Attached]) -> BTreeMap<&'d str, Vec<String>> {
    let mut said: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for drive in drives {
        for warning in &drive.warnings {
            said.entry(&warning.text).or_default().push(shown_path(&drive.path));
        }
    }
    said
}

/// What is said of several, once, below all drives.
fn of_several(drives: &[&Attached]) -> String {
    let mut said = said(drives);
    said.retain(|_, drives| drives.len() > 1);
    lines_of(said, drives.len())
}

/// All that is to be known of drives, each text once, below a table that has no room for it.
pub(super) fn notes(drives: &[Attached]) -> String {
    lines_of(said(&drives.iter().collect::<Vec<_>>()), drives.len())
}

fn lines_of(said: BTreeMap<&str, Vec<String>>, drives: usize) -> String {
    let line = |(text, names): (&str, Vec<String>)| {
        let is_all = drives > 1 && names.len() == drives;
        let of = if is_all { "all".into() } else { names.join(", ") };
        wrapped(&format!("note: {of}: {}", shown_text(text)), "", WIDTH)
    };
    said.into_iter().map(line).collect()
}

/// What is told below a drive's line, without what is said of several.
fn details(drive: &Attached, said: &BTreeMap<&str, Vec<String>>) -> Vec<String> {
    let mut first: Vec<String> =
        [&drive.hardware.model, &drive.hardware.serial].into_iter().flatten().cloned().collect();
    if let Some(text) = drive.facts().and_then(read_back) {
        first.push(text.into());
    }
    let mut lines = Vec::new();
    if !first.is_empty() {
        lines.push(first.join(", "));
    }
    let sets = drive.facts().map_or(&[][..], |facts| &facts.sets);
    for SetHere { set, name, case, slot, .. } in sets.iter().rev().take(LISTED_SETS) {
        let name = if name.is_empty() { String::new() } else { format!(" {name:?}") };
        lines.push(format!("carries set {set}{name}: case {case}, slot {slot}"));
    }
    let more = sets.len().saturating_sub(LISTED_SETS) as u64;
    if more > 0 {
        lines.push(format!("and {}", some(more, "earlier set")));
    }
    let own = drive.warnings.iter().filter(|w| said[w.text.as_str()].len() == 1);
    lines.extend(own.map(|warning| format!("note: {}", warning.text)));
    lines
}

/// How what is written can be proven, unless it simply can.
fn read_back(facts: &Facts) -> Option<&'static str> {
    match (facts.proof, facts.level) {
        (Proof::Elsewhere, _) => Some("cannot be proven here"),
        (_, Level::Direct | Level::Dropped) => None,
        (_, Level::Cached | Level::None) => {
            Some("read back from the cache (past it as root, or after a replug)")
        }
    }
}

/// Which drives can be read back past the cache.
fn proven(drives: &[&Attached]) -> String {
    let is_proven = |drive: &&&Attached| drive.facts().is_some_and(|f| read_back(f).is_none());
    let names: Vec<String> =
        drives.iter().filter(is_proven).map(|drive| shown_path(&drive.path)).collect();
    let of = match names.len() {
        0 => return String::new(),
        count if count == drives.len() => "all".into(),
        _ => names.join(", "),
    };
    wrapped(&format!("What is written can be read back past the cache: {of}."), "", WIDTH)
}

/// The reasons why the health of drives is not known, each once.
fn unknown_health(drives: &[&Attached]) -> String {
    let mut reasons: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for drive in drives {
        let unknown = drive.health.as_ref().filter(|health| health.state == State::Unknown);
        if let Some(why) = unknown.and_then(|health| health.detail.as_deref()) {
            reasons.entry(why).or_default().push(shown_path(&drive.path));
        }
    }
    let line = |(why, names): (&str, Vec<String>)| {
        let of = match &names[..] {
            [name] => name.clone(),
            names if names.len() == drives.len() => "these drives".into(),
            names => names.join(", "),
        };
        wrapped(&format!("The health of {of} is not known: {}.", shown_text(why)), "", WIDTH)
    };
    reasons.into_iter().map(line).collect()
}

/// Disks that could be drives if they were mounted.
fn not_mounted(idle: &[IdleDisk]) -> String {
    let disk = |disk: &IdleDisk| {
        let model = disk.model.as_deref().map(|model| format!("{}, ", shown_text(model)));
        let (name, bytes) = (shown_text(&disk.name), shown_bytes(disk.bytes));
        format!("{name} ({}{bytes})", model.unwrap_or_default())
    };
    let disks: Vec<String> = idle.iter().map(disk).collect();
    if disks.is_empty() {
        return String::new();
    }
    wrapped(&format!("Attached, but not mounted: {}.", disks.join(", ")), "", WIDTH)
}

pub(super) fn shown_path(path: &Path) -> String {
    shown_text(&path.display().to_string()).into_owned()
}

/// Its name, by what lies on the device where a FUSE driver does not tell.
fn file_system(drive: &Attached) -> String {
    let name = drive.mount.file_system.as_str();
    let name = match (name.strip_prefix("fuseblk"), &drive.hardware.file_system) {
        (Some(_), Some(own)) => own,
        (Some(own), None) if own.len() > 1 => own.trim_start_matches('.'),
        (Some(_), None) => "FUSE",
        (None, _) => name,
    };
    let encrypted = if drive.hardware.is_encrypted { ", LUKS" } else { "" };
    format!("{name}{encrypted}")
}

/// How it is attached, and how fast its link is.
pub(super) fn connection(drive: &Attached) -> String {
    let hardware = &drive.hardware;
    let gbit = hardware.mbit.map(|mbit| f64::from(mbit) / 1000.0);
    let with = |name: &str| gbit.map_or(name.into(), |gbit| format!("{name} {gbit} Gb/s"));
    match (hardware.connection, hardware.mbit) {
        (Connection::Usb, None) => "USB".into(),
        (Connection::Usb, Some(mbit)) if mbit < USB_2 => "USB 1".into(),
        (Connection::Usb, Some(USB_2)) => "USB 2".into(),
        (Connection::Usb, Some(40_000..)) => with("USB4"),
        (Connection::Usb, Some(_)) => with("USB 3"),
        (Connection::Sata, _) => with("SATA"),
        (Connection::Nvme, _) => "NVMe".into(),
        (Connection::Card, _) => "SD card".into(),
        (Connection::Virtio, _) => "virtual".into(),
        (Connection::Loop, _) => "a file".into(),
        (Connection::Other, _) if hardware.disks.is_empty() => "no device".into(),
        (Connection::Other, _) => "?".into(),
    }
}

fn health(drive: &Attached) -> &'static str {
    match drive.health.as_ref().map(|health| health.state) {
        Some(State::Passed) => "passed",
        Some(State::Failing) => "FAILING",
        Some(State::Unknown) => "?",
        None => "-",
    }
}

/// The same for programs.
#[derive(Serialize)]
struct AttachedEvent<'a> {
    path: String,
    mounted_at: String,
    model: Option<&'a str>,
    serial: Option<&'a str>,
    uuid: Option<&'a str>,
    disks: &'a [String],
    size_bytes: Option<u64>,
    free_bytes: Option<u64>,
    file_system: String,
    connection: Connection,
    megabits_per_second: Option<u32>,
    health: State,
    health_detail: Option<&'a str>,
    level: Option<Level>,
    own_disk: bool,
    writable: bool,
    in_use: Option<&'a str>,
    case: Option<&'a str>,
    sets: &'a [SetHere],
    warnings: &'a [Warning],
}

impl<'a> From<&'a Attached> for AttachedEvent<'a> {
    fn from(drive: &'a Attached) -> Self {
        let (hardware, facts) = (&drive.hardware, drive.facts());
        Self {
            path: drive.path.display().to_string(),
            mounted_at: drive.mount.point.display().to_string(),
            model: hardware.model.as_deref(),
            serial: hardware.serial.as_deref(),
            uuid: hardware.uuid.as_deref(),
            disks: &hardware.disks,
            size_bytes: facts.map(|facts| facts.room.total_bytes),
            free_bytes: facts.map(|facts| facts.room.free_bytes),
            file_system: file_system(drive),
            connection: hardware.connection,
            megabits_per_second: hardware.mbit,
            health: drive.health.as_ref().map_or(State::Unknown, |health| health.state),
            health_detail: drive.health.as_ref().and_then(|health| health.detail.as_deref()),
            level: facts.map(|facts| facts.level),
            own_disk: drive.own.is_some(),
            writable: facts.is_some_and(|facts| facts.is_writable),
            in_use: facts.and_then(|facts| facts.in_use.as_deref()),
            case: drive.known_case.as_deref(),
            sets: facts.map_or(&[], |facts| &facts.sets),
            warnings: &drive.warnings,
        }
    }
}

#[cfg(test)]
mod tests;
