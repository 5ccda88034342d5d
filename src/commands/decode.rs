//! `verify -i`: everything that a restore would open, decoded to nowhere; and what verify does
//! without a key, by records that the key shows to be authentic, of which what was decoded is a
//! part.
//!
//! - Enters: drives and identities.
//! - Leaves: what was found of each set, of each drive as verify without a key would find it.
//! - Always holds: (1) a shard that was decoded just as its drive gave it, past the caches, is not
//!   read again; (2) every other is.

use crate::check::drive::ReadBefore;
use crate::format::list::Hash;
use crate::format::shown::error_chain;
use crate::keys::recipients::Identities;
use crate::memory::Memory;
use crate::monitor::{Monitor, Problem, ProblemKind, Recording};
use crate::opening::foreign::is_last;
use crate::opening::open::{self, OpenError};
use crate::opening::unlock::{self, Keys};
use crate::restorer::check::{self, Decoded};
use crate::restorer::{Bounds, OpenSet, UNREAD};
use crate::shipment::{FoundSet, RecordIndex};
use crate::verification::{SetOutcome, note_others, verify_rest, verify_set};
use std::path::PathBuf;

/// Verifies and decodes all sets on these drives.
pub fn decode(
    paths: &[PathBuf],
    identities: &Identities,
    expect: &[Hash],
    memory: Memory,
    monitor: &dyn Monitor,
) -> Result<Vec<SetOutcome>, OpenError> {
    decode_sets(open::sets(paths, monitor)?, identities, expect, memory, monitor)
}

/// Verifies and decodes sets that were found.
pub fn decode_sets(
    mut sets: Vec<FoundSet>,
    identities: &Identities,
    expect: &[Hash],
    memory: Memory,
    monitor: &dyn Monitor,
) -> Result<Vec<SetOutcome>, OpenError> {
    note_others(&sets, monitor);
    // A wrong identity shows at once, not after the first set.
    let mut rest = sets.clone();
    let keys = unlock::unlock(&mut sets, identities, expect, monitor)?;
    let is_opened = |set: &FoundSet| sets.iter().any(|opened| opened.name() == set.name());
    rest.retain(|set| expect.is_empty() && !is_opened(set));
    let decode = |(set, keys): (&FoundSet, &Keys)| decode_set(set, keys, memory, monitor);
    let mut outcomes: Vec<SetOutcome> = sets.iter().zip(&keys).map(decode).collect();
    judge_ends(&sets, &mut outcomes, monitor);
    // What cannot be opened can be looked at all the same.
    let verify = |set| SetOutcome {
        is_foreign: is_above_the_last(set, &sets),
        ..verify_set(set, &RecordIndex::open(set, None, monitor), monitor)
    };
    outcomes.extend(rest.iter().map(verify));
    Ok(outcomes)
}

/// Does one of the sets that were opened say that it is the last, and so that this one is foreign?
fn is_above_the_last(set: &FoundSet, opened: &[FoundSet]) -> bool {
    let ends = |other: &FoundSet| {
        let text = other.set_text(&Recording::default());
        other.shipment == set.shipment && other.set < set.set && text.as_ref().is_some_and(is_last)
    };
    opened.iter().any(ends)
}

/// A file of which nothing counts where its set ends is whole in the next set, or could not be
/// read.
fn judge_ends(sets: &[FoundSet], outcomes: &mut [SetOutcome], monitor: &dyn Monitor) {
    let bounds = |outcome: &SetOutcome| outcome.decoded.as_ref().map(|d| d.restored.bounds.clone());
    let all: Vec<Bounds> = outcomes.iter().map(|o| bounds(o).unwrap_or_default()).collect();
    for (number, set) in sets.iter().enumerate() {
        let Some(void) = &all[number].void else { continue };
        let is_next =
            |other: &FoundSet| other.shipment == set.shipment && other.set.0 == set.set.0 + 1;
        let next = sets.iter().position(is_next);
        let further = set.set_text(&Recording::default()).and_then(|text| text.further_sets());
        match next {
            Some(next) if all[next].first.as_ref() == Some(void) => {}
            None if further != Some(false) => monitor.note(&format!(
                "{void}: set {} has nothing of it that counts; the next set shows whether it could be \
                 read",
                set.name()
            )),
            _ => {
                monitor.problem(Problem::new(ProblemKind::SourceUnreadable, void, UNREAD));
                outcomes[number].decoded.iter_mut().for_each(|d| d.restored.packed_badly += 1);
            }
        }
    }
}

fn decode_set(set: &FoundSet, keys: &Keys, memory: Memory, monitor: &dyn Monitor) -> SetOutcome {
    let record_index = unlock::record_index(set, keys, monitor);
    let opened = OpenSet { set, record_index: &record_index, keys };
    let mut read = ReadBefore::default();
    let decoded = check::check(&opened, memory, &mut read, monitor).unwrap_or_else(|e| {
        let subject = format!("set {}", set.name());
        monitor.problem(Problem::new(ProblemKind::Lost, subject, error_chain(&e)));
        let mut decoded = Decoded::default();
        decoded.restored.stopped = true;
        decoded
    });
    let verified = verify_rest(set, &record_index, read, memory, monitor);
    let verdict = verified.verdict.clone();
    // What opened everything is no damaged key, whatever lies beside it.
    let verdict = if decoded.is_complete() { verdict.opened() } else { verdict };
    SetOutcome { decoded: Some(decoded), verdict, ..verified }
}
