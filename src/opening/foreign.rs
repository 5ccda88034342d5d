//! Whether the sets of a shipment can be of one packing.
//!
//! - Enters: sets in ascending order, by what settles them or as their drives have it.
//! - Leaves: what does not fit was reported, once per set; the sets that are foreign.
//! - Always holds: (1) a set above one that says that it is the last is foreign; (2) but if it
//!   follows another set than that, and as many drives carry it, nothing shows which of the two is
//!   foreign, and neither is left aside: one more drive never gives less; (3) that both are right
//!   is never believed.

use crate::format::set::SetText;
use crate::format::shown::hex;
use crate::monitor::{Monitor, Problem, ProblemKind, Recording};
use crate::shipment::FoundSet;

/// Says of each of these sets whether it is foreign.
pub fn foreign(sets: &[FoundSet], monitor: &dyn Monitor) -> Vec<bool> {
    let texts: Vec<_> = sets.iter().map(|set| set.set_text(&Recording::default())).collect();
    let mut foreign = vec![false; sets.len()];
    for (at, after) in sets.iter().enumerate() {
        let of_shipment = (0..at).filter(|i| sets[*i].shipment == after.shipment && !foreign[*i]);
        let mut lower = of_shipment.filter(|i| sets[*i].set < after.set);
        let is_last = |i: &usize| texts[*i].as_ref().is_some_and(is_last);
        let before = texts[at].as_ref().and_then(|text| text.before);
        let is_before = |i: &usize| sets[*i].set.0 + 1 == after.set.0;
        let follows = |i: usize| {
            before.is_none_or(|root| {
                is_before(&i) && texts[i].as_ref().is_some_and(|text| text.root() == root)
            })
        };
        let detail = if let Some(last) = lower.clone().find(is_last) {
            let last_one = &sets[last];
            foreign[at] = follows(last) || drives(after) < drives(last_one);
            let says = format!(
                "set {} (on {}) says that it is the last of its shipment",
                last_one.set,
                names(last_one)
            );
            if foreign[at] {
                format!("{says}, so this one (on {}) is foreign, and left aside", names(after))
            } else {
                format!(
                    "{says}, but this one (on {}) follows another: one of them is foreign, and only the \
                     roots that pack printed tell which (--expect ROOT)",
                    names(after)
                )
            }
        } else if let Some((root, _)) =
            before.zip(lower.find(is_before)).filter(|(_, i)| !follows(*i))
        {
            format!(
                "set {} was packed after a set of root {}, which is not the one that is here",
                after.set,
                hex(&root)
            )
        } else {
            continue;
        };
        let subject = format!("set {}", after.name());
        monitor.problem(Problem::new(ProblemKind::Damage, subject, detail));
    }
    foreign
}

/// Does it say that it is the last of its shipment?
pub fn is_last(text: &SetText) -> bool {
    text.further_sets() == Some(false)
}

fn drives(set: &FoundSet) -> usize {
    set.all_drives().count()
}

fn names(set: &FoundSet) -> String {
    set.all_drives().map(|found| found.drive.name()).collect::<Vec<_>>().join(", ")
}
