//! The plan against brute force: every loss, every placement of tiny sets, and each stripe of
//! random sets.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

/// One set: the rooms of each case. Slots count up from 0.
fn rooms(cases: &[&[u64]]) -> Vec<ShardRoom> {
    let drives = cases.iter().enumerate();
    let drives = drives.flat_map(|(case, drives)| drives.iter().map(move |&shards| (case, shards)));
    (0..).zip(drives).map(|(slot, (case, shards))| ShardRoom { slot, case, shards }).collect()
}

fn rule(cases: u32, drives: u32) -> Survive {
    Survive { cases, drives, blocks: 0 }
}

fn rules() -> impl Iterator<Item = Survive> {
    (0..3).flat_map(|cases| (0..3).map(move |drives| rule(cases, drives)))
}

/// Random sets: slots with gaps and in any order, names of cases that say nothing, empty drives
/// too.
fn any_rooms(drives_max: usize, shards_max: u64) -> impl Strategy<Value = Vec<ShardRoom>> {
    let drive = (0usize..6, 0..=shards_max);
    let slots = prop::collection::btree_set(0u16..2000, 1..=drives_max);
    (slots, prop::collection::vec(drive, drives_max))
        .prop_map(|(slots, drives)| {
            let room = |(slot, (case, shards))| ShardRoom { slot, case: 7 * case + 3, shards };
            slots.into_iter().zip(drives).map(room).collect::<Vec<_>>()
        })
        .prop_shuffle()
}

fn any_rule() -> impl Strategy<Value = Survive> {
    (0u32..3, 0u32..3).prop_map(|(cases, drives)| rule(cases, drives))
}

/// Shards of a stripe in each case, in the order of the cases' names.
fn shards_per_case(rooms: &[ShardRoom], slots: &[u16]) -> Vec<usize> {
    let mut counts = BTreeMap::new();
    for room in rooms {
        *counts.entry(room.case).or_insert(0) += usize::from(slots.contains(&room.slot));
    }
    counts.into_values().collect()
}

/// Walks through the whole plan and asserts every invariant of a stripe and of the end. Returns how
/// many shards a drive was off its part of its share, at worst.
#[expect(clippy::cast_precision_loss)]
fn walk(rooms: &[ShardRoom], survive: Survive, mut plan: Placement) -> f64 {
    let stripes = plan.stripes();
    let shares: BTreeMap<u16, u64> = plan.shares().into_iter().collect();
    let mut given: BTreeMap<u16, u64> = shares.keys().map(|&slot| (slot, 0)).collect();
    let (mut data_shards, mut kinds, mut worst) = (0, BTreeSet::new(), 0.0f64);
    for t in 0..stripes {
        let StripePlace { slots, k, m } =
            plan.next_stripe().expect("as many stripes as the plan says");
        assert!(k >= 1 && k + m == slots.len());
        assert_eq!(slots.iter().collect::<BTreeSet<_>>().len(), slots.len(), "drives are distinct");
        let kind = shards_per_case(rooms, &slots);
        assert_eq!(m, parity_needed(&kind, survive));
        kinds.insert(kind);
        assert!(slots[..k].is_sorted());
        let mut sorted = slots.clone();
        sorted.sort_unstable();
        let first = usize::try_from(t).unwrap();
        let parity: Vec<_> = (0..m).map(|i| sorted[(first + i) % sorted.len()]).collect();
        assert_eq!(slots[k..], parity, "parity rotates");
        for slot in &slots {
            *given.get_mut(slot).unwrap() += 1;
        }
        for (slot, &share) in &shares {
            assert!(given[slot] <= share && share - given[slot] < stripes - t);
            let part = (t + 1) as f64 * share as f64 / stripes as f64;
            worst = worst.max((given[slot] as f64 - part).abs());
        }
        data_shards += u64::try_from(k).unwrap();
    }
    assert_eq!(plan.next_stripe(), None);
    assert_eq!(given, shares);
    assert!(plan.shares().is_sorted() && plan.room_left().is_sorted_by_key(|room| room.slot));
    assert_eq!(data_shards, plan.data_shards());
    let cases: BTreeSet<_> = rooms.iter().map(|room| room.case).collect();
    assert!(kinds.len() <= cases.len() + 1);
    for room in rooms {
        assert_eq!(shares[&room.slot], room.shards.min(stripes));
        let left = plan.room_left().into_iter().find(|left| left.slot == room.slot).unwrap();
        assert_eq!(left, ShardRoom { shards: room.shards - given[&room.slot], ..*room });
    }
    worst
}

