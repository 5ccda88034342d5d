//! What the commands take that remove something: `erase`, `forget`.

use clap::Args;
use std::path::PathBuf;

/// erase
#[derive(Args)]
pub struct EraseArgs {
    /// Drives: mount points, or folders below them
    #[arg(required = true)]
    pub paths: Vec<PathBuf>,
    /// The set, by the name of its folder, or its shipment if the drives have one set of it
    #[arg(long = "set", value_name = "ID", value_hint = clap::ValueHint::Other)]
    pub set: String,
    /// Ask nothing
    #[arg(long)]
    pub yes: bool,
}

/// forget
#[derive(Args)]
pub struct ForgetArgs {
    /// The shipment's id, as holdall status lists it, or its beginning
    pub shipment: String,
    /// Ask nothing
    #[arg(long)]
    pub yes: bool,
}
