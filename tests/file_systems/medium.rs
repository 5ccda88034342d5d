//! What lies on the medium is what is read, on every file system, and not what a cache remembers.

use crate::common::mounted::FileSystem::{self, Btrfs, Exfat, Ext4, Ntfs, Xfs};
use crate::common::mounted::Mounted;
use crate::common::random::Random;
use crate::common::shipment::Shipment;
use crate::common::snapshot::Snapshot;
use crate::common::{Run, program, tree};
use rstest::rstest;
use serde_json::Value;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

/// Bytes that are looked for on the medium.
const RUN: usize = 64;
/// Shards of 64 KiB, which are written through the cache.
const SMALL: &str = "16384,4096,16";
/// Shards of 2 MiB, which are written past it.
const LARGE: &str = "262144,65536,32";
/// A user who may open no device.
const NOBODY: u32 = 65534;

/// A dataset and three drives in three cases, the first of which is of the file system.
struct Journey {
    /// unmounted before its folder is removed
    drive: Mounted,
    shipment: Shipment,
    source: Snapshot,
}

impl Journey {
    #[track_caller]
    fn new(file_system: FileSystem, bytes: usize) -> Option<Self> {
        let shipment = Shipment::new(&[1, 1, 1]);
        let mib = file_system.least_mib().max(64);
        let drive = Mounted::over(&shipment.drives[0].1, file_system, mib)?;
        let mut random = Random::new("file systems");
        // Names that these file systems could not hold: nothing of them shows on a drive.
        let long = "x".repeat(255);
        for name in ["a", "A", "a:b*?\"<>|", "con", "dots...", "end ", "\u{feff}", &long] {
            tree::write(&shipment.source.join(name), &random.text(3000));
        }
        tree::write(&shipment.source.join(OsStr::from_bytes(b"\xff\x01/\\")), b"not UTF-8");
        tree::write(&shipment.source.join("noise"), &random.bytes(bytes));
        let source = Snapshot::of(&shipment.source);
        Some(Self { drive, shipment, source })
    }

    fn pack_arguments(&self, geometry: &str) -> Vec<OsString> {
        let more = ["--json", "--checkpoint", "256KiB"];
        let mut arguments = self.shipment.pack_arguments("cases=1", &more);
        let at = arguments.iter().position(|a| a == tree::GEOMETRY).unwrap();
        arguments[at] = geometry.into();
        arguments
    }

    fn pack(&self, geometry: &str) -> Value {
        self.shipment.run(self.pack_arguments(geometry)).expect(0).event("packed")
    }

    #[track_caller]
    fn verify(&self, status: i32) -> Run {
        self.shipment.verify(&self.shipment.paths()).expect(status)
    }

    #[track_caller]
    fn must_be_restored(&self) -> Run {
        let to = self.shipment.new_destination();
        let run = self.shipment.restore(&self.shipment.paths(), &to, &[]);
        assert!(matches!(run.status, 0 | 3), "{}", run.shown());
        self.source.assert_equal(&Snapshot::of(&to));
        run
    }

    fn shards(&self) -> Vec<PathBuf> {
        self.shipment.files(0, "shards/")
    }

    /// Changes a run in the middle of each of these files, on the medium. Says whether the caches
    /// still give the old bytes: else nothing here would show that a cache was got past.
    #[track_caller]
    #[must_use]
    fn change(&self, files: &[PathBuf]) -> bool {
        let run = |path: &PathBuf| {
            let bytes = fs::read(path).unwrap();
            let at = bytes.len() / 2 / 4096 * 4096;
            bytes[at..at + RUN].to_vec()
        };
        let before: Vec<_> = files.iter().map(|path| fs::read(path).unwrap()).collect();
        self.drive.change(&files.iter().map(run).collect::<Vec<_>>());
        before == files.iter().map(|path| fs::read(path).unwrap()).collect::<Vec<_>>()
    }
}

/// Any process may drop the caches of the whole machine meanwhile, or keep this one from looking in
/// time: a journey that says so begins anew.
fn until_premises_hold(journey: impl Fn() -> bool) {
    const TRIES: usize = 10;
    assert!((0..TRIES).any(|_| journey()), "caches dropped, or looked too late, {TRIES} times");
}

#[rstest]
fn a_change_is_seen_and_healed(
    #[values(Ext4, Xfs, Btrfs, Exfat, Ntfs)] file_system: FileSystem,
    #[values(SMALL, LARGE)] geometry: &str,
) {
    until_premises_hold(|| change_and_heal(file_system, geometry));
}

