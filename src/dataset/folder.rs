//! The names of one folder, in order.
//!
//! - Enters: the handle of a folder.
//! - Leaves: its names, folders taken as ending in `/`, sorted bytewise, each once.
//! - Always holds: memory is twice the window that was asked for, and the window once all are
//!   listed. Of a folder with more names the first are given: who has passed them lists it again,
//!   from there on.

use std::cmp::Ordering;
use std::os::fd::{AsFd, OwnedFd};

use rayon::slice::ParallelSliceMut;
use rustix::fs::{FileType, RawDir, SeekFrom};
use rustix::io::Errno;

use super::inode::Inode;
use crate::format::list::Kind;

/// Bytes of the buffer that names are listed through.
const LISTING_BYTES: usize = 32 << 10;

/// A listing that outgrows this gets all the room of a window at once. So large a piece the
/// allocator takes from the system and gives back; grown step by step, every thread's heap kept some.
const SMALL_BYTES: usize = 1 << 20;
/// The allocator's largest threshold for that.
const APART_BYTES: usize = (32 << 20) + 1;

/// A name, and whether it was a folder when its folder was listed.
pub type ListedName<'a> = (&'a [u8], bool);

/// Names in order: one run of bytes and where each name lies in it.
#[derive(Default)]
pub struct FolderListing {
    bytes: Vec<u8>,
    index: Vec<Name>,
    /// the last name that is given, of a folder that has more
    last: Option<(Vec<u8>, bool)>,
}

#[derive(Clone, Copy)]
struct Name {
    at: usize,
    len: u32,
    is_folder: bool,
}

impl FolderListing {
    /// Lists a folder: of the names after `after` those that `keep` says, and of these the first
    /// that take `window` bytes. If listing fails, the names up to there are kept.
    pub fn read(
        folder: &OwnedFd,
        after: Option<ListedName>,
        window: usize,
        mut keep: impl FnMut(ListedName) -> bool,
    ) -> (Self, Result<(), Errno>) {
        let mut listing = Self::default();
        if let Err(errno) = rustix::fs::seek(folder, SeekFrom::Start(0)) {
            return (listing, Err(errno));
        }
        let mut buffer = Vec::with_capacity(LISTING_BYTES);
        let mut names = RawDir::new(folder, buffer.spare_capacity_mut());
        let result = loop {
            match names.next() {
                None => break Ok(()),
                Some(Err(Errno::INTR)) => {}
                Some(Err(errno)) => break Err(errno),
                Some(Ok(found)) => {
                    let name = found.file_name().to_bytes();
                    if name == b"." || name == b".." {
                        continue;
                    }
                    let name = (name, is_folder(folder, name, found.file_type()));
                    if after.is_none_or(|after| order(after, name).is_lt()) && keep(name) {
                        listing.push(name, window);
                    }
                }
            }
        };
        listing.sort();
        listing.cut(window);
        (listing, result)
    }

    /// How many names there are.
    pub fn len(&self) -> usize {
        self.index.len()
    }

    pub fn name(&self, at: usize) -> ListedName<'_> {
        name_in(&self.bytes, &self.index[at])
    }

    /// The last name, if the folder has more.
    pub fn last_of_more(&self) -> Option<ListedName<'_>> {
        self.last.as_ref().map(|(name, is_folder)| (name.as_slice(), *is_folder))
    }

    fn push(&mut self, name: ListedName, window: usize) {
        if self.last_of_more().is_some_and(|last| order(last, name).is_lt()) {
            return;
        }
        self.append(name);
        if self.taken() > SMALL_BYTES && self.bytes.capacity() < APART_BYTES {
            self.make_room();
        }
        if self.taken() > 2 * window {
            self.sort();
            self.cut(window);
        }
    }

    fn append(&mut self, (name, is_folder): ListedName) {
        self.index.push(Name { at: self.bytes.len(), len: name.len() as u32, is_folder });
        self.bytes.extend_from_slice(name);
    }

    /// Pages that nothing is written to take no memory.
    fn make_room(&mut self) {
        self.bytes.reserve_exact(APART_BYTES - self.bytes.len());
        self.index.reserve_exact(APART_BYTES / size_of::<Name>() + 1 - self.index.len());
    }

    fn taken(&self) -> usize {
        self.bytes.len() + self.index.len() * size_of::<Name>()
    }

    /// Brings the names in order. A folder that changes while it is listed may give a name twice.
    fn sort(&mut self) {
        let Self { bytes, index, .. } = self;
        let key = |name: &Name| name_in(bytes, name);
        index.par_sort_unstable_by(|a, b| order(key(a), key(b)));
        index.dedup_by(|a, b| key(a) == key(b));
    }

    /// Drops the last names, as many as are more than the window.
    fn cut(&mut self, window: usize) {
        if self.taken() <= window {
            return;
        }
        let mut first = Self::default();
        if window > SMALL_BYTES {
            first.make_room();
        }
        let mut names = (0..self.len()).map(|at| self.name(at)).peekable();
        while first.len() == 0 || first.taken() < window {
            let Some(name) = names.next() else { break };
            first.append(name);
        }
        if names.peek().is_some() {
            let last = first.index.last().map(|name| name_in(&first.bytes, name));
            first.last = last.map(|(name, is_folder)| (name.to_vec(), is_folder));
        } else {
            first.last = self.last.take();
        }
        *self = first;
    }
}

