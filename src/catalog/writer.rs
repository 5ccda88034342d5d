//! Writing: items to frames, frames to parts, and the index over them.

use crate::format::catalog::{FRAME_BYTES, FrameRow, Index, encode_frame_head};
use crate::format::ids::RunId;
use crate::format::list::{Entry, Item, Kind, State};
use std::io;

/// Stored bytes after which a part should be closed, so that it stays small in memory.
pub const PART_BYTES: usize = 16 << 20;

/// Collects the items of a run.
pub struct CatalogWriter {
    run: RunId,
    part: u32,
    content: Vec<u8>,
    frame: Vec<u8>,
    /// bytes at the frame's start that only repeat an open file's entry
    reopened: usize,
    /// sort key of the frame's first entry
    frame_first: Vec<u8>,
    /// the file that is open
    open: Option<Entry>,
    index: Index,
    compressor: zstd::bulk::Compressor<'static>,
}

impl CatalogWriter {
    /// A catalog of this run, from part 0 on, after what earlier runs of the set have put into
    /// `index`; `open` is the file that they left in progress.
    pub fn create(run: RunId, index: Index, open: Option<Entry>) -> io::Result<Self> {
        Ok(Self {
            run,
            part: 0,
            content: Vec::new(),
            frame: Vec::new(),
            reopened: 0,
            frame_first: Vec::new(),
            open,
            index,
            compressor: zstd::bulk::Compressor::new(3)?,
        })
    }

    /// Adds the items of a stripe, in order.
    pub fn push(&mut self, items: Vec<Item>) -> io::Result<()> {
        for item in items {
            if self.frame.is_empty() {
                self.begin_frame(&item);
            }
            item.encode(&mut self.frame);
            self.follow(item);
            if self.frame.len() - self.reopened >= FRAME_BYTES {
                self.end_frame()?;
            }
        }
        Ok(())
    }

    fn begin_frame(&mut self, item: &Item) {
        self.reopened = 0;
        match (item, &self.open) {
            (Item::Entry { entry, .. }, _) => self.frame_first = entry.sort_key(),
            (_, Some(open)) => {
                self.frame_first = open.sort_key();
                Item::Entry { entry: open.clone(), continued: true }.encode(&mut self.frame);
                self.reopened = self.frame.len();
            }
            (_, None) => {}
        }
    }

    fn follow(&mut self, item: Item) {
        match item {
            Item::Entry { entry, .. } => {
                self.index.entries += 1;
                self.open = None;
                if entry.kind == Kind::File {
                    self.index.files += 1;
                    let bytes = &mut self.index.file_bytes;
                    *bytes = bytes.saturating_add(entry.size);
                    self.open = Some(entry);
                }
            }
            Item::Extent(_) => {}
            Item::End(end) => {
                // What is void is packed again, or only named.
                let void = self.open.take().filter(|_| end.state == State::Void);
                if let Some(entry) = void {
                    self.index.entries -= 1;
                    self.index.files -= 1;
                    self.index.file_bytes -= entry.size;
                }
            }
        }
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
