//! `pack`: scan, plan, pack, close, read back; and going on with further sets, or after a crash.

mod closing;
mod drives;
mod error;
mod go_on;
mod read_back;
mod source;
mod ways_on;

use crate::check::damage::Verdict;
use crate::check::drive::DriveReport;
use crate::dataset::{self, Filter, ScanError, ScanOptions, ScanTotals, Source};
use crate::drives::Level;
use crate::entropy::{Entropy, random_id};
use crate::format::Suite;
use crate::format::entry::entry_len;
use crate::format::ids::{RunId, SetNumber, ShipmentId};
use crate::keys::RunKey;
use crate::keys::recipients::Recipients;
use crate::local_state::state::{Asked, Mark, State, StateFolder, UnclosedSet};
use crate::local_state::{LocalStateError, ScanSnapshot, SnapshotWriter};
use crate::memory::Memory;
use crate::monitor::{Monitor, Phase};
use crate::packer::{self, Checkpoint, CommitPoint, Packed, ResumePoint, SetDrive, SetJob};
use crate::plan::case_path::CasePath;
use crate::plan::cipher::{CipherChoice, aes_is_fast};
use crate::plan::room::{Geometry, Need, SetPlan};
use crate::plan::survive::Survive;
use crate::shipment::lock::SetLocks;
use parking_lot::Mutex;
use serde::Serialize;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

pub use closing::{CloseError, Closed, Closing, close, to_close};
pub use drives::similar_case;
pub use error::PackJobError;
pub use go_on::{GoOn, Rest, Unproven, go_on, go_on_with};

/// What to pack and how.
pub struct PackOptions {
    pub source: PathBuf,
    pub recipients: Recipients,
    /// the rule; none: the default that the drives can keep
    pub survive: Option<Survive>,
    pub cipher: CipherChoice,
    /// zstd level
    pub level: i32,
    /// patterns to leave out
    pub exclude: Vec<String>,
    /// do not enter other file systems
    pub one_file_system: bool,
    /// the dataset's name
    pub name: String,
    /// whom to ask about a drive
    pub contact: String,
    /// when record files are written
    pub checkpoint: Checkpoint,
    /// read everything back at the end
    pub read_back: bool,
    /// sizes; none: what fits the number of drives
    pub geometry: Option<Geometry>,
    /// what it may take, which decides the sizes
    pub memory: Memory,
    /// folders on this machine's own disks may be drives
    pub folder_drives: bool,
}

impl PackJobError {
    /// Is another process at work on the shipment?
    pub fn is_busy(&self) -> bool {
        matches!(self, Self::LocalState(LocalStateError::Busy { .. }) | Self::InUse(_))
    }
}

/// A plan that is ready to be carried out.
pub struct Prepared<'a> {
    entropy: &'a dyn Entropy,
    recipients: Recipients,
    folder: StateFolder,
    state: State,
    list: ScanSnapshot,
    source: Source,
    drives: Vec<SetDrive>,
    begin: ResumePoint,
    locks: SetLocks,
    pub set: SetNumber,
    pub plan: SetPlan,
    /// was the rule the default
    pub survive_is_default: bool,
    /// bytes each drive has free, by slot from 1
    pub free_bytes: Vec<u64>,
    /// what packing may take
    pub memory: Memory,
    checkpoint: Checkpoint,
    read_back: bool,
}

/// What was packed, and what the read-back says.
#[derive(Serialize)]
pub struct PackOutcome {
    pub shipment: ShipmentId,
    #[serde(flatten)]
    pub packed: Packed,
    /// bytes of the dataset that are in the set, without holes; none if every file of the set lies
    /// in it whole
    pub part_bytes: Option<u64>,
    /// what was read back from each drive; empty if that was not asked for
    #[serde(skip)]
    pub reports: Vec<Option<DriveReport>>,
    /// does every stripe keep what it needs
    #[serde(skip)]
    pub verdict: Option<Verdict>,
    pub set: SetNumber,
    /// bytes of the dataset that wait for further sets, or for the rest of one that was stopped
    pub left_bytes: u64,
    /// entries that wait for them
    pub left_entries: u64,
    /// entries that this set has and none before; one that runs on counts where it ends
    #[serde(skip)]
    pub new_entries: u64,
    /// it was closed before its drives were full
    pub early: bool,
}

impl PackOutcome {
    /// Was the read-back stopped before its end? The set is closed all the same.
    pub fn read_back_stopped(&self) -> bool {
        self.reports.iter().flatten().any(|r| r.stopped)
    }

    /// Is everything written, and read back from the medium?
    pub fn is_proven(&self) -> bool {
        let good = |r: &Option<DriveReport>| {
            r.as_ref().is_some_and(|r| r.is_whole() && r.level >= Level::Dropped)
        };
        !self.reports.is_empty() && self.reports.iter().all(good)
    }

