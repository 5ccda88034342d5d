//! `restore --include` and `--exclude`, and `ls --in`: what was asked for comes back, nothing else
//! does, and nothing else is read.

use super::rounds::Rounds;
use crate::common::counting::{Counting, read_of};
use crate::common::lab::Lab;
use crate::common::random::Random;
use crate::common::shipment::Shipment;
use crate::common::snapshot::{Paths, Snapshot};
use crate::common::{Run, program, tree};
use holdall::testing::commands::restore::{RestoreJob, restore_sets};
use holdall::testing::memory::Memory;
use holdall::testing::monitor::Recording;
use holdall::testing::patterns::Selection;
use holdall::testing::sets::open;
use rstest::rstest;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

fn begins(path: &[u8], beginning: &str) -> bool {
    path.starts_with(beginning.as_bytes())
}

/// A restore of this selection must be what is kept of the source.
#[track_caller]
fn must_be_kept(shipment: &Shipment, to: &Path, keep: impl Fn(&[u8]) -> bool) {
    let wanted = Snapshot::of(&shipment.source).kept(keep);
    assert!(!wanted.0.is_empty());
    wanted.assert_equal(&Snapshot::of(to).kept(|_| true));
    assert!(!to.join(".holdall").exists());
}

#[rstest]
#[case::a_folder(&["--include", "nested/many"], |p: &[u8]| begins(p, "nested/many"))]
#[case::hostile_names(&["--include", "names"], |p: &[u8]| begins(p, "names"))]
#[case::not_utf8(&["--include", "names/not UTF-8 ??"], |p: &[u8]| begins(p, "names/not UTF-8"))]
#[case::an_escape(&["--include", "names/\\*\\?\\[a\\]\\{b\\}"], |p: &[u8]| begins(p, "names/*?"))]
#[case::a_name(&["--include", "file"], |p: &[u8]| begins(p, "nested/") && p.ends_with(b"/file"))]
#[case::one_file(&["--include", "nested/order/x"], |p: &[u8]| p == b"nested/order/x")]
#[case::its_neighbours(&["--include", "nested/order/x[!/]*"], |p: &[u8]| {
    begins(p, "nested/order/x") && p != b"nested/order/x"
})]
#[case::empty_folders(&["--include", "empty folder/"], |p: &[u8]| begins(p, "empty folder"))]
#[case::several(&["--include", "sizes/*-1638?", "--include", "special"], |p: &[u8]| {
    begins(p, "sizes/") && p[..p.len() - 1].ends_with(b"-1638") || begins(p, "special")
})]
#[case::left_out_within(&["--include", "nested/**", "--exclude", "many", "--exclude", "/nested/0/1"], |p: &[u8]| {
    begins(p, "nested/") && !begins(p, "nested/many") && !begins(p, "nested/0/1")
})]
#[case::all_but(&["--exclude", "sparse", "--exclude", "[!.]*.d*"], |p: &[u8]| {
    let mut names = p.split(|byte| *byte == b'/');
    !begins(p, "sparse") && !names.any(|name| name == b"x.dir")
})]
#[case::sparse_files(&["--include", "sparse"], |p: &[u8]| begins(p, "sparse"))]
#[case::across_stripes(&["--include", "sizes/several stripes"], |p: &[u8]| p == b"sizes/several stripes")]
fn what_is_selected_comes_back_and_nothing_else(
    #[case] options: &[&str],
    #[case] keep: fn(&[u8]) -> bool,
) {
    let shipment = Shipment::new(&[1, 1, 1]);
    tree::rich(&shipment.source, "selected");
    shipment.pack("cases=1").expect(0);
    let to = shipment.new_destination();
    let run = shipment.restore(&shipment.paths(), &to, options).expect(0);
    let all = Snapshot::of(&shipment.source).0.len();
    let restored = run.event("restored");
    assert_eq!(restored["of_entries"], all, "{}", run.shown());
    assert!(restored["selection"].as_str().unwrap().starts_with(options[0]));
    assert_eq!(restored["entries"], Snapshot::of(&to).0.len(), "{}", run.shown());
    must_be_kept(&shipment, &to, keep);
    // A lost drive is rebuilt as far as is needed.
    let to = shipment.new_destination();
    let run = shipment.restore(&shipment.paths()[1..], &to, options);
    assert!([0, 3].contains(&run.status), "{}", run.shown());
    must_be_kept(&shipment, &to, keep);
}

