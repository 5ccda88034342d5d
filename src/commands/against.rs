//! `verify --against`: a tree compared with the shipment that was packed.
//!
//! - Enters: drives, at least one of each set; identities; the tree.
//! - Leaves: what differs, and which sets were compared.
//! - Always holds: sets that are not here are named, and nothing is said of what they have.

use crate::destination::{Peek, Tree, WORK};
use crate::format::list::Hash;
use crate::keys::recipients::Identities;
use crate::monitor::{Monitor, Recording};
use crate::opening::open::{self, OpenError};
use crate::opening::unlock::{self, SetRoot};
use crate::patterns::Selection;
use crate::restorer::{OpenSet, note_end};
use crate::verification::against::{self, Against, AgainstError, Compared};
use std::collections::BTreeSet;
use std::path::PathBuf;

pub struct AgainstJob {
    pub paths: Vec<PathBuf>,
    pub identities: Identities,
    pub expect: Vec<Hash>,
    pub dir: PathBuf,
    pub selection: Option<Selection>,
    /// modes, times, owners and attributes as well
    pub metadata: bool,
}

/// What was compared with what.
pub struct AgainstOutcome {
    pub compared: Compared,
    pub shipment: String,
    /// the sets that are here, and the roots that were believed
    pub sets: Vec<u32>,
    pub roots: Vec<SetRoot>,
    /// sets of the shipment that are not here, as far as those that are here know of them
    pub absent: Vec<u32>,
    /// nothing tells whether more sets follow the last
    pub end_unknown: bool,
    /// names in the tree were mapped, and are compared as they are
    pub is_mapped: bool,
}

impl AgainstOutcome {
    /// Are all sets of the shipment here?
    pub fn is_all(&self) -> bool {
        self.absent.is_empty() && !self.end_unknown
    }
}

/// Why it cannot be done.
#[derive(Debug, thiserror::Error)]
pub enum AgainstJobError {
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Against(#[from] AgainstError),
}

pub fn against(job: &AgainstJob, monitor: &dyn Monitor) -> Result<AgainstOutcome, AgainstJobError> {
    let mut sets = open::one_shipment(&job.paths, monitor)?;
    let keys = unlock::unlock_and_report(&mut sets, &job.identities, &job.expect, monitor)?;
    let indexes: Vec<_> =
        sets.iter().zip(&keys).map(|(set, keys)| unlock::lazy(set, keys)).collect();
    let opened: Vec<OpenSet> = sets
        .iter()
        .zip(&keys)
        .zip(&indexes)
        .map(|((set, keys), record_index)| OpenSet { set, record_index, keys })
        .collect();
    let numbers: BTreeSet<u32> = sets.iter().map(|set| set.set.0).collect();
    let last = opened.last().expect("a shipment that was opened has a set");
    let end_unknown = note_end(last, monitor);
    let text = last.set.set_text(&Recording::default());
    let more = text.and_then(|text| text.further_sets()) == Some(true);
    let known = 1..=last.set.set.0 + u32::from(more);
    let mut outcome = AgainstOutcome {
        compared: Compared::default(),
        shipment: last.set.shipment.to_string(),
        roots: unlock::roots(&sets),
        absent: known.filter(|number| !numbers.contains(number)).collect(),
        sets: numbers.into_iter().collect(),
        end_unknown,
        is_mapped: Tree::open(&job.dir).is_ok_and(|tree| tree.has_name_list()),
    };
    let in_progress = matches!(Peek::open(&job.dir), Ok(Some(_)));
    if in_progress {
        monitor.note(&format!("a restore to {} is in progress", job.dir.display()));
    }
    let tree = Against {
        dir: &job.dir,
        selection: job.selection.as_ref(),
        metadata: job.metadata,
        ignored: in_progress.then_some(WORK.as_bytes()),
        is_all: outcome.is_all(),
    };
    outcome.compared = against::against(&opened, &tree, monitor)?;
    Ok(outcome)
}
