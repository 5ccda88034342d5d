//! How likely it is that something is lost although the rule is kept: more drives or cases go than
//! it allows for.
//!
//! - Enters: how many drives and shards of each stripe a set has in each case; the chance that a
//!   drive, and that a case, is lost.
//! - Leaves: the chance that anything of any set is lost.
//! - Always holds: (1) drives and cases are lost independently, and a lost case takes its drives of
//!   all sets; (2) bad sectors are not counted; (3) the chance is exact where each stripe lies on all
//!   drives of its set and there are few kinds of case, otherwise an upper bound.
//!
//! # The formula
//!
//! Given that the cases X are lost, a stripe lacks its shards in X and at most one for each drive
//! lost elsewhere. So a set loses something only if more drives are lost outside of X than the
//! stripes can do without: `slack = min over the kinds of stripe of (m - shards in X)`. With n drives
//! outside of X that chance is the upper tail of a binomial distribution, sets are independent given
//! X, and the chances are summed over X; cases with the same numbers in all sets are counted
//! together.

use super::place::{Placement, parity_needed};
use std::collections::BTreeMap;

/// The chances that one drive, and that one case, is lost.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LossRates {
    pub drive: f64,
    pub case: f64,
}

/// A set, as far as losses are concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetInCases {
    cases: Vec<InCase>,
    /// parity of each kind of stripe
    parity: Vec<usize>,
}

/// A set's part of a case.
#[derive(Clone, Debug, PartialEq, Eq)]
struct InCase {
    /// the case's number
    case: usize,
    /// drives that hold anything
    drives: usize,
    /// shards in each kind of stripe
    shards: Vec<usize>,
}

/// More ways to lose cases than this are not looked at one by one.
const MOST_WAYS: f64 = 50_000.0;

impl SetInCases {
    /// Of a placement; `case_of` says the case of each slot.
    pub fn of(placement: &Placement, case_of: impl Fn(u16) -> usize) -> Self {
        let kinds = placement.kinds();
        let mut drives: BTreeMap<usize, usize> = BTreeMap::new();
        for (slot, _) in placement.shares().iter().filter(|(_, shards)| *shards > 0) {
            *drives.entry(case_of(*slot)).or_default() += 1;
        }
        let parity_of = |kind: &Vec<(usize, usize)>| {
            let shards: Vec<usize> = kind.iter().map(|(_, shards)| *shards).collect();
            parity_needed(&shards, placement.survive())
        };
        let shards_in = |case: usize, kind: &Vec<(usize, usize)>| {
            kind.iter().find(|(name, _)| *name == case).map_or(0, |(_, shards)| *shards)
        };
        let in_case = |(case, drives): (usize, usize)| {
            let shards = kinds.iter().map(|kind| shards_in(case, kind)).collect();
            InCase { case, drives, shards }
        };
        Self {
            cases: drives.into_iter().map(in_case).collect(),
            parity: kinds.iter().map(parity_of).collect(),
        }
    }

    /// The chance that it loses something, given which of its cases are lost.
    fn loss(&self, is_lost: impl Fn(usize) -> bool, drive: f64) -> f64 {
        let slack = |(kind, parity): (usize, &usize)| {
            let lost = self.cases.iter().filter(|part| is_lost(part.case));
            parity.checked_sub(lost.map(|part| part.shards[kind]).sum())
        };
        let slack = self.parity.iter().enumerate().map(slack).min().flatten();
        let left = self.cases.iter().filter(|part| !is_lost(part.case));
        more_than(slack, left.map(|part| part.drives).sum(), drive)
    }

    /// The same over all ways to lose cases, at most: as if each number of lost cases were the worst.
    fn worst(&self, rates: LossRates) -> f64 {
        let sorted = |kind: usize| {
            let mut shards: Vec<usize> = self.cases.iter().map(|part| part.shards[kind]).collect();
            shards.sort_unstable_by(|a, b| b.cmp(a));
            shards
        };
        let fullest: Vec<Vec<usize>> = (0..self.parity.len()).map(sorted).collect();
        let mut drives: Vec<usize> = self.cases.iter().map(|part| part.drives).collect();
        drives.sort_unstable_by(|a, b| b.cmp(a));
        let of = |lost: usize| {
            let slack = |(kind, parity): (usize, &usize)| {
                parity.checked_sub(fullest[kind][..lost].iter().sum())
            };
            let slack = self.parity.iter().enumerate().map(slack).min().flatten();
            let left = drives[..drives.len() - lost].iter().sum();
            binomial(lost, drives.len(), rates.case) * more_than(slack, left, rates.drive)
        };
        (0..=drives.len()).map(of).sum::<f64>().min(1.0)
    }
}

/// The chance that something is lost.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Odds {
    pub chance: f64,
    /// it is that much at most, since there were too many ways to look at each
    pub is_bound: bool,
}

