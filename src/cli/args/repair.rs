//! What `repair` takes.

use super::common::{MemoryArg, ShipmentArg, root};
use crate::format::list::Hash;
use crate::plan::case_path::CasePath;
use clap::Args;
use std::path::PathBuf;

/// repair
#[derive(Args)]
pub struct RepairArgs {
    /// Drives: mount points, or folders below them; without any, all mounted drives
    pub paths: Vec<PathBuf>,
    /// which of several
    #[command(flatten)]
    pub which: ShipmentArg,
    /// Reconstruct a lost drive on this new one: the case it goes into, and its path (repeatable)
    #[arg(long, value_name = "CASE=PATH")]
    pub onto: Vec<CasePath>,
    /// Accept folders on this machine's own disks as new drives
    #[arg(long, requires = "onto")]
    pub folder_drives: bool,
    /// The slot that the new drive takes [default: the lowest missing one of its case]
    #[arg(long, value_name = "N", requires = "onto")]
    pub slot: Option<u16>,
    /// Where copies differ, the set whose root (b3sum set.txt) is ROOT is the right one
    #[arg(long, value_name = "ROOT", value_parser = root)]
    pub expect: Option<Hash>,
    /// what it may use
    #[command(flatten)]
    pub memory: MemoryArg,
}
