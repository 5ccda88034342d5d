//! Catalog files: all lists of a set once more, in frames that can be looked up.
//!
//! A part's content is a run of frames; the index's content says which path each frame begins
//! with. Both are sealed like a shard ([`super::shard`]), with the content's length in front and
//! zeros behind.

use super::error::FormatError;
use super::ids::RunId;
use super::list_reader::MOST_FRAME_BYTES;
use super::wire::{Fields, Put};
use std::ops::Range;

/// Bytes before a frame's stored bytes.
pub const FRAME_HEAD_BYTES: usize = 8;
/// Plain bytes after which a frame is closed.
pub const FRAME_BYTES: usize = 256 << 10;
/// Bytes of the length in front of a sealed content.
pub const LENGTH_BYTES: usize = 8;

/// Where a frame is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrameRow {
    /// sort key of the entry it begins with
    pub first: Vec<u8>,
    /// the run whose part it is in
    pub run: RunId,
    pub part: u32,
    /// offset of its head in the part's content
    pub offset: u64,
    /// zstd bytes
    pub stored: u32,
    /// list bytes
    pub plain: u32,
}

/// The index of a set's catalog.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Index {
    /// entries in the set
    pub entries: u64,
    /// files among them
    pub files: u64,
    /// sum of the files' sizes
    pub file_bytes: u64,
    /// frames in entry order
    pub frames: Vec<FrameRow>,
}

/// The 8 bytes before a frame's stored bytes.
pub fn encode_frame_head(stored: u32, plain: u32) -> [u8; FRAME_HEAD_BYTES] {
    let mut head = [0; FRAME_HEAD_BYTES];
    head[..4].copy_from_slice(&stored.to_le_bytes());
    head[4..].copy_from_slice(&plain.to_le_bytes());
    head
}

/// Reads a frame's head: stored and plain bytes.
pub fn decode_frame_head(bytes: &[u8]) -> Result<(u32, u32), FormatError> {
    let mut fields = Fields::new("catalog frame", bytes);
    let (stored, plain) = (fields.u32()?, fields.u32()?);
    if stored == 0 || plain == 0 || plain > MOST_FRAME_BYTES {
        return Err(fields.invalid("length", format!("{stored} for {plain}")));
    }
    Ok((stored, plain))
}

impl Index {
    /// The index's content.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        out.put_u64(self.entries);
        out.put_u64(self.files);
        out.put_u64(self.file_bytes);
        out.put_u32(self.frames.len() as u32);
        for row in &self.frames {
            out.put_u64(row.run.0);
            out.put_u32(row.part);
            out.put_u64(row.offset);
            out.put_u32(row.stored);
            out.put_u32(row.plain);
            out.put_u32(row.first.len() as u32);
            out.put(&row.first);
        }
        out
    }

    /// Reads an index's content.
    pub fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        let mut fields = Fields::new("catalog index", bytes);
        let mut index = Self {
            entries: fields.u64()?,
            files: fields.u64()?,
            file_bytes: fields.u64()?,
            frames: Vec::new(),
        };
        for _ in 0..fields.u32()? {
            let run = RunId(fields.u64()?);
            let part = fields.u32()?;
            let offset = fields.u64()?;
            let (stored, plain) = decode_frame_head(fields.take(FRAME_HEAD_BYTES)?)?;
            let len = fields.u32()? as usize;
            let first = fields.take(len)?.to_vec();
            if index.frames.last().is_some_and(|last| last.first > first) {
                return Err(fields.invalid("order", index.frames.len()));
            }
            index.frames.push(FrameRow { first, run, part, offset, stored, plain });
        }
        if fields.left() > 0 {
            return Err(fields.invalid("length", bytes.len()));
        }
        Ok(index)
    }

    /// The numbers of the frames that can hold an entry whose sort key is in the span; all of them if
    /// the keys are not known.
    pub fn frames_within(&self, span: &KeySpan) -> Range<usize> {
        let known = self.frames.last().is_some_and(|row| !row.first.is_empty());
        if !known {
            return 0..self.frames.len();
        }
        // An entry may lie in the frame before the first that begins with its key or behind it.
        let from = self.frames.partition_point(|row| row.first < span.from);
        let ends = |to: &Vec<u8>| self.frames.partition_point(|row| row.first < *to);
        let to = span.to.as_ref().map_or(self.frames.len(), ends);
        from.saturating_sub(1)..to
    }
}

