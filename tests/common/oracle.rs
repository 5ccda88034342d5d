//! What can be had after a loss, worked out from the records and lists of the whole set and the
//! formula of the codes: a block is lost if it is bad, its column lacks more than m blocks, and so
//! does that of the stripe along its drive.

use super::snapshot::Paths;
use holdall::testing::drives::{Drive, LocalDrive};
use holdall::testing::format::ids::StripeId;
use holdall::testing::format::list::{Extent, Hash, Item, Kind, shown_path};
use holdall::testing::format::record::{Member, StripeRecord};
use holdall::testing::keys::recipients::Identities;
use holdall::testing::monitor::Recording;
use holdall::testing::opening::unlock as command;
use holdall::testing::restorer::OpenSet;
use holdall::testing::restorer::items::{CatalogItems, Items};
use holdall::testing::sets::{RecordIndex, open};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

/// Shard and number of every block of a stripe.
pub fn places(record: &StripeRecord) -> impl Iterator<Item = (usize, usize)> + use<> {
    let count = record.blocks.count();
    (0..record.shards.len()).flat_map(move |shard| (0..count).map(move |block| (shard, block)))
}

const SALT: u64 = 32;
const TAG: u64 = 16;
const TRAILER: u64 = 16;

/// A file as the catalog has it.
pub struct FileFacts {
    /// its path
    pub path: Vec<u8>,
    /// its length
    pub size: u64,
    /// its BLAKE3, if it is known
    pub root: Option<Hash>,
    extents: Vec<Extent>,
}

/// A set before the loss.
pub struct Oracle {
    /// its stripes
    pub records: BTreeMap<StripeId, StripeRecord>,
    /// its files
    pub files: Vec<FileFacts>,
    /// path and target of the hard links
    pub links: Vec<(Vec<u8>, Vec<u8>)>,
}

/// What cannot be restored.
pub struct Lost {
    /// files and their missing ranges of bytes (offset, length)
    pub ranges: BTreeMap<Vec<u8>, Vec<(u64, u64)>>,
    /// these files and their further names
    pub paths: Paths,
}

impl Lost {
    /// The paths as the program shows them, sorted.
    pub fn shown(&self) -> Vec<String> {
        let mut shown: Vec<String> = self.paths.iter().map(|p| shown_path(p)).collect();
        shown.sort();
        shown
    }
}

impl Oracle {
    /// Reads the set on drives that are folders.
    pub fn of_folders(paths: &[PathBuf], identities: &Identities) -> Self {
        let open = |path: &PathBuf| Arc::new(LocalDrive::open(path).unwrap()) as Arc<dyn Drive>;
        Self::read(&paths.iter().map(open).collect::<Vec<_>>(), identities)
    }

    /// Reads the set on these drives, on which nothing is damaged.
    pub fn read(drives: &[Arc<dyn Drive>], identities: &Identities) -> Self {
        let monitor = Recording::default();
        let mut sets = open::find(drives, &Recording::default());
        assert_eq!(sets.len(), 1, "one set");
        let keys =
            command::unlock(&mut sets, identities, &[], &Recording::default()).unwrap().remove(0);
        let record_index: RecordIndex = command::record_index(&sets[0], &keys, &monitor);
        let mut oracle = Self { records: BTreeMap::new(), files: Vec::new(), links: Vec::new() };
        record_index.walk(&monitor, |record| {
            oracle.records.insert(record.id, record.clone());
            true
        });
        let opened = OpenSet { set: &sets[0], record_index: &record_index, keys: &keys };
        let mut items = CatalogItems::open(&opened, &monitor).expect("the set has its catalog");
        while let Some(list) = items.next_list() {
            list.into_iter().for_each(|item| oracle.take(item));
        }
        assert_eq!(monitor.problems(), []);
        oracle
    }

    fn take(&mut self, item: Item) {
        match item {
            Item::Entry { continued: true, .. } => {}
            Item::Entry { entry, .. } if entry.kind == Kind::HardLink => {
                self.links.push((entry.path, entry.target));
            }
            Item::Entry { entry, .. } if entry.kind == Kind::File => {
                let (path, size) = (entry.path, entry.size);
                let root = (size == 0).then(|| *blake3::hash(b"").as_bytes());
                self.files.push(FileFacts { path, size, root, extents: Vec::new() });
            }
            Item::Entry { .. } => {}
            Item::Extent(extent) => {
                let file = self.files.last_mut().expect("an extent follows its file");
                file.extents.push(extent);
            }
            Item::End(end) => {
                self.files.last_mut().expect("an end follows its file").root = end.root;
            }
        }
    }

