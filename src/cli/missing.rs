//! `--missing FILE`: the path of everything that is not there, one a line, while the screen shows the
//! first of them only. Backslashes, control characters and bytes that are not UTF-8 are escapes.

use crate::monitor::{Monitor, Phase, Problem, ProblemKind};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// Passes everything on, and writes what is missing to a file.
pub struct MissingList<'a> {
    inner: &'a dyn Monitor,
    file: Mutex<(BufWriter<File>, Option<io::Error>)>,
}

impl<'a> MissingList<'a> {
    /// Begins the file; one of that name is replaced.
    pub fn create(path: &Path, inner: &'a dyn Monitor) -> io::Result<Self> {
        let file = BufWriter::new(File::create(path)?);
        Ok(Self { inner, file: Mutex::new((file, None)) })
    }

    /// Ends the file; the first error there was.
    pub fn finish(self) -> io::Result<()> {
        let (mut file, error) = self.file.into_inner().unwrap_or_else(PoisonError::into_inner);
        error.map_or(Ok(()), Err)?;
        file.flush()
    }
}

impl Monitor for MissingList<'_> {
    fn phase(&self, phase: Phase, total: u64) {
        self.inner.phase(phase, total);
    }

    fn advance(&self, amount: u64) {
        self.inner.advance(amount);
    }

    fn retotal(&self, total: u64) {
        self.inner.retotal(total);
    }

    fn drive(&self, drive: usize, name: &str, total: u64) {
        self.inner.drive(drive, name, total);
    }

    fn drive_advance(&self, drive: usize, bytes: u64) {
        self.inner.drive_advance(drive, bytes);
    }

    fn problem(&self, problem: Problem) {
        use ProblemKind::{Lost, Refused, SourceUnreadable, Waiting};
        if matches!(problem.kind, Lost | Waiting | Refused | SourceUnreadable) {
            let mut guard = self.file.lock().unwrap_or_else(PoisonError::into_inner);
            let (file, error) = &mut *guard;
            if let Err(e) = writeln!(file, "{}", problem.subject) {
                error.get_or_insert(e);
            }
        }
        self.inner.problem(problem);
    }

    fn note(&self, text: &str) {
        self.inner.note(text);
    }

    fn should_stop(&self) -> bool {
        self.inner.should_stop()
    }
}
