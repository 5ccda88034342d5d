//! What the system tells of the device under a mounted file system.
//!
//! - Enters: the kernel's trees `/proc`, `/sys` and `/dev` and udev's notes, all of them below one root:
//!   `/`, or in tests a folder with recorded ones.
//! - Leaves: the whole disks that hold a file system, their model, serial number and connection.
//! - Always holds: (1) only these trees are read and no device is opened, so a drive that is dying
//!   delays nothing here; (2) what the system does not tell is none, and never guessed.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::detect::{self, MountedDrive};

/// Devices that are made of others lie at most so deep.
const LAYERS: u32 = 8;
/// What a link of USB 2 can do at most, in megabits per second.
pub const USB_2: u32 = 480;

/// Where the system's own trees lie.
pub struct System {
    root: PathBuf,
}

/// How a device is attached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Connection {
    Usb,
    Sata,
    Nvme,
    /// an SD card in a reader that is part of the machine
    Card,
    Virtio,
    /// a file that is mounted
    Loop,
    /// none that is known
    #[default]
    Other,
}

/// The device under a file system, as far as the system tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hardware {
    /// the kernel's names of the whole disks; none on a network, several under RAID
    pub disks: Vec<String>,
    pub model: Option<String>,
    pub serial: Option<String>,
    /// of the file system
    pub uuid: Option<String>,
    /// the file system's name by what lies on the device: a FUSE mount does not tell
    pub file_system: Option<String>,
    pub connection: Connection,
    /// megabits per second of its link
    pub mbit: Option<u32>,
    /// it could do more than the port or the cable that it is in
    pub is_throttled: bool,
    /// there is encryption between the file system and the disk
    pub is_encrypted: bool,
    /// it can be unplugged while the machine runs
    pub is_removable: bool,
}

/// A disk that can be unplugged and is not mounted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdleDisk {
    /// `sdb`
    pub name: String,
    pub model: Option<String>,
    pub bytes: u64,
}

/// A device below a file system.
struct Layers {
    /// folders of whole disks in `/sys`, by name
    disks: BTreeMap<String, PathBuf>,
    is_encrypted: bool,
}

impl Layers {
    /// Down to the whole disks.
    fn below(block: &Path) -> Self {
        let mut found = Self { disks: BTreeMap::new(), is_encrypted: false };
        descend(block, LAYERS, &mut found);
        found
    }
}

impl System {
    /// This machine.
    pub fn here() -> Self {
        Self::at("/")
    }

    /// One whose trees were recorded.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The mount points of the file systems that can be drives.
    pub fn mounted_drives(&self) -> Vec<MountedDrive> {
        let list = fs::read(self.root.join("proc/self/mountinfo")).unwrap_or_default();
        detect::drives_of(&list)
    }

    /// What is under a mount.
    pub fn hardware(&self, mount: &MountedDrive) -> Hardware {
        let Some(block) = self.block(mount) else { return Hardware::default() };
        let layers = Layers::below(&block);
        let notes = self.udev(&block);
        let uuid = notes.get("ID_FS_UUID").cloned().or_else(|| self.uuid(&block));
        let file_system = notes.get("ID_FS_TYPE").cloned();
        let first = layers.disks.values().next().map(|disk| self.disk(disk)).unwrap_or_default();
        let is_encrypted = layers.is_encrypted;
        let disks = layers.disks.into_keys().collect();
        Hardware { disks, uuid, file_system, is_encrypted, ..first }
    }

    /// The whole disks on which a mount lies.
    pub fn disks(&self, mount: &MountedDrive) -> Vec<String> {
        let layers = self.block(mount).map(|block| Layers::below(&block));
        layers.map(|layers| layers.disks.into_keys().collect()).unwrap_or_default()
    }

