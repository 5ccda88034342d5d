//! Custody notes on this machine, so that a report can tell of drives that are not attached.
//!
//! - Enters: a note.
//! - Leaves: the notes that were kept, as far as they can be read.
//! - Always holds: a note under its final name is complete; what is kept is bounded when it is read.
//!
//! They lie in `custody/<set>/` beside the shipments in progress, under names that tell drives of a
//! set apart, and stay until somebody removes them.

use super::error::LocalStateError;
use super::folder::{state_folder, state_path};
use super::snapshot::sync_folder_of;
use crate::format::custody::{CustodyNote, MAX_NOTE_BYTES, is_note_name};
use crate::format::ids::{SetNumber, ShipmentId, set_folder};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The most notes of a set that are read: the newest, by name.
const MOST_NOTES: usize = 1 << 16;

const FOLDER: &str = "custody";

/// Keeps a note; returns its file.
pub fn keep(note: &CustodyNote) -> Result<PathBuf, LocalStateError> {
    keep_within(&state_folder()?, note)
}

/// The notes of a set that were kept, the oldest first.
pub fn kept(shipment: ShipmentId, set: SetNumber) -> Result<Vec<CustodyNote>, LocalStateError> {
    kept_within(&state_path()?, shipment, set)
}

fn keep_within(state: &Path, note: &CustodyNote) -> Result<PathBuf, LocalStateError> {
    let folder = state.join(FOLDER).join(note.set_name());
    let failed = |source| LocalStateError::io("create", &folder, source);
    DirBuilder::new().recursive(true).mode(0o700).create(&folder).map_err(failed)?;
    let path = folder.join(note.dated_name());
    let part = path.with_extension("part");
    let write = || {
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&part)?;
        file.write_all(&note.encode())?;
        file.sync_all()?;
        std::fs::rename(&part, &path)
    };
    write().map_err(|source| LocalStateError::io("write", &path, source))?;
    sync_folder_of(&path)?;
    Ok(path)
}

fn kept_within(
    state: &Path,
    shipment: ShipmentId,
    set: SetNumber,
) -> Result<Vec<CustodyNote>, LocalStateError> {
    let folder = state.join(FOLDER).join(set_folder(shipment, set));
    let entries = match std::fs::read_dir(&folder) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(|source| LocalStateError::io("list", &folder, source))?,
    };
    let name = |entry: std::fs::DirEntry| entry.file_name().into_string().ok();
    let mut names: Vec<String> = entries.filter_map(Result::ok).filter_map(name).collect();
    names.retain(|name| is_note_name(name));
    names.sort_unstable();
    let newest = names.split_off(names.len().saturating_sub(MOST_NOTES));
    let read = |name: &String| {
        let mut bytes = Vec::new();
        let file = File::open(folder.join(name)).ok()?;
        file.take(MAX_NOTE_BYTES + 1).read_to_end(&mut bytes).ok()?;
        let note = CustodyNote::decode(&bytes).ok()?;
        (note.shipment == shipment && note.set == set).then_some(note)
    };
    let mut notes: Vec<CustodyNote> = newest.iter().filter_map(read).collect();
    notes.sort_by(|a, b| a.time.cmp(&b.time));
    Ok(notes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::custody::example;

    #[test]
    fn what_is_kept_is_found_again() {
        let state = tempfile::tempdir().unwrap();
        let note = example();
        let (shipment, set) = (note.shipment, note.set);
        let found = || kept_within(state.path(), shipment, set).unwrap();
        assert!(found().is_empty(), "nothing is there");
        let later = CustodyNote { time: "2027-01-01T00:00:00Z".into(), ..note.clone() };
        let path = keep_within(state.path(), &later).unwrap();
        keep_within(state.path(), &note).unwrap();
        std::fs::write(path.with_file_name("3.json"), "{").unwrap();
        assert_eq!(found(), [note, later]);
        assert!(kept_within(state.path(), shipment, SetNumber(7)).unwrap().is_empty());
    }
}
