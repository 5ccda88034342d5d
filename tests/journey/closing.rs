//! Sets that are closed early: after the packing machine's state was lost, with drives that are not
//! here, or since their owner wants it so; and read-backs that were stopped.

use crate::common::random::Random;
use crate::common::shipment::Shipment;
use crate::common::snapshot::Snapshot;
use crate::common::{Run, has_programs, program, skip, tree};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::ffi::OsString;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const FILES: usize = 300;

/// A shipment whose packing was killed once some records were committed.
pub(super) fn killed(cases: &[usize]) -> Shipment {
    let (shipment, mut child) = packing(cases);
    child.kill().unwrap();
    child.wait().unwrap();
    shipment
}

/// A shipment that is being packed: some records are committed.
fn packing(cases: &[usize]) -> (Shipment, Child) {
    let shipment = Shipment::new(cases);
    let mut random = Random::new("closing");
    for i in 0..FILES {
        let path = shipment.source.join(format!("{:02}/{i:04}", i % 10));
        tree::write(&path, &random.bytes(50_000));
    }
    let arguments = shipment.pack_arguments("cases=1", &["--json", "--checkpoint", "64KiB"]);
    let mut command = program(&shipment.state());
    let mut child =
        command.args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let last = shipment.drives.last().unwrap().1.clone();
    let deadline = Instant::now() + Duration::from_secs(60);
    while records(&last).unwrap_or(0) < 4 {
        assert!(Instant::now() < deadline, "no record was written in a minute");
        assert!(child.try_wait().unwrap().is_none(), "it is still packing");
        std::thread::sleep(Duration::from_millis(1));
    }
    (shipment, child)
}

fn records(drive: &Path) -> Option<usize> {
    let set = fs::read_dir(drive.join("holdall")).ok()?.next()?.ok()?.path();
    Some(fs::read_dir(set.join("records")).ok()?.count())
}

/// The same, and the packing machine is lost.
fn stateless(cases: &[usize]) -> Shipment {
    let shipment = killed(cases);
    fs::remove_dir_all(shipment.state()).unwrap();
    shipment
}

fn close(shipment: &Shipment, paths: &[PathBuf], more: &[&str]) -> Run {
    let words = ["close", "--json"].map(OsString::from).into_iter();
    let more = more.iter().map(OsString::from);
    shipment.run(words.chain(paths.iter().map(Into::into)).chain(more))
}

pub(super) fn resume(shipment: &Shipment, drives: &[(String, PathBuf)]) -> Run {
    let mut words: Vec<OsString> = ["resume", "--json"].map(Into::into).into();
    words.push("--folder-drives".into());
    for (case, path) in drives {
        words.extend(["--drive".into(), format!("{case}={}", path.display()).into()]);
    }
    shipment.run(words)
}

fn status(shipment: &Shipment, paths: &[PathBuf]) -> Run {
    let words = ["status", "--json"].map(OsString::from).into_iter();
    shipment.run(words.chain(paths.iter().map(Into::into)))
}

/// How many entries `ls` names from these drives.
fn listed(shipment: &Shipment, paths: &[PathBuf]) -> usize {
    let words = ["ls", "--json", "-i", shipment.key.to_str().unwrap()].map(OsString::from);
    let run = shipment.run(words.into_iter().chain(paths.iter().map(Into::into))).expect(0);
    run.events_of("entry").len()
}

/// Restores; every file that comes back is as it was. Says how many did: all but one that was cut
/// where the set ends, or else the restore ends with 3, as nobody knows if there was more.
#[track_caller]
fn check_restored(shipment: &Shipment, paths: &[PathBuf]) -> usize {
    let to = shipment.new_destination();
    let run = shipment.restore(paths, &to, &["--give-up"]);
    let restored = run.event("restored");
    assert_eq!(run.status, if restored["lost"] == 0 { 3 } else { 1 }, "{}", run.shown());
    assert!(restored["lost"].as_u64().unwrap() <= 1, "{}", run.shown());
    assert_eq!(restored["end_unknown"], true);
    assert_eq!(restored["from_lists"], false, "the catalog's parts do without an index");
    let (source, there) = (Snapshot::of(&shipment.source), Snapshot::of(&to));
    for path in there.files() {
        assert_eq!(source.0.get(&path), there.0.get(&path));
    }
    there.files().len()
}

