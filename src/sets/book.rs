//! The record book: every stripe record of a set, in order, from whichever copies are sound.
//!
//! Record files are the same on every drive. A file counts if one copy anywhere has a matching
//! digest; with a key, its records' MACs must match too. Records form a chain by digests, which
//! fixes their order and shows a gap.

use super::glance::Glance;
pub use super::glance::{BookReader, OwnedAuthentic, Records};
use super::open::{Digested, FoundDrive, FoundSet, chain};
use crate::drives::Drive;
use crate::format::ids::{RunId, Slot, StripeId, record_path};
use crate::format::list::Hash;
use crate::format::record::{self, PartRecord, RecordFileHeader, RecordIn, StripeRecord};
use crate::monitor::{Monitor, Problem, ProblemKind, Recording};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The longest record file that is read.
pub(super) const MAX_RECORD_FILE_BYTES: u64 = 4 << 30;

/// Says whether a record is authentic.
pub type Authentic<'a> = &'a dyn Fn(&RecordIn) -> bool;

/// Which records count, besides being sound.
#[derive(Clone, Copy, Default)]
pub struct Trust<'a> {
    /// with a key: those with a right MAC
    pub authentic: Option<Authentic<'a>>,
    /// with a root: those in files of these BLAKE3s; see [`super::vouched`]
    pub files: Option<&'a HashSet<Hash>>,
}

/// One record file whose bytes are known to be sound.
pub(super) struct SoundFile {
    pub(super) header: RecordFileHeader,
    digest: Hash,
    /// where they were found, at least once
    copies: Vec<(Arc<dyn Drive>, String)>,
}

impl SoundFile {
    /// Reads the same bytes again, from the first copy that still has them.
    pub(super) fn read(&self) -> Result<Vec<u8>, String> {
        self.read_from(0)
    }

    /// The same, from that copy on.
    fn read_from(&self, copy: usize) -> Result<Vec<u8>, String> {
        let mut first = None;
        let (before, from) = self.copies.split_at(copy % self.copies.len());
        for (drive, path) in from.iter().chain(before) {
            let problem = match drive.read(path, MAX_RECORD_FILE_BYTES) {
                Ok(bytes) if blake3::hash(&bytes).as_bytes() == &self.digest => return Ok(bytes),
                Ok(_) => format!("{}: {path} reads differently the second time", drive.name()),
                Err(e) => chain(&e),
            };
            first.get_or_insert(problem);
        }
        Err(first.unwrap_or_default())
    }
}

/// Where a stripe's record is.
#[derive(Clone, Copy)]
pub(super) struct Spot {
    pub(super) file: usize,
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
    /// its id
    pub run: RunId,
    /// commitment of its key
    pub commitment: Hash,
    /// record files
    pub files: u32,
    /// stripes
    pub stripes: u32,
    /// what its first record names as the one before
    previous: Hash,
    /// digest of its last record
    pub last: Hash,
}

/// All records of a set.
pub struct Book {
    pub(super) files: Vec<SoundFile>,
    runs: Vec<RunFacts>,
    pub(super) stripes: HashMap<StripeId, Spot>,
    order: Vec<StripeId>,
    /// stripes along, by slot, in order
    along: BTreeMap<Slot, Vec<AlongSpot>>,
    /// some records are missing or contradict each other
    pub gaps: bool,
    /// stripes that set.txt counts and of which no record was found
    unknown: u64,
    /// walks that were begun: each reads from another drive, so that several do not wait for one
    walks: AtomicUsize,
    /// nothing was read yet: see [`Book::glance`]
    pub(super) glance: Option<Glance>,
}

impl Book {
    /// A book that is not opened: its reader finds single records where they lie, and all else that
    /// it is asked opens it, once, without a word about what is damaged in a copy.
    pub fn glance(set: &FoundSet, authentic: OwnedAuthentic) -> Self {
        let glance = Some(Glance::new(set, authentic));
        Self { glance, ..Self::empty(false) }
    }

