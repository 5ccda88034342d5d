//! The syntax both ways, each error with the words it names, and the defaults.

use proptest::prelude::*;

use super::*;

fn rule(cases: u32, drives: u32) -> Survive {
    Survive { cases, drives, blocks: 0 }
}

fn with(rule: Survive, blocks: u32) -> Survive {
    Survive { blocks, ..rule }
}

#[test]
fn reads_every_form() {
    for (text, wanted) in [
        ("none", Survive::NONE),
        (" none\n", Survive::NONE),
        ("cases=1", rule(1, 0)),
        ("drives=2", rule(0, 2)),
        ("cases=1,drives=1", rule(1, 1)),
        ("drives=3,cases=2", rule(2, 3)),
        (" cases = 1 , drives = 1 ", rule(1, 1)),
        ("cases=1,drives=0", rule(1, 0)),
        ("cases=4294967295", rule(u32::MAX, 0)),
        ("blocks=3%", with(Survive::NONE, 3)),
        ("blocks = 100 %,drives=1", with(rule(0, 1), 100)),
        ("cases=1,drives=1,blocks=1%", with(rule(1, 1), 1)),
    ] {
        assert_eq!(text.parse(), Ok(wanted), "{text:?}");
    }
}

#[test]
fn names_what_is_wrong() {
    use SurviveError::*;
    let word = |word: &str| word.to_owned();
    for (text, wanted) in [
        ("", Empty),
        ("  ", Empty),
        ("cases=1,", MissingPart { text: word("cases=1,") }),
        (",", MissingPart { text: word(",") }),
        ("disks=1", UnknownWord { word: word("disks") }),
        ("Cases=1", UnknownWord { word: word("Cases") }),
        ("=1", UnknownWord { word: word("") }),
        ("cases=1 drives=1", InvalidNumber { word: word("cases"), number: word("1 drives=1") }),
        ("cases=1,cases=2", RepeatedWord { word: word("cases") }),
        ("drives=0,drives=0", RepeatedWord { word: word("drives") }),
        ("cases", MissingNumber { word: word("cases") }),
        ("drives=", MissingNumber { word: word("drives") }),
        ("drives=two", InvalidNumber { word: word("drives"), number: word("two") }),
        ("drives=-1", InvalidNumber { word: word("drives"), number: word("-1") }),
        ("drives=+1", InvalidNumber { word: word("drives"), number: word("+1") }),
        ("drives=1=2", InvalidNumber { word: word("drives"), number: word("1=2") }),
        ("cases=4294967296", InvalidNumber { word: word("cases"), number: word("4294967296") }),
        ("none,cases=1", NoneNotAlone { text: word("none,cases=1") }),
        ("cases=1,none", NoneNotAlone { text: word("cases=1,none") }),
        ("none=1", NoneNotAlone { text: word("none=1") }),
        ("cases=0", Zero { text: word("cases=0") }),
        ("drives=00", Zero { text: word("drives=00") }),
        ("cases=0,drives=0", Zero { text: word("cases=0,drives=0") }),
        ("cases=1,blocks", MissingNumber { word: word("blocks") }),
        ("blocks=3", InvalidNumber { word: word("blocks"), number: word("3") }),
        ("blocks=%", InvalidNumber { word: word("blocks"), number: word("%") }),
        ("blocks=101%", InvalidNumber { word: word("blocks"), number: word("101%") }),
        ("blocks=+1%", InvalidNumber { word: word("blocks"), number: word("+1%") }),
        ("drives=1%", InvalidNumber { word: word("drives"), number: word("1%") }),
        ("blocks=0%", Zero { text: word("blocks=0%") }),
    ] {
        assert_eq!(text.parse::<Survive>(), Err(wanted), "{text:?}");
    }
}