/// What b3sum alone says of every drive.
#[track_caller]
fn must_pass_b3sum(shipment: &Shipment, drives: usize) {
    if !has_programs(&["b3sum"]) {
        return;
    }
    for drive in 0..drives {
        let mut command = Command::new("b3sum");
        command.current_dir(shipment.set_folder(drive)).args(["--quiet", "--check"]);
        assert!(command.arg("checklist.b3").status().unwrap().success());
    }
}

/// The second reader says the same.
#[track_caller]
fn python(words: &[&str], shipment: &Shipment, more: &[&str]) -> Option<(i32, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let interpreter = root.join(".venv/bin/python");
    if !interpreter.is_file() {
        skip("tests/.venv is not here: tests/run makes it");
        return None;
    }
    let mut command = Command::new(interpreter);
    command.arg(root.join("reference_reader.py")).args(words);
    let output = command.args(shipment.paths()).args(more).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    Some((output.status.code().unwrap(), String::from_utf8(said).unwrap()))
}

/// Review R15: and a file that was cut there waits for no drive.
#[test]
fn a_set_whose_packing_machine_is_lost_is_closed_without_a_key() {
    let shipment = stateless(&[1, 1, 1]);
    let paths = shipment.paths();
    let before = check_restored(&shipment, &paths);
    let run = close(&shipment, &paths, &[]).expect(0);
    let closed = run.event("closed");
    assert_eq!((&closed["last"], &closed["again"]), (&Value::Null, &false.into()));
    assert_eq!((&closed["proven"], &closed["absent"]), (&true.into(), &Value::Array(Vec::new())));
    assert_eq!(run.event("verified")["root"], closed["root"]);
    let text = fs::read(shipment.set_folder(0).join("set.txt")).unwrap();
    assert_eq!(closed["root"], blake3::hash(&text).to_hex().to_string());
    assert!(String::from_utf8(text).unwrap().ends_with("last no\nmac none\n"));

    // Everything that reads a set reads this one.
    let verified = shipment.verify(&paths).expect(0).event("verified");
    assert_eq!((&verified["root"], &verified["whole"]), (&closed["root"], &true.into()));
    let told = status(&shipment, &paths).expect(0).event("status");
    assert_eq!((&told["closed"], &told["last"]), (&true.into(), &Value::Null));
    must_pass_b3sum(&shipment, 3);
    assert_eq!(check_restored(&shipment, &paths), before);
    let run = shipment.restore(&paths, &shipment.new_destination(), &[]);
    let awaited = &run.event("restored")["awaited_sets"];
    assert_eq!(awaited, &serde_json::json!([]), "no drive brings the rest of a file that was cut");
    assert_eq!(check_restored(&shipment, &paths[1..]), before, "the rule holds");
    let entries = listed(&shipment, &paths);
    assert!(entries > before, "{entries} entries, {before} files");
    assert_eq!(listed(&shipment, &paths[..1]), entries, "from any one drive");
    let key = shipment.key.to_str().unwrap();
    let words = ["verify", "--json", "-i", key].map(OsString::from).into_iter();
    let decoded = shipment.run(words.chain(paths.iter().map(Into::into)));
    assert_eq!(decoded.event("decoded")["catalog_agrees"], true, "{}", decoded.shown());
    if let Some((code, said)) = python(&["verify"], &shipment, &[]) {
        assert_eq!(code, 0, "{said}");
        assert!(said.contains("cannot tell whether more"), "{said}");
        let to = shipment.new_destination();
        let more = ["-i", key, "--to", to.to_str().unwrap()];
        let (code, said) = python(&["restore"], &shipment, &more).unwrap();
        assert!([0, 1].contains(&code), "{said}");
        assert!(Snapshot::of(&to).files().len() >= before, "{said}");
    }

    // In words.
    let words = ["close"].map(OsString::from).into_iter();
    let text = shipment.run(words.chain(paths.iter().map(Into::into))).expect(0).stdout;
    assert!(text.contains("whether more was packed is not known"), "{text}");
    assert!(text.contains("they are safe to unplug"), "{text}");

    // And a lost drive is rebuilt as on any other set.
    fs::remove_dir_all(&paths[0]).unwrap();
    fs::create_dir(&paths[0]).unwrap();
    let mut words: Vec<OsString> =
        ["repair", "--json", "--folder-drives", "--onto"].map(Into::into).into();
    words.push(format!("a={}", paths[0].display()).into());
    words.extend(paths[1..].iter().map(Into::into));
    shipment.run(words).expect(0);
    let verified = shipment.verify(&paths).expect(0).event("verified");
    assert_eq!((&verified["root"], &verified["whole"]), (&closed["root"], &true.into()));
}

