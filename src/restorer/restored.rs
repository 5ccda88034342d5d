//! What a restore of sets has achieved, in counts, under the names of `--json`.

use super::fate::Fate;
use super::needed::NeededDrives;
use super::packing_faults::Bounds;
use super::special::Specials;
use crate::destination::MetadataProblem;
use crate::format::list::{Entry, Kind};
use crate::stripes::stripe::Reconstructed;
use serde::Serialize;
use std::collections::BTreeSet;

#[allow(clippy::struct_excessive_bools, reason = "each is a matter of its own")]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Restored {
    /// entries now in place
    pub entries: u64,
    /// files among them
    pub files: u64,
    /// bytes of these files
    pub file_bytes: u64,
    /// files that were there already, from the run before
    #[serde(skip)]
    pub already: u64,
    /// blocks reconstructed from parity
    #[serde(flatten)]
    pub reconstructed: Reconstructed,
    /// files that cannot be had from any drive, or were given up
    pub lost: u64,
    /// files that wait for drives that are not here
    pub waiting: u64,
    /// files, folders and links that the destination does not take
    pub refused: u64,
    /// of these, those whose names alone it does not take
    pub refused_names: u64,
    /// pipes, devices and sockets that it does not take
    pub unsupported: u64,
    /// folders and hard links that were there already
    #[serde(skip)]
    pub known: u64,
    /// what the files wait for
    #[serde(skip)]
    pub needed: BTreeSet<NeededDrives>,
    /// they wait for more than that
    #[serde(skip)]
    pub more_needed: bool,
    /// lists of files that could not be had: there may be more that nothing names
    #[serde(skip)]
    pub unlisted: u64,
    /// some of those lists lie on drives that are not here
    #[serde(skip)]
    pub lists_wait: bool,
    /// entries whose metadata could not all be set
    pub metadata_problems: u64,
    /// files that were packed while they changed, or could not be packed
    pub packed_badly: u64,
    /// entries that the packer could not look at, or not list, or of which it left out attributes
    pub not_taken: u64,
    /// devices, set-id bits and capabilities that were made
    #[serde(skip)]
    pub made: Specials,
    /// what was left out of these and of other attributes, as asked
    #[serde(skip)]
    pub left: Specials,
    /// the catalog could not be read; the lists in the shards were used
    pub from_lists: bool,
    /// every list of files that it came to could be read
    #[serde(skip)]
    pub listed: bool,
    /// a set was never closed, or closed from its drives alone: nobody knows if more was to follow
    pub end_unknown: bool,
    /// it was stopped before its end
    pub stopped: bool,
    /// the destination refused a file of which other sets have parts
    #[serde(skip)]
    pub refused_parts: bool,
    /// where the set meets those before and after it, if it came to its end
    #[serde(skip)]
    pub bounds: Bounds,
}

impl Restored {
    /// Adds what was restored of another set.
    pub fn add(&mut self, other: &Self) {
        self.entries += other.entries;
        self.files += other.files;
        self.file_bytes = self.file_bytes.saturating_add(other.file_bytes);
        self.already += other.already;
        self.reconstructed.add(other.reconstructed);
        self.lost += other.lost;
        self.waiting += other.waiting;
        self.refused += other.refused;
        self.unsupported += other.unsupported;
        self.known += other.known;
        self.unlisted += other.unlisted;
        self.lists_wait |= other.lists_wait;
        self.metadata_problems += other.metadata_problems;
        self.packed_badly += other.packed_badly;
        self.not_taken += other.not_taken;
        self.made.add(other.made);
        self.left.add(other.left);
        self.from_lists |= other.from_lists;
        self.end_unknown |= other.end_unknown;
        self.stopped |= other.stopped;
    }

    /// Counts what an earlier walk of this run has restored, which this one found in place; in a
    /// run that is the first, that is all there is.
    pub(super) fn count_begun(&mut self, begun: &Self, is_first: bool) {
        if is_first {
            self.entries += std::mem::take(&mut self.already) + std::mem::take(&mut self.known);
        } else {
            let folders = self.known.saturating_sub(begun.known);
            self.known -= folders;
            self.already = self.already.saturating_sub(begun.entries.saturating_sub(folders));
            self.entries += begun.entries;
        }
        self.files += begun.files;
        self.file_bytes = self.file_bytes.saturating_add(begun.file_bytes);
    }

    /// Counts an entry whose metadata was not all kept; the destination keeps the kinds, which are
    /// reported at the end.
    pub(super) fn count_metadata(&mut self, problems: &[MetadataProblem]) {
        self.metadata_problems += u64::from(!problems.is_empty());
    }

    /// Counts an entry that the destination does not take: no drive is at fault.
    pub(super) fn refuse(&mut self, entry: &Entry) -> Fate {
        if matches!(entry.kind, Kind::File | Kind::Folder | Kind::HardLink | Kind::Symlink) {
            self.refused += 1;
            return Fate::Refused;
        }
        self.unsupported += 1;
        Fate::Unsupported
    }

    /// Is every entry in place, as far as the destination takes it?
    pub fn is_complete(&self) -> bool {
        self.lost + self.waiting + self.unlisted == 0 && !self.stopped
    }
}
