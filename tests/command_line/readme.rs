//! Every command in README.md is one that the program takes.

use clap::{CommandFactory, Parser};
use holdall::cli::args::Cli;
use std::collections::BTreeSet;
use std::path::Path;

const README: &str = include_str!("../../README.md");

/// The lines of the code blocks of this kind.
fn blocks(kind: &str) -> Vec<Vec<&'static str>> {
    let mut blocks = Vec::new();
    let mut lines = README.lines();
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
    let words = line.split(" #").next().unwrap().split_whitespace();
    if let Err(error) = Cli::try_parse_from(words) {
        panic!("{line}\n{error}");
    }
}

#[test]
fn transcripts_and_one_liners_are_taken() {
    let mut count = 0;
    for line in blocks("text").into_iter().flatten().filter_map(|l| l.strip_prefix("$ ")) {
        assert_taken(line);
        count += 1;
    }
    for line in blocks("sh").into_iter().flatten() {
        let line = line.split(" #").next().unwrap().trim();
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        if line.starts_with("holdall ") {
            assert_taken(line);
        } else if let Some(words) = line.strip_prefix("cargo run --release -- ") {
            assert_taken(&format!("holdall {words}"));
        } else {
            assert!(root.join(line).is_file(), "{line}");
        }
        count += 1;
    }
    assert!(count >= 6, "{count}");
    // In the running text.
    for code in README.split('`').filter(|code| code.starts_with("holdall ")) {
        let command = code.split_whitespace().nth(1).unwrap();
        assert!(Cli::command().find_subcommand(command).is_some(), "{code}");
    }
}

#[test]
fn the_list_of_commands_names_every_command_and_option() {
    let block =
        blocks("text").into_iter().find(|b| b.iter().any(|l| l.starts_with("holdall keygen")));
    let text = block.unwrap().join("\n");
    let named: Vec<&str> = text.split("holdall ").filter(|part| !part.trim().is_empty()).collect();
    let all = Cli::command();
    let commands: BTreeSet<&str> = all.get_subcommands().map(clap::Command::get_name).collect();
    let listed: BTreeSet<&str> =
        named.iter().map(|part| part.split_whitespace().next().unwrap()).collect();
    assert_eq!(listed, commands);
    for part in named {
        let command = all.find_subcommand(part.split_whitespace().next().unwrap()).unwrap();
        let mut written: BTreeSet<String> = part
            .split(|c: char| c.is_whitespace() || "[]|".contains(c))
            .filter(|word| word.starts_with('-'))
            .map(str::to_owned)
            .collect();
        for argument in command.get_arguments().filter(|a| !a.is_hide_set() && !a.is_positional()) {
            let long = argument.get_long().map(|long| format!("--{long}"));
            let short = argument.get_short().map(|short| format!("-{short}"));
            let either = [long.clone(), short].into_iter().flatten();
            let count = either.filter(|name| written.remove(name)).count();
            assert!(count > 0, "{} {long:?} is not in the list", command.get_name());
        }
        assert_eq!(written, BTreeSet::new(), "{}: no such option", command.get_name());
    }
}
