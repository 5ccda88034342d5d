//! What should be known of a drive before it is packed onto, because it is costly to learn later.

use super::attached::{Attached, Warning};
use crate::drives::Proof;
use crate::drives::hardware::{Connection, USB_2};
use crate::drives::health::State;
use crate::monitor::shown_bytes;

/// What a link gives of its nominal speed, at best.
const LINK_SHARE: f64 = 0.65;
/// A drive with less free room than this share of the largest is small.
const SMALL: u64 = 10;
/// Reading or writing so many bytes a second is somebody's work, and not ours.
const BUSY: u64 = 1_000_000;

/// Adds what is to be known of each drive, also beside the others.
pub(super) fn add(drives: &mut [Attached]) {
    let largest = largest_free(drives);
    let found: Vec<Vec<Warning>> = drives
        .iter()
        .map(|drive| {
            let alone = of_system(drive).into_iter().chain(of_device(drive));
            let beside = [shared(drive, drives), small(drive, largest)];
            alone.chain(beside.into_iter().flatten()).collect()
        })
        .collect();
    drives.iter_mut().zip(found).for_each(|(drive, found)| drive.warnings = found);
}

fn warning(kind: &'static str, text: impl Into<String>) -> Warning {
    Warning { kind, text: text.into(), is_told_by_packing: false }
}

fn told(kind: &'static str, text: impl Into<String>) -> Warning {
    Warning { kind, text: text.into(), is_told_by_packing: true }
}

fn largest_free(drives: &[Attached]) -> u64 {
    let others = drives.iter().filter(|drive| drive.own.is_none());
    others.filter_map(|drive| Some(drive.facts()?.room.free_bytes)).max().unwrap_or(0)
}

/// Whether it answers, whose it is, who is at work on it.
fn of_system(drive: &Attached) -> Vec<Warning> {
    let mut found = Vec::new();
    match &drive.facts {
        None => found.push(warning("no-answer", "it does not answer: it may be dying")),
        Some(Err(why)) => found.push(told("closed", format!("it cannot be opened: {why}"))),
        Some(Ok(facts)) => {
            if !facts.is_writable {
                found.push(told("read-only", "nothing can be written to it by this user"));
            }
            if let Some(user) = &facts.in_use {
                found.push(warning("in-use", format!("{user} is at work on it")));
            }
            if facts.proof == Proof::Elsewhere {
                let text = "a cache lies in between (a network or cloud mount): what is written \
                            can be proven only on the machine that the drive is attached to";
                found.push(told("not-proven", text));
            }
        }
    }
    match drive.own {
        Some(own) if drive.is_partition => {
            let text = format!("it is a partition of {own}: it travels only if that disk does");
            found.push(warning("own-disk", text));
        }
        // Refused, unless such folders are meant.
        Some(own) => {
            let text = format!("it is on {own}: what is packed there does not travel");
            found.push(told("own-disk", text));
        }
        None => {}
    }
    if drive.busy >= BUSY {
        let rate = shown_bytes(drive.busy);
        found.push(warning("busy", format!("another program reads or writes {rate}/s on it now")));
    }
    found
}

/// What its device and file system are good for.
fn of_device(drive: &Attached) -> Vec<Warning> {
    let mut found = Vec::new();
    if let Some(health) = &drive.health {
        if health.state == State::Failing {
            let why = health.detail.as_deref().unwrap_or("it expects to fail");
            found.push(warning("failing", format!("{why} (SMART): leave it at home")));
        }
        if health.bad_sectors > 0 {
            let count = health.bad_sectors;
            found
                .push(warning("sectors", format!("{count} of its sectors cannot be read (SMART)")));
        }
    }
    let hardware = &drive.hardware;
    if let Some(mbit) =
        hardware.mbit.filter(|mbit| *mbit <= USB_2 && hardware.connection == Connection::Usb)
    {
        let name = if mbit < USB_2 { "USB 1" } else { "USB 2" };
        let hours = hours_per_terabyte(mbit);
        let port = if hardware.is_throttled {
            "; the drive can do more: use a port and a cable of USB 3"
        } else {
            ""
        };
        let text = format!(
            "{name}: about {hours} hours for each TB, and as long again to read it back{port}"
        );
        found.push(warning("usb2", text));
    }
    if matches!(drive.mount.file_system.as_str(), "vfat" | "msdos") {
        let text = "FAT ends at 2 TB and keeps no journal: never unplug it before it is unmounted; \
                    exFAT or ext4 is better (holdall's files stay far below FAT's limit of 4 GB)";
        found.push(warning("fat", text));
    }
    found
}

/// Hours that a link needs for a terabyte, at best.
fn hours_per_terabyte(mbit: u32) -> u64 {
    let bytes_per_second = f64::from(mbit.max(1)) * 1e6 / 8.0 * LINK_SHARE;
    (1e12 / bytes_per_second / 3600.0).round() as u64
}

/// Another part of the same disk: if one is lost, both are.
fn shared(drive: &Attached, drives: &[Attached]) -> Option<Warning> {
    let is_other = |other: &&Attached| {
        other.mount.numbers.1 != drive.mount.numbers.1
            && other.own.is_none()
            && other.hardware.disks.iter().any(|disk| drive.hardware.disks.contains(disk))
    };
    drive.own.is_none().then_some(())?;
    let others: Vec<String> =
        drives.iter().filter(is_other).map(|other| other.path.display().to_string()).collect();
    let (disk, others) = (drive.hardware.disks.first()?, others.join(", "));
    (!others.is_empty()).then(|| {
        let text = format!(
            "it is a part of the same disk ({disk}) as {others}: whoever loses one loses both, so \
             pack onto one of them only"
        );
        warning("shared-disk", text)
    })
}

/// Room that is hardly worth its place in a case.
fn small(drive: &Attached, largest: u64) -> Option<Warning> {
    let free = drive.facts()?.room.free_bytes;
    let is_small = drive.own.is_none() && free < largest / SMALL;
    is_small.then(|| {
        let (free, largest) = (shown_bytes(free), shown_bytes(largest));
        warning("small", format!("{free} are free, and {largest} on the largest drive here"))
    })
}

#[cfg(test)]
mod tests;
