//! What can go wrong with one entry of the restored tree, or with DIR itself.

use std::io;

use rustix::io::Errno;

use super::mapping::is_changed;
use crate::format::FormatError;
use crate::format::list::shown_path;
use crate::format::shown::error_chain;

/// What is done with a part file before anything is written to it: it fails for all or for none.
pub(super) const MAKE_PART: &str = "make";
pub(super) const OPEN_PART: &str = "open";
pub(super) const LINK: &str = "link";
pub(super) const MAKE_SYMLINK: &str = "make symlink";
pub(super) const MAKE_SPECIAL: &str = "make special file";

/// How the reason begins if the destination takes everything of an entry but its name.
pub const BAD_NAME: &str = "the destination cannot hold this name";
/// What is done with names.
const NAMING: [&str; 4] = [RENAME, MAKE_FOLDER, OPEN_FOLDER, LOOK_AT];
pub(super) const RENAME: &str = "rename to";
pub(super) const MAKE_FOLDER: &str = "make folder";
const OPEN_FOLDER: &str = "open folder";
const LOOK_AT: &str = "look at";

/// Why something was not done in the destination. Paths are relative to DIR, as entries name
/// them, except where DIR itself is meant.
#[derive(Debug, thiserror::Error)]
pub enum DestinationError {
    /// The system refused.
    #[error("{action} {}", shown_path(.path))]
    Io {
        /// what was tried: `make folder`, `write`, …
        action: &'static str,
        path: Vec<u8>,
        #[source]
        source: io::Error,
    },
    /// DIR, or what an entry's path needs to be a folder, is something else.
    #[error("{} is not a folder", shown_path(.path))]
    NotAFolder {
        /// the file or symlink in its place
        path: Vec<u8>,
    },
    /// Something has the entry's final name already.
    #[error("{} is already there", shown_path(.path))]
    Exists { path: Vec<u8> },
    /// The name belongs to the restore itself.
    #[error("{} is a name that the restore itself uses", shown_path(.path))]
    Reserved { path: Vec<u8> },
    /// The path is absolute, has `..` in it, or the like.
    #[error("{} is not a path inside the destination", shown_path(.path))]
    Path {
        path: Vec<u8>,
        #[source]
        source: FormatError,
    },
    /// The entry is not of the kind that was asked for, or lacks what its kind needs.
    #[error("{} cannot be restored as the kind of entry it says it is", shown_path(.path))]
    WrongKind { path: Vec<u8> },
    /// The file that a hard link is one more name of is not there (yet).
    #[error("{} links to {}, which is not there", shown_path(.path), shown_path(.target))]
    NoTarget {
        path: Vec<u8>,
        /// the first name
        target: Vec<u8>,
    },
    /// DIR holds something, and it is not a restore that was begun.
    #[error("{} is not empty: it holds {}", shown_path(.path), shown_path(.found))]
    NotEmpty {
        path: Vec<u8>,
        /// the first name in it that is neither ours nor a fresh drive's litter
        found: Vec<u8>,
    },
    /// DIR holds a restore of another shipment.
    #[error("{} holds a restore of shipment {found}, not of {wanted}", shown_path(.path))]
    OtherShipment {
        path: Vec<u8>,
        /// the shipment that was begun there
        found: String,
        wanted: String,
    },
    /// DIR holds the unfinished restore of something else of the same shipment, or in another way.
    #[error(
        "{} holds an unfinished restore {}",
        shown_path(.path),
        .found.as_ref().map_or_else(
            || "of everything, as it was packed".into(),
            |options| format!("that was begun with {options}"),
        ),
    )]
    OtherSelection {
        path: Vec<u8>,
        /// the options that say what of the shipment, and how; none: everything as it was packed
        found: Option<String>,
    },
    /// The file that says which restore was begun cannot be understood.
    #[error("{} does not say which restore was begun here", shown_path(.path))]
    Claim {
        path: Vec<u8>,
        #[source]
        source: serde_json::Error,
    },
    /// The restore in DIR was begun by a newer holdall.
    #[error("{} is of format {found}; this program knows format 1", shown_path(.path))]
    NewerClaim { path: Vec<u8>, found: u32 },
}

impl DestinationError {
    /// For `map_err`: `action` on `path` failed.
    pub(super) fn io<E: Into<io::Error>>(
        action: &'static str,
        path: &[u8],
    ) -> impl FnOnce(E) -> Self {
        move |source| Self::Io { action, path: path.to_vec(), source: source.into() }
    }

    /// No room left in the destination: no other file will fare better.
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Io { source, .. }
            if matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded))
    }

    /// The destination fails as a whole: it is full, gone, read-only or broken, or this process has
    /// no handles left. No other entry will fare better; all else is the matter of one entry.
    pub fn ends_all(&self) -> bool {
        const BROKEN: [Errno; 15] = [
            Errno::IO,
            Errno::ROFS,
            Errno::NODEV,
            Errno::NXIO,
            Errno::NOTCONN,
            Errno::STALE,
            Errno::REMOTEIO,
            Errno::TIMEDOUT,
            Errno::HOSTDOWN,
            Errno::HOSTUNREACH,
            Errno::CONNABORTED,
            Errno::SHUTDOWN,
            Errno::MFILE,
            Errno::NFILE,
            Errno::NOMEM,
        ];
        let Self::Io { action, source, .. } = self else { return false };
        let is = |errno: &Errno| source.raw_os_error() == Some(errno.raw_os_error());
        // FUSE drivers say EIO of kinds that they do not know.
        let is_of_kind = is(&Errno::IO) && [MAKE_SYMLINK, MAKE_SPECIAL].contains(action);
        self.is_full()
            || BROKEN.iter().any(is) && !is_of_kind
            || [MAKE_PART, OPEN_PART].contains(action)
    }

    /// Is it the link alone that cannot be made, whatever the reason?
    pub(super) fn is_refused_link(&self) -> bool {
        matches!(self, Self::Io { action, .. } if *action == LINK) && !self.ends_all()
    }

    /// Is it the name that cannot be? Then another could.
    fn is_of_name(&self) -> bool {
        // exFAT by FUSE finds nothing under a name that cannot be.
        const OF_NAMES: [Errno; 3] = [Errno::ILSEQ, Errno::INVAL, Errno::NOENT];
        let Self::Io { action, path, source } = self else {
            return matches!(self, Self::Exists { .. } | Self::Reserved { .. });
        };
        let is = |errno: &Errno| source.raw_os_error() == Some(errno.raw_os_error());
        let is_mapped = |path: &[u8]| path.split(|byte| *byte == b'/').any(is_changed);
        NAMING.contains(action)
            && (is(&Errno::NAMETOOLONG) || OF_NAMES.iter().any(is) && is_mapped(path))
    }

    /// Why an entry, which is named beside it, could not be made.
    pub fn reason(&self) -> String {
        match self {
            _ if self.is_of_name() => format!("{BAD_NAME}: {}", error_chain(self)),
            Self::Io { action, source, .. } => {
                format!("the destination refuses it: {action}: {source}")
            }
            Self::Path { .. } => "it is not a path inside the destination".into(),
            other => format!("the destination refuses it: {other}"),
        }
    }

    /// This user may not do that (make a device, for one).
    #[cfg(test)]
    pub fn is_forbidden(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::PermissionDenied)
    }
}
