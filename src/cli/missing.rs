//! `--missing FILE`: the path of everything that is not there, one a line, while the screen shows
//! the first of them only. Backslashes, control characters and bytes that are not UTF-8 are
//! escapes. A list that is there is replaced once the new one is finished: a command that restores
//! nothing leaves it as it is. Lists are marked as such where the file system has attributes, so
//! that another text is not taken for one.

use crate::monitor::{Event, Monitor, Problem, ProblemKind};
use crate::opening::own_disks::holdall_around;
use parking_lot::Mutex;
use rustix::fs::{XattrFlags, fgetxattr, fsetxattr};
use rustix::io::Errno;
use std::fs::{self, File};
use std::io::{self, BufWriter, Read as _, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What of a list is looked at to see that it is one.
const LOOKED_AT: u64 = 64 << 10;
/// How a line begins that is part of a key, or stands beside one.
const OF_KEYS: [&str; 5] = ["AGE-", "age-encryption.org/", "-----BEGIN ", "# created:", "# public"];

/// The attribute of a list.
const MARK: &str = "user.holdall.missing";

/// Why nothing may be written to a file of this path: what it is. Where files cannot be marked, any
/// other text may be an earlier list.
pub fn why_not(path: &Path, identities: &[PathBuf]) -> Option<String> {
    let id = |path: &Path| fs::metadata(path).ok().map(|found| (found.dev(), found.ino()));
    if identities.iter().any(|identity| id(path).is_some_and(|file| id(identity) == Some(file))) {
        return Some("is the identity that -i names".into());
    }
    if let Some(folder) = holdall_around(path) {
        return Some(format!("lies in {}, where a drive keeps its sets", folder.display()));
    }
    if !fs::metadata(path).is_ok_and(|found| found.is_file()) {
        return None;
    }
    let mut bytes = Vec::new();
    let opened = File::open(path);
    let is_unmarked = |file: &File| fgetxattr(file, MARK, &mut [0u8; 8][..]) == Err(Errno::NODATA);
    let is_another = opened.as_ref().is_ok_and(is_unmarked);
    let read = opened.and_then(|file| file.take(LOOKED_AT).read_to_end(&mut bytes));
    let text = match (read, std::str::from_utf8(&bytes)) {
        (Ok(_), Ok(text)) => text,
        (Ok(_), Err(e)) if e.error_len().is_none() => {
            std::str::from_utf8(&bytes[..e.valid_up_to()]).unwrap_or_default()
        }
        _ => return Some("is no list of paths".into()),
    };
    if text.lines().any(|line| OF_KEYS.iter().any(|begins| line.starts_with(begins))) {
        return Some("holds a key".into());
    }
    let is_list = text.chars().all(|c| c == '\n' || !c.is_control());
    if is_list && is_another && !text.is_empty() {
        return Some("is no list that holdall wrote".into());
    }
    (!is_list).then(|| "is no list of paths".into())
}

/// A list that gets its name at its end; removed if that never comes.
struct Unnamed {
    path: PathBuf,
    name: PathBuf,
}

impl Drop for Unnamed {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// Passes everything on, and writes what is missing to a file.
pub struct MissingList<'a> {
    inner: &'a dyn Monitor,
    file: Mutex<(BufWriter<File>, Option<io::Error>)>,
    /// none for what is no plain file, such as a pipe: that is written at once
    unnamed: Option<Unnamed>,
}

impl<'a> MissingList<'a> {
    /// Begins the list, beside the file of that name if there is one.
    pub fn create(path: &Path, inner: &'a dyn Monitor) -> io::Result<Self> {
        let there = path.symlink_metadata().ok();
        let (file, unnamed) = if there.as_ref().is_none_or(fs::Metadata::is_file) {
            let mut name = path.file_name().ok_or(io::ErrorKind::IsADirectory)?.to_owned();
            name.push(format!(".{}.part", std::process::id()));
            let part = path.with_file_name(name);
            let file = File::create_new(&part)?;
            let _ = fsetxattr(&file, MARK, b"1", XattrFlags::empty());
            let unnamed = Unnamed { path: part, name: path.into() };
            there.map_or(Ok(()), |there| file.set_permissions(there.permissions()))?;
            (file, Some(unnamed))
        } else {
            (File::create(path)?, None)
        };
        Ok(Self { inner, file: Mutex::new((BufWriter::new(file), None)), unnamed })
    }

    /// Ends the list, and gives it its name; the first error there was.
    pub fn finish(self) -> io::Result<()> {
        let (mut file, error) = self.file.into_inner();
        error.map_or(Ok(()), Err)?;
        file.flush()?;
        self.unnamed.map_or(Ok(()), |unnamed| fs::rename(&unnamed.path, &unnamed.name))
    }
}

impl Monitor for MissingList<'_> {
    fn event(&self, event: Event<'_>) {
        use ProblemKind::{Lost, Refused, SourceUnreadable, Waiting};
        if let Event::Problem(Problem { kind, subject, .. }) = event
            && matches!(kind, Lost | Waiting | Refused | SourceUnreadable)
        {
            let mut guard = self.file.lock();
            let (file, error) = &mut *guard;
            if let Err(e) = writeln!(file, "{subject}") {
                error.get_or_insert(e);
            }
        }
        self.inner.event(event);
    }

    fn should_stop(&self) -> bool {
        self.inner.should_stop()
    }
}
