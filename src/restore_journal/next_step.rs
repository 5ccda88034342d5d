//! The smallest next step of a restore: which drives of a set to attach.
//!
//! - Enters: what was noted about the set, and the drives that are attached.
//! - Leaves: as few further drives as bring all that waits, and how they may be attached; where
//!   some of them have never been here, and may be lost, what does without them.
//! - Always holds: if these drives are sound, nothing of the set waits after the step; of a run
//!   that was cut short, it has what that run had.

use super::choice::{self, DriveChoice, among, deficit};
use super::set_journal::SetJournal;
use crate::restorer::NeededDrives;
use serde::Serialize;
use std::collections::BTreeSet;

/// What does without drives that have never been here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Alternative {
    /// what to attach
    #[serde(flatten)]
    pub next: DriveChoice,
    /// some of what waits it does not bring
    pub part: bool,
}

/// The next step of a set.
#[derive(Clone, Debug, Serialize)]
pub struct NextStep {
    /// the set's number
    pub set: u32,
    /// slot and case of its drives
    #[serde(skip)]
    pub drives: Vec<(u16, Option<String>)>,
    /// what to attach
    #[serde(flatten)]
    pub next: DriveChoice,
    /// what does as well, if drives that have never been here are lost
    pub instead: Option<Alternative>,
    /// those that are attached now, and that rebuilding takes
    #[serde(skip)]
    pub attached: BTreeSet<u16>,
    /// slots that cannot be used alone: what tells of the files is damaged there
    #[serde(skip)]
    pub blind: BTreeSet<u16>,
    /// shards that `--stage` keeps are counted on
    #[serde(skip)]
    pub staged: bool,
}

impl NextStep {
    /// The next step of a set, with these drives attached; none if they bring all that may come.
    pub fn of(set: u32, journal: &SetJournal, attached: &BTreeSet<u16>) -> Option<Self> {
        let next = choice(journal, attached)?;
        let instead = instead(journal, attached, &next);
        let kept = journal.kept();
        let sound = journal.wants.iter().flat_map(|want| &want.hope.sound);
        let useful = sound.filter(|slot| attached.contains(slot) && !kept.contains(slot));
        let (attached, drives) = (useful.copied().collect(), journal.drives.clone());
        let blind = journal.blind.clone();
        Some(Self { blind, set, drives, next, instead, attached, staged: !kept.is_empty() })
    }
}

/// What does without the drives of a step that have never been here, and may be lost, if it needs
/// any of these; and whether that is less than all. Other drives are asked for that have never been
/// here only if less comes without them.
fn instead(
    journal: &SetJournal,
    attached: &BTreeSet<u16>,
    next: &DriveChoice,
) -> Option<Alternative> {
    let known = |slot: u16| journal.been.contains(&slot) || attached.contains(&slot);
    let without = next.of.iter().filter(|slot| known(**slot)).count();
    if journal.many_wants || without >= next.count {
        return None;
    }
    let others = |slot: u16| known(slot) || !next.of.contains(&slot);
    let of_known = step_of(journal, attached, &known);
    match of_known {
        Some(Alternative { part: false, .. }) => of_known,
        _ => step_of(journal, attached, &others).filter(|step| !step.part).or(of_known),
    }
}

/// The step to what can be had of those drives alone of which this is true, and whether that is
/// less than all: others may be damaged.
fn step_of(
    journal: &SetJournal,
    attached: &BTreeSet<u16>,
    may: &dyn Fn(u16) -> bool,
) -> Option<Alternative> {
    let slots = journal.wants.iter().flat_map(|want| want.hope.sound.iter().chain(&want.own));
    let all: BTreeSet<u16> =
        slots.copied().filter(|slot| may(*slot)).chain(attached.clone()).collect();
    let wants: BTreeSet<NeededDrives> =
        journal.wants.iter().filter(|want| deficit(want, &all) == 0).cloned().collect();
    let part = wants.len() < journal.wants.len();
    let next = among(&wants, attached, may)?;
    let alone = next.one_by_one && next.of.iter().any(|slot| journal.blind.contains(slot));
    (!alone).then_some(Alternative { next, part })
}

/// The smallest next step with these drives attached; none if they bring all that may come.
fn choice(journal: &SetJournal, attached: &BTreeSet<u16>) -> Option<DriveChoice> {
    if !journal.waits() {
        return None;
    }
    if !journal.ended {
        // It resumes with what it had; what it would wait for then nobody knows yet.
        let of: Vec<u16> = journal.here.difference(attached).copied().collect();
        let count = of.len();
        return (count > 0).then_some(DriveChoice { of, count, one_by_one: false });
    }
    let absent = journal.drives.iter().map(|(slot, _)| *slot).filter(|s| !attached.contains(s));
    let absent: Vec<u16> = absent.collect();
    if journal.lists_wait && journal.wants.is_empty() {
        // Any of them has the catalog and the records, unless it is known not to.
        let fresh = !attached.is_subset(&journal.here);
        let clear = |slot: &&u16| !journal.blind.contains(slot);
        let clear: Vec<u16> = absent.iter().filter(clear).copied().collect();
        let (of, count) = match clear.len() {
            0 => (absent.clone(), absent.len()),
            _ => (clear, 1),
        };
        let one_by_one = count == 1;
        return (!fresh && count > 0).then_some(DriveChoice { of, count, one_by_one });
    }
    if journal.many_wants {
        return Some(DriveChoice { count: absent.len(), of: absent, one_by_one: true });
    }
    // Those that see nothing bring nothing either.
    let nobody = BTreeSet::new();
    let attached = if attached.is_subset(&journal.blind) { &nobody } else { attached };
    let next = choice::next(&journal.wants, attached)?;
    Some(seeing(next, journal, attached))
}

