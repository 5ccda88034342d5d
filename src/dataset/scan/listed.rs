//! What of the list of `--files-from` the walk did not come to, and why.
//!
//! - Enters: the list, once the walk has ended.
//! - Leaves: a problem for each path of it that is not there, or can name nothing; one note of those
//!   that another option leaves out.
//! - Always holds: a path that is there is never said to be missing, and no symlink is followed.

use super::look::with_cause;
use super::{ScanError, Walk};
use crate::dataset::beneath::open_beneath;
use crate::format::list::shown_path;
use crate::patterns::listed::Impossible;
use rustix::fs::OFlags;
use rustix::io::Errno;

impl Walk<'_> {
    /// Says what of the list was not come to.
    pub(super) fn report_unseen(&self) -> Result<(), ScanError> {
        let (Some(files), Some((root, _))) = (&self.bounds.options.files, &self.root) else {
            return Ok(());
        };
        let (impossible, count) = files.impossible();
        for Impossible { path, why } in impossible {
            self.problem(path, format!("--files-from names it: {why}"))?;
        }
        let more = count - impossible.len() as u64;
        if more > 0 {
            let why =
                format!("--files-from names {more} more that are not taken, such as the last");
            self.problem(impossible.last().map_or(b"", |last| &last.path), why)?;
        }
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let (mut left_out, mut first) = (0_u64, None);
        for path in files.unseen() {
            let why = match open_beneath(root, path, flags) {
                Ok(_) => {
                    left_out += 1;
                    first.get_or_insert(path);
                    continue;
                }
                Err(Errno::NOENT | Errno::NOTDIR) => "it does not exist".into(),
                Err(Errno::LOOP) => "a symlink leads there; name the path that it leads to".into(),
                Err(errno) => with_cause("it cannot be looked at", errno),
            };
            self.problem(path, format!("--files-from names it: {why}"))?;
        }
        if let Some(first) = first {
            let first = shown_path(first);
            self.monitor.note(&format!(
                "paths that --files-from names and that are left out by another option, or with the \
                 folder they lie in: {left_out}, such as {first}"
            ));
        }
        Ok(())
    }
}
