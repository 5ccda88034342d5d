//! `demo` on the command line.

use super::args::DemoArgs;
use super::exit::Status;
use super::face::Face;
use super::json::{emit, out};
use super::run::Refusal;
use super::stop::Temporary;
use super::{restore, show};
use crate::verbs::demo::{DemoError, Told, demo as verb};
use serde_json::{Value, json};

/// Shows the journey.
pub fn demo(args: DemoArgs, face: &Face) -> Result<Status, Refusal> {
    let temporary = if args.dir.is_none() { Some(temporary_folder("demo")?) } else { None };
    let dir = temporary.as_ref().map_or(args.dir.unwrap_or_default(), |t| t.path().into());
    let began = std::time::Instant::now();
    let tell = |told: Told| {
        face.finish();
        match told {
            _ if face.is_json() || face.is_quiet() => {}
            Told::Step(text) => out(&format!("* {text}\n")),
            Told::Result(text) => out(&format!("    {text}\n")),
        }
    };
    let result = verb(&dir, face.monitor(), &tell);
    face.finish();
    let named = temporary.is_none();
    drop(temporary);
    if face.is_json() && matches!(result, Err(DemoError::Stopped)) {
        emit(&demo_json(None));
        return Ok(Status::Failed);
    }
    let outcome = result.map_err(|e| match e {
        DemoError::NotEmpty { .. } => {
            Refusal::failed(e).hint("name a folder that is missing or empty").status(Status::Usage)
        }
        e => Refusal::failed(e),
    })?;
    if face.is_json() {
        emit(&demo_json(Some(outcome.compared)));
        return Ok(Status::Done);
    }
    for set in outcome.verified.iter().filter(|_| !face.is_quiet()) {
        out(&format!("\nWhat verify said:\n{}", super::verify::verified(set)));
    }
    let restored = show::restored(&outcome.restored, "restored".as_ref());
    if !face.is_quiet() {
        out(&format!("\nWhat restore said:\n{restored}"));
    }
    let healed = restore::status(&outcome.restored) == Status::Problems;
    out(&format!(
        "\nThe restored tree equals the original: {} entries, bytes and metadata.{}\n\
         The whole journey took {:.1} s.\n",
        outcome.compared,
        if healed {
            "\n(As a command, restore ends with status 3: all there, but healed.)"
        } else {
            ""
        },
        began.elapsed().as_secs_f64(),
    ));
    if named {
        out(&format!("Everything lies in {}.\n", dir.display()));
    }
    Ok(Status::Done)
}

/// Of how many entries were compared and found equal; none if it was stopped before.
fn demo_json(compared: Option<u64>) -> Value {
    json!({
        "event": "demo",
        "stopped": compared.is_none(),
        "equal": compared.map(|_| true),
        "compared": compared,
    })
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
