//! Why a restore did not come to its end.

use crate::destination::DestinationError;
use crate::opening::open::OpenError;
use crate::restorer::RestoreError;
use crate::restorer::stage::StageError;
use std::path::PathBuf;

/// Why a restore could not be begun, or stopped.
#[derive(Debug, thiserror::Error)]
pub enum RestoreJobError {
    /// No set, or no key.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// No set has anything that was selected.
    #[error("nothing in this dataset is selected by {selection}")]
    NothingSelected {
        /// the options
        selection: String,
    },
    /// The folder for shards cannot be used.
    #[error("keep shards in {}", path.display())]
    Stage {
        path: PathBuf,
        #[source]
        source: StageError,
    },
    /// The destination cannot be used.
    #[error("restore to {}", path.display())]
    Destination {
        path: PathBuf,
        #[source]
        source: DestinationError,
    },
    /// The destination lies among a drive's own files.
    #[error("{} lies in {}, where a drive keeps its sets", path.display(), folder.display())]
    InDrive { path: PathBuf, folder: PathBuf },
    /// What was begun there is another set, or what is here is.
    #[error(
        "{} was begun with another set {set}, of root {before}; the one attached has root {now}",
        path.display()
    )]
    OtherSet {
        path: PathBuf,
        set: u32,
        /// in hexadecimal, or that it is not known
        before: String,
        now: String,
    },
    /// It stopped on the way.
    #[error("restoring to {} stopped", path.display())]
    Restore {
        path: PathBuf,
        #[source]
        source: RestoreError,
    },
}

impl RestoreJobError {
    /// Is it that the destination is full?
    pub fn is_full(&self) -> bool {
        match self {
            Self::Destination { source, .. }
            | Self::Restore { source: RestoreError::Destination(source), .. } => source.is_full(),
            _ => false,
        }
    }
}
