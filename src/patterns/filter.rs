//! The rules by which a pattern matches a path: those of every `--include` and `--exclude`.
//!
//! - Enters: patterns as they were typed, and paths from SOURCE, which need not be UTF-8.
//! - Leaves: whether a path is matched, by itself or with a folder that it lies in; which patterns
//!   matched nothing so far.
//! - Always holds: (1) a pattern without `/` is matched with each name, at any depth; one with `/`
//!   with the path from SOURCE, and there `*` and `?` stay within a name and `**` crosses names;
//!   (2) a leading `/` or `./` ties a pattern to SOURCE, a trailing `/` to folders; (3) what lies in
//!   a folder that is matched is covered; (4) SOURCE itself is never matched; (5) `?` and a class
//!   stand for one letter of a name that is UTF-8, and for one byte where it is not.

use super::typed::TypedPattern;
use globset::GlobBuilder;
use regex::{RegexSet, RegexSetBuilder};
use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Why a text is not a pattern.
#[derive(Clone, Debug, thiserror::Error)]
pub enum FilterError {
    /// The text is not a glob.
    #[error("{pattern:?} is not a pattern")]
    Syntax {
        /// the pattern as it was typed
        pattern: String,
        /// what is wrong with it
        #[source]
        source: globset::Error,
    },
    /// No path has an empty name, or one that is `.` or `..`.
    #[error("{pattern:?} can match nothing: no path has a name {name:?}")]
    MatchesNothing {
        /// the pattern as it was typed
        pattern: String,
        /// the name in it that no path has
        name: String,
    },
    /// The patterns taken together are too large.
    #[error("the patterns are too many or too large")]
    TooLarge {
        /// what is too large
        #[source]
        source: regex::Error,
    },
}

/// Patterns, any one of which is enough for a match.
#[derive(Clone, Debug)]
pub struct Filter {
    /// matched with a name
    names: Patterns,
    /// matched with a path from SOURCE
    paths: Patterns,
    effect: Arc<Effect>,
}

/// Which patterns matched anything, in this filter and its clones.
#[derive(Debug)]
struct Effect {
    patterns: Vec<(String, AtomicBool)>,
    /// how many matched nothing yet
    idle: AtomicUsize,
}

impl Effect {
    fn note(&self, pattern: usize) {
        if !self.patterns[pattern].1.swap(true, Ordering::Relaxed) {
            self.idle.fetch_sub(1, Ordering::Relaxed);
        }
    }

    fn is_known_of_all(&self) -> bool {
        self.idle.load(Ordering::Relaxed) == 0
    }
}

/// Patterns that are matched with one and the same text.
#[derive(Clone, Debug)]
struct Patterns {
    any: Group,
    folders_only: Group,
}

impl Patterns {
    fn matches(&self, text: &str, is_folder: bool, effect: &Effect) -> bool {
        let any = self.any.matches(text, effect);
        if any && effect.is_known_of_all() {
            return true;
        }
        let folders = is_folder && self.folders_only.matches(text, effect);
        any || folders
    }
}

/// Patterns, and the numbers that they have in the filter.
#[derive(Clone, Debug)]
struct Group {
    set: RegexSet,
    numbers: Vec<usize>,
}

impl Group {
    fn new(patterns: &[(usize, String)]) -> Result<Self, FilterError> {
        let set = RegexSetBuilder::new(patterns.iter().map(|(_, regex)| regex))
            .dot_matches_new_line(true)
            .build()
            .map_err(|source| FilterError::TooLarge { source })?;
        Ok(Self { set, numbers: patterns.iter().map(|(number, _)| *number).collect() })
    }

    fn matches(&self, text: &str, effect: &Effect) -> bool {
        if self.numbers.is_empty() || !self.set.is_match(text) {
            return false;
        }
        if !effect.is_known_of_all() {
            self.set.matches(text).iter().for_each(|at| effect.note(self.numbers[at]));
        }
        true
    }
}

impl Filter {
    /// Reads patterns. With none, nothing is matched.
    pub fn new(patterns: &[String]) -> Result<Self, FilterError> {
        let mut groups: [Vec<(usize, String)>; 4] = Default::default();
        for (number, pattern) in patterns.iter().enumerate() {
            let Parts { body, is_path, folders_only } = Parts::of(pattern)?;
            let group = &mut groups[usize::from(is_path) * 2 + usize::from(folders_only)];
            group.push((number, regex(pattern, &body)?));
        }
        let [names, name_folders, paths, path_folders] = &groups;
        let effect = Effect {
            patterns: patterns.iter().map(|p| (p.clone(), AtomicBool::new(false))).collect(),
            idle: patterns.len().into(),
        };
        Ok(Self {
            names: Patterns { any: Group::new(names)?, folders_only: Group::new(name_folders)? },
            paths: Patterns { any: Group::new(paths)?, folders_only: Group::new(path_folders)? },
            effect: Arc::new(effect),
        })
    }

