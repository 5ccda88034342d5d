//! The list of the names that were mapped: `DIR/holdall-names.txt`.
//!
//! - Enters: the lines that this process and others have written, in this run and earlier ones.
//! - Leaves: all of them in DIR, once the restore has ended.
//! - Always holds: (1) whatever has another name than its own was in a line before a checkpoint
//!   counted it, so that the list names it; (2) a list that was put into DIR by a run that was cut
//!   short while it removed the working folder, and the lines with it, loses none of its lines.

use std::io::{self, BufRead as _, Write as _};

use rustix::fs::OFlags;

use super::at::open_at;
use super::dir::Destination;
use super::error::DestinationError;
use super::layout::NAMES;
use super::name_map::{ABOUT, HEAD, KnownLines, LINES, is_mapped};
use super::work_files::UnfinishedFile;

impl Destination {
    /// Gives each line of the list so far.
    fn each_mapped(&self, each: &mut dyn FnMut(&[u8])) -> Result<(), DestinationError> {
        let mut known = KnownLines::default();
        self.each_listed(&mut |line| {
            if known.add(line) {
                each(line);
            }
        })?;
        for name in self.state_names(LINES)? {
            self.each_line(&name, &mut |line| {
                // One without its end was cut short, and came again when the restore was resumed.
                let line = line.strip_suffix(b"\t").filter(|line| known.add(line));
                line.map(&mut *each).unwrap_or_default();
            })?;
        }
        Ok(())
    }

    /// Gives each line of the list that is in DIR already, if there is one.
    fn each_listed(&self, each: &mut dyn FnMut(&[u8])) -> Result<(), DestinationError> {
        let root = self.folders.root();
        // Without the option the dataset may have a file of this name.
        if self.folders.map.is_none() || !is_mapped(root) {
            return Ok(());
        }
        let failed = |error: io::Error| DestinationError::io("load", NAMES.as_bytes())(error);
        let flags = OFlags::RDONLY | OFlags::NONBLOCK;
        let file = open_at(root, NAMES.as_bytes(), flags, 0).map_err(failed)?;
        for line in io::BufReader::new(file).split(b'\n') {
            let line = line.map_err(failed)?;
            if line.contains(&b'\t') {
                each(&line);
            }
        }
        Ok(())
    }

    /// How many entries have other names than their own so far.
    pub fn mapped_names(&self) -> Result<u64, DestinationError> {
        let mut count = 0;
        self.each_mapped(&mut |_| count += 1)?;
        Ok(count)
    }

    /// Puts the list into DIR, if there is anything to be listed.
    pub(super) fn list_names(&self) -> Result<(), DestinationError> {
        let list = self.folders.map.as_ref().and_then(|map| map.list.as_ref());
        list.iter().for_each(|list| list.close());
        if self.state_names(LINES)?.is_empty() {
            return Ok(());
        }
        let failed = |error: io::Error| DestinationError::io("save", NAMES.as_bytes())(error);
        let mut list =
            io::BufWriter::new(UnfinishedFile::begin(&self.work, NAMES).map_err(failed)?);
        let mut written = list.write_all([HEAD, ABOUT].concat().as_bytes());
        self.each_mapped(&mut |line| {
            if written.is_ok() {
                written = list.write_all(&[line, b"\n"].concat());
            }
        })?;
        let end = || -> io::Result<()> {
            written?;
            let mut list = list.into_inner().map_err(io::IntoInnerError::into_error)?;
            list.open_to_all();
            list.end_in(&self.work, self.folders.root(), NAMES)
        };
        end().map_err(failed)
    }
}