    /// What is lost if these blocks are bad: `is_bad` is asked for shard and block of every stripe.
    pub fn lost(&self, is_bad: impl Fn(&StripeRecord, usize, usize) -> bool) -> Lost {
        let blocks = self.lost_blocks(is_bad);
        let mut lost = Lost { ranges: BTreeMap::new(), paths: Paths::new() };
        for file in &self.files {
            let ranges = self.missing(file, &blocks);
            if !ranges.is_empty() {
                lost.paths.insert(file.path.clone());
                lost.ranges.insert(file.path.clone(), ranges);
            }
        }
        for (path, target) in &self.links {
            if lost.ranges.contains_key(target) {
                lost.paths.insert(path.clone());
            }
        }
        lost
    }

    /// The blocks that neither code gives, by stripe, shard and number: all bad ones, less those
    /// that some stripe gives, again and again.
    pub fn lost_blocks(
        &self,
        is_bad: impl Fn(&StripeRecord, usize, usize) -> bool,
    ) -> BTreeSet<(StripeId, usize, usize)> {
        let mut lost = BTreeSet::new();
        for record in self.records.values() {
            for (shard, column) in places(record) {
                if is_bad(record, shard, column) {
                    lost.insert((record.id, shard, column));
                }
            }
        }
        loop {
            let before = lost.len();
            for record in self.records.values() {
                for column in 0..record.blocks.count() {
                    let mut of_stripe: Vec<(StripeId, usize, usize)> =
                        (0..record.shards.len()).map(|shard| (record.id, shard, column)).collect();
                    let of_member = |m: &Member| (m.stripe, m.index as usize, column);
                    of_stripe.extend(record.members.iter().map(of_member));
                    of_stripe.retain(|block| lost.contains(block));
                    if of_stripe.len() <= record.m as usize {
                        of_stripe.iter().for_each(|block| assert!(lost.remove(block)));
                    }
                }
            }
            if lost.len() == before {
                return lost;
            }
        }
    }

    /// What is lost with these slots.
    pub fn lost_with_slots(&self, slots: &[usize]) -> Lost {
        self.lost(|record, shard, _| slots.contains(&(record.shards[shard].slot.0 as usize)))
    }

    /// The slots whose drives have a shard of a stripe in which some of these files lies.
    pub fn slots_of(&self, paths: &BTreeSet<Vec<u8>>) -> BTreeSet<u16> {
        let files = self.files.iter().filter(|file| paths.contains(&file.path));
        let stripes = files.flat_map(|file| &file.extents).map(|extent| extent.place.stripe);
        stripes.flat_map(|id| &self.records[&id].shards).map(|shard| shard.slot.0).collect()
    }

    fn missing(
        &self,
        file: &FileFacts,
        lost: &BTreeSet<(StripeId, usize, usize)>,
    ) -> Vec<(u64, u64)> {
        let mut ranges: Vec<(u64, u64)> = Vec::new();
        for extent in &file.extents {
            let stripe = extent.place.stripe;
            let mut needed = self.blocks_of(extent).into_iter();
            if !needed.any(|(shard, block)| lost.contains(&(stripe, shard, block))) {
                continue;
            }
            let (offset, len) = (extent.file_offset, u64::from(extent.len));
            match ranges.last_mut() {
                Some((start, known)) if *start + *known == offset => *known += len,
                _ => ranges.push((offset, len)),
            }
        }
        ranges
    }

    /// Shard and number of every block in which the extent's chunk lies.
    fn blocks_of(&self, extent: &Extent) -> Vec<(usize, usize)> {
        let place = &extent.place;
        let blocks = self.records[&place.stripe].blocks;
        let plain = blocks.bytes() as u64 - TAG;
        let capacity = blocks.count() as u64 * plain - SALT - TRAILER;
        let mut found = Vec::new();
        let (mut shard, mut from) = (place.index as usize, u64::from(place.offset));
        let mut here = u64::from(place.head);
        let mut left = u64::from(place.stored);
        while left > 0 {
            let (first, last) = ((from + SALT) / plain, (from + here - 1 + SALT) / plain);
            found.extend((first..=last).map(|block| (shard, block as usize)));
            left -= here;
            (shard, from, here) = (shard + 1, 0, left.min(capacity));
        }
        found
    }
}
