//! The parallel part of a batch: bytes are verified by their id and written; what is whole in one
//! extent gets its final name at once.

use super::batch::{Batch, RestoreStep};
use super::decode::{Absent, OpenedBatch};
use super::output::{Output, OutputFile};
use super::walk::SetWalk;
use crate::destination::{DestinationError, MetadataProblem, OnConflict, PlaceResult};
use crate::format::list::{Entry, Extent, Hash, Kind};
use crate::stages::hash::piece;
use rayon::prelude::*;
use std::io;
use std::sync::Arc;

/// A larger file in progress, to which extents are written in parallel.
pub struct WriteTarget {
    pub entry: Arc<Entry>,
    /// where its bytes go
    pub file: OutputFile,
}

/// The entry that a step's extent belongs to.
pub fn entry_of<'a>(step: &'a RestoreStep, target: Option<&'a WriteTarget>) -> Option<&'a Entry> {
    match (step, target) {
        (RestoreStep::Whole(entry, _), _) => Some(entry),
        (_, Some(target)) => Some(&target.entry),
        _ => None,
    }
}

/// What became of one step in the parallel part.
pub enum StepOutcome {
    /// there was nothing to do yet
    Nothing,
    /// it has its final name
    Placed(Vec<MetadataProblem>),
    /// an extent was verified and written
    Wrote(Hash),
    /// its bytes are not there
    Absent(Absent),
    /// the destination refused it
    Failed(DestinationError),
}

/// Does the steps of a batch, those that one chunk serves together, while it is in the cache.
pub fn do_steps(
    walk: SetWalk,
    batch: &Batch,
    opened: &OpenedBatch,
    targets: &[Option<Arc<WriteTarget>>],
) -> io::Result<Vec<StepOutcome>> {
    let SetWalk { output, options, monitor, .. } = walk;
    let outcome = |number: usize, chunk: Chunk| {
        let (step, target) = (&batch.steps[number], targets[number].as_deref());
        (number, do_step(output, step, target, chunk, options.on_conflict()))
    };
    let mut chunks: Vec<_> = batch.places.iter().collect();
    chunks.sort_unstable_by_key(|(_, steps)| steps[0]);
    let of_chunks = chunks
        .into_par_iter()
        .map_init(
            || (None, Vec::new()),
            |(decompressor, buffer), (place, steps)| {
                if monitor.should_stop() {
                    return Ok(Vec::new());
                }
                let chunk = opened.chunk(place, output, decompressor, buffer)?;
                let bytes = chunk.as_deref().map_err(|absent| *absent);
                let has_whole = |n: &usize| matches!(batch.steps[*n], RestoreStep::Whole(..));
                let id = bytes.ok().filter(|_| steps.iter().any(has_whole));
                let chunk = Chunk { bytes, id: id.map(|bytes| piece(bytes, 0, true)) };
                Ok(steps.par_iter().map(|number| outcome(*number, chunk)).collect())
            },
        )
        .collect::<io::Result<Vec<Vec<_>>>>()?;
    let without: Vec<usize> =
        (0..batch.steps.len()).filter(|n| batch.steps[*n].extent().is_none()).collect();
    let of_others: Vec<_> =
        without.into_par_iter().map(|number| outcome(number, Chunk::NONE)).collect();
    // One whose chunk cannot be: its place is outside of its stripe.
    let absent = || StepOutcome::Absent(Absent::Lost);
    let mut outcomes: Vec<StepOutcome> = batch.steps.iter().map(|_| absent()).collect();
    for (number, outcome) in of_chunks.into_iter().flatten().chain(of_others) {
        outcomes[number] = outcome;
    }
    Ok(outcomes)
}

/// The chunk that a step's extent lies in.
#[derive(Clone, Copy)]
struct Chunk<'a> {
    /// its plain bytes
    bytes: Result<&'a [u8], Absent>,
    /// their BLAKE3, if whole files lie in it
    id: Option<Hash>,
}

impl Chunk<'_> {
    const NONE: Self = Self { bytes: Err(Absent::Lost), id: None };
}

