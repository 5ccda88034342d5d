//! The drives of a set that is to be packed: opened, apart from the source, their room planned.

use super::error::PackJobError;
use crate::drives::{Drive, LocalDrive, Room, UnusableDrive, detect};
use crate::format::label::checked_case;
use crate::format::layout::HOLDALL;
use crate::memory::Memory;
use crate::monitor::Monitor;
use crate::opening::own_disks::OwnDisks;
use crate::packer::SetDrive;
use crate::plan::case_path::CasePath;
use crate::plan::geometry::{Geometry, SetSizes};
use crate::plan::place::{self, DRIVES_MAX, PlaceError, Placement};
use crate::plan::room::{self, DriveRoom, Need, RoomError, SetPlan};
use crate::plan::survive::Survive;
use std::path::Path;
use std::sync::Arc;

/// Opens the drives, by case and path. Notes the sets that they carry, except the one that is
/// resumed, and a case whose name is almost that of another.
pub fn open_drives(
    drives: &[CasePath],
    known_cases: &[String],
    resumed: Option<&str>,
    monitor: &dyn Monitor,
) -> Result<Vec<SetDrive>, PackJobError> {
    let mut opened = Vec::new();
    let mut seen = Vec::new();
    for CasePath { case, path } in drives {
        checked_case(case).map_err(|_| PackJobError::Case { case: case.clone() })?;
        let failed = UnusableDrive::at(path);
        let drive = LocalDrive::open(path).map_err(failed)?;
        drive.check_writable(&[HOLDALL]).map_err(failed)?;
        let id = detect::folder_id(path);
        if id.is_some() && seen.contains(&id) {
            return Err(PackJobError::DriveTwice { path: path.clone() });
        }
        seen.push(id);
        let sets = drive.list(HOLDALL).map_err(failed)?;
        let others = |set: &&String| set.contains('-') && Some(set.as_str()) != resumed;
        for set in sets.iter().filter(others) {
            monitor.note(&format!("{} already carries set {set}; it stays", path.display()));
        }
        let before = opened.iter().map(|d: &SetDrive| d.case.as_str());
        let cases = known_cases.iter().map(String::as_str).chain(before);
        if let Some(known) = similar_case(case, cases) {
            monitor.note(&format!("case {case} is not case {known}: is it meant to be another?"));
        } else if !known_cases.is_empty()
            && !known_cases.contains(case)
            && opened.iter().all(|d: &SetDrive| d.case != *case)
        {
            let known = known_cases.join(", ");
            monitor.note(&format!("case {case} is a new one: so far there are {known}"));
        }
        opened.push(SetDrive { drive: Arc::new(drive), case: case.clone() });
    }
    Ok(opened)
}

/// The name of a known case that differs from this one by the case of letters only, if this one is
/// not known.
pub fn similar_case<'a>(case: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let alike: Vec<&str> = known.filter(|known| known.eq_ignore_ascii_case(case)).collect();
    if alike.contains(&case) { None } else { alike.first().copied() }
}

/// The source must not lie on a drive, nor a drive in the source.
pub fn check_apart(source: &Path, drives: &[CasePath]) -> Result<(), PackJobError> {
    let inside = |inner: &Path, outer: &Path| {
        if detect::inside(inner, outer).unwrap_or(false) {
            return Err(PackJobError::Inside { inner: inner.into(), outer: outer.into() });
        }
        Ok(())
    };
    for CasePath { path, .. } in drives {
        inside(source, path)?;
        inside(path, source)?;
    }
    Ok(())
}

/// Every drive must be one of its own, unless folders on this machine's disks may be drives.
pub fn check_mounted(
    source: &Path,
    drives: &[CasePath],
    folder_drives: bool,
) -> Result<(), PackJobError> {
    if !folder_drives {
        let own = OwnDisks::of(Some(source));
        drives.iter().try_for_each(|drive| own.check(&drive.path))?;
    }
    Ok(())
}

/// What is asked of the plan of a set.
pub struct PlanRequest {
    /// the rule; none: the default that the drives can keep
    pub survive: Option<Survive>,
    /// sizes; none: what fits the number of drives
    pub geometry: Option<Geometry>,
    /// C of the sets before it
    pub chunk_bytes: Option<u32>,
    /// what packing may take
    pub memory: Memory,
    /// drives that are left out, by slot from 0
    pub left_out: Vec<usize>,
    /// bytes that closing the set takes on each drive for what earlier runs have put there; none:
    /// the set is not begun
    pub earlier_bytes: Option<u64>,
}

