//! The items of a set from its catalog.

use super::items::{Items, extent_bytes};
use super::open_set::OpenSet;
use crate::catalog::CatalogReader;
use crate::catalog::reader::CatalogError;
use crate::format::catalog::KeySpan;
use crate::format::list::{Entry, Item, Kind};
use crate::format::set::SetText;
use crate::format::shown::error_chain;
use crate::monitor::{Monitor, Problem, ProblemKind, Recording};
use crate::patterns::Selection;
use std::collections::VecDeque;
use std::ops::Range;

/// Items from the catalog.
pub struct CatalogItems<'a> {
    reader: CatalogReader<'a>,
    /// frames that are still to come
    frames: VecDeque<Range<usize>>,
    damaged: bool,
    monitor: &'a dyn Monitor,
}

impl<'a> CatalogItems<'a> {
    /// Opens the catalog: its index, or, in a set that was closed without one or is not closed, the
    /// parts that its records name. None if no copy of one of these is sound, or they do not hold
    /// the lists of all stripes.
    pub fn open(open: &'a OpenSet, monitor: &'a dyn Monitor) -> Option<Self> {
        let text = open.set.set_text(monitor);
        let reader = match text.as_ref().and_then(SetText::index) {
            Some(index) => CatalogReader::open(open.set, open.keys, index.run),
            None if !open.record_index.is_catalogued() => return None,
            None => {
                let parts = open.record_index.whole().parts().map(|(run, part)| (run, part.number));
                CatalogReader::without_index(open.set, open.keys, parts)
            }
        };
        match reader {
            Ok(reader) => {
                let frames = std::iter::once(0..reader.index().frames.len()).collect();
                Some(Self { reader, frames, damaged: false, monitor })
            }
            Err(e) => {
                let subject = format!("set {}", open.set.name());
                monitor.problem(Problem::new(ProblemKind::Damage, subject, error_chain(&e)));
                None
            }
        }
    }

    /// The same, from the frames that can hold what is selected.
    pub fn selected(
        open: &'a OpenSet,
        selection: Option<&Selection>,
        monitor: &'a dyn Monitor,
    ) -> Option<Self> {
        let mut items = Self::open(open, monitor)?;
        items.seek(selection.map_or(&[KeySpan::all()][..], Selection::spans));
        Some(items)
    }

    /// From the beginning, only the frames that can hold entries of these spans, which ascend.
    pub fn seek(&mut self, spans: &[KeySpan]) {
        self.frames.clear();
        for span in spans {
            let mut frames = self.reader.index().frames_within(span);
            frames.start = frames.start.max(self.frames.back().map_or(0, |last| last.end));
            if !frames.is_empty() {
                self.frames.push_back(frames);
            }
        }
    }

    /// Entries in the set, if an index says how many.
    pub fn entries(&self) -> Option<u64> {
        let index = self.reader.index();
        (index.entries > 0).then_some(index.entries)
    }

    /// The sizes of its files, together.
    pub fn file_bytes(&self) -> u64 {
        self.reader.index().file_bytes
    }

    /// The sort keys of the first entry that is no folder, and of the last entry.
    pub fn reach(&mut self) -> Option<(Vec<u8>, Vec<u8>)> {
        let frames = self.reader.index().frames.len();
        let last = self.entries_of(frames.checked_sub(1)?)?.pop()?;
        let is_file = |entry: &Entry| entry.kind != Kind::Folder;
        for number in 0..frames {
            let first = self.entries_of(number)?.into_iter().find(is_file);
            if let Some(first) = first {
                return Some((first.sort_key(), last.sort_key()));
            }
        }
        None
    }

    fn entries_of(&mut self, frame: usize) -> Option<Vec<Entry>> {
        let row = self.reader.index().frames.get(frame)?.clone();
        let items = self.reader.frame(&row).ok()?.into_iter();
        Some(items.filter_map(Item::into_entry).collect())
    }

    /// Plain bytes that the set holds: without holes, and of a spanning file only its
    /// part. The catalog is walked for it only if the files' sizes add up to more than the stripes
    /// hold.
    pub fn data_bytes(&mut self, open: &OpenSet) -> u64 {
        let file_bytes = self.file_bytes();
        let mut stripe_bytes = 0;
        open.record_index.walk(&Recording::default(), |record| {
            stripe_bytes = u64::from(record.k) * record.blocks.payload_bytes() as u64;
            false // the first is as large as any, or the set is small
        });
        if file_bytes <= stripe_bytes.saturating_mul(open.record_index.stripes().len() as u64) {
            return file_bytes;
        }
        let rows = self.reader.index().frames.clone();
        let lists = rows.iter().map(|row| self.reader.frame(row).unwrap_or_default());
        lists.flatten().map(|item| extent_bytes(&item)).sum()
    }

    /// Was a part of it unreadable?
    pub fn is_damaged(&self) -> bool {
        self.damaged
    }

    fn note_damage(&mut self, error: &CatalogError) {
        if !std::mem::replace(&mut self.damaged, true) {
            let problem = Problem::new(ProblemKind::Damage, "catalog", error_chain(error));
            self.monitor.problem(problem);
        }
    }
}

impl Items for CatalogItems<'_> {
    fn next_list(&mut self) -> Option<Vec<Item>> {
        loop {
            let frames = self.frames.front_mut()?;
            let Some(number) = frames.next() else {
                self.frames.pop_front();
                continue;
            };
            let row = self.reader.index().frames[number].clone();
            match self.reader.frame(&row) {
                Ok(items) => return Some(items),
                Err(e) => self.note_damage(&e),
            }
        }
    }

    fn folders(&mut self, paths: &[Vec<u8>]) -> Vec<Entry> {
        match self.reader.folders(paths) {
            Ok(found) => found,
            Err(e) => {
                self.note_damage(&e);
                Vec::new()
            }
        }
    }
}
