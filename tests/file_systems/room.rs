//! Room: what does not fit is refused before a byte is written, and what is said to fit fits, on
//! every file system and to its brim.

use crate::common::mounted::FileSystem::{self, Btrfs, Exfat, Ext4, Ntfs, Xfs};
use crate::common::mounted::{Memory, Mounted};
use crate::common::random::Random;
use crate::common::shipment::Shipment;
use crate::common::tree;
use rstest::rstest;
use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;

/// What the planner may not know to the byte: the names and lists of a dataset that uses so much.
fn margin(holds: u64) -> u64 {
    (64 << 10) + holds / 1024
}

#[rstest]
fn too_much_is_refused_and_what_fits_fits(
    #[values(Ext4, Xfs, Btrfs, Exfat, Ntfs)] file_system: FileSystem,
) {
    fill(file_system, file_system.least_mib());
}

/// It counts as free what it will give to its own metadata, and gives more to it if it is larger.
#[test]
fn what_btrfs_keeps_for_itself_is_left_to_it() {
    fill(Btrfs, 520);
}

fn fill(file_system: FileSystem, mib: u64) {
    let shipment = Shipment::new(&[1, 1, 1]);
    let Some(drive) = Mounted::over(&shipment.drives[0].1, file_system, mib) else { return };
    let small = |(_, point): &(String, PathBuf)| Memory::new(point, mib + 8);
    let others: Option<Vec<Memory>> = shipment.drives[1..].iter().map(small).collect();
    let Some(_others) = others else { return };
    // Two data shards on three drives, one on the two that are larger.
    let too_much = ((2 * mib + 16) << 20) as usize;
    let noise = shipment.source.join("noise");
    tree::write(&noise, &Random::new("room").bytes(too_much));
    let mut pack = shipment.pack_arguments("cases=1", &["--json"]);
    let at = pack.iter().position(|a| a == tree::GEOMETRY).unwrap();
    pack[at] = OsString::from("262144,65536,16");

    let refused = shipment.run(&pack).expect(2);
    let error = refused.event("error");
    let text = error["text"].as_str().unwrap();
    assert!(text.contains("B are missing") && text.contains("the drives hold "), "{text}");
    assert_eq!(drive.names(), [""; 0], "before a byte is written");
    for (_, other) in &shipment.drives[1..] {
        assert_eq!(fs::read_dir(other).unwrap().count(), 0);
    }

    let holds = refused.event("plan")["holds_bytes"].as_u64().unwrap();
    assert!(holds > (mib << 19), "more than a quarter of the room is used: {text}");
    fs::File::options().write(true).open(&noise).unwrap().set_len(holds - margin(holds)).unwrap();
    let packed = shipment.run(&pack).expect(0).event("packed");
    assert_eq!((&packed["proven"], &packed["failed_drives"]), (&true.into(), &[0; 0].into()));
    shipment.verify(&shipment.paths()).expect(0);
}
