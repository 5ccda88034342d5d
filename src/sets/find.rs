//! Finding sets: which drives carry which, and in which slot each drive is.
//!
//! - Enters: drives that may hold anything.
//! - Leaves: sets, each with the drives found of it.
//! - Always holds: (1) a folder's name says of which set it is, never a label alone; (2) a drive's
//!   slot is the one whose shards lie on it, whatever its label says: so a drive without a label,
//!   or with another's, serves all the same, and it is told; (3) what labels say of the whole set
//!   is believed as set.txt confirms it, else as most of them have it.

use super::book::MAX_RECORD_FILE_BYTES;
use super::open::{COPY, FoundDrive, FoundSet, HOLDALL, chain};
use super::tidy;
use crate::drives::{Drive, DriveError, on_each};
use crate::format::ids::{SetNumber, ShipmentId, Slot, set_folder, shard_path};
use crate::format::label::{Label, MAX_LABEL_BYTES, WHAT};
use crate::format::list::Hash;
use crate::format::record::{self, RecordFileHeader, StripeRecord};
use crate::format::set::{SetText, SlotLine};
use crate::format::{FORMAT_VERSION, FormatError};
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
struct Claim {
    drive: Arc<dyn Drive>,
    /// the labels in it that can be read, and their hashes
    labels: Vec<(Label, Hash)>,
    /// what is wrong with the first, if none can be read
    problem: Option<LabelError>,
}

/// Finds all sets on these drives, in order of shipment and set. A drive whose label cannot be
/// read, or is another's, is a problem and used all the same.
pub fn find(drives: &[Arc<dyn Drive>], monitor: &dyn Monitor) -> Vec<FoundSet> {
    let mut sets: BTreeMap<(ShipmentId, SetNumber), Vec<Claim>> = BTreeMap::new();
    let looked = on_each(drives.len(), |i| {
        let told = Recording::default();
        let folders = set_folders(&drives[i], &told).into_iter();
        let claimed = folders.map(|(shipment, set, folder)| {
            let claim = claim(&drives[i], &folder);
            (shipment, set, folder, claim)
        });
        (claimed.collect::<Vec<_>>(), told.problems())
    });
    for (drive, (claimed, problems)) in drives.iter().zip(looked) {
        problems.into_iter().for_each(|problem| monitor.problem(problem));
        for (shipment, set, folder, claim) in claimed {
            match claim {
                Ok(claim) => sets.entry((shipment, set)).or_default().push(claim),
                Err(newer) => {
                    let place = format!("{}: {folder}/label.json", drive.name());
                    monitor.problem(Problem::new(ProblemKind::Damage, place, newer));
                }
            }
        }
    }
    let resolve = |((shipment, set), claims)| Claims::new(shipment, set, claims).resolve(monitor);
    sets.into_iter().filter_map(resolve).collect()
}

/// The first label that a newer program wrote: its place and format.
pub fn newer_label(drives: &[Arc<dyn Drive>]) -> Option<(String, u64)> {
    let newer = |drive: &Arc<dyn Drive>, folder: String| match claim(drive, &folder) {
        Err(LabelError::Format(FormatError::Newer { found, .. })) => {
            Some((format!("{}: {folder}/label.json", drive.name()), found))
        }
        _ => None,
    };
    drives.iter().find_map(|drive| {
        let folders = set_folders(drive, &Recording::default());
        folders.into_iter().find_map(|(_, _, folder)| newer(drive, folder))
    })
}

/// The folders of sets on a drive.
fn set_folders(
    drive: &Arc<dyn Drive>,
    monitor: &dyn Monitor,
) -> Vec<(ShipmentId, SetNumber, String)> {
    let names = match drive.list(HOLDALL) {
        Ok(names) => names,
        Err(e) => {
            monitor.problem(Problem::new(ProblemKind::Drive, drive.name(), chain(&e)));
            return Vec::new();
        }
    };
    let mut folders = Vec::new();
    for name in names {
        let Some((shipment, rest)) = name.split_once('-') else { continue };
        let Ok(shipment) = shipment.parse::<ShipmentId>() else { continue };
        let set = rest.parse().map(SetNumber).ok().filter(|set| set.0 > 0);
        match set.filter(|set| set_folder(shipment, *set) == name) {
            Some(set) => folders.push((shipment, set, format!("{HOLDALL}/{name}"))),
            None => {
                let place = format!("{}: {HOLDALL}/{name}", drive.name());
                let detail = "this is not how a set's folder is called; it is left out";
                monitor.problem(Problem::new(ProblemKind::Damage, place, detail));
            }
        }
    }
    folders
}

