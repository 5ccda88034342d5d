//! A plan that is ready to be carried out: packs one set, reads it back, and keeps this machine's
//! state of the shipment.
//!
//! Always holds: the state says that a set is closed only after its read-back.

use super::error::PackJobError;
use super::obstacles::wrong_state;
use super::outcome::PackOutcome;
use super::read_back;
use crate::dataset::{ScanTotals, Source};
use crate::entropy::{Entropy, random_id};
use crate::format::Suite;
use crate::format::ids::{RunId, SetNumber, ShipmentId, set_folder};
use crate::format::layout::HOLDALL;
use crate::keys::RunKey;
use crate::keys::recipients::Recipients;
use crate::local_state::ScanSnapshot;
use crate::local_state::state::{Mark, ShipmentState, StateFolder, UnclosedSet};
use crate::memory::Memory;
use crate::monitor::{Monitor, Phase};
use crate::opening::own_disks::OwnDisks;
use crate::packer::{self, Checkpoint, CommitPoint, ResumePoint, SetDrive, SetJob};
use crate::plan::room::SetPlan;
use crate::shipment::lock::{InUse, SetLocks};
use parking_lot::Mutex;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// A plan that is ready to be carried out.
pub struct Prepared<'a> {
    pub(super) entropy: &'a dyn Entropy,
    pub(super) recipients: Recipients,
    pub(super) folder: StateFolder,
    pub(super) state: ShipmentState,
    pub(super) list: ScanSnapshot,
    pub(super) source: Source,
    pub(super) drives: Vec<SetDrive>,
    pub(super) begin: ResumePoint,
    pub(super) locks: SetLocks,
    pub set: SetNumber,
    pub plan: SetPlan,
    /// was the rule the default
    pub survive_is_default: bool,
    /// bytes each drive has free, by slot from 1
    pub free_bytes: Vec<u64>,
    /// what packing may take
    pub memory: Memory,
    pub(super) checkpoint: Checkpoint,
    /// is the set read back once it is closed
    pub read_back: bool,
}

