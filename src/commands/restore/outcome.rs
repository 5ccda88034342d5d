//! What came of a restore.

use crate::destination::Unkept;
use crate::format::ids::SetNumber;
use crate::opening::unlock::SetRoot;
use crate::restore_journal::next_step::NextStep;
use crate::restorer::Restored;
use crate::shipment::slots::MissingSlot;
use serde::Serialize;

#[allow(clippy::struct_excessive_bools, reason = "each is a matter of its own")]
#[derive(Default, Serialize)]
pub struct RestoreOutcome {
    /// all sets together
    #[serde(flatten)]
    pub restored: Restored,
    /// drives that are not here
    pub missing: Vec<MissingDrive>,
    /// of sets that wait: the smallest next step
    pub next: Vec<NextStep>,
    /// records of some set are missing or contradict each other
    #[serde(skip)]
    pub gaps: bool,
    /// sets that drives which are not here would bring on, by number
    #[serde(rename = "awaited_sets")]
    pub awaited: Vec<u32>,
    /// of these, sets that another process is restoring to the same folder
    #[serde(rename = "in_use_sets")]
    pub in_use: Vec<u32>,
    /// the last of them stands for all that follow
    pub awaited_more: bool,
    /// of some of these no run has come to its end, so that not every missing file is listed
    #[serde(skip)]
    pub unseen: bool,
    /// what is not here was given up
    #[serde(skip)]
    pub given_up: bool,
    /// what the destination did not keep, by kind
    #[serde(skip)]
    pub unkept: Vec<Unkept>,
    /// an earlier run could not set all metadata
    #[serde(skip)]
    pub metadata_before: bool,
    /// it was finished before: going by names, sizes and times alone, what is there is as packed
    pub in_place: bool,
    /// with it: the files have other times than they were packed with
    pub untimed: bool,
    /// entries that have other names than their own, as `--map-names` asks
    pub mapped_names: u64,
    /// entries whose names Windows cannot open, on a file system that it reads
    pub foreign_names: u64,
    /// the first of them
    #[serde(skip)]
    pub first_foreign: Option<String>,
    /// it came to its end: DIR/.holdall is removed
    #[serde(skip)]
    pub has_ended: bool,
    /// owners were not set, since we are not root
    #[serde(skip)]
    pub owners_left: bool,
    /// extended attributes that were not set, since we are not root
    #[serde(skip)]
    pub attributes_left: u64,
    /// it went on with an earlier restore
    #[serde(skip)]
    pub resumed: bool,
    /// the options that said what to restore; none: everything
    pub selection: Option<String>,
    /// with them: the entries of the sets that are here, if their catalogs say how many
    pub of_entries: Option<u64>,
    /// a root was expected, so that it is known whose these sets are
    #[serde(skip)]
    pub expected: bool,
    /// nobody vouches for the end of a set: DIR/.holdall stays, and drives that were not here may
    /// bring more
    #[serde(skip)]
    pub stays_open: bool,
    /// the roots of the sets that were believed to be closed
    pub roots: Vec<SetRoot>,
}

impl RestoreOutcome {
    /// Is everything in place?
    pub fn is_complete(&self) -> bool {
        self.restored.is_complete() && !self.gaps && self.awaited.is_empty()
    }

    /// Do the problems name everything that is not there?
    pub fn is_list_complete(&self) -> bool {
        let r = &self.restored;
        let is_whole = r.unlisted == 0 && !self.gaps && !r.stopped;
        is_whole && !self.unseen && self.in_use.is_empty()
    }
}

/// A drive of one of its sets that is not here.
#[derive(Serialize)]
pub struct MissingDrive {
    pub set: SetNumber,
    #[serde(flatten)]
    pub drive: MissingSlot,
}
