//! `verify`: every block of every shard of every drive, with no key. (With one, see
//! [`super::decode`].)

use super::open::{self, OpenError};
use crate::drives::{self, Level, ReadMode};
use crate::format::ids::Slot;
use crate::format::set::SetText;
use crate::monitor::{Monitor, Phase};
use crate::restorer::check::Decoded;
use crate::sets::check::{DriveReport, check_drive, shard_bytes};
use crate::sets::damage::{Damage, Verdict};
use crate::sets::papers::{check_papers, key_files};
use crate::sets::{Book, FoundSet};
use std::collections::BTreeSet;
use std::path::PathBuf;

/// What was found on one drive.
pub struct DriveOutcome {
    /// its case
    pub case: String,
    /// its slot
    pub slot: Slot,
    /// its name
    pub name: String,
    /// another drive of its slot is here: both are sources of the same shards
    pub double: bool,
    /// its shards
    pub report: DriveReport,
    /// files other than shards that are damaged or missing
    pub bad_papers: u64,
}

/// What was found of one set.
pub struct SetOutcome {
    /// the set's name
    pub name: String,
    /// the rule it was packed under
    pub survive: String,
    /// drives of the set in all
    pub drive_count: u16,
    /// drives that are here
    pub drives: Vec<DriveOutcome>,
    /// slots that are not here
    pub missing: Vec<Slot>,
    /// what it means
    pub verdict: Verdict,
    /// BLAKE3 of set.txt in hexadecimal, if the set was closed
    pub root: Option<String>,
    /// what decoding everything showed, if there was a key
    pub decoded: Option<Decoded>,
}

impl SetOutcome {
    /// Is everything here and as it was written? A set that was never closed is not: nobody can
    /// tell it from a shortened one.
    pub fn is_whole(&self) -> bool {
        let whole = |d: &DriveOutcome| d.report.is_whole() && d.bad_papers == 0;
        let decoded = |d: &Decoded| d.is_complete() && d.catalog_agrees == Some(true);
        self.root.is_some()
            && self.missing.is_empty()
            && self.is_restorable()
            && self.drives.iter().all(whole)
            && self.decoded.as_ref().is_none_or(decoded)
    }

    /// Was everything that is here read past the caches, and is it as it was written?
    pub fn is_proven(&self) -> bool {
        let good = |d: &DriveOutcome| {
            d.report.is_whole() && d.bad_papers == 0 && d.report.level >= Level::Dropped
        };
        self.root.is_some() && self.drives.iter().all(good)
    }

    /// Can everything be restored from the drives that are here? Not known, and so no, if it was
    /// stopped.
    pub fn is_restorable(&self) -> bool {
        self.verdict.restorable()
            && !self.drives.iter().any(|d| d.report.stopped)
            && self.decoded.as_ref().is_none_or(Decoded::is_complete)
    }
}

/// Verifies all sets on these drives.
pub fn verify(paths: &[PathBuf], monitor: &dyn Monitor) -> Result<Vec<SetOutcome>, OpenError> {
    Ok(verify_sets(&open::sets(paths, monitor)?, monitor))
}

/// Verifies sets that were found.
pub fn verify_sets(sets: &[FoundSet], monitor: &dyn Monitor) -> Vec<SetOutcome> {
    note_shipments(sets, monitor);
    let verify = |set| verify_set(set, &Book::open(set, None, monitor), monitor);
    sets.iter().map(verify).collect()
}

/// Says so if the drives are of several shipments.
pub fn note_shipments(sets: &[FoundSet], monitor: &dyn Monitor) {
    let shipments: BTreeSet<_> = sets.iter().map(|s| s.shipment.to_string()).collect();
    if shipments.len() > 1 {
        let names: Vec<_> = shipments.into_iter().collect();
        monitor.note(&format!(
            "drives of {} shipments are mixed here, each is verified for itself: {}",
            names.len(),
            names.join(", ")
        ));
    }
}

/// Verifies one set by its records.
pub fn verify_set(set: &FoundSet, book: &Book, monitor: &dyn Monitor) -> SetOutcome {
    let text = set.set_text(monitor);
    let drives = check_drives(set, book, text.as_ref(), monitor);
    let missing = set.missing_slots();
    let mut damage = Damage { lost: missing.iter().copied().collect(), ..Damage::default() };
    let slots: BTreeSet<Slot> = drives.iter().map(|d| d.slot).collect();
    for slot in slots {
        let of_slot = drives.iter().filter(|d| d.slot == slot);
        damage.add_slot(slot, of_slot.map(|d| &d.report));
    }
    SetOutcome {
        name: set.name(),
        survive: set.label().survive.clone(),
        drive_count: set.drive_count(),
        drives,
        missing,
        verdict: damage.judge(book, monitor),
        root: text.map(|t| blake3::Hash::from_bytes(t.root()).to_hex().to_string()),
        decoded: None,
    }
}

/// Reads and checks all drives of a set at the same time.
fn check_drives(
    set: &FoundSet,
    book: &Book,
    text: Option<&SetText>,
    monitor: &dyn Monitor,
) -> Vec<DriveOutcome> {
    let found: Vec<_> = set.all_drives().cloned().collect();
    let expected = shard_bytes(set, book, monitor);
    let bytes = |slot: Slot| expected.get(slot.0 as usize).copied().unwrap_or(0);
    monitor.phase(Phase::Verify, found.iter().map(|d| bytes(d.label.slot)).sum());
    for (i, d) in found.iter().enumerate() {
        let name = format!("{} {}", d.label.case, d.drive.name());
        monitor.drive(i, &name, bytes(d.label.slot));
    }
    let keys = key_files(set);
    let checked = drives::on_each(found.len(), |i| {
        let bad_papers = check_papers(&found[i], set, book, text, &keys, monitor);
        let progress = |bytes: u64| {
            monitor.advance(bytes);
            monitor.drive_advance(i, bytes);
        };
        let report =
            check_drive(&found[i], &set.folder, book, ReadMode::Medium, monitor, &progress);
        (report, bad_papers)
    });
    let slot = |i: usize| found[i].label.slot;
    let outcome = |(i, (report, bad_papers)): (usize, (DriveReport, u64))| DriveOutcome {
        case: found[i].label.case.clone(),
        slot: slot(i),
        name: found[i].drive.name().into(),
        double: (0..found.len()).any(|other| other != i && slot(other) == slot(i)),
        report,
        bad_papers,
    };
    checked.into_iter().enumerate().map(outcome).collect()
}
