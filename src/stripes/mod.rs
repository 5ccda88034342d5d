//! The bytes of stripes: read ahead from all drives, reconstructed from what is there.
//!
//! - Enters: records, the drives that are here.
//! - Leaves: verified or reconstructed blocks, and what is missing.
//! - Always holds: (1) no block leaves that does not match its record; (2) what cannot be read is
//!   an erasure, never an end.

mod budget;
mod carried;
pub mod fetch;
pub mod health;
pub mod judged;
pub mod missing;
pub mod peel;
pub mod readahead;
pub mod reconstruct;
pub mod request;
mod retry;
mod shard_reader;
pub mod stripe;
pub mod together;
