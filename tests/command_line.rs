//! Goal: what is typed does what the help says, and what cannot be done is refused with the right
//! status, before anything is written, in words that name the remedy.
//!
//! The golden files of `--help` are in `fixtures/help`; `HOLDALL_RENEW=1 cargo test --test
//! command_line` writes them anew.
#![allow(clippy::unwrap_used, clippy::type_complexity, clippy::format_push_string)]

mod common;

use assert_cmd::Command;
use common::shipment::Shipment;
use common::snapshot::Snapshot;
use common::tree::{self, CHUNK};
use holdall::testing::cli::help::{COMMANDS, TOPICS, Topic};
use rstest::rstest;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// The program, with its state and its temporary files in `folder`.
fn holdall(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_holdall"));
    command.env("XDG_STATE_HOME", folder.join("state")).env("TMPDIR", folder);
    command.env("NO_COLOR", "1").env_remove("COLUMNS");
    command
}

/// What a refused command must show: its status, and words of its message.
#[track_caller]
fn assert_refused(command: &mut Command, status: i32, words: &[&str]) {
    let output = command.output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(status), "{stderr}");
    for word in words {
        assert!(stderr.contains(word), "{word:?} is not in\n{stderr}");
    }
    assert!(stderr.lines().any(|line| line.starts_with("error: ")), "{stderr}");
    assert!(!stderr.contains("panicked"), "{stderr}");
}

/// A small dataset, and four empty drives in two cases.
fn small() -> Shipment {
    let shipment = Shipment::new(&[2, 2]);
    tree::write(&shipment.source.join("folder/file"), b"some bytes");
    tree::write(&shipment.source.join("large"), &vec![7; 3 * CHUNK]);
    shipment
}

/// Fails if anything lies on any drive.
#[track_caller]
fn assert_untouched(shipment: &Shipment) {
    for path in shipment.paths().iter().filter(|path| path.is_dir()) {
        assert_eq!(tree::walk(path), std::slice::from_ref(path), "nothing was written");
    }
}

mod help {
    use super::*;

    /// Fails unless `text` is what the golden file holds; or writes it, if asked.
    #[track_caller]
    fn assert_golden(name: &str, text: &str) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/help");
        let path = folder.join(format!("{name}.txt"));
        if std::env::var_os("HOLDALL_RENEW").is_some() {
            fs::create_dir_all(&folder).unwrap();
            fs::write(&path, text).unwrap();
        }
        let golden = fs::read_to_string(&path).unwrap_or_default();
        assert!(
            golden == text,
            "the help of {name} changed (HOLDALL_RENEW=1 renews {}):\n{text}",
            path.display()
        );
    }

    fn help_of(arguments: &[&str]) -> String {
        let folder = tempfile::tempdir().unwrap();
        let output = holdall(folder.path()).args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(0));
        assert!(output.stderr.is_empty());
        String::from_utf8(output.stdout).unwrap()
    }

    #[test]
    fn of_every_command_is_as_it_was() {
        assert_golden("holdall", &help_of(&["--help"]));
        for command in COMMANDS {
            assert_golden(command, &help_of(&[command, "--help"]));
        }
    }

    /// Review issue 12.9: of a command, of a topic, and of a word that is both.
    #[test]
    fn help_prints_commands_and_topics() {
        let all = help_of(&["--help"]);
        assert_eq!(help_of(&["help"]), all);
        for command in COMMANDS {
            let (long, text) = (help_of(&[command, "--help"]), help_of(&["help", command]));
            assert!(text.starts_with(&long), "{text}");
        }
        for topic in &TOPICS {
            assert!(all.contains(&format!("\n  {} ", topic.name)), "{all}");
            assert!(help_of(&["help", topic.name]).ends_with(topic.page), "{}", topic.name);
        }
        let folder = tempfile::tempdir().unwrap();
        let mut unknown = holdall(folder.path());
        let similar = "a similar value exists: 'survive'";
        assert_refused(unknown.args(["help", "surive"]), 2, &["'surive'", similar]);
        let mut renamed = holdall(folder.path());
        assert_refused(renamed.args(["pack", "--close"]), 2, &["  tip: a set is closed by"]);
    }

    #[test]
    fn ends_in_an_example_and_hides_what_is_for_tests() {
        for command in COMMANDS {
            let text = help_of(&[command, "--help"]);
            let example = text.split("Example:\n").nth(1).unwrap_or_else(|| panic!("{text}"));
            assert!(example.contains(&format!("holdall {command}")), "{text}");
            assert!(!example.contains("Options:"), "the example comes last: {text}");
            assert!(!text.contains("--geometry"), "{text}");
        }
    }

    /// Pages are read in a terminal as they are.
    #[test]
    fn pages_fit_a_terminal() {
        for Topic { name, page, .. } in &TOPICS {
            let long = page.lines().find(|line| line.chars().count() > 80);
            assert_eq!(long, None, "{name}");
            assert!(page.starts_with("# ") && page.ends_with('\n'), "{name}");
        }
    }

    #[test]
    fn version_is_the_crates() {
        let text = help_of(&["--version"]);
        assert_eq!(text, format!("holdall {}\n", env!("CARGO_PKG_VERSION")));
    }
}

