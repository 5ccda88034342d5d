//! A drive that dies while it is packed: at any moment, in any way, the others go on.

use crate::common::lab::Lab;
use crate::common::mounted::FileSystem::{self, Btrfs, Exfat, Ext4, Ntfs, Xfs};
use crate::common::mounted::{Memory, Mounted};
use crate::common::random::Random;
use crate::common::shipment::Shipment;
use crate::common::snapshot::Snapshot;
use crate::common::{Run, tree};
use holdall::testing::drives::Drive;
use holdall::testing::faulty::Death;
use holdall::testing::faulty::FaultyDrive;
use holdall::testing::monitor::{ProblemKind, Recording};
use holdall::testing::packer::PackError;
use holdall::testing::restorer::RestoreOptions;
use holdall::testing::sets::check::{Depth, DriveCheck};
use holdall::testing::sets::key_files::key_files;
use holdall::testing::sets::metadata_files::MetadataFiles;
use holdall::testing::sets::{RecordIndex, open};
use rstest::rstest;
use std::path::Path;
use tempfile::TempDir;

const CAPACITY: u64 = 16 << 20;
/// The drive that dies.
const DYING: usize = 2;

/// How a drive ends after so many bytes more.
#[derive(Clone, Copy, Debug)]
enum End {
    PulledOut,
    Worn,
    Full,
}

impl End {
    fn after(self, drive: &FaultyDrive, bytes: u64) {
        match self {
            Self::PulledOut => drive.die_after(bytes, Death::Vanishes),
            Self::Worn => drive.die_after(bytes, Death::RefusesWrites),
            Self::Full => drive.take_room(drive.room().unwrap().free_bytes - bytes),
        }
    }
}

/// A folder where syncing takes no time.
fn in_memory() -> TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap()
}

/// It dies of its first file, of some on the way, of the last one when the set is nearly closed.
#[rstest]
fn one_drive_dies_and_the_set_is_closed_on_the_others(
    #[values(End::PulledOut, End::Worn, End::Full)] end: End,
    #[values("cases=1", "drives=1", "cases=1,drives=1")] survive: &str,
) {
    let source = in_memory();
    tree::plain(source.path(), "dying", 100);
    let snapshot = Snapshot::of(source.path());
    let mut healthy = Lab::new(&[1, 1, 2, 1], CAPACITY, 31);
    healthy.pack(source.path(), survive);
    let len = |path: &String| healthy.drives[DYING].with_file(path, |bytes| bytes.len() as u64);
    // But for some bytes of key files, which age makes unlike each other.
    let all: u64 = healthy.drives[DYING].paths().iter().filter_map(len).sum();
    for bytes in [0, 5_000, all / 3, all / 8 * 7, all - 1000] {
        let mut lab = Lab::new(&[1, 1, 2, 1], CAPACITY, 31);
        let monitor = Recording::default();
        let planned = |lab: &Lab| end.after(&lab.drives[DYING], bytes);
        let packed = lab.pack_after(source.path(), survive, planned, &monitor).unwrap();
        let what = format!("{end:?} after {bytes} of {all} under {survive}");
        assert_eq!(packed.failed, [DYING], "{what}");
        let problems = monitor.problems();
        assert_eq!(problems.len(), 1, "{what}: {problems:?}");
        assert_eq!((problems[0].kind, &*problems[0].subject), (ProblemKind::Drive, "drive 3"));
        assert!(problems[0].detail.contains("left out"), "{what}: {problems:?}");
        must_be_closed(&lab, &what);

        let mut ways = vec![vec![DYING]];
        if !matches!(end, End::PulledOut) {
            ways.push(vec![]); // what it took before can be read
        }
        if survive == "cases=1,drives=1" {
            ways.push(vec![0, DYING]);
        }
        for lost in ways {
            let to = in_memory();
            let run = lab.restore(&lost, to.path(), RestoreOptions::default());
            assert!(run.restored.is_complete(), "{what}, lost {lost:?}: {:?}", run.problems);
            snapshot.assert_equal(&Snapshot::of(to.path()));
        }
    }
}

