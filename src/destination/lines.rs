//! A state that may be too large to be held in memory: a file of lines.
//!
//! - Enters: lines, one after the other.
//! - Leaves: the same lines, in order.
//! - Always holds: under its name lies what was ended last, whole; a line holds no line end.

use std::io::{BufRead as _, BufReader, BufWriter, Write as _};

use rustix::fs::OFlags;

use super::at::open_at;
use super::dir::Destination;
use super::error::DestinationError;
use super::layout::work_path;
use super::work_files::UnfinishedFile;

/// Lines that are being written.
pub struct StateLines {
    file: BufWriter<UnfinishedFile>,
    name: String,
}

impl StateLines {
    pub fn add(&mut self, line: &[u8]) -> Result<(), DestinationError> {
        let written = self.file.write_all(line).and_then(|()| self.file.write_all(b"\n"));
        written.map_err(DestinationError::io("save", &work_path(&self.name)))
    }
}

impl Destination {
    pub fn begin_lines(&self, name: &str) -> Result<StateLines, DestinationError> {
        let file = UnfinishedFile::begin(&self.work, name)
            .map_err(DestinationError::io("save", &work_path(name)))?;
        Ok(StateLines { file: BufWriter::new(file), name: name.into() })
    }

    /// Gives them their name in place of those before.
    pub fn end_lines(&self, lines: &mut StateLines) -> Result<(), DestinationError> {
        let StateLines { file, name } = lines;
        file.flush()
            .and_then(|()| file.get_mut().end(&self.work, name))
            .map_err(DestinationError::io("save", &work_path(name)))
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
