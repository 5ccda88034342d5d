//! `help`: what a command's `--help` prints, and pages on topics that need more room.
//!
//! A page is Markdown beside the code that it describes; rustdoc shows it there.

use super::args::{Cli, HelpArgs};
use super::exit::Status;
use super::output::out;
use super::refusal::Refusal;
use clap::{CommandFactory, Parser};
use std::fmt::Write as _;

/// A page that `holdall help NAME` prints.
pub struct Topic {
    /// the word to type
    pub name: &'static str,
    /// what the page is about, in the list of topics
    about: &'static str,
    /// its text
    pub page: &'static str,
}

/// All of them. One that is called as a command is printed after the help of that.
#[rustfmt::skip]
pub const TOPICS: [Topic; 7] = [
    Topic { name: "survive", about: "Choosing what may be lost, and what that costs", page: include_str!("../plan/survive.md") },
    Topic { name: "drives", about: "File systems, few ports, more data than drives", page: include_str!("../drives/drives.md") },
    Topic { name: "restore", about: "Few ports, lost drives, parts of a dataset, without holdall", page: include_str!("../restorer/restore.md") },
    Topic { name: "errors", about: "Exit statuses, and what to do about a message", page: include_str!("errors.md") },
    Topic { name: "security", about: "What is protected from whom", page: include_str!("../keys/security.md") },
    Topic { name: "performance", about: "Speed and memory, measured", page: include_str!("../measure/performance.md") },
    Topic { name: "json", about: "Every event of --json and its fields", page: include_str!("json.md") },
];

/// What stands below the list of commands.
pub fn topics() -> String {
    let mut text = String::from("Topics of holdall help:");
    for Topic { name, about, .. } in &TOPICS {
        let _ = write!(text, "\n  {name:<13}{about}");
    }
    text
}

/// Prints the help of a command, the page of a topic, or both where they have one name.
pub fn help(args: &HelpArgs) -> Result<Status, Refusal> {
    let Some(word) = &args.topic else {
        out(&text_of(&["holdall", "--help"]));
        return Ok(Status::Done);
    };
    let mut texts = Vec::new();
    if Cli::command().find_subcommand(word).is_some() {
        texts.push(text_of(&["holdall", word, "--help"]));
    }
    texts.extend(TOPICS.iter().find(|topic| topic.name == word).map(|topic| topic.page.into()));
    if texts.is_empty() {
        let names = TOPICS.map(|topic| topic.name).join(", ");
        return Err(Refusal::usage(
            format!("there is no help on {word:?}"),
            format!("the topics are {names}; holdall --help lists the commands"),
        ));
    }
    out(&texts.join("\n"));
    Ok(Status::Done)
}

/// What clap prints for these words.
fn text_of(words: &[&str]) -> String {
    Cli::try_parse_from(words).err().map(|help| help.to_string()).unwrap_or_default()
}
