//! The monitor of the search for damage: what is about to be repaired is no problem of its own.
//! What is left in the end is reported by a search that is listened to.

use crate::monitor::{Monitor, Phase, Problem, ProblemKind};

/// Passes everything on but damage.
pub struct Quiet<'a>(pub &'a dyn Monitor);

impl Monitor for Quiet<'_> {
    fn phase(&self, phase: Phase, total: u64) {
        self.0.phase(phase, total);
    }

    fn advance(&self, amount: u64) {
        self.0.advance(amount);
    }

    fn retotal(&self, total: u64) {
        self.0.retotal(total);
    }

    fn drive(&self, drive: usize, name: &str, total: u64) {
        self.0.drive(drive, name, total);
    }

    fn drive_advance(&self, drive: usize, bytes: u64) {
        self.0.drive_advance(drive, bytes);
    }

    fn problem(&self, problem: Problem) {
        if problem.kind != ProblemKind::Damage {
            self.0.problem(problem);
        }
    }

    fn note(&self, text: &str) {
        self.0.note(text);
    }

    fn should_stop(&self) -> bool {
        self.0.should_stop()
    }
}
