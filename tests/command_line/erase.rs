//! A set is removed from drives by its name, when a person or `--yes` says so, and nothing else is.

use super::signals::StopsAfter;
use crate::common::shipment::Shipment;
use crate::common::{program, tree};
use crate::{assert_refused, holdall, small};
use assert_cmd::Command;
use holdall::testing::commands::erase::Erasure;
use holdall::testing::monitor::Recording;
use rustix::fs::{Mode, OFlags};
use rustix::process::{Pid, Signal, kill_process};
use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

fn erase(shipment: &Shipment, drives: &[usize], set: &str, more: &[&str]) -> Command {
    let mut command = holdall(shipment.path());
    command.arg("erase").args(drives.iter().map(|d| &shipment.drives[*d].1)).args(["--set", set]);
    command.args(more);
    command
}

/// A packed shipment of two cases, and its set's name.
fn packed() -> (Shipment, String) {
    let shipment = small();
    shipment.pack("cases=1").expect(0);
    let set = shipment.set_folder(0).file_name().unwrap().to_str().unwrap().to_owned();
    (shipment, set)
}

#[test]
fn a_set_goes_and_nothing_else() {
    let (shipment, set) = packed();
    let mine = shipment.paths()[0].join("my own file");
    fs::write(&mine, b"stays").unwrap();
    erase(&shipment, &[0, 1, 2], &set, &["--yes"]).assert().code(0);
    assert_eq!(tree::walk(&shipment.paths()[0]), [shipment.paths()[0].clone(), mine]);
    assert_eq!(tree::walk(&shipment.paths()[1]).len(), 1, "the drive is empty");
    assert!(shipment.set_folder(3).join("label.json").exists(), "a drive that was not named");
    // Again: one still has it, the others have nothing of it left.
    erase(&shipment, &[0, 3], &set, &["--yes"]).assert().code(0);
    assert!(!shipment.paths()[3].join("holdall").exists());
    assert_refused(&mut erase(&shipment, &[0, 3], &set, &["--yes"]), 1, &["on none of", "hint:"]);
}

#[test]
fn another_set_on_the_drive_stays_whole() {
    let (shipment, first) = packed();
    let before = tree::walk(&shipment.paths()[0]).len();
    shipment.pack("cases=1").expect(0);
    let folders = || {
        let names = fs::read_dir(shipment.paths()[0].join("holdall")).unwrap();
        let names = names.map(|n| n.unwrap().file_name().into_string().unwrap());
        names.filter(|n| n.contains('-')).collect::<Vec<_>>()
    };
    let second = folders().into_iter().find(|name| *name != first).unwrap();
    // By the shipment's id, of which the drives have one set.
    erase(&shipment, &[0, 1, 2, 3], &second[..16], &["--yes"]).assert().code(0);
    assert_eq!(folders(), [first]);
    assert_eq!(tree::walk(&shipment.paths()[0]).len(), before);
    shipment.verify(&shipment.paths()).expect(0);
}

#[test]
fn a_broken_off_erasing_is_run_again() {
    let (shipment, set) = packed();
    let folder = shipment.set_folder(0);
    for name in ["label.json", "set.txt", "checklist.b3"] {
        fs::remove_file(folder.join(name)).unwrap();
    }
    fs::remove_dir_all(folder.join("records")).unwrap();
    fs::remove_file(shipment.files(0, "shards/")[0].clone()).unwrap();
    fs::write(folder.join("label.json.tmp"), b"litter").unwrap();
    erase(&shipment, &[0], &set, &["--yes"]).assert().code(0);
    assert_eq!(tree::walk(&shipment.paths()[0]).len(), 1);
}

/// A kill right at the start of packing leaves folders and nothing in them: that is no damage, and
/// the command that removes them is printed.
#[test]
fn empty_folders_of_a_killed_pack_are_told_with_the_command_that_removes_them() {
    let (shipment, _) = packed();
    let bare = "0123456789abcdef-001";
    let folders: Vec<_> = shipment.paths().iter().map(|p| p.join("holdall").join(bare)).collect();
    for folder in &folders {
        fs::create_dir_all(folder.join("shards")).unwrap();
    }
    fs::write(folders[0].join("label.json.tmp"), b"{").unwrap();
    fs::write(folders[1].join(".DS_Store"), b"litter").unwrap();
    let drives: Vec<_> = shipment.paths().iter().map(|p| p.display().to_string()).collect();
    let command = format!("holdall erase {} --set {bare}", drives.join(" "));
    let verified = shipment.verify(&shipment.paths()).expect(0);
    let notes = verified.events_of("note");
    assert_eq!(notes.len(), 1, "{}", verified.shown());
    assert!(notes.len() == 1 && notes[0]["text"].as_str().unwrap().ends_with(&command));
    shipment.restore(&shipment.paths(), &shipment.new_destination(), &[]).expect(0);
    // A shard without any record is damage, and not a thing to erase.
    fs::create_dir(folders[2].join("shards/00000")).unwrap();
    let shard = folders[2].join("shards/00000/0123456789abcdef-00000000-00");
    fs::write(&shard, b"shard").unwrap();
    let damaged = shipment.verify(&shipment.paths()).expect(3);
    assert!(!damaged.shown().contains("holdall erase"), "{}", damaged.shown());
    fs::remove_file(&shard).unwrap();
    let words = command.split(' ').skip(1).chain(["--yes"]);
    shipment.run(words).expect(0);
    assert!(!shipment.verify(&shipment.paths()).expect(0).shown().contains(bare));
}

