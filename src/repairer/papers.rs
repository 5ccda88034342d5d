//! The papers of a drive: each that is not what it should be is copied from wherever a sound copy
//! lies, or made again from what set.txt and the records say.

use super::onto::{REBUILDING, REBUILDING_TEXT};
use super::target::{Target, count};
use crate::drives::{Drive, DriveError, ReadMode};
use crate::format::ids::{Slot, key_path};
use crate::format::label::{Label, MAX_LABEL_BYTES, checked_case};
use crate::format::list::Hash;
use crate::format::set::SetText;
use crate::monitor::Monitor;
use crate::sets::explain::{explanation, kept_text};
use crate::sets::open::COPY;
use crate::sets::papers::{
    KeyFiles, checklist, checklist_line, expected, has_lines, is_copied, key_line_path,
};
use crate::sets::{Book, FoundSet};

/// What a paper should be.
enum Content {
    /// these bytes
    Made(Vec<u8>),
    /// a file of this BLAKE3, of which copies lie under this path of the set's folder
    Copied(String, Hash),
}

/// What the papers of a set should be.
pub struct Papers<'a> {
    /// the set
    pub set: &'a FoundSet,
    /// its records
    pub book: &'a Book,
    /// its set.txt
    pub text: Option<&'a SetText>,
    /// its keys
    pub keys: &'a KeyFiles,
    /// listens
    pub monitor: &'a dyn Monitor,
}

impl Papers<'_> {
    /// What a reader needs first: label, keys, records, catalog, set.txt. `new` marks a drive that
    /// is rebuilt.
    pub fn heal_first(&self, target: &Target, new: bool) {
        let slot = target.found.label.slot;
        if new {
            let mark = Content::Made(REBUILDING_TEXT.into());
            self.heal(target, REBUILDING, &mark);
        }
        if let Some(label) = self.label(target) {
            self.heal(target, "label.json", &Content::Made(label));
        }
        for (run, root) in self.keys {
            let Some(root) = root else { continue };
            let path = key_path(*run);
            let line = checklist_line(root, &path);
            self.heal(target, &path, &Content::Copied(path.clone(), *root));
            self.heal(target, &key_line_path(*run), &Content::Made(line.into()));
        }
        for (path, root) in expected(slot, self.book, self.text) {
            match (&path[..], self.text) {
                ("label.json", _) => {}
                ("set.txt", Some(text)) => {
                    self.heal(target, &path, &Content::Made(text.encode()));
                }
                _ => self.heal(target, &path, &Content::Copied(path.clone(), root)),
            }
        }
    }

    /// What is written last, far from the first copies, once the set is closed.
    pub fn heal_last(&self, target: &Target) {
        let Some(text) = self.text else { return };
        let slot = target.found.label.slot;
        let expected = expected(slot, self.book, Some(text));
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
            content.iter().for_each(|content| self.heal(target, &copy, content));
        }
        for (run, root) in self.keys {
            let path = key_path(*run);
            let content = root.map(|root| Content::Copied(path.clone(), root));
            content.iter().for_each(|c| self.heal(target, &format!("{COPY}/{path}"), c));
        }
        self.heal_checklist(target, &expected);
        self.heal_beside(target);
    }

    /// Bytes that the papers of a new drive take at most, each rounded up to `unit_bytes`.
    pub fn needed_bytes(&self, slot: Slot, unit_bytes: u64) -> u64 {
        /// Label, lines of keys, folders and what lies beside the sets.
        const SMALL_BYTES: u64 = 1 << 20;
        let rounded = |len: u64| len.div_ceil(unit_bytes.max(1)).max(1) * unit_bytes;
        let keys = self.keys.keys().map(|run| key_path(*run));
        let papers = expected(slot, self.book, self.text).into_iter().map(|(path, _)| path);
        let len = |path: &String| {
            let copies = self.set.open_copies(path);
            rounded(copies.iter().map(|file| file.len()).max().unwrap_or(0))
        };
        let twice = |path: &String| {
            let copied = self.text.is_some() && is_copied(path, self.set.drive_count());
            1 + u64::from(copied)
        };
        let shards = self.book.stripes().len() as u64;
        // A line of the checklist is shorter than this.
        let checklist = rounded(shards * 160);
        let papers: u64 = papers.chain(keys).map(|path| len(&path) * twice(&path)).sum();
        SMALL_BYTES + checklist + papers
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
        let made = made_labels(self.set, own.slot, &line.case, self.text);
        let is_it = |label: &Label| blake3::hash(&label.encode()).as_bytes() == &named;
        let right = made.iter().find(|label| is_it(label)).map(Label::encode);
        // A label that is not what set.txt says is better than none.
        right.or_else(|| (!read.as_ref().is_some_and(is_own)).then(|| own.encode()))
    }

    /// The checklist, if its lines are not those that it should have, in whatever order.
    fn heal_checklist(&self, target: &Target, expected: &[(String, Hash)]) {
        const PATH: &str = "checklist.b3";
        let lines = checklist(target.found.label.slot, expected, self.book, self.monitor);
        let place = format!("{}/{PATH}", self.set.folder);
        let read = target.drive().read_whole(&place, u64::MAX, ReadMode::Medium);
        if !read.is_ok_and(|bytes| has_lines(&bytes, lines.clone())) {
            write(target, &place, lines.concat().as_bytes());
        }
    }

    /// README.txt and its like, if they are missing, or README.txt does not name the set.
    fn heal_beside(&self, target: &Target) {
        if target.is_out() {
            return;
        }
        // What cannot be read is told with the papers that count.
        let lacking = explanation(target.drive(), self.set.shipment, self.set.set);
        let lacking = lacking.unwrap_or_default();
        if !lacking.kept.is_empty() {
            self.monitor.note(&kept_text(target.drive(), &lacking.kept));
        }
        lacking.writes.iter().for_each(|(path, text)| write(target, path, text));
    }

    /// Writes a paper of the set's folder unless it is what it should be. If there is no sound copy
    /// of it, it is left: the search after the repair tells it.
    fn heal(&self, target: &Target, path: &str, content: &Content) {
        if target.is_out() {
            return;
        }
        let place = format!("{}/{path}", self.set.folder);
        let root = match content {
            Content::Made(bytes) => *blake3::hash(bytes).as_bytes(),
            Content::Copied(_, root) => *root,
        };
        let is_it = |bytes: &Vec<u8>| blake3::hash(bytes).as_bytes() == &root;
        let read = target.drive().read_whole(&place, u64::MAX, ReadMode::Medium);
        if read.as_ref().is_ok_and(is_it) {
            return;
        }
        drop(read);
        match content {
            Content::Made(bytes) => write(target, &place, bytes),
            Content::Copied(from, _) => {
                let mut copies = self.set.copies(from, u64::MAX);
                let sound = copies.find_map(|(_, _, bytes)| bytes.ok().filter(is_it));
                sound.iter().for_each(|bytes| write(target, &place, bytes));
            }
        }
    }
}

