//! What changes, vanishes or makes up its sizes while it is packed: it comes back, or is named.

use crate::common::faulty::{Faults, FaultyImage};
use crate::common::lab::Lab;
use crate::common::mounted::{FileSystem, Memory, Mounted};
use crate::common::random::Random;
use crate::common::shipment::Shipment;
use crate::common::snapshot::Snapshot;
use crate::common::{skip, tree};
use holdall::testing::monitor::{ProblemKind, Recording};
use holdall::testing::restorer::RestoreOptions;
use std::fs;
use std::os::unix::fs::{FileExt, FileTypeExt};
use std::path::Path;
use tempfile::TempDir;

const CAPACITY: u64 = 64 << 20;

fn in_memory() -> TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap()
}

/// Subjects of the problems of a kind.
fn subjects(told: &Recording, kind: ProblemKind) -> Vec<String> {
    told.problems().into_iter().filter(|p| p.kind == kind).map(|p| p.subject).collect()
}

/// Review R2: where all of a file fits into the next set, it is begun again there, once. Review
/// F11: a folder that lies where the source was is not taken for it.
#[test]
fn a_file_that_changed_between_sets_is_begun_again_if_it_fits() {
    let shipment = Shipment::new(&[2]);
    let mount = |(_, point): &(_, std::path::PathBuf)| Memory::new(point, 16);
    let Some(_drives) = shipment.drives.iter().map(mount).collect::<Option<Vec<_>>>() else {
        return;
    };
    let mut random = Random::new("fits");
    tree::write(&shipment.source.join("a"), &random.bytes(8 << 20));
    tree::write(&shipment.source.join("b"), &random.bytes(7 << 20));
    let drives: Vec<String> =
        shipment.drives.iter().map(|(case, path)| format!("{case}={}", path.display())).collect();
    let source = shipment.source.to_str().unwrap();
    let first = ["pack", source, "--json", "--yes", "-r", &shipment.recipient, "--survive", "none"];
    let rest = ["--geometry", tree::GEOMETRY, "--drive", &drives[0]];
    shipment.run(first.iter().chain(&rest)).expect(4);
    let file = fs::OpenOptions::new().write(true).open(shipment.source.join("b")).unwrap();
    file.write_all_at(b"changed", 0).unwrap();

    let next = ["resume", "--json", "--drive", &drives[1]];
    let away = shipment.path().join("away");
    fs::rename(&shipment.source, &away).unwrap();
    fs::create_dir(&shipment.source).unwrap();
    let refused = shipment.run(next).expect(1);
    assert!(refused.shown().contains("is not the folder that was scanned"), "{}", refused.shown());
    fs::remove_dir(&shipment.source).unwrap();
    fs::rename(&away, &shipment.source).unwrap();

    let packed = shipment.run(next).expect(0);
    assert_eq!(packed.problems(), []);
    let to = shipment.new_destination();
    shipment.restore(&shipment.paths(), &to, &[]).expect(0);
    Snapshot::of(&shipment.source).assert_equal(&Snapshot::of(&to));
}

/// Review F11: a source that dies is no heap of unreadable files.
#[test]
fn a_source_that_vanishes_stops_the_pack_and_is_gone_on_with() {
    let shipment = Shipment::new(&[1, 1]);
    let Some(medium) = FaultyImage::new(&shipment.path().join("medium"), 32) else { return };
    let source = Mounted::on_image_direct(medium.path(), &shipment.source, FileSystem::Ext4);
    let Some(source) = source else { return };
    let mut random = Random::new("vanishes");
    for number in 0..60 {
        let path = shipment.source.join(format!("{:02}/{number:03}", number % 5));
        tree::write(&path, &random.bytes(100_000));
    }
    tree::write(&shipment.source.join("large"), &random.bytes(4 << 20));
    let before = Snapshot::of(&shipment.source);
    source.remount();
    medium.faults().reads_left = Some(5 << 20);
    let arguments = shipment.pack_arguments("cases=1", &["--json", "--checkpoint", "128KiB"]);
    let stopped = shipment.run(arguments).expect(1);
    assert_eq!(stopped.problems(), [], "nothing is left out: {}", stopped.shown());
    assert!(stopped.shown().contains("the source can no longer be read"), "{}", stopped.shown());
    assert!(stopped.shown().contains("holdall resume "), "{}", stopped.shown());
    assert!(stopped.shown().contains(" --folder-drives"), "it works as printed");

    *medium.faults() = Faults::default();
    source.remount();
    assert_eq!(shipment.resume().expect(0).problems(), []);
    let to = shipment.new_destination();
    shipment.restore(&shipment.paths(), &to, &[]).expect(0);
    before.assert_equal(&Snapshot::of(&to));
}

