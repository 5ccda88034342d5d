//! The drives that were found of a set, and the files on them of which there are several copies.

use super::texts::{rivals, sides, texts, usual};
use crate::drives::{self, Drive, DriveError, DriveFile, ReadMode};
use crate::format::ids::{
    RunId, SetNumber, ShipmentId, Slot, key_path, parse_record_name, set_folder,
};
use crate::format::key::MAX_KEY_BYTES;
use crate::format::label::{Label, MOST_CHUNK_BYTES};
use crate::format::layout::{COPY, most_bytes};
use crate::format::list::Hash;
use crate::format::set::SetText;
use crate::monitor::{Monitor, Problem, ProblemKind};
use crate::shards::bad_blocks::BadBlocks;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

pub use super::find::{find, newer_label};

/// A drive with one set's folder on it.
#[derive(Clone)]
pub struct FoundDrive {
    pub drive: Arc<dyn Drive>,
    /// its label in this set; slot 0 if nothing tells its slot
    pub label: Label,
}

/// The drives found of one set.
#[derive(Clone)]
pub struct FoundSet {
    pub shipment: ShipmentId,
    pub set: SetNumber,
    /// the set's folder on every drive
    pub folder: String,
    /// one of each slot found, by slot
    pub drives: Vec<FoundDrive>,
    /// further drives of a slot that was found already: an alternate source
    pub duplicates: Vec<FoundDrive>,
    /// where shards of drives that were here before are kept
    pub stage: Option<Arc<dyn Drive>>,
    /// what drives could not give, these and those that were here before
    pub bad_blocks: Option<Arc<BadBlocks>>,
    /// which set.txt counts
    pub settled: Settled,
}

/// Which set.txt of a set counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Settled {
    /// nothing but the drives can tell: the one that most of them vouch for
    #[default]
    ByDrives,
    /// this one: by the key, or by a root that the user has from elsewhere
    Text(Arc<SetText>),
    /// none: with the key, what lies on the drives is not authentic
    Nothing,
}

/// A copy of a file that was read.
pub(super) struct Digested {
    pub digest: Hash,
    /// of one copy
    pub bytes: Option<Vec<u8>>,
}

/// What came of each copy of a file: its drive, its path there, and that.
pub type Copies<'a, T> = Vec<(&'a FoundDrive, String, T)>;

/// The BLAKE3 of a file that is not held.
pub fn digest_of(
    drive: &dyn Drive,
    path: &str,
    limit: u64,
    mode: ReadMode,
) -> Result<Hash, DriveError> {
    let mut hasher = blake3::Hasher::new();
    drive.read_parts(path, limit, mode, &mut |part| {
        hasher.update(part);
    })?;
    Ok(*hasher.finalize().as_bytes())
}

/// Whichever copy was read first, its bytes are the first one's of those that are alike: that is the
/// one that is looked at.
fn give_to_the_first(copies: &mut Copies<'_, Result<Digested, DriveError>>) {
    let mut reads: Vec<_> = copies.iter_mut().filter_map(|(.., read)| read.as_mut().ok()).collect();
    let holder = reads.iter().position(|read| read.bytes.is_some());
    let Some(holder) = holder else { return };
    let bytes = reads[holder].bytes.take();
    let digest = reads[holder].digest;
    if let Some(first) = reads.iter_mut().find(|read| read.digest == digest) {
        first.bytes = bytes;
    }
}

impl FoundSet {
    /// What the labels say of the whole set.
    pub fn label(&self) -> &Label {
        &self.drives[0].label
    }

    /// The most plain bytes that a chunk may have: the largest C that a label names.
    pub fn most_plain(&self) -> u32 {
        let named = self.all_drives().map(|found| found.label.chunk_bytes).max();
        named.filter(|bytes| *bytes > 0).unwrap_or(MOST_CHUNK_BYTES)
    }

    /// How many drives the set has.
    pub fn drive_count(&self) -> u16 {
        self.label().drives
    }

    /// The drive in a slot, if it is here.
    pub fn drive(&self, slot: Slot) -> Option<&FoundDrive> {
        self.drives.iter().find(|d| d.label.slot == slot)
    }

    /// Slots of the set that are not here.
    pub fn missing_slots(&self) -> Vec<Slot> {
        (1..=self.drive_count()).map(Slot).filter(|s| self.drive(*s).is_none()).collect()
    }

    /// `1234…-001`, as its folder is called.
    pub fn name(&self) -> String {
        set_folder(self.shipment, self.set)
    }

    /// All drives, the duplicates last.
    pub fn all_drives(&self) -> impl Iterator<Item = &FoundDrive> {
        self.drives.iter().chain(&self.duplicates)
    }

