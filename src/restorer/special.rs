//! Privileged entries: devices, set-user-id and set-group-id bits, capabilities and other
//! attributes of the system.
//!
//! - Enters: items, in order; entries that were made.
//! - Leaves: with `--no-special` the items without all that, and how much it was; how much of it
//!   was made.
//! - Always holds: (1) further names of a device go with it; (2) memory is a hash for each of the
//!   first [`MOST_DEVICES`] devices.

use super::decode::OpenStripe;
use super::items::Items;
use crate::destination::{AttributeKind, MetadataProblem, attribute_kind};
use crate::format::ids::StripeId;
use crate::format::list::{Entry, Hash, Item, Kind};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// Devices whose further names are known. Nobody has more; a hostile packer may.
const MOST_DEVICES: usize = 1 << 16;
/// Set-user-id and set-group-id.
const SET_IDS: u32 = 0o6000;

/// How much of it there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Specials {
    /// device nodes
    pub devices: u64,
    /// entries with set-user-id or set-group-id bits
    pub set_ids: u64,
    /// attributes: of what was left out those of the system, of what was made capabilities
    pub attributes: u64,
}

impl Specials {
    pub fn add(&mut self, other: Self) {
        self.devices += other.devices;
        self.set_ids += other.set_ids;
        self.attributes += other.attributes;
    }

    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// Counts for an entry that was made, by root or not; folders lend no rights.
    pub fn of_made(entry: &Entry, is_root: bool, problems: &[MetadataProblem]) -> Self {
        let kept = |word: &str| !problems.iter().any(|problem| problem.what.contains(word));
        let capability = |name: &[u8]| attribute_kind(name) == AttributeKind::Capability;
        let has_set_ids = entry.kind == Kind::File && entry.mode & SET_IDS != 0;
        let capabilities = entry.xattrs.iter().filter(|(name, _)| capability(name)).count();
        let has_capabilities = is_root && kept("security.capability");
        Self {
            devices: is_device(entry).into(),
            set_ids: (has_set_ids && kept("set-id bits") && kept("mode")).into(),
            attributes: if has_capabilities { capabilities as u64 } else { 0 },
        }
    }
}

fn is_device(entry: &Entry) -> bool {
    matches!(entry.kind, Kind::CharDevice | Kind::BlockDevice)
}

/// Items without what is special, if that is asked for.
pub struct Harmless<I> {
    /// where the items come from
    pub items: I,
    is_asked: bool,
    left: Specials,
    /// BLAKE3 of their paths
    devices: BTreeSet<Hash>,
}

impl<I: Items> Harmless<I> {
    /// Of these items; all of them, unless it is asked for.
    pub fn new(items: I, is_asked: bool) -> Self {
        Self { items, is_asked, left: Specials::default(), devices: BTreeSet::new() }
    }

    /// What was left out so far.
    pub fn left(&self) -> Specials {
        self.left
    }

    /// Was a device left out under this path?
    pub fn has_left(&self, path: &[u8]) -> bool {
        self.devices.contains(blake3::hash(path).as_bytes())
    }

    fn tamed(&mut self, item: Item) -> Option<Item> {
        let Item::Entry { mut entry, continued } = item else { return Some(item) };
        let hash = |path: &[u8]| *blake3::hash(path).as_bytes();
        let is_link = entry.kind == Kind::HardLink;
        if is_device(&entry) || is_link && self.devices.contains(&hash(&entry.target)) {
            self.left.devices += 1;
            if self.devices.len() < MOST_DEVICES {
                self.devices.insert(hash(&entry.path));
            }
            return None;
        }
        let mut left =
            Specials { set_ids: (entry.mode & SET_IDS != 0).into(), ..Specials::default() };
        entry.mode &= !SET_IDS;
        entry.xattrs.retain(|(name, _)| {
            let kind = attribute_kind(name);
            let counts = matches!(kind, AttributeKind::Capability | AttributeKind::System);
            left.attributes += u64::from(counts);
            kind == AttributeKind::User
        });
        if !continued && !is_link {
            self.left.add(left);
        }
        Some(Item::Entry { entry, continued })
    }
}

impl<I: Items> Items for Harmless<I> {
    fn next_list(&mut self) -> Option<Vec<Item>> {
        loop {
            let list = self.items.next_list()?;
            if !self.is_asked {
                return Some(list);
            }
            let tamed: Vec<Item> = list.into_iter().filter_map(|item| self.tamed(item)).collect();
            if !tamed.is_empty() {
                return Some(tamed);
            }
        }
    }

    fn opened(&self, stripe: StripeId) -> Option<Arc<OpenStripe>> {
        self.items.opened(stripe)
    }

    fn lists_wait(&self) -> Arc<AtomicBool> {
        self.items.lists_wait()
    }

    fn batch_bytes(&mut self, usual: u64) -> u64 {
        self.items.batch_bytes(usual)
    }

    fn folders(&mut self, paths: &[Vec<u8>]) -> Vec<Entry> {
        self.items.folders(paths)
    }
}
