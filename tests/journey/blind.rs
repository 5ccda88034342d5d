//! Drives with damaged records or lists, one port: the next step leads to the end, and says where a
//! drive is of use only beside another.

use crate::common::shipment::Shipment;
use crate::common::snapshot::Snapshot;
use crate::common::tree;
use rstest::rstest;
use std::fs;
use std::path::{Path, PathBuf};

fn spoil(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(path, bytes).unwrap();
}

/// Review scale 3: alone such a drive brings nothing, and was named for ever.
#[rstest]
#[case::records("cases=1", 2, "records/", &[1, 2, 3])]
#[case::records_first("cases=1", 2, "records/", &[2])]
#[case::records_without_parity("none", 2, "records/", &[1, 2, 3])]
#[case::catalog("none", 3, "catalog/", &[3, 1, 2])]
#[case::catalog_last("none", 3, "catalog/", &[1, 2, 3])]
fn a_drive_that_sees_nothing_is_named_with_one_that_does(
    #[case] survive: &str,
    #[case] slot: usize,
    #[case] metadata_files: &str,
    #[case] order: &[usize],
) {
    let shipment = Shipment::new(&[1, 1, 1]);
    tree::plain(&shipment.source, "blind", 60);
    shipment.pack(survive).expect(0);
    let spoiled = shipment.files(slot - 1, metadata_files);
    let second = shipment.files(slot - 1, &format!("copy/{metadata_files}"));
    spoiled.iter().chain(&second).for_each(|path| spoil(path));
    let to = shipment.new_destination();
    let stage = shipment.path().join("stage");
    let mut more: Vec<&str> = Vec::new();
    let paths = |slots: &[usize]| -> Vec<PathBuf> {
        slots.iter().map(|slot| shipment.paths()[slot - 1].clone()).collect()
    };
    let mut run = None;
    for slot in order {
        run = Some(shipment.restore(&paths(&[*slot]), &to, &more));
    }
    let mut run = run.unwrap();
    let (mut were, mut attached) = (Vec::new(), vec![*order.last().unwrap()]);
    while let Some(next) = run.event("restored")["next"].get(0) {
        assert!(were.len() < 12, "it goes on for ever: {were:?} {}", run.shown());
        let slots = next["slots"].as_array().unwrap().iter().map(|s| s.as_u64().unwrap() as usize);
        let slots: Vec<usize> = slots.take(next["count"].as_u64().unwrap() as usize).collect();
        let mut text = vec!["status".into(), "--to".into(), to.clone()];
        text.extend(paths(&attached));
        let text = shipment.run(text).stdout;
        let is_blind = text.contains("one that is needed has damaged records or lists");
        if next["one_by_one"] == true {
            attached = slots[..1].to_vec();
        } else if slots.contains(&slot) {
            assert!(is_blind, "{text}");
            attached.extend(slots);
            attached.sort_unstable();
            attached.dedup();
        } else {
            // One after the other, with what is kept.
            more = vec!["--stage", stage.to_str().unwrap()];
            attached = slots[..1].to_vec();
        }
        were.push(attached.clone());
        run = shipment.restore(&paths(&attached), &to, &more);
    }
    assert_eq!(run.event("restored")["complete"], true, "{were:?} {}", run.shown());
    Snapshot::of(&shipment.source).assert_equal(&Snapshot::of(&to));
}
