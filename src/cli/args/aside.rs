//! What the commands take that need no shipment: `keygen`, `bench`, `demo`, `help`,
//! `completions`, `man`.

use super::common::at_least_one;
use crate::cli::topics::words;
use clap::builder::PossibleValuesParser;
use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// keygen
#[derive(Args)]
pub struct KeygenArgs {
    /// Write the identity to FILE, mode 0600; never over an existing file
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// bench
#[derive(Args)]
pub struct BenchArgs {
    /// Measure with these files; without it, with generated data
    pub source: Option<PathBuf>,
    /// Measure this drive (repeatable): --bytes are written, read and removed, twice
    #[arg(long = "drive", value_name = "PATH")]
    pub drives: Vec<PathBuf>,
    /// Write this much to each drive
    #[arg(long, value_name = "SIZE", default_value = "1GiB", requires = "drives")]
    pub bytes: String,
    /// Predict for a dataset of SIZE
    #[arg(long = "for", value_name = "SIZE", default_value = "1TB")]
    pub size: String,
    /// Predict for this many drives
    #[arg(long = "drives", value_name = "N", value_parser = at_least_one)]
    pub count: Option<u32>,
    /// Predict for this many drives attached at a time
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    pub ports: Option<u32>,
    /// Predict for this many cases
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    pub cases: Option<u32>,
    /// Predict under this rule
    #[arg(long, value_name = "RULE", value_hint = clap::ValueHint::Other)]
    pub survive: Option<String>,
}

/// demo
#[derive(Args)]
pub struct DemoArgs {
    /// A folder to work in, missing or empty; it stays
    pub dir: Option<PathBuf>,
}

/// help
#[derive(Args)]
pub struct HelpArgs {
    /// A command or a topic
    #[arg(value_parser = PossibleValuesParser::new(words()), ignore_case = true)]
    #[arg(hide_possible_values = true)]
    pub topic: Option<String>,
}

/// completions
#[derive(Args)]
pub struct CompletionsArgs {
    /// The shell that the completions are for
    pub shell: Shell,
}

/// A shell that completions are made for.
#[derive(Clone, Copy, ValueEnum)]
pub enum Shell {
    Bash,
    Fish,
    Zsh,
}

/// man
#[derive(Args)]
pub struct ManArgs {
    /// The folder to write to, created if it is missing; pages in it are replaced
    pub dir: PathBuf,
}
