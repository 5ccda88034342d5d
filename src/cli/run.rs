//! From what was typed to what it means: runs one command and says how it ended.

use super::args::{Cli, Command};
use super::chosen::choose_shipment;
use super::exit::Status;
use super::hook::Call;
use super::output::{emit_error, log, log_failure, log_to, out, print_error, redacted, say};
use super::refusal::Refusal;
use super::ui::{Ui, UiOptions};
use super::{ls, pack, restore};
use crate::drives::watch::watching;
use crate::format::shown::error_chain;
use clap::Parser;
use clap::error::{ContextKind, ContextValue};
use std::fs::File;
use std::path::Path;
use std::time::Duration;

/// Parses the command line, runs the command, and says how it ended.
pub fn run() -> Status {
    super::secrets::forbid_core_dumps();
    let words = std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned());
    if super::secrets::is_key_typed(words) {
        return key_typed();
    }
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(e) => return parse_failure(&with_new_name(e)),
    };
    if let Some(path) = &cli.log_file
        && let Err(refusal) = open_log(path)
    {
        print_error(refusal.error.as_ref(), refusal.hint.as_deref());
        return refusal.status;
    }
    let (json, quiet, on_event) = (cli.json, cli.quiet, cli.on_event);
    let ui = Ui::new(UiOptions { json, quiet, has_log: cli.log_file.is_some(), on_event });
    super::stop::listen();
    let waiting = |drive: &str, took: Duration| {
        let seconds = took.as_secs();
        ui.monitor().note(&format!("{drive} has not answered for {seconds} s: waiting for it"));
    };
    let result = watching(&waiting, || run_command(cli.command, &ui));
    ui.finish();
    let status = match &result {
        Ok(status) => {
            ui.say_time();
            *status
        }
        Err(refusal) => {
            ui.print_problems();
            if ui.is_json() {
                let text = error_chain(refusal.error.as_ref());
                emit_error(&text, refusal.hint.as_deref());
            }
            print_error(refusal.error.as_ref(), refusal.hint.as_deref());
            refusal.status
        }
    };
    let call = if super::stop::asked() { Call::Stopped } else { Call::Ended(status) };
    let error =
        result.err().map(|refusal| redacted(&error_chain(refusal.error.as_ref())).into_owned());
    ui.call(call, error.as_deref());
    ui.end_calls();
    if let Some(error) = log_failure() {
        ui.monitor().note(&format!("the file of --log-file lacks lines: {error}"));
    }
    status
}

/// Opens the file of `--log-file`, or makes it; what is there stays.
fn open_log(path: &Path) -> Result<(), Refusal> {
    let opened = File::options().create(true).append(true).open(path);
    let file = opened.map_err(|e| {
        let text = format!("cannot write to the log {}: {e}", path.display());
        Refusal::usage(text, "--log-file names a file that can be written, in a folder that exists")
    })?;
    log_to(file);
    let words: Vec<_> =
        std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect();
    log(&format!("$ {}", shlex::try_join(words.iter().map(String::as_str)).unwrap_or_default()));
    Ok(())
}

fn run_command(mut command: Command, ui: &Ui) -> Result<Status, Refusal> {
    if let Some((which, paths)) = command.shipment() {
        choose_shipment(which, paths, ui)?;
    }
    match command {
        Command::Keygen(args) => super::keys::keygen(&args, ui),
        Command::Plan(args) => super::plan::plan(args, ui),
        Command::Pack(args) if args.dry_run => super::plan::dry_run(args, ui),
        Command::Pack(args) => pack::pack(args, ui),
        Command::Resume(args) => pack::resume(args, ui),
        Command::Close(args) => super::close::close(&args, ui),
        Command::Verify(args) => super::verify::verify(&args, ui),
        Command::Repair(args) => super::repair::repair(&args, ui),
        Command::Restore(args) => restore::restore(&args, ui),
        Command::Ls(args) => ls::ls(args, ui),
        Command::Drives(args) => super::drives::drives(&args, ui),
        Command::Status(args) => super::status::status(&args, ui),
        Command::Report(args) => super::report::report(&args, ui),
        Command::Erase(args) => super::erase::erase(&args, ui),
        Command::Forget(args) => super::forget::forget(&args, ui),
        Command::Bench(args) => super::bench::bench(&args, ui),
        Command::Demo(args) => super::demo::demo(args, ui),
        Command::Help(args) => Ok(super::help::help(&args)),
        Command::Completions(args) => Ok(super::manual::completions(&args)),
        Command::Version => Ok(super::help::version(ui)),
        Command::Man(args) => super::manual::man(&args, ui),
    }
}

/// Options that have become commands are answered by these.
fn with_new_name(mut error: clap::Error) -> clap::Error {
    let tip = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(typed)) if typed == "--continue" => {
            "a shipment is resumed by holdall resume now"
        }
        Some(ContextValue::String(typed)) if typed == "--close" => {
            "a set is closed by holdall close now"
        }
        // Clap would have it passed as a value.
        Some(ContextValue::String(typed)) if typed.starts_with('-') => {
            if !matches!(error.get(ContextKind::SuggestedArg), Some(ContextValue::String(_))) {
                error.remove(ContextKind::Suggested);
            }
            return error;
        }
        _ => return error,
    };
    error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip.into()]));
    error
}

/// A secret key was typed where none belongs: nothing is done with it, and nothing kept.
fn key_typed() -> Status {
    let hint = "a secret key belongs in a file, which -i names; the shell may keep this command in its \
                history: remove it there";
    let refusal = Refusal::usage("a secret key was typed where none belongs", hint);
    if std::env::args_os().any(|word| word == "--json") {
        emit_error(&refusal.error.to_string(), Some(hint));
    }
    print_error(refusal.error.as_ref(), Some(hint));
    refusal.status
}

/// What clap says when the command line cannot be understood, or asks for help.
fn parse_failure(error: &clap::Error) -> Status {
    if error.use_stderr() {
        if std::env::args_os().any(|word| word == "--json") {
            let text = error.to_string();
            let first = text.split("\n\n").next().unwrap_or_default();
            let first = first.strip_prefix("error: ").unwrap_or(first);
            emit_error(first, Some("see holdall --help"));
        }
        say(error.to_string().trim_end());
        Status::Usage
    } else {
        out(&error.to_string());
        Status::Done
    }
}
