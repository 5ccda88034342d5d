use super::*;
use crate::format::ids::{RunId, StripeId, StripeNumber};
use crate::format::list::{End, Extent, Method, Place};

/// Items in lists of three; the folders that are asked for are written down.
struct Lists {
    items: std::vec::IntoIter<Item>,
    known: Vec<Entry>,
    asked: Vec<Vec<u8>>,
}

impl Items for Lists {
    fn next_list(&mut self) -> Option<Vec<Item>> {
        let list: Vec<Item> = self.items.by_ref().take(3).collect();
        (!list.is_empty()).then_some(list)
    }

    fn folders(&mut self, paths: &[Vec<u8>]) -> Vec<Entry> {
        self.asked.extend(paths.iter().cloned());
        self.known.iter().filter(|entry| paths.contains(&entry.path)).cloned().collect()
    }
}

fn entry(path: &str) -> Entry {
    let kind = if path.ends_with('/') || path.is_empty() { Kind::Folder } else { Kind::File };
    let size = if kind == Kind::File { 10 } else { 0 };
    Entry { size, ..Entry::new(path.trim_end_matches('/'), kind) }
}

fn item(path: &str) -> Item {
    Item::Entry { entry: entry(path), continued: false }
}

fn extent(len: u32) -> Item {
    let stripe = StripeId { run: RunId(1), number: StripeNumber(0) };
    let (method, offset, head, stored, plain) = (Method::Plain, 0, len, len, len);
    let place = Place { stripe, index: 0, method, offset, head, stored, plain };
    Item::Extent(Extent { file_offset: 0, len, chunk_offset: 0, id: [0; 32], place })
}

fn end(state: State) -> Item {
    Item::End(End { state, root: None, size: 10 })
}

fn selected<'a>(items: Vec<Item>, known: &[&str], of: &'a Selection) -> Selected<'a, Lists> {
    let known = known.iter().map(|path| entry(path)).collect();
    let lists = Lists { items: items.into_iter(), known, asked: Vec::new() };
    Selected::new(lists, Some(of))
}

fn selection(include: &[&str], exclude: &[&str]) -> Selection {
    let words = |words: &[&str]| words.iter().map(ToString::to_string).collect::<Vec<_>>();
    Selection::new(&words(include), &words(exclude)).unwrap().unwrap()
}

/// Paths of entries, folders with a slash, and `.` for what is no entry.
fn passed(selected: &mut Selected<Lists>) -> Vec<String> {
    let mut paths = Vec::new();
    while let Some(list) = selected.next_list() {
        assert!(!list.is_empty());
        paths.extend(list.into_iter().map(|item| match item {
            Item::Entry { entry, .. } => String::from_utf8(entry.sort_key()).unwrap(),
            _ => ".".into(),
        }));
    }
    paths
}

const TREE: [&str; 9] = ["", "a/", "a/b/", "a/b/x.mov", "a/b/y", "c/", "c/d/", "e/", "e/z.mov"];

#[test]
fn folders_come_before_what_they_lead_to_and_no_others() {
    let of = selection(&["*.mov"], &[]);
    let mut found = selected(TREE.map(item).into(), &[], &of);
    assert_eq!(passed(&mut found), ["", "a/", "a/b/", "a/b/x.mov", "e/", "e/z.mov"]);
    assert_eq!(found.counts.entries, 2);
    let of = selection(&["c"], &[]);
    assert_eq!(passed(&mut selected(TREE.map(item).into(), &[], &of)), ["", "c/", "c/d/"]);
    let of = selection(&[], &["b", "c"]);
    let all_but = ["", "a/", "e/", "e/z.mov"];
    assert_eq!(passed(&mut selected(TREE.map(item).into(), &[], &of)), all_but);
}

#[test]
fn folders_that_the_walk_did_not_come_through_are_looked_up_once() {
    let of = selection(&["a/b/*"], &["y"]);
    let items = ["a/b/w", "a/b/x.mov", "a/b/y", "e/z.mov"].map(item);
    let mut found = selected(items.into(), &["", "a/", "a/b/"], &of);
    assert_eq!(passed(&mut found), ["", "a/", "a/b/", "a/b/w", "a/b/x.mov"]);
    assert_eq!(found.items.asked, [&b""[..], b"a", b"a/b"]);
    // One that cannot be had is not asked for again and again.
    let items = ["a/b/w", "a/b/x.mov"].map(item);
    let mut found = selected(items.into(), &["", "a/"], &of);
    assert_eq!(passed(&mut found), ["", "a/", "a/b/w", "a/b/x.mov"]);
    assert_eq!(found.items.asked.len(), 3);
}

#[test]
fn what_belongs_to_an_entry_goes_with_it() {
    let of = selection(&["keep"], &[]);
    let mut items = vec![item("a"), extent(5), end(State::Whole), item("keep"), end(State::Void)];
    items.extend([item("keep"), extent(3), extent(4), end(State::Whole), item("z"), extent(6)]);
    let mut found = selected(items, &[], &of);
    assert_eq!(passed(&mut found), ["keep", ".", "keep", ".", ".", "."]);
    // Bytes are those of its extents: what a hole takes of its 10 is not restored.
    assert_eq!(found.counts, SelectionCounts { entries: 1, data_bytes: 7 });
}

#[test]
fn the_first_selected_name_of_a_file_that_is_not_selected_is_noted() {
    let link = |path: &str, target: &str| {
        let target = target.as_bytes().to_vec();
        let entry = Entry { target, ..Entry::new(path, Kind::HardLink) };
        Item::Entry { entry, continued: false }
    };
    let items =
        vec![item("a"), link("b", "a"), link("k/1", "a"), link("k/2", "a"), link("k/3", "k/0")];
    let of = selection(&["k"], &[]);
    let mut found = selected(items, &[], &of);
    assert_eq!(passed(&mut found), ["k/1", "k/2", "k/3"]);
    assert_eq!(found.take_promotions(), BTreeMap::from([(b"a".to_vec(), b"k/1".to_vec())]));
}

#[test]
fn without_a_selection_everything_passes() {
    let lists =
        Lists { items: Vec::from(TREE.map(item)).into_iter(), known: vec![], asked: vec![] };
    assert_eq!(passed(&mut Selected::new(lists, None)), TREE);
}