/// Every drive but the dying one is whole and carries set.txt.
#[track_caller]
fn must_be_closed(lab: &Lab, what: &str) {
    let monitor = Recording::default();
    let sets = open::find(&lab.drives_but(&[DYING]), &monitor);
    let text = sets[0].set_text(&monitor).unwrap_or_else(|| panic!("{what}: not closed"));
    assert_eq!(text.slots.len(), lab.drives.len(), "{what}");
    let record_index = RecordIndex::open(&sets[0], None, &monitor);
    for found in &sets[0].drives {
        let mode = holdall::testing::drives::ReadMode::Medium;
        let check = DriveCheck {
            found,
            folder: &sets[0].folder,
            record_index: &record_index,
            mode,
            monitor: &monitor,
            progress: &|_| (),
        };
        let report = check.run(Depth::all(usize::MAX));
        assert!(report.is_whole() && report.shards > 0, "{what}: {report:?}");
        let keys = key_files(&sets[0], &record_index);
        let (set, text) = (&sets[0], Some(&text));
        let files = MetadataFiles { set, record_index: &record_index, text, keys: &keys };
        assert_eq!(files.check(found, &monitor).all, 0, "{what}: {:?}", monitor.problems());
    }
    assert_eq!(monitor.problems(), [], "{what}");
}

#[test]
fn more_deaths_than_the_rule_allows_end_the_packing_at_once() {
    let source = tempfile::tempdir().unwrap();
    tree::plain(source.path(), "two deaths", 100);
    for (survive, deaths) in [("cases=1", 2), ("drives=2", 3), ("none", 1)] {
        let mut lab = Lab::new(&[1, 1, 2, 1], CAPACITY, 32);
        let planned = |lab: &Lab| {
            for drive in &lab.drives[..deaths] {
                End::Worn.after(drive, 300 << 10);
            }
        };
        let monitor = Recording::default();
        let result = lab.pack_after(source.path(), survive, planned, &monitor);
        let failed = |e: &PackError| matches!(e, PackError::TooManyFailed { .. });
        assert!(result.as_ref().is_err_and(failed), "{survive}: {result:?}");
        assert_eq!(monitor.problems().len(), deaths, "{survive}");
    }
}

/// A medium that gives out: an image that the memory under it has no more room for, so that the
/// file system on it gets errors from its device.
#[rstest]
fn a_device_that_gives_out_is_left_out(
    #[values(Ext4, Xfs, Btrfs, Exfat, Ntfs)] file_system: FileSystem,
) {
    let shipment = Shipment::new(&[1, 1, 1]);
    let Some(memory) = Memory::new(&shipment.path().join("memory"), 16) else { return };
    let mib = file_system.least_mib();
    let point = &shipment.drives[0].1;
    let Some(drive) = Mounted::in_image(memory.image(), point, file_system, mib) else { return };
    let mut random = Random::new("gives out");
    tree::write(&shipment.source.join("noise"), &random.bytes(36 << 20));
    tree::write(&shipment.source.join("text"), &random.text(1 << 20));
    let source = Snapshot::of(&shipment.source);
    let mut pack = shipment.pack_arguments("cases=1", &["--json", "--checkpoint", "1MiB"]);
    let at = pack.iter().position(|a| a == tree::GEOMETRY).unwrap();
    pack[at] = "262144,65536,16".into();
    let run: Run = shipment.run(&pack).expect(3);
    let packed = run.event("packed");
    assert_eq!((&packed["failed_drives"], &packed["proven"]), (&[1].into(), &false.into()));
    let told = run
        .problems()
        .into_iter()
        .filter(|(s, d)| s == point.to_str().unwrap() && d.contains("left out"));
    assert_eq!(told.count(), 1, "{}", run.shown());
    drop(drive);
    drop(memory);

    let left = &shipment.paths()[1..];
    let verified = shipment.verify(left).expect(3).event("verified");
    assert_eq!(verified["missing"], serde_json::json!([1]));
    for other in 0..2 {
        assert_eq!(
            (&verified["drives"][other]["bad_blocks"], &verified["drives"][other]["bad_files"]),
            (&0.into(), &0.into())
        );
    }
    let to = shipment.new_destination();
    shipment.restore(left, &to, &[]).expect(3);
    source.assert_equal(&Snapshot::of(&to));
}
