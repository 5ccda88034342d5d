//! The command line: what was typed comes in, what people and scripts read goes out.
//!
//! - Enters: arguments, and through [`crate::monitor::Monitor`] what a job reports.
//! - Leaves: results on standard output, everything else on standard error, an exit status.
//! - Always holds: (1) only this folder prints; (2) a result goes through [`output::out`] or
//!   [`output::emit`], everything else through [`output::say`] or a monitor; (3) `error:`, `hint:`,
//!   `problem:` and `note:` lead their lines, in lower case and without a period; (4) text from
//!   outside (names, paths, causes) passes `shown_text` before a terminal sees it; (5) a closed pipe or
//!   terminal never panics; (6) a secret key is never printed, wherever it was typed.

mod against;
pub mod args;
mod awake;
mod bench;
mod chosen;
mod close;
mod demo;
mod drives;
mod erase;
pub mod exit;
mod forget;
pub mod help;
mod hook;
mod keys;
mod lists;
mod ls;
mod manual;
mod missing;
mod next;
pub mod output;
mod pack;
mod pack_set;
mod plan;
mod plan_file;
pub mod progress;
pub mod refusal;
mod repair;
mod report;
mod restore;
mod rounds;
pub mod run;
mod secrets;
mod show;
pub mod sizes;
mod status;
mod stop;
pub mod table;
pub mod text;
pub mod topics;
pub mod ui;
mod verify;
