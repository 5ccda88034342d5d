//! A restore that is killed goes on when the same command is run again; a folder that is not its
//! own is never touched.

use crate::common::lab::Lab;
use crate::common::random::Random;
use crate::common::shipment::Shipment;
use crate::common::snapshot::{Paths, Snapshot};
use crate::common::{Run, program, tree};
use holdall::testing::restorer::RestoreOptions;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

/// A restore that has run for less has synced nothing.
const UNSYNCED: Duration = Duration::from_secs(8);

/// Runs a restore and kills it after a while; says whether it was killed.
fn killed_after(shipment: &Shipment, to: &Path, time: Duration) -> bool {
    let mut command = program(&shipment.state());
    command.args(shipment.restore_arguments(&shipment.paths(), to, &[]));
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    std::thread::sleep(time);
    child.kill().unwrap();
    child.wait().unwrap().code().is_none()
}

#[test]
fn a_restore_that_is_killed_goes_on() {
    let shipment = Shipment::new(&[1, 1, 1]);
    tree::plain(&shipment.source, "killed", 500);
    tree::rich(&shipment.source.join("rich"), "killed");
    shipment.pack("cases=1").expect(0);
    let source = Snapshot::of(&shipment.source);
    let to = shipment.new_destination();
    let began = Instant::now();
    shipment.restore(&shipment.paths(), &to, &[]).expect(0);
    let whole = began.elapsed();
    let mut random = Random::new("killed");
    let (mut kills, mut midway) = (0, 0);
    // On a busy machine a run may last until it has synced what it restored, which then is as it was.
    let mut synced = false;
    let to = shipment.new_destination();
    while kills < 10 {
        let time = whole.mul_f64((1 + random.below(95)) as f64 / 100.0);
        let began = Instant::now();
        let killed = killed_after(&shipment, &to, time);
        synced |= began.elapsed() >= UNSYNCED;
        if killed {
            kills += 1;
            let here = to.is_dir().then(|| Snapshot::of(&to).without(b".holdall").files());
            let here = here.unwrap_or_default();
            midway += u32::from(!here.is_empty());
            assert_eq!(&here - &source.files(), Paths::new(), "nothing else has a final name");
            // Power is lost too: what was not synced yet may be anything.
            let torn = here.iter().find(|p| !synced && p.starts_with(b"folder 03/"));
            if let Some(path) = torn {
                let path = to.join(std::str::from_utf8(path).unwrap());
                fs::write(path, b"torn").unwrap();
            }
        } else {
            // It was done before: from the beginning.
            synced = false;
            tree::unlock(&to);
            fs::remove_dir_all(&to).unwrap();
        }
    }
    assert!(midway >= 3, "{midway} of {kills} kills came midway");
    shipment.restore(&shipment.paths(), &to, &[]).expect(0);
    source.assert_equal(&Snapshot::of(&to));
    assert!(!to.join(".holdall").exists());
}

#[test]
fn what_was_settled_is_not_done_again_and_what_vanished_is() {
    let folder = tempfile::tempdir().unwrap();
    let (source, to) = (folder.path().join("source"), folder.path().join("to"));
    tree::plain(&source, "settled", 200);
    let mut lab = Lab::new(&[1, 1, 1, 1], 64 << 20, 9);
    lab.pack(&source, "cases=1");
    // Two drives are not enough, so this restore stays resumable.
    let waiting = lab.restore(&[0, 1], &to, RestoreOptions::default()).restored;
    assert!(waiting.waiting > 0 && waiting.files > 20, "{waiting:?}");
    let there: Vec<PathBuf> = tree::walk(&to.join("folder 00"));
    let removed = there.iter().filter(|p| p.is_file()).take(2);
    let removed = removed.map(|p| fs::remove_file(p).unwrap()).count() as u64;
    let options = RestoreOptions { resumed: true, ..RestoreOptions::default() };
    let again = lab.restore(&[], &to, options).restored;
    assert!(again.already + again.files >= waiting.files + waiting.waiting - 1, "{again:?}");
    assert!(again.files >= waiting.waiting - 1 + removed, "{again:?}");
    assert!(again.already > 20, "{again:?}");
    Snapshot::of(&source).assert_equal(&Snapshot::of(&to));
}

#[test]
fn a_folder_with_anything_in_it_is_refused() {
    let shipment = Shipment::new(&[1]);
    tree::plain(&shipment.source, "refused", 3);
    shipment.pack("none").expect(0);
    let to = shipment.new_destination();
    tree::write(&to.join("precious"), b"mine");
    let before = Snapshot::of(&to);
    let run = shipment.restore(&shipment.paths(), &to, &[]).expect(1);
    assert!(run.stderr.contains("is not empty"), "{}", run.shown());
    assert!(run.stderr.contains("hint: restore into a folder that is missing or empty"));
    before.assert_equal(&Snapshot::of(&to));
}

