//! `pack`: scan, plan, pack, close, read back.

use crate::dataset::SourceError;
use crate::dataset::{self, Filter, FilterError, ScanError, ScanOptions, ScanTotals, Source};
use crate::drives::{self, Drive, DriveError, Level, LocalDrive, ReadMode, Room, detect};
use crate::entropy::{Entropy, random_id};
use crate::format::entry::entry_len;
use crate::format::ids::{RunId, SetNumber, ShipmentId};
use crate::format::label::{Label, checked_case};
use crate::host::frozen::{FrozenList, FrozenWriter};
use crate::host::{HostError, state_folder};
use crate::keys::RunKey;
use crate::keys::recipients::{KeyError, Recipients};
use crate::monitor::{Monitor, Phase, Problem, ProblemKind};
use crate::packer::{self, Checkpoint, PackError, Packed, SetDrive, SetJob, close};
use crate::plan::room::{self, DriveRoom, Geometry, Need, RoomError, SetPlan};
use crate::plan::survive::Survive;
use crate::sets::check::{DriveReport, check_drive};
use crate::sets::damage::{Damage, Verdict};
use crate::sets::open::{FoundDrive, HOLDALL};
use crate::sets::papers::check_papers;
use crate::sets::{Book, FoundSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use zeroize::Zeroizing;

/// What to pack and how.
pub struct PackOptions {
    /// the dataset
    pub source: PathBuf,
    /// case and path of each drive; slots are given in this order
    pub drives: Vec<(String, PathBuf)>,
    /// public keys
    pub recipients: Recipients,
    /// the rule; none: the default that the drives can keep
    pub survive: Option<Survive>,
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
}

/// Why a pack could not be begun, or stopped.
#[derive(Debug, thiserror::Error)]
pub enum PackJobError {
    /// A drive cannot be opened.
    #[error("{} cannot be used as a drive", path.display())]
    Drive {
        /// its path
        path: PathBuf,
        /// what the system said
        #[source]
        source: DriveError,
    },
    /// A drive was named twice.
    #[error("{} was given twice", path.display())]
    DriveTwice {
        /// its path
        path: PathBuf,
    },
    /// A case's name cannot be used.
    #[error("{case:?} is not a name for a case: 1 to 32 letters, digits, '.', '_' or '-'")]
    Case {
        /// the name
        case: String,
    },
    /// The source lies on a drive, or a drive in the source.
    #[error("{} lies inside {}", inner.display(), outer.display())]
    Inside {
        /// the inner path
        inner: PathBuf,
        /// the outer path
        outer: PathBuf,
    },
    /// A pattern cannot be used.
    #[error("a pattern after --exclude")]
    Filter(#[from] FilterError),
    /// The source cannot be scanned.
    #[error("scan the source")]
    Scan(#[from] ScanError),
    /// The source cannot be opened.
    #[error("open the source")]
    Source(#[from] SourceError),
    /// The host's state cannot be kept.
    #[error("keep the list of entries")]
    Host(#[from] HostError),
    /// There is no plan.
    #[error("there is no plan that keeps the rule {survive}")]
    Plan {
        /// the rule
        survive: Survive,
        /// why
        #[source]
        source: RoomError,
    },
    /// The run key cannot be wrapped.
    #[error("wrap the run key")]
    Key(#[from] KeyError),
    /// The system gives no random bytes.
    #[error("the system gives no random bytes")]
    System(#[from] io::Error),
    /// Packing stopped.
    #[error("packing stopped")]
    Pack(#[from] PackError),
}

/// A plan that is ready to be carried out.
pub struct Prepared<'a> {
    options: PackOptions,
    entropy: &'a dyn Entropy,
    list: FrozenList,
    source: Source,
    drives: Vec<SetDrive>,
    /// the plan
    pub plan: SetPlan,
    /// what the scan found
    pub totals: ScanTotals,
    /// was the rule the default
    pub survive_is_default: bool,
    /// bytes each drive has free, by slot from 1
    pub free_bytes: Vec<u64>,
    /// the shipment's id
    pub shipment: ShipmentId,
}

/// What was packed, and what the read-back says.
pub struct PackOutcome {
    /// the shipment
    pub shipment: ShipmentId,
    /// what was packed
    pub packed: Packed,
    /// what was read back from each drive; empty if that was not asked for
    pub reports: Vec<Option<DriveReport>>,
    /// does every stripe keep what it needs
    pub verdict: Option<Verdict>,
}

impl PackOutcome {
    /// Is everything written and proven?
    pub fn is_proven(&self) -> bool {
        let good = |r: &Option<DriveReport>| {
            r.as_ref().is_some_and(|r| r.is_whole() && r.level >= Level::Dropped)
        };
        self.reports.iter().all(good)
    }
}

/// Opens the drives, scans the source and plans; writes nothing to any drive.
pub fn prepare<'a>(
    options: PackOptions,
    entropy: &'a dyn Entropy,
    monitor: &dyn Monitor,
) -> Result<Prepared<'a>, PackJobError> {
    let drives = open_drives(&options, monitor)?;
    check_apart(&options)?;
    let filter = Filter::new(&options.exclude)?;
    let shipment = ShipmentId(random_id(entropy)?);
    monitor.phase(Phase::Scan, 0);
    let mut writer = FrozenWriter::create(&state_folder()?.join(format!("{shipment}.list")))?;
    let mut entry_bytes = 0;
    let scan_options = ScanOptions { filter, one_file_system: options.one_file_system };
    let totals = dataset::scan(&options.source, &scan_options, monitor, &mut |scanned| {
        entry_bytes += entry_len(&scanned.entry) as u64;
        writer.push(&scanned).map_err(ScanError::sink)
    })?;
    let list = writer.finish()?;
    let need = Need { data_bytes: totals.data_bytes, entries: totals.entries, entry_bytes };
    let planned = plan(&options, &drives, &need, monitor);
    let (plan, free_bytes) = match planned {
        Ok(planned) => planned,
        Err(e) => {
            list.remove()?;
            return Err(e);
        }
    };
    let source = Source::open(&options.source)?;
    let survive_is_default = options.survive.is_none();
    Ok(Prepared {
        options,
        entropy,
        list,
        source,
        drives,
        plan,
        totals,
        survive_is_default,
        free_bytes,
        shipment,
    })
}

fn open_drives(
    options: &PackOptions,
    monitor: &dyn Monitor,
) -> Result<Vec<SetDrive>, PackJobError> {
    let mut opened = Vec::new();
    let mut seen = Vec::new();
    for (case, path) in &options.drives {
        checked_case(case).map_err(|_| PackJobError::Case { case: case.clone() })?;
        let failed = |source| PackJobError::Drive { path: path.clone(), source };
        let drive = LocalDrive::open(path).map_err(failed)?;
        drive.check_writable().map_err(failed)?;
        let id = detect::folder_id(path);
        if id.is_some() && seen.contains(&id) {
            return Err(PackJobError::DriveTwice { path: path.clone() });
        }
        seen.push(id);
        let sets = drive.list(HOLDALL).map_err(failed)?;
        for set in sets.iter().filter(|s| s.contains('-')) {
            monitor.note(&format!("{} already carries set {set}; it stays", path.display()));
        }
        opened.push(SetDrive { drive: Arc::new(drive), case: case.clone() });
    }
    Ok(opened)
}

/// The source must not lie on a drive, nor a drive in the source.
fn check_apart(options: &PackOptions) -> Result<(), PackJobError> {
    let inside = |inner: &Path, outer: &Path| {
        if detect::inside(inner, outer).unwrap_or(false) {
            return Err(PackJobError::Inside { inner: inner.into(), outer: outer.into() });
        }
        Ok(())
    };
    for (_, path) in &options.drives {
        inside(&options.source, path)?;
        inside(path, &options.source)?;
    }
    Ok(())
}

/// The plan, and the bytes each drive has free.
fn plan(
    options: &PackOptions,
    drives: &[SetDrive],
    need: &Need,
    monitor: &dyn Monitor,
) -> Result<(SetPlan, Vec<u64>), PackJobError> {
    let mut rooms = Vec::new();
    for (d, (_, path)) in drives.iter().zip(&options.drives) {
        let failed = |source| PackJobError::Drive { path: path.clone(), source };
        rooms.push(d.drive.room().map_err(failed)?);
    }
    let mut cases: Vec<&str> = drives.iter().map(|d| d.case.as_str()).collect();
    cases.sort_unstable();
    cases.dedup();
    let mut drive_rooms = Vec::new();
    for (i, (drive, room)) in drives.iter().zip(&rooms).enumerate() {
        let sharing = rooms.iter().filter(|r| r.device == room.device).count() as u64;
        let case = cases.iter().position(|c| *c == drive.case).unwrap_or(0);
        drive_rooms.push(DriveRoom {
            slot: i as u16 + 1,
            case,
            free_bytes: room.free_bytes / sharing,
            unit_bytes: room.unit_bytes,
        });
    }
    let per_case: Vec<usize> =
        (0..cases.len()).map(|c| drive_rooms.iter().filter(|d| d.case == c).count()).collect();
    let survive = options.survive.unwrap_or_else(|| Survive::default_for(&per_case));
    let geometry = options.geometry.unwrap_or_else(|| Geometry::for_drives(drives.len()));
    let plan = room::plan(&drive_rooms, survive, geometry, need)
        .map_err(|source| PackJobError::Plan { survive, source })?;
    note_shared_devices(drives, &rooms, monitor);
    Ok((plan, drive_rooms.iter().map(|d| d.free_bytes).collect()))
}

/// Two drives on one device are one drive where losses are concerned: that is said, once a device.
fn note_shared_devices(drives: &[SetDrive], rooms: &[Room], monitor: &dyn Monitor) {
    let mut devices: Vec<u64> = rooms.iter().map(|r| r.device).collect();
    devices.sort_unstable();
    devices.dedup();
    for device in devices {
        let on_it = drives.iter().zip(rooms).filter(|(_, r)| r.device == device);
        let names: Vec<&str> = on_it.map(|(d, _)| d.drive.name()).collect();
        if names.len() > 1 {
            monitor.note(&format!(
                "{} are on one device: if it is lost, all of them are; its room is counted once",
                names.join(", ")
            ));
        }
    }
}

impl Prepared<'_> {
    /// Case and name of each drive, by slot from 1.
    pub fn drive_names(&self) -> Vec<(String, String)> {
        self.drives.iter().map(|d| (d.case.clone(), d.drive.name().to_string())).collect()
    }

    /// Carries the plan out.
    pub fn run(self, monitor: &dyn Monitor) -> Result<PackOutcome, PackJobError> {
        let set = SetNumber(1);
        let run = RunId(random_id(self.entropy)?);
        let mut secret = Zeroizing::new([0; 32]);
        self.entropy.fill(&mut *secret)?;
        let key = RunKey::new(*secret, self.shipment, set, run);
        let key_file = self.options.recipients.wrap(&key)?;
        let job = SetJob {
            shipment: self.shipment,
            set,
            run,
            key: &key,
            key_file,
            plan: &self.plan,
            drives: self.drives.clone(),
            level: self.options.level,
            checkpoint: self.options.checkpoint,
            name: self.options.name.clone(),
            contact: self.options.contact.clone(),
            entropy: self.entropy,
        };
        monitor.phase(Phase::Pack, self.totals.data_bytes);
        let packed = packer::pack(&job, self.list.iter(), &self.source, monitor);
        let packed = match packed {
            Ok(packed) => packed,
            Err(e) => {
                self.list.remove()?;
                return Err(e.into());
            }
        };
        let (reports, verdict) = if self.options.read_back && !packed.stopped {
            let (reports, verdict) = read_back(&job, &packed, monitor);
            (reports, Some(verdict))
        } else {
            (Vec::new(), None)
        };
        self.list.remove()?;
        Ok(PackOutcome { shipment: self.shipment, packed, reports, verdict })
    }
}

/// Reads every shard back from the medium, and notes on each drive how that went.
fn read_back(
    job: &SetJob,
    packed: &Packed,
    monitor: &dyn Monitor,
) -> (Vec<Option<DriveReport>>, Verdict) {
    let set = as_found(job, packed);
    let bytes = |found: &FoundDrive| packed.drive_bytes[found.label.slot.0 as usize - 1];
    monitor.phase(Phase::ReadBack, set.drives.iter().map(bytes).sum());
    let book = Book::open(&set, None, monitor);
    let text = set.set_text(monitor);
    for found in &set.drives {
        let drive = found.label.slot.0 as usize - 1;
        let name = format!("{} {}", found.label.case, found.drive.name());
        monitor.drive(drive, &name, packed.drive_bytes[drive]);
    }
    let reports = drives::on_each(set.drives.len(), |i| {
        let found = &set.drives[i];
        let slot = found.label.slot.0 as usize - 1;
        let progress = |bytes| {
            monitor.advance(bytes);
            monitor.drive_advance(slot, bytes);
        };
        let mode = ReadMode::Medium;
        let mut report = check_drive(found, &set.folder, &book, mode, monitor, &progress);
        if !report.vanished && !report.stopped {
            report.bad_papers = check_papers(found, &set, &book, text.as_ref(), monitor);
        }
        report
    });
    let mut by_slot: Vec<Option<DriveReport>> = vec![None; job.drives.len()];
    let mut damage =
        Damage { lost: set.missing_slots().into_iter().collect(), ..Damage::default() };
    for (found, report) in set.drives.iter().zip(reports) {
        for (stripe, index, bad) in &report.bad {
            damage.add(*stripe, *index, bad.clone());
        }
        if report.vanished {
            damage.lost.insert(found.label.slot);
        }
        if report.is_whole() && report.level < Level::Dropped {
            let detail = "the read-back may have come from a cache: re-plug the drive and run \
                          holdall verify";
            monitor.problem(Problem::new(ProblemKind::ReadBack, found.drive.name(), detail));
        }
        write_custody(job, found.drive.as_ref(), &report, monitor);
        by_slot[found.label.slot.0 as usize - 1] = Some(report);
    }
    let verdict = damage.judge(&book, monitor);
    (by_slot, verdict)
}

fn as_found(job: &SetJob, packed: &Packed) -> FoundSet {
    let failed: Vec<bool> = (0..job.drives.len()).map(|i| packed.failed.contains(&i)).collect();
    let path = format!("{}/label.json", job.folder());
    let read = |d: &SetDrive| d.drive.read(&path, crate::format::label::MAX_LABEL_BYTES);
    let labels: Vec<Vec<u8>> = job
        .drives
        .iter()
        .enumerate()
        .map(|(i, d)| {
            let on_drive = read(d).ok().filter(|bytes| Label::decode(bytes).is_ok());
            on_drive.unwrap_or_else(|| close::label(job, i))
        })
        .collect();
    close::found_set(job, &labels, &failed)
}

/// A note beside the set, outside its checklist and root: how its read-back went.
fn write_custody(job: &SetJob, drive: &dyn Drive, report: &DriveReport, monitor: &dyn Monitor) {
    let note = serde_json::json!({
        "what": "read-back",
        "time": job.entropy.now(),
        "level": report.level.name(),
        "shards": report.shards,
        "bytes": report.bytes,
        "bad_blocks": report.bad_blocks,
        "missing_shards": report.missing_shards,
        "bad_papers": report.bad_papers,
        "whole": report.is_whole(),
    });
    let folder = format!("{}/custody", job.folder());
    let path = format!("{folder}/read-back-{}.json", job.run);
    let made = drive.make_folder(&folder);
    if let Err(e) = made.and_then(|()| drive.commit(&path, format!("{note}\n").as_bytes())) {
        let detail = crate::sets::open::chain(&e);
        monitor.problem(Problem::new(ProblemKind::Drive, drive.name(), detail));
    }
}
