//! Opening sets with a key: their run keys, and which set.txt of each counts.
//!
//! - Enters: sets as they were found, identities, and roots that the user has from elsewhere.
//! - Leaves: the keys of their runs; the sets, settled.
//! - Always holds: (1) a set.txt counts that the run which closed the set vouches for by its MAC;
//!   if several do, that of an expected root, else the one that most drives have, else none; (2)
//!   where roots are expected, no set of another root is opened; (3) of several keys of one run the
//!   one counts that set.txt commits to, or else that made records on most drives; of as many, the
//!   one that opens what its records name; if each does, none, and both are reported: one drive's
//!   word is no better than another's, and one of them can be left out.

mod tries;

use super::foreign;
use super::open::OpenError;
use crate::format::Suite;
use crate::format::ids::{RunId, SetNumber, Slot, key_path, parse_record_name};
use crate::format::label::Label;
use crate::format::list::Hash;
use crate::format::record::{self, FileHashes, MAX_RECORD_FILE_BYTES, RecordFileHeader};
use crate::format::set::SetText;
use crate::format::shown::{error_chain, hex};
use crate::keys::RunKey;
use crate::keys::recipients::Identities;
use crate::metadata_files::rejected::report_rejected_copies;
use crate::monitor::{Monitor, Problem, ProblemKind};
use crate::restorer::opens_one;
use crate::shipment::file_copies::FileCopy;
use crate::shipment::found::Settled;
use crate::shipment::texts::{Texts, report_rejected, sides, texts, usual};
use crate::shipment::{FoundSet, RecordIndex};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tries::{Candidates, KeyFilesOpened, Tries};

/// The keys of a set's runs.
pub type Keys = BTreeMap<RunId, RunKey>;

/// Opens sets of one shipment, the last first: its root vouches for those of the sets before. One
/// that cannot be opened, or has none of the roots that are expected, or is foreign, is reported
/// and left out if others can be, for anybody can lay one beside them; it is an error if none can.
pub fn unlock(
    sets: &mut Vec<FoundSet>,
    identities: &Identities,
    expect: &[Hash],
    monitor: &dyn Monitor,
) -> Result<Vec<Keys>, OpenError> {
    unlock_sets(sets, identities, expect, false, monitor)
}

/// The same for whoever does not look at each file of a drive besides: copies of set.txt and of key
/// files that are rejected are reported.
pub fn unlock_and_report(
    sets: &mut Vec<FoundSet>,
    identities: &Identities,
    expect: &[Hash],
    monitor: &dyn Monitor,
) -> Result<Vec<Keys>, OpenError> {
    unlock_sets(sets, identities, expect, true, monitor)
}

fn unlock_sets(
    sets: &mut Vec<FoundSet>,
    identities: &Identities,
    expect: &[Hash],
    reports: bool,
    monitor: &dyn Monitor,
) -> Result<Vec<Keys>, OpenError> {
    let mut roots = Roots::new(expect);
    let (mut opened, mut closed) = (Vec::new(), Vec::new());
    for mut set in std::mem::take(sets).into_iter().rev() {
        match unlock_set(&mut set, identities, &mut roots, reports, monitor) {
            Ok(keys) => opened.push((set, keys)),
            Err(e) => closed.push((set, e)),
        }
    }
    if opened.is_empty() {
        return first_error(closed).map_or(Ok(Vec::new()), Err);
    }
    for (set, error) in closed {
        report_left_out(&set, &error, monitor);
    }
    let (mut found, mut keys): (Vec<_>, Vec<_>) = opened.into_iter().rev().unzip();
    let foreign = foreign::foreign(&found, monitor);
    let (mut of_sets, mut of_keys) = (foreign.iter(), foreign.iter());
    found.retain(|_| of_sets.next() == Some(&false));
    keys.retain(|_| of_keys.next() == Some(&false));
    *sets = found;
    Ok(keys)
}

/// Why no set could be opened: of the last one; but what anybody can lay beside the sets explains
/// nothing.
fn first_error(closed: Vec<(FoundSet, OpenError)>) -> Option<OpenError> {
    let says_little = |error: &OpenError| {
        matches!(error, OpenError::NoSuchRoot { .. } | OpenError::NoKeyFile { .. })
            || matches!(error, OpenError::Empty { .. })
    };
    let mut errors: Vec<OpenError> = closed.into_iter().map(|(_, error)| error).collect();
    errors.sort_by_key(says_little);
    errors.into_iter().next()
}