/// Does one step; `chunk` is the one that its extent lies in, if it has one.
fn do_step(
    output: Output,
    step: &RestoreStep,
    target: Option<&WriteTarget>,
    chunk: Chunk,
    conflict: OnConflict,
) -> StepOutcome {
    let placed = |result: PlaceResult| result.map_or_else(StepOutcome::Failed, StepOutcome::Placed);
    let done =
        |result: Result<(), _>, outcome| result.map_or_else(StepOutcome::Failed, |()| outcome);
    match (step, target) {
        (RestoreStep::Folder(entry), _) => {
            done(output.to(|folder| folder.make_folder(&entry.path)), StepOutcome::Nothing)
        }
        (RestoreStep::Bare(entry), _) if entry.kind == Kind::Symlink => {
            placed(output.to(|folder| folder.make_symlink(entry, conflict)))
        }
        (RestoreStep::Bare(entry), _) => {
            placed(output.to(|folder| folder.make_special(entry, conflict)))
        }
        (RestoreStep::Whole(entry, extent), _) => {
            match whole_bytes(entry, extent.as_ref(), chunk) {
                Ok(bytes) => placed(write_whole(output, entry, bytes, conflict)),
                Err(absent) => StepOutcome::Absent(absent),
            }
        }
        (RestoreStep::Extent(extent), Some(target)) => match within(chunk.bytes, extent) {
            Ok(bytes) if piece(bytes, extent.file_offset, false) == extent.id => {
                let WriteTarget { entry, file } = target;
                let written = write_around_holes(file, entry, extent.file_offset, bytes);
                done(written, StepOutcome::Wrote(extent.id))
            }
            Ok(_) => StepOutcome::Absent(Absent::Lost),
            Err(_) if conflict == OnConflict::Replace && is_there(target, extent) => {
                StepOutcome::Wrote(extent.id)
            }
            Err(absent) => StepOutcome::Absent(absent),
        },
        _ => StepOutcome::Nothing,
    }
}

/// The bytes of an extent in its chunk.
fn within<'a>(chunk: Result<&'a [u8], Absent>, extent: &Extent) -> Result<&'a [u8], Absent> {
    let from = extent.chunk_offset as usize;
    chunk?.get(from..from + extent.len as usize).ok_or(Absent::Lost)
}

/// Did an earlier run, with other drives, write this extent? What is a hole in the file as it was
/// packed need not be written.
fn is_there(WriteTarget { entry, file }: &WriteTarget, extent: &Extent) -> bool {
    let (offset, len) = (extent.file_offset, u64::from(extent.len));
    let meets = |(start, hole): &(u64, u64)| *start < offset + len && offset < start + hole;
    if !entry.holes.iter().any(meets) && file.is_hole(offset, len) {
        return false;
    }
    let mut bytes = vec![0; extent.len as usize];
    matches!(file.read_at(offset, &mut bytes), Ok(true))
        && piece(&bytes, offset, false) == extent.id
}

/// The bytes of a whole file, if its chunk is what it should be.
fn whole_bytes<'a>(
    entry: &Entry,
    extent: Option<&Extent>,
    chunk: Chunk<'a>,
) -> Result<&'a [u8], Absent> {
    let Some(extent) = extent else {
        return if entry.size == 0 { Ok(&[]) } else { Err(Absent::Lost) };
    };
    let bytes = within(chunk.bytes, extent)?;
    let good =
        extent.file_offset == 0 && bytes.len() as u64 == entry.size && chunk.id == Some(extent.id);
    if good { Ok(bytes) } else { Err(Absent::Lost) }
}

fn write_whole(output: Output, entry: &Entry, bytes: &[u8], conflict: OnConflict) -> PlaceResult {
    let file = output.begin_file(entry)?;
    write_around_holes(&file, entry, 0, bytes)?;
    if !entry.holes.is_empty() {
        file.set_len(entry.size)?;
    }
    output.finish_file(file, entry, conflict)
}

/// Writes bytes at an offset, but not zeros where the file has holes. What is listed as a
/// hole and is none is written.
fn write_around_holes(
    file: &OutputFile,
    entry: &Entry,
    offset: u64,
    bytes: &[u8],
) -> Result<(), DestinationError> {
    let end = offset + bytes.len() as u64;
    let mut at = offset;
    let first = entry.holes.partition_point(|(start, len)| start + len <= offset);
    for (start, len) in &entry.holes[first..] {
        if *start >= end {
            break;
        }
        let (from, to) = ((*start).max(at), (start + len).min(end));
        let range = |from: u64, to: u64| &bytes[(from - offset) as usize..(to - offset) as usize];
        if range(from, to).iter().any(|byte| *byte != 0) {
            continue;
        }
        if from > at {
            file.write_at(at, range(at, from))?;
        }
        at = to;
    }
    if at < end {
        file.write_at(at, &bytes[(at - offset) as usize..])?;
    }
    Ok(())
}
