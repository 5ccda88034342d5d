//! `drives`: what is attached, what the system tells of it, and what of ours lies on it; it is also
//! what `pack` offers.
//!
//! - Enters: the mount points that the kernel lists, or paths that were named.
//! - Leaves: each drive with what is known of it and what should be known before it is packed onto.
//! - Always holds: (1) nothing is written to any drive; (2) a drive that does not answer is listed as
//!   such, and delays the others for so long only.

mod attached;
#[cfg(test)]
pub mod recorded;
mod warnings;

use crate::drives::detect::{self, MountedDrive};
use crate::drives::hardware::{IdleDisk, System};
use crate::drives::health::{Health, Smartctl};
use crate::drives::{Drive, LocalDrive, each_within};
use crate::format::label::{Label, MAX_LABEL_BYTES};
use crate::format::layout::HOLDALL;
use crate::local_state::known_drives::KnownDrives;
use crate::opening::own_disks::OwnDisks;
use crate::plan::case_path::CasePath;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

pub use attached::{Attached, Facts, SetHere, Warning};

/// How long drives may take to tell what is asked of them.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long it is watched whether anything is read or written.
const WATCHED: Duration = Duration::from_millis(300);

/// All that is attached.
pub struct Listing {
    pub drives: Vec<Attached>,
    /// disks that are not mounted
    pub idle: Vec<IdleDisk>,
}

/// What is attached: everything, or what lies at these paths.
pub fn listing(paths: &[PathBuf]) -> Listing {
    let system = System::here();
    let mounts: Vec<(PathBuf, MountedDrive)> = if paths.is_empty() {
        let mounts = system.mounted_drives().into_iter();
        mounts.map(|mount| (mount.point.clone(), mount)).collect()
    } else {
        paths.iter().filter_map(|path| Some((path.clone(), detect::mount_at(path)?))).collect()
    };
    let before = Activity::now(&system, mounts.iter().map(|(_, mount)| mount));
    let mut drives = look_at(&system, mounts, None);
    before.watch(&system, &mut drives);
    warnings::add(&mut drives);
    let idle = if paths.is_empty() { system.idle_disks() } else { Vec::new() };
    Listing { drives, idle }
}

/// The same of drives that are to be offered, or that were named for packing; `source` is the dataset.
pub fn of_mounts(mounts: &[MountedDrive], source: Option<&Path>) -> Vec<Attached> {
    let mounts = mounts.iter().map(|mount| (mount.point.clone(), mount.clone())).collect();
    let mut drives = look_at(&System::here(), mounts, source);
    warnings::add(&mut drives);
    drives
}

/// What should be known of the drives that were named for packing, each with the path of its drive.
pub fn warnings_of(drives: &[CasePath], source: Option<&Path>) -> Vec<String> {
    let mounts = drives
        .iter()
        .filter_map(|drive| Some((drive.path.clone(), detect::mount_at(&drive.path)?)));
    let mut found = look_at(&System::here(), mounts.collect(), source);
    warnings::add(&mut found);
    let told = |drive: &Attached| -> Vec<String> {
        let is_news = |warning: &&Warning| !warning.is_told_by_packing;
        let text = |warning: &Warning| format!("{}: {}", drive.path.display(), warning.text);
        drive.warnings.iter().filter(is_news).map(text).collect()
    };
    found.iter().flat_map(told).collect()
}

/// The mounts that lie on no disk of this machine's own.
pub fn not_own(mounts: Vec<MountedDrive>, source: Option<&Path>) -> Vec<MountedDrive> {
    let system = System::here();
    let own = OwnDisks::of(source);
    mounts
        .into_iter()
        .filter(|mount| own.of_drive(&system, mount, &mount.point).is_none())
        .collect()
}

/// Remembers in which case each drive travels, by case and path, for the next time. That it cannot be
/// written is no matter.
pub fn remember(drives: &[(String, String)], now: &str) {
    let (system, own) = (System::here(), OwnDisks::of(None));
    let known = drives.iter().filter_map(|(case, path)| {
        let mount = detect::mount_at(path.as_ref())?;
        let is_own = own.of_drive(&system, &mount, path.as_ref()).is_some();
        let key = system.hardware(&mount).key(&mount).filter(|_| !is_own)?;
        Some((key, case.clone()))
    });
    KnownDrives::remember(known.collect(), now).ok();
}

/// What one thread asked.
enum Told {
    Facts(Result<Facts, String>),
    Health(Option<Health>),
}

