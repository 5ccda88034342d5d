//! The metadata files of a drive: label, README, wrapped keys, records, catalog, set.txt and
//! checklist, with their second copies.
//!
//! - Enters: the drives of a set, its record index.
//! - Leaves: what is missing or damaged, and from where it can be had.
//! - Always holds: a file is sound only if something vouches for its bytes.

pub mod checklist;
pub mod content;
pub mod drive_readme;
pub mod expected;
pub mod inspect;
pub mod key_files;
pub mod rejected;
