//! What was typed.

use super::sizes::parse_size;
use crate::format::list::Hash;
use crate::memory::Memory;
use crate::plan::case_path::CasePath;
use crate::plan::cipher::CipherChoice;
use crate::plan::effort::Effort;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

/// Packs a dataset onto many removable drives, carried in several cases, and puts it back together
/// at the other end.
#[derive(Parser)]
#[command(name = "holdall", version, max_term_width = 100, disable_help_subcommand = true)]
#[command(after_help = super::topics::topics() + "

Example:
  holdall keygen -o me.key
  holdall pack photos --drive a=/media/usb1 --drive b=/media/usb2 -r age1...
  holdall verify /media/usb1 /media/usb2
  holdall restore /media/usb1 /media/usb2 -i me.key --to photos-again")]
pub struct Cli {
    /// what to do
    #[command(subcommand)]
    pub command: Command,
    /// One JSON object per line on standard output, for programs
    #[arg(long, global = true, display_order = 100)]
    pub json: bool,
    /// Errors and the final summary only
    #[arg(long, short, global = true, display_order = 100)]
    pub quiet: bool,
}

/// The commands.
#[derive(Subcommand)]
pub enum Command {
    /// Make an identity: a secret key, and the recipient that belongs to it
    #[command(after_help = "Example:
  holdall keygen -o me.key          prints the recipient; keep me.key at home")]
    Keygen(KeygenArgs),
    /// Pack a dataset onto drives
    #[command(after_help = "Example:
  holdall pack photos --drive a=/media/usb1 --drive a=/media/usb2 \\
      --drive b=/media/usb3 --drive b=/media/usb4 --survive cases=1 -r age1...
  holdall pack --continue --drive a=/media/usb5 --drive b=/media/usb6
  holdall pack --close /media/usb5 /media/usb6      ends it there, without a key")]
    #[command(override_usage = "holdall pack SOURCE --drive CASE=PATH... -r RECIPIENT [OPTIONS]
       holdall pack --continue [SHIPMENT] --drive CASE=PATH... [OPTIONS]
       holdall pack --close [PATH]... [--yes] [-i IDENTITY]")]
    Pack(PackArgs),
    /// Check every block of every shard on drives; needs no key
    #[command(after_help = "Example:
  holdall verify /media/usb1 /media/usb2     without paths: all mounted drives
  holdall verify -i me.key                   also opens and decodes every file")]
    Verify(VerifyArgs),
    /// Repair drives in place, and reconstruct lost ones on new drives; needs no key
    #[command(after_help = "Example:
  holdall repair /media/usb1 /media/usb2 /media/usb3
  holdall repair /media/usb1 /media/usb2 --onto c=/media/new")]
    Repair(RepairArgs),
    /// Restore a dataset from whatever drives are here
    #[command(after_help = "Example:
  holdall restore /media/usb1 /media/usb2 -i me.key --to photos-again
  holdall restore -i me.key --to march --include 2026/march --exclude '*.tmp'")]
    Restore(RestoreArgs),
    /// List the entries of a dataset, from any one drive of each set
    #[command(after_help = "Example:
  holdall ls /media/usb1 -i me.key --in 2026/march")]
    Ls(LsArgs),
    /// Say which drives of which set are here, what is missing, and whether it can be restored
    #[command(after_help = "Example:
  holdall status                             all mounted drives, and shipments in progress here
  holdall status --to photos-again           a restore in progress: what it waits for")]
    Status(StatusArgs),
    /// Remove a set from drives, by its name, and nothing else
    #[command(after_help = "Example:
  holdall status /media/usb1                 says which sets lie there
  holdall erase /media/usb1 /media/usb2 --set 0123456789abcdef-001")]
    Erase(EraseArgs),
    /// Drop what this machine keeps of a shipment in progress; nothing on drives changes
    #[command(after_help = "Example:
  holdall status                             lists the shipments in progress here
  holdall forget 0123456789abcdef")]
    Forget(ForgetArgs),
    /// Measure this machine and these drives, and predict how long a shipment takes
    #[command(after_help = "Example:
  holdall bench photos --drive /media/usb1 --drive /media/usb2
  holdall bench --for 80TB --drives 60 --ports 16 --cases 4")]
    Bench(BenchArgs),
    /// Show the whole journey on small data: pack, lose a case, verify, restore
    #[command(after_help = "Example:
  holdall demo                               in a temporary folder, removed afterwards
  holdall demo /tmp/journey                  in a folder that stays")]
    Demo(DemoArgs),
    /// Print the help of a command, or a page on a topic
    #[command(after_help = "Example:
  holdall help                               lists the commands and the topics
  holdall help survive                       which rule to choose")]
    Help(HelpArgs),
}