/// Review A23, scale 9, F13: it is done, whatever was cut short at its very end; one that was
/// changed since is a folder like any other.
#[test]
fn a_finished_restore_that_is_asked_for_again_is_done() {
    let shipment = Shipment::new(&[1]);
    tree::plain(&shipment.source, "again", 3);
    shipment.pack("none").expect(0);
    let to = shipment.new_destination();
    shipment.restore(&shipment.paths(), &to, &[]).expect(0);
    let before = Snapshot::of(&to);
    for cut_short in [false, true] {
        if cut_short {
            fs::create_dir(to.join(".holdall")).unwrap();
        }
        let again = shipment.restore(&shipment.paths(), &to, &[]).expect(0).event("restored");
        assert_eq!((&again["in_place"], &again["complete"]), (&true.into(), &true.into()));
        assert!(!to.join(".holdall").exists());
    }
    Snapshot::of(&to).assert_equal(&before);
    let file = tree::walk(&to).into_iter().find(|path| path.is_file()).unwrap();
    fs::write(&file, b"longer than it was, or shorter, but another length at any rate").unwrap();
    let run = shipment.restore(&shipment.paths(), &to, &[]).expect(1);
    assert!(run.stderr.contains("is not empty"), "{}", run.shown());
}

/// Review A23: the same where the catalog cannot be read. What another drive may name is not
/// promised, and files of other times are others.
#[test]
fn a_finished_restore_is_known_without_a_catalog_and_by_its_times() {
    for (cases, alone) in [(&[1][..], 3), (&[1, 1, 1], 4)] {
        let shipment = Shipment::new(cases);
        tree::plain(&shipment.source, "no catalog", 30);
        shipment.pack(if cases.len() > 1 { "cases=1" } else { "none" }).expect(0);
        let (paths, to) = (shipment.paths(), shipment.new_destination());
        shipment.restore(&paths, &to, &[]).expect(0);
        let before = Snapshot::of(&to);
        for drive in 0..cases.len() {
            let files = shipment.files(drive, "").into_iter();
            for file in files.filter(|path| path.extension().is_some_and(|end| end == "cat")) {
                let mut bytes = fs::read(&file).unwrap();
                bytes[50..3050].fill(0);
                fs::write(&file, bytes).unwrap();
            }
            let again = shipment.restore(&paths[..1], &to, &[]).expect(alone);
            let again = again.event("restored");
            assert_eq!(
                (&again["in_place"], &again["complete"]),
                (&true.into(), &(alone == 3).into())
            );
            let awaited = if alone == 4 { vec![1] } else { vec![] };
            assert_eq!(again["awaited_sets"], serde_json::json!(awaited));
            let sound = drive + 1 < cases.len();
            let all = shipment.restore(&paths, &to, &[]).expect(if sound { 0 } else { 3 });
            assert_eq!(all.event("restored")["complete"], true, "{}", all.shown());
        }
        Snapshot::of(&to).assert_equal(&before);
        let files: Vec<_> = tree::walk(&to).into_iter().filter(|path| path.is_file()).collect();
        let touch = |file: &std::path::PathBuf| {
            let file = fs::File::options().write(true).open(file).unwrap();
            file.set_modified(std::time::UNIX_EPOCH + Duration::from_secs(1_000_000_000)).unwrap();
        };
        // One that is of another time may be another file.
        touch(&files[0]);
        let run = shipment.restore(&paths, &to, &[]).expect(1);
        assert!(run.stderr.contains("is not empty"), "{}", run.shown());
        // So may all of them, where times are kept.
        files.iter().for_each(touch);
        let run = shipment.restore(&paths, &to, &[]).expect(1);
        assert!(run.stderr.contains("is not empty"), "{}", run.shown());
    }
}

/// Review A5, A23: each time it is asked for.
#[test]
fn a_given_up_restore_that_is_asked_for_again_lists_what_is_not_there() {
    let shipment = Shipment::new(&[1, 1]);
    tree::plain(&shipment.source, "given up", 12);
    shipment.pack("none").expect(0);
    let to = shipment.new_destination();
    let missing = |run: &Run| {
        let mut paths: Vec<_> = run.problems().into_iter().map(|(path, _)| path).collect();
        paths.sort();
        paths
    };
    let first = shipment.restore(&shipment.paths()[..1], &to, &["--give-up"]).expect(1);
    let before = Snapshot::of(&to);
    for more in [&[][..], &["--give-up"]] {
        let again = shipment.restore(&shipment.paths(), &to, more).expect(1);
        assert_eq!(missing(&again), missing(&first));
        let restored = again.event("restored");
        assert_eq!((&restored["in_place"], &restored["complete"]), (&true.into(), &false.into()));
        assert_eq!(restored["lost"], first.event("restored")["lost"]);
        assert_eq!(restored["list_complete"], true);
    }
    Snapshot::of(&to).assert_equal(&before);
    // Another tree is none that was restored.
    for file in tree::walk(&to).into_iter().filter(|path| path.is_file()) {
        fs::remove_file(file).unwrap();
    }
    shipment.restore(&shipment.paths(), &to, &[]).expect(1).event("error");
}

