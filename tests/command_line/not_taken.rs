//! Issue 11, point 10: what the packer could not take is in the shipment, and the receiver is told of
//! it: by restore, ls and verify with a key, by holdall and by the reader in Python.

use super::drives::{as_nobody, nobodys};
use crate::common::mounted::Memory;
use crate::common::random::Random;
use crate::common::shipment::Shipment;
use crate::common::{Run, is_root, skip, tree};
use rustix::fs::XattrFlags;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Who packs may neither list `closed` nor look at what lies in `dark`.
const NOT_TAKEN: [&str; 6] = ["closed", "dark/x", "dark/y", "dark/y-", "secret", "tagged"];

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// A shipment that somebody packed who may not read all of it.
fn packed() -> Option<Shipment> {
    let shipment = nobodys()?;
    let path = |name: &str| shipment.source.join(name);
    for name in ["closed/c", "dark/x", "dark/y/z", "dark/y-", "secret", "tagged"] {
        tree::write(&path(name), name.as_bytes());
    }
    for (name, mode) in [("closed", 0o700), ("dark", 0o744), ("secret", 0o600)] {
        set_mode(&path(name), mode);
    }
    rustix::fs::setxattr(path("tagged"), "security.test", b"x", XattrFlags::empty()).unwrap();
    let told = as_nobody(&shipment, &shipment.pack_arguments("drives=1", &["--json"])).expect(3);
    let subjects = subjects(&told);
    assert_eq!(subjects, NOT_TAKEN[..5], "what root alone may set is a note");
    Some(shipment)
}

fn subjects(run: &Run) -> Vec<String> {
    let mut subjects: Vec<String> =
        run.problems().into_iter().map(|(subject, _)| subject).collect();
    subjects.sort();
    subjects
}

/// A verb with the identity and all drives.
fn with_key(shipment: &Shipment, words: &[&str]) -> Run {
    let words = words.iter().map(OsString::from);
    let key = ["-i".into(), OsString::from(&shipment.key)];
    shipment.run(words.chain(key).chain(shipment.paths().into_iter().map(Into::into)))
}

/// What `ls` says that entries lack.
fn lacks(run: &Run) -> BTreeMap<String, (Value, Value)> {
    let lacking = |event: &Value| event["lacks"] != json!([]);
    let entries = run.events_of("entry").into_iter().filter(lacking);
    let one = |e: Value| {
        let path = e["path"].as_str().unwrap().to_owned();
        (path, (e["kind"].clone(), e["lacks"].clone()))
    };
    entries.map(one).collect()
}

/// Review A18: and all else that a packer cannot take.
#[test]
fn restore_tells_it_each_time() {
    let Some(shipment) = packed() else { return };
    let (to, list) = (shipment.new_destination(), shipment.path().join("missing"));
    for in_place in [false, true] {
        let more = ["--missing", list.to_str().unwrap()];
        let run = shipment.restore(&shipment.paths(), &to, &more).expect(3);
        assert_eq!(subjects(&run), NOT_TAKEN, "{}", run.shown());
        let restored = run.event("restored");
        let counts = ["not_taken", "packed_badly", "lost", "complete", "in_place"];
        let counts = counts.map(|name| restored[name].clone());
        assert_eq!(counts, [json!(5), json!(1), json!(0), json!(true), json!(in_place)]);
        let mut missing: Vec<String> =
            fs::read_to_string(&list).unwrap().lines().map(Into::into).collect();
        missing.sort();
        assert_eq!(missing, NOT_TAKEN[..5], "tagged is there, but for an attribute");
    }
    assert!(
        !to.join("dark/x").exists() && to.join("closed").is_dir() && to.join("tagged").exists()
    );
    // In words, without the catalog, and of a part.
    for drive in 0..shipment.drives.len() {
        for kind in ["catalog/", "copy/catalog/"] {
            shipment.files(drive, kind).iter().for_each(|path| fs::remove_file(path).unwrap());
        }
    }
    let mut words = shipment.restore_arguments(&shipment.paths(), &shipment.new_destination(), &[]);
    words.retain(|word| word != "--json");
    let run = shipment.run(words.clone()).expect(3);
    let text = &run.stdout;
    assert!(text.contains("5 entries could not be packed in full: listed above."), "{text}");
    assert!(!text.contains("very file is complete"), "{text}");
    let told = "closed: the packer could not list this folder: what lay in it is in no set";
    assert!(run.stderr.contains(told), "{}", run.stderr);
    let part = shipment.new_destination();
    let more = ["--include", "/dark/y"];
    let run = shipment.restore(&shipment.paths(), &part, &more).expect(3);
    assert_eq!(run.event("restored")["not_taken"], 1);
}