mod usage {
    use super::*;

    /// `pack` with these words after the source and the drives.
    fn pack(shipment: &Shipment, drives: &[String], more: &[&str]) -> Command {
        let mut command = holdall(shipment.path());
        command.arg("pack").arg(&shipment.source).arg("--folder-drives");
        for drive in drives {
            command.args(["--drive", drive]);
        }
        command.args(more);
        command
    }

    fn drives(shipment: &Shipment) -> Vec<String> {
        let typed = |(case, path): &(String, PathBuf)| format!("{case}={}", path.display());
        shipment.drives.iter().map(typed).collect()
    }

    #[rstest]
    #[case::no_recipient(&[], &["no recipient", "hint: add -r", "holdall keygen"])]
    #[case::bad_recipient(&["-r", "age1nobody"], &["-r: this age recipient is incomplete", "hint: copy the whole key"])]
    #[case::a_secret_key(&["-r", "AGE-SECRET-KEY-1X"], &["-r: this age identity (a secret key)", "hint:"])]
    #[case::no_such_file(&["-R", "/nowhere/recipients"], &["/nowhere/recipients", "hint:"])]
    #[case::too_many_cases(&["--survive", "cases=2"], &["cannot survive cases=2", "--survive none"])]
    #[case::too_many_drives(&["--survive", "drives=4"], &["cannot survive drives=4", "add drives"])]
    #[case::along(&["--survive", "blocks=1"], &["\"1\" is not a number that", "hint:"])]
    #[case::no_rule(&["--survive", "case=1"], &["unknown word \"case\"", "hint: write --survive"])]
    #[case::nothing(&["--survive", "cases=0"], &["write none to say so"])]
    #[case::size(&["--checkpoint", "lots"], &["not a size", "hint: write --checkpoint"])]
    #[case::geometry(&["--geometry", "1,2"], &["three numbers"])]
    #[case::odd_geometry(&["--geometry", "1000,4096,16"], &["chunk size"])]
    #[case::pattern(&["--exclude", "a["], &["--exclude"])]
    #[case::parent_pattern(&["--exclude", "../x"], &["can match nothing"])]
    fn of_pack_is_refused(#[case] more: &[&str], #[case] words: &[&str]) {
        let shipment = small();
        let mut all = more.to_vec();
        // What is tried is the only thing wrong.
        if !more.iter().any(|word| ["-r", "-R"].contains(word)) && !more.is_empty() {
            all.extend(["-r", &shipment.recipient]);
        }
        assert_refused(&mut pack(&shipment, &drives(&shipment), &all), 2, words);
        assert_untouched(&shipment);
    }

    /// Review A24: the hint shows what was meant.
    #[test]
    fn a_drive_without_a_case_is_refused() {
        let shipment = small();
        let path = shipment.paths()[0].display().to_string();
        let recipient = ["-r", &shipment.recipient];
        let meant = format!(
            "write CASE=PATH, the case that the drive travels in and its path, such as a={path}\n"
        );
        let several = [format!("b={}", shipment.paths()[1].display()), path.clone()];
        for drives in [&several[..], &[format!("={path}")]] {
            assert_refused(&mut pack(&shipment, drives, &recipient), 2, &[&meant]);
        }
        let example = ["and its path, such as a=/media/usb1\n"];
        assert_refused(&mut pack(&shipment, &["a=".into()], &recipient), 2, &example);
        for case in ["a b", "ü", &"c".repeat(33)] {
            let drive = [format!("{case}={path}")];
            let words = ["is not a name for a case", "1 to 32 letters"];
            assert_refused(&mut pack(&shipment, &drive, &recipient), 2, &words);
        }
        assert_untouched(&shipment);
    }

