//! The paths of `--files-from`: what of a dataset is packed, named one by one.
//!
//! - Enters: a list as it is read, one path a line, or each ended by a zero byte; SOURCE's own path.
//! - Leaves: whether a path from SOURCE is wanted, by itself, with a folder that is named, or as
//!   it leads to what is; which paths were never come to; those that can name nothing.
//! - Always holds: (1) a path is bytes, and no letter in it means anything but `/`; `.` and doubled
//!   slashes are dropped, and so is what Windows puts before a list and at the end of a line; (2) one
//!   that begins with `/` must lie in SOURCE; (3) a folder that is named stands for all that lies in
//!   it; (4) each path counts once, however often it is named; (5) memory is the bytes of the paths
//!   and 17 for each, [`MOST_BYTES`] in all.

use super::typed::TypedPattern;
use std::io::{self, BufRead};
use std::sync::atomic::{AtomicBool, Ordering};

/// The longest list that is taken.
const MOST_BYTES: usize = 2 << 30;
/// What some editors begin a text with.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();
/// Paths that can name nothing, of which each is kept.
const KEPT: usize = 100;

/// What ends a path in a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndOfPath {
    Line,
    Zero,
}

/// Why a list cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum ListError {
    #[error("the list cannot be read")]
    Read(#[from] io::Error),
    /// Lines were expected.
    #[error("the list holds zero bytes, so it is not one path a line")]
    Zero,
    #[error("the list is larger than {} GiB", MOST_BYTES >> 30)]
    TooLarge,
}

/// A path that can name nothing in SOURCE, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Impossible {
    pub path: Vec<u8>,
    pub why: &'static str,
}

/// The paths of a list.
#[derive(Debug, Default)]
pub struct ListedPaths {
    /// the bytes of all paths
    bytes: Vec<u8>,
    /// where each lies, in order of the paths
    index: Vec<(usize, usize)>,
    /// which of them were come to
    seen: Vec<AtomicBool>,
    /// the first of those that can name nothing
    impossible: Vec<Impossible>,
    impossible_count: u64,
}

impl ListedPaths {
    /// Reads a list. `source` is the full path of SOURCE, and `is_there` tells whether a path as it
    /// was typed leads to anything.
    pub fn read(
        mut list: impl BufRead,
        end: EndOfPath,
        source: &[u8],
        is_there: &dyn Fn(&[u8]) -> bool,
    ) -> Result<Self, ListError> {
        let mut paths = Self::default();
        let mut is_first = true;
        let source = TypedPattern::of(source).map_or_else(|_| source.into(), |path| path.body);
        let byte = if end == EndOfPath::Line { b'\n' } else { 0 };
        let mut path = Vec::new();
        while list.read_until(byte, &mut path)? > 0 {
            if path.last() == Some(&byte) {
                path.pop();
            }
            let is_lines = end == EndOfPath::Line;
            let is_marked = std::mem::take(&mut is_first) && path.starts_with(BYTE_ORDER_MARK);
            if is_lines && is_marked && !is_there(&path) {
                path.drain(..BYTE_ORDER_MARK.len());
            }
            if is_lines && path.last() == Some(&b'\r') && !path.contains(&0) && !is_there(&path) {
                path.pop();
            }
            if path.contains(&0) {
                return Err(ListError::Zero);
            }
            if !path.is_empty() {
                paths.add(&path, &source);
            }
            path.clear();
            let index = paths.index.len() * (size_of::<(usize, usize)>() + 1);
            if paths.bytes.len() + index > MOST_BYTES {
                return Err(ListError::TooLarge);
            }
        }
        paths.sort();
        Ok(paths)
    }

    fn add(&mut self, typed: &[u8], source: &[u8]) {
        let why = match TypedPattern::of(typed) {
            Err(_) => "a path with \"..\" is not taken",
            Ok(path) if typed.first() != Some(&b'/') => return self.push(&path.body),
            Ok(path) => match within(&path.body, source) {
                Some(body) => return self.push(body),
                None => {
                    "it begins with / and lies outside of what is packed; paths start from SOURCE, \
                     without a / before them"
                }
            },
        };
        self.impossible_count += 1;
        if self.impossible.len() < KEPT {
            self.impossible.push(Impossible { path: typed.into(), why });
        }
    }

    fn push(&mut self, path: &[u8]) {
        self.index.push((self.bytes.len(), path.len()));
        self.bytes.extend_from_slice(path);
    }

    fn sort(&mut self) {
        let Self { bytes, index, .. } = self;
        let path = |&(at, len): &(usize, usize)| &bytes[at..at + len];
        index.sort_unstable_by(|a, b| path(a).cmp(path(b)));
        index.dedup_by(|a, b| path(a) == path(b));
        self.seen = (0..self.index.len()).map(|_| AtomicBool::new(false)).collect();
    }

    fn path(&self, number: usize) -> &[u8] {
        let (at, len) = self.index[number];
        &self.bytes[at..at + len]
    }

