//! What is told of files that several sets hold: one set never comes, or has lost a part.

use super::rounds::Rounds;
use crate::common::mounted::Memory;
use crate::common::random::Random;
use crate::common::shipment::Shipment;
use crate::common::snapshot::Snapshot;
use crate::common::{Run, tree};
use rstest::rstest;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Restores with these options; the lines of `--missing`.
fn restore(rounds: &Rounds, paths: &[PathBuf], to: &Path, more: &[&str]) -> (Run, Vec<String>) {
    let list = rounds.shipment.path().join("missing");
    let with = [more, &["--missing", list.to_str().unwrap()]].concat();
    let run = rounds.shipment.restore(paths, to, &with);
    let mut lines: Vec<String> =
        fs::read_to_string(list).unwrap().lines().map(ToOwned::to_owned).collect();
    lines.sort();
    (run, lines)
}

/// What the source has and the restored tree has not, folders left out.
fn absent(rounds: &Rounds, to: &Path) -> Vec<String> {
    let mut absent: Vec<String> = tree::walk(&rounds.shipment.source)
        .into_iter()
        .filter(|path| path.is_symlink() || !path.is_dir())
        .filter_map(|path| {
            let below = path.strip_prefix(&rounds.shipment.source).unwrap();
            let there = to.join(below).symlink_metadata().is_ok();
            (!there)
                .then(|| holdall::testing::format::list::shown_path(below.as_os_str().as_bytes()))
        })
        .collect();
    absent.sort();
    absent
}

/// Review A5, F1: what there is of a file that runs on into a set that never comes is kept, and the
/// file is named as lost.
#[test]
fn a_set_that_never_comes_costs_what_it_holds_and_no_more() {
    let Some(rounds) = Rounds::new("never comes") else { return };
    rounds.pack_from(0);
    let (all, to) =
        ([rounds.paths(0), rounds.paths(2)].concat(), rounds.shipment.new_destination());
    let (run, listed) = restore(&rounds, &all, &to, &[]);
    let restored = run.expect(4).event("restored");
    assert!(listed.contains(&"large".to_owned()), "{listed:?}");
    assert_eq!(restored["awaited_sets"], serde_json::json!([2]));
    assert_eq!((&restored["list_complete"], &restored["lost"]), (&false.into(), &0.into()));
    // The second run knows what the first one did.
    let (run, listed) = restore(&rounds, &all, &to, &["--give-up", "--salvage"]);
    let restored = run.expect(1).event("restored");
    assert!(listed.contains(&"large".to_owned()), "{listed:?}");
    assert_eq!(restored["lost"], listed.len());
    assert!(listed.iter().all(|line| absent(&rounds, &to).contains(line)), "{listed:?}");
    let (salvaged, whole) = (to.join("large.incomplete"), rounds.shipment.source.join("large"));
    let (salvaged, whole) = (fs::read(salvaged).unwrap(), fs::read(whole).unwrap());
    assert_eq!(salvaged.len(), whole.len());
    let differ = salvaged.chunks(4096).zip(whole.chunks(4096)).filter(|(a, b)| a != b).count();
    let zero = salvaged.chunks(4096).filter(|chunk| chunk.iter().all(|b| *b == 0)).count();
    assert!(differ > 0 && differ == zero, "{differ} differ, {zero} are holes");
    assert!(zero < whole.len() / 4096 / 2 + whole.len() / 4096 / 4, "{zero}");
}

fn problem(run: &Run, subject: &str) -> Option<String> {
    let of = run.events_of("problem").into_iter().find(|p| p["subject"] == subject)?;
    Some(of["detail"].as_str().unwrap().to_owned())
}

/// Review F1, F7, F8, scale 5: with all sets here, a lost part costs that part; nothing else is
/// told; no set waits, and the damage is named.
#[test]
fn a_part_that_is_lost_takes_nothing_from_the_other_sets() {
    let Some(rounds) = Rounds::new("part lost") else { return };
    rounds.pack_from(0);
    let all: Vec<PathBuf> = (0..3).flat_map(|round| rounds.paths(round)).collect();
    // Two of four drives of the first round lose a shard of the same stripe, of the large file.
    let mut hurt = 0;
    for drive in &rounds.paths(0)[..2] {
        let of = |path: &PathBuf| path.is_file() && path.to_str().unwrap().contains("/shards/");
        let shards: Vec<PathBuf> = tree::walk(drive).into_iter().filter(of).collect();
        let stripe = |path: &PathBuf| {
            let name = path.file_name().unwrap().to_str().unwrap();
            name.rsplit_once('-').unwrap().0.to_owned()
        };
        let mut names: Vec<String> = shards.iter().map(stripe).collect();
        names.sort();
        let wanted = names[1].clone();
        for shard in shards.iter().filter(|path| stripe(path) == wanted) {
            let mut bytes = fs::read(shard).unwrap();
            bytes.iter_mut().for_each(|byte| *byte ^= 0x55);
            fs::write(shard, bytes).unwrap();
            hurt += 1;
        }
    }
    assert_eq!(hurt, 2);
    let to = rounds.shipment.new_destination();
    let (run, listed) = restore(&rounds, &all, &to, &["--salvage"]);
    let run = run.expect(1);
    let restored = run.event("restored");
    assert_eq!(listed, absent(&rounds, &to));
    assert_eq!((&restored["lost"], &restored["waiting"]), (&listed.len().into(), &0.into()));
    assert_eq!(restored["awaited_sets"], serde_json::json!([]), "no drive would help");
    let drive = rounds.paths(0)[0].display().to_string();
    let named = problem(&run, &drive).unwrap_or_else(|| panic!("{}", run.shown()));
    assert!(named.contains("shard ") && named.contains(": blocks 0, 1"), "{named}");
    // The same again says the same; then it is given up, and done.
    let (run, again) = restore(&rounds, &all, &to, &[]);
    run.expect(1);
    assert_eq!(again, listed);
    let (run, again) = restore(&rounds, &all, &to, &["--give-up"]);
    run.expect(1);
    assert_eq!(again, listed);
    assert!(!to.join(".holdall").exists());
}

