//! A lost drive is rebuilt on a new one, byte for byte, also by a repair that was killed again and
//! again; and the program says what it did by its status.

use super::repair::{Bench, assert_healed, repair};
use crate::common::images::{Image, Packed, image_of};
use crate::common::lab::Crashing;
use crate::common::random::Random;
use crate::common::shipment::Shipment;
use crate::common::{Run, has_programs, program, tree};
use holdall::testing::commands::repair::repair_sets;
use holdall::testing::drives::Drive;
use holdall::testing::faulty::FaultyDrive;
use holdall::testing::memory::Memory;
use holdall::testing::monitor::Recording;
use holdall::testing::repairer::onto::NewDrive;
use holdall::testing::sets::open;
use rstest::rstest;
use serde_json::Value;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

/// Rebuilds slots of a set on empty drives of memory; compares them with the lost ones.
#[rstest]
#[case(&[1, 1, 1], "cases=1", &[1])]
#[case(&[1, 1], "cases=1", &[0])]
#[case(&[2, 2, 2], "cases=1,drives=1", &[1, 2, 3])]
fn a_lost_drive_is_rebuilt_byte_for_byte(
    #[case] cases: &[usize],
    #[case] survive: &str,
    #[case] lost: &[usize],
) {
    let packed = Packed::new(cases, survive, "lost");
    let kept: Vec<Image> = (0..packed.images.len())
        .filter(|i| !lost.contains(i))
        .map(|i| packed.images[i].clone())
        .collect();
    let bench = Bench::new(&kept);
    let empty: Vec<FaultyDrive> =
        lost.iter().map(|i| FaultyDrive::new(format!("new {i}"), 64 << 20)).collect();
    let case_of = |slot: usize| {
        let ends = cases.iter().scan(0, |sum, count| {
            *sum += count;
            Some(*sum)
        });
        format!("case-{}", ends.take_while(|end| *end <= slot).count())
    };
    let new_drives = || {
        let new = lost
            .iter()
            .zip(&empty)
            .map(|(slot, drive)| NewDrive { case: case_of(*slot), drive: Arc::new(drive.clone()) });
        new.collect::<Vec<_>>()
    };
    let monitor = Recording::default();
    let done = repair(&bench.shared(), &new_drives(), None, &monitor);
    assert!(done.is_whole(), "{:#?} {:#?}", done.repaired, monitor.problems());
    assert_eq!((monitor.problems(), monitor.notes()), (vec![], vec![]));
    for (slot, drive) in lost.iter().zip(&empty) {
        let (rebuilt, original) = (image_of(drive), &packed.images[*slot]);
        assert!(rebuilt.keys().eq(original.keys()), "slot {slot}: other files");
        let other = rebuilt.iter().find(|(path, bytes)| original[*path] != **bytes);
        assert_eq!(other.map(|(path, _)| path), None, "slot {slot}");
    }
    let all = [bench.shared(), new_drives().into_iter().map(|new| new.drive).collect()].concat();
    assert_eq!(packed.verify(&all, true).status, 0);
    assert_healed(&packed, &bench, &kept, "the others");
    // It carries the set now: the same command again finds that it is done.
    let monitor = Recording::default();
    let again = repair(&bench.shared(), &new_drives(), None, &monitor);
    assert!(again.is_whole() && again.repaired.drives.iter().all(|d| !d.new && d.shards == 0));
    assert!(monitor.notes().iter().all(|note| note.contains("already")), "{:?}", monitor.notes());
}

/// Review F13: killed after any call, or with a source gone from any call on, the same command goes
/// on, or finds that it is done.
#[rstest]
#[case::killed(true)]
#[case::without_a_source(false)]
fn a_rebuild_is_gone_on_with_by_the_same_command(#[case] all: bool) {
    const POINTS: i64 = 60;
    let packed = Packed::new(&[1, 1, 1], "cases=1", "onto again");
    let kept = [packed.images[0].clone(), packed.images[2].clone()];
    let rebuild = |bench: &Bench, new: &FaultyDrive, calls: i64| {
        let left = Arc::new(AtomicI64::new(calls));
        let mut drives = bench.shared();
        drives[0] = Crashing::over(drives[0].clone(), left.clone());
        let mut new: Arc<dyn Drive> = Arc::new(new.clone());
        if all {
            drives[1] = Crashing::over(drives[1].clone(), left.clone());
            new = Crashing::over(new, left.clone());
        }
        let new = [NewDrive { case: "case-1".into(), drive: new }];
        let found = open::find(&drives, &Recording::default());
        let (memory, told) = (Memory::default(), Recording::default());
        repair_sets(found, &new, None, None, memory, &told).ok();
        calls - left.load(Ordering::SeqCst)
    };
    let new_drive = || FaultyDrive::new("new", 64 << 20);
    let calls = rebuild(&Bench::new(&kept), &new_drive(), 1 << 40);
    for point in (0..POINTS).map(|point| calls * point / POINTS).chain(calls - 20..calls) {
        let (bench, new) = (Bench::new(&kept), new_drive());
        rebuild(&bench, &new, point);
        let monitor = Recording::default();
        let drive = [NewDrive { case: "case-1".into(), drive: Arc::new(new.clone()) }];
        let done = repair(&bench.shared(), &drive, None, &monitor);
        assert!(done.is_whole(), "{point}: {:#?} {:#?}", done.repaired, monitor.problems());
        assert!(image_of(&new) == packed.images[1], "{point} of {calls}");
    }
}

