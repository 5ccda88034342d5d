//! On which drives each stripe lies.
//!
//! Enters: the room of each drive, in shards, and the rule. Leaves: a [`Placement`], which yields
//! the stripes one by one. No clock, no file, no randomness. What always holds:
//!
//! 1. The drives of a stripe are distinct. It has as much parity as [`parity_needed`] says, and at
//!    least one data shard.
//! 2. The plan holds as much as any placement can, or just enough for what is needed.
//! 3. With N stripes, a drive ends at exactly min(room, N) shards; at any time a drive is within a
//!    few shards of its share of that, so a plan that is left early is balanced too.
//! 4. The order in which rooms are given, and the numbers that name cases, change nothing.
//!
//! # Why nothing can hold more
//!
//! With N stripes a drive gives at most y = min(room, N) shards. Let Y be their sum in a case. Any
//! placement then holds at most `g(N) = sum of y - (sum of the fullest cases' Y) - drives * N` data
//! shards, because the data of a stripe is a concave function of who is in it. The plan reaches
//! g(N): stripe t takes Y div N drives of a case, or one more, and the cases that take one more are
//! nested: in the order of Y mod N. So the same cases are the fullest in every stripe and in the
//! sum.
//!
//! g is concave. N is the least number with g(N) at its greatest, or with g(N) at what is needed.
//! This least N is also the level that spreads a small dataset in equal bytes: capping every room
//! at it changes nothing.
//!
//! - **`k >= 1`**: a stripe without data could be left out, and N - 1 stripes would hold as much.
//! - **A case always has the drives**: a drive never has more left to take than there are stripes
//!   left. Those with exactly as many are taken first. Counting what the case has left shows that
//!   they are never more than the stripe takes, and that the drives with anything left are never
//!   fewer.

use thiserror::Error;

pub use super::survive::parity_needed;
use super::survive::{Survive, index};

/// The code numbers the shards of a stripe with one byte, and a stripe takes at
/// most one shard of each drive.
pub const DRIVES_MAX: usize = 255;

/// More room than this counts as this, so that no sum below can overflow: 2^68 bytes at 1 MiB per
/// shard.
const ROOM_MAX: u64 = 1 << 48;

/// Room of one drive, in shards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShardRoom {
    /// The drive's number in the set.
    pub slot: u16,
    /// The case it belongs to: only whether two drives have the same one matters.
    pub case: usize,
    /// Shards that fit.
    pub shards: u64,
}

/// Where one stripe goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StripePlace {
    /// The slot of each shard: k data shards in slot order, then m parity shards in rotation order.
    pub slots: Vec<u16>,
    /// Data shards, at least one.
    pub k: usize,
    /// Parity shards.
    pub m: usize,
}

/// Why there is no plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum PlaceError {
    /// No drive is given.
    #[error("no drive is given")]
    NoDrives,
    /// A set cannot have so many drives.
    #[error("{drives} drives are given and a set can have at most {DRIVES_MAX}")]
    TooManyDrives {
        /// Drives given.
        drives: usize,
    },
    /// Two rooms are of the same slot.
    #[error("slot {slot} is given twice")]
    RepeatedSlot { slot: u16 },
    /// The rule leaves no drive for data, however much room there is.
    #[error(
        "cannot survive {survive}: drives needed beside the cases that may be lost: \
         {remaining_needed}, there: {remaining} (drives: {drives}, cases: {cases})"
    )]
    RuleNeedsMore {
        survive: Survive,
        /// Cases given.
        cases: usize,
        /// Drives given.
        drives: usize,
        /// Drives outside the fullest cases that may be lost.
        remaining: usize,
        /// How many of these the rule needs: those that may be lost too, and one for data.
        remaining_needed: usize,
    },
    /// The drives hold less than is needed, under this rule.
    #[error("{needed} data shards are needed and {available} fit: {missing} are missing")]
    TooLittleRoom {
        /// Data shards needed.
        needed: u64,
        /// Data shards that fit.
        available: u64,
        /// The difference.
        missing: u64,
    },
}

