//! Where a file has data, and where nothing was ever written.
//!
//! - Enters: an open file.
//! - Leaves: its holes.
//! - Always holds: what is called a hole reads as zeros; what the file system does not say, or
//!   says in a way that leads nowhere, counts as data.

use std::os::fd::AsFd;

use rustix::fs::SeekFrom;
use rustix::io::Errno;

/// The holes below `size`: offset and length, ascending, apart, none empty. After `most` of them
/// the rest counts as data.
pub fn holes(file: impl AsFd, size: u64, most: usize) -> Result<Vec<(u64, u64)>, Errno> {
    let mut holes = Vec::new();
    let mut at = 0;
    while at < size && holes.len() < most {
        let data = match rustix::fs::seek(&file, SeekFrom::Data(at)) {
            Ok(data) => data.min(size),
            // No data from here on.
            Err(Errno::NXIO) => size,
            Err(Errno::INVAL | Errno::NOTSUP) => return Ok(Vec::new()),
            Err(errno) => return Err(errno),
        };
        if data > at {
            holes.push((at, data - at));
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
