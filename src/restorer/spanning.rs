//! Spanning files: those that continue from one set into the next.
//!
//! - Enters: the part of such a file that one set holds, written into the file that all its sets
//!   share, and verified.
//! - Leaves: whether all parts are there, and then the root of the whole.
//! - Always holds: (1) a mark is saved after the bytes that it stands for are on disk; (2) sets may
//!   be restored in any order, by several machines at once: whoever sees all marks completes the
//!   file; (3) a mark is small, whatever the size of its part; (4) a hole between the parts of two
//!   sets belongs to the later one.

use crate::destination::{Destination, DestinationError};
use crate::format::ids::SetNumber;
use crate::format::list::{End, Entry, Hash, State};
use crate::format::{list_reader, list_writer};
use crate::stages::hash::{Merge, Subtree};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What one set holds of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartMark {
    path: Vec<u8>,
    /// the entry, as lists have it
    #[serde(default)]
    entry: Vec<u8>,
    /// the first piece, and the one after the last
    pieces: (u64, u64),
    /// the bytes that this set has, or should have
    bytes: (u64, u64),
    /// their values, joined; none if bytes are missing
    subtrees: Vec<Subtree>,
    /// false if zeros of holes are not among them
    hashed: bool,
    end: Option<MarkedEnd>,
    /// of its bytes those that are not there
    #[serde(default)]
    missing: Vec<(u64, u64)>,
    /// the drives that are not here would not have all of these either
    #[serde(default)]
    lost: bool,
    /// what there was of the file was given this name, and is no longer here
    #[serde(default)]
    left_as: Option<Vec<u8>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct MarkedEnd {
    void: bool,
    changed: bool,
    root: Option<Hash>,
    size: u64,
}

/// What is known of a file once a mark is saved.
#[derive(Default)]
pub enum Spanning {
    /// other sets hold the rest
    #[default]
    Waits,
    /// all of it is there
    Whole {
        /// the root of all parts; none if it has to be read again for that
        root: Option<Hash>,
        /// what the last set says of it
        end: End,
    },
    /// another set says that it is packed again, whole
    Void,
}

/// The name of the file that the sets share: the same for the same entry.
pub fn shared_name(entry: &Entry) -> String {
    blake3::hash(&encoded(entry)).to_hex()[..32].into()
}

/// How the marks are called: `mark-NAME-SET`.
const MARK: &str = "mark-";

fn mark_name(entry: &Entry, set: SetNumber) -> String {
    format!("{MARK}{}-{set}", shared_name(entry))
}

/// A mark that was saved; none if it is damaged, so that its set's part is restored again, or if
/// another machine has just removed it.
fn load(destination: &Destination, state: &str) -> Result<Option<PartMark>, DestinationError> {
    let bytes = destination.load_state(state)?;
    Ok(bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
}

fn save(destination: &Destination, state: &str, mark: &PartMark) -> Result<(), DestinationError> {
    let bytes = serde_json::to_vec(mark)
        .expect("a mark is bytes and numbers, which always have a JSON form");
    destination.save_state(state, &bytes)
}

/// The marks of one shared name, or all of them: by this name and set.
fn marks(
    destination: &Destination,
    name: &str,
) -> Result<BTreeMap<String, BTreeMap<u32, PartMark>>, DestinationError> {
    let mut files: BTreeMap<String, BTreeMap<u32, PartMark>> = BTreeMap::new();
    for state in destination.state_names(&format!("{MARK}{name}"))? {
        let parts = state.strip_prefix(MARK).and_then(|rest| rest.split_once('-'));
        let Some((name, Ok(set))) = parts.map(|(name, set)| (name, set.parse())) else { continue };
        if let Some(mark) = load(destination, &state)? {
            files.entry(name.into()).or_default().insert(set, mark);
        }
    }
    Ok(files)
}

/// What one set found of a spanning file.
pub struct FoundPart<'a> {
    /// its values, from its first piece on
    pub merge: &'a Merge,
    /// they are the values of all its bytes
    pub hashed: bool,
    /// the bytes that it has, or should have
    pub bytes: (u64, u64),
    /// of these those that are not there
    pub missing: &'a [(u64, u64)],
    /// the drives that are not here would not have all of these either
    pub lost: bool,
    /// what it says of the file's end
    pub end: Option<End>,
}

impl PartMark {
    /// Of what a set found.
    pub fn new(entry: &Entry, start: u64, found: &FoundPart) -> Self {
        let end = found.end.map(|end| MarkedEnd {
            void: end.state == State::Void,
            changed: end.state == State::Changed,
            root: end.root,
            size: end.size,
        });
        let whole = found.missing.is_empty();
        let merged = if whole { found.merge.end() } else { start };
        Self {
            path: entry.path.clone(),
            entry: encoded(entry),
            pieces: (start, merged),
            bytes: found.bytes,
            subtrees: if whole { found.merge.subtrees().collect() } else { Vec::new() },
            hashed: found.hashed,
            end,
            missing: found.missing.to_vec(),
            lost: found.lost,
            left_as: None,
        }
    }

    /// The file's path.
    pub fn path(&self) -> &[u8] {
        &self.path
    }

    fn is_whole(&self) -> bool {
        self.missing.is_empty() && self.left_as.is_none()
    }
}

/// A file of which parts are missing.
pub struct Unfinished {
    /// the file that its sets share
    pub name: String,
    pub entry: Entry,
    /// the bytes that are not there
    pub missing: Vec<(u64, u64)>,
    /// some of them no drive has
    pub lost: bool,
    /// some of them may still come
    pub waits: bool,
    /// what there was of it was given this name
    pub left_as: Option<Vec<u8>>,
}

/// The spanning files and are not complete; `is_settled` says of a set that its drives gave all
/// that they have.
pub fn unfinished(
    destination: &Destination,
    is_settled: &dyn Fn(u32) -> bool,
) -> Result<Vec<Unfinished>, DestinationError> {
    let one = |(name, marks): (String, BTreeMap<u32, PartMark>)| {
        let is_open = matches!(judge(marks.values()), Spanning::Waits);
        let entry = marks.values().find_map(|mark| decoded(&mark.entry)).filter(|_| is_open)?;
        Some(gaps(name, entry, &marks, is_settled))
    };
    Ok(marks(destination, "")?.into_iter().filter_map(one).collect())
}

/// What is missing between the parts of a file, and in them. Between two parts any set from the one
/// to the other may have it, these two as well: while lists of theirs wait, nobody knows where a
/// part begins.
fn gaps(
    name: String,
    entry: Entry,
    marks: &BTreeMap<u32, PartMark>,
    is_settled: &dyn Fn(u32) -> bool,
) -> Unfinished {
    let left_as = marks.values().find_map(|mark| mark.left_as.clone());
    let mut found =
        Unfinished { name, entry, missing: Vec::new(), lost: false, waits: false, left_as };
    let mut gap = |from: u64, to: u64, settled: bool| {
        if from < to {
            found.missing.push((from, to - from));
            found.lost |= settled;
            found.waits |= !settled;
        }
    };
    let (mut at, mut before) = (0, 0);
    for (set, mark) in marks {
        gap(at, mark.bytes.0, (before.max(1)..=*set).all(is_settled));
        for (offset, len) in &mark.missing {
            gap(*offset, offset + len, mark.lost);
        }
        (at, before) = (mark.bytes.1.max(at), *set);
    }
    if !marks.values().any(|mark| mark.end.is_some()) {
        gap(at, found.entry.size.max(at + 1), (before.max(1)..=before + 1).all(is_settled));
    }
    found
}

/// Notes that what there was of a file was given a name: its parts are no longer here.
pub fn leave(
    destination: &Destination,
    file: &Unfinished,
    left_as: &[u8],
) -> Result<(), DestinationError> {
    for state in destination.state_names(&format!("{MARK}{}-", file.name))? {
        if let Some(mut mark) = load(destination, &state)? {
            mark.left_as = Some(left_as.to_vec());
            save(destination, &state, &mark)?;
        }
    }
    Ok(())
}

fn encoded(entry: &Entry) -> Vec<u8> {
    let mut bytes = Vec::new();
    list_writer::encode_alone(entry, &mut bytes);
    bytes
}

fn decoded(bytes: &[u8]) -> Option<Entry> {
    list_reader::decode(bytes).ok()?.pop()?.into_entry()
}

/// Does this set's part of a file stand already?
pub fn is_marked(
    destination: &Destination,
    entry: &Entry,
    set: SetNumber,
) -> Result<bool, DestinationError> {
    Ok(load(destination, &mark_name(entry, set))?.is_some_and(|mark| mark.is_whole()))
}

/// Saves a mark, and returns what is known of the file now.
pub fn settle(
    destination: &Destination,
    entry: &Entry,
    set: SetNumber,
    mark: &PartMark,
) -> Result<Spanning, DestinationError> {
    destination.sync()?;
    save(destination, &mark_name(entry, set), mark)?;
    let marks = marks(destination, &format!("{}-", shared_name(entry)))?;
    Ok(judge(marks.values().flat_map(BTreeMap::values)))
}

/// Removes the marks of a file that is complete.
pub fn forget(destination: &Destination, entry: &Entry) -> Result<(), DestinationError> {
    remove(destination, |name| name.starts_with(&format!("{MARK}{}-", shared_name(entry))))
}

/// Removes what a set noted of its files, for a walk that may see more of them.
pub fn forget_set(destination: &Destination, set: SetNumber) -> Result<(), DestinationError> {
    remove(destination, |name| name.ends_with(&format!("-{set}")))
}

fn remove(
    destination: &Destination,
    is_meant: impl Fn(&str) -> bool,
) -> Result<(), DestinationError> {
    let names = destination.state_names(MARK)?;
    names.iter().filter(|name| is_meant(name)).try_for_each(|name| destination.remove_state(name))
}

/// The files of which this set holds a part and others are awaited.
pub fn waiting(
    destination: &Destination,
    set: SetNumber,
) -> Result<Vec<PartMark>, DestinationError> {
    let open = |mut marks: BTreeMap<u32, PartMark>| {
        let waits = matches!(judge(marks.values()), Spanning::Waits);
        marks.remove(&set.0).filter(|_| waits)
    };
    Ok(marks(destination, "")?.into_values().filter_map(open).collect())
}

fn judge<'a>(marks: impl Iterator<Item = &'a PartMark>) -> Spanning {
    let mut marks: Vec<&PartMark> = marks.collect();
    if marks.iter().any(|mark| mark.end.is_some_and(|end| end.void)) {
        return Spanning::Void;
    }
    if !marks.iter().all(|mark| mark.is_whole()) {
        return Spanning::Waits;
    }
    marks.sort_by_key(|mark| mark.bytes);
    let Some(end) = marks.last().and_then(|mark| mark.end) else { return Spanning::Waits };
    let mut merge = Merge::default();
    let (mut hashed, mut covered) = (true, 0);
    for mark in marks {
        // By bytes: of a file with long holes the zeros are no pieces.
        if mark.bytes.0 > covered {
            return Spanning::Waits;
        }
        covered = covered.max(mark.bytes.1);
        hashed &= mark.hashed && mark.pieces.0 == merge.end();
        mark.subtrees.iter().for_each(|subtree| merge.push_subtree(*subtree));
    }
    let state = if end.changed { State::Changed } else { State::Whole };
    let root = hashed.then(|| merge.root());
    Spanning::Whole { root, end: End { state, root: end.root, size: end.size } }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::list::Kind;
    use crate::stages::hash::piece;

    const C: usize = 1024;

    fn mark(data: &[u8], pieces: std::ops::Range<usize>, end: Option<State>) -> PartMark {
        let mut merge = Merge::from(pieces.start as u64);
        for number in pieces.clone() {
            let at = number * C;
            merge.push(piece(&data[at..data.len().min(at + C)], at as u64, false));
        }
        let root = Some(*blake3::hash(data).as_bytes());
        let end = end.map(|state| End { state, root, size: data.len() as u64 });
        let bytes = ((pieces.start * C) as u64, data.len().min(pieces.end * C) as u64);
        let found =
            FoundPart { merge: &merge, hashed: true, bytes, missing: &[], lost: false, end };
        PartMark::new(&Entry::new("f", Kind::File), pieces.start as u64, &found)
    }

    #[test]
    fn the_last_part_to_come_completes_the_file() {
        let data: Vec<u8> = (0..7 * C + 3).map(|i| (i % 251) as u8).collect();
        let parts = [
            mark(&data, 0..3, None),
            mark(&data, 3..5, None),
            mark(&data, 5..8, Some(State::Whole)),
        ];
        for missing in 0..3 {
            let some = parts.iter().enumerate().filter(|(i, _)| *i != missing);
            let some = some.map(|(_, mark)| mark).rev();
            assert!(matches!(judge(some), Spanning::Waits), "{missing}");
        }
        let Spanning::Whole { root, end } = judge(parts.iter().rev()) else { panic!("whole") };
        assert_eq!((root, end.size), (end.root, data.len() as u64));
        let void = mark(&data, 3..3, Some(State::Void));
        assert!(matches!(judge([&parts[0], &void].into_iter()), Spanning::Void));
    }
}
