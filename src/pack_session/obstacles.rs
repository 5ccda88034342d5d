//! What keeps a shipment from being resumed, and what to type then.

use super::error::PackJobError;
use crate::format::ids::{SetNumber, ShipmentId, set_folder};
use crate::format::set::RunLine;
use crate::format::shown::typed;
use crate::local_state::state::UnclosedSet;
use crate::metadata_files::inspect::keyless;
use crate::metadata_files::key_files::key_files;
use crate::monitor::Recording;
use crate::packer::SetDrive;
use crate::plan::place::{Placement, ShardRoom};
use crate::plan::survive::Survive;
use crate::shipment::texts::texts;
use crate::shipment::{FoundDrive, FoundSet, RecordIndex};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The state says what cannot be.
pub(super) fn wrong_state(shipment: ShipmentId, set: SetNumber) -> PackJobError {
    let why = "this machine's state of it is damaged".into();
    let hint = format!("holdall forget {shipment}, then holdall close DRIVES ends the set");
    PackJobError::Resume { set: set_folder(shipment, set), why, hint }
}

/// Nothing of this shipment, or of any, is in progress on this machine: is it complete, as far as
/// these drives tell? Fails if they tell otherwise.
pub(super) fn is_done(
    found: &[FoundSet],
    shipment: Option<ShipmentId>,
    cut_short: bool,
) -> Result<bool, PackJobError> {
    let mut candidates = found.iter().filter(|set| shipment.is_none_or(|id| id == set.shipment));
    if let Some(set) = candidates.clone().find(|set| texts(set).is_empty()) {
        return Err(unknown_here(set));
    }
    let is_last = |set: &FoundSet| {
        let text = set.set_text(&Recording::default());
        text.and_then(|text| text.further_sets()) == Some(false)
    };
    match shipment {
        Some(_) => Ok(candidates.any(is_last)),
        None if cut_short || found.is_empty() => Err(PackJobError::NothingBegun { cut_short }),
        None => Ok(true),
    }
}

/// A set that is not closed, and of which this machine knows nothing.
fn unknown_here(set: &FoundSet) -> PackJobError {
    let erase = set.erase_command();
    let close = format!("holdall close {}", set.quoted_drives().join(" "));
    let hint = if RecordIndex::open(set, None, &Recording::default()).stripes().is_empty() {
        format!(
            "nothing of it was committed; to pack it again: {erase}, then pack the dataset again"
        )
    } else {
        format!(
            "to keep what is packed of it: {close}; or to pack it again: {erase}, then pack the \
             dataset again"
        )
    };
    let why = "it is not closed, and its shipment is not in progress on this machine".into();
    PackJobError::Resume { set: set.name(), why, hint }
}

/// A new set is not put on drives that carry a closed one of the same shipment.
pub(super) fn refuse_carriers(found: &[FoundSet], closed: u32) -> Result<(), PackJobError> {
    let Some(set) = found.iter().find(|set| set.set.0 <= closed) else { return Ok(()) };
    let names: Vec<_> = set.all_drives().map(|d| d.drive.name()).collect();
    let why = format!("{} carries it, and it is closed", names.join(", "));
    let hint = "attach other drives for the next set".into();
    Err(PackJobError::Resume { set: set.name(), why, hint })
}

/// A set is not packed anew over what is left of it.
pub(super) fn refuse_remains(
    found: &[FoundSet],
    unclosed: &UnclosedSet,
) -> Result<(), PackJobError> {
    let Some(set) = found.iter().find(|set| set.set == unclosed.number) else { return Ok(()) };
    let why = format!("its remains are on {}", set.quoted_drives().join(", "));
    let hint = format!("{}, then run this command again", set.erase_command());
    Err(PackJobError::Resume { set: set.name(), why, hint })
}

/// How the shipment is resumed, for what to type.
pub(super) struct ResumeFlags {
    /// the set is closed as it is
    pub close: bool,
    /// folders on this machine's own disks may be drives
    pub folder_drives: bool,
}

/// Drives that carry records which this machine did not write are left out of what it does: who
/// made them is not known, and what else they say of the set is not either. `strays` are they, each
/// with one such record file.
pub(super) fn refuse_strays(
    set: &FoundSet,
    strays: &BTreeMap<String, String>,
    resume: &ResumeFlags,
    closed_sets: u32,
) -> Result<(), PackJobError> {
    let Some(path) = strays.values().next() else { return Ok(()) };
    let names = strays.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
    let others: Vec<&FoundDrive> =
        set.drives.iter().filter(|found| !strays.contains_key(found.drive.name())).collect();
    let words = others.iter().map(|found| {
        if resume.close {
            return typed(found.drive.name());
        }
        let drive = format!("{}={}", found.label.case, found.drive.name());
        format!("--drive {}", typed(&drive))
    });
    let words = words.collect::<Vec<_>>().join(" ");
    let attach = match &set.missing_slots()[..] {
        [] => "",
        _ => "attach the set's other drives too, and ",
    };
    let hint = match (others.is_empty(), resume.close) {
        (true, _) => format!("{}{}", attach.replace(", and", ";"), disagreement(set, closed_sets)),
        (false, true) => format!("{attach}leave {names} out: holdall close {words}"),
        (false, false) => {
            let folders = if resume.folder_drives { " --folder-drives" } else { "" };
            let resume = format!("holdall resume {} {words}{folders}", set.shipment);
            format!("{attach}leave {names} out: {resume}")
        }
    };
    let carries = if strays.len() == 1 { "carries" } else { "carry" };
    let why = format!(
        "{names} {carries} records of it that this machine did not write, {path} for one: somebody \
         else did, or this machine's state is an older one"
    );
    Err(PackJobError::Resume { set: set.name(), why, hint })
}

