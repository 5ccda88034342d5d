//! Two at once: a set that another program holds is left alone, on every file system, and a program
//! that is killed holds nothing.

use crate::common::has_programs;
use crate::common::mounted::FileSystem::{self, Btrfs, Exfat, Ext4, Ntfs, Xfs};
use crate::common::mounted::Mounted;
use crate::common::shipment::Shipment;
use crate::common::tree;
use rstest::rstest;
use std::ffi::OsString;
use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

/// Review A2: on every file system.
#[rstest]
fn a_set_is_held_by_one_program_until_it_ends(
    #[values(Ext4, Xfs, Btrfs, Exfat, Ntfs)] file_system: FileSystem,
) {
    if !has_programs(&["flock"]) {
        return;
    }
    let shipment = Shipment::new(&[1]);
    let mib = file_system.least_mib();
    let Some(drive) = Mounted::over(&shipment.drives[0].1, file_system, mib) else { return };
    tree::plain(&shipment.source, "locks", 5);
    shipment.pack("none").expect(0);
    let folder = shipment.set_folder(0);
    let set = folder.file_name().unwrap().to_str().unwrap().to_owned();
    let path = OsString::from(drive.point());
    let erase = || {
        let words = ["erase", "--yes", "--set", &set].map(OsString::from);
        shipment.run(words.into_iter().chain([path.clone()]))
    };
    // By the folder's path another process opens it as another user or container would.
    let mut other = Command::new("flock");
    other.arg("--no-fork").arg(&folder).args(["sh", "-c", "echo held; exec sleep 1000"]);
    let mut other = other.stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(other.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let run = erase().expect(1);
    let words = format!("is in use by sleep (process {})", other.id());
    assert!(run.stderr.contains(&words), "{}", run.shown());
    other.kill().unwrap();
    other.wait().unwrap();
    erase().expect(0);
    assert!(!fs::exists(drive.point().join("holdall")).unwrap(), "nothing is left behind");
}
