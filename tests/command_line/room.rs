//! Places that fill up while the program works: drives at every stage, the packing machine's own
//! disk, the destination. Never a panic, never a success that is none.

use crate::common::mounted::Memory;
use crate::common::random::Random;
use crate::common::shipment::Shipment;
use crate::common::snapshot::Snapshot;
use crate::common::terminal::Terminal;
use crate::common::{Run, has_programs, program, tool, tree};
use rstest::rstest;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Bytes of a drive, before somebody else fills it.
const DRIVE_MIB: u64 = 64;

/// Three drives in memory, and a dataset of many shards.
fn lab() -> Option<(Shipment, Vec<Memory>)> {
    let shipment = Shipment::new(&[1, 1, 1]);
    let drives = shipment.paths();
    let memory: Option<Vec<Memory>> = drives.iter().map(|p| Memory::new(p, DRIVE_MIB)).collect();
    tree::plain(&shipment.source, "room", 300);
    tree::write(&shipment.source.join("noise"), &Random::new("room").bytes(4 << 20));
    Some((shipment, memory?))
}

/// Sets the size of a file system in memory; says whether that was done.
fn resize(point: &Path, kib: u64) -> bool {
    let options = format!("remount,size={kib}k");
    let done = Command::new("mount").args(["-o", &options]).arg(point).output().unwrap();
    done.status.success()
}

/// Packs; after the plan was told, the drives shrink to so many KiB, as if somebody else had filled
/// them. How many did, status, standard output and standard error.
fn pack_onto_shrinking(
    shipment: &Shipment,
    shrinking: &[PathBuf],
    kib: u64,
) -> (usize, i32, String, String) {
    let arguments = shipment.pack_arguments("cases=1", &["--checkpoint", "500kB", "--json"]);
    let mut command = program(&shipment.state());
    command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut text = String::new();
    while !text.contains("\"event\":\"plan\"") {
        assert!(stdout.read_line(&mut text).unwrap() > 0, "{text}");
    }
    // A drive that holds more already refuses, and stays as it is.
    let shrunk = shrinking.iter().filter(|point| resize(point, kib)).count();
    stdout.read_to_string(&mut text).unwrap();
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    (shrunk, output.status.code().unwrap_or(-1), text, stderr)
}

/// What the drives hold is found and can be read; what was said to be whole is.
fn look(shipment: &Shipment, status: i32, shown: &str) {
    let verified = shipment.run(
        ["verify", "--json"]
            .map(Into::into)
            .into_iter()
            .chain(shipment.paths().into_iter().map(PathBuf::into_os_string)),
    );
    assert!(!verified.stderr.contains("panicked"), "{}", verified.shown());
    match status {
        0 => assert_eq!(verified.status, 0, "a false success: {shown}\n{}", verified.shown()),
        3 => {
            // What lies beside the set may be all that a drive lacks.
            assert!([0, 3].contains(&verified.status), "{shown}\n{}", verified.shown());
            let to = shipment.new_destination();
            let run = shipment.restore(&shipment.paths(), &to, &[]);
            assert!([0, 3].contains(&run.status), "{}", run.shown());
            Snapshot::of(&shipment.source).assert_equal(&Snapshot::of(&to));
        }
        _ => assert!(shown.contains("was left unfinished"), "{shown}"),
    }
}

/// From the first label to the last metadata file.
#[rstest]
fn drives_that_fill_up(
    #[values(64, 500, 2500, 3000, 3250, 3300, 3350, 3400, 3450, 3500, 3700, 9000)] kib: u64,
    #[values(1, 3)] count: usize,
) {
    let Some((shipment, _memory)) = lab() else { return };
    let shrinking = &shipment.paths()[..count];
    let (shrunk, status, stdout, stderr) = pack_onto_shrinking(&shipment, shrinking, kib);
    let shown = format!("{kib} KiB on {shrunk}: status {status}\n{stdout}\n{stderr}");
    assert!(!stderr.contains("panicked"), "{shown}");
    let failed =
        stderr.contains("No space left on device") || stdout.contains("No space left on device");
    let expected: &[i32] = match (failed, shrunk) {
        (false, _) => &[0],
        (true, 1) => &[3],
        (true, _) => &[1],
    };
    assert!(expected.contains(&status), "{shown}");
    assert_eq!(stdout.contains("\"event\":\"packed\""), status != 1, "{shown}");
    look(&shipment, status, &shown);
}

