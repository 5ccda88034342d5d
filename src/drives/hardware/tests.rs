//! A machine's trees as they were recorded: `fixtures/drives/machine.txt`.

use super::*;
use rstest::rstest;
use std::os::unix::fs::symlink;

/// Makes a tree of the fixture.
pub fn machine(root: &Path) -> System {
    for line in include_str!("../../../fixtures/drives/machine.txt").lines() {
        let path_of = |path: &str| {
            let path = root.join(path.trim().trim_start_matches('/'));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            path
        };
        match (line.split_once(" = "), line.split_once(" -> ")) {
            _ if line.starts_with('#') || line.is_empty() => {}
            (Some((path, text)), _) => fs::write(path_of(path), unescaped(text)).unwrap(),
            (_, Some((link, target))) => symlink(target, path_of(link)).unwrap(),
            _ => fs::write(path_of(line.trim_end_matches('=')), "").unwrap(),
        }
    }
    System::at(root)
}

/// `\n`, `\\` and `\x00`.
fn unescaped(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        rest = match (first, after) {
            (b'\\', [b'n', more @ ..]) => {
                bytes.push(b'\n');
                more
            }
            (b'\\', [b'\\', more @ ..]) => {
                bytes.push(b'\\');
                more
            }
            (b'\\', [b'x', a, b, more @ ..]) => {
                let digits = [*a, *b];
                let digits = std::str::from_utf8(&digits).unwrap();
                bytes.push(u8::from_str_radix(digits, 16).unwrap());
                more
            }
            _ => {
                bytes.push(first);
                after
            }
        };
    }
    bytes
}

fn hardware(point: &str) -> Hardware {
    let root = tempfile::tempdir().unwrap();
    let system = machine(root.path());
    let drives = system.mounted_drives();
    let drive = drives.iter().find(|drive| drive.point == Path::new(point)).unwrap();
    system.hardware(drive)
}

#[rstest]
#[case::nvme(
    "/",
    "nvme0n1",
    "WDC PC SN730 SDBQNTY-512G-1001",
    "20276Z802414",
    Connection::Nvme,
    31_507
)]
#[case::multipath(
    "/data",
    "nvme1n1",
    "Samsung SSD 990 PRO 2TB",
    "S6Z2NJ0W512345H",
    Connection::Nvme,
    63_015
)]
#[case::sata(
    "/media/ann/one",
    "sda",
    "WDC WD40EFRX-68N32N0",
    "WD-WCC7K1ABCDEF",
    Connection::Sata,
    6000
)]
#[case::ssd(
    "/media/ann/T5",
    "sdb",
    "Samsung Portable SSD T5",
    "12345689AB12",
    Connection::Usb,
    5000
)]
#[case::its_twin(
    "/media/ann/T5 1",
    "sdc",
    "Samsung Portable SSD T5",
    "12345689AB77",
    Connection::Usb,
    5000
)]
#[case::stick(
    "/media/ann/STICK",
    "sdd",
    "USB SanDisk 3.2Gen1",
    "03021418050724",
    Connection::Usb,
    480
)]
#[case::luks(
    "/media/ann/vault",
    "sde",
    "WD My Book 25EE",
    "32534B4A59364447",
    Connection::Usb,
    5000
)]
#[case::reader("/media/ann/CARD", "sdf", "Generic- SD/MMC", "", Connection::Usb, 480)]
#[case::card("/media/ann/PHOTOS", "mmcblk0", "SD128", "0x4c1b2a3d", Connection::Card, 0)]
#[case::image("/mnt/image", "loop0", "", "", Connection::Loop, 0)]
fn a_drive_is_told_by_what_the_system_shows(
    #[case] point: &str,
    #[case] disk: &str,
    #[case] model: &str,
    #[case] serial: &str,
    #[case] connection: Connection,
    #[case] mbit: u32,
) {
    let found = hardware(point);
    assert_eq!(found.disks, [disk]);
    assert_eq!(found.model.as_deref().unwrap_or_default(), model);
    assert_eq!(found.serial.as_deref().unwrap_or_default(), serial);
    assert_eq!((found.connection, found.mbit.unwrap_or_default()), (connection, mbit));
    let is_removable = matches!(connection, Connection::Usb | Connection::Card);
    assert_eq!(found.is_removable, is_removable);
    assert_eq!(found.is_encrypted, disk == "sde");
    // The stick is one of USB 3; the card reader is not.
    assert_eq!(found.is_throttled, disk == "sdd");
}

#[test]
fn a_drive_is_known_again_by_its_file_system_and_else_by_its_serial_number() {
    let key = |point: &str, name: &str, number: Option<u64>| {
        let file_system = name.into();
        let (numbers, source) = ((1, Vec::new()), Vec::new());
        let identity = (None, number);
        let mount = MountedDrive { point: point.into(), numbers, identity, file_system, source };
        hardware(point).key(&mount)
    };
    let vault = "uuid:0d0c1f6e-8a2b-4f6e-9a30-5b1c2d3e4f50";
    assert_eq!(key("/media/ann/T5", "exfat", Some(9)).unwrap(), "uuid:7A1B-22C3");
    assert_eq!(key("/media/ann/two", "fuseblk", None).unwrap(), "uuid:6E0C9E3B0C9DFF51");
    assert_eq!(key("/media/ann/vault", "btrfs", None).unwrap(), vault);
    assert_eq!(key("/media/ann/PHOTOS", "exfat", Some(9)).unwrap(), "serial:0x4c1b2a3d");
    assert_eq!(key("/mnt/image", "ext4", Some(0xab)).unwrap(), "id:00000000000000ab");
    // Where they are attached says nothing of cards in a reader, whose serial number is blank.
    assert_eq!(key("/media/ann/CARD", "vfat", Some(9)), None);
}

#[test]
fn disks_without_a_mount_and_disks_of_the_system_are_named() {
    let root = tempfile::tempdir().unwrap();
    let system = machine(root.path());
    let idle: Vec<_> =
        system.idle_disks().into_iter().map(|disk| (disk.name, disk.bytes)).collect();
    assert_eq!(idle, [("sdh".into(), 121_110_528 * 512)]);
    let own = system.disks_at(&[Path::new("/"), Path::new("/boot/efi"), Path::new("/home")]);
    assert_eq!(own.iter().map(|(disk, _)| disk.as_str()).collect::<Vec<_>>(), ["nvme0n1"; 2]);
    assert_eq!(system.sectors_moved("sdb"), Some(409_600 + 819_200));
    assert_eq!(system.sectors_moved("sdz"), None);
    // A machine that shows nothing.
    let nothing = System::at(root.path().join("nowhere"));
    assert!(nothing.mounted_drives().is_empty() && nothing.idle_disks().is_empty());
    assert_eq!(nothing.hardware(&system.mounted_drives()[0]), Hardware::default());
}
