//! Text in columns, and counts in words.

use crate::drives::Level;
use crate::format::ids::Slot;
pub use crate::monitor::some;
use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

/// The form of a verb for one, or for several.
pub fn verb(count: u64, one: &'static str, several: &'static str) -> &'static str {
    if count == 1 { one } else { several }
}

/// A slot's number, if it is known.
pub fn slot_name(slot: Slot) -> String {
    if slot.0 == 0 { "?".into() } else { slot.to_string() }
}

/// How bytes were read, for people.
pub fn level_words(level: Level) -> &'static str {
    match level {
        Level::Direct | Level::Dropped => "past the caches",
        Level::Cached => "from the cache: proves nothing",
        Level::None => "not read back",
    }
}

/// The columns `text` takes on a terminal.
pub fn columns(text: &str) -> usize {
    text.width()
}

/// `name` in at most `width` columns: the middle goes first, since both a case in front and the
/// last part of a path behind tell drives apart. What is read as one letter is not cut.
pub fn shortened(name: &str, width: usize) -> String {
    const GAP: &str = "..";
    if columns(name) <= width {
        return name.to_owned();
    }
    let letters: Vec<&str> = name.graphemes(true).collect();
    let room = width.saturating_sub(GAP.len());
    if room < 2 {
        return letters[..fitting(letters.iter(), width)].concat();
    }
    let tail = letters.len() - fitting(letters.iter().rev(), room - room / 3);
    let tail = letters[tail..].concat();
    let head = letters[..fitting(letters.iter(), room - columns(&tail))].concat();
    format!("{head}{GAP}{tail}")
}

/// How many of `letters` fit in `width` columns.
fn fitting<'a>(letters: impl Iterator<Item = &'a &'a str>, width: usize) -> usize {
    let mut used = 0;
    let fits = letters.take_while(|letter| {
        used += columns(letter);
        used <= width
    });
    fits.count()
}

/// `text` shortened or padded on the right to exactly `width` columns.
pub fn fitted(text: &str, width: usize) -> String {
    let mut shown = shortened(text, width);
    shown.extend(std::iter::repeat_n(' ', width.saturating_sub(columns(&shown))));
    shown
}

/// `text` in lines of at most `width` columns, each behind `indent` and with its end; a word that is
/// longer stays whole.
pub fn wrapped(text: &str, indent: &str, width: usize) -> String {
    let (mut lines, mut line) = (String::new(), indent.to_owned());
    for word in text.split(' ') {
        let is_first = line.len() == indent.len();
        if !is_first && columns(&line) + 1 + columns(word) > width {
            lines += line.trim_end();
            lines.push('\n');
            line.truncate(indent.len());
        } else if !is_first {
            line.push(' ');
        }
        line += word;
    }
    lines + line.trim_end() + "\n"
}

/// `text` in lines of 80 columns.
pub fn lines(text: &str) -> String {
    wrapped(text, "", 80)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("north", 10, "north")]
    #[case("north /media/anna/usb-3f2a", 26, "north /media/anna/usb-3f2a")]
    #[case("north /media/anna/usb-3f2a", 18, "north..na/usb-3f2a")]
    #[case("日本日本日本日本", 9, "日..日本")]
    #[case("e\u{301}te\u{301} e\u{301}te\u{301}", 6, "e\u{301}..e\u{301}te\u{301}")]
    #[case("👩‍🚀👩‍🚀👩‍🚀👩‍🚀👩‍🚀", 9, "👩‍🚀..👩‍🚀👩‍🚀")]
    #[case("north", 3, "nor")]
    #[case("north", 0, "")]
    fn names_lose_their_middle(#[case] name: &str, #[case] width: usize, #[case] short: &str) {
        assert_eq!(shortened(name, width), short);
    }

    #[test]
    fn a_shortened_name_never_exceeds_its_width() {
        for name in
            ["a", "north /media/usb", "日本語のドライブ", "👩‍🚀👨‍👩‍👧🇨🇭 x", "e\u{301}te\u{301} /mnt/x"]
        {
            for width in 0..30 {
                assert!(columns(&shortened(name, width)) <= width, "{name} {width}");
                assert_eq!(columns(&fitted(name, width)), width, "{name} {width}");
            }
        }
    }

    #[test]
    fn long_lines_go_on_in_the_next() {
        assert_eq!(wrapped("one two three", "  ", 9), "  one two\n  three\n");
        assert_eq!(wrapped("a verylongword b", "", 4), "a\nverylongword\nb\n");
        assert_eq!(wrapped("", "  ", 9), "\n");
    }

    /// Review A24: nothing is `1 cases`, `1 blocks` or `2 entrys`.
    #[rstest]
    #[case(0, "entry", "0 entries")]
    #[case(1, "entry", "1 entry")]
    #[case(1, "case", "1 case")]
    #[case(12_345, "block", "12,345 blocks")]
    fn counts_have_the_right_ending(#[case] count: u64, #[case] noun: &str, #[case] shown: &str) {
        assert_eq!(some(count, noun), shown);
    }
}