fn report_left_out(set: &FoundSet, error: &OpenError, monitor: &dyn Monitor) {
    let on: Vec<_> = set.all_drives().map(|found| found.drive.name()).collect();
    let detail = format!("{} (on {}); it is left out", error_chain(error), on.join(", "));
    monitor.problem(Problem::new(ProblemKind::Damage, format!("set {}", set.name()), detail));
}

/// Settles sets of which no key is at hand by roots that the user has from elsewhere. One that has
/// none of them is reported and left out; it is an error if none has.
pub fn expect(
    sets: &mut Vec<FoundSet>,
    expect: &[Hash],
    monitor: &dyn Monitor,
) -> Result<(), OpenError> {
    let mut roots = Roots::new(expect);
    if expect.is_empty() {
        return Ok(());
    }
    let (mut settled, mut others) = (Vec::new(), Vec::new());
    for mut set in std::mem::take(sets).into_iter().rev() {
        match roots.expected(&set, texts(&set)) {
            Ok(texts) => {
                let text = usual(&set, texts);
                roots.note(text.as_ref());
                set.settled = text.map_or(Settled::Nothing, |text| Settled::Text(Arc::new(text)));
                settled.push(set);
            }
            Err(error) => others.push((set, error)),
        }
    }
    if settled.is_empty() {
        return first_error(others).map_or(Ok(()), Err);
    }
    others.iter().for_each(|(set, error)| report_left_out(set, error, monitor));
    settled.reverse();
    *sets = settled;
    Ok(())
}

/// The root of a set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SetRoot {
    pub set: SetNumber,
    /// BLAKE3 of its set.txt, in hexadecimal
    pub root: String,
}

/// The roots of sets that are settled.
pub fn roots(sets: &[FoundSet]) -> Vec<SetRoot> {
    let root = |set: &FoundSet| match &set.settled {
        Settled::Text(text) => {
            let root = hex(&text.root());
            Some(SetRoot { set: set.set, root })
        }
        _ => None,
    };
    sets.iter().filter_map(root).collect()
}

/// Does anybody vouch for the end of a set that is settled: the run that closed it, the user, or a
/// set after it that names its root? What is in clear on drives alone, anybody may have cut short.
pub fn is_vouched(set: &FoundSet, sets: &[FoundSet], expect: &[Hash]) -> bool {
    let text = |set: &FoundSet| match &set.settled {
        Settled::Text(text) => Some(text.clone()),
        _ => None,
    };
    let Some(own) = text(set) else { return false };
    let is_next = |after: &&FoundSet| after.set.0 == set.set.0 + 1;
    let named = sets
        .iter()
        .filter(is_next)
        .filter_map(text)
        .any(|after| after.further_sets().is_some() && after.before == Some(own.root()));
    named || own.further_sets().is_some() || !expect.is_empty()
}

/// The roots that are right, if any are known.
struct Roots {
    known: BTreeSet<Hash>,
    is_asked: bool,
}

impl Roots {
    fn new(expect: &[Hash]) -> Self {
        Self { known: expect.iter().copied().collect(), is_asked: !expect.is_empty() }
    }

    /// Of the texts of a set those with an expected root; all, if none is expected.
    fn expected(&self, set: &FoundSet, mut texts: Texts) -> Result<Texts, OpenError> {
        if self.is_asked {
            texts.retain(|root, _| self.known.contains(root));
            if texts.is_empty() {
                return Err(OpenError::NoSuchRoot { set: set.name() });
            }
        }
        Ok(texts)
    }

    /// Takes a text as right: so is the root of the set before that it names.
    fn note(&mut self, text: Option<&SetText>) {
        self.known.extend(text.and_then(|text| text.before));
    }
}

fn unlock_set(
    set: &mut FoundSet,
    identities: &Identities,
    roots: &mut Roots,
    reports: bool,
    monitor: &dyn Monitor,
) -> Result<Keys, OpenError> {
    let texts = roots.expected(set, texts(set))?;
    // Of those that are valid and do not count it is told who vouches for them.
    let valid: BTreeSet<Hash> = texts.keys().copied().collect();
    if valid.is_empty() {
        report_rejected(set, monitor);
    } else if reports {
        report_rejected_copies(set, "set.txt", &|root| valid.contains(root), monitor);
    }
    let (text, mut candidates, files) = open_set(set, texts, identities, roots.is_asked, monitor)?;
    roots.note(text.as_ref());
    let mut keys = Keys::new();
    for (run, of_run) in &mut candidates {
        if of_run.len() > 1 {
            let subject = format!("set {}: {}", set.name(), key_path(*run));
            let detail = "different keys of one run lie on the drives: one of them is not ours";
            monitor.problem(Problem::new(ProblemKind::Damage, subject, detail));
        }
        let line = text.iter().flat_map(|text| &text.runs).find(|line| line.run == *run);
        keys.extend(choose(set, *run, line.map(|line| line.commitment), of_run)?);
    }
    for run in keys.keys().filter(|_| reports) {
        let opens = |hash: &Hash| files.contains(&(*run, *hash));
        report_rejected_copies(set, &key_path(*run), &opens, monitor);
    }
    text.iter().for_each(|text| adopt_labels(set, text));
    set.settled = text.map_or(Settled::Nothing, |text| Settled::Text(Arc::new(text)));
    if let Ok(suite @ Suite::Unknown(_)) = Suite::of(set.label().suite) {
        return Err(OpenError::Suite { set: set.name(), suite });
    }
    Ok(keys)
}

