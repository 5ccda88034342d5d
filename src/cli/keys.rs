//! Keys on the command line: reads those that are named, and makes new ones.

use super::args::KeygenArgs;
use super::exit::Status;
use super::face::Face;
use super::json::{emit, out};
use super::run::Refusal;
use super::{say, stop};
use crate::keys::kind::KeyKind;
use crate::keys::recipients::{Identities, KeyError, Recipients};
use crate::verbs::keygen::keygen as verb;
use serde_json::json;
use std::io::ErrorKind;
use std::path::PathBuf;

/// Reads recipients: words, and files with one a line.
pub fn recipients(words: &[String], files: &[PathBuf]) -> Result<Recipients, Refusal> {
    // One of them may be standard input.
    stop::waiting(|| Recipients::read(words, files)).map_err(|error| {
        let hint = match &error {
            KeyError::NoRecipient => "add -r RECIPIENT; holdall keygen makes one",
            KeyError::WrongKind { kind: KeyKind::Identity { .. }, .. } => {
                "pack to its recipient: -r, or a file of recipients with -R; packing needs no \
                 secret key"
            }
            KeyError::WrongKind { kind, .. } => {
                kind.remedy().unwrap_or("a recipient begins with age1: holdall keygen prints it")
            }
            _ => "-R names a file with one recipient a line, or - for standard input",
        };
        Refusal::failed(error).hint(hint).status(Status::Usage)
    })
}

/// Reads identity files.
pub fn identities(files: &[PathBuf]) -> Result<Identities, Refusal> {
    stop::waiting(|| Identities::read(files)).map_err(|error| {
        let hint = match &error {
            KeyError::WrongKind { kind, .. } => kind.remedy(),
            _ => None,
        };
        Refusal::failed(error).hint(hint.unwrap_or(
            "-i names a file as holdall keygen -o or age-keygen writes it, or - for standard input",
        ))
    })
}

/// Makes an identity.
pub fn keygen(args: &KeygenArgs, face: &Face) -> Result<Status, Refusal> {
    if face.is_json() && args.output.is_none() {
        return Err(Refusal::usage(
            "with --json the identity itself is not printed",
            "add -o FILE: the identity is written there",
        ));
    }
    let made = verb(args.output.as_deref()).map_err(|error| {
        let hint = match &error {
            KeyError::File { source, .. } if source.kind() == ErrorKind::AlreadyExists => {
                "keygen never writes over a file: name another, or move it away"
            }
            KeyError::File { source, .. } if source.kind() == ErrorKind::NotFound => {
                "make its folder first"
            }
            _ => "-o names a new file in a folder that can be written",
        };
        Refusal::failed(error).hint(hint)
    })?;
    if face.is_json() {
        emit(&json!({"event": "keygen", "recipient": made.recipient, "file": args.output}));
        return Ok(Status::Done);
    }
    match &made.text {
        Some(text) => {
            if output_is_readable_by_all() {
                say("note: the secret key goes into a file that everybody can read: chmod 600 it");
            }
            out(text);
            say(&format!("note: its recipient is {}", made.recipient));
        }
        None => {
            out(&format!("{}\n", made.recipient));
            let file = args.output.as_deref().unwrap_or_else(|| "".as_ref()).display();
            say(&format!(
                "note: keep {file} where the drives do not go; without it nobody can \
                 restore"
            ));
        }
    }
    Ok(Status::Done)
}

/// Is standard output a file that others may read?
fn output_is_readable_by_all() -> bool {
    use rustix::fs::{FileType, fstat};
    fstat(std::io::stdout()).is_ok_and(|found| {
        FileType::from_raw_mode(found.st_mode) == FileType::RegularFile
            && found.st_mode & 0o044 != 0
    })
}
