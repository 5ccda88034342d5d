//! Whoever packs, closes, repairs or erases a set holds a lock on its folder on each of its drives.
//!
//! - Enters: drives, and a set's folder.
//! - Leaves: the locks, or which drive is in use by whom.
//! - Always holds: a drive that cannot be locked for another reason than that somebody else has it
//!   counts as locked: what is wrong with it shows when it is used.

use super::found::FoundSet;
use crate::drives::lock::FolderLock;
use crate::drives::{Drive, DriveError};
use std::io::ErrorKind;

/// Somebody else is at work on a set.
#[derive(Debug, thiserror::Error)]
#[error("{drive}: {folder} is in use by {holder}")]
pub struct InUse {
    pub drive: String,
    /// the set's folder
    pub folder: String,
    pub holder: String,
}

/// Locks on the folders of sets; they are held until this goes.
#[derive(Default)]
pub struct SetLocks {
    held: Vec<(String, String, FolderLock)>,
}

impl SetLocks {
    /// Locks a set's folder on a drive, if it is there; what is held already stays so.
    pub fn take(&mut self, drive: &dyn Drive, folder: &str) -> Result<(), InUse> {
        if self.held.iter().any(|(name, held, _)| name == drive.name() && held == folder) {
            return Ok(());
        }
        match drive.lock(folder) {
            Ok(lock) => self.held.push((drive.name().into(), folder.into(), lock)),
            Err(DriveError { source, .. }) if source.kind() == ErrorKind::ResourceBusy => {
                let (drive, folder) = (drive.name().into(), folder.into());
                return Err(InUse { drive, folder, holder: source.to_string() });
            }
            Err(_) => {}
        }
        Ok(())
    }
}

impl FoundSet {
    /// The program that is at work on it now, if one is and it can be told.
    pub fn in_use_by(&self) -> Option<String> {
        self.all_drives().find_map(|d| d.drive.user_of(&self.folder))
    }

    /// Locks the set on all its drives that are here.
    pub fn lock(&self) -> Result<SetLocks, InUse> {
        let mut locks = SetLocks::default();
        self.all_drives().try_for_each(|d| locks.take(d.drive.as_ref(), &self.folder))?;
        Ok(locks)
    }
}
