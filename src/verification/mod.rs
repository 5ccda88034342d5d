//! Verifying the sets on drives, and what that means.
//!
//! - Enters: sets as they were found, their record indexes, what of them is read.
//! - Leaves: for each drive what is damaged or missing; for each set whether it can be restored.
//! - Always holds: no key is needed, and nothing is written.

pub mod set_outcome;
pub mod verify;

pub use set_outcome::{DriveOutcome, SetOutcome};
pub use verify::{
    note_others, verify_rest, verify_sample, verify_set, verify_sets, verify_sets_within,
};
