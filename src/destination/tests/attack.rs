//! Entries and planted files that try to get out of DIR, or into `DIR/.holdall`.

use std::collections::BTreeMap;
use std::os::unix::fs::symlink;

use proptest::prelude::*;

use super::*;

/// DIR, and beside it a folder that nothing may touch.
struct Scene {
    scratch: TempDir,
    dir: PathBuf,
    destination: Destination,
    before: Snapshot,
}

impl Scene {
    fn new() -> Self {
        Self::of(fresh_in_memory())
    }

    /// The same with names that are mapped.
    fn mapping() -> Self {
        let (scratch, dir, destination) = fresh_in_memory();
        drop(destination);
        fs::remove_dir_all(&dir).unwrap();
        let destination = open_mapping(&dir);
        Self::of((scratch, dir, destination))
    }

    fn of((scratch, dir, destination): (TempDir, PathBuf, Destination)) -> Self {
        let outside = scratch.path().join("outside");
        fs::create_dir_all(outside.join("folder")).unwrap();
        fs::write(outside.join("file"), "secret").unwrap();
        fs::write(outside.join("folder/file"), "secret").unwrap();
        let before = snapshot(&outside);
        Self { scratch, dir, destination, before }
    }

    fn outside(&self) -> PathBuf {
        self.scratch.path().join("outside")
    }

    #[track_caller]
    fn assert_untouched(&self) {
        assert_eq!(snapshot(&self.outside()), self.before);
        let mut names: Vec<_> =
            fs::read_dir(self.scratch.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["out", "outside"]);
    }
}

/// Mode, links, times and bytes of every path.
type Snapshot = BTreeMap<PathBuf, (u32, u64, [i64; 4], Vec<u8>)>;

