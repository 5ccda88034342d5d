//! What is asked of a restore.

use crate::destination::OnConflict;
use crate::memory::Memory;
use crate::patterns::Selection;

#[allow(clippy::struct_excessive_bools, reason = "each is a matter of its own")]
#[derive(Clone, Copy, Debug, Default)]
pub struct RestoreOptions<'a> {
    /// what to restore; none: everything
    pub selection: Option<&'a Selection>,
    /// bytes of the files that are selected, without holes
    pub selected_bytes: u64,
    /// drives that are not here never come: what they hold is lost
    pub give_up: bool,
    /// leave incomplete files as NAME.incomplete
    pub salvage: bool,
    /// without devices, set-id bits, capabilities and other attributes of the system
    pub no_special: bool,
    /// this resumes an earlier restore
    pub resumed: bool,
    /// sets after this one are known, whatever its set.txt says
    pub later_sets: bool,
    /// what it may take
    pub memory: Memory,
}

impl RestoreOptions<'_> {
    /// A resumed restore replaces what an earlier run left under an entry's name.
    pub fn on_conflict(&self) -> OnConflict {
        if self.resumed { OnConflict::Replace } else { OnConflict::Fail }
    }
}
