//! Every command in README.md and in the pages of `holdall help` is one that the program takes, and
//! every link leads somewhere.

use clap::{CommandFactory, Parser};
use holdall::testing::cli::args::Cli;
use holdall::testing::cli::help::TOPICS;
use std::fs;
use std::path::{Path, PathBuf};

const README: &str = include_str!("../../README.md");

/// README.md and all pages, with their names.
fn texts() -> Vec<(&'static str, &'static str)> {
    let pages = TOPICS.iter().map(|topic| (topic.name, topic.page));
    [("README", README)].into_iter().chain(pages).collect()
}

/// The lines of the code blocks of this kind.
fn blocks(text: &'static str, kind: &str) -> Vec<Vec<&'static str>> {
    let mut blocks = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line == format!("```{kind}") {
            blocks.push(lines.by_ref().take_while(|line| *line != "```").collect());
        } else if line.starts_with("```") {
            lines.by_ref().take_while(|line| *line != "```").for_each(drop);
        }
    }
    blocks
}

/// Fails unless the program takes these words.
#[track_caller]
fn assert_taken(line: &str) {
    let line = line.split(" #").next().unwrap();
    let words = shlex::split(line.split(" > ").next().unwrap()).unwrap();
    if let Err(error) = Cli::try_parse_from(words)
        && error.use_stderr()
    {
        panic!("{line}\n{error}");
    }
}

/// A line that a shell is given: holdall, or a program that is no part of it.
#[track_caller]
fn assert_runs(line: &str) {
    const OTHERS: [&str; 8] =
        ["b3sum ", "cargo ", "cd ", "lsblk ", "mkdir ", "pip ", "python3 ", "HOLDALL_"];
    let line = line.split(" #").next().unwrap().trim();
    if line.starts_with("holdall ") {
        assert_taken(line);
    } else if let Some(words) = line.strip_prefix("cargo run --release -- ") {
        assert_taken(&format!("holdall {words}"));
    } else if !OTHERS.iter().any(|other| line.starts_with(other)) {
        // A script of this repository, with options that it names.
        let mut words = line.split_whitespace();
        let script = fs::read_to_string(in_crate(words.next().unwrap())).expect(line);
        for option in words.filter(|word| word.starts_with("--")) {
            assert!(script.contains(&format!("\"{option}\"")), "{line}");
        }
    }
    for (option, folder) in [("--test ", "tests"), ("--bench ", "benches")] {
        if let Some((_, rest)) = line.split_once(option) {
            let name = rest.split(' ').next().unwrap();
            assert!(in_crate(&format!("{folder}/{name}.rs")).is_file(), "{line}");
        }
    }
}

fn in_crate(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Holdall as running text names it: a command that there is, with options that it has.
#[track_caller]
fn assert_is_known(words: &[&str]) {
    let ["holdall", command, rest @ ..] = words else { return };
    if command.starts_with('-') {
        return;
    }
    let all = Cli::command();
    let found = all.find_subcommand(command).unwrap_or_else(|| panic!("{words:?}"));
    for option in rest.iter().filter_map(|word| word.strip_prefix("--")) {
        assert!(found.get_arguments().any(|arg| arg.get_long() == Some(option)), "{words:?}");
    }
    if let ("help", [topic]) = (*command, rest) {
        let is_topic = TOPICS.iter().any(|known| known.name == *topic);
        assert!(is_topic || all.find_subcommand(topic).is_some(), "{words:?}");
    }
}

/// What stands between backticks outside of code blocks, perhaps over the end of a line.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    let outside = text.split("```").step_by(2);
    outside.flat_map(|part| part.split('`').skip(1).step_by(2))
}

#[test]
fn transcripts_and_one_liners_are_taken() {
    let mut count = 0;
    for (_, text) in texts() {
        // A line that ends in a backslash goes on in the next.
        let join = |block: Vec<&str>| block.join("\n").replace("\\\n", " ");
        let typed: Vec<String> = blocks(text, "text").into_iter().map(join).collect();
        let shell: Vec<String> = blocks(text, "sh").into_iter().map(join).collect();
        let typed = typed.iter().flat_map(|b| b.lines()).filter_map(|l| l.strip_prefix("$ "));
        let shell = shell.iter().flat_map(|b| b.lines()).filter(|line| !line.is_empty());
        for line in typed.chain(shell) {
            assert_runs(line);
            count += 1;
        }
        for code in quoted(text) {
            assert_is_known(&code.split_whitespace().collect::<Vec<_>>());
        }
    }
    assert!(count >= 30, "{count}");
}

