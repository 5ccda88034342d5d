//! `report` on the command line: the words of the page, and the file that it becomes.

use super::args::report::ReportArgs;
use super::exit::Status;
use super::keys::identities;
use super::output::{emit, out};
use super::refusal::{Refusal, open_refusal};
use super::show;
use super::text::some;
use super::ui::Ui;
use crate::commands::report::{Gathered, gather};
use crate::commands::status::SetEnd;
use crate::entropy::System;
use crate::format::ids::ShipmentId;
use crate::format::shown::shown_text;
use crate::plan::survive::Survive;
use crate::report::facts::{SetPage, ShipmentPage};
use crate::report::{FIRST_LINES, Paper, labels_only, whole};
use serde::Serialize;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Makes the page.
pub fn report(args: &ReportArgs, ui: &Ui) -> Result<Status, Refusal> {
    let to_output = args.output == Path::new("-");
    if to_output && ui.is_json() {
        return Err(Refusal::usage(
            "with --json, standard output is not for the page",
            "name a file with -o",
        ));
    }
    if !to_output {
        Target::of(&args.output).map_err(|error| not_written(&args.output, error))?;
    }
    let keys = match &args.identities[..] {
        [] => None,
        files => Some(identities(files, ui)?),
    };
    let gathered = gather(&args.paths, keys.as_ref(), &System, ui.monitor());
    let page = in_words(gathered.map_err(open_refusal)?);
    ui.finish();
    ui.print_problems();
    let paper = args.size.map(Paper::from);
    let html = if args.labels { labels_only(&page, paper) } else { whole(&page, paper) };
    if to_output {
        out(&html);
    } else {
        let is_private = page.dataset.is_some();
        Target::of(&args.output)
            .and_then(|target| target.write(html.as_bytes(), is_private))
            .map_err(|error| not_written(&args.output, error))?;
        tell(&page, args, ui);
    }
    Ok(if ui.problems().is_empty() { Status::Done } else { Status::Problems })
}

/// The page with its sentences.
fn in_words(gathered: Gathered) -> ShipmentPage {
    let Gathered { mut page, statuses } = gathered;
    for (set, status) in page.sets.iter_mut().zip(&statuses) {
        set.guarantee = match set.survive.parse::<Survive>() {
            Ok(survive) => show::guarantee(survive, usize::from(set.drive_count)),
            Err(_) => "This program does not know the rule that the set was packed under.".into(),
        };
        let has_further = status.end == SetEnd::Further;
        set.verdict = show::verdict_of_set(&status.verdict, set.number, has_further);
    }
    page
}

/// What was made, for programs.
#[derive(Serialize)]
struct ReportEvent<'a> {
    file: String,
    shipment: ShipmentId,
    labels_only: bool,
    sets: usize,
    unseen_sets: &'a [u32],
    cases: usize,
    drives: usize,
    seen: usize,
    dataset: bool,
}

fn tell(page: &ShipmentPage, args: &ReportArgs, ui: &Ui) {
    let file = args.output.display().to_string();
    let (cases, drives) = (page.cases().len(), page.drives().count());
    let seen = page.drives().filter(|(_, drive)| drive.seen.is_some()).count();
    if ui.is_json() {
        let (sets, unseen_sets) = (page.sets.len(), &page.unseen_sets()[..]);
        let (shipment, labels_only) = (page.shipment, args.labels);
        let dataset = page.dataset.is_some();
        emit(
            "report",
            &ReportEvent {
                file,
                shipment,
                labels_only,
                sets,
                unseen_sets,
                cases,
                drives,
                seen,
                dataset,
            },
        );
        return;
    }
    let what = if args.labels { "Labels" } else { "Report" };
    let shown = shown_text(&file);
    let (of_drives, of_cases) = (some(drives as u64, "drive"), some(cases as u64, "case"));
    let not_seen = match drives - seen {
        0 => String::new(),
        count => format!(", {count} of them not seen now"),
    };
    out(&format!(
        "{what} of shipment {} in {shown}: {of_drives} in {of_cases}{not_seen}.\n",
        page.shipment
    ));
    let unknown: u64 = page.sets.iter().map(SetPage::unknown_drives).sum();
    if unknown > 0 {
        out(&format!(
            "Without a label: {}, whose case no drive here tells.\n",
            some(unknown, "drive")
        ));
    }
    if page.dataset.is_some() {
        out("It names folders of the dataset: only those who may read them should see it.\n");
    }
}

/// Where the page goes.
enum Target {
    /// a name that is free, or that of an earlier report
    File(PathBuf),
    /// what is no plain file and keeps nobody waiting, such as /dev/null
    Other(PathBuf),
}

impl Target {
    /// Fails if something else lies there that would be lost.
    fn of(path: &Path) -> io::Result<Self> {
        let path = match fs::symlink_metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Self::File(path.into()));
            }
            Err(error) => return Err(error),
            Ok(_) => fs::canonicalize(path)?,
        };
        let there = fs::metadata(&path)?;
        if there.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        if there.file_type().is_char_device() {
            return Ok(Self::Other(path));
        }
        if !there.is_file() {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, "it is no regular file"));
        }
        let mut first = Vec::new();
        File::open(&path)?.take(FIRST_LINES.len() as u64).read_to_end(&mut first)?;
        if first == FIRST_LINES.as_bytes() {
            Ok(Self::File(path))
        } else {
            Err(io::Error::new(io::ErrorKind::AlreadyExists, "another file is there"))
        }
    }

    /// Writes it whole, or leaves what is there.
    fn write(&self, bytes: &[u8], is_private: bool) -> io::Result<()> {
        let path = match self {
            Self::Other(path) => {
                return OpenOptions::new().write(true).open(path)?.write_all(bytes);
            }
            Self::File(path) => path,
        };
        let mut name = path.file_name().ok_or(io::ErrorKind::IsADirectory)?.to_owned();
        name.push(format!(".{}.part", std::process::id()));
        let part = path.with_file_name(name);
        let mode = if is_private { 0o600 } else { 0o666 };
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&part)?;
        let written = file.write_all(bytes).and_then(|()| file.sync_all());
        let written = written.and_then(|()| fs::rename(&part, path));
        if written.is_err() {
            // It has no other name, and is of no use.
            let _ = fs::remove_file(&part);
        }
        written
    }
}

/// The page could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {}", path.display())]
struct NotWritten {
    path: PathBuf,
    source: io::Error,
}

fn not_written(path: &Path, source: io::Error) -> Refusal {
    let hint = match source.kind() {
        io::ErrorKind::AlreadyExists => {
            "only an earlier report is replaced: name another file, or move that one away; -o - writes \
             to a pipe"
        }
        io::ErrorKind::NotFound => "make its folder first",
        io::ErrorKind::IsADirectory => "name a file in that folder",
        _ => "-o names a file in a folder that can be written",
    };
    Refusal::failed(NotWritten { path: path.into(), source }).hint(hint)
}
