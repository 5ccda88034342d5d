//! `plan`: what a shipment will be, before anything is bought, attached or written.
//!
//! - Enters: a dataset or its size; drives that are attached, listed or imagined; ports, rule, rates.
//! - Leaves: sets and rounds, what each drive gets, what is missing, odds, times, other rules.
//! - Always holds: nothing is written, on drives or elsewhere.

mod drives;
mod error;
mod file;
mod rules;

pub use drives::{DriveChoice, ListedDrive, PlanDrive};
pub use error::PlanError;
pub use file::{Candidate, PlanFile, PlanFileError};
pub use rules::RuleRow;

use crate::dataset::{self, Contents, ScanError, ScanOptions, Source};
use crate::format::entry_coding::entry_len;
use crate::local_state::state_path;
use crate::measure::estimate::{Estimate, Sampler};
use crate::measure::figures::{Figures, speeds};
use crate::measure::predict::{RoundLoad, Speeds, Times};
use crate::memory::Memory;
use crate::monitor::{Monitor, Phase};
use crate::pack_session::PackJobError;
use crate::plan::odds::{LossRates, Odds};
use crate::plan::place::DRIVES_MAX;
use crate::plan::room::Need;
use crate::plan::sets::{PlannedSet, RoundError, ShipmentDrive, ShipmentPlan, ShipmentRequest};
use crate::plan::survive::Survive;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

/// What is to be planned.
pub struct PlanJob {
    pub dataset: Dataset,
    pub drives: DriveChoice,
    /// drives that are attached at a time; none: all that are attached now, or up to [`MOST_PORTS`]
    pub ports: Option<usize>,
    /// the rule; none: the default
    pub survive: Option<Survive>,
    pub rates: LossRates,
    /// what packing may take
    pub memory: Memory,
    /// read a sample of the source
    pub estimate: bool,
}

/// What is to be packed.
pub enum Dataset {
    /// what lies there
    Source { source: PathBuf, contents: Contents },
    /// so much
    Imagined { bytes: u64, files: Option<u64> },
}

/// Ports that a machine is taken to have if nothing is said.
pub const MOST_PORTS: usize = 16;
/// The most drives that are planned: each takes some kilobytes, and its part of a second.
pub const MOST_DRIVES: u64 = 20_000;
/// Bytes of a file, where only the size of a dataset is known.
const FILE_BYTES: u64 = 1_000_000;
/// Bytes of an entry in lists, and files to a folder, where nothing was scanned.
const ENTRY_BYTES: u64 = 120;
const FILES_PER_FOLDER: u64 = 20;

/// A plan, and all that people want to know of it.
pub struct Planned {
    /// entries, files, bytes without holes
    pub entries: u64,
    pub files: u64,
    pub data_bytes: u64,
    /// was the number of files assumed
    pub files_are_assumed: bool,
    pub drives: Vec<PlanDrive>,
    /// names of the cases, by their numbers
    pub cases: Vec<String>,
    pub ports: usize,
    pub plan: ShipmentPlan,
    pub rates: LossRates,
    pub odds: Odds,
    pub times: Times,
    /// with what the times were reckoned, and where from
    pub speeds: Speeds,
    pub cores: usize,
    pub figures: Option<Figures>,
    /// if the dataset was sampled
    pub estimate: Option<Likely>,
    /// the same for other rules
    pub rules: Vec<RuleRow>,
    /// bytes that the drives would hold, dealt to the cases by size, if that is worth the trouble
    pub dealt_bytes: Option<u64>,
    /// if it does not fit: drives more, and of which size, that would do
    pub drives_missing: Option<u64>,
    pub drive_bytes: u64,
    pub size_missing: Option<u64>,
}

/// What a sample of the dataset says.
pub struct Likely {
    pub estimate: Estimate,
    /// bytes that are stored, if the sample is off by its error
    pub stored_bytes: u64,
    /// do these fit
    pub fits: bool,
    /// drives that these need
    pub drives: usize,
}

