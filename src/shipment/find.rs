//! Finding sets: which drives carry which, and in which slot each drive is.
//!
//! - Enters: drives that may hold anything.
//! - Leaves: sets, each with the drives found of it.
//! - Always holds: (1) a folder's name says of which set it is, never a label alone; (2) a drive's
//!   slot is the one whose shards lie on it, whatever its label says: so a drive without a label,
//!   or with another's, serves all the same, and it is reported; (3) what labels say of the whole
//!   set is believed as set.txt confirms it, else as the records bear it out, else as most of them
//!   have it; but of a suite that no record has the records are believed.

use super::cleanup;
use super::found::{FoundDrive, FoundSet, Settled};
use super::labels::{chosen, differences};
use super::tally::{ListedShards, SlotTally, SoundRecords, blank_label, sound_records};
use crate::drives::{Drive, DriveError, on_each};
use crate::format::FormatError;
use crate::format::ids::{SetNumber, ShipmentId, Slot, set_folder};
use crate::format::label::{Label, MAX_LABEL_BYTES};
use crate::format::layout::{COPY, HOLDALL};
use crate::format::list::Hash;
use crate::format::set::{SetText, SlotLine};
use crate::format::shown::error_chain;
use crate::monitor::{Monitor, Problem, ProblemKind, Recording};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Shards that are enough to say in which slot a drive is.
const ENOUGH_VOTES: usize = 16;

/// Why a label could not be had.
#[derive(Debug, thiserror::Error)]
enum LabelError {
    /// It could not be read.
    #[error(transparent)]
    Drive(#[from] DriveError),
    /// What was read is no label.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// The label belongs to another folder.
    #[error("the label is of set {found}, but lies in this folder")]
    Misplaced {
        /// the set it names
        found: String,
    },
}

/// A folder with a set's name on a drive.
struct SetFolder {
    drive: Arc<dyn Drive>,
    /// the labels in it that can be read, and their hashes
    labels: Vec<(Label, Hash)>,
    /// what is wrong with the first, if none can be read
    problem: Option<LabelError>,
}

impl SetFolder {
    /// Is one of its labels of the slot that most of its shards are of?
    fn agrees(&self, votes: &BTreeMap<Slot, usize>) -> bool {
        let most = votes.values().max();
        let voted = |slot: Slot| most.is_some() && votes.get(&slot) == most;
        self.labels.iter().any(|(label, _)| voted(label.slot))
    }

