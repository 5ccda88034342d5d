//! A drive that takes shards as fast as they come and keeps only the small files.

use crate::drives::{Drive, DriveError, DriveFile, Level, MemoryDrive, ReadMode, Room, WriteMode};
use std::hint::black_box;

/// Takes writes and keeps nothing but the small files.
pub struct NullDrive(MemoryDrive);

impl NullDrive {
    /// With room for anything.
    pub fn new(name: impl Into<String>) -> Self {
        Self(MemoryDrive::new(name, 1 << 50))
    }
}

impl Drive for NullDrive {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn room(&self) -> Result<Room, DriveError> {
        self.0.room()
    }

    fn make_folder(&self, path: &str) -> Result<(), DriveError> {
        self.0.make_folder(path)
    }

    fn list(&self, path: &str) -> Result<Vec<String>, DriveError> {
        self.0.list(path)
    }

    fn write(&self, path: &str, bytes: &[u8], mode: WriteMode) -> Result<(), DriveError> {
        if mode == WriteMode::New {
            black_box(bytes);
            return Ok(());
        }
        self.0.write(path, bytes, mode)
    }

    fn sync(&self) -> Result<(), DriveError> {
        Ok(())
    }

    fn rewrite(&self, path: &str, pieces: &[(u64, &[u8])]) -> Result<(), DriveError> {
        self.0.rewrite(path, pieces)
    }

    fn remove(&self, path: &str) -> Result<(), DriveError> {
        self.0.remove(path)
    }

    fn remove_folder(&self, path: &str) -> Result<(), DriveError> {
        self.0.remove_folder(path)
    }

    fn open(&self, path: &str, mode: ReadMode) -> Result<Box<dyn DriveFile>, DriveError> {
        self.0.open(path, mode)
    }

    fn level(&self) -> Level {
        self.0.level()
    }
}
