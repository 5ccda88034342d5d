//! Files that run on from one set into the next.
//!
//! - Enters: the part of such a file that one set holds, written into the file that all its sets
//!   share, and verified.
//! - Leaves: whether all parts are there, and then the root of the whole.
//! - Always holds: (1) a mark is saved after the bytes that it tells of are on disk; (2) sets may be
//!   restored in any order, by several machines at once: whoever sees all marks completes the file;
//!   (3) a mark is small, whatever the size of its part; (4) a hole
//!   between the parts of two sets belongs to the later one.

use super::ledger::{Fate, Line};
use crate::destination::{Destination, DestinationError};
use crate::format::ids::SetNumber;
use crate::format::list::{self, End, Entry, Hash, Item, State};
use crate::stages::hash::{Merge, Subtree};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What one set holds of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
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
pub enum Spanning {
    /// other sets hold the rest
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

fn mark_name(name: &str, set: SetNumber) -> String {
    format!("mark-{name}-{set}")
}

/// What one set found of a file that crosses sets.
pub struct Found<'a> {
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

impl Mark {
    /// Of what a set found.
    pub fn new(entry: &Entry, start: u64, found: &Found) -> Self {
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

/// The files that cross sets and are not complete; `is_settled` says of a set that its drives gave all
/// that they have.
pub fn unfinished(
    destination: &Destination,
    is_settled: &dyn Fn(u32) -> bool,
) -> Result<Vec<Unfinished>, DestinationError> {
    let mut files: BTreeMap<String, BTreeMap<u32, Mark>> = BTreeMap::new();
    for state in destination.state_names("mark-")? {
        let parts = state.strip_prefix("mark-").and_then(|rest| rest.split_once('-'));
        let Some((name, Ok(set))) = parts.map(|(name, set)| (name, set.parse())) else { continue };
        if let Some(mark) = destination.load_state(&state)?.and_then(|bytes| from_bytes(&bytes)) {
            files.entry(name.into()).or_default().insert(set, mark);
        }
    }
    let one = |(name, marks): (String, BTreeMap<u32, Mark>)| {
        let is_open = matches!(judge(marks.values().cloned().collect()), Spanning::Waits);
        let entry = marks.values().find_map(|mark| decoded(&mark.entry)).filter(|_| is_open)?;
        Some(gaps(name, entry, &marks, is_settled))
    };
    Ok(files.into_iter().filter_map(one).collect())
}

/// What lacks between the parts of a file, and in them. Between two parts any set from the one to the
/// other may have it, these two as well: while lists of theirs wait, nobody knows where a part begins.
fn gaps(
    name: String,
    entry: Entry,
    marks: &BTreeMap<u32, Mark>,
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
    for state in destination.state_names(&format!("mark-{}-", file.name))? {
        let mark = destination.load_state(&state)?.and_then(|bytes| from_bytes(&bytes));
        if let Some(mut mark) = mark {
            mark.left_as = Some(left_as.to_vec());
            destination.save_state(&state, &to_bytes(&mark))?;
        }
    }
    Ok(())
}

fn encoded(entry: &Entry) -> Vec<u8> {
    let mut bytes = Vec::new();
    Item::Entry { entry: entry.clone(), continued: false }.encode(&mut bytes);
    bytes
}

fn decoded(bytes: &[u8]) -> Option<Entry> {
    match list::decode(bytes).ok()?.pop()? {
        Item::Entry { entry, .. } => Some(entry),
        _ => None,
    }
}

/// Does this set's part of a file stand already?
pub fn is_marked(destination: &Destination, name: &str, set: SetNumber) -> bool {
    let mark = destination.load_state(&mark_name(name, set)).ok().flatten();
    mark.and_then(|bytes| from_bytes(&bytes)).is_some_and(|mark| mark.is_whole())
}

/// Saves a mark, and says what is known of the file now.
pub fn settle(
    destination: &Destination,
    name: &str,
    set: SetNumber,
    mark: &Mark,
) -> Result<Spanning, DestinationError> {
    destination.sync()?;
    destination.save_state(&mark_name(name, set), &to_bytes(mark))?;
    Ok(judge(marks(destination, name)?))
}

/// Removes the marks of a file that is complete.
pub fn forget(destination: &Destination, name: &str) -> Result<(), DestinationError> {
    for state in destination.state_names(&format!("mark-{name}-"))? {
        destination.remove_state(&state)?;
    }
    Ok(())
}

/// The name of the state that says that the destination refused a file of several sets.
fn refusal_name(entry: &Entry) -> String {
    format!("{REFUSED}{}", shared_name(entry))
}

/// How those names begin.
const REFUSED: &str = "refused-";

/// Did the destination refuse this file when all of its parts were there?
pub fn is_refused(destination: &Destination, entry: &Entry) -> bool {
    destination.load_state(&refusal_name(entry)).is_ok_and(|state| state.is_some())
}

/// Keeps why the destination refused a file: whichever set tries it again, it is one file.
pub fn keep_refusal(
    destination: &Destination,
    entry: &Entry,
    reason: &str,
) -> Result<(), DestinationError> {
    let line = Line::new(Fate::Refused, entry.shown(), reason);
    destination.save_state(&refusal_name(entry), &serde_json::to_vec(&line).unwrap_or_default())
}

/// The destination takes it now.
pub fn forget_refusal(destination: &Destination, entry: &Entry) -> Result<(), DestinationError> {
    destination.remove_state(&refusal_name(entry))
}

/// The files of several sets that the destination refused.
pub fn refused(destination: &Destination) -> Result<Vec<Line>, DestinationError> {
    let mut refused = Vec::new();
    for name in destination.state_names(REFUSED)? {
        let state = destination.load_state(&name)?;
        refused.extend(state.and_then(|bytes| serde_json::from_slice(&bytes).ok()));
    }
    Ok(refused)
}

/// Removes what a set noted of its files, for a walk that may see more of them.
pub fn forget_set(destination: &Destination, set: SetNumber) -> Result<(), DestinationError> {
    let of_set = format!("-{set}");
    for state in destination.state_names("mark-")?.iter().filter(|name| name.ends_with(&of_set)) {
        destination.remove_state(state)?;
    }
    Ok(())
}

/// The files of which this set holds a part and others are awaited.
pub fn waiting(destination: &Destination, set: SetNumber) -> Result<Vec<Mark>, DestinationError> {
    let mut waiting = Vec::new();
    for state in destination.state_names("mark-")? {
        let name = state.strip_prefix("mark-").and_then(|rest| rest.split_once('-'));
        let Some((name, _)) = name.filter(|(_, number)| *number == set.to_string()) else {
            continue;
        };
        let all = marks(destination, name)?;
        let own = destination.load_state(&state)?.and_then(|bytes| from_bytes(&bytes));
        if let Some(own) = own
            && matches!(judge(all), Spanning::Waits)
        {
            waiting.push(own);
        }
    }
    Ok(waiting)
}

fn marks(destination: &Destination, name: &str) -> Result<Vec<Mark>, DestinationError> {
    let mut marks = Vec::new();
    for state in destination.state_names(&format!("mark-{name}-"))? {
        // One that another machine has just removed is none.
        marks.extend(destination.load_state(&state)?.and_then(|bytes| from_bytes(&bytes)));
    }
    Ok(marks)
}

fn to_bytes(mark: &Mark) -> Vec<u8> {
    serde_json::to_vec(mark).expect("a mark is bytes and numbers, which always have a JSON form")
}

/// None for what is damaged: that set's part is restored again.
fn from_bytes(bytes: &[u8]) -> Option<Mark> {
    serde_json::from_slice(bytes).ok()
}

fn judge(mut marks: Vec<Mark>) -> Spanning {
    if marks.iter().any(|mark| mark.end.is_some_and(|end| end.void)) {
        return Spanning::Void;
    }
    if !marks.iter().all(Mark::is_whole) {
        return Spanning::Waits;
    }
    marks.sort_by_key(|mark| mark.bytes);
    let Some(end) = marks.last().and_then(|mark| mark.end) else { return Spanning::Waits };
    let mut merge = Merge::default();
    let (mut hashed, mut covered) = (true, 0);
    for mark in &marks {
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

    fn mark(data: &[u8], pieces: std::ops::Range<usize>, end: Option<State>) -> Mark {
        let mut merge = Merge::from(pieces.start as u64);
        for number in pieces.clone() {
            let at = number * C;
            merge.push(piece(&data[at..data.len().min(at + C)], at as u64, false));
        }
        let root = Some(*blake3::hash(data).as_bytes());
        let end = end.map(|state| End { state, root, size: data.len() as u64 });
        let bytes = ((pieces.start * C) as u64, data.len().min(pieces.end * C) as u64);
        let found = Found { merge: &merge, hashed: true, bytes, missing: &[], lost: false, end };
        Mark::new(&Entry::new("f", Kind::File), pieces.start as u64, &found)
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
            let some = some.map(|(_, mark)| mark.clone()).rev().collect();
            assert!(matches!(judge(some), Spanning::Waits), "{missing}");
        }
        let Spanning::Whole { root, end } = judge(parts.iter().rev().cloned().collect()) else {
            panic!("whole")
        };
        assert_eq!((root, end.size), (end.root, data.len() as u64));
        let void = mark(&data, 3..3, Some(State::Void));
        assert!(matches!(judge(vec![parts[0].clone(), void]), Spanning::Void));
    }
}
