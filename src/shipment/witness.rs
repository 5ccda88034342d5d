//! Which record files of a set that is not closed are borne out by more than one drive; without a
//! key, the others do not count.
//!
//! - Enters: the sound record files of a set.
//! - Leaves: the same, those apart that one slot's drives alone speak for.
//! - Always holds: (1) what somebody writes to one drive, without the key, is not among those that
//!   count; (2) what a pack that was broken off has committed is, as long as the drives kept what
//!   they had said was written.
//!
//! A crash may leave the last record file on one drive alone; so may whoever has that drive, and
//! its digest shows nothing. What tells them apart is what a pack does before it writes a record
//! file: the shards are synced on all drives, and the catalog part is written to all. So a drive
//! speaks for a record file if it carries it, or one that names it as the one before, or the
//! catalog part that it alone names, or a shard as it says. Where the drives of one slot alone do,
//! as where all others failed early, only the key tells, or the state of the machine that packs:
//! then it is spread to no drive, no set is closed over it, and it is reported. Where one slot is
//! all that is here, there is nothing to spread, and it counts.

use super::file_copies::digest_of;
use super::found::{FoundDrive, FoundSet, slots};
use super::sound_file::SoundFile;
use crate::drives::buffer::Buffer;
use crate::drives::{Drive, ReadMode};
use crate::format::ids::{Slot, StripeId, part_path, shard_path};
use crate::format::list::Hash;
use crate::format::metadata_file::most_bytes;
use crate::format::record;
use crate::shards::shard::{RecordedShard, StoredShard};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

/// Bytes of a shard that are held at once, if a block is not more.
const HELD_BYTES: usize = 1 << 20;
/// Fewer slots than this are not believed.
pub(super) const ENOUGH: usize = 2;

/// Are there drives of other slots than one here, of which one could bear another out?
pub(super) fn are_several(set: &FoundSet) -> bool {
    slots(set.all_drives()).len() >= ENOUGH
}

/// The record files that are borne out, and those that are not, in the order in which they came.
pub(super) fn borne_out(set: &FoundSet, files: Vec<SoundFile>) -> (Vec<SoundFile>, Vec<SoundFile>) {
    if !are_several(set) {
        return (files, Vec::new());
    }
    let mut by = Speakers::of(set, &files);
    by.pass_on(&files);
    // The last first: it speaks for those before it.
    for at in (0..files.len()).rev() {
        if by.slots[at].len() < ENOUGH {
            let other = OtherDrives { set, files: &files, at, known: &by.slots[at] }.speaking();
            by.slots[at].extend(other);
            by.pass_on_from(at, &files);
        }
    }
    let mut slots = by.slots.into_iter();
    files.into_iter().partition(|_| slots.next().is_some_and(|slots| slots.len() >= ENOUGH))
}

/// The slots that speak for each file.
struct Speakers {
    slots: Vec<BTreeSet<Slot>>,
    at: HashMap<Hash, usize>,
}

impl Speakers {
    /// Those that carry it.
    fn of(set: &FoundSet, files: &[SoundFile]) -> Self {
        let carriers = |file: &SoundFile| {
            let carries = |found: &&FoundDrive| {
                file.copies.iter().any(|(drive, _)| Arc::ptr_eq(drive, &found.drive))
            };
            slots(set.all_drives().filter(carries))
        };
        let at = files.iter().enumerate().map(|(at, file)| (file.digest, at)).collect();
        Self { slots: files.iter().map(carriers).collect(), at }
    }

    /// Who speaks for a file speaks for those before it. (Whose digests name each other in a circle
    /// cannot be made.)
    fn pass_on(&mut self, files: &[SoundFile]) {
        (0..files.len()).rev().for_each(|at| self.pass_on_from(at, files));
    }

    fn pass_on_from(&mut self, at: usize, files: &[SoundFile]) {
        let mut from = at;
        while let Some(before) = self.at.get(&files[from].header.previous).copied() {
            let slots = self.slots[from].clone();
            if slots.is_subset(&self.slots[before]) {
                break;
            }
            self.slots[before].extend(slots);
            from = before;
        }
    }
}

/// The drives that do not carry a file.
struct OtherDrives<'a> {
    set: &'a FoundSet,
    files: &'a [SoundFile],
    at: usize,
    known: &'a BTreeSet<Slot>,
}

impl OtherDrives<'_> {
    /// A slot that has what was written before the file.
    fn speaking(&self) -> Option<Slot> {
        self.with_part().or_else(|| self.with_shard())
    }

    fn drives(&self) -> impl Iterator<Item = &FoundDrive> {
        let is_other = |found: &&FoundDrive| {
            found.label.slot != Slot(0) && !self.known.contains(&found.label.slot)
        };
        self.set.all_drives().filter(is_other)
    }

    fn rest(&self) -> impl Iterator<Item = &SoundFile> {
        let at = self.at;
        self.files.iter().enumerate().filter(move |(other, _)| *other != at).map(|(_, file)| file)
    }

    fn with_part(&self) -> Option<Slot> {
        let header = &self.files[self.at].header;
        let part = header.part.as_ref()?;
        let named = |file: &SoundFile| {
            let number = file.header.part.as_ref().map(|part| part.number);
            (file.header.run, number) == (header.run, Some(part.number))
        };
        if self.rest().any(named) {
            return None;
        }
        let path = part_path(header.run, part.number);
        let place = format!("{}/{path}", self.set.folder);
        let has = |found: &&FoundDrive| {
            let digest = digest_of(&*found.drive, &place, most_bytes(&path), ReadMode::Cached);
            digest.is_ok_and(|digest| digest == part.root)
        };
        self.drives().find(has).map(|found| found.label.slot)
    }

    fn with_shard(&self) -> Option<Slot> {
        let file = &self.files[self.at];
        let own: HashSet<StripeId> = file.stripes().collect();
        let used: HashSet<StripeId> =
            self.rest().flat_map(SoundFile::stripes).filter(|id| own.contains(id)).collect();
        let bytes = file.read().ok()?;
        let drives: BTreeMap<Slot, &dyn Drive> =
            self.drives().map(|found| (found.label.slot, &*found.drive)).collect();
        let mut buffer = Buffer::default();
        for record in record::records(&file.header, &bytes).flatten() {
            if used.contains(&record.id) {
                continue;
            }
            for (index, shard) in record.shards.iter().enumerate() {
                let Some(drive) = drives.get(&shard.slot) else { continue };
                let path = shard_path(record.id, index as u8);
                let path = format!("{}/{path}", self.set.folder);
                let recorded = RecordedShard { record: &record, index };
                let (path, mode) = (path.as_str(), ReadMode::Cached);
                let stored = StoredShard { drive: *drive, path, shard: recorded, mode };
                if stored.check(HELD_BYTES, &mut buffer).is_ok_and(|checked| checked.is_whole()) {
                    return Some(shard.slot);
                }
            }
        }
        None
    }
}

/// The stripes of these files that one of those names, too.
pub(super) fn named_by_both(files: &[SoundFile], those: &[SoundFile]) -> HashSet<StripeId> {
    let ids = |files: &[SoundFile]| -> HashSet<StripeId> {
        files.iter().flat_map(SoundFile::stripes).collect()
    };
    if files.is_empty() || those.is_empty() {
        return HashSet::new();
    }
    ids(files).intersection(&ids(those)).copied().collect()
}
