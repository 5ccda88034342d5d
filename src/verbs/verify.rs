//! `verify`: every block of every shard of every drive, or in haste a sample of them, with no key.
//! (With one, see [`super::decode`].)

use super::open::{self, OpenError};
use crate::drives::{self, Level, ReadMode};
use crate::format::ids::Slot;
use crate::format::set::SetText;
use crate::monitor::{Monitor, Phase};
use crate::restorer::check::Decoded;
use crate::sets::check::{Depth, DriveReport, ReadBefore, check_drive_by, shard_bytes};
use crate::sets::damage::{Damage, Verdict};
use crate::sets::papers::{check_papers, key_files, keyless};
use crate::sets::reading::Haste;
use crate::sets::sample::Sample;
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
    /// bytes to be read of its shards
    pub expected_bytes: u64,
    /// files other than shards that are damaged or missing
    pub bad_papers: u64,
}

impl DriveOutcome {
    /// Is everything on it as it was written?
    pub fn is_whole(&self) -> bool {
        self.report.is_whole() && self.bad_papers == 0
    }

    /// Was it read to its end, and is something on it not as it was written?
    pub fn is_damaged(&self) -> bool {
        !self.is_whole() && !self.report.vanished && !self.report.stopped
    }
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
        let decoded = |d: &Decoded| d.is_complete() && d.catalog_agrees == Some(true);
        self.root.is_some()
            && self.missing.is_empty()
            && self.is_restorable()
            && self.drives.iter().all(DriveOutcome::is_whole)
            && self.decoded.as_ref().is_none_or(decoded)
    }

    /// Was everything that is here read past the caches, and is it as it was written?
    pub fn is_proven(&self) -> bool {
        let good = |d: &DriveOutcome| {
            d.is_whole() && d.report.level >= Level::Dropped && d.report.sampled_blocks.is_none()
        };
        self.root.is_some() && self.drives.iter().all(good)
    }

    /// Was the reading stopped before its end?
    pub fn is_stopped(&self) -> bool {
        self.drives.iter().any(|d| d.report.stopped)
    }

    /// Is all that was read as it was written?
    pub fn is_sound_so_far(&self) -> bool {
        let sound = |d: &DriveOutcome| {
            let report = DriveReport { stopped: false, ..d.report.clone() };
            report.is_whole() && d.bad_papers == 0
        };
        self.drives.iter().all(sound)
    }

    /// Can everything be restored from the drives that are here? Not known, and so no, if it was
    /// stopped.
    pub fn is_restorable(&self) -> bool {
        self.verdict.restorable()
            && !self.is_stopped()
            && self.decoded.as_ref().is_none_or(Decoded::is_complete)
    }
}

/// Verifies all sets on these drives.
pub fn verify(paths: &[PathBuf], monitor: &dyn Monitor) -> Result<Vec<SetOutcome>, OpenError> {
    Ok(verify_sets(&open::sets(paths, monitor)?, monitor))
}

/// Verifies all sets on these drives by their papers, the presence and length of every shard, and a
/// random sample of blocks, which the seed decides: see [`crate::sets::sample`].
pub fn verify_quickly(
    paths: &[PathBuf],
    seed: [u8; 32],
    monitor: &dyn Monitor,
) -> Result<Vec<SetOutcome>, OpenError> {
    let sets = open::sets(paths, monitor)?;
    note_shipments(&sets, monitor);
    let part = Part { sample: Some(seed), ..Part::default() };
    let verify = |set| verify_by(set, &Book::open(set, None, monitor), &part, monitor);
    Ok(sets.iter().map(verify).collect())
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
    verify_by(set, book, &Part::default(), monitor)
}

/// The same where some shards were read already.
pub fn verify_rest(
    set: &FoundSet,
    book: &Book,
    before: ReadBefore,
    monitor: &dyn Monitor,
) -> SetOutcome {
    verify_by(set, book, &Part { sample: None, before }, monitor)
}

/// What of a set is read.
#[derive(Default)]
struct Part {
    /// only a sample of blocks, which this seed decides
    sample: Option<[u8; 32]>,
    /// what need not be, as it was
    before: ReadBefore,
}