fn write(target: &Target, place: &str, bytes: &[u8]) {
    if target.write(|drive| put(drive, place, bytes)) {
        count(&target.papers, 1);
    }
}

/// Puts a whole file where none, or another, lies.
pub fn put(drive: &dyn Drive, place: &str, bytes: &[u8]) -> Result<(), DriveError> {
    let folder = place.rsplit_once('/').map_or("", |(folder, _)| folder);
    drive.make_folder(folder)?;
    drive.replace(place, bytes)
}

/// The labels that a slot may have had, made from each that can be read on the set's drives; those
/// that set.txt names come first. Labels of a set differ in slot and case only.
pub fn made_labels(set: &FoundSet, slot: Slot, case: &str, text: Option<&SetText>) -> Vec<Label> {
    let named =
        text.and_then(|text| text.slots.iter().find(|s| s.slot == slot)).and_then(|s| s.label);
    let mut made: Vec<Label> = Vec::new();
    for (_, _, bytes) in set.small_copies("label.json", MAX_LABEL_BYTES) {
        let label = bytes.ok().and_then(|bytes| Label::decode(&bytes).ok());
        let Some(label) = label.filter(|l| (l.shipment, l.set) == (set.shipment, set.set)) else {
            continue;
        };
        let label = Label { slot, case: case.into(), ..label };
        if !made.contains(&label) {
            made.push(label);
        }
    }
    made.sort_by_key(|label| Some(*blake3::hash(&label.encode()).as_bytes()) != named);
    made
}
