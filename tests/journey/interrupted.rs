//! A pack that is stopped or killed: what it committed stays, is checked and comes back.

use crate::common::program;
use crate::common::random::Random;
use crate::common::shipment::Shipment;
use crate::common::snapshot::Snapshot;
use crate::common::tree;
use rstest::rstest;
use rustix::process::{Pid, Signal, kill_process};
use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

const FILES: usize = 300;

fn shipment() -> Shipment {
    let shipment = Shipment::new(&[1, 1, 1]);
    let mut random = Random::new("interrupted");
    for i in 0..FILES {
        tree::write(&shipment.source.join(format!("{i:04}")), &random.bytes(50_000));
    }
    shipment
}

/// Whether the drive has at least this many record files.
fn has_records(drive: &Path, count: usize) -> bool {
    let records = || {
        let set = std::fs::read_dir(drive.join("holdall")).ok()?.next()?.ok()?.path();
        Some(std::fs::read_dir(set.join("records")).ok()?.count())
    };
    records().is_some_and(|found| found >= count)
}

/// Packs, and sends the signal once some records are committed.
fn pack_and_signal(shipment: &Shipment, survive: &str, signal: Signal) -> Output {
    let arguments = shipment.pack_arguments(survive, &["--json", "--checkpoint", "64KiB"]);
    let mut command = program(&shipment.state());
    command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    while !has_records(&shipment.drives[2].1, 4) {
        assert!(Instant::now() < deadline, "no record was written in a minute");
        std::thread::sleep(Duration::from_millis(1));
    }
    kill_process(Pid::from_child(&child), signal).unwrap();
    child.wait_with_output().unwrap()
}

/// Packs under a rule, and kills it once some records are committed.
pub(super) fn pack_and_kill(shipment: &Shipment, survive: &str) {
    assert_eq!(pack_and_signal(shipment, survive, Signal::KILL).status.code(), None);
}

/// Every file that came back is as it was; says how many did.
fn check_restored(shipment: &Shipment, drives: std::ops::Range<usize>) -> usize {
    let to = shipment.new_destination();
    let run = shipment.restore(&shipment.paths()[drives], &to, &["--give-up"]);
    assert!([1, 3].contains(&run.status), "{}", run.shown());
    assert!(!run.stderr.contains("panicked"), "{}", run.shown());
    let source = Snapshot::of(&shipment.source);
    let restored = Snapshot::of(&to);
    for path in restored.files() {
        assert_eq!(source.0.get(&path), restored.0.get(&path));
    }
    restored.files().len()
}

#[rstest]
#[case::stopped(Signal::INT)]
#[case::terminated(Signal::TERM)]
#[case::hung_up(Signal::HUP)]
#[case::killed(Signal::KILL)]
fn what_was_committed_stays(#[case] signal: Signal) {
    let shipment = shipment();
    let output = pack_and_signal(&shipment, "cases=1", signal);
    if signal != Signal::KILL {
        assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stdout));
        let text = String::from_utf8(output.stdout).unwrap();
        let packed = text.lines().rfind(|line| line.contains("\"packed\"")).unwrap();
        let last: serde_json::Value = serde_json::from_str(packed).unwrap();
        assert_eq!((&last["event"], &last["stopped"]), (&"packed".into(), &true.into()));
        assert!(last["entries"].as_u64().unwrap() < FILES as u64, "it was stopped midway");
        // Nothing says that it was done: no root, no 100 %, and what is left is told.
        assert_eq!(last["root"], serde_json::Value::Null);
        let left = |field: &str| last[field].as_u64().unwrap();
        assert!(left("left_bytes") > 0 && left("left_entries") > 0, "{last}");
        let mut lines = text.lines().map(|l| serde_json::from_str::<serde_json::Value>(l).unwrap());
        let progress = lines.rfind(|e| e["event"] == "progress").unwrap();
        let number = |field: &str| progress[field].as_u64().unwrap();
        assert!(number("done") < number("total"), "{progress}");
    }
    // The set was never closed: said, and never taken for whole.
    let verified = shipment.verify(&shipment.paths()).expect(3).event("verified");
    assert_eq!((&verified["root"], &verified["whole"]), (&serde_json::Value::Null, &false.into()));
    assert_eq!(verified["verdict"]["restorable"], true);
    let restored = check_restored(&shipment, 0..3);
    assert!(restored > 5 && restored < FILES, "{restored} files came back");
    let without_one = check_restored(&shipment, 1..3);
    // A kill may come when the last record lies on the first drive alone.
    let is_record = |path: &&std::path::PathBuf| path.extension().is_some_and(|e| e == "rec");
    let records = |drive| shipment.files(drive, "records/").iter().filter(is_record).count();
    if signal != Signal::KILL || (1..3).all(|drive| records(drive) == records(0)) {
        assert_eq!(without_one, restored, "the rule holds for what is committed");
    } else {
        assert!(without_one <= restored);
    }
}

