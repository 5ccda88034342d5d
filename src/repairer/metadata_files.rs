//! The metadata files of a drive: each that is not what it should be is copied from wherever a
//! sound copy lies, or made again from what set.txt and the records say.

use super::target::{Target, count};
use crate::drives::{Drive, DriveError, NextPart, ReadMode, WriteMode};
use crate::format::ids::{RunId, Slot, key_path};
use crate::format::key::MAX_KEY_BYTES;
use crate::format::label::{Label, MAX_LABEL_BYTES, checked_case};
use crate::format::layout::{COPY, most_bytes};
use crate::format::list::Hash;
use crate::format::set::SetText;
use crate::metadata_files::drive_readme::{explanation, kept_text};
use crate::metadata_files::inspect::{
    bytes_of, checklist, checklist_line, expected, has_lines, is_copied,
};
use crate::metadata_files::key_files::{KeyFile, KeyFiles, key_line_path};
use crate::monitor::Monitor;
use crate::shipment::file_copies::digest_of;
use crate::shipment::{FoundSet, RecordIndex};

/// The mark in a set's folder on a drive that is not whole yet.
pub const REPAIR_MARK: &str = "rebuilding.txt";
/// What the mark says to people.
const REPAIR_MARK_TEXT: &str =
    "This drive is being reconstructed: run holdall repair again to resume.\n";

/// What a metadata file should be.
enum Content {
    /// these bytes
    Made(Vec<u8>),
    /// a file of this BLAKE3, of which copies lie under this path of the set's folder
    Copied(String, Hash),
}

/// What the metadata files of a set should be.
pub struct MetadataFiles<'a> {
    pub set: &'a FoundSet,
    pub record_index: &'a RecordIndex,
    /// its set.txt
    pub text: Option<&'a SetText>,
    pub keys: &'a KeyFiles,
    pub monitor: &'a dyn Monitor,
}

impl MetadataFiles<'_> {
    /// What a reader needs first: label, keys, records, catalog, set.txt. `new` marks a drive that
    /// is reconstructed.
    pub fn repair_first(&self, target: &Target, new: bool) {
        let slot = target.found.label.slot;
        if new {
            let mark = Content::Made(REPAIR_MARK_TEXT.into());
            self.repair(target, REPAIR_MARK, &mark);
        }
        if let Some(label) = self.label(target) {
            self.repair(target, "label.json", &Content::Made(label));
        }
        for (run, file) in self.keys {
            let Some(root) = file.right() else { continue };
            let path = key_path(*run);
            let line = checklist_line(root, &path);
            self.repair_key(target, &path, (*run, file));
            self.repair(target, &key_line_path(*run), &Content::Made(line.into()));
        }
        for (path, root) in expected(slot, self.record_index, self.text) {
            match (&path[..], self.text) {
                ("label.json", _) => {}
                ("set.txt", Some(text)) => {
                    self.repair(target, &path, &Content::Made(text.encode()));
                }
                _ => self.repair(target, &path, &Content::Copied(path.clone(), root)),
            }
        }
    }

    /// What is written last, far from the first copies, once the set is closed.
    pub fn repair_last(&self, target: &Target) {
        let Some(text) = self.text else { return };
        let slot = target.found.label.slot;
        let expected = expected(slot, self.record_index, Some(text));
        for (path, root) in &expected {
            if !is_copied(path, self.set.drive_count()) {
                continue;
            }
            let copy = format!("{COPY}/{path}");
            let label = || self.label(target).map(Content::Made);
            let content = match &path[..] {
                "label.json" => label(),
                "set.txt" => Some(Content::Made(text.encode())),
                _ => Some(Content::Copied(path.clone(), *root)),
            };
            content.iter().for_each(|content| self.repair(target, &copy, content));
        }
        for (run, file) in self.keys {
            self.repair_key(target, &format!("{COPY}/{}", key_path(*run)), (*run, file));
        }
        self.repair_checklist(target, &expected);
        self.repair_beside(target);
    }

    /// Bytes that the metadata files of a new drive take at most, each rounded up to `unit_bytes`.
    pub fn needed_bytes(&self, slot: Slot, unit_bytes: u64) -> u64 {
        /// Label, lines of keys, folders and what lies beside the sets.
        const SMALL_BYTES: u64 = 1 << 20;
        let rounded = |len: u64| len.div_ceil(unit_bytes.max(1)).max(1) * unit_bytes;
        let keys = self.keys.keys().map(|run| key_path(*run));
        let metadata_files =
            expected(slot, self.record_index, self.text).into_iter().map(|(path, _)| path);
        let len = |path: &String| {
            let copies = self.set.open_copies(path);
            rounded(copies.iter().map(|file| file.len()).max().unwrap_or(0))
        };
        let twice = |path: &String| {
            let copied = self.text.is_some() && is_copied(path, self.set.drive_count());
            1 + u64::from(copied)
        };
        let shards = self.record_index.stripes().len() as u64;
        // A line of the checklist is shorter than this.
        let checklist = rounded(shards * 160);
        let metadata_files: u64 =
            metadata_files.chain(keys).map(|path| len(&path) * twice(&path)).sum();
        SMALL_BYTES + checklist + metadata_files
    }

    /// What the drive's label should be; none if that is not known, or it is as good as any.
    fn label(&self, target: &Target) -> Option<Vec<u8>> {
        let own = &target.found.label;
        let path = format!("{}/label.json", self.set.folder);
        let read = target.drive().read(&path, MAX_LABEL_BYTES).ok();
        let is_own = |bytes: &Vec<u8>| Label::decode(bytes).is_ok_and(|l| l.slot == own.slot);
        if own.slot == Slot(0) || checked_case(&own.case).is_err() {
            return None;
        }
        let line = self.text.and_then(|text| text.slots.iter().find(|s| s.slot == own.slot));
        let Some((line, named)) = line.and_then(|line| Some((line, line.label?))) else {
            // Nothing vouches for it: one that can be read stays.
            return Some(read.filter(is_own).unwrap_or_else(|| own.encode()));
        };
        let is_named = |bytes: &Vec<u8>| blake3::hash(bytes).as_bytes() == &named;
        if let Some(right) = read.clone().filter(is_named) {
            return Some(right);
        }
        let made = made_labels(self.set, own.slot, &line.case, self.text);
        let is_it = |label: &Label| blake3::hash(&label.encode()).as_bytes() == &named;
        let right = made.iter().find(|label| is_it(label)).map(Label::encode);
        // A label that is not what set.txt says is better than none.
        right.or_else(|| (!read.as_ref().is_some_and(is_own)).then(|| own.encode()))
    }

    /// The checklist, if its lines are not those that it should have, in whatever order.
    fn repair_checklist(&self, target: &Target, expected: &[(String, Hash)]) {
        const PATH: &str = "checklist.b3";
        let lines = checklist(target.found.label.slot, expected, self.record_index, self.monitor);
        let place = format!("{}/{PATH}", self.set.folder);
        let read = target.drive().read_whole(&place, bytes_of(&lines), ReadMode::Medium);
        if !read.is_ok_and(|bytes| has_lines(&bytes, lines.clone())) {
            write(target, &place, lines.concat().as_bytes());
        }
    }

    /// README.txt and its like, if they are not as this program writes them: never from a drive.
    fn repair_beside(&self, target: &Target) {
        if target.is_out() {
            return;
        }
        // What cannot be read is reported with the metadata files that count.
        let explanation = explanation(target.drive(), self.set.shipment, self.set.set);
        let explanation = explanation.unwrap_or_default();
        if !explanation.kept.is_empty() {
            self.monitor.note(&kept_text(target.drive(), &explanation.kept));
        }
        explanation.writes.iter().for_each(|(path, text)| write(target, path, text));
    }

    /// Writes a copy of a wrapped key where there is none, or one that has to give way.
    fn repair_key(&self, target: &Target, path: &str, (run, file): (RunId, &KeyFile)) {
        let Some(root) = file.right() else { return };
        let place = format!("{}/{path}", self.set.folder);
        let read = target.drive().read_whole(&place, MAX_KEY_BYTES, ReadMode::Medium);
        if read.is_ok_and(|bytes| !file.may_be_replaced(&bytes)) {
            return;
        }
        self.repair(target, path, &Content::Copied(key_path(run), *root));
    }

    /// Writes a metadata file of the set's folder unless it is what it should be. If there is no
    /// sound copy of it, it is left: the search after the repair reports it.
    fn repair(&self, target: &Target, path: &str, content: &Content) {
        if target.is_out() {
            return;
        }
        let place = format!("{}/{path}", self.set.folder);
        let root = match content {
            Content::Made(bytes) => *blake3::hash(bytes).as_bytes(),
            Content::Copied(_, root) => *root,
        };
        let found = digest_of(target.drive(), &place, most_bytes(path), ReadMode::Medium);
        if found.is_ok_and(|found| found == root) {
            return;
        }
        match content {
            Content::Made(bytes) => write(target, &place, bytes),
            Content::Copied(from, _) => {
                let sound = self.set.sound_copy(from, &root);
                sound.iter().for_each(|bytes| write(target, &place, bytes));
            }
        }
    }
}

