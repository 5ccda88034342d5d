//! What people and scripts read: results on standard output, everything else on standard error.
//!
//! - Enters: results, and lines for people.
//! - Leaves: text, or with `--json` one object per line, flushed.
//! - Always holds: (1) lines of several threads never mix; (2) nothing here panics on a closed pipe: a
//!   reader of results who has seen enough (`| head`) ends a list, with 0, and changes neither the work
//!   nor the status of anything else; a job whose listener is gone ends with 1, because it is not done;
//!   (3) no line holds a secret key.
//!
//! The page of `holdall help json` follows.
#![doc = include_str!("json.md")]

use super::exit::Status;
use crate::format::shown::{is_unsafe, shown_text};
use parking_lot::Mutex;
use serde::Serialize;
use std::borrow::Cow;
use std::error::Error;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Write};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

/// The file of `--log-file`, once it is open.
static LOG: OnceLock<Mutex<File>> = OnceLock::new();
/// Why the log could not be written to, the first time.
static LOG_FAILURE: OnceLock<io::Error> = OnceLock::new();
/// Whoever read standard output is gone.
static IS_UNREAD: AtomicBool = AtomicBool::new(false);

/// From here on, whatever is said is said to this file, too.
pub fn log_to(file: File) {
    LOG.get_or_init(|| Mutex::new(file));
}

/// Writes lines to the log, if there is one, each with the time.
pub fn log(text: &str) {
    let Some(log) = LOG.get() else { return };
    let now = jiff::Zoned::now().strftime("%Y-%m-%d %H:%M:%S").to_string();
    let lines = redacted(text.trim_end()).lines().fold(String::new(), |mut lines, line| {
        let _ = writeln!(lines, "{now}  {line}");
        lines
    });
    // A log that cannot be written to is no reason to stop what it tells of.
    if let Err(error) = log.lock().write_all(lines.as_bytes()) {
        let _ = LOG_FAILURE.set(error);
    }
}

/// Why the log lacks lines, if it does.
pub fn log_failure() -> Option<&'static io::Error> {
    LOG_FAILURE.get()
}

/// Writes `text` and a line end to standard error and to the log.
pub fn say(text: &str) {
    show(text);
    log(text);
}

/// Writes `text` and a line end to standard error; if nobody can read it, nothing happens.
pub fn show(text: &str) {
    // One write, so that lines of several threads do not mix; there is nowhere to report a failure.
    let _ = std::io::stderr().write_all(format!("{}\n", redacted(text)).as_bytes());
}

/// `text` without the letters of secret keys: one may have been typed in place of a path.
pub fn redacted(text: &str) -> Cow<'_, str> {
    const SECRETS: [&str; 2] = ["AGE-SECRET-KEY-", "AGE-PLUGIN-"];
    let upper = text.to_ascii_uppercase();
    let Some((at, secret)) = SECRETS.iter().find_map(|s| Some((upper.find(s)?, s))) else {
        return Cow::Borrowed(text);
    };
    let (before, rest) = text.split_at(at + secret.len());
    let behind = rest.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '-');
    Cow::Owned(format!("{before}...{}", redacted(behind)))
}

/// A line of JSON in which those characters are escaped as JSON does it: it says the same to a
/// program, and does nothing to a terminal.
pub fn shown_json(line: &str) -> Cow<'_, str> {
    if !line.contains(is_unsafe) {
        return Cow::Borrowed(line);
    }
    let mut shown = String::with_capacity(line.len() + 16);
    for c in line.chars() {
        if is_unsafe(c) {
            // None of them is beyond 16 bits, and none stands outside of strings.
            let _ = write!(shown, "\\u{:04x}", u32::from(c));
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}

/// Writes `text` to standard output and flushes; what a terminal could obey is escaped, but for the
/// ends of lines. If the reader is gone, nothing happens; ends the program with 1 and an error if it
/// cannot be written otherwise.
pub fn out(text: &str) {
    let text = shown_lines(text);
    log(&text);
    deliver(&text);
}

/// Ends the program quietly with 0 if whoever reads its list has seen enough.
pub fn end_if_unread() {
    if IS_UNREAD.load(Ordering::Relaxed) {
        std::process::exit(Status::Done.code().into());
    }
}

/// Writes a script of our own as it is, as [`out`] does.
pub fn script(text: &str) {
    deliver(text);
}

/// Lines that are safe to be shown.
fn shown_lines(text: &str) -> Cow<'_, str> {
    if text.split('\n').any(|line| line.contains(is_unsafe)) {
        let lines: Vec<_> = text.split('\n').map(shown_text).collect();
        Cow::Owned(lines.join("\n"))
    } else {
        Cow::Borrowed(text)
    }
}

