//! `verify --against` on the command line.

use super::args::inspect::VerifyArgs;
use super::exit::Status;
use super::keys::identities;
use super::output::{emit, out};
use super::refusal::{Refusal, open_refusal};
use super::restore::PATTERNS;
use super::sizes::shown_bytes;
use super::text::{some, verb};
use super::ui::Ui;
use crate::commands::against::{AgainstJob, AgainstJobError, AgainstOutcome, against as command};
use crate::format::shown::shown_text;
use crate::opening::unlock::SetRoot;
use crate::patterns::Selection;
use crate::verification::against::{AgainstError, Compared};
use serde::Serialize;
use std::fmt::Write as _;
use std::path::Path;

pub fn against(args: &VerifyArgs, dir: &Path, ui: &Ui) -> Result<Status, Refusal> {
    let selection = Selection::new(&args.include, &args.exclude)
        .map_err(|error| Refusal::failed(error).status(Status::Usage))?;
    let job = AgainstJob {
        paths: args.paths.clone(),
        identities: identities(&args.identities, ui)?,
        expect: args.expect.expect.clone(),
        dir: dir.into(),
        selection,
        metadata: args.metadata,
    };
    let outcome = command(&job, ui.monitor()).map_err(|error| match error {
        AgainstJobError::Open(error) => open_refusal(error),
        AgainstJobError::Against(error @ AgainstError::NothingSelected { .. }) => {
            Refusal::failed(error).status(Status::Usage).hint(PATTERNS)
        }
        AgainstJobError::Against(error) => Refusal::failed(error),
    })?;
    ui.finish();
    ui.print_problems();
    if ui.is_json() {
        emit("compared", &ComparedEvent::new(&job, &outcome));
    } else {
        out(&text(&job, &outcome));
    }
    Ok(status(&outcome, ui))
}

fn status(outcome: &AgainstOutcome, ui: &Ui) -> Status {
    let c = &outcome.compared;
    let is = |it: bool, status: Status| if it { status } else { Status::Done };
    // Nothing that is attached later takes back what is known to differ.
    let waiting = if c.differs() { Status::Problems } else { Status::Waiting };
    let unknown = if c.waits { waiting } else { Status::Failed };
    let is_sound = c.is_equal() && ui.problems().is_empty() && c.packed_badly + c.not_taken == 0;
    is(!is_sound || outcome.end_unknown, Status::Problems)
        .merge(is(c.untold + c.unlisted > 0, unknown))
        .merge(is(!outcome.absent.is_empty(), waiting))
        .merge(is(c.stopped, Status::Failed))
}

/// The number of it, and what was found of so many; nothing of none.
fn line(t: &mut String, count: u64, noun: &str, what: &str) {
    if count > 0 {
        let _ = writeln!(t, "  {} {what}", some(count, noun));
    }
}

