//! How far a job is: one model, and three ways to show it.
//!
//! - [`model`]: the phase, its counters and those of its drives, their rates, the time that is
//!   left; [`counter`]: one of these.
//! - [`renderer`]: what a way of showing it is asked for.
//! - [`bars`], [`plain`], [`json_lines`]: lines at the bottom of a terminal, whole lines of a log, JSON.
//! - [`lines`]: the words of bars and plain lines; [`clock`]: when they are looked at.
//! - [`bottleneck`]: what all of it waits for.
//! - [`problems`]: what went wrong, by kind; [`took`]: how long the phases took.

pub mod bars;
pub mod bottleneck;
pub(super) mod clock;
mod counter;
pub mod json_lines;
mod lines;
pub mod model;
pub mod plain;
pub mod problems;
pub mod renderer;
pub mod took;
