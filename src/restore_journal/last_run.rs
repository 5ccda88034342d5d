//! How the last run on all sets ended.
//!
//! Always holds: that the destination was full is noted by renaming a file, which takes no room.

use crate::destination::{Destination, DestinationError};
use serde::{Deserialize, Serialize};

/// The name of the state that says how the last run on all sets ended; what a run begins with is
/// none.
pub const ENDED: &str = "ended";
/// The name of the one that says that the destination was full then.
pub const FULL: &str = "full";
/// And what it is called else: to rename it takes no room.
const ROOM: &str = "room";

/// How a run ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LastRun {
    /// files that waited, of all sets, each counted once
    pub waiting: u64,
}

impl LastRun {
    /// Keeps it in DIR. What cannot be kept is not said later.
    pub fn save(self, to: &Destination) {
        let _ = to.save_state(ENDED, &serde_json::to_vec(&self).unwrap_or_default());
    }

    /// A run begins: how the one before ended no longer counts.
    pub fn forget(to: &Destination) -> Result<(), DestinationError> {
        to.remove_state(ENDED)?;
        if !to.rename_state(FULL, ROOM)? && to.load_state(ROOM)?.is_none() {
            let _ = to.save_state(ROOM, b"");
        }
        Ok(())
    }

    /// The run ends as the destination is full.
    pub fn full(to: &Destination) {
        let _ = to.rename_state(ROOM, FULL);
    }
}