#[test]
fn the_packing_machines_disk_is_full() {
    let shipment = Shipment::new(&[1]);
    for i in 0..3000 {
        tree::write(&shipment.source.join(format!("a file with a rather long name {i}")), b"");
    }
    let state = shipment.path().join("small state");
    let Some(_memory) = Memory::new(&state, 1) else { return };
    assert!(resize(&state, 64));
    let mut command = program(&state);
    let output = command.args(shipment.pack_arguments("none", &[])).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    for words in ["no room left on this machine's disk", "small state", "set XDG_STATE_HOME"] {
        assert!(stderr.contains(words), "{stderr}");
    }
    assert!(!shipment.paths()[0].join("holdall").exists(), "nothing was written to the drive");
    assert_eq!(fs::read_dir(state.join("holdall")).unwrap().count(), 0, "nothing stays");
}

/// The list of a restore that a full disk has stopped is of now, and whole.
fn lists_what_is_not_there(source: &Path, to: &Path, list: &Path, run: &Run) {
    let text = fs::read_to_string(list).unwrap();
    let notes: Vec<String> =
        run.events_of("note").iter().map(|note| note["text"].to_string()).collect();
    let said = |words: &str| notes.iter().any(|note| note.contains(words));
    if !to.exists() {
        assert!(said("was left as it was") && text == "of an earlier run\n", "{}", run.shown());
        return;
    }
    let listed: BTreeSet<&str> = text.lines().collect();
    let below = |path: PathBuf| path.strip_prefix(source).unwrap().to_owned();
    let all = tree::walk(source).into_iter().map(below).filter(|path| path != Path::new(""));
    let absent: Vec<PathBuf> =
        all.filter(|path| to.join(path).symlink_metadata().is_err()).collect();
    let absent: BTreeSet<&str> = absent.iter().map(|path| path.to_str().unwrap()).collect();
    assert!(!absent.is_empty() && said("lists what is still missing"), "{}", run.shown());
    assert_eq!(listed, absent, "{}", run.shown());
}

/// A restore that is given up needs no room to end: what is there stays, and what is not is listed.
#[test]
fn a_destination_that_is_full_is_given_up_with_what_is_there() {
    let shipment = Shipment::new(&[1, 1]);
    tree::plain(&shipment.source, "given up", 300);
    shipment.pack("cases=1").expect(0);
    let point = shipment.path().join("destination");
    let Some(_memory) = Memory::new(&point, 64) else { return };
    tool("mount", ["-o".as_ref(), "remount,size=1m".as_ref(), point.as_os_str()]);
    let (to, list) = (point.join("dataset"), shipment.path().join("missing"));
    shipment.restore(&shipment.paths(), &to, &[]).expect(1);
    let more = ["--give-up", "--missing", list.to_str().unwrap()];
    let run = shipment.restore(&shipment.paths(), &to, &more).expect(1);
    let text = fs::read_to_string(&list).unwrap();
    let listed: BTreeSet<&Path> = text.lines().map(Path::new).collect();
    let below = |path: PathBuf| path.strip_prefix(&shipment.source).unwrap().to_owned();
    let all = tree::walk(&shipment.source).into_iter().map(below);
    let absent: Vec<PathBuf> =
        all.filter(|path| to.join(path).symlink_metadata().is_err()).collect();
    assert_eq!(listed, absent.iter().map(PathBuf::as_path).collect(), "{}", run.shown());
    let restored = run.event("restored");
    assert!(!absent.is_empty() && restored["lost"] == absent.len(), "{restored}");
    assert!(!to.join(".holdall").exists(), "{}", run.shown());
}

