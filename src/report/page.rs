//! The page: what is known of the shipment, what may be lost, what happened to it, and what to do.

use super::cases::cases;
use super::checks;
use super::dataset::DatasetSummary;
use super::facts::{Closed, SetPage, ShipmentPage};
use super::labels::labels;
use super::lists::lists;
use super::text::{date, root, shown};
use crate::monitor::{shown_bytes, shown_count, some};
use maud::{Markup, PreEscaped, html};

/// What a page begins with, by which one is known.
pub const FIRST_LINES: &str = "<!DOCTYPE html>\n<!-- made by holdall report -->\n";

/// The paper that it is laid out for; without one, that of the printer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paper {
    A4,
    Letter,
}

/// What the page looks like, on a screen and on paper.
const STYLE: &str = include_str!("style.css");
/// Nothing is fetched, run or sent.
const POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";

/// The whole page.
pub fn whole(page: &ShipmentPage, paper: Option<Paper>) -> String {
    let body = html! {
        main {
            (head(page))
            (what_may_be_lost(page))
            section { h2 { "Cases and drives" } (cases(page)) }
            (sets(page))
            @if let Some(dataset) = &page.dataset { (summary(dataset)) }
            (timeline(page))
            (checks::table(page))
            (noticed(page))
            (how_to_restore(page))
            (lists(page))
            section.sheet {
                h2.screen { "Drive labels" }
                p.screen { "Cut along the dashed lines. Each code holds the set, the drive and the root." }
                (labels(page))
            }
        }
    };
    document(page, paper, &body)
}

/// The labels alone.
pub fn labels_only(page: &ShipmentPage, paper: Option<Paper>) -> String {
    document(page, paper, &html! { main { (labels(page)) } })
}

fn document(page: &ShipmentPage, paper: Option<Paper>, body: &Markup) -> String {
    let size = match paper {
        None => "",
        Some(Paper::A4) => "@page { size: A4 }",
        Some(Paper::Letter) => "@page { size: letter }",
    };
    let document = html! {
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { "holdall shipment " (page.shipment) }
                style { (PreEscaped(STYLE)) (PreEscaped(size)) }
            }
            body { (body) }
        }
    };
    format!("{FIRST_LINES}{}\n", document.into_string())
}

fn head(page: &ShipmentPage) -> Markup {
    let sets = page.sets.iter().filter(|set| !set.is_foreign);
    let (mut all, mut seen) = (0, 0);
    for set in sets {
        (all, seen) = (all + u64::from(set.drive_count), seen + set.seen_drives());
    }
    html! {
        header {
            p.muted { "Shipment report" }
            h1 {
                @for (at, name) in page.names.iter().enumerate() {
                    @if at > 0 { ", " }
                    (shown(name))
                }
                @if page.names.is_empty() { "Shipment " (page.shipment) }
            }
            dl.facts {
                dt { "Shipment" } dd { code { (page.shipment) } }
                dt { "Cases" } dd { (page.cases().len()) }
                dt { "Drives" } dd { (seen) " of " (all) " seen when this page was made" }
                dt { "Sets" } dd { (sets_in_words(page)) }
                @if !page.contacts.is_empty() {
                    dt { "Contact" } dd {
                        @for contact in &page.contacts { div { (shown(contact)) } }
                    }
                }
                dt { "Page made" } dd { (date(&page.made)) " by " (page.program) }
            }
        }
    }
}

fn sets_in_words(page: &ShipmentPage) -> String {
    let seen = page.sets.iter().filter(|set| !set.is_foreign).count() as u64;
    let seen = some(seen, "set");
    let unseen = page.unseen_sets();
    let numbers: Vec<_> = unseen.iter().map(ToString::to_string).collect();
    let others = match numbers.len() {
        0 => String::new(),
        _ => format!("; not seen: set {}", numbers.join(", ")),
    };
    let end = match page.further() {
        Some(false) if unseen.is_empty() => ": the whole shipment",
        Some(false) => "; the last one was seen",
        Some(true) => "; further sets follow, which were not seen",
        None => "; whether further sets follow is not known",
    };
    format!("{seen} seen{others}{end}")
}

fn what_may_be_lost(page: &ShipmentPage) -> Markup {
    // Sets of one rule are told together.
    let mut rules: Vec<(&str, &str, Vec<String>)> = Vec::new();
    for set in page.sets.iter().filter(|set| !set.is_foreign) {
        let (guarantee, survive) = (set.guarantee.as_str(), set.survive.as_str());
        match rules.iter_mut().find(|rule| (rule.0, rule.1) == (guarantee, survive)) {
            Some(rule) => rule.2.push(set.number.to_string()),
            None => rules.push((guarantee, survive, vec![set.number.to_string()])),
        }
    }
    let each = if page.several_sets() { "Of each set: " } else { "" };
    html! {
        section.guarantee {
            h2 { "What may be lost on the way" }
            @for (guarantee, survive, sets) in &rules {
                p {
                    @if rules.len() > 1 { "Of set " (sets.join(", ")) ": " } @else { (each) }
                    strong { (guarantee) }
                    span.muted { " (rule " (shown(survive)) ")" }
                }
            }
            p.muted { "This is how the drives were packed. Losses and damage since are listed below, "
                "as far as they were seen." }
        }
    }
}

fn sets(page: &ShipmentPage) -> Markup {
    html! {
        section {
            h2 { "Sets" }
            @for set in &page.sets { (set_facts(set)) }
            p.muted { "From labels, records and set.txt: no block was read for this page, " code { "holdall verify" }
                " reads every one. Only a root that was sent by another route proves that they "
                "come from the packer." }
        }
    }
}

