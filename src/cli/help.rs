//! `help`: what a command's `--help` prints, and pages on topics that need more room.

use super::args::Cli;
use super::args::aside::HelpArgs;
use super::exit::Status;
use super::output::{emit, out};
use super::topics::TOPICS;
use super::ui::Ui;
use clap::{CommandFactory, Parser};
use serde::Serialize;

/// Prints the help of a command, the page of a topic, or both where they have one name.
pub fn help(args: &HelpArgs) -> Status {
    let Some(word) = args.topic.as_deref().map(str::to_lowercase) else {
        out(&text_of(&["holdall", "--help"]));
        return Status::Done;
    };
    let mut texts = Vec::new();
    if Cli::command().find_subcommand(&word).is_some() {
        texts.push(text_of(&["holdall", &word, "--help"]));
    }
    texts.extend(TOPICS.iter().find(|topic| topic.name == word).map(|topic| topic.page.into()));
    out(&texts.join("\n"));
    Status::Done
}

/// Says which holdall this is.
pub fn version(ui: &Ui) -> Status {
    #[derive(Serialize)]
    struct VersionEvent {
        version: &'static str,
    }
    if ui.is_json() {
        emit("version", &VersionEvent { version: env!("CARGO_PKG_VERSION") });
    } else {
        out(&text_of(&["holdall", "--version"]));
    }
    Status::Done
}

/// What clap prints for these words.
fn text_of(words: &[&str]) -> String {
    Cli::try_parse_from(words).err().map(|help| help.to_string()).unwrap_or_default()
}
