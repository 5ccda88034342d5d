//! The fewest drives that bring everything a set waits for.
//!
//! - Enters: what the files of the set wait for, and the drives that are attached.
//! - Leaves: as few further drives as bring all of it, and whether one after the other will do.
//! - Always holds: if these drives are sound, nothing of the set waits once they were attached.

use crate::restorer::NeededDrives;
use serde::Serialize;
use std::collections::BTreeSet;

/// Ways to choose drives that are all tried; beyond that one drive after the other is chosen.
const MOST_CHOICES: usize = 20_000;

/// Drives to attach.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct DriveChoice {
    /// the slots to choose from
    #[serde(rename = "slots")]
    pub of: Vec<u16>,
    /// how many of these, whichever
    pub count: usize,
    /// one after the other will do; else together with those that are attached, or with `--stage`
    pub one_by_one: bool,
}

/// The smallest step with these drives attached; none if they bring all of it.
pub fn next(wants: &BTreeSet<NeededDrives>, attached: &BTreeSet<u16>) -> Option<DriveChoice> {
    among(wants, attached, &|_| true)
}

/// The same, of those drives alone of which this is true.
pub fn among(
    wants: &BTreeSet<NeededDrives>,
    attached: &BTreeSet<u16>,
    may: &dyn Fn(u16) -> bool,
) -> Option<DriveChoice> {
    let pool: BTreeSet<u16> = wants
        .iter()
        .flat_map(|want| want.hope.sound.iter().chain(&want.own))
        .filter(|slot| !attached.contains(slot) && may(**slot))
        .copied()
        .collect();
    let pool: Vec<u16> = pool.into_iter().collect();
    let brings = |more: &[u16]| {
        let at: BTreeSet<u16> = attached.iter().chain(more).copied().collect();
        wants.iter().all(|want| deficit(want, &at) == 0)
    };
    if brings(&[]) {
        return None;
    }
    let (mut count, mut chosen) = (1, None);
    while chosen.is_none() && choices(pool.len(), count) <= MOST_CHOICES && count <= pool.len() {
        chosen = choose(&pool, count).find(|more| brings(more));
        count += 1;
    }
    let chosen = chosen.unwrap_or_else(|| greedy(wants, attached, &pool));
    let count = chosen.len();
    let at: BTreeSet<u16> = attached.iter().chain(&chosen).copied().collect();
    let one_by_one = wants.iter().all(|want| own_deficit(want, &at) == Some(0));
    let of = if one_by_one { chosen } else { choose_from(&pool, chosen, &brings) };
    Some(DriveChoice { of, count, one_by_one })
}

/// The chosen drives, and others of the pool beside them as long as any that are as many do as
/// well.
fn choose_from(pool: &[u16], chosen: Vec<u16>, brings: &dyn Fn(&[u16]) -> bool) -> Vec<u16> {
    let count = chosen.len();
    let mut of = chosen;
    let mut tries = 0;
    for slot in pool {
        tries += choices(of.len(), count - 1);
        if of.contains(slot) || tries > MOST_CHOICES {
            continue;
        }
        let does = |fewer: Vec<u16>| brings(&[fewer, vec![*slot]].concat());
        if choose(&of, count - 1).all(does) {
            of.push(*slot);
        }
    }
    of.sort_unstable();
    of
}

/// How many more drives it takes, at the least.
pub fn deficit(want: &NeededDrives, at: &BTreeSet<u16>) -> usize {
    let has = |slot: &&u16| at.contains(slot) || want.hope.kept.contains(slot);
    let sound = want.hope.sound.iter().filter(has).count();
    let columns = (want.hope.k as usize).saturating_sub(sound);
    own_deficit(want, at).map_or(columns, |own| own.min(columns))
}

/// The same where nothing is rebuilt; none if the shards themselves are bad.
fn own_deficit(want: &NeededDrives, at: &BTreeSet<u16>) -> Option<usize> {
    let sound = want.own.iter().all(|slot| want.hope.sound.contains(slot));
    sound.then(|| want.own.difference(at).count())
}

/// One drive after the other, that which most is waiting for.
fn greedy(wants: &BTreeSet<NeededDrives>, attached: &BTreeSet<u16>, pool: &[u16]) -> Vec<u16> {
    let (mut at, mut chosen) = (attached.clone(), Vec::new());
    let deficits = |at: &BTreeSet<u16>| wants.iter().map(|want| deficit(want, at)).sum::<usize>();
    while deficits(&at) > 0 {
        let with = |slot: &&u16| {
            let mut with = at.clone();
            with.insert(**slot);
            deficits(&with)
        };
        let left = pool.iter().filter(|slot| !at.contains(slot));
        let Some(best) = left.min_by_key(with).copied() else { break };
        at.insert(best);
        chosen.push(best);
    }
    chosen
}

