//! Whose DIR is: `DIR/.holdall/restore.json` names the shipment that is restored there, and what of
//! it.
//!
//! - Enters: DIR as it is found.
//! - Leaves: the open working folder of a restore of this shipment, or the reason against it.
//! - Always holds: a folder that holds anything, and no claim for this very restore, is not
//!   touched. The [`litter`](super::litter) of a fresh drive is nothing, and stays.

use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use cap_std::fs::Dir;
use rustix::fs::{Mode, OFlags};
use serde::{Deserialize, Serialize};

use super::at::{holds_only, is_not_a_folder, make_folder_at, not_opened, open_folder_at};
use super::error::DestinationError;
use super::layout::{CLAIM, WORK, work_path};
use super::litter::is_litter;
use super::owners::Owners;
use super::work_files::{is_unfinished, read_file, replace_file};

const WHAT: &str = "holdall restore";
const FORMAT: u32 = 1;

/// The state of DIR when it was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DirState {
    /// missing or empty; it is claimed now
    Fresh,
    /// a restore of the same shipment was begun in it
    Resumed,
}

/// What is to be restored to DIR.
#[derive(Clone, Copy)]
pub struct RestoreOf<'a> {
    pub shipment: &'a str,
    /// the options that say what of it; none: everything
    pub selection: Option<&'a str>,
    /// it has an entry named [`WORK`] at its top
    pub has_work_name: bool,
    /// who is to own it
    pub owners: Owners,
    /// names that not every file system holds are mapped
    pub map_names: bool,
    /// the file system is one that Windows reads
    pub is_for_windows: bool,
}

/// What restore.json says.
#[derive(Serialize, Deserialize)]
struct ClaimFile {
    what: String,
    format: u32,
    shipment: String,
    /// the options that say what of it; none: everything
    #[serde(default, skip_serializing_if = "Option::is_none")]
    selection: Option<String>,
}

/// What DIR is claimed for.
pub(super) struct Claimed {
    pub(super) shipment: String,
    /// the options that say what of it; none: everything
    pub(super) selection: Option<String>,
}

/// Opens DIR itself, which must be there.
pub(super) fn open_there(dir: &Path) -> Result<Dir, DestinationError> {
    open(dir).map_err(not_opened(dir.as_os_str().as_bytes()))
}

fn open(dir: &Path) -> io::Result<Dir> {
    // Not `open_ambient_dir`: its handle is for walking only, and cannot be synced.
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let handle = rustix::fs::open(dir, flags, Mode::empty())?;
    Ok(Dir::from_std_file(File::from(handle)))
}

/// What a working folder is claimed for; none if it is not claimed.
fn claimed(work: &Dir) -> Result<Option<Claimed>, DestinationError> {
    let read = read_file(work, CLAIM).map_err(DestinationError::io("load", &work_path(CLAIM)))?;
    let Some(bytes) = read else { return Ok(None) };
    let ClaimFile { shipment, selection, .. } = decode(&bytes)?;
    Ok(Some(Claimed { shipment, selection }))
}

/// Opens DIR itself; it is made, with its parents, if it is missing.
pub(super) fn open_dir(dir: &Path) -> Result<Dir, DestinationError> {
    let path = dir.as_os_str().as_bytes();
    let opened = match open(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            make_dir(dir).map_err(DestinationError::io("make folder", path))?;
            open(dir)
        }
        done => done,
    };
    opened.map_err(not_opened(path))
}

/// Parents get the usual mode; DIR is for its owner alone until it is finished.
fn make_dir(dir: &Path) -> io::Result<()> {
    if let Some(parent) = dir.parent() {
        std::fs::create_dir_all(parent)?;
    }
    match DirBuilder::new().mode(0o700).create(dir) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        done => done,
    }
}

/// The name of the working folder: [`WORK`], unless the dataset itself has that name at its top.
/// The other names the shipment, which no dataset knows while it is packed. A restore that was
/// begun before that was known moves.
pub(super) fn work_name(root: &Dir, of: RestoreOf) -> io::Result<String> {
    let other = other_name(of.shipment);
    let there = |name: &str| root.symlink_metadata(name).is_ok();
    if there(&other) || of.has_work_name && !there(WORK) {
        return Ok(other);
    }
    let is_ours = || {
        let work = open_folder_at(root, WORK.as_bytes()).ok()?;
        claimed(&work).ok()?.filter(|claimed| claimed.shipment == of.shipment)
    };
    if of.has_work_name && is_ours().is_some() {
        root.rename(WORK, root, &other)?;
        return Ok(other);
    }
    Ok(WORK.into())
}

