//! What the commands take that look at drives: `drives`, `verify`, `status`, `ls`.

use super::common::{ExpectArg, ShipmentArg, memory};
use crate::format::custody::{MAX_BY_BYTES, MAX_TEXT_BYTES};
use crate::memory::Memory;
use clap::Args;
use std::path::PathBuf;

/// What a custody note has room for.
fn up_to<const BYTES: usize>(text: &str) -> Result<String, String> {
    if text.len() > BYTES { Err(format!("at most {BYTES} bytes")) } else { Ok(text.into()) }
}

/// verify
#[derive(Args)]
pub struct VerifyArgs {
    /// Drives: mount points, or folders below them; without any, all mounted drives
    pub paths: Vec<PathBuf>,
    /// which of several
    #[command(flatten)]
    pub which: ShipmentArg,
    /// Your identity (repeatable): opens and decodes everything, and writes nothing
    #[arg(short, long = "identity", value_name = "FILE")]
    pub identities: Vec<PathBuf>,
    /// the roots that sets must have
    #[command(flatten)]
    pub expect: ExpectArg,
    /// Read everything but the shards, and of those only a random sample of blocks; takes minutes
    #[arg(long, conflicts_with = "identities")]
    pub quick: bool,
    /// Compare the tree in DIR (restored, or the source itself) with the shipment, byte for byte, by
    /// hash: needs one drive of each set, and your identity
    #[arg(long, value_name = "DIR", requires = "identities", conflicts_with_all = ["quick", "log"])]
    pub against: Option<PathBuf>,
    /// With --against: compare modes, times, owners and attributes, too
    #[arg(long, requires = "against")]
    pub metadata: bool,
    /// With --against: compare only what matches GLOB (repeatable), as restore takes it
    #[arg(long, value_name = "GLOB", requires = "against")]
    pub include: Vec<String>,
    /// With --against: leave out what matches GLOB (repeatable)
    #[arg(long, value_name = "GLOB", requires = "against")]
    pub exclude: Vec<String>,
    /// Note the result in custody/ on each drive, and on this machine
    #[arg(long)]
    pub log: bool,
    /// Who checks the drives, for the note
    #[arg(
        long,
        value_name = "NAME",
        requires = "log",
        default_value = "",
        hide_default_value = true
    )]
    #[arg(value_parser = up_to::<MAX_BY_BYTES>)]
    pub by: String,
    /// What else is to be noted, such as a place or a broken seal
    #[arg(
        long,
        value_name = "TEXT",
        requires = "log",
        default_value = "",
        hide_default_value = true
    )]
    #[arg(value_parser = up_to::<MAX_TEXT_BYTES>)]
    pub note: String,
    /// Limit buffers to SIZE in all, plus 16 MiB per core; a set that was packed with a higher limit may
    /// need memory for a few more of its shards
    #[arg(long, value_name = "SIZE", default_value = "1.5GiB", value_parser = memory)]
    #[arg(conflicts_with = "quick")]
    pub memory: Memory,
}

/// drives
#[derive(Args)]
pub struct DrivesArgs {
    /// Drives: mount points, or folders below them; without any, all mounted drives
    pub paths: Vec<PathBuf>,
}

/// status
#[derive(Args)]
pub struct StatusArgs {
    /// Drives: mount points, or folders below them; without any, all mounted drives
    pub paths: Vec<PathBuf>,
    /// which of several
    #[command(flatten)]
    pub which: ShipmentArg,
    /// Show the restore in progress in DIR: what is complete, and what waits for which drives
    #[arg(long, value_name = "DIR")]
    pub to: Option<PathBuf>,
}

/// ls
#[derive(Args)]
pub struct LsArgs {
    /// Drives: mount points, or folders below them; without any, all mounted drives
    pub paths: Vec<PathBuf>,
    /// which of several
    #[command(flatten)]
    pub which: ShipmentArg,
    /// Your identity, as keygen wrote it (repeatable)
    #[arg(short, long = "identity", value_name = "FILE", required = true)]
    pub identities: Vec<PathBuf>,
    /// Show sizes as 1.5 GB, and the totals in a last line
    #[arg(short = 'H', long, conflicts_with = "json")]
    pub human: bool,
    /// Only what lies in FOLDER
    #[arg(long = "in", value_name = "FOLDER", value_hint = clap::ValueHint::Other)]
    pub folder: Option<std::ffi::OsString>,
}
