//! Custody notes on a drive: `custody/` in a set's folder, outside its checklist, root and
//! signature.
//!
//! - Enters: a note, or a drive, which may carry anything.
//! - Leaves: the note on the drive; the newest notes that are on it.
//! - Always holds: (1) a note is written whole or not at all, and never over another; (2) what is
//!   read is bounded in number and size; (3) a note of another set is none.

use crate::drives::{Drive, DriveError, ReadMode, WriteMode};
use crate::format::custody::{CustodyNote, MAX_NOTE_BYTES, is_note_name};
use crate::format::layout::CUSTODY;

/// The most notes of a drive that are read: the newest, by name.
pub const MOST_NOTES: usize = 256;

/// The notes on a drive.
#[derive(Clone, Debug, Default)]
pub struct NotesOnDrive {
    /// by time, the oldest first
    pub notes: Vec<CustodyNote>,
    /// files that are called like notes and are none, or not of this set
    pub rejected: u64,
    /// files that are called like notes and were not looked at, as there are too many
    pub left_out: u64,
}

/// Adds a note to a set's folder on a drive, under this name.
pub fn add(
    drive: &dyn Drive,
    set_folder: &str,
    name: &str,
    note: &CustodyNote,
) -> Result<(), DriveError> {
    let folder = format!("{set_folder}/{CUSTODY}");
    drive.make_folder(&folder)?;
    drive.write(&format!("{folder}/{name}"), &note.encode(), WriteMode::Replace)
}

/// The notes in a set's folder on a drive.
pub fn notes(drive: &dyn Drive, set_folder: &str) -> Result<NotesOnDrive, DriveError> {
    let folder = format!("{set_folder}/{CUSTODY}");
    let mut names = drive.list(&folder)?;
    names.retain(|name| is_note_name(name));
    let left_out = names.len().saturating_sub(MOST_NOTES);
    let mut found = NotesOnDrive { left_out: left_out as u64, ..NotesOnDrive::default() };
    for name in names.split_off(left_out) {
        let place = format!("{folder}/{name}");
        let read = drive.read_whole(&place, MAX_NOTE_BYTES, ReadMode::Cached).ok();
        let note = read.and_then(|bytes| CustodyNote::decode(&bytes).ok());
        match note.filter(|note| set_folder.ends_with(&format!("/{}", note.set_name()))) {
            Some(note) => found.notes.push(note),
            None => found.rejected += 1,
        }
    }
    found.notes.sort_by(|a, b| a.time.cmp(&b.time));
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drives::MemoryDrive;
    use crate::format::custody::example;

    /// A drive may carry anything: what is no note of its set is counted, and the rest is read.
    #[test]
    fn what_is_read_is_bounded() {
        let drive = MemoryDrive::new("drive", 1 << 30);
        let good = example();
        let folder = format!("holdall/{}", good.set_name());
        add(&drive, &folder, &good.dated_name(), &good).unwrap();
        add(&drive, &folder, &good.dated_name(), &good).unwrap();
        let other = CustodyNote { set: crate::format::ids::SetNumber(9), ..example() };
        add(&drive, &folder, "2-other-set.json", &other).unwrap();
        let file = |name: &str, bytes: &[u8]| {
            drive.write(&format!("{folder}/{CUSTODY}/{name}"), bytes, WriteMode::New).unwrap();
        };
        file("2-long.json", &vec![b' '; MAX_NOTE_BYTES as usize + 1]);
        file("2-none.json", b"[[[[");
        file("X.JSON", b"not looked at");
        file(&(good.dated_name() + ".sig"), b"reserved");
        let found = notes(&drive, &folder).unwrap();
        assert_eq!((found.notes, found.rejected, found.left_out), (vec![good.clone()], 3, 0));
        (0..MOST_NOTES).for_each(|i| file(&format!("0{i:05}.json"), &good.encode()));
        let found = notes(&drive, &folder).unwrap();
        assert_eq!((found.notes.len(), found.rejected, found.left_out), (MOST_NOTES - 3, 3, 4));
        assert!(notes(&drive, "holdall/none").unwrap().notes.is_empty());
    }
}