fn other_name(shipment: &str) -> String {
    format!("{WORK}-{shipment}")
}

/// The working folder in `root` and its claim, whatever the shipment; none if there is none.
pub(super) fn find_work(root: &Dir) -> Result<Option<(Dir, Claimed)>, DestinationError> {
    let failed = |error| DestinationError::io("look at", b"")(error);
    let mut names = Vec::new();
    for entry in root.entries().map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        names.extend(name.into_string().ok().filter(|name| name.starts_with(WORK)));
    }
    // One that names its shipment comes before what the dataset may have under the usual name.
    names.sort_unstable_by_key(|name| std::cmp::Reverse(name.len()));
    for name in names {
        let work = match open_folder_at(root, name.as_bytes()) {
            Ok(work) => work,
            Err(error) if is_not_a_folder(&error) => continue,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(failed(error)),
        };
        let is_usual = name == WORK;
        match claimed(&work) {
            Ok(Some(claim)) if is_usual || name == other_name(&claim.shipment) => {
                return Ok(Some((work, claim)));
            }
            Err(error) if is_usual => return Err(error),
            _ => {}
        }
    }
    Ok(None)
}

/// Claims `root`, which is `dir`, or finds that it is claimed for this restore already; `name` is
/// that of the working folder.
pub(super) fn claim(
    root: &Dir,
    dir: &Path,
    name: &str,
    of: RestoreOf,
) -> Result<(Dir, DirState), DestinationError> {
    let look = |source| DestinationError::io("look at", dir.as_os_str().as_bytes())(source);
    let path = || dir.as_os_str().as_bytes().to_vec();
    let not_empty = |found: Vec<u8>| DestinationError::NotEmpty { path: path(), found };
    match open_folder_at(root, name.as_bytes()) {
        Ok(work) => {
            let read = || read_file(&work, CLAIM).map_err(look);
            let mut claim = read()?;
            if claim.is_none() {
                // The run that wanted to claim it may have been cut short.
                let is_own = |found: &[u8]| found == name.as_bytes() || is_litter(root, found);
                let other = holds_only(root, is_own).map_err(look)?;
                let foreign = holds_only(&work, |name| is_unfinished(name, CLAIM)).map_err(look)?;
                if let Some(found) = other.or(foreign.map(|_| name.into())) {
                    // Unless another process has claimed it meanwhile.
                    claim = Some(read()?.ok_or_else(|| not_empty(found))?);
                }
            }
            if let Some(bytes) = claim {
                check(&bytes, dir, of)?;
                return Ok((work, DirState::Resumed));
            }
        }
        Err(error) if is_not_a_folder(&error) => return Err(not_empty(name.into())),
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(look(error)),
        Err(_) => {
            if let Some(found) = holds_only(root, |name| is_litter(root, name)).map_err(look)? {
                return Err(not_empty(found));
            }
        }
    }
    let claim = ClaimFile {
        what: WHAT.into(),
        format: FORMAT,
        shipment: of.shipment.into(),
        selection: of.selection.map(Into::into),
    };
    let work =
        make_claim(root, name, &claim).map_err(DestinationError::io("make", name.as_bytes()))?;
    Ok((work, DirState::Fresh))
}

fn make_claim(root: &Dir, name: &str, claim: &ClaimFile) -> io::Result<Dir> {
    make_folder_at(root, name.as_bytes())?;
    let work = open_folder_at(root, name.as_bytes())?;
    replace_file(&work, CLAIM, &serde_json::to_vec_pretty(claim)?)?;
    rustix::fs::fsync(root)?;
    Ok(work)
}

fn decode(bytes: &[u8]) -> Result<ClaimFile, DestinationError> {
    let claim: ClaimFile = serde_json::from_slice(bytes)
        .map_err(|source| DestinationError::Claim { path: work_path(CLAIM), source })?;
    if claim.what != WHAT || claim.format > FORMAT {
        return Err(DestinationError::NewerClaim { path: work_path(CLAIM), found: claim.format });
    }
    Ok(claim)
}

fn check(bytes: &[u8], dir: &Path, of: RestoreOf) -> Result<(), DestinationError> {
    let claim = decode(bytes)?;
    if claim.shipment != of.shipment {
        return Err(DestinationError::OtherShipment {
            path: dir.as_os_str().as_bytes().to_vec(),
            found: claim.shipment,
            wanted: of.shipment.into(),
        });
    }
    if claim.selection.as_deref() != of.selection {
        return Err(DestinationError::OtherSelection {
            path: dir.as_os_str().as_bytes().to_vec(),
            found: claim.selection,
        });
    }
    Ok(())
}
