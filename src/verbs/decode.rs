//! `verify -i`: everything that a restore would open, decoded to nowhere; and what verify does without
//! a key, by records that the key shows to be authentic, of which what was decoded is a part.
//!
//! - Enters: drives and identities.
//! - Leaves: what was found of each set, of each drive as verify without a key would find it.
//! - Always holds: (1) a shard that was decoded just as its drive gave it, past the caches, is not read
//!   again; (2) every other is.

use super::open::{self, OpenError};
use super::verify::{SetOutcome, note_shipments, verify_rest};
use crate::format::ids::RunId;
use crate::keys::RunKey;
use crate::keys::recipients::Identities;
use crate::memory::Memory;
use crate::monitor::{Monitor, Problem, ProblemKind};
use crate::restorer::OpenSet;
use crate::restorer::check::{self, Decoded};
use crate::sets::FoundSet;
use crate::sets::check::ReadBefore;
use crate::sets::open::chain;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Verifies and decodes all sets on these drives.
pub fn decode(
    paths: &[PathBuf],
    identities: &Identities,
    memory: Memory,
    monitor: &dyn Monitor,
) -> Result<Vec<SetOutcome>, OpenError> {
    decode_sets(&open::sets(paths, monitor)?, identities, memory, monitor)
}

/// Verifies and decodes sets that were found.
pub fn decode_sets(
    sets: &[FoundSet],
    identities: &Identities,
    memory: Memory,
    monitor: &dyn Monitor,
) -> Result<Vec<SetOutcome>, OpenError> {
    note_shipments(sets, monitor);
    // A wrong identity shows at once, not after the first set.
    let keys = sets.iter().map(|set| open::keys(set, identities, monitor));
    let keys = keys.collect::<Result<Vec<_>, _>>()?;
    Ok(sets.iter().zip(&keys).map(|(set, keys)| decode_set(set, keys, memory, monitor)).collect())
}

fn decode_set(
    set: &FoundSet,
    keys: &BTreeMap<RunId, RunKey>,
    memory: Memory,
    monitor: &dyn Monitor,
) -> SetOutcome {
    let book = open::book(set, keys, monitor);
    let opened = OpenSet { set, book: &book, keys };
    let mut read = ReadBefore::default();
    let decoded = check::check(&opened, memory, &mut read, monitor).unwrap_or_else(|e| {
        let subject = format!("set {}", set.name());
        monitor.problem(Problem::new(ProblemKind::Lost, subject, chain(&e)));
        let mut decoded = Decoded::default();
        decoded.restored.stopped = true;
        decoded
    });
    SetOutcome { decoded: Some(decoded), ..verify_rest(set, &book, read, monitor) }
}
