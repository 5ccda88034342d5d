//! Asking a person for the drives of the next set.
//!
//! Nothing is asked without a terminal: then the command ends, and says what to type.

use super::face::Face;
use super::json::out;
use super::sizes::shown_bytes;
use crate::drives::{Drive, LocalDrive, detect};
use std::io::{self, BufRead, IsTerminal};
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

/// How often it is looked for newly mounted drives.
const LOOK: Duration = Duration::from_secs(1);

/// Is there a person to ask?
pub fn can_ask() -> bool {
    io::stdin().is_terminal() && io::stdout().is_terminal()
}

/// Asks a question that is answered with yes or no.
pub fn agrees(question: &str) -> bool {
    out(&format!("{question} [y/N] "));
    matches!(line().as_deref().map(str::trim), Some("y" | "Y" | "yes"))
}

/// A line from the terminal; none at its end.
fn line() -> Option<String> {
    let mut text = String::new();
    let read = io::stdin().lock().read_line(&mut text).ok()?;
    (read > 0).then_some(text)
}

/// Waits until drives are mounted that were not before, and asks in which cases they go. None if
/// there is nobody to ask, or the answer is to stop.
pub fn next_drives(face: &Face) -> Option<Vec<(String, PathBuf)>> {
    if face.is_json() || !can_ask() {
        return None;
    }
    let before = detect::mounted();
    out("\nOr attach the next drives now: they are noticed. Ctrl-C ends here; nothing is lost.\n");
    loop {
        let new: Vec<PathBuf> =
            detect::mounted().into_iter().filter(|point| !before.contains(point)).collect();
        if new.is_empty() {
            if face.monitor().should_stop() {
                return None;
            }
            thread::sleep(LOOK);
            continue;
        }
        match ask(&new)? {
            Answer::Cases(cases) => return Some(cases.into_iter().zip(new).collect()),
            Answer::Again => {}
        }
    }
}

enum Answer {
    Cases(Vec<String>),
    Again,
}

/// None: stop.
fn ask(new: &[PathBuf]) -> Option<Answer> {
    out("\nNew drives:\n");
    for (number, point) in new.iter().enumerate() {
        let free = LocalDrive::open(point).and_then(|drive| drive.room());
        let free =
            free.map_or_else(|e| e.to_string(), |room| shown_bytes(room.free_bytes) + " free");
        out(&format!("  {}  {}  {free}\n", number + 1, point.display()));
    }
    out("Their cases in this order (such as: a b c), Enter to look again, or stop: ");
    let text = line()?;
    let words: Vec<String> = text.split_whitespace().map(String::from).collect();
    match &words[..] {
        [] => Some(Answer::Again),
        [word] if word == "stop" => None,
        words if words.len() == new.len() => Some(Answer::Cases(words.to_vec())),
        words => {
            out(&format!("{} cases for {} drives: one each is needed.\n", words.len(), new.len()));
            Some(Answer::Again)
        }
    }
}
