//! Paths inside a drive: names joined by `/`, relative to the drive's own folder.

use std::io;

/// The names that a path is made of, none for the drive's own folder; fails on a path that is not
/// relative or could lead out of the drive.
pub(super) fn parts(path: &str) -> io::Result<Vec<&str>> {
    let parts: Vec<_> = if path.is_empty() { Vec::new() } else { path.split('/').collect() };
    if parts.iter().any(|part| matches!(*part, "" | "." | "..")) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a path inside a drive"));
    }
    Ok(parts)
}

/// Fails on a path that cannot be a file's.
pub(super) fn check_file(path: &str) -> io::Result<()> {
    if parts(path)?.is_empty() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    Ok(())
}

/// A file's folder, empty for the drive's own, and its name in there.
pub(super) fn folder_and_name(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}