#[test]
fn nothing_goes_without_a_word() {
    let (shipment, set) = packed();
    let before = tree::walk(shipment.path());
    let all = [0, 1, 2, 3];
    for set in [&set[..], &set[..16]] {
        let words = ["nobody to ask", "hint:", "--yes"];
        assert_refused(&mut erase(&shipment, &all, set, &[]), 2, &words);
    }
    for name in ["", "..", "holdall", "README.txt", "../../source", &set[..15]] {
        let words = ["is not the name of a set", "hint:"];
        assert_refused(&mut erase(&shipment, &all, name, &["--yes"]), 2, &words);
    }
    let other = "0123456789abcdef-001";
    assert_refused(&mut erase(&shipment, &all, other, &["--yes"]), 1, &["on none of these"]);
    let words: [OsString; 4] = ["erase".into(), "--set".into(), set.into(), "--yes".into()];
    holdall(shipment.path()).args(words).assert().code(2);
    assert_eq!(tree::walk(shipment.path()), before, "nothing was touched");
}

/// Stopped in the middle of a drive, it says of each drive what was done; again, it does the rest.
#[test]
fn an_erasing_that_is_stopped_says_what_is_left() {
    let (shipment, set) = packed();
    let paths = &shipment.paths()[..2];
    let erasure = Erasure::find(paths, &set, &Recording::default()).unwrap();
    let erased = erasure.run(&StopsAfter(4.into()));
    let done: Vec<(bool, bool)> = erased.iter().map(|d| (d.files > 0, d.done)).collect();
    assert_eq!(done, [(true, false), (false, false)]);
    erase(&shipment, &[0, 1], &set, &["--yes"]).assert().code(0);
    assert!(paths.iter().all(|path| !path.join("holdall").exists()));
}

/// Makes folders in one another, with a file in each.
fn nest(folder: &Path, depth: usize) {
    let flags = OFlags::PATH | OFlags::DIRECTORY;
    let mut here = rustix::fs::open(folder, flags, Mode::empty()).unwrap();
    for _ in 0..depth {
        rustix::fs::mkdirat(&here, "a", Mode::RWXU).unwrap();
        here = rustix::fs::openat(&here, "a", flags, Mode::empty()).unwrap();
        let file = OFlags::CREATE | OFlags::WRONLY;
        rustix::fs::openat(&here, "f", file, Mode::RUSR).unwrap();
    }
}

/// Security S12: time as the names are, however deep they lie; a stop is heard on the way down and up.
#[test]
fn folders_that_are_deep_go_as_fast_as_others() {
    const DEPTH: usize = 3000;
    // In memory, if there is such a folder: what is measured is not the disk.
    let memory = Path::new("/dev/shm");
    let base = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
    let shipment = Shipment::within(&base, &[1]);
    tree::write(&shipment.source.join("file"), b"file");
    shipment.pack("none").expect(0);
    let folder = shipment.set_folder(0);
    let set = folder.file_name().unwrap().to_str().unwrap().to_owned();
    nest(&folder.join("shards"), DEPTH);
    let drive = &shipment.paths()[..1];
    let find = || Erasure::find(drive, &set, &Recording::default()).unwrap();
    // On the way down, and on the way up, where no file is left.
    for heard in [DEPTH as u64, 2 * DEPTH as u64] {
        let erased = find().run(&StopsAfter(heard.into())).remove(0);
        assert!(erased.files > DEPTH as u64 / 4 && !erased.done, "{heard}: {}", erased.files);
    }
    // So does a signal end it, whenever it comes; and what is left goes next time.
    nest(&folder, 2 * DEPTH);
    let mut command = program(&shipment.state());
    command.arg("erase").args(drive).args(["--set", &set, "--yes"]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    std::thread::sleep(Duration::from_millis(30));
    let begun = Instant::now();
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    assert!(matches!(output.status.code(), None | Some(0 | 1)), "{output:?}");
    if folder.exists() {
        let begun = Instant::now();
        erase(&shipment, &[0], &set, &["--yes"]).assert().code(0);
        assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    }
    assert!(!shipment.paths()[0].join("holdall").exists());
}
