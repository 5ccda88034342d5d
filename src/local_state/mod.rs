//! The packing host's own state, on its disk.
//!
//! - Enters: what a shipment in progress must remember between sets and after a crash.
//! - Leaves: the same, read again.
//! - Always holds: (1) no secret lies here but names; files have mode 0600, the folder 0700;
//!   (2) a file under its final name is complete; (3) what is read is checked: a file cut short or
//!   damaged is an error, never a shorter list.

pub mod custody;
mod error;
mod folder;
mod kept;
pub mod known_drives;
pub mod snapshot;
pub mod state;

pub use error::LocalStateError;
pub use folder::state_path;
pub use kept::{keep, kept};
pub use snapshot::{ScanSnapshot, SnapshotWriter};
