//! Names of all kinds: two have two, none is refused, and the way back gives each again.

use std::collections::HashMap;

use proptest::prelude::*;
use rstest::rstest;

use super::*;

/// The way back that is documented: what URLs do.
fn back(name: &[u8]) -> Vec<u8> {
    let (mut out, mut at) = (Vec::new(), 0);
    while at < name.len() {
        let digits = name.get(at + 1..at + 3).and_then(|d| std::str::from_utf8(d).ok());
        let byte = digits.filter(|_| name[at] == b'%').and_then(|d| u8::from_str_radix(d, 16).ok());
        out.push(byte.unwrap_or(name[at]));
        at += if byte.is_some() { 3 } else { 1 };
    }
    out
}

/// What Windows and all of these file systems take.
fn assert_accepted(name: &[u8], most: usize) {
    let text = std::str::from_utf8(name).unwrap();
    assert!(!text.is_empty() && text.len() <= most, "{text:?}");
    assert!(!text.contains(|c: char| c.is_control() || "\"*/:<>?\\|".contains(c)), "{text:?}");
    assert!(!text.ends_with(['.', ' ']) && !is_reserved(name), "{text:?}");
}

#[rstest]
#[case::plain("été 2026 100%.jpg", "été 2026 100%.jpg")]
#[case::forbidden("a:b?.txt", "a%3Ab%3F.txt")]
#[case::end("etc. ", "etc.%20")]
#[case::dots("...", "..%2E")]
#[case::device("nul.tar.gz", "%6Eul.tar.gz")]
#[case::no_device("COM10", "COM10")]
#[case::superscript("lpt²", "%6Cpt²")]
#[case::looks_mapped("a%3Ab", "a%253Ab")]
#[case::looks_cut("a%~b", "a%25~b")]
#[case::control("a\nb\u{85}", "a%0Ab%C2%85")]
#[case::work(".holdall", "%2Eholdall")]
#[case::list("Holdall-names.txt", "%48oldall-names.txt")]
fn the_rule(#[case] name: &str, #[case] expected: &str) {
    assert_eq!(String::from_utf8(mapped(name.as_bytes(), 255).into()).unwrap(), expected);
    assert_eq!(back(expected.as_bytes()), name.as_bytes());
}

/// What Windows opens is left as it is, but for what the restore has for itself.
#[rstest]
#[case("a:b", false)]
#[case("etc.", false)]
#[case("Con.txt", false)]
#[case("a\tb", false)]
#[case("a%3Ab", true)]
#[case(".holdall", true)]
#[case("été 2026.jpg", true)]
fn what_windows_opens(#[case] name: &str, #[case] opens: bool) {
    assert_eq!(opens_on_windows(name.as_bytes()), opens);
}

#[test]
fn bytes_that_are_no_text_and_letters_that_differ_by_case() {
    assert_eq!(&*mapped(b"caf\xe9.txt", 255), b"caf%E9.txt");
    assert_eq!(mapped_apart(b"Re 1.md", 255), b"%52%65 1.%6D%64");
}

/// Names that tell two apart where it is hard: of few characters, of which many matter.
fn names() -> impl Strategy<Value = Vec<u8>> {
    let hard = prop::sample::select(b"aAbB%~23eE.: \\?\x01\xff\xc3\xa9nulNUL".to_vec());
    let free =
        prop_oneof![prop::collection::vec(any::<u8>(), 1..256), "\\PC{1,60}".prop_map(Vec::from)];
    let long = ("[a-cé%:]{100,127}", "(|.jpg|.JPG)").prop_map(|(a, b)| (a + &b).into_bytes());
    let name = prop_oneof![prop::collection::vec(hard, 1..6), free, long];
    name.prop_filter("one name", |name| {
        let bad: [&[u8]; 2] = [b".", b".."];
        name.len() <= 255
            && !name.contains(&b'/')
            && !name.contains(&0)
            && !bad.contains(&&name[..])
    })
}

proptest! {
    #[test]
    fn every_name_is_taken_and_comes_back(name in names(), most in 80_usize..=255) {
        for here in [mapped(&name, most).into_owned(), mapped_apart(&name, most)] {
            assert_accepted(&here, most);
            let is_cut = std::str::from_utf8(&here).unwrap().contains(CUT);
            prop_assert!(is_cut || back(&here) == name);
            // What is taken stays.
            if here == name {
                prop_assert!(!is_cut);
            }
        }
    }

    #[test]
    fn no_two_names_of_a_folder_become_one(all in prop::collection::hash_set(names(), 2..60)) {
        let mut seen: HashMap<Vec<u8>, &[u8]> = HashMap::new();
        let mut apart: HashMap<String, &[u8]> = HashMap::new();
        for name in &all {
            prop_assert_eq!(seen.insert(mapped(name, 100).into_owned(), name), None);
            // Whatever the case of letters.
            let here = String::from_utf8(mapped_apart(name, 100)).unwrap().to_lowercase();
            prop_assert_eq!(apart.insert(here, name), None);
        }
        for name in &all {
            // The one form of a name is never the other of another.
            let other = seen.get(&mapped_apart(name, 100));
            prop_assert!(other.is_none_or(|other| *other == &name[..]));
        }
    }
}
