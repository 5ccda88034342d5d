use super::*;
use rstest::rstest;

fn filter(patterns: &[&str]) -> Filter {
    Filter::new(&patterns.iter().map(ToString::to_string).collect::<Vec<_>>()).unwrap()
}

/// Review R7: `?` and classes are letters where names are UTF-8; and all else that patterns mean.
#[rstest]
// without a slash: a name at any depth
#[case("*.tmp", b"a.tmp", true)]
#[case("*.tmp", b"x/y/a.tmp", true)]
#[case("*.tmp", b"a.tmp.txt", false)]
#[case("*.tmp", b"x.tmp/kept-by-nothing", true)]
#[case("cache", b"x/cache", true)]
#[case("cache", b"x/cache2", false)]
#[case("?", b"x/\xff", true)]
#[case("*", b"anything", true)]
#[case("{a,b}", b"x/b", true)]
#[case("[!a]", b"x/b", true)]
#[case("\\*", b"x/*", true)]
#[case("\\*", b"x/y", false)]
// with a slash: the path from SOURCE
#[case("x/cache", b"x/cache", true)]
#[case("x/cache", b"y/x/cache", false)]
#[case("x/*", b"x/y", true)]
#[case("x/*", b"z/x/y", false)]
#[case("x/*/z", b"x/y/y/z", false)]
#[case("x/**/z", b"x/y/y/z", true)]
#[case("**/x/z", b"a/b/x/z", true)]
#[case("**/x/z", b"x/z", true)]
#[case("x/**", b"x", false)]
// a leading slash ties to SOURCE
#[case("/cache", b"cache", true)]
#[case("/cache", b"x/cache", false)]
#[case("/*.tmp", b"x/a.tmp", false)]
// names that are not UTF-8, or hold a newline
#[case("*.tmp", b"\xff\xfe.tmp", true)]
#[case("x/*", b"x/\xff\n\xfe", true)]
#[case("*", b"a\nb", true)]
#[case("a*b", b"x/a\n\xffb", true)]
// `?` and classes are letters
#[case("caf?.txt", "café.txt".as_bytes(), true)]
#[case("caf??.txt", "café.txt".as_bytes(), false)]
#[case("[öä].doc", "ö.doc".as_bytes(), true)]
#[case("[öä].doc", "ü.doc".as_bytes(), false)]
#[case("[!öä].doc", "ü.doc".as_bytes(), true)]
#[case("[!öä].doc", "ö.doc".as_bytes(), false)]
#[case("[a-é]", "d".as_bytes(), true)]
#[case("[a-é]", "è".as_bytes(), true)]
#[case("[a-é]", "ê".as_bytes(), false)]
#[case("[א-ת]", "ש".as_bytes(), true)]
#[case("{é,日本}*", "日本語".as_bytes(), true)]
#[case("??", "😀é".as_bytes(), true)]
#[case("\\\\xc3", "\\xc3".as_bytes(), true)]
#[case("\\é", "é".as_bytes(), true)]
#[case("[.]é+(x)", ".é+(x)".as_bytes(), true)]
// and bytes where a name is not UTF-8
#[case("caf?.txt", b"caf\xe9.txt", true)]
#[case("caf?.txt", b"caf\xc3\xe9.txt", false)]
#[case("caf??.txt", b"caf\xc3\xe9.txt", true)]
#[case("caf[!a].txt", b"caf\xe9.txt", true)]
#[case("d/[é]\u{10ffff}", b"d/\xe9\xff", false)]
// what people type in front of a path
#[case("./x/y", b"x/y", true)]
#[case("./x", b"x", true)]
#[case("./x", b"y/x", false)]
#[case("x//y", b"x/y", true)]
#[case("x/./y", b"x/y", true)]
// SOURCE itself
#[case("*", b"", false)]
#[case("**", b"", false)]
fn matches(#[case] pattern: &str, #[case] path: &[u8], #[case] excluded: bool) {
    assert_eq!(filter(&[pattern]).covers(path, false), excluded);
}

#[test]
fn a_trailing_slash_means_folders() {
    for pattern in ["build/", "/build/", "./build//", "build/."] {
        let filter = filter(&[pattern]);
        assert!(filter.covers(b"build", true));
        assert!(!filter.covers(b"build", false));
        assert!(filter.covers(b"build/a/b", false), "what lies in it goes with it");
        assert!(!filter.matches(b"build/a/b", false));
        assert_eq!(filter.covers(b"x/build", true), pattern.starts_with('b'));
    }
}

#[test]
fn several_patterns_add_up() {
    let filter = filter(&["*.tmp", "x/y", "/z", "w/"]);
    for path in [b"a.tmp".as_slice(), b"x/y", b"z", b"w/a"] {
        assert!(filter.covers(path, false));
    }
    assert!(!filter.covers(b"w", false));
    assert!(!Filter::new(&[]).unwrap().covers(b"a", false));
}

#[test]
fn patterns_that_cannot_be_meant_are_refused() {
    for pattern in ["", "/", "//", ".", "./", "../a", "a/..", "a/../b"] {
        let error = Filter::new(&[pattern.into()]).unwrap_err();
        assert!(matches!(error, FilterError::MatchesNothing { .. }), "{pattern}: {error}");
    }
    let error = Filter::new(&["a[".into()]).unwrap_err();
    assert_eq!(error.to_string(), "\"a[\" is not a pattern");
}

#[test]
fn patterns_that_matched_nothing_are_known() {
    let patterns = ["*.tmp", "x", "x/y", "w/", "nowhere", "/nowhere/*", "é?"];
    let filter = filter(&patterns);
    let clone = filter.clone();
    for path in [b"a.tmp".as_slice(), b"x/y/z", b"w", "v/éa".as_bytes()] {
        clone.covers(path, false);
    }
    assert_eq!(filter.without_effect(), ["w/", "nowhere", "/nowhere/*"]);
    filter.matches(b"w", true);
    assert_eq!(clone.without_effect(), ["nowhere", "/nowhere/*"]);
}
