//! What `report` takes.

use super::common::ShipmentArg;
use crate::report::Paper;
use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// report
#[derive(Args)]
pub struct ReportArgs {
    /// Drives: mount points, or folders below them; without any, all mounted drives
    pub paths: Vec<PathBuf>,
    /// which of several
    #[command(flatten)]
    pub which: ShipmentArg,
    /// Write the page to FILE, or to standard output (-); an existing file is replaced only if it
    /// is an earlier report
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,
    /// Your identity (repeatable): adds a summary of the dataset; the page then names its folders
    #[arg(short, long = "identity", value_name = "FILE")]
    pub identities: Vec<PathBuf>,
    /// The drive labels alone
    #[arg(long, conflicts_with = "identities")]
    pub labels: bool,
    /// Lay it out for this paper; without it, for the printer's
    #[arg(long, value_name = "PAPER", value_enum)]
    pub size: Option<Size>,
}

/// The paper.
#[derive(Clone, Copy, ValueEnum)]
pub enum Size {
    A4,
    Letter,
}

impl From<Size> for Paper {
    fn from(size: Size) -> Self {
        match size {
            Size::A4 => Self::A4,
            Size::Letter => Self::Letter,
        }
    }
}
