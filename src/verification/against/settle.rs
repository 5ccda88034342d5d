//! What is begun together, and what is said of it, in order.

use super::Comparison;
use super::checks::{Check, Finding, Mark};
use crate::monitor::ProblemKind;
use crate::pipeline;
use crate::restorer::OpenSet;
use std::convert::Infallible;

/// Bytes of the checks that are begun together, about.
const BATCH_BYTES: u64 = 128 << 20;
/// The most of these: each may hold a file open.
const BATCH_CHECKS: usize = 256;

impl Comparison<'_> {
    pub(super) fn add(&mut self, check: Check) {
        self.bytes += check.bytes();
        self.checks.push(check);
        if self.bytes >= BATCH_BYTES || self.checks.len() >= BATCH_CHECKS {
            self.run();
        }
    }

    /// Does the checks, and settles them in order.
    pub(super) fn run(&mut self) {
        self.bytes = 0;
        let (source, sets, monitor) = (self.source, self.sets, self.monitor);
        let mut checks = std::mem::take(&mut self.checks).into_iter();
        let depth = checks.len();
        let next = || Ok::<_, Infallible>(checks.next().filter(|_| !monitor.should_stop()));
        let work = |check: Check| check.run(source, sets);
        let settled = pipeline::ordered(depth, next, work, |checked| {
            monitor.advance(checked.bytes);
            checked.findings.into_iter().for_each(|finding| self.settle(finding));
            match checked.mark {
                Some(Mark::Begin) => self.in_large = true,
                Some(Mark::End { void }) => {
                    self.in_large = false;
                    self.pending.take().into_iter().filter(|_| !void).for_each(|f| self.tell(f));
                }
                None => {}
            }
            Ok(())
        });
        settled.unwrap_or_else(|never| match never {});
    }

    /// Of a larger file one finding is told, once it ends.
    fn settle(&mut self, finding: Finding) {
        let first = !matches!(self.pending, None | Some(Finding::Equal { .. }));
        match self.in_large {
            false => self.tell(finding),
            true if first => {}
            true => self.pending = Some(finding),
        }
    }

    fn tell(&mut self, finding: Finding) {
        match finding {
            Finding::Equal { path, bytes } => {
                if self.links.remove(&path) {
                    let text = "it is one file with another here, and two in the dataset".into();
                    return self.tell(Finding::Apart(path, text));
                }
                self.compared.equal += 1;
                self.compared.files += 1;
                self.compared.bytes += bytes;
            }
            Finding::Differs(path, text) => {
                self.links.remove(&path);
                self.compared.differs += 1;
                self.problem(ProblemKind::Differs, &path, text);
            }
            Finding::Unread(path, text) => {
                self.compared.unread += 1;
                self.problem(ProblemKind::SourceUnreadable, &path, text);
            }
            Finding::Apart(path, text) => {
                self.compared.links += 1;
                self.problem(ProblemKind::Differs, &path, text);
            }
            Finding::Untold { paths, detail, differs } => {
                self.compared.untold += paths.len() as u64;
                self.compared.differing_chunks += u64::from(differs);
                let lacks_drives = |open: &OpenSet| !open.set.missing_slots().is_empty();
                let waits = !self.job.is_all || self.sets.iter().any(lacks_drives);
                self.compared.waits |= waits;
                let kind = if waits { ProblemKind::Waiting } else { ProblemKind::Lost };
                for path in paths {
                    self.problem(kind, &path, format!("it could not be compared: {detail}"));
                }
            }
        }
    }
}
