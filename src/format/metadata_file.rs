//! The table of the metadata files of a set: every file in its folder on a drive but the shards.
//!
//! A row says of one kind where it lies, how long it may be, when pack writes it, whether a closed
//! set has a second copy of it, and whether the checklist names it. Packing, closing, verifying,
//! repairing and the cleanup before a resume read these rows; what the bytes of a file should be,
//! and where they come from, is told by `metadata_files`. What explains a drive to people
//! (README.txt and its like) lies beside the sets and is no part of any.

use super::key::MAX_KEY_BYTES;
use super::label::MAX_LABEL_BYTES;
use super::layout::{COPY, SECOND_COPY_DRIVES};
use super::record::MAX_RECORD_FILE_BYTES;
use super::set::MAX_SET_BYTES;

/// What a metadata file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetadataKind {
    Label,
    /// a run's wrapped key
    Key,
    /// the checklist's line of a wrapped key, beside it
    KeyLine,
    CatalogPart,
    RecordFile,
    SetText,
    Checklist,
}

/// When pack writes a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// before the first shard of a run
    First,
    /// when stripes are committed
    WithStripes,
    /// when the set is closed
    AtClose,
}

/// Whether a closed set has a second copy of a file, far from the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SecondCopy {
    Never,
    Always,
    /// on sets of fewer drives than [`SECOND_COPY_DRIVES`]: elsewhere other drives have it
    FewDrives,
}

/// A row of the table.
struct Row {
    kind: MetadataKind,
    /// how its path within the set's folder begins, and ends; the whole path if it ends in nothing
    path: (&'static str, &'static str),
    most_bytes: u64,
    written: Written,
    second_copy: SecondCopy,
    is_listed: bool,
}

/// The longest catalog part: its blocks are less than this.
const MAX_CATALOG_BYTES: u64 = 1 << 32;
/// The longest line beside a key.
const MAX_LINE_BYTES: u64 = 4096;
/// The longest checklist that is looked into.
const MAX_CHECKLIST_BYTES: u64 = 1 << 30;

#[rustfmt::skip]
const TABLE: [Row; 7] = {
    use MetadataKind::{CatalogPart, Checklist, Key, KeyLine, Label, RecordFile, SetText};
    use SecondCopy::{Always, FewDrives, Never};
    use Written::{AtClose, First, WithStripes};
    [
        Row { kind: Label,       path: ("label.json", ""),    most_bytes: MAX_LABEL_BYTES,       written: First,       second_copy: Always,    is_listed: true },
        Row { kind: Key,         path: ("key-", ".age"),      most_bytes: MAX_KEY_BYTES,         written: First,       second_copy: Always,    is_listed: false },
        Row { kind: KeyLine,     path: ("key-", ".b3"),       most_bytes: MAX_LINE_BYTES,        written: First,       second_copy: Never,     is_listed: false },
        Row { kind: CatalogPart, path: ("catalog/", ".cat"),  most_bytes: MAX_CATALOG_BYTES,     written: WithStripes, second_copy: FewDrives, is_listed: true },
        Row { kind: RecordFile,  path: ("records/", ".rec"),  most_bytes: MAX_RECORD_FILE_BYTES, written: WithStripes, second_copy: FewDrives, is_listed: true },
        Row { kind: SetText,     path: ("set.txt", ""),       most_bytes: MAX_SET_BYTES,         written: AtClose,     second_copy: Always,    is_listed: true },
        Row { kind: Checklist,   path: ("checklist.b3", ""),  most_bytes: MAX_CHECKLIST_BYTES,   written: AtClose,     second_copy: Never,     is_listed: false },
    ]
};

impl Row {
    fn is_at(&self, path: &str) -> bool {
        let (start, end) = self.path;
        let inner = path.strip_prefix(start).and_then(|rest| rest.strip_suffix(end));
        inner.is_some_and(|inner| inner.is_empty() == end.is_empty() && !inner.contains('/'))
    }
}

impl MetadataKind {
    /// The kind of the file at this path within the set's folder.
    pub fn at(path: &str) -> Option<Self> {
        TABLE.iter().find(|row| row.is_at(path)).map(|row| row.kind)
    }

    fn row(self) -> &'static Row {
        TABLE.iter().find(|row| row.kind == self).expect("each kind has a row")
    }

    pub fn written(self) -> Written {
        self.row().written
    }

    /// Does the checklist name it?
    pub fn is_listed(self) -> bool {
        self.row().is_listed
    }

    /// Has a closed set of so many drives a second copy of it on each?
    pub fn has_second_copy(self, drive_count: usize) -> bool {
        match self.row().second_copy {
            SecondCopy::Never => false,
            SecondCopy::Always => true,
            SecondCopy::FewDrives => drive_count < SECOND_COPY_DRIVES,
        }
    }
}

/// The path of the second copy of a file.
pub fn second_copy(path: &str) -> String {
    format!("{COPY}/{path}")
}

/// The longest that a file at this path, or its second copy, may be.
pub fn most_bytes(path: &str) -> u64 {
    let first = path.strip_prefix(COPY).and_then(|rest| rest.strip_prefix('/')).unwrap_or(path);
    MetadataKind::at(first).map_or(MAX_KEY_BYTES, |kind| kind.row().most_bytes)
}

/// The paths of the files that have the same name on every drive of a set, with their second
/// copies, as far as they are written then.
pub fn fixed_paths(written: &[Written]) -> impl Iterator<Item = String> {
    let is_fixed = |row: &&Row| row.path.1.is_empty() && written.contains(&row.written);
    TABLE.iter().filter(is_fixed).flat_map(|row| {
        let path = row.path.0.to_owned();
        let copy = (row.second_copy != SecondCopy::Never).then(|| second_copy(&path));
        std::iter::once(path).chain(copy)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::ids::{RunId, key_path, part_path, record_path};

    #[test]
    fn a_path_tells_the_kind_of_its_file() {
        let run = RunId(0xab);
        let paths = [
            "label.json".to_owned(),
            key_path(run),
            key_path(run).replace(".age", ".b3"),
            part_path(run, 3),
            record_path(run, 7),
            "set.txt".into(),
            "checklist.b3".into(),
        ];
        let kinds = TABLE.iter().map(|row| Some(row.kind)).collect::<Vec<_>>();
        assert_eq!(paths.iter().map(|path| MetadataKind::at(path)).collect::<Vec<_>>(), kinds);
        for other in ["", "key-", "label.json2", "records/x", "records/a/b.rec", "copy/set.txt"] {
            assert_eq!(MetadataKind::at(other), None, "{other}");
        }
    }

    #[test]
    fn small_sets_have_second_copies_of_records() {
        assert!(
            MetadataKind::RecordFile.has_second_copy(2)
                && !MetadataKind::RecordFile.has_second_copy(3)
        );
        assert!(MetadataKind::Key.has_second_copy(3) && !MetadataKind::KeyLine.has_second_copy(1));
        let fixed: Vec<String> = fixed_paths(&[Written::First, Written::AtClose]).collect();
        let all = ["label.json", "copy/label.json", "set.txt", "copy/set.txt", "checklist.b3"];
        assert_eq!(fixed, all);
    }
}
