//! The drives of the machine in `fixtures/drives`, as if they were attached here.

use super::{Attached, Facts, SetHere, warnings};
use crate::drives::hardware::System;
use crate::drives::hardware::tests::machine;
use crate::drives::health::{Health, State};
use crate::drives::{Level, Proof, Room};
use crate::opening::own_disks::Own;
use std::path::Path;

const GB: u64 = 1_000_000_000;

/// All of them, with their warnings.
pub fn drives() -> Vec<Attached> {
    let root = tempfile::tempdir().unwrap();
    let system = machine(root.path());
    let mounts = system.mounted_drives().into_iter().enumerate();
    let mut drives: Vec<Attached> =
        mounts.map(|(number, mount)| attached(&system, mount, number as u64)).collect();
    warnings::add(&mut drives);
    drives
}

fn attached(system: &System, mount: crate::drives::detect::MountedDrive, number: u64) -> Attached {
    let hardware = system.hardware(&mount);
    let (path, disk) = (mount.point.clone(), hardware.disks[0].clone());
    let is = |point: &str| path == Path::new(point);
    let total = if is("/media/ann/STICK") { 61 * GB } else { 1000 * GB };
    let set = SetHere {
        set: "0123456789abcdef-001".into(),
        name: "survey".into(),
        case: "north".into(),
        slot: 1,
        created: "2026-03-01T12:00:00Z".into(),
    };
    let sets = if is("/media/ann/T5") { vec![set] } else { Vec::new() };
    let health = |state, detail: Option<&str>, bad_sectors| {
        Some(Health { state, detail: detail.map(Into::into), bad_sectors })
    };
    let level = if is("/media/ann/two") { Level::Cached } else { Level::Direct };
    let proof = if level == Level::Cached { Proof::Replug } else { Proof::Read };
    let facts = Facts {
        room: Room { free_bytes: total - GB, total_bytes: total, unit_bytes: 4096, device: number },
        level,
        proof,
        is_writable: !is("/mnt/image"),
        sets,
        in_use: is("/media/ann/T5 1").then(|| "holdall pack (process 4711)".into()),
    };
    Attached {
        is_partition: is("/boot/efi"),
        own: (disk == "nvme0n1").then_some(Own::Root),
        facts: (!is("/media/ann/vault")).then_some(Ok(facts)),
        health: match disk.as_str() {
            "sda" => health(State::Failing, Some("it expects to fail soon"), 24),
            "sdd" | "sdf" => health(State::Unknown, Some("it tells nothing of its health"), 0),
            "loop0" | "mmcblk0" => None,
            _ => health(State::Passed, None, 0),
        },
        busy: if disk == "sdb" { 34_000_000 } else { 0 },
        known_case: is("/media/ann/T5").then(|| "north".into()),
        warnings: Vec::new(),
        path,
        mount,
        hardware,
    }
}
