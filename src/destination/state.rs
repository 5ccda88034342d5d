//! The journal: small files in the working folder, replaced whole.
//!
//! - Enters: a name and all the bytes.
//! - Leaves: the bytes of the last save that ended, or nothing.
//! - Always holds: a crash leaves the old bytes or the new ones, never a mixture.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::sync::PoisonError;

use cap_std::fs::Dir;
use rustix::fs::{FlockOperation, OFlags, flock};

use super::folders::{as_path, open_at};
use super::{CLAIM, Destination, DestinationError, PARTS, SHARED, work_path};

/// What a file is called until it is whole.
pub(super) const UNFINISHED: &str = ".new";

/// Writes `name` in `folder` under another name, syncs, renames, syncs the folder.
pub(super) fn replace_file(folder: &Dir, name: &str, bytes: &[u8]) -> io::Result<()> {
    // Another process may be saving the same.
    let unfinished = format!("{name}.{:016x}{UNFINISHED}", getrandom::u64()?);
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC;
    let mut file = open_at(folder, unfinished.as_bytes(), flags, 0o600)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    folder.rename(&unfinished, folder, name)?;
    Ok(rustix::fs::fsync(folder)?)
}

/// The bytes of `name` in `folder`; none if it is missing.
pub(super) fn read_file(folder: &Dir, name: &str) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    match open_at(folder, name.as_bytes(), OFlags::RDONLY, 0) {
        Ok(mut file) => file.read_to_end(&mut bytes)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    Ok(Some(bytes))
}

/// Whether `name` is what a save of `file` leaves when it is cut short.
pub(super) fn is_unfinished(name: &[u8], file: &str) -> bool {
    let beginning = name.strip_suffix(UNFINISHED.as_bytes());
    beginning.is_some_and(|beginning| beginning.starts_with(file.as_bytes()))
}

/// The names of the states in a working folder that begin so, sorted.
pub(super) fn names(work: &Dir, beginning: &str) -> Result<Vec<String>, DestinationError> {
    let list = || -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in work.entries()? {
            let name = entry?.file_name().into_string();
            names.extend(
                name.ok().filter(|name| name.starts_with(beginning) && !name.ends_with(UNFINISHED)),
            );
        }
        names.sort_unstable();
        Ok(names)
    };
    list().map_err(DestinationError::io("list", super::WORK.as_bytes()))
}

/// Held as long as this lives, and no longer than its process does.
pub struct SetLock(#[allow(dead_code, reason = "closing it unlocks")] File);

impl Destination {
    /// Locks the set of this number against other processes that restore into DIR; none if one has it.
    pub fn lock_set(&self, number: u32) -> Result<Option<SetLock>, DestinationError> {
        let name = format!("lock-{number}");
        let failed = |error| DestinationError::io("lock", &work_path(&name))(error);
        let flags = OFlags::RDWR | OFlags::CREATE;
        let file = open_at(&self.work, name.as_bytes(), flags, 0o600).map_err(failed)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
            // A file system without locks has to do without.
            _ => Ok(Some(SetLock(file))),
        }
    }

    /// Saves a small state file in `DIR/.holdall`, on disk when this returns. `name` is one name.
    pub fn save_state(&self, name: &str, bytes: &[u8]) -> Result<(), DestinationError> {
        state_name(name)?;
        // Two saves of one name must not share the unfinished file.
        let _one_at_a_time = self.saving.lock().unwrap_or_else(PoisonError::into_inner);
        replace_file(&self.work, name, bytes)
            .map_err(DestinationError::io("save", &work_path(name)))
    }

    /// What was saved last under `name`; none if nothing was.
    pub fn load_state(&self, name: &str) -> Result<Option<Vec<u8>>, DestinationError> {
        state_name(name)?;
        read_file(&self.work, name).map_err(DestinationError::io("load", &work_path(name)))
    }

    /// The names of the states that begin so, sorted.
    pub fn state_names(&self, beginning: &str) -> Result<Vec<String>, DestinationError> {
        names(&self.work, beginning)
    }

    /// Removes a state file; one that is not there is fine.
    pub fn remove_state(&self, name: &str) -> Result<(), DestinationError> {
        state_name(name)?;
        match self.work.remove_file(as_path(name.as_bytes())) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(DestinationError::io("remove", &work_path(name))(error))
            }
            _ => Ok(()),
        }
    }

    /// Gives a state file another name, which takes no room; says whether there was one.
    pub fn rename_state(&self, from: &str, to: &str) -> Result<bool, DestinationError> {
        [from, to].into_iter().try_for_each(state_name)?;
        match self.work.rename(from, &self.work, to) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(DestinationError::io("rename", &work_path(from))(error)),
            Ok(()) => Ok(true),
        }
    }
}

/// A state file's name is one name, and none of those in use.
fn state_name(name: &str) -> Result<(), DestinationError> {
    let bad = name.is_empty()
        || name.contains(['/', '\0'])
        || [".", "..", CLAIM, PARTS, SHARED].contains(&name)
        || name.ends_with(UNFINISHED);
    if bad { Err(DestinationError::Reserved { path: work_path(name) }) } else { Ok(()) }
}
