//! Labels of one set that differ: which counts, and in what.

use super::found::FoundSet;
use crate::format::ids::Slot;
use crate::format::label::{Label, MAX_LABEL_BYTES};
use crate::format::shown::shown_text;
use std::cmp::Reverse;

/// What is the same on all drives of a set, in a label of no slot: of labels that differ, each with
/// its drive's name, that which weighs most, or else that most drives carry, or else that hides
/// least.
pub(super) fn chosen<'a, W: Ord>(
    labels: impl Iterator<Item = (&'a str, Label)>,
    weight: impl Fn(&Label) -> W,
) -> Option<Label> {
    let mut counts: Vec<(Label, Vec<&str>)> = Vec::new();
    for (drive, label) in labels {
        let label = Label { slot: Slot(0), case: "?".into(), ..label };
        match counts.iter_mut().find(|(other, _)| *other == label) {
            Some((_, drives)) if drives.contains(&drive) => {}
            Some((_, drives)) => drives.push(drive),
            None => counts.push((label, vec![drive])),
        }
    }
    // Of those that are alike in all of that, the first.
    let best = counts.into_iter().rev().max_by_key(|(label, drives)| {
        (weight(label), drives.len(), label.chunk_bytes, Reverse(label.drives))
    });
    best.map(|(label, _)| label)
}

/// Where a label says something else of the set than another, each as it says it.
pub(super) fn differences(label: &Label, other: &Label) -> Vec<String> {
    let numbers = |l: &Label| {
        [l.drives.into(), l.suite.into(), l.chunk_bytes, l.block_bytes].map(|n: u32| n.to_string())
    };
    let texts = |l: &Label| {
        [&l.survive, &l.name, &l.contact, &l.created, &l.program]
            .map(|text| format!("\"{}\"", shown_text(text)))
    };
    let names = ["drives", "suite", "C", "B", "survive", "name", "contact", "created", "program"];
    let fields = |l: &Label| numbers(l).into_iter().chain(texts(l));
    let fields = names.into_iter().zip(fields(label).zip(fields(other)));
    fields
        .filter(|(_, (this, that))| this != that)
        .map(|(name, (this, that))| format!("{name} is {this} here, {that} there"))
        .collect()
}

impl FoundSet {
    /// What is the same on all drives by those labels that `is_named`.
    pub fn common_label(&self, is_named: impl Fn(&Vec<u8>) -> bool) -> Option<Label> {
        let copies = self.small_copies("label.json", MAX_LABEL_BYTES).into_iter();
        let named = copies.filter_map(|copy| {
            let label = Label::decode(&copy.read.ok().filter(&is_named)?).ok()?;
            Some((copy.found.drive.name(), label))
        });
        let named: Vec<(&str, Label)> = named.collect();
        let most = named.iter().map(|(_, label)| label.chunk_bytes).max()?;
        let common = chosen(named.into_iter(), |_| ())?;
        Some(Label { chunk_bytes: most, ..common })
    }
}