/// Most shards of the stripe that any allowed loss takes: every choice of cases and of drives is
/// tried.
fn worst_loss(rooms: &[ShardRoom], slots: &[u16], survive: Survive) -> usize {
    let cases: Vec<_> =
        rooms.iter().map(|room| room.case).collect::<BTreeSet<_>>().into_iter().collect();
    let mut worst = 0;
    for lost_cases in (0u32..1 << cases.len()).filter(|bits| bits.count_ones() <= survive.cases) {
        for lost_drives in
            (0u32..1 << rooms.len()).filter(|bits| bits.count_ones() <= survive.drives)
        {
            let lost = |(i, room): &(usize, &ShardRoom)| {
                let case = cases.iter().position(|case| *case == room.case).unwrap();
                (lost_drives >> i | lost_cases >> case) & 1 == 1 && slots.contains(&room.slot)
            };
            worst = worst.max(rooms.iter().enumerate().filter(lost).count());
        }
    }
    worst
}

proptest! {
    #[test]
    fn every_stripe_and_the_end_keep_the_invariants(
        rooms in any_rooms(24, 150),
        survive in any_rule(),
    ) {
        match Placement::plan(&rooms, survive, None) {
            Ok(mut plan) => {
                prop_assert_eq!(plan.data_shards(), capacity(&rooms, survive));
                let worst = walk(&rooms, survive, plan.clone());
                prop_assert!(worst <= 5.0, "{worst} shards off");
                while plan.next_stripe().is_some() {}
                prop_assert_eq!(capacity(&plan.room_left(), survive), 0, "no further stripe fits");
            }
            Err(error) => {
                let refused = matches!(error, PlaceError::RuleNeedsMore { .. });
                prop_assert!(refused, "{}", error);
                prop_assert_eq!(capacity(&rooms, survive), 0);
            }
        }
    }

    #[test]
    fn no_allowed_loss_takes_more_than_the_parity(
        rooms in any_rooms(9, 12),
        survive in any_rule(),
    ) {
        let Ok(mut plan) = Placement::plan(&rooms, survive, None) else { return Ok(()) };
        while let Some(stripe) = plan.next_stripe() {
            prop_assert_eq!(worst_loss(&rooms, &stripe.slots, survive), stripe.m);
        }
    }

    #[test]
    fn parity_needed_is_the_worst_loss(rooms in any_rooms(9, 1), survive in any_rule()) {
        let taken = rooms.iter().filter(|room| room.shards == 1);
        let slots: Vec<_> = taken.map(|room| room.slot).collect();
        let formula = parity_needed(&shards_per_case(&rooms, &slots), survive);
        prop_assert_eq!(worst_loss(&rooms, &slots, survive), formula.min(slots.len()));
    }

    #[test]
    fn order_and_names_change_nothing(
        (rooms, shuffled) in any_rooms(20, 100)
            .prop_flat_map(|rooms| (Just(rooms.clone()), Just(rooms).prop_shuffle())),
        survive in any_rule(),
        need in prop::option::of(0u64..300),
    ) {
        let renamed: Vec<_> =
            shuffled.iter().map(|room| ShardRoom { case: 1000 - room.case, ..*room }).collect();
        let plan = Placement::plan(&rooms, survive, need);
        for other in [shuffled, renamed] {
            prop_assert_eq!(capacity(&other, survive), capacity(&rooms, survive));
            match (plan.clone(), Placement::plan(&other, survive, need)) {
                (Ok(mut plan), Ok(mut other)) => {
                    prop_assert_eq!(plan.shares(), other.shares());
                    while let Some(stripe) = plan.next_stripe() {
                        prop_assert_eq!(Some(stripe), other.next_stripe());
                    }
                    prop_assert_eq!(None, other.next_stripe());
                }
                (plan, other) => prop_assert_eq!(plan.err(), other.err()),
            }
        }
    }

    /// The page's wording: the least level T such that rooms capped at T are enough, then the best
    /// N.
    #[test]
    fn need_spreads_in_equal_bytes(
        rooms in any_rooms(16, 60),
        survive in any_rule(),
        percent in prop_oneof![0u64..=100, Just(100)],
    ) {
        let need = capacity(&rooms, survive) * percent / 100;
        let plan = match Placement::plan(&rooms, survive, Some(need)) {
            Err(PlaceError::RuleNeedsMore { .. }) => return Ok(()),
            plan => plan.unwrap(),
        };
        let capped = |level: u64| -> Vec<ShardRoom> {
            rooms.iter().map(|room| ShardRoom { shards: room.shards.min(level), ..*room }).collect()
        };
        let level = (0..=60).find(|&level| capacity(&capped(level), survive) >= need).unwrap();
        let literal = Placement::plan(&capped(level), survive, None).unwrap();
        prop_assert_eq!(plan.shares(), literal.shares());
        prop_assert_eq!(plan.stripes(), literal.stripes());
        prop_assert!(plan.data_shards() >= need);
        walk(&rooms, survive, plan);
    }

    #[test]
    fn more_than_fits_is_refused(
        rooms in any_rooms(16, 60),
        survive in any_rule(),
        more in 1u64..9,
    ) {
        let available = capacity(&rooms, survive);
        let needed = available + more;
        match Placement::plan(&rooms, survive, Some(needed)) {
            Err(PlaceError::RuleNeedsMore { .. }) => prop_assert_eq!(available, 0),
            plan => prop_assert_eq!(
                plan.err(),
                Some(PlaceError::TooLittleRoom { needed, available, missing: more })
            ),
        }
    }

    #[test]
    fn planning_again_without_a_drive_keeps_the_invariants(
        rooms in any_rooms(16, 60),
        survive in any_rule(),
        given in 0usize..40,
    ) {
        let Ok(mut plan) = Placement::plan(&rooms, survive, None) else { return Ok(()) };
        for _ in 0..given {
            plan.next_stripe();
        }
        let left = &plan.room_left()[1..];
        if let Ok(again) = Placement::plan(left, survive, None) {
            walk(left, survive, again);
        }
    }
}

