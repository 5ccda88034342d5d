//! What `restore` takes.

use super::common::{ExpectArg, MemoryArg, ShipmentArg};
use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// How owners are set.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum OwnerArg {
    /// by number
    Numbers,
    /// by name
    Names,
    /// not at all
    None,
}

/// restore
#[allow(clippy::struct_excessive_bools, reason = "each is a matter of its own")]
#[derive(Args)]
pub struct RestoreArgs {
    /// Drives: mount points, or folders below them; without any, all mounted drives
    pub paths: Vec<PathBuf>,
    /// which of several
    #[command(flatten)]
    pub which: ShipmentArg,
    /// Your identity, as keygen wrote it (repeatable)
    #[arg(short, long = "identity", value_name = "FILE", required = true)]
    pub identities: Vec<PathBuf>,
    /// The folder to restore into: missing, empty, or this restore's own unfinished work
    #[arg(long, value_name = "DIR")]
    pub to: PathBuf,
    /// Restore only what matches GLOB (repeatable), and the folders that lead to it; patterns are those
    /// of pack --exclude: one without / matches at any depth, one that matches a folder selects all
    /// that lies in it
    #[arg(long, value_name = "GLOB")]
    pub include: Vec<String>,
    /// Leave out what matches GLOB (repeatable), even if it is included
    #[arg(long, value_name = "GLOB")]
    pub exclude: Vec<String>,
    /// Missing drives will never arrive: restore what can be restored, and end
    #[arg(long)]
    pub give_up: bool,
    /// Leave files that cannot be completed as NAME.incomplete, holes where bytes are missing
    #[arg(long)]
    pub salvage: bool,
    /// Create no devices, and leave out setuid and setgid bits, file capabilities and other system
    /// attributes (security.*, trusted.*): for data from somebody whom you do not trust
    #[arg(long)]
    pub no_special: bool,
    /// Set owners by the packed numbers (the default, if root), by names that this machine knows, or
    /// none: numbers, names or none
    #[arg(long, value_name = "HOW", hide_possible_values = true)]
    pub owner: Option<OwnerArg>,
    /// Replace names that Windows, macOS, exFAT, NTFS or FAT cannot hold by reversible ones: a byte
    /// becomes %XX (see holdall help restore)
    #[arg(long)]
    pub map_names: bool,
    /// With too few ports to reconstruct lost drives: keep in DIR, from each drive in turn, the shards
    /// that reconstruction needs (first attach every drive once without this)
    #[arg(long, value_name = "DIR")]
    pub stage: Option<PathBuf>,
    /// the roots that sets must have
    #[command(flatten)]
    pub expect: ExpectArg,
    /// Write the path of everything that is missing to FILE, one per line
    #[arg(long, value_name = "FILE")]
    pub missing: Option<PathBuf>,
    /// what it may use
    #[command(flatten)]
    pub memory: MemoryArg,
}
