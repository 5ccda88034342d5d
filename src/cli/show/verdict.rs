//! What can be restored of a set.

use crate::check::damage::Verdict;
use crate::check::spare::Losses;
use crate::cli::next::command;
use crate::cli::text::some;
use crate::format::ids::{SetNumber, Slot};
use crate::format::shown::shown_text;
use serde::Serialize;
use std::collections::BTreeSet;

/// The verdict in a sentence or two.
pub fn verdict(v: &Verdict) -> String {
    if v.restorable() && v.stripes == 0 {
        return "Nothing was committed to it: there is nothing to restore.\n".into();
    }
    if v.restorable() {
        let everything = if v.may_be_more { "Everything these drives name" } else { "Everything" };
        let how = if v.degraded > 0 { ", with the help of parity" } else { "" };
        return format!("{everything} can be restored{how}. {}\n", may_be_lost(v));
    }
    if v.is_blank() {
        let text = "No records of the set can be read from these drives: on their own they neither \
                    show what is in it nor restore anything.\n";
        return text.to_owned() + &would_help(v);
    }
    let mut t = String::new();
    if v.gaps || v.unknown > 0 {
        t.push_str("Records are missing or contradict each other: some data cannot be found.\n");
    }
    if !v.keyless.is_empty() {
        t.push_str(
            "None of these drives is known to have a sound copy of one of the wrapped keys: without it, \
             what it sealed cannot be opened.\n",
        );
    }
    let lost: String = match v.lost_parts() {
        (0, _) => "Not everything can be restored from these drives.\n".into(), // why was said
        (lost, all) if v.beyond.is_empty() => format!(
            "Not everything can be restored from these drives: {} of the data cannot.\n",
            share(lost, all)
        ),
        (lost, all) => format!(
            "Not everything can be restored from these drives: in {} of the data, more is missing than \
             parity covers.\n",
            share(lost, all)
        ),
    };
    t + &lost + &would_help(v)
}

/// The same of a set; where its shipment has other sets, it is not everything.
pub fn verdict_of_set(v: &Verdict, number: SetNumber, has_further: bool) -> String {
    let said = verdict(v);
    match said.strip_prefix("Everything can") {
        Some(rest) if has_further || number.0 > 1 => format!("Everything in this set can{rest}"),
        _ => said,
    }
}

/// What else there is where a set is not the last of its shipment.
pub const FURTHER: &str = "It is closed; the shipment has further sets.\n";

/// A part of the stripes in words; they are nearly all of one size.
pub fn share(lost: u64, all: u64) -> String {
    match lost.saturating_mul(100) / all.max(1) {
        _ if lost >= all => "all".into(),
        0 => "less than 1 %".into(),
        percent => format!("about {percent} %"),
    }
}

/// What may still be lost of a set that can be restored.
pub fn may_be_lost(v: &Verdict) -> String {
    let (drives, single) = (v.cases.drives(), v.cases.are_single());
    let said: Vec<String> = v.losses.iter().map(|losses| any(*losses, single)).collect();
    match &said[..] {
        [] if drives == 1 => "If this drive is lost, everything is.".into(),
        [] => "If one more drive is lost, data may be lost with it.".into(),
        [last] => format!("You can still lose any {last}."),
        [first @ .., last] => {
            format!("You can still lose any {}, or any {last}.", first.join(", or any "))
        }
    }
}

/// `1 case and 1 drive`; where each drive is alone in its case, cases are drives.
fn any(losses: Losses, single: bool) -> String {
    let Losses { cases, drives } = losses;
    let (cases, drives) = if single { (0, cases + drives) } else { (cases, drives) };
    match (cases as u64, drives as u64) {
        (0, drives) => some(drives, "drive"),
        (cases, 0) => some(cases, "case"),
        (cases, drives) => format!("{} and {}", some(cases, "case"), some(drives, "drive")),
    }
}

/// The drives that are not attached and would help.
fn would_help(v: &Verdict) -> String {
    if v.would_help.is_empty() {
        return String::new();
    }
    let which = if v.would_help.len() == 1 { "This drive" } else { "These drives" };
    format!("{which} would help: {}.\n", slots_of(v, &v.would_help))
}

/// `slot 3 (north), 4 (south)`.
fn slots_of(v: &Verdict, slots: &BTreeSet<Slot>) -> String {
    let named = |slot: &Slot| match v.cases.name(*slot) {
        Some(case) => format!("{slot} (case {})", shown_text(case)),
        None => slot.to_string(),
    };
    format!("slot {}", slots.iter().map(named).collect::<Vec<_>>().join(", "))
}

