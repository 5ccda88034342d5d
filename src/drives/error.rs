//! What a drive did not do, with the action, the file and the drive.

use std::io;
use std::path::{Path, PathBuf};

/// What a drive did not do.
#[derive(Debug, thiserror::Error)]
#[error("{action} {}{drive}", if path.is_empty() { String::new() } else { format!("{path} on ") })]
pub struct DriveError {
    /// the drive's name for people: its path as it was given
    pub drive: String,
    /// what was tried: `read`, `write`, `sync`, …
    pub action: &'static str,
    /// the file, relative to the drive; empty for the drive itself
    pub path: String,
    /// what the system said
    #[source]
    pub source: io::Error,
}

impl DriveError {
    pub(super) fn new(
        drive: &str,
        action: &'static str,
        path: &str,
        source: impl Into<io::Error>,
    ) -> Self {
        Self { drive: drive.into(), action, path: path.into(), source: source.into() }
    }

    /// No such file or folder.
    pub fn is_missing(&self) -> bool {
        self.source.kind() == io::ErrorKind::NotFound
    }

    /// It is mounted so that nothing can be written.
    pub fn is_read_only(&self) -> bool {
        self.source.kind() == io::ErrorKind::ReadOnlyFilesystem
    }

    /// No room left on the drive.
    pub fn is_full(&self) -> bool {
        matches!(
            self.source.kind(),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
        )
    }
}

/// A path that was named as a drive and cannot be read, or written to, as it must be.
#[derive(Debug, thiserror::Error)]
#[error("{} cannot be used as a drive", path.display())]
pub struct UnusableDrive {
    pub path: PathBuf,
    /// what the system said
    #[source]
    pub source: DriveError,
}

impl UnusableDrive {
    /// What makes one of an error at this path.
    pub fn at(path: &Path) -> impl Fn(DriveError) -> Self + Copy {
        move |source| Self { path: path.to_owned(), source }
    }
}