    /// The names of all drives, quoted for a shell.
    pub fn quoted_drives(&self) -> Vec<String> {
        let quote = |name| shlex::try_quote(name).unwrap_or_default().into_owned();
        self.all_drives().map(|found| quote(found.drive.name())).collect()
    }

    /// What to type to remove the set from the drives that are here.
    pub fn erase_command(&self) -> String {
        format!("holdall erase {} --set {}", self.quoted_drives().join(" "), self.name())
    }

    /// The paths on a drive where a file of the set may lie: itself and its second copy.
    pub fn paths(&self, path: &str) -> [String; 2] {
        let join = |folder: &str| match path {
            "" => folder.to_string(),
            _ => format!("{folder}/{path}"),
        };
        [join(&self.folder), join(&format!("{}/{COPY}", self.folder))]
    }

    /// The copies of a small file of the set, from each drive and its second copy, as they can be
    /// read; all drives are read at the same time.
    pub fn small_copies(&self, path: &str, limit: u64) -> Copies<'_, Result<Vec<u8>, DriveError>> {
        self.on_all_copies(path, |found, place| found.drive.read(&place, limit))
    }

    /// The BLAKE3s of the copies of a file, and of one that can be read the bytes; all drives are read
    /// at the same time, and one copy is held.
    pub(super) fn digested_copies(
        &self,
        path: &str,
        limit: u64,
        places: &[u16],
    ) -> Copies<'_, Result<Digested, DriveError>> {
        let held = AtomicBool::new(false);
        let mut copies = self.on_copies(path, places, |found, place| {
            if held.swap(true, Ordering::Relaxed) {
                let mode = ReadMode::Cached;
                let digest = digest_of(found.drive.as_ref(), &place, limit, mode)?;
                return Ok(Digested { digest, bytes: None });
            }
            let bytes = found.drive.read(&place, limit);
            held.store(bytes.is_ok(), Ordering::Relaxed);
            let bytes = bytes?;
            Ok(Digested { digest: *blake3::hash(&bytes).as_bytes(), bytes: Some(bytes) })
        });
        give_to_the_first(&mut copies);
        copies
    }

    fn on_all_copies<T: Send>(
        &self,
        path: &str,
        read: impl Fn(&FoundDrive, String) -> T + Sync,
    ) -> Copies<'_, T> {
        let all: Vec<u16> = (0..self.all_drives().count() as u16 * 2).collect();
        self.on_copies(path, &all, read)
    }

    /// The same of these places alone: see [`FoundSet::placed`].
    fn on_copies<T: Send>(
        &self,
        path: &str,
        places: &[u16],
        read: impl Fn(&FoundDrive, String) -> T + Sync,
    ) -> Copies<'_, T> {
        let found: Vec<&FoundDrive> = self.all_drives().collect();
        let by_drive: Vec<&[u16]> = places.chunk_by(|a, b| a / 2 == b / 2).collect();
        let of_place = |at: &u16| {
            let (found, [own, second]) = (found[usize::from(at / 2)], self.paths(path));
            let place = if at % 2 == 1 { second } else { own };
            let read = read(found, place.clone());
            (found, place, read)
        };
        let of_drive = |i: usize| by_drive[i].iter().map(of_place).collect::<Vec<_>>();
        drives::on_each(by_drive.len(), of_drive).into_iter().flatten().collect()
    }

    /// The names in a folder of the set, each with the numbers of the places that list it: drive by drive,
    /// that of the second copy after its own. Where a folder cannot be listed, each may lie.
    pub(super) fn placed(&self, folder: &str) -> BTreeMap<String, Vec<u16>> {
        let mut placed: BTreeMap<String, Vec<u16>> = BTreeMap::new();
        let mut blind = Vec::new();
        let lists = self.on_all_copies(folder, |found, place| found.drive.list(&place));
        for (at, (.., names)) in (0..).zip(lists) {
            match names {
                Ok(names) => names.into_iter().for_each(|n| placed.entry(n).or_default().push(at)),
                Err(e) if e.is_missing() => {}
                Err(_) => blind.push(at),
            }
        }
        for places in placed.values_mut().filter(|_| !blind.is_empty()) {
            places.extend(&blind);
            places.sort_unstable();
        }
        placed
    }

    /// The copies of a file of the set, one after the other, as they can be read.
    pub fn copies<'a>(
        &'a self,
        path: &'a str,
        limit: u64,
    ) -> impl Iterator<Item = (&'a FoundDrive, String, Result<Vec<u8>, DriveError>)> + 'a {
        self.all_drives().flat_map(move |found| {
            self.paths(path).into_iter().map(move |p| {
                let bytes = found.drive.read(&p, limit);
                (found, p, bytes)
            })
        })
    }

    /// The bytes of a copy of this BLAKE3; only one that has it is held.
    pub fn sound_copy(&self, path: &str, root: &Hash) -> Option<Vec<u8>> {
        let limit = most_bytes(path);
        let is_it = |drive: &dyn Drive, place: &str| {
            digest_of(drive, place, limit, ReadMode::Cached).is_ok_and(|digest| digest == *root)
        };
        let places = self.all_drives().flat_map(|found| {
            self.paths(path).into_iter().map(|place| (found.drive.as_ref(), place))
        });
        let read = |(drive, place): (&dyn Drive, String)| {
            let bytes = is_it(drive, &place).then(|| drive.read(&place, limit).ok()).flatten()?;
            (blake3::hash(&bytes).as_bytes() == root).then_some(bytes)
        };
        { places }.find_map(read)
    }

    /// Opens the copies of a file at these places that can be opened.
    pub(super) fn open_at(&self, path: &str, places: &[u16]) -> Vec<Box<dyn DriveFile>> {
        let found: Vec<&FoundDrive> = self.all_drives().collect();
        let open = |at: &u16| {
            let place = &self.paths(path)[usize::from(at % 2)];
            found[usize::from(at / 2)].drive.open(place, ReadMode::Cached).ok()
        };
        places.iter().filter_map(open).collect()
    }

    /// Opens every copy of a file of the set that can be opened.
    pub fn open_copies(&self, path: &str) -> Vec<Box<dyn DriveFile>> {
        self.all_drives()
            .flat_map(|found| self.paths(path).map(|p| found.drive.open(&p, ReadMode::Cached).ok()))
            .flatten()
            .collect()
    }

    /// The names in a folder of the set on any drive, second copies too, each once.
    pub fn names(&self, folder: &str) -> Vec<String> {
        self.placed(folder).into_keys().collect()
    }

    /// The runs whose wrapped keys lie on the drives. A key file makes no run: those count that
    /// set.txt or records name.
    pub fn runs(&self) -> BTreeSet<RunId> {
        let run = |name: String| {
            name.strip_prefix("key-").and_then(|n| n.strip_suffix(".age")).map(str::parse::<RunId>)
        };
        self.names("").into_iter().filter_map(run).filter_map(Result::ok).collect()
    }

    /// The runs of which record files lie on the drives, by their names, and on how many drives.
    pub fn recorded_runs(&self) -> BTreeMap<RunId, usize> {
        let runs_on = |found: &FoundDrive| -> BTreeSet<RunId> {
            let names = self.paths("records").into_iter();
            let names = names.flat_map(|place| found.drive.list(&place).unwrap_or_default());
            names.filter_map(|name| parse_record_name(&name)).map(|(run, _)| run).collect()
        };
        let found: Vec<&FoundDrive> = self.all_drives().collect();
        let mut runs = BTreeMap::new();
        for run in drives::on_each(found.len(), |i| runs_on(found[i])).into_iter().flatten() {
            *runs.entry(run).or_default() += 1;
        }
        runs
    }

    /// The different copies of a run's wrapped key, that of most places first.
    pub fn key_files(&self, run: RunId) -> Vec<Vec<u8>> {
        let mut files: BTreeMap<Vec<u8>, usize> = BTreeMap::new();
        for (_, _, bytes) in self.small_copies(&key_path(run), MAX_KEY_BYTES) {
            if let Ok(bytes) = bytes {
                *files.entry(bytes).or_default() += 1;
            }
        }
        let mut files: Vec<_> = files.into_iter().collect();
        files.sort_by_key(|(_, places)| std::cmp::Reverse(*places));
        files.into_iter().map(|(bytes, _)| bytes).collect()
    }

    /// The set by each other set.txt that as many of its drives have, if only they can tell which counts.
    pub fn rivals(&self) -> Vec<Self> {
        let texts = if self.settled == Settled::ByDrives { rivals(self) } else { Vec::new() };
        let by = |text| Self { settled: Settled::Text(Arc::new(text)), ..self.clone() };
        texts.into_iter().map(by).collect()
    }

    /// set.txt, if the set was closed. Where that has to be settled by the drives, it is reported if
    /// they vouch for different ones.
    pub fn set_text(&self, monitor: &dyn Monitor) -> Option<SetText> {
        match &self.settled {
            Settled::Text(text) => return Some(text.as_ref().clone()),
            Settled::Nothing => return None,
            Settled::ByDrives => {}
        }
        let texts = texts(self);
        if texts.len() > 1 {
            let subject = format!("set {}: set.txt", self.name());
            let detail = format!(
                "different valid copies lie on the drives, and only the root that pack printed tells \
                 which is right (--expect ROOT): {}",
                sides(&texts)
            );
            monitor.problem(Problem::new(ProblemKind::Damage, subject, detail));
        }
        usual(self, texts)
    }
}
