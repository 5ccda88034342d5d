//! From what was typed to what it means: runs one command and says how it ended.

use super::args::{Cli, Command};
use super::exit::{Status, print_error};
use super::face::Face;
use super::json::{emit_error, out};
use super::{ls, pack, restore, say};
use crate::drives::watch::watching;
use crate::verbs;
use clap::Parser;
use std::time::Duration;

/// A command that could not be done: what stopped it, what to type instead, and the status.
pub struct Refusal {
    /// what stopped it
    pub error: Box<dyn std::error::Error>,
    /// what to do about it
    pub hint: Option<String>,
    /// the exit status
    pub status: Status,
}

impl Refusal {
    /// The command line asks for what cannot be.
    pub fn usage(text: impl Into<String>, hint: impl Into<String>) -> Self {
        let error = Box::<dyn std::error::Error>::from(text.into());
        Self { error, hint: Some(hint.into()), status: Status::Usage }
    }

    /// A person said no.
    pub fn declined() -> Self {
        let error = Box::<dyn std::error::Error>::from("the answer was no: nothing was done");
        Self { error, hint: None, status: Status::Usage }
    }

    /// It could not be done.
    pub fn failed(error: impl std::error::Error + 'static) -> Self {
        Self { error: Box::new(error), hint: None, status: Status::Failed }
    }

    /// With a hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// With another status.
    #[must_use]
    pub fn status(mut self, status: Status) -> Self {
        self.status = status;
        self
    }
}

/// Parses the command line, runs the command, and says how it ended.
pub fn run() -> Status {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(e) => return parse_failure(&e),
    };
    let face = Face::new(cli.json, cli.quiet);
    super::stop::listen();
    let waiting = |drive: &str, took: Duration| {
        let seconds = took.as_secs();
        face.monitor().note(&format!("{drive} has not answered for {seconds} s: waiting for it"));
    };
    let result = watching(&waiting, || obey(cli.command, &face));
    face.finish();
    match result {
        Ok(status) => status,
        Err(refusal) => {
            face.print_problems();
            if face.is_json() {
                let text = crate::sets::open::chain(refusal.error.as_ref());
                emit_error(&text, refusal.hint.as_deref());
            }
            print_error(refusal.error.as_ref(), refusal.hint.as_deref());
            refusal.status
        }
    }
}

fn obey(command: Command, face: &Face) -> Result<Status, Refusal> {
    match command {
        Command::Keygen(args) => super::keys::keygen(&args, face),
        Command::Pack(args) => pack::pack(args, face),
        Command::Verify(args) => super::verify::verify(&args, face),
        Command::Repair(args) => super::repair::repair(&args, face),
        Command::Restore(args) => restore::restore(&args, face),
        Command::Ls(args) => ls::ls(args, face),
        Command::Status(args) => super::status::status(&args, face),
        Command::Erase(args) => super::erase::erase(&args, face),
        Command::Forget(args) => super::forget::forget(&args, face),
        Command::Bench(args) => super::bench::bench(&args, face),
        Command::Demo(args) => super::demo::demo(args, face),
    }
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

/// What to do when no set or key could be opened.
pub fn open_refusal(error: verbs::open::OpenError) -> Refusal {
    use verbs::open::OpenError;
    let hint = match &error {
        OpenError::Stopped => return Refusal::failed(error),
        OpenError::Drive { .. } => "name folders where drives are mounted",
        OpenError::NoSet { denied: true, .. } => {
            "its permissions keep you from reading it: as its owner or root, run \
             chmod -R a+rX DRIVE/holdall"
        }
        OpenError::NoSet { .. } => {
            "a drive of a set has a folder named holdall: mount the drives and name their mount \
             points"
        }
        OpenError::Newer { .. } => "a newer holdall is needed for these drives",
        OpenError::SeveralShipments { .. } => {
            "name the drives of one shipment (holdall status says which is which), or its folder \
             on one of them: DRIVE/holdall/SHIPMENT-001"
        }
        OpenError::Key { .. } => "name the identity that belongs to a recipient of this shipment",
        OpenError::NoKeyFile { .. } => "attach another drive of the set: each carries the keys",
    };
    Refusal::failed(error).hint(hint)
}
