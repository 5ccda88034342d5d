//! What a scan says of the whole dataset, and of what it leaves out as it was told to.
//!
//! - Enters: folders of other file systems that are not entered, as the walk comes by; its counts.
//! - Leaves: notes, and a problem if no attributes can be read.
//! - Always holds: of many folders the first are named, and the others counted.

use super::Walk;
use crate::format::list::shown_path;
use crate::monitor::{Problem, ProblemKind};

/// Folders that are left out, of which each is named.
pub(super) const NAMED_FOLDERS: u64 = 5;

impl Walk<'_> {
    /// Says of the first folders that are not entered which they are.
    pub(super) fn left_out(&mut self, path: &[u8], why: &str) {
        self.other_file_systems += 1;
        if self.other_file_systems <= NAMED_FOLDERS {
            let path = shown_path(path);
            self.monitor.note(&format!("what lies in {path} is left out: {why}"));
        }
    }

    pub(super) fn report_left_out(&self) {
        let more = self.other_file_systems.saturating_sub(NAMED_FOLDERS);
        if more > 0 {
            self.monitor.note(&format!(
                "other file systems that are left out: {more} more, {} in all",
                self.other_file_systems
            ));
        }
        let forgotten = self.hard_links.forgotten;
        if forgotten > 0 {
            self.monitor.note(&format!(
                "files with names that were too many or too far apart to be remembered: {forgotten}; \
                 further names of theirs are packed as files of their own"
            ));
        }
    }

    /// Says what holds for the attributes of the whole dataset.
    pub(super) fn report_attributes(&self) {
        if !self.reads_attributes {
            let detail = "extended attributes and ACLs are not packed: /proc is not there";
            let subject = self.source.display();
            self.monitor.problem(Problem::new(ProblemKind::Metadata, subject, detail));
        }
        let left_out = self.left_out;
        if left_out > 0 {
            self.monitor.note(&format!(
                "extended attributes that only root can restore are not packed: {left_out}"
            ));
        }
    }
}