fn write(target: &Target, place: &str, bytes: &[u8]) {
    if target.write(|drive| put(drive, place, bytes)) {
        count(&target.metadata_files, 1);
    }
}

/// Puts a whole file where none, or another, lies.
pub fn put(drive: &dyn Drive, place: &str, bytes: &[u8]) -> Result<(), DriveError> {
    let folder = place.rsplit_once('/').map_or("", |(folder, _)| folder);
    drive.make_folder(folder)?;
    drive.write(place, bytes, WriteMode::Replace)
}

/// The same, part by part.
pub fn put_parts(
    drive: &dyn Drive,
    place: &str,
    len: u64,
    next: NextPart,
) -> Result<(), DriveError> {
    let folder = place.rsplit_once('/').map_or("", |(folder, _)| folder);
    drive.make_folder(folder)?;
    drive.replace_parts(place, len, next)
}

/// The labels that a slot may have had, made from each that can be read on the set's drives; those
/// that set.txt names come first, and then what counts of the set. Labels differ in slot and case
/// only, but where somebody altered them.
pub fn made_labels(set: &FoundSet, slot: Slot, case: &str, text: Option<&SetText>) -> Vec<Label> {
    let named =
        text.and_then(|text| text.slots.iter().find(|s| s.slot == slot)).and_then(|s| s.label);
    let mut made: Vec<Label> = Vec::new();
    for copy in set.small_copies("label.json", MAX_LABEL_BYTES) {
        let label = copy.read.ok().and_then(|bytes| Label::decode(&bytes).ok());
        let Some(label) = label.filter(|l| (l.shipment, l.set) == (set.shipment, set.set)) else {
            continue;
        };
        let label = Label { slot, case: case.into(), ..label };
        if !made.contains(&label) {
            made.push(label);
        }
    }
    let common = Label { slot, case: case.into(), ..set.label().clone() };
    let is_named = |label: &Label| Some(*blake3::hash(&label.encode()).as_bytes()) == named;
    made.sort_by_key(|label| (!is_named(label), *label != common));
    made
}
