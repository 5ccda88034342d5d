//! Which drives are attached together, and to which cases drives are best dealt.
//!
//! - Enters: the case and the size of each drive; how many can be attached at a time.
//! - Leaves: rounds of drives, each of which becomes a set; a case for each drive.
//! - Always holds: (1) each drive is in one round, and no round has more drives than ports, or than a
//!   set can have; (2) with as many ports as cases, every case has its even part of each round until
//!   it has no more drives: equal parts of each case hold more under a rule than full ports; (3) the
//!   largest drives of each case come first, so drives of one size share sets.

use super::place::DRIVES_MAX;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

/// A drive, as far as rounds are concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SizedDrive {
    /// its case's number
    pub case: usize,
    pub bytes: u64,
}

/// The drives of each round, in the order of cases; drives have their places in `drives`.
pub fn rounds(drives: &[SizedDrive], ports: usize) -> Vec<Vec<usize>> {
    let ports = ports.clamp(1, DRIVES_MAX);
    let mut cases: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (number, drive) in drives.iter().enumerate() {
        cases.entry(drive.case).or_default().push(number);
    }
    let mut cases: Vec<Vec<usize>> = cases.into_values().collect();
    for case in &mut cases {
        // The next is at the end: of equals the first.
        case.sort_by_key(|number| Reverse(drives[*number].bytes));
        case.reverse();
    }
    if ports < cases.len() { one_of_the_fullest(cases, ports) } else { even_parts(cases, ports) }
}

/// R is the least number of rounds with which the parts of all cases fit the ports.
fn even_parts(mut cases: Vec<Vec<usize>>, ports: usize) -> Vec<Vec<usize>> {
    let at_once = |rounds: usize| cases.iter().map(|c| c.len().div_ceil(rounds)).sum::<usize>();
    let most = cases.iter().map(Vec::len).max().unwrap_or(0);
    let count = (1..=most).find(|rounds| at_once(*rounds) <= ports).unwrap_or(most);
    let round = |left: usize| {
        let take = |case: &mut Vec<usize>| -> Vec<usize> {
            let part = case.len().div_ceil(left);
            case.drain(case.len() - part..).rev().collect()
        };
        cases.iter_mut().flat_map(take).collect()
    };
    (1..=count).rev().map(round).collect()
}

/// With fewer ports than cases: one drive of each of the cases that have most left.
fn one_of_the_fullest(mut cases: Vec<Vec<usize>>, ports: usize) -> Vec<Vec<usize>> {
    let mut rounds = Vec::new();
    let most_first = |(case, drives): (usize, &Vec<usize>)| (Reverse(drives.len()), case);
    let mut left: BTreeSet<_> = cases.iter().enumerate().map(most_first).collect();
    loop {
        let mut chosen: Vec<_> =
            std::iter::from_fn(|| left.pop_first()).take(ports).map(|(_, case)| case).collect();
        chosen.sort_unstable();
        let round: Vec<usize> = chosen.iter().filter_map(|case| cases[*case].pop()).collect();
        if round.is_empty() {
            return rounds;
        }
        rounds.push(round);
        left.extend(chosen.into_iter().map(|case| (Reverse(cases[case].len()), case)));
    }
}

/// The case of each drive if they are dealt by size: the largest to the first case, the next to the
/// second, and so on in turn, so that every case gets the same mix.
pub fn dealt_by_size(drives: &[SizedDrive]) -> Vec<usize> {
    let mut names: Vec<usize> = drives.iter().map(|drive| drive.case).collect();
    names.sort_unstable();
    names.dedup();
    let mut order: Vec<usize> = (0..drives.len()).collect();
    order.sort_by_key(|number| Reverse(drives[*number].bytes));
    let mut cases = vec![0; drives.len()];
    for (number, case) in order.into_iter().zip(names.iter().cycle()) {
        cases[number] = *case;
    }
    cases
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn drives(per_case: &[usize]) -> Vec<SizedDrive> {
        let of = |(case, count): (usize, &usize)| vec![SizedDrive { case, bytes: 1 }; *count];
        per_case.iter().enumerate().flat_map(of).collect()
    }

    /// Equal parts of each case, even if ports stay free.
    #[rstest]
    #[case(&[15, 15, 15, 15], 4, &[4; 15])]
    #[case(&[15, 15, 15, 15], 6, &[4; 15])]
    #[case(&[15, 15, 15, 15], 8, &[8, 8, 8, 8, 8, 8, 8, 4])]
    #[case(&[15, 15, 15, 15], 12, &[12; 5])]
    #[case(&[15, 15, 15, 15], 16, &[16, 16, 16, 12])]
    #[case(&[15, 15, 15, 10], 16, &[15, 15, 14, 11])]
    #[case(&[10; 6], 8, &[6; 10])]
    #[case(&[3], 2, &[2, 1])]
    #[case(&[2, 1, 1], 2, &[2, 2])]
    #[case(&[300], 400, &[150, 150])]
    #[case(&[], 4, &[])]
    fn every_case_has_its_part_of_each_round(
        #[case] per_case: &[usize],
        #[case] ports: usize,
        #[case] sizes: &[usize],
    ) {
        let drives = drives(per_case);
        let rounds = rounds(&drives, ports);
        assert_eq!(rounds.iter().map(Vec::len).collect::<Vec<_>>(), sizes);
        let mut all: Vec<usize> = rounds.concat();
        all.sort_unstable();
        assert!(all.into_iter().eq(0..drives.len()), "each drive once");
    }

    #[test]
    fn the_largest_of_each_case_come_first_and_mixes_are_dealt() {
        let drive = |case, bytes| SizedDrive { case, bytes };
        let mixed = [drive(0, 1), drive(0, 4), drive(1, 4), drive(1, 2), drive(0, 4), drive(1, 1)];
        assert_eq!(rounds(&mixed, 2), [vec![1, 2], vec![4, 3], vec![0, 5]]);
        assert_eq!(dealt_by_size(&mixed), [0, 0, 1, 1, 0, 1]);
    }
}
