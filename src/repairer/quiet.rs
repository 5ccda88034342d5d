//! The monitor of the search for damage: what is about to be repaired is no problem of its own.
//! What is left in the end is reported by a search that is listened to.

use crate::monitor::{Event, Monitor, ProblemKind};

/// Passes everything on but damage.
pub struct Quiet<'a>(pub &'a dyn Monitor);

impl Monitor for Quiet<'_> {
    fn event(&self, event: Event<'_>) {
        if !matches!(event, Event::Problem(problem) if problem.kind == ProblemKind::Damage) {
            self.0.event(event);
        }
    }

    fn should_stop(&self) -> bool {
        self.0.should_stop()
    }
}