/// A file that the destination refuses where its last part comes waits for no set, is told once, and can be
/// had once the destination takes it.
#[test]
fn a_file_of_several_sets_that_is_refused_is_tried_again() {
    let Some(rounds) = Rounds::new("refused parts") else { return };
    rounds.pack_from(0);
    let (to, all) = (rounds.shipment.new_destination(), rounds.shipment.paths());
    let (first, rest) = (rounds.paths(0), [rounds.paths(1), rounds.paths(2)].concat());
    rounds.shipment.restore(&first, &to, &[]).expect(4);
    // Something that is not the restore's lies where the file is to be.
    fs::create_dir(to.join("large")).unwrap();
    for paths in [&rest, &rest, &first, &all] {
        let (run, listed) = restore(&rounds, paths, &to, &[]);
        let restored = run.expect(1).event("restored");
        assert_eq!(listed, ["large"]);
        let counts = ["refused", "waiting", "lost"].map(|name| restored[name].as_u64());
        assert_eq!(counts, [Some(1), Some(0), Some(0)], "{restored}");
    }
    fs::remove_dir(to.join("large")).unwrap();
    rounds.shipment.restore(&all, &to, &[]).expect(0);
    Snapshot::of(&rounds.shipment.source).assert_equal(&Snapshot::of(&to));
}

/// Writes a file that has data in these pieces and holes everywhere else.
fn write_pieces(path: &Path, size: u64, offsets: impl Iterator<Item = u64>) {
    let (mut random, file) = (Random::new(path.to_str().unwrap()), fs::File::create(path).unwrap());
    offsets.for_each(|at| file.write_all_at(&random.bytes(tree::CHUNK), at).unwrap());
    file.set_len(size).unwrap();
}

/// A set ends right before a hole: in the middle of a file, hashed or too long for that, or before
/// a file's first bytes. Whichever set comes first, the file is completed.
#[rstest]
fn a_hole_between_two_sets_belongs_to_one(
    #[values("short holes", "long holes", "first")] holes: &str,
    #[values([0, 1], [1, 0])] order: [usize; 2],
) {
    let shipment = Shipment::new(&[2]);
    let mount = |(_, point): &(_, PathBuf)| Memory::new(point, 16);
    let Some(_drives) = shipment.drives.iter().map(mount).collect::<Option<Vec<_>>>() else {
        return;
    };
    let piece = tree::CHUNK as u64;
    let pieces = (15 << 20) / piece;
    if holes == "first" {
        (0..pieces).for_each(|number| {
            let path = shipment.source.join(format!("image {number:05}"));
            write_pieces(&path, 2 * piece, std::iter::once(piece));
        });
    } else {
        let long = if holes == "long holes" { 40 << 30 } else { 0 };
        let offset = |n: u64| n * 2 * piece + if n > pieces / 2 { long } else { 0 };
        write_pieces(&shipment.source.join("image"), offset(pieces), (0..pieces).map(offset));
    }
    let drives: Vec<String> =
        shipment.drives.iter().map(|(case, path)| format!("{case}={}", path.display())).collect();
    let source = shipment.source.to_str().unwrap();
    let first = ["pack", source, "--json", "--yes", "-r", &shipment.recipient, "--survive", "none"];
    let rest = ["--geometry", tree::GEOMETRY, "--drive", &drives[0]];
    shipment.run(first.iter().chain(&rest)).expect(4);
    shipment.run(["resume", "--json", "--drive", &drives[1]]).expect(0);
    let to = shipment.new_destination();
    for (drive, status) in order.into_iter().zip([4, 0]) {
        shipment.restore(&[shipment.drives[drive].1.clone()], &to, &[]).expect(status);
    }
    for path in tree::walk(&shipment.source).iter().filter(|path| path.is_file()) {
        let restored = to.join(path.strip_prefix(&shipment.source).unwrap());
        same_data(path, &restored);
    }
    assert!(!to.join(".holdall").exists());
}

