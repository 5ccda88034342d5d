//! A tree held against a shipment: the restored one, or the source itself.
//!
//! - Enters: the opened sets of a shipment, a folder, what of the dataset is asked for.
//! - Leaves: a problem for each entry that is missing, is not in the dataset, or differs; counts.
//! - Always holds: (1) both sides are walked in one order, side by side: memory is a constant, and
//!   a few paths that have another type; (2) every byte of every file is read and hashed, and a
//!   drive is read for more than its catalog only where a hash is not as it should be, or cannot be
//!   made; (3) what nothing here tells is counted as that, never as equal; (4) the tree is only read,
//!   and no symlink in it is followed.

mod checks;
mod dataset;
mod files;
mod metadata;
mod outcome;
mod settle;

use crate::dataset::{Filter, ScanError, ScanOptions, ScannedEntry, Source, SourceError, scan};
use crate::format::list::{Entry, Kind, Lack, State, shown_path};
use crate::format::shown::error_chain;
use crate::monitor::{Event, Monitor, Phase, Problem, ProblemKind};
use crate::patterns::Selection;
use crate::restorer::{CatalogItems, OpenSet};
use checks::{Check, Finding, Group};
use dataset::{Dataset, DatasetStep};
use std::collections::BTreeSet;
use std::path::Path;

pub use outcome::Compared;

/// Paths that wait for what has another type in the dataset.
const MOST_HELD: usize = 10_000;

/// What is compared.
pub struct Against<'a> {
    pub dir: &'a Path,
    pub selection: Option<&'a Selection>,
    /// modes, times, owners and attributes as well
    pub metadata: bool,
    /// a folder of the tree that is no part of it
    pub ignored: Option<&'a [u8]>,
    /// all sets of the shipment are here
    pub is_all: bool,
}

/// Why a tree cannot be compared.
#[derive(Debug, thiserror::Error)]
pub enum AgainstError {
    #[error(transparent)]
    Scan(#[from] ScanError),
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error("nothing in this dataset is selected by {selection}")]
    NothingSelected {
        /// the options
        selection: String,
    },
}

/// Compares a tree with these sets, which are in order.
pub fn against(
    sets: &[OpenSet],
    job: &Against,
    monitor: &dyn Monitor,
) -> Result<Compared, AgainstError> {
    let source = Source::open(job.dir)?;
    let mut total = 0;
    for open in sets.iter().filter(|_| job.selection.is_none()) {
        let silent = crate::monitor::Recording::default();
        total += CatalogItems::open(open, &silent).map_or(0, |mut items| items.data_bytes(open));
    }
    monitor.phase(Phase::Compare, total);
    let mut comparison = Comparison {
        sets,
        job,
        source: &source,
        dataset: Dataset::new(sets, job.selection, monitor),
        checks: Vec::new(),
        bytes: 0,
        group: None,
        pending: None,
        in_large: false,
        links: BTreeSet::new(),
        held: BTreeSet::new(),
        retyped: BTreeSet::new(),
        told: (None, None),
        unlisted: None,
        compared: Compared::default(),
        monitor,
    };
    let filter = Filter::new(&[]).expect("no pattern is wrong");
    let options = ScanOptions::new(filter);
    let scanned = scan(job.dir, &options, &ProblemsOnly(monitor), &mut |found| {
        comparison.found(&found);
        if monitor.should_stop() { Err(ScanError::sink("stopped")) } else { Ok(()) }
    });
    match scanned {
        Err(ScanError::Sink { .. }) => {}
        Err(error) => return Err(error.into()),
        Ok(_) => comparison.end(),
    }
    comparison.compared.stopped |= monitor.should_stop();
    let (compared, has_any) = (comparison.compared, comparison.dataset.has_any);
    // Sets and lists that are not here may have some of it.
    if let Some(selection) = job.selection
        && job.is_all
        && compared.unlisted == 0
        && !compared.stopped
    {
        if !has_any {
            return Err(AgainstError::NothingSelected { selection: selection.text().into() });
        }
        for option in selection.without_effect() {
            monitor.note(&format!("{option} matches nothing in the attached sets"));
        }
    }
    Ok(compared)
}