    /// Review scale 11: what is wrong first is said first, whatever memory there is.
    #[rstest]
    #[case(&[])]
    #[case(&["--memory", "4GiB"])]
    fn more_drives_than_a_set_can_have_are_refused(#[case] more: &[&str]) {
        let shipment = small();
        let drive = |number: u32| {
            let path = shipment.path().join(format!("many/{number}"));
            fs::create_dir_all(&path).unwrap();
            format!("{}={}", ["a", "b", "c"][number as usize % 3], path.display())
        };
        let all: Vec<String> = (0..256).map(drive).collect();
        let words =
            ["256 drives are given and a set can have at most 255", "hint: pack onto fewer"];
        let more = [&["-r", &shipment.recipient], more].concat();
        assert_refused(&mut pack(&shipment, &all, &more), 2, &words);
        assert_untouched(&shipment);
        assert!(tree::walk(&shipment.path().join("many")).iter().all(|path| path.is_dir()));
    }

    #[test]
    fn a_drive_given_twice_is_refused() {
        let shipment = small();
        let recipient = ["-r", &shipment.recipient];
        let mut twice = drives(&shipment);
        twice.push(format!("c={}/../a-1", shipment.paths()[0].display()));
        assert_refused(&mut pack(&shipment, &twice, &recipient), 2, &["given twice", "once"]);
        let link = shipment.path().join("link");
        std::os::unix::fs::symlink(&shipment.paths()[1], &link).unwrap();
        *twice.last_mut().unwrap() = format!("c={}", link.display());
        assert_refused(&mut pack(&shipment, &twice, &recipient), 2, &["given twice"]);
        assert_untouched(&shipment);
    }

    #[test]
    fn a_drive_that_is_not_there_or_no_folder_is_refused() {
        let shipment = small();
        let recipient = ["-r", &shipment.recipient];
        for path in ["/nowhere/usb", "/etc/hostname"] {
            let words = [path, "hint: name the folder where the drive is mounted"];
            let drive = [format!("a={path}")];
            assert_refused(&mut pack(&shipment, &drive, &recipient), 2, &words);
        }
    }

    #[test]
    fn source_and_drives_must_lie_apart() {
        let shipment = small();
        let recipient = ["-r", &shipment.recipient];
        let words = ["lies inside", "hint: pack a folder that lies apart"];
        let inside = shipment.source.join("folder");
        for drive in [&inside, &shipment.source, &shipment.path().to_path_buf()] {
            let drive = [format!("a={}", drive.display())];
            assert_refused(&mut pack(&shipment, &drive, &recipient), 2, &words);
        }
        assert!(!inside.join("holdall").exists());
    }

    #[test]
    fn a_source_that_is_not_there_is_refused() {
        let mut shipment = small();
        shipment.source = shipment.path().join("gone");
        let recipient = ["-r", &shipment.recipient];
        let words = ["gone does not exist", "hint: name a folder or file that exists"];
        assert_refused(&mut pack(&shipment, &drives(&shipment), &recipient), 1, &words);
        assert_untouched(&shipment);
    }

    /// Review A24: and a number is asked for in words.
    #[test]
    fn what_clap_refuses_is_usage_too() {
        let folder = tempfile::tempdir().unwrap();
        for words in [&["pack"][..], &["burn"], &["restore"], &["pack", "x", "--level", "20"], &[]]
        {
            holdall(folder.path()).args(words).assert().code(2);
        }
        let mut pack = holdall(folder.path());
        let words = ["invalid value '22'", "a level is a number from 1 to 19"];
        assert_refused(pack.args(["pack", "x", "--drive", "a=x", "--level", "22"]), 2, &words);
    }

