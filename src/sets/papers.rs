//! The papers of a drive: every file of a set that is not a shard. What each should be follows from
//! set.txt and the records; the checklist is derived again and compared.

use super::book::Book;
use super::open::{COPY, FoundDrive, FoundSet, MAX_KEY_BYTES, chain};
use crate::drives::ReadMode;
use crate::format::SECOND_COPY_DRIVES;
use crate::format::ids::{RunId, Slot, key_path, part_path, record_path, shard_path};
use crate::format::list::Hash;
use crate::format::set::SetText;
use crate::monitor::{Monitor, Problem, ProblemKind};
use crate::stages::hash::root_of;
use std::collections::{BTreeMap, BTreeSet};

/// One line of a checklist, as `b3sum` writes it.
pub fn checklist_line(root: &Hash, path: &str) -> String {
    format!("{}  {path}\n", blake3::Hash::from_bytes(*root).to_hex())
}

/// The runs whose wrapped keys lie on the drives, with the BLAKE3 that most copies have; none if
/// there is no saying which.
pub type KeyFiles = BTreeMap<RunId, Option<Hash>>;

/// The key files of a set. A line in a `.b3` counts as a copy of the file that it names.
pub fn key_files(set: &FoundSet) -> KeyFiles {
    let usual = |run: RunId| {
        let path = key_path(run);
        let mut counts: BTreeMap<Hash, (bool, usize)> = BTreeMap::new();
        for (_, _, bytes) in set.small_copies(&path, MAX_KEY_BYTES) {
            let Ok(bytes) = bytes else { continue };
            let count = counts.entry(*blake3::hash(&bytes).as_bytes()).or_default();
            *count = (true, count.1 + 1);
        }
        for (_, _, bytes) in set.small_copies(&key_line_path(run), MAX_KEY_BYTES) {
            let line = bytes.ok().and_then(|bytes| String::from_utf8(bytes).ok());
            let hex = line.as_deref().and_then(|line| line.get(..64));
            if let Some(root) = hex.and_then(|hex| blake3::Hash::from_hex(hex).ok()) {
                counts.entry(*root.as_bytes()).or_default().1 += 1;
            }
        }
        counts.retain(|_, (is_there, _)| *is_there);
        let most = counts.values().map(|(_, count)| *count).max()?;
        let mut with_most = counts.iter().filter(|(_, (_, count))| *count == most);
        let first = with_most.next().map(|(root, _)| *root);
        first.filter(|_| with_most.next().is_none())
    };
    set.runs().into_iter().map(|run| (run, usual(run))).collect()
}

/// The runs of the records whose wrapped key cannot be read from any drive here: what they packed
/// can be opened by nobody. Each copy is read from the medium.
pub fn keyless(set: &FoundSet, book: &Book, keys: &KeyFiles) -> Vec<RunId> {
    let is_lost = |run: &RunId| {
        let wanted = keys.get(run).copied().flatten();
        let is_it =
            |bytes: Vec<u8>| wanted.is_none_or(|root| blake3::hash(&bytes).as_bytes() == &root);
        let path = key_path(*run);
        let places = [format!("{}/{path}", set.folder), format!("{}/{COPY}/{path}", set.folder)];
        let mut read = set.all_drives().flat_map(|found| {
            let read = |place: &String| {
                found.drive.read_whole(place, MAX_KEY_BYTES, ReadMode::Medium).ok()
            };
            places.iter().filter_map(read).collect::<Vec<_>>()
        });
        !read.any(is_it)
    };
    book.runs().iter().map(|run| run.run).filter(is_lost).collect()
}

/// The path of the line beside a run's wrapped key.
pub fn key_line_path(run: RunId) -> String {
    key_path(run).replace(".age", ".b3")
}

/// Catalog parts and record files in the order in which they were committed: path and BLAKE3.
pub fn committed_files(book: &Book) -> Vec<(String, Hash)> {
    let mut files = Vec::new();
    for (header, root) in book.files() {
        let part = header.part.as_ref();
        files.extend(part.map(|part| (part_path(header.run, part.number), part.root)));
        files.push((record_path(header.run, header.number), *root));
    }
    files
}

/// The papers of which set.txt or the records say what they are, second copies left out: path and
/// BLAKE3, in the checklist's order.
pub fn expected(slot: Slot, book: &Book, text: Option<&SetText>) -> Vec<(String, Hash)> {
    let mut expected: Vec<(String, Hash)> = Vec::new();
    let line = text.and_then(|text| text.slots.iter().find(|s| s.slot == slot));
    expected.extend(line.and_then(|line| Some(("label.json".into(), line.label?))));
    expected.extend(committed_files(book));
    if let Some(text) = text {
        let named: BTreeSet<String> = expected.iter().map(|(path, _)| path.clone()).collect();
        let parts = text.parts.iter().map(|p| (part_path(p.run, p.part), p.root));
        // The index, and parts whose records are missing.
        expected.extend(parts.filter(|(path, _)| !named.contains(path)));
        expected.push(("set.txt".into(), text.root()));
    }
    expected
}

