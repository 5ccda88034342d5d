//! The record index: every stripe record of a set, in order, from whichever copies are sound.
//!
//! Which record files count is told by [`super::vouched`]. Each names the one before it, which
//! fixes their order and shows a gap.

use super::copies::Authentic;
use super::found::FoundSet;
use super::lazy::{LazyIndex, OwnedAuthentic};
use super::sound_file::{RecordFacts, SoundFile};
use super::vouched::{CountedRecords, counted, written};
use crate::drives::while_next;
use crate::format::ids::{RunId, Slot, StripeId, StripeNumber, record_path};
use crate::format::list::Hash;
use crate::format::record::{self, PartRecord, RecordFileHeader, StripeRecord};
use crate::format::set::{RunLine, SetText};
use crate::monitor::{Monitor, Problem, ProblemKind, Recording};
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Where a stripe's record is.
#[derive(Clone, Copy)]
pub(super) struct RecordSpot {
    pub(super) file: u32,
    pub(super) position: u32,
    /// its place among the stripes across; of one along, what was there before it
    order: u32,
}

/// A stripe along a drive, and which of the stripes across its members are of.
struct AlongSpot {
    first: u32,
    last: u32,
    id: StripeId,
}

/// A run, as its records tell it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunFacts {
    pub run: RunId,
    /// commitment of its key
    pub commitment: Hash,
    /// record files
    pub files: u32,
    pub stripes: u32,
    /// BLAKE3 of its last record file
    pub last: Hash,
}

/// All records of a set.
pub struct RecordIndex {
    pub(super) files: Vec<SoundFile>,
    runs: Vec<RunFacts>,
    /// by the number of the run here, and that of the stripe: there may be millions
    stripes: HashMap<(u32, StripeNumber), RecordSpot>,
    run_numbers: HashMap<RunId, u32>,
    order: Vec<StripeId>,
    /// stripes along, by slot, in order
    along: BTreeMap<Slot, Vec<AlongSpot>>,
    /// some records are missing or contradict each other
    pub gaps: bool,
    /// record files of which there are other sound copies besides
    pub contradictions: Vec<String>,
    /// record files that do not count, since one drive alone says that they are there: its name,
    /// and the file
    pub alone: Vec<(String, String)>,
    /// with a key: there are copies of record files that are not authentic
    pub forged: bool,
    /// stripes were committed without a catalog part
    uncatalogued: bool,
    /// stripes that set.txt counts and of which no record was found
    unknown: u64,
    /// of a set without set.txt here: drives that do not say which of its slots they have
    unplaced: Option<usize>,
    /// walks that were begun: each reads from another drive, so that several do not wait for one
    walks: AtomicUsize,
    /// nothing was read yet: see [`RecordIndex::lazy`]
    pub(super) lazy: Option<LazyIndex>,
    /// the same set opened after all
    opened: OnceLock<Box<Self>>,
}

/// The drives that do not say which of the set's slots they have: each may be one that is missed.
fn unplaced(set: &FoundSet) -> usize {
    set.all_drives().filter(|found| found.label.slot == Slot(0)).count()
}

impl RecordIndex {
    /// A record index that is not opened: its reader finds single records where they lie, and all
    /// else that it is asked opens it, once, without a word about what is damaged in a copy.
    pub fn lazy(set: &FoundSet, authentic: OwnedAuthentic) -> Self {
        let lazy = Some(LazyIndex::new(set, authentic));
        Self { lazy, ..Self::empty(false) }
    }

    fn empty(gaps: bool) -> Self {
        Self {
            files: Vec::new(),
            runs: Vec::new(),
            stripes: HashMap::new(),
            run_numbers: HashMap::new(),
            order: Vec::new(),
            along: BTreeMap::new(),
            gaps,
            contradictions: Vec::new(),
            alone: Vec::new(),
            forged: false,
            uncatalogued: false,
            unknown: 0,
            unplaced: None,
            walks: AtomicUsize::new(0),
            lazy: None,
            opened: OnceLock::new(),
        }
    }

    /// The same record index, opened when that is asked for first.
    pub fn whole(&self) -> &Self {
        let Some(lazy) = &self.lazy else { return self };
        let quiet = Recording::default();
        let open = || Box::new(Self::open(lazy.set(), Some(lazy.authentic()), &quiet));
        self.opened.get_or_init(open)
    }

