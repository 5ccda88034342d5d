//! How a command ends: its status, and the error and hint it leaves.
//!
//! - Enters: the outcomes of a command's parts, or the error that stopped it.
//! - Leaves: one exit status; `error:` and `hint:` lines on standard error.
//! - Always holds: (1) the numbers never change, scripts depend on them; (2) a merged status is
//!   the worse of its two, in the order of [`Status::merge`]; (3) an error is one line, its causes
//!   behind it.
//!
//! The page of `holdall help errors` follows.
#![doc = include_str!("errors.md")]

use super::output::say;
use crate::format::shown::shown_text;
use std::error::Error;
use std::process::ExitCode;

/// What a command's exit status says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Status {
    /// all of it was done
    #[default]
    Done = 0,
    /// it could not be done, or something is lost
    Failed = 1,
    /// the command line asks for what cannot be
    Usage = 2,
    /// done, with problems that were listed
    Problems = 3,
    /// files wait for drives that are not attached
    Waiting = 4,
}

impl Status {
    /// The status of two parts together: usage stands before all, then 1 before 4 before 3 before
    /// 0.
    #[must_use]
    pub fn merge(self, other: Self) -> Self {
        if self.weight() >= other.weight() { self } else { other }
    }

    fn weight(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Problems => 1,
            Self::Waiting => 2,
            Self::Failed => 3,
            Self::Usage => 4,
        }
    }

    /// The number the shell sees.
    pub fn code(self) -> u8 {
        self as u8
    }
}

impl From<Status> for ExitCode {
    fn from(status: Status) -> Self {
        Self::from(status.code())
    }
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
    use Status::{Done, Failed, Problems, Usage, Waiting};
    use rstest::rstest;
    use std::io;

    /// From mildest to worst.
    const ORDER: [Status; 5] = [Done, Problems, Waiting, Failed, Usage];

    #[test]
    fn the_worse_status_wins_whatever_the_order() {
        for (i, &a) in ORDER.iter().enumerate() {
            for (j, &b) in ORDER.iter().enumerate() {
                assert_eq!(a.merge(b), ORDER[i.max(j)], "{a:?} {b:?}");
            }
        }
    }

    #[rstest]
    #[case(Done, 0)]
    #[case(Failed, 1)]
    #[case(Usage, 2)]
    #[case(Problems, 3)]
    #[case(Waiting, 4)]
    fn the_numbers_are_fixed(#[case] status: Status, #[case] code: u8) {
        assert_eq!(status.code(), code);
        assert_eq!(ExitCode::from(status), ExitCode::from(code));
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
