//! Spanning files that the destination refused when all of their parts were there: whichever set
//! tries one again, it is one file.

use super::fate::{EntryFate, Fate};
use super::spanning::shared_name;
use crate::destination::{Destination, DestinationError};
use crate::format::list::Entry;

/// The prefix of the states that say so.
const REFUSED: &str = "refused-";

fn name(entry: &Entry) -> String {
    format!("{REFUSED}{}", shared_name(entry))
}

/// Did the destination refuse this file?
pub fn contains(destination: &Destination, entry: &Entry) -> Result<bool, DestinationError> {
    Ok(destination.load_state(&name(entry))?.is_some())
}

/// Keeps why the destination refused a file.
pub fn keep(
    destination: &Destination,
    entry: &Entry,
    reason: &str,
) -> Result<(), DestinationError> {
    let fate = EntryFate::new(Fate::Refused, entry.shown(), reason);
    destination.save_state(&name(entry), &serde_json::to_vec(&fate).unwrap_or_default())
}

/// The destination takes it now.
pub fn forget(destination: &Destination, entry: &Entry) -> Result<(), DestinationError> {
    destination.remove_state(&name(entry))
}

/// All of them.
pub fn all(destination: &Destination) -> Result<Vec<EntryFate>, DestinationError> {
    let mut refused = Vec::new();
    for name in destination.state_names(REFUSED)? {
        let state = destination.load_state(&name)?;
        refused.extend(state.and_then(|bytes| serde_json::from_slice(&bytes).ok()));
    }
    Ok(refused)
}
