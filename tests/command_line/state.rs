//! Shipments in progress on this machine are listed, resumed by name, and forgotten; every question
//! can be answered with no.

use crate::common::mounted::Memory;
use crate::common::random::Random;
use crate::common::shipment::Shipment;
use crate::common::{Run, has_programs, tree};
use crate::small;
use std::ffi::OsString;
use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A drive that holds half of a dataset, twice: two shipments wait for their second sets.
fn in_progress() -> Option<(Shipment, Vec<Memory>, Vec<String>)> {
    let mut shipment = Shipment::new(&[1]);
    tree::write(&shipment.source.join("noise"), &Random::new("state").bytes(9 << 20));
    let (mut memory, mut ids) = (Vec::new(), Vec::new());
    for number in 0..2 {
        let point = shipment.path().join(format!("drive {number}"));
        memory.push(Memory::new(&point, 8)?);
        shipment.drives[0].1 = point;
        let more = ["--yes", "--json", "--name", "my photos"];
        let run = shipment.run(shipment.pack_arguments("none", &more)).expect(4);
        // Packing anew resumes nothing, and says so.
        for id in &ids {
            says(&run, &[&format!("shipment {id} of {}", shipment.source.display())]);
            says(&run, &[&format!("to resume that one instead: holdall resume {id}")]);
        }
        ids.push(run.event("packed")["shipment"].as_str().unwrap().to_owned());
    }
    Some((shipment, memory, ids))
}

fn states(shipment: &Shipment) -> usize {
    fs::read_dir(shipment.state().join("holdall")).map_or(0, Iterator::count)
}

fn says(run: &Run, words: &[&str]) {
    for word in words {
        let told = run.stdout.contains(word) || run.stderr.contains(word);
        assert!(told, "{word:?} is not in\n{}", run.shown());
    }
}

/// Review A8: each by its name, source and date, and with its next command.
#[test]
fn shipments_in_progress_are_listed_and_one_can_be_forgotten() {
    let Some((shipment, _memory, ids)) = in_progress() else { return };
    let source = shipment.source.display().to_string();
    let of_source = format!("\"my photos\" of {source}, begun 20");
    let next = |id: &str| format!("next: holdall resume {id} --drive CASE=PATH");
    let listed = shipment.run(["status"]);
    says(&listed, &[&of_source, ", 1 set closed", &ids[0], &ids[1], &next(&ids[0])]);
    let drive = format!("a={}", shipment.paths()[0].display());
    let which = shipment.run(["resume", "--drive", &drive]).expect(2);
    says(&which, &["2 shipments are in progress", &of_source, &ids[0], &ids[1], "holdall forget"]);
    let unasked = shipment.run(["forget", &ids[0]]).expect(2);
    says(&unasked, &["no further set of it can be packed", "nobody to ask", "hint: add --yes"]);
    assert_eq!(states(&shipment), 2);
    // Names of sets begin with it, too, and so much of it is hardly another's.
    shipment.run(["forget", &ids[0][..12], "--yes"]).expect(0);
    assert_eq!(states(&shipment), 1);
    says(&shipment.run(["forget", "xyz", "--yes"]).expect(2), &["not 16 hexadecimal digits"]);
    says(&shipment.run(["forget", &ids[0], "--yes"]).expect(2), &["no shipment", "holdall status"]);
    // An erased set is not the last of its shipment: nobody can tell that nothing is left of it.
    let erase = ["erase".into(), "--yes".into(), "--set".into(), OsString::from(&ids[1])];
    let erased = shipment.run(erase.into_iter().chain([shipment.paths()[0].clone().into()]));
    says(&erased.expect(0), &["is still in progress", &format!("holdall forget {}", ids[1])]);
    assert_eq!(states(&shipment), 1);
}

/// Review A8, F14: a command that is printed can be typed: what the first run was told of folders,
/// the next is too.
#[test]
fn the_next_command_packs_where_the_first_did() {
    let Some((shipment, _memory, ids)) = in_progress() else { return };
    let events = shipment.run(["status", "--json"]).events();
    let of_it = events.iter().find(|e| e["event"] == "in-progress" && e["shipment"] == ids[0]);
    let next = of_it.unwrap()["next"].as_str().unwrap();
    let folder = shipment.path().join("a folder");
    fs::create_dir(&folder).unwrap();
    let drive = format!("'a={}'", folder.display());
    let typed = next.replace("CASE=PATH ...", &drive);
    let words = shlex::split(&typed).unwrap();
    shipment.run(&words[1..]).expect(0);
    assert_eq!(states(&shipment), 1, "that of the other shipment");
}

