//! Why there is no scan.

use std::error::Error;
use std::io;
use std::path::PathBuf;

/// Why there is no scan.
#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    /// There is nothing at SOURCE.
    #[error("{} does not exist", path.display())]
    Missing {
        /// SOURCE
        path: PathBuf,
    },
    /// SOURCE is there, but is nothing that can be packed.
    #[error("{} is {found}, neither a folder nor a file", path.display())]
    Unsuitable {
        /// SOURCE
        path: PathBuf,
        found: &'static str,
    },
    /// SOURCE cannot be opened.
    #[error("cannot open {}", path.display())]
    Unreadable {
        /// SOURCE
        path: PathBuf,
        /// what the system said
        #[source]
        source: io::Error,
    },
    /// SOURCE is no longer there.
    #[error("{} can no longer be read", path.display())]
    Gone {
        /// SOURCE
        path: PathBuf,
        /// what the system said
        #[source]
        source: io::Error,
    },
    /// The receiver of the entries failed.
    #[error("the entries found could not be kept")]
    Sink {
        /// what the receiver said
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
}

impl ScanError {
    /// For a sink that fails.
    pub fn sink(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Sink { source: source.into() }
    }
}
