//! What drives were found not to have is remembered when they are gone: what no drive has is lost and
//! waits for none, and the next step names a drive that helps.

use crate::common::shipment::Shipment;
use crate::common::snapshot::Snapshot;
use crate::common::{Run, tree};
use rstest::rstest;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

fn packed(cases: &[usize], survive: &str) -> Shipment {
    let shipment = Shipment::new(cases);
    tree::plain(&shipment.source, "bad blocks", 60);
    shipment.pack(survive).expect(0);
    shipment
}

/// Slot (from 1) and path of each shard, by stripe.
fn stripes(shipment: &Shipment) -> Vec<BTreeMap<usize, PathBuf>> {
    let mut stripes: BTreeMap<String, BTreeMap<usize, PathBuf>> = BTreeMap::new();
    for drive in 0..shipment.drives.len() {
        for path in shipment.files(drive, "shards/") {
            let name = path.file_name().unwrap().to_str().unwrap();
            let stripe = name.rsplit_once('-').unwrap().0.to_owned();
            stripes.entry(stripe).or_default().insert(drive + 1, path);
        }
    }
    stripes.into_values().collect()
}

/// Damages the first block of a shard.
fn spoil(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    bytes[100] ^= 1;
    fs::write(path, bytes).unwrap();
}

/// Follows the next step, with one port if it says so or shards are kept, until there is none; what was
/// attached, run by run.
fn follow(
    shipment: &Shipment,
    to: &Path,
    first: &[usize],
    more: &[&str],
) -> (Run, Vec<Vec<usize>>) {
    let mut were: Vec<Vec<usize>> = Vec::new();
    let mut last = None;
    for slot in first {
        were.push(vec![*slot]);
        last = Some(shipment.restore(&shipment.paths()[slot - 1..*slot], to, more));
    }
    let mut run = last.unwrap();
    while let Some(next) = run.event("restored")["next"].get(0) {
        assert!(were.len() < 16, "it goes on for ever: {were:?} {}", run.shown());
        let slots = next["slots"].as_array().unwrap().iter().map(|s| s.as_u64().unwrap() as usize);
        let one = more.contains(&"--stage") || next["one_by_one"] == true;
        let mut attach = if one { Vec::new() } else { were.last().unwrap().clone() };
        attach.extend(slots.take(if one { 1 } else { next["count"].as_u64().unwrap() as usize }));
        let paths: Vec<PathBuf> =
            attach.iter().map(|slot| shipment.paths()[slot - 1].clone()).collect();
        were.push(attach);
        run = shipment.restore(&paths, to, more);
    }
    (run, were)
}

/// Review scale 3, F7: a bad block on each of two drives without parity.
#[test]
fn what_two_drives_do_not_have_waits_for_neither() {
    let shipment = packed(&[1, 1], "none");
    let to = shipment.new_destination();
    let stripe = stripes(&shipment).remove(0);
    stripe.values().for_each(|path| spoil(path));
    let (run, were) = follow(&shipment, &to, &[1], &[]);
    assert_eq!(were, [[1], [2]], "each once: {}", run.shown());
    let event = run.expect(1).event("restored");
    let lost = event["lost"].as_u64().unwrap();
    assert!(lost >= 2 && event["waiting"] == 0, "{event}");
    let status = ["status", "--json", "--to", to.to_str().unwrap()].map(ToOwned::to_owned);
    let set = shipment.run(status).expect(1).event("restoring");
    assert_eq!((&set["waiting"], set["needed"].as_array().unwrap().len()), (&0.into(), 0));
    // What was mended meanwhile is not lost.
    stripe.values().for_each(|path| spoil(path));
    shipment.restore(&shipment.paths()[..1], &to, &[]);
    shipment.restore(&shipment.paths()[1..], &to, &[]).expect(0);
    Snapshot::of(&shipment.source).assert_equal(&Snapshot::of(&to));
}

/// Review scale 3, F7: the same block of two drives, with parity for one, one drive after the
/// other.
#[rstest]
#[case::kept(true)]
#[case::not_kept(false)]
fn what_is_beyond_the_parity_is_lost_once_all_were_here(#[case] kept: bool) {
    let shipment = packed(&[1, 1, 1], "cases=1");
    let (to, stage) = (shipment.new_destination(), shipment.path().join("stage"));
    for slot in [1, 2] {
        stripes(&shipment).iter().for_each(|stripe| spoil(&stripe[&slot]));
    }
    let more = ["--stage", stage.to_str().unwrap()];
    let more = if kept { &more[..] } else { &[] };
    let (run, were) = follow(&shipment, &to, &[1, 2, 3], more);
    let one_by_one = [vec![1], vec![2], vec![3]];
    let together = !kept && were.len() == 4 && were[3].len() == 3;
    assert!(
        were.starts_with(&one_by_one) && (were.len() == 3 || together),
        "{were:?} {}",
        run.shown()
    );
    let event = run.expect(1).event("restored");
    assert!(event["lost"].as_u64().unwrap() > 0 && event["waiting"] == 0, "{event}");
}

/// Review scale 3: within the rule, with one port, the sound drive is named that helps.
#[test]
fn the_step_names_a_drive_that_helps() {
    let shipment = packed(&[2, 2, 2], "cases=1");
    let (to, stage) = (shipment.new_destination(), shipment.path().join("stage"));
    let all = stripes(&shipment);
    for stripe in &all {
        [3, 5].iter().for_each(|slot| fs::remove_file(&stripe[slot]).unwrap());
    }
    let (run, were) =
        follow(&shipment, &to, &[5, 4, 1, 2, 3], &["--stage", stage.to_str().unwrap()]);
    assert_eq!(were.concat(), [5, 4, 1, 2, 3, 6], "{}", run.shown());
    assert_eq!(run.expect(3).event("restored")["complete"], true);
    Snapshot::of(&shipment.source).assert_equal(&Snapshot::of(&to));
}
