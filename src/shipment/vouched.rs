//! Which record files of a set count.
//!
//! - Enters: drives on which copies may differ, and, with a key, what tells an authentic file.
//! - Leaves: the record files that count, by run and in order, each with every place where these
//!   bytes lie; what is damaged, foreign or contradictory was reported.
//! - Always holds: (1) of a closed set those count that its set.txt vouches for: it names the last
//!   record file of each run, and each names the one before; what it does not name is foreign, told
//!   once, and never used; (2) of a set that is not closed, sound copies that differ contradict
//!   each other: one is read by, and nothing may be written by them; (3) with a key, what is not
//!   authentic does not count; (4) without one, of a set that is not closed, what one drive alone
//!   says does not count either ([`super::witness`]); (5) the machine that packs knows what it
//!   wrote, and its state vouches as a set.txt does.

use super::copies::{Authentic, CheckedCopies, CopyCheck, ListedFile};
use super::found::{FoundDrive, FoundSet, slots};
use super::named::{CopyPlaces, MissingFiles, NamedRecords, drives_of, named, slot_count};
use super::sound_file::SoundFile;
use super::witness::{ENOUGH, are_several, borne_out, named_by_both};
use crate::format::ids::{RunId, record_path};
use crate::format::set::{RunLine, SetText};
use crate::monitor::{Monitor, Problem, ProblemKind, Recording};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Names that a note lists.
const NAMED: usize = 3;

/// Without the key, the records that are heard of drives of one slot alone, all together: whoever
/// has a drive, or twenty, makes as many as fit.
const ALONE_RECORDS: u64 = 1 << 20;
/// A file counts as so many.
const FILE_COSTS: u64 = 64;

/// The record files that count.
#[derive(Default)]
pub(super) struct CountedRecords {
    /// by run, in order
    pub runs: Vec<Vec<SoundFile>>,
    /// some are missing or contradict each other
    pub gaps: bool,
    /// those of which there are other sound copies besides
    pub contradictions: Vec<String>,
    /// those that one drive alone says are there: its name, and the file
    pub alone: Vec<(String, String)>,
    /// with a key, how many numbers a run has of which all copies are sound and none is authentic
    pub foreign: BTreeMap<RunId, u32>,
    /// with a key, some copies are not authentic
    pub forged: bool,
}

/// Who vouches for the last record file of each run.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Voucher {
    SetText,
    /// the state of the machine that packs
    State,
}

/// The record files of a set that count; `text` is its set.txt, if it was closed.
pub(super) fn counted(
    set: &FoundSet,
    text: Option<&SetText>,
    authentic: Option<Authentic>,
    monitor: &dyn Monitor,
) -> CountedRecords {
    let mut named = named(set);
    let search = Search::new(set, authentic, monitor);
    // Without a MAC nobody vouches for the text, and with the key each file shows for itself.
    match text.filter(|text| text.mac.is_some() || authentic.is_none()) {
        Some(text) => search.closed(text, &mut named),
        None => search.unclosed(named),
    }
}

/// The record files of an unclosed set that count by what the machine that packs it has written:
/// the runs and the last record file of each. And the drives that carry sound ones besides, each
/// with one of them.
pub(super) fn written(
    set: &FoundSet,
    lines: &[RunLine],
    monitor: &dyn Monitor,
) -> (CountedRecords, BTreeMap<String, String>) {
    let mut named = named(set);
    let search = Search::new(set, None, monitor);
    let mut strays = BTreeMap::new();
    let counted = search.by_lines(lines, Voucher::State, &mut named, &mut strays);
    let quiet = Recording::default();
    let silent = CopyCheck { set, authentic: None, monitor: &quiet };
    search.missing.take().report(set, monitor);
    for (run, numbers) in named {
        for (number, places) in numbers {
            let found = silent.check(run, number, &places).sound;
            found.iter().for_each(|file| file.stray(&mut strays));
        }
    }
    (counted, strays)
}

/// Where record files lie, by run and number.
type Where = BTreeMap<(RunId, u32), CopyPlaces>;