    fn empty(gaps: bool) -> Self {
        Self {
            files: Vec::new(),
            runs: Vec::new(),
            stripes: HashMap::new(),
            order: Vec::new(),
            along: BTreeMap::new(),
            gaps,
            unknown: 0,
            walks: AtomicUsize::new(0),
            glance: None,
        }
    }

    /// The same book, opened.
    pub fn whole(&self) -> &Self {
        self.glance.as_ref().map_or(self, Glance::whole)
    }

    /// Reads all record files of a set. What is damaged in a copy, missing or contradictory is
    /// reported as a problem; `authentic` (with a key) leaves out records that are not ours.
    pub fn open(set: &FoundSet, authentic: Option<Authentic>, monitor: &dyn Monitor) -> Self {
        Self::open_trusted(set, &Trust { authentic, files: None }, monitor)
    }

    /// As [`Book::open`]; `trust` says which records and files are ours.
    pub fn open_trusted(set: &FoundSet, trust: &Trust, monitor: &dyn Monitor) -> Self {
        let mut by_run: BTreeMap<RunId, Vec<(SoundFile, Vec<RecordFacts>)>> = BTreeMap::new();
        let mut gaps = false;
        let text = set.set_text(&Recording::default());
        for name in set.names("records") {
            let Some((run, number)) = parse_name(&name) else { continue };
            if text.as_ref().is_some_and(|text| text.leaves_out(run, number)) {
                let set = set.name();
                monitor.note(&format!("set {set} was closed without records/{name}: left aside"));
                continue;
            }
            match sound_copy(set, run, number, trust, monitor) {
                Some(found) => by_run.entry(run).or_default().push(found),
                None => {
                    gaps = true;
                    let subject = format!("set {}: records/{name}", set.name());
                    let detail = "no sound copy on any drive that is here";
                    monitor.problem(Problem::new(ProblemKind::Damage, subject, detail));
                }
            }
        }
        let mut book = Self::empty(gaps);
        for run in in_chain_order(by_run) {
            book.add_run(run, set, monitor);
        }
        book.compare_with_set_txt(set, monitor);
        book
    }