    /// The format of its labels, if a newer program wrote them. (If only one of them is newer, its
    /// number is damaged.)
    fn newer(&self) -> Option<u64> {
        match &self.problem {
            Some(LabelError::Format(FormatError::Newer { found, .. })) => {
                self.labels.is_empty().then_some(*found)
            }
            _ => None,
        }
    }
}

/// Finds all sets on these drives, in order of shipment and set. A drive whose label cannot be
/// read, or is another's, is a problem and used all the same.
pub fn find(drives: &[Arc<dyn Drive>], monitor: &dyn Monitor) -> Vec<FoundSet> {
    let mut sets: BTreeMap<(ShipmentId, SetNumber), Vec<SetFolder>> = BTreeMap::new();
    let looked = on_each(drives.len(), |i| {
        let recording = Recording::default();
        let folders = set_folders(&drives[i], &recording).into_iter();
        let read = folders.map(|at| ((at.shipment, at.set), read_labels(&drives[i], &at.path)));
        (read.collect::<Vec<_>>(), recording.problems())
    });
    for (found, problems) in looked {
        problems.into_iter().for_each(|problem| monitor.problem(problem));
        found.into_iter().for_each(|(id, folder)| sets.entry(id).or_default().push(folder));
    }
    let resolve =
        |((shipment, set), folders)| SetFolders::new(shipment, set, folders).resolve(monitor);
    sets.into_iter().filter_map(resolve).collect()
}

/// The first label that a newer program wrote: its place and format.
pub fn newer_label(drives: &[Arc<dyn Drive>]) -> Option<(String, u64)> {
    let newer = |drive: &Arc<dyn Drive>, folder: &str| {
        let found = read_labels(drive, folder).newer()?;
        Some((format!("{}: {folder}/label.json", drive.name()), found))
    };
    drives.iter().find_map(|drive| {
        let folders = set_folders(drive, &Recording::default());
        folders.into_iter().find_map(|at| newer(drive, &at.path))
    })
}

/// Where a set lies on a drive, by the folder's name.
struct SetPath {
    shipment: ShipmentId,
    set: SetNumber,
    path: String,
}

/// The folders of sets on a drive.
fn set_folders(drive: &Arc<dyn Drive>, monitor: &dyn Monitor) -> Vec<SetPath> {
    let names = match drive.list(HOLDALL) {
        Ok(names) => names,
        Err(e) => {
            monitor.problem(Problem::new(ProblemKind::Drive, drive.name(), error_chain(&e)));
            return Vec::new();
        }
    };
    let mut folders = Vec::new();
    for name in names {
        let Some((shipment, rest)) = name.split_once('-') else { continue };
        let Ok(shipment) = shipment.parse::<ShipmentId>() else { continue };
        let set = rest.parse().map(SetNumber).ok().filter(|set| set.0 > 0);
        match set.filter(|set| set_folder(shipment, *set) == name) {
            Some(set) => {
                folders.push(SetPath { shipment, set, path: format!("{HOLDALL}/{name}") });
            }
            None => {
                let place = format!("{}: {HOLDALL}/{name}", drive.name());
                let detail = "this is not the name of a set's folder; it is left out";
                monitor.problem(Problem::new(ProblemKind::Damage, place, detail));
            }
        }
    }
    folders
}

/// Reads the labels in a folder.
fn read_labels(drive: &Arc<dyn Drive>, at: &str) -> SetFolder {
    let read = |path: String| -> Result<(Label, Hash), LabelError> {
        let bytes = drive.read(&path, MAX_LABEL_BYTES)?;
        let label = Label::decode(&bytes)?;
        let found = set_folder(label.shipment, label.set);
        if !at.ends_with(&found) {
            return Err(LabelError::Misplaced { found });
        }
        Ok((label, *blake3::hash(&bytes).as_bytes()))
    };
    let mut folder = SetFolder { drive: drive.clone(), labels: Vec::new(), problem: None };
    for path in [format!("{at}/label.json"), format!("{at}/{COPY}/label.json")] {
        match read(path) {
            Ok(label) => folder.labels.push(label),
            Err(problem) => {
                folder.problem.get_or_insert(problem);
            }
        }
    }
    folder
}

/// All folders of one set.
struct SetFolders {
    /// the set, its labels not yet settled
    set: FoundSet,
    all: Vec<SetFolder>,
    text: Option<SetText>,
}

impl SetFolders {
    fn new(shipment: ShipmentId, set: SetNumber, folders: Vec<SetFolder>) -> Self {
        let known = folders.iter().flat_map(|c| &c.labels).next().map(|(label, _)| label.clone());
        let known = known.unwrap_or_else(|| blank_label(shipment, set));
        let found = |c: &SetFolder| {
            let label = c.labels.first().map_or_else(|| known.clone(), |(label, _)| label.clone());
            FoundDrive { drive: c.drive.clone(), label }
        };
        let set = FoundSet {
            shipment,
            set,
            folder: format!("{HOLDALL}/{}", set_folder(shipment, set)),
            drives: folders.iter().map(found).collect(),
            duplicates: Vec::new(),
            stage: None,
            bad_blocks: None,
            settled: Settled::ByDrives,
        };
        // Copies of set.txt that differ are reported where set.txt is the matter.
        let text = set.set_text(&Recording::default());
        Self { set, all: folders, text }
    }