/// The search for the record files that count.
struct Search<'a> {
    set: &'a FoundSet,
    monitor: &'a dyn Monitor,
    copies: CopyCheck<'a>,
    /// drives of several slots are here
    several: bool,
    /// what is missing on drives
    missing: RefCell<MissingFiles>,
    /// records that drives alone may name yet
    allowed: Cell<u64>,
    /// places of the files that were left out since they name more, and how many these are
    left_out: RefCell<(BTreeSet<u16>, u64)>,
}

impl<'a> Search<'a> {
    fn new(set: &'a FoundSet, authentic: Option<Authentic<'a>>, monitor: &'a dyn Monitor) -> Self {
        Self {
            set,
            monitor,
            copies: CopyCheck { set, authentic, monitor },
            several: are_several(set),
            missing: RefCell::default(),
            allowed: ALONE_RECORDS.into(),
            left_out: RefCell::default(),
        }
    }

    fn closed(&self, text: &SetText, named: &mut NamedRecords) -> CountedRecords {
        let counted = self.by_lines(&text.runs, Voucher::SetText, named, &mut BTreeMap::new());
        self.note_foreign(named);
        self.missing.take().report(self.set, self.monitor);
        counted
    }

    /// What these lines vouch for; the numbers of all else are left.
    fn by_lines(
        &self,
        lines: &[RunLine],
        voucher: Voucher,
        named: &mut NamedRecords,
        strays: &mut BTreeMap<String, String>,
    ) -> CountedRecords {
        let mut counted = CountedRecords::default();
        for line in lines {
            let mut numbers = named.remove(&line.run).unwrap_or_default();
            let foreign = numbers.split_off(&line.files);
            if !foreign.is_empty() {
                named.insert(line.run, foreign);
            }
            counted.gaps |= (numbers.len() as u64) < u64::from(line.files);
            let files = self.run(line, voucher, &numbers, &mut counted, strays);
            counted.runs.push(files);
        }
        counted
    }

    /// The files of a run, from the last that its line names back to the first.
    fn run(
        &self,
        line: &RunLine,
        voucher: Voucher,
        numbers: &BTreeMap<u32, CopyPlaces>,
        counted: &mut CountedRecords,
        strays: &mut BTreeMap<String, String>,
    ) -> Vec<SoundFile> {
        let detail = match voucher {
            Voucher::SetText => "is sound, but not the file that set.txt vouches for",
            Voucher::State => "is sound, but not the file that this machine wrote",
        };
        let mut files = Vec::new();
        let mut wanted =
            (numbers.keys().next_back().copied() == line.files.checked_sub(1)).then_some(line.last);
        let listed: Vec<ListedFile> =
            numbers.iter().rev().map(|(number, at)| (line.run, *number, &at[..])).collect();
        let checked = self.copies.check_all(&listed);
        for ((_, number, places), checked) in listed.iter().zip(checked) {
            let mut found = checked.sound;
            self.note_missing(line.run, *number, places);
            let at = match &wanted {
                Some(digest) => {
                    let vouched = found.iter().position(|file| file.digest == *digest);
                    // A run writes a number once: what is authentic is the file.
                    vouched.or((self.copies.authentic.is_some() && !found.is_empty()).then_some(0))
                }
                // The file after it is lost, which would name it.
                None => (found.len() == 1).then_some(0),
            };
            let chosen = at.map(|at| found.swap_remove(at).with_facts());
            for other in &found {
                self.report_other(other, detail);
                other.stray(strays);
                counted.contradictions.push(record_path(line.run, *number));
            }
            counted.gaps |= chosen.is_none();
            if chosen.is_none() && found.is_empty() {
                self.report_lost(line.run, *number);
            }
            // Of a file that is not the next lower one nothing is known.
            let lower = number.checked_sub(1).filter(|lower| numbers.contains_key(lower));
            wanted = chosen.as_ref().filter(|_| lower.is_some()).map(|file| file.header.previous);
            files.extend(chosen);
        }
        files.reverse();
        files
    }