/// Reads the labels in a folder; fails if they are of a newer format. (If only one of them is, its
/// number is damaged.)
fn claim(drive: &Arc<dyn Drive>, folder: &str) -> Result<Claim, LabelError> {
    let read = |path: String| -> Result<(Label, Hash), LabelError> {
        let bytes = drive.read(&path, MAX_LABEL_BYTES)?;
        let label = Label::decode(&bytes)?;
        let found = set_folder(label.shipment, label.set);
        if !folder.ends_with(&found) {
            return Err(LabelError::Misplaced { found });
        }
        Ok((label, *blake3::hash(&bytes).as_bytes()))
    };
    let mut claim = Claim { drive: drive.clone(), labels: Vec::new(), problem: None };
    for path in [format!("{folder}/label.json"), format!("{folder}/{COPY}/label.json")] {
        match read(path) {
            Ok(label) => claim.labels.push(label),
            Err(problem) => {
                claim.problem.get_or_insert(problem);
            }
        }
    }
    match claim.problem.take() {
        Some(newer @ LabelError::Format(FormatError::Newer { .. })) if claim.labels.is_empty() => {
            Err(newer)
        }
        problem => Ok(Claim { problem, ..claim }),
    }
}

/// All folders of one set.
struct Claims {
    /// the set, its labels not yet settled
    set: FoundSet,
    all: Vec<Claim>,
    text: Option<SetText>,
}

impl Claims {
    fn new(shipment: ShipmentId, set: SetNumber, claims: Vec<Claim>) -> Self {
        let known = claims.iter().flat_map(|c| &c.labels).next().map(|(label, _)| label.clone());
        let known = known.unwrap_or_else(|| blank_label(shipment, set));
        let found = |c: &Claim| {
            let label = c.labels.first().map_or_else(|| known.clone(), |(label, _)| label.clone());
            FoundDrive { drive: c.drive.clone(), label }
        };
        let set = FoundSet {
            shipment,
            set,
            folder: format!("{HOLDALL}/{}", set_folder(shipment, set)),
            drives: claims.iter().map(found).collect(),
            doubles: Vec::new(),
            stage: None,
        };
        // Copies of set.txt that differ are reported where set.txt is the matter.
        let text = set.set_text(&Recording::default());
        Self { set, all: claims, text }
    }

    /// Settles every drive's slot; none if nothing says what the set is.
    fn resolve(mut self, monitor: &dyn Monitor) -> Option<FoundSet> {
        let tally = self.tally();
        let Some(common) = self.common(&tally) else {
            self.report_nameless(monitor);
            return None;
        };
        let (mut drives, mut doubles): (Vec<FoundDrive>, Vec<FoundDrive>) = Default::default();
        for (claim, votes) in self.all.iter().zip(&tally.votes) {
            let label = self.settled(claim, votes, &common, monitor);
            let found = FoundDrive { drive: claim.drive.clone(), label };
            if drives.iter().any(|d| d.label.slot == found.label.slot) {
                doubles.push(found);
            } else {
                drives.push(found);
            }
        }
        // Those whose slot nothing tells still have keys, records and catalog.
        drives.sort_by_key(|d| (d.label.slot == Slot(0), d.label.slot));
        (self.set.drives, self.set.doubles) = (drives, doubles);
        Some(self.set)
    }

    /// Nothing says what the set is: its files are damaged, or it never had any.
    fn report_nameless(&self, monitor: &dyn Monitor) {
        if self.all.iter().all(|c| tidy::is_bare(c.drive.as_ref(), &self.set.folder)) {
            monitor.note(&format!(
                "set {}: its folders are empty here, as a pack leaves them that was stopped at once; to \
                 remove them: {}",
                self.set.name(),
                self.set.erase_command()
            ));
            return;
        }
        for claim in &self.all {
            self.report(claim, "no label, set.txt or record can be read here", monitor);
        }
    }

