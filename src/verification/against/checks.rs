//! What is read and hashed, on any thread.
//!
//! - Enters: files of the tree, and what verifies their bytes.
//! - Leaves: for each check what it found.
//! - Always holds: (1) small files that share a chunk are hashed together, as its id was made; only if
//!   that is another, or not all of them are there, is the chunk decoded from the drives; (2) memory
//!   is the bytes of one chunk.

use crate::dataset::source::SourceFile;
use crate::dataset::{Source, SourceError};
use crate::format::list::{Extent, Hash, Place};
use crate::format::shown::error_chain;
use crate::restorer::{OpenSet, one_chunk};
use crate::stages::hash::piece;
use std::sync::Arc;

/// Bytes that are read at once where zeros are expected.
const ZEROS: usize = 1 << 20;

/// A small file in a chunk that it shares.
pub struct GroupFile {
    pub path: Vec<u8>,
    /// its first byte in the chunk
    pub at: usize,
    pub len: usize,
}

/// The files that share a chunk.
pub struct Group {
    /// which of the sets has it
    pub set: usize,
    pub id: Hash,
    pub place: Place,
    /// those that are there and of the right size, in order
    pub files: Vec<GroupFile>,
}

impl Group {
    /// Do the files cover the chunk?
    fn is_whole(&self) -> bool {
        let mut end = 0;
        self.files.iter().all(|file| file.at == std::mem::replace(&mut end, file.at + file.len))
            && end == self.place.plain as usize
    }
}

/// A larger file of the tree.
pub struct LargeFile {
    pub path: Vec<u8>,
    pub file: SourceFile,
}

/// Something to be read.
pub enum Check {
    Group(Group),
    /// bytes of a larger file, by their id
    Piece(Arc<LargeFile>, Extent),
    /// these bytes of a larger file are zeros
    Zeros(Arc<LargeFile>, u64, u64),
    /// two names that should be one file: have they the same bytes?
    Twins {
        path: Vec<u8>,
        target: Vec<u8>,
    },
    /// what was found before anything was read
    Found(Finding),
    /// what is settled from here on is that of a larger file, or no longer
    Mark(Mark),
}

/// Where the checks of a larger file begin and end.
#[derive(Clone, Copy)]
pub enum Mark {
    Begin,
    /// nothing counts of a file that the packer has packed again, or could not read
    End {
        void: bool,
    },
}

/// What a check says of an entry.
pub enum Finding {
    /// its bytes are those of the dataset
    Equal { path: Vec<u8>, bytes: u64 },
    /// not so
    Differs(Vec<u8>, String),
    /// it could not be read
    Unread(Vec<u8>, String),
    /// the drives here do not tell
    Untold {
        paths: Vec<Vec<u8>>,
        detail: &'static str,
        /// one of them at least is not as it was
        differs: bool,
    },
    /// the bytes are those of the other name, but it is no further name of it
    Apart(Vec<u8>, String),
}

/// The result of a check.
pub struct Checked {
    pub findings: Vec<Finding>,
    /// bytes that were read
    pub bytes: u64,
    pub mark: Option<Mark>,
}

impl Check {
    /// Bytes that it reads at most.
    pub fn bytes(&self) -> u64 {
        match self {
            Self::Group(group) => group.place.plain.into(),
            Self::Piece(_, extent) => extent.len.into(),
            Self::Zeros(..) | Self::Twins { .. } => ZEROS as u64,
            Self::Found(_) | Self::Mark(_) => 0,
        }
    }

    pub fn run(self, source: &Source, sets: &[OpenSet]) -> Checked {
        let (mut findings, mut bytes, mut mark) = (Vec::new(), 0, None);
        match self {
            Self::Group(group) => {
                bytes = group.files.iter().map(|file| file.len as u64).sum();
                findings = check_group(group, source, sets);
            }
            Self::Piece(large, extent) => {
                bytes = extent.len.into();
                let mut read = vec![0; extent.len as usize];
                let filled = large.file.read_at(extent.file_offset, &mut read);
                findings.extend(finding(&large.path, filled, |filled| {
                    filled < read.len() || piece(&read, extent.file_offset, false) != extent.id
                }));
            }
            Self::Zeros(large, from, to) => {
                let differs = zeros(&large.file, from, to, &mut bytes).map(|zeros| !zeros);
                findings.extend(finding(&large.path, differs, |differs| differs));
            }
            Self::Twins { path, target } => findings.push(twins(source, path, &target)),
            Self::Found(finding) => findings.push(finding),
            Self::Mark(of) => mark = Some(of),
        }
        Checked { findings, bytes, mark }
    }
}

