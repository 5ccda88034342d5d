//! The metadata files of a drive: every file of a set that is not a shard. What each should be follows from
//! set.txt and the records; the checklist is derived again and compared.

use super::key_files::{KeyFile, KeyFiles, MAX_LINE_BYTES};
use crate::drives::{Drive, DriveError, ReadMode};
use crate::format::SECOND_COPY_DRIVES;
use crate::format::ids::{RunId, Slot, key_path, part_path, record_path, shard_path};
use crate::format::key::{MAX_KEY_BYTES, is_wrapped_key};
use crate::format::layout::{COPY, most_bytes};
use crate::format::list::Hash;
use crate::format::record::RecordFileHeader;
use crate::format::set::SetText;
use crate::format::shown::{error_chain, hex};
use crate::monitor::{Monitor, Problem, ProblemKind};
use crate::shipment::RecordIndex;
use crate::shipment::file_copies::digest_of;
use crate::shipment::{FoundDrive, FoundSet};
use crate::stages::hash::root_of;
use std::collections::BTreeSet;

/// One line of a checklist, as `b3sum` writes it.
pub fn checklist_line(root: &Hash, path: &str) -> String {
    format!("{}  {path}\n", hex(root))
}

/// The runs of the records whose wrapped key cannot be read from any drive here: what they packed
/// can be opened by nobody. Each copy is read from the medium.
pub fn keyless(set: &FoundSet, record_index: &RecordIndex, keys: &KeyFiles) -> Vec<RunId> {
    let is_lost = |run: &RunId| {
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

/// The metadata files of which set.txt or the records say what they are, second copies left out: path and
/// BLAKE3, in the checklist's order.
pub fn expected(
    slot: Slot,
    record_index: &RecordIndex,
    text: Option<&SetText>,
) -> Vec<(String, Hash)> {
    let mut expected: Vec<(String, Hash)> = Vec::new();
    let line = text.and_then(|text| text.slots.iter().find(|s| s.slot == slot));
    expected.extend(line.and_then(|line| Some(("label.json".into(), line.label?))));
    expected.extend(committed_files(record_index));
    if let Some(text) = text {
        let named: BTreeSet<String> = expected.iter().map(|(path, _)| path.clone()).collect();
        let parts = text.parts.iter().map(|p| (part_path(p.run, p.part), p.root));
        // The index, and parts whose records are missing.
        expected.extend(parts.filter(|(path, _)| !named.contains(path)));
        expected.push(("set.txt".into(), text.root()));
    }
    expected
}

/// Does this metadata file have a second copy on its drive, once the set of so many drives is closed?
pub fn is_copied(path: &str, drive_count: u16) -> bool {
    let whole_set = path.starts_with("records/") || path.starts_with("catalog/");
    !whole_set || (drive_count as usize) < SECOND_COPY_DRIVES
}

/// The lines of a slot's checklist: its metadata files, then its shards.
pub fn checklist(
    slot: Slot,
    expected: &[(String, Hash)],
    record_index: &RecordIndex,
    monitor: &dyn Monitor,
) -> Vec<String> {
    let mut lines: Vec<String> =
        expected.iter().map(|(path, root)| checklist_line(root, path)).collect();
    record_index.walk(monitor, |record| {
        for (index, _) in record.shards.iter().enumerate().filter(|(_, s)| s.slot == slot) {
            let root = root_of(record.shard_hashes(index));
            lines.push(checklist_line(&root, &shard_path(record.id, index as u8)));
        }
        true
    });
    lines
}

/// Bytes of a checklist of these lines.
pub fn bytes_of(lines: &[String]) -> u64 {
    lines.iter().map(|line| line.len() as u64).sum()
}

/// Has a checklist these lines, in any order?
pub fn has_lines(bytes: &[u8], mut lines: Vec<String>) -> bool {
    lines.sort_unstable();
    let found = String::from_utf8_lossy(bytes);
    let mut found: Vec<&str> = found.split_inclusive('\n').collect();
    found.sort_unstable();
    lines == found
}

/// Checks the metadata files of a drive. Says how many are damaged or missing; each is a problem.
pub fn check_metadata_files(
    found: &FoundDrive,
    set: &FoundSet,
    record_index: &RecordIndex,
    text: Option<&SetText>,
    keys: &KeyFiles,
    monitor: &dyn Monitor,
) -> BadMetadataFiles {
    let mut metadata_files = MetadataFileCheck { found, set, monitor, bad: 0 };
    let mut lost_keys = 0;
    let expected = expected(found.label.slot, record_index, text);
    for (path, root) in &expected {
        metadata_files.check(path, root);
    }
    let copied = |path: &str| text.is_some() && is_copied(path, set.drive_count());
    for (path, root) in expected.iter().filter(|(path, _)| copied(path)) {
        metadata_files.check(&format!("{COPY}/{path}"), root);
    }
    for (run, file) in keys {
        let before = metadata_files.bad;
        metadata_files.check_key(&key_path(*run), file, text.is_some());
        lost_keys += if file.is_lost() { metadata_files.bad - before } else { 0 };
    }
    if let Some(text) = text {
        match unread_records(text, record_index) {
            0 => metadata_files.check_checklist(&expected, record_index),
            // Each was reported; of what they name nothing is known.
            unread => metadata_files.bad += unread,
        }
    }
    BadMetadataFiles { all: metadata_files.bad, lost_keys }
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
fn unread_records(text: &SetText, record_index: &RecordIndex) -> u64 {
    let named: u64 = text.runs.iter().map(|line| u64::from(line.files)).sum();
    let is_named = |head: &RecordFileHeader| text.names_records(head.run, head.number);
    named.saturating_sub(record_index.files().filter(|(head, _)| is_named(head)).count() as u64)
}

struct MetadataFileCheck<'a> {
    found: &'a FoundDrive,
    set: &'a FoundSet,
    monitor: &'a dyn Monitor,
    bad: u64,
}

impl MetadataFileCheck<'_> {
    fn report(&mut self, path: &str, detail: impl std::fmt::Display) {
        self.bad += 1;
        let subject = format!("{}: {}/{path}", self.found.drive.name(), self.set.folder);
        self.monitor.problem(Problem::new(ProblemKind::Damage, subject, detail));
    }

    /// Reads a metadata file from the medium; none, and reported, if that cannot be done; none if it should
    /// stop.
    fn read(&mut self, path: &str, limit: u64) -> Option<Vec<u8>> {
        self.try_read(path, |drive, place| drive.read_whole(place, limit, ReadMode::Medium))
    }

    fn try_read<T>(
        &mut self,
        path: &str,
        read: impl FnOnce(&dyn Drive, &str) -> Result<T, DriveError>,
    ) -> Option<T> {
        if self.monitor.should_stop() {
            return None;
        }
        let place = format!("{}/{path}", self.set.folder);
        match read(self.found.drive.as_ref(), &place) {
            Ok(read) => Some(read),
            Err(e) if e.is_missing() => {
                self.report(path, "is missing");
                None
            }
            Err(e) => {
                self.report(path, error_chain(&e));
                None
            }
        }
    }

    fn check(&mut self, path: &str, root: &Hash) {
        let digest = self.try_read(path, |drive, place| {
            digest_of(drive, place, most_bytes(path), ReadMode::Medium)
        });
        if digest.is_some_and(|digest| digest != *root) {
            self.report(path, "is not as it was written");
        }
    }

    /// A key file, the line beside it, and once the set is closed its second copy. Where drives
    /// speak for different files, which is reported of the set, a drive's line need only name what
    /// it has.
    fn check_key(&mut self, path: &str, file: &KeyFile, closed: bool) {
        let line_path = path.replace(".age", ".b3");
        let Some(key) = self.read(path, MAX_KEY_BYTES) else { return };
        let found = *blake3::hash(&key).as_bytes();
        let right = file.right().copied();
        if right.is_some_and(|right| right != found) || !is_wrapped_key(&key) {
            self.report(path, "is not as it was written");
        }
        let Some(line) = self.read(&line_path, MAX_LINE_BYTES) else { return };
        if line != checklist_line(&right.unwrap_or(found), path).into_bytes() {
            self.report(&line_path, format!("does not say what {path} should be"));
        }
        if let Some(right) = right.filter(|_| closed) {
            self.check(&format!("{COPY}/{path}"), &right);
        }
    }

    /// The checklist's lines, in any order, must be those that set.txt and the records call for.
    fn check_checklist(&mut self, expected: &[(String, Hash)], record_index: &RecordIndex) {
        const PATH: &str = "checklist.b3";
        let lines = checklist(self.found.label.slot, expected, record_index, self.monitor);
        let Some(bytes) = self.read(PATH, bytes_of(&lines)) else { return };
        if !has_lines(&bytes, lines) {
            self.report(PATH, "does not say what set.txt and the records say");
        }
    }
}