/// The plan, and the bytes each drive has free.
pub fn plan(
    request: &PlanRequest,
    drives: &[SetDrive],
    need: &Need,
    monitor: &dyn Monitor,
) -> Result<(SetPlan, Vec<u64>), PackJobError> {
    let mut rooms = Vec::new();
    for (number, d) in drives.iter().enumerate() {
        let failed = UnusableDrive::at(d.drive.name().as_ref());
        let left_out = request.left_out.contains(&number);
        rooms.push(if left_out { None } else { Some(d.drive.room().map_err(failed)?) });
    }
    let mut cases: Vec<&str> = drives.iter().map(|d| d.case.as_str()).collect();
    cases.sort_unstable();
    cases.dedup();
    let mut drive_rooms = Vec::new();
    for (i, (drive, room)) in drives.iter().zip(&rooms).enumerate() {
        let Some(room) = room else { continue };
        let case = cases.iter().position(|c| *c == drive.case).unwrap_or(0);
        drive_rooms.push(DriveRoom {
            slot: i as u16 + 1,
            case,
            free_bytes: free_bytes(room, rooms.iter().flatten())
                .saturating_sub(request.earlier_bytes.unwrap_or(0)),
            unit_bytes: room.unit_bytes,
        });
    }
    let per_case: Vec<usize> =
        (0..cases.len()).map(|c| drive_rooms.iter().filter(|d| d.case == c).count()).collect();
    let survive = request.survive.unwrap_or_else(|| Survive::default_for(&per_case));
    let of_plan = |source| PackJobError::Plan { survive, source };
    let memory = request.memory.for_shards();
    if drives.len() > DRIVES_MAX {
        let too_many = PlaceError::TooManyDrives { drives: drives.len() };
        return Err(of_plan(too_many.into()));
    }
    let largest = drive_rooms.iter().map(|d| d.free_bytes).max().unwrap_or(0);
    let chunk_bytes = request.chunk_bytes;
    let sizes = SetSizes { drives: drives.len(), survive, memory, largest, chunk_bytes };
    let fitting = || Geometry::for_set(&sizes).map_err(RoomError::from);
    let geometry = request.geometry.map_or_else(fitting, Ok).map_err(of_plan)?;
    let plan = if request.earlier_bytes.is_some() { room::plan_rest } else { room::plan };
    let is_room = |e: &RoomError| is_room(e, &drive_rooms, survive);
    let mut plan = plan(&drive_rooms, survive, geometry, need)
        .map_err(|e| if is_room(&e) { too_little(need, geometry) } else { e })
        .map_err(of_plan)?;
    plan.drive_bytes.resize(drives.len(), 0);
    note_shared_devices(drives, &rooms, monitor);
    let mut free = vec![0; drives.len()];
    drive_rooms.iter().for_each(|d| free[d.slot as usize - 1] = d.free_bytes);
    Ok((plan, free))
}

/// What a drive has free; drives on one device have equal parts of that.
pub fn free_bytes<'a>(room: &Room, all: impl Iterator<Item = &'a Room>) -> u64 {
    room.free_bytes / all.filter(|other| other.device == room.device).count().max(1) as u64
}

/// Is it that the drives are full? As many with room would keep the rule.
fn is_room(error: &RoomError, drives: &[DriveRoom], survive: Survive) -> bool {
    let room = |d: &DriveRoom| place::ShardRoom { slot: d.slot, case: d.case, shards: 1 };
    let rooms: Vec<_> = drives.iter().map(room).collect();
    matches!(error, RoomError::Place(PlaceError::RuleNeedsMore { .. }))
        && Placement::plan(&rooms, survive, None).is_ok()
}

fn too_little(need: &Need, geometry: Geometry) -> RoomError {
    let needed = need.payload_bytes(geometry).max(1);
    RoomError::TooLittle { needed, holds: 0, missing: needed }
}

/// Two drives on one device are one drive where losses are concerned: that is said, once a device.
fn note_shared_devices(drives: &[SetDrive], rooms: &[Option<Room>], monitor: &dyn Monitor) {
    let mut devices: Vec<u64> = rooms.iter().flatten().map(|r| r.device).collect();
    devices.sort_unstable();
    devices.dedup();
    for device in devices {
        let on_it = drives.iter().zip(rooms).filter(|(_, r)| r.is_some_and(|r| r.device == device));
        let names: Vec<&str> = on_it.map(|(d, _)| d.drive.name()).collect();
        if names.len() > 1 {
            monitor.note(&format!(
                "{} are on one device: if it is lost, all of them are; its room is counted once",
                names.join(", ")
            ));
        }
    }
}