    #[test]
    fn a_drive_that_carries_a_set_keeps_it() {
        let shipment = small();
        let recipient = ["-r", &shipment.recipient, "--survive", "drives=1"];
        pack(&shipment, &drives(&shipment), &recipient).assert().code(0);
        let before = shipment.files(0, "");
        let bytes: Vec<Vec<u8>> = before.iter().map(|p| fs::read(p).unwrap()).collect();
        // The dates of shipments have seconds.
        std::thread::sleep(std::time::Duration::from_millis(1_100));
        let again = pack(&shipment, &drives(&shipment), &recipient).assert().code(0);
        let stderr = String::from_utf8_lossy(&again.get_output().stderr).into_owned();
        assert!(stderr.contains("already carries set"), "{stderr}");
        for (path, bytes) in before.iter().zip(bytes) {
            assert!(fs::read(path).unwrap() == bytes, "{}", path.display());
        }
        // Two shipments lie on the drives: restore asks for one of them.
        let mut restore = holdall(shipment.path());
        restore.arg("restore").args(shipment.paths()).arg("-i").arg(&shipment.key);
        restore.arg("--to").arg(shipment.new_destination());
        // Issue 14, point 7: the command that is printed works, and means the later one.
        let refused = restore.output().unwrap();
        let stderr = String::from_utf8(refused.stderr).unwrap();
        assert!(refused.status.code() == Some(1) && stderr.contains("carry 2 shipments: "));
        let typed =
            stderr.lines().find_map(|l| l.strip_prefix("hint: ")?.split_once(": ")).unwrap();
        let words = shlex::split(typed.1).unwrap();
        assert_eq!(words[..3], ["holdall", "restore", "--shipment"], "{stderr}");
        holdall(shipment.path()).args(&words[1..]).assert().code(0);
        holdall(shipment.path()).arg("verify").args(shipment.paths()).assert().code(0);
        let sets = |which: &[&str]| {
            let mut status = holdall(shipment.path());
            let told = status.arg("status").args(shipment.paths()).args(which).assert().code(0);
            let told = String::from_utf8(told.get_output().stdout.clone()).unwrap();
            told.lines()
                .filter(|line| line.starts_with("Set "))
                .map(Into::into)
                .collect::<Vec<String>>()
        };
        let (all, latest, named) =
            (sets(&[]), sets(&["--latest"]), sets(&["--shipment", &words[3]]));
        assert!(all.len() == 2 && latest.len() == 1 && latest == named, "{all:?} {latest:?}");
        let mut none = holdall(shipment.path());
        none.arg("verify").args(shipment.paths()).args(["--shipment", "0123456789abcdef"]);
        assert_refused(&mut none, 1, &["carries the shipment that was named", &words[3]]);
    }
}

mod keys {
    use super::*;

    #[test]
    fn keygen_never_overwrites_and_keeps_the_key_to_its_owner() {
        let folder = tempfile::tempdir().unwrap();
        let key = folder.path().join("me.key");
        let keygen = || {
            let mut command = holdall(folder.path());
            command.arg("keygen").arg("-o").arg(&key);
            command
        };
        let made = keygen().assert().code(0);
        let recipient = String::from_utf8(made.get_output().stdout.clone()).unwrap();
        assert!(recipient.starts_with("age1") && recipient.lines().count() == 1, "{recipient}");
        assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o7777, 0o600);
        let text = fs::read_to_string(&key).unwrap();
        assert!(text.contains(recipient.trim()) && text.contains("AGE-SECRET-KEY-1"));
        assert_refused(&mut keygen(), 1, &["me.key", "hint: keygen never writes over a file"]);
        assert_eq!(fs::read_to_string(&key).unwrap(), text);
        // Nor through a dangling link.
        fs::remove_file(&key).unwrap();
        std::os::unix::fs::symlink(folder.path().join("elsewhere"), &key).unwrap();
        assert_refused(&mut keygen(), 1, &["me.key"]);
        assert!(!folder.path().join("elsewhere").exists());
    }

    #[test]
    fn keygen_without_a_file_prints_the_identity() {
        let folder = tempfile::tempdir().unwrap();
        let made = holdall(folder.path()).arg("keygen").assert().code(0);
        let text = String::from_utf8(made.get_output().stdout.clone()).unwrap();
        let secrets = text.lines().filter(|l| l.starts_with("AGE-SECRET-KEY-1"));
        assert_eq!(secrets.count(), 1, "{text}");
        let key = folder.path().join("key");
        fs::write(&key, text).unwrap();
        assert!(holdall::testing::keys::recipients::Identities::read(&[key]).is_ok());
    }

    #[test]
    fn recipients_may_stand_in_a_file_and_each_can_open() {
        let shipment = small();
        let other = shipment.path().join("other.key");
        let made = shipment.run([OsStr::new("keygen"), "-o".as_ref(), other.as_ref()]).expect(0);
        let list = shipment.path().join("recipients");
        let text =
            format!("# who may open\n\n{}\n  {}  \n", shipment.recipient, made.stdout.trim());
        fs::write(&list, text).unwrap();
        let mut pack = holdall(shipment.path());
        pack.arg("pack").arg(&shipment.source).arg("-R").arg(&list).args(["--survive", "none"]);
        pack.arg("--folder-drives");
        pack.args(["--drive", &format!("a={}", shipment.paths()[0].display())]);
        pack.assert().code(0);
        for key in [&shipment.key, &other] {
            let mut restore = holdall(shipment.path());
            let to = shipment.new_destination();
            restore.arg("restore").arg(&shipment.paths()[0]).arg("-i").arg(key);
            restore.arg("--to").arg(&to).assert().code(0);
            Snapshot::of(&shipment.source).assert_equal(&Snapshot::of(&to));
        }
    }

    #[test]
    fn a_wrong_identity_is_refused_and_nothing_is_written() {
        let shipment = small();
        shipment.pack("drives=1").expect(0);
        let other = shipment.path().join("other.key");
        shipment.run([OsStr::new("keygen"), "-o".as_ref(), other.as_ref()]).expect(0);
        let to = shipment.new_destination();
        let with = |key: &Path, verb: &str| {
            let mut command = holdall(shipment.path());
            command.arg(verb).args(shipment.paths()).arg("-i").arg(key);
            if verb == "restore" {
                command.arg("--to").arg(&to);
            }
            command
        };
        for verb in ["restore", "ls"] {
            let words = ["is not wrapped to any identity given", "hint: name the identity"];
            assert_refused(&mut with(&other, verb), 1, &words);
            let missing = shipment.path().join("no.key");
            assert_refused(&mut with(&missing, verb), 1, &["no.key", "hint: -i names a file"]);
            let words = ["line 1: this is no key", "hint: -i names a file"];
            assert_refused(&mut with(&shipment.source.join("folder/file"), verb), 1, &words);
        }
        assert!(!to.exists());
    }
}

