//! What is installed beside the program: completions for shells, and manual pages.
//!
//! - Enters: the definitions that `--help` is made of.
//! - Leaves: a script on standard output; a page for each command in a folder.
//! - Always holds: (1) they name every command and option that `--help` names, and no other; (2)
//!   nothing but pages of this program is written over.

use super::args::Cli;
use super::args::aside::{CompletionsArgs, ManArgs, Shell};
use super::exit::Status;
use super::output::{emit, out, script};
use super::refusal::Refusal;
use super::text::some;
use super::ui::Ui;
use crate::format::shown::typed;
use clap::{Command, CommandFactory};
use clap_complete::shells::{Bash, Fish, Zsh};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, roman};
use serde::Serialize;
use std::fmt::Write as _;
use std::io;
use std::path::Path;

/// Prints the completions of a shell.
pub fn completions(args: &CompletionsArgs) -> Status {
    let (mut command, mut bytes) = (Cli::command(), Vec::new());
    let name = command.get_name().to_owned();
    match args.shell {
        Shell::Bash => clap_complete::generate(Bash, &mut command, name, &mut bytes),
        Shell::Fish => clap_complete::generate(Fish, &mut command, name, &mut bytes),
        Shell::Zsh => clap_complete::generate(Zsh, &mut command, name, &mut bytes),
    }
    let mut text = String::from_utf8_lossy(&bytes).into_owned();
    match args.shell {
        Shell::Bash => text = for_bash(&text, &command),
        Shell::Fish => text.push_str(&for_fish(&command)),
        Shell::Zsh => {
            // What stands before the = is the case, what follows is a path. And options may follow
            // a path: behind `*::` nothing but paths would be offered.
            let path = ":CASE=PATH:{compset -P 1 \"*=\"; _files}'";
            text = text.replace(":CASE=PATH:_default'", path).replace("\n'*::", "\n'*:");
        }
    }
    script(&text);
    Status::Done
}

/// Bash completes names of files by itself, and quotes them; a list of them would be split at
/// blanks. And what is hidden from --help is for tests: it is offered all the same.
fn for_bash(text: &str, command: &Command) -> String {
    let mut text = text.replace("COMPREPLY=($(compgen -f \"${cur}\"))", "COMPREPLY=()");
    let arguments = command.get_subcommands().flat_map(Command::get_arguments);
    for hidden in arguments.filter(|arg| arg.is_hide_set()).filter_map(clap::Arg::get_long) {
        text = text.replace(&format!(" --{hidden} "), " ");
    }
    text
}

/// The values of arguments without an option, which are left out of what is made for fish.
fn for_fish(command: &Command) -> String {
    let mut text = String::new();
    for (command, argument) in
        command.get_subcommands().flat_map(|c| c.get_positionals().map(move |arg| (c, arg)))
    {
        let values: Vec<_> =
            argument.get_possible_values().iter().map(|v| v.get_name().to_owned()).collect();
        if !values.is_empty() {
            let (command, values) = (command.get_name(), values.join(" "));
            let _ = writeln!(
                text,
                "complete -c holdall -n \"__fish_holdall_using_subcommand {command}\" -f -a \"{values}\""
            );
        }
    }
    text
}

/// Writes the manual pages.
pub fn man(args: &ManArgs, ui: &Ui) -> Result<Status, Refusal> {
    let pages = write_pages(&args.dir)
        .map_err(|e| Refusal::failed(e).hint("name a folder that you may write to"))?;
    let dir = args.dir.display().to_string();
    if ui.is_json() {
        emit("man", &Written { dir, pages });
    } else {
        let first = args.dir.join("holdall.1").display().to_string();
        let typed = typed(&first);
        out(&format!("{} written to {dir}: man holdall, or man -l {typed}\n", some(pages, "page")));
    }
    Ok(Status::Done)
}

/// The pages that were written, for programs.
#[derive(Serialize)]
struct Written {
    dir: String,
    pages: u64,
}

/// A page that could not be written.
#[derive(Debug, thiserror::Error)]
#[error("write {path}")]
struct PageError {
    path: String,
    source: io::Error,
}

fn write_pages(dir: &Path) -> Result<u64, PageError> {
    let failed = |path: &Path| {
        let path = path.display().to_string();
        move |source| PageError { path, source }
    };
    std::fs::create_dir_all(dir).map_err(failed(dir))?;
    let mut all = Cli::command();
    all.build();
    let commands: Vec<Command> = all.get_subcommands().cloned().collect();
    let source = concat!("holdall ", env!("CARGO_PKG_VERSION"));
    let mut count = 0;
    for command in [all].into_iter().chain(commands) {
        let man = Man::new(command.clone()).source(source).manual("holdall");
        let path = dir.join(man.get_filename());
        let page = page(&man, &command).map_err(failed(&path))?;
        std::fs::write(&path, page).map_err(failed(&path))?;
        count += 1;
    }
    Ok(count)
}

/// The page of a command: what clap knows of it, and its examples as they are typed.
fn page(man: &Man, command: &Command) -> io::Result<Vec<u8>> {
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    // The page has no date, which is not to be taken for one that is left out.
    let title = String::from_utf8_lossy(&page).replace(" 1  \"", " 1 \"\" \"");
    page = title.into_bytes();
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    if command.has_subcommands() {
        man.render_subcommands_section(&mut page)?;
    }
    let mut roff = Roff::default();
    let after = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    for block in after.split("\n\n") {
        let (heading, lines) = block.split_once(":\n").unwrap_or(("Notes", block));
        roff.control("SH", [heading.to_uppercase().as_str()]);
        roff.control("nf", []);
        for line in lines.lines() {
            roff.text([roman(line.strip_prefix("  ").unwrap_or(line))]);
        }
        roff.control("fi", []);
    }
    roff.control("SH", ["EXIT STATUS"]);
    roff.text([roman(
        "holdall help errors says what each status means, and what to do about a message.",
    )]);
    roff.to_writer(&mut page)?;
    Ok(page)
}
