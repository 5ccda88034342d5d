//! Checking the metadata files of a drive: each is read from the medium and held against what it
//! should be.

use super::checklist::{checklist_line, has_lines_of};
use super::expected::{MetadataFile, MetadataFiles, SoundIf};
use super::key_files::{KeyFile, KeyFiles};
use crate::drives::{DriveError, ReadMode};
use crate::format::ids::{RunId, Slot, key_path};
use crate::format::key::{MAX_KEY_BYTES, is_wrapped_key};
use crate::format::label::Label;
use crate::format::layout::COPY;
use crate::format::list::Hash;
use crate::format::metadata_file::{MetadataKind, most_bytes};
use crate::format::record::RecordFileHeader;
use crate::format::set::SetText;
use crate::format::shown::error_chain;
use crate::monitor::{Monitor, Problem, ProblemKind};
use crate::shipment::file_copies::digest_of;
use crate::shipment::{FoundDrive, FoundSet, RecordIndex};
use std::collections::BTreeSet;

/// The runs of the records whose wrapped key cannot be read from any drive here: what they packed
/// can be opened by nobody. Each copy is read from the medium.
pub fn keyless(set: &FoundSet, record_index: &RecordIndex, keys: &KeyFiles) -> Vec<RunId> {
    let is_lost = |run: &RunId| {
        if keys.get(run).is_some_and(KeyFile::is_denied) {
            return true;
        }
        let right = keys.get(run).and_then(KeyFile::right);
        let is_it = |bytes: Vec<u8>| {
            is_wrapped_key(&bytes)
                && right.is_none_or(|root| blake3::hash(&bytes).as_bytes() == root)
        };
        let path = key_path(*run);
        let places = [format!("{}/{path}", set.folder), format!("{}/{COPY}/{path}", set.folder)];
        let mut read = set.all_drives().flat_map(|found| {
            let read = |place: &String| {
                found.drive.read_whole(place, MAX_KEY_BYTES, ReadMode::Medium).ok()
            };
            places.iter().filter_map(read).collect::<Vec<_>>()
        });
        !read.any(is_it)
    };
    record_index.runs().iter().map(|run| run.run).filter(is_lost).collect()
}