/// What may still be lost, for programs; nothing is known before the end.
pub fn losses(v: &Verdict, to_the_end: bool) -> &[Losses] {
    if to_the_end && v.restorable() { &v.losses } else { &[] }
}

/// The same for programs. Only of a set that was looked at to the end is anything sound.
#[derive(Serialize)]
pub struct JudgedSet<'a> {
    restorable: Option<bool>,
    stripes: u64,
    spare_shards: Option<usize>,
    #[serde(flatten)]
    verdict: &'a Verdict,
}

impl<'a> JudgedSet<'a> {
    pub fn new(verdict: &'a Verdict, to_the_end: bool) -> Self {
        let restorable = verdict.restorable();
        Self {
            restorable: (to_the_end || !restorable).then_some(restorable),
            stripes: verdict.stripes + verdict.unknown,
            spare_shards: verdict.least_spare.filter(|_| to_the_end),
            verdict,
        }
    }
}

/// Of a set without set.txt; drives that are not attached may have it.
pub fn never_closed(set: &str, some_absent: bool) -> String {
    let it = if some_absent { "As far as these drives show, it" } else { set };
    format!("{it} was never closed: whether more was packed is not known.\n")
}

/// What to type to close it, of a set that can be restored as it is.
pub fn to_close<'a>(v: &Verdict, drives: impl Iterator<Item = &'a str>) -> String {
    if !v.restorable() || v.stripes == 0 {
        return String::new();
    }
    format!("If nothing more is to be packed onto it, close it: {}\n", command("close", drives))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::spare::Cases;
    use rstest::rstest;

    #[allow(clippy::field_reassign_with_default, reason = "a field is private")]
    fn of(cases: &[&str], losses: &[(usize, usize)]) -> Verdict {
        let slot = |i: usize| Slot(i as u16 + 1);
        let slots = cases.iter().enumerate().map(|(i, case)| (slot(i), Some((*case).to_owned())));
        let mut v = Verdict::default();
        v.stripes = 1;
        v.cases = Cases::new(slots, (0..cases.len()).map(slot));
        v.losses = losses.iter().map(|&(cases, drives)| Losses { cases, drives }).collect();
        v
    }

    /// What is one of several sets, the last one too, is never called everything.
    #[rstest]
    #[case(1, false, "Everything can be restored. You")]
    #[case(1, true, "Everything in this set can be restored. You")]
    #[case(2, false, "Everything in this set can be restored. You")]
    fn everything_is_said_of_an_only_set_alone(
        #[case] number: u32,
        #[case] has_further: bool,
        #[case] begins: &str,
    ) {
        let v = of(&["a", "b", "c"], &[(2, 0)]);
        let said = verdict_of_set(&v, SetNumber(number), has_further);
        assert!(said.starts_with(begins), "{said}");
    }

    /// Review A20: drives and cases, and nothing odd of a single one.
    #[rstest]
    #[case(&["a", "a", "b", "b"], &[(1, 1)], "You can still lose any 1 case and 1 drive.")]
    #[case(&["a", "a", "b", "b"], &[(1, 0), (0, 2)], "You can still lose any 1 case, or any 2 drives.")]
    #[case(&["a", "a", "b", "b"], &[(0, 1)], "You can still lose any 1 drive.")]
    #[case(&["a", "b", "c"], &[(2, 0)], "You can still lose any 2 drives.")]
    #[case(&["a", "a"], &[], "If one more drive is lost, data may be lost with it.")]
    #[case(&["a"], &[], "If this drive is lost, everything is.")]
    fn what_may_be_lost_is_said_in_drives_and_cases(
        #[case] cases: &[&str],
        #[case] losses: &[(usize, usize)],
        #[case] said: &str,
    ) {
        assert_eq!(verdict(&of(cases, losses)), format!("Everything can be restored. {said}\n"));
    }

    #[test]
    fn drives_that_would_help_are_named_with_their_case() {
        let mut v = of(&["a", "b"], &[]);
        v.beyond.push(crate::format::ids::StripeId {
            run: crate::format::ids::RunId(1),
            number: crate::format::ids::StripeNumber(1),
        });
        (v.stripes, v.would_help) = (3, [Slot(2), Slot(3)].into());
        let said = "Not everything can be restored from these drives: \
                    in about 33 % of the data, more is missing than parity covers.\n\
                    These drives would help: slot 2 (case b), 3.\n";
        assert_eq!(verdict(&v), said);
    }
}