/// Writes a result as one line, the name of its event and its fields, as [`out`] does.
pub fn emit(event: &str, fields: &impl Serialize) {
    #[derive(Serialize)]
    struct TaggedEvent<'a, T> {
        event: &'a str,
        #[serde(flatten)]
        fields: &'a T,
    }
    match serde_json::to_string(&TaggedEvent { event, fields }) {
        Ok(line) => out(&format!("{}\n", shown_json(&line))),
        Err(error) => fail(&format!("cannot print the event {event}: {error}")),
    }
}

/// The event of what stopped a command, without the letters of a secret key that was typed.
pub fn emit_error(text: &str, hint: Option<&str>) {
    #[derive(Serialize)]
    struct Error<'a> {
        text: Cow<'a, str>,
        hint: Option<Cow<'a, str>>,
    }
    emit("error", &Error { text: redacted(text), hint: hint.map(redacted) });
}

/// Ends the program, as its results cannot be delivered.
fn fail(text: &str) -> ! {
    say(&format!("error: {}", shown_text(text)));
    std::process::exit(Status::Failed.code().into());
}

/// Writes a line of progress as [`out`] does; ends the program with 1 if the reader is gone.
pub fn deliver_progress(line: &str) {
    deliver(line);
    if IS_UNREAD.load(Ordering::Relaxed) {
        std::process::exit(Status::Failed.code().into());
    }
}

/// As [`out`].
fn deliver(text: &str) {
    match write_flushed(&mut io::stdout().lock(), text) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
            IS_UNREAD.store(true, Ordering::Relaxed);
        }
        Err(error) => fail(&format!("cannot write to standard output: {error}")),
    }
}

fn write_flushed(output: &mut impl Write, text: &str) -> io::Result<()> {
    output.write_all(text.as_bytes())?;
    output.flush()
}

/// Prints what stopped the command and, if there is one, what to type instead. Bars must have been
/// cleared before.
pub fn print_error(error: &dyn Error, hint: Option<&str>) {
    say(&error_text(error, hint));
}

/// `error: <text>: <cause>: <cause>` and a line `hint: …`.
fn error_text(error: &dyn Error, hint: Option<&str>) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        // Some foreign errors already end in their cause.
        if !text.ends_with(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        next = cause.source();
    }
    let mut lines = format!("error: {}", shown_text(&text));
    if let Some(hint) = hint {
        lines.push_str("\nhint: ");
        lines.push_str(&shown_text(hint));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    // Security, cosmetic: the name of a dataset is whatever its label says.
    #[test]
    fn json_carries_nothing_that_a_terminal_obeys() {
        let name = "a\u{9b}31m\u{202e}\x7f\u{1b}é";
        let line = serde_json::json!({"name": name}).to_string();
        let shown = shown_json(&line);
        assert!(!shown.contains(is_unsafe), "{shown:?}");
        let back: serde_json::Value = serde_json::from_str(&shown).unwrap();
        assert_eq!(back["name"], name);
    }

    /// The path of a drive may come from the label of its file system.
    #[test]
    fn text_carries_nothing_that_a_terminal_obeys() {
        let text = "slot 1  /media/a\u{1b}[31m\tb\u{202e}\nslot 2\r\n";
        let shown = shown_lines(text);
        assert_eq!(shown, "slot 1  /media/a\\u{1b}[31m\\tb\\u{202e}\nslot 2\\r\n");
        assert_eq!(shown_lines("a é\n\nb"), "a é\n\nb");
    }

    #[test]
    fn a_write_that_fails_is_an_error_and_no_panic() {
        struct Closed;
        impl Write for Closed {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let error = write_flushed(&mut Closed, "x").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    }

    #[derive(Debug, thiserror::Error)]
    #[error("cannot write the label of {drive}")]
    struct Label {
        drive: String,
        #[source]
        cause: io::Error,
    }

    #[test]
    fn causes_follow_the_error_on_its_line() {
        let label = || Label {
            drive: "/media/a\nb".into(),
            cause: io::Error::new(io::ErrorKind::StorageFull, "no space left"),
        };
        assert_eq!(
            error_text(&label(), None),
            "error: cannot write the label of /media/a\\nb: no space left"
        );
        assert_eq!(
            error_text(&label(), Some("erase a set with holdall erase")),
            "error: cannot write the label of /media/a\\nb: no space left\n\
             hint: erase a set with holdall erase"
        );
    }

    #[test]
    fn a_cause_that_was_said_is_not_said_again() {
        let wrapped = io::Error::other(label_error());
        assert_eq!(error_text(&wrapped, None), "error: cannot write the label of x: broken");
    }

    fn label_error() -> Label {
        Label { drive: "x".into(), cause: io::Error::other("broken") }
    }
}
