//! Text from drives, made safe to be shown to people or written where they read it.

use super::list::Hash;
use std::borrow::Cow;
use std::error::Error;
use std::fmt::Write as _;

/// `text`, with everything escaped that could move the cursor, or hide or reorder text.
pub fn shown_text(text: &str) -> Cow<'_, str> {
    if !text.contains(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_unsafe(c) {
            let _ = write!(shown, "{}", c.escape_default());
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}

/// The 64 hexadecimal digits of a BLAKE3 value.
pub fn hex(hash: &Hash) -> String {
    blake3::Hash::from_bytes(*hash).to_hex().to_string()
}

/// A word quoted for a shell, as the name of a file even if it begins as an option does.
pub fn typed(word: &str) -> String {
    let path = if word.starts_with('-') { format!("./{word}") } else { word.to_owned() };
    shlex::try_quote(&path).unwrap_or_default().into_owned()
}

/// An error and its causes in one line.
pub fn error_chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(c) = cause {
        text.push_str(": ");
        text.push_str(&c.to_string());
        cause = c.source();
    }
    text
}

/// Control characters, and the invisible ones that reorder text (with which a name could deceive).
pub fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}')
        || matches!(c, '\u{2060}'..='\u{206F}' | '\u{061C}' | '\u{FEFF}')
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
}
