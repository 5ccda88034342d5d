//! Writing: items to frames, frames to parts, and the index over them.

use crate::format::catalog::{FRAME_BYTES, FrameRow, Index, encode_frame_head};
use crate::format::ids::RunId;
use crate::format::list::DataShard;
use crate::format::list_writer::ListWriter;
use crate::stages::fill::ListedBundle;
use crate::stages::listing::Counts;
use std::io;

/// Stored bytes after which a part should be closed, so that it stays small in memory.
pub const PART_BYTES: usize = 16 << 20;

/// Collects the items of a run.
pub struct CatalogWriter {
    run: RunId,
    part: u32,
    content: Vec<u8>,
    frame: Vec<u8>,
    /// the shard that the frame named last
    shard: Option<DataShard>,
    /// sort key of the frame's first entry
    frame_first: Vec<u8>,
    index: Index,
    compressor: zstd::bulk::Compressor<'static>,
}

impl CatalogWriter {
    /// A catalog of this run, from part 0 on, after what earlier runs of the set have put into
    /// `index`.
    pub fn create(run: RunId, index: Index) -> io::Result<Self> {
        Ok(Self {
            run,
            part: 0,
            content: Vec::new(),
            frame: Vec::new(),
            shard: None,
            frame_first: Vec::new(),
            index,
            compressor: zstd::bulk::Compressor::new(3)?,
        })
    }

    /// Adds what the lists of a stripe name, in order.
    pub fn push(&mut self, bundles: Vec<ListedBundle>) -> io::Result<()> {
        for bundle in bundles {
            self.begin_bundle(&bundle);
            self.frame.extend_from_slice(&bundle.items);
            self.count(bundle.counts);
            if self.frame.len() >= FRAME_BYTES {
                self.end_frame()?;
            }
        }
        Ok(())
    }

    /// Names the shard, if it is another, and the open file, if a frame begins in it.
    fn begin_bundle(&mut self, bundle: &ListedBundle) {
        let mut start = ListWriter::default();
        if self.shard != Some(bundle.shard) {
            start.shard(bundle.shard);
            self.shard = Some(bundle.shard);
        }
        if self.frame.is_empty() {
            match (&bundle.first, &bundle.open) {
                (Some(first), _) => self.frame_first.clone_from(first),
                (None, Some(open)) => {
                    self.frame_first = open.sort_key();
                    start.entry(open, true);
                }
                (None, None) => {}
            }
        }
        self.frame.extend_from_slice(&start.into_bytes());
    }

    fn count(&mut self, counts: Counts) {
        let Index { entries, files, file_bytes, .. } = &mut self.index;
        *entries = entries.saturating_add_signed(counts.entries);
        *files = files.saturating_add_signed(counts.files);
        *file_bytes = file_bytes.saturating_add_signed(counts.file_bytes);
    }

    fn end_frame(&mut self) -> io::Result<()> {
        if self.frame.is_empty() {
            return Ok(());
        }
        let stored = self.compressor.compress(&self.frame)?;
        let (stored_len, plain) = (stored.len() as u32, self.frame.len() as u32);
        self.index.frames.push(FrameRow {
            first: std::mem::take(&mut self.frame_first),
            run: self.run,
            part: self.part,
            offset: self.content.len() as u64,
            stored: stored_len,
            plain,
        });
        self.content.extend_from_slice(&encode_frame_head(stored_len, plain));
        self.content.extend_from_slice(&stored);
        self.frame.clear();
        self.shard = None;
        Ok(())
    }

    /// Bytes that wait for [`CatalogWriter::end_part`].
    pub fn waiting_bytes(&self) -> usize {
        self.content.len() + self.frame.len()
    }

    /// Closes the part: its number and content, ready to be sealed; none if nothing was added.
    pub fn end_part(&mut self) -> io::Result<Option<(u32, Vec<u8>)>> {
        self.end_frame()?;
        if self.content.is_empty() {
            return Ok(None);
        }
        let part = self.part;
        self.part += 1;
        Ok(Some((part, std::mem::take(&mut self.content))))
    }

    /// The index over all parts that were closed.
    pub fn index(&self) -> &Index {
        &self.index
    }
}
