//! Datasets that need several sets: packed round by round, interrupted and gone on with, restored
//! in any order.

use crate::common::mounted::Memory;
use crate::common::random::Random;
use crate::common::shipment::Shipment;
use crate::common::snapshot::Snapshot;
use crate::common::{Run, program, skip, tree};
use rstest::rstest;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::ffi::OsString;
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Rounds that the dataset needs.
const ROUNDS: usize = 3;
const CASES: usize = 4;
/// A drive's memory; three such rounds hold the dataset, two do not.
const DRIVE_MIB: u64 = 8;

/// A dataset and the drives of three rounds, one a case in each.
pub(super) struct Rounds {
    /// unmounted before their folders are removed
    _drives: Vec<Memory>,
    pub(super) shipment: Shipment,
    /// how many
    count: usize,
}

impl Rounds {
    #[track_caller]
    pub(super) fn new(seed: &str) -> Option<Self> {
        Self::with(seed, ROUNDS)
    }

    /// With drives for so many rounds.
    #[track_caller]
    fn with(seed: &str, rounds: usize) -> Option<Self> {
        let shipment = Shipment::new(&[rounds; CASES]);
        let mount = |(_, point): &(String, PathBuf)| Memory::new(point, DRIVE_MIB);
        let drives = shipment.drives.iter().map(mount).collect::<Option<Vec<_>>>()?;
        let source = &shipment.source;
        let mut random = Random::new(seed);
        tree::rich(&source.join("rich"), seed);
        tree::write(&source.join("large"), &random.bytes(24 << 20));
        for number in 0..200 {
            let path = source.join(format!("small/{:02}/{number:03}", number % 7));
            tree::write(&path, &random.bytes(50_000 + number));
        }
        // Links whose files lie in other sets, and folders that nobody may write to.
        fs::hard_link(source.join("small/03/010"), source.join("zz first in another set")).unwrap();
        tree::write(&source.join("small/shut/last"), &random.bytes(100_000));
        fs::set_permissions(source.join("small/shut"), fs::Permissions::from_mode(0o555)).unwrap();
        Some(Self { _drives: drives, shipment, count: rounds })
    }

    /// The drives of a round, from 0.
    fn drives(&self, round: usize) -> Vec<(String, PathBuf)> {
        let of_case = self.shipment.drives.chunks(self.count);
        of_case.map(|drives| drives[round].clone()).collect()
    }

    pub(super) fn paths(&self, round: usize) -> Vec<PathBuf> {
        self.drives(round).into_iter().map(|(_, path)| path).collect()
    }

    fn with_drives(&self, words: &[&str], round: usize) -> Vec<OsString> {
        let mut arguments: Vec<OsString> = words.iter().map(OsString::from).collect();
        arguments.push("--folder-drives".into());
        for (case, path) in self.drives(round) {
            arguments.extend(["--drive".into(), format!("{case}={}", path.display()).into()]);
        }
        arguments
    }

    fn first(&self) -> Vec<OsString> {
        let source = self.shipment.source.to_str().unwrap();
        let words = [
            "pack",
            source,
            "--json",
            "--yes",
            "-r",
            &self.shipment.recipient,
            "--survive",
            "cases=1",
            "--cipher",
            "aes256",
            "--geometry",
            tree::GEOMETRY,
            "--checkpoint",
            "256KiB",
        ];
        self.with_drives(&words, 0)
    }

    fn next(&self, round: usize) -> Vec<OsString> {
        self.with_drives(&["resume", "--json"], round)
    }

    fn run(&self, arguments: Vec<OsString>) -> Run {
        self.shipment.run(arguments)
    }

    /// Packs all rounds that are not packed yet.
    pub(super) fn pack_from(&self, round: usize) {
        let (all, mut every) = (round == 0, Vec::new());
        for round in round..ROUNDS {
            let arguments = if round == 0 { self.first() } else { self.next(round) };
            let run = self.run(arguments).expect(if round + 1 < ROUNDS { 4 } else { 0 });
            assert_eq!(run.event("plan")["cipher"], "aes256", "a shipment keeps its cipher");
            let packed = run.event("packed");
            assert_eq!((&packed["set"], &packed["proven"]), (&(round + 1).into(), &true.into()));
            every.push(packed);
        }
        if all {
            Self::must_say_its_part(&every);
        }
        let state = tree::walk(&self.shipment.state());
        let is_left = |p: &PathBuf| p.is_file() && !p.ends_with("drives.json");
        assert!(!state.iter().any(is_left), "the state is removed in the end: {state:?}");
    }