#[test]
fn a_file_whose_first_name_is_left_out_is_restored_under_another() {
    let shipment = Shipment::new(&[1, 1]);
    let mut random = Random::new("links");
    let source = &shipment.source;
    for (name, len) in [("small", 700), ("large", 5 * tree::CHUNK + 3)] {
        tree::write(&source.join("a").join(name), &random.bytes(len));
        fs::create_dir_all(source.join("z/deep")).unwrap();
        for link in [format!("z/deep/{name} 1"), format!("z/{name} 2")] {
            fs::hard_link(source.join("a").join(name), source.join(link)).unwrap();
        }
    }
    std::os::unix::fs::symlink("nowhere", source.join("a/symlink")).unwrap();
    fs::hard_link(source.join("a/symlink"), source.join("z/symlink 2")).unwrap();
    shipment.pack("cases=1").expect(0);
    for options in [["--include", "z"], ["--exclude", "a"]] {
        let to = shipment.new_destination();
        shipment.restore(&shipment.paths(), &to, &options).expect(0);
        must_be_kept(&shipment, &to, |p| begins(p, "z"));
        for name in ["small", "large"] {
            let [one, two] = [format!("z/deep/{name} 1"), format!("z/{name} 2")]
                .map(|path| to.join(path).metadata().unwrap());
            assert_eq!((one.ino(), one.nlink()), (two.ino(), 2), "they are one file");
        }
    }
    // With its first name nothing is special.
    let to = shipment.new_destination();
    shipment.restore(&shipment.paths(), &to, &["--include", "small*"]).expect(0);
    assert_eq!(to.join("a/small").metadata().unwrap().nlink(), 3);
    // What waits for a drive is listed under the name that it will have.
    let to = shipment.new_destination();
    let run = shipment.restore(&shipment.paths()[..0], &to, &["--include", "z/large 2"]);
    assert_ne!(run.status, 0);
}

#[test]
fn nothing_is_begun_for_a_selection_of_nothing() {
    let shipment = Shipment::new(&[1]);
    tree::plain(&shipment.source, "nothing", 3);
    shipment.pack("none").expect(0);
    let to = shipment.new_destination();
    for options in [
        &["--include", "no such name"][..],
        &["--include", "large/noise/below"],
        &["--include", "large", "--exclude", "large"],
        &["--exclude", "*", "--exclude", "folder*"],
        &["--include", "a["],
        &["--exclude", "../a"],
    ] {
        let run = shipment.restore(&shipment.paths(), &to, options).expect(2);
        assert!(!to.exists(), "{}", run.shown());
        assert!(!run.event("error")["hint"].is_null());
    }
}

/// Says what the program refused, and what to type.
#[track_caller]
fn refused(run: Run, words: &[&str]) {
    let run = run.expect(1);
    for word in words {
        assert!(run.stderr.contains(word), "{word}: {}", run.shown());
    }
}

#[test]
fn a_restore_goes_on_with_the_same_selection_only() {
    let shipment = Shipment::new(&[1, 1, 1, 1]);
    tree::plain(&shipment.source, "goes on", 200);
    shipment.pack("cases=1").expect(0);
    let to = shipment.new_destination();
    let few = &shipment.paths()[..2];
    let selection = ["--include", "large/*", "--include", "folder 0?", "--exclude", "*7"];
    let run = shipment.restore(few, &to, &selection).expect(4);
    assert!(run.event("restored")["waiting"].as_u64().unwrap() > 0);
    let status = shipment.run(["status", "--json", "--to", to.to_str().unwrap()]).expect(4);
    let text = "--include 'folder 0?' --include 'large/*' --exclude '*7'";
    assert_eq!(status.event("restoring")["selection"], text);
    let before = Snapshot::of(&to);
    let paths = shipment.paths();
    let hint = [
        "holds an unfinished restore that was begun with",
        "to resume that one, run it with",
        text,
    ];
    refused(shipment.restore(&paths, &to, &[]), &hint);
    refused(shipment.restore(&paths, &to, &["--include", "large/*"]), &hint);
    before.assert_equal(&Snapshot::of(&to));
    // The same in another order.
    let same = ["--exclude", "*7", "--include", "folder 0?", "--include", "large/*"];
    shipment.restore(&paths, &to, &same).expect(0);
    let keep = |p: &[u8]| {
        let selected = begins(p, "large/") || begins(p, "folder 0");
        selected && !p.split(|byte| *byte == b'/').any(|name| name.ends_with(b"7"))
    };
    must_be_kept(&shipment, &to, keep);
    // And the other way round.
    let to = shipment.new_destination();
    shipment.restore(few, &to, &[]).expect(4);
    let hint = [
        "restore of everything",
        "without --include, --exclude, --no-special, --owner and --map-names",
    ];
    refused(shipment.restore(&paths, &to, &selection), &hint);
    shipment.restore(&paths, &to, &[]).expect(0);
}

