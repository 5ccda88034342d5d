//! What is laid beside a set that says that it is the last of its shipment: restore, ls and verify leave it
//! aside, tell it once, and give what they give without it.

use super::authentic::{packed, restore, text_of};
use super::repair::{Bench, root};
use crate::common::images::{Image, Packed, image_of};
use crate::common::tree;
use holdall::testing::commands::decode::decode_sets;
use holdall::testing::commands::ls::ls_sets;
use holdall::testing::drives::Drive;
use holdall::testing::format::list::Entry;
use holdall::testing::memory::Memory;
use holdall::testing::monitor::{Problem, Recording};
use holdall::testing::opening::unlock::expect;
use holdall::testing::sets::open::find;
use holdall::testing::verification::{SetOutcome, verify_sets};
use rstest::rstest;
use std::sync::Arc;

/// The drives of a set of the same shipment that somebody else packed to the same recipient.
fn foreign_set(
    packed: &Packed,
    drives: usize,
    number: u32,
    before: Option<[u8; 32]>,
) -> Vec<Image> {
    let folder = tempfile::tempdir().unwrap();
    tree::write(&folder.path().join("zz-evil.sh"), b"evil");
    tree::write(&folder.path().join("noise"), b"other");
    let mut lab = packed.lab.beside(&vec![1; drives], number);
    lab.before = before;
    lab.pack(folder.path(), "none");
    lab.drives.iter().map(image_of).collect()
}

/// A label of set 2 on the first drive.
fn add_label(packed: &Packed, images: &mut [Image]) {
    let folder = packed.set_folder();
    let label = images[0][&format!("{folder}/label.json")].clone();
    let mut label: serde_json::Value = serde_json::from_slice(&label).unwrap();
    label["set"] = 2.into();
    let folder = folder.replace("-001", "-002");
    images[0].insert(format!("{folder}/label.json"), serde_json::to_vec(&label).unwrap());
}

fn verify(packed: &Packed, drives: &[Arc<dyn Drive>], with_key: bool, roots: &[[u8; 32]]) -> i32 {
    let monitor = Recording::default();
    let mut found = find(drives, &monitor);
    let sets = if with_key {
        let (identities, memory) = (packed.lab.identities(), Memory::default());
        decode_sets(found, &identities, roots, memory, &monitor).unwrap()
    } else {
        expect(&mut found, roots, &monitor).unwrap();
        verify_sets(&found, &monitor)
    };
    if sets.iter().any(SetOutcome::has_lost) {
        1
    } else {
        3 * i32::from(!monitor.problems().is_empty())
    }
}

fn told(problems: &[Problem]) -> Vec<&str> {
    let of_set =
        problems.iter().filter(|p| p.subject.ends_with("-002") || p.subject.ends_with("-003"));
    of_set.map(|p| &p.detail[..]).collect()
}

/// Security: one label of a set 2 that never was takes nothing from who has root or key.
#[rstest]
fn a_label_alone_takes_nothing(#[values(false, true)] has_root: bool) {
    let packed = packed("label alone");
    let mut images = packed.images.clone();
    add_label(&packed, &mut images);
    let drives = Bench::new(&images).shared();
    let roots: Vec<_> = has_root.then(|| root(&packed)).into_iter().collect();
    let restored = restore(&packed, &drives, &roots);
    restored.must_be_complete(&packed, "a label");
    assert_eq!(told(&restored.problems).len(), 1, "{:#?}", restored.problems);
    for with_key in [false, true] {
        assert_eq!(verify(&packed, &drives, with_key, &roots), 3, "with a key: {with_key}");
    }
    // Of what has another root nothing is opened.
    assert!(restore(&packed, &drives, &[[7; 32]]).result.is_err());
}

/// Security: a whole set, closed or not, above one that says that it is the last is foreign, whatever it
/// names as the set before.
#[rstest]
fn a_set_above_the_last_is_foreign(
    #[values(2, 3)] number: u32,
    #[values("none", "ours", "another")] before: &str,
) {
    let packed = packed("above the last");
    let before = match before {
        "none" => None,
        "ours" => Some(root(&packed)),
        _ => Some([9; 32]),
    };
    let foreign = foreign_set(&packed, 1, number, before).remove(0);
    let mut images = packed.images.clone();
    images[0].extend(foreign);
    let drives = Bench::new(&images).shared();
    let restored = restore(&packed, &drives, &[]);
    restored.must_be_complete(&packed, "set 2");
    let [detail] = told(&restored.problems)[..] else { panic!("{:#?}", restored.problems) };
    assert!(detail.contains("(on drive 0) is foreign"), "{detail}");
    let mut paths = Vec::new();
    let identities = packed.lab.identities();
    let found = find(&drives, &Recording::default());
    let mut each = |entry: &Entry, _| paths.push(entry.path.clone());
    ls_sets(found, &identities, None, &Recording::default(), &mut each).unwrap();
    assert!(!paths.contains(&b"zz-evil.sh".to_vec()) && paths.contains(&b"noise".to_vec()));
    for with_key in [false, true] {
        assert_eq!(verify(&packed, &drives, with_key, &[]), 3, "with a key: {with_key}");
    }
}

/// A set 1 that somebody laid beside set 2, and that says that it is the last, does not put that aside: it
/// follows another, and lies on as many drives.
#[test]
fn a_forged_last_set_takes_nothing() {
    let packed = packed("forged last");
    let second = foreign_set(&packed, 2, 2, Some([9; 32]));
    assert!(text_of(&packed, &packed.images[0]).last);
    let images = [vec![packed.images[0].clone()], second].concat();
    let restored = restore(&packed, &Bench::new(&images).shared(), &[]);
    assert!(restored.tree.as_ref().unwrap().files().contains(&b"zz-evil.sh"[..]));
    let [detail] = told(&restored.problems)[..] else { panic!("{:#?}", restored.problems) };
    assert!(detail.contains("follows another"), "{detail}");
}
