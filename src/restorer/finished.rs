//! A finished restore that is asked for again: what of a set is in place?
//!
//! - Enters: a set's catalog, or the lists in its shards, and a tree that no restore is in progress
//!   in.
//! - Leaves: how many entries are there as these say, by name, kind and size, how many of them at
//!   another time; those that are not there at all, as after `--give-up`, and those that were
//!   packed badly, each reported. The first difference if something else lies in the place of one:
//!   then it is another tree, or was changed.
//! - Always holds: no file is read, but for those that stand for symlinks, and nothing is promised of
//!   bytes.
//!
//! A finished restore leaves nothing of its own in DIR, so there is no mark to go by: the tree
//! itself shows that it is done, whichever drives of the set ask, on whichever machine.

use super::catalog_items::CatalogItems;
use super::fate::{EntryFate, Fate};
use super::items::Items;
use super::list_items::ListItems;
use super::not_taken;
use super::open_set::OpenSet;
use super::packing_faults::{MIXTURE, UNREAD};
use super::selected::Selected;
use super::special::Harmless;
use crate::destination::Tree;
use crate::format::list::{Entry, Item, Kind, State};
use crate::monitor::Recording;
use crate::patterns::Selection;

#[derive(Clone, Copy)]
pub struct WantedEntries<'a> {
    /// what to restore; none: everything
    pub selection: Option<&'a Selection>,
    /// without devices and what else lends rights
    pub no_special: bool,
}

/// What a tree has of a set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InPlace {
    /// entries that are in place
    pub there: u64,
    /// of these, files
    pub files: u64,
    /// entries that are not there
    pub absent: u64,
    /// pipes, devices and sockets that are not there
    pub unsupported: u64,
    /// symlinks that are files, since the destination makes none
    pub written_links: u64,
    /// files that could not be read, or changed, when the dataset was packed
    pub packed_badly: u64,
    /// entries that the packer could not look at, or not list, or of which it left out attributes
    pub not_taken: u64,
    /// entries that are in place under other names than their own
    pub renamed: u64,
    /// files that are in place but for their time
    pub untimed: u64,
    /// it goes by the lists in the shards, as the catalog cannot be read
    pub from_lists: bool,
    /// lists that could not be had
    pub unlisted: u64,
    /// drives that are not here may have some of them
    pub lists_wait: bool,
}

impl InPlace {
    /// Adds those of another set.
    pub fn add(&mut self, other: Self) {
        self.there += other.there;
        self.files += other.files;
        self.absent += other.absent;
        self.unsupported += other.unsupported;
        self.written_links += other.written_links;
        self.packed_badly += other.packed_badly;
        self.not_taken += other.not_taken;
        self.renamed += other.renamed;
        self.untimed += other.untimed;
        self.from_lists |= other.from_lists;
        self.unlisted += other.unlisted;
        self.lists_wait |= other.lists_wait;
    }

    /// Is it the tree of a restore? All of its files have their times, or, where the destination
    /// was seen to keep none, no file has.
    pub fn is_restored(&self, tree: &Tree) -> bool {
        let keeps_none = || tree.keeps_times() == Some(false);
        let timed = self.untimed == 0 || self.untimed == self.files && keeps_none();
        timed && (self.absent + self.unsupported == 0 || self.files > 0)
    }
}

/// Something else lies in the place of this entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Differs {
    /// as it is shown
    pub path: String,
}

/// How far the sets looked at so far reach; they come in order.
#[derive(Clone, Default)]
pub struct Reached {
    /// sort key of the last entry: what a set names of those before again is not counted again
    key: Option<Vec<u8>>,
    /// a file of which nothing counts there; the next set has it whole if it was packed again
    void: Option<Entry>,
}

impl Reached {
    /// Ends after the last set: reports what no set has packed again, if it is not there.
    pub fn end(&self, tree: &Tree, report: &mut dyn FnMut(EntryFate)) -> u64 {
        let Some(void) = self.void.as_ref().filter(|void| tree.is_missing(void)) else { return 0 };
        report(EntryFate::new(Fate::Unreadable, void.shown(), UNREAD));
        1
    }
}

/// What is there of a set, or what differs. What a restore left that was cut short
/// at its very end is removed.
pub fn look(
    open: &OpenSet,
    tree: &Tree,
    asked: WantedEntries,
    reached: &mut Reached,
) -> Result<InPlace, Differs> {
    let (silent, before) = (Recording::default(), reached.clone());
    if let Some(items) = CatalogItems::selected(open, asked.selection, &silent) {
        let (items, found) = walk(items, tree, asked, reached, &mut |_| ())?;
        if !items.is_damaged() {
            return Ok(found);
        }
    }
    *reached = before;
    let (items, found) = walk(ListItems::new(open, &silent), tree, asked, reached, &mut |_| ())?;
    let (unlisted, lists_wait) = items.unlisted();
    Ok(InPlace { from_lists: true, unlisted, lists_wait, ..found })
}

/// Reports what of a set is not as it should be.
pub fn report(
    open: &OpenSet,
    tree: &Tree,
    asked: WantedEntries,
    found: &InPlace,
    reached: &mut Reached,
    report: &mut dyn FnMut(EntryFate),
) {
    let silent = Recording::default();
    if found.from_lists {
        let _ = walk(ListItems::new(open, &silent), tree, asked, reached, report);
    } else if let Some(items) = CatalogItems::selected(open, asked.selection, &silent) {
        let _ = walk(items, tree, asked, reached, report);
    }
}