/// Every way to deal `drives` drives to cases: the case of each drive.
fn deals(drives: usize) -> Vec<Vec<usize>> {
    let mut deals = vec![vec![]];
    for _ in 0..drives {
        deals = deals
            .into_iter()
            .flat_map(|deal: Vec<usize>| {
                let cases = deal.iter().max().map_or(0, |case| case + 1);
                (0..=cases).map(move |case| deal.iter().copied().chain([case]).collect())
            })
            .collect();
    }
    deals
}

/// Shards on each drive for a state of the search below: the digits of a number in base 4.
fn digits(state: usize, drives: usize) -> Vec<usize> {
    (0..drives).map(|drive| state >> (2 * drive) & 3).collect()
}

/// The most data that any sequence of stripes can place on rooms of 0 to 3 shards, for all such
/// rooms.
fn search(deal: &[usize], survive: Survive) -> Vec<usize> {
    let drives = deal.len();
    let data_of: Vec<usize> = (0..1 << drives)
        .map(|stripe: usize| {
            let mut counts = vec![0; drives];
            (0..drives)
                .filter(|drive| stripe >> drive & 1 == 1)
                .for_each(|drive| counts[deal[drive]] += 1);
            counts.iter().sum::<usize>().saturating_sub(parity_needed(&counts, survive))
        })
        .collect();
    let spread =
        |stripe: usize| -> usize { (0..drives).map(|i| (stripe >> i & 1) << (2 * i)).sum() };
    let mut most = vec![0; 1 << (2 * drives)];
    for state in 0..most.len() {
        let digits = digits(state, drives);
        let free: usize = (0..drives).map(|drive| usize::from(digits[drive] > 0) << drive).sum();
        let stripes = (1..1 << drives).filter(|stripe| stripe & !free == 0);
        most[state] =
            stripes.map(|stripe| data_of[stripe] + most[state - spread(stripe)]).max().unwrap_or(0);
    }
    most
}

#[test]
fn tiny_sets_reach_the_optimum_of_a_full_search() {
    for drives in 1..=5 {
        for (deal, survive) in
            deals(drives).iter().flat_map(|deal| rules().map(move |rule| (deal, rule)))
        {
            for (state, most) in search(deal, survive).into_iter().enumerate() {
                let digits = digits(state, drives);
                let rooms: Vec<_> = (0..)
                    .zip(deal.iter().zip(digits))
                    .map(|(slot, (&case, shards))| ShardRoom { slot, case, shards: shards as u64 })
                    .collect();
                assert_eq!(capacity(&rooms, survive), most as u64, "{rooms:?} {survive}");
                if drives < 5 {
                    match Placement::plan(&rooms, survive, None) {
                        Ok(plan) => assert!(walk(&rooms, survive, plan) < 2.0),
                        Err(_) => assert_eq!(most, 0),
                    }
                }
            }
        }
    }
}

