//! Sets as they are found on drives: which drives, which records, what is damaged, and the bytes
//! of a stripe rebuilt from what is there.
//!
//! - Enters: drives that may hold anything.
//! - Leaves: labels, records, a damage map, verified or rebuilt blocks.
//! - Always holds: (1) nothing read is used before it matches its record; (2) what cannot be read
//!   is an erasure, never an end; (3) no key is needed here: with one, records are also
//!   authenticated ([`book::Book::open`] takes a check for that).

pub mod ahead;
pub mod book;
pub mod check;
pub mod damage;
pub mod explain;
pub mod fetch;
pub mod find;
mod glance;
pub mod lock;
mod mend;
pub mod open;
mod pace;
pub mod papers;
mod peel;
pub mod reading;
pub mod sample;
pub mod shard;
pub mod stripe;
pub mod texts;
pub mod tidy;
pub mod together;
pub mod vouched;

pub use book::Book;
pub use open::{FoundDrive, FoundSet};