/// Review A18: before anything is restored.
#[test]
fn ls_and_verify_tell_it() {
    let Some(shipment) = packed() else { return };
    let unknown = |lacks: Value| (json!("unknown"), lacks);
    let want: BTreeMap<String, (Value, Value)> = [
        ("closed", (json!("folder"), json!(["names"]))),
        ("dark/x", unknown(json!(["metadata"]))),
        ("dark/y", unknown(json!(["metadata", "names"]))),
        ("dark/y-", unknown(json!(["metadata"]))),
        ("secret", (json!("file"), json!(["bytes"]))),
        ("tagged", (json!("file"), json!(["attributes"]))),
    ]
    .map(|(path, lacks)| (path.to_owned(), lacks))
    .into();
    assert_eq!(lacks(&with_key(&shipment, &["ls", "--json"]).expect(3)), want);
    let listed = with_key(&shipment, &["ls"]).expect(3);
    assert!(listed.stdout.contains(" closed  [lacks names]\n"), "{}", listed.stdout);
    assert!(listed.stderr.contains("6 entries, marked with [ ]"), "{}", listed.stderr);
    let within = with_key(&shipment, &["ls", "--json", "--in", "dark"]).expect(3);
    assert_eq!(lacks(&within).len(), 3);
    let verified = with_key(&shipment, &["verify", "--json"]).expect(3);
    assert_eq!(subjects(&verified), NOT_TAKEN);
    let decoded = verified.event("decoded");
    assert_eq!((&decoded["not_taken"], &decoded["packed_badly"]), (&json!(5), &json!(1)));
    assert_eq!((&decoded["complete"], &decoded["catalog_agrees"]), (&json!(true), &json!(true)));
    let text = with_key(&shipment, &["verify"]).expect(3).stdout;
    assert!(text.contains("5 entries could not be packed in full: listed above."), "{text}");
    // Without a key nothing can be told, and the drives are whole.
    shipment.verify(&shipment.paths()).expect(0);
    python_tells_it(&shipment);
}

/// The reader written from the specification alone.
fn python_tells_it(shipment: &Shipment) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let packages = "import blake3, cryptography, pyrage, zstandard";
    let runs = |python: &PathBuf| {
        let tried = Command::new(python).args(["-c", packages]).output();
        tried.is_ok_and(|output| output.status.success())
    };
    let known = [root.join("tests/.venv/bin/python"), "python3".into()];
    let Some(python) = known.into_iter().find(runs) else {
        return skip("no Python with the packages of the reader");
    };
    for from_lists in [&[][..], &["--from-lists"]] {
        let mut command = Command::new(&python);
        command.arg(root.join("tests/reference_reader.py")).arg("restore").args(shipment.paths());
        command.arg("-i").arg(&shipment.key).arg("--to").arg(shipment.new_destination());
        let output = command.args(from_lists).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(3), "{said}");
        for name in NOT_TAKEN {
            let named = |line: &str| {
                line.ends_with(&format!(": {name}")) || line.contains(&format!(" of {name}:"))
            };
            assert_eq!(said.lines().filter(|line| named(line)).count(), 1, "{name}: {said}");
        }
    }
}

/// Sockets are entries like pipes.
#[test]
fn a_socket_is_packed_and_comes_back() {
    let shipment = Shipment::new(&[1, 1]);
    tree::write(&shipment.source.join("file"), b"bytes");
    let path = shipment.source.join("socket");
    let _socket = std::os::unix::net::UnixListener::bind(&path).unwrap();
    set_mode(&path, 0o640);
    shipment.pack("cases=1").expect(0);
    let to = shipment.new_destination();
    shipment.restore(&shipment.paths(), &to, &[]).expect(0);
    let found = fs::symlink_metadata(to.join("socket")).unwrap();
    assert!(found.file_type().is_socket());
    assert_eq!(found.permissions().mode() & 0o7777, 0o640);
}

/// A folder that several sets name is told of once, whichever are here.
#[test]
fn what_several_sets_name_is_told_once() {
    if !is_root() || !Path::new("/dev/shm").is_dir() {
        return skip("only root can mount, and only a tmpfs takes so many attributes");
    }
    let shipment = Shipment::within(Path::new("/dev/shm"), &[2, 2]);
    let mount = |path: &PathBuf| Memory::new(path, 8);
    let Some(_drives) = shipment.paths().iter().map(mount).collect::<Option<Vec<_>>>() else {
        return;
    };
    let mut random = Random::new("several sets");
    for number in 0..16 {
        tree::write(&shipment.source.join(format!("in/{number:02}")), &random.bytes(500_000));
    }
    // More than one entry may have: they are left out.
    for number in 0..17 {
        for name in ["", "in"] {
            let attribute = format!("user.{number}");
            let path = shipment.source.join(name);
            rustix::fs::setxattr(path, attribute, &vec![1; 62_000], XattrFlags::empty()).unwrap();
        }
    }
    let round = |number: usize| -> Vec<PathBuf> {
        shipment.paths().chunks(2).map(|of_case| of_case[number].clone()).collect()
    };
    let drives = |number: usize| -> Vec<OsString> {
        let cases = ["a", "b"].iter().zip(round(number));
        cases
            .flat_map(|(case, path)| {
                ["--drive".into(), format!("{case}={}", path.display()).into()]
            })
            .collect()
    };
    let source = shipment.source.to_str().unwrap();
    let first = ["pack", source, "-r", &shipment.recipient, "--survive", "cases=1", "--geometry"];
    let options = [tree::GEOMETRY, "--json", "--yes", "--folder-drives"];
    let words = first.iter().chain(&options).map(OsString::from).chain(drives(0));
    shipment.run(words).expect(4);
    let next = ["resume", "--json", "--folder-drives"].iter().map(OsString::from);
    shipment.run(next.chain(drives(1))).expect(0);

    let to = shipment.new_destination();
    for (paths, status) in [(round(1), 4), (round(0), 3), (shipment.paths(), 3)] {
        let run = shipment.restore(&paths, &to, &[]).expect(status);
        assert_eq!(run.event("restored")["not_taken"], 2, "{}", run.shown());
        let metadata = run.events_of("problem").into_iter().filter(|p| p["kind"] == "metadata");
        let named: Vec<Value> = metadata.map(|p| p["subject"].clone()).collect();
        assert_eq!(named, [".", "in"], "{}", run.shown());
    }
}
