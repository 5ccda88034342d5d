//! A drive whose plug is pulled, as the file systems know it themselves (`FS_IOC_SHUTDOWN`): what was
//! not written is lost, and nothing is written any more.

use crate::common::mounted::FileSystem::{self, Ext4, Xfs};
use crate::common::mounted::{Mounted, shut_down};
use crate::common::random::Random;
use crate::common::shipment::Shipment;
use crate::common::snapshot::Snapshot;
use crate::common::{Run, has_programs, program, tree};
use rstest::rstest;
use serde_json::Value;
use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

/// Whether the drive has at least this many record files.
fn has_records(drive: &Path, count: usize) -> bool {
    let records = || {
        let set = fs::read_dir(drive.join("holdall")).ok()?.next()?.ok()?.path();
        Some(fs::read_dir(set.join("records")).ok()?.count())
    };
    records().is_some_and(|found| found >= count)
}

/// Packs, and pulls the first drive once some of it is committed.
fn pack_and_pull(shipment: &Shipment) -> Run {
    let mut pack = shipment.pack_arguments("cases=1", &["--json", "--checkpoint", "1MiB"]);
    let at = pack.iter().position(|word| word == tree::GEOMETRY).unwrap();
    pack[at] = "262144,65536,16".into();
    let mut command = program(&shipment.state());
    let child = command.args(pack).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let drive = &shipment.drives[0].1;
    let deadline = Instant::now() + Duration::from_secs(60);
    while !has_records(drive, 3) {
        assert!(Instant::now() < deadline, "no record was written in a minute");
        std::thread::sleep(Duration::from_millis(1));
    }
    shut_down(drive);
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let status = output.status.code().unwrap_or(-1);
    Run { status, stdout: text(output.stdout), stderr: text(output.stderr) }
}

#[rstest]
fn a_drive_that_is_pulled_is_left_out_and_rebuilt(#[values(Ext4, Xfs)] file_system: FileSystem) {
    if !has_programs(&["python3"]) {
        return;
    }
    let shipment = Shipment::new(&[1, 1, 1]);
    let point = &shipment.drives[0].1;
    let Some(drive) = Mounted::over(point, file_system, 64) else { return };
    tree::rich(&shipment.source.join("rich"), "pulled");
    let mut random = Random::new("pulled");
    tree::write(&shipment.source.join("noise"), &random.bytes(60 << 20));
    let source = Snapshot::of(&shipment.source);

    let run = pack_and_pull(&shipment).expect(3);
    let packed = run.event("packed");
    assert_eq!((&packed["failed_drives"], &packed["proven"]), (&[1].into(), &false.into()));
    let told = run.problems().into_iter().filter(|(subject, _)| subject == point.to_str().unwrap());
    let told: Vec<_> = told.map(|(_, detail)| detail).collect();
    assert!(told.len() == 1 && told[0].contains("left out"), "{}", run.shown());
    drop(drive);

    let left = &shipment.paths()[1..];
    let verified = shipment.verify(left).expect(3).event("verified");
    assert_eq!(verified["missing"], serde_json::json!([1]));
    assert_eq!(verified["verdict"]["restorable"], true);
    let to = shipment.new_destination();
    shipment.restore(left, &to, &[]).expect(3);
    source.assert_equal(&Snapshot::of(&to));

    // The command that pack printed, with a place for the new drive.
    let new = shipment.path().join("new");
    fs::create_dir(&new).unwrap();
    let command = packed["repair"].as_str().unwrap().replace("PATH", new.to_str().unwrap());
    let words = shlex::split(&command).unwrap();
    assert_eq!(words[0], "holdall");
    let repair: Vec<OsString> = words[1..].iter().map(OsString::from).collect();
    shipment.run(repair).expect(0);
    let all = [&[new], left].concat();
    let verified = shipment.verify(&all).expect(0).event("verified");
    assert_eq!((&verified["whole"], &verified["missing"]), (&true.into(), &Value::Array(vec![])));
    let to = shipment.new_destination();
    shipment.restore(&all, &to, &[]).expect(0);
    source.assert_equal(&Snapshot::of(&to));
}