/// The chance that anything of these sets is lost, at most. A loss of one set never makes that of
/// another less likely, so they are at worst independent.
fn at_most(sets: &[SetInCases], rates: LossRates) -> f64 {
    -sets.iter().map(|set| (-set.worst(rates)).ln_1p()).sum::<f64>().exp_m1()
}

/// The chance that anything of these sets is lost.
pub fn odds(sets: &[SetInCases], rates: LossRates) -> Odds {
    let kinds = kinds_of_cases(sets);
    let ways: f64 = kinds.iter().map(|kind| kind.len() as f64 + 1.0).product();
    if ways * sets.len() as f64 > MOST_WAYS {
        return Odds { chance: at_most(sets, rates), is_bound: true };
    }
    // How many cases of each kind are lost, counted up like the digits of a number.
    let (mut lost, mut total) = (vec![0; kinds.len()], 0.0);
    loop {
        let chance: f64 = lost
            .iter()
            .zip(&kinds)
            .map(|(count, kind)| binomial(*count, kind.len(), rates.case))
            .product();
        let is_lost = |case: usize| {
            let mut known = lost.iter().zip(&kinds);
            known.any(|(count, kind)| kind[..*count].contains(&case))
        };
        let kept: f64 = sets.iter().map(|set| (-set.loss(is_lost, rates.drive)).ln_1p()).sum();
        total -= chance * kept.exp_m1();
        let Some(next) = lost.iter().zip(&kinds).position(|(count, kind)| *count < kind.len())
        else {
            return Odds { chance: total.clamp(0.0, 1.0), is_bound: false };
        };
        lost[next] += 1;
        lost[..next].fill(0);
    }
}

/// The cases, those together that have the same numbers in all sets.
fn kinds_of_cases(sets: &[SetInCases]) -> Vec<Vec<usize>> {
    type Part<'a> = (usize, usize, &'a [usize]);
    let mut parts: BTreeMap<usize, Vec<Part>> = BTreeMap::new();
    for (number, set) in sets.iter().enumerate() {
        for part in &set.cases {
            parts.entry(part.case).or_default().push((number, part.drives, &part.shards));
        }
    }
    let mut kinds: BTreeMap<Vec<Part>, Vec<usize>> = BTreeMap::new();
    for (case, parts) in parts {
        kinds.entry(parts).or_default().push(case);
    }
    kinds.into_values().collect()
}

/// The chance that exactly `count` of `all` are lost.
fn binomial(count: usize, all: usize, rate: f64) -> f64 {
    let ways: f64 = (0..count).map(|i| (all - i) as f64 / (i + 1) as f64).product();
    ways * rate.powf(count as f64) * (1.0 - rate).powf((all - count) as f64)
}

