//! A larger file in progress, followed extent by extent, in order, to its root and to what is
//! missing of it.

use super::decode::Absent;
use super::spanning::{FoundPart, PartMark};
use super::write::WriteTarget;
use crate::destination::DestinationError;
use crate::format::list::{End, Hash, shown_path};
use crate::stages::hash::{Merge, piece};
use std::sync::Arc;

/// A larger file in progress, as the serial part sees it.
pub struct FollowedFile {
    pub target: Arc<WriteTarget>,
    /// C of its set; 0 where no label could be read
    chunk_bytes: u64,
    pub merge: Merge,
    /// where this set's part of it begins
    pub begins: u64,
    /// where the next extent should begin
    pub next: u64,
    /// runs of bytes that are not there
    pub missing: Vec<(u64, u64)>,
    pub absent: Option<Absent>,
    /// the destination does not take it
    pub refused: Option<DestinationError>,
    /// the zeros of its holes were too many to be hashed on the way
    unhashed: bool,
}

impl FollowedFile {
    /// Before its first extent.
    pub fn new(target: Arc<WriteTarget>, chunk_bytes: u64) -> Self {
        Self {
            target,
            chunk_bytes,
            merge: Merge::default(),
            begins: 0,
            next: 0,
            missing: Vec::new(),
            absent: None,
            refused: None,
            unhashed: false,
        }
    }

    /// The first extent that this set has; what lies before it lies in earlier sets, but for a hole
    /// right before it: that has no extent, so it counts to this set.
    pub fn begin_at(&mut self, offset: u64) {
        let piece = self.chunk_bytes.max(1);
        if self.next == 0 && offset > 0 {
            let hole = self.target.entry.hole_at(offset - 1);
            let start = hole.map_or(offset, |hole| {
                hole.start.checked_next_multiple_of(piece).map_or(offset, |start| start.min(offset))
            });
            (self.begins, self.next) = (start, start);
            self.merge = Merge::from(start / piece);
        }
    }

    /// Has this set nothing of the file but the hole in which it ends, and an earlier set its
    /// beginning?
    pub fn ends_in_hole(&self, size: u64) -> bool {
        let hole = self.target.entry.hole_at(size.saturating_sub(1));
        self.next == 0 && hole.is_some_and(|hole| hole.start > 0)
    }

    fn is_hole(&self, from: u64, to: u64) -> bool {
        self.target.entry.hole_at(from).is_some_and(|hole| hole.end >= to)
    }

    /// Moves on to `offset`: what lies between is a hole, or missing.
    pub fn skip_to(&mut self, offset: u64) {
        if offset <= self.next {
            return;
        }
        let (from, to) = (self.next, offset);
        self.next = offset;
        if !self.is_hole(from, to) {
            self.miss(from, to - from);
            return;
        }
        // The zeros of a hole are part of the root, if there is one.
        let chunk_bytes = self.chunk_bytes;
        let is_aligned = chunk_bytes > 0 && from.is_multiple_of(chunk_bytes);
        if !self.target.entry.hashes_holes() || !is_aligned {
            self.unhashed = true;
            return;
        }
        let zeros = vec![0; chunk_bytes.min(to - from) as usize];
        let mut at = from;
        while at < to {
            let len = chunk_bytes.min(to - at);
            self.merge.push(piece(&zeros[..len as usize], at, false));
            at += len;
        }
    }

    /// Has what was written this root, as far as that is known? Pieces joined by a C that only a
    /// label names may give another, so then it is read again.
    pub fn has_root(&self, size: u64, root: &Hash) -> Result<bool, DestinationError> {
        let joined = self.root(size)?;
        if self.unhashed || joined.as_ref() == Some(root) {
            return Ok(joined.is_none_or(|found| found == *root));
        }
        Ok(!self.target.entry.holes.is_empty() && self.read_root(size)?.as_ref() == Some(root))
    }