/// Nothing is added to a set of which a part is lost already: `committed` are the runs that count.
pub(super) fn refuse_lost<'a>(
    set: &FoundSet,
    record_index: &RecordIndex,
    committed: impl Iterator<Item = &'a RunLine>,
    closed_sets: u32,
) -> Result<(), PackJobError> {
    let is_whole = |line: &RunLine| {
        let line = (line.run, line.files, line.stripes, line.last);
        record_index.runs().iter().any(|run| (run.run, run.files, run.stripes, run.last) == line)
    };
    let lacks_records = record_index.gaps || !committed.filter(|run| run.stripes > 0).all(is_whole);
    let why = if lacks_records {
        "records that this machine wrote are missing or damaged on every drive here: some of what \
         is packed is lost"
            .into()
    } else if let Some(run) = keyless(set, record_index, &key_files(set, record_index)).first() {
        format!("no drive here has the wrapped key of run {run}: nobody can open what it sealed")
    } else {
        return Ok(());
    };
    let attach = match &set.missing_slots()[..] {
        [] => "",
        _ => "attach the set's other drives too; if they are lost, ",
    };
    let hint = format!(
        "{attach}to pack the set again: {}; or to keep what is left of it: holdall close {}",
        pack_again(set, closed_sets),
        set.quoted_drives().join(" ")
    );
    Err(PackJobError::Resume { set: set.name(), why, hint })
}

/// What to do when records are not those that this machine wrote last, as after a power cut, if
/// drives had said too early that they had written them.
pub(super) fn disagreement(set: &FoundSet, closed_sets: u32) -> String {
    format!(
        "to pack the set again: {}; or to keep what its records name: holdall forget {}, then \
         holdall close {}",
        pack_again(set, closed_sets),
        set.shipment,
        set.quoted_drives().join(" ")
    )
}

/// What to type to pack a set again.
fn pack_again(set: &FoundSet, closed_sets: u32) -> String {
    let erase = set.erase_command();
    match closed_sets {
        // Of a shipment without any other set, nothing is left to resume.
        0 => format!("{erase}, then pack the dataset again"),
        _ => {
            let resume = format!("holdall resume {} --anew", set.shipment);
            format!("{erase}, then {resume} with drives for the set")
        }
    }
}

/// The drives that were given and carry nothing of the set: they stand where others did.
pub(super) fn strangers(set: &FoundSet, given: &[SetDrive]) -> Vec<String> {
    let is_of_set =
        |d: &&SetDrive| set.all_drives().any(|found| Arc::ptr_eq(&found.drive, &d.drive));
    let others = given.iter().filter(|d| !is_of_set(d));
    others.map(|d| d.drive.name().to_owned()).collect()
}

/// Can the set's rule be kept with the drives that are here?
pub(super) fn check_rule(
    set: &FoundSet,
    unclosed: &UnclosedSet,
    strangers: &[String],
) -> Result<(), PackJobError> {
    let wrong = |_| wrong_state(set.shipment, unclosed.number);
    let survive: Survive = unclosed.survive.parse().map_err(wrong)?;
    let room = |found: &FoundDrive| {
        let slot = found.label.slot.0;
        let case = unclosed.cases.get((slot as usize).checked_sub(1)?)?;
        let case = unclosed.cases.iter().position(|c| c == case)?;
        Some(ShardRoom { slot, case, shards: 1 })
    };
    let rooms: Vec<ShardRoom> = set.drives.iter().filter_map(room).collect();
    let planned = Placement::plan(&rooms, survive, None);
    let Err(error) = planned else { return Ok(()) };
    let nothing = match strangers {
        [] => String::new(),
        names => format!(" ({} carries nothing of it)", names.join(", ")),
    };
    let why = format!("without the drives that are not here{nothing}, {error}");
    let hint = format!(
        "attach the set's own drives; if they are lost, end the set as it is: holdall close {} \
         --yes",
        set.quoted_drives().join(" ")
    );
    Err(PackJobError::Resume { set: set.name(), why, hint })
}
