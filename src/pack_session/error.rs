//! Why `pack` ends before its work is done.

use crate::dataset::{FilterError, ScanError, SourceError};
use crate::drives::UnusableDrive;
use crate::format::ids::SetNumber;
use crate::keys::KeyError;
use crate::local_state::LocalStateError;
use crate::opening::own_disks::NoDrive;
use crate::packer::PackError;
use crate::plan::case_path::UnnamedCase;
use crate::plan::room::RoomError;
use crate::plan::survive::Survive;
use crate::shipment::lock::InUse;
use std::io;
use std::path::PathBuf;

/// Why a pack could not be begun, or stopped.
#[derive(Debug, thiserror::Error)]
pub enum PackJobError {
    #[error(transparent)]
    Drive(#[from] UnusableDrive),
    /// Nothing is in progress, or several shipments are.
    #[error("{}", if *count == 0 {
        format!("no shipment {names} is in progress on this machine")
    } else {
        format!("{count} shipments are in progress on this machine: {names}")
    })]
    Which {
        count: usize,
        /// their ids, or the one that was asked for
        names: String,
    },
    /// Nothing is in progress, and nothing shows that anything was done.
    #[error("no shipment is in progress on this machine{}", if *cut_short {
        ": a pack was cut short before its list of entries was done, and nothing of it is on any drive"
    } else {
        ", and these drives carry no set"
    })]
    NothingBegun {
        /// there was one of which nothing was packed
        cut_short: bool,
    },
    /// The set that is not closed cannot be resumed.
    #[error("cannot resume set {set}: {why}")]
    Resume {
        set: String,
        why: String,
        /// what to do about it
        hint: String,
    },
    /// The rule of a set that is begun cannot be changed.
    #[error("set {set} was begun with the rule {rule}, which cannot be changed to {asked}")]
    Rule {
        set: SetNumber,
        rule: String,
        /// what was asked for
        asked: String,
    },
    /// By default the next set would survive less than the one before.
    #[error("these drives can keep {rule}, which is less than the {earlier} of set {set}")]
    Weaker {
        /// the set before
        set: SetNumber,
        /// its rule
        earlier: Survive,
        /// the default for these drives
        rule: Survive,
    },
    /// A drive was named twice.
    #[error("{} was given twice", path.display())]
    DriveTwice { path: PathBuf },
    /// Somebody else is at work on the set.
    #[error(transparent)]
    InUse(#[from] InUse),
    /// No drive is mounted where one was named.
    #[error(transparent)]
    NoDrive(#[from] NoDrive),
    /// The case of a drive was not named.
    #[error(transparent)]
    Unnamed(#[from] UnnamedCase),
    /// A case's name cannot be used.
    #[error("{case:?} is not a name for a case: 1 to 32 letters, digits, '.', '_' or '-'")]
    Case { case: String },
    /// The source lies on a drive, or a drive in the source.
    #[error("{} lies inside {}", inner.display(), outer.display())]
    Inside { inner: PathBuf, outer: PathBuf },
    /// A pattern cannot be used.
    #[error("a pattern after --exclude")]
    Filter(#[from] FilterError),
    /// The source cannot be scanned.
    #[error("scan the source")]
    Scan(#[from] ScanError),
    /// The source cannot be opened.
    #[error("open the source")]
    Source(#[from] SourceError),
    /// It was stopped while the source was scanned.
    #[error("stopped as asked: nothing was written")]
    Stopped,
    /// Something else lies where the source was.
    #[error("{} is not the folder that was scanned, and nothing that is left to pack is in it", path.display())]
    SourceAway { path: PathBuf },
    /// The host's state cannot be kept.
    #[error("keep the list of entries")]
    LocalState(#[from] LocalStateError),
    #[error("there is no plan that keeps the rule {survive}")]
    Plan {
        survive: Survive,
        #[source]
        source: RoomError,
    },
    /// The run key cannot be wrapped.
    #[error("wrap the run key")]
    Key(#[from] KeyError),
    /// The system gives no random bytes.
    #[error("the system gives no random bytes")]
    System(#[from] io::Error),
    #[error("packing stopped")]
    Pack(#[from] PackError),
}

impl PackJobError {
    /// Is another process at work on the shipment?
    pub fn is_busy(&self) -> bool {
        matches!(self, Self::LocalState(LocalStateError::Busy { .. }) | Self::InUse(_))
    }
}
