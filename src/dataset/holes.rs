//! Where a file has data, and where nothing was ever written.
//!
//! - Enters: an open file.
//! - Leaves: its holes.
//! - Always holds: (1) what is called a hole reads as zeros; what the file system does not say, or
//!   says in a way that leads nowhere, counts as data; (2) time is a file's extents, memory what
//!   was asked for, whatever its length.

use std::os::fd::AsFd;

use rustix::fs::SeekFrom;
use rustix::io::Errno;

/// The most holes of a file that are told apart: bounds memory, and the entry that lists them.
pub const MAX_HOLES: usize = 65_536;
/// What a hole must cover to count as bytes that are not packed: a chunk of the usual size. The
/// zeros of smaller ones, and of files that are no larger, are packed.
pub const UNIT_BYTES: u64 = 1 << 20;

/// The holes below `size`: offset and length, ascending, apart, none empty. Of more than `most` the
/// larger ones; the others count as data.
pub fn holes(file: impl AsFd, size: u64, most: usize) -> Result<Vec<(u64, u64)>, Errno> {
    let mut holes = Vec::new();
    let (mut at, mut least) = (0, 1);
    while at < size {
        let data = match rustix::fs::seek(&file, SeekFrom::Data(at)) {
            Ok(data) => data.min(size),
            // No data from here on.
            Err(Errno::NXIO) => size,
            Err(Errno::INVAL | Errno::NOTSUP) => return Ok(Vec::new()),
            Err(errno) => return Err(errno),
        };
        if data >= at + least {
            holes.push((at, data - at));
        }
        while holes.len() > most {
            least *= 2;
            holes.retain(|(_, len)| *len >= least);
        }
        if data >= size {
            break;
        }
        at = match rustix::fs::seek(&file, SeekFrom::Hole(data)) {
            Ok(hole) if hole > data => hole,
            // The file shrank meanwhile, or the answer leads nowhere.
            Ok(_) | Err(Errno::NXIO) => break,
            Err(Errno::INVAL | Errno::NOTSUP) => return Ok(Vec::new()),
            Err(errno) => return Err(errno),
        };
    }
    Ok(holes)
}

/// Bytes of a file's holes that surely are not packed.
pub fn hole_bytes(holes: &[(u64, u64)], size: u64) -> u64 {
    if size <= UNIT_BYTES {
        return 0;
    }
    let counted = |(offset, len): &(u64, u64)| {
        let begin = offset.next_multiple_of(UNIT_BYTES);
        let end = offset + len;
        let end = if end == size { end } else { end - end % UNIT_BYTES };
        end.saturating_sub(begin)
    };
    holes.iter().map(counted).sum()
}
