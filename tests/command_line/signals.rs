//! Signals: the first ends every command softly and says so, the second at once (Review R1, A9, A10).

use crate::common::random::Random;
use crate::common::shipment::Shipment;
use crate::common::terminal::Terminal;
use crate::common::{has_programs, program, tree};
use holdall::testing::commands::ls::{LsOptions, ls};
use holdall::testing::commands::restore::{RestoreJob, restore};
use holdall::testing::commands::status::status;
use holdall::testing::keys::recipients::Identities;
use holdall::testing::memory::Memory;
use holdall::testing::monitor::{Event, Monitor};
use holdall::testing::opening::open::OpenError;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The program with temporary files in a folder of their own.
fn command(shipment: &Shipment, words: &[&OsStr]) -> Command {
    let temporary = shipment.path().join("temporary");
    fs::create_dir_all(&temporary).unwrap();
    let mut command = program(&shipment.state());
    command.env("TMPDIR", temporary).args(words).stdout(Stdio::piped()).stderr(Stdio::null());
    command
}

/// Sends signals once an event of this phase is printed; gives the last event but for the time.
fn end_at(mut child: Child, phase: &str, signals: &[Signal]) -> (ExitStatus, Value) {
    let (mut last, mut sent) = (Value::Null, false);
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let event: Value = serde_json::from_str(&line.unwrap()).unwrap();
        if event["event"] != "took" {
            last = event;
        }
        if !sent && last["phase"] == phase {
            sent = true;
            for signal in signals {
                kill_process(Pid::from_child(&child), *signal).unwrap();
            }
        }
    }
    assert!(sent, "it never came to {phase}");
    (child.wait().unwrap(), last)
}

fn is_empty(folder: &Path) -> bool {
    fs::read_dir(folder).unwrap().next().is_none()
}

/// Review A10, R1: each signal ends it softly, a second one at once, and nothing is left behind.
#[test]
fn bench_stops_and_leaves_nothing() {
    let shipment = Shipment::new(&[1]);
    tree::plain(&shipment.source, "signals", 20);
    let drive = shipment.drives[0].1.as_os_str();
    let words: Vec<&OsStr> =
        ["bench", "--json", "--bytes", "32MiB", "--drive"].map(OsStr::new).into();
    let measured: Vec<&OsStr> = [&words[..], &[drive, shipment.source.as_os_str()]].concat();
    let bench = |signals: &[Signal], words: &[&OsStr]| {
        let child = command(&shipment, words).spawn().unwrap();
        let (status, last) = end_at(child, "bench", signals);
        assert!(is_empty(&shipment.path().join("temporary")), "temporary files");
        (status, last)
    };
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        let (status, last) = bench(&[signal], &measured);
        assert_eq!((status.code(), &last["stopped"]), (Some(1), &true.into()), "{signal:?} {last}");
        assert!(is_empty(Path::new(drive)), "the drive");
    }
    // The first may have ended it before the second came.
    let ends_at_once = || {
        let (status, _) = bench(&[Signal::TERM, Signal::INT], &measured);
        [Some(128 + 2), Some(128 + 15)].contains(&status.code())
    };
    assert!((0..20).any(|_| ends_at_once()), "a second signal changes nothing");
}

/// GNU timeout sends a signal to the program and to its group.
#[test]
fn a_signal_that_comes_twice_at_once_is_one() {
    let shipment = Shipment::new(&[1]);
    tree::plain(&shipment.source, "twice", 20);
    for _ in 0..10 {
        let words = ["bench", "--json", "--bytes", "32MiB", "--drive"].map(OsStr::new);
        let measured = [shipment.drives[0].1.as_os_str(), shipment.source.as_os_str()];
        let words = [&words[..], &measured].concat();
        let mut child = command(&shipment, &words).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        while !lines.next().unwrap().unwrap().contains("\"bench\"") {}
        for wait in [0, 1] {
            std::thread::sleep(Duration::from_millis(wait)); // or they count as one for the system
            kill_process(Pid::from_child(&child), Signal::INT).unwrap();
        }
        let lines: Vec<String> = lines.map(Result::unwrap).collect();
        assert_eq!(child.wait().unwrap().code(), Some(1), "{lines:?}");
        assert!(lines.iter().any(|line| line.contains("\"stopped\":true")), "{lines:?}");
    }
}