#[test]
fn closing_again_writes_what_drives_lack_and_nothing_else() {
    let shipment = stateless(&[1, 1, 1]);
    let paths = shipment.paths();
    // A crash may leave the last metadata files on some drives only.
    let first = shipment.files(2, "records/").remove(0);
    fs::remove_file(&first).unwrap();
    let key = shipment.files(2, "key-").into_iter().find(|k| k.extension().unwrap() == "age");
    fs::remove_file(key.as_ref().unwrap()).unwrap();
    let litter = shipment.set_folder(1).join("records/ours.tmp");
    fs::write(&litter, b"torn").unwrap();
    let closed = close(&shipment, &paths, &[]).expect(0).event("closed");
    assert!(first.is_file() && key.unwrap().is_file());
    assert!(
        closed["litter"].as_u64().unwrap() >= 1 && litter.is_file(),
        "litter is left, and told"
    );
    fs::remove_file(shipment.set_folder(1).join("set.txt")).unwrap();
    fs::remove_dir_all(shipment.set_folder(1).join("copy")).unwrap();
    fs::remove_file(shipment.set_folder(2).join("checklist.b3")).unwrap();
    let again = close(&shipment, &paths, &[]).expect(0).event("closed");
    assert_eq!((&again["root"], &again["again"]), (&closed["root"], &true.into()));
    let files: Vec<u64> =
        again["drives"].as_array().unwrap().iter().map(|d| d["files"].as_u64().unwrap()).collect();
    assert!(files[0] == 0 && files[1] >= 3 && files[2] == 1, "{files:?}");
    shipment.verify(&paths).expect(0);
    must_pass_b3sum(&shipment, 3);
}

/// The index of the catalog and the stripes along the drives are the set's own.
#[test]
fn a_set_that_pack_closed_has_no_litter() {
    let shipment = Shipment::new(&[1, 1]);
    tree::write(&shipment.source.join("file"), &Random::new("no litter").bytes(1_000_000));
    shipment.pack("cases=1,blocks=10%").expect(0);
    let words = ["close", "--yes"].map(OsString::from).into_iter();
    let again = shipment.run(words.chain(shipment.paths().iter().map(Into::into))).expect(0);
    assert!(
        again.stdout.contains("was closed before: there was nothing to do."),
        "{}",
        again.shown()
    );
    let closed = close(&shipment, &shipment.paths(), &["--yes"]).expect(0).event("closed");
    assert_eq!(closed["litter"], 0, "{closed}");
    // It was closed with the drive that is not here now.
    let closed = close(&shipment, &shipment.paths()[..1], &["--yes"]).event("closed");
    assert_eq!(closed["absent"], serde_json::json!([]), "{closed}");
}