/// Every path below `folder` with what a change of any kind would change.
fn snapshot(folder: &Path) -> Snapshot {
    let mut found = Snapshot::new();
    let mut todo = vec![folder.to_path_buf()];
    while let Some(path) = todo.pop() {
        let stat = fs::symlink_metadata(&path).unwrap();
        let bytes = if stat.is_file() { fs::read(&path).unwrap() } else { Vec::new() };
        if stat.is_dir() {
            todo.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
        let times = [stat.mtime(), stat.mtime_nsec(), stat.ctime(), stat.ctime_nsec()];
        found.insert(path, (stat.mode(), stat.nlink(), times, bytes));
    }
    found
}

/// Names that lead out, or into the restore's own, as they are or as something that was mapped.
const NAMES_TRIED: [&str; 14] = [
    "a",
    "b",
    "file",
    "..",
    "",
    ".holdall",
    "outside",
    "%2E%2E",
    "..%2Foutside",
    "a:",
    "a%3A",
    "%~",
    "holdall-names.txt",
    "nul.",
];

/// What is tried with a path.
#[derive(Clone, Copy, Debug)]
enum Try {
    Folder,
    File,
    NamedFile,
    Incomplete,
    Symlink,
    HardLink,
    LinkTo,
    Special,
    Finish,
    Exists,
}

const TRIES: [Try; 10] = [
    Try::Folder,
    Try::File,
    Try::NamedFile,
    Try::Incomplete,
    Try::Symlink,
    Try::HardLink,
    Try::LinkTo,
    Try::Special,
    Try::Finish,
    Try::Exists,
];

fn attempt(
    destination: &Destination,
    what: Try,
    path: &[u8],
    conflict: OnConflict,
) -> Result<(), DestinationError> {
    let link = |path: &[u8], target: &[u8], kind| {
        let mut entry = entry(path, kind);
        entry.target = target.to_vec();
        entry
    };
    match what {
        Try::Folder => destination.make_folder(path),
        Try::File => put(destination, path, b"new", conflict).map(drop),
        Try::NamedFile => {
            let part = destination.begin_named_file()?;
            part.write_at(0, b"new")?;
            destination.finish_file(part, &entry(path, Kind::File), conflict).map(drop)
        }
        Try::Incomplete => {
            let file = entry(path, Kind::File);
            let part = destination.begin_file(&file)?;
            destination.finish_incomplete(part, &file).map(drop)
        }
        Try::Symlink => {
            let symlink = link(path, b"../outside", Kind::Symlink);
            destination.make_symlink(&symlink, conflict).map(drop)
        }
        Try::HardLink => {
            put(destination, "target", b"target", OnConflict::Replace)?;
            destination.make_hard_link(&link(path, b"target", Kind::HardLink), conflict)
        }
        Try::LinkTo => destination.make_hard_link(&link(b"linked", path, Kind::HardLink), conflict),
        Try::Special => destination.make_special(&entry(path, Kind::Fifo), conflict).map(drop),
        Try::Finish => destination.finish_folder(&entry(path, Kind::Folder)).map(drop),
        Try::Exists => destination.exists(path).map(drop),
    }
}

#[test]
fn paths_that_are_refused() {
    let scene = Scene::new();
    for path in ["/etc/x", "..", "../outside/x", "a/../../outside/x", "a//b", "a/", "./a", "a\0b"] {
        for what in TRIES {
            let refused = attempt(&scene.destination, what, path.as_bytes(), OnConflict::Replace);
            assert!(matches!(refused, Err(DestinationError::Path { .. })), "{what:?} {path:?}");
        }
    }
    for path in [".holdall", ".holdall/restore.json", ".holdall/parts/x", ".holdall/new"] {
        for what in TRIES {
            let refused = attempt(&scene.destination, what, path.as_bytes(), OnConflict::Replace);
            assert!(matches!(refused, Err(DestinationError::Reserved { .. })), "{what:?} {path:?}");
        }
    }
    // Only at the top is it the restore's own.
    put(&scene.destination, "folder/.holdall/file", b"", OnConflict::Fail).unwrap();
    put(&scene.destination, ".holdall2", b"", OnConflict::Fail).unwrap();
    scene.assert_untouched();
}

#[test]
fn entries_of_the_wrong_kind_are_refused() {
    let scene = Scene::new();
    let wrong = |result| matches!(result, Err(DestinationError::WrongKind { .. }));
    for what in [Try::File, Try::Symlink, Try::HardLink, Try::Special, Try::Incomplete] {
        assert!(wrong(attempt(&scene.destination, what, b"", OnConflict::Replace)), "{what:?}");
    }
    let destination = &scene.destination;
    assert!(wrong(
        destination.make_symlink(&entry("a", Kind::File), OnConflict::Replace).map(drop)
    ));
    assert!(wrong(
        destination.make_special(&entry("a", Kind::Folder), OnConflict::Replace).map(drop)
    ));
    assert!(wrong(
        destination.make_special(&entry("a", Kind::BlockDevice), OnConflict::Replace).map(drop)
    ));
    assert!(wrong(destination.finish_folder(&entry("a", Kind::File)).map(drop)));
    assert!(wrong(destination.make_hard_link(&entry("a", Kind::Symlink), OnConflict::Replace)));
    assert_eq!(fs::read_dir(&scene.dir).unwrap().count(), 2, "only .holdall and the link's target");
}

/// Whatever is in the place of a parent folder, at the top or further down: it is named, nothing
/// goes through it, and it stays.
#[test]
fn nothing_goes_through_what_is_not_a_folder() {
    for parent in ["planted", "real/planted", "real/deep/planted"] {
        for target in ["absolute", "relative", "inside", "to a file", "dangling", "loop", "a file"]
        {
            let scene = Scene::new();
            scene.destination.make_folder(b"real/deep").unwrap();
            let planted = scene.dir.join(parent);
            match target {
                "absolute" => symlink(scene.outside(), &planted),
                "relative" => symlink("../../../outside", &planted),
                "inside" => symlink(&scene.dir, &planted),
                "to a file" => symlink(scene.outside().join("file"), &planted),
                "dangling" => symlink(scene.outside().join("nothing"), &planted),
                "loop" => symlink("planted", &planted),
                _ => fs::write(&planted, "planted"),
            }
            .unwrap();
            for what in TRIES {
                for below in ["file", "new", "folder/file", "folder/new/new"] {
                    let path = format!("{parent}/{below}");
                    let refused =
                        attempt(&scene.destination, what, path.as_bytes(), OnConflict::Replace);
                    let named = matches!(&refused, Err(DestinationError::NotAFolder { path })
                        if path == parent.as_bytes());
                    assert!(named, "{what:?} {path} {target}: {refused:?}");
                }
            }
            scene.assert_untouched();
            assert!(!fs::symlink_metadata(&planted).unwrap().is_dir());
            assert_eq!(parts_left(&scene.dir), 0);
        }
    }
}

/// A symlink that has an entry's final name is never followed; it goes only when replaced.
#[test]
fn a_symlink_with_the_final_name_is_not_followed() {
    for target in ["../outside/file", "../outside/folder", "../outside/nothing"] {
        for what in TRIES {
            let scene = Scene::new();
            symlink(target, scene.dir.join("planted")).unwrap();
            let planted = || fs::read_link(scene.dir.join("planted")).ok();
            let done = attempt(&scene.destination, what, b"planted", OnConflict::Fail);
            match what {
                Try::Folder | Try::Finish => {
                    assert!(matches!(done, Err(DestinationError::NotAFolder { .. })), "{what:?}");
                }
                Try::Exists => {
                    let found = scene.destination.exists(b"planted").unwrap();
                    assert_eq!(found, Some(FoundKind::Symlink));
                }
                // The symlink itself gets another name.
                Try::LinkTo => {
                    done.unwrap();
                    assert_eq!(fs::read_link(scene.dir.join("linked")).unwrap(), Path::new(target));
                }
                Try::Incomplete => done.unwrap(),
                _ => {
                    assert!(matches!(done, Err(DestinationError::Exists { .. })), "{what:?}");
                    assert_eq!(planted().as_deref(), Some(Path::new(target)), "{what:?}");
                    attempt(&scene.destination, what, b"planted", OnConflict::Replace).unwrap();
                    assert_ne!(planted().as_deref(), Some(Path::new(target)), "{what:?}");
                }
            }
            scene.assert_untouched();
        }
    }
}

#[test]
fn folders_are_never_replaced_and_files_only_if_told() {
    let scene = Scene::new();
    put(&scene.destination, "folder/file", b"old", OnConflict::Fail).unwrap();
    for what in [Try::File, Try::Symlink, Try::HardLink, Try::Special] {
        let refused = attempt(&scene.destination, what, b"folder", OnConflict::Replace);
        assert!(matches!(refused, Err(DestinationError::Exists { .. })), "{what:?}");
    }
    for what in [Try::File, Try::Symlink, Try::HardLink, Try::Special] {
        let refused = attempt(&scene.destination, what, b"folder/file", OnConflict::Fail);
        assert!(matches!(refused, Err(DestinationError::Exists { .. })), "{what:?}");
    }
    assert_eq!(fs::read(scene.dir.join("folder/file")).unwrap(), b"old");
    // Every kind takes the place of every other, as a resume may find it.
    let kinds = [Try::File, Try::Symlink, Try::HardLink, Try::Special];
    for what in kinds.iter().flat_map(|first| kinds.map(|second| [*first, second])).flatten() {
        attempt(&scene.destination, what, b"folder/file", OnConflict::Replace).unwrap();
    }
    assert_eq!(parts_left(&scene.dir), 0);
}

#[test]
fn hard_links_need_their_target() {
    let scene = Scene::new();
    for target in ["missing", "missing/too", ""] {
        let refused =
            attempt(&scene.destination, Try::LinkTo, target.as_bytes(), OnConflict::Replace);
        assert!(matches!(refused, Err(DestinationError::NoTarget { .. })), "{target}");
    }
    // Restored again, a link to itself or to what it is already stays.
    put(&scene.destination, "linked", b"kept", OnConflict::Fail).unwrap();
    attempt(&scene.destination, Try::LinkTo, b"linked", OnConflict::Replace).unwrap();
    assert_eq!(fs::read(scene.dir.join("linked")).unwrap(), b"kept");
    scene.destination.make_folder(b"folder").unwrap();
    fs::remove_file(scene.dir.join("linked")).unwrap();
    assert!(attempt(&scene.destination, Try::LinkTo, b"folder", OnConflict::Replace).is_err());
}

/// A folder is moved away and a symlink put in its place while the restore goes on.
#[test]
fn a_folder_replaced_during_the_restore() {
    let scene = Scene::new();
    put(&scene.destination, "folder/deep/one", b"1", OnConflict::Fail).unwrap();
    fs::rename(scene.dir.join("folder"), scene.dir.join("moved")).unwrap();
    symlink(scene.outside(), scene.dir.join("folder")).unwrap();
    for what in TRIES {
        for path in ["folder/file", "folder/folder", "folder/folder/file", "folder/deep/two"] {
            let _ = attempt(&scene.destination, what, path.as_bytes(), OnConflict::Replace);
        }
    }
    let refused = scene.destination.finish_folder(&entry("folder", Kind::Folder));
    assert!(matches!(refused, Err(DestinationError::NotAFolder { .. })));
    scene.assert_untouched();
}

#[test]
fn a_working_folder_that_leads_out() {
    let scratch = tempfile::tempdir().unwrap();
    let outside = scratch.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("file"), "secret").unwrap();
    let dir = scratch.path().join("out");
    fs::create_dir(&dir).unwrap();
    symlink(&outside, dir.join(".holdall")).unwrap();
    assert!(matches!(Destination::open(&dir, "a"), Err(DestinationError::NotEmpty { .. })));
    fs::remove_file(dir.join(".holdall")).unwrap();

    drop(Destination::open(&dir, "a").unwrap());
    fs::remove_dir_all(dir.join(".holdall/parts")).unwrap();
    symlink(&outside, dir.join(".holdall/parts")).unwrap();
    assert!(Destination::open(&dir, "a").is_err());
    fs::remove_file(dir.join(".holdall/parts")).unwrap();

    let (destination, _) = Destination::open(&dir, "a").unwrap();
    symlink(outside.join("file"), dir.join(".holdall/journal")).unwrap();
    assert!(destination.load_state("journal").is_err());
    destination.save_state("journal", b"mine").unwrap();
    symlink(&outside, dir.join(".holdall/folder")).unwrap();
    symlink(&outside, dir.join(".holdall/parts/folder")).unwrap();
    destination.complete().unwrap();
    assert_eq!(fs::read(outside.join("file")).unwrap(), b"secret");
    assert_eq!(fs::read_dir(&dir).unwrap().count(), 0);
}

