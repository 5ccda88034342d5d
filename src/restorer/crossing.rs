//! Files that run on from one set into the next.
//!
//! - Enters: the part of such a file that one set holds, written into the file that all its sets
//!   share, and verified.
//! - Leaves: whether all parts are there, and then the root of the whole.
//! - Always holds: (1) a mark is saved after the bytes that it tells of are on disk; (2) sets may be
//!   restored in any order, by several machines at once: whoever sees all marks completes the file;
//!   (3) a mark is small, whatever the size of its part.

use crate::destination::{Destination, DestinationError};
use crate::format::ids::SetNumber;
use crate::format::list::{End, Entry, Hash, Item, State};
use crate::stages::hash::{Merge, Subtree};
use serde::{Deserialize, Serialize};

/// What one set holds of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    path: Vec<u8>,
    /// the first piece, and the one after the last
    pieces: (u64, u64),
    /// their values, joined
    subtrees: Vec<Subtree>,
    /// false if zeros of holes are not among them
    hashed: bool,
    end: Option<MarkedEnd>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct MarkedEnd {
    void: bool,
    changed: bool,
    root: Option<Hash>,
    size: u64,
}

/// What is known of a file once a mark is saved.
pub enum Crossing {
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
    let mut bytes = Vec::new();
    Item::Entry { entry: entry.clone(), continued: false }.encode(&mut bytes);
    blake3::hash(&bytes).to_hex()[..32].into()
}

fn mark_name(name: &str, set: SetNumber) -> String {
    format!("mark-{name}-{set}")
}

impl Mark {
    /// Of the pieces that were joined.
    pub fn new(entry: &Entry, merge: &Merge, start: u64, hashed: bool, end: Option<End>) -> Self {
        let end = end.map(|end| MarkedEnd {
            void: end.state == State::Void,
            changed: end.state == State::Changed,
            root: end.root,
            size: end.size,
        });
        let path = entry.path.clone();
        Self {
            path,
            pieces: (start, merge.end()),
            subtrees: merge.subtrees().collect(),
            hashed,
            end,
        }
    }

    /// The file's path.
    pub fn path(&self) -> &[u8] {
        &self.path
    }
}

/// Does this set's part of a file stand already?
pub fn is_marked(destination: &Destination, name: &str, set: SetNumber) -> bool {
    matches!(destination.load_state(&mark_name(name, set)), Ok(Some(_)))
}

/// Saves a mark, and says what is known of the file now.
pub fn settle(
    destination: &Destination,
    name: &str,
    set: SetNumber,
    mark: &Mark,
) -> Result<Crossing, DestinationError> {
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
            && matches!(judge(all), Crossing::Waits)
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

fn judge(mut marks: Vec<Mark>) -> Crossing {
    if marks.iter().any(|mark| mark.end.is_some_and(|end| end.void)) {
        return Crossing::Void;
    }
    marks.sort_by_key(|mark| mark.pieces);
    let Some(end) = marks.last().and_then(|mark| mark.end) else { return Crossing::Waits };
    let mut merge = Merge::default();
    let mut hashed = true;
    for mark in &marks {
        if mark.pieces.0 > merge.end() {
            return Crossing::Waits;
        }
        hashed &= mark.hashed && mark.pieces.0 == merge.end();
        mark.subtrees.iter().for_each(|subtree| merge.push_subtree(*subtree));
    }
    let state = if end.changed { State::Changed } else { State::Whole };
    let root = hashed.then(|| merge.root());
    Crossing::Whole { root, end: End { state, root: end.root, size: end.size } }
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
        Mark::new(&Entry::new("f", Kind::File), &merge, pieces.start as u64, true, end)
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
            assert!(matches!(judge(some), Crossing::Waits), "{missing}");
        }
        let Crossing::Whole { root, end } = judge(parts.iter().rev().cloned().collect()) else {
            panic!("whole")
        };
        assert_eq!((root, end.size), (end.root, data.len() as u64));
        let void = mark(&data, 3..3, Some(State::Void));
        assert!(matches!(judge(vec![parts[0].clone(), void]), Crossing::Void));
    }
}
