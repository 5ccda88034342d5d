//! What went wrong with the local state, by file.

use crate::format::FormatError;
use std::io;
use std::path::{Path, PathBuf};

/// What went wrong with the host's state.
#[derive(Debug, thiserror::Error)]
pub enum LocalStateError {
    /// The system refused.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// what was tried: `create`, `write`, `read`, …
        action: &'static str,
        /// the file or folder
        path: PathBuf,
        /// what the system said
        #[source]
        source: io::Error,
    },
    /// This machine's disk, or the user's share of it, is full.
    #[error("no room left on this machine's disk to {action} {}", path.display())]
    Full {
        /// what was tried
        action: &'static str,
        /// the file or folder
        path: PathBuf,
        /// what the system said
        #[source]
        source: io::Error,
    },
    /// A file is not complete, or not what was written.
    #[error("{} is damaged at byte {at}: {what}", path.display())]
    Damaged {
        path: PathBuf,
        at: u64,
        /// what does not hold
        what: &'static str,
    },
    /// A record of a file does not decode.
    #[error("{} is damaged at byte {at}", path.display())]
    Record {
        path: PathBuf,
        /// where the record begins
        at: u64,
        /// what is wrong with the record
        #[source]
        source: FormatError,
    },
    /// An entry is larger than a record may be.
    #[error("an entry of {bytes} bytes is too large for {}", path.display())]
    TooLarge {
        path: PathBuf,
        /// bytes of the entry
        bytes: usize,
    },
    /// Another process has it.
    #[error("another holdall is at work on the shipment whose state is in {}", path.display())]
    Busy { path: PathBuf },
    /// The environment does not say where state belongs.
    #[error("neither XDG_STATE_HOME nor HOME is set to an absolute path")]
    NoHome,
}

impl LocalStateError {
    /// The file that is damaged or gone, if it is that.
    pub fn damaged(&self) -> Option<&Path> {
        match self {
            Self::Damaged { path, .. } | Self::Record { path, .. } => Some(path),
            Self::Io { action: "open" | "read", path, source }
                if source.kind() == io::ErrorKind::NotFound =>
            {
                Some(path)
            }
            _ => None,
        }
    }

    pub(super) fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
        let path = path.to_path_buf();
        match source.kind() {
            StorageFull | QuotaExceeded | FileTooLarge => Self::Full { action, path, source },
            _ => Self::Io { action, path, source },
        }
    }
}
