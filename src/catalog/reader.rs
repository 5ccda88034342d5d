//! Reading: sealed catalog files block by block from whichever copy is sound, and the items in
//! them.
//!
//! The index is the one thing that is held whole: a row for each frame of 256 KiB of list, so some
//! 150 kB for a million entries, and 15 MB for a hundred million. All else is a frame at a time.

use crate::drives::DriveFile;
use crate::format::catalog::{
    FRAME_HEAD_BYTES, FrameRow, Index, KeySpan, LENGTH_BYTES, decode_frame_head,
};
use crate::format::frame;
use crate::format::ids::{INDEX_PART, RunId, part_path};
use crate::format::list::{Entry, Item, Kind};
use crate::format::list_reader;
use crate::format::shard::{Blocks, SALT_BYTES};
use crate::format::{FormatError, Suite};
use crate::keys::RunKey;
use crate::shipment::FoundSet;
use crate::stages::seal::Cipher;
use std::collections::{BTreeMap, VecDeque};

/// Why a piece of the catalog could not be read.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// No copy of a file can be opened with the key.
    #[error("{path}: no sound copy on any drive that is here")]
    NoCopy { path: String },
    /// A block is bad in every copy.
    #[error("{path}: block {block} is damaged in every copy that is here")]
    Block { path: String, block: usize },
    /// The key of a run is not at hand.
    #[error("the key of run {run} is not at hand")]
    NoKey { run: RunId },
    /// What was sealed is not a catalog.
    #[error("{path}")]
    Format {
        path: String,
        #[source]
        source: FormatError,
    },
}

/// One sealed file with all its copies.
struct SealedReader {
    path: String,
    copies: Vec<Box<dyn DriveFile>>,
    cipher: Cipher,
    blocks: Blocks,
    content_bytes: u64,
    /// the blocks opened last, by number; the latest in front
    recent: VecDeque<(usize, Vec<u8>)>,
}

/// Blocks that are kept: a frame and what leads to it, so that going to and fro reads each once.
const RECENT_BLOCKS: usize = 4;

impl SealedReader {
    fn open(set: &FoundSet, key: &RunKey, part: u32) -> Result<Self, CatalogError> {
        let path = part_path(key.run(), part);
        let label = set.label();
        let mut copies = set.open_copies(&path);
        let suite = Suite::of(label.suite)
            .map_err(|source| CatalogError::Format { path: path.clone(), source })?;
        let first = copies
            .iter_mut()
            .find_map(|copy| open_first(copy.as_mut(), key, (part, suite), label.block_bytes));
        let Some((cipher, blocks, plain)) = first else {
            return Err(CatalogError::NoCopy { path });
        };
        let mut length = [0; LENGTH_BYTES];
        length.copy_from_slice(&plain[..LENGTH_BYTES]);
        let content_bytes = u64::from_le_bytes(length);
        if content_bytes > (blocks.payload_bytes() - LENGTH_BYTES) as u64 {
            let source = FormatError::invalid("catalog", "length", content_bytes);
            return Err(CatalogError::Format { path, source });
        }
        let recent = VecDeque::from([(0, plain)]);
        Ok(Self { path, copies, cipher, blocks, content_bytes, recent })
    }

    /// Content bytes from `offset` on.
    fn read(&mut self, offset: u64, len: usize) -> Result<Vec<u8>, CatalogError> {
        if offset.checked_add(len as u64).is_none_or(|end| end > self.content_bytes) {
            let source = FormatError::invalid("catalog", "offset", offset);
            return Err(CatalogError::Format { path: self.path.clone(), source });
        }
        let mut out = Vec::with_capacity(len);
        let mut at = offset as usize + LENGTH_BYTES;
        while out.len() < len {
            let number = self.blocks.block_of(at);
            let from = at - self.blocks.payload_range(number).start;
            let block = self.block(number)?;
            let take = (block.len() - from).min(len - out.len());
            out.extend_from_slice(&block[from..from + take]);
            at += take;
        }
        Ok(out)
    }

    fn block(&mut self, number: usize) -> Result<&[u8], CatalogError> {
        let known = self.recent.iter().position(|(at, _)| *at == number);
        let block = match known.and_then(|at| self.recent.remove(at)) {
            Some(block) => block,
            None => (number, self.load(number)?),
        };
        self.recent.truncate(RECENT_BLOCKS - 1);
        self.recent.push_front(block);
        Ok(&self.recent[0].1)
    }

    fn load(&mut self, number: usize) -> Result<Vec<u8>, CatalogError> {
        let bytes = self.blocks.bytes();
        let mut sealed = vec![0; bytes];
        let mut plain = vec![0; self.blocks.payload_range(number).len()];
        for copy in &mut self.copies {
            let read = copy.read_at((number * bytes) as u64, &mut sealed);
            if matches!(read, Ok(len) if len == bytes)
                && self.cipher.open(number, &sealed, &mut plain).is_ok()
            {
                return Ok(plain);
            }
        }
        Err(CatalogError::Block { path: self.path.clone(), block: number })
    }
}

