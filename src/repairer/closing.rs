//! Closing a set from its drives alone: with no key and nothing of the packing machine.
//!
//! - Enters: a set that was not closed, or whose closing was broken off, and its records.
//! - Leaves: set.txt, checklists and second copies on every drive, and the papers that a drive
//!   lacked; shards are left as they are.
//! - Always holds: (1) what set.txt says follows from the records and labels that are here; it names
//!   no index of the catalog, which only a key can seal, and `last no`, since nobody knows; (2) a
//!   set.txt that lies on any drive is taken as it is, so a closing that is broken off and done
//!   again ends in the same root; (3) nothing is removed.

use super::papers::{Papers, made_labels};
use super::quiet::Quiet;
use super::target::Target;
use crate::drives;
use crate::format::ids::{RunId, Slot};
use crate::format::label::checked_case;
use crate::format::record::PartRecord;
use crate::format::set::{PartLine, RunLine, SetText, SlotLine, UNKNOWN_CASE};
use crate::monitor::Monitor;
use crate::sets::papers::key_files;
use crate::sets::{Book, FoundSet};
use std::sync::atomic::Ordering;

/// What closing wrote on a drive.
pub struct DriveClosing {
    /// its name
    pub name: String,
    /// files that were written
    pub files: u64,
    /// it refused one, or vanished
    pub failed: bool,
}

/// The set.txt that the records and labels of a set amount to.
pub fn text_of(set: &FoundSet, book: &Book, closed: String) -> SetText {
    let run = |r: &crate::sets::book::RunFacts| RunLine {
        run: r.run,
        commitment: r.commitment,
        files: r.files,
        stripes: r.stripes,
        last: r.last,
    };
    SetText {
        shipment: set.shipment,
        set: set.set,
        closed,
        survive: set.label().survive.clone(),
        slots: (1..=set.drive_count()).map(|slot| slot_line(set, Slot(slot))).collect(),
        runs: book.runs().iter().map(run).collect(),
        parts: book.parts().map(part_line).collect(),
        before: None,
        base: None,
        last: false,
    }
}

/// A drive's line. Its label, if it is lost, can be made again from another, as they differ in slot
/// and case only; what is not known of a drive that is not here stays unknown.
fn slot_line(set: &FoundSet, slot: Slot) -> SlotLine {
    let case = set.drive(slot).map(|found| found.label.case.clone());
    let case = case.filter(|case| checked_case(case).is_ok());
    let label = case.as_deref().and_then(|case| {
        let own = set.drive(slot).map(|found| found.label.clone());
        let made = made_labels(set, slot, case, None);
        own.filter(|own| made.contains(own)).or_else(|| made.into_iter().next())
    });
    let Some((case, label)) = case.zip(label) else {
        return SlotLine { slot, case: UNKNOWN_CASE.into(), label: None };
    };
    SlotLine { slot, case, label: Some(*blake3::hash(&label.encode()).as_bytes()) }
}

/// The line of a catalog part that the records name.
pub fn part_line((run, part): (RunId, &PartRecord)) -> PartLine {
    PartLine { run, part: part.number, bytes: part.blocks.file_bytes() as u64, root: part.root }
}

/// Writes what each drive lacks of a set that is closed with this set.txt, set.txt with it.
pub fn close(
    set: &FoundSet,
    book: &Book,
    text: &SetText,
    monitor: &dyn Monitor,
) -> Vec<DriveClosing> {
    let found = set.all_drives().cloned().enumerate();
    let targets: Vec<Target> = found.map(|(i, found)| Target::new(found, i, monitor)).collect();
    let (quiet, keys) = (Quiet(monitor), key_files(set));
    let papers = Papers { set, book, text: Some(text), keys: &keys, monitor: &quiet };
    let each = |job: &(dyn Fn(&Target) + Sync)| {
        drives::on_each(targets.len(), |i| job(&targets[i]));
    };
    each(&|target| papers.heal_first(target, false));
    each(&|target| papers.heal_last(target));
    each(&|target| {
        target.write(|drive| drive.sync());
        target.probe();
    });
    let done = |target: &Target| DriveClosing {
        name: target.drive().name().into(),
        files: target.papers.load(Ordering::SeqCst),
        failed: target.has_failed(),
    };
    targets.iter().map(done).collect()
}
