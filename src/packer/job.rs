//! What there is to pack, and where to: everything about a set but its content.

use crate::dataset::cursor::Cursor;
use crate::drives::Drive;
use crate::entropy::Entropy;
use crate::format::catalog::Index;
use crate::format::ids::{RunId, SetNumber, ShipmentId, Slot, set_folder};
use crate::format::label::{Label, PROGRAM, WHAT};
use crate::format::layout::HOLDALL;
use crate::format::list::Hash;
use crate::format::set::{PartLine, RunLine};
use crate::format::{FORMAT_VERSION, Suite};
use crate::keys::RunKey;
use crate::local_state::LocalStateError;
use crate::local_state::state::SetTotals;
use crate::plan::effort::Effort;
use crate::plan::room::SetPlan;
use std::sync::Arc;

/// One drive of the set that is packed.
#[derive(Clone)]
pub struct SetDrive {
    /// the drive; its slot is its position, from 1
    pub drive: Arc<dyn Drive>,
    /// the case it belongs to
    pub case: String,
}

/// When a record file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// after so many bytes a drive
    pub bytes: u64,
    /// and so many seconds
    pub seconds: u64,
}

impl Default for Checkpoint {
    fn default() -> Self {
        Self { bytes: 256 << 20, seconds: 30 }
    }
}

/// Where packing starts: at the beginning of a set, or after what earlier runs have packed of it.
#[derive(Clone, Debug, Default)]
pub struct ResumePoint {
    /// what is packed
    pub cursor: Cursor,
    /// what earlier runs have put on the set's drives; none for a set that is begun
    pub prior: Option<PriorRuns>,
    /// root of the set before
    pub before: Option<Hash>,
    /// drives of the set that are left out, by slot from 0
    pub left_out: Vec<usize>,
    /// nothing more is packed: the set is closed as it is
    pub close: bool,
}

/// What earlier runs have put on the drives of an unclosed set.
#[derive(Clone, Debug, Default)]
pub struct PriorRuns {
    /// the runs, in order
    pub runs: Vec<RunLine>,
    /// their catalog parts
    pub parts: Vec<PartLine>,
    /// the index over these
    pub index: Index,
    /// record and catalog files: path and BLAKE3
    pub files: Vec<(String, Hash)>,
    /// what they have counted
    pub tally: SetTotals,
}

/// What a commit makes count, reported to the journal before it is made.
#[derive(Debug)]
pub struct CommitPoint<'a> {
    /// what is packed
    pub cursor: &'a Cursor,
    /// the run so far
    pub run: RunLine,
    /// the catalog's index so far
    pub index: &'a Index,
    /// what was counted so far
    pub tally: &'a SetTotals,
}

/// Keeps a [`CommitPoint`] where a crash does not reach it.
pub type Journal<'a> = &'a (dyn Fn(&CommitPoint) -> Result<(), LocalStateError> + Sync);

/// Everything about the set but its content.
pub struct SetJob<'a> {
    pub shipment: ShipmentId,
    pub set: SetNumber,
    pub run: RunId,
    pub key: &'a RunKey,
    /// the bytes of its `key-<run>.age`
    pub key_file: Vec<u8>,
    /// sizes, rule and placement
    pub plan: &'a SetPlan,
    /// the drives by slot
    pub drives: Vec<SetDrive>,
    pub suite: Suite,
    /// shards that may wait for each drive, at least 1
    pub queue_depth: usize,
    pub level: Effort,
    /// when record files are written
    pub checkpoint: Checkpoint,
    /// the dataset's name
    pub name: String,
    /// whom to ask
    pub contact: String,
    pub resume: ResumePoint,
    /// is notified of every commit before it is made
    pub journal: Journal<'a>,
    /// randomness and time
    pub entropy: &'a dyn Entropy,
}

impl SetJob<'_> {
    /// The set's folder on a drive.
    pub fn folder(&self) -> String {
        format!("{HOLDALL}/{}", set_folder(self.shipment, self.set))
    }

    /// The labels of all drives. They differ in slot and case only, so that a lost one can be made
    /// again from another.
    pub fn labels(&self) -> Vec<Label> {
        let created = self.entropy.now();
        (0..self.drives.len()).map(|number| self.label(number, &created)).collect()
    }

    fn label(&self, number: usize, created: &str) -> Label {
        Label {
            what: WHAT.into(),
            format: FORMAT_VERSION.into(),
            program: PROGRAM.into(),
            shipment: self.shipment,
            set: self.set,
            slot: Slot(number as u16 + 1),
            drives: self.drives.len() as u16,
            case: self.drives[number].case.clone(),
            survive: self.plan.survive.to_string(),
            suite: self.suite.number(),
            chunk_bytes: self.plan.geometry.chunk_bytes,
            block_bytes: self.plan.geometry.catalog_block_bytes(),
            created: created.into(),
            name: self.name.clone(),
            contact: self.contact.clone(),
        }
    }
}
