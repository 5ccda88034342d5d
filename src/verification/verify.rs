//! Verifying sets without a key: every block of every shard of every drive, or a sample of them.

use super::set_outcome::{DriveOutcome, SetOutcome};
use crate::check::damage::Damage;
use crate::check::drive::{Depth, ReadBefore, shard_bytes};
use crate::check::set::{CheckedDrive, DriveToCheck, SetCheck};
use crate::format::ids::Slot;
use crate::format::set::SetText;
use crate::format::shown::hex;
use crate::memory::Memory;
use crate::metadata_files::drive_readme::note_other_texts;
use crate::metadata_files::expected::MetadataFiles;
use crate::metadata_files::inspect::keyless;
use crate::metadata_files::key_files::{KeyFile, key_files, report_different};
use crate::monitor::{Monitor, Phase};
use crate::opening::foreign;
use crate::repairer::quiet::Quiet;
use crate::shards::reading::SkipPolicy;
use crate::shards::sample::BlockSample;
use crate::shipment::copies::{contested_records, foreign_records};
use crate::shipment::found::Settled;
use crate::shipment::texts::{report_rejected, texts};
use crate::shipment::{FoundDrive, FoundSet, RecordIndex};
use std::collections::BTreeSet;

pub fn verify_sets(sets: &[FoundSet], monitor: &dyn Monitor) -> Vec<SetOutcome> {
    verify_sets_within(sets, Memory::default(), monitor)
}

/// Verifies sets, and takes no more memory than this.
pub fn verify_sets_within(
    sets: &[FoundSet],
    memory: Memory,
    monitor: &dyn Monitor,
) -> Vec<SetOutcome> {
    verify_all(sets, &VerifyScope { memory, ..VerifyScope::default() }, monitor)
}

/// Verifies sets by their metadata files, the presence and length of every shard, and a random
/// sample of blocks, which the seed decides: see [`crate::shards::sample`].
pub fn verify_sample(sets: &[FoundSet], seed: [u8; 32], monitor: &dyn Monitor) -> Vec<SetOutcome> {
    verify_all(sets, &VerifyScope { sample: Some(seed), ..VerifyScope::default() }, monitor)
}

fn verify_all(sets: &[FoundSet], part: &VerifyScope, monitor: &dyn Monitor) -> Vec<SetOutcome> {
    note_others(sets, monitor);
    let foreign = foreign::foreign(sets, monitor);
    let verify = |(set, is_foreign): (&FoundSet, bool)| SetOutcome {
        is_foreign,
        ..verify_or_rival(set, part, monitor)
    };
    sets.iter().zip(foreign).map(verify).collect()
}

/// Verifies a set; where as many drives have another set.txt, and only by that nothing is lost, by
/// that.
fn verify_or_rival(set: &FoundSet, part: &VerifyScope, monitor: &dyn Monitor) -> SetOutcome {
    let usual = verify_by(set, &RecordIndex::open(set, None, monitor), part, monitor);
    if usual.is_restorable() || usual.is_stopped() {
        return usual;
    }
    let quiet = &Quiet(monitor);
    let by_rival = |rival: FoundSet| {
        let record_index = RecordIndex::open(&rival, None, quiet);
        SetOutcome {
            needs_root: true,
            disagrees: true,
            ..verify_by(&rival, &record_index, part, quiet)
        }
    };
    let mut rivals = set.rivals().into_iter().map(by_rival);
    rivals.find(SetOutcome::is_restorable).unwrap_or(usual)
}

