//! Why bytes are not what the format asks for.

/// The version of the format that this program reads and writes.
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
        "{what} is of format {found}, and this program reads format {FORMAT_VERSION}: a newer \
         holdall is needed"
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