mod command_line {
    mod calls;
    mod close;
    mod custody;
    mod drives;
    mod erase;
    mod events;
    mod installed;
    mod keys;
    mod not_taken;
    mod options;
    mod output;
    mod plan;
    mod readme;
    mod report;
    mod room;
    pub(super) mod signals;
    mod state;
    mod typed;
}

mod demo {
    use super::*;

    #[test]
    fn goes_the_whole_way_and_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let run = holdall(folder.path()).arg("demo").assert().code(0);
        let text = String::from_utf8_lossy(&run.get_output().stdout).into_owned();
        assert!(text.contains("The restored tree equals the original"), "{text}");
        assert!(text.contains("One case is lost"), "{text}");
        let left = tree::walk(folder.path()).into_iter().filter(|p| p.is_file()).count();
        assert_eq!(left, 0, "the temporary folder is removed");
    }

    /// Review A8: interrupted wherever it is, it leaves nothing, and its state was never among the
    /// user's.
    #[test]
    fn leaves_nothing_when_it_is_interrupted() {
        use rustix::process::{Pid, Signal, kill_process};
        let folder = tempfile::tempdir().unwrap();
        let mut stopped = 0;
        for milliseconds in [0, 50, 150, 300, 600, 1200] {
            let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_holdall"));
            command.arg("demo").env("TMPDIR", folder.path());
            command.env("XDG_STATE_HOME", folder.path()).stdout(std::process::Stdio::null());
            let child = command.stderr(std::process::Stdio::piped()).spawn().unwrap();
            std::thread::sleep(std::time::Duration::from_millis(milliseconds));
            kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
            let output = child.wait_with_output().unwrap();
            let said = String::from_utf8(output.stderr).unwrap();
            stopped += usize::from(said.contains("stopped as asked"));
            // Ended before it listened, or once it was done; else it says so.
            let status = output.status.code();
            assert!([None, Some(0), Some(1)].contains(&status), "{status:?} {said}");
            assert_eq!(status == Some(1), said.contains("stopped as asked"), "{said}");
            let left = fs::read_dir(folder.path()).unwrap().flatten().map(|entry| entry.path());
            let left: Vec<_> = left.flat_map(|path| tree::walk(&path)).collect();
            assert!(!left.iter().any(|path| path.is_file()), "{milliseconds} ms: {left:?}");
        }
        assert!(stopped > 0, "it is always too early or too late");
    }

    /// It is asked before each file whether to stop.
    #[test]
    fn stops_before_its_dataset_is_made() {
        use crate::command_line::signals::StopsAfter;
        use holdall::testing::commands::demo::{DemoError, demo};
        let folder = tempfile::tempdir().unwrap();
        let stopped = demo(folder.path(), &StopsAfter(3.into()), &|_| {});
        assert!(matches!(stopped, Err(DemoError::Stopped)));
        let files: Vec<_> = tree::walk(folder.path()).into_iter().filter(|p| p.is_file()).collect();
        assert_eq!(files.len(), 3, "{files:?}");
    }

    #[test]
    fn stays_in_a_folder_that_was_named() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("journey");
        holdall(folder.path()).arg("demo").arg(&dir).arg("--json").assert().code(0);
        assert!(dir.join("restored").is_dir());
        assert_refused(holdall(folder.path()).arg("demo").arg(&dir), 2, &["is not empty", "hint:"]);
    }
}