fn change_and_heal(file_system: FileSystem, geometry: &str) -> bool {
    let Some(journey) = Journey::new(file_system, 12 << 20) else { return true };
    let packed = journey.pack(geometry);
    assert_eq!(packed["proven"], true);
    assert_eq!(packed["read_back"][0]["level"], file_system.level());
    must_be_plain_and_listed(&journey);
    let verified = journey.verify(0).event("verified");
    assert_eq!(verified["drives"][0]["level"], file_system.level());
    assert_eq!(verified["whole"], true);

    let mut hurt = journey.shards();
    hurt.truncate(8);
    if !journey.change(&hurt) {
        return false;
    }
    let run = journey.verify(3);
    let drives = &run.event("verified")["drives"];
    assert_eq!(drives[0]["bad_blocks"], hurt.len(), "{}", run.shown());
    assert_eq!(drives[0]["level"], file_system.level());
    for other in [&drives[1], &drives[2]] {
        assert_eq!((&other["bad_blocks"], &other["missing_shards"]), (&0.into(), &0.into()));
    }
    let told: Vec<String> = run.problems().into_iter().map(|(subject, _)| subject).collect();
    assert_eq!(told.len(), hurt.len(), "{}", run.shown());
    for path in &hurt {
        let drive = journey.shipment.drives[0].1.display();
        let name = path.file_name().unwrap().to_str().unwrap();
        let names = |told: &String| told.starts_with(&format!("{drive}: ")) && told.ends_with(name);
        assert!(told.iter().any(names), "{name} is named: {}", run.shown());
    }
    let paths = journey.shipment.paths();
    let shown = journey
        .shipment
        .run([OsString::from("verify")].into_iter().chain(paths.into_iter().map(OsString::from)));
    // Btrfs has a checksum of its own and refuses what does not match it.
    let says = |what: &str| shown.stdout.contains(&format!("{} blocks {what}", hurt.len()));
    let refused = file_system == FileSystem::Btrfs && says("unreadable");
    assert!(shown.status == 3 && (refused || says("damaged")), "{}", shown.shown());
    let restored = journey.must_be_restored().expect(3).event("restored");
    assert!(restored["rebuilt_blocks"].as_u64().unwrap() > 0, "{restored}");
    true
}

/// Records and catalog are files as well, and lie in the caches since they were written.
#[rstest]
fn a_change_of_the_metadata_files_is_seen(
    #[values(Ext4, Xfs, Btrfs, Exfat, Ntfs)] file_system: FileSystem,
) {
    until_premises_hold(|| change_the_metadata_files(file_system));
}

fn change_the_metadata_files(file_system: FileSystem) -> bool {
    let Some(journey) = Journey::new(file_system, 4 << 20) else { return true };
    journey.pack(SMALL);
    let mut hurt = journey.shipment.files(0, "records/");
    hurt.extend(journey.shipment.files(0, "catalog/"));
    // Smaller ones may lie among the file system's own tables.
    hurt.retain(|path| fs::metadata(path).unwrap().len() >= 4096);
    assert!(hurt.len() > 2);
    if !journey.change(&hurt) {
        return false;
    }
    let run = journey.verify(3);
    let drives = &run.event("verified")["drives"];
    let bad: Vec<_> = (0..3).map(|i| drives[i]["bad_files"].as_u64().unwrap()).collect();
    assert_eq!(bad, [hurt.len() as u64, 0, 0], "{}", run.shown());
    journey.must_be_restored();
    true
}

/// Names that any file system takes, and a checklist that says what every file is.
fn must_be_plain_and_listed(journey: &Journey) {
    let folder = journey.shipment.set_folder(0);
    let plain = |c: char| matches!(c, '0'..='9' | 'a'..='z' | '.' | '-');
    for path in tree::walk(&journey.shipment.drives[0].1.join("holdall")) {
        let name = path.file_name().unwrap().to_str().unwrap();
        assert!(name == "README.txt" || name.chars().all(plain), "{name}");
    }
    let list = fs::read_to_string(folder.join("checklist.b3")).unwrap();
    let mut shards = 0;
    for line in list.lines() {
        let (root, path) = line.split_once("  ").unwrap();
        assert_eq!(blake3::hash(&fs::read(folder.join(path)).unwrap()).to_hex().as_str(), root);
        shards += usize::from(path.starts_with("shards/"));
    }
    assert_eq!(shards, journey.shards().len());
    assert_eq!(journey.drive.names(), ["holdall"]);
}

fn ended(output: Output) -> Run {
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Run {
        status: output.status.code().unwrap_or(-1),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    }
}

