//! A look at a restore in progress: its claim and its state files.
//!
//! - Enters: DIR.
//! - Leaves: what a restore there has saved.
//! - Always holds: nothing is made or written, and no symlink in DIR is followed.

use std::path::Path;

use cap_std::fs::Dir;

use super::claim::{Claimed, find_work, open_there};
use super::error::DestinationError;
use super::layout::work_path;
use super::work_files::{names, read_file};

/// The working folder of a restore in progress.
pub struct Peek {
    work: Dir,
    claimed: Claimed,
}

impl Peek {
    /// Opens what lies in `dir`; none if no restore is in progress there.
    pub fn open(dir: &Path) -> Result<Option<Self>, DestinationError> {
        let found = find_work(&open_there(dir)?)?;
        Ok(found.map(|(work, claimed)| Self { work, claimed }))
    }

    /// The shipment that is restored.
    pub fn shipment(&self) -> &str {
        &self.claimed.shipment
    }

    /// The options that say what of it; none: everything.
    pub fn selection(&self) -> Option<&str> {
        self.claimed.selection.as_deref()
    }

    /// Names and bytes of the states that begin so, sorted.
    pub fn states(&self, beginning: &str) -> Result<Vec<(String, Vec<u8>)>, DestinationError> {
        let mut states = Vec::new();
        for name in names(&self.work, beginning)? {
            let bytes = read_file(&self.work, &name)
                .map_err(DestinationError::io("load", &work_path(&name)))?;
            // One that a restore has just removed is none.
            states.extend(bytes.map(|bytes| (name, bytes)));
        }
        Ok(states)
    }
}
