//! Drives checked against the records: block by block, or by samples.
//!
//! - Enters: a set and its record index.
//! - Leaves: a report per drive, and the damage map of the set.
//! - Always holds: a verdict counts only what was read.

pub mod custody;
pub mod damage;
pub mod drive;
pub mod report;
pub mod set;
pub mod spare;
