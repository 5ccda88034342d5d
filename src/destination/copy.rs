//! Links where they cannot be made: FAT, exFAT, many network file systems, and any other once a file
//! has as many names as it may have.
//!
//! - Enters: a hard link whose file is there; a symlink.
//! - Leaves: one more name of the file, or a file of its own with the same bytes; of a symlink a file
//!   that holds its text, as git writes it.
//! - Always holds: zeros in a row are left as a hole; no symlink is followed, so that what is
//!   written holds nothing but what was packed.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use rustix::fs::{FileType, OFlags};

use super::at::{as_path, open_at, split};
use super::dir::Destination;
use super::error::DestinationError;
use super::metadata::MetadataProblem;
use super::part::PartFile;
use super::place::{OnConflict, PlaceResult};
use super::tally::{CountedAs, SYMLINK};
use crate::format::list::{Entry, Kind};

/// The mode of a file that stands for a symlink.
const LINK_FILE_MODE: u32 = 0o644;
/// Bytes that are copied at once.
const STEP_BYTES: usize = 1 << 20;

impl Destination {
    /// Makes one more name of the file at the entry's target, which must be there; where that
    /// cannot be, for whatever reason, a file with the same bytes. `should_stop` ends it with an
    /// error, and nothing is there then.
    pub fn link_or_copy(
        &self,
        entry: &Entry,
        conflict: OnConflict,
        should_stop: &dyn Fn() -> bool,
    ) -> Result<(), DestinationError> {
        let refused = match self.make_hard_link(entry, conflict) {
            Err(error) if error.is_refused_link() => error,
            done => return done,
        };
        // A pipe or a symlink is none to be copied.
        let Some(from) = self.open_regular(&entry.target)? else { return Err(refused) };
        let own = Entry { kind: Kind::File, target: Vec::new(), ..entry.clone() };
        let part = self.begin_file(&own)?;
        copy(&from, &part, should_stop).map_err(DestinationError::io("copy", &entry.path))?;
        self.finish_file_of(part, &own, conflict, CountedAs::Anew)?;
        if let DestinationError::Io { source, .. } = &refused {
            self.note_copy(&entry.path, source);
        }
        Ok(())
    }

    /// Writes the text of a symlink, which cannot be made for this reason, to a file of its name.
    pub(super) fn write_link(
        &self,
        entry: &Entry,
        conflict: OnConflict,
        reason: io::Error,
    ) -> PlaceResult {
        let own =
            Entry { kind: Kind::File, mode: LINK_FILE_MODE, xattrs: Vec::new(), ..entry.clone() };
        let part = self.begin_file(&own)?;
        part.write_at(0, &entry.target)?;
        let mut problems = self.finish_uncounted(part, &own, conflict)?;
        // The link had no mode that could be lost.
        problems.retain(|problem| problem.what != "mode");
        let (path, what) = (entry.path.clone(), SYMLINK.into());
        problems.insert(0, MetadataProblem { path, what, source: reason });
        Ok(self.noted(&entry.path, problems, CountedAs::Placed))
    }

    fn open_regular(&self, path: &[u8]) -> Result<Option<File>, DestinationError> {
        let (at, name) = split(path);
        let Some(folder) = self.folders.find(at)? else { return Ok(None) };
        let name = &*self.folders.name_in(&folder, at, name);
        // A device may start when it is opened.
        let found = self.folders.within(&folder, || folder.symlink_metadata(as_path(name)));
        if !found.is_ok_and(|found| found.is_file()) {
            return Ok(None);
        }
        let flags = OFlags::RDONLY | OFlags::NONBLOCK;
        let Ok(file) = self.folders.within(&folder, || open_at(&folder, name, flags, 0)) else {
            return Ok(None);
        };
        let found = rustix::fs::fstat(&file).map_err(DestinationError::io("look at", path))?;
        let is_regular = FileType::from_raw_mode(found.st_mode) == FileType::RegularFile;
        Ok(is_regular.then_some(file))
    }
}

fn copy(from: &File, to: &PartFile, should_stop: &dyn Fn() -> bool) -> io::Result<()> {
    let (mut buffer, mut at) = (vec![0; STEP_BYTES], 0);
    loop {
        if should_stop() {
            return Err(io::Error::other("stopped as asked"));
        }
        let read = from.read_at(&mut buffer, at)?;
        if read == 0 {
            return to.file.set_len(at);
        }
        if buffer[..read].iter().any(|byte| *byte != 0) {
            to.file.write_all_at(&buffer[..read], at)?;
        }
        at += read as u64;
    }
}
