//! The problems of a job, by kind.
//!
//! - Enters: each [`Problem`], once.
//! - Leaves: counts, the first of each kind, and the list for the end of a job.
//! - Always holds: counts are exact, and what is kept is a constant: the first [`KEPT`] of a kind.

use crate::cli::sizes::shown_count;
use crate::format::shown::shown_text;
use crate::monitor::{Problem, ProblemKind};
use std::collections::BTreeMap;
use std::fmt::Write;

/// Problems of one kind that are kept for the final list.
pub const KEPT: usize = 20;

/// The problems of a job so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problems {
    kinds: BTreeMap<ProblemKind, KindProblems>,
}

/// The problems of one kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KindProblems {
    /// all of them
    pub count: u64,
    /// the first 20
    pub first: Vec<Problem>,
}

impl Problems {
    /// Counts `problem` and keeps it if it is among the first; says how many of its kind there are
    /// now.
    pub fn add(&mut self, problem: Problem) -> u64 {
        let kind = self.kinds.entry(problem.kind).or_default();
        kind.count += 1;
        if kind.first.len() < KEPT {
            kind.first.push(problem);
        }
        kind.count
    }

    /// All of them, of every kind.
    pub fn count(&self) -> u64 {
        self.kinds.values().map(|kind| kind.count).sum()
    }

    /// Whether there was none.
    pub fn is_empty(&self) -> bool {
        self.kinds.is_empty()
    }

    /// The kinds that occurred, in their own order.
    pub fn kinds(&self) -> impl Iterator<Item = (ProblemKind, &KindProblems)> {
        self.kinds.iter().map(|(&kind, problems)| (kind, problems))
    }

    /// Each kind with its count, its first problems, and how many more; empty without problems,
    /// and without a line end behind the last.
    pub fn listing(&self) -> String {
        if self.is_empty() {
            return String::new();
        }
        let mut text = format!("problems: {}", shown_count(self.count()));
        for (kind, KindProblems { count, first }) in self.kinds() {
            let _ = write!(text, "\n  {}: {}", kind.name(), shown_count(*count));
            for problem in first {
                let _ = write!(text, "\n    {}", shown_text(&problem.to_string()));
            }
            let more = count - first.len() as u64;
            if more > 0 {
                let _ = write!(text, "\n    and {} more", shown_count(more));
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_says_what_it_leaves_out() {
        let mut problems = Problems::default();
        assert_eq!(problems.listing(), "");
        problems.add(Problem::new(ProblemKind::Drive, "north /media/usb-a", "vanished\n"));
        for i in 0..1234 {
            problems.add(Problem::new(ProblemKind::SourceUnreadable, i, "permission denied"));
        }
        let listing = problems.listing();
        let lines: Vec<&str> = listing.lines().collect();
        assert_eq!(lines[0], "problems: 1,235");
        assert_eq!(lines[1], "  could not be read: 1,234");
        assert_eq!(lines[2], "    0: permission denied");
        assert_eq!(lines[21], "    19: permission denied");
        assert_eq!(lines[22], "    and 1,214 more");
        assert_eq!(lines[23], "  drive failed: 1");
        assert_eq!(lines[24], "    north /media/usb-a: vanished\\n");
        assert_eq!(lines.len(), 25);
    }
}