/// keygen
#[derive(Args)]
pub struct KeygenArgs {
    /// Write the identity to FILE, mode 0600; never over an existing file
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// What says nothing when a set is closed as it is.
const NOT_WITH_CLOSE: [&str; 17] = [
    "resume",
    "anew",
    "drives",
    "folder_drives",
    "recipients",
    "recipient_files",
    "survive",
    "cipher",
    "level",
    "exclude",
    "one_file_system",
    "name",
    "contact",
    "checkpoint",
    "no_read_back",
    "memory",
    "geometry",
];

/// What was decided when the shipment was begun.
const NOT_WITH_CONTINUE: [&str; 9] = [
    "source",
    "identities",
    "cipher",
    "level",
    "exclude",
    "one_file_system",
    "name",
    "contact",
    "geometry",
];

fn at_least_one(text: &str) -> Result<u32, &'static str> {
    text.parse().ok().filter(|count| *count > 0).ok_or("a number of 1 or more is needed")
}

/// The cipher that a word names.
#[allow(clippy::needless_pass_by_value, reason = "clap gives the word away")]
fn cipher(word: String) -> Result<CipherChoice, &'static str> {
    CipherChoice::of(&word).ok_or("there is no such cipher")
}

/// A root as pack prints it.
fn root(text: &str) -> Result<Hash, &'static str> {
    let root = blake3::Hash::from_hex(text.trim()).map(|root| *root.as_bytes());
    root.map_err(|_| "a root is the 64 hexadecimal digits that pack printed (b3sum set.txt)")
}

/// The roots that sets must have.
#[derive(Args)]
pub struct ExpectArg {
    /// Accept only the set whose root (as printed by pack; b3sum set.txt) is ROOT, and the sets before
    /// it that it names (repeatable)
    #[arg(long, value_name = "ROOT", value_parser = root)]
    pub expect: Vec<Hash>,
}

/// The memory that a command may use.
#[derive(Args)]
pub struct MemoryArg {
    /// Limit buffers to SIZE in all, plus 16 MiB per core; a set that was packed with a higher limit may
    /// need memory for a few more of its shards
    #[arg(long, value_name = "SIZE", default_value = "1.5GiB", value_parser = memory)]
    pub memory: Memory,
}

fn memory(text: &str) -> Result<Memory, String> {
    let least = || format!("at least {} MiB", crate::memory::LEAST_BYTES >> 20);
    Memory::new(parse_size(text)?).ok_or_else(least)
}