/// The step where some drives cannot be used alone, since records or lists on them are damaged:
/// without them, if that brings all; else first the others; then each with one that has these.
fn seeing(next: DriveChoice, journal: &SetJournal, attached: &BTreeSet<u16>) -> DriveChoice {
    let clear = |slot: u16| !journal.blind.contains(&slot);
    if next.of.iter().all(|slot| clear(*slot)) {
        return next;
    }
    if let Some(without) = among(&journal.wants, attached, &clear) {
        let at: BTreeSet<u16> = attached.iter().chain(&without.of).copied().collect();
        if journal.wants.iter().all(|want| deficit(want, &at) == 0) {
            return without;
        }
    }
    if attached.iter().any(|slot| clear(*slot)) {
        return DriveChoice { one_by_one: false, ..next };
    }
    let first: Vec<u16> = next.of.iter().copied().filter(|slot| clear(*slot)).collect();
    if next.one_by_one && !first.is_empty() {
        return DriveChoice { count: first.len(), of: first, one_by_one: true };
    }
    let mut of: BTreeSet<u16> = next.of.iter().copied().collect();
    let slots = || journal.drives.iter().map(|(slot, _)| *slot);
    match slots().find(|slot| clear(*slot)) {
        Some(eyes) => of.extend([eyes]),
        None => of.extend(slots()),
    }
    DriveChoice { count: of.len(), of: of.into_iter().collect(), one_by_one: false }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stripes::stripe::NeededShards;
    use rstest::rstest;

    fn want(k: u8, sound: &[u16], kept: &[u16], own: &[u16]) -> NeededDrives {
        let hope = NeededShards { k, sound: sound.to_vec(), kept: kept.to_vec() };
        NeededDrives { hope, own: own.iter().copied().collect() }
    }

    // Of four drives that survive one loss, the last has never been here, and may be lost.
    #[rstest]
    #[case::nothing_attached(&[], &[1, 2, 3], Some((vec![1, 2, 3], 3)))]
    #[case::one_attached(&[3], &[1, 2, 3], Some((vec![1, 2], 2)))]
    #[case::the_step_names_them(&[1, 2], &[1, 2, 3], None)]
    #[case::with_another_new_one(&[], &[1, 2], Some((vec![1, 2, 3], 3)))]
    fn a_step_that_needs_a_new_drive_has_another_beside_it(
        #[case] attached: &[u16],
        #[case] been: &[u16],
        #[case] expected: Option<(Vec<u16>, usize)>,
    ) {
        let seen = SetJournal {
            ended: true,
            waiting: 1,
            been: been.iter().copied().collect(),
            wants: [want(3, &[1, 2, 3, 4], &[], &[4])].into(),
            ..SetJournal::default()
        };
        let step = NextStep::of(1, &seen, &attached.iter().copied().collect()).unwrap();
        assert_eq!(step.instead.map(|Alternative { next, .. }| (next.of, next.count)), expected);
        assert_eq!(step.attached, attached.iter().copied().collect());
    }

    /// Of two drives a block is bad, so that what else needs it has the third alone.
    #[test]
    fn what_else_can_be_had_has_a_way_beside_it() {
        let seen = SetJournal {
            ended: true,
            waiting: 2,
            been: [1, 2].into(),
            wants: [want(2, &[1, 2, 3], &[], &[3]), want(2, &[3], &[], &[3])].into(),
            ..SetJournal::default()
        };
        let step = NextStep::of(1, &seen, &BTreeSet::new()).unwrap();
        assert_eq!(step.next.of, [3]);
        let instead = step.instead.unwrap();
        assert_eq!((instead.next.of, instead.next.count, instead.part), (vec![1, 2], 2, true));
    }

    /// One that was never here may be dead, and another that was never here does as well.
    #[test]
    fn what_does_as_well_may_be_another_new_drive() {
        let seen = SetJournal {
            ended: true,
            waiting: 1,
            been: [1].into(),
            wants: [want(2, &[1, 2, 3], &[], &[2])].into(),
            ..SetJournal::default()
        };
        let step = NextStep::of(1, &seen, &BTreeSet::new()).unwrap();
        assert_eq!(step.next.of, [2]);
        let instead = step.instead.unwrap();
        assert_eq!((instead.next.of, instead.next.count, instead.part), (vec![1, 3], 2, false));
    }
}
