//! One shard as it lies on a drive: read, checked against its record, what is bad in it.
//!
//! - Enters: a drive, a path, the record of a stripe.
//! - Leaves: which blocks are sound, which are damaged or cannot be read.
//! - Always holds: (1) a read error is an erasure, never an end; (2) no block counts as sound that
//!   does not match its record.

pub mod answers;
pub mod bad_blocks;
pub mod reading;
pub mod sample;
pub mod shard;
