//! What a restore notes in its destination, and what follows from it: which sets and drives it
//! still awaits, and the next step.
//!
//! - Enters: how each run on a set began and ended.
//! - Leaves: for later runs and for `status --to`: what is complete, what waits, which drives to
//!   attach next.
//! - Always holds: what is noted counts only for a set that can be the same ([`identity`]).

pub mod awaited;
pub mod choice;
pub mod identity;
pub mod last_run;
pub mod next_step;
pub mod set_journal;
