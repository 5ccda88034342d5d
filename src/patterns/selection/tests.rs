use super::*;
use proptest::prelude::*;
use rstest::rstest;

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(ToString::to_string).collect()
}

fn selection(include: &[&str], exclude: &[&str]) -> Selection {
    Selection::new(&words(include), &words(exclude)).unwrap().unwrap()
}

#[rstest]
#[case::a_path(&["a/b"], &[], b"a/b", true)]
#[case::what_lies_in_it(&["a/b"], &[], b"a/b/c/d", true)]
#[case::its_parent(&["a/b"], &[], b"a", false)]
#[case::another(&["a/b"], &[], b"a/bc", false)]
#[case::a_name_anywhere(&["*.mov"], &[], b"x/y/z.mov", true)]
#[case::left_out_within(&["a/b"], &["*.tmp"], b"a/b/c.tmp", false)]
#[case::left_out_with_its_folder(&["a/b"], &["c"], b"a/b/c/d", false)]
#[case::all_but(&[], &["c"], b"a/b/d", true)]
#[case::of_several(&["x", "a/b"], &[], b"a/b", true)]
#[case::not_utf8(&["a/**"], &[], b"a/\xff\xfe", true)]
fn selects(
    #[case] include: &[&str],
    #[case] exclude: &[&str],
    #[case] path: &[u8],
    #[case] selected: bool,
) {
    assert_eq!(selection(include, exclude).selects(path, false), selected);
}

#[test]
fn without_patterns_there_is_no_selection() {
    assert!(Selection::new(&[], &[]).unwrap().is_none());
    assert!(Selection::new(&words(&["a["]), &[]).is_err());
    assert!(Selection::new(&[], &words(&["../a"])).is_err());
}

#[test]
fn spans_are_as_narrow_as_the_letters_of_the_patterns() {
    let spans = |include: &[&str]| selection(include, &[]).spans().to_vec();
    let span = |from: &[u8], to: &[u8]| KeySpan { from: from.into(), to: Some(to.into()) };
    assert_eq!(spans(&["a/b"]), [span(b"a/b", b"a/b\0"), span(b"a/b/", b"a/b0")]);
    assert_eq!(spans(&["/a/"]), [span(b"a/", b"a0")]);
    assert_eq!(spans(&["./a/b"]), spans(&["a//b"]));
    assert_eq!(spans(&["a/b*"]), [span(b"a/b", b"a/c")]);
    assert_eq!(spans(&["a/**", "a/b"]), [span(b"a/", b"a0")]);
    assert_eq!(spans(&["/\\*"]), [span(b"*", b"*\0"), span(b"*/", b"*0")]);
    for wide in ["a", "*.mov", "**/a", "/*", "{a,b}/c"] {
        assert_eq!(spans(&["a/b", wide]), [KeySpan::all()], "{wide}");
    }
    assert_eq!(selection(&[], &["a/b"]).spans(), [KeySpan::all()]);
}

#[test]
fn the_text_is_what_can_be_typed_again() {
    let one = selection(&["b c", "a/*"], &["*.tmp"]);
    assert_eq!(one.text(), "--include 'a/*' --include 'b c' --exclude '*.tmp'");
    assert_eq!(one.text(), selection(&["a/*", "b c", "a/*"], &["*.tmp"]).text());
}

proptest! {
    /// Names of few letters, among them those that sort about `/`.
    #[test]
    fn what_is_selected_lies_in_a_span(
        include in proptest::collection::vec("/?[ab!0*?]{1,2}(/([ab!0*?]{1,2}|\\*\\*)){0,2}/?", 1..3),
        paths in proptest::collection::vec("[ab!0]{1,2}(/[ab!0]{1,2}){0,3}", 1..40),
    ) {
        let Ok(Some(selection)) = Selection::new(&include, &[]) else { return Ok(()) };
        for path in &paths {
            for is_folder in [false, true] {
                let mut key = path.clone().into_bytes();
                key.extend(is_folder.then_some(b'/'));
                if selection.selects(path.as_bytes(), is_folder) {
                    let held = selection.spans().iter().any(|span| span.holds(&key));
                    prop_assert!(held, "{include:?} {path} {:?}", selection.spans());
                }
            }
        }
    }
}

#[test]
fn options_without_effect_are_told_as_they_were_typed() {
    let selection = selection(&["a", "./b c"], &["*.tmp", "*.old"]);
    assert!(selection.selects(b"a/x", false) && !selection.selects(b"a/x.tmp", false));
    assert_eq!(selection.without_effect(), ["--include './b c'", "--exclude '*.old'"]);
}