/// Says so if the drives are of several shipments, or carry other texts than this program's.
pub fn note_others(sets: &[FoundSet], monitor: &dyn Monitor) {
    note_other_texts(sets, monitor);
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
pub fn verify_set(set: &FoundSet, record_index: &RecordIndex, monitor: &dyn Monitor) -> SetOutcome {
    verify_by(set, record_index, &VerifyScope::default(), monitor)
}

/// The same where some shards were read already.
pub fn verify_rest(
    set: &FoundSet,
    record_index: &RecordIndex,
    before: ReadBefore,
    memory: Memory,
    monitor: &dyn Monitor,
) -> SetOutcome {
    verify_by(set, record_index, &VerifyScope { sample: None, before, memory }, monitor)
}

/// What of a set is read.
#[derive(Default)]
struct VerifyScope {
    /// only a sample of blocks, which this seed decides
    sample: Option<[u8; 32]>,
    /// what need not be, as it was
    before: ReadBefore,
    /// what it may take
    memory: Memory,
}

/// The same of a part of it.
fn verify_by(
    set: &FoundSet,
    record_index: &RecordIndex,
    part: &VerifyScope,
    monitor: &dyn Monitor,
) -> SetOutcome {
    let text = set.set_text(monitor);
    if text.is_none() && set.settled == Settled::ByDrives {
        report_rejected(set, monitor);
    }
    let in_use = if text.is_none() { set.in_use_by() } else { None };
    let mut drives = check_drives(set, record_index, text.as_ref(), part, monitor);
    let missing = set.missing_slots();
    let mut damage = Damage::absent(set, text.as_ref());
    let slots: BTreeSet<Slot> = drives.iter().map(|d| d.slot).collect();
    for slot in slots {
        let of_slot = drives.iter().filter(|d| d.slot == slot);
        damage.add_slot(slot, of_slot.map(|d| &d.report));
    }
    let there = drives.iter().filter(|d| !d.report.vanished);
    damage.add_lacking(&there.map(|d| (d.slot, &d.lacking)).collect::<Vec<_>>());
    let keys = key_files(set, record_index);
    let files = MetadataFiles { set, record_index, text: text.as_ref(), keys: &keys };
    damage.holders.extend(files.key_holders());
    let keyless = keyless(set, record_index, &keys);
    let leftovers = leftovers(set, text.as_ref(), &drives);
    let disputed = !record_index.contradictions.is_empty()
        || !record_index.alone.is_empty()
        || record_index.forged;
    let needs_key = text.is_none() && disputed;
    let versions = texts(set);
    let disagree = set.settled == Settled::ByDrives && versions.len() > 1;
    let vouching: Vec<String> = versions.into_values().flat_map(|v| v.drives).collect();
    let contested = |text: &SetText| contested_records(&own_part(set, &leftovers), text, &vouching);
    let verdict = damage.judge(record_index, monitor).without_keys(record_index, keyless);
    // Where no record was at hand, nothing was held against one.
    drives.iter_mut().for_each(|drive| drive.sound &= !verdict.is_blank());
    let disagrees = text.is_some()
        && (disagree
            || !record_index.contradictions.is_empty()
            || text.iter().any(|text| !contested(text).is_empty()));
    let needs_root = disagrees || text.is_some() && record_index.gaps;
    SetOutcome {
        is_foreign: false,
        id: (set.shipment, set.set),
        end_unknown: text.as_ref().is_some_and(|text| text.further_sets().is_none()),
        has_further: text.as_ref().and_then(SetText::further_sets) == Some(true),
        name: set.name(),
        survive: set.label().survive.clone(),
        drive_count: set.drive_count(),
        drives,
        missing,
        verdict,
        root: text.map(|t| hex(&t.root())),
        in_use,
        keys_differ: report_different(set, &keys, monitor),
        decoded: None,
        needs_root,
        disagrees,
        key_denied: keys.values().any(KeyFile::is_denied),
        needs_key,
        leftovers,
    }
}

/// The drives of a closed set that have sound records which its set.txt does not name, and nothing
/// that it does: it was packed anew without them.
fn leftovers(set: &FoundSet, text: Option<&SetText>, drives: &[DriveOutcome]) -> Vec<String> {
    let Some(text) = text else { return Vec::new() };
    let runs: Vec<String> = text.runs.iter().map(|line| line.run.to_string()).collect();
    let has_nothing = |alone: &FoundSet| {
        let names = ["", "records", "catalog"].into_iter().flat_map(|folder| alone.names(folder));
        let is_own = |name: &str| name == "set.txt" || runs.iter().any(|run| name.contains(run));
        !names.into_iter().any(|name| is_own(&name))
    };
    let is_left = |(found, outcome): &(&FoundDrive, &DriveOutcome)| {
        let (r, drives) = (&outcome.report, vec![(*found).clone()]);
        let alone = FoundSet { drives, duplicates: Vec::new(), ..set.clone() };
        let no_shards = !r.vanished && !r.stopped && r.missing_shards == r.shards;
        no_shards && has_nothing(&alone) && !foreign_records(&alone, text).is_empty()
    };
    let left = set.all_drives().zip(drives).filter(is_left);
    left.map(|(found, _)| found.drive.name().to_owned()).collect()
}

/// The set without these drives.
fn own_part(set: &FoundSet, leftovers: &[String]) -> FoundSet {
    let mut own = set.clone();
    let is_own = |found: &FoundDrive| leftovers.iter().all(|name| name != found.drive.name());
    own.drives.retain(is_own);
    own.duplicates.retain(is_own);
    own
}

/// Reads and checks all drives of a set at the same time.
fn check_drives(
    set: &FoundSet,
    record_index: &RecordIndex,
    text: Option<&SetText>,
    part: &VerifyScope,
    monitor: &dyn Monitor,
) -> Vec<DriveOutcome> {
    let found: Vec<_> = set.all_drives().cloned().collect();
    let expected = shard_bytes(set, record_index, monitor);
    let block_bytes = block_bytes(record_index, monitor);
    let of_slot = |slot: Slot| expected.get(slot.0 as usize).copied().unwrap_or(0);
    let samples: Vec<Option<BlockSample>> = found
        .iter()
        .enumerate()
        .map(|(i, d)| {
            let seed = of_drive(part.sample?, i);
            Some(BlockSample::draw(of_slot(d.label.slot) / block_bytes, &seed))
        })
        .collect();
    let bytes = |i: usize| match &samples[i] {
        Some(sample) => sample.len() * block_bytes,
        None => of_slot(found[i].label.slot),
    };
    let held = part.memory.for_each(found.len());
    let all = || Depth::All { policy: SkipPolicy::default(), before: &part.before, held };
    let to_check = |(number, found): (usize, _)| {
        let found: &FoundDrive = found;
        let bytes = bytes(number).saturating_sub(part.before.bytes(found.label.slot));
        let depth = samples[number].clone().map_or_else(all, Depth::Sample);
        DriveToCheck { found, number, bytes, depth }
    };
    let to_check: Vec<DriveToCheck> = found.iter().enumerate().map(to_check).collect();
    monitor.phase(Phase::Verify, to_check.iter().map(|drive| drive.bytes).sum());
    let keys = key_files(set, record_index);
    let metadata_files = Some(MetadataFiles { set, record_index, text, keys: &keys });
    let checked = SetCheck { set, record_index, metadata_files, monitor }.run(&to_check);
    let slot = |i: usize| found[i].label.slot;
    let outcome = |(i, checked): (usize, CheckedDrive)| DriveOutcome {
        case: found[i].label.case.clone(),
        slot: slot(i),
        name: found[i].drive.name().into(),
        drive: found[i].drive.clone(),
        double: (0..found.len()).any(|other| other != i && slot(other) == slot(i)),
        sound: checked.report.is_whole(),
        report: checked.report,
        expected_bytes: bytes(i),
        lost_keys: checked.lost_keys,
        lacking: checked.lacking,
    };
    checked.into_iter().enumerate().map(outcome).collect()
}

/// The seed of one of the drives.
fn of_drive(seed: [u8; 32], drive: usize) -> [u8; 32] {
    *blake3::keyed_hash(&seed, &(drive as u64).to_le_bytes()).as_bytes()
}

/// What a block of the set holds: the same in all its stripes.
fn block_bytes(record_index: &RecordIndex, monitor: &dyn Monitor) -> u64 {
    let mut bytes = 1;
    record_index.walk(monitor, |record| {
        bytes = record.blocks.bytes() as u64;
        false
    });
    bytes
}
