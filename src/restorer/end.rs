//! The end of a run: what is not there, of all sets that this run and earlier ones have seen.
//!
//! - Enters: the ledgers of the sets, the marks of spanning files, and the hard links whose
//!   files are not there; which sets have given all that they have.
//! - Leaves: hard links that could be made; with `--salvage` what there is of spanning files
//!   sets; each entry that is missing or was packed badly, reported once; their numbers.
//! - Always holds: a path is reported once, whatever sets name it, and as waiting only if drives
//!   that are not here would give it.

use super::error::RestoreError;
use super::fate::{EntryFate, Fate};
use super::finish::{self, UnmadeLinks};
use super::followed_file::{left_as, shown_ranges};
use super::output::{Output, OutputFile};
use super::packing_faults::{Bounds, UNREAD};
use super::restored::Restored;
use super::spanning::{self, Unfinished};
use super::{ledger, refusals};
use crate::destination::{BAD_NAME, Destination, DestinationError};
use crate::format::ids::SetNumber;
use crate::format::list::{Entry, shown_path};
use crate::monitor::{Monitor, Problem};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What the end of a run depends on.
pub struct EndOfRun<'a> {
    /// where it was restored to
    pub destination: &'a Destination,
    /// the sets that were seen
    pub sets: &'a BTreeMap<u32, Bounds>,
    /// those of them whose drives gave all that they have
    pub is_settled: &'a dyn Fn(u32) -> bool,
    /// nothing of this shipment will come any more
    pub nothing_comes: bool,
    /// what there is of incomplete files is kept
    pub salvage: bool,
}

/// Reports what is not there; the counts become those of the whole restore so far.
pub fn report(
    end: &EndOfRun,
    restored: &mut Restored,
    monitor: &dyn Monitor,
) -> Result<(), RestoreError> {
    (restored.lost, restored.waiting, restored.refused) = (0, 0, 0);
    restored.refused_names = 0;
    (restored.packed_badly, restored.unsupported, restored.not_taken) = (0, 0, 0);
    let mut reporter = Reporter {
        restored,
        end,
        monitor,
        packers: BTreeSet::new(),
        shared: BTreeSet::new(),
        reported: BTreeSet::new(),
    };
    let mut fates: BTreeMap<String, Fate> = BTreeMap::new();
    let mut links: Vec<Entry> = Vec::new();
    for set in end.sets.keys() {
        end.destination.begin_unkept(SetNumber(*set))?;
        let UnmadeLinks { waiting, refused } =
            finish::waiting_links(end.destination, SetNumber(*set), monitor)?;
        end.destination.save_unkept()?;
        links.extend(waiting);
        for link in refused {
            let reason = link.error.reason();
            reporter.line(&EntryFate::new(Fate::Refused, link.entry.shown(), reason));
        }
    }
    let targets: BTreeSet<String> = links.iter().map(|link| shown_path(&link.target)).collect();
    let unfinished = spanning::unfinished(end.destination, end.is_settled)?;
    let mut refused: BTreeSet<String> = BTreeSet::new();
    for set in end.sets.keys() {
        reporter.shared.extend(ledger::shared(end.destination, SetNumber(*set))?);
    }
    reporter.shared.extend(unfinished.iter().map(|file| file.entry.shown()));
    for line in refusals::all(end.destination)? {
        reporter.shared.insert(line.path.clone());
        refused.insert(line.path.clone());
        reporter.line(&line);
    }
    for (set, bounds) in end.sets {
        let void = bounds.void.as_ref().and_then(|void| reporter.void(*set, void));
        let mut each = |line: EntryFate| {
            if targets.contains(&line.path) {
                fates.insert(line.path.clone(), line.fate);
            }
            if line.fate == Fate::Refused && reporter.shared.contains(&line.path) {
                refused.insert(line.path.clone());
            }
            reporter.line(&line);
        };
        ledger::read(end.destination, SetNumber(*set), &mut each)?;
        void.into_iter().for_each(each);
    }
    // What the destination does not take waits for no other set.
    for file in unfinished.iter().filter(|file| !refused.contains(&file.entry.shown())) {
        let line = reporter.unfinished(file)?;
        fates.insert(line.path.clone(), line.fate);
        reporter.line(&line);
    }
    for path in refused {
        fates.insert(path, Fate::Refused);
    }
    let otherwise = if end.nothing_comes { Fate::Lost } else { Fate::Waits };
    for link in links {
        let target = shown_path(&link.target);
        let (fate, why) = match fates.get(&target) {
            Some(Fate::Refused) => (Fate::Refused, ", which the destination refused"),
            Some(Fate::Unreadable) => {
                (Fate::Unreadable, ", which could not be read when the dataset was packed")
            }
            Some(fate) => (*fate, ""),
            None => (otherwise, ""),
        };
        let detail = format!("it is a hard link to {target}{why}");
        reporter.line(&EntryFate::new(fate, link.shown(), detail));
    }
    Ok(())
}