/// Review A9: in each of its phases.
#[test]
fn a_demo_that_is_stopped_does_not_say_that_anything_differs() {
    let shipment = Shipment::new(&[1]);
    for phase in ["pack", "read-back", "verify", "restore"] {
        let words = ["demo", "--json"].map(OsStr::new);
        let child = command(&shipment, &words).spawn().unwrap();
        let (status, last) = end_at(child, phase, &[Signal::INT]);
        assert_eq!(status.code(), Some(1), "{phase}: {last}");
        assert_eq!((&last["event"], &last["stopped"]), (&"demo".into(), &true.into()), "{last}");
        assert!(is_empty(&shipment.path().join("temporary")));
    }
}

/// Review R, small ones: at `ulimit -f` the system sends a signal, which ended the program.
#[test]
fn a_file_that_may_not_grow_so_large_is_a_problem_of_that_file() {
    let shipment = Shipment::new(&[1]);
    tree::write(&shipment.source.join("large"), &[7; 12_000]);
    tree::write(&shipment.source.join("small"), b"small");
    shipment.pack("none").expect(0);
    let to = shipment.new_destination();
    let run = Command::new("sh")
        .args(["-c", "ulimit -f 10; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_holdall")])
        .args(shipment.restore_arguments(&shipment.paths(), &to, &[]))
        .env("XDG_STATE_HOME", shipment.state())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&run.stdout);
    assert_eq!((run.status.signal(), run.status.code()), (None, Some(1)), "{text}");
    assert!(text.contains("large"), "{text}");
    assert_eq!(fs::read(to.join("small")).unwrap(), b"small");
}

/// Review A6: in words, and for programs.
#[test]
fn a_verify_that_is_stopped_says_nothing_of_what_it_did_not_read() {
    let shipment = Shipment::new(&[1]);
    tree::write(&shipment.source.join("noise"), &Random::new("stopped").bytes(30_000_000));
    shipment.pack("none").expect(0);
    let drive = shipment.drives[0].1.as_os_str();
    let verify = || command(&shipment, &["verify".as_ref(), drive]).spawn().unwrap();
    let began = Instant::now();
    assert!(verify().wait_with_output().unwrap().status.success());
    let whole = began.elapsed();
    // Where in a run the drive is read is not known: near its middle, its beginning, its end.
    let stopped = (0..300u32).find_map(|attempt| {
        let child = verify();
        std::thread::sleep(whole * (attempt * 37 % 100) / 100);
        kill_process(Pid::from_child(&child), Signal::INT).unwrap();
        let output = child.wait_with_output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        text.contains("Stopped:").then_some((output.status.code(), text))
    });
    let (status, text) = stopped.expect("it is always too early or too late");
    assert_eq!(status, Some(1), "{text}");
    assert!(
        text.contains("were read, and these were sound. Nothing is known about the rest."),
        "{text}"
    );
    assert!(!text.contains("can be restored"), "{text}");
    // For programs.
    let stopped = (0..50).find_map(|_| {
        let words = ["verify".as_ref(), "--json".as_ref(), drive];
        let child = command(&shipment, &words).spawn().unwrap();
        let (status, last) = end_at(child, "verify", &[Signal::INT]);
        (last["stopped"] == true).then_some((status.code(), last))
    });
    let (status, last) = stopped.expect("it is always too late");
    let told = [&last["whole"], &last["proven"], &last["verdict"]["restorable"]];
    assert_eq!((status, told), (Some(1), [&false.into(), &false.into(), &Value::Null]), "{last}");
}

/// At a question nothing is under way: the first Ctrl-C ends it.
#[test]
fn a_question_is_ended_by_the_first_signal() {
    if !has_programs(&["script"]) {
        return;
    }
    let shipment = Shipment::new(&[1]);
    tree::write(&shipment.source.join("file"), b"file");
    shipment.pack("none").expect(0);
    let set = shipment.set_folder(0);
    let name = set.file_name().unwrap();
    let words = ["erase".as_ref(), shipment.drives[0].1.as_os_str(), "--set".as_ref(), name];
    let mut terminal = Terminal::holdall(&shipment.state(), &words.map(OsString::from));
    terminal.until("[y/N] ");
    terminal.press("\x03");
    let (status, text) = terminal.end();
    assert_eq!(status, 128 + 2, "{text}");
    assert!(text.lines().any(|line| line.trim_end() == "stopped"), "{text}");
    assert!(set.join("label.json").exists());
}

