//! The drives: the few calls that holdall makes on a mounted file system.
//!
//! - Enters: whole files under relative paths; reads of any range.
//! - Leaves: bytes, or an error that names drive, path and action.
//! - Always holds: (1) a file is written once and never changed, but by `repair`, which calls
//!   [`Drive::rewrite`] and [`WriteMode::Replace`] where bytes are not what they should be; (2) only this
//!   folder touches the drives' files; (3) paths are made of `[0-9a-z.-]` names and `/`, relative to the folder that
//!   the drive was given as, so a drive may be a mount point or any directory.
//!
//! The page of `holdall help drives` follows.
#![doc = include_str!("drives.md")]

mod absent;
pub mod buffer;
pub mod detect;
mod device;
mod drive;
mod error;
pub mod filesystem;
pub mod hardware;
pub mod health;
pub mod local;
mod local_file;
pub mod lock;
pub mod memory;
mod parallel;
mod path;
mod proof;
mod removal;
pub mod watch;
pub mod writer;

#[cfg(test)]
mod tests;

pub use absent::AbsentDrive;
pub use drive::{Drive, DriveFile, NextPart, ReadMode, Room, WriteMode};
pub use error::{DriveError, UnusableDrive};
pub use local::LocalDrive;
pub use memory::MemoryDrive;
pub use parallel::{each_within, on_each, while_next};
pub use proof::{Level, Proof};
