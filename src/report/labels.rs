//! Labels of drives, to be cut out: black on white, large, with a QR code that says the same to a
//! program.
//!
//! The code says `holdall SHIPMENT-SET slot N case NAME root ROOT`: the set as its folder is called,
//! and the 64 digits of its root, or `none` if it is not closed (format.md, section 15).

use super::facts::{DrivePage, SetPage, ShipmentPage};
use super::text::shown;
use crate::format::shown::{hex, shown_text};
use maud::{Markup, html};
use qrcode::{Color, EcLevel, QrCode};
use std::fmt::Write as _;

/// Modules of white around a code.
const QUIET: usize = 4;
/// Labels on a sheet of A4 or Letter.
const SHEET: usize = 10;
/// Letters of a name or contact on a label.
const MOST_LETTERS: usize = 60;

/// One for each drive of which the case is known, in the order of cases.
pub fn labels(page: &ShipmentPage) -> Markup {
    let cases = page.cases();
    let drives: Vec<_> = cases.values().flatten().collect();
    html! {
        @for sheet in drives.chunks(SHEET) {
            div.labels { @for (set, drive) in sheet { (label(page, set, drive)) } }
        }
    }
}

fn label(page: &ShipmentPage, set: &SetPage, drive: &DrivePage) -> Markup {
    let root = set.closed.as_ref().map(|closed| hex(&closed.root));
    let size = match drive.case.len() {
        0..=7 => "case-name large",
        8..=12 => "case-name",
        13..=20 => "case-name small",
        _ => "case-name least",
    };
    html! {
        article.label {
            div.words {
                p.caption { "case" }
                p class=(size) { (shown(&drive.case)) }
                p.caption { "drive" }
                p.drive-number { b { (drive.slot) } " of " (set.drive_count) }
                p.set-name { "set " (set.number) }
                p.fine { (set.name) }
                p.fine {
                    @if let Some(root) = &root { "root " (root[..8]) " " (root[8..16]) "…" }
                    @else { "not closed: no root yet" }
                }
            }
            (code(&told(set, drive, root.as_deref())))
            @for text in [&page.contacts, &page.names].into_iter().filter_map(|texts| texts.first()) {
                p.fine.who { (shown(&cut(text))) }
            }
        }
    }
}

/// As much of a text as a label has room for.
fn cut(text: &str) -> String {
    let shown = shown_text(text);
    let mut cut: String = shown.chars().take(MOST_LETTERS).collect();
    if cut.len() < shown.len() {
        cut.push('…');
    }
    cut
}

/// What the code says.
fn told(set: &SetPage, drive: &DrivePage, root: Option<&str>) -> String {
    let (name, case) = (&set.name, &drive.case);
    format!("holdall {name} slot {} case {case} root {}", drive.slot, root.unwrap_or("none"))
}

/// A QR code as a drawing: a line for each run of black modules.
fn code(text: &str) -> Markup {
    // What is told is far below the 2,331 bytes that a code can hold.
    let Ok(code) = QrCode::with_error_correction_level(text, EcLevel::M) else {
        return html! {};
    };
    let (width, colors) = (code.width(), code.to_colors());
    let mut path = String::new();
    for (y, row) in colors.chunks(width).enumerate() {
        let mut x = 0;
        for run in row.chunk_by(|a, b| a == b) {
            if run[0] == Color::Dark {
                // Writing to a String cannot fail.
                let _ = write!(path, "M{x} {y}h{}", run.len());
            }
            x += run.len();
        }
    }
    let whole = width + 2 * QUIET;
    html! {
        svg.qr xmlns="http://www.w3.org/2000/svg" viewBox=(format!("0 0 {whole} {whole}"))
            role="img" aria-label=(text)
        {
            rect width=(whole) height=(whole) fill="#fff" {}
            // A line lies in the middle of its modules.
            path transform=(format!("translate({QUIET} {QUIET}.5)")) d=(path) stroke="#000"
                shape-rendering="crispEdges" {}
        }
    }
}