#[test]
fn a_restore_that_is_stopped_goes_on() {
    let shipment = Shipment::new(&[1, 1]);
    tree::plain(&shipment.source, "stopped", 800);
    shipment.pack("cases=1").expect(0);
    let to = shipment.new_destination();
    let mut command = program(&shipment.state());
    command.args(shipment.restore_arguments(&shipment.paths(), &to, &[]));
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    while !to.join(".holdall").exists() {
        assert!(Instant::now() < deadline, "no restore began in a minute");
        std::thread::sleep(Duration::from_millis(1));
    }
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let last: serde_json::Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    if output.status.code() == Some(0) {
        // It was done before the signal came.
        assert_eq!(last["complete"], true);
    } else {
        assert_eq!((output.status.code(), &last["stopped"]), (Some(1), &true.into()), "{text}");
        shipment.restore(&shipment.paths(), &to, &[]).expect(0);
    }
    Snapshot::of(&shipment.source).assert_equal(&Snapshot::of(&to));
}

/// Review shape B: saying another is no silent no-op.
#[test]
fn the_rule_of_a_set_that_is_begun_cannot_be_changed() {
    let shipment = shipment();
    pack_and_kill(&shipment, "cases=1");
    let mut words: Vec<String> =
        ["resume", "--folder-drives", "--survive"].map(String::from).into();
    words.push("none".into());
    for (case, path) in &shipment.drives {
        words.extend(["--drive".into(), format!("{case}={}", path.display())]);
    }
    let run = shipment.run(&words).expect(2);
    assert!(run.stderr.contains("was begun with the rule cases=1"), "{}", run.shown());
    assert!(run.stderr.contains("hint: leave --survive out"), "{}", run.shown());
}

/// A set of which a part is lost already takes no more, and nothing on its drives changes.
#[rstest]
#[case::without_its_key("key-", "has the wrapped key")]
#[case::without_a_record("records/", "records that this machine wrote are missing or damaged")]
fn a_set_that_is_lost_in_part_is_not_resumed(#[case] beginning: &str, #[case] why: &str) {
    let shipment = shipment();
    pack_and_kill(&shipment, "cases=1");
    for drive in 0..3 {
        let first = shipment.files(drive, beginning).remove(0);
        match beginning {
            "key-" => {
                shipment.files(drive, beginning).iter().for_each(|p| fs::remove_file(p).unwrap());
            }
            _ => fs::OpenOptions::new().write(true).open(first).unwrap().set_len(100).unwrap(),
        }
    }
    let files = || tree::walk(&shipment.path().join("drives"));
    let before = files();
    let refused = shipment.resume().expect(1);
    assert!(refused.shown().contains(why), "{}", refused.shown());
    assert!(refused.shown().contains("holdall erase "), "{}", refused.shown());
    assert_eq!(files(), before);
    // What is left can still be kept: closed, and said to be lost in part.
    let close = ["close", "--yes"].map(OsString::from).into_iter();
    let closed = shipment.run(close.chain(shipment.paths().into_iter().map(Into::into))).expect(1);
    assert!(closed.shown().contains("cannot be restored"), "{}", closed.shown());
}

/// What a run without its key has sealed is lost, and no stripe of another run.
#[test]
fn only_the_stripes_of_a_run_without_its_key_are_lost() {
    let shipment = shipment();
    pack_and_kill(&shipment, "cases=1");
    let key = shipment.files(0, "key-").remove(0);
    let run = key.file_stem().unwrap().to_str().unwrap()["key-".len()..].to_owned();
    shipment.resume().expect(0);
    for drive in 0..3 {
        for beginning in ["key-", "copy/key-"] {
            let of_run = format!("{beginning}{run}");
            shipment.files(drive, &of_run).iter().for_each(|path| fs::remove_file(path).unwrap());
        }
    }
    let stripes = |name: &str| {
        let all = shipment.files(0, "shards/");
        all.iter().filter(|p| p.file_name().unwrap().to_str().unwrap().starts_with(name)).count()
    };
    let (lost, all) = (stripes(&run), stripes(""));
    assert!((1..all).contains(&lost), "{lost} of {all}");
    let verify = [OsString::from("verify")].into_iter();
    let told = shipment.run(verify.chain(shipment.paths().into_iter().map(Into::into))).expect(1);
    let words = format!("about {} % of the data cannot", lost * 100 / all);
    assert!(told.stdout.contains(&words), "{words}: {}", told.shown());
}

/// A pack that is killed between the labels of two drives has damaged none of them.
#[test]
fn a_set_that_was_never_begun_on_a_drive_is_no_damage() {
    let shipment = shipment();
    shipment.pack("cases=1").expect(0);
    for drive in 0..3 {
        let keeps = |path: &&std::path::PathBuf| drive == 0 && path.ends_with("label.json");
        for file in shipment.files(drive, "").iter().filter(|path| !keeps(path)) {
            fs::remove_file(file).unwrap();
        }
    }
    let status = ["status".into(), "--json".into()].into_iter();
    let run = shipment.run(status.chain(shipment.paths().into_iter().map(OsString::from)));
    assert_eq!(run.expect(3).problems(), []);
    let verified = shipment.verify(&shipment.paths()).expect(3);
    assert_eq!(verified.problems(), []);
    let told: Vec<_> = verified.events_of("note");
    let never =
        |note: &&serde_json::Value| note["text"].as_str().unwrap().contains("never finished");
    assert_eq!(told.iter().filter(never).count(), 2, "{}", verified.shown());
    let run = shipment.restore(&shipment.paths(), &shipment.new_destination(), &[]).expect(1);
    assert!(run.stderr.contains("was committed to the drives that are here"), "{}", run.shown());
    assert!(run.stderr.contains("holdall erase"), "{}", run.shown());
}
