//! The drives of a plan: attached, listed, or imagined.

use super::error::PlanError;
use crate::drives::{LocalDrive, UnusableDrive, detect};
use crate::format::label::checked_case;
use crate::monitor::Monitor;
use crate::pack_session::PackJobError;
use crate::pack_session::drives::{check_apart, check_mounted, free_bytes, open_drives};
use crate::plan::case_path::CasePath;
use std::collections::BTreeMap;
use std::path::Path;

/// Which drives are planned for.
pub enum DriveChoice {
    Attached {
        drives: Vec<CasePath>,
        folder_drives: bool,
        /// those of later rounds of a plan, which need not be here
        later: Vec<PlanDrive>,
    },
    Listed(Vec<ListedDrive>),
    /// to be bought; without a number as many as are needed
    Imagined {
        cases: u32,
        per_case: Option<u32>,
        bytes: u64,
    },
}

/// A drive of an inventory.
pub struct ListedDrive {
    /// file and line
    pub place: String,
    pub case: String,
    /// a mount point, or a serial number
    pub drive: String,
    /// none: it is mounted, and has what is free there
    pub bytes: Option<u64>,
}

/// A drive that is planned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanDrive {
    pub case: String,
    /// its mount point or serial number; none of one that is imagined
    pub name: Option<String>,
    /// its size, or what is free on it
    pub bytes: u64,
    /// bytes that it has free for us
    pub free_bytes: u64,
    pub unit_bytes: u64,
}

/// Of a drive that is not mounted, what its file system is taken to leave for files: exFAT, NTFS, XFS
/// and btrfs leave 99 % and more.
const FREE_PERCENT: u64 = 99;
/// The cluster that exFAT drives are sold with.
pub(super) const UNIT_BYTES: u64 = 128 << 10;

/// The drives that were chosen.
pub fn find(
    choice: &DriveChoice,
    source: Option<&Path>,
    monitor: &dyn Monitor,
) -> Result<Vec<PlanDrive>, PlanError> {
    match choice {
        DriveChoice::Attached { drives, folder_drives, later } => {
            let nowhere = Path::new("");
            let drives = &CasePath::named(drives, &[]).map_err(PackJobError::from)?;
            if let Some(source) = source {
                check_apart(source, drives)?;
            }
            check_mounted(source.unwrap_or(nowhere), drives, *folder_drives)?;
            let mut all = attached(drives, monitor)?;
            all.extend_from_slice(later);
            Ok(all)
        }
        DriveChoice::Listed(listed) => inventory(listed),
        DriveChoice::Imagined { per_case, .. } => Ok(imagined(choice, per_case.unwrap_or(1))),
    }
}

fn attached(drives: &[CasePath], monitor: &dyn Monitor) -> Result<Vec<PlanDrive>, PlanError> {
    let opened = open_drives(drives, &[], None, monitor)?;
    let room = |drive: &crate::packer::SetDrive| {
        let failed = UnusableDrive::at(drive.drive.name().as_ref());
        drive.drive.room().map_err(|e| PackJobError::from(failed(e)))
    };
    let rooms = opened.iter().map(room).collect::<Result<Vec<_>, _>>()?;
    let of = |(drive, room): (&crate::packer::SetDrive, &crate::drives::Room)| {
        let free_bytes = free_bytes(room, rooms.iter());
        PlanDrive {
            case: drive.case.clone(),
            name: Some(drive.drive.name().into()),
            bytes: free_bytes,
            free_bytes,
            unit_bytes: room.unit_bytes,
        }
    };
    Ok(opened.iter().zip(&rooms).map(of).collect())
}

fn inventory(listed: &[ListedDrive]) -> Result<Vec<PlanDrive>, PlanError> {
    let drives = listed.iter().map(of_inventory).collect::<Result<Vec<_>, _>>()?;
    let mut seen = BTreeMap::new();
    for (drive, ListedDrive { place, .. }) in drives.iter().zip(listed) {
        let Some(name) = &drive.name else { continue };
        if let Some(first) = seen.insert(name, place) {
            let why = format!("{name} is listed twice: the first is {first}");
            return Err(PlanError::Inventory { place: place.clone(), why });
        }
    }
    Ok(drives)
}

fn of_inventory(listed: &ListedDrive) -> Result<PlanDrive, PlanError> {
    let wrong = |why: String| PlanError::Inventory { place: listed.place.clone(), why };
    let case = || PackJobError::Case { case: listed.case.clone() };
    checked_case(&listed.case).map_err(|_| wrong(case().to_string()))?;
    // Mount points are known by their full path; what is no path here is a serial number.
    let point = Path::new(&listed.drive);
    let is_path = listed.bytes.is_none() || listed.drive.contains('/');
    let full = point.canonicalize().ok().filter(|_| is_path);
    let point = full.unwrap_or_else(|| point.into());
    let (bytes, free_bytes, unit_bytes) = match listed.bytes {
        Some(bytes) => (bytes, usable(bytes), UNIT_BYTES),
        None => {
            if !detect::mounted().contains(&point) {
                let text = format!("{} is not mounted, and no size is given", listed.drive);
                return Err(wrong(text));
            }
            let drive = LocalDrive::open(&point);
            let room = drive.and_then(|drive| crate::drives::Drive::room(&drive));
            let room = room.map_err(|e| wrong(crate::format::shown::error_chain(&e)))?;
            (room.free_bytes, room.free_bytes, room.unit_bytes)
        }
    };
    let name = Some(point.display().to_string()).filter(|name| !name.is_empty());
    Ok(PlanDrive { case: listed.case.clone(), name, bytes, free_bytes, unit_bytes })
}

/// So many imagined drives in each case.
pub fn imagined(choice: &DriveChoice, per_case: u32) -> Vec<PlanDrive> {
    let DriveChoice::Imagined { cases, bytes, .. } = choice else { return Vec::new() };
    let drive = |case: u32| PlanDrive {
        case: case_name(case, *cases),
        name: None,
        bytes: *bytes,
        free_bytes: usable(*bytes),
        unit_bytes: UNIT_BYTES,
    };
    (0..*cases).flat_map(|case| vec![drive(case); per_case as usize]).collect()
}

fn usable(bytes: u64) -> u64 {
    (u128::from(bytes) * u128::from(FREE_PERCENT) / 100) as u64
}

/// Letters as far as they go.
fn case_name(number: u32, all: u32) -> String {
    match u8::try_from(number) {
        Ok(letter) if all <= 26 => char::from(b'a' + letter).to_string(),
        _ => format!("c{}", number + 1),
    }
}

/// The names of the cases, in the order in which they first come.
pub fn cases(drives: &[PlanDrive]) -> Vec<String> {
    let mut seen = std::collections::BTreeSet::new();
    let new = drives.iter().filter(|drive| seen.insert(drive.case.clone()));
    new.map(|drive| drive.case.clone()).collect()
}