/// What is the same on all drives is as the labels say that the text names, whatever others say.
fn adopt_labels(set: &mut FoundSet, text: &SetText) {
    let is_named = |bytes: &Vec<u8>| {
        let hash = *blake3::hash(bytes).as_bytes();
        text.slots.iter().any(|line| line.label == Some(hash))
    };
    let Some(common) = set.common_label(is_named) else { return };
    for found in set.drives.iter_mut().chain(&mut set.duplicates) {
        let (slot, case) = (found.label.slot, found.label.case.clone());
        found.label = Label { slot, case, ..common.clone() };
    }
}

/// The text that counts, and the keys of the runs that it names; without one, of those that the
/// drives name.
fn open_set(
    set: &FoundSet,
    texts: Texts,
    identities: &Identities,
    is_expected: bool,
    monitor: &dyn Monitor,
) -> Result<(Option<SetText>, Candidates, KeyFilesOpened), OpenError> {
    let mut tries = Tries::new(set, identities);
    let is_closed = !texts.is_empty();
    tries.closers(&texts);
    let seals = Seals::of(texts, &tries.found);
    if !seals.authentic.is_empty() {
        let runs = seals.authentic.values().flat_map(|version| &version.text.runs);
        tries.vouched(runs.map(|line| line.run));
    } else if is_expected && !seals.unknown.is_empty() {
        let runs = seals.unknown.values().flat_map(|version| &version.text.runs);
        tries.vouched(runs.map(|line| line.run));
    } else {
        tries.named(&seals.open);
    }
    let files = std::mem::take(&mut tries.opened);
    let candidates = tries.end(is_closed, monitor)?;
    let text = settle(set, seals, is_expected, monitor)?;
    Ok((text, candidates, files))
}

/// Texts by what their MACs show.
#[derive(Default)]
struct Seals {
    /// the run that closed the set vouches for it
    authentic: Texts,
    /// it does not
    forged: Texts,
    /// its key is not at hand
    unknown: Texts,
    /// nobody vouches for it, and it does not say so either
    open: Texts,
}

impl Seals {
    fn of(texts: Texts, candidates: &Candidates) -> Self {
        let mut seals = Self::default();
        for (root, version) in texts {
            let text = &version.text;
            let keys = text.index().map(|index| candidates.get(&index.run));
            let line = |run| text.runs.iter().find(|line| line.run == run);
            let closed = |key: &RunKey| {
                line(key.run()).is_some_and(|line| key.commitment() == line.commitment)
                    && key.has_closed(text)
            };
            let of = match keys {
                None => &mut seals.open,
                Some(Some(keys)) if keys.iter().any(closed) => &mut seals.authentic,
                Some(Some(keys)) if !keys.is_empty() => &mut seals.forged,
                Some(_) => &mut seals.unknown,
            };
            of.insert(root, version);
        }
        seals
    }
}

