//! Whose DIR is: `DIR/.holdall/restore.json` names the shipment that is restored there.
//!
//! - Enters: DIR as it is found.
//! - Leaves: the open working folder of a restore of this shipment, or the reason against it.
//! - Always holds: a folder that holds anything, and no claim for this shipment, is not touched.

use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use cap_std::fs::Dir;
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
}

/// Opens DIR itself; it is made, with its parents, if it is missing.
pub(super) fn open_dir(dir: &Path) -> Result<Dir, DestinationError> {
    let path = dir.as_os_str().as_bytes();
    // Not `open_ambient_dir`: its handle is for walking only, and cannot be synced.
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let open = || -> io::Result<Dir> {
        let handle = rustix::fs::open(dir, flags, Mode::empty())?;
        Ok(Dir::from_std_file(File::from(handle)))
    };
    let opened = match open() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            make_dir(dir).map_err(DestinationError::io("make folder", path))?;
            open()
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
    shipment: &str,
) -> Result<(Dir, Opened), DestinationError> {
    let look = |source| DestinationError::io("look at", dir.as_os_str().as_bytes())(source);
    let not_empty = || DestinationError::NotEmpty { path: dir.as_os_str().as_bytes().to_vec() };
    match open_folder_at(root, WORK.as_bytes()) {
        Ok(work) => {
            if let Some(bytes) = read_file(&work, CLAIM).map_err(look)? {
                check(&bytes, dir, shipment)?;
                return Ok((work, Opened::Resumed));
            }
            // The run that wanted to claim it may have been cut short.
            let alone = holds_only(root, |name| name == WORK.as_bytes()).map_err(look)?
                && holds_only(&work, |name| is_unfinished(name, CLAIM)).map_err(look)?;
            if !alone {
                // Unless another process has claimed it meanwhile.
                let Some(bytes) = read_file(&work, CLAIM).map_err(look)? else {
                    return Err(not_empty());
                };
                check(&bytes, dir, shipment)?;
                return Ok((work, Opened::Resumed));
            }
        }
        Err(error) if is_not_a_folder(&error) => return Err(not_empty()),
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(look(error)),
        Err(_) if !holds_only(root, |_| false).map_err(look)? => return Err(not_empty()),
        Err(_) => {}
    }
    let work = make_claim(root, shipment).map_err(DestinationError::io("make", WORK.as_bytes()))?;
    Ok((work, Opened::Fresh))
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

fn make_claim(root: &Dir, shipment: &str) -> io::Result<Dir> {
    make_folder_at(root, WORK.as_bytes())?;
    let work = open_folder_at(root, WORK.as_bytes())?;
    let claim = Claim { what: WHAT.into(), format: FORMAT, shipment: shipment.into() };
    replace_file(&work, CLAIM, &serde_json::to_vec_pretty(&claim)?)?;
    rustix::fs::fsync(root)?;
    Ok(work)
}

fn check(bytes: &[u8], dir: &Path, shipment: &str) -> Result<(), DestinationError> {
    let claim: Claim = serde_json::from_slice(bytes)
        .map_err(|source| DestinationError::Claim { path: work_path(CLAIM), source })?;
    if claim.what != WHAT || claim.format > FORMAT {
        return Err(DestinationError::NewerClaim { path: work_path(CLAIM), found: claim.format });
    }
    if claim.shipment != shipment {
        return Err(DestinationError::OtherShipment {
            path: dir.as_os_str().as_bytes().to_vec(),
            found: claim.shipment,
            wanted: shipment.into(),
        });
    }
    Ok(())
}