/// What is packed of a set is not done because this machine knows nothing of it.
#[test]
fn going_on_without_the_machines_state_says_what_is_left() {
    let shipment = killed(&[1, 1]);
    let set = shipment.set_folder(0).file_name().unwrap().to_str().unwrap().to_owned();
    let (id, _) = set.split_once('-').unwrap();
    shipment.run(["forget", id, "--yes"]).expect(0);
    let run = resume(&shipment, &shipment.drives).expect(1);
    assert!(run.events_of("nothing-left").is_empty(), "{}", run.shown());
    let hint = run.event("error")["hint"].as_str().unwrap().to_owned();
    shipment.run(printed(&hint, "holdall close")).expect(0);
    resume(&shipment, &shipment.drives).expect(0).event("nothing-left");
}

#[test]
fn drives_that_are_not_here_must_be_given_up_aloud() {
    let shipment = stateless(&[1, 1, 1]);
    let paths = shipment.paths();
    // The last record lies on the third drive only, as a crash may leave it.
    let name = |path: &PathBuf| path.file_name().unwrap().to_owned();
    let third = shipment.files(2, "records/");
    let last = third
        .iter()
        .map(name)
        .filter(|n| Path::new(n).extension().is_some_and(|e| e == "rec"))
        .max();
    for drive in [0, 1] {
        let records = shipment.files(drive, "records/").into_iter();
        for record in records.filter(|path| Some(name(path)) >= last) {
            fs::remove_file(record).unwrap();
        }
    }
    let before = Snapshot::of(&paths[0]);
    let run = close(&shipment, &paths[..2], &[]).expect(2);
    assert!(run.stderr.contains("a drive is not here: slot 3"), "{}", run.shown());
    assert!(run.stderr.contains("add --yes"), "{}", run.shown());
    before.assert_equal(&Snapshot::of(&paths[0]));
    let closed = close(&shipment, &paths[..2], &["--yes"]).expect(0).event("closed");
    assert_eq!(closed["absent"], serde_json::json!([3]));
    shipment.verify(&paths[..2]).expect(3);
    check_restored(&shipment, &paths[..2]);
    if let Some((code, said)) = python(&["verify"], &shipment, &[]) {
        assert_eq!(code, 3, "the third drive has no set.txt: {said}");
    }
    // The third comes after all, with the record that nobody else has.
    let late = shipment.verify(&paths).expect(3);
    let note =
        late.events_of("note").iter().any(|n| n["text"].as_str().unwrap().contains("left aside"));
    assert!(note, "{}", late.shown());
    let mut words: Vec<OsString> = ["repair", "--json"].map(Into::into).into();
    words.extend(paths.iter().map(Into::into));
    shipment.run(words).expect(0);
    let verified = shipment.verify(&paths).expect(0).event("verified");
    assert_eq!((&verified["root"], &verified["whole"]), (&closed["root"], &true.into()));
    if let Some((code, said)) = python(&["verify"], &shipment, &[]) {
        assert_eq!(code, 0, "{said}");
    }
}

/// Packs the rest on other drives, and restores all of it with this status.
fn must_end_on_other_drives(shipment: &Shipment, paths: Vec<PathBuf>, status: i32) {
    let other: Vec<(String, PathBuf)> = ["a", "b", "c"]
        .map(|case| (case.to_owned(), shipment.path().join(format!("other-{case}"))))
        .into();
    other.iter().for_each(|(_, path)| fs::create_dir(path).unwrap());
    resume(shipment, &other).expect(0);
    let all: Vec<PathBuf> = paths.into_iter().chain(other.into_iter().map(|(_, p)| p)).collect();
    let to = shipment.new_destination();
    shipment.restore(&all, &to, &[]).expect(status);
    Snapshot::of(&shipment.source).assert_equal(&Snapshot::of(&to));
}

#[test]
fn with_the_machines_state_further_sets_may_follow() {
    let shipment = killed(&[1, 1, 1]);
    let paths = shipment.paths();
    let run = close(&shipment, &paths, &[]).expect(0);
    let packed = run.event("packed");
    assert_eq!((&packed["early"], &packed["proven"]), (&true.into(), &true.into()));
    assert!(packed["left_bytes"].as_u64().unwrap() > 0, "{}", run.shown());
    shipment.verify(&paths).expect(0);
    must_end_on_other_drives(&shipment, paths, 0);
}

