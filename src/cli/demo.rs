//! `demo` on the command line.

use super::args::aside::DemoArgs;
use super::exit::Status;
use super::output::{emit, out};
use super::refusal::Refusal;
use super::stop::Temporary;
use super::ui::Ui;
use super::{restore, show};
use crate::commands::demo::{DemoError, Told, demo as command};
use serde::Serialize;

/// Shows the journey.
pub fn demo(args: DemoArgs, ui: &Ui) -> Result<Status, Refusal> {
    let temporary = if args.dir.is_none() { Some(temporary_folder("demo")?) } else { None };
    let dir = temporary.as_ref().map_or(args.dir.unwrap_or_default(), |t| t.path().into());
    let tell = |told: Told| {
        ui.finish();
        match told {
            _ if ui.is_json() || ui.is_quiet() => {}
            Told::Step(text) => out(&format!("* {text}\n")),
            Told::Result(text) => out(&format!("    {text}\n")),
        }
    };
    let result = command(&dir, ui.monitor(), &tell);
    ui.finish();
    let named = temporary.is_none();
    drop(temporary);
    if ui.is_json() && matches!(result, Err(DemoError::Stopped)) {
        emit("demo", &DemoEvent { stopped: true, equal: None, compared: None });
        return Ok(Status::Failed);
    }
    let outcome = result.map_err(|e| match e {
        DemoError::NotEmpty { .. } => {
            Refusal::failed(e).hint("name a folder that is missing or empty").status(Status::Usage)
        }
        DemoError::Stopped if named => Refusal::failed(DemoError::Stopped)
            .hint(format!("what it has made so far lies in {}", dir.display())),
        e => Refusal::failed(e),
    })?;
    if ui.is_json() {
        let compared = Some(outcome.compared);
        emit("demo", &DemoEvent { stopped: false, equal: Some(true), compared });
        return Ok(Status::Done);
    }
    for set in outcome.verified.iter().filter(|_| !ui.is_quiet()) {
        out(&format!("\nWhat verify said:\n{}", super::verify::verified(set)));
    }
    let restored = show::restored(&outcome.restored, "restored".as_ref(), "");
    if !ui.is_quiet() {
        out(&format!("\nWhat restore said:\n{restored}"));
    }
    let healed = restore::status(&outcome.restored) == Status::Problems;
    out(&format!(
        "\nThe restored tree equals the original: {} entries, bytes and metadata.{}\n",
        outcome.compared,
        if healed {
            "\n(As a command, restore ends with status 3: everything is there, some of it reconstructed.)"
        } else {
            ""
        },
    ));
    if named {
        out(&format!("Everything lies in {}.\n", dir.display()));
    }
    Ok(Status::Done)
}

/// How the restored tree compares with the original.
#[derive(Serialize)]
struct DemoEvent {
    stopped: bool,
    /// a tree that differs is an error; none if it was stopped
    equal: Option<bool>,
    /// entries
    compared: Option<u64>,
}

/// A new folder of our own under the system's temporary folder.
pub(super) fn temporary_folder(what: &str) -> Result<Temporary, Refusal> {
    use std::os::unix::fs::DirBuilderExt;
    let name = format!("holdall-{what}-{}", std::process::id());
    let dir = std::env::temp_dir().join(name);
    std::fs::DirBuilder::new().mode(0o700).create(&dir).map_err(|e| {
        Refusal::failed(e).hint("name another folder for temporary files in TMPDIR")
    })?;
    Ok(Temporary::new(dir))
}