/// How many entries of a kind are not there, by what became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
// On disk it is a list of three.
#[serde(into = "(u64, u64, u64)")]
pub struct FateCounts {
    pub waiting: u64,
    pub lost: u64,
    pub refused: u64,
}

impl From<FateCounts> for (u64, u64, u64) {
    fn from(counts: FateCounts) -> Self {
        (counts.waiting, counts.lost, counts.refused)
    }
}

/// How many hard links of a set fare as the files do that they name. One to a spanning file waits
/// until the end reports otherwise.
pub fn links(destination: &Destination, set: SetNumber) -> Result<FateCounts, RestoreError> {
    let links = finish::kept_links(destination, set)?;
    let targets: Vec<String> = links.iter().map(|link| shown_path(&link.target)).collect();
    let named: BTreeSet<&String> = targets.iter().collect();
    let mut fates = BTreeMap::new();
    ledger::read(destination, set, &mut |line| {
        if named.contains(&line.path) {
            fates.insert(line.path, line.fate);
        }
    })?;
    let of = |fate: Fate| {
        let is_so = |target: &&String| *fates.get(*target).unwrap_or(&Fate::Waits) == fate;
        targets.iter().filter(is_so).count() as u64
    };
    let (waiting, lost, refused) = (of(Fate::Waits), of(Fate::Lost), of(Fate::Refused));
    Ok(FateCounts { waiting, lost, refused })
}

/// Counts and reports.
struct Reporter<'a> {
    restored: &'a mut Restored,
    end: &'a EndOfRun<'a>,
    monitor: &'a dyn Monitor,
    /// what the packer could not take, or took badly: several sets, or walks over one, may say it
    packers: BTreeSet<(String, Fate)>,
    /// paths that several sets may name as refused
    shared: BTreeSet<String>,
    /// of these, those that were reported
    reported: BTreeSet<String>,
}

