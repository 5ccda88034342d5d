//! What of SOURCE is packed, as it was typed: `--exclude`, and the lists of `--exclude-from` and
//! `--files-from`.

use super::args::pack::ContentsArgs;
use super::exit::Status;
use super::refusal::Refusal;
use super::stop;
use crate::dataset::Contents;
use crate::format::list::shown_path;
use crate::patterns::ListedPaths;
use crate::patterns::lines::{LineError, patterns_of};
use crate::patterns::listed::{EndOfPath, ListError};
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The longest file of patterns that is read.
const MAX_PATTERN_BYTES: u64 = 16 << 20;

/// A list that cannot be used.
#[derive(Debug, thiserror::Error)]
enum ListRefusal {
    #[error("read {path}")]
    Read { path: String, source: io::Error },
    #[error("{path}")]
    Pattern { path: String, source: LineError },
    #[error("{path}")]
    Paths { path: String, source: ListError },
}

/// What is packed of this source. `recipient_files` may be standard input, too.
pub fn contents(
    args: ContentsArgs,
    source: &Path,
    recipient_files: &[PathBuf],
) -> Result<Contents, Refusal> {
    let lists = args.exclude_from.iter().chain(&args.files_from).chain(recipient_files);
    if lists.filter(|path| path.as_os_str() == "-").count() > 1 {
        return Err(Refusal::usage(
            "more than one option reads standard input",
            "put one of the lists into a file",
        ));
    }
    let mut exclude_from = Vec::new();
    for path in &args.exclude_from {
        exclude_from.extend(patterns(path)?);
    }
    let files = match &args.files_from {
        Some(path) => Some(Arc::new(files(path, args.from0, source)?)),
        None => None,
    };
    Ok(Contents {
        exclude: args.exclude,
        exclude_from,
        exclude_caches: args.exclude_caches,
        files,
        one_file_system: args.one_file_system,
    })
}

/// The patterns in a file.
fn patterns(path: &Path) -> Result<Vec<String>, Refusal> {
    let shown = shown(path);
    let read = || {
        let mut text = Vec::new();
        open(path)?.take(MAX_PATTERN_BYTES + 1).read_to_end(&mut text)?;
        if text.len() as u64 > MAX_PATTERN_BYTES {
            return Err(io::Error::from(io::ErrorKind::FileTooLarge));
        }
        Ok(text)
    };
    let text = stop::waiting(read).map_err(|source| {
        let hint = "--exclude-from names a file with one pattern per line, or - for standard input";
        refused(ListRefusal::Read { path: shown.clone(), source }, hint)
    })?;
    patterns_of(&text).map_err(|source| {
        let hint = "each line is a pattern as --exclude takes it; # begins a comment";
        refused(ListRefusal::Pattern { path: shown, source }, hint)
    })
}

/// The paths in a list.
fn files(path: &Path, from0: bool, source: &Path) -> Result<ListedPaths, Refusal> {
    if source.is_file() {
        return Err(Refusal::usage(
            format!("--files-from names paths in a folder, and {} is a file", source.display()),
            "name the folder that the paths start from",
        ));
    }
    let shown = shown(path);
    let full = std::path::absolute(source).unwrap_or_else(|_| source.into());
    let end = if from0 { EndOfPath::Zero } else { EndOfPath::Line };
    let is_there = |typed: &[u8]| is_there(source, typed);
    let whole = full.as_os_str().as_bytes();
    let read = || ListedPaths::read(BufReader::new(open(path)?), end, whole, &is_there);
    let paths = stop::waiting(read).map_err(|error| {
        let hint = match &error {
            ListError::Zero => "if a zero byte ends each path, as find -print0 writes them: add -0",
            ListError::TooLarge => "name folders: all that lies in one is packed",
            ListError::Read(_) => {
                "--files-from names a file with one path per line, or - for standard input"
            }
        };
        match error {
            ListError::Read(source) => {
                refused(ListRefusal::Read { path: shown.clone(), source }, hint)
            }
            source => refused(ListRefusal::Paths { path: shown.clone(), source }, hint),
        }
    })?;
    let (impossible, count) = paths.impossible();
    let first = impossible.first().map(|first| first.path.as_slice());
    if let Some(first) = paths.unseen().next().or(first)
        && !paths.has_all_of(b"")
        && !paths.unseen().any(is_there)
    {
        let all = paths.unseen().count() as u64 + count;
        return Err(Refusal::usage(
            format!(
                "nothing that --files-from names is in {}: {all} in all, such as {}",
                source.display(),
                shown_path(first)
            ),
            "each line is a path that starts from SOURCE, without a / before it, or a full path in it",
        ));
    }
    Ok(paths)
}

/// Does a path of the list lead to anything? What cannot be looked at may.
fn is_there(source: &Path, typed: &[u8]) -> bool {
    let found = source.join(OsStr::from_bytes(typed)).symlink_metadata();
    let is_not = [io::ErrorKind::NotFound, io::ErrorKind::NotADirectory];
    found.map_or_else(|error| !is_not.contains(&error.kind()), |_| true)
}

fn open(path: &Path) -> io::Result<Box<dyn Read>> {
    if path.as_os_str() == "-" {
        Ok(Box::new(io::stdin()))
    } else {
        Ok(Box::new(File::open(path)?))
    }
}

fn shown(path: &Path) -> String {
    if path.as_os_str() == "-" { "standard input".into() } else { path.display().to_string() }
}

fn refused(error: ListRefusal, hint: &str) -> Refusal {
    Refusal::failed(error).hint(hint).status(Status::Usage)
}