    /// The disks of file systems that are mounted at these points.
    pub fn disks_at(&self, points: &[&Path]) -> Vec<(String, PathBuf)> {
        let list = fs::read(self.root.join("proc/self/mountinfo")).unwrap_or_default();
        let mounts = detect::all_mounts(&list).into_iter();
        let of = mounts.filter(|mount| points.contains(&mount.point.as_path()));
        of.flat_map(|mount| {
            let disks = self.disks(&mount).into_iter();
            disks.map(|disk| (disk, mount.point.clone())).collect::<Vec<_>>()
        })
        .collect()
    }

    /// Disks that can be unplugged and hold no file system that is mounted.
    pub fn idle_disks(&self) -> Vec<IdleDisk> {
        let list = fs::read(self.root.join("proc/self/mountinfo")).unwrap_or_default();
        let mounts = detect::all_mounts(&list);
        let used: Vec<String> = mounts.iter().flat_map(|mount| self.disks(mount)).collect();
        let mut idle: Vec<IdleDisk> = names(&self.root.join("sys/block"))
            .into_iter()
            .filter(|name| !used.contains(name))
            .filter_map(|name| {
                let disk = fs::canonicalize(self.root.join("sys/block").join(&name)).ok()?;
                // A card reader without a card has no sectors.
                let sectors: u64 = text(&disk.join("size"))?.parse().ok()?;
                let found = self.disk(&disk);
                let bytes = sectors.saturating_mul(512);
                (bytes > 0 && found.is_removable).then_some(IdleDisk {
                    name,
                    model: found.model,
                    bytes,
                })
            })
            .collect();
        idle.sort_by(|one, other| one.name.cmp(&other.name));
        idle
    }

    /// Sectors that were read from and written to a disk since it was attached.
    pub fn sectors_moved(&self, disk: &str) -> Option<u64> {
        let text = text(&self.root.join("sys/class/block").join(disk).join("stat"))?;
        let numbers: Vec<u64> = text.split_whitespace().filter_map(|n| n.parse().ok()).collect();
        Some(numbers.get(2)?.saturating_add(*numbers.get(6)?))
    }

    /// The folder in `/sys` of the device that is mounted.
    fn block(&self, mount: &MountedDrive) -> Option<PathBuf> {
        let number = std::str::from_utf8(&mount.numbers.1).ok()?;
        let by_number = fs::canonicalize(self.root.join("sys/dev/block").join(number)).ok();
        // btrfs, and FUSE drivers that were not started by root, have a number of no device.
        by_number.or_else(|| {
            let source = std::str::from_utf8(&mount.source).ok()?.strip_prefix('/')?;
            let device = fs::canonicalize(self.root.join(source)).ok()?;
            let below = self.root.join("sys/class/block").join(device.file_name()?);
            device.starts_with(self.root.join("dev")).then(|| fs::canonicalize(below).ok())?
        })
    }

    /// What is told of a whole disk.
    fn disk(&self, disk: &Path) -> Hardware {
        let name = disk.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let device = fs::canonicalize(disk.join("device")).unwrap_or_else(|_| disk.into());
        let notes = self.udev(disk);
        let usb = device.ancestors().find(|above| above.join("idVendor").is_file());
        let connection = connection(&name, &device, usb.is_some());
        let mbit = match connection {
            Connection::Usb => usb.and_then(usb_speed),
            Connection::Sata => sata_speed(&device),
            Connection::Nvme => nvme_speed(&device),
            _ => None,
        };
        let is_throttled = mbit.is_some_and(|mbit| mbit <= USB_2) && usb.is_some_and(is_usb_3);
        let serial = notes.get("ID_SERIAL_SHORT").cloned();
        let serial = serial.or_else(|| usb.and_then(|usb| text(&usb.join("serial"))));
        let serial = serial.or_else(|| own_serial(disk, &device)).filter(|text| !is_blank(text));
        let is_removable = matches!(connection, Connection::Usb | Connection::Card)
            || text(&disk.join("removable")).as_deref() == Some("1");
        Hardware {
            model: model(&device, usb, &notes),
            serial,
            connection,
            mbit,
            is_throttled,
            is_removable,
            ..Hardware::default()
        }
    }

