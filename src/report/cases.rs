//! Cases, drawn with their drives and how full each is.

use super::facts::{DrivePage, SetPage, ShipmentPage};
use super::text::{percent, shown};
use crate::format::custody::CustodyResult;
use crate::monitor::{shown_bytes, some};
use maud::{Markup, html};

/// Drives beside each other.
const COLUMNS: usize = 5;
/// Drives of one drawing: no drawing is longer than a sheet of paper.
const DRIVES: usize = 40;
/// What a drive takes, and what it is drawn in.
const CELL: (usize, usize) = (64, 98);
const DRIVE: (u64, u64) = (54, 70);
/// From the case's side to its drives.
const PADDING: usize = 14;
/// The handle above the case.
const HANDLE: usize = 14;

/// All cases.
pub fn cases(page: &ShipmentPage) -> Markup {
    let several = page.several_sets();
    html! {
        div.cases {
            @for (case, drives) in page.cases() {
                @for (part, drives) in drives.chunks(DRIVES).enumerate() {
                    figure {
                        figcaption {
                            b { (shown(case)) }
                            span { (caption(case_seen(drives), drives.len(), part)) }
                        }
                        (drawing(case, drives, several))
                    }
                }
            }
        }
        p.legend { "Each box is a drive with its number, filled as far as the drive was full when it was "
            "seen. ✓ the last check noted found nothing wrong, ! it found damage or got no answer. Dashed: "
            "not seen when this page was made." }
    }
}

fn case_seen(drives: &[(&SetPage, &DrivePage)]) -> usize {
    drives.iter().filter(|(_, drive)| drive.seen.is_some()).count()
}

fn caption(seen: usize, count: usize, part: usize) -> String {
    let continued = if part > 0 { ", continued" } else { "" };
    format!("{}, {seen} seen{continued}", some(count as u64, "drive"))
}

fn drawing(case: &str, drives: &[(&SetPage, &DrivePage)], several: bool) -> Markup {
    let columns = drives.len().clamp(2, COLUMNS);
    let rows = drives.len().div_ceil(COLUMNS);
    let inner = (columns * CELL.0, rows * CELL.1);
    let (width, height) = (inner.0 + 2 * PADDING, inner.1 + 2 * PADDING + HANDLE);
    let middle = width / 2;
    // Few drives stand in the middle of their case.
    let left = (width - drives.len().min(columns) * CELL.0) / 2;
    html! {
        svg.case xmlns="http://www.w3.org/2000/svg" viewBox=(format!("0 0 {width} {height}"))
            width=(width) height=(height) role="img" aria-label=(format!("case {case}"))
        {
            path.handle d=(format!("M{} {}v-8q0 -5 5 -5h38q5 0 5 5v8", middle - 24, HANDLE)) {}
            rect.shell x="1" y=(HANDLE) width=(width - 2) height=(height - HANDLE - 1) rx="9" {}
            @for (at, (set, drive)) in drives.iter().enumerate() {
                g transform=(format!(
                    "translate({} {})",
                    left + at % COLUMNS * CELL.0 + (CELL.0 - DRIVE.0 as usize) / 2,
                    HANDLE + PADDING + at / COLUMNS * CELL.1,
                )) {
                    (drive_box(set, drive, several))
                }
            }
        }
    }
}

fn drive_box(set: &SetPage, drive: &DrivePage, several: bool) -> Markup {
    let (width, height) = DRIVE;
    let middle = width / 2;
    let room = drive.seen.as_ref().map(|seen| seen.room);
    let full = room.flatten().map(|(total, free)| (total.saturating_sub(free), total));
    let below = match (room, full) {
        (None, _) => "not seen".into(),
        (_, None) => "seen".into(),
        (_, Some((used, total))) => format!("{} %", percent(used, total)),
    };
    let level = full.map_or(0, |(used, total)| (height - 4) * percent(used, total) / 100);
    html! {
        title { (title(set, drive, full)) }
        rect.drive.unseen[room.is_none()] width=(width) height=(height) rx="5" {}
        @if level > 0 {
            rect.level x="2" y=(height - 2 - level) width=(width - 4) height=(level) rx="3" {}
        }
        text.number x=(middle) y=(if several { 36 } else { 43 }) { (drive.slot) }
        @if several {
            text.set x=(middle) y="54" { "set " (set.number) }
        }
        @if let Some(mark) = mark(set, drive) { text.mark x=(width - 9) y="15" { (mark) } }
        text.below x=(middle) y=(height + 15) { (below) }
    }
}

/// What the last check that is noted found of a drive that was seen.
fn mark(set: &SetPage, drive: &DrivePage) -> Option<&'static str> {
    let note = set.last_check(drive.slot).filter(|_| drive.seen.is_some())?;
    match note.result {
        CustodyResult::Whole if ["direct", "dropped"].contains(&&note.level[..]) => Some("✓"),
        CustodyResult::Damaged | CustodyResult::Gone => Some("!"),
        _ => None,
    }
}

/// What is told of a drive that is pointed at, and to those who hear the page.
fn title(set: &SetPage, drive: &DrivePage, full: Option<(u64, u64)>) -> String {
    let state = match (&drive.seen, full) {
        (None, _) => "not seen when this page was made".into(),
        (_, None) => "seen".into(),
        (_, Some((used, total))) => format!("{} of {} used", shown_bytes(used), shown_bytes(total)),
    };
    format!("set {}, drive {} of {}: {state}", set.number, drive.slot, set.drive_count)
}