#[test]
fn a_machine_goes_on_after_its_set_was_closed_elsewhere() {
    let shipment = killed(&[1, 1, 1]);
    let paths = shipment.paths();
    let (state, away) = (shipment.state(), shipment.path().join("away"));
    fs::rename(&state, &away).unwrap();
    close(&shipment, &paths, &[]).expect(0).event("closed");
    fs::remove_dir_all(&state).unwrap();
    fs::rename(&away, &state).unwrap();
    let root = fs::read(shipment.set_folder(0).join("set.txt")).unwrap();
    let run = resume(&shipment, &shipment.drives).expect(1);
    assert!(run.stderr.contains("carries it, and it is closed"), "{}", run.shown());
    assert_eq!(fs::read(shipment.set_folder(0).join("set.txt")).unwrap(), root);
    must_end_on_other_drives(&shipment, paths, 3);
}

#[test]
fn what_cannot_be_closed_is_said() {
    let shipment = stateless(&[1, 1]);
    let (paths, set) = (shipment.paths(), shipment.set_folder(0));
    let name = set.file_name().unwrap().to_str().unwrap().to_owned();
    // A record in the middle is gone everywhere.
    for drive in [0, 1] {
        fs::remove_file(shipment.files(drive, "records/").remove(1)).unwrap();
    }
    let run = close(&shipment, &paths, &[]).expect(1);
    assert!(run.stderr.contains("records are missing"), "{}", run.shown());
    for drive in [0, 1] {
        for record in shipment.files(drive, "records/") {
            fs::remove_file(record).unwrap();
        }
    }
    let run = close(&shipment, &paths, &[]).expect(1);
    assert!(run.stderr.contains(&name) && run.stderr.contains("nothing of it was committed"));
    assert!(!set.join("set.txt").exists());
    let other = stateless(&[1, 1]);
    let both = [paths, other.paths()].concat();
    let run = close(&shipment, &both, &[]).expect(2);
    assert!(run.stderr.contains("drives of 2 sets"), "{}", run.shown());
}

/// Packs, and presses Ctrl-C as soon as the read-back begins.
fn stopped_while_reading_back(shipment: &Shipment) -> (i32, Vec<Value>) {
    let mut command = program(&shipment.state());
    command.args(shipment.pack_arguments("cases=1", &["--json"]));
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut events = Vec::new();
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let event: Value = serde_json::from_str(&line.unwrap()).unwrap();
        if event["event"] == "phase" && event["phase"] == "read-back" {
            kill_process(Pid::from_child(&child), Signal::INT).unwrap();
        }
        events.push(event);
    }
    (child.wait().unwrap().code().unwrap(), events)
}

#[test]
fn a_read_back_that_was_stopped_is_done_again() {
    let mut stopped = 0;
    for _ in 0..5 {
        let shipment = Shipment::new(&[1, 1]);
        let mut random = Random::new("read back");
        tree::write(&shipment.source.join("large"), &random.bytes(24 << 20));
        let (code, events) = stopped_while_reading_back(&shipment);
        let packed = events.iter().rfind(|event| event["event"] == "packed").unwrap();
        assert_eq!(packed["stopped"], false);
        if packed["proven"] == true {
            continue; // it was done before the signal came
        }
        stopped += 1;
        assert_eq!(code, 3, "{packed}");
        let run = resume(&shipment, &shipment.drives).expect(0);
        assert_eq!(run.event("verified")["whole"], true);
        resume(&shipment, &shipment.drives).expect(0).event("nothing-left");
    }
    assert!(stopped > 0, "the read-back was never stopped");
}

