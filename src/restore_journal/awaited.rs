//! Which sets a restore still awaits, from what it has noted about those that it has seen.

use super::set_journal::SetJournal;
use crate::restorer::selected::OtherSets;
use std::collections::BTreeMap;

/// Sets that may hold what is asked for and have not been seen; one after the last that is known
/// stands for all that follow.
fn unseen(seen: &BTreeMap<u32, SetJournal>) -> Vec<u32> {
    let matters = |number: u32| {
        seen.iter().all(|(set, seen)| {
            let OtherSets { before, after } = seen.others;
            number == *set || if number < *set { before } else { after }
        })
    };
    let known = seen.keys().max().copied().unwrap_or(0);
    let more = seen.get(&known).is_some_and(|seen| seen.further);
    (1..=known + u32::from(more)).filter(|set| !seen.contains_key(set) && matters(*set)).collect()
}

/// Is there a set that may hold what is asked for, and of which no run has yet listed what is
/// missing? One that was cut short has listed nothing.
pub fn has_unlisted(seen: &BTreeMap<u32, SetJournal>) -> bool {
    !unseen(seen).is_empty() || seen.values().any(|seen| !seen.ended)
}

/// The sets that wait for drives, by number; one after the last that is known stands for all that
/// follow.
pub fn awaited(seen: &BTreeMap<u32, SetJournal>) -> Vec<u32> {
    let waiting = seen.iter().filter(|(_, seen)| seen.waits()).map(|(set, _)| *set);
    let mut awaited: Vec<u32> = waiting.chain(unseen(seen)).collect();
    awaited.sort_unstable();
    awaited
}

/// Have the drives of a set said all that they can of its files? Nothing comes from one that there
/// is not.
pub fn is_settled(seen: &BTreeMap<u32, SetJournal>, set: u32) -> bool {
    let beyond = seen.iter().any(|(number, seen)| *number < set && !seen.further);
    seen.get(&set).map_or(beyond, |seen| seen.ended && !seen.lists_wait)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_whose_restore_was_cut_short_has_listed_nothing() {
        let done = SetJournal {
            ended: true,
            complete: true,
            others: OtherSets::ALL,
            ..SetJournal::default()
        };
        let first = SetJournal { further: true, complete: false, ..done.clone() };
        let mut seen = BTreeMap::from([(1, first), (2, done)]);
        assert!(!has_unlisted(&seen));
        seen.entry(1).and_modify(|seen| seen.ended = false);
        assert!(has_unlisted(&seen));
    }
}