    /// Fails if this is no pattern.
    pub fn check(pattern: &str) -> Result<(), FilterError> {
        regex(pattern, &Parts::of(pattern)?.body).map(drop)
    }

    /// Whether a pattern matches `path`, or a folder that it lies in.
    pub fn covers(&self, path: &[u8], is_folder: bool) -> bool {
        let slashes = path.iter().enumerate().filter(|(_, byte)| **byte == b'/');
        let mut covered = false;
        for (at, _) in slashes {
            covered |= self.matches(&path[..at], true);
            if covered && self.effect.is_known_of_all() {
                return true;
            }
        }
        covered | self.matches(path, is_folder)
    }

    /// Whether a pattern matches `path` itself. A walk that enters no folder that is matched needs
    /// only this.
    pub fn matches(&self, path: &[u8], is_folder: bool) -> bool {
        if path.is_empty() {
            return false;
        }
        let path = letters(path);
        let name = path.rsplit('/').next().unwrap_or(&path);
        let by_name = self.names.matches(name, is_folder, &self.effect);
        if by_name && self.effect.is_known_of_all() {
            return true;
        }
        let by_path = self.paths.matches(&path, is_folder, &self.effect);
        by_name || by_path
    }

    /// The patterns that matched none of the paths so far, as they were typed.
    pub fn without_effect(&self) -> Vec<&str> {
        let idle = self.effect.patterns.iter().filter(|(_, used)| !used.load(Ordering::Relaxed));
        idle.map(|(pattern, _)| pattern.as_str()).collect()
    }
}

/// A path as letters: a byte that is not part of one becomes a letter that no name has in practice.
fn letters(path: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(path) {
        return Cow::Borrowed(text);
    }
    let mut text = String::with_capacity(path.len() + 16);
    for chunk in path.utf8_chunks() {
        text.push_str(chunk.valid());
        let byte = |byte: &u8| char::from_u32(BYTES + u32::from(*byte)).unwrap_or('?');
        text.extend(chunk.invalid().iter().map(byte));
    }
    Cow::Owned(text)
}

/// Where the letters for bytes begin, in the last private plane.
const BYTES: u32 = 0x10_ff00;

/// A pattern taken apart.
pub(super) struct Parts {
    /// without the slashes at its ends
    pub body: String,
    /// matched with a path from SOURCE, not with a name
    pub is_path: bool,
    /// matches nothing but folders
    pub folders_only: bool,
}

impl Parts {
    /// Takes a pattern apart at its slashes.
    pub fn of(pattern: &str) -> Result<Self, FilterError> {
        let nothing =
            |name: &str| FilterError::MatchesNothing { pattern: pattern.into(), name: name.into() };
        let TypedPattern { body, is_tied, ends_in_slash } =
            TypedPattern::of(pattern.as_bytes()).map_err(|_| nothing(".."))?;
        // Slashes are ASCII, so the parts between them are UTF-8 as the whole was.
        let body = String::from_utf8(body).unwrap_or_default();
        if body.is_empty() {
            return Err(nothing(""));
        }
        let is_path = is_tied || body.contains('/');
        Ok(Self { body, is_path, folders_only: ends_in_slash })
    }
}

/// `body` is the pattern without the slashes at its ends.
fn regex(pattern: &str, body: &str) -> Result<String, FilterError> {
    let glob = GlobBuilder::new(body)
        .literal_separator(true)
        .build()
        .map_err(|source| FilterError::Syntax { pattern: pattern.into(), source })?;
    Ok(of_letters(glob.regex()))
}

/// globset's regex is one of bytes: it says so at its beginning, and writes each byte of a letter
/// that is not ASCII as `\xNN`. The same regex of letters.
fn of_letters(regex: &str) -> String {
    let (mut out, mut bytes) = (String::new(), Vec::new());
    let mut rest = regex.strip_prefix("(?-u)").unwrap_or(regex);
    while let Some(c) = rest.chars().next() {
        let byte =
            rest.strip_prefix("\\x").and_then(|hex| u8::from_str_radix(hex.get(..2)?, 16).ok());
        if let Some(byte) = byte {
            bytes.push(byte);
            rest = &rest[4..];
            continue;
        }
        out.push_str(&String::from_utf8_lossy(&bytes));
        bytes.clear();
        // What follows a backslash belongs to it.
        let escaped = rest.chars().nth(1).filter(|_| c == '\\');
        let len = c.len_utf8() + escaped.map_or(0, char::len_utf8);
        out.push_str(&rest[..len]);
        rest = &rest[len..];
    }
    out.push_str(&String::from_utf8_lossy(&bytes));
    out
}

#[cfg(test)]
mod tests;
