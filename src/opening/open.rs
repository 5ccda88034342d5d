//! What every reading command begins with: the drives that were named (or all that are mounted),
//! the sets on them, and the keys.

use super::carried::{CarriedShipment, carried, listed};
use crate::drives::{Drive, DriveError, LocalDrive, UnusableDrive, detect};
use crate::format::ids::{RunId, ShipmentId};
use crate::format::layout::HOLDALL;
use crate::format::{FORMAT_VERSION, Suite};
use crate::keys::KeyError;
use crate::monitor::{Monitor, Problem, ProblemKind, Recording};
use crate::shipment::FoundSet;
use crate::shipment::find;
use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Why nothing could be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error(transparent)]
    Drive(#[from] UnusableDrive),
    #[error("stopped as asked")]
    Stopped,
    /// No drive carries a set.
    #[error("no set was found on {searched}")]
    NoSet {
        /// where it was looked for
        searched: String,
        /// some of it may not be read by this user
        denied: bool,
    },
    /// What lies on the drives is of a newer format.
    #[error("{place} is of format {found}, and this program reads format {FORMAT_VERSION}")]
    Newer {
        /// drive and label
        place: String,
        /// its format
        found: u64,
    },
    /// Its blocks are of a suite that is not known here.
    #[error("set {set} is sealed with {suite}")]
    Suite { set: String, suite: Suite },
    /// The drives are of several shipments.
    #[error("the drives carry {} shipments: {}", shipments.len(), listed(shipments))]
    SeveralShipments { shipments: Vec<CarriedShipment> },
    /// Several were begun in the same second.
    #[error(
        "none of these shipments is the latest: they were begun at once: {}",
        listed(shipments)
    )]
    NoLatest { shipments: Vec<CarriedShipment> },
    /// What was named is the beginning of several ids.
    #[error("the ids of {} shipments begin with {beginning}: {}", shipments.len(), listed(shipments))]
    Beginning { beginning: String, shipments: Vec<CarriedShipment> },
    /// They are of others than the one that was named.
    #[error(
        "no drive that is here carries the shipment that was named, but these: {}",
        listed(carried)
    )]
    NotCarried { carried: Vec<CarriedShipment> },
    /// No key could be had.
    #[error("set {set} cannot be opened")]
    Key {
        set: String,
        #[source]
        source: KeyError,
    },
    /// A pack was stopped before anything of the set was committed.
    #[error("nothing of set {set} was committed to the drives that are here")]
    Empty {
        set: String,
        /// what removes it
        erase: String,
    },
    /// Texts that different keys vouch for, and no root that decides.
    #[error("set {set}: the drives vouch for different sets, each in its own right: {sides}")]
    Conflict {
        set: String,
        /// which drives vouch for which root
        sides: String,
    },
    /// Records of different keys, and nothing that decides.
    #[error(
        "set {set}: different keys made records of run {run} on the drives, each in its own right: {sides}"
    )]
    Keys {
        set: String,
        run: RunId,
        /// which key made those on which drives
        sides: String,
    },
    /// No set.txt has a root that is expected.
    #[error("set {set}: no set.txt on the drives here has a root that is expected")]
    NoSuchRoot { set: String },
    /// The set.txt of an expected root was not closed by the run whose key is at hand.
    #[error(
        "set {set}: the set of the root that is expected was not closed with the key that {key} gives: \
         {sides}"
    )]
    NotByThisKey {
        set: String,
        /// which drives have the root
        sides: String,
        /// the key file of the run that should have closed it
        key: String,
    },
    /// No key file lies on the drives.
    #[error("set {set}: no key file can be read on any drive that is here")]
    NoKeyFile { set: String },
}

/// The folder that a path names as a drive: the one that has `holdall` in it, even if the path
/// leads into that.
pub fn drive_root(path: &Path) -> PathBuf {
    let full = std::path::absolute(path).unwrap_or_else(|_| path.into());
    let above = full.ancestors().find(|a| a.file_name().is_some_and(|n| n == HOLDALL));
    match above.and_then(Path::parent) {
        Some(root) if !path.join(HOLDALL).is_dir() => root.into(),
        _ => path.into(),
    }
}

/// Where file systems are mounted that carry a set.
pub fn carrying() -> Vec<PathBuf> {
    detect::mounted().into_iter().filter(|p| p.join(HOLDALL).is_dir()).collect()
}

