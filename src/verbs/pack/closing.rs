//! `pack --close`: an unclosed set is finished early.
//!
//! - Enters: the drives of a set; no key and no recipient.
//! - Leaves: a closed set that was read back. Where this machine still keeps the set's state, it is
//!   closed as if its drives were full, and further sets may follow; else from its drives alone
//!   ([`crate::repairer::closing`]), and nobody can tell whether more was to follow.
//! - Always holds: (1) what a record on a drive that is here names stays and counts; (2) nothing is
//!   removed without this machine's state; (3) drives that are not here must be given up aloud: what
//!   was committed on them alone does not count any more once the set is closed.

use super::go_on::{GoOn, go_on_with};
use super::read_back::prove;
use super::source;
use super::{PackJobError, Prepared};
use crate::drives::Drive;
use crate::entropy::Entropy;
use crate::format::ids::Slot;
use crate::host::HostError;
use crate::host::state::StateFolder;
use crate::monitor::Monitor;
use crate::packer::SetDrive;
use crate::repairer::closing::{self, DriveClosing};
use crate::repairer::origin::{Origin, OriginError};
use crate::repairer::quiet::Quiet;
use crate::sets::{FoundSet, open as sets, tidy};
use crate::verbs::open::{self, OpenError};
use crate::verbs::verify::SetOutcome;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Why a set cannot be closed.
#[derive(Debug, thiserror::Error)]
pub enum CloseError {
    /// No set was found.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// With this machine's state.
    #[error(transparent)]
    Pack(#[from] PackJobError),
    /// Several sets could be meant.
    #[error("drives of {count} sets that could be meant are here: {names}")]
    Several {
        /// how many
        count: usize,
        /// their names
        names: String,
    },
    /// Drives are not here.
    #[error("set {set}: {} not here: slot {slots}", if *count == 1 {
        "a drive is".into()
    } else {
        format!("{count} drives are")
    })]
    Absent {
        /// the set
        set: String,
        /// how many
        count: usize,
        /// their slots
        slots: String,
    },
    /// Records are missing.
    #[error("set {set}: records are missing or contradict each other on all drives that are here")]
    Gaps {
        /// the set
        set: String,
    },
    /// Nothing counts.
    #[error("set {set}: nothing of it was committed, so there is nothing to close")]
    Nothing {
        /// the set
        set: String,
    },
    /// Copies differ.
    #[error("set {set}")]
    Conflict {
        /// the set
        set: String,
        /// which
        #[source]
        source: OriginError,
    },
}

/// How a set is closed.
pub enum Closing<'a> {
    /// with this machine's state: to be run as any other plan
    Pack(Box<Prepared<'a>>),
    /// it was closed from its drives alone
    Done(Box<Closed>),
}

/// A set that was closed from its drives alone.
pub struct Closed {
    /// its name
    pub set: String,
    /// stripes in it
    pub stripes: u64,
    /// it was closed before; what drives lacked of that was written
    pub again: bool,
    /// has the shipment further sets; none if nobody knows
    pub further_sets: Option<bool>,
    /// slots that were given up
    pub absent: Vec<Slot>,
    /// what was written
    pub drives: Vec<DriveClosing>,
    /// files that no record names, and that were left
    pub litter: u64,
    /// its read-back
    pub proof: SetOutcome,
}

/// The set on these drives that is to be closed, not touched yet; without paths, on all that are
/// mounted.
pub fn to_close(paths: &[PathBuf], monitor: &dyn Monitor) -> Result<FoundSet, CloseError> {
    meant(open::sets(paths, &Quiet(monitor))?)
}

/// Closes it, or makes it ready to be closed; with `without`, drives that are not here are given up.
pub fn close<'a>(
    set: &FoundSet,
    without: bool,
    entropy: &'a dyn Entropy,
    monitor: &dyn Monitor,
) -> Result<Closing<'a>, CloseError> {
    match with_state(set, entropy, monitor)? {
        Some(prepared) => Ok(Closing::Pack(Box::new(prepared))),
        None => from_drives(set, without, entropy, monitor).map(|c| Closing::Done(Box::new(c))),
    }
}