/// Rows of the table in placement/README.md, in tenths of a percent of the raw room.
#[test]
fn known_sets_reach_the_percentages_of_the_page() {
    const U: u64 = 1000;
    let equal = &[U; 4][..];
    let same_mix = &[U, 2 * U, 2 * U, 4 * U][..];
    let three_sizes = &[U, 2 * U, 4 * U].repeat(5)[..];
    let table: [(&[&[u64]], Survive, u64); 15] = [
        (&[equal; 4], rule(1, 0), 750),
        (&[equal; 4], rule(1, 1), 688),
        (&[same_mix; 4], rule(1, 0), 750),
        (&[same_mix; 4], rule(1, 1), 639),
        (&[&[4 * U; 4], &[2 * U; 4], &[2 * U; 4], &[U; 4]], rule(1, 0), 556),
        (&[&[4 * U; 4], &[2 * U; 4], &[2 * U; 4], &[U; 4]], rule(1, 1), 500),
        (&[&[U; 4], &[U; 4], &[U; 4], &[U]], rule(1, 0), 692),
        (&[three_sizes; 4], rule(1, 1), 721),
        (&[&[4 * U], &[U; 4]], rule(1, 0), 500),
        (&[&[8 * U; 2], &[2 * U; 8]], rule(1, 0), 500),
        (&[&[8 * U], &[4 * U; 2], &[2 * U; 4]], rule(1, 0), 667),
        (&[&[4 * U; 2], &[2 * U; 4], &[2 * U; 4], &[U; 8]], rule(1, 0), 750),
        (&[&[4 * U; 2], &[2 * U; 4], &[2 * U; 4], &[U; 8]], rule(1, 1), 625),
        (&[&[U, 2 * U, 4 * U]], Survive::NONE, 1000),
        (&[&[3 * U]], Survive::NONE, 1000),
    ];
    for (cases, survive, wanted) in table {
        let rooms = rooms(cases);
        let raw: u64 = rooms.iter().map(|room| room.shards).sum();
        let tenths = (capacity(&rooms, survive) * 1000 + raw / 2) / raw;
        assert_eq!(tenths, wanted, "{cases:?} {survive}");
        walk(&rooms, survive, Placement::plan(&rooms, survive, None).unwrap());
    }
}

#[test]
fn equal_drives_are_all_in_every_stripe() {
    for (cases, survive) in [(4, rule(1, 1)), (1, rule(0, 2)), (3, Survive::NONE), (16, rule(2, 1))]
    {
        let rooms = rooms(&vec![&[300; 4][..]; cases]);
        for need in [None, Some(1), Some(577)] {
            let mut plan = Placement::plan(&rooms, survive, need).unwrap();
            assert!(plan.shares().iter().all(|&(_, share)| share == plan.stripes()));
            while let Some(stripe) = plan.next_stripe() {
                assert_eq!(stripe.slots.len(), 4 * cases);
            }
        }
    }
}

#[test]
fn parity_rotates_over_the_drives() {
    let mut plan = Placement::plan(&rooms(&[&[9], &[9], &[9], &[9]]), rule(1, 1), Some(9)).unwrap();
    let mut next = || plan.next_stripe().map(|stripe| (stripe.slots, stripe.k, stripe.m));
    assert_eq!(next(), Some((vec![2, 3, 0, 1], 2, 2)));
    assert_eq!(next(), Some((vec![0, 3, 1, 2], 2, 2)));
    assert_eq!(next(), Some((vec![0, 1, 2, 3], 2, 2)));
    assert_eq!(next(), Some((vec![1, 2, 3, 0], 2, 2)));
    assert_eq!(next(), Some((vec![2, 3, 0, 1], 2, 2)));
    assert_eq!(next(), None);
}

#[test]
fn the_drive_most_behind_is_taken() {
    let mut plan = Placement::plan(&rooms(&[&[1, 2, 3]]), Survive::NONE, None).unwrap();
    let stripes: Vec<_> = std::iter::from_fn(|| plan.next_stripe()).map(|at| at.slots).collect();
    assert_eq!(stripes, [[1, 2], [0, 2], [1, 2]]);
}

