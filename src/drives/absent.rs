//! The drive of a slot whose drive is not here: everything fails, and it takes no part.

use super::drive::{Drive, DriveFile, ReadMode, Room, WriteMode};
use super::error::DriveError;
use super::proof::Level;
use std::io;

/// A drive that is not here.
pub struct AbsentDrive(String);

impl AbsentDrive {
    /// By the name that messages give it.
    pub fn new(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    fn no<T>(&self, action: &'static str, path: &str) -> Result<T, DriveError> {
        let source = io::Error::new(io::ErrorKind::NotFound, "the drive is not here");
        Err(DriveError::new(&self.0, action, path, source))
    }
}

impl Drive for AbsentDrive {
    fn name(&self) -> &str {
        &self.0
    }

    fn room(&self) -> Result<Room, DriveError> {
        self.no("measure", "")
    }

    fn make_folder(&self, path: &str) -> Result<(), DriveError> {
        self.no("make folder", path)
    }

    fn list(&self, path: &str) -> Result<Vec<String>, DriveError> {
        self.no("list", path)
    }

    fn write(&self, path: &str, _bytes: &[u8], mode: WriteMode) -> Result<(), DriveError> {
        self.no(mode.action(), path)
    }

    fn sync(&self) -> Result<(), DriveError> {
        self.no("sync", "")
    }

    fn rewrite(&self, path: &str, _pieces: &[(u64, &[u8])]) -> Result<(), DriveError> {
        self.no("rewrite", path)
    }

    fn remove_folder(&self, path: &str) -> Result<(), DriveError> {
        self.no("remove folder", path)
    }

    fn remove(&self, path: &str) -> Result<(), DriveError> {
        self.no("remove", path)
    }

    fn open(&self, path: &str, _mode: ReadMode) -> Result<Box<dyn DriveFile>, DriveError> {
        self.no("open", path)
    }

    fn level(&self) -> Level {
        Level::None
    }
}
