//! `close` as it is typed: at a terminal it says what it will do and asks, with paths and
//! without, and options stand in any order.

use crate::common::has_programs;
use crate::common::shipment::Shipment;
use crate::common::snapshot::Snapshot;
use crate::common::terminal::Terminal;
use crate::{assert_refused, holdall, small};
use std::ffi::OsString;
use std::fs;

/// A set that lacks what closing writes, and of which this machine remembers nothing.
fn open_set() -> Shipment {
    let shipment = small();
    shipment.pack("cases=1").expect(0);
    for drive in 0..shipment.drives.len() {
        let folder = shipment.set_folder(drive);
        for name in ["set.txt", "checklist.b3"] {
            fs::remove_file(folder.join(name)).unwrap();
        }
        fs::remove_dir_all(folder.join("copy")).unwrap();
    }
    shipment
}

fn is_closed(shipment: &Shipment) -> bool {
    shipment.set_folder(0).join("set.txt").exists()
}

#[test]
fn paths_and_options_stand_in_any_order() {
    let drives = small().drives.len();
    for (before, after) in [(&["--yes"][..], &[][..]), (&[], &["--yes"])] {
        let shipment = open_set();
        let mut words: Vec<OsString> = vec!["close".into()];
        words.extend(before.iter().map(OsString::from));
        words.extend(shipment.paths().into_iter().map(OsString::from));
        words.extend(after.iter().map(OsString::from));
        assert_eq!(shipment.paths().len(), drives);
        let run = shipment.run(&words).expect(0);
        assert!(run.stdout.contains("is closed with"), "{words:?}\n{}", run.shown());
        assert!(is_closed(&shipment));
    }
    // pack takes one source.
    let shipment = small();
    let mut pack = holdall(shipment.path());
    pack.arg("pack").arg(&shipment.source).arg("more").args(["-r", &shipment.recipient]);
    pack.args(["--drive", &format!("a={}", shipment.paths()[0].display())]);
    assert_refused(&mut pack, 2, &["unexpected argument more: pack takes one SOURCE", "hint: "]);
}

/// Review A2, A12: the set and its drives are named.
#[test]
fn a_person_is_asked_before_a_set_is_closed() {
    if !has_programs(&["script"]) {
        return;
    }
    let shipment = open_set();
    let words = |options: &[&str]| -> Vec<OsString> {
        let options = ["close"].iter().chain(options).map(OsString::from);
        options.chain(shipment.paths().into_iter().map(OsString::from)).collect()
    };
    let before = Snapshot::of(&shipment.paths()[0]);
    let set = shipment.set_folder(0).file_name().unwrap().to_str().unwrap().to_owned();
    for answer in ["n", "y"] {
        let mut terminal = Terminal::holdall(&shipment.state(), &words(&[]));
        let asked = terminal.until("Close it? [y/N] ");
        let told = format!("to be closed: set {set} on ");
        assert!(asked.contains(&told), "{asked}");
        assert!(shipment.paths().iter().all(|path| asked.contains(path.to_str().unwrap())));
        terminal.types(answer);
        let (status, text) = terminal.end();
        assert_eq!(
            (status, is_closed(&shipment)),
            if answer == "y" { (0, true) } else { (2, false) },
            "{text}"
        );
        if answer == "n" {
            before.assert_equal(&Snapshot::of(&shipment.paths()[0]));
        }
    }
    // Nobody is asked who does not want it.
    let (status, text) = Terminal::holdall(&shipment.state(), &words(&["--yes"])).end();
    assert!(status == 0 && !text.contains("[y/N]"), "{text}");
}
