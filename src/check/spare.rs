//! What may still be lost of a set, in drives and cases.
//!
//! - Enters: of each stripe, and of each of its columns in which a block is bad, how many good blocks
//!   lie in which case, and how many it takes.
//! - Leaves: for each number of lost cases, how many drives may be lost besides, whichever they are.
//! - Always holds: (1) memory is constant; (2) what is said may be lost, may: each stripe keeps what
//!   it takes, whichever cases and drives are lost. More may be possible only where a bad block can
//!   be had from its own drive, which is tried a limited number of times.
//!
//! Of one stripe: whoever takes c cases away takes those with most of its blocks; what is left beyond
//! k is the number of drives that may be lost besides, for a drive has one block of it. Of a set: the
//! least of all its stripes, for each c.

use crate::format::ids::Slot;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// So many cases, whichever they are, and so many drives besides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Losses {
    pub cases: usize,
    pub drives: usize,
}

/// Which drives are here, and which cases they lie in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cases {
    /// by slot, the number of its case, if it is known
    numbers: BTreeMap<Slot, usize>,
    /// by number
    names: Vec<String>,
    here: BTreeSet<Slot>,
}

impl Cases {
    /// The cases of all slots, as far as they are known, and the slots that are here.
    pub fn new(
        slots: impl IntoIterator<Item = (Slot, Option<String>)>,
        here: impl IntoIterator<Item = Slot>,
    ) -> Self {
        let mut cases = Self { here: here.into_iter().collect(), ..Self::default() };
        let mut known: BTreeMap<String, usize> = BTreeMap::new();
        for (slot, name) in slots {
            let Some(name) = name else { continue };
            let next = known.len();
            let number = *known.entry(name.clone()).or_insert(next);
            if number == next {
                cases.names.push(name);
            }
            cases.numbers.insert(slot, number);
        }
        cases
    }

    /// The name of a slot's case, if it is known.
    pub fn name(&self, slot: Slot) -> Option<&str> {
        self.numbers.get(&slot).map(|number| self.names[*number].as_str())
    }

    /// The slots that are here.
    pub fn here(&self) -> impl Iterator<Item = Slot> + '_ {
        self.here.iter().copied()
    }

    /// How many drives are here.
    pub fn drives(&self) -> usize {
        self.here.len()
    }

    /// The same, if these slots are not here.
    #[must_use]
    pub fn without(&self, lost: &BTreeSet<Slot>) -> Self {
        let mut cases = self.clone();
        cases.here.retain(|slot| !lost.contains(slot));
        cases
    }

    /// Is every drive that is here alone in its case?
    pub fn are_single(&self) -> bool {
        let numbers: BTreeSet<&usize> =
            self.here.iter().filter_map(|slot| self.numbers.get(slot)).collect();
        numbers.len() == self.here.len()
    }

    /// Is the case of each drive here known?
    fn are_known(&self) -> bool {
        self.here.iter().all(|slot| self.numbers.contains_key(slot))
    }
}

/// What may be lost, as far as stripes were looked at.
#[derive(Clone, Debug, Default)]
pub struct Spare {
    /// by the number of lost cases: drives that may be lost besides; it ends before the first number
    /// that may not be lost. None before the first stripe.
    least: Option<Vec<usize>>,
    /// blocks of a column in each case
    counts: Vec<usize>,
}

impl Spare {
    /// Takes a column: the slots of its good blocks, of which it takes k.
    pub fn note(&mut self, cases: &Cases, good: impl IntoIterator<Item = Slot>, k: usize) {
        let spare = self.of(cases, good, k);
        match &mut self.least {
            None => self.least = Some(spare),
            Some(least) => {
                least.truncate(spare.len());
                least.iter_mut().zip(spare).for_each(|(least, spare)| *least = spare.min(*least));
            }
        }
    }

    /// Would this column lessen what may be lost?
    pub fn lessens(
        &mut self,
        cases: &Cases,
        good: impl IntoIterator<Item = Slot>,
        k: usize,
    ) -> bool {
        let spare = self.of(cases, good, k);
        self.least.as_ref().is_none_or(|least| {
            least.len() > spare.len() || least.iter().zip(&spare).any(|(least, s)| s < least)
        })
    }

    fn of(&mut self, cases: &Cases, good: impl IntoIterator<Item = Slot>, k: usize) -> Vec<usize> {
        let are_known = cases.are_known();
        self.counts.clear();
        self.counts.resize(cases.names.len(), 0);
        let mut left = 0;
        for slot in good {
            left += 1;
            if let Some(number) = cases.numbers.get(&slot) {
                self.counts[*number] += 1;
            }
        }
        self.counts.sort_unstable_by(|a, b| b.cmp(a));
        let mut spare = Vec::new();
        let mut taken = self.counts.iter();
        while left >= k {
            spare.push(left - k);
            // Of a drive whose case is not known, any case may be the one.
            match taken.next() {
                Some(count) if are_known && *count > 0 => left -= count,
                _ => break,
            }
        }
        spare
    }

