//! Keys on the command line: reads those that are named, and makes new ones.

use super::args::aside::KeygenArgs;
use super::exit::Status;
use super::output::say;
use super::output::{emit, out};
use super::refusal::Refusal;
use super::stop;
use super::ui::Ui;
use crate::commands::keygen::keygen as command;
use crate::keys::KeyError;
use crate::keys::kind::KeyKind;
use crate::keys::recipients::{Identities, Recipients};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Reads recipients: words, and files with one a line. Says so if one is the public half of an
/// identity.
pub fn recipients(words: &[String], files: &[PathBuf], ui: &Ui) -> Result<Recipients, Refusal> {
    // One of them may be standard input.
    let read = stop::waiting(|| Recipients::read(words, files)).map_err(|error| {
        let hint = match &error {
            KeyError::NoRecipient => "add -r RECIPIENT; holdall keygen makes one",
            KeyError::WrongKind { kind: KeyKind::NoFile | KeyKind::Folder, .. } => {
                "a recipient begins with age1: holdall keygen prints it; or name a file of recipients"
            }
            KeyError::WrongKind {
                kind: KeyKind::Identity { .. } | KeyKind::BrokenIdentity, ..
            } => {
                "pack to its recipient: -r, or a file of recipients with -R; packing needs no \
                 secret key"
            }
            KeyError::WrongKind { kind: KeyKind::WithPassphrase | KeyKind::Encrypted, .. } => {
                "pack to the recipient of what is in it: age -d FILE | age-keygen -y prints it"
            }
            KeyError::WrongKind { kind, .. } => {
                kind.remedy().unwrap_or("a recipient begins with age1: holdall keygen prints it")
            }
            _ => "-R names a file with one recipient per line, or - for standard input",
        };
        Refusal::failed(error).hint(hint).status(Status::Usage)
    })?;
    for (place, recipient) in read.of_identities() {
        ui.monitor().note(&format!(
            "{place} is an identity (a secret key): its recipient {recipient} is used, and the \
             secret is not"
        ));
    }
    Ok(read)
}

/// Reads identity files; says so of one that others can read.
pub fn identities(files: &[PathBuf], ui: &Ui) -> Result<Identities, Refusal> {
    let read = stop::waiting(|| Identities::read(files)).map_err(|error| {
        let hint = match &error {
            KeyError::WrongKind { kind, .. } => kind.remedy(),
            _ => None,
        };
        Refusal::failed(error).hint(hint.unwrap_or(
            "-i names a file as holdall keygen -o or age-keygen writes it, or - for standard input",
        ))
    })?;
    // Only of what was read is it known that it holds one.
    for path in files.iter().filter(|path| is_readable_by_others(path)) {
        let path = path.display();
        let text = format!("{path} holds a secret key, and other users can read it: chmod 600 it");
        ui.monitor().note(&text);
    }
    Ok(read)
}

/// Makes an identity.
pub fn keygen(args: &KeygenArgs, ui: &Ui) -> Result<Status, Refusal> {
    if ui.is_json() && args.output.is_none() {
        return Err(Refusal::usage(
            "with --json the identity itself is not printed",
            "add -o FILE: the identity is written there",
        ));
    }
    let made = command(args.output.as_deref()).map_err(|error| {
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
    if ui.is_json() {
        emit("keygen", &made);
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
            let file = made.file.as_deref().unwrap_or_default();
            say(&format!(
                "note: keep {file} where the drives do not go; without it nobody can \
                 restore"
            ));
        }
    }
    Ok(Status::Done)
}

/// Is it a file that others may read?
fn is_readable_by_others(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    let found = std::fs::metadata(path);
    found.is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o044 != 0)
}

/// Is standard output a file that others may read?
fn output_is_readable_by_all() -> bool {
    use rustix::fs::{FileType, fstat};
    fstat(std::io::stdout()).is_ok_and(|found| {
        FileType::from_raw_mode(found.st_mode) == FileType::RegularFile
            && found.st_mode & 0o044 != 0
    })
}
