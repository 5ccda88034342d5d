//! Paths and patterns as people type them: what is meant is found, and what has no effect is told.

use crate::common::Run;
use crate::common::shipment::Shipment;
use crate::common::snapshot::Snapshot;
use crate::common::tree;
use rstest::rstest;
use std::ffi::OsString;

fn run(shipment: &Shipment, words: &[&str]) -> Run {
    let paths = shipment.paths().into_iter().map(Into::into);
    let words = words.iter().map(OsString::from);
    shipment.run(words.chain(paths).chain(["-i".into(), shipment.key.clone().into()]))
}

fn dated() -> Shipment {
    let shipment = Shipment::new(&[1]);
    for file in ["2026/march/a", "2026/march/b", "2026/april", "2025/x", "café.txt", "caf1.txt"] {
        tree::write(&shipment.source.join(file), file.as_bytes());
    }
    shipment
}

/// Review A11, R9, shape E: what is meant is listed, and nothing else.
#[test]
fn ls_takes_a_folder_as_it_is_typed_and_says_if_there_is_none() {
    let shipment = dated();
    shipment.pack("none").expect(0);
    let count =
        |folder: &str| run(&shipment, &["ls", "--in", folder]).expect(0).stdout.lines().count();
    for folder in ["2026/march", "./2026/march/", "/2026/march", "2026//march", "2026/./march"] {
        assert_eq!(count(folder), 3, "{folder}");
    }
    let all = run(&shipment, &["ls"]).expect(0).stdout.lines().count();
    for top in [".", "/", ""] {
        assert_eq!(count(top), all, "{top:?}");
    }
    for (folder, status, told) in
        [("nope", 1, "no such folder"), ("2026/mar", 1, "no such folder"), ("../2026", 2, "\"..\"")]
    {
        let ls = run(&shipment, &["ls", "--in", folder]).expect(status);
        assert!(ls.stderr.contains(told) && ls.stdout.is_empty(), "{folder}: {}", ls.stderr);
    }
}

/// Review E7: sizes as people read them, and the totals.
#[test]
fn ls_shows_sizes_and_totals() {
    let shipment = dated();
    tree::write(&shipment.source.join("2026/large"), &[7; 1_500]);
    shipment.pack("none").expect(0);
    let listed = run(&shipment, &["ls", "-H", "--in", "2026"]).expect(0).stdout;
    assert!(listed.lines().any(|l| l.contains(" 1.5 kB ") && l.ends_with("/large")), "{listed}");
    assert!(listed.ends_with("In total 6 entries: 4 files, 1.53 kB\n"), "{listed}");
    let exact = run(&shipment, &["ls", "--in", "2026"]).expect(0).stdout;
    assert!(exact.contains(" 1500 ") && exact.lines().count() == 6, "{exact}");
}

/// Review R7: `?` stands for a letter, also one of several bytes.
#[test]
fn a_question_mark_leaves_out_a_letter_and_what_leaves_nothing_out_is_told() {
    let shipment = dated();
    let exclude = ["--exclude", "caf?.txt", "--exclude", "*.tmp", "--exclude", "./2025/"];
    let packed = shipment.run(shipment.pack_arguments("none", &exclude)).expect(0);
    let notes: Vec<_> = packed.stderr.lines().filter(|l| l.contains("--exclude")).collect();
    assert_eq!(notes, ["note: --exclude *.tmp leaves nothing out"]);
    let listed = run(&shipment, &["ls"]).expect(0).stdout;
    assert!(
        listed.contains("2026") && !listed.contains("caf") && !listed.contains("2025"),
        "{listed}"
    );
}

/// Review R7: the same patterns of a restore.
#[rstest]
#[case(&["--include", "caf?.txt"], |p: &[u8]| p.starts_with(b"caf"))]
#[case(&["--include", "./2026//march", "--exclude", "./2026/march/b"], |p: &[u8]| {
    p.starts_with(b"2026/march") && !p.ends_with(b"b")
})]
fn a_restore_tells_each_pattern_without_effect(
    #[case] options: &[&str],
    #[case] keep: fn(&[u8]) -> bool,
) {
    let shipment = dated();
    shipment.pack("none").expect(0);
    let to = shipment.new_destination();
    let idle = ["--include", "nope", "--exclude", "[xyz].tmp"];
    let restored =
        shipment.restore(&shipment.paths(), &to, &[options, &idle[..]].concat()).expect(0);
    let notes: Vec<_> = restored.stdout.lines().filter(|l| l.contains("matches nothing")).collect();
    assert_eq!(notes.len(), 2, "{}", restored.stdout);
    assert!(notes[0].contains("--include nope") && notes[1].contains("--exclude '[xyz].tmp'"));
    Snapshot::of(&shipment.source).kept(keep).assert_equal(&Snapshot::of(&to).kept(|_| true));
}

