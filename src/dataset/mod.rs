//! The dataset: a tree of files on this machine, and how it is read.
//!
//! - Enters: SOURCE, a folder or a single file, and what to leave out.
//! - Leaves: its entries in one total order ([`mod@scan`]), and later the bytes of its files
//!   ([`source`]).
//! - Always holds: (1) the dataset is only read, never changed; (2) everything below SOURCE is
//!   reached by folder handles, so a path may have any length, and no symlink below SOURCE is
//!   followed; (3) a path, once a name was read from a folder, is bytes and need not be UTF-8.

pub mod cursor;
pub mod cut;
pub mod scan;
pub mod source;
pub mod work;

mod anchor;
mod attributes;
mod beneath;
mod caches;
mod contents;
mod folder;
mod holes;
mod inode;
mod names;
mod nearby;
mod root;
mod sizes;
#[cfg(test)]
pub(crate) mod testing;

pub use crate::patterns::{Filter, FilterError};
pub use contents::Contents;
pub use inode::{Identity, ScannedEntry};
pub use scan::{ScanError, ScanOptions, ScanTotals, scan};
pub use source::{Source, SourceError};
