//! The command line: what was typed comes in, what people and scripts read goes out.
//!
//! - Enters: arguments, and through [`crate::monitor::Monitor`] what a job reports.
//! - Leaves: results on standard output, everything else on standard error, an exit status.
//! - Always holds: (1) only this folder prints; (2) a result goes through [`json::out`] or
//!   [`json::emit`], everything else through [`say`] or a monitor; (3) `error:`, `hint:`,
//!   `problem:` and `note:` lead their lines, in lower case and without a period; (4) text from
//!   outside (names, paths, causes) passes [`shown_text`] before a terminal sees it; (5) a closed
//!   pipe or terminal never panics; (6) a secret key is never said, wherever it was typed.

pub mod args;
mod bench;
mod close;
mod demo;
mod erase;
pub mod exit;
mod forget;
pub mod help;
pub mod json;
mod keys;
mod ls;
mod missing;
mod next;
mod pack;
pub mod refusal;
mod repair;
mod restore;
mod rounds;
pub mod run;
mod secrets;
mod show;
pub mod sizes;
mod status;
mod stop;
pub mod table;
pub mod terminal;
pub mod ui;
mod verify;

use crate::format::shown::is_unsafe;
pub use crate::format::shown::shown_text;
use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::Write as _;

/// Writes `text` and a line end to standard error; if nobody can read it, nothing happens.
pub fn say(text: &str) {
    // One write, so that lines of several threads do not mix; there is nowhere to report a failure.
    let _ = std::io::stderr().write_all(format!("{}\n", redacted(text)).as_bytes());
}

/// `text` without the letters of secret keys: one may have been typed in place of a path.
pub fn redacted(text: &str) -> Cow<'_, str> {
    const SECRETS: [&str; 2] = ["AGE-SECRET-KEY-", "AGE-PLUGIN-"];
    let upper = text.to_ascii_uppercase();
    let Some((at, secret)) = SECRETS.iter().find_map(|s| Some((upper.find(s)?, s))) else {
        return Cow::Borrowed(text);
    };
    let (before, rest) = text.split_at(at + secret.len());
    let behind = rest.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '-');
    Cow::Owned(format!("{before}...{}", redacted(behind)))
}

/// A line of JSON in which those characters are escaped as JSON does it: it says the same to a
/// program, and does nothing to a terminal.
pub fn shown_json(line: &str) -> Cow<'_, str> {
    if !line.contains(is_unsafe) {
        return Cow::Borrowed(line);
    }
    let mut shown = String::with_capacity(line.len() + 16);
    for c in line.chars() {
        if is_unsafe(c) {
            // None of them is beyond 16 bits, and none stands outside of strings.
            let _ = write!(shown, "\\u{:04x}", u32::from(c));
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}

/// The columns `text` takes on a terminal; exact for what names are made of in practice.
pub fn columns(text: &str) -> usize {
    text.chars().map(char_columns).sum()
}

fn char_columns(c: char) -> usize {
    match c {
        '\u{0300}'..='\u{036F}' | '\u{FE00}'..='\u{FE0F}' => 0,
        '\u{1100}'..='\u{115F}'
        | '\u{2E80}'..='\u{A4CF}'
        | '\u{AC00}'..='\u{D7A3}'
        | '\u{F900}'..='\u{FAFF}'
        | '\u{FE30}'..='\u{FE6F}'
        | '\u{FF00}'..='\u{FF60}'
        | '\u{FFE0}'..='\u{FFE6}'
        | '\u{1F300}'..='\u{1FAFF}'
        | '\u{20000}'..='\u{3FFFD}' => 2,
        _ => 1,
    }
}

/// `name` in at most `width` columns: the middle goes first, since both a case in front and the
/// last part of a path behind tell drives apart.
pub fn shortened(name: &str, width: usize) -> String {
    const GAP: &str = "..";
    if columns(name) <= width {
        return name.to_owned();
    }
    let room = width.saturating_sub(GAP.len());
    if room < 2 {
        return taken(name.chars(), width).collect();
    }
    let tail: Vec<char> = taken(name.chars().rev(), room - room / 3).collect();
    let tail_columns: usize = tail.iter().copied().map(char_columns).sum();
    let head: String = taken(name.chars(), room - tail_columns).collect();
    format!("{head}{GAP}{}", tail.iter().rev().collect::<String>())
}

/// As many of `chars` as fit in `width` columns.
fn taken(chars: impl Iterator<Item = char>, width: usize) -> impl Iterator<Item = char> {
    let mut used = 0;
    chars.take_while(move |&c| {
        used += char_columns(c);
        used <= width
    })
}

/// `text` shortened or padded on the right to exactly `width` columns.
pub fn fitted(text: &str, width: usize) -> String {
    let mut shown = shortened(text, width);
    shown.extend(std::iter::repeat_n(' ', width.saturating_sub(columns(&shown))));
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case::plain("photos/été 日本.jpg", "photos/été 日本.jpg")]
    #[case::newline("a\nb", "a\\nb")]
    #[case::escape("\x1b[2Jgone", "\\u{1b}[2Jgone")]
    #[case::c1_and_delete("\u{9b}x\x7f", "\\u{9b}x\\u{7f}")]
    #[case::reordered("txt.\u{202e}gpj", "txt.\\u{202e}gpj")]
    fn control_characters_are_escaped(#[case] text: &str, #[case] shown: &str) {
        assert_eq!(shown_text(text), shown);
    }

    // Security, cosmetic: the name of a dataset is whatever its label says.
    #[test]
    fn json_carries_nothing_that_a_terminal_obeys() {
        let name = "a\u{9b}31m\u{202e}\x7f\u{1b}é";
        let line = serde_json::json!({"name": name}).to_string();
        let shown = shown_json(&line);
        assert!(!shown.contains(is_unsafe), "{shown:?}");
        let back: serde_json::Value = serde_json::from_str(&shown).unwrap();
        assert_eq!(back["name"], name);
    }

    #[rstest]
    #[case("north", 10, "north")]
    #[case("north /media/anna/usb-3f2a", 26, "north /media/anna/usb-3f2a")]
    #[case("north /media/anna/usb-3f2a", 18, "north..na/usb-3f2a")]
    #[case("日本日本日本日本", 9, "日..日本")]
    #[case("north", 3, "nor")]
    #[case("north", 0, "")]
    fn names_lose_their_middle(#[case] name: &str, #[case] width: usize, #[case] short: &str) {
        assert_eq!(shortened(name, width), short);
    }

    #[test]
    fn a_shortened_name_never_exceeds_its_width() {
        for name in ["a", "north /media/usb", "日本語のドライブ", "e\u{301}te\u{301} /mnt/x"]
        {
            for width in 0..30 {
                assert!(columns(&shortened(name, width)) <= width, "{name} {width}");
                assert_eq!(columns(&fitted(name, width)), width, "{name} {width}");
            }
        }
    }
}