/// Review R1: by bytes, and by the number of files.
#[rstest]
#[case::of_bytes("size=1m", "size=64m")]
#[case::of_almost_nothing("size=4k", "size=64m")]
#[case::of_files("nr_inodes=60", "nr_inodes=100k")]
fn a_destination_that_fills_up_goes_on_when_there_is_room(
    #[case] small: &str,
    #[case] large: &str,
) {
    let shipment = Shipment::new(&[1, 1]);
    tree::plain(&shipment.source, "destination", 300);
    shipment.pack("cases=1").expect(0);
    let point = shipment.path().join("destination");
    let Some(_memory) = Memory::new(&point, 64) else { return };
    let remount = |options: &str| {
        let options = format!("remount,{options}");
        tool("mount", ["-o".as_ref(), options.as_ref(), point.as_os_str()]);
    };
    remount(small);
    let to = point.join("dataset");
    let list = shipment.path().join("missing");
    let more = ["--missing", list.to_str().unwrap()];
    let run = shipment.restore(&shipment.paths(), &to, &more).expect(1);
    lists_what_is_not_there(&shipment.source, &to, &list, &run);
    let run = shipment.restore(&shipment.paths(), &to, &[]).expect(1);
    let error = run.event("error");
    let (text, hint) = (error["text"].as_str().unwrap(), error["hint"].as_str().unwrap());
    assert!(text.contains(to.to_str().unwrap()), "{text}");
    assert!(text.contains("No space left on device"), "{text}");
    assert!(hint.starts_with("make room there, then run the same command again"), "{hint}");
    if small != "size=4k" {
        // In almost nothing not even that is begun.
        let status = shipment.run(["status", "--json", "--to", to.to_str().unwrap()]).expect(4);
        assert_eq!(status.event("restoring")["full"], true, "{}", status.shown());
        let status = shipment.run(["status", "--to", to.to_str().unwrap()]).expect(4).stdout;
        assert!(status.contains("as the destination was full: make room there"), "{status}");
    }
    remount(large);
    shipment.restore(&shipment.paths(), &to, &[]).expect(0);
    Snapshot::of(&shipment.source).assert_equal(&Snapshot::of(&to));
    assert!(File::open(to.join(".holdall")).is_err());
}

/// The plan is shown once, and its figures are those of its table.
#[test]
fn a_plan_that_is_agreed_to_is_shown_once() {
    if !has_programs(&["script"]) {
        return;
    }
    let shipment = Shipment::new(&[1]);
    let Some(_memory) = Memory::new(&shipment.drives[0].1, 16) else { return };
    tree::write(&shipment.source.join("noise"), &Random::new("plan").bytes(20 << 20));
    let mut pack = shipment.pack_arguments("blocks=5%", &[]);
    let at = pack.iter().position(|word| word == "--geometry").unwrap();
    pack.drain(at..at + 2);
    let mut terminal = Terminal::holdall(&shipment.state(), &pack);
    let plan = terminal.until("Pack what fits, and the rest on further sets? [y/N] ");
    terminal.types("y");
    terminal.until("they are noticed");
    terminal.types("\x03");
    let (_, text) = terminal.end();
    assert_eq!(text.matches("Plan for set 1").count(), 1, "{text}");
    assert!(!text.contains("work under way"), "nothing is, while drives are awaited: {text}");
    assert!(plan.contains("The drives hold at least "), "{plan}");

    let cost = plan.lines().skip_while(|line| !line.starts_with("The cost"));
    let cost = cost.take_while(|line| !line.trim().is_empty()).collect::<Vec<_>>().join(" ");
    let total = plan.lines().find(|line| line.starts_with("total")).unwrap();
    let megabytes = |line: &str| -> Vec<f64> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let number = |pair: &[&str]| (pair[1] == "MB").then(|| pair[0].parse().unwrap());
        words.windows(2).filter_map(number).collect()
    };
    let sum: f64 = megabytes(&cost).iter().sum();
    assert!((sum - megabytes(total)[0]).abs() < 0.1, "{plan}");
}