/// Packs with these options, and lists what was packed.
fn packed(shipment: &Shipment, options: &[&str], status: i32) -> (Run, Vec<String>) {
    let run = shipment.run(shipment.pack_arguments("none", options)).expect(status);
    (run, run_ls(shipment))
}

/// The paths of what was packed.
fn run_ls(shipment: &Shipment) -> Vec<String> {
    let listed = run(shipment, &["ls", "--json"]).expect(0);
    let entries = listed.events_of("entry");
    entries.iter().map(|entry| entry["path"].as_str().unwrap().into()).collect()
}

/// Issue 14, point 8: patterns in a file, as in a .gitignore.
#[test]
fn patterns_come_from_a_file() {
    let shipment = dated();
    let list = shipment.path().join("ignored");
    std::fs::write(&list, "# not these\n/2025/\n\ncaf?.txt\r\n*.tmp\n").unwrap();
    let list = list.to_str().unwrap();
    let (run, paths) = packed(&shipment, &["--exclude-from", list], 0);
    assert_eq!(paths, [".", "2026", "2026/april", "2026/march", "2026/march/a", "2026/march/b"]);
    assert!(run.stderr.contains("patterns of --exclude-from that leave nothing out: 1 of 3"));
    for (text, told) in [("a\n!b\n", "line 2: patterns that take back"), ("x\n../y", "line 2: ")] {
        std::fs::write(list, text).unwrap();
        let words = shipment.pack_arguments("none", &["--exclude-from", list]);
        let refused = shipment.run(words).expect(2);
        assert!(refused.stderr.contains(&format!("ignored: {told}")), "{}", refused.stderr);
    }
}

/// Issue 14, point 8: paths in a file; what is not there is told, and the rest is packed.
#[test]
fn paths_come_from_a_file() {
    let shipment = dated();
    let list = shipment.path().join("list");
    std::fs::write(&list, "2026/march/\n./2026/march/a\ncaf\u{e9}.txt\ngone\n../2025\n").unwrap();
    let list = list.to_str().unwrap();
    let (run, paths) = packed(&shipment, &["--files-from", list], 3);
    assert_eq!(paths, [".", "2026", "2026/march", "2026/march/a", "2026/march/b", "caf\u{e9}.txt"]);
    let told = ["gone: --files-from names it: it does not exist", "../2025: --files-from names it"];
    assert!(told.iter().all(|told| run.stderr.contains(told)), "{}", run.stderr);
    // A list from Windows is read as it is meant; of one that names nothing here nothing is packed.
    let shipment = dated();
    let list = shipment.path().join("list");
    std::fs::write(&list, "\u{feff}2026/march/a\r\n2025\r\n").unwrap();
    let (_, paths) = packed(&shipment, &["--files-from", list.to_str().unwrap()], 0);
    assert_eq!(paths, [".", "2025", "2025/x", "2026", "2026/march", "2026/march/a"]);
    let shipment = dated();
    let list = shipment.path().join("list");
    std::fs::write(&list, "/2026/march\ngone\n").unwrap();
    let refused =
        shipment.run(shipment.pack_arguments("none", &["--files-from", list.to_str().unwrap()]));
    let refused = refused.expect(2);
    assert!(refused.stderr.contains("nothing that --files-from names is in"), "{}", refused.stderr);
    // Standard input, with zero bytes; and a list of the other kind is not misread.
    let shipment = dated();
    let mut words = shipment.pack_arguments("none", &["--files-from", "-", "-0"]);
    let mut pack = crate::holdall(shipment.path());
    pack.args(&words).write_stdin(b"2025\x002026/april\x00".as_slice()).assert().code(0);
    let listed = run_ls(&shipment);
    assert_eq!(listed, [".", "2025", "2025/x", "2026", "2026/april"]);
    words.pop();
    let mut pack = crate::holdall(shipment.path());
    pack.args(&words).write_stdin(b"2025\x002026".as_slice());
    crate::assert_refused(&mut pack, 2, &["standard input: the list holds zero bytes", "add -0"]);
    let twice = shipment.pack_arguments("none", &["--files-from", "-", "--exclude-from", "-"]);
    assert!(shipment.run(twice).expect(2).stderr.contains("more than one option reads"));
}
