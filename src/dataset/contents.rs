//! What of SOURCE is packed.
//!
//! - Enters: patterns, typed and from files; a list of paths.
//! - Leaves: the options of a scan, and a note of the patterns that left nothing out.
//! - Always holds: nothing is left out without an option that says so.

use super::scan::ScanOptions;
use crate::monitor::Monitor;
use crate::patterns::{Filter, FilterError, ListedPaths};
use std::sync::Arc;

/// What of SOURCE is packed.
#[derive(Clone, Debug, Default)]
pub struct Contents {
    /// patterns that were typed: what they match is left out
    pub exclude: Vec<String>,
    /// the same, from files
    pub exclude_from: Vec<String>,
    /// of folders that are tagged as caches only the tag
    pub exclude_caches: bool,
    /// of all paths only these; none: all
    pub files: Option<Arc<ListedPaths>>,
    /// do not enter other file systems
    pub one_file_system: bool,
}

impl Contents {
    /// How they are scanned.
    pub fn scan_options(&self) -> Result<ScanOptions, FilterError> {
        let filter = Filter::new(&[&self.exclude[..], &self.exclude_from].concat())?;
        Ok(ScanOptions {
            files: self.files.clone(),
            exclude_caches: self.exclude_caches,
            one_file_system: self.one_file_system,
            ..ScanOptions::new(filter)
        })
    }

    /// Says which patterns left nothing out in a scan with this filter. Files are often written for
    /// more than one dataset, so theirs are counted.
    pub fn note_without_effect(&self, filter: &Filter, monitor: &dyn Monitor) {
        let idle = filter.without_effect();
        let is_typed = |pattern: &&&str| self.exclude.iter().any(|typed| typed == **pattern);
        let (typed, of_files): (Vec<&str>, Vec<&str>) =
            idle.iter().partition(|pattern| is_typed(pattern));
        for pattern in typed {
            monitor.note(&format!("--exclude {pattern} leaves nothing out"));
        }
        if !of_files.is_empty() {
            let (count, all) = (of_files.len(), self.exclude_from.len());
            let text = "patterns of --exclude-from that leave nothing out";
            monitor.note(&format!("{text}: {count} of {all}"));
        }
    }
}