    /// Settles every drive's slot; none if nothing says what the set is.
    fn resolve(mut self, monitor: &dyn Monitor) -> Option<FoundSet> {
        // One label that is newer than the others is damaged; where all are, so is the set.
        if self.all.iter().all(|folder| folder.newer().is_some()) {
            self.all.iter().for_each(|folder| self.report(folder, "it is left out", monitor));
            return None;
        }
        let tally = self.tally();
        let Some(mut common) = self.common(&tally) else {
            self.report_nameless(monitor);
            return None;
        };
        tally.correct(&mut common);
        self.report_disagreeing(&common, monitor);
        self.complete(&mut common);
        let mut found = Vec::new();
        for (at, (folder, votes)) in self.all.iter().zip(&tally.votes).enumerate() {
            let label = self.settled(folder, votes, &common, monitor);
            if label.slot == Slot(0) && folder.labels.is_empty() {
                self.report_unlabelled(folder, tally.seen.is_some(), monitor);
            }
            found.push((at, FoundDrive { drive: folder.drive.clone(), label }));
        }
        let (mut drives, duplicates) = self.by_slot(found, &tally, monitor);
        // Those whose slot nothing tells still have keys, records and catalog.
        drives.sort_by_key(|d| (d.label.slot == Slot(0), d.label.slot));
        (self.set.drives, self.set.duplicates) = (drives, duplicates);
        Some(self.set)
    }

    /// One drive of each slot, and the others that say that they are it: the one on which more of
    /// the set lies has it. What carries no more than a copy of a label is none of the set's
    /// drives.
    fn by_slot(
        &self,
        mut found: Vec<(usize, FoundDrive)>,
        tally: &SlotTally,
        monitor: &dyn Monitor,
    ) -> (Vec<FoundDrive>, Vec<FoundDrive>) {
        let weight = |(at, found): &(usize, FoundDrive)| {
            let votes = tally.votes[*at].get(&found.label.slot).copied().unwrap_or(0);
            let records = found.drive.list(&format!("{}/records", self.set.folder));
            (votes, records.map_or(0, |names| names.len()))
        };
        let mut slots = BTreeMap::new();
        found.iter().for_each(|(_, f)| *slots.entry(f.label.slot).or_insert(0) += 1);
        let is_claimed_twice = |found: &FoundDrive| slots.get(&found.label.slot) > Some(&1);
        // Those of one slot stay in their order if nothing tells them apart.
        found.sort_by_cached_key(|one| {
            std::cmp::Reverse(if is_claimed_twice(&one.1) { weight(one) } else { (0, 0) })
        });
        let (mut drives, mut duplicates): (Vec<FoundDrive>, Vec<FoundDrive>) = Default::default();
        for (_, found) in found {
            let first = drives.iter().find(|d| d.label.slot == found.label.slot);
            match first {
                None => drives.push(found),
                Some(first) if found.label.slot != Slot(0) && self.is_label_alone(&found) => {
                    let (name, slot) = (found.drive.name(), found.label.slot);
                    monitor.note(&format!(
                        "{name} carries a label of slot {slot} of set {} and nothing else of it: that \
                         slot is {}, and this one is left aside",
                        self.set.name(),
                        first.drive.name()
                    ));
                }
                Some(_) => duplicates.push(found),
            }
        }
        (drives, duplicates)
    }

    fn is_label_alone(&self, found: &FoundDrive) -> bool {
        let only = |folder: &str, known: &[&str]| {
            let names = found.drive.list(folder);
            names.is_ok_and(|names| names.iter().all(|name| known.contains(&&name[..])))
        };
        let folder = &self.set.folder;
        only(folder, &["label.json", COPY]) && only(&format!("{folder}/{COPY}"), &["label.json"])
    }

    /// Labels of one set say the same of it. Which says what is reported; where set.txt names them
    /// all the same, as one that was closed from its drives alone may, that is no damage.
    fn report_disagreeing(&self, common: &Label, monitor: &dyn Monitor) {
        let differs = |label: &Label| !differences(label, common).is_empty();
        for folder in &self.all {
            let counts = |l: &&(Label, Hash)| self.text.is_none() || self.is_confirmed(l);
            let mut labels = folder.labels.iter().filter(counts).map(|(label, _)| label);
            let Some(label) = labels.find(|label| differs(label)) else { continue };
            let agrees = |other: &&SetFolder| other.labels.iter().any(|(label, _)| !differs(label));
            let others: Vec<_> = self.all.iter().filter(agrees).map(|c| c.drive.name()).collect();
            let others = if others.is_empty() { "the records".into() } else { others.join(", ") };
            let detail = format!(
                "it does not agree with {others} on what the set is: {}",
                differences(label, common).join("; ")
            );
            if self.text.is_none() {
                self.report(folder, &detail, monitor);
            } else {
                let (drive, at) = (folder.drive.name(), &self.set.folder);
                monitor.note(&format!("{drive}: {at}/label.json: {detail}"));
            }
        }
    }