#[test]
fn errors_say_what_to_write() {
    let message = |text: &str| text.parse::<Survive>().unwrap_err().to_string();
    assert_eq!(message("cases=0"), "\"cases=0\" keeps nothing; write none to say so");
    assert_eq!(message("drives"), "\"drives\" needs a number, as in drives=1");
    assert_eq!(message("blocks"), "\"blocks\" needs a number, as in blocks=1%");
}

#[test]
fn default_is_the_strongest_that_can_be_kept() {
    for (drives_per_case, wanted) in [
        (&[][..], Survive::NONE),
        (&[0, 0], Survive::NONE),
        (&[1], with(Survive::NONE, 1)),
        (&[0, 1], with(Survive::NONE, 1)),
        (&[2], rule(0, 1)),
        (&[16], rule(0, 1)),
        (&[1, 1], with(rule(1, 0), 1)),
        (&[1, 1, 1, 1], with(rule(1, 0), 1)),
        (&[4, 4, 4, 1], with(rule(1, 0), 1)),
        (&[1, 15], with(rule(1, 0), 1)),
        (&[2, 2], rule(1, 1)),
        (&[2, 15], rule(1, 1)),
        (&[4, 4, 4, 4], rule(1, 1)),
        (&[2, 0, 2], rule(1, 1)),
    ] {
        assert_eq!(Survive::default_for(drives_per_case), wanted, "{drives_per_case:?}");
    }
}

#[test]
fn what_is_lost_of_a_case_counts_once() {
    for (rule, lost_per_case, allowed) in [
        (rule(1, 0), &[][..], true),
        (rule(1, 0), &[4], true),
        (rule(1, 0), &[1, 1], false),
        (rule(1, 1), &[1, 4], true),
        (rule(1, 1), &[2, 4], false),
        (rule(0, 2), &[2], true),
        (rule(0, 2), &[1, 1], true),
        (rule(0, 2), &[2, 1], false),
        (Survive::NONE, &[1], false),
        (with(Survive::NONE, 5), &[1], false),
    ] {
        assert_eq!(rule.allows(lost_per_case), allowed, "{rule} {lost_per_case:?}");
    }
}

#[test]
fn parity_needed_is_the_fullest_cases_and_the_drives() {
    assert_eq!(parity_needed(&[4, 4, 4, 4], Survive::NONE), 0);
    assert_eq!(parity_needed(&[4, 4, 4, 4], rule(1, 1)), 5);
    assert_eq!(parity_needed(&[3, 1, 2], rule(2, 0)), 5);
    assert_eq!(parity_needed(&[3], rule(2, 1)), 4);
    assert_eq!(parity_needed(&[], rule(1, 2)), 2);
    assert_eq!(parity_needed(&[255], rule(u32::MAX, u32::MAX)), 255 + u32::MAX as usize);
}

proptest! {
    #[test]
    fn display_reads_back(cases: u32, drives: u32, blocks in 0_u32..=100) {
        let rules = [rule(cases, drives), rule(cases, 0), rule(0, drives), Survive::NONE];
        for rule in rules.into_iter().flat_map(|rule| [rule, with(rule, blocks)]) {
            prop_assert_eq!(rule.to_string().parse(), Ok(rule));
        }
    }

    #[test]
    fn the_parity_along_is_what_was_asked_for_at_least(blocks in 1_u32..=100) {
        let members = with(Survive::NONE, blocks).members().unwrap();
        prop_assert!(100 >= members * blocks as usize);
        prop_assert!(100 < (members + 1) * blocks as usize);
    }

    #[test]
    fn any_text_is_a_rule_or_an_error(text in "[ casedrivnobl=,0-9%+-]{0,24}") {
        if let Ok(rule) = text.parse::<Survive>() {
            prop_assert_eq!(rule.to_string().parse(), Ok(rule));
        }
    }

    #[test]
    fn default_can_be_kept(drives_per_case in prop::collection::vec(0usize..6, 1..6)) {
        let rule = Survive::default_for(&drives_per_case);
        prop_assert!(rule.is_none() || rule.can_be_kept(&drives_per_case));
    }
}
