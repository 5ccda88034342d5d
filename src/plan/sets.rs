//! All sets of a shipment, as pack will make them round by round.
//!
//! - Enters: the drives with their cases, how many are attached at a time, the rule, what the dataset
//!   needs.
//! - Leaves: the sets with what lies on each drive; how much the drives hold in all; what is missing,
//!   or cannot be used; how many drives more, or of which size, would do.
//! - Always holds: (1) each set is planned as pack plans it ([`room::plan_rest`]), so no drive gets
//!   more than is said here; (2) a set is filled before the next is begun; (3) all sets keep one rule;
//!   (4) time and memory grow with the number of drives, not with the dataset.

use super::geometry::{Geometry, SetSizes};
use super::odds::{LossRates, Odds, SetInCases, odds};
use super::place::DRIVES_MAX;
use super::room::{self, Beside, DriveRoom, Need, RoomError};
use super::rounds::{SizedDrive, dealt_by_size, rounds};
use super::survive::Survive;
use std::collections::{BTreeMap, BTreeSet};

/// A drive of a shipment that is planned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShipmentDrive {
    /// its case's number
    pub case: usize,
    /// bytes it has free for us
    pub free_bytes: u64,
    /// it rounds file sizes up to this
    pub unit_bytes: u64,
}

/// What is to be planned.
#[derive(Clone, Debug)]
pub struct ShipmentRequest {
    pub drives: Vec<ShipmentDrive>,
    /// drives that can be attached at a time
    pub ports: usize,
    /// the rule; none: the strongest default that the drives of every round can keep
    pub survive: Option<Survive>,
    /// what packing may take for shards
    pub memory: u64,
    pub need: Need,
}

/// The sets of a shipment.
#[derive(Clone, Debug)]
pub struct ShipmentPlan {
    pub survive: Survive,
    /// was the rule the default
    pub survive_is_default: bool,
    /// the drives of each round; the dataset may not need all rounds
    pub rounds: Vec<Vec<usize>>,
    /// the sets that it needs, one for each of the first rounds
    pub sets: Vec<PlannedSet>,
    /// plain bytes that all rounds are sure to hold under the rule
    pub holds_bytes: u64,
    /// plain bytes that may have no room
    pub missing_bytes: u64,
    /// bytes of all rounds that no placement under the rule can use
    pub unusable_bytes: u64,
}

/// A set of a shipment.
#[derive(Clone, Debug)]
pub struct PlannedSet {
    /// its drives, by slot from 1, as places in [`ShipmentRequest::drives`]
    pub drives: Vec<usize>,
    /// all that lies on each of them, at most
    pub drive_bytes: Vec<u64>,
    /// plain bytes of the dataset that it holds
    pub data_bytes: u64,
    /// bytes of shards, with parity
    pub shard_bytes: u64,
    /// of these, bytes of parity across drives
    pub across_bytes: u64,
    /// and along each
    pub along_bytes: u64,
    /// what lies on each drive besides
    pub beside: Beside,
    /// where losses hit it
    losses: SetInCases,
}

/// A round whose drives cannot keep the rule, or cannot be planned at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("round {round} has {drives} drive{}", if *drives == 1 { "" } else { "s" })]
pub struct RoundError {
    /// from 1
    pub round: usize,
    pub drives: usize,
    pub survive: Survive,
    #[source]
    pub source: RoomError,
}

impl ShipmentRequest {
    /// Rounds of these drives.
    pub fn rounds(&self) -> Vec<Vec<usize>> {
        rounds(&self.sized(), self.ports)
    }

    fn sized(&self) -> Vec<SizedDrive> {
        let sized = |d: &ShipmentDrive| SizedDrive { case: d.case, bytes: d.free_bytes };
        self.drives.iter().map(sized).collect()
    }