/// A plan, and how much of it is used.
#[derive(Clone, Debug)]
pub struct Placement {
    survive: Survive,
    cases: Vec<PlannedCase>,
    /// N.
    stripes: u64,
    /// k over all N stripes.
    data_shards: u64,
    /// The number t of the next stripe.
    next: u64,
    /// t * `step` mod N: a case takes one more drive when this is below its `wide_stripes`.
    phase: u64,
    step: u64,
}

/// The drives of one case, in slot order. Cases lie in the order of their lowest slots.
#[derive(Clone, Debug)]
struct PlannedCase {
    name: usize,
    drives: Vec<PlannedDrive>,
    /// Drives in each stripe.
    width: usize,
    /// Stripes that take one more drive.
    wide_stripes: u64,
}

#[derive(Clone, Copy, Debug)]
struct PlannedDrive {
    slot: u16,
    room: u64,
    /// What it will hold: min(room, N).
    share: u64,
    /// How much of the share is used.
    given: u64,
}

/// The most data shards that any placement under this rule can hold.
#[cfg(test)]
fn capacity(rooms: &[ShardRoom], survive: Survive) -> u64 {
    let cases = cases_of(rooms);
    most_data(&cases, survive, best_stripes(&cases, survive))
}

impl Placement {
    /// Plans for `need` data shards; `None`: for as many as fit, which may be none.
    ///
    /// # Errors
    /// [`PlaceError`]: the rooms make no set, the rule cannot be kept, or less fits than needed.
    pub fn plan(
        rooms: &[ShardRoom],
        survive: Survive,
        need: Option<u64>,
    ) -> Result<Self, PlaceError> {
        check_drives(rooms)?;
        let mut cases = cases_of(rooms);
        check_rule(&cases, survive)?;
        let best = best_stripes(&cases, survive);
        let available = most_data(&cases, survive, best);
        let stripes = match need {
            None => best,
            Some(needed) if needed > available => {
                let missing = needed - available;
                return Err(PlaceError::TooLittleRoom { needed, available, missing });
            }
            Some(needed) => first_number(best, |n| most_data(&cases, survive, n) >= needed),
        };
        let data_shards = most_data(&cases, survive, stripes);
        for case in &mut cases {
            case.share_out(stripes);
        }
        Ok(Self {
            survive,
            cases,
            stripes,
            data_shards,
            next: 0,
            phase: 0,
            step: even_step(stripes),
        })
    }

    /// Data shards over all stripes of the plan.
    #[must_use]
    pub fn data_shards(&self) -> u64 {
        self.data_shards
    }

    /// Stripes of the plan.
    #[must_use]
    pub fn stripes(&self) -> u64 {
        self.stripes
    }

    /// Each slot with the shards that it holds at the end of the plan, in slot order.
    #[must_use]
    pub fn shares(&self) -> Vec<(u16, u64)> {
        let mut shares: Vec<_> = self
            .cases
            .iter()
            .flat_map(|case| &case.drives)
            .map(|drive| (drive.slot, drive.share))
            .collect();
        shares.sort_unstable();
        shares
    }

    /// The next stripe, or none when the plan is used up.
    ///
    /// With its n drives in slot order, the parity shards lie at positions t, t + 1, … mod n, so
    /// that a restore reads from all drives alike.
    pub fn next_stripe(&mut self) -> Option<StripePlace> {
        if self.next == self.stripes {
            return None;
        }
        let mut slots = Vec::with_capacity(DRIVES_MAX);
        let mut shards_per_case = Vec::with_capacity(self.cases.len());
        for case in &mut self.cases {
            let count = case.width + usize::from(self.phase < case.wide_stripes);
            case.take(count, self.next, self.stripes, &mut slots);
            shards_per_case.push(count);
        }
        let m = parity_needed(&shards_per_case, self.survive);
        let k = slots.len() - m;
        let first_parity = remainder(self.next, slots.len());
        slots.sort_unstable();
        slots.rotate_left(first_parity);
        slots.rotate_left(m); // what was first is last now
        slots[..k].sort_unstable();
        self.phase = (self.phase + self.step) % self.stripes;
        self.next += 1;
        Some(StripePlace { slots, k, m })
    }