/// Compares items with the tree, and returns them.
fn walk<I: Items>(
    items: I,
    tree: &Tree,
    asked: WantedEntries,
    reached: &mut Reached,
    report: &mut dyn FnMut(EntryFate),
) -> Result<(I, InPlace), Differs> {
    let items = Selected::new(items, asked.selection);
    let mut items = Harmless::new(items, asked.no_special);
    let (earlier, found) = (reached.key.clone(), InPlace::default());
    let (before, mut last) = (reached.void.take(), reached.key.clone());
    let mut looking = Looking { tree, report, found, earlier, before, file: None, void: None };
    let mut dir = None;
    while let Some(list) = items.next_list() {
        for item in list {
            match item {
                Item::Entry { continued: true, .. } | Item::Extent(_) => {}
                Item::Entry { entry, .. } => {
                    looking.leave(Some(&entry))?;
                    last.clone_from(&reached.key);
                    reached.key = reached.key.take().max(Some(entry.sort_key()));
                    looking.not_taken(&entry);
                    if entry.kind == Kind::Unknown {
                        // It was never to be there.
                    } else if entry.path.is_empty() {
                        looking.found.there += u64::from(looking.earlier.is_none());
                        dir = Some(entry);
                    } else if entry.kind == Kind::File && !entry.whole {
                        looking.file = Some(entry);
                    } else {
                        looking.entry(&entry, Some(entry.size), entry.changed)?;
                    }
                }
                Item::End(end) => match looking.file.take() {
                    Some(file) if end.state == State::Void => {
                        looking.void = Some(file);
                        reached.key.clone_from(&last);
                    }
                    Some(file) => {
                        looking.entry(&file, Some(end.size), end.state == State::Changed)?;
                    }
                    None => {}
                },
            }
        }
    }
    looking.leave(None)?;
    reached.void = looking.void.take().or(looking.before.take());
    let found = looking.found;
    if found.is_restored(tree) {
        dir.iter().for_each(|dir| tree.cleanup(dir));
    }
    Ok((items.items.items, found))
}

/// Compares entries with the tree.
struct Looking<'a> {
    tree: &'a Tree,
    report: &'a mut dyn FnMut(EntryFate),
    found: InPlace,
    /// of the sets before
    earlier: Option<Vec<u8>>,
    /// a file that is void where the set before ends, until this one tells
    before: Option<Entry>,
    /// a file whose end has not come
    file: Option<Entry>,
    /// a file that could not be read, unless it is packed again next
    void: Option<Entry>,
}

impl Looking<'_> {
    /// An entry; an error if something else is there.
    fn entry(&mut self, entry: &Entry, size: Option<u64>, changed: bool) -> Result<(), Differs> {
        let is_new = self.is_new(entry);
        if self.tree.has(entry, size) {
            self.found.there += u64::from(is_new);
            let is_written = is_new && self.tree.is_written_link(entry);
            self.found.written_links += u64::from(is_written);
            self.found.renamed += u64::from(is_new && self.tree.is_renamed(entry));
            if is_new && entry.kind == Kind::File {
                self.found.files += 1;
                self.found.untimed += u64::from(!self.tree.has_time(entry));
            }
            if changed {
                self.found.packed_badly += 1;
                self.line(Fate::Changed, entry, MIXTURE);
            }
            return Ok(());
        }
        let is_special =
            !matches!(entry.kind, Kind::File | Kind::Folder | Kind::HardLink | Kind::Symlink);
        if is_new && !is_special {
            self.found.absent += 1;
            self.line(Fate::Lost, entry, "it is not there, and no restore is in progress");
        } else if is_new {
            self.found.unsupported += 1;
            let detail = "it is not there; the destination may know no such kind of entry";
            self.line(Fate::Unsupported, entry, detail);
        }
        let differs = || Differs { path: entry.shown() };
        if self.tree.is_missing(entry) { Ok(()) } else { Err(differs()) }
    }

    /// What comes before another entry, or the end: a file without an end runs on into another set.
    fn leave(&mut self, next: Option<&Entry>) -> Result<(), Differs> {
        if let Some(next) = next {
            let is_file = next.kind != Kind::Folder;
            let voids = [self.void.take(), self.before.take_if(|_| is_file)];
            for void in voids.into_iter().flatten().filter(|void| void.path != next.path) {
                self.found.packed_badly += 1;
                self.line(Fate::Unreadable, &void, UNREAD);
            }
        }
        self.file.take().map_or(Ok(()), |file| self.entry(&file, None, false))
    }

    /// Was it in none of the sets before?
    fn is_new(&self, entry: &Entry) -> bool {
        self.earlier.as_ref().is_none_or(|earlier| entry.sort_key() > *earlier)
    }

    fn not_taken(&mut self, entry: &Entry) {
        if let Some((fate, detail)) = not_taken::of(entry).filter(|_| self.is_new(entry)) {
            self.found.not_taken += 1;
            self.line(fate, entry, &detail);
        }
    }

    fn line(&mut self, fate: Fate, entry: &Entry, detail: &str) {
        (self.report)(EntryFate::new(fate, entry.shown(), detail));
    }
}