    /// The number of a path, or where it would be.
    fn find(&self, path: &[u8]) -> Result<usize, usize> {
        self.index.binary_search_by(|&(at, len)| self.bytes[at..at + len].cmp(path))
    }

    /// Is this folder named, or one that it lies in?
    pub fn has_all_of(&self, folder: &[u8]) -> bool {
        let ends = folder.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at);
        let mut above = [0].into_iter().chain(ends).chain([folder.len()]);
        above.any(|end| self.find(&folder[..end]).is_ok())
    }

    /// Is this path named, or is it a folder that leads to one that is? Notes that it was come to.
    pub fn leads_to(&self, path: &[u8], is_folder: bool) -> bool {
        let named = self.find(path);
        if let Ok(number) = named {
            self.seen[number].store(true, Ordering::Relaxed);
            return true;
        }
        if !is_folder {
            return false;
        }
        // What lies in it follows its name and a slash; between them only longer names can be.
        let mut below = path.to_vec();
        below.push(b'/');
        let next = self.find(&below).unwrap_or_else(|at| at);
        next < self.index.len() && self.path(next).starts_with(&below)
    }

    /// The paths that were never come to.
    pub fn unseen(&self) -> impl Iterator<Item = &[u8]> {
        let unseen = |number: &usize| !self.seen[*number].load(Ordering::Relaxed);
        // SOURCE itself is always there.
        (0..self.index.len())
            .filter(unseen)
            .map(|number| self.path(number))
            .filter(|p| !p.is_empty())
    }

    /// The first of the paths that can name nothing, and how many there are.
    pub fn impossible(&self) -> (&[Impossible], u64) {
        (&self.impossible, self.impossible_count)
    }
}

/// What of a path lies behind that of a folder.
fn within<'a>(path: &'a [u8], folder: &[u8]) -> Option<&'a [u8]> {
    let rest = path.strip_prefix(folder)?;
    if folder.is_empty() || rest.is_empty() { Some(rest) } else { rest.strip_prefix(b"/") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn read(list: &[u8], end: EndOfPath) -> ListedPaths {
        ListedPaths::read(list, end, b"/data/in", &|_| false).unwrap()
    }

    #[rstest]
    #[case::lines(b"a/b\n\n./a//c/\na/b\n/data/in/d\n e\nlast", EndOfPath::Line)]
    #[case::zeros(b"a/b\0a/c\0d\0 e\0last\0last", EndOfPath::Zero)]
    fn the_same_paths_each_once(#[case] list: &[u8], #[case] end: EndOfPath) {
        let paths = read(list, end);
        let all: Vec<&[u8]> = paths.unseen().collect();
        assert_eq!(all, [b" e".as_slice(), b"a/b", b"a/c", b"d", b"last"]);
    }

    #[test]
    fn what_is_named_and_what_leads_there() {
        let paths = read(b"a/b/c\na.b/x\nfolder\n", EndOfPath::Line);
        for path in ["a", "a/b", "a/b/c", "a.b", "a.b/x", "folder"] {
            assert!(paths.leads_to(path.as_bytes(), true), "{path}");
        }
        for path in ["a/c", "a/b/c/d", "a.", "b", "folder/x", "folde", "a/b/cc"] {
            assert!(!paths.leads_to(path.as_bytes(), true), "{path}");
        }
        assert!(!paths.leads_to(b"a", false), "a file leads nowhere");
        for folder in ["folder", "folder/x", "folder/x/y"] {
            assert!(paths.has_all_of(folder.as_bytes()), "{folder}");
        }
        assert!(!paths.has_all_of(b"a") && !paths.has_all_of(b"") && !paths.has_all_of(b"folders"));
        assert_eq!(paths.unseen().count(), 0, "all were come to");
        assert!(read(b".\n", EndOfPath::Line).has_all_of(b"any/thing"), "SOURCE itself");
    }

    #[test]
    fn a_list_from_windows() {
        let list = b"\xef\xbb\xbfa\r\n\r\nreally\r\n".as_slice();
        let is_there = |path: &[u8]| path == b"really\r";
        let paths = ListedPaths::read(list, EndOfPath::Line, b"/", &is_there).unwrap();
        assert_eq!(paths.unseen().collect::<Vec<_>>(), [b"a".as_slice(), b"really\r"]);
    }

    #[test]
    fn hostile_lists() {
        let paths = read(b"../x\na/../b\n/etc/passwd\n/data/inside\n\xff\\n*\n", EndOfPath::Line);
        let (first, count) = paths.impossible();
        assert_eq!((first.len(), count), (4, 4));
        assert_eq!(paths.unseen().collect::<Vec<_>>(), [b"\xff\\n*"], "bytes as they are");
        let zeros = ListedPaths::read(b"a\0b\0".as_slice(), EndOfPath::Line, b"/", &|_| false);
        assert!(matches!(zeros, Err(ListError::Zero)));
        let many = b"../x\n".repeat(1_000);
        let (first, count) = (read(&many, EndOfPath::Line).impossible, 1_000);
        assert_eq!((first.len(), count), (KEPT, 1_000));
    }
}
