//! The journal: small state files of the caller in the working folder; and a lock for each set.
//!
//! - Enters: a name and all the bytes.
//! - Leaves: the bytes of the last save that ended, or nothing.
//! - Always holds: no state has a name that the restore itself uses.

use std::fs::File;
use std::io;

use rustix::fs::{FlockOperation, OFlags, flock};

use super::at::{as_path, open_at};
use super::dir::Destination;
use super::error::DestinationError;
use super::layout::{CLAIM, PARTS, SHARED, work_path};
use super::work_files::{UNFINISHED, names, read_file, replace_file};

/// Held as long as this lives, and no longer than its process does.
pub struct SetLock(#[allow(dead_code, reason = "closing it unlocks")] File);

impl Destination {
    /// Locks the set of this number against other processes that restore into DIR; none if one has
    /// it.
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
        let _one_at_a_time = self.saving.lock();
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
