//! How to restore, and where to.

use super::error::RestoreJobError;
use crate::destination::{DestinationError, Owners};
use crate::format::list::Hash;
use crate::keys::recipients::Identities;
use crate::memory::Memory;
use crate::patterns::Selection;
use std::path::PathBuf;

#[allow(clippy::struct_excessive_bools, reason = "each is a matter of its own")]
pub struct RestoreJob {
    pub identities: Identities,
    pub to: PathBuf,
    /// what is not here never comes
    pub give_up: bool,
    /// leave incomplete files as NAME.incomplete
    pub salvage: bool,
    /// where shards are kept for rebuilding with few ports
    pub stage: Option<PathBuf>,
    /// what it may take
    pub memory: Memory,
    /// the roots that sets must have; none: any
    pub expect: Vec<Hash>,
    /// what to restore; none: everything
    pub selection: Option<Selection>,
    /// without devices, set-id bits, capabilities and other attributes of the system
    pub no_special: bool,
    /// who is to own what is restored; none: as numbers say, if this is root
    pub owners: Option<Owners>,
    /// names that not every file system holds are mapped
    pub map_names: bool,
}

impl RestoreJob {
    /// The options that a run has to repeat to resume this one; none for everything.
    pub fn claim(&self) -> Option<String> {
        let selection = self.selection.as_ref().map(Selection::text);
        let owners = match self.owners {
            Some(Owners::Names) => Some("--owner names"),
            Some(Owners::Nobody) => Some("--owner none"),
            Some(Owners::Numbers) | None => None,
        };
        let map_names = self.map_names.then_some("--map-names");
        let words = [selection, self.no_special.then_some("--no-special"), owners, map_names];
        let words: Vec<&str> = words.into_iter().flatten().collect();
        (!words.is_empty()).then(|| words.join(" "))
    }

    pub fn destination_error(&self, source: DestinationError) -> RestoreJobError {
        RestoreJobError::Destination { path: self.to.clone(), source }
    }
}
