//! What the metadata files of a drive should be, by what counts of its set.
//!
//! - Enters: the rows of [`crate::format::metadata_file`]; the set, its records, set.txt and key
//!   files.
//! - Leaves: each file that should lie on the drive of a slot, in the order in which they are
//!   written, with what vouches for its bytes.
//! - Always holds: (1) label, keys and records come first, which a reader needs, and second copies
//!   last, far from them; (2) of what nothing vouches for there is no second copy, and it is not
//!   judged.

use super::checklist::checklists;
use super::key_files::{KeyFile, KeyFiles, key_line_path};
use crate::format::ids::{RunId, Slot, key_path, part_path, record_path};
use crate::format::list::Hash;
use crate::format::metadata_file::{MetadataKind, second_copy};
use crate::format::set::SetText;
use crate::monitor::Monitor;
use crate::shipment::{FoundSet, RecordIndex};
use std::collections::{BTreeMap, BTreeSet};

/// What the metadata files of a set follow from.
#[derive(Clone, Copy)]
pub struct MetadataFiles<'a> {
    pub set: &'a FoundSet,
    pub record_index: &'a RecordIndex,
    /// its set.txt, if it was closed
    pub text: Option<&'a SetText>,
    pub keys: &'a KeyFiles,
}

/// A metadata file that should lie on a drive.
#[derive(Clone)]
pub struct MetadataFile<'a> {
    pub kind: MetadataKind,
    /// within the set's folder, of the first copy
    pub path: String,
    pub is_second: bool,
    pub sound: SoundIf<'a>,
}

/// When a metadata file is sound.
#[derive(Clone, Copy)]
pub enum SoundIf<'a> {
    /// it has this BLAKE3
    Root(Hash),
    /// it is this run's key file
    Key(RunId, &'a KeyFile),
    /// it names this run's key file
    NamesKey(RunId, &'a KeyFile),
    /// it lists what set.txt and the records call for
    Lists,
    /// always: nothing vouches for it
    Readable,
}

impl MetadataFile<'_> {
    /// Where it lies within the set's folder.
    pub fn place(&self) -> String {
        if self.is_second { second_copy(&self.path) } else { self.path.clone() }
    }

    /// Is it of a wrapped key that no drive here has, which nobody can make again, or of which
    /// nobody knows which is the right one?
    pub fn is_lost_key(&self) -> bool {
        let is_lost = |key: &KeyFile| key.is_lost() || key.differs();
        matches!(self.sound, SoundIf::Key(_, key) | SoundIf::NamesKey(_, key) if is_lost(key))
    }

    /// Is it written when all shards are?
    pub fn is_last(&self) -> bool {
        self.is_second || self.kind == MetadataKind::Checklist
    }
}

impl<'a> MetadataFiles<'a> {
    /// The files of a slot's drive.
    pub fn of(&self, slot: Slot) -> Vec<MetadataFile<'a>> {
        let mut files = self.first_copies(slot);
        if self.text.is_some() {
            let second = |file: &MetadataFile<'a>| MetadataFile { is_second: true, ..file.clone() };
            let seconds: Vec<_> = files.iter().filter(|f| self.is_copied(f)).map(second).collect();
            files.extend(seconds);
            files.push(file(MetadataKind::Checklist, "checklist.b3", SoundIf::Lists));
        }
        files
    }

    /// Has this file a second copy on its drive?
    pub fn is_copied(&self, file: &MetadataFile) -> bool {
        self.text.is_some()
            && file.kind.has_second_copy(self.set.drive_count().into())
            && !matches!(file.sound, SoundIf::Readable)
    }

    fn first_copies(&self, slot: Slot) -> Vec<MetadataFile<'a>> {
        let line = self.text.and_then(|text| text.slots.iter().find(|s| s.slot == slot));
        let label = line.and_then(|line| line.label).map_or(SoundIf::Readable, SoundIf::Root);
        let mut files = vec![file(MetadataKind::Label, "label.json", label)];
        for (run, key) in self.keys {
            files.push(file(MetadataKind::Key, key_path(*run), SoundIf::Key(*run, key)));
            files.push(file(
                MetadataKind::KeyLine,
                key_line_path(*run),
                SoundIf::NamesKey(*run, key),
            ));
        }
        let by_root = |(path, root): (String, Hash)| {
            let kind = MetadataKind::at(&path).expect("records and catalog have their rows");
            file(kind, path, SoundIf::Root(root))
        };
        let committed = committed_files(self.record_index);
        let named: BTreeSet<String> = committed.iter().map(|(path, _)| path.clone()).collect();
        files.extend(committed.into_iter().map(by_root));
        if let Some(text) = self.text {
            let parts = text.parts.iter().map(|p| (part_path(p.run, p.part), p.root));
            // The index, and parts whose records are missing.
            files.extend(parts.filter(|(path, _)| !named.contains(path)).map(by_root));
            files.push(file(MetadataKind::SetText, "set.txt", SoundIf::Root(text.root())));
        }
        files
    }

    /// The lines of the checklist of a slot's drive.
    pub fn checklist(&self, slot: Slot, monitor: &dyn Monitor) -> String {
        let mut listed = Vec::new();
        for file in self.first_copies(slot).into_iter().filter(|file| file.kind.is_listed()) {
            if let SoundIf::Root(root) = file.sound {
                listed.push((file.path, root));
            }
        }
        let lists = BTreeMap::from([(slot, listed)]);
        checklists(lists, self.record_index, monitor).remove(&slot).unwrap_or_default()
    }
}

fn file(kind: MetadataKind, path: impl Into<String>, sound: SoundIf) -> MetadataFile {
    MetadataFile { kind, path: path.into(), is_second: false, sound }
}

/// Catalog parts and record files in the order in which they were committed: path and BLAKE3.
pub fn committed_files(record_index: &RecordIndex) -> Vec<(String, Hash)> {
    let mut files = Vec::new();
    for (header, root) in record_index.files() {
        let part = header.part.as_ref();
        files.extend(part.map(|part| (part_path(header.run, part.number), part.root)));
        files.push((record_path(header.run, header.number), *root));
    }
    files
}