#[test]
fn two_selections_make_the_whole() {
    let shipment = Shipment::new(&[1, 1]);
    tree::plain(&shipment.source, "two", 60);
    shipment.pack("cases=1").expect(0);
    let [one, two] = [["--include", "large"], ["--exclude", "large"]].map(|options| {
        let to = shipment.new_destination();
        shipment.restore(&shipment.paths(), &to, &options).expect(0);
        // It is complete: the same again finds it so, and of anything else what is not there is told.
        shipment.restore(&shipment.paths(), &to, &options).expect(0);
        let all = shipment.restore(&shipment.paths(), &to, &[]).expect(1).event("restored");
        assert_eq!((&all["in_place"], &all["complete"]), (&true.into(), &false.into()), "{all}");
        Snapshot::of(&to).files()
    });
    let all = Snapshot::of(&shipment.source).files();
    assert_eq!(one.intersection(&two).count(), 0);
    assert_eq!(one.union(&two).cloned().collect::<Paths>(), all);
}

#[test]
fn a_selective_restore_that_is_killed_goes_on() {
    let shipment = Shipment::new(&[1, 1, 1]);
    tree::plain(&shipment.source, "killed", 400);
    shipment.pack("cases=1").expect(0);
    let options = ["--include", "large", "--include", "folder*", "--exclude", "folder 05"];
    let keep = |p: &[u8]| begins(p, "large") || begins(p, "folder") && !begins(p, "folder 05");
    let began = Instant::now();
    shipment.restore(&shipment.paths(), &shipment.new_destination(), &options).expect(0);
    let whole = began.elapsed();
    let mut random = Random::new("killed");
    let to = shipment.new_destination();
    for _ in 0..6 {
        let mut command = program(&shipment.state());
        command.args(shipment.restore_arguments(&shipment.paths(), &to, &options));
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(
            whole.mul_f64(random.below(90) as f64 / 100.0).max(Duration::from_millis(1)),
        );
        child.kill().unwrap();
        if child.wait().unwrap().code().is_some() {
            fs::remove_dir_all(&to).unwrap();
        }
    }
    shipment.restore(&shipment.paths(), &to, &options).expect(0);
    must_be_kept(&shipment, &to, keep);
}

#[test]
fn a_drive_that_is_not_here_matters_only_if_what_is_selected_lies_on_it() {
    let shipment = Shipment::new(&[1, 1, 1]);
    let mut random = Random::new("matters");
    for number in 0..60 {
        tree::write(&shipment.source.join(format!("{number:02}")), &random.bytes(9000));
    }
    shipment.pack("none").expect(0);
    for name in ["07", "31", "55"] {
        let alone = shipment.paths().into_iter().map(|path| {
            let to = shipment.new_destination();
            let run = shipment.restore(&[path], &to, &["--include", &format!("/{name}")]);
            assert!([0, 4].contains(&run.status), "{}", run.shown());
            assert_eq!(run.status == 0, to.join(name).exists());
            run.status
        });
        assert!(alone.filter(|status| *status == 0).count() <= 1);
    }
    let to = shipment.new_destination();
    shipment.restore(&shipment.paths(), &to, &["--include", "0?"]).expect(0);
    must_be_kept(&shipment, &to, |p| begins(p, "0"));
}