#[test]
fn more_than_the_rule_cannot_be_rebuilt_but_all_that_is_known_is_there() {
    let packed = Packed::new(&[1, 1, 1], "cases=1", "two lost");
    let bench = Bench::new(&packed.images[..1]);
    let drive = FaultyDrive::new("new", 64 << 20);
    let new = || [NewDrive { case: "case-1".into(), drive: Arc::new(drive.clone()) }];
    let done = repair(&bench.shared(), &new(), None, &Recording::default());
    assert!(!done.is_whole() && !done.is_beyond());
    assert!(!done.repaired.waiting.is_empty());
    let shards = packed.images[1].keys().filter(|path| path.contains("/shards/")).count();
    let rebuilt = done.repaired.drives.iter().find(|drive| drive.new).unwrap();
    assert_eq!((rebuilt.shards, rebuilt.left_shards), (0, shards as u64), "all of them wait");
    // The third comes: the same command goes on.
    let bench = Bench::new(&[packed.images[0].clone(), packed.images[2].clone()]);
    let done = repair(&bench.shared(), &new(), None, &Recording::default());
    assert!(done.is_whole(), "{:#?}", done.repaired);
    assert!(image_of(&drive) == packed.images[1]);
}

#[test]
fn a_new_drive_without_room_is_refused_untouched() {
    let packed = Packed::new(&[1, 1, 1], "cases=1", "no room");
    let drive = FaultyDrive::new("new", 1 << 20);
    let new = [NewDrive { case: "case-0".into(), drive: Arc::new(drive.clone()) }];
    let bench = Bench::new(&packed.images[1..]);
    let found = open::find(&bench.shared(), &Recording::default());
    let refused = repair_sets(found, &new, None, None, Memory::default(), &Recording::default());
    assert!(refused.err().unwrap().to_string().contains("room for"), "says why");
    assert_eq!(drive.paths(), Vec::<String>::new());
}

/// The arguments of a repair.
fn words(paths: &[PathBuf], more: &[&str]) -> Vec<OsString> {
    let folders = more.contains(&"--onto").then_some("--folder-drives");
    let first = ["repair", "--json"].into_iter().chain(folders).map(OsString::from);
    first.chain(paths.iter().map(OsString::from)).chain(more.iter().map(OsString::from)).collect()
}

fn run(shipment: &Shipment, paths: &[PathBuf], more: &[&str]) -> Run {
    shipment.run(words(paths, more))
}

/// All files of a drive but the notes made on the way.
fn files(drive: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let all = tree::walk(drive).into_iter().filter(|p| p.is_file());
    let below = |p: PathBuf| (p.strip_prefix(drive).unwrap().to_owned(), fs::read(p).unwrap());
    all.filter(|p| !p.components().any(|c| c.as_os_str() == "custody")).map(below).collect()
}

#[track_caller]
fn assert_equal(left: &BTreeMap<PathBuf, Vec<u8>>, right: &BTreeMap<PathBuf, Vec<u8>>) {
    assert!(left.keys().eq(right.keys()), "{:?}\n{:?}", left.keys(), right.keys());
    let other = left.iter().find(|(path, bytes)| right[*path] != **bytes);
    assert_eq!(other.map(|(path, _)| path), None);
}

fn check_with_b3sum(set_folder: &Path) {
    let mut command = Command::new("b3sum");
    let checked = command.args(["--check", "checklist.b3"]).current_dir(set_folder).output();
    let checked = checked.unwrap();
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stdout));
}

fn packed() -> Shipment {
    let shipment = Shipment::new(&[1, 1, 1]);
    tree::plain(&shipment.source, "repair by the program", 60);
    shipment.pack("cases=1").expect(0);
    shipment
}