fn text(job: &AgainstJob, outcome: &AgainstOutcome) -> String {
    let (c, mut t) = (&outcome.compared, String::new());
    let dir = shown_text(&job.dir.display().to_string()).into_owned();
    let sets = |numbers: &[u32]| {
        let names: Vec<_> = numbers.iter().map(ToString::to_string).collect();
        format!("{} {}", if names.len() == 1 { "set" } else { "sets" }, names.join(", "))
    };
    if outcome.is_mapped {
        let _ = writeln!(
            t,
            "Names in {dir} were mapped (holdall-names.txt lists them), and are compared as they are: a \
             mapped\nentry counts as missing, and as one more. To compare all of it, copy {dir} to \
             where all names\ncan be, and give them back: see holdall help restore."
        );
    }
    for root in &outcome.roots {
        let _ = writeln!(t, "Root of set {}: {}", root.set, root.root);
    }
    let compared = format!(
        "{} of the same type and content, including {}, {}",
        some(c.equal, "entry"),
        some(c.files, "file"),
        shown_bytes(c.bytes)
    );
    if c.stopped {
        let _ = writeln!(t, "Stopped. So far: {compared}. Nothing is known of the rest.");
    } else if c.is_equal() && c.is_told() && outcome.is_all() {
        let what = match &job.selection {
            None => "the dataset that was packed",
            Some(_) => "what you selected of the dataset that was packed",
        };
        let _ = writeln!(t, "{dir} is {what}, byte for byte: {compared}.");
    } else if c.is_equal() {
        let of = sets(&outcome.sets);
        let _ = writeln!(t, "Nothing in {dir} differs from {of}, as far as it could be compared:");
        let _ = writeln!(t, "  {compared}");
    } else if c.has_more() && c.is_told() && outcome.is_all() {
        let what = match &job.selection {
            None => "Everything that was packed",
            Some(_) => "Everything that you selected of what was packed",
        };
        let more = some(c.extra, "more entry");
        let is = verb(c.extra, "is", "are");
        let _ = writeln!(t, "{what} is in {dir}, byte for byte: {compared}.");
        let _ = writeln!(
            t,
            "{more} {is} there that no set has; options of pack may have left them out."
        );
    } else {
        let _ = if outcome.is_mapped {
            writeln!(t, "Under the names that {dir} has now, it differs from what was packed:")
        } else if c.differs_in_metadata_alone() {
            let far = if c.is_told() { "" } else { ", as far as it could be compared" };
            writeln!(t, "{dir} differs from what was packed in metadata alone{far}:")
        } else {
            writeln!(t, "{dir} is not the dataset that was packed:")
        };
        line(&mut t, c.missing, "entry", "missing");
        line(&mut t, c.extra, "entry", "not in the dataset");
        line(&mut t, c.differs, "entry", "of another type, size, target or content");
        if c.differing_chunks > 0 {
            let files = some(c.differing_chunks, "file");
            let _ = writeln!(t, "  at least {files} among small ones that share chunks");
        }
        line(&mut t, c.links, "file", "with other hard links");
        line(&mut t, c.metadata, "entry", "with other metadata");
        line(&mut t, c.unread, "entry", "that could not be read");
        let _ = writeln!(t, "  {compared}");
    }
    line(&mut t, c.untold, "file", "that could not be compared");
    line(&mut t, c.unplaced, "entry", "in none of the attached sets");
    line(&mut t, c.unlisted, "list", "of the attached sets that could not be read");
    if !outcome.absent.is_empty() {
        let is = verb(outcome.absent.len() as u64, "is", "are");
        let _ = writeln!(
            t,
            "Of the shipment, {} {is} not attached: attach one drive of each and run this again.",
            sets(&outcome.absent)
        );
    } else if c.waits {
        t.push_str("Other drives of these sets may settle it: attach them and run this again.\n");
    }
    line(&mut t, c.packed_badly, "file", "could not be read when the dataset was packed");
    line(&mut t, c.not_taken, "entry", "that could not be packed, or not in full");
    t.push_str(if job.metadata {
        "Modes, times, owners and attributes were compared as well.\n"
    } else {
        "Modes, times, owners and attributes were not compared: add --metadata.\n"
    });
    t
}

/// The same for programs.
#[derive(Serialize)]
#[allow(clippy::struct_excessive_bools, reason = "each is a matter of its own")]
struct ComparedEvent<'a> {
    dir: String,
    shipment: &'a str,
    sets: &'a [u32],
    roots: &'a [SetRoot],
    absent_sets: &'a [u32],
    end_unknown: bool,
    selection: Option<&'a str>,
    compared_metadata: bool,
    is_dataset: bool,
    is_mapped: bool,
    #[serde(flatten)]
    compared: &'a Compared,
}

impl<'a> ComparedEvent<'a> {
    fn new(job: &'a AgainstJob, outcome: &'a AgainstOutcome) -> Self {
        let compared = &outcome.compared;
        Self {
            dir: job.dir.display().to_string(),
            shipment: &outcome.shipment,
            sets: &outcome.sets,
            roots: &outcome.roots,
            absent_sets: &outcome.absent,
            end_unknown: outcome.end_unknown,
            selection: job.selection.as_ref().map(Selection::text),
            compared_metadata: job.metadata,
            is_dataset: compared.is_equal() && compared.is_told() && outcome.is_all(),
            is_mapped: outcome.is_mapped,
            compared,
        }
    }
}
