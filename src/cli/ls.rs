//! `ls` on the command line.

use super::args::LsArgs;
use super::exit::Status;
use super::face::Face;
use super::json::{emit, out};
use super::keys::identities;
use super::run::{Refusal, open_refusal};
use crate::format::list::{Entry, Kind, shown_path};
use crate::patterns::typed::Typed;
use crate::verbs::ls::{LsOptions, ls as verb};
use serde_json::json;
use std::os::unix::ffi::OsStringExt;

/// Lists.
pub fn ls(args: LsArgs, face: &Face) -> Result<Status, Refusal> {
    let folder = args.folder.map(OsStringExt::into_vec);
    let folder = folder.map(|typed| Typed::of(&typed)).transpose().map_err(|error| {
        Refusal::failed(error)
            .hint("--in takes a path from the dataset's top, such as 2026/march")
            .status(Status::Usage)
    })?;
    let options = LsOptions {
        paths: args.paths,
        identities: identities(&args.identities)?,
        folder: folder.map(|typed| typed.body),
    };
    let mut text = String::new();
    let mut print = |entry: &Entry| {
        if face.is_json() {
            emit(&entry_json(entry));
            return;
        }
        text.push_str(&line(entry));
        if text.len() > 1 << 16 {
            out(&text);
            text.clear();
        }
    };
    let outcome = verb(&options, face.monitor(), &mut print);
    out(&text);
    let outcome = outcome.map_err(open_refusal)?;
    face.print_problems();
    if outcome.entries == 0
        && let Some(folder) = &options.folder
    {
        return Err(no_such_folder(folder, outcome.complete));
    }
    let whole = outcome.complete && face.problems().is_empty();
    Ok(if whole { Status::Done } else { Status::Problems })
}

fn no_such_folder(folder: &[u8], complete: bool) -> Refusal {
    let hint = if complete {
        "holdall ls without --in lists what there is; drives of other sets may hold more"
    } else {
        "a part of the catalog could not be read: attach other drives of the set"
    };
    let text = format!("no such folder in the sets that are here: {}", shown_path(folder));
    Refusal::usage(text, hint).status(Status::Failed)
}

/// As `ls -l` shows it: mode, owner, group, size, time, path.
fn line(entry: &Entry) -> String {
    let target = match entry.kind {
        Kind::Symlink => format!(" -> {}", super::shown_text(&shown_path(&entry.target))),
        Kind::HardLink => format!(" = {}", super::shown_text(&shown_path(&entry.target))),
        _ => String::new(),
    };
    let path = entry.shown();
    let path = super::shown_text(&path);
    format!(
        "{} {:>5} {:>5} {:>13} {} {path}{target}\n",
        mode_text(entry),
        entry.uid,
        entry.gid,
        entry.size,
        time_text(entry),
    )
}

/// `drwxr-xr-x`
fn mode_text(entry: &Entry) -> String {
    let kind = match entry.kind {
        Kind::Folder => 'd',
        Kind::File => '-',
        Kind::HardLink => 'h',
        Kind::Symlink => 'l',
        Kind::Fifo => 'p',
        Kind::CharDevice => 'c',
        Kind::BlockDevice => 'b',
        Kind::Socket => 's',
    };
    let mut text = String::from(kind);
    for (shift, special, on) in [(6, 0o4000, 's'), (3, 0o2000, 's'), (0, 0o1000, 't')] {
        let bits = entry.mode >> shift;
        text.push(if bits & 4 != 0 { 'r' } else { '-' });
        text.push(if bits & 2 != 0 { 'w' } else { '-' });
        let execute = bits & 1 != 0;
        text.push(match (entry.mode & special != 0, execute) {
            (true, true) => on,
            (true, false) => on.to_ascii_uppercase(),
            (false, true) => 'x',
            (false, false) => '-',
        });
    }
    text
}

/// In UTC, to the second.
fn time_text(entry: &Entry) -> String {
    jiff::Timestamp::from_second(entry.mtime)
        .map_or_else(|_| entry.mtime.to_string(), |t| t.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
}

fn entry_json(entry: &Entry) -> serde_json::Value {
    let kind = match entry.kind {
        Kind::Folder => "folder",
        Kind::File => "file",
        Kind::HardLink => "hard-link",
        Kind::Symlink => "symlink",
        Kind::Fifo => "fifo",
        Kind::CharDevice => "character-device",
        Kind::BlockDevice => "block-device",
        Kind::Socket => "socket",
    };
    json!({
        "event": "entry",
        "path": shown_path(&entry.path),
        "kind": kind,
        "mode": format!("{:04o}", entry.mode),
        "uid": entry.uid,
        "gid": entry.gid,
        "size": entry.size,
        "mtime": entry.mtime,
        "mtime_nanos": entry.mtime_nanos,
        "target": (!entry.target.is_empty()).then(|| shown_path(&entry.target)),
    })
}
