//! Paths of the dataset as people type them: `./a/b`, `/a/b`, `a//b` and `a/b/` are all `a/b`.

/// A path that was typed, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypedPattern {
    /// without `.`, doubled slashes and those at its ends; empty for SOURCE itself
    pub body: Vec<u8>,
    /// it began with `/` or `./`, so it is relative to SOURCE itself
    pub is_tied: bool,
    /// it ended in `/`, so it names a folder
    pub ends_in_slash: bool,
}

/// A path with `..`, of which the dataset has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a path of the dataset has no \"..\" in it")]
pub struct Upwards;

impl TypedPattern {
    /// Takes a path apart, or a pattern of paths.
    pub fn of(typed: &[u8]) -> Result<Self, Upwards> {
        let names: Vec<&[u8]> = typed.split(|byte| *byte == b'/').collect();
        let is_no_name = |name: &[u8]| name.is_empty() || name == b".";
        let kept: Vec<&[u8]> = names.iter().copied().filter(|name| !is_no_name(name)).collect();
        if kept.iter().any(|name| *name == b"..") {
            return Err(Upwards);
        }
        let ends = |name: Option<&&[u8]>| names.len() > 1 && name.is_some_and(|n| is_no_name(n));
        Ok(Self {
            body: kept.join(&b'/'),
            is_tied: ends(names.first()),
            ends_in_slash: ends(names.last()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    /// Review A11, R9, shape E.
    #[rstest]
    #[case(b"a/b", b"a/b", false, false)]
    #[case(b"./a/b", b"a/b", true, false)]
    #[case(b"/a/b", b"a/b", true, false)]
    #[case(b"a//b", b"a/b", false, false)]
    #[case(b"a/./b//", b"a/b", false, true)]
    #[case(b"a/b/.", b"a/b", false, true)]
    #[case(b"a", b"a", false, false)]
    #[case(b".a/...", b".a/...", false, false)]
    #[case(b"/", b"", true, true)]
    #[case(b".", b"", false, false)]
    #[case(b"", b"", false, false)]
    #[case(b"./\xff", b"\xff", true, false)]
    fn what_people_type(
        #[case] typed: &[u8],
        #[case] body: &[u8],
        #[case] is_tied: bool,
        #[case] ends_in_slash: bool,
    ) {
        let parts = TypedPattern::of(typed).unwrap();
        assert_eq!(parts, TypedPattern { body: body.into(), is_tied, ends_in_slash });
    }

    #[test]
    fn nothing_lies_above() {
        for typed in ["..", "../a", "a/..", "a/../b", "/.."] {
            assert_eq!(TypedPattern::of(typed.as_bytes()), Err(Upwards), "{typed}");
        }
    }
}