fn finding<T>(
    path: &[u8],
    read: Result<T, SourceError>,
    differs: impl FnOnce(T) -> bool,
) -> Option<Finding> {
    match read.map(differs) {
        Ok(true) => Some(Finding::Differs(path.into(), BYTES.into())),
        Ok(false) => None,
        Err(error) => Some(Finding::Unread(path.into(), error_chain(&error))),
    }
}

/// What is said of a file whose size is right.
const BYTES: &str = "its bytes are not those of the dataset";

fn check_group(mut group: Group, source: &Source, sets: &[OpenSet]) -> Vec<Finding> {
    let mut bytes = vec![0; group.place.plain as usize];
    let (mut findings, is_whole) = (Vec::new(), group.is_whole());
    let count = group.files.len();
    group.files.retain(|file| {
        let here = &mut bytes[file.at..file.at + file.len];
        let read = source.open_file(&file.path).and_then(|open| open.read_at(0, here));
        let problem = finding(&file.path, read, |read| read < file.len);
        let is_read = problem.is_none();
        findings.extend(problem);
        is_read
    });
    let is_whole = is_whole && group.files.len() == count;
    let equal = |file: GroupFile| Finding::Equal { path: file.path, bytes: file.len as u64 };
    if is_whole && *blake3::hash(&bytes).as_bytes() == group.id {
        findings.extend(group.files.into_iter().map(equal));
        return findings;
    }
    if group.files.is_empty() {
        return findings;
    }
    let packed = one_chunk(&sets[group.set], &group.place);
    let Some(packed) = packed.filter(|packed| *blake3::hash(packed).as_bytes() == group.id) else {
        let paths = group.files.into_iter().map(|file| file.path).collect();
        let detail = if is_whole {
            "one at least differs: they share a chunk, which the drives here do not give"
        } else {
            "they share a chunk with files that are not here, and the drives here do not give it"
        };
        findings.push(Finding::Untold { paths, detail, differs: is_whole });
        return findings;
    };
    findings.extend(group.files.into_iter().map(|file| {
        let range = file.at..file.at + file.len;
        let is_equal = packed[range.clone()] == bytes[range];
        if is_equal { equal(file) } else { Finding::Differs(file.path, BYTES.into()) }
    }));
    findings
}

/// Are all of these bytes zeros? Holes are, and are not read.
fn zeros(file: &SourceFile, from: u64, to: u64, read: &mut u64) -> Result<bool, SourceError> {
    let holes = file.holes(to)?;
    let mut buffer = vec![0; ZEROS];
    let mut at = from;
    while at < to {
        let within = |(start, len): &&(u64, u64)| *start <= at && at < start + len;
        if let Some((start, len)) = holes.iter().find(within) {
            at = start + len;
            continue;
        }
        let next = holes.iter().map(|(start, _)| *start).find(|start| *start > at);
        let end = next.unwrap_or(to).min(to).min(at + ZEROS as u64);
        let part = &mut buffer[..usize::try_from(end - at).expect("at most ZEROS")];
        let filled = file.read_at(at, part)?;
        *read += filled as u64;
        if filled < part.len() || part.iter().any(|byte| *byte != 0) {
            return Ok(false);
        }
        at = end;
    }
    Ok(true)
}

fn twins(source: &Source, path: Vec<u8>, target: &[u8]) -> Finding {
    let compare = || -> Result<bool, SourceError> {
        let (one, other) = (source.open_file(&path)?, source.open_file(target)?);
        let (mut a, mut b) = (vec![0; ZEROS], vec![0; ZEROS]);
        let mut at = 0;
        loop {
            let filled = (one.read_at(at, &mut a)?, other.read_at(at, &mut b)?);
            if filled.0 != filled.1 || a[..filled.0] != b[..filled.1] {
                return Ok(false);
            }
            if filled.0 < ZEROS {
                return Ok(true);
            }
            at += ZEROS as u64;
        }
    };
    let of = crate::format::list::shown_path(target);
    match compare() {
        Ok(true) => Finding::Apart(path, format!("it is a copy here, not a hard link to {of}")),
        Ok(false) => Finding::Differs(path, format!("it is no hard link to {of}, and differs")),
        Err(error) => Finding::Unread(path, error_chain(&error)),
    }
}
