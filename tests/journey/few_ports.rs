//! Fewer ports at the far end than drives: one at a time is enough while nothing is lost; with a
//! loss, shards are kept until enough of a stripe's were here.

use crate::common::lab::Lab;
use crate::common::random::Random;
use crate::common::shipment::Shipment;
use crate::common::snapshot::Snapshot;
use crate::common::tree;
use holdall::testing::faulty::FaultyDrive;
use holdall::testing::restorer::RestoreOptions;
use rstest::rstest;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Small files, and larger ones over many shards and stripes, some with holes.
fn shipment(cases: &[usize], survive: &str) -> Shipment {
    let shipment = Shipment::new(cases);
    tree::plain(&shipment.source, "ports", 60);
    tree::rich(&shipment.source.join("rich"), "ports");
    let mut random = Random::new("ports");
    for i in 0..3 {
        tree::write(
            &shipment.source.join(format!("large-{i}")),
            &random.bytes(1_300_000 + i * 777),
        );
    }
    shipment.pack(survive).expect(0);
    shipment
}

/// Restores with one drive after the other attached alone, until all is there; the last status.
fn one_by_one(shipment: &Shipment, drives: &[usize], to: &Path, more: &[&str]) -> i32 {
    let mut status = -1;
    for drive in drives {
        let run = shipment.restore(&shipment.paths()[*drive..=*drive], to, more);
        assert!([0, 3, 4].contains(&run.status), "drive {drive}: {}", run.shown());
        assert!(!run.stderr.contains("panicked"), "{}", run.shown());
        status = run.status;
        if status != 4 {
            break; // all is there
        }
    }
    status
}

#[rstest]
#[case::three_and_one(&[1, 1, 1, 1], "cases=1", &[2, 0, 3, 1])]
#[case::along(&[1, 1, 1, 1], "cases=1,blocks=10%", &[0, 1, 2, 3])]
#[case::no_parity(&[3], "none", &[2, 1, 0])]
#[case::two_and_two(&[2, 2], "cases=1", &[3, 1, 0, 2])]
fn one_drive_at_a_time_is_enough(
    #[case] cases: &[usize],
    #[case] survive: &str,
    #[case] order: &[usize],
) {
    let shipment = shipment(cases, survive);
    let to = shipment.new_destination();
    let before = &order[..order.len() - 1];
    assert_eq!(one_by_one(&shipment, before, &to, &[]), 4, "the last drive has its own share");
    let last = order[order.len() - 1];
    let run = shipment.restore(&shipment.paths()[last..=last], &to, &[]).expect(0);
    assert_eq!(run.event("restored")["rebuilt_blocks"], 0);
    Snapshot::of(&shipment.source).assert_equal(&Snapshot::of(&to));
    assert!(!to.join(".holdall").exists());
}

#[test]
fn a_piece_that_was_torn_is_read_again() {
    let shipment = shipment(&[1, 1, 1], "none");
    let to = shipment.new_destination();
    assert_eq!(one_by_one(&shipment, &[0, 1], &to, &[]), 4);
    let mut torn = 0;
    for file in fs::read_dir(to.join(".holdall/files")).unwrap() {
        let path = file.unwrap().path();
        let mut bytes = fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle..].fill(0);
        fs::write(&path, bytes).unwrap();
        torn += 1;
    }
    assert!(torn > 5, "{torn}");
    assert_eq!(one_by_one(&shipment, &[2], &to, &[]), 4, "what was torn is not used");
    assert_eq!(one_by_one(&shipment, &[0, 1, 2, 0], &to, &[]), 0);
    Snapshot::of(&shipment.source).assert_equal(&Snapshot::of(&to));
}