/// Two at once in one folder: a set that another process is restoring is left to it.
#[test]
fn a_set_that_another_process_restores_is_left_to_it() {
    let shipment = Shipment::new(&[1, 1]);
    tree::plain(&shipment.source, "two at once", 20);
    shipment.pack("none").expect(0);
    let to = shipment.new_destination();
    shipment.restore(&shipment.paths()[..1], &to, &[]).expect(4);
    let held = fs::File::open(to.join(".holdall/lock-1")).unwrap();
    rustix::fs::flock(&held, rustix::fs::FlockOperation::LockExclusive).unwrap();
    for more in [&[][..], &["--give-up"]] {
        let run = shipment.restore(&shipment.paths(), &to, more);
        assert_eq!(run.status, if more.is_empty() { 4 } else { 1 }, "{}", run.shown());
        assert!(run.problems()[0].1.starts_with("another holdall"), "{}", run.shown());
        assert_eq!(run.event("restored")["entries"], 0, "{}", run.shown());
        assert!(to.join(".holdall").exists());
    }
    drop(held);
    shipment.restore(&shipment.paths(), &to, &[]).expect(0);
    Snapshot::of(&shipment.source).assert_equal(&Snapshot::of(&to));
}

#[test]
fn a_folder_of_another_shipment_is_refused() {
    let [one, other] = [(); 2].map(|()| {
        let shipment = Shipment::new(&[1, 1]);
        tree::plain(&shipment.source, "another", 10);
        shipment.pack("none").expect(0);
        shipment
    });
    let to = one.new_destination();
    one.restore(&one.paths()[..1], &to, &[]).expect(4);
    let before = Snapshot::of(&to);
    let run = other.restore(&other.paths(), &to, &[]).expect(1);
    assert!(run.stderr.contains("holds a restore of shipment"), "{}", run.shown());
    before.assert_equal(&Snapshot::of(&to));
    one.restore(&one.paths(), &to, &[]).expect(0);
}

/// A claim that rotted is told as what it is, with what can be done.
#[test]
fn a_damaged_claim_asks_for_another_folder() {
    let shipment = Shipment::new(&[1, 1]);
    tree::plain(&shipment.source, "claim", 20);
    shipment.pack("none").expect(0);
    let to = shipment.new_destination();
    let drive = &shipment.paths()[..1];
    shipment.restore(drive, &to, &[]).expect(4);
    let claim = to.join(".holdall/restore.json");
    let bytes = fs::read(&claim).unwrap();
    for damaged in [&bytes[..bytes.len() / 2], b""] {
        fs::write(&claim, damaged).unwrap();
        let error = shipment.restore(drive, &to, &[]).expect(1).event("error");
        let hint =
            "the file is damaged, so that restore cannot be resumed: restore into another folder";
        assert_eq!(error["hint"], hint, "{error}");
    }
}

/// Only what is of its kind is taken for a file that an earlier run has placed.
#[test]
fn a_folder_in_the_place_of_a_file_is_not_that_file() {
    let shipment = Shipment::new(&[1, 1]);
    tree::plain(&shipment.source, "in its place", 60);
    shipment.pack("none").expect(0);
    let to = shipment.new_destination();
    shipment.restore(&shipment.paths()[..1], &to, &[]).expect(4);
    let is_placed = |path: &PathBuf| path.is_file() && path.parent() != Some(&to.join("large"));
    let placed = tree::walk(&to).into_iter().filter(|path| !path.starts_with(to.join(".holdall")));
    let file = placed.into_iter().find(is_placed).unwrap();
    fs::remove_file(&file).unwrap();
    tree::write(&file.join("mine"), b"mine");
    let run = shipment.restore(&shipment.paths(), &to, &[]).expect(1);
    assert_eq!(run.event("restored")["refused"], 1, "{}", run.shown());
    assert_eq!(fs::read(file.join("mine")).unwrap(), b"mine");
    fs::remove_dir_all(&file).unwrap();
    shipment.restore(&shipment.paths(), &to, &[]).expect(0);
    Snapshot::of(&shipment.source).assert_equal(&Snapshot::of(&to));
}
