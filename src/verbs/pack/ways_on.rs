//! What stands in the way of going on with a shipment, and what to type then.

use super::PackJobError;
use crate::format::ids::{SetNumber, ShipmentId, set_folder};
use crate::format::set::RunLine;
use crate::host::state::UnclosedSet;
use crate::packer::SetDrive;
use crate::sets::papers::{key_files, keyless};
use crate::sets::{Book, FoundSet};
use std::sync::Arc;

/// The state says what cannot be.
pub(super) fn wrong_state(shipment: ShipmentId, set: SetNumber) -> PackJobError {
    let why = "this machine's state of it is damaged".into();
    let hint = format!("holdall forget {shipment} drops it; holdall pack --close ends the set");
    PackJobError::Resume { set: set_folder(shipment, set), why, hint }
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

/// Nothing is added to a set of which a part is lost already: `committed` are the runs that count.
pub(super) fn refuse_lost<'a>(
    set: &FoundSet,
    book: &Book,
    committed: impl Iterator<Item = &'a RunLine>,
    closed_sets: u32,
) -> Result<(), PackJobError> {
    let is_whole = |line: &RunLine| {
        let line = (line.run, line.files, line.stripes, line.last);
        book.runs().iter().any(|run| (run.run, run.files, run.stripes, run.last) == line)
    };
    let lacks_records = book.gaps || !committed.filter(|run| run.stripes > 0).all(is_whole);
    let why = if lacks_records {
        "records that this machine wrote are missing or damaged on every drive here: some of what \
         is packed is lost"
            .into()
    } else if let Some(run) = keyless(set, book, &key_files(set)).first() {
        format!("no drive here has the wrapped key of run {run}: nobody can open what it sealed")
    } else {
        return Ok(());
    };
    let attach = match &set.missing_slots()[..] {
        [] => "",
        _ => "attach the set's other drives too; if they are lost, ",
    };
    let hint = format!(
        "{attach}to pack the set again: {}; or to keep what is left of it: holdall pack --close {}",
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
         holdall pack --close {}",
        pack_again(set, closed_sets),
        set.shipment,
        set.quoted_drives().join(" ")
    )
}

/// What to type to pack a set again.
fn pack_again(set: &FoundSet, closed_sets: u32) -> String {
    let erase = set.erase_command();
    match closed_sets {
        // Of a shipment without any other set, nothing is left to go on with.
        0 => format!("{erase}, then pack the dataset again"),
        _ => {
            let go_on = format!("holdall pack --continue {} --anew", set.shipment);
            format!("{erase}, then {go_on} with drives for the set")
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
