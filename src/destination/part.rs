//! Part files: what is not whole yet has no name at all, where the file system can give it one
//! later; or it lies in `DIR/.holdall/parts` under a short one, or in `DIR/.holdall/files` under one
//! that others who restore into DIR know too.
//!
//! - Enters: runs of bytes, in any order, from many threads.
//! - Leaves: a file that can be given its final name in one step.
//! - Always holds: (1) a name is used by one part only; (2) a part that is dropped before it has
//!   its final name is removed, unless it is shared and not given up; (3) bytes that were never
//!   written are a hole; (4) nobody else can open a part, whatever its mode.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use cap_std::fs::Dir;
use rustix::fs::{OFlags, SeekFrom};

use super::at::{as_path, open_at, open_nameless};
use super::dir::Destination;
use super::error::{DestinationError, MAKE_PART, OPEN_PART};
use super::layout::{PARTS, SHARED, work_path};
use crate::format::list::Entry;

/// A name in the parts folder; what has it is removed unless it was moved away.
pub(super) struct PartName {
    pub(super) folder: Arc<Dir>,
    pub(super) name: String,
    /// where the folder lies in the working folder
    place: &'static str,
    /// it is not removed: it was moved away, or belongs to others too
    pub(super) stays: bool,
}

impl PartName {
    /// The part's path from DIR, for errors.
    pub(super) fn path(&self) -> Vec<u8> {
        work_path(&format!("{}/{}", self.place, self.name))
    }
}

impl Drop for PartName {
    fn drop(&mut self) {
        if !self.stays {
            // What cannot be removed now goes with `complete`.
            let _ = self.folder.remove_file(as_path(self.name.as_bytes()));
        }
    }
}

/// A file that is being restored. When it is dropped, it is closed before its name is removed.
pub struct PartFile {
    pub(super) file: File,
    /// none: it has no name, and the mode with which a file of its entry begins
    pub(super) part: Option<PartName>,
}

impl PartFile {
    pub fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), DestinationError> {
        self.file.write_all_at(bytes, offset).map_err(|error| self.failed("write", error))
    }

    /// Fills `bytes` from `offset`; the end of the file before that is an error.
    pub fn read_at(&self, offset: u64, bytes: &mut [u8]) -> Result<(), DestinationError> {
        self.file.read_exact_at(bytes, offset).map_err(|error| self.failed("read", error))
    }

    /// Sets the length; what lies past the bytes written is a hole.
    pub fn set_len(&self, len: u64) -> Result<(), DestinationError> {
        self.file.set_len(len).map_err(|error| self.failed("set the length of", error))
    }

    /// Does it hold anything but a hole? Where the file system does not tell, it may.
    pub fn has_bytes(&self) -> bool {
        !self.is_hole(0, u64::MAX)
    }

    /// Is there nothing but a hole from `offset` on, for so many bytes? Where the file system does
    /// not tell, no.
    pub fn is_hole(&self, offset: u64, len: u64) -> bool {
        match rustix::fs::seek(&self.file, SeekFrom::Data(offset)) {
            Ok(data) => data >= offset.saturating_add(len),
            Err(error) => error == rustix::io::Errno::NXIO,
        }
    }

    /// Gives it up: it is removed, also if it is shared.
    pub fn discard(mut self) {
        if let Some(part) = &mut self.part {
            part.stays = false;
        }
    }

    fn failed(&self, action: &'static str, error: io::Error) -> DestinationError {
        let path = self.part.as_ref().map_or_else(|| work_path(PARTS), PartName::path);
        DestinationError::io(action, &path)(error)
    }
}

impl Destination {
    /// Do holes take no room here? Tried with a file that is nothing else.
    pub fn keeps_holes(&self) -> bool {
        const BYTES: u64 = 1 << 20;
        let blocks = || -> Option<u64> {
            let part = self.begin_named_file().ok()?;
            part.set_len(BYTES).ok()?;
            rustix::fs::fstat(&part.file).ok()?.st_blocks.try_into().ok()
        };
        blocks().is_none_or(|blocks| blocks * 512 < BYTES)
    }

    /// A new part file for an entry.
    pub fn begin_file(&self, entry: &Entry) -> Result<PartFile, DestinationError> {
        if self.has_nameless {
            let file = open_nameless(&self.parts, self.rights.first_mode(entry))
                .map_err(|error| DestinationError::io(MAKE_PART, &work_path(PARTS))(error))?;
            return Ok(PartFile { file, part: None });
        }
        self.begin_named_file()
    }

    /// The same under a name in `DIR/.holdall/parts`.
    pub(super) fn begin_named_file(&self) -> Result<PartFile, DestinationError> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL;
        let (file, part) =
            self.make_part(MAKE_PART, |folder, name| open_at(folder, name, flags, 0o600))?;
        Ok(PartFile { file, part: Some(part) })
    }

    /// Opens or makes the file of this name in `DIR/.holdall/files`, which others may be writing to
    /// at other places.
    pub fn share_file(&self, name: &str) -> Result<PartFile, DestinationError> {
        let path = work_path(&format!("{SHARED}/{name}"));
        let flags = OFlags::RDWR | OFlags::CREATE;
        let file = open_at(&self.shared, name.as_bytes(), flags, 0o600)
            .map_err(DestinationError::io(OPEN_PART, &path))?;
        Ok(self.shared_part(file, name))
    }

    /// Opens the file of this name in `DIR/.holdall/files`, if it is there.
    pub fn find_shared(&self, name: &str) -> Option<PartFile> {
        let file = open_at(&self.shared, name.as_bytes(), OFlags::RDONLY, 0).ok()?;
        Some(self.shared_part(file, name))
    }

    fn shared_part(&self, file: File, name: &str) -> PartFile {
        let folder = Arc::clone(&self.shared);
        let part = PartName { folder, place: SHARED, name: name.into(), stays: true };
        PartFile { file, part: Some(part) }
    }

    /// Makes something under a short name that nothing has; `make` must not replace.
    pub(super) fn make_part<T>(
        &self,
        action: &'static str,
        make: impl Fn(&Dir, &[u8]) -> io::Result<T>,
    ) -> Result<(T, PartName), DestinationError> {
        loop {
            let number = self.next_part.fetch_add(1, Ordering::Relaxed);
            let name = format!("{number:x}");
            let made = make(&self.parts, name.as_bytes());
            match made {
                Ok(made) => {
                    let folder = Arc::clone(&self.parts);
                    return Ok((made, PartName { folder, place: PARTS, name, stays: false }));
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => {
                    let path = work_path(&format!("{PARTS}/{name}"));
                    return Err(DestinationError::io(action, &path)(error));
                }
            }
        }
    }
}