impl Likely {
    fn of(
        estimate: Estimate,
        request: &ShipmentRequest,
        drives_needed: &dyn Fn(&ShipmentRequest) -> Option<usize>,
    ) -> Option<Self> {
        // Duplicates are not counted: of these, a sample only knows what seems to be so.
        let part = (estimate.ratio + estimate.error).min(1.0);
        let stored_bytes = (request.need.data_bytes as f64 * part) as u64;
        let need = Need { data_bytes: stored_bytes, ..request.need };
        let request = ShipmentRequest { need, ..request.clone() };
        let fits = request.plan().ok()?.missing_bytes == 0;
        let drives = drives_needed(&request).unwrap_or(request.drives.len());
        Some(Self { estimate, stored_bytes, fits, drives })
    }
}

/// What a dataset needs.
struct Needed {
    need: Need,
    files: Option<u64>,
    estimate: Option<Estimate>,
}

/// Plans a shipment.
pub fn plan(job: &PlanJob, monitor: &dyn Monitor) -> Result<Planned, PlanError> {
    let source = match &job.dataset {
        Dataset::Source { source, .. } => Some(source.as_path()),
        Dataset::Imagined { .. } => None,
    };
    let mut found = drives::find(&job.drives, source, monitor)?;
    let Needed { need, files, estimate } = need(job, monitor)?;
    let request = |drives: &[PlanDrive], cases: &[String]| {
        let room = |drive: &PlanDrive| ShipmentDrive {
            case: cases.iter().position(|case| *case == drive.case).unwrap_or(0),
            free_bytes: drive.free_bytes,
            unit_bytes: drive.unit_bytes,
        };
        ShipmentRequest {
            drives: drives.iter().map(room).collect(),
            ports: ports(job),
            survive: job.survive,
            memory: job.memory.for_shards(),
            need,
        }
    };
    let per_case = |count: u32| {
        let drives = drives::imagined(&job.drives, count);
        request(&drives, &drives::cases(&drives))
    };
    // As many as are wanted can be bought, the same number for each case; or these are all.
    let drives_needed = |of: &ShipmentRequest| {
        let DriveChoice::Imagined { per_case: None, cases, .. } = job.drives else {
            return of.drives_needed();
        };
        let like =
            |count| ShipmentRequest { survive: of.survive, need: of.need, ..per_case(count) };
        least_per_case(cases, like).map(|count| (count * cases) as usize)
    };
    if let DriveChoice::Imagined { per_case: None, cases, .. } = job.drives {
        let count = least_per_case(cases, per_case).ok_or_else(|| {
            let full = ports(job).min(DRIVES_MAX) as u32; // a full round
            no_number(cases, &per_case(full.div_ceil(cases)))
        })?;
        found = drives::imagined(&job.drives, count);
    }
    let cases = drives::cases(&found);
    let request = request(&found, &cases);
    let plan = request.plan().map_err(|round| no_plan(round, &request))?;
    let figures = Figures::last();
    let cores = rayon::current_num_threads();
    let speeds = speeds(figures.as_ref(), cores);
    let pinned = ShipmentRequest { survive: Some(plan.survive), ..request.clone() };
    let usual = request.drives.iter().copied().max_by_key(|drive| drive.free_bytes);
    let more = (plan.missing_bytes > 0).then_some(usual).flatten();
    Ok(Planned {
        entries: need.entries,
        files: files.unwrap_or(need.entries),
        files_are_assumed: matches!(job.dataset, Dataset::Imagined { files: None, .. }),
        data_bytes: need.data_bytes,
        ports: request.ports.min(found.len()).max(1),
        odds: plan.odds(job.rates),
        estimate: estimate.and_then(|estimate| Likely::of(estimate, &pinned, &drives_needed)),
        times: plan.sets.iter().map(|set| load(set).times(&speeds)).sum(),
        rules: rules::others(&request, &plan, cases.len(), job.rates, &drives_needed),
        dealt_bytes: dealt_bytes(&pinned, &plan),
        // With more drives the default may be another.
        drives_missing: more.and_then(|drive| request.drives_missing(drive)),
        drive_bytes: found.iter().map(|drive| drive.bytes).max().unwrap_or(0),
        size_missing: more.and_then(|_| pinned.size_missing()),
        rates: job.rates,
        plan,
        speeds,
        cores,
        figures,
        drives: found,
        cases,
    })
}

/// Drives that can be attached at a time.
fn ports(job: &PlanJob) -> usize {
    let attached = matches!(job.drives, DriveChoice::Attached { .. });
    job.ports.unwrap_or(if attached { DRIVES_MAX } else { MOST_PORTS })
}

/// The most drives in each case that are planned.
fn most_per_case(cases: u32) -> u32 {
    (MOST_DRIVES as u32 / cases).max(1)
}

