//! `close`: an unclosed set is finished early.
//!
//! - Enters: the drives of a set; no recipient, and no key, but where drives disagree.
//! - Leaves: a closed set that was read back. Where this machine still keeps the set's state, it is
//!   closed as if its drives were full, and further sets may follow; else from its drives alone
//!   ([`crate::repairer::closing`]), and nobody can tell whether more was to follow.
//! - Always holds: (1) what a record on a drive that is here names stays and counts; (2) nothing is
//!   removed without this machine's state; (3) drives that are not here must be given up aloud:
//!   what was committed on them alone does not count any more once the set is closed; (4) over
//!   records that contradict each other, or that one drive alone says are there, no set is closed
//!   unless its state or a key tells which are the packer's: what set.txt names, repair spreads.

use super::error::PackJobError;
use super::obstacles::check_rule;
use super::prepared::Prepared;
use super::read_back::prove;
use super::resume::{ResumeOptions, resume_on};
use super::source;
use crate::drives::Drive;
use crate::entropy::Entropy;
use crate::format::ids::Slot;
use crate::format::shown::typed;
use crate::keys::recipients::Identities;
use crate::local_state::LocalStateError;
use crate::local_state::state::StateFolder;
use crate::monitor::Monitor;
use crate::opening::open::{self, OpenError};
use crate::opening::unlock;
use crate::packer::SetDrive;
use crate::repairer::closing::{self, DriveClosing};
use crate::repairer::origin::{Origin, OriginError};
use crate::repairer::quiet::Quiet;
use crate::shipment::texts::texts;
use crate::shipment::{FoundDrive, FoundSet, RecordIndex, cleanup, find};
use crate::verification::SetOutcome;
use serde::Serialize;
use std::collections::BTreeSet;
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
    #[error("drives of {count} sets are here: {names}")]
    Several { count: usize, names: String },
    /// Drives are not here.
    #[error("set {set}: {} not here: slot {slots}", if *count == 1 {
        "a drive is".into()
    } else {
        format!("{count} drives are")
    })]
    Absent { set: String, count: usize, slots: String },
    /// With this machine's state.
    #[error("cannot close set {set}: {why}")]
    Unready {
        set: String,
        why: String,
        /// what to do about it
        hint: String,
    },
    #[error("set {set}: nothing of it was committed, so there is nothing to close")]
    Nothing { set: String },
    /// Nothing but the key tells whether the packer made them.
    #[error(
        "set {set}: no other drive here confirms what {drive} says: {files} of it, from {path} on, may be \
         the packer's or somebody else's"
    )]
    Alone {
        set: String,
        drive: String,
        /// how many record files
        files: Box<str>,
        /// the first of them
        path: Box<str>,
        /// what closes the set by what the other drives say
        without: Box<str>,
        /// what closes it by what this drive says
        alone: Box<str>,
    },
    #[error("set {set}")]
    Conflict {
        set: String,
        #[source]
        source: OriginError,
    },
}

/// How a set is closed.
pub enum Closing<'a> {
    /// with this machine's state: to be run as any other plan
    Pack(Box<Prepared<'a>>),
    /// it was closed from its drives alone
    Done(Box<ClosedSet>),
}

/// A set that was closed from its drives alone.
#[derive(Serialize)]
pub struct ClosedSet {
    pub set: String,
    pub stripes: u64,
    /// it was closed before; what drives lacked of that was written
    pub again: bool,
    /// is it the last of its shipment; none if nobody knows
    pub last: Option<bool>,
    /// slots that were given up, now or when it was closed before
    pub absent: Vec<Slot>,
    /// what was written
    pub drives: Vec<DriveClosing>,
    /// files that no record names, and that were left
    pub litter: u64,
    /// its read-back
    #[serde(skip)]
    pub proof: SetOutcome,
}

/// The set on these drives that is to be closed, not touched yet; without paths, on all that are
/// mounted.
pub fn set_to_close(paths: &[PathBuf], monitor: &dyn Monitor) -> Result<FoundSet, CloseError> {
    only_candidate(open::sets(paths, &Quiet(monitor))?)
}

/// Closes it, or makes it ready to be closed; with `without`, drives that are not here are given
/// up. With identities, the records count that its runs made, whatever lies beside them.
pub fn close<'a>(
    set: &FoundSet,
    without: bool,
    identities: Option<&Identities>,
    entropy: &'a dyn Entropy,
    monitor: &dyn Monitor,
) -> Result<Closing<'a>, CloseError> {
    if let Some(prepared) = with_state(set, without, entropy, monitor)? {
        return Ok(Closing::Pack(Box::new(prepared)));
    }
    let closed = from_drives(set, without, identities, entropy, monitor)?;
    Ok(Closing::Done(Box::new(closed)))
}

