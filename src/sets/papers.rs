//! The papers of a drive: every file of a set that is not a shard. What each should be follows from
//! set.txt and the records; the checklist is derived again and compared.

use super::book::Book;
use super::open::{COPY, FoundDrive, FoundSet, MAX_KEY_BYTES, chain};
use crate::drives::ReadMode;
use crate::format::SECOND_COPY_DRIVES;
use crate::format::ids::{RunId, key_path, part_path, record_path, shard_path};
use crate::format::list::Hash;
use crate::format::record::RecordFileHeader;
use crate::format::set::SetText;
use crate::monitor::{Monitor, Problem, ProblemKind};
use crate::stages::hash::root_of;
use std::collections::BTreeMap;

/// One line of a checklist, as `b3sum` writes it.
pub fn checklist_line(root: &Hash, path: &str) -> String {
    format!("{}  {path}\n", blake3::Hash::from_bytes(*root).to_hex())
}

/// The runs whose wrapped keys lie on the drives, with the BLAKE3 that most copies have.
pub type KeyFiles = BTreeMap<RunId, Option<Hash>>;

/// The key files of a set.
pub fn key_files(set: &FoundSet) -> KeyFiles {
    let usual = |run: RunId| {
        let mut counts: BTreeMap<Hash, usize> = BTreeMap::new();
        for (_, _, bytes) in set.copies(&key_path(run), MAX_KEY_BYTES) {
            let Ok(bytes) = bytes else { continue };
            *counts.entry(*blake3::hash(&bytes).as_bytes()).or_default() += 1;
        }
        counts.into_iter().max_by_key(|(_, count)| *count).map(|(root, _)| root)
    };
    set.runs().into_iter().map(|run| (run, usual(run))).collect()
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
    let expected = expected(found, book, text);
    for (path, root) in &expected {
        papers.check(path, root);
    }
    let few = (set.drive_count() as usize) < SECOND_COPY_DRIVES;
    let copied = |path: &str| {
        let whole_set = path.starts_with("records/") || path.starts_with("catalog/");
        text.is_some() && (few || !whole_set)
    };
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

/// The papers of which set.txt or the records say what they are: path and BLAKE3.
fn expected(found: &FoundDrive, book: &Book, text: Option<&SetText>) -> Vec<(String, Hash)> {
    let mut expected: Vec<(String, Hash)> = Vec::new();
    if let Some(text) = text {
        expected.push(("set.txt".into(), text.root()));
        let slot = text.slots.iter().find(|s| s.slot == found.label.slot);
        expected.extend(slot.map(|s| ("label.json".into(), s.label)));
        expected.extend(text.parts.iter().map(|p| (part_path(p.run, p.part), p.root)));
    } else {
        expected.extend(book.parts().map(|(run, p)| (part_path(run, p.number), p.root)));
    }
    let record_file = |(header, root): (&RecordFileHeader, &Hash)| {
        (record_path(header.run, header.number), *root)
    };
    expected.extend(book.files().map(record_file));
    expected
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

    /// Reads a paper from the medium; none, and reported, if that cannot be done.
    fn read(&mut self, path: &str) -> Option<Vec<u8>> {
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
        let usual = usual.unwrap_or(root.as_bytes());
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
        let mut lines: Vec<String> =
            expected.iter().map(|(path, root)| checklist_line(root, path)).collect();
        let slot = self.found.label.slot;
        book.walk(self.monitor, |record| {
            for (index, _) in record.shards.iter().enumerate().filter(|(_, s)| s.slot == slot) {
                let root = root_of(record.shard_hashes(index));
                lines.push(checklist_line(&root, &shard_path(record.id, index as u8)));
            }
            true
        });
        lines.sort_unstable();
        let found = String::from_utf8_lossy(&bytes);
        let mut found: Vec<&str> = found.split_inclusive('\n').collect();
        found.sort_unstable();
        if lines != found {
            self.report(PATH, "does not say what set.txt and the records say");
        }
    }
}
