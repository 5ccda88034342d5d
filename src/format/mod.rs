//! The bytes on a drive: what every file of a set holds, and nothing else.
//!
//! - Enters: values of these types, or bytes read from a drive, which may be anything.
//! - Leaves: bytes, or values whose every field has been checked against the specification.
//! - Always holds: (1) no I/O and no keys here; (2) decoding never panics and never allocates more
//!   than the bytes given call for; (3) `decode(encode(x)) == x`; (4) all integers are
//!   little-endian and of fixed width.
//!
//! The specification follows; it is written so that a reader can be made from it alone, and
//! `tests/reference_reader.py` is one.
#![doc = include_str!("format.md")]

pub mod catalog;
pub mod entry;
pub mod ids;
pub mod key;
pub mod label;
pub mod layout;
pub mod list;
pub mod record;
pub mod set;
pub mod shard;
pub mod shown;
pub mod suite;
#[cfg(test)]
mod vectors;
mod wire;

pub use ids::{RunId, StripeNumber};
pub use suite::Suite;

/// Sets of fewer drives than this carry second copies of records and catalog.
pub const SECOND_COPY_DRIVES: usize = 3;
/// The version of the format that this program writes.
pub const FORMAT_VERSION: u16 = 1;

/// Why bytes from a drive are not what they should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// The bytes end before the structure does.
    #[error("{what} is cut short: {needed} bytes needed at offset {at}, {left} left")]
    Truncated {
        /// the structure being read
        what: &'static str,
        /// offset within the structure
        at: usize,
        /// bytes needed from there
        needed: usize,
        /// bytes left
        left: usize,
    },
    /// A field has a value that the format does not allow.
    #[error("{what}: {field} has a value that the format does not allow ({value})")]
    Invalid {
        /// the structure being read
        what: &'static str,
        /// its field
        field: &'static str,
        /// the value found
        value: String,
    },
    /// The structure is of a newer format.
    #[error(
        "{what} is of format {found}, and this program reads format 1: a newer holdall is needed"
    )]
    Newer {
        /// the structure being read
        what: &'static str,
        /// the version found
        found: u64,
    },
    /// The digest at the end of the structure does not match its bytes.
    #[error("{what}: its digest does not match its bytes")]
    Digest {
        /// the structure being read
        what: &'static str,
    },
}

impl FormatError {
    pub(crate) fn invalid(
        what: &'static str,
        field: &'static str,
        value: impl std::fmt::Display,
    ) -> Self {
        Self::Invalid { what, field, value: value.to_string() }
    }
}