/// Review F7, F11: one file that the medium does not give is one file, with its other name.
#[test]
fn a_bad_sector_of_the_source_is_one_file_and_its_other_names() {
    let shipment = Shipment::new(&[1, 1]);
    let Some(medium) = FaultyImage::new(&shipment.path().join("medium"), 32) else { return };
    let source = Mounted::on_image_direct(medium.path(), &shipment.source, FileSystem::Ext4);
    let Some(source) = source else { return };
    let mut random = Random::new("bad sector");
    let bytes = random.bytes(64 << 10);
    for name in ["a", "bad", "c", "d"] {
        tree::write(&shipment.source.join(name), &random.bytes(90_000));
    }
    fs::write(shipment.source.join("bad"), &bytes).unwrap();
    fs::hard_link(shipment.source.join("bad"), shipment.source.join("link")).unwrap();
    // Only what was written back is on the medium.
    source.remount();
    let at = source.places(&[bytes[..4_096].to_vec()])[0];
    medium.faults().unreadable.push(at..at + 4_096);
    let run = shipment.run(shipment.pack_arguments("cases=1", &["--json"])).expect(3);
    let mut named: Vec<String> = run.problems().into_iter().map(|(subject, _)| subject).collect();
    named.sort();
    assert_eq!(named, ["bad", "link"], "{}", run.shown());
    let to = shipment.new_destination();
    let restored = shipment.restore(&shipment.paths(), &to, &[]).expect(3);
    let mut named: Vec<String> = restored.problems().into_iter().map(|p| p.0).collect();
    named.sort();
    assert_eq!(named, ["bad", "link"], "{}", restored.shown());
    assert!(to.join("d").exists());
}

#[test]
fn a_hard_link_whose_first_name_vanished_is_packed_as_what_it_is() {
    let source = in_memory();
    let path = |name: &str| source.path().join(name);
    fs::write(path("a"), "the bytes").unwrap();
    fs::hard_link(path("a"), path("b")).unwrap();
    fs::hard_link(path("a"), path("c")).unwrap();
    fs::write(path("first"), "more bytes").unwrap();
    fs::hard_link(path("first"), path("second")).unwrap();
    make_fifo(&path("x"));
    fs::hard_link(path("x"), path("y")).unwrap();
    let vanish = || {
        fs::remove_file(path("a")).unwrap();
        fs::remove_file(path("x")).unwrap();
        // Replaced by another file: its other name must not follow.
        fs::remove_file(path("first")).unwrap();
        fs::write(path("first"), "replaced").unwrap();
    };
    let (mut lab, told) = (Lab::new(&[1, 1], CAPACITY, 3), Recording::default());
    lab.pack_after(source.path(), "drives=1", |_| vanish(), &told).unwrap();
    assert_eq!(subjects(&told, ProblemKind::SourceUnreadable), ["a"], "{:?}", told.problems());
    let to = in_memory();
    let run = lab.restore(&[], to.path(), RestoreOptions::default());
    assert_eq!((run.restored.lost, run.restored.waiting), (0, 0), "{:?}", run.problems);
    let read = |name: &str| fs::read_to_string(to.path().join(name)).unwrap();
    assert_eq!((read("b"), read("c")), ("the bytes".into(), "the bytes".into()));
    assert_eq!((read("first"), read("second")), ("replaced".into(), "more bytes".into()));
    assert!(fs::symlink_metadata(to.path().join("y")).unwrap().file_type().is_fifo());
    assert!(!to.path().join("a").exists());
}

fn make_fifo(path: &Path) {
    let made = std::process::Command::new("mkfifo").arg(path).status().unwrap();
    assert!(made.success());
}

/// Review R14: a size of 0 is believed on disks alone, and a size that is too large for what comes
/// is no change.
#[test]
fn files_whose_sizes_are_made_up_are_read() {
    for (folder, names) in [
        ("/proc/sys/kernel/random", ["boot_id", "poolsize"]),
        ("/sys/kernel/mm/transparent_hugepage", ["enabled", "defrag"]),
    ] {
        if !Path::new(folder).join(names[0]).exists() {
            skip(&format!("no {folder}"));
            continue;
        }
        let (mut lab, told) = (Lab::new(&[1, 1], CAPACITY, 4), Recording::default());
        lab.pack_after(Path::new(folder), "drives=1", |_| (), &told).unwrap();
        assert_eq!(subjects(&told, ProblemKind::SourceChanged), [""; 0], "{folder}");
        let to = in_memory();
        lab.restore(&[], to.path(), RestoreOptions::default());
        for name in names {
            let want = fs::read(Path::new(folder).join(name)).unwrap();
            assert!(!want.is_empty());
            assert_eq!(fs::read(to.path().join(name)).unwrap(), want, "{folder}/{name}");
        }
    }
}

/// Review R, small ones: a sparse file costs its extents, not its length.
#[test]
fn a_sparse_file_of_100_terabytes() {
    let source = in_memory();
    let (len, step) = (100_000_000_000_000, 33_000_000_000_000);
    let file = fs::File::create(source.path().join("sparse")).unwrap();
    if file.set_len(len).is_err() || !Path::new("/dev/shm").is_dir() {
        skip("no file system here takes a file of 100 TB");
        return;
    }
    let places: Vec<u64> = (0..4).map(|n| n * step + 5).chain([len - 9]).collect();
    places.iter().for_each(|at| file.write_all_at(b"here", *at).unwrap());
    let mut lab = Lab::new(&[1, 1], CAPACITY, 5);
    lab.pack(source.path(), "drives=1");
    let to = in_memory();
    let run = lab.restore(&[], to.path(), RestoreOptions::default());
    assert!(run.restored.is_complete(), "{:?}", run.problems);
    let file = fs::File::open(to.path().join("sparse")).unwrap();
    assert_eq!(file.metadata().unwrap().len(), len);
    for at in places {
        let mut bytes = [1; 6];
        file.read_exact_at(&mut bytes, at - 1).unwrap();
        assert_eq!(&bytes, b"\0here\0");
    }
}