/// The only set, or the only one that is not closed.
fn only_candidate(mut found: Vec<FoundSet>) -> Result<FoundSet, CloseError> {
    if found.len() > 1 {
        let is_open = |set: &FoundSet| texts(set).is_empty();
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
    without: bool,
    entropy: &'a dyn Entropy,
    monitor: &dyn Monitor,
) -> Result<Option<Prepared<'a>>, CloseError> {
    let failed = |e: LocalStateError| CloseError::Pack(e.into());
    if !StateFolder::all().map_err(failed)?.contains(&set.shipment) {
        return Ok(None);
    }
    let folder = StateFolder::of(set.shipment).map_err(failed)?;
    let useless = |why: &dyn std::error::Error| {
        monitor.note(&format!(
            "this machine's state of shipment {} is of no use ({}): the set is closed from its \
             drives alone",
            set.shipment,
            crate::format::shown::error_chain(why)
        ));
        Ok(None)
    };
    let state = match folder.load() {
        Ok(state) => state,
        Err(e) => return useless(&e),
    };
    let Some(unclosed) = state.unclosed.as_ref().filter(|one| one.number == set.set) else {
        return Ok(None);
    };
    // Where the rule cannot be kept, nothing is added to the set.
    if without && !set.missing_slots().is_empty() && check_rule(set, unclosed, &[]).is_err() {
        monitor.note(&format!(
            "set {}: its rule cannot be kept without the drives that are not here: it is closed from the \
             others alone",
            set.name()
        ));
        return Ok(None);
    }
    let list = match folder.check_index(&state).and_then(|()| folder.list()) {
        Ok(list) => list,
        Err(e) => return useless(&e),
    };
    if let Err(e) = source::reopen(Path::new(&state.asked.source), &list, state.cursor.entries) {
        return useless(&e);
    }
    let set_drive = |found: &crate::shipment::FoundDrive| SetDrive {
        drive: found.drive.clone(),
        case: found.label.case.clone(),
    };
    let drives = set.drives.iter().map(set_drive).collect();
    let options = ResumeOptions { close: true, ..ResumeOptions::default() };
    let prepared = resume_on(drives, folder, options, entropy, monitor);
    let unready = |e| match e {
        PackJobError::Resume { set, why, hint } => CloseError::Unready { set, why, hint },
        e => e.into(),
    };
    match prepared.map_err(unready)? {
        Some(prepared) => Ok(Some(prepared)),
        None => Err(CloseError::Nothing { set: set.name() }),
    }
}

/// What the set is, by what its drives say; or by its key, if it was not closed before.
fn origin(
    set: &mut FoundSet,
    identities: Option<&Identities>,
    monitor: &dyn Monitor,
) -> Result<Origin, CloseError> {
    let name = set.name();
    let quiet = Quiet(monitor);
    let keys = match identities.filter(|_| texts(set).is_empty()) {
        Some(identities) => {
            let mut one = vec![set.clone()];
            let keys = unlock::unlock(&mut one, identities, &[], &quiet)?.remove(0);
            *set = one.remove(0);
            Some(keys)
        }
        None => None,
    };
    let origin = match keys {
        Some(keys) => Origin::of(unlock::record_index(set, &keys, &quiet)),
        None => Origin::find(set, None, &quiet),
    };
    let origin = origin.map_err(|source| CloseError::Conflict { set: name, source })?;
    match origin.record_index.alone.first() {
        Some(_) => Err(alone(set, &origin.record_index)),
        None => Ok(origin),
    }
}

/// Why it is not closed over what one drive alone says, and what to do.
fn alone(set: &FoundSet, record_index: &RecordIndex) -> CloseError {
    let drives: BTreeSet<&str> =
        record_index.alone.iter().map(|(drive, _)| drive.as_str()).collect();
    let of_it = |found: &&FoundDrive| drives.contains(found.drive.name());
    let close = |found: Vec<&FoundDrive>| {
        let quote = |found: &FoundDrive| typed(found.drive.name());
        let names = found.into_iter().map(quote).collect::<Vec<_>>().join(" ");
        format!("holdall close {names} --yes").into()
    };
    let paths: BTreeSet<&str> = record_index.alone.iter().map(|(_, path)| path.as_str()).collect();
    CloseError::Alone {
        set: set.name(),
        drive: drives.iter().copied().collect::<Vec<_>>().join(", "),
        files: match paths.len() {
            1 => "a record file".into(),
            count => format!("{count} record files").into(),
        },
        path: paths.first().copied().unwrap_or_default().into(),
        without: close(set.all_drives().filter(|found| !of_it(found)).collect()),
        alone: close(set.all_drives().filter(of_it).collect()),
    }
}

fn from_drives(
    set: &FoundSet,
    without: bool,
    identities: Option<&Identities>,
    entropy: &dyn Entropy,
    monitor: &dyn Monitor,
) -> Result<ClosedSet, CloseError> {
    let name = set.name();
    let _locks = set.lock().map_err(PackJobError::from)?;
    let mut set = set.clone();
    let origin = origin(&mut set, identities, monitor)?;
    let (set, record_index) = (&set, origin.record_index);
    let mut absent = set.missing_slots();
    let again = origin.text.is_some();
    if record_index.stripes().is_empty() {
        return Err(CloseError::Nothing { set: name });
    }
    if !absent.is_empty() && !without && !again {
        let slots: Vec<_> = absent.iter().map(ToString::to_string).collect();
        let (count, slots) = (slots.len(), slots.join(", "));
        return Err(CloseError::Absent { set: name, count, slots });
    }
    let text = origin.text.unwrap_or_else(|| closing::text_of(set, &record_index, entropy.now()));
    if !again {
        closing::report_belied(set, monitor);
    }
    // One that was closed before may have been closed with them.
    let is_complete = |slot: &Slot| text.slots.iter().all(|s| s.slot != *slot || s.label.is_some());
    absent.retain(|slot| !is_complete(slot));
    let drives = closing::close(set, &record_index, &text, monitor);
    let litter =
        set.all_drives().map(|found| cleanup::count_litter(set, &record_index, &text, found)).sum();
    // What labels now say is found again.
    let opened: Vec<Arc<dyn Drive>> = set.all_drives().map(|found| found.drive.clone()).collect();
    let after = find::find(&opened, monitor).into_iter().find(|after| after.name() == name);
    let proof = prove(after.as_ref().unwrap_or(set), entropy, monitor);
    Ok(ClosedSet {
        set: name,
        stripes: record_index.stripes().len() as u64,
        again,
        last: text.further_sets().map(|further| !further),
        absent,
        drives,
        litter,
        proof,
    })
}