    /// Of a file that several sets hold, each says what it holds.
    fn must_say_its_part(packed: &[Value]) {
        let parts: Vec<u64> =
            packed.iter().map(|p| p["part_bytes"].as_u64().unwrap_or(0)).collect();
        let whole = |p: &Value| p["file_bytes"].as_u64().unwrap();
        let cut =
            packed.iter().zip(&parts).filter(|(p, part)| (1..whole(p)).contains(*part)).count();
        assert!(cut > 1, "a large file lies in two sets at least: {packed:?}");
    }

    fn verify_all(&self) {
        for round in 0..ROUNDS {
            let verified = self.shipment.verify(&self.paths(round)).expect(0).event("verified");
            assert_eq!(verified["whole"], true, "round {round}");
        }
    }

    fn restore(&self, rounds: &[usize], to: &Path) -> Run {
        let paths: Vec<PathBuf> = rounds.iter().flat_map(|round| self.paths(*round)).collect();
        self.shipment.restore(&paths, to, &[])
    }

    /// The second reader restores all sets at once.
    #[track_caller]
    fn must_be_read_by_python(&self) {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
        let python = root.join(".venv/bin/python");
        if !python.is_file() {
            skip("tests/.venv is not here: tests/run makes it");
            return;
        }
        let to = self.shipment.new_destination();
        let mut command = Command::new(python);
        command.arg(root.join("reference_reader.py")).arg("restore");
        command.args(self.shipment.paths()).arg("-i").arg(&self.shipment.key);
        let output = command.arg("--to").arg(&to).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{said}");
        Snapshot::of(&self.shipment.source).assert_equal(&Snapshot::of(&to));
    }

    #[track_caller]
    fn must_be_equal(&self, to: &Path) {
        Snapshot::of(&self.shipment.source).assert_equal(&Snapshot::of(to));
        assert!(!to.join(".holdall").exists());
    }
}

/// Review scale 12: only sets that were not here are awaited.
#[test]
fn three_rounds_restore_in_any_order() {
    let Some(rounds) = Rounds::new("any order") else { return };
    rounds.pack_from(0);
    let nothing = rounds.run(rounds.next(2)).expect(0);
    nothing.event("nothing-left");
    rounds.verify_all();
    for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0], [2, 0, 1]] {
        let to = rounds.shipment.new_destination();
        for (step, round) in order.into_iter().enumerate() {
            let run = rounds.restore(&[round], &to).expect(if step < 2 { 4 } else { 0 });
            let restored = run.event("restored");
            assert_eq!(restored["complete"], step == 2, "{order:?}");
            let awaited: Vec<usize> =
                serde_json::from_value(restored["awaited_sets"].clone()).unwrap();
            let done = |set: &usize| order[..=step].contains(&(set - 1));
            assert!(awaited.is_empty() == (step == 2) && !awaited.iter().any(done), "{awaited:?}");
            if step < 2 {
                // What lies in several sets waits as the restore has said.
                let status = ["status", "--json", "--to", to.to_str().unwrap()];
                let status = rounds.shipment.run(status).expect(4).events_of("restoring").remove(0);
                assert_eq!(status["waiting_in_all"], restored["waiting"], "{restored}");
                assert!(restored["waiting"].as_u64().unwrap() > 0, "{restored}");
            }
        }
        rounds.must_be_equal(&to);
        fs::remove_dir_all(to).unwrap();
    }
    let to = rounds.shipment.new_destination();
    rounds.restore(&[0, 1, 2], &to).expect(0);
    rounds.must_be_equal(&to);
    rounds.must_be_read_by_python();
}

