//! What `plan` takes.

use super::common::{MemoryArg, at_least_one};
use super::pack::ContentsArgs;
use crate::plan::case_path::CasePath;
use clap::Args;
use std::path::PathBuf;

/// A count as people write it.
fn count(text: &str) -> Result<u64, &'static str> {
    let wrong =
        "a count is a number such as 500000, 20M or 1.5G (k, M, G: thousands, millions, billions)";
    let plain = text.trim().replace([',', '_'], "");
    let (digits, unit) = match plain.chars().last() {
        Some('k' | 'K') => (&plain[..plain.len() - 1], 1e3),
        Some('M') => (&plain[..plain.len() - 1], 1e6),
        Some('G') => (&plain[..plain.len() - 1], 1e9),
        _ => (plain.as_str(), 1.0),
    };
    let number: f64 = digits.parse().map_err(|_| wrong)?;
    let count = number * unit;
    if (0.0..=1e15).contains(&count) { Ok(count as u64) } else { Err(wrong) }
}

/// A chance in percent.
fn percent(text: &str) -> Result<f64, &'static str> {
    let number = text.strip_suffix('%').and_then(|number| number.trim().parse::<f64>().ok());
    let percent = number.filter(|percent| (0.0..=100.0).contains(percent));
    percent.map(|percent| percent / 100.0).ok_or("a chance is written as 0.5% or 2%")
}

/// plan
#[derive(Args)]
pub struct PlanArgs {
    /// The folder (or file) that is to be packed
    #[arg(value_name = "SOURCE", conflicts_with = "size")]
    pub source: Option<PathBuf>,
    /// Without SOURCE: plan for a dataset of SIZE, before compression
    #[arg(long, value_name = "SIZE")]
    pub size: Option<String>,
    /// With --size: its number of files, such as 20M [default: one per MB]
    #[arg(long, value_name = "N", requires = "size", value_parser = count)]
    pub files: Option<u64>,
    /// A drive that is attached: the name of its case, and the path where it is mounted (repeatable);
    /// a drive that is alone needs no CASE=
    #[arg(value_parser = CasePath::or_path)]
    #[arg(long = "drive", value_name = "CASE=PATH", conflicts_with_all = ["inventory", "drive_size"])]
    pub drives: Vec<CasePath>,
    /// Accept folders on this machine's own disks as drives
    #[arg(long, requires = "drives")]
    pub folder_drives: bool,
    /// Drives as listed in FILE, CSV with the columns case, drive (a mount point or a serial number) and
    /// size (left empty: what is free on the drive that is mounted there)
    #[arg(long, value_name = "FILE", conflicts_with = "drive_size")]
    pub inventory: Option<PathBuf>,
    /// Drives yet to be bought, each of SIZE
    #[arg(long, value_name = "SIZE", requires = "cases")]
    pub drive_size: Option<String>,
    /// With --drive-size: carried in this many cases
    #[arg(long, value_name = "N", requires = "drive_size", value_parser = at_least_one)]
    pub cases: Option<u32>,
    /// With --drive-size: this many in each case [default: as many as are needed]
    #[arg(long, value_name = "N", requires = "drive_size", value_parser = at_least_one)]
    pub drives_per_case: Option<u32>,
    /// Drives that can be attached at a time [default: all that are attached now, else up to 16]
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    pub ports: Option<u32>,
    /// What may be lost without losing data [default: what pack would choose]
    #[arg(long, value_name = "RULE", value_hint = clap::ValueHint::Other)]
    pub survive: Option<String>,
    /// The chance that any one drive is lost or dies
    #[arg(long, value_name = "P%", default_value = "0.5%", value_parser = percent)]
    pub drive_loss: f64,
    /// The chance that any one case is lost
    #[arg(long, value_name = "P%", default_value = "0.5%", value_parser = percent)]
    pub case_loss: f64,
    /// Read a sample of SOURCE: how well it compresses, and how much of it is duplicate
    #[arg(long, requires = "source")]
    pub estimate: bool,
    /// Write the plan to FILE, which must not exist, for pack --plan and resume --plan
    #[arg(long, value_name = "FILE")]
    pub save: Option<PathBuf>,
    /// what pack may use
    #[command(flatten)]
    pub memory: MemoryArg,
    /// what of SOURCE
    #[command(flatten)]
    pub contents: ContentsArgs,
}
