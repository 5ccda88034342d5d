//! Counts entries, and notes what is wrong with them: packed badly, not there, or refused by the
//! destination.

use super::decode::Absent;
use super::error::RestoreError;
use super::fate::{EntryFate, Fate};
use super::packing_faults::MIXTURE;
use super::restored::Restored;
use super::special::Specials;
use super::walk::SetWalk;
use crate::destination::{DestinationError, MetadataProblem};
use crate::format::list::{Entry, Kind};

/// The counts of a walk, and its ledger.
pub struct Account<'a> {
    pub walk: SetWalk<'a>,
    pub restored: &'a mut Restored,
}

impl<'a> Account<'a> {
    pub fn new(walk: SetWalk<'a>, restored: &'a mut Restored) -> Self {
        Self { walk, restored }
    }

    /// Counts an entry that is in place.
    pub fn placed(
        &mut self,
        entry: &Entry,
        problems: &[MetadataProblem],
    ) -> Result<(), RestoreError> {
        let SetWalk { open, output, monitor, .. } = self.walk;
        self.restored.entries += 1;
        self.restored.made.add(Specials::of_made(entry, output.is_root(), problems));
        if entry.kind == Kind::File {
            self.restored.files += 1;
            let bytes = &mut self.restored.file_bytes;
            *bytes = bytes.saturating_add(entry.size); // holes too: more than there are disks
            if entry.whole {
                monitor.advance(entry.size);
            }
            if entry.changed {
                self.packed_badly(entry, Fate::Changed, MIXTURE)?;
            }
        }
        if self.restored.metadata_problems == 0 && !problems.is_empty() {
            output.note_metadata(open.set.set)?;
        }
        self.restored.count_metadata(problems);
        Ok(())
    }

    /// Counts and notes a file that is not what was to be packed.
    pub fn packed_badly(
        &mut self,
        entry: &Entry,
        fate: Fate,
        detail: &str,
    ) -> Result<(), RestoreError> {
        self.restored.packed_badly += 1;
        self.walk.ledger.note(fate, entry.shown(), detail)
    }

    /// Counts and notes a file that is not there.
    pub fn absent(
        &mut self,
        entry: &Entry,
        detail: &str,
        absent: Absent,
    ) -> Result<(), RestoreError> {
        let SetWalk { output, options, ledger, .. } = self.walk;
        let waits = absent == Absent::Waits && !options.give_up;
        if waits && let Some(error) = output.is_anothers(&entry.path) {
            return self.refused(entry, error); // no drive would help
        }
        if absent == Absent::Waits
            && let Some(reason) = ledger.refusal(entry)
        {
            return self.note_refused(entry, reason);
        }
        let fate = if waits {
            self.restored.waiting += 1;
            Fate::Waits
        } else {
            self.restored.lost += 1;
            Fate::Lost
        };
        ledger.note(fate, entry.shown(), detail)
    }

    /// Counts and notes an entry that the destination does not take, unless it fails as a whole.
    pub fn refused(&mut self, entry: &Entry, error: DestinationError) -> Result<(), RestoreError> {
        if self.walk.output.is_ended_by(&error) {
            return Err(error.into());
        }
        self.note_refused(entry, &error.reason())
    }

    fn note_refused(&mut self, entry: &Entry, reason: &str) -> Result<(), RestoreError> {
        let line = EntryFate::new(self.restored.refuse(entry), entry.shown(), reason);
        // The set before has named the folders with which this one begins, and perhaps the file.
        let first = self.restored.bounds.first.as_ref();
        let is_first = first.is_none_or(|first| *first == line.path);
        let shared = is_first && self.walk.open.set.set.0 > 1;
        self.walk.ledger.add(&EntryFate { shared, ..line })
    }
}
