//! How far a job is: one model, and three ways to show it.
//!
//! - [`model`]: the phase, its counters and those of its drives, their rates, the time that is left.
//! - [`renderer`]: what a way of showing it is asked for.
//! - [`bars`], [`plain`], [`json_lines`]: lines at the bottom of a terminal, whole lines of a log, JSON.
//! - [`lines`]: the words of bars and plain lines; [`clock`]: when they are looked at.
//! - [`problems`]: what went wrong, by kind.

pub mod bars;
mod clock;
pub mod json_lines;
mod lines;
pub mod model;
pub mod plain;
pub mod problems;
pub mod renderer;