/// Why there is none, with what would help.
fn no_plan(round: RoundError, request: &ShipmentRequest) -> PlanError {
    let ports = request.ports_missing();
    PlanError::Round { round, ports }
}

/// Why no number of drives holds it: a full round says so, if it is not the room.
fn no_number(cases: u32, full: &ShipmentRequest) -> PlanError {
    let drives = u64::from(most_per_case(cases)) * u64::from(cases);
    let too_little = |_| PlanError::NoNumber { drives };
    full.plan().map_or_else(|round| no_plan(round, full), too_little)
}

/// The least number of drives in each case with which all of it fits; none if none does.
fn least_per_case(cases: u32, request: impl Fn(u32) -> ShipmentRequest) -> Option<u32> {
    let most = most_per_case(cases);
    let fits = |count: u32| request(count).plan().is_ok_and(|plan| plan.missing_bytes == 0);
    let mut high = std::iter::successors(Some(1), |count| Some(most.min(count * 2)))
        .take(most.ilog2() as usize + 2)
        .find(|count| fits(*count))?;
    let mut low = high / 2;
    while low + 1 < high {
        let middle = low + (high - low) / 2;
        if fits(middle) { high = middle } else { low = middle }
    }
    Some(high)
}

/// What the dataset needs.
fn need(job: &PlanJob, monitor: &dyn Monitor) -> Result<Needed, PlanError> {
    let (source, contents) = match &job.dataset {
        Dataset::Source { source, contents } => (source, contents),
        Dataset::Imagined { bytes, files } => {
            let files = files.unwrap_or_else(|| bytes.div_ceil(FILE_BYTES));
            let entries = files.saturating_add(files / FILES_PER_FOLDER + 1);
            let entry_bytes = entries.saturating_mul(ENTRY_BYTES);
            let need = Need { data_bytes: *bytes, entries, entry_bytes };
            return Ok(Needed { need, files: Some(files), estimate: None });
        }
    };
    let own_folder = state_path().ok().and_then(|path| path.metadata().ok());
    let own_folder = own_folder.map(|f| ((f.dev(), f.ino()), "where holdall keeps its lists"));
    let options = ScanOptions { own_folder, ..contents.scan_options()? };
    let mut entry_bytes = 0;
    let mut sampler = job.estimate.then(Sampler::default);
    monitor.phase(Phase::Scan, 0);
    let totals = dataset::scan(source, &options, monitor, &mut |scanned| {
        entry_bytes += entry_len(&scanned.entry) as u64;
        if let Some(sampler) = &mut sampler {
            sampler.add(&scanned);
        }
        if monitor.should_stop() { Err(ScanError::sink(PackJobError::Stopped)) } else { Ok(()) }
    });
    let totals = if monitor.should_stop() { Err(PackJobError::Stopped)? } else { totals? };
    contents.note_without_effect(&options.filter, monitor);
    let estimate = match sampler {
        None => None,
        Some(sampler) => {
            monitor.phase(Phase::Bench, sampler.bytes());
            let opened = Source::open(source).map_err(PackJobError::from)?;
            Some(sampler.estimate(&opened, monitor))
        }
    };
    if monitor.should_stop() {
        Err(PackJobError::Stopped)?;
    }
    let need = Need { data_bytes: totals.data_bytes, entries: totals.entries, entry_bytes };
    Ok(Needed { need, files: Some(totals.files), estimate })
}

/// What a round of a set moves.
fn load(set: &PlannedSet) -> RoundLoad {
    let fullest = set.drive_bytes.iter().copied().max().unwrap_or(0) as f64;
    let data = set.shard_bytes.saturating_sub(set.across_bytes + set.along_bytes) as f64;
    let all = set.drive_bytes.iter().sum::<u64>().max(1) as f64;
    RoundLoad { plain: set.data_bytes as f64, all, fullest, data: fullest * data / all }
}

/// What the drives would hold if they were dealt to the cases by size; none if that is not a hundredth
/// more.
fn dealt_bytes(request: &ShipmentRequest, plan: &ShipmentPlan) -> Option<u64> {
    let dealt = request.dealt_by_size();
    let holds = dealt.plan().ok()?.holds_bytes;
    (holds > plan.holds_bytes + plan.holds_bytes / 100).then_some(holds)
}
