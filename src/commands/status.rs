//! `status`: which drives of which sets are here, what is missing, and can it be restored; reads
//! labels and records only. A drive of which nothing can be read counts as one that is not here.

use super::custody::history;
use crate::check::damage::{Damage, Judge, Verdict};
use crate::check::drive::silent;
use crate::drives::on_each;
use crate::format::custody::CustodyNote;
use crate::format::ids::{SetNumber, Slot};
use crate::format::set::SetText;
use crate::metadata_files::expected::MetadataFiles;
use crate::metadata_files::inspect::keyless;
use crate::metadata_files::key_files::{key_files, report_different};
use crate::metadata_files::rejected::report_rejected_copies_keyless;
use crate::monitor::{Monitor, Unreported};
use crate::opening::foreign;
use crate::opening::open::{self, OpenError};
use crate::shipment::slots::{AttachedDrive, MissingSlot};
use crate::shipment::{FoundDrive, FoundSet, RecordIndex};
use crate::stripes::together::{Groups, Together};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::ptr;

/// Bytes of record files that are read of each drive; of those that are more, one copy is.
const MOST_RECORD_BYTES: u64 = 64 << 20;

/// What a set says of its own end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetEnd {
    /// it was never closed
    Open,
    /// it was closed from its drives alone: nobody knew if more was to follow
    Unknown,
    /// the shipment has further sets
    Further,
    /// it is the last of its shipment
    Last,
}

#[derive(Serialize)]
pub struct SetStatus {
    #[serde(rename = "set")]
    pub name: String,
    #[serde(skip)]
    pub number: SetNumber,
    /// the dataset's name
    #[serde(rename = "name")]
    pub dataset: String,
    /// when its label was written
    pub created: String,
    /// the rule it was packed under
    pub survive: String,
    /// the drives that are here
    pub drives: Vec<AttachedDrive>,
    /// those that are not
    pub missing: Vec<MissingSlot>,
    /// was the set closed, and is it the last of its shipment
    #[serde(skip)]
    pub end: SetEnd,
    /// another set of its shipment says that it is none
    #[serde(rename = "foreign")]
    pub is_foreign: bool,
    /// the program that is at work on it now, if it is not closed
    pub in_use: Option<String>,
    /// can it be restored
    #[serde(skip)]
    pub verdict: Verdict,
    /// which drives have to be attached together
    pub together: Vec<Together>,
    /// the newest custody note
    #[serde(skip)]
    pub last_note: Option<CustodyNote>,
    /// bytes of shards in the set
    pub bytes: u64,
    /// and of each of its drives
    #[serde(skip)]
    pub slot_bytes: BTreeMap<Slot, u64>,
    /// its set.txt, if it was closed
    #[serde(skip)]
    pub text: Option<SetText>,
}

/// The status of all sets on these drives.
pub fn status(paths: &[PathBuf], monitor: &dyn Monitor) -> Result<Vec<SetStatus>, OpenError> {
    status_of(&open::sets(paths, monitor)?, monitor)
}

pub fn status_of(sets: &[FoundSet], monitor: &dyn Monitor) -> Result<Vec<SetStatus>, OpenError> {
    let foreign = foreign::foreign(sets, monitor);
    let status = |(set, is_foreign): (&FoundSet, bool)| {
        let usual = status_by(set, monitor)?;
        if usual.verdict.restorable() {
            return Ok(SetStatus { is_foreign, ..usual });
        }
        // Only the drives can tell which set.txt counts, and as many have another.
        let by_rivals =
            set.rivals().into_iter().map(|rival| status_by(&rival, &Unreported(monitor)));
        let by_rivals = by_rivals.collect::<Result<Vec<_>, _>>()?;
        let rival = by_rivals.into_iter().find(|status| status.verdict.restorable());
        Ok(SetStatus { is_foreign, ..rival.unwrap_or(usual) })
    };
    sets.iter().zip(foreign).map(status).collect()
}

fn status_by(set: &FoundSet, monitor: &dyn Monitor) -> Result<SetStatus, OpenError> {
    let record_index = RecordIndex::open(set, None, monitor);
    let text = set.set_text(monitor);
    let silent = silent(set, monitor);
    let here = || set.all_drives().filter(|d| silent.iter().all(|s| !ptr::eq(*s, *d)));
    let mut absent = Damage::absent(set, text.as_ref());
    let no_longer = silent.iter().map(|d| d.label.slot);
    absent.lost.extend(no_longer.filter(|slot| here().all(|d| d.label.slot != *slot)));
    absent.lost.remove(&Slot(0));
    let keys = key_files(set, &record_index);
    let files =
        MetadataFiles { set, record_index: &record_index, text: text.as_ref(), keys: &keys };
    let drives: Vec<&FoundDrive> = here().collect();
    let lacking = on_each(drives.len(), |i| files.lacking(drives[i], MOST_RECORD_BYTES, monitor));
    let slots = drives.iter().map(|found| found.label.slot);
    absent.add_lacking(&slots.zip(&lacking).collect::<Vec<_>>());
    absent.holders.extend(files.key_holders());
    let in_use = if text.is_none() { set.in_use_by() } else { None };
    let (mut judge, mut groups) = (Judge::new(&absent, &record_index), Groups::new(&absent.lost));
    let mut slot_bytes: BTreeMap<Slot, u64> = BTreeMap::new();
    record_index.walk(monitor, |record| {
        for shard in &record.shards {
            *slot_bytes.entry(shard.slot).or_default() += record.blocks.file_bytes() as u64;
        }
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
    let of_case = |s: &Slot| MissingSlot { slot: *s, case: cases.get(s).cloned() };
    let label = set.label();
    report_different(set, &keys, monitor);
    report_rejected_copies_keyless(set, text.as_ref(), &keys, monitor);
    Ok(SetStatus {
        name: set.name(),
        number: set.set,
        dataset: label.name.clone(),
        created: label.created.clone(),
        survive: label.survive.clone(),
        drives: here().map(AttachedDrive::from).collect(),
        missing: absent.lost.iter().map(of_case).collect(),
        end: match text.as_ref().map(SetText::further_sets) {
            None => SetEnd::Open,
            Some(None) => SetEnd::Unknown,
            Some(Some(true)) => SetEnd::Further,
            Some(Some(false)) => SetEnd::Last,
        },
        is_foreign: false,
        in_use,
        verdict: judge.end().without_keys(&record_index, keyless(set, &record_index, &keys)),
        together: groups.end(),
        last_note: history(set).notes.pop(),
        bytes: slot_bytes.values().sum(),
        slot_bytes,
        text,
    })
}
