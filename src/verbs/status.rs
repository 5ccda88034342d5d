//! `status`: which drives of which sets are here, what is missing, and can it be restored; reads
//! labels and records only. A drive of which nothing can be read counts as one that is not here.

use super::open::{self, OpenError};
use crate::format::ids::Slot;
use crate::monitor::Monitor;
use crate::sets::check::silent;
use crate::sets::damage::{Judge, Verdict, absent};
use crate::sets::papers::{key_files, keyless};
use crate::sets::together::{Groups, Together};
use crate::sets::{Book, FoundSet};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::ptr;

/// What a set says of its own end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// it was never closed
    Open,
    /// it was closed from its drives alone: nobody knew if more was to follow
    Unknown,
    /// the shipment has further sets
    Further,
    /// it is the last of its shipment
    Last,
}

/// What is here of one set.
pub struct SetStatus {
    /// the set's name
    pub name: String,
    /// the dataset's name
    pub dataset: String,
    /// when its label was written
    pub created: String,
    /// the rule it was packed under
    pub survive: String,
    /// drives of the set in all
    pub drive_count: u16,
    /// slot, case and path of the drives that are here
    pub drives: Vec<(Slot, String, String)>,
    /// slot and case (if set.txt tells it) of those that are not
    pub missing: Vec<(Slot, Option<String>)>,
    /// was the set closed, and is it the last of its shipment
    pub end: End,
    /// can it be restored
    pub verdict: Verdict,
    /// which drives have to be attached together
    pub together: Vec<Together>,
    /// bytes of shards in the set
    pub bytes: u64,
}

/// The status of all sets on these drives.
pub fn status(paths: &[PathBuf], monitor: &dyn Monitor) -> Result<Vec<SetStatus>, OpenError> {
    status_of(&open::sets(paths, monitor)?, monitor)
}

/// The status of sets that were found.
pub fn status_of(sets: &[FoundSet], monitor: &dyn Monitor) -> Result<Vec<SetStatus>, OpenError> {
    let mut out = Vec::new();
    for set in sets {
        let book = Book::open(set, None, monitor);
        let text = set.set_text(monitor);
        let silent = silent(set, monitor);
        let here = || set.all_drives().filter(|d| silent.iter().all(|s| !ptr::eq(*s, *d)));
        let mut absent = absent(set);
        let no_longer = silent.iter().map(|d| d.label.slot);
        absent.lost.extend(no_longer.filter(|slot| here().all(|d| d.label.slot != *slot)));
        absent.lost.remove(&Slot(0));
        let (mut judge, mut groups) = (Judge::new(&absent, &book), Groups::new(&absent.lost));
        let mut bytes = 0;
        book.walk(monitor, |record| {
            bytes += (record.shards.len() * record.blocks.file_bytes()) as u64;
            judge.add(record);
            groups.add(record);
            !monitor.should_stop()
        });
        if monitor.should_stop() {
            return Err(OpenError::Stopped);
        }
        let mut cases: BTreeMap<Slot, String> = BTreeMap::new();
        if let Some(text) = &text {
            cases.extend(text.slots.iter().filter_map(|s| Some((s.slot, s.known_case()?))));
        }
        let label = set.label();
        out.push(SetStatus {
            name: set.name(),
            dataset: label.name.clone(),
            created: label.created.clone(),
            survive: label.survive.clone(),
            drive_count: set.drive_count(),
            drives: here()
                .map(|d| (d.label.slot, d.label.case.clone(), d.drive.name().to_string()))
                .collect(),
            missing: absent.lost.iter().map(|s| (*s, cases.get(s).cloned())).collect(),
            end: match text.map(|t| t.further_sets()) {
                None => End::Open,
                Some(None) => End::Unknown,
                Some(Some(true)) => End::Further,
                Some(Some(false)) => End::Last,
            },
            verdict: judge.end().without_keys(&book, keyless(set, &book, &key_files(set))),
            together: groups.end(),
            bytes,
        });
    }
    Ok(out)
}
