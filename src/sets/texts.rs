//! What the copies of set.txt on the drives say.
//!
//! - Enters: a set as it was found.
//! - Leaves: the texts that drives vouch for, each with how many do.
//! - Always holds: (1) a drive vouches for one text: its set.txt and second copy agree, or one of them
//!   is what its checklist says, or it is the only one and nothing speaks against it; so rot in one
//!   of the three is damage, and no conflict; (2) drives are never held against each other here; (3)
//!   where no drive vouches for any, each text that is valid counts.

use super::open::{COPY, FoundDrive, FoundSet};
use crate::drives::on_each;
use crate::format::list::Hash;
use crate::format::set::{MAX_SET_BYTES, SetText};
use std::collections::BTreeMap;

/// The longest checklist that is looked into.
const MAX_CHECKLIST_BYTES: u64 = 1 << 30;

/// Texts by root, and how many drives vouch for each.
pub type Texts = BTreeMap<Hash, (usize, SetText)>;

/// The texts of a set.
pub fn texts(set: &FoundSet) -> Texts {
    let (mut vouched, mut unsure) = (Texts::new(), Texts::new());
    let drives: Vec<&FoundDrive> = set.all_drives().collect();
    let looked = on_each(drives.len(), |i| {
        let valid = valid_copies(set, drives[i]);
        let word = word(set, drives[i], &valid);
        (valid, word)
    });
    for (valid, word) in looked {
        let (texts, counted) = match word {
            Some(root) => (&mut vouched, vec![root]),
            None => (&mut unsure, valid.keys().copied().collect()),
        };
        for (root, (_, text)) in valid.into_iter().filter(|(root, _)| counted.contains(root)) {
            texts.entry(root).or_insert((0, text)).0 += 1;
        }
    }
    if vouched.is_empty() { unsure } else { vouched }
}

/// The copies on one drive that are a set.txt of this set.
fn valid_copies(set: &FoundSet, found: &FoundDrive) -> Texts {
    let mut valid = Texts::new();
    for path in [format!("{}/set.txt", set.folder), format!("{}/{COPY}/set.txt", set.folder)] {
        let Ok(bytes) = found.drive.read(&path, MAX_SET_BYTES) else { continue };
        if let Ok(text) = SetText::decode(&bytes)
            && (text.shipment, text.set) == (set.shipment, set.set)
        {
            valid.entry(*blake3::hash(&bytes).as_bytes()).or_insert((0, text)).0 += 1;
        }
    }
    valid
}

/// Which of its copies a drive vouches for.
fn word(set: &FoundSet, found: &FoundDrive, valid: &Texts) -> Option<Hash> {
    if let Some((root, _)) = valid.iter().find(|(_, (copies, _))| *copies == 2) {
        return Some(*root);
    }
    if valid.is_empty() {
        return None;
    }
    match listed(set, found) {
        Some(root) => valid.contains_key(&root).then_some(root),
        None => valid.keys().next().copied().filter(|_| valid.len() == 1),
    }
}

/// What a drive's checklist says of set.txt.
fn listed(set: &FoundSet, found: &FoundDrive) -> Option<Hash> {
    let path = format!("{}/checklist.b3", set.folder);
    let bytes = found.drive.read(&path, MAX_CHECKLIST_BYTES).ok()?;
    let hex = bytes.split(|b| *b == b'\n').find_map(|line| line.strip_suffix(b"  set.txt"))?;
    Some(*blake3::Hash::from_hex(hex).ok()?.as_bytes())
}
