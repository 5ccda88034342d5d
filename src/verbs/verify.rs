//! `verify`: every block of every shard of every drive, with no key.

use super::open::{self, OpenError};
use crate::drives::{self, ReadMode};
use crate::format::ids::Slot;
use crate::monitor::{Monitor, Phase};
use crate::sets::check::{DriveReport, check_drive};
use crate::sets::damage::{Damage, Verdict};
use crate::sets::papers::check_papers;
use crate::sets::{Book, FoundSet};
use std::path::PathBuf;

/// What was found on one drive.
pub struct DriveOutcome {
    /// its case
    pub case: String,
    /// its slot
    pub slot: Slot,
    /// its name
    pub name: String,
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
}

impl SetOutcome {
    /// Is everything here and as it was written? A set that was never closed is not: nobody can
    /// tell it from a shortened one.
    pub fn is_whole(&self) -> bool {
        let whole = |d: &DriveOutcome| d.report.is_whole() && d.bad_papers == 0;
        self.root.is_some()
            && self.missing.is_empty()
            && self.verdict.restorable()
            && self.drives.iter().all(whole)
    }
}

/// Verifies all sets on these drives.
pub fn verify(paths: &[PathBuf], monitor: &dyn Monitor) -> Result<Vec<SetOutcome>, OpenError> {
    let sets = open::sets(paths, monitor)?;
    Ok(sets.iter().map(|set| verify_set(set, monitor)).collect())
}

fn verify_set(set: &FoundSet, monitor: &dyn Monitor) -> SetOutcome {
    let book = Book::open(set, None, monitor);
    let text = set.set_text(monitor);
    let found: Vec<_> = set.all_drives().cloned().collect();
    let mut expected = vec![0; set.drive_count() as usize + 1];
    book.walk(monitor, |record| {
        for shard in &record.shards {
            if let Some(bytes) = expected.get_mut(shard.slot.0 as usize) {
                *bytes += record.blocks.file_bytes() as u64;
            }
        }
        true
    });
    let bytes = |slot: Slot| expected.get(slot.0 as usize).copied().unwrap_or(0);
    monitor.phase(Phase::Verify, found.iter().map(|d| bytes(d.label.slot)).sum());
    for (i, d) in found.iter().enumerate() {
        let name = format!("{} {}", d.label.case, d.drive.name());
        monitor.drive(i, &name, bytes(d.label.slot));
    }
    let checked = drives::on_each(found.len(), |i| {
        let bad_papers = check_papers(&found[i], set, &book, text.as_ref(), monitor);
        let progress = |bytes: u64| {
            monitor.advance(bytes);
            monitor.drive_advance(i, bytes);
        };
        let report =
            check_drive(&found[i], &set.folder, &book, ReadMode::Medium, monitor, &progress);
        (report, bad_papers)
    });
    let missing = set.missing_slots();
    let mut damage = Damage { lost: missing.iter().copied().collect(), ..Damage::default() };
    let mut outcomes = Vec::new();
    for (i, (found, (report, bad_papers))) in found.iter().zip(checked).enumerate() {
        // A double is an alternate source: what it lacks, the first of its slot may have.
        if i < set.drives.len() {
            if report.vanished {
                damage.lost.insert(found.label.slot);
            }
            for (stripe, index, bad) in &report.bad {
                damage.add(*stripe, *index, bad.clone());
            }
        }
        outcomes.push(DriveOutcome {
            case: found.label.case.clone(),
            slot: found.label.slot,
            name: found.drive.name().into(),
            report,
            bad_papers,
        });
    }
    SetOutcome {
        name: set.name(),
        survive: set.label().survive.clone(),
        drive_count: set.drive_count(),
        drives: outcomes,
        missing,
        verdict: damage.judge(&book, monitor),
        root: text.map(|t| blake3::Hash::from_bytes(t.root()).to_hex().to_string()),
    }
}
