//! Where the files of a set lie on a drive.

/// The folder on a drive under which everything lies.
pub const HOLDALL: &str = "holdall";
/// The folder of second copies within a set's folder.
pub const COPY: &str = "copy";
/// The folder of custody notes within a set's folder.
pub const CUSTODY: &str = "custody";
/// Sets of fewer drives than this carry second copies of records and catalog.
pub const SECOND_COPY_DRIVES: usize = 3;