    /// Reads all record files of a set. What is damaged in a copy, missing or contradictory is
    /// reported as a problem; `authentic` (with a key) leaves out files that are not ours.
    pub fn open(set: &FoundSet, authentic: Option<Authentic>, monitor: &dyn Monitor) -> Self {
        // Copies of set.txt that differ are reported where set.txt is the matter.
        let text = set.set_text(&Recording::default());
        let counted = counted(set, text.as_ref(), authentic, monitor);
        // Nobody vouches for a set.txt without a MAC. With the key, each file that is there shows
        // for itself: further ones are no gap, nor are those that it counts and no run has made.
        let of_nobody = text.as_ref().is_some_and(|t| t.mac.is_none()) && authentic.is_some();
        let foreign = of_nobody.then(|| counted.foreign.clone());
        let mut record_index = Self::of(counted, set, monitor);
        match text {
            Some(text) => record_index.compare(&text, foreign.as_ref(), set, monitor),
            None => record_index.unplaced = Some(unplaced(set)),
        }
        if authentic.is_some()
            && record_index.order.is_empty()
            && record_index.forged
            && !record_index.gaps
        {
            // Whoever had the drives took away what was there.
            record_index.gaps = true;
            let subject = format!("set {}: records", set.name());
            let detail =
                "there are some, and none was made with this key: what was packed cannot be found";
            monitor.problem(Problem::new(ProblemKind::Damage, subject, detail));
        }
        record_index
    }

    /// The records of an unclosed set that the machine that packs it has written, by its state; and
    /// the drives that carry others besides, each with one of them.
    pub fn written(
        set: &FoundSet,
        lines: &[RunLine],
        monitor: &dyn Monitor,
    ) -> (Self, BTreeMap<String, String>) {
        let (counted, strays) = written(set, lines, monitor);
        (Self::of(counted, set, monitor), strays)
    }

    fn of(counted: CountedRecords, set: &FoundSet, monitor: &dyn Monitor) -> Self {
        let CountedRecords { contradictions, alone, forged, .. } = counted;
        let mut record_index = Self { contradictions, alone, forged, ..Self::empty(counted.gaps) };
        for run in counted.runs {
            record_index.add_run(run, set, monitor);
        }
        record_index
    }

    /// set.txt says how many records there are and where the chain ends: fewer are a gap that the
    /// chain alone does not show. `foreign` of them, by run, were never a part of it.
    fn compare(
        &mut self,
        text: &SetText,
        foreign: Option<&BTreeMap<RunId, u32>>,
        set: &FoundSet,
        monitor: &dyn Monitor,
    ) {
        for line in text.runs.iter().filter(|line| line.stripes > 0) {
            let run = self.runs.iter().find(|r| r.run == line.run);
            let same = match foreign {
                None => run.is_some_and(|r| {
                    (r.files, r.stripes, r.last) == (line.files, line.stripes, line.last)
                }),
                Some(foreign) => {
                    let foreign = foreign.get(&line.run).copied().unwrap_or(0);
                    run.map_or(0, |r| r.files).saturating_add(foreign) >= line.files
                }
            };
            if !same {
                self.gaps = true;
                let subject = format!("set {}: records of run {}", set.name(), line.run);
                let found = run.map_or(0, |r| r.stripes);
                self.unknown += u64::from(line.stripes.saturating_sub(found));
                let detail =
                    format!("{found} were found, but set.txt says there are {}", line.stripes);
                monitor.problem(Problem::new(ProblemKind::Damage, subject, detail));
            }
        }
    }

    fn add_run(&mut self, files: Vec<SoundFile>, set: &FoundSet, monitor: &dyn Monitor) {
        let Some(first) = files.first().map(|file| file.header) else { return };
        let mut run = RunFacts {
            run: first.run,
            commitment: first.commitment,
            files: 0,
            stripes: 0,
            last: self.runs.last().map_or([0; 32], |r| r.last),
        };
        self.run_numbers.insert(first.run, self.runs.len() as u32);
        for file in files {
            let head = &file.header;
            let follows = head.previous == run.last && head.number == run.files;
            if !follows || head.commitment != run.commitment {
                self.report_gap(set, head, "does not follow the record file before it", monitor);
            }
            let across = || file.records.iter().any(|record| record.along.is_none());
            self.uncatalogued |= head.part.is_none() && across();
            (run.last, run.files) = (file.digest, run.files + 1);
            for (position, record) in file.records.iter().enumerate() {
                run.stripes += 1;
                self.add_record(record, position as u32, &file, set, monitor);
            }
            self.files.push(SoundFile { records: Vec::new(), ..file });
        }
        self.runs.push(run);
    }

    fn add_record(
        &mut self,
        record: &RecordFacts,
        position: u32,
        file: &SoundFile,
        set: &FoundSet,
        monitor: &dyn Monitor,
    ) {
        let (order, at) = (self.order.len() as u32, self.files.len() as u32);
        let id = StripeId { run: file.header.run, number: record.number };
        match self.stripes.entry((self.runs.len() as u32, record.number)) {
            Entry::Vacant(new) => new.insert(RecordSpot { file: at, position, order }),
            Entry::Occupied(_) => {
                let detail = format!("has a second record of stripe {id}");
                return self.report_gap(set, &file.header, &detail, monitor);
            }
        };
        match &record.along {
            None => self.order.push(id),
            Some(along) => self.note_along(id, **along),
        }
    }