    fn report(&self, claim: &Claim, detail: &str, monitor: &dyn Monitor) {
        let place = format!("{}: {}/label.json", claim.drive.name(), self.set.folder);
        let detail = match &claim.problem {
            Some(problem) if claim.labels.is_empty() => format!("{}; {detail}", chain(problem)),
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
    fn common(&self, tally: &Tally) -> Option<Label> {
        let labels = || self.all.iter().flat_map(|claim| &claim.labels);
        let mut counts: BTreeMap<_, (usize, &Label)> = BTreeMap::new();
        for (label, _) in labels() {
            let l = label;
            let facts = (l.drives, &l.survive, l.suite, l.chunk_bytes, l.block_bytes);
            counts.entry(facts).or_insert((0, label)).0 += 1;
        }
        let confirmed = labels().find(|l| self.is_confirmed(l)).map(|(label, _)| label);
        let most = counts.values().max_by_key(|(count, _)| *count).map(|(_, label)| *label);
        let mut common = match confirmed.or(most) {
            Some(label) => label.clone(),
            None => tally.label(&self.set)?,
        };
        if let Some(text) = &self.text {
            common.drives = text.slots.len() as u16;
            common.survive.clone_from(&text.survive);
            if common.created.is_empty() {
                common.created.clone_from(&text.closed);
            }
        }
        common.slot = Slot(0);
        common.case = "?".into();
        Some(common)
    }

    /// The label by which a drive is used: its own, if that is right.
    fn settled(
        &self,
        claim: &Claim,
        votes: &BTreeMap<Slot, usize>,
        common: &Label,
        monitor: &dyn Monitor,
    ) -> Label {
        let most = votes.values().max().copied().unwrap_or(0);
        let voted = |slot: Slot| votes.get(&slot) == Some(&most);
        let own = claim.labels.iter().max_by_key(|l| (voted(l.0.slot), self.is_confirmed(l)));
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
                self.report(claim, &detail, monitor);
            }
            None if slot == Slot(0) => {
                self.report(claim, "no shards tell this drive's slot", monitor);
            }
            None => {
                let detail = format!("by the shards that are here, this is slot {slot}");
                self.report(claim, &detail, monitor);
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
    fn tally(&self) -> Tally {
        let mut tally = Tally { votes: vec![BTreeMap::new(); self.all.len()], seen: None };
        let mut listed: Vec<Listed> = self.all.iter().map(|_| Listed::default()).collect();
        let shards = format!("{}/shards", self.set.folder);
        let has_shards = |c: &Claim| c.drive.list(&shards).is_ok_and(|names| !names.is_empty());
        let has_shards: Vec<bool> = self.all.iter().map(has_shards).collect();
        for name in self.set.names("records") {
            let path = format!("records/{name}");
            for record in self.records(&path, &mut tally) {
                for (i, claim) in self.all.iter().enumerate().filter(|(i, _)| has_shards[*i]) {
                    for (index, shard) in record.shards.iter().enumerate() {
                        let path = shard_path(record.id, index as u8);
                        if listed[i].has(claim.drive.as_ref(), &self.set.folder, &path) {
                            *tally.votes[i].entry(shard.slot).or_default() += 1;
                        }
                    }
                }
            }
            let is_enough = |(votes, has): (&BTreeMap<Slot, usize>, &bool)| {
                !has || votes.values().sum::<usize>() >= ENOUGH_VOTES
            };
            if tally.votes.iter().zip(&has_shards).all(is_enough) {
                break;
            }
        }
        tally
    }

    /// The records in the first sound copy of a record file.
    fn records(&self, path: &str, tally: &mut Tally) -> Vec<StripeRecord> {
        for (_, _, bytes) in self.set.copies(path, MAX_RECORD_FILE_BYTES) {
            let Ok(bytes) = bytes else { continue };
            let Ok(header) = record::decode_file(&bytes) else { continue };
            if (header.shipment, header.set) != (self.set.shipment, self.set.set) {
                continue;
            }
            let records: Vec<_> =
                record::records(&header, &bytes).flatten().map(|r| r.record).collect();
            tally.note(&header, &records);
            return records;
        }
        Vec::new()
    }
}

/// What the records say of the drives.
struct Tally {
    /// of each drive, how many shards of which slot lie on it
    votes: Vec<BTreeMap<Slot, usize>>,
    /// suite, B of the catalog, and the highest slot seen
    seen: Option<(u8, u32, Slot)>,
}

impl Tally {
    fn note(&mut self, header: &RecordFileHeader, records: &[StripeRecord]) {
        for r in records {
            let blocks = header.part.as_ref().map_or(r.blocks, |part| part.blocks);
            let first = (r.suite.number(), blocks.bytes() as u32, Slot(0));
            let (_, _, highest) = self.seen.get_or_insert(first);
            *highest = r.shards.iter().map(|s| s.slot).fold(*highest, Slot::max);
        }
    }

    /// As much of a label as the records and set.txt give; C is not among it, and 0.
    fn label(&self, set: &FoundSet) -> Option<Label> {
        let (suite, block_bytes, highest) = self.seen?;
        let label = blank_label(set.shipment, set.set);
        Some(Label { suite, block_bytes, drives: highest.0, ..label })
    }
}

/// The names in the folder of shards that was asked for last.
#[derive(Default)]
struct Listed {
    folder: String,
    names: BTreeSet<String>,
}

impl Listed {
    fn has(&mut self, drive: &dyn Drive, set_folder: &str, path: &str) -> bool {
        let Some((folder, name)) = path.rsplit_once('/') else { return false };
        if self.folder != folder {
            let names = drive.list(&format!("{set_folder}/{folder}")).unwrap_or_default();
            self.names = names.into_iter().collect();
            folder.clone_into(&mut self.folder);
        }
        self.names.contains(name)
    }
}

fn blank_label(shipment: ShipmentId, set: SetNumber) -> Label {
    Label {
        what: WHAT.into(),
        format: FORMAT_VERSION.into(),
        program: String::new(),
        shipment,
        set,
        slot: Slot(0),
        drives: 0,
        case: "?".into(),
        survive: "?".into(),
        suite: 0,
        chunk_bytes: 0,
        block_bytes: 0,
        created: String::new(),
        name: String::new(),
        contact: String::new(),
    }
}