/// Review shape A: it is not proven.
#[test]
fn a_stopped_read_back_says_what_proves_the_set() {
    for _ in 0..5 {
        let shipment = Shipment::new(&[1, 1]);
        tree::write(&shipment.source.join("large"), &Random::new("says").bytes(24 << 20));
        let mut command = program(&shipment.state());
        command.args(shipment.pack_arguments("cases=1", &[]));
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let copy = |drive: usize| {
            let sets = fs::read_dir(shipment.drives[drive].1.join("holdall"));
            let set = sets.ok().and_then(|mut s| s.find_map(|e| Some(e.ok()?.path())));
            set.is_some_and(|set| set.join("copy/set.txt").is_file())
        };
        let deadline = Instant::now() + Duration::from_secs(60);
        while !copy(0) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_micros(200));
        }
        let _ = kill_process(Pid::from_child(&child), Signal::INT);
        let output = child.wait_with_output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        if text.contains("every block is as it was written") {
            continue;
        }
        assert_eq!(output.status.code(), Some(3), "{text}");
        let paths: Vec<_> = shipment.paths().iter().map(|p| p.display().to_string()).collect();
        let verify = format!("holdall verify {}", paths.join(" "));
        assert!(text.contains(&format!("To prove it: {verify}\n")), "{text}");
        assert!(text.contains("or: holdall resume "), "{text}");
        let words = verify.split(' ').skip(1);
        shipment.run(words).expect(0);
        return;
    }
    panic!("the read-back was never stopped");
}

/// Review A2: another user, or a container, has another state folder.
#[test]
fn nobody_touches_a_set_that_is_being_packed() {
    let (shipment, mut child) = packing(&[1, 1, 1]);
    let process = Pid::from_child(&child);
    kill_process(process, Signal::STOP).unwrap();
    // It stops thread by thread, each once its system call has ended.
    let tasks = format!("/proc/{}/task", child.id());
    let is_stopped = |task: std::io::Result<fs::DirEntry>| {
        let stat = fs::read_to_string(task.unwrap().path().join("stat")).unwrap_or_default();
        stat.rsplit(") ").next().is_none_or(|rest| rest.starts_with('T'))
    };
    while !fs::read_dir(&tasks).unwrap().all(is_stopped) {
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    let paths = shipment.paths();
    let set = shipment.set_folder(0).file_name().unwrap().to_str().unwrap().to_owned();
    let elsewhere = shipment.path().join("another state");
    let try_all = |words: &[&str], status: i32| {
        let words = words.iter().map(OsString::from).chain(paths.iter().map(Into::into));
        crate::common::run(&elsewhere, words).expect(status)
    };
    let commands: [&[&str]; 3] = [&["close"], &["repair"], &["erase", "--yes", "--set", &set]];
    let before = tree::walk(shipment.path());
    for words in commands {
        let run = try_all(words, 1);
        let holder = format!("is in use by holdall pack (process {})", child.id());
        assert!(run.stderr.contains(&holder), "{}", run.shown());
        assert!(run.stderr.contains(paths[0].to_str().unwrap()), "{}", run.shown());
        assert!(run.stderr.contains("hint: wait until it has ended"), "{}", run.shown());
    }
    // Nor is another shipment packed onto its drives, whose room is planned for.
    let words = shipment.pack_arguments("cases=1", &[]);
    let run = crate::common::run(&elsewhere, words).expect(1);
    let holder = format!("holdall is in use by holdall pack (process {})", child.id());
    assert!(run.stderr.contains(&holder), "{}", run.shown());
    // Whoever only reads says that it is being packed, not that it was never closed.
    let key = shipment.key.to_str().unwrap();
    let to = elsewhere.join("restored");
    let readers: [&[&str]; 3] =
        [&["status"], &["verify"], &["restore", "-i", key, "--to", to.to_str().unwrap()]];
    for words in readers {
        let words = words.iter().map(OsString::from).chain(paths.iter().map(Into::into));
        let run = crate::common::run(&elsewhere, words);
        let told =
            format!("not closed yet: holdall pack (process {}) is at work on it", child.id());
        let said = run.stdout.clone() + &run.stderr;
        assert!(said.contains(&told) && !said.contains("never closed"), "{}", run.shown());
    }
    let told = format!("now: holdall pack (process {}) is at work on it", child.id());
    let run = shipment.run(["status".into()].into_iter().chain(paths.iter().map(OsString::from)));
    assert!(run.stdout.contains(&told) && !run.stdout.contains("next:"), "{}", run.shown());
    let mine = |path: &PathBuf| !path.starts_with(&elsewhere);
    let after: Vec<_> = tree::walk(shipment.path()).into_iter().filter(mine).collect();
    assert_eq!(after, before, "nothing was touched");
    child.kill().unwrap();
    child.wait().unwrap();
    try_all(commands[0], 0);
}

/// Words of a `holdall …` command in a text, up to what ends it.
fn printed<'a>(text: &'a str, begins: &str) -> Vec<&'a str> {
    let at = text.find(begins).unwrap_or_else(|| panic!("{begins} is not in {text}"));
    let end = text[at..].find([',', ';', '\n']).map_or(text.len(), |end| at + end);
    text[at..end].split_whitespace().skip(1).collect()
}

