//! The exact spelling of names, where the file system takes `README` and `readme` for one.
//!
//! - Enters: a folder, and a name under which something was found in it.
//! - Leaves: whether that is what it is called.
//! - Always holds: (1) a yes was true when the folder was last listed, a no is true now; (2) memory
//!   is bounded by [`KNOWN_NAMES`].

use parking_lot::Mutex;
use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use cap_std::fs::Dir;

use super::at::{as_path, holds_only};

/// Listed names that are remembered, as hashes: 16 MiB at most.
const KNOWN_NAMES: usize = 1 << 20;
/// Folders of which they are remembered: those on the way to where the walk is.
const KNOWN_FOLDERS: usize = 64;

/// The names in the folders asked for last.
#[derive(Default)]
pub(super) struct Spellings(Mutex<Vec<KnownFolder>>);

struct KnownFolder {
    /// the folder's path
    path: u64,
    names: HashSet<u64>,
}

impl Spellings {
    /// Is something in `folder`, which has this path, called exactly `name`?
    pub(super) fn has(&self, folder: &Dir, path: &[u8], name: &[u8]) -> bool {
        let (path, wanted) = (hash(path), hash(name));
        let mut known = self.0.lock();
        if let Some(at) = known.iter().position(|listing| listing.path == path) {
            let listing = known.remove(at);
            if listing.names.contains(&wanted) {
                known.push(listing);
                return true;
            }
        }
        let mut names = HashSet::new();
        let mut found = false;
        let list = |listed: &[u8]| {
            found |= listed == name;
            if names.len() < KNOWN_NAMES {
                names.insert(hash(listed));
            }
            true
        };
        if holds_only(folder, list).is_err() {
            return false;
        }
        known.push(KnownFolder { path, names });
        let count = |known: &[KnownFolder]| known.iter().map(|l| l.names.len()).sum::<usize>();
        while known.len() > KNOWN_FOLDERS || known.len() > 1 && count(&known) > KNOWN_NAMES {
            known.remove(0);
        }
        found
    }
}

fn hash(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    hasher.finish()
}

/// Is there something under another spelling of a name, too? Only then can what is found under the
/// name be called otherwise.
pub(super) fn has_another(folder: &Dir, name: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(name) else { return true };
    let single = |mut cased: Box<dyn Iterator<Item = char>>, as_is: char| {
        cased.next().filter(|_| cased.next().is_none()).unwrap_or(as_is)
    };
    let upper: String = text.chars().map(|c| single(Box::new(c.to_uppercase()), c)).collect();
    let lower: String = text.chars().map(|c| single(Box::new(c.to_lowercase()), c)).collect();
    let other = if upper == text { lower } else { upper };
    other != text && folder.symlink_metadata(as_path(other.as_bytes())).is_ok()
}