#[test]
fn links_and_paths_lead_to_files() {
    let links = README.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let paths = texts().into_iter().flat_map(|(_, text)| quoted(text));
    let paths = paths.filter(|path| {
        ["src/", "tests/", "benches/"].iter().any(|folder| path.starts_with(folder))
    });
    let mut count = 0;
    for path in links.chain(paths) {
        assert!(in_crate(path).exists(), "{path}");
        count += 1;
    }
    assert!(count >= 15, "{count}");
}

/// Review C: "what do I do when it says X" is asked about what is really said.
#[test]
fn the_page_on_errors_quotes_what_the_program_says() {
    let mut sources = String::new();
    let mut folders = vec![in_crate("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                sources.push_str(&fs::read_to_string(path).unwrap());
            }
        }
    }
    // A string may go on in the next line.
    let parts: Vec<&str> = sources.split("\\\n").map(str::trim_start).collect();
    let (said, page) = (parts.concat(), include_str!("../../src/cli/errors.md"));
    let (_, messages) = page.split_once("## Before packing").unwrap();
    let messages = messages.replace("\n  ", " ");
    let quoted: Vec<&str> = messages
        .lines()
        .filter_map(|line| line.strip_prefix("- `")?.split_once("`: "))
        .map(|(message, _)| message)
        .collect();
    assert!(quoted.len() > 20, "{}", quoted.len());
    for message in quoted {
        assert!(said.contains(message), "nothing says {message:?}");
    }
}

/// Issue 14, point 10: the first shipment, walked as the page says, on folders in place of drives.
#[test]
fn the_first_shipment_is_walked() {
    let folder = tempfile::tempdir().unwrap();
    let media = folder.path().join("media");
    for (path, text) in [("photos/2026/a.jpg", "a"), ("photos/b.jpg", "b"), ("media/usb1/x", "x")] {
        crate::tree::write(&folder.path().join(path), text.as_bytes());
    }
    fs::create_dir(media.join("usb2")).unwrap();
    let page = TOPICS.iter().find(|topic| topic.name == "first").unwrap().page;
    let script = blocks(page, "sh").concat().join("\n").replace("/media/", "media/");
    // The id is another each time; a terminal would be asked; other programs are not on trial.
    let script =
        script.replace("0123456789abcdef-001", "\"$(ls media/usb1/holdall | grep -o '.*-001')\"");
    let prelude = "set -eu\nlsblk() { :; }\nholdall() {\n\
        case $1 in pack|plan) command holdall \"$@\" --folder-drives;;\n\
        erase) command holdall \"$@\" --yes;; *) command holdall \"$@\";; esac\n}\n";
    let program = Path::new(env!("CARGO_BIN_EXE_holdall")).parent().unwrap();
    let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap());
    let mut bash = std::process::Command::new("bash");
    bash.args(["--norc", "-c", &format!("{prelude}{script}")]).current_dir(folder.path());
    bash.env("PATH", path).env("XDG_STATE_HOME", folder.path().join("state"));
    let run = bash.env("TMPDIR", folder.path()).output().unwrap();
    assert!(
        run.status.success(),
        "{}",
        String::from_utf8_lossy(&[run.stdout, run.stderr].concat())
    );
    let source = crate::Snapshot::of(&folder.path().join("photos"));
    for restored in ["photos-again", "photos-from-one"] {
        source.assert_equal(&crate::Snapshot::of(&folder.path().join(restored)));
    }
    // The second shipment alone is on the first drive, and none on the other.
    let sets =
        |drive: &str| fs::read_dir(media.join(drive).join("holdall")).map_or(0, Iterator::count);
    assert_eq!((sets("usb1") > 0, sets("usb2")), (true, 0));
}