    /// Where a stripe's record is, in a record index that is open.
    pub(super) fn spot(&self, stripe: StripeId) -> Option<&RecordSpot> {
        self.stripes.get(&(*self.run_numbers.get(&stripe.run)?, stripe.number))
    }

    /// One whose members are not all here is of no use.
    fn note_along(&mut self, id: StripeId, (slot, first, last): (Slot, StripeId, StripeId)) {
        let order = |id: &StripeId| self.spot(*id).map(|spot| spot.order);
        if let (Some(first), Some(last)) = (order(&first), order(&last)) {
            self.along.entry(slot).or_default().push(AlongSpot { first, last, id });
        }
    }

    fn report_gap(
        &mut self,
        set: &FoundSet,
        head: &RecordFileHeader,
        detail: &str,
        monitor: &dyn Monitor,
    ) {
        self.gaps = true;
        let subject = format!("set {}: {}", set.name(), record_path(head.run, head.number));
        let detail = format!("{detail}: records are missing or contradict each other");
        monitor.problem(Problem::new(ProblemKind::Damage, subject, detail));
    }

    /// Stripes that set.txt counts and of which no record was found.
    pub fn unknown(&self) -> u64 {
        self.whole().unknown
    }

    /// May drives that are not here, of these slots, have records of which nothing here tells?
    pub fn may_miss_records(&self, absent: &BTreeSet<Slot>) -> bool {
        self.whole().unplaced.is_some_and(|unplaced| absent.len() > unplaced)
    }

    pub fn has(&self, stripe: StripeId) -> bool {
        self.whole().spot(stripe).is_some()
    }

    /// How many records there are, of both kinds.
    pub fn records(&self) -> usize {
        self.whole().stripes.len()
    }

    /// The stripe along a drive, if there is one, whose members the drive's shards of this stripe
    /// are.
    pub fn along(&self, stripe: StripeId, slot: Slot) -> Option<StripeId> {
        let record_index = self.whole();
        let order = record_index.spot(stripe)?.order;
        let of_slot = record_index.along.get(&slot)?;
        let found = of_slot.get(of_slot.partition_point(|spot| spot.last < order))?;
        (found.first <= order).then_some(found.id)
    }

    /// The stripes across in order.
    pub fn stripes(&self) -> &[StripeId] {
        &self.whole().order
    }

    /// The runs in order.
    pub fn runs(&self) -> &[RunFacts] {
        &self.whole().runs
    }

    /// The record files: header and BLAKE3 of the file.
    pub fn files(&self) -> impl Iterator<Item = (&RecordFileHeader, &Hash)> {
        self.whole().files.iter().map(|f| (&f.header, &f.digest))
    }

    /// Does a drive carry a copy of this record file that was not seen to be damaged?
    pub fn is_carried(&self, path: &str, drive: &str) -> bool {
        let is_it = |f: &&SoundFile| record_path(f.header.run, f.header.number) == path;
        let file = self.whole().files.iter().find(is_it);
        file.is_some_and(|file| file.copies.iter().any(|(found, _)| found.name() == drive))
    }

    /// Do the parts that the records name hold the lists of all stripes?
    pub fn is_catalogued(&self) -> bool {
        !self.whole().uncatalogued
    }

    /// The catalog parts that were committed with the records.
    pub fn parts(&self) -> impl Iterator<Item = (RunId, &PartRecord)> {
        self.whole().files.iter().filter_map(|f| f.header.part.as_ref().map(|p| (f.header.run, p)))
    }

    /// Reads the records again, of both kinds, in order, while the next file
    /// is read. `each` ends
    /// the walk by returning false. A file of which no copy can be read any more is a problem.
    pub fn walk(&self, monitor: &dyn Monitor, mut each: impl FnMut(&StripeRecord) -> bool) {
        let record_index = self.whole();
        let turn = record_index.walks.fetch_add(1, Ordering::Relaxed);
        let mut all = |file: &SoundFile, bytes: Result<Vec<u8>, String>| match bytes {
            Ok(bytes) => record::records(&file.header, &bytes).flatten().all(|r| each(&r)),
            Err(detail) => {
                let subject = record_path(file.header.run, file.header.number);
                monitor.problem(Problem::new(ProblemKind::Damage, subject, detail));
                true
            }
        };
        // Some walks look at the first record alone.
        let Some((first, rest)) = record_index.files.split_first() else { return };
        if !all(first, first.read_from(turn)) {
            return;
        }
        let read = |file| (file, SoundFile::read_from(file, turn));
        while_next(rest, read, |(file, bytes)| all(file, bytes));
    }
}
