//! `repair`: makes drives whole again, in place or on new ones, with no key.

use crate::drives::{Drive, LocalDrive, UnusableDrive, detect};
use crate::format::ids::Slot;
use crate::format::label::checked_case;
use crate::format::layout::HOLDALL;
use crate::format::list::Hash;
use crate::format::shown::hex;
use crate::memory::Memory;
use crate::monitor::Monitor;
use crate::opening::open::{self, OpenError};
use crate::opening::own_disks::{NoDrive, OwnDisks};
use crate::plan::case_path::CasePath;
use crate::repairer::onto::{NewDrive, OntoError, place};
use crate::repairer::origin::{Origin, OriginError};
use crate::repairer::quiet::Quiet;
use crate::repairer::{self, RepairJob, Repaired};
use crate::shipment::lock::{InUse, SetLocks};
use crate::shipment::{FoundSet, RecordIndex, find};
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What is asked for.
pub struct RepairOptions {
    /// drives; none: all that are mounted
    pub paths: Vec<PathBuf>,
    /// case and path of each new drive
    pub onto: Vec<CasePath>,
    /// these may be folders on this machine's own disks
    pub folder_drives: bool,
    /// the slot of the only new drive
    pub slot: Option<Slot>,
    /// the root that decides where copies differ
    pub expect: Option<Hash>,
    /// what it may take
    pub memory: Memory,
}