    /// What udev noted of a device; empty without udev.
    fn udev(&self, block: &Path) -> BTreeMap<String, String> {
        let number = text(&block.join("dev")).unwrap_or_default();
        let notes = text(&self.root.join(format!("run/udev/data/b{number}"))).unwrap_or_default();
        let line = |line: &str| {
            let (name, value) = line.strip_prefix("E:")?.split_once('=')?;
            Some((name.to_owned(), value.trim().to_owned()))
        };
        notes.lines().filter_map(line).filter(|(_, value)| !value.is_empty()).collect()
    }

    /// The UUID of the file system on a device, by the links that name devices by it.
    fn uuid(&self, block: &Path) -> Option<String> {
        let folder = self.root.join("dev/disk/by-uuid");
        names(&folder).into_iter().find(|uuid| {
            let device = fs::canonicalize(folder.join(uuid));
            device.is_ok_and(|device| device.file_name() == block.file_name())
        })
    }
}

fn descend(block: &Path, layers: u32, found: &mut Layers) {
    let is_crypt = |uuid: String| uuid.starts_with("CRYPT-");
    found.is_encrypted |= text(&block.join("dm/uuid")).is_some_and(is_crypt);
    let below = names(&block.join("slaves"));
    if layers > 0 && !below.is_empty() {
        for name in below {
            if let Ok(block) = fs::canonicalize(block.join("slaves").join(name)) {
                descend(&block, layers - 1, found);
            }
        }
        return;
    }
    let is_partition = block.join("partition").is_file();
    let disk = if is_partition { block.parent().unwrap_or(block) } else { block };
    if let Some(name) = disk.file_name() {
        found.disks.insert(name.to_string_lossy().into_owned(), disk.into());
    }
}

fn connection(name: &str, device: &Path, is_usb: bool) -> Connection {
    let is_below = |start: &str| {
        let number = |part: &str| part.strip_prefix(start)?.parse::<u32>().ok();
        device.iter().any(|part| part.to_str().and_then(number).is_some())
    };
    match name {
        _ if name.starts_with("loop") => Connection::Loop,
        _ if is_usb => Connection::Usb,
        _ if name.starts_with("nvme") => Connection::Nvme,
        _ if name.starts_with("mmcblk") && text(&device.join("type")).as_deref() == Some("SD") => {
            Connection::Card
        }
        _ if is_below("ata") => Connection::Sata,
        _ if is_below("virtio") => Connection::Virtio,
        _ => Connection::Other,
    }
}

/// Vendor and model, or what the maker of the USB device calls it.
fn model(device: &Path, usb: Option<&Path>, notes: &BTreeMap<String, String>) -> Option<String> {
    let of = |name: &str| text(&device.join(name)).filter(|text| !is_blank(text));
    // Disks behind SATA have no vendor, and models that are cut off at 16 letters.
    let vendor = of("vendor").filter(|vendor| vendor != "ATA" && !vendor.starts_with("0x"));
    let whole = || Some(notes.get("ID_MODEL")?.replace('_', " ").trim().to_owned());
    let own = match (of("vendor").as_deref(), usb) {
        (Some("ATA"), _) => whole().or_else(|| of("model")),
        _ => of("model").or_else(|| of("name")),
    };
    let own = own.or_else(|| usb.and_then(|usb| text(&usb.join("product")))).or_else(whole)?;
    let vendor = vendor.filter(|vendor| !own.starts_with(vendor.as_str()));
    let words = vendor.iter().map(String::as_str).chain([own.as_str()]);
    Some(words.flat_map(str::split_whitespace).collect::<Vec<_>>().join(" "))
}

