//! What was noted on the way: who checked which drives, how, and what was found.
//!
//! - Enters: custody notes, which anybody can have written.
//! - Leaves: a line for each check, however many drives it was of; the last of a drive in words.
//! - Always holds: (1) what was not read past the caches is said to prove nothing; (2) drives of which
//!   something else was found stand on lines of their own.

use super::facts::{SetPage, ShipmentPage};
use super::text::{date, shown};
use crate::format::custody::{CustodyDepth, CustodyEvent, CustodyNote, CustodyResult};
use crate::format::ids::{SetNumber, Slot};
use crate::format::shown::hex;
use maud::{Markup, html};
use std::collections::BTreeSet;

/// A check of drives of a set, all with the same result.
pub struct Check<'a> {
    pub set: SetNumber,
    pub slots: BTreeSet<Slot>,
    /// of one of them
    pub note: &'a CustodyNote,
    found: String,
}

/// All checks of a shipment.
pub fn checks(page: &ShipmentPage) -> Vec<Check<'_>> {
    let mut checks: Vec<Check> = Vec::new();
    for set in &page.sets {
        let of_set = checks.len();
        for note in &set.history.notes {
            let found = found(set, note);
            let is_same = |check: &&mut Check| {
                let other = check.note;
                let typed = (&other.by, &other.text) == (&note.by, &note.text);
                typed && other.time == note.time && check.found == found
            };
            match checks[of_set..].iter_mut().find(is_same) {
                Some(check) => drop(check.slots.insert(note.slot)),
                None => {
                    let slots = BTreeSet::from([note.slot]);
                    checks.push(Check { set: set.number, slots, note, found });
                }
            }
        }
    }
    checks.sort_by(|a, b| a.note.time.cmp(&b.note.time));
    checks
}

/// What was read and what was found.
pub fn found(set: &SetPage, note: &CustodyNote) -> String {
    let read = match (note.event, note.depth) {
        _ if note.level == "none" => "not read",
        (CustodyEvent::ReadBack, _) => "read back after packing",
        (_, CustodyDepth::Sample) => "a sample of its blocks and all other files read",
        (_, CustodyDepth::All) => "every block read",
        (_, CustodyDepth::Decoded) => "every block read, every file decoded",
    };
    let past = match note.level.as_str() {
        "direct" | "dropped" => " past the caches",
        "cached" => " from the cache, which proves nothing",
        _ => "",
    };
    let result = match note.result {
        CustodyResult::Whole => "nothing wrong was found".into(),
        CustodyResult::Damaged => damage(note),
        CustodyResult::Stopped => "stopped before its end".into(),
        CustodyResult::NotRead => "nothing of it was read".into(),
        CustodyResult::Gone => "it stopped answering".into(),
        CustodyResult::Unknown => "there was no record to check it against".into(),
    };
    let root = set.closed.as_ref().map(|closed| hex(&closed.root));
    let other = match (&root, &note.root) {
        (Some(own), Some(other)) if own != other => "; checked as a set of another root",
        _ => "",
    };
    format!("{read}{past}: {result}{other}")
}

fn damage(note: &CustodyNote) -> String {
    let counts = [
        (note.missing_shards, "shard missing", "shards missing"),
        (note.bad_blocks, "bad block", "bad blocks"),
        (note.bad_files, "other file damaged or missing", "other files damaged or missing"),
    ];
    let counts = counts.iter().filter(|(count, ..)| *count > 0);
    let words: Vec<String> = counts
        .map(|(count, one, several)| format!("{count} {}", if *count == 1 { one } else { several }))
        .collect();
    if words.is_empty() { "damaged".into() } else { format!("damaged: {}", words.join(", ")) }
}

impl Check<'_> {
    /// What happened, in a few words: nothing was verified that was not found whole.
    pub fn in_short(&self) -> Markup {
        let was = match (self.note.event, self.note.depth) {
            _ if self.note.level == "none" => "not read back",
            (CustodyEvent::ReadBack, _) => "read back",
            (_, CustodyDepth::Sample) => "spot-checked",
            (_, CustodyDepth::All | CustodyDepth::Decoded) => "checked",
        };
        let found = match self.note.result {
            CustodyResult::Whole if self.note.level == "cached" => " from the cache",
            CustodyResult::Whole => "",
            CustodyResult::Damaged => ": damage was found",
            CustodyResult::Stopped => ": stopped before its end",
            CustodyResult::NotRead if self.note.level == "none" => "",
            CustodyResult::NotRead => ": nothing was read",
            CustodyResult::Gone => ": no answer any more",
            CustodyResult::Unknown => ": no record to check against",
        };
        let be = if self.slots.len() == 1 { "was" } else { "were" };
        html! {
            "Set " (self.set) ", " (drives(&self.slots)) " " (be) " " (was)
            @if !self.note.by.is_empty() { " by " (shown(&self.note.by)) }
            (found)
        }
    }
}

/// `drives 1–4, 7`.
pub fn drives(slots: &BTreeSet<Slot>) -> String {
    let noun = if slots.len() == 1 { "drive" } else { "drives" };
    format!("{noun} {}", ranges(slots))
}

fn ranges(slots: &BTreeSet<Slot>) -> String {
    let slots: Vec<u16> = slots.iter().map(|slot| slot.0).collect();
    let ranges = slots.chunk_by(|a, b| a + 1 == *b).map(|range| match range {
        [0] => "of unknown number".into(),
        [one] => one.to_string(),
        [first, .., last] => format!("{first}–{last}"),
        [] => String::new(),
    });
    ranges.collect::<Vec<_>>().join(", ")
}

/// All of them as a table.
pub fn table(page: &ShipmentPage) -> Markup {
    let checks = checks(page);
    let rejected: u64 = page.sets.iter().map(|set| set.history.rejected).sum();
    let left_out: u64 = page.sets.iter().map(|set| set.history.left_out).sum();
    html! {
        section {
            h2 { "Checks on the way" }
            @if checks.is_empty() {
                p { "None is noted on the drives seen, nor on this machine. "
                    code { "holdall verify --log" } " notes one." }
            } @else {
                div.wide { table.checks {
                    thead { tr { th { "When" } th { "Set" } th { "Drives" } th { "What was found" }
                        th { "By whom" } } }
                    tbody { @for check in &checks { tr {
                        td { (date(&check.note.time)) }
                        td { (check.set) }
                        td { (ranges(&check.slots)) }
                        td.path {
                            div class=[(check.note.result != CustodyResult::Whole).then_some("bad")] {
                                (check.found)
                            }
                            @if !check.note.text.is_empty() { div.muted { (shown(&check.note.text)) } }
                        }
                        td.path { (shown(&check.note.by)) }
                    } } }
                } }
                p.muted { "As noted on the drives seen and on this machine. Nobody vouches for notes: they "
                    "are not signed." }
            }
            @if rejected > 0 { p { "Files in custody/ that are not notes about their own drive: " (rejected) "." } }
            @if left_out > 0 { p { "Older notes that were not read: " (left_out) "." } }
        }
    }
}