/// The chance that more than `slack` of so many drives are lost; without any slack it is lost already.
fn more_than(slack: Option<usize>, drives: usize, rate: f64) -> f64 {
    let Some(slack) = slack else { return 1.0 };
    (slack.saturating_add(1)..=drives).map(|count| binomial(count, drives, rate)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::place::{ShardRoom, StripePlace};
    use crate::plan::survive::Survive;
    use rstest::rstest;

    /// Some sets of a shipment: the case and the room of each drive.
    type Rooms<'a> = &'a [&'a [(usize, u64)]];

    fn placements(sets: Rooms, survive: Survive) -> Vec<Placement> {
        let placed = |drives: &&[(usize, u64)]| {
            let room = |(slot, (case, shards)): (u16, &(usize, u64))| ShardRoom {
                slot,
                case: *case,
                shards: *shards,
            };
            let rooms: Vec<_> = (1..).zip(drives.iter()).map(room).collect();
            Placement::plan(&rooms, survive, None).unwrap()
        };
        sets.iter().map(placed).collect()
    }

    /// The chance by trying each way to lose cases and drives on each stripe.
    fn brute(sets: Rooms, survive: Survive, rates: LossRates) -> f64 {
        let stripes = |mut placement: Placement| -> Vec<StripePlace> {
            std::iter::from_fn(move || placement.next_stripe()).collect()
        };
        let stripes: Vec<Vec<StripePlace>> =
            placements(sets, survive).into_iter().map(stripes).collect();
        let cases = sets.iter().flat_map(|set| set.iter().map(|d| d.0)).max().unwrap() + 1;
        let chance = |lost: u32, all: usize, rate: f64| {
            rate.powf(lost.into()) * (1.0 - rate).powf(all as f64 - f64::from(lost))
        };
        let mut total = 0.0;
        for lost_cases in 0..1_u32 << cases {
            let mut kept = 1.0;
            for (drives, stripes) in sets.iter().zip(&stripes) {
                let mut loss = 0.0;
                for lost in 0..1_u32 << drives.len() {
                    let is_lost = |slot: &&u16| {
                        let drive = **slot as usize - 1;
                        lost >> drive & 1 == 1 || lost_cases >> drives[drive].0 & 1 == 1
                    };
                    let gone = |s: &StripePlace| s.slots.iter().filter(is_lost).count() > s.m;
                    if stripes.iter().any(gone) {
                        loss += chance(lost.count_ones(), drives.len(), rates.drive);
                    }
                }
                kept *= 1.0 - loss;
            }
            total += chance(lost_cases.count_ones(), cases, rates.case) * (1.0 - kept);
        }
        total
    }

    fn computed(sets: Rooms, survive: Survive, rates: LossRates) -> (f64, f64) {
        let of = |(drives, placement): (&&[(usize, u64)], Placement)| {
            SetInCases::of(&placement, |slot| drives[slot as usize - 1].0)
        };
        let sets: Vec<_> = sets.iter().zip(placements(sets, survive)).map(of).collect();
        (odds(&sets, rates).chance, at_most(&sets, rates))
    }

    const EQUAL: &[(usize, u64)] = &[(0, 5), (0, 5), (1, 5), (1, 5), (2, 5), (2, 5)];
    const FEWER: &[(usize, u64)] = &[(0, 3), (1, 3), (2, 3), (2, 3)];
    const ONE_CASE: &[(usize, u64)] = &[(0, 4), (0, 4), (0, 4)];
    const UNEQUAL: &[(usize, u64)] = &[(0, 9), (0, 2), (1, 5), (1, 4), (2, 7), (2, 7)];

    #[rstest]
    #[case(&[EQUAL], "cases=1,drives=1")]
    #[case(&[EQUAL, EQUAL, FEWER], "cases=1")]
    #[case(&[EQUAL, FEWER], "drives=2")]
    #[case(&[FEWER, ONE_CASE], "none")]
    #[case(&[ONE_CASE], "drives=1")]
    fn are_exact_where_stripes_take_all_drives(#[case] sets: Rooms, #[case] survive: &str) {
        let survive = survive.parse().unwrap();
        for (drive, case) in [(0.02, 0.01), (0.3, 0.2), (0.005, 0.0), (0.0, 0.1)] {
            let rates = LossRates { drive, case };
            let (exact, (odds, worst)) =
                (brute(sets, survive, rates), computed(sets, survive, rates));
            assert!((odds - exact).abs() <= 1e-12 + exact * 1e-9, "{odds} {exact}");
            assert!(worst >= exact * (1.0 - 1e-9), "{worst} {exact}");
        }
    }

    #[rstest]
    #[case("cases=1")]
    #[case("cases=1,drives=1")]
    #[case("drives=1")]
    fn are_never_too_low(#[case] survive: &str) {
        let survive = survive.parse().unwrap();
        let rates = LossRates { drive: 0.02, case: 0.01 };
        let exact = brute(&[UNEQUAL, EQUAL], survive, rates);
        let (odds, worst) = computed(&[UNEQUAL, EQUAL], survive, rates);
        assert!(odds >= exact * (1.0 - 1e-9) && odds <= 2.0 * exact, "{odds} {exact}");
        assert!(worst >= exact, "{worst} {exact}");
    }

    /// 400 sets of a drive each, one of which is lost on average.
    #[test]
    fn many_sets_are_not_lost_for_sure() {
        let sets: Vec<_> = (0..400).map(|case| [(case, 5)]).collect();
        let sets: Vec<&[(usize, u64)]> = sets.iter().map(|set| &set[..]).collect();
        let rates = LossRates { drive: 0.0025, case: 0.0 };
        let of = |(drives, placement): (&&[(usize, u64)], Placement)| {
            SetInCases::of(&placement, |slot| drives[slot as usize - 1].0)
        };
        let placed = placements(&sets, Survive::NONE);
        let sets: Vec<_> = sets.iter().zip(placed).map(of).collect();
        let Odds { chance, is_bound } = odds(&sets, rates);
        assert!(is_bound && (chance - 0.632).abs() < 0.002, "{chance}");
    }

    /// The figures of survive.md: 60 drives in 4 cases at 16 ports.
    #[rstest]
    #[case("cases=1", 0.005, 0.0041)]
    #[case("cases=1,drives=1", 0.005, 0.000_26)]
    #[case("cases=1,drives=1", 0.02, 0.0017)]
    fn of_sixty_drives_are_those_of_the_table(
        #[case] survive: &str,
        #[case] drive: f64,
        #[case] expected: f64,
    ) {
        let sixteen: Vec<_> = (0..16).map(|i| (i % 4, 10)).collect();
        let sets: [&[(usize, u64)]; 4] = [&sixteen, &sixteen, &sixteen, &sixteen[..12]];
        let rates = LossRates { drive, case: 0.005 };
        let (odds, _) = computed(&sets, survive.parse().unwrap(), rates);
        assert!((odds / expected - 1.0).abs() < 0.03, "{odds} {expected}");
    }
}