/// The monitor of the scan, whose progress is not that of the comparison.
struct ProblemsOnly<'a>(&'a dyn Monitor);

impl Monitor for ProblemsOnly<'_> {
    fn event(&self, event: Event<'_>) {
        if matches!(event, Event::Problem(_)) {
            self.0.event(event);
        }
    }

    fn should_stop(&self) -> bool {
        self.0.should_stop()
    }
}

struct Comparison<'a> {
    sets: &'a [OpenSet<'a>],
    job: &'a Against<'a>,
    source: &'a Source,
    dataset: Dataset<'a>,
    /// what is to be read next
    checks: Vec<Check>,
    bytes: u64,
    /// small files that share a chunk, not all of which came yet
    group: Option<Group>,
    /// what was found of the larger file that did not end yet
    pending: Option<Finding>,
    /// what is settled is that of a larger file
    in_large: bool,
    /// files of the tree with another link count than one, of which only the links are wrong
    links: BTreeSet<Vec<u8>>,
    /// entries of the tree that are no folders and not in the dataset, where a folder may be
    held: BTreeSet<Vec<u8>>,
    /// paths of which it was said that they have another type
    retyped: BTreeSet<Vec<u8>>,
    /// the folder told last that is missing, and the one that is extra: what lies in it is counted
    told: (Option<Vec<u8>>, Option<Vec<u8>>),
    /// the folder found last of which not all names could be read
    unlisted: Option<Vec<u8>>,
    compared: Compared,
    monitor: &'a dyn Monitor,
}