/// In how many ways so many are chosen; no more than matters.
fn choices(of: usize, count: usize) -> usize {
    // The fewer are taken or left out, so that ways never become fewer again once they are too
    // many.
    let count = count.min(of.saturating_sub(count));
    (0..count).fold(1, |ways, n| (ways * (of - n) / (n + 1)).min(MOST_CHOICES * 2))
}

/// All ways to choose.
fn choose(pool: &[u16], count: usize) -> impl Iterator<Item = Vec<u16>> + '_ {
    let mut at: Option<Vec<usize>> = (count <= pool.len()).then(|| (0..count).collect());
    std::iter::from_fn(move || {
        let now = at.clone()?;
        let moves = |i: &usize| now[*i] < pool.len() - count + i;
        at = (0..count).rev().find(moves).map(|i| {
            let mut next = now.clone();
            (i..count).for_each(|j| next[j] = now[i] + 1 + j - i);
            next
        });
        Some(now.into_iter().map(|i| pool[i]).collect())
    })
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

    /// Security S8: too many ways are never taken for few, and tried one by one.
    #[test]
    fn ways_to_choose_are_many_or_exact() {
        assert_eq!([choices(5, 0), choices(5, 2), choices(5, 3), choices(5, 5)], [1, 10, 10, 1]);
        assert!((5..250).all(|count| choices(255, count) > MOST_CHOICES));
        let sound: Vec<u16> = (1..=255).collect();
        let wants = BTreeSet::from([want(200, &sound, &[], &sound)]);
        assert_eq!(next(&wants, &BTreeSet::from([1])).unwrap().count, 199);
    }

    /// Review scale 3: what is attached now, what was here before and what is kept all count.
    #[rstest]
    #[case::the_one_that_was_never_here(&[want(5, &[1, 2, 3, 4, 5, 6, 7, 8], &[], &[4])], &[3], &[4], 1, true)]
    #[case::any_of_those_left(&[want(3, &[1, 2, 3, 4], &[], &[3]), want(3, &[1, 2, 3, 4], &[], &[4])], &[1, 2], &[3, 4], 1, false)]
    #[case::each_by_itself(&[want(3, &[1, 2, 3, 4], &[], &[3]), want(3, &[1, 2, 3, 4], &[], &[4])], &[], &[3, 4], 2, true)]
    #[case::what_is_kept_counts(&[want(3, &[1, 2, 3, 4], &[1, 2], &[4]), want(3, &[1, 2, 3], &[1, 2], &[4])], &[], &[3], 1, false)]
    #[case::a_bad_block_here(&[want(3, &[1, 2, 5, 6], &[], &[4])], &[1, 2, 3, 4], &[5, 6], 1, false)]
    fn the_smallest_step(
        #[case] wants: &[NeededDrives],
        #[case] attached: &[u16],
        #[case] of: &[u16],
        #[case] count: usize,
        #[case] one_by_one: bool,
    ) {
        let attached = attached.iter().copied().collect();
        let found = next(&wants.iter().cloned().collect(), &attached);
        assert_eq!(found, Some(DriveChoice { of: of.to_vec(), count, one_by_one }));
    }

    /// Drives that were here, and are kept, are not what brings more: of those that do, each is
    /// named.
    #[test]
    fn of_drives_that_do_as_well_all_are_named() {
        let kept = [1, 2];
        let wants: BTreeSet<NeededDrives> =
            [want(3, &[1, 2, 3, 4, 5], &kept, &[3]), want(3, &[1, 2, 3, 4, 5], &kept, &[4])].into();
        let found = next(&wants, &BTreeSet::new()).unwrap();
        assert_eq!((found.of, found.count, found.one_by_one), (vec![3, 4, 5], 1, false));
    }

    #[test]
    fn what_is_attached_may_be_enough() {
        let wants = [want(2, &[1, 2, 3], &[], &[3])].into();
        assert_eq!(next(&wants, &[1, 2].into()), None);
    }

    #[test]
    fn every_way_to_choose_is_tried() {
        let all: Vec<_> = choose(&[1, 2, 3, 4], 2).collect();
        assert_eq!((all.len(), choices(4, 2), &all[5]), (6, 6, &vec![3, 4]));
    }
}
