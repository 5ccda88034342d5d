//! A sheet for each case: what lies in it, and into whose hands it went.

use super::checks::found;
use super::facts::{DrivePage, SetPage, ShipmentPage};
use super::text::{date, percent, shown};
use crate::monitor::{shown_bytes, some};
use maud::{Markup, html};

/// Lines for signatures.
const HANDS: usize = 5;

pub fn lists(page: &ShipmentPage) -> Markup {
    html! {
        @for (case, drives) in page.cases() {
            section.sheet {
                h2 { "Case " (shown(case)) }
                p { "Packing list: " b { (some(drives.len() as u64, "drive")) } " of shipment "
                    code { (page.shipment) } "." }
                (packing_list(&drives))
                (custody())
            }
        }
    }
}

fn packing_list(drives: &[(&SetPage, &DrivePage)]) -> Markup {
    html! {
        div.wide { table.list {
            thead { tr {
                th { "Here" } th { "Set" } th { "Drive" } th.number { "Shards" }
                th { "As seen" } th { "Last check noted" }
            } }
            tbody { @for (set, drive) in drives { tr {
                td { span.box {} }
                td { (set.number) }
                td { b { (drive.slot) } " of " (set.drive_count) }
                td.number { @match drive.bytes {
                    Some(bytes) => (shown_bytes(bytes)),
                    None => "unknown",
                } }
                td { (state(drive)) }
                td { @match set.last_check(drive.slot) {
                    Some(note) => { (date(&note.time)) ": " (found(set, note)) },
                    None => span.muted { "none" },
                } }
            } } }
        } }
    }
}

fn state(drive: &DrivePage) -> Markup {
    match &drive.seen {
        None => html! { span.muted { "not seen" } },
        Some(seen) => match seen.room {
            None => html! { "seen" },
            Some((total, free)) => html! {
                "seen, " (percent(total.saturating_sub(free), total)) " % of "
                (shown_bytes(total)) " full"
            },
        },
    }
}

/// Into whose hands the case went, to be filled in by hand.
fn custody() -> Markup {
    html! {
        h3 { "Custody" }
        div.wide { table.custody {
            thead { tr {
                th { "Date and time" } th { "Place" } th { "Handed over by: name, signature" }
                th { "Received by: name, signature" } th { "Drives counted" }
            } }
            tbody { @for _ in 0..HANDS { tr { td {} td {} td {} td {} td {} } } }
        } }
    }
}
