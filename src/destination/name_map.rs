//! How the names of entries are mapped in DIR, and what is written down of it.
//!
//! - Enters: names that were mapped.
//! - Leaves: a state in the working folder with a line for each; and how the list begins that the end
//!   of the restore puts into DIR.
//! - Always holds: (1) a line is whole, or has no end mark; (2) memory is bounded by
//!   [`KNOWN_LINES`].

use parking_lot::Mutex;
use std::collections::HashSet;
use std::fmt::Write as _;
use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Read as _, Write as _};

use cap_std::fs::Dir;
use rustix::fs::OFlags;

use super::at::open_at;
use super::layout::NAMES;
use super::mapping::most_bytes;

/// The prefix of the states that hold the lines of the list, one of each process.
pub(super) const LINES: &str = "names-";
/// Lines that are known to be written: 32 MiB at most. Beyond that one may come twice.
const KNOWN_LINES: usize = 1 << 21;
/// How the list begins: so a tree in which names were mapped is known.
pub(super) const HEAD: &str = "# holdall: names that were mapped, format 1\n";
pub(super) const ABOUT: &str = "# One a line: the path here, a tab, and the entry's own name, each %XX a byte of it.\n\
                     # `holdall help restore` says how to give these names back.\n";

/// How names are mapped.
pub(super) struct NameMap {
    /// bytes that a name may have here
    pub(super) most: usize,
    /// where the list is kept; none: nothing is written
    pub(super) list: Option<NameList>,
}

pub(super) struct NameList {
    work: Dir,
    pub(super) state: String,
    lines: Mutex<(Option<File>, KnownLines)>,
}

impl NameMap {
    /// Of what lies in `root`; the list is kept in `work`, if that is given.
    pub(super) fn new(root: &Dir, work: Option<Dir>) -> io::Result<Self> {
        let most = most_bytes(rustix::fs::fstatvfs(root)?.f_namemax);
        let list = |work| -> io::Result<NameList> {
            let state = format!("{LINES}{:016x}", getrandom::u64()?);
            Ok(NameList { work, state, lines: Mutex::default() })
        };
        Ok(Self { most, list: work.map(list).transpose()? })
    }
}

impl NameList {
    /// Closes the state, which FUSE would keep under another name when it is removed.
    pub(super) fn close(&self) {
        self.lines.lock().0 = None;
    }

    /// Adds a line, unless it is there.
    pub(super) fn add(&self, line: &[u8]) -> io::Result<()> {
        let (file, known) = &mut *self.lines.lock();
        if known.contains(line) {
            return Ok(());
        }
        if file.is_none() {
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::APPEND;
            *file = Some(open_at(&self.work, self.state.as_bytes(), flags, 0o600)?);
        }
        file.as_mut().map_or(Ok(()), |file| file.write_all(&[line, b"\t\n"].concat()))?;
        known.add(line);
        Ok(())
    }
}

/// Lines that were seen, as hashes.
#[derive(Default)]
pub(super) struct KnownLines(HashSet<u64>);

impl KnownLines {
    fn contains(&self, line: &[u8]) -> bool {
        self.0.contains(&hash(line))
    }

    /// Adds one; was it new?
    pub(super) fn add(&mut self, line: &[u8]) -> bool {
        if self.0.len() >= KNOWN_LINES {
            self.0.clear();
        }
        self.0.insert(hash(line))
    }
}

fn hash(line: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    line.hash(&mut hasher);
    hasher.finish()
}

/// Is this the root of a tree in which names were mapped?
pub(super) fn is_mapped(root: &Dir) -> bool {
    let mut head = vec![0; HEAD.len()];
    let file = open_at(root, NAMES.as_bytes(), OFlags::RDONLY | OFlags::NONBLOCK, 0);
    file.is_ok_and(|mut file| file.read_exact(&mut head).is_ok()) && head == HEAD.as_bytes()
}

/// An entry's own name in one line, as URLs have it.
pub(super) fn encoded(name: &[u8]) -> String {
    let mut out = String::new();
    for chunk in name.utf8_chunks() {
        for c in chunk.valid().chars() {
            if c.is_control() || c == '%' {
                let mut bytes = [0; 4];
                for byte in c.encode_utf8(&mut bytes).bytes() {
                    let _ = write!(out, "%{byte:02X}");
                }
            } else {
                out.push(c);
            }
        }
        for byte in chunk.invalid() {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}
