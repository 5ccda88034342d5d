//! What is printed: JSON lines, names, summaries, and what happens when nobody can read them.

use crate::common::{program, shipment::Shipment, tree};
use crate::{assert_refused, holdall};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::process::Stdio;

fn packed() -> Shipment {
    let shipment = Shipment::new(&[1, 1]);
    tree::rich(&shipment.source, "output");
    shipment.pack("cases=1").expect(0);
    shipment
}

#[test]
fn json_lines_all_parse_and_end_in_the_result() {
    let shipment = packed();
    let key: &OsStr = shipment.key.as_ref();
    let to = shipment.new_destination();
    let commands: [(&str, Vec<&OsStr>, i32); 6] = [
        ("verified", vec!["verify".as_ref()], 0),
        ("status", vec!["status".as_ref()], 0),
        ("entry", vec!["ls".as_ref(), "-i".as_ref(), key], 0),
        ("restored", vec!["restore".as_ref(), "-i".as_ref(), key, "--to".as_ref(), to.as_ref()], 0),
        // Review A23, scale 9: what is finished is done.
        ("restored", vec!["restore".as_ref(), "-i".as_ref(), key, "--to".as_ref(), to.as_ref()], 0),
        ("error", vec!["ls".as_ref(), "-i".as_ref(), "/nowhere".as_ref()], 1),
    ];
    let paths = shipment.paths();
    for (last, mut words, status) in commands {
        words.extend(paths.iter().map(|p| p.as_os_str()));
        words.push("--json".as_ref());
        let run = shipment.run(words).expect(status);
        let events = run.events();
        assert!(events.iter().all(|e| e["event"].is_string()), "{}", run.shown());
        let mut results = events.iter().filter(|e| e["event"] != "took");
        assert_eq!(results.next_back().unwrap()["event"], last, "{}", run.shown());
    }
    let keygen = shipment.run(["keygen", "--json", "-o", to.join("k").to_str().unwrap()]).expect(0);
    assert!(keygen.event("keygen")["recipient"].as_str().unwrap().starts_with("age1"));
    let packed = shipment.run(shipment.pack_arguments("none", &["--json"])).expect(0);
    let names: Vec<_> = packed.events().iter().map(|e| e["event"].clone()).collect();
    assert!(names.iter().position(|n| n == "plan") < names.iter().position(|n| n == "packed"));
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let shipment = Shipment::new(&[1]);
    for i in 0..5000 {
        tree::write(&shipment.source.join(format!("{i:0>200}")), b"");
    }
    shipment.pack("none").expect(0);
    let mut command = program(&shipment.state());
    command.arg("ls").arg(&shipment.paths()[0]).arg("-i").arg(&shipment.key);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut some = [0; 100];
    child.stdout.take().unwrap().read_exact(&mut some).unwrap();
    // The pipe is closed here.
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

/// What nobody reads is done all the same, and ended as it is.
#[test]
fn a_reader_that_is_gone_changes_neither_work_nor_status() {
    let shipment = Shipment::new(&[1]);
    tree::plain(&shipment.source, "unread", 3);
    let unread = |words: &[OsString]| {
        let mut command = program(&shipment.state());
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        command.args(words).stdout(writer).stderr(Stdio::null());
        command.status().unwrap().code()
    };
    assert_eq!(unread(&shipment.pack_arguments("none", &[])), Some(0));
    let verify = [OsString::from("verify"), shipment.paths()[0].clone().into()];
    assert_eq!(unread(&verify), Some(0));
    for path in shipment.files(0, "shards/") {
        fs::remove_file(path).unwrap();
    }
    assert_eq!(unread(&verify), Some(1), "it was packed, and then damaged");
}

#[test]
fn a_full_disk_at_standard_output_is_a_failure() {
    let shipment = packed();
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut command = program(&shipment.state());
    command.arg("verify").args(shipment.paths()).stdout(full).stderr(Stdio::piped());
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains("error: cannot write to standard output"), "{stderr}");
}

#[test]
fn names_are_escaped_for_the_terminal_and_one_a_line() {
    let shipment = packed();
    let words = [OsStr::new("ls"), "-i".as_ref(), shipment.key.as_ref()];
    let listed = shipment.run(words.into_iter().chain([shipment.paths()[0].as_os_str()])).expect(0);
    assert!(!listed.stdout.chars().any(|c| c.is_control() && c != '\n'));
    for shown in [
        "names/not UTF-8 \\xff\\xfe",
        "names/two\\nlines",
        "names/\\u{1b}[31mred",
        "names/été 日本 🧳",
        "links/dangling -> not/there",
        "links/folder/a again = links/a",
    ] {
        assert!(listed.stdout.contains(shown), "{shown} is not in\n{}", listed.stdout);
    }
    let entries = tree::walk(&shipment.source).len();
    assert_eq!(listed.stdout.lines().count(), entries, "one line an entry");
}