/// Review scale 8: and then they go, with their folders.
#[rstest]
#[case::three_and_one(&[1, 1, 1, 1], "cases=1", 1)]
#[case::along(&[1, 1, 1, 1], "cases=1,blocks=10%", 3)]
#[case::two_and_two(&[2, 2], "cases=1", 2)]
fn with_a_loss_shards_are_kept_until_enough_were_here(
    #[case] cases: &[usize],
    #[case] survive: &str,
    #[case] lost: usize,
) {
    let shipment = shipment(cases, survive);
    let (to, stage) = (shipment.new_destination(), shipment.path().join("stage"));
    let drives: Vec<usize> = (0..shipment.drives.len()).filter(|drive| *drive != lost).collect();
    // Every drive once: what is left lies on the lost one alone.
    one_by_one(&shipment, &drives, &to, &[]);
    let more = ["--stage", stage.to_str().unwrap()];
    let last = one_by_one(&shipment, &drives, &to, &more);
    // The last one to come need not be kept from.
    assert_eq!(last, 3, "it was rebuilt");
    Snapshot::of(&shipment.source).assert_equal(&Snapshot::of(&to));
    assert_eq!(fs::read_dir(&stage).unwrap().count(), 0, "nothing stays");
}

/// Review scale 8: the room is said before it is taken, and is given back where nothing more comes.
#[test]
fn what_is_kept_is_told_and_goes_when_it_is_given_up() {
    let shipment = shipment(&[1, 1, 1, 1], "cases=1");
    let (to, stage) = (shipment.new_destination(), shipment.path().join("stage"));
    let more = ["--stage", stage.to_str().unwrap()];
    let run = shipment.restore(&shipment.paths()[..1], &to, &more).expect(4);
    let files = tree::walk(&stage).into_iter().filter(|path| path.is_file());
    let is_shard = |path: &PathBuf| path.iter().any(|name| name == "shards");
    let kept: u64 = files.filter(is_shard).map(|path| path.metadata().unwrap().len()).sum();
    let phases = run.events_of("phase").into_iter().filter(|phase| phase["phase"] == "stage");
    assert_eq!(phases.map(|phase| phase["total"].as_u64().unwrap()).sum::<u64>(), kept);
    let notes = run.events_of("note").into_iter().map(|note| note["text"].to_string());
    let told: Vec<String> = notes.filter(|note| note.contains("--stage keeps")).collect();
    assert_eq!(told.len(), 1, "{}", run.shown());
    assert!(kept > 1 << 20 && told[0].contains("MB of these drives in"), "{kept}: {told:?}");
    let given_up = [&more[..], &["--give-up"]].concat();
    shipment.restore(&shipment.paths()[..1], &to, &given_up).expect(1);
    assert_eq!(fs::read_dir(&stage).unwrap().count(), 0, "nothing stays");
}

#[test]
fn what_is_kept_is_not_believed() {
    let shipment = shipment(&[1, 1, 1, 1], "cases=1");
    let (to, stage) = (shipment.new_destination(), shipment.path().join("stage"));
    let more = ["--stage", stage.to_str().unwrap()];
    assert_eq!(one_by_one(&shipment, &[1, 2], &to, &more), 4);
    for path in tree::walk(&stage).into_iter().filter(|path| path.is_file()) {
        let mut bytes = fs::read(&path).unwrap();
        bytes.iter_mut().step_by(1000).for_each(|byte| *byte ^= 1);
        fs::write(path, bytes).unwrap();
    }
    assert_eq!(one_by_one(&shipment, &[3], &to, &more), 4);
    shipment.restore(&shipment.paths()[1..], &to, &more).expect(3);
    Snapshot::of(&shipment.source).assert_equal(&Snapshot::of(&to));
}

/// Everything in a folder: paths, and the bytes of files.
fn contents(folder: &Path) -> Vec<(PathBuf, Option<Vec<u8>>)> {
    let mut all: Vec<_> = tree::walk(folder)
        .into_iter()
        .map(|path| {
            let bytes = path.is_file().then(|| fs::read(&path).unwrap());
            (path, bytes)
        })
        .collect();
    all.sort();
    all
}

