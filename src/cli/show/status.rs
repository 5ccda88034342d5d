//! What `status` says of a set.

use super::verdict::{FURTHER, JudgedSet, losses, never_closed, to_close, verdict_of_set};
use crate::check::spare::Losses;
use crate::cli::next::command;
use crate::cli::sizes::shown_bytes;
use crate::cli::text::slot_name;
use crate::commands::status::{SetEnd, SetStatus};
use crate::format::custody::{CustodyDepth, CustodyEvent, CustodyNote, CustodyResult};
use crate::format::shown::shown_text;
use crate::shipment::slots::{AttachedDrive, MissingSlot};
use crate::stripes::together::Together;
use serde::Serialize;
use std::fmt::Write as _;

/// Groups of drives that are listed one by one.
const LISTED_GROUPS: usize = 4;

/// Which drives have to be attached together.
fn together(set: &SetStatus) -> String {
    let mut t = String::new();
    let lost = set.missing.is_empty() && !set.verdict.restorable();
    if set.together.is_empty() || lost {
        return t;
    }
    if set.missing.is_empty() {
        if set.drives.len() > 1 {
            t.push_str("To restore, one drive at a time is enough.\n");
        }
        return t;
    }
    let groups: Vec<&Together> = set
        .together
        .iter()
        .enumerate()
        .filter(|(i, group)| group.at_once > 1 && !is_implied(*i, group, &set.together))
        .map(|(_, group)| group)
        .collect();
    if groups.is_empty() {
        return "To restore, one drive at a time is enough.\n".into();
    }
    t.push_str("If the missing drives never arrive, attach at the same time");
    if groups.len() > LISTED_GROUPS {
        t.push_str(" all the others.\n");
        return t;
    }
    for (i, group) in groups.iter().enumerate() {
        let slots: Vec<_> = group.slots.iter().map(ToString::to_string).collect();
        let and = if i == 0 { "" } else { ", and" };
        let _ = write!(t, "{and} at least {} of slot {}", group.at_once, slots.join(", "));
    }
    t.push_str("; with fewer ports, see holdall help restore.\n");
    t
}

/// Does what another of these groups asks for bring what this one does?
fn is_implied(at: usize, group: &Together, groups: &[Together]) -> bool {
    let by = |(i, other): (usize, &Together)| {
        let besides = |other: &Together, group: &Together| {
            other.slots.iter().filter(|slot| !group.slots.contains(slot)).count()
        };
        let implies = |a: &Together, b: &Together| b.at_once + besides(a, b) <= a.at_once;
        // Of two that ask for the same, the first stays.
        i != at && implies(other, group) && (i < at || !implies(group, other))
    };
    groups.iter().enumerate().any(by)
}

pub fn status(set: &SetStatus) -> String {
    let mut t = String::new();
    let at_least = set.verdict.gaps || set.verdict.unknown > 0 || set.verdict.may_be_more;
    let name = if set.dataset.is_empty() { String::new() } else { format!(" \"{}\"", set.dataset) };
    let _ = writeln!(
        t,
        "Set {}{}, packed {}, {}{} of shards, survives {}:",
        set.name,
        shown_text(&name),
        shown_text(&set.created),
        if at_least { "at least " } else { "" },
        shown_bytes(set.bytes),
        shown_text(&set.survive),
    );
    for AttachedDrive { slot, case, drive } in &set.drives {
        let (slot, drive) = (slot_name(*slot), shown_text(drive));
        let _ = writeln!(t, "  slot {slot:>3}  case {case}  {drive}");
    }
    for MissingSlot { slot, case } in &set.missing {
        let case = case.as_deref().unwrap_or("?");
        let _ = writeln!(t, "  slot {:>3}  case {case}  not attached", slot.to_string());
    }
    let never_closed = never_closed("It", !set.missing.is_empty());
    t.push_str(match set.end {
        SetEnd::Open if set.in_use.is_some() => "",
        SetEnd::Last => "It is closed, and the last set of its shipment.\n",
        SetEnd::Further => FURTHER,
        SetEnd::Unknown => {
            "It was closed from its drives alone: whether more was packed is not known.\n"
        }
        SetEnd::Open => &never_closed,
    });
    if let Some(program) = &set.in_use {
        let _ = writeln!(t, "It is not closed yet: {program} is at work on it.");
    }
    t.push_str(&verdict_of_set(&set.verdict, set.number, set.end == SetEnd::Further));
    t.push_str(&together(set));
    if set.end == SetEnd::Open && set.in_use.is_none() && set.missing.is_empty() {
        t.push_str(&to_close(&set.verdict, set.drives.iter().map(|d| d.drive.as_str())));
    }
    if let Some(note) = &set.last_note {
        let _ = writeln!(t, "Last noted check (notes are not signed): {}.", noted(note));
    }
    let verify = command("verify", set.drives.iter().map(|d| d.drive.as_str()));
    let _ = writeln!(t, "Only labels and records were read. To check every block: {verify}");
    t
}

