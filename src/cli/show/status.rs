//! What `status` says of a set.

use super::{slot_name, verdict, verdict_json};
use crate::cli::sizes::shown_bytes;
use crate::verbs::status::{End, SetStatus};
use serde_json::{Value, json};
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
        t.push_str("Nothing is lost: to restore, one drive at a time is enough.\n");
        return t;
    }
    t.push_str("If what is not here is lost, attach together to rebuild it");
    if set.together.len() > LISTED_GROUPS {
        t.push_str(" all the drives that there are.\n");
        return t;
    }
    for (i, group) in set.together.iter().enumerate() {
        let slots: Vec<_> = group.slots.iter().map(ToString::to_string).collect();
        let and = if i == 0 { "" } else { ", and" };
        let _ = write!(t, "{and} at least {} of slot {}", group.at_once, slots.join(", "));
    }
    t.push_str("; or use restore --stage.\n");
    t
}

/// What is here of a set.
pub fn status(set: &SetStatus) -> String {
    let mut t = String::new();
    let name = if set.dataset.is_empty() { String::new() } else { format!(" \"{}\"", set.dataset) };
    let _ = writeln!(
        t,
        "Set {}{}, packed {}, {} of shards, survives {}:",
        set.name,
        crate::cli::shown_text(&name),
        crate::cli::shown_text(&set.created),
        shown_bytes(set.bytes),
        set.survive,
    );
    for (slot, case, path) in &set.drives {
        let _ = writeln!(t, "  slot {:>3}  case {case}  {path}", slot_name(*slot));
    }
    for (slot, case) in &set.missing {
        let case = case.as_deref().unwrap_or("?");
        let _ = writeln!(t, "  slot {:>3}  case {case}  not here", slot.to_string());
    }
    t.push_str(match set.end {
        End::Last => "It is closed, and the last set of its shipment.\n",
        End::Further => "It is closed; the shipment has further sets.\n",
        End::Unknown => {
            "It was closed from its drives alone: it cannot tell whether more of the dataset was to \
             follow.\n"
        }
        End::Open => "It was never closed: it cannot be told from a shortened one.\n",
    });
    t.push_str(&verdict(&set.verdict));
    t.push_str(&together(set));
    t.push_str("(From labels and records only: holdall verify reads every block.)\n");
    t
}

/// The same for programs.
pub fn status_json(set: &SetStatus) -> Value {
    json!({
        "event": "status",
        "set": set.name,
        "name": set.dataset,
        "created": set.created,
        "survive": set.survive,
        "bytes": set.bytes,
        "drives": set.drives.iter().map(|(slot, case, path)| json!({
            "slot": slot.0, "case": case, "drive": path,
        })).collect::<Vec<_>>(),
        "missing": set.missing.iter().map(|(slot, case)| json!({
            "slot": slot.0, "case": case,
        })).collect::<Vec<_>>(),
        "closed": set.end != End::Open,
        "last": match set.end {
            End::Last => Some(true),
            End::Further => Some(false),
            End::Open | End::Unknown => None,
        },
        "together": set.together.iter().map(|group| json!({
            "slots": group.slots.iter().map(|slot| slot.0).collect::<Vec<_>>(),
            "at_once": group.at_once,
            "stripes": group.stripes,
        })).collect::<Vec<_>>(),
        "verdict": verdict_json(&set.verdict, true),
    })
}