impl Prepared<'_> {
    pub fn shipment(&self) -> ShipmentId {
        self.state.shipment
    }

    /// The cipher of the shipment.
    pub fn suite(&self) -> Suite {
        self.state.asked.suite
    }

    /// May folders on this machine's own disks be drives?
    pub fn folder_drives(&self) -> bool {
        self.state.asked.folder_drives
    }

    /// Entries that are left to be packed.
    pub fn left_entries(&self) -> u64 {
        self.totals().entries.saturating_sub(self.begin.cursor.entries)
    }

    /// What the scan found.
    pub fn totals(&self) -> &ScanTotals {
        &self.state.totals
    }

    /// Case and name of each drive, by slot from 1.
    pub fn drive_names(&self) -> Vec<(String, String)> {
        self.drives.iter().map(|d| (d.case.clone(), d.drive.name().to_string())).collect()
    }

    /// Do the drives carry sets of other shipments, too?
    pub fn has_other_shipments(&self) -> bool {
        let own = format!("{}-", self.shipment());
        let is_other = |name: &String| name.contains('-') && !name.starts_with(&own);
        self.drives
            .iter()
            .any(|d| d.drive.list(HOLDALL).is_ok_and(|names| names.iter().any(is_other)))
    }

    /// The dataset's path.
    pub fn source_path(&self) -> PathBuf {
        PathBuf::from(&self.state.asked.source)
    }

    /// The cases of all sets of the shipment, this one too.
    pub fn cases(&self) -> Vec<String> {
        let mut cases = self.state.known_cases();
        cases.extend(self.drives.iter().map(|d| d.case.clone()));
        cases.sort_unstable();
        cases.dedup();
        cases
    }

    /// Bytes that earlier runs of the set have put on each drive, by slot from 1.
    pub fn bytes_before(&self) -> Vec<u64> {
        let earlier = self.begin.prior.as_ref();
        let mut bytes =
            earlier.map(|earlier| earlier.tally.drive_bytes.clone()).unwrap_or_default();
        bytes.resize(self.drives.len(), 0);
        bytes
    }

    /// Drives of the set that are left out, from 0.
    pub fn absent(&self) -> &[usize] {
        &self.begin.left_out
    }

    /// Does nothing of it: of a shipment that was only prepared, nothing stays.
    pub fn discard(self) -> Result<(), PackJobError> {
        if self.state.sets == 0 && self.state.unclosed.is_none() {
            self.folder.remove()?;
        }
        Ok(())
    }

    /// Carries the plan out: packs one set.
    pub fn run(mut self, monitor: &dyn Monitor) -> Result<PackOutcome, PackJobError> {
        let wrong = |_| wrong_state(self.shipment(), self.set);
        let level = self.state.asked.level.parse().map_err(wrong)?;
        if let Err(in_use) = self.lock_drives() {
            self.discard()?;
            return Err(in_use.into());
        }
        let run = RunId(random_id(self.entropy)?);
        let mut secret = Zeroizing::new([0; 32]);
        self.entropy.fill(&mut *secret)?;
        let key = RunKey::new(*secret, self.shipment(), self.set, run);
        let key_file = self.recipients.wrap(&key)?;
        self.state.unclosed = Some(self.unclosed(run));
        self.folder.save(&self.state)?;
        let state = Mutex::new(self.state);
        let keep = |step: &CommitPoint| {
            let mut state = state.lock();
            if let Some(set) = &mut state.unclosed {
                // The commit before was made, or this one would not be about to.
                set.committed = set.pending.take().unwrap_or_else(|| set.committed.clone());
                set.pending =
                    Some(Mark::new(step.cursor, step.run.clone(), step.index, step.tally));
            }
            self.folder.save_index(step.index)?;
            self.folder.save(&state)
        };
        let (asked, totals, shipment, before) = {
            let state = state.lock();
            (state.asked.clone(), state.totals, state.shipment, state.cursor.clone())
        };
        let (geometry, memory) = (self.plan.geometry, self.memory.for_shards());
        let job = SetJob {
            queue_depth: geometry.queue_depth(self.drives.len(), self.plan.survive, memory),
            shipment,
            set: self.set,
            run,
            key: &key,
            key_file,
            plan: &self.plan,
            drives: self.drives.clone(),
            suite: asked.suite,
            level,
            checkpoint: self.checkpoint,
            name: asked.name,
            contact: asked.contact,
            resume: self.begin,
            journal: &keep,
            entropy: self.entropy,
        };
        monitor.phase(Phase::Pack, self.plan.drive_bytes.iter().sum());
        let packed = packer::pack(&job, &self.list, &self.source, monitor)?;
        let (reports, verdict) = if self.read_back && !packed.stopped {
            let (reports, verdict) = read_back::read_back(&job, &packed, monitor);
            (reports, Some(verdict))
        } else {
            (Vec::new(), None)
        };
        let early = job.resume.close;
        let in_parts = before.open.is_some() || packed.cursor.open.is_some();
        let part_bytes = in_parts.then(|| packed.cursor.bytes.saturating_sub(before.bytes));
        let left = |all: u64, packed_so_far| {
            let ended = !packed.full && !packed.stopped;
            if ended { 0 } else { all.saturating_sub(packed_so_far) }
        };
        let new_entries = packed.cursor.entries.saturating_sub(before.entries);
        let left_bytes = left(totals.data_bytes, packed.cursor.bytes);
        let left_entries = left(totals.entries, packed.cursor.entries);
        let mut state = state.into_inner();
        if verdict.as_ref().is_some_and(|verdict| !verdict.restorable()) {
            // The state stays as it was before the set was closed, which it is not worth.
        } else if packed.full {
            state.closed(&packed.cursor, packed.root);
            self.folder.save(&state)?;
        } else if !packed.stopped {
            self.folder.remove()?;
        }
        let set = self.set;
        Ok(PackOutcome {
            shipment,
            packed,
            part_bytes,
            reports,
            verdict,
            set,
            left_bytes,
            left_entries,
            new_entries,
            early,
        })
    }

    /// The state of the set when this run begins.
    fn unclosed(&self, run: RunId) -> UnclosedSet {
        let blocks = self.plan.geometry.blocks;
        let mut set = self.state.unclosed.clone().unwrap_or_else(|| UnclosedSet {
            number: self.set,
            survive: self.plan.survive.to_string(),
            blocks: (blocks.bytes() as u32, blocks.count() as u32),
            cases: self.drives.iter().map(|d| d.case.clone()).collect(),
            runs: Vec::new(),
            begun: Vec::new(),
            committed: Mark { cursor: self.begin.cursor.clone(), ..Mark::default() },
            pending: None,
        });
        set.begun.push(run);
        set
    }

    /// Is a drive a folder on a disk of this machine?
    pub fn has_folder_drives(&self) -> bool {
        let own = OwnDisks::of(Some(Path::new(&self.state.asked.source)));
        self.drives.iter().any(|d| own.check(Path::new(d.drive.name())).is_err())
    }

    /// From here to the end nobody else changes what lies in the set's folders, or packs another
    /// set onto the drives, whose room is planned.
    fn lock_drives(&mut self) -> Result<(), InUse> {
        let folder = format!("{HOLDALL}/{}", set_folder(self.shipment(), self.set));
        let is_here = |(number, _): &(usize, &SetDrive)| !self.begin.left_out.contains(number);
        for (_, d) in self.drives.iter().enumerate().filter(is_here) {
            let _ = d.drive.make_folder(HOLDALL);
            self.locks.take(d.drive.as_ref(), HOLDALL)?;
            // A drive that refuses is noted with the first file.
            let _ = d.drive.make_folder(&folder);
            self.locks.take(d.drive.as_ref(), &folder)?;
        }
        Ok(())
    }
}