/// A custody note in a line.
fn noted(note: &CustodyNote) -> String {
    let slot = slot_name(note.slot);
    let by = if note.by.is_empty() { String::new() } else { format!(" by {}", note.by) };
    let result = match note.result {
        CustodyResult::Whole => "whole",
        CustodyResult::Damaged => "damaged",
        CustodyResult::Stopped => "stopped before its end",
        CustodyResult::NotRead => "not read",
        CustodyResult::Gone => "it stopped answering",
        CustodyResult::Unknown => "no record to check it against",
    };
    let what = match (note.event, note.depth) {
        (CustodyEvent::ReadBack, _) => "read back",
        (_, CustodyDepth::Sample) => "a sample read",
        (_, CustodyDepth::All | CustodyDepth::Decoded) => "every block read",
    };
    let how = match note.level.as_str() {
        "cached" => " from the cache, which proves nothing",
        _ => "",
    };
    let text = format!("slot {slot}, {}{by}: {what}{how}: {result}", note.time);
    shown_text(&text).into_owned()
}

/// The same for programs.
#[derive(Serialize)]
pub struct StatusEvent<'a> {
    #[serde(flatten)]
    set: &'a SetStatus,
    last_note: Option<&'a str>,
    may_be_lost: &'a [Losses],
    closed: bool,
    last: Option<bool>,
    verdict: JudgedSet<'a>,
}

impl<'a> From<&'a SetStatus> for StatusEvent<'a> {
    fn from(set: &'a SetStatus) -> Self {
        let last = match set.end {
            SetEnd::Last => Some(true),
            SetEnd::Further => Some(false),
            SetEnd::Open | SetEnd::Unknown => None,
        };
        let verdict = JudgedSet::new(&set.verdict, true);
        let last_note = set.last_note.as_ref().map(|note| note.time.as_str());
        let may_be_lost = losses(&set.verdict, true);
        Self { set, last_note, may_be_lost, closed: set.end != SetEnd::Open, last, verdict }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::ids::Slot;

    /// Drives that are asked for are asked for once.
    #[test]
    fn a_group_that_another_contains_is_not_told() {
        let group = |at_once, slots: &[u16]| {
            let slots = slots.iter().map(|slot| Slot(*slot)).collect();
            Together { slots, at_once, stripes: 1 }
        };
        let all = [1, 3, 4, 5, 6];
        let two_of_three = [group(2, &all), group(3, &all), group(3, &all)];
        let told = |groups: &[Together]| -> Vec<usize> {
            (0..groups.len()).filter(|i| !is_implied(*i, &groups[*i], groups)).collect()
        };
        assert_eq!(told(&two_of_three), [1]);
        assert_eq!(
            told(&[group(2, &[1, 2]), group(3, &[1, 2, 3])]),
            [1],
            "any three have two of two"
        );
        assert_eq!(told(&[group(2, &[1, 2]), group(2, &[1, 2, 3])]), [0]);
        assert_eq!(told(&[group(2, &[1, 2]), group(2, &[3, 4])]), [0, 1]);
    }
}
