//! What became of an entry, counted and noted: it is in place, was packed badly, is not there, or the
//! destination does not take it.

use super::super::decode::Absent;
use super::super::ledger::{Fate, Line};
use super::super::open_file::OpenFile;
use super::super::special::Specials;
use super::super::write::Target;
use super::{Files, RestoreError};
use crate::destination::{DestinationError, MetadataProblem};
use crate::format::list::{Entry, Kind};
use crate::restorer::packing_faults::MIXTURE;
use std::sync::Arc;

impl Files<'_> {
    pub(super) fn placed(
        &mut self,
        entry: &Entry,
        problems: &[MetadataProblem],
    ) -> Result<(), RestoreError> {
        self.restored.entries += 1;
        self.restored.made.add(Specials::of_made(entry, self.output.sets_owners(), problems));
        if entry.kind == Kind::File {
            self.restored.files += 1;
            let bytes = &mut self.restored.file_bytes;
            *bytes = bytes.saturating_add(entry.size); // holes too: more than there are disks
            if entry.whole {
                self.monitor.advance(entry.size);
            }
            if entry.changed {
                self.packed_badly(entry, Fate::Changed, MIXTURE)?;
            }
        }
        if self.restored.metadata_problems == 0 && !problems.is_empty() {
            self.output.note_metadata(self.open.set.set)?;
        }
        self.restored.count_metadata(problems);
        Ok(())
    }

    pub(super) fn packed_badly(
        &mut self,
        entry: &Entry,
        fate: Fate,
        detail: &str,
    ) -> Result<(), RestoreError> {
        self.restored.packed_badly += 1;
        self.ledger.note(fate, entry.shown(), detail)
    }

    /// Counts and lists a file that is not there.
    pub(super) fn report_absent(
        &mut self,
        entry: &Entry,
        detail: &str,
        absent: Absent,
    ) -> Result<(), RestoreError> {
        let waits = absent == Absent::Waits && !self.options.give_up;
        if waits && let Some(error) = self.output.is_anothers(&entry.path) {
            return self.not_placed(entry, error); // no drive would help
        }
        if absent == Absent::Waits
            && let Some(reason) = self.ledger.refusal(entry)
        {
            let reason = reason.to_owned();
            return self.note_refused(entry, &reason);
        }
        let fate = if waits {
            self.restored.waiting += 1;
            Fate::Waits
        } else {
            self.restored.lost += 1;
            Fate::Lost
        };
        self.ledger.note(fate, entry.shown(), detail)
    }

    /// A larger file that the destination does not take: what was written of it makes room.
    pub(super) fn refuse(
        &mut self,
        file: OpenFile,
        error: DestinationError,
    ) -> Result<(), RestoreError> {
        let entry = file.target.entry.clone();
        if self.output.is_ended_by(&error) {
            return Err(error.into());
        }
        if let Some(Target { part, .. }) = Arc::into_inner(file.target) {
            part.discard();
        }
        self.not_placed(&entry, error)
    }

    pub(super) fn not_placed(
        &mut self,
        entry: &Entry,
        error: DestinationError,
    ) -> Result<(), RestoreError> {
        if self.output.is_ended_by(&error) {
            return Err(error.into());
        }
        self.note_refused(entry, &error.reason())
    }

    /// Counts and notes an entry that the destination does not take.
    fn note_refused(&mut self, entry: &Entry, reason: &str) -> Result<(), RestoreError> {
        let line = Line::new(self.restored.refuse(entry), entry.shown(), reason);
        // The set before has named the folders with which this one begins, and perhaps the file.
        let first = self.restored.bounds.first.as_ref();
        let is_first = first.is_none_or(|first| *first == line.path);
        self.ledger.add(&Line { shared: is_first && self.open.set.set.0 > 1, ..line })
    }
}
