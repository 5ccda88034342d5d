//! Signals: the first ends every command softly and says so, the second at once (reports R1, A9, A10).

use crate::common::random::Random;
use crate::common::shipment::Shipment;
use crate::common::{program, tree};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

/// The program with temporary files in a folder of their own.
fn command(shipment: &Shipment, words: &[&OsStr]) -> Command {
    let temporary = shipment.path().join("temporary");
    fs::create_dir_all(&temporary).unwrap();
    let mut command = program(&shipment.state());
    command.env("TMPDIR", temporary).args(words).stdout(Stdio::piped()).stderr(Stdio::null());
    command
}

/// Sends signals once an event of this phase is printed; gives the last event.
fn end_at(mut child: Child, phase: &str, signals: &[Signal]) -> (ExitStatus, Value) {
    let (mut last, mut sent) = (Value::Null, false);
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        last = serde_json::from_str(&line.unwrap()).unwrap();
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

/// Report A10, and the second signal: whatever is under way, nothing is left behind.
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

/// Report A9.
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

/// `ulimit -f`: the system sends a signal then, which ended the program.
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

/// Report A6: what a verify that was stopped says.
#[test]
fn a_verify_that_is_stopped_says_nothing_of_what_it_did_not_read() {
    let shipment = Shipment::new(&[1]);
    tree::write(&shipment.source.join("noise"), &Random::new("stopped").bytes(30_000_000));
    shipment.pack("none").expect(0);
    let drive = shipment.drives[0].1.as_os_str();
    let stopped = (0..50u64).find_map(|milliseconds| {
        let mut command = command(&shipment, &["verify".as_ref(), drive]);
        let child = command.spawn().unwrap();
        std::thread::sleep(Duration::from_millis(milliseconds));
        kill_process(Pid::from_child(&child), Signal::INT).unwrap();
        let output = child.wait_with_output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        text.contains("Stopped:").then_some((output.status.code(), text))
    });
    let (status, text) = stopped.expect("it is always too early or too late");
    assert_eq!(status, Some(1), "{text}");
    assert!(
        text.contains("were read, and these were sound. Nothing is said of the rest."),
        "{text}"
    );
    assert!(!text.contains("can be restored"), "{text}");
}
