//! What a restore is asked for: `--include` and `--exclude` together.
//!
//! - Enters: patterns as they were typed.
//! - Leaves: whether an entry is selected, and the stretches of sort keys beyond which none is.
//! - Always holds: (1) an entry is selected if an include covers it, or there is none, and no
//!   exclude does; (2) every selected entry lies in one of the spans, and so does all that lies in
//!   a folder that an include names; (3) the text is the same for the same patterns in any order.

use super::filter::{Filter, FilterError, Parts};
use crate::format::catalog::KeySpan;

/// What is to be restored.
#[derive(Clone, Debug)]
pub struct Selection {
    /// none: everything
    include: Option<Filter>,
    exclude: Filter,
    spans: Vec<KeySpan>,
    text: String,
}

impl Selection {
    /// Reads the patterns; none if there are none, which selects everything.
    pub fn new(include: &[String], exclude: &[String]) -> Result<Option<Self>, FilterError> {
        if include.is_empty() && exclude.is_empty() {
            return Ok(None);
        }
        let all = vec![KeySpan::all()];
        let (filter, spans) = match include {
            [] => (None, all),
            patterns => {
                let filter = Filter::new(patterns)?;
                let spans: Result<Vec<_>, _> = patterns.iter().map(|p| spans_of(p)).collect();
                (Some(filter), KeySpan::joined(spans?.into_iter().flatten().collect()))
            }
        };
        let text = [("--include", include), ("--exclude", exclude)].map(|(option, patterns)| {
            let mut patterns = patterns.to_vec();
            patterns.sort_unstable();
            patterns.dedup();
            patterns.into_iter().map(move |pattern| format!("{option} {}", quoted(&pattern)))
        });
        Ok(Some(Self {
            include: filter,
            exclude: Filter::new(exclude)?,
            spans,
            text: text.into_iter().flatten().collect::<Vec<_>>().join(" "),
        }))
    }

    /// Whether what lies at this path is selected.
    pub fn selects(&self, path: &[u8], is_folder: bool) -> bool {
        self.include.as_ref().is_none_or(|include| include.covers(path, is_folder))
            && !self.exclude.covers(path, is_folder)
    }

    /// Where selected entries can be, in ascending, disjoint spans.
    pub fn spans(&self) -> &[KeySpan] {
        &self.spans
    }

    /// Whether it names what to restore, and not only what to leave out.
    pub fn is_named(&self) -> bool {
        self.include.is_some()
    }

    /// The options that had no effect on any path so far, as they could be typed again.
    pub fn without_effect(&self) -> Vec<String> {
        let idle = |option: &'static str, filter: &Filter| -> Vec<String> {
            let patterns = filter.without_effect();
            patterns.iter().map(|p| format!("{option} {}", quoted(p))).collect()
        };
        let mut all = self.include.as_ref().map_or_else(Vec::new, |f| idle("--include", f));
        all.extend(idle("--exclude", &self.exclude));
        all
    }

    /// The options, as they could be typed again.
    pub fn text(&self) -> &str {
        &self.text
    }
}

/// A word that a shell takes as it is.
fn quoted(word: &str) -> String {
    // A zero byte cannot be typed.
    shlex::try_quote(word).map_or_else(|_| word.into(), Into::into)
}

/// Where what a pattern covers can be. It begins with the pattern's letters up to the first that
/// stands for others.
fn spans_of(pattern: &str) -> Result<Vec<KeySpan>, FilterError> {
    let Parts { body, is_path, folders_only } = Parts::of(pattern)?;
    if !is_path {
        return Ok(vec![KeySpan::all()]);
    }
    Ok(match literal(&body) {
        (path, true) if folders_only => vec![KeySpan::within(&path)],
        (path, true) => KeySpan::path(&path).into(),
        (prefix, false) => vec![KeySpan::prefix(prefix)],
    })
}

/// The letters with which everything begins that a pattern matches, and whether that is all of it.
fn literal(body: &str) -> (Vec<u8>, bool) {
    let mut literal = Vec::new();
    let mut bytes = body.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'*' | b'?' | b'[' | b'{' => return (literal, false),
            b'\\' => literal.extend(bytes.next()),
            _ => literal.push(byte),
        }
    }
    (literal, true)
}

#[cfg(test)]
mod tests;
