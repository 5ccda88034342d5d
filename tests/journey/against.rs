//! A tree held against the shipment: what is the same is proven, and what is not is named.

use super::rounds::Rounds;
use crate::common::shipment::Shipment;
use crate::common::{Run, tree};
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::{FileExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

fn against(shipment: &Shipment, paths: &[PathBuf], dir: &Path, more: &[&str]) -> Run {
    let mut words: Vec<OsString> = ["verify", "--json", "-i"].map(OsString::from).into();
    words.extend([shipment.key.clone().into(), "--against".into(), dir.into()]);
    words.extend(more.iter().map(OsString::from));
    words.extend(paths.iter().map(OsString::from));
    shipment.run(words)
}

/// Kind and subject of each problem, in order.
fn told(run: &Run) -> Vec<(String, String)> {
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let problems = run.events_of("problem");
    let mut told: Vec<_> =
        problems.iter().map(|p| (text(&p["kind"]), text(&p["subject"]))).collect();
    told.sort();
    told
}

fn packed(seed: &str) -> (Shipment, PathBuf) {
    let shipment = Shipment::new(&[1, 1]);
    tree::rich(&shipment.source, seed);
    shipment.pack("drives=1").expect(0);
    let to = shipment.new_destination();
    shipment.restore(&shipment.paths(), &to, &[]).expect(0);
    (shipment, to)
}

/// Changes one byte of a file, and nothing that a listing shows.
fn change(path: &Path, offset: u64) {
    let mode = fs::metadata(path).unwrap().permissions();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    let time = fs::metadata(path).unwrap().modified().unwrap();
    let file = fs::File::options().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset).unwrap();
    file.write_all_at(&[byte[0] ^ 1], offset).unwrap();
    file.set_modified(time).unwrap();
    fs::set_permissions(path, mode).unwrap();
}

/// Of drives nothing but the catalog is read: one without a single shard is enough.
#[test]
fn a_restored_tree_and_the_source_are_the_dataset() {
    let (shipment, to) = packed("same");
    for shard in shipment.files(0, "shards/") {
        fs::remove_file(shard).unwrap();
    }
    let entries = tree::walk(&shipment.source).len();
    for dir in [&to, &shipment.source] {
        let more: &[&str] = if crate::common::is_root() { &["--metadata"] } else { &[] };
        let run = against(&shipment, &shipment.paths()[..1], dir, more).expect(0);
        let compared = run.event("compared");
        assert_eq!(compared["is_dataset"], true, "{}", run.shown());
        assert_eq!(compared["equal"], entries, "{}", run.shown());
        assert!(compared["bytes"].as_u64().unwrap() > 1_000_000, "{compared}");
    }
    let words = ["verify", "-i"].map(OsString::from).into_iter();
    let words = words.chain([shipment.key.clone().into(), "--against".into(), to.into()]);
    let said = shipment.run(words.chain([shipment.paths()[0].clone().into()])).expect(0);
    assert!(
        said.stdout.contains("is the dataset that was packed, byte for byte"),
        "{}",
        said.shown()
    );
}

#[test]
fn every_difference_is_named() {
    let (shipment, to) = packed("differences");
    tree::unlock(&to);
    let write = |name: &str, bytes: &[u8]| {
        fs::remove_file(to.join(name)).ok();
        fs::write(to.join(name), bytes).unwrap();
    };
    change(&to.join("nested/many/3/10"), 0);
    change(&to.join("sizes/several stripes"), 300_000);
    change(&to.join("sparse/large"), 500 * 4096);
    change(&to.join("sparse/nothing but a hole"), 7);
    write("sizes/text-1", b"longer");
    fs::remove_file(to.join("nested/many/4/11")).unwrap();
    fs::remove_dir_all(to.join("names/.hidden")).unwrap();
    write("nested/extra", b"");
    fs::create_dir_all(to.join("new/deep")).unwrap();
    write("new/deep/file", b"1");
    fs::remove_file(to.join("links/dangling")).unwrap();
    symlink("not/here", to.join("links/dangling")).unwrap();
    let same = fs::read(to.join("links/a")).unwrap();
    write("links/z", &same);
    // Other types: a folder for a file, a file for a folder, a pipe for a file.
    fs::remove_file(to.join("nested/order/x")).unwrap();
    fs::create_dir(to.join("nested/order/x")).unwrap();
    fs::remove_dir_all(to.join("nested/order/x-dir")).unwrap();
    write("nested/order/x-dir", b"");
    fs::remove_file(to.join("sizes/noise-1")).unwrap();
    symlink("noise-0", to.join("sizes/noise-1")).unwrap();
    let run = against(&shipment, &shipment.paths(), &to, &[]).expect(3);
    let expected = [
        ("differs", "links/dangling"),
        ("differs", "links/z"),
        ("differs", "nested/many/3/10"),
        ("differs", "nested/order/x"),
        ("differs", "nested/order/x-dir"),
        ("differs", "sizes/noise-1"),
        ("differs", "sizes/several stripes"),
        ("differs", "sizes/text-1"),
        ("differs", "sparse/large"),
        ("differs", "sparse/nothing but a hole"),
        ("extra", "nested/extra"),
        ("extra", "new"),
        ("missing", "names/.hidden"),
        ("missing", "nested/many/4/11"),
    ];
    let expected = expected.map(|(kind, subject)| (kind.to_owned(), subject.to_owned()));
    assert_eq!(told(&run), expected, "{}", run.shown());
    let compared = run.event("compared");
    let counts = ["missing", "extra", "differs", "links", "metadata", "untold"];
    let counts = counts.map(|name| compared[name].as_u64().unwrap());
    // With the folder .hidden and x-dir lie a file each; with new, two more.
    assert_eq!(counts, [4, 4, 9, 1, 0, 0], "{compared}");
}