    /// Plans all sets.
    pub fn plan(&self) -> Result<ShipmentPlan, RoundError> {
        let rounds = self.rounds();
        let survive = self.survive.unwrap_or_else(|| self.default_rule(&rounds));
        let mut plan = ShipmentPlan {
            survive,
            survive_is_default: self.survive.is_none(),
            rounds: Vec::new(),
            sets: Vec::new(),
            holds_bytes: 0,
            missing_bytes: 0,
            unusable_bytes: 0,
        };
        let (mut left, mut chunk_bytes) = (self.need, None);
        for (number, round) in rounds.iter().enumerate() {
            let failed =
                |source| RoundError { round: number + 1, drives: round.len(), survive, source };
            // What is left may be nothing; the room of the rounds that are not needed counts too.
            let is_needed = number == 0 || left.data_bytes > 0 || left.entries > 0;
            let need = if is_needed { left } else { self.need };
            let set = self.set(round, survive, chunk_bytes, &need).map_err(failed)?;
            let payload = need.payload_bytes(set.geometry).max(1);
            let plain = |bytes: u64| part(need.data_bytes, bytes, payload);
            // As much of each of its bytes goes into lists as of the dataset's.
            let lists = payload.saturating_sub(need.data_bytes);
            plan.holds_bytes += set.holds_bytes - part(set.holds_bytes, lists, payload);
            plan.unusable_bytes += set.unusable_bytes;
            if is_needed && set.placement.stripes() > 0 {
                chunk_bytes = Some(set.geometry.chunk_bytes);
                let held = payload.min(set.holds_bytes);
                plan.sets.push(planned(self, round.clone(), &set, plain(held)));
                left = if set.missing_bytes == 0 {
                    Need::default()
                } else {
                    Need {
                        data_bytes: left.data_bytes - plain(held),
                        entries: left.entries - part(left.entries, held, payload),
                        entry_bytes: left.entry_bytes - part(left.entry_bytes, held, payload),
                    }
                };
            }
        }
        plan.missing_bytes = left.data_bytes.max(u64::from(left.entries > 0));
        plan.rounds = rounds;
        Ok(plan)
    }

    /// What one round holds of what is left.
    fn set(
        &self,
        round: &[usize],
        survive: Survive,
        chunk_bytes: Option<u32>,
        need: &Need,
    ) -> Result<room::SetPlan, RoomError> {
        let room = |(slot, number): (u16, &usize)| {
            let ShipmentDrive { case, free_bytes, unit_bytes } = self.drives[*number];
            DriveRoom { slot, case, free_bytes, unit_bytes }
        };
        let rooms: Vec<DriveRoom> = (1..).zip(round).map(room).collect();
        let largest = rooms.iter().map(|d| d.free_bytes).max().unwrap_or(0);
        let (drives, memory) = (rooms.len(), self.memory);
        let sizes = SetSizes { drives, survive, memory, largest, chunk_bytes };
        room::plan_rest(&rooms, survive, Geometry::for_set(&sizes)?, need)
    }

    /// The strongest of the rounds' defaults that the drives of every round can keep.
    fn default_rule(&self, rounds: &[Vec<usize>]) -> Survive {
        let mut per_case: Vec<Vec<usize>> = rounds.iter().map(|r| self.per_case(r)).collect();
        per_case.sort_unstable();
        per_case.dedup();
        let is_kept = |rule: &Survive| per_case.iter().all(|round| rule.can_be_kept(round));
        let stronger = |a: Survive, b: Survive| if b.is_as_strong_as(a) { b } else { a };
        let defaults = per_case.iter().map(|round| Survive::default_for(round));
        defaults.filter(is_kept).reduce(stronger).unwrap_or(Survive::NONE)
    }

    /// How many drives of each case are in a round.
    fn per_case(&self, round: &[usize]) -> Vec<usize> {
        let mut counts = BTreeMap::new();
        for number in round {
            *counts.entry(self.drives[*number].case).or_insert(0) += 1;
        }
        counts.into_values().collect()
    }

    /// The same drives dealt to the cases by size.
    #[must_use]
    pub fn dealt_by_size(&self) -> Self {
        let mut dealt = self.clone();
        for (drive, case) in dealt.drives.iter_mut().zip(dealt_by_size(&self.sized())) {
            drive.case = case;
        }
        dealt
    }

    /// How many of these drives would do, the largest of each case in turn; none if all do not.
    pub fn drives_needed(&self) -> Option<usize> {
        let mut in_case: BTreeMap<usize, usize> = BTreeMap::new();
        let mut order = self.drives.clone();
        order.sort_by_key(|drive| std::cmp::Reverse(drive.free_bytes));
        order.sort_by_cached_key(|drive| {
            let place = in_case.entry(drive.case).or_default();
            *place += 1;
            (*place, drive.case)
        });
        let fits = |count: u64| {
            let drives = order[..count as usize].to_vec();
            let fewer = Self { drives, ..self.clone() };
            fewer.plan().is_ok_and(|plan| plan.missing_bytes == 0)
        };
        let all = order.len() as u64;
        fits(all).then(|| least(0, all, fits) as usize)
    }

