//! Why a restore stops.

use crate::destination::DestinationError;

/// Why a restore stopped.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The destination cannot be written.
    #[error("write to the destination")]
    Destination(#[from] DestinationError),
    /// zstd has no memory.
    #[error("the system gives no memory")]
    System(#[from] std::io::Error),
}
