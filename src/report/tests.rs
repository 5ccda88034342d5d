use super::facts::*;
use super::{labels_only, whole};
use crate::format::custody::CustodyNote;
use crate::format::ids::{SetNumber, ShipmentId, Slot};

fn set(number: u32, closed: Option<Closed>) -> SetPage {
    let drive = |slot, seen: Option<Seen>| DrivePage {
        slot: Slot(slot),
        case: format!("case{slot}"),
        bytes: Some(5_000_000),
        seen,
    };
    SetPage {
        number: SetNumber(number),
        name: format!("0123456789abcdef-{number:03}"),
        begun: "2026-01-02T03:04:05Z".into(),
        closed,
        in_use: None,
        is_foreign: false,
        survive: "cases=1".into(),
        guarantee: "Any 1 case may be lost.".into(),
        verdict: "It can be restored.\n".into(),
        bytes: 10_000_000,
        may_be_more: false,
        drive_count: 3,
        drives: vec![drive(1, Some(Seen { room: Some((1000, 600)) })), drive(2, None)],
        history: CustodyHistory::default(),
    }
}

fn closed(further: Option<bool>) -> Closed {
    Closed { at: "2026-01-02T09:00:00Z".into(), root: [0xab; 32], is_disputed: false, further }
}

fn page(sets: Vec<SetPage>) -> ShipmentPage {
    ShipmentPage {
        program: "holdall".into(),
        made: "2026-01-03T00:00:00Z".into(),
        shipment: ShipmentId(0x0123_4567_89ab_cdef),
        names: Vec::new(),
        contacts: Vec::new(),
        sets,
        dataset: None,
        noticed: Vec::new(),
    }
}

/// What is not known is said to be so, and nothing else is.
#[test]
fn sets_and_drives_that_were_not_seen_are_told_as_such() {
    let html = whole(&page(vec![set(1, Some(closed(Some(true)))), set(3, None)]), None);
    for words in [
        "2 sets seen; not seen: set 2; whether further sets follow is not known",
        "2 of 6 seen when this page was made",
        "set 3, drive 2 of 3: not seen when this page was made",
        "of 1 drive not even the case is known",
        "not closed, as far as the drives seen tell",
        "Of each set: ",
    ] {
        assert!(html.contains(words), "{words}");
    }
    // Two drives were seen, and each is drawn and listed with its fill.
    assert_eq!(html.matches("40 %").count(), 4, "{html}");
    assert!(!html.contains("the whole shipment"));
    let whole_one = whole(&page(vec![set(1, Some(closed(Some(false))))]), None);
    assert!(whole_one.contains("1 set seen: the whole shipment"), "{whole_one}");
    // Where nothing is closed there is no root to ask for.
    let asks = |html: &str| html.contains("the root of the last set");
    assert!(asks(&whole_one) && !asks(&whole(&page(vec![set(1, None)]), None)));
}

#[test]
fn a_label_holds_the_root_only_of_a_closed_set() {
    let html = labels_only(&page(vec![set(1, Some(closed(None))), set(2, None)]), None);
    let root = "ab".repeat(32);
    for told in [
        format!("holdall 0123456789abcdef-001 slot 2 case case2 root {root}"),
        "holdall 0123456789abcdef-002 slot 2 case case2 root none".into(),
    ] {
        assert!(html.contains(&told), "{told}\n{html}");
    }
    assert_eq!(html.matches("class=\"qr\"").count(), 4);
    assert_eq!(html.matches("not closed: no root yet").count(), 2);
}

#[test]
fn a_root_in_doubt_is_told_as_such() {
    let doubtful = Closed { is_disputed: true, ..closed(None) };
    let html = whole(&page(vec![set(1, Some(doubtful))]), None);
    assert!(html.contains("The drives disagree"), "{html}");
    assert!(html.contains("nobody knows whether further sets follow"), "{html}");
}

/// A label says whatever somebody wrote into it.
#[test]
fn text_can_neither_end_an_element_nor_turn_what_stands_beside_it() {
    let mut hostile = page(vec![set(1, Some(closed(None)))]);
    hostile.names = vec!["\u{202e}\u{7}</h1><b>x".into()];
    hostile.noticed = vec!["\u{1b}[31m\n</ul>".into()];
    hostile.sets[0].begun = "<i>\u{2066}now".into();
    for html in [whole(&hostile, None), labels_only(&hostile, None)] {
        let lines = html.lines();
        assert!(!lines.clone().any(|l| l.contains(crate::format::shown::is_unsafe)), "{html}");
        assert!(html.contains("<bdi>\\u{202e}\\u{7}&lt;/h1&gt;&lt;b&gt;x</bdi>"), "{html}");
    }
    let html = whole(&hostile, None);
    assert!(html.contains("<bdi>&lt;i&gt;\\u{2066}now</bdi>"), "{html}");
    assert!(html.contains("<bdi>\\u{1b}[31m\\n&lt;/ul&gt;</bdi>"), "{html}");
}

/// Drives that were checked together stand together, but for those of which something else was found.
#[test]
fn checks_are_told_by_what_was_found() {
    use crate::format::custody::{CustodyResult, example};
    let note = |slot, result, level: &str| CustodyNote {
        slot: Slot(slot),
        result,
        level: level.into(),
        bad_blocks: u64::from(result == CustodyResult::Damaged),
        root: Some("ab".repeat(32)),
        ..example()
    };
    let mut noted = page(vec![set(1, Some(closed(None)))]);
    noted.sets[0].history.notes = vec![
        note(1, CustodyResult::Whole, "direct"),
        note(2, CustodyResult::Whole, "direct"),
        note(3, CustodyResult::Damaged, "direct"),
        note(4, CustodyResult::Whole, "cached"),
    ];
    let html = whole(&noted, None);
    for words in [
        "<td>1–2</td><td class=\"path\"><div>every block read past the caches: nothing wrong was found</div>",
        "<div class=\"bad\">every block read past the caches: damaged: 1 bad block</div>",
        "<div>every block read from the cache, which proves nothing: nothing wrong was found</div>",
        "Set 1, drives 1–2 were checked by <bdi>Ann, customs hall 3</bdi></span>",
        "Set 1, drive 3 was checked by <bdi>Ann, customs hall 3</bdi>: damage was found</span>",
        "Set 1, drive 4 was checked by <bdi>Ann, customs hall 3</bdi> from the cache</span>",
        "<div class=\"muted\"><bdi>seal unbroken</bdi></div>",
    ] {
        assert!(html.contains(words), "{words}");
    }
    assert!(html.contains("the last check noted of drive 3 found damage"), "{html}");
    assert!(!html.contains("another root"));
    // Of a drive that is not here, the drawing tells nothing.
    assert_eq!(html.matches("class=\"mark\"").count(), 1);
    noted.sets[0].history.notes[0].root = Some("cd".repeat(32));
    assert!(whole(&noted, None).contains("checked as a set of another root"));
}