    /// How many drives more of this size would do, added to the cases that have the fewest; none if no
    /// number would.
    pub fn drives_missing(&self, drive: ShipmentDrive) -> Option<u64> {
        const MOST: u64 = 20_000;
        let fits = |more: u64| {
            let more = self.with_more(drive, more);
            more.plan().is_ok_and(|plan| plan.missing_bytes == 0)
        };
        let enough = std::iter::successors(Some(1), |n| Some(n * 2));
        let enough = enough.take_while(|n| *n <= MOST).find(|n| fits(*n))?;
        Some(least(enough / 2, enough, fits))
    }

    fn with_more(&self, drive: ShipmentDrive, more: u64) -> Self {
        let mut all = self.clone();
        let mut counts: BTreeMap<usize, usize> = BTreeMap::new();
        all.drives.iter().for_each(|drive| *counts.entry(drive.case).or_default() += 1);
        let mut fewest: BTreeSet<(usize, usize)> =
            counts.into_iter().map(|(case, count)| (count, case)).collect();
        for _ in 0..more {
            let Some((count, case)) = fewest.pop_first() else { break };
            fewest.insert((count + 1, case));
            all.drives.push(ShipmentDrive { case, ..drive });
        }
        all
    }

    /// With how many drives at a time there would be a plan, if these are too few; none if no number
    /// helps.
    pub fn ports_missing(&self) -> Option<usize> {
        let all = DRIVES_MAX.min(self.drives.len());
        let plans = |ports: &usize| Self { ports: *ports, ..self.clone() }.plan().is_ok();
        (self.ports + 1..=all).find(plans)
    }

    /// The least size, to a hundredth, with which as many drives, all of this size, would do.
    pub fn size_missing(&self) -> Option<u64> {
        const STEPS: u64 = 100;
        let fits = |bytes: u64| {
            let mut sized = self.clone();
            sized.drives.iter_mut().for_each(|drive| drive.free_bytes = bytes);
            sized.plan().is_ok_and(|plan| plan.missing_bytes == 0)
        };
        let largest = self.drives.iter().map(|drive| drive.free_bytes).max()?.max(STEPS);
        let enough = std::iter::successors(Some(largest), |bytes| bytes.checked_mul(2));
        let enough = enough.take(24).find(|bytes| fits(*bytes))?;
        let step = enough / STEPS;
        Some(least(0, STEPS, |count| fits(count * step)) * step)
    }
}

/// The least number above `low` that holds; `high` does, and so does each above one that does.
fn least(mut low: u64, mut high: u64, holds: impl Fn(u64) -> bool) -> u64 {
    while low + 1 < high {
        let middle = low + (high - low) / 2;
        if holds(middle) { high = middle } else { low = middle }
    }
    high
}

/// The part of `bytes` that `of` is of `all`.
fn part(bytes: u64, of: u64, all: u64) -> u64 {
    let part = u128::from(bytes) * u128::from(of.min(all)) / u128::from(all.max(1));
    part as u64 // at most what it is a part of
}

fn planned(
    request: &ShipmentRequest,
    drives: Vec<usize>,
    set: &room::SetPlan,
    data_bytes: u64,
) -> PlannedSet {
    let losses =
        SetInCases::of(&set.placement, |slot| request.drives[drives[slot as usize - 1]].case);
    // A drive without room for a shard gets nothing at all.
    let on_drive = |(shards, drive): (&u64, &usize)| {
        let all = shards + set.beside.bytes();
        if *shards == 0 && request.drives[*drive].free_bytes < all { 0 } else { all }
    };
    PlannedSet {
        drive_bytes: set.drive_bytes.iter().zip(&drives).map(on_drive).collect(),
        data_bytes,
        shard_bytes: set.drive_bytes.iter().sum(),
        across_bytes: set.parity_bytes.saturating_sub(set.along_bytes),
        along_bytes: set.along_bytes,
        beside: set.beside,
        losses,
        drives,
    }
}

impl ShipmentPlan {
    /// The chance that anything of it is lost, although the rule is kept.
    pub fn odds(&self, rates: LossRates) -> Odds {
        let losses: Vec<SetInCases> = self.sets.iter().map(|set| set.losses.clone()).collect();
        odds(&losses, rates)
    }

    /// Drives of all sets.
    pub fn drives(&self) -> usize {
        self.sets.iter().map(|set| set.drives.len()).sum()
    }
}
