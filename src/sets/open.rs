//! The drives that were found of a set, and the files on them of which there are several copies.

use super::texts::texts;
use crate::drives::{self, Drive, DriveError, ReadMode};
use crate::format::ids::{RunId, SetNumber, ShipmentId, Slot, key_path, record_path, set_folder};
use crate::format::label::Label;
use crate::format::list::Hash;
use crate::format::record;
use crate::format::set::SetText;
use crate::monitor::{Monitor, Problem, ProblemKind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

pub use super::find::{find, newer_label};

/// The folder on a drive under which everything lies.
pub const HOLDALL: &str = "holdall";
/// The folder of second copies within a set's folder.
pub const COPY: &str = "copy";
/// The longest key file that is read.
pub(super) const MAX_KEY_BYTES: u64 = 1 << 20;

/// A drive with one set's folder on it.
#[derive(Clone)]
pub struct FoundDrive {
    /// the drive
    pub drive: Arc<dyn Drive>,
    /// its label in this set; slot 0 if nothing tells its slot
    pub label: Label,
}

/// The drives found of one set.
#[derive(Clone)]
pub struct FoundSet {
    /// the shipment
    pub shipment: ShipmentId,
    /// the set
    pub set: SetNumber,
    /// the set's folder on every drive
    pub folder: String,
    /// one of each slot found, by slot
    pub drives: Vec<FoundDrive>,
    /// further drives of a slot that was found already: an alternate source
    pub doubles: Vec<FoundDrive>,
    /// where shards of drives that were here before are kept
    pub stage: Option<Arc<dyn Drive>>,
}

/// A copy of a file that was read.
pub(super) struct Digested {
    pub digest: Hash,
    /// of one copy
    pub bytes: Option<Vec<u8>>,
}

/// What came of each copy of a file: its drive, its path there, and that.
pub type Copies<'a, T> = Vec<(&'a FoundDrive, String, T)>;

/// Bytes that are hashed at once.
const HASHED_BYTES: u64 = 1 << 20;

/// The BLAKE3 of a file that is not held.
fn digest_of(drive: &dyn Drive, path: &str, limit: u64) -> Result<Hash, DriveError> {
    let mut file = drive.open(path, ReadMode::Cached)?;
    let (mut hasher, mut at, len) = (blake3::Hasher::new(), 0, file.len());
    let mut buffer = vec![0; len.min(HASHED_BYTES) as usize];
    while at < len && len <= limit {
        let part = &mut buffer[..(len - at).min(HASHED_BYTES) as usize];
        if file.read_at(at, part)? < part.len() {
            break;
        }
        hasher.update(part);
        at += part.len() as u64;
    }
    if at < len {
        // Too long, or shorter than its length: reading it whole says so.
        return drive.read(path, limit).map(|bytes| *blake3::hash(&bytes).as_bytes());
    }
    Ok(*hasher.finalize().as_bytes())
}

/// An error and its causes in one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(c) = cause {
        text.push_str(": ");
        text.push_str(&c.to_string());
        cause = c.source();
    }
    text
}

impl FoundSet {
    /// What the labels say of the whole set.
    pub fn label(&self) -> &Label {
        &self.drives[0].label
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

    /// All drives, the doubles last.
    pub fn all_drives(&self) -> impl Iterator<Item = &FoundDrive> {
        self.drives.iter().chain(&self.doubles)
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
    fn paths(&self, path: &str) -> [String; 2] {
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
    ) -> Copies<'_, Result<Digested, DriveError>> {
        let held = AtomicBool::new(false);
        self.on_all_copies(path, |found, place| {
            if held.swap(true, Ordering::Relaxed) {
                let digest = digest_of(found.drive.as_ref(), &place, limit)?;
                return Ok(Digested { digest, bytes: None });
            }
            let bytes = found.drive.read(&place, limit);
            held.store(bytes.is_ok(), Ordering::Relaxed);
            let bytes = bytes?;
            Ok(Digested { digest: *blake3::hash(&bytes).as_bytes(), bytes: Some(bytes) })
        })
    }

    fn on_all_copies<T: Send>(
        &self,
        path: &str,
        read: impl Fn(&FoundDrive, String) -> T + Sync,
    ) -> Copies<'_, T> {
        let found: Vec<&FoundDrive> = self.all_drives().collect();
        let of_drive = |i: usize| self.paths(path).map(|place| read(found[i], place));
        let copies = drives::on_each(found.len(), of_drive).into_iter().zip(&found);
        let named =
            |(read, found)| self.paths(path).into_iter().zip(read).map(move |(p, r)| (found, p, r));
        copies
            .flat_map(named)
            .map(|(found, place, read): (&&FoundDrive, _, _)| (*found, place, read))
            .collect()
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

    /// Opens every copy of a file of the set that can be opened.
    pub fn open_copies(&self, path: &str) -> Vec<Box<dyn crate::drives::DriveFile>> {
        self.all_drives()
            .flat_map(|found| self.paths(path).map(|p| found.drive.open(&p, ReadMode::Cached).ok()))
            .flatten()
            .collect()
    }

    /// The names in a folder of the set on any drive, second copies too, each once.
    pub fn names(&self, folder: &str) -> Vec<String> {
        let list = |found: &FoundDrive, place: String| found.drive.list(&place).unwrap_or_default();
        let mut names: Vec<String> =
            self.on_all_copies(folder, list).into_iter().flat_map(|(.., names)| names).collect();
        names.sort();
        names.dedup();
        names
    }

    /// The runs whose wrapped keys lie on the drives.
    pub fn runs(&self) -> Vec<RunId> {
        let run = |name: String| {
            name.strip_prefix("key-").and_then(|n| n.strip_suffix(".age")).map(str::parse::<RunId>)
        };
        self.names("").into_iter().filter_map(run).filter_map(Result::ok).collect()
    }

    /// The copies of a run's wrapped key.
    pub fn key_files(&self, run: RunId) -> Vec<Vec<u8>> {
        let path = key_path(run);
        let mut files: Vec<Vec<u8>> = self
            .small_copies(&path, MAX_KEY_BYTES)
            .into_iter()
            .filter_map(|(.., b)| b.ok())
            .collect();
        files.sort();
        files.dedup();
        files
    }

    /// The key commitment in each copy of a run's first record file.
    pub fn commitments(&self, run: RunId) -> Vec<Hash> {
        let path = record_path(run, 0);
        let first = |bytes: Vec<u8>| {
            let header = record::decode_file(&bytes).ok()?;
            let first = record::records(&header, &bytes).next()?.ok()?;
            Some(first.record.commitment)
        };
        let copies = self.copies(&path, super::book::MAX_RECORD_FILE_BYTES);
        copies.filter_map(|(_, _, bytes)| first(bytes.ok()?)).collect()
    }

    /// set.txt, if the set was closed: the text that most drives vouch for. That they vouch for
    /// different ones is reported.
    pub fn set_text(&self, monitor: &dyn Monitor) -> Option<SetText> {
        let texts = texts(self);
        if texts.len() > 1 {
            let subject = format!("set {}: set.txt", self.name());
            let detail = format!("{} different valid copies lie on the drives", texts.len());
            monitor.problem(Problem::new(ProblemKind::Damage, subject, detail));
        }
        texts.into_values().max_by_key(|(drives, _)| *drives).map(|(_, text)| text)
    }
}
