//! `verify`: every block of every shard of every drive, or quickly a sample of them, with no key.
//! (With one, see [`super::decode`].)

use crate::format::list::Hash;
use crate::memory::Memory;
use crate::monitor::Monitor;
use crate::opening::open::{self, OpenError};
use crate::opening::unlock;
use crate::verification::{self, SetOutcome};
use std::path::PathBuf;

/// Verifies all sets on these drives.
pub fn verify(
    paths: &[PathBuf],
    expect: &[Hash],
    memory: Memory,
    monitor: &dyn Monitor,
) -> Result<Vec<SetOutcome>, OpenError> {
    let mut sets = open::sets(paths, monitor)?;
    unlock::expect(&mut sets, expect, monitor)?;
    Ok(verification::verify_sets_within(&sets, memory, monitor))
}

/// Verifies all sets on these drives by their metadata files, the presence and length of every
/// shard, and a random sample of blocks, which the seed decides: see [`crate::shards::sample`].
pub fn verify_quickly(
    paths: &[PathBuf],
    expect: &[Hash],
    seed: [u8; 32],
    monitor: &dyn Monitor,
) -> Result<Vec<SetOutcome>, OpenError> {
    let mut sets = open::sets(paths, monitor)?;
    unlock::expect(&mut sets, expect, monitor)?;
    Ok(verification::verify_sample(&sets, seed, monitor))
}