#[test]
fn the_program_mends_folders_and_b3sum_agrees() {
    if !has_programs(&["b3sum"]) {
        return;
    }
    let shipment = packed();
    let before: Vec<_> = shipment.paths().iter().map(|path| files(path)).collect();
    let shards = shipment.files(1, "shards/");
    let change = |path: &Path, change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = fs::read(path).unwrap();
        change(&mut bytes);
        fs::write(path, bytes).unwrap();
    };
    change(&shards[0], &|bytes| bytes[5000] ^= 1);
    change(&shards[1], &|bytes| bytes.truncate(9000));
    change(&shards[2], &|bytes| bytes.extend([1, 2, 3]));
    fs::remove_file(&shards[3]).unwrap();
    fs::remove_file(&shards[4]).unwrap();
    fs::create_dir(&shards[4]).unwrap();
    std::os::unix::fs::symlink("elsewhere", shards[3].with_extension("tmp")).unwrap();
    let folder = shipment.set_folder(1);
    for name in ["label.json", "set.txt", "checklist.b3", "copy/label.json"] {
        change(&folder.join(name), &|bytes| bytes.truncate(20));
    }
    for beginning in ["records/", "catalog/", "key-"] {
        fs::remove_file(&shipment.files(1, beginning)[0]).unwrap();
    }
    fs::remove_file(shipment.paths()[1].join("holdall/format.md")).unwrap();
    let done = run(&shipment, &shipment.paths(), &[]).expect(0).event("repaired");
    assert_eq!((&done["whole"], &done["drives"][1]["blocks"]), (&true.into(), &1.into()));
    assert_eq!(done["drives"][1]["shards"], 4);
    assert!(shards[3].with_extension("tmp").symlink_metadata().is_err(), "litter goes");
    shipment.verify(&shipment.paths()).expect(0);
    for (drive, path) in shipment.paths().iter().enumerate() {
        check_with_b3sum(&shipment.set_folder(drive));
        assert_equal(&files(path), &before[drive]);
    }
    // Nothing to do is nothing done.
    let again = run(&shipment, &shipment.paths(), &[]).expect(0).event("repaired");
    let drives = again["drives"].as_array().unwrap();
    assert!(drives.iter().all(|d| d["files"] == 0 && d["level"] == "none"), "{again}");
}

#[test]
fn the_program_rebuilds_a_lost_drive_in_its_slot() {
    let shipment = packed();
    let (lost, kept) = (shipment.paths()[1].clone(), [0, 2].map(|i| shipment.paths()[i].clone()));
    let new = shipment.path().join("new");
    fs::create_dir(&new).unwrap();
    let onto = |case: &str| format!("{case}={}", new.display());
    // Usage: what cannot be is said before anything is written.
    let refused = |more: &[&str], paths: &[PathBuf], words: &str| {
        let run = run(&shipment, paths, more).expect(2);
        assert!(run.stderr.contains(words), "{}", run.stderr);
        assert_eq!(tree::walk(&new).len(), 1, "nothing was written");
    };
    refused(&["--onto", &onto("b")], &shipment.paths(), "no drive of set");
    refused(&["--onto", &onto("b"), "--slot", "1"], &kept, "slot 1");
    refused(&["--onto", new.to_str().unwrap()], &kept, "--onto <CASE=PATH>");
    refused(&["--expect", "12"], &kept, "a root is the 64 hexadecimal digits");
    // One that carries it already is no new drive, and nothing is lost by saying so.
    let carrier = format!("b={}", lost.display());
    let again = run(&shipment, &kept, &["--onto", &carrier]).expect(0);
    let already = |n: &Value| n["text"].as_str().unwrap().contains("is slot 2 of set");
    assert!(again.events_of("note").iter().any(already), "{}", again.shown());
    // A drive that lost its case gets the slot all the same.
    let first = run(&shipment, &kept, &["--onto", &onto("z")]).expect(0);
    let notes = first.events_of("note");
    assert!(notes.iter().any(|n| n["text"].as_str().unwrap().contains("weakened")), "{notes:?}");
    assert_equal(&files(&new), &files(&lost));
    let all = [kept[0].clone(), new.clone(), kept[1].clone()];
    shipment.verify(&all).expect(0);
    // Two lost are more than the rule: the rest waits.
    let other = shipment.path().join("other");
    fs::create_dir(&other).unwrap();
    let waits = run(&shipment, &kept[..1], &["--onto", &format!("b={}", other.display())]);
    assert!(!waits.expect(3).event("repaired")["waiting"].as_array().unwrap().is_empty());
}

