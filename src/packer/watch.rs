//! Tells a file that cannot be read from a source that is gone.
//!
//! - Enters: each piece of work that is done, in order, before it is placed.
//! - Leaves: that packing goes on; or [`PackError::SourceGone`], and then nothing of this piece is
//!   placed: it is packed when the source is there again.
//! - Always holds: memory is constant. Which files could not be read is remembered for their other
//!   names, as hashes, up to [`KNOWN_VOID`] of them.

use super::error::PackError;
use crate::dataset::work::{Done, EntryOutcome, PieceOutcome, list_entries};
use crate::dataset::{Source, SourceError};
use crate::format::list::{Entry, Kind};
use crate::stages::listing::voided;
use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

/// So many files in a row that the medium does not give, and none before: it is the source.
const IN_A_ROW: u32 = 16;
/// Files that could not be read, of which other names are known again: 16 MiB at most.
const KNOWN_VOID: usize = 1 << 20;

pub struct Watch<'a> {
    source: &'a Source,
    /// the last file that could be read
    read: Option<Arc<Entry>>,
    /// failures since then
    failures: u32,
    void: HashSet<u64>,
}

impl<'a> Watch<'a> {
    /// Of a source from which nothing was read yet.
    pub fn new(source: &'a Source) -> Self {
        Self { source, read: None, failures: 0, void: HashSet::new() }
    }

    /// Looks at the source if this piece of work could not be read; says of hard links to files
    /// that could not be read that they cannot be either.
    pub fn look(&mut self, done: &mut Done) -> Result<(), PackError> {
        match done {
            Done::Group { entries, listing, .. } => {
                let mut is_listed = true;
                for (entry, outcome) in entries.iter_mut() {
                    if entry.kind == Kind::HardLink && self.void.contains(&key(&entry.target)) {
                        *outcome = EntryOutcome::Unreadable(SourceError::void_link(entry));
                        *entry = Arc::new(voided((**entry).clone()));
                        is_listed = false;
                    }
                    match outcome {
                        EntryOutcome::Bytes { .. } => self.succeeded(entry),
                        EntryOutcome::Unreadable(e) => self.failed(entry, e)?,
                        EntryOutcome::NoBytes => {}
                    }
                }
                if !is_listed {
                    *listing = list_entries(entries, None);
                }
                Ok(())
            }
            Done::Piece { entry, outcome, .. } => match outcome {
                PieceOutcome::Bytes { .. } => {
                    self.succeeded(entry);
                    Ok(())
                }
                PieceOutcome::Unreadable(e) => self.failed(entry, e),
                PieceOutcome::Hole { .. } => Ok(()),
            },
            Done::Unreadable(entry, e) => self.failed(entry, e),
            Done::Again(_) => Ok(()),
        }
    }

    fn succeeded(&mut self, entry: &Arc<Entry>) {
        self.failures = 0;
        if self.read.as_ref().is_none_or(|read| !Arc::ptr_eq(read, entry)) {
            self.read = Some(entry.clone());
        }
    }

    fn failed(&mut self, entry: &Entry, e: &SourceError) -> Result<(), PackError> {
        self.failures += u32::from(e.is_of_medium());
        self.source.check(e, self.read.as_ref().map(|read| &read.path[..]))?;
        if self.read.is_none() && self.failures >= IN_A_ROW {
            return Err(SourceError::all_fail(e).into());
        }
        if self.void.len() < KNOWN_VOID {
            self.void.insert(key(&entry.path));
        }
        Ok(())
    }
}

fn key(path: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    path.hash(&mut hasher);
    hasher.finish()
}