/// What a terminal would show where this is typed ahead, and this once the question is asked.
fn answered(shipment: &Shipment, words: &[OsString], ahead: &str, answer: &str) -> (i32, String) {
    let folder = tempfile::tempdir().unwrap();
    let go = folder.path().join("go");
    let quoted = words.iter().map(|w| shlex::try_quote(w.to_str().unwrap()).unwrap().into_owned());
    let line = format!(
        "until [ -e {} ]; do sleep 0.01; done; {} {}",
        go.display(),
        env!("CARGO_BIN_EXE_holdall"),
        quoted.collect::<Vec<_>>().join(" ")
    );
    let mut command = Command::new("script");
    command.args(["-qec", &line, "/dev/null"]).env("XDG_STATE_HOME", shipment.state());
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let (mut output, mut shown) = (child.stdout.take().unwrap(), Vec::new());
    let mut until = |end: &str| {
        let mut byte = [0];
        while !shown.ends_with(end.as_bytes()) && output.read(&mut byte).unwrap() > 0 {
            shown.push(byte[0]);
        }
    };
    input.write_all(format!("{ahead}\n").as_bytes()).unwrap();
    until(&format!("{ahead}\r\n")); // the terminal has it
    fs::write(&go, b"").unwrap();
    until("[y/N] ");
    input.write_all(format!("{answer}\n").as_bytes()).unwrap();
    until("to its end");
    let status = child.wait().unwrap();
    (status.code().unwrap_or(-1), String::from_utf8_lossy(&shown).into_owned())
}

/// Review A12, shape I; and only what is typed once it is asked is an answer.
#[test]
fn no_is_an_answer_that_a_script_can_see() {
    if !has_programs(&["script"]) {
        return;
    }
    let Some((shipment, _memory, ids)) = in_progress() else { return };
    let point = shipment.path().join("small");
    let Some(_small) = Memory::new(&point, 4) else { return };
    let words = |words: &[&str], path: Option<&Path>| -> Vec<OsString> {
        words.iter().map(OsString::from).chain(path.map(Into::into)).collect()
    };
    let drive = shipment.paths()[0].clone();
    let pack = |shipment: &Shipment| shipment.pack_arguments("none", &[]);
    let mut too_small = pack(&shipment);
    let at = too_small.iter().position(|word| word == "--drive").unwrap() + 1;
    too_small[at] = format!("a={}", point.display()).into();
    let all = [
        too_small,
        words(&["erase", "--set", &ids[1]], Some(&drive)),
        words(&["forget", &ids[0]], None),
    ];
    for words in all {
        let before = tree::walk(shipment.path());
        let (status, text) = answered(&shipment, &words, "y", "n");
        assert_eq!(status, 2, "{text}");
        assert!(text.contains("[y/N]") && text.contains("error: the answer was no"), "{text}");
        let after: Vec<PathBuf> = tree::walk(shipment.path());
        assert_eq!(before, after, "nothing was touched");
    }
    let forget = words(&["forget", &ids[0]], None);
    let (status, text) = answered(&shipment, &forget, "n", "y");
    assert_eq!((status, states(&shipment)), (0, 1), "{text}");
}

/// Review scale 12, F14: full drives are told by the room that lacks, and by what takes it.
#[test]
fn a_set_that_takes_the_room_is_named_with_the_command_that_removes_it() {
    let Some((shipment, _memory, ids)) = in_progress() else { return };
    let set = shipment.set_folder(0).file_name().unwrap().to_str().unwrap().to_owned();
    let path = shipment.paths()[0].display().to_string();
    let erase = format!("holdall erase {} --set {set}", shlex::try_quote(&path).unwrap());
    let again = || {
        let run = shipment.run(shipment.pack_arguments("none", &[])).expect(2);
        says(&run, &["are missing", "is no longer needed", &erase]);
        assert!(!run.stderr.contains("add drives or cases"), "{}", run.shown());
    };
    again();
    // With no room at all there is no plan; with that of the set it would do.
    let litter = shipment.paths()[0].join("mine");
    let _ = fs::write(litter, vec![1; 8 << 20]);
    again();
    // So is the next set of another shipment.
    let drive = format!("a={path}");
    let next = ["resume", &ids[0], "--folder-drives", "--drive", &drive];
    let run = shipment.run(next).expect(2);
    says(&run, &["are missing", &erase]);
    assert!(!run.stderr.contains("add drives or cases"), "{}", run.shown());
}

/// Review R17: as with a home folder that is packed.
#[test]
fn a_state_folder_within_the_dataset_is_left_out() {
    let shipment = small();
    let state = shipment.source.join("zz/state");
    tree::write(&state.join("another program/file"), b"another's");
    let packed = crate::common::run(&state, shipment.pack_arguments("drives=1", &["--json"]));
    let packed = packed.expect(0);
    let left_out = "zz/state/holdall is left out";
    let notes = packed.events_of("note");
    let told = |note: &&serde_json::Value| note["text"].as_str().unwrap().starts_with(left_out);
    assert_eq!(notes.iter().filter(told).count(), 1, "{}", packed.shown());
    let to = shipment.new_destination();
    shipment.restore(&shipment.paths(), &to, &[]).expect(0);
    assert!(to.join("zz/state/another program/file").is_file());
    assert!(!to.join("zz/state/holdall").exists());
}

/// Review A8: the demo's state lies in its own folder.
#[test]
fn the_demo_keeps_its_state_to_itself() {
    let shipment = small();
    let demo = shipment.path().join("demo");
    shipment.run([OsString::from("demo"), demo.clone().into()]).expect(0);
    assert!(!shipment.state().exists());
    assert_eq!(fs::read_dir(demo.join("state")).unwrap().count(), 0, "and it is complete");
}