fn look_at(
    system: &System,
    mounts: Vec<(PathBuf, MountedDrive)>,
    source: Option<&Path>,
) -> Vec<Attached> {
    let (own, known) = (OwnDisks::of(source), KnownDrives::load());
    let mut drives: Vec<Attached> = Vec::new();
    let mut disks: BTreeSet<String> = BTreeSet::new();
    for (path, mount) in mounts {
        let hardware = system.hardware(&mount);
        let is_partition = own.check(&path).is_ok();
        let own = own.of_drive(system, &mount, &path);
        let is_partition = is_partition && own.is_some();
        let known_case = hardware.key(&mount).and_then(|key| known.case_of(&key));
        if own.is_none() {
            disks.extend(hardware.disks.iter().cloned());
        }
        let (facts, health, busy, warnings) = (None, None, 0, Vec::new());
        drives.push(Attached {
            path,
            mount,
            hardware,
            own,
            is_partition,
            facts,
            health,
            busy,
            known_case,
            warnings,
        });
    }
    let disks: Vec<String> = disks.into_iter().collect();
    let paths: Vec<PathBuf> = drives.iter().map(|drive| drive.path.clone()).collect();
    let (asked, smartctl, count) = (disks.clone(), Smartctl::installed(), drives.len());
    let told = each_within(PATIENCE, count + disks.len(), move |number| match paths.get(number) {
        Some(path) => Told::Facts(facts(path)),
        None => Told::Health(smartctl.ask(&asked[number - paths.len()])),
    });
    let mut health: BTreeMap<String, Health> = BTreeMap::new();
    for (number, told) in told.into_iter().enumerate() {
        match told {
            Some(Told::Facts(facts)) => drives[number].facts = Some(facts),
            Some(Told::Health(Some(found))) => {
                health.insert(disks[number - count].clone(), found);
            }
            Some(Told::Health(None)) | None => {}
        }
    }
    for drive in &mut drives {
        // Of several disks, that which is worst.
        let of_disks = drive.hardware.disks.iter().filter_map(|disk| health.get(disk));
        drive.health = of_disks.max_by_key(|health| health.severity()).cloned();
        let last = drive.facts().and_then(|facts| facts.sets.last()).map(|set| set.case.clone());
        drive.known_case = drive.known_case.take().or(last);
    }
    drives
}

/// Opens a drive and asks it.
fn facts(path: &Path) -> Result<Facts, String> {
    let told = |error: crate::drives::DriveError| error.source.to_string();
    let drive = LocalDrive::open(path).map_err(told)?;
    let room = drive.room().map_err(told)?;
    let names = drive.list(HOLDALL).unwrap_or_default();
    let mut sets: Vec<SetHere> = names.iter().filter_map(|name| set_here(&drive, name)).collect();
    sets.sort_by(|one, other| one.created.cmp(&other.created));
    let mut folders = names.iter().filter(|name| name.contains('-'));
    Ok(Facts {
        room,
        level: drive.level(),
        proof: drive.proof(),
        is_writable: drive.check_writable(&[HOLDALL]).is_ok(),
        in_use: folders.find_map(|name| drive.user_of(&format!("{HOLDALL}/{name}"))),
        sets,
    })
}

/// What the label in a set's folder says.
fn set_here(drive: &LocalDrive, name: &str) -> Option<SetHere> {
    let copies = ["label.json", "copy/label.json"].map(|file| format!("{HOLDALL}/{name}/{file}"));
    let read = |path: &String| Label::decode(&drive.read(path, MAX_LABEL_BYTES).ok()?).ok();
    let label = copies
        .iter()
        .find_map(read)
        .filter(|label| crate::format::ids::set_folder(label.shipment, label.set) == name)?;
    let Label { name: dataset, case, slot, created, .. } = label;
    Some(SetHere { set: name.into(), name: dataset, case, slot: slot.0, created })
}

/// What was read from and written to disks so far.
struct Activity {
    begun: Instant,
    sectors: BTreeMap<String, u64>,
}

impl Activity {
    fn now<'m>(system: &System, mounts: impl Iterator<Item = &'m MountedDrive>) -> Self {
        let disks = mounts.flat_map(|mount| system.disks(mount));
        let moved = disks.filter_map(|disk| Some((system.sectors_moved(&disk)?, disk)));
        Self {
            begun: Instant::now(),
            sectors: moved.map(|(sectors, disk)| (disk, sectors)).collect(),
        }
    }

    /// Notes on each drive what was moved since, by whomever.
    fn watch(&self, system: &System, drives: &mut [Attached]) {
        std::thread::sleep(WATCHED.saturating_sub(self.begun.elapsed()));
        let seconds = self.begun.elapsed().as_secs_f64();
        for drive in drives {
            let moved = |disk: &String| {
                let before = self.sectors.get(disk)?;
                Some(system.sectors_moved(disk)?.saturating_sub(*before))
            };
            let sectors: u64 = drive.hardware.disks.iter().filter_map(moved).sum();
            drive.busy = (sectors as f64 * 512.0 / seconds) as u64;
        }
    }
}