/// Review A24: a second signal at a terminal leaves the prompt a line of its own.
#[test]
fn what_is_ended_at_once_leaves_the_line_of_progress() {
    if !has_programs(&["script"]) {
        return;
    }
    let shipment = Shipment::new(&[1]);
    tree::plain(&shipment.source, "line", 20);
    let pid = shipment.path().join("pid");
    let words = [env!("CARGO_BIN_EXE_holdall"), "bench", shipment.source.to_str().unwrap()];
    let line = format!("echo $$ > {}; exec {}", pid.display(), shlex::try_join(words).unwrap());
    // The first may have ended it before the second came.
    let ends_at_once = || {
        let mut terminal = Terminal::shell(&shipment.state(), &line);
        terminal.until("bench");
        let pid: i32 = fs::read_to_string(&pid).unwrap().trim().parse().unwrap();
        for signal in [Signal::TERM, Signal::INT] {
            kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
        }
        let (status, text) = terminal.end();
        let at_once = [128 + 2, 128 + 15].contains(&status);
        assert!(!at_once || text.ends_with("\nstopped\r\n"), "{text:?}");
        at_once
    };
    assert!((0..20).any(|_| ends_at_once()), "a second signal changes nothing");
}

/// Stops once it was asked so often.
pub struct StopsAfter(pub AtomicU64);

impl Monitor for StopsAfter {
    fn event(&self, _: Event<'_>) {}

    fn should_stop(&self) -> bool {
        self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_err()
    }
}

/// Review A6: wherever `status` and `ls` are stopped, they say that and nothing else.
#[test]
fn what_is_looked_at_is_whole_or_said_to_be_stopped() {
    let shipment = Shipment::new(&[1, 1]);
    tree::plain(&shipment.source, "stopped", 20);
    shipment.pack("cases=1").expect(0);
    let paths = shipment.paths();
    let mut heard = 0;
    while let Err(e) = status(&paths, &StopsAfter(heard.into())) {
        assert!(matches!(e, OpenError::Stopped), "{e}");
        heard += 1;
    }
    assert!(heard > 1, "{heard}");
    let identities = Identities::read(std::slice::from_ref(&shipment.key)).unwrap();
    let options = LsOptions { paths, identities, folder: None };
    let mut heard = 0;
    let all = loop {
        match ls(&options, &StopsAfter(heard.into()), &mut |_, _| ()) {
            Ok(listed) => break listed,
            Err(e) => assert!(matches!(e, OpenError::Stopped), "{e}"),
        }
        heard += 1;
    };
    assert!(heard > 1 && all.complete && all.entries > 20, "{heard}, {}", all.entries);
}

/// Review A20: where everything is attached, a restore that is stopped waits for no drive.
#[test]
fn a_restore_that_is_stopped_awaits_nothing_that_is_here() {
    let shipment = Shipment::new(&[1, 1]);
    tree::plain(&shipment.source, "stopped", 20);
    shipment.pack("cases=1").expect(0);
    let mut heard = 0;
    loop {
        let job = RestoreJob {
            no_special: false,
            owners: None,
            map_names: false,
            expect: Vec::new(),
            identities: Identities::read(std::slice::from_ref(&shipment.key)).unwrap(),
            to: shipment.new_destination(),
            give_up: false,
            salvage: false,
            stage: None,
            memory: Memory::default(),
            selection: None,
        };
        match restore(&shipment.paths(), &job, &StopsAfter(heard.into())) {
            Ok(outcome) if !outcome.restored.stopped => break assert!(outcome.is_complete()),
            Ok(outcome) => {
                assert_eq!(outcome.awaited, Vec::<u32>::new(), "{heard}");
                assert!(!outcome.is_complete());
            }
            Err(e) => assert!(e.to_string().contains("stopped"), "{e}"),
        }
        heard += 1 + heard / 8;
    }
    assert!(heard > 8, "{heard}");
}