/// The working folder is refused by name, in any case where that is one name, and by identity.
#[test]
fn the_working_folder_under_another_spelling() {
    for (path, ignores_case, free) in [
        (".holdall/x", false, false),
        (".HOLDALL/x", false, true),
        (".HoldAll/x", true, false),
        (".HOLDALL2", true, true),
        ("x/.HOLDALL", true, true),
    ] {
        assert_eq!(checked(path.as_bytes(), WORK, ignores_case).is_ok(), free, "{path}");
    }
    let (_scratch, dir, destination) = fresh();
    destination.make_folder(b"alias").unwrap();
    let root = claim::open_dir(&dir).unwrap();
    let alias = file_id(open_folder_at(&root, b"alias").unwrap()).unwrap();
    let folders = Folders::new(root, alias, true);
    for path in ["alias", "alias/below"] {
        let refused = folders.open_or_make(path.as_bytes()).map(drop);
        assert!(matches!(refused, Err(DestinationError::Reserved { .. })), "{path}");
        assert!(folders.open_anew(path.as_bytes()).is_err());
    }
    assert!(folders.open_or_make(b"other/alias").is_ok());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    /// Any entries in any order, symlinks to the outside among them: nothing gets out.
    #[test]
    fn no_sequence_of_entries_gets_out(
        tries in prop::collection::vec(
            (
                prop::sample::select(TRIES.to_vec()),
                prop::collection::vec(
                    prop::sample::select(NAMES_TRIED.to_vec()),
                    1..4,
                ),
                prop::sample::select(vec![OnConflict::Fail, OnConflict::Replace]),
            ),
            1..40,
        ),
        maps in any::<bool>(),
    ) {
        let scene = if maps { Scene::mapping() } else { Scene::new() };
        for (what, names, conflict) in tries {
            let path = names.join("/");
            let _ = attempt(&scene.destination, what, path.as_bytes(), conflict);
        }
        scene.assert_untouched();
        prop_assert_eq!(parts_left(&scene.dir), 0);
        let own = fs::read_dir(scene.dir.join(".holdall")).unwrap().count();
        prop_assert!(own == 3 || own == 4 && maps, "the names that were mapped");
        scene.destination.complete().unwrap();
    }
}