    fn note_foreign(&self, named: &NamedRecords) {
        let foreign =
            || named.iter().flat_map(|(run, of_run)| of_run.keys().map(|n| record_path(*run, *n)));
        let first: Vec<String> = foreign().take(NAMED).collect();
        if first.is_empty() {
            return;
        }
        let more = match foreign().count() - first.len() {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let (set, list) = (self.set.name(), first.join(", "));
        let places = named.values().flat_map(|of_run| of_run.values().flatten());
        let carriers = drives_of(self.set, places).into_iter();
        let on: BTreeSet<&str> = carriers.map(|found| found.drive.name()).collect();
        self.monitor.note(&format!(
            "set {set} was closed without {list}{more} (on {}): not part of it, and left aside",
            on.into_iter().collect::<Vec<_>>().join(", ")
        ));
    }

    fn unclosed(&self, named: NamedRecords) -> CountedRecords {
        let mut counted = CountedRecords::default();
        let (mut all, mut places) = (Vec::new(), Where::new());
        let keyed = self.set.runs();
        for (run, numbers) in named {
            let gaps = std::mem::replace(&mut counted.gaps, false);
            let files = self.unclosed_run(run, numbers, &mut counted, &mut places);
            // A run of which there is neither a key nor a sound record never was one.
            counted.gaps = gaps || counted.gaps && (!files.is_empty() || keyed.contains(&run));
            all.extend(files);
        }
        if self.copies.authentic.is_none() {
            all = self.without_those_alone(all, &mut counted);
        }
        // Who lacks what counts.
        for file in &all {
            let (run, number) = (file.header.run, file.header.number);
            places.get(&(run, number)).iter().for_each(|at| self.note_missing(run, number, at));
        }
        self.missing.take().report(self.set, self.monitor);
        self.report_left_out(&mut counted);
        let mut by_run: BTreeMap<RunId, Vec<SoundFile>> = BTreeMap::new();
        all.into_iter().for_each(|file| by_run.entry(file.header.run).or_default().push(file));
        counted.runs = in_chain_order(by_run);
        counted
    }

    fn unclosed_run(
        &self,
        run: RunId,
        numbers: BTreeMap<u32, CopyPlaces>,
        counted: &mut CountedRecords,
        all_places: &mut Where,
    ) -> Vec<SoundFile> {
        let mut files: Vec<SoundFile> = Vec::new();
        let is_alone = |at: &[u16]| self.several && slot_count(self.set, at) < ENOUGH;
        let many = numbers.iter().filter(|(_, at)| !is_alone(at));
        let listed: Vec<ListedFile> = many.map(|(number, at)| (run, *number, &at[..])).collect();
        let checked = listed.iter().map(|(_, n, _)| *n).zip(self.copies.check_all(&listed));
        let mut checked: BTreeMap<u32, CheckedCopies> = checked.collect();
        for (number, places) in numbers.into_iter().rev() {
            let is_alone = is_alone(&places);
            if is_alone && !self.spend(0, &places) {
                continue;
            }
            let checked = checked.remove(&number);
            let CheckedCopies { sound: mut found, foreign, forged, .. } =
                checked.unwrap_or_else(|| self.copies.check(run, number, &places));
            counted.forged |= forged;
            if found.is_empty() {
                // What the run did not make was never a part of it; behind its end, nor is what
                // lies on one drive alone and is no record file.
                if foreign {
                    *counted.foreign.entry(run).or_default() += 1;
                } else if !files.is_empty() || !is_alone {
                    counted.gaps = true;
                    self.note_missing(run, number, &places);
                    self.report_lost(run, number);
                }
                continue;
            }
            // The one that the next file names; else the one of most copies, the first of them.
            let after = files.last().map(|file| file.header.previous);
            let is_named = |file: &SoundFile| after == Some(file.digest);
            let weight = |at: &usize| (is_named(&found[*at]), found[*at].copies.len());
            let at = (0..found.len()).rev().max_by_key(weight).unwrap_or(0);
            let chosen = found.swap_remove(at).with_facts();
            if self.is_alone(&chosen) && !self.spend(chosen.records.len() as u64, &places) {
                continue;
            }
            all_places.insert((run, number), places);
            for other in &found {
                counted.gaps = true;
                counted.contradictions.push(record_path(run, number));
                let by = chosen.copies[0].0.name();
                let detail = format!("differs from the copy on {by}, and both are sound");
                self.report_other(other, &detail);
            }
            files.push(chosen);
        }
        files.reverse();
        files
    }

    fn note_missing(&self, run: RunId, number: u32, places: &[u16]) {
        self.missing.borrow_mut().note(self.set, &record_path(run, number), places);
    }

    /// Do the drives of one slot alone have it?
    fn is_alone(&self, file: &SoundFile) -> bool {
        let carries = |found: &&FoundDrive| {
            file.copies.iter().any(|(drive, _)| Arc::ptr_eq(drive, &found.drive))
        };
        self.several && slots(self.set.all_drives().filter(carries)).len() < ENOUGH
    }

    /// Takes a file of so many records, at these places, of what drives alone may say; with the key
    /// each shows for itself.
    fn spend(&self, records: u64, places: &[u16]) -> bool {
        if self.copies.authentic.is_some() {
            return true;
        }
        let left = self.allowed.get().checked_sub(records + FILE_COSTS);
        self.allowed.set(left.unwrap_or(0));
        if left.is_none() {
            let (at, count) = &mut *self.left_out.borrow_mut();
            at.extend(places);
            *count += 1;
        }
        left.is_some()
    }

    fn report_left_out(&self, counted: &mut CountedRecords) {
        let (places, count) = self.left_out.take();
        if count == 0 {
            return;
        }
        let drives = drives_of(self.set, &places);
        let on: BTreeSet<&str> = drives.iter().map(|found| found.drive.name()).collect();
        let subject = format!("set {}: records", self.set.name());
        let detail = format!(
            "{count} files that no other drive has are left out: without the key, nothing shows whether \
             the packer made them, and they are too many. Try it without {}, or with -i IDENTITY",
            on.iter().copied().collect::<Vec<_>>().join(", ")
        );
        self.monitor.problem(Problem::new(ProblemKind::Damage, subject, detail));
        counted.alone.extend(on.into_iter().map(|name| (name.to_owned(), "records".to_owned())));
    }

    /// Leaves out what no other drive bears out; what it says of stripes that others name
    /// contradicts them.
    fn without_those_alone(
        &self,
        files: Vec<SoundFile>,
        counted: &mut CountedRecords,
    ) -> Vec<SoundFile> {
        let (files, alone) = borne_out(self.set, files);
        let both = named_by_both(&files, &alone);
        for file in alone {
            let path = record_path(file.header.run, file.header.number);
            if file.stripes().any(|id| both.contains(&id)) {
                counted.gaps = true;
                counted.contradictions.push(path);
                let detail =
                    "names stripes that the records of other drives name, and both are sound";
                self.report_other(&file, detail);
                continue;
            }
            let detail = "no other drive here confirms it: without the key, nothing shows whether the \
                          packer made it, and it does not count";
            self.report_other(&file, detail);
            let names: BTreeSet<&str> = file.copies.iter().map(|(drive, _)| drive.name()).collect();
            counted.alone.extend(names.into_iter().map(|name| (name.to_owned(), path.clone())));
        }
        files
    }

    fn report_lost(&self, run: RunId, number: u32) {
        let subject = format!("set {}: {}", self.set.name(), record_path(run, number));
        let detail = "no sound copy on any drive that is here";
        self.monitor.problem(Problem::new(ProblemKind::Damage, subject, detail));
    }

    fn report_other(&self, file: &SoundFile, detail: &str) {
        file.copies.iter().for_each(|copy| self.copies.report(copy, detail));
    }
}

/// Runs in the order of the chain: each begins with what the one before ended with.
fn in_chain_order(mut by_run: BTreeMap<RunId, Vec<SoundFile>>) -> Vec<Vec<SoundFile>> {
    let mut ordered: Vec<Vec<SoundFile>> = Vec::new();
    let mut last = [0; 32];
    while !by_run.is_empty() {
        let follows =
            |files: &[SoundFile]| files.first().is_some_and(|f| f.header.previous == last);
        let next = by_run.iter().find(|(_, files)| follows(files));
        let Some(run) = next.or(by_run.iter().next()).map(|(run, _)| *run) else { break };
        let files = by_run.remove(&run).unwrap_or_default();
        last = files.last().map_or(last, |file| file.digest);
        ordered.push(files);
    }
    ordered
}
