//! A person who does something else meanwhile is called, and can read later what was said: --on-event,
//! the bell, --log-file; and every summary ends with the time (Review A24, E13, E14).

use crate::common::mounted::Memory;
use crate::common::random::Random;
use crate::common::shipment::Shipment;
use crate::common::terminal::Terminal;
use crate::common::{Run, has_programs, tree};
use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;

/// A dataset that one drive, which is small, does not hold.
fn too_much() -> Option<(Shipment, Memory)> {
    let mut shipment = Shipment::new(&[1]);
    tree::write(&shipment.source.join("noise"), &Random::new("calls").bytes(9 << 20));
    let point = shipment.path().join("small drive");
    let memory = Memory::new(&point, 8)?;
    shipment.drives[0].1 = point;
    Some((shipment, memory))
}

/// A command that writes down what it is called for.
fn noting(shipment: &Shipment) -> [String; 2] {
    let calls = shipment.path().join("calls").display().to_string();
    let line = "$HOLDALL_EVENT|$HOLDALL_MESSAGE|$HOLDALL_SHIPMENT";
    ["--on-event".into(), format!("echo \"{line}\" >> '{calls}'; echo noise")]
}

fn calls(shipment: &Shipment) -> Vec<Vec<String>> {
    let text = fs::read_to_string(shipment.path().join("calls")).unwrap();
    text.lines().map(|line| line.split('|').map(String::from).collect()).collect()
}

#[test]
fn the_command_of_on_event_is_told_what_happened() {
    let Some((shipment, _memory)) = too_much() else { return };
    let [option, command] = noting(&shipment);
    let more = ["--yes", "--json", &option, &command];
    let run = shipment.run(shipment.pack_arguments("none", &more)).expect(4);
    let id = run.event("packed")["shipment"].as_str().unwrap().to_owned();
    let full = ["drives-full", "the drives are full: attach the next ones", &id];
    assert_eq!(calls(&shipment), [full], "nobody is there to be asked: it is the end, too");
    assert!(run.stderr.contains("noise"), "it does not go among results: {}", run.shown());
    shipment.run(["verify", "/nowhere", &option, &command]).expect(1);
    let failed = calls(&shipment).pop().unwrap();
    assert!(failed[0] == "failed" && failed[1].contains("/nowhere"), "{failed:?}");
}

#[test]
fn a_command_that_fails_is_a_note_and_no_status() {
    let shipment = Shipment::new(&[1]);
    let run = shipment.run(["help", "keygen", "--on-event", "exit 3"]).expect(0);
    let note = "note: the command of --on-event failed: exit status: 3";
    assert!(run.stderr.contains(note), "{}", run.shown());
}

#[test]
fn a_terminal_rings_when_drives_must_be_changed() {
    if !has_programs(&["script"]) {
        return;
    }
    let Some((shipment, _memory)) = too_much() else { return };
    let mut terminal = Terminal::holdall(&shipment.state(), &shipment.pack_arguments("none", &[]));
    terminal.until("further sets? [y/N]");
    terminal.types("y");
    let told = terminal.until("they are noticed");
    assert!(told.contains('\u{7}') && told.contains("written at "), "{told}");
    terminal.press("\u{3}");
    assert_eq!(terminal.end().0, 4);
}

fn time_of(run: &Run) -> &str {
    run.stdout.lines().rev().find(|line| line.starts_with("In ")).unwrap_or_default()
}

#[test]
fn summaries_end_with_time_and_rate_and_the_log_has_them() {
    let shipment = Shipment::new(&[1, 1]);
    tree::rich(&shipment.source, "log");
    let log = shipment.path().join("log");
    let with_log = |words: &[OsString]| {
        let option = ["--log-file".into(), log.clone().into()];
        shipment.run(words.iter().cloned().chain(option)).expect(0)
    };
    let pack = with_log(&shipment.pack_arguments("cases=1", &[]));
    assert!(
        time_of(&pack).contains("s: written at ") && time_of(&pack).contains(", read back at ")
    );
    let paths = shipment.paths().into_iter().map(OsString::from);
    let verify = with_log(&[OsString::from("verify")].into_iter().chain(paths).collect::<Vec<_>>());
    assert!(time_of(&verify).contains("s: checked at "), "{}", verify.shown());
    let log = fs::read_to_string(&log).unwrap();
    let is_dated = |line: &str| line.starts_with("20") && line.as_bytes()[10] == b' ';
    assert!(log.lines().all(is_dated), "{log}");
    for said in [time_of(&pack), time_of(&verify), "holdall pack ", "holdall verify ", "Packed "] {
        assert_eq!(log.matches(said).count(), 1, "{said} in\n{log}");
    }
    let run = shipment.run(["status", "--log-file", "/nowhere/log"]).expect(2);
    assert!(run.stderr.contains("hint: --log-file names a file"), "{}", run.shown());
    // One that is full, and a path that is no text.
    let path = OsString::from_vec(b"/nowhere/\xff".to_vec());
    let run = shipment.run(["verify".into(), path, "--log-file=/dev/full".into()]).expect(1);
    let note = "note: the file of --log-file lacks lines: No space left";
    assert!(run.stderr.contains(note), "{}", run.shown());
}

#[test]
fn programs_get_the_time_of_each_phase() {
    let shipment = Shipment::new(&[1, 1]);
    tree::plain(&shipment.source, "took", 20);
    let took = shipment.pack("cases=1").expect(0).event("took");
    let phases = took["phases"].as_array().unwrap();
    let names: Vec<_> = phases.iter().map(|phase| phase["phase"].as_str().unwrap()).collect();
    assert_eq!(names, ["pack", "read-back"]);
    let sum: f64 = phases.iter().map(|phase| phase["seconds"].as_f64().unwrap()).sum();
    assert!(sum <= took["seconds"].as_f64().unwrap() + 0.01, "{took}");
    assert!(phases.iter().all(|phase| phase["bytes_per_second"].as_u64() > Some(0)), "{took}");
}
