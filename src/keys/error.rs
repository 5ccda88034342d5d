//! Why a key could not be used, and where it stands. None of it quotes a key or a line of a key file.

use super::kind::KeyKind;
use crate::format::FormatError;
use crate::format::ids::RunId;
use std::path::{Path, PathBuf};

/// Why a key could not be wrapped, unwrapped or read. None of it quotes a key file.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The text is not a key of the kind that is needed.
    #[error("{place}: {kind}")]
    WrongKind { place: KeyPlace, kind: KeyKind },
    /// Their stanzas do not fit a key file.
    #[error("{count} recipients are too many: a key file has room for {most}")]
    TooMany { count: usize, most: usize },
    /// There is no recipient at all.
    #[error("no recipient")]
    NoRecipient,
    /// A file of identities or recipients could not be read.
    #[error("{action} {path}")]
    File {
        /// read or write
        action: &'static str,
        /// the file, as it is shown
        path: String,
        /// what the system said
        #[source]
        source: std::io::Error,
    },
    /// The file holds no key.
    #[error("{path} holds no key")]
    Empty {
        /// the file, as it is shown
        path: String,
    },
    /// age could not wrap.
    #[error("wrap the run key")]
    Wrap(#[source] std::io::Error),
    /// The key file is not for any of the identities given.
    #[error("the key of run {run} is not wrapped to any identity given")]
    NotForUs { run: RunId },
    /// The key file is damaged.
    #[error("the key file of run {run} is damaged")]
    Damaged { run: RunId },
    /// What was wrapped is not a run key of this run.
    #[error("the key file of run {run} does not hold its key")]
    Format {
        run: RunId,
        /// what is wrong with it
        #[source]
        source: FormatError,
    },
    /// The key is not the one that the records commit to.
    #[error("the key of run {run} is not the one its records were made with")]
    Commitment { run: RunId },
}

/// Where a key was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyPlace {
    /// it was typed: its number among those of its option
    Typed {
        option: &'static str,
        /// from 1 on
        number: usize,
    },
    /// a line of a file
    Line {
        path: PathBuf,
        /// from 1 on
        number: usize,
    },
    File(PathBuf),
}

impl std::fmt::Display for KeyPlace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Typed { option, number: 1 } => write!(f, "{option}"),
            Self::Typed { option, number } => write!(f, "{option} number {number}"),
            Self::Line { path, number } => write!(f, "{}, line {number}", shown(path)),
            Self::File(path) => f.write_str(&shown(path)),
        }
    }
}

/// A key file for people.
pub(super) fn shown(path: &Path) -> String {
    if is_standard_input(path) { "standard input".into() } else { path.display().to_string() }
}

pub(super) fn is_standard_input(path: &Path) -> bool {
    path.as_os_str() == "-"
}
