//! Sets as they are found on drives: which drives, which records, what is damaged, and the bytes
//! of a stripe reconstructed from what is there.
//!
//! - Enters: drives that may hold anything.
//! - Leaves: labels, records, a damage map, verified or reconstructed blocks.
//! - Always holds: (1) nothing read is used before it matches its record; (2) what cannot be read
//!   is an erasure, never an end; (3) no key is needed here: with one, records are also
//!   authenticated ([`record_index::RecordIndex::open`] takes a check for that).

pub mod bad_blocks;
pub mod check;
pub mod cleanup;
pub mod copies;
pub mod damage;
pub mod drive_readme;
pub mod fetch;
pub mod find;
mod health;
mod judged;
pub mod key_files;
mod labels;
mod lazy;
pub mod lock;
pub mod metadata_files;
mod missing;
mod named;
pub mod open;
mod peel;
pub mod readahead;
pub mod reading;
mod reconstruct;
pub mod record_index;
pub mod rejected;
pub mod sample;
pub mod shard;
mod sound_file;
pub mod stripe;
mod tally;
pub mod texts;
pub mod together;
pub mod vouched;
mod witness;

pub use open::{FoundDrive, FoundSet};
pub use record_index::RecordIndex;