#[test]
fn sets_may_be_restored_at_the_same_time() {
    let Some(rounds) = Rounds::new("same time") else { return };
    rounds.pack_from(0);
    let to = rounds.shipment.new_destination();
    // The claim is made by one; the others come while it works.
    fs::create_dir(&to).unwrap();
    let begin = |round: usize| {
        let mut command = program(&rounds.shipment.state());
        command.args(rounds.shipment.restore_arguments(&rounds.paths(round), &to, &[]));
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let mut children: Vec<_> = (0..ROUNDS).map(begin).collect();
    let codes: Vec<_> = children.iter_mut().map(|child| child.wait().unwrap().code()).collect();
    assert!(
        codes.iter().all(|code| matches!(code, Some(0 | 4))),
        "{codes:?} {:?}",
        children
            .into_iter()
            .map(|c| String::from_utf8(c.wait_with_output().unwrap().stderr).unwrap())
            .collect::<Vec<_>>()
    );
    if !codes.contains(&Some(0)) {
        // Each saw another one unfinished when it ended.
        rounds.restore(&[0], &to).expect(0);
    }
    rounds.must_be_equal(&to);
}

#[test]
fn a_case_of_every_round_may_be_lost() {
    let Some(rounds) = Rounds::new("case lost") else { return };
    rounds.pack_from(0);
    let to = rounds.shipment.new_destination();
    for (round, status) in [(1, 4), (0, 4), (2, 3)] {
        let left: Vec<PathBuf> = rounds.paths(round).into_iter().skip(1).collect();
        rounds.shipment.restore(&left, &to, &[]).expect(status);
    }
    rounds.must_be_equal(&to);
}

/// Kills or stops a pack once a drive has so many record files, or when it ends before.
fn signal_after(
    rounds: &Rounds,
    arguments: Vec<OsString>,
    round: usize,
    records: usize,
    signal: Signal,
) {
    let mut command = program(&rounds.shipment.state());
    let mut child =
        command.args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let drive = rounds.paths(round).pop().unwrap();
    let count = || {
        let set = fs::read_dir(drive.join("holdall")).ok()?.find_map(|e| {
            let path = e.ok()?.path();
            path.is_dir().then_some(path)
        })?;
        Some(fs::read_dir(set.join("records")).ok()?.count())
    };
    let deadline = Instant::now() + Duration::from_secs(60);
    let labelled = || {
        let mut sets = fs::read_dir(drive.join("holdall")).into_iter().flatten().flatten();
        sets.any(|set| set.path().join("label.json").exists())
    };
    while !labelled() && child.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_micros(300));
    }
    while count().unwrap_or(0) < records && child.try_wait().unwrap().is_none() {
        assert!(Instant::now() < deadline, "no record was written in a minute");
        std::thread::sleep(Duration::from_micros(300));
    }
    let _ = kill_process(Pid::from_child(&child), signal);
    child.wait().unwrap();
}

/// Broken off in the second round, at several places, more than once.
#[rstest]
#[case::killed(Signal::KILL, &[1, 4])]
#[case::killed_at_once(Signal::KILL, &[0])]
#[case::killed_late(Signal::KILL, &[9])]
#[case::stopped(Signal::INT, &[3])]
fn a_pack_that_is_broken_off_goes_on(#[case] signal: Signal, #[case] records: &[usize]) {
    let Some(rounds) = Rounds::new("broken off") else { return };
    rounds.run(rounds.first()).expect(4);
    for count in records {
        signal_after(&rounds, rounds.next(1), 1, *count, signal);
    }
    rounds.pack_from(1);
    rounds.verify_all();
    must_have_no_litter(&rounds);
    rounds.must_be_read_by_python();
    let to = rounds.shipment.new_destination();
    for (round, status) in [(2, 4), (0, 4), (1, 0)] {
        rounds.restore(&[round], &to).expect(status);
    }
    rounds.must_be_equal(&to);
}

/// Every shard on a drive stands in its checklist, which verify has compared with the records.
fn must_have_no_litter(rounds: &Rounds) {
    for drive in (0..ROUNDS).flat_map(|round| rounds.paths(round)) {
        let set = fs::read_dir(drive.join("holdall")).unwrap().map(|e| e.unwrap().path());
        for set in set.filter(|path| path.is_dir()) {
            let list = fs::read_to_string(set.join("checklist.b3")).unwrap();
            for path in tree::walk(&set).into_iter().filter(|path| path.is_file()) {
                let name = path.strip_prefix(&set).unwrap().to_str().unwrap();
                let own = ["shards/", "records/", "catalog/"].iter().any(|f| name.starts_with(f));
                assert!(!own || list.contains(name), "litter: {}", path.display());
            }
        }
    }
}