impl Comparison<'_> {
    /// An entry of the tree.
    fn found(&mut self, found: &ScannedEntry) {
        let path = &found.entry.path;
        if self.job.ignored.is_some_and(|folder| path == folder || is_below(path, folder)) {
            return;
        }
        let key = found.entry.sort_key();
        self.pass(Some(&key));
        if [Lack::Names, Lack::SomeNames].iter().any(|lack| found.entry.lacks.contains(lack)) {
            self.unlisted = Some(path.clone());
        }
        let mut is_known = false;
        // A file that was packed again stands twice.
        while self.dataset.next_entry().is_some_and(|next| next.path == *path)
            && let Some(DatasetStep::Entry(entry)) = self.dataset.take()
        {
            is_known = true;
            self.compare(&entry, found);
        }
        let is_listed = found.entry.is_listed_as_folder();
        let is_asked = self.job.selection.is_none_or(|asked| asked.selects(path, is_listed));
        // DIR itself is the place of the dataset's top, whatever that was.
        if self.retyped.remove(path) {
            self.told.1 = Some(path.clone());
        } else if !is_known && !path.is_empty() && is_asked {
            if is_listed {
                self.extra(path);
            } else {
                self.held.insert(path.clone());
            }
        }
    }

    /// What the dataset has before this key is missing.
    fn pass(&mut self, key: Option<&[u8]>) {
        while self
            .dataset
            .next_entry()
            .is_some_and(|next| key.is_none_or(|k| *next.sort_key() < *k))
            && let Some(DatasetStep::Entry(entry)) = self.dataset.take()
        {
            self.missing(&entry);
        }
        let folder = |path: &[u8]| [path, b"/"].concat();
        let is_full = self.held.len() > MOST_HELD;
        let is_past =
            |path: &Vec<u8>| is_full || key.is_none_or(|key| folder(path).as_slice() < key);
        let past: Vec<Vec<u8>> = self.held.iter().filter(|path| is_past(path)).cloned().collect();
        for path in past {
            self.held.remove(&path);
            self.extra(&path);
        }
    }

    fn end(&mut self) {
        self.pass(None);
        self.flush_group();
        self.run();
        self.compared.unlisted = self.dataset.unlisted;
        self.compared.waits |= self.dataset.lists_wait;
    }

    fn compare(&mut self, entry: &Entry, found: &ScannedEntry) {
        self.compared.not_taken += u64::from(!entry.lacks.is_empty());
        let linked = found.entry.kind == Kind::HardLink;
        let here = if linked { self.resolved(found) } else { Ok(found.clone()) };
        let here = match here {
            Ok(here) => here,
            Err(error) => {
                self.add(Check::Found(Finding::Unread(entry.path.clone(), error_chain(&error))));
                self.skip(entry);
                return;
            }
        };
        match entry.kind {
            // The packer could not look at it.
            Kind::Unknown => self.compared.not_taken += u64::from(entry.lacks.is_empty()),
            // The scan has said why.
            _ if here.entry.kind == Kind::Unknown => {
                self.compared.unread += 1;
                self.skip(entry);
            }
            Kind::HardLink => self.hard_link(entry, &here),
            kind if kind != here.entry.kind => {
                let (is, was) = (kind_name(here.entry.kind), kind_name(kind));
                let finding =
                    Finding::Differs(entry.path.clone(), format!("it is {is}, not {was}"));
                if !self.skip(entry) {
                    self.add(Check::Found(finding));
                }
                // What lies in the one folder or the other is counted, and not named.
                match kind {
                    Kind::Folder => self.told.0 = Some(entry.path.clone()),
                    _ => self.told.1 = Some(entry.path.clone()),
                }
            }
            Kind::File => self.file(entry, &here, linked),
            Kind::Symlink if entry.target != here.entry.target => {
                let (is, was) = (shown_path(&here.entry.target), shown_path(&entry.target));
                let text = format!("it leads to {is}, not to {was}");
                self.add(Check::Found(Finding::Differs(entry.path.clone(), text)));
            }
            Kind::CharDevice | Kind::BlockDevice if entry.device != here.entry.device => {
                let text = "it is another device".into();
                self.add(Check::Found(Finding::Differs(entry.path.clone(), text)));
            }
            _ => self.is_equal(entry, &here),
        }
    }

    /// What a further name in the tree is a name of.
    fn resolved(&self, found: &ScannedEntry) -> Result<ScannedEntry, SourceError> {
        match self.source.look_at(&found.entry.path)? {
            Some(mut entry) => {
                entry.xattrs.clone_from(&found.entry.xattrs);
                Ok(ScannedEntry { entry, ..found.clone() })
            }
            None => self.source.open_file(&found.entry.path)?.look(&found.entry),
        }
    }

    /// An entry without bytes is as it should be.
    fn is_equal(&mut self, entry: &Entry, here: &ScannedEntry) {
        self.compared.equal += 1;
        if let Some(text) = self.metadata(entry, here) {
            self.differs_in_metadata(&entry.path, text);
        }
    }

    fn metadata(&self, entry: &Entry, here: &ScannedEntry) -> Option<String> {
        self.job.metadata.then(|| metadata::difference(entry, &here.entry)).flatten()
    }

    fn differs_in_metadata(&mut self, path: &[u8], text: String) {
        self.compared.metadata += 1;
        self.problem(ProblemKind::Metadata, path, text);
    }

    fn hard_link(&mut self, entry: &Entry, here: &ScannedEntry) {
        let named = ScannedEntry { entry: entry.clone(), ..here.clone() };
        if self.source.is_linked(&named) {
            self.compared.equal += 1;
            return;
        }
        let is_asked = |asked: &Selection| asked.selects(&entry.target, false);
        if !self.job.selection.is_none_or(is_asked) && !self.source.has(&entry.target) {
            // Its first name was not asked for, and with that the bytes pass by.
            let detail = "the file that it is a further name of was not selected";
            self.untold(entry, detail);
        } else if here.entry.kind == Kind::File {
            let (path, target) = (entry.path.clone(), entry.target.clone());
            self.add(Check::Twins { path, target });
        } else {
            let text = format!("it is no hard link to {}", shown_path(&entry.target));
            self.add(Check::Found(Finding::Differs(entry.path.clone(), text)));
        }
    }

    /// Passes by the bytes of an entry; returns whether nothing of it counts.
    fn skip(&mut self, entry: &Entry) -> bool {
        let mut void = false;
        while let Some(step) = self.dataset.next_of_entry() {
            void |= matches!(step, DatasetStep::End(end) if end.state == State::Void);
        }
        let is_again =
            void && self.dataset.next_entry().is_some_and(|next| next.path == entry.path);
        self.compared.packed_badly += u64::from(void && !is_again);
        void
    }

    /// An entry of the dataset that the tree does not have.
    fn missing(&mut self, entry: &Entry) {
        if self.skip(entry) || entry.kind == Kind::Unknown || entry.path.is_empty() {
            self.compared.not_taken += u64::from(entry.kind == Kind::Unknown);
            return;
        }
        let is_within = |folder: &Vec<u8>| folder.is_empty() || is_below(&entry.path, folder);
        if self.unlisted.as_ref().is_some_and(is_within) {
            // The scan has said why.
            self.compared.unread += 1;
            return;
        }
        let is_other = self.held.remove(&entry.path);
        let is_told = self.told.0.as_ref().is_some_and(|folder| is_below(&entry.path, folder));
        let is_there = is_other || !is_told && self.source.has(&entry.path);
        let spelled = if is_there && !is_other { self.source.spelled(&entry.path) } else { None };
        if is_there && spelled.is_none() {
            if !is_other {
                self.retyped.insert(entry.path.clone());
            }
            if entry.kind == Kind::Folder {
                self.told.0 = Some(entry.path.clone());
            }
            let text = match entry.kind {
                Kind::Folder => "it is no folder".into(),
                kind => format!("it is a folder, not {}", kind_name(kind)),
            };
            self.compared.not_taken += u64::from(!entry.lacks.is_empty());
            return self.add(Check::Found(Finding::Differs(entry.path.clone(), text)));
        }
        self.compared.missing += 1;
        if !is_told {
            let text = match entry.kind {
                Kind::Folder => "this folder is not there, nor what lay in it",
                _ => "it is not there",
            };
            let text = match spelled {
                Some(name) => format!("{text}: {} is taken for the same name", shown_path(&name)),
                None => text.into(),
            };
            self.problem(ProblemKind::Missing, &entry.path, text);
            if entry.kind == Kind::Folder {
                self.told.0 = Some(entry.path.clone());
            }
        }
    }

    /// An entry of the tree that the dataset does not have.
    fn extra(&mut self, path: &[u8]) {
        if !self.job.is_all {
            self.compared.unplaced += 1;
            return;
        }
        self.compared.extra += 1;
        if !self.told.1.as_ref().is_some_and(|folder| is_below(path, folder)) {
            self.problem(ProblemKind::Extra, path, "no set has it".into());
            self.told.1 = Some(path.into());
        }
    }

    fn problem(&self, kind: ProblemKind, path: &[u8], detail: String) {
        self.monitor.problem(Problem::new(kind, shown_path(path), detail));
    }
}

fn is_below(path: &[u8], folder: &[u8]) -> bool {
    path.strip_prefix(folder).is_some_and(|rest| rest.first() == Some(&b'/'))
}

fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Folder => "a folder",
        Kind::File => "a file",
        Kind::Symlink => "a symlink",
        Kind::HardLink => "a hard link",
        Kind::Fifo => "a named pipe",
        Kind::CharDevice => "a character device",
        Kind::BlockDevice => "a block device",
        Kind::Socket => "a socket",
        Kind::Unknown => "something else",
    }
}