/// Opens the drives that were named; with none named, all mounted file systems that carry a set.
/// One that is dead or not there is a problem, and the others are opened; it is an error if none
/// is.
pub fn drives(paths: &[PathBuf], monitor: &dyn Monitor) -> Result<Vec<Arc<dyn Drive>>, OpenError> {
    if paths.is_empty() {
        let opened = carrying().into_iter().filter_map(|p| LocalDrive::open(&p).ok());
        return Ok(opened.map(|d| Arc::new(d) as Arc<dyn Drive>).collect());
    }
    let mut roots: Vec<PathBuf> = paths.iter().map(|p| drive_root(p)).collect();
    // A drive that was named twice, by whatever path, is one drive.
    let mut seen = BTreeSet::new();
    roots.retain(|root| detect::folder_id(root).is_none_or(|id| seen.insert(id)));
    let mut failures = Vec::new();
    let open = |path: PathBuf| match LocalDrive::open(&path) {
        Ok(drive) => Some(Arc::new(drive) as Arc<dyn Drive>),
        Err(source) => {
            failures.push((path, source));
            None
        }
    };
    let opened: Vec<_> = roots.into_iter().filter_map(open).collect();
    if opened.is_empty()
        && let Some((path, source)) = failures.pop()
    {
        return Err(UnusableDrive { path, source }.into());
    }
    for (path, source) in &failures {
        monitor.problem(not_opened(path, source));
    }
    Ok(opened)
}

/// A drive that was named and cannot be opened.
pub fn not_opened(path: &Path, error: &DriveError) -> Problem {
    let detail =
        format!("it cannot be opened as a drive: {}", crate::format::shown::error_chain(error));
    Problem::new(ProblemKind::Drive, path.display(), detail)
}

/// The shipments whose set folders the paths lead into: where drives carry several, this is how one
/// is meant.
fn named_shipments(paths: &[PathBuf]) -> BTreeSet<ShipmentId> {
    let shipment = |path: &PathBuf| {
        let mut names = path.components().map(|c| c.as_os_str().to_str());
        names.find(|name| *name == Some(HOLDALL))?;
        names.next()??.get(..16)?.parse().ok()
    };
    paths.iter().filter_map(shipment).collect()
}

/// The sets on these drives; at least one. If paths lead into sets' folders, those shipments only.
pub fn sets(paths: &[PathBuf], monitor: &dyn Monitor) -> Result<Vec<FoundSet>, OpenError> {
    let drives = drives(paths, monitor)?;
    let mut found = find::find(&drives, monitor);
    if monitor.should_stop() {
        return Err(OpenError::Stopped);
    }
    for drive in &drives {
        let carries = |set: &FoundSet| set.all_drives().any(|d| Arc::ptr_eq(&d.drive, drive));
        if !found.is_empty() && !found.iter().any(carries) {
            let detail = "it was named, but carries no set: is it another drive?";
            monitor.problem(Problem::new(ProblemKind::Drive, drive.name(), detail));
        }
    }
    let named = named_shipments(paths);
    if !named.is_empty() && !found.is_empty() {
        let carried = carried(&found);
        found.retain(|set| named.contains(&set.shipment));
        if found.is_empty() {
            return Err(OpenError::NotCarried { carried });
        }
    }
    if found.is_empty() {
        if let Some((place, found)) = find::newer_label(&drives) {
            return Err(OpenError::Newer { place, found });
        }
        let named: Vec<_> = paths.iter().map(|p| p.display().to_string()).collect();
        let searched =
            if named.is_empty() { "any mounted file system".into() } else { named.join(", ") };
        let denied = drives.iter().any(|drive| is_denied(drive.as_ref()));
        return Err(OpenError::NoSet { searched, denied });
    }
    Ok(found)
}

/// May this user not list a folder that could hold a set?
fn is_denied(drive: &dyn Drive) -> bool {
    let denied = |path: &str| {
        drive.list(path).is_err_and(|e| e.source.kind() == ErrorKind::PermissionDenied)
    };
    let below = drive.list(HOLDALL).unwrap_or_default();
    denied("") || denied(HOLDALL) || below.iter().any(|name| denied(&format!("{HOLDALL}/{name}")))
}

/// The sets on these drives, perhaps none.
pub fn found(paths: &[PathBuf], monitor: &dyn Monitor) -> Result<Vec<FoundSet>, OpenError> {
    Ok(find::find(&drives(paths, monitor)?, &Recording::default()))
}

/// The sets on these drives, which must be of one shipment.
pub fn one_shipment(paths: &[PathBuf], monitor: &dyn Monitor) -> Result<Vec<FoundSet>, OpenError> {
    let found = sets(paths, monitor)?;
    let shipments = carried(&found);
    if shipments.len() > 1 {
        return Err(OpenError::SeveralShipments { shipments });
    }
    Ok(found)
}