/// A serial number that the disk itself tells.
fn own_serial(disk: &Path, device: &Path) -> Option<String> {
    text(&device.join("serial")).or_else(|| text(&disk.join("serial"))).or_else(|| {
        // Four bytes of a head, then letters.
        let page = fs::read(device.join("vpd_pg80")).ok()?;
        Some(String::from_utf8_lossy(page.get(4..)?).trim().to_owned())
    })
}

fn usb_speed(usb: &Path) -> Option<u32> {
    let mbit: f64 = text(&usb.join("speed"))?.parse().ok()?;
    Some(mbit.ceil() as u32)
}

/// Does it speak USB 3 too? Devices of USB 2.1 are those of USB 3 on a link that is slower.
fn is_usb_3(usb: &Path) -> bool {
    let version = text(&usb.join("version")).and_then(|text| text.parse::<f32>().ok());
    version.is_some_and(|version| version > 2.05)
}

/// `6.0 Gbps` of the link that has the port's number.
fn sata_speed(device: &Path) -> Option<u32> {
    let is_port = |path: &&Path| {
        let name = path.file_name().and_then(|name| name.to_str());
        name.and_then(|name| name.strip_prefix("ata")?.parse::<u32>().ok()).is_some()
    };
    let port = device.ancestors().find(is_port)?;
    let link = port.file_name()?.to_str()?.replace("ata", "link");
    let speed = text(&port.join(&link).join("ata_link").join(&link).join("sata_spd"))?;
    let gbit: f64 = speed.strip_suffix("Gbps")?.trim().parse().ok()?;
    Some((gbit * 1000.0) as u32)
}

/// Of the link above the controller: `8.0 GT/s PCIe`, times its lanes.
fn nvme_speed(device: &Path) -> Option<u32> {
    // Of a subsystem, that of its first controller.
    let is_controller = |name: &String| {
        name.strip_prefix("nvme").is_some_and(|number| number.parse::<u32>().is_ok())
    };
    let controller = names(device).into_iter().find(is_controller);
    let controller = controller.and_then(|name| fs::canonicalize(device.join(name)).ok());
    let device = controller.as_deref().unwrap_or(device);
    let link = device.ancestors().find(|above| above.join("current_link_speed").is_file())?;
    let speed = text(&link.join("current_link_speed"))?;
    let transfers: f64 = speed.split_whitespace().next()?.parse().ok()?;
    let lanes: f64 = text(&link.join("current_link_width"))?.parse().ok()?;
    // Eight bits in ten up to 5 GT/s, 128 in 130 above.
    let share = if transfers < 6.0 { 0.8 } else { 128.0 / 130.0 };
    Some((transfers * lanes * share * 1000.0) as u32)
}

/// What makers write who write nothing.
fn is_blank(text: &str) -> bool {
    text.chars().all(|c| c == '0' || c.is_whitespace())
}

/// A file of one line, without the spaces around it; none if it is not there or empty.
fn text(path: &Path) -> Option<String> {
    let bytes = fs::read(path).ok()?;
    let text = String::from_utf8_lossy(&bytes).trim().trim_matches('\0').trim().to_owned();
    (!text.is_empty()).then_some(text)
}

/// The names in a folder, sorted.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<String> =
        entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort_unstable();
    names
}

impl Hardware {
    /// What tells the drive from every other, also when it is attached again; none if nothing does.
    /// The file system's own number comes first: a card reader has one serial number for all cards.
    pub fn key(&self, mount: &MountedDrive) -> Option<String> {
        if let Some(uuid) = &self.uuid {
            return Some(format!("uuid:{uuid}"));
        }
        // These derive their number from their UUID; others from where they are attached.
        let is_own = matches!(mount.file_system.as_str(), "ext2" | "ext3" | "ext4" | "btrfs");
        match (mount.identity.1, &self.serial) {
            (Some(number), _) if is_own && number != 0 => Some(format!("id:{number:016x}")),
            (_, Some(serial)) => Some(format!("serial:{serial}")),
            _ => None,
        }
    }
}

#[cfg(test)]
pub mod tests;
