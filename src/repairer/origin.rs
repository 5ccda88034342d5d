//! What the drives of a set should hold, where they disagree: texts for which different drives
//! vouch, and records that are missing or contradict each other, are a conflict, which only a root
//! that the user has from elsewhere decides. A copy that its own drive convicts is damage: see
//! [`crate::shipment::texts`].

use crate::format::list::Hash;
use crate::format::set::SetText;
use crate::monitor::Monitor;
use crate::shipment::copies::contested_records;
use crate::shipment::found::Settled;
use crate::shipment::texts::{sides, texts};
use crate::shipment::{FoundSet, RecordIndex};
use serde::{Serialize, Serializer};
use std::sync::Arc;

/// Why it is not known what a set should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OriginError {
    /// Sound copies of a file differ.
    #[error("what is sound on the drives contradicts itself: {}", files.join(", "))]
    Conflict {
        files: Vec<String>,
        /// which drives vouch for which root; empty if the set was not closed
        sides: String,
    },
    /// Records are missing.
    #[error("records are missing, or contradict each other, on all drives that are here")]
    Gaps {
        /// which drives vouch for which root; empty if the set was not closed
        sides: String,
    },
    /// No copy of set.txt has the root that is expected.
    #[error("no set.txt on the drives has the root that is expected")]
    NoSuchRoot,
}

impl OriginError {
    /// The files that contradict each other.
    pub fn files(&self) -> &[String] {
        if let Self::Conflict { files, .. } = self { files } else { &[] }
    }
}

impl Serialize for OriginError {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(match self {
            Self::Conflict { .. } => "contradiction",
            Self::Gaps { .. } => "gaps",
            Self::NoSuchRoot => "no-such-root",
        })
    }
}

/// What a set should be.
pub struct Origin {
    /// its set.txt; none if it was never closed
    pub text: Option<SetText>,
    pub record_index: RecordIndex,
}

impl Origin {
    /// Of a set, which is settled by it; with `expect`, the BLAKE3 of its set.txt.
    pub fn find(
        set: &mut FoundSet,
        expect: Option<Hash>,
        monitor: &dyn Monitor,
    ) -> Result<Self, OriginError> {
        let mut texts = texts(set);
        let sides = sides(&texts);
        if let Some(root) = expect {
            texts.retain(|found, _| *found == root);
        }
        let conflict = |files| OriginError::Conflict { files, sides: sides.clone() };
        if texts.len() > 1 {
            return Err(conflict(vec!["set.txt".into()]));
        }
        let version = texts.into_values().next();
        let vouching = version.as_ref().map(|v| v.drives.clone()).unwrap_or_default();
        let text = version.map(|version| version.text);
        if expect.is_some() && text.is_none() {
            return Err(OriginError::NoSuchRoot);
        }
        set.settled = text.clone().map_or(Settled::Nothing, |text| Settled::Text(Arc::new(text)));
        let record_index = RecordIndex::open(set, None, monitor);
        if expect.is_some() {
            return Ok(Self { text, record_index });
        }
        let mut files = record_index.contradictions.clone();
        files.extend(text.iter().flat_map(|text| contested_records(set, text, &vouching)));
        if !files.is_empty() {
            return Err(conflict(files));
        }
        if record_index.gaps {
            return Err(OriginError::Gaps { sides });
        }
        Ok(Self { text, record_index })
    }

    /// Of a set that was not closed, by records that were checked with its key.
    pub fn of(record_index: RecordIndex) -> Result<Self, OriginError> {
        let sides = String::new();
        if !record_index.contradictions.is_empty() {
            let files = record_index.contradictions.clone();
            Err(OriginError::Conflict { files, sides })
        } else if record_index.gaps {
            Err(OriginError::Gaps { sides })
        } else {
            Ok(Self { text: None, record_index })
        }
    }
}
