//! What is told of files that several sets hold: one set never comes, or has lost a part.

use super::rounds::Rounds;
use crate::common::{Run, tree};
use std::fs;
use std::os::unix::ffi::OsStrExt;
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
            (!there).then(|| holdall::format::list::shown_path(below.as_os_str().as_bytes()))
        })
        .collect();
    absent.sort();
    absent
}

/// Newcomer A5, Faults F1: what there is of a file that runs on into a set that never comes is kept, and
/// the file is named as lost.
#[test]
fn a_set_that_never_comes_costs_what_it_holds_and_no_more() {
    let Some(rounds) = Rounds::new("never comes") else { return };
    rounds.pack_from(0);
    let (all, to) =
        ([rounds.paths(0), rounds.paths(2)].concat(), rounds.shipment.new_destination());
    let (run, listed) = restore(&rounds, &all, &to, &[]);
    let restored = run.expect(4).event("restored");
    assert!(listed.contains(&"large".to_owned()), "{listed:?}");
    assert_eq!(restored["awaited_sets"], serde_json::json!(["2"]));
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

/// Faults F1a, F7, F8a-c, Scale 5: with all sets here, a lost part costs that part; nothing else is
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
