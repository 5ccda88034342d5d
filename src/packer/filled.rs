//! Where filling begins, and what it leaves.

use crate::dataset::cursor::Cursor;
use crate::format::ids::RunId;
use crate::format::record::Reason;
use crate::local_state::state::SetTotals;
use crate::plan::geometry::Geometry;
use crate::plan::place::{Placement, StripePlace};
use crate::stages::fill::Filled;

/// A filled stripe and where it goes.
pub struct FilledStripe {
    pub filled: Filled,
    /// its drives
    pub place: StripePlace,
    /// what made the place differ from the plan
    pub reason: Reason,
    /// what is packed with it
    pub cursor: Cursor,
    /// what was counted up to it
    pub outcome: FillOutcome,
}

/// What the filling leaves.
#[derive(Clone, Copy, Debug, Default)]
pub struct FillOutcome {
    /// plain bytes that were not stored again
    pub duplicate_bytes: u64,
    /// extents the dedup table forgot
    pub forgotten: u64,
    /// files that are named but could not be read
    pub left_out: u64,
    pub stopped: bool,
    /// the drives were full before the dataset came to its end
    pub full: bool,
    /// the dataset came to its end
    pub ended: bool,
}

/// Where filling begins.
pub struct Start {
    pub run: RunId,
    pub geometry: Geometry,
    /// drives of the set
    pub drives: usize,
    /// on which drives
    pub placement: Placement,
    /// what is packed already
    pub cursor: Cursor,
    /// by an earlier set, so that folders and files are named again
    pub new_set: bool,
    /// what earlier runs of this set have counted
    pub tally: SetTotals,
}
