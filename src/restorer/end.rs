//! The end of a run: what is not there, of all sets that this run and earlier ones have seen.
//!
//! - Enters: the ledgers of the sets, the marks of files that cross sets, and the hard links whose
//!   files are not there; which sets have given all that they have.
//! - Leaves: hard links that could be made; with `--salvage` what there is of files that cross sets;
//!   each entry that is missing or was packed badly, told once; their numbers.
//! - Always holds: a path is told once, whatever sets name it, and as waiting only if drives that are
//!   not here would give it.

use super::crossing::{self, Unfinished};
use super::ledger::{self, Fate, Line};
use super::open_file::{left_as, shown_ranges};
use super::{RestoreError, Restored, finish};
use crate::destination::{Destination, DestinationError};
use crate::format::ids::SetNumber;
use crate::format::list::{Entry, shown_path};
use crate::monitor::{Monitor, Problem};
use std::collections::{BTreeMap, BTreeSet};

/// What the end of a run has to know.
pub struct End<'a> {
    /// where it was restored to
    pub destination: &'a Destination,
    /// the sets that were seen
    pub sets: &'a BTreeSet<u32>,
    /// those of them whose drives gave all that they have
    pub is_settled: &'a dyn Fn(u32) -> bool,
    /// nothing of this shipment will come any more
    pub nothing_comes: bool,
    /// what there is of incomplete files is kept
    pub salvage: bool,
}

/// Tells what is not there; the numbers become those of the whole restore so far.
pub fn tell(end: &End, restored: &mut Restored, monitor: &dyn Monitor) -> Result<(), RestoreError> {
    (restored.lost, restored.waiting, restored.refused) = (0, 0, 0);
    (restored.packed_badly, restored.unsupported) = (0, 0);
    let mut told = Telling { restored, end, monitor };
    let mut fates: BTreeMap<String, Fate> = BTreeMap::new();
    let mut links: Vec<Entry> = Vec::new();
    for set in end.sets {
        let (waiting, refused) = finish::waiting_links(end.destination, SetNumber(*set), monitor)?;
        links.extend(waiting);
        for (link, error) in refused {
            told.line(&Line { fate: Fate::Refused, path: link.shown(), detail: error.reason() });
        }
    }
    let targets: BTreeSet<String> = links.iter().map(|link| shown_path(&link.target)).collect();
    for file in crossing::unfinished(end.destination, end.is_settled)? {
        let line = told.unfinished(&file)?;
        fates.insert(line.path.clone(), line.fate);
        told.line(&line);
    }
    for set in end.sets {
        ledger::read(end.destination, SetNumber(*set), &mut |line| {
            if targets.contains(&line.path) {
                fates.insert(line.path.clone(), line.fate);
            }
            told.line(&line);
        })?;
    }
    let otherwise = if end.nothing_comes { Fate::Lost } else { Fate::Waits };
    for link in links {
        let target = shown_path(&link.target);
        let (fate, why) = match fates.get(&target) {
            Some(Fate::Refused) => (Fate::Refused, ", which the destination refused"),
            Some(Fate::Unreadable) => {
                (Fate::Unreadable, ", which could not be read when the dataset was packed")
            }
            Some(fate) => (*fate, ""),
            None => (otherwise, ""),
        };
        let detail = format!("it is a hard link to {target}{why}");
        told.line(&Line { fate, path: link.shown(), detail });
    }
    Ok(())
}

/// Counts and tells.
struct Telling<'a> {
    restored: &'a mut Restored,
    end: &'a End<'a>,
    monitor: &'a dyn Monitor,
}

impl Telling<'_> {
    fn line(&mut self, line: &Line) {
        let given_up = line.fate == Fate::Waits && self.end.nothing_comes;
        let fate = if given_up { Fate::Lost } else { line.fate };
        let r = &mut *self.restored;
        *match fate {
            Fate::Changed | Fate::Unreadable => &mut r.packed_badly,
            Fate::Waits => &mut r.waiting,
            Fate::Refused => &mut r.refused,
            Fate::Unsupported => &mut r.unsupported,
            Fate::Lost => &mut r.lost,
        } += 1;
        self.monitor.problem(Problem::new(fate.kind(), &line.path, &line.detail));
    }

    /// A file that crosses sets and is not whole.
    fn unfinished(&self, file: &Unfinished) -> Result<Line, RestoreError> {
        let waits = file.waits && !self.end.nothing_comes;
        let fate = if waits && !file.lost { Fate::Waits } else { Fate::Lost };
        let mut detail = shown_ranges(&file.missing);
        if waits {
            detail.push_str("; the rest of it lies in other sets, or on drives that are not here");
        }
        let mut left = file.left_as.clone();
        if left.is_none() && self.end.salvage && !waits {
            left = self.salvage(file)?;
        }
        left.iter().for_each(|path| detail.push_str(&left_as(path)));
        Ok(Line { fate, path: file.entry.shown(), detail })
    }

    fn salvage(&self, file: &Unfinished) -> Result<Option<Vec<u8>>, DestinationError> {
        let to = self.end.destination;
        if to.find_shared(&file.name).is_none() {
            return Ok(None);
        }
        let part = to.share_file(&file.name)?;
        part.set_len(file.entry.size)?;
        let path = to.finish_incomplete(part, &file.entry)?;
        crossing::leave(to, file, &path)?;
        Ok(Some(path))
    }
}