/// Does this paper have a second copy on its drive, once the set of so many drives is closed?
pub fn is_copied(path: &str, drive_count: u16) -> bool {
    let whole_set = path.starts_with("records/") || path.starts_with("catalog/");
    !whole_set || (drive_count as usize) < SECOND_COPY_DRIVES
}

/// The lines of a slot's checklist: its papers, then its shards.
pub fn checklist(
    slot: Slot,
    expected: &[(String, Hash)],
    book: &Book,
    monitor: &dyn Monitor,
) -> Vec<String> {
    let mut lines: Vec<String> =
        expected.iter().map(|(path, root)| checklist_line(root, path)).collect();
    book.walk(monitor, |record| {
        for (index, _) in record.shards.iter().enumerate().filter(|(_, s)| s.slot == slot) {
            let root = root_of(record.shard_hashes(index));
            lines.push(checklist_line(&root, &shard_path(record.id, index as u8)));
        }
        true
    });
    lines
}

/// Has a checklist these lines, in any order?
pub fn has_lines(bytes: &[u8], mut lines: Vec<String>) -> bool {
    lines.sort_unstable();
    let found = String::from_utf8_lossy(bytes);
    let mut found: Vec<&str> = found.split_inclusive('\n').collect();
    found.sort_unstable();
    lines == found
}

/// Checks the papers of a drive. Says how many are damaged or missing; each is a problem.
pub fn check_papers(
    found: &FoundDrive,
    set: &FoundSet,
    book: &Book,
    text: Option<&SetText>,
    keys: &KeyFiles,
    monitor: &dyn Monitor,
) -> u64 {
    let mut papers = Papers { found, set, monitor, bad: 0 };
    let expected = expected(found.label.slot, book, text);
    for (path, root) in &expected {
        papers.check(path, root);
    }
    let copied = |path: &str| text.is_some() && is_copied(path, set.drive_count());
    for (path, root) in expected.iter().filter(|(path, _)| copied(path)) {
        papers.check(&format!("{COPY}/{path}"), root);
    }
    for (run, usual) in keys {
        papers.check_key(&key_path(*run), usual.as_ref(), text.is_some());
    }
    if text.is_some() {
        papers.check_checklist(&expected, book);
    }
    papers.bad
}

struct Papers<'a> {
    found: &'a FoundDrive,
    set: &'a FoundSet,
    monitor: &'a dyn Monitor,
    bad: u64,
}

impl Papers<'_> {
    fn report(&mut self, path: &str, detail: impl std::fmt::Display) {
        self.bad += 1;
        let subject = format!("{}: {}/{path}", self.found.drive.name(), self.set.folder);
        self.monitor.problem(Problem::new(ProblemKind::Damage, subject, detail));
    }

    /// Reads a paper from the medium; none, and reported, if that cannot be done; none if it should
    /// stop.
    fn read(&mut self, path: &str) -> Option<Vec<u8>> {
        if self.monitor.should_stop() {
            return None;
        }
        let place = format!("{}/{path}", self.set.folder);
        match self.found.drive.read_whole(&place, u64::MAX, ReadMode::Medium) {
            Ok(bytes) => Some(bytes),
            Err(e) if e.is_missing() => {
                self.report(path, "is missing");
                None
            }
            Err(e) => {
                self.report(path, chain(&e));
                None
            }
        }
    }

    fn check(&mut self, path: &str, root: &Hash) {
        if let Some(bytes) = self.read(path)
            && blake3::hash(&bytes).as_bytes() != root
        {
            self.report(path, "is not as it was written");
        }
    }

    /// A key file against its `.b3` and what most drives have, and its second copy, once the set
    /// is closed, against the same.
    fn check_key(&mut self, path: &str, usual: Option<&Hash>, closed: bool) {
        let line_path = path.replace(".age", ".b3");
        let (Some(key), Some(line)) = (self.read(path), self.read(&line_path)) else { return };
        let root = blake3::hash(&key);
        if line != checklist_line(root.as_bytes(), path).into_bytes() {
            self.report(path, format!("does not match {line_path}"));
        }
        let Some(usual) = usual else {
            return self.report(path, "copies of this key differ, and nothing says which is right");
        };
        if root.as_bytes() != usual {
            self.report(path, "differs from most copies of this key on the drives");
        }
        if closed {
            self.check(&format!("{COPY}/{path}"), usual);
        }
    }

    /// The checklist's lines, in any order, must be those that set.txt and the records call for.
    fn check_checklist(&mut self, expected: &[(String, Hash)], book: &Book) {
        const PATH: &str = "checklist.b3";
        let Some(bytes) = self.read(PATH) else { return };
        let lines = checklist(self.found.label.slot, expected, book, self.monitor);
        if !has_lines(&bytes, lines) {
            self.report(PATH, "does not say what set.txt and the records say");
        }
    }
}