    /// set.txt says how many records there are and where the chain ends: fewer are a gap that the
    /// chain alone does not show.
    fn compare_with_set_txt(&mut self, set: &FoundSet, monitor: &dyn Monitor) {
        // Copies of set.txt that differ are reported where set.txt is the matter.
        let Some(text) = set.set_text(&Recording::default()) else { return };
        for line in text.runs.iter().filter(|line| line.stripes > 0) {
            let run = self.runs.iter().find(|r| r.run == line.run);
            let same = run.is_some_and(|r| {
                (r.files, r.stripes, r.last) == (line.files, line.stripes, line.last)
            });
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

    fn add_run(
        &mut self,
        files: Vec<(SoundFile, Vec<RecordFacts>)>,
        set: &FoundSet,
        monitor: &dyn Monitor,
    ) {
        let expected = self.runs.last().map_or([0; 32], |r| r.last);
        let mut facts: Option<RunFacts> = None;
        for (number, (file, records)) in files.into_iter().enumerate() {
            let at = self.files.len();
            for (position, r) in records.iter().enumerate() {
                let run = facts.get_or_insert(RunFacts {
                    run: file.header.run,
                    commitment: r.commitment,
                    files: 0,
                    stripes: 0,
                    previous: r.previous,
                    last: expected,
                });
                if r.previous != run.last || r.commitment != run.commitment {
                    self.report_gap(set, r.id, monitor);
                }
                run.last = r.digest;
                run.stripes += 1;
                let order = self.order.len() as u32;
                self.stripes.insert(r.id, Spot { file: at, position: position as u32, order });
                match r.along {
                    None => self.order.push(r.id),
                    Some(along) => self.note_along(r.id, along),
                }
            }
            if let Some(run) = &mut facts {
                run.files += 1;
            }
            if file.header.number as usize != number {
                self.gaps = true;
            }
            self.files.push(file);
        }
        self.runs.extend(facts);
    }

    /// One whose members are not all here is of no use.
    fn note_along(&mut self, id: StripeId, (slot, first, last): (Slot, StripeId, StripeId)) {
        let order = |id: &StripeId| self.stripes.get(id).map(|spot| spot.order);
        if let (Some(first), Some(last)) = (order(&first), order(&last)) {
            self.along.entry(slot).or_default().push(AlongSpot { first, last, id });
        }
    }

    fn report_gap(&mut self, set: &FoundSet, id: StripeId, monitor: &dyn Monitor) {
        self.gaps = true;
        let subject = format!("set {}: record of stripe {id}", set.name());
        let detail = "does not follow the record before it: records are missing or mixed up";
        monitor.problem(Problem::new(ProblemKind::Damage, subject, detail));
    }

    /// Stripes that set.txt counts and of which no record was found.
    pub fn unknown(&self) -> u64 {
        self.whole().unknown
    }

    /// Is there a record of this stripe?
    pub fn has(&self, stripe: StripeId) -> bool {
        self.whole().stripes.contains_key(&stripe)
    }

    /// How many records there are, of both kinds.
    pub fn records(&self) -> usize {
        self.whole().stripes.len()
    }

    /// The stripe along a drive, if there is one, whose members the drive's shards of this stripe
    /// are.
    pub fn along(&self, stripe: StripeId, slot: Slot) -> Option<StripeId> {
        let book = self.whole();
        let order = book.stripes.get(&stripe)?.order;
        let of_slot = book.along.get(&slot)?;
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

    /// The catalog parts that were committed with the records.
    pub fn parts(&self) -> impl Iterator<Item = (RunId, &PartRecord)> {
        self.whole().files.iter().filter_map(|f| f.header.part.as_ref().map(|p| (f.header.run, p)))
    }

    /// Reads the records again, of both kinds, in order, one file in memory at a time. `each` ends the walk by
    /// returning false. A file of which no copy can be read any more is a problem.
    pub fn walk(&self, monitor: &dyn Monitor, mut each: impl FnMut(&StripeRecord) -> bool) {
        let book = self.whole();
        let turn = book.walks.fetch_add(1, Ordering::Relaxed);
        for file in &book.files {
            let bytes = match file.read_from(turn) {
                Ok(bytes) => bytes,
                Err(detail) => {
                    let subject = record_path(file.header.run, file.header.number);
                    monitor.problem(Problem::new(ProblemKind::Damage, subject, detail));
                    continue;
                }
            };
            for record in record::records(&file.header, &bytes).flatten() {
                if !each(&record.record) {
                    return;
                }
            }
        }
    }

    /// A reader of single records that keeps the last file in memory.
    pub fn reader(&self) -> BookReader<'_> {
        BookReader::new(self)
    }
}

/// What the book remembers of a record.
pub(super) struct RecordFacts {
    /// of a stripe along: its slot, the stripes of its first and its last member
    along: Option<(Slot, StripeId, StripeId)>,
    id: StripeId,
    commitment: Hash,
    pub(super) previous: Hash,
    pub(super) digest: Hash,
}

pub(super) fn parse_name(name: &str) -> Option<(RunId, u32)> {
    let (run, number) = name.strip_suffix(".rec")?.split_once('-')?;
    if number.len() != 8 {
        return None;
    }
    Some((run.parse().ok()?, u32::from_str_radix(number, 16).ok()?))
}

/// The sound copies of a record file. Copies that are unsound, or sound but different, are
/// reported.
fn sound_copy(
    set: &FoundSet,
    run: RunId,
    number: u32,
    trust: &Trust,
    monitor: &dyn Monitor,
) -> Option<(SoundFile, Vec<RecordFacts>)> {
    let path = record_path(run, number);
    let mut found: Option<(SoundFile, Vec<RecordFacts>)> = None;
    for (drive, at, read) in set.digested_copies(&path, MAX_RECORD_FILE_BYTES) {
        let second_copy = at.contains(super::open::COPY);
        let copy = (drive.drive.clone(), at.clone());
        let problem = match read {
            Err(e) if e.is_missing() && second_copy => continue,
            Err(e) => chain(&e),
            Ok(read) => {
                let digest = read.digest;
                if let Some((first, _)) = &mut found
                    && first.digest == digest
                {
                    first.copies.push(copy);
                    continue;
                }
                let bytes = bytes_of(drive, &at, read);
                match bytes.and_then(|bytes| decode(set, run, number, &bytes, trust)) {
                    Err(detail) => detail,
                    Ok((header, facts)) => match &found {
                        Some((first, _)) => format!(
                            "differs from the copy on {}, and both are sound",
                            first.copies[0].0.name()
                        ),
                        None => {
                            let copies = vec![copy];
                            found = Some((SoundFile { header, digest, copies }, facts));
                            continue;
                        }
                    },
                }
            }
        };
        let subject = format!("{}: {at}", drive.drive.name());
        monitor.problem(Problem::new(ProblemKind::Damage, subject, problem));
    }
    found
}

/// The bytes of a copy, read again if they were not held.
pub(super) fn bytes_of(drive: &FoundDrive, path: &str, read: Digested) -> Result<Vec<u8>, String> {
    if let Some(bytes) = read.bytes {
        return Ok(bytes);
    }
    let bytes = drive.drive.read(path, MAX_RECORD_FILE_BYTES).map_err(|e| chain(&e))?;
    let same = *blake3::hash(&bytes).as_bytes() == read.digest;
    same.then_some(bytes).ok_or_else(|| "reads differently the second time".into())
}

pub(super) fn decode(
    set: &FoundSet,
    run: RunId,
    number: u32,
    bytes: &[u8],
    trust: &Trust,
) -> Result<(RecordFileHeader, Vec<RecordFacts>), String> {
    let header = record::decode_file(bytes).map_err(|e| e.to_string())?;
    if (header.shipment, header.set, header.run, header.number)
        != (set.shipment, set.set, run, number)
    {
        return Err("belongs elsewhere: its shipment, set, run or number is another".into());
    }
    if trust.files.is_some_and(|files| !files.contains(blake3::hash(bytes).as_bytes())) {
        return Err("is not what the expected root vouches for".into());
    }
    let mut facts = Vec::new();
    for record in record::records(&header, bytes) {
        let record = record.map_err(|e| e.to_string())?;
        if trust.authentic.is_some_and(|is| !is(&record)) {
            return Err(format!("the record of stripe {} is not authentic", record.record.id));
        }
        facts.push(RecordFacts {
            along: along_facts(&record.record),
            id: record.record.id,
            commitment: record.record.commitment,
            previous: record.record.previous,
            digest: record.digest(),
        });
    }
    Ok((header, facts))
}

fn along_facts(record: &StripeRecord) -> Option<(Slot, StripeId, StripeId)> {
    let (first, last) = (record.members.first()?, record.members.last()?);
    Some((record.shards.first()?.slot, first.stripe, last.stripe))
}

/// Runs in the order of the chain: each begins with the digest that the one before ended with.
fn in_chain_order(
    mut by_run: BTreeMap<RunId, Vec<(SoundFile, Vec<RecordFacts>)>>,
) -> Vec<Vec<(SoundFile, Vec<RecordFacts>)>> {
    let mut ordered = Vec::new();
    let mut last = [0; 32];
    while !by_run.is_empty() {
        let first_previous = |files: &Vec<(SoundFile, Vec<RecordFacts>)>| {
            files.iter().find_map(|(_, records)| records.first().map(|r| r.previous))
        };
        let next = by_run.iter().find(|(_, files)| first_previous(files) == Some(last));
        let Some(run) = next.or(by_run.iter().next()).map(|(run, _)| *run) else { break };
        let files = by_run.remove(&run).unwrap_or_default();
        last = files
            .iter()
            .rev()
            .find_map(|(_, records)| records.last().map(|r| r.digest))
            .unwrap_or(last);
        ordered.push(files);
    }
    ordered
}