#[test]
fn nothing_needed_or_no_room_is_an_empty_plan() {
    for (rooms, need) in [(rooms(&[&[5], &[5]]), Some(0)), (rooms(&[&[0], &[5]]), None)] {
        let mut plan = Placement::plan(&rooms, rule(1, 0), need).unwrap();
        assert_eq!((plan.data_shards(), plan.stripes()), (0, 0));
        assert_eq!(plan.next_stripe(), None);
        assert_eq!(plan.room_left(), rooms);
    }
    let mut one = Placement::plan(&rooms(&[&[1]]), Survive::NONE, None).unwrap();
    assert_eq!(one.next_stripe(), Some(StripePlace { slots: vec![0], k: 1, m: 0 }));
    assert_eq!(one.next_stripe(), None);
}

#[test]
fn refuses_what_is_no_set() {
    let refused = |rooms: &[ShardRoom], survive| Placement::plan(rooms, survive, None).unwrap_err();
    assert_eq!(refused(&[], Survive::NONE), PlaceError::NoDrives);
    assert_eq!(
        refused(&rooms(&[&[1; 256]]), Survive::NONE),
        PlaceError::TooManyDrives { drives: 256 }
    );
    let twice = [rooms(&[&[1, 1, 1]]), rooms(&[&[], &[2]])].concat();
    assert_eq!(refused(&twice, Survive::NONE), PlaceError::RepeatedSlot { slot: 0 });
    let one_case = refused(&rooms(&[&[7; 4]]), rule(1, 0));
    let facts = PlaceError::RuleNeedsMore {
        survive: rule(1, 0),
        cases: 1,
        drives: 4,
        remaining: 0,
        remaining_needed: 1,
    };
    assert_eq!(one_case, facts);
    assert_eq!(
        one_case.to_string(),
        "cannot survive cases=1: drives needed beside the cases that may be lost: 1, there: 0 \
         (drives: 4, cases: 1)"
    );
    let all = rule(u32::MAX, u32::MAX);
    assert!(matches!(refused(&rooms(&[&[7], &[7]]), all), PlaceError::RuleNeedsMore { .. }));
    assert_eq!(capacity(&rooms(&[&[u64::MAX], &[u64::MAX]]), all), 0);
}

/// The size of a real set: 16 drives of about 2 TB, unequal.
#[test]
fn large_sets_stay_balanced() {
    let spread =
        |case: u64| [119_000 - 911 * case, 118_001, 112_345 + 7 * case, 60_000 + 1013 * case];
    let cases = [spread(0), spread(1), spread(2), spread(3)];
    let rooms = rooms(&cases.each_ref().map(|case| &case[..]));
    for survive in [rule(1, 1), rule(1, 0), Survive::NONE] {
        let worst = walk(&rooms, survive, Placement::plan(&rooms, survive, None).unwrap());
        assert!(worst <= 5.0, "{worst} shards off");
    }
}

#[test]
fn steps_visit_evenly() {
    for stripes in (1..2000).chain([9_699_690, 223_092_870, 10_000_000_000, 1 << 40, ROOM_MAX]) {
        let step = even_step(stripes);
        let sum = unevenness(step, stripes).expect("no common divisor");
        assert!(sum <= 100, "{stripes}: {sum}");
    }
}

#[test]
fn the_largest_sets_and_rooms_do_not_overflow() {
    let full: Vec<ShardRoom> = (0..255)
        .map(|slot| ShardRoom {
            slot,
            case: usize::from(slot) % 10,
            shards: (1 << 40) - 3 * u64::from(slot),
        })
        .collect();
    let endless: Vec<ShardRoom> =
        full.iter().map(|room| ShardRoom { shards: u64::MAX, ..*room }).collect();
    // Of 255 drives in 10 cases, two cases of 26 and three drives may be lost.
    assert_eq!(capacity(&endless, rule(2, 3)), 200 * ROOM_MAX);
    for rooms in [full, endless] {
        let mut plan = Placement::plan(&rooms, rule(2, 3), None).unwrap();
        assert_eq!(plan.data_shards(), capacity(&rooms, rule(2, 3)));
        for _ in 0..100 {
            let stripe = plan.next_stripe().unwrap();
            assert_eq!(
                stripe.m,
                parity_needed(&shards_per_case(&rooms, &stripe.slots), rule(2, 3))
            );
        }
        assert_eq!(plan.room_left().len(), 255);
    }
}