fn set_facts(set: &SetPage) -> Markup {
    let (unknown, unsound) = (set.unknown_drives(), set.unsound_drives());
    html! {
        article.set {
            h3 { "Set " (set.number) " " code.muted { (set.name) } }
            @if set.is_foreign {
                p.bad { "Another set of this shipment disowns this one: it is listed here only." }
            }
            dl.facts {
                dt { "Drives" } dd {
                    (set.seen_drives()) " of " (set.drive_count) " seen"
                    @if unknown > 0 {
                        "; of " (some(unknown, "drive")) " not even the case is known"
                    }
                }
                dt { "Shards" } dd {
                    @if set.may_be_more { "at least " } (shown_bytes(set.bytes))
                }
                dt { "Begun" } dd { (date(&set.begun)) }
                dt { "Closed" } dd { (closed_in_words(set)) }
                @if let Some(Closed { root: hash, is_disputed, .. }) = &set.closed {
                    dt { "Root" } dd {
                        (root(hash))
                        @if *is_disputed {
                            p.bad { "The drives disagree: some have a set.txt of another root. Only the root "
                                "that pack printed tells which is right." }
                        }
                    }
                }
                dt { "If the drives seen are sound" } dd {
                    div.lines { (set.verdict.trim_end()) }
                    @if !unsound.is_empty() {
                        p.bad { "But the last check noted of " (checks::drives(&unsound)) " found damage, or "
                            "got no answer." }
                    }
                }
            }
        }
    }
}

fn closed_in_words(set: &SetPage) -> Markup {
    html! {
        @match &set.closed {
            Some(closed) => {
                (date(&closed.at))
                @match closed.further {
                    Some(false) => "; the last set of the shipment",
                    Some(true) => "; further sets follow",
                    None => "; from its drives alone, so nobody knows whether further sets follow",
                }
            }
            None => @match &set.in_use {
                Some(program) => { "not yet: " (shown(program)) " is at work on it" }
                None => "not closed, as far as the drives seen tell: whether more was packed is not known",
            },
        }
    }
}

fn summary(dataset: &DatasetSummary) -> Markup {
    html! {
        section {
            h2 { "Dataset" }
            p.bad { "Made with the key: this part of the page names folders that are sealed on the drives." }
            @if !dataset.is_whole {
                p { "Not all of it: a set was not here, or a catalog could not be read whole." }
            }
            dl.facts {
                dt { "Entries" } dd { (shown_count(dataset.entries)) }
                dt { "Bytes of files" } dd { (shown_bytes(dataset.bytes)) }
                dt { "Kinds" } dd {
                    @for (at, (kind, count)) in dataset.kinds.iter().enumerate() {
                        @if at > 0 { ", " }
                        (some(*count, kind))
                    }
                }
                @if dataset.not_taken > 0 {
                    dt { "Not packed whole" } dd { (some(dataset.not_taken, "entry")) }
                }
            }
            @if !dataset.folders.is_empty() {
                div.wide { table {
                    thead { tr { th { "Largest folders" } th.number { "Files" } th.number { "Bytes" } } }
                    tbody { @for folder in &dataset.folders { tr {
                        td.path { (shown(&folder.path)) }
                        td.number { (shown_count(folder.files)) }
                        td.number { (shown_bytes(folder.bytes)) }
                    } } }
                } }
            }
        }
    }
}

fn timeline(page: &ShipmentPage) -> Markup {
    let mut events: Vec<(&str, Markup)> = Vec::new();
    for set in &page.sets {
        events.push((&set.begun, html! { "Set " (set.number) " was begun" }));
        if let Some(closed) = &set.closed {
            events.push((&closed.at, html! { "Set " (set.number) " was closed" }));
        }
    }
    let checks = checks::checks(page);
    events.extend(checks.iter().map(|check| (check.note.time.as_str(), check.in_short())));
    events.push((&page.made, html! { "This page was made" }));
    // What is no time stands last.
    events.sort_by_key(|(at, _)| {
        let at = at.parse::<jiff::Timestamp>().ok();
        (at.is_none(), at)
    });
    html! {
        section {
            h2 { "Timeline" }
            ol.timeline { @for (at, what) in events { li { (date(at)) span { (what) } } } }
        }
    }
}

fn noticed(page: &ShipmentPage) -> Markup {
    html! {
        @if !page.noticed.is_empty() {
            section {
                h2 { "Noticed while this page was made" }
                ul { @for problem in &page.noticed { li.bad { (shown(problem)) } } }
            }
        }
    }
}

fn how_to_restore(page: &ShipmentPage) -> Markup {
    let last = page.sets.iter().rev().find_map(|set| set.closed.as_ref());
    html! {
        section {
            h2 { "How to restore" }
            ol.steps {
                li { "Have the key (identity) that it was packed for"
                    @if last.is_some() { ", and the root of the last set, sent by another route than these drives" }
                    "." }
                li { "Attach the drives, in any order: if nothing is lost, one at a time is enough. "
                    code { "holdall status" } " says which are here." }
                li { code { "holdall restore -i KEY --to FOLDER"
                    @if last.is_some() { " --expect ROOT" } } }
                li { "Attach other drives and run it again, until it says that every file is complete." }
                li { "If it names damage: " code { "holdall verify" } " and " code { "holdall repair" }
                    ". Without holdall: " code { "holdall/README.txt" } " on each drive, and "
                    code { "reader.py" } " beside it." }
            }
        }
    }
}
