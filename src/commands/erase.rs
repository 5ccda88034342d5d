//! `erase`: removes a set from drives, by name, and nothing else.

use crate::drives::{Drive, LocalDrive, UnusableDrive};
use crate::format::ids::{ShipmentId, set_folder};
use crate::format::layout::HOLDALL;
use crate::format::shown::error_chain;
use crate::local_state::LocalStateError;
use crate::local_state::state::StateFolder;
use crate::metadata_files::drive_readme::after_removal;
use crate::monitor::{Monitor, Problem, ProblemKind};
use crate::opening::open::{drive_root, not_opened};
use crate::shipment::lock::{InUse, SetLocks};
use serde::Serialize;
use std::collections::BTreeSet;
use std::path::PathBuf;

/// Why nothing was erased.
#[derive(Debug, thiserror::Error)]
pub enum EraseError {
    #[error(transparent)]
    Drive(#[from] UnusableDrive),
    /// Somebody else is at work on the set.
    #[error(transparent)]
    InUse(#[from] InUse),
    /// What was named is no set.
    #[error("{name:?} is not the name of a set")]
    Name {
        /// what was typed
        name: String,
    },
    /// A drive has several sets of the shipment.
    #[error("{drive} carries {count} sets of shipment {shipment}: {names}")]
    Several { drive: String, shipment: String, count: usize, names: String },
    /// No drive carries the set.
    #[error("set {name} is on none of these drives")]
    NotHere { name: String },
}

/// A set on drives, found and not yet erased.
pub struct Erasure {
    drives: Vec<(LocalDrive, Option<String>)>,
    /// nobody else is at work on it meanwhile
    _locks: SetLocks,
}

#[derive(Serialize)]
pub struct ErasedDrive {
    /// the set's folder was called so
    pub set: String,
    /// its path
    pub drive: String,
    /// files that were removed
    pub files: u64,
    /// nothing of the set is left on it
    pub done: bool,
    /// it was stopped before
    pub stopped: bool,
}

impl Erasure {
    /// Looks for a set, by its folder's name or its shipment's id, on these drives. One that cannot
    /// be opened is a problem, unless it is the last.
    pub fn find(paths: &[PathBuf], name: &str, monitor: &dyn Monitor) -> Result<Self, EraseError> {
        let is_shipment = name.parse::<ShipmentId>().is_ok();
        if !is_shipment && !is_set(name) {
            return Err(EraseError::Name { name: name.into() });
        }
        let (mut drives, mut failures) = (Vec::new(), Vec::new());
        for path in paths {
            let failed = UnusableDrive::at(path);
            let drive = match LocalDrive::open(&drive_root(path)) {
                Ok(drive) => drive,
                Err(source) => {
                    failures.push((path, source));
                    continue;
                }
            };
            let of_shipment = |set: &str| is_shipment && is_set(set) && set.starts_with(name);
            let means = |set: &String| set == name || of_shipment(set);
            let names = drive.list(HOLDALL).map_err(failed)?;
            let mut sets: Vec<String> = names.into_iter().filter(means).collect();
            if sets.len() > 1 {
                return Err(EraseError::Several {
                    drive: drive.name().into(),
                    shipment: name.into(),
                    count: sets.len(),
                    names: sets.join(", "),
                });
            }
            drives.push((drive, sets.pop()));
        }
        if drives.is_empty()
            && let Some((path, source)) = failures.pop()
        {
            return Err(UnusableDrive { path: path.clone(), source }.into());
        }
        failures.iter().for_each(|(path, source)| monitor.problem(not_opened(path, source)));
        if drives.iter().all(|(_, set)| set.is_none()) {
            return Err(EraseError::NotHere { name: name.into() });
        }
        let mut locks = SetLocks::default();
        for (drive, set) in &drives {
            if let Some(set) = set {
                locks.take(drive, &format!("{HOLDALL}/{set}"))?;
            }
        }
        Ok(Self { drives, _locks: locks })
    }

    /// The drives that carry it: name and set.
    pub fn carriers(&self) -> impl Iterator<Item = (&str, &str)> {
        self.drives.iter().filter_map(|(drive, set)| Some((drive.name(), set.as_deref()?)))
    }

    /// Erases it. A drive that refuses is a problem, and the others are erased all the same.
    /// Stopped, it says of every drive what was done, and the rest can be done later.
    pub fn run(self, monitor: &dyn Monitor) -> Vec<ErasedDrive> {
        let mut erased = Vec::new();
        let stop = || monitor.should_stop();
        for (drive, set) in &self.drives {
            let mut files = 0;
            // What a broken-off erasing left beside the sets goes too.
            let gone = match set {
                _ if stop() => Ok(false),
                // Files first: what tells of the shards goes before they do.
                Some(set) => drive.remove_tree(&format!("{HOLDALL}/{set}"), &stop, &mut files),
                None => Ok(true),
            };
            let cleanup = || after_removal(drive).and_then(|()| drive.sync());
            let done =
                gone.and_then(|gone| if gone { cleanup().map(|()| true) } else { Ok(false) });
            if let Err(e) = &done {
                monitor.problem(Problem::new(ProblemKind::Drive, drive.name(), error_chain(e)));
            }
            let (drive, stopped) = (drive.name().to_string(), matches!(done, Ok(false)));
            let done = matches!(done, Ok(true));
            match set.clone() {
                Some(set) => erased.push(ErasedDrive { set, drive, files, done, stopped }),
                None if !done => {}
                None => monitor.note(&format!("{drive}: nothing of the set lies on it")),
            }
        }
        forget_erased(&erased, monitor);
        erased
    }
}

/// What this machine keeps of shipments whose sets were erased: the set that it was packing is
/// packed anew if it is certain that nothing of it is left, and a shipment of which nothing is left
/// is forgotten.
fn forget_erased(erased: &[ErasedDrive], monitor: &dyn Monitor) {
    let names: BTreeSet<&String> = erased.iter().map(|drive| &drive.set).collect();
    let all = StateFolder::all().unwrap_or_default();
    for name in names {
        let shipment = all.iter().find(|id| name.starts_with(&format!("{id}-")));
        let Some(shipment) = shipment else { continue };
        let of_set: Vec<_> = erased.iter().filter(|drive| drive.set == *name).collect();
        let all_done = of_set.iter().all(|drive| drive.done);
        let done = forget_set(*shipment, name, if all_done { of_set.len() } else { 0 });
        monitor.note(&done.unwrap_or_else(|e| {
            format!("what this machine keeps of shipment {shipment} stays: {}", error_chain(&e))
        }));
    }
}

/// Forgets a set that was erased from so many drives; says what came of it.
fn forget_set(shipment: ShipmentId, name: &str, drives: usize) -> Result<String, LocalStateError> {
    let folder = StateFolder::of(shipment)?;
    let mut state = folder.load()?;
    let is_all = state
        .unclosed
        .as_ref()
        .is_some_and(|set| set_folder(shipment, set.number) == *name && set.cases.len() == drives);
    Ok(match (is_all, state.sets) {
        (true, 0) => {
            folder.remove()?;
            format!("shipment {shipment} is no longer in progress here: nothing is left of it")
        }
        (true, _) => {
            state.unclosed = None;
            folder.save(&state)?;
            format!("holdall resume {shipment} packs the set again")
        }
        (false, _) => format!(
            "shipment {shipment} is still in progress on this machine; to drop it: holdall forget \
             {shipment}"
        ),
    })
}

/// `1234…-001`
fn is_set(name: &str) -> bool {
    let Some((shipment, set)) = name.split_once('-') else { return false };
    let digits = set.len() >= 3 && set.bytes().all(|b| b.is_ascii_digit());
    shipment.parse::<ShipmentId>().is_ok() && digits
}