impl Reporter<'_> {
    fn line(&mut self, line: &EntryFate) {
        let given_up = line.fate == Fate::Waits && self.end.nothing_comes;
        let fate = if given_up { Fate::Lost } else { line.fate };
        let is_packers =
            matches!(fate, Fate::NotTaken | Fate::NoAttributes | Fate::Changed | Fate::Unreadable);
        if is_packers && !self.packers.insert((line.path.clone(), fate)) {
            return;
        }
        if fate == Fate::Refused
            && self.shared.contains(&line.path)
            && !self.reported.insert(line.path.clone())
        {
            return;
        }
        let r = &mut *self.restored;
        *match fate {
            Fate::Changed | Fate::Unreadable => &mut r.packed_badly,
            Fate::Waits => &mut r.waiting,
            Fate::Refused => &mut r.refused,
            Fate::Unsupported => &mut r.unsupported,
            Fate::Lost => &mut r.lost,
            Fate::NotTaken | Fate::NoAttributes => &mut r.not_taken,
        } += 1;
        let is_of_name = fate == Fate::Refused && line.detail.starts_with(BAD_NAME);
        self.restored.refused_names += u64::from(is_of_name);
        self.monitor.problem(Problem::new(fate.kind(), &line.path, &line.detail));
    }

    /// A file of which nothing counts where its set ends; none if the next set has packed it again.
    fn void(&self, set: u32, void: &String) -> Option<EntryFate> {
        let (next, settled) = (self.end.sets.get(&(set + 1)), (self.end.is_settled)(set + 1));
        let (fate, detail) = match next {
            Some(next) if next.first.as_ref() == Some(void) => return None,
            _ if settled => (Fate::Unreadable, UNREAD.into()),
            _ => {
                let number = set + 1;
                let detail = format!(
                    "set {set} has nothing of it that counts; set {number} has it whole if it could \
                     be read"
                );
                (Fate::Waits, detail)
            }
        };
        Some(EntryFate::new(fate, void.clone(), detail))
    }

    /// A spanning file that is not whole.
    fn unfinished(&self, file: &Unfinished) -> Result<EntryFate, RestoreError> {
        let waits = file.waits && !self.end.nothing_comes;
        let fate = if waits && !file.lost { Fate::Waits } else { Fate::Lost };
        let mut detail = shown_ranges(&file.missing);
        if waits {
            detail.push_str("; the rest of it lies in other sets, or on drives that are not here");
        }
        let mut left = file.left_as.clone();
        if left.is_none() && self.end.salvage && !waits {
            left = self.salvage(file)?;
        }
        left.iter().for_each(|path| detail.push_str(&left_as(path)));
        Ok(EntryFate::new(fate, file.entry.shown(), detail))
    }

    fn salvage(&self, file: &Unfinished) -> Result<Option<Vec<u8>>, DestinationError> {
        let to = self.end.destination;
        if to.find_shared(&file.name).is_none() {
            return Ok(None);
        }
        let part = to.share_file(&file.name)?;
        part.set_len(file.entry.size)?;
        let left = Output::Folder(to).finish_incomplete(OutputFile::Part(part), &file.entry)?;
        if let Some(path) = &left {
            spanning::leave(to, file, path)?;
        }
        Ok(left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::list::Kind;
    use crate::monitor::{ProblemKind, Recording};
    use crate::restorer::ledger::Ledger;
    use crate::restorer::spanning::{FoundPart, PartMark};
    use crate::stages::hash::Merge;
    use rstest::rstest;

    const SHIPMENT: &str = "0000000000000007";

    fn reported(
        destination: &Destination,
        sets: &BTreeMap<u32, Bounds>,
        is_settled: &dyn Fn(u32) -> bool,
    ) -> (Restored, Vec<(ProblemKind, String)>) {
        let (mut restored, monitor) = (Restored::default(), Recording::default());
        let end = EndOfRun { destination, sets, is_settled, nothing_comes: false, salvage: false };
        report(&end, &mut restored, &monitor).unwrap();
        let problems = monitor.problems().into_iter().map(|p| (p.kind, p.subject)).collect();
        (restored, problems)
    }

    fn bounds(first: Option<&str>, void: Option<&str>) -> Bounds {
        Bounds { first: first.map(Into::into), void: void.map(Into::into) }
    }

    /// A file that changed where a set ends is packed again in the next set, which alone reports
    /// it.
    #[rstest]
    #[case::packed_again(Some("x"), true, None)]
    #[case::not_packed_again(Some("y"), true, Some(ProblemKind::SourceUnreadable))]
    #[case::nothing_more(Some(""), true, Some(ProblemKind::SourceUnreadable))]
    #[case::there_is_no_next_set(None, true, Some(ProblemKind::SourceUnreadable))]
    #[case::the_next_set_is_not_here(None, false, Some(ProblemKind::Waiting))]
    fn the_next_set_judges_a_file_that_is_void_where_a_set_ends(
        #[case] next: Option<&str>,
        #[case] is_settled: bool,
        #[case] expected: Option<ProblemKind>,
    ) {
        let dir = tempfile::tempdir().unwrap();
        let (to, _) = Destination::open(&dir.path().join("to"), SHIPMENT).unwrap();
        let mut sets = BTreeMap::from([(1, bounds(Some("a"), Some("x")))]);
        sets.extend(next.map(|first| (2, bounds(Some(first).filter(|f| !f.is_empty()), None))));
        let (_, problems) = reported(&to, &sets, &|set| set == 1 || is_settled);
        let expected: Vec<_> = expected.into_iter().map(|kind| (kind, "x".into())).collect();
        assert_eq!(problems, expected);
    }

    /// What the destination refuses in two sets is one entry, and waits for none of them.
    #[test]
    fn what_two_sets_name_and_the_destination_refuses_is_reported_once() {
        let dir = tempfile::tempdir().unwrap();
        let (to, _) = Destination::open(&dir.path().join("to"), SHIPMENT).unwrap();
        for set in [1, 2] {
            let ledger = Ledger::begin(&to, SetNumber(set)).unwrap();
            for path in ["folder", "folder/crosses"] {
                let line = EntryFate::new(Fate::Refused, path.into(), "no such name here");
                ledger.add(&EntryFate { shared: set == 2, ..line }).unwrap();
            }
            ledger.end().unwrap();
        }
        let entry = Entry { size: 9, ..Entry::new("folder/crosses", Kind::File) };
        let merge = Merge::default();
        let found = FoundPart {
            merge: &merge,
            hashed: true,
            bytes: (0, 4),
            missing: &[],
            lost: false,
            end: None,
        };
        let mark = PartMark::new(&entry, 0, &found);
        spanning::settle(&to, &entry, SetNumber(1), &mark).unwrap();
        let sets = [(1, bounds(None, None)), (2, bounds(None, None))].into();
        for is_settled in [true, false] {
            let (restored, problems) = reported(&to, &sets, &|_| is_settled);
            let both = ["folder", "folder/crosses"].map(|p| (ProblemKind::Refused, p.to_owned()));
            assert_eq!(problems, both);
            assert_eq!((restored.refused, restored.lost, restored.waiting), (2, 0, 0));
        }
    }
}
