//! What became of an entry that is not at the destination as it should be.

use crate::monitor::ProblemKind;
use serde::{Deserialize, Serialize};

/// What became of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Fate {
    /// it changed while it was packed
    Changed,
    /// it could not be read when the dataset was packed
    Unreadable,
    /// the packer could not look at it, or not list all of it
    NotTaken,
    /// the packer left out attributes of it
    NoAttributes,
    /// drives that are not here have it
    Waits,
    /// the destination refused it
    Refused,
    /// the destination knows no such kind of entry
    Unsupported,
    /// no drive has it
    Lost,
}

impl Fate {
    pub fn kind(self) -> ProblemKind {
        match self {
            Self::Changed => ProblemKind::SourceChanged,
            Self::Unreadable | Self::NotTaken => ProblemKind::SourceUnreadable,
            Self::NoAttributes => ProblemKind::Metadata,
            Self::Waits => ProblemKind::Waiting,
            Self::Refused | Self::Unsupported => ProblemKind::Refused,
            Self::Lost => ProblemKind::Lost,
        }
    }
}

/// An entry and its fate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntryFate {
    /// what became of it
    pub fate: Fate,
    /// its path as people see it, which can be undone
    pub path: String,
    /// more about it
    pub detail: String,
    /// another set may name it too
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub shared: bool,
}

impl EntryFate {
    pub fn new(fate: Fate, path: String, detail: impl Into<String>) -> Self {
        Self { fate, path, detail: detail.into(), shared: false }
    }
}
