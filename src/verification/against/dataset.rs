//! The dataset as the sets that are here say it: entries, extents and ends in one order.
//!
//! - Enters: opened sets of one shipment, in order; what of them is asked for.
//! - Leaves: steps; how many lists could not be had.
//! - Always holds: (1) entries come in the order of their sort keys, each once, but for a file that
//!   was packed again, whose entry follows its void one; (2) a file that runs on into the next set
//!   runs on here.

use crate::format::list::{End, Entry, Extent, Item, Kind};
use crate::monitor::{Monitor, Recording};
use crate::patterns::Selection;
use crate::restorer::selected::Selected;
use crate::restorer::{CatalogItems, Items, ListItems, OpenSet};

/// One thing of the dataset.
pub enum DatasetStep {
    Entry(Entry),
    /// further holes of the open file
    Holes(Vec<(u64, u64)>),
    /// bytes of the open file, and the set that has them
    Extent(usize, Extent),
    End(End),
}

/// The items of a set: of its catalog, or of its shards if that cannot be read.
enum SetItems<'a> {
    Catalog(Box<CatalogItems<'a>>),
    Lists(Box<ListItems<'a>>),
}

impl<'a> SetItems<'a> {
    fn open(
        open: &'a OpenSet<'a>,
        selection: Option<&Selection>,
        monitor: &'a dyn Monitor,
    ) -> Self {
        let silent = Recording::default();
        let is_sound = CatalogItems::selected(open, selection, &silent).is_some_and(|mut items| {
            while !monitor.should_stop() && items.next_list().is_some() {}
            !items.is_damaged()
        });
        match CatalogItems::selected(open, selection, monitor).filter(|_| is_sound) {
            Some(items) => Self::Catalog(Box::new(items)),
            None => {
                monitor.note("the catalog is not readable; going by the lists in the shards");
                Self::Lists(Box::new(ListItems::new(open, monitor)))
            }
        }
    }
}

impl Items for SetItems<'_> {
    fn next_list(&mut self) -> Option<Vec<Item>> {
        match self {
            Self::Catalog(items) => items.next_list(),
            Self::Lists(items) => items.next_list(),
        }
    }

    fn folders(&mut self, paths: &[Vec<u8>]) -> Vec<Entry> {
        match self {
            Self::Catalog(items) => items.folders(paths),
            Self::Lists(items) => items.folders(paths),
        }
    }
}

/// A walk over all sets.
#[allow(clippy::struct_excessive_bools, reason = "each is a matter of its own")]
pub struct Dataset<'a> {
    sets: &'a [OpenSet<'a>],
    selection: Option<&'a Selection>,
    /// the number of the set that the walk is in, counted from 1; 0 before the first
    set: usize,
    items: Option<Selected<'a, SetItems<'a>>>,
    list: std::vec::IntoIter<Item>,
    next: Option<DatasetStep>,
    /// the last entry that was given
    last: Option<(Vec<u8>, Vec<u8>)>,
    /// its end has not come
    open: bool,
    /// the items that come are those of an entry that was given
    passes: bool,
    /// lists that could not be had
    pub unlisted: u64,
    /// something below the dataset's top was selected
    pub has_any: bool,
    /// drives that are not here may have some of them
    pub lists_wait: bool,
    monitor: &'a dyn Monitor,
}

impl<'a> Dataset<'a> {
    pub fn new(
        sets: &'a [OpenSet<'a>],
        selection: Option<&'a Selection>,
        monitor: &'a dyn Monitor,
    ) -> Self {
        Self {
            sets,
            selection,
            set: 0,
            items: None,
            list: Vec::new().into_iter(),
            next: None,
            last: None,
            open: false,
            passes: false,
            unlisted: 0,
            has_any: false,
            lists_wait: false,
            monitor,
        }
    }

    /// The next step, which stays.
    fn peek(&mut self) -> Option<&DatasetStep> {
        if self.next.is_none() {
            self.next = self.step();
        }
        self.next.as_ref()
    }

    /// The next step; none at the end, or if the job should stop.
    pub fn take(&mut self) -> Option<DatasetStep> {
        self.peek();
        self.next.take()
    }

    /// The next step if it belongs to the entry that was given last.
    pub fn next_of_entry(&mut self) -> Option<DatasetStep> {
        if matches!(self.peek(), None | Some(DatasetStep::Entry(_))) {
            return None;
        }
        self.next.take()
    }

    /// The entry that comes next, once the steps of the one before were taken.
    pub fn next_entry(&mut self) -> Option<&Entry> {
        match self.peek() {
            Some(DatasetStep::Entry(entry)) => Some(entry),
            _ => None,
        }
    }

    fn step(&mut self) -> Option<DatasetStep> {
        loop {
            match self.item()? {
                Item::Entry { entry, continued } => {
                    let last = self.last.as_ref();
                    let goes_on = continued || self.open;
                    if goes_on && last.is_some_and(|(_, path)| *path == entry.path) {
                        self.passes = true;
                        return Some(DatasetStep::Holes(entry.holes));
                    }
                    // A set names the folders that lead to its first entry again.
                    let key = entry.sort_key();
                    let is_again = |(last, _): &(Vec<u8>, Vec<u8>)| {
                        key < *last || key == *last && entry.kind == Kind::Folder
                    };
                    self.passes = !last.is_some_and(is_again);
                    if self.passes {
                        self.has_any |= !entry.path.is_empty() && self.is_selected(&entry);
                        self.last = Some((key, entry.path.clone()));
                        self.open = entry.kind == Kind::File && !entry.whole;
                        return Some(DatasetStep::Entry(entry));
                    }
                }
                Item::Extent(extent) if self.passes => {
                    return Some(DatasetStep::Extent(self.set - 1, extent));
                }
                Item::End(end) if self.passes => {
                    self.open = false;
                    return Some(DatasetStep::End(end));
                }
                Item::Extent(_) | Item::End(_) => {}
            }
        }
    }

    /// Folders that lead to what is selected come, too.
    fn is_selected(&self, entry: &Entry) -> bool {
        let is_folder = entry.is_listed_as_folder();
        self.selection.is_none_or(|asked| asked.selects(&entry.path, is_folder))
    }

    fn item(&mut self) -> Option<Item> {
        loop {
            if let Some(item) = self.list.next() {
                return Some(item);
            }
            if self.monitor.should_stop() {
                return None;
            }
            if let Some(items) = &mut self.items {
                if let Some(list) = items.next_list() {
                    self.list = list.into_iter();
                    continue;
                }
                if let SetItems::Lists(lists) = &items.items {
                    let (lost, waits) = lists.unlisted();
                    self.unlisted += lost;
                    self.lists_wait |= waits;
                }
            }
            let open = self.sets.get(self.set)?;
            self.set += 1;
            let items = SetItems::open(open, self.selection, self.monitor);
            self.items = Some(Selected::new(items, self.selection));
        }
    }
}
