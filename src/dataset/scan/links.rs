//! Files with several names: which name came first.
//!
//! - Enters: the inode of each path, in order.
//! - Leaves: the path under which the same file came before, if one did.
//! - Always holds: memory is at most [`BYTES`], whatever the dataset: of files whose other names
//!   have not been seen, those that came first are forgotten first, and counted. A name that comes
//!   after that is a file of its own.

use std::collections::{HashMap, VecDeque};

use super::super::inode::Inode;

/// What the paths that are remembered may take: some 400,000 files.
const BYTES: usize = 64 << 20;
/// What one takes besides its path, in both collections.
const FIXED_BYTES: usize = 96;

/// The files of which some path has not been seen.
#[derive(Default)]
pub struct HardLinks {
    known: HashMap<(u64, u64), FirstPath>,
    /// by age; what is no longer known stays until it is the oldest
    order: VecDeque<((u64, u64), u64)>,
    /// numbers the paths, so that an inode that came again is told from what it was
    next: u64,
    bytes: usize,
    /// files that were forgotten
    pub forgotten: u64,
}

/// The first path of a file with several.
struct FirstPath {
    number: u64,
    /// size and time of the last change, as the entry has them
    content: (u64, i64, u32),
    path: Vec<u8>,
    /// paths that have not been seen
    left: u32,
}

impl FirstPath {
    fn bytes(&self) -> usize {
        self.path.len() + FIXED_BYTES
    }
}

impl HardLinks {
    /// The path under which this file came before; none if this is the first. A file whose content
    /// changed since then counts as another: its inode's number may have been given to a new one.
    pub fn first_path(&mut self, inode: &Inode, path: &[u8]) -> Option<Vec<u8>> {
        if inode.links < 2 {
            return None;
        }
        let key = (inode.identity.device, inode.identity.inode);
        let content = (inode.size, inode.mtime, inode.mtime_nanos);
        match self.known.get_mut(&key) {
            Some(known) if known.content == content && known.left > 1 => {
                known.left -= 1;
                Some(known.path.clone())
            }
            Some(known) if known.content == content => self.remove(&key).map(|known| known.path),
            _ => {
                self.remember(key, content, path, inode.links - 1);
                None
            }
        }
    }

    fn remember(&mut self, key: (u64, u64), content: (u64, i64, u32), path: &[u8], left: u32) {
        self.remove(&key);
        let number = self.next;
        self.next += 1;
        let first = FirstPath { number, content, path: path.to_vec(), left };
        self.bytes += first.bytes();
        self.order.push_back((key, number));
        self.known.insert(key, first);
        while self.bytes > BYTES
            && let Some((oldest, number)) = self.order.pop_front()
        {
            if self.known.get(&oldest).is_some_and(|known| known.number == number) {
                self.remove(&oldest);
                self.forgotten += 1;
            }
        }
        // What left early is dropped from the order too, before it outweighs what is known.
        if self.order.len() > 2 * self.known.len() + 1_024 {
            let known = &self.known;
            self.order.retain(|(key, number)| known.get(key).is_some_and(|k| k.number == *number));
        }
    }

    fn remove(&mut self, key: &(u64, u64)) -> Option<FirstPath> {
        let known = self.known.remove(key)?;
        self.bytes -= known.bytes();
        Some(known)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Review R, small ones: what is remembered of hard links is bounded, the oldest goes first.
    #[test]
    fn memory_is_bounded_and_the_newest_are_known() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("a"), "x").unwrap();
        std::fs::hard_link(dir.path().join("a"), dir.path().join("b")).unwrap();
        let handle = std::fs::File::open(dir.path().join("a")).unwrap();
        let mut inode = Inode::of_handle(&handle).unwrap();
        let mut links = HardLinks::default();
        let (path, count) = (vec![b'p'; 4_000], 40_000);
        for number in 0..count {
            inode.identity.inode = number;
            assert_eq!(links.first_path(&inode, &path), None);
            assert!(links.bytes <= BYTES);
        }
        assert!(links.forgotten > 0 && links.forgotten < count);
        assert_eq!(links.forgotten + links.known.len() as u64, count);
        assert_eq!(links.first_path(&inode, b"other"), Some(path), "the newest is known");
        inode.identity.inode = 0;
        assert_eq!(links.first_path(&inode, b"other"), None, "the oldest is not");
        for number in 0..10_000 {
            inode.identity.inode = number;
            links.first_path(&inode, b"one");
            links.first_path(&inode, b"two");
        }
        assert!(links.order.len() <= 2 * links.known.len() + 1_024);
    }
}
