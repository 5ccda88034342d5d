//! The files on both sides: which bytes are to be read, and what verifies them.

use super::Comparison;
use super::checks::{Check, Finding, Group, GroupFile, LargeFile, Mark};
use super::dataset::DatasetStep;
use crate::dataset::ScannedEntry;
use crate::format::list::{Entry, Extent, State};
use crate::format::shown::error_chain;
use std::sync::Arc;

/// What is said of a file whose bytes nothing names.
const NO_BYTES: &str = "the sets here do not say what all of its bytes are";

impl Comparison<'_> {
    /// A file that is a file here, too.
    pub(super) fn file(&mut self, entry: &Entry, here: &ScannedEntry, linked: bool) {
        if let Some(text) = self.metadata(entry, here) {
            self.differs_in_metadata(&entry.path, text);
        }
        if linked {
            self.links.insert(entry.path.clone());
        }
        let size = here.entry.size;
        if entry.whole {
            let extent = match self.dataset.next_of_entry() {
                Some(DatasetStep::Extent(set, extent)) => Some((set, extent)),
                _ => None,
            };
            return match extent {
                _ if size != entry.size => self.other_size(entry, size, entry.size),
                Some((set, extent)) => self.share(entry, set, &extent),
                None if size == 0 => {
                    let path = entry.path.clone();
                    self.add(Check::Found(Finding::Equal { path, bytes: 0 }));
                }
                None => self.untold(entry, NO_BYTES),
            };
        }
        self.flush_group();
        let file = match self.source.open_file(&entry.path) {
            Ok(file) => file,
            Err(error) => {
                self.add(Check::Found(Finding::Unread(entry.path.clone(), error_chain(&error))));
                self.skip(entry);
                return;
            }
        };
        file.advise_sequential();
        self.large_file(
            entry.clone(),
            &Arc::new(LargeFile { path: entry.path.clone(), file }),
            size,
        );
    }

    fn large_file(&mut self, mut entry: Entry, large: &Arc<LargeFile>, size: u64) {
        let (mut at, mut end) = (0, None);
        self.add(Check::Mark(Mark::Begin));
        while let Some(step) = self.dataset.next_of_entry() {
            match step {
                DatasetStep::Holes(holes) => {
                    entry.holes.extend(holes);
                    entry.holes.sort_unstable();
                    entry.holes.dedup();
                }
                DatasetStep::Extent(_, extent) => {
                    self.gap(&entry, large, at, extent.file_offset);
                    at = at.max(extent.file_offset + u64::from(extent.len));
                    self.add(Check::Piece(large.clone(), extent));
                }
                DatasetStep::End(found) => end = Some(found),
                DatasetStep::Entry(_) => {}
            }
        }
        let Some(end) = end else {
            self.untold(&entry, "it runs on into a set that is not here");
            return self.add(Check::Mark(Mark::End { void: false }));
        };
        let void = end.state == State::Void;
        if !void {
            self.gap(&entry, large, at, end.size);
            if size == end.size {
                let path = entry.path.clone();
                self.add(Check::Found(Finding::Equal { path, bytes: size }));
            } else {
                self.other_size(&entry, size, end.size);
            }
        } else if self.dataset.next_entry().is_none_or(|next| next.path != entry.path) {
            self.compared.packed_badly += 1;
        }
        self.add(Check::Mark(Mark::End { void }));
    }

    /// Bytes of which no extent comes: holes, or what other sets have.
    fn gap(&mut self, entry: &Entry, large: &Arc<LargeFile>, from: u64, to: u64) {
        let mut at = from;
        while at < to {
            let hole = entry.holes.iter().find(|(start, len)| *start <= at && at < start + len);
            let Some((start, len)) = hole else {
                return self.untold(entry, NO_BYTES);
            };
            let end = (start + len).min(to);
            self.add(Check::Zeros(large.clone(), at, end));
            at = end;
        }
    }

    /// A small file, whose chunk has others, too.
    fn share(&mut self, entry: &Entry, set: usize, extent: &Extent) {
        let file = GroupFile {
            path: entry.path.clone(),
            at: extent.chunk_offset as usize,
            len: extent.len as usize,
        };
        let is_same = |group: &Group| {
            (group.set, group.id, group.place) == (set, extent.id, extent.place)
                && group.files.last().is_none_or(|last| last.at + last.len <= file.at)
        };
        if !self.group.as_ref().is_some_and(is_same) {
            self.flush_group();
        }
        let (id, place) = (extent.id, extent.place);
        let group = self.group.get_or_insert_with(|| Group { set, id, place, files: Vec::new() });
        group.files.push(file);
    }

    pub(super) fn flush_group(&mut self) {
        if let Some(group) = self.group.take() {
            self.add(Check::Group(group));
        }
    }

    fn other_size(&mut self, entry: &Entry, is: u64, was: u64) {
        let text = format!("it has {is} bytes, not {was}");
        self.add(Check::Found(Finding::Differs(entry.path.clone(), text)));
    }

    pub(super) fn untold(&mut self, entry: &Entry, detail: &'static str) {
        let paths = vec![entry.path.clone()];
        self.add(Check::Found(Finding::Untold { paths, detail, differs: false }));
    }
}
