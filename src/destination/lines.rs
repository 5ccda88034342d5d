//! A state that may be too large to be held in memory: a file of lines.
//!
//! - Enters: lines, one after the other.
//! - Leaves: the same lines, in order.
//! - Always holds: under its name lies what was ended last, whole; a line holds no line end.

use std::fs::File;
use std::io::{BufRead as _, BufReader, BufWriter, Write as _};

use rustix::fs::OFlags;

use super::at::{as_path, open_at};
use super::dir::Destination;
use super::error::DestinationError;
use super::layout::work_path;
use super::work_files::UNFINISHED;

/// Lines that are being written.
pub struct StateLines {
    file: BufWriter<File>,
    name: String,
    unfinished: String,
}

impl StateLines {
    pub fn add(&mut self, line: &[u8]) -> Result<(), DestinationError> {
        let written = self.file.write_all(line).and_then(|()| self.file.write_all(b"\n"));
        written.map_err(DestinationError::io("save", &work_path(&self.name)))
    }
}

impl Destination {
    pub fn begin_lines(&self, name: &str) -> Result<StateLines, DestinationError> {
        let failed = |error| DestinationError::io("save", &work_path(name))(error);
        let own = getrandom::u64().map_err(|error| failed(error.into()))?;
        let unfinished = format!("{name}.{own:016x}{UNFINISHED}");
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC;
        let file = open_at(&self.work, unfinished.as_bytes(), flags, 0o600).map_err(failed)?;
        Ok(StateLines { file: BufWriter::new(file), name: name.into(), unfinished })
    }

    /// Gives it its name in place of the one before.
    pub fn end_lines(&self, lines: &mut StateLines) -> Result<(), DestinationError> {
        let StateLines { file, name, unfinished } = lines;
        let mut end = || {
            file.flush()?;
            file.get_ref().sync_all()?;
            self.work.rename(
                as_path(unfinished.as_bytes()),
                &self.work,
                as_path(name.as_bytes()),
            )?;
            Ok::<_, std::io::Error>(rustix::fs::fsync(&self.work)?)
        };
        end().map_err(DestinationError::io("save", &work_path(name)))
    }

    /// Gives each line of a state; none if there is no such state.
    pub fn each_line(
        &self,
        name: &str,
        each: &mut dyn FnMut(&[u8]),
    ) -> Result<(), DestinationError> {
        let failed = |error| DestinationError::io("load", &work_path(name))(error);
        let file = match open_at(&self.work, name.as_bytes(), OFlags::RDONLY, 0) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            opened => opened.map_err(failed)?,
        };
        for line in BufReader::new(file).split(b'\n') {
            each(&line.map_err(failed)?);
        }
        Ok(())
    }
}