    /// What may be lost: each of these, and no entry says less than another. None if nothing may, or
    /// nothing is known.
    pub fn losses(&self) -> Vec<Losses> {
        let mut best = Vec::new();
        let mut most = 0;
        let least = self.least.as_deref().unwrap_or_default();
        for (cases, drives) in least.iter().enumerate().rev() {
            // A case that is lost is at least a drive that is lost.
            if cases + drives > most {
                most = cases + drives;
                best.push(Losses { cases, drives: *drives });
            }
        }
        best
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::{Entropy, Fixed};

    /// Do all columns keep k, whichever so many cases and drives are lost?
    fn by_trying(cases: &[usize], columns: &[(Vec<usize>, usize)], lost: Losses) -> bool {
        let count = cases.iter().max().map_or(0, |max| max + 1);
        let drives = cases.len();
        (0_u32..1 << count).filter(|set| set.count_ones() as usize == lost.cases).all(|gone| {
            let gone_with_case: u32 =
                (0..drives).filter(|d| gone >> cases[*d] & 1 == 1).map(|d| 1 << d).sum();
            let more = (0_u32..1 << drives).filter(|set| set.count_ones() as usize == lost.drives);
            more.map(|more| more | gone_with_case).all(|lost| {
                let is_left = |d: &&usize| lost >> **d & 1 == 0;
                columns.iter().all(|(good, k)| good.iter().filter(is_left).count() >= *k)
            })
        })
    }

    #[test]
    fn what_may_be_lost_is_what_trying_all_losses_says() {
        let entropy = Fixed::new(14);
        let draw = |below: usize| {
            let mut byte = [0];
            entropy.fill(&mut byte).unwrap();
            byte[0] as usize % below
        };
        let mut seen = BTreeSet::new();
        for _ in 0..400 {
            let drives = 1 + draw(7);
            let of: Vec<usize> = (0..drives).map(|_| draw(4)).collect();
            let count = of.iter().collect::<BTreeSet<_>>().len();
            // Cases are numbered without gaps.
            let names: Vec<usize> =
                of.iter().copied().collect::<BTreeSet<_>>().into_iter().collect();
            let of: Vec<usize> =
                of.iter().map(|c| names.iter().position(|n| n == c).unwrap()).collect();
            let columns: Vec<(Vec<usize>, usize)> = (0..=draw(3))
                .map(|_| {
                    let good: Vec<usize> = (0..drives).filter(|_| draw(6) > 0).collect();
                    let k = 1 + draw(good.len().max(1));
                    (good, k)
                })
                .collect();
            let texts: Vec<String> = of.iter().map(ToString::to_string).collect();
            let slot = |d: usize| Slot(d as u16);
            let slots = texts.iter().enumerate().map(|(d, c)| (slot(d), Some(c.clone())));
            let cases = Cases::new(slots, (0..drives).map(slot));
            let mut spare = Spare::default();
            for (good, k) in &columns {
                spare.note(&cases, good.iter().map(|d| slot(*d)), *k);
            }
            let told = spare.losses();
            seen.insert(told.len());
            for c in 0..=count {
                for d in 0..=drives {
                    let lost = Losses { cases: c, drives: d };
                    let covered = told.iter().any(|t| c <= t.cases && c + d <= t.cases + t.drives);
                    let may = by_trying(&of, &columns, lost);
                    // Nothing lost is no loss, and is not told.
                    if c + d > 0 && covered {
                        assert!(may, "{of:?} {columns:?} {told:?} {lost:?}");
                    }
                }
            }
            // Nothing more may be lost: one drive or case more than is told is too much.
            for c in 0..=count {
                let most = (0..=drives).rev().find(|d| {
                    by_trying(&of, &columns, Losses { cases: c, drives: *d }) && c + d > 0
                });
                let Some(most) = most else { continue };
                let covered = told.iter().any(|t| c <= t.cases && c + most <= t.cases + t.drives);
                assert!(covered, "{of:?} {columns:?} {told:?} {c} cases and {most} drives");
            }
        }
        assert!(seen.contains(&2), "several statements were told: {seen:?}");
    }

    #[test]
    fn of_a_drive_without_a_case_only_drives_are_told() {
        let slots = [1, 2, 3].map(Slot);
        let cases = Cases::new([(Slot(1), Some("a".into())), (Slot(3), Some("b".into()))], slots);
        let mut spare = Spare::default();
        spare.note(&cases, slots, 1);
        assert_eq!(spare.losses(), [Losses { cases: 0, drives: 2 }]);
    }
}