    /// Nothing says what the set is: its files are damaged, or it never had any.
    fn report_nameless(&self, monitor: &dyn Monitor) {
        if self.all.iter().all(|c| cleanup::is_bare(c.drive.as_ref(), &self.set.folder)) {
            monitor.note(&format!(
                "set {}: its folders are empty here, as a pack that was stopped at once leaves them; to \
                 remove them: {}",
                self.set.name(),
                self.set.erase_command()
            ));
            return;
        }
        for folder in &self.all {
            self.report(folder, "no label, set.txt or record can be read here", monitor);
        }
    }

    /// Nothing tells a drive's slot. Labels are the first that is written to drives: where one has
    /// nothing at all, and nothing was committed, packing ended before it came to this one.
    fn report_unlabelled(&self, folder: &SetFolder, committed: bool, monitor: &dyn Monitor) {
        let is_bare = || cleanup::is_bare(folder.drive.as_ref(), &self.set.folder);
        if self.text.is_none() && !committed && is_bare() {
            let (drive, set) = (folder.drive.name(), self.set.name());
            monitor.note(&format!(
                "{drive}: the packing of set {set} was never finished: it ended before anything was \
                 written here"
            ));
        } else {
            self.report(folder, "no shards show this drive's slot", monitor);
        }
    }

    fn report(&self, folder: &SetFolder, detail: &str, monitor: &dyn Monitor) {
        let place = format!("{}: {}/label.json", folder.drive.name(), self.set.folder);
        let detail = match &folder.problem {
            Some(problem) if folder.labels.is_empty() => {
                format!("{}; {detail}", error_chain(problem))
            }
            _ => detail.into(),
        };
        monitor.problem(Problem::new(ProblemKind::Damage, place, detail));
    }

    /// Does set.txt name this label, as that of its slot?
    fn is_confirmed(&self, (label, hash): &(Label, Hash)) -> bool {
        let slots = self.text.iter().flat_map(|text| &text.slots);
        slots.into_iter().any(|s| s.slot == label.slot && s.label == Some(*hash))
    }

    /// What is the same on all drives of the set, in a label of no slot.
    fn common(&self, tally: &SlotTally) -> Option<Label> {
        let all = || {
            let labels = |folder: &'_ SetFolder| folder.labels.clone().into_iter();
            self.all.iter().flat_map(move |c| labels(c).map(|label| (c.drive.name(), label)))
        };
        let is_any_confirmed = all().any(|(_, label)| self.is_confirmed(&label));
        let counts = all().filter(|(_, label)| !is_any_confirmed || self.is_confirmed(label));
        let counts = counts.map(|(drive, (label, _))| (drive, label));
        chosen(counts, |label| tally.bears_out(label)).or_else(|| tally.label(&self.set))
    }

    /// What set.txt and the other labels add to it.
    fn complete(&self, common: &mut Label) {
        if let Some(text) = &self.text {
            common.drives = text.slots.len() as u16;
            common.survive.clone_from(&text.survive);
            if common.created.is_empty() {
                common.created.clone_from(&text.closed);
            }
        }
        // Too large a C costs memory only; by one that is too small, chunks are rejected.
        let labels = || self.all.iter().flat_map(|folder| &folder.labels);
        let confirmed = labels().filter(|l| self.is_confirmed(l)).map(|(l, _)| l.chunk_bytes).max();
        let most = confirmed.or_else(|| labels().map(|(label, _)| label.chunk_bytes).max());
        common.chunk_bytes = most.unwrap_or(common.chunk_bytes);
    }

