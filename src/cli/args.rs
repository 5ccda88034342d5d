//! What was typed.

pub mod aside;
pub mod common;
pub mod inspect;
pub mod pack;
pub mod plan;
pub mod remove;
pub mod repair;
pub mod report;
pub mod restore;

use aside::{BenchArgs, CompletionsArgs, DemoArgs, HelpArgs, KeygenArgs, ManArgs};
use clap::{Parser, Subcommand};
use common::ShipmentArg;
use inspect::{DrivesArgs, LsArgs, StatusArgs, VerifyArgs};
use pack::{CloseArgs, PackArgs, ResumeArgs};
use plan::PlanArgs;
use remove::{EraseArgs, ForgetArgs};
use repair::RepairArgs;
use report::ReportArgs;
use restore::RestoreArgs;
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
    /// Append all messages to FILE, and the progress now and then
    #[arg(long, value_name = "FILE", global = true, display_order = 100)]
    pub log_file: Option<PathBuf>,
    /// Run CMD when drives must be changed, and at the end
    #[arg(long, value_name = "CMD", global = true, display_order = 100)]
    pub on_event: Option<String>,
}

/// The commands.
#[derive(Subcommand)]
pub enum Command {
    /// Make an identity: a secret key, and the recipient that belongs to it
    #[command(after_help = "Example:
  holdall keygen -o me.key   prints the recipient; keep me.key at home")]
    Keygen(KeygenArgs),
    /// List the drives that are attached: size, connection, health, and the sets on them
    #[command(after_help = "Example:
  holdall drives            all mounted drives but the system's own
  holdall drives /mnt/nas   a network mount is listed if it is named")]
    Drives(DrivesArgs),
    /// Before packing or buying drives: does it fit, what may be lost, how long does it take
    #[command(after_help = "Example:
  holdall plan photos --drive a=/media/usb1 --drive b=/media/usb2
  holdall plan photos --drive-size 2TB --cases 3   how many drives are needed
  holdall plan --size 80TB --files 20M --drive-size 2TB --cases 4 \\
      --drives-per-case 15
  holdall plan photos --inventory drives.csv --ports 8 --survive cases=1
  holdall plan photos --drive a=/media/usb1 --drive b=/media/usb2 --estimate")]
    #[command(override_usage = "holdall plan SOURCE --drive CASE=PATH... [OPTIONS]
       holdall plan SOURCE --drive-size SIZE --cases N [--drives-per-case N] [OPTIONS]
       holdall plan SOURCE --inventory FILE [OPTIONS]
       holdall plan --size SIZE [--files N] ...")]
    Plan(PlanArgs),
    /// Pack a dataset onto drives
    #[command(after_help = "Example:
  holdall pack photos --drive a=/media/usb1 --drive a=/media/usb2 \\
      --drive b=/media/usb3 --drive b=/media/usb4 --survive cases=1 -r age1...")]
    #[command(override_usage = "holdall pack SOURCE [--drive CASE=PATH]... -r RECIPIENT [OPTIONS]")]
    Pack(PackArgs),
    /// Resume a shipment in progress: pack the next set, or the rest of one after a crash
    #[command(after_help = "Example:
  holdall resume --drive a=/media/usb5 --drive b=/media/usb6")]
    #[command(override_usage = "holdall resume [SHIPMENT] [--drive CASE=PATH]... [OPTIONS]")]
    Resume(ResumeArgs),
    /// Close a set early, with what is on its drives; needs no key
    #[command(after_help = "Example:
  holdall close /media/usb5 /media/usb6   without paths: all mounted drives")]
    Close(CloseArgs),
    /// Check every block of every shard on drives; needs no key
    #[command(after_help = "Example:
  holdall verify /media/usb1 /media/usb2      without paths: all mounted drives
  holdall verify -i me.key                    also opens and decodes every file
  holdall verify -i me.key --against photos   is photos what was packed?")]
    Verify(VerifyArgs),
    /// Repair drives in place, and reconstruct lost ones on new drives; needs no key
    #[command(after_help = "Example:
  holdall repair /media/usb1 /media/usb2 /media/usb3
  holdall repair /media/usb1 /media/usb2 --onto c=/media/new")]
    Repair(RepairArgs),
    /// Restore a dataset from whatever drives are attached
    #[command(after_help = "Example:
  holdall restore /media/usb1 /media/usb2 -i me.key --to photos-again
  holdall restore -i me.key --to march --include 2026/march --exclude '*.tmp'")]
    Restore(RestoreArgs),
    /// List the entries of a dataset, from any one drive of each set
    #[command(after_help = "Example:
  holdall ls /media/usb1 -i me.key --in 2026/march")]
    Ls(LsArgs),
    /// Show which drives of which set are attached, what is missing, and what can be restored
    #[command(after_help = "Example:
  holdall status                     all drives, and what is in progress here
  holdall status --to photos-again   a restore in progress: what it waits for")]
    Status(StatusArgs),
    /// Make a page to print: drive labels, packing lists, what may be lost; needs no key
    #[command(after_help = "Example:
  holdall report /media/usb1 /media/usb2 -o survey.html
  holdall report -o labels.html --labels   the labels alone, of all drives")]
    Report(ReportArgs),
    /// Remove a set from drives, by its name, and nothing else
    #[command(after_help = "Example:
  holdall status /media/usb1   says which sets lie there
  holdall erase /media/usb1 /media/usb2 --set 0123456789abcdef-001")]
    Erase(EraseArgs),
    /// Drop what this machine keeps of a shipment in progress; nothing on drives changes
    #[command(after_help = "Example:
  holdall status   lists the shipments in progress here
  holdall forget 0123456789abcdef")]
    Forget(ForgetArgs),
    /// Measure this machine and these drives, and predict how long a shipment takes
    #[command(after_help = "Example:
  holdall bench photos --drive /media/usb1 --drive /media/usb2
  holdall bench --for 80TB --drives 60 --ports 16 --cases 4")]
    Bench(BenchArgs),
    /// Show the whole journey on small data: pack, lose a case, verify, restore
    #[command(after_help = "Example:
  holdall demo                in a temporary folder, removed afterwards
  holdall demo /tmp/journey   in a folder that stays")]
    Demo(DemoArgs),
    /// Print the help of a command, or a page on a topic
    #[command(after_help = "Example:
  holdall help           lists the commands and the topics
  holdall help survive   which rule to choose")]
    Help(HelpArgs),
    /// Print the completions of a shell, to be kept where it looks for them
    #[command(after_help = "Example:
  mkdir -p ~/.local/share/bash-completion/completions
  holdall completions bash > ~/.local/share/bash-completion/completions/holdall
  holdall completions zsh > ~/.zfunc/_holdall   with ~/.zfunc in fpath
  holdall completions fish > ~/.config/fish/completions/holdall.fish")]
    Completions(CompletionsArgs),
    /// Write the manual pages of all commands
    #[command(after_help = "Example:
  holdall man ~/.cargo/share/man/man1   then: man holdall-pack")]
    Man(ManArgs),
    /// Print the version
    #[command(after_help = "Example:
  holdall version   as holdall --version does")]
    Version,
}

impl Command {
    /// Which of several shipments it is to take, and the drives that it was given.
    pub fn shipment(&mut self) -> Option<(&ShipmentArg, &mut Vec<PathBuf>)> {
        match self {
            Self::Close(CloseArgs { which, paths, .. })
            | Self::Verify(VerifyArgs { which, paths, .. })
            | Self::Repair(RepairArgs { which, paths, .. })
            | Self::Restore(RestoreArgs { which, paths, .. })
            | Self::Ls(LsArgs { which, paths, .. })
            | Self::Status(StatusArgs { which, paths, .. })
            | Self::Report(ReportArgs { which, paths, .. }) => Some((which, paths)),
            _ => None,
        }
    }
}
