//! The monitor of a command: a terminal, plain lines or JSON, chosen once.

use super::json::JsonLines;
use super::terminal::{Mode, Problems, Terminal};
use crate::monitor::Monitor;

/// How a command talks.
pub enum Ui {
    /// to a person
    Terminal(Terminal),
    /// to a program
    Json(JsonLines),
}

impl Ui {
    /// As the global options say.
    pub fn new(json: bool, quiet: bool) -> Self {
        if json {
            Self::Json(JsonLines::new())
        } else {
            Self::Terminal(Terminal::new(Mode::detect(quiet)))
        }
    }

    /// For the library.
    pub fn monitor(&self) -> &dyn Monitor {
        match self {
            Self::Terminal(t) => t,
            Self::Json(j) => j,
        }
    }

    /// Does a program listen?
    pub fn is_json(&self) -> bool {
        matches!(self, Self::Json(_))
    }

    /// Shall only errors and the final summary be said?
    pub fn is_quiet(&self) -> bool {
        matches!(self, Self::Terminal(t) if t.is_quiet())
    }

    /// Ends the last phase.
    pub fn finish(&self) {
        match self {
            Self::Terminal(t) => t.finish(),
            Self::Json(j) => j.finish(),
        }
    }

    pub fn problems(&self) -> Problems {
        match self {
            Self::Terminal(t) => t.problems(),
            Self::Json(j) => j.problems(),
        }
    }

    /// Lists the problems again, by kind; to a program they were told already.
    pub fn print_problems(&self) {
        if let Self::Terminal(t) = self {
            t.print_problems();
        }
    }
}
