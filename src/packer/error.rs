//! Why packing stopped.

use crate::dataset::SourceError;
use crate::drives::DriveError;
use crate::local_state::LocalStateError;
use std::io;
use std::sync::Arc;

/// Why packing stopped.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// The scan snapshot cannot be read.
    #[error("read the list of entries")]
    LocalState(#[from] LocalStateError),
    /// Not one file of the source fails, but the source.
    #[error("the source can no longer be read")]
    SourceGone(#[from] SourceError),
    /// Every drive has failed.
    #[error("no drive is left that can be written to")]
    NoDriveLeft(#[source] Option<Arc<DriveError>>),
    /// More drives failed than the rule allows for.
    #[error("drives that failed: {failed}, more than the rule {rule} allows for")]
    TooManyFailed {
        /// drives that failed
        failed: usize,
        rule: String,
    },
    /// The drives are full. Filling ends with it, and the set is closed.
    #[error("the drives are full")]
    Full,
    /// The drives cannot hold even the next piece of work.
    #[error("the drives have no room for any of the dataset")]
    NoRoom,
    /// It is to end before its time. What is packed by then stays.
    #[error("stopped as asked")]
    Asked,
    /// Sealing ended early; its own error says why.
    #[error("sealing has stopped")]
    Stopped,
    /// The operating system gives no random bytes, or zstd fails.
    #[error("the system gives no random bytes or no memory")]
    System(#[from] io::Error),
}