    /// The kinds of stripe: for each the cases, and how many shards lie in each. The cases that take one
    /// more drive are nested, so there is at most one kind more than there are cases.
    #[must_use]
    pub fn kinds(&self) -> Vec<Vec<(usize, usize)>> {
        let mut from: Vec<u64> = self.cases.iter().map(|case| case.wide_stripes).collect();
        from.push(0);
        from.sort_unstable();
        from.dedup();
        from.retain(|phase| *phase < self.stripes);
        let shards =
            |case: &PlannedCase, phase| case.width + usize::from(phase < case.wide_stripes);
        let kind = |phase| self.cases.iter().map(|case| (case.name, shards(case, phase))).collect();
        from.into_iter().map(kind).collect()
    }

    /// The rule it keeps.
    #[must_use]
    pub fn survive(&self) -> Survive {
        self.survive
    }

    /// Room of the drives at planning time less what is used, in slot order: for replanning
    /// when drives are lost or full.
    #[must_use]
    pub fn room_left(&self) -> Vec<ShardRoom> {
        let room_left = |case: usize, drive: &PlannedDrive| ShardRoom {
            slot: drive.slot,
            case,
            shards: drive.room - drive.given,
        };
        let mut rooms: Vec<_> = self
            .cases
            .iter()
            .flat_map(|case| case.drives.iter().map(|drive| room_left(case.name, drive)))
            .collect();
        rooms.sort_unstable_by_key(|room| room.slot);
        rooms
    }
}

impl PlannedCase {
    /// Sets what each drive will hold, and how many drives each stripe takes.
    fn share_out(&mut self, stripes: u64) {
        for drive in &mut self.drives {
            drive.share = drive.room.min(stripes);
        }
        let sum: u64 = self.drives.iter().map(|drive| drive.share).sum();
        // At most as many as there are drives, because no share is larger than `stripes`.
        self.width = sum.checked_div(stripes).and_then(|width| width.try_into().ok()).unwrap_or(0);
        self.wide_stripes = sum.checked_rem(stripes).unwrap_or(0);
    }

    /// Takes `count` drives for stripe `next`: first those that are needed in every stripe left,
    /// then those most behind their part of the share; of equals the lowest slot, because the sort
    /// is stable.
    fn take(&mut self, count: usize, next: u64, stripes: u64, slots: &mut Vec<u16>) {
        let mut free: Vec<_> =
            self.drives.iter_mut().filter(|drive| drive.given < drive.share).collect();
        free.sort_by_cached_key(|drive| {
            let can_wait = drive.share - drive.given < stripes - next;
            let due = i128::from(drive.share) * i128::from(next + 1);
            let ahead = i128::from(drive.given) * i128::from(stripes) - due;
            (can_wait, ahead)
        });
        for drive in free.into_iter().take(count) {
            drive.given += 1;
            slots.push(drive.slot);
        }
    }
}

fn cases_of(rooms: &[ShardRoom]) -> Vec<PlannedCase> {
    let mut rooms = rooms.to_vec();
    rooms.sort_unstable_by_key(|room| room.slot);
    let mut cases: Vec<PlannedCase> = Vec::new();
    for room in rooms {
        let drive =
            PlannedDrive { slot: room.slot, room: room.shards.min(ROOM_MAX), share: 0, given: 0 };
        match cases.iter_mut().find(|case| case.name == room.case) {
            Some(case) => case.drives.push(drive),
            None => {
                cases.push(PlannedCase {
                    name: room.case,
                    drives: vec![drive],
                    width: 0,
                    wide_stripes: 0,
                });
            }
        }
    }
    cases
}

fn check_drives(rooms: &[ShardRoom]) -> Result<(), PlaceError> {
    if rooms.is_empty() {
        return Err(PlaceError::NoDrives);
    }
    if rooms.len() > DRIVES_MAX {
        return Err(PlaceError::TooManyDrives { drives: rooms.len() });
    }
    let mut slots: Vec<_> = rooms.iter().map(|room| room.slot).collect();
    slots.sort_unstable();
    match slots.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(PlaceError::RepeatedSlot { slot: pair[0] }),
        None => Ok(()),
    }
}