/// The only set, or the only one that is not closed.
fn meant(mut found: Vec<FoundSet>) -> Result<FoundSet, CloseError> {
    if found.len() > 1 {
        let is_open = |set: &FoundSet| Origin::find(set, None).is_ok_and(|o| o.text.is_none());
        if found.iter().any(is_open) {
            found.retain(is_open);
        }
    }
    let names: Vec<_> = found.iter().map(FoundSet::name).collect();
    let several = CloseError::Several { count: names.len(), names: names.join(", ") };
    match found.pop() {
        Some(set) if found.is_empty() => Ok(set),
        _ => Err(several),
    }
}

/// With what this machine remembers of the set; none if it remembers nothing of use.
fn with_state<'a>(
    set: &FoundSet,
    entropy: &'a dyn Entropy,
    monitor: &dyn Monitor,
) -> Result<Option<Prepared<'a>>, CloseError> {
    let host = |e: HostError| CloseError::Pack(e.into());
    if !StateFolder::all().map_err(host)?.contains(&set.shipment) {
        return Ok(None);
    }
    let folder = StateFolder::of(set.shipment).map_err(host)?;
    let useless = |why: &dyn std::error::Error| {
        monitor.note(&format!(
            "this machine's state of shipment {} is of no use ({}): the set is closed from its \
             drives alone",
            set.shipment,
            sets::chain(why)
        ));
        Ok(None)
    };
    let state = match folder.load() {
        Ok(state) => state,
        Err(e) => return useless(&e),
    };
    if state.unclosed.as_ref().map(|unclosed| unclosed.number) != Some(set.set) {
        return Ok(None);
    }
    let list = match folder.list() {
        Ok(list) => list,
        Err(e) => return useless(&e),
    };
    if let Err(e) = source::reopen(Path::new(&state.asked.source), &list, state.cursor.entries) {
        return useless(&e);
    }
    let set_drive = |found: &crate::sets::FoundDrive| SetDrive {
        drive: found.drive.clone(),
        case: found.label.case.clone(),
    };
    let drives = set.drives.iter().map(set_drive).collect();
    // Folders that carry the set are its drives.
    let options = GoOn { close: true, folder_drives: true, ..GoOn::default() };
    match go_on_with(drives, folder, options, entropy, monitor)? {
        Some(prepared) => Ok(Some(prepared)),
        None => Err(CloseError::Nothing { set: set.name() }),
    }
}

fn from_drives(
    set: &FoundSet,
    without: bool,
    entropy: &dyn Entropy,
    monitor: &dyn Monitor,
) -> Result<Closed, CloseError> {
    let name = set.name();
    let _locks = set.lock().map_err(PackJobError::from)?;
    let conflict = |source| CloseError::Conflict { set: name.clone(), source };
    let origin = Origin::find(set, None).map_err(conflict)?;
    let book = origin.book(set, &Quiet(monitor));
    let absent = set.missing_slots();
    let again = origin.text.is_some();
    if book.gaps {
        return Err(CloseError::Gaps { set: name });
    }
    if book.stripes().is_empty() {
        return Err(CloseError::Nothing { set: name });
    }
    if !absent.is_empty() && !without && !again {
        let slots: Vec<_> = absent.iter().map(ToString::to_string).collect();
        let (count, slots) = (slots.len(), slots.join(", "));
        return Err(CloseError::Absent { set: name, count, slots });
    }
    let text = origin.text.unwrap_or_else(|| closing::text_of(set, &book, entropy.now()));
    let drives = closing::close(set, &book, &text, monitor);
    let litter = set.all_drives().map(|found| tidy::count_litter(set, &book, &text, found)).sum();
    // What labels now say is found again.
    let opened: Vec<Arc<dyn Drive>> = set.all_drives().map(|found| found.drive.clone()).collect();
    let after = sets::find(&opened, monitor).into_iter().find(|after| after.name() == name);
    let proof = prove(after.as_ref().unwrap_or(set), entropy, monitor);
    Ok(Closed {
        set: name,
        stripes: book.stripes().len() as u64,
        again,
        further_sets: text.further_sets(),
        absent,
        drives,
        litter,
        proof,
    })
}
