//! What the drives of a set should hold, where they disagree: texts for which different drives vouch
//! are a conflict, which only a root that the user has from elsewhere decides. A copy that its own
//! drive convicts is damage: see [`crate::sets::texts`].

use crate::format::list::Hash;
use crate::format::set::{MAX_SET_BYTES, SetText};
use crate::monitor::Monitor;
use crate::sets::book::Trust;
use crate::sets::texts::texts;
use crate::sets::vouched::{conflicts, vouched_files};
use crate::sets::{Book, FoundSet};
use std::collections::HashSet;

/// Why it is not known what a set should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OriginError {
    /// Sound copies of a file differ.
    #[error("{what} lies on the drives in copies that are sound and differ")]
    Conflict {
        /// the files
        what: String,
        /// the roots that the copies of set.txt have
        roots: Vec<Hash>,
    },
    /// No copy of set.txt has the root that is expected.
    #[error("no set.txt on the drives has the root that is expected")]
    NoSuchRoot,
}

/// What a set should be.
pub struct Origin {
    /// its set.txt; none if it was never closed
    pub text: Option<SetText>,
    /// BLAKE3s of the record files that the expected root vouches for
    files: Option<HashSet<Hash>>,
}

impl Origin {
    /// Of a set; with `expect`, the BLAKE3 of its set.txt.
    pub fn find(set: &FoundSet, expect: Option<Hash>) -> Result<Self, OriginError> {
        if let Some(root) = expect {
            let text = text_of_root(set, root).ok_or(OriginError::NoSuchRoot)?;
            let files = Some(vouched_files(set, &text));
            return Ok(Self { text: Some(text), files });
        }
        let texts = texts(set);
        let mut what = if texts.len() > 1 { vec!["set.txt".into()] } else { Vec::new() };
        what.extend(conflicts(set).into_iter().map(|name| format!("records/{name}")));
        if !what.is_empty() {
            let roots = texts.into_keys().collect();
            return Err(OriginError::Conflict { what: what.join(", "), roots });
        }
        Ok(Self { text: texts.into_values().next().map(|(_, text)| text), files: None })
    }

    /// The set's records.
    pub fn book(&self, set: &FoundSet, monitor: &dyn Monitor) -> Book {
        let trust = Trust { authentic: None, files: self.files.as_ref() };
        Book::open_trusted(set, &trust, monitor)
    }
}

/// The copy of set.txt that has this root, on whatever drive.
fn text_of_root(set: &FoundSet, root: Hash) -> Option<SetText> {
    let copies = set.small_copies("set.txt", MAX_SET_BYTES).into_iter();
    let copies = copies.filter_map(|(_, _, bytes)| bytes.ok());
    let mut ours = copies.filter(|bytes| blake3::hash(bytes).as_bytes() == &root);
    let text = ours.find_map(|bytes| SetText::decode(&bytes).ok())?;
    ((text.shipment, text.set) == (set.shipment, set.set)).then_some(text)
}