/// Killed again and again, then left alone.
#[test]
fn a_killed_repair_goes_on_when_it_is_run_again() {
    let shipment = Shipment::new(&[1, 1, 1]);
    let mut random = Random::new("killed repair");
    for i in 0..150 {
        tree::write(&shipment.source.join(format!("{i:03}")), &random.bytes(50_000));
    }
    shipment.pack("cases=1").expect(0);
    let (lost, kept) = (shipment.paths()[1].clone(), [0, 2].map(|i| shipment.paths()[i].clone()));
    let before = files(&kept[0]);
    let new = shipment.path().join("new");
    fs::create_dir(&new).unwrap();
    let onto = format!("b={}", new.display());
    let mut killed = 0;
    for attempt in 0..12 {
        let mut command = program(&shipment.state());
        command.args(words(&kept, &["--onto", &onto]));
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(5 + 12 * attempt));
        child.kill().unwrap();
        killed += usize::from(child.wait().unwrap().code().is_none());
        if !new.join("holdall").exists() {
            continue;
        }
        // Under their names files are whole.
        for (path, bytes) in files(&new) {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            let original = lost.join(&path);
            if original.exists() {
                assert!(bytes == fs::read(original).unwrap(), "{name}");
            }
        }
    }
    assert!(killed > 3, "{killed} were killed");
    run(&shipment, &kept, &["--onto", &onto]).expect(0);
    let mut rebuilt = files(&new);
    rebuilt.retain(|path, _| path.extension().is_none_or(|e| e != "tmp"));
    assert_equal(&rebuilt, &files(&lost));
    assert_equal(&files(&kept[0]), &before);
    shipment.verify(&[kept[0].clone(), new.clone(), kept[1].clone()]).expect(0);
}

/// A set that was never closed is mended too.
#[test]
fn an_unclosed_set_is_mended() {
    let packed = Packed::new(&[1, 1, 1], "cases=1", "unclosed");
    let folder = packed.set_folder();
    let mut images = packed.images.clone();
    for image in &mut images {
        image.retain(|path, _| {
            let closing = ["set.txt", "checklist.b3", "copy/", "-index.cat", "README", "format.md"];
            !closing.iter().any(|word| path.contains(word)) && !path.ends_with("reader.py")
        });
    }
    let original = images.clone();
    let shards = super::repair::paths(&images[1], "/shards/");
    images[1].get_mut(&shards[0]).unwrap()[9] ^= 1;
    images[1].remove(&shards[1]).unwrap();
    images[1].remove(&format!("{folder}/label.json")).unwrap();
    images[1].retain(|path, _| !path.contains("/records/"));
    let bench = Bench::new(&images);
    let monitor = Recording::default();
    let done = repair(&bench.shared(), &[], None, &monitor);
    let told = monitor.problems();
    // Nothing but set.txt tells the case of a drive without a label.
    assert!(done.repaired.beyond.is_empty() && !told.is_empty(), "{told:?}");
    assert!(told.iter().all(|p| p.to_string().contains("label.json")), "{told:?}");
    for (path, bytes) in &original[1] {
        let right = bench.images()[1].get(path) == Some(bytes);
        assert!(right || path.ends_with("label.json"), "{path}");
    }
    // With its label there is nothing that is not known.
    images[1].insert(
        format!("{folder}/label.json"),
        original[1][&format!("{folder}/label.json")].clone(),
    );
    let bench = Bench::new(&images);
    let monitor = Recording::default();
    let done = repair(&bench.shared(), &[], None, &monitor);
    assert!(done.is_whole(), "{:#?} {:#?}", done.repaired, monitor.problems());
    assert!(bench.images() == original);
}

/// Review F14: a drive that carries nothing is named, with what it is good for, and the command
/// that is printed works when typed.
#[test]
fn a_drive_without_a_set_is_told_from_a_whole_one() {
    let shipment = packed();
    let kept = [0, 2].map(|i| shipment.paths()[i].clone());
    let empty = shipment.path().join("an empty one");
    fs::create_dir(&empty).unwrap();
    let words = |paths: &[PathBuf]| -> Vec<OsString> {
        [OsString::from("repair")].into_iter().chain(paths.iter().map(OsString::from)).collect()
    };
    let given = [kept[0].clone(), kept[1].clone(), empty];
    let text = shipment.run(words(&given)).expect(3).stdout;
    assert!(text.contains("Every drive of the set that was named is whole."), "{text}");
    let command = text.lines().find(|line| line.starts_with("holdall repair ")).unwrap();
    assert!(command.contains("--onto 'b="), "{command}");
    // What follows is for folders, as in tests: a drive needs no such word.
    let typed = shlex::split(command).unwrap().into_iter().skip(1);
    shipment.run(typed.chain(["--folder-drives".into()])).expect(0);
    shipment.verify(&given).expect(0);
    // With all of its drives there is nothing to rebuild.
    let more = shipment.path().join("another");
    fs::create_dir(&more).unwrap();
    let text = shipment.run(words(&[&given[..], &[more]].concat())).expect(3).stdout;
    assert!(text.contains("no drive of this set is missing"), "{text}");
}
