//! The metadata files of a drive: label, README, wrapped keys, records, catalog, set.txt and
//! checklist, with their second copies.
//!
//! - Enters: the drives of a set, its records, set.txt and key files.
//! - Leaves: the files that should lie on each drive, whether they do, and the bytes that they
//!   should have.
//! - Always holds: (1) a file is sound only if something vouches for its bytes; (2) pack, close,
//!   verify and repair read one table.
//!
//! A kind of file is a row of [`crate::format::metadata_file`]: path, length, when it is written,
//! second copy, whether the checklist lists it. [`expected`] lists what a drive should have by
//! these rows, [`inspect`] judges each, [`content`] makes or finds its bytes. What explains a drive
//! to people lies beside the sets and has a table of its own in [`drive_readme`].

pub mod checklist;
pub mod content;
pub mod custody;
pub mod drive_readme;
pub mod expected;
pub mod inspect;
pub mod key_files;
pub mod rejected;
