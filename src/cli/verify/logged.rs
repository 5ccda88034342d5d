//! What `verify --log` says.

use crate::cli::output::{emit, out};
use crate::cli::text::some;
use crate::cli::ui::Ui;
use crate::commands::custody::LoggedNote;
use crate::format::custody::CustodyResult;
use crate::format::ids::Slot;
use serde::Serialize;

/// Says where a set's custody notes lie.
pub fn say(notes: &[LoggedNote], ui: &Ui) {
    if ui.is_json() {
        return notes.iter().for_each(|logged| emit("custody", &CustodyLogged::from(logged)));
    }
    let on_drives = notes.iter().filter(|logged| logged.file.is_some()).count() as u64;
    let kept = if notes.iter().any(|logged| logged.kept) { " and on this machine" } else { "" };
    if on_drives == 0 && !notes.is_empty() {
        let kept = if kept.is_empty() { "nowhere" } else { "on this machine only" };
        out(&format!("Noted {kept}: no drive could be written to.\n"));
    } else if !notes.is_empty() {
        out(&format!("Noted in custody/ on {}{kept}.\n", some(on_drives, "drive")));
    }
}

/// A custody note that was made, for programs.
#[derive(Serialize)]
struct CustodyLogged<'a> {
    set: String,
    slot: Slot,
    case: &'a str,
    drive: &'a str,
    file: Option<&'a str>,
    kept: bool,
    time: &'a str,
    by: &'a str,
    result: CustodyResult,
}

impl<'a> From<&'a LoggedNote> for CustodyLogged<'a> {
    fn from(logged: &'a LoggedNote) -> Self {
        let note = &logged.note;
        Self {
            set: note.set_name(),
            slot: note.slot,
            case: &note.case,
            drive: &logged.drive,
            file: logged.file.as_deref(),
            kept: logged.kept,
            time: &note.time,
            by: &note.by,
            result: note.result,
        }
    }
}
