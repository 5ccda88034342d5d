//! Whose DIR is: `DIR/.holdall/restore.json` names the shipment that is restored there, and what of
//! it.
//!
//! - Enters: DIR as it is found.
//! - Leaves: the open working folder of a restore of this shipment, or the reason against it.
//! - Always holds: a folder that holds anything, and no claim for this very restore, is not touched. An
//!   empty `lost+found` of root's, as ext4 makes it, is nothing, and stays.

use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use cap_std::fs::{Dir, MetadataExt};
use rustix::fs::{Mode, OFlags};
use serde::{Deserialize, Serialize};

use super::error::DestinationError;
use super::folders::{is_not_a_folder, make_folder_at, not_opened, open_folder_at};
use super::state::{is_unfinished, read_file, replace_file};
use super::{CLAIM, WORK, work_path};

const WHAT: &str = "holdall restore";
const FORMAT: u32 = 1;

/// How DIR was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opened {
    /// missing or empty; it is claimed now
    Fresh,
    /// a restore of the same shipment was begun in it
    Resumed,
}

/// What restore.json says.
#[derive(Serialize, Deserialize)]
struct Claim {
    what: String,
    format: u32,
    shipment: String,
    /// the options that say what of it; none: everything
    #[serde(default, skip_serializing_if = "Option::is_none")]
    selection: Option<String>,
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

/// The shipment that a working folder is claimed for, and what of it; none if it is not claimed.
pub(super) fn claimed(work: &Dir) -> Result<Option<(String, Option<String>)>, DestinationError> {
    let read = read_file(work, CLAIM).map_err(DestinationError::io("load", &work_path(CLAIM)))?;
    let claim = |bytes: Vec<u8>| decode(&bytes).map(|claim| (claim.shipment, claim.selection));
    read.map(claim).transpose()
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

/// Claims `root`, which is `dir`, for `shipment`, or finds that it is claimed for it.
pub(super) fn claim(
    root: &Dir,
    dir: &Path,
    (shipment, selection): (&str, Option<&str>),
) -> Result<(Dir, Opened), DestinationError> {
    let look = |source| DestinationError::io("look at", dir.as_os_str().as_bytes())(source);
    let not_empty = || DestinationError::NotEmpty { path: dir.as_os_str().as_bytes().to_vec() };
    match open_folder_at(root, WORK.as_bytes()) {
        Ok(work) => {
            if let Some(bytes) = read_file(&work, CLAIM).map_err(look)? {
                check(&bytes, dir, shipment, selection)?;
                return Ok((work, Opened::Resumed));
            }
            // The run that wanted to claim it may have been cut short.
            let is_own = |name: &[u8]| name == WORK.as_bytes() || is_lost_and_found(root, name);
            let alone = holds_only(root, is_own).map_err(look)?
                && holds_only(&work, |name| is_unfinished(name, CLAIM)).map_err(look)?;
            if !alone {
                // Unless another process has claimed it meanwhile.
                let Some(bytes) = read_file(&work, CLAIM).map_err(look)? else {
                    return Err(not_empty());
                };
                check(&bytes, dir, shipment, selection)?;
                return Ok((work, Opened::Resumed));
            }
        }
        Err(error) if is_not_a_folder(&error) => return Err(not_empty()),
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(look(error)),
        Err(_) => {
            if !holds_only(root, |name| is_lost_and_found(root, name)).map_err(look)? {
                return Err(not_empty());
            }
        }
    }
    let claim = Claim {
        what: WHAT.into(),
        format: FORMAT,
        shipment: shipment.into(),
        selection: selection.map(Into::into),
    };
    let work = make_claim(root, &claim).map_err(DestinationError::io("make", WORK.as_bytes()))?;
    Ok((work, Opened::Fresh))
}

/// Is this the folder that a fresh ext4 comes with? Whoever may not look into it finds it empty.
fn is_lost_and_found(root: &Dir, name: &[u8]) -> bool {
    const NAME: &str = "lost+found";
    if name != NAME.as_bytes() {
        return false;
    }
    let is_roots = |found: cap_std::fs::Metadata| found.is_dir() && found.uid() == 0;
    let is_empty = match open_folder_at(root, name) {
        Ok(folder) => holds_only(&folder, |_| false).unwrap_or(false),
        Err(error) => error.kind() == io::ErrorKind::PermissionDenied,
    };
    root.symlink_metadata(NAME).is_ok_and(is_roots) && is_empty
}

/// Whether every name in `folder` is one that `allowed` knows.
fn holds_only(folder: &Dir, allowed: impl Fn(&[u8]) -> bool) -> io::Result<bool> {
    for entry in folder.entries()? {
        if !allowed(entry?.file_name().as_bytes()) {
            return Ok(false);
        }
    }
    Ok(true)
}

fn make_claim(root: &Dir, claim: &Claim) -> io::Result<Dir> {
    make_folder_at(root, WORK.as_bytes())?;
    let work = open_folder_at(root, WORK.as_bytes())?;
    replace_file(&work, CLAIM, &serde_json::to_vec_pretty(claim)?)?;
    rustix::fs::fsync(root)?;
    Ok(work)
}

fn decode(bytes: &[u8]) -> Result<Claim, DestinationError> {
    let claim: Claim = serde_json::from_slice(bytes)
        .map_err(|source| DestinationError::Claim { path: work_path(CLAIM), source })?;
    if claim.what != WHAT || claim.format > FORMAT {
        return Err(DestinationError::NewerClaim { path: work_path(CLAIM), found: claim.format });
    }
    Ok(claim)
}

fn check(
    bytes: &[u8],
    dir: &Path,
    shipment: &str,
    selection: Option<&str>,
) -> Result<(), DestinationError> {
    let claim = decode(bytes)?;
    if claim.shipment != shipment {
        return Err(DestinationError::OtherShipment {
            path: dir.as_os_str().as_bytes().to_vec(),
            found: claim.shipment,
            wanted: shipment.into(),
        });
    }
    if claim.selection.as_deref() != selection {
        return Err(DestinationError::OtherSelection {
            path: dir.as_os_str().as_bytes().to_vec(),
            found: claim.selection,
        });
    }
    Ok(())
}
