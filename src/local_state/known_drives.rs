//! In which case each drive travelled last, for the next time it is offered.
//!
//! - Enters: what tells a drive apart, and its case.
//! - Leaves: the case, if the drive is known.
//! - Always holds: (1) the file is replaced whole; (2) nothing depends on it: one that is not there, or
//!   cannot be read, is the same as one that knows no drive.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::error::LocalStateError;
use super::folder::{state_folder, state_path};

const FILE: &str = "drives.json";
/// Drives that are remembered; those that were not seen for longest are forgotten first.
const MOST_DRIVES: usize = 4096;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct KnownDrive {
    case: String,
    /// when it was packed onto last
    used: String,
}

/// The drives that are known.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct KnownDrives {
    drives: BTreeMap<String, KnownDrive>,
}

impl KnownDrives {
    /// Those of this user.
    pub fn load() -> Self {
        state_path().map(|folder| Self::read(&folder)).unwrap_or_default()
    }

    /// The case of a drive that is known.
    pub fn case_of(&self, key: &str) -> Option<String> {
        self.drives.get(key).map(|drive| drive.case.clone())
    }

    /// Adds these, each with its case.
    pub fn remember(drives: Vec<(String, String)>, now: &str) -> Result<(), LocalStateError> {
        if drives.is_empty() {
            return Ok(());
        }
        let folder = state_folder()?;
        let mut known = Self::read(&folder);
        known.add(drives, now);
        known.write(&folder)
    }

    fn add(&mut self, drives: Vec<(String, String)>, now: &str) {
        for (key, case) in drives {
            self.drives.insert(key, KnownDrive { case, used: now.into() });
        }
        while self.drives.len() > MOST_DRIVES {
            let oldest = self.drives.iter().min_by(|one, other| one.1.used.cmp(&other.1.used));
            let Some(key) = oldest.map(|(key, _)| key.clone()) else { break };
            self.drives.remove(&key);
        }
    }

    fn read(folder: &Path) -> Self {
        let bytes = fs::read(folder.join(FILE)).unwrap_or_default();
        serde_json::from_slice(&bytes).unwrap_or_default()
    }

    fn write(&self, folder: &Path) -> Result<(), LocalStateError> {
        let path = folder.join(FILE);
        // Of each process its own.
        let part = folder.join(format!("{FILE}.{}.part", std::process::id()));
        let write = || {
            let bytes = serde_json::to_vec_pretty(self)?;
            let mut options = fs::OpenOptions::new();
            let mut file =
                options.write(true).create(true).truncate(true).mode(0o600).open(&part)?;
            file.write_all(&bytes)?;
            fs::rename(&part, &path)
        };
        write().map_err(|source| LocalStateError::io("write", &path, source))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_case_of_a_drive_is_remembered_and_the_oldest_is_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let mut known = KnownDrives::read(folder.path());
        let add = |known: &mut KnownDrives, key: &str, case: &str, now: &str| {
            known.add(vec![(key.into(), case.into())], now);
        };
        add(&mut known, "uuid:1", "north", "2026-01-01T00:00:00Z");
        add(&mut known, "uuid:1", "south", "2026-02-01T00:00:00Z");
        known.write(folder.path()).unwrap();
        let mut known = KnownDrives::read(folder.path());
        assert_eq!(known.case_of("uuid:1").as_deref(), Some("south"));
        assert_eq!(known.case_of("uuid:2"), None);
        let many = (0..MOST_DRIVES).map(|n| (format!("id:{n}"), "a".into())).collect();
        known.add(many, "2026-03-01T00:00:00Z");
        assert_eq!((known.drives.len(), known.case_of("uuid:1")), (MOST_DRIVES, None));
        // What cannot be read knows none.
        fs::write(folder.path().join(FILE), "{").unwrap();
        assert!(KnownDrives::read(folder.path()).drives.is_empty());
    }
}