/// `--stage` removes what it kept, and nothing else: a drive that is named by mistake stays whole, also
/// one of which only the shards are left.
#[rstest]
#[case::whole(&[])]
#[case::shards_alone(&["label.json", "set.txt", "records", "catalog", "copy", "checklist.b3"])]
fn no_shard_of_a_drive_is_taken_for_one_that_was_kept(#[case] without: &[&str]) {
    let shipment = Shipment::new(&[1, 1, 1]);
    tree::plain(&shipment.source, "stage", 40);
    shipment.pack("none").expect(0);
    let paths = shipment.paths();
    let stage = &paths[1];
    let set = shipment.set_folder(1);
    for name in without {
        let path = set.join(name);
        let _ = fs::remove_file(&path);
        let _ = fs::remove_dir_all(&path);
    }
    let before = contents(stage);
    let more = ["--stage", stage.to_str().unwrap()];
    let named = [&more[..], &["--include", "large/text"]].concat();
    for (drives, more) in [(&paths[..], &named[..]), (&paths[..1], &more), (&paths[..], &more)] {
        let to = shipment.new_destination();
        let run = shipment.restore(drives, &to, more).expect(2);
        assert!(run.stderr.contains("it is a drive: it holds set "), "{}", run.shown());
        assert!(!to.exists(), "nothing is begun");
        assert!(contents(stage) == before, "the drive is as it was");
    }
}

/// What is kept would mix with what is restored.
#[test]
fn shards_are_not_kept_in_the_folder_that_is_restored_to() {
    let shipment = shipment(&[1, 1, 1], "cases=1");
    let to = shipment.new_destination();
    shipment.restore(&shipment.paths()[..1], &to, &[]).expect(4);
    for stage in [to.clone(), to.join("stage"), to.join(".holdall")] {
        let before = contents(&to);
        let more = ["--stage", stage.to_str().unwrap()];
        let run = shipment.restore(&shipment.paths()[1..2], &to, &more).expect(2);
        assert!(
            run.stderr.contains("it lies in the folder that is restored to"),
            "{}",
            run.shown()
        );
        assert!(contents(&to) == before);
    }
}

/// A drive with one sector in each shard that cannot be read keeps the rest of it: what is lost is what
/// needs those blocks, and not all that its lost neighbour had.
#[test]
fn of_a_shard_with_a_bad_sector_the_rest_is_kept() {
    let source = tempfile::tempdir().unwrap();
    tree::plain(source.path(), "bad sector", 60);
    tree::write(&source.path().join("noise"), &Random::new("bad sector").bytes(2 << 20));
    let mut lab = Lab::new(&[1, 1, 1, 1], 64 << 20, 7);
    lab.pack(source.path(), "drives=1");
    lab.stage = Some(Arc::new(FaultyDrive::new("stage", 64 << 20)));
    let shards: Vec<String> =
        lab.drives[1].paths().into_iter().filter(|path| path.contains("/shards/")).collect();
    shards.iter().for_each(|path| lab.drives[1].fail_reads(path, 9 * 4096..9 * 4096 + 512));
    let to = source.path().with_extension("to");
    let one = |alone: usize| {
        let others: Vec<usize> = (0..4).filter(|drive| *drive != alone).collect();
        lab.restore(
            &others,
            &to,
            RestoreOptions { resumed: alone > 1, ..RestoreOptions::default() },
        )
    };
    let [.., last] = [1, 2, 3].map(one);
    let entries = tree::walk(source.path()).len();
    let absent = tree::walk(source.path())
        .into_iter()
        .filter(|path| !to.join(path.strip_prefix(source.path()).unwrap()).exists());
    let absent = absent.count();
    assert!(absent > 0 && absent < entries / 4, "{absent} of {entries}: {:?}", last.problems);
    std::fs::remove_dir_all(to).unwrap();
}