fn name_in<'a>(bytes: &'a [u8], name: &Name) -> ListedName<'a> {
    (&bytes[name.at..name.at + name.len as usize], name.is_folder)
}

/// Some file systems do not say in a listing what a name is. If it cannot be found out, the walk
/// will see the error again and report it.
fn is_folder(handle: impl AsFd, name: &[u8], listed: FileType) -> bool {
    match listed {
        FileType::Unknown => {
            Inode::of_name(handle, name).is_ok_and(|inode| inode.kind() == Some(Kind::Folder))
        }
        known => known == FileType::Directory,
    }
}

/// Bytewise, a folder's name taken as ending in `/`. After what both names have in common, the
/// next byte decides: of the name that goes on, or that slash, or nothing.
fn order((a, a_is_folder): ListedName, (b, b_is_folder): ListedName) -> Ordering {
    let common = a.len().min(b.len());
    let next =
        |name: &[u8], is_folder: bool| name.get(common).copied().or(is_folder.then_some(b'/'));
    a[..common].cmp(&b[..common]).then_with(|| next(a, a_is_folder).cmp(&next(b, b_is_folder)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// All names in order, and how many were given at once.
    fn in_windows(folder: &OwnedFd, window: usize) -> (Vec<(Vec<u8>, bool)>, Vec<usize>) {
        let (mut all, mut counts): (Vec<(Vec<u8>, bool)>, _) = (Vec::new(), Vec::new());
        loop {
            let after = all.last().cloned();
            let after = after.as_ref().map(|(name, is_folder)| (name.as_slice(), *is_folder));
            let (listing, result) = FolderListing::read(folder, after, window, |_| true);
            assert_eq!(result, Ok(()));
            assert!(listing.bytes.capacity() <= 4 * window + 8);
            counts.push(listing.len());
            all.extend((0..listing.len()).map(|at| listing.name(at)).map(|(n, f)| (n.to_vec(), f)));
            if listing.last_of_more().is_none() {
                return (all, counts);
            }
        }
    }

    /// Issue 13, point 5: a folder of any number of names takes no more memory.
    #[test]
    fn names_come_in_windows_in_the_same_order() {
        let dir = tempfile::tempdir().unwrap();
        for number in 0..500 {
            let path = dir.path().join(format!("{:b}", number * 7_919 % 500));
            if number % 3 == 0 { fs::create_dir(path) } else { fs::write(path, "") }.unwrap();
        }
        let folder = fs::File::open(dir.path()).unwrap().into();
        let (want, at_once) = in_windows(&folder, 1 << 20);
        assert_eq!((want.len(), at_once), (500, vec![500]));
        let key = |(name, is_folder): &(Vec<u8>, bool)| {
            [name.as_slice(), if *is_folder { b"/" } else { b"" }].concat()
        };
        assert!(want.is_sorted_by(|a, b| key(a) < key(b)));
        for window in [1, 100, 1_000, 5_000] {
            let (all, counts) = in_windows(&folder, window);
            assert!(all == want, "a window of {window} bytes");
            assert!(counts.iter().all(|count| *count <= window / size_of::<Name>() + 1));
        }
    }

    #[test]
    fn what_is_left_out_and_what_fails() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["a", "b", "c"] {
            fs::write(dir.path().join(name), "").unwrap();
        }
        let folder = fs::File::open(dir.path()).unwrap().into();
        let (listing, _) = FolderListing::read(&folder, None, 1_000, |(name, _)| name != b"b");
        assert_eq!([listing.name(0), listing.name(1)], [(b"a".as_slice(), false), (b"c", false)]);
        let file = fs::File::open(dir.path().join("a")).unwrap().into();
        let (listing, result) = FolderListing::read(&file, None, 1_000, |_| true);
        assert_eq!((listing.len(), result), (0, Err(Errno::NOTDIR)));
    }
}