/// The text that counts.
fn settle(
    set: &FoundSet,
    seals: Seals,
    is_expected: bool,
    monitor: &dyn Monitor,
) -> Result<Option<SetText>, OpenError> {
    let subject = format!("set {}: set.txt", set.name());
    let report = |detail: String| {
        monitor.problem(Problem::new(ProblemKind::Damage, &subject, detail));
    };
    let Seals { authentic, forged, unknown, open } = seals;
    let report_texts = |texts: &Texts, what: &str| {
        if !texts.is_empty() {
            report(format!("{what}: {}", sides(texts)));
        }
    };
    let closer = |texts: &Texts| {
        texts.values().find_map(|v| v.text.index()).map(|index| key_path(index.run))
    };
    if authentic.is_empty() && is_expected {
        if !unknown.is_empty() {
            // The root says more than a MAC does.
            report_texts(
                &unknown,
                "its MAC cannot be checked, but its root is the one that is expected",
            );
            return Ok(usual(set, unknown));
        }
        if let Some(key) = closer(&forged) {
            return Err(OpenError::NotByThisKey { set: set.name(), sides: sides(&forged), key });
        }
    }
    report_texts(&forged, "is not authentic, and left aside");
    if let Some(key) = closer(&unknown) {
        report_texts(&unknown, &format!("cannot be checked without {key}, and is left aside"));
    }
    if authentic.is_empty() {
        // Without a MAC, nobody vouches for it: it says what it can.
        if open.len() > 1 {
            report(format!("different copies lie on the drives: {}", sides(&open)));
        }
        return Ok(usual(set, open));
    }
    report_texts(&open, "is not authentic, and left aside");
    if authentic.len() > 1 {
        let mut most: Vec<usize> = authentic.values().map(|v| v.drives.len()).collect();
        most.sort_unstable();
        if most[most.len() - 2] == most[most.len() - 1] {
            return Err(OpenError::Conflict { set: set.name(), sides: sides(&authentic) });
        }
        report(format!(
            "copies of different keys lie on the drives, and the one that most have is used: {}",
            sides(&authentic)
        ));
    }
    Ok(usual(set, authentic))
}

/// The key of a run: the one that is committed to.
fn choose(
    set: &FoundSet,
    run: RunId,
    commitment: Option<Hash>,
    keys: &mut Vec<RunKey>,
) -> Result<Option<(RunId, RunKey)>, OpenError> {
    if let Some(commitment) = commitment {
        keys.retain(|key| key.commitment() == commitment);
    }
    // Only a choice needs the records.
    if keys.len() > 1 {
        let made: Vec<Made> = keys.iter().map(|key| Made::by(set, key)).collect();
        let most = made.iter().map(|made| made.slots.len()).max().unwrap_or(0);
        let mut best: Vec<usize> =
            (0..keys.len()).filter(|at| made[*at].slots.len() == most).collect();
        if most > 0 && best.len() > 1 {
            best.retain(|at| made[*at].opens);
        }
        if most > 0 && best.len() > 1 {
            let side = |at: &usize| {
                let drives: Vec<&str> = made[*at].drives.iter().map(String::as_str).collect();
                format!("one those on {}", drives.join(", "))
            };
            let sides: BTreeSet<String> = best.iter().map(side).collect();
            let sides = sides.into_iter().collect::<Vec<_>>().join("; ");
            return Err(OpenError::Keys { set: set.name(), run, sides });
        }
        // If no key has made a record, or none of these opens anything, it is all the same.
        keys.swap(0, best.first().copied().unwrap_or(0));
    }
    Ok(keys.drain(..).next().map(|key| (run, key)))
}

/// What a key has made of the records on the drives.
#[derive(Default)]
struct Made {
    drives: BTreeSet<String>,
    /// a drive whose slot is not known counts for itself
    slots: BTreeSet<(Slot, String)>,
    /// a block that they name opens with it
    opens: bool,
}

impl Made {
    fn by(set: &FoundSet, key: &RunKey) -> Self {
        let mut made = Self::default();
        for name in set.names("records") {
            if parse_record_name(&name).is_none_or(|(run, _)| run != key.run()) {
                continue;
            }
            let path = format!("records/{name}");
            for FileCopy { found, read, .. } in set.copies(&path, MAX_RECORD_FILE_BYTES) {
                let Ok(bytes) = read else { continue };
                let header = record::decode_file(&bytes);
                let Some(header) = header.ok().filter(|h| key.is_record_file(h, &bytes)) else {
                    continue;
                };
                let name = found.drive.name().to_owned();
                let slot = found.label.slot;
                let unknown = if slot == Slot(0) { name.clone() } else { String::new() };
                made.slots.insert((slot, unknown));
                made.drives.insert(name);
                let mut records = record::records(&header, &bytes).flatten();
                made.opens = made.opens || records.any(|record| opens_one(set, key, &record));
            }
        }
        made
    }
}

fn is_authentic(keys: &Keys, header: &RecordFileHeader, hashes: &FileHashes) -> Option<bool> {
    keys.get(&header.run).map(|key| key.has_made(header, hashes))
}

/// The records of a set, each file checked with its run's key.
pub fn record_index(set: &FoundSet, keys: &Keys, monitor: &dyn Monitor) -> RecordIndex {
    RecordIndex::open(set, Some(&|header, hashes| is_authentic(keys, header, hashes)), monitor)
}

/// The same for whoever needs few of them: none is read before it is asked for.
pub fn lazy(set: &FoundSet, keys: &Keys) -> RecordIndex {
    let keys = keys.clone();
    RecordIndex::lazy(set, Box::new(move |header, hashes| is_authentic(&keys, header, hashes)))
}
