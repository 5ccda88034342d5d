//! Names that are mapped: every way to a name takes the same, and the list gives each back.

use std::ffi::OsStr;

use super::*;

const FOLDER: &[u8] = b"a:b";
const FILE: &[u8] = b"a:b/what?";
const BYTES: &[u8] = b"a:b/caf\xe9";
const PLAIN: &[u8] = b"plain";

fn names(dir: &Path) -> Vec<String> {
    let names = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<String> = names.map(|name| name.into_string().unwrap()).collect();
    names.sort();
    names
}

fn list(dir: &Path) -> Vec<String> {
    let text = fs::read_to_string(dir.join(NAMES)).unwrap();
    let mut lines: Vec<String> =
        text.lines().filter(|line| line.contains('\t')).map(Into::into).collect();
    lines.sort();
    lines
}

#[test]
fn every_way_to_a_name_takes_the_same() {
    let scratch = tempfile::tempdir().unwrap();
    let dir = scratch.path().join("out");
    let long = [&b"a:b/"[..], &[b'?'; 200], b".mov"].concat();
    for run in 0..2 {
        // A resume finds what there is, and lists nothing twice.
        let to = open_mapping(&dir);
        for path in [FILE, BYTES, PLAIN, &long] {
            assert_eq!(to.exists(path).unwrap().is_some(), run == 1, "{path:?}");
            put(&to, path, path, OnConflict::Replace).unwrap();
            assert_eq!(to.exists(path).unwrap(), Some(FoundKind::File));
        }
        let mut link = entry("a:b/link?", Kind::HardLink);
        link.target = FILE.to_vec();
        to.make_hard_link(&link, OnConflict::Replace).unwrap();
        let mut symlink = entry("sym|link", Kind::Symlink);
        symlink.target = FILE.to_vec();
        to.make_symlink(&symlink, OnConflict::Replace).unwrap();
        assert!(to.finish_folder(&entry(FOLDER, Kind::Folder)).unwrap().is_empty());
        let part = to.begin_file(&entry(FILE, Kind::File)).unwrap();
        if run == 0 {
            let left = to.finish_incomplete(part, &entry(FILE, Kind::File)).unwrap();
            assert_eq!(left, b"a%3Ab/what%3F.incomplete");
        }
        assert_eq!(to.mapped_names().unwrap(), 7);
        if run == 1 {
            to.complete().unwrap();
        }
    }
    assert_eq!(names(&dir), ["a%3Ab", NAMES, "plain", "sym%7Clink"]);
    let folder = dir.join("a%3Ab");
    let here = names(&folder);
    assert_eq!(here[1..], ["caf%E9", "link%3F", "what%3F", "what%3F.incomplete"]);
    assert!((251..=255).contains(&here[0].len()) && here[0].contains("%~"));
    assert!(here[0].ends_with("mov"));
    assert_eq!(fs::read(folder.join("caf%E9")).unwrap(), BYTES);
    assert_eq!(fs::metadata(folder.join("link%3F")).unwrap().nlink(), 2);
    // The list gives each its own name.
    let list = list(&dir);
    assert_eq!(list.len(), 7);
    assert_eq!(list[0], "a%3Ab\ta:b");
    assert!(list.contains(&"a%3Ab/caf%E9\tcaf%E9".into()), "{list:?}");
    let cut = format!("a%3Ab/{}\t{}.mov", here[0], "?".repeat(200));
    assert!(list.contains(&cut), "{list:?}");
    // The tree is known for what it is.
    let tree = Tree::open(&dir).unwrap();
    for path in [FILE, BYTES, PLAIN, &long] {
        assert!(tree.has(&entry(path, Kind::File), Some(path.len() as u64)), "{path:?}");
    }
    fs::remove_file(dir.join(NAMES)).unwrap();
    assert!(!Tree::open(&dir).unwrap().has(&entry(FILE, Kind::File), None));
    assert!(Tree::open_mapped(&dir).unwrap().has(&entry(FILE, Kind::File), None));
}

/// A run that is killed while it removes the working folder has listed all names, and what it leaves
/// of the lines is not all of them.
#[test]
fn a_list_that_is_there_loses_nothing() {
    let scratch = tempfile::tempdir().unwrap();
    let dir = scratch.path().join("out");
    let to = open_mapping(&dir);
    put(&to, FILE, FILE, OnConflict::Fail).unwrap();
    to.list_names().unwrap();
    for state in to.state_names("names-").unwrap() {
        to.remove_state(&state).unwrap();
    }
    let resumed = open_mapping(&dir);
    put(&resumed, "late?", b"", OnConflict::Fail).unwrap();
    assert_eq!(resumed.mapped_names().unwrap(), 3);
    resumed.complete().unwrap();
    assert_eq!(list(&dir), ["a%3Ab\ta:b", "a%3Ab/what%3F\twhat?", "late%3F\tlate?"]);
}

/// What has the names of the restore's own gets others.
#[test]
fn the_restores_own_names_are_mapped() {
    let scratch = tempfile::tempdir().unwrap();
    let dir = scratch.path().join("out");
    let to = open_mapping(&dir);
    let own = [".holdall/restore.json", ".holdall-00112233445566aa", ".Holdall", NAMES];
    for path in own {
        put(&to, path, path.as_bytes(), OnConflict::Fail).unwrap();
    }
    to.complete().unwrap();
    let mut expected: Vec<String> =
        [".holdall", ".holdall-00112233445566aa", ".Holdall"].map(|n| n.replace('.', "%2E")).into();
    expected.extend([NAMES.replacen('h', "%68", 1), NAMES.into()]);
    expected.sort();
    assert_eq!(names(&dir), expected);
    assert_eq!(fs::read(dir.join("%68oldall-names.txt")).unwrap(), NAMES.as_bytes());
}

/// Nothing is mapped, so there is nothing to be listed.
#[test]
fn names_that_every_file_system_takes_stay() {
    let scratch = tempfile::tempdir().unwrap();
    let dir = scratch.path().join("out");
    let to = open_mapping(&dir);
    for path in ["100%", "été/日本.txt", "README", "readme"] {
        put(&to, path, path.as_bytes(), OnConflict::Fail).unwrap();
    }
    to.complete().unwrap();
    assert!(!dir.join(NAMES).exists());
    for path in ["100%", "été/日本.txt", "README", "readme"] {
        assert_eq!(fs::read(dir.join(OsStr::new(path))).unwrap(), path.as_bytes());
    }
}