/// Opens the first block of a copy, which says whether salt and length are right.
fn open_first(
    copy: &mut dyn DriveFile,
    key: &RunKey,
    (part, suite): (u32, Suite),
    block_bytes: u32,
) -> Option<(Cipher, Blocks, Vec<u8>)> {
    let count = copy.len() / block_bytes as u64;
    let blocks = Blocks::new(block_bytes, u32::try_from(count).ok()?).ok()?;
    if copy.len() != blocks.file_bytes() as u64 {
        return None;
    }
    let mut sealed = vec![0; blocks.bytes()];
    let read = copy.read_at(0, &mut sealed).ok()?;
    let mut salt = [0; SALT_BYTES];
    salt.copy_from_slice(&sealed[..SALT_BYTES]);
    let cipher = Cipher::new(key.part_key(&salt, suite, part, blocks));
    let mut plain = vec![0; blocks.payload_range(0).len()];
    (read == blocks.bytes() && cipher.open(0, &sealed, &mut plain).is_ok())
        .then_some((cipher, blocks, plain))
}

/// The catalog of a set.
pub struct CatalogReader<'a> {
    set: &'a FoundSet,
    keys: &'a BTreeMap<RunId, RunKey>,
    index: Index,
    part: Option<((RunId, u32), SealedReader)>,
}

impl<'a> CatalogReader<'a> {
    /// Opens the index that run `closing` sealed.
    pub fn open(
        set: &'a FoundSet,
        keys: &'a BTreeMap<RunId, RunKey>,
        closing: RunId,
    ) -> Result<Self, CatalogError> {
        let key = keys.get(&closing).ok_or(CatalogError::NoKey { run: closing })?;
        let mut file = SealedReader::open(set, key, INDEX_PART)?;
        let content = file.read(0, file.content_bytes as usize)?;
        let index = Index::decode(&content)
            .map_err(|source| CatalogError::Format { path: file.path.clone(), source })?;
        Ok(Self { set, keys, index, part: None })
    }

    /// Opens the parts themselves, in order: where there is no index. Sort keys of frames and
    /// counts of entries are not known then.
    pub fn without_index(
        set: &'a FoundSet,
        keys: &'a BTreeMap<RunId, RunKey>,
        parts: impl Iterator<Item = (RunId, u32)>,
    ) -> Result<Self, CatalogError> {
        let mut index = Index::default();
        for (run, part) in parts {
            let key = keys.get(&run).ok_or(CatalogError::NoKey { run })?;
            let mut file = SealedReader::open(set, key, part)?;
            let mut offset = 0;
            while offset < file.content_bytes {
                let head = file.read(offset, FRAME_HEAD_BYTES)?;
                let (stored, plain) = decode_frame_head(&head)
                    .map_err(|source| CatalogError::Format { path: file.path.clone(), source })?;
                let first = Vec::new();
                index.frames.push(FrameRow { first, run, part, offset, stored, plain });
                offset += (FRAME_HEAD_BYTES as u64) + u64::from(stored);
            }
        }
        Ok(Self { set, keys, index, part: None })
    }

    pub fn index(&self) -> &Index {
        &self.index
    }

    /// The entries of these folders, in the order of their paths, each by its own lookup; those
    /// that are not there are left out.
    pub fn folders(&mut self, paths: &[Vec<u8>]) -> Result<Vec<Entry>, CatalogError> {
        let mut found = Vec::new();
        // Folders that lie in each other are mostly found in one frame.
        let mut frame: Option<(usize, Vec<Item>)> = None;
        for path in paths {
            // SOURCE's own key is empty, and before all others.
            let [alone, within] = KeySpan::path(path);
            let key = if path.is_empty() { alone.from } else { within.from };
            let next = [&key[..], &[0]].concat();
            let at = self.index.frames_within(&KeySpan { from: key.clone(), to: Some(next) });
            for number in at {
                if frame.as_ref().is_none_or(|(at, _)| *at != number) {
                    let row = self.index.frames[number].clone();
                    frame = Some((number, self.frame(&row)?));
                }
                let items = frame.iter().flat_map(|(_, items)| items);
                let mut entries = items.filter_map(|item| match item {
                    Item::Entry { entry, .. } => Some(entry),
                    _ => None,
                });
                let is_it = |entry: &&Entry| entry.kind == Kind::Folder && entry.path == *path;
                if let Some(entry) = entries.find(is_it) {
                    found.push(entry.clone());
                    break;
                }
            }
        }
        Ok(found)
    }

    pub fn frame(&mut self, row: &FrameRow) -> Result<Vec<Item>, CatalogError> {
        let id = (row.run, row.part);
        if self.part.as_ref().is_none_or(|(open, _)| *open != id) {
            let key = self.keys.get(&row.run).ok_or(CatalogError::NoKey { run: row.run })?;
            self.part = Some((id, SealedReader::open(self.set, key, row.part)?));
        }
        let Some((_, file)) = &mut self.part else {
            return Err(CatalogError::NoKey { run: row.run });
        };
        let bytes = file.read(row.offset, FRAME_HEAD_BYTES + row.stored as usize)?;
        let format = |source| CatalogError::Format { path: file.path.clone(), source };
        let (stored, plain) = decode_frame_head(&bytes).map_err(format)?;
        if (stored, plain) != (row.stored, row.plain) {
            return Err(format(FormatError::invalid("catalog frame", "length", stored)));
        }
        let (frame, plain) = (&bytes[FRAME_HEAD_BYTES..], plain as usize);
        let list = frame::decompress("catalog frame", frame, plain).map_err(format)?;
        list_reader::decode(&list).map_err(format)
    }
}
