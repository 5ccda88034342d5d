//! The files of the working folder, replaced whole.
//!
//! - Enters: a name and all the bytes.
//! - Leaves: the bytes of the last save that ended, or nothing.
//! - Always holds: a crash leaves the old bytes or the new ones, never a mixture.

use std::fs::File;
use std::io::{self, Read as _, Write};

use cap_std::fs::Dir;
use rustix::fs::{Mode, OFlags};

use super::at::open_at;
use super::error::DestinationError;
use super::layout::WORK;

/// What a file is called until it is whole.
pub(super) const UNFINISHED: &str = ".new";

/// A file that is being written, under a name of its own: another process may be saving the same.
pub(super) struct UnfinishedFile {
    file: File,
    name: String,
}

impl UnfinishedFile {
    /// Begins the file `name` in `folder`.
    pub(super) fn begin(folder: &Dir, name: &str) -> io::Result<Self> {
        let name = format!("{name}.{:016x}{UNFINISHED}", getrandom::u64()?);
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC;
        Ok(Self { file: open_at(folder, name.as_bytes(), flags, 0o600)?, name })
    }

    /// Syncs it, gives it its name in place of the file that has it, and syncs the folder.
    pub(super) fn end(&mut self, folder: &Dir, name: &str) -> io::Result<()> {
        self.end_in(folder, folder, name)
    }

    /// The same in another folder than that in which it was begun.
    pub(super) fn end_in(&mut self, folder: &Dir, to: &Dir, name: &str) -> io::Result<()> {
        self.file.sync_all()?;
        folder.rename(&self.name, to, name)?;
        Ok(rustix::fs::fsync(to)?)
    }

    /// Lets others read it, where there are modes.
    pub(super) fn open_to_all(&self) {
        let _ = rustix::fs::fchmod(&self.file, Mode::from_raw_mode(0o644));
    }
}

impl Write for UnfinishedFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Writes `name` in `folder` as a whole.
pub(super) fn replace_file(folder: &Dir, name: &str, bytes: &[u8]) -> io::Result<()> {
    let mut unfinished = UnfinishedFile::begin(folder, name)?;
    unfinished.write_all(bytes)?;
    unfinished.end(folder, name)
}

/// The bytes of `name` in `folder`; none if it is missing.
pub(super) fn read_file(folder: &Dir, name: &str) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    match open_at(folder, name.as_bytes(), OFlags::RDONLY, 0) {
        Ok(mut file) => file.read_to_end(&mut bytes)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    Ok(Some(bytes))
}

/// Whether `name` is what a save of `file` leaves when it is cut short.
pub(super) fn is_unfinished(name: &[u8], file: &str) -> bool {
    let beginning = name.strip_suffix(UNFINISHED.as_bytes());
    beginning.is_some_and(|beginning| beginning.starts_with(file.as_bytes()))
}

/// The names of the states in a working folder that begin so, sorted.
pub(super) fn names(work: &Dir, beginning: &str) -> Result<Vec<String>, DestinationError> {
    let list = || -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in work.entries()? {
            let name = entry?.file_name().into_string();
            names.extend(
                name.ok().filter(|name| name.starts_with(beginning) && !name.ends_with(UNFINISHED)),
            );
        }
        names.sort_unstable();
        Ok(names)
    };
    list().map_err(DestinationError::io("list", WORK.as_bytes()))
}
