//! Patterns in a file, as in a `.gitignore`: one a line.
//!
//! - Enters: the text of a file.
//! - Leaves: its patterns; or the first line that is none, and why.
//! - Always holds: a line that is empty, or begins with `#`, is no pattern; blanks at its end count only
//!   behind a backslash; what is not supported is refused, and never read as something else.

use super::filter::{Filter, FilterError};

/// A line that is no pattern.
#[derive(Debug, thiserror::Error)]
pub enum LineError {
    #[error("line {line} is not UTF-8")]
    NotText { line: usize },
    #[error("line {line}: patterns that take back what others leave out (!) are not supported")]
    Negated { line: usize },
    #[error("line {line}")]
    Pattern {
        line: usize,
        #[source]
        source: FilterError,
    },
}

/// The patterns in a text.
pub fn patterns_of(text: &[u8]) -> Result<Vec<String>, LineError> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let mut patterns = Vec::new();
    for (line, bytes) in (1..).zip(text.split(|byte| *byte == b'\n')) {
        let text = std::str::from_utf8(bytes).map_err(|_| LineError::NotText { line })?;
        let pattern = without_blanks(text);
        if pattern.is_empty() || pattern.starts_with('#') {
            continue;
        }
        if pattern.starts_with('!') {
            return Err(LineError::Negated { line });
        }
        Filter::check(pattern).map_err(|source| LineError::Pattern { line, source })?;
        patterns.push(pattern.to_owned());
    }
    Ok(patterns)
}

/// A line without the blanks at its end.
fn without_blanks(line: &str) -> &str {
    let line = line.strip_suffix('\r').unwrap_or(line);
    let bare = line.trim_end_matches([' ', '\t']);
    // A blank behind a backslash stays.
    let kept = usize::from(bare.ends_with('\\') && bare.len() < line.len());
    &line[..bare.len() + kept]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_patterns_as_in_a_gitignore() {
        let text =
            b"\xef\xbb\xbf# caches\r\n*.tmp  \n\n  \n/build/\r\n\\#odd\n\\!odd\nend\\ \t\n a";
        let patterns = patterns_of(text).unwrap();
        assert_eq!(patterns, ["*.tmp", "/build/", "\\#odd", "\\!odd", "end\\ ", " a"]);
        let filter = Filter::new(&patterns).unwrap();
        for name in ["x/a.tmp", "#odd", "!odd", "end ", "x/ a"] {
            assert!(filter.matches(name.as_bytes(), false), "{name}");
        }
    }

    #[test]
    fn what_is_no_pattern_is_told_by_its_line() {
        for (text, told) in [
            (&b"a\n!b"[..], "line 2: patterns that take back"),
            (b"a\n\n\xff\n", "line 3 is not UTF-8"),
            (b"../a", "line 1"),
            (b"a\na[", "line 2"),
        ] {
            assert!(patterns_of(text).unwrap_err().to_string().starts_with(told), "{text:?}");
        }
    }
}
