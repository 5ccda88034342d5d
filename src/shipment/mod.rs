//! Sets of a shipment as they are found on drives: which drives, which records, and whose word
//! counts.
//!
//! - Enters: drives that may hold anything.
//! - Leaves: labels, set.txt, the record index.
//! - Always holds: (1) nothing read is used before something vouches for it; (2) no key is needed
//!   here: with one, records are also authenticated ([`record_index::RecordIndex::open`] takes a
//!   check for that).

pub mod cleanup;
pub mod copies;
pub mod file_copies;
pub mod find;
pub mod found;
pub mod labels;
pub mod lazy;
pub mod lock;
pub mod named;
pub mod record_index;
pub mod record_reader;
pub mod slots;
pub mod sound_file;
pub mod tally;
pub mod texts;
pub mod vouched;
pub mod witness;

pub use found::{FoundDrive, FoundSet};
pub use record_index::RecordIndex;
