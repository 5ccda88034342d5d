//! The first set of a shipment: scan, and plan.
//!
//! - Enters: what to pack and how, and drives that are open.
//! - Leaves: a plan that is ready to be carried out.
//! - Always holds: nothing is written to any drive; if there is no plan, no state is left.

use super::drives;
use super::error::PackJobError;
use super::prepared::Prepared;
use crate::dataset::{self, Contents, ScanError, ScanOptions, Source};
use crate::entropy::Entropy;
use crate::format::entry_coding::entry_len;
use crate::format::ids::SetNumber;
use crate::keys::recipients::Recipients;
use crate::local_state::SnapshotWriter;
use crate::local_state::state::{PackRequest, ShipmentState, StateFolder};
use crate::memory::Memory;
use crate::monitor::{Monitor, Phase};
use crate::packer::{Checkpoint, ResumePoint, SetDrive};
use crate::plan::cipher::{CipherChoice, aes_is_fast};
use crate::plan::effort::Effort;
use crate::plan::geometry::Geometry;
use crate::plan::room::Need;
use crate::plan::survive::Survive;
use crate::shipment::lock::SetLocks;
use std::path::PathBuf;

/// What to pack and how.
#[derive(Clone)]
pub struct PackOptions {
    pub source: PathBuf,
    pub recipients: Recipients,
    /// the rule; none: the default that the drives can keep
    pub survive: Option<Survive>,
    pub cipher: CipherChoice,
    pub level: Effort,
    /// what of it
    pub contents: Contents,
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

/// Scans the source and plans its first set; slots are given in the drives' order. The state is
/// kept in this folder, which is removed if there is no plan.
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
    let scan_options = ScanOptions {
        own_folder: folder.of_all().map(|id| (id, "where holdall keeps its lists")),
        ..options.contents.scan_options()?
    };
    monitor.phase(Phase::Scan, 0);
    let mut writer = SnapshotWriter::create(&folder.list_path())?;
    let mut entry_bytes = 0;
    let totals = dataset::scan(&options.source, &scan_options, monitor, &mut |scanned| {
        entry_bytes += entry_len(&scanned.entry) as u64;
        if monitor.should_stop() {
            return Err(ScanError::sink(PackJobError::Stopped));
        }
        writer.push(&scanned).map_err(ScanError::sink)
    });
    let totals = if monitor.should_stop() { Err(PackJobError::Stopped) } else { Ok(totals?) }?;
    options.contents.note_without_effect(&scan_options.filter, monitor);
    let list = writer.finish()?;
    let need = Need { data_bytes: totals.data_bytes, entries: totals.entries, entry_bytes };
    let wanted = drives::PlanRequest {
        survive: options.survive,
        geometry: options.geometry,
        chunk_bytes: None,
        memory: options.memory,
        left_out: Vec::new(),
        earlier_bytes: None,
    };
    let (plan, free_bytes) = drives::plan(&wanted, &opened, &need, monitor)?;
    let source = Source::open(&options.source)?;
    let chunk_bytes = plan.geometry.chunk_bytes;
    let asked = asked(&options)?;
    let mut state = ShipmentState::new(folder.shipment(), asked, totals, entry_bytes, chunk_bytes);
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
fn asked(options: &PackOptions) -> Result<PackRequest, PackJobError> {
    let sizes = |g: &Geometry| (g.chunk_bytes, g.blocks.bytes() as u32, g.blocks.count() as u32);
    Ok(PackRequest {
        source: std::path::absolute(&options.source)?.into(),
        recipients: options.recipients.words(),
        survive: options.survive.map(|rule| rule.to_string()),
        suite: options.cipher.suite(aes_is_fast()),
        level: options.level.to_string(),
        name: options.name.clone(),
        contact: options.contact.clone(),
        checkpoint: (options.checkpoint.bytes, options.checkpoint.seconds),
        read_back: options.read_back,
        geometry: options.geometry.as_ref().map(sizes),
        folder_drives: options.folder_drives,
    })
}
