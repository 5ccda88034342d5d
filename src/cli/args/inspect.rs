//! What the commands take that look at drives: `verify`, `status`, `ls`.

use super::common::{ExpectArg, memory};
use crate::memory::Memory;
use clap::Args;
use std::path::PathBuf;

/// verify
#[derive(Args)]
pub struct VerifyArgs {
    /// Drives: mount points, or folders below them; without any, all mounted drives
    pub paths: Vec<PathBuf>,
    /// Your identity (repeatable): opens and decodes everything, and writes nothing
    #[arg(short, long = "identity", value_name = "FILE")]
    pub identities: Vec<PathBuf>,
    /// the roots that sets must have
    #[command(flatten)]
    pub expect: ExpectArg,
    /// Read everything but the shards, and of those only a random sample of blocks; takes minutes
    #[arg(long, conflicts_with = "identities")]
    pub quick: bool,
    /// Limit buffers to SIZE in all, plus 16 MiB per core; a set that was packed with a higher limit may
    /// need memory for a few more of its shards
    #[arg(long, value_name = "SIZE", default_value = "1.5GiB", value_parser = memory)]
    #[arg(conflicts_with = "quick")]
    pub memory: Memory,
}

/// status
#[derive(Args)]
pub struct StatusArgs {
    /// Drives: mount points, or folders below them; without any, all mounted drives
    pub paths: Vec<PathBuf>,
    /// Show the restore in progress in DIR: what is complete, and what waits for which drives
    #[arg(long, value_name = "DIR")]
    pub to: Option<PathBuf>,
}

/// ls
#[derive(Args)]
pub struct LsArgs {
    /// Drives: mount points, or folders below them; without any, all mounted drives
    pub paths: Vec<PathBuf>,
    /// Your identity, as keygen wrote it (repeatable)
    #[arg(short, long = "identity", value_name = "FILE", required = true)]
    pub identities: Vec<PathBuf>,
    /// Only what lies in FOLDER
    #[arg(long = "in", value_name = "FOLDER")]
    pub folder: Option<std::ffi::OsString>,
}