fn check_rule(cases: &[PlannedCase], survive: Survive) -> Result<(), PlaceError> {
    let drives_per_case: Vec<_> = cases.iter().map(|case| case.drives.len()).collect();
    if survive.can_be_kept(&drives_per_case) {
        return Ok(());
    }
    let drives = drives_per_case.iter().sum();
    let in_lost_cases = parity_needed(&drives_per_case, Survive { drives: 0, ..survive });
    Err(PlaceError::RuleNeedsMore {
        survive,
        cases: cases.len(),
        drives,
        remaining: drives - in_lost_cases,
        remaining_needed: index(survive.drives).saturating_add(1),
    })
}

/// g(N): the most data shards that this many stripes can hold; zero too when the stripes are too
/// many.
fn most_data(cases: &[PlannedCase], survive: Survive, stripes: u64) -> u64 {
    let in_case = |case: &PlannedCase| -> u128 {
        case.drives.iter().map(|drive| u128::from(drive.room.min(stripes))).sum()
    };
    let mut sums: Vec<_> = cases.iter().map(in_case).collect();
    sums.sort_unstable();
    let outside_fullest = sums.len().saturating_sub(index(survive.cases));
    let outside: u128 = sums.iter().take(outside_fullest).sum();
    let to_drives = u128::from(survive.drives) * u128::from(stripes);
    outside.saturating_sub(to_drives).try_into().unwrap_or(u64::MAX)
}

/// The least N that maximises g: g is concave, so it is the first from which one more stripe gains
/// nothing.
fn best_stripes(cases: &[PlannedCase], survive: Survive) -> u64 {
    let most =
        cases.iter().flat_map(|case| &case.drives).map(|drive| drive.room).max().unwrap_or(0);
    first_number(most, |n| most_data(cases, survive, n + 1) <= most_data(cases, survive, n))
}

/// The first number that holds, or `last`. Once a number holds, so must all above it.
fn first_number(last: u64, holds: impl Fn(u64) -> bool) -> u64 {
    let (mut low, mut high) = (0, last);
    while low < high {
        let middle = low + (high - low) / 2;
        if holds(middle) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    low
}

/// A multiplier under which t * step mod N visits 0..N evenly, so that a case's wide stripes are
/// spread.
///
/// Any number without a common divisor visits each once. How far a stretch of the visits strays
/// from even is about the sum of the terms of the continued fraction of step / N, at most. Near the
/// golden section the first terms are ones, but the last ones are left to chance: up to a hundred
/// shards off were seen. So the best of the neighbours is taken: about five at most, up to a
/// billion stripes.
fn even_step(stripes: u64) -> u64 {
    const GOLDEN: u128 = 0x9E37_79B9_7F4A_7C15; // 2^64 * 0.618…
    const NEIGHBOURS: u64 = 64;
    let near = u64::try_from((u128::from(stripes) * GOLDEN) >> 64).unwrap_or(1);
    let steps = near.saturating_sub(NEIGHBOURS).max(1)..(near + NEIGHBOURS).min(stripes);
    steps
        .filter_map(|step| Some((unevenness(step, stripes)?, step)))
        .min()
        .map_or(1, |(_, step)| step)
}

/// The sum of the terms of the continued fraction of step / N; none when they have a common
/// divisor.
fn unevenness(step: u64, stripes: u64) -> Option<u64> {
    let (mut large, mut small, mut sum) = (stripes, step, 0);
    while small > 0 {
        sum += large / small;
        (large, small) = (small, large % small);
    }
    (large == 1).then_some(sum)
}

fn remainder(number: u64, count: usize) -> usize {
    let count = u64::try_from(count).unwrap_or(u64::MAX);
    usize::try_from(number % count).expect("less than the number of drives in a stripe")
}

#[cfg(test)]
mod tests;
