//! What `pack` takes.

use super::common::{MemoryArg, ShipmentArg};
use crate::plan::case_path::CasePath;
use crate::plan::cipher::CipherChoice;
use crate::plan::effort::Effort;
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use std::path::PathBuf;

/// The cipher that a word names.
#[allow(clippy::needless_pass_by_value, reason = "clap gives the word away")]
fn cipher(word: String) -> Result<CipherChoice, &'static str> {
    CipherChoice::of(&word).ok_or("there is no such cipher")
}

/// How a set is packed, of a new shipment and of one in progress.
#[derive(Args)]
pub struct SetArgs {
    /// A drive: the name of its case, and the path where it is mounted (repeatable); a drive that
    /// is alone needs no CASE=; without any, the drives that are attached are offered at a terminal
    #[arg(long = "drive", value_name = "CASE=PATH", value_parser = CasePath::or_path)]
    pub drives: Vec<CasePath>,
    /// Take the rule, and without --drive the drives of this round, from a plan that plan --save wrote;
    /// drives that are named must be those of this round
    #[arg(long, value_name = "FILE")]
    pub plan: Option<PathBuf>,
    /// Accept folders on this machine's own disks as drives; otherwise a PATH on the disk of SOURCE,
    /// the system or holdall's state is taken for a mount point without its drive
    #[arg(long)]
    pub folder_drives: bool,
    /// Encrypt to this recipient (repeatable): age1..., or a file of recipients
    #[arg(short, long = "recipient", value_name = "RECIPIENT")]
    pub recipients: Vec<String>,
    /// Encrypt to the recipients in FILE, one per line (repeatable); for an identity in it, to its
    /// recipient
    #[arg(short = 'R', long = "recipients-file", value_name = "FILE")]
    pub recipient_files: Vec<PathBuf>,
    /// What may be lost without losing data: cases=N, drives=N, blocks=P% (bad sectors on every
    /// drive), several separated by commas, or none [default: see holdall help survive]
    #[arg(long, value_name = "RULE", value_hint = clap::ValueHint::Other)]
    pub survive: Option<String>,
    /// Commit after SIZE on each drive [default: 256 MiB, but no sooner than after 30 seconds]
    #[arg(long, value_name = "SIZE")]
    pub checkpoint: Option<String>,
    /// Do not read everything back at the end
    #[arg(long)]
    pub no_read_back: bool,
    /// what it may use
    #[command(flatten)]
    pub memory: MemoryArg,
}

/// What of SOURCE is packed.
#[derive(Args)]
pub struct ContentsArgs {
    /// Leave out what matches GLOB (repeatable); a pattern without / matches at any depth
    #[arg(long, value_name = "GLOB")]
    pub exclude: Vec<String>,
    /// Leave out what matches a line of FILE (repeatable), in .gitignore syntax without !; - is
    /// standard input
    #[arg(long, value_name = "FILE")]
    pub exclude_from: Vec<PathBuf>,
    /// Of folders that CACHEDIR.TAG marks as caches, pack only the tag
    #[arg(long)]
    pub exclude_caches: bool,
    /// Pack only the paths in FILE, one per line, relative to SOURCE or absolute, with their parent
    /// folders and everything in folders that are named; - is standard input
    #[arg(long, value_name = "FILE")]
    pub files_from: Option<PathBuf>,
    /// A zero byte ends each path of --files-from, as find -print0 writes them
    #[arg(short = '0', long, requires = "files_from")]
    pub from0: bool,
    /// Do not enter other file systems
    #[arg(long)]
    pub one_file_system: bool,
}

/// pack
#[derive(Args)]
pub struct PackArgs {
    /// The folder (or file) to pack
    #[arg(value_name = "SOURCE", required = true)]
    pub paths: Vec<PathBuf>,
    /// the set
    #[command(flatten)]
    pub set: SetArgs,
    /// The cipher of the whole shipment; auto is aes256 if this machine's CPU has instructions for
    /// it, else chacha20
    #[arg(long, value_name = "CIPHER", default_value = "chacha20")]
    #[arg(value_parser = PossibleValuesParser::new(CipherChoice::WORDS).try_map(cipher))]
    pub cipher: CipherChoice,
    /// zstd level, 1 to 19; auto compresses as hard as the drives leave time for, so that the stored
    /// bytes depend on how fast they are
    #[arg(long, default_value = "3", value_hint = clap::ValueHint::Other)]
    pub level: Effort,
    /// what of SOURCE
    #[command(flatten)]
    pub contents: ContentsArgs,
    /// The dataset's name, in the clear on every drive
    #[arg(long, default_value = "", hide_default_value = true)]
    pub name: String,
    /// Whom to ask about a drive, in the clear on every drive
    #[arg(long, default_value = "", value_name = "TEXT", hide_default_value = true)]
    pub contact: String,
    /// Say what would be packed where, as plan does, and write nothing anywhere
    #[arg(long)]
    pub dry_run: bool,
    /// Ask nothing: pack what fits now, and the rest on further sets
    #[arg(long)]
    pub yes: bool,
    /// Sizes of chunk, block, and blocks per shard, for tests
    #[arg(long, hide = true, value_name = "C,B,N")]
    pub geometry: Option<String>,
}

/// resume
#[derive(Args)]
pub struct ResumeArgs {
    /// The shipment's id, as pack printed it and holdall status lists it, or its beginning; it may be
    /// left out if one is in progress on this machine
    pub shipment: Option<String>,
    /// Pack the unfinished set again, on drives that carry nothing of it, because its drives are lost
    #[arg(long)]
    pub anew: bool,
    /// the set
    #[command(flatten)]
    pub set: SetArgs,
}

/// close
#[derive(Args)]
pub struct CloseArgs {
    /// Drives: mount points, or folders below them; without any, all mounted drives
    pub paths: Vec<PathBuf>,
    /// which of several
    #[command(flatten)]
    pub which: ShipmentArg,
    /// If drives disagree on what was packed: your identity (repeatable); what was packed to it counts
    #[arg(short, long = "identity", value_name = "FILE")]
    pub identities: Vec<PathBuf>,
    /// Ask nothing, and close without the drives that are not attached
    #[arg(long)]
    pub yes: bool,
}