/// Compares two sparse files without reading their holes.
fn same_data(one: &Path, other: &Path) {
    let (one, other) = (fs::File::open(one).unwrap(), fs::File::open(other).unwrap());
    assert_eq!(one.metadata().unwrap().len(), other.metadata().unwrap().len());
    let mut at = 0;
    while let Ok(data) = rustix::fs::seek(&one, rustix::fs::SeekFrom::Data(at)) {
        let end = rustix::fs::seek(&one, rustix::fs::SeekFrom::Hole(data)).unwrap();
        let read = |file: &fs::File| {
            let mut bytes = vec![0; (end - data) as usize];
            file.read_exact_at(&mut bytes, data).map(|()| bytes).unwrap()
        };
        assert!(read(&one) == read(&other), "at {data}");
        at = end;
    }
    let allocated =
        |file: &fs::File| std::os::unix::fs::MetadataExt::blocks(&file.metadata().unwrap());
    assert!(allocated(&other) <= allocated(&one) + 64, "the holes are filled");
}

/// Security S3 d: a set.txt that says another thing on all drives of its set is noticed where the set that
/// was packed after it is here too; the root of the last set alone vouches for all of them.
#[test]
fn a_set_is_held_against_what_the_next_one_says_of_it() {
    let Some(rounds) = Rounds::new("chain") else { return };
    rounds.pack_from(0);
    let all = [rounds.paths(0), rounds.paths(1), rounds.paths(2)].concat();
    let root = |path: &Path| blake3::hash(&fs::read(set_text(path)).unwrap()).to_hex().to_string();
    let last = root(&rounds.paths(2)[0]);
    let restore = |root: &str| {
        let to = rounds.shipment.new_destination();
        rounds.shipment.restore(&all, &to, &["--expect", root])
    };
    let restored = restore(&last).expect(0).event("restored");
    assert_eq!(restored["roots"].as_array().unwrap().len(), 3);
    for path in rounds.paths(0) {
        let text = set_text(&path);
        let changed = fs::read_to_string(&text).unwrap().replace("closed 2", "closed 3");
        for name in [text.clone(), text.parent().unwrap().join("copy/set.txt")] {
            fs::write(name, &changed).unwrap();
        }
    }
    let verified = rounds.shipment.verify(&all);
    let told =
        |run: &Run, words: &str| run.problems().iter().any(|(_, detail)| detail.contains(words));
    assert!(told(&verified, "set 2 was packed after a set of root"), "{}", verified.shown());
    let to = rounds.shipment.new_destination();
    let restored = rounds.shipment.restore(&all, &to, &[]).expect(3);
    assert!(told(&restored, "is not authentic"), "{}", restored.shown());
    assert!(told(&restored, "set 2 was packed after a set of root"), "{}", restored.shown());
    assert_eq!(absent(&rounds, &to), Vec::<String>::new());
    // What has no root that is expected is left out, and awaited.
    let restored = restore(&last).expect(4);
    assert!(told(&restored, "no set.txt on the drives here has a root that is expected"));
    assert_eq!(restored.event("restored")["awaited_sets"], serde_json::json!([1]));
}

/// The set.txt on a drive.
fn set_text(drive: &Path) -> PathBuf {
    let mut folders = fs::read_dir(drive.join("holdall")).unwrap().map(|f| f.unwrap().path());
    folders.find(|path| path.join("set.txt").is_file()).unwrap().join("set.txt")
}

/// Security S8, no attack: every label of a set is gone, and a file runs on into and out of it. All is
/// restored, all is decoded (format.md 4).
#[test]
fn a_set_without_any_label_gives_all_that_it_holds() {
    let Some(rounds) = Rounds::new("no labels") else { return };
    rounds.pack_from(0);
    let all: Vec<PathBuf> = (0..3).flat_map(|round| rounds.paths(round)).collect();
    for round in 0..3 {
        let folders = rounds.paths(round).into_iter().map(|drive| set_text(&drive));
        let labels = folders.flat_map(|text| {
            let folder = text.parent().unwrap().to_owned();
            [folder.join("label.json"), folder.join("copy/label.json")]
        });
        let labels: Vec<_> = labels.map(|path| (fs::read(&path).unwrap(), path)).collect();
        labels.iter().for_each(|(_, path)| fs::remove_file(path).unwrap());
        let to = rounds.shipment.new_destination();
        let run = rounds.shipment.restore(&all, &to, &[]).expect(3);
        assert_eq!(run.event("restored")["complete"], true, "{}", run.shown());
        Snapshot::of(&rounds.shipment.source).assert_equal(&Snapshot::of(&to));
        fs::remove_dir_all(to).unwrap();
        let key = rounds.shipment.key.to_str().unwrap();
        let paths = all.iter().map(|path| path.to_str().unwrap());
        let words = ["verify", "--json", "-i", key].into_iter().chain(paths);
        let run = rounds.shipment.run(words).expect(3);
        assert_eq!(run.events_of("decoded").len(), 3, "{}", run.shown());
        labels.iter().for_each(|(bytes, path)| fs::write(path, bytes).unwrap());
    }
}