/// pack
#[derive(Args)]
#[allow(clippy::struct_excessive_bools, reason = "each is an option of its own")]
pub struct PackArgs {
    /// The folder (or file) to pack; with --close, the drives at PATH...
    #[arg(id = "source", value_name = "SOURCE", required_unless_present_any = ["resume", "close"])]
    pub paths: Vec<PathBuf>,
    /// Resume a shipment in progress: pack the next set, or the rest after a crash
    #[arg(long = "continue", value_name = "SHIPMENT", id = "resume")]
    #[arg(conflicts_with_all = NOT_WITH_CONTINUE)]
    #[allow(clippy::option_option, reason = "clap's way to say that the value may be left out")]
    pub resume: Option<Option<String>>,
    /// Pack the unfinished set again, on drives that carry nothing of it, because its drives are lost
    #[arg(long, requires = "resume", conflicts_with = "source")]
    pub anew: bool,
    /// Close a set early, with what is on the drives at PATH... or all mounted drives; needs no key
    #[arg(long, conflicts_with_all = NOT_WITH_CLOSE)]
    pub close: bool,
    /// With --close, if drives disagree on what was packed: your identity (repeatable); what was
    /// packed to it counts
    #[arg(short, long = "identity", value_name = "FILE", requires = "close")]
    pub identities: Vec<PathBuf>,
    /// A drive: the name of its case, and the path where it is mounted (repeatable)
    #[arg(long = "drive", value_name = "CASE=PATH", required_unless_present = "close")]
    pub drives: Vec<CasePath>,
    /// Accept folders on this machine's own disks as drives; otherwise a PATH on the disk of SOURCE,
    /// the system or holdall's state is taken for a mount point without its drive
    #[arg(long)]
    pub folder_drives: bool,
    /// Encrypt to this recipient (repeatable)
    #[arg(short, long = "recipient", value_name = "RECIPIENT")]
    pub recipients: Vec<String>,
    /// Encrypt to the recipients in FILE, one per line (repeatable)
    #[arg(short = 'R', long = "recipients-file", value_name = "FILE")]
    pub recipient_files: Vec<PathBuf>,
    /// What may be lost without losing data: cases=N, drives=N, blocks=P% (bad sectors on every
    /// drive), several separated by commas, or none
    #[arg(long, value_name = "RULE")]
    pub survive: Option<String>,
    /// The cipher of the whole shipment; auto is aes256 if this machine's CPU has instructions for
    /// it, else chacha20
    #[arg(long, value_name = "CIPHER", default_value = "chacha20")]
    #[arg(value_parser = PossibleValuesParser::new(CipherChoice::WORDS).try_map(cipher))]
    pub cipher: CipherChoice,
    /// zstd level, 1 to 19; auto compresses as hard as the drives leave time for, so that the stored
    /// bytes depend on how fast they are
    #[arg(long, default_value = "3")]
    pub level: Effort,
    /// Leave out what matches GLOB (repeatable); a pattern without / matches at any depth
    #[arg(long, value_name = "GLOB")]
    pub exclude: Vec<String>,
    /// Do not enter other file systems
    #[arg(long)]
    pub one_file_system: bool,
    /// The dataset's name, in the clear on every drive
    #[arg(long, default_value = "")]
    pub name: String,
    /// Whom to ask about a drive, in the clear on every drive
    #[arg(long, default_value = "", value_name = "TEXT")]
    pub contact: String,
    /// Commit after SIZE on each drive [default: 256 MiB, but no sooner than after 30 seconds]
    #[arg(long, value_name = "SIZE")]
    pub checkpoint: Option<String>,
    /// Do not read everything back at the end
    #[arg(long)]
    pub no_read_back: bool,
    /// Ask nothing: pack what fits now, and the rest on further sets; close without the drives that
    /// are not here
    #[arg(long)]
    pub yes: bool,
    /// what it may use
    #[command(flatten)]
    pub memory: MemoryArg,
    /// Sizes of chunk, block, and blocks per shard, for tests
    #[arg(long, hide = true, value_name = "C,B,N")]
    pub geometry: Option<String>,
}

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

/// repair
#[derive(Args)]
pub struct RepairArgs {
    /// Drives: mount points, or folders below them; without any, all mounted drives
    pub paths: Vec<PathBuf>,
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

/// erase
#[derive(Args)]
pub struct EraseArgs {
    /// Drives: mount points, or folders below them
    #[arg(required = true)]
    pub paths: Vec<PathBuf>,
    /// The set, by the name of its folder, or its shipment if the drives have one set of it
    #[arg(long = "set", value_name = "ID")]
    pub set: String,
    /// Ask nothing
    #[arg(long)]
    pub yes: bool,
}

/// forget
#[derive(Args)]
pub struct ForgetArgs {
    /// The shipment's id, as holdall status lists it
    pub shipment: String,
    /// Ask nothing
    #[arg(long)]
    pub yes: bool,
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

/// restore
#[derive(Args)]
pub struct RestoreArgs {
    /// Drives: mount points, or folders below them; without any, all mounted drives
    pub paths: Vec<PathBuf>,
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
    /// Drives that are not here will never come: restore what can be restored, and end
    #[arg(long)]
    pub give_up: bool,
    /// Leave files that cannot be completed as NAME.incomplete, holes where bytes are missing
    #[arg(long)]
    pub salvage: bool,
    /// Create no devices, and leave out setuid and setgid bits, file capabilities and other system
    /// attributes (security.*, trusted.*): for data from somebody whom you do not trust
    #[arg(long)]
    pub no_special: bool,
    /// With too few ports to reconstruct lost drives: keep in DIR, from each drive in turn, the shards
    /// that reconstruction needs (first attach every drive once without this)
    #[arg(long, value_name = "DIR")]
    pub stage: Option<PathBuf>,
    /// the roots that sets must have
    #[command(flatten)]
    pub expect: ExpectArg,
    /// Write the path of everything that is not there to FILE, one per line
    #[arg(long, value_name = "FILE")]
    pub missing: Option<PathBuf>,
    /// what it may use
    #[command(flatten)]
    pub memory: MemoryArg,
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
    #[arg(long, value_name = "RULE")]
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
    pub topic: Option<String>,
}