impl MetadataFiles<'_> {
    /// Is this file as it should be on a drive? A label for which nothing vouches is, if it can be
    /// read and names the drive's slot. Where drives speak for different key files, which is
    /// reported of the set, a drive's line need only name what it has.
    pub fn is_sound(
        &self,
        file: &MetadataFile,
        found: &FoundDrive,
        monitor: &dyn Monitor,
    ) -> Result<bool, DriveError> {
        let (drive, path) = (found.drive.as_ref(), file.path.as_str());
        let place = format!("{}/{}", self.set.folder, file.place());
        let read = |limit: u64| drive.read_whole(&place, limit, ReadMode::Medium);
        let digest = |place: &str, path: &str| -> Result<Hash, DriveError> {
            digest_of(drive, place, most_bytes(path), ReadMode::Medium)
        };
        Ok(match file.sound {
            SoundIf::Root(root) => digest(&place, path)? == root,
            SoundIf::Key(_, key) if key.is_denied() => false,
            SoundIf::NamesKey(_, key) if key.is_denied() => true, // what should lie beside it
            SoundIf::Key(_, key) => {
                let bytes = read(MAX_KEY_BYTES)?;
                let is_right = |right: &Hash| blake3::hash(&bytes).as_bytes() == right;
                is_wrapped_key(&bytes) && key.right().is_none_or(is_right)
            }
            SoundIf::NamesKey(run, key) => {
                let line = read(most_bytes(path))?;
                let key_path = key_path(run);
                let own = || digest(&format!("{}/{key_path}", self.set.folder), &key_path);
                let named = key.right().map_or_else(own, |right| Ok(*right))?;
                line == checklist_line(&named, &key_path).into_bytes()
            }
            SoundIf::Lists => {
                drive.probe(&place)?; // before all records are read
                let list = self.checklist(found.label.slot, monitor);
                has_lines_of(&read(list.len() as u64)?, &list)
            }
            SoundIf::Readable => {
                let label = Label::decode(&read(most_bytes(path))?);
                label.is_ok_and(|label| label.slot == found.label.slot)
            }
        })
    }

    /// How many record files set.txt names of which no drive here has a sound copy.
    pub fn lost_records(&self) -> u64 {
        self.text.map_or(0, |text| lost_records(text, self.record_index))
    }

    /// The files without which nothing is restored, of which a drive has no sound copy, nor a second
    /// one. Of record files only so many bytes are read: of further ones those are sound that lie
    /// there and were not seen to be damaged.
    pub fn lacking(
        &self,
        found: &FoundDrive,
        most_bytes: u64,
        monitor: &dyn Monitor,
    ) -> BTreeSet<String> {
        let (drive, mut left) = (found.drive.as_ref(), most_bytes);
        let mut is_here = |file: &MetadataFile| {
            if file.kind == MetadataKind::RecordFile {
                let len = |place: &str| drive.open(place, ReadMode::Cached).map_or(0, |f| f.len());
                let len = len(&format!("{}/{}", self.set.folder, file.place()));
                if len > left {
                    return self.record_index.is_carried(&file.path, drive.name());
                }
                left -= len;
            }
            self.is_sound(file, found, monitor).unwrap_or(false)
        };
        let needed = [MetadataKind::Key, MetadataKind::RecordFile, MetadataKind::SetText];
        let (mut lacking, mut sound) = (BTreeSet::new(), BTreeSet::new());
        for file in self.of(found.label.slot).iter().filter(|file| needed.contains(&file.kind)) {
            if !sound.contains(&file.path) && is_here(file) {
                sound.insert(file.path.clone());
            } else if !sound.contains(&file.path) {
                lacking.insert(file.path.clone());
            }
        }
        &lacking - &sound
    }

    /// The slots that speak for each of the different files of a key: any of them may be the one.
    pub fn key_holders(&self) -> Vec<BTreeSet<Slot>> {
        let slot = |name: &String| {
            let found = self.set.all_drives().find(|found| found.drive.name() == name)?;
            Some(found.label.slot)
        };
        let different = self.keys.values().filter(|file| file.differs());
        let sides = different.flat_map(KeyFile::speakers);
        sides.map(|names| names.iter().filter_map(slot).collect()).collect()
    }

    /// Checks the metadata files of a drive; each that is missing or damaged is a problem.
    pub fn check(&self, found: &FoundDrive, monitor: &dyn Monitor) -> BadMetadataFiles {
        let mut bad = BadMetadataFiles::default();
        // Of a run whose key, or its line, cannot be read the other files are not asked for.
        let mut unread: BTreeSet<RunId> = BTreeSet::new();
        for file in self.of(found.label.slot) {
            let run = match file.sound {
                SoundIf::Readable => continue,
                SoundIf::Key(run, _) | SoundIf::NamesKey(run, _) if unread.contains(&run) => {
                    continue;
                }
                SoundIf::Key(_, key) if file.is_second && key.right().is_none() => continue,
                SoundIf::Key(run, _) | SoundIf::NamesKey(run, _) => Some(run),
                SoundIf::Lists => {
                    // Each record file that is lost was reported; of what it names nothing is
                    // known.
                    let lost = self.lost_records();
                    bad.all += lost;
                    if lost > 0 {
                        continue;
                    }
                    None
                }
                SoundIf::Root(_) => None,
            };
            if monitor.should_stop() {
                break;
            }
            let sound = self.is_sound(&file, found, monitor);
            if sound.is_err() {
                unread.extend(run);
            }
            let detail = match sound {
                Ok(true) => continue,
                Ok(false) => what_is_wrong(&file),
                Err(e) if e.is_missing() => "is missing".into(),
                Err(e) => error_chain(&e),
            };
            bad.all += 1;
            bad.lost_keys += u64::from(file.is_lost_key());
            let subject = format!("{}: {}/{}", found.drive.name(), self.set.folder, file.place());
            monitor.problem(Problem::new(ProblemKind::Damage, subject, detail));
        }
        bad
    }
}

/// What is reported of a file that is not sound.
fn what_is_wrong(file: &MetadataFile) -> String {
    match file.sound {
        SoundIf::NamesKey(run, _) => format!("does not say what {} should be", key_path(run)),
        SoundIf::Key(_, key) if key.is_denied() => {
            "is not what the .b3 beside it names, nor is any other copy on these drives".into()
        }
        SoundIf::Lists => "does not say what set.txt and the records say".into(),
        _ => "is not as it was written".into(),
    }
}

/// How many metadata files of a drive are damaged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BadMetadataFiles {
    /// all together
    pub all: u64,
    /// those of wrapped keys that no drive here has, which nobody can make again
    pub lost_keys: u64,
}

/// The record files that a set.txt names and of which no drive here has a sound copy.
fn lost_records(text: &SetText, record_index: &RecordIndex) -> u64 {
    let named: u64 = text.runs.iter().map(|line| u64::from(line.files)).sum();
    let is_named = |head: &RecordFileHeader| text.names_records(head.run, head.number);
    named.saturating_sub(record_index.files().filter(|(head, _)| is_named(head)).count() as u64)
}
