//! Hard-link promotion: files of which only further names are selected.
//!
//! - Enters: the paths of such files, and for each the first of its selected names.
//! - Leaves: the file under that name, with its bytes and metadata; the other names are links to
//!   it.
//! - Always holds: nothing is made under the path that is not selected.
//!
//! A file of another set stays behind: the sets that hold its bytes may have been restored long
//! before one that names it again, so it is listed, with what else to select.

use super::error::RestoreError;
use super::items::Items;
use super::needed::Needed;
use super::restored::Restored;
use super::special::Harmless;
use super::walk::SetWalk;
use super::{pass, spanning};
use crate::destination::Destination;
use crate::format::catalog::KeySpan;
use crate::format::list::{Item, Kind};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// Files that were restored under another of their names.
#[derive(Default)]
pub struct Promoted {
    /// by path of the file the name that it has now
    pub names: BTreeMap<Vec<u8>, Vec<u8>>,
    /// those of them that lie in other sets, all or in part
    pub elsewhere: BTreeSet<Vec<u8>>,
    /// those of them that are devices, and were left out as asked
    pub left_out: BTreeSet<Vec<u8>>,
}

/// Items of some files, under other names.
struct Renamed<I> {
    items: I,
    names: BTreeMap<Vec<u8>, Vec<u8>>,
    passes: bool,
    found: BTreeSet<Vec<u8>>,
}

impl<I: Items> Items for Renamed<I> {
    fn next_list(&mut self) -> Option<Vec<Item>> {
        loop {
            let mut passed = Vec::new();
            for item in self.items.next_list()? {
                match item {
                    Item::Entry { mut entry, continued } => {
                        let name = self.names.get(&entry.path);
                        let name =
                            name.filter(|_| !matches!(entry.kind, Kind::Folder | Kind::HardLink));
                        self.passes = name.is_some();
                        if let Some(name) = name {
                            self.found.insert(std::mem::replace(&mut entry.path, name.clone()));
                            passed.push(Item::Entry { entry, continued });
                        }
                    }
                    item if self.passes => passed.push(item),
                    _ => {}
                }
            }
            if !passed.is_empty() {
                return Some(passed);
            }
        }
    }

    fn lists_wait(&self) -> Arc<AtomicBool> {
        self.items.lists_wait()
    }
}

/// Where the entries of these files are.
pub fn spans(names: &BTreeMap<Vec<u8>, Vec<u8>>) -> Vec<KeySpan> {
    let alone = |path: &Vec<u8>| {
        let [alone, _] = KeySpan::path(path);
        alone
    };
    KeySpan::joined(names.keys().map(alone).collect())
}

/// Restores files under other names of theirs. Returns also what they need of drives that are not
/// here.
pub fn promote(
    walk: SetWalk,
    destination: &Destination,
    items: impl Items + Send,
    names: BTreeMap<Vec<u8>, Vec<u8>>,
    restored: &mut Restored,
) -> Result<(Needed, Promoted), RestoreError> {
    let renamed = Renamed { items, names, passes: false, found: BTreeSet::new() };
    let mut renamed = Harmless::new(renamed, walk.options.no_special);
    let mut more = Restored::default();
    let needed = pass::run(SetWalk { total: 0, ..walk }, &mut renamed, &mut more)?;
    more.left = renamed.left();
    restored.add(&more);
    let named = renamed.items.names.iter();
    let left_out = named.filter(|(_, name)| renamed.has_left(name));
    let left_out = left_out.map(|(target, _)| target.clone()).collect();
    let Renamed { names, found, .. } = renamed.items;
    let mut elsewhere: BTreeSet<Vec<u8>> =
        names.keys().filter(|target| !found.contains(*target)).cloned().collect();
    for mark in spanning::waiting(destination, walk.open.set.set)? {
        let of_mark = names.iter().find(|(_, name)| *name == mark.path());
        elsewhere.extend(of_mark.map(|(target, _)| target.clone()));
    }
    Ok((needed, Promoted { names, elsewhere, left_out }))
}