/// What a fake destroys late, or a drive forgets, while packing still goes on: files whose path in
/// the set's folder begins with `kind`.
fn must_be_found_at_the_end(file_system: FileSystem, kind: &str) -> bool {
    let Some(journey) = Journey::new(file_system, 16 << 20) else { return true };
    let mut pack = program(&journey.shipment.state());
    let pack = pack.args(journey.pack_arguments(SMALL)).stdout(Stdio::piped());
    let mut pack = pack.stderr(Stdio::piped()).spawn().unwrap();
    let holdall = journey.shipment.drives[0].1.join("holdall");
    let names = |folder: PathBuf| fs::read_dir(folder).into_iter().flatten().flatten();
    let committed = || {
        let records = names(holdall.clone()).flat_map(|set| names(set.path().join("records")));
        records.into_iter().any(|record| record.path().extension().is_some_and(|e| e == "rec"))
    };
    while !committed() {
        if pack.try_wait().unwrap().is_some() {
            return false;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    let id = rustix::process::Pid::from_child(&pack);
    rustix::process::kill_process(id, rustix::process::Signal::STOP).unwrap();
    // The first record is synced, and so are the shards of its stripes.
    let mut hurt = journey.shipment.files(0, kind);
    hurt.truncate(2);
    let closed = journey.shipment.set_folder(0).join("set.txt").exists();
    if closed || !journey.change(&hurt) {
        pack.kill().unwrap();
        pack.wait().unwrap();
        return false;
    }
    rustix::process::kill_process(id, rustix::process::Signal::CONT).unwrap();
    let run = ended(pack.wait_with_output().unwrap()).expect(3);
    let packed = run.event("packed");
    assert_eq!((&packed["proven"], &packed["failed_drives"]), (&false.into(), &[0; 0].into()));
    let whole: Vec<_> = (0..3).map(|i| packed["read_back"][i]["whole"] == true).collect();
    assert_eq!(whole, [false, true, true], "{}", run.shown());
    assert_eq!(packed["read_back"][0]["level"], file_system.level());
    let told = run.problems();
    for path in &hurt {
        let name = path.file_name().unwrap().to_str().unwrap();
        assert!(told.iter().any(|(subject, _)| subject.ends_with(name)), "{}", run.shown());
    }
    journey.must_be_restored();
    true
}

#[rstest]
fn what_is_destroyed_while_packing_is_found_at_its_end(
    #[values(Ext4, Xfs, Btrfs, Exfat, Ntfs)] file_system: FileSystem,
) {
    until_premises_hold(|| must_be_found_at_the_end(file_system, "shards/"));
}

#[rstest]
fn a_record_that_is_destroyed_while_packing_is_found_at_its_end(
    #[values(Ext4, Exfat)] file_system: FileSystem,
) {
    until_premises_hold(|| must_be_found_at_the_end(file_system, "records/"));
}

/// Review A20: the device of a FUSE driver belongs to root: for others a cache stays in between,
/// and is said, with what proves the drive.
#[rstest]
fn without_the_device_nothing_is_proven(#[values(Exfat, Ntfs)] file_system: FileSystem) {
    let Some(journey) = Journey::new(file_system, 1 << 20) else { return };
    let shipment = &journey.shipment;
    let root = shipment.path();
    fs::set_permissions(root, fs::Permissions::from_mode(0o755)).unwrap();
    for (_, path) in &shipment.drives[1..] {
        chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
    }
    let program = root.join("program");
    fs::copy(env!("CARGO_BIN_EXE_holdall"), &program).unwrap();
    let state = root.join("nobody's state");
    fs::create_dir(&state).unwrap();
    chown(&state, Some(NOBODY), Some(NOBODY)).unwrap();
    let as_nobody = |arguments: Vec<OsString>| {
        let mut command = Command::new(&program);
        command.args(arguments).env("XDG_STATE_HOME", &state).uid(NOBODY).gid(NOBODY);
        ended(command.output().unwrap())
    };
    let run = as_nobody(journey.pack_arguments(SMALL)).expect(3);
    let packed = run.event("packed");
    assert_eq!(packed["read_back"][0]["level"], "cached");
    assert_eq!(packed["read_back"][1]["level"], "direct");
    assert_eq!(
        (&packed["proven"], &packed["read_back"][0]["whole"]),
        (&false.into(), &true.into())
    );
    let problems = run.events_of("problem");
    assert_eq!(problems.len(), 1, "{}", run.shown());
    assert_eq!(problems[0]["kind"], "read-back");
    assert_eq!(problems[0]["subject"], shipment.drives[0].1.to_str().unwrap());
    assert!(problems[0]["detail"].as_str().unwrap().contains("re-plug the drive"));

    let verify = ["verify", "--json"].map(OsString::from).into_iter();
    let verify = verify.chain(shipment.paths().into_iter().map(OsString::from)).collect();
    let verified = as_nobody(verify).expect(0).event("verified");
    assert_eq!(verified["drives"][0]["level"], "cached");
    // Review A20: it says that this proves nothing, and what does.
    assert_eq!(verified["proven"], false);
    let words = std::iter::once("verify".into());
    let text = as_nobody(words.chain(shipment.paths().into_iter().map(Into::into)).collect());
    let advice =
        format!("To prove it: unplug {}, attach again, then run", shipment.drives[0].1.display());
    assert!(
        text.stdout.contains("from the cache: proves nothing") && text.stdout.contains(&advice),
        "{}",
        text.shown()
    );
    let verified = journey.verify(0).event("verified");
    assert_eq!(verified["drives"][0]["level"], "dropped", "for root");
}
