//! Notes that drives were checked: `verify --log`, and what else touches them.

use crate::common::tree;
use crate::{assert_refused, holdall, small};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

fn notes(folder: &Path) -> Vec<(PathBuf, Value)> {
    let mut found = tree::walk(folder);
    found.retain(|path| path.is_file());
    let note = |path: PathBuf| {
        let value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        (path, value)
    };
    found.into_iter().map(note).collect()
}

#[test]
fn a_check_is_noted_on_the_drives_and_here() {
    let shipment = small();
    shipment.pack("cases=1").expect(0);
    let verify = |drives: &[usize], more: &[&str]| {
        let mut command = holdall(shipment.path());
        command.arg("verify").args(drives.iter().map(|d| &shipment.drives[*d].1)).args(more);
        command
    };
    let custody = |drive: usize| {
        let mut found = notes(&shipment.set_folder(drive).join("custody"));
        found.retain(|(_, note)| note["event"] == "verify");
        found
    };
    fs::remove_file(&shipment.files(1, "shards/")[0]).unwrap();
    let by = ["--log", "--by", "Ann \u{1b}[1m", "--note", "seal unbroken"];
    let output = verify(&[0, 1, 2], &by).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("Noted in custody/ on 3 drives and on this machine."), "{text}");
    let results: Vec<Value> = (0..3).map(|d| custody(d)[0].1["result"].clone()).collect();
    assert_eq!(results, ["whole", "damaged", "whole"]);
    assert!(custody(3).is_empty(), "a drive that was not here");
    let (_, note) = &custody(1)[0];
    assert_eq!((&note["text"], &note["missing_shards"]), (&"seal unbroken".into(), &1.into()));
    let root = blake3::hash(&fs::read(shipment.set_folder(0).join("set.txt")).unwrap());
    assert_eq!(note["root"], root.to_hex().as_str());
    let kept = shipment.path().join("state/holdall/custody");
    let of_verify = |(_, note): &&(PathBuf, Value)| note["event"] == "verify";
    assert_eq!(notes(&kept).iter().filter(of_verify).count(), 3);

    // status tells of it, of what is damaged first, and obeys nothing that was typed; nor does it
    // take a note for the newest that a wrong clock dated ahead.
    let (path, note) = &custody(1)[0];
    let (year, ahead) =
        (note["time"].as_str().unwrap()[..4].to_owned(), path.with_file_name("9.json"));
    let dated = fs::read_to_string(path).unwrap().replace(&format!("\"{year}-"), "\"2999-");
    fs::write(&ahead, dated.replace("damaged", "whole")).unwrap();
    let status = holdall(shipment.path()).arg("status").args(shipment.paths()).output().unwrap();
    let status = String::from_utf8_lossy(&status.stdout).into_owned();
    assert!(status.contains("by Ann") && !status.contains('\u{1b}'), "{status}");
    assert!(status.contains("every block read: damaged.") && !status.contains("2999"), "{status}");
    fs::remove_file(ahead).unwrap();

    // They are no part of the set: repair and verify take no notice, erase removes them.
    let before: Vec<_> = (0..4).flat_map(custody).collect();
    holdall(shipment.path()).arg("repair").args(shipment.paths()).assert().code(0);
    verify(&[0, 1, 2, 3], &[]).assert().code(0);
    assert_eq!((0..4).flat_map(custody).collect::<Vec<_>>(), before);
    let name = shipment.set_folder(0).file_name().unwrap().to_owned();
    let mut erase = holdall(shipment.path());
    erase.arg("erase").args(shipment.paths()).arg("--set").arg(name).arg("--yes").assert().code(0);
    assert_eq!(tree::walk(&shipment.paths()[0]).len(), 1, "the drive is empty");

    assert_refused(&mut verify(&[0], &["--by", "Ann"]), 2, &["--log"]);
    let long = "x".repeat(201);
    assert_refused(&mut verify(&[0], &["--log", "--by", &long]), 2, &["at most 200 bytes"]);
}