/// A stretch of sort keys.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeySpan {
    /// the first key
    pub from: Vec<u8>,
    /// the key after the last; none: no key comes after it
    pub to: Option<Vec<u8>>,
}

impl KeySpan {
    pub fn all() -> Self {
        Self { from: Vec::new(), to: None }
    }

    /// The keys with this prefix.
    pub fn prefix(from: Vec<u8>) -> Self {
        let last = from.iter().rposition(|byte| *byte < u8::MAX);
        let to = last.map(|last| [&from[..last], &[from[last] + 1]].concat());
        Self { from, to }
    }

    /// A folder and what lies in it.
    pub fn within(folder: &[u8]) -> Self {
        Self::prefix([folder, b"/"].concat())
    }

    /// An entry at a path that is not a folder, and a folder there with what lies in it. Between the
    /// two lie other paths: `a-b` between `a` and `a/b`.
    pub fn path(path: &[u8]) -> [Self; 2] {
        let alone = Self { from: path.to_vec(), to: Some([path, &[0]].concat()) };
        [alone, Self::within(path)]
    }

    pub fn holds(&self, key: &[u8]) -> bool {
        *self.from <= *key && self.to.as_ref().is_none_or(|to| *key < **to)
    }

    /// The same keys in ascending, disjoint spans.
    pub fn joined(mut spans: Vec<Self>) -> Vec<Self> {
        spans.sort();
        let mut joined: Vec<Self> = Vec::new();
        for span in spans {
            match joined.last_mut() {
                Some(last) if last.to.as_ref().is_none_or(|to| span.from <= *to) => {
                    last.to = last.to.take().zip(span.to).map(|(a, b)| a.max(b));
                }
                _ => joined.push(span),
            }
        }
        joined
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn index(firsts: &[&str]) -> Index {
        let row = |first: &&str| FrameRow {
            first: first.as_bytes().to_vec(),
            run: RunId(1),
            part: 0,
            offset: 0,
            stored: 1,
            plain: 1,
        };
        Index { frames: firsts.iter().map(row).collect(), ..Index::default() }
    }

    #[rstest]
    #[case::in_a_frame("b", 0..1)]
    #[case::begins_a_frame("c", 0..4)]
    #[case::behind_it("c0", 3..4)]
    #[case::in_the_last("z", 4..5)]
    #[case::before_all("", 0..1)]
    fn a_key_is_found_in_few_frames(#[case] key: &str, #[case] frames: Range<usize>) {
        let [alone, _] = KeySpan::path(key.as_bytes());
        assert_eq!(index(&["", "c", "c", "c", "d/"]).frames_within(&alone), frames);
    }

    #[test]
    fn a_folder_is_found_with_what_lies_in_it_and_nothing_beside() {
        let index = index(&["", "a", "a-b", "a/", "a/m", "a/x", "a0", "b"]);
        assert_eq!(index.frames_within(&KeySpan::within(b"a")), 2..6);
        assert_eq!(index.frames_within(&KeySpan::path(b"a")[0]), 0..2);
        assert_eq!(index.frames_within(&KeySpan::all()), 0..8);
    }

    #[test]
    fn without_keys_every_frame_can_hold_it() {
        let index = index(&["", "", ""]);
        assert_eq!(index.frames_within(&KeySpan::within(b"a")), 0..3);
        assert_eq!(super::Index::default().frames_within(&KeySpan::all()), 0..0);
    }

    #[test]
    fn spans_are_joined_where_they_touch() {
        let span = |from: &str, to: &str| KeySpan { from: from.into(), to: Some(to.into()) };
        let all = KeySpan { from: b"x".to_vec(), to: None };
        let spans =
            vec![span("c", "d"), all.clone(), span("a", "b"), span("b", "c"), span("y", "z")];
        assert_eq!(KeySpan::joined(spans), [span("a", "d"), all]);
        assert_eq!(KeySpan::prefix(vec![b'a', 255]).to, Some(b"b".to_vec()));
        assert_eq!(KeySpan::prefix(vec![255]).to, None);
    }
}
