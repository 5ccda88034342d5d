//! What a scan says of the whole dataset, and of what it leaves out as it was told to.
//!
//! - Enters: folders of other file systems that are not entered, as the walk comes by; its counts.
//! - Leaves: notes, and a problem if no attributes can be read.
//! - Always holds: of many folders the first are named, and the others counted.

use super::Walk;
use crate::format::list::shown_path;
use crate::monitor::{Monitor, Problem, ProblemKind};

/// Folders that are left out, of which each is named.
pub(super) const NAMED_FOLDERS: u64 = 5;

impl Walk<'_> {
    /// Counts a folder of which what lies in it is left out, and says of the first which they are.
    pub(super) fn note_first(count: &mut u64, path: &[u8], why: &str, monitor: &dyn Monitor) {
        *count += 1;
        if *count <= NAMED_FOLDERS {
            let path = shown_path(path);
            monitor.note(&format!("what lies in {path} is left out: {why}"));
        }
    }

    pub(super) fn report_left_out(&self) {
        let counts = [("other file systems", self.other_file_systems), ("caches", self.caches)];
        for (what, count) in counts.into_iter().filter(|(_, count)| *count > NAMED_FOLDERS) {
            let more = count - NAMED_FOLDERS;
            self.monitor.note(&format!("{what} that are left out: {more} more, {count} in all"));
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
