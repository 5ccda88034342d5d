//! The rules by which a pattern matches a path: those of every `--include` and `--exclude`.
//!
//! - Enters: patterns as they were typed, and paths from SOURCE, which need not be UTF-8.
//! - Leaves: whether a path is matched, by itself or with a folder that it lies in.
//! - Always holds: (1) a pattern without `/` is matched with each name, at any depth; one with `/`
//!   with the path from SOURCE, and there `*` and `?` stay within a name and `**` crosses names;
//!   (2) a leading `/` ties a pattern to SOURCE, a trailing `/` to folders; (3) what lies in a
//!   folder that is matched is covered; (4) SOURCE itself is never matched.

use globset::{Candidate, Glob, GlobBuilder, GlobSet, GlobSetBuilder};

/// Why a text is no pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
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
        source: globset::Error,
    },
}

/// Patterns, of which one that matches is enough.
#[derive(Clone, Debug)]
pub struct Filter {
    /// matched with a name
    names: Patterns,
    /// matched with a path from SOURCE
    paths: Patterns,
}

/// Patterns that are matched with one and the same text.
#[derive(Clone, Debug)]
struct Patterns {
    any: GlobSet,
    folders_only: GlobSet,
}

impl Patterns {
    fn matches(&self, text: &[u8], is_folder: bool) -> bool {
        if self.any.is_empty() && (!is_folder || self.folders_only.is_empty()) {
            return false;
        }
        let candidate = Candidate::from_bytes(text);
        self.any.is_match_candidate(&candidate)
            || (is_folder && self.folders_only.is_match_candidate(&candidate))
    }
}

impl Filter {
    /// Reads patterns. With none, nothing is matched.
    pub fn new(patterns: &[String]) -> Result<Self, FilterError> {
        let [mut names, mut name_folders, mut paths, mut path_folders] =
            std::array::from_fn(|_| GlobSetBuilder::new());
        for pattern in patterns {
            let Parts { body, is_path, folders_only } = Parts::of(pattern);
            let builder = match (is_path, folders_only) {
                (false, false) => &mut names,
                (false, true) => &mut name_folders,
                (true, false) => &mut paths,
                (true, true) => &mut path_folders,
            };
            builder.add(glob(pattern, body)?);
        }
        let build = |builder: &GlobSetBuilder| {
            builder.build().map_err(|source| FilterError::TooLarge { source })
        };
        Ok(Self {
            names: Patterns { any: build(&names)?, folders_only: build(&name_folders)? },
            paths: Patterns { any: build(&paths)?, folders_only: build(&path_folders)? },
        })
    }

    /// Whether a pattern matches `path`, or a folder that it lies in.
    pub fn covers(&self, path: &[u8], is_folder: bool) -> bool {
        let slashes = path.iter().enumerate().filter(|(_, byte)| **byte == b'/');
        slashes.map(|(at, _)| &path[..at]).any(|folder| self.matches(folder, true))
            || self.matches(path, is_folder)
    }

    /// Whether a pattern matches `path` itself. A walk that enters no folder that is matched needs
    /// no more than this.
    pub fn matches(&self, path: &[u8], is_folder: bool) -> bool {
        let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or(path);
        !path.is_empty()
            && (self.names.matches(name, is_folder) || self.paths.matches(path, is_folder))
    }
}

/// A pattern taken apart.
pub(super) struct Parts<'a> {
    /// without the slashes at its ends
    pub body: &'a str,
    /// matched with a path from SOURCE, not with a name
    pub is_path: bool,
    /// matches nothing but folders
    pub folders_only: bool,
}

impl<'a> Parts<'a> {
    /// What the slashes of a pattern say.
    pub fn of(pattern: &'a str) -> Self {
        let (body, folders_only) = match pattern.strip_suffix('/') {
            Some(body) => (body, true),
            None => (pattern, false),
        };
        let (body, is_path) = match body.strip_prefix('/') {
            Some(body) => (body, true),
            None => (body, body.contains('/')),
        };
        Self { body, is_path, folders_only }
    }
}

/// `body` is the pattern without the slashes at its ends.
fn glob(pattern: &str, body: &str) -> Result<Glob, FilterError> {
    let impossible = |name: &&str| matches!(*name, "" | "." | "..");
    if let Some(name) = body.split('/').find(impossible) {
        return Err(FilterError::MatchesNothing { pattern: pattern.into(), name: name.into() });
    }
    GlobBuilder::new(body)
        .literal_separator(true)
        .build()
        .map_err(|source| FilterError::Syntax { pattern: pattern.into(), source })
}

#[cfg(test)]
mod tests;
