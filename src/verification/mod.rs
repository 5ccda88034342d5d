//! Verifying the sets on drives, and what that means; and a tree held against them.
//!
//! - Enters: sets as they were found, their record indexes, what of them is read.
//! - Leaves: for each drive what is damaged or missing; for each set whether it can be restored; for
//!   each entry of a tree whether it is that of the dataset.
//! - Always holds: nothing is written, and no key is needed but for [`against`](mod@against).

pub mod against;
pub mod set_outcome;
pub mod verify;

pub use set_outcome::{DriveOutcome, SetOutcome};
pub use verify::{
    note_others, verify_rest, verify_sample, verify_set, verify_sets, verify_sets_within,
};
