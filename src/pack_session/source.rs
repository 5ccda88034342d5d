//! SOURCE of a shipment in progress, opened again.
//!
//! - Enters: its path, the scan snapshot, and how much of that is packed.
//! - Leaves: SOURCE, open; an error if something else lies there now, such as the mount point of a
//!   drive that is not attached.

use super::error::PackJobError;
use crate::dataset::Source;
use crate::local_state::ScanSnapshot;
use std::path::Path;

/// So many of the next entries are looked for; one that is there is enough.
const LOOKED_FOR: usize = 64;

/// Opens it. A folder with another inode number counts as the same if any of what is to be packed
/// next is in it: some file systems number anew when they are mounted.
pub(super) fn reopen(path: &Path, list: &ScanSnapshot, done: u64) -> Result<Source, PackJobError> {
    let source = Source::open(path)?;
    let first = list.iter().next().transpose()?;
    if first.is_none_or(|first| source.has_inode(first.identity.inode)) {
        return Ok(source);
    }
    let (mut any, mut there) = (false, false);
    for entry in list.iter_from(done)?.take(LOOKED_FOR) {
        any = true;
        there |= source.has(&entry?.entry.path);
    }
    if any && !there {
        return Err(PackJobError::SourceAway { path: path.into() });
    }
    Ok(source)
}