    /// The label by which a drive is used: its own, if that is right.
    fn settled(
        &self,
        folder: &SetFolder,
        votes: &BTreeMap<Slot, usize>,
        common: &Label,
        monitor: &dyn Monitor,
    ) -> Label {
        let most = votes.values().max().copied().unwrap_or(0);
        let voted = |slot: Slot| votes.get(&slot) == Some(&most);
        let own = folder.labels.iter().max_by_key(|l| (voted(l.0.slot), self.is_confirmed(l)));
        let own = own.map(|(label, _)| label);
        let by_shards = votes.iter().find(|(_, count)| **count == most).map(|(slot, _)| *slot);
        let slot = match own {
            Some(label) if by_shards.is_none() || voted(label.slot) => label.slot,
            _ => by_shards.unwrap_or(Slot(0)),
        };
        match own {
            Some(label) if label.slot == slot => {}
            Some(label) => {
                let detail =
                    format!("it says slot {}, but slot {slot}'s shards are here", label.slot);
                self.report(folder, &detail, monitor);
            }
            None if slot == Slot(0) => {} // told by who asked
            None => {
                let detail = format!("by the shards that are here, this is slot {slot}");
                self.report(folder, &detail, monitor);
            }
        }
        let own = own.filter(|label| label.slot == slot);
        let case = || {
            let line = self.text.iter().flat_map(|text| &text.slots).find(|s| s.slot == slot);
            line.and_then(SlotLine::known_case)
        };
        Label {
            slot,
            case: own.map(|l| l.case.clone()).or_else(case).unwrap_or_else(|| common.case.clone()),
            ..common.clone()
        }
    }

    /// Holds the names of the shards on every drive against the records.
    fn tally(&self) -> SlotTally {
        let votes = vec![BTreeMap::new(); self.all.len()];
        let mut tally = SlotTally { votes, seen: None, borne: None, suites: BTreeSet::new() };
        // Over labels that differ all records are heard.
        let mut labels = self.all.iter().flat_map(|folder| &folder.labels).map(|(label, _)| label);
        let first = labels.next();
        let differ = labels.any(|label| first.is_some_and(|l| !differences(label, l).is_empty()));
        let mut listed: Vec<ListedShards> =
            self.all.iter().map(|_| ListedShards::default()).collect();
        let shards = format!("{}/shards", self.set.folder);
        let has_shards = |c: &SetFolder| c.drive.list(&shards).is_ok_and(|names| !names.is_empty());
        let has_shards: Vec<bool> = self.all.iter().map(has_shards).collect();
        for (name, places) in self.set.placed("records") {
            let path = format!("records/{name}");
            // Of copies that are sound and differ, those count that more drives' own labels bear
            // out.
            let mut best: Option<((usize, usize), HeardRecords)> = None;
            for file in sound_records(&self.set, &path, &places) {
                let votes: Vec<_> = self
                    .all
                    .iter()
                    .enumerate()
                    .map(|(i, folder)| {
                        if has_shards[i] {
                            listed[i].votes(folder.drive.as_ref(), &self.set.folder, &file.records)
                        } else {
                            BTreeMap::new()
                        }
                    })
                    .collect();
                let agree =
                    self.all.iter().zip(&votes).filter(|(folder, votes)| folder.agrees(votes));
                let weight = (agree.count(), file.copies);
                if best.as_ref().is_none_or(|(most, _)| weight > *most) {
                    best = Some((weight, HeardRecords { file, votes }));
                }
            }
            if let Some((_, HeardRecords { file, votes })) = best {
                tally.note(&file);
                for (all, more) in tally.votes.iter_mut().zip(votes) {
                    more.into_iter()
                        .for_each(|(slot, count)| *all.entry(slot).or_default() += count);
                }
            }
            let is_enough = |(votes, has): (&BTreeMap<Slot, usize>, &bool)| {
                !has || votes.values().sum::<usize>() >= ENOUGH_VOTES
            };
            let is_borne = |label: &Label| tally.suites.contains(&label.suite);
            if !differ
                && first.is_none_or(is_borne)
                && tally.votes.iter().zip(&has_shards).all(is_enough)
            {
                break;
            }
        }
        tally
    }
}

/// A sound record file, and what it says of each drive.
struct HeardRecords {
    file: SoundRecords,
    votes: Vec<BTreeMap<Slot, usize>>,
}
