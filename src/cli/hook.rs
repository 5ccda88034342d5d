//! What calls a person who does something else meanwhile: the bell of a terminal, and the command of
//! `--on-event`.
//!
//! - Enters: what happened, in a word and in words.
//! - Leaves: a bell; a command of the shell's with what happened in its environment.
//! - Always holds: (1) the work never waits for the command; at the end it is given some seconds;
//!   (2) a command that fails, or does not end, is a note and changes no status; (3) what it prints
//!   goes to standard error, so that results stay what they are.

use super::exit::Status;
use crate::format::ids::ShipmentId;
use parking_lot::Mutex;
use std::io::{self, IsTerminal, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// The command is given so long once everything else is done.
const PATIENCE: Duration = Duration::from_secs(10);
/// After so long it is said that it is waited for.
const SILENCE: Duration = Duration::from_secs(1);
/// A command that took so long rings at its end.
const LONG: Duration = Duration::from_secs(30);

/// What a person is called for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// the drives of a set are full, and others are needed
    DrivesFull,
    /// a person or a signal stopped the command
    Stopped,
    /// the command has ended so
    Ended(Status),
}

impl Call {
    /// As in `HOLDALL_EVENT`.
    fn name(self) -> &'static str {
        match self {
            Self::DrivesFull => "drives-full",
            Self::Stopped => "stopped",
            Self::Ended(Status::Done) => "done",
            Self::Ended(Status::Problems) => "problems",
            Self::Ended(Status::Waiting) => "waiting",
            Self::Ended(Status::Failed | Status::Usage) => "failed",
        }
    }

    fn default_message(self) -> &'static str {
        match self {
            Self::DrivesFull => "the drives are full: attach the next ones",
            Self::Stopped => "it was stopped",
            Self::Ended(Status::Done) => "everything is done",
            Self::Ended(Status::Problems) => "everything is done, with problems",
            Self::Ended(Status::Waiting) => "files wait for drives",
            Self::Ended(Status::Failed | Status::Usage) => "it failed",
        }
    }
}

/// Calls a person.
pub struct Hook {
    command: Option<String>,
    /// may a terminal ring?
    bell: bool,
    began: Instant,
    shipment: Mutex<Option<ShipmentId>>,
    /// the end is told as this
    at_end: Mutex<Option<Call>>,
    running: Mutex<Vec<io::Result<Child>>>,
}

impl Hook {
    /// With the command of `--on-event`, if there is one.
    pub fn new(command: Option<String>, bell: bool) -> Self {
        let began = Instant::now();
        let (shipment, at_end, running) = (Mutex::default(), Mutex::default(), Mutex::default());
        Self { command, bell, began, shipment, at_end, running }
    }

    /// The shipment that this is about.
    pub fn about(&self, shipment: ShipmentId) {
        *self.shipment.lock() = Some(shipment);
    }

    /// The command ends because of this, unless it ends otherwise than waiting for drives.
    pub fn at_end(&self, call: Call) {
        *self.at_end.lock() = Some(call);
    }

    /// Calls, with a message of its own if there is one.
    pub fn call(&self, call: Call, message: Option<&str>) {
        let call = match (call, *self.at_end.lock()) {
            (Call::Ended(Status::Waiting), Some(instead)) => instead,
            _ => call,
        };
        let is_worth_it = call == Call::DrivesFull || self.began.elapsed() >= LONG;
        if self.bell && is_worth_it && io::stderr().is_terminal() {
            let _ = io::stderr().write_all(b"\x07");
        }
        let Some(text) = &self.command else { return };
        let mut command = Command::new("sh");
        command.args(["-c", text]).env("HOLDALL_EVENT", call.name());
        command.env("HOLDALL_MESSAGE", message.unwrap_or(call.default_message()));
        let shipment = self.shipment.lock().map(|id| id.to_string()).unwrap_or_default();
        command.env("HOLDALL_SHIPMENT", shipment);
        command.stdin(Stdio::null()).stdout(io::stderr()).process_group(0);
        self.running.lock().push(command.spawn());
    }

    /// Waits a little for the commands that run; notes that it does, and what went wrong with them.
    pub fn finish(&self, note: &dyn Fn(&str)) {
        let began = Instant::now();
        let mut is_said = false;
        for started in std::mem::take(&mut *self.running.lock()) {
            let ended = started.map(|mut child| {
                ended_by(&mut child, began + SILENCE).or_else(|| {
                    if !std::mem::replace(&mut is_said, true) {
                        let seconds = PATIENCE.as_secs();
                        note(&format!("waiting up to {seconds} s for the command of --on-event"));
                    }
                    ended_by(&mut child, began + PATIENCE)
                })
            });
            let wrong = match ended {
                Ok(Some(status)) if status.success() => continue,
                Ok(Some(status)) => format!("failed: {status}"),
                Ok(None) => "has not ended, and was left running".into(),
                Err(e) => format!("could not be started: {e}"),
            };
            note(&format!("the command of --on-event {wrong}"));
        }
    }
}

fn ended_by(child: &mut Child, deadline: Instant) -> Option<ExitStatus> {
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Some(status),
            Ok(None) if Instant::now() < deadline => thread::sleep(Duration::from_millis(10)),
            _ => return None,
        }
    }
}
