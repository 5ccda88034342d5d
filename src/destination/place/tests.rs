//! The three ways to rename, each alone, and the names of files that are not whole.

use std::fs;

use cap_std::ambient_authority;

use super::*;

type Way = fn((&Dir, &[u8]), (&Dir, &[u8])) -> io::Result<()>;
const WAYS: [(&str, Way); 3] =
    [("rename", rename_new), ("link", link_then_remove), ("check", check_then_rename)];

#[test]
fn every_way_moves_and_none_replaces() {
    for (way, rename) in WAYS {
        let scratch = tempfile::tempdir().unwrap();
        let dir = Dir::open_ambient_dir(scratch.path(), ambient_authority()).unwrap();
        let at = |name: &str| scratch.path().join(name);
        fs::write(at("part"), "new").unwrap();
        rename((&dir, b"part"), (&dir, b"moved")).unwrap();
        assert_eq!(fs::read(at("moved")).unwrap(), b"new", "{way}");
        assert!(!at("part").exists(), "{way}");

        fs::write(at("outside"), "kept").unwrap();
        fs::create_dir(at("folder")).unwrap();
        std::os::unix::fs::symlink("outside", at("symlink")).unwrap();
        std::os::unix::fs::symlink("nowhere", at("dangling")).unwrap();
        for taken in ["outside", "folder", "symlink", "dangling"] {
            let renamed = rename((&dir, b"moved"), (&dir, taken.as_bytes()));
            assert!(is_taken(&renamed), "{way} {taken}");
        }
        assert_eq!(fs::read(at("outside")).unwrap(), b"kept", "{way}");
        assert_eq!(fs::read(at("moved")).unwrap(), b"new", "{way}");

        // A symlink is moved as one.
        rename((&dir, b"symlink"), (&dir, b"symlink2")).unwrap();
        assert_eq!(fs::read_link(at("symlink2")).unwrap().to_str(), Some("outside"), "{way}");
    }
}

#[test]
fn names_that_are_not_whole_fit() {
    assert_eq!(incomplete_path(b"a/b", 1), b"a/b.incomplete");
    assert_eq!(incomplete_path(b"b", 12), b"b.incomplete-12");
    for long in [vec![b'x'; 255], vec![0xff; 255], "\u{20ac}".repeat(85).into_bytes()] {
        let path = [b"folder/", long.as_slice()].concat();
        for number in [1, 2, 1000] {
            let out = incomplete_path(&path, number);
            let name = split(&out).1;
            assert!(name.len() <= 255 && name.len() > 250 - 4, "{}", name.len());
            let utf8 = std::str::from_utf8(&long).is_ok();
            assert_eq!(std::str::from_utf8(name).is_ok(), utf8);
        }
    }
}
