//! The packing host's own state, on its disk.
//!
//! - Enters: what a shipment in progress must remember between sets and after a crash.
//! - Leaves: the same, read again.
//! - Always holds: (1) no secret lies here but names; files have mode 0600, the folder 0700;
//!   (2) a file under its final name is complete; (3) what is read is checked: a file cut short or
//!   damaged is an error, never a shorter list.

use std::ffi::OsString;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use crate::format::FormatError;

pub mod snapshot;
pub mod state;

pub use snapshot::{ScanSnapshot, SnapshotWriter};

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

    fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
        let path = path.to_path_buf();
        match source.kind() {
            StorageFull | QuotaExceeded | FileTooLarge => Self::Full { action, path, source },
            _ => Self::Io { action, path, source },
        }
    }
}

/// The folder of this user's state: `$XDG_STATE_HOME/holdall`, or `$HOME/.local/state/holdall`.
/// It need not be there.
pub fn state_path() -> Result<PathBuf, LocalStateError> {
    state_path_in(std::env::var_os("XDG_STATE_HOME"), std::env::var_os("HOME"))
}

/// The same; it is made if it is not there.
pub fn state_folder() -> Result<PathBuf, LocalStateError> {
    make(state_path()?)
}

fn state_path_in(
    state_home: Option<OsString>,
    home: Option<OsString>,
) -> Result<PathBuf, LocalStateError> {
    let absolute = |text: Option<OsString>| text.map(PathBuf::from).filter(|p| p.is_absolute());
    let folder = absolute(state_home).or_else(|| Some(absolute(home)?.join(".local/state")));
    Ok(folder.ok_or(LocalStateError::NoHome)?.join("holdall"))
}

fn make(folder: PathBuf) -> Result<PathBuf, LocalStateError> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&folder)
        .map_err(|source| LocalStateError::io("create", &folder, source))?;
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn state_folder_in(
        state_home: Option<OsString>,
        home: Option<OsString>,
    ) -> Result<PathBuf, LocalStateError> {
        make(state_path_in(state_home, home)?)
    }

    #[test]
    fn state_folder_follows_the_environment() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| Some(dir.path().join(name).into_os_string());
        let folder = state_folder_in(path("state"), path("home")).unwrap();
        assert_eq!(folder, dir.path().join("state/holdall"));
        assert_eq!(folder.metadata().unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(state_folder_in(path("state"), None).unwrap(), folder, "made once, found again");
        for unset in [None, Some("".into()), Some("relative".into())] {
            let folder = state_folder_in(unset.clone(), path("home")).unwrap();
            assert_eq!(folder, dir.path().join("home/.local/state/holdall"));
            assert!(matches!(state_folder_in(None, unset), Err(LocalStateError::NoHome)));
        }
    }

    #[test]
    fn a_folder_in_the_way_is_named() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("holdall"), "").unwrap();
        let error = state_folder_in(Some(dir.path().into()), None).unwrap_err();
        assert!(error.to_string().starts_with("cannot create /"), "{error}");
        assert!(error.to_string().ends_with("/holdall"), "{error}");
    }
}
