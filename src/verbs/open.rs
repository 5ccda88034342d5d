//! What every reading verb begins with: the drives that were named (or all that are mounted), the
//! sets on them, and the keys.

use crate::drives::{Drive, DriveError, LocalDrive, detect};
use crate::format::FORMAT_VERSION;
use crate::format::ids::{RunId, ShipmentId, key_path};
use crate::format::record::RecordIn;
use crate::keys::RunKey;
use crate::keys::recipients::{Identities, KeyError};
use crate::monitor::{Monitor, Problem, ProblemKind, Recording};
use crate::sets::open::{self, HOLDALL};
use crate::sets::{Book, FoundSet};
use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Why nothing could be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A path that was named is no drive.
    #[error("{} cannot be opened as a drive", path.display())]
    Drive {
        /// the path
        path: PathBuf,
        /// what the system said
        #[source]
        source: DriveError,
    },
    /// It was stopped.
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
    /// The drives are of several shipments.
    #[error("the drives carry {count} shipments: {names}")]
    SeveralShipments {
        /// how many
        count: usize,
        /// their ids
        names: String,
    },
    /// No key could be had.
    #[error("set {set} cannot be opened")]
    Key {
        /// the set
        set: String,
        /// why
        #[source]
        source: KeyError,
    },
    /// No key file lies on the drives.
    #[error("set {set}: no key file can be read on any drive that is here")]
    NoKeyFile {
        /// the set
        set: String,
    },
}

/// The folder that a path names as a drive: the one that has `holdall` in it, even if the path
/// leads into that.
pub(super) fn drive_root(path: &Path) -> PathBuf {
    let full = std::path::absolute(path).unwrap_or_else(|_| path.into());
    let above = full.ancestors().find(|a| a.file_name().is_some_and(|n| n == HOLDALL));
    match above.and_then(Path::parent) {
        Some(root) if !path.join(HOLDALL).is_dir() => root.into(),
        _ => path.into(),
    }
}

/// Opens the drives that were named; with none named, all mounted file systems that carry a set. One
/// that is dead or not there is a problem, and the others are opened; it is an error if none is.
pub fn drives(paths: &[PathBuf], monitor: &dyn Monitor) -> Result<Vec<Arc<dyn Drive>>, OpenError> {
    if paths.is_empty() {
        let carrying = detect::mounted().into_iter().filter(|p| p.join(HOLDALL).is_dir());
        let opened = carrying.filter_map(|p| LocalDrive::open(&p).ok());
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
        return Err(OpenError::Drive { path, source });
    }
    for (path, source) in &failures {
        monitor.problem(not_opened(path, source));
    }
    Ok(opened)
}

/// A drive that was named and cannot be opened.
pub(super) fn not_opened(path: &Path, error: &DriveError) -> Problem {
    let detail = format!("it cannot be opened as a drive: {}", open::chain(error));
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
    let mut found = open::find(&drives, monitor);
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
    if !named.is_empty() {
        found.retain(|set| named.contains(&set.shipment));
    }
    if found.is_empty() {
        if let Some((place, found)) = open::newer_label(&drives) {
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
    Ok(open::find(&drives(paths, monitor)?, &Recording::default()))
}

/// The sets on these drives, which must be of one shipment.
pub fn one_shipment(paths: &[PathBuf], monitor: &dyn Monitor) -> Result<Vec<FoundSet>, OpenError> {
    let found = sets(paths, monitor)?;
    let mut ids: Vec<_> = found.iter().map(|s| s.shipment).collect();
    ids.dedup();
    if ids.len() > 1 {
        let names: Vec<_> = ids.iter().map(ToString::to_string).collect();
        return Err(OpenError::SeveralShipments { count: ids.len(), names: names.join(", ") });
    }
    Ok(found)
}

/// The keys of all runs of a set that these identities open. Recipients are public, so anybody can
/// wrap a key of his own: the key counts that most copies of the run's records commit to.
pub fn keys(
    set: &FoundSet,
    identities: &Identities,
    monitor: &dyn Monitor,
) -> Result<BTreeMap<RunId, RunKey>, OpenError> {
    let mut keys = BTreeMap::new();
    let mut failure = None;
    for run in set.runs() {
        let mut candidates: Vec<RunKey> = Vec::new();
        for file in set.key_files(run) {
            match identities.unwrap(&file, set.shipment, set.set, run, None) {
                Ok(key) if candidates.iter().any(|c| c.commitment() == key.commitment()) => {}
                Ok(key) => candidates.push(key),
                Err(e) => failure = Some(e),
            }
        }
        if candidates.len() > 1 {
            let subject = format!("set {}: {}", set.name(), key_path(run));
            let detail = "different keys of one run lie on the drives: one of them is not ours";
            monitor.problem(Problem::new(ProblemKind::Damage, subject, detail));
        }
        // Only a choice needs the records.
        let several = candidates.len() > 1;
        let commitments = if several { set.commitments(run) } else { Vec::new() };
        let votes = |key: &RunKey| commitments.iter().filter(|c| **c == key.commitment()).count();
        if let Some(key) = candidates.into_iter().max_by_key(votes) {
            keys.insert(run, key);
        }
    }
    match failure {
        _ if !keys.is_empty() => Ok(keys),
        Some(source) => Err(OpenError::Key { set: set.name(), source }),
        None => Err(OpenError::NoKeyFile { set: set.name() }),
    }
}

fn is_authentic(keys: &BTreeMap<RunId, RunKey>, record: &RecordIn) -> bool {
    let (bytes, mac) = record.mac();
    keys.get(&record.record.id.run).is_some_and(|key| {
        key.commitment() == record.record.commitment && key.record_mac_is(bytes, mac)
    })
}

/// The records of a set, each checked with its run's key.
pub fn book(set: &FoundSet, keys: &BTreeMap<RunId, RunKey>, monitor: &dyn Monitor) -> Book {
    Book::open(set, Some(&|record| is_authentic(keys, record)), monitor)
}

/// The same for whoever needs few of them: none is read before it is asked for.
pub fn glance(set: &FoundSet, keys: &BTreeMap<RunId, RunKey>) -> Book {
    let keys = keys.clone();
    Book::glance(set, Box::new(move |record| is_authentic(&keys, record)))
}