/// Small files share a chunk: its id says that one differs, and the drives say which.
#[test]
fn of_files_that_share_a_chunk_the_drives_tell_which_differs() {
    let shipment = Shipment::new(&[1]);
    tree::plain(&shipment.source, "group", 3);
    for number in 0..9 {
        tree::write(
            &shipment.source.join(format!("small/{number}")),
            format!("{number}").as_bytes(),
        );
    }
    shipment.pack("none").expect(0);
    change(&shipment.source.join("small/5"), 0);
    fs::remove_file(shipment.source.join("small/7")).unwrap();
    let run = against(&shipment, &shipment.paths(), &shipment.source, &[]).expect(3);
    let names = |kind: &str, name: &str| (kind.to_owned(), format!("small/{name}"));
    assert_eq!(told(&run), [names("differs", "5"), names("missing", "7")], "{}", run.shown());
    // What is not the dataset's is told apart from what is.
    let (source, drives) = (&shipment.source, shipment.paths());
    change(&source.join("small/5"), 0);
    fs::write(source.join("small/7"), "7").unwrap();
    fs::write(source.join("more"), "").unwrap();
    let mut words: Vec<OsString> = ["verify", "-i"].map(OsString::from).into();
    words.extend([shipment.key.clone().into(), "--against".into(), source.into()]);
    words.push(drives[0].clone().into());
    let said = shipment.run(words).expect(3);
    assert!(said.stdout.contains("Everything that was packed is in "), "{}", said.shown());
    assert!(said.stdout.contains("\n1 more entry is there"), "{}", said.shown());
    let refused = against(&shipment, &drives, source, &["--include", "nothere"]).expect(2);
    assert!(
        refused.stdout.contains("nothing in this dataset is selected by"),
        "{}",
        refused.shown()
    );
    fs::remove_file(source.join("more")).unwrap();
    change(&source.join("small/5"), 0);
    // Without the shards nothing tells which differs; that one does is known.
    for shard in shipment.files(0, "shards/") {
        fs::remove_file(shard).unwrap();
    }
    let run = against(&shipment, &drives, source, &[]).expect(1);
    assert_eq!(run.event("compared")["differing_chunks"], 1, "{}", run.shown());
    fs::remove_file(source.join("small/7")).unwrap();
    let run = against(&shipment, &shipment.paths(), &shipment.source, &[]).expect(1);
    let compared = run.event("compared");
    assert_eq!(compared["is_dataset"], false);
    assert!(compared["untold"].as_u64().unwrap() >= 8, "{compared}");
    assert!(told(&run).contains(&names("lost", "5")), "{}", run.shown());
}

#[test]
fn metadata_is_compared_where_it_is_asked_for() {
    let (shipment, to) = packed("metadata");
    let file = to.join("sizes/text-16384");
    let mode = fs::metadata(&file).unwrap().permissions().mode();
    fs::set_permissions(&file, fs::Permissions::from_mode(mode ^ 0o100)).unwrap();
    against(&shipment, &shipment.paths(), &to, &[]).expect(0);
    let run = against(&shipment, &shipment.paths(), &to, &["--metadata"]).expect(3);
    let problems = run.problems();
    let of_file = problems.iter().find(|(subject, _)| subject == "sizes/text-16384").unwrap();
    assert!(of_file.1.contains("mode"), "{of_file:?}");
    assert!(!crate::common::is_root() || problems.len() == 1, "{problems:?}");
    let mut words: Vec<OsString> = ["verify", "--metadata", "-i"].map(OsString::from).into();
    words.extend([shipment.key.clone().into(), "--against".into(), to.into()]);
    words.push(shipment.paths()[0].clone().into());
    let said = shipment.run(words).expect(3);
    assert!(
        said.stdout.contains("differs from what was packed in metadata alone:"),
        "{}",
        said.shown()
    );
}

#[test]
fn a_part_is_compared_by_the_patterns_that_it_was_restored_with() {
    let (shipment, _) = packed("selection");
    let (paths, to) = (shipment.paths(), shipment.new_destination());
    let part = ["--include", "sizes", "--include", "nested/many", "--exclude", "noise-*"];
    shipment.restore(&paths, &to, &part).expect(0);
    for dir in [&to, &shipment.source] {
        let run = against(&shipment, &paths, dir, &part).expect(0);
        assert_eq!(run.event("compared")["is_dataset"], true, "{}", run.shown());
    }
    let run = against(&shipment, &paths, &to, &[]).expect(3);
    assert!(run.event("compared")["missing"].as_u64().unwrap() > 50, "{}", run.shown());
}

#[test]
fn a_dataset_in_several_sets_needs_a_drive_of_each() {
    let Some(rounds) = Rounds::new("against") else { return };
    rounds.pack_from(0);
    let source = &rounds.shipment.source;
    let all: Vec<PathBuf> = (0..3).map(|round| rounds.paths(round)[0].clone()).collect();
    let run = against(&rounds.shipment, &all, source, &[]).expect(0);
    assert_eq!(run.event("compared")["is_dataset"], true, "{}", run.shown());
    let run = against(&rounds.shipment, &all[..2], source, &[]).expect(4);
    let compared = run.event("compared");
    assert_eq!((&compared["is_dataset"], &compared["extra"]), (&false.into(), &0.into()));
    assert_eq!(compared["absent_sets"], serde_json::json!([3]), "{compared}");
    change(&source.join("large"), fs::metadata(source.join("large")).unwrap().len() - 9);
    let run = against(&rounds.shipment, &all, source, &[]).expect(3);
    assert_eq!(told(&run), [("differs".to_owned(), "large".to_owned())], "{}", run.shown());
}
