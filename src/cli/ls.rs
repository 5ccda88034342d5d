//! `ls` on the command line.

use super::args::inspect::LsArgs;
use super::exit::Status;
use super::keys::identities;
use super::output::{emit, end_if_unread, out};
use super::refusal::{Refusal, open_refusal};
use super::sizes::shown_bytes;
use super::text::some;
use super::ui::Ui;
use crate::commands::ls::{LsOptions, ls as command};
use crate::format::list::{Entry, Kind, Lack, shown_path};
use crate::format::shown::shown_text;
use crate::patterns::typed::TypedPattern;
use serde::Serialize;
use std::os::unix::ffi::OsStringExt;

pub fn ls(args: LsArgs, ui: &Ui) -> Result<Status, Refusal> {
    let folder = args.folder.map(OsStringExt::into_vec);
    let folder = folder.map(|typed| TypedPattern::of(&typed)).transpose().map_err(|error| {
        Refusal::failed(error)
            .hint("--in takes a path from the dataset's top, such as 2026/march")
            .status(Status::Usage)
    })?;
    let options = LsOptions {
        paths: args.paths,
        identities: identities(&args.identities, ui)?,
        folder: folder.map(|typed| typed.body),
    };
    let (mut text, human) = (String::new(), args.human);
    let (mut files, mut bytes) = (0, 0_u64);
    let mut print = |entry: &Entry, unread: bool| {
        if ui.is_json() {
            emit("entry", &EntryEvent::new(entry, unread));
            return end_if_unread();
        }
        if entry.kind == Kind::File {
            (files, bytes) = (files + 1, bytes.saturating_add(entry.size));
        }
        text.push_str(&line(entry, unread, human));
        if text.len() > 1 << 16 {
            out(&text);
            end_if_unread();
            text.clear();
        }
    };
    let outcome = command(&options, ui.monitor(), &mut print);
    out(&text);
    let outcome = outcome.map_err(open_refusal)?;
    if human && outcome.entries > 0 {
        let (entries, files) = (some(outcome.entries, "entry"), some(files, "file"));
        out(&format!("In total {entries}: {files}, {}\n", shown_bytes(bytes)));
    }
    if outcome.not_taken > 0 {
        ui.monitor().note(&format!(
            "{}, marked with [ ], could not be packed in full: the missing parts are in no set",
            some(outcome.not_taken, "entry")
        ));
    }
    ui.print_problems();
    if outcome.entries == 0
        && let Some(folder) = &options.folder
    {
        return Err(no_such_folder(folder, outcome.complete));
    }
    let whole = outcome.complete && outcome.not_taken == 0 && ui.problems().is_empty();
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
fn line(entry: &Entry, unread: bool, human: bool) -> String {
    let target = match entry.kind {
        Kind::Symlink => format!(" -> {}", shown_text(&shown_path(&entry.target))),
        Kind::HardLink => format!(" = {}", shown_text(&shown_path(&entry.target))),
        _ => String::new(),
    };
    let path = entry.shown();
    let path = shown_text(&path);
    let lacks = lacks(entry, unread).join(", ").replace('-', " ");
    let lacks = if lacks.is_empty() { lacks } else { format!("  [lacks {lacks}]") };
    if entry.kind == Kind::Unknown {
        let unknown = format!("{:>5} {:>5} {:>13} {:>20}", '?', '?', '?', '?');
        return format!("{} {unknown} {path}{lacks}\n", "?".repeat(10));
    }
    format!(
        "{} {:>5} {:>5} {:>13} {} {path}{target}{lacks}\n",
        mode_text(entry),
        entry.uid,
        entry.gid,
        if human { shown_bytes(entry.size) } else { entry.size.to_string() },
        time_text(entry),
    )
}

/// What of an entry the packer could not take.
fn lacks(entry: &Entry, unread: bool) -> Vec<&'static str> {
    let of_entry = entry.lacks.iter().map(|lack| match lack {
        Lack::Names => "names",
        Lack::SomeNames => "some-names",
        Lack::Attributes => "attributes",
        Lack::AllAttributes => "all-attributes",
    });
    let metadata = (entry.kind == Kind::Unknown).then_some("metadata");
    let bytes = unread.then_some("bytes");
    metadata.into_iter().chain(bytes).chain(of_entry).collect()
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
        Kind::Unknown => '?',
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

/// For programs.
fn kind_word(kind: Kind) -> &'static str {
    match kind {
        Kind::Folder => "folder",
        Kind::File => "file",
        Kind::HardLink => "hard-link",
        Kind::Symlink => "symlink",
        Kind::Fifo => "fifo",
        Kind::CharDevice => "character-device",
        Kind::BlockDevice => "block-device",
        Kind::Socket => "socket",
        Kind::Unknown => "unknown",
    }
}

/// The same for programs.
#[derive(Serialize)]
struct EntryEvent {
    path: String,
    kind: &'static str,
    lacks: Vec<&'static str>,
    mode: String,
    uid: u32,
    gid: u32,
    size: u64,
    mtime: i64,
    mtime_nanos: u32,
    target: Option<String>,
}

impl EntryEvent {
    fn new(entry: &Entry, unread: bool) -> Self {
        Self {
            path: shown_path(&entry.path),
            kind: kind_word(entry.kind),
            lacks: lacks(entry, unread),
            mode: format!("{:04o}", entry.mode),
            uid: entry.uid,
            gid: entry.gid,
            size: entry.size,
            mtime: entry.mtime,
            mtime_nanos: entry.mtime_nanos,
            target: (!entry.target.is_empty()).then(|| shown_path(&entry.target)),
        }
    }
}
