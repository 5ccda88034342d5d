//! The metadata files of a drive that is repaired: each that is not what it should be is copied
//! from wherever a sound copy lies, or made again.

use super::target::{RepairTarget, count};
use crate::drives::{Drive, DriveError, NextPart, ReadMode, WriteMode};
use crate::format::ids::Slot;
use crate::format::key::MAX_KEY_BYTES;
use crate::format::metadata_file::MetadataKind;
use crate::metadata_files::drive_readme::{explanation, kept_text};
use crate::metadata_files::expected::{MetadataFile, MetadataFiles, SoundIf};
use crate::monitor::Monitor;

/// The mark in a set's folder on a drive that is not whole yet.
pub const REPAIR_MARK: &str = "rebuilding.txt";
/// What the mark says to people.
const REPAIR_MARK_TEXT: &str =
    "This drive is being reconstructed: run holdall repair again to resume.\n";

/// Repairs metadata files.
pub struct MetadataRepair<'a> {
    pub files: MetadataFiles<'a>,
    pub monitor: &'a dyn Monitor,
}

impl MetadataRepair<'_> {
    /// What a reader needs first: label, keys, records, catalog, set.txt. `new` marks a drive on
    /// which a lost one is reconstructed.
    pub fn repair_first(&self, target: &RepairTarget, new: bool) {
        if new {
            self.mark(target);
        }
        let files = self.files.of(target.found.label.slot);
        files.iter().filter(|file| !file.is_last()).for_each(|file| self.repair(target, file));
    }

    /// What is written last, once the set is closed: second copies, far from the first, and the
    /// checklist.
    pub fn repair_last(&self, target: &RepairTarget) {
        if self.files.text.is_none() {
            return;
        }
        let files = self.files.of(target.found.label.slot);
        files.iter().filter(|file| file.is_last()).for_each(|file| self.repair(target, file));
        self.repair_beside(target);
    }

    /// Bytes that the metadata files of a new drive take at most, each rounded up to `unit_bytes`.
    pub fn needed_bytes(&self, slot: Slot, unit_bytes: u64) -> u64 {
        /// Label, lines of keys, folders and what lies beside the sets.
        const SMALL_BYTES: u64 = 1 << 20;
        let rounded = |len: u64| len.div_ceil(unit_bytes.max(1)).max(1) * unit_bytes;
        let bytes = |file: &MetadataFile| {
            let copies = self.files.set.open_copies(&file.path);
            let len = copies.iter().map(|file| file.len()).max().unwrap_or(0);
            rounded(len) * (1 + u64::from(self.files.is_copied(file)))
        };
        let files = self.files.of(slot);
        let is_sized = |file: &&MetadataFile| !file.is_last() && file.kind != MetadataKind::KeyLine;
        let shards = self.files.record_index.stripes().len() as u64;
        // A line of the checklist is shorter than this.
        let checklist = rounded(shards * 160);
        SMALL_BYTES + checklist + files.iter().filter(is_sized).map(bytes).sum::<u64>()
    }

    fn mark(&self, target: &RepairTarget) {
        let place = format!("{}/{REPAIR_MARK}", self.files.set.folder);
        let limit = REPAIR_MARK_TEXT.len() as u64;
        let read = target.drive().read_whole(&place, limit, ReadMode::Medium);
        if !read.is_ok_and(|bytes| bytes == REPAIR_MARK_TEXT.as_bytes()) {
            write(target, &place, REPAIR_MARK_TEXT.as_bytes());
        }
    }

    /// README.txt and its like, if they are not as this program writes them: never from a drive.
    fn repair_beside(&self, target: &RepairTarget) {
        if target.is_out() {
            return;
        }
        // What cannot be read is reported with the metadata files that count.
        let set = self.files.set;
        let explanation = explanation(target.drive(), set.shipment, set.set).unwrap_or_default();
        if !explanation.kept.is_empty() {
            self.monitor.note(&kept_text(target.drive(), &explanation.kept));
        }
        explanation.writes.iter().for_each(|(path, text)| write(target, path, text));
    }

    /// Writes a metadata file unless it is what it should be. If there is no sound copy of it, it
    /// is left: the check after the repair reports it.
    fn repair(&self, target: &RepairTarget, file: &MetadataFile) {
        let found = &target.found;
        if target.is_out() || self.files.is_sound(file, found, self.monitor).unwrap_or(false) {
            return;
        }
        let place = format!("{}/{}", self.files.set.folder, file.place());
        // While records are lost, an earlier checklist says more than a new one would.
        let says_more = matches!(file.sound, SoundIf::Lists) && self.files.lost_records() > 0;
        if stays(target, file, &place) || says_more && target.drive().probe(&place).is_ok() {
            return;
        }
        let bytes = self.files.bytes(file, found, self.monitor);
        bytes.iter().for_each(|bytes| write(target, &place, bytes));
    }
}

/// Nobody can make a key again: one that may be right stays, whatever the others are.
fn stays(target: &RepairTarget, file: &MetadataFile, place: &str) -> bool {
    let SoundIf::Key(_, key) = file.sound else { return false };
    let read = target.drive().read_whole(place, MAX_KEY_BYTES, ReadMode::Medium);
    read.is_ok_and(|bytes| !key.may_be_replaced(&bytes))
}

fn write(target: &RepairTarget, place: &str, bytes: &[u8]) {
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
