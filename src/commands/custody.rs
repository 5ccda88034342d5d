//! Custody notes: `verify --log` makes one of what was found of each drive, on the drive and on this
//! machine; [`history`] reads them again.
//!
//! - Enters: what verify found, and what was typed about it.
//! - Leaves: a note for each drive; where it could not be written is a problem.
//! - Always holds: a drive that cannot be written to has its note on this machine all the same.

use crate::check::custody::{Remark, SetChecked};
use crate::entropy::Entropy;
use crate::format::custody::{CustodyDepth, CustodyEvent, CustodyNote, CustodyResult};
use crate::format::ids::{Slot, set_folder};
use crate::format::layout::{CUSTODY, HOLDALL};
use crate::format::shown::error_chain;
use crate::local_state;
use crate::metadata_files::custody;
use crate::monitor::{Monitor, Problem, ProblemKind};
use crate::shipment::{FoundDrive, FoundSet};
use crate::verification::{DriveOutcome, SetOutcome};
use serde::Serialize;

/// The note of a drive, and where it lies.
#[derive(Serialize)]
pub struct LoggedNote {
    /// the path of the drive
    pub drive: String,
    /// its path below the drive; none if it could not be written
    pub file: Option<String>,
    /// is it on this machine, too?
    pub kept: bool,
    pub note: CustodyNote,
}

/// Notes what was found of a set's drives. Of a set that is none, nothing is noted.
pub fn log(
    set: &SetOutcome,
    quick: bool,
    remark: &Remark,
    entropy: &dyn Entropy,
    monitor: &dyn Monitor,
) -> Vec<LoggedNote> {
    if set.is_foreign {
        return Vec::new();
    }
    let depth = match &set.decoded {
        _ if quick => CustodyDepth::Sample,
        Some(decoded) if decoded.is_complete() => CustodyDepth::Decoded,
        _ => CustodyDepth::All,
    };
    let (shipment, number) = set.id;
    let checked = SetChecked {
        event: CustodyEvent::Verify,
        time: entropy.now(),
        remark,
        shipment,
        set: number,
        root: set.root.clone(),
        depth,
        is_blank: set.verdict.is_blank(),
    };
    let folder = format!("{HOLDALL}/{}", set_folder(shipment, number));
    let log = |found: &DriveOutcome| {
        let note = checked.note(found.slot, &found.case, &found.report);
        let name = note.dated_name();
        let written = custody::add(found.drive.as_ref(), &folder, &name, &note);
        if let Err(e) = &written {
            let detail = format!("its custody note was not written: {}", error_chain(e));
            monitor.problem(Problem::new(ProblemKind::Drive, &found.name, detail));
        }
        let file = written.is_ok().then(|| format!("{folder}/{CUSTODY}/{name}"));
        LoggedNote { drive: found.name.clone(), file, kept: keep(&note, monitor), note }
    };
    set.drives.iter().map(log).collect()
}

/// What was noted of a set.
#[derive(Clone, Debug, Default)]
pub struct CustodyHistory {
    /// on the drives that are here, and on this machine; the oldest first, but before them those
    /// dated ahead of this machine's clock
    pub notes: Vec<CustodyNote>,
    /// files on drives that are called like notes and are none, or are about another drive
    pub rejected: u64,
    /// files on drives that are called like notes and are too many to be read
    pub left_out: u64,
}

/// What was noted of a set, on its drives that are here and on this machine. Nobody vouches for it.
pub fn history(set: &FoundSet) -> CustodyHistory {
    let mut all = CustodyHistory::default();
    for found in set.all_drives() {
        let on_drive = custody::notes(found.drive.as_ref(), &set.folder).unwrap_or_default();
        let (own, about_others): (Vec<_>, Vec<_>) =
            on_drive.notes.into_iter().partition(|note| is_of(note, found));
        all.notes.extend(own);
        all.rejected += on_drive.rejected + about_others.len() as u64;
        all.left_out += on_drive.left_out;
    }
    all.notes.extend(local_state::custody::kept(set.shipment, set.set).unwrap_or_default());
    // When a note was made that a wrong clock dated ahead, nobody knows: it never counts as the newest.
    let tomorrow = (jiff::Timestamp::now() + jiff::SignedDuration::from_hours(24)).to_string();
    // Within a second, pack's read-back comes first, and last what asks for something to be done.
    let key = |note: &CustodyNote| {
        let is_verify = note.event == CustodyEvent::Verify;
        let (is_dated, is_bad) = (note.time < tomorrow, note.result != CustodyResult::Whole);
        (is_dated, note.time.clone(), is_verify, is_bad, note.slot, note.encode())
    };
    all.notes.sort_by_cached_key(key);
    all.notes.dedup();
    all
}

/// Is a note about the drive that it lies on? A drive without its label may be any.
fn is_of(note: &CustodyNote, found: &FoundDrive) -> bool {
    found.label.slot == Slot(0) || note.slot == found.label.slot
}

fn keep(note: &CustodyNote, monitor: &dyn Monitor) -> bool {
    let kept = local_state::custody::keep(note);
    if let Err(e) = &kept {
        monitor.note(&format!("no custody note is kept on this machine: {}", error_chain(e)));
    }
    kept.is_ok()
}