/// Security, cosmetic: what a label says is any text; neither a terminal nor README.txt nor set.txt
/// gets it as it is.
#[test]
fn texts_of_labels_are_escaped_wherever_they_go() {
    let shipment = packed();
    for drive in 0..2 {
        let closed = ["copy/", "set.txt", "checklist.b3"];
        for path in closed.iter().flat_map(|beginning| shipment.files(drive, beginning)) {
            fs::remove_file(path).unwrap();
        }
        let path = shipment.set_folder(drive).join("label.json");
        let mut label: serde_json::Value =
            serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        for member in ["name", "contact", "created", "survive"] {
            label[member] = "a\u{202e}b\u{1b}[2J\u{9b}31m\nSet out\u{200b}".into();
        }
        fs::write(&path, serde_json::to_vec(&label).unwrap()).unwrap();
        fs::remove_file(shipment.paths()[drive].join("holdall/README.txt")).unwrap();
    }
    let is_unsafe = |c: char| c != '\n' && (c.is_control() || "\u{202e}\u{200b}".contains(c));
    let run = |words: &[&str]| {
        let words = words.iter().map(std::ffi::OsString::from);
        shipment.run(words.chain(shipment.paths().into_iter().map(Into::into)))
    };
    let runs = [run(&["verify"]), run(&["status"]), run(&["repair"]), run(&["close", "--yes"])];
    for shown in runs.map(|run| run.shown()) {
        assert!(!shown.contains(is_unsafe) && !shown.contains("\nSet out"), "{shown:?}");
    }
    let beside = shipment.paths()[0].join("holdall/README.txt");
    for path in [beside, shipment.set_folder(0).join("set.txt")] {
        let text = fs::read_to_string(path).unwrap().replace("\r\n", "\n");
        assert!(text.contains("a\\u{202e}b") && !text.contains(is_unsafe), "{text:?}");
    }
}

#[test]
fn ls_lists_a_folder_alone() {
    let shipment = packed();
    let listed = |folder: &OsStr| {
        let mut words = vec![OsStr::new("ls"), "-i".as_ref(), shipment.key.as_ref()];
        let path = shipment.paths()[1].clone();
        words.extend(["--in".as_ref(), folder, "--json".as_ref(), path.as_ref()]);
        shipment.run(words).expect(0).events_of("entry").len()
    };
    let count = |folder: &str| tree::walk(&shipment.source.join(folder)).len();
    assert_eq!(listed("nested".as_ref()), count("nested"));
    assert_eq!(listed("nested/many/".as_ref()), count("nested/many"));
    let odd = OsStr::from_bytes(b"names/not UTF-8 \xff\xfe");
    assert_eq!(listed(odd), 2);
}

#[test]
fn quiet_says_only_the_summary() {
    let shipment = packed();
    let words = [OsStr::new("verify"), "--quiet".as_ref()];
    let paths = shipment.paths();
    let run = shipment.run(words.into_iter().chain(paths.iter().map(|p| p.as_os_str()))).expect(0);
    assert_eq!(run.stderr, "");
    assert!(run.stdout.contains("Everything can be restored"), "{}", run.stdout);
}

/// Review A17, shape F.
#[test]
fn quiet_pack_shows_neither_plan_nor_table() {
    let shipment = Shipment::new(&[1, 1]);
    tree::plain(&shipment.source, "quiet", 5);
    let mut words = shipment.pack_arguments("none", &["--quiet"]);
    words.retain(|word| word != "--json");
    let run = shipment.run(words).expect(0);
    assert_eq!(run.stderr, "");
    assert!(run.stdout.starts_with("Packed "), "{}", run.stdout);
    for word in ["Plan for", "capacity", "----"] {
        assert!(!run.stdout.contains(word), "{}", run.stdout);
    }
}

/// Review A22: as where its disk is not mounted, or a pattern leaves out everything.
#[test]
fn a_dataset_with_nothing_in_it_is_told() {
    let shipment = Shipment::new(&[1]);
    tree::plain(&shipment.source, "nothing", 5);
    let pack = |more: &[&str]| {
        let run = shipment.run(shipment.pack_arguments("none", more)).expect(0);
        assert!(run.stderr.contains("note: there is nothing but folders"), "{}", run.shown());
    };
    pack(&["--exclude", "*"]);
    fs::remove_dir_all(&shipment.source).unwrap();
    fs::create_dir_all(shipment.source.join("a mount point")).unwrap();
    pack(&[]);
}

/// Review A16, scale 10: parity along the drives is part of the cost.
#[test]
fn the_plan_counts_parity_along_the_drives() {
    let shipment = Shipment::new(&[1]);
    tree::plain(&shipment.source, "along", 50);
    let run = shipment.run(shipment.pack_arguments("blocks=10%", &["--json"])).expect(0);
    let plan = run.event("plan");
    let (all, parity) = (&plan["drives"][0]["bytes"], plan["parity_bytes"].as_u64().unwrap());
    let share = parity as f64 / all.as_u64().unwrap() as f64;
    assert!(share > 0.08 && share < 0.3, "{plan}");
    let mut words = shipment.pack_arguments("blocks=10%", &[]);
    words.retain(|word| word != "--json");
    let run = shipment.run(words).expect(0);
    assert!(run.stdout.contains("of data, "), "{}", run.stdout);
    assert!(run.stdout.contains("10 % of parity on the drive"), "{}", run.stdout);
}

#[test]
fn where_there_is_no_set_that_is_said() {
    let folder = tempfile::tempdir().unwrap();
    for verb in ["verify", "status"] {
        let mut command = holdall(folder.path());
        let words = ["no set was found on", "hint:"];
        assert_refused(command.arg(verb).arg(folder.path()), 1, &words);
        let mut command = holdall(folder.path());
        assert_refused(command.args([verb, "/nowhere"]), 1, &["/nowhere", "hint:"]);
    }
}

#[test]
fn a_folder_inside_a_drive_names_the_drive() {
    let shipment = packed();
    let inside: Vec<PathBuf> = (0..2).map(|drive| shipment.set_folder(drive)).collect();
    let verified = shipment.verify(&inside).expect(0).event("verified");
    assert_eq!(verified["drives"].as_array().unwrap().len(), 2);
    let status = shipment.run(["status".as_ref(), "--json".as_ref(), inside[0].as_os_str()]);
    assert_eq!(status.expect(3).event("status")["missing"][0]["case"], "b");
}
