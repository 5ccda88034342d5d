//! What this machine keeps of a shipment in progress is damaged: what is packed is kept, and what is
//! printed can be typed.

use super::closing::killed;
use rstest::rstest;
use std::ffi::OsString;
use std::fs;

/// A byte of which a bit may flip without anything failing to decode: of the last file's name, the
/// level, a count.
fn flipped<'a>(name: &str, bytes: &'a mut [u8]) -> &'a mut u8 {
    let before: &[u8] = match name {
        "list" => b"09/0299",
        "state.json" => b"\"level\":",
        _ => return &mut bytes[0],
    };
    let at = bytes.windows(before.len()).position(|window| window == before).unwrap();
    match name {
        "list" => &mut bytes[at + before.len() - 1],
        _ => &mut bytes[at + before.len()],
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Harm {
    /// to half its length
    Cut,
    Gone,
    /// a bit of it; item 7
    Flipped,
}

#[rstest]
#[case::state("state.json", Harm::Cut)]
#[case::index("index", Harm::Cut)]
#[case::list("list", Harm::Cut)]
#[case::no_index("index", Harm::Gone)]
#[case::no_list("list", Harm::Gone)]
#[case::flipped_state("state.json", Harm::Flipped)]
#[case::flipped_index("index", Harm::Flipped)]
#[case::flipped_list("list", Harm::Flipped)]
fn a_set_whose_state_is_damaged_is_closed_and_forgotten(#[case] name: &str, #[case] harm: Harm) {
    let shipment = killed(&[1, 1]);
    let set = shipment.set_folder(0).file_name().unwrap().to_str().unwrap().to_owned();
    let (id, _) = set.split_once('-').unwrap();
    let file = shipment.state().join("holdall").join(id).join(name);
    let mut bytes = fs::read(&file).unwrap();
    match harm {
        Harm::Cut => fs::write(&file, &bytes[..bytes.len() / 2]).unwrap(),
        Harm::Gone => fs::remove_file(&file).unwrap(),
        Harm::Flipped => {
            *flipped(name, &mut bytes) ^= 1;
            fs::write(&file, bytes).unwrap();
        }
    }
    let way = format!("holdall close DRIVES; then holdall forget {id}, and pack again");
    let paths = shipment.paths().into_iter().map(OsString::from);
    let status = shipment.run(["status".into(), "--json".into()].into_iter().chain(paths.clone()));
    let told = status.event("in-progress");
    // A list may be as large as a disk: each record is looked at when it is packed.
    if (name, harm) != ("list", Harm::Flipped) {
        assert_eq!(told["damaged"], true, "{told}");
        assert!(told["next"].is_null(), "{told}");
        let told = shipment.run(["status"]).shown();
        assert!(told.contains(&way), "{told}");
    }
    let run = shipment.resume().expect(1);
    assert!(run.event("error")["hint"].as_str().unwrap().ends_with(&way), "{}", run.shown());
    shipment.run(["close".into()].into_iter().chain(paths)).expect(0);
    shipment.verify(&shipment.paths()).expect(0);
    shipment.run(["forget", id, "--yes"]).expect(0);
    shipment.pack("cases=1").expect(0);
}