/// Why nothing was repaired.
#[derive(Debug, thiserror::Error)]
pub enum RepairError {
    /// No set was found.
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Drive(#[from] UnusableDrive),
    /// The name of a case is none.
    #[error("{case:?} is not a name for a case: 1 to 32 letters, digits, '.', '_' or '-'")]
    Case {
        /// what was typed
        case: String,
    },
    /// Somebody else is at work on the set.
    #[error(transparent)]
    InUse(#[from] InUse),
    /// No drive is mounted where one was named.
    #[error(transparent)]
    NoDrive(#[from] NoDrive),
    /// A new drive cannot take a lost one's place.
    #[error(transparent)]
    Onto(#[from] OntoError),
    /// It is not clear of which set a lost drive is to be rebuilt.
    #[error("drives of {count} sets are here: in which of them was a drive lost?")]
    SeveralSets { count: usize },
    /// No set has the root that is expected.
    #[error(transparent)]
    Root(OriginError),
}

/// What was done to a set.
#[derive(Serialize)]
pub struct SetRepair {
    #[serde(rename = "set")]
    pub name: String,
    /// drives of the set in all
    #[serde(skip)]
    pub drive_count: u16,
    /// the paths of those that are here
    #[serde(skip)]
    pub here: Vec<String>,
    /// BLAKE3 of set.txt in hexadecimal, if the set was closed
    pub root: Option<String>,
    /// slots that are not here
    pub missing: Vec<Slot>,
    /// the case of the first of them, if that is known
    #[serde(skip)]
    pub missing_case: Option<String>,
    /// drives that were named and carry nothing of any set
    pub strangers: Vec<String>,
    /// why it was not touched
    pub conflict: Option<OriginError>,
    /// records are missing on all drives that are here
    pub gaps: bool,
    /// drives that alone say of record files that they are there, without the key: not spread
    pub alone: Vec<String>,
    #[serde(flatten)]
    pub repaired: Repaired,
}

impl SetRepair {
    /// Is everything that was given whole now?
    pub fn is_whole(&self) -> bool {
        let r = &self.repaired;
        let drives = r.drives.iter().all(|d| d.is_whole() && d.slot != Slot(0));
        let stripes = r.beyond.is_empty() && r.waiting.is_empty();
        drives
            && stripes
            && r.keys_differ.is_empty()
            && !self.gaps
            && self.alone.is_empty()
            && !r.stopped
            && self.conflict.is_none()
    }

    /// Is something lost that no drive of the set can bring back? A drive that does not take what
    /// is written to it loses nothing as long as the others have it.
    pub fn is_beyond(&self) -> bool {
        let r = &self.repaired;
        let lacks = self.gaps || !r.keyless.is_empty();
        !r.beyond.is_empty() || lacks && self.missing.is_empty()
    }
}

/// Repairs all sets on these drives.
pub fn repair(
    options: &RepairOptions,
    monitor: &dyn Monitor,
) -> Result<Vec<SetRepair>, RepairError> {
    let mut new = Vec::new();
    let mut new_ids = Vec::new();
    let own = OwnDisks::of(None);
    for CasePath { case, path } in &options.onto {
        checked_case(case).map_err(|_| RepairError::Case { case: case.clone() })?;
        if !options.folder_drives {
            own.check(path)?;
        }
        let failed = UnusableDrive::at(path);
        let drive = LocalDrive::open(path).map_err(failed)?;
        drive.check_writable(&[HOLDALL]).map_err(failed)?;
        new_ids.push(detect::folder_id(path));
        new.push(NewDrive { case: case.clone(), drive: Arc::new(drive) });
    }
    let mut found = open::sets(&options.paths, &Quiet(monitor))?;
    let strangers = strangers(&options.paths, &found, &new_ids);
    // A new drive that carries a part of the set already is not one that was found.
    let is_new = |drive: &Arc<dyn Drive>| {
        let id = detect::folder_id(Path::new(drive.name()));
        id.is_some() && new_ids.contains(&id)
    };
    for set in &mut found {
        set.drives.retain(|found| !is_new(&found.drive));
        set.duplicates.retain(|found| !is_new(&found.drive));
    }
    found.retain(|set| !set.drives.is_empty());
    let (slot, expect, memory) = (options.slot, options.expect, options.memory);
    let mut repaired = repair_sets(found, &new, slot, expect, memory, monitor)?;
    repaired.iter_mut().for_each(|set| set.strangers.clone_from(&strangers));
    Ok(repaired)
}

/// The drives that were named and carry no set, new ones left out.
fn strangers(paths: &[PathBuf], found: &[FoundSet], new: &[Option<(u64, u64)>]) -> Vec<String> {
    let id = |path: &Path| detect::folder_id(path);
    let carriers: Vec<_> = found
        .iter()
        .flat_map(FoundSet::all_drives)
        .map(|found| id(Path::new(found.drive.name())))
        .collect();
    let is_stranger = |path: &PathBuf| {
        let id = id(&open::drive_root(path));
        id.is_some() && !carriers.contains(&id) && !new.contains(&id)
    };
    paths.iter().filter(|path| is_stranger(path)).map(|p| p.display().to_string()).collect()
}

/// Repairs sets that were found.
pub fn repair_sets(
    found: Vec<FoundSet>,
    new: &[NewDrive],
    slot: Option<Slot>,
    expect: Option<Hash>,
    memory: Memory,
    monitor: &dyn Monitor,
) -> Result<Vec<SetRepair>, RepairError> {
    let mut origins: Vec<(FoundSet, SetLocks, Result<Origin, OriginError>)> = Vec::new();
    for mut set in found {
        let locks = set.lock()?;
        let origin = Origin::find(&mut set, expect, &Quiet(monitor));
        origins.push((set, locks, origin));
    }
    if expect.is_some() {
        let others = origins.extract_if(.., |(.., origin)| origin.is_err());
        let others: Vec<_> = others.map(|(set, ..)| set.name()).collect();
        if origins.is_empty() {
            return Err(RepairError::Root(OriginError::NoSuchRoot));
        }
        for name in others {
            monitor.note(&format!("set {name} has another root: it is left as it is"));
        }
    }
    if !new.is_empty() && origins.len() > 1 {
        return Err(RepairError::SeveralSets { count: origins.len() });
    }
    let repair =
        |(set, locks, origin)| repair_set(set, locks, origin, (new, slot), memory, monitor);
    origins.into_iter().map(repair).collect()
}

fn repair_set(
    mut set: FoundSet,
    mut locks: SetLocks,
    origin: Result<Origin, OriginError>,
    (new, slot): (&[NewDrive], Option<Slot>),
    memory: Memory,
    monitor: &dyn Monitor,
) -> Result<SetRepair, RepairError> {
    let mut outcome = SetRepair {
        name: set.name(),
        drive_count: set.drive_count(),
        here: set.all_drives().map(|found| found.drive.name().into()).collect(),
        root: None,
        missing: set.missing_slots(),
        missing_case: None,
        strangers: Vec::new(),
        conflict: None,
        gaps: false,
        alone: Vec::new(),
        repaired: Repaired::default(),
    };
    let origin = match origin {
        Ok(origin) => origin,
        Err(conflict) => {
            outcome.conflict = Some(conflict);
            return Ok(outcome);
        }
    };
    let text = origin.text.as_ref();
    outcome.root = text.map(|text| hex(&text.root()));
    let placed = place(&set, text, new, slot, monitor)?;
    for placed in &placed {
        let drive = placed.found.drive.as_ref();
        drive.make_folder(&set.folder).map_err(OntoError::Drive)?;
        // The room is counted, so nobody else may pack onto it.
        locks.take(drive, HOLDALL)?;
        locks.take(drive, &set.folder)?;
    }
    let new_slots = placed.iter().filter(|p| p.new).map(|p| p.found.label.slot).collect();
    set.drives.extend(placed.into_iter().map(|placed| placed.found));
    set.drives.sort_by_key(|d| (d.label.slot == Slot(0), d.label.slot));
    outcome.missing = set.missing_slots();
    let line = |slot: &Slot| text?.slots.iter().find(|line| line.slot == *slot)?.known_case();
    outcome.missing_case = outcome.missing.first().and_then(line);
    let record_index = origin.record_index;
    let job = RepairJob { set: &set, record_index: &record_index, text, new: new_slots, memory };
    outcome.repaired = repairer::repair(&job, monitor)?;
    outcome.gaps = record_index.gaps;
    outcome.alone = record_index.alone.iter().map(|(drive, _)| drive.clone()).collect();
    outcome.alone.dedup();
    if !outcome.repaired.stopped {
        // What is still wrong with labels and records is reported now.
        let drives: Vec<_> = set.all_drives().map(|found| found.drive.clone()).collect();
        for after in find::find(&drives, monitor).iter().filter(|s| s.name() == set.name()) {
            outcome.gaps |= RecordIndex::open(after, None, monitor).gaps;
            after.set_text(monitor);
        }
    }
    Ok(outcome)
}
