//! The drives that were found of a set, and the files on them of which there are several copies.

use super::texts::texts;
use crate::drives::{Drive, DriveError, ReadMode};
use crate::format::ids::{RunId, SetNumber, ShipmentId, Slot, key_path, record_path, set_folder};
use crate::format::label::Label;
use crate::format::list::Hash;
use crate::format::record;
use crate::format::set::SetText;
use crate::monitor::{Monitor, Problem, ProblemKind};
use std::sync::Arc;

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

    /// The paths on a drive where a file of the set may lie: itself and its second copy.
    fn paths(&self, path: &str) -> [String; 2] {
        let join = |folder: &str| match path {
            "" => folder.to_string(),
            _ => format!("{folder}/{path}"),
        };
        [join(&self.folder), join(&format!("{}/{COPY}", self.folder))]
    }

    /// The copies of a file of the set, from each drive and its second copy, as they can be read.
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
        let mut names: Vec<String> = self
            .all_drives()
            .flat_map(|found| self.paths(folder).map(|p| found.drive.list(&p).unwrap_or_default()))
            .flatten()
            .collect();
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
        let mut files: Vec<Vec<u8>> =
            self.copies(&path, MAX_KEY_BYTES).filter_map(|(_, _, bytes)| bytes.ok()).collect();
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