/// The files that `ls` names on drives.
fn listed(shipment: &Shipment, paths: &[PathBuf], more: &[&str]) -> Vec<String> {
    let mut words = vec!["ls".into(), "--json".into(), "-i".into(), shipment.key.clone()];
    words.extend(more.iter().map(PathBuf::from));
    words.extend(paths.iter().cloned());
    let entries = shipment.run(words).expect(0).events_of("entry").into_iter();
    entries.map(|entry| entry["path"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn of_several_sets_those_are_needed_that_can_hold_it() {
    let Some(rounds) = Rounds::new("selection") else { return };
    rounds.pack_from(0);
    let shipment = &rounds.shipment;
    let restore = |round: usize, to: &Path, options: &[&str]| {
        shipment.restore(&rounds.paths(round), to, options)
    };
    // A file that runs over all of them.
    let to = shipment.new_destination();
    for (round, status) in [(1, 4), (2, 4), (0, 0)] {
        restore(round, &to, &["--include", "/large"]).expect(status);
    }
    must_be_kept(shipment, &to, |p| p == b"large");
    // One that lies in one set needs no other, and a name that may lie anywhere needs all.
    let files = listed(shipment, &rounds.paths(1), &[]);
    let inner: Vec<&String> = files.iter().filter(|path| path.starts_with("small/")).collect();
    if let [_, .., inner, _, _] = inner[..] {
        let to = shipment.new_destination();
        restore(1, &to, &["--include", inner]).expect(0);
        must_be_kept(shipment, &to, |p| p == inner.as_bytes());
    }
    let to = shipment.new_destination();
    for (round, status) in [(2, 4), (0, 4), (1, 0)] {
        restore(round, &to, &["--include", "00?"]).expect(status);
    }
    must_be_kept(shipment, &to, |p| begins(p, "small/") && p[p.len() - 3..].starts_with(b"00"));
    // A further name of a file of another set needs its first name.
    let link = "zz first in another set";
    let to = shipment.new_destination();
    let all: Vec<PathBuf> = (0..3).flat_map(|round| rounds.paths(round)).collect();
    let run = shipment.restore(&all, &to, &["--include", link]);
    let first = "small/03/010";
    let holds = |round: usize, name: &str| {
        listed(shipment, &rounds.paths(round), &[]).iter().any(|path| path == name)
    };
    if (0..3).any(|round| holds(round, link) && holds(round, first)) {
        run.expect(0);
    } else {
        let problems = run.expect(1).problems();
        assert!(problems.iter().any(|(path, why)| path == link && why.contains(first)));
    }
    let to = shipment.new_destination();
    shipment.restore(&all, &to, &["--include", link, "--include", first]).expect(0);
    must_be_kept(shipment, &to, |p| p == link.as_bytes() || p == first.as_bytes());
}

/// Folders and files about those that are asked for, in the order of bytes.
fn neighbours(source: &Path) {
    for folder in ["march", "march-old", "march.d", "march0", "marc", "april", "x/march"] {
        for number in 0..700 {
            tree::write(&source.join(format!("{folder}/{number:03}")), folder.as_bytes());
        }
    }
    for file in ["march!", "march.txt", "x/march.txt"] {
        tree::write(&source.join(file), b"file");
    }
}

#[test]
fn ls_lists_a_folder_as_it_lists_it_among_all() {
    let shipment = Shipment::new(&[1, 1]);
    neighbours(&shipment.source);
    shipment.pack("cases=1").expect(0);
    let all = listed(&shipment, &shipment.paths(), &[]);
    for folder in ["march", "march/", "march.d", "x", "x/march", "march.txt", "./."] {
        let name = folder.trim_end_matches('/');
        let within = |path: &&String| {
            path.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let wanted: Vec<&String> = all.iter().filter(within).collect();
        let found = listed(&shipment, &shipment.paths(), &["--in", folder]);
        if folder != "./." {
            assert_eq!(found.iter().collect::<Vec<_>>(), wanted, "{folder}");
        }
    }
}

/// Restores a selection from drives in memory, and counts what is read of them.
#[test]
fn one_file_is_read_from_a_few_blocks() {
    const BLOCK: u64 = 4096;
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("source");
    neighbours(&source);
    let mut random = Random::new("few blocks");
    for number in 0..40 {
        let path = source.join(format!("clips/{number:02}"));
        tree::write(&path, &random.bytes(20 * tree::CHUNK));
    }
    let mut lab = Lab::new(&[1, 1, 1, 1], 256 << 20, 7);
    lab.pack(&source, "cases=1,blocks=1%");
    let restore = |options: &[&str], number: usize| {
        let (drives, reads) = Counting::over(lab.drives_but(&[]));
        let told = Recording::default();
        let words: Vec<String> = options.iter().map(ToString::to_string).collect();
        let to = folder.path().join(format!("to {number}"));
        let job = RestoreJob {
            no_special: false,
            owners: None,
            map_names: false,
            expect: Vec::new(),
            identities: lab.identities(),
            to: to.clone(),
            give_up: false,
            salvage: false,
            memory: Memory::DEFAULT,
            stage: None,
            selection: Selection::new(&words, &[]).unwrap(),
        };
        let outcome = restore_sets(&open::find(&drives, &told), &job, &told).unwrap();
        assert!(outcome.restored.is_complete(), "{:?} {:?}", outcome.restored, told.problems());
        (reads, outcome.restored.files, to)
    };
    let (all, files, _) = restore(&[], 0);
    assert_eq!(files, 7 * 700 + 3 + 40);
    let (one, files, to) = restore(&["x/march/350"], 1);
    assert_eq!((files, fs::read(to.join("x/march/350")).unwrap()), (1, b"x/march".to_vec()));
    // Its chunk, of at most 16 KiB, which may begin within a block and end within another shard.
    let shards = read_of(&one, "/shards/");
    assert!(shards <= 6 * BLOCK, "{shards} of {}", read_of(&all, "/shards/"));
    // One record file, and the heads of some.
    let records = read_of(&one, "/records/");
    assert!(records * 8 < read_of(&all, "/records/"), "{records}");
    // Of the catalog the index and the frames about it, in each of three walks.
    let catalog = read_of(&one, "/catalog/");
    assert!(catalog < read_of(&all, "/catalog/"), "{catalog}");
    // A clip is 20 chunks of noise, each in at most 6 blocks.
    let (clips, files, _) = restore(&["clips/03", "clips/37"], 2);
    assert_eq!(files, 2);
    let shards = read_of(&clips, "/shards/");
    assert!(shards >= 2 * 20 * tree::CHUNK as u64 && shards <= 2 * 20 * 6 * BLOCK, "{shards}");
    // Files that lie apart: what lies between is not read.
    let (apart, files, _) = restore(&["march/00?", "marc/69?", "clips/20"], 3);
    assert_eq!(files, 21);
    let shards = read_of(&apart, "/shards/");
    assert!(shards <= (20 + 8) * 6 * BLOCK, "{shards}");
}

/// Run after run with one drive, what is in place stays known, also where a file is restored under a
/// further name of its own.
#[test]
fn what_is_in_place_is_never_told_as_missing_where_a_further_name_is_selected() {
    let shipment = Shipment::new(&[1, 1, 1]);
    let mut random = Random::new("further names");
    let (file, link) = (shipment.source.join("A/f1"), shipment.source.join("C/a-link"));
    tree::write(&file, &random.bytes(100_000));
    for number in 1..=8 {
        tree::write(&shipment.source.join(format!("C/f{number}")), &random.bytes(20_000));
    }
    fs::hard_link(file, link).unwrap();
    shipment.pack("none").expect(0);
    let (paths, list) = (shipment.paths(), shipment.path().join("missing"));
    let again = ["--include", "C", "--give-up", "--salvage", "--missing", list.to_str().unwrap()];
    for (first, second) in [(0, 1), (1, 2), (2, 0), (1, 0), (2, 1), (0, 2)] {
        let to = shipment.new_destination();
        shipment.restore(&paths[first..=first], &to, &["--include", "C"]).expect(4);
        let names = (1..=8).map(|number| format!("C/f{number}"));
        let there: Vec<String> = names.filter(|name| to.join(name).exists()).collect();
        assert!(!there.is_empty(), "drive {first} holds some files whole");
        let run = shipment.restore(&paths[second..=second], &to, &again).expect(1);
        let missing = fs::read_to_string(&list).unwrap();
        for name in there {
            assert!(!missing.lines().any(|line| line == name), "{name}: {}", run.shown());
            assert!(!to.join(format!("{name}.incomplete")).exists(), "{name}: {}", run.shown());
        }
    }
}
