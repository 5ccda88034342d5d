//! Questions to a person at a terminal.
//!
//! - Enters: what is asked, and as long as what it holds.
//! - Leaves: a line that was typed, or that there is nobody to ask.
//! - Always holds: what was typed before a question answers nothing.

use crate::cli::output::out;
use crate::cli::refusal::Refusal;
use crate::cli::stop;
use crate::cli::ui::Ui;
use crate::format::shown::shown_text;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::termios::{QueueSelector, tcflush};
use std::io::{self, BufRead, IsTerminal};
use std::time::Duration;

/// How often it is looked whether a question still holds, and for newly mounted drives.
pub(super) const LOOK: Duration = Duration::from_secs(1);

/// Is there a person to ask?
pub fn can_ask() -> bool {
    io::stdin().is_terminal() && io::stdout().is_terminal()
}

/// Asks a question that is answered with yes or no.
pub fn agrees(question: &str) -> bool {
    loop {
        let Some(typed) = answer(&format!("{question} [y/N] ")) else {
            out("\n"); // the question's line was not ended
            return false;
        };
        match typed.trim().to_lowercase().as_str() {
            "y" | "yes" => return true,
            "n" | "no" | "" => return false,
            _ => out("Type y for yes or n for no.\n"),
        }
    }
}

/// Says what is to be done and asks if it is meant; refused if a person says no, or if there is
/// none to ask.
pub fn confirm(what: &str, question: &str, hint: &str, ui: &Ui) -> Result<(), Refusal> {
    ui.finish();
    if ui.is_json() || !can_ask() {
        return Err(Refusal::usage(format!("{what}; and there is nobody to ask"), hint));
    }
    out(&format!("{}\n", shown_text(what)));
    if agrees(question) { Ok(()) } else { Err(Refusal::declined()) }
}

/// The answer to a question, a line from the terminal; none at its end. What was typed before the
/// question answers nothing.
fn answer(question: &str) -> Option<String> {
    match answer_while(question, &mut || true) {
        Typed::Line(text) => Some(text),
        Typed::End | Typed::Overtaken => None,
    }
}

/// What came of a question.
pub(super) enum Typed {
    Line(String),
    /// the terminal's end, or an error of it
    End,
    /// what was asked about has changed meanwhile: no line is taken for an answer
    Overtaken,
}

/// The same for a question that stands as long as `holds`, which is looked at while a person thinks
/// and once more when they have typed.
pub(super) fn answer_while(question: &str, holds: &mut dyn FnMut() -> bool) -> Typed {
    let stdin = io::stdin();
    forget_typed();
    out(question);
    stop::waiting(|| {
        while !is_typed(&stdin) {
            if !holds() {
                return Typed::Overtaken;
            }
        }
        let mut text = String::new();
        match stdin.lock().read_line(&mut text) {
            Ok(read) if read > 0 => {
                if holds() {
                    Typed::Line(text)
                } else {
                    Typed::Overtaken
                }
            }
            _ => Typed::End,
        }
    })
}

/// Whatever was typed before answers nothing.
pub(super) fn forget_typed() {
    let _ = tcflush(io::stdin(), QueueSelector::IFlush); // no terminal: nothing waits
}

/// What a person types while nothing is asked: waits a little for a line.
pub(super) fn typed_meanwhile() -> Option<Typed> {
    let stdin = io::stdin();
    let mut text = String::new();
    is_typed(&stdin).then(|| match stdin.lock().read_line(&mut text) {
        Ok(read) if read > 0 => Typed::Line(text),
        _ => Typed::End,
    })
}

/// Waits a little for a line; an end or an error is one too, for the reading to find.
fn is_typed(stdin: &io::Stdin) -> bool {
    let wait = Timespec::try_from(LOOK).ok();
    match poll(&mut [PollFd::new(stdin, PollFlags::IN)], wait.as_ref()) {
        Ok(count) => count > 0,
        Err(error) => error != Errno::INTR,
    }
}