    /// Did the read-back find less than can be restored from?
    pub fn is_lost(&self) -> bool {
        self.verdict.as_ref().is_some_and(|verdict| !verdict.restorable())
    }
}

/// Opens the drives, scans the source and plans; writes nothing to any drive.
/// Slots are given in the drives' order. The state is kept in a folder of its own, or else where this
/// user's lies.
pub fn prepare<'a>(
    drives: &[CasePath],
    options: PackOptions,
    state: Option<&Path>,
    entropy: &'a dyn Entropy,
    monitor: &dyn Monitor,
) -> Result<Prepared<'a>, PackJobError> {
    drives::check_apart(&options.source, drives)?;
    drives::check_mounted(&options.source, drives, options.folder_drives)?;
    let opened = drives::open_drives(drives, &[], None, monitor)?;
    let folder = match state {
        None => StateFolder::of(ShipmentId(random_id(entropy)?))?,
        Some(within) => StateFolder::within(within, ShipmentId(random_id(entropy)?))?,
    };
    prepare_on(opened, folder, options, entropy, monitor)
}

/// The same with drives that are open, and the state in this folder.
pub fn prepare_on<'a>(
    opened: Vec<SetDrive>,
    folder: StateFolder,
    options: PackOptions,
    entropy: &'a dyn Entropy,
    monitor: &dyn Monitor,
) -> Result<Prepared<'a>, PackJobError> {
    let prepared = scan_and_plan(options, opened, &folder, entropy, monitor);
    if prepared.is_err() {
        folder.remove()?;
    }
    prepared
}

fn scan_and_plan<'a>(
    options: PackOptions,
    opened: Vec<SetDrive>,
    folder: &StateFolder,
    entropy: &'a dyn Entropy,
    monitor: &dyn Monitor,
) -> Result<Prepared<'a>, PackJobError> {
    let filter = Filter::new(&options.exclude)?;
    monitor.phase(Phase::Scan, 0);
    let mut writer = SnapshotWriter::create(&folder.list_path())?;
    let mut entry_bytes = 0;
    let scan_options = ScanOptions {
        filter: filter.clone(),
        one_file_system: options.one_file_system,
        own_folder: folder.of_all().map(|id| (id, "where holdall keeps its lists")),
    };
    let totals = dataset::scan(&options.source, &scan_options, monitor, &mut |scanned| {
        entry_bytes += entry_len(&scanned.entry) as u64;
        if monitor.should_stop() {
            return Err(ScanError::sink(PackJobError::Stopped));
        }
        writer.push(&scanned).map_err(ScanError::sink)
    });
    let totals = if monitor.should_stop() { Err(PackJobError::Stopped) } else { Ok(totals?) }?;
    for pattern in filter.without_effect() {
        monitor.note(&format!("--exclude {pattern} leaves nothing out"));
    }
    let list = writer.finish()?;
    let need = Need { data_bytes: totals.data_bytes, entries: totals.entries, entry_bytes };
    let wanted = drives::Asked {
        survive: options.survive,
        geometry: options.geometry,
        memory: options.memory,
        left_out: Vec::new(),
        earlier_bytes: None,
    };
    let (plan, free_bytes) = drives::plan(&wanted, &opened, &need, monitor)?;
    let source = Source::open(&options.source)?;
    let mut state = State::new(folder.shipment(), asked(&options)?, totals, entry_bytes);
    state.begun = entropy.now();
    Ok(Prepared {
        entropy,
        recipients: options.recipients,
        folder: folder.clone(),
        state,
        list,
        source,
        drives: opened,
        begin: ResumePoint::default(),
        locks: SetLocks::default(),
        set: SetNumber(1),
        plan,
        survive_is_default: options.survive.is_none(),
        free_bytes,
        memory: options.memory,
        checkpoint: options.checkpoint,
        read_back: options.read_back,
    })
}

/// What the state keeps of the options.
fn asked(options: &PackOptions) -> Result<Asked, PackJobError> {
    let sizes = |g: &Geometry| (g.chunk_bytes, g.blocks.bytes() as u32, g.blocks.count() as u32);
    Ok(Asked {
        source: std::path::absolute(&options.source)?.into(),
        recipients: options.recipients.words(),
        survive: options.survive.map(|rule| rule.to_string()),
        suite: options.cipher.suite(aes_is_fast()),
        level: options.level,
        name: options.name.clone(),
        contact: options.contact.clone(),
        checkpoint: (options.checkpoint.bytes, options.checkpoint.seconds),
        read_back: options.read_back,
        geometry: options.geometry.as_ref().map(sizes),
        folder_drives: options.folder_drives,
    })
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
            level: asked.level,
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
}