/// Review R2: it costs no set, and is listed when it is packed and when it is restored.
#[test]
fn a_file_larger_than_a_set_that_changes_between_rounds_goes_on_as_it_is() {
    let Some(rounds) = Rounds::new("changed") else { return };
    let large = rounds.shipment.source.join("large");
    let bytes = fs::read(&large).unwrap();
    let change = || {
        let file = fs::OpenOptions::new().append(true).open(&large).unwrap();
        (&file).write_all(b"one more line").unwrap();
    };
    let named = |run: &Run| {
        let problems = run.events_of("problem");
        problems.iter().map(|p| (p["subject"].clone(), p["kind"].clone())).collect::<Vec<_>>()
    };
    rounds.run(rounds.first()).expect(4);
    change();
    let second = rounds.run(rounds.next(1)).expect(4);
    change();
    let third = rounds.run(rounds.next(2)).expect(0);
    assert_eq!((named(&second).len(), named(&third).len()), (1, 0), "{}", second.shown());
    assert_eq!(named(&second)[0].0, "large");
    for order in [[0, 1, 2], [2, 1, 0]] {
        let to = rounds.shipment.new_destination();
        let mut mixtures = 0;
        for (step, round) in order.iter().enumerate() {
            let run = rounds.restore(&[*round], &to);
            assert_eq!(run.status == 4, step < 2, "{}", run.shown());
            mixtures += named(&run).iter().filter(|(_, kind)| kind == "source-changed").count();
        }
        assert!(mixtures > 0 && !to.join(".holdall").exists());
        assert_eq!(fs::read(to.join("large")).unwrap(), bytes, "as long as when it was begun");
    }
}

/// What one set survives the next one does, unless less is asked for.
#[test]
fn the_next_set_survives_no_less_than_the_last() {
    let Some(rounds) = Rounds::new("no less") else { return };
    let mut first = rounds.first();
    let rule = first.iter().position(|word| word == "--survive").unwrap();
    first.drain(rule..rule + 2);
    rounds.run(first).expect(4);
    let mut one_drive = rounds.next(1);
    one_drive.truncate(one_drive.iter().position(|word| word == "--drive").unwrap() + 2);
    let run = rounds.run(one_drive.clone()).expect(2);
    assert!(run.stderr.contains("less than the cases=1,blocks=1% of set 1"), "{}", run.shown());
    assert!(run.stderr.contains("add --survive blocks=1%"), "{}", run.shown());
    one_drive.extend(["--survive", "blocks=1%"].map(OsString::from));
    assert_eq!(rounds.run(one_drive).expect(4).event("plan")["survive"], "blocks=1%");
}

/// Review F6, shape H: and of a shipment that has ended, that it has.
#[test]
fn what_cannot_be_gone_on_with_is_said() {
    let Some(rounds) = Rounds::new("said") else { return };
    rounds.run(rounds.first()).expect(4);
    let run = rounds.run(rounds.next(0)).expect(1);
    assert!(run.stderr.contains("attach other drives for the next set"), "{}", run.shown());
    signal_after(&rounds, rounds.next(1), 1, 2, Signal::KILL);
    let run = rounds.run(rounds.next(2)).expect(1);
    assert!(run.stderr.contains("attach its drives"), "{}", run.shown());
    // Review F6: the drives of a set that was begun are lost, and it is packed anew on others.
    assert!(run.stderr.contains("add --anew"), "{}", run.shown());
    let anew = ["resume", "--json", "--anew"];
    let run = rounds.run(rounds.with_drives(&anew, 1)).expect(1);
    assert!(run.stderr.contains("its remains are on"), "{}", run.shown());
    for drive in rounds.paths(1) {
        fs::remove_dir_all(drive.join("holdall")).unwrap();
    }
    rounds.run(rounds.with_drives(&anew, 1)).expect(4);
    let wrong = rounds.with_drives(&["resume", "0123456789abcdef"], 1);
    let run = rounds.run(wrong).expect(2);
    assert!(run.stderr.contains("is in progress on this machine"), "{}", run.shown());
    rounds.pack_from(2);
    rounds.verify_all();
    // It has ended: the drives of its last set tell, others do not.
    let set = fs::read_dir(rounds.paths(2)[0].join("holdall")).unwrap().find_map(|entry| {
        let name = entry.unwrap().file_name().into_string().unwrap();
        name.split_once('-').map(|(id, _)| id.to_owned())
    });
    let again = |round| rounds.with_drives(&["resume", set.as_ref().unwrap()], round);
    let run = rounds.run(again(2)).expect(0);
    assert!(run.stdout.contains("is complete"), "{}", run.shown());
    let json = again(2).into_iter().chain(["--json".into()]).collect();
    let nothing = rounds.run(json).expect(0).event("nothing-left");
    assert_eq!(nothing["shipment"], set.as_deref().unwrap());
    let run = rounds.run(again(1)).expect(2);
    assert!(run.stderr.contains("if it has ended"), "{}", run.shown());
}
