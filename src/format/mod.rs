//! The bytes on a drive: what every file of a set holds, and nothing else.
//!
//! - Enters: values of these types, or bytes read from a drive, which may be anything.
//! - Leaves: bytes, or values whose every field has been checked against the specification.
//! - Always holds: (1) no I/O and no keys here; (2) decoding never panics and never allocates more
//!   than the bytes given call for, or announce within bounds; (3) `decode(encode(x)) == x`.
//!
//! The specification follows; it is written so that a reader can be made from it alone, and
//! `tests/reference_reader.py` is one.
#![doc = include_str!("format.md")]

pub mod catalog;
pub mod custody;
pub mod entry;
pub mod entry_coding;
mod error;
pub mod frame;
pub mod ids;
pub mod key;
pub mod label;
pub mod layout;
pub mod list;
pub mod list_reader;
pub mod list_writer;
pub mod metadata_file;
pub mod record;
pub mod set;
pub mod shard;
pub mod shown;
pub mod suite;
#[cfg(test)]
mod vectors;
mod wire;

pub use error::{FORMAT_VERSION, FormatError};
pub use layout::SECOND_COPY_DRIVES;
pub use suite::Suite;