    /// The root of what was written: from the pieces, or by reading it again; none if it went
    /// nowhere and has holes too long to be hashed.
    pub fn root(&self, size: u64) -> Result<Option<Hash>, DestinationError> {
        if self.unhashed { self.read_root(size) } else { Ok(Some(self.merge.root())) }
    }

    /// The root, by reading it again; none where that would take as long as its holes are.
    pub fn read_root(&self, size: u64) -> Result<Option<Hash>, DestinationError> {
        if !self.target.entry.hashes_holes() {
            return Ok(None);
        }
        let mut hasher = blake3::Hasher::new();
        let mut buffer = vec![0; 1 << 20];
        let mut at = 0;
        while at < size {
            let len = (size - at).min(buffer.len() as u64) as usize;
            if !self.target.file.read_at(at, &mut buffer[..len])? {
                return Ok(None);
            }
            hasher.update(&buffer[..len]);
            at += len as u64;
        }
        Ok(Some(*hasher.finalize().as_bytes()))
    }

    /// What this set holds of it.
    pub fn mark(&self, end: Option<End>) -> PartMark {
        let found = FoundPart {
            merge: &self.merge,
            hashed: !self.unhashed,
            bytes: (self.begins, self.next),
            missing: &self.missing,
            lost: self.absent.unwrap_or(Absent::Lost) == Absent::Lost,
            end,
        };
        PartMark::new(&self.target.entry, self.begins / self.chunk_bytes.max(1), &found)
    }

    /// Notes that bytes are not there.
    pub fn miss(&mut self, offset: u64, len: u64) {
        match self.missing.last_mut() {
            Some((start, known)) if *start + *known == offset => *known += len,
            _ => self.missing.push((offset, len)),
        }
    }
}

/// Text for a file whose parts were given another name.
pub fn left_as(path: &[u8]) -> String {
    format!("; what there is lies in {}", shown_path(path))
}

/// `bytes 0-99, 500-599 are missing`
pub fn shown_ranges(ranges: &[(u64, u64)]) -> String {
    let shown = |(offset, len): &(u64, u64)| format!("{offset}-{}", offset + (len - 1));
    let mut joined: Vec<(u64, u64)> = Vec::new();
    for (offset, len) in ranges.iter().filter(|(_, len)| *len > 0) {
        match joined.last_mut() {
            // What is missing at the end of one set may continue in the next.
            Some((start, known)) if *start + *known == *offset => *known += len,
            _ => joined.push((*offset, *len)),
        }
    }
    let words: Vec<_> = joined.iter().map(shown).collect();
    if words.is_empty() {
        return "its end is missing".into();
    }
    format!("bytes {} are missing", words.join(", "))
}

#[cfg(test)]
mod tests {
    use super::super::output::OutputFile;
    use super::*;
    use crate::format::list::{Entry, Kind};
    use rstest::rstest;

    /// What is missing on both sides of where a set ends is one range.
    #[test]
    fn adjacent_ranges_are_reported_as_one() {
        let ranges = [(0, 100), (100, 0), (100, 50), (200, 1)];
        assert_eq!(shown_ranges(&ranges), "bytes 0-149, 200-200 are missing");
    }

    /// Of a set that has the last bytes of a file, or its end alone.
    #[rstest]
    #[case::no_hole(vec![], 64, false)]
    #[case::after_bytes(vec![(20, 44)], 32, true)]
    #[case::from_the_beginning(vec![(0, 64)], 0, false)]
    #[case::elsewhere(vec![(0, 32)], 64, false)]
    fn a_hole_between_two_sets_counts_to_the_later(
        #[case] holes: Vec<(u64, u64)>,
        #[case] begins: u64,
        #[case] has_only_its_end: bool,
    ) {
        let entry = Arc::new(Entry { holes, ..Entry::new("file", Kind::File) });
        let target = Arc::new(WriteTarget { entry, file: OutputFile::Nowhere });
        let mut file = FollowedFile::new(target, 16);
        assert_eq!(file.ends_in_hole(64), has_only_its_end);
        file.begin_at(64);
        assert_eq!((file.begins, file.next, file.merge.end()), (begins, begins, begins / 16));
    }
}