/// Review F6: after a power cut, drives that lied lack what this machine saw committed.
#[test]
fn drives_that_lost_their_last_records_leave_a_way_on() {
    let shipment = killed(&[1, 1, 1]);
    for drive in 0..3 {
        // Of two commits no more, which the state knows, and of one that nobody knows any more.
        shipment.files(drive, "records/").into_iter().rev().take(3).for_each(|path| {
            fs::remove_file(path).unwrap();
        });
    }
    let run = resume(&shipment, &shipment.drives).expect(1);
    let hint = run.event("error")["hint"].as_str().unwrap().to_owned();
    // Keep what the records name: two commands.
    let keep = shipment.path().join("kept");
    fs::create_dir(&keep).unwrap();
    let back = |from: &Path, to: &Path| {
        fs::remove_dir_all(to).ok();
        Command::new("cp").arg("-a").args([from, to]).status().unwrap();
    };
    for name in ["state", "drives"] {
        back(&shipment.path().join(name), &keep.join(name));
    }
    let mut forget = printed(&hint, "holdall forget");
    forget.push("--yes");
    shipment.run(forget).expect(0);
    shipment.run(printed(&hint, "holdall close")).expect(0);
    shipment.verify(&shipment.paths()).expect(0);
    // Or pack it again: what is erased everywhere is forgotten.
    for name in ["state", "drives"] {
        back(&keep.join(name), &shipment.path().join(name));
    }
    let mut erase = printed(&hint, "holdall erase");
    erase.push("--yes");
    let erased = shipment.run(erase).expect(0);
    assert!(erased.stderr.contains("is no longer in progress here"), "{}", erased.shown());
    shipment.pack("cases=1").expect(0);
}

/// Review F6: its last paragraph.
#[test]
fn status_does_not_say_that_nothing_is_lost_where_something_is() {
    let shipment = killed(&[1, 1]);
    for drive in 0..2 {
        fs::remove_file(shipment.files(drive, "records/").remove(1)).unwrap();
    }
    let words = std::iter::once(OsString::from("status"));
    let run = shipment.run(words.chain(shipment.paths().into_iter().map(Into::into))).expect(1);
    assert!(run.stdout.contains("Not everything can be restored"), "{}", run.shown());
    assert!(!run.stdout.contains("Nothing is lost"), "{}", run.shown());
}

/// Review R, small ones: `resume` where another drive stands in a drive's place.
#[test]
fn a_replaced_drive_is_named_and_not_used() {
    let shipment = killed(&[1, 1]);
    let paths = shipment.paths();
    fs::remove_dir_all(paths[1].join("holdall")).unwrap();
    let run = resume(&shipment, &shipment.drives).expect(1);
    let told = format!("{} carries nothing of it", paths[1].display());
    assert!(run.stderr.contains(&told), "{}", run.shown());
    let hint = run.event("error")["hint"].as_str().unwrap().to_owned();
    let close = format!("holdall close {} --yes", paths[0].display());
    assert!(hint.ends_with(&close), "{hint}");
    // Typed as it stands.
    let closed = shipment.run(printed(&hint, "holdall close"));
    assert!([0, 3].contains(&closed.status), "{}", closed.shown());
}
