//! What can be restored of a set.

use crate::check::damage::Verdict;
use crate::cli::sizes::shown_count;
use crate::cli::text::some;
use serde::Serialize;
use std::fmt::Write as _;

/// The verdict in a sentence or two.
pub fn verdict(v: &Verdict) -> String {
    let mut t = String::new();
    if v.restorable() && v.stripes == 0 {
        return "Nothing was committed to it: there is nothing to restore.\n".into();
    }
    if v.restorable() {
        let spare = match v.least_spare {
            None | Some(0) if v.degraded == 0 => "no more shards may be lost".into(),
            None | Some(0) => "the stripes hit worst can lose nothing more".into(),
            Some(spare) => {
                format!("{} more of any stripe may be lost", some(spare as u64, "shard"))
            }
        };
        let everything =
            if v.may_be_more { "Everything that the drives here name" } else { "Everything" };
        let _ = match v.degraded {
            0 => writeln!(t, "{everything} can be restored; {spare}."),
            n => writeln!(
                t,
                "{everything} can be restored: {} of {} {} parity for it; {spare}.",
                some(n, "stripe"),
                shown_count(v.stripes),
                if n == 1 { "needs" } else { "need" },
            ),
        };
        return t;
    }
    if v.is_blank() {
        t.push_str(
            "No record lies on the drives that are here: from these alone nothing of the set can be known or \
             restored.\n",
        );
        return t + &would_help(v);
    }
    if v.gaps || v.unknown > 0 {
        t.push_str("Records are missing or contradict each other: some stripes cannot be found.\n");
    }
    if !v.keyless.is_empty() {
        t.push_str("No drive here has the wrapped key any more: nobody can open what it sealed.\n");
    }
    let (lost, stripes) = v.lost_of();
    let is_lost = match lost {
        _ if !v.would_help.is_empty() => "cannot be reconstructed from them",
        1 => "is lost",
        _ => "are lost",
    };
    let of_stripes = match lost {
        0 => String::new(), // what is wrong was said
        lost => format!(": {} of {} {is_lost}", some(lost, "stripe"), shown_count(stripes)),
    };
    let _ =
        writeln!(t, "Not everything can be restored from the drives that are here{of_stripes}.");
    t + &would_help(v)
}

/// The drives that are not here and would help.
fn would_help(v: &Verdict) -> String {
    let slots: Vec<_> = v.would_help.iter().map(ToString::to_string).collect();
    if slots.is_empty() {
        return String::new();
    }
    format!("Drives that would help: slot {}.\n", slots.join(", "))
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

/// Of a set without set.txt; those of its drives that are not here may have it.
pub fn never_closed(set: &str, some_absent: bool) -> String {
    let it = if some_absent { "As far as the drives here show, it" } else { set };
    format!("{it} was never closed: it cannot be told from a shortened one.\n")
}
