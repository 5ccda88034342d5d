//! What shows a job: it is told when a phase or a drive comes and goes, and looks at the counters
//! when a line is due.

use super::model::{DriveProgress, PhaseProgress};
use crate::format::shown::shown_text;
use crate::monitor::Problem;
use std::sync::Arc;

/// Problems of one kind that are shown as they come; a source that fails as a whole does not bury
/// the screen.
const LIVE_PROBLEMS: u64 = 10;

/// One way to show a job.
pub trait Renderer: Send + Sync {
    /// A phase begins.
    fn begin(&self, phase: &Arc<PhaseProgress>);

    /// A drive joins the phase, perhaps in the place of another of its number.
    fn drive(&self, phase: &Arc<PhaseProgress>, drive: &Arc<DriveProgress>) {
        let _ = (phase, drive);
    }

    /// The phase is over; nothing is shown of it any more.
    fn end(&self, phase: &PhaseProgress);

    /// Shows a whole line that stays.
    fn say(&self, line: &str);

    /// Shows a problem, the `count`th of its kind.
    fn problem(&self, problem: &Problem, count: u64) {
        if count <= LIVE_PROBLEMS {
            self.say(&format!("problem: {}", shown_text(&problem.to_string())));
        } else if count == LIVE_PROBLEMS + 1 {
            let kind = problem.kind.name();
            self.say(&format!("note: further problems of this kind ({kind}) are only counted"));
        }
    }

    fn note(&self, text: &str) {
        self.say(&format!("note: {}", shown_text(text)));
    }

    /// The job was asked to stop; says so.
    fn stopping(&self, text: &str) {
        self.note(text);
    }
}

/// Shows nothing while a job runs.
pub struct Silence;

impl Renderer for Silence {
    fn begin(&self, _: &Arc<PhaseProgress>) {}
    fn end(&self, _: &PhaseProgress) {}
    fn say(&self, _: &str) {}
}
