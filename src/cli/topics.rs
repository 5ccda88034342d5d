//! The pages of `holdall help TOPIC`: Markdown beside the code that they describe, where rustdoc
//! shows it. That of `holdall help first` follows.
#![doc = include_str!("first.md")]

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
pub const TOPICS: [Topic; 8] = [
    Topic { name: "first", about: "A first shipment, from the key to the restored files", page: include_str!("first.md") },
    Topic { name: "survive", about: "Choosing what may be lost, and what that costs", page: include_str!("../plan/survive.md") },
    Topic { name: "drives", about: "File systems, few ports, more data than drives", page: include_str!("../drives/drives.md") },
    Topic { name: "restore", about: "Few ports, lost drives, parts of a dataset, without holdall", page: include_str!("../restorer/restore.md") },
    Topic { name: "errors", about: "Exit statuses, and what to do about a message", page: include_str!("errors.md") },
    Topic { name: "security", about: "What is protected from whom", page: include_str!("../keys/security.md") },
    Topic { name: "performance", about: "Speed and memory, measured", page: include_str!("../measure/performance.md") },
    Topic { name: "json", about: "Every event of --json and its fields", page: include_str!("json.md") },
];

/// The commands, in the order of `--help`.
pub const COMMANDS: [&str; 20] = [
    "keygen",
    "drives",
    "plan",
    "pack",
    "resume",
    "close",
    "verify",
    "repair",
    "restore",
    "ls",
    "status",
    "report",
    "erase",
    "forget",
    "bench",
    "demo",
    "help",
    "completions",
    "man",
    "version",
];

/// What `help` tells of: the commands, and the topics that are called otherwise.
pub fn words() -> Vec<&'static str> {
    let topics = TOPICS.iter().map(|topic| topic.name).filter(|name| !COMMANDS.contains(name));
    COMMANDS.into_iter().chain(topics).collect()
}

/// What stands below the list of commands.
pub fn topics() -> String {
    let mut text = String::from("Topics of holdall help:");
    for Topic { name, about, .. } in &TOPICS {
        let _ = write!(text, "\n  {name:<13}{about}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::args::Cli;
    use clap::CommandFactory;

    /// Help tells of every command, and completes its name.
    #[test]
    fn help_knows_every_command() {
        let mut commands = Cli::command();
        let names: Vec<_> =
            commands.get_subcommands_mut().map(|c| c.get_name().to_owned()).collect();
        assert_eq!(names, COMMANDS);
    }
}
