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