/// The same of a part of it.
fn verify_by(set: &FoundSet, book: &Book, part: &Part, monitor: &dyn Monitor) -> SetOutcome {
    let text = set.set_text(monitor);
    let drives = check_drives(set, book, text.as_ref(), part, monitor);
    let missing = set.missing_slots();
    let mut damage = Damage { lost: missing.iter().copied().collect(), ..Damage::default() };
    let slots: BTreeSet<Slot> = drives.iter().map(|d| d.slot).collect();
    for slot in slots {
        let of_slot = drives.iter().filter(|d| d.slot == slot);
        damage.add_slot(slot, of_slot.map(|d| &d.report));
    }
    let keyless = keyless(set, book, &key_files(set));
    SetOutcome {
        name: set.name(),
        survive: set.label().survive.clone(),
        drive_count: set.drive_count(),
        drives,
        missing,
        verdict: damage.judge(book, monitor).without_keys(book, keyless),
        root: text.map(|t| blake3::Hash::from_bytes(t.root()).to_hex().to_string()),
        decoded: None,
    }
}

/// Reads and checks all drives of a set at the same time.
fn check_drives(
    set: &FoundSet,
    book: &Book,
    text: Option<&SetText>,
    part: &Part,
    monitor: &dyn Monitor,
) -> Vec<DriveOutcome> {
    let found: Vec<_> = set.all_drives().cloned().collect();
    let expected = shard_bytes(set, book, monitor);
    let block_bytes = block_bytes(book, monitor);
    let of_slot = |slot: Slot| expected.get(slot.0 as usize).copied().unwrap_or(0);
    let samples: Vec<Option<Sample>> = found
        .iter()
        .enumerate()
        .map(|(i, d)| {
            let seed = of_drive(part.sample?, i);
            Some(Sample::draw(of_slot(d.label.slot) / block_bytes, &seed))
        })
        .collect();
    let bytes = |i: usize| match &samples[i] {
        Some(sample) => sample.len() * block_bytes,
        None => of_slot(found[i].label.slot),
    };
    let rest = |i: usize| bytes(i).saturating_sub(part.before.bytes(found[i].label.slot));
    monitor.phase(Phase::Verify, (0..found.len()).map(rest).sum());
    for (i, d) in found.iter().enumerate() {
        let name = format!("{} {}", d.label.case, d.drive.name());
        monitor.drive(i, &name, rest(i));
    }
    let keys = key_files(set);
    let checked = drives::on_each(found.len(), |i| {
        let progress = |bytes: u64| {
            monitor.advance(bytes);
            monitor.drive_advance(i, bytes);
        };
        let all = || Depth::All(Haste::default(), &part.before);
        let depth = samples[i].clone().map_or_else(all, Depth::Sample);
        let (drive, mode) = (&found[i], ReadMode::Medium);
        let mut report = check_drive_by(drive, &set.folder, book, depth, mode, monitor, &progress);
        // Of a drive that is gone no paper can be read either, which need not be told.
        let bad_papers = if report.vanished || report.stopped {
            0
        } else {
            check_papers(&found[i], set, book, text, &keys, monitor)
        };
        report.stopped |= monitor.should_stop(); // perhaps not all papers were checked
        (report, bad_papers)
    });
    let slot = |i: usize| found[i].label.slot;
    let outcome = |(i, (report, bad_papers)): (usize, (DriveReport, u64))| DriveOutcome {
        case: found[i].label.case.clone(),
        slot: slot(i),
        name: found[i].drive.name().into(),
        double: (0..found.len()).any(|other| other != i && slot(other) == slot(i)),
        report,
        expected_bytes: bytes(i),
        bad_papers,
    };
    checked.into_iter().enumerate().map(outcome).collect()
}

/// The seed of one of the drives.
fn of_drive(seed: [u8; 32], drive: usize) -> [u8; 32] {
    *blake3::keyed_hash(&seed, &(drive as u64).to_le_bytes()).as_bytes()
}

/// What a block of the set holds: the same in all its stripes.
fn block_bytes(book: &Book, monitor: &dyn Monitor) -> u64 {
    let mut bytes = 1;
    book.walk(monitor, |record| {
        bytes = record.blocks.bytes() as u64;
        false
    });
    bytes
}
